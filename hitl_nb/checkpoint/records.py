"""What a thread is made of in the store: checkpoints, events, questions, decisions.

A thread is a chain of immutable checkpoints, numbered by `seq` from 0. What happens between two checkpoints (a question asked, an answer, a
finished parallel task, a failure) is an event, appended to the checkpoint it happened at. Each record has a `to_wire`/`from_wire` pair of
plain lists; values of the user's state travel inside as bytes that `Serde` made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final, Literal

from hitl_nb.errors import shown

Source = Literal["input", "loop", "update", "fork"]
QuestionKind = Literal["dynamic", "static"]


class _Unset:
    """The private sentinel for 'nothing was given', so that None stays a value."""

    _instance: _Unset | None = None

    def __new__(cls) -> _Unset:
        if cls._instance is None:
            cls._instance = super().__new__(cls)
        return cls._instance

    def __repr__(self) -> str:
        return "<unset>"

    def __bool__(self) -> bool:
        return False


UNSET: Final = _Unset()


def fingerprint(*parts: str | bytes | int, size: int = 16) -> str:
    """Hex digest of the parts, each length-prefixed so that no two lists of parts collide by concatenation."""
    return blake2b(b"".join([_prefixed(part) for part in parts]), digest_size=size).hexdigest()


def fingerprints(*parts: str | bytes | int) -> Callable[[str | int], str]:
    """`fingerprint` of these parts and one more, which the function takes: for many that begin alike."""
    begun = blake2b(b"".join(map(_prefixed, parts)), digest_size=16)

    def of(last: str | int) -> str:
        data = str(last).encode("utf-8", "surrogatepass")
        whole = begun.copy()
        whole.update(b"%d:%b" % (len(data), data))
        return whole.hexdigest()

    return of


def _prefixed(part: str | bytes | int) -> bytes:
    if type(part) is str and part.isascii():  # as nearly always
        return f"{len(part)}:{part}".encode()
    data = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass")
    return b"%d:%b" % (len(data), data)


def task_id(nonce: str, seq: int, path: tuple[str | int, ...]) -> str:
    return fingerprint(nonce, seq, *path)


def boundary_id(nonce: str, seq: int) -> str:
    """The task id under which a checkpoint's static pause is asked: one for before and after together."""
    return task_id(nonce, seq, ("static",))


def utc_now() -> datetime:
    """The time by this machine's clock."""
    return datetime.now(UTC)


LATEST: Final = datetime(9999, 12, 31, tzinfo=UTC)
"""No time that is stored is later: a little behind it, time itself ends."""
_LATEST: Final = LATEST.timestamp()


def to_epoch(at: datetime) -> float:
    """Seconds since 1970, as times are stored: whatever zone it was told in, an instant. Raises ValueError for one that is none, or ends time."""
    seconds = at.timestamp()
    if at.tzinfo is None or seconds > _LATEST:
        instant(at, "a time that is to be stored")
    return seconds


def instant(at: object, called: str) -> datetime:
    """The same instant in UTC, where a day has 24 hours. Raises TypeError for what has no time zone, ValueError for one behind LATEST."""
    if not isinstance(at, datetime) or at.utcoffset() is None:
        raise TypeError(f"{called} is {shown(at)}; expected a datetime with a time zone, such as datetime.now(UTC)")
    with suppress(OverflowError):
        utc = at.astimezone(UTC)
        if utc <= LATEST:
            return utc
    raise ValueError(f"{called} is {shown(at)}; expected one from 0001-01-01 to {LATEST:%Y-%m-%d}, UTC")


def in_utc(clock: Callable[[], datetime]) -> Callable[[], datetime]:
    """The clock, whatever zone it tells the time in."""
    return clock if clock is utc_now else lambda: instant(clock(), "what now() returned")


def from_epoch(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@dataclass(slots=True, unsafe_hash=True)  # not frozen, which would take five times as long to make: there is one for each key of a state
class ValueRef:
    """Where the value of a state key lies. Never changed, but for a digest that is made while it is written."""

    seq: int
    """The checkpoint that wrote it."""
    slot: int = -1
    """-1: inside that checkpoint's record; else the number of its own value record."""
    length: int = 0
    """Bytes of the value record (0 when inline)."""
    digest: bytes = b""
    """blake2b-128 of the value record (empty when inline). One that is written now gets it from its commit, which hashes while it writes."""
    sample: bytes = field(default=b"", compare=False, repr=False)
    """A few bytes of a value that this process wrote: one in which they differ is another one, and need not be hashed to tell."""

    def was_written(self, digest: bytes) -> None:
        """The value is written; for its commit only."""
        self.digest = digest


@dataclass(slots=True, unsafe_hash=True)  # not frozen, which would take five times as long: there is one for each item of a fan-out
class PlannedTask:
    """One node execution of the coming superstep. Never changed."""

    id: str
    """Stable and unique: derived from the thread's nonce, the checkpoint and `path`."""
    node: str
    seq: int
    """The checkpoint it was planned at; a later one when an update of the state took it over."""
    path: tuple[str | int, ...]
    """`("pull", node)` for a task that edges led to, `("push", n)` for the n-th Send."""
    by: tuple[str, ...] = ()
    """The nodes whose completion planned it."""
    arg: bytes | tuple[Any] | None = None
    """The encoded argument of a Send (`(value,)` where nothing is stored); None: the task reads the state."""


@dataclass(slots=True, unsafe_hash=True)  # never changed; not frozen, which would take five times as long to make, and each superstep makes one
class Checkpoint:
    """The state of a thread between two supersteps. Immutable once written."""

    seq: int
    nonce: str
    """Random for each new thread: a deleted and re-used thread id gives other checkpoint and interrupt ids."""
    parent: int | None
    step: int
    """-1 for the input, then 0, 1, … for supersteps and updates."""
    source: Source
    created_at: datetime
    versions: Mapping[str, ValueRef]
    tasks: Sequence[PlannedTask] = ()
    arrived: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """For each list-join edge that waits: the sources that finished. And the deferred nodes that wait, see `topology.DEFERRED`."""
    wrote: tuple[str, ...] = ()
    """The nodes whose results made this checkpoint."""
    graph: str = ""
    """Fingerprint of the graph that wrote it."""
    events_before: int = 0
    """How many batches of events the previous checkpoint (seq - 1) had when this one replaced it as the head."""
    inline: Mapping[str, bytes] = field(default_factory=dict)
    """The small values written by this checkpoint."""
    begun: str = ""
    """Of the input of a graph inside a task: the `input_digest` that its head had from then on."""

    def to_wire(self, events_before: int | None = None) -> list[Any]:
        """`events_before`: another number than its own, as it is known when it is written."""
        return [
            self.seq,
            self.nonce,
            self.parent,
            self.step,
            self.source,
            to_epoch(self.created_at),
            {k: r.seq if r.slot < 0 else [r.seq, r.slot, r.length, r.digest] for k, r in self.versions.items()},
            [[t.id, t.node, t.seq, t.path, t.by, t.arg] for t in self.tasks],
            dict(self.arrived),
            self.wrote,
            self.graph,
            self.events_before if events_before is None else events_before,
            dict(self.inline),
            self.begun,
        ]

    @classmethod
    def from_wire(cls, w: Sequence[Any]) -> Checkpoint:
        return cls(
            seq=w[0],
            nonce=w[1],
            parent=w[2],
            step=w[3],
            source=w[4],
            created_at=from_epoch(w[5]),
            versions={k: ValueRef(r) if isinstance(r, int) else ValueRef(*r) for k, r in w[6].items()},
            tasks=tuple(PlannedTask(t[0], t[1], t[2], tuple(t[3]), tuple(t[4]), t[5]) for t in w[7]),
            arrived={k: tuple(v) for k, v in w[8].items()},
            wrote=tuple(w[9]),
            graph=w[10],
            events_before=w[11],
            inline=w[12],
            begun=w[13],
        )


@dataclass(slots=True, unsafe_hash=True)  # never changed; not frozen, which would take five times as long to make, and each superstep makes one
class Head:
    """Where a thread stands; the one record of a thread that is overwritten, always inside a transaction."""

    nonce: str
    seq: int
    events: int = 0
    """Batches of events of checkpoint `seq` so far."""
    decisions: int = 0
    """Decisions so far: the number of the next one."""
    input_digest: str = ""
    first: int = 0
    """The oldest checkpoint that is kept; the ones before it were pruned."""
    first_decision: int = 0
    """The number of the thread's first decision: the ones before it are of deleted threads of the same name."""
    memories: tuple[str, ...] = ()
    """The nodes of pruned checkpoints whose graphs remember their state from task to task."""

    def at(self, seq: int, events: int, *, decided: int = 0, input_digest: str | None = None) -> Head:
        """The same thread further on. Written out, as every commit needs it: `replace` takes three times as long."""
        given = self.input_digest if input_digest is None else input_digest
        return Head(self.nonce, seq, events, self.decisions + decided, given, self.first, self.first_decision, self.memories)

    def to_wire(self) -> list[Any]:
        return [self.nonce, self.seq, self.events, self.decisions, self.input_digest, self.first, self.first_decision, self.memories]

    @classmethod
    def from_wire(cls, w: Sequence[Any]) -> Head:
        return cls(w[0], w[1], w[2], w[3], w[4], w[5], w[6], tuple(w[7]))


@dataclass(frozen=True, slots=True)
class Question:
    """One interrupt as it is stored. Written once; `id` is bound to task, position and payload (semantics R9)."""

    id: str
    thread_id: str
    node: str
    task_id: str
    position: int
    """0 for the task's first `interrupt()`, 1 for its second, …"""
    digest: str
    """Of the payload."""
    payload: Any
    created_at: datetime
    kind: QuestionKind = "dynamic"
    schema: Mapping[str, Any] | None = None
    """JSON Schema of the answer; None when the author gave none."""
    key: str | None = None
    deadline: datetime | None = None
    default: Any = UNSET
    """The answer that counts when nobody gave one in time; checked like an answer when the question was asked."""
    assignee: str | None = None
    graph: str = ""
    """Display name of the graph."""
    path: tuple[str, ...] = ()
    """The nodes around `node`, the outermost first, when it belongs to a graph that runs inside a node."""
    escalate_to: str | None = None
    """Who is asked next when the deadline passes; None: nobody, or it was handed on already."""
    four_eyes: tuple[str, ...] = ()
    """Who asked for the approval, and may therefore not give it."""
    quorum: int = 1
    """How many reviewers have to give the same answer."""

    @property
    def place(self) -> tuple[str, ...]:
        """The node with those around it."""
        return (*self.path, self.node)

    @property
    def origin(self) -> str:
        """Who asks, for a reader: the graph, the nodes around, the node."""
        return " / ".join([*([self.graph] if self.graph else []), *self.place])


@dataclass(frozen=True, slots=True)
class Decision:
    """An answer with who gave it, when and how. Append-only."""

    interrupt_id: str
    thread_id: str
    node: str
    number: int
    """0, 1, … under the thread's name."""
    answer: Any
    reviewer: str
    decided_at: datetime
    how: str
    """`card`, `console`, `script`, `invoke`, …"""
    payload_digest: str = ""
    seq: int = -1
    """The checkpoint at which the question was open; assigned with `number`."""

    @classmethod
    def on(cls, question: Question, answer: Any, *, reviewer: str, how: str, at: datetime) -> Decision:
        """The decision that an answer is, which has been checked. It is numbered when it is recorded."""
        return cls(question.id, question.thread_id, question.node, -1, answer, reviewer, at, how, question.digest)


@dataclass(frozen=True, slots=True)
class Asked:
    """Event: a task (or a static pause) asks. The question itself is a record of its own."""

    task_id: str
    position: int
    interrupt_id: str
    digest: str
    kind: QuestionKind = "dynamic"
    carried: bool = False
    """True: taken over by an update of the state. It can be answered, and its task runs once more to see whether it still asks the same."""
    owner: tuple[str, ...] = ()
    """The tasks around `task_id`, the outermost first, when it belongs to a graph that runs inside a node."""
    order: tuple[int, ...] = ()
    """Which task of its superstep asks, at each level inside `owner[0]`."""

    @property
    def task(self) -> str:
        """The task of the thread's own superstep that asks, itself or through a graph that it runs."""
        return self.owner[0] if self.owner else self.task_id


@dataclass(frozen=True, slots=True)
class Answered:
    """Event: an open question got its one answer."""

    interrupt_id: str
    answer: bytes
    rebind: bool = False
    """True: given together with an update of the state, so it may answer the payload as it reads after the update (semantics R11)."""
    expired: bool = False
    """True: nobody answered in time, and this is the question's default."""


@dataclass(frozen=True, slots=True)
class Escalated:
    """Event: an open question passed its deadline and was handed on. The question's own record stays as it was asked."""

    interrupt_id: str
    assignee: str
    deadline: float
    """Epoch seconds, until when the new assignee can answer."""
    before: str | None
    """Who was asked before."""
    at: float
    """Epoch seconds."""


@dataclass(frozen=True, slots=True)
class Finished:
    """Event: a task of a superstep finished while others had not."""

    task_id: str
    update: bytes
    """Encoded list of `(key, value)` pairs."""
    goto: tuple[tuple[str, bytes | None], ...] = ()
    """Where it routes: `(node, None)`, or `(node, encoded argument)` for a Send."""
    instead: bool = False
    """True: the edges of its node do not count."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Event: a task raised. The thread can be retried; the event stays as the record of it."""

    task_id: str
    error: str
    """`module.Class: message`"""
    traceback: str = ""
    at: float = 0.0
    handler_from: int = -1
    """-1: the error goes to the caller. Else it goes to the node's error handler, whose first question takes this position."""
    before: tuple[str, ...] = ()
    """What the node and the graphs inside it had asked, by id: the handler's questions come after them."""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Event: a question is no longer open, or its answer and the result that came of it no longer count: it was reopened or replaced."""

    interrupt_id: str
    task_id: str
    position: int
    reason: str = ""
    owner: tuple[str, ...] = ()
    """As in the question's Asked event."""

    @property
    def task(self) -> str:
        """As in the question's Asked event."""
        return self.owner[0] if self.owner else self.task_id

    @classmethod
    def of(cls, asked: Asked, reason: str) -> Withdrawn:
        return cls(asked.interrupt_id, asked.task_id, asked.position, reason, asked.owner)


@dataclass(frozen=True, slots=True)
class Waits:
    """Event: these tasks, each inside the one before, ran and came to a stop at open questions of the graphs that they run."""

    owner: tuple[str, ...]
    open: tuple[str, ...] = ()
    """The ids of those questions. One of them may have its answer already: that came while the tasks ran, so they run again."""


@dataclass(frozen=True, slots=True)
class Undone:
    """Event: the result of this task no longer counts, because a question inside it was reopened."""

    task_id: str


Event = Asked | Answered | Escalated | Finished | Failed | Withdrawn | Waits | Undone
_EVENTS: Final[dict[str, type[Any]]] = {c.__name__: c for c in (Asked, Answered, Escalated, Finished, Failed, Withdrawn, Waits, Undone)}


def event_to_wire(e: Event) -> list[Any]:
    return [type(e).__name__, *(getattr(e, name) for name in e.__dataclass_fields__)]


def event_from_wire(w: Sequence[Any]) -> Event:
    kind, *args = w
    if kind == "Finished":
        args[2] = tuple((node, arg) for node, arg in args[2])
    elif kind in ("Asked", "Failed", "Withdrawn", "Waits"):
        args = [tuple(a) if isinstance(a, list) else a for a in args]
    event: Event = _EVENTS[kind](*args)
    return event
