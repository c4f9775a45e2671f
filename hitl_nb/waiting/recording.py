"""An answer to an open question from outside of its run: checked like any other, stored, and picked up by whoever runs the thread next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.records import Decision, Question
from hitl_nb.checkpoint.voting import Vote
from hitl_nb.decisions.check import check_answer
from hitl_nb.errors import HitlError


def record_answer(saver: Checkpointer, question: Question, answer: Any, *, reviewer: str, how: str, now: datetime) -> Decision | Vote:
    """The decision, durable when this returns; the graph has not run. A Vote: the question stays open until more reviewers give the same answer.

    Raises InvalidAnswerError (the stored schema, or the options of the payload), DeadlinePassedError, AlreadyAnsweredError (who and when),
    UnknownInterruptError, NotEntitledError; nothing was recorded then.
    """
    made = Decision.on(question, check_answer(question, answer), reviewer=reviewer, how=how, at=now)
    [recorded] = saver.record(question.thread_id, [made]).made
    return recorded


def record_answers(
    saver: Checkpointer, given: Sequence[tuple[Question, Any]], *, reviewer: str, how: str, now: datetime
) -> list[Decision | Vote | HitlError]:
    """Several answers, each recorded by itself: for each its decision or vote, or why it was not taken. The others count all the same."""
    made: list[Decision | Vote | HitlError] = []
    for question, answer in given:
        try:
            made.append(record_answer(saver, question, answer, reviewer=reviewer, how=how, now=now))
        except HitlError as error:
            made.append(error)
    return made
