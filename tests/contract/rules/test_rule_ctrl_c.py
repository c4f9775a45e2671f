"""Ctrl-C while nodes are being stopped and while held results are being stored, once or more often; and a process that exits meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from operator import add
from typing import Annotated, TypedDict

import pytest

from hitl_nb.checkpoint.disk import DiskCacheSaver
from hitl_nb.errors import ThreadBusyError
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.types import START
from hitl_nb.responders.plain import wait_by_looking

LATER = pytest.mark.parametrize("durability", ["async", "exit"])
MAIN = threading.main_thread().ident


class Log(TypedDict, total=False):
    log: Annotated[list, add]


def logs(name, does=lambda: None):
    def node(state):
        does()
        return {"log": [name]}

    node.__name__ = name
    return node


def press():
    os.kill(os.getpid(), signal.SIGINT)


def waits_in(place):
    """The main thread is inside a function of that name."""
    frame = sys._current_frames()[MAIN]
    while frame is not None and frame.f_code.co_qualname != place:
        frame = frame.f_back
    return frame is not None


def held(saver):
    try:
        with saver.guard("t-1"):
            return False
    except ThreadBusyError:
        return True


def free(saver):
    with saver.guard("t-1"):
        return True


@pytest.fixture
def presses():
    """One for each Ctrl-C that came."""
    came: list[int] = []

    def note(*given):
        came.append(1)
        signal.default_int_handler(*given)

    before = signal.signal(signal.SIGINT, note)
    yield came
    signal.signal(signal.SIGINT, before)


def pressed_thrice(saver, presses):
    """What a node saw that stayed while Ctrl-C was pressed: its caller waited, was told of each, and held the thread."""
    found, before = [], len(presses)
    for n in range(before + 1, before + 4):
        found.append(wait_by_looking(lambda: waits_in("Ending.wait"), 10))
        press()
        found.append(wait_by_looking(lambda n=n: len(presses) == n, 10))
    return [*found, held(saver)]


def test_a_thread_is_let_go_of_when_its_last_node_has_ended_however_often_ctrl_c_is_pressed(fan, saver, cfg, capsys, presses):
    found: list[bool] = []
    both = threading.Barrier(2)

    def stays():
        both.wait(30)
        press()
        wait_by_looking(lambda: presses, 10)
        found.extend(pressed_thrice(saver, presses))

    graph = fan(saver, logs("a", lambda: both.wait(30)), logs("b", stays), schema=Log)
    with pytest.raises(KeyboardInterrupt):
        graph.invoke({"log": []}, cfg)
    assert found == [True] * 7
    assert capsys.readouterr().err.splitlines()[-1] == (
        "A node of thread 't-1' cannot be cut off and must end first. To stop at once, restart the kernel or kill the process."
    )
    assert free(saver)


def test_an_async_node_is_waited_for_however_often_ctrl_c_is_pressed(chain, saver, cfg, presses):
    found: list[bool] = []

    async def node(state):
        found.extend(pressed_thrice(saver, presses))

    with pytest.raises(KeyboardInterrupt):
        chain(saver, node, schema=Log).invoke({"log": []}, cfg)
    assert found == [True] * 7
    assert free(saver)


@pytest.mark.parametrize("call", ["invoke", "stream"])
def test_ctrl_c_as_the_thread_is_taken_leaves_it_free_although_the_traceback_is_kept(chain, saver, cfg, call):
    def press(frame, event, arg):
        if event == "call" and frame.f_code.co_name == "_push_cm_exit":  # the thread is taken, and nobody knows yet
            sys.setprofile(None)
            del frame, arg  # else the traceback would keep what they are
            raise KeyboardInterrupt

    graph = chain(saver, logs("a"), schema=Log)
    sys.setprofile(press)
    try:
        with pytest.raises(KeyboardInterrupt) as caught:
            list(getattr(graph, call)({"log": []}, cfg))
    finally:
        sys.setprofile(None)
    assert free(saver), caught
    assert graph.invoke({"log": []}, cfg) == {"log": ["a"]}


@LATER
def test_ctrl_c_while_results_are_being_stored_comes_when_they_are(chain, saver, cfg, durability, monkeypatch):
    real, ran = saver.commit_all, []

    def pressed(*given):
        press()
        return real(*given)

    monkeypatch.setattr(saver, "commit_all", pressed)
    graph = chain(saver, *(logs(name, lambda name=name: ran.append(name)) for name in "abc"), schema=Log)
    with pytest.raises(KeyboardInterrupt):
        graph.invoke({"log": []}, cfg, durability=durability)
    monkeypatch.undo()
    assert graph.get_state(cfg).values == {"log": ran}
    assert graph.invoke(None, cfg) == {"log": ["a", "b", "c"]}


@pytest.mark.parametrize("begun", [True, False])
def test_ctrl_c_as_the_writer_begins_loses_nothing(chain, saver, cfg, monkeypatch, begun):
    class Cut:
        def begin(self, work):
            if begun:
                threading.Thread(target=work, daemon=True).start()
            raise KeyboardInterrupt

    monkeypatch.setattr("hitl_nb.graph.durability.WORKERS", Cut())
    graph = chain(saver, *(logs(name) for name in "abc"), schema=Log)
    with pytest.raises(KeyboardInterrupt):
        graph.invoke({"log": []}, cfg, durability="async")
    monkeypatch.undo()
    assert graph.get_state(cfg).values == {"log": ["a"]}
    assert free(saver)
    assert graph.invoke(None, cfg) == {"log": ["a", "b", "c"]}


EXITS = """
import sys, threading
from hitl_nb import END, START, DiskCacheSaver, StateGraph
stands, writing = threading.Event(), threading.Event()
def step(state):
    if state["n"] == 5:
        stands.set()
        threading.Event().wait()
    return {"n": state["n"] + 1}
saver = DiskCacheSaver(sys.argv[1])
graph = StateGraph().add_node("step", step).add_edge(START, "step").add_conditional_edges("step", lambda state: "step").compile(saver)
config = {"configurable": {"thread_id": "t-1"}}
def run():
    graph.invoke({"n": 0}, config, durability=sys.argv[2])
def told():
    global events
    events = graph.stream({"n": 0}, config, durability=sys.argv[2])
    for n in range(5):
        next(events)
if sys.argv[3] == "run":
    threading.Thread(target=run, daemon=True).start()
    stands.wait(30)
else:
    told()
"""


@LATER
@pytest.mark.parametrize("how", ["run", "told"])
def test_what_is_held_back_is_stored_when_the_process_exits(tmp_path, durability, how):
    ended = subprocess.run(
        [sys.executable, "-c", EXITS, tmp_path / "store", durability, how], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    saver = DiskCacheSaver(tmp_path / "store")
    graph = StateGraph().add_node("step", lambda state: None).add_edge(START, "step").compile(saver)
    assert graph.get_state({"configurable": {"thread_id": "t-1"}}).values == {"n": 5}
    saver.close()
