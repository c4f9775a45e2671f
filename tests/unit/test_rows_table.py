"""Which payloads ask about the rows of a table, and how those rows are named."""

from datetime import UTC, date, datetime

import pandas as pd
import pytest

from hitl_nb.checkpoint.records import Question
from hitl_nb.decisions.forms import form_for
from hitl_nb.decisions.rows.table import Table, found_in

FRAME = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]})
RECORDS = [{"a": 1, "b": "x"}, {"a": 2, "b": None}]


def question(payload, **more):
    return Question("q", "t", "check", "t", 0, "", payload, datetime(2026, 11, 20, tzinfo=UTC), **more)


@pytest.mark.parametrize("key", ["table", "data", "frame", "rows", "original", "draft", "content"])
def test_a_frame_under_a_key_that_names_a_subject_is_what_is_asked_about(key):
    found = found_in({"question": "Are these right?", "other": FRAME, key: FRAME})
    assert (found.key, found.binds, list(found.rest)) == (key, True, ["question", "other"])


def test_a_frame_on_its_own_is_what_is_asked_about():
    assert found_in(FRAME).value is FRAME
    assert form_for(question(FRAME)).facts == {"Table": "3 rows"}


def test_the_only_frame_under_another_key_is_shown_as_rows_but_binds_no_answer_from_code():
    assert found_in({"note": "x", "shown": FRAME}).binds is False
    assert found_in({"one": FRAME, "two": FRAME}) is None


@pytest.mark.parametrize("key", ["rows", "records"])
def test_a_list_of_flat_dicts_is_a_table_from_two_on(key):
    assert found_in({key: RECORDS}).value is RECORDS
    for rows in (RECORDS[:1], [], [{"a": 1}, {"a": [1]}], [{"a": 1}, {}], [{"a": 1}, {2: 1}], [{"a": 1}, "x"], "xy", None):
        assert found_in({key: rows}) is None
    assert found_in({"other": RECORDS}) is None


@pytest.mark.parametrize(
    "more",
    [
        {"options": ["yes", "no"]},
        {"actions": ["approve", "reject"]},
        {"action_requests": [{"name": "x"}]},
        {"action": "approve_action"},
        {"action": "review"},
        {"action": "choose_path"},
        {"type": "contract_review"},
        {"type": "text"},
        {"error": "x", "current_input": "y"},
    ],
    ids=lambda m: next(iter(m.items()))[0] + " " + str(next(iter(m.values()))),
)
def test_a_payload_that_asks_for_one_choice_about_the_whole_is_no_table_to_decide(more):
    assert found_in({"question": "Import them?", "data": FRAME, **more}) is None
    assert form_for(question({"question": "Import them?", "data": FRAME, **more})).control != "table"


def test_options_that_list_nothing_ask_for_nothing():
    assert found_in({"data": FRAME, "options": []}).key == "data"


def test_a_frame_without_rows_or_columns_has_nothing_to_decide():
    for empty in (FRAME.head(0), pd.DataFrame(index=[1, 2])):
        assert found_in({"data": empty}) is None
        assert found_in(empty) is None


def test_an_explicit_schema_wins_over_the_table():
    assert form_for(question({"question": "Import them?", "data": FRAME}, schema={"type": "boolean"})).control == "buttons"


def test_the_form_of_a_table_shows_the_rest_of_the_payload():
    form = form_for(question({"question": "Are these right?", "instruction": "Look at b.", "table": FRAME, "source": "bank"}))
    assert (form.control, form.heading, form.instruction, form.facts) == ("table", "Are these right?", "Look at b.", {"Source": "bank"})
    assert [o.label for o in form.options] == ["Send decisions"]


# -- ids -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "ids"),
    [
        (None, [0, 1, 2]),
        ([7, 3, 5], [7, 3, 5]),
        (["a", "b", "c"], ["a", "b", "c"]),
        (pd.Index(["a", 1, "1"], dtype=object), ["a", 1, "1"]),
        (pd.Index([2**40, 2, 3]), [2**40, 2, 3]),
    ],
    ids=["default", "ints", "texts", "both", "large"],
)
def test_rows_are_named_by_a_unique_index_of_ints_and_texts(index, ids):
    table = Table(FRAME.set_axis(index) if index is not None else FRAME)
    assert (table.ids, table.by_position) == (ids, False)
    assert all(type(i) in (int, str) for i in table.ids)


@pytest.mark.parametrize(
    "index",
    [
        [1, 1, 2],
        [1.5, 2.5, 3.5],
        [True, False, None],
        pd.date_range("2026", periods=3),
        pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)]),
        ["a", None, "b"],
    ],
    ids=["repeated", "floats", "bools", "times", "levels", "missing"],
)
def test_other_indexes_leave_rows_to_be_named_by_position(index):
    table = Table(FRAME.set_axis(index))
    assert (table.ids, table.by_position) == ([0, 1, 2], True)


# -- columns ---------------------------------------------------------------------------------------------------------------------------


def test_columns_have_unique_names_whatever_their_labels():
    frame = pd.DataFrame([[1, 2, 3, 4]], columns=["a", "a", 7, ("x", "y")])
    assert [c.name for c in Table(frame).columns] == ["a", "a (2)", "7", "x / y"]
    assert Table(frame).by_name["a (2)"].number == 1


def test_records_keep_whole_numbers_whole_and_times_as_they_are():
    at = datetime(2026, 1, 1, tzinfo=UTC)
    table = Table([{"n": 1, "f": 0.5, "ok": True, "t": "x", "d": date(2026, 1, 1), "at": at, "big": 2**70, "m": 1}, {"n": None, "m": "x", "new": 3}])
    kinds = {c.name: c.kind for c in table.columns}
    assert kinds == {
        "n": "integer",
        "f": "float",
        "ok": "bool",
        "t": "text",
        "d": "date",
        "at": "mixed",
        "big": "integer",
        "m": "mixed",
        "new": "integer",
    }
    assert table.value(0, 0) == 1
    assert [c.shown(table.value(1, c.number)) for c in table.columns][:2] == ["", ""]


def test_a_table_as_text_names_its_first_rows():
    text = found_in({"table": pd.DataFrame({"a": range(50)}, index=[f"r{n}" for n in range(50)])}).as_text(3)
    assert "r2" in text
    assert "r3" not in text
    assert "47 more rows" in text
