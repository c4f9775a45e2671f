"""What the database says is not there, is not there: SQLite keeps no checksum of its index, by which every record is found.

A damaged entry of the index makes a record invisible, and a thread that seems new would be asked everything again. The damaged entry lies where the
record is looked for in vain, so the two entries around that place are compared with the rows that they point to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from hitl_nb.checkpoint.sealing import DamagedError, fetch, unseal

Execute = Callable[..., Any]
"""`execute` of a connection to the database."""

_PAGE: Final = 100
_ROW: Final = "SELECT mode, filename, value FROM Cache WHERE key = ? AND raw = 1"
_BEFORE: Final = (
    "SELECT i.key, i.raw, t.key, t.raw FROM (SELECT key, raw, rowid AS r FROM Cache INDEXED BY Cache_key_raw"
    " WHERE key < ?1 ORDER BY key DESC, raw DESC LIMIT 1) AS i LEFT JOIN Cache AS t ON t.rowid = i.r"
)
_FROM: Final = (
    "SELECT i.key, i.raw, t.key, t.raw, t.mode, t.filename, CASE WHEN i.key < ?3 THEN t.value END FROM (SELECT key, raw, rowid AS r FROM Cache"
    " INDEXED BY Cache_key_raw WHERE key {} ?1 ORDER BY key, raw LIMIT ?2) AS i LEFT JOIN Cache AS t ON t.rowid = i.r"
)
"""A value behind the range is not read, and it may be large."""


def find(execute: Execute, folder: Path, key: str, called: str) -> bytes | None:
    """The record that lies under a key in the store `called`, or None. Raises CorruptStoreError for one that is not what was written.

    Raises DamagedError for what hitl_nb does not write, and when it cannot be told.
    """
    row = execute(_ROW, (key,)).fetchone()
    if row is None and not is_missing(execute, key):  # written a moment ago
        row = execute(_ROW, (key,)).fetchone()
    return None if row is None else unseal(key, fetch(folder, *row), called, row[1])


def is_missing(execute: Execute, key: str) -> bool:
    """True: no record has this key. False: one has after all, written since it was looked for. Raises DamagedError when it cannot be told."""
    # First what comes behind: a record that is written between the two questions is then only missed, as it was when it was looked for.
    after = execute(_FROM.format(">="), (key, 1, key)).fetchone()
    if after is not None:
        _require_same(after)
        if after[:2] == (key, 1):
            return False
    before = execute(_BEFORE, (key,)).fetchone()
    if before is not None:
        _require_same(before)
    return True


def entries(execute: Execute, prefix: str) -> Iterator[tuple[str, Any, Any, Any]]:
    """The rows whose key starts with `prefix`, in order: key, mode, file name, value. Raises DamagedError where the index is damaged."""
    before = execute(_BEFORE, (prefix,)).fetchone()
    if before is not None:
        _require_same(before)
    last, sign, end = prefix, ">=", prefix[:-1] + chr(ord(prefix[-1]) + 1)
    while True:
        page = execute(_FROM.format(sign), (last, _PAGE, end)).fetchall()
        for row in page:
            _require_same(row)
            key = row[0]
            if row[1] != 1 or type(key) is not str:
                raise DamagedError(f"a key of type {type(key).__name__}, which hitl_nb does not write")
            if (key < last) if sign == ">=" else (key <= last):
                raise DamagedError(f"an index whose entry {key[:80]!r} stands in the wrong place")
            if not key.startswith(prefix):
                return
            yield key, *row[4:]
            last, sign = key, ">"
        if len(page) < _PAGE:
            return


def _require_same(row: tuple[Any, ...]) -> None:
    key, raw, there, raw_there = row[:4]
    if (key, raw) != (there, raw_there):
        raise DamagedError(f"an index whose entry {str(key)[:80]!r} leads to another record ({str(there)[:80]!r})")
