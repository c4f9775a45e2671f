"""`Command(resume=…)`: which open question each answer is for (semantics R8, R10). Nothing is guessed and nothing is delivered elsewhere."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.reading import already_answered
from hitl_nb.checkpoint.records import Decision, Head, Question
from hitl_nb.decisions.check import check_answer
from hitl_nb.errors import (
    AlreadyAnsweredError,
    AmbiguousAnswerError,
    HitlError,
    InvalidAnswerError,
    NotWaitingError,
    StaleCheckpointError,
    shown,
    utc,
)

_ID: Final = re.compile(r"[0-9a-f]{32}")


def decider(reviewer: str, how: str, now: Callable[[], datetime]) -> Callable[[Question, Any], Decision]:
    """Makes the decision record for a checked answer."""

    def decide(question: Question, answer: Any) -> Decision:
        return Decision.on(question, answer, reviewer=reviewer, how=how, at=now())

    return decide


def match(
    saver: Checkpointer, thread_id: str, head: Head, questions: Mapping[str, Question], resume: Any, decide: Callable[[Question, Any], Decision]
) -> tuple[list[Decision], deque[Any]]:
    """The decisions that `resume` makes on the open questions (by id, in task order), checked; and the answers of a list that are left.

    Raises AmbiguousAnswerError, UnknownInterruptError, AlreadyAnsweredError, NotWaitingError, InvalidAnswerError; nothing was recorded then.
    """
    try:
        return _match(saver, thread_id, head, questions, resume, decide)
    except (HitlError, MemoryError):
        raise
    except Exception as error:
        raise InvalidAnswerError(
            f"Command(resume=…) for thread {thread_id!r} cannot be read ({type(error).__name__}: {shown(error)}); nothing was taken, and what was "
            f"open is open. Expected plain data: None, bool, number, text, list or dict",
            thread_id=thread_id,
        ) from error


def _match(
    saver: Checkpointer, thread_id: str, head: Head, questions: Mapping[str, Question], resume: Any, decide: Callable[[Question, Any], Decision]
) -> tuple[list[Decision], deque[Any]]:
    if isinstance(resume, Mapping) and not resume:
        raise AmbiguousAnswerError(
            f"Command(resume={{}}) holds no answer; open questions of thread {thread_id!r}: {_names(questions)}. To answer one with an empty "
            f"mapping, go by id: Command(resume={{id: {{}}}})",
            thread_id=thread_id,
        )
    by_id = _by_id(resume, questions)
    if by_id is None and not questions:
        raise _nothing_open(saver, thread_id, head)
    if by_id is not None:
        for interrupt_id in by_id:
            if interrupt_id not in questions:
                saver.require_open(thread_id, interrupt_id)
        pairs, left = [(questions[i], a) for i, a in by_id.items()], deque[Any]()
    elif isinstance(resume, list):
        if not resume:
            raise AmbiguousAnswerError(
                f"Command(resume=[]) holds no answer; open questions of thread {thread_id!r}: {_names(questions)}. To answer one with an empty "
                f"list, go by id: Command(resume={{id: []}})",
                thread_id=thread_id,
            )
        pairs, left = list(zip(questions.values(), resume, strict=False)), deque(resume[len(questions) :])
    elif len(questions) > 1:
        raise AmbiguousAnswerError(
            f"one answer came, but {len(questions)} questions of thread {thread_id!r} are open: {_names(questions)}. Say which one it is for with "
            f"Command(resume={{id: answer}}), or answer them in order with a list",
            thread_id=thread_id,
        )
    else:
        pairs, left = [(next(iter(questions.values())), resume)], deque()
    return [decide(question, check_answer(question, answer)) for question, answer in pairs], left


def require_current(saver: Checkpointer, thread_id: str, head: Head, seq: int | None, *, given: str = "the answer") -> None:
    """Raise when the thread has left the checkpoint that `given` is for: AlreadyAnsweredError where an answer is why, else StaleCheckpointError."""
    if seq is None or seq == head.seq:
        return
    for decision in reversed(saver.decisions(thread_id)):
        if decision.seq == seq and given == "the answer":
            raise already_answered(decision)
    raise StaleCheckpointError(
        f"{given} is for checkpoint {seq} of thread {thread_id!r}, which is now at {head.seq}; it was not taken. Read get_state(config) without "
        f"checkpoint_id for what is open now, or go back with invoke(None, config_of_the_checkpoint)",
        thread_id=thread_id,
    )


def _by_id(resume: Any, questions: Mapping[str, Question]) -> Mapping[str, Any] | None:
    """The answers by id when `resume` is a mapping of ids, else None."""
    if not isinstance(resume, Mapping):
        return None
    ids = [k for k in resume if isinstance(k, str) and (k in questions or _ID.fullmatch(k))]
    if not ids:
        return None
    if len(ids) < len(resume):
        other = next(k for k in resume if k not in ids)
        raise AmbiguousAnswerError(
            f"Command(resume=…) mixes the interrupt id {ids[0]!r} with the key {shown(other)}; give only ids, or wrap the answer: "
            f"{{id: {{{shown(other)}: …}}}}"
        )
    return resume


def _nothing_open(saver: Checkpointer, thread_id: str, head: Head) -> NotWaitingError | AlreadyAnsweredError:
    ledger = saver.ledger(thread_id, head)
    if ledger.answered:  # answered, and its node has not finished: somebody was first
        decision = saver.decision(next(reversed(ledger.answered)))
        if decision is not None:
            return already_answered(decision)
    made = saver.decisions(thread_id)[-1:]
    last = "".join(f"; its last question (node {d.node!r}) was answered by {d.reviewer} at {utc(d.decided_at)}" for d in made)
    return NotWaitingError(
        f"thread {thread_id!r} has no open question{last}. The answer was not taken", thread_id=thread_id, last_decision=made[0] if made else None
    )


def _names(questions: Mapping[str, Question]) -> str:
    return ", ".join(f"{i} ({q.node})" for i, q in questions.items()) or "none"
