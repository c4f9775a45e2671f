"""`hitl-nb check`, `tape` and `audit`: what they print, what they find, and how they end."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from hitl_nb import Command, DiskCacheSaver, StateGraph, interrupt, review
from hitl_nb.checkpoint.serde import pack, unpack
from hitl_nb.cli import main
from hitl_nb.decisions.answers import read_script

AT = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def ask(state):
    return {"x": interrupt({"question": "Publish?", "options": ["approve", "reject"], "n": state["n"]})}


def graph_on(saver: Any, node: Any = ask, now: Any = lambda: AT) -> Any:
    return StateGraph().add_node("ask", node).set_entry_point("ask").compile(saver, now=now)


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Three threads: a0 and a1 are decided, a2 waits."""
    monkeypatch.chdir(tmp_path)
    saver = DiskCacheSaver(tmp_path / "reviews")
    saver.clock = lambda: AT
    graph = graph_on(saver)
    for n, answer in enumerate(["approve", "reject", None]):
        config = {"configurable": {"thread_id": f"a{n}", "reviewer": "ann"}}
        graph.invoke({"n": n}, config)
        if answer:
            graph.invoke(Command(resume=answer), config)
    yield saver
    saver.close()


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, list(arguments))
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.output


def checked(text: str, *options: str, code: int = 0) -> dict[str, Any]:
    Path("answers.yaml").write_text(text, encoding="utf-8")
    return json.loads(run("check", "answers.yaml", "--store", "reviews", "--json", *options, code=code))


def found(report: dict[str, Any]) -> list[tuple[str, str]]:
    return [(f["level"], f["code"]) for f in report["findings"]]


# -- check ---------------------------------------------------------------------------------------------------------------------------------


def test_check_says_what_answers_what(store):
    report = checked("answers:\n- when: {n: 2}\n  answer: approve\n- node: ask\n  answer: approve\n")
    assert report["ok"]
    assert [(m["thread_id"], m["status"], m["entry"], m["answer"]) for m in report["matches"]] == [
        ("a0", "decided", "answers.yaml, line 4", '"approve"'),
        ("a1", "decided", "answers.yaml, line 4", '"approve"'),
        ("a2", "open", "answers.yaml, line 2", '"approve"'),
    ]
    assert found(report) == []
    text = run("check", "answers.yaml", "--store", "reviews")
    assert text.startswith("answers.yaml: 2 entries, 0 defaults\n\nthread  node  status   question  answered by")
    assert text.endswith("0 errors, 0 warnings\n")


def test_a_missing_answer_is_an_error_with_the_lines_to_add(store):
    report = checked("answers: []\n", code=1)
    assert found(report) == [("error", "missing")]
    lines = report["findings"][0]["yaml"]
    assert lines == '  - node: ask  # Publish?\n    thread: a2\n    when: {question: "Publish?", "n": 2}\n    answer: "approve"\n    # or: "reject"'
    assert found(checked(f"answers:\n{lines}\n")) == []
    assert found(checked("on_missing: leave_open\nanswers: []\n")) == [("warning", "missing")]
    assert found(checked("answers: []\ndefault: {ask: approve}\n")) == []


def test_an_answer_that_does_not_fit_is_an_error_where_it_would_be_given_and_a_warning_where_somebody_has_decided(store):
    report = checked("answers:\n- thread: a2\n  answer: aprove\n- node: ask\n  answer: maybe\n", code=1)
    assert sorted(found(report)) == [("error", "invalid"), ("warning", "invalid"), ("warning", "invalid")]
    assert "answers.yaml, line 2 does not fit it: 'aprove' is none of its options ('approve', 'reject'); did you mean 'approve'?" in str(report)
    assert report["findings"][-1]["yaml"] == 'answer: "approve"\n# or: "reject"'


def test_an_entry_that_is_not_used_is_an_error_where_nothing_can_come_for_it(store):
    report = checked("answers:\n- node: ask\n  answer: approve\n- thread: a0\n  node: more\n  answer: 1\n- node: later\n  answer: 1\n", code=1)
    assert found(report) == [("error", "unused"), ("warning", "unused")]
    report = checked("answers:\n- node: ask\n  answer: approve\n- node: later\n  answer: 1\n")
    assert found(report) == [("warning", "unused")]
    assert not checked("answers:\n- node: ask\n  answer: approve\n- node: later\n  answer: 1\n", "--strict", code=1)["ok"]


def test_ambiguous_entries_are_an_error(store):
    report = checked("answers:\n- when: {n: 2}\n  answer: approve\n- when: {question: Publish?}\n  answer: reject\n", code=1)
    assert ("error", "ambiguous") in found(report)
    assert "answers.yaml, line 2 and answers.yaml, line 4 fit it and answer differently" in str(report)


def test_an_answer_that_comes_after_the_deadline_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saver = DiskCacheSaver("reviews")
    graph_on(saver, lambda state: {"x": interrupt("Go?", deadline=timedelta(hours=1))}).invoke({}, {"configurable": {"thread_id": "t"}})
    report = checked("answers:\n- answer: true\n", code=1)
    assert found(report) == [("error", "late")]
    assert "its deadline passed at 2026-05-01 13:00:00 UTC, so no answer is taken; graph.expire() decides it" in str(report)
    saver.close()


def test_a_tape_whose_question_changed_is_an_error(store, tmp_path):
    saver = DiskCacheSaver(tmp_path / "other")
    graph = graph_on(saver, lambda state: {"x": interrupt({"question": "Publish now?", "options": ["approve", "reject"]})})
    review(graph, {"n": 2}, thread_id="a2", answers=["approve"]).tape("tape.yaml")
    saver.close()
    report = json.loads(run("check", "tape.yaml", "--store", "reviews", "--json", code=1))
    assert ("error", "changed") in found(report)


def test_without_a_store_or_with_a_notebook_only_the_file_is_checked_and_it_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HITL_NB_STORE", raising=False)
    Path("a.yaml").write_text("- approve\n")
    Path("n.ipynb").write_text("{}")
    assert run("check", "a.yaml").startswith("a.yaml: 1 entry, 0 defaults\nNo store was named, so only the file itself was checked.")
    assert "The questions of n.ipynb are known only when it runs, so only the file itself was checked" in run("check", "a.yaml", "n.ipynb")
    Path("a.yaml").write_text("answers: 1\n")
    assert "Error: a.yaml: answers is 1; expected a list of entries" in run("check", "a.yaml", code=1)
    assert "does not exist" in run("check", "nothere.yaml", code=2)
    assert "name the answers file" in run("check", code=2)
    assert "there is no store in none" in run("check", "a.yaml", "--store", "none", code=2)
    assert not Path("none").exists()


def test_check_prints_the_schema(tmp_path):
    Draft202012Validator.check_schema(json.loads(run("check", "--schema")))


# -- tape ----------------------------------------------------------------------------------------------------------------------------------


def test_tape_prints_or_writes_a_file_that_check_has_nothing_against(store, monkeypatch):
    text = run("tape", "a1", "a0", "--store", "reviews")
    assert [(e.thread, e.answer, e.by) for e in read_script(text).entries] == [("a0", "approve", "ann"), ("a1", "reject", "ann")]
    monkeypatch.setenv("HITL_NB_STORE", "reviews")
    assert run("tape", "a0", "a1", "-o", "tape.yaml") == "Written: tape.yaml\n"
    assert Path("tape.yaml").read_text("utf-8") == text
    report = json.loads(run("check", "tape.yaml", "--json", code=1))
    assert found(report) == [("error", "missing")], "a2 waits"
    assert "# 2026-05-01 12:00:00 UTC, invoke\n- thread: a0\n" in run("tape", "a0", "--times")
    assert "Error: thread 'zz' is not in the store" in run("tape", "zz", code=1)


# -- audit ---------------------------------------------------------------------------------------------------------------------------------


def test_audit_prints_a_table_json_and_csv(store):
    assert [line.split() for line in run("audit").splitlines()[2:]] == [
        ["0", "2026-05-01", "12:00:00", "a0", "ask", "Publish?", '"approve"', "ann", "invoke", store_hash(store, 0)[:12]],
        ["1", "2026-05-01", "12:00:00", "a1", "ask", "Publish?", '"reject"', "ann", "invoke", store_hash(store, 1)[:12]],
    ]
    entries = json.loads(run("audit", "--json"))
    assert [(e["number"], e["kind"], e["answer"], e["by"], e["hash"]) for e in entries] == [
        (n, "decision", a, "ann", store_hash(store, n)) for n, a in enumerate(["approve", "reject"])
    ]
    assert list(csv.DictReader(io.StringIO(run("audit", "--csv"))))[1]["answer"] == '"reject"'
    assert [e["thread_id"] for e in json.loads(run("audit", "a1", "--json"))] == ["a1"]
    assert "choose one" in run("audit", "--csv", "--json", code=2)


def store_hash(saver, number):
    return unpack(saver._read(f"d/{number:012d}"))[-1].hex()


def test_audit_verify_names_the_head_and_a_later_look_proves_that_the_log_only_grew(store):
    head = store_hash(store, 1)
    assert run("audit", "--verify") == f"The log of 2 entries is whole. Head: {head}\n"
    graph_on(store).invoke(Command(resume="approve"), {"configurable": {"thread_id": "a2", "reviewer": "bo"}})
    assert "that of entry 1: what is before it was not changed since; 1 came after it" in run("audit", "--head", head)
    assert "the log was cut short or rewritten" in run("audit", "--verify", "--head", head[::-1], code=1)
    assert f"PROBLEM  no entry has the hash {head[:12]}, which is only a part of one" in run("audit", "--verify", "--head", head[:12], code=1)
    assert json.loads(run("audit", "--verify", "--json"))["ok"]
    assert "--verify looks at the whole log" in run("audit", "a0", "--verify", code=2)


def test_a_log_that_was_tampered_with_through_diskcache_or_sqlite_is_not_whole(store, tmp_path):
    import sqlite3

    from hitl_nb.checkpoint.sealing import seal

    entry = unpack(store._read("d/000000000000"))
    entry[7] = "eve"
    record = pack(entry)
    store._cache().set("d/000000000000", seal("d/000000000000", record) + record)
    output = run("audit", "--verify", code=1)
    assert "PROBLEM  entry 0 was changed: its hash is not that of its content" in output
    assert output.endswith(f"The log of 2 entries is NOT WHOLE (1 problem). Head: {store_hash(store, 1)}\n")
    with sqlite3.connect(tmp_path / "reviews" / "cache.db") as connection:
        connection.execute("UPDATE Cache SET value = substr(value, 1, 40) WHERE key = 'd/000000000001'")
    connection.close()
    assert "PROBLEM  entry 1 was changed: record 'd/000000000001' of the store" in run("audit", "--verify", code=1)
    assert "was altered or cut short" in run("audit", code=1)


def test_what_people_wrote_does_nothing_to_a_terminal_or_a_spreadsheet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saver = DiskCacheSaver("reviews")
    evil = '=HYPERLINK("http://x")\x1b[2J\n'
    graph = graph_on(saver, lambda state: {"x": interrupt({"question": evil})})
    config = {"configurable": {"thread_id": "=1+1", "reviewer": "@eve"}}
    graph.invoke({}, config)
    graph.invoke(Command(resume=evil), config)
    text = run("audit")
    assert "\x1b" not in text
    assert len(text.splitlines()) == 3
    (row,) = csv.DictReader(io.StringIO(run("audit", "--csv")))
    assert (row["thread_id"], row["by"], row["question"][:2]) == ("'=1+1", "'@eve", "'=")
    assert not row["answer"].startswith(("=", "+", "-", "@"))
    assert "\x1b" not in run("tape", "=1+1")
    saver.close()


def test_an_empty_log_and_a_folder_without_a_store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    DiskCacheSaver("reviews").open_questions()
    assert run("audit") == "The log holds no entry.\n"
    assert run("audit", "--csv") == "number\n"
    assert run("audit", "--verify") == "The log of 0 entries is whole.\n"
    assert "there is no store in elsewhere" in run("audit", "--store", "elsewhere", code=2)
    assert "HITL_NB_STORE" in run("audit", "--store", "elsewhere", code=2)


@pytest.mark.parametrize("command", ["check", "tape", "audit"])
def test_every_command_says_its_exit_codes(command):
    assert "Exit codes: 0" in run(command, "--help")
