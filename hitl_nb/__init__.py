"""Pause a graph of plain Python functions, ask a person in the notebook, go on.

Everything a user needs is a name of this package; each is loaded at its first use, so that `import hitl_nb` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hitl_nb import decisions, errors
    from hitl_nb.batch.batch import run_batch
    from hitl_nb.checkpoint.base import Checkpointer
    from hitl_nb.checkpoint.disk import DiskCacheSaver
    from hitl_nb.checkpoint.memory import InMemorySaver, MemorySaver
    from hitl_nb.checkpoint.pictures import Picture
    from hitl_nb.checkpoint.records import Decision
    from hitl_nb.checkpoint.voting import Vote
    from hitl_nb.decisions.rows.applied import apply_decisions
    from hitl_nb.errors import (
        AlreadyAnsweredError,
        DeadlinePassedError,
        HitlError,
        InvalidAnswerError,
        MissingAnswerError,
        NotEntitledError,
        StillWaitingError,
    )
    from hitl_nb.graph.asking.interrupt import interrupt
    from hitl_nb.graph.builder import StateGraph
    from hitl_nb.graph.compiled import CompiledGraph
    from hitl_nb.graph.node.failure import NodeError
    from hitl_nb.graph.node.once import once
    from hitl_nb.graph.node.retry import RetryPolicy
    from hitl_nb.graph.node.runtime import Runtime, StreamWriter, get_runtime, get_stream_writer
    from hitl_nb.graph.types import END, START, Command, Interrupt, Overwrite, Send, StateSnapshot, StateUpdate
    from hitl_nb.session import ReviewSession, review
    from hitl_nb.widgets.inbox.opening import inbox
    from hitl_nb.widgets.renderers import Drawing, escape, forget_renderer, h, markdown, renderer, renderers

__all__ = [
    "END",
    "START",
    "AlreadyAnsweredError",
    "Checkpointer",
    "Command",
    "CompiledGraph",
    "DeadlinePassedError",
    "Decision",
    "DiskCacheSaver",
    "Drawing",
    "HitlError",
    "InMemorySaver",
    "Interrupt",
    "InvalidAnswerError",
    "MemorySaver",
    "MissingAnswerError",
    "NodeError",
    "NotEntitledError",
    "Overwrite",
    "Picture",
    "RetryPolicy",
    "ReviewSession",
    "Runtime",
    "Send",
    "StateGraph",
    "StateSnapshot",
    "StateUpdate",
    "StillWaitingError",
    "StreamWriter",
    "Vote",
    "apply_decisions",
    "decisions",
    "errors",
    "escape",
    "forget_renderer",
    "get_runtime",
    "get_stream_writer",
    "h",
    "inbox",
    "interrupt",
    "markdown",
    "once",
    "renderer",
    "renderers",
    "review",
    "run_batch",
]

_HOMES = {
    "AlreadyAnsweredError": "errors",
    "Checkpointer": "checkpoint.base",
    "Command": "graph.types",
    "CompiledGraph": "graph.compiled",
    "DeadlinePassedError": "errors",
    "Decision": "checkpoint.records",
    "DiskCacheSaver": "checkpoint.disk",
    "Drawing": "widgets.renderers",
    "END": "graph.types",
    "HitlError": "errors",
    "InMemorySaver": "checkpoint.memory",
    "Interrupt": "graph.types",
    "InvalidAnswerError": "errors",
    "MemorySaver": "checkpoint.memory",
    "MissingAnswerError": "errors",
    "NotEntitledError": "errors",
    "Overwrite": "graph.types",
    "NodeError": "graph.node.failure",
    "Picture": "checkpoint.pictures",
    "RetryPolicy": "graph.node.retry",
    "ReviewSession": "session",
    "Runtime": "graph.node.runtime",
    "START": "graph.types",
    "Send": "graph.types",
    "StateGraph": "graph.builder",
    "StateSnapshot": "graph.types",
    "StateUpdate": "graph.types",
    "StillWaitingError": "errors",
    "StreamWriter": "graph.node.runtime",
    "Vote": "checkpoint.voting",
    "apply_decisions": "decisions.rows.applied",
    "get_runtime": "graph.node.runtime",
    "get_stream_writer": "graph.node.runtime",
    "escape": "widgets.renderers",
    "forget_renderer": "widgets.renderers",
    "h": "widgets.renderers",
    "inbox": "widgets.inbox.opening",
    "interrupt": "graph.asking.interrupt",
    "markdown": "widgets.renderers",
    "once": "graph.node.once",
    "renderer": "widgets.renderers",
    "renderers": "widgets.renderers",
    "review": "session",
    "run_batch": "batch.batch",
}


def __getattr__(name: str) -> Any:
    if name in ("decisions", "errors"):
        return import_module(f"hitl_nb.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'hitl_nb' has no attribute {name!r}")
    value = getattr(import_module(f"hitl_nb.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
