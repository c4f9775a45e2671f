"""What the rules are tried on: every checkpointer, and both ways of calling."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.disk import DiskCacheSaver
from hitl_nb.checkpoint.memory import MemorySaver
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.compiled import CompiledGraph
from hitl_nb.graph.types import END, START, Interrupt


@pytest.fixture(params=["memory", "disk"])
def saver(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Checkpointer]:
    made: Checkpointer = MemorySaver() if request.param == "memory" else DiskCacheSaver(tmp_path / "store")
    yield made
    made.close()


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """`run(graph, input, config)`: invoke, or ainvoke in a new event loop."""
    if request.param == "sync":
        return lambda graph, given, config: graph.invoke(given, config)
    return lambda graph, given, config: asyncio.run(graph.ainvoke(given, config))


@pytest.fixture
def cfg() -> dict[str, Any]:
    return {"configurable": {"thread_id": "t-1", "reviewer": "ada"}}


@pytest.fixture
def chain() -> Callable[..., CompiledGraph]:
    """`chain(saver, first, second, schema=…, **compile)`: a graph of the functions, one after the other."""

    def make(saver: Checkpointer | None, *nodes: Callable[..., Any], schema: type | None = None, **options: Any) -> CompiledGraph:
        builder = StateGraph(schema)
        before = START
        for node in nodes:
            builder.add_node(node).add_edge(before, node.__name__)
            before = node.__name__
        return builder.add_edge(before, END).compile(saver, **options)

    return make


@pytest.fixture
def fan() -> Callable[..., CompiledGraph]:
    """`fan(saver, left, right, schema=…, **compile)`: a graph of the functions, side by side."""

    def make(saver: Checkpointer | None, *nodes: Callable[..., Any], schema: type | None = None, **options: Any) -> CompiledGraph:
        builder = StateGraph(schema)
        for node in nodes:
            builder.add_node(node).add_edge(START, node.__name__).add_edge(node.__name__, END)
        return builder.compile(saver, **options)

    return make


@pytest.fixture
def only() -> Callable[[Any], Interrupt]:
    """`only(result)`: the one open question of a result or a snapshot."""

    def one(result: Any) -> Interrupt:
        (found,) = result.interrupts
        return found

    return one
