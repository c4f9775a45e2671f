"""How a run under the engine ends when something goes wrong, and that its notebook says so: dead kernels, time-outs, exceptions, signals."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import papermill
import pytest
from nbclient.exceptions import DeadKernelError

from hitl_nb.batch.record import RunRecord
from hitl_nb.batch.run import run_notebook
from hitl_nb.batch.saving import write_whole
from hitl_nb.errors import NotebookFailedError

MET = """
from hitl_nb import MemorySaver, END, START, StateGraph, review
graph = StateGraph().add_node("n", lambda state: {"n": 1}).add_edge(START, "n").add_edge("n", END).compile(checkpointer=MemorySaver())
"""
REVIEW = "review(graph, {'n': 0}, thread_id='t')\n"
LATER = "print('later')"
WAITS_S = 60
"""Longest wait for another process; every test that reaches it has failed."""

pytestmark = pytest.mark.notebook


def read(path):
    return nbformat.read(path, as_version=4)


def statuses(notebook):
    return [c.metadata.papermill.status for c in notebook.cells[1:]]


def test_a_kernel_that_is_killed_is_told_apart(write_notebook, tmp_path):
    dies = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
    run = run_notebook(write_notebook(tmp_path / "n.ipynb", MET + REVIEW, dies, LATER), report=False)
    kept = read(run.notebook)
    assert (run.status, kept.metadata.hitl_nb.status) == ("kernel died", "kernel died")
    assert (run.error.kind, run.error.cell) == ("DeadKernelError", 3)
    assert run.thread_ids == ("t",)
    assert statuses(kept) == ["completed", "failed", "pending"]
    with pytest.raises(NotebookFailedError, match=r"n\.executed\.ipynb, cell 3: DeadKernelError") as failed:
        run.raise_for_status()
    assert pickle.loads(pickle.dumps(failed.value)).status == "kernel died"
    assert pickle.loads(pickle.dumps(run)) == run, "it crosses a pool of processes"


def test_papermill_itself_gets_the_error_of_a_dead_kernel_and_its_threads_are_known_before_the_cell_ends(write_notebook, tmp_path):
    dies = "import os, time\nwhile not os.path.exists('die'):\n    time.sleep(0.05)\nos._exit(3)"
    path = write_notebook(tmp_path / "n.ipynb", MET + REVIEW + dies)
    record, more = RunRecord(), {"engine_name": "hitl", "progress_bar": False, "folder": tmp_path}
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(papermill.execute_notebook, path, tmp_path / "out.ipynb", record=record, **more)
        until(lambda: record.threads or run.done())
        (tmp_path / "die").touch()
        with pytest.raises(DeadKernelError):
            run.result(timeout=WAITS_S)
    kept = read(tmp_path / "out.ipynb").metadata.hitl_nb
    assert (kept.status, kept.thread_ids) == ("kernel died", ["t"])


def test_a_cell_that_takes_too_long_is_told_apart(write_notebook, tmp_path):
    path = write_notebook(tmp_path / "n.ipynb", "import time\ntime.sleep(600)", LATER)
    run = run_notebook(path, cell_timeout_s=3, report=False)
    assert (run.status, run.error.kind, run.error.cell) == ("timed out", "CellTimeoutError", 2)
    assert read(run.notebook).metadata.hitl_nb.status == "timed out"
    assert statuses(read(run.notebook)) == ["failed", "pending"]


def test_an_exception_is_told_with_its_cell_and_what_came_before_it_is_kept(write_notebook, tmp_path):
    path = write_notebook(tmp_path / "n.ipynb", "1 + 1", MET + REVIEW + "raise KeyError('<b>no</b>')", LATER)
    run = run_notebook(path)
    kept = read(run.notebook)
    assert (run.status, run.error.kind, run.error.message, run.error.cell) == ("failed", "KeyError", "'<b>no</b>'", 3)
    assert kept.metadata.hitl_nb.error == {"kind": "KeyError", "message": "'<b>no</b>'", "cell": 3}
    assert statuses(kept) == ["completed", "failed", "pending"]
    assert kept.cells[-2].outputs[-1].ename == "KeyError"
    assert "<b>no</b>" not in run.report.read_text(encoding="utf-8")
    nbformat.validate(kept)


def test_an_error_that_only_looks_like_an_open_question_is_a_failure(write_notebook, tmp_path):
    cell = "from hitl_nb.errors import StillWaitingError\nraise StillWaitingError('x', thread_id='t')"
    run = run_notebook(write_notebook(tmp_path / "n.ipynb", MET, REVIEW, cell), report=False)
    assert (run.status, run.error.kind) == ("failed", "StillWaitingError")


def test_a_kernel_that_dies_while_it_starts_is_started_anew(write_notebook, tmp_path, monkeypatch):
    kernel = tmp_path / "kernels" / "unlucky"
    kernel.mkdir(parents=True)
    (kernel / "start.py").write_text(
        "import os, pathlib, sys\n"
        "tries = pathlib.Path(__file__).with_name('tries')\n"
        "tries.write_text(tries.read_text() + 'x' if tries.exists() else 'x')\n"
        "if len(tries.read_text()) < int(os.environ['LIVES_AT']):\n    sys.exit(1)\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'ipykernel_launcher', '-f', sys.argv[1]])\n"
    )
    argv = [sys.executable, str(kernel / "start.py"), "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "unlucky", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    path = write_notebook(tmp_path / "n.ipynb", LATER)
    notebook = read(path)
    notebook.metadata.kernelspec.name = "unlucky"
    nbformat.write(notebook, path)
    monkeypatch.setenv("LIVES_AT", "3")
    assert run_notebook(path, report=False).status == "done"
    monkeypatch.setenv("LIVES_AT", "99")
    dead = run_notebook(path, report=False)
    assert (dead.status, dead.error.kind) == ("failed", "RuntimeError")
    assert (kernel / "tries").read_text() == 6 * "x"


def test_a_kernel_that_is_not_installed_is_a_failure_outside_of_any_cell(write_notebook, tmp_path):
    path = write_notebook(tmp_path / "n.ipynb", LATER)
    notebook = read(path)
    notebook.metadata.kernelspec.name = "no-such-kernel"
    nbformat.write(notebook, path)
    run = run_notebook(path, report=False)
    assert (run.status, run.error.kind, run.error.cell) == ("failed", "NoSuchKernel", None)
    assert statuses(read(run.notebook)) == ["pending"]


# -- signals -------------------------------------------------------------------------------------------------------------------------------


def started(write_notebook, folder):
    """`hitl-nb run` in a process of its own, inside a cell that never ends; with the process id of its kernel."""
    path = write_notebook(folder / "n.ipynb", "import os, time\nprint(os.getpid(), file=open('kernel.pid', 'w'), flush=True)\ntime.sleep(600)", LATER)
    process = subprocess.Popen(
        [sys.executable, "-m", "hitl_nb.cli", "run", path.name, "out.ipynb", "--no-report"], cwd=folder, stderr=subprocess.PIPE, text=True
    )
    until(lambda: (folder / "kernel.pid").exists() and (folder / "kernel.pid").read_text().strip())
    return process, int((folder / "kernel.pid").read_text())


def until(true):
    end = time.monotonic() + WAITS_S
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def is_gone(pid):
    """Also when nobody has taken note of its end: the first process of a container may not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z" if Path("/proc").is_dir() else False
    except (ProcessLookupError, FileNotFoundError):
        return True


@pytest.mark.skipif(sys.platform == "win32", reason="signals of another kind")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 1), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_a_run_that_is_ended_from_outside_says_so_and_ends_its_kernel(number, code, write_notebook, tmp_path):
    process, kernel = started(write_notebook, tmp_path)
    process.send_signal(number)
    _, told = process.communicate(timeout=WAITS_S)
    kept = read(tmp_path / "out.ipynb")
    assert kept.metadata.hitl_nb.status == "interrupted"
    assert statuses(kept) == ["failed", "pending"]
    assert process.returncode == code, told
    assert "Traceback" not in told
    until(lambda: is_gone(kernel))


def test_the_notebook_of_a_run_that_is_killed_says_that_it_runs(write_notebook, tmp_path):
    process, kernel = started(write_notebook, tmp_path)
    process.kill()
    process.communicate(timeout=WAITS_S)
    kept = read(tmp_path / "out.ipynb")
    assert kept.metadata.hitl_nb.status == "running"
    assert statuses(kept) == ["running", "pending"]
    assert not list(tmp_path.glob(".*.tmp"))
    until(lambda: is_gone(kernel))


# -- the file ------------------------------------------------------------------------------------------------------------------------------


def test_a_file_that_cannot_be_written_is_as_it_was(tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "n.ipynb"
    path.write_text("before")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limit[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_whole(path, "x" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["n.ipynb"]


def test_a_link_stays_one_and_its_file_is_written(tmp_path):
    (tmp_path / "real.ipynb").write_text("before")
    (tmp_path / "link.ipynb").symlink_to(tmp_path / "real.ipynb")
    write_whole(tmp_path / "link.ipynb", "after")
    assert (tmp_path / "link.ipynb").is_symlink()
    assert (tmp_path / "real.ipynb").read_text() == "after"
