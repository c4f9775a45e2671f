"""Forms from schemas in a real JupyterLab: filled with mouse and keyboard, refused at their fields, sent, and read again as receipts."""

import pytest

pytestmark = pytest.mark.browser

START = """
from stage import *
from datetime import date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, Literal
from pydantic import AwareDatetime, BaseModel, Field, field_validator
from hitl_nb.decisions.check import answer_schema, remember_schema

def ask(schema, name, payload):
    remember_schema(f"id-{name}", schema)
    Desk(f"{name}.jsonl").ask(name, payload, schema=answer_schema(schema), graph="refunds", node="approve_refund", thread_id="order-58213")

class Refund(BaseModel):
    "Required unless marked optional."
    customer_email: str = Field(json_schema_extra={"format": "email"})
    reason: Literal["defective", "late_delivery", "wrong_item", "damaged", "changed_mind", "other"]
    amount: Decimal = Field(gt=0, le=500, title="Amount in EUR")
    pay_out_on: date | None = Field(None, description="Empty means the next banking day.")
    refund_to: Literal["card", "voucher", "bank"] = Field(description="The voucher adds 10 %.")
    notify: bool = Field(True, title="Email the customer when it is paid")
    note: str = ""

    @field_validator("note")
    @classmethod
    def kind_words(cls, note):
        if "rude" in note:
            raise ValueError("Say it nicely.")
        return note

class Card(BaseModel):
    kind: Literal["card"]
    digits: str = Field(pattern="^[0-9]{4}$")

class Bank(BaseModel):
    kind: Literal["bank"]
    iban: str = Field(title="IBAN")

class Item(BaseModel):
    sku: str = Field(title="SKU")
    count: int = Field(1, ge=1)

class Home(BaseModel):
    city: str

class Parcel(BaseModel):
    approve: bool
    due: AwareDatetime
    at: time | None = None
    tags: list[str] = []
    ways: set[Literal["air", "sea", "road"]] = set()
    pay: Annotated[Card | Bank, Field(discriminator="kind", title="Pay out to")]
    home: Home
    second: Home | None = Field(None, title="Second address")
    items: list[Item] = Field(min_length=1)
    limit: int | None = None
    rates: dict[str, float] = {}
    extra: Any = None
"""
REFUND = "ask(Refund, 'refund', {'question': 'Complete the refund', 'order': '58213, delivered 12 Oct 2026'})"
PARCEL = "ask(Parcel, 'parcel', {'question': 'Where does the parcel go?'})"


def pressed(card, label):
    card.get_by_role("button", name=label, exact=True).click()


def field(card, label, nth=0):
    return card.get_by_label(label, exact=True).nth(nth)


def note(card, control):
    """The words below a control: its hint, or what is wrong with it."""
    return card.page.locator(f'[id="{control.get_attribute("id")}-note"]')


def answers(notebook, name):
    notebook.page.wait_for_function("document.querySelectorAll('.hitl-nb-receipt').length >= 1")
    return notebook.answers(f"{name}.jsonl")


def test_a_refused_form_says_what_is_wrong_where_it_is_wrong_keeps_the_rest_and_is_sent_when_it_fits(lab):
    notebook = lab([START, REFUND])
    notebook.run_all()
    notebook.done(1)
    card, keyboard = notebook.output(1), notebook.page.keyboard
    field(card, "Customer email").fill("marta.nowak@example.org")
    field(card, "Amount in EUR").fill("649")
    keyboard.press("Tab")
    told = note(card, field(card, "Amount in EUR"))
    told.filter(has_text="Must be at most 500.").wait_for()
    field(card, "Note (optional)").fill("A rude word\nin two lines")
    pressed(card, "Send refund")
    card.get_by_text("Not sent. Check: Reason, Amount in EUR, Refund to").wait_for()
    notebook.page.wait_for_function("document.activeElement.matches('select[aria-invalid=true]')")
    assert field(card, "Amount in EUR").get_attribute("aria-invalid") == "true"
    assert field(card, "Amount in EUR").get_attribute("aria-describedby") == told.get_attribute("id")
    assert field(card, "Customer email").input_value() == "marta.nowak@example.org"
    assert card.locator("[type=radio]:checked").count() == 0
    # From the keyboard alone: a dropdown by its first letter, radio buttons by an arrow, Ctrl Enter sends.
    keyboard.press("l")
    field(card, "Amount in EUR").fill("49.90")
    card.get_by_role("radio", name="Card").focus()
    keyboard.press("ArrowRight")
    keyboard.press("Tab")
    keyboard.press("Space")
    keyboard.press("Control+Enter")
    card.get_by_text("Not sent. Check: Note").wait_for()
    assert note(card, field(card, "Note (optional)")).inner_text() == "Say it nicely."
    notebook.page.wait_for_function("document.activeElement.matches('textarea[aria-invalid=true]')")
    keyboard.press("Control+a")
    keyboard.type("Two\nlines")
    assert notebook.answers("refund.jsonl") == []
    keyboard.press("Control+Enter")
    expected = {"customer_email": "marta.nowak@example.org", "reason": "late_delivery", "amount": "49.90", "refund_to": "voucher", "notify": False}
    assert answers(notebook, "refund") == [{**expected, "note": "Two\nlines"}]
    receipt = notebook.receipts().first
    notebook.unfold(receipt)
    for words in ("Refund sent", "Amount in EUR", "49.90", "Late delivery", "Voucher"):
        assert words in receipt.inner_text()


def test_every_kind_of_field_sends_what_was_filled_in(lab):
    notebook = lab([START, PARCEL])
    notebook.run_all()
    notebook.done(1)
    card = notebook.output(1)
    card.get_by_role("group", name="Approve").get_by_role("radio", name="No").check()
    field(card, "Due").fill("2026-11-20T09:41")
    field(card, "Time zone of Due").select_option("+01:00")
    field(card, "At (optional)").fill("18:30")
    for n, tag in enumerate(("late", "vip", "new"), 1):
        pressed(card, "Add tag")
        notebook.page.wait_for_function("(n) => document.activeElement.getAttribute('aria-label') === `Tag ${n}`", arg=n)
        notebook.page.keyboard.type(tag)
    pressed(card, "Move Tag 3 up")
    pressed(card, "Remove Tag 1")
    field(card, "Tag 3").wait_for(state="detached")
    card.get_by_role("checkbox", name="Sea").check()
    card.get_by_role("radio", name="Card").check()
    field(card, "Digits").fill("1234")
    card.get_by_role("radio", name="Bank").check()
    field(card, "IBAN").fill("DE00 1234")
    field(card, "Digits").wait_for(state="detached")
    card.get_by_role("radio", name="Card").check()
    assert field(card, "Digits").input_value() == "1234"
    field(card, "City").fill("Oslo")
    pressed(card, "Add second address")
    field(card, "City", 1).fill("Bern")
    pressed(card, "Leave out second address")
    field(card, "City", 1).wait_for(state="detached")
    pressed(card, "Add item")
    field(card, "SKU").fill("pen")
    pressed(card, "Add row")
    field(card, "Name").fill("fast")
    field(card, "Value").fill("1.5")
    field(card, "Extra (optional)").fill('{"a": [1, null]}')
    pressed(card, "Send parcel")
    assert answers(notebook, "parcel") == [
        {
            "approve": False,
            "due": "2026-11-20T09:41:00+01:00",
            "at": "18:30:00",
            "tags": ["new", "vip"],
            "ways": ["sea"],
            "pay": {"kind": "card", "digits": "1234"},
            "home": {"city": "Oslo"},
            "items": [{"sku": "pen", "count": 1}],
            "rates": {"fast": 1.5},
            "extra": {"a": [1, None]},
        }
    ]


def test_half_a_date_is_refused_and_two_forms_on_a_page_keep_apart(lab):
    again = REFUND.replace("'refund'", "'again'")
    notebook = lab([START, REFUND, again])
    notebook.run_all()
    notebook.done(2)
    first, second = notebook.output(1), notebook.output(2)
    first.get_by_role("radio", name="Card").check()
    second.get_by_role("radio", name="Bank").check()
    assert first.get_by_role("radio", name="Card").is_checked()
    second.get_by_text("Amount in EUR", exact=True).click()
    assert field(second, "Amount in EUR").evaluate("(node) => node === document.activeElement")
    field(second, "Pay out on (optional)").focus()
    notebook.page.keyboard.type("12")
    pressed(second, "Send refund")
    told = note(second, field(second, "Pay out on (optional)"))
    told.filter(has_text="Must be a date, like 2026-11-20.").wait_for()


def test_a_page_that_is_loaded_again_shows_the_form_with_what_was_typed(lab):
    notebook = lab([START, REFUND])
    notebook.run_all()
    notebook.done(1)
    card = notebook.output(1)
    field(card, "Customer email").fill("marta.nowak@example.org")
    card.get_by_role("radio", name="Voucher").check()
    notebook.page.wait_for_function("document.querySelectorAll('.hitl-nb-form').length === 1")
    notebook.saved()
    notebook.reload()
    card = notebook.output(1)
    field(card, "Customer email").wait_for()
    assert field(card, "Customer email").input_value() == "marta.nowak@example.org"
    assert card.get_by_role("radio", name="Voucher").is_checked()
    field(card, "Amount in EUR").fill("5")
    field(card, "Reason").select_option("Other")
    pressed(card, "Send refund")
    assert answers(notebook, "refund")[0]["refund_to"] == "voucher"
