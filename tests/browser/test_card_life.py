"""What becomes of a card, with real graphs in a real kernel: answered twice or elsewhere, out of date, running, changed, late, lost."""

GRAPH = """
import time
from datetime import timedelta
from hitl_nb import DiskCacheSaver, END, START, StateGraph, get_stream_writer, interrupt, review
saver = DiskCacheSaver("reviews")
ran = []
def pick(state):
    return {"draft": interrupt({"question": "Which draft?", "options": ["first", "second"]})}
def check(state):
    draft = f"The {state.get('draft', 'only')} draft."
    return {"answer": interrupt({"action": "review", "question": "Publish it?", "draft": draft, "options": ["approve", "edit", "reject"]})}
def publish(state):
    ran.append(state["answer"]["action"])
def slow(state):
    tell, end = get_stream_writer(), time.monotonic() + 2.5
    while time.monotonic() < end:
        for n in range(1000):
            tell({"done": 7, "total": 12, "unit": "<b>pages</b>"})
        time.sleep(0.1)
def chain(*nodes):
    builder, before = StateGraph(), START
    for node in nodes:
        builder.add_node(node.__name__, node).add_edge(before, node.__name__)
        before = node.__name__
    return builder.add_edge(before, END).compile(checkpointer=saver, name="article")
"""


def opens(graph, thread, name="session", **more):
    options = "".join(f", {key}={value!r}" for key, value in more.items())
    return f"{name} = review({graph}, {{}}, thread_id={thread!r}, reviewer='Dana Ruiz'{options})"


def press(area, label):
    area.get_by_role("button", name=label, exact=True).click()


def change_what_was_answered(out):
    """Open the receipt and press the button in it; again where the output was drawn anew in between, for no person is that fast."""
    from playwright.sync_api import TimeoutError as TookTooLong

    change = out.get_by_role("button", name="Change my answer")
    for _ in range(20):
        if not change.is_visible():
            out.locator(".hitl-nb-receipt summary").click()
        try:
            return change.click(timeout=3000)
        except TookTooLong:
            continue
    raise AssertionError("the receipt never stays open")


def test_clicks_that_come_twice_too_late_or_beside_a_waiting_cell_are_harmless(lab):
    notebook = lab(
        [
            GRAPH,
            f"g = chain(check, publish)\n{opens('g', 'a', 'one')}",
            opens("g", "a", "two"),
            "h = chain(pick, check, publish)\n" + opens("h", "b", "here"),
            "other = review(h, thread_id='b', answers=[], on_missing='leave_open', reviewer='Sam Ito')\nother.undo()\nother.answer('second')",
            "print(ran, [d.answer for d in one.decisions], [d.answer for d in here.decisions], here.status)",
            opens("g", "c", "three"),
            "print(three.result()['answer'])",
        ]
    )
    for cell in (0, 1, 2, 3):
        notebook.run(cell)
    one, two, here = (notebook.output(n) for n in (1, 2, 3))

    # twice, and on a card that another card of the same question has answered meanwhile
    one.get_by_role("button", name="Approve", exact=True).dblclick()
    one.locator(".hitl-nb-receipt").wait_for()
    two.locator(".hitl-nb-comment textarea").fill("My long comment")
    press(two, "Reject")
    two.get_by_text("Your answer “Reject” was not recorded.").wait_for()
    two.get_by_text("Dana Ruiz, in a notebook, was first with “Approved”").wait_for()
    two.locator(".hitl-nb-receipt").wait_for()

    # on a question that somebody else has replaced
    press(here, "First")
    here.get_by_text("Publish it?").wait_for()
    notebook.run(4)
    here.locator(".hitl-nb-comment textarea").fill("About the first one")
    press(here, "Approve")
    here.get_by_text("Out of date").wait_for()
    press(here, "Show what changed")
    here.locator("ins", has_text="second").wait_for()
    assert "About the first one" in here.inner_text()
    press(here, "Show the current question")
    here.get_by_text("The second draft.").wait_for()
    notebook.page.wait_for_function("document.activeElement.matches('.hitl-nb-card')")  # else it would make its cell the active one later

    # while another cell waits
    notebook.run(6)
    notebook.start(7)
    notebook.executing(7)
    press(here, "Reject")
    here.locator(".hitl-nb-receipt").nth(1).wait_for()
    press(notebook.output(6), "Approve")
    notebook.done(7)
    notebook.run(5)
    told = "['approve', 'reject', 'approve'] [{'action': 'approve'}] ['first', 'second', {'action': 'reject'}] done"
    assert told in notebook.output(5).inner_text()


def test_what_runs_is_shown_with_its_progress_and_the_answer_can_be_changed(lab):
    notebook = lab(
        [GRAPH, "g = chain(pick, slow, check, publish)\n" + opens("g", "a"), "session.result(); print([d.answer for d in session.decisions], ran)"]
    )
    notebook.run(0)
    notebook.run(1)
    notebook.js(
        """window.redrawn = 0; window.flicker = 0;
        new MutationObserver(found => { for (const m of found) if (m.target.closest?.('.hitl-nb-activity')) window.redrawn += 1; })
            .observe(document.body, { subtree: true, childList: true, characterData: true });"""
    )
    page, out = notebook.page, notebook.output(1)
    press(out, "First")
    page.get_by_text("First, running slow").wait_for()
    bar = page.get_by_role("progressbar", name="slow: 7 of 12 <b>pages</b>")
    bar.wait_for()
    assert abs(float(bar.get_attribute("value")) - 7 / 12) < 0.001
    assert not out.locator(".hitl-nb-receipt").is_visible()
    page.get_by_text("slow: 7 of 12 <b>pages</b>").wait_for()
    out.get_by_text("The first draft.").wait_for()
    assert 0 < page.evaluate("window.redrawn") < 120  # of some 20,000 events

    change = out.get_by_role("button", name="Change my answer")
    assert not change.is_visible()
    change_what_was_answered(out)
    out.get_by_text("You answered “First” on").wait_for()
    page.wait_for_function("document.activeElement.matches('.hitl-nb-card')")
    out.locator(".hitl-nb-activity").wait_for(state="detached")
    assert out.locator(".hitl-nb-card").count() == 1
    press(out, "Second")
    out.get_by_text("The second draft.").wait_for()
    press(out, "Approve")
    out.locator(".hitl-nb-receipt").nth(1).wait_for()
    notebook.run(2)
    assert "['first', 'second', {'action': 'approve'}] ['approve']" in notebook.output(2).inner_text()


def test_a_card_is_late_or_lost_by_itself_and_a_waiting_cell_brings_its_own_into_view(lab):
    hurried = (
        "def hurry(state):\n    return {'ok': interrupt('Pay?', deadline=timedelta(seconds=4), default=False)}\n"
        "def later(state):\n    return {'ok': interrupt('And now?')}\n"
    )
    filler = "print('\\n' * 60)"
    notebook = lab([GRAPH, hurried + "g = chain(hurry, later)\n" + opens("g", "a"), filler, filler, "session.result()"], height=700)
    notebook.run_all()
    notebook.executing(4)
    page = notebook.page
    page.wait_for_function("document.activeElement.matches('.hitl-nb-card')")
    box = notebook.card().bounding_box()
    assert 0 <= box["y"] < 700
    page.get_by_text("Deadline passed", exact=True).wait_for()
    page.wait_for_selector(".hitl-nb-card button:disabled:has-text('Approve')")  # what is shown comes piece by piece
    page.get_by_text("Next, the default is recorded: Rejected.").wait_for()
    page.locator(".hitl-nb-card", has_text="overdue").wait_for()
    notebook.command("notebook:interrupt-kernel")
    notebook.output(4).get_by_text("KeyboardInterrupt").first.wait_for()
    notebook.js("window.restarted = false; W.sessionContext.session.kernel.restart().then(() => { window.restarted = true; });")
    page.get_by_text("This card lost its kernel.").wait_for()
    assert not notebook.button("Approve").is_visible()
    notebook.wait("window.restarted && W.sessionContext.session?.kernel?.status === 'idle'", 60)
