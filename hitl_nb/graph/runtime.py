"""What a node may ask for besides the state: the run's context, a writer of stream events, the config. Found by the names and annotations of its
parameters.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from hitl_nb.errors import OutsideNodeError

ContextT = TypeVar("ContextT")


class StreamWriter(Protocol):
    """Hands an event to whoever streams the run with stream_mode "custom"; does nothing when nobody does."""

    def __call__(self, event: Any, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Runtime(Generic[ContextT]):
    """What surrounds one execution of a node."""

    context: ContextT
    """As given to `invoke(…, context=)`; an instance of the graph's `context_schema` when it has one. It is not stored: give it with each call."""
    stream_writer: StreamWriter
    config: Any
    """The config of the run."""
    thread_id: str
    """"" in a run without a checkpointer."""
    node: str
    task_id: str
    """The same each time the node runs again for its next answer."""


_BY_NAME: Final = {"config": "config", "runtime": "runtime", "writer": "writer"}
_BY_ANNOTATION: Final = {"RunnableConfig": "config", "Config": "config", "StreamWriter": "writer", "Runtime": "runtime", "NodeError": "error"}


def injections(fn: Callable[..., Any], *, handler: bool = False) -> tuple[tuple[str, str], ...]:
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


def get_runtime(context_schema: type[ContextT] | None = None) -> Runtime[ContextT]:  # noqa: ARG001  # for type checkers only
    """The Runtime of the node that runs here. `context_schema`: the class of its context. Raises OutsideNodeError where none does."""
    from hitl_nb.graph.interrupt import node_scope

    scope = node_scope()
    if scope is None:
        raise OutsideNodeError("get_runtime() was called where no node runs; call it inside a node, on the node's own thread or task")
    return scope.runtime()


def get_stream_writer() -> StreamWriter:
    """The StreamWriter of the node that runs here. Raises OutsideNodeError where none does."""
    return get_runtime(object).stream_writer
