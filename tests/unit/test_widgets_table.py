"""The card of a table, without a browser: what the front end would send is handed over by hand."""

import json
from datetime import UTC, datetime

import ipywidgets
import numpy as np
import pandas as pd
import pytest

from hitl_nb.checkpoint.records import Decision, Question
from hitl_nb.decisions.check import check_answer
from hitl_nb.decisions.forms import form_for
from hitl_nb.decisions.request import Request
from hitl_nb.errors import InvalidAnswerError
from hitl_nb.widgets import table_panel
from hitl_nb.widgets.card import Card
from hitl_nb.widgets.controls import close
from hitl_nb.widgets.surface import Surface

AT = datetime(2026, 11, 20, 9, 41, tzinfo=UTC)
FRAME = pd.DataFrame(
    {
        "vendor": ["Acme", "<b>Contoso</b>", "Litware", None],
        "amount": [1290.5, 600.0, 20.0, 900.0],
        "ok": [True, False, True, False],
        "kind": pd.Categorical(["low", "high", "low", "low"]),
        "note": ["", "two\nlines", "x" * 80, "y"],
    },
    index=[11, 12, 13, 14],
)


class Stage:
    def __init__(self, payload=None, id_="q"):
        payload = {"question": "Are these right?", "table": FRAME} if payload is None else payload
        self.question = Question(id_, "t", "check", "t", 0, "", payload, AT)
        self.sent, self.messages, self.decided = [], [], []
        request = Request(self.question, form_for(self.question))
        self.card = Card(request, self.submit, lambda *_: self.decided.append(1), now=lambda: AT)
        self.surface = next(w for w in self.below(self.card.box) if isinstance(w, Surface))
        self.surface.send = self.messages.append

    def submit(self, answer, *, reviewer=None):
        self.sent.append(check_answer(self.question, answer))
        return Decision("q", "t", "check", 1, answer, "Dana", AT, "card")

    def below(self, widget):
        return [widget, *(w for child in getattr(widget, "children", ()) for w in self.below(child))]

    def buttons(self):
        return {b.description: b for b in self.below(self.card.box) if isinstance(b, ipywidgets.Button)}

    def act(self, act, arg="", value=None, **fields):
        self.surface._handle_custom_msg({"act": act, "arg": str(arg), "value": value, "fields": fields}, [])

    def send(self, **fields):
        sender = next(c for c in self.buttons()["Send decisions"]._dom_classes if c.startswith("hitl-nb-press-"))
        self.surface._handle_custom_msg({"press": int(sender.rpartition("-")[2]), "text": None, "comment": None, "fields": fields}, [])

    def nodes(self, tag=None, **attributes):
        def walk(node):
            if isinstance(node, list):
                yield node
                for child in node[2:]:
                    yield from walk(child)

        wanted = {k.rstrip("_").replace("_", "-"): v for k, v in attributes.items()}
        found = (n for top in self.surface.tree for n in walk(top))
        return [n for n in found if tag in (None, n[0]) and all(n[1].get(k) == v for k, v in wanted.items())]

    def node(self, id_):
        (found,) = self.nodes(id=id_)
        return found

    def words(self, node):
        return node if isinstance(node, str) else "".join(self.words(child) for child in node[2:])

    @property
    def line(self):
        return self.card._line.value


@pytest.fixture
def stage():
    table_panel._KEPT.clear()
    made = Stage()
    yield made
    close(made.card.box)
    table_panel._KEPT.clear()


def test_each_row_has_one_group_of_three_named_radio_buttons(stage):
    radios = stage.nodes("input", name="choice-1")
    assert [(r[1]["aria-label"], r[1]["value"], "checked" in r[1]) for r in radios] == [
        ("Accept", "accept", False),
        ("Edit", "edit", False),
        ("Reject", "reject", False),
    ]
    groups = stage.nodes(role="radiogroup")
    assert [g[1]["aria-label"] for g in groups] == ["Row 11", "Row 12", "Row 13", "Row 14"]


def test_the_send_button_waits_until_every_row_is_decided(stage):
    assert stage.buttons()["Send decisions"].disabled
    assert "4 open" in stage.line
    for row, choice in enumerate(["accept", "reject", "accept"]):
        stage.act("choose", row, choice)
    assert "2 accepted, 1 rejected, 1 open" in stage.line
    stage.send()
    assert stage.sent == []
    assert "Accept the other 1" in stage.buttons()
    stage.buttons()["Accept the other 1"].click()
    assert stage.buttons()["Accept the rest"].disabled
    assert stage.messages[-1] == {"focus": "rows"}
    stage.send()
    assert stage.sent == [{"accepted": [11, 13, 14], "edited": [], "rejected": [12], "rules": []}]


def test_one_button_accepts_a_table_that_is_right(stage):
    stage.buttons()["Accept all 4"].click()
    stage.send()
    assert stage.sent[0]["accepted"] == [11, 12, 13, 14]


def test_texts_of_the_table_stay_texts(stage):
    assert stage.nodes("b") == []
    assert stage.words(stage.node("row-1")).startswith("12<b>Contoso</b>600.00no")


def test_an_edited_row_has_a_control_for_each_type(stage):
    stage.act("choose", 1, "edit")
    drawn = [stage.node(f"cell-1-{c}") for c in range(5)]
    assert [d[0] for d in drawn] == ["input", "input", "select", "select", "textarea"]
    assert [d[1]["value"] for d in drawn] == ["<b>Contoso</b>", "600", "no", "high", "two\nlines"]
    assert [d[1]["aria-label"] for d in drawn] == ["vendor", "amount", "ok", "kind", "note"]
    assert [o[1]["value"] for o in drawn[2][2:]] == ["yes", "no"]
    assert [o[1]["value"] for o in drawn[3][2:]] == ["", "high", "low"]
    stage.act("choose", 2, "edit")
    assert stage.node("cell-2-4")[0] == "textarea"


def test_enter_keeps_an_edit_and_shows_old_and_new(stage):
    stage.act("choose", 0, "edit")
    stage.act("cell", "0-1", "1300", **{"cell-0-1": "1300"})
    assert "1 edited, 3 open" in stage.line
    assert stage.words(stage.node("cell-0-1-note")) == "was 1,290.50"
    stage.act("keep", "0-1", "1300", **{"cell-0-1": "1300"})
    assert stage.messages[-1] == {"focus": "edit-0"}
    row = stage.node("row-0")
    assert [stage.words(n) for cell in row[2:] for n in cell[2:] if isinstance(n, list) and n[0] in ("del", "ins")] == ["1,290.50", "1,300.00"]


def test_escape_discards_an_edit(stage):
    stage.act("choose", 0, "edit")
    stage.act("discard", "0-1", "x", **{"cell-0-1": "x"})
    assert stage.messages[-1] == {"focus": "accept-0"}
    assert stage.nodes(id="cell-0-1") == []
    assert "4 open" in stage.line


def test_a_value_that_is_not_taken_is_told_in_its_cell_and_enter_keeps_it_open(stage):
    stage.act("choose", 0, "edit")
    stage.act("keep", "0-1", "ten", **{"cell-0-1": "ten"})
    field = stage.node("cell-0-1")
    assert (field[1]["aria-invalid"], field[1]["aria-describedby"], field[1]["value"]) == ("true", "cell-0-1-note", "ten")
    assert stage.words(stage.node("cell-0-1-note")) == "Ten is no number"
    assert "1 cell to correct" in stage.line


def test_what_is_in_the_fields_at_the_press_is_what_is_sent(stage):
    stage.buttons()["Accept all 4"].click()
    stage.act("choose", 0, "edit")
    stage.act("cell", "0-0", "Acm", **{"cell-0-0": "Acm"})
    stage.send(**{"cell-0-0": "Acme GmbH"})
    assert stage.sent[0]["edited"] == [{"row": 11, "changes": {"vendor": {"from": "Acme", "to": "Acme GmbH"}}}]


def test_a_rule_marks_what_it_hits_and_then_decides_it(stage):
    stage.act("rule", "", "amount > 500", rule="amount > 500")
    assert stage.words(stage.node("found")) == "3 of 4 rows match"
    assert [n[1].get("class") for n in stage.nodes("tr") if "id" in n[1]] == ["hitl-nb-hit", "hitl-nb-hit", None, "hitl-nb-hit"]
    assert stage.words(stage.node("apply-reject")) == "Reject 3"
    stage.act("apply", "reject", rule="amount > 500")
    assert (stage.node("rule")[1]["value"], stage.messages[-1]) == ("", {"focus": "rule"})
    assert "3 rejected, 1 open" in stage.line
    assert stage.words(stage.node("undo-")) == "Undo reject 3"
    stage.act("undo")
    assert "4 open" in stage.line


def test_a_rule_that_was_typed_on_is_shown_before_it_decides(stage):
    stage.act("rule", "", "amount > 500", rule="amount > 500")
    stage.act("apply", "reject", rule="amount > 50")
    assert "4 open" in stage.line
    assert stage.words(stage.node("found")) == "3 of 4 rows match"
    stage.act("apply", "reject", rule="amount > 50")
    assert "3 rejected" in stage.line


def test_a_half_typed_rule_says_what_is_missing_and_decides_nothing(stage):
    stage.act("rule", "", "amount >", rule="amount >")
    assert stage.words(stage.node("found")) == "Not a rule yet; for example amount > 750"
    assert all("disabled" in stage.node(f"apply-{d}")[1] for d in ("accept", "reject"))


def test_what_is_looked_for_is_decided_on_all_pages_once_it_was_seen(stage):
    stage.act("find", "", "low", find="low")
    assert [n[1]["id"] for n in stage.nodes("tr") if "id" in n[1]] == ["row-0", "row-2", "row-3"]
    stage.act("shown", "accept", find="lowe")
    assert "4 open" in stage.line
    assert stage.nodes("tr", id="row-0") == []
    stage.act("find", "", "low", find="low")
    stage.act("shown", "reject", find="low")
    assert "3 rejected, 1 open" in stage.line


def test_a_text_is_looked_for_in_one_column(stage):
    stage.act("find", "", "o", find="o")
    stage.act("in", "", "0", find="o")
    assert [n[1]["id"] for n in stage.nodes("tr") if "id" in n[1]] == ["row-1"]
    stage.act("in", "", "", find="o")
    assert len(stage.nodes("tr")) == 5


def test_a_heading_sorts_up_down_and_not(stage):
    for expected in (
        ["ascending", ["row-2", "row-1", "row-3", "row-0"]],
        ["descending", ["row-0", "row-3", "row-1", "row-2"]],
        ["none", ["row-0", "row-1", "row-2", "row-3"]],
    ):
        stage.act("sort", 1)
        (head,) = [n for n in stage.nodes("th", scope="col") if stage.words(n) == "amount"]
        assert [head[1]["aria-sort"], [n[1]["id"] for n in stage.nodes("tr") if "id" in n[1]]] == expected


def test_ten_thousand_rows_are_drawn_a_page_at_a_time():
    table_panel._KEPT.clear()
    stage = Stage({"table": pd.DataFrame(np.arange(40_000).reshape(10_000, 4), columns=list("abcd"))}, "large")
    assert len(stage.nodes("tr")) == 26
    assert len(json.dumps(stage.surface.tree)) < 60_000
    assert [stage.words(n) for n in stage.nodes("span", role="status")][-1] == "1-25 of 10,000"
    stage.act("page", 1)
    assert stage.nodes("tr")[1][1]["id"] == "row-25"
    stage.act("page", 399)
    assert stage.messages[-1] == {"focus": "prev"}
    assert "disabled" in stage.node("next")[1]
    stage.act("size", "", "10")
    assert stage.nodes("tr")[1][1]["id"] == "row-9970"
    stage.buttons()["Accept all 10,000"].click()
    stage.send()
    assert stage.sent[0]["accepted"] == list(range(10_000))
    close(stage.card.box)


def test_rows_that_are_named_by_position_are_told_so():
    stage = Stage({"table": FRAME.set_axis([1, 1, 2, 2])}, "repeated")
    assert "Rows are named by their position" in stage.words(stage.surface.tree[0])
    close(stage.card.box)


def test_a_cell_that_is_run_again_goes_on_with_what_was_decided(stage):
    stage.act("choose", 0, "reject")
    again = Stage()
    assert "1 rejected, 3 open" in again.line
    again.buttons()["Accept the other 3"].click()
    again.send()
    assert again.sent[0]["rejected"] == [11]
    changed = Stage()
    assert "3 accepted, 1 rejected" in changed.line
    close(changed.card.box)
    close(again.card.box)


def test_reviews_that_were_begun_are_kept_in_bounds():
    table_panel._KEPT.clear()
    for n in range(20):
        Stage(id_=f"q{n}").act("choose", 0, "accept")
    assert list(table_panel._KEPT) == [f"q{n}" for n in range(12, 20)]
    table_panel._KEPT.clear()


def test_somebody_else_may_be_faster(stage):
    stage.act("choose", 0, "reject")
    assert stage.card.unsent == {"decisions": "1 rejected, 3 open"}


def test_a_refused_answer_leaves_the_decisions_as_they_are(stage):
    def refuse(answer, *, reviewer=None):
        raise InvalidAnswerError("the disk is full")

    stage.buttons()["Accept all 4"].click()
    stage.card._submit = refuse
    stage.send()
    assert "the disk is full" in stage.line
    assert "Accept the rest" in stage.buttons()
    del stage.card._submit
    stage.card._submit = stage.submit
    stage.send()
    assert len(stage.sent) == 1


@pytest.mark.parametrize("text", ["a\r\nb\nc", "a\rb", "a\r\nb\rc\n"])
def test_the_line_ends_of_a_cell_are_no_edit_whatever_they_are(text):
    stage = Stage({"question": "Right?", "table": pd.DataFrame({"note": [text, "z"]})})
    stage.act("choose", 0, "edit")
    stage.act("cell", "0-0", None, **{"cell-0-0": text.replace("\r\n", "\n").replace("\r", "\n")})
    stage.act("choose", 0, "accept")
    stage.act("rest")
    stage.send()
    assert [stage.sent[0]["accepted"], stage.sent[0]["edited"]] == [[0, 1], []]


def test_two_cards_of_one_question_send_each_what_it_shows(stage):
    stage.act("choose", 1, "reject")
    stage.act("rest")
    again = Stage()
    again.act("choose", 1, "accept")
    again.act("choose", 2, "edit")
    again.act("cell", "2-1", "21", **{"cell-2-1": "21"})
    assert "3 accepted, 1 rejected" in stage.line
    stage.send()
    assert [stage.sent[0]["rejected"], stage.sent[0]["edited"]] == [[12], []]
    assert "1 edited" in Stage().line
    close(again.card.box)
