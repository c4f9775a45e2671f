"""How each node of a thread stands: done, waiting, running or failed."""

from __future__ import annotations

from typing import Final, Literal

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.graph.threads import Threads, named_seq
from hitl_nb.graph.types import StateSnapshot, TaskSnapshot

Mark = Literal["done", "running", "waiting", "failed"]
"""`running`: planned next, and nobody is asked first."""

MARKS: Final[tuple[Mark, ...]] = ("done", "running", "waiting", "failed")
"""Where a node has several tasks, the later mark is the one that counts."""
LOOK_BACK: Final = 1_000
"""Checkpoints read for what is done, the newest first."""


def marks_of(threads: Threads, snapshot: StateSnapshot) -> dict[str, Mark]:
    """The marks by node; a node that this run has not reached has none.

    Reads the checkpoints before the snapshot's without their values, back to the input of this run.
    """
    found: dict[str, Mark] = {}
    seq = named_seq(snapshot.config)
    if seq is not None:  # else there is no such thread
        found |= dict.fromkeys(_done(threads.store, str(snapshot.config["configurable"]["thread_id"]), seq), "done")
    in_tasks = {i.id for task in snapshot.tasks for i in task.interrupts}
    static = [i for i in snapshot.interrupts if i.id not in in_tasks]
    now: dict[str, Mark] = {}
    for task in snapshot.tasks:
        now[task.name] = max(now.get(task.name, "done"), _of(task, paused=bool(static)), key=MARKS.index)
    if not snapshot.tasks:  # paused after a node that nothing follows
        now |= {i.node: "waiting" for i in static}
    return {name: mark for name, mark in (found | now).items() if name in threads.topology.nodes}


def _of(task: TaskSnapshot, *, paused: bool) -> Mark:
    if task.error is not None:
        return "failed"
    if task.interrupts:
        return "waiting"
    if task.result is not None:
        return "done"
    return "waiting" if paused else "running"  # a static pause holds up everything that is planned


def _done(store: Checkpointer, thread_id: str, seq: int) -> set[str]:
    """The nodes that led to the checkpoint. By parents, so that what a fork or an undo left behind does not count."""
    done: set[str] = set()
    parent: int | None = seq
    for checkpoint in store.history(thread_id, before=seq + 1, limit=LOOK_BACK):
        if checkpoint.seq != parent:
            continue
        done.update(checkpoint.wrote)
        if checkpoint.source == "input":  # an input to a finished thread begins a new run
            break
        parent = checkpoint.parent
    return done
