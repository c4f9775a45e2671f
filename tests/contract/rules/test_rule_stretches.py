"""Nodes one after another, or side by side, in a run that nothing stores: they are called in one go, and nobody can tell."""

from __future__ import annotations

import asyncio
import gc
import operator
import threading
import time
import weakref
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Annotated, Any, TypedDict

import pytest

from hitl_nb import END, START, Command, MemorySaver, Overwrite, Runtime, Send, StateGraph, get_runtime, interrupt, once
from hitl_nb.errors import NoCheckpointerError, NodeOutputError, OutsideNodeError, RecursionLimitError, SwallowedInterruptError, UnknownNodeError


class State(TypedDict, total=False):
    n: int
    log: Annotated[list[str], operator.add]
    where: str


@pytest.fixture
def line(chain):
    """`line(fn, …)`: nodes a, b, c, … of these functions, one after another; without a checkpointer."""

    def make(*nodes: Any, schema: Any = State) -> Any:
        for name, fn in zip("abcdefgh", nodes, strict=False):
            fn.__name__ = name
        return chain(None, *nodes, schema=schema)

    return make


def appends(old, new):
    old.extend(new)
    return old


class Number(TypedDict):
    n: int


class Appending(TypedDict):
    log: Annotated[list[str], appends]


def plus(state):
    return {"n": state["n"] + 1, "log": [get_runtime().node]}


def node(act=None):
    """A node of its own that counts, then does this."""

    def fn(state):
        given = plus(state)
        return given if act is None else act(state)

    return fn


def outcome(call):
    """What a call came to: its value, or the error as text."""
    try:
        return call()
    except Exception as error:  # all of them are compared
        return type(error), str(error).replace("coroutine", "generator")  # which of them raised StopIteration


# -- the same as one by one ----------------------------------------------------------------------------------------------------------------


def swallow(state):
    try:
        interrupt("Go on?")
    except BaseException:  # as nodes should not
        return {"n": 1}


async def later(state):
    await asyncio.sleep(0)
    return {"n": 50}


@dataclass
class Part:
    n: int = 7


OUT_OF_THE_ORDINARY = {
    "nothing": lambda state: None,
    "a command": lambda state: Command(update={"n": 10}),
    "a command that leads on": lambda state: Command(update={"n": 10}, goto="d"),
    "a command that leads to the end": lambda state: Command(goto=END),
    "a command to nowhere": lambda state: Command(goto="nowhere"),
    "a command for a graph that is not there": lambda state: Command(graph=Command.PARENT),
    "a command with an answer": lambda state: Command(resume=1),
    "a Send": lambda state: Command(goto=Send("d", {"n": 70})),
    "an overwrite": lambda state: {"log": Overwrite(["new"])},
    "an unknown key": lambda state: {"n": 3, "strange": 1},
    "a key twice": lambda state: Command(update=[("n", 4), ("n", 5), ("log", ["x"]), ("log", ["y"])]),
    "an instance": lambda state: Part(),
    "a number": lambda state: 3,
    "a key that is no text": lambda state: {3: 3},
    "an error": lambda state: 1 // 0,
    "an error of iterators": lambda state: next(iter(())),
    "a question": lambda state: interrupt("Go on?"),
    "a question that it swallows": swallow,
    "something to await": later,
}


@pytest.mark.filterwarnings("ignore::hitl_nb.errors.UnknownStateKeyWarning")
@pytest.mark.parametrize("what", OUT_OF_THE_ORDINARY)
def test_whatever_a_node_does_in_a_stretch_comes_to_the_same_as_in_a_run_that_is_watched(line, run, what):
    calls = []

    def third(state):
        calls.append("c")
        return OUT_OF_THE_ORDINARY[what](state)

    graph = line(node(), node(), third, node(), node())
    looked_at = outcome(lambda: list(graph.stream({"n": 0, "log": []}, {}, stream_mode="values"))[-1])
    stretched = outcome(lambda: run(graph, {"n": 0, "log": []}, {}))
    assert stretched == looked_at
    assert calls == ["c", "c"]  # once in each run


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda state: 3, NodeOutputError),
        (lambda state: interrupt("Go on?"), NoCheckpointerError),
        (lambda state: Command(goto="nowhere"), UnknownNodeError),
    ],
)
def test_an_error_says_which_node_of_the_stretch_it_was(line, run, act, error):
    with pytest.raises(error) as raised:
        run(line(node(), node(act), node()), {"n": 0}, {})
    assert raised.value.node == "b"


def test_the_error_of_a_node_arrives_as_it_was_raised_and_its_traceback_shows_the_line(line, run):
    boom = KeyError("gone")

    def raises(state):
        raise boom

    with pytest.raises(KeyError) as raised:
        run(line(node(), raises, node()), {"n": 0}, {})
    assert raised.value is boom
    assert "raises" in [entry.frame.code.name for entry in raised.traceback]


@pytest.mark.parametrize("limit", [4, 5, 6])
def test_each_node_counts_as_a_superstep(line, run, limit):
    graph = line(*(node() for _ in range(5)))
    came_to = outcome(lambda: run(graph, {"n": 0}, {"recursion_limit": limit}))
    if limit < 5:
        assert came_to[0] is RecursionLimitError
        assert f"took {limit} supersteps without ending, next: e" in came_to[1]
    else:
        assert came_to["n"] == 5


def test_a_stretch_goes_through_fans_async_nodes_and_loops(run):
    """Sync, side by side, joined, async, around and around: each node as often as without stretches."""
    ran = []

    def said(state):
        ran.append(get_runtime().node)
        return {"log": [get_runtime().node]}

    async def said_later(state):
        return said(state)

    builder = StateGraph(State)
    for name in ("a", "b", "left", "right", "c", "d", "f"):
        builder.add_node(name, said)
    builder.add_node("e", said_later)
    builder.add_edge(START, "a").add_edge("a", "b").add_edge("b", "left").add_edge("b", "right").add_edge(["left", "right"], "c")
    builder.add_edge("c", "d").add_edge("d", "e").add_edge("e", "f")
    builder.add_conditional_edges("f", lambda s: "a" if len(s["log"]) < 20 else END, ["a", END])
    result = run(builder.compile(), {}, {})
    assert sorted(ran) == sorted(["a", "b", "left", "right", "c", "d", "e", "f"] * 3)
    assert result["log"] == ["a", "b", "left", "right", "c", "d", "e", "f"] * 3


# -- each node for itself ------------------------------------------------------------------------------------------------------------------


def test_each_node_has_a_context_a_runtime_and_a_task_of_its_own(line, run):
    seen, mine = [], ContextVar("mine", default="unset")

    def look(state, runtime: Runtime):
        seen.append((mine.get(), get_runtime().node, runtime.node, runtime.task_id))
        mine.set(runtime.node)

    def a_look():
        def fn(state, runtime: Runtime):
            look(state, runtime)

        return fn

    graph = line(a_look(), a_look(), a_look())
    run(graph, {"n": 0}, {})
    told = [e["name"] for e in graph.stream({"n": 0}, {}, stream_mode="tasks") if "input" in e]
    assert [s[0] for s in seen] == ["unset"] * 6
    assert [s[1] for s in seen] == [s[2] for s in seen] == told * 2
    assert len({s[3] for s in seen}) == 6


def test_tasks_have_the_ids_that_a_watched_run_tells(run):
    ids = []

    def look(state, runtime: Runtime):
        ids.append((runtime.node, runtime.task_id))

    builder = StateGraph()
    for name in ("a", "b", "c", "left", "right", "d"):
        builder.add_node(name, look)
    builder.add_edge(START, "a").add_edge("a", "b").add_edge("b", "c").add_edge("c", "left").add_edge("c", "right").add_edge(["left", "right"], "d")
    graph = builder.compile(new_nonce=lambda: "n0")
    run(graph, {"n": 0}, {})
    told = [(e["name"], e["id"]) for e in graph.stream({"n": 0}, {}, stream_mode="tasks") if "input" in e]
    assert sorted(ids[:6]) == sorted(told)


def test_a_python_thread_that_outlives_its_node_cannot_ask_while_a_later_node_runs(line, run):
    left, raised, ended = threading.Event(), [], threading.Event()

    def leaves_one_running(state):
        def go():
            left.wait(10)
            try:
                interrupt("Still there?")
            except BaseException as error:  # whatever it is
                raised.append(error)
            ended.set()

        threading.Thread(target=copy_context().run, args=(go,)).start()

    def waits_for_it(state):
        left.set()
        assert ended.wait(10)
        return {"n": 1}

    assert run(line(leaves_one_running, waits_for_it), {"n": 0}, {})["n"] == 1
    assert isinstance(raised[0], OutsideNodeError)
    assert raised[0].node == "a"


def test_once_keeps_a_value_for_one_node_of_the_stretch_and_not_for_the_next(line, run):
    made = []

    def keeping():
        return lambda state: {"n": once("key", lambda: made.append(1) or len(made)) + once("key", lambda: made.append(1) or len(made))}

    assert run(line(keeping(), keeping()), {"n": 0}, {})["n"] == 4
    assert len(made) == 2


def test_what_a_node_changes_in_place_is_seen_as_far_as_in_a_watched_run(line, run):
    def changes(state):
        state["where"] = "never written"
        state["log"].append("in place")

    def path_changes(state):
        state["n"] = 99
        state["log"].append("by the path function")
        return "b"

    builder = StateGraph(State)
    builder.add_node("a", lambda s: {"n": 1, "log": ["a"]}).add_node("b", changes).add_node("c", lambda s: {"where": str(s.get("where"))})
    builder.add_edge(START, "a").add_conditional_edges("a", path_changes, ["b"]).add_edge("b", "c")
    graph = builder.compile()
    looked_at = list(graph.stream({"n": 0, "log": ["given"]}, {}, stream_mode="values"))[-1]
    assert run(graph, {"n": 0, "log": ["given"]}, {}) == looked_at
    assert looked_at["n"] == 1
    assert looked_at["where"] == "None"
    assert looked_at["log"] == ["given", "a", "in place"]


def test_what_a_path_function_changes_is_no_write(run):
    def path(state):
        state["n"] = 99
        return "b"

    builder = StateGraph(State)
    builder.add_node("a", lambda s: {"n": 1}).add_node("b", lambda s: {"where": str(s["n"])}).add_node("c", lambda s: None)
    builder.add_edge(START, "a").add_conditional_edges("a", path, ["b"]).add_edge("b", "c")
    assert run(builder.compile(), {"n": 0}, {}) == {"n": 1, "log": [], "where": "1"}


def test_a_node_of_a_stretch_counts_for_a_join_that_it_feeds_besides_its_edge(run):
    builder = StateGraph(State)
    for name in "abcd":
        builder.add_node(name, lambda s: {"log": [get_runtime().node]})
    builder.add_edge(START, "a").add_edge("a", "b").add_edge("b", "c").add_edge(["a", "c"], "d")
    assert run(builder.compile(), {}, {})["log"] == ["a", "b", "c", "d"]


def test_a_reducer_that_appends_in_place_changes_neither_the_input_nor_what_a_node_returned(run):
    given, returned = ["given"], ["returned"]
    builder = StateGraph(Appending)
    for name in "abc":
        builder.add_node(name, lambda state: {"log": returned})
    builder.add_edge(START, "a").add_edge("a", "b").add_edge("b", "c")
    assert run(builder.compile(), {"log": given}, {})["log"] == ["given", *["returned"] * 3]
    assert (given, returned) == (["given"], ["returned"])


def test_lists_that_many_nodes_add_to_leave_what_each_of_them_returned_alone(fan, run):
    mine = [[n] for n in range(5)]

    def returning(n):
        def fn(state):
            return {"log": mine[n]}

        fn.__name__ = f"w{n}"
        return fn

    result = run(fan(None, *(returning(n) for n in range(5)), schema=State), {}, {})
    assert result["log"] == [0, 1, 2, 3, 4]
    assert mine == [[0], [1], [2], [3], [4]]


# -- graphs inside -------------------------------------------------------------------------------------------------------------------------


def test_a_node_of_a_stretch_runs_a_graph_and_takes_its_command(line, run):
    inner = line(node(), lambda s: Command(graph=Command.PARENT, update={"n": s["n"] * 100}, goto="d"))

    def calls(state):
        inner.invoke({"n": state["n"]})
        raise AssertionError("the command ends this node")

    result = run(line(node(), calls, node(), lambda s: {"where": "d", "log": ["end"]}), {"n": 1, "log": []}, {})
    assert result["n"] == 301  # the edge to the next node counts too
    assert result["log"][-1] == "end"
    assert result["where"] == "d"


def test_a_question_of_a_graph_inside_a_stretch_is_refused_there(line, run):
    inner = line(node(), lambda s: interrupt("Go on?"))
    with pytest.raises(NoCheckpointerError) as raised:
        run(line(node(), lambda s: inner.invoke({"n": 0}), node()), {"n": 0}, {})
    assert raised.value.node == "b"


# -- stopped -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_stops_a_run_stops_a_stretch_at_once(line, run, error):
    ran = []

    def stops(state):
        raise error

    def further(state):
        ran.append(state)

    with pytest.raises(error):
        run(line(node(), stops, further), {"n": 0}, {})
    assert not ran


def test_a_cancelled_ainvoke_lets_the_node_end_and_begins_no_other(line):
    begun, go_on, ran = threading.Event(), threading.Event(), []

    def holds(state):
        begun.set()
        assert go_on.wait(10)
        ran.append("b")
        return {"n": 1}

    def further(state):
        ran.append("c")

    async def main():
        task = asyncio.create_task(line(node(), holds, further).ainvoke({"n": 0}, {}))
        await asyncio.to_thread(begun.wait, 10)
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        return list(ran)

    assert asyncio.run(main()) == ["b"]


def test_the_nodes_of_an_async_run_leave_the_event_loop_free(line):
    """The first node waits for what only the event loop can do."""
    answered = threading.Event()

    async def main():
        asyncio.get_running_loop().call_later(0, answered.set)
        return await line(lambda s: {"n": int(answered.wait(10))}, node()).ainvoke({"n": 0}, {})

    assert asyncio.run(main())["n"] == 2


@dataclass
class Counted:
    """A state that refuses what its node makes of it."""

    n: int = 0
    items: list[int] = field(default_factory=list)

    def __post_init__(self):
        if self.items:
            raise ValueError("expected no items")


def test_the_class_of_the_state_is_not_made_again_of_what_a_node_that_asks_has_changed(run, cfg, saver):
    def asks(state):
        state.items.append(1)
        return {"n": interrupt("how many?"), "items": []}

    builder = StateGraph(Counted).add_node("asks", asks).add_edge(START, "asks")
    graph = builder.compile(saver)
    assert [i.value for i in run(graph, {"n": 1}, cfg)["__interrupt__"]] == ["how many?"]
    assert run(graph, Command(resume=3), cfg)["n"] == 3


def test_an_error_is_told_as_it_was_raised_although_the_class_of_the_state_would_refuse_what_the_node_changed(line, run):
    def fails(state):
        state.items.append(1)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run(line(fails, schema=Counted), {"n": 1}, {})


# -- side by side --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 5])
def test_nodes_that_wait_for_each_other_all_run(fan, run, count):
    together = threading.Barrier(count)

    def waiting(n):
        def fn(state):
            together.wait(10)
            return {"log": [n]}

        fn.__name__ = f"w{n}"
        return fn

    result = run(fan(None, *(waiting(n) for n in range(count)), schema=State), {}, {"max_concurrency": count})
    assert result["log"] == list(range(count))


@pytest.mark.parametrize("stored", [False, True])
def test_no_more_nodes_run_at_once_than_the_config_allows(run, cfg, stored):
    at_once, most, lock = [0], [0], threading.Lock()
    three = threading.Barrier(3)

    def works(argument):
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        three.wait(10)
        with lock:
            at_once[0] -= 1
        return {"log": ["x"]}

    builder = StateGraph(State)
    builder.add_node("w", works).add_conditional_edges(START, lambda s: [Send("w", n) for n in range(30)], ["w"])
    graph = builder.compile(MemorySaver() if stored else None)
    assert len(run(graph, {}, {**cfg, "max_concurrency": 3})["log"]) == 30
    assert most[0] == 3


@pytest.mark.parametrize("stored", [False, True])
def test_workers_that_come_late_to_a_superstep_do_not_add_to_those_of_the_next(run, cfg, stored):
    live, most, lock = 0, 0, threading.Lock()
    done = threading.Event()

    def quick(state):
        return None

    def slow(state):
        nonlocal live, most
        with lock:
            live += 1
            most = max(most, live)
        done.wait(0.005)  # longer than the moment after which further workers join in
        with lock:
            live -= 1

    builder = StateGraph(State)
    for n in range(5):
        builder.add_node(f"quick{n}", quick).add_node(f"slow{n}", slow).add_edge(START, f"quick{n}").add_edge(f"quick{n}", f"slow{n}")
    graph = builder.compile(checkpointer=MemorySaver() if stored else None)
    for n in range(10):
        run(graph, {"n": 0}, {"max_concurrency": 2, "configurable": {"thread_id": str(n)}})
    assert most == 2


@pytest.mark.parametrize("quick", [0, 1])
def test_what_ended_is_stored_while_a_node_beside_still_runs(fan, saver, run, cfg, quick):
    """Whichever of the two began first, or second, ends at once; the other waits until that result is in the store."""
    graph, met = None, threading.Barrier(2)

    def looks(name):
        def fn(state):
            if met.wait(10) == quick:
                return {"log": [name]}
            for _ in range(10_000):
                if any(task.result for task in graph.get_state(cfg).tasks):
                    return {"log": [name]}
                threading.Event().wait(0.001)
            raise AssertionError("the other result was not stored")

        fn.__name__ = name
        return fn

    graph = fan(saver, looks("left"), looks("right"), schema=State)
    assert sorted(run(graph, {}, cfg)["log"]) == ["left", "right"]


@pytest.mark.parametrize("stored", [False, True])
def test_workers_that_are_kept_keep_nothing_of_the_run_that_they_began_for(cfg, monkeypatch, stored):
    monkeypatch.setattr("hitl_nb.plain.threads.WORKERS._idle", [])  # so that all of them begin here
    refs: list[weakref.ref[Any]] = []
    together = threading.Barrier(3)

    class Kept:
        pass

    def holds(state):
        mine = Kept()
        refs.append(weakref.ref(mine))
        together.wait(10)
        return {} if stored else {"held": [mine]}

    builder = StateGraph()
    for n in range(3):
        builder.add_node(f"n{n}", lambda state, n=n: {f"held{n}": made} if (made := holds(state).get("held")) else None).add_edge(START, f"n{n}")
    graph = builder.compile(checkpointer=MemorySaver() if stored else None)
    assert graph.invoke({}, {**cfg, "max_concurrency": 3}) is not None
    until = time.monotonic() + 10
    while any(ref() is not None for ref in refs) and time.monotonic() < until:  # a worker may not be back yet
        gc.collect()
        time.sleep(0.001)
    assert [ref() for ref in refs] == [None] * 3


def test_nodes_side_by_side_find_no_event_loop_of_the_caller(fan):
    """So that what they do does not depend on which of them the caller's own Python thread would take."""

    def awaits(name):
        def fn(state):
            return asyncio.run(later({"n": 0})) and {"log": [name]}

        fn.__name__ = name
        return fn

    async def main():
        return fan(None, *(awaits(name) for name in "abc"), schema=State).invoke({}, {})

    assert asyncio.run(main())["log"] == ["a", "b", "c"]


def test_workers_are_there_again_after_an_error_beside_others(fan, all_rest):
    def fails(state):
        raise ValueError("no")

    def works(state):
        return {"log": ["x"]}

    graph = fan(None, fails, works, schema=State)
    for _ in range(3):
        with pytest.raises(ValueError, match="no"):
            graph.invoke({}, {})
    assert all_rest()


def test_a_question_swallowed_by_a_path_function_is_found(run):
    def path(state):
        try:
            interrupt("Where to?")
        except BaseException:  # as it should not
            return "b"

    builder = StateGraph(State)
    builder.add_node("a", plus).add_node("b", plus).add_edge(START, "a").add_conditional_edges("a", path, ["b"])
    with pytest.raises((NoCheckpointerError, SwallowedInterruptError)):
        run(builder.compile(), {"n": 0}, {})


# -- side by side --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::hitl_nb.errors.UnknownStateKeyWarning")
@pytest.mark.parametrize("sent", [False, True], ids=["edges", "Send"])
@pytest.mark.parametrize("schema", [State, Part], ids=["reducers", "instances"])
@pytest.mark.parametrize("what", OUT_OF_THE_ORDINARY)
def test_whatever_a_node_does_beside_others_comes_to_the_same_as_in_a_run_that_is_watched(run, what, schema, sent):
    calls, n = [], (lambda state: state.n if isinstance(state, Part) else state["n"])

    def second(state):
        calls.append(n(state))
        return OUT_OF_THE_ORDINARY[what](state)

    builder = StateGraph(schema)
    builder.add_node("a", lambda state: {"log": [n(state)]} if schema is State else None).add_node("b", second).add_node("c", lambda state: None)
    builder.add_node("d", lambda state: {"n": n(state) + 1})
    if sent:
        to = [Send(name, {"n": number}) for number, name in enumerate("abc")]
        builder.add_node("go", lambda state: None).add_edge(START, "go").add_conditional_edges("go", lambda state: to, list("abc"))
    else:
        builder.add_edge(START, "a").add_edge(START, "b").add_edge(START, "c")
    builder.add_edge("a", "d").add_edge("c", "d")
    graph = builder.compile()
    looked_at = outcome(lambda: list(graph.stream({"n": 0}, {}, stream_mode="values"))[-1])
    assert outcome(lambda: run(graph, {"n": 0}, {})) == looked_at
    assert len(calls) == 2


@pytest.mark.parametrize("sent", [False, True], ids=["edges", "Send"])
def test_tasks_side_by_side_have_the_ids_and_runtimes_that_a_watched_run_tells(run, sent):
    seen, mine = [], ContextVar("mine", default="unset")

    def look(state, runtime: Runtime):
        seen.append((runtime.node, runtime.task_id, get_runtime().task_id, mine.get()))
        mine.set("set")
        return Command(goto="f") if runtime.node == "d" else None

    builder = StateGraph()
    for name in "abcdef":
        builder.add_node(name, look)
    builder.add_edge(START, "a")
    if sent:
        builder.add_conditional_edges("a", lambda state: [Send("c", 1), "b", Send("c", 2), "d", Send("e", 3)], list("bcde"))
    else:
        builder.add_edge("a", "b").add_edge("a", "c").add_edge("a", "d")
    graph = builder.compile(new_nonce=lambda: "n0")
    run(graph, {"n": 0}, {})
    told = [(e["name"], e["id"], e["id"], "unset") for e in graph.stream({"n": 0}, {}, stream_mode="tasks") if "input" in e]
    assert sorted(seen[: len(told)]) == sorted(told)
    assert len(told) == (7 if sent else 5)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_stops_a_run_side_by_side_is_raised_once_the_others_have_ended(fan, run, error):
    go_on, ended = threading.Event(), []

    def stops(state):
        go_on.set()
        raise error

    def slow(state):
        assert go_on.wait(10)
        ended.append("slow")

    with pytest.raises(error):
        run(fan(None, slow, stops), {}, {})
    assert ended == ["slow"]


def test_nodes_side_by_side_leave_together_and_each_finds_its_own_question_refused(run):
    builder = StateGraph(State)
    refused = []

    def asks(state):
        try:
            interrupt(get_runtime().node)
        except NoCheckpointerError as error:
            refused.append(error.node)

    for name in "abc":
        builder.add_node(name, asks).add_edge(START, name)
    with pytest.raises(NoCheckpointerError) as raised:
        run(builder.compile(), {}, {})
    assert raised.value.node == "a"
    assert sorted(refused) == ["a", "b", "c"]


def test_a_key_that_a_node_sets_in_the_state_it_was_given_is_not_there_for_those_beside_it(run):
    builder, seen = StateGraph(State), []

    def sets(state):
        seen.append(state.get("where"))
        state["where"] = "never written"

    for name in "abc":
        builder.add_node(name, sets).add_edge(START, name)
    assert "where" not in run(builder.compile(), {"n": 0}, {})
    assert seen == [None] * 3


def test_a_dict_that_nodes_side_by_side_share_counts_as_each_of_them_returned_it(fan, run):
    shared = {}

    def writes(name):
        def fn(state):
            shared["log"] = [name]
            return shared

        fn.__name__ = name
        return fn

    assert run(fan(None, *map(writes, "abc"), schema=State), {}, {"max_concurrency": 1})["log"] == ["a", "b", "c"]


@pytest.mark.parametrize("beside", [False, True])
def test_a_key_that_no_node_may_write_is_refused_where_the_state_has_it_too(run, beside):
    schema = TypedDict("schema", {"n": int, "__interrupt__": list}, total=False)
    builder = StateGraph(schema)
    builder.add_node("a", lambda state: {"__interrupt__": []}).add_node("b", lambda state: None).add_edge(START, "a")
    builder.add_edge(START if beside else "a", "b")
    with pytest.raises(NodeOutputError, match="marks the open questions"):
        run(builder.compile(), {"n": 0}, {})


@pytest.mark.parametrize("stored", [False, True])
def test_what_comes_after_some_nodes_is_the_same_however_many_others_ran_before_them(run, cfg, stored):
    """More supersteps of different nodes than a graph keeps plans of; each leads to what its own nodes lead to."""
    names = "abcdefgh"
    builder = StateGraph(State)

    def chooses(state):
        return Command(goto=[name for bit, name in enumerate(names) if state["n"] >> bit & 1])

    def again(state):
        return {"n": state["n"] + 1, "log": ["|"]}

    builder.add_node("go", chooses).add_edge(START, "go").add_node("again", again)
    for name in names:
        builder.add_node(name, lambda state: None).add_node(f"after {name}", lambda state, name=name: {"log": [name]})
        builder.add_edge(name, f"after {name}").add_edge(f"after {name}", "again")
    builder.add_conditional_edges("again", lambda state: END if state["n"] == 256 else "go", ["go", END])
    graph = builder.compile(MemorySaver() if stored else None)
    expected = ["".join(name for bit, name in enumerate(names) if n >> bit & 1) for n in range(1, 256)]
    for n in range(2):
        result = run(graph, {"n": 1}, {"configurable": {"thread_id": str(n)}})
        assert "".join(result["log"]).split("|") == [*expected, ""]


def test_nodes_side_by_side_are_each_given_the_state_as_the_class_they_ask_for(run):
    """A dict with the keys of its class, an instance, the whole state; and of a Send what it carries."""
    seen: dict[str, Any] = {}

    def less(state: Number):
        seen["less"] = state

    def part(state: Part):
        seen["part"] = state.n

    def whole(state: State):
        seen["whole"] = state

    def sent(state: Number):
        seen["sent"] = state

    builder = StateGraph(State)
    for fn in (less, part, whole):
        builder.add_node(fn).add_edge(START, fn.__name__)
    builder.add_node(sent).add_conditional_edges(START, lambda state: Send("sent", {"any": "thing"}), ["sent"])
    run(builder.compile(), {"n": 1, "where": "here"}, {})
    all_of_it = {"n": 1, "log": [], "where": "here"}
    assert seen == {"less": {"n": 1}, "part": 1, "whole": all_of_it, "sent": {"any": "thing"}}
