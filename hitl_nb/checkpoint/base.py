"""The contract of a checkpointer, and everything about threads that does not depend on where the bytes lie.

A backend supplies seven small things: `_read`, `_put`, `_delete`, `_erase`, `_scan`, `_transaction`, `guard`. What a thread is, how it
moves and when an answer counts is written once, here, so all backends behave alike.

Records (every key ends with what varies most, so no two can be confused; thread ids hold no control characters)::

    h/<thread>                  Head; the only record of a thread that is overwritten; seq -1 for a deleted thread that had decisions
    c/<seq>/<thread>            Checkpoint, with its small values
    v/<seq>/<slot>/<thread>     one large value
    p/<seq>/<n>/<thread>        a batch of events of checkpoint seq
    q/<interrupt id>            Question
    a/<number>/<thread>         Decision
    i/<interrupt id>            [thread, number]: the decision that answered it; written once, so an answer counts once
    !o/<interrupt id>           OpenQuestion, in brief; sorts first, overwritten when it is handed on, deleted when answered
    g/<fingerprint>             what a graph looked like that wrote checkpoints: nodes, edges, state keys
    k/<task id>/<n>             [key, value]: what `once` keeps for a task; n counts from 0 without a gap, so all of a task are found
    w/<interrupt id>            a mark: the answer no longer counts, and the log says so
    b/<interrupt id>/<n>        Vote; n counts from 0 without a gap
    d/<n>, d!head               the decision log of the store, each entry chained to the one before by its hash, see audit.py

What is atomic: `commit`, `record`, `expire` and `keep` are one transaction each, and so is what housekeeping.py does to a whole thread: all of it, or
nothing.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Final, Literal
from uuid import UUID

from hitl_nb.checkpoint import committing, deciding, expiring, housekeeping
from hitl_nb.checkpoint.audit import log_decision, log_event
from hitl_nb.checkpoint.entitlement import Rules
from hitl_nb.checkpoint.keys import OPEN_PREFIX, decided_key, decision_key, events_key, kept_key, question_key
from hitl_nb.checkpoint.ledger import Ledger
from hitl_nb.checkpoint.questions import (
    EXPIRED,
    OpenQuestion,
    decision_to_wire,
    question_to_wire,
)
from hitl_nb.checkpoint.reading import ThreadReader
from hitl_nb.checkpoint.records import (
    Checkpoint,
    Decision,
    Escalated,
    Event,
    Head,
    Question,
    Withdrawn,
    event_to_wire,
    utc_now,
)
from hitl_nb.checkpoint.reviewers import Given, ReviewersFile
from hitl_nb.checkpoint.sealing import digest_of
from hitl_nb.checkpoint.serde import pack, unpack
from hitl_nb.checkpoint.voting import Recorded, Vote, latest
from hitl_nb.errors import NotEntitledError, shown
from hitl_nb.plain.tracebacks import calls_let_go

INLINE_MAX: Final = 4096
"""Bytes up to which a value lies inside its checkpoint's record."""


def check_thread_id(thread_id: object) -> str:
    """The thread id (a UUID as its text), or a ValueError/TypeError that says what is wrong with it."""
    if isinstance(thread_id, UUID):
        return str(thread_id)
    if not isinstance(thread_id, str):
        raise TypeError(f"thread_id is {shown(thread_id)} ({type(thread_id).__name__}); expected a non-empty str such as 'article-1', or a UUID")
    if not thread_id or len(thread_id) > 512:
        raise ValueError(f"thread_id has {len(thread_id)} characters; expected 1 to 512")
    if not thread_id.isprintable() and any(ord(c) < 32 or 0xD800 <= ord(c) <= 0xDFFF for c in thread_id):  # what is printable has neither
        raise ValueError(f"thread_id {shown(thread_id)} holds a control character or half a surrogate pair; expected printable text")
    return thread_id


@calls_let_go
class Checkpointer(ThreadReader):
    """Keeps threads. Methods may be called from any thread and any process that shares the store.

    `types`: classes (dataclasses, Enums, pydantic models) that values may hold although they are not importable by name, for example ones
    defined inside a function.
    `reviewers`: who may answer, as a mapping (`{"reviewers": {"dana": ["legal"]}}`) or the path of such a file; None: anybody.
    """

    blocking: ClassVar[bool] = True
    """True when a call may wait for a disk, so that an event loop hands it to a thread."""

    def __init__(self, *, types: Iterable[type] = (), reviewers: Given | None = None, folder: Path | None = None) -> None:
        super().__init__(types=types)
        self._reviewers = ReviewersFile.of(reviewers, folder)
        self.clock: Callable[[], datetime] = utc_now
        """When an entry of the decision log is written."""
        self._graphs: set[str] = set()
        """Fingerprints of graphs that the store is known to hold, so that not every commit has to look."""

    def rules(self) -> Rules:
        """Who may answer at this moment. Raises ReviewersFileError when the file that says so cannot be read."""
        return Rules(self._reviewers.now())

    def standing_votes(self, interrupt_id: str) -> list[Vote]:
        """The votes on a question that count: each reviewer's latest. Raises ReviewersFileError."""
        votes = self.votes(interrupt_id)
        return latest(votes, self.rules().voter) if votes else votes

    # -- what a backend supplies for writing -------------------------------------------------------------------------------------

    @abstractmethod
    def _put(self, key: str, record: bytes) -> None:
        """Write a record; only inside `_transaction`."""

    def _swap(self, key: str, before: bytes, after: bytes) -> bool:
        """Overwrite a record that is exactly `before`; False, and nothing is written, when it is anything else. Only inside `_transaction`."""
        if self._read(key) != before:
            return False
        self._put(key, after)
        return True

    def _put_value(self, key: str, record: bytes, digest: bytes) -> bytes:
        """Write the record of a large value, whose digest is given or empty; its digest."""
        self._put(key, record)
        return digest or digest_of(record)

    @abstractmethod
    def _delete(self, key: str) -> None:
        """Remove a small record; only inside `_transaction`."""

    @abstractmethod
    def _erase(self, key: str) -> None:
        """Remove a record that was to stay, for deleting and pruning threads; only inside `_transaction`. Decisions and the log are not for this."""

    @abstractmethod
    def _transaction(self, *, lazily: bool = False) -> AbstractContextManager[Any]:
        """All writes inside become visible and durable together, or not at all; one writer at a time, over all processes; `_read` sees them.

        `lazily`: it may be safe from a power cut only with the next transaction that is not. From the end of the process it is safe at once.
        """

    @abstractmethod
    def guard(self, thread_id: str) -> AbstractContextManager[None]:
        """Hold the thread for running. Raises ThreadBusyError when somebody else holds it; a killed holder frees it at once."""

    def _require_format(self, version: int) -> None:
        """Only inside `_transaction`: from now on the store holds what a hitl_nb that reads older formats would overlook, so it must refuse it."""

    def close(self) -> None:
        """Free what the backend holds open. The checkpointer can be used again afterwards."""

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
        graph: bytes | None = None,
        lazily: bool = False,
    ) -> Head:
        """Move the thread on, in one transaction.

        `expect` is the head the caller worked from (None: the thread is new). `closing` events belong to that head's checkpoint, `events` to the
        new `checkpoint` (or to the current one when none is given). `large` holds the value records by slot. `questions` are stored and listed as
        open; `decisions` (whose Answered events the caller put among the events) are numbered, stored and logged.
        `graph` is what the graph that the checkpoint names looks like; it is stored with its first checkpoint.

        `lazily`: a power cut may take it back until the next commit to the store, which takes it along; a killed process may not.

        Returns the new head. Its `events` is larger than the caller's own count when answers arrived meanwhile.
        Raises ThreadMovedError, and writes nothing, when the thread is elsewhere than `expect`, or when a new checkpoint would pass over events
        the caller has not seen; the same for `decisions`, so that one never lands on a question answered meanwhile.
        """
        with self._taking() if decisions else self._transaction(lazily=lazily):
            head = committing.commit(
                self, thread_id, expect, closing=closing, checkpoint=checkpoint, large=large, events=events, questions=questions,
                decisions=decisions, input_digest=input_digest, graph=graph,
            )  # fmt: skip
        self._stored(checkpoint, graph)
        return head

    def commit_all(self, thread_id: str, commits: Sequence[Mapping[str, Any]]) -> Head | None:
        """Several commits (the arguments of each), in one transaction: all of them or none. The head after the last; raises as `commit` does.

        One that names a `thread_id` among its arguments is for that thread, a graph inside this one.
        """
        head = None
        with self._taking():
            for arguments in commits:
                head = committing.commit(self, **{"thread_id": thread_id, **arguments})
        for arguments in commits:
            self._stored(arguments.get("checkpoint"), arguments.get("graph"))
        return head

    def record(self, thread_id: str, decisions: Sequence[Decision], *, known: tuple[Head, Ledger] | None = None) -> Recorded:
        """Record the answers to open questions, all or none, without running the graph. What became of each.

        `known`: what the caller has read of the thread, and need not be read again when it still stands there.

        Each `decision.answer` must have been checked before. `number` is assigned here. The answers are durable when this returns. The answer to a
        question with a quorum is a Vote: the one that completes the quorum becomes its decision, until then the question stays open.
        Raises UnknownThreadError, AlreadyAnsweredError (who and when), UnknownInterruptError, DeadlinePassedError when `decided_at` lies behind the
        deadline, NotEntitledError for a reviewer who may not answer (the decision log says so), ReviewersFileError; then nothing was recorded.
        """
        with self._taking():
            return deciding.record(self, thread_id, decisions, known)

    def answer(self, thread_id: str, decisions: Sequence[Decision]) -> Head:
        """`record`, for whoever only needs the thread's new head."""
        return self.record(thread_id, decisions).head

    def expire(self, interrupt_id: str, now: datetime) -> expiring.Outcome | None:
        """Do what is due for an open question whose deadline has passed at `now`, in one transaction; what it was.

        It is handed on when somebody was named and it was not handed on before; else its default becomes its answer; else it stays open.
        None: there was nothing to do, because it is not overdue, or was answered, withdrawn or handed on meanwhile.
        """
        return expiring.expire(self, interrupt_id, now)

    def keep(self, task_id: str, key: bytes, value: bytes, *, read: int = 0) -> bytes:
        """Keep a value for a task, in a transaction of its own that touches no thread; what is kept now: of two values of a key the first one.

        `read`: how many of the task's values the caller knows, none of them this key's.
        """
        with self._transaction():
            while (raw := self._read(kept_key(task_id, read))) is not None:
                other, first = unpack(raw)
                if other == key:
                    return bytes(first)
                read += 1
            self._put(kept_key(task_id, read), pack([key, value]))
        return value

    # -- threads as a whole ------------------------------------------------------------------------------------------------------

    def delete_thread(self, thread_id: str) -> None:
        """Forget a thread: its checkpoints, values, events and open questions, and the threads of subgraphs inside it. One transaction.

        What was decided is kept, for the decision log is append-only and stays verifiable: the decisions and the questions they answered, see
        `decisions(thread_id, deleted=True)`. The name can be used again: that thread is a new one, with other ids, and its decisions are numbered
        on from the kept ones. A thread that does not exist is no error, so a delete that was cut off can be repeated.

        Raises ThreadBusyError, and deletes nothing, while somebody runs the thread.
        """
        housekeeping.delete(self, check_thread_id(thread_id))

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Make a new thread that stands where `source_thread_id` stands, with its history and values. One transaction.

        The copy is a thread of its own. Results of tasks that finished count in it. A question that is open is open in the copy too, under an id of
        its own; an answer counts for one of them only. Decisions are not copied, as nobody made them twice: a node that had an answer and has not
        finished asks again in the copy, from its first question. Questions of earlier checkpoints are not shown in the copy's history, and their
        answers cannot be reopened there. Threads of subgraphs inside it are copied along.

        Raises UnknownThreadError, ThreadExistsError when there is a thread of the new name, ThreadBusyError while somebody runs one of the two.
        """
        housekeeping.copy(self, check_thread_id(source_thread_id), check_thread_id(target_thread_id))

    def prune(self, thread_ids: Sequence[str], *, strategy: Literal["keep_latest", "delete"] = "keep_latest") -> None:
        """Free the space of old checkpoints, one transaction a thread.

        "keep_latest": each thread keeps where it stands, with its open questions and every value of its state. Its history begins there, and nothing
        goes back further: not `get_state` at an older checkpoint, not `reopen` of a question answered before. Decisions and the questions they
        answered are kept. "delete": as `delete_thread`. A thread that does not exist is no error.

        Raises ThreadBusyError at a thread that somebody runs; the threads named before it are done.
        """
        if isinstance(thread_ids, str):
            raise TypeError(f"prune() got {thread_ids!r}; expected a list of thread ids: prune([{thread_ids!r}])")
        if strategy not in ("keep_latest", "delete"):
            raise ValueError(f"strategy is {strategy!r}; expected 'keep_latest' or 'delete'")
        for thread_id in [check_thread_id(t) for t in thread_ids]:
            if strategy == "delete":
                housekeeping.delete(self, thread_id)
            else:
                housekeeping.keep_latest(self, thread_id)

    async def adelete_thread(self, thread_id: str) -> None:
        """`delete_thread` for asyncio."""
        await asyncio.to_thread(self.delete_thread, thread_id)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """`copy_thread` for asyncio."""
        await asyncio.to_thread(self.copy_thread, source_thread_id, target_thread_id)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: Literal["keep_latest", "delete"] = "keep_latest") -> None:
        """`prune` for asyncio."""
        await asyncio.to_thread(self.prune, thread_ids, strategy=strategy)

    # -- pieces of a transaction -------------------------------------------------------------------------------------------------

    @contextmanager
    def _taking(self) -> Iterator[None]:
        """A transaction that may take answers: one of somebody who may not give it is logged, although the transaction comes to nothing."""
        try:
            with self._transaction():
                yield
        except NotEntitledError as error:
            deciding.refused(self, error)
            raise

    def _stored(self, checkpoint: Checkpoint | None, graph: bytes | None) -> None:
        """After the transaction: the store holds this graph, and need not be asked again."""
        if checkpoint is not None and graph is not None:
            self._graphs.add(checkpoint.graph)

    def _append(self, thread_id: str, head: Head, events: Sequence[Event]) -> Head:
        self._put(events_key(thread_id, head.seq, head.events), pack([event_to_wire(e) for e in events]))
        for event in events:
            if isinstance(event, Withdrawn | Escalated):
                log_event(self, thread_id, event)
            if isinstance(event, Withdrawn):
                self._delete(OPEN_PREFIX + event.interrupt_id)
        return head.at(head.seq, head.events + 1)

    def _ask(self, q: Question) -> None:
        if q.four_eyes or q.quorum > 1:
            self._require_format(2)
        self._put(question_key(q.id), pack(question_to_wire(self.serde, q)))
        self._put(OPEN_PREFIX + q.id, pack(OpenQuestion.of(q).to_wire()))

    def _record(self, thread_id: str, head: Head, decision: Decision) -> tuple[Head, Decision]:
        """Store a decision: the new head, and the decision with its number."""
        decision = replace(decision, number=head.decisions, seq=head.seq)
        record = pack(decision_to_wire(self.serde, decision))
        self._put(decision_key(thread_id, decision.number), record)
        self._put(decided_key(decision.interrupt_id), pack([thread_id, decision.number]))
        self._delete(OPEN_PREFIX + decision.interrupt_id)
        log_decision(self, decision, record, "expired" if decision.how == EXPIRED else "decision")
        return head.at(head.seq, head.events, decided=1), decision
