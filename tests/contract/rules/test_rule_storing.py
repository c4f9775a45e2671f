"""R22 and what is written: values come back as they were, what cannot be stored names its path and poisons nothing, only changes are written."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from uuid import UUID

import numpy as np
import pandas as pd
import pytest

from hitl_nb.checkpoint.memory import MemorySaver
from hitl_nb.errors import NotSerializableError
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.types import END, START, Command, Send


class Model:
    """Something no store can take."""


class Color(Enum):
    RED = "red"


@pytest.mark.parametrize(
    "value",
    [
        datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
        date(2026, 1, 2),
        time(3, 4, tzinfo=UTC),
        timedelta(days=-1, microseconds=5),
        Decimal("1.10"),
        UUID(int=5),
        Path("a/b"),
        b"\x00\xff",
        {1, 2},
        frozenset({"x"}),
        (1, (2, [3])),
        Color.RED,
        np.int64(7),
        np.float32(0.5),
        pd.Timestamp("2026-01-02", tz="Europe/Madrid"),
        {1: "int key", (1, 2): "tuple key"},
    ],
    ids=lambda v: type(v).__name__,
)
def test_a_value_comes_back_as_it_was_in_state_payload_and_answer(chain, saver, cfg, only, value):
    def ask(state):
        return {"got": interrupt({"shown": state["v"]}), "v2": state["v"]}

    graph = chain(saver, ask)
    question = only(graph.invoke({"v": value}, cfg))
    shown = only(graph.get_state(cfg)).value["shown"]
    result = graph.invoke(Command(resume={question.id: value}), cfg)
    stored = graph.get_state(cfg).values
    for back in (shown, result["got"], stored["v"], stored["v2"], stored["got"], saver.decisions("t-1")[0].answer):
        assert back == value
        assert type(back) is type(value)


def test_a_data_frame_in_the_payload_survives_the_pause(chain, saver, cfg, only):
    frame = pd.DataFrame({"when": pd.to_datetime(["2026-01-01", "2026-01-02"]), "n": [1, 2]}, index=["a", "b"])

    def ask(state):
        interrupt({"rows": state["frame"]})

    graph = chain(saver, ask)
    graph.invoke({"frame": frame}, cfg)
    pd.testing.assert_frame_equal(only(graph.get_state(cfg)).value["rows"], frame)
    pd.testing.assert_frame_equal(graph.get_state(cfg).values["frame"], frame)


def test_a_payload_that_cannot_be_stored_names_its_path_and_the_thread_goes_on(chain, saver, run, cfg):
    broken = [True]

    def before(state):
        return {"n": 1}

    def ask(state):
        return {"got": interrupt({"rows": [{"model": Model() if broken[0] else "text"}]})}

    graph = chain(saver, before, ask)
    with pytest.raises(NotSerializableError, match=r"payload\['rows'\]\[0\]\['model'\].*Model") as caught:
        run(graph, {}, cfg)
    assert caught.value.path == "payload['rows'][0]['model']"
    snapshot = graph.get_state(cfg)
    assert snapshot.next == ("ask",)
    assert "NotSerializableError" in snapshot.tasks[0].error
    assert snapshot.values == {"n": 1}
    assert saver.open_questions() == []
    broken[0] = False
    assert run(graph, None, cfg).is_interrupted
    assert run(graph, Command(resume=1), cfg) == {"n": 1, "got": 1}


@pytest.mark.parametrize("parallel", [False, True])
def test_a_state_value_that_cannot_be_stored_names_its_path_and_the_thread_goes_on(chain, fan, saver, run, cfg, parallel):
    broken, runs = [True], []

    def bad(state):
        return {"frames": [0, 1, 2, {"model": Model() if broken[0] else "text"}]}

    def other(state):
        runs.append(1)
        return {"other": 1}

    graph = (fan if parallel else chain)(saver, bad, other)
    with pytest.raises(NotSerializableError, match="Model") as caught:
        run(graph, {}, cfg)
    assert caught.value.path == "state['frames'][3]['model']"
    assert "state['frames'][3]" in graph.get_state(cfg).tasks[0].error
    broken[0] = False
    assert run(graph, None, cfg)["other"] == 1
    assert len(runs) == 1


def test_input_that_cannot_be_stored_starts_no_thread(chain, saver, run, cfg):
    def node(state):
        return {}

    with pytest.raises(NotSerializableError, match=r"\['m'\]"):
        run(chain(saver, node), {"m": Model()}, cfg)
    assert saver.head("t-1") is None


def test_an_update_that_cannot_be_stored_changes_nothing(chain, saver, run, cfg):
    def node(state):
        return {"n": 1}

    graph = chain(saver, node)
    run(graph, {}, cfg)
    before = saver.head("t-1")
    with pytest.raises(NotSerializableError, match=r"state\['m'\]"):
        graph.update_state(cfg, {"m": Model()})
    assert saver.head("t-1") == before


def test_a_send_whose_argument_cannot_be_stored_names_its_node(saver, run, cfg):
    graph = (
        StateGraph()
        .add_node("plan", lambda s: Command(goto=Send("work", {"m": Model()})))
        .add_node("work", lambda s: None)
        .add_edge(START, "plan")
        .compile(saver)
    )
    with pytest.raises(NotSerializableError, match=r"Send\('work'"):
        run(graph, {}, cfg)
    assert graph.get_state(cfg).next == ("plan",)


def test_without_a_checkpointer_any_value_may_be_in_the_state(chain, run):
    model = Model()

    def node(state):
        return {"again": state["m"]}

    assert run(chain(None, node), {"m": model}, {})["again"] is model


def test_an_error_text_that_is_no_valid_unicode_is_recorded(chain, saver, run, cfg):
    def node(state):
        raise ValueError("half a pair: \ud800")

    graph = chain(saver, node)
    with pytest.raises(ValueError, match="half"):
        run(graph, {}, cfg)
    assert "half a pair" in graph.get_state(cfg).tasks[0].error


# -- only what changed ----------------------------------------------------------------------------------------------------------------


def stored_bytes(saver):
    return sum(len(k) + len(v) for k, v in saver._records.items())


def test_an_unchanged_large_array_is_written_once_in_five_steps(cfg):
    saver = MemorySaver()
    builder = StateGraph()
    before = START
    for n in range(5):
        builder.add_node(f"n{n}", lambda s: {"step": s["step"] + 1}).add_edge(before, f"n{n}")
        before = f"n{n}"
    graph = builder.add_node("ask", lambda s: {"got": interrupt("?")}).add_edge(before, "ask").compile(saver)
    array = np.arange(5 * 2**20 // 8, dtype=np.int64)
    graph.invoke({"array": array, "step": 0}, cfg)
    after_run = stored_bytes(saver)
    assert array.nbytes < after_run < array.nbytes + 20_000
    result = graph.invoke(Command(resume=1), cfg)
    assert stored_bytes(saver) < after_run + 5_000
    assert np.array_equal(result["array"], array)


def test_a_large_value_that_is_returned_unchanged_is_not_written_again(cfg):
    saver = MemorySaver()
    graph = (
        StateGraph()
        .add_node("same", lambda s: {"array": s["array"].copy(), "n": s["n"] + 1})
        .add_edge(START, "same")
        .add_conditional_edges("same", lambda s: "same" if s["n"] < 5 else END)
        .compile(saver)
    )
    array = np.zeros(2**17)
    graph.invoke({"array": array, "n": 0}, cfg)
    assert sum(k.startswith("v/") for k in saver._records) == 1
    assert stored_bytes(saver) < array.nbytes + 20_000


def test_a_change_of_a_large_value_is_written_and_the_old_one_can_be_read(saver, cfg):
    graph = (
        StateGraph()
        .add_node("change", lambda s: {"array": s["array"] + 1, "n": s["n"] + 1})
        .add_edge(START, "change")
        .add_conditional_edges("change", lambda s: "change" if s["n"] < 3 else END)
        .compile(saver)
    )
    graph.invoke({"array": np.zeros(10_000), "n": 0}, cfg)
    assert [s.values["array"][0] for s in graph.get_state_history(cfg)] == [3, 2, 1, 0]


def test_a_value_that_goes_from_small_to_large_and_back_is_read_right_at_each_step(saver, cfg):
    values = ["s", "L" * 10_000, "s", "M" * 10_000, "L" * 10_000, "s"]

    def step(state):
        return Command(update={"v": values[state["n"]], "n": state["n"] + 1}, goto="step" if state["n"] + 1 < len(values) else END)

    graph = StateGraph().add_node(step).add_edge(START, "step").compile(saver)
    graph.invoke({"n": 0}, cfg)
    assert [s.values.get("v") for s in graph.get_state_history(cfg)] == [*reversed(values), None]


def test_a_question_costs_one_batch_of_events_and_no_checkpoint(cfg):
    saver = MemorySaver()
    graph = StateGraph().add_node("ask", lambda s: {"got": interrupt("?")}).add_edge(START, "ask").compile(saver)
    graph.invoke({}, cfg)
    count = len(saver._records)
    for _ in range(5):
        graph.invoke(None, cfg)
        graph.get_state(cfg)
    assert len(saver._records) == count


# -- no aliases -----------------------------------------------------------------------------------------------------------------------


def test_what_the_caller_does_to_its_objects_does_not_reach_the_store(chain, saver, cfg):
    def ask(state):
        return {"got": interrupt({"rows": state["rows"]})}

    graph = chain(saver, ask)
    given = {"rows": [[1], [2]]}
    result = graph.invoke(given, cfg)
    given["rows"][0].append("changed by the caller")
    result["rows"].append("changed in the result")
    result.interrupts[0].value["rows"].clear()
    snapshot = graph.get_state(cfg)
    snapshot.values["rows"].clear()
    snapshot.interrupts[0].value["rows"].append("changed in the snapshot")
    assert graph.get_state(cfg).values == {"rows": [[1], [2]]}
    assert graph.get_state(cfg).interrupts[0].value == {"rows": [[1], [2]]}
    assert graph.invoke(Command(resume=1), cfg) == {"rows": [[1], [2]], "got": 1}


def test_what_the_caller_does_to_an_answer_does_not_reach_the_store(chain, saver, cfg):
    def ask(state):
        return {"got": interrupt("first"), "and": interrupt("second")}

    graph = chain(saver, ask)
    question = graph.invoke({}, cfg).interrupts[0]
    answer = {"rows": [1]}
    graph.invoke(Command(resume={question.id: answer}), cfg)
    answer["rows"].append("later")
    assert saver.decisions("t-1")[0].answer == {"rows": [1]}
    assert graph.invoke(Command(resume=2), cfg)["got"] == {"rows": [1]}


def test_a_node_that_changes_its_state_in_place_finds_it_fresh_when_it_runs_again(chain, saver, run, cfg):
    """Also within one run: a list of answers re-runs the node in the same process."""

    def two(state):
        state["rows"].append("mine")
        got = [interrupt(f"a{len(state['rows'])}"), interrupt(f"b{len(state['rows'])}")]
        return {"rows": state["rows"], "got": got}

    graph = chain(saver, two)
    run(graph, {"rows": []}, cfg)
    assert run(graph, Command(resume=["A", "B"]), cfg) == {"rows": ["mine"], "got": ["A", "B"]}


def test_two_graphs_on_one_saver_keep_their_threads_apart(chain, saver, cfg):
    def one(state):
        return {"got": interrupt("one")}

    def two(state):
        return {"got": interrupt("two")}

    first, second = chain(saver, one), chain(saver, two)
    first.invoke({}, cfg)
    second.invoke({}, {"configurable": {"thread_id": "t-2"}})
    assert {(q.thread_id, q.node) for q in saver.open_questions()} == {("t-1", "one"), ("t-2", "two")}
    first.invoke(Command(resume=1), cfg)
    assert [q.thread_id for q in saver.open_questions()] == ["t-2"]
