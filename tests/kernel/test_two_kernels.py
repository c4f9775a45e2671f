"""Two notebooks, each with a kernel of its own, on one thread: both show the question, one answers, and what runs runs once."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager

import pytest

from tests.kernel.conftest import Kernel, started
from tests.kernel.test_session_in_a_kernel import Page

pytestmark = pytest.mark.kernel

SETUP = """
import os, time
from pathlib import Path
from hitl_nb import DiskCacheSaver, StateGraph, interrupt, review

def publish(state):
    answer = interrupt({"question": "Publish?", "options": ["approve", "reject"]})
    with Path(state["thread"] + "-ran").open("a") as f:
        f.write(f"{os.getpid()} {answer}\\n")
    while Path(state["thread"] + "-slow").exists():
        time.sleep(0.01)
    return {"status": answer}

graph = StateGraph().add_node("publish", publish).set_entry_point("publish").compile(checkpointer=DiskCacheSaver("store"))
print(os.getpid())
"""


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    """Two kernels in one folder, for all tests here: each test has a thread of its own."""
    folder = tmp_path_factory.mktemp("two")
    with started(folder, 2) as both:
        asked = [kernel.send(SETUP) for kernel in both]
        for kernel, request in zip(both, asked, strict=True):
            kernel.folder, kernel.pid = folder, int(kernel.printed(request))
        yield both


def opened(kernel: Kernel, thread_id: str, reviewer: str) -> Page:
    kernel.outputs.clear()
    kernel.run(f"session = review(graph, {{'thread': {thread_id!r}}}, thread_id={thread_id!r}, reviewer={reviewer!r})")
    return Page(kernel)


def ran(kernel, thread_id):
    """Which process ran the node of this thread, with which answer; a line each time."""
    return (kernel.folder / f"{thread_id}-ran").read_text().splitlines()


@contextmanager
def slow(kernel, thread_id):
    """The node of this thread does not end meanwhile."""
    path = kernel.folder / f"{thread_id}-slow"
    path.touch()
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def until_it_runs(kernel, thread_id):
    """Wait until the node has written its line: a file that is there may be empty yet."""
    kernel.run(f"ran = Path('{thread_id}-ran')")
    kernel.run("from hitl_nb.responders.plain import wait_by_looking\nassert wait_by_looking(lambda: ran.exists() and ran.stat().st_size, 30)")


def test_one_answers_and_the_cell_that_waits_in_the_other_goes_on_with_that(kernels):
    pages = opened(kernels[0], "waits", "dana"), opened(kernels[1], "waits", "sam")
    waiting = kernels[1].send("print(session.result()['status'], [d.reviewer for d in session.decisions])")
    pages[1].draw()
    pages[0].click("Approve")
    assert kernels[1].printed(waiting) == "approve ['dana']\n"
    assert len(ran(kernels[0], "waits")) == 1


def test_both_click_and_exactly_one_counts(kernels):
    for turn in range(5):
        thread_id = f"both-{turn}"
        pages = opened(kernels[0], thread_id, "dana"), opened(kernels[1], thread_id, "sam")
        for page, label in zip(pages, ("Approve", "Reject"), strict=True):
            page.click(label)
        told = [k.run("print(session.result(20)['status'], [(d.reviewer, d.answer) for d in session.decisions])") for k in kernels]
        assert told[0] == told[1]
        assert told[0] in ("approve [('dana', 'approve')]\n", "reject [('sam', 'reject')]\n")
        assert len(ran(kernels[0], thread_id)) == 1


def test_what_runs_in_one_is_waited_for_in_the_other_and_a_run_from_code_is_told_who_runs_it(kernels):
    with slow(kernels[0], "busy"):
        pages = opened(kernels[0], "busy", "dana"), opened(kernels[1], "busy", "sam")
        pages[0].click("Approve")
        until_it_runs(kernels[1], "busy")
        # else the kernel may abort the cell that comes next, as it does with those that wait in line behind an error
        reply = kernels[1].reply(kernels[1].send("graph.invoke(None, {'configurable': {'thread_id': 'busy'}})", stop_on_error=False))
        assert reply["ename"] == "ThreadBusyError", reply
        assert f"thread 'busy' is being run by process {kernels[0].pid}" in reply["evalue"]
        waiting = kernels[1].send("print(session.result()['status'])")
        pages[1].draw()
        kernels[1].begun(waiting)
    assert kernels[1].printed(waiting) == "approve\n"
    assert len(ran(kernels[0], "busy")) == 1


def test_a_kernel_that_is_killed_while_its_node_runs_is_followed_by_the_other(kernels):
    with slow(kernels[0], "killed"):
        opened(kernels[1], "killed", "sam")
        page = opened(kernels[0], "killed", "dana")
        page.click("Approve")
        until_it_runs(kernels[1], "killed")
        os.kill(kernels[0].pid, signal.SIGKILL)
    told = kernels[1].run("print(session.result(20)['status'], [(d.reviewer, d.answer) for d in session.decisions])")
    assert told == "approve [('dana', 'approve')]\n"
    assert [line.split()[0] for line in ran(kernels[1], "killed")] == [str(kernels[0].pid), str(kernels[1].pid)]
