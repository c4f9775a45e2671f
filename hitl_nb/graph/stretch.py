"""A straight stretch of a run: one simple node after another, while nobody looks on.

Between such nodes the loop has nothing to decide, so they are called in one go, and where the run is stored, each superstep is before the next
begins. What each of them is given, what it returned, which values come of that, where it leads and what is stored is found by the same functions as
everywhere; whatever those functions do not answer with a plain "and now this node" ends the stretch, and the loop goes on from there.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Collection, Sequence
from contextvars import copy_context
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hitl_nb.checkpoint.records import PlannedTask
from hitl_nb.errors import StoreError, ThreadMovedError
from hitl_nb.graph.asking.interrupt import Scope, ToDo
from hitl_nb.graph.node.attempt import Begun, Done, Job, Outcome, Plain, at_once
from hitl_nb.graph.topology import Planned, pulled_task, sole_node

if TYPE_CHECKING:
    from hitl_nb.graph.run import Run


def straight_from(tasks: Sequence[PlannedTask], run: Run) -> str | None:
    """The node that a stretch begins with; None when these tasks are no such beginning."""
    node = sole_node(tasks)
    fits = (
        len(run.checkpoint.tasks) == 1
        and node in run.topology.simple
        and not run.modes
        and run.watch is None
        and not run.checkpoint.arrived
        and not run.ledger.handled
        and (run.saver is None or _only_moves(run, tasks[0]))
    )
    return node if fits else None


def _only_moves(run: Run, task: PlannedTask) -> bool:
    """Whether all that there is to store of a stored run's next superstep is the checkpoint that it comes to, at once."""
    return (
        run.held is None
        and not run.path
        and not run.before
        and not run.after
        and not run.closing
        and run.ledger.is_quiet
        and task.seq == run.checkpoint.seq
    )


class Stretch:
    """Effect: run the one task of the superstep, and those of the supersteps after it. The reply is what the last one came to, which the loop has yet
    to take in: `Plain` or an outcome; a job, where that is still to be awaited. The run is at its superstep.
    """

    def __init__(self, run: Run, node: str, limit: int) -> None:
        self._run = run
        self._node = node
        self._limit = limit
        self.passed = 0
        """Supersteps that are over."""
        self._stopped = False

    def go(self) -> Plain | list[Outcome] | Job:
        """Called once, in a Python thread where all nodes of the stretch may run."""
        run = self._run
        topology, schema, seq, stored = run.topology, run.schema, run.checkpoint.seq, run.saver is not None
        tasks, node = run.checkpoint.tasks, self._node
        by: tuple[str, ...] = ()
        task: ToDo = (tasks, 0) if isinstance(tasks, Planned) else tasks[0]
        while True:
            values, context, scope = run.values, copy_context(), Scope(run, seq, task)
            made = context.run(at_once, node, scope, run.own_state() if stored else dict(values), values, topology, schema)
            if not isinstance(made, tuple):
                break
            update, goto, after = made
            onward = topology.after(node, goto)
            if onward not in topology.simple or self.passed + 1 == self._limit or self._stopped:
                break
            if stored:
                moved = self._store(scope.task, update, after, onward)
                if moved is None:
                    break
                task = moved
            else:
                run.values = schema.alone(values, node, update) if after is None else after
                by = (node,)
                task = (onward, by)
            self.passed += 1
            seq, node = seq + 1, onward
            if self._stopped:  # while the superstep was stored
                raise CancelledError
        if self.passed and not stored:
            self._arrive(seq, node, by)
        if isinstance(made, tuple):
            return [Done(scope.task, list(made[0]), list(made[1]))] if stored else Plain((node,), (made,))
        return Job(scope.task, dict(values), values, scope, begun=made, context=context) if isinstance(made, Begun) else [made]

    def stop(self) -> None:
        """Let no further node begin; from any Python thread."""
        self._stopped = True

    def _store(self, done: PlannedTask, update: Collection[tuple[str, Any]], after: dict[str, Any] | None, onward: str) -> PlannedTask | None:
        """Store the superstep of this task, and go to the next one, whose task it returns; None when its results cannot be combined or stored."""
        run, head, saver = self._run, self._run.head, self._run.saver
        if head is None or saver is None:
            return None
        seq, parent = head.seq + 1, run.checkpoint.seq
        try:
            after = run.schema.simply(run.values, update) if after is None else after
            if after is None:
                values, written = run.schema.apply(run.values, [(done.id, done.node, update)])
            else:
                values, written = after, {key for key, _ in update}
            task = pulled_task(run.checkpoint.nonce, seq, onward, (done.node,))
            new, changed = run.ahead(values, written, (task,), {}, source="loop", wrote=(done.node,), parent=parent)
            run.head = saver.commit(run.key, head, checkpoint=new, large=changed.large, graph=run.shape.record)
        except (ThreadMovedError, StoreError):
            raise
        except Exception:  # noqa: BLE001  # the loop comes to the same, and records it
            return None
        run.arrive(new, values, changed)
        return task

    def _arrive(self, seq: int, node: str, wrote: tuple[str, ...]) -> None:
        """Put the run before this node. Nobody could see the checkpoints between."""
        run, last = self._run, self._run.checkpoint
        run.checkpoint = replace(
            last, seq=seq, parent=seq - 1, step=last.step + self.passed, source="loop", created_at=run.now(),
            tasks=Planned(last.nonce, seq, {node: wrote}, (), (), ()), wrote=wrote, begun="",
        )  # fmt: skip
