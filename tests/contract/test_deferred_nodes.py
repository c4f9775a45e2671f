"""add_node(…, defer=True): a node that waits until nothing else is left to run."""

from __future__ import annotations

from operator import add
from typing import Annotated, TypedDict

import pytest

from hitl_nb.checkpoint.disk import DiskCacheSaver
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.types import END, START, Command, Send


class Log(TypedDict, total=False):
    log: Annotated[list, add]


@pytest.fixture
def build(runs):
    """`build("a b! j", "START>a a>b …", deferred="j")`: a graph; `!` marks the nodes that ask."""

    def make(names, edges, *, deferred="", branches=None):
        builder = StateGraph(Log)
        for name in names.split():
            builder.add_node(name.rstrip("!"), _node(runs, name), defer=name.rstrip("!") in deferred.split())
        for edge in edges.split():
            source, target = edge.split(">")
            builder.add_edge(START if source == "START" else source.split("+") if "+" in source else source, END if target == "END" else target)
        for source, path in (branches or {}).items():
            builder.add_conditional_edges(source, path)
        return builder

    return make


def _node(runs, name):
    def run_it(state):
        plain = name.rstrip("!")
        runs[plain] += 1
        return {"log": [f"{plain}:{interrupt(plain)}" if name.endswith("!") else plain]}

    return run_it


SHORT_AND_LONG = "START>a a>b a>c c>d b>j d>j j>end"


def test_branches_of_different_length_meet_once(saver, run, cfg, build):
    graph = build("a b c d j end", SHORT_AND_LONG, deferred="j").compile(saver)
    assert run(graph, {}, cfg)["log"] == ["a", "b", "c", "d", "j", "end"]


def test_without_defer_the_node_runs_for_each_branch(saver, run, cfg, build):
    graph = build("a b c d j end", SHORT_AND_LONG).compile(saver)
    assert run(graph, {}, cfg)["log"].count("j") == 2


def test_questions_in_the_branches_are_waited_for(saver, run, cfg, build, runs):
    graph = build("a b! c d! j! end", SHORT_AND_LONG, deferred="j").compile(saver)
    (b,) = run(graph, {}, cfg).interrupts
    assert b.node == "b"
    (d,) = run(graph, Command(resume="B"), cfg).interrupts
    assert d.node == "d"
    (j,) = run(graph, Command(resume="D"), cfg).interrupts
    assert j.node == "j"
    assert run(graph, Command(resume="J"), cfg)["log"] == ["a", "b:B", "c", "d:D", "j:J", "end"]
    assert runs == {"a": 1, "b": 2, "c": 1, "d": 2, "j": 2, "end": 1}


def test_what_is_held_back_outlives_the_process(tmp_path, run, cfg, build):
    def anew():
        return build("a b c d! j end", SHORT_AND_LONG, deferred="j").compile(DiskCacheSaver(tmp_path))

    run(anew(), {}, cfg)
    assert run(anew(), Command(resume="D"), cfg)["log"] == ["a", "b", "c", "d:D", "j", "end"]


def test_two_deferred_nodes_are_let_go_together_and_one_after_another_in_turn(saver, run, cfg, build):
    together = build("a b x y", "START>a START>x START>y a>b", deferred="x y").compile(saver)
    assert run(together, {}, cfg)["log"] == ["a", "b", "x", "y"]
    in_turn = build("a b x y", "START>a START>x a>b x>y", deferred="x y").compile(saver)
    assert run(in_turn, {}, {"configurable": {"thread_id": "t-2"}})["log"] == ["a", "b", "x", "y"]


def test_a_loop_is_run_to_its_end_first(saver, run, cfg, build):
    branches = {"a": lambda state: ["a", "j"] if len(state["log"]) < 4 else END}
    graph = build("a j", "START>a", deferred="j", branches=branches).compile(saver)
    assert run(graph, {}, cfg)["log"] == ["a", "a", "a", "a", "j"]


def test_a_deferred_node_may_begin_the_loop_again(saver, run, cfg, build):
    branches = {"j": lambda state: "a" if len(state["log"]) < 5 else END}
    graph = build("a b j", "START>a a>j a>b", deferred="j", branches=branches).compile(saver)
    assert run(graph, {}, cfg)["log"] == ["a", "b", "j", "a", "b", "j"]


def test_the_results_of_many_sends_meet_in_a_deferred_node(saver, run, cfg, build):
    branches = {"a": lambda state: [Send("w", {"n": n}) for n in range(5)], "w": lambda state: ["more", "j"]}
    graph = build("a w more j", "START>a", deferred="j", branches=branches).compile(saver)
    assert run(graph, {}, cfg)["log"] == ["a", *"wwwww", "more", "j"]


def test_a_send_to_a_deferred_node_is_not_held_back(saver, run, cfg, build):
    """As on the peer: what is sent runs in the next superstep."""
    branches = {"a": lambda state: [Send("j", {}), Send("j", {})]}
    graph = build("a b c j", "START>a a>b b>c", deferred="j", branches=branches).compile(saver)
    assert run(graph, {}, cfg)["log"] == ["a", "b", "j", "j", "c"]


def test_a_list_join_may_be_deferred(saver, run, cfg, build):
    graph = build("a b c d j", "START>a START>b b>c c>d a+b>j", deferred="j").compile(saver)
    assert run(graph, {}, cfg)["log"] == ["a", "b", "c", "d", "j"]


def test_a_command_may_lead_to_a_deferred_node(saver, run, cfg):
    def go(state):
        return Command(update={"log": ["go"]}, goto=["j", "b"])

    builder = StateGraph(Log).add_node(go).add_node("b", lambda state: {"log": ["b"]}).add_node("c", lambda state: {"log": ["c"]})
    builder.add_node("j", lambda state: {"log": ["j"]}, defer=True).add_edge(START, "go").add_edge("b", "c")
    assert run(builder.compile(saver), {}, cfg)["log"] == ["go", "b", "c", "j"]


def test_an_update_of_the_state_keeps_what_is_held_back(saver, run, cfg, build):
    graph = build("a b c d! j end", SHORT_AND_LONG, deferred="j").compile(saver)
    run(graph, {}, cfg)
    graph.update_state(cfg, {"log": ["by hand"]}, as_node="d")
    assert graph.get_state(cfg).next == ("j",)
    assert run(graph, None, cfg)["log"] == ["a", "b", "c", "by hand", "j", "end"]


def test_an_update_beside_an_open_question_keeps_the_deferred_node_waiting_for_it(saver, run, cfg, build):
    graph = build("a b! d! j end", "START>a a>b a>d b>j d>j j>end", deferred="j").compile(saver)
    run(graph, {}, cfg)
    graph.update_state(cfg, {"log": ["by hand"]}, as_node="b")
    assert graph.get_state(cfg).next == ("d",)
    assert run(graph, Command(resume="D"), cfg)["log"] == ["a", "by hand", "d:D", "j", "end"]


def test_an_answer_with_an_update_keeps_what_is_held_back(saver, run, cfg, build):
    graph = build("a b c d! j end", SHORT_AND_LONG, deferred="j").compile(saver)
    run(graph, {}, cfg)
    result = run(graph, Command(resume="D", update={"log": ["note"]}), cfg)
    assert result["log"] == ["a", "b", "c", "note", "d:D", "j", "end"]


def test_going_back_restores_what_was_held_back(saver, run, cfg, build):
    graph = build("a b c d! j end", SHORT_AND_LONG, deferred="j").compile(saver)
    run(graph, {}, cfg)
    waiting = graph.get_state(cfg).config
    run(graph, Command(resume="D"), cfg)
    run(graph, None, waiting)
    assert run(graph, Command(resume="D2"), cfg)["log"] == ["a", "b", "c", "d:D2", "j", "end"]


def test_a_reopened_question_before_a_deferred_node_runs_it_once_more_only(saver, run, cfg, build, runs):
    graph = build("a b c d! j end", SHORT_AND_LONG, deferred="j").compile(saver)
    (asked,) = run(graph, {}, cfg).interrupts
    run(graph, Command(resume="D"), cfg)
    graph.reopen(cfg, asked.id)
    run(graph, None, cfg)
    assert run(graph, Command(resume="D2"), cfg)["log"] == ["a", "b", "c", "d:D2", "j", "end"]
    assert runs["j"] == 2


def test_a_failing_branch_is_waited_for(saver, run, cfg, build):
    broken = [True]

    def bad(state):
        if broken[0]:
            raise OSError("bad")
        return {"log": ["bad"]}

    builder = build("a c j", "START>a a>c c>j", deferred="j").add_node("bad", bad).add_edge("a", "bad").add_edge("bad", "j")
    graph = builder.compile(saver)
    with pytest.raises(OSError, match="bad"):
        run(graph, {}, cfg)
    broken[0] = False
    assert run(graph, None, cfg)["log"] == ["a", "c", "bad", "j"]


def test_a_static_pause_before_a_deferred_node_comes_when_its_turn_does(saver, run, cfg, build):
    graph = build("a b c d j end", SHORT_AND_LONG, deferred="j").compile(saver, interrupt_before=["j"])
    result = run(graph, {}, cfg)
    assert result.interrupts[0].value == {"node": "j", "when": "before"}
    assert result["log"] == ["a", "b", "c", "d"]
    assert run(graph, None, cfg)["log"] == ["a", "b", "c", "d", "j", "end"]


def test_without_a_checkpointer_it_is_the_same(run, cfg, build):
    graph = build("a b c d j end", SHORT_AND_LONG, deferred="j").compile()
    assert run(graph, {}, {})["log"] == ["a", "b", "c", "d", "j", "end"]


def test_only_a_deferred_node_is_there(saver, run, cfg, build):
    assert run(build("j", "START>j", deferred="j").compile(saver), {}, cfg)["log"] == ["j"]
