"""Answers in a list go by order, so they stop where somebody else answers one of the questions meanwhile: none lands on another question."""

from __future__ import annotations

import operator
from datetime import UTC, datetime
from threading import Event
from typing import Annotated, TypedDict

import pytest

from hitl_nb import START, Command, Decision, MemorySaver, StateGraph, interrupt
from hitl_nb.errors import UnusedAnswersWarning

CONFIG = {"configurable": {"thread_id": "t", "reviewer": "Ann"}}


class State(TypedDict):
    log: Annotated[list[str], operator.add]


class Rival(MemorySaver):
    """A checkpointer that somebody else uses too: Eve answers a1 as soon as these questions are open."""

    waits_for: frozenset[str] = frozenset()
    runs_first = False
    holds_b = False

    def __init__(self, graph):
        super().__init__()
        self.graph, self.answered = graph(self), Event()

    def commit(self, *args, **kwargs):
        head = super().commit(*args, **kwargs)
        self.come()
        return head

    def record(self, *args, **kwargs):
        recorded = super().record(*args, **kwargs)
        if self.runs_first:
            self.runs_first = False
            self.graph.advance(CONFIG)
            self.waits_for = frozenset({"a1", "b1", "c1"})
            self.come()
        return recorded

    def come(self):
        asked = {i.value["question"]: i for i in self.graph.get_state(CONFIG).interrupts}
        if self.waits_for and self.waits_for <= asked.keys():
            self.waits_for = frozenset()
            self.answer("t", [Decision(asked["a1"].id, "t", "a", -1, "Eve's", "Eve", datetime.now(UTC), "test")])
            self.answered.set()


def make():
    runs = []

    def graph(saver):
        def asks(name):
            def node(state: State) -> dict:
                runs.append(name)
                if name == "b" and saver.holds_b and runs.count("b") == 2:
                    assert saver.answered.wait(10)
                return {"log": [f"{name}{n}={interrupt({'question': f'{name}{n}'})}" for n in range(2)]}

            return node

        builder = StateGraph(State)
        for name in "abc":
            builder.add_node(name, asks(name)).add_edge(START, name)
        return builder.compile(saver)

    saver = Rival(graph)
    saver.graph.invoke({"log": []}, CONFIG)
    return saver


@pytest.mark.parametrize("rival", ["while another node runs", "when all have asked", "before the run begins"])
def test_answers_after_one_that_somebody_else_gave_are_left_over_and_not_delivered_elsewhere(rival):
    saver = make()
    match rival:
        case "while another node runs":
            saver.waits_for, saver.holds_b = frozenset({"a1"}), True
        case "when all have asked":
            saver.waits_for = frozenset({"a1", "b1", "c1"})
        case "before the run begins":
            saver.runs_first = True
    with pytest.warns(UnusedAnswersWarning, match="3 of the answers.*somebody else answered meanwhile"):
        result = saver.graph.invoke(Command(resume=["A0", "B0", "C0", "A1", "B1", "C1"]), CONFIG)
    assert {i.value["question"] for i in result.interrupts} == {"b1", "c1"}
    assert result["log"] == ["a0=A0", "a1=Eve's"]
    done = saver.graph.invoke(Command(resume=["B1", "C1"]), CONFIG)
    assert done["log"] == ["a0=A0", "a1=Eve's", "b0=B0", "b1=B1", "c0=C0", "c1=C1"]


def test_a_list_that_nobody_disturbs_answers_all_that_the_nodes_ask():
    saver = make()
    done = saver.graph.invoke(Command(resume=["A0", "B0", "C0", "A1", "B1", "C1"]), CONFIG)
    assert done["log"] == ["a0=A0", "a1=A1", "b0=B0", "b1=B1", "c0=C0", "c1=C1"]
