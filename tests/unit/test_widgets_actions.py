"""The card of actions, and the editor of JSON, without a browser: what the page would send is handed over by hand."""

from datetime import UTC, datetime

import ipywidgets
import pytest

from hitl_nb.checkpoint.records import Decision, Question
from hitl_nb.decisions.check import check_answer
from hitl_nb.decisions.forms import form_for
from hitl_nb.decisions.request import Request
from hitl_nb.widgets.card import Card
from hitl_nb.widgets.controls import close
from hitl_nb.widgets.surface import Surface

AT = datetime(2026, 11, 20, 9, 41, tzinfo=UTC)
ACTIONS = {
    "action_requests": [
        {"name": "send_email", "args": {"to": "ana@example.org", "copies": 2}, "description": "<b>Mail</b>"},
        {"name": "execute_sql", "args": {"query": "DELETE FROM orders"}},
        {"name": "restart", "args": {}},
    ],
    "review_configs": [{"action_name": "execute_sql", "allowed_decisions": ["approve", "reject"]}],
}


class Stage:
    def __init__(self, payload):
        self.question = Question("q", "t", "tools", "t", 0, "", payload, AT)
        self.sent, self.focused = [], []
        self.card = Card(Request(self.question, form_for(self.question)), self.submit, lambda *_: None, now=lambda: AT)
        self.surface = self.find(Surface)
        self.surface.focus = self.focused.append

    def submit(self, answer, *, reviewer=None):
        taken = check_answer(self.question, answer)
        self.sent.append(taken)
        return Decision("q", "t", "tools", 1, taken, "Dana", AT, "card")

    def widgets(self):
        def below(widget):
            return [] if widget.layout.display == "none" else [widget, *(w for c in getattr(widget, "children", ()) for w in below(c))]

        return below(self.card.box)

    def find(self, kind, name=None):
        return next(w for w in self.widgets() if isinstance(w, kind) and name in (None, getattr(w, "description", "")))

    def act(self, name, arg="", fields=None):
        self.surface._handle_custom_msg({"act": name, "arg": arg, "value": None, "fields": fields or {}}, [])

    def press(self, label, **fields):
        button = self.find(ipywidgets.Button, label)
        number = next((c.rpartition("-")[2] for c in button._dom_classes if c.startswith("hitl-nb-press-")), None)
        if number is None:
            button.click()
        else:
            self.surface._handle_custom_msg({"press": int(number), "text": None, "comment": None, "fields": fields}, [])

    @property
    def text(self):
        return "\n".join(w.value for w in self.widgets() if isinstance(w, ipywidgets.HTML))

    def nodes(self, tag="", **wanted):
        found = []

        def look(node):
            if isinstance(node, str):
                return
            if tag in ("", node[0]) and all(node[1].get(k) == v for k, v in wanted.items()):
                found.append(node)
            for child in node[2:]:
                look(child)

        for node in self.surface.tree:
            look(node)
        return found

    def words(self, node):
        return node if isinstance(node, str) else "".join(self.words(c) for c in node[2:])


@pytest.fixture
def stage():
    made = []

    def make(payload=ACTIONS):
        made.append(Stage(payload))
        return made[-1]

    yield make
    for one in made:
        close(one.card.box)


# -- actions -----------------------------------------------------------------------------------------------------------------------------


def test_each_action_has_its_choices_and_none_is_taken(stage):
    card = stage()
    assert [[r[1]["value"] for r in card.nodes("input", name=f"v-{n}")] for n in range(3)] == [
        ["approve", "edit", "reject", "respond"],
        ["approve", "reject"],
        ["approve", "edit", "reject", "respond"],
    ]
    assert not [r for r in card.nodes("input") if "checked" in r[1]]
    send = card.find(ipywidgets.Button, "Send decisions")
    assert send.disabled
    assert "3 open" in card.text


def test_actions_are_shown_once_as_their_own_rows(stage):
    card = stage()
    assert "DELETE" not in card.text
    assert [card.words(n) for n in card.nodes("dd")] == ["ana@example.org", "2", "DELETE FROM orders"]
    assert [card.words(n) for n in card.nodes("p")] == ["<b>Mail</b>", "No arguments"]


def test_the_answer_goes_out_with_what_the_fields_hold_at_the_press(stage):
    card = stage()
    card.act("choose", "0", {"v-0": "edit"})
    card.act("choose", "1", {"v-0": "edit", "v-1": "reject"})
    fields = {"v-0": "edit", "v-1": "reject", "v-2": "respond", "a-0-0": "bob@example.org", "a-0-1": "2"}
    card.act("choose", "2", fields)
    assert card.find(ipywidgets.Button, "Send decisions").disabled
    assert "restart: the response is empty" in card.text
    card.act("message", "", fields | {"m-2": "Not now"})
    assert "1 edited, 1 rejected, 1 answered" in card.text
    card.press("Send decisions", **fields, **{"m-2": "Not now, ask me at noon", "m-1": "Never"})
    assert card.sent == [
        {
            "decisions": [
                {"type": "edit", "edited_action": {"name": "send_email", "args": {"to": "bob@example.org", "copies": 2}}},
                {"type": "reject", "message": "Never"},
                {"type": "respond", "message": "Not now, ask me at noon"},
            ]
        }
    ]


def test_the_others_are_approved_by_one_button_that_counts_them(stage):
    card = stage()
    card.act("choose", "1", {"v-1": "reject"})
    card.press("Approve the other 2")
    assert [n[1]["value"] for n in card.nodes("input") if "checked" in n[1]] == ["approve", "reject", "approve"]
    assert card.find(ipywidgets.Button, "Approve the others").disabled
    card.press("Send decisions", **{"v-0": "approve", "v-1": "reject", "v-2": "approve"})
    assert [d["type"] for d in card.sent[0]["decisions"]] == ["approve", "reject", "approve"]


def test_a_changed_argument_is_marked_and_shows_what_it_was(stage):
    card = stage()
    card.act("choose", "0", {"v-0": "edit"})
    assert card.nodes("span", **{"class": "hitl-nb-changed"}) == []
    card.act("argument", "", {"v-0": "edit", "a-0-0": "bob@example.org", "a-0-1": "{"})
    assert [card.words(n) for n in card.nodes("del")] == ["ana@example.org", "2"]
    assert [card.words(n) for n in card.nodes("p", id="p-a-0-1")] == ["Line 1: expected a key in double quotes at the end."]
    assert card.nodes("textarea", id="a-0-1")[0][1]["aria-invalid"] == "true"


def test_what_the_check_refuses_is_said_at_the_argument_and_typing_on_takes_it_away(stage):
    configs = [{"action_name": "pay", "allowed_decisions": ["edit"], "args_schema": {"properties": {"eur": {"maximum": 5}}}}]
    card = stage({"action_requests": [{"name": "pay", "args": {"to": "x", "eur": 3}}], "review_configs": configs})
    card.press("Send decision", **{"v-0": "edit", "a-0-1": "7"})
    assert card.sent == []
    assert "Not sent. Check: Eur of pay" in card.text
    assert card.focused == ["a-0-1"]
    assert "Must be at most 5." in card.words(card.nodes("p", id="p-a-0-1")[0])
    card.act("argument", "", {"v-0": "edit", "a-0-1": "5"})
    assert card.nodes("p", id="p-a-0-1") == []
    card.press("Send decision", **{"v-0": "edit", "a-0-1": "5"})
    assert card.sent[0]["decisions"][0]["edited_action"]["args"] == {"to": "x", "eur": 5}


def test_the_agent_inbox_is_answered_in_its_own_words(stage):
    inbox = {"action_request": {"action": "ls", "args": {}}, "config": {"allow_accept": True, "allow_ignore": True}, "description": "Look"}
    card = stage([inbox, inbox])
    assert [card.words(n) for n in card.nodes("label")] == ["Accept", "Ignore"] * 2
    card.press("Accept all 2")
    card.press("Send decisions", **{"v-0": "ignore", "v-1": "approve"})
    assert card.sent == [[{"type": "accept", "args": None}, {"type": "accept", "args": None}]], "a value that is no choice changes nothing"


def test_one_action_has_no_button_for_the_others(stage):
    card = stage({"action_requests": [{"name": "ls", "args": {}}]})
    assert [w.description for w in card.widgets() if isinstance(w, ipywidgets.Button)] == ["Send decision"]
    assert "Choose what is to happen" in card.text


def test_what_was_decided_but_not_sent_is_kept(stage):
    card = stage()
    assert card.card.unsent == {}
    card.act("choose", "1", {"v-1": "reject", "m-1": "Never"})
    assert "Never" in card.card.unsent["decisions"]


# -- the editor of JSON ------------------------------------------------------------------------------------------------------------------

EDIT = {"action": "edit_content", "original": {"low": 0.1, "names": ["a", "b"]}}


def editor(card):
    return card.find(ipywidgets.Textarea, "Your edit")


def test_json_is_checked_while_it_is_typed_and_the_button_waits_until_it_is_right(stage):
    card = stage(EDIT)
    send = card.find(ipywidgets.Button, "Send edit")
    assert not send.disabled
    editor(card).value = '{"low": 0.1,\n "names": ["a" "b"]}'
    assert "Line 2: expected a comma before &quot;b&quot;." in card.text
    assert send.disabled
    assert "The JSON is not right yet." in card.text
    assert card.surface.invalid == "main"
    editor(card).value = '{"low": 0.2, "names": ["a", "b"]}'
    assert not send.disabled
    assert card.surface.invalid == ""
    assert "hitl-nb-why" not in card.text
    card.press("Send edit")
    assert card.sent == [{"low": 0.2, "names": ["a", "b"]}]


def test_the_difference_of_data_does_not_count_how_they_are_laid_out(stage):
    card = stage(EDIT)
    assert "No changes yet" in card.text
    editor(card).value = '{"low":0.1,"names":["a","b"]}'
    assert "No changes: only the layout differs" in card.text
    editor(card).value = '{"low":0.10,"names":["a","c"]}'
    assert "<ins>0.10</ins>" in card.text or "<ins>10</ins>" in card.text, "a number stands as it was typed"
    assert "<del>b</del>" in card.text
    assert card.text.count("hitl-nb-same") == 2 * 5, "{, names, a, ] and } are the same on both sides"


def test_an_empty_field_is_begun_not_wrong_and_is_not_sent(stage):
    card = stage({"action": "edit_content", "original": 5})
    editor(card).value = ""
    send = card.find(ipywidgets.Button, "Send edit")
    assert not send.disabled
    card.press("Send edit")
    assert card.sent == []
    assert "Not sent. The field is empty. Write a value: 12, &quot;a text&quot;, true, null, a list or an object." in card.text
    editor(card).value = "6"
    card.press("Send edit")
    assert card.sent == [6]


def test_a_number_that_cannot_be_held_exactly_is_told_before_it_is_sent(stage):
    card = stage({"action": "edit_content", "original": {"n": 1.5}})
    editor(card).value = '{"n": 0.12345678901234567891}'
    assert "0.12345678901234567891 is sent as 0.12345678901234568" in card.text


def test_an_edit_of_data_that_only_lays_them_out_anew_is_not_sent_as_an_edit(stage):
    card = stage({"action": "review", "draft": {"a": [1, 2]}, "options": ["approve", "edit", "reject"]})
    card.press("Edit")
    editor(card).value = '{"a": [1, 2]}'
    card.press("Send edit")
    assert card.sent == []
    assert "Nothing changed yet." in card.text
    editor(card).value = '{"a": [1, 3]}'
    card.press("Send edit")
    assert card.sent == [{"action": "edit", "edited_text": {"a": [1, 3]}}]


def test_an_answer_written_as_json_is_checked_while_it_is_typed(stage):
    card = stage({"limits": {"low": 0.1}})
    field = card.find(ipywidgets.Textarea, "Your answer, as JSON")
    field.value = "{'a': 1}"
    assert "Line 1: expected a key in double quotes" in card.text
    field.value = ""
    assert "hitl-nb-why" not in card.text
    field.value = '{"a": 1}'
    card.press("Send answer")
    assert card.sent == [{"a": 1}]
