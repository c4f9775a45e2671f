"""The command as a whole: its commands by what they are for, and how an error ends it."""

from __future__ import annotations

import errno
import sys
import warnings
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import click

from hitl_nb.cli.common import print_json
from hitl_nb.decisions.wording import printable
from hitl_nb.errors import HitlWarning

SECTIONS: Final = (
    ("Read", ("pending", "show", "history", "audit")),
    ("Decide", ("answer", "expire")),
    ("Run", ("run", "batch", "demo", "lab")),
    ("Check and replay", ("check", "tape")),
    ("Look after", ("store",)),
    ("Set up", ("completion",)),
)
COMPLETE_VARIABLE: Final = "_HITL_NB_COMPLETE"
_JSON: Final = "hitl_nb.json"


def _warn(others: Callable[..., None]) -> Callable[..., None]:
    """What shows a warning: one of ours as a sentence, without the line of code that gave it."""

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, HitlWarning):
            click.echo(f"warning: {printable(str(message))}", err=True)
        else:
            others(message, category, *where, **more)

    return show


class Commands(click.Group):
    """A group whose help lists its commands by what they are for, and which tells an error as JSON, too, to whoever asked for JSON."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, complete_var: str | None = None, *more: Any, **extra: Any) -> Any:
        # Jupyter starts `jupyter hitl` as the program `jupyter-hitl`. The variable has one name, as the printed completion script uses it.
        for stream in (sys.stdout, sys.stderr):  # a letter that its encoding has not is no end of a command that has done its work
            if getattr(stream, "errors", None) == "strict" and hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        name = prog_name or ("jupyter hitl" if Path(sys.argv[0]).stem == "jupyter-hitl" else None)
        return super().main(args, name, complete_var or COMPLETE_VARIABLE, *more, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_JSON] = "--json" in args
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            close = get_close_matches(args[0], self.list_commands(ctx), n=1)
            if not close:
                raise
            # click itself names the nearest command since 8.4 only
            raise click.UsageError(f"No such command {args[0]!r}. Did you mean {close[0]!r}?", ctx) from None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _warn(warnings.showwarning)
                return self._invoked(ctx)
        except click.ClickException as error:
            if ctx.meta[_JSON]:  # stdout is JSON whatever happens; the text for people goes to stderr as always
                print_json({"error": told_as_json(error)})
            raise

    def _invoked(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except OSError as error:
            if error.errno == errno.EPIPE:  # whoever read has seen enough
                raise
            raise click.ClickException(printable(str(error))) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        known = {name: command for name in self.list_commands(ctx) if (command := self.get_command(ctx, name)) is not None and not command.hidden}
        listed = {name for _, names in SECTIONS for name in names}
        width = max(map(len, known), default=0)
        for title, names in (*SECTIONS, ("Other", tuple(name for name in known if name not in listed))):
            rows = [(name.ljust(width), known[name].get_short_help_str(limit=90)) for name in names if name in known]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def told_as_json(error: click.ClickException) -> dict[str, Any]:
    """What an error is and says, and what it is about."""
    cause = getattr(error, "cause", error)
    about = {name: getattr(cause, name) for name in ("thread_id", "node", "interrupt_id") if getattr(cause, name, None) is not None}
    return {"type": type(cause).__name__, "message": error.format_message(), "exit_code": error.exit_code, **about}
