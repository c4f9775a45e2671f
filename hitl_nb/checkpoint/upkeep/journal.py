"""Gives a store another journal, for when it moves to a file system that needs, or allows, another one. The only place that changes it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import get_args

from hitl_nb.checkpoint.filesystem import Journal, mount_of, require_locks, require_shared_memory
from hitl_nb.checkpoint.folder import journal_of
from hitl_nb.checkpoint.holding import hold_within
from hitl_nb.checkpoint.sealing import DATABASE, LOCKS
from hitl_nb.checkpoint.trouble import store_error
from hitl_nb.checkpoint.write_ahead import require_whole_log
from hitl_nb.errors import StoreError
from hitl_nb.plain.tracebacks import letting_go


@letting_go
def change_journal(folder: str | os.PathLike[str], journal: Journal, *, timeout_s: float = 5.0) -> bool:
    """Whether the store had another journal, and has this one now. What is stored stays as it is.

    Raises StoreError, and changes nothing, where there is no store, when somebody has it open, and where its file system does not do what the
    journal needs.
    """
    if journal not in get_args(Journal):
        raise ValueError(f"journal is {journal!r}; expected 'wal' or 'delete'")
    place = Path(folder).expanduser().absolute()
    database = place / DATABASE
    if not database.is_file():
        raise StoreError(f"there is no store in {place}; name the folder that DiskCacheSaver was given")
    try:
        (place / LOCKS).mkdir(exist_ok=True)
        held = hold_within(place / LOCKS / "open.lock", timeout_s)  # nobody opens the store meanwhile
        try:
            if journal_of(database) == journal:
                return False
            mount = mount_of(place)
            if mount.is_network:
                require_locks(place, mount)
                if journal == "wal":
                    require_shared_memory(place, mount)
            require_whole_log(place)
            _change(database, journal, timeout_s)
        finally:
            held.release()
    except (sqlite3.Error, OSError) as error:
        if isinstance(error, StoreError):
            raise
        if isinstance(error, TimeoutError) or "locked" in str(error):
            raise StoreError(f"somebody has the store {place} open, so its journal was not changed; end what uses it, then call again") from error
        raise store_error("change the journal of", place, error, timeout_s=timeout_s) from error
    return True


def _change(database: Path, journal: Journal, timeout_s: float) -> None:
    with closing(sqlite3.connect(database, timeout=timeout_s, isolation_level=None)) as connection:
        # Exclusive before the first look: so a write-ahead log is read without memory that is shared, which may be what the file system lacks, and
        # nobody comes in between what SQLite says and what diskcache says.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA synchronous = EXTRA")
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("COMMIT")
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables != {"Cache", "Settings"}:
            raise StoreError(f"{database} is another program's database, and was left as it is; name the folder of a store")
        if journal == "wal":
            _note(connection, journal)
        ((now,),) = connection.execute(f"PRAGMA journal_mode = {journal}").fetchall()
        if now != journal:
            raise StoreError(f"the database {database} keeps its journal {now!r}: the file system does not allow {journal!r}; nothing was changed")
        if journal == "delete":
            _note(connection, journal)
            with suppress(OSError):  # of a process that was killed; it would say that somebody has a write-ahead log open
                database.with_name(f"{DATABASE}-shm").unlink()


def _note(connection: sqlite3.Connection, journal: Journal) -> None:
    connection.execute("UPDATE Settings SET value = ? WHERE key = 'sqlite_journal_mode'", (journal,))
