"""Until when and by whom a question can be answered: checked while the node asks, so that it never fails when nobody is there."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from hitl_nb.checkpoint.records import LATEST, UNSET, Question, from_epoch, to_epoch
from hitl_nb.checkpoint.reviewers import folded
from hitl_nb.decisions.check import check_answer
from hitl_nb.decisions.reviewer import checked_name
from hitl_nb.errors import GraphError, InvalidAnswerError, shown, utc


def with_terms(question: Question, *, deadline: Any, default: Any, assignee: Any, escalate_to: Any, four_eyes: Any, quorum: Any) -> Question:
    """The question with its terms. `deadline` counts from its `created_at`; `default` becomes the answer that would be recorded.

    Raises TypeError for a term of the wrong type or one that says nothing without a deadline, ValueError for a quorum that nobody can be, GraphError
    for a deadline that has passed or is too far away, and for a default that could never be an answer.
    """
    for name, given in (("assignee", assignee), ("escalate_to", escalate_to)):
        if given is not None and (not isinstance(given, str) or not given.strip()):
            raise TypeError(f"{name} is {shown(given)} ({type(given).__name__}); expected a name")
        if given is not None:
            checked_name(name, given)
    if deadline is None and (default is not UNSET or escalate_to is not None):
        name = "escalate_to" if default is UNSET else "default"
        raise TypeError(f"interrupt() got {name}= without deadline=; it says what happens when the deadline passes, so give both, or neither")
    due = None if deadline is None else _due(question, deadline)
    asked_for_it = _names("four_eyes", four_eyes)
    if type(quorum) is not int:
        raise TypeError(f"quorum is {shown(quorum)} ({type(quorum).__name__}); expected how many reviewers have to give the same answer, 1 or more")
    if quorum < 1:
        raise ValueError(f"quorum is {quorum}; expected how many reviewers have to give the same answer, 1 or more")
    question = replace(question, deadline=due, assignee=assignee, escalate_to=escalate_to, four_eyes=asked_for_it, quorum=quorum)
    return question if default is UNSET else replace(question, default=_checked_default(question, default))


def asks_others(question: Question, *, assignee: Any, escalate_to: Any, four_eyes: Any, quorum: Any, **_: Any) -> bool:
    """True when these terms say otherwise than the question's own who may answer, or how many have to. `question`: as it stands.

    Raises TypeError as `with_terms` does.
    """
    names = {folded(name) for name in _names("four_eyes", four_eyes)}
    handed_on = question.escalate_to is None and escalate_to is not None and question.assignee == escalate_to
    people_differ = not handed_on and (assignee, escalate_to) != (question.assignee, question.escalate_to)
    return people_differ or quorum != question.quorum or names != set(map(folded, question.four_eyes))


def _names(term: str, given: Any) -> tuple[str, ...]:
    """One name or several."""
    listed = () if given is None else (given,) if isinstance(given, str) else given
    if not isinstance(listed, list | tuple | set | frozenset):
        raise TypeError(
            f"{term} is {shown(given)} ({type(given).__name__}); expected the name of whoever asked for the approval, who may then not give it: "
            f"{term}=state['requested_by']"
        )
    for name in listed:
        if not folded(checked_name(term, name)):
            raise TypeError(f"{term} is {shown(given)}, and a name of it is empty; expected the name of whoever asked for the approval")
    return tuple(sorted(listed) if isinstance(listed, set | frozenset) else listed)


_TICK: Final = timedelta(microseconds=1)


def _due(question: Question, deadline: Any) -> datetime:
    """The deadline in UTC, as precise as it is stored."""
    now = question.created_at
    try:
        if isinstance(deadline, timedelta):
            due = now + deadline
        elif isinstance(deadline, datetime) and deadline.tzinfo is not None and deadline.utcoffset() is not None:
            due = deadline.astimezone(UTC)
        else:
            raise TypeError(f"deadline is {shown(deadline)}; expected a timedelta, or a datetime with a time zone such as datetime.now(UTC) + …")
    except (OverflowError, ValueError):  # before the first instant there is, or behind the last
        due = now if (isinstance(deadline, timedelta) and deadline < timedelta(0)) or getattr(deadline, "year", 9999) == 1 else LATEST + _TICK
    if due > LATEST:
        text = f"deadline={shown(deadline)} of node {question.node!r} lies behind {LATEST:%Y-%m-%d}; leave it out for none"
        raise GraphError(text, node=question.node, thread_id=question.thread_id)
    if due <= now:
        raise GraphError(
            f"deadline={shown(deadline)} of node {question.node!r} has passed already: it is {utc(now)}, and nobody could "
            f"answer. Give a later one, or a timedelta, which counts from the asking",
            node=question.node,
            thread_id=question.thread_id,
        )
    return from_epoch(to_epoch(due))


def _checked_default(question: Question, default: Any) -> Any:
    try:
        return check_answer(question, default)
    except InvalidAnswerError as error:
        raise GraphError(
            f"default={shown(default)} of node {question.node!r} could never be an answer to its question: {error.reason or error}",
            node=question.node,
            thread_id=question.thread_id,
        ) from error
