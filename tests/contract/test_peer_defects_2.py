"""What goes wrong on other systems and cannot here, 17 to 28 of 28."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Literal, TypedDict

import pytest

from hitl_nb import START, Command, StateGraph, interrupt
from hitl_nb.errors import DeadlinePassedError, InvalidAnswerError, NotWaitingError


def prepare(state):
    return {"prepared": True}


def ask(state):
    return {"answer": interrupt("Go on?")}


@pytest.mark.parametrize("go_on", [None, Command(resume=None), Command(resume=True)], ids=["None", "resume=None", "resume=True"])
def test_a_pause_before_a_node_is_passed_and_the_node_runs(chain, saver, run, cfg, go_on):
    """17 Upsonic: it pauses on the same node for ever."""

    def deploy(state):
        return {"deployed": True}

    graph = chain(saver, prepare, deploy, interrupt_before=["deploy"])
    assert run(graph, {}, cfg)["__interrupt__"][0]["value"] == {"node": "deploy", "when": "before"}
    assert run(graph, go_on, cfg) == {"prepared": True, "deployed": True}


def test_parallel_questions_are_all_asked_and_every_result_is_kept(fan, saver, run, cfg):
    """18 Upsonic: parallel questions are an error. Locus: all but one are lost, with success=True."""

    def left(state):
        return {"left": interrupt("left?")}

    def right(state):
        return {"right": interrupt("right?")}

    graph = fan(saver, left, prepare, right)
    asked = {i.value: i.id for i in run(graph, {}, cfg).interrupts}
    assert asked.keys() == {"left?", "right?"}
    assert run(graph, Command(resume={asked["right?"]: "R"}), cfg).is_interrupted
    assert run(graph, Command(resume={asked["left?"]: "L"}), cfg) == {"prepared": True, "left": "L", "right": "R"}


def test_a_question_inside_a_subgraph_is_a_question_of_the_run_around_it(chain, saver, run, cfg, only):
    """19 Locus: the pause is swallowed, and the run ends with success=True."""
    inner = chain(None, ask)
    graph = StateGraph().add_node("prepare", prepare).add_node("inner", inner).add_edge(START, "prepare").add_edge("prepare", "inner").compile(saver)
    asked = only(run(graph, {}, cfg))
    assert (asked.value, graph.get_state(cfg).next) == ("Go on?", ("inner",))
    assert run(graph, Command(resume={asked.id: "yes"}), cfg) == {"prepared": True, "answer": "yes"}


def test_a_double_resume_is_refused_and_the_action_is_not_repeated(chain, saver, run, cfg):
    """20 Locus: the action happens again. Upsonic: KeyError. LangGraph: nothing happens, without a word."""
    acted = []

    def act(state):
        acted.append(state["answer"])

    graph = chain(saver, ask, act)
    run(graph, {}, cfg)
    run(graph, Command(resume="yes"), cfg)
    with pytest.raises(NotWaitingError, match=r"has no open question.*ada"):
        run(graph, Command(resume="yes"), cfg)
    assert acted == ["yes"]


def test_an_update_given_with_the_answer_is_applied_and_seen_by_the_node(chain, saver, run, cfg):
    """21 Upsonic and Locus: the update is ignored."""

    def publish(state):
        answer = interrupt({"draft": state["draft"]})
        return {"published": f"{answer}: {state['draft']}"}

    graph = chain(saver, publish)
    run(graph, {"draft": "first"}, cfg)
    result = run(graph, Command(update={"draft": "second"}, resume="ok"), cfg)
    assert result == {"draft": "second", "published": "ok: second"}


def test_the_result_at_a_pause_is_the_state_at_the_pause(chain, saver, run, cfg):
    """22 Upsonic: it is the input's."""

    def write(state):
        return {"draft": "written"}

    result = run(chain(saver, write, ask), {"draft": "input"}, cfg)
    assert (result.is_interrupted, result["draft"], result.state) == (True, "written", {"draft": "written"})


def test_the_question_of_a_sync_node_is_answered_from_asyncio(chain, saver, cfg):
    """23 Locus: it never resumes."""
    graph = chain(saver, ask)

    async def example():
        await graph.ainvoke({}, cfg)
        return await graph.ainvoke(Command(resume="yes"), cfg)

    assert asyncio.run(example()) == {"answer": "yes"}


def test_invoke_works_where_an_event_loop_runs_also_with_async_nodes(chain, saver, cfg):
    """24 Upsonic and Locus: RuntimeError, as in every notebook."""

    async def ask_later(state):
        await asyncio.sleep(0)
        return {"answer": interrupt("Go on?")}

    graph = chain(saver, prepare, ask_later)

    async def cell():
        graph.invoke({}, cfg)
        return graph.invoke(Command(resume="yes"), cfg)

    assert asyncio.run(cell()) == {"prepared": True, "answer": "yes"}


def test_after_the_deadline_no_answer_is_taken_and_nothing_is_approved_by_default(chain, saver, run, cfg, only):
    """25 LangGraph, in the timeout pattern of seed 003: two days late, the old result is taken."""
    now = [datetime(2026, 1, 5, 9, tzinfo=UTC)]

    def review(state):
        return {"approved": interrupt("Approve?", deadline=timedelta(hours=1))}

    graph = chain(saver, review, now=lambda: now[0])
    asked = only(run(graph, {}, cfg))
    now[0] += timedelta(hours=48)
    with pytest.raises(DeadlinePassedError):
        run(graph, Command(resume=True), cfg)
    assert [expiry.outcome for expiry in graph.expire(cfg)] == ["overdue"]
    assert only(run(graph, None, cfg)) == asked
    assert saver.decisions("t-1") == []


class Verdict(TypedDict):
    action: Literal["approve", "edit", "reject"]


GARBAGE = ["whatever", {"action": "REJECT"}, None, {}, 1, ["approve"]]


@pytest.mark.parametrize(("bound", "garbage"), [*(("by a schema", g) for g in GARBAGE), *(("by options", g) for g in GARBAGE[:2])], ids=str)
def test_garbage_is_refused_and_approves_nothing(chain, saver, run, cfg, only, garbage, bound):
    """26 Upsonic's sample of a "safe default": garbage becomes approve. Options bind strings and the action of a dict, a schema everything."""

    def review(state):
        if bound == "by options":
            return {"verdict": interrupt({"action": "review", "options": ["approve", "edit", "reject"]})}
        return {"verdict": interrupt({"action": "review"}, schema=Verdict)}

    graph = chain(saver, review)
    asked = only(run(graph, {}, cfg))
    with pytest.raises(InvalidAnswerError):
        run(graph, Command(resume={asked.id: garbage}), cfg)
    assert only(graph.get_state(cfg)) == asked
    assert run(graph, Command(resume={"action": "reject"}), cfg)["verdict"] == {"action": "reject"}


def test_the_result_of_an_answer_says_whether_there_is_another_question(chain, saver, run, cfg):
    """27 Upsonic's Flask sample and LangGraph's FastAPI sample: a second pause is reported as completed."""

    def confirm(state):
        return {"confirmed": interrupt("Sure?")}

    graph = chain(saver, ask, confirm, prepare, interrupt_before=["prepare"])
    seen = [run(graph, {}, cfg)]
    seen += [run(graph, Command(resume=True), cfg) for _ in range(3)]
    assert [result.is_interrupted for result in seen] == [True, True, True, False]
    assert ["__interrupt__" in result for result in seen] == [True, True, True, False]


def test_none_is_an_answer(chain, saver, run, cfg):
    """28 LangGraph: UnboundLocalError."""
    graph = chain(saver, ask)
    run(graph, {}, cfg)
    assert run(graph, Command(resume=None), cfg) == {"answer": None}
