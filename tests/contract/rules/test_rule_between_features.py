"""What several features do to one thread: graphs inside nodes met by updates, handlers, memories, renamed nodes, pruning, reopened questions."""

from __future__ import annotations

from collections import Counter
from operator import add
from typing import Annotated, TypedDict

import pytest

from hitl_nb.checkpoint.keys import memory_places
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.interrupt import interrupt
from hitl_nb.graph.types import START, Command


class Log(TypedDict, total=False):
    log: Annotated[list, add]
    amount: int
    times: int


@pytest.fixture
def runs():
    return Counter()


def approve(state):
    amount = state["amount"]
    return {"log": [f"{amount}:{interrupt(f'Pay {amount}?')}"]}


# -- updates of the state ------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def paying(saver, chain):
    """A node that pays what the graph that it calls was told about; a node before it to update as."""
    child = chain(None, approve, schema=Log)

    def start(state):
        return {}

    def pay(state):
        told = child.invoke({"amount": state["amount"]})["log"]
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


# -- error handlers ------------------------------------------------------------------------------------------------------------------------


def failing_later(saver, runs, child):
    """A node that asks inside, then fails before it comes there again; its handler calls a graph too."""

    def work(state):
        runs["work"] += 1
        if runs["work"] == 2:
            raise OSError("gone")
        return {"log": child.invoke({"amount": 5})["log"]}

    def handler(state, error):
        return {"log": ["handled", *child.invoke({"amount": state["amount"]})["log"]]}

    return StateGraph(Log).add_node("work", work, error_handler=handler).add_edge(START, "work").compile(saver)


@pytest.mark.parametrize("memory", [None, True])
@pytest.mark.parametrize("amount", [5, 6])
def test_a_handler_never_gets_the_approval_that_was_for_a_graph_of_its_node(saver, run, cfg, chain, runs, amount, memory):
    graph = failing_later(saver, runs, chain(memory, approve, schema=Log))
    (first,) = run(graph, {"amount": amount}, cfg).interrupts
    (second,) = run(graph, Command(resume="for the node"), cfg).interrupts
    assert (second.value, second.id == first.id) == (f"Pay {amount}?", False)
    saver.copy_thread("t-1", "copy")
    assert run(graph, Command(resume="for the handler"), cfg)["log"] == ["handled", f"{amount}:for the handler"]
    assert run(graph, Command(resume="theirs"), {"configurable": {"thread_id": "copy"}})["log"] == ["handled", f"{amount}:theirs"]
    for thread_id in ("t-1", "copy"):
        saver.delete_thread(thread_id)
        assert saver.head(f"{thread_id}\x1f{memory_places('work')[1]}\x1f0") is None
