"""R18 and looking at threads: history is append-only, any checkpoint can be read, forked and replayed, and questions of others survive an update."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from operator import add
from typing import Annotated, TypedDict

import pytest

from hitl_nb.errors import (
    AnswerError,
    EmptyInputError,
    GraphError,
    RecursionLimitError,
    ThreadWaitingError,
    UnknownInterruptError,
    UnknownNodeError,
    UnknownThreadError,
)
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.types import END, START, Command


class Log(TypedDict):
    log: Annotated[list, add]
    n: int


def a(state):
    return {"log": ["a"], "n": 1}


def ask(state):
    return {"log": [interrupt({"n": state["n"]})]}


def z(state):
    return {"log": ["z"]}


@pytest.fixture
def ended(chain, saver, run, cfg):
    graph = chain(saver, a, ask, z, schema=Log)
    run(graph, {"log": []}, cfg)
    run(graph, Command(resume="x"), cfg)
    return graph


def test_history_tells_the_thread_newest_first(ended, cfg):
    history = list(ended.get_state_history(cfg))
    assert [s.values["log"] for s in history] == [["a", "x", "z"], ["a", "x"], ["a"], []]
    assert [s.next for s in history] == [(), ("z",), ("ask",), ("a",)]
    assert [s.metadata["step"] for s in history] == [2, 1, 0, -1]
    assert [s.metadata["writes"] for s in history] == [["z"], ["ask"], ["a"], []]
    assert [s.parent_config for s in history] == [s.config for s in history[1:]] + [None]
    times = [s.created_at for s in history]
    assert times == sorted(times, reverse=True)


def test_history_can_be_cut_short_and_begun_below_a_checkpoint(ended, cfg):
    history = list(ended.get_state_history(cfg))
    assert list(ended.get_state_history(cfg, limit=2)) == history[:2]
    assert list(ended.get_state_history(cfg, before=history[1].config)) == history[2:]
    assert list(ended.get_state_history(cfg, before=history[0].config, limit=1)) == history[1:2]


def test_every_checkpoint_can_be_read_by_its_config(ended, cfg):
    for snapshot in ended.get_state_history(cfg):
        assert ended.get_state(snapshot.config) == snapshot


def test_an_unknown_thread_reads_as_empty_and_runs_nothing(chain, saver, run, cfg):
    graph = chain(saver, a, schema=Log)
    snapshot = graph.get_state(cfg)
    assert (snapshot.values, snapshot.next, snapshot.tasks, snapshot.interrupts) == ({}, (), (), ())
    assert list(graph.get_state_history(cfg)) == []
    with pytest.raises(UnknownThreadError, match="t-1"):
        graph.update_state(cfg, {"n": 1})
    with pytest.raises(UnknownThreadError):
        graph.advance(cfg)
    with pytest.raises(EmptyInputError, match="t-1"):
        run(graph, None, cfg)


@pytest.mark.parametrize("checkpoint", ["nonsense", "", "12", "abc-x"])
def test_a_malformed_checkpoint_id_is_refused(ended, checkpoint):
    with pytest.raises(UnknownThreadError, match="checkpoint"):
        ended.get_state({"configurable": {"thread_id": "t-1", "checkpoint_id": checkpoint}})


def test_a_checkpoint_that_does_not_exist_is_refused(ended, cfg):
    head = ended.get_state(cfg).config["configurable"]["checkpoint_id"]
    later = head[:-1] + "9"
    with pytest.raises(UnknownThreadError, match="0 to 3"):
        ended.get_state({"configurable": {"thread_id": "t-1", "checkpoint_id": later}})


def test_going_back_forks_asks_anew_and_appends_to_the_history(ended, saver, run, cfg, only):
    history = list(ended.get_state_history(cfg))
    old = saver.decisions("t-1")[0].interrupt_id
    question = only(run(ended, None, history[2].config))
    assert question.value == {"n": 1}
    assert question.id != old
    with pytest.raises(AnswerError):
        run(ended, Command(resume={old: "again"}), cfg)
    assert run(ended, Command(resume="y"), cfg) == {"log": ["a", "y", "z"], "n": 1}
    after = list(ended.get_state_history(cfg))
    assert after[-len(history) :] == history
    assert [d.answer for d in saver.decisions("t-1")] == ["x", "y"]


def test_replaying_runs_what_comes_after_and_nothing_before(chain, saver, run, cfg):
    runs = []

    def one(state):
        runs.append("one")

    def two(state):
        runs.append("two")

    graph = chain(saver, one, two)
    run(graph, {}, cfg)
    middle = next(s for s in graph.get_state_history(cfg) if s.next == ("two",))
    run(graph, None, middle.config)
    assert runs == ["one", "two", "two"]


def test_going_back_withdraws_the_open_question(chain, saver, run, cfg, only):
    def first(state):
        return {"a": interrupt("first")}

    def second(state):
        return {"b": interrupt("second")}

    graph = chain(saver, first, second)
    run(graph, {}, cfg)
    left = only(run(graph, Command(resume=1), cfg))
    start = list(graph.get_state_history(cfg))[-1].config
    new = only(run(graph, None, start))
    assert new.value == "first"
    assert [q.interrupt_id for q in saver.open_questions()] == [new.id]
    with pytest.raises(UnknownInterruptError, match="no longer asked"):
        run(graph, Command(resume={left.id: 1}), cfg)


def test_an_old_checkpoint_can_be_forked_with_other_values(ended, run, cfg, only):
    history = list(ended.get_state_history(cfg))
    forked = ended.update_state(history[2].config, {"n": 7}, as_node="a")
    assert ended.get_state(forked).values == {"log": ["a"], "n": 7}
    assert ended.get_state(cfg).config == forked
    assert only(run(ended, None, cfg)).value == {"n": 7}
    assert list(ended.get_state_history(cfg))[-len(history) :] == history


def test_a_fork_does_not_touch_what_it_was_forked_from(ended, run, cfg):
    history = list(ended.get_state_history(cfg))
    run(ended, None, history[2].config)
    run(ended, Command(resume="other"), cfg)
    assert [ended.get_state(s.config).values for s in history] == [s.values for s in history]


def test_update_state_is_taken_as_the_last_node(chain, saver, run, cfg, only):
    graph = chain(saver, a, ask, z, schema=Log)
    run(graph, {"log": []}, cfg)
    graph.update_state(cfg, {"log": ["edited"]})
    snapshot = graph.get_state(cfg)
    assert snapshot.values["log"] == ["a", "edited"]
    assert snapshot.next == ("ask",)
    assert snapshot.metadata["writes"] == ["a"]
    assert snapshot.metadata["source"] == "update"


def test_update_state_as_a_node_goes_on_behind_it(chain, saver, run, cfg):
    graph = chain(saver, a, ask, z, schema=Log)
    run(graph, {"log": []}, cfg)
    graph.update_state(cfg, {"log": ["instead"]}, as_node="ask")
    assert graph.get_state(cfg).next == ("z",)
    assert saver.open_questions() == []
    assert run(graph, None, cfg)["log"] == ["a", "instead", "z"]


def test_update_state_follows_the_conditional_edges_of_its_node(saver, run, cfg):
    graph = (
        StateGraph()
        .add_node("pick", lambda s: {"to": interrupt("where?")})
        .add_node("left", lambda s: {"went": "left"})
        .add_node("right", lambda s: {"went": "right"})
        .add_edge(START, "pick")
        .add_conditional_edges("pick", lambda s: s["to"])
        .compile(saver)
    )
    run(graph, {}, cfg)
    graph.update_state(cfg, {"to": "right"}, as_node="pick")
    assert graph.get_state(cfg).next == ("right",)
    assert run(graph, None, cfg)["went"] == "right"


def test_update_state_uses_the_reducers(chain, saver, run, cfg):
    graph = chain(saver, a, ask, schema=Log)
    run(graph, {"log": ["i"]}, cfg)
    graph.update_state(cfg, {"log": ["u"], "n": 5})
    assert graph.get_state(cfg).values == {"log": ["i", "a", "u"], "n": 5}


def test_update_state_as_an_unknown_node_fails_and_changes_nothing(chain, saver, run, cfg):
    graph = chain(saver, a, ask, schema=Log)
    run(graph, {"log": []}, cfg)
    before = saver.head("t-1")
    with pytest.raises(UnknownNodeError, match="known: a, ask"):
        graph.update_state(cfg, {"n": 1}, as_node="nobody")
    assert saver.head("t-1") == before


def test_update_state_after_parallel_nodes_asks_whom_it_stands_for(fan, saver, run, cfg):
    def left(state):
        return {"l": 1}

    def right(state):
        return {"r": 1}

    graph = fan(saver, left, right)
    run(graph, {}, cfg)
    with pytest.raises(GraphError, match="as_node"):
        graph.update_state(cfg, {"x": 1})


@pytest.fixture
def pending(fan, saver, run, cfg):
    """`a_side` and `b_side` both ask; each shows a part of the state."""

    def a_side(state):
        return {"a": interrupt({"a of": state["n"]})}

    def b_side(state):
        return {"b": interrupt({"b of": state.get("m", 0)})}

    graph = fan(saver, a_side, b_side)
    return graph, run(graph, {"n": 1}, cfg).interrupts


def test_updating_as_one_pending_node_keeps_the_question_of_the_other(pending, saver, run, cfg, only):
    graph, (a_question, b_question) = pending
    graph.update_state(cfg, {"a": "by hand"}, as_node="a_side")
    snapshot = graph.get_state(cfg)
    assert only(snapshot).id == b_question.id
    assert snapshot.next == ("b_side",)
    assert [q.interrupt_id for q in saver.open_questions()] == [b_question.id]
    with pytest.raises(UnknownInterruptError):
        run(graph, Command(resume={a_question.id: 1}), cfg)
    assert only(run(graph, None, cfg)).id == b_question.id
    result = run(graph, Command(resume={b_question.id: "B"}), cfg)
    assert (result["a"], result["b"]) == ("by hand", "B")


def test_the_answer_to_a_carried_question_counts_without_running_in_between(pending, run, cfg):
    graph, (_, b_question) = pending
    graph.update_state(cfg, {"a": "by hand"}, as_node="a_side")
    result = run(graph, Command(resume={b_question.id: "B"}), cfg)
    assert (result["a"], result["b"]) == ("by hand", "B")


def test_a_carried_question_is_refreshed_when_the_state_changed_it(pending, saver, run, cfg, only):
    graph, (_, b_question) = pending
    graph.update_state(cfg, {"m": 9}, as_node="a_side")
    assert only(graph.get_state(cfg)).id == b_question.id  # not run yet: what is stored is what was asked
    question = only(run(graph, None, cfg))
    assert question.value == {"b of": 9}
    assert question.id != b_question.id
    assert [q.interrupt_id for q in saver.open_questions()] == [question.id]


def test_a_time_that_an_update_changes_is_a_changed_question(chain, saver, run, cfg, only):
    """However little it moves: what was approved is the transfer at that time."""
    done = []

    def transfer(state):
        if interrupt({"transfer at": state["at"]}):
            done.append(state["at"])

    graph = chain(saver, transfer)
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    old = only(run(graph, {"at": at}, cfg))
    graph.update_state(cfg, {"at": at + timedelta(seconds=30)})
    result = run(graph, Command(resume={old.id: True}), cfg)
    assert done == []
    assert only(result).value == {"transfer at": at + timedelta(seconds=30)}


def test_a_question_that_shows_the_clock_can_be_answered_after_an_update(fan, saver, run, cfg, only):
    """Asked anew once after the update, as its time could be what changed; then it stays the same question."""
    now = [datetime(2026, 3, 1, 12, tzinfo=UTC)]

    def left(state):
        return {"l": interrupt("l?")}

    def right(state):
        now[0] += timedelta(minutes=5)
        return {"r": interrupt({"asked at": now[0]})}

    graph = fan(saver, left, right, now=lambda: now[0])
    run(graph, {}, cfg)
    graph.update_state(cfg, {"l": "by hand"}, as_node="left")
    question = only(run(graph, None, cfg))
    assert only(run(graph, None, cfg)).id == question.id
    assert run(graph, Command(resume={question.id: "R"}), cfg)["r"] == "R"


def test_new_input_on_a_finished_thread_goes_on_from_its_state(ended, run, cfg):
    result = run(ended, {"log": ["again"]}, cfg)
    assert result["log"] == ["a", "x", "z", "again", "a"]
    assert result.is_interrupted


def test_new_input_at_an_open_question_is_refused_and_loses_nothing(chain, saver, run, cfg, only):
    graph = chain(saver, a, ask, schema=Log)
    question = only(run(graph, {"log": []}, cfg))
    with pytest.raises(ThreadWaitingError, match="another thread_id"):
        run(graph, {"log": ["new"]}, cfg)
    assert only(graph.get_state(cfg)).id == question.id


def test_the_recursion_limit_ends_an_endless_loop_and_keeps_the_state(saver, run, cfg):
    graph = StateGraph().add_node("loop", lambda s: Command(update={"n": s["n"] + 1}, goto="loop")).add_edge(START, "loop").compile(saver)
    with pytest.raises(RecursionLimitError, match="recursion_limit"):
        run(graph, {"n": 0}, {**cfg, "recursion_limit": 7})
    assert graph.get_state(cfg).values == {"n": 7}
    assert graph.get_state(cfg).next == ("loop",)


def test_a_run_of_exactly_the_limit_ends_well(saver, run, cfg):
    graph = (
        StateGraph()
        .add_node("loop", lambda s: Command(update={"n": s["n"] + 1}, goto="loop" if s["n"] < 6 else END))
        .add_edge(START, "loop")
        .compile(saver)
    )
    assert run(graph, {"n": 0}, {**cfg, "recursion_limit": 7}) == {"n": 7}


@pytest.mark.parametrize("config", [{}, {"configurable": {}}, {"thread_id": "t-1"}], ids=str)
def test_a_config_without_a_thread_says_what_is_expected(chain, saver, run, config):
    with pytest.raises(TypeError, match="thread_id"):
        run(chain(saver, a, schema=Log), {"log": []}, config)


@pytest.mark.parametrize("thread", [1, None, "", "a\nb", "x" * 513], ids=repr)
def test_a_bad_thread_id_is_refused(chain, saver, thread):
    with pytest.raises((TypeError, ValueError), match="thread_id"):
        chain(saver, a, schema=Log).invoke({"log": []}, {"configurable": {"thread_id": thread}})
