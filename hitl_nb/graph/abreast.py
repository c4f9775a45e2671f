"""A wide superstep of a run: simple nodes side by side, while nothing is stored and nobody looks on.

As in a stretch, the loop has nothing to note of such nodes one by one: what they came to is kept by their place in the superstep, and tasks, jobs and
outcomes are made only for what is not just an update and targets. How a node is called, and what it returned means, is found by the same functions as
everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeGuard

from hitl_nb.checkpoint.records import PlannedTask
from hitl_nb.graph.asking.interrupt import Scope
from hitl_nb.graph.node.attempt import Begun, Done, Job, Outcome, at_once
from hitl_nb.graph.topology import Planned

if TYPE_CHECKING:
    from hitl_nb.graph.run import Run


def is_wide(tasks: Sequence[PlannedTask], run: Run) -> TypeGuard[Planned]:
    """Whether these tasks can run so."""
    return run.unseen and isinstance(tasks, Planned) and len(tasks) > 1 and run.topology.simple.issuperset(tasks.nodes)


class Abreast:
    """Effect: run the tasks of the superstep side by side. The reply is as for Start, unless it is `plain` then."""

    def __init__(self, run: Run, tasks: Planned, job: Callable[[PlannedTask], Job]) -> None:
        self._run = run
        self.tasks = tasks
        self._job = job
        self.left = iter(range(len(tasks)))
        """The places of the tasks that have yet to begin. Each Python thread that helps takes from it, which is one step."""
        self.made: list[Any] = [None] * len(tasks)
        """What each task came to: `Made`, or an outcome."""
        self.plain = False
        """True: all have ended, and each came to an update and targets, which are found in `made`."""

    def jobs(self) -> list[Job]:
        """For a driver with a way of its own."""
        return [self._job(t) for t in self.tasks]

    def go(self, within: Context, finish: Callable[[Job], Outcome]) -> None:
        """Run what is left, each in a copy of this context; several Python threads may do so at once. `finish`: the general way."""
        run, tasks, made = self._run, self.tasks, self.made
        topology, schema, values, seq = run.topology, run.schema, run.values, run.checkpoint.seq
        nodes, args = tasks.nodes, tasks.args
        for n in self.left:
            context, scope, arg = within.copy(), Scope(run, seq, (tasks, n)), args[n]
            if arg is None:
                came_to = context.run(at_once, nodes[n], scope, dict(values), values, topology, schema)
            else:
                came_to = context.run(at_once, nodes[n], scope, arg[0], values, topology, schema, sent=True)
            made[n] = context.run(finish, replace(self._job(tasks[n]), scope=scope, begun=came_to)) if isinstance(came_to, Begun) else came_to

    def ended(self) -> bool:
        """Whether each task has come to something."""
        return None not in self.made

    def outcomes(self) -> list[Outcome]:
        """The reply, once that is so."""
        self.plain = all(type(made) is tuple for made in self.made)
        if self.plain:
            return []
        return [Done(task, made[0], made[1]) if isinstance(made, tuple) else made for task, made in zip(self.tasks, self.made, strict=True)]
