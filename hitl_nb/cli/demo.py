"""`hitl-nb demo`: a real table cleaned without a person, from a file of answers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from hitl_nb.cli.common import FAILED, LEFT_OPEN, json_option, print_json, program, table
from hitl_nb.cli.notebooks import DEMO, copy_notebooks, require


@click.command(
    short_help="Clean a table of 3,201 films headless.",
    epilog="Exit codes: 0 done; 1 the notebook failed; 2 a package is missing; 75 a question was left open.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("hitl-nb-demo"),
    show_default=True,
    help="Folder for everything the demo writes. A second run there finds every question answered.",
)
@json_option
def demo(out: Path, *, as_json: bool) -> None:
    """Clean a table of 3,201 films headless: 13 questions, answered from a file.

    Ends with the decisions and the paths of what was written. Needs neither the network nor a person.
    """
    require("papermill", "nbconvert", "ipykernel", "pandas", extra="demo")
    from hitl_nb.batch.run import run_notebook

    folder = copy_notebooks(out)
    executed = folder / f"{DEMO}.executed.ipynb"
    click.echo(f"Running {DEMO}.ipynb in {folder}, with the answers of answers/{DEMO}.yaml", err=as_json)
    run = run_notebook(
        folder / f"{DEMO}.ipynb",
        executed=executed,
        store=folder / "reviews",
        thread_id="films",
        answers=folder / "answers" / f"{DEMO}.yaml",
        parameters={"out": str((folder / "cleaned").resolve())},
        progress=True,
    )
    if run.error is not None:
        code = LEFT_OPEN if run.error.kind == "MissingAnswerError" else FAILED
        text = f"{run.notebook.name}, {run.error}\n\nThe executed notebook shows where: {run.notebook}"
        click.echo(f"\n{text}", err=True)
        if as_json:
            print_json({"error": {"type": run.error.kind, "message": text, "exit_code": code}})
        sys.exit(code)
    left = {
        "executed notebook": run.notebook,
        "report (offline)": run.report,
        "cleaned table": folder / "cleaned" / "films.csv",
        "findings": folder / "cleaned" / "findings.csv",
        "decision log": folder / "cleaned" / "decisions.json",
    }
    if as_json:
        print_json({"decisions": run.decisions, "files": {what: str(path) for what, path in left.items()}})
        return
    click.echo(f"\n{decision_table(run.decisions)}\n")
    for what, path in left.items():
        click.echo(f"{what:18} {path}")
    click.echo(f"\nOpen it in JupyterLab:\n  {program()} lab {executed}")


def decision_table(decisions: list[dict[str, Any]]) -> str:
    """The decisions as aligned text: node, question, answer, who."""
    rows = [("node", "question", "answer", "who"), *((d["node"], d["question"], _brief(d["answer"]), d["reviewer"]) for d in decisions)]
    return table(rows[0], rows[1:], (20, 64, 52, 20))


def _brief(answer: Any) -> str:
    if isinstance(answer, dict):
        shown = {k: v for k, v in answer.items() if k != "comments"}
        action = shown.pop("action", None)
        rest = "; ".join(f"{v}" for v in shown.values() if v)
        return ": ".join(filter(None, (str(action) if action is not None else "", rest)))
    return str(answer)
