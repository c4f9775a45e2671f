"""A card with a panel that is drawn as a tree, without a browser: what the front end would send is handed over by hand."""

import re
from datetime import UTC, datetime

import ipywidgets
import pytest

from hitl_nb.checkpoint.records import Decision, Question
from hitl_nb.decisions.answering import build_answer
from hitl_nb.decisions.request import Form, Option, Request
from hitl_nb.errors import InvalidAnswerError
from hitl_nb.widgets import card as card_module
from hitl_nb.widgets import style, tree_html
from hitl_nb.widgets.card import Card
from hitl_nb.widgets.controls import close
from hitl_nb.widgets.panel import Extra, Panel
from hitl_nb.widgets.surface import Surface
from hitl_nb.widgets.tree import h, icon

AT = datetime(2026, 11, 20, 9, 41, tzinfo=UTC)


class Counting(Panel):
    """A number that goes up by a button, and a field."""

    def __init__(self, request):
        super().__init__(request)
        self.number, self.name = 0, ""

    def tree(self):
        return [h("p", {"id": "n"}, str(self.number)), h("input", {"id": "name", "data-f": "name"})]

    def act(self, act):
        if act.name == "fall over":
            raise ZeroDivisionError("on purpose")
        if act.name == "up":
            self.number += 1
        return "n"

    def take(self, fields):
        self.name = fields.get("name", self.name)

    def extras(self):
        return [Extra("up", f"Count to {self.number + 1}", self.number < 2)]

    def blocked(self):
        return "" if self.number else "Count first"

    def answer(self, option, comment):
        return build_answer(self.request.form, option.value, filled={"number": self.number, "name": self.name}, comment=comment)

    def refuse(self, error):
        return f"Check: {error}", "name"


class Stage:
    def __init__(self):
        question = Question("q", "t", "check", "t", 0, "", {}, AT)
        form = Form("How many?", control="form", options=(Option("send", "Send answer", "primary"),), shape="text", inferred=False)
        self.sent = []
        self.card = Card(Request(question, form), self.submit, lambda *_: None, now=lambda: AT)
        self.messages = []
        self.surface = self.find(Surface)
        self.surface.send = self.messages.append

    def submit(self, answer, *, reviewer=None):
        self.sent.append(answer)
        if isinstance(answer, dict) and answer.get("name") == "refused":
            raise InvalidAnswerError("no such name", path=["name"])
        if isinstance(answer, dict) and answer.get("name") == "pressed":
            raise KeyboardInterrupt
        return Decision("q", "t", "check", 1, answer, "Dana", AT, "card")

    def find(self, kind, name=None):
        def below(widget):
            return [widget, *(w for child in getattr(widget, "children", ()) for w in below(child))]

        return next(w for w in below(self.card.box) if isinstance(w, kind) and name in (None, getattr(w, "description", "")))

    def message(self, **said):
        self.surface._handle_custom_msg(said, [])

    def press(self, **fields):
        sender = next(c for c in self.find(ipywidgets.Button, "Send answer")._dom_classes if c.startswith("hitl-nb-press-"))
        self.message(press=int(sender.rpartition("-")[2]), text=None, comment=None, fields=fields)

    @property
    def line(self):
        return self.card._line.value


@pytest.fixture
def stage(monkeypatch):
    monkeypatch.setattr(card_module, "panel_for", Counting)
    made = Stage()
    yield made
    close(made.card.box)


def test_an_act_changes_the_panel_and_the_card_is_drawn_anew(stage):
    assert stage.find(ipywidgets.Button, "Send answer").disabled
    assert "Count first" in stage.line
    stage.message(act="up", arg="", value=None, fields={"name": "Ada"})
    assert stage.surface.tree[0] == ["p", {"id": "n"}, "1"]
    assert not stage.find(ipywidgets.Button, "Send answer").disabled
    assert "Count first" not in stage.line
    assert stage.messages == [{"focus": "n"}]


def test_a_press_sends_what_the_fields_hold_at_that_moment(stage):
    stage.message(act="up", fields={"name": "A"})
    stage.press(name="Ada")
    assert stage.sent == [{"number": 1, "name": "Ada"}]


def test_a_press_while_something_is_missing_sends_nothing(stage):
    stage.press(name="Ada")
    assert stage.sent == []
    assert "Not sent. Count first" in stage.line


def test_a_button_beside_the_answers_acts_on_the_panel_and_changes_its_words(stage):
    stage.find(ipywidgets.Button, "Count to 1").click()
    stage.find(ipywidgets.Button, "Count to 2").click()
    last = stage.find(ipywidgets.Button, "Count to 3")
    assert last.disabled
    assert stage.surface.tree[0][2] == "2"


def test_a_refused_answer_is_said_below_the_buttons_and_its_field_gets_the_keyboard(stage):
    stage.message(act="up", fields={})
    stage.press(name="refused")
    assert "Not sent. Check: no such name" in stage.line
    assert stage.messages[-1] == {"focus": "name"}
    stage.press(name="Ada")
    assert stage.sent[-1] == {"number": 1, "name": "Ada"}


def test_a_card_whose_answer_is_cut_off_by_an_interrupt_can_be_pressed_again(stage):
    stage.message(act="up", fields={})
    with pytest.raises(KeyboardInterrupt):
        stage.press(name="pressed")
    assert stage.card.state == "open"
    stage.press(name="Ada")
    assert stage.sent[-1] == {"number": 1, "name": "Ada"}


def test_a_panel_that_raises_says_so_on_the_card_and_nothing_is_sent(stage):
    stage.message(act="fall over", fields={})
    assert "ZeroDivisionError: on purpose" in stage.line
    assert stage.sent == []


def test_a_front_end_that_draws_no_tree_answers_with_json(stage):
    plain = stage.find(ipywidgets.Textarea, "Your answer, as JSON")
    plain.value = "{"
    stage.find(ipywidgets.Button, "Send answer").click()
    assert "Not sent. this is no JSON" in stage.line
    plain.value = '{"number": 3}'
    stage.find(ipywidgets.Button, "Send answer").click()
    assert stage.sent == [{"number": 3}]


@pytest.mark.parametrize("said", [{}, {"act": 3}, {"act": "up", "fields": "x"}, {"press": "0"}, {"press": 0, "fields": [1]}, "press", None])
def test_a_malformed_message_of_the_front_end_breaks_nothing(stage, said):
    stage.surface._handle_custom_msg(said, [])
    assert stage.sent == []


def test_what_is_left_out_of_a_tree():
    drawn = h("p", {"id": 3, "hidden": False, "title": None, "open": True}, "a", None, ["b", h("i")], (str(n) for n in range(2)), icon("ok"))
    assert drawn == ["p", {"id": "3", "open": ""}, "a", "b", ["i", {}], "0", "1", ["icon", {"name": "ok"}]]


def test_what_a_tree_may_hold_as_html_it_may_hold_in_the_page():
    listed = style.script().partition("const TAGS = new Set((")[2].partition(").split(")[0]
    in_page = " ".join(re.findall('"([^"]*)"', listed)).split()
    assert set(tree_html._TAGS.pattern.split("|")) <= set(in_page)
