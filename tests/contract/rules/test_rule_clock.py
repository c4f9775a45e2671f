"""A clock that jumps, zones that change: deadlines are instants, and order goes by numbers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from operator import add
from pathlib import Path
from typing import Annotated, Any, TypedDict
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from hitl_nb.checkpoint.audit import log_entries
from hitl_nb.checkpoint.records import LATEST, Decision
from hitl_nb.checkpoint.verifying import verify
from hitl_nb.cli import main
from hitl_nb.errors import DeadlinePassedError, GraphError
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.types import START, Command
from hitl_nb.waiting.listing import waiting

BEGIN = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
HOUR, DAY, YEAR = timedelta(hours=1), timedelta(days=1), timedelta(days=365)
BERLIN = ZoneInfo("Europe/Berlin")
SPRING = datetime(2026, 3, 28, 12, 0, tzinfo=BERLIN)
"""The next day has 23 hours."""
AUTUMN = datetime(2026, 10, 24, 12, 0, tzinfo=BERLIN)
"""The next day has 25."""
ROOT = Path(__file__).parents[3]


class Clock:
    """Time, as far as a graph knows; `moves` by so much at each look."""

    def __init__(self, at: datetime = BEGIN, moves: timedelta = timedelta(0)) -> None:
        self.at, self.moves = at, moves

    def __call__(self) -> datetime:
        self.at += self.moves
        return self.at


class Log(TypedDict, total=False):
    log: Annotated[list[str], add]


@pytest.fixture
def asking(saver: Any) -> Callable[..., Any]:
    """`asking(clock, **terms)`: a graph of one node that asks with these terms, by this clock."""

    def make(clock: Any, payload: Any = None, **terms: Any) -> Any:
        def sign(state: Any) -> Any:
            return {"signed": interrupt("Sign?" if payload is None else payload(), **terms)}

        return StateGraph().add_node("sign", sign).add_edge(START, "sign").compile(saver, now=clock)

    return make


@pytest.fixture
def in_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """`in_zone(name)`: this process is in that time zone from now on."""
    if not hasattr(time, "tzset"):
        pytest.skip("a process cannot change its zone here")

    def change(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield change
    monkeypatch.undo()
    time.tzset()


# -- the clock jumps -------------------------------------------------------------------------------------------------------------------


def test_a_clock_that_goes_back_between_asking_and_answering_changes_neither_deadline_nor_order(asking, saver, cfg, only):
    clock = Clock()
    graph = asking(clock, deadline=HOUR)
    question = only(graph.invoke({}, cfg))
    clock.at -= HOUR
    assert graph.expire() == []
    assert graph.invoke(Command(resume=True), cfg)["signed"] is True
    [decision] = saver.decisions("t-1")
    assert (question.deadline, decision.decided_at) == (BEGIN + HOUR, BEGIN - HOUR)
    assert [s.values for s in graph.get_state_history(cfg)] == [{"signed": True}, {}]
    assert verify(saver).problems == ()


def test_with_a_clock_that_runs_backwards_everything_stays_in_the_order_in_which_it_happened(saver, cfg):
    clock = Clock(moves=-HOUR)
    saver.clock = clock

    def step(n: int) -> Callable[[Any], Any]:
        return lambda state: {"log": [f"{n}:{interrupt(f'{n}?')}"]}

    builder = StateGraph(Log)
    for n in range(4):
        builder.add_node(f"s{n}", step(n)).add_edge(f"s{n - 1}" if n else START, f"s{n}")
    graph = builder.compile(saver, now=clock)
    graph.invoke({}, cfg)
    for n in range(4):
        result = graph.invoke(Command(resume=f"a{n}"), cfg)
    assert result["log"] == [f"{n}:a{n}" for n in range(4)]
    history = list(graph.get_state_history(cfg))
    assert [s.metadata["step"] for s in history] == sorted((s.metadata["step"] for s in history), reverse=True)
    assert [s.created_at for s in history] == sorted(s.created_at for s in history)  # the newest has the earliest time
    decisions, entries = saver.decisions("t-1"), list(log_entries(saver))
    assert [d.answer for d in decisions] == [f"a{n}" for n in range(4)]
    assert decisions[0].decided_at > decisions[3].decided_at
    assert [e.number for e in entries] == list(range(len(entries)))
    assert entries[0].recorded_at > entries[-1].recorded_at
    assert verify(saver).problems == ()
    last = decisions[-1].interrupt_id
    graph.reopen(cfg, last)
    assert graph.advance(cfg).interrupts[0].value == "3?"


def test_questions_side_by_side_are_answered_in_the_order_of_their_tasks_whatever_the_clock_does_between_them(fan, saver, cfg):
    def left(state):
        return {"log": [f"left {interrupt('Left?')}"]}

    def right(state):
        return {"log": [f"right {interrupt('Right?')}"]}

    graph = fan(saver, left, right, schema=Log, now=Clock(moves=-HOUR))
    asked = graph.invoke({}, cfg).interrupts
    assert [q.value for q in asked] == ["Left?", "Right?"]
    assert asked[0].created_at > asked[1].created_at
    assert graph.invoke(Command(resume=["l", "r"]), cfg)["log"] == ["left l", "right r"]


def test_a_clock_that_jumps_a_year_ahead_makes_a_question_late_and_one_that_is_put_right_makes_it_open_again(asking, saver, cfg, only):
    clock = Clock()
    graph = asking(clock, deadline=DAY)
    only(graph.invoke({}, cfg))
    clock.at += YEAR
    with pytest.raises(DeadlinePassedError):
        graph.invoke(Command(resume=True), cfg)
    [late] = waiting(saver, now=clock.at)
    assert late.overdue(clock.at)
    clock.at -= YEAR
    assert not waiting(saver, now=clock.at)[0].overdue(clock.at)
    assert graph.invoke(Command(resume=True), cfg)["signed"] is True


def test_what_was_done_at_a_deadline_that_a_wrong_clock_passed_stays_done(asking, saver, cfg):
    clock = Clock()
    graph = asking(clock, deadline=DAY, assignee="ann", escalate_to="bob", default=False)
    graph.invoke({}, cfg)
    clock.at += YEAR
    assert [e.outcome for e in graph.expire()] == ["escalated"]
    clock.at -= YEAR
    assert graph.expire() == []
    [brief] = saver.open_questions()
    assert (brief.assignee, brief.deadline) == ("bob", BEGIN + YEAR + DAY)
    assert graph.invoke(Command(resume=True), cfg)["signed"] is True
    assert verify(saver).problems == ()


def test_two_processes_whose_clocks_differ_agree_on_the_instant_and_each_goes_by_its_own_clock(asking, saver, cfg, only):
    ahead, behind = asking(Clock(BEGIN + HOUR), deadline=HOUR), asking(Clock(BEGIN - HOUR), deadline=HOUR)
    question = only(ahead.invoke({}, cfg))
    assert only(behind.get_state(cfg)).deadline == question.deadline == BEGIN + 2 * HOUR
    assert ahead.invoke(Command(resume=True), cfg)["signed"] is True
    assert behind.get_state(cfg).values["signed"] is True
    assert saver.decisions("t-1")[0].decided_at == BEGIN + HOUR


# -- zones and summer time ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begin", [SPRING, AUTUMN])
def test_a_day_has_24_hours_over_a_change_of_summer_time_also_by_a_clock_of_that_zone(asking, saver, cfg, only, begin):
    clock = Clock(begin)
    graph = asking(clock, deadline=DAY, assignee="ann", escalate_to="bob")
    question = only(graph.invoke({}, cfg))
    assert question.created_at == begin.astimezone(UTC)
    assert question.deadline - question.created_at.astimezone(UTC) == DAY
    assert question.deadline.tzinfo is UTC
    clock.at = begin + 7 * DAY
    graph.expire(now=begin)
    assert graph.expire(now=begin.astimezone(UTC) + DAY) == []
    assert len(graph.expire(now=question.deadline + timedelta(microseconds=1))) == 1


@pytest.mark.parametrize("now", [SPRING, AUTUMN])
@pytest.mark.parametrize("by", ["graph", "checkpointer"])
def test_who_is_asked_next_has_as_long_as_the_first_over_a_change_of_summer_time(asking, saver, cfg, now, by):
    graph = asking(Clock(now.astimezone(UTC) - 3 * DAY), deadline=DAY, assignee="ann", escalate_to="bob")
    graph.invoke({}, cfg)
    if by == "graph":
        graph.expire(now=now)
    else:
        saver.expire(saver.open_questions()[0].interrupt_id, now)
    [brief] = saver.open_questions()
    assert brief.deadline - brief.escalated_at == DAY
    assert brief.escalated_at == now.astimezone(UTC)


@pytest.mark.parametrize(
    ("local", "instant"),
    [
        pytest.param(datetime(2026, 3, 29, 2, 30, tzinfo=BERLIN), "2026-03-29T01:30", id="an hour that does not exist: by winter time"),
        pytest.param(datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN), "2026-10-25T00:30", id="an hour that there is twice: the first"),
        pytest.param(datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERLIN), "2026-10-25T01:30", id="the second, with fold=1"),
        pytest.param(datetime(2028, 2, 29, 23, 59, tzinfo=timezone(-12 * HOUR)), "2028-03-01T11:59", id="a leap day elsewhere"),
        pytest.param(datetime(9999, 12, 31, 5, 0, tzinfo=timezone(5 * HOUR)), "9999-12-31T00:00", id="the last there is"),
    ],
)  # fmt: skip
def test_a_deadline_by_a_clock_on_the_wall_is_one_instant_in_utc(asking, saver, cfg, only, local, instant):
    deadline = datetime.fromisoformat(instant).replace(tzinfo=UTC)
    assert only(asking(Clock(datetime(2026, 1, 1, tzinfo=UTC)), deadline=local).invoke({}, cfg)).deadline == deadline
    assert saver.open_questions()[0].deadline == deadline


@pytest.mark.parametrize(
    ("deadline", "told"),
    [
        (timedelta.max, "lies behind 9999-12-31"),
        (datetime.max.replace(tzinfo=timezone(-HOUR)), "lies behind 9999-12-31"),
        (LATEST + timedelta(microseconds=1), "lies behind 9999-12-31"),
        (timedelta.min, "has passed already"),
        (-DAY, "has passed already"),
        (datetime.min.replace(tzinfo=timezone(HOUR)), "has passed already"),
    ],
)
def test_a_deadline_outside_of_time_is_refused_in_words_that_fit(asking, cfg, deadline, told):
    with pytest.raises(GraphError, match=told):
        asking(Clock(), deadline=deadline).invoke({}, cfg)


@pytest.mark.parametrize("wrong", [datetime(2026, 5, 1, 12, 0), 1777636800.0, None])
def test_a_clock_that_says_not_in_which_zone_is_refused_before_anything_is_stored(asking, saver, cfg, wrong):
    with pytest.raises(TypeError, match=r"what now\(\) returned is .*; expected a datetime with a time zone"):
        asking(lambda: wrong).invoke({}, cfg)
    assert saver.head("t-1") is None


@pytest.mark.parametrize("end", [datetime.max.replace(tzinfo=UTC), datetime.max.replace(tzinfo=timezone(-HOUR)), LATEST + timedelta(microseconds=1)])
def test_at_the_end_of_time_nothing_is_written_that_could_not_be_read_again(asking, saver, cfg, end):
    graph = asking(Clock(), deadline=HOUR, default=False)
    graph.invoke({}, cfg)
    with pytest.raises(ValueError, match="now is .*; expected one from 0001-01-01 to 9999-12-31, UTC"):
        graph.expire(now=end)
    [brief] = saver.open_questions()
    with pytest.raises(ValueError, match="decided_at is .*; expected one from 0001-01-01 to 9999-12-31, UTC"):
        saver.answer("t-1", [Decision.on(saver.question(brief.interrupt_id), True, reviewer="ann", how="code", at=end)])
    assert [e.outcome for e in graph.expire(now=LATEST)] == ["default"]
    assert saver.decisions("t-1")[0].decided_at == LATEST


def test_a_decision_without_a_zone_is_refused_and_not_taken_for_the_time_of_this_process(asking, saver, cfg, in_zone):
    in_zone("Asia/Kolkata")
    graph = asking(Clock())
    graph.invoke({}, cfg)
    question = saver.question(saver.open_questions()[0].interrupt_id)
    with pytest.raises(TypeError, match=r"decided_at is datetime.datetime\(2026, 5, 1, 12, 0\); expected a datetime with a time zone"):
        saver.answer("t-1", [Decision.on(question, True, reviewer="ann", how="code", at=datetime(2026, 5, 1, 12, 0))])
    assert saver.decisions("t-1") == []
    assert graph.invoke(Command(resume=True), cfg)["signed"] is True


def test_what_was_stored_in_one_zone_is_read_in_another_as_the_same_instants(asking, saver, cfg, only, in_zone):
    told = {"utc": BEGIN, "berlin": datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERLIN), "bare": datetime(2026, 10, 25, 2, 30, fold=1)}
    in_zone("America/New_York")
    graph = asking(Clock(), payload=lambda: told, deadline=DAY)
    asked = only(graph.invoke({}, cfg))
    in_zone("Asia/Kolkata")
    assert only(graph.get_state(cfg)) == asked
    [brief] = saver.open_questions()
    assert (brief.created_at, brief.deadline) == (BEGIN, BEGIN + DAY)
    again = saver.question(asked.id).payload
    assert again == told
    assert [t.fold for t in again.values()] == [0, 1, 1]
    assert again["berlin"].astimezone(UTC) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert graph.invoke(Command(resume=True), cfg)["signed"] is True
    assert saver.decisions("t-1")[0].decided_at == BEGIN


@pytest.mark.parametrize("before", [datetime(2026, 3, 29, 0, 30, 7, tzinfo=UTC), datetime(2026, 10, 25, 0, 30, 7, tzinfo=UTC)])
@pytest.mark.parametrize(
    "reading",
    [
        pytest.param(lambda now: now.astimezone().replace(tzinfo=None), id="without zone"),
        pytest.param(lambda now: f"{now.astimezone():%Y-%m-%d %H:%M:%S}", id="text without zone"),
        pytest.param(lambda now: now.astimezone(BERLIN), id="with its zone"),
        pytest.param(lambda now: now.astimezone(BERLIN).isoformat(), id="text with offset"),
        pytest.param(lambda now: now.astimezone().replace(tzinfo=None, microsecond=5) + DAY, id="a limit without zone"),
    ],
)
def test_a_payload_that_tells_the_time_asks_the_same_after_the_night_of_a_change(asking, cfg, in_zone, before, reading):
    in_zone("Europe/Berlin")
    clock = Clock(before)
    graph = asking(clock, payload=lambda: {"question": "Sign?", "at": reading(clock.at)})
    graph.invoke({}, cfg)
    clock.at = before + HOUR
    assert graph.invoke(Command(resume=True), cfg)["signed"] is True


@pytest.mark.parametrize("moved", [-HOUR, YEAR])
def test_a_payload_that_tells_the_time_asks_the_same_after_the_clock_jumped(asking, cfg, moved):
    clock = Clock(BEGIN + timedelta(microseconds=5))
    graph = asking(clock, payload=lambda: {"question": "Sign?", "at": clock.at, "until": (clock.at + DAY).isoformat()})
    graph.invoke({}, cfg)
    clock.at += moved
    assert graph.invoke(Command(resume=True), cfg)["signed"] is True


# -- real processes in other zones ---------------------------------------------------------------------------------------------------------

ELSEWHERE = """
import sys
from datetime import datetime, timedelta, timezone
from hitl_nb import START, Command, DiskCacheSaver, StateGraph, interrupt

def sign(state):
    return {"signed": interrupt("Sign?", deadline=timedelta(days=1))}

graph = StateGraph().add_node("sign", sign).add_edge(START, "sign").compile(DiskCacheSaver(sys.argv[1]))
config = {"configurable": {"thread_id": "t"}}
given = Command(resume=True) if sys.argv[2] == "answer" else {}
graph.invoke(given, config)
print(datetime.now().astimezone().utcoffset())
"""


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="TZ is not obeyed here")
def test_processes_in_different_zones_ask_answer_and_list_the_same_instants(tmp_path, in_zone):
    offsets, begun = set(), datetime.now(UTC)
    for zone, what in (("Pacific/Kiritimati", "ask"), ("Pacific/Pago_Pago", "answer")):
        command = [sys.executable, "-c", ELSEWHERE, tmp_path / "store", what]
        env = {**os.environ, "TZ": zone, "PYTHONPATH": str(ROOT)}
        offsets.add(subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout)
    assert len(offsets) == 2  # a day and an hour apart
    listed = []
    for zone in ("UTC", "Pacific/Kiritimati", "America/St_Johns"):
        in_zone(zone)
        for command in (["history", "t"], ["history", "t", "--json"], ["audit"], ["audit", "--json"], ["pending", "--json"]):
            done = CliRunner().invoke(main, [*command, "--store", str(tmp_path / "store")])
            assert done.exit_code == 0, done.output
            listed.append(done.stdout)
    assert listed[:5] == listed[5:10] == listed[10:]
    times = [datetime.fromisoformat(step["at"]) for step in json.loads(listed[1])["steps"]]
    assert begun <= times[0] <= times[-1] <= datetime.now(UTC)
