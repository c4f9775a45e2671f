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
from contextlib import contextmanager, suppress
from functools import partial
from hashlib import blake2b
from pathlib import Path
from threading import local
from typing import Any, Final

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.filesystem import Journal, checked_wish
from hitl_nb.checkpoint.folder import FolderReader, identity, is_writable
from hitl_nb.checkpoint.holding import hold, holder, remove
from hitl_nb.checkpoint.keys import OPEN_PREFIX
from hitl_nb.checkpoint.opening import OPENING, Durability, Opened, open_store, rows_of
from hitl_nb.checkpoint.reviewers import Given
from hitl_nb.checkpoint.rows import Rows
from hitl_nb.checkpoint.sealing import DATABASE, FIRST_FORMAT, FORMAT_KEY, LOCKS, READABLE, DamagedError, digest_of, fetch, unseal
from hitl_nb.checkpoint.serde import pack, unpack
from hitl_nb.checkpoint.trouble import store_error
from hitl_nb.errors import CorruptStoreError, HitlError, StoreError, ThreadBusyError
from hitl_nb.plain.tracebacks import calls_let_go

_MOVING: Final = re.compile(r"h/|!o/|d!head\Z")
"""Keys of the records that are overwritten; all others are written once."""
_ERASABLE: Final = re.compile(r"[cvpqkh]/")
"""Keys of the records that go with their thread. Decisions (`a/`, `i/`) and their log (`d/`) never do."""


@calls_let_go
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
        self._place = str(self._database)
        self.durability: Durability = durability
        self.journal = checked_wish(journal)
        self.timeout_s = timeout_s
        self._opened: dict[int, Opened] = {}
        """By process id: an SQLite connection must not be used, nor closed, on the other side of a fork."""
        self._begun = local()
        """`rows`: what the transaction of this Python thread reads and writes by, to its end."""
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
            return self._rows().read(key)
        except UnicodeEncodeError:  # half a surrogate pair in an id that somebody made up: no record is called so
            return None
        except DamagedError as error:
            raise CorruptStoreError(f"record {key!r} of {self.called} ({DATABASE}) is damaged: {error}. {READABLE}") from error
        except sqlite3.Error as error:
            raise self._failed("read", error) from error

    def _put(self, key: str, record: bytes) -> None:
        if _MOVING.match(key):
            self._rows().move(key, record)
        else:
            self._rows().add(key, record)

    def _put_value(self, key: str, record: bytes, digest: bytes) -> bytes:
        return self._rows().add(key, record, digest) or digest_of(record)

    def _swap(self, key: str, before: bytes, after: bytes) -> bool:
        return self._rows().swap(key, before, after)

    def _delete(self, key: str) -> None:
        if not key.startswith(OPEN_PREFIX):
            raise StoreError(f"record {key!r} is kept for ever; only records {OPEN_PREFIX}… are deleted")
        self._rows().remove(key)

    def _erase(self, key: str) -> None:
        if not _ERASABLE.match(key):
            raise StoreError(f"record {key!r} is kept for ever, whatever becomes of its thread")
        self._rows().remove(key)

    def _require_format(self, version: int) -> None:
        if unpack(self._read(FORMAT_KEY) or pack([FIRST_FORMAT]))[0] < version:
            self._rows().move(FORMAT_KEY, pack([version]))

    def _scan(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        view = self._view()
        if view is not None:
            yield from view._scan(prefix)
            return
        try:
            for key, *row in self._rows().scan(prefix):
                yield key, unseal(key, fetch(self.folder, *row), self.called, row[1])
        except DamagedError as error:
            raise CorruptStoreError(f"{self.called} was altered: its {DATABASE} holds {error}. {READABLE}") from error
        except sqlite3.Error as error:
            raise self._failed("read", error) from error

    @contextmanager
    def at_one_moment(self) -> Iterator[FolderReader]:
        if self._view() is None:
            self._rows()
        reader = FolderReader(self.folder, types=self._types, timeout_s=self.timeout_s)
        try:
            with reader.at_one_moment():
                yield reader
        finally:
            reader.close()

    def _transaction(self, *, lazily: bool = False) -> _Transaction:
        return _Transaction(self, lazily=lazily)

    def _failed(self, doing: str, error: BaseException) -> StoreError:
        return store_error(doing, self.folder, error, timeout_s=self.timeout_s, damaged=isinstance(error, DamagedError))

    # -- who runs a thread -------------------------------------------------------------------------------------------------------

    @contextmanager
    def guard(self, thread_id: str) -> Iterator[None]:
        if self._view() is not None and self._is_finished(thread_id):  # it can be looked at, and there is nothing to run or to write
            yield
            return
        self._rows()
        path = self.folder / LOCKS / f"{blake2b(thread_id.encode(), digest_size=16).hexdigest()}.lock"
        held, pid, works = None, os.getpid(), True
        try:
            try:
                held = hold(path)
            except OSError as error:
                raise self._failed(f"lock thread {thread_id!r} in", error) from error
            if held is None:
                raise ThreadBusyError(
                    f"thread {thread_id!r} is being run by {holder(path)}; wait until that run ends, then call again", thread_id=thread_id
                )
            try:
                yield
            except StoreError:  # it may be locked or damaged: it is not asked again
                works = False
                raise
        finally:
            if held is not None:
                try:
                    # A thread that is not there, or not any more, needs none: there are no more lock files than threads.
                    with suppress(Exception):  # then it stays; nothing here takes the place of what the block raised
                        if works and os.getpid() == pid and self._has_open() and self.head(thread_id) is None:
                            remove(held, path)
                finally:
                    held.release()

    def _is_finished(self, thread_id: str) -> bool:
        head = self.head(thread_id)
        return head is not None and not self.checkpoint(thread_id, head.seq).tasks

    def free_locks(self) -> int:
        """Remove the lock files that nobody holds; how many. Each is removed while it is held, and who gets it after that sees that it is gone."""
        freed = 0
        for path in (self.folder / LOCKS).glob("*.lock"):
            with suppress(OSError):
                held = None if path.name == OPENING else hold(path)
                if held is not None:
                    try:
                        freed += remove(held, path)
                    finally:
                        held.release()
        return freed

    # -- opening -----------------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        self._disconnect(forget=True)
        view = self._views.pop(os.getpid(), None)
        if view is not None:
            view.close()

    def _disconnect(self, *, forget: bool, only: Rows | None = None) -> None:
        """Close this Python thread's connection, if it is that of `only`; `forget`: open the folder anew at the next use."""
        opened = self._opened.get(os.getpid())
        if opened is not None and (only is None or getattr(opened.here, "rows", None) is only):
            opened.here.__dict__.clear()
            if forget:
                self._opened.pop(os.getpid(), None)
            try:
                opened.cache.close()
            except BaseException:  # a Ctrl-C: the cache may take its connection, which is closed, for an open one
                self._opened.pop(os.getpid(), None)
                raise

    def _view(self) -> FolderReader | None:
        """What reads the folder when it can be read and not written to. Looked at anew each time, as permissions come and go."""
        pid = os.getpid()
        if pid in self._opened or not self._database.exists() or _is_writable(self.folder):
            return None
        return self._views.setdefault(pid, FolderReader(self.folder, types=self._types, timeout_s=self.timeout_s))

    def _rows(self) -> Rows:
        """What this Python thread reads and writes by. It is looked at whether the file is still there, in a transaction only at its end."""
        begun: Rows | None = getattr(self._begun, "rows", None)
        if begun is not None and begun.inside and begun.is_own:  # also when another Python thread, which a Ctrl-C cut off, has forgotten the store
            return begun
        opened = self._opened.get(os.getpid())
        rows: Rows | None = None if opened is None else getattr(opened.here, "rows", None)
        if opened is None or rows is None:
            return self._connect()
        if not rows.inside and identity(self._place) != opened.file:
            self._disconnect(forget=True)
            raise self._deleted()
        return rows

    def _connect(self) -> Rows:
        pid = os.getpid()
        opened = self._opened.get(pid)
        if opened is None:
            if self._view() is not None:
                raise StoreError(f"{self.called} can be read here and not be written to; nothing was written. Check its owner and permissions")
            # Without a lock, which a fork could copy while it is held: of two threads that open at once, one wins.
            opened = self._opened.setdefault(pid, open_store(self.folder, self.called, self.journal, timeout_s=self.timeout_s))
        if identity(self._place) != opened.file:
            self._disconnect(forget=True)
            raise self._deleted()
        try:
            rows = opened.here.rows = rows_of(opened, self.folder, self.called, self.durability)
        except sqlite3.Error as error:
            raise self._failed("open", error) from error
        return rows

    def _cache(self) -> Any:
        """The cache of this process, its connection of this Python thread set up."""
        self._rows()
        return self._opened[os.getpid()].cache

    def _require_same_file(self) -> None:
        opened = self._opened.get(os.getpid())
        if opened is not None and identity(self._place) != opened.file:
            raise self._deleted()

    def _has_open(self) -> bool:
        """Whether this Python thread has the store open, and its database is where it was: a look opens nothing anew."""
        opened = self._opened.get(os.getpid())
        return opened is not None and getattr(opened.here, "rows", None) is not None and identity(self._place) == opened.file

    def _deleted(self) -> StoreError:
        return StoreError(
            f"the store {self.folder} was deleted or replaced while it was open here; nothing was read or written. Put it back, or call again to "
            f"go on with what is there now"
        )


class _Transaction:
    """`with saver._transaction():`. Written out, not a generator: every superstep enters one."""

    __slots__ = ("_certain", "_is_open", "_lazily", "_number", "_rows", "_saver")

    def __init__(self, saver: DiskCacheSaver, *, lazily: bool) -> None:
        self._is_open = False
        """True from its beginning until it is committed or rolled back."""
        self._saver = saver
        self._lazily = lazily
        self._certain = True
        """That it cannot have been committed: after a failed commit nobody knows."""

    def __enter__(self) -> None:
        self._rows = self._saver._rows()
        self._number = self._rows.number + 1
        self._is_open = True
        try:
            self._rows.begin(lazily=self._lazily)
            self._saver._begun.rows = self._rows
        except BaseException as error:
            self._end(error)
            raise

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is not None:
            self._end(error)
            return
        try:
            self._rows.note_gone()
            self._saver._require_same_file()
            self._certain = False
            self._rows.commit()
        except BaseException as failed:
            self._end(failed)
            raise
        self._is_open, self._saver._begun.rows = False, None
        self._rows.remove_gone()

    def __del__(self) -> None:
        # A Ctrl-C came as the block was left, before `__exit__` began, or as it was rolled back. Unless somebody rolled it back since, as the next
        # transaction of this Python thread does.
        if getattr(self, "_is_open", False) and self._rows.number == self._number:
            self._rows.roll_back(certain=self._certain)
            self._saver._disconnect(forget=True, only=self._rows)

    def _end(self, error: BaseException) -> None:
        """Roll back; raise what the error means, if it is not what is to be raised itself."""
        self._saver._begun.rows = None
        usable = self._rows.roll_back(certain=self._certain)
        if isinstance(error, HitlError) and usable:
            self._is_open = False
            return
        # After a failed COMMIT the connection may still hold its transaction, and after a Ctrl-C inside BEGIN too.
        self._saver._disconnect(forget=not isinstance(error, Exception))
        self._is_open = False
        if isinstance(error, (sqlite3.Error, OSError, DamagedError)):
            raise self._saver._failed("write to", error) from error


def _is_writable(folder: Path) -> bool:
    return all(is_writable(path) for path in (folder, folder / DATABASE, folder / LOCKS) if path.exists())
