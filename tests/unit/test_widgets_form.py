"""A card with a form, without a browser: what the front end would report is handed over by hand."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

import ipywidgets
import pytest
from pydantic import AwareDatetime, BaseModel, Field, field_validator

from hitl_nb.checkpoint.records import Decision, Question
from hitl_nb.decisions.check import answer_schema, check_answer, remember_schema
from hitl_nb.decisions.forms import form_for
from hitl_nb.decisions.request import Request
from hitl_nb.widgets.bundle import bundle
from hitl_nb.widgets.card import Card
from hitl_nb.widgets.controls import close
from hitl_nb.widgets.form_panel import FormPanel
from hitl_nb.widgets.receipt import Receipt
from hitl_nb.widgets.surface import Surface

AT = datetime(2026, 11, 20, 9, 41, tzinfo=UTC)


class Item(BaseModel):
    sku: str = Field(title="SKU")
    count: int = 1


class Bank(BaseModel):
    kind: Literal["bank"]
    iban: str


class Giro(BaseModel):
    kind: Literal["giro"]
    number: int


class Refund(BaseModel):
    """Required unless marked optional."""

    customer_email: str = Field(json_schema_extra={"format": "email"}, examples=["me@example.org"])
    amount: float = Field(le=500, title="Amount in EUR", description="The limit is yours.")
    reason: Literal["defective", "late", "wrong", "damaged", "changed", "other"]
    pay_out_on: date | None = None
    due: AwareDatetime | None = None
    refund_to: Literal["card", "voucher"]
    notify: bool = True
    note: str = ""
    items: list[Item] = []
    pay: Annotated[Bank | Giro, Field(discriminator="kind")] | None = None
    rates: dict[str, float] = {}
    ship: Item | None = None
    ways: set[Literal["air", "sea"]] = set()

    @field_validator("note")
    @classmethod
    def kind_words(cls, note: str) -> str:
        if "rude" in note:
            raise ValueError("Say it nicely.")
        return note


class Stage:
    """A card whose answers are checked as a session does, and what its tree holds."""

    def __init__(self, schema: Any = Refund, payload: Any = "Complete the refund?") -> None:
        remember_schema("form", schema)
        self.question = Question("form", "t", "check", "t", 0, "", payload, AT, schema=answer_schema(schema))
        self.request = Request(self.question, form_for(self.question))
        self.sent: list[Any] = []
        self.card = Card(self.request, self.submit, lambda *_: None, now=lambda: AT)
        self.messages: list[Any] = []
        self.surface = next(w for w in below(self.card.box) if isinstance(w, Surface))
        self.surface.send = self.messages.append

    def submit(self, answer: Any, *, reviewer: str | None = None) -> Decision:
        self.sent.append(check_answer(self.question, answer))
        return Decision("form", "t", "check", 1, answer, "Dana", AT, "card")

    def nodes(self) -> list[tuple[str, dict[str, str], list[Any]]]:
        found = []

        def walk(node: Any) -> None:
            if isinstance(node, list) and node[0] != "icon":
                found.append((node[0], node[1], node[2:]))
                for child in node[2:]:
                    walk(child)

        for node in self.surface.tree:
            walk(node)
        return found

    def id(self, label: str, nth: int = 0) -> str:
        """The id of the control with this label."""
        ids = [own.get("for", "") for _, own, inner in self.nodes() if inner and inner[0] == label and own.get("for")]
        ids += [own["id"] for _, own, _ in self.nodes() if own.get("aria-label") == label]
        for tag, _, inner in self.nodes():
            if tag == "label" and inner[1:] == [["span", {}, label]]:
                ids.append(inner[0][1]["data-f"])
        legends = [inner for tag, _, inner in self.nodes() if tag == "fieldset" and inner[0][2] == label]
        ids += [found[0] for inner in legends if (found := [n[1]["data-f"] for n in flat(inner) if n[1].get("type") == "radio"])]
        return ids[nth]

    def own(self, name: str) -> dict[str, str]:
        return next(own for _, own, _ in self.nodes() if own.get("id") == name)

    def note(self, name: str) -> str:
        return words(next([tag, own, *inner] for tag, own, inner in self.nodes() if own.get("id") == f"{name}-note"))

    def act(self, name: str, arg: str, **fields: Any) -> None:
        self.surface._handle_custom_msg({"act": name, "arg": arg, "value": None, "fields": fields}, [])

    def press(self, fields: dict[str, Any]) -> None:
        sender = next(w for w in below(self.card.box) if isinstance(w, ipywidgets.Button) and w.description.startswith("Send"))
        number = next(c for c in sender._dom_classes if c.startswith("hitl-nb-press-")).rpartition("-")[2]
        self.surface._handle_custom_msg({"press": int(number), "text": None, "comment": None, "fields": fields}, [])

    @property
    def line(self) -> str:
        return self.card._line.value


def below(widget: Any) -> list[Any]:
    return [widget, *(w for child in getattr(widget, "children", ()) for w in below(child))]


def flat(nodes: Any) -> list[Any]:
    return [n for node in nodes if isinstance(node, list) and node[0] != "icon" for n in (node, *flat(node[2:]))]


def words(node: Any) -> str:
    return node if isinstance(node, str) else "".join(words(child) for child in node[2:])


@pytest.fixture
def stage():
    made = Stage()
    yield made
    close(made.card.box)


def test_a_card_whose_form_is_complete_sends_the_answer(stage):
    fields = {
        stage.id("Customer email"): "marta@example.org",
        stage.id("Amount in EUR"): "249.5",
        stage.id("Reason"): "1",
        stage.id("Pay out on"): "2026-11-21",
        stage.id("Due"): "2026-11-22T09:00",
        stage.id("Time zone of Due"): "+01:00",
        stage.id("Refund to"): "0",
        stage.id("Notify"): False,
        stage.id("Note"): "two\nlines",
        stage.id("Sea"): True,
    }
    stage.press(fields)
    assert stage.sent == [
        {
            "customer_email": "marta@example.org",
            "amount": 249.5,
            "reason": "late",
            "pay_out_on": "2026-11-21",
            "due": "2026-11-22T09:00:00+01:00",
            "refund_to": "card",
            "notify": False,
            "note": "two\nlines",
            "items": [],
            "rates": {},
            "ways": ["sea"],
        }
    ]


def test_a_refused_form_says_so_at_its_fields_and_below_the_buttons_and_gives_the_first_wrong_one_the_keyboard(stage):
    amount, email = stage.id("Amount in EUR"), stage.id("Customer email")
    stage.press({amount: "649", email: "marta@example.org", stage.id("Refund to"): None})
    assert stage.sent == []
    assert "Not sent. Check: Amount in EUR, Reason, Refund to" in stage.line
    assert stage.messages == [{"focus": amount}]
    assert (stage.own(amount)["aria-invalid"], stage.own(amount)["aria-describedby"]) == ("true", f"{amount}-note")
    assert stage.note(amount) == "Must be at most 500. The limit is yours."
    assert "aria-invalid" not in stage.own(email)
    assert [stage.own(stage.id(name)).get("aria-required") for name in ("Customer email", "Note", "Pay out on")] == ["true", None, None]
    assert stage.own(amount)["value"] == "649"


def test_a_field_that_is_left_is_checked_and_the_line_goes_with_the_last_problem(stage):
    amount = stage.id("Amount in EUR")
    stage.press({})
    stage.act("leave", amount, **{amount: "x"})
    assert stage.note(amount).startswith("Must be a number, like 12.5.")
    assert "Check: Customer email, Reason, Refund to, Amount in EUR" in stage.line
    rest = {stage.id("Customer email"): "a@example.org", stage.id("Reason"): "0", stage.id("Refund to"): "1", amount: "5"}
    for name in rest:
        stage.act("leave", name, **rest)
    assert "Check" not in stage.line
    assert stage.note(amount) == "The limit is yours."


def test_a_rule_of_the_authors_class_is_told_at_its_field(stage):
    fields = {stage.id("Customer email"): "a@example.org", stage.id("Amount in EUR"): "5", stage.id("Reason"): "0", stage.id("Refund to"): "1"}
    note = stage.id("Note")
    stage.press({**fields, note: "rude"})
    assert (stage.sent, stage.note(note)) == ([], "Say it nicely.")
    assert stage.messages == [{"focus": note}]


def test_a_description_that_says_what_the_question_says_is_not_told_twice():
    about = {"description": "Complete the refund.", "type": "object", "properties": {"n": {"type": "integer"}}}
    hints = [words([tag, own, *inner]) for tag, own, inner in Stage(about).nodes() if tag == "p" and "f-hint" in own.get("class", "")]
    assert hints == []
    hints = [words([tag, own, *inner]) for tag, own, inner in Stage(about, "Pay?").nodes() if tag == "p" and "f-hint" in own.get("class", "")]
    assert hints == ["Complete the refund."]


def test_nothing_is_chosen_before_a_person_does(stage):
    checked = [own for tag, own, _ in stage.nodes() if tag == "input" and "checked" in own]
    assert [(own["type"], own["value"] if own["type"] == "radio" else stage.id("Notify")) for own in checked] == [
        ("checkbox", stage.id("Notify")),
        ("radio", ""),  # the optional union is not set
    ]


def test_items_are_added_moved_and_removed_and_keep_their_ids(stage):
    add = next(own for _, own, inner in stage.nodes() if inner[-1:] == ["Add item"])
    stage.act("add", add["id"])
    first = stage.id("SKU")
    assert stage.messages[-1] == {"focus": first}
    stage.act("add", add["id"], **{first: "pen"})
    second = stage.id("SKU", 1)
    assert [own["disabled"] for _, own, _ in stage.nodes() if own.get("data-act") in ("up", "down") and "disabled" in own] == ["", ""]
    down = next(own for _, own, _ in stage.nodes() if own.get("aria-label") == "Move Item 1 down")
    stage.act("down", down["data-arg"], **{first: "pen", second: "ink"})
    assert (stage.id("SKU"), stage.id("SKU", 1)) == (second, first)
    remove = next(own for _, own, _ in stage.nodes() if own.get("aria-label") == "Remove Item 1")
    stage.act("remove", remove["data-arg"])
    assert stage.messages[-1] == {"focus": add["id"]}
    fields = {stage.id("Customer email"): "a@example.org", stage.id("Amount in EUR"): "5", stage.id("Reason"): "0", stage.id("Refund to"): "1"}
    stage.press(fields)
    assert stage.sent[0]["items"] == [{"sku": "pen", "count": 1}]


def test_the_fields_of_a_kind_come_with_its_choice_and_a_group_with_its_button(stage):
    stage.act("leave", stage.id("Pay"), **{stage.id("Pay"): "1"})
    assert stage.id("Number")
    assert not any(inner[:1] == ["Kind"] for _, _, inner in stage.nodes())
    stage.act("leave", stage.id("Pay"), **{stage.id("Pay"): ""})
    assert not any(inner[:1] == ["Number"] for _, _, inner in stage.nodes())
    give = next(own for _, own, inner in stage.nodes() if inner[-1:] == ["Add ship"])
    stage.act("give", give["id"])
    assert stage.messages[-1] == {"focus": stage.id("SKU")}
    stage.act("leave_out", next(own for _, own, _ in stage.nodes() if own.get("aria-label") == "Leave out ship")["data-arg"])
    assert not any(inner[:1] == ["SKU"] for _, _, inner in stage.nodes())
    rows = next(own for _, own, inner in stage.nodes() if inner[-1:] == ["Add row"])
    stage.act("add", rows["id"])
    stage.act("leave", stage.id("Name"), **{stage.id("Name"): "fast", stage.id("Value"): "1.5"})
    assert any(own.get("aria-label") == "Remove fast" for _, own, _ in stage.nodes())


def test_a_date_that_the_browser_would_not_show_is_a_text():
    class Dates(BaseModel):
        exact: AwareDatetime = datetime(2026, 11, 20, 9, 41, 5, 123456, tzinfo=UTC)
        usual: AwareDatetime = datetime(2026, 11, 20, 9, 41, 5, tzinfo=UTC)
        plain: date = date(2026, 11, 20)

    made = Stage(Dates)
    types = [(own["type"], own.get("step"), own["value"]) for tag, own, _ in made.nodes() if tag == "input"]
    assert types == [
        ("text", None, "2026-11-20T09:41:05.123456"),
        ("datetime-local", "any", "2026-11-20T09:41:05"),
        ("date", None, "2026-11-20"),
    ]
    made.press({})
    assert made.sent == [{"exact": "2026-11-20T09:41:05.123456Z", "usual": "2026-11-20T09:41:05Z", "plain": "2026-11-20"}]
    close(made.card.box)


def test_what_was_filled_in_stays_readable_when_somebody_else_was_faster(stage):
    stage.act("leave", stage.id("Note"), **{stage.id("Note"): "My note", stage.id("Reason"): "1"})
    assert stage.card.unsent == {"Reason": "Late", "Note": "My note"}


def test_texts_of_the_schema_and_of_a_person_are_texts_of_the_tree():
    evil = "<img src=x onerror=alert(1)>"
    schema = {"title": evil, "description": evil, "properties": {evil: {"title": evil, "description": evil, "enum": [evil, "b"], "examples": [evil]}}}
    made = Stage(schema)
    made.press({made.id(evil): evil})
    allowed = {"div", "p", "fieldset", "legend", "label", "input", "span"}
    assert {tag for tag, _, _ in made.nodes()} <= allowed
    assert evil in json.dumps(made.surface.tree)
    close(made.card.box)


def test_the_receipt_of_a_form_reads_as_names_and_words():
    made = Stage()
    answer = {"customer_email": "a@b", "amount": 5, "reason": "late", "refund_to": "card", "items": [{"sku": "pen", "count": 2}]}
    receipt = Receipt(made.request, Decision("form", "t", "check", 1, answer, "Dana", AT, "card"))
    html = receipt.html()
    for told in ("Amount in EUR", "Refund to", "Late", "SKU: pen, Count: 2", "Refund sent"):
        assert told in html
    assert "Amount in EUR" in bundle([receipt])["text/plain"]
    close(made.card.box)


def test_a_single_value_is_a_form_of_one_field():
    made = Stage(Annotated[int, Field(ge=1, le=9, title="How many")])
    assert isinstance(made.card._panel, FormPanel)
    made.press({made.id("How many"): "12"})
    assert "Not sent. Check: How many" in made.line
    made.press({made.id("How many"): "7"})
    assert made.sent == [7]
    close(made.card.box)
