"""Many at once: Python threads, processes, and the guard that lets one of them run a thread."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from threading import Barrier

import pytest

from hitl_nb.checkpoint.disk import DiskCacheSaver
from hitl_nb.checkpoint.records import Decision
from hitl_nb.errors import AlreadyAnsweredError, ThreadBusyError, ThreadMovedError


def test_of_eight_python_threads_that_answer_at_once_exactly_one_wins(saver, write):
    for round_ in range(10):
        _, (question,) = write.waiting(f"t{round_}")
        start = Barrier(8)

        def answer(name, question=question, start=start):
            start.wait()
            try:
                saver.answer(question.thread_id, [write.decision(question, reviewer=name)])
            except AlreadyAnsweredError as error:
                return error.reviewer
            return "won"

        with ThreadPoolExecutor(8) as pool:
            told = list(pool.map(answer, "abcdefgh"))
        winner = saver.decision(question.id).reviewer
        assert sorted(told) == sorted([winner] * 7 + ["won"])
        assert told["abcdefgh".index(winner)] == "won"


def test_of_eight_python_threads_that_commit_the_same_step_exactly_one_wins(saver, write):
    head = saver.commit("t", None, checkpoint=write.checkpoint(0, {"by": ""}))
    start = Barrier(8)

    def step(name):
        start.wait()
        try:
            saver.commit("t", head, checkpoint=write.checkpoint(1, {"by": name}))
        except ThreadMovedError:
            return None
        return name

    with ThreadPoolExecutor(8) as pool:
        (winner,) = filter(None, pool.map(step, "abcdefgh"))
    assert saver.values("t", saver.checkpoint("t", 1)) == {"by": winner}


def test_writers_of_different_threads_lose_nothing(saver, write):
    def run(name):
        head = None
        for n in range(20):
            head = saver.commit(name, head, checkpoint=write.checkpoint(n, {"n": n}))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(run, "abcdef"))
    assert {name: [c.seq for c in saver.history(name)] for name in "abcdef"} == {name: list(range(19, -1, -1)) for name in "abcdef"}


def test_the_guard_lets_one_run_a_thread_and_leaves_other_threads_free(saver):
    with saver.guard("t"), saver.guard("u"):
        with pytest.raises(ThreadBusyError, match="'t' is being run by this process|in this process") as caught, saver.guard("t"):
            pass
        assert caught.value.thread_id == "t"
    with saver.guard("t"):
        pass


def test_the_guard_is_free_again_after_an_error(saver):
    with pytest.raises(ValueError, match="node failed"), saver.guard("t"):
        raise ValueError("node failed")
    with saver.guard("t"):
        pass


def test_the_guard_keeps_other_python_threads_out(saver):
    def attempt(_):
        try:
            with saver.guard("t"):
                return "ran"
        except ThreadBusyError:
            return "busy"

    with ThreadPoolExecutor(4) as pool:
        with saver.guard("t"):
            assert set(pool.map(attempt, range(8))) == {"busy"}
        assert pool.submit(attempt, 0).result() == "ran"


# -- other processes (disk only) ---------------------------------------------------------------------------------------------------


@pytest.fixture
def disk(saver):
    if not isinstance(saver, DiskCacheSaver):
        pytest.skip("memory is one process's")
    return saver


def answer_elsewhere(saver, wire, name):
    try:
        saver.answer("t", [Decision(**{**wire, "reviewer": name})])
    except AlreadyAnsweredError as error:
        return error.reviewer
    return "won"


def test_of_four_processes_that_answer_at_once_exactly_one_wins(disk, write):
    _, questions = write.waiting(count=10)
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        for question in questions:
            made = write.decision(question)
            wire = {name: getattr(made, name) for name in made.__dataclass_fields__}
            told = [f.result() for f in [pool.submit(answer_elsewhere, disk, wire, name) for name in "abcd"]]
            winner = disk.decision(question.id).reviewer
            assert sorted(told) == sorted([winner] * 3 + ["won"])


def test_a_second_checkpointer_reads_what_the_first_wrote_and_keeps_it_out(disk, write):
    head, (question,) = write.waiting()
    other = DiskCacheSaver(disk.folder)
    assert other.head("t") == head
    other.answer("t", [write.decision(question, "from the other")])
    assert disk.decision(question.id).answer == "from the other"
    with disk.guard("t"), pytest.raises(ThreadBusyError), other.guard("t"):
        pass
    other.close()


HOLDER = """
import os, sys
from hitl_nb.checkpoint.disk import DiskCacheSaver
saver = DiskCacheSaver(sys.argv[1])
with saver.guard("t"):
    print("held", flush=True)
    {then}
    sys.stdin.read()
"""
FORKING = 'os.fork() or print("forked", flush=True)'


def holding(folder, then="pass"):
    child = subprocess.Popen([sys.executable, "-c", HOLDER.format(then=then), str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "held\n"
    return child


def test_the_guard_of_another_process_says_which_one_holds_the_thread(disk):
    child = holding(disk.folder)
    with pytest.raises(ThreadBusyError, match=f"process {child.pid} on "), disk.guard("t"):
        pass
    child.communicate("", timeout=60)
    with disk.guard("t"):
        pass


@pytest.mark.crash
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_killed_process_frees_its_thread_at_once(disk):
    child = holding(disk.folder)
    child.kill()
    child.wait(60)
    with disk.guard("t"):
        pass


@pytest.mark.crash
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_killed_process_frees_its_thread_although_a_child_it_forked_lives_on(disk):
    child = holding(disk.folder, FORKING)
    assert child.stdout.readline() == "forked\n"
    child.kill()
    child.wait(60)
    with disk.guard("t"):
        pass
    child.communicate("", timeout=60)  # ends the other one


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_works_with_the_checkpointer_it_inherited(disk, write):
    _, (question,) = write.waiting()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            disk.answer("t", [write.decision(question, "child")])
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert disk.decision(question.id).answer == "child"
    write.waiting("after the fork")
