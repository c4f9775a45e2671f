"""`hitl-nb expire`: deadlines that passed, dealt with by a clock such as cron."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from hitl_nb.cli.asked import moment, short_names
from hitl_nb.cli.common import json_option, opened, print_json, store_option, table, told
from hitl_nb.cli.completing import complete_threads

if TYPE_CHECKING:
    from hitl_nb.graph.asking.expiry import Expiry

_OUTCOMES: Final = {
    "escalated": "handed on to {}",
    "default": "its default is its answer",
    "overdue": "stays open: no default, and nobody is next",
}


@click.command(
    short_help="Deal with deadlines that have passed.",
    epilog="Exit codes: 0 done, also when no deadline had passed; 1 the store or a question cannot be read or written; 2 wrong usage.",
)
@click.argument("thread", required=False, shell_complete=complete_threads)
@store_option
@json_option
@told
def expire(thread: str | None, store: Path, *, as_json: bool) -> None:
    """Hand overdue questions on to the next person, or record their defaults; over all threads, or those of THREAD. Nothing runs here.

    The same as graph.expire(), without the graph, for a crontab: */10 * * * * hitl-nb expire --store DIR. A question that has no default and nobody
    to go to stays open, and is told each time.
    """
    from hitl_nb.checkpoint.records import utc_now
    from hitl_nb.decisions.wording import plural
    from hitl_nb.graph.asking.expiry import expire as expired

    done = expired(opened(store), thread, utc_now())
    if as_json:
        print_json([_plain(one) for one in done])
        return
    if not done:
        click.echo("No deadline has passed.")
        return
    names = short_names([one.interrupt_id for one in done])
    rows = [
        (names[one.interrupt_id], one.thread_id, one.node, one.assignee or "", moment(one.deadline), _OUTCOMES[one.outcome].format(one.escalated_to))
        for one in done
    ]
    click.echo(table(("id", "thread", "node", "assignee", "deadline", "what became of it"), rows, (32, 24, 20, 20, 16, 60)))
    click.echo(f"\n{plural(len(done), 'deadline')} had passed. Times are UTC.")


def _plain(one: Expiry) -> dict[str, object]:
    told = asdict(one)
    return {"id": told.pop("interrupt_id")} | told | {"deadline": one.deadline.isoformat()}
