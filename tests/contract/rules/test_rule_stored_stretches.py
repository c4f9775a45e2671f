"""Nodes one after another in a run that is stored: they are called in one go, each superstep is stored before the next, and nobody can tell."""

from __future__ import annotations

import asyncio
import operator
import threading
from typing import Annotated, Any, TypedDict

import pytest

from hitl_nb import END, START, Command, MemorySaver, Overwrite, Send, StateGraph, interrupt, once
from hitl_nb.errors import NotSerializableError, RecursionLimitError, StoreError, ThreadMovedError


class State(TypedDict, total=False):
    n: int
    log: Annotated[list[Any], operator.add]
    text: str
    where: Any


def plus(state):
    return {"n": state["n"] + 1, "log": [state["n"]]}


def outcome(call):
    try:
        return call()
    except Exception as error:  # all of them are compared
        return type(error), str(error).replace("coroutine", "generator")  # which of them raised StopIteration


def line(saver: Any, third: Any) -> Any:
    """a, b, `third` as c, d, e; each with a conditional edge or a plain one."""
    builder = StateGraph(State)
    for name in "abde":
        builder.add_node(name, plus)
    builder.add_node("c", third)
    builder.add_edge(START, "a").add_conditional_edges("a", lambda s: "b", ["b"]).add_edge("b", "c")
    builder.add_conditional_edges("c", lambda s: "d", ["d"]).add_edge("d", "e")
    return builder.compile(saver, new_nonce=lambda: "n0")


async def later(state):
    await asyncio.sleep(0)
    return {"n": 50}


NODES = {
    "nothing": lambda state: None,
    "the same again": lambda state: {"n": state["n"], "text": "given"},
    "another type": lambda state: {"n": float(state["n"])},
    "a large value": lambda state: {"text": "x" * 5000},
    "a large integer": lambda state: {"n": 1 << 70},
    "half a surrogate pair": lambda state: {"text": "\ud800"},
    "other values": lambda state: {"where": ({1, 2}, b"3", bytearray(b"4"), None, {5: 6})},
    "what cannot be stored": lambda state: {"where": threading.Lock()},
    "what cannot be added": lambda state: {"log": 3},
    "a command": lambda state: Command(update={"n": 10}),
    "a command that leads on": lambda state: Command(update={"n": 10}, goto="e"),
    "a command that leads to the end": lambda state: Command(goto=END),
    "a command to nowhere": lambda state: Command(goto="nowhere"),
    "a Send": lambda state: Command(goto=Send("e", {"n": 70})),
    "an overwrite": lambda state: {"log": Overwrite(["new"])},
    "an unknown key": lambda state: {"n": 3, "strange": 1},
    "a key twice": lambda state: Command(update=[("n", 4), ("n", 5), ("log", ["x"]), ("log", ["y"])]),
    "a number": lambda state: 3,
    "an error": lambda state: 1 // 0,
    "a question": lambda state: interrupt("Go on?"),
    "what is made once": lambda state: {"where": once("key", lambda: "made")},
    "something to await": later,
}


def stored(saver: Any, thread_id: str) -> list[Any]:
    """All checkpoints of the thread as they are stored, without their times; and the events at its head."""
    chain = [[part for n, part in enumerate(checkpoint.to_wire()) if n != 5] for checkpoint in saver.history(thread_id)]
    ledger = saver.ledger(thread_id, saver.head(thread_id))
    return [*chain, [(f.task_id, f.error) for f in ledger.failed.values()], list(ledger.asked)]


@pytest.mark.filterwarnings("ignore::hitl_nb.errors.UnknownStateKeyWarning")
@pytest.mark.parametrize("what", NODES)
def test_what_is_stored_is_what_a_watched_run_stores(saver, run, what):
    calls = []

    def third(state):
        calls.append("c")
        return NODES[what](state)

    graph, other = line(saver, third), MemorySaver()
    watched = line(other, third)
    given: Any = {"n": 0, "text": "given", "where": [1]}
    config: Any = {"configurable": {"thread_id": "t"}}
    looked_at = outcome(lambda: list(watched.stream(given, config, stream_mode="values"))[-1])
    stretched = outcome(lambda: run(graph, given, config))
    if "__interrupt__" not in looked_at:
        assert stretched == looked_at
    assert stored(saver, "t") == stored(other, "t")
    assert calls == ["c", "c"]  # once in each run


def test_each_superstep_is_stored_before_the_next_node_begins(saver, run, cfg):
    seen = []

    def looks(state):
        seen.append((saver.head("t-1").seq, saver.values("t-1", saver.checkpoint("t-1", saver.head("t-1").seq))["n"]))
        return {"n": state["n"] + 1}

    builder = StateGraph(State).add_node("a", looks).add_edge(START, "a")
    builder.add_conditional_edges("a", lambda s: "a" if s["n"] < 5 else END, ["a", END])
    run(builder.compile(saver), {"n": 0}, cfg)
    assert seen == [(n, n) for n in range(5)]


@pytest.mark.parametrize("large", [False, True])
def test_what_a_node_changes_in_place_is_neither_stored_nor_given_to_the_next(saver, run, cfg, large):
    kept: Any = ["x" * 9000 if large else "x"]

    def writes(state):
        return {"where": kept}

    def changes(state):
        state["where"].append("in place")
        state["log"].append("in place")
        return {"n": 1}

    def tells(state):
        return {"text": f"{len(state['where'])} {len(state['log'])}"}

    builder = StateGraph(State)
    for name, node in (("a", writes), ("b", changes), ("c", tells), ("d", plus)):
        builder.add_node(name, node)
    builder.add_edge(START, "a").add_edge("a", "b").add_edge("b", "c").add_edge("c", "d")
    graph = builder.compile(saver)
    assert run(graph, {"n": 0, "log": []}, cfg)["text"] == "1 0"
    assert len(graph.get_state(cfg).values["where"]) == 1


def test_who_moved_the_thread_meanwhile_wins_and_nothing_is_written_over_it(saver, run, cfg):
    ran = []

    def moves(state):
        head = saver.head("t-1")
        saver.commit("t-1", head, checkpoint=other_checkpoint(saver, head))

    def other_checkpoint(saver, head):
        from dataclasses import replace

        return replace(saver.checkpoint("t-1", head.seq), seq=head.seq + 1, parent=head.seq, source="update", inline={})

    builder = StateGraph(State).add_node("a", plus).add_node("b", moves).add_node("c", ran.append).add_node("d", ran.append)
    builder.add_edge(START, "a").add_edge("a", "b").add_edge("b", "c").add_edge("c", "d")
    with pytest.raises(ThreadMovedError):
        run(builder.compile(saver), {"n": 0}, cfg)
    assert saver.checkpoint("t-1", saver.head("t-1").seq).source == "update"
    assert not ran


def test_a_value_that_cannot_be_stored_is_that_nodes_failure_and_its_turn_comes_again(saver, run, cfg):
    given = [threading.Lock(), "fine"]
    builder = StateGraph(State).add_node("a", plus).add_node("b", lambda s: {"where": given.pop(0)}).add_node("c", plus)
    builder.add_edge(START, "a").add_edge("a", "b").add_edge("b", "c")
    graph = builder.compile(saver)
    with pytest.raises(NotSerializableError, match=r"state\['where'\]"):
        run(graph, {"n": 0}, cfg)
    (task,) = graph.get_state(cfg).tasks
    assert (task.name, "NotSerializableError" in str(task.error)) == ("b", True)
    result = run(graph, None, cfg)
    assert (result["where"], result["n"]) == ("fine", 2)


@pytest.mark.parametrize("limit", [3, 4])
def test_a_run_that_its_limit_ends_goes_on_where_it_stood(saver, run, cfg, limit):
    ran = []
    graph = line(saver, lambda s: ran.append(s["n"]))
    with pytest.raises(RecursionLimitError, match=f"took {limit} supersteps"):
        run(graph, {"n": 0}, {**cfg, "recursion_limit": limit})
    assert saver.head("t-1").seq == limit
    assert run(graph, None, cfg)["n"] == 4
    assert ran == [2]


def test_a_run_that_is_stopped_in_a_node_goes_on_with_that_node(saver, run, cfg):
    stops = [KeyboardInterrupt]

    def third(state):
        if stops:
            raise stops.pop()

    graph = line(saver, third)
    with pytest.raises(KeyboardInterrupt):
        run(graph, {"n": 0}, cfg)
    assert graph.get_state(cfg).next == ("c",)
    assert run(graph, None, cfg)["n"] == 4


def test_a_cancelled_ainvoke_lets_the_node_end_and_begins_no_other(saver, cfg):
    begun, go_on = threading.Event(), threading.Event()

    def holds(state):
        begun.set()
        assert go_on.wait(10)

    graph = line(saver, holds)

    async def main():
        task = asyncio.create_task(graph.ainvoke({"n": 0}, cfg))
        await asyncio.to_thread(begun.wait, 10)
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert graph.get_state(cfg).next == ("c",)
    assert graph.invoke(None, cfg)["n"] == 4


def test_a_commit_that_failed_is_not_tried_again(saver, run, cfg, monkeypatch):
    """It may count all the same, and then a second one would find the thread elsewhere, and say so instead of what is wrong."""
    ran, real, calls = [], saver.commit, []

    def fails(*args, **arguments):
        calls.append(1)
        if len(calls) == 3:
            raise StoreError("the disk is full")
        return real(*args, **arguments)

    graph = line(saver, ran.append)
    monkeypatch.setattr(saver, "commit", fails)
    with pytest.raises(StoreError, match="the disk is full"):
        run(graph, {"n": 0}, cfg)
    assert (len(calls), ran) == (3, [])
    monkeypatch.undo()
    assert run(graph, None, cfg)["n"] == 4


def test_a_question_after_an_update_of_the_state_has_the_id_that_a_watched_run_gives_it(saver, run, cfg):
    """The task was planned before the update; what it asks is another question than it would have been."""

    def asks(state):
        return {"text": interrupt("Go on?")}

    ids = []
    for where, watched in ((saver, False), (MemorySaver(), True)):
        graph = line(where, asks)
        with pytest.raises(RecursionLimitError):
            run(graph, {"n": 0}, {**cfg, "recursion_limit": 2})
        graph.update_state(cfg, {"n": 5}, as_node="e")
        graph.update_state(cfg, {"n": 6})
        if watched:
            list(graph.stream(None, cfg, stream_mode="values"))
        else:
            run(graph, None, cfg)
        ids.append([i.id for i in graph.get_state(cfg).interrupts])
    assert ids[0] == ids[1] != []


def test_a_run_that_is_cancelled_while_a_superstep_is_stored_begins_no_further_node(cfg):
    ran, storing, go_on = [], threading.Event(), threading.Event()

    class Slow(MemorySaver):
        def commit(self, *arguments, **more):
            if ran and not storing.is_set():
                storing.set()
                assert go_on.wait(10)
            return super().commit(*arguments, **more)

    builder = StateGraph().add_sequence([(name, lambda state, name=name: ran.append(name)) for name in "abc"]).add_edge(START, "a")
    graph = builder.compile(checkpointer=Slow())

    async def main():
        task = asyncio.create_task(graph.ainvoke({}, cfg))
        await asyncio.to_thread(storing.wait, 10)
        task.cancel()
        for _ in range(10):  # turns of the event loop, in which the run hears of it
            await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert ran == ["a"]
    graph.invoke(None, cfg)
    assert ran == ["a", "b", "c"]
