"""One case as it is sent to another process, and what comes back: plain data, so that any executor can carry it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hitl_nb.batch.results import Status
from hitl_nb.decisions.answers import OnMissing
from hitl_nb.errors import told


@dataclass(frozen=True, slots=True)
class Job:
    """One run of a notebook. Paths are absolute: another process may stand elsewhere."""

    notebook: str
    executed: str
    store: str
    thread_id: str
    parameters: Mapping[str, Any]
    answers: Any
    """A path, or the answers themselves as plain data."""
    on_missing: OnMissing
    reviewer: str | None
    cell_timeout_s: int | None


@dataclass(frozen=True, slots=True)
class Ending:
    """How the run of a case ended."""

    status: Status
    error: str
    duration_s: float | None
    """None: nobody knows."""


def run_job(job: Job) -> Ending:
    """Run it. An exception comes back as its text: one that cannot be pickled would break the pool for the other cases."""
    from hitl_nb.batch.run import run_notebook

    started = time.monotonic()
    try:
        run = run_notebook(
            job.notebook,
            executed=job.executed,
            store=job.store,
            thread_id=job.thread_id,
            answers=Path(job.answers) if isinstance(job.answers, str) else job.answers,
            on_missing=job.on_missing,
            reviewer=job.reviewer,
            parameters=job.parameters,
            cell_timeout_s=job.cell_timeout_s,
        )
    except OSError as error:
        return Ending("failed", f"{told(error)}. It was to be written: {job.executed} and its report", time.monotonic() - started)
    except Exception as error:  # noqa: BLE001  whatever stops a run before its notebook can say so: no kernel of that name
        return Ending("failed", told(error), time.monotonic() - started)
    status: Status = "interrupted" if run.status == "running" else run.status
    return Ending(status, "" if run.error is None else str(run.error), time.monotonic() - started)
