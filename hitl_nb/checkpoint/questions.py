"""Questions in the store: the whole of one, written once, and the brief of an open one, by which it is listed and its deadline kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from hitl_nb.checkpoint.records import LATEST, UNSET, Decision, Escalated, Question, from_epoch, instant, to_epoch
from hitl_nb.checkpoint.serde import Serde
from hitl_nb.errors import CorruptStoreError, DeadlinePassedError, shown, utc

EXPIRED: Final = "expire"
"""How a default is decided. No other decision may say so, so the record never takes a default for a person's answer, nor the other way round."""
DEADLINE_REVIEWER: Final = "the deadline"
"""Who decided, in the record of a default."""


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """An open question in brief, as a listing over all threads needs it. Rewritten when the question is handed on, deleted when it is answered."""

    interrupt_id: str
    thread_id: str
    node: str
    graph: str
    created_at: datetime
    deadline: datetime | None
    """Until when it can be answered, this instant included."""
    assignee: str | None
    """Who is asked now."""
    escalate_to: str | None = None
    """Who is asked next when the deadline passes; None once it was handed on."""
    has_default: bool = False
    """Whether it has an answer for when nobody gives one in time."""
    escalated_from: str | None = None
    """Who was asked before, when it was handed on."""
    escalated_at: datetime | None = None
    four_eyes: tuple[str, ...] = ()
    """Who asked for the approval, and may therefore not give it."""
    quorum: int = 1
    """How many reviewers have to give the same answer."""

    @classmethod
    def of(cls, q: Question) -> OpenQuestion:
        return cls(
            q.id, q.thread_id, q.node, q.graph, q.created_at, q.deadline, q.assignee, escalate_to=q.escalate_to, has_default=q.default is not UNSET,
            four_eyes=q.four_eyes, quorum=q.quorum,
        )  # fmt: skip

    def overdue(self, now: datetime) -> bool:
        """True when the deadline has passed. At the deadline itself it has not."""
        return self.deadline is not None and now > self.deadline

    def standing(self, question: Question) -> Question:
        """The whole question as it stands: when it was handed on, that changed who is asked, and until when."""
        return replace(question, assignee=self.assignee, deadline=self.deadline, escalate_to=self.escalate_to)

    def handed_on(self, now: datetime) -> tuple[OpenQuestion, Escalated]:
        """The question as it is after it went to `escalate_to`, with the event: the new assignee has as long as the first one had, from now."""
        assert self.deadline is not None  # the caller saw that it is overdue
        assert self.escalate_to is not None  # and that there is somebody
        now = instant(now, "now")  # a day later in a zone may be 23 hours later
        due = now + min(self.deadline - self.created_at, max(LATEST - now, timedelta(0)))
        event = Escalated(self.interrupt_id, self.escalate_to, to_epoch(due), self.assignee, to_epoch(now))
        after = replace(self, deadline=due, assignee=self.escalate_to, escalate_to=None, escalated_from=self.assignee, escalated_at=now)
        return after, event

    def require_in_time(self, decision: Decision) -> None:
        """Raise DeadlinePassedError when the decision was made after the deadline."""
        if self.deadline is None or not self.overdue(decision.decided_at):
            return
        if self.escalate_to is not None:
            way = f"graph.expire(config) or hitl-nb expire hands it to {self.escalate_to}, who can answer it then"
        elif self.has_default:
            way = "graph.expire(config) or hitl-nb expire records its default"
        else:
            way = f"it has no default; to ask it anew, graph.reopen(config, {self.interrupt_id!r}), then graph.invoke(None, config)"
        raise DeadlinePassedError(
            f"the question of node {self.node!r} (thread {self.thread_id!r}) could be answered until {utc(self.deadline)}; this "
            f"answer came at {utc(decision.decided_at)} and was not taken. Now {way}",
            thread_id=self.thread_id,
            node=self.node,
            interrupt_id=self.interrupt_id,
            deadline=self.deadline,
            answered_at=decision.decided_at,
        )

    def to_wire(self) -> list[Any]:
        return [
            self.thread_id, self.node, self.graph, to_epoch(self.created_at), _epoch(self.deadline), self.assignee,
            self.escalate_to, self.has_default, self.escalated_from, _epoch(self.escalated_at), self.four_eyes, self.quorum,
        ]  # fmt: skip

    @classmethod
    def from_wire(cls, interrupt_id: str, w: Sequence[Any]) -> OpenQuestion:
        return cls(
            interrupt_id, w[0], w[1], w[2], from_epoch(w[3]), _time(w[4]), w[5], w[6], w[7], w[8], _time(w[9]), *_several(interrupt_id, w[10:])
        )


def question_to_wire(serde: Serde, q: Question) -> list[Any]:
    default = [] if q.default is UNSET else [serde.dumps(q.default, "default")]
    schema = None if q.schema is None else serde.dumps(dict(q.schema), "schema")
    payload = serde.dumps(q.payload, "payload")
    return [
        q.id, q.thread_id, q.node, q.task_id, q.position, q.digest, payload, to_epoch(q.created_at),
        q.kind, schema, q.key, _epoch(q.deadline), default, q.assignee, q.graph, q.path, q.escalate_to, q.four_eyes, q.quorum,
    ]  # fmt: skip


def several_of(w: Sequence[Any]) -> tuple[tuple[str, ...], int]:
    """`four_eyes` and `quorum` of a question's record, without reading what it asks."""
    return _several(w[0], w[17:])


def has_schema(w: Sequence[Any]) -> bool:
    """The same for whether its author gave a schema."""
    return w[9] is not None


def question_from_wire(serde: Serde, w: Sequence[Any]) -> Question:
    four_eyes, quorum = several_of(w)
    return Question(
        id=w[0],
        thread_id=w[1],
        node=w[2],
        task_id=w[3],
        position=w[4],
        digest=w[5],
        payload=serde.loads(w[6]),
        created_at=from_epoch(w[7]),
        kind=w[8],
        schema=None if w[9] is None else serde.loads(w[9]),
        key=w[10],
        deadline=_time(w[11]),
        default=serde.loads(w[12][0]) if w[12] else UNSET,
        assignee=w[13],
        graph=w[14],
        path=tuple(w[15]),
        escalate_to=w[16],
        four_eyes=four_eyes,
        quorum=quorum,
    )


def decision_to_wire(serde: Serde, d: Decision) -> list[Any]:
    answer = serde.dumps(d.answer, "answer")
    return [d.interrupt_id, d.thread_id, d.node, d.number, answer, d.reviewer, to_epoch(d.decided_at), d.how, d.payload_digest, d.seq]


def decision_from_wire(serde: Serde, w: Sequence[Any]) -> Decision:
    return Decision(w[0], w[1], w[2], w[3], serde.loads(w[4]), w[5], from_epoch(w[6]), w[7], w[8], w[9])


_USUAL: Final = [[], 1]


def _several(interrupt_id: str, w: Sequence[Any]) -> tuple[tuple[str, ...], int]:
    """Who may not answer, and how many have to; of a record from before there was either: nobody, and one."""
    if not w or (w == _USUAL and type(w[1]) is int):
        return (), 1
    four_eyes, quorum, *more = w
    names = isinstance(four_eyes, list) and all(isinstance(name, str) and name.strip() for name in four_eyes)
    if more or not names or type(quorum) is not int or quorum < 1:
        raise CorruptStoreError(
            f"question {interrupt_id} says that four_eyes is {shown(four_eyes)} and quorum {shown(quorum)}, which no question can: it was altered, "
            f"or written by a newer hitl_nb; restore the store from a backup, or pip install --upgrade hitl-nb",
            interrupt_id=interrupt_id,
        )
    return tuple(four_eyes), quorum


def _epoch(at: datetime | None) -> float | None:
    return None if at is None else to_epoch(at)


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else from_epoch(seconds)
