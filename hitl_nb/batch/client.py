"""Runs the cells of a notebook, keeps its file up to date, and listens to what its kernel tells. Loaded by a run only, as papermill is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

import nbformat
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbclient.util import ensure_async, run_sync
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NotebookExecutionManager
from papermill.iorw import LocalHandler, papermill_io

from hitl_nb.batch.record import ACCOUNT_TARGET, RunError, RunRecord, RunStatus
from hitl_nb.batch.saving import drop_live_views, write_whole

NEEDS_HUMAN: Final = "needs human"
_STARTS: Final = {"Kernel died before": 3, "Kernel didn't respond": 2}
"""How often a kernel is started of which jupyter_client says this: nothing has run in it."""


class Manager(NotebookExecutionManager):  # type: ignore[misc]
    """Marks each cell with how it stands, and saves the notebook whenever one begins or ends."""

    def __init__(self, nb: Any, record: RunRecord, **options: Any) -> None:
        super().__init__(nb, **options)
        self.record = record
        self.stopped_at: Any = None
        """The cell that asks what nobody answers."""

    def save(self, **_: Any) -> None:
        """A file on this machine is replaced as a whole, so that it is never half a notebook, whatever happens to this process."""
        self.nb.metadata["hitl_nb"] = self.record.metadata()
        if self.output_path is None or not isinstance(papermill_io.get_handler(self.output_path), LocalHandler):
            super().save()
            return
        path = Path(started_in(), self.output_path)
        if not path.parent.exists():
            raise FileNotFoundError(f"output folder {path.parent} doesn't exist.")
        write_whole(path, nbformat.writes(self.nb))
        self.last_save_time = self.now()

    def notebook_complete(self, **_: Any) -> None:
        """How the run ended. A cell that did not run stays pending, which papermill would call completed."""
        self.end_time = self.now()
        self.nb.metadata.papermill["end_time"] = self.end_time.isoformat()
        self.nb.metadata.papermill["duration"] = max((self.end_time - self.start_time).total_seconds(), 0.0)  # the clock may go back
        if self.stopped_at is not None:
            self.stopped_at.metadata.papermill["status"] = NEEDS_HUMAN
        drop_live_views(self.nb)
        self.cleanup_pbar()
        self.save()


class Client(PapermillNotebookClient):  # type: ignore[misc]
    """papermill's own client, which stops cleanly at an open question."""

    nb_man: Manager
    km: Any

    @contextmanager
    def setup_kernel(self, **kwargs: Any) -> Iterator[None]:
        """As nbclient has it, but an idle kernel has ended when it is cleaned up. jupyter_client would interrupt it first, and a kernel that is just
        about to be idle logs that as an error of its own, in the middle of what the batch prints.
        """
        self._start_kernel(**kwargs)
        with super().setup_kernel(**kwargs):
            yield
            if self.owns_km:
                run_sync(self._end_kernel)()

    def _start_kernel(self, **kwargs: Any) -> None:
        """Start it. Kernels that start side by side may draw the same free port: all but the first die of it, or hang as they end. Then it is
        started anew.
        """
        kwargs.pop("cleanup_kc", None)
        for start in count(1):
            self.km = self.km or self.create_kernel_manager()
            if not self.km.has_kernel:
                self.start_new_kernel(**kwargs)
            try:
                self.start_new_kernel_client()
            except RuntimeError as error:
                if start >= max((starts for said, starts in _STARTS.items() if said in str(error)), default=1):
                    raise
            else:
                return

    async def _end_kernel(self) -> None:
        await ensure_async(self.km.request_shutdown())
        await ensure_async(self.km.finish_shutdown())

    def execute(self, **options: Any) -> Any:
        """The executed notebook. No kernel outlives it, not even one that was interrupted while it started, which nbclient forgets."""
        try:
            return super().execute(**options)
        finally:
            if self.owns_km and self.km is not None:
                self._cleanup_kernel()

    def papermill_execute_cells(self) -> None:
        """Each cell in turn, up to one that raises or asks."""
        record = self.nb_man.record
        for index, cell in enumerate(self.nb.cells):
            record.begin_cell()
            try:
                self.nb_man.cell_start(cell, index)
                self.execute_cell(cell, index)
            except CellExecutionError as error:
                cell = self.nb.cells[index]  # noqa: PLW2901
                if record.drawing is not None:
                    self._leave_open(cell, record.drawing)
                elif error.ename == "SystemExit" and error.evalue in ("", "0"):  # as papermill has it: the notebook says that it is done
                    self.nb_man.cell_exception(cell, cell_index=index, exception=error)
                else:
                    self._fail(cell, index, error, "failed", RunError(error.ename, error.evalue, cell.execution_count))
                break
            except BaseException as error:
                self._fail(self.nb.cells[index], index, error, _status(error), None)
                raise
            finally:
                self.nb_man.cell_complete(self.nb.cells[index], cell_index=index)

    def _leave_open(self, cell: Any, drawing: Any) -> None:
        """The question in place of the error: papermill takes a notebook with an error in it for a failed one."""
        cell.outputs = [output for output in cell.outputs if output.output_type != "error"]
        cell.outputs.append(nbformat.v4.new_output("display_data", data=drawing))
        self.nb_man.stopped_at = cell
        self.nb_man.record.status = "needs human"

    def _fail(self, cell: Any, index: int, error: BaseException, status: RunStatus, why: RunError | None) -> None:
        self.nb_man.cell_exception(cell, cell_index=index, exception=error)
        self.nb_man.record.status = status
        number = cell.get("execution_count") or (self.code_cells_executed or None)
        self.nb_man.record.error = why or RunError(type(error).__name__, _first_line(error), number)
        if status != "failed":
            self.shutdown_kernel = "immediate"  # it is busy, and would not listen

    def handle_comm_msg(self, outs: Any, msg: Any, cell_index: int) -> None:
        """What the kernel tells of the run goes into the record; all else is for widgets."""
        content = msg["content"]
        if msg["msg_type"] == "comm_open" and content.get("target_name") == ACCOUNT_TARGET:
            self._account = content["comm_id"]
        if content.get("comm_id") != self._account:
            super().handle_comm_msg(outs, msg, cell_index)
        elif msg["msg_type"] != "comm_close":
            self.nb_man.record.tell(content["data"])

    _account: str | None = None
    """The id of the comm over which the kernel tells."""

    def set_widgets_metadata(self) -> None:
        """None: a saved widget has no kernel, and hides the static drawing beside it."""


def started_in() -> Path:
    """The folder in which papermill was called: against it the paths of notebooks are read, also while `cwd=` has the process elsewhere."""
    handler = papermill_io.get_handler("x.ipynb")
    return Path(getattr(handler, "_cwd", None) or Path.cwd())


def _status(error: BaseException) -> RunStatus:
    if isinstance(error, DeadKernelError):
        return "kernel died"
    if isinstance(error, CellTimeoutError):
        return "timed out"
    return "failed" if isinstance(error, Exception) else "interrupted"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0]
