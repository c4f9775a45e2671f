"""`bulk_update_state`: several updates, each superstep a checkpoint, all of them or none."""

from __future__ import annotations

import asyncio
from operator import add
from typing import Annotated, TypedDict

import pytest

from hitl_nb.errors import (
    ConcurrentUpdateError,
    GraphError,
    NotSerializableError,
    ThreadBusyError,
    ThreadMovedError,
    UnknownNodeError,
    UnknownThreadError,
)
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.types import END, START, Command, Send, StateUpdate


class Log(TypedDict, total=False):
    log: Annotated[list, add]
    n: int


def a(state):
    return {"log": ["a"]}


def b(state):
    return {"log": [interrupt({"b of": state.get("n")})]}


def c(state):
    return {"log": ["c"]}


@pytest.fixture(params=["sync", "async"])
def bulk(request):
    """`bulk(graph, config, supersteps)`."""
    if request.param == "sync":
        return lambda graph, config, supersteps: graph.bulk_update_state(config, supersteps)
    return lambda graph, config, supersteps: asyncio.run(graph.abulk_update_state(config, supersteps))


@pytest.fixture
def line(chain, saver):
    return chain(saver, a, b, c, schema=Log)


@pytest.fixture
def waiting(line, cfg):
    """Waits at `b`."""
    line.invoke({"log": []}, cfg)
    return cfg


def stored(saver):
    """All that can be seen of thread t-1."""
    head = saver.head("t-1")
    return head, list(saver.history("t-1")), saver.open_questions()


def test_each_superstep_is_a_checkpoint(line, waiting, bulk):
    before = list(line.get_state_history(waiting))
    config = bulk(line, waiting, [[StateUpdate({"log": ["A"]}, "a")], [StateUpdate({"log": ["B"]}, "b")], [StateUpdate({"n": 3}, "c")]])
    after = list(line.get_state_history(waiting))
    assert after[0].config == config
    assert [s.values for s in after[:3]] == [{"log": ["a", "A", "B"], "n": 3}, {"log": ["a", "A", "B"]}, {"log": ["a", "A"]}]
    assert [s.next for s in after[:3]] == [(), ("c",), ("b",)]
    assert [s.metadata for s in after[:3]] == [{"source": "update", "step": 3 - n, "writes": [w]} for n, w in enumerate("cba")]
    assert [s.parent_config for s in after[:3]] == [s.config for s in after[1:4]]
    assert after[3:] == before


def test_updates_of_one_superstep_combine_as_parallel_nodes_do(fan, saver, run, cfg, bulk):
    def left(state):
        return {"log": [interrupt("l?")]}

    def right(state):
        return {"log": [interrupt("r?")]}

    graph = fan(saver, left, right, schema=Log)
    run(graph, {"log": []}, cfg)
    bulk(graph, cfg, [[StateUpdate({"log": ["R"]}, "right"), StateUpdate({"log": ["L"], "n": 1}, "left")]])
    snapshot = graph.get_state(cfg)
    assert (snapshot.values, snapshot.next) == ({"log": ["R", "L"], "n": 1}, ())
    assert snapshot.metadata["writes"] == ["right", "left"]
    assert saver.open_questions() == []


@pytest.mark.parametrize("other", ["a", "b"])
def test_two_writes_to_a_key_without_a_reducer_are_an_error(line, saver, waiting, bulk, other):
    before = stored(saver)
    with pytest.raises(ConcurrentUpdateError, match="n"):
        bulk(line, waiting, [[StateUpdate({"n": 1}, "a"), StateUpdate({"n": 2}, other)]])
    assert stored(saver) == before


def test_updates_that_meet_at_a_join_lead_on(saver, run, cfg, bulk):
    builder = StateGraph(Log).add_node("left", b).add_node("right", b).add_node("both", c)
    graph = builder.add_edge(START, "left").add_edge(START, "right").add_edge(["left", "right"], "both").compile(saver)
    run(graph, {"log": []}, cfg)
    bulk(graph, cfg, [[StateUpdate({"log": ["L"]}, "left"), StateUpdate({"log": ["R"]}, "right")]])
    assert graph.get_state(cfg).next == ("both",)
    assert run(graph, None, cfg)["log"] == ["L", "R", "c"]


def test_a_path_function_sees_what_its_own_node_wrote(saver, run, cfg, bulk):
    builder = StateGraph(Log).add_node("one", b).add_node("two", b).add_node("x", c).add_node("y", c)
    builder.add_edge(START, "one").add_edge(START, "two")
    builder.add_conditional_edges("one", lambda s: s["log"][-1]).add_conditional_edges("two", lambda s: s["log"][-1])
    graph = builder.compile(saver)
    run(graph, {"log": []}, cfg)
    bulk(graph, cfg, [[StateUpdate({"log": ["x"]}, "one"), StateUpdate({"log": ["y"]}, "two")]])
    assert graph.get_state(cfg).next == ("x", "y")


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (StateUpdate({"n": 1}, "nobody"), UnknownNodeError),
        (StateUpdate({"n": 1}, "a", "no-task"), GraphError),
        (StateUpdate(["n"], "a"), TypeError),
        (StateUpdate({"n": object()}, "a"), NotSerializableError),
        (StateUpdate({"n": 1}, END), GraphError),
    ],
    ids=lambda x: getattr(x, "__name__", "update"),
)
def test_nothing_is_written_when_a_later_update_is_bad(line, saver, waiting, bulk, bad, error):
    before = stored(saver)
    with pytest.raises(error):
        bulk(line, waiting, [[StateUpdate({"log": ["A"]}, "a")], [bad]])
    assert stored(saver) == before


def test_an_update_of_an_old_checkpoint_that_is_bad_does_not_go_back_either(line, saver, waiting, bulk):
    old = list(line.get_state_history(waiting))[-1].config
    before = stored(saver)
    with pytest.raises(UnknownNodeError):
        bulk(line, old, [[StateUpdate({"n": 1}, "nobody")]])
    with pytest.raises(UnknownNodeError):
        line.update_state(old, {"n": 1}, as_node="nobody")
    assert stored(saver) == before


def test_a_process_that_dies_between_two_supersteps_has_written_none(line, saver, waiting, monkeypatch):
    before = stored(saver)
    real = saver._put

    def put(key, record):
        if key.startswith("c/") and key.startswith(f"c/{before[0].seq + 2:010d}"):
            raise KeyboardInterrupt
        real(key, record)

    with monkeypatch.context() as patched:
        patched.setattr(saver, "_put", put)
        with pytest.raises(KeyboardInterrupt):
            line.bulk_update_state(waiting, [[StateUpdate({"log": ["A"]}, "a")], [StateUpdate({"log": ["B"]}, "b")]])
    assert stored(saver) == before


def test_an_answer_that_comes_meanwhile_wins_and_nothing_is_updated(line, saver, waiting, cfg, monkeypatch):
    real = saver.commit_all

    def commit_all(thread_id, commits):
        if not saver.decisions(thread_id):
            with pytest.raises(ThreadBusyError):  # the answer is recorded all the same
                line.invoke(Command(resume="meanwhile"), cfg)
        return real(thread_id, commits)

    monkeypatch.setattr(saver, "commit_all", commit_all)
    with pytest.raises(ThreadMovedError):
        line.bulk_update_state(waiting, [[StateUpdate({"log": ["A"]}, "b")], [StateUpdate({"log": ["B"]}, "c")]])
    assert line.invoke(None, cfg)["log"] == ["a", "meanwhile", "c"]


def test_going_back_and_updating_is_one_change(line, saver, waiting, run, cfg, bulk, only):
    start = list(line.get_state_history(waiting))[-1].config
    bulk(line, start, [[StateUpdate({"log": ["A"], "n": 7}, "a")]])
    assert saver.open_questions() == []
    question = only(run(line, None, cfg))
    assert question.value == {"b of": 7}
    assert run(line, Command(resume="B"), cfg)["log"] == ["A", "B", "c"]
    assert [s.metadata["source"] for s in line.get_state_history(cfg, filter={"source": "fork"})] == ["fork"]


def test_questions_of_other_nodes_stay_open_and_keep_their_ids(fan, saver, run, cfg, bulk, only):
    def left(state):
        return {"log": [interrupt("l?")]}

    def right(state):
        return {"log": [interrupt("r?")]}

    graph = fan(saver, left, right, schema=Log)
    (_, of_right) = run(graph, {"log": []}, cfg).interrupts
    bulk(graph, cfg, [[StateUpdate({"log": ["1"]}, "left")], [StateUpdate({"log": ["2"]}, "left")]])
    assert only(graph.get_state(cfg)).id == of_right.id
    assert run(graph, Command(resume={of_right.id: "R"}), cfg)["log"] == ["1", "2", "R"]


def test_a_result_of_a_parallel_task_lives_through_several_supersteps(fan, saver, run, cfg, bulk):
    runs = []

    def quick(state):
        runs.append("quick")
        return {"log": ["quick"]}

    def slow(state):
        return {"log": [interrupt("s?")]}

    def other(state):
        return {"log": [interrupt("o?")]}

    graph = fan(saver, quick, slow, other, schema=Log)
    run(graph, {"log": []}, cfg)
    bulk(graph, cfg, [[StateUpdate({"n": 1}, "other")], [StateUpdate({"n": 2}, "other")]])
    assert sorted(run(graph, Command(resume="S"), cfg)["log"]) == ["S", "quick"]
    assert runs == ["quick"]


def test_a_task_id_stands_for_one_of_several_tasks_of_a_node(saver, run, cfg, bulk):
    def worker(state):
        return {"log": [interrupt(f"w{state['w']}?")]}

    builder = StateGraph(Log).add_node("worker", worker).add_conditional_edges(START, lambda s: [Send("worker", {"w": n}) for n in (1, 2)])
    graph = builder.compile(saver)
    run(graph, {"log": []}, cfg)
    tasks = graph.get_state(cfg).tasks
    bulk(graph, cfg, [[StateUpdate({"log": ["by hand"]}, "worker", tasks[0].id)]])
    (left,) = graph.get_state(cfg).tasks
    assert left.interrupts[0].value == "w2?"
    assert run(graph, Command(resume="W2"), cfg)["log"] == ["by hand", "W2"]


def test_static_pauses_stop_at_the_last_superstep_only(chain, saver, run, cfg, bulk, only):
    graph = chain(saver, a, c, schema=Log, interrupt_before="*")
    run(graph, {"log": []}, cfg)
    bulk(graph, cfg, [[StateUpdate({"log": ["1"]}, START)], [StateUpdate({"log": ["2"]}, "a")]])
    assert only(graph.get_state(cfg)).value == {"node": "c", "when": "before"}
    assert len(saver.open_questions()) == 1
    assert run(graph, None, cfg)["log"] == ["1", "2", "c"]


def test_a_new_thread_begins_with_an_update_as_its_input(line, saver, cfg, bulk):
    bulk(line, cfg, [[StateUpdate({"log": ["in"]}, START)], [StateUpdate({"log": ["A"]}, "a")]])
    assert [s.metadata["source"] for s in line.get_state_history(cfg)] == ["update", "input"]
    assert line.get_state(cfg).next == ("b",)
    assert line.invoke(None, cfg).interrupts[0].node == "b"


def test_update_state_as_start_begins_a_thread_as_invoke_does(line, saver, cfg):
    line.update_state(cfg, {"log": ["in"]}, as_node=START)
    line.invoke({"log": ["in"]}, {"configurable": {"thread_id": "t-2"}})
    assert saver.head("t-1").input_digest == saver.head("t-2").input_digest
    assert line.get_state(cfg).next == ("a",)


def test_without_its_input_a_new_thread_is_not_begun(line, saver, cfg, bulk):
    for supersteps in ([[StateUpdate({"n": 1}, "a")]], [[StateUpdate({"n": 1})]], [[StateUpdate({"n": 1}, START), StateUpdate({"n": 1}, "a")]]):
        with pytest.raises(UnknownThreadError, match="t-1"):
            bulk(line, cfg, supersteps)
    assert saver.head("t-1") is None


def test_an_update_as_end_ends_the_thread(line, saver, waiting, run, cfg, bulk):
    bulk(line, waiting, [[StateUpdate(None, END)]])
    assert line.get_state(cfg).next == ()
    assert saver.open_questions() == []
    assert run(line, None, cfg)["log"] == ["a"]


def test_results_that_are_there_count_when_a_thread_is_ended(fan, saver, run, cfg):
    def quick(state):
        return {"log": ["quick"]}

    def slow(state):
        return {"log": [interrupt("s?")]}

    graph = fan(saver, quick, slow, schema=Log)
    run(graph, {"log": []}, cfg)
    graph.update_state(cfg, None, as_node=END)
    assert graph.get_state(cfg).values == {"log": ["quick"]}


def test_plain_tuples_are_taken_too(line, waiting, bulk):
    bulk(line, waiting, [[({"log": ["A"]}, "a")], [({"log": ["B"]}, "b", None)]])
    assert line.get_state(waiting).values["log"] == ["a", "A", "B"]


@pytest.mark.parametrize("supersteps", [[], [[]], [[StateUpdate({}, "a")], []]], ids=str)
def test_nothing_to_update_is_an_error(line, waiting, bulk, supersteps):
    with pytest.raises(ValueError, match="no supersteps"):
        bulk(line, waiting, supersteps)


@pytest.mark.parametrize("supersteps", [{"n": 1}, [StateUpdate({}, "a")], [{"n": 1}], [["a"]], "ab", [[()]]], ids=str)
def test_another_shape_says_what_is_expected(line, waiting, bulk, supersteps):
    with pytest.raises(TypeError, match=r"expected .*StateUpdate"):
        bulk(line, waiting, supersteps)


def test_several_updates_of_one_superstep_name_their_nodes(line, waiting, bulk):
    with pytest.raises(GraphError, match="as_node"):
        bulk(line, waiting, [[StateUpdate({"n": 1}), StateUpdate({"n": 1}, "a")]])


def test_a_thread_that_somebody_runs_is_not_updated(line, saver, waiting, bulk):
    with saver.guard("t-1"), pytest.raises(ThreadBusyError):
        bulk(line, waiting, [[StateUpdate({"n": 1}, "a")]])
