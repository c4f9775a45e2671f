"""What several features do to one thread: graphs inside nodes met by handlers, memories, renamed nodes, pruning, reopened questions."""

from __future__ import annotations

from operator import add
from typing import Annotated, TypedDict

import pytest

from hitl_nb.checkpoint import committing
from hitl_nb.checkpoint.keys import memory_places
from hitl_nb.checkpoint.records import Decision
from hitl_nb.errors import ThreadMovedError
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.types import START, Command


class Log(TypedDict, total=False):
    log: Annotated[list, add]
    amount: int
    times: int


def answered(run, graph, cfg, *answers):
    """The result after these answers, one after the other."""
    results = [run(graph, Command(resume=answer), cfg) for answer in answers]
    return results[-1]


def approve(state):
    amount = state["amount"]
    return {"log": [f"{amount}:{interrupt(f'Pay {amount}?')}"]}


# -- updates with an answer ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [[], ["done"]])
def test_a_node_that_has_finished_does_not_run_again_when_an_update_comes_with_an_answer(saver, run, cfg, runs, before):
    def done(state):
        runs["done"] += 1
        return {"log": ["done"]}

    builder = StateGraph(Log).add_node(done).add_node("first", lambda state: {"log": [interrupt("first?")]})
    builder.add_node("second", lambda state: {"log": [interrupt("second?")]})
    for name in ("done", "first", "second"):
        builder.add_edge(START, name)
    graph = builder.compile(saver, interrupt_before=before)
    run(graph, {}, cfg)
    first, second = run(graph, None, cfg).interrupts if before else graph.get_state(cfg).interrupts
    result = run(graph, Command(update={"amount": 1}, resume={first.id: "A"}), cfg)
    assert ([i.id for i in result.interrupts], result.next) == ([second.id], ("second",))
    assert run(graph, Command(update={"amount": 2}, resume="B"), cfg)["log"] == ["done", "A", "B"]
    assert runs["done"] == 1


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


# -- memories ------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def rounds(saver, chain, runs):
    """A node that goes two rounds through a graph with a memory, which does something, asks, and does something again."""

    def before(state):
        runs["before"] += 1
        return {"log": ["before"]}

    def ask(state):
        return {"log": [interrupt(f"{len(state['log'])}?")]}

    def after(state):
        runs["after"] += 1
        return {"log": ["after"]}

    child = chain(True, before, ask, after, schema=Log)

    def caller(state):
        which = interrupt("which?")
        return {"times": state.get("times", 0) + 1, "log": [child.invoke({"log": [which]})["log"]]}

    def again(state):
        return "caller" if state["times"] < 2 else "__end__"

    return StateGraph(Log).add_node(caller).add_edge(START, "caller").add_conditional_edges("caller", again).compile(saver)


@pytest.mark.parametrize("second", ["open", "answered"])
def test_a_memory_goes_back_with_a_reopened_answer_of_an_earlier_round(rounds, saver, run, cfg, runs, second):
    run(rounds, {}, cfg)
    (first,) = run(rounds, Command(resume="a"), cfg).interrupts
    run(rounds, Command(resume="1"), cfg)
    run(rounds, Command(resume="b"), cfg)
    if second == "answered":
        assert run(rounds, Command(resume="2"), cfg)["log"][1] == ["a", "before", "1", "after", "b", "before", "2", "after"]
    runs.clear()
    rounds.reopen(cfg, first.id)
    (again,) = run(rounds, None, cfg).interrupts
    assert (again.value, runs) == (first.value, {})
    assert [q.interrupt_id for q in saver.open_questions()] == [again.id]
    result = answered(run, rounds, cfg, "x", "c", "y")
    assert result["log"] == [["a", "before", "x", "after"], ["a", "before", "x", "after", "c", "before", "y", "after"]]
    assert runs == {"before": 1, "after": 2}


def test_a_memory_goes_back_to_before_a_round_whose_input_is_reopened_after_the_history_was_pruned(rounds, saver, run, cfg):
    run(rounds, {}, cfg)
    (which,) = answered(run, rounds, cfg, "a", "1").interrupts
    run(rounds, Command(resume="b"), cfg)
    saver.prune(["t-1"])
    rounds.reopen(cfg, which.id)
    run(rounds, None, cfg)
    assert answered(run, rounds, cfg, "c", "2")["log"][1] == ["a", "before", "1", "after", "c", "before", "2", "after"]
    saver.prune(["t-1"])
    assert saver.head("t-1\x1f@caller\x1f0").first > 0


def test_a_reopened_round_of_a_memory_still_voids_what_an_update_changes(saver, run, cfg, chain):
    child = chain(True, approve, schema=Log)

    def pay(state):
        return {"times": state.get("times", 0) + 1, "log": child.invoke({"amount": state["amount"]})["log"][-1:]}

    def start(state):
        return {}

    builder = StateGraph(Log).add_node(start).add_node(pay).add_edge(START, "start").add_edge("start", "pay")
    graph = builder.add_conditional_edges("pay", lambda s: "pay" if s["times"] < 2 else "__end__").compile(saver)
    (first,) = run(graph, {"amount": 5}, cfg).interrupts
    run(graph, Command(resume="yes"), cfg)
    graph.reopen(cfg, first.id)
    graph.update_state(cfg, {"amount": 999}, as_node="start")
    assert [i.value for i in run(graph, None, cfg).interrupts] == ["Pay 999?"]
    assert answered(run, graph, cfg, "no", "no")["log"] == ["999:no", "999:no"]


@pytest.mark.parametrize("earlier", [0, 1])
def test_the_copy_of_a_memory_does_not_know_the_round_that_its_node_begins_again(rounds, saver, run, cfg, earlier):
    run(rounds, {}, cfg)
    answered(run, rounds, cfg, *["a", "1"] * earlier, "b")
    saver.copy_thread("t-1", "copy")
    copy = {"configurable": {"thread_id": "copy"}}
    assert [i.value for i in run(rounds, None, copy).interrupts] == ["which?"]
    result = answered(run, rounds, copy, "c", "2")
    assert result["log"][-1] == ["a", "before", "1", "after"] * earlier + ["c", "before", "2", "after"]
    assert answered(run, rounds, cfg, "2")["log"][-1] == ["a", "before", "1", "after"] * earlier + ["b", "before", "2", "after"]


def test_reopening_inside_is_all_or_nothing(rounds, saver, run, cfg, monkeypatch):
    """Cut off between the graph inside and the thread around it, or overtaken by an answer: both stand where they stood."""
    run(rounds, {}, cfg)
    (first,) = answered(run, rounds, cfg, "a").interrupts
    answered(run, rounds, cfg, "1", "b")
    names = ["t-1", "t-1\x1f@caller\x1f0"]
    stood = [saver.head(name) for name in names]
    real, dies_at = committing.commit, 2

    def dying(store, *args, **arguments):
        nonlocal dies_at
        dies_at -= 1
        if not dies_at:
            raise KeyboardInterrupt
        return real(store, *args, **arguments)

    monkeypatch.setattr(committing, "commit", dying)
    with pytest.raises(KeyboardInterrupt):
        rounds.reopen(cfg, first.id)
    monkeypatch.undo()
    assert [saver.head(name) for name in names] == stood

    (open_now,) = rounds.get_state(cfg).interrupts
    decision = Decision(open_now.id, "t-1", "ask", -1, "2", "Ann", open_now.created_at, "card")
    transaction = saver.commit_all

    def overtaken(*args):
        saver.answer("t-1", [decision])
        return transaction(*args)

    monkeypatch.setattr(saver, "commit_all", overtaken)
    with pytest.raises(ThreadMovedError):
        rounds.reopen(cfg, first.id)
    monkeypatch.undo()
    assert saver.head(names[1]) == stood[1]
    assert run(rounds, None, cfg)["log"][1] == ["a", "before", "1", "after", "b", "before", "2", "after"]


# -- renamed nodes -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [None, True])
@pytest.mark.parametrize("kind", ["node", "called"])
def test_a_renamed_node_keeps_the_graph_inside_with_its_memory_and_its_answer(saver, run, cfg, chain, kind, memory):
    def ask(state):
        return {"log": [f"{len(state['log'])}:{interrupt('first?')}", interrupt("second?")]}

    child = chain(memory, ask, schema=Log)

    def graph(name, **options):
        inside = child if kind == "node" else lambda state: {"log": child.invoke({"log": ["in"]})["log"]}
        builder = StateGraph(Log).add_node(name, inside).add_edge(START, name)
        return builder.add_conditional_edges(name, lambda s: name if len(s["log"]) < 6 else "__end__").compile(saver, **options)

    once, twice = graph("old"), graph("new", renamed={"old": "new"})
    (first,) = run(once, {"log": ["in"]}, cfg).interrupts
    (second,) = run(twice, Command(resume={first.id: "A"}), cfg).interrupts
    assert second.value == "second?"
    assert twice.get_state(cfg, subgraphs=True).tasks[0].state is not None
    log = answered(run, twice, cfg, "B", "C", "D")["log"]
    expected = {  # what the graph finds when it asks: what it is given, and what it remembers
        ("node", None): ["in", "in", "1:A", "B", "in", "in", "1:A", "B", "4:C", "D"],
        ("node", True): ["in", "in", "1:A", "B", "in", "1:A", "B", "in", "in", "1:A", "B", "7:C", "D"],
        ("called", None): ["in", "in", "1:A", "B", "in", "1:C", "D"],
        ("called", True): ["in", "in", "1:A", "B", "in", "1:A", "B", "in", "4:C", "D"],
    }
    assert log == expected[kind, memory]


def test_a_list_goes_on_inside_a_renamed_node(saver, run, cfg, chain):
    def ask(state):
        return {"log": [interrupt("first?"), interrupt("second?")]}

    child = chain(None, ask, schema=Log)
    run(StateGraph(Log).add_node("old", child).add_edge(START, "old").compile(saver), {}, cfg)
    graph = StateGraph(Log).add_node("new", child).add_edge(START, "new").compile(saver, renamed={"old": "new"})
    assert graph.get_state(cfg).interrupts[0].path == ("new",)
    assert run(graph, Command(resume=["A", "B"]), cfg)["log"] == ["A", "B"]


# -- static pauses -------------------------------------------------------------------------------------------------------------------------


def test_a_static_pause_inside_that_is_passed_with_an_update_passes_none_outside(saver, run, cfg, chain, runs):
    def inside(state):
        return {"log": ["inside"]}

    def beside(state):
        runs["beside"] += 1
        if runs["beside"] == 1:
            raise OSError("gone")
        return {"log": ["beside"]}

    child = chain("inherit", inside, schema=Log, interrupt_before=["inside"])
    builder = StateGraph(Log).add_node("child", child).add_node(beside).add_edge(START, "child").add_edge(START, "beside")
    with pytest.raises(OSError, match="gone"):
        run(builder.compile(saver), {}, cfg)
    careful = builder.compile(saver, interrupt_before=["beside"])
    (pause,) = careful.get_state(cfg).interrupts
    (other,) = run(careful, Command(update={"amount": 1}, resume={pause.id: True}), cfg).interrupts
    assert (other.value, runs["beside"]) == ({"node": "beside", "when": "before"}, 1)
    assert run(careful, None, cfg)["log"] == ["inside", "beside"]
