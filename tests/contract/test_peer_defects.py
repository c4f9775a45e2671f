"""What goes wrong on other systems and cannot here, 1 to 16 of 28: each test names the right behaviour, its docstring the system it was seen on."""

from __future__ import annotations

import re
import socket
import threading
from typing import TypedDict

import numpy as np
import pandas as pd
import pytest

from hitl_nb import END, START, Command, MemorySaver, Send, StateGraph, interrupt, once
from hitl_nb.errors import (
    AlreadyAnsweredError,
    AmbiguousAnswerError,
    GraphChangedError,
    NoCheckpointerError,
    StaleCheckpointError,
    UnknownInterruptError,
    UnknownNodeError,
)


def pay(state):
    return {"paid": interrupt({"amount": state.get("amount", 1)})}


def two_steps(state):
    return {"steps": [interrupt("step 1?"), interrupt("step 2?")]}


def test_an_answer_the_node_fails_on_can_be_withdrawn_and_another_one_counts(chain, saver, run, cfg, only):
    """1 LangGraph: every later answer replays the bad one."""

    def ratio(state):
        return {"ratio": 1 / interrupt("Divide by?")}

    graph = chain(saver, ratio)
    asked = only(run(graph, {}, cfg))
    with pytest.raises(ZeroDivisionError):
        run(graph, Command(resume=0), cfg)
    graph.reopen(cfg, asked.id)
    again = only(run(graph, None, cfg))
    assert run(graph, Command(resume={again.id: 4}), cfg) == {"ratio": 0.25}


def test_going_on_with_none_between_two_questions_answers_nothing(chain, saver, run, cfg, only):
    """2 LangGraph: the second question gets the first answer."""
    graph = chain(saver, two_steps)
    run(graph, {}, cfg)
    second = only(run(graph, Command(resume="one"), cfg))
    assert only(run(graph, None, cfg)) == second
    assert run(graph, Command(resume="two"), cfg) == {"steps": ["one", "two"]}


def test_an_answer_sent_twice_by_id_does_not_reach_the_next_question(chain, saver, run, cfg, only):
    """3 LangGraph: the retried id answers the next question."""
    graph = chain(saver, two_steps)
    first = only(run(graph, {}, cfg))
    second = only(run(graph, Command(resume={first.id: "one"}), cfg))
    with pytest.raises(AlreadyAnsweredError, match="ada"):
        run(graph, Command(resume={first.id: "one"}), cfg)
    assert only(graph.get_state(cfg)) == second


@pytest.mark.parametrize(("resume", "error"), [({"f" * 32: "yes"}, UnknownInterruptError), ({}, AmbiguousAnswerError)], ids=["unknown id", "{}"])
def test_an_unknown_id_and_an_empty_map_are_errors(chain, saver, run, cfg, only, resume, error):
    """4 LangGraph: pauses again without a word."""
    graph = chain(saver, pay)
    asked = only(run(graph, {}, cfg))
    with pytest.raises(error):
        run(graph, Command(resume=resume), cfg)
    assert only(graph.get_state(cfg)) == asked


def test_an_approval_given_in_one_thread_is_asked_for_in_every_other(chain, saver, run, cfg, only):
    """5 LangGraph: with the node cached, the approval counts for other threads. What is kept here (`once`) is kept for one execution of a node."""
    looked_up = []

    def approve(state):
        amount = once("look up", lambda: looked_up.append(1) or state["amount"])
        return {"approved": interrupt({"amount": amount})}

    graph, other = chain(saver, approve), {"configurable": {"thread_id": "t-2"}}
    run(graph, {"amount": 5}, cfg)
    assert run(graph, Command(resume=True), cfg)["approved"] is True
    assert only(run(graph, {"amount": 5}, other)).value == {"amount": 5}
    assert len(looked_up) == 2
    with pytest.raises(TypeError, match="cache_policy"):
        StateGraph().add_node("approve", approve, cache_policy=object())


def test_of_two_answers_at_once_one_counts_and_the_action_happens_once(chain, saver, cfg, only):
    """6 LangGraph: both run their side effects."""
    effects, gate, found = [], threading.Barrier(2), []

    def act(state):
        effects.append(interrupt("Act?"))

    graph = chain(saver, act)
    asked = only(graph.invoke({}, cfg))

    def answer(name):
        gate.wait(10)
        try:
            found.append(graph.invoke(Command(resume={asked.id: name}), cfg))
        except AlreadyAnsweredError as error:
            found.append(error)

    racers = [threading.Thread(target=answer, args=(name,)) for name in ("left", "right")]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(30)
    assert (len(effects), len(found)) == (1, 2)
    assert sorted(isinstance(one, AlreadyAnsweredError) for one in found) == [False, True]


@pytest.mark.parametrize(
    "shown", [pd.DataFrame({"a": [1, 2]}), np.int64(7), pd.Timestamp("2026-01-01")], ids=["DataFrame", "NumPy scalar", "Timestamp"]
)
def test_a_payload_of_tables_numpy_numbers_and_timestamps_comes_back_as_it_was(chain, saver, run, cfg, only, shown):
    """7 LangGraph: a TypeError, and the pause is lost; a Timestamp comes back as text."""

    def ask(state):
        return {"ok": interrupt({"shown": shown})}

    graph = chain(saver, ask)
    run(graph, {}, cfg)
    seen = only(graph.get_state(cfg)).value["shown"]
    assert (type(seen), repr(seen)) == (type(shown), repr(shown))
    assert run(graph, Command(resume=True), cfg) == {"ok": True}


def test_a_node_that_is_gone_is_named_and_no_answer_is_lost(chain, saver, run, cfg, only):
    """8 LangGraph: the resume "succeeds", and the answer is lost."""

    def pay_out(state):
        return pay(state)

    asked = only(run(chain(saver, pay), {}, cfg))
    with pytest.raises(GraphChangedError, match="node 'pay'"):
        run(chain(saver, pay_out), Command(resume="yes"), cfg)
    assert saver.decisions("t-1") == []
    assert run(chain(saver, pay_out, renamed={"pay": "pay_out"}), Command(resume={asked.id: "yes"}), cfg) == {"paid": "yes"}


class Before(TypedDict, total=False):
    amount: int
    note: str
    paid: bool


class After(TypedDict, total=False):
    amount: int
    paid: bool


def test_a_state_key_that_is_gone_is_named_and_the_pause_can_be_passed_without_it(chain, saver, run, cfg):
    """9 LangGraph: pauses again on the same node for ever."""

    def prepare(state):
        return {"amount": 5}

    def transfer(state):
        return {"paid": True}

    def graph(schema, **options):
        return chain(saver, prepare, transfer, schema=schema, interrupt_before=["transfer"], **options)

    run(graph(Before), {"note": "rent"}, cfg)
    with pytest.raises(GraphChangedError, match=r"state\['note'\]"):
        run(graph(After), None, cfg)
    assert run(graph(After, renamed={"note": None}), None, cfg) == {"amount": 5, "paid": True}


def test_updating_as_one_waiting_node_keeps_the_question_of_the_other(fan, saver, run, cfg, only):
    """10 LangGraph: the other question vanishes."""

    def a(state):
        return {"a": interrupt("a?")}

    def b(state):
        return {"b": interrupt("b?")}

    graph = fan(saver, a, b)
    run(graph, {}, cfg)
    graph.update_state(cfg, {"a": "by hand"}, as_node="a")
    assert only(graph.get_state(cfg)).value == "b?"
    assert run(graph, Command(resume="B"), cfg) == {"a": "by hand", "b": "B"}


def test_going_to_an_unknown_node_is_an_error_that_names_the_known_ones(chain, saver, run, cfg):
    """11 LangGraph: the run ends as if it were finished."""

    def route(state):
        return Command(goto="publlish")

    def publish(state):
        return {"published": True}

    graph = chain(saver, route, publish)
    with pytest.raises(UnknownNodeError, match=r"publlish.*publish"):
        run(graph, {}, cfg)
    assert graph.get_state(cfg).next == ("route",)


def test_a_pause_without_a_checkpointer_fails_with_the_cure(chain, run, cfg):
    """12 LangGraph and Upsonic: it pauses, and only the resume fails."""
    with pytest.raises(NoCheckpointerError, match=r"compile\(checkpointer="):
        run(chain(None, pay), {}, cfg)


@pytest.mark.parametrize(("left_by", "error"), [("an answer", AlreadyAnsweredError), ("an update", StaleCheckpointError)])
def test_an_answer_at_a_checkpoint_that_was_left_behind_is_refused(chain, saver, run, cfg, left_by, error):
    """13 LangGraph: the old answer's result is returned."""
    graph = chain(saver, pay)
    run(graph, {}, cfg)
    before = graph.get_state(cfg).config
    if left_by == "an answer":
        run(graph, Command(resume="first"), cfg)
    else:
        graph.update_state(cfg, {"amount": 2})
    with pytest.raises(error):
        run(graph, Command(resume="second"), before)
    assert graph.get_state(cfg).values == ({"paid": "first"} if left_by == "an answer" else {"amount": 2})


def test_of_three_parallel_calls_the_one_that_asks_nobody_runs_once(saver, run, cfg):
    """14 LangGraph: every call runs three times."""
    runs = []

    def tool(call):
        runs.append(call)
        return {call: interrupt(f"{call}?") if call in ("pay", "mail") else "found"}

    graph = StateGraph().add_node(tool).add_conditional_edges(START, lambda s: [Send("tool", c) for c in ("search", "pay", "mail")]).compile(saver)
    pay_asked, mail_asked = run(graph, {}, cfg).interrupts
    run(graph, Command(resume={mail_asked.id: "sent"}), cfg)
    result = run(graph, Command(resume={pay_asked.id: "paid"}), cfg)
    assert result == {"search": "found", "pay": "paid", "mail": "sent"}
    assert {call: runs.count(call) for call in runs} == {"search": 1, "pay": 2, "mail": 2}


def test_the_picture_of_a_graph_needs_no_network(chain, saver, cfg, monkeypatch):
    """15 LangGraph: the PNG is drawn by a server, and Mermaid in a page loads its script from the network."""
    graph = chain(saver, pay)
    graph.invoke({}, cfg)
    monkeypatch.setattr(socket, "socket", None)
    bundle = graph.draw(cfg)._repr_mimebundle_()
    assert "image/svg+xml" in bundle
    links = re.findall(r"https?://[^\s\"'<]+", " ".join(map(str, bundle.values())))
    assert set(links) <= {"http://www.w3.org/2000/svg"}  # a name, which nothing loads


def test_an_unchanged_array_of_5_mb_is_written_once_in_five_steps(saver, run, cfg, tmp_path):
    """16 LangGraph: 40 MB are written."""
    step = StateGraph().add_node("step", lambda s: {"n": s["n"] + 1}).add_edge(START, "step")
    graph = step.add_conditional_edges("step", lambda s: "step" if s["n"] < 5 else END).compile(saver)
    array = np.arange(5 * 2**20 // 8)
    assert run(graph, {"array": array, "n": 0}, cfg)["n"] == 5
    records = [len(record) for record in saver._records.values()] if isinstance(saver, MemorySaver) else []
    files = [file.stat().st_size for file in tmp_path.rglob("*") if file.is_file()]
    assert array.nbytes <= sum(records + files) < 1.1 * array.nbytes
