"""The tree that a surface draws, in the real page: nodes keep what a person did, and nothing becomes markup."""

import json

import pytest

pytestmark = pytest.mark.browser

STAGE = """
from pathlib import Path
import ipywidgets, json
from hitl_nb.widgets.controls import classed
from hitl_nb.widgets.surface import Surface
from hitl_nb.widgets.tree import h, icon

surface = Surface(label="Which?")
def note(act):
    with Path("acts.jsonl").open("a") as out:
        out.write(json.dumps([act.name, act.arg, act.value, act.fields]) + "\\n")
    if act.value == "typed by hand":
        draw("c", "a", told="Moved")
    elif act.name == "add":
        draw("a", "b", "c", told="Added")
    elif act.value == "as it was":
        draw("c", "a", rev=1)
surface.on_act(note)

def field(name, rev):
    more = {"data-f": name, "data-act": "typed", "data-on": "input"}
    return h("li", {"id": f"li-{name}"}, h("input", {"id": name, "type": "text", "value": name, "rev": rev, **more}))

def draw(*names, rev=0, told=None):
    surface.tree = [
        h("p", {"class": "told"}, told) if told else h("hr"),
        h("ul", {}, (field(name, rev) for name in names)),
        h("button", {"data-act": "add", "data-arg": "7"}, icon("plus"), "Add"),
    ]

draw("a", "b", "c")
box = classed(ipywidgets.VBox([surface]), "hitl-nb-card")
box
"""


@pytest.fixture
def stage(lab):
    notebook = lab([STAGE])
    notebook.run(0)
    notebook.page.wait_for_selector(".hitl-nb-surface li")
    return notebook


def values(notebook):
    return notebook.js("return [...document.querySelectorAll('.hitl-nb-surface input')].map(i => i.value)")


def test_typed_text_and_focus_stay_when_the_tree_changes_around_them_and_a_new_rev_sets_the_value(stage):
    stage.page.locator(".hitl-nb-surface input").nth(0).fill("typed by hand")
    stage.js("document.querySelector('.hitl-nb-surface input').setSelectionRange(3, 3)")
    stage.page.wait_for_selector(".hitl-nb-surface .told")
    assert values(stage) == ["c", "typed by hand"]
    assert stage.js("return [document.activeElement.value, document.activeElement.selectionStart]") == ["typed by hand", 3]
    stage.page.keyboard.press("Control+a")
    stage.page.keyboard.type("as it was")
    stage.page.wait_for_selector(".hitl-nb-surface hr")
    assert values(stage) == ["c", "a"]


def test_a_click_brings_what_all_fields_hold(stage):
    stage.page.locator(".hitl-nb-surface input").nth(1).fill("typed")
    stage.page.locator(".hitl-nb-surface button").click()
    stage.page.wait_for_selector(".hitl-nb-surface .told")
    acts = [json.loads(line) for line in (stage.folder / "acts.jsonl").read_text().splitlines()]
    assert acts[-1] == ["add", "7", None, {"a": "a", "b": "typed", "c": "c"}]


def test_markup_unknown_tags_and_unknown_attributes_do_not_reach_the_page(lab):
    hostile = """
surface.tree = [
    h("p", {"onclick": "fired = 1", "style": "top:0", "data-x": "1", "href": "javascript:1", "id": "p"}, "<img src=x onerror='fired=1'>"),
    h("script", {}, "fired = 1"), h("iframe", {"src": "javascript:parent.fired=1"}), h("style", {}, "body{display:none}"),
    h("a", {"href": "javascript:fired=1"}, "x"), h("img", {"src": "x", "onerror": "fired=1", "alt": "one"}),
    h("img", {"src": "https://example.org/a.png", "alt": "two"}), h("input", {"type": "image", "src": "x", "onerror": "fired=1"}),
    h("button", {"type": "submit", "formaction": "javascript:1"}, "b"),
]
"""
    notebook = lab([STAGE, hostile])
    notebook.run(0)
    notebook.page.wait_for_selector(".hitl-nb-surface li")
    notebook.run(1)
    notebook.page.wait_for_selector(".hitl-nb-surface img", state="attached")
    told = "[n.localName, ...n.getAttributeNames().filter(a => a !== 'id').sort()].join(' ')"
    drawn = notebook.js(f"return [...document.querySelectorAll('.hitl-nb-surface *')].map(n => {told})")
    assert drawn == ["p", "img alt", "img alt", "input", "button type"]
    assert notebook.js("return window.fired ?? null") is None
    assert notebook.js("return document.querySelector('.hitl-nb-surface p').textContent") == "<img src=x onerror='fired=1'>"
