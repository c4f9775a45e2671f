"""R13: what invoke and stream hand out, and that nothing is told before it is stored."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from operator import add
from typing import Annotated, Any, TypedDict

import numpy as np
import pytest

from hitl_nb.errors import ConcurrentUpdateError, NotSerializableError
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.types import Command, GraphResult, Interrupt


class Log(TypedDict):
    log: Annotated[list, add]
    n: int


def a(state):
    return {"log": ["a"], "n": 1}


def ask(state):
    return {"log": [interrupt({"n": state["n"]})]}


def z(state):
    return {"log": ["z"]}


def counted(name, runs):
    def node(state):
        runs.append(name)
        return {"log": [name]}

    node.__name__ = name
    return node


def test_a_result_is_the_state_at_the_pause_plus_the_marker(chain, saver, run, cfg):
    result = run(chain(saver, a, ask, z, schema=Log), {"log": ["input"], "n": 0}, cfg)
    assert isinstance(result, dict)
    assert {k: v for k, v in result.items() if k != "__interrupt__"} == {"log": ["input", "a"], "n": 1} == result.state
    assert type(result["__interrupt__"]) is list
    assert result.is_interrupted
    assert result.next == ("ask",)
    assert list(result.interrupts) == result["__interrupt__"]


def test_a_finished_result_has_no_marker(chain, saver, run, cfg):
    graph = chain(saver, a, ask, z, schema=Log)
    run(graph, {"log": []}, cfg)
    result = run(graph, Command(resume="x"), cfg)
    assert result == {"log": ["a", "x", "z"], "n": 1}
    assert not result.is_interrupted
    assert result.interrupts == ()
    assert result.next == ()


def test_a_result_and_the_snapshot_tell_the_same(chain, saver, run, cfg):
    graph = chain(saver, a, ask, z, schema=Log)
    result = run(graph, {"log": []}, cfg)
    snapshot = graph.get_state(cfg)
    assert result.state == snapshot.values
    assert result.next == snapshot.next
    assert result.interrupts == snapshot.interrupts


def test_an_interrupt_reads_as_an_object_and_as_a_mapping(chain, saver, cfg, only):
    due = datetime(2030, 1, 1, tzinfo=UTC)

    def node(state):
        interrupt({"q": 1}, schema=bool, deadline=due, assignee="legal")

    question = only(chain(saver, node).invoke({}, cfg))
    assert isinstance(question, Interrupt)
    assert question["value"] == question.value == {"q": 1}
    assert set(question) == {"value", "id", "node", "schema", "created_at", "deadline", "assignee", "path", "four_eyes", "quorum", "votes"}
    assert question["node"] == "node"
    assert question["assignee"] == "legal"
    assert question["deadline"] == due
    assert question.created_at.tzinfo is not None
    assert len(question["id"]) == 32
    assert question.get("nothing") is None
    with pytest.raises(KeyError):
        question["nothing"]


def test_a_deadline_given_as_a_span_is_stored_with_the_question(chain, saver, cfg, only):
    now = [datetime(2026, 1, 1, 12, tzinfo=UTC)]

    def node(state):
        interrupt("?", deadline=timedelta(hours=1))

    graph = chain(saver, node, now=lambda: now[0])
    first = only(graph.invoke({}, cfg))
    now[0] += timedelta(hours=5)
    graph.update_state(cfg, {"x": 1})
    again = only(graph.invoke(None, cfg))
    assert first.deadline == again.deadline == datetime(2026, 1, 1, 13, tzinfo=UTC)
    assert first.created_at == again.created_at
    assert saver.open_questions()[0].deadline == first.deadline


def test_an_interrupt_is_json_serialisable_whatever_its_payload(chain, saver, cfg, only):
    payload = {
        "when": datetime(2026, 1, 2, tzinfo=UTC),
        "span": timedelta(seconds=5),
        "set": {1},
        "tuple": (1, 2),
        "bytes": b"\xff",
        "decimal": Decimal("1.10"),
        "array": np.arange(3),
        "scalar": np.int64(4),
        "nan": float("nan"),
        3: "number key",
    }

    def node(state):
        interrupt(payload)

    shown = json.loads(json.dumps(only(chain(saver, node).invoke({}, cfg)).to_dict(), allow_nan=False))
    assert shown["value"]["when"] == "2026-01-02T00:00:00+00:00"
    assert shown["value"]["array"] == [0, 1, 2]
    assert shown["value"]["scalar"] == 4
    assert shown["value"]["nan"] == "nan"
    assert shown["value"]["3"] == "number key"


def test_a_result_without_marker_is_a_plain_dict_in_json():
    assert json.loads(json.dumps(GraphResult({"a": 1}))) == {"a": 1}


# -- streams ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_updates_come_in_order_one_for_each_node(chain, saver, cfg, collect, kind):
    graph = chain(saver, a, ask, z, schema=Log)
    first = collect(kind, graph, {"log": []}, cfg)
    assert first[0] == {"a": {"log": ["a"], "n": 1}}
    assert [i.value for i in first[1]["__interrupt__"]] == [{"n": 1}]
    assert len(first) == 2
    assert collect(kind, graph, Command(resume="x"), cfg) == [{"ask": {"log": ["x"]}}, {"z": {"log": ["z"]}}]
    assert collect(kind, graph, None, cfg) == []


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_values_come_after_the_input_and_each_superstep(chain, saver, cfg, collect, kind):
    graph = chain(saver, a, ask, z, schema=Log)
    first = collect(kind, graph, {"log": ["i"], "n": 0}, cfg, stream_mode="values")
    assert first[:2] == [{"log": ["i"], "n": 0}, {"log": ["i", "a"], "n": 1}]
    assert [i.value for i in first[2]["__interrupt__"]] == [{"n": 1}]
    rest = collect(kind, graph, Command(resume="x"), cfg, stream_mode="values")
    assert [e["log"] for e in rest] == [["i", "a", "x"], ["i", "a", "x", "z"]]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_several_modes_yield_pairs(chain, saver, cfg, collect, kind):
    events = collect(kind, chain(saver, a, z, schema=Log), {"log": []}, cfg, stream_mode=["updates", "values"])
    assert [(mode, sorted(event)) for mode, event in events] == [
        ("values", ["log"]),
        ("updates", ["a"]),
        ("values", ["log", "n"]),
        ("updates", ["z"]),
        ("values", ["log", "n"]),
    ]


def test_an_unknown_mode_is_refused_before_anything_runs(chain, saver, cfg):
    with pytest.raises(ValueError, match="values, updates"):
        list(chain(saver, a, schema=Log).stream({"log": []}, cfg, stream_mode="messages"))
    assert saver.head("t-1") is None


def test_a_node_that_returns_nothing_is_told_too(chain, saver, cfg):
    def quiet(state):
        return None

    assert list(chain(saver, quiet).stream({}, cfg)) == [{"quiet": None}]


@pytest.mark.parametrize("mode", ["updates", "values"])
def test_each_event_is_stored_when_it_is_told(chain, saver, cfg, mode):
    graph = chain(saver, a, ask, schema=Log)
    for event in graph.stream({"log": []}, cfg, stream_mode=mode):
        stored = graph.get_state(cfg)
        if "__interrupt__" in event:
            assert stored.interrupts == tuple(event["__interrupt__"])
        elif mode == "values":
            assert stored.values == event
        else:
            assert stored.values["log"] == ["a"]


def test_what_a_parallel_node_wrote_is_stored_when_it_is_told(fan, saver, cfg):
    graph = fan(saver, a, ask, schema=Log)
    for event in graph.stream({"log": [], "n": 5}, cfg):
        if "a" in event:
            assert next(t for t in graph.get_state(cfg).tasks if t.name == "a").result == {"log": ["a"], "n": 1}


def test_a_result_that_could_not_be_stored_is_not_told(chain, saver, cfg):
    told: list[Any] = []

    def bad(state):
        return {"n": object()}

    graph = chain(saver, a, bad, schema=Log)
    with pytest.raises(NotSerializableError):
        told.extend(graph.stream({"log": []}, cfg))
    assert [list(event) for event in told] == [["a"]]


def test_results_that_could_not_be_combined_are_not_told(fan, cfg):
    def one(state):
        return {"n": 1}

    def two(state):
        return {"n": 2}

    told: list[Any] = []
    with pytest.raises(ConcurrentUpdateError):
        told.extend(fan(None, one, two, schema=Log).stream({"log": []}, cfg))
    assert told == []


@pytest.mark.parametrize("stop_after", [1, 2, 3])
@pytest.mark.parametrize("mode", ["updates", "values"])
def test_breaking_out_of_a_stream_loses_nothing(chain, saver, cfg, stop_after, mode):
    runs: list[str] = []
    graph = chain(saver, *(counted(n, runs) for n in "abcd"), schema=Log)
    for told, _ in enumerate(graph.stream({"log": []}, cfg, stream_mode=mode), 1):
        if told == stop_after:
            break
    assert graph.invoke(None, cfg) == {"log": ["a", "b", "c", "d"]}
    assert runs == ["a", "b", "c", "d"]


@pytest.mark.parametrize("stop_after", [1, 2])
def test_breaking_out_of_an_async_stream_leaves_the_thread_free_at_once(chain, saver, cfg, stop_after):
    graph = chain(saver, a, ask, z, schema=Log)

    async def main():
        told = 0
        async for _ in graph.astream({"log": []}, cfg):
            told += 1
            if told == stop_after:
                break
        return await graph.ainvoke(None, cfg)

    assert [i.value for i in asyncio.run(main()).interrupts] == [{"n": 1}]


def test_breaking_out_among_parallel_nodes_keeps_what_was_told(fan, saver, cfg):
    runs: list[str] = []
    graph = fan(saver, *(counted(n, runs) for n in "abc"), schema=Log)
    for event in graph.stream({"log": []}, cfg):
        (told,) = event
        break
    assert sorted(graph.invoke(None, cfg)["log"]) == ["a", "b", "c"]
    assert runs.count(told) == 1


def test_closing_a_stream_frees_the_thread(chain, saver, cfg):
    graph = chain(saver, a, ask, schema=Log)
    events = graph.stream({"log": []}, cfg)
    next(events)
    events.close()
    assert graph.invoke(None, cfg).is_interrupted


def test_an_error_in_the_consumer_of_a_stream_frees_the_thread(chain, saver, cfg):
    graph = chain(saver, a, ask, schema=Log)

    def consume():
        for _ in graph.stream({"log": []}, cfg):
            raise LookupError("consumer")

    with pytest.raises(LookupError) as caught:
        consume()
    assert caught.value.__traceback__ is not None  # held on to, as a notebook does with its last error
    assert graph.invoke(None, cfg).is_interrupted
