"""A function that a graph is built of: a node, an error handler or a path function. What it asks for is found once, when the graph is built."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

_BY_NAME: Final = {"config": "config", "runtime": "runtime", "writer": "writer"}
_BY_ANNOTATION: Final = {"RunnableConfig": "config", "Config": "config", "StreamWriter": "writer", "Runtime": "runtime", "NodeError": "error"}


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the state."""

    fn: Any
    """Or an object that has `invoke`, and maybe `ainvoke`."""
    inject: tuple[tuple[str, str], ...] = ()
    """Parameters besides the state: (name, what fills it)."""
    is_async: bool = False

    @classmethod
    def of(cls, fn: Any, *, handler: bool = False) -> Function:
        return cls(fn, _injections(fn, handler=handler), is_async(fn))


def is_async(fn: object) -> bool:
    """True for a coroutine function, and for an object whose `__call__` is one."""
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(fn, "__call__", None))  # noqa: B004  # the method itself is wanted


def _injections(fn: Callable[..., Any], *, handler: bool = False) -> tuple[tuple[str, str], ...]:
    """The parameters after the first that a node's function wants filled: `(parameter, "config" | "runtime" | "writer" | "error")`.

    The error is what an error handler's second parameter stands for, whatever its name is.
    """
    try:
        parameters = list(inspect.signature(fn).parameters.values())[1:]
    except (TypeError, ValueError):  # a builtin
        return ()
    found = []
    for parameter in parameters:
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            continue
        what = _BY_ANNOTATION.get(_annotated(parameter.annotation)) or _BY_NAME.get(parameter.name)
        if what is None and handler and parameter is parameters[0]:
            what = "error"
        if what is not None:
            found.append((parameter.name, what))
    return tuple(found)


def _annotated(annotation: Any) -> str:
    """The plain name of an annotation's class. Read by name, so that one written as text needs not be evaluated."""
    if not isinstance(annotation, str):
        annotation = typing.get_origin(annotation) or annotation
        annotation = getattr(annotation, "__name__", str(annotation))
    return str(annotation).partition("[")[0].strip(" '\"").rpartition(".")[2]
