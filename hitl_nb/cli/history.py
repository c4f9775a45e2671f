"""`hitl-nb history`: how a thread came to where it stands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hitl_nb.cli.asked import UNREADABLE, heading_of, moment
from hitl_nb.cli.common import json_option, opened, print_json, store_option, table, told
from hitl_nb.cli.completing import complete_threads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hitl_nb.checkpoint.base import Checkpointer
    from hitl_nb.checkpoint.records import Checkpoint, Head


@click.command(
    short_help="Show the steps and decisions of a thread.",
    epilog="Exit codes: 0 shown; 1 there is no such thread, or it cannot be read; 2 wrong usage.",
)
@click.argument("thread", shell_complete=complete_threads)
@click.option("-n", "--limit", type=click.IntRange(min=1), metavar="N", help="Only the last N steps.")
@store_option
@json_option
@told
def history(thread: str, store: Path, *, limit: int | None, as_json: bool) -> None:
    """Show what THREAD did: its steps, the questions that it asked, who answered them and how, and what it waits for; the oldest first.

    A question that was taken back stands as withdrawn; what counts is what comes after. hitl-nb audit has every decision, also of deleted threads.
    """
    from hitl_nb.decisions.wording import plural
    from hitl_nb.errors import UnknownThreadError

    saver = opened(store)
    head = saver.head(thread)
    if head is None:
        raise UnknownThreadError(
            f"thread {thread!r} is not in the store, or was deleted; hitl-nb audit {thread} shows what was decided on it", thread_id=thread
        )
    steps = [_step(saver, thread, head, checkpoint) for checkpoint in saver.history(thread, limit=limit)][::-1]
    waits = [q for q in saver.open_questions() if q.thread_id == thread]
    status = "waiting" if waits else "ready" if steps[-1]["next"] else "done"
    if as_json:
        print_json({"thread_id": thread, "status": status, "open": [q.interrupt_id for q in waits], "steps": steps})
        return
    click.echo(table(("step", "when (UTC)", "what", "detail"), [row for step in steps for row in _rows(step)], (6, 19, 40, 100)))
    if waits:
        click.echo(f"\nIt waits for {plural(len(waits), 'answer')}.")
    else:
        following = ", ".join(steps[-1]["next"])
        click.echo(f"\nIt can go on: {following}." if following else "\nIt has ended.")


def _step(saver: Checkpointer, thread: str, head: Head, checkpoint: Checkpoint) -> dict[str, Any]:
    """A checkpoint with what happened at it, as JSON has it."""
    return {
        "number": checkpoint.seq,
        "step": checkpoint.step,
        "source": checkpoint.source,
        "at": checkpoint.created_at.isoformat(),
        "nodes": list(checkpoint.wrote),
        "next": list(dict.fromkeys(task.node for task in checkpoint.tasks)),
        "events": list(_events(saver, thread, head, checkpoint)),
    }


def _events(saver: Checkpointer, thread: str, head: Head, checkpoint: Checkpoint) -> Iterator[dict[str, Any]]:
    from hitl_nb.checkpoint.records import Answered, Asked, Escalated, Failed, Withdrawn, from_epoch
    from hitl_nb.cli.plain import exact
    from hitl_nb.errors import UnknownTypeError

    for event in saver.events(thread, head, checkpoint.seq):
        if isinstance(event, Asked) and not event.carried:
            try:
                question = saver.question(event.interrupt_id)
            except UnknownTypeError:  # its heading says so
                question = None
            at = None if question is None else question.created_at.isoformat()
            node = "" if question is None else question.node
            yield {"kind": "asked", "at": at, "id": event.interrupt_id, "node": node, "question": heading_of(saver, event.interrupt_id)}
        elif isinstance(event, Answered):
            try:
                made = saver.decision(event.interrupt_id)
            except UnknownTypeError:
                yield {"kind": "answered", "at": None, "id": event.interrupt_id, "node": "", "answer": UNREADABLE, "by": "somebody", "how": "unknown"}
                continue
            if made is not None:
                answer = exact(made.answer)
                at, kind = made.decided_at.isoformat(), "expired" if event.expired else "answered"
                yield {"kind": kind, "at": at, "id": event.interrupt_id, "node": made.node, "answer": answer, "by": made.reviewer, "how": made.how}
        elif isinstance(event, Escalated):
            yield {"kind": "escalated", "at": from_epoch(event.at).isoformat(), "id": event.interrupt_id, "by": event.assignee}
        elif isinstance(event, Withdrawn):
            yield {"kind": "withdrawn", "at": None, "id": event.interrupt_id, "why": event.reason}
        elif isinstance(event, Failed):
            yield {"kind": "failed", "at": from_epoch(event.at).isoformat(), "error": event.error}


def _rows(step: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    from datetime import datetime

    def when(at: str | None) -> str:
        return "" if at is None else moment(datetime.fromisoformat(at), seconds=True)

    what = {"input": "input", "update": "the state was updated", "fork": "went back"}.get(step["source"], f"ran {', '.join(step['nodes'])}")
    following = f"next: {', '.join(step['next'])}" if step["next"] else "the end"
    yield str(step["number"]), when(step["at"]), what, following
    for event in step["events"]:
        yield "", when(event["at"]), *_told(event)


def _told(event: dict[str, Any]) -> tuple[str, str]:
    from hitl_nb.decisions.answering import brief

    match event["kind"]:
        case "asked":
            return f"{event['node']} asked".strip(), event["question"]
        case "answered":
            return f"{event['by']} answered ({event['how']})", brief(event["answer"])
        case "expired":
            return "the deadline passed", f"its default counts: {brief(event['answer'])}"
        case "escalated":
            return "the deadline passed", f"handed on to {event['by']}"
        case "withdrawn":
            return "a question was withdrawn", event["why"]
    return "a node failed", event["error"]
