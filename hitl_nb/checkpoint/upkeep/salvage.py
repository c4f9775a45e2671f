"""Every row of a store's database that can still be read, of a damaged one too."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

_COLUMNS: Final = "rowid, key, raw, mode, filename, value"
_LAST: Final = 1 << 62
_VAIN: Final = 100
"""Times in a row that nothing new was read."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it lies there; nothing of it was looked at."""

    number: int
    key: Any
    raw: Any
    mode: Any
    filename: Any
    value: Any


@dataclass(frozen=True, slots=True)
class Gap:
    """Rows that cannot be read."""

    first: int
    last: int
    """Numbers; not every number between them was a row."""
    error: str
    key: str = ""
    """Of the only row, when that can still be read."""


def every_row(connection: sqlite3.Connection) -> Iterator[Row | Gap]:
    """The rows by number, one in memory at a time. Around what cannot be read it goes on as near as it can, from both sides.

    A damaged page may say any number and lead anywhere, so the way is only ever forward, and ends where it leads nowhere for long.
    """
    first = vain = 0
    while vain < _VAIN:
        vain += 1
        try:
            for found in connection.execute(f"SELECT {_COLUMNS} FROM Cache WHERE rowid >= ? ORDER BY rowid", (first,)):  # noqa: S608 - our own
                if found[0] >= first:
                    yield Row(*found)
                    first, vain = found[0] + 1, 0
            return
        except sqlite3.DatabaseError as error:
            reason = str(error)
        number = _next(connection, first)
        if number is not None:  # the row is found, and its value is not
            yield from _one(connection, number, reason)
            first = number + 1
            continue
        behind = _behind(connection, first)
        low = behind if behind is not None else _LAST
        for row in _backwards(connection, first, low):
            low = row.number
            yield row
        yield Gap(first, low - 1, reason)
        if behind is None:
            return
        first = behind
    yield Gap(first, _LAST, "its pages lead nowhere")


def _next(connection: sqlite3.Connection, first: int) -> int | None:
    """The number of the first row from there on; None: there is none, or it cannot be found."""
    with suppress(sqlite3.DatabaseError):
        found = connection.execute("SELECT rowid FROM Cache NOT INDEXED WHERE rowid >= ? ORDER BY rowid LIMIT 1", (first,)).fetchone()
        return int(found[0]) if found is not None and found[0] >= first else None
    return None


def _one(connection: sqlite3.Connection, number: int, reason: str) -> Iterator[Row | Gap]:
    with suppress(sqlite3.DatabaseError):
        found = connection.execute(f"SELECT {_COLUMNS} FROM Cache NOT INDEXED WHERE rowid = ?", (number,)).fetchone()  # noqa: S608 - our own
        if found is not None:
            yield Row(*found)
            return
    key = ""
    with suppress(sqlite3.DatabaseError):
        found = connection.execute("SELECT key FROM Cache NOT INDEXED WHERE rowid = ?", (number,)).fetchone()
        key = found[0] if found is not None and isinstance(found[0], str) else ""
    yield Gap(number, number, reason, key)


def _behind(connection: sqlite3.Connection, first: int) -> int | None:
    """The number of a row behind the damage, as near as doubling steps find one."""
    step = 1
    while first + step < _LAST:
        number = _next(connection, first + step)
        if number is not None:
            return number
        step *= 2
    return None


def _backwards(connection: sqlite3.Connection, first: int, low: int) -> Iterator[Row]:
    with suppress(sqlite3.DatabaseError):
        query = f"SELECT {_COLUMNS} FROM Cache NOT INDEXED WHERE rowid >= ? AND rowid < ? ORDER BY rowid DESC"  # noqa: S608 - our own
        for found in connection.execute(query, (first, low)):
            if not first <= found[0] < low:
                return
            low = found[0]
            yield Row(*found)


def keys_of_index(connection: sqlite3.Connection) -> Iterator[str]:
    """The keys that the index names, as far as it can be read from both ends."""
    seen_to = ""
    for order in ("ASC", "DESC"):
        with suppress(sqlite3.DatabaseError):
            for key, raw in connection.execute(f"SELECT key, raw FROM Cache INDEXED BY Cache_key_raw ORDER BY key {order}"):  # noqa: S608 - our own
                if raw != 1 or type(key) is not str:
                    continue
                if order == "DESC" and key <= seen_to:
                    return
                yield key
                if order == "ASC":
                    seen_to = max(seen_to, key)
            if order == "ASC":
                return
