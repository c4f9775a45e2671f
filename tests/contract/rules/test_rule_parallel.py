"""R15: side by side, finished work is kept, only what was answered runs again, and two writers need a reducer."""

from __future__ import annotations

from operator import add
from typing import Annotated, TypedDict

import pytest

from hitl_nb.checkpoint.disk import DiskCacheSaver
from hitl_nb.errors import ConcurrentUpdateError
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.types import END, START, Command, Send


class Log(TypedDict):
    log: Annotated[list, add]


def extend(old, new):
    old.extend(new)
    return old


class InPlace(TypedDict):
    log: Annotated[list, extend]


@pytest.fixture
def four(fan, saver, runs):
    """Two nodes that finish, two that ask."""

    def make(name, asks):
        def node(state):
            runs[name] += 1
            return {name: interrupt(name) if asks else "done"}

        node.__name__ = name
        return node

    return fan(saver, make("p", False), make("q", True), make("r", False), make("s", True))


def test_finished_siblings_are_kept_and_only_the_answered_node_runs_again(four, runs, run, cfg):
    q, s = run(four, {}, cfg).interrupts
    assert runs == {"p": 1, "q": 1, "r": 1, "s": 1}
    result = run(four, Command(resume={s.id: "S"}), cfg)
    assert runs == {"p": 1, "q": 1, "r": 1, "s": 2}
    assert [i.id for i in result.interrupts] == [q.id]
    assert result.state == {"p": "done", "r": "done", "s": "S"}
    assert result.next == ("q",)
    assert run(four, Command(resume="Q"), cfg) == {"p": "done", "q": "Q", "r": "done", "s": "S"}
    assert runs == {"p": 1, "q": 2, "r": 1, "s": 2}


def test_finished_siblings_are_kept_when_another_raises(fan, saver, run, cfg, runs):
    broken = [True]

    def good(state):
        runs["good"] += 1
        return {"good": 1}

    def bad(state):
        runs["bad"] += 1
        if broken[0]:
            raise OSError("bad")
        return {"bad": 1}

    graph = fan(saver, good, bad)
    with pytest.raises(OSError, match="bad"):
        run(graph, {}, cfg)
    assert graph.get_state(cfg).values == {"good": 1}
    assert graph.get_state(cfg).next == ("bad",)
    broken[0] = False
    assert run(graph, None, cfg) == {"good": 1, "bad": 1}
    assert runs == {"good": 1, "bad": 2}


def test_finished_siblings_outlive_the_process(fan, tmp_path, run, cfg, runs):
    def good(state):
        runs["good"] += 1
        return {"good": 1}

    def ask(state):
        return {"got": interrupt("?")}

    run(fan(DiskCacheSaver(tmp_path), good, ask), {}, cfg)
    assert run(fan(DiskCacheSaver(tmp_path), good, ask), Command(resume=1), cfg) == {"good": 1, "got": 1}
    assert runs["good"] == 1


def test_all_errors_of_a_superstep_are_visible_and_the_first_by_task_order_comes_out(fan, saver, run, cfg):
    def one(state):
        raise ValueError("one")

    def two(state):
        raise ValueError("two")

    graph = fan(saver, one, two)
    with pytest.raises(ValueError, match="one"):
        run(graph, {}, cfg)
    assert [t.error for t in graph.get_state(cfg).tasks] == ["builtins.ValueError: one", "builtins.ValueError: two"]


def test_two_writers_of_a_key_without_reducer_are_an_error_that_names_both(fan, saver, run, cfg):
    def one(state):
        return {"x": 1}

    def two(state):
        return {"x": 2}

    graph = fan(saver, one, two)
    with pytest.raises(ConcurrentUpdateError, match=r"'one' and 'two' both wrote state\['x'\]"):
        run(graph, {"x": 0}, cfg)
    snapshot = graph.get_state(cfg)
    assert snapshot.values == {"x": 0}
    assert snapshot.next == ("one", "two")
    assert all("ConcurrentUpdateError" in t.error for t in snapshot.tasks)
    graph.update_state(cfg, {"x": 5}, as_node="two")
    assert run(graph, None, cfg)["x"] == 1


def test_writes_with_a_reducer_combine_in_task_order_whatever_finishes_first(fan, saver, run, cfg):
    def slow(state):
        return {"log": [interrupt("slow?")]}

    def quick(state):
        return {"log": ["quick"]}

    graph = fan(saver, slow, quick, schema=Log)
    run(graph, {"log": []}, cfg)
    assert run(graph, Command(resume="slow"), cfg)["log"] == ["slow", "quick"]


def test_a_reducer_that_works_in_place_counts_each_write_once(saver, run, cfg):
    graph = (
        StateGraph(InPlace)
        .add_node("a", lambda s: {"log": ["a"]})
        .add_node("b", lambda s: {"log": ["b"]})
        .add_edge(START, "a")
        .add_conditional_edges("a", lambda s: "b" if s["log"] else END)
        .compile(saver)
    )
    given = {"log": ["in"]}
    assert run(graph, given, cfg) == {"log": ["in", "a", "b"]}
    assert given == {"log": ["in"]}


def test_a_list_join_waits_for_all_its_sources(saver, run, cfg, runs):
    def make(name):
        def node(state):
            runs[name] += 1
            return {"log": [name]}

        return node

    graph = StateGraph(Log)
    for name in ("start", "short", "long", "longer", "join"):
        graph.add_node(name, make(name))
    graph.add_edge(START, "start").add_edge("start", "short").add_edge("start", "long").add_edge("long", "longer")
    graph.add_edge(["short", "longer"], "join").add_edge("join", END)
    assert run(graph.compile(saver), {"log": []}, cfg)["log"] == ["start", "short", "long", "longer", "join"]
    assert runs["join"] == 1


def test_a_list_join_waits_across_a_pause(saver, run, cfg, runs):
    def join(state):
        runs["join"] += 1
        return {"log": ["join"]}

    graph = (
        StateGraph(Log)
        .add_node("auto", lambda s: {"log": ["auto"]})
        .add_node("first", lambda s: None)
        .add_node("asks", lambda s: {"log": [interrupt("?")]})
        .add_node(join)
        .add_edge(START, "auto")
        .add_edge(START, "first")
        .add_edge("first", "asks")
        .add_edge(["auto", "asks"], "join")
        .compile(saver)
    )
    assert run(graph, {"log": []}, cfg).is_interrupted
    assert runs["join"] == 0
    assert run(graph, Command(resume="yes"), cfg)["log"] == ["auto", "yes", "join"]


def test_edges_that_meet_run_their_target_once(saver, run, cfg, runs):
    def meet(state):
        runs["meet"] += 1

    graph = StateGraph().add_node("a", lambda s: None).add_node("b", lambda s: None).add_node(meet)
    graph.add_edge(START, "a").add_edge(START, "b").add_edge("a", "meet").add_edge("b", "meet")
    run(graph.compile(saver), {}, cfg)
    assert runs["meet"] == 1


def test_each_send_is_a_task_of_its_own_with_its_own_question(saver, run, cfg, runs):
    def check(item):
        runs[item] += 1
        return {"log": [(item, interrupt({"item": item}))]}

    graph = StateGraph(Log).add_node(check).add_conditional_edges(START, lambda s: [Send("check", n) for n in range(3)]).compile(saver)
    questions = run(graph, {"log": []}, cfg).interrupts
    assert [i.value["item"] for i in questions] == [0, 1, 2]
    run(graph, Command(resume={questions[1].id: "B"}), cfg)
    assert runs == {0: 1, 1: 2, 2: 1}
    assert run(graph, Command(resume=["A", "C"]), cfg)["log"] == [(0, "A"), (1, "B"), (2, "C")]
    assert runs == {0: 2, 1: 2, 2: 2}


def test_the_same_question_in_two_sends_has_two_ids(saver, run, cfg):
    def check(item):
        return {"log": [interrupt("same")]}

    graph = StateGraph(Log).add_node(check).add_conditional_edges(START, lambda s: [Send("check", 1), Send("check", 1)]).compile(saver)
    result = run(graph, {"log": []}, cfg)
    assert len({i.id for i in result.interrupts}) == 2
    assert run(graph, Command(resume=["x", "y"]), cfg)["log"] == ["x", "y"]


def test_three_parallel_calls_two_of_them_asking_run_the_third_once(fan, saver, run, cfg, runs):
    def make(name, asks):
        def tool(state):
            if asks:
                interrupt(name)
            runs[name] += 1
            return {name: 1}

        tool.__name__ = name
        return tool

    graph = fan(saver, make("search", False), make("pay", True), make("mail", True))
    run(graph, {}, cfg)
    run(graph, Command(resume=["ok", "ok"]), cfg)
    assert runs == {"search": 1, "pay": 1, "mail": 1}
