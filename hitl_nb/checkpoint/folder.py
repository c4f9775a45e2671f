"""A store's folder as it lies there, read without changing anything in it: what `hitl-nb store` looks at, and a folder that cannot be written to."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import local
from typing import Final
from urllib.parse import quote

from hitl_nb.checkpoint.filesystem import Journal
from hitl_nb.checkpoint.index import Execute, entries, find
from hitl_nb.checkpoint.reading import ThreadReader
from hitl_nb.checkpoint.rolling_back import half_commit
from hitl_nb.checkpoint.sealing import DATABASE, FORMAT_KEY, FORMAT_VERSION, LOCKS, READABLE, TRIGGERS, DamagedError, fetch, unseal
from hitl_nb.checkpoint.serde import unpack
from hitl_nb.checkpoint.trouble import lacks_room, tells_of_damage
from hitl_nb.checkpoint.write_ahead import require_whole_log
from hitl_nb.errors import CorruptStoreError, StoreError, StoreVersionError, shown

_SHUT: Final = ("SQLITE_BUSY", "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_IOERR_SHMSIZE")
"""Errors that keep everybody out of a database and say nothing of what it holds."""
_NONE: Final[tuple[sqlite3.Connection | None, int, tuple[int, ...], tuple[int, int]]] = (None, 0, (), (0, 0))


class FolderReader(ThreadReader):
    """Reads a store's folder, from any thread and any process. Nothing is written, not even a setting; others may write meanwhile.

    `lenient`: of a database that was cut short, or whose tables are described wrongly, read what is left instead of nothing.
    """

    def __init__(self, folder: str | os.PathLike[str], *, types: Iterable[type] = (), timeout_s: float = 60.0, lenient: bool = False) -> None:
        super().__init__(types=types)
        self.folder = Path(folder).expanduser().absolute()
        self.called = f"the store {self.folder}"
        self.timeout_s = timeout_s
        self.lenient = lenient
        self._local = local()

    def _read(self, key: str) -> bytes | None:
        try:
            return find(self.connection().execute, self.folder, key, self.called)
        except UnicodeEncodeError:  # half a surrogate pair in an id that somebody made up: no record is called so
            return None
        except DamagedError as error:
            raise CorruptStoreError(f"record {key!r} of {self.called} ({DATABASE}) is damaged: {error}. {READABLE}") from error
        except sqlite3.Error as error:
            raise self.failed(error) from error

    def _scan(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        try:
            # each page through the connection that is right then: somebody may begin to write to what nobody had open
            for key, *row in entries(lambda *query: self.connection().execute(*query), prefix):
                yield key, unseal(key, fetch(self.folder, *row), self.called, row[1])
        except DamagedError as error:
            raise CorruptStoreError(f"{self.called} was altered: its {DATABASE} holds {error}. {READABLE}") from error
        except sqlite3.Error as error:
            raise self.failed(error) from error

    # -- the connection ------------------------------------------------------------------------------------------------------------

    def connection(self) -> sqlite3.Connection:
        """The connection of this Python thread, which cannot write."""
        held, pid, unchanging, file = getattr(self._local, "held", _NONE)
        there = identity(self.folder / DATABASE)
        if held is not None and (pid, file) == (os.getpid(), there) and not (unchanging and unchanging != _unchanging(self.folder)):
            return held
        unchanging = _unchanging(self.folder)
        if unchanging and journal_of(self.folder / DATABASE) != "wal":
            unchanging = ()
        held = _connect(self, unchanging=bool(unchanging))
        self._local.held = held, os.getpid(), unchanging, there
        return held

    @contextmanager
    def at_one_moment(self) -> Iterator[FolderReader]:
        connection = self.connection()
        if connection.in_transaction:
            yield self
            return
        connection.execute("BEGIN")
        self._local.moment = connection
        try:
            yield self
        finally:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")

    def was_one_moment(self) -> bool:
        return self.connection() is getattr(self._local, "moment", None)

    def close(self) -> None:
        """Free this Python thread's connection. The reader can be used again afterwards."""
        held, pid, _, _ = getattr(self._local, "held", _NONE)
        if held is not None and pid == os.getpid():
            held.close()
        self._local.__dict__.clear()

    def failed(self, error: sqlite3.Error) -> StoreError:
        """The error to raise, which names the folder."""
        return unreadable(self.folder, error)


def _connect(reader: FolderReader, *, unchanging: bool) -> sqlite3.Connection:
    """A connection that cannot write. `unchanging`: nobody has the database open, so that SQLite needs no files of its own beside it."""
    if not unchanging and not reader.lenient:
        require_whole_log(reader.folder)
    if reader.lenient and half_commit(reader.folder):  # it is read as it is, and its journal left alone
        unchanging = True
    place = f"file:{quote(str(reader.folder / DATABASE))}?{'immutable=1' if unchanging else 'mode=ro'}"
    try:
        if not unchanging and (reader.folder / f"{DATABASE}-journal").exists() and is_writable(reader.folder):
            _roll_back(reader)
        connection = sqlite3.connect(place, uri=True, timeout=reader.timeout_s, isolation_level=None, check_same_thread=False)
        if reader.lenient:
            connection.execute("PRAGMA writable_schema = ON")  # writes nothing, and lets SQLite read on
        else:
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()
            require_only_tables(connection.execute, reader.called)
            with suppress(sqlite3.Error):  # told of whatever is asked for
                row = connection.execute("SELECT value FROM Cache WHERE key = ? AND raw = 1", (FORMAT_KEY,)).fetchone()
                if row is not None and isinstance(row[0], bytes):
                    require_format(unseal(FORMAT_KEY, row[0], reader.called), reader.called)
    except sqlite3.Error as error:
        raise unreadable(reader.folder, error) from error
    return connection


def _roll_back(reader: FolderReader) -> None:
    """Take out of the database what a killed writer had not committed, as everybody does who opens it; nothing where its writer is alive."""
    with closing(sqlite3.connect(reader.folder / DATABASE, timeout=reader.timeout_s)) as connection:
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()


def unreadable(folder: Path, error: sqlite3.Error) -> StoreError:
    """What to say of an error of SQLite while a folder was read."""
    text = str(error)
    if tells_of_damage(text) or "no such table" in text:
        return CorruptStoreError(f"cannot read the store {folder}: its database {DATABASE} is damaged ({text}). {READABLE}")
    advice = "check the folder and its disk, then call again"
    with suppress(OSError):
        if "unable to open" in text and _size(folder / f"{DATABASE}-wal"):
            advice = (
                f"{DATABASE}-wal holds the latest commits, which SQLite cannot read in a folder that it may not write to; copy the folder to where "
                f"you may write, and read the copy"
            )
        elif "readonly" in text and (folder / f"{DATABASE}-journal").exists():
            advice = (
                f"a writer was killed, and {DATABASE}-journal says how to take out what it had not committed, which SQLite cannot do in a folder "
                f"that it may not write to; copy the folder to where you may write, and read the copy"
            )
        elif not (folder / DATABASE).is_file():
            advice = "there is no database; name the folder that DiskCacheSaver was given"
        elif "locked" in text:
            advice = "another process keeps it locked; call again when that is done"
        elif lacks_room(error):
            advice = "the disk is full; free some space, then call again"
    return StoreError(f"cannot read the store {folder}: {type(error).__name__}: {text}. Likely: {advice}")


def identity(database: Path | str) -> tuple[int, int]:
    """Which file it is: another one may stand in its place later."""
    try:
        found = os.stat(database)  # noqa: PTH116  a text costs half of a Path, and every transaction asks
    except OSError:
        return (0, 0)
    return (found.st_dev, found.st_ino)


def journal_of(database: Path) -> Journal:
    """The journal that all who open the database share, as its file says; "wal" where that cannot be read.

    SQLite itself could say it only through a connection that makes files of its own beside the database, or takes no locks.
    """
    if database.with_name(f"{DATABASE}-shm").exists():
        return "wal"
    with suppress(OSError):
        return _named(header(database))
    return "wal"


def header(database: Path) -> bytes:
    """The first 100 bytes of a database, whoever has it open. Raises OSError.

    Closing any handle of a file drops all locks that this process has on it, those of SQLite's connections too, and then another process that closes
    the database takes itself for the last one, and removes the log that is in use here. So the handle stays open unless nobody has the database open.
    """
    if os.name != "posix":
        with database.open("rb") as file:
            return file.read(100)
    which = identity(database)
    handle = _HELD.get(which)
    if handle is not None:
        return os.pread(handle, 100, 0)
    for other, held in list(_HELD.items()):
        if not os.fstat(held).st_nlink and _HELD.pop(other, None) is not None:  # deleted, so that nobody's locks matter
            os.close(held)
    handle = os.open(database, os.O_RDONLY)
    data = os.pread(handle, 100, 0)
    if _named(data) == "delete" or _is_in_use(database.parent):
        _HELD[which] = handle
    else:
        os.close(handle)
    return data


def _named(header: bytes) -> Journal:
    return "delete" if header[18:20] == b"\1\1" else "wal"


_HELD: Final[dict[tuple[int, int], int]] = {}
"""The databases that stay open, see `header`."""


def was_used(folder: Path) -> bool:
    """True when there are value files, or locks of threads: making a store, be it interrupted, leaves none."""
    return any(p.name != "open.lock" for p in (folder / LOCKS).iterdir()) or any(re.fullmatch("[0-9a-f]{2}", p.name) for p in folder.iterdir())


def is_writable(path: Path) -> bool:
    """Whether this process may write there, as whom it runs now."""
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _is_in_use(folder: Path) -> bool:
    """True when somebody has the database open, or was killed while he had: the latest commits may lie beside it then."""
    return (folder / f"{DATABASE}-shm").exists() or _size(folder / f"{DATABASE}-wal") > 0


def _unchanging(folder: Path) -> tuple[int, ...]:
    """When the database was last written, and its size, while nobody has it open; empty: somebody has."""
    if _is_in_use(folder):
        return ()
    try:
        found = (folder / DATABASE).stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def require_store(reader: FolderReader) -> None:
    """Raise StoreError unless the folder holds a store that this hitl_nb can read. A damaged one passes."""
    folder = reader.folder
    if not (folder / DATABASE).is_file():
        raise StoreError(f"there is no store in {folder} (seen from {Path.cwd()}); name the folder that DiskCacheSaver was given")
    try:
        tables = {name for (name,) in reader.connection().execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables and not tables <= {"Cache", "Settings"}:
            raise StoreError(f"{folder / DATABASE} is another program's database; name the folder of a store")
        record = reader._read(FORMAT_KEY)
        if record is not None:
            require_format(record, reader.called)
    except CorruptStoreError:
        return
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorname", "").startswith(_SHUT):
            raise reader.failed(error) from error


def require_format(record: bytes, called: str) -> None:
    """Raise StoreVersionError for a store of a newer hitl_nb, CorruptStoreError for a record that is no format."""
    said = unpack(record)
    if type(said) is not list or len(said) != 1 or type(said[0]) is not int or said[0] < 1:
        raise CorruptStoreError(f"record {FORMAT_KEY!r} of {called} says {shown(said)}, which is no format: it was altered. {READABLE}")
    if said[0] > FORMAT_VERSION:
        raise StoreVersionError(
            f"{called} has format {said[0]}, and this hitl_nb reads formats up to {FORMAT_VERSION}; pip install --upgrade hitl-nb"
        )


def require_only_tables(execute: Execute, called: str) -> None:
    """Raise CorruptStoreError for a trigger or view that diskcache does not make: SQLite would do what it says by itself."""
    found = execute("SELECT type, name FROM sqlite_master WHERE type IN ('trigger', 'view')").fetchall()
    strange = [f"{kind} {str(name)[:80]!r}" for kind, name in found if (kind, name) not in TRIGGERS]
    if strange:
        raise CorruptStoreError(f"{called} was altered: its {DATABASE} holds the {', '.join(strange)}, which hitl_nb does not write. {READABLE}")
