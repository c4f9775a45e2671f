"""The heart: superstep after superstep, until the graph ends, pauses or fails. No I/O here.

`supersteps()` is a generator of effects. A driver (sync or async, see drivers.py) carries each one out and sends back its result; what the loop
decides does not depend on which driver runs it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from traceback import format_exception
from typing import Any, Final

from hitl_nb.checkpoint.ledger import Ledger
from hitl_nb.checkpoint.records import (
    Answered,
    Asked,
    Checkpoint,
    Decision,
    Event,
    Failed,
    Finished,
    Head,
    PlannedTask,
    Question,
    Source,
    Withdrawn,
)
from hitl_nb.checkpoint.serde import Serde
from hitl_nb.decisions.check import check_answer
from hitl_nb.errors import GraphChangedError, NotSerializableError, RecursionLimitError, ThreadMovedError
from hitl_nb.graph.attempt import Done, Job, Outcome, Paused, Raised
from hitl_nb.graph.boundaries import boundary_id, boundary_payload, boundary_question
from hitl_nb.graph.changes import Changed, changed_values
from hitl_nb.graph.effects import Commit, Effect, Emit, More, Reload, Start, Steps
from hitl_nb.graph.interrupt import Scope
from hitl_nb.graph.schema import StateSchema
from hitl_nb.graph.topology import Target, Topology
from hitl_nb.graph.types import INTERRUPT, START, Config, Interrupt, Send

_IMMUTABLE: Final = frozenset({str, int, float, bool, bytes, type(None)})


@dataclass(slots=True)
class Further:
    """Answers of a list that go beyond the open questions: for what the same nodes ask later in this run (semantics R10)."""

    answers: deque[Any]
    nodes: frozenset[str]
    decide: Callable[[Question, Any], Decision]
    recorded_at: Head | None = None
    """The head that the answers before these left behind."""
    disturbed: bool = False
    """True when somebody else answered meanwhile: an order that leaves out that question no longer says which answer is for which."""


@dataclass(slots=True)
class Run:
    """One run of a thread: where it stands, in memory. Without a checkpointer `serde` is None and nothing is kept."""

    topology: Topology
    schema: StateSchema
    thread_id: str
    graph: str
    config: Config
    now: Callable[[], datetime]
    serde: Serde | None
    checkpoint: Checkpoint
    values: dict[str, Any]
    head: Head | None = None
    ledger: Ledger = field(default_factory=Ledger)
    inline: dict[str, bytes] = field(default_factory=dict)
    """The encoded small values of the state, to see what a superstep changed."""
    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()
    modes: frozenset[str] = frozenset()
    further: Further | None = None
    limit: int = 10_000
    results: dict[str, Done] = field(default_factory=dict)
    """Tasks of the current superstep that finished, by id."""
    questions: dict[str, Question] = field(default_factory=dict)
    """What the tasks of this superstep have asked, by id."""
    closing: list[Event] = field(default_factory=list)
    """Events that go with the next commit."""

    fresh: list[Question] = field(default_factory=list)
    """Questions that go with the next commit."""
    announce: list[Emit] = field(default_factory=list)
    """Events for the consumer of `stream`, held back until what they tell is stored."""

    @property
    def codec(self) -> Serde:
        if self.serde is None:
            raise RuntimeError("a run without a checkpointer has nothing encoded")
        return self.serde

    # -- what the caller reads when the run is over --------------------------------------------------------------------------------

    def interrupts(self) -> list[Interrupt]:
        return [Interrupt.of(self.questions[a.interrupt_id]) for a in self.open()]

    def open(self) -> list[Asked]:
        """The open questions, in task order."""
        order = {t.id: n for n, t in enumerate(self.checkpoint.tasks)}
        return sorted(self.ledger.open(), key=lambda a: order.get(a.task_id, -1))

    def next_nodes(self) -> tuple[str, ...]:
        return tuple(t.node for t in self.checkpoint.tasks if t.id not in self.results)

    def state(self) -> dict[str, Any]:
        """The state, with what finished tasks of an unfinished superstep wrote."""
        writes = [(t.id, t.node, k, v) for t in self.checkpoint.tasks if t.id in self.results for k, v in self.results[t.id].update]
        values = self.schema.apply(self.values, writes)[0] if writes else self.values
        return {key: values[key] for key in self.schema.keys or values if key in values}

    # -- the loop ------------------------------------------------------------------------------------------------------------------

    def supersteps(self) -> Steps:
        """Run until the graph ends or waits. Raises what a node raised, after storing what the others finished."""
        for _ in range(self.limit):
            if not self.checkpoint.tasks:
                return
            if (yield from self.pause_at_boundary()):
                return
            while runnable := self._runnable():
                yield from self._wave(runnable)
                if not (yield from self._answer_further()) and not (yield from self._catch_up()):
                    break
            if len(self.results) < len(self.checkpoint.tasks):
                yield from self.flush()
                yield from self._announce_pause()
                return
            yield from self._advance()
        if self.checkpoint.tasks:
            raise RecursionLimitError(
                f"thread {self.thread_id!r} took {self.limit} supersteps without ending, next: {', '.join(self.next_nodes())}; the state is stored. "
                f'Raise the limit with config={{"recursion_limit": …}} if the graph is meant to run longer',
                thread_id=self.thread_id,
            )

    def begin(self, writes: Sequence[tuple[str, Any]], input_digest: str) -> Steps:
        """Take new input: the first checkpoint of a new thread, or a further one of a finished thread."""
        first = self.checkpoint.seq < 0
        if self.serde is not None:  # values of its own: nodes that change one in place must not change what the caller passed in
            own, name = self.serde, "state[{!r}]".format
            writes = [(key, own.loads(own.dumps(value, name(key)))) for key, value in writes]
        base = self.schema.initial() if first else self.values
        values, written = self.schema.apply(base, (("input", "the input", key, value) for key, value in writes))
        goto = yield from self.route(START, values)
        seq = self.head.seq + 1 if self.head else 0
        tasks, arrived = self.topology.plan([(START, goto)], {}, self.checkpoint.nonce, seq)
        parent = None if first else self.checkpoint.seq
        keys = written | set(base) if first else written
        yield from self.move(values, keys, tasks, arrived, source="input", wrote=(), parent=parent, input_digest=input_digest)
        if "values" in self.modes:
            yield Emit("values", dict(self.values))

    def route(self, node: str, values: Mapping[str, Any]) -> Generator[Effect, Any, tuple[Target, ...]]:
        """Where the conditional edges of a node lead from these values, without running the node."""
        if node not in self.topology.branches:
            return ()
        task = PlannedTask(f"route/{node}", node, self.checkpoint.seq, ("route", node))
        scope = Scope(task, None, Ledger(), self.thread_id, self.graph, self.now, self.checkpoint.seq, {}, moved=False)
        (outcome,) = yield Start([Job(task, None, values, scope, self.config, routes_only=True)])
        if isinstance(outcome, Raised):
            raise outcome.error
        return self.targets(outcome.goto)

    def _runnable(self) -> list[PlannedTask]:
        return [t for t in self.checkpoint.tasks if t.id not in self.results and not self.ledger.waits(t.id)]

    def _wave(self, tasks: Sequence[PlannedTask]) -> Steps:
        """Run the tasks side by side; store each batch of outcomes as it comes."""
        if "starts" in self.modes:
            yield Emit("starts", tuple(t.node for t in tasks))
        outcomes: Sequence[Outcome] = yield Start([self._job(t) for t in tasks])
        missing = len(tasks) - len(outcomes)
        errors: dict[str, BaseException] = {}
        while True:
            errors |= self._absorb(outcomes)
            if not missing:
                break
            yield from self.flush()
            outcomes = yield More()
            missing -= len(outcomes)
        if errors:
            yield from self.flush()
            raise next(errors[t.id] for t in tasks if t.id in errors)

    def _job(self, task: PlannedTask) -> Job:
        if task.node not in self.topology.nodes:
            raise GraphChangedError(
                f"thread {self.thread_id!r} is to run node {task.node!r} next, which the graph no longer has; known: "
                f"{', '.join(self.topology.nodes)}. Bring it back under this name, or move on with update_state(config, values, as_node=…)",
                thread_id=self.thread_id,
                node=task.node,
            )
        moved = task.seq != self.checkpoint.seq
        scope = Scope(task, self.serde, self.ledger, self.thread_id, self.graph, self.now, self.checkpoint.seq, self.questions, moved)
        if task.arg is None:
            state: Any = self._state_for_a_node()
        else:
            state = task.arg[0] if isinstance(task.arg, tuple) else self.codec.loads(task.arg)
        return Job(task, state, self.values, scope, self.config)

    def _state_for_a_node(self) -> dict[str, Any]:
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

    def _absorb(self, outcomes: Iterable[Outcome]) -> dict[str, BaseException]:
        """Take the outcomes in; what has to be stored goes to `closing`. Returns the errors by task id."""
        errors: dict[str, BaseException] = {}
        for outcome in outcomes:
            task = outcome.task
            match outcome:
                case Done():
                    try:
                        self._take(outcome)
                    except NotSerializableError as error:
                        errors[task.id] = error
                case Paused(question=q, replaces=replaced):
                    if replaced is not None:
                        self.note(Withdrawn(replaced, task.id, q.position, "the node asks something else after an update of the state"))
                    self._ask(q, Asked(task.id, q.position, q.id, q.digest))
                case Raised(error=raised):
                    errors[task.id] = raised
            if task.id in errors:
                self.note(self._failed(task, errors[task.id]))
        return errors

    def _take(self, done: Done) -> None:
        """Keep a result; with others of its superstep still open it is stored by itself."""
        if self.serde is not None and len(self.checkpoint.tasks) > 1:
            self.note(self._finished(done, self.serde))
        self.results[done.task.id] = done
        if "updates" in self.modes:
            self.announce.append(Emit("updates", {done.task.node: dict(done.update) if done.update else None}))

    def _ask(self, question: Question, asked: Asked) -> None:
        if question.id not in self.questions:
            self.questions[question.id] = question
            self.fresh.append(question)
        self.note(asked)

    def note(self, event: Event) -> None:
        """Take an event in; the next `flush` stores it."""
        self.ledger.add(event)
        self.closing.append(event)

    def _finished(self, done: Done, serde: Serde) -> Finished:
        for key, value in done.update:
            serde.dumps(value, f"state[{key!r}]")  # names the path of what cannot be stored
        return Finished(done.task.id, serde.dumps(done.update, "update"), self.targets(done.goto))

    def targets(self, goto: Iterable[str | Send]) -> tuple[Target, ...]:
        """Where a task goes, in the form that is stored."""
        return tuple((t.node, self._argument(t)) if isinstance(t, Send) else (t, None) for t in goto)

    def _argument(self, send: Send) -> bytes | tuple[Any]:
        return (send.arg,) if self.serde is None else self.serde.dumps(send.arg, f"Send({send.node!r}, …)")

    def _failed(self, task: PlannedTask, error: BaseException) -> Failed:
        kind = type(error)
        text = f"{kind.__module__}.{kind.__qualname__}: {error}".encode("utf-8", "backslashreplace").decode()
        trace = "".join(format_exception(error)).encode("utf-8", "backslashreplace").decode()
        return Failed(task.id, text[:10_000], trace[-20_000:], self.now().timestamp())

    def flush(self) -> Steps:
        """Store the events noted so far, then tell about them."""
        if self.closing and self.head is not None:
            known = self.head.events
            self.head = yield Commit({"expect": self.head, "events": tuple(self.closing), "questions": tuple(self.fresh)})
            if self.head.events != known + 1:  # answers arrived meanwhile
                self._disturb()
                yield from self._reload()
        self.closing.clear()
        self.fresh.clear()
        yield from self._tell()

    def _tell(self) -> Steps:
        events, self.announce = self.announce, []
        yield from events

    def _catch_up(self) -> Generator[Effect, Any, bool]:
        """Store what is noted; True when an answer from elsewhere made a task runnable."""
        if len(self.results) == len(self.checkpoint.tasks):
            return False
        yield from self.flush()
        return bool(self._runnable())

    def _answer_further(self) -> Generator[Effect, Any, bool]:
        """Give the answers of a list that are left to what the same nodes just asked. True when there was one to give."""
        if not self.further or not self.further.answers:
            return False
        yield from self.flush()
        if self.further.disturbed:
            return False
        asked = [q for a in self.open() if (q := self.questions[a.interrupt_id]).node in self.further.nodes]
        decisions = [self.further.decide(q, check_answer(q, answer)) for q, answer in zip(asked, self.further.answers, strict=False)]
        if not decisions:
            return False
        events = tuple(Answered(d.interrupt_id, self.codec.dumps(d.answer, "answer")) for d in decisions)
        try:
            self.head = yield Commit({"expect": self.head, "events": events, "decisions": decisions})
        except ThreadMovedError:  # somebody answered one of them first
            self._disturb()
            yield from self._reload()
            return bool(self._runnable())
        for _ in decisions:
            self.further.answers.popleft()
        yield from self._reload()
        return True

    def _disturb(self) -> None:
        if self.further:
            self.further.disturbed = True

    def _reload(self) -> Steps:
        """Read the thread again: for answers from elsewhere, and so that a node that runs again does not find what it changed in place before."""
        self.head, self.ledger, self.values = yield Reload()

    # -- pauses ----------------------------------------------------------------------------------------------------------------------

    def pause_at_boundary(self) -> Generator[Effect, Any, bool]:
        """True when the run stops at this checkpoint by `interrupt_before` or `interrupt_after`."""
        payload = boundary_payload(self.checkpoint, self.ledger, self.results, self.before, self.after)
        if payload is None or self.serde is None:
            return False
        if not self.ledger.of_task(boundary_id(self.checkpoint.nonce, self.checkpoint.seq)):
            digest = self.serde.digest(payload, "payload")
            self._ask(*boundary_question(self.thread_id, self.graph, self.checkpoint, self.ledger, payload, digest, self.now))
            yield from self.flush()
        yield from self._announce_pause()
        return True

    def _announce_pause(self) -> Steps:
        interrupts = tuple(self.interrupts())
        if "updates" in self.modes:
            yield Emit("updates", {INTERRUPT: interrupts})
        if "values" in self.modes:
            yield Emit("values", {**self.state(), INTERRUPT: interrupts})

    # -- the next checkpoint -----------------------------------------------------------------------------------------------------------

    def _advance(self) -> Steps:
        """All tasks of the superstep finished: combine what they wrote, plan what comes next, store it in one transaction."""
        done = [self.results[t.id] for t in self.checkpoint.tasks]
        seq = self.head.seq + 1 if self.head else self.checkpoint.seq + 1
        try:
            writes = [(d.task.id, d.task.node, key, value) for d in done for key, value in d.update]
            values, written = self.schema.apply(self.values, writes)
            tasks, arrived = self.topology.plan(
                [(d.task.node, self.targets(d.goto)) for d in done], self.checkpoint.arrived, self.checkpoint.nonce, seq
            )
            nodes = tuple(d.task.node for d in done)
            yield from self.move(values, written, tasks, arrived, source="loop", wrote=nodes, parent=self.checkpoint.seq)
        except ThreadMovedError:
            raise
        except Exception as error:
            # the results cannot be combined or stored: they do not count and are not told, the tasks run again
            self.announce.clear()
            if self.serde is not None and self.head is not None and self.head.seq < seq:
                for outcome in done:
                    self.results.pop(outcome.task.id, None)
                    self.note(self._failed(outcome.task, error))
                yield from self.flush()
            raise
        yield from self._tell()
        if "values" in self.modes:
            yield Emit("values", dict(self.values))

    def move(
        self,
        values: dict[str, Any],
        written: Iterable[str],
        tasks: tuple[PlannedTask, ...],
        arrived: Mapping[str, tuple[str, ...]],
        *,
        source: Source,
        wrote: tuple[str, ...],
        parent: int | None,
        events: Sequence[Event] = (),
        decisions: Sequence[Decision] = (),
        input_digest: str | None = None,
    ) -> Steps:
        """Make the next checkpoint and go there. Only values that changed are written; the rest is referenced."""
        last = self.checkpoint
        seq = self.head.seq + 1 if self.head else last.seq + 1
        changed = self._changed(values, written, seq)
        new = Checkpoint(
            seq=seq,
            nonce=last.nonce,
            parent=parent,
            step=last.step + 1,
            source=source,
            created_at=self.now(),
            versions=changed.versions,
            tasks=tasks,
            arrived=arrived,
            wrote=wrote,
            graph="" if self.serde is None else self.topology.fingerprint(),
            inline=changed.inline,
        )
        if self.serde is not None:
            self.head = yield Commit(
                {
                    "expect": self.head,
                    "closing": tuple(self.closing),
                    "checkpoint": new,
                    "large": changed.large,
                    "events": tuple(events),
                    "decisions": decisions,
                    "input_digest": input_digest,
                }
            )
        self.checkpoint, self.values = new, values
        self.inline = changed.known
        self.ledger = Ledger(events)
        self.questions = {i: q for i, q in self.questions.items() if i in self.ledger.asked}
        self.results.clear()
        self.closing.clear()

    def _changed(self, values: Mapping[str, Any], written: Iterable[str], seq: int) -> Changed:
        if self.serde is None:
            return Changed({}, {}, {}, {})
        return changed_values(self.serde, values, written, seq, self.checkpoint.versions, self.inline)
