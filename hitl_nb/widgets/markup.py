"""The read-only parts of a card as HTML. Every text that comes from outside goes through `escape`; nothing here renders markup."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from html import escape
from typing import Any, Final

from hitl_nb.decisions.request import Request
from hitl_nb.widgets import times


def _icon(*paths: str, spins: bool = False) -> str:
    drawn = "".join(f'<path d="{p}"/>' for p in paths)
    return f'<svg viewBox="0 0 16 16" aria-hidden="true"{" class=hitl-nb-spin" if spins else ""}>{drawn}</svg>'


_RING: Final = "M8 1.75a6.25 6.25 0 1 1 0 12.5 6.25 6.25 0 0 1 0-12.5"
ICONS: Final = {
    "open": _icon(_RING, "M8 6.6a1.4 1.4 0 1 1 0 2.8 1.4 1.4 0 0 1 0-2.8"),
    "ok": _icon(_RING, "M5.2 8.3l1.9 1.9 3.7-4.2"),
    "bad": _icon(_RING, "M8 4.8v3.8M8 11v.1"),
    "run": _icon("M8 1.75a6.25 6.25 0 1 1-6.25 6.25", spins=True),
}
"""Keyed by the state's class, which also gives the colour; each has a shape of its own."""


def head(state: str, word: str, where: str = "", when: str = "") -> str:
    """The header line: state, place, time. `where` and `when` are HTML."""
    return f'<div class="hitl-nb-head"><span class="hitl-nb-st hitl-nb-{state}">{ICONS[state]}{escape(word)}</span>{where}{when}</div>'


def where(request: Request) -> str:
    q = request.question
    return f'<span class="hitl-nb-where">{escape(q.origin)} &ensp;<code>{escape(q.thread_id)}</code></span>'


def when(request: Request, now: datetime) -> str:
    """Since when it is open and until when; the script of the card keeps both fresh."""
    q = request.question
    parts = f'<time data-asked="{q.created_at.timestamp():.0f}">{times.asked(q.created_at, now)}</time>'
    if q.deadline is not None:
        words, pressing = times.due(q.deadline, now)
        parts += f'<time data-due="{q.deadline.timestamp():.0f}" class="hitl-nb-{pressing}">{words}</time>'
    return f'<span class="hitl-nb-when">{parts}</span>'


def body(request: Request, *parts: str, instruction: bool) -> str:
    """The question as a heading, then the parts, which are HTML."""
    form = request.form
    note = f'<p class="hitl-nb-note">{escape(form.instruction)}</p>' if instruction and form.instruction else ""
    return f'<div class="hitl-nb-body"><div class="hitl-nb-q" role="heading" aria-level="3">{escape(form.heading)}</div>{note}{"".join(parts)}</div>'


def facts(values: Mapping[str, Any]) -> str:
    """Keys and values as a list; nothing for none. Long values scroll, so they can be reached by keyboard."""
    if not values:
        return ""
    rows = ""
    for key, value in values.items():
        text = str(value)
        reach = ' tabindex="0"' if len(text) > 700 or text.count("\n") > 8 else ""
        rows += f"<dt>{escape(str(key))}</dt><dd{reach}>{escape(text)}</dd>"
    return f'<dl class="hitl-nb-facts">{rows}</dl>'


def text(caption: str, content: str, *, code: bool = False) -> str:
    """A text to judge, as it is, in a box that scrolls."""
    count = "" if code else f' <span class="hitl-nb-mut">{_words(content)}</span>'
    kind = " hitl-nb-code" if code else ""
    return (
        f'<div><div class="hitl-nb-cap">{escape(caption)}{count}</div>'
        f'<div class="hitl-nb-text{kind}" tabindex="0" role="region" aria-label="{escape(caption)}">{escape(content)}</div></div>'
    )


def plain(caption: str, content: str) -> str:
    """A short text of a person under its caption; nothing for none."""
    return f'<div><div class="hitl-nb-cap">{escape(caption)}</div><div class="hitl-nb-plain">{escape(content)}</div></div>' if content else ""


def line(content: str, hint: str = "") -> str:
    """The small line below the buttons. Both arguments are HTML."""
    return f'<div class="hitl-nb-line"><span>{content}</span><span class="hitl-nb-hint">{hint}</span></div>'


def problem(message: str) -> str:
    """The small line when an answer was not taken."""
    return line(f'<span class="hitl-nb-bad">Not sent. {escape(message)}</span>')


def _words(content: str) -> str:
    count = len(content.split())
    if not count:
        return "empty"
    return f"{count} word{'' if count == 1 else 's'}"
