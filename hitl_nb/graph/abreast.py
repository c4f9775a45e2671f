"""A wide superstep of a run: simple nodes side by side, while nothing is stored and nobody looks on.

As in a stretch, the loop has nothing to note of such nodes one by one: what they came to is kept by their place in the superstep, and tasks, jobs and
outcomes are made only for what is not just an update and targets. How a node is called, and what it returned means, is found by the same functions as
everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import replace
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeGuard

from hitl_nb.checkpoint.records import PlannedTask
from hitl_nb.graph.asking.interrupt import Scope
from hitl_nb.graph.node.attempt import Begun, Done, Job, Outcome, Plain, at_once
from hitl_nb.graph.topology import Planned

if TYPE_CHECKING:
    from hitl_nb.graph.run import Run


def is_wide(tasks: Sequence[PlannedTask], run: Run) -> TypeGuard[Planned]:
    """Whether these tasks can run so."""
    if not run.unseen or not isinstance(tasks, Planned) or len(tasks) == 1:
        return False
    nodes, simple = run.topology.nodes, run.topology.simple
    return len(simple) == len(nodes) or simple.issuperset(tasks.nodes)


class Abreast:
    """Effect: run the tasks of the superstep side by side. The reply is what they came to: `Plain`, or as for Start."""

    def __init__(self, run: Run, tasks: Planned, job: Callable[[PlannedTask], Job]) -> None:
        self._run = run
        self.tasks = tasks
        self._job = job
        self.left = iter(range(len(tasks)))
        """The places of the tasks that have yet to begin. Each Python thread that helps takes from it, which is one step."""
        self.made: list[Any] = [None] * len(tasks)
        """What each task came to: `Made`, or an outcome."""

    def jobs(self) -> list[Job]:
        """For a driver with a way of its own."""
        return [self._job(t) for t in self.tasks]

    def go(self, within: Context, finish: Callable[[Job], Outcome]) -> None:
        """Run what is left, each in a copy of this context; several Python threads may do so at once. `finish`: the general way."""
        run, tasks, made = self._run, self.tasks, self.made
        topology, schema, values, seq = run.topology, run.schema, run.values, run.checkpoint.seq
        nodes, args = tasks.nodes, tasks.args
        whole = {reads for reads in topology.reads if schema.is_whole(values, reads)}
        for n in self.left:
            context, scope, arg = within.copy(), Scope(run, seq, (tasks, n)), args[n]
            if arg is None:
                came_to = context.run(at_once, nodes[n], scope, values.copy(), values, topology, schema, whole)
            else:
                came_to = context.run(at_once, nodes[n], scope, arg[0], values, topology, schema, topology.reads)
            made[n] = context.run(finish, replace(self._job(tasks[n]), scope=scope, begun=came_to)) if type(came_to) is Begun else came_to

    def ended(self) -> bool:
        """Whether each task has come to something."""
        return NoneType not in set(map(type, self.made))

    def outcomes(self) -> Plain | list[Outcome]:
        """The reply, once that is so."""
        if set(map(type, self.made)) == {tuple}:
            return Plain(self.tasks.nodes, self.made)
        found = zip(self.tasks, self.made, strict=True)
        return [Done(task, list(made[0]), list(made[1])) if isinstance(made, tuple) else made for task, made in found]
