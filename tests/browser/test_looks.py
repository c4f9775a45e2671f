"""Every card in every state, drawn in light, dark and narrow. `HITL_NB_SHOTS=folder` keeps the pictures for looking at them."""

import os
from pathlib import Path

import pytest

KINDS = ["approve", "review", "choice", "text", "edit", "json", "retry"]
STATES = [
    "def after(request, decision):\n    d.view.running(['publish'])\nd = Desk()\nd.ask('review', after=after)",
    "d2 = Desk()\nd2.ask('review', submit=taken)",
    """def fail(request, decision):
    try:
        raise ConnectionError(
            "HTTPSConnectionPool(host='cms.example.org', port=443): Max retries exceeded with url: /api/pages (timed out after 30 s)"
        )
    except ConnectionError as error:
        d3.view.failed(error, lambda: None, lambda: None)
d3 = Desk()
d3.view.running(['publish'])
d3.ask('review', after=fail)""",
    "d4 = Desk()\nd4.ask('review')",
    "d5 = Desk()\nd5.ask('approve', deadline=datetime.now(UTC) + timedelta(minutes=14), assignee='Sam Ito')\nd5.ask('choice', thread_id='parcel-9')",
    "d6 = Desk()\nd6.ask('approve', submit=lambda answer: __import__('time').sleep(4), deadline=datetime.now(UTC) + timedelta(minutes=2))",
    "d7 = Desk()\nd7.ask('approve', deadline=datetime.now(UTC) - timedelta(hours=2), default=False)",
    """d8 = Desk()
old, new = (d8.request('review', id=n, payload={**PAYLOADS['review'], 'version': f'{n} of 5'}) for n in '34')
d8.view.ask(old, taken)
d8.view.outdated(old)
d8.view.ask(new, taken)""",
    """d9 = Desk()
from hitl_nb.graph.watch import Begun
d9.view.running(['work'])
d9.view.progress.started([Begun(str(n), 'work') for n in range(400)])
for n in range(150):
    d9.view.progress.ended(str(n), 'done')
d9.view.progress.wrote('150', {'done': 7, 'total': 12, 'unit': 'pages'})
d9.view.progress.wrote('151', 'a_long_word_' * 40)""",
]


def keep(notebook, name, index):
    if "HITL_NB_SHOTS" in os.environ:
        notebook.shot(Path(os.environ["HITL_NB_SHOTS"]) / f"{name}.png", index)


def assert_nothing_sticks_out(notebook):
    """No part of a card is wider than the card; what scrolls inside itself is exempt."""
    wide = notebook.page.evaluate(
        """() => [...document.querySelectorAll('.hitl-nb-card, .hitl-nb-receipt')].flatMap(card => {
            const right = card.getBoundingClientRect().right + 1;
            const cut = [...card.querySelectorAll('.hitl-nb-diff td')].filter(n => n.scrollHeight > n.clientHeight + 1);
            if (cut.length) return cut.map(n => 'cut: ' + n.innerText);
            return [...card.querySelectorAll('*')].filter(n => n.getBoundingClientRect().right > right && n.offsetParent
                && !n.closest('.hitl-nb-scroll, .hitl-nb-text, .hitl-nb-msg, .hitl-nb-grid')).map(n => n.className || n.tagName);
        })"""
    )
    assert wide == []


@pytest.mark.parametrize(("theme", "width"), [("light", 1400), ("dark", 1400), ("light", 420)])
def test_every_kind_of_card_is_drawn_within_its_borders(lab, theme, width):
    notebook = lab([f"from stage import *\nDesk().ask({kind!r})" for kind in KINDS], theme=theme, width=1400, height=2600)
    if width < 1000:
        notebook.page.set_viewport_size({"width": width, "height": 5000})
    notebook.run_all()
    notebook.done(len(KINDS) - 1)
    notebook.page.wait_for_function(f"document.querySelectorAll('.hitl-nb-card[role=group]').length === {len(KINDS)}")
    for i, kind in enumerate(KINDS):
        keep(notebook, f"{kind}-{theme}-{width}", i)
    assert_nothing_sticks_out(notebook)
    review = notebook.output(KINDS.index("review"))
    review.get_by_role("button", name="Edit", exact=True).click()
    review.locator(".hitl-nb-main textarea").fill("Tea reached Europe in 1606.\n\nFor fifty years it stayed a curiosity.\n\n" + "word" * 60)
    review.locator(".hitl-nb-diff ins").first.wait_for()
    keep(notebook, f"review-edit-{theme}-{width}", KINDS.index("review"))
    assert_nothing_sticks_out(notebook)


@pytest.mark.parametrize(("theme", "width"), [("light", 1400), ("dark", 1400), ("light", 420)])
def test_every_state_of_a_card_is_drawn_within_its_borders(lab, theme, width):
    notebook = lab([f"from stage import *\n{code}" for code in STATES], theme=theme, width=1400, height=2600)
    if width < 1000:
        notebook.page.set_viewport_size({"width": width, "height": 5000})
    reach_the_states(notebook)
    for i, name in enumerate(("running", "elsewhere", "failed", "receipt", "two-open", "sending", "late", "outdated", "progress")):
        keep(notebook, f"{name}-{theme}-{width}", i)
    assert_nothing_sticks_out(notebook)


def reach_the_states(notebook):
    """Run the cells of `STATES`, the first ones of the notebook, and do what brings each card into its state."""
    notebook.run_all()
    notebook.done(len(STATES) - 1)
    press = lambda i, label: notebook.output(i).get_by_role("button", name=label, exact=True).click()  # noqa: E731
    for i in (0, 2, 3):
        notebook.output(i).locator(".hitl-nb-comment textarea").fill("Good to go once the numbers are in.")
        press(i, "Approve")
    press(1, "Approve")
    notebook.page.get_by_text("Answered elsewhere").wait_for()
    notebook.page.get_by_text("Approved, running publish").wait_for()
    notebook.page.get_by_text("Show traceback").wait_for()
    notebook.receipts().nth(1).locator("summary").click()
    press(7, "Show what changed")
    notebook.page.get_by_text("work: 7 of 12 pages").wait_for()
    press(5, "Approve")
    notebook.page.wait_for_selector(".hitl-nb-sending")
    notebook.page.wait_for_timeout(500)
