"""One of two processes that come to the same overdue questions at the same moment: to answer them, or to expire them.

    python deadline_rival.py FOLDER answer|expire NAME ROUNDS [KILL_AT]

For each round it prints `ready`, waits for the file FOLDER/go-<round>, and acts on thread round-<round>. The one that answers has a clock that says
it is in time, the one that expires has one that says it is too late. Then it prints `won`, or `lost` and who was first, where it is told.
KILL_AT = n: the process sends itself SIGKILL right before the n-th record is written.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypedDict

from hitl_nb import START, Command, DiskCacheSaver, StateGraph, interrupt
from hitl_nb.errors import AlreadyAnsweredError
from tests.crash.rounds import rounds
from tests.crash.thirty_steps import KilledSaver

BEGIN = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


class State(TypedDict):
    """What is decided."""

    amount: int
    by: str


def build(folder: Path, at: datetime, saver: DiskCacheSaver | None = None) -> Any:
    """A node that asks until one hour after the beginning, then pays. From amount 1000 on somebody else is asked first."""

    def pay(state: State) -> dict[str, Any]:
        terms = {"assignee": "ada", "escalate_to": "bob"} if state["amount"] >= 1000 else {}
        who = interrupt({"question": f"Pay {state['amount']}?", "type": "text"}, deadline=BEGIN + HOUR, default="default", **terms)
        with (folder / "effects").open("ab", buffering=0) as f:
            f.write(f"{state['amount']} {who}\n".encode())
        return {"by": who}

    return StateGraph(State).add_node("pay", pay).add_edge(START, "pay").compile(saver or DiskCacheSaver(folder / "store"), now=lambda: at)


def main(folder: Path, task: str, name: str, count: int, kill_at: int) -> None:
    """Act in every round as fast as possible."""
    saver = KilledSaver(folder / "store")
    saver.kill_at = kill_at
    graph = build(folder, BEGIN if task == "answer" else BEGIN + 2 * HOUR, saver)
    for config, question in rounds(folder, graph, name, count):
        try:
            if task == "answer":
                graph.invoke(Command(resume={question: name}), config)
                print("won", flush=True)
            else:
                print("won" if graph.expire(config) else "lost", flush=True)
        except AlreadyAnsweredError as error:
            print("lost", error.reviewer, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]) if len(sys.argv) > 5 else 0)
