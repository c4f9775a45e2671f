"""What a thread looks like at a checkpoint, for whoever asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hitl_nb.checkpoint.keys import checkpoint_id
from hitl_nb.checkpoint.records import Checkpoint
from hitl_nb.graph.run import Run
from hitl_nb.graph.types import Interrupt, StateSnapshot, TaskSnapshot


def checkpoint_config(thread_id: str, nonce: str, seq: int, place: str = "") -> dict[str, Any]:
    """The config that names a checkpoint; `place`: of a graph inside a node, `node:task id` for each node around, joined by `|`."""
    inside = {"checkpoint_ns": place} if place else {}
    return {"configurable": {"thread_id": thread_id, **inside, "checkpoint_id": checkpoint_id(nonce, seq)}}


def metadata(checkpoint: Checkpoint) -> dict[str, Any]:
    """What a checkpoint says about itself: what made it, its step (-1 for the first input), the nodes whose results it holds."""
    return {"source": checkpoint.source, "step": checkpoint.step, "writes": list(checkpoint.wrote)}


def snapshot(run: Run, place: str = "", inner: Mapping[str, StateSnapshot] | None = None) -> StateSnapshot:
    """The thread at the run's checkpoint; an earlier one reads as it did before any of its tasks had finished.

    `place`: as in `checkpoint_config`. `inner`: the graphs inside its tasks, by task id.
    """
    c = run.checkpoint
    past = run.head is not None and run.head.seq != c.seq
    interrupts = {a.interrupt_id: Interrupt.of(run.questions[a.interrupt_id], run.votes.get(a.interrupt_id, ())) for a in run.open()}
    expired = {i for i, answered in run.ledger.answered.items() if answered.expired}
    tasks = tuple(
        TaskSnapshot(
            id=t.id,
            name=t.node,
            path=t.path,
            error=failed.error if t.id not in run.results and (failed := run.ledger.failed.get(t.id) or run.ledger.handled.get(t.id)) else None,
            interrupts=tuple(interrupts[a.interrupt_id] for a in run.ledger.of_tree(t.id) if a.interrupt_id in interrupts),
            result=dict(run.results[t.id].update) if t.id in run.results else None,
            expired=tuple(a.interrupt_id for a in run.ledger.of_tree(t.id) if a.interrupt_id in expired),
            state=None if inner is None else inner.get(t.id),
        )
        for t in c.tasks
    )
    return StateSnapshot(
        values=dict(run.values) if past else run.state(),
        next=tuple(t.node for t in c.tasks) if past else run.next_nodes(),
        config=checkpoint_config(run.thread_id, c.nonce, c.seq, place),
        metadata=metadata(c),
        created_at=c.created_at,
        parent_config=None if c.parent is None else checkpoint_config(run.thread_id, c.nonce, c.parent, place),
        tasks=tasks,
        interrupts=tuple(interrupts.values()),
    )
