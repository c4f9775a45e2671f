"""R23: until when a question can be answered, and what happens then. Nothing is ever approved by default silently."""

from __future__ import annotations

import asyncio
import json
import pickle
from datetime import UTC, datetime, timedelta, timezone
from threading import Event
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from pydantic import AfterValidator, BaseModel

from hitl_nb.checkpoint.questions import LATEST
from hitl_nb.checkpoint.records import UNSET, Decision, Escalated, to_epoch
from hitl_nb.errors import (
    AlreadyAnsweredError,
    DeadlinePassedError,
    GraphError,
    InvalidAnswerError,
    StoreError,
    UnknownThreadError,
)
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.types import START, Command

BEGIN = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)


class Clock:
    """Time, as far as the graph knows."""

    def __init__(self) -> None:
        self.at = BEGIN

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ask(chain, saver, clock):
    """`ask(**terms)`: a graph of one node that asks yes or no with these terms."""

    def make(question: Any = None, **terms: Any) -> Any:
        payload = question or {"question": "Sign?", "options": ["yes", "no"]}

        def sign(state):
            return {"signed": interrupt(payload, **terms)}

        return chain(saver, sign, now=clock)

    return make


def everything(saver: Any) -> Any:
    """What is stored about the thread's decisions and questions."""
    return saver.head("t-1"), saver.decisions("t-1"), saver.open_questions()


# -- until when ------------------------------------------------------------------------------------------------------------------------


def test_an_answer_after_the_deadline_is_refused_before_anything_is_recorded(ask, saver, clock, run, cfg, only):
    graph = ask(deadline=HOUR)
    question = only(run(graph, {}, cfg))
    before = everything(saver)
    clock.at = BEGIN + 2 * HOUR
    for resume in ("yes", {question.id: "yes"}, ["yes"]):
        with pytest.raises(DeadlinePassedError) as caught:
            run(graph, Command(resume=resume), cfg)
    with pytest.raises(DeadlinePassedError):
        run(graph, Command(update={"x": 1}, resume="yes"), cfg)
    error = caught.value
    assert (error.interrupt_id, error.node, error.thread_id) == (question.id, "sign", "t-1")
    assert (error.deadline, error.answered_at) == (BEGIN + HOUR, BEGIN + 2 * HOUR)
    assert "until 2026-05-01 13:00:00 UTC" in str(error)
    assert "came at 2026-05-01 14:00:00 UTC" in str(error)
    assert f"graph.reopen(config, {question.id!r})" in str(error)
    assert isinstance(error, TimeoutError)
    assert pickle.loads(pickle.dumps(error)).deadline == error.deadline
    assert everything(saver) == before
    assert only(graph.get_state(cfg)).id == question.id


def test_the_deadline_itself_is_in_time_and_no_expiry(ask, clock, run, cfg):
    graph = ask(deadline=HOUR, default="no")
    run(graph, {}, cfg)
    clock.at = BEGIN + HOUR
    assert graph.expire(cfg) == []
    assert run(graph, Command(resume="yes"), cfg) == {"signed": "yes"}


def test_the_first_instant_behind_the_deadline_is_late_and_expires(ask, clock, run, cfg):
    graph = ask(deadline=HOUR, default="no")
    run(graph, {}, cfg)
    clock.at = BEGIN + HOUR + TICK
    with pytest.raises(DeadlinePassedError, match="expire"):
        run(graph, Command(resume="yes"), cfg)
    assert [e.outcome for e in graph.expire(cfg)] == ["default"]


def test_a_question_without_a_deadline_never_expires(ask, clock, run, cfg):
    graph = ask()
    run(graph, {}, cfg)
    clock.at = LATEST
    assert graph.expire() == []
    assert run(graph, Command(resume="yes"), cfg) == {"signed": "yes"}


def test_created_at_and_deadline_are_those_of_the_first_asking(chain, saver, clock, run, cfg, only):
    def sign(state):
        return {"signed": [interrupt("first?", deadline=HOUR), interrupt("second?", deadline=HOUR)]}

    graph = chain(saver, sign, now=clock)
    first = only(run(graph, {}, cfg))
    clock.at = BEGIN + HOUR / 2
    run(graph, None, cfg)
    again = only(graph.get_state(cfg))
    assert (first.created_at, first.deadline) == (again.created_at, again.deadline) == (BEGIN, BEGIN + HOUR)
    second = only(run(graph, Command(resume=1), cfg))
    assert second.deadline == BEGIN + HOUR / 2 + HOUR
    clock.at = BEGIN + 10 * HOUR  # the first one's deadline is long past when the node runs again with its answer
    graph.update_state(cfg, {"x": 1}, as_node=START)
    assert only(graph.get_state(cfg)).deadline == second.deadline


def test_an_answered_question_with_a_fixed_deadline_is_not_checked_again_when_the_node_runs_again(chain, saver, clock, run, cfg):
    def sign(state):
        return {"signed": [interrupt("first?", deadline=BEGIN + HOUR), interrupt("second?")]}

    graph = chain(saver, sign, now=clock)
    run(graph, {}, cfg)
    run(graph, Command(resume=1), cfg)
    clock.at = BEGIN + 2 * HOUR
    assert run(graph, Command(resume=2), cfg) == {"signed": [1, 2]}


def test_a_clock_that_goes_backwards_reopens_nothing(ask, saver, clock, run, cfg):
    graph = ask(deadline=HOUR, default="no")
    run(graph, {}, cfg)
    clock.at = BEGIN + 2 * HOUR
    graph.expire(cfg)
    before = everything(saver)
    clock.at = BEGIN - HOUR
    with pytest.raises(AlreadyAnsweredError, match="the deadline"):
        run(graph, Command(resume="yes"), cfg)
    assert graph.expire(cfg) == []
    assert everything(saver) == before
    assert run(graph, None, cfg) == {"signed": "no"}


def test_an_answer_counts_by_its_own_time(ask, saver, clock, run, cfg, only):
    """A reviewer who answered in time is not refused because the record was slow; one who did not is not let in by another clock."""
    graph = ask(deadline=HOUR)
    question = saver.question(only(run(graph, {}, cfg)).id)
    clock.at = BEGIN + 2 * HOUR
    decision = decided(question, "yes", BEGIN + 3 * HOUR)
    with pytest.raises(DeadlinePassedError):
        saver.answer("t-1", [decision])
    saver.answer("t-1", [decided(question, "yes", BEGIN + HOUR)])
    assert run(graph, None, cfg) == {"signed": "yes"}


def decided(question, answer, at, how="card"):
    return Decision(question.id, question.thread_id, question.node, -1, answer, "ada", at, how, question.digest)


@pytest.mark.parametrize(
    "deadline",
    [
        datetime(2026, 5, 1, 15, 0, tzinfo=timezone(timedelta(hours=2))),
        datetime(2026, 5, 1, 9, 0, tzinfo=ZoneInfo("America/New_York")),
        pd.Timestamp("2026-05-01 13:00", tz="UTC"),
        pd.Timedelta(hours=1),
        timedelta(minutes=60),
    ],
    ids=["offset", "zone", "Timestamp", "Timedelta", "timedelta"],
)
def test_a_deadline_of_any_zone_is_stored_in_utc(ask, saver, run, cfg, only, deadline):
    question = only(run(ask(deadline=deadline), {}, cfg))
    stored = saver.open_questions()[0].deadline
    assert question.deadline == stored == saver.question(question.id).deadline == BEGIN + HOUR
    assert type(question.deadline) is datetime
    assert question.deadline.tzinfo is UTC


def test_both_hours_of_the_night_the_clocks_go_back_are_told_apart(ask, saver, clock, run, only):
    zone = ZoneInfo("Europe/Berlin")
    clock.at = datetime(2026, 10, 24, 12, tzinfo=UTC)
    due = {}
    for fold in (0, 1):
        thread = {"configurable": {"thread_id": f"fold-{fold}"}}
        due[fold] = only(run(ask(deadline=datetime(2026, 10, 25, 2, 30, fold=fold, tzinfo=zone)), {}, thread)).deadline
    assert due[1] - due[0] == HOUR


@pytest.mark.parametrize("deadline", [LATEST, datetime(2500, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)], ids=str)
def test_a_far_deadline_is_the_same_when_it_is_read_back(ask, saver, run, cfg, only, deadline):
    graph = ask(deadline=deadline, escalate_to="bo")
    question = only(run(graph, {}, cfg))
    assert question.deadline == saver.question(question.id).deadline == saver.open_questions()[0].deadline
    assert abs(question.deadline - deadline) < timedelta(milliseconds=1)


# -- what is refused when asking ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "error", "says"),
    [
        ({"deadline": datetime(2030, 1, 1)}, TypeError, "time zone"),  # naive on purpose
        ({"deadline": "tomorrow"}, TypeError, "timedelta"),
        ({"deadline": 3600}, TypeError, "timedelta"),
        ({"deadline": pd.NaT}, TypeError, "time zone"),
        ({"deadline": timedelta(0)}, GraphError, "has passed already"),
        ({"deadline": -HOUR}, GraphError, "has passed already"),
        ({"deadline": BEGIN - TICK}, GraphError, "has passed already: it is 2026-05-01 12:00:00 UTC"),
        ({"deadline": timedelta.max}, GraphError, "leave it out"),
        ({"deadline": timedelta(days=3_000_000)}, GraphError, "leave it out"),
        ({"deadline": datetime.max.replace(tzinfo=UTC)}, GraphError, "leave it out"),
        ({"deadline": datetime.max.replace(tzinfo=timezone(-timedelta(hours=5)))}, GraphError, "leave it out"),
        ({"default": "no"}, TypeError, "default= without deadline="),
        ({"default": None}, TypeError, "default= without deadline="),
        ({"escalate_to": "bo"}, TypeError, "escalate_to= without deadline="),
        ({"deadline": HOUR, "escalate_to": ["bo"]}, TypeError, "expected a name"),
        ({"deadline": HOUR, "escalate_to": " "}, TypeError, "expected a name"),
        ({"assignee": 5}, TypeError, "expected a name"),
        ({"deadline": HOUR, "default": "maybe"}, GraphError, "'maybe'.*could never be an answer.*options"),
        ({"deadline": HOUR, "default": {"action": "maybe"}}, GraphError, "could never be an answer"),
        ({"deadline": HOUR, "schema": bool, "default": "yes"}, GraphError, "could never be an answer.*boolean"),
        ({"deadline": HOUR, "schema": Literal["a"], "default": None}, GraphError, "could never be an answer"),
    ],
    ids=repr,
)
def test_terms_that_cannot_work_are_refused_when_asking(ask, saver, run, cfg, terms, error, says):
    graph = ask(**terms)
    with pytest.raises(error, match=f"(?s){says}"):
        run(graph, {}, cfg)
    assert saver.open_questions() == []
    assert "sign" in graph.get_state(cfg).next


def test_a_node_that_catches_the_refusal_does_not_end_as_if_it_had_been_answered(chain, saver, run, cfg):
    def sign(state):
        try:
            return {"signed": interrupt({"options": ["yes", "no"]}, deadline=HOUR, default="approve")}
        except Exception:
            return {"signed": "yes"}

    with pytest.raises(GraphError, match="could never be an answer"):
        run(chain(saver, sign), {}, cfg)


def test_a_default_is_refused_by_the_authors_own_validator(ask, run, cfg):
    def even(value: int) -> int:
        if value % 2:
            raise ValueError("must be even")
        return value

    with pytest.raises(GraphError, match="must be even"):
        run(ask("How many?", schema=Annotated[int, AfterValidator(even)], deadline=HOUR, default=3), {}, cfg)


class Verdict(BaseModel):
    """An answer with a shape."""

    ok: bool
    note: str = ""


def test_a_default_of_the_schema_comes_back_as_its_instance(ask, saver, clock, run, cfg):
    graph = ask("Sign?", schema=Verdict, deadline=HOUR, default=Verdict(ok=False, note="nobody came"))
    run(graph, {}, cfg)
    clock.at = BEGIN + 2 * HOUR
    graph.expire()
    assert saver.decisions("t-1")[0].answer == {"ok": False, "note": "nobody came"}
    assert run(graph, None, cfg)["signed"] == Verdict(ok=False, note="nobody came")


@pytest.mark.parametrize("default", [None, False, 0, ""], ids=repr)
def test_an_empty_default_is_a_default(ask, saver, clock, run, cfg, default):
    graph = ask("Sign?", deadline=HOUR, default=default)
    run(graph, {}, cfg)
    clock.at = BEGIN + 2 * HOUR
    assert [e.outcome for e in graph.expire()] == ["default"]
    assert run(graph, None, cfg) == {"signed": default}


# -- the default ---------------------------------------------------------------------------------------------------------------------------


def test_the_default_is_a_decision_of_the_deadline_and_says_so(ask, saver, clock, run, cfg, only):
    graph = ask(deadline=HOUR, default="no", assignee="ada")
    question = only(run(graph, {}, cfg))
    clock.at = BEGIN + 2 * HOUR
    (done,) = graph.expire()
    assert (done.interrupt_id, done.thread_id, done.node, done.outcome) == (question.id, "t-1", "sign", "default")
    assert (done.deadline, done.assignee, done.escalated_to) == (BEGIN + HOUR, "ada", None)
    (decision,) = saver.decisions("t-1")
    assert (decision.answer, decision.reviewer, decision.how, decision.decided_at) == ("no", "the deadline", "expire", BEGIN + 2 * HOUR)
    assert decision.payload_digest == saver.question(question.id).digest
    state = graph.get_state(cfg)
    assert state.next == ("sign",)
    assert state.interrupts == ()
    assert state.tasks[0].expired == (question.id,)
    assert saver.open_questions() == []
    assert run(graph, None, cfg) == {"signed": "no"}
    past = [s for s in graph.get_state_history(cfg) if s.tasks]
    assert past[0].tasks[0].expired == (question.id,)


def test_a_persons_answer_is_not_shown_as_expired(ask, clock, run, cfg, only):
    graph = ask(deadline=HOUR, default="no")
    run(graph, {}, cfg)
    run(graph, Command(resume="no"), cfg)
    assert all(t.expired == () for s in graph.get_state_history(cfg) for t in s.tasks)


def test_expiring_runs_nothing_until_somebody_goes_on(chain, saver, clock, run, cfg):
    runs = []

    def sign(state):
        runs.append(1)
        return {"signed": interrupt("Sign?", deadline=HOUR, default=False)}

    graph = chain(saver, sign, now=clock)
    run(graph, {}, cfg)
    clock.at = BEGIN + 2 * HOUR
    graph.expire()
    assert len(runs) == 1
    assert graph.advance(cfg) == {"signed": False}
    assert len(runs) == 2


def test_expiring_twice_does_nothing_the_second_time(ask, saver, clock, run, cfg):
    graph = ask(deadline=HOUR, default="no")
    run(graph, {}, cfg)
    clock.at = BEGIN + 2 * HOUR
    assert len(graph.expire()) == 1
    before = everything(saver)
    assert graph.expire() == []
    assert everything(saver) == before


def test_an_answer_in_time_wins_over_the_default(ask, saver, clock, run, cfg):
    graph = ask(deadline=HOUR, default="no")
    run(graph, {}, cfg)
    assert run(graph, Command(resume="yes"), cfg) == {"signed": "yes"}
    clock.at = BEGIN + 2 * HOUR
    assert graph.expire() == []
    assert [d.answer for d in saver.decisions("t-1")] == ["yes"]


def test_an_answer_that_was_recorded_but_not_run_yet_wins_over_the_default(ask, saver, clock, run, cfg, only):
    graph = ask(deadline=HOUR, default="no")
    question = saver.question(only(run(graph, {}, cfg)).id)
    listed = saver.overdue(BEGIN + 2 * HOUR)
    saver.answer("t-1", [decided(question, "yes", BEGIN)])
    assert saver.expire(listed[0].interrupt_id, BEGIN + 2 * HOUR) is None
    clock.at = BEGIN + 2 * HOUR
    assert run(graph, None, cfg) == {"signed": "yes"}


def test_no_answer_can_call_itself_an_expired_one(ask, saver, clock, run, cfg, only):
    graph = ask(deadline=HOUR, default="no")
    question = saver.question(only(run(graph, {}, cfg)).id)
    before = everything(saver)
    for at in (BEGIN, BEGIN + 2 * HOUR):
        with pytest.raises(ValueError, match="reserved"):
            saver.answer("t-1", [decided(question, "yes", at, how="expire")])
    with pytest.raises(ValueError, match="reserved"):
        run(graph, Command(resume="yes"), {"configurable": {**cfg["configurable"], "how": "expire"}})
    assert everything(saver) == before


def test_a_default_can_be_reopened_and_the_deadline_counts_anew(ask, saver, clock, run, cfg, only):
    graph = ask(deadline=HOUR, default="no")
    first = only(run(graph, {}, cfg))
    clock.at = BEGIN + 2 * HOUR
    graph.expire()
    assert run(graph, None, cfg) == {"signed": "no"}
    graph.reopen(cfg, first.id)
    again = only(run(graph, None, cfg))
    assert again.id != first.id
    assert (again.created_at, again.deadline) == (clock.at, clock.at + HOUR)
    assert run(graph, Command(resume="yes"), cfg) == {"signed": "yes"}
    assert [(d.answer, d.how) for d in saver.decisions("t-1")] == [("no", "expire"), ("yes", "invoke")]


# -- nobody to ask and no default ------------------------------------------------------------------------------------------------------------


def test_without_a_default_the_question_stays_open_and_is_listed_as_overdue(ask, saver, clock, run, cfg, only):
    graph = ask(deadline=HOUR)
    question = only(run(graph, {}, cfg))
    assert saver.overdue(BEGIN + HOUR) == []
    clock.at = BEGIN + 2 * HOUR
    before = everything(saver)
    for _ in range(2):
        (done,) = graph.expire()
        assert (done.outcome, done.interrupt_id) == ("overdue", question.id)
    assert everything(saver) == before
    (listed,) = saver.overdue(clock.at)
    assert listed.interrupt_id == question.id
    assert listed.overdue(clock.at)
    assert not listed.overdue(BEGIN + HOUR)


def test_an_overdue_question_can_be_asked_anew(ask, clock, run, cfg, only):
    graph = ask(deadline=HOUR)
    question = only(run(graph, {}, cfg))
    clock.at = BEGIN + 2 * HOUR
    with pytest.raises(DeadlinePassedError):
        run(graph, Command(resume="yes"), cfg)
    graph.reopen(cfg, question.id)
    assert only(run(graph, None, cfg)).deadline == clock.at + HOUR
    assert run(graph, Command(resume="yes"), cfg) == {"signed": "yes"}


# -- escalation --------------------------------------------------------------------------------------------------------------------------------


def test_an_escalation_hands_the_same_question_on_for_as_long_again(ask, saver, clock, run, cfg, only):
    graph = ask(deadline=HOUR, assignee="ada", escalate_to="bo", default="no")
    question = only(run(graph, {}, cfg))
    clock.at = BEGIN + 5 * HOUR
    with pytest.raises(DeadlinePassedError, match=r"expire\(config\) or hitl-nb expire hands it to bo"):
        run(graph, Command(resume="yes"), cfg)
    (done,) = graph.expire()
    assert (done.outcome, done.assignee, done.escalated_to) == ("escalated", "ada", "bo")
    now = only(graph.get_state(cfg))
    assert (now.id, now.assignee, now.created_at, now.deadline) == (question.id, "bo", BEGIN, clock.at + HOUR)
    (listed,) = saver.open_questions()
    assert (listed.assignee, listed.deadline, listed.escalate_to) == ("bo", clock.at + HOUR, None)
    assert (listed.escalated_from, listed.escalated_at) == ("ada", clock.at)
    stored = saver.question(question.id)
    assert (stored.assignee, stored.deadline, stored.escalate_to) == ("bo", clock.at + HOUR, None)
    assert only(run(graph, None, cfg)).assignee == "bo"
    assert saver.decisions("t-1") == []
    assert graph.expire() == []
    clock.at += HOUR
    assert run(graph, Command(resume="yes"), cfg) == {"signed": "yes"}


def test_the_record_tells_who_was_asked_before_and_when_it_was_handed_on(ask, saver, clock, run, cfg, only):
    graph = ask(deadline=HOUR, assignee="ada", escalate_to="bo")
    question = only(run(graph, {}, cfg))
    clock.at = BEGIN + 2 * HOUR
    graph.expire()
    ledger = saver.ledger("t-1", saver.head("t-1"))
    assert ledger.escalated == {question.id: Escalated(question.id, "bo", to_epoch(BEGIN + 3 * HOUR), "ada", to_epoch(clock.at))}
    run(graph, Command(resume="yes"), cfg)
    assert saver.ledger("t-1", saver.head("t-1"), 0).escalated[question.id].before == "ada"


def test_after_the_escalation_comes_the_default(ask, saver, clock, run, cfg):
    graph = ask(deadline=HOUR, escalate_to="bo", default="no")
    run(graph, {}, cfg)
    for hours, outcome in ((2, ["escalated"]), (3, []), (4, ["default"]), (5, [])):
        clock.at = BEGIN + hours * HOUR
        assert [e.outcome for e in graph.expire()] == outcome
    assert [d.how for d in saver.decisions("t-1")] == ["expire"]


def test_after_the_escalation_a_question_without_a_default_is_overdue(ask, saver, clock, run, cfg, only):
    graph = ask(deadline=HOUR, escalate_to="bo")
    question = only(run(graph, {}, cfg))
    clock.at = BEGIN + 2 * HOUR
    graph.expire()
    clock.at = BEGIN + 4 * HOUR
    (done,) = graph.expire()
    assert (done.outcome, done.assignee) == ("overdue", "bo")
    with pytest.raises(DeadlinePassedError, match="until 2026-05-01 15:00:00 UTC"):
        run(graph, Command(resume={question.id: "yes"}), cfg)


def test_an_escalation_survives_an_update_of_the_state(fan, saver, clock, run, cfg, only):
    def sign(state):
        return {"signed": interrupt("Sign?", deadline=HOUR, assignee="ada", escalate_to="bo")}

    def other(state):
        interrupt("Other?")

    graph = fan(saver, sign, other, now=clock)
    question = next(i for i in run(graph, {}, cfg).interrupts if i.node == "sign")
    clock.at = BEGIN + 2 * HOUR
    graph.expire(cfg)
    graph.update_state(cfg, {"x": 1}, as_node="other")
    for seen in (graph.get_state(cfg), run(graph, None, cfg)):
        (now,) = [i for i in seen.interrupts if i.node == "sign"]
        assert (now.id, now.assignee, now.deadline) == (question.id, "bo", BEGIN + 3 * HOUR)
    assert graph.expire(cfg) == []
    run(graph, Command(resume={question.id: "yes"}), cfg)
    assert graph.get_state(cfg).values["signed"] == "yes"


def test_a_reopened_question_goes_to_its_first_assignee_again(ask, saver, clock, run, cfg, only):
    graph = ask(deadline=HOUR, assignee="ada", escalate_to="bo")
    question = only(run(graph, {}, cfg))
    clock.at = BEGIN + 2 * HOUR
    graph.expire()
    run(graph, Command(resume="yes"), cfg)
    graph.reopen(cfg, question.id)
    again = only(run(graph, None, cfg))
    assert (again.assignee, again.deadline) == ("ada", clock.at + HOUR)
    assert saver.open_questions()[0].escalate_to == "bo"


def test_an_escalation_at_the_end_of_time_still_has_a_deadline(ask, saver, clock, run, cfg):
    graph = ask(deadline=timedelta(days=365 * 7000), escalate_to="bo")
    run(graph, {}, cfg)
    clock.at = LATEST - HOUR
    assert [e.outcome for e in graph.expire()] == ["escalated"]
    assert saver.open_questions()[0].deadline == LATEST


def test_a_run_under_way_shows_who_is_asked_now(saver, clock, cfg, only, monkeypatch):
    """Handed on while another node of the superstep still works."""
    asked = Event()
    commit = saver.commit

    def commits(*args, **more):
        head = commit(*args, **more)
        if saver.open_questions():
            asked.set()
        return head

    def sign(state):
        interrupt("Sign?", deadline=HOUR, assignee="ada", escalate_to="bo")

    def work(state):
        assert asked.wait(30)
        clock.at = BEGIN + 2 * HOUR
        assert [e.outcome for e in graph.expire()] == ["escalated"]

    monkeypatch.setattr(saver, "commit", commits)
    builder = StateGraph(None)
    for node in (sign, work):
        builder.add_node(node).add_edge(START, node.__name__)
    graph = builder.compile(saver, now=clock)
    result = graph.invoke({}, cfg)
    assert only(result).assignee == "bo"
    assert only(result).deadline == BEGIN + 3 * HOUR


# -- over the whole store ------------------------------------------------------------------------------------------------------------------------


def test_one_call_deals_with_every_thread_and_a_config_with_one(ask, saver, clock, run):
    threads = [{"configurable": {"thread_id": f"thread-{n}"}} for n in range(4)]
    plans = [{"default": "no"}, {"escalate_to": "bo"}, {}, {"default": "no"}]
    graphs = [ask(deadline=HOUR, **plan) for plan in plans]
    for graph, thread in zip(graphs, threads, strict=True):
        run(graph, {}, thread)
    run(ask(deadline=9 * HOUR, default="no"), {}, {"configurable": {"thread_id": "in time"}})
    clock.at = BEGIN + 2 * HOUR
    assert [e.thread_id for e in graphs[0].expire(threads[3])] == ["thread-3"]
    done = graphs[0].expire()
    assert {e.thread_id: e.outcome for e in done} == {"thread-0": "default", "thread-1": "escalated", "thread-2": "overdue"}
    assert graphs[0].expire(threads[0]) == []


def test_async_expire_does_the_same(ask, clock, run, cfg):
    graph = ask(deadline=HOUR, default="no")
    run(graph, {}, cfg)
    assert asyncio.run(graph.aexpire(cfg)) == []
    assert [e.outcome for e in asyncio.run(graph.aexpire(now=BEGIN + 2 * HOUR))] == ["default"]


def test_now_can_be_given_and_has_a_zone(ask, run, cfg):
    graph = ask(deadline=HOUR)
    run(graph, {}, cfg)
    assert len(graph.expire(now=datetime(2026, 5, 1, 16, tzinfo=timezone(timedelta(hours=2))))) == 1
    assert graph.expire(now=datetime(2026, 5, 1, 14, tzinfo=timezone(timedelta(hours=2)))) == []
    with pytest.raises(TypeError, match="time zone"):
        graph.expire(now=datetime(2026, 5, 2))  # naive on purpose
    with pytest.raises(UnknownThreadError, match="t-2"):
        graph.expire({"configurable": {"thread_id": "t-2"}})


def test_static_pauses_have_no_deadline(chain, saver, clock, run, cfg):
    def work(state):
        return None

    graph = chain(saver, work, interrupt_before=["work"], now=clock)
    run(graph, {}, cfg)
    clock.at = LATEST
    assert graph.expire() == []
    assert len(saver.open_questions()) == 1


def test_several_questions_of_one_thread_expire_each_by_itself(fan, saver, clock, run, cfg):
    def a(state):
        return {"a": interrupt("a?", deadline=HOUR, default=1)}

    def b(state):
        return {"b": interrupt("b?", deadline=3 * HOUR, default=2)}

    graph = fan(saver, a, b, now=clock)
    run(graph, {}, cfg)
    clock.at = BEGIN + 2 * HOUR
    assert [e.node for e in graph.expire()] == ["a"]
    assert run(graph, None, cfg).next == ("b",)
    clock.at = BEGIN + 4 * HOUR
    assert [e.node for e in graph.expire()] == ["b"]
    assert run(graph, None, cfg) == {"a": 1, "b": 2}


def test_a_question_that_cannot_be_read_does_not_keep_the_others_waiting(ask, saver, clock, run, monkeypatch):
    graph = ask(deadline=HOUR, default="no")
    for n in range(3):
        run(graph, {}, {"configurable": {"thread_id": f"thread-{n}"}})
    clock.at = BEGIN + 2 * HOUR
    expire = saver.expire

    def damaged(interrupt_id, now):
        if saver.open_question(interrupt_id).thread_id == "thread-1":
            raise StoreError("damaged")
        return expire(interrupt_id, now)

    monkeypatch.setattr(saver, "expire", damaged)
    with pytest.raises(StoreError, match="damaged") as caught:
        graph.expire()
    assert "2 other questions" in caught.value.__notes__[0]
    assert [q.thread_id for q in saver.open_questions()] == ["thread-1"]


def test_what_expiring_reads_does_not_grow_with_the_history(chain, saver, clock, monkeypatch):
    def sign(state):
        return {"n": state["n"] + 1, "signed": interrupt({"n": state["n"]}, deadline=HOUR, default=False)}

    def more(state):
        return "sign" if state["n"] < state["rounds"] else "__end__"

    builder = StateGraph(None).add_node("sign", sign).add_edge(START, "sign").add_conditional_edges("sign", more)
    graph = builder.compile(saver, now=clock)
    reads: dict[int, int] = {}
    for rounds in (1, 12):
        clock.at = BEGIN
        thread = {"configurable": {"thread_id": f"after-{rounds}"}}
        graph.invoke({"n": 0, "rounds": rounds + 1}, thread)
        for _ in range(rounds):
            graph.invoke(Command(resume=True), thread)
        clock.at = BEGIN + 2 * HOUR
        read, count = saver._read, []
        with monkeypatch.context() as patched:
            patched.setattr(saver, "_read", lambda key, read=read, count=count: count.append(key) or read(key))
            assert [e.outcome for e in graph.expire()] == ["default"]
        reads[rounds] = len(count)
    assert reads[1] == reads[12]


# -- other ways to answer ------------------------------------------------------------------------------------------------------------------------


def test_a_late_answer_that_is_also_invalid_is_refused_all_the_same(ask, saver, clock, run, cfg):
    graph = ask(deadline=HOUR)
    run(graph, {}, cfg)
    clock.at = BEGIN + 2 * HOUR
    with pytest.raises((InvalidAnswerError, DeadlinePassedError)):
        run(graph, Command(resume="maybe"), cfg)
    assert saver.decisions("t-1") == []


def test_one_late_answer_of_several_refuses_them_all(fan, saver, clock, run, cfg):
    def a(state):
        return {"a": interrupt("a?", deadline=HOUR)}

    def b(state):
        return {"b": interrupt("b?")}

    graph = fan(saver, a, b, now=clock)
    ids = {i.node: i.id for i in run(graph, {}, cfg).interrupts}
    clock.at = BEGIN + 2 * HOUR
    before = everything(saver)
    with pytest.raises(DeadlinePassedError):
        run(graph, Command(resume={ids["b"]: 1, ids["a"]: 2}), cfg)
    assert everything(saver) == before
    assert run(graph, Command(resume={ids["b"]: 1}), cfg).next == ("a",)


def test_terms_are_plain_data_in_an_interrupt(ask, run, cfg, only):
    question = only(run(ask(deadline=HOUR, escalate_to="bo", default="no", assignee="ada"), {}, cfg))
    assert json.loads(json.dumps(question.to_dict()))["deadline"] == "2026-05-01T13:00:00+00:00"


def test_the_default_is_stored_with_the_question(ask, saver, run, cfg, only):
    with_default, without = (
        only(run(ask(deadline=HOUR, **t), {}, {"configurable": {"thread_id": n}})) for n, t in (("a", {"default": "no"}), ("b", {}))
    )
    assert saver.question(with_default.id).default == "no"
    assert saver.question(without.id).default is UNSET
    assert [q.has_default for q in saver.open_questions()] == [q.interrupt_id == with_default.id for q in saver.open_questions()]


def test_a_question_that_the_node_no_longer_asks_is_neither_listed_nor_expired(fan, saver, clock, run, cfg):
    def a(state):
        return {"a": interrupt("a?", deadline=HOUR, default="no") if state["ask"] else "not asked"}

    def b(state):
        return {"b": interrupt("b?")}

    graph = fan(saver, a, b, now=clock)
    run(graph, {"ask": True}, cfg)
    graph.update_state(cfg, {"ask": False}, as_node="b")
    assert run(graph, None, cfg)["a"] == "not asked"
    assert saver.open_questions() == []
    clock.at = BEGIN + 2 * HOUR
    assert graph.expire() == []
    assert saver.decisions("t-1") == []


def test_a_further_answer_of_a_list_is_late_when_its_question_was_asked_and_expired_in_the_same_run(chain, saver, clock, run, cfg, only):
    def sign(state):
        first = interrupt("first?")
        second = interrupt("second?", deadline=HOUR)
        return {"signed": [first, second]}

    ticks = iter([timedelta(0)] * 1000)

    def passing():
        clock.at += next(ticks)
        return clock.at

    graph = chain(saver, sign, now=passing)
    run(graph, {}, cfg)
    ticks = iter([2 * HOUR] * 1000)
    with pytest.raises(DeadlinePassedError):
        run(graph, Command(resume=[1, 2]), cfg)
    assert [d.answer for d in saver.decisions("t-1")] == [1]
    ticks = iter([timedelta(0)] * 1000)
    question = only(graph.get_state(cfg))
    assert question.value == "second?"
    graph.reopen(cfg, question.id)
    run(graph, None, cfg)
    assert run(graph, Command(resume=2), cfg) == {"signed": [1, 2]}


def test_a_question_of_a_graph_inside_a_node_is_handed_on_and_gets_its_default_too(saver, clock, run, cfg, only):
    def sign(state):
        return {"signed": interrupt("Sign?", deadline=HOUR, assignee="ada", escalate_to="bo", default="no")}

    inner = StateGraph(None).add_node(sign).add_edge(START, "sign").compile()
    graph = StateGraph(None).add_node("inner", inner).add_edge(START, "inner").compile(saver, now=clock)
    question = only(run(graph, {}, cfg))
    assert question.deadline == BEGIN + HOUR
    clock.at = BEGIN + 2 * HOUR
    with pytest.raises(DeadlinePassedError):
        run(graph, Command(resume="yes"), cfg)
    assert [(e.node, e.outcome, e.thread_id) for e in graph.expire(cfg)] == [("sign", "escalated", "t-1")]
    for seen in (graph.get_state(cfg), run(graph, None, cfg)):
        assert (only(seen).id, only(seen).assignee, only(seen).deadline) == (question.id, "bo", BEGIN + 3 * HOUR)
    clock.at = BEGIN + 4 * HOUR
    assert [e.outcome for e in graph.expire()] == ["default"]
    assert graph.get_state(cfg).tasks[0].expired == (question.id,)
    assert run(graph, None, cfg) == {"signed": "no"}
    assert [(d.how, d.answer) for d in saver.decisions("t-1")] == [("expire", "no")]


def test_a_copied_thread_asks_who_is_asked_now_and_a_deleted_one_expires_nothing(ask, saver, clock, run, cfg):
    graph = ask(deadline=HOUR, assignee="ada", escalate_to="bo", default="no")
    run(graph, {}, cfg)
    clock.at = BEGIN + 2 * HOUR
    graph.expire()
    saver.copy_thread("t-1", "t-2")
    copied = next(q for q in saver.open_questions() if q.thread_id == "t-2")
    assert (copied.assignee, copied.deadline, copied.escalate_to, copied.has_default) == ("bo", BEGIN + 3 * HOUR, None, True)
    saver.delete_thread("t-1")
    clock.at = BEGIN + 4 * HOUR
    assert [(e.thread_id, e.outcome) for e in graph.expire()] == [("t-2", "default")]
    assert run(graph, None, {"configurable": {"thread_id": "t-2"}}) == {"signed": "no"}
