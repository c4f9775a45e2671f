"""What goes on in other Python threads, and a Ctrl-C at each place where the one who begins it, or waits for it, would notice one."""

import ctypes
import signal
import sys
import threading
from contextvars import ContextVar
from functools import partial
from queue import SimpleQueue

import pytest

from hitl_nb.plain import threads
from hitl_nb.plain.threads import Ending, Stop, taken, uncut
from hitl_nb.widgets.inbox.answers import Jobs
from tests.crash.pressed import Each

HANGS_S = 20


def pressed_everywhere(call, prepare):
    """Prepare and make the call once for each place, with a Ctrl-C there; how many Ctrl-C came out, and nothing else did. `call` gets the place."""
    at, came = 0, 0
    while True:
        at += 1
        press = Each(at, __file__)
        prepare()
        try:
            sys.setprofile(press)
            call(at)
        except KeyboardInterrupt:
            came += 1
        finally:
            sys.setprofile(None)
        if press.passed < at:
            return came


@pytest.fixture(params=["a kept thread", "a new thread"])
def workers(request, monkeypatch):
    """None is idle, or one is."""
    mine = threads._Workers()
    monkeypatch.setattr(threads, "WORKERS", mine)
    ready = threading.Event()

    def prepared():
        if request.param == "a new thread":
            mine._idle = []
        else:
            while not mine._idle:
                ready.clear()
                mine.begin(ready.set)
                assert ready.wait(HANGS_S)

    return mine, prepared


def test_a_ctrl_c_while_work_is_begun_has_it_done_once_or_not_at_all_and_the_next_is_done(workers):
    (mine, prepare), done = workers, []
    came = pressed_everywhere(lambda at: mine.begin(lambda: done.append(at)), prepare)
    over = threading.Event()
    mine.begin(over.set)
    assert over.wait(HANGS_S)
    assert came > 2
    assert len(done) == len(set(done))


def test_a_ctrl_c_while_somebody_waits_is_raised_when_what_he_waits_for_is_over(workers):
    (mine, prepare), over = workers, []

    def wait(at):
        done, ending, asked = [], Ending(), SimpleQueue()

        def work():
            asked.get()
            done.append(at)
            ending.tell()

        def is_over():  # not at its first call, so that there is something to wait for
            found = bool(done)
            asked.put(None)
            return found

        try:
            mine.begin(work)
            ending.wait(is_over)
        except KeyboardInterrupt:
            if not done:
                mine.begin(work)
            ending.wait(is_over)
            raise
        finally:
            over.append(bool(done))

    assert pressed_everywhere(wait, prepare) > 4
    assert all(over)


def pressed_as_it_begins(queue):
    """The queue, with a Ctrl-C as its `get` is looked up: by calls in C alone, so that no line of Python before the wait notices it."""
    press = ctypes.PyDLL(None)["raise"]
    press.restype = partial(getattr, queue, "get")  # what it returns is not looked at
    return type("Late", (), {"_as_parameter_": signal.SIGINT, "get": property(press)})()


def test_a_ctrl_c_that_comes_as_a_wait_begins_is_noticed_before_that_ends(monkeypatch):
    monkeypatch.setattr(threads, "_LOOK_S", 0.01)
    queue, ended = SimpleQueue(), []
    end = threading.Timer(HANGS_S, lambda: (ended.append(True), queue.put(None)))
    end.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            taken(pressed_as_it_begins(queue))
    finally:
        end.cancel()
    assert not ended


def test_a_call_that_nothing_cuts_is_made_once_wherever_a_ctrl_c_comes(workers):
    made = []

    def call(at):
        try:
            uncut(lambda: made.append(at))
        except KeyboardInterrupt:
            if made[-1:] != [at]:  # it came before there was anything to make
                made.append(at)
            raise

    came = pressed_everywhere(call, workers[1])
    assert came > 4
    assert made == list(range(1, len(made) + 1))


def test_what_is_put_into_a_queue_of_jobs_is_done_in_order_and_none_is_stuck_behind_a_ctrl_c(workers):
    jobs, done = Jobs(), []
    pressed_everywhere(lambda at: jobs.put(lambda: done.append(at)), workers[1])
    over = threading.Event()
    jobs.put(over.set)
    assert over.wait(HANGS_S)
    assert done == sorted(set(done))


def test_where_the_system_allows_no_second_thread_the_first_does_the_work(monkeypatch):
    def refuses(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuses)
    over = threading.Event()
    threads._Workers().begin(over.set)
    assert over.wait(HANGS_S)


def test_a_worker_sees_no_context_variables_of_who_began_it_and_keeps_no_process_alive():
    mine, found, over = threads._Workers(), [], threading.Event()
    name = ContextVar("name", default="none")
    name.set("the caller's")
    mine.begin(lambda: (found.append((name.get(), threading.current_thread().daemon)), over.set()))
    assert over.wait(HANGS_S)
    assert found == [("none", True)]


def test_a_stop_that_was_said_stays_said_and_ends_a_wait_at_once():
    stop = Stop()
    assert not stop
    assert not stop.within(0.001)
    found, over = [], threading.Event()
    threads.WORKERS.begin(lambda: (found.append(stop.within(HANGS_S)), over.set()))
    stop.say()
    assert over.wait(HANGS_S / 2)
    assert found == [True]
    assert stop
    assert stop.within(HANGS_S)
    assert stop.within(HANGS_S)
