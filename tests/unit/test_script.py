"""Scripted answers: which forms are read, which entry answers, and what an unreadable one says."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hitl_nb.checkpoint.records import Question
from hitl_nb.decisions.answers import Script, read_script, suggestion
from hitl_nb.decisions.check import check_answer
from hitl_nb.errors import AnswersFileError


def question(node: str = "review", payload: Any = "Go?", **more: Any) -> Question:
    asked = {"id": "q1", "thread_id": "article-1", "node": node, "task_id": "k", "position": 0, "digest": "d", "payload": payload}
    return Question(**{**asked, "created_at": datetime(2026, 1, 1, tzinfo=UTC), **more})


def take(script: Script, q: Question) -> Any:
    entry = script.entry_for(q)
    if entry is None:
        return "nothing"
    entry.used += 1
    return entry.answer


def test_a_list_of_values_answers_in_order_whatever_the_node():
    script = read_script([True, {"action": "approve"}, None])
    assert [take(script, question(n)) for n in ("a", "b", "c", "d")] == [True, {"action": "approve"}, None, "nothing"]


def test_a_mapping_answers_by_node_a_list_in_it_in_order_and_a_single_value_once():
    script = read_script({"review": ["a", "b"], "pay": "yes"})
    asked = ["pay", "review", "pay", "review", "review"]
    assert [take(script, question(n)) for n in asked] == ["yes", "a", "nothing", "b", "nothing"]


def test_entries_answer_where_every_condition_holds_and_the_first_that_fits_wins():
    entries = [
        {"answer": 1, "thread": "other-*"},
        {"answer": 2, "node": "pay"},
        {"answer": 3, "key": "level-1"},
        {"answer": 4, "when": {"amount": 5, "sure": True}},
        {"answer": 5, "thread": "article-*", "times": 2, "by": "a.reviewer"},
        {"answer": 6, "times": "always"},
    ]
    script = read_script({"answers": entries, "on_missing": "leave_open"})
    asked = [
        question("pay"),
        question(key="level-1"),
        question(payload={"amount": 5, "sure": 1}),
        question(payload={"amount": 5, "sure": True}),
        question(),
        question(),
        question(),
        question(thread_id="other-7"),
    ]
    assert [take(script, q) for q in asked] == [2, 3, 5, 4, 5, 6, 6, 1]
    assert (script.on_missing, script.entries[4].by) == ("leave_open", "a.reviewer")


def test_a_file_is_read_as_json_data_even_where_yaml_has_other_ideas(tmp_path: Path):
    file = tmp_path / "answers.yaml"
    file.write_text("review: [yes, no, on, true, 12:30, 010, 2026-01-02, 1_000, 1e3, -2, 0.5, null, ~]\npay:\n")
    script = read_script(file)
    expected = ["yes", "no", "on", True, "12:30", "010", "2026-01-02", "1_000", 1000.0, -2, 0.5, None, None]
    assert [take(script, question()) for _ in expected] == expected
    assert take(script, question("pay")) is None


def test_a_text_is_a_path_or_the_data_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("a.json").write_text(json.dumps({"answers": [{"answer": False}]}))
    for given in ("a.json", '[{"answer": false}]', "answers:\n- answer: false\n", Path("a.json")):
        assert take(read_script(given), question()) is False


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("answers:\n  - anwser: {action: approve}\n    by: me\n", r"line 2 is .*without `answer:`; write it as"),
        ("- {action: approve, by: me}\n", r"line 1 is .*without `answer:`"),
        ("- anwser: approve\n", r"line 1 is .*without `answer:`"),
        ("answers:\n  - answer: 1\n  - nod: review\n    answer: 2\n", r"line 3: unknown key 'nod', did you mean 'node'"),
        ("- answer: 1\n- just this\n", r"line 2 is 'just this', without `answer:`"),
        ("answers: [\n", r"line 2: .*expected YAML or JSON"),
        ("a: 1\nb: 2\na: 3\n", r"line 3: the key 'a' is there twice"),
        ("answers:\n- answer: 1\n  times: 0\n", r"line 2: times is 0; expected 1 or more, or always"),
        ("answers:\n- answer: 1\n  when: now\n", r"when is 'now'; expected a mapping"),
        ("answers:\n- answer: 1\n  by: 3\n", r"by is 3; expected a text"),
        ("answers: approve\n", r"answers is 'approve'; expected a list of entries"),
        ("answers: []\non_missing: skip\n", r"on_missing is 'skip'; expected fail or leave_open"),
        ("answers: []\nonmissing: fail\n", r"unknown key 'onmissing', did you mean 'on_missing'"),
        ("!!python/object/apply:os.system ['true']\n", r"line 1: could not determine a constructor"),
        ("? [a]\n: 1\n", r"unhashable"),
        ("3\n", r"is 3; expected a list of answers"),
        ("1: 2\n", r"key 1; expected the name of a node"),
    ],
)
def test_what_cannot_be_read_names_file_line_and_what_was_expected(tmp_path: Path, text: str, told: str):
    file = tmp_path / "answers.yaml"
    file.write_text(text)
    with pytest.raises(AnswersFileError, match=told) as caught:
        read_script(file)
    assert "answers.yaml" in str(caught.value)


def test_a_file_that_is_not_there_says_where_it_was_looked_for_and_how_to_give_an_answer_itself():
    with pytest.raises(AnswersFileError, match=r"names the answers file 'approve', which does not exist in .*\['approve'\]"):
        read_script("approve")


def test_a_repeated_run_counts_the_answers_the_thread_already_took():
    script = read_script(["approve", "reject"])
    script.recall(question(), "approve")
    assert take(script, question()) == "reject"


@pytest.mark.parametrize("by_hand", [True, False])
def test_answers_in_order_never_move_up_to_another_question(*, by_hand):
    for given in (["reject", "later"], {"review": ["reject", "later"]}):
        script = read_script(given)
        script.recall(question(), "approve", scripted=not by_hand)  # somebody decided the first question otherwise
        assert take(script, question()) == "later"
        assert take(script, question()) == "nothing"


def test_an_entry_with_conditions_is_used_up_only_by_the_answer_it_gave():
    script = read_script({"answers": [{"node": "review", "answer": "reject"}]})
    script.recall(question(), "approve")
    script.recall(question(), "reject", scripted=False)
    assert take(script, question()) == "reject"
    assert take(script, question()) == "nothing"


def test_unused_entries_of_this_thread_are_named():
    script = read_script([{"answer": 1}, {"answer": 2, "thread": "other"}, {"answer": 3, "node": "never"}])
    take(script, question())
    assert [e.place for e in script.unused("article-1")] == ["answers=, entry 3"]


@pytest.mark.parametrize(
    ("payload", "more"),
    [
        ("Approve step 1?", {}),
        ({"question": "Which?", "options": ["a", "b: c", "# d"]}, {"key": "level-1"}),
        ({"action": "review", "draft": "d", "options": ["approve", "edit", "request_changes"]}, {"node": "my node"}),
        ({"question": "Name? \x1b[2J\n# not: yaml\u2028", "type": "text"}, {"node": "true"}),
        ({"current_input": {"a": 1}, "error": "e", "question": "Retry?"}, {}),
        ({"action_requests": [{}, {}]}, {}),
        ({"node": "n", "when": "before"}, {"kind": "static"}),
        ({"x": 1}, {}),
    ],
)
def test_the_suggested_lines_are_a_valid_answers_file_that_answers_the_question(payload: Any, more: dict[str, Any]):
    q = question(**{"payload": payload, **more})
    lines = suggestion(q)
    script = read_script(lines)
    entry = script.entry_for(q)
    assert entry is not None
    assert check_answer(q, entry.answer) == entry.answer
    assert lines.isprintable() or all(line.isprintable() for line in lines.split("\n"))


def test_the_suggested_lines_list_every_option():
    lines = suggestion(question(payload={"question": "Publish?", "options": ["approve", "reject"]}))
    assert lines == 'answers:\n  - node: review  # Publish?\n    when: {question: "Publish?"}\n    answer: "approve"\n    # or: "reject"'


@pytest.mark.parametrize(
    ("begun", "head"),
    [
        ("answers:\n  - {node: review, answer: two}\n", 0),
        ("- two\n", 0),
        ("other: x\n", 0),
        ("review:\n  - two\n", 1),
    ],
)
def test_the_lines_to_add_to_a_script_have_its_shape(begun: str, head: int):
    q = question(payload={"question": "Which?", "options": ["one", "two"]})
    added = suggestion(q, read_script(begun)).splitlines()[head:]
    longer = read_script(begun + "\n".join(added) + "\n")
    if "two" in begun:
        longer.recall(q, "two")
    assert take(longer, q) == "one"
