"""The graphs that go on with the answers: which of those at hand a thread belongs to, and the run to its next question."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.errors import GraphError
from hitl_nb.graph.compiled import CompiledGraph
from hitl_nb.graph.types import GraphResult


class Graphs:
    """The graphs at hand, each compiled with the store that the questions lie in."""

    def __init__(self, given: CompiledGraph | Iterable[CompiledGraph] | Mapping[str, CompiledGraph] | None) -> None:
        """`given`: one graph, several, or several by name (the names are for the reader only). Raises TypeError, GraphError."""
        several: Iterable[Any]
        if given is None:
            several = ()
        elif isinstance(given, CompiledGraph):
            several = (given,)
        else:
            several = given.values() if isinstance(given, Mapping) else given
        self._graphs: list[CompiledGraph] = list(several)
        for graph in self._graphs:
            if not isinstance(graph, CompiledGraph):
                raise TypeError(f"graphs= holds a {type(graph).__name__}; expected compiled graphs: builder.compile(checkpointer=…)")
            if graph.checkpointer is None:
                raise GraphError(f"graph {graph.name!r} of graphs= has no checkpointer; compile it with the one whose questions are to be answered")

    def __bool__(self) -> bool:
        return bool(self._graphs)

    def of(self, saver: Checkpointer, thread_id: str) -> CompiledGraph | None:
        """The graph that wrote the thread; the only one that has the nodes it would go on with, when the graph was changed since; else None."""
        head = saver.head(thread_id)
        if head is None:
            return None
        checkpoint = saver.checkpoint(thread_id, head.seq)
        for graph in self._graphs:
            if graph.threads.shape.fingerprint == checkpoint.graph:
                return graph
        able = [graph for graph in self._graphs if all(_has(graph, task.node) for task in checkpoint.tasks)]
        return able[0] if len(able) == 1 else None

    def resume(self, saver: Checkpointer, thread_id: str) -> GraphResult | None:
        """Run the thread with what is answered, to its next question or its end. None: none of the graphs wrote it.

        Raises what a node raises (the answers stay recorded, and the thread can be run again), ThreadBusyError while somebody else runs it: that run
        picks the answers up. Not for two Python threads at once on one thread.
        """
        graph = self.of(saver, thread_id)
        return None if graph is None else graph.advance({"configurable": {"thread_id": thread_id}})


def _has(graph: CompiledGraph, node: str) -> bool:
    return graph.threads.renamed.node(node) in graph.threads.topology.nodes
