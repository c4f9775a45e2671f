"""Whose turn it is to run the graph: one Python thread's at a time, and nobody's while there is nothing to run."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import Final, TypeVar

from hitl_nb.errors import ThreadBusyError

T = TypeVar("T")
BUSY_WAIT_S: Final = 60.0
"""How long a session waits for another process that runs its thread."""


class Turn:
    """Keeps that an answer recorded at any moment, by any thread, is run exactly once and never left lying."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._runner: object | None = None
        """Who runs the graph."""
        self._wanted = False
        self._cut_off = False
        self._cells: set[object] = set()
        """Those that wait for the result, and run what there is to run meanwhile."""

    @property
    def is_taken(self) -> bool:
        """Somebody runs the graph, or asks its questions."""
        return self._runner is not None

    @property
    def is_wanted(self) -> bool:
        """There is something to run."""
        return self._wanted

    @property
    def is_running(self) -> bool:
        """Somebody runs the graph, or is about to."""
        return self.is_taken or (self._wanted and not self._cut_off)

    def want(self) -> None:
        """There is something to run: an answer was recorded, a retry was asked for."""
        with self._lock:
            self._wanted = True
            self._cut_off = False

    def offers(self, *, as_worker: bool = False) -> bool:
        """True when there is something to run and nobody does. A worker leaves it to a cell that waits."""
        return self._wanted and not self.is_taken and not (as_worker and (self._cells or self._cut_off))

    def take(self, *, as_worker: bool = False, by: object = None) -> bool:
        """True when there is something to run and the caller (`by`) shall run it."""
        with self._lock:
            if not self.offers(as_worker=as_worker):
                return False
            self._runner = by or self
            return True

    def go(self, one_round: Callable[[], None], *, as_worker: bool = False) -> bool:
        """`take` and `run` in one, so that a Ctrl-C between the two leaves nothing taken. False: there was nothing to run, or somebody runs."""
        me = object()
        try:
            if not self.take(as_worker=as_worker, by=me):
                return False
            self.run(one_round)
        except BaseException:
            if self._runner is me:
                self._cut()
            raise
        return True

    def run(self, one_round: Callable[[], None]) -> None:
        """Call `one_round` until there is nothing to run; the caller has taken the turn. A loop, so that no number of answers nests.

        A run that an exception cuts off leaves the rest to whoever asks for the result next, never to a worker in the background.
        """
        try:
            while True:
                with self._lock:
                    self._wanted = self._cut_off = False
                one_round()
                with self._lock:
                    # In one step with the look at `_wanted`: whoever wants a run from now on finds the turn free.
                    if not self._wanted:
                        self._runner = None
                        return
        except BaseException:
            self._cut()
            raise

    def _cut(self) -> None:
        with self._lock:
            self._wanted = self._cut_off = True
            self._runner = None

    def waits(self, cell: object) -> None:
        """One more cell that waits for the result."""
        with self._lock:
            self._cells.add(cell)

    def waits_no_more(self, cell: object) -> None:
        """It does not wait any more, or never did."""
        with self._lock:
            self._cells.discard(cell)


def patiently(call: Callable[[], T], sleep: Callable[[float], None], *, again: Callable[[], bool] = lambda: True) -> T:
    """The result of `call`, tried again while somebody else runs the thread. Raises ThreadBusyError after BUSY_WAIT_S, or when not `again()`."""
    pause_s, waited_s = 0.05, 0.0
    while True:
        try:
            return call()
        except ThreadBusyError:
            if waited_s >= BUSY_WAIT_S or not again():
                raise
        sleep(pause_s)
        waited_s, pause_s = waited_s + pause_s, min(2 * pause_s, 2.0)
