"""What an answer says beyond the button that was pressed: what was filled in, the rows and the actions that were decided, one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from hitl_nb.decisions.fields.reading import answer_facts
from hitl_nb.decisions.parts import Part, Table, divided, parts_of, table_of
from hitl_nb.decisions.request import Form, Request
from hitl_nb.decisions.rows.answer import in_words, is_decision
from hitl_nb.decisions.rows.table import found_in
from hitl_nb.decisions.wording import label, readable

_IDS_MAX: Final = 40
"""Row ids that are listed; the rest is a count."""
_CHANGES_MAX: Final = 200
"""Changed cells that are listed."""
_DONE: Final = {"approve": "approved", "accept": "approved", "edit": "edited", "reject": "rejected", "ignore": "ignored", "respond": "answered"}
"""The types of a decision about an action, in words."""


def told(request: Request, answer: Any) -> tuple[dict[str, Any], tuple[Part, ...]]:
    """Facts and larger parts. Empty for an answer that its button, its comment and its edited text tell already."""
    if request.form.control == "table" and is_decision(answer):
        return _rows(answer)
    actions = decided_actions(request.form, answer)
    if actions is not None:
        return _actions(request, actions), ()
    if request.form.shape != "text":
        return {}, ()
    if request.form.root is not None:
        return answer_facts(request.form.root, answer), ()
    if isinstance(answer, Mapping):
        return divided(answer)
    return {}, parts_of("Answer", answer) if isinstance(answer, (list, tuple)) else ()


def asked_table(request: Request, name: str = "") -> tuple[Part, ...]:
    """The first rows of the table that was decided about row by row: the form itself shows them otherwise."""
    found = found_in(request.question.payload) if request.form.control == "table" else None
    table = None if found is None else table_of(name or label(found.key or "table"), found.value)
    return () if table is None else (table,)


def summary(form: Form, answer: Any) -> str:
    """`3 accepted, 1 edited`: many decisions in one line; empty for any other answer."""
    if form.control == "table" and is_decision(answer):
        return in_words(answer)
    actions = decided_actions(form, answer)
    if not actions:
        return ""
    counts = Counter(_done(one) for one in actions)
    return ", ".join(f"{n} {word}" for word, n in counts.items()) if len(actions) > 1 else _done(actions[0]).capitalize()


# -- rows


def _rows(answer: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[Part, ...]]:
    facts: dict[str, Any] = {"Rows": in_words(answer)}
    if answer["rejected"]:
        facts["Rejected"] = _ids(answer["rejected"])
    cells = [(one["row"], column, change) for one in answer["edited"] for column, change in one["changes"].items()]
    changed = Table(
        "Changed cells",
        ("Row", "Column", "From", "To"),
        tuple((str(row), str(column), _cell(change.get("from")), _cell(change.get("to"))) for row, column, change in cells[:_CHANGES_MAX]),
        frozenset(),
        len(cells),
        4,
    )
    rules = Table(
        "Rules",
        ("Rule", "Decision", "Rows hit"),
        tuple((str(one["rule"]), str(one["decision"]), f"{len(one['rows']):,}") for one in answer["rules"]),
        frozenset({2}),
        len(answer["rules"]),
        3,
    )
    return facts, tuple(part for part in (changed, rules) if part.total)


def _ids(rows: list[Any]) -> str:
    listed = ", ".join(map(str, rows[:_IDS_MAX]))
    return f"row{'' if len(rows) == 1 else 's'} {listed}" + (f" and {len(rows) - _IDS_MAX:,} more" if len(rows) > _IDS_MAX else "")


def _cell(value: Any) -> str:
    return "" if value is None else readable(value)


# -- actions


def decided_actions(form: Form, answer: Any) -> list[Mapping[str, Any]] | None:
    """The decisions about action requests, one an action; None: the answer is something else."""
    decisions = (
        answer.get("decisions") if form.control in ("actions", "json") and isinstance(answer, Mapping) and set(answer) == {"decisions"} else None
    )
    if not isinstance(decisions, list) or not decisions:
        return None
    return decisions if all(isinstance(one, Mapping) and isinstance(one.get("type"), str) for one in decisions) else None


def _done(decision: Mapping[str, Any]) -> str:
    kind = str(decision["type"])
    return _DONE.get(kind, kind)


def _actions(request: Request, decisions: list[Mapping[str, Any]]) -> dict[str, Any]:
    payload = request.question.payload
    asked = payload.get("action_requests") if isinstance(payload, Mapping) else None
    facts = {}
    for n, decision in enumerate(decisions):
        action = asked[n] if isinstance(asked, (list, tuple)) and n < len(asked) else None
        name = next((action[k] for k in ("name", "action") if isinstance(action.get(k), str)), "") if isinstance(action, Mapping) else ""
        rest = {k: v for k, v in decision.items() if k != "type" and v not in (None, "")}
        edited = rest.get("edited_action")
        if isinstance(edited, Mapping):
            arguments = edited.get("args")
            changed = {} if edited.get("name") in (name, None) else {"name": edited["name"]}
            rest = {k: v for k, v in rest.items() if k != "edited_action"} | changed | (dict(arguments) if isinstance(arguments, Mapping) else {})
        detail = ", ".join(readable(rest).splitlines()) if len(rest) != 1 or "message" not in rest else readable(rest["message"])
        facts[f"{n + 1}. {label(name or 'action')}"] = f"{_done(decision)}: {detail}" if rest else _done(decision)
    return facts
