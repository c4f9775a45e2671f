"""What became of a table by the decisions about its rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hitl_nb.decisions.rows.answer import expanded
from hitl_nb.decisions.rows.table import Table


def apply_decisions(table: Any, answer: Any) -> Any:
    """The table as it was decided: the accepted and the edited rows in their order, with the new values, without the rejected rows.

    table: the DataFrame that was asked about, or the list of dicts; it stays as it is. Its dtypes, index and attrs are those of what is returned.
    answer: what `interrupt()` returned, or anything else that the question takes.

    Raises InvalidAnswerError when the answer is not about this table: a row that it does not have or does not decide, another value than was edited.

    >>> import pandas as pd
    >>> films = pd.DataFrame({"title": ["Drei", "Unknwon", "Test"], "year": [1969, 2006, 1900]})
    >>> answer = {"rules": [{"rule": "year < 1950", "decision": "reject"}], "edit": {1: {"title": "Unknown"}}, "rest": "accept"}
    >>> print(apply_decisions(films, answer))
         title  year
    0     Drei  1969
    1  Unknown  2006
    """
    asked = Table(table)
    full = expanded(asked, answer)
    dropped = {asked.numbers[id_] for id_ in full["rejected"]}
    changes: dict[int, dict[int, Any]] = {}
    for one in full["edited"]:
        for name, change in one["changes"].items():
            changes.setdefault(asked.by_name[name].number, {})[asked.numbers[one["row"]]] = change["to"]
    return _applied_to_records(asked, dropped, changes) if asked.records is not None else _applied_to_frame(asked, dropped, changes)


def _applied_to_records(asked: Table, dropped: set[int], changes: Mapping[int, Mapping[int, Any]]) -> list[dict[str, Any]]:
    rows = [dict(row) for row in asked.records or ()]
    for number, cells in changes.items():
        column = asked.columns[number]
        for row, to in cells.items():
            rows[row][asked.frame.columns[number]] = column.check(to, asked.value(row, number))
    return [row for n, row in enumerate(rows) if n not in dropped]


def _applied_to_frame(asked: Table, dropped: set[int], changes: Mapping[int, Mapping[int, Any]]) -> Any:
    import numpy as np
    import pandas as pd

    result = asked.frame.copy()
    for number, cells in changes.items():
        column, series = asked.columns[number], asked.frame.iloc[:, number].copy()
        rows = list(cells)
        values = [column.check(cells[row], asked.value(row, number)) for row in rows]
        if series.dtype == object:
            new = np.empty(len(values), dtype=object)
            new[:] = values
        else:
            new = pd.array(values, dtype=series.dtype)
        series.iloc[rows] = new
        result.isetitem(number, series)
    keep = np.ones(len(result), dtype=bool)
    keep[list(dropped)] = False
    return result[keep]
