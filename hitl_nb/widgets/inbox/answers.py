"""What becomes of the answers of an inbox: they are recorded, and the graphs at hand go on, in one Python thread, so that the kernel stays free."""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import copy_context
from datetime import datetime
from functools import partial
from threading import Lock
from typing import Any, Final

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.records import Decision
from hitl_nb.checkpoint.voting import Vote
from hitl_nb.decisions.request import Request
from hitl_nb.decisions.wording import plural
from hitl_nb.errors import HitlError, ThreadBusyError
from hitl_nb.errors import told as told_of
from hitl_nb.plain.threads import WORKERS
from hitl_nb.session.turn import patiently
from hitl_nb.waiting.recording import record_answer
from hitl_nb.waiting.resuming import Graphs

_TRIES: Final = 5
"""About a second and a half: whoever else runs the thread may be about to end, and a longer run is no reason to keep the others waiting."""
_TOLD_EVERY: Final = 10
"""Recorded answers between two tellings of how far it is."""
HOW: Final = "inbox"
PICKED_UP: Final = "Recorded. The next run of the thread picks it up."

Given = Sequence[tuple[Request, Any]]
Made = Decision | Vote | HitlError
"""What became of an answer."""


class Answers:
    """`tell` is called with what becomes of a thread that goes on: which one, in which words, whether it failed."""

    def __init__(self, saver: Checkpointer, graphs: Graphs, tell: Callable[..., None], *, reviewer: str, now: Callable[[], datetime]) -> None:
        self._saver, self._graphs, self._tell, self._reviewer, self._now = saver, graphs, tell, reviewer, now
        self.jobs = Jobs()

    @property
    def picked_up(self) -> str:
        """What is told of an answer when it is recorded."""
        return "" if self._graphs else PICKED_UP

    def give(self, request: Request, answer: Any) -> Decision | Vote:
        """Record an answer now. Raises as `record_answer` does."""
        return record_answer(self._saver, request.question, answer, reviewer=self._reviewer, how=HOW, now=self._now())

    def give_all(self, given: Given, told: Callable[[int, int], None], done: Callable[[Sequence[tuple[Request, Made]]], None]) -> None:
        """Record answers one after the other, each by itself, when the jobs before are done. `told` hears how many of how many there are."""

        def work() -> None:
            results: list[tuple[Request, Made]] = []
            for request, answer in given:
                try:
                    results.append((request, self.give(request, answer)))
                except HitlError as error:
                    results.append((request, error))
                except Exception as error:  # noqa: BLE001  said in the card: nothing else shows what is raised here
                    results.append((request, HitlError(told_of(error))))
                if len(results) % _TOLD_EVERY == 0:
                    told(len(results), len(given))
            done(results)

        self.jobs.put(work)

    def run(self, decisions: Sequence[Decision]) -> None:
        """Have the graphs go on with these answers, each thread once."""
        if not self._graphs:
            return
        for thread_id in dict.fromkeys(decision.thread_id for decision in decisions):
            self._tell(thread_id, "Recorded. Runs when those before it have.", failed=False)
            self.jobs.put(partial(self._run, thread_id))

    def _run(self, thread_id: str) -> None:
        self._tell(thread_id, "Recorded. Running.", failed=False)
        words, failed = run_on(self._graphs, self._saver, thread_id)
        self._tell(thread_id, words, failed=failed)


class Jobs:
    """Does what it is given in the order given, one after the other. What nodes print lands below the cell in which this was made."""

    def __init__(self) -> None:
        self._context = copy_context()
        self._jobs: deque[Callable[[], None]] = deque()
        self._turn = Lock()
        """Held by who does them."""

    def put(self, job: Callable[[], None]) -> None:
        """Do this when everything before it is done. What it raises goes to stderr, and keeps none of the others."""
        self._jobs.append(job)
        WORKERS.begin(partial(self._context.copy().run, self._work))

    def _work(self) -> None:
        """All there is to do, unless another does it; who does it looks once more when it has given up its turn."""
        while self._jobs and self._turn.acquire(blocking=False):
            try:
                while self._jobs:
                    self._do(self._jobs.popleft())
            finally:
                self._turn.release()

    def _do(self, job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException:  # noqa: BLE001  else whatever comes next would wait for ever
            traceback.print_exc()


def run_on(graphs: Graphs, saver: Checkpointer, thread_id: str, sleep: Callable[[float], None] = time.sleep) -> tuple[str, bool]:
    """Run a thread with its new answers: what is to be told of it, and whether it failed. The answers are recorded in any case."""
    tries = iter(range(_TRIES))
    try:
        result = patiently(lambda: graphs.resume(saver, thread_id), sleep, again=lambda: next(tries, None) is not None)
    except ThreadBusyError:
        return "Recorded. Another run has the thread and picks it up.", False
    except BaseException as error:  # noqa: BLE001  whatever a node raises, a SystemExit too: told where the person looks, as no cell would
        return f"Answer recorded; running it failed: {told_of(error)}", True
    if result is None:
        return PICKED_UP, False
    if result.interrupts:
        return f"Ran on: {plural(len(result.interrupts), 'question')} open in this thread.", False
    return "Ran to its end.", False
