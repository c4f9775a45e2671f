"""Static pauses: where `interrupt_before` and `interrupt_after` stop a run, as questions shown and answered like any other (semantics R12)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from hitl_nb.checkpoint.ledger import Ledger
from hitl_nb.checkpoint.records import Asked, Checkpoint, Question, boundary_id, fingerprint
from hitl_nb.graph.run import Run


def boundary_payload(
    checkpoint: Checkpoint, ledger: Ledger, finished: Collection[str], before: frozenset[str], after: frozenset[str]
) -> dict[str, Any] | None:
    """What the pause at this checkpoint shows; None when the run does not stop here, or was told to go on."""
    stops_after = [n for n in checkpoint.wrote if n in after]
    # a task that an update took over after it had asked is past its start
    stops_before = [t.node for t in checkpoint.tasks if t.node in before and t.id not in finished and not ledger.of_tree(t.id)]
    if not (stops_after or stops_before):
        return None
    asked = ledger.of_task(boundary_id(checkpoint.nonce, checkpoint.seq))
    if asked and asked[0].interrupt_id in ledger.answered:
        return None
    nodes, when = (stops_before, "before") if stops_before else (stops_after, "after")
    return {"node": nodes[0], "when": when} | ({"nodes": nodes} if len(nodes) > 1 else {})


def boundary_question(run: Run, payload: dict[str, Any], digest: str) -> tuple[Question, Asked]:
    """The question of a static pause, with its event."""
    place = boundary_id(run.checkpoint.nonce, run.checkpoint.seq)
    times = len(run.ledger.withdrawn.get((place, 0), ()))
    interrupt_id = fingerprint(place, "static", digest, times)
    question = Question(
        id=interrupt_id,
        thread_id=run.thread_id,
        node=payload["node"],
        task_id=place,
        position=0,
        digest=digest,
        payload=payload,
        created_at=run.now(),
        kind="static",
        graph=run.graph,
        path=run.path,
    )
    return question, Asked(place, 0, interrupt_id, digest, "static")
