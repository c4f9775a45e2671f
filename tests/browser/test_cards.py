"""What a person meets at a card: the mouse, the keyboard, a second click, somebody who was faster, a page that is loaded again."""

import json

START = "from stage import *\nd = Desk()"


def test_each_kind_of_question_delivers_the_answer_it_promises(lab):
    kinds = ["approve", "choice", "text", "edit", "json", "retry"]
    notebook = lab(["from stage import *", *(f"d = Desk('{kind}.jsonl')\nd.ask('{kind}')" for kind in kinds)])
    notebook.run_all()
    notebook.done(len(kinds))
    at = {kind: notebook.output(i + 1) for i, kind in enumerate(kinds)}
    press = lambda kind, label: at[kind].get_by_role("button", name=label, exact=True).click()  # noqa: E731
    type_in = lambda kind, text: at[kind].locator(".hitl-nb-main textarea").fill(text)  # noqa: E731
    press("approve", "Reject")
    press("choice", "Air freight")
    type_in("text", "Thé & <b>café</b>\nline two")
    press("text", "Send answer")
    type_in("edit", "A line.\nThe last line.\n")
    press("edit", "Send edit")
    type_in("json", '{"low": 0.2, "names": ["a", "é"]}')
    press("json", "Send answer")
    press("retry", "Retry")
    type_in("retry", "120")
    at["retry"].get_by_role("button", name="Retry", exact=True).click()
    notebook.page.wait_for_function(f"document.querySelectorAll('.hitl-nb-receipt').length === {len(kinds)}")
    assert {kind: notebook.answers(f"{kind}.jsonl") for kind in kinds} == {
        "approve": [False],
        "choice": ["air_freight"],
        "text": ["Thé & <b>café</b>\nline two"],
        "edit": ["A line.\nThe last line.\n"],
        "json": [{"low": 0.2, "names": ["a", "é"]}],
        "retry": [{"retry": True, "new_input": "120"}],
    }
    assert notebook.page.locator(".hitl-nb-receipt b b, .hitl-nb-receipt script").count() == 0


def test_what_is_no_json_cannot_be_sent_says_why_and_stays_as_it_was_typed(lab):
    notebook = lab([f"{START}\nd.ask('json')"])
    notebook.run(0)
    field = notebook.page.locator(".hitl-nb-main textarea")
    field.fill("{low: 1}")
    notebook.page.wait_for_selector(".hitl-nb-main textarea[aria-invalid=true]")
    assert notebook.button("Send answer").is_disabled()
    assert "The JSON is not right yet." in notebook.page.get_by_role("status").first.inner_text()
    field.press("Control+Enter")
    ids = "document.querySelector('.hitl-nb-main textarea').getAttribute('aria-describedby').split(' ')"
    assert "Line 1" in notebook.page.evaluate(f"{ids}.map(id => document.getElementById(id).innerText).join()")
    assert (field.input_value(), notebook.answers()) == ("{low: 1}", [])
    field.fill('{"low": 1}')
    notebook.page.wait_for_selector(".hitl-nb-main textarea[aria-invalid=false]")
    notebook.button("Send answer").click()
    notebook.receipts().first.wait_for()
    assert notebook.answers() == [{"low": 1}]


def test_a_double_click_and_a_click_on_a_stale_card_answer_once(lab):
    notebook = lab([f"{START}\nd.ask('approve')", "e = Desk('late.jsonl')\ne.ask('review', submit=taken)"])
    notebook.run_all()
    notebook.done(1)
    notebook.button("Approve").dblclick()
    notebook.receipts().first.wait_for()
    late = notebook.output(1)
    late.locator(".hitl-nb-comment textarea").fill("My long comment")
    late.get_by_role("button", name="Approve", exact=True).dblclick()
    late.get_by_text("Answered elsewhere").wait_for()
    for told in ("Sam Ito", "20 Nov 2026, 09:38 UTC", "My long comment"):
        assert told in late.inner_text()
    assert not late.get_by_role("button", name="Approve", exact=True).is_visible()
    assert (notebook.answers(), notebook.answers("late.jsonl")) == ([True], [])


def test_an_unexpected_error_is_shown_in_the_card_which_stays_open(lab):
    notebook = lab([f"{START}\ndef full(answer):\n    raise OSError('No space left on device')\nd.ask('approve', submit=full)"])
    notebook.run(0)
    notebook.button("Approve").click()
    notebook.page.get_by_text("Not sent. OSError: No space left on device").wait_for()
    assert notebook.button("Approve").is_enabled()


def test_keys_answer_the_card_and_never_reach_the_notebook(lab):
    notebook = lab([f"{START}\nd.ask('review', after=lambda r, x: d.ask('approve', id='second'))", "1 + 1"])
    notebook.run(0)
    before = notebook.cells()
    keyboard = notebook.page.keyboard
    notebook.card().wait_for()
    notebook.page.wait_for_selector(".hitl-nb-btn[data-key=a]")
    notebook.button("Reject").focus()
    for key in ("b", "d", "d", "m", "x", "z", "0", "0"):
        keyboard.press(key)
    keyboard.press("e")
    notebook.page.wait_for_function("document.activeElement.matches('.hitl-nb-main textarea')")
    keyboard.press("End")
    keyboard.type("aer dd")
    keyboard.press("Escape")
    notebook.page.wait_for_function("document.activeElement.matches('.hitl-nb-card')")
    keyboard.press("Control+Enter")
    notebook.receipts().first.wait_for()
    # The next card took the keyboard, so the next answer needs no mouse.
    notebook.page.wait_for_function("document.activeElement.matches('.hitl-nb-card')")
    keyboard.press("r")
    notebook.receipts().nth(1).wait_for()
    assert notebook.answers()[0]["action"] == "edit"
    assert "aer dd" in notebook.answers()[0]["edited_text"]
    assert notebook.answers()[1] is False
    assert notebook.cells() == before


def test_the_card_has_a_role_a_name_and_shortcuts_for_a_screen_reader(lab):
    notebook = lab([f"{START}\nd.ask('review')"])
    notebook.run(0)
    notebook.page.get_by_role("group", name="Publish this draft?").wait_for()
    assert notebook.page.get_by_role("heading", name="Publish this draft?").count() == 1
    assert notebook.page.get_by_role("region", name="Draft").count() == 1
    assert notebook.page.get_by_label("Comment (optional)").count() == 1
    assert [b.get_attribute("aria-keyshortcuts") for b in notebook.page.locator(".hitl-nb-row button").all()] == ["a", "e", "r"]


def test_a_saved_notebook_shows_what_is_decided_and_what_is_open_without_a_kernel(lab):
    notebook = lab([f"{START}\nd.ask('approve')\nd.ask('choice')"])
    notebook.run(0)
    notebook.button("Approve").click()
    notebook.button("Road").click()
    notebook.button("Send 2 answers").click()
    notebook.receipts().nth(1).wait_for()
    notebook.wait("JSON.stringify(W.content.widgets[0].model.outputs.toJSON()).includes('Road: Which')")
    data = notebook.saved().cells[0].outputs[0].data
    assert "Approved: Refund 249.00 EUR" in data["text/plain"]
    assert "Road: Which route" in data["text/plain"]
    assert "&lt;b onclick" not in data["text/html"]
    assert len(json.dumps(data)) < 20_000


def test_untrusted_text_is_shown_as_text(lab):
    evil = '"><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>$x$ **b** [l](javascript:1)'
    payload = {"action": "review", "question": evil, "draft": evil, "instruction": evil, evil: evil, "options": ["approve", "edit", evil]}
    notebook = lab([f"{START}\nr = d.ask('review', payload={payload!r}, thread_id={evil!r}, node={evil!r}, assignee={evil!r})"])
    notebook.run(0)
    notebook.button("Edit").click()
    notebook.page.locator(".hitl-nb-main textarea").fill(evil + " more")
    notebook.page.locator(".hitl-nb-diff ins").first.wait_for()
    notebook.button("Send edit").click()
    notebook.receipts().first.wait_for()
    notebook.unfold(notebook.receipts().first)
    assert evil in notebook.receipts().first.inner_text()
    assert notebook.page.evaluate("window.hacked") is None
    assert notebook.page.locator(".jp-OutputArea img, .jp-OutputArea script").count() == 0


def test_the_next_card_takes_no_keyboard_from_somebody_who_types_in_it_already(lab):
    notebook = lab([f"{START}\nd.ask('approve', after=lambda r, x: d.ask('text', id='second'))"])
    notebook.run(0)
    notebook.page.wait_for_selector(".hitl-nb-btn[data-key=a]")
    notebook.page.evaluate(
        """() => {
            const met = new WeakSet();  // the output is drawn twice
            new MutationObserver(() => {
                for (const field of document.querySelectorAll('.hitl-nb-typed textarea')) if (!met.has(field)) { met.add(field); field.focus(); }
            }).observe(document.body, { childList: true, subtree: true });
        }"""
    )
    notebook.button("Approve").click()
    notebook.page.wait_for_selector(".hitl-nb-card[data-dressed] .hitl-nb-typed textarea")
    notebook.page.wait_for_timeout(500)  # until the last drawing, in which the card would take it too
    assert notebook.page.evaluate("document.activeElement.matches('.hitl-nb-typed textarea')")


def test_what_was_drawn_before_is_gone_from_the_page_and_not_only_out_of_sight(lab):
    ask = "d.ask(f'approve-{n}', {'question': f'Approve {n}?'}, after=again)"
    stage = f"{START}\nn = 0\ndef again(*_):\n    global n\n    n += 1\n    {ask}\n{ask}"
    notebook = lab([stage, "print(d.view.box._view_count)"])
    notebook.run(0)
    for n in range(5):
        notebook.page.get_by_role("heading", name=f"Approve {n}?").wait_for()
        notebook.button("Approve").click()
    notebook.page.get_by_role("heading", name="Approve 5?").wait_for()
    for _ in range(10):  # the last one may just be taking the place of the one before
        notebook.run(1)
        if notebook.output(1).inner_text().strip() != "0":
            break
    assert notebook.output(1).inner_text().strip() == "1"
