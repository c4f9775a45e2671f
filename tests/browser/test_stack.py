"""Questions that are open at once, in the real page: one card with a bar, answered by mouse and keys, sent together."""

import json

import pytest

pytestmark = pytest.mark.browser

FAN_OUT = """
import operator, os, pathlib
from typing import Annotated, Any, TypedDict
from hitl_nb import END, START, DiskCacheSaver, Send, StateGraph, interrupt, review
class State(TypedDict, total=False):
    n: Any
    said: Annotated[list, operator.add]
def ask(state):
    answer = interrupt(state["n"])
    with open("ran.jsonl", "a") as out:
        out.write(repr([state["n"]["question"], answer]) + "\\n")
    return {"said": [answer]}
def fan_out(*items):
    build = StateGraph(State).add_node("approve_vendor", ask).add_edge("approve_vendor", END)
    build.add_conditional_edges(START, lambda state: [Send("approve_vendor", {"n": item}) for item in items])
    return build.compile(checkpointer=DiskCacheSaver("store"), name="vendors")
def yes(name):
    return {"question": f"Add {name} as a vendor?", "action": "approve_vendor", "data": {"Country": "Spain"}}
title, route = {"question": "Which title?", "type": "text"}, {"question": "Which route?", "options": ["road", "rail", "air_freight"]}
"""
HEADING = "document.querySelector('.hitl-nb-card .hitl-nb-q')?.textContent"
INSIDE = "document.activeElement.matches('.hitl-nb-card')"


def shown(notebook, heading):
    notebook.page.wait_for_function(f"{HEADING} === {json.dumps(heading)}")


def ready(notebook, heading):
    """The question is shown and has the keyboard."""
    shown(notebook, heading)
    notebook.page.wait_for_function(INSIDE)
    notebook.page.wait_for_selector(".hitl-nb-card[data-dressed]")


def ran(notebook):
    path = notebook.folder / "ran.jsonl"
    return sorted(path.read_text().splitlines()) if path.exists() else []


def test_a_stack_is_answered_by_mouse_and_keys_and_sent_together(lab):
    notebook = lab(
        [FAN_OUT, "session = review(fan_out(yes('Nordwind'), yes('Casa Verde'), title, route), {}, thread_id='a')", "print(session.result())"]
    )
    before = notebook.cells()
    notebook.run(0)
    notebook.run(1)
    shown(notebook, "Add Nordwind as a vendor?")
    notebook.page.wait_for_selector(".hitl-nb-seg")
    # The second click of a double click does not answer the question that took the first one's place.
    notebook.button("Approve").dblclick()
    ready(notebook, "Add Casa Verde as a vendor?")
    notebook.button("Approve").evaluate("(button) => button.dispatchEvent(new MouseEvent('click', { detail: 2, bubbles: true }))")
    keyboard = notebook.page.keyboard
    keyboard.press("n")
    ready(notebook, "Which title?")
    notebook.page.locator(".hitl-nb-main textarea").fill("Half a tit")
    notebook.page.keyboard.type("le")
    keyboard.press("Escape")
    keyboard.press("p")
    ready(notebook, "Add Casa Verde as a vendor?")
    keyboard.press("r")
    ready(notebook, "Which title?")
    assert notebook.page.locator(".hitl-nb-main textarea").input_value() == "Half a title"
    notebook.page.locator(".hitl-nb-main textarea").focus()
    keyboard.press("Control+Enter")
    ready(notebook, "Which route?")
    bar = notebook.page.locator(".hitl-nb-bar")
    assert bar.inner_text().split() == ["4", "of", "4", "3", "answered,", "not", "sent"]
    assert [s.get_attribute("aria-label") for s in bar.locator("li button").all()] == [
        "Question 1: Approved, not sent",
        "Question 2: Rejected, not sent",
        "Question 3: Answered, not sent",
        "Question 4: open",
    ]
    assert notebook.receipts().count() == 0
    assert ran(notebook) == []
    keyboard.press("2")
    notebook.page.wait_for_selector("button.hitl-nb-primary:has-text('Send 4 answers')")
    notebook.page.wait_for_function(INSIDE)
    keyboard.press("Control+Enter")
    notebook.receipts().nth(3).wait_for()
    notebook.run(2)
    assert "[True, False, 'Half a title', 'rail']" in notebook.output(2).inner_text()
    headings = notebook.page.locator(".hitl-nb-receipt summary > span:first-of-type").all_inner_texts()
    assert headings == ["Add Nordwind as a vendor?", "Add Casa Verde as a vendor?", "Which title?", "Which route?"]
    assert len(ran(notebook)) == 4
    assert notebook.cells() == before


def test_typing_goes_on_while_other_questions_come_and_go(lab):
    elsewhere = """
from threading import Thread
def when(flag, call):
    import pathlib, time
    def wait():
        while not pathlib.Path(flag).exists():
            time.sleep(0.02)
        call()
    Thread(target=wait, daemon=True).start()
d = Desk()
first = []
d.ask('text')
when("grow", lambda: d.ask('approve'))
when("shrink", lambda: d.decide(first[0], True))
ask = d.view.ask
d.view.ask = lambda request, submit: (first.append(request), ask(request, submit))
"""
    notebook = lab(["from stage import *", elsewhere])
    notebook.run(0)
    notebook.run(1)
    notebook.page.wait_for_selector(".hitl-nb-card[data-dressed]")
    field = notebook.page.locator(".hitl-nb-main textarea")
    field.fill("half")
    field.focus()
    notebook.page.keyboard.press("End")
    (notebook.folder / "grow").touch()
    notebook.button("Keep answer").wait_for()
    notebook.page.keyboard.type(" a sent")
    (notebook.folder / "shrink").touch()
    notebook.receipts().first.wait_for()
    notebook.button("Send answer").wait_for()
    notebook.page.keyboard.type("ence")
    assert field.input_value() == "half a sentence"
    notebook.page.keyboard.press("Control+Enter")
    notebook.receipts().nth(1).wait_for()
    assert notebook.answers() == [True, "half a sentence"]


def test_a_part_is_sent_the_rest_outlives_the_kernel_and_the_card_says_what_does_not(lab):
    start = "session = review(fan_out(yes('Nordwind'), yes('Casa Verde'), yes('Okafor')), {}, thread_id='b')"
    notebook = lab([FAN_OUT + "pathlib.Path('pid').write_text(str(os.getpid()))", start])
    notebook.run(0)
    notebook.run(1)
    notebook.button("Approve").click()
    shown(notebook, "Add Casa Verde as a vendor?")
    notebook.button("Send 1 answer").click()
    notebook.receipts().first.wait_for()
    notebook.page.wait_for_function("document.querySelector('.hitl-nb-bar')?.textContent.startsWith('1 of 2')")
    notebook.button("Reject").click()
    shown(notebook, "Add Okafor as a vendor?")
    notebook.kill_kernel()
    lost = notebook.page.locator(".hitl-nb-stack .hitl-nb-lost:visible")
    lost.wait_for()
    assert "1 answer was not sent. The questions are stored." in lost.inner_text()
    assert not notebook.button("Approve").is_visible()
    notebook.settle()
    notebook.run(0)
    notebook.run(1)
    shown(notebook, "Add Casa Verde as a vendor?")
    assert notebook.receipts().count() == 1
    assert notebook.page.locator(".hitl-nb-bar-said").inner_text() == ""
    assert len(ran(notebook)) == 1


def test_a_thousand_questions_answer_at_once(lab):
    notebook = lab([FAN_OUT, "session = review(fan_out(*(yes(f'number {n}') for n in range(1000))), {}, thread_id='c')"])
    notebook.run(0)
    notebook.start(1)
    shown(notebook, "Add number 0 as a vendor?")
    notebook.done(1, 120)
    notebook.page.wait_for_function("document.querySelector('.hitl-nb-bar')?.textContent.startsWith('1 of 1,000')")
    for n in range(5):
        notebook.page.wait_for_selector(".hitl-nb-card[data-dressed]")
        notebook.button("Approve").click()
        shown(notebook, f"Add number {n + 1} as a vendor?")
    done = notebook.page.get_by_role("progressbar", name="5 of 1,000 answered")
    assert done.evaluate("bar => bar.position") == 0.005
    assert notebook.page.locator(".hitl-nb-card").count() == 1
    notebook.button("Send 5 answers").click()
    notebook.receipts().nth(4).wait_for()
    notebook.page.wait_for_function("document.querySelector('.hitl-nb-bar').textContent.startsWith('1 of 995')")
