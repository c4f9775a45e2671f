"""`hitl-nb run`: one notebook without a person."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hitl_nb.cli.asked import command_line
from hitl_nb.cli.common import FAILED, LEFT_OPEN, clean, json_option, print_json, program, told
from hitl_nb.cli.demo import decision_table
from hitl_nb.cli.headless import answers_option, on_missing_option, recorded_reviewer_option, store_of_runs_option, timeout_option
from hitl_nb.cli.notebooks import require
from hitl_nb.decisions.wording import plural, printable
from hitl_nb.errors import HitlError

if TYPE_CHECKING:
    from hitl_nb.batch.run import NotebookRun


@click.command(
    short_help="Run one notebook without a person.",
    epilog="Exit codes: 0 done; 1 it failed; 2 wrong usage; 75 it stopped at a question that is open now.",
)
@click.argument("notebook", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("output", required=False)
@answers_option("An answers file.")
@on_missing_option("fail")
@store_of_runs_option("The folder of the store, as the notebook's parameter `store`. [default: what the notebook says]")
@click.option("--thread-id", metavar="ID", help="The thread, as the notebook's parameter `thread_id`.")
@recorded_reviewer_option
@click.option("-p", "--parameter", "given", type=(str, str), multiple=True, metavar="NAME VALUE", help="A further parameter; may be repeated.")
@timeout_option
@click.option("--no-report", is_flag=True, help="Write no report in HTML.")
@json_option
@told
def run(
    notebook: Path,
    output: str | None,
    answers: Path | None,
    on_missing: Any,
    store: Path | None,
    thread_id: str | None,
    reviewer: str | None,
    given: tuple[tuple[str, str], ...],
    timeout_s: int | None,
    *,
    no_report: bool,
    as_json: bool,
) -> None:
    """Run NOTEBOOK without a person, and write it executed to OUTPUT (default: NOTEBOOK.executed.ipynb beside it).

    OUTPUT may name parameters: out-{thread_id}.ipynb. Run again, a thread goes on where it stands. A VALUE that reads as a number, or is True,
    False or None, becomes one, as in papermill.
    """
    require("papermill", "nbconvert", "ipykernel", extra="headless")
    from hitl_nb.batch.run import run_notebook

    parameters = {name: cast(value) for name, value in given}
    try:
        done = run_notebook(
            notebook,
            executed=None if output is None else _filled_in(output, parameters | ({} if thread_id is None else {"thread_id": thread_id})),
            store=store,
            thread_id=thread_id,
            answers=answers,
            on_missing=on_missing,
            reviewer=reviewer,
            parameters=parameters,
            progress=True,
            cell_timeout_s=timeout_s,
            report=not no_report,
        )
    except HitlError:
        raise
    except OSError as error:  # of a full disk, or a folder that cannot be written
        raise click.ClickException(f"{error}. What was written before is as it was") from None
    if as_json:
        print_json(_plain(done))
    else:
        _print(done, store)
    if done.status != "done":
        sys.exit(LEFT_OPEN if done.status == "needs human" else FAILED)


def cast(value: str) -> Any:
    """A parameter as papermill reads it: `True`, `False`, `None`, a whole number, a number, or the text that it is."""
    if value in ("True", "False", "None"):
        return {"True": True, "False": False, "None": None}[value]
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def _filled_in(output: str, parameters: dict[str, Any]) -> Path:
    try:
        return Path(output.format(**parameters))
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise click.UsageError(
            f"OUTPUT is {output!r}, and {error} is none of the parameters that were given: {', '.join(parameters) or 'none'}"
        ) from None


def _plain(done: NotebookRun) -> dict[str, Any]:
    return {
        "status": done.status,
        "notebook": str(done.notebook),
        "report": None if done.report is None else str(done.report),
        "thread_ids": list(done.thread_ids),
        "decisions": done.decisions,
        "questions": done.questions,
        "stores": dict(done.stores),
        "error": None if done.error is None else {"kind": done.error.kind, "message": done.error.message, "cell": done.error.cell},
    }


def _print(done: NotebookRun, store: Path | None) -> None:
    if done.decisions:
        click.echo(f"{decision_table(done.decisions)}\n")
    for what, path in (("executed notebook", done.notebook), ("report (offline)", done.report)):
        if path is not None:
            click.echo(f"{what:18} {path}")
    if done.status == "needs human":
        click.echo(f"\nNeeds a person, {plural(len(done.questions), 'question')} open:")
        for q in done.questions:
            about = [q["thread_id"], q["node"], *([q["assignee"]] if q["assignee"] else []), *([f"until {q['deadline']}"] if q["deadline"] else [])]
            click.echo(f"  {clean(q['question'], 100)}  ({clean(', '.join(about), 100)})\n    {_command(q, done.stores.get(q['thread_id']), store)}")
        click.echo("Answer, then run the notebook again: it goes on from there.")
    elif done.error is not None:
        click.echo(printable(f"\n{done.status}: {done.notebook.name}, {done.error}"), err=True)


def _command(question: dict[str, Any], lies_in: str | None, store: Path | None) -> str:
    """The command that answers it from here. A notebook may keep its reviews where no command looks by itself."""
    words = ["answer", question["id"][:8]]
    if lies_in is None or Path(lies_in) == (store or Path("reviews")).resolve():
        return command_line(*words)
    near = Path(lies_in).relative_to(Path.cwd()) if Path(lies_in).is_relative_to(Path.cwd()) else lies_in
    return " ".join([program(), *words, "--store", shlex.quote(str(near))])
