"""A session next to others on its thread: nothing begins twice, nobody's decision is undone by another, no error outlives its cause."""

import asyncio
import threading
from itertools import pairwise

import pytest

from hitl_nb import MemorySaver, StateGraph, interrupt, review
from hitl_nb.errors import StillWaitingError, ThreadBusyError, ThreadInputError, ThreadMovedError


class Later:
    """Keeps the questions, for the test to answer."""

    how = "test"

    def __init__(self):
        self.submits = []

    def ask(self, request, submit):
        self.submits.append(submit)


class Gate(MemorySaver):
    """Calls `meanwhile` once, between a session's look at the thread and its hold on it."""

    meanwhile = None

    def guard(self, thread_id):
        call, self.meanwhile = self.meanwhile, None
        if call is not None:
            call()
        return super().guard(thread_id)


def graph_of(saver, *nodes):
    builder = StateGraph().set_entry_point(nodes[0].__name__)
    for node in nodes:
        builder.add_node(node)
    for source, target in pairwise(nodes):
        builder.add_edge(source.__name__, target.__name__)
    return builder.compile(saver)


def left_open(graph, given=None):
    return review(graph, {} if given is None else given, thread_id="t", answers=[], on_missing="leave_open")


def ask(state):
    return {"ok": interrupt("Ok?")}


def test_a_thread_that_another_session_began_and_ended_meanwhile_is_not_begun_again():
    saver, paid = Gate(), []

    def pay(state):
        paid.append(interrupt("Pay?"))

    graph = graph_of(saver, pay)
    saver.meanwhile = lambda: review(graph, {"n": 1}, thread_id="t", answers=[True])
    with pytest.warns(match="not asked for"):
        slow = review(graph, {"n": 1}, thread_id="t", answers=[True])
    assert slow.status == "done"
    assert paid == [True]
    assert len(slow.decisions) == 1


def test_a_thread_that_another_session_began_meanwhile_with_other_input_is_an_error():
    saver = Gate()
    graph = graph_of(saver, ask)
    saver.meanwhile = lambda: left_open(graph, {"n": 2})
    with pytest.raises(ThreadInputError):
        left_open(graph, {"n": 1})


def test_undo_leaves_a_decision_alone_that_somebody_made_while_it_waited_for_the_thread():
    saver = MemorySaver()

    def more(state):
        return {"more": interrupt("More?")}

    mine = left_open(graph_of(saver, ask, more))
    mine.answer(True)
    others = left_open(mine._graph)
    held = saver.guard("t")
    held.__enter__()

    def while_it_waits(_):
        held.__exit__(None, None, None)
        others.answer("important")

    mine._sleep = while_it_waits
    with pytest.raises(ThreadMovedError, match="nothing was undone"):
        mine.undo()
    assert mine.state == {"ok": True, "more": "important"}


def test_a_cell_can_be_run_again_although_a_node_changed_its_rows_in_place():
    def mark(state):
        for row in state["rows"]:
            row["seen"] = True

    graph = graph_of(MemorySaver(), mark, ask)
    rows = [{"title": f"film {n}"} for n in range(1000)]
    left_open(graph, {"rows": rows})
    assert "seen" not in rows[0]
    assert left_open(graph, {"rows": rows}).status == "waiting"


def test_a_finished_session_gives_no_result_once_somebody_reopened_the_thread():
    graph = graph_of(MemorySaver(), ask)
    first = review(graph, {}, thread_id="t", answers=[True])
    left_open(graph).undo()
    with pytest.raises(StillWaitingError):
        first.result()


def test_an_error_is_past_once_somebody_else_brought_the_thread_on():
    fails = [True]

    def send(state):
        answer = interrupt("Send?")
        if fails[0]:
            raise OSError("the network is down")
        return {"sent": answer}

    graph = graph_of(MemorySaver(), send)
    session = left_open(graph)
    for call in (lambda: session.answer(True), session.result):
        with pytest.raises(OSError, match="the network is down"):
            call()
    assert session.status == "failed"
    fails[0] = False
    left_open(graph)
    assert session.status == "done"
    assert session.result() == {"sent": True}


def test_a_busy_thread_is_tried_again_by_the_next_result(monkeypatch):
    monkeypatch.setattr("hitl_nb.session.turn.BUSY_WAIT_S", 0)
    saver = MemorySaver()
    session = left_open(graph_of(saver, ask))
    with saver.guard("t"), pytest.raises(ThreadBusyError):
        session.answer(True)
    assert session.result() == {"ok": True}


def test_a_node_that_meets_another_busy_thread_is_not_run_again_unasked():
    saver, runs = MemorySaver(), []

    def nested(state):
        runs.append(1)
        with saver.guard("other"), saver.guard("other"):
            pass

    with pytest.raises(ThreadBusyError):
        left_open(graph_of(saver, nested))
    assert len(runs) == 1


def test_a_node_that_exits_after_a_click_is_a_failure_that_is_shown():
    shown = threading.Event()

    def leave(state):
        interrupt("Leave?")
        raise SystemExit(2)

    later = Later()
    session = review(graph_of(MemorySaver(), leave), {}, thread_id="t", responder=later)
    session._view.failed = lambda *_: shown.set()
    later.submits[0](True)
    assert shown.wait(10)
    assert session.status == "failed"
    with pytest.raises(SystemExit):
        session.result()


def test_a_cancelled_await_lets_go_of_its_thread():
    async def main():
        session = review(graph_of(MemorySaver(), ask), {}, thread_id="t", responder=Later())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(session, 0.01)

    runner = threading.Thread(target=asyncio.run, args=(main(),), daemon=True)
    runner.start()
    runner.join(10)
    assert not runner.is_alive()


def test_a_view_that_fails_does_not_keep_a_recorded_answer_from_being_run():
    later, ended = Later(), threading.Event()
    session = review(graph_of(MemorySaver(), ask), {}, thread_id="t", responder=later)

    def fail(*_):
        raise OSError("the page is gone")

    session._view.decided = fail
    session._view.finished = ended.set
    with pytest.raises(OSError, match="page"):
        later.submits[0](True)
    assert ended.wait(10)
    assert session.result() == {"ok": True}
