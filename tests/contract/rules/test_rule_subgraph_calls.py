"""Graphs inside nodes, in odd company: streams, threads, cancellation, deadlines, renamed nodes, a session that answers."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import add
from threading import Barrier
from typing import Annotated, TypedDict

import pytest
from pydantic import BaseModel

from hitl_nb import MemorySaver, review
from hitl_nb.errors import GraphChangedError, NoCheckpointerError, UnusedAnswersWarning
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.types import START, Command, Send


class Log(TypedDict, total=False):
    log: Annotated[list, add]


def test_a_graph_in_the_handler_is_not_the_one_in_the_node(saver, run, cfg, chain, node, runs):
    child = chain(None, node("ask", 1), schema=Log)

    def work(state):
        child.invoke({"log": []})
        raise OSError("gone")

    graph = (
        StateGraph(Log)
        .add_node("work", work, error_handler=lambda state, error: child.invoke({"log": []}).state)
        .add_edge(START, "work")
        .compile(saver)
    )
    (first,) = run(graph, {}, cfg).interrupts
    (second,) = run(graph, Command(resume="for the node"), cfg).interrupts
    assert second.id != first.id
    assert run(graph, Command(resume="for the handler"), cfg)["log"] == ["ask:for the handler"]


def test_a_streamed_graph_inside_a_node_asks_too(saver, run, cfg, chain, node, runs):
    child = chain(None, node("pre"), node("ask", 1), schema=Log)

    def caller(state):
        return {"log": [name for update in child.stream({"log": []}) for name in update]}

    async def acaller(state):
        return {"log": [name async for update in child.astream({"log": []}) for name in update]}

    graph = chain(saver, caller, acaller, schema=Log)
    run(graph, {}, cfg)
    run(graph, Command(resume=1), cfg)
    assert run(graph, Command(resume=2), cfg)["log"] == ["ask", "ask"]
    assert runs == {"pre": 2, "ask": 4}


def test_a_stream_that_a_node_leaves_half_read_holds_up_nothing(saver, run, cfg, chain, node):
    child = chain(None, node("a"), node("b"), schema=Log)

    async def caller(state):
        events = child.astream({"log": []})
        first = await anext(events)
        answer = interrupt("enough?")
        await events.aclose()
        return {"log": [*first, answer]}

    def scaller(state):
        events = child.stream({"log": []})
        first = next(events)
        return {"log": [*first, interrupt("enough?")]}

    graph = chain(saver, caller, scaller, schema=Log)
    run(graph, {}, cfg)
    assert run(graph, Command(resume="yes"), cfg).is_interrupted


def test_an_own_question_beside_a_graph_that_asks(saver, run, cfg, chain, node):
    child = chain(None, node("ask", 1), schema=Log)

    async def own():
        return interrupt("mine?")

    async def caller(state):
        done = await asyncio.gather(child.ainvoke({"log": []}), own())
        return {"log": [*done[0]["log"], done[1]]}

    graph = chain(saver, caller, schema=Log)
    result = run(graph, {}, cfg)
    answers = {"mine?": "M", "ask 0?": "A"}
    for _ in range(5):
        if result.is_interrupted:
            first = result.interrupts[0]
            result = run(graph, Command(resume={first.id: answers[first.value]}), cfg)
    assert result["log"] == ["ask:A", "M"]
    assert len(saver.decisions("t-1")) == 2


def test_an_own_answer_is_used_at_once_while_a_graph_beside_it_still_waits(saver, run, cfg, chain, runs):
    begun, asks = [], []

    async def ask(state):
        if runs["caller"] == 1:  # the node itself asks while this one runs
            begun[0].set()
            await asks[0].wait()
        return {"log": [interrupt("ask?")]}

    child = chain(None, ask, schema=Log)

    async def own():
        if runs["caller"] == 1:
            await begun[0].wait()
            asks[0].set()
        answer = interrupt("mine?")
        runs["mine"] += 1
        return answer

    async def caller(state):
        runs["caller"] += 1
        begun.append(asyncio.Event())
        asks.append(asyncio.Event())
        done = await asyncio.gather(own(), child.ainvoke({"log": []}))
        return {"log": [done[0], *done[1]["log"]]}

    graph = chain(saver, caller, schema=Log)
    mine, asked = run(graph, {}, cfg).interrupts
    assert [i.id for i in run(graph, Command(resume={mine.id: "M"}), cfg).interrupts] == [asked.id]
    assert runs["mine"] == 1
    assert run(graph, Command(resume="A"), cfg)["log"] == ["M", "A"]


def test_graphs_in_threads_side_by_side(saver, run, cfg, chain, node):
    child = chain(None, node("ask", 1), schema=Log)

    async def caller(state):
        # Waits for both, whatever one of them raises: what a node leaves behind would begin beside the next run of it.
        done = await asyncio.gather(*(asyncio.to_thread(child.invoke, {"log": ["same"]}) for _ in range(2)), return_exceptions=True)
        for each in done:
            if isinstance(each, BaseException):
                raise each
        return {"log": [entry for each in done for entry in each["log"]]}

    graph = chain(saver, caller, schema=Log)
    result = run(graph, {}, cfg)
    for _ in range(6):
        if result.is_interrupted:
            result = run(graph, Command(resume={i.id: i.id[:4] for i in result.interrupts}), cfg)
    decided = saver.decisions("t-1")
    assert len(decided) == 2
    assert sorted(e for e in result["log"] if e != "same") == sorted(f"ask:{d.interrupt_id[:4]}" for d in decided)


def test_graphs_in_threads_that_begin_at_the_same_instant_are_told_apart(chain, node):
    saver = MemorySaver()
    child = chain(None, node("a", 1), schema=Log)

    def caller(state):
        at_once = Barrier(8)

        def call(n):
            at_once.wait()
            return child.invoke({"log": ["same"]})

        with ThreadPoolExecutor(8) as pool:
            contexts = [copy_context() for _ in range(8)]
            return {"log": [f"{len(f.result()['log'])}" for f in [pool.submit(c.run, call, n) for n, c in enumerate(contexts)]]}

    graph = chain(saver, caller, schema=Log)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for n in range(60):
            cfg = {"configurable": {"thread_id": f"t-{n}"}}
            result = graph.invoke({}, cfg)
            while result.is_interrupted:
                result = graph.invoke(Command(resume={i.id: "ok" for i in result.interrupts}), cfg)
            assert len(saver.decisions(f"t-{n}")) == 8
    finally:
        sys.setswitchinterval(before)


def test_a_cancelled_run_goes_on_where_the_graph_inside_stood(saver, cfg, chain, node, runs):
    began = []

    async def slow(state):
        runs["slow"] += 1
        if runs["slow"] == 1:
            began[0].set()
            await asyncio.Event().wait()
        return {"log": ["slow"]}

    graph = StateGraph(Log).add_node("child", chain(None, node("pre"), slow, schema=Log)).add_edge(START, "child").compile(saver)

    async def cancelled():
        began.append(asyncio.Event())
        task = asyncio.create_task(graph.ainvoke({}, cfg))
        await began[0].wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert graph.invoke(None, cfg)["log"] == ["pre", "slow"]
    assert runs == {"pre": 1, "slow": 2}


def test_invoke_in_a_running_loop_with_async_graphs_inside(saver, cfg, chain, node):
    async def later(state):
        return {"log": [interrupt("later?")]}

    child = chain(None, node("a"), later, schema=Log)

    async def caller(state):
        return {"log": child.invoke({"log": []})["log"]}

    graph = chain(saver, caller, schema=Log)

    async def notebook():
        assert graph.invoke({}, cfg).is_interrupted
        return graph.invoke(Command(resume="L"), cfg)

    assert asyncio.run(notebook())["log"] == ["a", "L"]


def test_an_answer_too_many_does_not_go_to_a_node_of_the_same_name_in_another_graph(saver, run, cfg, chain, node):
    asks, pre = chain(None, node("ask", 1), schema=Log), chain(None, node("pre"), node("ask", 1), schema=Log)
    builder = StateGraph(Log).add_node("one", asks).add_node("two", pre).add_edge(START, "one").add_edge("one", "two")
    graph = builder.compile(saver)
    run(graph, {}, cfg)
    with pytest.warns(UnusedAnswersWarning):
        result = run(graph, Command(resume=["A", "B"]), cfg)
    assert result.interrupts[0].path == ("two",)


def test_the_deadline_of_a_question_inside_passes(saver, run, cfg, chain):
    clock = [datetime(2026, 1, 1, tzinfo=UTC)]

    def ask(state):
        return {"log": [interrupt("?", deadline=timedelta(hours=1), default="nobody came", escalate_to="boss")]}

    child = chain(None, ask, schema=Log)
    graph = StateGraph(Log).add_node("child", child).add_edge(START, "child").compile(saver, now=lambda: clock[0])
    run(graph, {}, cfg)
    clock[0] += timedelta(hours=2)
    graph.expire(cfg)
    assert run(graph, None, cfg).interrupts[0].assignee == "boss"
    clock[0] += timedelta(hours=2)
    graph.expire(cfg)
    assert run(graph, None, cfg)["log"] == ["nobody came"]


def test_a_node_inside_that_was_renamed_is_named_and_goes_on_by_its_new_name(saver, run, cfg, node):
    def build(name, renamed=None):
        child = StateGraph(Log).add_node(name, node("ask", 1)).add_edge(START, name).compile(renamed=renamed)
        return StateGraph(Log).add_node("child", child).add_edge(START, "child").compile(saver)

    run(build("before"), {}, cfg)
    with pytest.raises(GraphChangedError, match="before"):
        run(build("after"), Command(resume="A"), cfg)
    assert run(build("after", {"before": "after"}), None, cfg)["log"] == ["ask:A"]
    assert [d.answer for d in saver.decisions("t-1")] == ["A"]


def test_a_session_answers_what_graphs_inside_ask_by_the_names_of_their_nodes(saver, chain, node):
    child = chain(None, node("p", 1), node("q", 2), schema=Log)
    graph = StateGraph(Log).add_node("child", child).add_node("r", node("r", 1)).add_edge(START, "child").add_edge("child", "r").compile(saver)
    session = review(graph, {"log": []}, thread_id="t-9", answers={"p": "P", "q": ["Q1", "Q2"], "r": "R"})
    assert session.result()["log"] == ["p:P", "q:Q1:Q2", "r:R"]
    assert len(saver.decisions("t-9")) == 4


@pytest.mark.parametrize("grouped", [False, True], ids=["gather", "TaskGroup"])
def test_a_graph_that_raises_beside_one_that_asks_is_what_comes_out_and_the_question_stays(saver, run, cfg, chain, node, grouped):
    broken = [True]

    async def bad(state):
        if broken[0]:
            raise OSError("bad")
        return {"log": ["bad"]}

    async def slow(state):
        await over[-1].wait()
        return {"log": [interrupt("slow?")]}

    bads, slows, over = chain(None, bad, schema=Log), chain(None, slow, schema=Log), []

    async def first():
        try:
            return await bads.ainvoke({"log": []})
        finally:
            over[-1].set()

    async def caller(state):
        over.append(asyncio.Event())
        if grouped:
            async with asyncio.TaskGroup() as group:
                calls = [group.create_task(first()), group.create_task(slows.ainvoke({"log": []}))]
            done = [call.result() for call in calls]
        else:
            done = await asyncio.gather(first(), slows.ainvoke({"log": []}))
        return {"log": [entry for each in done for entry in each["log"]]}

    graph = chain(saver, caller, schema=Log)
    with pytest.raises((OSError, ExceptionGroup), match="bad|unhandled"):
        run(graph, {}, cfg)
    broken[0] = False
    assert [i.value for i in graph.get_state(cfg).interrupts] == ([] if grouped else ["slow?"])  # a TaskGroup cancels the other one
    (asked,) = run(graph, None, cfg).interrupts
    assert run(graph, Command(resume={asked.id: "S"}), cfg)["log"] == ["bad", "S"]


def test_a_graph_called_in_a_plain_thread_cannot_ask_and_says_so(saver, run, cfg, chain, node):
    child = chain(None, node("ask", 1), schema=Log)

    def caller(state):
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(child.invoke, {"log": []}).result().state

    with pytest.raises(NoCheckpointerError):
        run(chain(saver, caller, schema=Log), {}, cfg)


def test_states_of_all_kinds_go_in_and_come_out(saver, run, cfg):
    @dataclass
    class Part:
        note: str = ""
        count: int = 0

    class Whole(BaseModel):
        note: str
        count: int = 0
        other: str = "kept"

    def inner(state: Part):
        return {"note": f"{state.note}, {interrupt('?')}", "count": state.count + 1}

    child = StateGraph(Part).add_node(inner).add_edge(START, "inner").compile()
    graph = StateGraph(Whole).add_node("child", child).add_edge(START, "child").compile(saver)
    run(graph, {"note": "a"}, cfg)
    assert run(graph, Command(resume="b"), cfg) == {"note": "a, b", "count": 1, "other": "kept"}
    sends = StateGraph(Whole).add_node("child", child).add_conditional_edges(START, lambda state: [Send("child", Part("sent", 4))]).compile(saver)
    other = {"configurable": {"thread_id": "t-2"}}
    run(sends, {"note": "a"}, other)
    assert run(sends, Command(resume="b"), other) == {"note": "sent, b", "count": 5, "other": "kept"}


def test_a_copy_of_a_thread_asks_its_own_questions_inside_and_in_the_handler(saver, run, cfg, chain, node, runs):
    child = chain(None, node("ask", 1), schema=Log)

    def work(state):
        runs["work"] += 1
        chain(None, node("pre"), schema=Log).invoke({"log": []})
        raise OSError("gone")

    builder = StateGraph(Log).add_node("work", work, error_handler=lambda state, error: child.invoke({"log": []}).state).add_edge(START, "work")
    graph = builder.compile(saver)
    (asked,) = run(graph, {}, cfg).interrupts
    saver.copy_thread("t-1", "copy")
    copied = {"configurable": {"thread_id": "copy"}}
    (own,) = graph.get_state(copied).interrupts
    assert own.id != asked.id
    assert run(graph, Command(resume={own.id: "C"}), copied)["log"] == ["ask:C"]
    assert run(graph, Command(resume={asked.id: "A"}), cfg)["log"] == ["ask:A"]
    assert runs == {"work": 1, "pre": 1, "ask": 3}


def test_what_gathered_graphs_ask_comes_in_the_order_of_the_calls_however_long_each_takes(saver, run, cfg, chain):
    async def ask(state):
        number = int(state["log"][0])
        for _ in range(60 - 20 * number):
            await asyncio.sleep(0)
        return {"log": [interrupt(number)]}

    child = chain(None, ask, schema=Log)

    async def caller(state):
        done = await asyncio.gather(*(child.ainvoke({"log": [str(n)]}) for n in range(3)))
        return {"log": [each["log"][1] for each in done]}

    graph = chain(saver, caller, schema=Log)
    assert [i.value for i in run(graph, {}, cfg).interrupts] == [0, 1, 2]
    assert run(graph, Command(resume=["a", "b", "c"]), cfg)["log"] == ["a", "b", "c"]
