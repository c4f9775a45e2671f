"""What stays of a decision in a saved notebook."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from io import BytesIO

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from hitl_nb import Picture
from hitl_nb.checkpoint.records import Decision, Question
from hitl_nb.decisions.answering import build_answer
from hitl_nb.decisions.check import check_answer
from hitl_nb.decisions.forms import form_for
from hitl_nb.decisions.request import Request
from hitl_nb.widgets.bundle import MIME, bundle, open_bundle
from hitl_nb.widgets.outcome import outcome
from hitl_nb.widgets.receipt import Receipt

AT = datetime(2026, 11, 20, 9, 41, tzinfo=UTC)
RECEIPT_TAGS = {
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
    "br",
    "img",
}
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
        assert Tags(html).found <= RECEIPT_TAGS - {"br"}
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


# -- what was shown, and what an answer says, in every form of the receipt


def picture(width=640, height=480, alt=""):
    out = BytesIO()
    Image.new("RGB", (width, height)).save(out, "PNG")
    return Picture(out.getvalue(), alt=alt)


CHAT = [{"role": "user", "content": "Where is\nmy parcel?"}, {"role": "assistant", "content": "In `Lyon` ```", "id": "m2"}]
SHOWN = {
    "question": "Send the reply?",
    "action": "review",
    "instruction": "It goes out at once.",
    "customer": "Marta",
    "chat": CHAT,
    "photo": picture(alt="Parcel"),
    "stock": pd.DataFrame({"sku": ["a|b", "c"], "price": [1.5, 2]}),
    "draft": "# Dear Marta\n\n**249 EUR**",
    "options": ["approve", "edit", "reject"],
}


def test_a_receipt_tells_everything_that_was_shown_in_html_markdown_and_plain_text():
    data = bundle([receipt(SHOWN, {"action": "approve"})])
    html = Tags(data["text/html"])
    for told in (
        "It goes out at once.",
        "Marta",
        "Where is\nmy parcel?",
        "In `Lyon` ```",
        "Parcel",
        "640 x 480",
        "a|b",
        "1.5",
        "# Dear Marta\n\n**249 EUR**",
    ):
        assert told in html.text, told
    assert data["text/html"].count("<img") == 1
    assert data["text/plain"].splitlines()[1:-1] == [
        "  Customer: Marta",
        "  Chat:",
        "    User: Where is",
        "      my parcel?",
        "    Assistant: In `Lyon` ```",
        "      Id: m2",
        "  Photo: [picture: Parcel, 640 x 480]",
        "  Stock (2 rows):",
        "    sku  price",
        "    a|b    1.5",
        "    c      2.0",
        "  Draft:",
        "    # Dear Marta",
        "    ",
        "    **249 EUR**",
    ]


def test_the_markdown_of_parts_renders_as_tables_and_blocks_of_their_text():
    from markdown_it import MarkdownIt

    page = Tags(
        MarkdownIt("js-default").render(
            bundle([receipt(SHOWN | {"chat": [*CHAT, {"role": EVIL, "content": EVIL}], EVIL: [{EVIL: EVIL, "n": 1}]}, EVIL)])["text/markdown"]
        )
    )
    assert page.found <= {"p", "strong", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "pre", "code"}
    for told in ("Photo: [picture: Parcel, 640 x 480]", "a|b", "In `Lyon` ```", "# Dear Marta", EVIL):
        assert told in page.text, told


def test_no_text_of_a_table_is_markup_for_a_page_that_takes_html_inside_of_markdown():
    from markdown_it import MarkdownIt

    table = pd.DataFrame({EVIL: [EVIL], "b": [1]}, index=pd.Index([EVIL], name=f"{EVIL} index"))
    text = bundle([receipt({"question": "Fine?", "action": "approve_it", EVIL: table}, True)])["text/markdown"]
    page = Tags(MarkdownIt("gfm-like", {"linkify": False}).render(text))
    assert page.found <= {"p", "strong", "ul", "li", "table", "thead", "tbody", "tr", "th", "td"}
    assert page.text.count(EVIL) >= 3


def test_a_text_with_fences_of_its_own_does_not_break_out_of_its_block():
    from markdown_it import MarkdownIt

    draft = "one\n````\n# two\n```\n<b>three</b>"
    page = Tags(MarkdownIt("commonmark").render(bundle([receipt(SHOWN | {"draft": draft}, {"action": "approve"})])["text/markdown"]))
    assert draft in page.text
    assert not page.found & {"b", "h1"}


def test_a_receipt_keeps_no_script_no_roles_and_no_drawing_but_its_pictures():
    html = bundle([receipt(SHOWN, {"action": "edit", "edited_text": "Dear Marta"})])["text/html"]
    for gone in ("<script", "<svg", " role=", " aria-", "<strong"):
        assert gone not in html


def test_the_style_of_parts_comes_only_with_receipts_that_have_some():
    assert ".hitl-nb-turn" in bundle([receipt(SHOWN, {"action": "approve"})])["text/html"]
    assert ".hitl-nb-turn" not in bundle([receipt(REVIEW, {"action": "approve"})])["text/html"]


def test_an_edit_is_a_comparison_in_every_form():
    data = bundle([receipt(REVIEW, {"action": "edit", "edited_text": "One\n2\nThree"})])
    assert data["text/plain"].splitlines()[2:7] == ["  Changes:", "    @@ -1,3 +1,3 @@", "     One", "    -Two", "    +2"]
    assert "```diff\n@@ -1,3 +1,3 @@\n One\n-Two\n+2\n Three\n```" in data["text/markdown"]


def test_edited_data_is_compared_as_the_text_that_was_edited():
    payload = {"error": "e", "question": "Fix", "current_input": {"n": 1, "m": [2]}}
    made = receipt(payload, {"retry": True, "new_input": {"n": 3, "m": [2]}})
    assert '"n": 3' in made.outcome.edited
    assert "<del>1</del>" in made.html()
    assert receipt(payload, {"retry": True, "new_input": {"n": 1, "m": [2]}}).outcome.label == "Sent unchanged"


def test_the_record_has_the_digest_of_what_was_shown():
    record = receipt(REVIEW, {"action": "approve"}, digest="5eed").record()
    assert record["digest"] == "5eed"
    assert set(record) >= {"thread_id", "graph", "node", "question", "answer", "reviewer", "how", "interrupt_id", "decided_at"}


def test_a_receipt_says_who_was_asked_and_how_long_it_took():
    later = receipt(REVIEW, {"action": "approve"}, assignee="Sam Ito", created_at=AT - timedelta(seconds=192)).html()
    assert "Sam Ito" in later
    assert "notebook, after 3 min 12 s" in later
    scripted = receipt(REVIEW, {"action": "approve"}, "script", created_at=AT - timedelta(seconds=192)).html()
    assert "after" not in scripted


def test_a_filled_form_reads_as_names_and_values_before_the_data():
    schema = {"type": "object", "properties": {"deliver_on": {"type": "string"}, "lines": {"type": "array"}, "express": {"type": "boolean"}}}
    answer = {"deliver_on": "2026-12-01", "lines": [{"sku": "a"}], "express": False}
    made = receipt("Which order?", answer, schema=schema)
    html = Tags(made.html()).text
    assert html.index("Deliver on") < html.index("2026-12-01") < html.index("Sku: a") < html.index('"deliver_on"')
    assert "  Deliver on: 2026-12-01" in bundle([made])["text/plain"]


def test_a_typed_text_is_shown_as_it_was_typed():
    text = Tags(receipt({"question": "What?", "type": "text"}, "one\n<b>two</b>").html()).text
    assert "one\n<b>two</b>" in text
    assert '"one' not in text


FRAME = pd.DataFrame({"sku": ["a", "b", "c", "d"], "price": [1.0, 2.0, 3.0, 4.0]})


def decided_rows(frame, answer):
    asked = request({"question": "Right?", "table": frame})
    return receipt({"question": "Right?", "table": frame}, check_answer(asked.question, answer))


def test_decided_rows_read_as_counts_changed_cells_and_rules():
    made = decided_rows(FRAME, {"rules": [{"rule": "price > 3.5", "decision": "reject"}], "edit": {1: {"price": 2.5, "sku": "B"}}, "rest": "accept"})
    assert (made.outcome.label, made.outcome.good) == ("2 accepted, 1 edited, 1 rejected", True)
    told = bundle([made])["text/plain"].splitlines()
    start = told.index("  Rejected: row 3")
    assert told[start - 1 : start + 7] == [
        "  Rows: 2 accepted, 1 edited, 1 rejected",
        "  Rejected: row 3",
        "  Changed cells (2 rows):",
        "    Row  Column  From  To",
        "    1    sku     b     B",
        "    1    price   2.0   2.5",
        "  Rules (1 row):",
        "    Rule         Decision  Rows hit",
    ]
    assert told[told.index("  Table (4 rows):") + 1] == "    Row  sku  price"
    assert "    3    d        4" in told
    html = Tags(made.html()).text
    assert html.index("4 rows") < html.index("Changed cells") < html.index("Recorded as")


def test_the_rows_of_a_receipt_are_named_as_the_answer_names_them():
    named = decided_rows(FRAME.set_axis(["p", "q", "r", "s"]), {"reject": ["q"], "rest": "accept"})
    (table,) = named.parts
    assert (table.columns, table.rows[1], table.total_columns) == (("Row", "sku", "price"), ("q", "b", "2"), 3)
    assert named.told[0]["Rejected"] == "row q"
    (table,) = decided_rows(FRAME.set_axis([1, 1, 2, 2]), "accept").parts  # labels that are not unique: rows go by position
    assert (table.columns, table.rows[3]) == (("Row", "index", "sku", "price"), ("3", "2", "d", "4"))


def test_rows_that_are_all_rejected_are_a_refusal():
    made = decided_rows(FRAME, "reject")
    assert (made.outcome.label, made.outcome.good) == ("4 rejected", False)


def test_ten_thousand_decided_rows_are_counted_and_recorded_whole():
    made = decided_rows(pd.DataFrame({"n": range(10_000)}), {"rules": [{"rule": "n < 5000", "decision": "reject"}], "rest": "accept"})
    data = bundle([made])
    assert "rows 0, 1, 2" in data["text/plain"]
    assert "and 4,960 more" in data["text/plain"]
    assert max(len(data[kind]) for kind in ("text/html", "text/plain", "text/markdown")) < 30_000
    assert len(data[MIME]["decisions"][0]["answer"]["rejected"]) == 5000


ACTIONS = {
    "action_requests": [
        {"name": "send_email", "args": {"to": "m@e.example"}},
        {"name": "refund", "args": {"amount": 249.0, "note": "x"}},
        {"name": "ask", "args": {}},
    ]
}


def test_decisions_about_actions_read_as_a_line_each():
    answer = {
        "decisions": [
            {"type": "approve"},
            {"type": "edit", "edited_action": {"name": "refund", "args": {"amount": 199.0}}},
            {"type": "reject", "message": "Not now.\nLater."},
        ]
    }
    made = receipt(ACTIONS, answer)
    assert made.outcome.label == "1 approved, 1 edited, 1 rejected"
    assert made.told[0] == {
        "1. send_email": "approved",
        "2. refund": "edited: Amount: 199.0 (was 249.0), Note: left out",
        "3. ask": "rejected: Not now.\nLater.",
    }
    assert receipt(ACTIONS, {"decisions": [{"type": "reject"}] * 3}).outcome.good is False
    kept = {"type": "edit", "edited_action": {"name": "refund", "args": {"amount": 199.0, "note": "x"}}}
    assert receipt(ACTIONS, {"decisions": [kept, kept, kept]}).told[0]["2. refund"] == "edited: Amount: 199.0 (was 249.0)"


def test_one_action_of_the_older_inbox_reads_as_its_decision():
    payload = {"action_request": {"action": "refund", "args": {"amount": 5}}, "config": {"allow_accept": True, "allow_respond": True}}
    made = receipt(payload, {"type": "response", "args": "Ask Sam first."})
    assert (made.outcome.label, made.told[0]) == ("Answered", {"1. refund": "answered: Ask Sam first."})


@pytest.mark.parametrize("answer", [None, {}, [], {"decisions": 5}, {"decisions": [{}]}, "x", [1], {"accepted": 1}])
def test_an_unusual_answer_about_rows_or_actions_still_has_a_receipt(answer):
    for payload in (ACTIONS, {"question": "Right?", "table": FRAME}):
        data = bundle([receipt(payload, answer)])
        assert data[MIME]["decisions"][0]["answer"] == answer
        assert data["text/plain"]


def test_a_long_text_is_cut_in_a_log_and_whole_in_the_page():
    draft = "\n".join(f"line {n}" for n in range(200))
    data = bundle([receipt(REVIEW | {"draft": draft}, {"action": "approve"})])
    assert "… 160 more lines" in data["text/plain"]
    assert "… 160 more lines" in data["text/markdown"]
    assert draft in Tags(data["text/html"]).text


def test_of_a_long_chat_a_log_shows_the_end():
    chat = [{"role": "user", "content": f"message {n}"} for n in range(200)]
    data = bundle([receipt(REVIEW | {"chat": chat}, {"action": "approve"})])
    assert "message 0" in data["text/html"]
    for kind in ("text/plain", "text/markdown"):
        assert "message 199" in data[kind]
        assert "message 0" not in data[kind]
        assert "… 160 lines before" in data[kind]


ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([EVIL, b"x", AT, picture(3, 3), FRAME, "a\nb\nc\nd"]),
    lambda v: (
        st.lists(v, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "type", "content", "name", "tool_calls", "a", "b", EVIL, 3, (1, 2)]), v, max_size=4)
    ),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["question", "options", "draft", "original", "table", "rows", "chat", "action", "action_requests", "data", "current_input", "error", EVIL]
)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(KEYS, ANY, max_size=5) | ANY, ANY)
def test_whatever_was_asked_and_answered_has_a_receipt_in_every_form(payload, answer):
    data = bundle([receipt(payload, answer)])
    json.dumps(data, allow_nan=False)
    assert Tags(data["text/html"]).found <= RECEIPT_TAGS
    assert data["text/plain"].startswith(("✓", "✕"))
