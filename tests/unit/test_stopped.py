"""What Ctrl-C leaves behind, and what it says."""

from __future__ import annotations

import sys
import traceback
from contextlib import ExitStack, contextmanager
from threading import Lock

import pytest

from hitl_nb import MemorySaver, StateGraph, interrupt, review
from hitl_nb.plain.tracebacks import let_go
from tests.unit.test_session import Person


@contextmanager
def held(lock):
    with lock:
        yield


def pressed_as_it_is_entered(lock):
    """Ctrl-C in the moment in which the context manager is entered and `with` does not know it yet."""

    def press(frame, event, arg):
        if event == "c_return" and arg is next and frame.f_code.co_name == "__enter__":
            sys.setprofile(None)
            raise KeyboardInterrupt

    with ExitStack() as stack:
        sys.setprofile(press)
        stack.enter_context(held(lock))


def test_what_was_just_entered_is_given_back_although_the_traceback_is_kept():
    lock = Lock()
    with pytest.raises(KeyboardInterrupt) as caught:
        pressed_as_it_is_entered(lock)
    assert lock.locked()  # for as long as a notebook keeps the traceback
    let_go(caught.value)
    assert not lock.locked()


def graph(node):
    return StateGraph().add_node("node", node).set_entry_point("node").compile(MemorySaver())


def lines(error):
    return [(step.filename.rsplit("/", 1)[-1], step.name) for step in traceback.extract_tb(error.__traceback__)]


def test_a_run_that_is_stopped_says_how_to_go_on_and_shows_where_the_node_was():
    def tired(state):
        raise KeyboardInterrupt

    def node(state):
        tired(state)

    with pytest.raises(KeyboardInterrupt) as caught:
        review(graph(node), {}, thread_id="t-1", answers=[])
    assert "thread 't-1' was stopped in the middle of a node, which will begin anew." in str(caught.value)
    assert "run this cell again" in str(caught.value)
    here = "test_stopped.py"
    assert [name for file, name in lines(caught.value) if file == here][1:] == ["node", "tired"]
    assert [name for file, name in lines(caught.value) if file != here] == ["review"]


def test_a_wait_that_is_stopped_names_what_is_open_and_shows_nothing_of_its_inside():
    def wait(ready, timeout_s):
        raise KeyboardInterrupt

    person = Person()
    asks = graph(lambda state: {"ok": interrupt("Publish?")})
    session = review(asks, {}, thread_id="t-1", responder=person)
    waits, session._wait = session._wait, wait
    with pytest.raises(KeyboardInterrupt) as caught:
        session.result()
    assert "thread 't-1' still waits for 'Publish?'. Nothing is lost" in str(caught.value)
    assert [name for _, name in lines(caught.value)][-1] == "result"
    session._wait = waits
    person.submit(True)
    assert session.result()["ok"] is True
