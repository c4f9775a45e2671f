"""Gives back space of a store: value files of no record, the free pages of its database. Others may use the store meanwhile."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hitl_nb.checkpoint.folder import FolderReader, require_store
from hitl_nb.checkpoint.holding import is_shared
from hitl_nb.checkpoint.sealing import COPYING, DATABASE, LOCKS, VALUE_FILE
from hitl_nb.checkpoint.trouble import store_error
from hitl_nb.checkpoint.upkeep.health import files
from hitl_nb.checkpoint.write_ahead import require_whole_log
from hitl_nb.errors import CorruptStoreError
from hitl_nb.plain.tracebacks import letting_go

_AGE_S: Final = 3600.0
"""Only value files that are older than this are removed. It is one guard more: while they are looked for nobody can write."""


@dataclass(frozen=True, slots=True)
class Freed:
    """What was given back."""

    folder: str
    before: int
    """Bytes on the disk, all files of the folder."""
    after: int
    value_files: int
    """Removed: they belonged to no record."""
    lock_files: int
    """Removed: nobody held them."""
    complete: bool = True
    """False: somebody read the database all the while, so that its write-ahead log could not be emptied."""


@letting_go
def vacuum(
    folder: str | os.PathLike[str], *, free_locks: Callable[[], int] = lambda: 0, timeout_s: float = 60.0, now: Callable[[], float] = time.time
) -> Freed:
    """Give back what no record needs. Raises CorruptStoreError when the database is damaged, and removes nothing; StoreError when it stays locked."""
    reader = FolderReader(folder, timeout_s=timeout_s)
    require_store(reader)
    reader.close()
    place = reader.folder
    require_whole_log(place)
    before = _bytes(place)
    try:
        with closing(sqlite3.connect(place / DATABASE, timeout=timeout_s, isolation_level=None)) as connection:
            removed = 0 if is_shared(place / LOCKS / COPYING) else _remove_orphans(connection, place, now() - _AGE_S)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("VACUUM")
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.Error as error:
        raise store_error("vacuum", place, error, timeout_s=timeout_s) from error
    locks = free_locks()
    return Freed(str(place), before, _bytes(place), removed, locks, complete=not busy)


def _remove_orphans(connection: sqlite3.Connection, folder: Path, oldest: float) -> int:
    """Under the lock of writers: a value file is written after its writer has it and before its record is, so none is on its way to a record."""
    told = [str(line) for (line,) in connection.execute("PRAGMA integrity_check(1)")]  # before, as it takes long
    if told != ["ok"]:  # a record that cannot be seen may need its file
        raise CorruptStoreError(
            f"the store {folder} is damaged ({told[0]}), and nothing was removed from it; hitl-nb store check says what is left of it"
        )
    removed = 0
    connection.execute("BEGIN IMMEDIATE")
    try:
        named = {str(name).replace("\\", "/") for (name,) in connection.execute("SELECT filename FROM Cache WHERE filename IS NOT NULL")}
        for path, _ in files(folder):
            name = path.relative_to(folder).as_posix()
            if VALUE_FILE.match(name) and name not in named:
                with suppress(OSError):
                    if path.stat().st_mtime < oldest:
                        path.unlink()
                        removed += 1
    finally:
        connection.execute("ROLLBACK")
    return removed


def _bytes(folder: Path) -> int:
    return sum(size for _, size in files(folder))
