"""The inbox where nobody can answer: a list of what is open, as a saved notebook and a terminal show it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.questions import OpenQuestion
from hitl_nb.decisions.forms import form_for
from hitl_nb.decisions.wording import cut, plural, printable
from hitl_nb.errors import HitlError, UnknownTypeError
from hitl_nb.widgets import times
from hitl_nb.widgets.bundle import MIME
from hitl_nb.widgets.escaping import escape
from hitl_nb.widgets.receipt import AS_IS
from hitl_nb.widgets.receipt_text import as_text
from hitl_nb.widgets.style import receipt_css

_MOST: Final = 200
"""Questions that are listed with their words."""
_HEADING_MAX: Final = 200


def headings(saver: Checkpointer, found: Sequence[OpenQuestion]) -> list[str]:
    """What each asks, in a line; of the first ones, as every one has to be read."""
    return [_heading(saver, q) for q in found[:_MOST]]


def static_bundle(saver: Checkpointer, found: Sequence[OpenQuestion], note: str) -> dict[str, Any]:
    """HTML, Markdown, plain text and JSON without a time and without an id, so that a notebook reads the same after every run."""
    title = plural(len(found), "open question")
    rows = [(heading, _origin(q), q.thread_id, q.assignee or "") for heading, q in zip(headings(saver, found), found, strict=False)]
    more = f"and {len(found) - len(rows):,} more" if len(found) > len(rows) else ""
    cells = "".join("<tr>" + "".join(f'<td style="text-align:left">{escape(cell)}</td>' for cell in row) + "</tr>" for row in rows)
    names = "".join(f'<th style="text-align:left">{name}</th>' for name in ("Question", "Asked by", "Thread", "Asked"))
    table = f"<table><thead><tr>{names}</tr></thead><tbody>{cells}</tbody></table>" if rows else ""
    tail = [text for text in (more, note) if text]
    return {
        "text/html": f'<style>{receipt_css()}</style><div class="hitl-nb {AS_IS}"><p><b>{escape(title)}</b></p>{table}'
        + "".join(f"<p>{escape(text)}</p>" for text in tail)
        + "</div>",
        "text/markdown": "\n".join(
            [f"**{title}**", "", *(f"- {as_text(' · '.join(filter(None, row)))}" for row in rows), "", *(as_text(text) for text in tail)]
        ),
        "text/plain": "\n".join([title, *(f"○ {printable(' · '.join(filter(None, row)))}" for row in rows), *tail]),
        MIME: {
            "version": 1,
            "decisions": [],
            "open": [
                {"thread_id": q.thread_id, "node": q.node, "question": heading} for heading, q in zip(headings(saver, found), found, strict=False)
            ],
        },
    }


def table(saver: Checkpointer, found: Sequence[OpenQuestion], now: datetime) -> str:
    """For a terminal."""
    rows = [
        (
            cut(_line(heading), 60),
            cut(_line(_origin(q)), 40),
            cut(_line(q.thread_id), 32),
            cut(_line(q.assignee or "anyone"), 20),
            "" if q.deadline is None else times.due(q.deadline, now)[0],
        )
        for heading, q in zip(headings(saver, found), found, strict=False)
    ]
    names = ("question", "asked by", "thread", "asked", "due")
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (names, *rows)] if rows else []
    return "\n".join([plural(len(found), "open question"), *lines])


def _line(text: str) -> str:
    return " ".join(printable(text).split())


def _origin(q: OpenQuestion) -> str:
    return f"{q.graph} / {q.node}" if q.graph else q.node


def _heading(saver: Checkpointer, q: OpenQuestion) -> str:
    try:
        question = saver.question(q.interrupt_id)
    except UnknownTypeError:
        return "(asked with a class that is not loaded here)"
    except HitlError:  # one damaged record keeps no other back
        return "(this question cannot be read here; hitl-nb store check says why)"
    return form_for(question).heading if question is not None else "(answered meanwhile)"
