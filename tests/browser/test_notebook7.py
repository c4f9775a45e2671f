"""The same cards in Notebook 7: mouse, keys, a cell that waits, the receipt after a restart. `HITL_NB_SHOTS=folder` keeps pictures of them."""

import os
import secrets

import pytest

GRAPH = """
from hitl_nb import DiskCacheSaver, StateGraph, interrupt, review
def check(state):
    draft = "Tea reached Europe in 1610.\\n\\nFor fifty years it stayed a curiosity for the rich."
    answer = interrupt({"action": "review", "question": "Publish this draft?", "draft": draft, "options": ["approve", "edit", "reject"]})
    return {"answer": answer, "subject": interrupt({"question": "What should the subject line say?", "type": "text"})}
graph = StateGraph().add_node("check", check).set_entry_point("check").compile(checkpointer=DiskCacheSaver("reviews"), name="article")
"""
REVIEW = 'session = review(graph, {"topic": "Tea"}, thread_id="article-1", reviewer="Dana Ruiz")'
RESULT = "print(session.result())"
TYPED = "The quick brown fox jumps over the lazy dog, 12 times. Ünï"


@pytest.fixture(scope="module")
def notebook7(serve):
    with serve("notebook") as running:
        yield running


@pytest.fixture(scope="module")
def tab(notebook7, browser):
    opened = browser.new_context(viewport={"width": 1200, "height": 900}).new_page()
    opened.set_default_timeout(60_000)
    yield opened
    opened.context.close()


@pytest.fixture
def opened(notebook7, tab):
    """Opens a notebook with the given cells in Notebook 7."""

    def open_notebook(cells):
        name = f"{secrets.token_hex(4)}/work.ipynb"
        notebook7.write(name, cells)
        tab.goto(f"{notebook7.url}/notebooks/{name}?token={notebook7.token}")
        notebook = notebook7.notebook(tab, name)
        notebook.ready()
        return notebook

    yield open_notebook
    notebook7.stop_kernels()


def keep(notebook, name):
    if "HITL_NB_SHOTS" in os.environ:
        notebook.page.screenshot(path=f"{os.environ['HITL_NB_SHOTS']}/{name}.png", full_page=True)


def then_text_field(notebook, answer):
    """Give the answer; returns the field of the next card. Right after an answer the output is drawn anew, and no person is that fast."""
    answer()
    notebook.page.wait_for_function(
        """() => {
            const node = document.querySelector('.hitl-nb-card[data-dressed] .hitl-nb-typed textarea'), now = performance.now();
            if (node !== window.stands?.node) window.stands = { node, since: now };
            return node && now - window.stands.since > 500;
        }"""
    )
    return notebook.page.locator(".hitl-nb-typed textarea")


def test_run_all_waits_for_a_click_and_for_what_is_typed_and_the_receipts_outlive_the_kernel(opened):
    notebook = opened([GRAPH, REVIEW, RESULT, "print('after')"])
    notebook.run_all()
    notebook.button("Approve").wait_for()
    notebook.executing(2)
    keep(notebook, "notebook7-card")
    then_text_field(notebook, notebook.button("Approve").click).click()
    notebook.page.keyboard.type(TYPED)
    notebook.button("Send answer").click()
    notebook.done(3)
    assert str({"topic": "Tea", "answer": {"action": "approve"}, "subject": TYPED}) in notebook.output(2).inner_text()
    assert "after" in notebook.output(3).inner_text()
    assert notebook.receipts().count() == 2
    notebook.saved()
    notebook.js("return W.sessionContext.session.kernel.restart();")
    notebook.reload()
    notebook.receipts().nth(1).locator("summary").click()
    assert "Approved" in notebook.receipts().first.inner_text()
    assert TYPED in notebook.receipts().nth(1).inner_text()
    assert notebook.page.locator(".hitl-nb-card").count() == 0
    keep(notebook, "notebook7-receipt")


def test_keys_answer_the_card_and_never_reach_the_notebook(opened):
    notebook = opened([GRAPH, REVIEW, RESULT])
    notebook.run(0)
    notebook.run(1)
    before = notebook.cells()
    keyboard = notebook.page.keyboard
    notebook.page.wait_for_selector(".hitl-nb-btn[data-key=a]")
    notebook.button("Reject").focus()
    for key in ("b", "d", "d", "m", "x", "z", "0", "0"):
        keyboard.press(key)
    keyboard.press("e")
    notebook.page.wait_for_function("document.activeElement.matches('.hitl-nb-main textarea')")
    keyboard.press("Control+End")
    keyboard.type(" dd aa")
    keyboard.press("Escape")
    notebook.page.wait_for_function("document.activeElement.matches('.hitl-nb-card')")
    then_text_field(notebook, lambda: keyboard.press("Control+Enter")).focus()
    keyboard.type(TYPED, delay=10)  # as long as a person takes: the same key again at once would count as hit twice
    keyboard.press("Control+Enter")
    notebook.receipts().nth(1).wait_for()
    assert notebook.cells() == before
    notebook.run(2)
    assert "for the rich. dd aa'" in notebook.output(2).inner_text()
    assert f"'subject': '{TYPED}'" in notebook.output(2).inner_text()
