"""Carry out the loop's effects: one driver for plain code, one for asyncio. They decide nothing."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from operator import length_hint
from queue import SimpleQueue
from threading import current_thread
from time import sleep
from typing import Any, Final

from hitl_nb.graph.abreast import Abreast
from hitl_nb.graph.asking.interrupt import current_scope
from hitl_nb.graph.crossing import holding_up, in_background, running_loop, to_thread
from hitl_nb.graph.effects import Flow, Io, More, Start
from hitl_nb.graph.emit import Emit
from hitl_nb.graph.node.attempt import Job, Outcome, Plain, attempt, attempt_at_once, is_simple
from hitl_nb.graph.node.function import is_async
from hitl_nb.graph.state.schema import StateSchema
from hitl_nb.graph.stretch import Stretch
from hitl_nb.graph.topology import Topology
from hitl_nb.plain.threads import WORKERS, Ending, taken
from hitl_nb.plain.tracebacks import LettingGo, let_go

_ALONE_S: Final = 0.001
"""Seconds that the first worker has for itself: another one costs as much as many a node, and they share one processor."""


@dataclass(slots=True)  # not frozen, which would take several times as long to make
class Setting:
    """What a driver needs to know."""

    topology: Topology
    schema: StateSchema
    max_concurrency: int
    """How many nodes of one superstep run at the same time."""
    blocking: bool
    """True: Io effects may wait, so the async driver hands them to a thread."""
    live: bool = False
    """True: what nodes write to the stream is wanted while they run."""
    thread_id: str = ""
    """The thread that is run; "" in a run without one."""


def drive(flow: Flow, setting: Setting) -> Generator[Emit, None, Any]:
    """The sync driver: yields the Emit effects, returns what the flow returns."""
    crew = Crew(setting)
    try:
        step = _Stepper(flow)
        while not step.ended:
            reply: Any = None
            try:
                match step.effect:
                    case Start(jobs, together):
                        reply = crew.start(jobs, together=together)
                    case Abreast() as wide:
                        reply = crew.abreast(wide)
                    case More():
                        reply = crew.more()
                    case Stretch() as stretch:
                        reply = stretch.go()
                    case Io(call):
                        reply = call()
                    case Emit() as event:
                        reply = yield event
            except Exception as error:  # noqa: BLE001  # the flow decides what an error means
                step.throw(error)
            else:
                step.send(reply)
        return step.value
    except KeyboardInterrupt as pressed:  # first of all, as nodes that still run may wait for what it holds
        let_go(pressed)
        raise
    finally:
        try:
            crew.stop()
        except KeyboardInterrupt:  # it may have come before anything was waited for
            crew.stop()
            raise
        finally:
            flow.close()


async def adrive(flow: Flow, setting: Setting, ended: Callable[[Any], None]) -> AsyncGenerator[Emit]:
    """The async driver: yields the Emit effects, calls `ended` with what the flow returns."""
    for _ in range(2):  # a stream that was just broken out of is closed by the event loop, which begins with it in its next two turns
        await asyncio.sleep(0)
    place = (asyncio.get_running_loop(), setting.thread_id)
    if setting.thread_id and current_scope.get() is None:  # a node that is cancelled here is part of such an end, and would wait for itself
        while (ending := _ENDING.get(place)) is not None:
            await asyncio.wait([ending])
    crew = AsyncCrew(setting)
    try:
        step = _Stepper(flow)
        while not step.ended:
            reply: Any = None
            try:
                match step.effect:
                    case Start(jobs):
                        reply = await crew.start(jobs)
                    case Abreast() as wide:
                        reply = await crew.start(wide.jobs())
                    case More():
                        reply = await crew.more()
                    case Stretch() as stretch:
                        reply = await to_thread(stretch.go, stretch.stop)
                    case Io(call):
                        reply = await to_thread(call) if setting.blocking else call()
                    case Emit() as event:
                        yield event
            except Exception as error:  # noqa: BLE001  # the flow decides what an error means
                step.throw(error)
            else:
                step.send(reply)
        ended(step.value)
    finally:
        ending = _ENDING.setdefault(place, place[0].create_future())
        try:
            await crew.stop()
        finally:
            try:
                flow.close()
            finally:
                _ENDING.pop(place, None)
                if not ending.done():
                    ending.set_result(None)


_ENDING: Final[dict[tuple[asyncio.AbstractEventLoop, str], asyncio.Future[None]]] = {}
"""By event loop and thread: runs whose nodes are being stopped. The next run of the thread waits for that, instead of finding it busy."""


class _Stepper:
    """A flow with its current effect."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self.ended = False
        self.effect: Any = None
        self.value: Any = None
        self._move(next, flow)

    def send(self, reply: Any) -> None:
        self._move(self._flow.send, reply)

    def throw(self, error: Exception) -> None:
        self._move(self._flow.throw, error)

    def _move(self, step: Callable[[Any], Any], given: Any) -> None:
        try:
            self.effect = step(given)
        except StopIteration as stop:
            self.ended, self.value = True, stop.value


def _outcomes(found: Sequence[Outcome | Emit | BaseException], put_back: Callable[[BaseException], None]) -> list[Outcome | Emit]:
    """The outcomes and events; what no task may catch (SystemExit, a cancellation) is raised and ends the run, once the others are stored."""
    outcomes: list[Outcome | Emit] = []
    fatal: list[BaseException] = []
    for outcome in found:
        if isinstance(outcome, BaseException):
            fatal.append(outcome)
        else:
            outcomes.append(outcome)
    if fatal and not outcomes:
        raise fatal[0]
    for error in fatal:
        put_back(error)
    return outcomes


class Crew:
    """Runs jobs: a single one in the calling thread, several in worker threads that take them from one line."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._working: list[object] = []
        """One for each worker that does something."""
        self._ending = Ending()
        self._todo: Iterator[Any] = iter(())
        """What has yet to begin. Taking from it is one step, whichever Python thread does it."""
        self._done: SimpleQueue[Outcome | Emit | BaseException] = SimpleQueue()

    def start(self, jobs: Sequence[Job], *, together: bool) -> list[Outcome | Emit]:
        if len(jobs) == 1 and not self._setting.live:
            self._done.put((jobs[0].context or copy_context()).run(self._attempt, jobs[0]))
            return self.more()
        todo, within = iter(jobs), holding_up()

        def work() -> None:
            for job in todo:
                try:
                    self._done.put(within.copy().run(self._attempt, job))
                except BaseException as error:  # noqa: BLE001  # SystemExit in a node ends the run, which this one need not be the first to know
                    self._done.put(error)
                    return

        self._share(todo, len(jobs), work, here=together)
        return self.more()

    def abreast(self, wide: Abreast) -> Plain | list[Outcome]:
        within, ends = holding_up(), SimpleQueue[BaseException | None]()

        def work() -> None:
            try:
                wide.go(within, self._attempt)
            except BaseException as error:  # noqa: BLE001  # as above
                ends.put(error)
            else:
                ends.put(None)

        self._share(wide.left, len(wide.tasks), work, here=True)
        while not wide.ended() or not ends.empty():  # a Ctrl-C can come after the last of them has ended
            if (error := taken(ends)) is not None:
                raise error
        return wide.outcomes()

    def _share(self, todo: Iterator[Any], size: int, work: Callable[[], None], *, here: bool) -> None:
        """Let workers do this, each until nothing is left to do. `here`: the calling thread may be the first."""
        self._todo = todo
        begin, others = WORKERS.begin, min(size, self._setting.max_concurrency) - 1
        here = here and running_loop() is None  # else nodes would find an event loop or not, as it happens
        if not here:
            begin(partial(self._pull, work))
        if others:
            begin(partial(self._join_in, others, todo, work))
        if here:
            work()

    def more(self) -> list[Outcome | Emit]:
        """At least one outcome or event; all that are there, so that one transaction stores them."""
        found = [taken(self._done)]
        while not self._done.empty():
            found.append(self._done.get())
        return _outcomes(found, self._done.put)

    def _join_in(self, workers: int, todo: Iterator[Any], work: Callable[[], None]) -> None:
        """Help with what is not done in a moment: nodes that wait, maybe for each other."""
        sleep(_ALONE_S)
        if length_hint(todo):
            for _ in range(workers - 1):
                WORKERS.begin(partial(self._pull, work))
            self._pull(work)

    def _pull(self, work: Callable[[], None]) -> None:
        """Do it in a thread where no Ctrl-C comes."""
        me = object()
        self._working.append(me)  # first, so that `stop` either waits for this worker, or this worker sees that it came
        thread = current_thread()
        idle, thread.name = thread.name, "hitl-nb-node"
        try:
            work()
        finally:
            thread.name = idle
            self._working.remove(me)
            self._ending.tell()

    def _attempt(self, job: Job) -> Outcome:
        if self._setting.live:
            job.scope.tell = self._done.put
        if is_simple(job, self._setting.topology):
            outcome = attempt_at_once(job, self._setting.topology, self._setting.schema)
            if not isinstance(outcome, Job):
                return outcome
            job = outcome
        steps = attempt(job, self._setting.topology, self._setting.schema)
        try:
            fn, arguments = next(steps)
            call: Any
            while True:
                try:
                    call = fn if callable(fn) else fn.invoke
                    returned = call(*arguments)
                    if hasattr(returned, "__await__"):
                        returned = in_background(returned)
                except BaseException as error:  # noqa: BLE001  # the attempt decides
                    fn, arguments = steps.throw(error)
                else:
                    fn, arguments = steps.send(returned)
        except StopIteration as stop:
            ended: Outcome = stop.value
            return ended

    def stop(self) -> None:
        """Start nothing more and wait for what runs, whoever is impatient: a node must not go on after its thread was given free."""
        for _ in self._todo:  # nobody takes from it any more
            pass
        self._ending.wait(lambda: not self._working, self._say_who_works)

    def _say_who_works(self) -> None:
        if not self._working:  # it has just ended
            return
        nodes = "A node" if len(self._working) == 1 else f"{len(self._working)} nodes"
        whose = f" of thread {self._setting.thread_id!r}" if self._setting.thread_id else ""
        told = f"{nodes}{whose} cannot be cut off and must end first. To stop at once, restart the kernel or kill the process."
        print(told, file=sys.stderr, flush=True)  # noqa: T201  # to whoever presses Ctrl-C once more; a warning is shown only once


class AsyncCrew:
    """Runs jobs as asyncio tasks; sync nodes in threads, so that they do not hold up the event loop."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._tasks: set[asyncio.Task[None]] = set()
        self._done: asyncio.Queue[Outcome | Emit | BaseException] = asyncio.Queue()
        self._slots = asyncio.Semaphore(setting.max_concurrency)

    async def start(self, jobs: Sequence[Job]) -> list[Outcome | Emit]:
        for job in jobs:
            task = asyncio.create_task(self._run(job), context=job.context)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await self.more()

    async def more(self) -> list[Outcome | Emit]:
        found = [await self._done.get()]
        while not self._done.empty():
            found.append(self._done.get_nowait())
        return _outcomes(found, self._done.put_nowait)

    async def _run(self, job: Job) -> None:
        async with self._slots:
            try:
                outcome: Outcome | BaseException = await self._attempt(job)
            except BaseException as error:  # noqa: BLE001  # handed to the run
                outcome = error
            self._done.put_nowait(outcome)

    async def _attempt(self, job: Job) -> Outcome:
        job.scope.tell = self._teller()
        if is_simple(job, self._setting.topology):
            outcome: Outcome | Job = await to_thread(partial(attempt_at_once, job, self._setting.topology, self._setting.schema))
            if not isinstance(outcome, Job):
                return outcome
            job = outcome
        steps = attempt(job, self._setting.topology, self._setting.schema)
        try:
            fn, arguments = next(steps)
            call: Any
            while True:
                try:
                    call = fn if callable(fn) else getattr(fn, "ainvoke", fn.invoke)
                    returned = call(*arguments) if is_async(call) else await to_thread(partial(call, *arguments))
                    if hasattr(returned, "__await__"):
                        returned = await returned
                except BaseException as error:  # noqa: BLE001  # the attempt decides
                    fn, arguments = steps.throw(error)
                else:
                    fn, arguments = steps.send(returned)
        except StopIteration as stop:
            ended: Outcome = stop.value
            return ended

    def _teller(self) -> Callable[[Emit], None]:
        """Puts an event in line, from the event loop or from the thread of a sync node; always before the outcome of the node that wrote it."""
        loop = asyncio.get_running_loop()

        def tell(event: Emit) -> None:
            if running_loop() is loop:
                self._done.put_nowait(event)
            else:
                loop.call_soon_threadsafe(self._done.put_nowait, event)

        return tell

    async def stop(self) -> None:
        """Cancel what runs and wait until it has ended, whoever is impatient: a node must not go on after its thread was given free."""
        for task in self._tasks:
            task.cancel()
        while self._tasks:
            with suppress(asyncio.CancelledError):
                await asyncio.wait(self._tasks)


def exhaust(emitted: Generator[Emit, None, Any]) -> Any:
    """Run a driven flow to its end; what it returns."""
    iterator: Iterator[Emit] = emitted
    try:
        with LettingGo():  # now the driver's own frames have ended, too
            while True:
                next(iterator)
    except StopIteration as stop:
        return stop.value
