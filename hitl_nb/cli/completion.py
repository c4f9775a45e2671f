"""`hitl-nb completion`: what a shell needs to complete commands, options, threads and questions."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import get_completion_class

SHELLS: Final = ("bash", "zsh", "fish")


@click.command(
    short_help="Print the completion script of a shell.",
    epilog="Exit codes: 0 printed; 2 wrong usage.",
)
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script that makes SHELL complete commands, options, and the threads and open questions of the store.

    \b
    Bash:  hitl-nb completion bash > ~/.local/share/bash-completion/completions/hitl-nb
    Zsh:   hitl-nb completion zsh > "${fpath[1]}/_hitl-nb"
    Fish:  hitl-nb completion fish > ~/.config/fish/completions/hitl-nb.fish
    """  # noqa: D301  click reads the escape
    from hitl_nb.cli import main
    from hitl_nb.cli.group import COMPLETE_VARIABLE

    made = get_completion_class(shell)
    assert made is not None  # click brings these three
    click.echo(made(main, {}, "hitl-nb", COMPLETE_VARIABLE).source())
