"""Votes: a question with a quorum is decided when so many reviewers have given the same answer, each of them once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from hitl_nb.checkpoint.records import Decision, Head, from_epoch, to_epoch
from hitl_nb.checkpoint.serde import Serde

_CHOICES: Final = ("action", "decision", "type", "approved")
"""By one of these keys a form's answer says what was chosen."""
_REMARKS: Final = ("feedback", "comments", "notes", "user", "reviewer")
"""What a form adds of the person who answers: two reviewers may say it differently and still agree."""
_REVIEWER: Final = 5
_CHOICE: Final = 10
"""Where they stand in the record of a vote."""


@dataclass(frozen=True, slots=True)
class Vote:
    """The answer of one reviewer to a question that several have to answer alike. Append-only; a later one of the same reviewer replaces it."""

    interrupt_id: str
    thread_id: str
    node: str
    number: int
    """0, 1, … among the votes on this question."""
    answer: Any
    reviewer: str
    voted_at: datetime
    how: str
    """As of a decision."""
    payload_digest: str
    seq: int
    """The checkpoint at which the question was open."""
    choice: str
    """Digest of what has to be the same: the answer without the remarks that a form adds to it."""
    count: int
    """How many reviewers had given the same answer then, this one included."""
    quorum: int
    """How many have to."""

    @property
    def standing(self) -> str:
        """`1 of 2`."""
        return f"{self.count} of {self.quorum}"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of answers that were given together."""

    head: Head
    made: tuple[Decision | Vote, ...]
    """For each its decision; or its vote, while the question waits for more reviewers."""


def choice_of(serde: Serde, answer: Any, *, by_schema: bool) -> str:
    """What two answers have in common when they are the same: values and their types (1 is not True), and of what a form makes not the remarks.

    `by_schema`: the author gave a schema. Then only they know what a remark is, so the whole answer counts.
    """
    if not by_schema and isinstance(answer, Mapping) and any(key in answer for key in _CHOICES):
        answer = {key: value for key, value in answer.items() if key not in _REMARKS}
    return serde.digest(answer, "answer")


def latest(votes: Iterable[Vote], voter: Callable[[str], str]) -> list[Vote]:
    """Each reviewer's latest vote, in the order in which those were given. `voter`: a reviewer's name to who that is."""
    found: dict[str, Vote] = {}
    for vote in votes:
        who = voter(vote.reviewer)
        found.pop(who, None)
        found[who] = vote
    return list(found.values())


def cast(decision: Decision, choice: str, quorum: int, before: Sequence[Sequence[Any]], voter: Callable[[str], str]) -> Vote:
    """The vote that a decision is, after those of which the records are given. What these say is not read: its classes need not be known here."""
    choices = {voter(w[_REVIEWER]): w[_CHOICE] for w in before} | {voter(decision.reviewer): choice}
    return Vote(
        interrupt_id=decision.interrupt_id,
        thread_id=decision.thread_id,
        node=decision.node,
        number=len(before),
        answer=decision.answer,
        reviewer=decision.reviewer,
        voted_at=decision.decided_at,
        how=decision.how,
        payload_digest=decision.payload_digest,
        seq=decision.seq,
        choice=choice,
        count=sum(one == choice for one in choices.values()),
        quorum=quorum,
    )


def vote_to_wire(serde: Serde, v: Vote) -> list[Any]:
    answer = serde.dumps(v.answer, "answer")
    return [
        v.interrupt_id, v.thread_id, v.node, v.number, answer, v.reviewer, to_epoch(v.voted_at), v.how, v.payload_digest, v.seq,
        v.choice, v.count, v.quorum,
    ]  # fmt: skip


def vote_from_wire(serde: Serde, w: Sequence[Any]) -> Vote:
    return Vote(w[0], w[1], w[2], w[3], serde.loads(w[4]), w[5], from_epoch(w[6]), w[7], w[8], w[9], w[10], w[11], w[12])
