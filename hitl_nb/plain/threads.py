"""Python threads, and waiting for what they do, such that a Ctrl-C at any moment spoils neither.

`Thread.start`, `Event`, `Condition` and `Future` wait and tell with locks in Python code: a Ctrl-C between two of its lines leaves one taken, and the
other side hangs, or the wait becomes a RuntimeError. What is here waits in `SimpleQueue.get` only, which is one call in C. A signal that comes as
that call begins is dealt with when it ends, so it ends now and then.
"""

from __future__ import annotations

import _thread
import os
import sys
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final, TypeVar

T = TypeVar("T")

_LOOK_S: Final = 1.0
"""Seconds after which a wait looks whether there was a Ctrl-C: one that came between the last line before it and its beginning does not wake it."""


def taken(queue: SimpleQueue[T]) -> T:
    """The next of the queue, waited for as long as it takes; each Ctrl-C is raised meanwhile."""
    while True:
        try:
            return queue.get(timeout=_LOOK_S)
        except Empty:
            pass


class _Workers:
    """Daemon threads for what goes on beside the caller, shared by all: each is kept for the next, as a new one costs as much as many a node.

    No ThreadPoolExecutor: a Ctrl-C that comes while it takes work can leave one of its locks held for ever, and with it every later run.
    """

    def __init__(self) -> None:
        self._idle: list[SimpleQueue[Callable[[], None]]] = []
        """Where each that has nothing to do waits for work."""
        self._pid = os.getpid()

    def begin(self, work: Callable[[], None]) -> None:
        """Do this in one of them, at once, however many there are: a node may wait for one that another run's worker has yet to begin.

        `work` is called without the caller's context variables. Raises RuntimeError where the system allows no thread more.
        """
        if self._pid != os.getpid():
            self._idle, self._pid = [], os.getpid()
        try:
            self._idle.pop().put(work)
        except IndexError:
            mine = SimpleQueue[Callable[[], None]]()
            mine.put(work)  # not as an argument, which the thread would keep, and with it the state of that run
            thread = Thread(target=self._serve, args=(mine, self._idle), name="hitl-nb", daemon=True)
            _thread.start_new_thread(_start, (thread,))  # no Ctrl-C comes in there

    @staticmethod
    def _serve(mine: SimpleQueue[Callable[[], None]], idle: list[SimpleQueue[Callable[[], None]]]) -> None:
        while True:
            work = mine.get()
            work()
            del work  # with all that it refers to
            idle.append(mine)


def _start(thread: Thread) -> None:
    try:
        thread.start()
    except RuntimeError:  # the system allows this thread and no other
        thread.run()


WORKERS: Final = _Workers()


class Ending:
    """The end of what another Python thread does, waited for however often somebody presses Ctrl-C; the first one is raised when it is over."""

    __slots__ = ("_wake",)

    def __init__(self) -> None:
        self._wake: SimpleQueue[None] = SimpleQueue()

    def tell(self) -> None:
        """Have the one who waits look again."""
        self._wake.put(None)

    def wait(self, is_over: Callable[[], Any], pressed: Callable[[], object] = lambda: None) -> None:
        """Return once `is_over()`; whoever makes it true tells that afterwards. `pressed` is called at each Ctrl-C.

        One that comes as this begins is the caller's: `except KeyboardInterrupt`, wait again, raise.
        """
        first: KeyboardInterrupt | None = None
        while True:
            try:
                while not is_over():
                    taken(self._wake)
                break
            except KeyboardInterrupt as again:
                first = first or again
                pressed()
        if first is not None:
            raise first


class Stop:
    """Says to what goes on in another Python thread that it shall end. Once said, it stays said."""

    __slots__ = ("_said", "_wake")

    def __init__(self) -> None:
        self._said = False
        self._wake: SimpleQueue[None] = SimpleQueue()

    def __bool__(self) -> bool:
        """It was said."""
        return self._said

    def say(self) -> None:
        """End, and wait no longer."""
        self._said = True
        self._wake.put(None)

    def within(self, seconds: float) -> bool:
        """Wait until it is said, at most so long; whether it was. For one Python thread."""
        ends_at = time.monotonic() + seconds
        while not self._said and (left := ends_at - time.monotonic()) > 0:
            try:
                self._wake.get(timeout=left)
            except Empty:
                break
        return self._said


def uncut(call: Callable[[], None]) -> None:
    """Make this call, which raises nothing, where no Ctrl-C can cut it off, and wait for its end."""
    if sys.is_finalizing():  # no other Python thread runs any more
        call()
        return
    todo, done, ending = [call], [], Ending()

    def make() -> None:
        try:
            made = todo.pop()
        except IndexError:  # begun twice
            return
        made()
        done.append(True)
        ending.tell()

    try:
        WORKERS.begin(make)
        ending.wait(lambda: done)
    except KeyboardInterrupt:  # it may have come before anything was begun
        WORKERS.begin(make)
        ending.wait(lambda: done)
        raise
