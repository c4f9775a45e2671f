"""The records of a store as rows of diskcache's table, read and written by statements of its own over one connection.

`diskcache.Cache` makes the tables, keeps the settings and opens the connections. A record costs one statement here, where diskcache looks first,
opens a transaction of its own inside the one that is open, and keeps statistics. The rows are those that it writes: a plain Cache with `BytesDisk`
reads every record, and its triggers count rows and bytes as ever.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from hitl_nb.checkpoint import leftovers, value_files
from hitl_nb.checkpoint.holding import is_shared
from hitl_nb.checkpoint.index import entries, find
from hitl_nb.checkpoint.sealing import COPYING, FILE_MIN, GONE_PREFIX, IN_FILE, INLINE, LOCKS, SEAL, DamagedError, seal, value_path
from hitl_nb.errors import StoreError

_ADD: Final = (
    "INSERT INTO Cache (key, raw, store_time, expire_time, access_time, access_count, tag, size, mode, filename, value)"
    " VALUES (?, 1, ?, NULL, ?, 0, NULL, ?, ?, ?, ?)"
)
_MOVE: Final = "UPDATE Cache SET store_time = ?, access_time = ?, value = ? WHERE key = ? AND raw = 1 AND mode = 1 AND filename IS NULL"
"""Sets no column of an index: that would write the index anew."""
_SWAP: Final = f"{_MOVE} AND value = ?"
_FILE: Final = "SELECT filename FROM Cache WHERE key = ? AND raw = 1"
_REMOVE: Final = "DELETE FROM Cache WHERE key = ? AND raw = 1"


class Rows:
    """What one Python thread has open of a store's database. Not for other threads, nor for a process that was forked off."""

    __slots__ = (
        "_called", "_connection", "_defers", "_durable", "_execute", "_folder", "_gone", "_lazily", "_pid", "_use", "_written", "inside", "number"
    )  # fmt: skip

    def __init__(self, connection: sqlite3.Connection, folder: Path, called: str, *, durable: bool, log: bool = False, use: object = None) -> None:
        self._use = use
        """What closes the connection when nobody refers to it any more."""
        self._connection = connection
        self._execute = connection.execute
        self._folder = folder
        self._called = called
        self._durable = durable
        self._defers = durable and log
        """Only in a write-ahead log: what is flushed there takes all before it along."""
        self._lazily = False
        """True while the connection does not wait for the disk."""
        self._pid = os.getpid()
        self._written: list[str] = []
        """The value files that the transaction has written."""
        self._gone: list[str] = []
        """The value files whose records it has removed."""
        self.inside = False
        """True in a transaction."""
        self.number = 0
        """Of the latest transaction."""

    # -- reading -----------------------------------------------------------------------------------------------------------------

    def read(self, key: str) -> bytes | None:
        """The record, or None. Raises DamagedError, CorruptStoreError."""
        return find(self._execute, self._folder, key, self._called)

    def scan(self, prefix: str) -> Iterator[tuple[str, Any, Any, Any]]:
        """The rows whose key starts with `prefix`, in order: key, mode, file name, value."""
        return entries(self._execute, prefix)

    # -- a transaction -----------------------------------------------------------------------------------------------------------

    def begin(self, *, lazily: bool = False) -> None:
        """`lazily`: the commit need not wait for the disk, as the next one that does takes it along."""
        if self.inside:
            raise RuntimeError("a transaction began inside another one")
        self.number += 1
        self._written, self._gone = [], []
        if lazily and self._defers:
            self._lazily = True
            self._execute("PRAGMA synchronous = NORMAL")
        self._execute("BEGIN IMMEDIATE")
        self.inside = True

    def commit(self) -> None:
        """Raises sqlite3.Error; whether the transaction counts is not certain then."""
        if not self.is_own:
            raise StoreError(f"this process was forked off inside a transaction of {self._called}, which only its parent can end")
        self._execute("COMMIT")
        self.inside = False
        self._wait_again()

    def note_gone(self) -> None:
        """As the last thing in a transaction: say which files its records leave behind, so that a process that is killed now leaves none for good."""
        for name in self._gone:
            self.add(GONE_PREFIX + name, b"")

    def roll_back(self, *, certain: bool) -> bool:
        """End the transaction with nothing. `certain`: it cannot have been committed, so its files go too. True: the connection can be used again."""
        self.inside = False
        if not self.is_own:
            return False
        if certain:
            for name in self._written:
                with suppress(OSError):
                    self._unlink(name)
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._execute("ROLLBACK")
            self._wait_again()
            return True
        return False

    def _wait_again(self) -> None:
        if self._lazily:
            self._execute("PRAGMA synchronous = FULL")
            self._lazily = False

    def remove_gone(self, names: Iterable[str] | None = None) -> None:
        """After a transaction: remove the files whose records are gone. Where that fails, or a backup has yet to copy them, an opening does it."""
        names = self._gone if names is None else names
        if not names or is_shared(self._folder / LOCKS / COPYING):
            return
        try:
            removed = []
            for name in names:
                with suppress(OSError):
                    self._unlink(name)
                    removed.append(name)
            if removed:
                self.begin()
                for name in removed:
                    self.remove(GONE_PREFIX + name)
                self.commit()
        except (sqlite3.Error, DamagedError):
            pass  # nothing is lost: whoever opens the store next tries again
        finally:
            self.roll_back(certain=False)  # what failed, or a Ctrl-C cut off; else there is nothing to roll back

    def remove_left(self) -> None:
        """Remove the value files that a killed writer left. Where that fails, whoever comes next does it."""
        try:
            if leftovers.are_left(self._folder, self._execute):
                self.begin()
                leftovers.remove(self._folder, self._execute)
                self.commit()
        except (sqlite3.Error, OSError):
            pass
        finally:
            self.roll_back(certain=False)

    # -- writing: only in a transaction --------------------------------------------------------------------------------------------

    def add(self, key: str, record: bytes, digest: bytes = b"") -> bytes:
        """Write a record that nobody has written before; the digest of one in a file, which may be given. Raises StoreError when somebody has."""
        now = time.time()
        if SEAL + len(record) < FILE_MIN:
            row: tuple[Any, ...] = (key, now, now, 0, INLINE, None, seal(key, record) + record)
        else:
            if not self._written:
                leftovers.remove(self._folder, self._execute)
            name, digest = value_files.write(self._folder, key, record, digest, durable=self._durable, written=self._written)
            row = (key, now, now, SEAL + len(record), IN_FILE, name, None)
        self._require_begun()
        try:
            self._execute(_ADD, row)
        except sqlite3.IntegrityError:
            raise StoreError(f"record {key!r} is in {self._folder} already; what is stored is not overwritten, so nothing was written") from None
        return digest

    def move(self, key: str, record: bytes) -> None:
        """Write a record that is overwritten later, or overwrite it."""
        sealed, now = seal(key, record) + record, time.time()
        if len(sealed) >= FILE_MIN:
            # It would lie in a file, and an overwritten file cannot be rolled back.
            raise StoreError(f"record {key!r} has {len(record)} bytes; one that is overwritten later has to stay below {FILE_MIN - SEAL}")
        self._require_begun()
        if self._execute(_MOVE, (now, now, sealed, key)).rowcount:
            return
        try:
            self._execute(_ADD, (key, now, now, 0, INLINE, None, sealed))
        except sqlite3.IntegrityError:
            raise DamagedError(f"record {key!r} in a form that hitl_nb does not write") from None

    def swap(self, key: str, before: bytes, after: bytes) -> bool:
        """Overwrite a record that is exactly `before`; False, and nothing written, when it is anything else."""
        self._require_begun()
        now = time.time()
        was, sealed = seal(key, before) + before, seal(key, after) + after
        return bool(self._execute(_SWAP, (now, now, sealed, key, was)).rowcount)

    def remove(self, key: str) -> None:
        """Remove a record if there is one; its file goes when the transaction is through."""
        self._require_begun()
        row = self._execute(_FILE, (key,)).fetchone()
        if row is not None:
            self._execute(_REMOVE, (key,))
            if row[0] is not None:
                value_path(self._folder, row[0])
                self._gone.append(row[0])

    @property
    def is_own(self) -> bool:
        """False in a process that was forked off."""
        return os.getpid() == self._pid

    def _require_begun(self) -> None:
        if not self.inside:
            raise RuntimeError("a record was written outside a transaction")

    def _unlink(self, name: str) -> None:
        # The folders stay: removing an empty one could hit a writer that has just made it.
        value_path(self._folder, name).unlink(missing_ok=True)
