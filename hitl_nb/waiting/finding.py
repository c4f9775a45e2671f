"""A question by its id, or by as much of it as a person types."""

from __future__ import annotations

from typing import Final

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.records import Question
from hitl_nb.errors import AmbiguousAnswerError, UnknownInterruptError, shown

SHORT: Final = 8
"""Characters of an id that a listing shows."""
_LEAST: Final = 4


def short_id(interrupt_id: str) -> str:
    """As much of an id as a listing shows."""
    return interrupt_id[:SHORT]


def find(saver: Checkpointer, ref: str) -> Question:
    """The question of this id, open or decided; or the only open one whose id begins so (at least 4 characters).

    Raises UnknownInterruptError, AmbiguousAnswerError with the ids that begin so.
    """
    question = saver.question(ref) if ref else None
    if question is not None:
        return question
    beginning = ref.strip().lower()
    if len(beginning) < _LEAST:
        raise UnknownInterruptError(f"{shown(ref)} is no id of a question; expected at least {_LEAST} characters of one that `hitl-nb pending` lists")
    found = [q.interrupt_id for q in saver.open_questions() if q.interrupt_id.startswith(beginning)]
    if len(found) > 1:
        raise AmbiguousAnswerError(f"{len(found)} open questions begin with {shown(ref)}: {', '.join(found[:5])}; type more of the id")
    question = saver.question(found[0]) if found else None
    if question is None:
        raise UnknownInterruptError(
            f"no open question has an id that begins with {shown(ref)}; `hitl-nb pending` lists them. A decided one needs its whole id"
        )
    return question
