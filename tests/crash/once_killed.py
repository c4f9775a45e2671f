"""The program whose `once` is killed: a node that charges, asks, ships, and is killed at a point it is told.

    python once_killed.py FOLDER POINT

POINT: `before` or `after` (inside the function, around its effect), `returned` (right after `once` returned), `written` (right before the
record of the value is written), or `never`. Each effect is a line in FOLDER/effects, each execution of the node one in FOLDER/runs.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from hitl_nb import START, Command, DiskCacheSaver, StateGraph, interrupt, once


class KilledAtKept(DiskCacheSaver):
    """A DiskCacheSaver whose process dies right before it writes what `once` keeps."""

    def _put(self, key: str, record: bytes) -> None:
        if key.startswith("k/"):
            os.kill(os.getpid(), signal.SIGKILL)
        super()._put(key, record)


def note(file: Path, line: str) -> None:
    with file.open("ab", buffering=0) as f:
        f.write(f"{line}\n".encode())


def build(folder: Path, point: str) -> Any:
    """One sync and one async node with the same body."""

    def die(at: str) -> None:
        if at == point:
            os.kill(os.getpid(), signal.SIGKILL)

    def charge() -> str:
        die("before")
        note(folder / "effects", "charged")
        die("after")
        return "receipt-1"

    async def charge_later() -> str:
        await asyncio.sleep(0)
        return charge()

    def pay(state: dict[str, Any]) -> dict[str, Any]:
        note(folder / "runs", "pay")
        receipt = once("charge", charge)
        die("returned")
        return {"paid": [receipt, interrupt(f"Ship {receipt}?")]}

    async def pay_later(state: dict[str, Any]) -> dict[str, Any]:
        note(folder / "runs", "pay")
        receipt = await once("charge", charge_later)
        die("returned")
        return {"paid": [receipt, interrupt(f"Ship {receipt}?")]}

    saver = KilledAtKept(folder / "store") if point == "written" else DiskCacheSaver(folder / "store")
    builder = StateGraph().add_node("pay", pay_later if (folder / "async").exists() else pay)
    return builder.add_edge(START, "pay").compile(saver)


def main(folder: Path, point: str) -> None:
    """Start or go on until the node asks, answer, print the result."""
    graph, config = build(folder, point), {"configurable": {"thread_id": "order"}}
    given: Any = {"order": 1} if graph.checkpointer.head("order") is None else None
    result = graph.invoke(given, config)
    if result.is_interrupted:
        result = graph.invoke(Command(resume=True), config)
    print(result["paid"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
