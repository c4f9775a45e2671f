"""What a store knows of a case: its decisions and its open questions, as the plain data of a summary."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.questions import OpenQuestion
from hitl_nb.decisions.answers import suggestion
from hitl_nb.decisions.answers.script import Script
from hitl_nb.decisions.forms import form_for
from hitl_nb.decisions.wording import as_json
from hitl_nb.errors import UnknownTypeError

UNREADABLE = "(of a class that is not loaded here)"


def decisions_of(saver: Checkpointer, thread_id: str) -> list[dict[str, Any]]:
    """Every decision of the thread, the oldest first; those that were taken back, too."""
    try:
        made = saver.decisions(thread_id)
    except UnknownTypeError:  # an answer of a class of the notebook's own
        return []
    return [
        {
            "thread_id": thread_id,
            "number": d.number,
            "interrupt_id": d.interrupt_id,
            "node": d.node,
            "question": _heading(saver, d.interrupt_id),
            "answer": json.loads(as_json(d.answer)),
            "reviewer": d.reviewer,
            "how": d.how,
            "decided_at": d.decided_at.isoformat(),
        }
        for d in made
    ]


def questions_of(saver: Checkpointer, found: Iterable[OpenQuestion], script: Script | None) -> list[dict[str, Any]]:
    """These open questions, each with the lines that would answer it in an answers file."""
    return [
        {
            "interrupt_id": q.interrupt_id,
            "thread_id": q.thread_id,
            "node": q.node,
            "graph": q.graph,
            "question": _heading(saver, q.interrupt_id),
            "assignee": q.assignee,
            "deadline": None if q.deadline is None else q.deadline.isoformat(),
            "yaml": _yaml(saver, q.interrupt_id, script),
        }
        for q in found
    ]


def _heading(saver: Checkpointer, interrupt_id: str) -> str:
    try:
        question = saver.question(interrupt_id)
    except UnknownTypeError:
        return UNREADABLE
    return "" if question is None else form_for(question, reviewer="").heading


def _yaml(saver: Checkpointer, interrupt_id: str, script: Script | None) -> str:
    try:
        question = saver.question(interrupt_id)
    except UnknownTypeError:
        return ""
    return "" if question is None else suggestion(question, script, thread=True)
