"""What a shell completes: names of threads and questions, read straight from the store's database. Never an error, never a word too many."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final, Literal

import click
from click.shell_completion import CompletionItem

MOST: Final = 200
"""Names that are proposed."""
_SAFE: Final = re.compile(r"[\w./@%+,][\w./@%+,-]*")
"""What a shell takes as it is. A thread may be called `$(rm -rf ~)`, and what is completed is run by the next Enter; a colon parts words in Bash."""


def complete_threads(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:  # noqa: ARG001  click's
    """Ids of threads that begin so."""
    return _items(ctx, "thread", incomplete)


def complete_questions(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:  # noqa: ARG001  click's
    """Ids of open questions that begin so."""
    return _items(ctx, "question", incomplete)


def _items(ctx: click.Context, kind: Literal["thread", "question"], incomplete: str) -> list[CompletionItem[str]]:
    from hitl_nb.checkpoint.peek import names

    given = ctx.params.get("store") or os.environ.get("HITL_NB_STORE") or "reviews"
    try:
        found = names(Path(given).expanduser(), kind, incomplete, MOST)
    except Exception:  # noqa: BLE001  whatever is wrong with the store, a shell that completes is no place to tell it
        return []
    return [CompletionItem(name) for name in found if _SAFE.fullmatch(name)]
