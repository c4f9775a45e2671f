"""Seed 003 (LangGraph in production): timeout and escalation, as the seed writes them and with a deadline that is stored with the question."""

import asyncio
from datetime import datetime as real_datetime
from datetime import timedelta
from typing import TypedDict

import pytest

from hitl_nb import END, START, Command, StateGraph, errors, interrupt


class TimeoutState(TypedDict):
    """State with timeout tracking."""

    task: str
    result: str
    interrupt_timestamp: str
    timeout_hours: int
    escalated: bool
    escalation_reason: str


class Clock:
    """The seed's `datetime.now()`, moved by hand."""

    def __init__(self):
        self.at = real_datetime(2026, 1, 5, 9, 30, 0, 250_000).astimezone()

    def now(self):
        return self.at.replace(tzinfo=None)

    def __call__(self):
        return self.at


datetime = Clock()


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    monkeypatch.setitem(globals(), "datetime", Clock())
    return datetime


def review_with_timeout(state: TimeoutState) -> Command:
    """
    Human review with automatic escalation on timeout.

    Note: Timeout is checked on resume, not during wait. External scheduler should trigger resume after timeout.
    """
    timeout_hours = state.get("timeout_hours", 24)
    interrupt_time = datetime.now()
    decision = interrupt(
        {
            "type": "review_with_timeout",
            "task": state["task"],
            "current_result": state["result"],
            "deadline": (interrupt_time + timedelta(hours=timeout_hours)).isoformat(),
            "escalation_contact": "senior.manager@company.com",
            "instructions": f"Please review within {timeout_hours} hours or task will escalate.",
        }
    )
    # Check if we resumed after timeout
    resume_time = datetime.now()
    elapsed = resume_time - interrupt_time
    if elapsed > timedelta(hours=timeout_hours):
        return Command(
            goto="escalate",
            update={"escalated": True, "escalation_reason": f"Review timeout after {elapsed.total_seconds() / 3600:.1f} hours"},
        )
    return Command(goto="continue_workflow", update={"result": decision.get("result", state["result"]), "escalated": False})


def escalate(state: TimeoutState) -> dict:
    """Handle escalated tasks."""
    return {"result": f"ESCALATED: {state['task']} - {state['escalation_reason']}"}


async def timeout_monitor(app, thread_id: str, timeout_hours: int = 24):
    """External service that triggers resume on timeout."""
    await asyncio.sleep(timeout_hours * 3600)
    state = app.get_state({"configurable": {"thread_id": thread_id}})
    if state.next:  # Still has pending nodes (waiting at interrupt)
        app.invoke(Command(resume={"action": "timeout", "auto_escalate": True}), {"configurable": {"thread_id": thread_id}})


def workflow(saver, review, clock):
    builder = StateGraph(TimeoutState)
    builder.add_node("review", review)
    builder.add_node("escalate", escalate)
    builder.add_node("continue_workflow", lambda state: None)
    builder.add_edge(START, "review")
    builder.add_edge("escalate", END)
    builder.add_edge("continue_workflow", END)
    return builder.compile(checkpointer=saver, now=clock)


@pytest.fixture
def app(saver, clock):
    return workflow(saver, review_with_timeout, clock)


TASK = {"task": "Check the figures", "result": "old", "timeout_hours": 1}


# -- as the seed writes it -------------------------------------------------------------------------------------------------------------


def test_a_review_in_time_goes_on_with_what_the_reviewer_found(app, clock, config):
    (question,) = app.invoke(TASK, config).interrupts
    assert question.value["deadline"] == "2026-01-05T10:30:00.250000"
    clock.at += timedelta(minutes=50)
    result = app.invoke(Command(resume={"result": "new"}), config)
    assert (result["result"], result["escalated"]) == ("new", False)


def test_a_clock_read_in_the_node_never_finds_the_review_late(app, clock, config):
    """The seed's check takes the time of asking anew when the node runs again, so it never fires: a deadline belongs to the question (R23)."""
    app.invoke(TASK, config)
    clock.at += timedelta(hours=48)
    result = app.invoke(Command(resume={"result": "two days late"}), config)
    assert (result["result"], result["escalated"]) == ("two days late", False)


def test_the_external_monitor_resumes_a_thread_that_still_waits_and_leaves_others_alone(app, config):
    """The seed's node does not look at `auto_escalate`: the review counts as done with the old result. Nothing says that somebody was late."""
    app.invoke(TASK, config)
    asyncio.run(timeout_monitor(app, "seed", timeout_hours=0))
    result = app.get_state(config)
    assert (result.next, result.values["result"], result.values["escalated"]) == ((), "old", False)
    asyncio.run(timeout_monitor(app, "seed", timeout_hours=0))
    assert app.get_state(config) == result


def test_a_human_who_answers_after_the_monitor_is_told_and_not_dropped(app, config):
    """On the seed's own system the late answer is silently lost (semantics R7, R8)."""
    (question,) = app.invoke(TASK, config).interrupts
    asyncio.run(timeout_monitor(app, "seed", timeout_hours=0))
    with pytest.raises(errors.NotWaitingError, match="has no open question"):
        app.invoke(Command(resume={"result": "new"}), config)
    with pytest.raises(errors.AlreadyAnsweredError):
        app.invoke(Command(resume={question.id: {"result": "new"}}), config)


# -- done right: the deadline is the question's ----------------------------------------------------------------------------------------


def review_with_deadline(state: TimeoutState) -> Command:
    """The seed's review; when nobody answers in time, the stored default does."""
    decision = interrupt(
        {"type": "review_with_timeout", "task": state["task"], "current_result": state["result"]},
        deadline=timedelta(hours=state.get("timeout_hours", 24)),
        default={"action": "timeout"},
    )
    if decision.get("action") == "timeout":
        return Command(goto="escalate", update={"escalated": True, "escalation_reason": f"no review within {state['timeout_hours']} hours"})
    return Command(goto="continue_workflow", update={"result": decision.get("result", state["result"]), "escalated": False})


@pytest.fixture
def timed(saver, clock):
    return workflow(saver, review_with_deadline, clock)


def test_a_review_within_the_deadline_counts(timed, clock, config):
    timed.invoke(TASK, config)
    clock.at += timedelta(minutes=59)
    assert timed.expire(config, now=clock.at) == []
    result = timed.invoke(Command(resume={"result": "new"}), config)
    assert (result["result"], result["escalated"]) == ("new", False)


def test_a_human_who_answers_after_the_deadline_is_refused_and_nothing_is_decided(timed, clock, saver, config):
    (question,) = timed.invoke(TASK, config).interrupts
    clock.at += timedelta(hours=48)
    with pytest.raises(errors.DeadlinePassedError):
        timed.invoke(Command(resume={"result": "two days late"}), config)
    assert saver.decisions("seed") == []
    assert timed.get_state(config).interrupts == (question,)


def test_after_the_deadline_the_scheduler_lets_the_default_escalate_once(timed, clock, config):
    """What the seed's monitor is for: run it as often as you like."""
    timed.invoke(TASK, config)
    clock.at += timedelta(hours=48)
    (expiry,) = timed.expire(config, now=clock.at)
    assert (expiry.node, expiry.outcome) == ("review", "default")
    assert timed.expire(config, now=clock.at) == []
    result = timed.invoke(None, config)
    assert (result["escalated"], result["result"]) == (True, "ESCALATED: Check the figures - no review within 1 hours")


def test_a_review_may_be_handed_on_to_the_escalation_contact_instead(saver, clock, config):
    def review(state: TimeoutState) -> Command:
        decision = interrupt(
            {"task": state["task"]}, deadline=timedelta(hours=1), assignee="junior@company.com", escalate_to="senior.manager@company.com"
        )
        return Command(goto="continue_workflow", update={"result": decision["result"], "escalated": False})

    graph = workflow(saver, review, clock)
    graph.invoke(TASK, config)
    clock.at += timedelta(hours=2)
    (expiry,) = graph.expire(config, now=clock.at)
    assert (expiry.outcome, expiry.escalated_to) == ("escalated", "senior.manager@company.com")
    (open_now,) = graph.get_state(config).interrupts
    assert open_now.assignee == "senior.manager@company.com"
    assert graph.invoke(Command(resume={"result": "seen by the senior manager"}), config)["result"] == "seen by the senior manager"
