"""One execution of a node: call it, read what it returned, ask its path functions. Written once for sync and async."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

from hitl_nb.checkpoint.records import PlannedTask, Question
from hitl_nb.errors import NodeOutputError, SwallowedInterruptError
from hitl_nb.graph.interrupt import Pause, Scope, check_not_swallowed, current_scope
from hitl_nb.graph.schema import StateSchema
from hitl_nb.graph.topology import Topology
from hitl_nb.graph.types import Command, Config, Send, pairs


@dataclass(frozen=True, slots=True)
class Job:
    """A task ready to run."""

    task: PlannedTask
    state: Any
    """What the node is given: the state, or the argument of a Send."""
    values: Mapping[str, Any]
    """The state, for path functions."""
    scope: Scope
    config: Config
    routes_only: bool = False
    """True: only ask the path functions, as if the node had returned and written nothing."""


@dataclass(frozen=True, slots=True)
class Done:
    """The node returned."""

    task: PlannedTask
    update: list[tuple[str, Any]]
    goto: list[str | Send]


@dataclass(frozen=True, slots=True)
class Paused:
    """The node asked."""

    task: PlannedTask
    question: Question
    replaces: str | None


@dataclass(frozen=True, slots=True)
class Raised:
    """The node raised."""

    task: PlannedTask
    error: BaseException


Outcome = Done | Paused | Raised
Call = tuple[Callable[..., Any], tuple[Any, ...]]


def attempt(job: Job, topology: Topology, schema: StateSchema) -> Generator[Call, Any, Outcome]:
    """Yields each call to make (a function and its arguments), is sent what it returned, and returns the outcome.

    The driver makes the calls in the context this generator runs in, so that `interrupt()` finds the task's scope, and throws in what they raise.
    KeyboardInterrupt and SystemExit pass through: they stop the run, not the task.
    """
    current_scope.set(job.scope)
    task = job.task
    try:
        update: list[tuple[str, Any]] = []
        goto: list[str | Send] = []
        if not job.routes_only:
            node = topology.nodes[task.node]
            returned = yield node.fn, ((job.state, job.config) if node.takes_config else (job.state,))
            update, goto = _read(returned, task.node)
        if branches := topology.branches.get(task.node):
            seen, _ = schema.apply(job.values, ((task.id, task.node, key, value) for key, value in update))
            for branch in branches:
                goto += branch.resolve((yield branch.path, (seen,)), task.node)
        check_not_swallowed(job.scope)
        if job.scope.refused is not None:
            raise job.scope.refused
        return Done(task, update, [topology.check_target(t, task.node) for t in goto])
    except Pause as pause:
        return Paused(task, pause.question, pause.replaces)
    except BaseExceptionGroup as group:  # a TaskGroup inside the node wraps the signal
        pauses, others = group.split(Pause)
        if pauses is not None and others is None and job.scope.pause is not None:
            return Paused(task, job.scope.pause.question, job.scope.pause.replaces)
        return Raised(task, others or group)
    except Exception as error:  # noqa: BLE001  # whatever a node raises is its outcome
        return Raised(task, _unless_swallowed(job.scope, error))
    finally:
        current_scope.set(None)


def _unless_swallowed(scope: Scope, error: Exception) -> Exception:
    try:
        check_not_swallowed(scope)
    except SwallowedInterruptError as swallowed:
        return swallowed
    return error


def _read(returned: object, node: str) -> tuple[list[tuple[str, Any]], list[str | Send]]:
    match returned:
        case None:
            return [], []
        case Command():
            return returned.writes(), returned.targets()
        case Mapping():
            return pairs(returned, f"node {node!r} returned what"), []
    raise NodeOutputError(
        f"node {node!r} returned {returned!r:.200} ({type(returned).__name__}); expected a mapping of state keys, a Command, or None", node=node
    )
