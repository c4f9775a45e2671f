"""A question as it is put before a reviewer: with what others answered already, and whether this reviewer may."""

from __future__ import annotations

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.records import Question
from hitl_nb.decisions.forms import form_for
from hitl_nb.decisions.request import Request
from hitl_nb.decisions.wording import capital
from hitl_nb.errors import ReviewersFileError


def request_for(saver: Checkpointer, question: Question, *, reviewer: str) -> Request:
    """The request, as things stand in the store. A reviewers file that cannot be read bars everybody, and says so."""
    form = form_for(question, reviewer=reviewer)
    try:
        rules = saver.rules()
        votes = tuple(saver.standing_votes(question.id)) if question.quorum > 1 else ()
        why = rules.why_not(question, reviewer)
        barred = f"{capital(why)}{'' if reviewer in why else f'; you are {reviewer}'}." if why else ""
        own = next((v for v in votes if rules.voter(v.reviewer) == rules.voter(reviewer)), None)
        return Request(question, form, votes=votes, own_vote=own, barred=barred, hurdle=rules.hurdle(question, [v.reviewer for v in votes]))
    except ReviewersFileError as error:
        return Request(question, form, barred=str(error))
