"""Answers from a script: a list, a mapping by node, an answers file."""

from __future__ import annotations

from hitl_nb.decisions.request import Request
from hitl_nb.decisions.script import OnMissing, Script, suggestion
from hitl_nb.errors import InvalidAnswerError, MissingAnswerError
from hitl_nb.responders.base import Submit


class ScriptedResponder:
    """Answers at once from `script`. A question that no entry fits fails, or stays open where `on_missing` or the script says leave_open."""

    how = "script"
    answers_later = False

    def __init__(self, script: Script, *, on_missing: OnMissing = "fail") -> None:
        self.script = script
        self._leave_open = "leave_open" in (on_missing, script.on_missing)

    def ask(self, request: Request, submit: Submit) -> None:
        entry = self.script.entry_for(request.question)
        if entry is None:
            if not self._leave_open:
                raise missing_answer(request, f"no unused entry of {self.script.source} fits it", self.script)
            return
        try:
            submit(entry.answer, reviewer=entry.by)
        except InvalidAnswerError as error:
            raise InvalidAnswerError(
                f"{entry.place}: {error}",
                thread_id=error.thread_id,
                node=error.node,
                interrupt_id=error.interrupt_id,
                path=error.path,
            ) from None
        entry.used += 1


class NobodyResponder:
    """Where no person and no script is: fails with the lines to add, or leaves the question open."""

    how = "nobody"
    answers_later = False

    def __init__(self, *, on_missing: OnMissing = "fail") -> None:
        self._leave_open = on_missing == "leave_open"

    def ask(self, request: Request, submit: Submit) -> None:
        if not self._leave_open:
            raise missing_answer(request, "no person can be asked here and no answers were given")


_PLACE = {"entries": "below `answers:` of", "list": "at the end of", "nodes": "(into the list of this node, where it has one) to"}


def missing_answer(request: Request, why: str, script: Script | None = None) -> MissingAnswerError:
    """The error for a question that nothing answers, with the lines that would: a whole answers file, or what to add to the script."""
    question, lines = request.question, suggestion(request.question, script)
    place = f"{_PLACE[script.shape]} {script.source}" if script else "to the answers file (answers=, the parameter hitl_answers, or HITL_NB_ANSWERS)"
    return MissingAnswerError(
        f"node {question.node!r} of thread {question.thread_id!r} asks {request.form.heading!r}, and {why}. The question stays open. "
        f"Add {place} and run again:\n\n{lines}\n",
        thread_id=question.thread_id,
        node=question.node,
        interrupt_id=question.id,
        suggestion=lines,
    )
