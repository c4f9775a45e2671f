"""Updates of the state and graphs inside nodes: what was approved inside never counts for what an update made of it."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from operator import add
from typing import Annotated, TypedDict

import pytest

from hitl_nb.checkpoint.records import Decision
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.types import START, Command


class Log(TypedDict, total=False):
    log: Annotated[list, add]
    amount: int


class Noted(Log, total=False):
    note: str


# -- graphs that are called ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["input", "context"])
def paying(saver, chain, request):
    """A node that pays what the graph that it calls was told about, by its input or as its context; a node before it to update as."""
    by_context = request.param == "context"

    def approve(state, runtime):
        amount = runtime.context if by_context else state["amount"]
        return {"log": [f"{amount}:{interrupt(f'Pay {amount}?')}"]}

    child = chain(None, approve, schema=Log)

    def start(state):
        return {}

    def pay(state):
        given = {} if by_context else {"amount": state["amount"]}
        told = child.invoke(given, context=state["amount"] if by_context else None)["log"]
        return {"log": [f"paid {state['amount']}", *told]}

    return chain(saver, start, pay, schema=Log)


def test_an_approval_inside_does_not_count_for_what_an_update_made_of_it(paying, run, cfg):
    (old,) = run(paying, {"amount": 5}, cfg).interrupts
    paying.update_state(cfg, {"amount": 999}, as_node="start")
    (new,) = run(paying, None, cfg).interrupts
    assert (new.value, new.id == old.id) == ("Pay 999?", False)
    assert [i.id for i in paying.get_state(cfg).interrupts] == [new.id]
    assert run(paying, Command(resume="yes"), cfg)["log"] == ["paid 999", "999:yes"]


def test_an_answer_inside_that_came_before_an_update_does_not_count_after_it(paying, saver, run, cfg):
    (old,) = run(paying, {"amount": 5}, cfg).interrupts
    with saver.guard("t-1"), pytest.raises(Exception, match="is recorded"):
        run(paying, Command(resume="yes"), cfg)
    paying.update_state(cfg, {"amount": 999}, as_node="start")
    (new,) = run(paying, None, cfg).interrupts
    assert (new.value, new.id == old.id) == ("Pay 999?", False)
    assert run(paying, Command(resume="no"), cfg)["log"] == ["paid 999", "999:no"]


def test_an_answer_with_an_update_does_not_approve_inside_what_the_update_made_of_it(paying, run, cfg):
    run(paying, {"amount": 5}, cfg)
    (new,) = run(paying, Command(update={"amount": 999}, resume="yes"), cfg).interrupts
    assert new.value == "Pay 999?"
    assert run(paying, Command(resume="no"), cfg)["log"] == ["paid 999", "999:no"]


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
@pytest.mark.parametrize("ends", ["pays", "raises"])
def test_a_graph_that_begins_anew_and_asks_no_more_leaves_no_question_behind(saver, chain, cfg, durability, ends):
    def approve(state):
        return {"log": ["small" if state["amount"] < 5 else interrupt("Pay?")]}

    def start(state):
        return {}

    def pay(state):
        told = child.invoke({"amount": state["amount"]})["log"]
        if broken:
            raise OSError(broken.pop())
        return {"log": told}

    child, broken = chain(None, approve, schema=Log), ["gone"] * (ends == "raises")
    graph = chain(saver, start, pay, schema=Log)
    graph.invoke({"amount": 9}, cfg)
    graph.update_state(cfg, {"amount": 1}, as_node="start")
    if broken:
        with pytest.raises(OSError, match="gone"):
            graph.invoke(None, cfg, durability=durability)
        assert saver.open_questions() == []
    assert graph.invoke(None, cfg, durability=durability)["log"] == ["small"]
    assert saver.open_questions() == []


@pytest.mark.parametrize("called", [False, True])
def test_a_question_inside_with_a_reading_of_the_clock_that_was_answered_before_an_update_is_asked_again(saver, chain, run, cfg, called):
    times = count()

    def ask(state):
        return {"log": [interrupt({"question": "Pay?", "at": datetime(2026, 1, 1, 12, 0, 0, 1 + next(times), tzinfo=UTC)})]}

    def start(state):
        return {}

    def pay(state):
        return {"log": child.invoke({"log": []})["log"]}

    child = chain(None, ask, schema=Log)
    builder = StateGraph(Noted).add_node(start).add_node("pay", pay if called else child).add_edge(START, "start").add_edge("start", "pay")
    graph = builder.compile(saver)
    (old,) = run(graph, {}, cfg).interrupts
    saver.answer("t-1", [Decision(old.id, "t-1", "ask", -1, "yes", "Ann", old.created_at, "card")])
    graph.update_state(cfg, {"note": "unrelated"}, as_node="start")
    (new,) = run(graph, None, cfg).interrupts
    assert new.id != old.id
    assert [q.interrupt_id for q in saver.open_questions()] == [new.id]
    assert run(graph, Command(resume="no"), cfg)["log"] == ["no"]


# -- graphs that are nodes -----------------------------------------------------------------------------------------------------------------


class Paid(TypedDict, total=False):
    amount: int
    told: str
    log: Annotated[list, add]


class Told(TypedDict, total=False):
    told: str


@pytest.fixture
def paying_node(saver, runs):
    """A graph as a node that prepares, asks, and gives back only what it was told; behind it the payment."""

    def prepare(state):
        runs["prepare"] += 1
        return {}

    def ask(state):
        amount = state["amount"]
        return {"told": f"{interrupt(f'Pay {amount}?')} for {amount}"}

    def make(levels=1, memory=None, **options):
        builder = StateGraph(Paid, output_schema=Told).add_node(prepare).add_node(ask).add_edge(START, "prepare").add_edge("prepare", "ask")
        child = builder.compile(memory or "inherit", **options)
        for _ in range(levels - 1):
            child = StateGraph(Paid, output_schema=Told).add_node("child", child).add_edge(START, "child").compile(memory)
        builder = StateGraph(Paid).add_node("start", lambda state: {}).add_node("child", child)
        builder.add_node("pay", lambda state: {"log": [f"paid {state['amount']}: {state['told']}"]})
        return builder.add_edge(START, "start").add_edge("start", "child").add_edge("child", "pay").compile(saver)

    return make


@pytest.mark.parametrize("memory", [None, True])
@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("between", ["nothing", "an answer", "pruned", "an update"])
def test_an_update_reaches_the_graph_that_is_a_node_and_what_it_asks(paying_node, saver, run, cfg, runs, levels, memory, between):
    graph = paying_node(levels, memory)
    (old,) = run(graph, {"amount": 5}, cfg).interrupts
    if between == "pruned":
        saver.prune(["t-1"])
    if between == "an update":
        graph.update_state(cfg, {"amount": 7}, as_node="start")
        (old,) = run(graph, None, cfg).interrupts
        assert old.value == "Pay 7?"
    if between == "an answer":
        saver.answer("t-1", [Decision(old.id, "t-1", "ask", -1, "yes", "Ann", old.created_at, "card")])
    graph.update_state(cfg, {"amount": 999}, as_node="start")
    (new,) = run(graph, None, cfg).interrupts
    assert (new.value, new.id == old.id) == ("Pay 999?", False)
    assert [q.interrupt_id for q in saver.open_questions()] == [new.id]
    assert run(graph, Command(resume="no"), cfg)["log"] == ["paid 999: no for 999"]
    assert runs["prepare"] == 1


def test_an_update_with_the_answer_is_what_the_graph_that_is_a_node_hears(paying_node, run, cfg, runs):
    graph = paying_node()
    run(graph, {"amount": 5}, cfg)
    assert run(graph, Command(update={"amount": 999}, resume="yes"), cfg)["log"] == ["paid 999: yes for 999"]
    assert runs["prepare"] == 1


@pytest.mark.parametrize("passed", [False, True])
def test_an_update_reaches_a_graph_that_pauses_statically(paying_node, saver, run, cfg, passed):
    graph = paying_node(interrupt_before=["ask"])
    run(graph, {"amount": 5}, cfg)
    if passed:
        run(graph, None, cfg)
    graph.update_state(cfg, {"amount": 999}, as_node="start")
    (shown,) = run(graph, None, cfg).interrupts
    if not passed:
        (shown,) = run(graph, None, cfg).interrupts
    assert shown.value == "Pay 999?"
    assert [q.interrupt_id for q in saver.open_questions()] == [shown.id]
    assert run(graph, Command(resume="yes"), cfg)["log"] == ["paid 999: yes for 999"]


def test_what_the_graph_that_is_a_node_wrote_itself_stays(saver, run, cfg):
    builder = StateGraph(Paid).add_node("discount", lambda state: {"amount": 4})
    builder.add_node("ask", lambda state: {"told": interrupt(str(state["amount"]))})
    child = builder.add_edge(START, "discount").add_edge("discount", "ask").compile()
    builder = StateGraph(Paid).add_node("start", lambda state: {}).add_node("child", child).add_edge(START, "start").add_edge("start", "child")
    graph = builder.compile(saver)
    (old,) = run(graph, {"amount": 5}, cfg).interrupts
    graph.update_state(cfg, {"amount": 999, "log": ["x"]}, as_node="start")
    assert [i.id for i in run(graph, None, cfg).interrupts] == [old.id]
    assert run(graph, Command(resume="yes"), cfg)["amount"] == 4


@pytest.mark.parametrize("called", [False, True])
@pytest.mark.parametrize("order", ["update, reopen", "reopen, update", "update, reopen, update"])
def test_an_answer_inside_that_is_reopened_about_an_update_is_asked_for_what_is_paid(saver, run, cfg, called, order):
    def ask(state):
        amount = state["amount"]
        return {"told": f"{interrupt(f'Pay {amount}?')} for {amount}"}

    def sure(state):
        return {"told": f"{state['told']}, {interrupt('Sure?')} for {state['amount']}"}

    builder = StateGraph(Paid, output_schema=Told).add_node(ask).add_node(sure).add_edge(START, "ask").add_edge("ask", "sure")
    child = builder.compile()
    builder = StateGraph(Paid).add_node("start", lambda state: {}).add_node("pay", lambda state: {"log": [f"{state['amount']}: {state['told']}"]})
    builder.add_node("child", (lambda state: {"told": child.invoke({"amount": state["amount"]})["told"]}) if called else child)
    graph = builder.add_edge(START, "start").add_edge("start", "child").add_edge("child", "pay").compile(saver)
    (asked,) = run(graph, {"amount": 5}, cfg).interrupts
    run(graph, Command(resume="yes"), cfg)
    amount = 5
    for change in order.split(", "):
        if change == "update":
            amount += 4
            graph.update_state(cfg, {"amount": amount}, as_node="start")
        else:
            graph.reopen(cfg, asked.id)
        run(graph, None, cfg)
    assert [i.value for i in graph.get_state(cfg).interrupts] == [f"Pay {amount}?"]
    run(graph, Command(resume="no"), cfg)
    assert run(graph, Command(resume="sure"), cfg)["log"] == [f"{amount}: no for {amount}, sure for {amount}"]
    assert saver.open_questions() == []
