"""When supersteps are stored: each before the next, while the next run, or when the run is over; and what holds in every mode."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from datetime import UTC, datetime
from operator import add
from typing import Annotated, TypedDict

import pytest

from hitl_nb.checkpoint.records import Decision
from hitl_nb.errors import InvalidAnswerError, StoreError
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.node.once import once
from hitl_nb.graph.types import END, START, Command

MODES = pytest.mark.parametrize("durability", ["sync", "async", "exit"])
LATER = pytest.mark.parametrize("durability", ["async", "exit"])


class Log(TypedDict, total=False):
    log: Annotated[list, add]


@pytest.fixture(params=["sync", "async"])
def run(request):
    """`run(graph, input, config, durability)`: invoke, or ainvoke in a new event loop."""
    if request.param == "sync":
        return lambda graph, given, config, durability: graph.invoke(given, config, durability=durability)
    return lambda graph, given, config, durability: asyncio.run(graph.ainvoke(given, config, durability=durability))


def logs(name, does=lambda: None):
    """A node that does something and writes its name."""

    def node(state):
        does()
        return {"log": [name]}

    node.__name__ = name
    return node


def asks(name, **options):
    def node(state):
        return {"log": [interrupt({"who": name}, **options)]}

    node.__name__ = name
    return node


def seen(graph, cfg):
    """What the history tells, without times and ids."""
    history = list(graph.get_state_history(cfg))[::-1]
    return [(s.values, s.next, s.metadata, [(t.name, t.error, t.result) for t in s.tasks]) for s in history]


def at(thread_id):
    return {"configurable": {"thread_id": thread_id, "reviewer": "ada"}}


# -- what is the same in every mode ------------------------------------------------------------------------------------------------------


def test_every_mode_leaves_the_same_history(saver, run, all_rest):
    def build():
        builder = StateGraph(Log)
        for node in (logs("a"), asks("left"), logs("right"), logs("b"), asks("last")):
            builder.add_node(node)
        builder.add_edge(START, "a").add_edge("a", "left").add_edge("a", "right").add_edge(["left", "right"], "b")
        return builder.add_edge("b", "last").add_edge("last", END).compile(saver)

    graph, found = build(), []
    for mode in ("sync", "async", "exit"):
        result = run(graph, {"log": ["in"]}, at(mode), mode)
        while result.is_interrupted:
            assert result.state == graph.get_state(at(mode)).values
            result = run(graph, Command(resume=f"answer {len(result['log'])}"), at(mode), mode)
        found.append((dict(result), seen(graph, at(mode)), [d.answer for d in saver.decisions(mode)]))
    assert found[0] == found[1] == found[2]
    assert len(found[0][1]) == 5
    assert all_rest()


@MODES
def test_everything_is_stored_before_a_question_is_told(chain, saver, cfg, durability):
    graph = chain(saver, logs("a"), logs("b"), asks("who"), schema=Log)
    for event in graph.stream({"log": []}, cfg, stream_mode=["updates", "tasks"], durability=durability):
        if "__interrupt__" in event[1] or event[1].get("interrupts"):
            shown = graph.get_state(cfg)
            assert shown.values == {"log": ["a", "b"]}
            assert [i.id for i in shown.interrupts] == [q.interrupt_id for q in saver.open_questions()]
    assert len(saver.open_questions()) == 1


@MODES
def test_an_answer_is_stored_before_its_node_runs_again(chain, saver, cfg, run, durability):
    stored = []

    def node(state):
        stored.append(len(saver.decisions("t-1")))
        return {"log": [interrupt("one?") + interrupt("two?")]}

    graph = chain(saver, logs("a"), node, schema=Log)
    (question,) = run(graph, {"log": []}, cfg, durability).interrupts
    assert run(graph, Command(resume={question.id: "1"}), cfg, durability).is_interrupted
    assert run(graph, Command(resume="2"), cfg, durability) == {"log": ["a", "12"]}
    assert stored == [0, 1, 2]
    assert [d.answer for d in saver.decisions("t-1")] == ["1", "2"]


@MODES
def test_an_answer_that_does_not_fit_leaves_the_question_open(chain, saver, cfg, run, durability):
    graph = chain(saver, logs("a"), asks("who", schema=bool), schema=Log)
    run(graph, {"log": []}, cfg, durability)
    with pytest.raises(InvalidAnswerError):
        run(graph, Command(resume="maybe"), cfg, durability)
    assert run(graph, Command(resume=True), cfg, durability) == {"log": ["a", True]}


@MODES
def test_what_a_node_raises_is_seen_and_what_ran_before_is_stored(chain, saver, cfg, run, durability):
    out = [True]

    def fails(state):
        if out[0]:
            raise LookupError("out")
        return {"log": ["c"]}

    ran: list[str] = []
    graph = chain(saver, logs("a", lambda: ran.append("a")), logs("b", lambda: ran.append("b")), fails, schema=Log)
    with pytest.raises(LookupError):
        run(graph, {"log": []}, cfg, durability)
    shown = graph.get_state(cfg)
    assert (shown.values, shown.next, shown.tasks[0].error) == ({"log": ["a", "b"]}, ("fails",), "builtins.LookupError: out")
    out[0] = False
    assert run(graph, None, cfg, durability) == {"log": ["a", "b", "c"]}
    assert ran == ["a", "b"]


@LATER
def test_an_event_loop_does_not_wait_for_the_disk(chain, saver, cfg, durability, monkeypatch):
    real, where = saver.commit_all, []
    monkeypatch.setattr(saver, "commit_all", lambda *a: where.append(threading.current_thread()) or real(*a))

    def raises():
        raise LookupError

    for nodes in ((logs("a"), logs("b")), (logs("a"), logs("b", raises))):
        graph = chain(saver, *nodes, schema=Log)
        with suppress(LookupError):
            asyncio.run(graph.ainvoke({"log": []}, cfg, durability=durability))
    assert len(where) >= 2
    assert threading.main_thread() not in where or not saver.blocking


@MODES
@pytest.mark.parametrize("stop_after", [1, 2, 3])
def test_breaking_off_a_stream_stores_what_was_told(chain, saver, cfg, all_rest, durability, stop_after):
    ran: list[str] = []
    graph = chain(saver, *(logs(n, lambda n=n: ran.append(n)) for n in "abcd"), schema=Log)
    for told, _ in enumerate(graph.stream({"log": []}, cfg, durability=durability), 1):
        if told == stop_after:
            break
    assert graph.get_state(cfg).values == {"log": list("abcd")[:stop_after]}
    assert all_rest()
    assert graph.invoke(None, cfg) == {"log": ["a", "b", "c", "d"]}
    assert ran == ["a", "b", "c", "d"]


@MODES
def test_breaking_off_an_async_stream_stores_what_was_told(chain, saver, cfg, durability):
    graph = chain(saver, *(logs(n) for n in "abcd"), schema=Log)

    async def main():
        told = 0
        async for _ in graph.astream({"log": []}, cfg, durability=durability):
            told += 1
            if told == 2:
                break
        return await graph.ainvoke(None, cfg, durability=durability)

    assert asyncio.run(main()) == {"log": ["a", "b", "c", "d"]}
    assert len(list(graph.get_state_history(cfg))) == 5


@MODES
def test_ctrl_c_in_a_node_stores_what_ran_before(chain, saver, cfg, durability):
    def interrupted():
        raise KeyboardInterrupt

    graph = chain(saver, logs("a"), logs("b"), logs("c", interrupted), schema=Log)
    with pytest.raises(KeyboardInterrupt):
        graph.invoke({"log": []}, cfg, durability=durability)
    assert graph.get_state(cfg).values == {"log": ["a", "b"]}
    assert graph.get_state(cfg).next == ("c",)


@MODES
@pytest.mark.parametrize("told", [True, False])
def test_an_answer_that_comes_from_elsewhere_while_a_node_runs_counts(fan, saver, cfg, run, durability, told):
    left = asks("left")

    def right(state):
        answer = interrupt({"who": "right"})
        (other,) = [q for q in saver.open_questions() if q.node == "left"]
        question = saver.question(other.interrupt_id)
        saver.answer("t-1", [Decision(question.id, "t-1", "left", -1, "from elsewhere", "Eve", datetime.now(UTC), "test", question.digest)])
        return {"log": [answer]}

    graph = fan(saver, left, right, schema=Log)
    asked = {i.node: i.id for i in run(graph, {"log": []}, cfg, durability).interrupts}
    if told:
        events = list(graph.stream(Command(resume={asked["right"]: "mine"}), cfg, durability=durability))
        assert events == [{"right": {"log": ["mine"]}}, {"left": {"log": ["from elsewhere"]}}], "an answered question was told as open"
    else:
        run(graph, Command(resume={asked["right"]: "mine"}), cfg, durability)
    assert graph.get_state(cfg).values == {"log": ["from elsewhere", "mine"]}


@MODES
def test_without_a_checkpointer_every_mode_runs(chain, durability):
    assert chain(None, logs("a"), schema=Log).invoke({"log": []}, durability=durability) == {"log": ["a"]}


def test_an_unknown_durability_is_refused_before_anything_runs(chain, saver, cfg):
    with pytest.raises(ValueError, match="durability is 'never'; expected one of sync, async, exit"):
        chain(saver, logs("a"), schema=Log).invoke({"log": []}, cfg, durability="never")
    assert saver.head("t-1") is None


# -- when --------------------------------------------------------------------------------------------------------------------------------


def stood(saver, thread_id="t-1"):
    return saver.head(thread_id).seq


@pytest.mark.parametrize(("durability", "expected"), [("sync", [0, 1, 2]), ("exit", [0, 0, 0])])
def test_where_the_store_stands_while_a_node_runs(chain, saver, cfg, run, durability, expected):
    found: list[int] = []
    graph = chain(saver, *(logs(n, lambda: found.append(stood(saver))) for n in "abc"), schema=Log)
    run(graph, {"log": []}, cfg, durability)
    assert found == expected
    assert stood(saver) == 3


def test_exit_writes_in_one_transaction_what_came_after_the_input(chain, saver, cfg, run, monkeypatch):
    written = []
    real = saver._transaction
    monkeypatch.setattr(saver, "_transaction", lambda **how: written.append(1) or real(**how))
    graph = chain(saver, *(logs(n) for n in "abcdefgh"), schema=Log)
    run(graph, {"log": []}, cfg, "exit")
    assert len(written) == 2
    assert stood(saver) == 8


def test_async_runs_the_next_superstep_while_one_is_being_written(chain, saver, cfg, run, monkeypatch):
    second_runs = threading.Event()
    real = saver.commit_all

    def slow(thread_id, commits):
        assert second_runs.wait(30), "the next superstep waited for the store"
        return real(thread_id, commits)

    monkeypatch.setattr(saver, "commit_all", slow)
    graph = chain(saver, logs("a"), logs("b", second_runs.set), schema=Log)
    assert run(graph, {"log": []}, cfg, "async") == {"log": ["a", "b"]}
    assert stood(saver) == 2


@LATER
def test_input_and_updates_are_stored_at_once(chain, saver, cfg, run, durability):
    found: list[int] = []
    graph = chain(saver, logs("a", lambda: found.append(stood(saver))), asks("who"), logs("b", lambda: found.append(stood(saver))), schema=Log)
    run(graph, {"log": []}, cfg, durability)
    run(graph, Command(update={"log": ["more"]}, resume="x"), cfg, durability)
    run(graph, {"log": ["again"]}, cfg, durability)
    assert found[0] == 0
    assert found[1] >= 2  # the update, which took the answer along
    assert found[2] == 5


@LATER
def test_results_of_parallel_tasks_wait_too_and_are_all_there_in_the_end(fan, saver, cfg, run, durability):
    graph = fan(saver, *(logs(n) for n in "abc"), schema=Log)
    assert run(graph, {"log": []}, cfg, durability) == {"log": ["a", "b", "c"]}
    first = list(saver.history("t-1"))[-1]
    assert saver.ledger("t-1", saver.head("t-1"), 0).finished.keys() == {t.id for t in first.tasks}


@LATER
def test_a_value_of_once_is_not_kept_for_a_task_that_the_store_does_not_know(chain, saver, cfg, run, durability):
    found: list[int] = []

    def pays(state):
        return {"log": [once("pay", lambda: found.append(stood(saver)) or "paid")]}

    graph = chain(saver, logs("a"), logs("b"), pays, schema=Log)
    run(graph, {"log": []}, cfg, durability)
    assert found == [2]


@LATER
def test_a_graph_inside_a_node_is_never_stored_ahead_of_its_thread(saver, cfg, run, durability):
    found: list[int] = []
    inner = StateGraph(Log).add_sequence([logs("x"), logs("y", lambda: found.append(stood(saver)))]).add_edge(START, "x").compile()
    graph = StateGraph(Log).add_sequence([logs("a"), ("inside", inner), asks("who")]).add_edge(START, "a").compile(saver)
    run(graph, {"log": []}, cfg, durability)
    assert found == [1]
    assert run(graph, Command(resume="!"), cfg, durability)["log"][-1] == "!"


@LATER
def test_a_question_inside_a_node_is_answered_in_every_mode(saver, cfg, run, durability):
    inner = StateGraph(Log).add_sequence([logs("x"), asks("who")]).add_edge(START, "x").compile()
    graph = StateGraph(Log).add_sequence([logs("a"), logs("b"), ("inside", inner), logs("c")]).add_edge(START, "a").compile(saver)
    assert run(graph, {"log": []}, cfg, durability).is_interrupted
    assert run(graph, Command(resume="!"), cfg, durability)["log"][-3:] == ["x", "!", "c"]


@LATER
def test_events_come_when_it_happens_also_where_the_store_is_behind(chain, saver, cfg, durability):
    graph = chain(saver, logs("a"), logs("b"), schema=Log)
    events = graph.stream({"log": []}, cfg, durability=durability)
    assert next(events) == {"a": {"log": ["a"]}}
    if durability == "exit":
        assert stood(saver) == 0
    events.close()
    assert stood(saver) == 1


# -- when the store fails ----------------------------------------------------------------------------------------------------------------


@LATER
@pytest.mark.parametrize("fails_at", [1, 2])
def test_an_error_of_the_store_is_raised_and_the_thread_goes_on_from_what_is_stored(
    chain, saver, cfg, run, all_rest, durability, fails_at, monkeypatch
):
    real, calls = saver.commit_all, []

    def failing(thread_id, commits):
        calls.append(len(commits))
        if len(calls) == fails_at:
            raise StoreError("the disk is full")
        return real(thread_id, commits)

    graph = chain(saver, *(logs(n) for n in "abcde"), asks("who"), logs("z"), schema=Log)
    with monkeypatch.context() as patched:
        patched.setattr(saver, "commit_all", failing)
        if durability == "exit" and fails_at == 2:
            run(graph, {"log": []}, cfg, durability)
            with pytest.raises(StoreError, match="disk is full"):
                run(graph, Command(resume="!"), cfg, durability)
        elif durability == "exit" or fails_at == 1:
            with pytest.raises(StoreError, match="disk is full"):
                run(graph, {"log": []}, cfg, durability)
        else:  # the writes of several supersteps may have been one
            with suppress(StoreError):
                run(graph, {"log": []}, cfg, durability)
    assert all_rest()
    shown = graph.get_state(cfg)
    assert shown.values["log"] == list("abcde")[: stood(saver)]
    result = run(graph, None, cfg, durability)
    if result.is_interrupted:
        result = run(graph, Command(resume="!"), cfg, durability)
    assert result == {"log": [*"abcde", "!", "z"]}
    assert [d.answer for d in saver.decisions("t-1")] == ["!"]


@LATER
def test_an_error_of_the_store_is_told_also_to_whoever_breaks_off(chain, saver, cfg, durability, monkeypatch):
    def failing(thread_id, commits):
        raise StoreError("the disk is full")

    monkeypatch.setattr(saver, "commit_all", failing)
    events = chain(saver, logs("a"), logs("b"), schema=Log).stream({"log": []}, cfg, durability=durability)
    next(events)
    with pytest.raises(StoreError, match="disk is full"):
        events.close()


@LATER
def test_an_error_of_the_store_and_one_of_a_node_are_both_told(chain, saver, cfg, durability, monkeypatch):
    def failing(thread_id, commits):
        raise StoreError("the disk is full")

    def raises():
        raise LookupError("out")

    monkeypatch.setattr(saver, "commit_all", failing)
    graph = chain(saver, logs("a", raises), schema=Log)
    with pytest.raises(StoreError) as caught:
        graph.invoke({"log": []}, cfg, durability=durability)
    assert isinstance(caught.value.__context__, LookupError)


def test_a_run_that_is_faster_than_its_writer_waits_for_it_so_that_memory_stays_flat(saver, run, cfg, monkeypatch):
    class Idle:
        """Workers that never get round to it."""

        def begin(self, work):
            pass

    sizes = []
    write = saver.commit_all
    monkeypatch.setattr("hitl_nb.graph.durability.WORKERS", Idle())
    monkeypatch.setattr(saver, "commit_all", lambda thread_id, commits: (sizes.append(len(commits)), write(thread_id, commits))[1])
    graph = StateGraph().add_node("step", lambda state: {"n": state["n"] + 1}).add_edge(START, "step")
    graph = graph.add_conditional_edges("step", lambda state: "step" if state["n"] < 500 else END).compile(checkpointer=saver)
    assert run(graph, {"n": 0}, cfg, "async")["n"] == 500
    assert sizes == [200, 200, 100]
    assert graph.get_state(cfg).values == {"n": 500}
