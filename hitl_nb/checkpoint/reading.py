"""What is stored, read back: the half of a checkpointer that changes nothing. The records are those of base.py."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from hashlib import blake2b
from typing import Any

from hitl_nb.checkpoint.keys import (
    OPEN_PREFIX,
    checkpoint_key,
    decided_key,
    decision_key,
    events_key,
    graph_key,
    head_key,
    kept_key,
    question_key,
    value_key,
    vote_key,
)
from hitl_nb.checkpoint.ledger import Ledger
from hitl_nb.checkpoint.questions import (
    OpenQuestion,
    decision_from_wire,
    question_from_wire,
)
from hitl_nb.checkpoint.records import (
    Checkpoint,
    Decision,
    Event,
    Head,
    Question,
    ValueRef,
    event_from_wire,
)
from hitl_nb.checkpoint.sealing import READABLE
from hitl_nb.checkpoint.serde import Serde, unpack
from hitl_nb.checkpoint.voting import Vote, vote_from_wire
from hitl_nb.errors import (
    AlreadyAnsweredError,
    CorruptStoreError,
    HitlError,
    UnknownInterruptError,
    shown,
    utc,
)
from hitl_nb.plain.tracebacks import calls_let_go


@calls_let_go
class ThreadReader(ABC):
    """The reading half of a checkpointer."""

    def __init__(self, *, types: Iterable[type] = ()) -> None:
        self.serde = Serde(types)
        self.called = "the store"
        """What errors call it; one on disk names its folder."""

    # -- what a backend supplies -------------------------------------------------------------------------------------------------

    @abstractmethod
    def _read(self, key: str) -> bytes | None:
        """The record, or None. Raises CorruptStoreError when it is there but altered or cut short."""

    @abstractmethod
    def _scan(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        """The records whose key starts with `prefix`, without reading others."""

    @contextmanager
    def at_one_moment(self) -> Iterator[ThreadReader]:
        """What reads the store as it is at one moment, however many write meanwhile."""
        yield self

    def was_one_moment(self) -> bool:
        """Inside `at_one_moment`: False when somebody began to write to what nobody had open, so that it has to be read again."""
        return True

    # -- reading -----------------------------------------------------------------------------------------------------------------

    def head(self, thread_id: str) -> Head | None:
        """Where the thread stands, or None when there is no such thread."""
        key = head_key(thread_id)
        raw = self._read(key)
        if raw is None:
            return None
        head: Head = self._made(key, raw, _head)
        return head if head.seq >= 0 else None

    def checkpoint(self, thread_id: str, seq: int) -> Checkpoint:
        """A checkpoint by number. Raises CorruptStoreError when it is missing."""
        key = checkpoint_key(thread_id, seq)
        made: Checkpoint = self._made(key, self._must(key, thread_id), Checkpoint.from_wire)
        return made

    def ledger(self, thread_id: str, head: Head, seq: int | None = None) -> Ledger:
        """The events of a checkpoint (default: of the head's), added up."""
        return Ledger(self.events(thread_id, head, seq))

    def events(self, thread_id: str, head: Head, seq: int | None = None) -> Iterator[Event]:
        """The events of a checkpoint (default: of the head's), in the order they happened."""
        if seq is None or seq == head.seq:
            seq, batches = head.seq, head.events
        else:
            batches = self.checkpoint(thread_id, seq + 1).events_before
        keys = (events_key(thread_id, seq, n) for n in range(batches))
        return (event for key in keys for event in self._made(key, self._must(key, thread_id), _events))

    def values(self, thread_id: str, checkpoint: Checkpoint) -> dict[str, Any]:
        """The whole state at a checkpoint: a fresh copy at each call."""
        encoded = self.encoded(thread_id, checkpoint)
        return {key: self._loads(f"state[{key!r}] of thread {thread_id!r}", data) for key, data in encoded.items()}

    def encoded(self, thread_id: str, checkpoint: Checkpoint) -> dict[str, bytes]:
        """The whole state at a checkpoint, each value as the bytes that were written."""
        records: dict[int, Mapping[str, bytes]] = {checkpoint.seq: checkpoint.inline}
        return {key: self._value(thread_id, key, ref, records) for key, ref in checkpoint.versions.items()}

    def question(self, interrupt_id: str) -> Question | None:
        """A question by id, open or not; None when there never was one. An open one as it stands: who is asked, and until when, may have changed."""
        key = question_key(interrupt_id)
        raw = self._read(key)
        if raw is None:
            return None
        question: Question = self._made(key, raw, lambda w: question_from_wire(self.serde, w))
        brief = None if question.escalate_to is None else self.open_question(interrupt_id)
        return question if brief is None else brief.standing(question)

    def decision(self, interrupt_id: str) -> Decision | None:
        """The decision that answered this question, or None."""
        key = decided_key(interrupt_id)
        raw = self._read(key)
        if raw is None:
            return None
        thread_id, number = self._made(key, raw, lambda w: (w[0], decision_key(*w) and w[1]))
        return self._decision(thread_id, number)

    def decisions(self, thread_id: str, *, deleted: bool = False) -> list[Decision]:
        """Every decision of the thread, the oldest first; those on questions reopened later too.

        `deleted`: also, and before these, the ones of deleted threads that had this name.
        """
        head = self.head(thread_id)
        first = 0 if deleted or head is None else head.first_decision
        last = head.decisions if head is not None else self._left_behind(thread_id) if deleted else 0
        return [self._decision(thread_id, n) for n in range(first, last)]

    def votes(self, interrupt_id: str) -> list[Vote]:
        """Every vote on a question with a quorum, the oldest first, also those that the same reviewer replaced later."""
        return [self._made(key, raw, lambda w: vote_from_wire(self.serde, w)) for key, raw in self._vote_records(interrupt_id)]

    def open_questions(self) -> list[OpenQuestion]:
        """All open questions over all threads, the oldest first; costs nothing for threads that wait for nobody."""
        found = [self._open(key, raw) for key, raw in self._scan(OPEN_PREFIX)]
        return sorted(found, key=lambda q: (q.created_at, q.interrupt_id))

    def open_question(self, interrupt_id: str) -> OpenQuestion | None:
        """An open question by id, in brief; None when it is not open."""
        key = OPEN_PREFIX + interrupt_id
        raw = self._read(key)
        return None if raw is None else self._open(key, raw)

    def overdue(self, now: datetime) -> list[OpenQuestion]:
        """The open questions, over all threads, whose deadline has passed, the oldest first. Costs what `open_questions` does."""
        return [q for q in self.open_questions() if q.overdue(now)]

    def history(self, thread_id: str, *, before: int | None = None, limit: int | None = None) -> Iterator[Checkpoint]:
        """The thread's checkpoints, the newest first, by computed keys: the cost is that of the ones read.

        Ends where the thread was pruned meanwhile, or when it was deleted.
        """
        head = self.head(thread_id)
        if head is None:
            return
        top = head.seq if before is None else min(head.seq, before - 1)
        end = head.first - 1
        for seq in range(top, end if limit is None else max(end, top - limit), -1):
            try:
                found = self.checkpoint(thread_id, seq)
            except CorruptStoreError:
                now = self.head(thread_id)
                if now is not None and now.nonce == head.nonce and now.first <= seq:
                    raise
                return
            yield found

    def beginning(self, thread_id: str, checkpoint: Checkpoint) -> Checkpoint | None:
        """The input that led to a checkpoint; None when that was pruned."""
        while checkpoint.source != "input":
            if checkpoint.parent is None:
                return None
            checkpoint = self.checkpoint(thread_id, checkpoint.parent)
        return checkpoint

    def graph_record(self, fingerprint: str) -> bytes | None:
        """What the graph looked like that checkpoints name by this fingerprint; None when the store does not know it."""
        return self._read(graph_key(fingerprint))

    def kept(self, task_id: str) -> dict[bytes, bytes]:
        """What `once` keeps for a task, by key."""
        found: dict[bytes, bytes] = {}
        while (raw := self._read(name := kept_key(task_id, len(found)))) is not None:
            if unpack(raw) is None:  # the mark of a repair
                raise CorruptStoreError(f"what once() kept for task {task_id} was lost from {self.called}; it is not done a second time")
            key, value = self._made(name, raw, lambda w: (bytes(memoryview(w[0])), bytes(memoryview(w[1]))))
            found[key] = value
        return found

    def require_open(self, thread_id: str, interrupt_id: str, ledger: Ledger | None = None) -> None:
        """Raise AlreadyAnsweredError (who and when) or UnknownInterruptError unless this question of the thread is open now."""
        if ledger is None:
            head = self.head(thread_id)
            ledger = Ledger() if head is None else self.ledger(thread_id, head)
        if ledger.is_open(interrupt_id):
            return
        made = self.decision(interrupt_id)
        if made is not None and made.thread_id == thread_id:
            raise already_answered(made)
        known = ", ".join(a.interrupt_id for a in ledger.open()) or "none"
        question = self.question(interrupt_id)
        stale = question is not None and question.thread_id == thread_id
        what = "is no longer asked" if stale else "is not a question of this thread"
        raise UnknownInterruptError(
            f"{interrupt_id!r} {what} (thread {thread_id!r}); this answer was not taken. Open now: {known}",
            thread_id=thread_id,
            interrupt_id=interrupt_id,
        )

    # -- pieces ------------------------------------------------------------------------------------------------------------------

    def _left_behind(self, thread_id: str) -> int:
        """How many decisions of deleted threads of this name there are, when no thread of the name exists."""
        key = head_key(thread_id)
        raw = self._read(key)
        if raw is None:
            return 0
        head: Head = self._made(key, raw, _head)
        return head.decisions

    def _votes(self, interrupt_id: str) -> Iterator[list[Any]]:
        """What the votes on a question say, the oldest first."""
        return (unpack(raw) for _, raw in self._vote_records(interrupt_id))

    def _vote_records(self, interrupt_id: str) -> Iterator[tuple[str, bytes]]:
        number = 0
        while (raw := self._read(key := vote_key(interrupt_id, number))) is not None:
            yield key, raw
            number += 1

    def _decision(self, thread_id: str, number: int) -> Decision:
        key = decision_key(thread_id, number)
        made: Decision = self._made(key, self._must(key, thread_id), lambda w: decision_from_wire(self.serde, w))
        return made

    def _open(self, key: str, raw: bytes) -> OpenQuestion:
        made: OpenQuestion = self._made(key, raw, lambda w: OpenQuestion.from_wire(key.removeprefix(OPEN_PREFIX), w))
        return made

    def _value(self, thread_id: str, key: str, ref: ValueRef, records: dict[int, Mapping[str, bytes]]) -> bytes:
        if ref.slot >= 0:
            name = value_key(thread_id, ref)
            raw = self._must(name, thread_id)
            if len(raw) != ref.length or blake2b(raw, digest_size=16).digest() != ref.digest:
                raise CorruptStoreError(
                    f"state[{key!r}] of thread {thread_id!r} (record {name!r} of {self.called}) has {len(raw)} of {ref.length} bytes, or other "
                    f"content than was written; go back to a checkpoint before {ref.seq}. {READABLE}",
                    thread_id=thread_id,
                )
            return raw
        if ref.seq not in records:
            records[ref.seq] = self.checkpoint(thread_id, ref.seq).inline
        return records[ref.seq][key]

    def _made(self, key: str, raw: bytes, make: Callable[[Any], Any]) -> Any:
        """What a record says. Raises CorruptStoreError for one that is whole and of another kind than its key."""
        try:
            return make(unpack(raw))
        except CorruptStoreError as error:
            raise self._with_place(f"record {key!r}", error) from error
        except HitlError:
            raise
        except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, OSError) as error:
            why = f"{type(error).__name__}: {shown(error)}"
            raise CorruptStoreError(f"record {key!r} of {self.called} is none of its kind ({why}): it was altered. {READABLE}") from error

    def _loads(self, what: str, data: bytes) -> Any:
        try:
            return self.serde.loads(data)
        except CorruptStoreError as error:
            raise self._with_place(what, error) from error

    def _with_place(self, what: str, error: CorruptStoreError) -> CorruptStoreError:
        """The error, which says where the value lay that could not be read."""
        return error if self.called in str(error) else CorruptStoreError(f"{what} of {self.called}: {error}. {READABLE}")

    def _must(self, key: str, thread_id: str) -> bytes:
        raw = self._read(key)
        if raw is None:
            raise CorruptStoreError(f"record {key!r} of thread {thread_id!r} is missing from {self.called}. {READABLE}", thread_id=thread_id)
        return raw


def already_answered(decision: Decision) -> AlreadyAnsweredError:
    """The error for whoever comes second: it names who was first, and when."""
    return AlreadyAnsweredError(
        f"the question of node {decision.node!r} (thread {decision.thread_id!r}) was answered by {decision.reviewer} at "
        f"{utc(decision.decided_at)}; this answer was not taken. "
        f"To change the decision: graph.reopen(config, {decision.interrupt_id!r})",
        thread_id=decision.thread_id,
        node=decision.node,
        interrupt_id=decision.interrupt_id,
        reviewer=decision.reviewer,
        answered_at=decision.decided_at,
    )


def _head(wire: Any) -> Head:
    head = Head.from_wire(wire)
    sum((head.seq, head.events, head.decisions, head.first, head.first_decision))  # a TypeError where one is no number
    return head


def _events(wire: Any) -> list[Event]:
    return [event_from_wire(w) for w in wire]
