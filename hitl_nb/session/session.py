"""The session as its user has it: a graph run on one thread together with whoever answers its questions."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Literal

from hitl_nb.checkpoint.memory import MemorySaver
from hitl_nb.checkpoint.records import Decision, Head
from hitl_nb.checkpoint.voting import Vote
from hitl_nb.decisions.request import Request
from hitl_nb.decisions.tape import tape, write_tape
from hitl_nb.errors import AmbiguousAnswerError, NotWaitingError, StillWaitingError, ThreadBusyError
from hitl_nb.plain.threads import Stop
from hitl_nb.responders.plain import wait_by_looking
from hitl_nb.session.runner import Runner
from hitl_nb.session.stopped import Stopped

Status = Literal["running", "waiting", "done", "failed"]


class ReviewSession(Runner):
    """A thread under review. Made by `review`; may be used from any Python thread.

    What it knows lies in the store: two sessions on one thread, in two kernels, see the same questions, and each question is answered once.
    """

    @property
    def status(self) -> Status:
        """Whether the graph runs, waits for an answer, has ended, or a node raised."""
        if self._error is not None and not self._error_is_past():
            return "failed"
        if self._turn.is_running:
            return "running"
        finished = self._finished if self._saver.head(self.thread_id) == self._head else not self._graph.get_state(self._config).next
        return "done" if finished else "waiting"

    @property
    def state(self) -> dict[str, Any]:
        """The state of the graph where the thread stands."""
        return dict(self._graph.get_state(self._config).values)

    @property
    def pending(self) -> list[Request]:
        """The open questions, as they are stored now."""
        return [self._questions.request(i.id) for i in self._graph.get_state(self._config).interrupts]

    @property
    def decisions(self) -> list[Decision]:
        """Every decision of the thread, the oldest first, also those that were reopened later."""
        return self._saver.decisions(self.thread_id)

    def decision_table(self) -> list[dict[str, Any]]:
        """One flat row for each decision, for a DataFrame or a CSV file."""
        return [
            {
                "interrupt_id": d.interrupt_id,
                "node": d.node,
                "question": self._questions.request(d.interrupt_id).form.heading,
                "answer": d.answer,
                "reviewer": d.reviewer,
                "decided_at": d.decided_at.isoformat(),
                "how": d.how,
            }
            for d in self.decisions
        ]

    @property
    def head(self) -> Head | None:
        """Where the thread stands in the store; None before it began. It changes with everything that becomes of the thread."""
        return self._saver.head(self.thread_id)

    @property
    def is_kept(self) -> bool:
        """False: the store is in the memory of this process, and what is open there ends with it."""
        return not isinstance(self._saver, MemorySaver)

    @property
    def store(self) -> Path | None:
        """The folder of the store; None where it has none."""
        folder: Path | None = getattr(self._saver, "folder", None)
        return None if folder is None else folder.resolve()

    def result(self, timeout_s: float | None = None) -> dict[str, Any]:
        """The final state, once every question is answered. In a notebook the cards stay alive meanwhile.

        timeout_s: give up after so many seconds; the question stays open.
        Raises what a node raised, and StillWaitingError after the timeout or where nobody can answer.
        """
        with Stopped(self):
            return self._result(timeout_s, lambda: False)

    def _result(self, timeout_s: float | None, given_up: Callable[[], bool]) -> dict[str, Any]:
        ends_at = None if timeout_s is None else time.monotonic() + timeout_s
        if self._error is not None and self._error_is_past():
            self._error = None
            self._turn.want()
        if self._error is None:
            self._moved()
        cell = object()
        try:
            self._turn.waits(cell)
            while True:
                if self._error is None and self._advance():
                    self._show_failure()
                if not self._turn.is_taken:
                    if self._error is not None:
                        raise self._error
                    if self._finished:
                        return self.state
                    if self._moved():
                        continue
                    if not self._answers_later:
                        raise self.still_waiting("and nobody answers here")
                left = None if ends_at is None else max(0.0, ends_at - time.monotonic())
                if not self._wait(lambda: given_up() or self._ready(), left):
                    raise self.still_waiting(f"after {timeout_s:g} s")
                if given_up():
                    raise self.still_waiting("and its caller was cancelled")
        finally:
            try:
                self._turn.waits_no_more(cell)
                self._start_worker()
            except KeyboardInterrupt:  # one that came in here
                self._turn.waits_no_more(cell)
                raise

    def __await__(self) -> Generator[Any, None, dict[str, Any]]:
        """`await session` is `session.result()`. In a notebook the cell waits with its cards alive; elsewhere the event loop goes on."""
        if self._wait is wait_by_looking:
            return (yield from self._result_from_thread().__await__())
        if self._settle is not None and not self._finished:
            yield from self._settle().__await__()
        return self.result()

    async def _result_from_thread(self) -> dict[str, Any]:
        cancelled = Stop()
        try:
            return await asyncio.to_thread(self._result, None, lambda: bool(cancelled))
        finally:
            cancelled.say()  # else the thread waits on, and the event loop for the thread when it closes

    def answer(self, value: Any, id: str | None = None, *, reviewer: str | None = None) -> Decision | Vote:  # noqa: A002  the name the docs use
        """Answer the open question (or the one with this id) from code, and run the graph to its next question.

        A Vote: the answer is recorded, and the question stays open until more reviewers have given the same.
        Raises InvalidAnswerError, AlreadyAnsweredError, DeadlinePassedError, NotEntitledError, AmbiguousAnswerError, NotWaitingError, and what a node
        raises.
        """
        decision = self._record(self._questions.request(id) if id is not None else self._only_question(), value, reviewer, "code")
        self._asks = True
        with Stopped(self):
            self._go_on_here()
        return decision

    def tape(self, path: str | os.PathLike[str]) -> Path:
        """Write what was decided as an answers file that replays: `review(graph, input, thread_id=…, answers=path)`. The path.

        Decisions that were taken back, and defaults of deadlines, are comments in it. An answer counts again only for the payload and schema that it
        was given to; the file's `on_change` says what becomes of the others.
        """
        return write_tape(path, tape(self._saver, [self.thread_id]))

    def undo(self) -> None:
        """Discard the latest decision that still counts, and ask its question again. The decision stays in the record.

        Raises NotWaitingError when there is none, ThreadBusyError while the graph runs.
        """
        if self.status == "running":
            raise ThreadBusyError(f"thread {self.thread_id!r} runs; undo the decision when it waits again or has ended", thread_id=self.thread_id)
        latest = self._latest()
        if latest is None:
            raise NotWaitingError(f"thread {self.thread_id!r} has no decision to undo", thread_id=self.thread_id)
        self._reopen(latest, self._sleep)
        self._asks = self._answers_later
        with Stopped(self):
            self._go_on_here()

    def __repr__(self) -> str:
        status = self.status
        pending = self.pending if status == "waiting" else []
        more = f" and {len(pending) - 1:,} more" if len(pending) > 1 else ""
        return f"<ReviewSession {self.thread_id!r}: {status}{f', asks {pending[0].form.heading!r}{more}' if pending else ''}>"

    def _only_question(self) -> Request:
        pending = self.pending
        if len(pending) == 1:
            return pending[0]
        if not pending:
            raise NotWaitingError(
                f"thread {self.thread_id!r} has no open question (it is {self.status}); nothing was answered", thread_id=self.thread_id
            )
        asked = ", ".join(f"{r.question.node} ({r.question.id})" for r in pending)
        raise AmbiguousAnswerError(f"{len(pending)} questions are open: {asked}. Say which: answer(value, id=…)", thread_id=self.thread_id)

    def still_waiting(self, why: str) -> StillWaitingError:
        """The error that tells what is open, and `why` it ends here."""
        pending = self.pending
        asked = ", ".join(f"{r.form.heading!r} (node {r.question.node})" for r in pending) or "another process"
        first = pending[0].question if pending else None
        return StillWaitingError(
            f"thread {self.thread_id!r} still waits for {asked} {why}. Nothing is lost: answer in the card, with session.answer(…) or from another "
            f"process, then call result() again or run review() again.",
            thread_id=self.thread_id,
            node=first.node if first else None,
            interrupt_id=first.id if first else None,
        )
