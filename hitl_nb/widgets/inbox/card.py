"""The card of an inbox: its answer is sent at once, and what was filled in outlives going to another question."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.records import Decision
from hitl_nb.checkpoint.voting import Vote
from hitl_nb.decisions.answering import brief
from hitl_nb.decisions.request import Request
from hitl_nb.errors import HitlError
from hitl_nb.waiting.board import Line
from hitl_nb.widgets import overtaken
from hitl_nb.widgets.foot import Foot
from hitl_nb.widgets.outcome import Outcome, outcome
from hitl_nb.widgets.receipt import Receipt
from hitl_nb.widgets.stack_card import Draft, Kept, StackCard


class InboxCard(StackCard):
    """`voted` is called with an answer that was recorded and leaves the question open for others."""

    def __init__(
        self,
        request: Request,
        submit: Callable[[Any], Decision | Vote],
        answered: Callable[[Request, Decision], None],
        voted: Callable[[Request, Vote], None],
        draft: Draft,
        **more: Any,
    ) -> None:
        self._voted = voted
        super().__init__(request, _Alone(submit), answered, draft, **more)

    def _taken(self, made: Decision | Vote | None) -> None:
        super()._taken(made)
        if isinstance(made, Vote):
            self._voted(self.request, made)

    def stay(self, error: HitlError) -> None:
        """The answer was not taken, and the question is open all the same: say why, and go on."""
        self._reopen(partial(self._say_problem, str(error), ""))

    @property
    def has_ended(self) -> bool:
        """It says already that it can no longer be answered."""
        return self._end_foot is not None

    def end_at(self, line: Line, following: Callable[[], None] | None, leave: Callable[[], None]) -> None:
        """Say what became of its question. `following`: go to the next one; None where there is none. `leave`: put the card away."""
        foot = Foot()
        if following is not None:
            foot.add("Next question", following, look="primary", key="n")
        foot.add("Close", leave, look="" if following is not None else "primary")
        self.end(what_became(line, self, self._now()), foot.box)


def what_became(line: Line, card: InboxCard, now: datetime) -> str:
    """What a card says of a question that is not open any more. HTML."""
    if line.state == "gone":
        return overtaken.outdated(card.request, now, None, card.unsent, compared=False)
    made = line.decision
    tried = card.tried or None
    if made is None:
        return overtaken.elsewhere(card.request, now, card.unsent, by="somebody", at=None, tried=tried)
    said = outcome(card.request.form, made.answer)
    # A text or a form has no button that says what was answered.
    answer = brief(made.answer) if said == Outcome("Answered") else said.label
    return overtaken.elsewhere(card.request, now, card.unsent, by=overtaken.who(made), at=made.decided_at, answer=answer, tried=tried)


def missed_words(saver: Checkpointer, request: Request, tried: str, *, tabs: bool) -> str:
    """What the list says of a button that was pressed when its question had an answer; nothing when that was taken back."""
    made = saver.decision(request.question.id)
    return "" if made is None else overtaken.missed(Receipt(request, made), tried, tabs=tabs).plain


def is_same(one: Request, other: Request) -> bool:
    """Whether a question stands as it did: who is asked, until when, who answered already, who may."""

    def standing(request: Request) -> tuple[Any, ...]:
        q = request.question
        return q.assignee, q.deadline, [v.number for v in request.votes], request.barred, request.hurdle

    return standing(one) == standing(other)


class _Alone:
    """The place of a card that has no others beside it."""

    kept: Kept | None = None
    sent_by: str | None = None
    is_stacked = False
    finish = None

    def __init__(self, submit: Callable[[Any], Decision | Vote]) -> None:
        self.submit = submit

    def keep(self, kept: Kept) -> None:
        """Nothing is kept here."""

    def went_on(self) -> None:
        """Nor is anything to go on from."""

    def drop(self) -> None:
        """Nor to take back."""

    def send(self, page: str = "") -> None:
        """Nor to send."""
