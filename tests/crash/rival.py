"""One of two processes that answer the same questions at the same moment.

    python rival.py FOLDER NAME ROUNDS

For each round it reads the open question of thread round-<round>, prints `ready`, waits for the file FOLDER/go-<round>, and answers by id. Then
it prints `won`, or `lost <who> <when>`. The node's side effect is a line in FOLDER/effects.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, TypedDict

from hitl_nb import START, Command, DiskCacheSaver, StateGraph, interrupt
from hitl_nb.errors import AlreadyAnsweredError
from tests.crash.rounds import rounds


class State(TypedDict):
    """What is decided."""

    amount: int
    by: str


def build(folder: Path) -> Any:
    """One node that asks, then pays."""

    def pay(state: State) -> dict[str, Any]:
        who = interrupt({"question": f"Pay {state['amount']}?", "type": "text"})
        with (folder / "effects").open("ab", buffering=0) as f:
            f.write(f"{state['amount']} {who}\n".encode())
        return {"by": who}

    return StateGraph(State).add_node("pay", pay).add_edge(START, "pay").compile(DiskCacheSaver(folder / "store"))


def main(folder: Path, name: str, count: int) -> None:
    """Answer every round as fast as possible."""
    graph = build(folder)
    for config, question in rounds(folder, graph, name, count):
        try:
            graph.invoke(Command(resume={question: name}), config)
            print("won", flush=True)
        except AlreadyAnsweredError as error:
            print("lost", error.reviewer, error.answered_at.isoformat(), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
