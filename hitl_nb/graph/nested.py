"""A graph that runs inside a node of another one: as the node itself, or called by the node's function.

It has checkpoints of its own, under a key made of the task it runs in, so a task that runs again goes on where its inner graph stood. What its nodes
ask are questions of the thread around, answered there: events and questions go up, answers come down with the thread's ledger. So an answer is
recorded in one place, whoever asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.keys import memory_place, nested_thread_id
from hitl_nb.checkpoint.records import Asked, Event, Waits, Withdrawn
from hitl_nb.errors import QuestionChangedError
from hitl_nb.graph.attempt import ParentCommand
from hitl_nb.graph.effects import Flow, Io, Steps
from hitl_nb.graph.graph_change import require_unchanged
from hitl_nb.graph.interrupt import Scope
from hitl_nb.graph.loop import begin, supersteps
from hitl_nb.graph.run import Run
from hitl_nb.graph.running import Call, input_digest, nothing, perform, prepared, run_unstored, written
from hitl_nb.graph.threads import Threads


def nested_flow(known: Threads, call: Call, scope: Scope, host: Run) -> Flow:
    """Run the graph inside the node of `scope`, which belongs to the run `host`. Raises the pause signal where it waits for answers."""
    scope.not_while_paused()
    number, scope.calls = scope.calls, scope.calls + 1
    saver = None if known.memory is False else host.saver
    if saver is None:
        run = known.placed(host, "", scope.task, call.config)
        return _left((yield from run_unstored(known, call, run)))
    opened: tuple[Run, Steps] = yield Io(lambda: _open(known, call, scope, host, saver, number))
    run, first = prepared(opened[0], call), opened[1]
    yield from perform(first, saver, run)
    yield from perform(supersteps(run), saver, run)
    if _left(run).checkpoint.tasks:
        raise scope.stopped(tuple(_lifted(run, scope.task.id)), tuple(run.fresh))
    return run


def _left(run: Run) -> Run:
    """The run, unless one of its nodes had a command for the graph around."""
    if run.up is not None:
        raise ParentCommand(run.up)
    return run


def _open(known: Threads, call: Call, scope: Scope, host: Run, saver: Checkpointer, number: int) -> tuple[Run, Steps]:
    """The inner graph where it stands, and the steps that begin it when it is new."""
    task = scope.task
    key = nested_thread_id(host.key, memory_place(task.node) if known.memory else task.id, number)
    run = None if saver.head(key) is None else known.inside(host, key, task)
    writes = written(call.given, "")
    digest = input_digest(saver, call.given, writes)
    if run is None:
        run = known.placed(host, key, task, call.config)
        return run, begin(run, writes, f"{task.id} {digest}")
    assert run.head is not None  # a loaded one has one
    begun_in, _, begun_with = run.head.input_digest.partition(" ")
    if begun_in != task.id:  # a memory over several tasks: the next one begins
        return run, begin(run, writes, f"{task.id} {digest}")
    if begun_with != digest and not scope.moved and host.topology.nodes[task.node].subgraph is None:
        scope.refused = QuestionChangedError(
            f"node {task.node!r} (thread {host.thread_id!r}) ran again and gave its inner graph {known.name!r} (call {number + 1}) other input than "
            f"before, so the answers given there were not delivered. Make the node call it with the same input until it returns (keep what changes "
            f"in the state), or begin anew from an earlier checkpoint",
            node=task.node,
            thread_id=host.thread_id,
        )
        raise scope.refused
    require_unchanged(run)
    return run, nothing()


def _lifted(run: Run, task_id: str) -> Iterator[Event]:
    """What the graph asked, as the graph around sees it, which then waits."""
    order = {t.id: n for n, t in enumerate(run.checkpoint.tasks)}
    for event in run.upward:
        if isinstance(event, Asked):
            yield replace(event, owner=(task_id, *event.owner), order=(order.get(event.task, -1), *event.order))
        elif isinstance(event, Withdrawn | Waits):
            yield replace(event, owner=(task_id, *event.owner))
    yield Waits((task_id,))


def inner_call(call: Call, host: Run) -> Call:
    """The call with what it takes from the run around: config, context, limit, and what that run's caller wants to be told."""
    told = host.modes if "subgraphs" in host.modes else frozenset[str]()
    config: Any = {**host.config, **call.config}
    return replace(call, config=config, modes=call.modes | told, context=host.context if call.context is None else call.context)
