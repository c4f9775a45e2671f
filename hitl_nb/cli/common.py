"""What the commands that read a store share: which one, how an error ends, how a table is drawn."""

from __future__ import annotations

import functools
import json
import os
import sys
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import click

from hitl_nb.decisions.wording import cut, printable
from hitl_nb.errors import HitlError

P = ParamSpec("P")
T = TypeVar("T")
STORE_VARIABLE: Final = "HITL_NB_STORE"
REVIEWER_DEFAULT: Final = "[default: HITL_NB_REVIEWER, else the JupyterHub user, else the login name]"
FAILED: Final = 1
USAGE: Final = 2
LEFT_OPEN: Final = 75
"""EX_TEMPFAIL of sysexits.h: try again later, here when somebody has answered."""

store_option = click.option(
    "--store",
    type=click.Path(path_type=Path),
    envvar=STORE_VARIABLE,
    default=Path("reviews"),
    show_default=True,
    show_envvar=True,
    metavar="DIR",
    help="The folder of the store, as DiskCacheSaver was given it.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, errors too.")


class FailedError(click.ClickException):
    """The end of a command by a HitlError: its text, and exit code 1."""

    def __init__(self, cause: HitlError) -> None:
        super().__init__(printable(str(cause)))
        self.cause = cause


def told(command: Callable[P, T]) -> Callable[P, T]:
    """The command, whose HitlError ends it with the error's text and exit code 1 instead of a traceback."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except HitlError as error:
            raise FailedError(error) from None

    return run


def opened(store: Path) -> Any:
    """The store in this folder. Ends with usage help where there is none."""
    from hitl_nb.decisions.record import open_store
    from hitl_nb.errors import StoreError

    if not (store / "cache.db").is_file():
        raise click.UsageError(f"there is no store in {store} (seen from {Path.cwd()}); name its folder with --store or {STORE_VARIABLE}")
    try:
        return open_store(store)
    except StoreError as error:
        raise FailedError(error) from None


def program() -> str:
    """How the user reached this command, so that a line that is printed works when it is copied."""
    ctx = click.get_current_context(silent=True)
    name = ctx.find_root().info_name if ctx is not None else None
    if name == "jupyter hitl":
        return name
    return "python -m uv run hitl-nb" if "UV_RUN_RECURSION_DEPTH" in os.environ else "hitl-nb"


def print_json(value: Any) -> None:
    """The one thing that a command prints to stdout under --json."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    click.echo(harmless_json(text))


def harmless_json(text: str) -> str:
    """The same JSON, in which what is unseen, or what a terminal would obey or cannot show, stands as its escape."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return "".join(c if c == "\n" or (c.isprintable() and _has(encoding, c)) else json.dumps(c)[1:-1] for c in text)


@functools.cache
def _has(encoding: str, letter: str) -> bool:
    try:
        letter.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def table(names: Sequence[str], rows: Sequence[Sequence[str]], limits: Sequence[int]) -> str:
    """Aligned text, one line a row; a cell is cut at its limit, and holds nothing that a terminal would obey."""
    cut = [[clean(cell, limit) for cell, limit in zip(row, limits, strict=True)] for row in (names, *rows)]
    widths = [max(_width(row[column]) for row in cut) for column in range(len(limits))]
    lines = ["  ".join(cell + " " * (w - _width(cell)) for cell, w in zip(row, widths, strict=True)).rstrip() for row in cut]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def clean(text: str, limit: int | None = None) -> str:
    """One line of at most `limit` characters, without what a terminal would obey."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return line if limit is None else cut(line, limit)


def _width(text: str) -> int:
    """Columns of a terminal: characters of East Asia take two, those that combine none."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
