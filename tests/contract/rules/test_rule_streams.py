"""What the stream modes tell: tasks, checkpoints, debug, several at once, and all of it from graphs inside nodes."""

from __future__ import annotations

import asyncio
import threading
from datetime import datetime
from operator import add
from typing import Annotated, Any, TypedDict

import pytest

from hitl_nb.errors import ConcurrentUpdateError, SwallowedInterruptError
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.node.retry import RetryPolicy
from hitl_nb.graph.node.runtime import get_stream_writer
from hitl_nb.graph.types import END, START, Command, Interrupt, Send

KINDS = pytest.mark.parametrize("kind", ["sync", "async"])
ALL = ["values", "updates", "custom", "tasks", "checkpoints", "debug"]


class Log(TypedDict, total=False):
    log: Annotated[list, add]
    n: int


def a(state):
    return {"log": ["a"], "n": 1}


def ask(state):
    return {"log": [interrupt({"n": state["n"]})]}


def z(state):
    return {"log": ["z"]}


def boom(state):
    raise ValueError("no")


@pytest.fixture
def around(chain):
    """`around(saver, *inner nodes)`: a graph of the nodes `a`, `inside` (a graph of the inner nodes) and `z`."""

    def make(saver, *nodes, **options):
        inner = chain(None, *nodes, schema=Log)
        return (
            StateGraph(Log).add_sequence([a, ("inside", inner), z]).add_edge(START, "a").add_edge("z", END).compile(saver, name="around", **options)
        )

    return make


# -- tasks -----------------------------------------------------------------------------------------------------------------------------


@KINDS
def test_a_task_is_told_when_it_starts_and_when_it_ends(chain, saver, cfg, collect, kind):
    graph = chain(saver, a, z, schema=Log)
    start_a, end_a, start_z, end_z = collect(kind, graph, {"log": ["i"]}, cfg, stream_mode="tasks")
    assert start_a == {"id": start_a["id"], "name": "a", "input": {"log": ["i"]}, "triggers": ("__start__",)}
    assert end_a == {"id": start_a["id"], "name": "a", "error": None, "result": {"log": ["a"], "n": 1}, "interrupts": []}
    assert start_z == {"id": start_z["id"], "name": "z", "input": {"log": ["i", "a"], "n": 1}, "triggers": ("a",)}
    assert end_z["id"] == start_z["id"] != start_a["id"]


@KINDS
def test_a_task_that_asks_ends_with_its_question_and_starts_again_with_the_answer(chain, saver, cfg, collect, kind):
    graph = chain(saver, a, ask, schema=Log)
    *_, start, end = collect(kind, graph, {"log": []}, cfg, stream_mode="tasks")
    assert {**end, "interrupts": None} == {"id": start["id"], "name": "ask", "error": None, "result": {}, "interrupts": None}
    assert end["interrupts"] == list(graph.get_state(cfg).interrupts)
    again, ended = collect(kind, graph, Command(resume="x"), cfg, stream_mode="tasks")
    assert (again, ended["result"], ended["interrupts"]) == (start, {"log": ["x"]}, [])


@KINDS
def test_a_task_that_raises_ends_with_its_error(fan, saver, cfg, collect, kind):
    told = []
    graph = fan(saver, a, boom, schema=Log)

    async def watch():
        async for event in graph.astream({"log": []}, cfg, stream_mode="tasks"):
            told.append(event)

    with pytest.raises(ValueError, match="no"):
        told.extend(graph.stream({"log": []}, cfg, stream_mode="tasks")) if kind == "sync" else asyncio.run(watch())
    ends = {e["name"]: e for e in told if "error" in e}
    assert [e["name"] for e in told if "input" in e] == ["a", "boom"]
    assert (ends["boom"]["error"], ends["boom"]["result"]) == ("builtins.ValueError: no", {})
    assert ends["boom"]["error"] == next(t for t in graph.get_state(cfg).tasks if t.name == "boom").error
    assert (ends["a"]["error"], ends["a"]["result"]) == (None, {"log": ["a"], "n": 1})


def test_each_attempt_of_a_retried_task_belongs_to_one_start_and_one_end(saver, cfg):
    attempts = []

    def flaky(state):
        attempts.append(1)
        if len(attempts) < 3:
            raise ConnectionError
        return {"n": len(attempts)}

    builder = StateGraph(Log).add_node(flaky, retry_policy=RetryPolicy(initial_interval=0, jitter=False)).add_edge(START, "flaky")
    start, end = builder.compile(saver).stream({"log": []}, cfg, stream_mode="tasks")
    assert (start["name"], end["result"], len(attempts)) == ("flaky", {"n": 3}, 3)


def test_an_error_handler_is_told_as_a_second_execution_of_its_task(saver, cfg):
    builder = StateGraph(Log).add_node(boom, error_handler=lambda state, error: {"n": 7}).add_edge(START, "boom")
    first, raised, second, done = builder.compile(saver).stream({"log": []}, cfg, stream_mode="tasks")
    assert len({e["id"] for e in (first, raised, second, done)}) == 1
    assert (raised["error"], done["error"], done["result"]) == ("builtins.ValueError: no", None, {"n": 7})


def test_results_that_cannot_be_combined_end_their_tasks_with_that_error(fan, saver, cfg):
    def one(state):
        return {"n": 1}

    def two(state):
        return {"n": 2}

    told: list[Any] = []
    with pytest.raises(ConcurrentUpdateError):
        told.extend(fan(saver, one, two, schema=Log).stream({"log": []}, cfg, stream_mode=["tasks", "updates"]))
    last = [event for mode, event in told if mode == "tasks"][-2:]
    assert [(e["name"], "ConcurrentUpdateError" in e["error"], e["result"]) for e in last] == [("one", True, {}), ("two", True, {})]


@KINDS
def test_a_fan_out_tells_each_task_of_its_own(saver, cfg, collect, kind):
    def out(state):
        return [Send("work", {"n": i}) for i in range(5)]

    def work(state):
        return {"log": [state["n"]]}

    graph = StateGraph(Log).add_node(a).add_node(work).add_edge(START, "a").add_conditional_edges("a", out).compile(saver)
    events = collect(kind, graph, {"log": []}, cfg, stream_mode=["updates", "tasks", "values"])
    updates = [e for mode, e in events if mode == "updates"]
    assert sorted(e["work"]["log"][0] for e in updates[1:]) == [0, 1, 2, 3, 4]
    starts = [e for mode, e in events if mode == "tasks" and "input" in e][1:]
    assert [e["input"] for e in starts] == [{"n": i} for i in range(5)]
    assert [e["triggers"] for e in starts] == [("a",)] * 5
    ends = [e for mode, e in events if mode == "tasks" and "result" in e][1:]
    assert {e["id"]: e["result"]["log"] for e in ends} == {s["id"]: [s["input"]["n"]] for s in starts}
    assert [e for mode, e in events if mode == "values"][-1] == {"log": ["a", 0, 1, 2, 3, 4], "n": 1}


def test_a_start_is_told_right_before_the_task_runs(chain, saver, cfg):
    ran = []

    def node(state):
        ran.append("node")

    for event in chain(saver, node).stream({}, cfg, stream_mode="tasks"):
        assert ran == ([] if "input" in event else ["node"])


def test_an_end_is_told_once_it_is_stored(fan, saver, cfg):
    graph = fan(saver, a, ask, schema=Log)
    for event in graph.stream({"log": [], "n": 5}, cfg, stream_mode="tasks"):
        if "error" in event:
            stored = next(t for t in graph.get_state(cfg).tasks if t.name == event["name"])
            assert stored.result == (event["result"] or None)
            assert list(stored.interrupts) == event["interrupts"]


def test_without_a_checkpointer_tasks_are_told_too(chain):
    events = list(chain(None, a, z, schema=Log).stream({"log": []}, stream_mode=["tasks", "checkpoints"]))
    assert [(mode, e["name"]) for mode, e in events] == [("tasks", "a"), ("tasks", "a"), ("tasks", "z"), ("tasks", "z")]


# -- checkpoints -----------------------------------------------------------------------------------------------------------------------


@KINDS
def test_each_stored_checkpoint_is_told_as_get_state_shows_it(chain, saver, cfg, collect, kind):
    graph = chain(saver, a, ask, schema=Log)
    events = collect(kind, graph, {"log": ["i"]}, cfg, stream_mode="checkpoints")
    events += collect(kind, graph, Command(resume="x"), cfg, stream_mode="checkpoints")
    history = list(graph.get_state_history(cfg))[::-1]
    assert [e["config"] for e in events] == [s.config for s in history]
    for event, shown in zip(events, history, strict=True):
        assert set(event) == {"config", "parent_config", "values", "metadata", "created_at", "next", "tasks"}
        assert (event["values"], tuple(event["next"]), event["metadata"]) == (shown.values, shown.next, shown.metadata)
        assert (event["parent_config"], event["created_at"]) == (shown.parent_config, shown.created_at)
        assert [(t["id"], t["name"], t["error"], t["interrupts"]) for t in event["tasks"]] == [(t.id, t.name, None, ()) for t in shown.tasks]
    assert events[-1]["next"] == []


def test_an_update_and_a_fork_are_checkpoints_too(chain, saver, cfg):
    graph = chain(saver, a, ask, schema=Log)
    graph.invoke({"log": []}, cfg)
    (_, values), (_, first), (mode, _), *_ = graph.stream(
        Command(update={"n": 5}, resume="x"), cfg, stream_mode=["values", "checkpoints", "tasks"]
    )  # fmt: skip
    assert (values, mode) == ({"log": ["a"], "n": 5}, "tasks")
    assert (first["metadata"]["source"], first["values"]["n"], first["next"]) == ("update", 5, ["ask"])
    earlier = list(graph.get_state_history(cfg))[-1].config
    (fork, *_) = graph.stream(None, earlier, stream_mode="checkpoints")
    assert (fork["metadata"]["source"], fork["next"], fork["parent_config"]) == ("fork", ["a"], earlier)


def test_a_checkpoint_is_told_once_it_is_stored(chain, saver, cfg):
    graph = chain(saver, a, z, schema=Log)
    for event in graph.stream({"log": []}, cfg, stream_mode="checkpoints"):
        assert graph.get_state(cfg).config == event["config"]


# -- debug, and several at once ----------------------------------------------------------------------------------------------------------


@KINDS
def test_debug_wraps_tasks_and_checkpoints_in_order(chain, saver, cfg, collect, kind):
    graph = chain(saver, a, z, schema=Log)
    events = collect(kind, graph, {"log": []}, cfg, stream_mode=["debug", "tasks", "checkpoints"])
    wrapped = [e for mode, e in events if mode == "debug"]
    assert [e["payload"] for e in wrapped] == [e for mode, e in events if mode != "debug"]
    assert [(e["type"], e["step"]) for e in wrapped] == [
        ("checkpoint", -1),
        ("task", 0), ("task_result", 0), ("checkpoint", 0),
        ("task", 1), ("task_result", 1), ("checkpoint", 1),
    ]  # fmt: skip
    assert all(datetime.fromisoformat(e["timestamp"]).tzinfo for e in wrapped)


@KINDS
def test_all_modes_at_once_come_in_one_order(chain, saver, cfg, collect, kind):
    def talks(state):
        get_stream_writer()("hi")

    told = collect(kind, chain(saver, talks, schema=Log), {"log": []}, cfg, stream_mode=ALL)
    assert [mode for mode, _ in told] == [
        "values", "checkpoints", "debug",
        "tasks", "debug", "custom", "updates", "tasks", "debug",
        "values", "checkpoints", "debug",
    ]  # fmt: skip


def test_a_list_of_one_mode_yields_pairs_and_a_name_does_not(chain, saver, cfg):
    graph = chain(saver, a, schema=Log)
    assert list(graph.stream({"log": []}, cfg, stream_mode=["updates"])) == [("updates", {"a": {"log": ["a"], "n": 1}})]


# -- events are the consumer's own -------------------------------------------------------------------------------------------------------


def _spoil(value):
    if isinstance(value, dict):
        for item in list(value.values()):
            _spoil(item)
        value["spoilt"] = True
    elif isinstance(value, list | tuple):
        for item in value:
            _spoil(item)
        if isinstance(value, list):
            value.append("spoilt")
    elif isinstance(value, Interrupt):
        _spoil(value.value)


@pytest.mark.parametrize("stored", [True, False])
@KINDS
def test_a_consumer_that_changes_events_changes_nothing_else(saver, cfg, kind, stored):
    class State(TypedDict, total=False):
        log: Annotated[list, add]
        deep: dict
        large: list

    seen: list[str] = []

    def left(state):
        return {"log": [["left"]], "large": [list(range(3000))]}

    def right(state):
        return {"log": [[interrupt({"what": ["this"]}) if stored else "yes"]]}

    def last(state):
        seen.append(repr(state))

    def finish(spoil):
        builder = StateGraph(State).add_node(left).add_node(right).add_node(last)
        builder.add_edge(START, "left").add_edge(START, "right").add_edge(["left", "right"], "last")
        graph, config = builder.compile(saver if stored else None), {"configurable": {"thread_id": f"t-{spoil}"}}

        async def watch(given):
            async for _, event in graph.astream(given, config, stream_mode=ALL):
                spoil(event)

        for given in ({"deep": {"x": [1]}, "log": []}, Command(resume="yes"))[: 1 + stored]:
            if kind == "async":
                asyncio.run(watch(given))
                continue
            for _, event in graph.stream(given, config, stream_mode=ALL):
                spoil(event)
        return repr(graph.get_state(config).values) if stored else ""

    assert finish(_spoil) == finish(lambda event: None)
    assert len(seen) == 2
    assert seen[0] == seen[1]


def test_what_cannot_be_copied_is_handed_out_as_it_is(chain):
    lock = threading.Lock()

    def node(state):
        return {"lock": lock, "n": [1]}

    *_, last = chain(None, node).stream({}, stream_mode="values")
    assert last == {"lock": lock, "n": [1]}


@pytest.mark.parametrize("mode", ["updates", "values", "custom"])
def test_nothing_is_made_for_a_mode_that_nobody_wants(chain, saver, cfg, mode, monkeypatch):
    def never(*args, **more):
        raise AssertionError

    monkeypatch.setattr("hitl_nb.graph.stream._ended", never)
    monkeypatch.setattr("hitl_nb.graph.stream.snapshot", never)
    assert len(list(chain(saver, a, z, schema=Log).stream({"log": []}, cfg, stream_mode=mode))) == {"updates": 2, "values": 3, "custom": 0}[mode]


# -- graphs inside nodes -----------------------------------------------------------------------------------------------------------------


@KINDS
def test_what_happens_inside_a_node_comes_with_its_place_in_every_mode(around, saver, cfg, collect, kind):
    def talks(state):
        get_stream_writer()("inside")
        return {"log": ["talks"]}

    graph = around(saver, talks)
    told = collect(kind, graph, {"log": []}, cfg, stream_mode=ALL, subgraphs=True)
    outer = [(mode, event) for path, mode, event in told if path == ()]
    task_id = next(e["id"] for mode, e in outer if mode == "tasks" and e["name"] == "inside")
    inner = [(mode, event) for path, mode, event in told if path]
    assert {path for path, _, _ in told} == {(), (f"inside:{task_id}",)}
    assert [mode for mode, _ in inner] == [
        "values", "checkpoints", "debug",
        "tasks", "debug", "custom", "updates", "tasks", "debug",
        "values", "checkpoints", "debug",
    ]  # fmt: skip
    assert ("updates", {"talks": {"log": ["talks"]}}) in inner
    only_outer = collect(kind, graph, {"log": []}, {"configurable": {"thread_id": "t-2"}}, stream_mode=ALL)
    assert [mode for mode, _ in only_outer] == [mode for mode, _ in outer]


def test_a_checkpoint_from_inside_is_named_so_that_get_state_finds_it(around, saver, cfg):
    graph = around(saver, a, ask)
    inner = [event for path, event in graph.stream({"log": []}, cfg, stream_mode="checkpoints", subgraphs=True) if path]
    assert [e["next"] for e in inner] == [["a"], ["ask"]]
    (task,) = graph.get_state(cfg, subgraphs=True).tasks
    assert task.state.config == inner[-1]["config"]
    assert task.state.values == inner[-1]["values"]


@KINDS
def test_a_question_from_inside_is_told_at_each_level_once_the_thread_has_stored_it(chain, saver, cfg, kind):
    inmost = chain(None, a, ask, schema=Log)
    middle = StateGraph(Log).add_node("inner", inmost).add_edge(START, "inner").compile()
    graph = StateGraph(Log).add_node("outer", middle).add_edge(START, "outer").compile(saver)
    seen = []

    def look(told):
        path, mode, event = told
        if mode != "tasks" and "__interrupt__" in event:
            found = event["__interrupt__"]
        elif mode == "tasks" and event.get("interrupts"):
            found = event["interrupts"]
        else:
            return
        assert {i.id for i in found} == {q.interrupt_id for q in saver.open_questions()}
        seen.append((len(path), mode))

    options: dict[str, Any] = {"stream_mode": ["updates", "values", "tasks"], "subgraphs": True}
    if kind == "sync":
        for told in graph.stream({"log": []}, cfg, **options):
            look(told)
    else:

        async def main():
            async for told in graph.astream({"log": []}, cfg, **options):
                look(told)

        asyncio.run(main())
    assert sorted(seen) == [(level, mode) for level in range(3) for mode in ("tasks", "updates", "values")]


def test_a_question_that_a_node_swallows_is_not_told(chain, saver, cfg):
    inner = chain(None, a, ask, schema=Log)

    def careless(state):
        try:
            inner.invoke({"log": []})
        except BaseException:  # what must not be done
            return {"log": ["?"]}

    told: list[Any] = []
    with pytest.raises(SwallowedInterruptError):
        told.extend(chain(saver, careless, schema=Log).stream({"log": []}, cfg, stream_mode=["updates", "tasks"], subgraphs=True))
    assert saver.open_questions() == []
    assert not [event for _, _, event in told if "__interrupt__" in event or event.get("interrupts")]


@pytest.mark.parametrize("subgraphs", [False, True])
@KINDS
def test_a_command_for_the_graph_around_is_told_as_the_update_of_its_node(saver, cfg, collect, kind, subgraphs):
    def up(state):
        return Command(graph=Command.PARENT, goto="z", update={"log": ["up"]})

    inner = StateGraph(Log).add_node(up).add_edge(START, "up").compile()
    graph = StateGraph(Log).add_node("inside", inner).add_node(z).add_edge(START, "inside").compile(saver)
    told = collect(kind, graph, {"log": []}, cfg, stream_mode="updates", subgraphs=subgraphs)
    assert told == [((), e) if subgraphs else e for e in ({"inside": {"log": ["up"]}}, {"z": {"log": ["z"]}})]


# -- breaking off ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop_after", range(1, 10))
@pytest.mark.parametrize("mode", ["custom", "tasks", "checkpoints"])
@KINDS
def test_breaking_off_leaves_the_thread_usable_and_nothing_running(around, saver, cfg, all_rest, kind, mode, stop_after):
    def talks(state):
        write = get_stream_writer()
        for n in range(3):
            write(n)
        return {"log": ["talks"]}

    graph = around(saver, talks, talks_too := _named(talks, "talks_too"))
    assert talks_too
    if kind == "sync":
        for told, _ in enumerate(graph.stream({"log": []}, cfg, stream_mode=mode, subgraphs=True), 1):
            if told == stop_after:
                break
        assert all_rest()
        assert graph.invoke(None, cfg) == {"log": ["a", "talks", "talks_too", "z"], "n": 1} or _finished(graph, cfg)
    else:

        async def main():
            told = 0
            async for _ in graph.astream({"log": []}, cfg, stream_mode=mode, subgraphs=True):
                told += 1
                if told == stop_after:
                    break
            return await graph.ainvoke(None, cfg)

        asyncio.run(main())
    assert _finished(graph, cfg)


def _finished(graph, cfg):
    return graph.get_state(cfg).values["log"] == ["a", "a", "talks", "talks_too", "z"] and graph.get_state(cfg).next == ()


def _named(fn, name):
    def node(state):
        return {"log": [name]} | {k: v for k, v in fn(state).items() if k != "log"}

    node.__name__ = name
    return node


def test_a_consumer_that_waits_holds_up_the_next_superstep(chain, saver, cfg):
    ran = []

    def first(state):
        ran.append("first")

    def second(state):
        ran.append("second")

    events = chain(saver, first, second).stream({}, cfg)
    assert list(next(events)) == ["first"]
    assert ran == ["first"]
    events.close()
