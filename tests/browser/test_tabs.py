"""More than one tab: two on one notebook, and one that is closed while a cell waits. Two notebooks: tests/kernel/test_two_kernels.py."""

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
