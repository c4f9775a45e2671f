"""The larger things that a card shows beside its facts: chats, pictures, tables and long texts, read off a payload's values."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any, Final

from hitl_nb.checkpoint.pictures import Picture, picture_in
from hitl_nb.decisions.chats import Message, messages_of
from hitl_nb.decisions.wording import cut, facts_of, label, labels_of, plural, readable

ROWS_MAX: Final = 100
"""Rows of a table that a card shows; the rest is a count."""
COLUMNS_MAX: Final = 50
_LINES_MIN: Final = 4
"""Lines from which a text gets a box of its own instead of a line among the facts."""
_PICTURES_MAX: Final = 40
"""Pictures of one value that are shown."""


@dataclass(frozen=True, slots=True)
class Messages:
    """A chat, the oldest message first."""

    label: str
    items: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Illustration:
    """A picture under its label."""

    label: str
    picture: Picture


@dataclass(frozen=True, slots=True)
class Text:
    """A text of several lines, as it is."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """The first rows of a table as text, to be read."""

    label: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int]
    """The columns that hold numbers, by position."""
    total: int
    """Rows that there are."""
    total_columns: int

    def count(self, rows: int) -> str:
        """`20 of 3,400 rows` when so many rows of it are shown."""
        rows = min(rows, len(self.rows))
        words = plural(self.total, "row")
        words = words if rows == self.total else f"{rows:,} of {words}"
        return words if len(self.columns) == self.total_columns else f"{words}, {len(self.columns)} of {self.total_columns:,} columns"


Part = Messages | Illustration | Text | Table


def parts_of(name: str, value: Any) -> tuple[Part, ...]:
    """What a value of a payload is shown as, under this label; nothing when it reads well among the facts."""
    picture = picture_in(value)
    if picture is not None:
        return (Illustration(name, picture),)
    if isinstance(value, str):
        return (Text(name, value),) if value.strip().count("\n") + 1 >= _LINES_MIN else ()
    if isinstance(value, (list, tuple)) and value:
        pictures = [picture_in(v) for v in value[: _PICTURES_MAX + 1]]
        if len(value) <= _PICTURES_MAX and all(pictures):
            return tuple(Illustration(f"{name} {n}" if len(value) > 1 else name, p) for n, p in enumerate(pictures, 1) if p)
        chat = messages_of(value)
        if chat is not None:
            return (Messages(name, chat),)
    table = table_of(name, value)
    return () if table is None else (table,)


def divided(values: Mapping[Any, Any]) -> tuple[dict[str, Any], tuple[Part, ...]]:
    """The facts among these values, and what is too large to be one. A picture deep inside a fact is shown beside it."""
    names = labels_of(values)
    own = {key: parts_of(names[key], value) for key, value in values.items()}
    facts = facts_of({key: value for key, value in values.items() if not own[key]}, names)
    parts = (own[key] or islice(_inside(names[key], value, 0), _PICTURES_MAX) for key, value in values.items())
    return facts, tuple(part for found in parts for part in found)


def _inside(name: str, value: Any, depth: int) -> Iterator[Illustration]:
    if depth > 6:
        return
    if isinstance(value, Mapping):
        parts = [(label(k), v) for k, v in value.items()]
    elif isinstance(value, (list, tuple)):
        parts = [(str(n), v) for n, v in enumerate(value, 1)]
    else:
        return
    for inner, part in parts:
        if isinstance(part, (Mapping, list, tuple)):
            yield from _inside(f"{name}: {inner}", part, depth + 1)
        elif (picture := picture_in(part)) is not None:
            yield Illustration(f"{name}: {inner}", picture)


# -- tables


def table_of(name: str, value: Any) -> Table | None:
    """A DataFrame, a Series, or a list of flat dicts of two or more keys."""
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(value, (pandas.DataFrame, pandas.Series)):
        return _frame(name, value)
    return _records(name, value) if isinstance(value, (list, tuple)) and value else None


def _frame(name: str, value: Any) -> Table:
    import pandas as pd

    from hitl_nb.decisions.rows.columns import columns_of

    frame = value.to_frame("Value" if value.name is None else value.name) if isinstance(value, pd.Series) else value
    total, total_columns = frame.shape
    frame = frame.iloc[:, :COLUMNS_MAX]
    if not (isinstance(frame.index, pd.RangeIndex) and frame.index.name is None):
        frame = pd.concat([_index(frame.index), frame.reset_index(drop=True)], axis=1)
        total_columns += frame.shape[1] - min(frame.shape[1], total_columns, COLUMNS_MAX)
    columns = columns_of(frame)
    cells = [[column.shown(v) for v in frame.iloc[:ROWS_MAX, column.number].tolist()] for column in columns]
    rows = tuple(zip(*cells, strict=True)) if cells else ()
    return Table(name, tuple(c.name for c in columns), rows, frozenset(c.number for c in columns if c.is_number), total, total_columns)


def _index(index: Any) -> Any:
    levels = index.to_frame(index=False)
    levels.columns = ["index" if name is None else name for name in index.names]
    return levels


def _records(name: str, value: Sequence[Any]) -> Table | None:
    if not all(isinstance(row, Mapping) and all(isinstance(k, str) for k in row) and all(map(_is_flat, row.values())) for row in value):
        return None
    columns = tuple(dict.fromkeys(k for row in value for k in row))
    if len(columns) < 2:
        return None
    rows = tuple(tuple("" if row.get(c) is None else readable(row[c]) for c in columns[:COLUMNS_MAX]) for row in value[:ROWS_MAX])
    numbers = frozenset(n for n, c in enumerate(columns[:COLUMNS_MAX]) if _are_numbers([row.get(c) for row in value[:ROWS_MAX]]))
    return Table(name, tuple(map(str, columns[:COLUMNS_MAX])), rows, numbers, len(value), len(columns))


def _is_flat(value: Any) -> bool:
    """A value that fits into a cell."""
    if isinstance(value, str):
        return len(value) <= 2000
    if isinstance(value, (Mapping, list, tuple, set, frozenset, bytes, bytearray, Picture)):
        return False
    pandas = sys.modules.get("pandas")
    return not (pandas is not None and isinstance(value, (pandas.DataFrame, pandas.Series, pandas.Index))) and getattr(value, "shape", ()) == ()


def _are_numbers(values: list[Any]) -> bool:
    told = [v for v in values if v is not None]
    return bool(told) and all(isinstance(v, (int, float, Decimal)) and not isinstance(v, bool) for v in told)


# -- as text


def lines(part: Part, *, rows: int = 20) -> list[str]:
    """The part as plain text, for a terminal and for a receipt without style."""
    if isinstance(part, Illustration):
        return [f"{part.label}: [picture: {part.picture.words(part.label)}]"]
    if isinstance(part, Text):
        return [f"{part.label}:", *(f"  {line}" for line in part.text.splitlines())]
    if isinstance(part, Messages):
        told = [f"{part.label}:"]
        for message in part.items:
            told += _indented(f"{message.role}: {message.text}".rstrip())
            told += [f"    {k}: {' '.join(str(v).split())}" for k, v in message.facts.items()]
            told += [f"    [picture: {p.words()}]" for p in message.pictures]
        return told
    return [f"{part.label} ({part.count(rows)}):", *(f"  {line}" for line in _aligned(part, rows))]


def _indented(text: str) -> list[str]:
    first, *more = text.splitlines() or [""]
    return [f"  {first}", *(f"    {line}" for line in more)]


def _aligned(table: Table, rows: int, most: int = 40) -> Iterator[str]:
    short = [[cut(" ".join(cell.split()), most) for cell in row] for row in (table.columns, *table.rows[:rows])]
    widths = [max(len(row[n]) for row in short) for n in range(len(table.columns))]
    for row in short:
        cells = (cell.rjust(width) if n in table.numbers else cell.ljust(width) for n, (cell, width) in enumerate(zip(row, widths, strict=True)))
        yield "  ".join(cells).rstrip()
