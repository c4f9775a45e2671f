"""A deadline that passes, as the person in front of it sees it: the answer is refused with its reason, and the question stays."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import ipywidgets
import pytest

from hitl_nb import END, START, DeadlinePassedError, MemorySaver, StateGraph, interrupt, review
from hitl_nb.responders.base import FrontEnd
from hitl_nb.responders.console import ConsoleResponder
from hitl_nb.responders.plain import wait_by_looking
from hitl_nb.session import ReviewSession
from hitl_nb.widgets.controls import close
from hitl_nb.widgets.live import LiveView
from hitl_nb.widgets.receipt import Receipt

BEGIN = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
LATE = r"until 2026-05-01 13:00:00 UTC; this answer came at 2026-05-01 14:00:00 UTC and was not taken"


class Clock:
    """Time, as far as graph and card know."""

    def __init__(self) -> None:
        self.at = BEGIN

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


def graph_with(clock: Clock, **terms: Any) -> Any:
    def sign(state: dict[str, Any]) -> dict[str, Any]:
        return {"signed": interrupt({"question": "Sign?", "options": ["yes", "no"]}, deadline=HOUR, **terms)}

    return StateGraph().add_node("sign", sign).add_edge(START, "sign").add_edge("sign", END).compile(MemorySaver(), now=clock)


@pytest.fixture
def view(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveView]:
    monkeypatch.setattr("IPython.display.display", lambda *a, **k: None)
    made = LiveView(now=clock)
    yield made
    close(made.box)


def below(widget: Any) -> list[Any]:
    return [widget, *(w for child in getattr(widget, "children", ()) for w in below(child))]


def shown(view: LiveView) -> str:
    return "\n".join(w.value for w in below(view.box) if isinstance(w, ipywidgets.HTML))


def press(view: LiveView, label: str) -> None:
    next(w for w in below(view.box) if isinstance(w, ipywidgets.Button) and w.description.lower() == label).click()


def session_of(graph: Any, view: Any) -> ReviewSession:
    session = ReviewSession(graph, graph.checkpointer, "t", FrontEnd(view, view, wait_by_looking), "dana", now=graph.now)
    session.open({})
    return session


def test_a_click_after_the_deadline_says_so_in_the_card_and_the_question_stays(clock: Clock, view: LiveView):
    session = session_of(graph_with(clock), view)
    clock.at = BEGIN + 2 * HOUR
    press(view, "yes")
    assert "Not sent. the question of node" in shown(view)
    assert "came at 2026-05-01 14:00:00 UTC" in shown(view)
    assert session.status == "waiting"
    assert [r.question.node for r in session.pending] == ["sign"]
    assert session.decisions == []
    clock.at = BEGIN + HOUR  # the card takes an answer as before
    press(view, "yes")
    assert session.result(10) == {"signed": "yes"}


def test_the_card_shows_who_is_asked_now_and_takes_that_answer(clock: Clock, view: LiveView):
    graph = graph_with(clock, assignee="Ada", escalate_to="Bo")
    session_of(graph, view)
    assert "Waiting for Ada" in shown(view)
    clock.at = BEGIN + 2 * HOUR
    graph.expire()
    later = LiveView(now=clock)
    session = session_of_existing(graph, later)
    assert "Waiting for Bo" in shown(later)
    assert session.pending[0].question.deadline == BEGIN + 3 * HOUR
    press(later, "no")
    assert session.result(10) == {"signed": "no"}
    close(later.box)


def session_of_existing(graph: Any, view: Any) -> ReviewSession:
    session = ReviewSession(graph, graph.checkpointer, "t", FrontEnd(view, view, wait_by_looking), "dana", now=graph.now)
    session.open(None)
    return session


def test_a_waiting_session_goes_on_with_the_default_and_its_receipt_says_that_nobody_answered(clock: Clock, view: LiveView):
    graph = graph_with(clock, default="no")
    session = session_of(graph, view)
    clock.at = BEGIN + 2 * HOUR
    graph.expire()
    assert session.result(10) == {"signed": "no"}
    (decision,) = session.decisions
    (row,) = session.decision_table()
    assert (decision.reviewer, decision.how, row["how"]) == ("the deadline", "expire", "expire")
    assert "default, as nobody answered in time, 1 May 2026, 14:00 UTC" in shown(view)


def test_the_receipt_of_a_default_never_names_a_person(clock: Clock):
    graph = graph_with(clock, default="no", assignee="Ada")
    session = review(graph, {}, thread_id="t", on_missing="leave_open")
    request = session.pending[0]
    clock.at = BEGIN + 2 * HOUR
    graph.expire()
    receipt = Receipt(request, session.decisions[0])
    assert receipt.line() == "✕ No: Sign? (default, as nobody answered in time, 1 May 2026, 14:00 UTC)"
    assert "nowhere: the default counts" in receipt.html()
    assert (receipt.record()["reviewer"], receipt.record()["how"]) == ("the deadline", "expire")


def test_a_default_is_printed_as_the_deadlines(clock: Clock, capsys: pytest.CaptureFixture[str]):
    graph = graph_with(clock, default="no")
    review(graph, {}, thread_id="t", on_missing="leave_open")
    clock.at = BEGIN + 2 * HOUR
    graph.expire()
    assert review(graph, thread_id="t").result() == {"signed": "no"}
    assert capsys.readouterr().out == 'Sign? "no", by the deadline (expire)\n'


def test_an_answer_from_code_after_the_deadline_is_refused(clock: Clock):
    session = review(graph_with(clock), {}, thread_id="t", on_missing="leave_open")
    clock.at = BEGIN + 2 * HOUR
    with pytest.raises(DeadlinePassedError, match=LATE):
        session.answer("yes")
    assert session.status == "waiting"


def test_a_scripted_answer_counts_by_its_time_too(clock: Clock):
    graph = graph_with(clock)
    review(graph, {}, thread_id="t", on_missing="leave_open")
    clock.at = BEGIN + 2 * HOUR
    with pytest.raises(DeadlinePassedError, match=LATE):
        review(graph, thread_id="t", answers=["yes"])
    assert len(graph.checkpointer.open_questions()) == 1
    clock.at = BEGIN + HOUR
    assert review(graph, thread_id="t", answers=["yes"]).result() == {"signed": "yes"}


def test_the_terminal_says_why_and_leaves_the_question_open(clock: Clock):
    graph = graph_with(clock)
    review(graph, {}, thread_id="t", on_missing="leave_open")
    clock.at = BEGIN + 2 * HOUR
    lines = iter(["yes"])
    said: list[str] = []
    session = review(graph, thread_id="t", responder=ConsoleResponder(read=lambda prompt: next(lines), write=said.append))
    assert "Not sent: the question of node 'sign'" in said[-1]
    assert session.status == "waiting"
