"""Which decisions of a thread still count: not those that were reopened, nor those of a way the thread went back from.

And the questions that led to where it stands, in the order in which they were asked.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.records import Asked, Checkpoint, Decision, Question


def standing_decisions(saver: Checkpointer, thread_id: str) -> Iterator[Decision]:
    """The decisions that count where the thread stands, the newest first. Reads back to the checkpoint of the oldest one asked for."""
    by_checkpoint: dict[int, list[Decision]] = defaultdict(list)
    for decision in saver.decisions(thread_id):
        by_checkpoint[decision.seq].append(decision)
    head = saver.head(thread_id)
    seq = head.seq if head is not None else None
    withdrawn: set[str] = set()
    again: _Again | None = None
    while head is not None and seq is not None and by_checkpoint:
        checkpoint, ledger = saver.checkpoint(thread_id, seq), saver.ledger(thread_id, head, seq)
        # An answer may be withdrawn at a later checkpoint than it was given at.
        withdrawn |= {w.interrupt_id for here in ledger.withdrawn.values() for w in here}
        answered = {i for i in ledger.answered if again is None or again.keeps(checkpoint, ledger.asked[i])}
        for decision in reversed(by_checkpoint.pop(seq, [])):
            if decision.interrupt_id in answered and decision.interrupt_id not in withdrawn:
                yield decision
        again = _Again.of(checkpoint, answered) if checkpoint.source == "fork" else None
        seq = checkpoint.parent


@dataclass(frozen=True, slots=True)
class _Again:
    """A checkpoint by which the thread went back to its parent: what counts of the answers that were given there."""

    tasks: frozenset[str]
    answered: frozenset[str]
    """The answers that it repeats."""

    @classmethod
    def of(cls, checkpoint: Checkpoint, answered: Iterable[str]) -> _Again:
        return cls(frozenset(t.id for t in checkpoint.tasks), frozenset(answered))

    def keeps(self, parent: Checkpoint, asked: Asked) -> bool:
        # A pause is not asked again when a question behind it is: its tasks are the same then.
        passed = asked.kind == "static" and not asked.owner and self.tasks == {t.id for t in parent.tasks}
        return passed or asked.interrupt_id in self.answered


def asked_in_order(saver: Checkpointer, thread_id: str) -> list[Question]:
    """The questions whose decisions count where the thread stands, and the open ones, in the order in which the thread came to ask them."""
    head = saver.head(thread_id)
    if head is None:
        return []
    wanted = {d.interrupt_id for d in standing_decisions(saver, thread_id)} | {a.interrupt_id for a in saver.ledger(thread_id, head).open()}
    came: dict[str, tuple[int, ...]] = {}
    step, seq = 0, head.seq
    while True:
        checkpoint = saver.checkpoint(thread_id, seq)
        task_order = {t.id: n for n, t in enumerate(checkpoint.tasks)}
        before: Counter[str] = Counter()
        for asked in saver.ledger(thread_id, head, seq).asked.values():
            if asked.interrupt_id not in wanted:
                continue
            if asked.interrupt_id not in came or came[asked.interrupt_id][0] != step:
                # Side by side, whoever is answered first asks first again: the order is that of answering all that is open, time and again.
                came[asked.interrupt_id] = (step, before[asked.task], task_order.get(asked.task, -1), *asked.order)
            before[asked.task] += 1
        if checkpoint.parent is None:
            break
        step -= checkpoint.source != "fork"  # one superstep, however often the thread went back to it
        seq = checkpoint.parent
    found = [(at, saver.question(interrupt_id)) for interrupt_id, at in came.items()]
    return [q for _, q in sorted(((at, q) for at, q in found if q is not None), key=lambda pair: pair[0])]
