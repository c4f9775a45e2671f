"""Threads as the graph sees them: load one, look at it, go back to an earlier checkpoint, reopen a question."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any, Final

from hitl_nb.checkpoint.base import Checkpointer, check_thread_id
from hitl_nb.checkpoint.keys import checkpoint_id
from hitl_nb.checkpoint.ledger import Ledger
from hitl_nb.checkpoint.records import Checkpoint, Event, Finished, Head, PlannedTask, Withdrawn, fingerprint, task_id
from hitl_nb.errors import CorruptStoreError, GraphError, RecursionLimitError, UnknownInterruptError, UnknownThreadError, shown
from hitl_nb.graph.effects import Steps
from hitl_nb.graph.loop import move
from hitl_nb.graph.node.attempt import Done
from hitl_nb.graph.run import Run
from hitl_nb.graph.state.schema import StateSchema
from hitl_nb.graph.thread.graph_change import Renamed, Shape
from hitl_nb.graph.thread.snapshots import metadata, snapshot
from hitl_nb.graph.topology import Topology
from hitl_nb.graph.types import Config, Send, StateSnapshot

_LEVELS_MAX: Final = 50
"""Graphs inside graphs. A graph that runs itself without end fails here and not when the stack or the memory is used up."""
_NUMBER: Final = re.compile(r"[0-9]{1,15}")
"""Of a checkpoint, as its id says it."""


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
    renamed: Renamed
    """Names in stored threads that go on under others."""
    memory: bool | None = None
    """For a graph inside a node. None: each task begins it anew. True: it remembers its state from task to task. False: nothing is kept."""
    shape: Shape = field(init=False)
    """What the graph looks like."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", Shape.of(self.topology, self.schema))

    def fresh(self, thread_id: str, config: Config) -> Run:
        """A run of a thread that does not exist yet."""
        start = Checkpoint(seq=-1, nonce=self.new_nonce(), parent=None, step=-2, source="input", created_at=self.now(), versions={})
        config = {"configurable": {}, **config}
        return Run(
            self.topology, self.schema, thread_id, thread_id, self.name, config, self.now, self.saver, start, {}, self.shape,
            renamed=self.renamed, before=self.before, after=self.after,
        )  # fmt: skip

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
        if (named := named_checkpoint(config)) is not None and named[0] != head.nonce:
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
                raise CorruptStoreError(f"question {asked.interrupt_id} of thread {thread_id!r} is missing from {saver.called}", thread_id=thread_id)
            run.questions[question.id] = question
            if question.quorum > 1 and run.ledger.is_open(question.id):
                run.votes[question.id] = saver.standing_votes(question.id)
        self.renamed.apply(run)
        return run

    def inside(self, host: Run, key: str, task: PlannedTask, seq: int | None = None) -> Run:
        """The graph that runs inside this task of `host`, where it stands or at checkpoint `seq`. Raises UnknownThreadError when it has not begun."""
        saver = self.store_of(host)
        head = saver.head(key)
        if head is None:
            raise UnknownThreadError(f"no graph has begun inside node {task.node!r} of thread {host.thread_id!r}", thread_id=host.thread_id)
        run = self.placed(host, key, task, host.config)
        _read(saver, run, head, head.seq if seq is None else seq, Ledger([*host.ledger.inside(task.id), *saver.events(key, head, seq)]))
        run.questions, run.votes = dict(host.questions), host.votes
        self.renamed.apply(run)
        return run

    def placed(self, host: Run, key: str, task: PlannedTask, config: Config) -> Run:
        """A run of this graph inside a task of `host` that has not begun. Raises RecursionLimitError for one that lies too deep inside others."""
        if len(host.path) >= _LEVELS_MAX:
            raise RecursionLimitError(
                f"thread {host.thread_id!r} runs graphs inside graphs {_LEVELS_MAX} deep, and node {task.node!r} of the innermost began one more. "
                f"Does a graph run itself without an end? At most {_LEVELS_MAX} levels are run",
                thread_id=host.thread_id or None,
                node=task.node,
            )
        run = self.fresh(host.thread_id, config)
        # its identity follows from its place, so that a question asked again after a crash has the id it had
        run.checkpoint = replace(run.checkpoint, nonce=fingerprint(host.checkpoint.nonce, key, size=6))
        run.key, run.graph, run.now, run.saver, run.path = key, host.graph, host.now, host.saver, (*host.path, task.node)
        run.held, run.place = host.held, f"{host.place}|{task.node}:{task.id}".lstrip("|")
        run.owner, run.thread = (*host.owner, task.id), host.thread or host
        if host.serde is not None:
            host.serde.register(*self.schema.types)
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
        known = isinstance(interrupt_id, str)
        decision, ledger, seq = self.store.decision(interrupt_id) if known else None, run.ledger, run.checkpoint.parent
        if decision is not None and decision.thread_id == run.thread_id and run.head is not None:
            while seq is not None and seq >= decision.seq and not ledger.was_withdrawn(interrupt_id):
                ledger = self.store.ledger(run.thread_id, run.head, seq)
                if interrupt_id in ledger.answered:
                    return self.must_load(run.thread_id, run.config, seq)
                seq = self.store.checkpoint(run.thread_id, seq).parent
        if decision is not None and decision.thread_id == run.thread_id and run.head is not None and 0 <= decision.seq < run.head.first:
            raise UnknownInterruptError(
                f"{shown(interrupt_id)} was answered at checkpoint {decision.seq} of thread {run.thread_id!r}, whose checkpoints before "
                f"{run.head.first} were pruned; nothing was reopened. To change what came of it: update_state(…, as_node={decision.node!r})",
                thread_id=run.thread_id,
                interrupt_id=interrupt_id,
            )
        raise UnknownInterruptError(
            f"{shown(interrupt_id)} is no answered question of thread {run.thread_id!r} as it stands; nothing was reopened. The decisions that count "
            f"are those of get_state_history(config); a question that was reopened before goes by its newer id",
            thread_id=run.thread_id,
            interrupt_id=interrupt_id,
        )

    def of_records(self) -> Threads:
        """For a graph of which only the records are known: any key, no nodes."""
        return replace(self, topology=Topology(), schema=StateSchema())

    @staticmethod
    def store_of(run: Run) -> Checkpointer:
        """Where the run keeps its thread."""
        if run.saver is None:
            raise GraphError("this run has no checkpointer, so it keeps no threads; compile(checkpointer=…)")
        return run.saver

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
    run.results = results_of(saver, run)


def results_of(saver: Checkpointer, run: Run) -> dict[str, Done]:
    """What the tasks of the run's superstep returned that had finished when it was stored, by id."""
    found = dict[str, Done]()
    for task in run.checkpoint.tasks:
        if (finished := run.ledger.finished.get(task.id)) is not None:
            update = [(key, value) for key, value in saver.serde.loads(finished.update)]
            goto = [node if arg is None else Send(node, saver.serde.loads(arg)) for node, arg in finished.goto]
            found[task.id] = Done(task, update, goto, instead=finished.instead)
    return found


def finished_of(run: Run, tasks: Collection[str]) -> list[Event]:
    """The results of these tasks as events of another checkpoint; what was renamed goes on under its new name."""
    return [
        Finished(i, run.codec.dumps(done.update, "update"), run.targets(done.goto), done.instead) for i, done in run.results.items() if i in tasks
    ]


# -- changing -----------------------------------------------------------------------------------------------------------------------------


def fork(run: Run, head_ledger: Ledger) -> Steps:
    """Make the run's (older) checkpoint the newest again, everything after it undone but kept in the history. Its questions are asked anew."""
    seq = run.next_seq
    tasks = tuple(replace(t, id=task_id(run.checkpoint.nonce, seq, t.path), seq=seq) for t in run.checkpoint.tasks)
    yield from return_to(run, head_ledger, tasks, [])


def return_to(run: Run, head_ledger: Ledger, tasks: Sequence[PlannedTask], events: Sequence[Event]) -> Steps:
    kept = Ledger(events)
    for asked in head_ledger.open():
        if not kept.is_open(asked.interrupt_id):
            run.closing.append(Withdrawn.of(asked, "the thread went back to an earlier checkpoint"))
    c = run.checkpoint
    yield from move(run, run.values, (), tasks, c.arrived, source="fork", wrote=c.wrote, parent=c.seq, events=events)


def configurable_of(config: Config) -> Mapping[str, Any]:
    """What a config names. Raises TypeError for what is no config."""
    named = config.get("configurable", {}) if isinstance(config, (dict, Mapping)) else None  # dict first: the check against the ABC is the slow one
    if not isinstance(named, (dict, Mapping)):
        raise TypeError(f'config is {shown(config)}; expected {{"configurable": {{"thread_id": "…"}}}} to name the thread')
    return named


def thread_id_of(config: Config, *, inside: bool = False) -> str:
    """The thread that a config names. Raises TypeError, ValueError; GraphError for a graph inside a node of it, unless `inside` may be."""
    configurable = configurable_of(config)
    place = configurable.get("checkpoint_ns")
    if place is not None and not isinstance(place, str):
        raise TypeError(f"checkpoint_ns is {shown(place)} ({type(place).__name__}); expected that of a config from get_state(config, subgraphs=True)")
    if place and not inside:
        raise GraphError(
            f"the config names a graph inside a node (checkpoint_ns {shown(place)}), which get_state(config) shows; run, change "
            f"and answer the thread around it: {{'configurable': {{'thread_id': {shown(configurable.get('thread_id'))}}}}}"
        )
    if "thread_id" not in configurable:
        raise TypeError(f'config is {shown(config)}; expected {{"configurable": {{"thread_id": "…"}}}} to name the thread')
    return check_thread_id(configurable["thread_id"])


def named_seq(config: Config) -> int | None:
    """The number of the checkpoint that a config names, or None."""
    named = named_checkpoint(config)
    return None if named is None else named[1]


def named_checkpoint(config: Config) -> tuple[str, int] | None:
    """The identity of the thread and the number of the checkpoint that a config names, or None."""
    checkpoint_id = configurable_of(config).get("checkpoint_id")
    if checkpoint_id is None:
        return None
    nonce, _, number = checkpoint_id.rpartition("-") if isinstance(checkpoint_id, str) else ("", "", "")
    if not nonce or not _NUMBER.fullmatch(number):
        raise UnknownThreadError(f"checkpoint_id is {shown(checkpoint_id)}; expected one as get_state(config).config holds it")
    return nonce, int(number)


def history(
    threads: Threads, thread_id: str, config: Config, wanted: Mapping[str, Any] | None, before: Config | None, limit: int | None
) -> Iterator[StateSnapshot]:
    """Snapshots whose metadata has what is wanted, the newest first; each read when asked for."""
    if wanted is not None and not isinstance(wanted, Mapping):
        raise TypeError(f"filter is {shown(wanted)} ({type(wanted).__name__}); expected a mapping such as {{'source': 'update'}}")
    if limit is not None and (not isinstance(limit, int) or limit < 0):
        raise ValueError(f"limit is {shown(limit)}; expected a whole number of checkpoints, 0 or more, or None for all")
    unknown = [name for name in wanted or () if name not in ("source", "step", "writes")]
    if unknown:
        raise ValueError(f"filter names {', '.join(map(shown, unknown))}; the metadata of a checkpoint has 'source', 'step' and 'writes'")
    below, head = None if before is None else named_checkpoint(before), threads.store.head(thread_id)
    if below is not None and head is not None and below[0] != head.nonce:
        raise _of_another_thread(below, thread_id)
    wanted = {key: list(value) if isinstance(value, tuple) else value for key, value in (wanted or {}).items()}
    found = (
        snapshot(threads.must_load(thread_id, config, checkpoint.seq))
        for checkpoint in threads.store.history(thread_id, before=None if below is None else below[1])
        if wanted.items() <= metadata(checkpoint).items()
    )
    yield from islice(found, None if limit is None else min(limit, sys.maxsize))


def _of_another_thread(named: tuple[str, int], thread_id: str) -> UnknownThreadError:
    return UnknownThreadError(
        f"checkpoint {checkpoint_id(*named)} is not of thread {thread_id!r}; take one from get_state_history(config)", thread_id=thread_id
    )
