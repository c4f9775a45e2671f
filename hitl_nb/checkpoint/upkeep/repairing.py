"""What is whole of a damaged store, taken over into a new folder. Nothing is invented, and the damaged folder stays as it is.

Records are taken over one by one, each only with its seal. Rebuilt is only what other records say in full: which decision answered a question, which
questions are open, where the decision log ends. A thread that lost what it needs stays as far as it can be read, and every use of it is an error: one
that began again would ask again what was decided.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from hitl_nb.checkpoint.audit import LOG_HEAD, LogEntry
from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.folder import FolderReader, require_store
from hitl_nb.checkpoint.keys import OPEN_PREFIX, decided_key, decision_key, head_key, is_nested, kept_key, question_key, vote_key
from hitl_nb.checkpoint.ledger import Ledger
from hitl_nb.checkpoint.progress import bar
from hitl_nb.checkpoint.questions import OpenQuestion, question_from_wire
from hitl_nb.checkpoint.records import Head, from_epoch
from hitl_nb.checkpoint.reviewers import FILE_NAMES
from hitl_nb.checkpoint.rolling_back import half_commit
from hitl_nb.checkpoint.sealing import FORMAT_KEY, FORMAT_VERSION, GONE_PREFIX, DamagedError, fetch, unseal
from hitl_nb.checkpoint.serde import pack, unpack
from hitl_nb.checkpoint.trouble import store_error
from hitl_nb.checkpoint.upkeep.checking import check, unread
from hitl_nb.checkpoint.upkeep.health import OF_THREAD, Health, thread_of
from hitl_nb.checkpoint.upkeep.salvage import Gap, every_row, keys_of_index
from hitl_nb.checkpoint.write_ahead import lost_commits
from hitl_nb.errors import CorruptStoreError, HitlError, StoreError, UnknownThreadError
from hitl_nb.plain.tracebacks import letting_go

_BATCH: Final = 500
"""Records of one transaction."""


@dataclass(slots=True)
class Repaired:
    """What was done."""

    folder: str
    target: str
    records: int = 0
    """Taken over as they were."""
    lost: list[str] = field(default_factory=list)
    """What could not be read."""
    blind: bool = False
    """True: something was lost that nothing names, so that threads may be gone altogether."""
    done: list[str] = field(default_factory=list)
    """What was rebuilt, removed or marked, in words."""
    dropped: tuple[str, ...] = ()
    """Threads that were left behind because the caller said so."""
    health: Health | None = None
    """What a check of the new store found: what is missing from now on."""


@letting_go
def repair(
    folder: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    make: Callable[[Path], Checkpointer],
    drop: Sequence[str] = (),
    timeout_s: float = 60.0,
) -> Repaired:
    """Take over what is whole into the new folder `target`, made by `make`. `drop`: threads to leave behind; their decisions are kept all the same.

    Raises StoreError when the target is there or cannot be written, UnknownThreadError for a thread to drop that is not there.
    """
    reader, goal = FolderReader(folder, timeout_s=timeout_s, lenient=True), Path(target).expanduser().absolute()
    require_store(reader)
    if goal.exists() or goal.is_symlink():
        raise StoreError(f"{goal} is there already; name a folder that is not there yet. A store is never repaired in place")
    partial = goal.with_name(f"{goal.name}.partial-{secrets.token_hex(4)}")
    store = make(partial)
    try:
        repaired = _Repair(reader, store, drop).run()
        for name in FILE_NAMES:
            if (reader.folder / name).is_file():
                shutil.copy2(reader.folder / name, partial / name)
        store.close()
        repaired.health = check(partial, timeout_s=timeout_s)
        partial.rename(goal)
    except (sqlite3.Error, OSError) as error:
        if isinstance(error, StoreError):
            raise
        raise store_error(f"write {goal}, what is saved of", reader.folder, error, timeout_s=timeout_s) from error
    finally:
        store.close()
        reader.close()
        shutil.rmtree(partial, ignore_errors=True)
    repaired.target = repaired.health.folder = str(goal)
    return repaired


class _Repair:
    def __init__(self, reader: FolderReader, store: Checkpointer, drop: Sequence[str]) -> None:
        self.reader = reader
        self.store = store
        self.drop = frozenset(drop)
        self.result = Repaired(str(reader.folder), "", dropped=tuple(drop))
        self._threads: dict[str, int] = {}
        """The highest checkpoint that any record tells of, by thread; -1: there is none."""
        self._decisions: dict[str, int] = {}
        """How many decisions there are, by thread, counted by the highest number."""
        self._heads: set[str] = set()
        self._once: dict[str, int] = {}
        """The highest number of what once() kept, by task."""
        self._last_entry: LogEntry | None = None
        self._found: set[str] = set()
        """Threads to drop that are there."""

    def run(self) -> Repaired:
        connection = self.reader.connection()
        self._format()
        self._take_over(connection)
        if self.drop - self._found:
            missing = ", ".join(repr(t) for t in sorted(self.drop - self._found))
            raise UnknownThreadError(f"no record of {self.reader.called} is of thread {missing}; nothing was made")
        if not self.result.records and self.result.lost:
            raise CorruptStoreError(f"nothing of {self.reader.called} can be read ({self.result.lost[0]}), so nothing was made; restore a backup")
        lost = list(self._lost(connection))
        if commits := lost_commits(self.reader.folder):
            self.result.lost.append(f"the latest commits: {commits}")
            self.result.blind = True
        if half := half_commit(self.reader.folder):
            self.result.lost.append(f"what a commit was to replace: {half}")
            self.result.blind = True
        with self.store._transaction():
            self._kept(lost)
            self._decided()
            self._log()
            self._missing_heads()
            self._open_questions()
        return self.result

    # -- taking over -------------------------------------------------------------------------------------------------------------

    def _format(self) -> None:
        version = FORMAT_VERSION
        with suppress(HitlError, TypeError, LookupError):
            version = unpack(self.reader._must(FORMAT_KEY, ""))[0]
        with self.store._transaction():
            self.store._require_format(version)

    def _take_over(self, connection: sqlite3.Connection) -> None:
        batch: list[tuple[str, bytes]] = []
        for row in bar(every_row(connection), "taking over"):
            if isinstance(row, Gap):
                self.result.blind |= not row.key
                where = f"record {row.key!r}" if row.key else f"rows {row.first} to {row.last}" if row.last < 1 << 61 else f"rows from {row.first} on"
                self.result.lost.append(f"{where}: {row.error}")
                continue
            if type(row.key) is not str or row.raw != 1:
                self.result.lost.append(f"row {row.number}: a key of type {type(row.key).__name__}, which hitl_nb does not write")
                continue
            try:
                record = unseal(row.key, fetch(self.reader.folder, row.mode, row.filename, row.value), "this store", row.filename)
            except (DamagedError, CorruptStoreError) as error:
                self.result.lost.append(unread(row.key, error))
                continue
            if row.key != FORMAT_KEY and not row.key.startswith(GONE_PREFIX) and self._wanted(row.key, record):
                self._note(row.key, record)
                batch.append((row.key, record))
            if len(batch) >= _BATCH:
                self._write(batch)
        self._write(batch)

    def _wanted(self, key: str, record: bytes) -> bool:
        """False for a record of a thread to drop. What was decided is always wanted, and so is the question that it answers."""
        thread_id = thread_of(key)
        with suppress(HitlError, TypeError, LookupError):
            if key.startswith(OPEN_PREFIX):
                thread_id = unpack(record)[0]
            elif key.startswith("q/"):
                thread_id = unpack(record)[1]
        if thread_id not in self.drop:
            return True
        self._found.add(thread_id)
        if key.startswith("q/"):
            return any(self.reader._read(k) is not None for k in (decided_key(key[2:]), vote_key(key[2:], 0)))
        return key.startswith("a/")

    def _note(self, key: str, record: bytes) -> None:
        found = OF_THREAD.match(key)
        if found is not None:
            thread_id = found[1]
            seq = -1 if key[0] in "ha" else int(key.split("/")[1])
            self._threads[thread_id] = max(seq, self._threads.get(thread_id, -1))
            if key.startswith("h/"):
                self._heads.add(thread_id)
            if key.startswith("a/"):
                self._decisions[thread_id] = max(int(key.split("/")[1]) + 1, self._decisions.get(thread_id, 0))
        elif key.startswith(("q/", OPEN_PREFIX)):
            self._threads.setdefault(unpack(record)[1 if key.startswith("q/") else 0], -1)
        elif key.startswith("k/"):
            task, number = key[2:].rsplit("/", 1)
            self._once[task] = max(int(number), self._once.get(task, 0))
        elif key.startswith("d/"):
            with suppress(HitlError):
                entry = LogEntry.from_wire(int(key[2:]), unpack(record))
                if entry.kind in ("decision", "expired"):
                    self._threads.setdefault(entry.thread_id, -1)
                    self._decisions[entry.thread_id] = max(entry.decision + 1, self._decisions.get(entry.thread_id, 0))
                if self._last_entry is None or entry.number > self._last_entry.number:
                    self._last_entry = entry

    def _write(self, batch: list[tuple[str, bytes]]) -> None:
        with self.store._transaction():
            for key, record in batch:
                there = self.store._read(key)
                if there is None:
                    self.store._put(key, record)
                    self.result.records += 1
                elif there != record:
                    self.result.lost.append(f"record {key!r}: it is there twice, with different content; the first one was taken over")
        batch.clear()

    def _lost(self, connection: sqlite3.Connection) -> Iterator[str]:
        """Keys that the index still names, and whose records could not be taken over."""
        told = " ".join(self.result.lost)
        for key in keys_of_index(connection):
            if key == FORMAT_KEY or key.startswith(GONE_PREFIX) or self.store._read(key) is not None:
                continue
            if self.drop and not key.startswith(("a/", "i/", "d", "b/", "w/")):
                thread_id = thread_of(key)
                if thread_id in self.drop or (not thread_id and repr(key) not in told):
                    continue
            if repr(key) not in told:
                self.result.lost.append(f"record {key!r}: the index names it, and it cannot be read")
            found = OF_THREAD.match(key)
            if found is not None:
                self._threads.setdefault(found[1], int(key.split("/")[1]) if key[0] in "cpv" else -1)
            yield key

    # -- rebuilding --------------------------------------------------------------------------------------------------------------

    def _kept(self, lost: list[str]) -> None:
        """What once() kept and is lost gets a mark, so that it is not done again."""
        holes = [kept_key(task, n) for task, highest in self._once.items() for n in range(highest)]
        for key in dict.fromkeys((*(k for k in lost if k.startswith("k/")), *holes)):
            if self.store._read(key) is None:
                self.store._put(key, pack(None))
                self.result.done.append(f"{key}: what once() kept is lost; whoever asks for it gets an error, so that it is not done a second time")

    def _decided(self) -> None:
        for thread_id, count in self._decisions.items():
            for number in range(count):
                raw = self.store._read(decision_key(thread_id, number))
                if raw is None:
                    continue
                interrupt_id = unpack(raw)[0]
                if self.store._read(decided_key(interrupt_id)) is None:
                    self.store._put(decided_key(interrupt_id), pack([thread_id, number]))
                    self.result.done.append(f"question {interrupt_id}: that decision {number} of thread {thread_id!r} answered it was written again")

    def _log(self) -> None:
        last = self._last_entry
        if last is not None and self.store._read(LOG_HEAD) is None:
            self.store._put(LOG_HEAD, pack([last.number + 1, last.hash]))
            self.result.done.append(f"the head of the decision log was lost, and is now its newest entry that is left, {last.number}")

    def _missing_heads(self) -> None:
        for thread_id, highest in self._threads.items():
            if thread_id in self._heads:
                continue
            decisions = self._decisions.get(thread_id, 0)
            if thread_id.partition("\x1f")[0] in self.drop:
                self.store._put(head_key(thread_id), pack(Head("", -1, decisions=decisions).to_wire()))
                continue
            # It stands at a checkpoint that is not there: nothing can be run, and nothing begins anew under this name.
            self.store._put(head_key(thread_id), pack(Head("", highest + 1, decisions=decisions).to_wire()))
            self.result.done.append(f"thread {thread_id!r}: where it stood is lost; it can be read and not be run, so that nothing is asked again")

    def _open_questions(self) -> None:
        for thread_id in sorted(self._heads):
            if is_nested(thread_id):
                continue
            try:
                head = self.store.head(thread_id)
                ledger = Ledger() if head is None else self.store.ledger(thread_id, head)
            except HitlError:
                continue  # damaged, and told by the check
            for asked in ledger.open():
                if self.store._read(OPEN_PREFIX + asked.interrupt_id) is None:
                    self._list_again(asked.interrupt_id, ledger)
        for brief in self.store.open_questions():
            with suppress(HitlError):
                head = self.store.head(brief.thread_id)
                ledger = Ledger() if head is None else self.store.ledger(brief.thread_id, head)
                is_there = self.store._read(question_key(brief.interrupt_id)) is not None
                if not is_there or not ledger.is_open(brief.interrupt_id):
                    self.store._delete(OPEN_PREFIX + brief.interrupt_id)
                    is_lost = brief.thread_id not in self._heads
                    why = (
                        "the question itself is lost"
                        if not is_there
                        else "where its thread stood is lost"
                        if is_lost
                        else "its thread does not ask it"
                    )
                    self.result.done.append(f"question {brief.interrupt_id} of thread {brief.thread_id!r} is no longer listed as open: {why}")

    def _list_again(self, interrupt_id: str, ledger: Ledger) -> None:
        raw = self.store._read(question_key(interrupt_id))
        if raw is None:
            return
        wire, nothing = unpack(raw), self.store.serde.dumps(None, "nothing")
        wire[6], wire[9], wire[12] = nothing, None, [nothing] if wire[12] else []  # values may be of classes that are not loaded here
        brief = OpenQuestion.of(question_from_wire(self.store.serde, wire))
        handed_on = ledger.escalated.get(interrupt_id)
        if handed_on is not None:
            brief = replace(
                brief,
                deadline=from_epoch(handed_on.deadline),
                assignee=handed_on.assignee,
                escalate_to=None,
                escalated_from=handed_on.before,
                escalated_at=from_epoch(handed_on.at),
            )
        self.store._put(OPEN_PREFIX + interrupt_id, pack(brief.to_wire()))
        self.result.done.append(f"question {interrupt_id} of thread {brief.thread_id!r} is listed as open again")
