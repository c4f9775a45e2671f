"""One run of a thread: where it stands, in memory, and what it has to store with its next commit. No I/O here."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import datetime
from traceback import format_exception
from typing import Any, Final

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.ledger import Ledger
from hitl_nb.checkpoint.records import Asked, Checkpoint, Decision, Event, Failed, Finished, Head, PlannedTask, Question, Source, Waits, Withdrawn
from hitl_nb.checkpoint.serde import Serde
from hitl_nb.checkpoint.voting import Vote
from hitl_nb.errors import said
from hitl_nb.graph.changes import Changed, changed_values
from hitl_nb.graph.durability import Held
from hitl_nb.graph.emit import Emit
from hitl_nb.graph.node.attempt import Done, Raised
from hitl_nb.graph.state.schema import StateSchema
from hitl_nb.graph.thread.graph_change import Renamed, Shape
from hitl_nb.graph.topology import Target, Topology
from hitl_nb.graph.types import Command, Config, Interrupt, Send
from hitl_nb.graph.watch import Watcher

_TRACE_MAX: Final = 50
"""Calls of a stored traceback, the last ones."""
_IMMUTABLE: Final = frozenset({str, int, float, bool, bytes, type(None)})


@dataclass(slots=True)
class Further:
    """Answers of a list that go beyond the open questions: for what the same nodes ask later in this run (semantics R10)."""

    answers: deque[Any]
    nodes: frozenset[tuple[str, ...]]
    """Each after the tasks around it, as `Run.asker` names it: a node of another graph beside, of the same name too, is another node."""
    decide: Callable[[Question, Any], Decision]
    recorded_at: Head | None = None
    """The head that the answers before these left behind."""
    disturbed: bool = False
    """True when somebody else answered meanwhile: an order that leaves out that question no longer says which answer is for which."""


@dataclass(slots=True)
class Run:
    """One run of a thread, or of a graph inside one of its nodes. Without a checkpointer nothing is kept."""

    topology: Topology
    schema: StateSchema
    thread_id: str
    key: str
    """Under which the checkpoints are stored: the thread's id, or that of a graph inside a node, see `nested`."""
    graph: str
    config: Config
    now: Callable[[], datetime]
    saver: Checkpointer | None
    checkpoint: Checkpoint
    values: dict[str, Any]
    shape: Shape
    """What the graph looks like, to be stored with the checkpoints."""
    renamed: Renamed = field(default_factory=Renamed)
    """Names that the graph's nodes had."""
    head: Head | None = None
    ledger: Ledger = field(default_factory=Ledger)
    inline: dict[str, bytes] = field(default_factory=dict)
    """The encoded small values of the state, to see what a superstep changed."""
    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()
    modes: frozenset[str] = frozenset()
    watch: Watcher | None = None
    further: Further | None = None
    limit: int = 10_000
    context: Any = None
    results: dict[str, Done] = field(default_factory=dict)
    """Tasks of the current superstep that finished, by id."""
    questions: dict[str, Question] = field(default_factory=dict)
    """What the tasks of this superstep have asked, by id."""
    votes: dict[str, list[Vote]] = field(default_factory=dict)
    """What reviewers answered, when the thread was read, to those that several have to answer alike: each one's latest, by id."""
    closing: list[Event] = field(default_factory=list)
    """Events that go with the next commit."""
    fresh: list[Question] = field(default_factory=list)
    """Questions that go with the next commit."""
    announce: list[Emit] = field(default_factory=list)
    """Events for the consumer of `stream`, held back until what they tell is stored."""
    withheld: list[Emit] = field(default_factory=list)
    """What graphs inside the tasks that run told of their questions: nobody has stored those before the task has come to a stop."""
    path: tuple[str, ...] = ()
    """The nodes around this graph, the outermost first; empty for the thread itself."""
    place: str = ""
    """The same with the task of each node, as configs name it: `node:task id`, joined by `|`."""
    owner: tuple[str, ...] = ()
    """The tasks around this graph, the outermost first."""
    thread: Run | None = None
    """The run of the thread that this graph runs in; None: this is it."""
    behind: bool = False
    """True: a graph inside a task has written to the thread meanwhile, which this run has to read again."""
    upward: list[Event] = field(default_factory=list)
    """Events of questions, which a graph inside a node leaves to the thread to store."""
    held: Held | None = None
    """Commits of the thread that are written later; None: each is written at once."""
    up: dict[str, Command] = field(default_factory=dict)
    """The commands for the graph around with which nodes of this one ended it, by task id."""

    @property
    def serde(self) -> Serde | None:
        return None if self.saver is None else self.saver.serde

    @property
    def codec(self) -> Serde:
        if self.saver is None:
            raise RuntimeError("a run without a checkpointer has nothing encoded")
        return self.saver.serde

    @property
    def unseen(self) -> bool:
        """True when nothing is stored and nobody looks on: only what it comes to in the end counts."""
        return self.saver is None and not self.modes and self.watch is None

    @property
    def next_seq(self) -> int:
        """The number of the next checkpoint."""
        return (self.head or self.checkpoint).seq + 1

    # -- what the caller reads when the run is over --------------------------------------------------------------------------------

    def interrupts(self) -> list[Interrupt]:
        return [Interrupt.of(self.ledger.standing(self.questions[a.interrupt_id]), self.votes.get(a.interrupt_id, ())) for a in self.open()]

    def open(self) -> list[Asked]:
        """The open questions, in task order."""
        if not self.ledger.asked:
            return []
        order = {t.id: n for n, t in enumerate(self.checkpoint.tasks)}
        return sorted(self.ledger.open(), key=lambda a: (order.get(a.task, -1), a.order))

    def asker(self, interrupt_id: str) -> tuple[str, ...]:
        """The node that asked this question, after the tasks around it."""
        return (*self.ledger.asked[interrupt_id].owner, self.questions[interrupt_id].node)

    def next_nodes(self) -> tuple[str, ...]:
        return tuple(t.node for t in self.checkpoint.tasks if t.id not in self.results)

    def state(self) -> dict[str, Any]:
        """The state, with what finished tasks of an unfinished superstep wrote."""
        writes = [(t.id, t.node, self.results[t.id].update) for t in self.checkpoint.tasks if t.id in self.results]
        values = self.schema.preview(self.values, writes) if writes else self.values
        return {key: values[key] for key in self.schema.keys or values if key in values}

    def runnable(self) -> Sequence[PlannedTask]:
        """The tasks of the superstep that have neither finished nor wait for an answer."""
        if not self.results and self.ledger.is_quiet:
            return self.checkpoint.tasks
        left = [t for t in self.checkpoint.tasks if t.id not in self.results]
        return left if self.ledger.is_quiet else [t for t in left if not self.ledger.waits(t.id)]

    def own_state(self) -> dict[str, Any]:
        """The state, for one execution to read: what it changes in place stays its own, so that a run does not differ from a resumed one.

        Small values are read from their stored bytes again; of a large list, dict or set the outermost level is a copy. Without a checkpointer
        nothing is ever resumed, and the values are handed on as they are.
        """
        if self.serde is None:
            return dict(self.values)
        own = self.serde.loads
        return {
            key: value
            if type(value) in _IMMUTABLE
            else own(self.inline[key])
            if key in self.inline
            else copy(value)
            if type(value) in (list, dict, set)
            else value
            for key, value in self.values.items()
        }

    # -- the next checkpoint -------------------------------------------------------------------------------------------------------

    def ahead(
        self,
        values: Mapping[str, Any],
        written: Iterable[str],
        tasks: Sequence[PlannedTask],
        arrived: Mapping[str, tuple[str, ...]],
        *,
        source: Source,
        wrote: tuple[str, ...],
        parent: int | None,
        begun: str = "",
    ) -> tuple[Checkpoint, Changed]:
        """The next checkpoint, and what of the state it has to write: only values that changed, the rest is referenced.

        Raises NotSerializableError.
        """
        last, seq, saver = self.checkpoint, self.next_seq, self.saver
        if saver is None:
            changed = Changed({}, {}, {}, {})
        else:
            changed = changed_values(saver.serde, values, written, seq, last.versions, self.inline, at_once=self.held is None)
        new = Checkpoint(
            seq, last.nonce, parent, last.step + 1, source, self.now(), changed.versions, tasks if self.unseen else tuple(tasks), arrived, wrote,
            self.shape.fingerprint, 0, changed.inline, begun,
        )  # fmt: skip
        return new, changed

    def arrive(self, new: Checkpoint, values: dict[str, Any], changed: Changed, events: Sequence[Event] = ()) -> None:
        """Go to the checkpoint, which is stored now with these events."""
        self.checkpoint, self.values, self.inline = new, values, changed.known
        self.ledger = Ledger(events)
        if self.questions:
            self.questions = {i: q for i, q in self.questions.items() if i in self.ledger.asked}
        if self.results:
            self.results = {i: done for i, done in self.results.items() if i in self.ledger.finished}
        self.closing.clear()

    # -- what there is to store ----------------------------------------------------------------------------------------------------

    def note(self, event: Event) -> None:
        """Take an event in; the next `flush` stores it, or the thread that this graph runs in."""
        self.ledger.add(event)
        (self.upward if self.path and isinstance(event, Asked | Withdrawn | Waits) else self.closing).append(event)

    def ask(self, question: Question) -> None:
        """Take a question in that goes with the next commit, unless it is known."""
        if question.id not in self.questions:
            self.questions[question.id] = question
            self.fresh.append(question)

    def take(self, done: Done) -> None:
        """Keep a result; with others of its superstep still open it is stored by itself. Raises NotSerializableError."""
        task_id = done.task.id
        # asked before an update of the state and not since, or inside a graph that its node left by a command; before the result, which it would undo
        if not self.ledger.is_quiet:
            self.withdraw(task_id, "its node ended without the answer")
        if self.serde is not None and len(self.checkpoint.tasks) > 1:
            for key, value in done.update:
                self.serde.dumps(value, f"state[{key!r}]")  # names the path of what cannot be stored
            self.note(Finished(done.task.id, self.serde.dumps(done.update, "update"), self.targets(done.goto), done.instead))
        self.results[done.task.id] = done

    def withdraw(self, task_id: str, why: str) -> None:
        """Close the open questions of a task and of the graphs inside it."""
        for asked in self.ledger.of_tree(task_id):
            if asked.interrupt_id not in self.ledger.answered:
                self.note(Withdrawn.of(asked, why))

    def failed(self, task: PlannedTask, error: BaseException, for_handler: Raised | None = None) -> Failed:
        """What is stored of a failure; `for_handler`: the outcome, when the node's error handler deals with it."""
        kind = type(error)
        text = f"{kind.__module__}.{kind.__qualname__}: {said(error)}"
        trace = said(error, lambda raised: "".join(format_exception(raised, limit=-_TRACE_MAX)))
        failed = Failed(task.id, text[:10_000], trace[-20_000:], self.now().timestamp())
        if for_handler is None:
            return failed
        before = tuple(a.interrupt_id for a in self.ledger.of_tree(task.id))
        return replace(failed, handler_from=for_handler.asked, before=before)

    def targets(self, goto: Iterable[str | Send]) -> tuple[Target, ...]:
        """Where a task goes, in the form that is stored."""
        return tuple([(t.node, self._argument(t)) if isinstance(t, Send) else (t, None) for t in goto])

    def _argument(self, send: Send) -> bytes | tuple[Any]:
        return (send.arg,) if self.serde is None else self.serde.dumps(send.arg, f"Send({send.node!r}, …)")

    def argument(self, task: PlannedTask) -> Any:
        """What a Send gave to this task."""
        return task.arg[0] if isinstance(task.arg, tuple) else self.codec.loads(task.arg or b"")

    def disturb(self) -> None:
        """Somebody else answered meanwhile."""
        if self.further:
            self.further.disturbed = True
