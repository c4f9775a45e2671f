"""What a run of a notebook came to: how it ended, what was decided in it, what is open. It is kept in the notebook's `metadata.hitl_nb`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

RunStatus = Literal["running", "done", "needs human", "failed", "kernel died", "timed out", "interrupted"]
"""running: it goes on, or its program was killed. needs human: a question is open. failed: a cell raised. timed out: a cell took too long."""
ACCOUNT_VERSION: Final = 1
"""Of what a kernel tells; see `hitl_nb.widgets.account`."""
ACCOUNT_TARGET: Final = "hitl_nb.run"
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class RunError:
    """Why a run did not get to its end."""

    kind: str
    """The exception's class: of the cell, or `DeadKernelError`, `CellTimeoutError`, `KeyboardInterrupt`."""
    message: str
    cell: int | None
    """The number in the brackets beside the cell; None outside of one."""

    def __str__(self) -> str:
        return f"cell {self.cell}: {self.kind}: {self.message}" if self.cell is not None else f"{self.kind}: {self.message}"


@dataclass(slots=True)
class RunRecord:
    """The record of one run, as it grows."""

    status: RunStatus = "running"
    error: RunError | None = None
    threads: dict[tuple[str | None, str], Mapping[str, Any]] = field(default_factory=dict)
    """What the kernel told of each thread, by the folder of its store and its id, in the order in which they were met."""
    drawing: Mapping[str, Any] | None = None
    """The MIME bundle of what is open, from the cell that stopped at it."""

    def begin_cell(self) -> None:
        """What the cell before was stopped by says nothing about the next one."""
        self.drawing = None

    def tell(self, account: Mapping[str, Any]) -> None:
        """Take note of what the kernel tells."""
        if account.get("version") != ACCOUNT_VERSION:
            return
        for thread in account.get("threads", ()):
            place = thread.get("store"), thread["thread_id"]
            self.threads[place] = {**self.threads.get(place, {}), **thread}
        self.drawing = account.get("left_open")

    @property
    def thread_ids(self) -> tuple[str, ...]:
        """The ids of the threads."""
        return tuple(dict.fromkeys(thread_id for _, thread_id in self.threads))

    @property
    def decisions(self) -> list[dict[str, Any]]:
        """Every decision of these threads, thread by thread, the oldest first."""
        return [dict(d) for thread in self.threads.values() for d in thread.get("decisions", ())]

    @property
    def questions(self) -> list[dict[str, Any]]:
        """What is open."""
        return [dict(q) for thread in self.threads.values() for q in thread.get("questions", ())]

    @property
    def stores(self) -> dict[str, str]:
        """The folder of the store of each thread, as far as it lies in one; of two that have the thread, the one in which it waits. The notebook
        does not keep it: it says nothing elsewhere.
        """
        waits_last = sorted(self.threads, key=lambda place: bool(self.threads[place].get("questions")))
        return {thread_id: store for store, thread_id in waits_last if store}

    def metadata(self) -> dict[str, Any]:
        """As the notebook keeps it. What a script decided has no time and no id, so that two runs leave the same bytes; the store has both."""
        kept: dict[str, Any] = {"version": _VERSION, "status": self.status, "thread_ids": list(self.thread_ids)}
        if self.error is not None:
            kept["error"] = {"kind": self.error.kind, "message": self.error.message, "cell": self.error.cell}
        return kept | {"questions": self.questions, "decisions": [_timeless(d) for d in self.decisions]}


def _timeless(decision: dict[str, Any]) -> dict[str, Any]:
    if decision["how"] != "script":
        return decision
    return {name: value for name, value in decision.items() if name not in ("decided_at", "interrupt_id")}
