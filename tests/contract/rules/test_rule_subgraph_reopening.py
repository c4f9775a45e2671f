"""Reopened questions and graphs inside nodes: what came of an answer goes with it, also what graphs that the node called were told."""

from __future__ import annotations

import asyncio
from operator import add
from typing import Annotated, TypedDict

import pytest

from hitl_nb.errors import UnknownInterruptError
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.types import Command


class Log(TypedDict, total=False):
    log: Annotated[list, add]


def test_an_answer_that_a_called_graph_depended_on_can_be_reopened(saver, run, cfg, chain, node):
    child = chain(None, node("ask", 1), schema=Log)

    def caller(state):
        first = interrupt("which?")
        return {"log": child.invoke({"log": [first]})["log"]}

    graph = chain(saver, caller, schema=Log)
    (which,) = run(graph, {}, cfg).interrupts
    run(graph, Command(resume="one"), cfg)
    graph.reopen(cfg, which.id)
    assert [i.value for i in run(graph, None, cfg).interrupts] == ["which?"]
    (asked,) = run(graph, Command(resume="two"), cfg).interrupts
    assert asked.value == "ask 0?"
    assert run(graph, Command(resume="A"), cfg)["log"] == ["two", "ask:A"]


def test_a_graph_that_an_answer_led_to_makes_room_for_another_when_the_answer_is_reopened(saver, run, cfg, chain, node, runs):
    one, two = chain(None, node("a"), node("ask", 1), schema=Log, name="one"), chain(None, node("b"), schema=Log, name="two")

    def caller(state):
        chosen = interrupt("which?")
        return {"log": (one if chosen == "one" else two).invoke({"log": ["same"]})["log"]}

    graph = chain(saver, caller, schema=Log)
    (which,) = run(graph, {}, cfg).interrupts
    run(graph, Command(resume="one"), cfg)
    graph.reopen(cfg, which.id)
    run(graph, None, cfg)
    assert run(graph, Command(resume="two"), cfg)["log"] == ["same", "b"]
    assert saver.open_questions() == []


def test_what_a_called_graph_was_told_goes_with_the_answer_before_it_even_for_the_same_input(saver, run, cfg, chain, node):
    child = chain(None, node("ask", 1), schema=Log)

    def caller(state):
        first = interrupt("sure?")
        inner = child.invoke({"log": []})["log"]
        return {"log": [first, *inner, interrupt("really?")]}

    graph = chain(saver, caller, schema=Log)
    (sure,) = run(graph, {}, cfg).interrupts
    (asked,) = run(graph, Command(resume="1"), cfg).interrupts
    run(graph, Command(resume="A"), cfg)
    graph.reopen(cfg, sure.id)
    assert saver.open_questions() == []
    run(graph, None, cfg)
    (again,) = run(graph, Command(resume="2"), cfg).interrupts
    assert (again.value, again.id != asked.id) == ("ask 0?", True)
    run(graph, Command(resume="B"), cfg)
    assert run(graph, Command(resume="C"), cfg)["log"] == ["2", "ask:B", "C"]


def test_what_the_node_asked_after_a_graph_goes_with_an_answer_inside_it(saver, run, cfg, chain, node):
    child = chain(None, node("ask", 1), schema=Log)

    def caller(state):
        inner = child.invoke({"log": []})["log"]
        return {"log": [*inner, interrupt("pay?"), interrupt("really?")]}

    graph = chain(saver, caller, schema=Log)
    (asked,) = run(graph, {}, cfg).interrupts
    run(graph, Command(resume="A"), cfg)
    (really,) = run(graph, Command(resume="pay"), cfg).interrupts
    graph.reopen(cfg, asked.id)
    assert saver.open_question(really.id) is None
    run(graph, None, cfg)
    assert run(graph, Command(resume="B"), cfg).interrupts[0].value == "pay?"
    run(graph, Command(resume="no"), cfg)
    assert run(graph, Command(resume="no"), cfg)["log"] == ["ask:B", "no", "no"]


def test_a_memory_forgets_what_a_reopened_answer_led_to(saver, run, cfg, chain, node):
    child = chain(True, node("note"), schema=Log)

    def caller(state):
        said = interrupt(f"{len(state.get('log', []))}: what?")
        return {"log": [len(child.invoke({"log": [said]})["log"]), interrupt("ok?")]}

    graph = chain(saver, caller, schema=Log)
    run(graph, {}, cfg)
    run(graph, Command(resume=["x", "ok"]), cfg)
    (what,) = run(graph, {"log": []}, cfg).interrupts
    run(graph, Command(resume="y"), cfg)
    graph.reopen(cfg, what.id)
    run(graph, None, cfg)
    assert run(graph, Command(resume=["z", "ok"]), cfg)["log"] == [2, "ok", 4, "ok"]


def test_a_graph_that_got_its_input_from_a_reopened_one_begins_anew_and_its_old_question_is_void(saver, run, cfg, chain, node):
    child = chain(None, node("ask", 1), schema=Log)

    def caller(state):
        first = child.invoke({"log": []})["log"]
        return {"log": child.invoke({"log": first})["log"]}

    graph = chain(saver, caller, schema=Log)
    (first,) = run(graph, {}, cfg).interrupts
    (second,) = run(graph, Command(resume="A"), cfg).interrupts
    graph.reopen(cfg, first.id)
    run(graph, None, cfg)
    again = next(i for i in graph.get_state(cfg).interrupts if i.id != second.id)
    (anew,) = run(graph, Command(resume={again.id: "B"}), cfg).interrupts
    assert anew.id != second.id
    assert [q.interrupt_id for q in saver.open_questions()] == [anew.id]
    assert run(graph, Command(resume="C"), cfg)["log"] == ["ask:B", "ask:C"]


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("by", ["context", "closure", "input"])
def test_an_approval_in_a_later_graph_goes_with_a_reopened_answer_of_an_earlier_one(saver, run, cfg, chain, node, by, finished):
    """However the node hands the answer on to the later graph: that one does not count on for what the node makes of the new answer."""

    def caller(state):
        (amount,) = which.invoke({"log": []})["log"]

        def pay(state, runtime):
            told = {"context": runtime.context, "closure": amount, "input": (state.get("log") or [None])[0]}[by]
            return {"log": [interrupt(f"pay {told}?")]}

        later = chain(None, pay, node("sure", 1), schema=Log)
        given = {"log": [amount] if by == "input" else []}
        return {"log": [amount, *later.invoke(given, context=amount if by == "context" else None)["log"], interrupt("done?")]}

    which, graph = chain(None, node("which", 1), schema=Log), chain(saver, caller, schema=Log)
    (first,) = run(graph, {}, cfg).interrupts
    assert run(graph, Command(resume="5"), cfg).interrupts[0].value == "pay which:5?"
    for answer in ["yes", "sure"][: 1 + finished]:
        run(graph, Command(resume=answer), cfg)
    graph.reopen(cfg, first.id)
    again = next(i for i in run(graph, None, cfg).interrupts if i.value == first.value)
    (asked,) = run(graph, Command(resume={again.id: "999"}), cfg).interrupts
    assert asked.value == "pay which:999?"
    assert [q.interrupt_id for q in saver.open_questions()] == [asked.id]
    for answer in ["no", "sure"]:
        run(graph, Command(resume=answer), cfg)
    assert run(graph, Command(resume="done"), cfg)["log"][-3:] == ["no", "sure:sure", "done"]


def test_graphs_side_by_side_keep_their_answers_when_one_of_the_other_is_reopened(saver, run, cfg, chain, node):
    child = chain(None, node("a", 2), schema=Log)

    async def caller(state):
        done = await asyncio.gather(*(child.ainvoke({"log": [which]}) for which in "xy"))
        return {"log": [entry for each in done for entry in each["log"]]}

    graph = chain(saver, caller, schema=Log)
    one, two = run(graph, {}, cfg).interrupts
    run(graph, Command(resume={one.id: "1", two.id: "2"}), cfg)
    graph.reopen(cfg, one.id)
    again, other = run(graph, None, cfg).interrupts
    assert [again.value, other.value] == ["a 0?", "a 1?"]
    run(graph, Command(resume={again.id: "3", other.id: "4"}), cfg)
    assert run(graph, Command(resume="5"), cfg)["log"] == ["x", "a:3:5", "y", "a:2:4"]


def test_nobody_can_answer_what_a_later_graph_asked_on_the_ground_of_a_reopened_answer(saver, chain, run, cfg):
    def asks(name):
        def ask(state):
            return {"got": interrupt(f"{name} {state['n']}?")}

        return chain(None, ask)

    price, pay = asks("price of"), asks("pay")

    def node(state):
        amount = price.invoke({"n": 1})["got"]
        return {"out": [amount, pay.invoke({"n": amount})["got"]]}

    graph = chain(saver, node)
    (first,) = run(graph, {"x": 1}, cfg).interrupts
    (second,) = run(graph, Command(resume=5), cfg).interrupts
    assert second.value == "pay 5?"
    graph.reopen(cfg, first.id)
    assert saver.open_questions() == []
    with pytest.raises(UnknownInterruptError):
        run(graph, Command(resume={second.id: "yes"}), cfg)
    run(graph, None, cfg)
    (again,) = run(graph, Command(resume=9), cfg).interrupts
    assert again.value == "pay 9?"
    assert run(graph, Command(resume="yes"), cfg)["out"] == [9, "yes"]
