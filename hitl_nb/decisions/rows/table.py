"""The table that a question is about: where it lies in a payload, its rows with their ids, its columns."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from importlib.util import find_spec
from typing import Any, Final

from hitl_nb.decisions.rows.columns import Column, columns_of
from hitl_nb.decisions.wording import plural

KEYS: Final = ("table", "data", "frame", "rows", "original", "draft", "content")
"""Where a DataFrame of a payload is the thing to judge, the most telling first."""
RECORDS: Final = ("rows", "records")
"""Where a list of flat dicts is one."""
RECORDS_MIN: Final = 2


@dataclass(frozen=True, slots=True)
class Found:
    """A table in a payload."""

    key: Any
    """Where in the payload; None: it is the payload."""
    value: Any
    """The DataFrame, or the list of dicts."""
    binds: bool
    """An answer from code has to decide about its rows: the key says that they are what is asked about."""
    rest: Mapping[Any, Any]
    """The payload without it."""

    @property
    def facts(self) -> dict[str, str]:
        """What there is to say of a payload that holds nothing else."""
        return {} if self.rest else {"Table": plural(len(self.value), "row")}

    def as_text(self, most: int = 40) -> str:
        """The first rows, for a terminal."""
        table = Table(self.value)
        text = str(table.frame.set_axis(table.ids).head(most).to_string(max_colwidth=40))
        return text if len(table) <= most else f"{text}\n… and {len(table) - most:,} more rows"


class Table:
    """The rows to decide about: those of a DataFrame, or of a list of flat dicts. They are read, never written.

    Row numbers count from 0; ids are what the answer names rows by.
    """

    def __init__(self, value: Any) -> None:
        self.records: list[Mapping[str, Any]] | None = None if _is_frame(value) else list(value)
        self.frame: Any = value if self.records is None else _framed(self.records)
        self.columns: tuple[Column, ...] = columns_of(self.frame)
        self.ids, self.by_position = _ids(self.frame.index)
        self._series: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self.frame)

    def values(self, column: int, rows: Any) -> list[Any]:
        """What the cells of a column hold in these rows."""
        found: list[Any] = self.frame.iloc[:, column].iloc[rows].tolist()
        return found

    def value(self, row: int, column: int) -> Any:
        if column not in self._series:
            self._series[column] = self.frame.iloc[:, column]
        return self._series[column].iat[row]

    @cached_property
    def numbers(self) -> dict[Any, int]:
        """The row number of each id."""
        return {id_: number for number, id_ in enumerate(self.ids)}

    @cached_property
    def by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}


def found_in(payload: Any) -> Found | None:
    """The table that a payload without a schema asks about, row by row; None when it asks something else.

    It asks something else when it lists options or actions, has an `action` or `type` that speaks of the whole (approve…, review…, choose…,
    …review, text), or tells of an error in an input.
    """
    if _is_frame(payload):
        return Found(None, payload, binds=True, rest={}) if _holds_cells(payload) else None
    if not isinstance(payload, Mapping) or _asks_otherwise(payload):
        return None
    frames = [key for key, value in payload.items() if _is_frame(value) and _holds_cells(value)]
    key = next((k for k in KEYS if k in frames), None) or next((k for k in RECORDS if _are_records(payload.get(k))), None)
    binds = key is not None
    if not binds and len(frames) == 1:
        key = frames[0]
    elif not binds:
        return None
    return Found(key, payload[key], binds, {k: v for k, v in payload.items() if k != key})


def _asks_otherwise(payload: Mapping[Any, Any]) -> bool:
    if any(isinstance(payload.get(k), (list, tuple)) and payload[k] for k in ("options", "actions", "action_requests")):
        return True
    if "error" in payload and "current_input" in payload:
        return True
    words = [payload[k] for k in ("action", "type") if isinstance(payload.get(k), str)]
    return any(w.startswith(("approve", "review", "choose")) or w.endswith("review") or w == "text" for w in words)


def _is_frame(value: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, getattr(pandas, "DataFrame", ()))


def _holds_cells(frame: Any) -> bool:
    return bool(frame.shape[0] and frame.shape[1])


def _are_records(value: Any) -> bool:
    if not isinstance(value, list) or len(value) < RECORDS_MIN:
        return False
    if not all(isinstance(row, Mapping) and row and all(isinstance(k, str) and _is_flat(v) for k, v in row.items()) for row in value):
        return False
    return find_spec("pandas") is not None  # it is an extra; without it such a list is answered as JSON


def _is_flat(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float, date, datetime))


def _framed(records: list[Mapping[str, Any]]) -> Any:
    """The records as a DataFrame that keeps whole numbers whole beside missing ones."""
    import pandas as pd

    made: dict[str, Any] = {}
    for name in dict.fromkeys(key for row in records for key in row):
        values = [row.get(name) for row in records]
        kinds = {type(v) for v in values if v is not None}
        dtype = {frozenset({int}): "Int64", frozenset({float}): "float64", frozenset({bool}): "boolean"}.get(frozenset(kinds), "object")
        try:
            made[name] = pd.Series(values, dtype=dtype)
        except (OverflowError, ValueError, TypeError):  # a number that 64 bits do not hold
            made[name] = pd.Series(values, dtype="object")
    return pd.DataFrame(made)


def _ids(index: Any) -> tuple[list[Any], bool]:
    """The labels of an index of unique ints and texts; else positions, and True."""
    if index.is_unique and index.nlevels == 1:
        labels = index.tolist()
        if all(type(label) is int or type(label) is str for label in labels):
            return labels, False
    return list(range(len(index))), True
