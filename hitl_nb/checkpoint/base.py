"""The contract of a checkpointer, and everything about threads that does not depend on where the bytes lie.

A backend supplies six small things: `_read`, `_put`, `_delete`, `_scan`, `_transaction` and `guard`. What a thread is, how it
moves and when an answer counts is written once, here, so all backends behave alike.

Records (every key ends with what varies most, so no two can be confused; thread ids hold no control characters)::

    h/<thread>                  Head; the only record of a thread that is overwritten
    c/<seq>/<thread>            Checkpoint, with its small values
    v/<seq>/<slot>/<thread>     one large value
    p/<seq>/<n>/<thread>        a batch of events of checkpoint seq
    q/<interrupt id>            Question
    a/<number>/<thread>         Decision
    i/<interrupt id>            [thread, number]: the decision that answered it; written once, so an answer counts once
    !o/<interrupt id>           an open question, in brief; sorts first, deleted when answered
    d/<n>, d!head               the decision log of the store, each entry chained to the one before by its hash

What is atomic: `commit` and `answer` are one transaction each. All of it is written or nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b
from typing import Any, ClassVar, Final

from hitl_nb.checkpoint.ledger import Ledger
from hitl_nb.checkpoint.records import (
    UNSET,
    Answered,
    Checkpoint,
    Decision,
    Event,
    Head,
    Question,
    ValueRef,
    Withdrawn,
    event_from_wire,
    event_to_wire,
    from_epoch,
    to_epoch,
)
from hitl_nb.checkpoint.serde import Serde, pack, unpack
from hitl_nb.errors import (
    AlreadyAnsweredError,
    AmbiguousAnswerError,
    CorruptStoreError,
    ThreadMovedError,
    UnknownInterruptError,
    UnknownThreadError,
)

OPEN_PREFIX: Final = "!o/"
INLINE_MAX: Final = 4096
"""Bytes up to which a value lies inside its checkpoint's record."""


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """An open question in brief, as a listing over all threads needs it."""

    interrupt_id: str
    thread_id: str
    node: str
    graph: str
    created_at: datetime
    deadline: datetime | None
    assignee: str | None


def check_thread_id(thread_id: object) -> str:
    """The thread id, or a ValueError/TypeError that says what is wrong with it."""
    if not isinstance(thread_id, str):
        raise TypeError(f"thread_id is {thread_id!r} ({type(thread_id).__name__}); expected a non-empty str, for example 'article-1'")
    if not thread_id or len(thread_id) > 512:
        raise ValueError(f"thread_id has {len(thread_id)} characters; expected 1 to 512")
    if any(ord(c) < 32 or 0xD800 <= ord(c) <= 0xDFFF for c in thread_id):
        raise ValueError(f"thread_id {thread_id!r} holds a control character or half a surrogate pair; use printable text")
    return thread_id


class Checkpointer(ABC):
    """Keeps threads. Methods may be called from any thread and any process that shares the store.

    `types`: classes (dataclasses, Enums, pydantic models) that values may hold although they are not importable by name, for example ones
    defined inside a function.
    """

    blocking: ClassVar[bool] = True
    """True when a call may wait for a disk, so that an event loop hands it to a thread."""

    def __init__(self, *, types: Iterable[type] = ()) -> None:
        self.serde = Serde(types)

    # -- what a backend supplies -------------------------------------------------------------------------------------------------

    @abstractmethod
    def _read(self, key: str) -> bytes | None:
        """The record, or None. Raises CorruptStoreError when it is there but altered or cut short."""

    @abstractmethod
    def _put(self, key: str, record: bytes) -> None:
        """Write a record; only inside `_transaction`."""

    @abstractmethod
    def _delete(self, key: str) -> None:
        """Remove a small record; only inside `_transaction`."""

    @abstractmethod
    def _scan(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        """The records whose key starts with `prefix`, without reading others."""

    @abstractmethod
    def _transaction(self) -> AbstractContextManager[Any]:
        """All writes inside become visible and durable together, or not at all; one writer at a time, over all processes; `_read` sees them."""

    @abstractmethod
    def guard(self, thread_id: str) -> AbstractContextManager[None]:
        """Hold the thread for running. Raises ThreadBusyError when somebody else holds it; a killed holder frees it at once."""

    def close(self) -> None:
        """Free what the backend holds open. The checkpointer can be used again afterwards."""

    # -- reading -----------------------------------------------------------------------------------------------------------------

    def head(self, thread_id: str) -> Head | None:
        """Where the thread stands, or None when there is no such thread."""
        raw = self._read(f"h/{thread_id}")
        return None if raw is None else Head.from_wire(unpack(raw))

    def checkpoint(self, thread_id: str, seq: int) -> Checkpoint:
        """A checkpoint by number. Raises CorruptStoreError when it is missing."""
        return Checkpoint.from_wire(unpack(self._must(f"c/{seq:010d}/{thread_id}", thread_id)))

    def ledger(self, thread_id: str, head: Head, seq: int | None = None) -> Ledger:
        """The events of a checkpoint (default: of the head's), added up."""
        if seq is None or seq == head.seq:
            seq, batches = head.seq, head.events
        else:
            batches = self.checkpoint(thread_id, seq + 1).events_before
        return Ledger(event_from_wire(w) for n in range(batches) for w in unpack(self._must(f"p/{seq:010d}/{n:06d}/{thread_id}", thread_id)))

    def values(self, thread_id: str, checkpoint: Checkpoint) -> dict[str, Any]:
        """The whole state at a checkpoint: a fresh copy at each call."""
        return {key: self.serde.loads(data) for key, data in self.encoded(thread_id, checkpoint).items()}

    def encoded(self, thread_id: str, checkpoint: Checkpoint) -> dict[str, bytes]:
        """The whole state at a checkpoint, each value as the bytes that were written."""
        records: dict[int, Mapping[str, bytes]] = {checkpoint.seq: checkpoint.inline}
        return {key: self._value(thread_id, key, ref, records) for key, ref in checkpoint.versions.items()}

    def question(self, interrupt_id: str) -> Question | None:
        """A question by id, open or not; None when there never was one."""
        raw = self._read(f"q/{interrupt_id}")
        return None if raw is None else self._question_from(unpack(raw))

    def decision(self, interrupt_id: str) -> Decision | None:
        """The decision that answered this question, or None."""
        raw = self._read(f"i/{interrupt_id}")
        if raw is None:
            return None
        thread_id, number = unpack(raw)
        return self._decision_from(unpack(self._must(f"a/{number:010d}/{thread_id}", thread_id)))

    def decisions(self, thread_id: str) -> list[Decision]:
        """Every decision of the thread, the oldest first; those on questions reopened later too."""
        head = self.head(thread_id)
        count = head.decisions if head else 0
        return [self._decision_from(unpack(self._must(f"a/{n:010d}/{thread_id}", thread_id))) for n in range(count)]

    def open_questions(self) -> list[OpenQuestion]:
        """All open questions over all threads, the oldest first; costs nothing for threads that wait for nobody."""
        found = []
        for key, raw in self._scan(OPEN_PREFIX):
            thread_id, node, graph, created, deadline, assignee = unpack(raw)
            due = None if deadline is None else from_epoch(deadline)
            found.append(OpenQuestion(key.removeprefix(OPEN_PREFIX), thread_id, node, graph, from_epoch(created), due, assignee))
        return sorted(found, key=lambda q: (q.created_at, q.interrupt_id))

    def history(self, thread_id: str, *, before: int | None = None, limit: int | None = None) -> Iterator[Checkpoint]:
        """The thread's checkpoints, the newest first, by computed keys: the cost is that of the ones read."""
        head = self.head(thread_id)
        top = -1 if head is None else head.seq if before is None else min(head.seq, before - 1)
        low = -1 if limit is None else max(-1, top - limit)
        for seq in range(top, low, -1):
            yield self.checkpoint(thread_id, seq)

    # -- writing -----------------------------------------------------------------------------------------------------------------

    def commit(
        self,
        thread_id: str,
        expect: Head | None,
        *,
        closing: Sequence[Event] = (),
        checkpoint: Checkpoint | None = None,
        large: Mapping[int, bytes] | None = None,
        events: Sequence[Event] = (),
        questions: Sequence[Question] = (),
        decisions: Sequence[Decision] = (),
        input_digest: str | None = None,
    ) -> Head:
        """Move the thread on, in one transaction.

        `expect` is the head the caller worked from (None: the thread is new). `closing` events belong to that head's checkpoint, `events` to the
        new `checkpoint` (or to the current one when none is given). `large` holds the value records by slot. `questions` are stored and listed as
        open; `decisions` (whose Answered events the caller put among the events) are numbered, stored and logged.

        Returns the new head. Its `events` is larger than the caller's own count when answers arrived meanwhile.
        Raises ThreadMovedError, and writes nothing, when the thread is elsewhere than `expect`, or when a new checkpoint would pass over events
        the caller has not seen; the same for `decisions`, so that one never lands on a question answered meanwhile.
        """
        with self._transaction():
            now = self.head(thread_id)
            if (now is None) != (expect is None) or (now and expect and (now.nonce, now.seq) != (expect.nonce, expect.seq)):
                raise ThreadMovedError(
                    f"thread {thread_id!r} moved to {_where(now)} while this run worked from {_where(expect)}; nothing was written, read it again",
                    thread_id=thread_id,
                )
            if (checkpoint is not None or decisions) and now and expect and now.events != expect.events:
                raise ThreadMovedError(f"thread {thread_id!r} got an answer meanwhile; nothing was written, read it again", thread_id=thread_id)
            head = now or Head(nonce=checkpoint.nonce if checkpoint else "", seq=-1)
            if closing and now is not None:
                head = self._append(thread_id, head, closing)
            if checkpoint is not None:
                if checkpoint.events_before != head.events:
                    checkpoint = replace(checkpoint, events_before=head.events)
                for slot, record in (large or {}).items():
                    self._put(f"v/{checkpoint.seq:010d}/{slot:04d}/{thread_id}", record)
                self._put(f"c/{checkpoint.seq:010d}/{thread_id}", pack(checkpoint.to_wire()))
                head = Head(head.nonce, checkpoint.seq, 0, head.decisions, head.input_digest)
            if events:
                head = self._append(thread_id, head, events)
            for question in questions:
                self._ask(question)
            for decision in decisions:
                head = self._decide(thread_id, head, decision)
            if input_digest is not None:
                head = replace(head, input_digest=input_digest)
            self._put(f"h/{thread_id}", pack(head.to_wire()))
        return head

    def answer(self, thread_id: str, decisions: Sequence[Decision]) -> Head:
        """Record the answers to open questions, all or none, without running the graph.

        Each `decision.answer` must have been checked before. `number` is assigned here. The answers are durable when this returns.
        Raises UnknownThreadError, AlreadyAnsweredError (who and when), UnknownInterruptError; then nothing was written.
        """
        with self._transaction():
            head = self.head(thread_id)
            if head is None:
                raise UnknownThreadError(f"the store holds no thread {thread_id!r}, so nothing was answered", thread_id=thread_id)
            ledger = self.ledger(thread_id, head)
            if len({d.interrupt_id for d in decisions}) < len(decisions):
                raise AmbiguousAnswerError(f"thread {thread_id!r} got two answers to one question at once; neither was taken", thread_id=thread_id)
            for decision in decisions:
                self.require_open(thread_id, decision.interrupt_id, ledger)
            head = self._append(thread_id, head, [Answered(d.interrupt_id, self.serde.dumps(d.answer, "answer")) for d in decisions])
            for decision in decisions:
                head = self._decide(thread_id, head, decision)
            self._put(f"h/{thread_id}", pack(head.to_wire()))
        return head

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

    # -- pieces of a transaction -------------------------------------------------------------------------------------------------

    def _append(self, thread_id: str, head: Head, events: Sequence[Event]) -> Head:
        self._put(f"p/{head.seq:010d}/{head.events:06d}/{thread_id}", pack([event_to_wire(e) for e in events]))
        for event in events:
            if isinstance(event, Withdrawn):
                self._delete(OPEN_PREFIX + event.interrupt_id)
        return replace(head, events=head.events + 1)

    def _ask(self, q: Question) -> None:
        self._put(f"q/{q.id}", pack(self._question_wire(q)))
        brief = [q.thread_id, q.node, q.graph, to_epoch(q.created_at), None if q.deadline is None else to_epoch(q.deadline), q.assignee]
        self._put(OPEN_PREFIX + q.id, pack(brief))

    def _decide(self, thread_id: str, head: Head, decision: Decision) -> Head:
        decision = replace(decision, number=head.decisions, seq=head.seq)
        if self._read(f"i/{decision.interrupt_id}") is not None:
            raise CorruptStoreError(f"question {decision.interrupt_id} of thread {thread_id!r} is open and answered at once", thread_id=thread_id)
        record = pack(self._decision_wire(decision))
        self._put(f"a/{decision.number:010d}/{thread_id}", record)
        self._put(f"i/{decision.interrupt_id}", pack([thread_id, decision.number]))
        self._delete(OPEN_PREFIX + decision.interrupt_id)
        raw = self._read("d!head")
        n, last = unpack(raw) if raw else (0, b"")
        entry = [thread_id, decision.number, blake2b(record, digest_size=16).digest(), last]
        link = blake2b(pack(entry), digest_size=16).digest()
        self._put(f"d/{n:012d}", pack([*entry, link]))
        self._put("d!head", pack([n + 1, link]))
        return replace(head, decisions=head.decisions + 1)

    def _value(self, thread_id: str, key: str, ref: ValueRef, records: dict[int, Mapping[str, bytes]]) -> bytes:
        if ref.slot >= 0:
            name = f"v/{ref.seq:010d}/{ref.slot:04d}/{thread_id}"
            raw = self._must(name, thread_id)
            if len(raw) != ref.length or blake2b(raw, digest_size=16).digest() != ref.digest:
                raise CorruptStoreError(
                    f"state[{key!r}] of thread {thread_id!r} (record {name}) has {len(raw)} of {ref.length} bytes, or other content than was "
                    f"written; restore the store from a backup or go back to a checkpoint before {ref.seq}",
                    thread_id=thread_id,
                )
            return raw
        if ref.seq not in records:
            records[ref.seq] = self.checkpoint(thread_id, ref.seq).inline
        return records[ref.seq][key]

    def _must(self, key: str, thread_id: str) -> bytes:
        raw = self._read(key)
        if raw is None:
            raise CorruptStoreError(f"record {key!r} of thread {thread_id!r} is missing from the store", thread_id=thread_id)
        return raw

    def _question_wire(self, q: Question) -> list[Any]:
        due = None if q.deadline is None else to_epoch(q.deadline)
        default = [] if q.default is UNSET else [self.serde.dumps(q.default, "default")]
        schema = None if q.schema is None else self.serde.dumps(dict(q.schema), "schema")
        payload = self.serde.dumps(q.payload, "payload")
        return [
            q.id, q.thread_id, q.node, q.task_id, q.position, q.digest, payload, to_epoch(q.created_at),
            q.kind, schema, q.key, due, default, q.assignee, q.graph, q.path,
        ]  # fmt: skip

    def _question_from(self, w: Sequence[Any]) -> Question:
        loads = self.serde.loads
        return Question(
            id=w[0],
            thread_id=w[1],
            node=w[2],
            task_id=w[3],
            position=w[4],
            digest=w[5],
            payload=loads(w[6]),
            created_at=from_epoch(w[7]),
            kind=w[8],
            schema=None if w[9] is None else loads(w[9]),
            key=w[10],
            deadline=None if w[11] is None else from_epoch(w[11]),
            default=loads(w[12][0]) if w[12] else UNSET,
            assignee=w[13],
            graph=w[14],
            path=tuple(w[15]),
        )

    def _decision_wire(self, d: Decision) -> list[Any]:
        answer = self.serde.dumps(d.answer, "answer")
        return [d.interrupt_id, d.thread_id, d.node, d.number, answer, d.reviewer, to_epoch(d.decided_at), d.how, d.payload_digest, d.seq]

    def _decision_from(self, w: Sequence[Any]) -> Decision:
        return Decision(w[0], w[1], w[2], w[3], self.serde.loads(w[4]), w[5], from_epoch(w[6]), w[7], w[8], w[9])


def already_answered(decision: Decision) -> AlreadyAnsweredError:
    """The error for whoever comes second: it names who was first, and when."""
    return AlreadyAnsweredError(
        f"the question of node {decision.node!r} (thread {decision.thread_id!r}) was answered by {decision.reviewer} at "
        f"{decision.decided_at:%Y-%m-%d %H:%M:%S} UTC; this answer was not taken. "
        f"To change the decision: graph.reopen(config, {decision.interrupt_id!r})",
        thread_id=decision.thread_id,
        node=decision.node,
        interrupt_id=decision.interrupt_id,
        reviewer=decision.reviewer,
        answered_at=decision.decided_at,
    )


def _where(head: Head | None) -> str:
    return "nothing (a new thread)" if head is None else f"checkpoint {head.nonce}-{head.seq:010d}"
