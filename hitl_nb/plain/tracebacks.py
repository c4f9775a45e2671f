"""What an exception that came from outside (Ctrl-C) leaves behind: the frames in its traceback, and all that they hold."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from functools import wraps
from inspect import CO_COROUTINE, CO_GENERATOR
from types import FunctionType, TracebackType
from typing import Any, Final, TypeVar

_OURS: Final = __name__.partition(".")[0]
_HOLDERS: Final = (_OURS, "contextlib", "diskcache", "filelock")
_NOT_THEIRS: Final = sys.stdlib_module_names | {_OURS, "diskcache", "filelock", "zmq"}
_Call = TypeVar("_Call", bound=Callable[..., Any])
_Class = TypeVar("_Class", bound=type)


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


def letting_go(call: _Call) -> _Call:
    """The function, or generator function, such that a Ctrl-C that cuts it off has let go of what it holds."""

    @wraps(call)
    def called(*args: Any, **named: Any) -> Any:
        try:
            return call(*args, **named)
        except KeyboardInterrupt as pressed:
            let_go(pressed)
            raise

    @wraps(call)
    def iterated(*args: Any, **named: Any) -> Any:
        return _iterated(call(*args, **named))  # wrong arguments are an error at the call, as without this

    made: Any = iterated if call.__code__.co_flags & CO_GENERATOR else called
    return made  # type: ignore[no-any-return]


def _iterated(steps: Any) -> Any:
    try:
        yield from steps
    except KeyboardInterrupt as pressed:
        let_go(pressed)
        raise


def calls_let_go(cls: _Class) -> _Class:
    """The class, `letting_go` around each method of its own that anybody may call.

    Not around those that make a context manager: what is done inside it is its caller's. Nor around async ones: they work in other Python threads.
    """
    for name, method in list(vars(cls).items()):
        is_plain = isinstance(method, FunctionType) and not hasattr(method, "__wrapped__") and not method.__code__.co_flags & CO_COROUTINE
        if is_plain and not name.startswith("_"):
            setattr(cls, name, letting_go(method))
    return cls


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
