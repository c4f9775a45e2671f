"""The live view without a browser: the widgets are real, their front end is not there."""

import itertools
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import ipywidgets
import pytest

import hitl_nb
from hitl_nb.checkpoint.records import Decision, Question
from hitl_nb.decisions.check import check_answer
from hitl_nb.decisions.forms import form_for
from hitl_nb.decisions.request import Request
from hitl_nb.errors import AlreadyAnsweredError
from hitl_nb.graph.builder import StateGraph
from hitl_nb.widgets.bundle import MIME
from hitl_nb.widgets.controls import close
from hitl_nb.widgets.failure import FailureCard
from hitl_nb.widgets.live import LiveView
from hitl_nb.widgets.static import StaticView
from hitl_nb.widgets.surface import Surface

AT = datetime(2026, 11, 20, 9, 41, tzinfo=UTC)
REVIEW = {"action": "review", "question": "Publish?", "draft": "One\r\nTwo", "options": ["approve", "edit", "reject"]}
VIEW = "application/vnd.jupyter.widget-view+json"


class Desk:
    """Takes answers as a session does."""

    def __init__(self):
        self.view = LiveView(now=lambda: AT + timedelta(minutes=3))
        self.answers = []
        self.requests = {}

    def ask(self, key="q-1", payload=None, submit=None, **more):
        question = Question(key, "t-1", "check", "t", 0, "", REVIEW if payload is None else payload, AT, **more)
        request = self.requests[key] = Request(question, form_for(question, reviewer="Dana"))
        self.view.ask(request, submit or (lambda answer: self.decide(key, check_answer(question, answer))))
        return request

    def decide(self, key, answer, by="Dana"):
        self.answers.append(answer)
        request = self.requests[key]
        decision = Decision(key, "t-1", "check", len(self.answers), answer, by, AT, "card")
        self.view.decided(request, decision)
        return decision

    def find(self, kind, name):
        return next(w for w in self.widgets() if isinstance(w, kind) and getattr(w, "description", "") == name and _is_shown(self.view.box, w))

    def press(self, label):
        self.find(ipywidgets.Button, label).click()

    def type(self, label, text):
        self.find(ipywidgets.Textarea, label).value = text

    def widgets(self):
        return _below(self.view.box)

    def text(self):
        return "\n".join(w.value for w in self.widgets() if isinstance(w, ipywidgets.HTML) and _is_shown(self.view.box, w))


def instances():
    """Every open widget of this process."""
    return ipywidgets.widgets.widget._instances


def _below(widget):
    return [widget, *(w for child in getattr(widget, "children", ()) for w in _below(child))]


def _is_shown(top, widget):
    if top.layout.display == "none":
        return False
    return top is widget or any(_is_shown(child, widget) for child in getattr(top, "children", ()))


@pytest.fixture
def published(monkeypatch):
    """Every bundle that was displayed, with whether it updated the output."""
    sent = []
    monkeypatch.setattr("IPython.display.display", lambda data, **options: sent.append((data, options.get("update", False))))
    return sent


@pytest.fixture
def desk(published):
    made = Desk()
    yield made
    close(made.view.box)


def test_a_click_sends_the_answer_and_leaves_a_receipt(desk):
    desk.ask()
    desk.type("Comment (optional)", "fine")
    desk.press("Approve")
    assert desk.answers == [{"action": "approve", "feedback": "fine", "comments": "fine"}]
    assert "✓ Approved" in desk.text()
    assert not any(isinstance(w, ipywidgets.Button) for w in desk.widgets())


def test_a_second_click_sends_nothing(desk):
    desk.ask()
    button = desk.find(ipywidgets.Button, "Approve")
    button.click()
    button.click()
    assert desk.answers == [{"action": "approve"}]


def test_an_edit_keeps_the_line_ends_of_the_original(desk):
    desk.ask()
    desk.press("Edit")
    desk.type("Your edit", "One\n2")
    desk.press("Send edit")
    assert desk.answers == [{"action": "edit", "edited_text": "One\r\n2"}]


def test_an_edit_that_changes_nothing_is_not_sent(desk):
    desk.ask()
    desk.press("Edit")
    desk.press("Send edit")
    assert desk.answers == []
    assert "Nothing changed yet." in desk.text()


def test_a_discarded_edit_brings_the_first_choice_and_the_original_back(desk):
    desk.ask()
    desk.press("Edit")
    desk.type("Your edit", "other")
    desk.press("Discard edit")
    desk.press("Approve")
    assert desk.answers == [{"action": "approve"}]


def test_what_the_fields_hold_at_the_click_counts_even_if_the_last_keys_are_still_on_their_way(desk):
    desk.ask("q-1", {"question": "What?", "type": "text"})
    desk.type("Your answer", "the quick brown f")
    surface = next(w for w in desk.widgets() if isinstance(w, Surface) and w.label)
    surface._handle_custom_msg({"press": number_of(desk, "Send answer"), "text": "the quick brown fox", "comment": None}, [])
    assert desk.answers == ["the quick brown fox"]


def number_of(desk, label):
    """The number under which the page names an answer button."""
    classes = desk.find(ipywidgets.Button, label)._dom_classes
    return next(int(c.removeprefix("hitl-nb-press-")) for c in classes if c.startswith("hitl-nb-press-"))


def test_a_press_of_a_button_that_is_no_longer_drawn_answers_nothing(desk):
    desk.ask()
    approve = number_of(desk, "Approve")
    surface = next(w for w in desk.widgets() if isinstance(w, Surface) and w.label)
    desk.press("Edit")
    surface._handle_custom_msg({"press": approve, "text": None, "comment": None}, [])
    assert desk.answers == []
    desk.type("Your edit", "New")
    surface._handle_custom_msg({"press": number_of(desk, "Send edit"), "text": "New!", "comment": None}, [])
    assert [a["edited_text"] for a in desk.answers] == ["New!"]


@pytest.mark.parametrize("message", [None, "text", {"press": 0, "text": 5}, {"press": "0"}, {"press": 99}, {"comment": ["x"]}, {}])
def test_a_malformed_message_of_the_front_end_changes_nothing(desk, message):
    desk.ask("q-1", {"question": "What?", "type": "text"})
    desk.type("Your answer", "mine")
    next(w for w in desk.widgets() if isinstance(w, Surface) and w.label)._handle_custom_msg(message, [])
    if not desk.answers:
        desk.press("Send answer")
    assert desk.answers == ["mine"]


def test_a_choice_that_needs_a_comment_says_so_and_waits_for_it(desk):
    desk.ask("q-1", {**REVIEW, "options": ["approve", "request_changes"]})
    desk.press("Request changes")
    assert desk.answers == []
    assert "Not sent. Request changes needs a comment" in desk.text()
    assert next(w for w in desk.widgets() if isinstance(w, Surface) and w.label).invalid == "comment"
    desk.type("Comment (optional)", "shorter")
    desk.press("Request changes")
    assert desk.answers[0]["feedback"] == "shorter"


def test_a_card_that_was_answered_elsewhere_says_who_and_when_and_keeps_the_typed_text(desk):
    def submit(_):
        raise AlreadyAnsweredError("taken", reviewer="Sam", answered_at=AT)

    request = desk.ask(submit=submit)
    desk.type("Comment (optional)", "my long comment")
    desk.press("Approve")
    for told in ("Answered elsewhere", "Sam", "20 Nov 2026, 09:41 UTC", "my long comment"):
        assert told in desk.text()
    desk.view.decided(request, Decision("q-1", "t-1", "check", 0, {"action": "reject"}, "Sam", AT, "console"))
    assert "Rejected" in desk.text()
    assert "my long comment" in desk.text()
    desk.view.finished()
    assert "✕ Rejected" in desk.text()
    assert "my long comment" not in desk.text()


def test_a_decision_of_somebody_else_does_not_take_away_what_is_being_typed(desk):
    desk.ask()
    desk.press("Edit")
    desk.type("Your edit", "half a sen")
    desk.decide("q-1", {"action": "approve"}, by="Sam")
    assert "half a sen" in desk.text()
    assert "Answered elsewhere" in desk.text()


def test_receipts_stay_in_the_order_of_the_questions(desk):
    for n in (1, 2, 3):
        desk.ask(f"q-{n}", f"Step {n}?")
    desk.decide("q-2", True)
    desk.decide("q-1", False)
    assert [desk.text().index(f"Step {n}?") for n in (1, 2, 3)] == sorted(desk.text().index(f"Step {n}?") for n in (1, 2, 3))


def test_a_reopened_question_gets_a_card_in_place_of_its_receipt(desk):
    request = desk.ask()
    desk.press("Approve")
    desk.view.ask(request, lambda answer: desk.decide("q-1", answer))
    desk.press("Reject")
    assert desk.answers == [{"action": "approve"}, {"action": "reject"}]
    assert desk.text().count("<details") == 1


def test_the_same_decision_told_twice_makes_one_receipt(desk):
    request = desk.ask()
    decision = desk.decide("q-1", {"action": "approve"})
    desk.view.decided(request, decision)
    assert desk.text().count("<details") == 1


def test_what_runs_is_shown_until_the_next_question(desk):
    desk.ask()
    desk.press("Approve")
    desk.view.running(["publish", "notify"])
    assert "Approved, running publish, notify" in desk.text()
    desk.ask("q-2", "Next?")
    assert "running publish" not in desk.text()


def test_a_failure_says_what_is_safe_and_offers_both_ways_on(desk):
    used = []
    desk.ask()
    desk.press("Approve")
    desk.view.failed(ConnectionError("<b>down</b>"), lambda: used.append("retry"), lambda: used.append("reopen"))
    for told in ("Failed after your answer", "The run stopped with ConnectionError", "&lt;b&gt;down&lt;/b&gt;", "Your answer is stored."):
        assert told in desk.text()
    desk.press("Show traceback")
    assert "ConnectionError: &lt;b&gt;" in desk.text()
    retry = desk.find(ipywidgets.Button, "Retry")
    retry.click()
    retry.click()
    assert used == ["retry"]
    desk.view.running(["publish"])
    assert "✓ Approved" in desk.text()
    assert "Failed" not in desk.text()


def test_a_traceback_leaves_out_this_packages_lines_between_the_others(desk):
    def fetch():
        raise ConnectionError("down")

    def told(fails):
        graph = StateGraph().add_node("node", fails).set_entry_point("node").compile()
        desk.view.failed(_error_of(lambda: graph.invoke({"n": 1})), lambda: None, None)
        desk.press("Show traceback")
        return desk.text()

    traced = told(lambda _: fetch())
    assert "in fetch" in traced
    assert str(Path(hitl_nb.__file__).parent) not in traced
    assert "in invoke" in told(lambda _: 5)  # what this package raises itself


def _error_of(call):
    try:
        call()
    except Exception as error:
        return error


def test_a_failure_before_any_answer_offers_to_retry_only(desk):
    desk.view.failed(ValueError("bad"), lambda: None, None)
    assert "What was done so far is stored." in desk.text()
    assert [w.description for w in desk.widgets() if isinstance(w, ipywidgets.Button)] == ["Retry", "Show traceback"]


def test_a_retry_that_cannot_start_says_why_and_can_be_pressed_again():
    tries = []

    def retry():
        tries.append(1)
        raise RuntimeError("busy")

    card = FailureCard(ValueError("bad"), None, retry, None)
    button = next(w for w in _below(card.box) if isinstance(w, ipywidgets.Button) and w.description == "Retry")
    button.click()
    assert any("RuntimeError: busy" in w.value for w in _below(card.box) if isinstance(w, ipywidgets.HTML))
    button.click()
    assert len(tries) == 2
    close(card.box)


def test_the_output_ends_as_static_receipts_without_a_widget(desk, published):
    desk.ask()
    assert published[0][1] is False
    assert VIEW in published[0][0]
    assert "Open: Publish?" in published[0][0]["text/plain"]
    desk.press("Approve")
    desk.view.finished()
    assert published[-1][1] is True
    assert VIEW not in published[-1][0]
    assert published[-1][0][MIME]["decisions"][0]["answer"] == {"action": "approve"}


def test_the_saved_output_is_not_redrawn_while_another_card_may_be_typed_into(desk, published):
    desk.ask("q-1")
    desk.ask("q-2")
    before = len(published)
    desk.decide("q-1", {"action": "approve"})
    assert len(published) == before


def test_other_threads_may_tell_the_view_at_the_same_time(desk):
    for n in range(8):
        desk.ask(f"q-{n}", f"Step {n}?")
    threads = [Thread(target=desk.decide, args=(f"q-{n}", True)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert desk.text().count("<details") == 8
    assert not any(isinstance(w, ipywidgets.Button) for w in desk.widgets())


def test_a_finished_session_keeps_no_widgets_of_its_cards(published):
    made = Desk()
    before = set(instances())
    made.ask("q-1")
    made.ask("q-2", "Next?")
    made.press("Edit")
    made.press("Discard edit")
    made.press("Reject")
    made.decide("q-2", True)
    made.press("Send 1 answer")
    made.view.failed(ValueError("bad"), lambda: None, lambda: None)
    made.view.finished()
    left = sorted(type(instances()[i]).__name__ for i in set(instances()) - before)
    assert left == ["HTML", "HTMLStyle", "Layout"]  # the receipts
    close(made.view.box)


def test_a_notebook_that_nobody_watches_gets_one_static_receipt_a_decision(published):
    desk = Desk()
    request = desk.ask()
    published.clear()
    view = StaticView()
    for _ in range(2):
        view.decided(request, Decision("q-1", "t-1", "check", 0, {"action": "approve"}, "Dana", AT, "script"))
    view.running(["publish"])
    view.finished()
    assert published[0] == published[1]
    assert len(published) == 2
    assert VIEW not in published[0][0]
    close(desk.view.box)


@pytest.mark.parametrize("original", ["a\r\nb\nc", "a\rb", "a\r\nb"])
def test_an_original_that_was_not_touched_is_sent_with_its_own_line_ends(original):
    desk = Desk()
    desk.ask(payload={"action": "edit_content", "original": original})
    desk.type("Your edit", original.replace("\r\n", "\n").replace("\r", "\n"))
    desk.press("Send edit")
    assert desk.answers == [original]


def test_many_receipts_share_few_widgets_and_stand_in_the_order_of_the_questions(desk):
    for n in range(120):
        desk.ask(f"q-{n}", f"Number {n}?")
        desk.decide(f"q-{n}", True)
    assert len([w for w in desk.widgets() if isinstance(w, ipywidgets.HTML)]) <= 5
    assert [int(n) for n in re.findall(r"Number (\d+)\?", desk.text())] == list(range(120))
    desk.ask("q-60", "Number 60?")  # it was reopened
    assert [int(n) for n in re.findall(r"Number (\d+)\?", desk.text()) if n != "60"] == [n for n in range(120) if n != 60]


def test_a_drawn_output_is_taken_away_before_it_is_drawn_anew(desk, published):
    desk.ask("q-1")
    desk.press("Approve")
    desk.ask("q-2", "Next?")
    live = [VIEW in data for data, _ in published]
    assert live[0]
    assert not any(one and following for one, following in itertools.pairwise(live))
