"""One run of a notebook under the engine `hitl`: what its kernel is given, and how the run ended."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, get_args

from hitl_nb.batch.record import RunError, RunRecord
from hitl_nb.checkpoint.serde import Serde
from hitl_nb.decisions.answers import OnMissing, Script, read_script
from hitl_nb.decisions.answers.values import to_plain
from hitl_nb.decisions.reviewer import REVIEWER_VARIABLE, checked_name
from hitl_nb.errors import AnswersFileError
from hitl_nb.plain.text import is_data
from hitl_nb.responders.choose import ANSWERS_PARAMETER, ANSWERS_VARIABLE
from hitl_nb.responders.headless_run import RUN_VARIABLE, HeadlessRun

_INLINE_MAX: Final = 16 * 1024
"""Characters of answers that go into the environment of the kernel; Linux takes 128 KiB, Windows 32 KiB. More go through a file."""
_IOPUB_TIMEOUT_S: Final = 60
"""How long the outputs of a cell that has ended are waited for; nbclient's 4 s are too short on a busy machine."""


def execute(
    nb: Any,
    kernel_name: str,
    output_path: str | None = None,
    *,
    answers: Any = None,
    on_missing: OnMissing = "fail",
    store: str | os.PathLike[str] | None = None,
    reviewer: str | None = None,
    executed: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    record: RunRecord | None = None,
    progress_bar: bool | dict[str, Any] = True,
    log_output: bool = False,
    autosave_cell_every: int = 30,
    start_timeout: int = 60,
    execution_timeout: int | None = None,
    stdout_file: Any = None,
    stderr_file: Any = None,
    input_path: str | None = None,  # noqa: ARG001  papermill names it, and nothing needs it
    **options: Any,
) -> Any:
    """The executed notebook; how it ended stands in its `metadata.hitl_nb`.

    answers: the answers of the run: a path, or the answers themselves. They go before the notebook's parameter `hitl_answers`, and that before
    the environment's HITL_NB_ANSWERS. A relative path is seen from where papermill was called; one of the parameter, as every path of a
    parameter, from where the kernel runs.
    on_missing: "leave_open" stops the run at the cell that asks what nothing answers; "fail" leaves it to the notebook and its answers.
    store: the folder of the store, for a notebook that takes it from HITL_NB_STORE.
    reviewer: recorded with each decision, where the notebook or an answer does not say.
    executed, folder: where the notebook is saved, and where its kernel runs; instead of papermill's output path and working directory.
    record: is filled with what the run came to.
    options: for nbclient's NotebookClient.

    Raises AnswersFileError before a kernel is started, and what stops a run from outside: DeadKernelError, CellTimeoutError, KeyboardInterrupt.
    """
    from hitl_nb.batch.client import Client, Manager, started_in

    if on_missing not in get_args(OnMissing):
        raise ValueError(f"on_missing is {on_missing!r}; expected 'fail' or 'leave_open'")
    runs_in = Path(folder or options.get("resources", {}).get("metadata", {}).get("path") or Path.cwd()).resolve()
    env = dict(os.environ)
    given, script = _given(answers, nb, env, called_in=started_in(), runs_in=runs_in)
    record = RunRecord() if record is None else record
    for cell in nb.cells:
        if "injected-parameters" in cell.metadata.get("tags", ()) and "id" in cell:
            cell["id"] = "injected-parameters"  # papermill draws one at random
    if executed is not None:
        output_path = nb.metadata.papermill["output_path"] = executed
    manager = Manager(
        nb,
        record,
        output_path=output_path,
        progress_bar=progress_bar,
        log_output=log_output,
        autosave_cell_every=autosave_cell_every,
    )
    leaves_open = on_missing == "leave_open" or (script is not None and script.on_missing == "leave_open")
    with _told(HeadlessRun(given, leaves_open)) as told:
        env |= {RUN_VARIABLE: told, "HITL_NB_HEADLESS": "1"}
        env |= {} if store is None else {"HITL_NB_STORE": str(Path(started_in(), store).resolve())}
        env |= {} if reviewer is None else {REVIEWER_VARIABLE: checked_name("reviewer", reviewer)}
        manager.notebook_start()
        try:
            client = Client(
                manager,
                **{
                    "extra_arguments": ["--log-level=40"],  # else each kernel warns that its port on 127.0.0.1 is not encrypted
                    "record_timing": False,  # papermill has the times of each cell
                    "iopub_timeout": _IOPUB_TIMEOUT_S,
                    **options,
                    "store_widget_state": False,
                    "timeout": execution_timeout or options.get("timeout"),
                    "startup_timeout": start_timeout,
                    "kernel_name": kernel_name,
                    "log": _logger(),
                    "log_output": log_output,
                    "stdout_file": stdout_file,
                    "stderr_file": stderr_file,
                },
            )
            with _terminable():
                client.execute(env=env, cwd=str(runs_in))
            _conclude(record, nb)
        except BaseException as error:
            if record.status == "running":  # outside of any cell: the kernel did not start, say
                record.status = "failed" if isinstance(error, Exception) else "interrupted"
                record.error = RunError(type(error).__name__, str(error), None)
            raise
        finally:
            manager.notebook_complete()
    return nb


def _conclude(record: RunRecord, nb: Any) -> None:
    """The status of a run that nothing stopped. An error in a cell that may raise counts, as papermill has it."""
    if record.status != "running":
        return
    for cell in nb.cells:
        for output in cell.get("outputs", ()):
            if output.output_type == "error" and (output.ename, output.evalue) not in (("SystemExit", ""), ("SystemExit", "0")):
                record.status = "failed"
                record.error = RunError(output.ename, output.evalue, cell.execution_count)
                return
    record.status = "done"


def _given(answers: Any, nb: Any, env: dict[str, str], *, called_in: Path, runs_in: Path) -> tuple[Any, Script | None]:
    """What the kernel is told as the answers of the run, and the script that answers it, whoever gave it. Raises AnswersFileError."""
    if isinstance(answers, (str, os.PathLike)):
        text = _seen_from(called_in, os.fspath(answers))
        return text, read_script(text)
    if answers is not None:
        script = read_script(answers)
        return _plain(answers), script
    parameter = nb.metadata.get("papermill", {}).get("parameters", {}).get(ANSWERS_PARAMETER)
    if isinstance(parameter, str):
        text = _seen_from(runs_in, parameter)
        _require_there(text, parameter, called_in=called_in, runs_in=runs_in)
        return None, read_script(text, source=f"the parameter {ANSWERS_PARAMETER}")
    if parameter is not None:
        return None, read_script(parameter, source=f"the parameter {ANSWERS_PARAMETER}")
    if variable := env.get(ANSWERS_VARIABLE):
        env[ANSWERS_VARIABLE] = _seen_from(called_in, variable)
        return None, read_script(env[ANSWERS_VARIABLE], source=ANSWERS_VARIABLE)
    return None, None


def _seen_from(folder: Path, given: str) -> str:
    """The path as it is found from anywhere; a text of answers as it is."""
    return given if is_data(given) else str(Path(folder, Path(given).expanduser()))


def _require_there(path: str, given: str, *, called_in: Path, runs_in: Path) -> None:
    if path != given and not Path(path).exists() and Path(called_in, given).exists():
        raise AnswersFileError(
            f"the parameter {ANSWERS_PARAMETER} names the answers file {given!r}, which is in {called_in}, and the notebook runs in {runs_in}. "
            f"Every path of a parameter is seen from there: give the whole path"
        )


def _plain(value: Any, *, frame: bool = True) -> Any:
    """As JSON has it. What JSON has not is written in the forms of an answers file; a tuple of the frame, not of an answer, is a list."""
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _said(item) if key == "when" else _plain(item, frame=frame and isinstance(item, tuple)) for key, item in value.items()}
    if isinstance(value, list) or (frame and isinstance(value, tuple)):
        return [_plain(item, frame=False) for item in value]
    return to_plain(value, Serde())


def _said(value: Any) -> Any:
    """A condition, which compares a date or a decimal by how it is written."""
    if isinstance(value, Mapping):
        return {str(key): _said(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_said(item) for item in value]
    return value if value is None or isinstance(value, (str, bool, int, float)) else value.isoformat() if hasattr(value, "isoformat") else str(value)


@contextmanager
def _told(run: HeadlessRun) -> Iterator[str]:
    """What the environment of the kernel says of the run. Many answers lie in a file that nobody else can read, and that is gone afterwards."""
    text = run.told()
    if len(text) <= _INLINE_MAX:
        yield text
        return
    with TemporaryDirectory(prefix="hitl-nb-") as private:
        file = Path(private, "run.json")
        file.write_text(text, encoding="utf-8")
        yield f"@{file}"


@contextmanager
def _terminable() -> Iterator[None]:
    """A SIGTERM ends the run as Ctrl-C does, so that its kernel is ended and its notebook says how it ended. Only where nobody else handles it."""
    on_main = threading.current_thread() is threading.main_thread()
    if not on_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def terminated(number: int, _: Any) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _logger() -> Any:
    from papermill.log import logger

    return logger
