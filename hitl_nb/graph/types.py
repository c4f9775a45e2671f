"""What users of a graph hold in their hands: commands, interrupts, results, snapshots."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from types import GenericAlias
from typing import Any, ClassVar, Final, NamedTuple

from hitl_nb.checkpoint.records import UNSET, Head, Question
from hitl_nb.checkpoint.voting import Vote
from hitl_nb.errors import shown
from hitl_nb.graph.state.state_class import parts_of

START: Final = "__start__"
END: Final = "__end__"
INTERRUPT: Final = "__interrupt__"

Config = Mapping[str, Any]
"""`{"configurable": {"thread_id": …, "checkpoint_id"?: …, "reviewer"?: …}, "recursion_limit"?: n, "max_concurrency"?: n}`"""


@dataclass(frozen=True, slots=True)
class Send:
    """One execution of `node` with `arg` instead of the state; return it from a path function or in `Command(goto=…)`."""

    node: str
    arg: Any


@dataclass(frozen=True, slots=True)
class Overwrite:
    """In an update: this value replaces what the key holds, past its reducer. Whatever else is written to the key in the same superstep is dropped.

    >>> from hitl_nb import Overwrite
    >>> def forget(state):
    ...     return {"messages": Overwrite([])}
    """

    value: Any


@dataclass(frozen=True, slots=True)
class Command:
    """From a node: write `update` and go to `goto`. To `invoke`: answer open questions with `resume`, after writing `update`.

    `update`: a mapping of state keys, or a list of `(key, value)` pairs. `goto`: a node's name, a Send, or a list of them; END is allowed.
    `resume`: the answer to the one open question, any value, None included. A mapping whose keys are ids of open questions: answers by id, not
    necessarily all. A list: answers in order, to the open questions and to what the same nodes ask next; to answer one question with a list, go
    by id: `{id: [...]}`.
    """

    PARENT: ClassVar[str] = "__parent__"

    update: Mapping[str, Any] | Sequence[tuple[str, Any]] | None = None
    resume: Any = UNSET
    goto: str | Send | Sequence[str | Send] = ()
    graph: str | None = None
    """None: the graph of the node. `Command.PARENT`: the graph around it, whose node ends with this command."""

    def __class_getitem__(cls, goto: Any) -> GenericAlias:
        """`-> Command[Literal["a", "b"]]` says where a node may go; only the picture of the graph reads it."""
        return GenericAlias(cls, goto)

    def writes(self) -> list[tuple[str, Any]]:
        return [] if self.update is None else pairs(self.update, "Command(update=…)")

    def targets(self) -> list[str | Send]:
        if isinstance(self.goto, str | Send):
            return [self.goto]
        if not isinstance(self.goto, Iterable):
            raise TypeError(f"Command(goto={shown(self.goto)}) names no node; expected a node's name, a Send, or a list of them")
        return list(self.goto)


class StateUpdate(NamedTuple):
    """One update of a superstep for `bulk_update_state`."""

    values: Any
    """What the node returns; None: nothing."""
    as_node: str | None = None
    """The node that the update stands for. None: the last one that ran, for an update that is alone in its superstep."""
    task_id: str | None = None
    """The id of the one task that it stands for, where a node has several (`get_state(config).tasks`)."""


def pairs(update: object, where: str) -> list[tuple[str, Any]]:
    """An update as a list of `(key, value)`; TypeError names what came instead. Of an instance: its fields, see `parts_of`."""
    if isinstance(update, (dict, Mapping)):  # dict first: the check against the ABC is the slow one
        found = list(update.items())
    elif isinstance(update, Sequence) and not isinstance(update, str | bytes) and all(isinstance(p, tuple) and len(p) == 2 for p in update):
        found = list(update)
    elif (parts := parts_of(update)) is not None:
        found = list(parts.items())
    else:
        raise TypeError(f"{where} is {shown(update)} ({type(update).__name__}); expected a mapping of state keys to values")
    for n, (key, value) in enumerate(found):
        if type(key) is not str:
            if not isinstance(key, str):
                raise TypeError(f"{where} has the key {shown(key)} ({type(key).__name__}); state keys are str")
            found[n] = (str.__str__(key), value)  # of a StrEnum or NumPy string: what it says, which can be stored and read by any graph
        if key == INTERRUPT:
            raise TypeError(f"{where} has the key {INTERRUPT!r}, which marks the open questions of a result; to pass a result on, give result.state")
        if not key.isascii() and any("\ud800" <= letter <= "\udfff" for letter in key):
            raise TypeError(f"{where} has the key {shown(key)}, which holds half a surrogate pair and cannot be stored; rename it")
    return found


@dataclass(frozen=True)
class Interrupt(Mapping[str, Any]):
    """An open question. Reads as an object and as a mapping: `i.value`, `i["value"]`."""

    value: Any
    """The payload given to `interrupt()`."""
    id: str
    """32 hex digits, bound to the task, the position and the payload."""
    node: str
    schema: Mapping[str, Any] | None = None
    """JSON Schema of the answer, when the author gave a schema."""
    created_at: datetime | None = None
    deadline: datetime | None = None
    assignee: str | None = None
    path: tuple[str, ...] = ()
    """The nodes around `node`, the outermost first, when it belongs to a graph that runs inside a node."""
    four_eyes: tuple[str, ...] = ()
    """Who asked for the approval, and may therefore not give it."""
    quorum: int = 1
    """How many reviewers have to give the same answer."""
    votes: Mapping[str, Any] = field(default_factory=dict)
    """What reviewers answered so far, by name, where several have to answer alike."""

    @classmethod
    def of(cls, q: Question, votes: Iterable[Vote] = ()) -> Interrupt:
        said = {v.reviewer: v.answer for v in votes}
        return cls(q.payload, q.id, q.node, q.schema, q.created_at, q.deadline, q.assignee, q.path, q.four_eyes, q.quorum, said)

    def __getitem__(self, name: str) -> Any:
        if name not in _INTERRUPT_FIELDS:
            raise KeyError(name)
        return getattr(self, name)

    def __iter__(self) -> Iterator[str]:
        return iter(_INTERRUPT_FIELDS)

    def __len__(self) -> int:
        return len(_INTERRUPT_FIELDS)

    def __hash__(self) -> int:
        return hash(self.id)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types only; times as ISO 8601, what JSON has no type for as text."""
        return {name: _jsonable(getattr(self, name)) for name in _INTERRUPT_FIELDS}


_INTERRUPT_FIELDS: Final = tuple(Interrupt.__dataclass_fields__)


def _jsonable(value: Any) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if value - value == 0 else str(value)  # JSON has no NaN and no infinity
        case Mapping():
            return {str(k): _jsonable(v) for k, v in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_jsonable(v) for v in value]
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case bytes():
            return base64.b64encode(value).decode("ascii")
    if hasattr(value, "tolist"):  # NumPy arrays and scalars, Series
        made = value.tolist()
        return str(value) if hasattr(made, "tolist") else _jsonable(made)  # a longdouble gives itself
    if hasattr(value, "to_dict"):  # DataFrames
        return _jsonable(value.to_dict())
    return str(value)


class GraphResult(dict[str, Any]):
    """The state as a plain dict, plus `"__interrupt__"` (a list) while the thread is paused."""

    def __init__(
        self, state: Mapping[str, Any], interrupts: Sequence[Interrupt] = (), next_nodes: Sequence[str] = (), head: Head | None = None
    ) -> None:
        super().__init__(state)
        self._next = tuple(next_nodes)
        self._head = head
        if interrupts:
            self[INTERRUPT] = list(interrupts)

    @property
    def is_interrupted(self) -> bool:
        return INTERRUPT in self

    @property
    def interrupts(self) -> tuple[Interrupt, ...]:
        return tuple(self.get(INTERRUPT, ()))

    @property
    def next(self) -> tuple[str, ...]:
        """The nodes that run next; empty when finished."""
        return self._next

    @property
    def head(self) -> Head | None:
        """Where the thread stood in the store, of which this tells; it may stand elsewhere by now. None where nothing is stored."""
        return self._head

    @property
    def state(self) -> dict[str, Any]:
        """The state without `"__interrupt__"`."""
        return {k: v for k, v in self.items() if k != INTERRUPT}


@dataclass(frozen=True, slots=True)
class TaskSnapshot:
    """One planned node execution, and what became of it."""

    id: str
    name: str
    path: tuple[str | int, ...]
    error: str | None = None
    """`module.Class: message` of the last failed attempt; None once the task finished."""
    interrupts: tuple[Interrupt, ...] = ()
    """Its open questions."""
    result: dict[str, Any] | None = None
    """Its update, when it finished while others of its superstep had not."""
    expired: tuple[str, ...] = ()
    """Its questions that nobody answered in time: their default counts, and no person's answer."""
    state: StateSnapshot | None = None
    """The graph that it runs inside itself; with `get_state(config, subgraphs=True)` only."""


@dataclass(frozen=True, slots=True)
class StateSnapshot:
    """A thread at one checkpoint."""

    values: dict[str, Any]
    next: tuple[str, ...]
    """The nodes that have yet to run; empty when finished."""
    config: dict[str, Any]
    """Names this checkpoint: give it to `get_state`, `update_state`, `invoke(None, …)`."""
    metadata: dict[str, Any]
    """`source` (input, loop, update, fork), `step` (-1 for the input), `writes` (the nodes that made it)."""
    created_at: datetime | None
    parent_config: dict[str, Any] | None
    tasks: tuple[TaskSnapshot, ...] = ()
    interrupts: tuple[Interrupt, ...] = field(default=())
    """All open questions, static pauses included."""
