"""R16: a node that asks n questions runs n + 1 times, and `once(key, fn)` keeps out of that what must not happen twice."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from contextlib import suppress
from contextvars import copy_context
from datetime import UTC, datetime
from functools import partial
from operator import add
from typing import Annotated, TypedDict

import pytest

from hitl_nb.checkpoint.keys import kept_key
from hitl_nb.errors import NotSerializableError, OutsideNodeError
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.node.once import once
from hitl_nb.graph.node.retry import RetryPolicy
from hitl_nb.graph.node.runtime import get_stream_writer
from hitl_nb.graph.types import START, Command, Send


class Sum(TypedDict):
    """What several executions add up."""

    sum: Annotated[int, add]


@pytest.fixture
def ran():
    """How often each thing happened."""
    return Counter()


@pytest.fixture(params=["function", "coroutine function"])
def node(request, ran):
    """`node(*body)`: a node whose steps are `once` calls and questions, sync or async: `"key"` is kept by once, `"?text"` is asked."""

    def happens(key):
        ran[key] += 1
        return {"key": key, "times": ran[key]}

    async def happens_later(key):
        await asyncio.sleep(0)
        return happens(key)

    def make(*steps):
        def sync(state):
            ran["node"] += 1
            return {"got": [interrupt(s) if s.startswith("?") else once(s, partial(happens, s)) for s in steps]}

        async def asynchronous(state):
            ran["node"] += 1
            return {"got": [interrupt(s) if s.startswith("?") else await once(s, partial(happens_later, s)) for s in steps]}

        made = sync if request.param == "function" else asynchronous
        made.__name__ = "node"
        return made

    return make


# -- how often ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("questions", [0, 1, 2, 5])
def test_a_node_that_asks_n_questions_runs_n_plus_1_times_and_once_runs_once(chain, saver, run, cfg, node, ran, questions):
    steps = [step for n in range(questions) for step in (f"work-{n}", f"?{n}")]
    graph = chain(saver, node(*steps, "end"))
    run(graph, {}, cfg)
    for n in range(questions):
        result = run(graph, Command(resume=n), cfg)
    assert ran["node"] == questions + 1
    assert {k: v for k, v in ran.items() if k != "node"} == {f"work-{n}": 1 for n in range(questions)} | {"end": 1}
    if questions:
        assert result["got"][1::2] == list(range(questions))


def test_an_error_and_a_retry_do_not_run_it_again(chain, saver, run, cfg, ran):
    def node(state):
        once("charge", lambda: ran.update(charge=1))
        ran["node"] += 1
        if ran["node"] < 3:
            raise OSError("the network is down")
        return {"done": True}

    graph = chain(saver, node)
    for given in ({}, None):
        with pytest.raises(OSError, match="network"):
            run(graph, given, cfg)
    assert run(graph, None, cfg)["done"]
    assert ran == {"charge": 1, "node": 3}


def test_an_attempt_of_a_retry_policy_does_not_run_it_again(saver, run, cfg, ran):
    def node(state):
        once("charge", lambda: ran.update(charge=1))
        ran["node"] += 1
        if ran["node"] < 3:
            raise OSError("the network is down")
        return {"done": True}

    for store in (saver, None):
        ran.clear()
        builder = StateGraph(None).add_node("node", node, retry_policy=RetryPolicy(initial_interval=0, jitter=False, retry_on=OSError))
        assert run(builder.add_edge(START, "node").compile(store), {}, cfg)["done"]
        assert ran == {"charge": 1, "node": 3}


def test_an_update_of_the_state_and_a_reopened_question_do_not_run_it_again(chain, saver, run, cfg, node, ran, only):
    graph = chain(saver, node("work", "?sign"))
    question = only(run(graph, {}, cfg))
    graph.update_state(cfg, {"x": 1}, as_node=START)
    run(graph, None, cfg)
    run(graph, Command(resume="a"), cfg)
    graph.reopen(cfg, only_decided(saver))
    run(graph, None, cfg)
    assert run(graph, Command(resume="b"), cfg)["got"][1] == "b"
    assert question is not None
    assert ran["work"] == 1


def only_decided(saver):
    (decision,) = saver.decisions("t-1")
    return decision.interrupt_id


def test_each_key_and_each_execution_has_a_value_of_its_own(saver, run, cfg, ran):
    def spread(state):
        return [Send("work", n) for n in range(3)]

    def work(n):
        ran["work"] += 1
        return {"sum": once("square", lambda: ran.update(square=1) or n * n) + once("n", lambda: ran.update(n=1) or n) + interrupt(f"add to {n}?")}

    graph = StateGraph(Sum).add_node(work).add_conditional_edges(START, spread, ["work"]).compile(saver)
    run(graph, {}, cfg)
    assert run(graph, Command(resume=[0, 0, 0]), cfg)["sum"] == sum(n * n + n for n in range(3))
    assert ran == {"work": 6, "square": 3, "n": 3}


def test_a_loop_runs_it_once_in_each_round(saver, run, cfg, ran):
    def work(state):
        return {"n": state["n"] + once("step", lambda: ran.update(step=1) or 1)}

    def route(state):
        return "work" if state["n"] < 4 else "__end__"

    graph = StateGraph(None).add_node("work", work).add_edge(START, "work").add_conditional_edges("work", route).compile(saver)
    assert run(graph, {"n": 0}, cfg) == {"n": 4}
    assert ran["step"] == 4


def test_a_fork_is_another_execution(chain, saver, run, cfg, node, ran):
    graph = chain(saver, node("work", "?sign"))
    run(graph, {}, cfg)
    start = graph.get_state(cfg).config
    run(graph, Command(resume=1), cfg)
    run(graph, None, start)
    assert ran["work"] == 2


# -- what is kept ------------------------------------------------------------------------------------------------------------------------------


def test_the_value_is_stored_before_it_is_returned_and_the_run_is_not_disturbed(chain, saver, run, cfg, node):
    seen = []

    def look(state):
        before = saver.head("t-1")
        once("work", lambda: "value")
        seen.append((before, saver.head("t-1")))
        (task,) = saver.checkpoint("t-1", before.seq).tasks
        assert saver._read(kept_key(task.id, 0)) is not None
        assert saver.serde.loads(saver.kept(task.id)[b"work"]) == "value"
        assert list(saver.kept(task.id)) == [b"work"]

    run(chain(saver, look), {}, cfg)
    ((before, after),) = seen
    assert before == after


def test_the_first_run_and_a_later_one_get_equal_values_of_their_own(chain, saver, run, cfg):
    original = {"rows": [1, 2], "at": datetime(2026, 1, 1, tzinfo=UTC), "tuple": (1, 2)}
    got = []

    def node(state):
        value = once("load", lambda: original)
        got.append(value)
        again = once("load", lambda: None)
        assert again == value
        assert again is not value
        value["rows"].append(99)
        interrupt("?")

    graph = chain(saver, node)
    run(graph, {}, cfg)
    run(graph, Command(resume=1), cfg)
    assert original["rows"] == [1, 2]
    assert got[0] == got[1] == {**original, "rows": [1, 2, 99]}
    assert type(got[0]["tuple"]) is tuple


@pytest.mark.parametrize("value", [None, False, 0, "", b"x" * 300_000], ids=lambda v: repr(v)[:12])
def test_empty_and_large_values_are_values(chain, saver, run, cfg, ran, value):
    def node(state):
        return {"same": once("k", lambda: ran.update(k=1) or value) == value, "got": interrupt("?")}

    graph = chain(saver, node)
    run(graph, {}, cfg)
    assert run(graph, Command(resume=1), cfg)["same"]
    assert ran["k"] == 1


def test_many_keys_in_any_order_are_kept_apart(chain, saver, run, cfg, ran):
    keys = [f"key/{n}" for n in range(30)] + ["ü", "\ud800", "a" * 5000, " "]

    def node(state):
        ran["node"] += 1
        ordered = keys if ran["node"] == 1 else reversed(keys)
        got = {key: once(key, lambda key=key: ran.update(fn=1) or len(key)) for key in ordered}
        interrupt("?")
        return {"ok": got == {key: len(key) for key in keys}}

    graph = chain(saver, node)
    run(graph, {}, cfg)
    assert run(graph, Command(resume=1), cfg)["ok"]
    assert ran["fn"] == len(keys)


def test_a_function_that_raises_keeps_nothing(chain, saver, run, cfg, node, ran):
    def node(state):
        def fails():
            ran["fn"] += 1
            if ran["fn"] < 3:
                raise OSError("no answer")
            return "value"

        with suppress(OSError):
            once("k", fails)
        return {"got": once("k", fails)}

    graph = chain(saver, node)
    with pytest.raises(OSError, match="no answer"):
        run(graph, {}, cfg)
    assert run(graph, None, cfg) == {"got": "value"}
    assert ran["fn"] == 3


def test_a_value_that_cannot_be_stored_says_that_the_function_has_run(chain, saver, run, cfg, ran):
    def node(state):
        once("k", lambda: ran.update(fn=1) or {"lock": threading.Lock()})

    with pytest.raises(NotSerializableError, match=r"once\['k'\]\['lock'\].*has run.*would run again") as caught:
        run(chain(saver, node), {}, cfg)
    assert caught.value.path == "once['k']['lock']"
    assert ran["fn"] == 1


# -- side by side --------------------------------------------------------------------------------------------------------------------------------


def test_two_python_threads_of_a_node_run_it_once_and_both_get_the_value(chain, saver, run, cfg, ran):
    def node(state):
        here, two, got = threading.Barrier(8), threading.Barrier(2), []

        def fn():
            ran["fn"] += 1
            with suppress(threading.BrokenBarrierError):
                two.wait(0.3)  # until a second one is in here: nobody comes
            return ran["fn"]

        def work():
            here.wait()
            got.append(once("k", fn))

        workers = [threading.Thread(target=copy_context().run, args=(work,)) for _ in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return {"got": got}

    assert run(chain(saver, node), {}, cfg) == {"got": [1] * 8}


def test_two_tasks_of_a_node_run_it_once_and_both_get_the_value(chain, saver, run, cfg, ran):
    async def fn():
        ran["fn"] += 1
        await asyncio.sleep(0)
        return ran["fn"]

    async def node(state):
        return {"got": await asyncio.gather(*(once("k", fn) for _ in range(8)))}

    assert run(chain(saver, node), {}, cfg) == {"got": [1] * 8}


def test_when_the_first_one_fails_or_is_cancelled_the_next_one_runs_it(chain, saver, run, cfg, ran):
    started = asyncio.Event()

    async def fn():
        ran["fn"] += 1
        started.set()
        if ran["fn"] == 1:
            await asyncio.Event().wait()
        if ran["fn"] == 2:
            raise OSError("no answer")
        return ran["fn"]

    async def node(state):
        first, second, third, fourth = (asyncio.ensure_future(once("k", fn)) for _ in range(4))
        await started.wait()
        fourth.cancel()
        first.cancel()
        found = await asyncio.gather(first, second, third, fourth, return_exceptions=True)
        return {"got": [type(f).__name__ for f in found]}

    assert run(chain(saver, node), {}, cfg) == {"got": ["CancelledError", "OSError", "int", "CancelledError"]}
    assert ran["fn"] == 3


def test_a_sync_call_that_would_stop_its_own_event_loop_is_refused(chain, saver, run, cfg):
    async def node(state):
        started, go = asyncio.Event(), asyncio.Event()

        async def slow():
            started.set()
            await go.wait()
            return 1

        task = asyncio.ensure_future(once("k", slow))
        await started.wait()
        with pytest.raises(OutsideNodeError, match="event loop"):
            once("k", lambda: 2)
        go.set()
        return {"got": await task}

    assert run(chain(saver, node), {}, cfg) == {"got": 1}


# -- what is refused -----------------------------------------------------------------------------------------------------------------------------


def test_outside_a_node_it_is_refused():
    with pytest.raises(OutsideNodeError, match="no node runs"):
        once("k", lambda: 1)


@pytest.mark.parametrize(("key", "fn"), [("", len), (None, len), (5, len), ("k", None), ("k", 5)], ids=repr)
def test_a_wrong_key_or_function_is_refused(chain, saver, run, cfg, key, fn):
    with pytest.raises(TypeError, match="expected a"):
        run(chain(saver, lambda_node(lambda: once(key, fn))), {}, cfg)


def lambda_node(body):
    def node(state):
        return {"got": body()}

    return node


def test_a_function_that_asks_is_refused_even_when_the_node_catches_it(chain, saver, run, cfg):
    def asks(state):
        once("k", lambda: interrupt("?"))

    def catches(state):
        with suppress(Exception):
            once("k", lambda: interrupt("?"))
        return {"approved": True}

    async def asks_later(state):
        async def fn():
            return interrupt("?")

        await once("k", fn)

    for n, node in enumerate((asks, catches, asks_later)):
        thread = {"configurable": {"thread_id": f"thread-{n}"}}
        with pytest.raises(OutsideNodeError, match=r"interrupt\(\) was called by the function of once\('k', …\)"):
            run(chain(saver, node), {}, thread)
    assert saver.open_questions() == []


def test_a_function_that_calls_once_with_its_own_key_is_refused_and_with_another_is_not(chain, saver, run, cfg):
    def same():
        return once("k", lambda: once("k", lambda: 1))

    def other():
        return once("k", lambda: once("l", lambda: 1) + 1)

    with pytest.raises(OutsideNodeError, match="wait for itself"):
        run(chain(saver, lambda_node(same)), {}, cfg)
    assert run(chain(saver, lambda_node(other)), {}, {"configurable": {"thread_id": "t-2"}}) == {"got": 2}


def test_a_function_that_returns_a_coroutine_is_refused_before_anything_happened(chain, saver, run, cfg, ran):
    async def fetch():
        ran["fetch"] += 1

    with pytest.raises(TypeError, match="coroutine function"):
        run(chain(saver, lambda_node(lambda: once("k", lambda: fetch() or None))), {}, cfg)
    assert ran["fetch"] == 0


# -- around it -----------------------------------------------------------------------------------------------------------------------------------


def test_without_a_checkpointer_it_runs_once_in_an_execution(chain, run, cfg, ran):
    lock = threading.Lock()  # nothing is stored, so nothing has to be storable

    def node(state):
        return {"same": once("k", lambda: ran.update(fn=1) or lock) is once("k", lambda: ran.update(fn=1)) is lock}

    graph = chain(None, node)
    assert run(graph, {}, cfg)["same"]
    assert run(graph, {}, cfg)["same"]
    assert ran["fn"] == 2


def test_a_graph_that_runs_inside_the_function_is_not_counted_as_one_of_the_nodes(chain, saver, run, cfg, ran):
    """The function is left out when the node runs again; then the second graph must not take the place of the first."""

    def double(state):
        ran["double"] += 1
        return {"n": state["n"] * 2}

    inner = StateGraph(None).add_node(double).add_edge(START, "double").compile()

    def node(state):
        first = once("first", lambda: inner.invoke({"n": 1})["n"])
        second = inner.invoke({"n": 10})["n"]
        return {"got": [first, second, interrupt("?")]}

    graph = chain(saver, node)
    run(graph, {}, cfg)
    assert run(graph, Command(resume=0), cfg) == {"got": [2, 20, 0]}


def test_it_works_in_a_node_of_a_graph_inside_a_node(chain, saver, run, cfg, ran):
    def work(state):
        return {"got": [once("k", lambda: ran.update(fn=1) or 7), interrupt("?")]}

    inner = StateGraph(None).add_node(work).add_edge(START, "work").compile()
    graph = StateGraph(None).add_node("inner", inner).add_edge(START, "inner").compile(saver)
    run(graph, {}, cfg)
    assert run(graph, Command(resume=1), cfg)["got"] == [7, 1]
    assert ran["fn"] == 1


def test_the_function_can_write_to_the_stream(chain, saver, cfg):
    def node(state):
        once("k", lambda: get_stream_writer()("half done"))

    assert list(chain(saver, node).stream({}, cfg, stream_mode="custom")) == ["half done"]
