"""The decision log of a store: append-only, over all threads, each entry chained to the one before by its hash.

An entry is written in the transaction of what it tells, so both are there or neither. It is a MessagePack list (see `LogEntry.to_wire`), its hash is
BLAKE2b-256 over that, and the list holds the hash of the entry before: whoever changes, removes or reorders one has to rewrite all behind it, and
then the hash of the newest entry is another. Kept elsewhere, that hash proves the whole log. In the folder alone, it proves nothing against somebody
who can write there and knows this file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, Literal

from hitl_nb.checkpoint.keys import OPEN_PREFIX, decided_key, log_key, question_key, withdrawn_key
from hitl_nb.checkpoint.records import Checkpoint, Decision, Escalated, Withdrawn, from_epoch, to_epoch
from hitl_nb.checkpoint.sealing import READABLE
from hitl_nb.checkpoint.serde import pack, unpack
from hitl_nb.checkpoint.voting import Vote
from hitl_nb.errors import CorruptStoreError, NotEntitledError

if TYPE_CHECKING:
    from hitl_nb.checkpoint.base import Checkpointer
    from hitl_nb.checkpoint.reading import ThreadReader

Kind = Literal["decision", "expired", "vote", "refused", "escalated", "withdrawn", "went back"]
ANSWERS: Final = ("decision", "expired", "vote")
"""The kinds that hold an answer."""
LOG_HEAD: Final = "d!head"
VERSION: Final = 2
"""Of an entry. Entries of version 1 hold thread, number, digest and the hash before, and no version."""
_EMPTY: Final = b""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One thing that was decided, or that no longer is."""

    number: int
    """0, 1, … over the whole store."""
    kind: Kind
    """decision: somebody answered. expired: the question's default became its answer. vote: a reviewer answered a question that several have to
    answer alike. refused: somebody answered who may not, and that was not taken. escalated: it went to the next person. withdrawn: the question, or
    its answer, no longer counts. went back: the thread went back to an earlier checkpoint, and what was decided behind that no longer counts."""
    thread_id: str
    interrupt_id: str = ""
    """The question; empty when it is about the thread."""
    node: str = ""
    recorded_at: datetime | None = None
    """When the entry was written, by the clock of the process that wrote it; None for an entry of version 1."""
    by: str = ""
    """Who gave an answer, taken or not; of an escalation, who is asked now; who reopened a question. Empty where nobody is known."""
    detail: str = ""
    """How it was decided; why it was refused or withdrawn."""
    decision: int = -1
    """The number of the decision in its thread, or of the vote on its question; -1: none."""
    decision_digest: bytes = _EMPTY
    """BLAKE2b-256 of the record of the decision or vote."""
    question_digest: bytes = _EMPTY
    """BLAKE2b-256 of the question's record: what was shown."""
    before: bytes = _EMPTY
    """The hash of the entry before; empty for the first."""
    hash: bytes = _EMPTY
    version: int = VERSION

    def to_wire(self) -> list[Any]:
        """What the hash is over."""
        if self.version == 1:
            return [self.thread_id, self.decision, self.decision_digest, self.before]
        at = None if self.recorded_at is None else to_epoch(self.recorded_at)
        return [
            self.version, self.number, self.kind, self.thread_id, self.interrupt_id, self.node, at, self.by, self.detail,
            self.decision, self.decision_digest, self.question_digest, self.before,
        ]  # fmt: skip

    @classmethod
    def from_wire(cls, n: int, w: list[Any]) -> LogEntry:
        """The entry that stands at place `n`. Raises CorruptStoreError for what is none."""
        try:
            if len(w) == 5:
                thread_id, decision, digest, before, link = w
                return cls(n, "decision", thread_id, decision=decision, decision_digest=digest, before=before, hash=link, version=1)
            version, number, kind, thread_id, interrupt_id, node, at, by, detail, decision, made, asked, before, link = w
            time = None if at is None else from_epoch(at)
            return cls(number, kind, thread_id, interrupt_id, node, time, by, detail, decision, made, asked, before, link, version)
        except (TypeError, ValueError, OverflowError, OSError) as error:
            raise CorruptStoreError(f"entry {n} of the decision log is no entry: {error}") from None

    def link(self) -> bytes:
        """The hash that it has to have."""
        return blake2b(pack(self.to_wire()), digest_size=16 if self.version == 1 else 32).digest()


def digest(record: bytes, entry: LogEntry | None = None) -> bytes:
    """Of a record, as entries hold it."""
    return blake2b(record, digest_size=16 if entry is not None and entry.version == 1 else 32).digest()


# -- writing: only inside a transaction --------------------------------------------------------------------------------------------------


_acting: Final = ContextVar("acting", default="")


@contextmanager
def acting(name: str) -> Iterator[None]:
    """Whoever is named here is the one who withdraws what is withdrawn inside."""
    token = _acting.set(name)
    try:
        yield
    finally:
        _acting.reset(token)


def log_decision(store: Checkpointer, decision: Decision, record: bytes, kind: Kind) -> None:
    asked = store._read(question_key(decision.interrupt_id))
    _append(
        store,
        kind,
        decision.thread_id,
        decision.interrupt_id,
        decision.node,
        by=decision.reviewer,
        detail=decision.how,
        decision=decision.number,
        decision_digest=digest(record),
        question_digest=_EMPTY if asked is None else digest(asked),
    )


def log_vote(store: Checkpointer, vote: Vote, record: bytes) -> None:
    _append(
        store,
        "vote",
        vote.thread_id,
        vote.interrupt_id,
        vote.node,
        by=vote.reviewer,
        detail=vote.how,
        decision=vote.number,
        decision_digest=digest(record),
        question_digest=digest(store._must(question_key(vote.interrupt_id), vote.thread_id)),
    )


def log_refusal(store: Checkpointer, error: NotEntitledError) -> None:
    """Of an answer that was not taken. What it said is not kept."""
    _append(store, "refused", error.thread_id or "", error.interrupt_id or "", error.node or "", by=error.reviewer, detail=error.reason)


def log_event(store: Checkpointer, thread_id: str, event: Withdrawn | Escalated) -> None:
    """Of an event that is being written. One that is only repeated at another checkpoint is logged already."""
    interrupt_id = event.interrupt_id
    is_open = store._read(OPEN_PREFIX + interrupt_id) is not None
    decided = store._read(decided_key(interrupt_id))
    if isinstance(event, Escalated):
        if is_open:
            detail = f"after {event.before}" if event.before else ""
            _append(store, "escalated", thread_id, interrupt_id, _node(store, interrupt_id), by=event.assignee, detail=detail)
        return
    if decided is not None and store._read(withdrawn_key(interrupt_id)) is None:
        store._put(withdrawn_key(interrupt_id), _EMPTY)
    elif not is_open:
        return
    number = -1 if decided is None else unpack(decided)[1]
    _append(store, "withdrawn", thread_id, interrupt_id, _node(store, interrupt_id), by=_acting.get(), detail=event.reason, decision=number)


def log_return(store: Checkpointer, thread_id: str, checkpoint: Checkpoint) -> None:
    """Of a checkpoint by which the thread went back."""
    _append(store, "went back", thread_id, by=_acting.get(), detail=f"to checkpoint {checkpoint.parent}")


def _append(store: Checkpointer, kind: Kind, thread_id: str, interrupt_id: str = "", node: str = "", **more: Any) -> None:
    raw = store._read(LOG_HEAD)
    number, before = unpack(raw) if raw else (0, _EMPTY)
    entry = LogEntry(number, kind, thread_id, interrupt_id, node, store.clock(), before=before, **more)
    link = entry.link()
    store._put(log_key(number), pack([*entry.to_wire(), link]))
    store._put(LOG_HEAD, pack([number + 1, link]))


def _node(store: Checkpointer, interrupt_id: str) -> str:
    raw = store._read(question_key(interrupt_id))
    return "" if raw is None else str(unpack(raw)[2])


# -- reading -----------------------------------------------------------------------------------------------------------------------------


def log_head(store: ThreadReader) -> tuple[int, bytes]:
    """How many entries there are, and the hash of the newest."""
    raw = store._read(LOG_HEAD)
    if raw is None:
        return 0, _EMPTY
    try:
        count, link = unpack(raw)
    except (TypeError, ValueError):
        raise CorruptStoreError(f"record {LOG_HEAD!r} of {store.called} says not where the decision log ends. {READABLE}") from None
    return int(count), bytes(link)


def log_entries(store: ThreadReader) -> Iterator[LogEntry]:
    """The entries, the oldest first. Raises CorruptStoreError where one is missing."""
    for n in range(log_head(store)[0]):
        raw = store._read(log_key(n))
        if raw is None:
            raise CorruptStoreError(f"entry {n} of the decision log of {store.called} is missing; hitl-nb audit --verify says what else is")
        yield LogEntry.from_wire(n, unpack(raw))
