"""Questions that are open at once: one is drawn at a time, answers are kept until they are sent, and none is lost, doubled or misdelivered."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import ipywidgets
import pytest
from comm.base_comm import CommManager

from hitl_nb.checkpoint.records import Decision, Question
from hitl_nb.decisions.check import check_answer
from hitl_nb.decisions.forms import form_for
from hitl_nb.decisions.request import Request
from hitl_nb.errors import AlreadyAnsweredError, DeadlinePassedError, HitlError
from hitl_nb.responders.base import Ways
from hitl_nb.widgets import late_messages
from hitl_nb.widgets.controls import close
from hitl_nb.widgets.live import LiveView
from hitl_nb.widgets.renderers import Drawing, forget_renderer, renderer
from hitl_nb.widgets.surface import Surface

AT = datetime(2026, 11, 20, 9, 41, tzinfo=UTC)
REVIEW = {"action": "review", "question": "Publish?", "draft": "One\nTwo", "options": ["approve", "edit", "reject"]}
TEXT = {"question": "Which title?", "type": "text"}
ROUTE = {"question": "Which route?", "options": ["road", "rail"]}
FORM = {"type": "object", "properties": {"count": {"type": "integer", "minimum": 1}}, "required": ["count"]}


class Desk:
    """Takes answers as a session does, several at once."""

    def __init__(self):
        self.view = LiveView(now=lambda: AT + timedelta(minutes=3))
        self.view.opened(Ways(lambda: None, lambda key: None, self.take))
        self.requests, self.calls, self.trouble = {}, [], {}
        self.single = []

    def ask(self, *payloads, **terms):
        for payload in payloads:
            key = f"q-{len(self.requests) + 1}"
            question = Question(key, "t-1", "check", "t", len(self.requests), "", payload, AT, **terms)
            request = self.requests[key] = Request(question, form_for(question, reviewer="Dana"))
            self.view.ask(request, lambda answer, key=key: self.take_one(key, answer))

    def take_one(self, key, answer):
        self.single.append(key)
        [made] = self.take([(self.requests[key], answer)])
        if isinstance(made, HitlError):
            raise made
        return made

    def take(self, given):
        self.calls.append([(r.question.id, a) for r, a in given])
        if isinstance(self.trouble.get("store"), BaseException):
            raise self.trouble.pop("store")
        return [self.decide(r, a) for r, a in given]

    def decide(self, request, answer):
        if request.question.id in self.trouble:
            return self.trouble[request.question.id]
        decision = Decision(request.question.id, "t-1", "check", len(self.calls), check_answer(request.question, answer), "Dana", AT, "card")
        self.view.decided(request, decision)
        return decision

    def elsewhere(self, key, *, answer=True):
        self.view.decided_elsewhere(self.requests[key], Decision(key, "t-1", "check", 90, answer, "Sam Ito", AT, "console"))

    # -- what a person sees and does

    @property
    def widgets(self):
        return list(_shown(self.view.box))

    @property
    def text(self):
        return "\n".join(w.value for w in self.widgets if isinstance(w, ipywidgets.HTML))

    @property
    def buttons(self):
        return {w.description: w for w in self.widgets if isinstance(w, ipywidgets.Button)}

    @property
    def heading(self):
        return self.card.label

    @property
    def card(self):
        return [w for w in self.widgets if isinstance(w, Surface) and w.label and "questions" not in w.label][-1]

    @property
    def bar(self):
        return str(self.view._stack._bar.tree)

    def press(self, label, **held):
        number = next(c for c in self.buttons[label]._dom_classes if c.startswith("hitl-nb-press-")).rpartition("-")[2] if held else None
        if number is None:
            self.buttons[label].click()
        else:
            self.card._handle_custom_msg({"press": int(number), "text": None, "comment": None, "fields": {}} | held, [])

    def go(self, number, **held):
        """As the page does it: the card tells what it holds, then the bar where the person goes."""
        if held:
            self.card._handle_custom_msg({"hold": True, "text": None, "comment": None, "fields": {}} | held, [])
        self.view._stack._bar._handle_custom_msg({"act": "go", "arg": str(number), "fields": {}}, [])

    def field(self, label):
        return next(w for w in self.widgets if isinstance(w, ipywidgets.Textarea) and w.description == label)


def _shown(widget):
    if widget.layout.display != "none":
        yield widget
        for child in getattr(widget, "children", ()):
            yield from _shown(child)


def instances():
    return set(ipywidgets.widgets.widget._instances)


@pytest.fixture
def desk(monkeypatch):
    monkeypatch.setattr("IPython.display.display", lambda data, **options: None)
    made = Desk()
    yield made
    close(made.view.box)


def test_answers_are_kept_and_sent_together_in_the_order_of_the_questions(desk):
    desk.ask("One?", "Two?", "Three?")
    desk.go(2)
    desk.press("Reject")
    desk.press("Approve")
    assert desk.calls == []
    assert "2 answered, not sent" in desk.bar
    desk.press("Reject")
    desk.press("Send 3 answers")
    assert desk.calls == [[("q-1", True), ("q-2", False), ("q-3", False)]]
    assert desk.single == []
    receipts = [desk.text.index(heading) for heading in ("One?", "Two?", "Three?")]
    assert receipts == sorted(receipts)
    assert desk.buttons == {}


def test_after_an_answer_the_next_question_without_one_comes_and_after_the_last_the_button_to_send(desk):
    desk.ask("One?", "Two?", "Three?")
    desk.go(1)
    desk.press("Approve")
    assert desk.heading == "Three?"
    desk.press("Approve")
    assert desk.heading == "One?"
    assert "hitl-nb-primary" not in desk.buttons["Send 2 answers"]._dom_classes
    desk.press("Approve")
    assert desk.heading == "One?"
    primary = [label for label, button in desk.buttons.items() if "hitl-nb-primary" in button._dom_classes]
    assert primary == ["Send 3 answers"]


def test_a_part_can_be_sent_and_the_others_stay(desk):
    desk.ask("One?", TEXT, "Three?")
    desk.press("Approve")
    desk.field("Your answer").value = "Half a"
    desk.press("Send 1 answer")
    assert desk.calls == [[("q-1", True)]]
    assert desk.heading == "Which title?"
    assert desk.field("Your answer").value == "Half a"
    assert "1</b>" not in desk.bar
    assert "['b', {}, '1'], ' of 2'" in desk.bar


def test_what_was_filled_in_survives_going_to_another_question_and_back(desk):
    desk.ask(TEXT, REVIEW, ROUTE)
    desk.go(1, text="the quick brown fox")  # the last keys come with the message that leaves
    desk.field("Comment (optional)").value = "check it"
    desk.press("Edit")
    desk.field("Your edit").value = "One\n2"
    desk.go(2)
    desk.go(0)
    assert desk.field("Your answer").value == "the quick brown fox"
    desk.go(1, text="the quick brown fox")
    assert desk.field("Your edit").value == "One\n2"
    assert desk.field("Comment (optional)").value == "check it"
    desk.press("Keep edit")
    desk.press("Send 1 answer")
    assert desk.calls == [[("q-2", {"action": "edit", "edited_text": "One\n2", "feedback": "check it", "comments": "check it"})]]


def test_an_answered_question_shows_its_answer_and_can_be_answered_otherwise_or_not_at_all(desk):
    desk.ask("One?", "Two?", "Three?")
    desk.press("Approve")
    desk.go(0)
    assert "Answered, not sent" in desk.text
    assert "hitl-nb-chosen" in desk.buttons["Approve"]._dom_classes
    desk.press("Reject")
    assert desk.heading == "Two?"
    desk.press("Approve")
    desk.go(1)
    desk.press("Take back")
    assert desk.heading == "Two?"
    assert "Waiting for you" in desk.text
    desk.press("Send 1 answer")
    assert desk.calls == [[("q-1", False)]]


def test_an_answer_that_is_changed_after_it_was_kept_is_not_sent_as_it_was(desk):
    desk.ask(TEXT, "Two?")
    desk.field("Your answer").value = "First"
    desk.press("Keep answer")
    desk.go(0)
    desk.go(1, text="First")
    desk.go(0)
    assert "1 answered, not sent" in desk.bar  # looking at it changes nothing
    desk.go(1, text="Second")
    assert "answered, not sent" not in desk.bar
    desk.go(0)
    assert desk.field("Your answer").value == "Second"
    desk.press("Keep answer")
    desk.press("Approve")
    desk.press("Send 2 answers")
    assert desk.calls == [[("q-1", "Second"), ("q-2", True)]]


def test_the_button_to_send_brings_what_the_shown_card_holds_and_does_not_send_an_answer_that_no_longer_is_one(desk):
    desk.ask(TEXT, "Two?")
    desk.field("Your answer").value = "First"
    desk.press("Keep answer")
    desk.press("Approve")
    desk.go(0)
    desk.press("Send 2 answers", text="First, and more")
    assert desk.calls == [[("q-2", True)]]
    assert desk.field("Your answer").value == "First, and more"


def test_an_answer_that_does_not_fit_is_refused_at_once_and_the_question_stays(desk):
    desk.ask({"question": "How many?", "type": "text"}, schema=FORM)
    desk.ask("Two?")
    surface = desk.card
    number = next(c for b in desk.buttons.values() for c in b._dom_classes if c.startswith("hitl-nb-press-")).rpartition("-")[2]
    surface._handle_custom_msg({"press": int(number), "text": '{"count": 0}', "comment": None, "fields": {"count": "0"}}, [])
    assert desk.heading == "How many?"
    assert "answered, not sent" not in desk.bar
    assert desk.calls == []


def test_an_answer_of_a_user_s_renderer_is_checked_when_it_is_kept_and_nothing_changes_it_afterwards(desk):
    chosen = ["c"]

    @renderer(lambda request: request.payload["kind"] == "picked")
    def picked(request):
        return Drawing("Pick", answer=lambda: chosen[0] if len(chosen) == 1 else chosen, send="Keep it")

    try:
        desk.ask({"kind": "picked", "question": "Which?", "options": ["a", "b"]}, "Two?", "Three?")
        desk.press("Keep it")
        assert "none of its options" in desk.text
        assert desk.heading == "Which?"
        chosen[:] = ["a", "b"]  # a list is no option, but it passes
        desk.press("Keep it")
        assert desk.heading == "Two?"
        chosen.append("c")
        desk.press("Send 1 answer")
        assert desk.calls == [[("q-1", ["a", "b"])]]
    finally:
        forget_renderer(picked)


def test_what_somebody_else_answered_meanwhile_is_told_and_the_others_count(desk):
    desk.ask("One?", REVIEW, "Three?")
    desk.press("Approve")
    desk.field("Comment (optional)").value = "my reason"
    desk.press("Reject")
    desk.press("Approve")
    desk.trouble["q-2"] = AlreadyAnsweredError("taken", reviewer="Sam Ito", answered_at=AT)
    desk.press("Send 3 answers")
    assert desk.calls == [[("q-1", True), ("q-2", {"action": "reject", "feedback": "my reason", "comments": "my reason"}), ("q-3", True)]]
    assert "Answered elsewhere" in desk.text
    assert "my reason" in desk.text
    assert "Rejected" in desk.text
    assert desk.text.count("<details") == 2


def test_an_answer_that_comes_too_late_brings_its_question_back_with_the_reason(desk):
    desk.ask("One?", "Two?", "Three?")
    for _ in range(3):
        desk.press("Approve")
    desk.trouble["q-2"] = DeadlinePassedError("it could be answered until noon")
    desk.press("Send 3 answers")
    assert desk.heading == "Two?"
    assert "Not sent. it could be answered until noon" in desk.text
    assert desk.text.count("<details") == 2
    assert "Send 1 answer" not in desk.buttons


def test_when_the_store_fails_every_answer_is_still_kept(desk):
    desk.ask("One?", "Two?")
    desk.press("Approve")
    desk.press("Reject")
    desk.trouble["store"] = OSError("No space left on device")
    desk.press("Send 2 answers")
    assert "Not sent. OSError: No space left on device" in desk.text
    desk.press("Send 2 answers")
    assert desk.calls[0] == desk.calls[1] == [("q-1", True), ("q-2", False)]


def test_when_an_interrupt_cuts_off_the_sending_every_answer_is_still_kept(desk):
    desk.ask("One?", "Two?")
    desk.press("Approve")
    desk.press("Reject")
    desk.trouble["store"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        desk.press("Send 2 answers")
    desk.press("Send 2 answers")
    assert desk.calls[0] == desk.calls[1] == [("q-1", True), ("q-2", False)]


def test_a_second_click_on_send_sends_nothing(desk):
    desk.ask("One?", "Two?", "Three?")
    desk.press("Approve")
    button, take = desk.buttons["Send 1 answer"], desk.take

    def slowly(given):
        button.click()
        return take(given)

    desk.view._ways = Ways(lambda: None, lambda key: None, slowly)
    button.click()
    button.click()
    assert desk.calls == [[("q-1", True)]]


def test_a_press_that_was_meant_for_the_question_before_answers_nothing(desk):
    desk.ask("One?", "Two?", "Three?")
    old, message = desk.card, {"press": 0, "text": None, "comment": None, "fields": {}}
    old._handle_custom_msg(message, [])
    old._handle_custom_msg(message, [])
    assert "1 answered, not sent" in desk.bar
    assert desk.heading == "Two?"


def test_a_single_question_is_sent_at_once_and_grows_into_a_stack_without_being_drawn_anew(desk):
    desk.ask(TEXT)
    field, label = desk.field("Your answer"), set(desk.buttons)
    field.value = "Half a sent"
    assert desk.bar == "[]"
    assert label == {"Send answer"}
    desk.ask("Two?")
    assert desk.field("Your answer") is field
    assert field.value == "Half a sent"
    assert "Keep answer" in desk.buttons
    desk.elsewhere("q-2")
    desk.press("Send answer")
    assert desk.single == ["q-1"]
    assert desk.calls == [[("q-1", "Half a sent")]]


def test_a_click_that_was_meant_to_keep_does_not_send_when_the_other_question_has_gone(desk):
    desk.ask("One?", "Two?")
    surface, number = desk.card, next(c for c in desk.buttons["Approve"]._dom_classes if c.startswith("hitl-nb-press-")).rpartition("-")[2]
    desk.elsewhere("q-2")
    surface._handle_custom_msg({"press": int(number), "text": None, "comment": None, "fields": {}}, [])
    assert desk.calls == []
    desk.press("Approve")
    assert desk.calls == [[("q-1", True)]]


def test_a_question_answered_elsewhere_leaves_with_a_note_and_what_was_typed_there_stays_readable(desk):
    desk.ask(TEXT, "Two?", "Three?")
    desk.field("Your answer").value = "my long title"
    desk.elsewhere("q-2")
    assert desk.heading == "Which title?"
    assert "“Two?”, by Sam Ito, in the terminal" in desk.bar
    desk.elsewhere("q-1", answer="Another title")
    assert desk.heading == "Three?"
    assert desk.card.grab is False  # a key that was meant for the other question must not answer this one
    assert "my long title" in desk.text
    assert "Your text, not sent" in desk.text


def test_a_kept_answer_of_a_question_that_is_answered_elsewhere_is_told_and_not_sent(desk):
    desk.ask("One?", "Two?", "Three?")
    desk.press("Reject")
    desk.elsewhere("q-1")
    assert "Your answer, not sent" in desk.text
    assert "answered, not sent" not in desk.bar
    desk.press("Approve")
    desk.press("Send 1 answer")
    assert desk.calls == [[("q-2", True)]]


def test_the_lost_kernel_is_told_how_many_answers_went_with_it(desk):
    desk.ask("One?", "Two?", "Three?")
    desk.press("Approve")
    desk.press("Approve")
    assert "2 answers were not sent. The questions are stored." in desk.text


def test_a_thousand_questions_draw_one(desk):
    before = instances()
    desk.ask(*(f"Is {n} right?" for n in range(1000)))
    one = len(instances() - before)
    for _ in range(40):
        desk.press("Approve")
    assert one < 60
    assert len(instances() - before) < one + 20
    assert "'progress'" in desk.bar
    assert "'41'" in desk.bar
    assert "' of 1,000'" in desk.bar
    assert desk.bar.count("hitl-nb-seg") == 0
    desk.press("Send 40 answers")
    assert len(desk.calls) == 1
    assert len(desk.calls[0]) == 40
    assert "' of 960'" in desk.bar


def test_segments_tell_each_answer_in_words(desk):
    desk.ask("One?", "Two?", "Three?")
    desk.press("Approve")
    desk.press("Reject")
    for told in ("Question 1: Approved, not sent", "Question 2: Rejected, not sent", "Question 3: open"):
        assert told in desk.bar


def test_the_end_frees_every_widget_of_the_stack(desk):
    before = instances()
    desk.ask(TEXT, REVIEW, "Three?")
    desk.go(1, text="x")
    desk.press("Edit")
    desk.go(0)
    desk.elsewhere("q-1", answer="y")
    desk.view.finished()
    assert {type(ipywidgets.widgets.widget._instances[i]).__name__ for i in instances() - before} <= {"HTML", "HTMLStyle", "Layout"}


@pytest.mark.parametrize(("before", "after"), [("1", "true"), ('{"n": 1}', '{"n": 1.0}'), ("[0]", "[false]")])
def test_what_python_calls_equal_is_another_answer_all_the_same(desk, before, after):
    desk.ask({"anything": "else"}, "Two?")
    desk.field("Your answer, as JSON").value = before
    desk.press("Keep answer")
    desk.go(0)
    assert "1 answered" in desk.bar
    desk.field("Your answer, as JSON").value = after
    assert "1 answered" not in desk.bar


def test_an_answer_from_code_that_comes_first_while_the_kept_ones_are_sent_is_told_with_what_was_kept(desk):
    desk.ask("One?", "Two?")
    desk.press("Approve")
    taken = desk.take

    def take(given):
        request = desk.requests["q-1"]
        desk.view.decided(request, Decision("q-1", "t-1", "check", 1, False, "Sam Ito", AT, "code"))
        desk.trouble["q-1"] = AlreadyAnsweredError("taken", interrupt_id="q-1", reviewer="Sam Ito", answered_at=AT)
        return taken(given)

    desk.view.opened(Ways(lambda: None, lambda key: None, take))
    desk.press("Send 1 answer")
    assert desk.heading == "Two?"
    assert "Answered elsewhere" in desk.text
    assert "Your answer, not sent" in desk.text
    assert "Show receipt" in desk.buttons
    desk.view.finished()
    assert "Rejected" in desk.text


def test_a_late_press_on_the_button_that_sends_all_sends_nothing(desk, monkeypatch):
    """Its card is closed: since then more was kept, which this person has not seen."""
    manager = CommManager()
    monkeypatch.setattr(late_messages, "running_kernel", lambda: SimpleNamespace(comm_manager=manager))
    desk.ask("One?", "Two?", "Three?")
    desk.press("Approve")
    comm = desk.card.comm.comm_id
    number = next(c for c in desk.buttons["Send 1 answer"]._dom_classes if c.startswith("hitl-nb-press-")).rpartition("-")[2]
    desk.press("Reject")
    data = {"method": "custom", "content": {"press": int(number), "page": "two", "text": None, "comment": None, "fields": {}}}
    heard = manager.comms.get(comm)
    assert heard is not None
    heard.handle_msg({"content": {"data": data}})
    assert desk.calls == []
    assert "2 answered, not sent" in desk.bar
