"""The whole way: a graph pauses, a person answers in JupyterLab, a killed kernel loses nothing."""

GRAPH = """
import os, time
from pathlib import Path
from typing import Any, TypedDict
from hitl_nb import DiskCacheSaver, END, START, StateGraph, interrupt, review
Path("pid").write_text(str(os.getpid()))
class State(TypedDict, total=False):
    topic: str
    draft: str
    answer: Any
    published: bool
def ran(name):
    with open("runs.txt", "a") as out:
        out.write(name + "\\n")
def write(state):
    ran("write")
    return {"draft": f"{state['topic']}\\n\\nSecond line, as written.\\n\\nThird line."}
def check(state):
    payload = {"action": "review", "question": "Publish this draft?", "draft": state["draft"], "options": ["approve", "edit", "reject"]}
    return {"answer": interrupt(payload)}
def publish(state):
    ran("publish")
    if Path("broken").exists():
        raise ConnectionError("the site is down")
    return {"published": True}
b = StateGraph(State)
b.add_node("write", write)
b.add_node("check", check)
b.add_node("publish", publish)
b.add_edge(START, "write"); b.add_edge("write", "check"); b.add_edge("check", "publish"); b.add_edge("publish", END)
graph = b.compile(checkpointer=DiskCacheSaver("reviews"), name="article")
"""
REVIEW = 'session = review(graph, {"topic": "Tea"}, thread_id="article-1", reviewer="Dana Ruiz")'
RESULT = 'print("answer:", session.result()["answer"])'
IDS = "print([r.question.id for r in session.pending])"


def runs(notebook):
    return (notebook.folder / "runs.txt").read_text().split()


def test_run_all_shows_the_card_the_next_cell_waits_and_a_click_completes_both(lab):
    notebook = lab([GRAPH, REVIEW, RESULT, "print('after')"])
    notebook.run_all()
    notebook.button("Approve").wait_for()
    notebook.done(1)
    notebook.executing(2)
    notebook.button("Approve").click()
    notebook.done(3)
    assert "answer: {'action': 'approve'}" in notebook.output(2).inner_text()
    assert "after" in notebook.output(3).inner_text()
    assert "Approved" in notebook.output(1).inner_text()
    assert "Dana Ruiz" in notebook.output(1).inner_text()
    assert runs(notebook) == ["write", "publish"]

    saved = notebook.saved().cells[1].outputs
    assert [sorted(o.data) for o in saved] == [["application/vnd.hitl-nb.decision.v1+json", "text/html", "text/markdown", "text/plain"]]
    assert saved[0].data["application/vnd.hitl-nb.decision.v1+json"]["decisions"][0]["answer"] == {"action": "approve"}
    notebook.reload()
    assert "Approved" in notebook.receipts().first.inner_text()
    assert notebook.button("Approve").count() == 0


def test_a_killed_kernel_loses_nothing(lab):
    notebook = lab([GRAPH, REVIEW, IDS, RESULT])
    for cell in (0, 1, 2):
        notebook.run(cell)
    notebook.button("Approve").wait_for()
    before = notebook.output(2).inner_text()
    notebook.kill_kernel()
    notebook.page.get_by_text("This card lost its kernel.").wait_for()  # the server looks for dead kernels every few seconds
    assert not notebook.button("Approve").is_visible()
    notebook.settle()
    for cell in (0, 1, 2):
        notebook.run(cell)
    notebook.button("Approve").wait_for()
    assert notebook.output(2).inner_text() == before != "[]"
    assert notebook.card().count() == 1
    notebook.button("Reject").click()
    notebook.receipts().first.wait_for()
    notebook.run(3)
    assert "{'action': 'reject'}" in notebook.output(3).inner_text()
    assert runs(notebook) == ["write", "publish"]


def test_an_edit_is_delivered_as_it_was_typed_up_to_the_last_key(lab):
    notebook = lab([GRAPH, REVIEW, RESULT])
    notebook.run_all()
    notebook.button("Edit").click()
    field = notebook.page.locator(".hitl-nb-main textarea")
    notebook.page.wait_for_function("document.activeElement === document.querySelector('.hitl-nb-main textarea')")
    field.press("Control+a")
    notebook.page.keyboard.type('Tea\n\nA "new" <b>line</b> & more.\n\nThird line. ünï')
    notebook.page.keyboard.press("Control+Enter")
    notebook.done(2)
    said = {"action": "edit", "edited_text": 'Tea\n\nA "new" <b>line</b> & more.\n\nThird line. ünï'}
    assert f"answer: {said}" in notebook.output(2).inner_text()
    receipt = notebook.receipts().first
    notebook.unfold(receipt)
    assert receipt.locator("del").all_inner_texts() == ["Second ", ", as written"]


def test_a_failed_node_is_retried_with_the_same_answer_or_the_answer_is_changed(lab):
    notebook = lab([GRAPH, REVIEW, RESULT])
    notebook.run(0)
    (notebook.folder / "broken").touch()
    notebook.run(1)
    notebook.button("Approve").click()
    notebook.page.get_by_text("Failed after your answer").wait_for()
    assert "the site is down" in notebook.page.get_by_role("alert").inner_text()
    notebook.page.wait_for_function("document.activeElement.matches('.hitl-nb-card')")
    retry = notebook.button("Retry").element_handle()
    retry.click()
    retry.wait_for_element_state("hidden")  # the card of the second failure has buttons of its own
    notebook.button("Change my answer").click()
    notebook.button("Reject").wait_for()
    (notebook.folder / "broken").unlink()
    notebook.button("Reject").click()
    notebook.receipts().first.wait_for()
    notebook.run(2)
    assert "{'action': 'reject'}" in notebook.output(2).inner_text()
    assert runs(notebook) == ["write", "publish", "publish", "publish"]


def test_a_reload_and_a_second_run_of_the_cell_show_the_same_question_again(lab):
    notebook = lab([GRAPH, REVIEW, RESULT])
    notebook.run(0)
    notebook.run(1)
    notebook.button("Approve").wait_for()
    data = notebook.saved().cells[1].outputs[0].data
    assert "Open: Publish this draft?" in data["text/plain"]
    notebook.reload()
    notebook.run(1)
    notebook.run(1)
    notebook.button("Reject").wait_for()
    assert notebook.card().count() == 1
    notebook.start(2)
    notebook.button("Reject").click()
    notebook.done(2)
    assert "{'action': 'reject'}" in notebook.output(2).inner_text()
    assert runs(notebook) == ["write", "publish"]


def test_an_interrupt_ends_the_wait_and_the_card_can_still_be_answered(lab):
    notebook = lab([GRAPH, REVIEW, RESULT])
    notebook.run_all()
    notebook.button("Approve").wait_for()
    notebook.done(1)
    notebook.executing(2)
    notebook.command("notebook:interrupt-kernel")
    notebook.output(2).get_by_text("KeyboardInterrupt").first.wait_for()
    notebook.button("Approve").click()
    notebook.receipts().first.wait_for()
    notebook.run(2)
    assert "{'action': 'approve'}" in notebook.output(2).inner_text()
