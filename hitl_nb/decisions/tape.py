"""The tape: what was decided on threads, as an answers file that gives the same answers to the same questions again.

A question is named by its thread, its node, its key, and by when and where the node asked it; and the entry holds a digest of the payload and of the
schema that were answered, so that an answer is never given to something else unseen. Only decisions that count where the thread stands replay. Those
that were taken back, and the defaults of deadlines, stand in comments: a replay is not asked the ones, and nobody gave the others.
Where several reviewers had to answer alike, each one's vote is an entry, with `by:`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.progress import bar
from hitl_nb.checkpoint.questions import EXPIRED
from hitl_nb.checkpoint.records import Decision, Question
from hitl_nb.checkpoint.reviewers import folded
from hitl_nb.checkpoint.standing import asked_in_order, standing_decisions
from hitl_nb.checkpoint.voting import Vote, latest
from hitl_nb.decisions.answering import brief
from hitl_nb.decisions.answers.entry import Taped
from hitl_nb.decisions.answers.excerpt import excerpt
from hitl_nb.decisions.answers.reading import TAPE_VERSION
from hitl_nb.decisions.answers.script import Script
from hitl_nb.decisions.answers.suggestion import escaped, one_line
from hitl_nb.decisions.answers.values import to_plain
from hitl_nb.decisions.wording import plural
from hitl_nb.errors import AnswersFileError, ReviewersFileError, UnknownThreadError, utc
from hitl_nb.plain.yaml_json import dump


def tape(saver: Checkpointer, thread_ids: Iterable[str], *, times: bool = False) -> str:
    """The answers file of these threads, in the order of their names. The same decisions make the same text; `times` adds when each was made.

    Raises UnknownThreadError for a thread that the store does not hold (any more), NotSerializableError for an answer that cannot be written.
    """
    named = sorted(set(thread_ids))
    lines = [
        f"# The decisions of {plural(len(named), 'thread')}, written by hitl_nb. review(graph, input, thread_id=…, answers=PATH_OF_THIS_FILE)",
        "# gives these answers again. on_change: what becomes of an answer whose question reads otherwise now (fail, ask or accept).",
        f"tape: {TAPE_VERSION}",
        "on_change: fail",
    ]
    blocks = [line for thread_id in bar(named, "Threads", total=len(named)) for line in _of_thread(saver, thread_id, times=times)]
    lines += ["answers:", *blocks] if any(not line.startswith("#") for line in blocks) else ["answers: []", *blocks]
    return "\n".join([*lines, "...", ""])


def write_tape(path: str | os.PathLike[str], text: str) -> Path:
    """Write a tape, whole or not at all. Raises AnswersFileError when it cannot be written."""
    target = Path(path).expanduser()
    part = target.with_name(f".{target.name}.part")
    try:
        part.write_text(text, encoding="utf-8", newline="\n")
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise AnswersFileError(f"the tape cannot be written to {target}: {error}. Name another place") from None
    return target


def _of_thread(saver: Checkpointer, thread_id: str, *, times: bool) -> list[str]:
    head = saver.head(thread_id)
    if head is None:
        made = len(saver.decisions(thread_id, deleted=True))
        was = f"was deleted; hitl-nb audit shows its {plural(made, 'decision')}" if made else "is not in the store; hitl-nb audit lists what is"
        raise UnknownThreadError(f"thread {thread_id!r} {was}. Nothing was taped", thread_id=thread_id)
    counts = {d.interrupt_id: d for d in standing_decisions(saver, thread_id)}
    asked = asked_in_order(saver, thread_id)
    numbers = Script([])
    numbers.meet(asked)
    rounds, several = Counter[tuple[str, ...]](), set[tuple[str, ...]]()
    for question in asked:
        rounds[question.place] = max(rounds[question.place], numbers.nth(question))  # a pause before or after the node is counted for itself
        several |= {question.place} if question.position else set()
    lines = []
    for question in asked:
        decision = counts.get(question.id)
        votes: list[Decision | Vote] = [*_votes(saver, question)] if question.quorum > 1 else []
        if decision is not None and decision.how == EXPIRED:
            lines.append(f"# {_place(question)} got its default {_shown(decision)}, as nobody answered in time; the deadline decides, no entry does")
            continue
        nth = numbers.nth(question) if rounds[question.place] > 1 else None
        for given in votes or ([] if decision is None else [decision]):
            if times:
                lines.append(f"# {utc(given.voted_at if isinstance(given, Vote) else given.decided_at)}, {one_line(given.how)}")
            lines.append(dump([_entry(saver, question, given, nth, in_round=question.place in several)]).rstrip("\n"))
    for decision in saver.decisions(thread_id):
        if decision.interrupt_id not in counts:
            gone = "the thread was pruned since, so it cannot be replayed" if decision.seq < head.first else "that was taken back"
            where = f"thread {one_line(thread_id)}, node {one_line(decision.node)}"
            lines.append(f"# {where} was answered {_shown(decision)} by {one_line(decision.reviewer)}, and {gone}")
    return lines


def _votes(saver: Checkpointer, question: Question) -> list[Vote]:
    """Each reviewer's last. Two names of one person are two where it is replayed without the same reviewers file, so only the later one is taped."""
    try:
        return saver.standing_votes(question.id)
    except ReviewersFileError:
        return latest(saver.votes(question.id), folded)


def _entry(saver: Checkpointer, question: Question, decision: Decision | Vote, nth: int | None, *, in_round: bool) -> dict[str, Any]:
    was = Taped.of(question)
    entry = {
        "thread": escaped(question.thread_id),
        "node": escaped("/".join(question.place)),
        "key": question.key,
        "nth": nth,
        "position": question.position if in_round else None,
    }
    entry = {name: value for name, value in entry.items() if value is not None}
    entry |= {"answer": to_plain(decision.answer, saver.serde), "by": decision.reviewer, "payload": was.payload}
    return entry | ({} if was.schema is None else {"schema": was.schema}) | {"asked": excerpt(question.payload)}


def _place(question: Question) -> str:
    return f"thread {one_line(question.thread_id)}, node {one_line('/'.join(question.place))}"


def _shown(decision: Decision) -> str:
    return one_line(brief(decision.answer))
