"""`hitl-nb lab`: JupyterLab on the notebooks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

from hitl_nb.cli.notebooks import own_notebooks, require


@click.command(
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
    require("jupyterlab", extra="lab")
    for argument in arguments:
        if argument.endswith(".ipynb") and not argument.startswith("-") and not Path(argument).exists():
            raise click.UsageError(
                f"{argument} is not there, seen from {Path.cwd()}. Without a path, the notebooks that came with hitl-nb are opened."
            )
    if not any(Path(argument).exists() for argument in arguments):
        arguments = (str(own_notebooks()), *arguments)
    click.echo("Starting JupyterLab; Ctrl+C twice ends it")
    sys.exit(subprocess.call([sys.executable, "-m", "jupyterlab", *arguments]))  # noqa: S603 - the user's own command line
