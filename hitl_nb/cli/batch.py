"""`hitl-nb batch`: one notebook for many cases, without a person."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from hitl_nb.cli.common import clean, json_option, print_json, program, table, told
from hitl_nb.cli.headless import answers_option, on_missing_option, recorded_reviewer_option, store_of_runs_option, timeout_option
from hitl_nb.cli.notebooks import require
from hitl_nb.decisions.wording import plural

if TYPE_CHECKING:
    from hitl_nb.batch.results import BatchResult

_LISTED_MAX: Final = 40
"""Cases up to which all are listed; of more, those that are not done."""


class StoppedError(click.ClickException):
    """The end of a batch by Ctrl-C."""

    exit_code = 130


class TerminatedError(StoppedError):
    """The end of a batch by SIGTERM."""

    exit_code = 143


@click.command(
    short_help="Run one notebook for many cases.",
    epilog="Exit codes: 0 all are done; 1 some failed; 2 wrong usage; 75 some need a human, and none failed; 130 and 143 it was stopped.",
)
@click.argument("notebook", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--cases", required=True, type=click.Path(path_type=Path, dir_okay=False), help="CSV, JSON, JSON lines or YAML, one case a row.")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="The folder for what is left behind.")
@answers_option("An answers file, for all cases.")
@store_of_runs_option("The folder of the store. [default: reviews in --out]")
@click.option("--id-column", metavar="NAME", help="The column that names the thread of a case. [default: thread_id]")
@on_missing_option("leave_open")
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Notebooks that run at once. [default: the processors]")
@recorded_reviewer_option
@timeout_option
@json_option
@told
def batch(
    notebook: Path,
    cases: Path,
    out: Path,
    answers: Path | None,
    store: Path | None,
    id_column: str | None,
    on_missing: Any,
    workers: int | None,
    reviewer: str | None,
    timeout_s: int | None,
    *,
    as_json: bool,
) -> None:
    """Run NOTEBOOK once for each case of --cases, each on the thread that the case names, and sum up what became of them in --out.

    A column of the cases is a parameter of the notebook. Run the same command again, and it goes on: what is done is skipped, what needs a human
    runs when it was answered, all else goes on where it stands. --out holds report.html, summary.json, the notebooks in cases/, and
    inbox.ipynb while questions are open.
    """
    require("papermill", "nbconvert", "ipykernel", "jinja2", extra="headless")
    from hitl_nb.batch.batch import run_batch

    terminated: list[int] = []

    def stop(number: int, _: Any) -> None:
        terminated.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        result = run_batch(
            notebook,
            cases,
            out=out,
            answers=answers,
            store=store,
            on_missing=on_missing,
            id_column=id_column,
            workers=workers,
            reviewer=reviewer,
            cell_timeout_s=timeout_s,
        )
    except KeyboardInterrupt:
        text = f"Stopped. What is done is in {out}, and nothing is lost: run the same command again to go on"
        raise (TerminatedError if terminated else StoppedError)(text) from None
    finally:
        signal.signal(signal.SIGTERM, before)
    if as_json:
        print_json(result.plain())
    else:
        _print(result)
    sys.exit(result.exit_code)


def _print(result: BatchResult) -> None:
    rows = [row for row in result.rows() if len(result.cases) <= _LISTED_MAX or row["status"] != "done"]
    if rows:
        cells = [(r["thread_id"], r["status"], "" if r["duration_s"] is None else f"{r['duration_s']:.1f} s", r["what"]) for r in rows]
        click.echo(f"{table(('case', 'status', 'time', 'what'), cells, (40, 11, 9, 100))}\n")
    click.echo(result.headline)
    for note in result.notes:
        click.echo(f"note: {clean(note)}", err=True)
    for what, path in (("report (offline)", result.report), ("summary (JSON)", result.summary), ("inbox (notebook)", result.inbox)):
        if path is not None:
            click.echo(f"{what:18} {path}")
    if result.open_questions:
        click.echo(f"\n{plural(result.open_questions, 'question')} open. Answer in the inbox, or in the terminal:\n  {_command(result)}")
        click.echo("Then run the same command again.")


def _command(result: BatchResult) -> str:
    import shlex

    return f"{program()} answer --interactive --store {shlex.quote(result.store)}"
