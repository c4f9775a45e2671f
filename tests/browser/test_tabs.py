"""More than one tab: two on one notebook, two notebooks on one thread, and one tab that is closed while a cell waits.

What two notebooks run: tests/kernel/test_two_kernels.py.
"""

import sqlite3
import time
from contextlib import closing, contextmanager

import pytest

from tests.browser.conftest import PATIENCE_S, loaded

pytestmark = [pytest.mark.browser, pytest.mark.soak]  # each loads JupyterLab once or twice more

GRAPH = """
from hitl_nb import DiskCacheSaver, StateGraph, interrupt, review
def check(state):
    return {"ok": interrupt({"question": "Publish it?", "options": ["approve", "reject"]})}
def sure(state):
    return {"sure": interrupt("All good?")}
builder = StateGraph().add_node("check", check).add_node("sure", sure).set_entry_point("check").add_edge("check", "sure")
graph = builder.compile(checkpointer=DiskCacheSaver("reviews"), name="article")
"""
REVIEW = 'session = review(graph, {"topic": "Tea"}, thread_id="article-1", reviewer="Dana Ruiz")'
RESULT = 'print([d.answer for d in session.decisions], session.result()["sure"])'
CLICK = """(label) => {
    const buttons = () => [...document.querySelectorAll('.hitl-nb-card button')];
    setTimeout(() => buttons().find(b => b.textContent.trim() === label)?.click(), 0);
}"""


def another_tab(server, notebook, path=None):
    page = notebook.page.context.new_page()
    page.set_default_timeout(PATIENCE_S * 1000)
    page.goto(f"{server.url}/lab/tree/{path or notebook.path}?token={server.token}&reset")
    loaded(page)
    opened = server.notebook(page, path or notebook.path)
    opened.ready()
    return opened


def clicks(tab, label):
    """Press a button of the open card, if there is one by then, and go on once what it says is on its way."""
    tab.page.evaluate(CLICK, label)
    tab.page.evaluate("() => new Promise(then => setTimeout(then, 0))")


@contextmanager
def at_once(tab):
    """What is pressed here is pressed before any answer is recorded: nobody can write into the store meanwhile."""
    with closing(sqlite3.connect(tab.folder / "reviews" / "cache.db", isolation_level=None)) as store:
        store.execute("BEGIN IMMEDIATE")
        yield
        store.execute("ROLLBACK")


def loser(*areas):
    """The one that is told that its answer was not recorded, of those where one was pressed."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        told = [area for area in areas if area.get_by_role("alert").filter(has_text="was not recorded").count()]
        if told:
            return told[0]
        areas[0].page.wait_for_timeout(50)
    raise AssertionError("nobody is told")


def test_of_two_clicks_at_once_in_two_tabs_both_are_told_which_one_counts(lab, server):
    first = lab([GRAPH, REVIEW, "print([d.answer for d in session.decisions])"])
    first.run(0)
    first.run(1)
    first.button("Approve").wait_for()
    first.saved()
    second = another_tab(server, first)
    try:
        second.button("Reject").wait_for()
        with at_once(first):
            clicks(first, "Approve")
            first.page.locator(".hitl-nb-sending").wait_for()
            clicks(first, "Reject")  # the same person, twice
            clicks(second, "Reject")
        for tab in (first, second):
            tab.output(1).get_by_text("All good?").wait_for()
            alert = tab.output(1).get_by_role("alert").filter(has_text="Its details show how to change it.")
            alert.wait_for()
            said = " ".join(alert.inner_text().split())
            assert said.startswith("“Reject” was not recorded. Two tabs answered “Publish it?” at once: “Approved” came first (Dana Ruiz, ")
            assert said.endswith(" UTC) and counts. Its details show how to change it.")
        with at_once(first):
            clicks(first, "Approve")
            first.page.locator(".hitl-nb-sending").wait_for()
            clicks(first, "Approve")
        first.receipts().nth(1).wait_for()
        first.run(2)
        assert "['approve', True]" in first.output(2).inner_text()
        for tab in (first, second):
            tab.receipts().nth(1).wait_for()
            assert tab.output(1).get_by_role("alert").count() == 1  # whoever clicks twice has lost to nobody
    finally:
        second.page.close()


def test_of_two_clicks_at_once_in_two_notebooks_or_in_an_inbox_the_loser_is_told_by_whom_and_can_change_it(lab, server):
    first = lab([GRAPH, REVIEW])
    path = f"{first.path.rpartition('/')[0]}/sam.ipynb"
    inbox = "from hitl_nb import inbox\ninbox('reviews', reviewer='Sam Ito')"
    server.write(path, [GRAPH, REVIEW.replace("Dana Ruiz", "Sam Ito"), inbox])
    first.run(0)
    first.run(1)
    second = another_tab(server, first, path)
    try:
        second.run(0)
        second.run(1)
        with at_once(first):
            for tab, label in ((first, "Approve"), (second, "Reject")):
                tab.button(label).wait_for()
                clicks(tab, label)
                tab.page.locator(".hitl-nb-sending").wait_for()
        told = loser(first.output(1), second.output(1))
        mine, theirs, other = ("Approve", "Rejected", "Sam Ito") if told.page is first.page else ("Reject", "Approved", "Dana Ruiz")
        told.get_by_text(f"Your answer “{mine}” was not recorded.").wait_for()
        for words in (theirs, f"{other}, in a notebook"):
            told.get_by_text(words, exact=True).wait_for()
        told.get_by_role("button", name="Change this answer").click()
        told.get_by_text(f"{other} answered “{theirs}”").wait_for()
        assert told.get_by_role("alert").count() == 0
        told.get_by_role("button", name=mine, exact=True).click()
        told.get_by_text("All good?").wait_for()

        # a card, and the list of all that is open
        first.run(1)
        card, listed = first.output(1), second.output(2)
        card.get_by_text("All good?").wait_for()
        second.run(2)
        listed.get_by_role("button", name="Open All good?").click()
        listed.locator(".hitl-nb-card[data-dressed]").wait_for()
        with at_once(first):
            card.locator(".hitl-nb-card button", has_text="Approve").evaluate("button => button.click()")
            listed.locator(".hitl-nb-card button", has_text="Reject").evaluate("button => button.click()")
            for area in (card, listed):
                area.locator(".hitl-nb-sending").wait_for()
        lost = loser(card, listed)
        lost.get_by_text(f"Your answer “{'Approve' if lost is card else 'Reject'}” was not recorded.").wait_for()
    finally:
        second.page.close()


def test_two_tabs_on_one_notebook_show_one_card_and_one_of_two_clicks_counts(lab, server):
    first = lab([GRAPH, REVIEW, RESULT])
    first.run(0)
    first.run(1)
    first.button("Approve").wait_for()
    first.saved()  # what is not saved, another tab cannot show
    second = another_tab(server, first)
    try:
        second.button("Approve").click()
        for tab in (first, second):
            tab.output(1).get_by_text("All good?").wait_for()
        first.start(2)
        first.executing(2)
        first.page.evaluate(CLICK, "Approve")
        second.page.evaluate(CLICK, "Reject")
        first.done(2)
        for tab in (first, second):
            tab.receipts().nth(1).wait_for()
            assert tab.card().count() == 0
        words = {tab.receipts().nth(1).locator("summary").inner_text().split()[1] for tab in (first, second)}
        assert words in ({"Approved"}, {"Rejected"})
        assert f"['approve'] {words == {'Approved'}}" in first.output(2).inner_text()
    finally:
        second.page.close()


def test_a_tab_that_is_closed_while_a_cell_waits_and_opened_again_shows_the_question_again(lab, server):
    spare = lab(["print()"])  # the tests' own page stays open
    server.write(f"{spare.path.rpartition('/')[0]}/closed.ipynb", [GRAPH, REVIEW, RESULT])
    path = f"{spare.path.rpartition('/')[0]}/closed.ipynb"
    closed = another_tab(server, spare, path)
    closed.run_all()
    closed.button("Approve").wait_for()
    closed.executing(2)
    closed.page.close()
    again = another_tab(server, spare, path)
    try:
        again.start(1)  # gives way within some seconds, and the run that was asked for meanwhile is dropped as after any error
        again.wait("W.watched.asked[W.content.widgets[1].model.id]?.reply")
        if again.card().count() == 0:
            again.run(1)
        again.button("Approve").click()
        again.output(1).get_by_text("All good?").wait_for()
        again.start(2)
        again.button("Approve").click()
        again.done(2)
        assert "['approve'] True" in again.output(2).inner_text()
    finally:
        again.page.close()
