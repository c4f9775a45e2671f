"""Deadlines that passed: hand the question on, record its default, or list it as overdue. Nothing runs here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.questions import OpenQuestion
from hitl_nb.checkpoint.records import instant
from hitl_nb.errors import HitlError, UnknownThreadError


@dataclass(frozen=True, slots=True)
class Expiry:
    """What became of one question whose deadline had passed."""

    interrupt_id: str
    thread_id: str
    node: str
    outcome: Literal["escalated", "default", "overdue"]
    """escalated: it is open, and somebody else is asked. default: its default is its answer. overdue: it is open, and waits."""
    deadline: datetime
    """The one that had passed."""
    assignee: str | None
    """Who was asked until then."""
    escalated_to: str | None = None
    """Who is asked now."""


def expire(store: Checkpointer, thread_id: str | None, now: datetime) -> list[Expiry]:
    """See `CompiledGraph.expire`. A question that cannot be read does not keep the others waiting: its error is raised when they are done."""
    now = instant(now, "now")
    if thread_id is not None and store.head(thread_id) is None:
        raise UnknownThreadError(f"the store holds no thread {thread_id!r}, so none of its deadlines passed", thread_id=thread_id)
    done: list[Expiry] = []
    errors: list[HitlError] = []
    for question in store.overdue(now):
        if thread_id in (None, question.thread_id):
            try:
                done += _expire(store, question, now)
            except HitlError as error:
                errors.append(error)
    if errors:
        errors[0].add_note(f"{len(done)} other questions whose deadline had passed were dealt with; {len(errors)} could not be")
        raise errors[0]
    return done


def _expire(store: Checkpointer, q: OpenQuestion, now: datetime) -> list[Expiry]:
    """What was done, or nothing when somebody else was faster."""
    outcome = store.expire(q.interrupt_id, now)
    if outcome is None or q.deadline is None:
        return []
    escalated_to = q.escalate_to if outcome == "escalated" else None
    return [Expiry(q.interrupt_id, q.thread_id, q.node, outcome, q.deadline, q.assignee, escalated_to)]
