"""One execution of a node: call it, read what it returned, ask its path functions. Written once for sync and async."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Container, Generator, Iterable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Any, Final, NamedTuple, TypeGuard

from hitl_nb.checkpoint.records import UNSET, Event, PlannedTask, Question, Waits
from hitl_nb.errors import HitlError, NodeOutputError, NodeTimeoutError, SwallowedInterruptError, shown
from hitl_nb.graph.asking.interrupt import Pause, Scope, check_not_swallowed, current_scope
from hitl_nb.graph.node.failure import NodeError
from hitl_nb.graph.node.function import Function
from hitl_nb.graph.state.schema import StateSchema
from hitl_nb.graph.state.state_class import StateClass
from hitl_nb.graph.topology import Branch, Node, Topology
from hitl_nb.graph.types import Command, Send, pairs


@dataclass(frozen=True, slots=True)
class Begun:
    """What became of a call that `at_once` made, where that was out of the ordinary: the general way goes on from there."""

    returned: Any
    error: BaseException | None = None

    def again(self) -> Any:
        """As the call itself, which is not made twice."""
        if self.error is not None:
            raise self.error
        return self.returned


# Not frozen, as several are made for each execution of a node, and a frozen one takes five times as long to make.
@dataclass(slots=True)
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
    begun: Begun | None = None
    """What the node's function came to already."""
    context: Context | None = None
    """In which that was; None: one of its own."""


@dataclass(slots=True)
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
Made = tuple[Collection[tuple[str, Any]], Sequence[str | Send], dict[str, Any] | None]
"""What a simple node came to: its update, its targets, and the values after it when they are known."""


class Plain(NamedTuple):
    """What the tasks of a superstep came to, all of simple nodes, where nothing is stored."""

    nodes: Sequence[str]
    made: Sequence[Made]
    """Of each."""


Call = tuple[Any, tuple[Any, ...]]
"""What to call, a function or what has `invoke` and `ainvoke`; and the arguments."""
Calls = Generator[Call, Any, Any]
"""Yields each call to make, is sent what it returned."""


def attempt(job: Job, topology: Topology, schema: StateSchema) -> Generator[Call, Any, Outcome]:
    """Yields each call to make (a function and its arguments), is sent what it returned, and returns the outcome.

    The driver makes the calls in the context this generator runs in, so that `interrupt()` finds the task's scope, and throws in what they raise.
    KeyboardInterrupt, SystemExit and a cancellation pass through: they stop the run, not the task.
    """
    scope, task = job.scope, job.task
    current_scope.set(scope)
    try:
        update: list[tuple[str, Any]] = []
        goto: list[str | Send] = []
        if not job.routes_only:
            node = topology.nodes[task.node]
            # not for a call that was made: the node may have changed what it was given, so that its class would refuse it now
            if task.arg is None and node.subgraph is None and job.begun is None:
                given = schema.for_node(job.state, node.input, "node", task.node)
                job = job if given is job.state else replace(job, state=given)
            returned = yield from _returned(job, node, schema)
            if _for_above(returned):
                return Done(task, [], [], up=replace(returned, graph=None))
            update, goto = _read(returned, task.node, schema)
        instead = job.failure is not None and bool(goto)
        if not instead and (task.node in topology.branches or schema.checks):
            seen = schema.alone(job.values, task.node, update)  # what does not fit is refused here, where it is this node's failure alone
            for branch, given in _to_ask(topology, schema, task.node, seen):
                goto += branch.resolve((yield _call(branch.path, job, given)), task.node)
        if scope.eventful:
            _check_asked(scope)
        topology.check_targets(goto, task.node)
        return Done(task, update, goto, instead)
    except BaseException as error:  # noqa: BLE001  # whatever a node raises is its outcome
        return _ended(scope, error)
    finally:
        scope.ended = True
        current_scope.set(None)


def attempt_at_once(job: Job, topology: Topology, schema: StateSchema) -> Outcome | Job:
    """`attempt` by plain calls, for a job that `is_simple`. A job: `attempt` has to go on with that."""
    made = at_once(job.task.node, job.scope, job.state, job.values, topology, schema, () if job.task.arg is None else topology.reads)
    if isinstance(made, tuple):
        return Done(job.task, list(made[0]), list(made[1]))
    return replace(job, begun=made) if isinstance(made, Begun) else made


def at_once(
    name: str,
    scope: Scope,
    state: Any,
    values: Mapping[str, Any],
    topology: Topology,
    schema: StateSchema,
    as_it_is: Container[StateClass | None] = (),
) -> Made | Begun | Paused | Raised:
    """What a simple node came to, in the context this is called in; an outcome when it is another one, or where its call was left.

    `as_it_is`: nodes that read the state as one of these are given it as it is: it is known to fit, or the argument of a Send.
    """
    current_scope.set(scope)
    begun = None
    try:
        node = topology.nodes[name]
        call = _filled(node.fn, scope) if node.fn.inject else node.fn.fn
        given = state if node.input in as_it_is else schema.for_node(state, node.input, "node", name)
        try:
            returned = call(given)
        except _FATAL:
            raise
        except BaseException as error:  # noqa: BLE001  # what it means is decided in one place, which is there
            begun = Begun(None, error)
            return begun
        eventful, is_dict = scope.eventful, type(returned) is dict
        if eventful or (not is_dict and (hasattr(returned, "__await__") or _for_above(returned))):
            begun = Begun(returned)
            return begun
        update: Collection[tuple[str, Any]]
        goto: Sequence[str | Send]
        if is_dict:
            returned, sound = returned.copy(), schema.sound
            update, goto = returned.items(), ()
            for key in returned:
                if type(key) is not str or key not in sound:  # as hardly ever
                    update, goto = _read(returned, name, schema)
                    break
        else:
            update, goto = _read(returned, name, schema)
        after = None
        if name in topology.branches or schema.checks:
            after = schema.simply(values, update)
            seen = schema.alone(values, name, update) if after is None else dict(after)
            for branch, given in _to_ask(topology, schema, name, seen):
                path = branch.path
                goto = [*goto, *branch.resolve((_filled(path, scope) if path.inject else path.fn)(given), name)]
            if scope.eventful:
                _check_asked(scope)
        if goto:
            topology.check_targets(goto, name)
        return update, goto, after
    except BaseException as error:  # noqa: BLE001  # as above
        return _ended(scope, error)
    finally:
        scope.ended = begun is None


def is_simple(job: Job, topology: Topology) -> bool:
    """Whether `attempt_at_once` can run it."""
    return job.task.node in topology.simple and job.begun is None and not job.routes_only


def _to_ask(topology: Topology, schema: StateSchema, name: str, seen: Mapping[str, Any]) -> list[tuple[Branch, Any]]:
    """The conditional edges of a node after which the values are these, each with the state that its path function reads."""
    node = topology.nodes.get(name)
    own = None if node is None else node.input
    return [(branch, schema.for_node(seen, branch.input or own, "the path function after", name)) for branch in topology.branches.get(name, ())]


def _for_above(returned: object) -> TypeGuard[Command]:
    """True for a command for the graph around."""
    return isinstance(returned, Command) and returned.graph == Command.PARENT


def _check_asked(scope: Scope) -> None:
    """Raise when the node, or a path function after it, asked and came to an end all the same."""
    check_not_swallowed(scope)
    if scope.refused is not None:
        raise scope.refused


def _ended(scope: Scope, error: BaseException) -> Paused | Raised:
    """What an execution came to that was left by this. KeyboardInterrupt, SystemExit and a cancellation pass through: they stop the run."""
    if isinstance(error, Pause):
        return _paused(scope, scope.pause or error)
    if isinstance(error, BaseExceptionGroup):  # a TaskGroup inside the node wraps the signal
        pauses, others = error.split(Pause)
        if pauses is not None and others is None and scope.pause is not None:
            return _paused(scope, scope.pause)
        scope.set_aside()
        return _raised(scope, others or error)
    if isinstance(error, _FATAL):
        raise error
    return _raised(scope, _unless_swallowed(scope, error))


def _returned(job: Job, node: Node, schema: StateSchema) -> Calls:
    """What the node returned, or its error handler; a command that a graph inside it had for this one counts as returned."""
    try:
        if job.failure is not None and node.error_handler is not None:
            returned = yield from _settled(job, _call(node.error_handler, job, job.state))
        elif job.begun is not None:
            returned = yield from _settled(job, (job.begun.again, ()))
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


def _filled(function: Function, scope: Scope, failure: NodeError | None = None) -> Callable[..., Any]:
    """The function with what it asks for."""
    if not function.inject:
        fn: Callable[..., Any] = function.fn
        return fn
    runtime = scope.runtime()
    given = {"config": runtime.config, "runtime": runtime, "writer": runtime.stream_writer, "error": failure}
    return partial(function.fn, **{name: given[what] for name, what in function.inject})


def _call(function: Function, job: Job, state: Any) -> Call:
    """The call of the function; an async one says in which task it runs."""
    fn = _filled(function, job.scope, job.failure)
    if not function.is_async:
        return fn, (state,)

    async def called(state: Any) -> Any:
        job.scope.own = asyncio.current_task()
        return await fn(state)

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


def _paused(scope: Scope, pause: Pause) -> Paused:
    inside = scope.waits_for
    return Paused(scope.task, (*pause.events, Waits((scope.task.id,), inside)) if inside else pause.events, pause.questions)


def _raised(scope: Scope, error: BaseException) -> Raised:
    known = [a.position + 1 for a in scope.ledger.of_task(scope.task.id)]  # an attempt before may have asked more
    return Raised(scope.task, error, max(scope.position, *known, 0), scope.left_open)


def _unless_swallowed(scope: Scope, error: BaseException) -> BaseException:
    try:
        check_not_swallowed(scope)
    except SwallowedInterruptError as swallowed:
        return swallowed
    return error


def _read(returned: object, node: str, schema: StateSchema) -> tuple[list[tuple[str, Any]], list[str | Send]]:
    try:
        if type(returned) is dict:  # as nearly always
            return pairs(returned, "what it returned"), []
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
