"""What a batch comes to: each case with what the store knows of it, and the files that tell it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from hitl_nb.batch.cases import Case
from hitl_nb.batch.earlier import Earlier, earlier_run
from hitl_nb.batch.inbox import write_inbox
from hitl_nb.batch.jobs import Ending
from hitl_nb.batch.page import page
from hitl_nb.batch.results import BatchResult, CaseResult, Status
from hitl_nb.batch.saving import write_whole
from hitl_nb.batch.telling import decisions_of, questions_of
from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.questions import OpenQuestion
from hitl_nb.checkpoint.records import utc_now
from hitl_nb.decisions.answers import Script
from hitl_nb.decisions.answers.lint import lint
from hitl_nb.errors import HitlError

IN_MEMORY: Final = "in memory"


@dataclass(slots=True)
class Summary:
    """A batch while it goes on."""

    source: str
    """The notebook's name, or the graph's."""
    cases: Sequence[Case]
    saver: Checkpointer
    out: Path | None
    script: Script | None
    answers: Any
    """As they were given; None: there are none."""
    executed: dict[str, Path] = field(default_factory=dict)
    """The notebook of each case, by thread; empty for a graph."""
    kept: dict[str, Earlier] = field(default_factory=dict)
    """What is not run, because an earlier batch did and nothing changed."""
    refused: dict[str, str] = field(default_factory=dict)
    """What is not run, and why not."""
    endings: dict[str, Ending] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    started_at: datetime = field(default_factory=utc_now)
    clock: Callable[[], float] = time.monotonic
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.clock()

    def conclude(self) -> BatchResult:
        """The result. Its files are written where the batch has a folder; one that cannot be written is told as a note."""
        opened = opened_by_thread(self.saver)
        made = tuple(self._case(case, opened) for case in self.cases)
        broken, notes = self._unused(made)
        store = getattr(self.saver, "folder", None)
        result = BatchResult(
            cases=made,
            source=self.source,
            store=IN_MEMORY if store is None else str(store),
            started_at=self.started_at,
            duration_s=self.clock() - self._began,
            notes=(*self.notes, *notes),
            broken=broken,
            out=self.out,
        )
        return result if self.out is None else self._written(result, self.out, store)

    def _case(self, case: Case, opened: dict[str, list[OpenQuestion]]) -> CaseResult:
        notebook = self.executed.get(case.thread_id)
        ending, refused = self.endings.get(case.thread_id), self.refused.get(case.thread_id, "")
        left = self.kept.get(case.thread_id) or (None if notebook is None else earlier_run(notebook))
        if left is not None and left.thread_id != case.thread_id:
            left, notebook = None, None
        threads = dict.fromkeys((case.thread_id, *(left.thread_ids if left is not None else ())))
        questions = questions_of(self.saver, [q for thread_id in threads for q in opened.get(thread_id, ())], self.script)
        decisions = [d for thread_id in threads for d in decisions_of(self.saver, thread_id)]
        if left is not None and not any(self.saver.head(thread_id) for thread_id in threads):  # the notebook keeps its threads elsewhere
            questions = [{**q, "interrupt_id": q["id"], "graph": "", "yaml": ""} for q in left.questions]
            decisions = [dict(d) for d in left.decisions]
        status, error = self._status(ending, refused, left, open_now=bool(questions), kept=case.thread_id in self.kept)
        report = None if notebook is None else notebook.with_suffix(".html")
        return CaseResult(
            thread_id=case.thread_id,
            status=status,
            parameters=case.parameters,
            decisions=decisions,
            questions=questions,
            error=error,
            duration_s=ending.duration_s if ending is not None else left.duration_s if left is not None else None,
            ran=ending is not None,
            notebook=notebook if notebook is not None and notebook.is_file() else None,
            report=report if report is not None and report.is_file() else None,
        )

    def _status(self, ending: Ending | None, refused: str, left: Earlier | None, *, open_now: bool, kept: bool) -> tuple[Status, str]:
        if refused:
            return "failed", refused
        if ending is not None:
            return ending.status, ending.error
        if left is not None and kept:
            return ("needs human" if open_now else left.status), ""
        return ("interrupted", left.error) if left is not None and left.status == "interrupted" else ("not run", "")

    def _unused(self, made: Sequence[CaseResult]) -> tuple[bool, list[str]]:
        """Entries of the answers that no case asked for, as far as that is certain; True when the answers want that to be a failure."""
        if self.script is None or self.script.on_unused == "ignore":
            return False, []
        try:
            found = [f for f in lint(self.answers, self.saver).findings if f.code == "unused"]
        except HitlError:  # an answer in the store is of a class that is not loaded here
            return False, []
        ended = all(case.status == "done" for case in made)
        told = [f"Not asked for by any case: {f.message}" if ended else f.message for f in found if ended or f.level == "error"]
        return bool(told) and self.script.on_unused == "fail", told

    def _written(self, result: BatchResult, out: Path, store: Path | None) -> BatchResult:
        threads = list(dict.fromkeys(q["thread_id"] for case in result.cases for q in case.questions))
        try:
            if threads and store is not None:
                inbox = write_inbox(out / "inbox.ipynb", store=store, threads=threads, questions=result.open_questions, source=self.source)
                result = replace(result, inbox=inbox)
            result = replace(result, summary=out / "summary.json", report=out / "report.html")
            write_whole(out / "report.html", page(result, on_disk=store is not None))
            write_whole(out / "summary.json", result.json())
        except OSError as error:
            note = f"The summary cannot be written to {out}: {error}. What the cases left behind is there, and what was decided is in the store"
            return replace(result, notes=(*result.notes, note), broken=True, summary=None, report=None, inbox=None)
        return result


def opened_by_thread(saver: Checkpointer) -> dict[str, list[OpenQuestion]]:
    """The open questions of the store, the oldest first, by thread."""
    found: dict[str, list[OpenQuestion]] = {}
    for question in saver.open_questions():
        found.setdefault(question.thread_id, []).append(question)
    return found
