"""Many runs of one graph in this process: a few Python threads share the graph and its checkpointer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from hitl_nb.batch.cases import Case
from hitl_nb.batch.jobs import Ending
from hitl_nb.batch.processes import in_executor
from hitl_nb.batch.results import Status
from hitl_nb.decisions.answers import OnMissing, Script
from hitl_nb.decisions.reviewer import reviewer_name
from hitl_nb.errors import HitlError, NoCheckpointerError, told
from hitl_nb.responders.base import FrontEnd, Responder, View
from hitl_nb.responders.plain import wait_by_looking
from hitl_nb.responders.scripted import NobodyResponder, ScriptedResponder
from hitl_nb.session.session import ReviewSession

if TYPE_CHECKING:
    from hitl_nb.graph.compiled import CompiledGraph

THREADS: Final = 8
"""Python threads, when nobody says how many: nodes often wait, for a model or a database."""


def run_graphs(
    graph: CompiledGraph,
    cases: Sequence[Case],
    *,
    script: Script | None,
    on_missing: OnMissing,
    reviewer: str | None,
    executor: Executor | None,
    workers: int | None,
) -> Iterator[tuple[str, Ending]]:
    """The thread of each case with how its run ended, once it did. A thread that is finished runs nothing, one that waits goes on where it stands.

    Raises NoCheckpointerError and TypeError at once.
    """
    if graph.checkpointer is None:
        raise NoCheckpointerError(
            "run_batch() needs a graph that can pause, and this one has no checkpointer; compile(checkpointer=DiskCacheSaver('reviews'))"
        )
    if executor is not None and not isinstance(executor, ThreadPoolExecutor):
        raise TypeError(
            f"executor is a {type(executor).__name__}, and a graph cannot be sent to another process; expected a ThreadPoolExecutor. To run in other "
            f"processes, put the graph into a notebook: run_batch('NOTEBOOK.ipynb', …)"
        )
    name = reviewer_name(reviewer)

    def run(case: Case) -> Ending:
        started = time.monotonic()
        try:
            status = _run(graph, case, script, on_missing, name)
        except Exception as error:  # noqa: BLE001  whatever a node raises; the other cases go on
            return Ending("failed", str(error) if isinstance(error, HitlError) else told(error), time.monotonic() - started)
        return Ending(status, "", time.monotonic() - started)

    return _in_threads(run, cases, executor, workers or THREADS)


def _in_threads(run: Callable[[Case], Ending], cases: Sequence[Case], executor: Executor | None, workers: int) -> Iterator[tuple[str, Ending]]:
    with (
        ThreadPoolExecutor(workers, thread_name_prefix="hitl-nb-batch") if executor is None else nullcontext(executor) as pool,
        closing(in_executor(run, cases, pool)) as finished,
    ):
        for case, future in finished:
            yield case.thread_id, future.result()


def _run(graph: CompiledGraph, case: Case, script: Script | None, on_missing: OnMissing, reviewer: str) -> Status:
    responder: Responder = NobodyResponder(on_missing=on_missing)
    if script is not None:  # what one case does not ask for is for another: the batch tells what none asked for
        responder = ScriptedResponder(replace(script.fresh(), on_unused="ignore"), on_missing=on_missing)
    saver = graph.checkpointer
    assert saver is not None  # the caller looked
    session = ReviewSession(graph, saver, case.thread_id, FrontEnd(View(), responder, wait_by_looking), reviewer, now=graph.now)
    session.open(case.parameters)
    return "done" if session.status == "done" else "needs human"
