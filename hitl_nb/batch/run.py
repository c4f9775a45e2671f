"""Run one notebook without a person: answers from a file, decisions from the store, a report that needs no network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hitl_nb.batch.report import write_report
from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.disk import DiskCacheSaver
from hitl_nb.decisions.wording import readable
from hitl_nb.errors import NotebookFailedError

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


@dataclass(frozen=True, slots=True)
class NotebookRun:
    """What a finished run left behind."""

    notebook: Path
    """The executed notebook; the record of its decisions is in `metadata.hitl_nb`."""
    report: Path
    """The same as HTML, readable offline."""
    decisions: list[dict[str, Any]]
    """As in the notebook's record: number, node, question, answer, reviewer, how, decided_at (ISO, UTC), interrupt_id."""


def run_notebook(
    path: Path,
    *,
    executed: Path,
    store: Path,
    thread_id: str,
    answers: Path | Mapping[str, Any] | list[Any] | None = None,
    parameters: Mapping[str, Any] | None = None,
    progress: bool = False,
    cell_timeout_s: int | None = None,
) -> NotebookRun:
    """The run of one notebook through papermill, in its own folder.

    The notebook's `parameters` cell receives `hitl_answers`, `store` and `thread_id`, and whatever `parameters` adds. Written are `executed`, and
    beside it the report with the suffix `.html`. A thread that the store already knows goes on where it stands, so a second run asks nothing again.
    Raises NotebookFailedError when a cell raises; an unanswered question is such a case, and the message holds the lines to add to the answers.
    Changes the working directory of the process while it runs, so one run a process at a time.
    """
    import papermill
    from papermill.exceptions import PapermillExecutionError

    given = answers.resolve() if isinstance(answers, Path) else answers
    executed.parent.mkdir(parents=True, exist_ok=True)
    try:
        papermill.execute_notebook(
            str(path.resolve()),
            str(executed.resolve()),
            parameters={
                **(parameters or {}),
                "hitl_answers": str(given) if isinstance(given, Path) else given,
                "store": str(store.resolve()),
                "thread_id": thread_id,
            },
            cwd=str(path.resolve().parent),
            progress_bar=progress,
            log_output=False,
            execution_timeout=cell_timeout_s,
            # Every kernel warns that its port on 127.0.0.1 is not encrypted; that line is no part of a run's log.
            extra_arguments=["--log-level=40"],
        )
    except PapermillExecutionError as error:
        message = f"{path.name}, cell {error.exec_count}: {error.ename}: {error.evalue}"
        raise NotebookFailedError(message, notebook=executed, error=error.ename, cell=error.exec_count) from None
    decisions = decision_record(DiskCacheSaver(store), thread_id)
    return NotebookRun(executed, _finish(executed, thread_id, decisions), decisions)


def decision_record(checkpointer: Checkpointer, thread_id: str) -> list[dict[str, Any]]:
    """The decisions of a thread as plain JSON values, oldest first."""
    record = []
    for decision in checkpointer.decisions(thread_id):
        question = checkpointer.question(decision.interrupt_id)
        payload = question.payload if question else None
        record.append(
            {
                "number": decision.number,
                "node": decision.node,
                "question": asked(payload),
                "answer": _plain(decision.answer),
                "reviewer": decision.reviewer,
                "how": decision.how,
                "decided_at": decision.decided_at.isoformat(),
                "interrupt_id": decision.interrupt_id,
            }
        )
    return record


def asked(payload: Any) -> str:
    """The question of a payload in one line."""
    if isinstance(payload, Mapping):
        named = next((payload[k] for k in ("question", "prompt", "message", "action", "type") if isinstance(payload.get(k), str)), None)
        return named if named is not None else " ".join(readable(payload).split())
    return " ".join(readable(payload).split())


def _plain(value: Any) -> Any:
    """The value as JSON has it; what JSON does not have becomes its text."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value if value is None or isinstance(value, str | int | float | bool) else readable(value)


def _finish(executed: Path, thread_id: str, decisions: list[dict[str, Any]]) -> Path:
    """Put the record into the notebook, drop what only a live kernel can draw, and write the report."""
    import nbformat

    notebook = nbformat.read(executed, as_version=4)
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            # A viewer prefers the widget to the html beside it, and then shows nothing, for the widget is gone.
            if len(output.get("data", {})) > 1:
                output["data"].pop(WIDGET_VIEW, None)
    notebook.metadata["hitl_nb"] = {"version": 1, "thread_id": thread_id, "decisions": decisions}
    nbformat.validate(notebook)
    nbformat.write(notebook, executed)
    return write_report(notebook, executed.with_suffix(".html"))
