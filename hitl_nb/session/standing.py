"""Which decisions of a thread still count: not those that were reopened, nor those of a way the thread went back from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.records import Decision


def standing_decisions(saver: Checkpointer, thread_id: str) -> Iterator[Decision]:
    """The decisions that count where the thread stands, the newest first. Reads back to the checkpoint of the oldest one asked for."""
    by_checkpoint: dict[int, list[Decision]] = defaultdict(list)
    for decision in saver.decisions(thread_id):
        by_checkpoint[decision.seq].append(decision)
    head = saver.head(thread_id)
    seq = head.seq if head is not None else None
    reopened: set[tuple[str, int]] = set()
    while head is not None and seq is not None and by_checkpoint:
        ledger = saver.ledger(thread_id, head, seq)
        for decision in reversed(by_checkpoint.pop(seq, [])):
            question = saver.question(decision.interrupt_id)
            if question is not None and decision.interrupt_id in ledger.answered and (question.task_id, question.position) not in reopened:
                yield decision
        # What was reopened here had been answered here or before.
        reopened |= ledger.withdrawn.keys()
        seq = saver.checkpoint(thread_id, seq).parent
