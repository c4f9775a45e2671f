"""The states of a card other than open: answered elsewhere, out of date, changed, overdue, failed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import ipywidgets
import pytest

from hitl_nb.checkpoint.records import Decision, Question
from hitl_nb.decisions.check import check_answer
from hitl_nb.decisions.forms import form_for
from hitl_nb.decisions.request import Request
from hitl_nb.errors import AlreadyAnsweredError, DeadlinePassedError, ThreadBusyError, UnknownInterruptError
from hitl_nb.responders.base import Ways
from hitl_nb.widgets.controls import close
from hitl_nb.widgets.failure import FailureCard
from hitl_nb.widgets.live import LiveView
from hitl_nb.widgets.surface import Surface

AT = datetime(2026, 11, 20, 9, 41, tzinfo=UTC)
EVIL = "<img src=x onerror=alert(1)>"
REVIEW = {"action": "review", "question": "Publish?", "draft": "One\nTwo", "options": ["approve", "edit", "reject"]}


class Desk:
    """A view whose questions the test answers, or lets somebody else answer."""

    def __init__(self):
        self.now = AT
        self.view = LiveView(now=lambda: self.now)
        self.sent, self.changed, self.looks = [], [], 0
        self.view.opened(Ways(self.look, self.change))
        self.change_fails = None

    def look(self):
        self.looks += 1

    def change(self, interrupt_id):
        if self.change_fails:
            raise self.change_fails
        self.changed.append(interrupt_id)

    def request(self, key="q-1", payload=None, **more):
        question = Question(key, "t-1", "check", "t", 0, "", REVIEW if payload is None else payload, AT, **more)
        return Request(question, form_for(question, reviewer="Dana"))

    def ask(self, key="q-1", payload=None, submit=None, **more):
        request = self.request(key, payload, **more)
        self.view.ask(request, submit or (lambda answer: self.take(request, answer)))
        return request

    def take(self, request, answer):
        self.sent.append(check_answer(request.question, answer))
        decision = self.decision(request, answer)
        self.view.decided(request, decision)
        return decision

    def decision(self, request, answer, by="Dana", how="card"):
        return Decision(request.question.id, "t-1", "check", len(self.sent), answer, by, AT, how)

    def elsewhere(self, request, answer, by="Sam Ito", how="console"):
        self.view.decided_elsewhere(request, self.decision(request, answer, by, how))

    def shown(self, kind):
        return [w for w in below(self.view.box) if isinstance(w, kind) and is_shown(self.view.box, w)]

    def buttons(self):
        return [b.description for b in self.shown(ipywidgets.Button)]

    def press(self, label):
        next(b for b in self.shown(ipywidgets.Button) if b.description == label).click()

    def type(self, text):
        self.shown(ipywidgets.Textarea)[-1].value = text

    def text(self):
        return "\n".join(w.value for w in self.shown(ipywidgets.HTML))


def below(widget):
    return [widget, *(w for child in getattr(widget, "children", ()) for w in below(child))]


def is_shown(top, widget):
    if top.layout.display == "none":
        return False
    return top is widget or any(is_shown(child, widget) for child in getattr(top, "children", ()))


@pytest.fixture
def desk(monkeypatch):
    monkeypatch.setattr("IPython.display.display", lambda data, **options: None)
    made = Desk()
    yield made
    made.view.running(())
    close(made.view.box)


# -- answered elsewhere


def test_an_open_card_that_is_answered_elsewhere_says_by_whom_where_and_when_and_shows_the_receipt(desk):
    request = desk.ask()
    desk.elsewhere(request, {"action": "approve"})
    for told in ("Answered elsewhere", "Approved", "Sam Ito, in the terminal", "20 Nov 2026, 09:41 UTC"):
        assert told in desk.text()
    assert desk.buttons() == ["Show receipt"]
    assert "<details" not in desk.text()
    desk.press("Show receipt")
    assert desk.text().count("<details") == 1
    assert " open" in desk.text()
    assert "Answered elsewhere" not in desk.text()


def test_a_default_that_counted_is_nobody_s_answer(desk):
    request = desk.ask()
    desk.elsewhere(request, {"action": "reject"}, by="the deadline", how="expire")
    assert "nobody in time: the default counts" in desk.text()


def test_a_click_that_came_second_says_so_at_once_and_later_what_was_answered(desk):
    def submit(_):
        raise AlreadyAnsweredError("taken", reviewer="Sam Ito", answered_at=AT)

    request = desk.ask(submit=submit)
    desk.type("my comment")
    desk.press("Approve")
    assert "Answered elsewhere" in desk.text()
    assert desk.buttons() == []
    desk.elsewhere(request, {"action": "reject"})
    assert "Rejected" in desk.text()
    assert "my comment" in desk.text()
    assert desk.buttons() == ["Show receipt"]


def test_at_the_end_a_card_that_was_answered_elsewhere_still_says_so(desk):
    request = desk.ask(payload=REVIEW | {"question": f"Publish {EVIL}?"})
    desk.type("my comment")
    desk.elsewhere(request, {"action": "approve"})
    desk.view.finished()
    assert "was answered elsewhere: Approved, by Sam Ito, in the terminal, 20 Nov 2026, 09:41 UTC. What was typed here was not sent." in desk.text()
    assert EVIL not in desk.text()
    assert desk.buttons() == []


# -- out of date


def outdated(desk, submit=None):
    def gone(_):
        raise UnknownInterruptError("it is no longer asked")

    return desk.ask(submit=submit or gone)


def test_a_click_on_a_card_that_is_out_of_date_sends_nothing_and_says_why(desk):
    outdated(desk)
    desk.press("Approve")
    assert "Out of date" in desk.text()
    assert "Nothing was sent from here." in desk.text()
    assert desk.buttons() == []
    assert desk.sent == []


def test_out_of_date_the_current_question_is_shown_when_it_is_wanted_and_what_changed(desk):
    request = outdated(desk)
    desk.type("typed before")
    desk.view.outdated(request)
    desk.ask("q-2", REVIEW | {"draft": f"One\nThree {EVIL}"})
    assert "The draft changed after this card was drawn." in desk.text()
    assert "typed before" in desk.text()
    assert desk.buttons() == ["Show the current question", "Show what changed"]
    desk.press("Show what changed")
    assert "<del>Two</del>" in desk.text() or "<del>" in desk.text()
    assert EVIL not in desk.text()
    assert desk.buttons() == ["Show the current question", "Hide what changed"]
    desk.press("Show the current question")
    assert "Out of date" not in desk.text()
    desk.press("Approve")
    assert desk.sent == [{"action": "approve"}]


def test_a_question_of_another_node_is_not_taken_for_what_is_asked_instead(desk):
    desk.view.outdated(outdated(desk))
    question = Question("q-2", "t-1", "other", "t", 0, "", "Go?", AT)
    desk.view.ask(Request(question, form_for(question)), lambda answer: None)
    assert "Go?" in desk.text()
    assert desk.buttons() == ["Approve", "Reject"]


# -- change my answer


def decided(desk):
    request = desk.ask()
    desk.press("Approve")
    desk.view.changeable(request)
    desk.view.running(())
    return request


def test_the_latest_receipt_offers_to_change_the_answer_while_nothing_runs(desk):
    request = decided(desk)
    assert desk.buttons() == ["Change my answer"]
    desk.view.running(["publish"])
    assert desk.buttons() == []
    desk.view.running(())
    desk.press("Change my answer")
    assert desk.changed == ["q-1"]
    desk.view.undone(request, desk.decision(request, {"action": "approve"}))
    desk.ask("q-2")
    assert "You answered “Approved” on 20 Nov 2026, 09:41 UTC; it stays in the record." in desk.text()
    assert "<details" not in desk.text()
    desk.press("Reject")
    assert desk.sent == [{"action": "approve"}, {"action": "reject"}]


def test_at_the_end_the_record_of_the_latest_answer_says_how_to_change_it(desk):
    desk.ask("q-0", "Start?")
    desk.press("Approve")
    decided(desk)
    desk.view.finished()
    assert desk.text().count("session.undo() in a cell asks again") == 1
    assert desk.text().index("Start?") < desk.text().index("session.undo()")


def test_an_answer_of_somebody_else_is_not_called_mine(desk):
    request = desk.request()
    desk.view.decided(request, desk.decision(request, {"action": "approve"}, by="Sam Ito"))
    desk.view.changeable(request)
    desk.view.running(())
    assert desk.buttons() == ["Change this answer"]


def test_a_change_that_fails_says_why_and_can_be_tried_again(desk):
    decided(desk)
    desk.change_fails = ThreadBusyError("Another process runs this thread.")
    desk.press("Change my answer")
    assert "ThreadBusyError: Another process runs this thread." in desk.text()
    desk.change_fails = None
    desk.press("Change my answer")
    assert desk.changed == ["q-1"]


def test_a_question_asked_on_the_ground_of_the_changed_answer_goes_without_a_word_unless_something_was_typed(desk):
    request = decided(desk)
    later = desk.ask("q-3", "Send it?")
    desk.press("Change my answer")
    desk.view.outdated(later)
    assert "Send it?" not in desk.text()
    desk.view.undone(request, desk.decision(request, {"action": "approve"}))
    desk.ask("q-2")
    assert desk.buttons() == ["Approve", "Edit", "Reject"]


def test_an_answer_that_does_not_count_as_the_draft_changed_says_so_and_what_changed(desk):
    request = decided(desk)
    desk.view.undone(request, desk.decision(request, {"action": "approve"}))
    desk.ask("q-2", REVIEW | {"draft": "One\nThree"})
    assert "The draft changed since, so that answer does not count; it stays in the record." in desk.text()
    assert "Show what changed" in desk.text()


def test_a_session_that_was_undone_after_its_end_asks_where_the_receipt_was(desk):
    first, second = desk.ask("q-0", "Start?"), None
    desk.press("Approve")
    second = desk.ask()
    desk.press("Approve")
    desk.view.finished()
    assert desk.buttons() == []
    desk.view.undone(second, desk.decision(second, {"action": "approve"}))
    desk.ask("q-2")
    assert desk.buttons() == ["Approve", "Edit", "Reject"]
    assert desk.text().index("Start?") < desk.text().index("You answered")
    assert first.question.id == "q-0"


# -- the deadline


DUE = {"deadline": AT + timedelta(minutes=14)}


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ({"default": {"action": "reject"}}, "After that the default is recorded: Rejected."),
        ({"escalate_to": f"Sam {EVIL}"}, "After that Sam &lt;img src=x onerror=alert(1)&gt; is asked."),
        ({}, "After that it stays open, is listed as overdue, and takes no answer."),
    ],
)
def test_a_card_says_until_when_it_can_be_answered_and_what_happens_then(desk, terms, told):
    desk.ask(**DUE, **terms)
    assert f"Can be answered until 20 Nov 2026, 09:55 UTC. {told}" in desk.text()
    assert EVIL not in desk.text()


def act(desk, name):
    surface = next(w for w in below(desk.view.box) if isinstance(w, Surface) and w.label)
    surface._handle_custom_msg({"act": name, "arg": "", "value": None, "fields": {}}, [])


def test_a_card_whose_deadline_passes_while_it_is_open_says_so_and_takes_no_answer(desk):
    desk.ask(**DUE, default={"action": "reject"})
    act(desk, "due")  # a page whose clock is ahead
    assert "Waiting for you" in desk.text()
    desk.now = AT + timedelta(minutes=15)
    desk.type("half a comment")
    act(desk, "due")
    for told in ("Deadline passed", "The deadline passed on 20 Nov 2026, 09:55 UTC, so no answer is taken here.", "overdue 60 s"):
        assert told in desk.text()
    assert all(b.disabled for b in desk.shown(ipywidgets.Button) if b.description in ("Approve", "Reject"))
    assert "No answer is taken after the deadline." in desk.text()
    assert desk.shown(ipywidgets.Textarea)[-1].value == "half a comment"
    assert desk.looks == 1


def test_a_card_that_a_wrong_clock_made_late_is_open_again_when_the_clock_is_put_right(desk):
    desk.ask(**DUE)
    desk.now = AT + timedelta(days=365)
    act(desk, "due")
    assert "overdue 365 days" in desk.text()
    desk.now = AT
    act(desk, "due")
    assert "Waiting for you" in desk.text()
    assert "due in 14 min" in desk.text()
    assert not any(b.disabled for b in desk.shown(ipywidgets.Button))
    assert desk.looks == 1


def test_no_card_or_receipt_tells_a_negative_time_when_the_clock_went_back_an_hour(desk):
    desk.now = AT - timedelta(hours=1)
    request = desk.ask(**DUE)
    assert "asked just now" in desk.text()
    assert "due in 1 h" in desk.text()
    made = replace(desk.decision(request, {"action": "approve"}), decided_at=desk.now)
    desk.view.decided(request, made)
    assert "<dt>Answered in</dt><dd>notebook</dd>" in desk.text()  # and not: after -3600 s


def test_a_look_that_fails_when_the_deadline_has_passed_says_so_in_the_card(desk):
    def broken():
        raise OSError("the disk is gone")

    desk.view.opened(Ways(broken, desk.change))
    desk.ask(**DUE)
    desk.now = AT + timedelta(minutes=15)
    act(desk, "due")
    assert "Deadline passed" in desk.text()
    assert "OSError: the disk is gone" in desk.text()


def test_a_late_click_is_refused_with_words_where_nothing_disabled_the_button(desk):
    def late(_):
        desk.now = AT + timedelta(hours=1)
        raise DeadlinePassedError("could be answered until 09:55")

    desk.ask(submit=late, **DUE)
    desk.press("Approve")
    assert "Not sent. could be answered until 09:55" in desk.text()
    assert "Deadline passed" in desk.text()


def test_a_question_that_is_handed_on_says_who_is_asked_now_and_can_be_answered_again(desk):
    desk.ask(**DUE, assignee="Dana", escalate_to="Sam Ito")
    desk.type("kept")
    desk.now = AT + timedelta(minutes=20)
    act(desk, "due")
    desk.view.changed(desk.request(deadline=AT + timedelta(hours=1), assignee="Sam Ito"))
    assert "Waiting for Sam Ito" in desk.text()
    assert "Now asked: Sam Ito." in desk.text()
    assert not any(b.disabled for b in desk.shown(ipywidgets.Button))
    assert desk.shown(ipywidgets.Textarea)[-1].value == "kept"


def test_who_is_asked_by_name_is_you_when_it_is_you(desk):
    desk.ask(assignee="Dana")
    assert "Waiting for you" in desk.text()


# -- failures


def failure(error, *nodes, receipt=None):
    card = FailureCard(error, receipt, lambda: None, None, nodes, now=lambda: AT)
    text = "\n".join(w.value for w in below(card.box) if isinstance(w, ipywidgets.HTML))
    close(card.box)
    return text


def test_a_failure_names_the_node_that_raised():
    text = failure(OSError("down"), ("publish", "builtins.OSError: down"))
    assert "publish raised OSError" in text
    assert "Retry runs publish again." in text


def test_failures_side_by_side_are_all_shown():
    nodes = [(f"n{i}", f"a.b.Error{i}: {EVIL} {i}") for i in range(6)]
    text = failure(OSError("down"), *nodes)
    for told in ("n0 raised Error0", "n3 raised Error3", "and 2 more", "Retry runs the failed step again."):
        assert told in text
    assert EVIL not in text
    assert "Retry runs a and b again." in failure(OSError(), ("a", "x.E: 1"), ("b", "x.F: 2"))


def test_an_error_that_cannot_tell_its_text_is_shown_all_the_same():
    class MuteError(Exception):
        def __str__(self):
            raise RuntimeError

    assert "The run stopped with MuteError" in failure(MuteError())


def test_while_the_input_of_a_failed_step_is_edited_giving_up_is_as_near_as_before(desk):
    desk.ask(payload={"error": "ValueError: '12O' is no number", "question": "Fix it?", "current_input": "12O"})
    desk.press("Retry")
    assert desk.buttons() == ["Retry", "Give up", "Discard edit"]
    desk.press("Give up")
    assert desk.sent == [{"retry": False}]


def test_the_receipt_of_a_changed_answer_is_drawn_where_the_first_one_was(desk):
    request = decided(desk)
    desk.view.undone(request, desk.decision(request, {"action": "approve"}))
    desk.ask("q-2")
    desk.press("Reject")
    assert desk.text().count("Rejected") == 1
    assert "AttributeError" not in desk.text()
    assert all(widget.comm is not None for widget in below(desk.view.box))


def test_a_question_that_is_asked_once_more_after_its_answer_was_drawn_has_a_box_that_lives(desk):
    """Its answer was recorded while the graph told which questions are open."""
    request = desk.request()
    desk.view.decided(request, desk.decision(request, {"action": "approve"}))
    desk.ask()
    desk.elsewhere(request, {"action": "approve"})
    assert all(widget.comm is not None for widget in below(desk.view.box))


def test_a_letter_that_turns_a_text_around_is_written_out_wherever_it_is_shown(desk):
    turned = "\u202eTCEJER\u202c"
    desk.ask("q-1", {"question": f"Ship {turned}?", "options": ["yes", "no"], "reason": turned})
    assert "\u202e" not in desk.text()
    assert desk.text().count("[U+202E]TCEJER") == 2
    desk.press("Yes")
    assert "\u202e" not in desk.text()
    assert "[U+202E]TCEJER" in desk.text()
