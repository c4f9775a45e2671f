"""The options of the commands that run notebooks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hitl_nb.cli.common import REVIEWER_DEFAULT, STORE_VARIABLE
from hitl_nb.decisions.answers import OnMissing

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def answers_option(words: str) -> Decorator:
    return click.option("--answers", type=click.Path(exists=True, dir_okay=False, path_type=Path), help=words)


def store_of_runs_option(words: str) -> Decorator:
    return click.option(
        "--store", type=click.Path(file_okay=False, path_type=Path), envvar=STORE_VARIABLE, show_envvar=True, metavar="DIR", help=words
    )


def on_missing_option(default: OnMissing) -> Decorator:
    """The default stands first."""
    ways = sorted(("fail", "leave_open"), key=lambda way: way != default)
    words = "What becomes of a question that nothing answers."
    return click.option("--on-missing", type=click.Choice(ways), default=default, show_default=True, help=words)


recorded_reviewer_option = click.option("--reviewer", metavar="NAME", help=f"Who is recorded with the answers. {REVIEWER_DEFAULT}")
timeout_option = click.option(
    "--timeout", "timeout_s", type=click.IntRange(min=1), metavar="S", help="Seconds that a cell may take. [default: any number]"
)
