"""While graphs run inside nodes the process dies, at each call of the store in turn: it ends as if undisturbed, and each answer counts once."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from contextlib import suppress
from operator import add
from typing import Annotated, TypedDict

import pytest
from faults import Crash, DiskStore, MemoryStore, Process

from hitl_nb import END, START, Command, RetryPolicy, Send, StateGraph, interrupt, once

EVERY = 1 if os.environ.get("HITL_NB_EXAMPLES") else 5
"""Of so many calls of the store one is tried; all of them in the large runs."""
CONFIG = {"configurable": {"thread_id": "t"}}


class Log(TypedDict, total=False):
    log: Annotated[list, add]
    times: int


class World:
    """What outlives the process besides the store: how often each function ran, by its name and the first entry of its log."""

    def __init__(self):
        self.runs = Counter()
        self.broken = Counter()

    def node(self, name, asks=0, fails=0, command=None):
        def run_it(state):
            self.runs[name, (state.get("log") or ["-"])[0]] += 1
            answers = [interrupt(f"{name} {n}?") for n in range(asks)]
            if self.broken[name] < fails:
                self.broken[name] += 1
                raise ConnectionError(name)
            entry = ":".join([name, *answers])
            return {"log": [entry]} if command is None else Command(graph=Command.PARENT, update={"log": [entry]}, goto=command)

        run_it.__name__ = name
        return run_it


def line(*nodes, **options):
    builder, before = StateGraph(Log), START
    for entry in nodes:
        name, node = entry if isinstance(entry, tuple) else (entry.__name__, entry)
        builder.add_node(name, node).add_edge(before, name)
        before = name
    return builder.compile(options.pop("saver", None), **options)


def side(*nodes, **options):
    builder = StateGraph(Log)
    for entry in nodes:
        name, node = entry if isinstance(entry, tuple) else (entry.__name__, entry)
        builder.add_node(name, node).add_edge(START, name)
    return builder.compile(options.pop("saver", None), **options)


# -- the graphs ----------------------------------------------------------------------------------------------------------------------------


def two_levels(w, saver):
    inner = side(w.node("p", 2), w.node("q", 1), w.node("r"))
    return line(w.node("pre"), ("outer", line(w.node("a"), ("inner", inner), w.node("b", 1))), w.node("post"), saver=saver)


def side_by_side(w, saver):
    return side(("x", line(w.node("a", 1), w.node("b"))), ("y", line(w.node("c"), w.node("d", 1))), w.node("own", 1), saver=saver)


def calls(w, saver):
    child = line(w.node("a"), w.node("b", 1))

    def caller(state):
        w.runs["caller"] += 1
        first = interrupt("begin?")
        logs = [entry for n in range(2) for entry in child.invoke({"log": [str(n)]})["log"]]
        kept = once("kept", lambda: w.runs.update(["once"]) or "kept")
        return {"log": [first, kept, *logs, interrupt("end?")]}

    return line(w.node("pre"), caller, saver=saver)


def gathered(w, saver):
    child = line(w.node("a"), w.node("b", 1))

    async def caller(state):
        w.runs["caller"] += 1
        done = await asyncio.gather(*(child.ainvoke({"log": [str(n)]}) for n in range(2)))
        return {"log": [entry for each in done for entry in each["log"]]}

    return line(caller, w.node("post"), saver=saver)


def memory(w, saver):
    child = _remembers(w)

    def again(state):
        return {"times": state.get("times", 0) + 1}

    builder = StateGraph(Log).add_node("call", child).add_node(again).add_edge(START, "call").add_edge("call", "again")
    return builder.add_conditional_edges("again", lambda state: "call" if state["times"] < 3 else END).compile(saver)


def _remembers(w):
    inner = StateGraph(Log).add_node("a", w.node("a", 1)).add_node("b", w.node("b")).add_edge(START, "a").add_edge("a", "b").compile(True)

    def call(state):
        return {"log": [str(len(inner.invoke({"log": [str(state.get("times", 0))]})["log"]))]}

    return call


def sends(w, saver):
    child = line(w.node("a"), w.node("b", 1))
    builder = StateGraph(Log).add_node("child", child).add_node("end", w.node("end")).add_edge("child", "end")
    return builder.add_conditional_edges(START, lambda state: [Send("child", {"log": [str(n)]}) for n in range(3)]).compile(saver)


def handler(w, saver):
    def handle(state, error):
        w.runs["handle"] += 1
        child = line(w.node("h", 1))
        return {"log": [f"{error.error}", *child.invoke({"log": []})["log"], interrupt("sure?")]}

    inner = line(w.node("a", 1), w.node("bad", 1, fails=99))
    builder = StateGraph(Log).add_node("risky", inner, error_handler=handle, retry_policy=RetryPolicy(initial_interval=0, jitter=False))
    return builder.add_node("other", w.node("other", 1)).add_edge(START, "risky").add_edge(START, "other").compile(saver)


def command(w, saver):
    inner = side(w.node("moot", 1), w.node("leave", 1, command="there"))
    return StateGraph(Log).add_node("child", inner).add_node("there", w.node("there", 1)).add_edge(START, "child").compile(saver)


def static(w, saver):
    inner = (
        StateGraph(Log).add_node("a", w.node("a")).add_node("b", w.node("b", 1)).add_edge(START, "a").add_edge("a", "b")
        .compile("inherit", interrupt_before=["a"], interrupt_after=["a"])
    )  # fmt: skip
    return line(("child", inner), w.node("post"), saver=saver, interrupt_before=["post"])


def deferred(w, saver):
    builder = StateGraph(Log)
    for name, asks in {"a": 0, "b": 1, "c": 0, "d": 1}.items():
        builder.add_node(name, w.node(name, asks))
    builder.add_node("join", line(w.node("j", 1)), defer=True)
    for one, other in [(START, "a"), ("a", "b"), ("a", "c"), ("c", "d"), ("b", "join"), ("d", "join")]:
        builder.add_edge(one, other)
    return builder.compile(saver)


GRAPHS = [two_levels, side_by_side, calls, gathered, memory, sends, handler, command, static, deferred]


# -- the runs ------------------------------------------------------------------------------------------------------------------------------


def reply(question):
    return True if isinstance(question.value, dict) else f"<{question.value}>"


def live(graph, taken, one_by_one):
    """One process: begin or go on, answer until the thread has ended."""
    saver = graph.checkpointer
    assert taken <= {d.interrupt_id for d in saver.decisions("t")}, "an answer that was taken is gone"
    graph.advance(CONFIG, begin={"log": ["in"]})
    while (shown := graph.get_state(CONFIG)).next:
        listed = {q.interrupt_id for q in saver.open_questions()}
        assert listed == {i.id for i in shown.interrupts}
        assert listed, f"the thread waits for nobody, and does not run: {shown.next}"
        asked = [i for i in shown.interrupts if i.value != "moot 0?"]
        if one_by_one:
            asked = asked[-1:]
        graph.invoke(Command(resume={i.id: reply(i) for i in asked}), CONFIG)
        taken |= {i.id for i in asked}
    return shown.values


def ending(graph):
    saver = graph.checkpointer
    decisions = saver.decisions("t")
    assert len({d.interrupt_id for d in decisions}) == len(decisions)
    for decision in decisions:
        payload = saver.question(decision.interrupt_id).payload
        assert decision.answer == (True if isinstance(payload, dict) else f"<{payload}>")
    assert saver.open_questions() == []
    return sorted(str(saver.question(d.interrupt_id).payload) for d in decisions)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("one_by_one", [False, True], ids=["all at once", "one by one"])
@pytest.mark.parametrize("build", GRAPHS, ids=lambda build: build.__name__)
def test_a_death_at_each_call_of_the_store_changes_nothing(build, one_by_one):
    calm, process = World(), Process()
    graph = build(calm, MemoryStore().open(process))
    lasting = live(graph, set(), one_by_one)
    points = range(1, process.reads + process.writes + 1, EVERY)
    expected = lasting, ending(graph)
    for point in points:
        world, store, taken = World(), MemoryStore(), set()
        with suppress(Crash):  # outcomes of one superstep may share a transaction, so the last points are not always reached
            live(build(world, store.open(Process(point))), taken, one_by_one)
        graph = build(world, store.open(Process()))
        assert (live(graph, taken, one_by_one), ending(graph)) == expected, f"died at {point}"
        again = {name: world.runs[name] - times for name, times in calm.runs.items() if world.runs[name] > times}
        again.pop(("bad", "in"), None)  # its attempts begin anew
        assert all(more <= 1 for more in again.values()), f"died at {point}: ran again: {again}"


@pytest.mark.parametrize("build", GRAPHS, ids=lambda build: build.__name__)
def test_a_death_at_some_writes_to_a_disk_changes_nothing(build, tmp_path):
    calm, process = World(), Process()
    store = DiskStore(tmp_path / "calm")
    graph = build(calm, store.open(process))
    expected = live(graph, set(), one_by_one=False), ending(graph)
    store.close()
    for point in range(1, process.writes + 1, 13 * EVERY):
        world, store, taken = World(), DiskStore(tmp_path / str(point)), set()
        with suppress(Crash):  # outcomes of one superstep may share a transaction, so the last points are not always reached
            live(build(world, store.open(Process(point, only_writes=True))), taken, one_by_one=False)
        graph = build(world, store.open(Process()))
        assert (live(graph, taken, one_by_one=False), ending(graph)) == expected, f"died at {point}"
        store.close()


# -- graphs that begin anew ----------------------------------------------------------------------------------------------------------------


def paying(w, saver, levels, static):
    """A node calls a graph, which asks; `start` is there to update the state as."""

    def ask(state):
        return {"log": [interrupt(f"pay {state['times']}?")]}

    builder = StateGraph(Log).add_node(ask).add_edge(START, "ask")
    child = builder.compile("inherit", interrupt_before=["ask"] if static else [])

    def pay(state):
        w.runs["pay"] += 1
        return {"log": child.invoke({"times": state["times"]})["log"]}

    inner = ("pay", child if static else pay)
    for _ in range(levels - 1):
        inner = ("outer", line(inner))
    return line(("start", lambda state: {}), inner, saver=saver)


@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("static", [False, True], ids=["called", "node"])
def test_a_question_that_is_void_is_never_open_beside_the_graph_that_goes_on_without_it(levels, static):
    """What an update made void is withdrawn with the step of its graph, so that nobody can answer it after that."""

    def stands(saver):
        """The innermost graph."""
        return saver.head(max((key for key in saver._records if key.startswith("h/")), key=len).removeprefix("h/")).seq

    for point in range(1, 1000):
        world, store = World(), MemoryStore()
        graph = paying(world, store.open(Process()), levels, static)
        (void,) = graph.invoke({"times": 5}, CONFIG).interrupts
        graph.update_state(CONFIG, {"times": 9}, as_node="start")
        before = stands(graph.checkpointer)
        process = Process(point)
        with suppress(Crash):
            paying(world, store.open(process), levels, static).advance(CONFIG)
        graph = paying(world, store.open(Process()), levels, static)
        saver = graph.checkpointer
        if stands(saver) != before:
            assert void.id not in {q.interrupt_id for q in saver.open_questions()}, f"died at {point}"
        asked = graph.advance(CONFIG).interrupts
        assert [q.interrupt_id for q in saver.open_questions()] == [i.id for i in asked], f"died at {point}"
        while asked[0].value != "pay 9?":
            (asked,) = [graph.invoke(None, CONFIG).interrupts]
        assert graph.invoke(Command(resume="yes"), CONFIG)["log"] == ["yes"], f"died at {point}"
        if not process.dead:
            return
