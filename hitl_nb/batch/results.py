"""What became of the cases of a batch: one result each, counted, as a table and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

from hitl_nb.decisions.wording import cut, exactly, plural

Status = Literal["done", "needs human", "failed", "kernel died", "timed out", "interrupted", "not run"]
STATUSES: Final[tuple[Status, ...]] = ("done", "needs human", "failed", "kernel died", "timed out", "interrupted", "not run")
"""interrupted: the batch was stopped while the case ran. not run: it was stopped before."""
ALL_DONE: Final = 0
SOME_FAILED: Final = 1
SOME_NEED_HUMAN: Final = 75
VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What became of one case."""

    thread_id: str
    status: Status
    parameters: Mapping[str, Any]
    decisions: Sequence[Mapping[str, Any]] = ()
    """As in a notebook's record: number, node, question, answer, reviewer, how, decided_at (ISO, UTC), interrupt_id."""
    questions: Sequence[Mapping[str, Any]] = ()
    """Open now: interrupt_id, node, graph, question, assignee, deadline (ISO, UTC), yaml (lines for the answers file)."""
    error: str = ""
    """Why it is not done; empty for a case that is, and for one that needs a human."""
    duration_s: float | None = None
    """Seconds of the run that led here; None when it never ran."""
    ran: bool = False
    """Whether this batch ran it. False: an earlier one had, and nothing was left to do."""
    notebook: Path | None = None
    """The executed notebook."""
    report: Path | None = None
    """The same as HTML."""


@dataclass(frozen=True, slots=True, repr=False)
class BatchResult:
    """What became of a batch."""

    cases: Sequence[CaseResult]
    """In the order in which they were given."""
    source: str
    """The notebook's name, or the graph's."""
    store: str
    """Where the questions and decisions lie."""
    started_at: datetime
    duration_s: float
    notes: Sequence[str] = ()
    """What somebody should know, and is no failure of a case: answers that nothing asked for, columns that no parameter takes."""
    broken: bool = False
    """True when a note is a failure of the batch as a whole."""
    summary: Path | None = None
    """This as JSON."""
    report: Path | None = None
    """This as one HTML page that needs no network."""
    inbox: Path | None = None
    """A notebook in which the open questions can be answered; None when none is open."""
    out: Path | None = None
    """The folder of all these files."""

    def __repr__(self) -> str:
        return f"<BatchResult of {self.source!r}: {self.headline}>"

    def __getitem__(self, thread_id: str) -> CaseResult:
        """The result of the case on this thread. Raises KeyError."""
        for case in self.cases:
            if case.thread_id == thread_id:
                return case
        raise KeyError(thread_id)

    @property
    def counts(self) -> dict[Status, int]:
        """How many cases have each status, as far as there are any."""
        found = Counter(case.status for case in self.cases)
        return {status: found[status] for status in STATUSES if found[status]}

    @property
    def open_questions(self) -> int:
        return sum(len(case.questions) for case in self.cases)

    @property
    def exit_code(self) -> int:
        """0: all done. 1: some failed. 75: none failed, and some need a human."""
        found = set(self.counts)
        if self.broken or found - {"done", "needs human"}:
            return SOME_FAILED
        return SOME_NEED_HUMAN if "needs human" in found else ALL_DONE

    @property
    def headline(self) -> str:
        """`100 cases: 80 done, 15 need a human, 5 failed`."""
        words = {"needs human": "need a human" if self.counts.get("needs human") != 1 else "needs a human"}
        told = ", ".join(f"{count:,} {words.get(status, status)}" for status, count in self.counts.items())
        return f"{plural(len(self.cases), 'case')}{f': {told}' if told else ''}"

    def rows(self) -> list[dict[str, Any]]:
        """One flat row a case, for a table, a DataFrame or a CSV file."""
        return [
            {
                "thread_id": case.thread_id,
                "status": case.status,
                "decisions": len(case.decisions),
                "open": len(case.questions),
                "duration_s": None if case.duration_s is None else round(case.duration_s, 1),
                "ran": case.ran,
                "what": told_of(case),
            }
            for case in self.cases
        ]

    def plain(self) -> dict[str, Any]:
        """As data of JSON. Paths inside the folder of the batch are told from there."""
        return {
            "version": VERSION,
            "source": self.source,
            "store": self.store,
            "started_at": self.started_at.isoformat(),
            "duration_s": round(self.duration_s, 3),
            "exit_code": self.exit_code,
            "counts": dict(self.counts),
            "open_questions": self.open_questions,
            "notes": list(self.notes),
            "summary": self.told_path(self.summary),
            "report": self.told_path(self.report),
            "inbox": self.told_path(self.inbox),
            "cases": [
                {
                    "thread_id": case.thread_id,
                    "status": case.status,
                    "ran": case.ran,
                    "duration_s": None if case.duration_s is None else round(case.duration_s, 3),
                    "parameters": dict(case.parameters),
                    "decisions": [dict(d) for d in case.decisions],
                    "questions": [dict(q) for q in case.questions],
                    "error": case.error,
                    "notebook": self.told_path(case.notebook),
                    "report": self.told_path(case.report),
                }
                for case in self.cases
            ],
        }

    def told_path(self, path: Path | None) -> str | None:
        """A path as text, from the folder of the batch where it lies in it."""
        if path is None or self.out is None or not path.is_relative_to(self.out):
            return None if path is None else str(path)
        return path.relative_to(self.out).as_posix()

    def json(self) -> str:
        """As JSON; a parameter that JSON does not have as its text."""
        return json.dumps(self.plain(), indent=2, ensure_ascii=False, default=str) + "\n"


def told_of(case: CaseResult) -> str:
    """In one line: why it failed, what is asked, or what was decided."""
    if case.error:
        return case.error.strip().split("\n")[0]
    if case.questions:
        more = f" and {len(case.questions) - 1} more" if len(case.questions) > 1 else ""
        return f"{case.questions[0]['question']}{more}"
    return ", ".join(brief_answer(d["answer"]) for d in case.decisions)


def brief_answer(answer: Any) -> str:
    """An answer in a few words: the action of a review, a text as it is."""
    if isinstance(answer, Mapping):
        chosen = next((answer[key] for key in ("action", "decision", "type") if isinstance(answer.get(key), str)), None)
        return chosen if chosen is not None else cut(exactly(answer))
    return cut(answer) if isinstance(answer, str) else cut(exactly(answer))


def duration(seconds: float) -> str:
    """`4.2 s`, `3 min 20 s`, `1:05:00`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return str(timedelta(seconds=int(seconds)))
