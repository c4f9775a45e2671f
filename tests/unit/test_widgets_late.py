"""A button that is pressed when its question has an answer already: its person is told, and whoever clicks twice is not."""

from types import SimpleNamespace

import pytest
from comm.base_comm import CommManager

from hitl_nb.errors import AlreadyAnsweredError, InvalidAnswerError
from hitl_nb.widgets import late_messages
from hitl_nb.widgets.surface import Surface
from tests.unit.test_widgets_inbox import desk as inbox_desk
from tests.unit.test_widgets_inbox import text_of
from tests.unit.test_widgets_stack import desk as stack_desk
from tests.unit.test_widgets_states import AT, EVIL, REVIEW, desk

__all__ = ["desk", "inbox_desk", "stack_desk"]

FIRST = "“Reject” was not recorded.</b> Two tabs answered “Publish?” at once: “Approved” came first (Dana, 20 Nov 2026, 09:41 UTC) and counts."


def card(desk):
    """The card as a page speaks to it, which may do so when it is closed."""
    return next(w for w in desk.shown(Surface) if w.label)


def press(surface, number, page, **held):
    surface._pressed({"press": number, "page": page, "text": None, "comment": None, "fields": {}} | held)


CHOICE = {"question": "Publish?", "options": ["approve", "reject"]}


def test_of_two_pages_with_one_card_the_second_press_is_told_not_to_count(desk):
    desk.ask(payload=CHOICE)
    surface = card(desk)
    press(surface, 0, "one")
    press(surface, 1, "two")
    assert desk.sent == ["approve"]
    assert FIRST in desk.text()
    assert 'role="alert"' in desk.text()
    desk.view.finished()
    assert FIRST in desk.text()


def test_it_is_told_also_when_the_session_has_ended_in_between(desk):
    desk.ask(payload=CHOICE | {"question": f"Publish {EVIL}?"})
    surface = card(desk)
    press(surface, 0, "one")
    desk.view.finished()
    press(surface, 1, "two")
    assert "“Reject” was not recorded." in desk.text()
    assert EVIL not in desk.text()


def test_a_press_that_comes_while_the_other_one_is_sent_is_told_when_that_counts(desk):
    def submit(answer):
        press(surface, 1, "two")
        return desk.take(request, answer)

    request = desk.ask(payload=CHOICE, submit=submit)
    surface = card(desk)
    press(surface, 0, "one")
    assert FIRST in desk.text()


def test_a_press_beside_one_that_is_refused_is_not_told(desk):
    refusals = [InvalidAnswerError("too long")]

    def submit(answer):
        if refusals:
            press(surface, 1, "two")
            raise refusals.pop()
        return desk.take(request, answer)

    request = desk.ask(payload=CHOICE, submit=submit)
    surface = card(desk)
    press(surface, 0, "one")
    press(surface, 0, "one")
    assert desk.sent == ["approve"]
    assert "not recorded" not in desk.text()


@pytest.mark.parametrize(("first", "second"), [("one", "one"), ("one", ""), ("", "two")], ids=["the same page", "a page without a name", "after one"])
def test_whoever_clicks_twice_has_lost_to_nobody(desk, first, second):
    desk.ask(payload=CHOICE)
    surface = card(desk)
    press(surface, 0, first)
    press(surface, 1, second)
    assert desk.sent == ["approve"]
    assert "not recorded" not in desk.text()


def test_the_same_answer_in_two_tabs_is_recorded_once(desk):
    desk.ask(payload=CHOICE)
    surface = card(desk)
    press(surface, 0, "one")
    press(surface, 0, "two")
    assert desk.sent == ["approve"]
    assert "“Approve” was pressed in two tabs for “Publish?”. It is recorded once." in desk.text()


def taken(answer):
    raise AlreadyAnsweredError("taken", reviewer="Sam Ito", answered_at=AT)


def test_the_loser_of_two_kernels_is_told_by_whom_and_can_change_it(desk):
    request = desk.ask(submit=taken)
    desk.press("Reject")
    assert "Your answer “Reject” was not recorded.</b> This one came first and counts:" in desk.text()
    desk.elsewhere(request, {"action": "approve"}, how="card")
    desk.view.changeable(request)
    desk.view.running(())
    for told in ("Your answer “Reject” was not recorded.", "Approved", "Sam Ito, in a notebook", "20 Nov 2026, 09:41 UTC"):
        assert told in desk.text()
    assert desk.buttons() == ["Show receipt", "Change this answer"]
    desk.press("Change this answer")
    assert desk.changed == ["q-1"]


def test_it_is_told_also_where_the_other_answer_was_shown_before_the_own_one_was_refused(desk):
    def submit(answer):
        desk.elsewhere(request, {"action": "approve"})
        taken(answer)

    request = desk.ask(submit=submit)
    desk.press("Reject")
    assert "Your answer “Reject” was not recorded." in desk.text()
    assert "Sam Ito, in the terminal" in desk.text()


def test_a_click_on_its_way_to_a_card_that_somebody_else_answered_is_told(desk):
    request = desk.ask()
    surface = card(desk)
    desk.type("my comment")
    desk.elsewhere(request, {"action": "approve"})
    assert "not recorded" not in desk.text()
    press(surface, 1, "one")
    assert "Your answer “Reject” was not recorded." in desk.text()
    assert "my comment" in desk.text()
    desk.view.finished()
    assert "Sam Ito, in the terminal, was first with “Approved”, 20 Nov 2026, 09:41 UTC, and counts for “Publish?”. What was typed" in desk.text()


def test_who_looks_at_the_receipt_has_read_it(desk):
    request = desk.ask(submit=taken)
    desk.press("Reject")
    desk.elsewhere(request, {"action": "approve"})
    desk.press("Show receipt")
    desk.view.finished()
    assert "not recorded" not in desk.text()


def test_a_default_that_was_first_is_nobody_s_answer(desk):
    request = desk.ask(payload=REVIEW)
    surface = card(desk)
    desk.elsewhere(request, {"action": "reject"}, by="the deadline", how="expire")
    desk.view.finished()
    press(surface, 0, "one")
    assert "The deadline was first: the default “Rejected” was recorded, 20 Nov 2026" in desk.text()


def sent_together(stack_desk):
    """Two answers are kept, and sent when the second question is shown: all in page `one`. The card of the first."""
    stack_desk.ask(CHOICE, CHOICE | {"question": "Mail?"})
    first = stack_desk.card
    for label in ("Approve", "Approve", "Send 2 answers"):
        stack_desk.press(label, page="one")
    return first


@pytest.mark.parametrize(("page", "told"), [("one", False), ("two", True)])
def test_answers_that_are_sent_together_are_those_of_the_page_that_sends_them(stack_desk, page, told):
    press(sent_together(stack_desk), 1, page)
    assert stack_desk.calls == [[("q-1", "approve"), ("q-2", "approve")]]
    assert (FIRST in stack_desk.text) is told


def test_of_answers_that_are_sent_together_the_one_that_came_second_is_told(stack_desk):
    stack_desk.trouble["q-1"] = AlreadyAnsweredError("taken", reviewer="Sam Ito", answered_at=AT)
    sent_together(stack_desk)
    assert stack_desk.text.count("Your answer “Approve” was not recorded.") == 1


def test_an_inbox_tells_it_on_the_card(inbox_desk):
    inbox_desk.ask("tea", CHOICE)
    inbox_desk.open()
    inbox_desk.act("open", inbox_desk.id("tea"))
    look, inbox_desk.view.look = inbox_desk.view.look, lambda: None
    inbox_desk.elsewhere("tea", answer="approve")
    inbox_desk.view.look = look
    inbox_desk.press("Reject")
    assert "Your answer “Reject” was not recorded." in inbox_desk.card
    assert "sam, in the terminal" in inbox_desk.card


def test_an_inbox_tells_it_also_where_its_card_showed_the_other_answer_before_the_own_one_was_refused(inbox_desk):
    inbox_desk.ask("tea", CHOICE)
    inbox_desk.open()
    inbox_desk.act("open", inbox_desk.id("tea"))
    give = inbox_desk.view._answers.give

    def overtaken(request, answer):
        inbox_desk.elsewhere("tea", answer="approve")
        return give(request, answer)

    inbox_desk.view._answers.give = overtaken
    inbox_desk.press("Reject")
    assert "Your answer “Reject” was not recorded." in inbox_desk.card


def test_an_inbox_in_two_tabs_tells_it_in_the_list(inbox_desk):
    inbox_desk.ask("tea", CHOICE)
    inbox_desk.ask("coffee", CHOICE)
    inbox_desk.open()
    inbox_desk.act("open", inbox_desk.id("tea"))
    surface = inbox_desk.view._card._surface
    press(surface, 0, "one")
    press(surface, 1, "one")
    assert inbox_desk.here == "coffee"
    assert "not recorded" not in inbox_desk.said
    press(surface, 1, "two")
    assert "“Reject” was not recorded. Two tabs answered “Publish?” at once: “Approved” came first" in text_of(inbox_desk.view._list.tree)


# -- on its way to a widget that is closed


@pytest.fixture
def manager(monkeypatch):
    made = CommManager()
    monkeypatch.setattr(late_messages, "running_kernel", lambda: SimpleNamespace(comm_manager=made))
    yield made
    late_messages._heard.clear()


def sent(manager, comm_id, content):
    manager.comm_msg(None, None, {"content": {"comm_id": comm_id, "data": content}})


def test_a_press_that_is_on_its_way_to_a_closed_card_is_heard(desk, manager):
    desk.ask(payload=CHOICE)
    surface = card(desk)
    comm_id = surface.comm.comm_id
    press(surface, 0, "one")
    assert surface.comm is None
    assert manager.comms[comm_id].target_name == "hitl-nb.closed"  # a page that is loaded now asks for none of this name
    sent(manager, comm_id, {"method": "custom", "content": {"press": 1, "page": "two"}})
    sent(manager, comm_id, {"method": "update", "state": {"grab": False}})
    assert FIRST in desk.text()


def test_the_latest_closed_widgets_are_heard_and_no_more(manager):
    heard = []
    for n in range(100):
        late_messages.hear_late(f"c-{n}", lambda said, n=n: heard.append(n))
    for n in (0, 83, 84, 99):
        sent(manager, f"c-{n}", {"method": "custom", "content": {}})
    assert heard == [84, 99]
    manager.comm_close(None, None, {"content": {"comm_id": "c-99"}})
    assert len(manager.comms) == len(late_messages._heard) == 15
