"""Questions of graphs inside nodes: each answer reaches its own question, once, whoever answers, when and from where."""

from __future__ import annotations

import asyncio
from operator import add
from typing import Annotated, TypedDict

import pytest

from hitl_nb.checkpoint.disk import DiskCacheSaver
from hitl_nb.checkpoint.records import Decision
from hitl_nb.errors import AlreadyAnsweredError, AmbiguousAnswerError, ThreadBusyError, UnknownInterruptError
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.types import START, Command, Send


class Log(TypedDict, total=False):
    log: Annotated[list, add]
    amount: int


@pytest.fixture
def around():
    """`around(saver, a=child, b=child)`: a graph whose nodes are these graphs, side by side."""

    def make(saver, schema=Log, **children):
        builder = StateGraph(schema)
        for name, child in children.items():
            builder.add_node(name, child).add_edge(START, name)
        return builder.compile(saver)

    return make


def test_side_by_side_inside_one_graph_each_answer_reaches_its_own(saver, run, cfg, fan, around, node, runs):
    graph = around(saver, child=fan(None, node("p", 1), node("q", 1), node("r"), schema=Log))
    p, q = run(graph, {}, cfg).interrupts
    assert [i.value for i in (p, q)] == ["p 0?", "q 0?"]
    with pytest.raises(AmbiguousAnswerError):
        run(graph, Command(resume="?"), cfg)
    result = run(graph, Command(resume={q.id: "Q"}), cfg)
    assert [i.id for i in result.interrupts] == [p.id]
    assert runs == {"p": 1, "q": 2, "r": 1}
    assert run(graph, Command(resume="P"), cfg)["log"] == ["p:P", "q:Q", "r"]
    assert runs == {"p": 2, "q": 2, "r": 1}


def test_a_list_answers_the_open_questions_inside_and_those_that_follow(saver, run, cfg, chain, around, node, runs):
    graph = around(saver, a=chain(None, node("p", 3), schema=Log), b=chain(None, node("q", 1), schema=Log))
    run(graph, {}, cfg)
    assert run(graph, Command(resume=["P1", "Q", "P2", "P3"]), cfg)["log"] == ["p:P1:P2:P3", "q:Q"]


def test_two_graphs_side_by_side_ask_and_only_the_answered_one_runs_again(saver, run, cfg, chain, around, node, runs):
    graph = around(saver, a=chain(None, node("p", 1), node("p2"), schema=Log), b=chain(None, node("q", 1), node("q2"), schema=Log))
    p, q = run(graph, {}, cfg).interrupts
    assert (p.path, q.path) == (("a",), ("b",))
    result = run(graph, Command(resume={q.id: "Q"}), cfg)
    assert [i.id for i in result.interrupts] == [p.id]
    assert runs == {"p": 1, "q": 2, "q2": 1}
    assert run(graph, Command(resume="P"), cfg)["log"] == ["p:P", "p2", "q:Q", "q2"]
    assert runs == {"p": 2, "p2": 1, "q": 2, "q2": 1}


def test_a_used_id_and_an_unknown_one_are_refused(saver, run, cfg, fan, around, node):
    graph = around(saver, child=fan(None, node("p", 1), node("q", 1), schema=Log))
    p, q = run(graph, {}, cfg).interrupts
    run(graph, Command(resume={p.id: "P"}), cfg)
    with pytest.raises(AlreadyAnsweredError):
        run(graph, Command(resume={p.id: "other"}), cfg)
    with pytest.raises(UnknownInterruptError):
        run(graph, Command(resume={"0" * 32: "other"}), cfg)
    assert run(graph, Command(resume={q.id: "Q"}), cfg)["log"] == ["p:P", "q:Q"]


def test_an_answer_that_comes_while_the_graph_inside_runs_is_taken_in_this_run(saver, run, cfg, fan, around, runs):
    late = {}

    def make(name):
        def run_it(state):
            runs[name] += 1
            answer = interrupt(f"{name}?")
            if name in late:
                rival, given = late.pop(name)
                with pytest.raises(ThreadBusyError) as busy:
                    rival.invoke(Command(resume=given), cfg)
                assert busy.value.answer_recorded
            return {"log": [f"{name}:{answer}"]}

        run_it.__name__ = name
        return run_it

    def build():
        return around(saver, child=fan(None, *map(make, "pqr"), schema=Log))

    graph = build()
    p, q, r = run(graph, {}, cfg).interrupts
    late["p"] = (build(), {q.id: "Q"})
    late["q"] = (build(), {r.id: "R"})
    assert run(graph, Command(resume={p.id: "P"}), cfg) == {"log": ["p:P", "q:Q", "r:R"]}
    assert runs == {"p": 2, "q": 2, "r": 2}
    assert [d.answer for d in saver.decisions("t-1")] == ["P", "Q", "R"]


@pytest.mark.parametrize("levels", [1, 2])
def test_an_answer_that_comes_to_another_graph_of_the_same_node_is_taken_in_this_run(saver, run, cfg, chain, runs, levels):
    """Two graphs called by one node: the second one's question is answered while the first one's node runs again."""
    late = {}

    def ask(state):
        name = state["log"][0]
        runs[name] += 1
        answer = interrupt(f"{name}?")
        if name in late:
            rival, given = late.pop(name)
            with pytest.raises(ThreadBusyError):
                rival.invoke(Command(resume=given), cfg)
        return {"log": [answer]}

    def build():
        child = chain(None, ask, schema=Log)
        for _ in range(levels - 1):
            child = StateGraph(Log).add_node("middle", child).add_edge(START, "middle").compile()

        async def caller(state):
            done = await asyncio.gather(*(child.ainvoke({"log": [n]}) for n in "pq"))
            return {"log": [entry for each in done for entry in each["log"][-1:]]}

        return chain(saver, caller, schema=Log)

    graph = build()
    p, q = run(graph, {}, cfg).interrupts
    late["p"] = (build(), {q.id: "Q"})
    assert run(graph, Command(resume={p.id: "P"}), cfg) == {"log": ["P", "Q"]}
    assert [d.answer for d in saver.decisions("t-1")] == ["P", "Q"]


def test_an_answer_from_another_process_while_nothing_runs_is_used_when_the_thread_goes_on(tmp_path, run, cfg, chain, around, node, runs):
    def build():
        return around(DiskCacheSaver(tmp_path), a=chain(None, node("p", 2), node("p2"), schema=Log))

    (asked,) = run(build(), {}, cfg).interrupts
    other = DiskCacheSaver(tmp_path)
    brief = other.question(asked.id)
    other.answer("t-1", [Decision(asked.id, "t-1", "p", -1, "P1", "bob", brief.created_at, "card", brief.digest)])
    (second,) = run(build(), None, cfg).interrupts
    assert second.value == "p 1?"
    assert run(build(), Command(resume="P2"), cfg)["log"] == ["p:P1:P2", "p2"]
    assert runs == {"p": 3, "p2": 1}


def test_a_graph_inside_that_raises_is_shown_at_its_node_and_retried_with_the_same_answer(saver, run, cfg, chain, around, runs):
    broken = [True]

    def pre(state):
        runs["pre"] += 1

    def ask(state):
        runs["ask"] += 1
        answer = interrupt("?")
        if broken[0]:
            raise OSError("no network")
        return {"log": [answer]}

    graph = around(saver, child=chain(None, pre, ask, schema=Log))
    run(graph, {}, cfg)
    with pytest.raises(OSError, match="no network"):
        run(graph, Command(resume="A"), cfg)
    snapshot = graph.get_state(cfg)
    assert (snapshot.tasks[0].name, snapshot.tasks[0].error) == ("child", "builtins.OSError: no network")
    assert snapshot.interrupts == ()
    broken[0] = False
    assert run(graph, None, cfg)["log"] == ["A"]
    assert runs == {"pre": 1, "ask": 3}
    assert len(saver.decisions("t-1")) == 1


def test_a_question_inside_stays_open_when_a_sibling_there_raises(saver, run, cfg, fan, around, node, runs):
    broken = [True]

    def bad(state):
        runs["bad"] += 1
        if broken[0]:
            raise OSError("bad")
        return {"log": ["bad"]}

    graph = around(saver, child=fan(None, node("done"), node("ask", 1), bad, schema=Log))
    with pytest.raises(OSError, match="bad"):
        run(graph, {}, cfg)
    (asked,) = graph.get_state(cfg).interrupts
    assert [q.interrupt_id for q in saver.open_questions()] == [asked.id]
    broken[0] = False
    assert run(graph, Command(resume={asked.id: "A"}), cfg)["log"] == ["done", "ask:A", "bad"]
    assert runs["done"] == 1
    assert saver.open_questions() == []


def test_an_answer_inside_is_kept_when_a_sibling_there_raises(saver, run, cfg, fan, around, node, runs):
    broken = [False]

    def bad(state):
        runs["bad"] += 1
        answer = interrupt("bad?")
        if broken[0]:
            raise OSError("bad")
        return {"log": [answer]}

    graph = around(saver, child=fan(None, node("ask", 1), bad, schema=Log))
    one, two = run(graph, {}, cfg).interrupts
    broken[0] = True
    with pytest.raises(OSError, match="bad"):
        run(graph, Command(resume={one.id: "A", two.id: "B"}), cfg)
    broken[0] = False
    assert run(graph, None, cfg)["log"] == ["ask:A", "B"]
    assert runs == {"ask": 2, "bad": 3}


# -- static pauses -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["inherit", True])
def test_static_pauses_inside_pause_the_thread(saver, run, cfg, chain, around, node, runs, mode):
    child = chain(mode, node("a"), node("b"), schema=Log, interrupt_before=["a"], interrupt_after=["a"])
    graph = around(saver, child=child)
    result = run(graph, {}, cfg)
    assert [(i.value, i.path) for i in result.interrupts] == [({"node": "a", "when": "before"}, ("child",))]
    assert runs == {}
    result = run(graph, None, cfg)
    assert [i.value["when"] for i in result.interrupts] == ["after"]
    assert run(graph, Command(resume=True), cfg)["log"] == ["a", "b"]
    assert runs == {"a": 1, "b": 1}


def test_static_pauses_around_a_graph_that_asks(saver, run, cfg, chain, node, runs):
    child = chain(None, node("ask", 1), schema=Log)
    builder = StateGraph(Log).add_node("child", child).add_node(node("end")).add_edge(START, "child").add_edge("child", "end")
    graph = builder.compile(saver, interrupt_before=["child"], interrupt_after=["child"])
    assert run(graph, {}, cfg).interrupts[0].value == {"node": "child", "when": "before"}
    assert run(graph, None, cfg).interrupts[0].value == "ask 0?"
    assert run(graph, Command(resume="A"), cfg).interrupts[0].value == {"node": "child", "when": "after"}
    assert run(graph, None, cfg) == {"log": ["ask:A", "end"]}
    assert runs == {"ask": 2, "end": 1}


def test_none_does_not_answer_a_question_inside(saver, run, cfg, chain, around, node, runs):
    graph = around(saver, child=chain(None, node("ask", 1), schema=Log))
    (asked,) = run(graph, {}, cfg).interrupts
    assert [i.id for i in run(graph, None, cfg).interrupts] == [asked.id]
    assert saver.decisions("t-1") == []


# -- changes from outside while a question inside is open ----------------------------------------------------------------------------------


def test_an_update_of_the_state_keeps_the_question_inside_open(saver, run, cfg, chain, node, runs):
    child = chain(None, node("pre"), node("ask", 1), schema=Log)
    graph = StateGraph(Log).add_node("child", child).add_node(node("other")).add_edge(START, "child").add_edge(START, "other").compile(saver)
    (asked,) = run(graph, {}, cfg).interrupts
    graph.update_state(cfg, {"amount": 7}, as_node="other")
    (still,) = graph.get_state(cfg).interrupts
    assert still.id == asked.id
    assert [i.id for i in run(graph, None, cfg).interrupts] == [asked.id]
    result = run(graph, Command(resume={asked.id: "A"}), cfg)
    assert (result["log"], result["amount"]) == (["pre", "ask:A"], 7)
    assert (runs["pre"], runs["other"]) == (1, 1)
    assert len(saver.decisions("t-1")) == 1


def test_an_update_as_the_node_itself_withdraws_the_question_inside(saver, run, cfg, chain, around, node):
    graph = around(saver, child=chain(None, node("ask", 1), schema=Log))
    (asked,) = run(graph, {}, cfg).interrupts
    graph.update_state(cfg, {"log": ["instead"]}, as_node="child")
    assert graph.get_state(cfg).interrupts == ()
    assert saver.open_questions() == []
    with pytest.raises(UnknownInterruptError):
        run(graph, Command(resume={asked.id: "A"}), cfg)
    assert graph.get_state(cfg).values["log"] == ["instead"]


def test_an_update_with_the_answer_reaches_the_question_inside(saver, run, cfg, chain, around, node, runs):
    graph = around(saver, child=chain(None, node("pre"), node("ask", 1), schema=Log))
    run(graph, {}, cfg)
    result = run(graph, Command(resume="A", update={"amount": 3}), cfg)
    assert (result["log"], result["amount"]) == (["pre", "ask:A"], 3)
    assert runs == {"pre": 1, "ask": 2}


def test_going_back_asks_anew_and_the_old_answer_does_not_count(saver, run, cfg, chain, around, node, runs):
    graph = around(saver, child=chain(None, node("pre"), node("ask", 1), schema=Log))
    (asked,) = run(graph, {}, cfg).interrupts
    begun = graph.get_state(cfg).config
    run(graph, Command(resume="A"), cfg)
    (again,) = run(graph, None, begun).interrupts
    assert again.id != asked.id
    with pytest.raises(AlreadyAnsweredError):
        run(graph, Command(resume={asked.id: "A"}), cfg)
    assert run(graph, Command(resume="B"), cfg)["log"] == ["pre", "ask:B"]
    assert [d.answer for d in saver.decisions("t-1")] == ["A", "B"]


def test_going_back_while_a_question_inside_is_open_withdraws_it(saver, run, cfg, chain, node, runs):
    child = chain(None, node("ask", 1), schema=Log)
    graph = StateGraph(Log).add_node(node("a")).add_node("child", child).add_edge(START, "a").add_edge("a", "child").compile(saver)
    (asked,) = run(graph, {}, cfg).interrupts
    first = list(graph.get_state_history(cfg))[-1].config
    (again,) = run(graph, None, first).interrupts
    assert again.id != asked.id
    assert [q.interrupt_id for q in saver.open_questions()] == [again.id]
    with pytest.raises(UnknownInterruptError):
        run(graph, Command(resume={asked.id: "A"}), cfg)
    assert run(graph, Command(resume="B"), cfg)["log"] == ["a", "a", "ask:B"]  # what the graph inside ends with holds the "a" that it was given


def test_going_on_passes_all_static_pauses_inside_two_graphs_side_by_side(saver, cfg, run):
    ran = []

    def inner(name):
        def work(state):
            ran.append(name)

        own = TypedDict("own", {f"of_{name}": int}, total=False)
        return StateGraph(own).add_node("work", work).add_edge(START, "work").compile("inherit", interrupt_before=["work"])

    builder = StateGraph().add_node("a", inner("a")).add_node("b", inner("b")).add_edge(START, "a").add_edge(START, "b")
    graph = builder.compile(saver)
    assert [i.value["node"] for i in run(graph, {"x": 1}, cfg).interrupts] == ["work", "work"]
    assert ran == []
    assert not run(graph, None, cfg).is_interrupted
    assert sorted(ran) == ["a", "b"]


def test_a_list_goes_on_in_the_graph_that_was_answered_and_not_in_its_twin_beside(saver, cfg, run):
    def first(state):
        interrupt(f"{state['who']} 1?")

    def second(state):
        return {"log": [interrupt(f"{state['who']} {n}?") for n in (2, 3)]}

    class Own(TypedDict, total=False):
        who: str
        log: Annotated[list, add]

    twin = StateGraph(Own).add_sequence([first, second]).add_edge(START, "first").compile()
    builder = StateGraph(Log).add_node("twin", twin).add_conditional_edges(START, lambda state: [Send("twin", {"who": who}) for who in "ab"])
    graph = builder.compile(saver)
    asked = {i.value: i.id for i in run(graph, {"log": []}, cfg).interrupts}
    run(graph, Command(resume={asked["b 1?"]: None}), cfg)
    paused = run(graph, Command(resume=["a one", "b two", "b three"]), cfg)
    assert [i.value for i in paused.interrupts] == ["a 2?"]
    assert run(graph, Command(resume=["a two", "a three"]), cfg)["log"] == ["a two", "a three", "b two", "b three"]
