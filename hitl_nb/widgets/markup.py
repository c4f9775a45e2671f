"""The read-only parts of a card as HTML. Every text that comes from outside goes through `escape`; nothing here renders markup."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from hitl_nb.decisions.request import Request
from hitl_nb.decisions.wording import plural
from hitl_nb.widgets import times
from hitl_nb.widgets.escaping import escape


def _icon(*paths: str, spins: bool = False) -> str:
    drawn = "".join(f'<path d="{p}"/>' for p in paths)
    return f'<svg viewBox="0 0 16 16" aria-hidden="true"{" class=hitl-nb-spin" if spins else ""}>{drawn}</svg>'


_RING: Final = "M8 1.75a6.25 6.25 0 1 1 0 12.5 6.25 6.25 0 0 1 0-12.5"
ICONS: Final = {
    "open": _icon(_RING, "M8 6.6a1.4 1.4 0 1 1 0 2.8 1.4 1.4 0 0 1 0-2.8"),
    "ok": _icon(_RING, "M5.2 8.3l1.9 1.9 3.7-4.2"),
    "bad": _icon(_RING, "M8 4.8v3.8M8 11v.1"),
    "late": _icon(_RING, "M8 4.6V8l2.3 1.5"),
    "run": _icon("M8 1.75a6.25 6.25 0 1 1-6.25 6.25", spins=True),
}
"""Keyed by the state's class, which also gives the colour; each has a shape of its own."""


def head(state: str, word: str, where: str = "", when: str = "") -> str:
    """The header line: state, place, time. `where` and `when` are HTML."""
    return f'<div class="hitl-nb-head"><span class="hitl-nb-st hitl-nb-{state}">{ICONS[state]}{escape(word)}</span>{where}{when}</div>'


def head_of(request: Request, state: str, word: str, now: datetime) -> str:
    """The header of a question that no answer is waited for any more."""
    return head(state, word, where(request), since(request, now))


def where(request: Request) -> str:
    q = request.question
    return f'<span class="hitl-nb-where">{escape(q.origin)} &ensp;<code>{escape(q.thread_id)}</code></span>'


def when(request: Request, now: datetime) -> str:
    """Since when it is open and until when; the script of the card keeps both fresh."""
    q = request.question
    parts = _asked(request, now)
    if q.deadline is not None:
        words, pressing = times.due(q.deadline, now)
        parts += f'<time data-due="{q.deadline.timestamp():.0f}" class="hitl-nb-{pressing}">{words}</time>'
    return f'<span class="hitl-nb-when">{parts}</span>'


def since(request: Request, now: datetime) -> str:
    """Since when it is, or was, open."""
    return f'<span class="hitl-nb-when">{_asked(request, now)}</span>'


def _asked(request: Request, now: datetime) -> str:
    at = request.question.created_at
    return f'<time data-asked="{at.timestamp():.0f}">{times.asked(at, now)}</time>'


def body(request: Request, *parts: str, instruction: bool) -> str:
    """The question as a heading, then the parts, which are HTML."""
    form = request.form
    note = f'<p class="hitl-nb-note">{escape(form.instruction)}</p>' if instruction and form.instruction else ""
    return f'<div class="hitl-nb-body"><div class="hitl-nb-q" role="heading" aria-level="3">{escape(form.heading)}</div>{note}{"".join(parts)}</div>'


def note(words: str) -> str:
    """A grey line below the question."""
    return f'<p class="hitl-nb-note">{escape(words)}</p>'


def alert(lead: str, words: str, *, static: bool = False) -> str:
    """What a person must not overlook: it is read out when it appears. `static`: for a page that may be without the style sheet of the cards."""
    start = f"<b>{escape(lead)}</b> " if lead else ""
    own = ' style="margin:0;padding:0 16px 12px;max-width:80ch"' if static else ""
    return f'<p class="hitl-nb-note hitl-nb-alert" role="alert"{own}>{start}{escape(words)}</p>'


def facts(values: Mapping[str, Any]) -> str:
    """Keys and values as a list; nothing for none. Long values scroll, so they can be reached by keyboard."""
    if not values:
        return ""
    rows = ""
    for key, value in values.items():
        text = str(value)
        reach = ' tabindex="0"' if is_long(text) else ""
        rows += f"<dt>{escape(str(key))}</dt><dd{reach}{lines(text)}>{escape(text)}</dd>"
    return f'<dl class="hitl-nb-facts">{rows}</dl>'


def is_long(text: str) -> bool:
    """Whether the value of a fact scrolls, so that the keyboard has to reach it."""
    return len(text) > 700 or text.count("\n") > 8


def text(name: str, content: str, *, code: bool = False, static: bool = False, mono: bool = False) -> str:
    """A text to judge, as it is, in a box that scrolls. `code`: data, in a small box. `static`: for a receipt. `mono`: its columns mean something."""
    kind = " hitl-nb-code" if code else " hitl-nb-columns" if mono else ""
    return (
        f"<div>{caption(name) if code else counted(name, content)}"
        f'<div class="hitl-nb-text{kind}"{lines(content)}{reach(name, static=static)}>{escape(content)}</div></div>'
    )


def counted(words: str, content: str) -> str:
    """The caption of a text with its number of words."""
    return caption(words, _words(content))


def caption(words: str, more: str = "", *, tag: str = "div") -> str:
    """The name of what follows, and in grey what it is like."""
    return f'<{tag} class="hitl-nb-cap"><b>{escape(words)}</b>{f" <span class=hitl-nb-mut>{escape(more)}</span>" if more else ""}</{tag}>'


def lines(content: str) -> str:
    """The style that keeps its lines apart, also where a style sheet is stripped: in a saved notebook that is not trusted."""
    return ' style="white-space:pre-wrap"' if "\n" in content else ""


def reach(name: str, *, static: bool = False) -> str:
    """The attributes by which a keyboard reaches a box that scrolls, and a screen reader names it. `static`: a receipt keeps no roles."""
    return ' tabindex="0"' if static else f' tabindex="0" role="region" aria-label="{escape(name)}"'


def plain(name: str, content: str) -> str:
    """A short text of a person under its caption; nothing for none."""
    return f'<div>{caption(name) if name else ""}<div class="hitl-nb-plain"{lines(content)}>{escape(content)}</div></div>' if content else ""


def line(content: str, hint: str = "") -> str:
    """The small line below the buttons. Both arguments are HTML."""
    return f'<div class="hitl-nb-line"><span>{content}</span><span class="hitl-nb-hint">{hint}</span></div>'


def lost(words: str) -> str:
    """What is seen once the kernel is gone. `words` is HTML: what became of the question, and what to do."""
    return f'<div class="hitl-nb-lost"><b>This card lost its kernel.</b> {words}</div>'


def problem(message: str) -> str:
    """The small line when an answer was not taken."""
    return line(f'<span class="hitl-nb-bad">Not sent. {escape(message)}</span>')


def _words(content: str) -> str:
    count = len(content.split())
    return plural(count, "word") if count else "empty"
