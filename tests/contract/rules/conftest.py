"""What the rules are tried on: every checkpointer, each once."""

from __future__ import annotations

from collections.abc import Iterator
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
