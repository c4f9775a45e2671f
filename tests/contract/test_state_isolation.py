"""What a node changes in place, without returning it, changes nothing but its own copy: a run and a resumed run read the same."""

from __future__ import annotations

from typing import Any, TypedDict

import pytest

from hitl_nb import START, Command, DiskCacheSaver, MemorySaver, StateGraph, interrupt

CONFIG = {"configurable": {"thread_id": "t"}}
LONG = [f"entry {n}" for n in range(1000)]


class State(TypedDict, total=False):
    small: dict[str, Any]
    long: list[str]
    seen: Any


@pytest.fixture(params=["memory", "disk"])
def saver(request, tmp_path):
    return MemorySaver() if request.param == "memory" else DiskCacheSaver(tmp_path / "store")


def spoil(state: State) -> None:
    state["small"]["nested"].append("spoiled")
    state["long"].append("spoiled")


def test_the_next_node_does_not_see_what_the_last_one_changed_in_place(saver):
    graph = StateGraph(State).add_node("spoils", spoil).add_node("reads", lambda s: {"seen": [s["small"], len(s["long"])]})
    graph.add_edge(START, "spoils").add_edge("spoils", "reads")
    given: State = {"small": {"nested": []}, "long": list(LONG)}
    assert graph.compile(saver).invoke(given, CONFIG)["seen"] == [{"nested": []}, 1000]
    assert given == {"small": {"nested": []}, "long": LONG}


def test_parallel_nodes_do_not_see_each_other_change_the_state_in_place(saver):
    graph = StateGraph(State).add_node("reads", lambda s: spoil(s) or {"seen": [s["small"], len(s["long"])]}).add_node("spoils", spoil)
    graph.add_edge(START, "reads").add_edge(START, "spoils")
    assert graph.compile(saver).invoke({"small": {"nested": []}, "long": LONG}, CONFIG)["seen"] == [{"nested": ["spoiled"]}, 1001]


def test_a_node_that_changes_its_state_in_place_and_asks_finds_it_unchanged_when_it_runs_again(saver):
    def asks(state: State) -> State:
        spoil(state)
        return {"seen": [interrupt("Go on?"), state["small"], len(state["long"])]}

    graph = StateGraph(State).add_node("asks", asks).add_edge(START, "asks").compile(saver)
    graph.invoke({"small": {"nested": []}, "long": LONG}, CONFIG)
    assert graph.invoke(Command(resume=True), CONFIG)["seen"] == [True, {"nested": ["spoiled"]}, 1001]


def test_a_value_changed_in_place_and_returned_is_stored(saver):
    def keeps(state: State) -> State:
        spoil(state)
        return {"small": state["small"], "long": state["long"]}

    graph = StateGraph(State).add_node("keeps", keeps).add_edge(START, "keeps").compile(saver)
    graph.invoke({"small": {"nested": []}, "long": LONG}, CONFIG)
    stored = graph.get_state(CONFIG).values
    assert (stored["small"], len(stored["long"])) == ({"nested": ["spoiled"]}, 1001)
