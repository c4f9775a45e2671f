"""A graph inside a node of another one, as the node or called by its function: it shares the thread, and nothing of it runs twice."""

from __future__ import annotations

import asyncio
from operator import add
from typing import Annotated, TypedDict

import pytest

from hitl_nb.checkpoint.memory import MemorySaver
from hitl_nb.errors import GraphError, NoCheckpointerError, QuestionChangedError, RecursionLimitError, SwallowedInterruptError
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.types import END, START, Command, Send


class Log(TypedDict, total=False):
    log: Annotated[list, add]
    note: str


class Private(TypedDict, total=False):
    note: str
    draft: str


def test_a_graph_as_a_node_gets_the_keys_it_shares_and_returns_those(saver, run, cfg, chain):
    class Outer(TypedDict, total=False):
        note: str
        secret: str

    seen = {}

    def inner(state):
        seen.update(state)
        return {"note": state["note"] + "!", "draft": "kept inside"}

    child = chain(None, inner, schema=Private)
    graph = StateGraph(Outer).add_node("child", child).add_edge(START, "child").compile(saver)
    assert run(graph, {"note": "hello", "secret": "s"}, cfg) == {"note": "hello!", "secret": "s"}
    assert seen == {"note": "hello"}


def test_what_the_graph_ends_with_goes_through_the_reducers_of_the_graph_around(saver, run, cfg, chain, node):
    """As on the peer: the inner graph ends with the whole list, which the reducer around adds once more."""
    child = chain(None, node("b"), schema=Log)
    builder = StateGraph(Log).add_node(node("a")).add_node("child", child).add_edge(START, "a").add_edge("a", "child")
    assert run(builder.compile(saver), {"log": []}, cfg)["log"] == ["a", "a", "b"]


def test_a_question_inside_is_a_question_of_the_thread_with_its_path(saver, run, cfg, chain, node, only, runs):
    child = chain(None, node("before"), node("ask", 1), node("after"), schema=Log)
    graph = StateGraph(Log).add_node("child", child).add_node(node("last")).add_edge(START, "child").add_edge("child", "last").compile(saver)
    asked = only(run(graph, {"log": []}, cfg))
    assert (asked.value, asked.node, asked.path) == ("ask 0?", "ask", ("child",))
    assert graph.get_state(cfg).next == ("child",)
    (listed,) = saver.open_questions()
    assert (listed.interrupt_id, listed.thread_id) == (asked.id, "t-1")
    result = run(graph, Command(resume="yes"), cfg)
    assert result["log"] == ["before", "ask:yes", "after", "last"]
    assert runs == {"before": 1, "ask": 2, "after": 1, "last": 1}
    assert [(d.interrupt_id, d.answer, d.reviewer) for d in saver.decisions("t-1")] == [(asked.id, "yes", "ada")]
    assert saver.open_questions() == []


@pytest.mark.parametrize("levels", [2, 3])
def test_questions_come_up_through_several_levels(saver, run, cfg, chain, node, only, runs, levels):
    graph = chain(None, node("ask", 2), node("end"), schema=Log)
    for level in range(levels):
        inner = graph
        name = f"level{level}"
        builder = StateGraph(Log).add_node(node(f"pre{level}")).add_node(name, inner).add_edge(START, f"pre{level}").add_edge(f"pre{level}", name)
        graph = builder.compile(saver if level == levels - 1 else None)
    first = only(run(graph, {}, cfg))
    assert first.path == tuple(f"level{n}" for n in reversed(range(levels)))
    second = only(run(graph, Command(resume=1), cfg))
    assert second.value == "ask 1?"
    assert not run(graph, Command(resume={second.id: 2}), cfg).is_interrupted
    assert runs == {"ask": 3, "end": 1, **{f"pre{n}": 1 for n in range(levels)}}
    assert [d.answer for d in saver.decisions("t-1")] == [1, 2]


def test_a_called_graph_goes_on_where_it_stood(saver, run, cfg, chain, node, runs):
    child = chain(None, node("one"), node("ask", 2), node("two"), schema=Log)

    def caller(state):
        runs["caller"] += 1
        return {"note": "|".join(child.invoke({"log": ["in"]})["log"])}

    graph = chain(saver, caller, schema=Log)
    run(graph, {}, cfg)
    run(graph, Command(resume="a"), cfg)
    assert run(graph, Command(resume="b"), cfg)["note"] == "in|one|ask:a:b|two"
    assert runs == {"caller": 3, "one": 1, "ask": 3, "two": 1}


def test_an_async_node_awaits_a_graph(saver, run, cfg, chain, node, runs):
    child = chain(None, node("one"), node("ask", 1), schema=Log)

    async def caller(state):
        runs["caller"] += 1
        return {"note": "|".join((await child.ainvoke({"log": []}))["log"])}

    graph = chain(saver, caller, schema=Log)
    run(graph, {}, cfg)
    assert run(graph, Command(resume="a"), cfg)["note"] == "one|ask:a"
    assert runs == {"caller": 2, "one": 1, "ask": 2}


def test_several_calls_in_a_loop_each_have_a_place_of_their_own(saver, run, cfg, chain, node, runs):
    child = chain(None, node("pre"), node("ask", 1), schema=Log)

    def caller(state):
        runs["caller"] += 1
        return {"log": [entry for n in range(3) for entry in child.invoke({"log": [str(n)]})["log"]]}

    graph = chain(saver, caller, schema=Log)
    result = run(graph, {}, cfg)
    for n in range(3):
        assert len(result.interrupts) == 1
        result = run(graph, Command(resume=f"a{n}"), cfg)
    assert result["log"] == ["0", "pre", "ask:a0", "1", "pre", "ask:a1", "2", "pre", "ask:a2"]
    assert runs == {"caller": 4, "pre": 3, "ask": 6}


def test_a_list_answers_what_several_calls_ask_one_after_the_other(saver, run, cfg, chain, node, runs):
    child = chain(None, node("ask", 1), schema=Log)

    def caller(state):
        return {"log": [entry for n in range(3) for entry in child.invoke({"log": [str(n)]})["log"]]}

    graph = chain(saver, caller, schema=Log)
    run(graph, {}, cfg)
    result = run(graph, Command(resume=["x", "y", "z"]), cfg)
    assert result["log"] == ["0", "ask:x", "1", "ask:y", "2", "ask:z"]


def test_graphs_in_a_task_group_ask_and_go_on_each_for_itself(saver, run, cfg, chain, node, runs):
    child = chain(None, node("pre"), node("ask", 1), schema=Log)

    async def caller(state):
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(child.ainvoke({"log": [str(n)]})) for n in range(3)]
        return {"log": [entry for call in calls for entry in call.result()["log"]]}

    graph = chain(saver, caller, schema=Log)
    result = run(graph, {}, cfg)
    for _ in range(10):
        if not result.is_interrupted:
            break
        result = run(graph, Command(resume={i.id: i.id[:4] for i in result.interrupts}), cfg)
    assert [e.split(":")[0] for e in result["log"]] == ["0", "pre", "ask", "1", "pre", "ask", "2", "pre", "ask"]
    assert len(saver.decisions("t-1")) == 3
    assert {e.split(":")[1] for e in result["log"] if ":" in e} == {d.interrupt_id[:4] for d in saver.decisions("t-1")}
    assert saver.open_questions() == []


def test_gathered_graphs_ask_and_go_on_each_for_itself(saver, run, cfg, chain, node, runs):
    child = chain(None, node("pre"), node("ask", 1), schema=Log)

    async def caller(state):
        done = await asyncio.gather(*(child.ainvoke({"log": [str(n)]}) for n in range(3)))
        return {"log": [entry for each in done for entry in each["log"]]}

    graph = chain(saver, caller, schema=Log)
    result = run(graph, {}, cfg)
    for _ in range(10):
        if not result.is_interrupted:
            break
        result = run(graph, Command(resume={i.id: i.id[:4] for i in result.interrupts}), cfg)
    assert [e.split(":")[0] for e in result["log"]] == ["0", "pre", "ask", "1", "pre", "ask", "2", "pre", "ask"]
    assert {e.split(":")[1] for e in result["log"] if ":" in e} == {d.interrupt_id[:4] for d in saver.decisions("t-1")}
    assert runs["pre"] == 3
    assert saver.open_questions() == []


def test_graphs_in_threads_of_the_node_ask_and_go_on(saver, run, cfg, chain, node, runs):
    child = chain(None, node("pre"), node("ask", 1), schema=Log)

    async def caller(state):
        one = await asyncio.to_thread(child.invoke, {"log": ["0"]})
        return {"log": one["log"]}

    graph = chain(saver, caller, schema=Log)
    run(graph, {}, cfg)
    assert run(graph, Command(resume="a"), cfg)["log"] == ["0", "pre", "ask:a"]
    assert runs == {"pre": 1, "ask": 2}


def test_a_called_graph_that_gets_other_input_is_refused(saver, run, cfg, chain, node):
    child = chain(None, node("ask", 1), schema=Log)
    clock = iter("ab")

    def caller(state):
        return {"log": child.invoke({"log": [next(clock)]})["log"]}

    graph = chain(saver, caller, schema=Log)
    run(graph, {}, cfg)
    with pytest.raises(QuestionChangedError, match="other input"):
        run(graph, Command(resume=1), cfg)
    assert "QuestionChangedError" in graph.get_state(cfg).tasks[0].error


def test_another_graph_at_the_place_of_a_call_is_refused(saver, run, cfg, chain, node):
    one, two = chain(None, node("ask", 1), schema=Log, name="one"), chain(None, node("ask", 1), schema=Log, name="two")
    order = iter([(one, two), (two, one)])

    def caller(state):
        return {"log": [entry for child in next(order) for entry in child.invoke({"log": []})["log"]]}

    graph = chain(saver, caller, schema=Log)
    run(graph, {}, cfg)
    with pytest.raises(QuestionChangedError, match="'two'"):
        run(graph, Command(resume=1), cfg)


def test_a_node_that_swallows_the_pause_of_a_graph_it_calls_is_an_error(saver, run, cfg, chain, node):
    child = chain(None, node("ask", 1), schema=Log)

    def caller(state):
        try:
            child.invoke({"log": []})
        except BaseException:  # what the test is about
            return {"log": ["went on"]}

    graph = chain(saver, caller, schema=Log)
    with pytest.raises(SwallowedInterruptError):
        run(graph, {}, cfg)
    assert graph.get_state(cfg).next == ("caller",)


def test_a_node_may_call_a_graph_and_ask_itself(saver, run, cfg, chain, node):
    child = chain(None, node("ask", 1), schema=Log)

    def caller(state):
        first = interrupt("mine?")
        inner = child.invoke({"log": [first]})["log"]
        return {"log": [*inner, interrupt("and now?")]}

    graph = chain(saver, caller, schema=Log)
    run(graph, {}, cfg)
    assert run(graph, Command(resume="A"), cfg).interrupts[0].value == "ask 0?"
    assert run(graph, Command(resume="B"), cfg).interrupts[0].value == "and now?"
    assert run(graph, Command(resume="C"), cfg)["log"] == ["A", "ask:B", "C"]


def test_a_graph_with_a_checkpointer_of_its_own_stays_independent(saver, run, cfg, chain, node):
    own = MemorySaver()
    child = chain(own, node("ask", 1), schema=Log)
    inner_cfg = {"configurable": {"thread_id": "inner"}}

    def caller(state):
        result = child.invoke({"log": []}, inner_cfg) if not own.head("inner") else child.get_state(inner_cfg)
        return {"note": f"{len(result.interrupts)} open"}

    graph = chain(saver, caller, schema=Log)
    assert run(graph, {}, cfg)["note"] == "1 open"
    assert saver.open_questions() == []
    assert child.invoke(Command(resume=1), inner_cfg)["log"] == ["ask:1"]


def test_a_graph_with_a_checkpointer_of_its_own_cannot_be_a_node(saver, chain, node):
    with pytest.raises(GraphError, match="checkpointer of its own"):
        StateGraph(Log).add_node("child", chain(MemorySaver(), node("a"), schema=Log))


def test_a_graph_that_keeps_nothing_runs_but_cannot_ask(saver, run, cfg, chain, node):
    quiet = chain(False, node("a"), schema=Log)
    assert run(StateGraph(Log).add_node("child", quiet).add_edge(START, "child").compile(saver), {"log": []}, cfg)["log"] == ["a"]
    asking = chain(False, node("ask", 1), schema=Log)
    graph = StateGraph(Log).add_node("child", asking).add_edge(START, "child").compile(saver)
    with pytest.raises(NoCheckpointerError):
        run(graph, {"log": []}, {"configurable": {"thread_id": "t-2"}})


def test_a_recursion_limit_holds_inside(saver, run, cfg, node):
    child = StateGraph(Log).add_node(node("a")).add_edge(START, "a").add_edge("a", "a").compile()
    graph = StateGraph(Log).add_node("child", child).add_edge(START, "child").compile(saver)
    with pytest.raises(RecursionLimitError, match="3 supersteps"):
        run(graph, {"log": []}, {**cfg, "recursion_limit": 3})


def test_max_concurrency_of_one_runs_graphs_inside_graphs(saver, run, cfg, node):
    inner = StateGraph(Log).add_node(node("a")).add_node(node("b")).add_edge(START, "a").add_edge(START, "b").compile()
    graph = StateGraph(Log).add_node("x", inner).add_node("y", inner).add_edge(START, "x").add_edge(START, "y").compile(saver)
    assert sorted(run(graph, {"log": []}, {**cfg, "max_concurrency": 1})["log"]) == ["a", "a", "b", "b"]


def test_many_sends_to_a_graph_each_have_a_run_of_their_own(saver, run, cfg, chain, node, runs):
    child = chain(None, node("pre"), node("ask", 1), schema=Log)
    graph = (
        StateGraph(Log)
        .add_node("child", child)
        .add_conditional_edges(START, lambda state: [Send("child", {"log": [str(n)]}) for n in range(12)])
        .add_edge("child", END)
        .compile(saver)
    )
    asked = run(graph, {"log": []}, cfg).interrupts
    assert len(asked) == 12
    half = run(graph, Command(resume={i.id: n for n, i in enumerate(asked) if n % 2}), cfg)
    assert [i.id for i in half.interrupts] == [i.id for n, i in enumerate(asked) if not n % 2]
    result = run(graph, Command(resume=[n for n in range(12) if not n % 2]), cfg)
    assert result["log"] == [e for n in range(12) for e in (str(n), "pre", f"ask:{n}")]
    assert runs == {"pre": 12, "ask": 24}
