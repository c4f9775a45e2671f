"""The command `hitl-nb`.

Exit codes: 0 done; 1 the notebook failed, or a check found errors; 2 wrong usage, or a package that the command needs is not installed; 75 a question
was left unanswered.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import click

from hitl_nb.cli.audit import audit
from hitl_nb.cli.check import check
from hitl_nb.cli.common import FAILED, table
from hitl_nb.cli.tape import tape
from hitl_nb.errors import NotebookFailedError

DEMO: Final = "02_clean_real_data"
LEFT_OPEN: Final = 75
"""EX_TEMPFAIL of sysexits.h: try again later, here when somebody has answered."""
PACKAGE: Final = Path(__file__).parent.parent


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(version("hitl-nb"), prog_name="hitl-nb", message="%(prog)s %(version)s")
def main() -> None:
    """Ask a person inside a notebook, keep the question on disk, run headless with scripted answers."""


@main.command(
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
def demo(out: Path) -> None:
    """Clean a table of 3,201 films headless: 13 questions, answered from a file.

    Ends with the decisions and the paths of what was written. Needs neither the network nor a person.
    """
    _require("papermill", "nbconvert", "ipykernel", "pandas", extra="demo")
    from hitl_nb.batch.run import run_notebook

    folder = _copy_notebooks(out)
    executed = folder / f"{DEMO}.executed.ipynb"
    click.echo(f"Running {DEMO}.ipynb in {folder}, with the answers of answers/{DEMO}.yaml")
    try:
        run = run_notebook(
            folder / f"{DEMO}.ipynb",
            executed=executed,
            store=folder / "reviews",
            thread_id="films",
            answers=folder / "answers" / f"{DEMO}.yaml",
            parameters={"out": str((folder / "cleaned").resolve())},
            progress=True,
        )
    except NotebookFailedError as error:
        click.echo(f"\n{error}\n\nThe executed notebook shows where: {error.notebook}", err=True)
        sys.exit(LEFT_OPEN if error.error == "MissingAnswerError" else FAILED)
    click.echo(f"\n{decision_table(run.decisions)}\n")
    for what, path in (
        ("executed notebook", run.notebook),
        ("report (offline)", run.report),
        ("cleaned table", folder / "cleaned" / "films.csv"),
        ("findings", folder / "cleaned" / "findings.csv"),
        ("decision log", folder / "cleaned" / "decisions.json"),
    ):
        click.echo(f"{what:18} {path}")
    click.echo(f"\nOpen it in JupyterLab:\n  {_command()} lab {executed}")


@main.command(
    short_help="Start JupyterLab on the notebooks.",
    epilog="Exit codes: those of JupyterLab; 2 the notebook is not there, or JupyterLab is not installed.",
    context_settings={"ignore_unknown_options": True},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[PATH] [JUPYTERLAB OPTIONS]...")
def lab(arguments: tuple[str, ...]) -> None:
    """Start JupyterLab on the notebooks, or on PATH (a notebook or a folder).

    In a checkout these are its own notebooks; an installed package copies them to ./hitl-nb-notebooks first, so that they can be edited.
    Options go to JupyterLab, for example: hitl-nb lab --no-browser --port 8890.
    """
    _require("jupyterlab", extra="lab")
    for argument in arguments:
        if argument.endswith(".ipynb") and not argument.startswith("-") and not Path(argument).exists():
            raise click.UsageError(
                f"{argument} is not there, seen from {Path.cwd()}. Without a path, the notebooks that came with hitl-nb are opened."
            )
    if not any(Path(argument).exists() for argument in arguments):
        source = notebooks_folder()
        folder = _copy_notebooks(Path("hitl-nb-notebooks")) if source.parent == PACKAGE else source
        arguments = (str(folder), *arguments)
    click.echo("Starting JupyterLab; Ctrl+C twice ends it")
    sys.exit(subprocess.call([sys.executable, "-m", "jupyterlab", *arguments]))  # noqa: S603 - the user's own command line


def notebooks_folder() -> Path:
    """The notebooks that came with this hitl_nb: inside an installed package, or beside it in a checkout."""
    for folder in (PACKAGE / "notebooks", PACKAGE.parent / "notebooks"):
        if (folder / f"{DEMO}.ipynb").is_file():
            return folder
    raise click.ClickException(f"no notebooks beside {PACKAGE}; install hitl-nb again, or run the command in a checkout")


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


def _copy_notebooks(folder: Path) -> Path:
    """The notebooks with what they read, in a folder of the user's own. A file that is already there is kept: somebody may have edited it."""
    source = notebooks_folder()
    for pattern in ("*.ipynb", "*.py", "answers/*", "data/*"):
        for file in sorted(source.glob(pattern)):
            target = folder / file.relative_to(source)
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
    return folder


def _require(*modules: str, extra: str) -> None:
    missing = [m for m in modules if importlib.util.find_spec(m) is None]
    if missing:
        click.echo(f'{", ".join(missing)}: not installed. Run: python -m pip install "hitl-nb[{extra}]"', err=True)
        sys.exit(2)


def _command() -> str:
    """How the user reached this command, so that the line that is printed works when it is copied."""
    return "python -m uv run hitl-nb" if "UV_RUN_RECURSION_DEPTH" in os.environ else "hitl-nb"


for command in (check, tape, audit):
    main.add_command(command)
