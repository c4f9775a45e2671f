"""The open questions of a store that somebody wants to see, in the order to answer them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.questions import OpenQuestion
from hitl_nb.checkpoint.records import LATEST
from hitl_nb.decisions.wording import readable
from hitl_nb.errors import UnknownTypeError

Order = Literal["deadline", "age"]
"""deadline: what is due first; what has no deadline behind that, the oldest first. age: the oldest first."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which open questions are meant. What is left out says nothing; everything that is given has to fit."""

    graph: str | None = None
    """Name of the graph."""
    node: str | None = None
    assignee: str | None = None
    """Who is asked; an empty text: nobody in particular."""
    thread: str | None = None
    """A thread's id, or a glob such as `article-*`."""
    threads: Collection[str] | None = None
    """Ids of threads."""
    overdue: bool = False
    """Only those whose deadline has passed."""
    text: str = ""
    """Words that all occur in the payload, the thread, the node, the graph or the assignee, in any case."""

    def fits(self, q: OpenQuestion, now: datetime) -> bool:
        """Everything but `text`, which needs the whole question."""
        return (
            self.graph in (None, q.graph)
            and self.node in (None, q.node)
            and self.assignee in (None, q.assignee or "")
            and (self.thread is None or q.thread_id == self.thread or fnmatchcase(q.thread_id, self.thread))
            and (self.threads is None or q.thread_id in self.threads)
            and (not self.overdue or q.overdue(now))
        )


def waiting(saver: Checkpointer, filters: Filters | None = None, *, now: datetime, sort: Order = "deadline") -> list[OpenQuestion]:
    """The open questions that the filters let through. Costs nothing for threads that wait for nobody; `text` reads the questions themselves.

    Raises ValueError for an unknown `sort`.
    """
    if sort not in get_args(Order):
        raise ValueError(f"sort is {sort!r}; expected 'deadline' or 'age'")
    wanted = filters or Filters()
    words = wanted.text.casefold().split()
    found = [q for q in saver.open_questions() if wanted.fits(q, now) and (not words or speaks_of(saver, q, words))]
    return in_order(found, sort)


def in_order(questions: Iterable[OpenQuestion], sort: Order) -> list[OpenQuestion]:
    """The questions in the order to answer them."""
    return sorted(questions, key=_due if sort == "deadline" else _asked)


def _asked(q: OpenQuestion) -> tuple[datetime, str]:
    return q.created_at, q.interrupt_id


def _due(q: OpenQuestion) -> tuple[datetime, datetime, str]:
    return q.deadline or LATEST, q.created_at, q.interrupt_id


def speaks_of(saver: Checkpointer, q: OpenQuestion, words: Iterable[str]) -> bool:
    """Whether all these words, in lower case, occur in the question or in the names around it."""
    names = " ".join((q.thread_id, q.node, q.graph, q.assignee or "")).casefold()
    left = [word for word in words if word not in names]
    if not left:
        return True
    try:
        question = saver.question(q.interrupt_id)
    except UnknownTypeError:  # it says nothing here; the other questions are listed all the same
        return False
    said = "" if question is None else _text(question.payload).casefold()
    return all(word in said for word in left)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "\n".join(f"{_text(k)}: {_text(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return "\n".join(map(_text, value))
    return readable(value)
