"""What an exception that came from outside (Ctrl-C) leaves behind: the frames in its traceback, and all that they hold."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Final

_OURS: Final = __name__.partition(".")[0]
_HOLDERS: Final = (_OURS, "contextlib", "diskcache", "filelock")
_NOT_THEIRS: Final = sys.stdlib_module_names | {_OURS, "diskcache", "filelock", "zmq"}


def let_go(error: BaseException) -> None:
    """Have what was cut off give back what it holds: locks, transactions, files.

    Ctrl-C may come when a context manager has been entered and `with` does not know it yet. It then stays open for as long as its frame lives, and a
    notebook keeps the latest traceback, with all frames, for `%debug`. So the ended frames of this package are emptied; those of nodes stay.
    """
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        for step in _steps(link.__traceback__):
            if _module(step) in _HOLDERS:
                try:
                    step.tb_frame.clear()
                except RuntimeError:  # it still runs: it gives back by itself
                    continue
        link = link.__context__
    gc.collect()  # what refers to itself, as a half-opened store does


class LettingGo:
    """Around what a Ctrl-C may cut off: one that passes has let go of what it holds."""

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if isinstance(error, KeyboardInterrupt):
            let_go(error)


def theirs(error: BaseException, *, below: str) -> TracebackType | None:
    """The part of the traceback that begins in a function of the user's that was called from `below` (a package of ours); None where none was."""
    inside = False
    for step in _steps(error.__traceback__):
        inside = inside or str(step.tb_frame.f_globals.get("__name__", "")).startswith(f"{below}.")
        if inside and _module(step) not in _NOT_THEIRS:
            return step
    return None


def _steps(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _module(step: TracebackType) -> str:
    return str(step.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
