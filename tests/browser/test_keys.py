"""Single keys in the real page: only inside a card, never in a text field, never in the notebook's command mode, and off where they are unwanted."""

import pytest

pytestmark = pytest.mark.browser

START = "from stage import *\nd = Desk()"
ANSWERS = {"type": "object", "properties": {"how": {"enum": ["by road", "by rail", "by air"]}, "name": {"type": "string"}}, "required": ["how"]}
INSIDE = "document.activeElement.matches('.hitl-nb-card')"


def dressed(notebook):
    notebook.page.wait_for_selector(".hitl-nb-card[data-dressed]")


def chips(notebook):
    """The letters that are seen on buttons now."""
    return notebook.js(
        """return [...document.querySelectorAll('.hitl-nb-btn[data-key]')].filter(b => {
            const chip = getComputedStyle(b, '::after'); return b.offsetParent && chip.content !== 'none' && chip.opacity === '1';
        }).map(b => b.dataset.key).join('')"""
    )


def test_the_sheet_tells_the_keys_that_work_and_gives_the_keyboard_back(lab):
    notebook = lab([f"{START}\nd.ask('review')\nd.ask('approve')"])
    notebook.run(0)
    dressed(notebook)
    page = notebook.page
    notebook.button("Edit").focus()
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keys in this card")
    sheet.wait_for()
    told = dict(zip(sheet.locator("dt").all_inner_texts(), sheet.locator("dd").all_inner_texts(), strict=True))
    assert {k.replace("\n", " "): v for k, v in told.items()} == {
        "A": "Approve",
        "E": "Edit",
        "R": "Reject",
        "1 to 3": "The buttons, from the left",
        "Ctrl Enter": "Approve",
        "Esc": "Leave the text field",
        "N": "Next question",
        "?": "These keys",
    }
    page.keyboard.press("Escape")
    sheet.wait_for(state="detached")
    assert notebook.js("return document.activeElement.textContent") == "Edit"
    page.keyboard.press("?")
    page.keyboard.press("?")
    assert sheet.count() == 0
    page.get_by_role("button", name="Keys", exact=True).click()
    assert page.get_by_role("button", name="Keys", exact=True).get_attribute("aria-expanded") == "true"
    sheet.get_by_role("button", name="Close").click()
    assert sheet.count() == 0
    assert notebook.answers() == []


def test_a_key_works_inside_the_card_only_and_not_in_a_text_field(lab):
    notebook = lab([f"{START}\nd.ask('review')", "1 + 1"])
    notebook.run(0)
    dressed(notebook)
    before = notebook.cells()
    page = notebook.page
    comment = page.locator(".hitl-nb-comment textarea")
    comment.focus()
    assert chips(notebook) == ""
    page.keyboard.type("a r e 1 ? n p")
    assert comment.input_value() == "a r e 1 ? n p"
    assert page.get_by_role("dialog").count() == 0
    page.keyboard.press("Escape")
    page.wait_for_function(INSIDE)
    assert chips(notebook) == "aer"
    notebook.js("document.activeElement.blur()")
    assert chips(notebook) == ""
    notebook.card().focus()
    # Nothing that Lab knows in command mode reaches the notebook, whatever has the keyboard.
    for target in (".hitl-nb-card", ".hitl-nb-text", ".hitl-nb-help", ".hitl-nb-row button"):
        page.locator(target).first.focus()
        for key in ("b", "d", "d", "m", "x", "z", "y", "c", "v", "l", "0", "0", "9"):
            page.keyboard.press(key)
    assert notebook.cells() == before
    assert page.locator(".jp-Dialog").count() == 0
    assert notebook.answers() == []
    page.keyboard.press("3")
    notebook.receipts().first.wait_for()
    assert notebook.answers()[0]["action"] == "reject"


def test_a_person_switches_single_keys_off_for_good_and_on_again(lab):
    notebook = lab([f"{START}\nd.ask('approve')", "1 + 1"])
    notebook.run(0)
    dressed(notebook)
    page, before = notebook.page, notebook.cells()
    page.get_by_role("button", name="Keys", exact=True).click()
    switch = page.get_by_role("switch", name="Single keys: on")
    assert switch.get_attribute("aria-checked") == "true"
    switch.click()
    try:
        assert page.get_by_role("switch", name="Single keys: off").get_attribute("aria-checked") == "false"
        assert notebook.js("return localStorage.getItem('hitl-nb-keys')") == "off"
        page.keyboard.press("Escape")
        assert chips(notebook) == ""
        assert page.locator("[aria-keyshortcuts]").count() == 0
        for target in (".hitl-nb-card", ".hitl-nb-row button"):
            page.locator(target).first.focus()
            for key in ("a", "r", "1", "?", "b", "d", "d"):
                page.keyboard.press(key)
        assert notebook.cells() == before
        assert notebook.answers() == []
        assert page.get_by_role("dialog").count() == 0
        # A card that is drawn later knows it too, and the button still shows the sheet.
        notebook.run(0)
        dressed(notebook)
        page.get_by_role("button", name="Keys", exact=True).click()
        page.get_by_role("switch", name="Single keys: off").click()
        page.get_by_role("button", name="Close").click()
        notebook.card().focus()
        assert chips(notebook) == "ar"
        page.keyboard.press("a")
        notebook.receipts().first.wait_for()
        assert notebook.answers() == [True]
    finally:
        notebook.js("localStorage.removeItem('hitl-nb-keys')")


def test_whoever_runs_the_kernel_can_switch_single_keys_off(lab):
    notebook = lab(["import os\nos.environ['HITL_NB_KEYS'] = '0'", f"{START}\nd.ask('approve')"])
    notebook.run(0)
    notebook.run(1)
    dressed(notebook)
    notebook.card().focus()
    notebook.page.keyboard.press("a")
    notebook.page.keyboard.press("b")
    assert chips(notebook) == ""
    notebook.page.get_by_role("button", name="Keys", exact=True).click()
    assert "Single keys are switched off here." in notebook.page.get_by_role("dialog").inner_text()
    assert notebook.page.get_by_role("switch").count() == 0
    assert notebook.answers() == []
    assert len(notebook.cells()) == 2
    notebook.page.keyboard.press("Escape")
    notebook.page.keyboard.press("Control+Enter")
    notebook.receipts().first.wait_for()


def test_a_digit_takes_the_nth_of_the_radio_buttons_that_have_the_keyboard(lab):
    notebook = lab(
        [f"{START}\nfrom hitl_nb.decisions.check import answer_schema\nd.ask('form', {{'question': 'How?'}}, schema=answer_schema({ANSWERS!r}))"]
    )
    notebook.run(0)
    dressed(notebook)
    radios = notebook.page.locator(".hitl-nb-card input[type=radio]")
    radios.first.focus()
    notebook.page.keyboard.press("3")
    assert [r.is_checked() for r in radios.all()][:3] == [False, False, True]
    assert notebook.js("return document.activeElement === document.querySelectorAll('.hitl-nb-card input[type=radio]')[2]")
    notebook.page.keyboard.press("2")
    assert [r.is_checked() for r in radios.all()][:3] == [False, True, False]
    notebook.page.keyboard.press("Control+Enter")
    notebook.receipts().first.wait_for()
    assert notebook.answers()[0]["how"] == "by rail"


def test_a_digit_means_the_number_on_a_button_else_its_place(lab):
    asks = "\n".join(
        f"d.ask('q{n}', {{'question': 'Number {n}', 'options': {options!r}}})"
        for n, options in enumerate([["5", "4", "3", "2", "1"], ["n", "y"], ["да", "нет", "maybe"]])
    )
    notebook = lab([f"{START}\n{asks}"])
    notebook.run(0)
    page = notebook.page
    for n, key in enumerate("513"):
        page.wait_for_function(f"document.querySelector('.hitl-nb-card[data-dressed] .hitl-nb-q')?.textContent === 'Number {n}'")
        notebook.card().focus()
        page.keyboard.press(key)
        page.get_by_text(f"{n + 1} answered, not sent").wait_for()
    page.keyboard.press("Control+Enter")
    notebook.receipts().nth(2).wait_for()
    assert notebook.answers() == ["5", "n", "maybe"]


def test_a_digit_chooses_the_radio_button_that_says_it(lab):
    schema = {"type": "object", "properties": {"score": {"enum": [0, 1, 2, 3]}}, "required": ["score"]}
    notebook = lab([f"{START}\nd.ask('form', {{'question': 'How good?'}}, schema={schema!r})"])
    notebook.run(0)
    dressed(notebook)
    notebook.page.locator(".hitl-nb-card input[type=radio]").first.focus()
    notebook.page.keyboard.press("1")
    notebook.page.keyboard.press("Control+Enter")
    notebook.receipts().first.wait_for()
    assert notebook.answers() == [{"score": 1}]


def test_a_key_hit_twice_in_haste_answers_one_question(lab):
    asks = "\n".join(f"d.ask('q{n}', {{'question': 'Number {n}?', 'action': 'approve_it'}})" for n in range(3))
    notebook = lab([f"{START}\n{asks}"])
    notebook.run(0)
    dressed(notebook)
    page, cells = notebook.page, notebook.cells()
    # The second press comes as soon as the next card has the keyboard, within the time of a double press.
    notebook.js(
        """const hit = () => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key: 'a', bubbles: true, cancelable: true }));
        document.querySelector('.hitl-nb-card').focus();
        const before = document.activeElement, began = performance.now();
        hit();
        window.hitAt = null;
        const wait = () => {
            const at = document.activeElement;
            if (at !== before && at.matches('.hitl-nb-card[data-dressed]')) { window.hitAt = performance.now() - began; hit(); }
            else requestAnimationFrame(wait);
        };
        wait();"""
    )
    page.wait_for_function("window.hitAt !== null")
    page.get_by_text("1 answered, not sent").wait_for()
    if notebook.js("return window.hitAt") < 300:
        page.wait_for_timeout(500)
        assert page.get_by_text("2 answered, not sent").count() == 0
    page.wait_for_timeout(300)
    page.keyboard.press("a")
    page.get_by_text("2 answered, not sent" if notebook.js("return window.hitAt") < 300 else "3 answered, not sent").wait_for()
    assert notebook.cells() == cells
