"""Reopening decisions, one after the other, never brings back an answer that was discarded."""

from __future__ import annotations

import operator
from typing import Annotated, TypedDict

import pytest

from hitl_nb import START, Command, DiskCacheSaver, MemorySaver, StateGraph, interrupt
from hitl_nb.errors import UnknownInterruptError


class State(TypedDict):
    log: Annotated[list[str], operator.add]


def asks(name):
    def node(state: State) -> dict:
        return {"log": [f"{name}={interrupt({'question': f'{name}?'})}"]}

    node.__name__ = name
    return node


@pytest.fixture(params=["memory", "disk"])
def graph(request, tmp_path):
    saver = MemorySaver() if request.param == "memory" else DiskCacheSaver(tmp_path / "store")
    builder = StateGraph(State).add_node(asks("a")).add_node(asks("b")).add_node("last", lambda state: {"log": ["last"]})
    for name in "ab":
        builder.add_edge(START, name)
    return builder.add_edge(["a", "b"], "last").compile(saver)


CONFIG = {"configurable": {"thread_id": "t"}}


def open_by_node(graph):
    return {i.node: i.id for i in graph.get_state(CONFIG).interrupts}


def answer(graph, **answers):
    asked = open_by_node(graph)
    return graph.invoke(Command(resume={asked[node]: value for node, value in answers.items()}), CONFIG)


def test_two_parallel_decisions_undone_one_after_the_other_are_both_asked_again(graph):
    graph.invoke({"log": []}, CONFIG)
    first = open_by_node(graph)
    assert answer(graph, a="1", b="1")["log"] == ["a=1", "b=1", "last"]
    graph.reopen(CONFIG, first["b"])
    graph.reopen(CONFIG, first["a"])
    result = graph.advance(CONFIG)
    assert {i.node for i in result.interrupts} == {"a", "b"}
    assert not {i.id for i in result.interrupts} & set(first.values())
    assert answer(graph, a="2", b="2")["log"] == ["a=2", "b=2", "last"]
    assert [d.answer for d in graph.checkpointer.decisions("t")] == ["1", "1", "2", "2"]


def test_the_newer_answer_stays_when_its_neighbour_is_reopened_after_the_thread_moved_on_twice(graph):
    graph.invoke({"log": []}, CONFIG)
    first = open_by_node(graph)
    answer(graph, a="old", b="old")
    graph.reopen(CONFIG, first["b"])
    graph.advance(CONFIG)
    answer(graph, b="new")
    graph.reopen(CONFIG, first["a"])
    graph.advance(CONFIG)
    assert list(open_by_node(graph)) == ["a"]
    assert answer(graph, a="new")["log"] == ["a=new", "b=new", "last"]


def test_a_question_reopened_before_an_update_of_the_state_is_asked_under_a_new_id_after_it(graph):
    graph.invoke({"log": []}, CONFIG)
    first = open_by_node(graph)
    answer(graph, a="1")
    graph.reopen(CONFIG, first["a"])
    graph.update_state(CONFIG, {"log": ["note"]}, as_node="b")
    result = graph.advance(CONFIG)
    assert [i.node for i in result.interrupts] == ["a"]
    assert result.interrupts[0].id != first["a"]
    assert answer(graph, a="2")["log"] == ["note", "a=2", "last"]


def test_a_decision_that_no_longer_counts_cannot_be_reopened(graph):
    graph.invoke({"log": []}, CONFIG)
    first = open_by_node(graph)
    answer(graph, a="1", b="1")
    graph.reopen(CONFIG, first["a"])
    with pytest.raises(UnknownInterruptError, match="newer id"):
        graph.reopen(CONFIG, first["a"])


def test_what_reopening_leaves_open_is_what_the_store_lists_as_open(graph):
    graph.invoke({"log": []}, CONFIG)
    first = open_by_node(graph)
    answer(graph, a="1", b="1")
    graph.reopen(CONFIG, first["a"])
    graph.advance(CONFIG)
    graph.reopen(CONFIG, first["b"])
    graph.advance(CONFIG)
    assert {q.interrupt_id for q in graph.checkpointer.open_questions()} == set(open_by_node(graph).values())
    answer(graph, a="2", b="2")
    assert graph.checkpointer.open_questions() == []
