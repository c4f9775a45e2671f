"""What the rules are tried on: every checkpointer, each once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.disk import DiskCacheSaver
from hitl_nb.checkpoint.memory import MemorySaver


@pytest.fixture(params=["memory", "disk"])
def saver(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Checkpointer]:
    made: Checkpointer = MemorySaver() if request.param == "memory" else DiskCacheSaver(tmp_path / "store")
    yield made
    made.close()


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
