"""A deadline that passed, in the store. One transaction a question, decided from what is stored inside it, so that rivals cannot do it twice."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

from hitl_nb.checkpoint.keys import OPEN_PREFIX, head_key, question_key
from hitl_nb.checkpoint.questions import DEADLINE_REVIEWER, EXPIRED, question_from_wire
from hitl_nb.checkpoint.records import Answered, Decision
from hitl_nb.checkpoint.serde import pack, unpack

if TYPE_CHECKING:
    from hitl_nb.checkpoint.base import Checkpointer

Outcome = Literal["escalated", "default", "overdue"]


def expire(store: Checkpointer, interrupt_id: str, now: datetime) -> Outcome | None:
    """`Checkpointer.expire`."""
    with store._transaction():
        brief = store.open_question(interrupt_id)
        if brief is None or not brief.overdue(now):
            return None
        thread_id, head = brief.thread_id, store.head(brief.thread_id)
        if head is None or not store.ledger(thread_id, head).is_open(interrupt_id):
            return None
        outcome: Outcome
        if brief.escalate_to is not None:
            after, event = brief.handed_on(now)
            head = store._append(thread_id, head, [event])
            store._put(OPEN_PREFIX + interrupt_id, pack(after.to_wire()))
            outcome = "escalated"
        elif brief.has_default:
            q = question_from_wire(store.serde, unpack(store._must(question_key(interrupt_id), thread_id)))
            head = store._append(thread_id, head, [Answered(q.id, store.serde.dumps(q.default, "default"), expired=True)])
            head, _ = store._record(thread_id, head, Decision.on(q, q.default, reviewer=DEADLINE_REVIEWER, how=EXPIRED, at=now))
            outcome = "default"
        else:
            return "overdue"
        store._put(head_key(thread_id), pack(head.to_wire()))
    return outcome
