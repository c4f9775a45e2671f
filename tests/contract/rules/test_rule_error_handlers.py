"""error_handler: what failed is handed to a function that may ask a person; the node does not run again for the answer."""

from __future__ import annotations

from operator import add
from typing import Annotated, TypedDict

import pytest

from hitl_nb.checkpoint.disk import DiskCacheSaver
from hitl_nb.errors import InvalidAnswerError, NodeOutputError, SwallowedInterruptError, UnknownInterruptError
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.node.failure import NodeError
from hitl_nb.graph.node.retry import RetryPolicy
from hitl_nb.graph.types import START, Command, Send

QUICK = RetryPolicy(initial_interval=0, jitter=False)


class Log(TypedDict, total=False):
    log: Annotated[list, add]
    item: str


def test_ask_a_person_when_it_fails_is_one_line(saver, run, cfg, runs):
    def work(state):
        runs["work"] += 1
        raise OSError("no network")

    graph = (
        StateGraph(Log)
        .add_node("work", work, error_handler=lambda state, error: {"log": [interrupt(f"{error.node} failed: {error.error}. Use what instead?")]})
        .add_edge(START, "work")
        .compile(saver)
    )
    (asked,) = run(graph, {}, cfg).interrupts
    assert (asked.value, asked.node) == ("work failed: no network. Use what instead?", "work")
    assert graph.get_state(cfg).tasks[0].error == "builtins.OSError: no network"
    assert run(graph, Command(resume="the cache"), cfg)["log"] == ["the cache"]
    assert runs["work"] == 1


def test_the_handler_runs_in_another_process_and_reads_the_same_error(tmp_path, run, cfg, make, runs):
    class OddError(Exception):
        def __init__(self, one, two):
            super().__init__(f"{one} and {two}")

    def work(state):
        runs["work"] += 1
        raise OddError("this", "that")

    def handler(state, error: NodeError):
        runs["handler"] += 1
        answer = interrupt({"text": f"{type(error.error).__name__}: {error.error}", "trace": error.traceback, "n": error.node})
        return {"log": [answer]}

    def build():
        return make(DiskCacheSaver(tmp_path), work, error_handler=handler)

    (asked,) = run(build(), {}, cfg).interrupts
    assert asked.value["text"] == "OddError: this and that"
    assert run(build(), Command(resume="A"), cfg)["log"] == ["A"]
    assert runs == {"work": 1, "handler": 2}


@pytest.mark.parametrize(
    "error",
    [KeyError("a"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), OSError(2, "No such file"), ValueError(), ExceptionGroup("g", [ValueError(1)]),
     ValueError("\ud800")],
    ids=repr,
)  # fmt: skip
def test_the_text_of_an_error_is_the_same_in_each_run_of_the_handler(saver, run, cfg, make, error):
    def work(state):
        raise error

    def handler(state, failed):
        return {"log": [interrupt("one?" + repr(str(failed.error))), interrupt("two?" + repr(str(failed.error)))]}

    graph = make(saver, work, error_handler=handler)
    first = run(graph, {}, cfg).interrupts[0].value
    second = run(graph, Command(resume=1), cfg).interrupts[0].value
    assert second == "two?" + first.removeprefix("one?")
    assert run(graph, Command(resume=2), cfg)["log"] == [1, 2]


def test_an_async_handler_with_questions_after_those_of_the_node(saver, run, cfg, make, runs):
    async def work(state):
        runs["work"] += 1
        name = interrupt("which file?")
        raise OSError(f"{name} is missing")

    async def handler(state, error):
        runs["handler"] += 1
        one = interrupt(f"{error.error}: retry?")
        return {"log": [one, interrupt("sure?")]}

    graph = make(saver, work, error_handler=handler)
    run(graph, {}, cfg)
    assert run(graph, Command(resume="a.txt"), cfg).interrupts[0].value == "a.txt is missing: retry?"
    run(graph, Command(resume="no"), cfg)
    assert run(graph, Command(resume="yes"), cfg)["log"] == ["no", "yes"]
    assert runs == {"work": 2, "handler": 3}
    assert [d.answer for d in saver.decisions("t-1")] == ["a.txt", "no", "yes"]


def test_a_handler_may_route(saver, run, cfg):
    def work(state):
        raise OSError("gone")

    builder = StateGraph(Log).add_node("work", work, error_handler=lambda state, error: Command(update={"log": ["handled"]}, goto="other"))
    graph = builder.add_node("other", lambda state: {"log": ["other"]}).add_edge(START, "work").compile(saver)
    assert run(graph, {}, cfg)["log"] == ["handled", "other"]


def test_retries_come_before_the_handler(saver, run, cfg, make, runs):
    def work(state):
        runs["work"] += 1
        raise ConnectionError("gone")

    def handler(state, error):
        return {"log": [interrupt("?")]}

    graph = make(saver, work, retry_policy=QUICK, error_handler=handler)
    run(graph, {}, cfg)
    assert runs["work"] == 3
    assert run(graph, Command(resume="A"), cfg)["log"] == ["A"]
    assert runs["work"] == 3


def test_a_later_attempt_that_fails_before_its_question_does_not_give_the_answer_to_the_handler(saver, run, cfg, make, runs):
    def work(state):
        runs["work"] += 1
        if runs["work"] > 2:
            raise ConnectionError("gone at once")
        interrupt("delete?")
        raise ConnectionError("gone later")

    def handler(state, error):
        return {"log": [interrupt("pay?")]}

    graph = make(saver, work, retry_policy=QUICK, error_handler=handler)
    run(graph, {}, cfg)
    assert run(graph, Command(resume="yes, delete"), cfg).interrupts[0].value == "pay?"
    assert run(graph, Command(resume="no"), cfg)["log"] == ["no"]


def test_a_handler_that_raises_runs_again_and_not_the_node(saver, run, cfg, make, runs):
    broken = [True]

    def work(state):
        runs["work"] += 1
        raise OSError("gone")

    def handler(state, error):
        runs["handler"] += 1
        answer = interrupt(f"{error.error}?")
        if broken[0]:
            raise ValueError("the handler's own")
        return {"log": [answer]}

    graph = make(saver, work, error_handler=handler)
    run(graph, {}, cfg)
    with pytest.raises(ValueError, match="own"):
        run(graph, Command(resume="A"), cfg)
    assert graph.get_state(cfg).tasks[0].error == "builtins.ValueError: the handler's own"
    broken[0] = False
    assert run(graph, None, cfg)["log"] == ["A"]
    assert runs == {"work": 1, "handler": 3}


def test_an_answer_that_does_not_fit_the_handlers_schema_is_refused(saver, run, cfg, make):
    def work(state):
        raise OSError("gone")

    graph = make(saver, work, error_handler=lambda state, error: {"log": [interrupt("?", schema=bool)]})
    run(graph, {}, cfg)
    with pytest.raises(InvalidAnswerError):
        run(graph, Command(resume="yes"), cfg)
    assert run(graph, Command(resume=False), cfg)["log"] == [False]


def test_sends_fail_each_for_itself(saver, run, cfg, runs):
    def work(state):
        runs[state["item"]] += 1
        if state["item"] == "b":
            return {"log": ["b"]}
        raise OSError(state["item"])

    def handler(state, error):
        return {"log": [state["item"] + interrupt(f"{error.error}?")]}

    graph = (
        StateGraph(Log)
        .add_node("work", work, error_handler=handler)
        .add_conditional_edges(START, lambda state: [Send("work", {"item": i}) for i in "abc"])
        .compile(saver)
    )
    a, c = run(graph, {}, cfg).interrupts
    assert [a.value, c.value] == ["a?", "c?"]
    run(graph, Command(resume={c.id: "2"}), cfg)
    assert run(graph, Command(resume={a.id: "1"}), cfg)["log"] == ["a1", "b", "c2"]
    assert runs == {"a": 1, "b": 1, "c": 1}


@pytest.mark.parametrize("which", ["node", "handler"])
def test_a_question_of_the_node_or_of_its_handler_can_be_reopened(saver, run, cfg, make, runs, which):
    def work(state):
        runs["work"] += 1
        if (name := interrupt("name?")) == "bad":
            raise OSError("bad name")
        return {"log": [name]}

    def handler(state, error):
        runs["handler"] += 1
        return {"log": [interrupt("what now?"), interrupt("sure?")]}

    graph = make(saver, work, error_handler=handler)
    (name,) = run(graph, {}, cfg).interrupts
    (what,) = run(graph, Command(resume="bad"), cfg).interrupts
    (sure,) = run(graph, Command(resume="stop"), cfg).interrupts
    assert runs == {"work": 2, "handler": 2}
    if which == "node":
        graph.reopen(cfg, name.id)
        (again,) = run(graph, None, cfg).interrupts
        assert again.value == "name?"
        assert saver.open_question(sure.id) is None
        assert run(graph, Command(resume="good"), cfg)["log"] == ["good"]
        assert runs["handler"] == 2
    else:
        graph.reopen(cfg, what.id)
        (again,) = run(graph, None, cfg).interrupts
        assert (again.value, again.id != what.id) == ("what now?", True)
        run(graph, Command(resume="go on"), cfg)
        assert run(graph, Command(resume="yes"), cfg)["log"] == ["go on", "yes"]
        assert runs["work"] == 2
    with pytest.raises(UnknownInterruptError):
        run(graph, Command(resume={sure.id: "late"}), cfg) if which == "node" else graph.reopen(cfg, "0" * 32)


def test_a_question_of_a_handler_can_be_reopened_when_the_thread_has_moved_on(saver, run, cfg, runs):
    def work(state):
        runs["work"] += 1
        if runs["work"] == 1:
            raise OSError("gone")
        return {"log": ["the node itself"]}

    builder = StateGraph(Log).add_node("work", work, error_handler=lambda state, error: {"log": [interrupt("what now?")]})
    graph = builder.add_node("end", lambda state: {"log": ["end"]}).add_edge(START, "work").add_edge("work", "end").compile(saver)
    (asked,) = run(graph, {}, cfg).interrupts
    assert run(graph, Command(resume="A"), cfg)["log"] == ["A", "end"]
    graph.reopen(cfg, asked.id)
    assert run(graph, None, cfg).interrupts[0].value == "what now?"
    assert run(graph, Command(resume="B"), cfg)["log"] == ["B", "end"]
    assert runs["work"] == 1


def test_what_hitl_nb_refuses_never_goes_to_a_handler(saver, run, cfg, make):
    called = []

    def swallows(state):
        try:
            interrupt("?")
        except BaseException:
            return {"log": ["went on"]}

    with pytest.raises(SwallowedInterruptError):
        run(make(saver, swallows, error_handler=lambda state, error: called.append(error)), {}, cfg)
    with pytest.raises(NodeOutputError):
        run(make(saver, lambda state: 7, error_handler=lambda state, error: called.append(error)), {}, {"configurable": {"thread_id": "t-2"}})
    assert called == []


def test_a_handler_ends_what_the_graph_in_its_node_still_asked_and_a_reopened_answer_there_brings_it_back(saver, run, cfg, fan, make, runs):
    def ask(state):
        return {"log": [interrupt("other?")]}

    def risky(state):
        if (go := interrupt("go?")) == "yes":
            raise OSError("gone")
        return {"log": [go]}

    graph = make(saver, fan(None, ask, risky, schema=Log), error_handler=lambda state, error: {"log": [interrupt(f"{error.error}: what now?")]})
    other, go = run(graph, {}, cfg).interrupts
    (what,) = run(graph, Command(resume={go.id: "yes"}), cfg).interrupts
    assert what.value == "gone: what now?"
    assert [q.interrupt_id for q in saver.open_questions()] == [what.id]
    graph.reopen(cfg, go.id)
    assert [i.value for i in run(graph, None, cfg).interrupts] == ["other?", "go?"]
    assert saver.open_question(what.id) is None
    assert run(graph, Command(resume=["O", "no"]), cfg)["log"] == ["O", "no"]
    assert saver.decision(other.id) is None
