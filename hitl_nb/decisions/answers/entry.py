"""One scripted answer: which questions it fits, and the answer that it gives."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

from hitl_nb.checkpoint.records import Question
from hitl_nb.checkpoint.serde import Serde
from hitl_nb.decisions.answering import build_answer
from hitl_nb.decisions.answers.equality import holds
from hitl_nb.decisions.forms import form_for
from hitl_nb.errors import InvalidAnswerError

_DIGEST: Final = "blake2b:"


@dataclass(frozen=True, slots=True)
class Taped:
    """What the question was when it was answered, of an entry in a tape."""

    payload: str
    """Digest of the payload."""
    schema: str | None = None
    """Digest of the JSON Schema of the answer; None: it had none."""
    asked: Any = None
    """The payload as far as the tape shows it."""

    @classmethod
    def of(cls, question: Question, asked: Any = None) -> Taped:
        schema = None if question.schema is None else _DIGEST + Serde().digest(dict(question.schema), "schema")
        return cls(_DIGEST + question.digest, schema, asked)

    def same(self, question: Question) -> bool:
        """True when payload and schema are what was answered."""
        now = Taped.of(question)
        return (now.payload, now.schema) == (self.payload, self.schema)


@dataclass(slots=True)
class Entry:
    """One scripted answer, and which questions it fits."""

    answer: Any
    place: str
    """Where it was written, for messages: `answers.yaml, line 4`."""
    thread: str | None = None
    """The thread's id, or a glob such as `article-*`."""
    node: str | None = None
    """The node's name, with those around it where that is needed (`outer/review`), or a glob."""
    key: str | None = None
    when: Mapping[str, Any] = field(default_factory=dict)
    times: int | None = 1
    """How many questions it may answer; None: any number."""
    by: str | None = None
    in_order: bool = False
    """Written without conditions of its own, in a list: for the question at its place."""
    used: int = 0
    nth: int | None = None
    """1: the first time that the node asks in the thread, 2: the second time (the next round of a loop), …"""
    position: int | None = None
    """0: the first question that the node asks each time, 1: the one after it, …"""
    edits: bool = False
    """`answer` is what becomes of the text or data to edit, and the answer is what a card would make of that."""
    comment: str = ""
    """For an edit: what a person would write into the comment box."""
    taped: Taped | None = None

    def fits(self, question: Question, nth: int = 1) -> bool:
        """True when it is not used up and every condition holds. `nth`: how often the question's node has come to ask."""
        return (self.nth is None or self.nth == nth) and self.fits_any_time(question)

    def fits_any_time(self, question: Question) -> bool:
        """The same without `nth`."""
        return (
            (self.times is None or self.used < self.times)
            and self.is_for(question.thread_id)
            and (self.node is None or any(name == self.node or fnmatchcase(name, self.node) for name in (question.node, "/".join(question.place))))
            and (self.key is None or self.key == question.key)
            and (self.position is None or self.position == question.position)
            and (not self.when or holds(self.when, question.payload))
        )

    def is_for(self, thread_id: str) -> bool:
        """True when it may answer questions of this thread."""
        return self.thread is None or self.thread == thread_id or fnmatchcase(thread_id, self.thread)

    @property
    def exactness(self) -> tuple[int, ...]:
        """How closely each kind of condition names a question: 0 not at all, a glob less than a name, and the more fields the more."""
        names = [0 if name is None else 1 if _is_glob(name) else 2 for name in (self.thread, self.node)]
        return (*names, *(int(c is not None) for c in (self.key, self.nth, self.position)), len(self.when))

    @property
    def conditions(self) -> tuple[Any, ...]:
        return (self.thread, self.node, self.key, dict(self.when), self.nth, self.position)

    def given(self, question: Question) -> Any:
        """The answer that it gives to this question, not yet checked. Raises InvalidAnswerError when there is nothing to edit."""
        if not self.edits:
            return self.answer
        form = form_for(question, reviewer=self.by or "")
        option = next((o for o in form.options if o.edits), None)
        if option is None and form.shape == "text":
            option = form.options[0]
        if option is None:
            raise InvalidAnswerError(
                f"node {question.node!r} asks for nothing that can be edited, so edit: says no answer; write it whole, as answer:",
                thread_id=question.thread_id,
                node=question.node,
                interrupt_id=question.id,
            )
        if isinstance(self.answer, Mapping):
            before = _data(form.subject if form.subject is not None else form.template)
            return build_answer(form, option.value, filled=_patched(before, self.answer), comment=self.comment)
        if form.parse and not isinstance(self.answer, str):
            return build_answer(form, option.value, filled=self.answer, comment=self.comment)
        text = self.answer if isinstance(self.answer, str) else json.dumps(self.answer, ensure_ascii=False)
        return build_answer(form, option.value, text=text, comment=self.comment)


def _is_glob(text: str) -> bool:
    return any(c in text for c in "*?[")


def _data(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _patched(before: Any, changes: Mapping[str, Any]) -> Any:
    """JSON Merge Patch (RFC 7396): the fields that are named change, null removes one, the others stay."""
    made = dict(before) if isinstance(before, Mapping) else {}
    for key, value in changes.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = _patched(made.get(key), value) if isinstance(value, Mapping) else value
    return made
