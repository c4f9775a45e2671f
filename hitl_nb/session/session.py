"""The session: a graph run on one thread together with whoever answers its questions."""

from __future__ import annotations

import asyncio
import time
import warnings
from collections.abc import Callable, Generator, Mapping
from contextvars import copy_context
from dataclasses import replace
from datetime import UTC, datetime
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final, Literal

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.records import Decision, Head
from hitl_nb.decisions.check import check_answer
from hitl_nb.decisions.forms import form_for
from hitl_nb.decisions.request import Request
from hitl_nb.errors import (
    AmbiguousAnswerError,
    MissingAnswerError,
    NotWaitingError,
    StillWaitingError,
    ThreadBusyError,
    ThreadMovedError,
    UnknownInterruptError,
    UnusedAnswersWarning,
)
from hitl_nb.responders.base import FrontEnd, Responder
from hitl_nb.responders.plain import wait_by_looking
from hitl_nb.responders.scripted import NobodyResponder, ScriptedResponder
from hitl_nb.session.inputs import check_input
from hitl_nb.session.standing import standing_decisions
from hitl_nb.session.turn import Turn, patiently
from hitl_nb.session.watch import Watch

if TYPE_CHECKING:
    from hitl_nb.graph.compiled import CompiledGraph
    from hitl_nb.graph.types import GraphResult

Status = Literal["running", "waiting", "done", "failed"]
_LOOK_EVERY_S: Final = 1.0
"""How often a waiting session looks whether somebody else answered."""


class ReviewSession:
    """A thread under review. Made by `review`; may be used from any Python thread.

    What it knows lies in the store: two sessions on one thread, in two kernels, see the same questions, and each question is answered once.
    """

    def __init__(
        self,
        graph: CompiledGraph,
        saver: Checkpointer,
        thread_id: str,
        front: FrontEnd,
        reviewer: str,
        *,
        context: Any = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.thread_id = thread_id
        self.reviewer = reviewer
        self._given: Mapping[str, Any] | None = None
        self._graph = graph
        self._saver = saver
        self._view = front.view
        self._responder: Responder = front.responder or NobodyResponder()
        self._answers_later: bool = getattr(self._responder, "answers_later", True)
        self._wait = front.wait
        self._settle = front.settle
        self._now = now
        self._sleep = sleep
        self._config = {"configurable": {"thread_id": thread_id}}
        self._run_context = context
        """For nodes that ask for a Runtime."""
        # What nodes print in a worker thread belongs below the cell that called review().
        self._context = copy_context()
        self._turn = Turn()
        self._is_open = False
        """`review` has returned, or is about to."""
        self._asks = True
        """False after an undo where nobody answers later: the reopened question stays open for `answer`."""
        self._finished = False
        self._error: BaseException | None = None
        self._started = False
        """A node ran in the latest run."""
        self._seen: str | None = None
        """The question whose receipt was shown last: what 'Change my answer' is about."""
        self._shown: dict[str, Request] = {}
        """The questions the responder was asked, until they are decided."""
        self._head: Head | None = None
        """Where the thread stood at the last look."""
        self._looked_at = 0.0

    # -- what a user asks ------------------------------------------------------------------------------------------------------------

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
        return [self._request(i.id) for i in self._graph.get_state(self._config).interrupts]

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
                "question": self._request(d.interrupt_id).form.heading,
                "answer": d.answer,
                "reviewer": d.reviewer,
                "decided_at": d.decided_at.isoformat(),
                "how": d.how,
            }
            for d in self.decisions
        ]

    def result(self, timeout_s: float | None = None) -> dict[str, Any]:
        """The final state, once every question is answered. In a notebook the cards stay alive meanwhile.

        timeout_s: give up after so many seconds; the question stays open.
        Raises what a node raised, and StillWaitingError after the timeout or where nobody can answer.
        """
        return self._result(timeout_s, lambda: False)

    def _result(self, timeout_s: float | None, given_up: Callable[[], bool]) -> dict[str, Any]:
        ends_at = None if timeout_s is None else time.monotonic() + timeout_s
        if self._error is not None and self._error_is_past():
            self._error = None
            self._turn.want()
        if self._error is None:
            self._moved()
        self._turn.cell_waits(1)
        try:
            while True:
                if self._error is None and self._turn.take():
                    self._advance()
                    self._show_failure()
                if not self._turn.is_taken:
                    if self._error is not None:
                        raise self._error
                    if self._finished:
                        return self.state
                    if self._moved():
                        continue
                    if not self._answers_later:
                        raise self._still_waiting("and nobody answers here")
                left = None if ends_at is None else max(0.0, ends_at - time.monotonic())
                if not self._wait(lambda: given_up() or self._ready(), left):
                    raise self._still_waiting(f"after {timeout_s:g} s")
                if given_up():
                    raise self._still_waiting("and its caller was cancelled")
        finally:
            self._turn.cell_waits(-1)
            self._start_worker()

    def __await__(self) -> Generator[Any, None, dict[str, Any]]:
        """`await session` is `session.result()`. In a notebook the cell waits with its cards alive; elsewhere the event loop goes on."""
        if self._wait is wait_by_looking:
            return (yield from self._result_from_thread().__await__())
        if self._settle is not None and not self._finished:
            yield from self._settle().__await__()
        return self.result()

    async def _result_from_thread(self) -> dict[str, Any]:
        cancelled = Event()
        try:
            return await asyncio.to_thread(self._result, None, cancelled.is_set)
        finally:
            cancelled.set()  # else the thread waits on, and the event loop for the thread when it closes

    def answer(self, value: Any, id: str | None = None, *, reviewer: str | None = None) -> Decision:  # noqa: A002  the name the docs use
        """Answer the open question (or the one with this id) from code, and run the graph to its next question.

        Raises InvalidAnswerError, AlreadyAnsweredError, DeadlinePassedError, AmbiguousAnswerError, NotWaitingError, and what a node raises.
        """
        decision = self._record(self._request(id) if id is not None else self._only_question(), value, reviewer, "code")
        self._asks = True
        self._go_on_here()
        return decision

    def undo(self) -> None:
        """Discard the latest decision that still counts, and ask its question again. The decision stays in the record.

        Raises NotWaitingError when there is none, ThreadBusyError while the graph runs.
        """
        if self.status == "running":
            raise ThreadBusyError(f"thread {self.thread_id!r} runs; undo the decision when it waits again or has ended", thread_id=self.thread_id)
        latest = self._latest()
        if latest is None:
            raise NotWaitingError(f"thread {self.thread_id!r} has no decision to undo", thread_id=self.thread_id)
        self._reopen(latest)
        self._asks = self._answers_later
        self._go_on_here()

    def __repr__(self) -> str:
        status = self.status
        asked = ", ".join(r.form.heading for r in self.pending) if status == "waiting" else ""
        return f"<ReviewSession {self.thread_id!r}: {status}{f', asks {asked!r}' if asked else ''}>"

    # -- answers ---------------------------------------------------------------------------------------------------------------------

    def _request(self, interrupt_id: str) -> Request:
        question = self._saver.question(interrupt_id)
        if question is None:
            raise UnknownInterruptError(
                f"there is no question {interrupt_id!r} in the store; session.pending lists the open ones", thread_id=self.thread_id
            )
        return Request(question, form_for(question, reviewer=self.reviewer))

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

    def _record(self, request: Request, answer: Any, reviewer: str | None, how: str) -> Decision:
        """Check the answer, store it, show the receipt. What comes next is run elsewhere."""
        question = request.question
        decision = Decision(
            interrupt_id=question.id,
            thread_id=self.thread_id,
            node=question.node,
            number=-1,
            answer=check_answer(question, answer),
            reviewer=reviewer or self.reviewer,
            decided_at=self._now(),
            how=how,
            payload_digest=question.digest,
        )
        head = self._saver.answer(self.thread_id, [decision])
        decision = replace(decision, number=head.decisions - 1, seq=head.seq)
        try:
            self._show_receipt(request, decision)
        finally:  # a view that fails must not keep what is recorded from being run
            self._shown.pop(question.id, None)
            self._error = None
            self._turn.want()
        return decision

    def _ask(self, request: Request) -> None:
        """Have the responder answer; it may do so at once, later, or never."""

        def submit(answer: Any, *, reviewer: str | None = None) -> Decision:
            try:
                return self._record(request, answer, reviewer, self._responder.how)
            finally:
                self._start_worker()

        self._shown[request.question.id] = request
        try:
            self._responder.ask(request, submit)
        except MissingAnswerError:
            # Whoever holds the session already can answer it from code.
            if not self._is_open:
                raise

    def _latest(self) -> str | None:
        """The question of the latest decision that counts."""
        return next((d.interrupt_id for d in standing_decisions(self._saver, self.thread_id)), None)

    def _reopen(self, interrupt_id: str) -> None:
        """Discard the decision a person has seen, if it still is the latest."""

        def reopen() -> None:
            if self._latest() != interrupt_id:
                raise ThreadMovedError(
                    f"somebody else decided or undid a decision of thread {self.thread_id!r} meanwhile; nothing was undone. Look at "
                    f"session.decisions, then undo again",
                    thread_id=self.thread_id,
                )
            self._graph.reopen(self._config, interrupt_id)

        patiently(reopen, self._sleep)
        self._shown.clear()
        self._error = None
        self._finished = False
        self._turn.want()

    # -- running ---------------------------------------------------------------------------------------------------------------------

    def open(self, given: Mapping[str, Any] | None) -> None:
        """Start or continue the thread, and answer what can be answered here. `review` calls it once."""
        check_input(self._saver, self.thread_id, given, self._saver.head(self.thread_id))
        for decision in reversed(list(standing_decisions(self._saver, self.thread_id))):
            request = self._request(decision.interrupt_id)
            if isinstance(self._responder, ScriptedResponder):
                self._responder.script.recall(request.question, decision.answer, scripted=decision.how == self._responder.how)
            self._show_receipt(request, decision)
        self._given = given
        self._turn.want()
        if self._turn.take():
            self._advance()
        if self._error is not None and not (self._answers_later and self.decisions):
            raise self._error
        self._is_open = True
        self._show_failure()

    def _step(self) -> GraphResult:
        """Run what can run. On a new thread with the input; somebody else may start it meanwhile."""
        head = self._saver.head(self.thread_id)
        check_input(self._saver, self.thread_id, self._given, head)
        self._started = False

        watch = Watch(self._view, self._begins, shows=head is not None)
        result = self._graph.advance(self._config, begin=self._given, watch=watch, context=self._run_context)
        if head is None:
            check_input(self._saver, self.thread_id, self._given, self._saver.head(self.thread_id))
        return result

    def _begins(self) -> None:
        self._started = True

    def _advance(self) -> None:
        """Run and ask until there is nothing to run. The caller has taken the turn."""
        first = self._saver.head(self.thread_id)
        self._turn.run(lambda: self._round(first))

    def _round(self, first: Head | None) -> None:
        """Run to the next pause, ask what is new there. A node's error is kept in `_error`."""
        try:
            # A node that meets a busy thread has run, and is not run again unasked.
            result = patiently(self._step, self._sleep, again=lambda: not self._started)
        except Exception as error:  # noqa: BLE001  whatever a node raises; it is raised again by result() or shown in the card
            self._error, self._head = error, self._saver.head(self.thread_id)
            return
        self._given = None
        self._error = None
        self._head = self._saver.head(self.thread_id)
        self._show_others_decisions(result.interrupts)
        for interrupt in result.interrupts:
            if self._asks and interrupt.id not in self._shown:
                self._ask(self._request(interrupt.id))
        if self._turn.is_wanted:
            return
        self._finished = not result.next
        if self._head is not None and self._head.decisions:
            # Without a decision nothing was shown yet, and a view that is told of the end would show an empty output.
            if self._finished:
                self._view.finished()
            else:
                self._view.running(())
        if self._finished and self._head != first:
            self._warn_of_unused()

    def _show_failure(self) -> None:
        """Offer to run a failed node again, or to change the last answer, where a person sees it."""
        error = self._error
        if error is not None and self._answers_later:
            self._view.failed(error, self._retry, self._reopen_from_card if self._seen else None)

    def _retry(self) -> None:
        self._error = None
        self._turn.want()
        self._start_worker()

    def _reopen_from_card(self) -> None:
        if self._seen is not None:
            self._reopen(self._seen)
            self._start_worker()

    def _show_receipt(self, request: Request, decision: Decision) -> None:
        self._seen = decision.interrupt_id
        self._view.decided(request, decision)

    def _show_others_decisions(self, interrupts: Any) -> None:
        """Receipts for questions that were asked here and answered by somebody else."""
        still_open = {i.id for i in interrupts}
        for interrupt_id, request in list(self._shown.items()):
            if interrupt_id not in still_open:
                self._shown.pop(interrupt_id, None)
                decision = self._saver.decision(interrupt_id)
                if decision is not None:
                    self._show_receipt(request, decision)

    def _warn_of_unused(self) -> None:
        """Only for answers given in the call: an answers file serves many threads, and most use a part of it."""
        if not isinstance(self._responder, ScriptedResponder) or self._responder.script.source != "answers=":
            return
        unused = self._responder.script.unused(self.thread_id)
        if unused:
            places = ", ".join(e.place for e in unused[:5]) + (", …" if len(unused) > 5 else "")
            text = f"thread {self.thread_id!r} ended and {len(unused)} of the scripted answers were not asked for: {places}"
            warnings.warn(text, UnusedAnswersWarning, stacklevel=2)

    # -- who runs it -----------------------------------------------------------------------------------------------------------------

    def _go_on_here(self) -> None:
        """Run in the calling thread, unless somebody runs already; raise what the node raises."""
        if self._turn.take():
            self._advance()
            self._show_failure()
            if self._error is not None:
                raise self._error

    def _start_worker(self) -> None:
        """Run in a worker thread, unless somebody runs or waits already. A click returns at once."""
        if self._turn.take(as_worker=True):
            Thread(target=self._context.copy().run, args=(self._work,), name=f"hitl-nb-{self.thread_id}", daemon=True).start()

    def _work(self) -> None:
        try:
            self._advance()
        except BaseException as error:  # noqa: BLE001  no cell is there to raise it in: the card shows it and result() raises it
            self._error, self._head = error, self._saver.head(self.thread_id)  # SystemExit too: the thread would end silently
        self._show_failure()

    def _error_is_past(self) -> bool:
        """True when what stopped this session no longer does: the thread was busy, or somebody else has brought it past the failed node."""
        if isinstance(self._error, ThreadBusyError) and not self._started:
            return True
        return self._saver.head(self.thread_id) != self._head and not any(t.error for t in self._graph.get_state(self._config).tasks)

    def _moved(self) -> bool:
        """True, and there is something to run, when somebody else answered or moved the thread."""
        self._looked_at = time.monotonic()
        if self._saver.head(self.thread_id) == self._head:
            return False
        self._turn.want()
        return True

    def _ready(self) -> bool:
        """True when a waiting cell has something to do."""
        if self._turn.is_taken:
            return False
        if self._turn.is_wanted or self._finished or self._error is not None:
            return True
        return time.monotonic() - self._looked_at >= _LOOK_EVERY_S and self._moved()

    def _still_waiting(self, why: str) -> StillWaitingError:
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
