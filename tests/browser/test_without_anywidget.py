"""A front end that lacks anywidget (kernel and server in different environments): a person can still read and answer."""

import pytest

pytestmark = pytest.mark.browser

STAGE = """
from stage import Desk
desk = Desk()
desk.ask("form", {"question": "How many seats?"}, schema={"type": "object", "properties": {"seats": {"type": "integer"}}, "required": ["seats"]})
"""


@pytest.fixture
def plain_page(browser, load_lab):
    """A page of its own that never gets anywidget's script."""
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.route("**/extensions/anywidget/**", lambda route: route.abort())
    yield load_lab(page)
    context.close()


def test_a_form_is_answered_with_json_and_a_wrong_answer_is_told(server, plain_page):
    notebook = plain_page([STAGE])
    notebook.run(0)
    field = notebook.page.get_by_label("Your answer, as JSON")
    field.wait_for(state="visible")
    field.fill('{"seats": "two"}')
    notebook.page.wait_for_function("() => !document.querySelector('.hitl-nb-card button.hitl-nb-primary').disabled")
    notebook.button("Send answer").click()
    notebook.page.get_by_text("Not sent.").wait_for()
    field.fill('{"seats": 2}')
    field.press("Tab")
    notebook.button("Send answer").click()
    notebook.receipts().first.wait_for()
    assert notebook.answers() == [{"seats": 2}]
    server.stop_kernels()
