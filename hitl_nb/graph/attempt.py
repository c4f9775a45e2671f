"""One execution of a node: call it, read what it returned, ask its path functions. Written once for sync and async."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from hitl_nb.checkpoint.records import Event, PlannedTask, Question
from hitl_nb.errors import HitlError, NodeOutputError, NodeTimeoutError, SwallowedInterruptError
from hitl_nb.graph.failure import NodeError
from hitl_nb.graph.interrupt import Pause, Scope, check_not_swallowed, current_scope
from hitl_nb.graph.schema import StateSchema
from hitl_nb.graph.topology import Node, Topology
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
    failure: NodeError | None = None
    """What the node's error handler has to deal with; None: the node itself runs."""


@dataclass(frozen=True, slots=True)
class Done:
    """The node returned."""

    task: PlannedTask
    update: list[tuple[str, Any]]
    goto: list[str | Send]
    up: Command | None = None
    """What the node around the graph ends with, when it is a command for the graph around (`Command.PARENT`)."""


@dataclass(frozen=True, slots=True)
class Paused:
    """The node asked, itself or through a graph that it runs."""

    task: PlannedTask
    events: tuple[Event, ...]
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Raised:
    """The node raised."""

    task: PlannedTask
    error: BaseException
    asked: int = 0
    """How many questions it had asked until then; all of them were answered."""

    @property
    def for_handler(self) -> bool:
        """True for an error of the node's own, which its error handler may deal with; what hitl_nb refuses is not."""
        return isinstance(self.error, Exception) and (not isinstance(self.error, HitlError) or isinstance(self.error, NodeTimeoutError))


class ParentCommand(BaseException):
    """The signal that ends the node around a graph with a command. A BaseException, so that `except Exception` cannot swallow it."""

    def __init__(self, command: Command) -> None:
        super().__init__("a command for the graph around; this signal must reach it")
        self.command = command


Outcome = Done | Paused | Raised
Call = tuple[Any, tuple[Any, ...]]
"""What to call, a function or what has `invoke` and `ainvoke`; and the arguments."""
Calls = Generator[Call, Any, Any]
"""Yields each call to make, is sent what it returned."""


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
            returned = yield from _returned(job, topology.nodes[task.node], schema)
            if isinstance(returned, Command) and returned.graph == Command.PARENT:
                check_not_swallowed(job.scope)
                return Done(task, [], [], up=replace(returned, graph=None))
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
        return _paused(job, pause)
    except BaseExceptionGroup as group:  # a TaskGroup inside the node wraps the signal
        pauses, others = group.split(Pause)
        if pauses is not None and others is None and job.scope.pause is not None:
            return _paused(job, job.scope.pause)
        return Raised(task, others or group, job.scope.position)
    except Exception as error:  # noqa: BLE001  # whatever a node raises is its outcome
        return Raised(task, _unless_swallowed(job.scope, error), job.scope.position)
    finally:
        current_scope.set(None)


def is_async(fn: object) -> bool:
    """True for a coroutine function, and for an object whose `__call__` is one."""
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(fn, "__call__", None))  # noqa: B004  # the method itself is wanted


def _returned(job: Job, node: Node, schema: StateSchema) -> Calls:
    """What the node returned, or its error handler; a command that a graph inside it had for this one counts as returned."""
    try:
        if job.failure is not None and node.error_handler is not None:
            return (yield _call(node.error_handler, job, node.handler_inject))
        if node.subgraph is None:
            return (yield from _tried(job, node, _call(_within(node.fn, node), job, node.inject)))
        shared = node.subgraph.input_of(job.state)
        result = yield from _tried(job, node, (node.subgraph, (shared,)))
        return {key: value for key, value in result.state.items() if schema.knows(key)}
    except ParentCommand as signal:
        return signal.command


def _tried(job: Job, node: Node, call: Call) -> Calls:
    """Make the call, again after a while when it raises what a retry policy is for."""
    for failures in count(1):
        try:
            return (yield call)
        except Exception as error:
            policy = next((p for p in node.retry if p.applies(error)), None)
            if policy is None or failures >= policy.max_attempts or job.scope.pause is not None:
                raise
            wait_s = policy.wait_s(failures)
        job.scope.again()
        yield asyncio.sleep, (wait_s,)
    raise AssertionError  # the loop has no other end


def _call(fn: Callable[..., Any], job: Job, inject: tuple[tuple[str, str], ...]) -> Call:
    if not inject:
        return fn, (job.state,)
    runtime = job.scope.runtime()
    given = {"config": job.config, "runtime": runtime, "writer": runtime.stream_writer, "error": job.failure}
    return _with(fn, {name: given[what] for name, what in inject}), (job.state,)


def _with(fn: Callable[..., Any], more: Mapping[str, Any]) -> Callable[..., Any]:
    """`fn` with these arguments given; async when it is."""
    if not is_async(fn):
        return lambda state: fn(state, **more)

    async def called(state: Any) -> Any:
        return await fn(state, **more)

    return called


def _within(fn: Callable[..., Any], node: Node) -> Callable[..., Any]:
    """`fn` with the time limit of its node."""
    if node.timeout_s is None:
        return fn

    async def limited(*args: Any, **more: Any) -> Any:
        try:
            async with asyncio.timeout(node.timeout_s) as limit:
                return await fn(*args, **more)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise NodeTimeoutError(
                f"node {node.name!r} took longer than its timeout of {node.timeout_s:g} s and was cancelled; raise the timeout, or add "
                f"retry_policy= or error_handler= to the node",
                node=node.name,
            ) from error

    return limited


def _paused(job: Job, pause: Pause) -> Paused:
    return Paused(job.task, pause.events, pause.questions)


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
