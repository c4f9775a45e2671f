"""An answers file against the questions of a store, before anything runs: what would answer what, what is missing, what does not fit."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from hitl_nb.checkpoint.audit import log_entries
from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.progress import bar
from hitl_nb.checkpoint.records import Question, utc_now
from hitl_nb.checkpoint.reviewers import folded
from hitl_nb.checkpoint.standing import asked_in_order
from hitl_nb.decisions.answering import brief
from hitl_nb.decisions.answers.entry import Entry
from hitl_nb.decisions.answers.reading import read_script
from hitl_nb.decisions.answers.script import Script, ways_out
from hitl_nb.decisions.answers.suggestion import change, escaped, one_line, suggestion
from hitl_nb.decisions.check import check_answer
from hitl_nb.decisions.forms import form_for
from hitl_nb.errors import HitlError, utc

Level = Literal["error", "warning"]
Code = Literal["missing", "invalid", "ambiguous", "changed", "late", "refused", "unused"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to look at."""

    level: Level
    code: Code
    message: str
    yaml: str = ""
    """What to add, or to write instead; empty where nothing can be proposed."""


@dataclass(frozen=True, slots=True)
class Match:
    """What the file has for one question."""

    thread_id: str
    node: str
    question: str
    status: Literal["open", "decided"]
    interrupt_id: str
    entry: str | None
    """Where the entry stands that answers it, or the entries; None: none fits."""
    answer: str = ""
    """In one line."""


@dataclass(slots=True)
class Report:
    """What a look at an answers file found."""

    file: str
    entries: int
    defaults: int
    store: str | None = None
    """None: there were no questions to compare with, only the file itself was read."""
    matches: list[Match] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def errors(self) -> int:
        return sum(f.level == "error" for f in self.findings)


def lint(given: Any, saver: Checkpointer | None = None, *, store: str = "", now: datetime | None = None) -> Report:
    """Read an answers file and compare it with the questions of a store: the open ones, and those whose decisions count.

    A question that is decided is not asked again, so what the file lacks for it is no finding, and what does not fit is a warning.
    Raises AnswersFileError for a file that cannot be read.
    """
    script = read_script(given)
    report = Report(script.source, len(script.entries), len(script.defaults))
    if saver is None:
        return report
    report.store = store
    used = Counter[int]()
    ended = set[str]()
    for thread_id in bar(threads := _threads(saver), "Threads", total=len(threads)):
        asked = asked_in_order(saver, thread_id)
        of_thread = script.fresh()
        of_thread.meet(asked)
        for question in asked:
            for entry in _look(of_thread, question, saver, report, now or utc_now()):
                entry.used += 1
        used.update(n for n, e in enumerate(of_thread.entries) for _ in range(e.used))
        ended |= set() if any(m.status == "open" for m in report.matches if m.thread_id == thread_id) else {thread_id}
    report.findings += (_unused(e, ended) for n, e in enumerate(script.entries) if not used[n])
    return report


def _threads(saver: Checkpointer) -> list[str]:
    """The threads that asked something and are there."""
    named = {q.thread_id for q in saver.open_questions()} | {e.thread_id for e in log_entries(saver)}
    return sorted(t for t in named if saver.head(t) is not None)


def _look(script: Script, question: Question, saver: Checkpointer, report: Report, now: datetime) -> list[Entry]:
    """What the script has for one question; the entry that answers it, or one for each reviewer who has to."""
    opened = saver.open_question(question.id)
    heading = one_line(form_for(question, reviewer="").heading)
    about = f"thread {question.thread_id!r}, node {question.node!r}: {heading}"

    def find(code: Code, message: str, yaml: str = "", *, harmless: bool = opened is None) -> None:
        report.findings.append(Finding("warning" if harmless else "error", code, f"{about}: {message}", yaml))

    entries, answer = _entries(script, question), ""
    voters = {folded(e.by or "") for e in entries} | {folded(v.reviewer) for v in (saver.votes(question.id) if question.quorum > 1 else ())}
    if len(voters) < question.quorum and opened is not None:
        stays = script.on_missing == "leave_open"
        what = (
            f"{len(voters)} of the {question.quorum} reviewers who have to answer it have an entry or did so"
            if question.quorum > 1
            else "no entry fits it"
        )
        find("missing", f"{what}{', so it stays open' if stays else ''}", suggestion(question, script, thread=True), harmless=stays)
    for entry in entries:
        rival = script.rival(question, entry)
        if rival is not None:
            find("ambiguous", f"{entry.place} and {rival.place} fit it and answer differently. {ways_out(entry, rival)}")
        if entry.taped is not None and script.on_change != "accept" and not entry.taped.same(question):
            find("changed", f"the taped answer of {entry.place} was given to another payload or schema", suggestion(question, script, thread=True))
        try:
            answer = one_line(brief(check_answer(question, entry.given(question))))
        except HitlError as error:
            find("invalid", f"{entry.place} does not fit it: {getattr(error, 'reason', '') or error}", change(question, entry))
        if opened is not None and entry.by is not None and (why := saver.rules().why_not(opened, entry.by)):
            find("refused", f"{entry.place} is by somebody who may not answer it: {why}")
        if opened is not None and opened.deadline is not None and opened.overdue(now):
            find("late", f"its deadline passed at {utc(opened.deadline)}, so no answer is taken; graph.expire() decides it")
    status: Literal["open", "decided"] = "decided" if opened is None else "open"
    place = ", ".join(e.place for e in entries) or None
    report.matches.append(Match(question.thread_id, "/".join(question.place), heading, status, question.id, place, answer))
    return entries


def _entries(script: Script, question: Question) -> list[Entry]:
    """Those that answer it, in order; several where several reviewers have to."""
    found: list[Entry] = []
    voted: set[str] = set()
    while entry := script.best(question, lambda e: question.quorum == 1 or folded(e.by or "") not in voted):
        found.append(entry)
        voted.add(folded(entry.by or ""))
        if question.quorum == 1:
            break
    return found


def _unused(entry: Entry, ended: set[str]) -> Finding:
    """An error where nothing can come that it fits: it names a thread that has no open question."""
    certain = any(entry.thread in (t, escaped(t)) for t in ended)
    why = "its thread is there and has no open question" if certain else "it may be for a question that is yet to come"
    return Finding("error" if certain else "warning", "unused", f"{entry.place} fits no question of the store; {why}")
