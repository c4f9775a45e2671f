"""The program the crash tests kill: a run of 30 supersteps with parallel nodes and interrupts, driven to its end however often it is started.

    python thirty_steps.py FOLDER [KILL_AT] [DURABILITY]

FOLDER/store is the store. Each node execution appends its name to FOLDER/counts (after its work, before it returns); each answer is appended
to FOLDER/acknowledged once the store has taken it. KILL_AT = n: the process sends itself SIGKILL right before the n-th record is written, which may
be in the middle of a transaction; -n: right after the n-th node execution. DURABILITY: as in `invoke`. Prints how many records were written, then
the final state.
"""

from __future__ import annotations

import operator
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypedDict

from hitl_nb import START, Decision, DiskCacheSaver, StateGraph, interrupt

STEPS = 30


class State(TypedDict):
    """What the run adds up."""

    total: int
    log: Annotated[list[str], operator.add]
    blob: bytes


class KilledSaver(DiskCacheSaver):
    """A DiskCacheSaver whose process dies right before its n-th write."""

    written = 0
    ran = 0
    kill_at = 0

    def _put(self, key: str, record: bytes) -> None:
        self._die_in_time()
        super()._put(key, record)

    def _put_value(self, key: str, record: bytes, digest: bytes) -> bytes:
        self._die_in_time()
        return super()._put_value(key, record, digest)

    def _swap(self, key: str, before: bytes, after: bytes) -> bool:
        self._die_in_time()
        return super()._swap(key, before, after)

    def _die_in_time(self) -> None:
        self.written += 1
        if self.written == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def build(saver: KilledSaver, counts: Path) -> Any:
    """Nodes s0 … s29 in a chain; every fifth asks; s7 and s17 fan out to three side nodes of which one asks."""

    def ran(name: str) -> None:
        with counts.open("ab", buffering=0) as f:
            f.write(f"{name}\n".encode())
        saver.ran += 1
        if saver.ran == -saver.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def step(n: int) -> Any:
        def node(state: State) -> dict[str, Any]:
            given = 0
            if n % 5 == 4:
                given = interrupt({"question": f"How much does step {n} add?", "type": "text", "so_far": state["total"]})
            ran(f"s{n}")
            return {"total": state["total"] + n + given, "log": [f"s{n}:{given}"], "blob": bytes([n]) * 50_000}

        return node

    def side(n: int, which: str) -> Any:
        def node(state: State) -> dict[str, Any]:
            given = interrupt({"question": f"Side {n}?", "type": "text"}) if which == "b" else 0
            ran(f"{which}{n}")
            return {"log": [f"{which}{n}:{given}"]}

        return node

    builder = StateGraph(State)
    for n in range(STEPS):
        builder.add_node(f"s{n}", step(n))
    builder.add_edge(START, "s0")
    for n in range(STEPS - 1):
        if n in {7, 17}:
            names = [f"{which}{n}" for which in "abc"]
            for which, name in zip("abc", names, strict=True):
                builder.add_node(name, side(n, which)).add_edge(f"s{n}", name)
            builder.add_edge(names, f"s{n + 1}")
        else:
            builder.add_edge(f"s{n}", f"s{n + 1}")
    return builder.compile(saver, name="thirty")


def main(folder: Path, kill_at: int, durability: Any) -> None:
    """Start or go on, answer what is asked, print the final state."""
    saver = KilledSaver(folder / "store")
    saver.kill_at = kill_at
    graph, config = build(saver, folder / "counts"), {"configurable": {"thread_id": "run"}}
    result = graph.invoke({"total": 0, "log": [], "blob": b""} if saver.head("run") is None else None, config, durability=durability)
    while result.is_interrupted:
        question = saver.question(result.interrupts[0].id)
        answer = len(question.payload["question"])
        saver.answer("run", [Decision(question.id, "run", question.node, -1, answer, "crash", datetime.now(UTC), "test", question.digest)])
        with (folder / "acknowledged").open("ab", buffering=0) as f:
            f.write(f"{question.id}\n".encode())
        result = graph.advance(config) if durability == "sync" else graph.invoke(None, config, durability=durability)
    print(saver.written)
    print(f"{result['total']} {','.join(sorted(result['log']))} {len(result['blob'])}:{result['blob'][0]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0, sys.argv[3] if len(sys.argv) > 3 else "sync")
