"""A thousand questions at once: asked by tasks that run in several threads, while the store takes them down."""

from __future__ import annotations

import operator
from typing import Annotated, TypedDict

import pytest

from hitl_nb import START, Command, DiskCacheSaver, MemorySaver, Send, StateGraph, interrupt

MANY = 1000
CONFIG = {"configurable": {"thread_id": "t"}, "max_concurrency": 16}


class State(TypedDict):
    out: Annotated[list[int], operator.add]


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_a_thousand_parallel_questions_are_each_asked_and_answered_once_and_stay_in_order(where, tmp_path):
    saver = MemorySaver() if where == "memory" else DiskCacheSaver(tmp_path / "store")
    builder = StateGraph(State).add_node("ask", lambda n: {"out": [interrupt({"question": "Which?", "n": n})]})
    graph = builder.add_conditional_edges(START, lambda state: [Send("ask", n) for n in range(MANY)]).compile(saver)
    asked = graph.invoke({"out": []}, CONFIG).interrupts
    assert [i.value["n"] for i in asked] == list(range(MANY))
    assert len({i.id for i in asked}) == len(saver.open_questions()) == MANY
    half = {i.id: i.value["n"] for i in asked[::2]}
    assert len(graph.invoke(Command(resume=half), CONFIG).interrupts) == MANY // 2
    rest = {i.id: i.value["n"] for i in asked[1::2]}
    assert graph.invoke(Command(resume=rest), CONFIG)["out"] == list(range(MANY))
    assert len(saver.decisions("t")) == MANY
