"""What a node can be, and what its options can be: the rest is refused when it is added."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest

from hitl_nb.checkpoint.memory import MemorySaver
from hitl_nb.errors import GraphError, NoCheckpointerError
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.node.retry import RetryPolicy, default_retry_on
from hitl_nb.graph.types import START


def one(state):
    return {"log": [*state.get("log", []), "one"]}


def two(state):
    return {"log": [*state.get("log", []), "two"]}


async def later(state):
    return {}


class Callable:
    def __call__(self, state):
        return {"log": ["called"]}


def nodes(builder):
    return list(builder.add_edge(START, next(iter(builder._topology.nodes))).compile().topology.nodes)


def test_a_sequence_is_nodes_with_an_edge_from_each_to_the_next():
    child = StateGraph().add_node(two).add_edge(START, "two").compile(name="child")
    graph = StateGraph().add_sequence([one, ("again", one), child, Callable()]).add_edge(START, "one").compile()
    assert list(graph.topology.nodes) == ["one", "again", "child", "Callable"]
    assert graph.invoke({}) == {"log": ["called"]}


def test_a_sequence_may_go_on_from_what_is_there():
    builder = StateGraph().add_node(one).add_sequence([two, ("last", one)]).add_edge(START, "one").add_edge("one", "two")
    assert builder.compile().invoke({}) == {"log": ["one", "two", "one"]}


@pytest.mark.parametrize(
    "sequence", [[], ["one"], [("name", one, "more")], [one, one], [("a", "b")]], ids=["none", "name", "three", "twice", "names"]
)
def test_what_is_no_sequence_of_nodes_is_refused(sequence):
    with pytest.raises(GraphError):
        StateGraph().add_sequence(sequence)


def test_nodes_without_a_name_go_by_what_they_are():
    child = StateGraph().add_node(one).add_edge(START, "one").compile(name="child")
    builder = StateGraph().add_node(one).add_node(Callable()).add_node(child).add_node(partial(two)).add_node(lambda state: {})
    assert nodes(builder) == ["one", "Callable", "child", "partial", "<lambda>"]


def test_a_class_with_a_state_to_keep_is_a_node_like_any_other():
    graph = StateGraph().add_node("n", Callable()).add_edge(START, "n").compile()
    assert graph.invoke({}) == {"log": ["called"]}


@pytest.mark.parametrize("policy", [3, "often", ["often"], [RetryPolicy(), None], RetryPolicy], ids=["number", "text", "texts", "none", "class"])
def test_what_is_no_retry_policy_is_refused(policy):
    with pytest.raises(GraphError, match="retry_policy of node 'one'"):
        StateGraph().add_node(one, retry_policy=policy)


@pytest.mark.parametrize("values", [{"max_attempts": 0}, {"initial_interval": -1}, {"max_interval": -1}], ids=repr)
def test_a_retry_policy_that_makes_no_sense_is_refused(values):
    with pytest.raises(ValueError, match="max_attempts"):
        RetryPolicy(**values)


def test_waits_grow_up_to_the_longest():
    policy = RetryPolicy(initial_interval=1, backoff_factor=3, max_interval=5, jitter=False)
    assert [policy.wait_s(n) for n in (1, 2, 3, 4)] == [1, 3, 5, 5]
    assert 1 <= RetryPolicy(initial_interval=1).wait_s(1) <= 2


def test_what_is_tried_again_by_itself():
    class Answered(Exception):  # noqa: N818  # what an HTTP client raises
        def __init__(self, status):
            self.response = type("Response", (), {"status_code": status})()

    again = [ConnectionError(), TimeoutError(), Answered(503), Exception("odd")]
    never = [ValueError(), TypeError(), KeyError(), RuntimeError(), FileNotFoundError(), Answered(404), ZeroDivisionError()]
    assert [default_retry_on(e) for e in again] == [True] * len(again)
    assert [default_retry_on(e) for e in never] == [False] * len(never)


@pytest.mark.parametrize("handler", [3, "ask", StateGraph().add_node(one).add_edge(START, "one").compile()], ids=["3", "ask", "a graph"])
def test_what_is_no_error_handler_is_refused(handler):
    with pytest.raises(GraphError, match="error_handler of node 'one'"):
        StateGraph().add_node(one, error_handler=handler)


@pytest.mark.parametrize("timeout", [1, 0.5, timedelta(seconds=2)], ids=repr)
def test_a_timeout_is_seconds_or_a_timedelta(timeout):
    graph = StateGraph().add_node(later, timeout=timeout).add_edge(START, "later").compile()
    assert graph.topology.nodes["later"].timeout_s in (1, 0.5, 2)


def test_a_graph_with_a_checkpointer_of_its_own_is_no_node():
    child = StateGraph().add_node(one).add_edge(START, "one").compile(MemorySaver())
    with pytest.raises(GraphError, match="checkpointer=True for a memory"):
        StateGraph().add_node("child", child)


@pytest.mark.parametrize("checkpointer", [None, False])
def test_a_graph_that_keeps_nothing_has_no_static_pauses(checkpointer):
    with pytest.raises(NoCheckpointerError, match="inherit"):
        StateGraph().add_node(one).add_edge(START, "one").compile(checkpointer, interrupt_before=["one"])


@pytest.mark.parametrize("checkpointer", ["memory", 1, 0, object()], ids=["text", "1", "0", "object"])
def test_what_is_no_way_to_keep_threads_is_refused(checkpointer):
    with pytest.raises(GraphError, match="checkpointer is"):
        StateGraph().add_node(one).add_edge(START, "one").compile(checkpointer)


def test_a_graph_that_inherits_runs_alone_without_storing_and_says_so_when_it_would_have_to():
    inherits = StateGraph().add_node(one).add_edge(START, "one").compile("inherit")
    assert inherits.invoke({}) == {"log": ["one"]}
    pauses = StateGraph().add_node(one).add_edge(START, "one").compile("inherit", interrupt_before=["one"])
    with pytest.raises(NoCheckpointerError):
        pauses.invoke({})
