"""Answers from a script: a list, a mapping by node, an answers file, a tape."""

from __future__ import annotations

import difflib
from typing import Any

from hitl_nb.checkpoint.records import Decision, Question
from hitl_nb.checkpoint.reviewers import folded
from hitl_nb.checkpoint.voting import Vote
from hitl_nb.decisions.answering import brief
from hitl_nb.decisions.answers import OnMissing, Script, suggestion
from hitl_nb.decisions.answers.entry import Entry, Taped
from hitl_nb.decisions.answers.excerpt import excerpt, lines_of
from hitl_nb.decisions.answers.suggestion import change, escaped
from hitl_nb.decisions.request import Request
from hitl_nb.errors import AnswersFileError, InvalidAnswerError, MissingAnswerError, NotEntitledError, QuestionChangedError
from hitl_nb.responders.base import Responder, Submit


class ScriptedResponder:
    """Answers at once from `script`. A question that no entry fits fails, or stays open where `on_missing` or the script says leave_open.

    A taped answer whose question reads otherwise now is not given, unless the script says `on_change: accept`; with `on_change: ask` it goes to
    `person`, who can be asked here.
    """

    how = "script"

    def __init__(self, script: Script, *, on_missing: OnMissing = "fail", person: Responder | None = None) -> None:
        self.script = script
        self._leave_open = "leave_open" in (on_missing, script.on_missing)
        self._person = person if script.on_change == "ask" else None
        self.answers_later: bool = getattr(self._person, "answers_later", True) if self._person is not None else False

    def ask(self, request: Request, submit: Submit) -> None:
        question, script = request.question, self.script
        voted = {folded(vote.reviewer) for vote in request.votes}
        vote: Vote | None = None
        while True:
            entry = script.entry_for(question, lambda e: question.quorum == 1 or folded(e.by or request.form.reviewer) not in voted)
            if entry is None:
                if not self._leave_open:
                    raise missing_answer(request, _why_missing(script, vote), script)
                return
            if entry.taped is not None and script.on_change != "accept" and not entry.taped.same(question):
                self._changed(request, submit, entry)
                return
            made = self._submitted(question, submit, entry)
            if not isinstance(made, Vote):
                return
            vote = made
            voted.add(folded(entry.by or request.form.reviewer))

    def recall(self, question: Question, given: Decision | Vote, reviewer: str) -> None:
        """Take note of an answer of an earlier run. `reviewer`: who answers where an entry does not say so."""
        who = folded(given.reviewer)
        of_voter = None if isinstance(given, Decision) else lambda e: folded(e.by or reviewer) == who
        self.script.recall(question, given.answer, scripted=given.how == self.how, fits=of_voter)

    def _submitted(self, question: Question, submit: Submit, entry: Entry) -> Decision | Vote:
        try:
            made = submit(entry.given(question), reviewer=entry.by)
        except NotEntitledError as error:
            error.args = (f"{entry.place}: {error}",)
            raise
        except InvalidAnswerError as error:
            raise InvalidAnswerError(
                f"{entry.place}: {error} Change it there to:\n\n    {change(question, entry).replace(chr(10), chr(10) + '    ')}\n",
                thread_id=error.thread_id,
                node=error.node,
                interrupt_id=error.interrupt_id,
                path=error.path,
                reason=error.reason,
            ) from None
        entry.used += 1
        return made

    def _changed(self, request: Request, submit: Submit, entry: Entry) -> None:
        if self.script.on_change == "fail":
            raise question_changed(request, entry, self.script)
        if self._person is not None:
            how = self._person.how

            def as_asked(answer: Any, *, reviewer: str | None = None, how: str | None = how) -> Decision | Vote:
                return submit(answer, reviewer=reviewer, how=how)

            self._person.ask(request, as_asked)
        elif not self._leave_open:
            why = f"its taped answer ({entry.place}) was given to another payload, and on_change: ask finds no person here"
            raise missing_answer(request, why, self.script)


def _why_missing(script: Script, vote: Vote | None) -> str:
    if vote is None:
        return f"no unused entry of {script.source} fits it"
    return (
        f"{vote.standing} reviewers have answered {brief(vote.answer)}; no unused entry of {script.source} fits it that is by somebody else (one for "
        f"each reviewer, with by:)"
    )


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
        f"Add {place} and run again:\n\n{lines}\n\n"
        'To leave it open for a person instead: on_missing="leave_open", of review() or of the run (hitl-nb run NOTEBOOK --on-missing leave_open)\n',
        thread_id=question.thread_id,
        node=question.node,
        interrupt_id=question.id,
        suggestion=lines,
    )


def question_changed(request: Request, entry: Entry, script: Script) -> QuestionChangedError:
    """The error for a taped answer whose question is another one now: what changed, and the ways out."""
    question = request.question
    return QuestionChangedError(
        f"node {question.node!r} of thread {question.thread_id!r} asks {request.form.heading!r}, and the taped answer ({entry.place}) was given to "
        f"something else. {what_changed(question, entry)}\nThe question stays open. Answer it anew in place of that entry:\n\n"
        f"{suggestion(question, script)}\n\nor set on_change: in {script.source} to accept (the old answers count) or ask (a person decides)",
        thread_id=question.thread_id,
        node=question.node,
        interrupt_id=question.id,
    )


def what_changed(question: Question, entry: Entry) -> str:
    """How a question differs from the one that a taped entry answered, as far as the tape shows it."""
    then, now = entry.taped, Taped.of(question)
    assert then is not None  # it is a tape's entry
    if then.payload == now.payload:
        return f"The schema of its answer changed ({then.schema or 'none'} then, {now.schema or 'none'} now); the payload is the same."
    digests = f"its payload is {now.payload}; {then.payload} was answered"
    before, after = lines_of(then.asked), lines_of(excerpt(question.payload))
    lines = [line for line in difflib.unified_diff(before, after, n=1, lineterm="") if not line.startswith(("---", "+++", "@@"))]
    if then.asked is None:
        return f"The tape does not show what it was ({digests}). Now:\n\n" + "\n".join(f"    {line}" for line in after)
    if not lines:
        return f"What differs is not in the tape's excerpt: the end of a long text, or a type ({digests})."
    return f"What changed, - then, + now ({digests}):\n\n" + "\n".join(f"    {line}" for line in lines)


def unused_answers(script: Script, thread_id: str) -> str | None:
    """What to tell when a thread has ended and entries for it were not asked for; None: nothing.

    An answers file serves many threads, and most use a part of it: of a file only those are told that name this very thread. With `on_unused: fail`
    every entry that may be for the thread counts, and AnswersFileError is raised.
    """
    unused = script.unused(thread_id)
    if script.on_unused != "fail" and script.source != "answers=":
        unused = [e for e in unused if e.thread in (thread_id, escaped(thread_id))]
    if not unused or script.on_unused == "ignore":
        return None
    places = ", ".join(e.place for e in unused[:5]) + (", …" if len(unused) > 5 else "")
    told = f"thread {thread_id!r} ended and {len(unused)} of the scripted answers were not asked for: {places}. Take out what is not needed, or see "
    told += f"what each entry fits:\n\n    hitl-nb check {script.source} --store FOLDER\n" if script.source != "answers=" else "session.decisions"
    if script.on_unused == "fail":
        raise AnswersFileError(told, thread_id=thread_id)
    return told
