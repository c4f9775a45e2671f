"""retry_policy and timeout: a node that fails is run again, one that takes too long is stopped; no answer is lost on the way."""

from __future__ import annotations

import asyncio
from operator import add
from typing import Annotated, TypedDict

import pytest

from hitl_nb.errors import GraphError, NodeTimeoutError
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.node.once import once
from hitl_nb.graph.node.retry import RetryPolicy
from hitl_nb.graph.types import Command

QUICK = RetryPolicy(initial_interval=0, jitter=False)


class Log(TypedDict, total=False):
    log: Annotated[list, add]
    item: str


# -- retry_policy --------------------------------------------------------------------------------------------------------------------------


def test_a_node_that_raises_is_run_again_as_often_as_its_policy_says(saver, run, cfg, make, runs):
    def work(state):
        runs["work"] += 1
        if runs["work"] < 3:
            raise ConnectionError("gone")
        return {"log": ["done"]}

    assert run(make(saver, work, retry_policy=QUICK), {}, cfg)["log"] == ["done"]
    assert runs["work"] == 3


def test_after_the_last_attempt_the_error_comes_out_and_can_be_retried(saver, run, cfg, make, runs):
    def work(state):
        runs["work"] += 1
        if runs["work"] < 6:
            raise ConnectionError("gone")
        return {"log": ["done"]}

    graph = make(saver, work, retry_policy=QUICK)
    with pytest.raises(ConnectionError):
        run(graph, {}, cfg)
    assert runs["work"] == 3
    assert graph.get_state(cfg).tasks[0].error == "builtins.ConnectionError: gone"
    assert run(graph, None, cfg)["log"] == ["done"]
    assert runs["work"] == 6


def test_an_async_node_is_run_again(saver, run, cfg, make, runs):
    async def work(state):
        runs["work"] += 1
        if runs["work"] < 2:
            raise ConnectionError("gone")
        return {"log": ["done"]}

    assert run(make(saver, work, retry_policy=QUICK), {}, cfg)["log"] == ["done"]


def test_what_is_wrong_for_good_is_not_tried_again(saver, run, cfg, make, runs):
    def work(state):
        runs["work"] += 1
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        run(make(saver, work, retry_policy=QUICK), {}, cfg)
    assert runs["work"] == 1


def test_the_first_policy_that_applies_decides(saver, run, cfg, make, runs):
    policies = [
        RetryPolicy(initial_interval=0, jitter=False, max_attempts=2, retry_on=KeyError),
        RetryPolicy(initial_interval=0, jitter=False, max_attempts=4, retry_on=lambda error: "again" in str(error)),
    ]

    def work(state):
        runs["work"] += 1
        raise (KeyError if state["item"] == "key" else ValueError)("again")

    graph = make(saver, work, retry_policy=policies)
    with pytest.raises(KeyError):
        run(graph, {"item": "key"}, cfg)
    assert runs["work"] == 2
    with pytest.raises(ValueError, match="again"):
        run(graph, {"item": "value"}, {"configurable": {"thread_id": "t-2"}})
    assert runs["work"] == 6


def test_a_retry_uses_the_answers_that_are_there_and_asks_nothing_twice(saver, run, cfg, make, runs):
    def work(state):
        runs["work"] += 1
        first = interrupt("first?")
        paid = once("pay", lambda: runs.update(["paid"]) or "paid")
        if runs["work"] in (2, 3):
            raise ConnectionError("gone")
        return {"log": [first, paid, interrupt("second?")]}

    graph = make(saver, work, retry_policy=QUICK)
    run(graph, {}, cfg)
    assert run(graph, Command(resume="A"), cfg).interrupts[0].value == "second?"
    assert run(graph, Command(resume="B"), cfg)["log"] == ["A", "paid", "B"]
    assert runs == {"work": 5, "paid": 1}
    assert [d.answer for d in saver.decisions("t-1")] == ["A", "B"]


def test_a_pause_is_no_failure_to_retry(saver, run, cfg, make, runs):
    def work(state):
        runs["work"] += 1
        return {"log": [interrupt("?")]}

    graph = make(saver, work, retry_policy=RetryPolicy(initial_interval=0, retry_on=Exception))
    run(graph, {}, cfg)
    assert runs["work"] == 1


def test_a_retried_node_calls_its_graph_where_that_stood(saver, run, cfg, make, chain, runs):
    def inner(state):
        runs["inner"] += 1
        return {"log": [interrupt("?")]}

    child = chain(None, inner, schema=Log)

    def work(state):
        runs["work"] += 1
        got = child.invoke({"log": []})["log"]
        if runs["work"] < 4:
            raise ConnectionError("gone")
        return {"log": got}

    graph = make(saver, work, retry_policy=QUICK)
    run(graph, {}, cfg)
    assert run(graph, Command(resume="A"), cfg)["log"] == ["A"]
    assert runs == {"work": 4, "inner": 2}


def test_a_graph_as_a_node_is_run_again_without_its_finished_nodes(saver, run, cfg, make, chain, runs):
    def first(state):
        runs["first"] += 1

    def second(state):
        runs["second"] += 1
        if runs["second"] < 3:
            raise ConnectionError("gone")
        return {"log": ["done"]}

    assert run(make(saver, chain(None, first, second, schema=Log), retry_policy=QUICK), {}, cfg)["log"] == ["done"]
    assert runs == {"first": 1, "second": 3}


# -- timeout -------------------------------------------------------------------------------------------------------------------------------


def test_an_async_node_that_takes_too_long_is_cancelled(saver, run, cfg, make, runs):
    async def work(state):
        try:
            await asyncio.Event().wait()
        finally:
            runs["cancelled"] += 1

    graph = make(saver, work, timeout=0.01)
    with pytest.raises(NodeTimeoutError, match="'work' took longer than its timeout of 0.01 s"):
        run(graph, {}, cfg)
    assert runs["cancelled"] == 1
    assert graph.get_state(cfg).next == ("work",)


def test_a_timeout_is_retried(saver, run, cfg, make, runs):
    async def work(state):
        runs["work"] += 1
        if runs["work"] < 3:
            await asyncio.Event().wait()
        return {"log": ["done"]}

    assert run(make(saver, work, timeout=0.01, retry_policy=QUICK), {}, cfg)["log"] == ["done"]
    assert runs["work"] == 3


def test_a_timeout_goes_to_the_error_handler(saver, run, cfg, make):
    async def work(state):
        await asyncio.Event().wait()

    def ask(state, error):
        return {"log": [f"{type(error.error).__name__} in {error.node}"]}

    assert run(make(saver, work, timeout=0.01, error_handler=ask), {}, cfg)["log"] == ["NodeTimeoutError in work"]


def test_a_timeout_counts_each_execution_and_not_the_time_a_person_takes(saver, run, cfg, make):
    async def work(state):
        return {"log": [interrupt("?")]}

    graph = make(saver, work, timeout=60)
    run(graph, {}, cfg)
    assert run(graph, Command(resume="A"), cfg)["log"] == ["A"]


def test_a_timeout_error_of_the_node_itself_stays_what_it_is(saver, run, cfg, make):
    async def work(state):
        raise TimeoutError("of the node's own")

    with pytest.raises(TimeoutError, match="own") as found:
        run(make(saver, work, timeout=60), {}, cfg)
    assert not isinstance(found.value, NodeTimeoutError)


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_timeout_that_is_no_time_is_refused(timeout, make):
    async def work(state): ...

    with pytest.raises(GraphError, match="timeout"):
        make(None, work, timeout=timeout)


def test_a_sync_node_cannot_have_a_timeout(make, chain):
    with pytest.raises(GraphError, match="only async nodes"):
        make(None, lambda state: {}, timeout=1)
    with pytest.raises(GraphError, match="only async nodes"):
        make(None, chain(None, lambda_named("x"), schema=Log), timeout=1)


def lambda_named(name):
    def fn(state): ...

    fn.__name__ = name
    return fn
