"""A batch in somebody else's executor: a real Dask cluster, Python threads, and a process pool that breaks."""

import multiprocessing
import os
import signal
import subprocess
import sys
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor

import pytest
from refunds import refunds

from hitl_nb import run_batch
from hitl_nb.batch.processes import in_executor, in_processes

pytestmark = pytest.mark.notebook


@pytest.fixture
def batch(tmp_path):
    notebook = refunds(tmp_path / "{refunds}.ipynb")  # papermill would take that for a parameter

    def run(names, executor, on_unused="warn"):
        effects = tmp_path / "effects.log"
        cases = [{"thread_id": name, "amount": amount, "effects": str(effects)} for amount, name in enumerate(names)]
        entries = ["{when: {amount: 1}, answer: reject}", "{thread: '[ab]', answer: approve}", "{node: nothing, answer: approve}"]
        answers = tmp_path / "answers.yaml"
        answers.write_text("\n- ".join([f"on_unused: {on_unused}\nanswers:", *entries]), encoding="utf-8")
        return run_batch(notebook, cases, out=tmp_path / "out", answers=answers, executor=executor, progress=False)

    return run


def test_a_dask_cluster_runs_the_cases_in_its_own_processes(batch):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        executor = client.get_executor(pure=False)
        result = batch("abx", executor)
        assert [case.status for case in result.cases] == ["done", "done", "needs human"]
        assert [d["answer"] for case in result.cases for d in case.decisions] == ["approve", "reject"]
        assert executor.submit(os.getpid).result() != os.getpid(), "the executor is its owner's, and still open"


def test_python_threads_run_the_cases_and_what_none_asked_for_fails_the_batch_but_no_case(batch):
    with ThreadPoolExecutor(2) as executor:
        result = batch("ab", executor, on_unused="fail")
    assert result.counts == {"done": 2}
    assert (result.exit_code, result.broken) == (1, True)
    assert [note.partition(":")[0] for note in result.notes] == ["Not asked for by any case"]


def test_a_pool_that_breaks_fails_what_was_in_it_and_says_so(batch):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        with pytest.raises(Exception, match="terminated abruptly"):
            executor.submit(os.kill, executor.submit(os.getpid).result(), signal.SIGKILL).result()
        broken = batch("a", executor)
    assert broken.counts == {"failed": 1}
    assert broken.exit_code == 1


# -- without notebooks


def twice(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


def test_a_process_that_is_killed_takes_its_own_job_along_and_no_other():
    found = {job: future.exception() is None and future.result() for job, future in in_processes(twice, list(range(6)), 2)}
    assert found == {0: 0, 1: 2, 2: 4, 3: False, 4: 8, 5: 10}


def test_a_script_that_starts_itself_again_in_each_process_is_told_so(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("from hitl_nb.batch.processes import in_processes\nprint(list(in_processes(len, ['ab'], 1)))\n", encoding="utf-8")
    told = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=60)
    assert 'RuntimeError: the processes of the batch cannot start. In a script, call run_batch below `if __name__ == "__main__":`' in told.stderr


def test_what_has_not_begun_is_cancelled_when_the_caller_stops():
    made = []

    class Never(ThreadPoolExecutor):
        def submit(self, *args):
            made.append(Future())
            if len(made) == 1:
                made[0].set_result("x")
            return made[-1]

    with Never() as executor:
        going = in_executor(twice, [1, 2, 3], executor)
        assert next(going)[1].result() == "x"
        going.close()
    assert [future.cancelled() for future in made] == [False, True, True]
