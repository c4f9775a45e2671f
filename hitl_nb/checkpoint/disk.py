"""A checkpointer in a folder: one `diskcache.Cache`, set up so that nothing in it is ever evicted, unpickled or half written.

What diskcache leaves open is closed here: eviction is off, and checked at each open; keys are text and values bytes, any other stored form is refused
and never unpickled; every record is sealed with a digest over its key and content; a record is written once, except the few small ones that move
(`h/`, `!o/`, `d!head`, `!format`), which never lie in files, and removed only with its thread; a failed transaction reports its real cause and
leaves nothing behind.

Keep the folder on a local disk. On a network file system (NFS, SMB) SQLite's write-ahead log is not safe: see `hitl_nb.checkpoint.filesystem`.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from pathlib import Path
from threading import local
from typing import Any, Final, Literal

import diskcache
from filelock import FileLock
from filelock import Timeout as LockTimeout

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.bytes_disk import BytesDisk, DurableDisk
from hitl_nb.checkpoint.filesystem import Journal, checked_wish, concern, journal_for, mount_of
from hitl_nb.checkpoint.folder import FolderReader, identity, is_writable, was_used
from hitl_nb.checkpoint.holding import holder, sign
from hitl_nb.checkpoint.index import entries, is_missing
from hitl_nb.checkpoint.keys import OPEN_PREFIX
from hitl_nb.checkpoint.reviewers import FILE_NAMES, Given
from hitl_nb.checkpoint.sealing import (
    DATABASE,
    FIRST_FORMAT,
    FORMAT_KEY,
    FORMAT_VERSION,
    GONE_PREFIX,
    LOCKS,
    SEAL,
    SETTINGS,
    DamagedError,
    fetch,
    seal,
    unseal,
)
from hitl_nb.checkpoint.serde import pack, unpack
from hitl_nb.checkpoint.trouble import store_error
from hitl_nb.errors import CorruptStoreError, HitlError, StoreError, StoreVersionError, ThreadBusyError

Durability = Literal["normal", "full"]

FILE_MIN: Final = 128 * 1024
"""Bytes from which a record lies in a file of its own instead of in the database."""
_MOVING: Final = re.compile(r"h/|!o/|d!head\Z")
"""Keys of the records that are overwritten; all others are written once."""
_ERASABLE: Final = re.compile(r"[cvpqkh]/")
"""Keys of the records that go with their thread. Decisions (`a/`, `i/`) and their log (`d/`) never do."""
_SETTINGS: Final[dict[str, Any]] = {
    "eviction_policy": "none",
    "cull_limit": 0,
    "size_limit": 1 << 62,
    "statistics": 0,
    "tag_index": 0,
    "disk_min_file_size": FILE_MIN,
    # A database file that is cut short, read through a memory map, kills the process (SIGBUS); through read() it is an error.
    "sqlite_mmap_size": 0,
}
_SYNC: Final = {("wal", "normal"): 1, ("wal", "full"): 2, ("delete", "normal"): 2, ("delete", "full"): 3}
"""SQLite's `synchronous`. With a rollback journal one step more for each: at 1 a power cut could damage the database, and at 2 bring back what the
last commit replaced, as its journal is deleted and that alone is not on the disk yet (3, EXTRA)."""


@dataclass(frozen=True, slots=True)
class _Opened:
    cache: diskcache.Cache
    file: tuple[int, int]
    """Which file the database is. SQLite goes on writing into one that was deleted, and what it is told then is lost."""
    journal: Journal
    ready: local = field(default_factory=local)
    """`yes` in each Python thread whose connection is set up."""


class DiskCacheSaver(Checkpointer):
    """Keeps threads in a folder, for ever and for every process that opens it.

    `folder` is made when it does not exist. `durability`: "normal" survives a killed process; "full" also a power cut, at the price of waiting for
    the disk at each commit. `reviewers`: who may answer, as a mapping or the path of a file, if no `reviewers.yaml` lies in the folder: that one
    every opener obeys, see docs/reviewers.md. `timeout_s`: seconds to wait for another process's write before a StoreError. `journal`: what a new
    store gets, "wal" or "delete", and what one that is there must have; left out, the one it has, or on a network file system "delete", see
    docs/store.md.
    Opened at first use; usable from many threads and processes, also after a fork; pickles as its folder and options.

    >>> import tempfile
    >>> saver = DiskCacheSaver(tempfile.mkdtemp())
    >>> saver.open_questions()
    []
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] = "reviews",
        *,
        durability: Durability = "normal",
        types: Iterable[type] = (),
        reviewers: Given | None = None,
        timeout_s: float = 60.0,
        journal: Journal | None = None,
    ) -> None:
        if durability not in ("normal", "full"):
            raise ValueError(f"durability is {durability!r}; expected 'normal' or 'full'")
        self._types = tuple(types)
        self.folder = Path(folder).expanduser().absolute()
        super().__init__(types=self._types, reviewers=reviewers, folder=self.folder)
        self._given_reviewers = reviewers
        self.called = f"the store {self.folder}"
        self._database = self.folder / DATABASE
        self.durability: Durability = durability
        self.journal = checked_wish(journal)
        self.timeout_s = timeout_s
        self._opened: dict[int, _Opened] = {}
        """By process id: an SQLite connection must not be used, nor closed, on the other side of a fork."""
        self._views: dict[int, FolderReader] = {}
        """By process id: what reads a folder that cannot be written to."""

    def __repr__(self) -> str:
        return f"DiskCacheSaver({str(self.folder)!r}, durability={self.durability!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        make = partial(
            DiskCacheSaver, durability=self.durability, types=self._types, reviewers=self._given_reviewers, timeout_s=self.timeout_s,
            journal=self.journal,
        )  # fmt: skip
        return (make, (str(self.folder),))

    # -- records -----------------------------------------------------------------------------------------------------------------

    def _read(self, key: str) -> bytes | None:
        view = self._view()
        if view is not None:
            return view._read(key)
        try:
            cache = self._cache()
            for _ in range(3):
                sealed = cache.get(key)
                if sealed is not None:
                    return unseal(key, sealed, self.called)
                if is_missing(cache._sql, key):
                    return None
            raise DamagedError("it is there and counts as expired")
        except UnicodeEncodeError:  # half a surrogate pair in an id that somebody made up: no record is called so
            return None
        except DamagedError as error:
            raise CorruptStoreError(f"record {key!r} of {self.called} is damaged: {error}; restore the folder from a backup") from error
        except (sqlite3.Error, diskcache.Timeout) as error:
            raise self._failed("read", error) from error

    def _put(self, key: str, record: bytes) -> None:
        sealed = seal(key, record) + record
        if not _MOVING.match(key):
            if not self._cache().add(key, sealed):
                raise StoreError(f"record {key!r} is in {self.folder} already; what is stored is not overwritten, so nothing was written")
            return
        if len(sealed) >= FILE_MIN:
            # It would lie in a file, and an overwritten file cannot be rolled back.
            raise StoreError(f"record {key!r} has {len(record)} bytes; one that is overwritten later has to stay below {FILE_MIN - SEAL}")
        self._cache().set(key, sealed)

    def _delete(self, key: str) -> None:
        if not key.startswith(OPEN_PREFIX):
            raise StoreError(f"record {key!r} is kept for ever; only records {OPEN_PREFIX}… are deleted")
        self._cache().delete(key)

    def _erase(self, key: str) -> None:
        if not _ERASABLE.match(key):
            raise StoreError(f"record {key!r} is kept for ever, whatever becomes of its thread")
        self._cache().delete(key)

    def _require_format(self, version: int) -> None:
        if unpack(self._read(FORMAT_KEY) or pack([FIRST_FORMAT]))[0] < version:
            record = pack([version])
            self._cache().set(FORMAT_KEY, seal(FORMAT_KEY, record) + record)

    def _scan(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        view = self._view()
        if view is not None:
            yield from view._scan(prefix)
            return
        try:
            for key, *row in entries(self._cache()._sql, prefix):
                yield key, unseal(key, fetch(self.folder, *row), self.called)
        except DamagedError as error:
            raise CorruptStoreError(f"{self.called} was altered: it holds {error}; restore the folder from a backup") from error
        except (sqlite3.Error, diskcache.Timeout) as error:
            raise self._failed("read", error) from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        cache = self._cache()
        written: list[str] = []
        gone: list[str] = []
        cache.disk.written.gone = gone
        cache.disk.written.names = written  # also says that this Python thread is inside a transaction
        ended = False
        try:
            with cache.transact():
                yield
                for name in gone:  # so that a process that is killed before it has removed them leaves none for good
                    self._put(GONE_PREFIX + name, b"")
                ended = True
        except BaseException as error:
            if not ended:  # rolled back, so nothing refers to the files; after a failed commit that is not certain
                for name in written:
                    with suppress(OSError):
                        cache.disk.unlink(name)
            if isinstance(error, HitlError):
                raise
            # After a failed COMMIT the connection still holds its transaction, and the next one would write into it; after a Ctrl-C inside BEGIN the
            # cache may not even know that it has one.
            self._disconnect(forget=not isinstance(error, Exception))
            if isinstance(error, (sqlite3.Error, diskcache.Timeout, OSError, DamagedError)):
                raise self._failed("write to", error) from error
            raise
        finally:
            cache.disk.written.names = None
        if gone:
            self._remove_files(cache, gone)

    def _remove_files(self, cache: diskcache.Cache, names: Iterable[str]) -> None:
        """Remove the value files of records that are gone. One that cannot be removed now (Windows, while it is read) is at a later opening."""
        with suppress(sqlite3.Error, diskcache.Timeout, DamagedError):  # nothing is lost: whoever opens the store next tries again
            removed = []
            for name in names:
                with suppress(OSError):
                    cache.disk.unlink(name)
                    removed.append(name)
            with cache.transact():
                for name in removed:
                    cache.delete(GONE_PREFIX + name)

    def _failed(self, doing: str, error: BaseException) -> StoreError:
        """The error to raise, told from its real cause: diskcache covers it with 'cannot rollback' or an empty Timeout."""
        cause = error
        while cause.__context__ is not None and isinstance(cause, (sqlite3.Error, diskcache.Timeout)):
            cause = cause.__context__
        locked, damaged = isinstance(cause, LockTimeout), isinstance(cause, DamagedError)
        return store_error(doing, self.folder, cause, timeout_s=self.timeout_s, locked=locked, damaged=damaged)

    # -- who runs a thread -------------------------------------------------------------------------------------------------------

    @contextmanager
    def guard(self, thread_id: str) -> Iterator[None]:
        if self._view() is not None and self._is_finished(thread_id):  # it can be looked at, and there is nothing to run or to write
            yield
            return
        self._cache()
        path = self.folder / LOCKS / f"{blake2b(thread_id.encode(), digest_size=16).hexdigest()}.lock"
        # A lock object of its own each time: one that is shared (singleton) or used again would let its owner in twice.
        lock = FileLock(path, blocking=False, thread_local=False, is_singleton=False)
        try:
            try:
                lock.acquire()
            except LockTimeout:
                raise ThreadBusyError(
                    f"thread {thread_id!r} is being run by {holder(path)}; wait until that run ends, then call again", thread_id=thread_id
                ) from None
            except OSError as error:
                raise self._failed(f"lock thread {thread_id!r} in", error) from error
            with suppress(OSError):  # only for the message above
                sign(path)
            yield
        finally:
            lock.release()

    def _is_finished(self, thread_id: str) -> bool:
        head = self.head(thread_id)
        return head is not None and not self.checkpoint(thread_id, head.seq).tasks

    def free_locks(self) -> int:
        """Remove the lock files that nobody holds; how many. Each is removed while it is held, and who gets it after that sees that it is gone."""
        freed = 0
        for path in (self.folder / LOCKS).glob("*.lock"):
            lock = FileLock(path, blocking=False, thread_local=False, is_singleton=False)
            with suppress(LockTimeout, OSError), lock:
                if path.name != "open.lock":
                    path.unlink()  # on Windows an error, as it is open: it stays
                    freed += 1
        return freed

    # -- opening -----------------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        self._disconnect(forget=True)
        view = self._views.pop(os.getpid(), None)
        if view is not None:
            view.close()

    def _disconnect(self, *, forget: bool) -> None:
        """Close this Python thread's connection; `forget`: open the folder anew at the next use."""
        opened = self._opened.get(os.getpid())
        if opened is not None:
            opened.cache.close()
            opened.ready.__dict__.clear()
            if forget:
                self._opened.pop(os.getpid(), None)

    def _view(self) -> FolderReader | None:
        """What reads the folder when it can be read and not written to. Looked at anew each time, as permissions come and go."""
        pid = os.getpid()
        if pid in self._opened or not self._database.exists() or _is_writable(self.folder):
            return None
        return self._views.setdefault(pid, FolderReader(self.folder, types=self._types, timeout_s=self.timeout_s))

    def _cache(self) -> diskcache.Cache:
        """The cache of this process, its connection of this Python thread set up."""
        pid = os.getpid()
        opened = self._opened.get(pid)
        if opened is None:
            if self._view() is not None:
                raise StoreError(f"{self.called} can be read here and not be written to; nothing was written. Check its owner and permissions")
            # Without a lock, which a fork could copy while it is held: of two threads that open at once, one wins.
            opened = self._opened.setdefault(pid, self._open())
        if identity(self._database) != opened.file:
            if getattr(opened.cache.disk.written, "names", None) is None:  # else the transaction has to be rolled back first
                self._disconnect(forget=True)
            raise StoreError(
                f"the store {self.folder} was deleted or replaced while it was open here; nothing was read or written. Put it back, or call again to "
                f"go on with what is there now"
            )
        if not hasattr(opened.ready, "yes"):
            try:
                # diskcache sets a new connection up by what the file says, where another opener may have left its own wish.
                opened.cache.reset("sqlite_synchronous", _SYNC[opened.journal, self.durability], update=False)
            except sqlite3.Error as error:
                raise self._failed("open", error) from error
            opened.ready.yes = True
        return opened.cache

    def _open(self) -> _Opened:
        try:
            (self.folder / LOCKS).mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / LOCKS / "open.lock", timeout=self.timeout_s, thread_local=False):
                journal = journal_for(self.folder, self._check_ours(), self.journal)
                disk = DurableDisk if self.durability == "full" else BytesDisk
                settings = _SETTINGS | {"sqlite_journal_mode": journal}
                cache = diskcache.Cache(str(self.folder), timeout=self.timeout_s, disk=disk, **settings)
                wrong = {name: value for name in settings if (value := cache.reset(name)) != settings[name]}
                ((actual,),) = cache._sql("PRAGMA journal_mode").fetchall()
                if wrong or actual != journal:
                    wrong.setdefault("sqlite_journal_mode", actual)
                    raise StoreError(f"the store {self.folder} does not keep its settings: it answers {wrong}; is another program writing to it?")
                record = pack([FIRST_FORMAT])
                cache.add(FORMAT_KEY, seal(FORMAT_KEY, record) + record)
                self._remove_files(cache, (key.removeprefix(GONE_PREFIX) for key, *_ in entries(cache._sql, GONE_PREFIX)))
        except HitlError:
            raise
        except (sqlite3.Error, diskcache.Timeout, OSError) as error:
            failure = self._failed("open", error)
            worry = concern(self.folder, mount_of(self.folder), "wal")
            if worry:
                failure.add_note(worry)
            raise failure from error
        return _Opened(cache, identity(self._database), journal)

    def _check_ours(self) -> Journal | None:
        """Look before touching: a folder of somebody else's, or of a newer version, is left exactly as it is. The journal of a store."""
        database = self._database
        if not database.exists():
            others = sorted(p.name for p in self.folder.iterdir() if p.name not in ("locks", *FILE_NAMES) and not p.name.startswith("."))
            if any(name.startswith("cache.db-") or re.fullmatch("[0-9a-f]{2}", name) for name in others):
                raise CorruptStoreError(
                    f"{self.folder} holds what is left of a store: its database cache.db is gone. Put it back, restore the folder from a backup, or "
                    f"name a new folder"
                )
            if others:
                raise StoreError(f"{self.folder} holds other files ({', '.join(others[:3])}) and is no store; name a new or an empty folder")
            return None
        with closing(sqlite3.connect(database, timeout=self.timeout_s)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not tables <= {"Cache", "Settings"}:
                raise StoreError(f"{database} is another program's database; name a new or an empty folder")
            if "Settings" in tables:
                strange = [str(name)[:80] for (name,) in connection.execute("SELECT key FROM Settings") if name not in SETTINGS]
                if strange:  # diskcache would set them as its own attributes and as pragmas
                    raise CorruptStoreError(f"the store {self.folder} was altered: it holds the settings {strange}; restore the folder from a backup")
            if "Cache" not in tables:
                if was_used(self.folder):
                    raise CorruptStoreError(f"{self.called} lost its content: its database {DATABASE} is empty; restore the folder from a backup")
                return None
            row = connection.execute("SELECT value FROM Cache WHERE key = ? AND raw = 1", (FORMAT_KEY,)).fetchone()
            if row is None:
                if connection.execute("SELECT 1 FROM Cache NOT INDEXED WHERE key = ? LIMIT 1", (FORMAT_KEY,)).fetchone():
                    raise CorruptStoreError(f"{self.called} was altered: the index of its database is damaged; restore the folder from a backup")
                if connection.execute("SELECT 1 FROM Cache LIMIT 1").fetchone():
                    raise StoreError(f"{self.folder} is a diskcache of another program; name a new or an empty folder")
                return None
            ((journal,),) = connection.execute("PRAGMA journal_mode")
        version = unpack(unseal(FORMAT_KEY, row[0] if isinstance(row[0], bytes) else b"", self.called))[0]
        if version > FORMAT_VERSION:
            raise StoreVersionError(
                f"the store {self.folder} has format {version}, and this hitl_nb reads formats up to {FORMAT_VERSION}; pip install --upgrade hitl-nb"
            )
        return "wal" if journal == "wal" else "delete"


def _is_writable(folder: Path) -> bool:
    return all(is_writable(path) for path in (folder, folder / DATABASE, folder / LOCKS) if path.exists())
