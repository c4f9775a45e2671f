"""Three people before one question, in the real page: one may not answer, and two have to answer alike."""

import os
from pathlib import Path

GRAPH = """
from hitl_nb import DiskCacheSaver, StateGraph, interrupt, review
from pathlib import Path
saver = DiskCacheSaver("reviews")
Path("reviews").mkdir(exist_ok=True)
Path("reviews/reviewers.yaml").write_text("reviewers: {dana: [finance], sam: [finance], kim: [legal]}")
def pay(state):
    return {"paid": interrupt({"action": "review", "question": "Pay 12,400 EUR?", "draft": "Invoice 7 of Acme.", "options": ["approve", "reject"]},
                              assignee="finance", quorum=2)}
graph = StateGraph().add_node(pay).set_entry_point("pay").compile(checkpointer=saver, name="payments")
def opens(reviewer):
    return review(graph, {"invoice": 7}, thread_id="acme", reviewer=reviewer)
"""


def test_a_card_says_who_may_answer_and_how_many_did_and_stays_until_enough_have(lab):
    notebook = lab([GRAPH, "kim = opens('kim')", "dana = opens('dana')", "sam = opens('sam')", "print(sam.result()['paid'], dana.status)"])
    for cell in (0, 1, 2, 3):
        notebook.run(cell)
    kim, dana, sam = (notebook.output(n) for n in (1, 2, 3))

    kim.get_by_text("Only finance may answer; you are kim.").wait_for()
    assert [b.is_disabled() for b in kim.locator(".hitl-nb-send").all()] == [True, True]

    dana.locator(".hitl-nb-comment textarea").fill("The invoice is right.")
    dana.get_by_role("button", name="Approve", exact=True).click()
    dana.get_by_text("Recorded: 1 of 2 answered “Approved”.").wait_for()
    assert dana.locator(".hitl-nb-comment textarea").input_value() == "The invoice is right."
    assert dana.locator(".hitl-nb-st").inner_text().strip() == "1 of 2 answered"
    if folder := os.environ.get("HITL_NB_SHOTS"):
        for n, name in ((1, "barred"), (2, "voted")):
            notebook.shot(Path(folder) / f"reviewers-{name}.png", n)

    sam.get_by_role("button", name="Approve", exact=True).click()
    sam.locator(".hitl-nb-receipt").wait_for()
    notebook.unfold(sam.locator(".hitl-nb-receipt"))
    sam.get_by_text("dana: Approved, “The invoice is right.”; sam: Approved").wait_for()
    notebook.run(4)
    notebook.output(4).get_by_text("done").wait_for()
    if folder:
        notebook.shot(Path(folder) / "reviewers-receipt.png", 3)
