"""What becomes of an answer, inside the transaction that takes it: it is refused, or counts as a vote, or decides its question.

Every answer of a person or a script comes through here; only the default of a deadline does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hitl_nb.checkpoint.audit import log_refusal, log_vote
from hitl_nb.checkpoint.keys import head_key, question_key, vote_key
from hitl_nb.checkpoint.questions import EXPIRED, OpenQuestion, has_schema, several_of
from hitl_nb.checkpoint.records import Answered, Decision, Head, instant
from hitl_nb.checkpoint.serde import pack, unpack
from hitl_nb.checkpoint.voting import Recorded, Vote, cast, choice_of, vote_to_wire
from hitl_nb.errors import AmbiguousAnswerError, CorruptStoreError, NotEntitledError, StoreError, UnknownThreadError, said

if TYPE_CHECKING:
    from hitl_nb.checkpoint.base import Checkpointer
    from hitl_nb.checkpoint.ledger import Ledger


def record(store: Checkpointer, thread_id: str, decisions: Sequence[Decision], known: tuple[Head, Ledger] | None) -> Recorded:
    """`Checkpointer.record`, inside its transaction."""
    head = store.head(thread_id)
    if head is None:
        raise UnknownThreadError(f"the store holds no thread {thread_id!r}, so nothing was answered", thread_id=thread_id)
    ledger = known[1] if known is not None and known[0] == head else store.ledger(thread_id, head)
    if len({d.interrupt_id for d in decisions}) < len(decisions):
        raise AmbiguousAnswerError(f"thread {thread_id!r} got two answers to one question at once; neither was taken", thread_id=thread_id)
    for decision in decisions:
        store.require_open(thread_id, decision.interrupt_id, ledger)
    votes: dict[str, Vote] = {}
    for decision in decisions:
        brief = _admitted(store, thread_id, decision)
        if brief.quorum > 1:
            vote = _cast(store, thread_id, head, decision)
            if vote.count < vote.quorum:
                votes[decision.interrupt_id] = vote
    # Votes alone are an event without content: whoever looks on sees that something happened.
    answered = [Answered(d.interrupt_id, store.serde.dumps(d.answer, "answer")) for d in decisions if d.interrupt_id not in votes]
    head = store._append(thread_id, head, answered)
    made: list[Decision | Vote] = []
    for decision in decisions:
        if decision.interrupt_id in votes:
            made.append(votes[decision.interrupt_id])
        else:
            head, numbered = store._record(thread_id, head, decision)
            made.append(numbered)
    store._put(head_key(thread_id), pack(head.to_wire()))
    return Recorded(head, tuple(made))


def decide(store: Checkpointer, thread_id: str, head: Head, decision: Decision) -> Head:
    """Record an answer that came with a change of the thread, whose events say already that it counts. The new head."""
    if _admitted(store, thread_id, decision).quorum > 1:
        raise AmbiguousAnswerError(
            f"the question of node {decision.node!r} (thread {thread_id!r}) waits for several reviewers to answer alike, and this answer came with "
            f"an update, after which it may read otherwise than the others saw it; nothing was written. First update_state(…), then answer",
            thread_id=thread_id,
            node=decision.node,
            interrupt_id=decision.interrupt_id,
        )
    return store._record(thread_id, head, decision)[0]


def refused(store: Checkpointer, error: NotEntitledError) -> None:
    """Log an answer that was not taken, now that its transaction is rolled back."""
    try:
        with store._transaction():
            log_refusal(store, error)
    except StoreError as failed:
        error.add_note(f"And the decision log could not say so: {said(failed)}")


def _admitted(store: Checkpointer, thread_id: str, decision: Decision) -> OpenQuestion:
    """The open question in brief, when the decision is in time and made by somebody who may."""
    if decision.how == EXPIRED:
        raise ValueError(f"how={EXPIRED!r} is reserved for the defaults that graph.expire() records; this answer was not taken, name another way")
    brief = store.open_question(decision.interrupt_id)
    if brief is None:
        raise CorruptStoreError(f"question {decision.interrupt_id} of thread {thread_id!r} is open, but not listed as open", thread_id=thread_id)
    instant(decision.decided_at, "decided_at")
    brief.require_in_time(decision)
    store.rules().require(brief, decision)
    return brief


def _cast(store: Checkpointer, thread_id: str, head: Head, decision: Decision) -> Vote:
    asked = unpack(store._must(question_key(decision.interrupt_id), thread_id))
    choice = choice_of(store.serde, decision.answer, by_schema=has_schema(asked))
    before = list(store._votes(decision.interrupt_id))
    vote = cast(replace(decision, seq=head.seq), choice, several_of(asked)[1], before, store.rules().voter)
    written = pack(vote_to_wire(store.serde, vote))
    store._put(vote_key(vote.interrupt_id, vote.number), written)
    log_vote(store, vote, written)
    return vote
