"""`hitl-nb tape`: the decisions of threads as an answers file that replays."""

from __future__ import annotations

from pathlib import Path

import click

from hitl_nb.cli.common import opened, store_option, told
from hitl_nb.cli.completing import complete_threads


@click.command(
    short_help="Write the decisions of threads as an answers file.", epilog="Exit codes: 0 written; 1 a thread is not there; 2 wrong usage."
)
@click.argument("threads", nargs=-1, required=True, metavar="THREAD...", shell_complete=complete_threads)
@store_option
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write it there instead of printing it.")
@click.option("--times", is_flag=True, help="Say in a comment when each decision was made.")
@told
def tape(threads: tuple[str, ...], store: Path, output: Path | None, *, times: bool) -> None:
    """Write what was decided on the THREADs as an answers file that gives the same answers to the same questions again.

    An answer is bound to what it was given to: a replay whose question reads otherwise fails, unless on_change in the file says ask or accept.
    """
    from hitl_nb.decisions.tape import tape as made
    from hitl_nb.decisions.tape import write_tape

    text = made(opened(store), threads, times=times)
    if output is None:
        click.echo(text, nl=False)
    else:
        click.echo(f"Written: {write_tape(output, text)}", err=True)
