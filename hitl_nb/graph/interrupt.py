"""`interrupt()`: pause the node that runs, and return the answer when it runs again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from hitl_nb.checkpoint.ledger import Ledger
from hitl_nb.checkpoint.records import UNSET, Asked, PlannedTask, Question, fingerprint
from hitl_nb.checkpoint.serde import Serde
from hitl_nb.decisions.check import answer_schema, remember_schema, typed_answer
from hitl_nb.errors import NoCheckpointerError, OutsideNodeError, QuestionChangedError, SwallowedInterruptError
from hitl_nb.graph.sameness import asks_the_same


def interrupt(
    payload: Any,
    *,
    schema: Any = None,
    response_schema: Any = None,
    key: str | None = None,
    deadline: datetime | timedelta | None = None,
    default: Any = UNSET,
    assignee: str | None = None,
) -> Any:
    """Ask a person, and return the answer.

    The first call stores the question and pauses the node (semantics R2): the graph returns, and when the answer is there the node runs again from
    its top, this call then returns the answer. A node that asks n questions runs n + 1 times, so do expensive work in a node of its own.

    payload: what the reviewer sees; anything the checkpointer can store.
    schema (or response_schema): a pydantic model, dataclass, TypedDict, Enum, Literal, builtin type or JSON Schema dict. Answers are checked
        against it before they are recorded, and come back as an instance of it.
    key: a name for this question, for answers files.
    deadline: an aware datetime, or a timedelta from now; stored with the question. default: stored with it.
    assignee: who is asked.

    Raises NotSerializableError when the payload cannot be stored, NoCheckpointerError when the graph has no checkpointer, OutsideNodeError when no
    node runs, QuestionChangedError when the node asks something else than what was answered.
    """
    scope = current_scope.get()
    if scope is None:
        raise OutsideNodeError("interrupt() was called where no node runs; call it inside a node, on the node's own thread or task")
    if schema is not None and response_schema is not None:
        raise TypeError("interrupt() got schema= and response_schema=; they are the same, give one")
    return scope.ask(
        payload, schema=schema if schema is not None else response_schema, key=key, deadline=deadline, default=default, assignee=assignee
    )


class Pause(BaseException):
    """The signal that unwinds a node that asks. A BaseException, so that `except Exception` cannot swallow it (semantics R3)."""

    def __init__(self, question: Question, replaces: str | None = None) -> None:
        super().__init__(f"node {question.node!r} asks; this signal must reach the graph")
        self.question = question
        self.replaces = replaces
        """Id of an open or answered question at this position that no longer applies."""


@dataclass(slots=True)
class Scope:
    """What `interrupt()` of one node execution works on: the task's questions so far."""

    task: PlannedTask
    serde: Serde | None
    """None: no checkpointer, so nothing can pause."""
    ledger: Ledger
    thread_id: str
    graph: str
    now: Callable[[], datetime]
    seq: int
    questions: Mapping[str, Question]
    """What the task has asked so far, by id."""
    moved: bool
    """True when the state was updated since the task was planned: a changed question is asked anew instead of being an error."""
    position: int = 0
    pause: Pause | None = None
    asker: object = None
    """The thread or asyncio task in which `pause` was raised."""
    refused: Exception | None = None
    """Why a question got no answer and cannot get one: a node that catches this must not end as if it had been answered."""

    def ask(self, payload: Any, *, schema: Any, **rest: Any) -> Any:
        if self.pause is not None:
            if _asker() != self.asker:  # asked side by side with the first question, for example in one TaskGroup: its turn comes
                raise Pause(self.pause.question, self.pause.replaces)
            raise SwallowedInterruptError(_swallowed(self.task.node), node=self.task.node, thread_id=self.thread_id) from self.pause
        if self.refused is not None:
            raise self.refused
        if self.serde is None:
            self.refused = NoCheckpointerError(
                f"node {self.task.node!r} called interrupt(), but the graph was compiled without a checkpointer, so the pause could not be "
                f"stored; use builder.compile(checkpointer=MemorySaver()) or DiskCacheSaver(folder)",
                node=self.task.node,
            )
            raise self.refused
        position, self.position = self.position, self.position + 1
        digest = self.serde.digest(payload, "payload")
        if rest["default"] is not UNSET:
            self.serde.dumps(rest["default"], "default")  # fails here, in the node, and not when the question is stored
        asked = next((a for a in self.ledger.of_task(self.task.id) if a.position == position), None)
        answered = self.ledger.answered.get(asked.interrupt_id) if asked else None
        same = asked is not None and self._same(asked, digest, payload)
        if asked and answered and (same or answered.rebind):
            answer = self.serde.loads(answered.answer)
            return answer if schema is None else typed_answer(schema, answer)
        if asked and answered and not self.moved:
            self.refused = QuestionChangedError(
                self._changed(asked, position), node=self.task.node, thread_id=self.thread_id, interrupt_id=asked.interrupt_id
            )
            raise self.refused
        question = self.questions[asked.interrupt_id] if asked and same else self._question(payload, schema, position, digest, **rest)
        if schema is not None:
            remember_schema(question.id, schema)
        self.pause, self.asker = Pause(question, replaces=asked.interrupt_id if asked and not same else None), _asker()
        raise self.pause

    def _same(self, asked: Asked, digest: str, payload: Any) -> bool:
        """True when the payload is what was asked, or differs by readings of the clock only."""
        if asked.digest == digest or self.serde is None:
            return True
        if asked.carried:  # the state was updated since: a time that differs may be what the update changed
            return False
        stored = self.questions[asked.interrupt_id]
        return asks_the_same(stored.payload, payload, stored.created_at, self.now(), partial(self.serde.digest, path="payload"))

    def _question(self, payload: Any, schema: Any, position: int, digest: str, *, key: Any, deadline: Any, default: Any, assignee: Any) -> Question:
        return Question(
            id=self._id(position, digest),
            thread_id=self.thread_id,
            node=self.task.node,
            task_id=self.task.id,
            position=position,
            digest=digest,
            payload=payload,
            created_at=self.now(),
            schema=None if schema is None else answer_schema(schema),
            key=key,
            deadline=_due(deadline, self.now),
            default=default,
            assignee=assignee,
            graph=self.graph,
        )

    def _id(self, position: int, digest: str) -> str:
        """Stable while the same question is open; another one after each withdrawal or update, so that an old answer never fits."""
        for asked in self.ledger.of_task(self.task.id):
            if (asked.position, asked.digest) == (position, digest):
                return asked.interrupt_id
        times = len(self.ledger.withdrawn.get((self.task.id, position), ()))
        return fingerprint(self.task.id, position, digest, *([times, self.seq] if times or self.moved else []))

    def _changed(self, asked: Asked, position: int) -> str:
        return (
            f"node {self.task.node!r} (thread {self.thread_id!r}) ran again and its question {position + 1} reads differently than the one "
            f"that was answered ({asked.interrupt_id}), so the answer was not delivered. Make the node ask the same until it returns (keep what "
            f"changes in the state), or discard the answer with graph.reopen(config, {asked.interrupt_id!r}) to ask again"
        )


def _asker() -> object:
    try:
        return asyncio.current_task() or threading.get_ident()
    except RuntimeError:  # no event loop runs in this thread
        return threading.get_ident()


current_scope: ContextVar[Scope | None] = ContextVar("hitl_nb_scope", default=None)


def check_not_swallowed(scope: Scope) -> None:
    """Raise SwallowedInterruptError when the node came to an end although it had asked."""
    if scope.pause is not None:
        raise SwallowedInterruptError(_swallowed(scope.task.node), node=scope.task.node, thread_id=scope.thread_id) from scope.pause


def _swallowed(node: str) -> str:
    return (
        f"node {node!r} caught the pause signal of interrupt() (a bare `except:` or `except BaseException`) and went on; nothing was answered. "
        f"Catch Exception instead, or re-raise hitl_nb's signal"
    )


def _due(deadline: Any, now: Callable[[], datetime]) -> datetime | None:
    if deadline is None:
        return None
    if isinstance(deadline, timedelta):
        return now() + deadline
    if not isinstance(deadline, datetime) or deadline.tzinfo is None:
        raise TypeError(f"deadline is {deadline!r}; expected a timedelta, or a datetime with a time zone such as datetime.now(UTC) + …")
    return deadline.astimezone(UTC)
