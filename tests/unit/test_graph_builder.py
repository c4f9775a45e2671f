"""A graph is checked when it is built and compiled, so that a typing error does not wait for the node that has it."""

from __future__ import annotations

from typing import TypedDict

import pytest

from hitl_nb.checkpoint.memory import MemorySaver
from hitl_nb.errors import GraphError, UnknownNodeError
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.types import END, START


class State(TypedDict):
    n: int


def work(state):
    return {"n": 1}


def one_node():
    return StateGraph().add_node(work).add_edge(START, "work")


def test_every_method_returns_the_builder():
    builder = StateGraph(State)
    assert builder.add_node(work) is builder
    assert builder.add_edge(START, "work") is builder
    assert builder.add_conditional_edges("work", lambda s: END) is builder
    assert builder.set_entry_point("work") is builder
    assert builder.set_finish_point("work") is builder


def test_a_node_may_be_named_or_go_by_its_functions_name():
    graph = StateGraph().add_node(work).add_node("again", work).add_edge(START, "work").add_edge("work", "again").compile()
    assert graph.invoke({}) == {"n": 1}


def test_entry_and_finish_points_are_edges_from_start_and_to_end():
    assert StateGraph().add_node(work).set_entry_point("work").set_finish_point("work").compile().invoke({}) == {"n": 1}


@pytest.mark.parametrize("name", ["", START, END, "a\nb", 3, None], ids=repr)
def test_a_node_with_an_impossible_name_is_refused(name):
    with pytest.raises(GraphError, match=r"name|function"):
        StateGraph().add_node(name, work)


@pytest.mark.parametrize("fn", [None, "work", 3], ids=repr)
def test_a_node_that_is_no_function_is_refused(fn):
    with pytest.raises(GraphError, match="expected a function"):
        StateGraph().add_node("work", fn)


def test_a_name_is_used_once():
    with pytest.raises(GraphError, match="'work' is there already"):
        one_node().add_node("work", work)


def test_an_edge_to_an_unknown_node_is_refused_and_names_the_known_ones():
    with pytest.raises(UnknownNodeError, match=r"'wrok'.*known: work"):
        one_node().add_edge("work", "wrok").compile()


def test_an_edge_from_an_unknown_node_is_refused():
    with pytest.raises(UnknownNodeError, match="'wrok'"):
        one_node().add_edge("wrok", "work").compile()


def test_a_join_with_an_unknown_source_or_none_is_refused():
    with pytest.raises(UnknownNodeError, match="'other'"):
        one_node().add_edge(["work", "other"], "work").compile()
    with pytest.raises(GraphError, match="no source"):
        one_node().add_edge([], "work")


def test_a_mapping_of_a_conditional_edge_to_an_unknown_node_is_refused():
    with pytest.raises(UnknownNodeError, match="'nowhere'"):
        one_node().add_conditional_edges("work", lambda s: True, {True: "nowhere"}).compile()


def test_a_list_of_a_conditional_edge_with_an_unknown_node_is_refused():
    with pytest.raises(UnknownNodeError, match="'nowhere'"):
        one_node().add_conditional_edges("work", lambda s: "work", ["work", "nowhere"]).compile()


def test_a_path_that_is_no_function_is_refused():
    with pytest.raises(GraphError, match="path function"):
        one_node().add_conditional_edges("work", "work")


class NoText:
    def __repr__(self):
        raise RuntimeError("no repr")


@pytest.mark.parametrize("odd", [3, NoText(), [NoText()]], ids=lambda odd: type(odd).__name__)
def test_what_names_no_node_is_refused_whatever_it_is(odd):
    def builder():
        return StateGraph().add_node("a", print).add_edge(START, "a")

    for wrong in (
        lambda: builder().add_edge(odd, "a").compile(),
        lambda: builder().add_edge("a", odd).compile(),
        lambda: builder().add_conditional_edges("a", print, odd).compile(),
        lambda: builder().add_conditional_edges("a", odd),
        lambda: builder().add_node("b", odd),
        lambda: builder().compile(MemorySaver(), interrupt_before=odd),
        lambda: builder().compile(odd),
        lambda: StateGraph(odd),
    ):
        with pytest.raises(GraphError):
            wrong()


def test_a_graph_without_nodes_or_without_a_start_is_refused():
    with pytest.raises(GraphError, match="no node"):
        StateGraph().compile()
    with pytest.raises(GraphError, match="START"):
        StateGraph().add_node(work).compile()


def test_a_conditional_start_is_a_start():
    assert StateGraph().add_node(work).add_conditional_edges(START, lambda s: "work").compile().invoke({}) == {"n": 1}


def test_what_is_no_checkpointer_is_refused_at_compile():
    with pytest.raises(GraphError, match="MemorySaver"):
        one_node().compile("reviews")


def test_a_compiled_graph_does_not_change_with_its_builder():
    builder = one_node()
    graph = builder.compile()
    builder.add_node("late", lambda s: {"n": 2}).add_edge("work", "late")
    assert graph.invoke({}) == {"n": 1}
    assert builder.compile().invoke({}) == {"n": 2}


def test_a_node_that_names_a_config_parameter_is_given_the_config():
    seen = []

    def node(state, config):
        seen.append(config["configurable"]["thread_id"])

    StateGraph().add_node(node).add_edge(START, "node").compile(MemorySaver()).invoke({}, {"configurable": {"thread_id": "t-7"}})
    assert seen == ["t-7"]


def test_the_name_of_the_graph_is_shown():
    assert one_node().compile(name="article").name == "article"


def test_a_node_name_that_cannot_be_stored_is_refused_by_a_graph_that_stores():
    builder = StateGraph().add_node("a\ud800", lambda state: None).add_edge(START, "a\ud800")
    with pytest.raises(GraphError, match="surrogate"):
        builder.compile(MemorySaver())
    assert builder.compile().invoke({"x": 1}) == {"x": 1}
