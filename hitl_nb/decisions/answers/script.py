"""The scripted answers of a run: which entry answers a question, and which were never asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from hitl_nb.checkpoint.records import Question
from hitl_nb.decisions.answers.entry import Entry
from hitl_nb.decisions.answers.equality import equal
from hitl_nb.decisions.check import check_answer
from hitl_nb.errors import AmbiguousAnswerError, InvalidAnswerError

OnMissing = Literal["fail", "leave_open"]
OnChange = Literal["fail", "ask", "accept"]
OnUnused = Literal["warn", "fail", "ignore"]
Shape = Literal["entries", "list", "nodes"]
Fits = Callable[[Entry], bool]


@dataclass(slots=True)
class Script:
    """The scripted answers of one run, in order. The first entry that fits a question answers it."""

    entries: list[Entry]
    on_missing: OnMissing = "fail"
    source: str = "answers="
    shape: Shape = "entries"
    """How it was written: entries below `answers:`, a list in order, or by node."""
    defaults: list[Entry] = field(default_factory=list)
    """What answers when no entry fits, any number of times."""
    on_change: OnChange = "fail"
    """For a taped answer whose question reads otherwise now."""
    on_unused: OnUnused = "warn"
    """For entries that were not asked for when the thread has ended."""
    _asked: dict[tuple[str, tuple[str, ...], str], dict[str, int]] = field(default_factory=dict)
    """By thread, node and kind: the tasks that asked, each with its number in the order in which they came to it."""

    def fresh(self) -> Script:
        """The same script, of which nothing was used."""
        return replace(self, entries=[replace(e, used=0) for e in self.entries], defaults=[replace(e, used=0) for e in self.defaults], _asked={})

    @property
    def counts(self) -> bool:
        """True when it matters how often a node has come to ask."""
        return any(e.nth is not None for e in self.entries)

    def meet(self, questions: Iterable[Question]) -> None:
        """Take note that these were asked, in the order in which they were."""
        for question in questions:
            self.nth(question)

    def nth(self, question: Question) -> int:
        """How often the question's node has come to ask in its thread: 1 the first time. All questions of one time have the same number."""
        asked = self._asked.setdefault((question.thread_id, question.place, question.kind), {})
        return asked.setdefault(question.task_id, len(asked) + 1)

    def entry_for(self, question: Question, fits: Fits | None = None) -> Entry | None:
        """The entry that answers this question, or None. The caller adds 1 to its `used` once the answer was taken. `fits`: which entries may.

        Raises AmbiguousAnswerError when another one names the question at least as exactly by other conditions, and answers otherwise.
        """
        entry = self.best(question, fits)
        rival = None if entry is None else self.rival(question, entry, fits)
        if entry is not None and rival is not None:
            raise AmbiguousAnswerError(
                f"two entries fit the question of node {question.node!r} (thread {question.thread_id!r}) and answer it differently: {entry.place} "
                f"and {rival.place}. Nothing was answered. {ways_out(entry, rival)}",
                thread_id=question.thread_id,
                node=question.node,
                interrupt_id=question.id,
            )
        return entry

    def rival(self, question: Question, entry: Entry, fits: Fits | None = None) -> Entry | None:
        """Another entry that fits as well as the one that would answer: with other conditions, none of them less exact, and another answer.

        Where one is the more exact in its thread and the other in its node, the order decides, as it is written down.
        """
        if entry.taped is not None or entry.in_order:
            return None
        nth = self.nth(question)
        for other in self.entries:
            if (
                other is not entry
                and all(theirs >= ours for theirs, ours in zip(other.exactness, entry.exactness, strict=True))
                and other.conditions != entry.conditions
                and not (other.edits == entry.edits and equal(entry.answer, other.answer) and equal(other.answer, entry.answer))
                and other.fits(question, nth)
                and (fits is None or fits(other))
            ):
                return other
        return None

    def recall(self, question: Question, answer: Any, *, scripted: bool = True, fits: Fits | None = None) -> None:
        """Take note of an answer the thread has already, so that a run that is repeated goes on where it stopped. In the order of the decisions.

        Of answers in order (a list, or a node's list) each belongs to the question at its place, whoever decided that: none ever moves up to
        another question. An entry with conditions is used up when a script gave this very answer in an earlier run.
        """
        entry = self.best(question, fits)
        if entry is None:
            return
        if entry.in_order:
            entry.used += 1
            return
        if not scripted:
            return
        try:
            same = check_answer(question, entry.given(question)) == answer
        except InvalidAnswerError:
            return
        if same is True:
            entry.used += 1

    def unused(self, thread_id: str) -> list[Entry]:
        """The entries for this thread that answered nothing."""
        return [e for e in self.entries if not e.used and e.is_for(thread_id)]

    def best(self, question: Question, fits: Fits | None = None) -> Entry | None:
        """The entry that answers this question, a default where no other does, or None; without a look at others that fit."""
        nth = self.nth(question)
        entries, defaults = (self.entries, self.defaults) if fits is None else (list(filter(fits, self.entries)), list(filter(fits, self.defaults)))
        fitting = [e for e in entries if e.fits(question, nth)]
        first = next((e for e in fitting if e.taped is None or e.taped.same(question)), None)
        if first is None:
            # The tape's answer to exactly this question, when it comes at another time than it came then.
            moved = (e for e in entries if e.taped is not None and e.fits_any_time(question) and e.taped.same(question))
            first = next(moved, next(iter(fitting), None))
        return first or next((e for e in defaults if e.fits(question, nth)), None)


def ways_out(entry: Entry, rival: Entry) -> str:
    """What to do about two entries that fit one question."""
    if rival.exactness != entry.exactness:
        return f"Put the more exact one ({rival.place}) before the other, or give the other a condition: when:, key: or nth:"
    return "Give one of them a further condition (when:, key:, nth:), or the same answer"
