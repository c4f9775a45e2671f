"""The rounds of a race between processes."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def rounds(folder: Path, graph: Any, name: str, count: int) -> Iterator[tuple[dict[str, Any], str]]:
    """For each round the config of its thread and the id of its open question, once the file FOLDER/go-<round> is there. Prints `ready` before."""
    for n in range(count):
        config = {"configurable": {"thread_id": f"round-{n}", "reviewer": name}}
        question = graph.get_state(config).interrupts[0].id
        go = folder / f"go-{n}"
        print("ready", flush=True)
        while not go.exists():
            time.sleep(0)
        time.sleep(random.Random(f"{name} {n}").uniform(0, 0.002))  # so that none is always the quicker one
        yield config, question
