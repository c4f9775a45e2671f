"""How a session runs: one Python thread at a time brings the graph to its next question and asks it; answers come from any thread."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.records import Decision, Head, Question, utc_now
from hitl_nb.checkpoint.standing import asked_in_order, standing_decisions
from hitl_nb.checkpoint.voting import Vote
from hitl_nb.decisions.check import check_answer
from hitl_nb.decisions.request import Request
from hitl_nb.errors import (
    AlreadyAnsweredError,
    AnswerError,
    DeadlinePassedError,
    HitlError,
    MissingAnswerError,
    NotWaitingError,
    ThreadBusyError,
    ThreadMovedError,
    UnknownInterruptError,
    UnusedAnswersWarning,
)
from hitl_nb.plain.threads import WORKERS
from hitl_nb.responders.base import FrontEnd, Responder, Ways
from hitl_nb.responders.scripted import NobodyResponder, ScriptedResponder, unused_answers
from hitl_nb.session.inputs import check_input
from hitl_nb.session.questions import Questions
from hitl_nb.session.turn import Turn, patiently
from hitl_nb.session.watch import Watch

if TYPE_CHECKING:
    from hitl_nb.graph.compiled import CompiledGraph
    from hitl_nb.graph.types import GraphResult

_LOOK_EVERY_S: Final = 1.0
"""How often a waiting session looks whether somebody else answered."""
_OVERTAKEN: Final = (AlreadyAnsweredError, UnknownInterruptError, NotWaitingError, ThreadMovedError, DeadlinePassedError)
"""What says that a question no longer stands as it is shown."""


class Runner:
    """The part of a session that nobody calls by name: it runs, asks, records, and shows how it goes."""

    def __init__(
        self,
        graph: CompiledGraph,
        saver: Checkpointer,
        thread_id: str,
        front: FrontEnd,
        reviewer: str,
        *,
        context: Any = None,
        now: Callable[[], datetime] = utc_now,
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
        self._questions = Questions(saver, thread_id, front.view, reviewer, for_a_person=self._answers_later)
        self._is_open = False
        """`review` has returned, or is about to."""
        self._asks = True
        """False after an undo where nobody answers later: the reopened question stays open for `answer`."""
        self._finished = False
        self._error: BaseException | None = None
        self._failed: list[tuple[str, str]] = []
        """The nodes that failed in the latest run, each with its error as text."""
        self._started = False
        """A node ran in the latest run."""
        self._head: Head | None = None
        """Where the thread stood at the last look."""
        self._own_head: Head | None = None
        """Where this session itself brought it since, by an answer or an undo."""
        self._looked_at = 0.0

    # -- answers

    def _record(self, request: Request, answer: Any, reviewer: str | None, how: str) -> Decision | Vote:
        """Check the answer, store it, show the receipt, or what the vote adds up to. What comes next is run elsewhere."""
        [made] = self._record_all([(request, answer)], reviewer, how)
        if isinstance(made, HitlError):
            raise made
        return made

    def _record_all(self, given: Sequence[tuple[Request, Any]], reviewer: str | None, how: str) -> list[Decision | Vote | HitlError]:
        """Check the answers, store all that can be in one transaction, show the receipts.

        For each: its decision; its vote, while the question waits for more reviewers; or why it was not taken.
        """
        made: list[Decision | Vote | HitlError] = []
        for request, answer in given:
            try:
                made.append(self._decision(request, answer, reviewer, how))
            except HitlError as error:
                made.append(error)
        while taken := [n for n, one in enumerate(made) if isinstance(one, Decision)]:
            try:
                recorded = self._saver.record(self.thread_id, [one for one in made if isinstance(one, Decision)])
                break
            except AnswerError as error:
                if not self._set_aside(made, error):
                    raise
        else:
            return made
        self._own_head = recorded.head
        try:
            for n, one in zip(taken, recorded.made, strict=True):
                made[n] = one
                if isinstance(one, Vote):
                    self._questions.voted(given[n][0], one)
                else:
                    self._questions.decided(given[n][0], one)
        finally:  # a view that fails must not keep what is recorded from being run
            self._error = None
            self._turn.want()
        return made

    def _set_aside(self, made: list[Decision | Vote | HitlError], error: AnswerError) -> bool:
        """Put in place of each decision that cannot be recorded why not. False: it is none of them."""
        head = self._saver.head(self.thread_id)
        ledger = None if head is None else self._saver.ledger(self.thread_id, head)
        before = list(made)
        for n, decision in enumerate(before):
            if not isinstance(decision, Decision):
                continue
            try:
                if decision.interrupt_id == error.interrupt_id:
                    raise error
                self._saver.require_open(self.thread_id, decision.interrupt_id, ledger)
                brief = self._saver.open_question(decision.interrupt_id)
                if brief is not None:
                    brief.require_in_time(decision)
            except AnswerError as own:
                made[n] = own
        return made != before

    def _decision(self, request: Request, answer: Any, reviewer: str | None, how: str) -> Decision:
        """The decision that this answer is, not numbered. Raises InvalidAnswerError."""
        question = request.question
        return Decision.on(question, check_answer(question, answer), reviewer=reviewer or self.reviewer, how=how, at=self._now())

    def _answer_all(self, given: Sequence[tuple[Request, Any]]) -> Sequence[Decision | Vote | HitlError]:
        """Several answers of the view at once."""
        try:
            made = self._record_all(given, None, self._responder.how)
            if any(isinstance(one, _OVERTAKEN) for one in made):
                self._moved()
            return made
        finally:
            self._start_worker()

    def _ask(self, request: Request) -> None:
        """Have the responder answer; it may do so at once, later, or never."""

        def submit(answer: Any, *, reviewer: str | None = None, how: str | None = None) -> Decision | Vote:
            try:
                return self._record(request, answer, reviewer, how or self._responder.how)
            except (*_OVERTAKEN, KeyboardInterrupt):  # Ctrl-C may have come when the answer was recorded already
                self._moved()
                raise
            finally:
                self._start_worker()

        self._questions.asked[request.question.id] = request
        try:
            self._responder.ask(request, submit)
        except MissingAnswerError:
            # Whoever holds the session already can answer it from code.
            if not self._is_open:
                raise

    def _latest(self) -> str | None:
        """The question of the latest decision that counts."""
        return next((d.interrupt_id for d in standing_decisions(self._saver, self.thread_id)), None)

    def _reopen(self, interrupt_id: str, sleep: Callable[[float], None]) -> None:
        """Discard the decision a person has seen, if it still is the latest."""

        def reopen() -> None:
            if self._latest() != interrupt_id:
                raise ThreadMovedError(
                    f"somebody else decided or undid a decision of thread {self.thread_id!r} meanwhile; nothing was undone. Look at "
                    f"session.decisions, then undo again",
                    thread_id=self.thread_id,
                )
            self._graph.reopen({"configurable": {"thread_id": self.thread_id, "reviewer": self.reviewer}}, interrupt_id)

        patiently(reopen, sleep)
        self._own_head = self._saver.head(self.thread_id)
        self._error = None
        self._finished = False
        self._questions.undone(interrupt_id)
        self._turn.want()

    def _change(self, interrupt_id: str) -> None:
        """Change my answer, from a card: it must not wait for whoever runs the thread."""
        try:
            if self._turn.is_running:
                raise ThreadBusyError("The graph runs. The answer can be changed when it asks again or has ended.", thread_id=self.thread_id)
            self._reopen(interrupt_id, _at_once)
        except ThreadMovedError:
            self._moved()
            raise
        finally:
            self._start_worker()

    # -- running

    def open(self, given: Mapping[str, Any] | None) -> None:
        """Start or continue the thread, and answer what can be answered here. `review` calls it once."""
        self._own_head = self._saver.head(self.thread_id)
        check_input(self._saver, self.thread_id, given, self._own_head)
        self._view.opened(Ways(self._look, self._change, self._answer_all))
        if isinstance(self._responder, ScriptedResponder) and self._responder.script.counts:
            self._responder.script.meet(asked_in_order(self._saver, self.thread_id))
        for decision in reversed(list(standing_decisions(self._saver, self.thread_id))):
            request = self._questions.request(decision.interrupt_id)
            self._recall(request.question, decision)
            self._questions.decided(request, decision)
        if self._own_head is not None and isinstance(self._responder, ScriptedResponder):
            for asked in self._saver.ledger(self.thread_id, self._own_head).open():
                self._recall(self._questions.request(asked.interrupt_id).question, None)
        self._given = given
        self._turn.want()
        self._advance()
        if self._error is not None and not (self._answers_later and self._saver.decisions(self.thread_id)):
            raise self._error
        self._is_open = True
        self._show_failure()

    def _recall(self, question: Question, decision: Decision | None) -> None:
        """Have a script take note of what was answered in an earlier run: by every vote where several had to answer."""
        if not isinstance(self._responder, ScriptedResponder):
            return
        votes: list[Decision | Vote] = [*self._saver.votes(question.id)] if question.quorum > 1 else []
        for given in votes or ([] if decision is None else [decision]):
            self._responder.recall(question, given, self.reviewer)

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
        self._view.changeable(None)

    def _advance(self, *, as_worker: bool = False) -> bool:
        """Run and ask until there is nothing to run. False: there was nothing, or somebody else does."""
        first: list[Head | None] = []

        def one_round() -> None:
            if not first:
                first.append(self._saver.head(self.thread_id))
            self._round(first[0])

        try:
            return self._turn.go(one_round, as_worker=as_worker)
        except BaseException:
            self._view.running(())  # somebody pressed Interrupt: nothing goes on behind their back, and nothing looks as if it did
            raise

    def _round(self, first: Head | None) -> None:
        """Run to the next pause, ask what is new there. A node's error is kept in `_error`."""
        self._failed = []
        moved = self._saver.head(self.thread_id) not in (self._head, self._own_head)
        try:
            # A node that meets a busy thread has run, and is not run again unasked.
            result = patiently(self._step, self._sleep, again=lambda: not self._started)
        except Exception as error:  # noqa: BLE001  whatever a node raises; it is raised again by result() or shown in the card
            if self._answers_later and self._started:
                self._failed = [(t.name, t.error) for t in self._graph.get_state(self._config).tasks if t.error]
            self._error, self._head = error, self._saver.head(self.thread_id)
            return
        self._given = None
        self._error = None
        self._head = result.head  # not what the store says by now: an answer that came since would never be gone on with
        self._questions.catch_up(result.interrupts, moved=moved)
        for interrupt in result.interrupts:
            if self._asks and interrupt.id not in self._questions.asked and not self._questions.is_answered(interrupt.id):
                self._ask(self._questions.request(interrupt.id))
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
        error, latest = self._error, self._questions.changeable
        if error is not None and self._answers_later:
            self._view.failed(error, self._retry, None if latest is None else lambda: self._change(latest.question.id), self._failed)

    def _retry(self) -> None:
        self._error = None
        self._turn.want()
        self._start_worker()

    def _warn_of_unused(self) -> None:
        """Tell of scripted answers that were not asked for, now that the thread has ended. Raises AnswersFileError where the script says so."""
        told = unused_answers(self._responder.script, self.thread_id) if isinstance(self._responder, ScriptedResponder) else None
        if told is not None:
            warnings.warn(told, UnusedAnswersWarning, stacklevel=2)

    # -- who runs it

    def _go_on_here(self) -> None:
        """Run in the calling thread, unless somebody runs already; raise what the node raises."""
        if self._advance():
            self._show_failure()
            if self._error is not None:
                raise self._error

    def _start_worker(self) -> None:
        """Run in a worker thread, unless somebody runs or waits already. A click returns at once."""
        if self._turn.offers(as_worker=True):
            WORKERS.begin(partial(self._context.copy().run, self._work))

    def _work(self) -> None:
        try:
            if not self._advance(as_worker=True):
                return
        except BaseException as error:  # noqa: BLE001  no cell is there to raise it in: the card shows it and result() raises it
            self._error, self._head = error, self._saver.head(self.thread_id)  # SystemExit too: the thread would end silently
        self._show_failure()

    def _look(self) -> None:
        """Look, for a view, whether the thread moved, and show it."""
        if not self._turn.is_taken and self._moved():
            self._start_worker()

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

    def _error_is_past(self) -> bool:
        """True when what stopped this session no longer does: the thread was busy, or somebody else has brought it past the failed node."""
        if isinstance(self._error, ThreadBusyError) and not self._started:
            return True
        return self._saver.head(self.thread_id) != self._head and not any(t.error for t in self._graph.get_state(self._config).tasks)


def _at_once(_: float) -> None:
    """Does not wait."""
    raise ThreadBusyError("Another process or Python thread runs this thread. Nothing was undone: try again in a moment.")
