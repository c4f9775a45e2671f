"""The lines of a board as rows that can be read: each question is read when its row is first drawn, and not before."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.decisions.request import Request
from hitl_nb.decisions.requesting import request_for
from hitl_nb.decisions.wording import capital
from hitl_nb.errors import HitlError, UnknownInterruptError
from hitl_nb.waiting.board import Board, Line
from hitl_nb.widgets import overtaken
from hitl_nb.widgets.inbox.tree import Row
from hitl_nb.widgets.outcome import outcome


class Rows:
    """`request` reads a question, `row` says what is seen of one in the list."""

    def __init__(self, saver: Checkpointer, board: Board, reviewer: str) -> None:
        self._saver, self._board, self._reviewer = saver, board, reviewer
        self._headings: dict[str, str] = {}
        """A payload never changes, so neither does what it asks."""

    def request(self, key: str) -> Request:
        """The question as it stands. Raises UnknownInterruptError, UnknownTypeError for a payload of a class that is not loaded here."""
        question = self._saver.question(key)
        if question is None:
            raise UnknownInterruptError(f"question {key!r} is not in the store any more", interrupt_id=key)
        return request_for(self._saver, question, reviewer=self._reviewer)

    def row(self, line: Line, *, is_picked: bool, is_here: bool, is_kept: bool = False) -> Row:
        """`is_kept`: something was filled in on its card that was not sent."""
        verdict, good, by = "", True, ""
        if line.state == "gone":
            verdict = "No longer asked"
        elif line.state != "open":
            verdict, good = self._verdict(line)
            by = "" if line.decision is None or line.state == "answered" else overtaken.who(line.decision)
        rule = self._rule(line) if line.state == "open" else ""
        return Row(line, self._heading(line.id), self._who(line), verdict, good, by, is_picked=is_picked, is_here=is_here, is_kept=is_kept, rule=rule)

    def _rule(self, line: Line) -> str:
        """Why the person may not answer; how many have to, and how many did."""
        q = line.brief
        why = self._board.why_not(q)
        said = [capital(why)] if why else []
        if q.quorum > 1:
            with suppress(HitlError):
                votes = self._saver.standing_votes(q.interrupt_id)
                most = max(Counter(v.choice for v in votes).values(), default=0)
                own = ", one of them yours" if any(self._board.is_me(v.reviewer) for v in votes) else ""
                said.append(f"Needs {q.quorum} equal answers, {most} given{own}")
        return ". ".join(said)

    def _who(self, line: Line) -> str:
        asked = line.brief.assignee
        return "Anyone" if asked is None else "You" if self._board.is_me(asked) else asked

    def _verdict(self, line: Line) -> tuple[str, bool]:
        if line.decision is None:
            return "Answered elsewhere", True
        try:
            said = outcome(self.request(line.id).form, line.decision.answer)
        except HitlError:
            return "Answered", True
        return said.label, said.good

    def _heading(self, key: str) -> str:
        if key not in self._headings:
            try:
                self._headings[key] = self.request(key).form.heading
            except HitlError as error:
                return f"(This question cannot be read here: {error})"
        return self._headings[key]
