"""Changes of the state from outside: `update_state`, `bulk_update_state`, and `Command(update=…)` given to invoke."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hitl_nb.checkpoint.records import Answered, Decision, Event, PlannedTask, Withdrawn, boundary_id
from hitl_nb.errors import GraphError, UnknownNodeError, UnknownThreadError, shown
from hitl_nb.graph.effects import Steps
from hitl_nb.graph.loop import begin, move, pause_at_boundary, route
from hitl_nb.graph.run import Run
from hitl_nb.graph.thread.graph_change import leave_behind
from hitl_nb.graph.thread.threads import finished_of, results_of
from hitl_nb.graph.topology import Exit
from hitl_nb.graph.types import END, START, Send, StateUpdate, pairs


@dataclass(frozen=True, slots=True)
class _Write:
    """One update, checked."""

    node: str
    """As which it counts."""
    values: list[tuple[str, Any]]
    task_id: str | None
    """The one task that it stands for; None: all of its node."""

    def stands_for(self, task: PlannedTask) -> bool:
        return task.node == self.node if self.task_id is None else task.id == self.task_id


def update(run: Run, supersteps: Sequence[Sequence[StateUpdate]]) -> Steps:
    """Write as if the nodes had returned these values: a checkpoint for each superstep. Open questions of other nodes stay open (semantics R18)."""
    for number, updates in enumerate(supersteps):
        if number:
            assert run.saver is not None  # threads are updated in a store
            run.results = results_of(run.saver, run)
        if run.checkpoint.seq < 0:
            yield from _begin(run, updates)
        else:
            yield from _superstep(run, updates)
    yield from pause_at_boundary(run)


def checked(supersteps: object) -> list[list[StateUpdate]]:
    """What `bulk_update_state` was given. Raises ValueError, TypeError."""
    if isinstance(supersteps, str | Mapping) or not isinstance(supersteps, Sequence):
        raise TypeError(f"bulk_update_state() got {shown(supersteps)}; expected a list of supersteps, each a list of StateUpdate(values, as_node)")
    found = []
    for updates in supersteps:
        if isinstance(updates, str | Mapping | StateUpdate) or not isinstance(updates, Sequence):
            raise TypeError(f"a superstep of bulk_update_state() is {shown(updates)}; expected a list of StateUpdate(values, as_node)")
        for u in updates:
            if not isinstance(u, tuple | list) or not 1 <= len(u) <= 3:
                raise TypeError(f"bulk_update_state() got the update {shown(u)}; expected StateUpdate(values, as_node)")
        found.append([StateUpdate(*u) for u in updates])
    if not found or not all(found):
        raise ValueError("bulk_update_state() got no supersteps, or one without updates; expected [[StateUpdate(values, as_node), …], …]")
    return found


def _begin(run: Run, updates: Sequence[StateUpdate]) -> Steps:
    """The first superstep of a thread that does not exist: its input."""
    if len(updates) > 1 or updates[0].as_node != START:
        raise UnknownThreadError(
            f"the store holds no thread {run.thread_id!r} to update; start it with invoke(input, config), or give its input as one update with "
            f"as_node=START",
            thread_id=run.thread_id,
        )
    writes = pairs({} if updates[0].values is None else updates[0].values, "the update as START")
    yield from begin(run, writes, run.codec.digest(dict(writes), "input"))


def _superstep(run: Run, updates: Sequence[StateUpdate]) -> Steps:
    leave_behind(run)
    if any(u.as_node == END for u in updates):
        yield from _end(run, updates)
        return
    writes = [_write(run, u, alone=len(updates) == 1) for u in updates]
    nodes = {w.node for w in writes}
    done: list[Exit] = []
    for w in writes:  # a path function sees the values of its own node, as in a run
        seen, _ = run.schema.apply(run.values, [(w.node, w.node, w.values)])
        done.append(Exit(w.node, (yield from route(run, w.node, seen))))
    after, written = run.schema.apply(run.values, ((f"update {n}", w.node, w.values) for n, w in enumerate(writes)))
    kept = [
        t for t in run.checkpoint.tasks if not any(w.stands_for(t) for w in writes) and (_started(run, t) or not t.by or not nodes.issuperset(t.by))
    ]
    planned, arrived = run.topology.plan(done, run.checkpoint.arrived, run.checkpoint.nonce, run.next_seq, busy=bool(kept))
    pulled = {t.node for t in kept if t.arg is None}
    tasks = (*kept, *(t for t in planned if t.arg is not None or t.node not in pulled))
    yield from _moved(run, after, written, tasks, arrived, wrote=tuple(w.node for w in writes if w.node != START), kept=kept)


def _end(run: Run, updates: Sequence[StateUpdate]) -> Steps:
    """Nothing runs any more: results that are there count, open questions are withdrawn."""
    if len(updates) > 1 or updates[0].values:
        raise GraphError("an update as END only ends the thread: give it alone, and with None as its values")
    tasks = [t for t in run.checkpoint.tasks if t.id in run.results]
    after, written = run.schema.apply(run.values, ((t.id, t.node, run.results[t.id].update) for t in tasks))
    yield from _moved(run, after, written, (), {}, wrote=tuple(t.node for t in tasks), kept=())


def _moved(
    run: Run,
    after: dict[str, Any],
    written: set[str],
    tasks: tuple[PlannedTask, ...],
    arrived: Mapping[str, tuple[str, ...]],
    *,
    wrote: tuple[str, ...],
    kept: Sequence[PlannedTask],
) -> Steps:
    ids = {t.id for t in kept}
    _withdraw(run, except_tasks=ids)
    yield from move(run, after, written, tasks, arrived, source="update", wrote=wrote, parent=run.checkpoint.seq, events=_carried(run, ids))


def _write(run: Run, u: StateUpdate, *, alone: bool) -> _Write:
    node = u.as_node
    if u.task_id is not None:
        task = next((t for t in run.checkpoint.tasks if t.id == u.task_id), None)
        if task is None or (node is not None and task.node != node):
            known = ", ".join(f"{t.id} ({t.node})" for t in run.checkpoint.tasks) or "none"
            raise GraphError(f"task_id={u.task_id!r} is no task{f' of node {node!r}' if node else ''} that is next here; these are: {known}")
        node = task.node
    if node is None:
        if not alone:
            raise GraphError("several updates of one superstep each have to say as_node=…, the node that they stand for")
        node = _last_writer(run)
    if not isinstance(node, str) or (node != START and node not in run.topology.nodes):
        raise UnknownNodeError(f"as_node={shown(node)} is no node of this graph; known: {', '.join(run.topology.nodes)}", node=node)
    return _Write(node, pairs({} if u.values is None else u.values, "update_state(…, values)"), u.task_id)


def amend(run: Run, writes: Sequence[tuple[str, Any]], goto: Sequence[str | Send], decisions: Sequence[Decision]) -> Steps:
    """`Command(update=…, goto=…, resume=…)` from outside: write and route first, keep what is planned, take the answers along (semantics R11)."""
    after, written = run.schema.apply(run.values, [("command", "Command(update=…)", writes)])
    targets = run.targets(run.topology.check_target(t, "Command(goto=…)") for t in goto)
    planned, _ = run.topology.plan([Exit("", targets)], {}, run.checkpoint.nonce, run.next_seq)
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
    return events + finished_of(run, tasks)


def _passed_boundary(run: Run, answered: set[str]) -> list[Event]:
    """The static pause that was passed before, or is with these answers, as it holds at the next checkpoint."""
    boundary = boundary_id(run.checkpoint.nonce, run.next_seq)
    events: list[Event] = []
    for asked in run.ledger.asked.values():
        before = run.ledger.answered.get(asked.interrupt_id)
        if asked.kind == "static" and not asked.owner and (before or asked.interrupt_id in answered):
            events += [replace(asked, task_id=boundary), *([before] if before else [])]
    return events


def _withdraw(run: Run, except_tasks: set[str], except_ids: set[str] | frozenset[str] = frozenset()) -> None:
    for asked in run.ledger.open():
        if asked.task not in except_tasks and asked.interrupt_id not in except_ids:
            run.closing.append(Withdrawn.of(asked, "replaced by an update of the state"))


def _started(run: Run, task: PlannedTask) -> bool:
    return task.id in run.ledger.finished or bool(run.ledger.of_tree(task.id))


def _last_writer(run: Run) -> str:
    wrote = run.checkpoint.wrote
    if len(wrote) > 1:
        raise GraphError(f"several nodes made the last checkpoint ({', '.join(wrote)}); say which one this stands for: update_state(…, as_node=…)")
    return wrote[0] if wrote else START
