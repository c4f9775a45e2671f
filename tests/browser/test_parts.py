"""Cards that show pictures, plots, chats, Markdown and tables: answered in JupyterLab, kept in the receipt, read again where nothing is trusted."""

import nbformat
import pytest
from test_looks import assert_nothing_sticks_out, keep

GRAPH = '''
from pathlib import Path
from typing import Any, TypedDict
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image, ImageDraw
from hitl_nb import DiskCacheSaver, StateGraph, interrupt, review

CHAT = [
    {"role": "system", "content": "You answer for the shop. Never promise a refund above 300 EUR."},
    {"role": "user", "content": "Hello, since the update on Tuesday the left side is silent.\\nI need a refund, <b>not</b> another pair."},
    {"role": "assistant", "content": None, "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "find_order", "arguments": '{"customer": "Marta Nowak", "limit": 1}'}}]},
    {"role": "tool", "name": "find_order", "tool_call_id": "c1", "content": "58213, delivered 12 Oct 2026, 249.00 EUR"},
    {"role": "user", "content": "I tried everything on your help page, twice."},
]
DRAFT = """## Your refund

Dear Marta,

we refund **249.00 EUR** to your card:

1. You send the pair back with the label below.
2. We refund on the day it *arrives*.

| What | When |
| --- | ---: |
| Label | today |
| Refund | within 3 days |

Regards, [the shop](https://e.example/help)"""

def plot():
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.plot([18, 21, 20, 26, 31, 30, 38], marker="o", label="sold")
    axes.plot([18, 20, 22, 25, 28, 31, 34], "--", label="forecast")
    axes.set(title="Headphones sold", xlabel="week", ylabel="pairs")
    axes.legend()
    return figure

def photo():
    image = Image.new("RGB", (1600, 900), "#e8e2d6")
    draw = ImageDraw.Draw(image)
    draw.ellipse((500, 150, 1100, 750), fill="#444a58")
    draw.rectangle((480, 420, 1120, 560), fill="#b5473c")
    return image

STOCK = pd.DataFrame({
    "sku": [f"HP-{n:03}" for n in range(40)], "price": [249.0 + n / 4 for n in range(40)], "in_stock": [n * 37 % 11 for n in range(40)],
    "since": pd.to_datetime(["2026-11-20"] * 40), "sold_out": [n % 5 == 0 for n in range(40)]})

class State(TypedDict, total=False):
    first: Any
    second: Any

def reply(state):
    return {"first": interrupt({
        "action": "review", "question": "Send this reply?", "instruction": "It goes to the customer as soon as you approve it.",
        "conversation": CHAT, "photo": photo(), "draft": DRAFT, "customer": "Marta Nowak", "options": ["approve", "edit", "reject"]})}

def order(state):
    return {"second": interrupt({
        "question": "How many pairs should we order?", "options": ["none", "20", "40"], "forecast": plot(), "stock": STOCK,
        "suppliers": [{"name": "Aoki", "days": 12, "price": 118.5}, {"name": "Bern Audio", "days": 4, "price": 131.0}]})}

b = StateGraph(State)
b.add_sequence([reply, order])
b.set_entry_point("reply")
graph = b.compile(checkpointer=DiskCacheSaver("reviews"), name="shop")
'''
REVIEW = 'session = review(graph, {}, thread_id="order-58213", reviewer="Dana Ruiz")'
RESULT = 'r = session.result(); print("answers:", r["first"]["action"], r["second"])'
PIXELS = "img => img.decode().then(() => [img.naturalWidth, img.naturalHeight, img.getBoundingClientRect().height, img.alt])"


def decoded(image):
    """Width and height of the picture as they are and its height on the page, once the browser has decoded it."""
    return image.evaluate(PIXELS)


def test_what_is_shown_is_answered_kept_and_read_again_without_a_kernel_and_without_trust(lab, server, page):
    notebook = lab([GRAPH, REVIEW, RESULT], height=2600)
    notebook.run_all()
    card = notebook.card()
    card.locator(".hitl-nb-chat").wait_for()
    assert card.get_by_role("region", name="Conversation").inner_text().splitlines()[:2] == [
        "System",
        "You answer for the shop. Never promise a refund above 300 EUR.",
    ]
    assert "<b>not</b> another pair." in card.locator(".hitl-nb-chat").inner_text()
    assert "Customer: Marta Nowak" in card.locator(".hitl-nb-chat .hitl-nb-facts").first.inner_text()
    photo = card.locator("img")
    width, height, drawn, alt = decoded(photo)
    assert (width, height, alt) == (1600, 900, "Photo, 1600 x 900")
    assert 100 < drawn <= 420
    card.locator(".hitl-nb-pic > summary").press("Enter")
    assert decoded(photo)[2] == 900
    draft = card.locator(".hitl-nb-drawn")
    assert draft.locator(".hitl-nb-md strong").inner_text() == "249.00 EUR"
    card.get_by_text("Source", exact=True).click()
    assert "we refund **249.00 EUR** to your card:" in draft.locator(".hitl-nb-source .hitl-nb-text").inner_text()
    assert not draft.locator(".hitl-nb-md").is_visible()
    card.get_by_text("Formatted", exact=True).click()
    assert draft.locator(".hitl-nb-md").is_visible()
    notebook.button("Edit").click()
    notebook.page.locator(".hitl-nb-main textarea").fill("## Your refund\n\nDear Marta, it is *on its way*.")
    notebook.button("Send edit").click()

    notebook.button("20").wait_for()
    card = notebook.card()
    assert decoded(card.locator("img"))[3].startswith("Forecast, 1")
    assert [t.locator("tr").count() for t in card.locator("table").all()] == [41, 3]
    assert card.locator("table").first.locator("tr").nth(2).inner_text().split("\t") == ["HP-001", "249.25", "4", "2026-11-20", "no"]
    notebook.button("20").click()
    notebook.done(2)
    notebook.drawn()
    assert "answers: edit 20" in notebook.output(2).inner_text()
    cells = notebook.cells()
    for summary in notebook.page.locator(".hitl-nb-receipt > summary").all():
        summary.press("Enter")
    assert notebook.page.locator(".hitl-nb-receipt[open]").count() == 2
    assert notebook.cells() == cells
    keep(notebook, "parts-receipts-light-1400", 1)
    check_receipts(notebook)

    data = notebook.saved().cells[1].outputs[0].data
    assert "Photo: [picture: Photo, 1600 x 900]" in data["text/plain"]
    assert "Stock (20 of 40 rows):" in data["text/plain"]
    assert [r["digest"] != "" for r in data["application/vnd.hitl-nb.decision.v1+json"]["decisions"]] == [True, True]
    for gone in ("<script", "<svg", " aria-", " role="):
        assert gone not in data["text/html"]
    notebook.reload()
    cells = notebook.cells()
    notebook.page.locator(".hitl-nb-receipt > summary").first.press("Enter")
    assert notebook.page.locator(".hitl-nb-receipt[open]").count() == 1
    assert notebook.cells() == cells
    check_receipts(notebook)
    notebook.restart()
    for cell in (0, 1):
        notebook.run(cell)
    check_receipts(notebook)

    book = nbformat.read(server.root / notebook.path, 4)
    book.cells.append(nbformat.v4.new_markdown_cell("Changed by somebody else, so the signature is not mine."))
    other = notebook.path.replace("work.ipynb", "untrusted.ipynb")
    nbformat.write(book, server.root / other)
    page.evaluate("(path) => window.jupyterapp.commands.execute('docmanager:open', { path }).then(() => {})", other)
    untrusted = server.notebook(page, other)
    untrusted.ready()
    assert untrusted.js("return W.content.widgets.map(w => w.model.trusted)") == [False] * 4
    check_receipts(untrusted, styled=False)
    keep(untrusted, "parts-untrusted-light-1400", 1)


def check_receipts(notebook, *, styled=True):
    details = notebook.output(1).locator(".hitl-nb-receipt")
    details.nth(1).wait_for()
    for n in range(2):
        details.nth(n).evaluate("d => { d.open = true; }")
    first, second = details.nth(0), details.nth(1)
    for told in ("Edited and sent", "Send this reply?", "Dana Ruiz", "Marta Nowak", "<b>not</b> another pair.", "find_order", "it is *on its way*."):
        assert told in first.inner_text(), told
    assert first.locator("ins").count() > 0
    for told in ("How many pairs should we order?", "20 of 40 rows", "HP-019", "Bern Audio", "Answered in"):
        assert told in second.inner_text(), told
    assert "HP-020" not in second.inner_text()
    assert decoded(first.locator("img"))[:2] == [1600, 900]
    assert decoded(first.locator("img"))[2] <= 460
    assert decoded(second.locator("img"))[0] > 900
    said = first.get_by_text("since the update on Tuesday")
    assert said.evaluate("n => getComputedStyle(n).whiteSpace") == "pre-wrap"
    assert styled == (first.evaluate("n => getComputedStyle(n).borderRadius") == "8px")


SHOWN = f"from stage import *\n{GRAPH}\nfrom hitl_nb.decisions.pictures import with_pictures"
LOOKS = {
    "reply": """Desk().ask(payload=with_pictures({"action": "review", "question": "Send this reply?", "instruction": "It goes out at once.",
"customer": "Marta Nowak", "conversation": CHAT, "draft": DRAFT, "options": ["approve", "edit", "reject"]}))""",
    "order": """Desk().ask(payload=with_pictures({"question": "How many pairs should we order?", "options": ["none", "20", "40"], "forecast": plot(),
"photo": photo(), "stock": STOCK, "log": "loaded 40 rows\\ntrained 3 models\\n\\nbest: trend + season"}))""",
}


@pytest.mark.parametrize(("theme", "width"), [("light", 1400), ("dark", 1400), ("light", 420)])
def test_cards_with_parts_are_drawn_within_their_borders(lab, theme, width):
    notebook = lab([SHOWN, *LOOKS.values()], theme=theme, height=3400)
    if width < 1000:
        notebook.page.set_viewport_size({"width": width, "height": 5000})
    notebook.run_all()
    notebook.done(len(LOOKS))
    notebook.page.wait_for_function(f"document.querySelectorAll('.hitl-nb-card[role=group]').length === {len(LOOKS)}")
    for image in notebook.page.locator(".hitl-nb-card img").all():
        assert decoded(image)[2] <= 420
    for n, name in enumerate(LOOKS, 1):
        keep(notebook, f"parts-{name}-{theme}-{width}", n)
    assert_nothing_sticks_out(notebook)
    chat = notebook.page.locator(".hitl-nb-chat")
    assert chat.evaluate("n => n.scrollHeight <= n.clientHeight || Math.abs(n.scrollTop) < 1")  # the latest message is in sight


RECEIPTS = """
from dataclasses import replace
from stage import question
from hitl_nb.decisions.forms import form_for
from hitl_nb.decisions.check import check_answer, answer_schema
from hitl_nb.decisions.request import Request
from pydantic import BaseModel, Field
from typing import Literal
class Line(BaseModel):
    sku: str
    pairs: int
class Order(BaseModel):
    supplier: Literal["aoki", "bern_audio"]
    deliver_on: str = Field(title="Deliver on")
    express: bool
    lines: list[Line]
    note: str | None = None
def kept(answer, *, schema=None, **more):
    schema = None if schema is None else answer_schema(schema)
    q = question("receipt", created_at=datetime(2026, 11, 20, 9, 37, 48, tzinfo=UTC), schema=schema, **more)
    d = Desk()
    request = Request(q, form_for(q, reviewer="Dana Ruiz"))
    d.decide(request, check_answer(q, answer))
DRAFT = PAYLOADS["review"]["draft"]
review_edit = {"action": "edit", "feedback": "Numbers corrected against the FAO table.", "comments": "Numbers corrected against the FAO table.",
    "edited_text": DRAFT.replace("the most popular", "the everyday").replace("and most", "and about half").replace("three", "two")
    + "\\n\\nSource: FAO, World tea market 2022."}
order = {"supplier": "aoki", "deliver_on": "2026-12-01", "express": False, "lines": [{"sku": "HP-001", "pairs": 20}, {"sku": "HP-004", "pairs": 5}]}
rows = {"rules": [{"rule": "price > 257.5", "decision": "reject"}], "edit": {2: {"price": 239.0, "sku": "HP-002b"}}, "rest": "accept"}
actions = {"action_requests": [{"name": "send_email", "args": {"to": "marta@e.example", "subject": "Refund"}, "description": "Tell the customer"},
    {"name": "refund", "args": {"amount": 249.0}}, {"name": "delete_account", "args": {"id": 7}}]}
decided = {"decisions": [{"type": "approve"}, {"type": "edit", "edited_action": {"name": "refund", "args": {"amount": 199.0}}},
    {"type": "reject", "message": "She keeps her account."}]}
"""
KEPT = {
    "review": "kept(review_edit, payload=PAYLOADS['review'])",
    "form": "kept(order, payload='Which order do we place?', schema=Order)",
    "rows": "kept(rows, payload={'question': 'Are these prices right?', 'table': STOCK}, assignee='Sam Ito')",
    "actions": "kept(decided, payload=actions)",
    "reject": "kept(False, payload=PAYLOADS['approve'])",
    "text": "kept('Thé & <b>café</b>\\nline two', payload=PAYLOADS['text'])",
}


@pytest.mark.parametrize(("theme", "width"), [("light", 1400), ("dark", 1400), ("light", 420)])
def test_receipts_of_every_kind_are_drawn_within_their_borders(lab, theme, width):
    notebook = lab([f"{SHOWN}\n{RECEIPTS}", *KEPT.values()], theme=theme, height=2600)
    if width < 1000:
        notebook.page.set_viewport_size({"width": width, "height": 5000})
    notebook.run_all()
    notebook.done(len(KEPT))
    for n, name in enumerate(KEPT, 1):
        receipt = notebook.output(n).locator(".hitl-nb-receipt")
        receipt.evaluate("d => { d.open = true; }")
        keep(notebook, f"parts-receipt-{name}-{theme}-{width}", n)
    assert_nothing_sticks_out(notebook)
    told = {name: notebook.output(n).inner_text() for n, name in enumerate(KEPT, 1)}
    assert "Deliver on\n2026-12-01" in told["form"]
    assert "32 accepted, 1 edited, 7 rejected" not in told["review"]
    assert "239.0" in told["rows"]
    assert "edited: Amount: 199.0 (was 249.0)" in told["actions"]
    assert "after 3 min 12 s" in told["reject"]
