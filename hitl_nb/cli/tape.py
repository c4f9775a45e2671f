"""`hitl-nb tape`: the decisions of threads as an answers file that replays."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hitl_nb.cli.common import json_option, opened, print_json, store_option, told
from hitl_nb.cli.completing import complete_threads


@click.command(
    short_help="Write the decisions of threads as an answers file.", epilog="Exit codes: 0 written; 1 a thread is not there; 2 wrong usage."
)
@click.argument("threads", nargs=-1, required=True, metavar="THREAD...", shell_complete=complete_threads)
@store_option
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write it there instead of printing it.")
@click.option("--times", is_flag=True, help="Say in a comment when each decision was made.")
@json_option
@told
def tape(threads: tuple[str, ...], store: Path, output: Path | None, *, times: bool, as_json: bool) -> None:
    """Write what was decided on the THREADs as an answers file that gives the same answers to the same questions again.

    With --json the file is printed as JSON, which is an answers file, too; its comments are not in it.

    An answer is bound to what it was given to: a replay whose question reads otherwise fails, unless on_change in the file says ask or accept.
    """
    from hitl_nb.decisions.tape import tape as made
    from hitl_nb.decisions.tape import write_tape

    text = made(opened(store), threads, times=times)
    if output is not None:
        path = write_tape(output, text)
        click.echo(f"Written: {path}", err=True)
        if as_json:
            print_json({"written": str(path)})
    elif as_json:
        import yaml

        print_json(yaml.safe_load(text))
    else:
        click.echo(text if sys.stdout.isatty() else text.encode(), nl=False)  # an answers file is UTF-8, whatever this terminal is
