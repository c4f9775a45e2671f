"""Whether a store's folder is whole: every row, every value file, and what the records say of one another. Nothing is written, and no code is run.

One pass over the database, one record in memory at a time. What is damaged is named by thread and by file, and so is what can still be read.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import blake2b
from typing import Any, Final

from hitl_nb.checkpoint import leftovers
from hitl_nb.checkpoint.audit import LOG_HEAD, LogEntry, log_head
from hitl_nb.checkpoint.folder import FolderReader, header, require_format, require_store
from hitl_nb.checkpoint.keys import OPEN_PREFIX, checkpoint_key, decided_key, decision_key, events_key, question_key, value_key
from hitl_nb.checkpoint.progress import bar
from hitl_nb.checkpoint.questions import OpenQuestion, decision_from_wire, question_from_wire
from hitl_nb.checkpoint.records import Answered, Asked, Checkpoint, Finished, Head, ValueRef, event_from_wire
from hitl_nb.checkpoint.rolling_back import JOURNAL, half_commit
from hitl_nb.checkpoint.sealing import DATABASE, FORMAT_KEY, GONE_PREFIX, IN_FILE, LOCKS, READABLE, SETTINGS, VALUE_FILE, DamagedError, fetch, unseal
from hitl_nb.checkpoint.serde import unpack
from hitl_nb.checkpoint.upkeep.health import Damage, Health, files, thread_of
from hitl_nb.checkpoint.upkeep.salvage import Gap, Row, every_row
from hitl_nb.checkpoint.verifying import verify
from hitl_nb.checkpoint.voting import vote_from_wire
from hitl_nb.checkpoint.write_ahead import LOG, lost_commits
from hitl_nb.errors import CorruptStoreError, StoreError, UnknownTypeError
from hitl_nb.plain.tracebacks import letting_go

_MOST: Final = 1000
"""Damages that are told one by one; further ones are counted."""
_LOOKS: Final = 4
_PAUSE_S: Final = 0.05


@letting_go
def check(folder: str | os.PathLike[str], *, timeout_s: float = 60.0) -> Health:
    """Look at everything in a store's folder, as it is at one moment, however many write meanwhile.

    Raises StoreError where there is none, StoreVersionError for one of a newer hitl_nb.
    """
    reader = FolderReader(folder, timeout_s=timeout_s, lenient=True)
    require_store(reader)
    try:
        for _ in range(3):
            connection = reader.connection()
            look = _Look(reader, connection)
            with reader.at_one_moment():
                look.run()
            if reader.connection() is connection:
                break
            # Somebody began to write while the files were read as if nobody did.
    finally:
        reader.close()
    return look.health


class _Look:
    """One pass. Each kind of record has a method of its own, which yields what is wrong with it."""

    def __init__(self, reader: FolderReader, connection: sqlite3.Connection) -> None:
        self.reader = reader
        self.connection = connection
        self.health = Health(str(reader.folder))
        self._unloaded = 0
        self._kinds: dict[str, Callable[[str, bytes], Iterator[Damage]]] = {
            "h/": self._head,
            "c/": self._checkpoint,
            "v/": self._value,
            "p/": self._events,
            "q/": self._question,
            "a/": self._decision,
            "b/": self._vote,
            "i/": self._decided,
            OPEN_PREFIX: self._open,
            "g/": self._plain,
            "k/": self._kept,
            "w/": self._withdrawn,
            "d/": self._entry,
            FORMAT_KEY[:3]: self._format,
        }

    def run(self) -> None:
        health, connection = self.health, self.connection
        self._whole_database()
        named: set[str] = set()
        is_blind = False
        count = None
        with suppress(sqlite3.Error):
            (count,) = connection.execute("SELECT count(*) FROM Cache").fetchone()
        for found in bar(self._rows(), "checking", total=count):
            if isinstance(found, Gap):
                self._report(_gap(found))
                is_blind = True
                continue
            if found.mode == IN_FILE and isinstance(found.filename, str):
                named.add(found.filename.replace("\\", "/"))
            for damage in self._row(found):
                self._report(damage)
        self._log()
        self._files(named, is_blind=is_blind)
        if self._unloaded:
            health.notes.append(f"{self._unloaded} values are of classes that are not loaded here: their bytes are whole, and were not looked into")

    def _report(self, damage: Damage) -> None:
        if len(self.health.damages) < _MOST:
            self.health.damages.append(damage)
        else:
            self.health.more += 1

    # -- the database ------------------------------------------------------------------------------------------------------------

    def _whole_database(self) -> None:
        if lost := lost_commits(self.reader.folder):
            self._report(Damage(f"the latest commits are lost: {lost}", LOG))
        if half := half_commit(self.reader.folder):
            self._report(Damage(f"a commit was cut off: {half}", JOURNAL))
        try:
            told = [str(line) for (line,) in self.connection.execute("PRAGMA integrity_check(20)")]
        except sqlite3.Error as error:
            told = [str(error)]
        if told != ["ok"]:
            for line in told:
                self._report(Damage(f"SQLite finds the database damaged: {line}"))
        strict = FolderReader(self.reader.folder, timeout_s=self.reader.timeout_s)
        try:
            names = strict.connection().execute("SELECT key FROM Settings").fetchall()  # which also looks for what SQLite would do by itself
            strange = [str(name)[:80] for (name,) in names if name not in SETTINGS]
            if strange:
                self._report(Damage(f"the database holds the settings {strange}, which hitl_nb does not write"))
        except (sqlite3.Error, StoreError) as error:  # what the reader here puts up with
            if told == ["ok"]:
                self._report(Damage(f"the database is not opened: {_brief(error)}"))
        finally:
            strict.close()
        for look in range(_LOOKS):
            if look:
                time.sleep(_PAUSE_S)  # another one may just have been copying pages of its log into it, the first page first
            page, pages = _pages(header(self.reader.folder / DATABASE))
            size = (self.reader.folder / DATABASE).stat().st_size
            if size >= page * pages:
                return
        self._report(Damage(f"the database was cut short: it has {size} bytes of {page * pages}"))

    def _rows(self) -> Iterator[Row | Gap]:
        try:
            yield from every_row(self.connection)
        except sqlite3.Error as error:
            yield Gap(0, 0, str(error))

    def _row(self, row: Row) -> Iterator[Damage]:
        key = row.key
        if type(key) is not str or row.raw != 1:
            yield Damage(f"row {row.number} has a key of type {type(key).__name__}, which hitl_nb does not write")
            return
        file = row.filename if row.mode == IN_FILE and isinstance(row.filename, str) and VALUE_FILE.match(row.filename) else DATABASE
        try:
            record = unseal(key, fetch(self.reader.folder, row.mode, row.filename, row.value), "this store", row.filename)
        except (DamagedError, CorruptStoreError) as error:
            if not self._changed_since(key):
                yield Damage(unread(key, error), file, thread_of(key), key)
            return
        self.health.records += 1
        kind = self._kinds.get(key[:3] if key.startswith("!") else key[:2])
        if kind is None:
            if not key.startswith(GONE_PREFIX) and key != LOG_HEAD:
                yield Damage(f"record {key!r} is of a kind that this hitl_nb does not write", key=key)
            return
        try:
            for damage in kind(key, record):
                yield Damage(damage.what, file, damage.thread_id or thread_of(key), key)
        except (CorruptStoreError, DamagedError, sqlite3.Error, *_NONSENSE) as error:
            if self._changed_since(key):
                return
            yield Damage(f"record {key!r} cannot be read: {_brief(error)}", file, thread_of(key), key)

    # -- the records -------------------------------------------------------------------------------------------------------------

    def _head(self, key: str, record: bytes) -> Iterator[Damage]:
        thread_id, head = key[2:], Head.from_wire(unpack(record))
        if head.seq >= 0 and "\x1f" not in thread_id:
            self.health.threads += 1
        for n in range(head.decisions):
            if not self._has(decision_key(thread_id, n)):
                yield Damage(f"decision {n} of thread {thread_id!r} is missing")
        if head.seq < 0:
            return
        if not self._has(checkpoint_key(thread_id, head.seq)):
            yield Damage(f"checkpoint {head.seq}, where thread {thread_id!r} stands, is missing")
        missing = [n for n in range(head.events) if not self._has(events_key(thread_id, head.seq, n))]
        if missing:
            yield Damage(f"events {missing} of checkpoint {head.seq}, where thread {thread_id!r} stands, are missing")
            return
        for asked in self.reader.ledger(thread_id, head).open():
            if not self._has(question_key(asked.interrupt_id)):
                yield Damage(f"question {asked.interrupt_id}, which thread {thread_id!r} asks, is missing")
            elif not self._has(OPEN_PREFIX + asked.interrupt_id) and "\x1f" not in thread_id:
                yield Damage(f"question {asked.interrupt_id} of thread {thread_id!r} is open, and not listed as open")

    def _checkpoint(self, key: str, record: bytes) -> Iterator[Damage]:
        _, number, thread_id = key.split("/", 2)
        seq, found = int(number), Checkpoint.from_wire(unpack(record))
        head = self.reader.head(thread_id)
        if found.seq != seq:
            yield Damage(f"checkpoint {seq} of thread {thread_id!r} says that it is checkpoint {found.seq}")
        if head is None or not head.first <= seq <= head.seq:
            yield Damage(
                f"checkpoint {seq} of thread {thread_id!r} is there, and the thread is not, or not so far: its head is missing or was set back"
            )
            return
        if seq > head.first:
            if not self._has(checkpoint_key(thread_id, seq - 1)):
                yield Damage(f"checkpoint {seq - 1} of thread {thread_id!r} is missing")
            for n in range(found.events_before):
                if not self._has(events_key(thread_id, seq - 1, n)):
                    yield Damage(f"events {n} of checkpoint {seq - 1} of thread {thread_id!r} are missing")
        for name, ref in found.versions.items():
            yield from self._referred(thread_id, name, ref, found, read=seq in (ref.seq, head.first))
        for data in (*found.inline.values(), *(t.arg for t in found.tasks if isinstance(t.arg, bytes))):
            self._decode(data)

    def _referred(self, thread_id: str, name: str, ref: ValueRef, where: Checkpoint, *, read: bool) -> Iterator[Damage]:
        """What is wrong with the value of a state key; its bytes are compared where it was written, and looked for everywhere else."""
        what = f"state[{name!r}] at checkpoint {where.seq} of thread {thread_id!r}"
        if ref.slot < 0:
            if (name not in where.inline) if ref.seq == where.seq else not self._has(checkpoint_key(thread_id, ref.seq)):
                yield Damage(f"{what} is missing: checkpoint {ref.seq}, which wrote it, does not hold it")
        elif not self._has(value_key(thread_id, ref)):
            yield Damage(f"{what} is missing")
        elif read:
            with suppress(CorruptStoreError):  # which is told of the record itself
                raw = self.reader._must(value_key(thread_id, ref), thread_id)
                if len(raw) != ref.length or blake2b(raw, digest_size=16).digest() != ref.digest:
                    yield Damage(f"{what} has other content than was written")

    def _value(self, _key: str, record: bytes) -> Iterator[Damage]:
        self._decode(record)
        yield from ()

    def _events(self, key: str, record: bytes) -> Iterator[Damage]:
        for event in map(event_from_wire, unpack(record)):
            if isinstance(event, Asked) and not self._has(question_key(event.interrupt_id)):
                yield Damage(f"question {event.interrupt_id}, which thread {thread_of(key)!r} asked, is missing")
            if isinstance(event, Answered):
                self._decode(event.answer)
            if isinstance(event, Finished):
                self._decode(event.update)

    def _question(self, key: str, record: bytes) -> Iterator[Damage]:
        wire = unpack(record)
        if self._loaded(lambda: question_from_wire(self.reader.serde, wire)) is None:
            return
        if wire[0] != key[2:]:
            yield Damage(f"question {key[2:]} says that it is question {wire[0]!r}", thread_id=wire[1])

    def _decision(self, key: str, record: bytes) -> Iterator[Damage]:
        _, number, thread_id = key.split("/", 2)
        wire = unpack(record)
        self._loaded(lambda: decision_from_wire(self.reader.serde, wire))
        what = f"decision {int(number)} of thread {thread_id!r}"
        if wire[1:4:2] != [thread_id, int(number)]:
            yield Damage(f"{what} says that it is decision {wire[3]!r} of {wire[1]!r}")
        if self.reader._left_behind(thread_id) <= int(number):
            yield Damage(f"{what} is there, and the thread does not know it: its head is missing or was set back")
        decided = self.reader._read(decided_key(wire[0]))
        if decided is None or unpack(decided) != [thread_id, int(number)]:
            yield Damage(f"{what}: its question {wire[0]} says that another decision answered it, or none")

    def _vote(self, key: str, record: bytes) -> Iterator[Damage]:
        _, interrupt_id, number = key.split("/")
        wire = unpack(record)
        self._loaded(lambda: vote_from_wire(self.reader.serde, wire))
        if int(number) and not self._has(f"b/{interrupt_id}/{int(number) - 1:06d}"):
            yield Damage(f"vote {int(number) - 1} on question {interrupt_id} is missing")
        if not self._has(question_key(interrupt_id)):
            yield Damage(f"question {interrupt_id}, on which somebody voted, is missing")

    def _decided(self, key: str, record: bytes) -> Iterator[Damage]:
        thread_id, number = unpack(record)
        if not self._has(decision_key(thread_id, number)):
            yield Damage(f"decision {number} of thread {thread_id!r}, which answered question {key[2:]}, is missing", thread_id=thread_id)

    def _open(self, key: str, record: bytes) -> Iterator[Damage]:
        brief = OpenQuestion.from_wire(key.removeprefix(OPEN_PREFIX), unpack(record))
        thread_id = brief.thread_id
        if not self._has(question_key(brief.interrupt_id)):
            yield Damage(f"question {brief.interrupt_id} is listed as open, and missing", thread_id=thread_id)
        head = self.reader.head(thread_id)
        with suppress(CorruptStoreError):  # which is told of the thread itself
            if head is None or not self.reader.ledger(thread_id, head).is_open(brief.interrupt_id):
                yield Damage(f"question {brief.interrupt_id} is listed as open, and thread {thread_id!r} does not ask it", thread_id=thread_id)

    def _plain(self, _key: str, record: bytes) -> Iterator[Damage]:
        unpack(record)
        yield from ()

    def _kept(self, key: str, record: bytes) -> Iterator[Damage]:
        _, task, number = key.split("/")
        if unpack(record) is None:
            yield Damage(f"what once() kept as {key!r} was lost")
        if int(number) and not self._has(f"k/{task}/{int(number) - 1:06d}"):
            yield Damage(f"what once() kept before {key!r} is missing: it would be done again")

    def _withdrawn(self, key: str, _record: bytes) -> Iterator[Damage]:
        if not self._has(decided_key(key[2:])):
            yield Damage(f"the answer to question {key[2:]} was withdrawn, and is missing")

    def _format(self, _key: str, record: bytes) -> Iterator[Damage]:
        require_format(record, "this store")
        yield from ()

    def _entry(self, key: str, record: bytes) -> Iterator[Damage]:
        LogEntry.from_wire(int(key[2:]), unpack(record))
        yield from ()

    # -- what is around them -----------------------------------------------------------------------------------------------------

    def _log(self) -> None:
        try:
            found = verify(self.reader)
            self.health.log_head = log_head(self.reader)[1].hex()
        except (CorruptStoreError, StoreError, *_NONSENSE) as error:
            self._report(Damage(f"the decision log cannot be verified: {_brief(error)}"))
            return
        for problem in found.problems:
            self._report(Damage(f"decision log: {problem}"))
        self.health.notes += (f"decision log: {note}" for note in found.notes)

    def _files(self, named: set[str], *, is_blind: bool) -> None:
        """`is_blind`: there are records that could not be read, any of which may name a file."""
        orphans = locks = 0
        left = {name.replace("\\", "/") for name, _ in leftovers.noted(self.reader.folder)}
        for path, size in files(self.reader.folder):
            self.health.bytes += size
            name = path.relative_to(self.reader.folder).as_posix()
            if VALUE_FILE.match(name):
                self.health.value_files += 1
                orphans += name not in named and name not in left and not self._is_going(name)
            locks += name.startswith(f"{LOCKS}/") and name.endswith(".lock")
        if orphans and not is_blind:
            self.health.notes.append(f"{orphans} value files belong to no record, as a killed writer leaves them; hitl-nb store vacuum removes them")
        if locks > 1000:
            self.health.notes.append(f"{locks} lock files; hitl-nb store vacuum removes those that nobody holds")

    def _changed_since(self, key: str) -> bool:
        """True for a record that is another one now, or none: of a thread that was deleted or pruned, whose value files are gone at once."""
        row = "SELECT mode, filename, value FROM Cache WHERE key = ? AND raw = 1"
        reader = FolderReader(self.reader.folder, timeout_s=self.reader.timeout_s)
        try:
            return bool(reader.connection().execute(row, (key,)).fetchone() != self.connection.execute(row, (key,)).fetchone())
        except (sqlite3.Error, StoreError):
            return False
        finally:
            reader.close()

    def _is_going(self, name: str) -> bool:
        """True for a value file whose record was deleted, and which whoever opens the store next removes."""
        with suppress(sqlite3.Error):
            return self._has(GONE_PREFIX + name)
        return False

    # -- pieces ------------------------------------------------------------------------------------------------------------------

    def _has(self, key: str) -> bool:
        return self.connection.execute("SELECT 1 FROM Cache WHERE key = ? AND raw = 1", (key,)).fetchone() is not None

    def _decode(self, data: bytes) -> Any:
        return self._loaded(lambda: self.reader.serde.loads(data))

    def _loaded(self, load: Callable[[], Any]) -> Any:
        try:
            return load()
        except CorruptStoreError:
            raise
        except (UnknownTypeError, StoreError):  # a class, or a package such as pandas, that is not here
            self._unloaded += 1
            return None


_NONSENSE: Final = (TypeError, ValueError, LookupError, AttributeError, OverflowError)
"""What comes of a record whose seal is right and whose content is not of its kind."""


def _pages(header: bytes) -> tuple[int, int]:
    """Bytes of a page and number of pages, as the beginning of an SQLite database says."""
    size = int.from_bytes(header[16:18], "big")
    return (65536 if size == 1 else size), int.from_bytes(header[28:32], "big")


def _gap(gap: Gap) -> Damage:
    if gap.key:
        return Damage(f"record {gap.key!r} cannot be read: {gap.error}", thread_id=thread_of(gap.key), key=gap.key)
    span = f"rows from {gap.first} on" if gap.last >= 1 << 61 else f"rows {gap.first} to {gap.last}" if gap.last > gap.first else f"row {gap.first}"
    return Damage(f"{span} cannot be read: {gap.error}")


def unread(key: str, error: Exception) -> str:
    """Why a record cannot be read, in words that name it."""
    why = _brief(error)
    return why if repr(key) in why else f"record {key!r}: {why}"


def _brief(error: BaseException) -> str:
    return str(error).partition(f". {READABLE}")[0] or type(error).__name__
