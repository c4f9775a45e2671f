"""A double click means the button that its first click was on, also when another one has taken its place by the second."""

import pytest

pytestmark = pytest.mark.browser

START = "from stage import *\nd = Desk()"
LETTERS = {"type": "object", "properties": {"letters": {"type": "array", "items": {"type": "string"}, "default": ["a", "b", "c", "d"]}}}


def dressed(notebook):
    notebook.page.wait_for_selector(".hitl-nb-card[data-dressed]")


def test_a_double_click_takes_one_item_out_of_a_list(lab):
    notebook = lab([f"{START}\nd.ask('form', {{'question': 'Which?'}}, schema={LETTERS!r})"])
    notebook.run(0)
    dressed(notebook)
    # The second click comes when the next item has moved up to where the first one was.
    place = notebook.page.get_by_role("button", name="Remove Letter 2").bounding_box()
    mouse = notebook.page.mouse
    mouse.click(place["x"] + 5, place["y"] + 5)
    notebook.page.wait_for_function("document.querySelectorAll('.hitl-nb-card li input').length === 3")
    mouse.down(click_count=2)
    mouse.up(click_count=2)
    notebook.page.locator(".hitl-nb-card li input").nth(1).fill("C")
    notebook.button("Send answer").click()
    notebook.receipts().first.wait_for()
    assert notebook.answers() == [{"letters": ["a", "C", "d"]}]


def test_a_double_click_on_edit_opens_the_editor(lab):
    notebook = lab([f"{START}\nd.ask('review')"])
    notebook.run(0)
    dressed(notebook)
    place = notebook.button("Edit").bounding_box()  # where Discard edit will be
    mouse = notebook.page.mouse
    mouse.click(place["x"] + 5, place["y"] + 5)
    notebook.button("Discard edit").wait_for()
    mouse.down(click_count=2)
    mouse.up(click_count=2)
    notebook.card().focus()
    notebook.page.keyboard.press("?")  # what comes after the click has been heard
    notebook.page.locator(".hitl-nb-keys").wait_for()
    assert notebook.button("Discard edit").count() == 1
    assert notebook.answers() == []
