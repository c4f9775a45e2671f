"""Nodes that return, raise, ask and start what they should not: each ends in a clear error or the right result, and the thread goes on."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from collections.abc import Mapping
from typing import Any, ForwardRef

import pytest

from hitl_nb.checkpoint.disk import DiskCacheSaver
from hitl_nb.checkpoint.memory import MemorySaver
from hitl_nb.errors import (
    GraphError,
    HitlError,
    NodeOutputError,
    NotSerializableError,
    OutsideNodeError,
    RecursionLimitError,
    SwallowedInterruptError,
    ThreadBusyError,
    UnknownNodeError,
)
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.node.runtime import get_stream_writer
from hitl_nb.graph.types import END, START, Command, Interrupt, Send


@pytest.fixture(params=["memory", "disk"])
def saver(request, tmp_path):
    made = MemorySaver() if request.param == "memory" else DiskCacheSaver(tmp_path / "store")
    yield made
    made.close()


class NoText:
    def __repr__(self):
        raise RuntimeError("no repr")

    __str__ = __repr__


class NoClass:
    @property
    def __class__(self):
        raise RuntimeError("no class")


class BadMapping(Mapping):
    def __getitem__(self, key):
        raise RuntimeError("no item")

    def __iter__(self):
        raise RuntimeError("no iter")

    def __len__(self):
        raise RuntimeError("no len")


class UnspeakableError(Exception):  # without a repr, too, asyncio.run itself fails
    def __str__(self):
        raise RuntimeError("no text")


class NoTraceError(Exception):
    def __getattribute__(self, name):
        if name in ("__traceback__", "__cause__", "__notes__"):
            raise RuntimeError("no trace")
        return super().__getattribute__(name)


class UnpicklableError(Exception):
    def __init__(self, one, two):
        super().__init__(one)
        self.two = lambda: two


class OwnBase(BaseException):
    """Neither an Exception nor one of those that stop a program, as pytest and trio have them."""


def circle():
    found: dict[str, Any] = {}
    found["me"] = found
    return found


def raiser(make):
    def node(state):
        raise make()

    return node


def cause_circle():
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    return one


def without_end(state):
    return without_end(state)


def swallow(state):
    try:
        interrupt("Well?")
    except BaseException:
        return {"a": 1}


def swallow_in_a_thread(state):
    def ask():
        try:
            interrupt("Well?")
        except BaseException:
            pass

    thread = threading.Thread(target=contextvars.copy_context().run, args=(ask,))
    thread.start()
    thread.join()
    return {"a": 1}


def asks(**terms):
    return lambda state: {"a": interrupt("Well?", **terms)}


def deep_schema():
    schema: dict[str, Any] = {}
    for _ in range(5000):
        schema = {"not": schema}
    return schema


def circle_schema():
    schema: dict[str, Any] = {"type": "object"}
    schema["properties"] = {"a": schema}
    return schema


# What a node does, the error that comes out of it, and a word of its text.
FAILING: dict[str, tuple[Any, type[BaseException], str]] = {
    "returns a number": (lambda s: 3, NodeOutputError, "expected a mapping"),
    "returns a generator": (lambda s: (x for x in ()), NodeOutputError, "generator"),
    "returns a Send": (lambda s: Send("last", 1), NodeOutputError, "expected a mapping"),
    "returns what has no repr": (lambda s: NoText(), NodeOutputError, "NoText"),
    "returns a class": (lambda s: Command, NodeOutputError, "type"),
    "returns a mapping that raises": (lambda s: BadMapping(), RuntimeError, "no len"),
    "writes itself": (lambda s: circle(), NotSerializableError, "contains itself"),
    "writes a function": (lambda s: {"a": print}, NotSerializableError, "state['a']"),
    "writes what has no class": (lambda s: {"a": NoClass()}, NotSerializableError, "NoClass"),
    "writes half a surrogate pair": (lambda s: {"a": "\ud800"}, NotSerializableError, "surrogate"),
    "writes a key that is a number": (lambda s: {1: 2}, NodeOutputError, "state keys are str"),
    "writes a key without repr": (lambda s: {NoText(): 2}, NodeOutputError, "NoText"),
    "writes a key of half a surrogate pair": (lambda s: {"\ud800": 2}, NodeOutputError, "surrogate"),
    "writes the marker of a pause": (lambda s: {"__interrupt__": [1]}, NodeOutputError, "result.state"),
    "updates a number": (lambda s: Command(update=3), NodeOutputError, "expected a mapping"),
    "goes to a number": (lambda s: Command(goto=3), NodeOutputError, "names no node"),
    "goes to None": (lambda s: Command(goto=None), NodeOutputError, "names no node"),
    "goes to a list of lists": (lambda s: Command(goto=[["last"]]), UnknownNodeError, "known: n, last"),
    "goes to what has no repr": (lambda s: Command(goto=[NoText()]), UnknownNodeError, "known: n, last"),
    "goes to START": (lambda s: Command(goto=START), UnknownNodeError, "known: n, last"),
    "sends to an unknown node": (lambda s: Command(goto=[Send("nobody", 1)]), UnknownNodeError, "'nobody'"),
    "sends to a number": (lambda s: Command(goto=[Send(3, 1)]), UnknownNodeError, "known: n, last"),
    "sends a function": (lambda s: Command(goto=[Send("last", print)]), NotSerializableError, "Send('last', …)"),
    "answers itself": (lambda s: Command(resume="yes"), NodeOutputError, "answers no question"),
    "names another graph": (lambda s: Command(update={"a": 1}, graph="other"), NodeOutputError, "Command.PARENT"),
    "raises what has no text": (raiser(UnspeakableError), UnspeakableError, ""),
    "raises what has no traceback": (raiser(lambda: NoTraceError("x")), NoTraceError, ""),
    "raises what cannot be pickled": (raiser(lambda: UnpicklableError(1, 2)), UnpicklableError, "1"),
    "raises a circle of causes": (raiser(cause_circle), ValueError, "one"),
    "raises half a surrogate pair": (raiser(lambda: ValueError("\ud800")), ValueError, ""),
    "raises 10 MB": (raiser(lambda: ValueError("x" * 10_000_000)), ValueError, "xxx"),
    "raises StopIteration": (raiser(StopIteration), RuntimeError, "StopIteration"),
    "raises a BaseException": (raiser(lambda: OwnBase("base")), OwnBase, "base"),
    "calls itself without end": (without_end, RecursionError, "recursion"),
    "swallows the pause": (swallow, SwallowedInterruptError, "BaseException"),
    "swallows the pause in a thread": (swallow_in_a_thread, SwallowedInterruptError, "BaseException"),
    "asks a function": (lambda s: interrupt(print), NotSerializableError, "payload"),
    "asks what has no class": (lambda s: interrupt(NoClass()), NotSerializableError, "payload"),
    "asks with a number as key": (asks(key=3), TypeError, "key is 3"),
    "asks with half a surrogate pair as key": (asks(key="\ud800"), TypeError, "surrogate"),
    "asks half a surrogate pair": (asks(assignee="\ud800"), TypeError, "surrogate"),
    "asks until tomorrow": (asks(deadline="tomorrow"), TypeError, "timedelta"),
    "has a name as schema": (asks(schema="bool"), GraphError, "schema="),
    "has bytes as schema": (asks(schema=b"bool"), GraphError, "schema="),
    "has a module as schema": (asks(schema=sys), GraphError, "schema="),
    "has a schema that is nowhere defined": (asks(schema=ForwardRef("Nowhere")), GraphError, "schema="),
    "has an unknown dialect": (asks(schema={"$schema": 3}), GraphError, "schema="),
    "has a schema in a circle": (asks(schema=circle_schema()), GraphError, "without end"),
    "has a schema that refers to itself": (asks(schema={"$ref": "#"}), GraphError, "without end"),
    "has a schema of 5000 levels": (asks(schema=deep_schema()), GraphError, "too deeply"),
    "has a schema with a function": (asks(schema={"const": print}), NotSerializableError, "schema['const']"),
    "has a schema of half a surrogate pair": (asks(schema={"enum": ["\ud800"]}), NotSerializableError, "schema['enum']"),
}


def beside(saver, hostile):
    """A graph whose first node is hostile until `well` holds something, beside one that is not; each says how often it ran."""
    ran: list[str] = []
    well: list[bool] = []

    def n(state):
        return {"n": 1} if well else hostile(state)

    def good(state):
        ran.append("good")
        return {"good": 1}

    def last(state):
        return {"last": interrupt("Last?")}

    builder = StateGraph().add_node(n).add_node(last).add_node(good).add_edge(START, "n").add_edge(START, "good")
    return builder.add_edge(["n", "good"], "last").add_edge("last", END).compile(saver), ran, well


@pytest.mark.parametrize("case", FAILING)
def test_a_node_that_misbehaves_is_shown_and_retried_and_what_ran_beside_it_counts(saver, run, cfg, case):
    hostile, error, word = FAILING[case]
    graph, ran, well = beside(saver, hostile)
    with pytest.raises(error) as raised:
        run(graph, {"x": 1}, {**cfg, "max_concurrency": 1})
    if error is not UnspeakableError:
        assert word in str(raised.value)
    if isinstance(raised.value, HitlError):
        assert len(str(raised.value)) < 1500
    failed = next(t for t in graph.get_state(cfg).tasks if t.name == "n")
    assert failed.error
    failed.error.encode()
    assert not failed.interrupts
    well.append(True)
    assert run(graph, None, cfg).next == ("last",)
    assert run(graph, Command(resume="done"), cfg).state == {"x": 1, "n": 1, "good": 1, "last": "done"}
    assert ran == ["good"]


def lowered_recursion_limit(state):
    depth, frame = 0, sys._getframe()
    while frame is not None:
        depth, frame = depth + 1, frame.f_back
    sys.setrecursionlimit(depth + 150)
    return {"a": 1}


def own_loop(state):
    async def inner():
        return interrupt({"from": "a loop of its own"})

    return {"a": asyncio.run(inner())}


def changes_its_state(state):
    state["x"] = 99
    state.clear()


WORKING: dict[str, tuple[Any, dict[str, Any]]] = {
    "lowers the recursion limit": (lowered_recursion_limit, {"a": 1}),
    "changes its input": (changes_its_state, {}),
    "writes 20 MB": (lambda s: {"a": "x" * 20_000_000}, {"a": "x" * 20_000_000}),
    "writes 20,000 keys": (lambda s: {f"k{n}": n for n in range(20_000)}, {f"k{n}": n for n in range(20_000)}),
    "writes odd keys": (lambda s: {"": 1, "\0\n\x1f": 2, "k" * 10_000: 3, "__start__": 4}, {"": 1, "\0\n\x1f": 2, "k" * 10_000: 3, "__start__": 4}),
    "runs a loop of its own that asks": (own_loop, {"a": "done"}),
}


@pytest.mark.parametrize("case", WORKING)
def test_odd_nodes_work(saver, run, cfg, case):
    node, wanted = WORKING[case]
    graph, _, _ = beside(saver, node)
    limit = sys.getrecursionlimit()
    try:
        result = run(graph, {"x": 1}, {**cfg, "max_concurrency": 1})
    finally:
        sys.setrecursionlimit(limit)
    while result.is_interrupted:
        result = run(graph, Command(resume="done"), cfg)
    assert result.state == {"x": 1, "good": 1, "last": "done", **wanted}
    assert graph.get_state(cfg).values == result.state


@pytest.mark.parametrize("stop", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
def test_what_stops_the_run_loses_nothing_that_had_finished(saver, cfg, stop):
    def node(state):
        raise stop

    graph, ran, well = beside(saver, node)
    for _ in range(2):
        with pytest.raises(stop):
            graph.invoke({"x": 1} if not graph.get_state(cfg).values else None, {**cfg, "max_concurrency": 1})
    well.append(True)
    graph.invoke(None, cfg)
    assert graph.invoke(Command(resume="done"), cfg).state == {"x": 1, "n": 1, "good": 1, "last": "done"}
    assert len(ran) <= 2  # it comes after the one that stops the run, and may not have begun


def test_a_question_is_stored_as_it_was_asked_whatever_becomes_of_its_payload(chain, saver, run, cfg, only):
    schema = {"enum": ["yes"]}

    def pay(state):
        payload = {"amount": 1}
        try:
            return {"got": interrupt(payload, schema=schema)}
        finally:
            payload["amount"] = 999
            schema["enum"].append("no")

    graph = chain(saver, pay)
    asked = only(run(graph, {"x": 1}, cfg))
    assert (asked.value, asked.schema) == ({"amount": 1}, {"enum": ["yes"]})
    assert only(graph.get_state(cfg)) == asked
    assert run(graph, Command(resume="yes"), cfg)["got"] == "yes"


@pytest.mark.parametrize("what", ["ask", "run a graph", "write to the stream"])
def test_a_thread_that_outlives_its_node_is_told_so_and_changes_nothing(chain, saver, run, cfg, what):
    go, said = threading.Event(), []
    inner = chain(None, changes_its_state)

    def late():
        go.wait(10)
        try:
            if what == "ask":
                interrupt("Late?")
            elif what == "run a graph":
                inner.invoke({"x": 1})
            else:
                writers[0]("late")
        except BaseException as error:
            said.append(error)

    threads, writers = [], []

    def starts(state):
        writers.append(get_stream_writer())
        threads.append(threading.Thread(target=contextvars.copy_context().run, args=(late,)))
        threads[0].start()
        return {"a": 1}

    def last(state):
        return {"last": interrupt("Last?")}

    graph = chain(saver, starts, last)
    before = run(graph, {"x": 1}, cfg).interrupts
    go.set()
    threads[0].join()
    assert [type(e) for e in said] == ([] if what == "write to the stream" else [OutsideNodeError])
    assert graph.get_state(cfg).interrupts == before
    assert run(graph, Command(resume="done"), cfg)["last"] == "done"


@pytest.mark.parametrize("given", [{"x": 2}, None])
def test_a_node_that_runs_its_own_thread_is_told_so_and_does_not_wait_for_itself(chain, saver, run, cfg, given):
    box = []

    def own(state):
        return {} if len(box) > 1 else box[0].invoke(given, cfg)

    box.append(chain(saver, own))
    with pytest.raises(ThreadBusyError, match="which it is part of"):
        run(box[0], {"x": 1}, cfg)
    box.append(None)
    assert run(box[0], None, cfg).state == {"x": 1}


@pytest.mark.parametrize("how", ["sync", "async"])
def test_a_graph_that_is_its_own_parent_ends_at_a_limit(saver, run, cfg, how):
    box: dict[str, Any] = {}

    def n(state):
        return {"x": 0} if box["well"] else box["graph"].invoke(state).state

    async def a(state):
        return {"x": 0} if box["well"] else (await box["graph"].ainvoke(state)).state

    builder = StateGraph().add_node("n", n if how == "sync" else a).add_edge(START, "n").add_edge("n", END)
    box |= {"graph": builder.compile(), "well": False}
    graph = builder.compile(saver)
    with pytest.raises(RecursionLimitError, match="50 deep"):
        run(graph, {"x": 1}, cfg)
    box["well"] = True
    assert run(graph, None, cfg).state == {"x": 0}


@pytest.mark.parametrize("how", ["as nodes", "called"])
def test_graphs_inside_graphs_20_deep_ask_and_are_answered(saver, run, cfg, only, how):
    graph = StateGraph().add_node("ask", lambda s: {"got": interrupt("Deep?")}).add_edge(START, "ask").add_edge("ask", END).compile()
    for level in range(20):
        node = graph if how == "as nodes" else (lambda state, inner=graph: inner.invoke({"x": 1}).state)
        graph = StateGraph().add_node(f"level {level}", node).add_edge(START, f"level {level}").compile(saver if level == 19 else None)
    asked: Interrupt = only(run(graph, {"x": 1}, cfg))
    assert asked.path == tuple(f"level {n}" for n in range(19, -1, -1))
    assert run(graph, Command(resume={asked.id: "yes"}), cfg)["got"] == "yes"
