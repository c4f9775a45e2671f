"""A table that is decided row by row: by mouse, by keyboard, by rule, in light, dark and narrow. `HITL_NB_SHOTS=folder` keeps the pictures."""

import os
from pathlib import Path

import pytest

LEDGER = """import pandas as pd
from stage import *
ledger = pd.DataFrame(
    [("INV-2041", "Northwind Traders", "6815 Software", 1290.0, .98), ("INV-2042", "Acme GmbH", "6640 Travel", 412.5, .71),
     ("INV-2043", "Contoso Ltd", "6815 Software", 89.0, .96), ("INV-2044", "Blue Yonder Airlines", "6640 Travel", 1730.2, .93),
     ("INV-2045", "Fabrikam Logistics and Warehousing B.V.", "6780 Freight", 640.0, .88), ("INV-2046", "Tailspin Toys", "6300 Other", 58.9, .42),
     ("INV-2047", "Acme GmbH", "6815 Software", 210.0, .97), ("INV-2048", "Litware <b>Inc</b>", "6815 Software", 3400.0, .91),
     ("INV-2049", "Contoso Ltd", "6640 Travel", 77.4, .55), ("INV-2050", "Graphic Design Institute", None, 950.0, .64)],
    columns=["invoice", "vendor", "account", "amount", "confidence"], index=range(1, 11))
d = Desk()
asked = {"question": "Are these accounts right?", "table": ledger}
d.ask(payload=asked, graph="ledger", node="check_accounts", thread_id="nov-2026", id="id-ledger")"""
LARGE = """import numpy as np, pandas as pd
from stage import *
n = 10_000
large = pd.DataFrame({"vendor": [f"Vendor {i}" for i in range(n)], "amount": np.arange(n) * 1.5, "day": pd.date_range("2000-01-01", periods=n)})
d = Desk()
d.ask(payload={"question": "Are these right?", "table": large}, id="id-large")"""


def keep(notebook, name):
    if "HITL_NB_SHOTS" in os.environ:
        notebook.shot(Path(os.environ["HITL_NB_SHOTS"]) / f"{name}.png")


@pytest.fixture
def ledger(lab):
    notebook = lab([LEDGER], height=1200)
    notebook.run(0)
    notebook.card().locator("tbody tr").nth(9).wait_for()
    return notebook


def row(notebook, number):
    """The row of this number, from 0: while it is edited its texts are in fields."""
    return notebook.card().locator(f"tr[id$='-row-{number}']")


def said(notebook, words):
    """Wait until the small line below the buttons says this."""
    notebook.card().locator(".hitl-nb-live", has_text=words).wait_for()


def rule_of(notebook):
    return notebook.card().get_by_label("Rule", exact=True)


def small(notebook, label):
    return notebook.card().get_by_role("button", name=label, exact=True)


def test_rows_are_decided_with_the_mouse(ledger):
    row(ledger, 0).get_by_role("radio", name="Accept").check()
    row(ledger, 5).get_by_role("radio", name="Reject").check()
    row(ledger, 1).get_by_role("radio", name="Edit").check()
    row(ledger, 1).locator("input[aria-label=amount]").fill("4l2")
    ledger.card().get_by_text("4l2 is no number").wait_for()
    said(ledger, "1 cell to correct")
    assert ledger.button("Send decisions").is_disabled()
    row(ledger, 1).locator("input[aria-label=amount]").fill("418")
    said(ledger, "1 accepted, 1 edited, 1 rejected, 7 open")
    row(ledger, 1).locator("input[aria-label=account]").fill("6815 Software")
    ledger.button("Accept the other 7").click()
    said(ledger, "8 accepted, 1 edited, 1 rejected")
    ledger.button("Send decisions").click()
    ledger.receipts().first.wait_for()
    assert ledger.answers() == [
        {
            "accepted": [1, 3, 4, 5, 7, 8, 9, 10],
            "edited": [{"row": 2, "changes": {"account": {"from": "6640 Travel", "to": "6815 Software"}, "amount": {"from": 412.5, "to": 418.0}}}],
            "rejected": [6],
            "rules": [],
        }
    ]


def test_rows_are_decided_with_the_keyboard_alone(ledger):
    cells, keyboard = len(ledger.cells()), ledger.page.keyboard

    def focused(name):
        """Wait until the node of the card with this name has the keyboard."""
        ledger.page.wait_for_function("name => document.activeElement.id.replace(/^hitl-nb-\\d+-/, '') === name", arg=name)

    row(ledger, 0).get_by_role("radio", name="Accept").focus()
    keyboard.press("Space")
    said(ledger, "1 accepted, 9 open")
    keyboard.press("Tab")
    focused("accept-1")
    keyboard.press("ArrowRight")
    row(ledger, 1).locator("input[aria-label=vendor]").wait_for()
    focused("edit-1")
    keyboard.press("Tab")
    keyboard.press("Tab")
    focused("cell-1-1")
    keyboard.press("Control+A")
    keyboard.type("Acme SE")
    keyboard.press("Enter")
    ledger.card().locator("ins", has_text="Acme SE").wait_for()
    focused("edit-1")
    keyboard.press("Tab")
    keyboard.press("ArrowRight")
    row(ledger, 2).locator("input[aria-label=vendor]").wait_for()
    keyboard.press("Tab")
    keyboard.type("x")
    said(ledger, "1 accepted, 2 edited, 7 open")
    keyboard.press("Escape")
    said(ledger, "1 accepted, 1 edited, 8 open")
    focused("accept-2")
    keyboard.press("ArrowLeft")
    said(ledger, "1 rejected")
    rule_of(ledger).focus()
    keyboard.type("confidence < 0.7")
    ledger.card().get_by_text("3 of 10 rows match").wait_for()
    small(ledger, "Reject 3").focus()
    keyboard.press("Enter")
    said(ledger, "1 accepted, 1 edited, 4 rejected, 4 open")
    focused("rule")
    ledger.button("Accept the other 4").focus()
    keyboard.press("Enter")
    said(ledger, "5 accepted, 1 edited, 4 rejected")
    focused("rows")
    for key in ("a", "b", "d", "d"):
        keyboard.press(key)
    assert len(ledger.cells()) == cells
    keyboard.press("Control+Enter")
    ledger.receipts().first.wait_for()
    (answer,) = ledger.answers()
    assert answer["edited"] == [{"row": 2, "changes": {"vendor": {"from": "Acme GmbH", "to": "Acme SE"}}}]
    assert answer["rejected"] == [3, 6, 9, 10]


def test_a_rule_shows_what_it_hits_and_the_receipt_names_it(ledger):
    rule_of(ledger).fill("confidence <")
    ledger.card().get_by_text("Not a rule yet").wait_for()
    rule_of(ledger).fill("confidence < 0.7")
    ledger.card().get_by_text("3 of 10 rows match").wait_for()
    assert ledger.card().locator("tr.hitl-nb-hit").count() == 3
    said(ledger, "10 open")
    ledger.card().get_by_label("Only these").check()
    ledger.page.wait_for_function("document.querySelectorAll('.hitl-nb-card tbody tr').length === 3")
    small(ledger, "Reject 3").click()
    said(ledger, "3 rejected, 7 open")
    assert rule_of(ledger).input_value() == ""
    ledger.button("Accept the other 7").click()
    said(ledger, "7 accepted, 3 rejected")
    ledger.button("Send decisions").click()
    ledger.receipts().first.wait_for()
    receipt = ledger.receipts().first.inner_html()
    assert "confidence &lt; 0.7" in receipt
    assert "7 accepted, 3 rejected" in ledger.receipts().first.inner_text()


def test_what_a_search_shows_is_sorted_and_decided_together(ledger):
    ledger.card().get_by_label("Search the rows").fill("acme")
    ledger.page.wait_for_function("document.querySelectorAll('.hitl-nb-card tbody tr').length === 2")
    heading = ledger.card().get_by_role("columnheader", name="amount")
    heading.get_by_role("button").click()
    ledger.page.wait_for_selector('.hitl-nb-card th[aria-sort="ascending"]')
    assert "INV-2047" in ledger.card().locator("tbody tr").first.inner_text()
    small(ledger, "Accept 2 shown").click()
    said(ledger, "2 accepted, 8 open")
    ledger.card().get_by_label("Search the rows").fill("")
    ledger.card().get_by_label("Only undecided").check()
    ledger.page.wait_for_function("document.querySelectorAll('.hitl-nb-card tbody tr').length === 8")
    small(ledger, "Reject 8 shown").click()
    said(ledger, "2 accepted, 8 rejected")
    small(ledger, "Undo reject 8").click()
    said(ledger, "2 accepted, 8 open")


def test_ten_thousand_rows_are_turned_by_pages_and_decided_at_once(lab):
    notebook = lab([LARGE])
    notebook.run(0)
    notebook.card().get_by_text("1-25 of 10,000").wait_for()
    assert notebook.card().locator("tbody tr").count() == 25
    notebook.card().get_by_role("button", name="Next page").click()
    notebook.card().get_by_text("26-50 of 10,000").wait_for()
    row(notebook, 25).get_by_role("radio", name="Reject").check()
    said(notebook, "1 rejected, 9,999 open")
    notebook.card().get_by_label("Rows a page").select_option("50")
    notebook.card().get_by_text("1-50 of 10,000").wait_for()
    rule_of(notebook).fill("amount > 10000")
    notebook.card().get_by_text("3,333 of 10,000 rows match").wait_for()
    small(notebook, "Reject 3,333").click()
    notebook.button("Accept the other 6,666").click()
    said(notebook, "6,666 accepted, 3,334 rejected")
    notebook.button("Send decisions").click()
    notebook.receipts().first.wait_for()
    (answer,) = notebook.answers()
    assert (len(answer["accepted"]), answer["rejected"][:2], len(answer["rules"][0]["rows"])) == (6666, [25, 6667], 3333)


def test_a_page_that_is_loaded_again_still_has_the_question_and_what_was_decided(ledger):
    row(ledger, 5).get_by_role("radio", name="Reject").check()
    said(ledger, "1 rejected, 9 open")
    ledger.saved()
    ledger.reload()
    ledger.run(0)
    said(ledger, "1 rejected, 9 open")
    assert row(ledger, 5).get_by_role("radio", name="Reject").is_checked()
    ledger.button("Accept the other 9").click()
    said(ledger, "9 accepted, 1 rejected")
    ledger.button("Send decisions").click()
    ledger.receipts().first.wait_for()
    assert ledger.answers()[-1]["rejected"] == [6]


def test_a_killed_kernel_leaves_the_decisions_to_be_read_and_the_question_to_be_answered(lab):
    notebook = lab([LEDGER + "\nimport os\nPath('pid').write_text(str(os.getpid()))"], height=1200)
    notebook.run(0)
    row(notebook, 5).get_by_role("radio", name="Reject").check()
    said(notebook, "1 rejected, 9 open")
    notebook.kill_kernel()
    notebook.page.get_by_text("Not sent: 1 rejected, 9 open.").wait_for()
    assert not rule_of(notebook).is_visible()
    assert not notebook.button("Send decisions").is_visible()
    assert row(notebook, 5).is_visible()
    keep(notebook, "table-lost")
    notebook.settle()
    notebook.run(0)
    said(notebook, "10 open")
    notebook.button("Accept all 10").click()
    said(notebook, "10 accepted")
    notebook.button("Send decisions").click()
    notebook.receipts().first.wait_for()
    assert notebook.answers()[-1]["accepted"] == list(range(1, 11))


def sticking_out(notebook):
    return notebook.page.evaluate(
        """() => [...document.querySelectorAll('.hitl-nb-card')].flatMap(card => {
            const right = card.getBoundingClientRect().right + 1;
            return [...card.querySelectorAll('*')]
                .filter(n => n.offsetParent && n.getBoundingClientRect().right > right && !n.closest('.hitl-nb-grid'))
                .map(n => n.className || n.tagName);
        })"""
    )


@pytest.mark.parametrize(("theme", "width"), [("light", 1400), ("dark", 1400), ("light", 420)])
def test_a_table_in_all_its_states_is_drawn_within_its_card(lab, theme, width):
    notebook = lab([LEDGER], theme=theme, width=1400, height=1500)
    if width < 1000:
        notebook.page.set_viewport_size({"width": width, "height": 1800})
    notebook.run(0)
    card = notebook.card()
    card.locator("tbody tr").nth(9).wait_for()
    keep(notebook, f"table-open-{theme}-{width}")
    for number, choice in ((0, "Accept"), (2, "Accept"), (3, "Accept"), (1, "Edit")):
        row(notebook, number).get_by_role("radio", name=choice).check()
    card.locator("input[aria-label=account]").fill("6815 Software")
    said(notebook, "1 edited")
    row(notebook, 5).get_by_role("radio", name="Reject").check()
    rule_of(notebook).fill("confidence < 0.7")
    card.get_by_text("3 of 10 rows match").wait_for()
    said(notebook, "3 accepted, 1 edited, 1 rejected, 5 open")
    keep(notebook, f"table-decided-{theme}-{width}")
    assert sticking_out(notebook) == []
    row(notebook, 4).get_by_role("radio", name="Edit").check()
    card.locator("input[aria-label=amount]").fill("six hundred")
    card.get_by_text("Six hundred is no number").wait_for()
    keep(notebook, f"table-edit-{theme}-{width}")
    assert sticking_out(notebook) == []
    card.locator("input[aria-label=amount]").press("Escape")
    small(notebook, "Reject 3").click()
    notebook.button("Accept the other 3").click()
    said(notebook, "6 accepted, 1 edited, 3 rejected")
    notebook.button("Send decisions").click()
    notebook.receipts().first.wait_for()
    notebook.unfold(notebook.receipts().first)
    notebook.receipts().first.get_by_text("confidence < 0.7").first.wait_for()
    keep(notebook, f"table-receipt-{theme}-{width}")
