"""One of several processes that vote on the same question: `python voter.py FOLDER NAME ROUNDS`.

For each round it reads the open question of thread round-<round>, prints `ready`, waits for the file FOLDER/go-<round>, and answers by id: twice, as
one who clicks twice. Then it prints `voted`, or `lost <who>`. The node's side effect is a line in FOLDER/effects.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, TypedDict

from hitl_nb import START, Command, DiskCacheSaver, StateGraph, interrupt
from hitl_nb.errors import AlreadyAnsweredError, ThreadBusyError
from tests.crash.rounds import rounds

QUORUM = 2


class State(TypedDict):
    """What is decided."""

    amount: int
    said: str


def build(folder: Path, saver: DiskCacheSaver | None = None) -> Any:
    """One node that asks, then pays."""

    def pay(state: State) -> dict[str, Any]:
        said = interrupt({"question": f"Pay {state['amount']}?", "type": "text"}, quorum=QUORUM)
        with (folder / "effects").open("ab", buffering=0) as f:
            f.write(f"{state['amount']} {said}\n".encode())
        return {"said": said}

    return StateGraph(State).add_node("pay", pay).add_edge(START, "pay").compile(saver or DiskCacheSaver(folder / "store"))


def main(folder: Path, name: str, count: int) -> None:
    """Vote in every round as fast as possible."""
    graph = build(folder)
    for config, question in rounds(folder, graph, name, count):
        try:
            for _ in range(2):
                with suppress(ThreadBusyError):  # the vote is recorded, and whoever runs the thread goes on with it
                    graph.invoke(Command(resume={question: "yes"}), config)
            print("voted", flush=True)
        except AlreadyAnsweredError as error:
            print("lost", error.reviewer, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
