"""What an answer says beyond the button that was pressed: what was filled in, the rows and the actions that were decided, one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from hitl_nb.checkpoint.records import UNSET
from hitl_nb.decisions.actions import Action, Asked, asked_actions, done, fact_key
from hitl_nb.decisions.fields.reading import answer_facts
from hitl_nb.decisions.parts import Part, Table, divided, parts_of, table_of
from hitl_nb.decisions.request import Form, Request
from hitl_nb.decisions.rows.answer import in_words, is_decision
from hitl_nb.decisions.rows.table import Table as Rows
from hitl_nb.decisions.rows.table import found_in
from hitl_nb.decisions.wording import label, readable

_IDS_MAX: Final = 40
"""Row ids that are listed; the rest is a count."""
_CHANGES_MAX: Final = 200
"""Changed cells that are listed."""


def told(request: Request, answer: Any) -> tuple[dict[str, Any], tuple[Part, ...]]:
    """Facts and larger parts. Empty for an answer that its button, its comment and its edited text tell already."""
    if request.form.control == "table" and is_decision(answer):
        return _rows(answer)
    actions = asked_actions(request.question.payload) if request.form.control == "actions" else None
    if actions is not None and _listed(answer):
        return _actions(actions, answer), ()
    if request.form.shape != "text":
        return {}, ()
    if request.form.root is not None:
        return answer_facts(request.form.root, answer), ()
    if isinstance(answer, Mapping):
        return divided(answer)
    return {}, parts_of("Answer", answer) if isinstance(answer, (list, tuple)) else ()


def asked_table(request: Request) -> tuple[Part, ...]:
    """The first rows of the table that was decided about row by row, with the ids by which the answer names them. A form shows it otherwise."""
    found = found_in(request.question.payload) if request.form.control == "table" else None
    if found is None:
        return ()
    asked = Rows(found.value)
    # an index whose labels are the ids stands there as such
    shown = table_of(label(found.key or "table"), asked.frame if asked.by_position else asked.frame.reset_index(drop=True))
    if shown is None:
        return ()
    rows = tuple((str(id_), *row) for id_, row in zip(asked.ids, shown.rows, strict=False))
    numbers = frozenset(n + 1 for n in shown.numbers)
    return (replace(shown, columns=("Row", *shown.columns), rows=rows, numbers=numbers, total_columns=shown.total_columns + 1),)


def summary(form: Form, answer: Any) -> tuple[str, bool]:
    """Many decisions in one line, `3 accepted, 1 edited`, and whether any of them agrees. Empty for any other answer."""
    if form.control == "table" and is_decision(answer):
        return in_words(answer), bool(answer["accepted"] or answer["edited"])
    if form.control != "actions":
        return "", True
    counts = Counter(map(_done, _listed(answer)))
    words = ", ".join(f"{n} {word}" for word, n in counts.items()) if counts.total() > 1 else "".join(counts).capitalize()
    return words, not counts.keys() <= {"rejected", "ignored"}


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
    return f"{'row' if len(rows) == 1 else 'rows'} {listed}" + (f" and {len(rows) - _IDS_MAX:,} more" if len(rows) > _IDS_MAX else "")


def _cell(value: Any) -> str:
    return "" if value is None else readable(value)


# -- actions


def _listed(answer: Any) -> list[Mapping[str, Any]]:
    """The decisions of an answer about actions, in each of its shapes; empty when it is something else."""
    given = answer.get("decisions", [answer]) if isinstance(answer, Mapping) else answer
    said = isinstance(given, (list, tuple)) and all(isinstance(one, Mapping) and isinstance(one.get("type"), str) for one in given)
    return list(given) if said else []


def _done(decision: Mapping[str, Any]) -> str:
    return done(str(decision["type"]))


def _actions(asked: Asked, answer: Any) -> dict[str, Any]:
    """One line an action: what was decided, the changed arguments with what they were, the words to the agent."""
    return {fact_key(asked, n): _action(action, one) for n, (action, one) in enumerate(zip(asked.actions, _listed(answer), strict=False))}


def _was(old: Any) -> str:
    return "new" if old is UNSET else f"was {readable(old)}"


def _differs(old: Any, new: Any) -> bool:
    """Python calls 1, 1.0 and True equal."""
    return type(old) is not type(new) or bool(old != new)


def _action(action: Action, decision: Mapping[str, Any]) -> str:
    edited = decision.get("edited_action", decision.get("args"))
    args = edited.get("args") if isinstance(edited, Mapping) else None
    if isinstance(args, Mapping):
        both = [(k, v, action.args.get(k, UNSET)) for k, v in args.items()]
        changes = [f"{label(k)}: {readable(v)} ({_was(old)})" for k, v, old in both if _differs(old, v)]
        gone = [f"{label(k)}: left out" for k in action.args if k not in args]
        said = ", ".join([*changes, *gone])
    else:
        said = decision.get("message") or decision.get("args") or ""
    return f"{_done(decision)}: {readable(said)}" if said else _done(decision)
