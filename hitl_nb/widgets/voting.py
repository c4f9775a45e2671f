"""Who may answer, and what reviewers answered already where several have to: in the words of a card and of a receipt."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from hitl_nb.checkpoint.voting import Vote
from hitl_nb.decisions.request import Request
from hitl_nb.decisions.wording import cut, plural
from hitl_nb.widgets import markup
from hitl_nb.widgets.outcome import outcome

BARRED: Final = "You may not answer this one."
_REMARK_MAX: Final = 120
"""Characters of a reviewer's remark that the others see on the card."""


def notes(request: Request) -> list[str]:
    """What is to be known before anything is typed, as HTML; nothing for most questions."""
    out = [markup.note(words) for words in (request.barred, request.hurdle) if words]
    q = request.question
    if q.quorum > 1:
        said = " · ".join(f"{'You' if v is request.own_vote else v.reviewer}: {_words(request, v, _REMARK_MAX)}" for v in request.votes)
        out.append(markup.note(f"{plural(q.quorum, 'reviewer')} have to give the same answer. {said or 'None has answered yet'}."))
    return out


def votes(request: Request) -> dict[str, str]:
    """What each reviewer answered, and remarked, by name."""
    return {v.reviewer: _words(request, v) for v in request.votes}


def _words(request: Request, vote: Vote, most: int | None = None) -> str:
    said = outcome(request.form, vote.answer)
    remark = " ".join(said.comment.split())
    return f"{said.label}, “{remark if most is None else cut(remark, most)}”" if remark else said.label


def agreed(request: Request) -> str:
    """`1 of 2 answered`, of the answer that most have given; nothing while nobody has."""
    alike: dict[str, int] = {}
    for vote in request.votes:
        alike[vote.choice] = alike.get(vote.choice, 0) + 1
    return f"{max(alike.values())} of {request.question.quorum} answered" if alike else ""


def recorded(request: Request, vote: Vote) -> str:
    """What the reviewer is told whose answer does not complete the quorum."""
    label = outcome(request.form, vote.answer).label
    return f"Recorded: {vote.standing} answered “{label}”. It stays open for the others; another answer of yours replaces this one."


def with_vote(request: Request, vote: Vote) -> Request:
    """The request after its reviewer has answered."""
    if any(v.number >= vote.number for v in request.votes):  # it knows already
        return request
    others = tuple(v for v in request.votes if v != request.own_vote)
    return replace(request, votes=(*others, vote), own_vote=vote)
