"""What stays of a decision in a saved notebook."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser

import pytest

from hitl_nb.checkpoint.records import Decision, Question
from hitl_nb.decisions.answering import build_answer
from hitl_nb.decisions.forms import form_for
from hitl_nb.decisions.request import Request
from hitl_nb.widgets.outcome import outcome
from hitl_nb.widgets.receipt import MIME, Receipt, bundle, open_bundle

AT = datetime(2026, 11, 20, 9, 41, tzinfo=UTC)
EVIL = '"><img src=x onerror=alert(1)><script>alert(1)</script> **b** [l](javascript:1) | # `c` $x$'
REVIEW = {"action": "review", "question": "Publish?", "draft": "One\nTwo\nThree", "topic": "Tea", "options": ["approve", "edit", "reject"]}


def request(payload, **more):
    made = {
        "id": "q-1",
        "thread_id": "t-1",
        "node": "check",
        "task_id": "t",
        "position": 0,
        "digest": "",
        "payload": payload,
        "created_at": AT,
        "graph": "g",
    }
    question = Question(**{**made, **more})
    return Request(question, form_for(question, reviewer="Dana"))


def receipt(payload, answer, how="card", **more):
    asked = request(payload, **more)
    return Receipt(asked, Decision(asked.question.id, asked.question.thread_id, asked.question.node, 0, answer, "Dana Ruiz", AT, how))


class Tags(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.found, self.text = set(), ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.add(tag)
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize(
    ("payload", "choice", "more", "label", "good"),
    [
        ("Approve step 1?", True, {}, "Approved", True),
        ("Approve step 1?", False, {}, "Rejected", False),
        (REVIEW, "approve", {"comment": "fine"}, "Approved", True),
        (REVIEW, "reject", {"comment": "no"}, "Rejected", False),
        (REVIEW, "edit", {"text": "One\n2\nThree"}, "Edited and sent", True),
        ({"question": "Which way?", "options": ["road", "air_freight"]}, "air_freight", {}, "Air freight", True),
        ({"question": "What?", "type": "text"}, "send", {"text": "this"}, "Answered", True),
        ({"action": "edit_content", "original": "a b"}, "send", {"text": "a c"}, "Edited and sent", True),
        ({"action": "edit_content", "original": "a b"}, "send", {"text": "a b"}, "Sent unchanged", True),
        ({"request_id": 1, "type": "pay", "actions": ["approve", "reject"]}, "reject", {"comment": "no"}, "Rejected", False),
        ({"error": "e", "question": "Fix", "current_input": "1"}, True, {"text": "2"}, "Retried", True),
        ({"error": "e", "question": "Fix", "current_input": "1"}, False, {}, "Given up", False),
        ({"content": "c", "prompt": "Edit, approve, or reject?"}, "edit", {"text": "d"}, "Edited and sent", True),
    ],
)
def test_a_receipt_names_the_button_that_was_pressed(payload, choice, more, label, good):
    form = request(payload).form
    found = outcome(form, build_answer(form, choice, **more))
    assert (found.label, found.good) == (label, good)
    assert found.comment == more.get("comment", "")
    if label == "Edited and sent":
        assert found.edited == more["text"]


@pytest.mark.parametrize("answer", [None, {}, [], 3, "something else", {"action": ["x"]}, {"approved": "maybe"}, {"action": None, "feedback": 5}])
def test_an_answer_that_no_button_makes_still_has_a_receipt(answer):
    shown = receipt(REVIEW, answer)
    assert shown.outcome.label == "Answered"
    assert json.loads(json.dumps(bundle([shown])))[MIME]["decisions"][0]["answer"] == answer


def test_one_is_not_mistaken_for_yes():
    assert outcome(request("Approve?").form, 1).label == "Answered"


def test_a_persons_receipt_says_who_when_and_where():
    data = bundle([receipt(REVIEW, {"action": "approve"})])
    for kind in ("text/html", "text/plain"):
        for told in ("Approved", "Publish?", "Dana Ruiz", "20 Nov 2026, 09:41 UTC", "Tea"):
            assert told in data[kind]
    record = data[MIME]["decisions"][0]
    assert (record["decided_at"], record["interrupt_id"], record["how"]) == (AT.isoformat(), "q-1", "card")


def test_a_scripted_receipt_has_no_time_and_no_id_so_that_it_reads_the_same_after_every_run():
    first = bundle([receipt(REVIEW, {"action": "approve"}, "script")])
    second = bundle([receipt(REVIEW, {"action": "approve"}, "script", id="q-other", created_at=AT.replace(year=2027))])
    assert first == second
    assert "by Dana Ruiz, scripted" in first["text/plain"]
    assert "2026" not in json.dumps(first)
    assert "q-1" not in json.dumps(first)


def test_every_text_of_a_payload_is_escaped():
    payload = {"action": "review", "question": EVIL, "draft": EVIL, "instruction": EVIL, EVIL: EVIL, "options": ["approve", "edit", EVIL]}
    for answer in ({"action": "edit", "edited_text": EVIL + "\nmore", "feedback": EVIL}, {"action": EVIL}, EVIL):
        shown = receipt(payload, answer, EVIL, thread_id=EVIL, node=EVIL, graph=EVIL)
        html = bundle([shown])["text/html"]
        allowed = {
            "style",
            "details",
            "summary",
            "b",
            "span",
            "div",
            "dl",
            "dt",
            "dd",
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
            "del",
            "ins",
            "p",
        }
        assert Tags(html).found <= allowed
    assert Tags(open_bundle([shown], [shown.request], EVIL)["text/html"]).found <= {"div", "p"}


def test_the_markdown_of_a_receipt_renders_as_the_text_it_came_from():
    from markdown_it import MarkdownIt

    text = bundle([receipt({"question": EVIL, EVIL: "1\n2", "options": ["a", "b"]}, "a")])["text/markdown"]
    tags = Tags(MarkdownIt("js-default").render(text))
    assert tags.found <= {"p", "strong", "ul", "li"}
    assert EVIL in tags.text


def test_a_saved_open_question_says_what_is_decided_and_what_to_do():
    asked = request({"question": "Next?", "options": ["a", "b"]})
    data = open_bundle([receipt(REVIEW, {"action": "approve"})], [asked], "Run the cell again.")
    assert data["text/plain"].splitlines() == [
        "✓ Approved: Publish? (Dana Ruiz, 20 Nov 2026, 09:41 UTC)",
        "○ Open: Next? (t-1)",
        "Run the cell again.",
    ]
    assert data[MIME]["open"] == [{"thread_id": "t-1", "node": "check", "question": "Next?"}]


def test_an_answer_that_json_does_not_know_is_written_as_its_text():
    data = bundle([receipt(REVIEW, {"amount": Decimal("1.50"), "on": AT})])
    assert data[MIME]["decisions"][0]["answer"] == {"amount": "1.50", "on": str(AT)}


def test_the_receipt_of_an_edit_compares_both_texts():
    html = receipt(REVIEW, {"action": "edit", "edited_text": "One\n2\nThree"}).html()
    assert "<del>Two</del>" in html
    assert "<ins>2</ins>" in html


def test_a_long_edited_text_is_not_written_twice_but_recorded_whole():
    long = "word " * 100
    data = bundle([receipt(REVIEW, {"action": "edit", "edited_text": long})])
    assert data["text/html"].count(long.strip()) == 1
    assert "… (500 characters)" in data["text/html"]
    assert data[MIME]["decisions"][0]["answer"]["edited_text"] == long


def test_a_receipt_works_without_script_and_carries_its_style_once():
    data = bundle([receipt(REVIEW, {"action": "approve"}), receipt(REVIEW, {"action": "reject"})])
    assert data["text/html"].count("<style>") == 1
    assert data["text/html"].count("<details") == 2
    assert "svg" not in data["text/html"]
    assert len(data["text/html"]) < 10_000
