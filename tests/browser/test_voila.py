"""A notebook served by Voila: the card is answered in the page, and the graph goes on although no cell waits."""

import os
import secrets
import time
from importlib.util import find_spec

import pytest

GRAPH = """
from pathlib import Path
from hitl_nb import DiskCacheSaver, StateGraph, StillWaitingError, interrupt, review
def check(state):
    return {"answer": interrupt({"action": "review", "question": "Publish?", "draft": "Tea.", "options": ["approve", "edit", "reject"]})}
def title(state):
    return {"title": interrupt("Which title?", schema={"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]})}
def publish(state):
    Path("new.txt").write_text(str(dict(state)))
    Path("new.txt").rename("published.txt")
builder = StateGraph().add_sequence([check, title, publish]).set_entry_point("check")
graph = builder.compile(checkpointer=DiskCacheSaver("reviews"), name="article")
"""
REVIEW = 'session = review(graph, {"topic": "Tea"}, thread_id="article-1", reviewer="Dana Ruiz")'
WAITS = """
try:
    session.result()
except StillWaitingError as error:
    print(error)
"""
TYPED = "The quick brown fox jumps over the lazy dog. Ünï"


@pytest.fixture
def app(server, browser):
    """Opens a notebook with the given cells in Voila."""
    if find_spec("voila") is None:
        (pytest.fail if os.environ.get("HITL_NB_REQUIRE_BROWSER") == "1" else pytest.skip)("voila is not installed")
    opened = browser.new_context(viewport={"width": 1000, "height": 700}).new_page()
    opened.set_default_timeout(60_000)

    def open_app(cells):
        name = f"{secrets.token_hex(4)}/work.ipynb"
        server.write(name, cells)
        opened.goto(f"{server.url}/voila/render/{name}?token={server.token}", wait_until="domcontentloaded")
        return server.notebook(opened, name)

    yield open_app
    opened.context.close()
    server.stop_kernels()


def test_the_cards_are_answered_one_after_the_other_and_a_cell_that_would_wait_is_told_what_to_do(app):
    notebook = app([GRAPH, REVIEW, WAITS])
    notebook.button("Approve").click()
    told = notebook.page.get_by_text("in Voila no cell can wait").inner_text()
    assert "Leave result() out of this notebook" in told
    field = notebook.page.get_by_role("textbox", name="Title")
    notebook.page.wait_for_function(  # right after an answer the output is drawn anew, and no person is that fast
        """() => {
            const node = document.querySelector('.hitl-nb-card[data-dressed] .hitl-nb-surface input'), now = performance.now();
            if (node !== window.stands?.node) window.stands = { node, since: now };
            return node && now - window.stands.since > 500;
        }"""
    )
    field.focus()
    notebook.page.keyboard.type(TYPED)
    notebook.page.keyboard.press("Control+Enter")
    notebook.receipts().nth(1).wait_for()
    assert "Approved" in notebook.receipts().first.inner_text()
    published, end = notebook.folder / "published.txt", time.monotonic() + 60
    while not published.exists() and time.monotonic() < end:
        notebook.page.wait_for_timeout(50)
    assert TYPED in published.read_text()
