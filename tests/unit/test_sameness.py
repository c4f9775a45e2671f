"""A node that runs again asks the same when only readings of its clock differ."""

from datetime import UTC, datetime, timedelta

import pytest

from hitl_nb import START, Command, MemorySaver, StateGraph, interrupt
from hitl_nb.checkpoint.serde import Serde
from hitl_nb.errors import QuestionChangedError
from hitl_nb.graph.asking.sameness import asks_the_same

MORNING = datetime(2026, 1, 5, 9, 30, 12, 345678, tzinfo=UTC)
HOUR = timedelta(hours=1)
SLOT = datetime(2026, 3, 1, 14, 0, tzinfo=UTC)


def same(old, new, elapsed=HOUR):
    return asks_the_same(old, new, MORNING, MORNING + elapsed, lambda value: Serde().digest(value, "payload"))


@pytest.mark.parametrize(
    "reading",
    [
        pytest.param(lambda now: now, id="a datetime"),
        pytest.param(lambda now: now.isoformat(), id="ISO text"),
        pytest.param(lambda now: now.replace(tzinfo=None).isoformat(" ", "seconds"), id="ISO text without zone"),
        pytest.param(lambda now: (now + timedelta(hours=24)).isoformat(), id="a time limit"),
        pytest.param(lambda now: {"meta": [{"at": now}]}, id="deep inside"),
    ],
)
def test_a_time_that_moved_with_the_clock_is_the_same_question(reading):
    assert same({"question": "Pay?", "x": reading(MORNING)}, {"question": "Pay?", "x": reading(MORNING + HOUR)})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param({"amount": 100}, {"amount": 900}, id="an amount"),
        pytest.param({"question": "Pay?"}, {"question": "Delete?"}, id="other words"),
        pytest.param({"a": 1}, {"a": 1, "b": 2}, id="a further key"),
        pytest.param({"a": 1}, {"b": 1}, id="another key"),
        pytest.param([1], [1, 2], id="a longer list"),
        pytest.param({"a": 1}, {"a": True}, id="another type"),
        pytest.param({"on": "2026-01-05"}, {"on": "2026-01-06"}, id="a bare date"),
        pytest.param({"at": MORNING}, {"at": MORNING + 3 * HOUR}, id="a time that moved on by more than the clock"),
        pytest.param({"at": MORNING}, {"at": MORNING - HOUR}, id="a time that moved back"),
        pytest.param({"at": SLOT}, {"at": SLOT + HOUR}, id="an appointment that was put off meanwhile"),
        pytest.param({"at": f"{SLOT:%Y-%m-%d %H:%M}"}, {"at": f"{SLOT + HOUR:%Y-%m-%d %H:%M}"}, id="its text"),
        pytest.param({"at": MORNING}, {"at": (MORNING + HOUR).isoformat()}, id="a time that became text"),
        pytest.param({"at": MORNING}, {"at": (MORNING + HOUR).replace(tzinfo=None)}, id="a time that lost its zone"),
        pytest.param({"at": 1.7e9}, {"at": 1.7e9 + 3600}, id="a number, which could be an amount"),
    ],
)
def test_other_content_is_another_question(old, new):
    assert not same(old, new)


def test_an_answer_is_not_delivered_to_a_question_whose_amount_changed_although_its_time_moved_with_the_clock():
    amounts, times = iter([100, 900]), iter([MORNING, MORNING + HOUR])
    graph = (
        StateGraph()
        .add_node("pay", lambda state: {"paid": interrupt({"question": "Pay?", "amount": next(amounts), "at": next(times)})})
        .add_edge(START, "pay")
        .compile(MemorySaver())
    )
    config = {"configurable": {"thread_id": "t"}}
    graph.invoke({}, config)
    with pytest.raises(QuestionChangedError):
        graph.invoke(Command(resume=True), config)
    assert "paid" not in graph.get_state(config).values
