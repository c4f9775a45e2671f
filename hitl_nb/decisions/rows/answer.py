"""The answer about a table: checked against the rows, filled in where a script wrote less, counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn

from hitl_nb.decisions.rows.columns import BadValueError, Column, plain
from hitl_nb.decisions.rows.rule import BadRuleError, example_for, rows_hit
from hitl_nb.decisions.rows.table import Table, found_in
from hitl_nb.errors import InvalidAnswerError, shown

FULL: Final = ("accepted", "edited", "rejected", "rules")
SHORT: Final = ("accept", "edit", "reject", "rules", "rest")
OPEN, ACCEPT, EDIT, REJECT = 0, 1, 2, 3
DECISIONS: Final = {"accept": ACCEPT, "reject": REJECT}
_NAMED_MAX: Final = 5
"""Row ids that a message lists."""
IN_SHORT: Final = '{"accept": "all"}, or {"rules": [{"rule": "amount > 500", "decision": "reject"}], "edit": {"2": {"amount": 20}}, "rest": "accept"}'
_EXPECTED: Final = (
    'expected {"accepted": [row ids], "edited": [{"row": id, "changes": {column: {"to": value}}}], "rejected": [row ids]} with every row once, '
    f"or in short {IN_SHORT}"
)

Changes = dict[int, dict[int, Any]]
"""By row number and column number: the new value as JSON data."""
Used = list[tuple[str, str, list[int]]]
"""The rules in the order of use: the rule, `accept` or `reject`, the numbers of the rows it hit."""


def is_meant_as_rows(answer: Any) -> bool:
    """Whether this answer speaks of rows, in full or in short."""
    return isinstance(answer, Mapping) and any(k in answer for k in ("accepted", "rejected", "edited", "accept", "reject", "edit", "rest"))


def is_decision(answer: Any) -> bool:
    """Whether this is a recorded answer about a table, see `decisions.rows`."""
    return isinstance(answer, Mapping) and set(answer) == set(FULL) and all(isinstance(answer[k], list) for k in FULL)


def short_answers(payload: Any) -> list[Any]:
    """What a script could answer to this payload that asks about rows."""
    asked = found_in(payload)
    rule = example_for(Table(asked.value).frame) if asked is not None else "index > 5"
    return [{"accept": "all"}, {"rules": [{"rule": rule, "decision": "reject"}], "rest": "accept"}]


def counted(accepted: int, edited: int, rejected: int, still_open: int = 0) -> str:
    """`3 accepted, 1 edited, 1 rejected, 5 open`, without those that are none; but never nothing."""
    parts = [f"{n:,} {word}" for n, word in ((accepted, "accepted"), (edited, "edited"), (rejected, "rejected"), (still_open, "open")) if n]
    return ", ".join(parts) or "0 accepted"


def in_words(answer: Mapping[str, Any]) -> str:
    """A recorded answer in one line."""
    return counted(*(len(answer[k]) for k in FULL[:3]))


def made(table: Table, choices: Any, changes: Changes, rules: Used) -> dict[str, Any]:
    """The answer in full. `choices`: an array with ACCEPT, EDIT or REJECT for each row."""
    import numpy as np

    ids = table.ids
    return {
        "accepted": [ids[n] for n in np.flatnonzero(choices == ACCEPT).tolist()],
        "edited": [{"row": ids[n], "changes": _told(table, n, changes[n])} for n in np.flatnonzero(choices == EDIT).tolist()],
        "rejected": [ids[n] for n in np.flatnonzero(choices == REJECT).tolist()],
        "rules": [{"rule": rule, "decision": decision, "rows": [ids[n] for n in rows]} for rule, decision, rows in rules],
    }


def _told(table: Table, row: int, changed: Mapping[int, Any]) -> dict[str, Any]:
    return {table.columns[c].name: {"from": plain(table.value(row, c)), "to": to} for c, to in sorted(changed.items())}


def expanded(table: Table, answer: Any) -> dict[str, Any]:
    """The answer in full, for one in full or in short. Raises InvalidAnswerError with `path` and `reason`.

    In short: `rules` are used in their order, `accept`, `edit` and `reject` then speak for single rows, `rest` for all that are left.
    """
    if isinstance(answer, str) and answer in DECISIONS:
        answer = {"rest": answer}
    if not isinstance(answer, Mapping):
        _refuse(f"it is {shown(answer, 120)}, and the question asks about {len(table):,} rows; {_EXPECTED}")
    if unknown := [k for k in answer if k not in FULL and k not in SHORT]:
        _refuse(f"{shown(unknown[0], 60)} is no part of an answer about rows; {_EXPECTED}", [unknown[0]])
    in_full = any(k in FULL[:3] for k in answer)
    if in_full and (mixed := [k for k in answer if k not in FULL]):
        _refuse(f"{mixed[0]!r} is of the short form, and {next(k for k in answer if k in FULL[:3])!r} of the full one; use one of them", [mixed[0]])
    return _Reading(table, answer).in_full() if in_full else _Reading(table, answer).in_short()


class _Reading:
    """An answer while it is read, row by row."""

    def __init__(self, table: Table, answer: Mapping[str, Any]) -> None:
        import numpy as np

        self._table, self._answer = table, answer
        self._choices = np.zeros(len(table), dtype=np.int8)
        self._changes: Changes = {}
        self._rules: Used = []

    def in_full(self) -> dict[str, Any]:
        for place, one in self._items("rules"):
            if not isinstance(one, Mapping) or "rows" not in one:
                _refuse(f"a rule is {shown(one, 80)}; expected its rule, decision and rows", place)
            hits = self._hits(one, place)
            rows = [self._row(id_, [*place, "rows", n]) for n, id_ in enumerate(_listed(one["rows"], [*place, "rows"]))]
            if sorted(rows) != hits:
                words = f"the rule {one['rule']!r:.120} hits {len(hits):,} rows of this table, not the {len(rows):,} that are listed with it"
                _refuse(words, [*place, "rows"])
            self._rules.append((one["rule"], one["decision"], rows))
        for key, choice in (("accepted", ACCEPT), ("rejected", REJECT)):
            self._each(key, choice)
        for place, one in self._items("edited"):
            if not isinstance(one, Mapping) or set(one) != {"row", "changes"}:
                _refuse(f"an edited row is {shown(one, 80)}; expected its row and changes", place)
            self._edit(one["row"], one["changes"], place)
        return self._done()

    def in_short(self) -> dict[str, Any]:
        rest = self._answer.get("rest")
        for key in ("accept", "reject"):
            if self._answer.get(key) == "all":
                if len(self._answer) > 1:
                    _refuse(f'"{key}": "all" stands alone; beside other rows write "rest": "{key}"', [key])
                rest = key
        if rest is not None and (not isinstance(rest, str) or rest not in DECISIONS):
            _refuse(f"rest is {shown(rest, 60)}; expected accept or reject", ["rest"])
        for place, one in self._items("rules"):
            hits = self._hits(one, place)
            self._rules.append((one["rule"], one["decision"], hits))
            self._choices[hits] = DECISIONS[one["decision"]]
        by_rule, self._choices = self._choices, self._choices * 0
        for key in ("accept", "reject"):
            if self._answer.get(key) != "all":
                self._each(key, DECISIONS[key])
        edits = self._answer.get("edit", {})
        if not isinstance(edits, Mapping):
            _refuse(f"edit is {shown(edits, 80)}; expected row ids, each with its columns and their new values", ["edit"])
        for id_, changes in edits.items():
            self._edit(self._spelled(id_), changes, ["edit", id_])
        self._choices[self._choices == OPEN] = by_rule[self._choices == OPEN]
        if rest is not None:
            self._choices[self._choices == OPEN] = DECISIONS[rest]
        return self._done()

    def _done(self) -> dict[str, Any]:
        left = [self._table.ids[n] for n in (self._choices == OPEN).nonzero()[0].tolist()]
        if left:
            rest = "" if any(k in self._answer for k in FULL[:3]) else '; decide them, too, or say "rest": "accept"'
            _refuse(f"{len(left):,} of {len(self._table):,} rows are not decided: {_some(left)}{rest}")
        return made(self._table, self._choices, self._changes, self._rules)

    # -- parts

    def _items(self, key: str) -> Iterator[tuple[list[str | int], Any]]:
        for n, one in enumerate(_listed(self._answer.get(key, []), [key])):
            yield [key, n], one

    def _each(self, key: str, choice: int) -> None:
        for place, id_ in self._items(key):
            self._decide(self._row(id_, place), choice, id_, place)

    def _decide(self, row: int, choice: int, id_: Any, place: list[str | int]) -> None:
        if self._choices[row] != OPEN:
            _refuse(f"row {shown(id_, 60)} is decided twice", place)
        self._choices[row] = choice

    def _row(self, id_: Any, place: list[str | int]) -> int:
        number = self._table.numbers.get(id_) if type(id_) in (int, str) else None
        if number is None:
            kind = "positions from 0" if self._table.by_position else "labels of the index"
            _refuse(f"there is no row {shown(id_, 60)}; rows are named by the {kind}: {_some(self._table.ids)}", place)
        return number

    def _spelled(self, id_: Any) -> Any:
        """A key of JSON is always a text."""
        return int(id_) if isinstance(id_, str) and id_ not in self._table.numbers and id_.lstrip("-").isdecimal() else id_

    def _hits(self, one: Any, place: list[str | int]) -> list[int]:
        if not isinstance(one, Mapping) or not isinstance(one.get("rule"), str) or set(one) - {"rule", "decision", "rows"}:
            _refuse(f'a rule is {shown(one, 80)}; expected {{"rule": "amount > 500", "decision": "reject"}}', place)
        if not isinstance(one.get("decision"), str) or one["decision"] not in DECISIONS:
            _refuse(f"the decision of a rule is {shown(one.get('decision'), 60)}; expected accept or reject", [*place, "decision"])
        try:
            hit: list[int] = rows_hit(one["rule"], self._table.frame).nonzero()[0].tolist()
        except BadRuleError as error:
            _refuse(f"the rule {one['rule']!r:.120}: {error}", [*place, "rule"])
        return hit

    def _edit(self, id_: Any, changes: Any, place: list[str | int]) -> None:
        row = self._row(id_, place)
        if not isinstance(changes, Mapping) or not changes:
            _refuse(f"row {shown(id_, 60)} is edited without changes; put it among the accepted ones, or name columns and new values", place)
        self._decide(row, EDIT, id_, place)
        self._changes[row] = dict(self._changed(row, id_, *item, place) for item in changes.items())

    def _changed(self, row: int, id_: Any, name: Any, new: Any, place: list[str | int]) -> tuple[int, Any]:
        column = self._column(name, place)
        now = self._table.value(row, column.number)
        where = f"row {shown(id_, 60)}, column {column.name}"
        path = [*place, "changes", column.name] if place[0] == "edited" else [*place, column.name]
        to = new
        if isinstance(new, Mapping):
            if "to" not in new or set(new) - {"from", "to"}:
                _refuse(f"{where}: {shown(new, 80)} is no change; expected the new value, or from and to", path)
            to = new["to"]
            if "from" in new and not _same(new["from"], plain(now)):
                _refuse(f"{where} holds {shown(plain(now), 60)}, and the change is from {shown(new['from'], 60)}", path)
        try:
            to = plain(column.check(to, now))
        except BadValueError as error:
            _refuse(f"{where}: {error}", path)
        if _same(to, plain(now)):
            _refuse(f"{where} is {shown(to, 60)} already", path)
        return column.number, to

    def _column(self, name: Any, place: list[str | int]) -> Column:
        found = self._table.by_name.get(name) if isinstance(name, str) else self._table.by_name.get(str(name))
        if found is None:
            _refuse(f"there is no column {shown(name, 60)}; there are {', '.join(list(self._table.by_name)[:12])}", place)
        return found


# -- words -----------------------------------------------------------------------------------------------------------------------------


def _refuse(reason: str, path: list[str | int] | None = None) -> NoReturn:
    raise InvalidAnswerError(reason, path=path or [], reason=reason)


def _listed(value: Any, place: list[str | int]) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        _refuse(f"{place[-1]} is {shown(value, 80)}; expected a list", place)
    return list(value)


def _same(one: Any, other: Any) -> bool:
    """Equal, and a bool only to a bool."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _some(ids: list[Any]) -> str:
    return ", ".join(shown(i, 30) for i in ids[:_NAMED_MAX]) + (f" and {len(ids) - _NAMED_MAX:,} more" if len(ids) > _NAMED_MAX else "")
