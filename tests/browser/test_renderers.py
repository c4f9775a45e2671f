"""Renderers of the user's own in a real JupyterLab: what they show, what is typed into them, and what becomes of their mistakes."""

import os
from pathlib import Path

RATING = """from stage import *
import ipywidgets
from hitl_nb import Drawing, h, markdown, renderer

@renderer(lambda request: request.payload["kind"] == "rating")
def rating(request):
    stars = ipywidgets.IntSlider(3, 1, 5, description="Stars")
    why = ipywidgets.Textarea(description="Why")
    wrong = ipywidgets.HTML()
    def refuse(error):
        wrong.value = h_text(error.reason)
    why.observe(lambda change: 1 / (change["new"] != "boom"), "value")
    shown = [h("dl", {"class": "hitl-nb-facts"}, h("dt", {}, "Film"), h("dd", {}, request.payload["film"])), markdown(request.payload["plot"])]
    return Drawing([*shown, stars, why, wrong], answer=lambda: {"stars": stars.value, "why": why.value}, send="Send rating", refuse=refuse)

from hitl_nb import escape as h_text
SCHEMA = {"type": "object", "properties": {"stars": {"type": "integer"}, "why": {"type": "string", "minLength": 3}}}
d = Desk()
HOSTILE = "<img src=x onerror='window.fired = 1'>"
d.ask("rating", {"kind": "rating", "question": "How good is it?", "film": "Duel in the Sun " + HOSTILE, "plot": "A *western* of 1946. " + HOSTILE},
      schema=SCHEMA)"""
AGAIN = "@renderer(lambda request: request.payload['kind'] == 'rating')\ndef rating(request):\n    return request.payload['no such key']\n"
AGAIN += "d = Desk('again.jsonl')\nd.ask('again', {'kind': 'rating', 'question': 'Publish?', 'options': ['approve', 'reject']})"
NUMBER = """n = ipywidgets.IntText(description="How many")
@renderer(lambda request: request.payload["kind"] == "number")
def number(request):
    return Drawing(n, answer=lambda: n.value, send="Send number")
d = Desk("number.jsonl")
d.ask("number", {"kind": "number", "question": "How many chairs?"})"""


def keep(notebook, name, index=0):
    if "HITL_NB_SHOTS" in os.environ:
        notebook.shot(Path(os.environ["HITL_NB_SHOTS"]) / f"{name}.png", index)


def test_a_drawing_is_shown_typed_into_and_sent_with_the_last_keys(lab):
    notebook = lab([RATING, NUMBER], height=1600)
    notebook.run(0)
    page = notebook.page
    page.wait_for_selector(".hitl-nb-card[role=group] .hitl-nb-own .hitl-nb-md em")
    keep(notebook, "rating")
    page.get_by_label("Why").fill("ab")
    page.get_by_role("button", name="Send rating", exact=True).click()
    page.locator(".hitl-nb-own").get_by_text("Needs at least 3 characters. It has 2.").wait_for()
    assert notebook.answers() == []
    keep(notebook, "rating-refused")
    page.get_by_label("Why").fill("")
    page.get_by_label("Why").press_sequentially("The sunset goes on for twenty minutes and nobody minds", delay=0)
    page.keyboard.press("Control+Enter")
    notebook.receipts().wait_for()
    assert notebook.answers() == [{"stars": 3, "why": "The sunset goes on for twenty minutes and nobody minds"}]
    assert notebook.js("return window.fired ?? null") is None
    notebook.run(1)
    page.get_by_role("spinbutton", name="How many").fill("42")
    page.wait_for_timeout(400)  # the same key within 300 ms counts as the second half of a double tap
    page.keyboard.press("Control+Enter")
    notebook.receipts().nth(1).wait_for()
    assert notebook.answers("number.jsonl") == [42], "a number field tells its value only when it is left"


def test_what_a_renderer_raises_stands_on_its_card(lab):
    notebook = lab([RATING, AGAIN], height=1800)
    notebook.run(0)
    page = notebook.page
    page.get_by_label("Why").fill("boom")
    page.get_by_text("ZeroDivisionError: division by zero").wait_for()
    page.get_by_text("cell 1, line").first.wait_for()
    keep(notebook, "rating-callback")
    notebook.run(1)
    page.get_by_text("KeyError: 'no such key'").wait_for()
    page.get_by_text("cell 2, line 3: return request.payload['no such key']").wait_for()
    keep(notebook, "rating-broken", 1)
    page.get_by_role("button", name="Approve", exact=True).click()
    notebook.receipts().wait_for()
    assert notebook.answers("again.jsonl") == ["approve"]
