"""One execution of a node: call it, read what it returned, ask its path functions. Written once for sync and async."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Any, Final

from hitl_nb.checkpoint.records import UNSET, Event, PlannedTask, Question, Waits
from hitl_nb.errors import HitlError, NodeOutputError, NodeTimeoutError, SwallowedInterruptError, shown
from hitl_nb.graph.asking.interrupt import Pause, Scope, check_not_swallowed, current_scope
from hitl_nb.graph.node.failure import NodeError
from hitl_nb.graph.node.function import Function
from hitl_nb.graph.state.schema import StateSchema
from hitl_nb.graph.topology import Node, Topology
from hitl_nb.graph.types import Command, Send, pairs


@dataclass(frozen=True, slots=True)
class Job:
    """A task ready to run."""

    task: PlannedTask
    state: Any
    """What the node is given: the state, or the argument of a Send."""
    values: Mapping[str, Any]
    """The state, for path functions."""
    scope: Scope
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
    instead: bool = False
    """True: the edges of the node do not count, because its error handler said where to go."""
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
    """The position of the next question: those before it were asked and answered."""
    left_open: Pause | None = None
    """What graphs inside it had asked when they raised."""

    @property
    def for_handler(self) -> bool:
        """True for an error of the node's own, which its error handler may deal with; what hitl_nb refuses is not."""
        return isinstance(self.error, Exception) and (not isinstance(self.error, HitlError) or isinstance(self.error, NodeTimeoutError))


class ParentCommand(BaseException):
    """The signal that ends the node around a graph with a command. A BaseException, so that `except Exception` cannot swallow it."""

    def __init__(self, command: Command) -> None:
        super().__init__("a command for the graph around; this signal must reach it")
        self.command = command


_FATAL: Final = (KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError)
"""What stops the run, not the task."""
Outcome = Done | Paused | Raised
Call = tuple[Any, tuple[Any, ...]]
"""What to call, a function or what has `invoke` and `ainvoke`; and the arguments."""
Calls = Generator[Call, Any, Any]
"""Yields each call to make, is sent what it returned."""


def attempt(job: Job, topology: Topology, schema: StateSchema) -> Generator[Call, Any, Outcome]:
    """Yields each call to make (a function and its arguments), is sent what it returned, and returns the outcome.

    The driver makes the calls in the context this generator runs in, so that `interrupt()` finds the task's scope, and throws in what they raise.
    KeyboardInterrupt, SystemExit and a cancellation pass through: they stop the run, not the task.
    """
    current_scope.set(job.scope)
    task = job.task
    try:
        update: list[tuple[str, Any]] = []
        goto: list[str | Send] = []
        if not job.routes_only:
            node = topology.nodes[task.node]
            if task.arg is None and node.subgraph is None:
                given = schema.for_node(job.state, node.input, f"node {task.node!r}")
                job = job if given is job.state else replace(job, state=given)
            returned = yield from _returned(job, node, schema)
            if isinstance(returned, Command) and returned.graph == Command.PARENT:
                return Done(task, [], [], up=replace(returned, graph=None))
            update, goto = _read(returned, task.node, schema)
        instead = job.failure is not None and bool(goto)
        branches = () if instead else topology.branches.get(task.node, ())
        if branches or schema.checks:  # what does not fit is refused here, where it is this node's failure alone
            seen, _ = schema.apply(job.values, ((task.id, task.node, key, value) for key, value in update))
        for branch in branches:
            read_as = branch.input or (topology.nodes[task.node].input if task.node in topology.nodes else None)
            given = schema.for_node(seen, read_as, f"the path function after {task.node!r}")
            goto += branch.resolve((yield _call(branch.path, job, given)), task.node)
        check_not_swallowed(job.scope)
        if job.scope.refused is not None:
            raise job.scope.refused
        return Done(task, update, [topology.check_target(t, task.node) for t in goto], instead)
    except Pause as pause:
        return _paused(job, job.scope.pause or pause)
    except BaseExceptionGroup as group:  # a TaskGroup inside the node wraps the signal
        pauses, others = group.split(Pause)
        if pauses is not None and others is None and job.scope.pause is not None:
            return _paused(job, job.scope.pause)
        job.scope.set_aside()
        return _raised(job, others or group)
    except _FATAL:
        raise
    except BaseException as error:  # noqa: BLE001  # whatever a node raises is its outcome
        return _raised(job, _unless_swallowed(job.scope, error))
    finally:
        job.scope.ended = True
        current_scope.set(None)


def _returned(job: Job, node: Node, schema: StateSchema) -> Calls:
    """What the node returned, or its error handler; a command that a graph inside it had for this one counts as returned."""
    try:
        if job.failure is not None and node.error_handler is not None:
            returned = yield from _settled(job, _call(node.error_handler, job, job.state))
        elif node.subgraph is None:
            returned = yield from _tried(job, node, _within(node, _call(node.fn, job, job.state)))
        else:
            result = yield from _tried(job, node, (node.subgraph, (node.subgraph.input_of(job.state),)))
            returned = {key: value for key, value in result.state.items() if schema.knows(key)}
    except (Pause, ParentCommand, BaseExceptionGroup) as signal:
        commands = job.scope.commands
        if not commands or not _only_signals(signal):
            raise
        job.scope.pause, job.scope.commands = None, {}  # what else the node had asked is moot: it ends with the command
        return joined(commands[n] for n in sorted(commands))
    check_not_swallowed(job.scope)
    return returned


def joined(commands: Iterable[Command]) -> Command:
    """Several commands as one, in this order."""
    several = list(commands)
    if len(several) == 1:
        return several[0]
    return Command(update=[w for c in several for w in c.writes()], goto=[t for c in several for t in c.targets()], graph=several[0].graph)


def _only_signals(error: BaseException) -> bool:
    return not isinstance(error, BaseExceptionGroup) or error.split((Pause, ParentCommand))[1] is None


def _tried(job: Job, node: Node, call: Call) -> Calls:
    """Make the call, again after a while when it raises what a retry policy is for."""
    for failures in count(1):
        try:
            return (yield from _settled(job, call))
        except Exception as error:
            policy = next((p for p in node.retry if p.applies(error)), None)
            if policy is None or failures >= policy.max_attempts or job.scope.pause is not None:
                raise
            wait_s = policy.wait_s(failures)
        job.scope.again()
        yield asyncio.sleep, (wait_s,)
    raise AssertionError  # the loop has no other end


def _settled(job: Job, call: Call) -> Calls:
    """Make the call; over when the graphs that it left running are."""
    try:
        returned = yield call
    except GeneratorExit:
        raise
    except BaseException as error:
        if job.scope.running:
            yield job.scope.settled, ()
        if isinstance(error, Exception) and (job.scope.pause is None or job.scope.asked_beside):
            job.scope.set_aside()
        raise
    if job.scope.running:
        yield job.scope.settled, ()
    return returned


def _call(function: Function, job: Job, state: Any) -> Call:
    """The function with what it asks for; an async one says in which task it runs."""
    fn, more = function.fn, dict[str, Any]()
    if function.inject:
        runtime = job.scope.runtime()
        given = {"config": runtime.config, "runtime": runtime, "writer": runtime.stream_writer, "error": job.failure}
        more = {name: given[what] for name, what in function.inject}
    if not function.is_async:
        return partial(fn, **more) if more else fn, (state,)

    async def called(state: Any) -> Any:
        job.scope.own = asyncio.current_task()
        return await fn(state, **more)

    return called, (state,)


def _within(node: Node, call: Call) -> Call:
    """The call with the time limit of its node."""
    if node.timeout_s is None:
        return call
    fn, arguments = call

    async def limited(*arguments: Any) -> Any:
        try:
            async with asyncio.timeout(node.timeout_s) as limit:
                return await fn(*arguments)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise NodeTimeoutError(
                f"node {node.name!r} took longer than its timeout of {node.timeout_s:g} s and was cancelled; raise the timeout, or add "
                f"retry_policy= or error_handler= to the node",
                node=node.name,
            ) from error

    return limited, arguments


def _paused(job: Job, pause: Pause) -> Paused:
    inside = job.scope.waits_for
    return Paused(job.task, (*pause.events, Waits((job.task.id,), inside)) if inside else pause.events, pause.questions)


def _raised(job: Job, error: BaseException) -> Raised:
    known = [a.position + 1 for a in job.scope.ledger.of_task(job.task.id)]  # an attempt before may have asked more
    return Raised(job.task, error, max(job.scope.position, *known, 0), job.scope.left_open)


def _unless_swallowed(scope: Scope, error: BaseException) -> BaseException:
    try:
        check_not_swallowed(scope)
    except SwallowedInterruptError as swallowed:
        return swallowed
    return error


def _read(returned: object, node: str, schema: StateSchema) -> tuple[list[tuple[str, Any]], list[str | Send]]:
    try:
        match returned:
            case None:
                return [], []
            case Command():
                _check_command(returned)
                return returned.writes(), returned.targets()
            case Mapping():
                return pairs(returned, "what it returned"), []
            case _ if (parts := schema.parts(returned)) is not None:
                return list(parts.items()), []
    except TypeError as error:
        raise NodeOutputError(f"node {node!r}: {error}", node=node) from error
    raise NodeOutputError(
        f"node {node!r} returned {shown(returned)} ({type(returned).__name__}); expected a mapping of state keys, a Command, or None", node=node
    )


def _check_command(command: Command) -> None:
    if command.resume is not UNSET:
        raise TypeError("it returned Command(resume=…), but a node answers no question; give the answer to invoke, and return update= and goto= only")
    if command.graph is not None:
        raise TypeError(f"it returned Command(graph={shown(command.graph)}); expected None for its own graph, Command.PARENT for the one around")
