"""Calls that cross between Python threads and event loops: a sync node of an async run, an async node of a sync run, and what else may wait."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from functools import partial
from typing import Any, Final

from hitl_nb.plain.threads import WORKERS, Ending


async def to_thread(call: Callable[[], Any], cancelled: Callable[[], None] = lambda: None) -> Any:
    """Like asyncio.to_thread, but a cancelled caller waits for the call to end: no commit and no node is left running behind its back.

    cancelled: called then, to ask it to end soon.
    """
    work = asyncio.ensure_future(asyncio.to_thread(_attempted, call))
    try:
        value, error = await asyncio.shield(work)
    except asyncio.CancelledError:
        cancelled()
        while not work.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([work])
        raise
    if error is not None:
        raise error
    return value


def _attempted(call: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """What the call returned or raised, as a value: a future takes no StopIteration, and an event loop ends at a SystemExit."""
    try:
        return call(), None
    except BaseException as error:  # noqa: BLE001  # raised again on the other side
        return None, error


class _Background:
    """One event loop in a daemon thread, for async nodes of sync runs; started at first use, and again after a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0

    def loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._loop.is_closed() or self._pid != os.getpid():
                loop = asyncio.new_event_loop()
                WORKERS.begin(partial(_run, loop))
                self._loop, self._pid = loop, os.getpid()  # last, else a Ctrl-C leaves one here that nobody runs
            return self._loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    # A node may stop it, and a task that a node left behind end it with SystemExit, which that task keeps. All others in it are waited for.
    while not loop.is_closed():
        with suppress(BaseException):
            loop.run_forever()


_BACKGROUND: Final = _Background()
_held_up: ContextVar[bool] = ContextVar("hitl_nb_held_up", default=False)
"""True inside a sync run that an async node waits for: the background loop stands still meanwhile."""


def in_background(awaitable: Awaitable[Any]) -> Any:
    """What the awaitable gives, awaited in the background loop; in a loop of its own while that waits for this call."""
    found: list[tuple[Any, BaseException | None]] = []
    ending = Ending()
    tasks: list[asyncio.Task[None]] = []

    def finish(outcome: tuple[Any, BaseException | None]) -> None:
        if not found:
            found.append(outcome)
        ending.tell()

    async def run() -> None:
        try:
            outcome: tuple[Any, BaseException | None] = (await awaitable, None)
        except BaseException as error:  # noqa: BLE001  # raised again in the caller's thread; a SystemExit would end the loop
            outcome = (None, error)
        finish(outcome)

    def stop() -> None:
        for task in tasks:
            task.cancel()
        if not tasks:
            finish((None, asyncio.CancelledError()))

    def start() -> None:
        tasks.append(asyncio.get_running_loop().create_task(run()))
        tasks[0].add_done_callback(lambda _: finish((None, asyncio.CancelledError())))  # counts when it was cancelled before it began

    loop = _BACKGROUND.loop()
    if _held_up.get() or running_loop() is loop:
        context = copy_context()
        context.run(_held_up.set, True)
        WORKERS.begin(partial(context.run, asyncio.run, run()))
        ending.wait(lambda: found)
    else:
        try:
            loop.call_soon_threadsafe(start)
            ending.wait(lambda: found, partial(loop.call_soon_threadsafe, stop))
        except BaseException:  # Ctrl-C: the node must have ended before its thread is given free
            loop.call_soon_threadsafe(stop)
            ending.wait(lambda: found)
            raise
    value, error = found[0]
    if error is not None:
        raise error
    return value


def holding_up() -> Context:
    """The context for what the caller waits for: when it holds up the background loop, async nodes in there do not wait for that loop."""
    context = copy_context()
    if (loop := running_loop()) is not None and loop is _BACKGROUND.loop():
        context.run(_held_up.set, True)
    return context


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that runs in this Python thread."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def current_task() -> asyncio.Task[Any] | None:
    """The asyncio task that runs in this Python thread."""
    try:
        return asyncio.current_task()
    except RuntimeError:  # no event loop runs in this thread
        return None
