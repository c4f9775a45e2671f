"""A straight stretch of a run: one simple node after another, while nothing is stored and nobody looks on.

Between such nodes the loop has nothing to decide, so they are called in one go. What each of them is given, what it returned, which values come of
that and where it leads is found by the same functions as everywhere; whatever those functions do not answer with a plain "and now this node" ends
the stretch, and the loop goes on from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import copy_context
from dataclasses import replace
from typing import TYPE_CHECKING

from hitl_nb.checkpoint.records import PlannedTask
from hitl_nb.graph.asking.interrupt import Scope
from hitl_nb.graph.node.attempt import Begun, Done, Job, Outcome, at_once

if TYPE_CHECKING:
    from hitl_nb.graph.run import Run


def is_straight(run: Run, tasks: Sequence[PlannedTask]) -> bool:
    """Whether a stretch can begin with these tasks."""
    return (
        run.unseen
        and len(run.checkpoint.tasks) == len(tasks) == 1
        and tasks[0].arg is None
        and tasks[0].node in run.topology.simple
        and not run.checkpoint.arrived
        and not run.ledger.handled
    )


class Stretch:
    """Effect: run the one task of the superstep, and those of the supersteps after it. The reply is what the last one came to, which the loop has yet
    to take in; the run is at its superstep. A job, where that is still to be awaited.
    """

    def __init__(self, run: Run, limit: int) -> None:
        self._run = run
        self._limit = limit
        self.passed = 0
        """Supersteps that are over."""
        self._stopped = False

    def go(self) -> Outcome | Job:
        """Called once, in a Python thread where all nodes of the stretch may run."""
        run = self._run
        topology, schema, seq = run.topology, run.schema, run.checkpoint.seq
        (task,) = run.checkpoint.tasks
        node, by = task.node, task.by
        while True:
            values, context, scope = run.values, copy_context(), Scope(run, seq, (node, by))
            made = context.run(at_once, node, scope, dict(values), values, topology, schema)
            if not isinstance(made, tuple):
                break
            update, goto, after = made
            onward = topology.after(node, goto)
            if onward not in topology.simple or self.passed + 1 == self._limit or self._stopped:
                break
            run.values = schema.alone(values, node, update) if after is None else after
            self.passed += 1
            seq, node, by = seq + 1, onward, (node,)
        if self.passed:
            self._arrive(scope, by)
        if isinstance(made, tuple):
            return Done(scope.task, made[0], made[1])
        return Job(scope.task, dict(values), values, scope, begun=made, context=context) if isinstance(made, Begun) else made

    def stop(self) -> None:
        """Let no further node begin; from any Python thread."""
        self._stopped = True

    def _arrive(self, scope: Scope, wrote: tuple[str, ...]) -> None:
        """Put the run where it stands. Nobody could see the checkpoints between."""
        run, last = self._run, self._run.checkpoint
        run.checkpoint = replace(
            last, seq=scope.seq, parent=scope.seq - 1, step=last.step + self.passed, source="loop", created_at=run.now(), tasks=(scope.task,),
            wrote=wrote, begun="",
        )  # fmt: skip
