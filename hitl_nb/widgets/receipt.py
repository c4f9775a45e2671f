"""The static record of decided questions: one bundle of HTML, Markdown, plain text and JSON that needs neither kernel nor script."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from hitl_nb.checkpoint.questions import EXPIRED
from hitl_nb.checkpoint.records import Decision
from hitl_nb.decisions.request import Request
from hitl_nb.decisions.wording import readable
from hitl_nb.widgets import markup, times
from hitl_nb.widgets.diff import side_by_side
from hitl_nb.widgets.outcome import Outcome, outcome
from hitl_nb.widgets.style import receipt_css

MIME: Final = "application/vnd.hitl-nb.decision.v1+json"
_AS_IS: Final = "mathjax_ignore tex2jax_ignore"
"""Classes by which JupyterLab and an HTML export leave "$5 and $6" alone, which they would set as a formula."""
_PLACES: Final = {"card": "notebook", "console": "terminal", "script": "answers file", "invoke": "code", EXPIRED: "nowhere: the default counts"}


@dataclass(frozen=True, slots=True)
class Receipt:
    """A decided question."""

    request: Request
    decision: Decision

    @property
    def outcome(self) -> Outcome:
        return outcome(self.request.form, self.decision.answer)

    @property
    def scripted(self) -> bool:
        """Given by a script: shown without time and id, so that a notebook reads the same after every run."""
        return self.decision.how == "script"

    @property
    def signature(self) -> str:
        """`Dana Ruiz, 20 Nov 2026, 09:41 UTC`, or `by Dana Ruiz, scripted`, or that it is a default."""
        who = self.decision.reviewer if self.decision.how != EXPIRED else "default, as nobody answered in time"
        return f"by {who}, scripted" if self.scripted else f"{who}, {times.absolute(self.decision.decided_at)}"

    def html(self, *, is_open: bool = False) -> str:
        """One line with the details folded below. No script, no svg, no style sheet: that comes once with the bundle."""
        o = self.outcome
        mark, tone = ("✓", "ok") if o.good else ("✕", "bad")
        return (
            f'<details class="hitl-nb hitl-nb-receipt {_AS_IS}"{" open" if is_open else ""}><summary>'
            f'<b class="hitl-nb-{tone}">{mark} {escape(o.label)}</b> '
            f'<span>{escape(self.request.form.heading)}</span> <span class="hitl-nb-who">{escape(self.signature)}</span></summary>'
            f'<div class="hitl-nb-more">{"".join(self._details(o))}</div></details>'
        )

    def _details(self, o: Outcome) -> list[str]:
        form, q = self.request.form, self.request.question
        # An edited text stands in the comparison already; the record has the exact answer.
        answer = _json(self.decision.answer if o.edited is None else _shortened(self.decision.answer))
        parts = [markup.facts(form.facts), markup.plain("Comment", o.comment)]
        if o.edited is not None and form.subject is not None:
            parts.append(side_by_side(form.subject, o.edited, right="Edited"))
        elif form.subject is not None:
            parts.append(markup.text(form.subject_label, form.subject, code=form.parse))
        parts.append(markup.text("Answer", answer, code=True))
        origin = {"Thread": q.thread_id, "Node": q.origin}
        parts.append(markup.facts(origin | {"Answered in": _PLACES.get(self.decision.how, self.decision.how)}))
        return parts

    def line(self) -> str:
        """The receipt in one line of plain text."""
        o = self.outcome
        return f"{'✓' if o.good else '✕'} {o.label}: {self.request.form.heading} ({self.signature})"

    def record(self) -> dict[str, Any]:
        """The machine-readable part."""
        q, d = self.request.question, self.decision
        record = {
            "thread_id": q.thread_id,
            "graph": q.graph,
            "node": q.node,
            "question": self.request.form.heading,
            "answer": json.loads(_json(d.answer)),
            "reviewer": d.reviewer,
            "how": d.how,
        }
        return record if self.scripted else record | {"interrupt_id": d.interrupt_id, "decided_at": d.decided_at.isoformat()}


def bundle(receipts: Sequence[Receipt]) -> dict[str, Any]:
    """The MIME bundle of these receipts, for `display(..., raw=True)`."""
    return {
        "text/html": f"<style>{receipt_css()}</style>" + "".join(r.html() for r in receipts),
        "text/markdown": "\n".join(_markdown(r) for r in receipts),
        "text/plain": "\n".join(_text(r) for r in receipts),
        MIME: {"version": 1, "decisions": [r.record() for r in receipts]},
    }


def open_bundle(receipts: Sequence[Receipt], requests: Sequence[Request], note: str) -> dict[str, Any]:
    """The same while questions are open: what a saved notebook shows in place of the live cards. `note` says what to do."""
    lines = [r.line() for r in receipts] + [f"○ Open: {r.form.heading} ({r.question.thread_id})" for r in requests]
    items = "".join(f'<div class="{_AS_IS}">{escape(text)}</div>' for text in lines)
    return {
        "text/html": f'{items}<p style="opacity:.7">{escape(note)}</p>',
        "text/markdown": "\n".join([f"- {_md(text)}" for text in lines] + ["", _md(note)]),
        "text/plain": "\n".join([*lines, note]),
        MIME: {
            "version": 1,
            "decisions": [r.record() for r in receipts],
            "open": [{"thread_id": r.question.thread_id, "node": r.question.node, "question": r.form.heading} for r in requests],
        },
    }


def _text(r: Receipt) -> str:
    o = r.outcome
    lines = [r.line(), *(f"  {k}: {_indented(str(v))}" for k, v in r.request.form.facts.items())]
    if o.comment:
        lines.append(f"  Comment: {_indented(o.comment)}")
    lines.append(f"  Answer: {_json(r.decision.answer)}")
    return "\n".join(lines)


def _markdown(r: Receipt) -> str:
    o = r.outcome
    lines = [f"**{'✓' if o.good else '✕'} {_md(o.label)}** {_md(r.request.form.heading)} ({_md(r.signature)})", ""]
    lines += [f"- {_md(k)}: {_md(str(v))}" for k, v in r.request.form.facts.items()]
    if o.comment:
        lines.append(f"- Comment: {_md(o.comment)}")
    return "\n".join([*lines, f"- Answer: {_md(_json(r.decision.answer))}", ""])


def _indented(value: str) -> str:
    return value.replace("\n", "\n    ")


def _md(value: str) -> str:
    """Text that a Markdown renderer shows as it is: markup and line starts are neutralised."""
    flat = " ".join(value.split())
    return "".join(f"\\{c}" if c in "\\`*_{}[]()#+!|~$-" else {"<": "&lt;", ">": "&gt;", "&": "&amp;"}.get(c, c) for c in flat)


def _shortened(value: Any) -> Any:
    """The answer with long texts cut, for reading."""
    if isinstance(value, Mapping):
        return {k: _shortened(v) for k, v in value.items()}
    return f"{value[:80]}… ({len(value)} characters)" if isinstance(value, str) and len(value) > 200 else value


def _json(value: Any) -> str:
    """The answer as one line of JSON; what JSON does not have is written as its text."""
    return json.dumps(value, ensure_ascii=False, default=readable)
