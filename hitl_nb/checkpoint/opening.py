"""Opening a store's folder: whose it is, the settings of diskcache that keep what is in it, and the connections of its Python threads."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from threading import local
from typing import Any, Final, Literal

import diskcache

from hitl_nb.checkpoint.bytes_disk import BytesDisk
from hitl_nb.checkpoint.filesystem import Journal, concern, journal_for, mount_of
from hitl_nb.checkpoint.folder import identity, require_format, require_only_tables, was_used
from hitl_nb.checkpoint.holding import Hold, hold_within, share
from hitl_nb.checkpoint.reviewers import FILE_NAMES
from hitl_nb.checkpoint.rows import Rows
from hitl_nb.checkpoint.sealing import (
    DATABASE,
    FILE_MIN,
    FIRST_FORMAT,
    FORMAT_KEY,
    GONE_PREFIX,
    LOCKS,
    PAGE,
    READABLE,
    SETTINGS,
    USERS,
    DamagedError,
    unseal,
)
from hitl_nb.checkpoint.serde import pack
from hitl_nb.checkpoint.trouble import store_error
from hitl_nb.checkpoint.using import use_of
from hitl_nb.checkpoint.write_ahead import require_whole_log
from hitl_nb.errors import CorruptStoreError, HitlError, StoreError

Durability = Literal["normal", "full"]

_MIB: Final = 1 << 20
OPENING: Final = "open.lock"
"""The lock file of whoever opens the store."""
_SETTINGS: Final[dict[str, Any]] = {
    "eviction_policy": "none",
    "cull_limit": 0,
    "size_limit": 1 << 62,
    "statistics": 0,
    "tag_index": 0,
    "disk_min_file_size": FILE_MIN,
    # 2 MiB, as SQLite has it by itself: a long run takes no more memory than a short one. The rest lies in the cache of the system.
    "sqlite_cache_size": 2 * _MIB // PAGE,
    # A database file that is cut short, read through a memory map, kills the process (SIGBUS); through read() it is an error.
    "sqlite_mmap_size": 0,
}
_SYNC: Final = {("wal", "normal"): 1, ("wal", "full"): 2, ("delete", "normal"): 2, ("delete", "full"): 3}
"""SQLite's `synchronous`. With a rollback journal one step more for each: at 1 a power cut could damage the database, and at 2 bring back what the
last commit replaced, as its journal is deleted and that alone is not on the disk yet (3, EXTRA)."""


class _Cache(diskcache.Cache):  # type: ignore[misc]
    def drop_tag_index(self) -> None:
        """There is none. diskcache makes sure while it sets no timeout, and repeats what finds the store locked, but for this one statement."""
        self._sql_retry("DROP INDEX IF EXISTS Cache_tag_rowid")
        self.reset("tag_index", 0)


@dataclass(frozen=True, slots=True)
class Opened:
    cache: diskcache.Cache
    file: tuple[int, int]
    """Which file the database is. SQLite goes on writing into one that was deleted, and what it is told then is lost."""
    used: Hold | None
    """Says to others that somebody has the store open."""
    here: local = field(default_factory=local)
    """`rows` in each Python thread whose connection is set up."""


def open_store(folder: Path, called: str, wish: Journal | None, *, timeout_s: float) -> Opened:
    """Open the folder, and make a store of it when it is new or empty. `wish`: the journal that the caller wants. Raises StoreError."""
    try:
        (folder / LOCKS).mkdir(parents=True, exist_ok=True)
        # Not with filelock: a Ctrl-C that comes in it can leave a lock of its own held, and with it every later use of it in this process.
        held = hold_within(folder / LOCKS / OPENING, timeout_s)
        try:
            stored = _check_ours(folder, called, timeout_s)
            journal = journal_for(folder, stored, wish)
            if stored is None:
                _begin_database(folder / DATABASE, timeout_s)
            settings = _SETTINGS | {"sqlite_journal_mode": journal}
            cache = _Cache(str(folder), timeout=timeout_s, disk=BytesDisk, **settings)
            wrong = {name: value for name in settings if (value := cache.reset(name)) != settings[name]}
            ((actual,),) = cache._sql("PRAGMA journal_mode").fetchall()
            if wrong or actual != journal:
                wrong.setdefault("sqlite_journal_mode", actual)
                raise StoreError(f"the store {folder} does not keep its settings: it answers {wrong}; is another program writing to it?")
            rows = Rows(cache._con, folder, called, durable=True)
            try:
                if rows.read(FORMAT_KEY) is None:
                    rows.begin()
                    rows.add(FORMAT_KEY, pack([FIRST_FORMAT]))
                    rows.commit()
                rows.remove_gone(key.removeprefix(GONE_PREFIX) for key, *_ in rows.scan(GONE_PREFIX))
                rows.remove_left()
            except BaseException:
                cache.close()  # and with it the transaction, which a traceback that somebody keeps would hold open
                raise
            used = share(folder / LOCKS / USERS)
        finally:
            held.release()
    except HitlError:
        raise
    except (sqlite3.Error, diskcache.Timeout, DamagedError, OSError) as error:
        failure = store_error(
            "open", folder, error, timeout_s=timeout_s, locked=isinstance(error, TimeoutError), damaged=isinstance(error, DamagedError)
        )
        worry = concern(folder, mount_of(folder), "wal")
        if worry:
            failure.add_note(worry)
        raise failure from error
    return Opened(cache, identity(folder / DATABASE), used)


def rows_of(opened: Opened, folder: Path, called: str, durability: Durability) -> Rows:
    """What this Python thread reads and writes by, its connection set up. Raises sqlite3.Error."""
    opened.cache._con.execute(f"PRAGMA wal_autocheckpoint = {4 * _MIB // PAGE}")
    opened.cache._con.execute(f"PRAGMA journal_size_limit = {8 * _MIB}")  # one that a vacuum or a long reader let grow gives its space back
    # Not the journal that it had when it was opened: it may be changed while this process has no connection, as its Python threads have ended.
    ((now,),) = opened.cache._con.execute("PRAGMA journal_mode").fetchall()
    journal: Journal = "wal" if now == "wal" else "delete"
    # diskcache sets a new connection up by what the file says, where another opener may have left its own wish.
    opened.cache.reset("sqlite_synchronous", _SYNC[journal, durability], update=False)
    use = use_of(opened.cache._con, opened.cache._local)
    return Rows(opened.cache._con, folder, called, durable=durability == "full", log=journal == "wal", use=use)


def _begin_database(database: Path, timeout_s: float) -> None:
    """Give a new database its size of pages, before diskcache makes the tables; one that has content keeps its own.

    A commit writes whole pages, one or two for each of its records: of 1 KiB they are a third of the bytes that they are of 4 KiB, at the same speed.
    """
    with closing(sqlite3.connect(database, timeout=timeout_s)) as connection:
        connection.execute(f"PRAGMA page_size = {PAGE}")
        connection.execute("PRAGMA user_version = 0")  # writes the first page


def _check_ours(folder: Path, called: str, timeout_s: float) -> Journal | None:
    """Look before touching: a folder of somebody else's, or of a newer version, is left exactly as it is. The journal of a store."""
    database = folder / DATABASE
    if not database.exists():
        others = sorted(p.name for p in folder.iterdir() if p.name not in ("locks", *FILE_NAMES) and not p.name.startswith("."))
        if any(name.startswith("cache.db-") or re.fullmatch("[0-9a-f]{2}", name) for name in others):
            raise CorruptStoreError(
                f"{folder} holds what is left of a store: its database cache.db is gone. Put it back, restore the folder from a backup, or "
                f"name a new folder"
            )
        if others:
            raise StoreError(f"{folder} holds other files ({', '.join(others[:3])}) and is no store; name a new or an empty folder")
        return None
    require_whole_log(folder)
    with closing(sqlite3.connect(database, timeout=timeout_s)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not tables <= {"Cache", "Settings"}:
            raise StoreError(f"{database} is another program's database; name a new or an empty folder")
        if "Settings" in tables:
            strange = [str(name)[:80] for (name,) in connection.execute("SELECT key FROM Settings") if name not in SETTINGS]
            if strange:  # diskcache would set them as its own attributes and as pragmas
                raise CorruptStoreError(f"the store {folder} was altered: its {DATABASE} holds the settings {strange}. {READABLE}")
        if "Cache" not in tables:
            if was_used(folder):
                raise CorruptStoreError(f"{called} lost its content: its database {DATABASE} is empty. {READABLE}")
            return None
        require_only_tables(connection.execute, called)
        row = connection.execute("SELECT value FROM Cache WHERE key = ? AND raw = 1", (FORMAT_KEY,)).fetchone()
        if row is None:
            if connection.execute("SELECT 1 FROM Cache NOT INDEXED WHERE key = ? LIMIT 1", (FORMAT_KEY,)).fetchone():
                raise CorruptStoreError(f"{called} was altered: the index of its database {DATABASE} is damaged. {READABLE}")
            if connection.execute("SELECT 1 FROM Cache LIMIT 1").fetchone():
                raise StoreError(f"{folder} is a diskcache of another program; name a new or an empty folder")
            return None
        ((journal,),) = connection.execute("PRAGMA journal_mode")
    require_format(unseal(FORMAT_KEY, row[0] if isinstance(row[0], bytes) else b"", called), called)
    return "wal" if journal == "wal" else "delete"
