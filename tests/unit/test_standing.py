"""Which decisions count where a thread stands, and in which order its questions came."""

from __future__ import annotations

import operator
from typing import Annotated, TypedDict

import pytest

from hitl_nb import Command, MemorySaver, StateGraph, interrupt
from hitl_nb.checkpoint.standing import asked_in_order, standing_decisions

CONFIG = {"configurable": {"thread_id": "t"}}


class Log(TypedDict):
    log: Annotated[list, operator.add]


def two(state):
    return {"log": [interrupt("A?"), interrupt("B?")]}


def last(state):
    return {"log": [interrupt("C?")]}


def standing(graph):
    return sorted(d.answer for d in standing_decisions(graph.checkpointer, "t"))


def decision_on(graph, payload):
    saver = graph.checkpointer
    return next(d.interrupt_id for d in reversed(saver.decisions("t")) if saver.question(d.interrupt_id).payload == payload)


@pytest.fixture
def graph():
    builder = StateGraph(Log).add_node(two).add_node(last).add_edge("two", "last").set_entry_point("two")
    graph = builder.compile(MemorySaver())
    graph.invoke({"log": []}, CONFIG)
    for answer in ("a", "b", "c"):
        graph.invoke(Command(resume=answer), CONFIG)
    return graph


def test_every_decision_on_the_way_counts(graph):
    assert standing(graph) == ["a", "b", "c"]


def test_what_was_given_again_counts_and_stays_when_a_later_question_is_reopened(graph):
    graph.reopen(CONFIG, decision_on(graph, "A?"))
    assert standing(graph) == []
    graph.invoke(None, CONFIG)
    for answer in ("a2", "b2", "c2"):
        graph.invoke(Command(resume=answer), CONFIG)
    graph.reopen(CONFIG, decision_on(graph, "B?"))
    assert standing(graph) == ["a2"]


def test_after_going_back_to_a_checkpoint_nothing_counts_that_was_answered_there(graph):
    earlier = [s.config for s in graph.get_state_history(CONFIG)][-1]
    graph.invoke(None, earlier)
    assert standing(graph) == []
    graph.invoke(Command(resume="a2"), CONFIG)
    assert standing(graph) == ["a2"]


def test_a_pause_that_was_passed_counts_when_a_question_behind_it_is_reopened():
    builder = StateGraph(Log).add_node(two).add_node(last).add_edge("two", "last").set_entry_point("two")
    graph = builder.compile(MemorySaver(), interrupt_before=["two"])
    graph.invoke({"log": []}, CONFIG)
    graph.invoke(Command(resume=True), CONFIG)
    for answer in ("a", "b", "c"):
        graph.invoke(Command(resume=answer), CONFIG)
    graph.reopen(CONFIG, decision_on(graph, "A?"))
    assert [d.answer for d in standing_decisions(graph.checkpointer, "t")] == [True]


def test_questions_side_by_side_come_in_the_order_of_the_tasks_whoever_was_answered_first():
    def left(state):
        return {"log": [interrupt("left 1"), interrupt("left 2")]}

    def right(state):
        return {"log": [interrupt("right 1"), interrupt("right 2")]}

    builder = StateGraph(Log).add_node(left).add_node(right).set_entry_point("left").add_edge("__start__", "right")
    graph = builder.compile(MemorySaver())
    graph.invoke({"log": []}, CONFIG)
    for wanted in ("right 1", "right 2", "left 1"):
        asked = next(i for i in graph.get_state(CONFIG).interrupts if i.value == wanted)
        graph.invoke(Command(resume={asked.id: wanted}), CONFIG)
    assert [q.payload for q in asked_in_order(graph.checkpointer, "t")] == ["left 1", "right 1", "left 2", "right 2"]
    assert asked_in_order(graph.checkpointer, "nobody") == []
