"""The questions that an inbox shows, in an order that stays until the person asks for another: nothing moves under the pointer.

What is answered here or elsewhere stays in its place and says so; what is new is counted, and put in when it is asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.entitlement import Rules
from hitl_nb.checkpoint.questions import OpenQuestion
from hitl_nb.checkpoint.records import Decision, Question
from hitl_nb.errors import HitlError, ReviewersFileError, UnknownTypeError
from hitl_nb.waiting.listing import Filters, Order, in_order, speaks_of

State = Literal["open", "answered", "elsewhere", "gone"]
"""answered: here. gone: it is no longer asked."""
Facet = Literal["graph", "node", "assignee"]


@dataclass(frozen=True, slots=True)
class Line:
    """One question of the board."""

    brief: OpenQuestion
    state: State = "open"
    decision: Decision | None = None
    """What answered it; None also where it cannot be read here."""
    told: str = ""
    """What became of the run that its answer set going."""
    failed: bool = False
    """That run failed."""

    @property
    def id(self) -> str:
        return self.brief.interrupt_id


class Board:
    """`read` learns what is stored now, `arrange` puts the lines in order anew. Not for two Python threads at once."""

    def __init__(
        self,
        saver: Checkpointer,
        filters: Filters,
        *,
        sort: Order,
        reviewer: str,
        now: Callable[[], datetime],
    ) -> None:
        """`reviewer`: the person in front of it."""
        self._saver, self._reviewer, self._now = saver, reviewer, now
        self._rules = Rules()
        self.filters, self.sort = filters, sort
        self.mine = False
        """Only what the person is asked by name."""
        self._open: dict[str, OpenQuestion] = {}
        """All that are open in the threads at hand, whatever the other filters say."""
        self._lines: dict[str, Line] = {}
        self._answered_here: set[str] = set()
        self._voted_here: set[str] = set()
        """Answered here, and open until others have given the same answer."""
        self._words: tuple[str, ...] = ()
        self._spoken: dict[str, bool] = {}
        """By question: whether the words occur in it. A payload never changes."""

    # -- what is stored

    def read(self) -> None:
        """Learn what is stored now. The lines stay where they are; where none is open any more, what is new takes their place above them."""
        threads = Filters(threads=self.filters.threads)
        now = self._now()
        try:
            self._rules = self._saver.rules()
        except ReviewersFileError:  # then nobody may answer, and each card says so
            self._rules = Rules()
        self._open = {q.interrupt_id: q for q in self._saver.open_questions() if threads.fits(q, now)}
        for key, line in self._lines.items():
            brief = self._open.get(key)
            if brief is not None and (line.state != "open" or brief != line.brief):
                self._lines[key] = Line(brief)
            elif brief is None and line.state == "open":
                self._lines[key] = self._gone(line)
        if all(line.state != "open" for line in self._lines.values()) and self.new:
            self.arrange(keep=True)

    def _gone(self, line: Line) -> Line:
        try:
            decision = self._saver.decision(line.id)
        except UnknownTypeError:  # an answer of a class that is not loaded here
            return replace(line, state="elsewhere")
        return replace(line, state="gone" if decision is None else "elsewhere", decision=decision)

    def answered(self, decision: Decision) -> None:
        """It was answered here."""
        key = decision.interrupt_id
        self._answered_here.add(key)
        self._open.pop(key, None)
        if key in self._lines:
            self._lines[key] = replace(self._lines[key], state="answered", decision=decision)

    def voted(self, key: str) -> None:
        """It was answered here, and stays open for others."""
        self._voted_here.add(key)

    def ran(self, threads: Collection[str], told: str, *, failed: bool = False) -> None:
        """What became of the runs that answers set going: it stands at every answer that was given here in these threads."""
        for key, line in self._lines.items():
            if line.state == "answered" and line.brief.thread_id in threads:
                self._lines[key] = replace(line, told=told, failed=failed)

    # -- what is shown

    @property
    def lines(self) -> list[Line]:
        return list(self._lines.values())

    def is_open(self, key: str) -> bool:
        """Whether it was open at the last look, shown or not."""
        return key in self._open

    def standing(self, question: Question) -> Line:
        """How a question stands that may have no line, as the filters hide it."""
        line = self._lines.get(question.id)
        if line is not None:
            return line
        brief = self._open.get(question.id)
        return Line(brief) if brief is not None else self._gone(Line(OpenQuestion.of(question)))

    @property
    def new(self) -> int:
        """Open questions that fit and have no line yet."""
        return sum(q.interrupt_id not in self._lines for q in self._fitting())

    def arrange(self, *, keep: bool = False) -> None:
        """Put everything in order anew. What is not open goes, unless `keep`; what failed stays, above the others."""
        closed = [line for line in self._lines.values() if line.id not in self._open]
        failed = [line for line in closed if line.failed]
        fitting = [Line(q) for q in in_order(self._fitting(), self.sort)]
        kept = [line for line in closed if not line.failed] if keep else []
        self._lines = {line.id: line for line in (*failed, *fitting, *kept)}

    def next_open(self, after: str = "", step: Literal[1, -1] = 1) -> Line | None:
        """The next line that the person can answer, from this one on, and round at the end; the first when it has no line. None: there is none."""
        lines = self.lines[::step]
        at = next((n for n, line in enumerate(lines) if line.id == after), -1)
        return next((line for line in (*lines[at + 1 :], *lines[:at]) if line.id != after and self.is_to_do(line)), None)

    # -- counts

    @property
    def open(self) -> Collection[OpenQuestion]:
        """All open ones of the threads at hand."""
        return self._open.values()

    @property
    def done(self) -> int:
        """How many were answered here."""
        return len((self._answered_here - self._open.keys()) | self._voted_here)

    @property
    def total(self) -> int:
        """How many were answered here or are open."""
        return len(self._answered_here | self._voted_here | self._open.keys())

    def count(self, which: Literal["all", "mine", "overdue"]) -> int:
        """How many there would be with this choice, the other filters as they are."""
        filters = replace(self.filters, overdue=which == "overdue")
        return sum(1 for _ in self._fitting(filters, mine=which == "mine"))

    def counts(self, facet: Facet) -> Mapping[str, int]:
        """The values there are, in order, with how many questions each would leave."""
        filters = Filters(
            threads=self.filters.threads,
            graph=None if facet == "graph" else self.filters.graph,
            node=None if facet in ("graph", "node") else self.filters.node,
            assignee=None if facet == "assignee" else self.filters.assignee,
            overdue=self.filters.overdue,
            text=self.filters.text,
        )
        found = Counter((getattr(q, facet) or "") for q in self._fitting(filters, mine=self.mine))
        return dict(sorted(found.items()))

    def is_mine(self, q: OpenQuestion) -> bool:
        """Whether the person is asked: by name, or as the holder of a role."""
        if q.assignee is None:
            return False
        holders = () if self._rules.reviewers is None else self._rules.reviewers.asked(q.assignee)
        return self.is_me(q.assignee) or any(self.is_me(p.id) for p in holders)

    def is_me(self, name: str) -> bool:
        """Whether that is the person, however the name is written."""
        return self._rules.voter(name) == self._rules.voter(self._reviewer)

    def why_not(self, q: OpenQuestion) -> str:
        """Why the person may not answer, as a clause; empty: they may."""
        return self._rules.why_not(q, self._reviewer)

    def is_to_do(self, line: Line) -> bool:
        """Whether the person can answer it now, and has not."""
        q = line.brief
        return line.state == "open" and line.id not in self._voted_here and not q.overdue(self._now()) and not self.why_not(q)

    def _fitting(self, filters: Filters | None = None, *, mine: bool | None = None) -> Iterator[OpenQuestion]:
        wanted, now = filters or self.filters, self._now()
        mine = self.mine if mine is None else mine
        words = tuple(wanted.text.casefold().split())
        if words != self._words:
            self._words, self._spoken = words, {}
        for q in self._open.values():
            if wanted.fits(q, now) and (not mine or self.is_mine(q)) and (not words or self._speaks(q)):
                yield q

    def _speaks(self, q: OpenQuestion) -> bool:
        known = self._spoken.get(q.interrupt_id)
        if known is None:
            try:
                known = speaks_of(self._saver, q, self._words)
            except HitlError:  # it cannot be read, so nothing is known to be in it
                return False
            self._spoken[q.interrupt_id] = known
        return known
