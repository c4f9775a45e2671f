"""The morning after a batch: what is open is answered in the notebook that it wrote, in the real page, and from the command line; the batch ends."""

from collections import Counter

import pytest
from nights import Night, answer_in_the_inbox, open_inbox

from hitl_nb.checkpoint.verifying import verify
from hitl_nb.decisions.record import open_store

pytestmark = [pytest.mark.browser, pytest.mark.notebook]
ANSWERS = "answers:\n- {thread: small, answer: approve, by: ann}\n"
OPEN = ("open-1", "open-2", "open-3", "open-4")


def test_open_cases_are_answered_in_the_inbox_and_the_terminal_and_each_ends_once(lab, server, page):
    folder = server.root / "batch"
    folder.mkdir()
    night = Night(folder, [("small", 5, ""), *((name, 900 + n, "") for n, name in enumerate(OPEN))], ANSWERS)
    code, told, err = night.run()
    assert (code, told["counts"], told["inbox"]) == (75, {"done": 1, "needs human": 4}, "inbox.ipynb"), err

    night.answer("open-1", "reject")
    # By its name: two workers ask side by side, so any of the three may be the oldest.
    answer_in_the_inbox(open_inbox(server, page, "batch"), ["Reject"], "Approve", first="Refund 901 EUR?")

    code, told, err = night.run()
    assert (code, told["counts"], told["inbox"]) == (0, {"done": 5}, None), err
    assert {c["thread_id"]: [(d["answer"], d["how"]) for d in c["decisions"]] for c in told["cases"]} == {
        "small": [("approve", "script")],
        "open-1": [("reject", "cli")],
        "open-2": [("reject", "inbox")],
        "open-3": [("approve", "inbox")],
        "open-4": [("approve", "inbox")],
    }
    ends = ["small pay", "open-1 release", "open-2 release", "open-3 pay", "open-4 pay"]
    assert night.happened() == Counter([f"{name} reserve" for name in ("small", *OPEN)] + ends)
    found = verify(open_store(night.store))
    assert (found.ok, found.count) == (True, 5), found.problems
