"""A graph that runs inside a node of another one: as the node itself, or called by the node's function.

It has checkpoints of its own, under a key made of the task it runs in, so a task that runs again goes on where its inner graph stood. What its nodes
ask are questions of the thread around, answered there: events and questions go up, answers come down with the thread's ledger. So an answer is
recorded in one place, whoever asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.keys import memory_places, nested_thread_id, task_places
from hitl_nb.checkpoint.records import Asked, Event, Head, PlannedTask, Waits, Withdrawn, fingerprint
from hitl_nb.errors import GraphError, NotSerializableError, QuestionChangedError
from hitl_nb.graph import durability
from hitl_nb.graph.asking.interrupt import Scope
from hitl_nb.graph.effects import Commit, Flow, Io, Steps
from hitl_nb.graph.loop import begin, supersteps
from hitl_nb.graph.node.attempt import ParentCommand, joined
from hitl_nb.graph.run import Run
from hitl_nb.graph.running import Call, input_digest, nothing, perform, prepared, run_unstored, written
from hitl_nb.graph.state.schema import StateSchema
from hitl_nb.graph.thread.graph_change import require_unchanged
from hitl_nb.graph.thread.refreshing import refreshed
from hitl_nb.graph.thread.threads import Threads
from hitl_nb.graph.types import Command


@dataclass(frozen=True, slots=True)
class _Begun:
    """What a graph was begun with, as its `Head.input_digest` keeps it."""

    task: str
    graph: str
    """Fingerprint of its name."""
    heard: int
    """How many questions the node, or graphs that it called before this one, had asked by then."""
    questions: str
    """Fingerprint of their ids: a reopened one is asked again under another."""
    given: str
    """Digest of the input."""

    @classmethod
    def of(cls, task: str, name: str, heard: Sequence[str], given: str) -> _Begun:
        return cls(task, fingerprint(name, size=4), len(heard), fingerprint(*heard, size=4), given)

    @classmethod
    def from_text(cls, text: str) -> _Begun:
        task, graph, heard, questions, given = text.split(" ")
        return cls(task, graph, int(heard), questions, given)

    def to_text(self) -> str:
        return f"{self.task} {self.graph} {self.heard} {self.questions} {self.given}"


def nested_flow(known: Threads, call: Call, scope: Scope, host: Run) -> Flow:
    """Run the graph inside the node of `scope`, which belongs to the run `host`. Raises the pause signal where it waits for answers."""
    scope.not_while_paused()
    turn = next(scope.turns)
    ended = scope.entered()
    try:
        run: Run = yield from _run(known, call, scope, host, turn)
    finally:
        ended.set_result(None)
    if run.up:
        command = _joined(run, host)
        scope.commanded(turn, command)
        raise ParentCommand(command)
    return run


def _run(known: Threads, call: Call, scope: Scope, host: Run, turn: int) -> Flow:
    saver = None if known.memory is False else host.saver
    if saver is None:
        run = known.placed(host, "", scope.task, call.config)
        run.saver = None
        return (yield from run_unstored(known, call, run))
    task, position = scope.task, scope.position
    either = [memory_places(name) for name in host.renamed.names(task.node)] if known.memory else [task_places(task.id)]
    places = [place[scope.handling] for place in either]
    number = next(scope.calls.setdefault(places[0], count()))
    keys = [nested_thread_id(host.key, place, number) for place in places]
    before = scope.ledger.of_tree(task.id)
    heard = [a.interrupt_id for a in before if (a.order[0] < turn if a.owner else a.position < position)]
    opened: tuple[Run, Steps] = yield Io(lambda: _open(known, call, scope, host, saver, keys, heard))
    run, first = prepared(opened[0], call), opened[1]
    try:
        yield from perform(first, saver, run, _stored)
        yield from perform(supersteps(run), saver, run)
    except Exception:
        scope.raised(tuple(_lifted(run, scope.task.id, turn)), tuple(run.fresh))
        raise
    if run.checkpoint.tasks and not run.up:
        waits_for = tuple(a.interrupt_id for a in run.ledger.open())
        raise scope.stopped(tuple(_lifted(run, scope.task.id, turn)), tuple(run.fresh), waits_for)
    return run


def _stored(saver: Checkpointer, run: Run, effect: Commit) -> Flow:
    """Store how the graph begins, or goes on with new input; what it asked and is void now is withdrawn with that, so that nobody can answer it."""
    void = tuple(replace(e, owner=(*run.owner, *e.owner)) for e in run.upward if isinstance(e, Withdrawn))
    thread = run.thread
    if not void or thread is None:
        return (yield from durability.commit(saver, run, effect))
    thread.behind = True
    withdrawn = {"expect": thread.head, "closing": void}

    def write() -> Head | None:
        durability.settle(run)
        return saver.commit_all(run.thread_id, [withdrawn, {"thread_id": run.key, **effect.arguments}])

    return (yield Io(write))


def _joined(run: Run, host: Run) -> Command:
    """The commands that nodes of the run, side by side, had for the graph around. Raises ConcurrentUpdateError where they do not agree."""
    made = [(t.node, run.up[t.id]) for t in run.checkpoint.tasks if t.id in run.up]
    if len(made) > 1:
        host.schema.apply(host.values, ((node, node, command.writes()) for node, command in made))
    return joined(command for _, command in made)


def _open(known: Threads, call: Call, scope: Scope, host: Run, saver: Checkpointer, keys: list[str], heard: list[str]) -> tuple[Run, Steps]:
    """The inner graph where it stands, and the steps that begin it: when it is new, or given other input since a reopened question or an update."""
    task = scope.task
    if known.memory and any(t.node == task.node and t.id != task.id for t in host.checkpoint.tasks):
        raise GraphError(
            f"node {task.node!r} runs several times in one superstep, but its graph {known.name!r} was compiled with checkpointer=True and has one "
            f"memory for all of them; compile it without checkpointer=, so that each run begins anew",
            node=task.node,
        )
    key = next((k for k in keys if saver.head(k) is not None), keys[0])  # a memory stays where its node had another name
    run = None if saver.head(key) is None else known.inside(host, key, task)
    writes = written(call.given, "")
    begins = _Begun.of(task.id, known.name, heard, _given(saver, call, writes, host))
    if run is None:
        run = known.placed(host, key, task, call.config)
        return run, begin(run, writes, begins.to_text())
    assert run.head is not None  # a loaded one has one
    begun = _Begun.from_text(run.head.input_digest)
    called = host.topology.nodes[task.node].subgraph is None
    reopened = any(task.id in (w.task_id, *w.owner) for gone in [*scope.ledger.withdrawn.values()] for w in gone)
    changed = reopened or scope.moved  # what the node gives to the graph may be other than before, and then no answer from before counts
    if called and begun.graph != begins.graph and (known.memory or not changed):
        raise _refused(scope, host, f"called the graph {known.name!r} where it had called another one before")
    if begun.task != task.id:  # a memory over several tasks: the next one begins
        return run, begin(run, writes, begins.to_text())
    # the answers in a graph that runs side by side with this one came after it had begun
    same = begun == _Begun.of(task.id, known.name, heard[: begun.heard], begins.given)
    if not same and (changed if called else scope.moved and not run.checkpoint.tasks):
        run = _undone(known, call, saver, host, key, task, run)
        return run, begin(run, writes, begins.to_text())
    if called and begins.given != begun.given:
        raise _refused(scope, host, f"gave its inner graph {known.name!r} other input than before")
    require_unchanged(run)
    return run, refreshed(run, saver, writes, begins.to_text()) if begins.given != begun.given and scope.moved else nothing()


def _given(saver: Checkpointer, call: Call, writes: list[tuple[str, Any]], host: Run) -> str:
    """A digest of what the node gives to the graph: the input, and a context other than its own as far as such a thing can be stored."""
    given = input_digest(saver, call.given, writes)
    if call.context is host.context:
        return given
    try:
        return fingerprint(given, saver.serde.digest(call.context, "context"))
    except NotSerializableError:  # a connection, for example: nobody can tell whether it is the same
        return given


def _undone(known: Threads, call: Call, saver: Checkpointer, host: Run, key: str, task: PlannedTask, begun: Run) -> Run:
    """The inner graph as it was before this task began it. What it asked since is void."""
    assert begun.head is not None  # it has begun
    first = saver.beginning(key, begun.checkpoint)
    if first is None or first.parent is None:
        run = known.placed(host, key, task, call.config)
        run.head, run.checkpoint = begun.head, replace(run.checkpoint, nonce=begun.head.nonce)
    else:
        run = known.inside(host, key, task, first.parent)
    for asked in begun.ledger.open():
        run.note(Withdrawn.of(asked, "its graph begins anew, as a question before it was reopened or the state was updated"))
    return run


def _refused(scope: Scope, host: Run, what: str) -> QuestionChangedError:
    node = scope.task.node
    scope.refused = error = QuestionChangedError(
        f"node {node!r} (thread {host.thread_id!r}) ran again and {what}, so what was answered there was not delivered. Make the node make the same "
        f"calls with the same input until it returns (keep what changes in the state), or begin anew from an earlier checkpoint",
        node=node,
        thread_id=host.thread_id,
    )
    return error


def _lifted(run: Run, task_id: str, turn: int) -> Iterator[Event]:
    """What the graph asked, as the graph around sees it. `turn`: which of the graphs that its node ran."""
    order = {t.id: n for n, t in enumerate(run.checkpoint.tasks)}
    for event in run.upward:
        if isinstance(event, Asked):
            yield replace(event, owner=(task_id, *event.owner), order=(turn, order.get(event.task, -1), *event.order))
        elif isinstance(event, Withdrawn | Waits):
            yield replace(event, owner=(task_id, *event.owner))


def inner_call(call: Call, schema: StateSchema, host: Run) -> Call:
    """The call with what it takes from the run around: config, context, limit, and what that run's caller wants to be told."""
    told = host.modes if "subgraphs" in host.modes else frozenset[str]()
    config: Any = {**host.config, **call.config}
    context = host.context if call.context is None else schema.context(call.context)
    return replace(call, config=config, modes=call.modes | told, context=context, watch=host.watch)
