"""Open questions as a saved notebook shows them: what is asked, how to answer, and nothing of a payload that acts."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from hitl_nb.checkpoint.records import Question
from hitl_nb.decisions.answers import read_script
from hitl_nb.decisions.forms import form_for
from hitl_nb.decisions.request import Request
from hitl_nb.widgets.left_open import MIME, left_open, question_record

AT = datetime(2026, 11, 20, 9, 41, tzinfo=UTC)
EVIL = '"><img src=x onerror=alert(1)><script>alert(1)</script> **b** [l](javascript:1) # `c`'


def request(payload, number=1, **more):
    made = {
        "id": f"q-{number}",
        "thread_id": "t-1",
        "node": "check",
        "task_id": "t",
        "position": 0,
        "digest": "",
        "payload": payload,
        "created_at": AT,
    }
    question = Question(**made | more)
    return Request(question, form_for(question, reviewer="ann"))


REVIEW = {"action": "review", "question": "Publish?", "draft": "One\nTwo", "topic": "Tea", "options": ["approve", "edit", "reject"]}


def test_it_says_what_is_asked_and_every_way_to_answer():
    drawn = left_open([request(REVIEW, assignee="dana", deadline=datetime(2026, 12, 1, tzinfo=UTC))])
    for shown in (drawn["text/html"], drawn["text/plain"]):
        for told in ("1 question left open", "Publish?", "Tea", "One", "Approve, Edit, Reject", "dana", "1 Dec 2026, 00:00 UTC", "t-1"):
            assert told in shown
        assert "hitl-nb answer q-1" in shown
        assert "inbox(store)" in shown
    assert "hitl\\-nb answer q\\-1" in drawn["text/markdown"]


def test_the_lines_for_an_answers_file_are_one():
    drawn = left_open([request(REVIEW)])
    lines = drawn["text/plain"].partition("In an answers file:\n")[2].splitlines()
    script = read_script("\n".join(line[4:] for line in lines))
    assert script.entry_for(request(REVIEW).question).answer == {"action": "approve"}


def test_the_same_question_makes_the_same_drawing_whenever_it_was_asked():
    assert left_open([request(REVIEW)]) == left_open([request(REVIEW, created_at=datetime(2020, 1, 1, tzinfo=UTC))])


@pytest.mark.parametrize(
    "payload", [EVIL, {"question": EVIL, EVIL: EVIL, "draft": EVIL, "options": [EVIL, "b"]}, {"question": "Is \x1b[2J it?\u202e"}]
)
def test_nothing_of_a_payload_is_markup_and_nothing_moves_a_terminal(payload):
    drawn = left_open([request(payload, node=EVIL, assignee=EVIL)])
    assert "<img" not in drawn["text/html"]
    assert "<script" not in drawn["text/html"]
    outside_of_code = drawn["text/markdown"].split("```")[::2]
    assert not any("<img" in text or "[l](" in text for text in outside_of_code)
    assert "\x1b" not in drawn["text/plain"]
    assert "\u202e" not in drawn["text/html"]


def test_the_rows_of_a_table_are_shown():
    drawn = left_open([request({"question": "Keep?", "table": pd.DataFrame({"title": ["A", "B"], "year": [1999, 2001]})})])
    for shown in ("text/html", "text/markdown", "text/plain"):
        assert "title" in drawn[shown]
        assert "2001" in drawn[shown]


def test_of_very_many_questions_the_first_are_drawn_and_the_others_are_counted():
    many = [request({"question": f"Number {n}?", "options": ["a", "b"]}, number=n) for n in range(53)]
    drawn = left_open(many)
    assert "53 questions left open" in drawn["text/plain"]
    assert "Number 49?" in drawn["text/html"]
    assert "Number 50?" not in drawn["text/html"]
    for shown in ("text/html", "text/markdown", "text/plain"):
        assert "And 3 more: hitl-nb pending lists them" in drawn[shown].replace("\\", "")
    assert len(drawn[MIME]["questions"]) == 53


def test_the_record_is_plain_data():
    record = question_record(request("Go?", deadline=datetime(2026, 12, 1, tzinfo=UTC)))
    assert record == {
        "id": "q-1",
        "thread_id": "t-1",
        "node": "check",
        "question": "Go?",
        "assignee": None,
        "deadline": "2026-12-01T00:00:00+00:00",
    }


def test_questions_that_nobody_can_answer_any_more_are_not_said_to_wait():
    drawn = left_open([request("Go?")], kept=False)
    for shown in (drawn["text/html"], drawn["text/plain"]):
        assert "it goes on from here" not in shown
        assert "DiskCacheSaver" in shown
        assert "hitl-nb answer" not in shown
