"""`hitl-nb show`: one question, with what can be answered and how."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hitl_nb.cli.asked import command_line, find_question, moment, name_of, outlined, plain_question, ways
from hitl_nb.cli.common import json_option, opened, print_json, store_option, told
from hitl_nb.cli.completing import complete_questions

if TYPE_CHECKING:
    from datetime import datetime

    from hitl_nb.checkpoint.base import Checkpointer
    from hitl_nb.checkpoint.questions import OpenQuestion
    from hitl_nb.checkpoint.records import Decision
    from hitl_nb.decisions.request import Request


@click.command(
    short_help="Show a question, and how to answer it.",
    epilog="Exit codes: 0 shown; 1 there is no such question, or it cannot be read; 2 wrong usage.",
)
@click.argument("ref", metavar="ID", shell_complete=complete_questions)
@store_option
@json_option
@told
def show(ref: str, store: Path, *, as_json: bool) -> None:
    """Show the question ID: what is asked, by whom, until when, what can be answered, and the commands that answer it; of a decided one its decision.

    ID is what `hitl-nb pending` lists, or as much of the beginning (at least 4 characters) as only one question has.
    """
    from hitl_nb.checkpoint.records import utc_now
    from hitl_nb.decisions.requesting import request_for
    from hitl_nb.decisions.reviewer import reviewer_name
    from hitl_nb.decisions.wording import printable

    saver, now = opened(store), utc_now()
    request = request_for(saver, find_question(saver, ref), reviewer=reviewer_name())
    brief, decision = saver.open_question(request.question.id), saver.decision(request.question.id)
    if as_json:
        print_json(_plain(request, brief, decision, now))
        return
    name = name_of(saver, request.question.id)
    click.echo(printable("\n".join([*_head(request, brief, name, now), "", *_body(request), *_end(saver, request, brief, decision, name)])))


def _head(request: Request, brief: OpenQuestion | None, name: str, now: datetime) -> Iterator[str]:
    q = request.question
    yield request.form.heading
    yield f"{name}, asked {moment(q.created_at)} UTC by {q.origin} in thread {q.thread_id}"
    if brief is None:
        return
    if brief.assignee:
        handed = f", handed on by the deadline of {brief.escalated_from or 'nobody in particular'}" if brief.escalated_at is not None else ""
        yield f"Assignee: {brief.assignee}{handed}"
    if brief.deadline is not None:
        then = f"then {brief.escalate_to} is asked" if brief.escalate_to else "then its default counts" if brief.has_default else ""
        yield f"Deadline: {moment(brief.deadline, seconds=True)} UTC{f', {then}' if then else ''}"
        if brief.overdue(now):
            way = f"until it was dealt with: {command_line('expire')}" if then else "any more: it has no default, so it has to be asked anew"
            yield f"It is overdue, and takes no answer {way}"


def _body(request: Request) -> Iterator[str]:
    from hitl_nb.responders.console import described

    found = list(described(request))
    yield from found
    if found:
        yield ""


def _end(saver: Checkpointer, request: Request, brief: OpenQuestion | None, decision: Decision | None, name: str) -> Iterator[str]:
    """What can be answered, or what was."""
    from hitl_nb.decisions.answering import brief as in_a_line
    from hitl_nb.responders.console import standing

    if decision is not None:
        yield f"Decided: {in_a_line(decision.answer)}, by {decision.reviewer} ({decision.how}) at {moment(decision.decided_at, seconds=True)} UTC"
        if not _stands(saver, decision):
            yield "It no longer counts: it was taken back, or its thread went back to before it, or was deleted."
    elif brief is None:
        yield "It is no longer asked, and was never answered: its thread went on without it."
    else:
        commands = list(ways(request, name))
        width = max(len(command) for command, _ in commands)
        if several := list(standing(request)):
            yield from (*several, "")
        yield from outlined(request.form)
        yield "Answer it with one of these:" if len(commands) > 1 else "Answer it:"
        yield from (f"  {command:<{width}}  {does}".rstrip() for command, does in commands)


def _stands(saver: Checkpointer, decision: Decision) -> bool:
    from hitl_nb.checkpoint.standing import standing_decisions

    return any(d.interrupt_id == decision.interrupt_id for d in standing_decisions(saver, decision.thread_id))


def _plain(request: Request, brief: OpenQuestion | None, decision: Decision | None, now: datetime) -> dict[str, Any]:
    from hitl_nb.checkpoint.questions import OpenQuestion
    from hitl_nb.cli.plain import plain, plain_decision

    q, form = request.question, request.form
    return plain_question(brief or OpenQuestion.of(q), form.heading, now) | {
        "status": "decided" if decision is not None else "open" if brief is not None else "withdrawn",
        "overdue": brief is not None and brief.overdue(now),
        "place": list(q.place),
        "key": q.key,
        "payload": plain(q.payload),
        "schema": plain(q.schema),
        "options": [
            {"value": plain(o.value), "label": o.label, "takes_text": o.edits, "needs_comment": o.needs_comment}
            for o in (form.options if form.control == "buttons" or len(form.options) > 1 else ())
        ],
        "votes": [plain_decision(vote) for vote in request.votes],
        "decision": None if decision is None else plain_decision(decision),
    }
