"""`hitl-nb audit`: the decision log of a store, and whether it is whole."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from hitl_nb.checkpoint.audit import ANSWERS
from hitl_nb.cli.common import FAILED, clean, harmless_json, json_option, opened, print_json, store_option, table, told
from hitl_nb.cli.completing import complete_threads
from hitl_nb.decisions.wording import printable

if TYPE_CHECKING:
    from hitl_nb.checkpoint.base import Checkpointer
    from hitl_nb.decisions.record import Row

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the begin of a formula."""


@click.command(
    short_help="Print the decision log, or verify it.",
    epilog="Exit codes: 0 printed, or the log is whole; 1 it is not whole, or cannot be read; 2 wrong usage.",
)
@click.argument("threads", nargs=-1, metavar="[THREAD]...", shell_complete=complete_threads)
@store_option
@click.option("--verify", is_flag=True, help="Look whether an entry was changed, removed or reordered, and whether every record is as it was logged.")
@click.option("--head", metavar="HASH", help="With --verify: the log has to be a continuation of the one that had this hash.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@json_option
@told
def audit(threads: tuple[str, ...], store: Path, head: str | None, *, verify: bool, as_csv: bool, as_json: bool) -> None:
    """Print who decided what, when and how, over all threads or the THREADs named, also deleted ones.

    --verify prints the hash of the newest entry. Keep it somewhere else: with --head HASH a later look proves that nothing before it was changed. The
    folder alone proves nothing against somebody who can write to it.
    """
    from hitl_nb.decisions.record import rows

    if as_csv and as_json:
        raise click.UsageError("--csv and --json: choose one")
    if (verify or head is not None) and (threads or as_csv):
        raise click.UsageError("--verify looks at the whole log, and prints text or --json")
    saver = opened(store)
    if verify or head is not None:
        _verify(saver, head, as_json=as_json)
        return
    found = [row for row in rows(saver) if not threads or row.entry.thread_id in threads]
    if as_json:
        print_json([_plain(row) for row in found])
    elif as_csv:
        click.echo(_csv(found), nl=False)
    else:
        click.echo(_table(found))


def _verify(saver: Checkpointer, head: str | None, *, as_json: bool) -> None:
    from hitl_nb.checkpoint.verifying import verify
    from hitl_nb.decisions.wording import plural

    found = verify(saver, head)
    if as_json:
        print_json(asdict(found) | {"ok": found.ok})
    else:
        for problem in found.problems:
            click.echo(f"PROBLEM  {clean(problem)}")
        for note in found.notes:
            click.echo(f"note     {clean(note)}")
        state = "whole" if found.ok else f"NOT WHOLE ({plural(len(found.problems), 'problem')})"
        click.echo(f"The log of {plural(found.count, 'entry', 'entries')} is {state}.{f' Head: {found.head}' if found.head else ''}")
    if not found.ok:
        sys.exit(FAILED)


def _plain(row: Row) -> dict[str, Any]:
    from hitl_nb.checkpoint.serde import Serde
    from hitl_nb.decisions.answers.values import to_plain

    plain = row.plain()
    return plain | {"answer": to_plain(plain["answer"], Serde())}


def _csv(found: Iterable[Row]) -> str:
    out = io.StringIO()
    plain = [_plain(row) for row in found]
    names = list(plain[0]) if plain else ["number"]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for row in plain:
        answered = row["kind"] in ANSWERS
        row["answer"] = harmless_json(json.dumps(row["answer"], ensure_ascii=False)) if answered else ""
        writer.writerow([_cell(row[name]) for name in names])
    return out.getvalue()


def _cell(value: Any) -> Any:
    """No text that a spreadsheet would run, and none that a terminal would obey."""
    value = printable(value) if isinstance(value, str) else value
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) and not _is_number(value) else value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _table(found: list[Row]) -> str:
    from hitl_nb.decisions.answering import brief

    if not found:
        return "The log holds no entry."
    rows = []
    for row in found:
        e = row.entry
        at = row.decided_at or e.recorded_at
        what = f"{'vote: ' if e.kind == 'vote' else ''}{brief(row.answer)}" if e.kind in ANSWERS else e.kind
        who, how = (e.by, e.detail) if e.kind != "escalated" else ("", f"to {e.by} {e.detail}")
        when = "" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"
        rows.append((str(e.number), when, e.thread_id, e.node, row.question, what, who, how, e.hash.hex()[:12]))
    names = ("#", "when (UTC)", "thread", "node", "question", "decided", "by", "how or why", "hash")
    return table(names, rows, (6, 19, 20, 16, 40, 40, 16, 24, 12))
