"""Which decisions of a thread still count: not those that were reopened, nor those of a way the thread went back from.

And the questions that led to where it stands, in the order in which they were asked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.records import Decision, Question


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


def asked_in_order(saver: Checkpointer, thread_id: str) -> list[Question]:
    """The questions whose decisions count where the thread stands, and the open ones, in the order in which the thread came to ask them."""
    head = saver.head(thread_id)
    if head is None:
        return []
    wanted = {d.interrupt_id for d in standing_decisions(saver, thread_id)} | {a.interrupt_id for a in saver.ledger(thread_id, head).open()}
    came: dict[str, tuple[int, int]] = {}
    seq: int | None = head.seq
    while seq is not None:
        for n, interrupt_id in enumerate(saver.ledger(thread_id, head, seq).asked):
            if interrupt_id in wanted:
                came[interrupt_id] = (seq, n)  # the oldest checkpoint is read last
        seq = saver.checkpoint(thread_id, seq).parent
    found = [(at, saver.question(interrupt_id)) for interrupt_id, at in came.items()]
    return [q for _, q in sorted(((at, q) for at, q in found if q is not None), key=lambda pair: pair[0])]
