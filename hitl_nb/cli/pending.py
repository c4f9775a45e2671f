"""`hitl-nb pending`: the open questions over all threads of a store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hitl_nb.cli.asked import command_line, filter_options, filters_of, heading_of, moment, plain_question, short_names
from hitl_nb.cli.common import clean, json_option, opened, print_json, store_option, table, told

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from hitl_nb.checkpoint.base import Checkpointer
    from hitl_nb.checkpoint.questions import OpenQuestion

_LIMITS = (32, 24, 20, 48, 20, 16, 24)
_STUCK_MAX = 5
"""Questions of which it is said why nobody can answer them."""


@click.command(
    short_help="List the open questions.",
    epilog="Exit codes: 0 listed, also when none is open; 1 the store cannot be read; 2 wrong usage.",
)
@filter_options(search=("--search", "--text"))
@store_option
@json_option
@told
def pending(store: Path, *, sort: Any, as_json: bool, **given: Any) -> None:
    """List the open questions over all threads: who is asked what, since when and until when.

    Threads that wait for nobody cost nothing, however many there are. Show one: hitl-nb show ID. Answer it: hitl-nb answer ID.
    """
    from hitl_nb.checkpoint.progress import bar
    from hitl_nb.checkpoint.records import utc_now
    from hitl_nb.decisions.wording import plural
    from hitl_nb.waiting import waiting

    saver, now = opened(store), utc_now()
    found = waiting(saver, filters_of(given), now=now, sort=sort)
    headings = [heading_of(saver, q.interrupt_id) for q in bar(found, "Questions", total=len(found))]
    if as_json:
        print_json([plain_question(q, heading, now) for q, heading in zip(found, headings, strict=True)])
        return
    if not found:
        there = len(saver.open_questions())
        click.echo(f"No open question fits; without filters there {'is' if there == 1 else 'are'} {there:,}." if there else "No question is open.")
        return
    names = short_names([q.interrupt_id for q in found])
    click.echo(_table(found, headings, names, now))
    overdue = sum(q.overdue(now) for q in found)
    click.echo(f"\n{plural(len(found), 'open question')}{f', {overdue:,} overdue' if overdue else ''}. Times are UTC.")
    for line in _in_the_way(saver, found, names):
        click.echo(clean(line))
    click.echo(f"Show one, with how to answer it: {command_line('show', names[found[0].interrupt_id])}", err=True)


def _table(found: Sequence[OpenQuestion], headings: Sequence[str], names: dict[str, str], now: datetime) -> str:
    rows = [
        (names[q.interrupt_id], q.thread_id, q.node, heading, q.assignee or "", moment(q.created_at), until(q, now))
        for q, heading in zip(found, headings, strict=True)
    ]
    return table(("id", "thread", "node", "question", "assignee", "since", "deadline"), rows, _LIMITS)


def _in_the_way(saver: Checkpointer, found: Sequence[OpenQuestion], names: dict[str, str]) -> Iterator[str]:
    """Which of them nobody, or too few, can answer as the reviewers file is."""
    from hitl_nb.errors import ReviewersFileError

    try:
        rules = saver.rules()
    except ReviewersFileError as error:
        yield str(error)
        return
    stuck = [(names[q.interrupt_id], hurdle) for q in found if (hurdle := rules.hurdle(q))]
    yield from (f"{name}: {hurdle}" for name, hurdle in stuck[:_STUCK_MAX])
    if len(stuck) > _STUCK_MAX:
        yield f"… and {len(stuck) - _STUCK_MAX:,} more that too few may answer"


def until(q: OpenQuestion, now: datetime) -> str:
    """Until when it can be answered; empty: for ever."""
    return f"{moment(q.deadline)}{' overdue' if q.overdue(now) else ''}"
