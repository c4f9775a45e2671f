"""What a session shows of its thread: the questions that are open, the decisions that count. Kept in step with the store, where others answer too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.records import Decision
from hitl_nb.checkpoint.standing import standing_decisions
from hitl_nb.checkpoint.voting import Vote
from hitl_nb.decisions.request import Request
from hitl_nb.decisions.requesting import request_for
from hitl_nb.errors import UnknownInterruptError
from hitl_nb.graph.types import Interrupt
from hitl_nb.responders.base import View


class Questions:
    """The questions and decisions of one thread, as they are shown."""

    def __init__(self, saver: Checkpointer, thread_id: str, view: View, reviewer: str, *, for_a_person: bool) -> None:
        self._saver, self._thread_id, self._view, self._reviewer = saver, thread_id, view, reviewer
        self._for_a_person = for_a_person
        """False: nobody changes an answer in the view, so a long run need not remember them all."""
        self.asked: dict[str, Request] = {}
        """What the responder was asked, until it is decided."""
        self._receipts: dict[str, tuple[Request, Decision]] = {}
        """The decisions that are shown and count, the oldest first."""

    def request(self, interrupt_id: str) -> Request:
        """A question as it stands. Raises UnknownInterruptError."""
        question = self._saver.question(interrupt_id)
        if question is None:
            raise UnknownInterruptError(
                f"there is no question {interrupt_id!r} in the store; session.pending lists the open ones", thread_id=self._thread_id
            )
        return request_for(self._saver, question, reviewer=self._reviewer)

    @property
    def changeable(self) -> Request | None:
        """What "Change my answer" is about: the question of the latest decision. Going on after a static pause is no answer to change."""
        latest = self._latest
        return None if latest is None or latest.question.kind == "static" else latest

    @property
    def _latest(self) -> Request | None:
        return max(self._receipts.values(), key=lambda shown: shown[1].number)[0] if self._receipts else None

    def decided(self, request: Request, decision: Decision) -> None:
        """It was answered here: show the receipt, with the votes that led there."""
        self.asked.pop(request.question.id, None)
        request = self._with_votes(request)
        self._keep(request, decision)
        self._view.decided(request, decision)

    def voted(self, request: Request, vote: Vote) -> None:
        """A reviewer answered here, and others have to: show how many."""
        renewed = self.request(request.question.id)
        if request.question.id in self.asked:
            self.asked[request.question.id] = renewed
        self._view.voted(renewed, vote)

    def is_answered(self, interrupt_id: str) -> bool:
        """Whether it was answered here since the graph told that it is open."""
        return interrupt_id in self._receipts and self._saver.open_question(interrupt_id) is None

    def undone(self, interrupt_id: str) -> None:
        """Its decision was discarded here."""
        request, decision = self._receipts.pop(interrupt_id, (None, None))
        if request is not None and decision is not None:
            self._view.undone(request, decision)

    def catch_up(self, still_open: Sequence[Interrupt], *, moved: bool) -> None:
        """Show what became of the questions that are shown. `moved`: somebody else brought the thread to where it is."""
        open_now = {i.id for i in still_open}
        gone = [r for i, r in self.asked.items() if i not in open_now]
        if moved or gone or self._latest_is_void([i for i in still_open if i.id not in self.asked]):
            self._settle(gone)
        for request in [r for r in self.asked.values() if moved and (r.question.deadline is not None or r.question.quorum > 1)]:
            self._renew(request)
        self._view.changeable(self.changeable)

    def _latest_is_void(self, asked: Sequence[Interrupt]) -> bool:
        """True when its node asks something else now than what was just answered: the state was updated in between, and it does not count."""
        latest = self._latest
        if latest is None or not any((i.path, i.node) == (latest.question.path, latest.question.node) for i in asked):
            return False
        decision = self._receipts[latest.question.id][1]
        head = self._saver.head(self._thread_id)
        return head is not None and head.seq == decision.seq and decision.interrupt_id not in self._saver.ledger(self._thread_id, head).answered

    def _settle(self, gone: Sequence[Request]) -> None:
        if not gone and not self._for_a_person:
            return
        standing = {d.interrupt_id: d for d in standing_decisions(self._saver, self._thread_id)}
        for interrupt_id in [i for i in self._receipts if i not in standing]:
            self.undone(interrupt_id)
        for request in gone:
            self.asked.pop(request.question.id, None)
            decision = standing.get(request.question.id)
            if decision is None:
                self._view.outdated(request)
            else:
                decided = self._with_votes(request)
                self._keep(decided, decision)
                self._view.decided_elsewhere(decided, decision)
        for decision in reversed(standing.values()):
            if self._for_a_person and decision.interrupt_id not in self._receipts:  # asked and answered elsewhere since the last look
                self.decided(self.request(decision.interrupt_id), decision)

    def _renew(self, shown: Request) -> None:
        """Who is asked, until when, and what others answered may have changed."""
        renewed = self.request(shown.question.id)
        if self._saver.open_question(shown.question.id) is not None and _standing(renewed) != _standing(shown):
            self.asked[shown.question.id] = renewed
            self._view.changed(renewed)

    def _with_votes(self, request: Request) -> Request:
        """A question that was just decided, as its receipt shows it."""
        return self.request(request.question.id) if request.question.quorum > 1 else request

    def _keep(self, request: Request, decision: Decision) -> None:
        if self._for_a_person:
            self._receipts[request.question.id] = (request, decision)


def _standing(request: Request) -> tuple[Any, ...]:
    """What changes of a question while it is open."""
    question = request.question
    return question.assignee, question.deadline, [vote.number for vote in request.votes], request.barred, request.hurdle
