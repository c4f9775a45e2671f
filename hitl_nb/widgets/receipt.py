"""The static record of a decided question: what it reads like, and its part for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hitl_nb.checkpoint.questions import EXPIRED
from hitl_nb.checkpoint.records import Decision
from hitl_nb.decisions.parts import Part
from hitl_nb.decisions.request import Request
from hitl_nb.decisions.told import asked_table, told
from hitl_nb.decisions.wording import as_json, readable_json
from hitl_nb.widgets import markup, times
from hitl_nb.widgets.diff import side_by_side
from hitl_nb.widgets.escaping import escape
from hitl_nb.widgets.outcome import Outcome, outcome
from hitl_nb.widgets.parts import part_html, text
from hitl_nb.widgets.voting import votes

AS_IS: Final = "mathjax_ignore tex2jax_ignore"
"""Classes by which JupyterLab and an HTML export leave "$5 and $6" alone, which they would set as a formula."""
PLACES: Final = {
    "card": ("notebook", "in a notebook"),
    "console": ("terminal", "in the terminal"),
    "script": ("answers file", "by an answers file"),
    "inbox": ("inbox", "in an inbox"),
    "cli": ("command line", "on the command line"),
    "code": ("code", "from code"),
    "invoke": ("code", "from code"),
}
"""How an answer was given: where it came from, and in a sentence about who gave it."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A decided question."""

    request: Request
    decision: Decision
    way_back: str = ""
    """How to change the answer, for the person who has just given it; empty in every other record."""

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
            f'<details class="hitl-nb hitl-nb-receipt {AS_IS}"{" open" if is_open else ""}><summary>'
            f'<b class="hitl-nb-{tone}">{mark} {escape(o.label)}</b> '
            f'<span>{escape(self.request.form.heading)}</span> <span class="hitl-nb-who">{escape(self.signature)}</span></summary>'
            f'<div class="hitl-nb-more">{"".join(self._details(o))}</div></details>'
        )

    @property
    def parts(self) -> tuple[Part, ...]:
        """What was shown beside the facts and the text to judge."""
        return self.request.form.parts + asked_table(self.request)

    @property
    def told(self) -> tuple[dict[str, Any], tuple[Part, ...]]:
        """What the answer says, one by one."""
        return told(self.request, self.decision.answer)

    @property
    def has_parts(self) -> bool:
        return bool(self.parts or self.told[1])

    def _details(self, o: Outcome) -> list[str]:
        form, d = self.request.form, self.decision
        out = [markup.plain("", form.instruction), markup.facts(form.facts), *(part_html(part, static=True) for part in self.parts)]
        if form.subject is not None and o.edited is None:
            out.append(text(form.subject_label, form.subject, code=form.parse, static=True))
        out.append(markup.plain("Comment", o.comment))
        if form.subject is not None and o.edited is not None:
            out.append(side_by_side(form.subject, o.edited, right="Edited", static=True))
        facts, parts = self.told
        if facts or parts:
            out += [f"<div>{markup.caption('Answer')}{markup.facts(facts)}</div>", *(part_html(part, static=True) for part in parts)]
        if isinstance(d.answer, str) and form.control == "text":
            out.append(markup.text("Answer", d.answer, static=True))
        else:  # an edited text stands in the comparison already; the record has the exact answer
            exact = readable_json(d.answer if o.edited is None else _shortened(d.answer))
            out.append(markup.text("Recorded as" if facts or parts else "Answer", exact, code=True, static=True))
        return [*filter(None, out), markup.facts(self._origin | ({"To change it": self.way_back} if self.way_back else {}))]

    @property
    def _origin(self) -> dict[str, str]:
        q, d = self.request.question, self.decision
        asked = {"Asked": q.assignee} if q.assignee is not None and q.assignee != d.reviewer else {}
        place = "nowhere: the default counts" if d.how == EXPIRED else PLACES.get(d.how, (d.how, ""))[0]
        waited_s = (d.decided_at - q.created_at).total_seconds()
        after = "" if self.scripted or d.how == EXPIRED or waited_s < 1 else f", after {times.took(waited_s)}"
        return {"Thread": q.thread_id, "Node": q.origin, **asked, "Answered in": place + after} | self.votes

    @property
    def votes(self) -> dict[str, str]:
        """What each reviewer answered, where several had to."""
        said = votes(self.request)
        return {"Votes": "; ".join(f"{who}: {label}" for who, label in said.items())} if said else {}

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
            "answer": json.loads(as_json(d.answer)),
            "reviewer": d.reviewer,
            "how": d.how,
        }
        if self.scripted:
            return record
        return record | {"interrupt_id": d.interrupt_id, "decided_at": d.decided_at.isoformat(), "digest": q.digest}


def _shortened(value: Any) -> Any:
    """The answer with long texts cut, for reading."""
    if isinstance(value, Mapping):
        return {k: _shortened(v) for k, v in value.items()}
    return f"{value[:80]}… ({len(value)} characters)" if isinstance(value, str) and len(value) > 200 else value
