"""Answers files: what an entry can say, which one answers, and how files end that are no answers files."""

from __future__ import annotations

import json
import os
import threading
import tracemalloc
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hitl_nb import MemorySaver, StateGraph, interrupt, review
from hitl_nb.checkpoint.records import Question
from hitl_nb.decisions.answers import read_script, suggestion
from hitl_nb.decisions.check import check_answer
from hitl_nb.errors import AmbiguousAnswerError, AnswersFileError, InvalidAnswerError, MissingAnswerError
from hitl_nb.plain import text as source_module
from hitl_nb.plain.yaml_json import dump, load_with_lines


def question(node: str = "review", payload: Any = "Go?", **more: Any) -> Question:
    asked = {"id": "q1", "thread_id": "article-1", "node": node, "task_id": "k", "position": 0, "digest": "d", "payload": payload}
    return Question(**{**asked, "created_at": datetime(2026, 1, 1, tzinfo=UTC), **more})


def take(script: Any, q: Question) -> Any:
    entry = script.entry_for(q)
    if entry is None:
        return "nothing"
    entry.used += 1
    return entry.given(q)


def answers(*entries: dict[str, Any], **settings: Any) -> Any:
    return read_script({"answers": list(entries), **settings})


# -- when ----------------------------------------------------------------------------------------------------------------------------------


class Colour(Enum):
    RED = "red"


@dataclass
class Order:
    amount: int
    to: dict[str, str]


def fits(when: Any, payload: Any) -> bool:
    return answers({"when": when, "answer": 1}).entry_for(question(payload=payload)) is not None


@pytest.mark.parametrize(
    ("when", "payload", "does"),
    [
        ({"order": {"amount": 5}}, {"order": {"amount": 5, "to": "Bo"}, "more": 1}, True),
        ({"order": {"amount": 5}}, {"order": {"amount": 6}}, False),
        ({"order": {"amount": 5}}, {"order": "5"}, False),
        ({"order": {"none": 5}}, {"order": {"amount": 5}}, False),
        ({"amount": 5, "to": {"name": "Bo"}}, Order(5, {"name": "Bo", "town": "Ulm"}), True),
        ({"tags": ["a", {"b": 1}]}, {"tags": ("a", {"b": 1, "c": 2})}, True),
        ({"tags": ["a"]}, {"tags": ["a", "b"]}, False),
        ({"tags": ["a", "b"]}, {"tags": "ab"}, False),
        ({"n": 5}, {"n": 5.0}, True),
        ({"n": 1}, {"n": True}, False),
        ({"n": True}, {"n": 1}, False),
        ({"n": "5"}, {"n": 5}, False),
        ({"n": None}, {"n": None}, True),
        ({"n": None}, {}, False),
        ({"n": None}, {"n": float("nan")}, True),
        ({"n": None}, {"n": 0}, False),
        ({"n": 0.1}, {"n": Decimal("0.1")}, True),
        ({"n": "1.50"}, {"n": Decimal("1.5")}, True),
        ({"c": "red"}, {"c": Colour.RED}, True),
        ({"d": "2026-05-01"}, {"d": date(2026, 5, 1)}, True),
        ({"d": "2026-05-01T12:00:00+02:00"}, {"d": datetime(2026, 5, 1, 10, tzinfo=UTC)}, True),
        ({"d": "soon"}, {"d": datetime(2026, 5, 1, 10, tzinfo=UTC)}, False),
        ({"u": "12345678-1234-5678-1234-567812345678"}, {"u": UUID("12345678123456781234567812345678")}, True),
        ({"p": "a/b"}, {"p": PurePosixPath("a/b")}, True),
        ({"n": 1}, "Go?", False),
        ({"n": 1}, [1], False),
    ],
)
def test_when_compares_by_value_at_every_level(when, payload, does):
    assert fits(when, payload) is does


def test_when_compares_numpy_and_pandas_scalars_by_value():
    np, pd = pytest.importorskip("numpy"), pytest.importorskip("pandas")
    assert fits({"n": 5}, {"n": np.int64(5)})
    assert not fits({"n": 5.5}, {"n": np.int64(5)})
    assert fits({"n": 0.1}, {"n": np.float32(0.1)})
    assert fits({"sure": True}, {"sure": np.bool_(True)})
    assert not fits({"sure": 1}, {"sure": np.bool_(True)})
    assert fits({"row": [1, 2]}, {"row": np.array([1, 2])})
    assert fits({"n": None}, {"n": pd.NA})
    assert fits({"at": None}, {"at": pd.NaT})
    assert fits({"at": "2026-05-01"}, {"at": pd.Timestamp("2026-05-01")})
    assert not fits({"n": 5}, {"n": pd.DataFrame({"a": [5]})})
    assert fits({"s": [1.0, 2.0]}, {"s": pd.Series([1.0, 2.0])})


def test_a_value_that_cannot_be_compared_is_not_equal():
    class Odd:
        def __eq__(self, other):
            raise RuntimeError("no")

        __hash__ = None

    assert not fits({"n": 1}, {"n": Odd()})


# -- which one -----------------------------------------------------------------------------------------------------------------------------


def test_nth_is_the_time_that_the_node_asks_and_position_the_question_of_that_time():
    script = answers({"nth": 2, "answer": "second"}, {"node": "pay", "position": 1, "answer": "then"}, {"times": "always", "answer": "else"})
    assert take(script, question("pay", task_id="1")) == "else"
    assert take(script, question("pay", task_id="1", position=1)) == "then"
    assert take(script, question("review", task_id="2")) == "else", "every node has times of its own"
    assert take(script, question("pay", task_id="3")) == "second"
    assert take(script, question("pay", task_id="3", thread_id="other")) == "else"


def test_a_node_is_named_alone_with_the_nodes_around_it_or_by_a_glob():
    inner = question("pay", path=("outer", "middle"))
    for node in ("pay", "outer/middle/pay", "p*", "outer/*"):
        assert take(answers({"node": node, "answer": 1}), inner) == 1
    for node in ("outer", "middle/pay", "q*"):
        assert take(answers({"node": node, "answer": 1}), inner) == "nothing"


def test_defaults_answer_what_no_entry_fits_any_number_of_times_and_are_never_unused():
    script = answers({"node": "review", "answer": "once"}, default={"review": "by node", "re*": "by glob", "*": "for all"})
    assert [take(script, question(n)) for n in ("review", "review", "review", "rework", "pay")] == [
        "once",
        "by node",
        "by node",
        "by glob",
        "for all",
    ]
    assert answers(default={"*": 1}).unused("t") == []


def test_two_entries_that_fit_as_exactly_and_answer_otherwise_are_an_error_that_names_both():
    script = answers({"when": {"a": 1}, "answer": "yes"}, {"when": {"b": 2}, "answer": "no"})
    assert take(script, question(payload={"a": 1})) == "yes"
    script = answers({"when": {"a": 1}, "answer": {"action": "yes"}}, {"when": {"b": 2}, "answer": {"action": "yes", "feedback": "no"}})
    with pytest.raises(AmbiguousAnswerError, match=r"answers=, entry 1 and answers=, entry 2.*Give one of them a further condition") as caught:
        script.entry_for(question(payload={"a": 1, "b": 2}))
    assert caught.value.node == "review"
    assert [e.used for e in script.entries] == [0, 0]


def test_a_more_exact_entry_behind_one_that_would_answer_is_an_error_that_says_to_put_it_first():
    script = answers({"node": "review", "answer": "yes"}, {"node": "review", "when": {"version": 2}, "answer": "no"})
    with pytest.raises(AmbiguousAnswerError, match=r"Put the more exact one \(answers=, entry 2\) before the other"):
        script.entry_for(question(payload={"version": 2}))
    assert take(script, question(payload={"version": 1})) == "yes"
    assert take(script, question(payload={"version": 2})) == "no"


def test_where_one_names_the_thread_and_the_other_the_node_the_order_decides():
    script = answers({"thread": "article-1", "answer": "yes"}, {"node": "review", "answer": "no"}, {"thread": "article-*", "answer": "else"})
    assert [take(script, question()) for _ in range(3)] == ["yes", "no", "else"]


def test_the_same_answer_twice_or_the_same_conditions_in_a_row_are_not_ambiguous():
    script = answers({"when": {"a": 1}, "answer": "yes"}, {"when": {"b": 2}, "answer": "yes"})
    assert take(script, question(payload={"a": 1, "b": 2})) == "yes"
    script = answers({"node": "review", "answer": 1}, {"node": "review", "answer": 2}, {"answer": 3})
    assert [take(script, question()) for _ in range(4)] == [1, 2, 3, "nothing"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"node": "n"}),
        ({"node": "n"}, {"node": "n"}),
        ({"when": {"a": 1}}, {"when": {"a": 1, "b": 2}}),
        ({"thread": "t"}, {"thread": "t", "key": "k"}),
    ],
)
def test_an_entry_that_can_never_answer_is_an_error_before_anything_runs(first, second):
    with pytest.raises(AnswersFileError, match="answers=, entry 2 can never answer: answers=, entry 1 fits the same questions"):
        answers({**first, "answer": 1, "times": "always"}, {**second, "answer": 2})
    assert answers({**first, "answer": 1, "times": 5}, {**second, "answer": 2})


# -- an edit -------------------------------------------------------------------------------------------------------------------------------


def test_an_edit_is_the_answer_that_a_card_makes_of_it():
    payload = {"action": "review", "draft": "Tea", "options": ["approve", "edit"]}
    assert take(answers({"edit": "Coffee", "comment": "hot"}), question(payload=payload)) == {
        "action": "edit", "edited_text": "Coffee", "feedback": "hot", "comments": "hot",
    }  # fmt: skip
    assert take(answers({"edit": "Coffee"}), question(payload={"content": "Tea", "prompt": "Edit, approve, or reject?"})) == {
        "type": "edit", "new_content": "Coffee",
    }  # fmt: skip
    assert take(answers({"edit": "Bo"}), question(payload={"question": "Name?", "type": "text"})) == "Bo"


def test_an_edit_of_data_changes_the_fields_that_it_names():
    payload = {"error": "e", "question": "Retry?", "current_input": {"to": "Bo", "amount": 5, "old": 1, "deep": {"a": 1, "b": 2}}}
    assert take(answers({"edit": {"amount": 6, "old": None, "deep": {"b": 3}}}), question(payload=payload)) == {
        "retry": True, "new_input": {"to": "Bo", "amount": 6, "deep": {"a": 1, "b": 3}},
    }  # fmt: skip


def test_an_edit_of_what_cannot_be_edited_says_so():
    with pytest.raises(InvalidAnswerError, match="asks for nothing that can be edited"):
        take(answers({"edit": "x"}), question(payload={"question": "Go?", "options": ["a", "b"]}))


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"answer": 1, "edit": 2}, "both answer: and edit:"),
        ({"answer": 1, "comment": "c"}, "comment goes with edit:"),
        ({"answer": 1, "nth": 0}, "nth is 0; expected a whole number, 1 or more"),
        ({"answer": 1, "position": True}, "position is True; expected a whole number, 0 or more"),
        ({"answer": 1, "schema": "x"}, "belong to a tape's entry"),
        ({"answer": 1, "payload": 5}, "payload is 5; expected a text"),
    ],
)
def test_an_entry_that_says_too_much_is_an_error(entry, told):
    with pytest.raises(AnswersFileError, match=told):
        answers(entry)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"on_change": "maybe"}, "on_change is 'maybe'; expected fail, ask or accept"),
        ({"on_unused": []}, r"on_unused is \[\]; expected warn, fail or ignore"),
        ({"default": "approve"}, "default is 'approve'; expected a mapping of nodes to answers"),
        ({"tape": 7}, "is a tape of version 7"),
    ],
)
def test_a_setting_that_is_none_is_an_error(settings, told):
    with pytest.raises(AnswersFileError, match=told):
        answers(**settings)


def test_settings_without_answers_are_no_mapping_by_node():
    with pytest.raises(AnswersFileError, match="has on_missing and no answers; add `answers:`"):
        read_script({"on_missing": "leave_open"})


# -- what to add and to change -------------------------------------------------------------------------------------------------------------


scalars = st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=90)
payloads = st.dictionaries(st.text(min_size=1, max_size=10), scalars, max_size=8) | st.text(max_size=90)


@settings(max_examples=300, deadline=None)
@given(payloads, st.text(min_size=1, max_size=20), st.none() | st.text(max_size=20), st.text(min_size=1, max_size=20))
def test_suggested_lines_answer_exactly_the_question_that_they_are_for(payload, node, key, thread_id):
    q = question(node, payload, key=key, thread_id=thread_id)
    script = read_script(suggestion(q, thread=True))
    entry = script.entry_for(q)
    assert entry is not None
    assert check_answer(q, entry.given(q)) == entry.answer
    for other in (question(node + "x", payload, key=key, thread_id=thread_id), question(node, payload, key=key, thread_id=thread_id + "x")):
        assert script.entry_for(other) is None
    if isinstance(payload, dict) and (telling := [k for k, v in payload.items() if isinstance(v, int | type(None)) and k.isprintable()][:1]):
        changed = question(node, {**payload, telling[0]: "other"}, key=key, thread_id=thread_id)
        assert script.entry_for(changed) is None or len(payload) > 6


def test_a_suggestion_without_telling_fields_names_the_time():
    script = answers({"node": "review", "answer": True})
    take(script, question(task_id="1"))
    lines = suggestion(question(task_id="2"), script)
    assert "    nth: 2\n" in lines


def test_an_answer_that_does_not_fit_prints_what_to_write_instead():
    graph = StateGraph().add_node("ask", lambda state: {"x": interrupt({"question": "Go?", "options": ["yes", "no"]})}).set_entry_point("ask")
    with pytest.raises(InvalidAnswerError, match=r'answers=, line 1: .*Change it there to:\n\n    answer: "yes"\n    # or: "no"\n'):
        review(graph.compile(MemorySaver()), {}, thread_id="t", answers="- {answer: yess}\n")
    with pytest.raises(MissingAnswerError, match=r'  - node: ask  # Go\?\n    when: {question: "Go\?"}\n    answer: "yes"\n'):
        review(graph.compile(MemorySaver()), {}, thread_id="t", answers={"answers": []})


# -- files ---------------------------------------------------------------------------------------------------------------------------------


def refused(path: Path, data: bytes | str, told: str) -> None:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    with pytest.raises(AnswersFileError, match=told) as caught:
        read_script(path)
    assert path.name in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_yaml_json_and_json_lines_say_the_same(tmp_path):
    entries = [{"node": "a", "answer": "é"}, {"node": "b", "answer": {"action": None}, "times": 2}]
    texts = {
        "a.yaml": dump({"on_missing": "leave_open", "answers": entries}),
        "a.json": json.dumps({"on_missing": "leave_open", "answers": entries}, indent="\t"),
        "a.jsonl": "\n".join(map(json.dumps, [{"on_missing": "leave_open"}, *entries])),
    }
    for name, text in texts.items():
        for mark in ("", "\ufeff"):
            (tmp_path / name).write_text(mark + text, encoding="utf-8")
            script = read_script(tmp_path / name)
            assert [(e.node, e.answer, e.times) for e in script.entries] == [("a", "é", 1), ("b", {"action": None}, 2)]
            assert script.on_missing == "leave_open"
    assert [e.place.rpartition(" ")[2] for e in read_script(tmp_path / "a.json").entries] == ["4", "8"]
    assert [e.place.rpartition(" ")[2] for e in read_script(tmp_path / "a.jsonl").entries] == ["2", "3"]


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("utf-16", "is UTF-16. Expected UTF-8"),
        ("utf-16-le", "holds null bytes"),
        ("utf-32", "is UTF-32. Expected UTF-8"),
        ("latin-1", "line 2 holds the byte 0xe9, which is not UTF-8"),
    ],
)
def test_a_file_of_another_encoding_is_named(tmp_path, encoding, told):
    refused(tmp_path / "a.yaml", "# tea\n- café\n".encode(encoding), told)


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


def test_a_bomb_of_aliases_is_refused_and_never_expanded(tmp_path):
    read_script("- what is imported first\n")
    tracemalloc.start()
    refused(tmp_path / "a.yaml", BOMB, "stands for more than 1,000,000 values, its aliases")
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


def test_aliases_that_save_typing_are_read(tmp_path):
    (tmp_path / "a.yaml").write_text("answers:\n- {node: a, answer: &yes {action: approve}}\n- {node: b, answer: *yes}\n")
    assert [e.answer for e in read_script(tmp_path / "a.yaml").entries] == [{"action": "approve"}] * 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: &a [*a]\n", "line 1: the alias .a contains itself"),
        ("a: *b\n", "undefined alias|names nothing"),
        ("[" * 100_000, "more than 100 deep"),
        ("[" * 200 + "]" * 200, "more than 100 deep"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "more than 100 deep|depth"),
        ("".join(f"{' ' * n}a{n}:\n" for n in range(150)), "more than 100 deep"),
        ("- {a: 1, b: 2, a: 3}\n", "line 1: the key 'a' is there twice"),
        ('[\n{"a": 1,\n"a": 2}]', "line 3: the key 'a' is there twice"),
        ("- !!binary aGk=\n", "line 1: could not determine a constructor for the tag"),
        ("- !custom {a: 1}\n", "line 1: could not determine a constructor for the tag '!custom'"),
        ("- !!set {a, b}\n", "line 1: could not determine a constructor"),
        ("a: 1\n---\nb: 2\n", "line 2: a second document begins"),
        ("- 1e999\n", "line 1: 1e999 is too large a number"),
        ("- " + "9" * 5000 + "\n", "line 1: a number of 5000 digits"),
        ("- a\n- \x07\n", "line 2|control characters"),
        ("", "is None; expected a list of answers"),
        ("answers:\n- {answer: [1, 2\n", "cut short"),
        ('answers:\n- answer: "never end', "cut short|line"),
        ("answers:\n- node: review\n", "without `answer:`"),
        ("\tanswers: 1\n", "expected YAML or JSON"),
    ],
)
def test_a_hostile_or_broken_file_ends_in_an_error_with_its_line(tmp_path, text, told):
    refused(tmp_path / "a.yaml", text, told)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.json", '{"answers": [\n{"answer": 1},\n{"answer": ', "line 3: .*expected JSON; the file ends there: was it cut short?"),
        ("a.json", "answers: []", "line 1: .*expected JSON"),
        ("a.json", '{"answers": [],\n\t"answers": []}', "the key 'answers' is there twice"),
        ("a.json", "[NaN]", "NaN is no number of JSON"),
        ("a.json", "[1e999]", "a number is too large"),
        ("a.json", "[" * 300 + "]" * 300, "more than 100 deep"),
        ("a.json", "[" * 200_000, "more than 100 deep"),
        ("a.jsonl", '{"answer": 1}\n{"answer": 2', "line 2: .*was it cut short?"),
        ("a.jsonl", '{"answer": 1}\nanswer: 2\n{"answer": 3}', "line 2: .*expected one JSON value a line"),
        ("a.jsonl", '{"answer": 1, "answer": 2}', "line 1: the key 'answer' is there twice"),
        ("a.jsonl", '{"answer": 1}\n{"node": "a"}', "line 2 is .*without `answer:`"),
    ],
)
def test_a_broken_json_file_ends_in_an_error_with_its_line(tmp_path, name, text, told):
    refused(tmp_path / name, text, told)


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(source_module, "SIZE_MAX", 1000)
    refused(tmp_path / "a.yaml", "- x\n" * 300, "has more than 0 MiB; expected an answers file. Nothing of it was read")
    with pytest.raises(AnswersFileError, match="the text of answers= has more than"):
        read_script("- x\n" * 300)


def test_a_folder_and_a_pipe(tmp_path):
    with pytest.raises(AnswersFileError, match="cannot be read: .*directory"):
        read_script(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_text("- approve\n"))
        writer.start()
        assert read_script(tmp_path / "pipe").entries[0].answer == "approve"
        writer.join()


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    [
        "1e3",
        "yes",
        "012",
        "1_000",
        "0x1f",
        "12:30",
        "~",
        "-",
        "--- a",
        "... ",
        "a\nb\n",
        " a\n b",
        "\t",
        "# x",
        "a: b",
        "é\u2028x",
        "\x85",
        "=",
        "<<",
        "+1",
        "nan",
    ]
)
data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=10,
)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return isinstance(other, dict) and list(one) == list(other) and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


@settings(max_examples=400, deadline=None)
@given(data)
def test_what_is_written_as_yaml_is_read_as_it_was(value):
    assert same(load_with_lines("\n" + dump([value]), "x")[0], [value])
    assert same(load_with_lines(json.dumps([value]), "x", "json")[0], [value])
    assert same(load_with_lines(json.dumps([value]), "x")[0], [value])


@pytest.mark.parametrize("end", ["answer:\n    amount: 12", "answer: app", "answer:", "answer: approve\n  by: da"])
def test_a_yaml_file_without_its_last_line_end_may_be_half_an_answer_and_is_refused(tmp_path, end):
    path = tmp_path / "answers.yaml"
    path.write_text(f"answers:\n- {{node: ask, answer: yes}}\n- node: pay\n  {end}", encoding="utf-8")
    with pytest.raises(AnswersFileError, match="does not end with a line break, behind .*: was it cut short"):
        read_script(path)
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert len(read_script(path).entries) == 2


@pytest.mark.parametrize("end", ["- {node: pay, answer: 1}", '- answer: "1"', "- answer: 1\n...", "- answer: 1\n  ", "- answer: 1\n# why"])
def test_a_yaml_file_whose_end_is_certain_needs_no_line_end(tmp_path, end):
    path = tmp_path / "answers.yaml"
    path.write_text(f"answers:\n{end}", encoding="utf-8")
    assert len(read_script(path).entries) == 1


def test_what_forces_the_direction_of_what_follows_is_written_as_its_escape():
    text = "pay \u202e001 to Ömer\u202c"
    written = dump([text, {text: "a\n" + text}, "Ömer"])
    assert not any(letter in written for letter in "\u202d\u202e")
    assert "- Ömer" in written
    assert load_with_lines("\n" + written, "x")[0] == [text, {text: "a\n" + text}, "Ömer"]


def test_a_notebook_is_no_answers_file(tmp_path):
    notebook = tmp_path / "review.ipynb"
    notebook.write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}\n', encoding="utf-8")
    with pytest.raises(AnswersFileError, match=r"review.ipynb is a notebook; expected"):
        read_script(notebook)
