"""`review()` in a real kernel: the card is answered over its comm, as a browser does it."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.kernel

GRAPH = """
from pathlib import Path
from hitl_nb import DiskCacheSaver, StateGraph, interrupt, review

def write(state):
    with Path("ran").open("a") as f:
        f.write("write\\n")
    return {"draft": "About " + state["topic"]}

def publish(state):
    answer = interrupt({"question": "Publish?", "content": state["draft"], "options": ["approve", "reject"]})
    if answer == "reject" and not Path("repaired").exists():
        raise OSError("the press is broken")
    return {"status": answer}

builder = StateGraph()
builder.add_node("write", write)
builder.add_node("publish", publish)
builder.set_entry_point("write")
builder.add_edge("write", "publish")
graph = builder.compile(checkpointer=DiskCacheSaver("store"))
"""
REVIEW = "session = review(graph, {'topic': 'tea'}, thread_id='t')"


PRESSED = """
import os, signal
write_down = session._saver.record
def record(*given):
    os.kill(os.getpid(), signal.SIGINT)
    return write_down(*given)
session._saver.record = record
"""
"""An Interrupt comes as an answer is about to be recorded."""


class Page:
    """What a browser knows: the widgets that were opened, and their state."""

    def __init__(self, kernel):
        self.kernel = kernel

    def models(self):
        found = {}
        for message in self.kernel.outputs:
            content = message["content"]
            if message["msg_type"] == "comm_open":
                found[content["comm_id"]] = dict(content["data"]["state"])
            elif message["msg_type"] == "comm_msg" and content["data"].get("method") == "update" and content["comm_id"] in found:
                found[content["comm_id"]].update(content["data"]["state"])
            elif message["msg_type"] == "comm_close":
                found.pop(content["comm_id"], None)
        return found

    def draw(self, count=1):
        """Report that the session's box has a view, as a front end does for each displayed widget; `count`: one more than it was given."""
        for model, state in self.models().items():
            if "hitl-nb-session" in state.get("_dom_classes", ()):
                self.kernel.tell(model, method="update", state={"_view_count": count}, buffer_paths=[])

    def click(self, label):
        (model,) = [m for m, s in self.models().items() if s.get("description") == label and s.get("_model_name") == "ButtonModel"]
        self.kernel.tell(model, method="custom", content={"event": "click"})

    def answer_ping(self):
        """Say that the card is shown, as each card of a page does when it is asked; the pings that were there."""
        pings = [m["content"] for m in self.kernel.outputs if m["content"].get("data", {}).get("content", {}).get("echo") is not None]
        for ping in pings:
            self.kernel.tell(ping["comm_id"], method="custom", content={"echoed": ping["data"]["content"]["echo"]})
        return pings

    def until_button(self, label):
        self.kernel.until(lambda _: any(s.get("description") == label for s in self.models().values()))


def test_a_click_while_the_next_cell_waits_completes_both(kernel):
    page = Page(kernel)
    kernel.run(GRAPH)
    kernel.run("session = review(graph, {'topic': 'tea'}, thread_id='t', reviewer='dana')")
    waiting = kernel.send("print(session.result()['status'])")
    page.until_button("Approve")
    page.draw()
    page.click("Approve")
    assert kernel.printed(waiting) == "approve\n"
    said = kernel.run("d, = session.decisions; print(session.status, d.answer, d.reviewer, d.how)")
    assert said == "done approve dana card\n"


def test_a_click_while_no_cell_runs_is_run_by_a_worker(kernel):
    page = Page(kernel)
    kernel.run(GRAPH)
    kernel.run(REVIEW)
    page.click("Approve")
    assert (
        kernel.run("from hitl_nb.responders.plain import wait_by_looking\nprint(wait_by_looking(lambda: session.status == 'done', 20))") == "True\n"
    )


def test_a_kernel_killed_while_a_cell_waits_loses_nothing_and_the_same_question_is_asked_again(kernel):
    page = Page(kernel)
    kernel.run(GRAPH)
    first = kernel.run("session = review(graph, {'topic': 'tea'}, thread_id='t'); print(session.pending[0].question.id)")
    kernel.send("session.result()")
    page.until_button("Approve")
    page.draw()
    kernel.manager.restart_kernel(now=True)
    kernel.client.wait_for_ready(timeout=60)
    kernel.outputs.clear()
    kernel.run(GRAPH)
    assert kernel.run("session = review(graph, {'topic': 'tea'}, thread_id='t'); print(session.pending[0].question.id)") == first
    waiting = kernel.send("print(session.result()['status'], Path('ran').read_text().split())")
    page.until_button("Approve")
    page.draw()
    page.click("Approve")
    assert kernel.printed(waiting) == "approve ['write']\n"


def test_await_in_a_cell_waits_with_the_card_alive(kernel):
    page = Page(kernel)
    kernel.run(GRAPH)
    kernel.run(REVIEW)
    waiting = kernel.send("print((await session)['status'])")
    page.until_button("Approve")
    page.draw()
    page.click("Approve")
    assert kernel.printed(waiting) == "approve\n"


def test_a_failing_node_shows_in_the_card_and_the_answer_can_be_changed(kernel):
    page = Page(kernel)
    kernel.run(GRAPH)
    kernel.run(REVIEW)
    waiting = kernel.send("session.result()", stop_on_error=False)
    page.until_button("Reject")
    page.draw()
    page.click("Reject")
    reply = kernel.reply(waiting)
    assert (reply["ename"], reply["evalue"]) == ("OSError", "the press is broken")
    page.until_button("Change my answer")
    page.click("Change my answer")
    again = kernel.send("print(session.result()['status'])")
    page.until_button("Approve")
    page.click("Approve")
    assert kernel.printed(again) == "approve\n"


def test_an_interrupt_that_comes_with_a_click_does_not_cut_the_click_in_half(kernel):
    page = Page(kernel)
    kernel.run(GRAPH)
    kernel.run(REVIEW)
    kernel.run(PRESSED)
    waiting = kernel.send("session.result()", stop_on_error=False)
    page.until_button("Approve")
    page.draw()
    page.click("Approve")
    reply = kernel.reply(waiting)
    assert (reply["ename"], "thread 't' was stopped" in reply["evalue"]) == ("KeyboardInterrupt", True)
    assert kernel.run("print([d.answer for d in session.decisions], session.result()['status'], session.status)") == "['approve'] approve done\n"


def test_an_interrupt_says_what_is_open_and_the_cell_can_be_run_again(kernel):
    page = Page(kernel)
    kernel.run(GRAPH)
    kernel.run(REVIEW)
    waiting = kernel.send("session.result()", stop_on_error=False)  # else a kernel aborts what comes soon after
    kernel.begun(waiting)
    kernel.until(lambda _: page.answer_ping())
    kernel.manager.interrupt_kernel()
    reply = kernel.reply(waiting)
    assert (reply["ename"], reply["evalue"]) == (
        "KeyboardInterrupt",
        "thread 't' still waits for 'Publish?'. Nothing is lost: answer the card, or run this cell again to wait for it.",
    )
    assert "pump.py" not in "".join(reply["traceback"])
    again = kernel.send("print(session.result()['status'])")
    page.draw()
    page.click("Approve")
    assert kernel.printed(again) == "approve\n"


def waiting_cell(kernel):
    """A page in which a cell waits for an answer, and that cell."""
    page = Page(kernel)
    kernel.run(GRAPH)
    kernel.run(REVIEW)
    waiting = kernel.send("session.result()")
    kernel.begun(waiting)
    return page, waiting


def assert_gives_way(kernel, waiting, *behind):
    """The cell that waits says what to do, and what was run behind it is dropped as after every cell that fails."""
    reply = kernel.reply(waiting)
    assert (reply["ename"], "run the cell of review() again" in reply["evalue"]) == ("StillWaitingError", True)
    assert {kernel.reply(cell)["status"] for cell in behind} == {"aborted"}
    assert kernel.run(f"{REVIEW}\nprint(session.status)") == "waiting\n"


def test_a_cell_that_waits_for_a_page_that_was_loaded_again_gives_way_when_another_cell_is_run(kernel):
    page, waiting = waiting_cell(kernel)
    kernel.until(lambda _: page.answer_ping())  # so the card is drawn, although nobody has said so otherwise
    again = kernel.send(REVIEW)  # the page is gone now: nobody answers
    assert_gives_way(kernel, waiting, again)


def test_a_cell_that_waits_for_a_page_that_was_closed_before_it_said_anything_gives_way_to_one_of_a_page_without_the_card_only(kernel):
    page, waiting = waiting_cell(kernel)
    page.draw()
    given = [kernel.send("1")]  # a page that lacks anywidget never says anything; its person runs the next cell
    with kernel.another_page():
        page.draw(2)
        given.append(kernel.send("2"))
    kernel.until(lambda m: m["content"].get("data", {}).get("content", {}).get("echo", 0) >= 8)
    assert waiting not in kernel.replies
    with kernel.another_page():
        given.append(kernel.send(REVIEW))
    assert_gives_way(kernel, waiting, *given)


def test_a_cell_that_waits_in_a_page_that_was_loaded_again_without_the_card_says_so_and_one_that_kept_the_card_waits(kernel):
    page = Page(kernel)
    kernel.run(f"{GRAPH}\nfrom hitl_nb.widgets import front_end\nfront_end._SEEN_WITHIN_S = 0.2")
    kernel.run(REVIEW)
    page.until_button("Approve")
    page.draw()
    with kernel.another_page():

        def attempt():
            reply = kernel.reply(kernel.send("session.result()", stop_on_error=False))  # else a kernel aborts what comes soon after
            return reply["ename"], "run the cell of review() again" in reply["evalue"]

        assert attempt() == ("StillWaitingError", True)
        page.draw(2)
        page.draw(1)  # its output was cleared
        assert attempt() == ("StillWaitingError", True)
        page.draw(2)
        waiting = kernel.send("print(session.result()['status'])")
        kernel.begun(waiting)
        page.click("Approve")
        assert kernel.printed(waiting) == "approve\n"


def test_headless_a_question_without_an_answer_fails_at_once(kernel):
    kernel.run(GRAPH, allow_stdin=False)
    request = kernel.send("review(graph, {'topic': 'tea'}, thread_id='t')", allow_stdin=False)
    reply = kernel.reply(request)
    assert reply["ename"] == "MissingAnswerError"
    assert "- node: publish  # Publish?" in reply["evalue"]


def test_headless_the_parameter_answers_and_the_output_is_the_same_each_time(kernel):
    kernel.run(GRAPH, allow_stdin=False)
    kernel.run("hitl_answers = {'publish': 'approve'}", allow_stdin=False)
    shown = []
    for _ in range(2):
        request = kernel.send(
            "session = review(graph, {'topic': 'tea'}, thread_id='t', reviewer='dana'); print(session.result()['status'])", allow_stdin=False
        )
        assert kernel.reply(request)["status"] == "ok"
        outputs = [m["content"] for m in kernel.idle(request) if m["msg_type"] in ("display_data", "stream", "update_display_data")]
        shown.append(json.dumps(outputs, sort_keys=True))
    assert shown[0] == shown[1]
    assert "approve" in shown[0]
    assert kernel.run("print(Path('ran').read_text().count('write'))") == "1\n"
