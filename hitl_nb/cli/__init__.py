"""The command `hitl-nb`, also as `jupyter hitl`.

Exit codes: 0 done; 1 it failed, or a check found errors; 2 wrong usage, or a package that the command needs is not installed; 75 a question is open.
"""

from __future__ import annotations

from importlib.metadata import version

import click

from hitl_nb.cli.answer import answer
from hitl_nb.cli.audit import audit
from hitl_nb.cli.batch import batch
from hitl_nb.cli.check import check
from hitl_nb.cli.completion import completion
from hitl_nb.cli.demo import demo
from hitl_nb.cli.expire import expire
from hitl_nb.cli.group import Commands
from hitl_nb.cli.history import history
from hitl_nb.cli.lab import lab
from hitl_nb.cli.pending import pending
from hitl_nb.cli.run import run
from hitl_nb.cli.show import show
from hitl_nb.cli.store import store
from hitl_nb.cli.tape import tape


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog="Exit codes: 0 done; 1 it failed, or a check found errors; 2 wrong usage, or a package is missing; 75 a question is open. "
    "The help of each command says what they mean there.",
)
@click.version_option(version("hitl-nb"), prog_name="hitl-nb", message="%(prog)s %(version)s")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Ask a person inside a notebook, keep the question on disk, run headless with scripted answers."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


for command in (pending, show, history, audit, answer, expire, run, batch, demo, lab, check, tape, store, completion):
    main.add_command(command)
