"""What an inbox does apart from the page: one Python thread that records many answers and runs graphs, so that the kernel stays free."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from threading import Lock, Thread
from typing import Final

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.decisions.wording import plural
from hitl_nb.errors import ThreadBusyError, told
from hitl_nb.session.turn import patiently
from hitl_nb.waiting.resuming import Graphs

_TRIES: Final = 5
"""About a second and a half: whoever else runs the thread may be about to end, and a longer run is no reason to keep the others waiting."""
PICKED_UP: Final = "Recorded. The next run of the thread picks it up."


class Jobs:
    """Does what it is given in the order given, one after the other. What nodes print lands below the cell in which this was made."""

    def __init__(self) -> None:
        self._context = copy_context()
        self._lock = Lock()
        self._jobs: deque[Callable[[], None]] = deque()
        self._is_on = False

    def put(self, job: Callable[[], None]) -> None:
        """Do this when everything before it is done. It must not raise."""
        with self._lock:
            self._jobs.append(job)
            if self._is_on:
                return
            self._is_on = True
        Thread(target=self._context.copy().run, args=(self._work,), name="hitl-nb-inbox-runs", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._jobs:
                    self._is_on = False
                    return
                job = self._jobs.popleft()
            job()


def run_on(graphs: Graphs, saver: Checkpointer, thread_id: str, sleep: Callable[[float], None] = time.sleep) -> tuple[str, bool]:
    """Run a thread with its new answers: what is to be told of it, and whether it failed. The answers are recorded in any case."""
    tries = iter(range(_TRIES))
    try:
        result = patiently(lambda: graphs.resume(saver, thread_id), sleep, again=lambda: next(tries, None) is not None)
    except ThreadBusyError:
        return "Recorded. Another run has the thread and picks it up.", False
    except Exception as error:  # noqa: BLE001  whatever a node raises: told where the person looks, as no cell would
        return f"Answer recorded; running it failed: {told(error)}", True
    if result is None:
        return PICKED_UP, False
    if result.interrupts:
        return f"Ran on: {plural(len(result.interrupts), 'question')} open in this thread.", False
    return "Ran to its end.", False
