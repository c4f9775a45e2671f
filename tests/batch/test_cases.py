"""The cases of a batch: what is read, what is refused with its line, what their files are called, which types a CSV file's texts get."""

import codecs
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitl_nb.batch.cases import Case, read_cases
from hitl_nb.batch.names import file_name
from hitl_nb.batch.parameters import declared_parameters, fitted, parameters_of, read_notebook
from hitl_nb.errors import CasesError


def plain(cases):
    return [(c.thread_id, dict(c.parameters)) for c in cases]


def written(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


TWO = [("a", {"amount": "1", "note": "x, y"}), ("b", {"amount": "010"})]


@pytest.mark.parametrize(
    "content",
    [
        'thread_id,amount,note\na,1,"x, y"\nb,010,\n',
        'thread_id;amount;note\r\na;1;"x, y"\r\n\r\nb;010;\r\n;;\r\n',
        "thread_id\tamount\tnote\na\t1\tx, y\nb\t010\t\n",
        codecs.BOM_UTF8 + b'thread_id,amount,note\n a ,1,"x, y"\nb,010,""\n',
    ],
    ids=["commas", "semicolons of a spreadsheet, empty lines", "tabs", "byte order mark"],
)
def test_a_csv_file_is_texts_and_an_empty_cell_is_left_out(tmp_path, content):
    cases = read_cases(written(tmp_path, "cases.csv", content))
    assert plain(cases) == TWO
    assert all(c.written for c in cases)


def test_a_message_names_the_line_that_a_row_begins_in(tmp_path):
    cases = read_cases(written(tmp_path, "cases.csv", 'thread_id,note\na,"two\nlines"\nb,x\n'))
    assert [c.place.rpartition("/")[2] for c in cases] == ["cases.csv, line 2", "cases.csv, line 4"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cases.json", json.dumps([{"thread_id": "a", "n": 1}, {"thread_id": 7, "n": None}])),
        ("cases.jsonl", '{"thread_id": "a", "n": 1}\n\n{"thread_id": 7, "n": null}\n'),
        ("cases.yaml", "- thread_id: a\n  n: 1\n- {thread_id: 7, n: null}\n"),
    ],
)
def test_data_files_keep_their_types_and_an_id_may_be_a_whole_number(tmp_path, name, content):
    cases = read_cases(written(tmp_path, name, content))
    assert plain(cases) == [("a", {"n": 1}), ("7", {"n": None})]
    assert not any(c.written for c in cases)


def test_a_dataframe_and_a_list_of_mappings_are_cases():
    frame = pd.DataFrame({"thread_id": [7, 8], "amount": [1.5, None], "on": pd.to_datetime(["2026-01-02", None])})
    first, second = read_cases(frame)
    assert (first.thread_id, first.parameters["amount"], second.thread_id, dict(second.parameters)) == ("7", 1.5, "8", {})
    assert plain(read_cases([{"thread_id": "a", "x": [1]}])) == [("a", {"x": [1]})]
    assert read_cases([]) == []


def test_another_column_can_name_the_thread_and_stays_a_parameter(tmp_path):
    path = written(tmp_path, "cases.csv", "order,amount\nA-1,5\n")
    assert plain(read_cases(path, id_column="order")) == [("A-1", {"order": "A-1", "amount": "5"})]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("cases.csv", "", "is empty; expected a line with the names of the columns"),
        ("cases.csv", "\n \n", "is empty"),
        ("cases.csv", "thread_id,a,a\n", "line 1: the column 'a' is there twice"),
        ("cases.csv", "thread_id,,a\n", "line 1: column 2 has no name"),
        ("cases.csv", "thread_id,a\nx,1\ny,1,2\n", r"line 3 has 3 cells, and the first line names 2 columns \(thread_id, a\)"),
        ("cases.csv", "thread_id,a\nx\n", "line 2 has 1 cells"),
        ("cases.csv", 'thread_id,a\nx,"1\n', "line 2: unexpected end of data; expected CSV; was the file cut short"),
        ("cases.csv", "order,a\nx,1\n", r"line 2 has no 'thread_id' \(it has order, a\).*--id-column NAME"),
        ("cases.csv", "thread_id,a\n,1\n", "line 2 has no 'thread_id'"),
        ("cases.csv", "thread_id\nx\ny\nx\n", r"line 4 has the same thread as .*cases.csv, line 2: 'x'"),
        ("cases.csv", "thread_id\nx\ty\n".encode("utf-16"), "is UTF-16. Expected UTF-8"),
        ("cases.csv", "thread_id\nKäse\n".encode("latin-1"), r"line 2 holds the byte 0xe4, which is not UTF-8 \(Latin-1\?\)"),
        ("cases.csv", "thread_id,a\nx\x01y,1\n", "control character"),
        ("cases.csv", "thread_id\n" + "x" * 600 + "\n", "expected 1 to 512"),
        ("cases.json", '{"thread_id": "a"}', "expected a list of cases"),
        ("cases.json", '[{"thread_id": true}]', r"thread_id is True \(bool\)"),
        ("cases.json", "[1]", "is 1; expected a mapping"),
        ("cases.jsonl", '{"thread_id": "a"}\n{"thread', "line 2: .*was it cut short"),
        ("cases.yaml", "- {1: x}\n", "the name 1 is no text"),
        ("cases.yaml", "- !!python/object:os.system x\n", "expected plain data without tags"),
        ("cases.yaml", "a: &a [x]\n" + "".join(f"{c}: &{c} [{', '.join(['*' + p] * 9)}]\n" for p, c in zip("abcdefghi", "bcdefghij", strict=True)),
         "more than 1,000,000 values"),
        ("cases.xlsx", "x", r"expected a name that ends in \.csv"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_its_line(tmp_path, name, content, message):
    with pytest.raises(CasesError, match=message):
        read_cases(written(tmp_path, name, content))


def test_a_file_that_is_not_there_and_a_value_that_is_no_list_are_refused(tmp_path):
    with pytest.raises(CasesError, match="does not exist, seen from"):
        read_cases(tmp_path / "none.csv")
    with pytest.raises(CasesError, match="expected a path, a DataFrame or a list"):
        read_cases({"thread_id": "a"})
    with pytest.raises(CasesError, match="has the column 'x' twice"):
        read_cases(pd.DataFrame([[1, 2]], columns=["x", "x"]))


# -- file names


ATTACKS = ["../../etc/passwd", "/etc/passwd", "..", ".", "C:\\x", "a/b", "con", "nul.txt", "{x}", "a\x7fb", "x" * 512, " ", "~a", "-rf", "a.", "日本"]
"""Ids that a store takes, and that would be a path, a device, a format or no name at all."""


@pytest.mark.parametrize("thread_id", ATTACKS)
def test_an_id_is_never_a_path_nor_a_name_that_a_system_keeps_for_itself(tmp_path, thread_id):
    name = file_name(thread_id)
    assert re.fullmatch(r"[A-Za-z0-9_.~-]{1,80}", name)
    assert not name.startswith(".")
    assert (tmp_path / f"{name}.ipynb").resolve().parent == tmp_path.resolve()
    assert name.partition(".")[0].lower() not in {"con", "nul", "prn", "aux", "com1"}
    (tmp_path / f"{name}.ipynb").touch()


@given(st.lists(st.text(alphabet="aAbB./-_~ä1", min_size=1, max_size=12), unique=True, max_size=60))
def test_two_ids_never_share_a_file_also_where_case_does_not_count(ids):
    names = {file_name(one).lower() for one in [*ids, *ATTACKS]}
    assert len(names) == len({*ids, *ATTACKS})


def test_a_plain_id_is_its_own_file_name():
    assert [file_name(i) for i in ("article-1", "2026_05.a")] == ["article-1", "2026_05.a"]


# -- parameters


def test_the_types_of_a_csv_file_are_those_of_the_parameters_cell():
    declared = declared_parameters(
        "store = None  # a folder\namount = 100\nrate = 0.5\nurgent = False\ncode = 'x'\ntags = []\nextra = {}\nsince: str = None\nwhen = now()\n"
    )
    texts = {
        "amount": "250", "rate": " 3", "urgent": "True", "code": "010", "tags": '["a"]', "extra": '{"k": 1}', "since": "2026",
        "when": "1", "new": "1e3",
    }  # fmt: skip
    [case] = fitted([Case("a", texts, written=True)], declared)
    assert case.parameters == {
        "amount": 250, "rate": 3.0, "urgent": True, "code": "010", "tags": ["a"], "extra": {"k": 1}, "since": "2026", "when": "1", "new": "1e3",
    }  # fmt: skip
    assert type(case.parameters["amount"]) is int
    assert fitted([Case("a", {"amount": "2.50"}, written=True)], declared)[0].parameters == {"amount": 2.5}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("amount", "12 EUR", "amount is '12 EUR'; expected a number, as the notebook's parameters cell has amount = 100"),
        ("amount", "nan", "expected a number"),
        ("amount", "1e999", "expected a number"),
        ("urgent", "yes", "expected true or false"),
        ("tags", '{"a": 1}', "expected a JSON list"),
        ("tags", "[1", "expected a JSON list"),
        ("store", "x", "'store' is given by the batch itself"),
        ("first name", "x", "'first name' cannot be the name of a parameter"),
        ("x=__import__('os')", "x", "cannot be the name of a parameter"),
        ("class", "x", "cannot be the name of a parameter"),
    ],
)
def test_a_cell_that_does_not_fit_its_parameter_is_refused_with_its_place(name, text, message):
    declared = {"amount": 100, "urgent": False, "tags": []}
    with pytest.raises(CasesError, match=f"cases.csv, line 4.*{re.escape(message)}"):
        fitted([Case("a", {name: text}, "cases.csv, line 4", written=True)], declared)


def test_data_becomes_what_a_notebook_keeps_and_what_it_cannot_keep_is_named():
    frame = pd.DataFrame({"thread_id": ["a"], "n": [3], "at": [pd.Timestamp("2026-01-02T03:00")], "many": [("x", {"y": 1})]})
    [case] = fitted(read_cases(frame), {})
    assert case.parameters == {"n": 3, "at": "2026-01-02T03:00:00", "many": ["x", {"y": 1}]}
    assert type(case.parameters["n"]) is int
    with pytest.raises(CasesError, match=r"case 1: x\.y is <object .*no parameters cell can be given"):
        fitted(read_cases([{"thread_id": "a", "x": {"y": object()}}]), {})


def test_the_parameters_of_a_notebook_are_those_of_its_tagged_cell(tmp_path):
    notebook = Path(__file__).parents[2] / "notebooks" / "02_clean_real_data.ipynb"
    assert parameters_of(read_notebook(notebook)) == {"hitl_answers": None, "store": None, "thread_id": "films", "out": "cleaned"}
    with pytest.raises(CasesError, match="does not exist"):
        read_notebook(tmp_path / "none.ipynb")
    with pytest.raises(CasesError, match="cannot be read"):
        read_notebook(written(tmp_path, "broken.ipynb", '{"cells": ['))
    with pytest.raises(CasesError, match="cannot be read: KeyError"):
        read_notebook(written(tmp_path, "other.ipynb", "{}"))
    assert declared_parameters("%magic\nx <- 1") == {}
