"""Threads as the graph sees them: load one, look at it, update it, go back to an earlier checkpoint, reopen a question."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

from hitl_nb.checkpoint.base import Checkpointer, check_thread_id
from hitl_nb.checkpoint.ledger import Ledger
from hitl_nb.checkpoint.records import Answered, Checkpoint, Decision, Event, Finished, Head, PlannedTask, Withdrawn, boundary_id, task_id
from hitl_nb.errors import CorruptStoreError, GraphError, UnknownInterruptError, UnknownNodeError, UnknownThreadError
from hitl_nb.graph.attempt import Done
from hitl_nb.graph.effects import Steps
from hitl_nb.graph.loop import flush, move, pause_at_boundary, route
from hitl_nb.graph.run import Run
from hitl_nb.graph.schema import StateSchema
from hitl_nb.graph.topology import Topology
from hitl_nb.graph.types import START, Config, Interrupt, Send, StateSnapshot, TaskSnapshot, pairs


@dataclass(frozen=True, slots=True)
class Threads:
    """What it takes to open a thread of one graph."""

    topology: Topology
    schema: StateSchema
    saver: Checkpointer | None
    name: str
    before: frozenset[str]
    after: frozenset[str]
    now: Callable[[], datetime]
    new_nonce: Callable[[], str]
    memory: bool | None = None
    """For a graph inside a node. None: each task begins it anew. True: it remembers its state from task to task. False: nothing is kept."""

    def fresh(self, thread_id: str, config: Config) -> Run:
        """A run of a thread that does not exist yet."""
        start = Checkpoint(seq=-1, nonce=self.new_nonce(), parent=None, step=-2, source="input", created_at=self.now(), versions={})
        return Run(
            self.topology, self.schema, thread_id, thread_id, self.name, config, self.now, self.saver, start, {}, before=self.before, after=self.after
        )

    def load(self, saver: Checkpointer, thread_id: str, config: Config, seq: int | None = None) -> Run | None:
        """The thread at its head, or at checkpoint `seq`; None when there is no such thread. `head` is always the thread's real head."""
        while (head := saver.head(thread_id)) is not None:
            try:
                return self._load(saver, thread_id, config, head, seq)
            except CorruptStoreError:
                now = saver.head(thread_id)
                if now is not None and (now.nonce, now.first) == (head.nonce, head.first):
                    raise
                # it was deleted or pruned while it was read: look again at what is there now
        return None

    def _load(self, saver: Checkpointer, thread_id: str, config: Config, head: Head, seq: int | None) -> Run:
        if (named := _named(config)) is not None and named[0] != head.nonce:
            raise _of_another_thread(named, thread_id)
        at = head.seq if seq is None else seq
        if not head.first <= at <= head.seq:
            pruned = f"; those before {head.first} were pruned" if head.first else ""
            raise UnknownThreadError(
                f"thread {thread_id!r} has no checkpoint {at}; its checkpoints are {head.first} to {head.seq}{pruned}", thread_id=thread_id
            )
        run = self.fresh(thread_id, config)
        _read(saver, run, head, at, saver.ledger(thread_id, head, at))
        for asked in run.ledger.asked.values():
            question = saver.question(asked.interrupt_id)
            if question is None:
                raise CorruptStoreError(f"question {asked.interrupt_id} of thread {thread_id!r} is missing from the store", thread_id=thread_id)
            run.questions[question.id] = question
        return run

    def inside(self, saver: Checkpointer, host: Run, key: str, task: PlannedTask) -> Run | None:
        """The graph that runs inside this task of `host`, where it stands; None when it has not begun."""
        head = saver.head(key)
        if head is None:
            return None
        run = self.placed(host, key, task, host.config)
        _read(saver, run, head, head.seq, Ledger([*host.ledger.inside(task.id), *saver.events(key, head)]))
        run.questions = dict(host.questions)
        return run

    def placed(self, host: Run, key: str, task: PlannedTask, config: Config) -> Run:
        """A run of this graph inside a task of `host` that has not begun."""
        run = self.fresh(host.thread_id, config)
        run.key, run.graph, run.now, run.saver, run.path = key, host.graph, host.now, host.saver, (*host.path, task.node)
        return run

    def must_load(self, thread_id: str, config: Config, seq: int | None = None) -> Run:
        """As `load`; UnknownThreadError when there is no such thread."""
        run = self.load(self.store, thread_id, config, seq)
        if run is None:
            raise UnknownThreadError(
                f"the store holds no thread {thread_id!r}; start it with invoke(input, config), or check the thread_id", thread_id=thread_id
            )
        return run

    def where_answered(self, run: Run, interrupt_id: str) -> Run:
        """The newest checkpoint on the way to where the thread stands at which this question had its answer.

        Raises UnknownInterruptError when there is none: never asked here, reopened since, or on a way that the thread went back from.
        """
        decision, ledger, seq = self.store.decision(interrupt_id), run.ledger, run.checkpoint.parent
        if decision is not None and decision.thread_id == run.thread_id and run.head is not None:
            while seq is not None and seq >= decision.seq and not ledger.was_withdrawn(interrupt_id):
                ledger = self.store.ledger(run.thread_id, run.head, seq)
                if interrupt_id in ledger.answered:
                    return self.must_load(run.thread_id, run.config, seq)
                seq = self.store.checkpoint(run.thread_id, seq).parent
        if decision is not None and decision.thread_id == run.thread_id and run.head is not None and 0 <= decision.seq < run.head.first:
            raise UnknownInterruptError(
                f"{interrupt_id!r} was answered at checkpoint {decision.seq} of thread {run.thread_id!r}, whose checkpoints before {run.head.first} "
                f"were pruned; nothing was reopened. To change what came of it, write with update_state(config, values, as_node={decision.node!r})",
                thread_id=run.thread_id,
                interrupt_id=interrupt_id,
            )
        raise UnknownInterruptError(
            f"{interrupt_id!r} is no answered question of thread {run.thread_id!r} as it stands; nothing was reopened. The decisions that count are "
            f"those of get_state_history(config); a question that was reopened before goes by its newer id",
            thread_id=run.thread_id,
            interrupt_id=interrupt_id,
        )

    @property
    def store(self) -> Checkpointer:
        if self.saver is None:
            raise GraphError("this graph has no checkpointer, so it keeps no threads; compile(checkpointer=…)")
        return self.saver


def _read(saver: Checkpointer, run: Run, head: Head, at: int, ledger: Ledger) -> None:
    """Put the run to checkpoint `at` of its key, with what this ledger says of it."""
    run.checkpoint, run.head, run.ledger = saver.checkpoint(run.key, at), head, ledger
    encoded = saver.encoded(run.key, run.checkpoint)
    run.values = {key: saver.serde.loads(data) for key, data in encoded.items()}
    run.inline = {key: encoded[key] for key, ref in run.checkpoint.versions.items() if ref.slot < 0}
    for task in run.checkpoint.tasks:
        if (finished := ledger.finished.get(task.id)) is not None:
            run.results[task.id] = _done(saver, task, finished)


def _done(saver: Checkpointer, task: PlannedTask, finished: Finished) -> Done:
    update = [(key, value) for key, value in saver.serde.loads(finished.update)]
    return Done(task, update, [node if arg is None else Send(node, saver.serde.loads(arg)) for node, arg in finished.goto])


# -- looking ----------------------------------------------------------------------------------------------------------------------------


def checkpoint_config(thread_id: str, nonce: str, seq: int) -> dict[str, Any]:
    return {"configurable": {"thread_id": thread_id, "checkpoint_id": f"{nonce}-{seq:010d}"}}


def metadata(checkpoint: Checkpoint) -> dict[str, Any]:
    """What a checkpoint says about itself: what made it, its step (-1 for the first input), the nodes whose results it holds."""
    return {"source": checkpoint.source, "step": checkpoint.step, "writes": list(checkpoint.wrote)}


def snapshot(run: Run) -> StateSnapshot:
    """The thread at the run's checkpoint; an earlier one reads as it did before any of its tasks had finished."""
    c = run.checkpoint
    past = run.head is not None and run.head.seq != c.seq
    interrupts = {a.interrupt_id: Interrupt.of(run.questions[a.interrupt_id]) for a in run.open()}
    expired = {i for i, answered in run.ledger.answered.items() if answered.expired}
    tasks = tuple(
        TaskSnapshot(
            id=t.id,
            name=t.node,
            path=t.path,
            error=failed.error if (failed := run.ledger.failed.get(t.id) or run.ledger.handled.get(t.id)) else None,
            interrupts=tuple(interrupts[a.interrupt_id] for a in run.ledger.of_tree(t.id) if a.interrupt_id in interrupts),
            result=dict(run.results[t.id].update) if t.id in run.results else None,
            expired=tuple(a.interrupt_id for a in run.ledger.of_tree(t.id) if a.interrupt_id in expired),
        )
        for t in c.tasks
    )
    return StateSnapshot(
        values=dict(run.values) if past else run.state(),
        next=tuple(t.node for t in c.tasks) if past else run.next_nodes(),
        config=checkpoint_config(run.thread_id, c.nonce, c.seq),
        metadata=metadata(c),
        created_at=c.created_at,
        parent_config=None if c.parent is None else checkpoint_config(run.thread_id, c.nonce, c.parent),
        tasks=tasks,
        interrupts=tuple(interrupts.values()),
    )


# -- changing -----------------------------------------------------------------------------------------------------------------------------


def update(run: Run, values: object, as_node: str | None) -> Steps:
    """Write `values` as if `as_node` had returned them: a new checkpoint. Open questions of other nodes stay open (semantics R18)."""
    node = as_node or _last_writer(run)
    if node != START and node not in run.topology.nodes:
        raise UnknownNodeError(f"as_node={node!r} is no node of this graph; known: {', '.join(run.topology.nodes)}", node=node)
    writes = pairs(values or {}, "update_state(…, values)")
    after, written = run.schema.apply(run.values, ((node, node, key, value) for key, value in writes))
    goto = yield from route(run, node, after)
    seq = _next_seq(run)
    kept = [t for t in run.checkpoint.tasks if t.node != node and (_started(run, t) or t.by != (node,))]
    planned, arrived = run.topology.plan([(node, goto)], run.checkpoint.arrived, run.checkpoint.nonce, seq, busy=bool(kept))
    pulled = {t.node for t in kept if t.arg is None}
    tasks = (*kept, *(t for t in planned if t.arg is not None or t.node not in pulled))
    _withdraw(run, except_tasks={t.id for t in kept})
    wrote = () if node == START else (node,)
    yield from move(
        run,
        after, written, tasks, arrived, source="update", wrote=wrote, parent=run.checkpoint.seq, events=_carried(run, {t.id for t in kept})
    )
    yield from pause_at_boundary(run)


def amend(run: Run, writes: Sequence[tuple[str, Any]], goto: Sequence[str | Send], decisions: Sequence[Decision]) -> Steps:
    """`Command(update=…, goto=…, resume=…)` from outside: write and route first, keep what is planned, take the answers along (semantics R11)."""
    after, written = run.schema.apply(run.values, (("command", "Command(update=…)", key, value) for key, value in writes))
    targets = run.targets(run.topology.check_target(t, "Command(goto=…)") for t in goto)
    planned, _ = run.topology.plan([("", targets)], {}, run.checkpoint.nonce, _next_seq(run))
    there = {t.node for t in run.checkpoint.tasks if t.arg is None}
    tasks = (*run.checkpoint.tasks, *(t for t in planned if t.arg is not None or t.node not in there))
    events: list[Event] = _carried(run, {t.id for t in tasks})
    answered = {d.interrupt_id for d in decisions}
    unseen = any(t.node in run.before for t in tasks if t not in run.checkpoint.tasks)
    if answered and not unseen:  # nobody passes a boundary by an update alone, nor one that the goto newly leads to
        events += _passed_boundary(run, answered)
    events += [Answered(d.interrupt_id, run.codec.dumps(d.answer, "answer"), rebind=True) for d in decisions]
    _withdraw(run, except_tasks={t.id for t in run.checkpoint.tasks}, except_ids=answered)
    yield from move(
        run,
        after,
        written,
        tasks,
        run.checkpoint.arrived,
        source="update",
        wrote=run.checkpoint.wrote,
        parent=run.checkpoint.seq,
        events=events,
        decisions=decisions,
    )


def fork(run: Run, head_ledger: Ledger) -> Steps:
    """Make the run's (older) checkpoint the newest again, everything after it undone but kept in the history. Its questions are asked anew."""
    seq = _next_seq(run)
    tasks = tuple(replace(t, id=task_id(run.checkpoint.nonce, seq, t.path), seq=seq) for t in run.checkpoint.tasks)
    yield from _return_to(run, head_ledger, tasks, [])


def reopen(run: Run, interrupt_id: str) -> Steps:
    """Discard the answer of a question of this superstep, and of the later ones of the same node. The node asks again when it runs."""
    asked = run.ledger.asked[interrupt_id]
    for later in run.ledger.of_task(asked.task_id):
        if later.position >= asked.position:
            run.note(Withdrawn.of(later, "reopened"))
    yield from flush(run)


def reopen_earlier(run: Run, head_ledger: Ledger, interrupt_id: str) -> Steps:
    """The same for a question the thread has moved on from: goes back to the checkpoint (the run's) where it was open."""
    asked = run.ledger.asked[interrupt_id]
    events: list[Event] = [w for gone in run.ledger.withdrawn.values() for w in gone]
    still_open = {a.interrupt_id for a in head_ledger.open()}
    for other in run.ledger.asked.values():
        if other.kind == "static":
            continue
        events.append(other)
        if other.task_id == asked.task_id and other.position >= asked.position:
            events.append(Withdrawn.of(other, "reopened"))
        elif other.interrupt_id in run.ledger.answered:
            events.append(run.ledger.answered[other.interrupt_id])
        elif other.interrupt_id not in still_open:
            events.append(Withdrawn.of(other, "answered or withdrawn after the checkpoint that the thread went back to"))
    events += [f for f in run.ledger.finished.values() if f.task_id != asked.task_id]
    yield from _return_to(run, head_ledger, run.checkpoint.tasks, events)


def _return_to(run: Run, head_ledger: Ledger, tasks: tuple[PlannedTask, ...], events: Sequence[Event]) -> Steps:
    kept = Ledger(events)
    for asked in head_ledger.open():
        if not kept.is_open(asked.interrupt_id):
            run.closing.append(Withdrawn.of(asked, "the thread went back to an earlier checkpoint"))
    c = run.checkpoint
    yield from move(run, run.values, (), tasks, c.arrived, source="fork", wrote=c.wrote, parent=c.seq, events=events)


def _carried(run: Run, tasks: set[str]) -> list[Event]:
    """The events of these tasks that hold at the next checkpoint too."""
    events: list[Event] = [w for gone in run.ledger.withdrawn.values() for w in gone if w.task in tasks]
    events += [f for f in run.ledger.handled.values() if f.task_id in tasks]
    for asked in run.ledger.asked.values():
        if asked.task not in tasks:
            continue
        answer = run.ledger.answered.get(asked.interrupt_id)
        # an answer that came with an update was for the payload after that one, not for what a later update makes of it
        events += [replace(asked, carried=True), *([replace(answer, rebind=False)] if answer else [])]
    return events + [f for f in run.ledger.finished.values() if f.task_id in tasks]


def _passed_boundary(run: Run, answered: set[str]) -> list[Event]:
    """The static pause that was passed before, or is with these answers, as it holds at the next checkpoint."""
    boundary = boundary_id(run.checkpoint.nonce, _next_seq(run))
    events: list[Event] = []
    for asked in run.ledger.asked.values():
        before = run.ledger.answered.get(asked.interrupt_id)
        if asked.kind == "static" and (before or asked.interrupt_id in answered):
            events += [replace(asked, task_id=boundary), *([before] if before else [])]
    return events


def _withdraw(run: Run, except_tasks: set[str], except_ids: set[str] | frozenset[str] = frozenset()) -> None:
    for asked in run.ledger.open():
        if asked.task not in except_tasks and asked.interrupt_id not in except_ids:
            run.closing.append(Withdrawn.of(asked, "replaced by an update of the state"))


def _started(run: Run, task: PlannedTask) -> bool:
    return task.id in run.results or bool(run.ledger.of_tree(task.id))


def _last_writer(run: Run) -> str:
    wrote = run.checkpoint.wrote
    if len(wrote) > 1:
        raise GraphError(f"several nodes made the last checkpoint ({', '.join(wrote)}); say which one this stands for: update_state(…, as_node=…)")
    return wrote[0] if wrote else START


def _next_seq(run: Run) -> int:
    return run.head.seq + 1 if run.head else 0


def thread_id_of(config: Config) -> str:
    """The thread that a config names. Raises TypeError, ValueError."""
    configurable = config.get("configurable", {})
    if "thread_id" not in configurable:
        raise TypeError(f'config is {dict(config)!r}; expected {{"configurable": {{"thread_id": "…"}}}} to name the thread')
    return check_thread_id(configurable["thread_id"])


def named_seq(config: Config) -> int | None:
    """The number of the checkpoint that a config names, or None."""
    named = _named(config)
    return None if named is None else named[1]


def _named(config: Config) -> tuple[str, int] | None:
    checkpoint_id = config.get("configurable", {}).get("checkpoint_id")
    if checkpoint_id is None:
        return None
    nonce, _, number = str(checkpoint_id).rpartition("-")
    if not nonce or not number.isdigit():
        raise UnknownThreadError(f"checkpoint_id is {checkpoint_id!r}; expected one as get_state(config).config holds it")
    return nonce, int(number)


def history(
    threads: Threads, thread_id: str, config: Config, wanted: Mapping[str, Any] | None, before: Config | None, limit: int | None
) -> Iterator[StateSnapshot]:
    """Snapshots whose metadata has what is wanted, the newest first; each read when asked for."""
    unknown = sorted(set(wanted or ()) - {"source", "step", "writes"})
    if unknown:
        raise ValueError(f"filter names {', '.join(map(repr, unknown))}; the metadata of a checkpoint has 'source', 'step' and 'writes'")
    below, head = None if before is None else _named(before), threads.store.head(thread_id)
    if below is not None and head is not None and below[0] != head.nonce:
        raise _of_another_thread(below, thread_id)
    wanted = {key: list(value) if isinstance(value, tuple) else value for key, value in (wanted or {}).items()}
    found = (
        snapshot(threads.must_load(thread_id, config, checkpoint.seq))
        for checkpoint in threads.store.history(thread_id, before=None if below is None else below[1])
        if wanted.items() <= metadata(checkpoint).items()
    )
    yield from islice(found, limit)


def _of_another_thread(named: tuple[str, int], thread_id: str) -> UnknownThreadError:
    return UnknownThreadError(
        f"checkpoint {named[0]}-{named[1]:010d} is not of thread {thread_id!r}; take one from get_state_history(config)", thread_id=thread_id
    )
