"""Receipts as one MIME bundle of HTML, Markdown, plain text and JSON, which any front end shows without kernel or script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from hitl_nb.decisions.request import Request
from hitl_nb.widgets.escaping import escape
from hitl_nb.widgets.receipt import AS_IS, Receipt
from hitl_nb.widgets.receipt_text import as_text, markdown, plain
from hitl_nb.widgets.style import parts_css, receipt_css

MIME: Final = "application/vnd.hitl-nb.decision.v1+json"


def bundle(receipts: Sequence[Receipt]) -> dict[str, Any]:
    """The MIME bundle of these receipts, for `display(..., raw=True)`."""
    css = receipt_css() + (parts_css() if any(r.has_parts for r in receipts) else "")
    return {
        "text/html": f"<style>{css}</style>" + "".join(r.html() for r in receipts),
        "text/markdown": "\n".join(map(markdown, receipts)),
        "text/plain": "\n".join(map(plain, receipts)),
        MIME: {"version": 1, "decisions": [r.record() for r in receipts]},
    }


def open_bundle(receipts: Sequence[Receipt], requests: Sequence[Request], note: str) -> dict[str, Any]:
    """The same while questions are open: what a saved notebook shows in place of the live cards. `note` says what to do."""
    lines = [r.line() for r in receipts] + [f"○ Open: {r.form.heading} ({r.question.thread_id})" for r in requests]
    items = "".join(f'<div class="{AS_IS}">{escape(text)}</div>' for text in lines)
    return {
        "text/html": f'{items}<p style="opacity:.7">{escape(note)}</p>',
        "text/markdown": "\n".join([f"- {as_text(text)}" for text in lines] + ["", as_text(note)]),
        "text/plain": "\n".join([*lines, note]),
        MIME: {
            "version": 1,
            "decisions": [r.record() for r in receipts],
            "open": [{"thread_id": r.question.thread_id, "node": r.question.node, "question": r.form.heading} for r in requests],
        },
    }
