"""`run_batch()`: a notebook or a graph once for each case; what is done is never done again."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from contextlib import closing
from pathlib import Path
from typing import Any, Final, get_args

from hitl_nb.batch.cases import Case, read_cases
from hitl_nb.batch.earlier import change_since, code_of, earlier_run, has_moved
from hitl_nb.batch.graphs import run_graphs
from hitl_nb.batch.jobs import Ending, Job, run_job
from hitl_nb.batch.parameters import fitted, parameters_of, read_notebook
from hitl_nb.batch.processes import in_executor, in_processes
from hitl_nb.batch.results import BatchResult
from hitl_nb.batch.summary import Summary, opened_by_thread
from hitl_nb.decisions.answers import OnMissing, Script, read_script
from hitl_nb.decisions.answers.lint import lint
from hitl_nb.errors import HitlError, OutputError
from hitl_nb.errors import told as told_error
from hitl_nb.graph.compiled import CompiledGraph
from hitl_nb.plain.text import is_data, text_of
from hitl_nb.plain.yaml_json import load_with_lines
from hitl_nb.responders.choose import ANSWERS_VARIABLE

_KILLED: Final = (
    "its process was killed before it could say how it ended (by a signal, or because the memory was full). What is stored is safe: run the batch "
    "again, and the case goes on where it stands"
)


def run_batch(
    notebook_or_graph: str | os.PathLike[str] | CompiledGraph,
    cases: Any,
    *,
    out: str | os.PathLike[str] | None = None,
    answers: Any = None,
    store: str | os.PathLike[str] | None = None,
    on_missing: OnMissing = "leave_open",
    id_column: str | None = None,
    executor: Executor | None = None,
    workers: int | None = None,
    reviewer: str | None = None,
    cell_timeout_s: int | None = None,
    progress: bool = True,
) -> BatchResult:
    """What became of every case: one run each, of a notebook or of a compiled graph, on the thread that the case names.

    cases: the path of a CSV, JSON, JSON lines or YAML file, a DataFrame, or a list of mappings. The column `thread_id` (or `id_column`) names the
    thread; the others are given to the notebook's parameters cell, or are the graph's input.
    out: the folder for what is left behind: `cases/` with an executed notebook and a report for each case, `summary.json`, `report.html`, and
    `inbox.ipynb` while questions are open. A notebook needs one.
    store: the folder of the reviews; default: `reviews` in `out`. A graph has its own.
    answers: as in `review()`, for all cases; each reads them for itself, so `times` and `nth` count within a case.
    on_missing: "leave_open" leaves what the answers do not say to a person; "fail" has the case fail there.
    executor: any `concurrent.futures.Executor`; default: spawned processes, as many as `workers` says, or the processors. It is not shut down.
    A graph runs in this process, in `workers` Python threads.
    cell_timeout_s: seconds that a cell may take.
    progress: show a bar on stderr when it takes more than 2 s.

    A case that fails does not stop the others. Run again, with the same `out`: cases that are done are skipped, cases that need a human go on when
    they were answered, all others go on where they stand. Nothing that was decided is asked again, and no node that finished runs again.
    Ctrl-C stops what runs, writes the summary, and raises KeyboardInterrupt.

    Raises CasesError, AnswersFileError, StoreError and OutputError before anything runs.

    >>> from hitl_nb import MemorySaver, StateGraph, interrupt
    >>> graph = StateGraph().add_node("ask", lambda state: {"paid": interrupt("Pay?")}).set_entry_point("ask").compile(checkpointer=MemorySaver())
    >>> run_batch(graph, [{"thread_id": "a", "amount": 5}, {"thread_id": "b", "amount": 900}], answers=[{"thread": "a", "answer": True}]).headline
    '2 cases: 1 done, 1 needs a human'
    """
    if on_missing not in get_args(OnMissing):
        raise ValueError(f"on_missing is {on_missing!r}; expected 'fail' or 'leave_open'")
    if workers is not None and workers < 1:
        raise ValueError(f"workers is {workers}; expected 1 or more")
    read = read_cases(cases, id_column=id_column)
    given, source = (answers, "answers=") if answers is not None else (os.environ.get(ANSWERS_VARIABLE) or None, ANSWERS_VARIABLE)
    script = None if given is None else read_script(given, source=source)
    folder = None if out is None else _folder(Path(out).expanduser().absolute())
    if isinstance(notebook_or_graph, CompiledGraph):
        graph = notebook_or_graph
        runs = run_graphs(graph, read, script=script, on_missing=on_missing, reviewer=reviewer, executor=executor, workers=workers)
        assert graph.checkpointer is not None  # run_graphs looked
        return _carried_out(Summary(graph.name, read, graph.checkpointer, folder, script, given), runs, len(read), progress=progress)
    if folder is None:
        raise TypeError("run_batch() of a notebook needs out=, the folder for the executed notebooks and the summary")
    return _notebooks(
        Path(notebook_or_graph).expanduser(),
        read,
        folder,
        folder / "reviews" if store is None else Path(store).expanduser().absolute(),
        given,
        script,
        {"on_missing": on_missing, "reviewer": reviewer, "cell_timeout_s": cell_timeout_s},
        executor=executor,
        workers=workers or os.cpu_count() or 1,
        progress=progress,
    )


def _notebooks(
    notebook: Path,
    cases: Sequence[Case],
    out: Path,
    store: Path,
    answers: Any,
    script: Script | None,
    options: Mapping[str, Any],
    *,
    executor: Executor | None,
    workers: int,
    progress: bool,
) -> BatchResult:
    """A notebook for each case that an earlier batch has not done."""
    from hitl_nb.checkpoint.disk import DiskCacheSaver

    read = read_notebook(notebook)
    declared = parameters_of(read)
    cases = fitted(cases, declared)
    saver = DiskCacheSaver(_folder(store, "store"))
    summary = Summary(notebook.name, cases, saver, out, script, answers)
    summary.notes += _notes(cases, declared)
    folder = _folder(out / "cases")
    summary.executed |= {case.thread_id: folder / f"{case.file_name}.ipynb" for case in cases}
    todo = _look_back(summary, code_of(read))
    sent = _sent(answers, script)
    jobs = {
        case.thread_id: Job(
            notebook=str(notebook.resolve()),
            executed=str(summary.executed[case.thread_id]),
            store=str(store),
            thread_id=case.thread_id,
            parameters=dict(case.parameters),
            answers=sent,
            **options,
        )
        for case in todo
    }
    finished = in_processes(run_job, list(jobs.values()), workers) if executor is None else in_executor(run_job, jobs.values(), executor)
    try:
        return _carried_out(summary, _endings(finished), len(jobs), progress=progress)
    finally:
        saver.close()


def _carried_out(summary: Summary, runs: Iterator[tuple[str, Ending]], total: int, *, progress: bool) -> BatchResult:
    """The result, once all have run. Stopped by Ctrl-C, what is done is summed up before KeyboardInterrupt goes on."""
    from tqdm.auto import tqdm

    try:
        with closing(runs), tqdm(total=total, desc=summary.source, unit="case", delay=2, disable=not progress) as bar:  # type: ignore[type-var]
            for thread_id, ending in runs:
                summary.endings[thread_id] = ending
                bar.set_postfix_str(_counted(summary.endings.values()), refresh=False)
                bar.update()
    except KeyboardInterrupt:
        summary.conclude()
        raise
    return summary.conclude()


def _endings(finished: Iterator[tuple[Job, Future[Ending]]]) -> Iterator[tuple[str, Ending]]:
    with closing(finished):  # type: ignore[type-var]
        for job, future in finished:
            try:
                yield job.thread_id, future.result()
            except CancelledError:
                continue
            except BrokenExecutor:
                yield job.thread_id, Ending("failed", _KILLED, None)
            except KeyboardInterrupt:  # somebody ended the process of this case alone
                yield job.thread_id, Ending("interrupted", "its process was ended", None)
            except Exception as error:  # noqa: BLE001  what an executor of somebody else's raises; the other cases go on
                yield job.thread_id, Ending("failed", told_error(error), None)


def _look_back(summary: Summary, sources: tuple[str, ...]) -> list[Case]:
    """The cases to run. What an earlier batch did, and what cannot be run on top of that, is noted."""
    before = {case.thread_id: earlier_run(summary.executed[case.thread_id]) for case in summary.cases}
    opened = opened_by_thread(summary.saver)
    fitting = _fitting(summary) if any(e is not None and e.status == "needs human" for e in before.values()) else ()
    todo = []
    for case in summary.cases:
        earlier = before[case.thread_id]
        if earlier is None:
            todo.append(case)
            continue
        finished = earlier.status in ("done", "needs human") or earlier.thread_id != case.thread_id
        changed = change_since(earlier, case, sources, summary.executed[case.thread_id]) if finished else ""
        if changed:
            summary.refused[case.thread_id] = changed
        elif not finished or not _has_report(summary, case) or has_moved(earlier, summary.saver, opened, fitting):
            todo.append(case)
        else:
            summary.kept[case.thread_id] = earlier
    return todo


def _has_report(summary: Summary, case: Case) -> bool:
    """False where the disk was full when it was to be written."""
    return summary.executed[case.thread_id].with_suffix(".html").is_file()


def _fitting(summary: Summary) -> Collection[str]:
    """The open questions that the answers have something for."""
    if summary.script is None:
        return ()
    try:
        return {m.interrupt_id for m in lint(summary.answers, summary.saver).matches if m.status == "open" and m.entry is not None}
    except HitlError:  # an answer in the store is of a class that is not loaded here: whatever is open may be answered
        return {q.interrupt_id for q in summary.saver.open_questions()}


def _sent(answers: Any, script: Script | None) -> Any:
    """The answers as they go to another process: a path that is found from anywhere, or data.

    An entry that one case does not ask for is for another one, so no single case fails for it: the batch tells what none asked for.
    """
    if script is not None and script.on_unused == "fail":
        return _without_unused(answers)
    is_path = isinstance(answers, os.PathLike) or (isinstance(answers, str) and not is_data(answers))
    return str(Path(answers).expanduser().absolute()) if is_path else answers


def _without_unused(answers: Any) -> dict[str, Any]:
    data = answers
    if isinstance(answers, (str, os.PathLike)):
        text, source, kind = text_of(str(answers), "answers=")
        data, _ = load_with_lines(text, source, kind)
        if kind == "jsonl":
            data = {**data[0], "answers": data[1:]}
    return {**data, "on_unused": "ignore"}


def _notes(cases: Iterable[Case], declared: Mapping[str, Any]) -> Iterator[str]:
    """What would look as if it were given, and is not used."""
    names = dict.fromkeys(name for case in cases for name in case.parameters if name not in declared)
    if names:
        told = f"{', '.join(names)}: what the cases give under {'this name' if len(names) == 1 else 'these names'} may not be used"
        yield f"The notebook's parameters cell has no {told}"
    if "thread_id" not in declared:
        yield "The notebook's parameters cell has no thread_id: all cases share one thread, unless review(…, thread_id=) has another parameter"


def _counted(endings: Iterable[Ending]) -> str:
    """`3 needs human, 1 failed`: what is not done."""
    counts = Counter(ending.status for ending in endings if ending.status != "done")
    return ", ".join(f"{number} {status}" for status, number in counts.items())


def _folder(path: Path, name: str = "out") -> Path:
    """The folder of the option `name`, made where it is not there. Raises OutputError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        if os.access(path, os.W_OK | os.X_OK):
            return path
        why = "it cannot be written to; check its owner and permissions"
    except OSError as error:
        why = str(error)
    raise OutputError(f"the batch cannot leave anything in {path}: {why}. Nothing was run; name another folder with --{name} ({name}= in Python)")
