"""Who is asked and until when, in the words of a card: what happens at the deadline, and that it has passed."""

from __future__ import annotations

from datetime import datetime

from hitl_nb.checkpoint.records import UNSET
from hitl_nb.decisions.request import Request
from hitl_nb.widgets import times, voting
from hitl_nb.widgets.outcome import outcome


def state(request: Request, now: datetime) -> tuple[str, str]:
    """The state of an open card and its word."""
    if is_late(request, now):
        return "late", "Deadline passed"
    assignee = request.question.assignee
    if request.barred:
        return "open", f"Waiting for {assignee if assignee not in (None, request.form.reviewer) else 'somebody else'}"
    if request.own_vote is not None:
        return "open", voting.agreed(request)
    return "open", f"Waiting for {'you' if assignee in (None, request.form.reviewer) else assignee}"


def is_late(request: Request, now: datetime) -> bool:
    """Whether no answer is taken any more. At the deadline itself it still is."""
    deadline = request.question.deadline
    return deadline is not None and now > deadline


def deadline(request: Request, now: datetime) -> str:
    """What happens, or happened, at the deadline; nothing where there is none."""
    q = request.question
    if q.deadline is None:
        return ""
    at = times.absolute(q.deadline)
    then = ""
    if q.escalate_to is not None:
        then = f"{q.escalate_to} is asked"
    elif q.default is not UNSET:
        then = f"the default is recorded: {outcome(request.form, q.default).label}"
    if is_late(request, now):
        return f"The deadline passed on {at}, so no answer is taken here. {f'Next, {then}' if then else 'It stays open and is listed as overdue'}."
    return f"Can be answered until {at}. After that {then or 'it stays open, is listed as overdue, and takes no answer'}."
