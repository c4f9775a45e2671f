"""Open questions asked one by one on a terminal. What was answered is recorded at once, however the dialogue ends."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from hitl_nb.checkpoint.records import Decision, utc_now
from hitl_nb.checkpoint.voting import Vote
from hitl_nb.cli.asked import HOW, moment, recorded
from hitl_nb.cli.common import LEFT_OPEN
from hitl_nb.decisions.request import Request
from hitl_nb.decisions.requesting import request_for
from hitl_nb.decisions.wording import plural, printable
from hitl_nb.errors import HitlError, utc
from hitl_nb.responders.console import ConsoleResponder, tell
from hitl_nb.waiting import Filters, Order, record_answer, waiting

if TYPE_CHECKING:
    from hitl_nb.checkpoint.base import Checkpointer
    from hitl_nb.checkpoint.questions import OpenQuestion


class _SkipError(Exception):
    """Leave this question open, go to the next."""


class _BackError(Exception):
    """Return to the question before that is still open."""


class _QuitError(Exception):
    """End the dialogue."""


_WORDS: Final[dict[str, type[Exception]]] = {
    ":skip": _SkipError,
    ":s": _SkipError,
    ":back": _BackError,
    ":b": _BackError,
    ":quit": _QuitError,
    ":q": _QuitError,
}


def require_terminal(otherwise: str) -> None:
    """End with wrong usage where nobody can be asked."""
    if not all(stream is not None and not stream.closed and stream.isatty() for stream in (sys.stdin, sys.stdout)):
        raise click.UsageError(otherwise)


def ask_here(request: Request, submit: Callable[[Any], Decision | Vote]) -> None:
    """Ask one question. Ends with 75 when it was left open."""
    taken = list[Decision | Vote]()

    def record(answer: Any, **_: Any) -> Decision | Vote:
        taken.append(submit(answer))
        return taken[0]

    try:
        ConsoleResponder(read=_typed).ask(request, record)
    except KeyboardInterrupt:
        if not taken:
            tell("\nLeft open.")
    if not taken:
        sys.exit(LEFT_OPEN)


class Dialogue:
    """All open questions that fit, asked in order."""

    def __init__(self, saver: Checkpointer, reviewer: str, *, read: Callable[[str], str] | None = None, write: Callable[[str], None] = tell) -> None:
        self._saver, self._reviewer = saver, reviewer
        self._type = read or _typed
        self._print = write
        self._mine: set[str] = set()
        """What was answered here."""

    def run(self, filters: Filters | None = None, sort: Order = "deadline") -> int:
        """Ask until all are answered or the person ends it; the exit code: 0 when none of them is open any more, else 75."""
        found = waiting(self._saver, filters, now=utc_now(), sort=sort)
        if not found:
            self._write("No question is open." if filters in (None, Filters()) else "No open question fits.")
            return 0
        self._write(
            f"{plural(len(found), 'open question')}, answered as {self._reviewer}. Each answer is recorded at once.\n"
            f":skip leaves a question open, :back returns to one that was left open, :quit ends (:: in front of a text that begins with a colon)."
        )
        try:
            self._ask_all(found)
        except (_QuitError, KeyboardInterrupt):
            self._write("")
        return self._end(found)

    def _ask_all(self, found: Sequence[OpenQuestion]) -> None:
        place = 0
        while place < len(found):
            try:
                self._ask(found[place], place + 1, len(found))
            except _SkipError:
                self._write("Left open.")
            except _BackError:
                before = [n for n in range(place) if self._saver.open_question(found[n].interrupt_id) is not None]
                if before:
                    place = before[-1]
                else:
                    self._write("No question before this one is open.")
                continue
            except HitlError as error:
                self._write(f"Not taken: {error}")
            place += 1

    def _ask(self, listed: OpenQuestion, number: int, total: int) -> None:
        self._write(f"\n-- {number} of {total} " + "-" * 40)
        brief = self._saver.open_question(listed.interrupt_id)
        question = self._saver.question(listed.interrupt_id)
        if brief is None or question is None:
            self._write(f"Thread {listed.thread_id}, node {listed.node}: {self._gone(listed.interrupt_id)}")
            return
        request = request_for(self._saver, question, reviewer=self._reviewer)
        if brief.overdue(utc_now()):
            self._write(
                f"{request.form.heading}\nThread {listed.thread_id}: overdue since {moment(brief.deadline)} UTC, so it takes no answer. Left open."
            )
            return
        if brief.assignee or brief.deadline is not None:
            until = "" if brief.deadline is None else f"until {moment(brief.deadline)} UTC"
            self._write(", ".join(filter(None, (f"for {brief.assignee}" if brief.assignee else "", until))))

        def record(answer: Any, **_: Any) -> Decision | Vote:
            decision = record_answer(self._saver, question, answer, reviewer=self._reviewer, how=HOW, now=utc_now())
            self._mine.add(question.id)
            if isinstance(decision, Decision):  # the console tells of a vote
                self._write(next(recorded(request, decision)))
            return decision

        ConsoleResponder(read=self._read, write=self._print).ask(request, record)

    def _gone(self, interrupt_id: str) -> str:
        made = self._saver.decision(interrupt_id)
        return "it is no longer asked" if made is None else f"answered meanwhile by {made.reviewer} at {utc(made.decided_at)}"

    def _end(self, found: Sequence[OpenQuestion]) -> int:
        still = {q.interrupt_id for q in found if self._saver.open_question(q.interrupt_id) is not None}
        others = len(found) - len(still) - len(self._mine - still)
        told = [f"{plural(len(self._mine), 'question')} answered here"]
        told += [f"{others} by others meanwhile"] if others > 0 else []
        told += [f"{len(still)} still open"] if still else []
        self._write(f"\n{', '.join(told)}.{' The runs of their threads go on when they are started again.' if self._mine - still else ''}")
        return LEFT_OPEN if still else 0

    def _read(self, prompt: str) -> str:
        try:
            line = self._type(prompt)
        except EOFError:
            raise _QuitError from None
        word = line.strip().lower()
        if word in _WORDS:
            raise _WORDS[word]
        return line[1:] if line.startswith("::") else line

    def _write(self, text: str) -> None:
        self._print(printable(text))


def _typed(prompt: str) -> str:
    """A line of the terminal; asks again for one that is no text in the terminal's encoding."""
    while True:
        try:
            line = input(prompt)
            line.encode()
        except UnicodeError:
            tell("That is no text in the encoding of this terminal; type it again.")
        else:
            return line
