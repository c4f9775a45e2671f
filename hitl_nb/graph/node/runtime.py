"""What a node may ask for besides the state: the run's context, a writer of stream events, the config. Found by the names and annotations of its
parameters, see `function`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

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


def get_runtime(context_schema: type[ContextT] | None = None) -> Runtime[ContextT]:  # noqa: ARG001  # for type checkers only
    """The Runtime of the node that runs here. `context_schema`: the class of its context. Raises OutsideNodeError where none does."""
    from hitl_nb.graph.asking.interrupt import node_scope

    scope = node_scope()
    if scope is None:
        raise OutsideNodeError("get_runtime() was called where no node runs; call it inside a node, on the node's own thread or task")
    return scope.runtime()


def get_stream_writer() -> StreamWriter:
    """The StreamWriter of the node that runs here. Raises OutsideNodeError where none does."""
    return get_runtime(object).stream_writer
