"""Run one notebook without a person: answers from a file, decisions from the store, a report that needs no network."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hitl_nb.batch.record import RunError, RunRecord, RunStatus
from hitl_nb.batch.report import write_report
from hitl_nb.decisions.answers import OnMissing
from hitl_nb.errors import NotebookFailedError, StillWaitingError, shown


@dataclass(frozen=True, slots=True)
class NotebookRun:
    """What a run left behind."""

    status: RunStatus
    """How it ended; never "running"."""
    notebook: Path
    """The executed notebook; the same record is in its `metadata.hitl_nb`."""
    report: Path | None
    """The notebook as HTML, readable offline; None when none was asked for."""
    thread_ids: tuple[str, ...]
    """The threads that the notebook reviewed, as far as it came."""
    decisions: list[dict[str, Any]]
    """Of these threads, the oldest first: thread_id, number, interrupt_id, node, question, answer, reviewer, how, decided_at (ISO, UTC)."""
    questions: list[dict[str, Any]]
    """What is open: id, thread_id, node, question, assignee, deadline (ISO, UTC, or None)."""
    error: RunError | None
    """Why it did not get to its end; None for "done" and "needs human"."""
    stores: Mapping[str, str] = field(default_factory=dict)
    """The folder of the store of each thread; without those that are kept in memory."""

    def raise_for_status(self) -> None:
        """Raise StillWaitingError when it needs a person, NotebookFailedError when it failed in any way; nothing when it is done."""
        if self.status == "done":
            return
        if self.status == "needs human":
            first, more = self.questions[0], f" and {len(self.questions) - 1:,} more" if len(self.questions) > 1 else ""
            store = self.stores.get(first["thread_id"])
            where = f" --store {shlex.quote(store)}" if store is not None else ""
            raise StillWaitingError(
                f"{self.notebook.name} needs a person: {first['question']!r} (node {first['node']}){more}. "
                f"Answer with hitl-nb answer {first['id']}{where}, then run it again: it goes on from there",
                thread_id=first["thread_id"],
                node=first["node"],
                interrupt_id=first["id"],
            )
        assert self.error is not None  # every other status has one
        raise NotebookFailedError(
            f"{self.notebook.name}, {self.error}", notebook=self.notebook, error=self.error.kind, cell=self.error.cell, status=self.status
        )


def run_notebook(
    path: str | os.PathLike[str],
    *,
    executed: str | os.PathLike[str] | None = None,
    store: str | os.PathLike[str] | None = None,
    thread_id: str | None = None,
    answers: Any = None,
    on_missing: OnMissing = "fail",
    reviewer: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    progress: bool = False,
    cell_timeout_s: int | None = None,
    report: bool = True,
) -> NotebookRun:
    """What a run of the notebook came to. Its kernel runs in the notebook's own folder; this process stays where it is, so several may run at once.

    executed: where the executed notebook is written; default: beside the notebook, as `NAME.executed.ipynb`. The report has the suffix `.html`.
    store, thread_id: given to the notebook's `parameters` cell, where they are not None; the store to HITL_NB_STORE, too.
    answers: a path, or the answers themselves, in any form of an answers file. None: the notebook's own, or HITL_NB_ANSWERS.
    on_missing: "leave_open" stops the run at the cell that asks what nothing answers, with the status "needs human"; "fail" has it fail there.
    reviewer: recorded with each decision, where the notebook or an answer does not say.
    parameters: further values for the `parameters` cell. Relative paths in them are seen from the notebook's folder, all others from here.

    A thread that the store knows goes on where it stands, so a second run asks nothing again. A notebook that fails raises nothing: see `status`,
    and `NotebookRun.raise_for_status`. Raises before anything runs AnswersFileError, FileNotFoundError and, for a file that is no notebook,
    NotebookFailedError; KeyboardInterrupt once it is written that the run was interrupted; OSError when a file cannot be written.
    """
    import papermill
    from nbformat import ValidationError
    from nbformat.reader import NotJSONError

    notebook = Path(path).resolve()
    target = Path(executed).resolve() if executed is not None else notebook.with_suffix(".executed.ipynb")
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = None if store is None else Path(store).resolve()
    record = RunRecord()
    given = {"store": None if folder is None else str(folder), "thread_id": thread_id}
    try:
        papermill.execute_notebook(
            str(notebook).replace("{", "{{").replace("}", "}}"),  # papermill fills parameters in
            None,
            parameters={**(parameters or {}), **{name: value for name, value in given.items() if value is not None}},
            engine_name="hitl",
            progress_bar=progress,
            execution_timeout=cell_timeout_s,
            answers=answers,
            on_missing=on_missing,
            store=folder,
            reviewer=reviewer,
            executed=str(target),
            folder=notebook.parent,
            record=record,
        )
    except (NotJSONError, ValidationError) as error:
        raise NotebookFailedError(f"{notebook} is no notebook that can be read: {shown(str(error))}", notebook=notebook) from None
    except Exception as error:
        # What the notebook came to is in the record. That a file cannot be read or written is the caller's; a cell's time-out is an OSError, too.
        if record.error is None or (isinstance(error, OSError) and not isinstance(error, TimeoutError)):
            raise
    return NotebookRun(
        record.status,
        target,
        _report(target) if report else None,
        record.thread_ids,
        record.decisions,
        record.questions,
        record.error,
        record.stores,
    )


def _report(executed: Path) -> Path:
    import nbformat

    return write_report(nbformat.read(executed, as_version=4), executed.with_suffix(".html"))
