"""Asks on a plain terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

from hitl_nb.checkpoint.records import UNSET
from hitl_nb.checkpoint.voting import Vote
from hitl_nb.decisions.answering import brief, build_answer
from hitl_nb.decisions.fields.field import Field
from hitl_nb.decisions.fields.scalars import UnreadableError, said_value
from hitl_nb.decisions.parts import lines as as_lines
from hitl_nb.decisions.request import Form, Option, Request
from hitl_nb.decisions.rows.table import found_in
from hitl_nb.decisions.saying import option_said
from hitl_nb.decisions.wording import printable
from hitl_nb.errors import DeadlinePassedError, InvalidAnswerError, NotEntitledError
from hitl_nb.responders.base import Submit


def tell(text: str) -> None:
    """Print the text; what the terminal's encoding lacks as an escape. A question is untrusted, and must not end the run that asks it."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")


class ConsoleResponder:
    """Shows each question on the terminal and asks again until the answer is valid. Ctrl-D or a passed deadline leaves it open."""

    how = "console"
    answers_later = False

    def __init__(self, *, read: Callable[[str], str] = input, write: Callable[[str], None] = tell) -> None:
        self._read = read
        self._print = write

    def ask(self, request: Request, submit: Submit) -> None:
        form = request.form
        self._write(f"\n{form.heading}\n{request.question.origin}, thread {request.question.thread_id}")
        for text in (*described(request), *standing(request)):
            self._write(text)
        if request.barred:
            self._write("Left open.")
            return
        try:
            while True:
                try:
                    made = submit(self._answer(form))
                except InvalidAnswerError as error:
                    self._write(f"Not sent: {error}")
                except (DeadlinePassedError, NotEntitledError) as error:  # no other answer would be taken either
                    self._write(f"Not sent: {error}")
                    return
                else:
                    if isinstance(made, Vote):
                        self._write(f"Recorded: {made.standing}. It stays open until {made.quorum} reviewers have given the same answer.")
                    return
        except EOFError:
            self._write("Left open.")

    def _write(self, text: str) -> None:
        self._print(printable(text))

    def _answer(self, form: Form) -> Any:
        option = form.options[0] if form.control in ("text", "editor", "json") or len(form.options) == 1 else self._choose(form)
        text, filled = None, UNSET
        if form.control == "text":
            text = self._read("Your answer: ")
        elif form.root is not None and form.root.kind in ("text", "number", "moment", "choice"):
            filled = self._value(form.root)
        elif form.control in ("json", "form", "table", "actions"):
            if form.template:
                self._write(f"The shape of the answer:\n{_indented(form.template)}")
            text = self._lines("Your answer as JSON")
        elif form.control == "editor" or option.edits:
            text = self._lines(f"The edited {form.subject_label.lower()}")
        elif len(form.options) == 1:
            self._write(option.label)
            self._read("Press Enter. ")
        comment = ""
        if form.comment and form.comment_label.startswith("Comment"):
            comment = self._read("Comment: " if option.needs_comment else f"{form.comment_label}: ")
        elif form.comment and option.needs_comment:
            comment = self._lines(form.comment_label)
        return build_answer(form, option.value, text=text, filled=filled, comment=comment)

    def _value(self, field: Field) -> Any:
        if field.choices:
            self._write(f"One of: {', '.join(c.label for c in field.choices)}")
        try:
            return said_value(field, self._read("Your answer: "))
        except UnreadableError as error:
            raise InvalidAnswerError(str(error)) from None

    def _choose(self, form: Form) -> Option:
        # Options that are numbers themselves get no others beside them: a typed 1 could be the first option, or the one that is called 1.
        numbered = not any(o.label.isdecimal() or str(o.value).isdecimal() for o in form.options)
        for n, option in enumerate(form.options, 1):
            self._write(f"  {n}. {option.label}" if numbered else f"  {option.label}")
        known = f"a number from 1 to {len(form.options)}" if numbered else "one of them"
        while True:
            typed = self._read(f"Your choice (1-{len(form.options)}): " if numbered else "Your choice: ").strip()
            meant = option_said(form.options, typed, numbered=numbered)
            if meant is not None:
                return meant
            self._write(f"Not sent: {typed!r} is none of them; type {known}.")

    def _lines(self, what: str) -> str:
        self._write(f"{what}, then a line with a single dot:")
        lines = []
        while (line := self._read("")) != ".":
            lines.append(line)
        return "\n".join(lines)


def described(request: Request) -> Iterator[str]:
    """What a question shows below its heading, as plain texts: what is asked, the facts, the larger parts, the text or the rows to judge."""
    form = request.form
    if form.instruction:
        yield form.instruction
    width = max((len(k) for k in form.facts), default=0)
    for key, value in form.facts.items():
        lines = str(value).splitlines() or [""]
        yield f"  {key:<{width}}  " + f"\n  {'':<{width}}  ".join(lines)
    for part in form.parts:
        yield "\n".join(as_lines(part))
    if form.subject is not None:
        yield f"{form.subject_label}:\n{_indented(form.subject)}"
    if form.control == "table" and (asked := found_in(request.question.payload)) is not None:
        yield f"Rows:\n{_indented(asked.as_text())}"


def standing(request: Request) -> Iterator[str]:
    """Who may not answer it, what others answered already, and what is in the way; nothing for most questions."""
    question = request.question
    if question.quorum > 1:
        yield f"{question.quorum} reviewers have to give the same answer{'' if request.votes else '; none has answered yet'}."
    for vote in request.votes:
        yield f"  {vote.reviewer} answered {brief(vote.answer)}{' (you; another answer replaces it)' if vote is request.own_vote else ''}"
    if request.hurdle:
        yield request.hurdle
    if request.barred:
        yield request.barred


def _indented(text: str) -> str:
    return "\n".join(f"  | {line}" for line in text.splitlines())
