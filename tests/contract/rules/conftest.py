"""What the rules are tried on: every checkpointer, each once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from operator import add
from typing import Annotated, Any, TypedDict

import pytest

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.disk import DiskCacheSaver
from hitl_nb.checkpoint.memory import MemorySaver
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.compiled import CompiledGraph
from hitl_nb.graph.crossing import in_background
from hitl_nb.graph.types import START
from hitl_nb.plain.threads import WORKERS


class Log(TypedDict, total=False):
    log: Annotated[list[str], add]
    item: str


@pytest.fixture(params=["memory", "disk"])
def saver(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Checkpointer]:
    made: Checkpointer = MemorySaver() if request.param == "memory" else DiskCacheSaver(tmp_path / "store")
    yield made
    made.close()


@pytest.fixture
def all_rest() -> Callable[[], bool]:
    """Whether everything that the test has begun in other Python threads is over, for which they are given a moment."""

    def at_work() -> int:
        return sum(thread.name == "hitl-nb" for thread in threading.enumerate()) - len(WORKERS._idle)

    in_background(asyncio.sleep(0))  # the event loop of async nodes: once begun, it is always at work
    before = at_work()

    def rest() -> bool:
        until = time.monotonic() + 10
        while at_work() > before and time.monotonic() < until:
            time.sleep(0.001)
        return at_work() <= before

    return rest


@pytest.fixture
def collect() -> Callable[..., list[Any]]:
    """`collect(kind, graph, input, config, **options)`: all events of stream or astream."""

    def gather(kind: str, graph: Any, given: Any, config: Any, **options: Any) -> list[Any]:
        if kind == "sync":
            return list(graph.stream(given, config, **options))

        async def main() -> list[Any]:
            return [event async for event in graph.astream(given, config, **options)]

        return asyncio.run(main())

    return gather


@pytest.fixture
def node(runs: Counter[str]) -> Callable[..., Any]:
    """`node(name, asks)`: a node that counts its runs, asks so many questions, and logs its name with the answers."""

    def make(name: str, asks: int = 0) -> Callable[..., Any]:
        def run_it(state: Any) -> Any:
            runs[name] += 1
            answers = [interrupt(f"{name} {n}?") for n in range(asks)]
            return {"log": [":".join([name, *map(str, answers)])]}

        run_it.__name__ = name
        return run_it

    return make


@pytest.fixture
def make() -> Callable[..., CompiledGraph]:
    """`make(saver, fn, **options)`: a graph of this one node."""

    def one(saver: Checkpointer, fn: Callable[..., Any], **options: Any) -> CompiledGraph:
        return StateGraph(Log).add_node("work", fn, **options).add_edge(START, "work").compile(saver)

    return one
