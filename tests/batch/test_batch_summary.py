"""How a batch is told: counts and exit codes, JSON, and a page on which every text of others is text."""

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from xss import PAYLOADS

from hitl_nb.batch.page import page
from hitl_nb.batch.results import BatchResult, CaseResult, brief_answer, duration, told_of

OUT = Path("/nights/out")
DECISION = {"question": "Pay?", "answer": "yes", "reviewer": "ann", "how": "card", "decided_at": "2026-11-20T22:00:00+00:00"}
QUESTION = {"interrupt_id": "ab12", "thread_id": "t", "node": "pay", "graph": "g", "question": "Pay?", "yaml": "- x"}
QUESTION |= {"assignee": None, "deadline": None}


def result(*cases, **more):
    given = {"source": "pay.ipynb", "store": str(OUT / "reviews"), "started_at": datetime(2026, 11, 20, tzinfo=UTC), "duration_s": 75.0, "out": OUT}
    return BatchResult(cases, **(given | more))


def case(status="done", thread_id="t", **more):
    return CaseResult(thread_id, status, **({"parameters": {}} | more))


@pytest.mark.parametrize(
    ("statuses", "code", "headline"),
    [
        ([], 0, "0 cases"),
        (["done"], 0, "1 case: 1 done"),
        (["done", "needs human", "needs human"], 75, "3 cases: 1 done, 2 need a human"),
        (["needs human", "failed"], 1, "2 cases: 1 needs a human, 1 failed"),
        (["needs human", "kernel died"], 1, "2 cases: 1 needs a human, 1 kernel died"),
        (["done", "timed out"], 1, "2 cases: 1 done, 1 timed out"),
        (["interrupted", "not run"], 1, "2 cases: 1 interrupted, 1 not run"),
    ],
)
def test_the_exit_code_says_whether_all_are_done_some_failed_or_some_wait(statuses, code, headline):
    told = result(*(case(status, str(n)) for n, status in enumerate(statuses)))
    assert (told.exit_code, told.headline) == (code, headline)


def test_a_batch_that_is_broken_as_a_whole_fails_though_all_are_done():
    assert result(case(), broken=True).exit_code == 1


def test_as_the_last_line_of_a_cell_it_is_one_line_however_many_cases_there_are():
    assert repr(result(case(), case("needs human", "b"))) == "<BatchResult of 'pay.ipynb': 2 cases: 1 done, 1 needs a human>"
    with pytest.raises(KeyError, match="c"):
        result(case())["c"]


def test_json_tells_paths_from_the_folder_and_keeps_what_json_does_not_have_as_text():
    told = json.loads(
        result(case(notebook=OUT / "cases" / "t.ipynb", report=Path("/elsewhere/t.html"), parameters={"on": datetime(2026, 1, 2, tzinfo=UTC)})).json()
    )
    [only] = told["cases"]
    assert (only["notebook"], only["report"], only["parameters"]) == ("cases/t.ipynb", "/elsewhere/t.html", {"on": "2026-01-02 00:00:00+00:00"})


def test_one_line_tells_what_a_case_came_to():
    assert told_of(case("failed", error="cell 3: KeyError: 'x'\n\nTraceback")) == "cell 3: KeyError: 'x'"
    assert told_of(case("needs human", questions=[QUESTION, QUESTION])) == "Pay? and 1 more"
    assert told_of(case(decisions=[DECISION, {**DECISION, "answer": {"action": "approve", "feedback": "good"}}])) == "yes, approve"
    assert [brief_answer(a) for a in (True, {"rows": 3}, "x" * 90)] == ["true", '{"rows": 3}', "x" * 59 + "…"]
    assert [duration(s) for s in (1.234, 75, 3700)] == ["1.2 s", "1 min 15 s", "1:01:40"]


# -- the page


class Seen(HTMLParser):
    """The elements and attributes of a page, and its text."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.attributes, self.text = set(), set(), []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        self.attributes |= {(name, value) for name, value in attrs if name not in ("class", "style", "href", "aria-label", "lang", "scope")}

    def handle_data(self, data):
        self.text.append(data)


def harmful(text):
    """A result with this text in every place that somebody else fills in."""
    decision = {**DECISION, "question": text, "answer": text, "reviewer": text}
    question = {**QUESTION, "question": text, "node": text, "assignee": text}
    return result(
        case("done", text, parameters={text: text}, decisions=[decision], notebook=OUT / "cases" / "t.ipynb"),
        case("needs human", "open", questions=[{**question, "yaml": text, "interrupt_id": text, "deadline": "2026-11-20T22:00:00+00:00"}]),
        case("failed", "failed", error=text),
        source=text,
        store=text,
        notes=(text,),
        inbox=OUT / "inbox.ipynb",
    )


def test_no_text_of_others_is_markup_wherever_it_stands():
    plain = Seen(page(harmful("plain")))
    for text in PAYLOADS:
        seen = Seen(page(harmful(text)))
        assert (seen.elements, seen.attributes) == (plain.elements, plain.attributes), text
        assert "script" not in seen.elements


def test_a_letter_that_turns_the_text_around_is_written_out():
    assert "[U+202E]" in page(harmful("Pay \u202eyaP"))
    assert "\u202e" not in page(harmful("Pay \u202eyaP"))


def test_the_page_loads_nothing_and_says_how_to_answer_what_is_open():
    html = page(harmful("plain"))
    assert not re.search(r"<script|<link|<img|<iframe|@import|url\(|https?:", html)
    text = " ".join(" ".join(Seen(html).text).split())
    assert "hitl-nb answer plain --store plain" in text
    assert "asked: plain, until 2026-11-20 22:00:00 UTC" in text
    assert "1 open question Nothing is lost." in text


def test_what_all_cases_have_in_common_is_told_once():
    text = Seen(
        page(result(case(thread_id="a", parameters={"n": 1, "file": "x.csv"}), case(thread_id="b", parameters={"n": True, "file": "x.csv"})))
    ).text
    told = [part.strip() for part in text if part.strip()]
    assert (told.count("x.csv"), told.count("n")) == (1, 2)


def test_a_graph_in_memory_offers_no_command_that_cannot_reach_it():
    html = page(result(case("needs human", questions=[QUESTION]), store="in memory"), on_disk=False)
    assert "hitl-nb" not in Seen(html).text
    assert "hitl-nb answer" not in html
    assert "hitl-nb audit" not in html
