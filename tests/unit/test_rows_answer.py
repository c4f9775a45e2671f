"""The answer about a table: what is refused, what a short one becomes, and what becomes of the table."""

import json
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hitl_nb
from hitl_nb import apply_decisions
from hitl_nb.checkpoint.records import Question
from hitl_nb.decisions.answering import brief
from hitl_nb.decisions.answers import read_script
from hitl_nb.decisions.answers.suggestion import suggestion
from hitl_nb.decisions.check import check_answer
from hitl_nb.decisions.forms import form_for
from hitl_nb.decisions.request import Request
from hitl_nb.decisions.rows.answer import expanded, in_words, is_decision, short_answers
from hitl_nb.decisions.rows.table import Table
from hitl_nb.errors import InvalidAnswerError
from hitl_nb.responders.console import ConsoleResponder

FRAME = pd.DataFrame(
    {
        "vendor": ["Acme", "Contoso", "Litware", "Tailspin"],
        "amount": [10.0, 600.0, np.nan, 900.0],
        "n": [1, 2, 3, 4],
        "ok": [True, False, True, False],
    },
    index=[1, 2, 3, 4],
)
ACCEPT_ALL = {"accepted": [1, 2, 3, 4], "edited": [], "rejected": [], "rules": []}


def question(payload, **more):
    return Question("q", "t", "check", "t", 0, "", payload, datetime(2026, 11, 20, tzinfo=UTC), **more)


ASKED = question({"question": "Are these right?", "table": FRAME})


def edit_4(changes):
    return {"accepted": [1, 2, 3], "edited": [{"row": 4, "changes": changes}]}


# -- in full ---------------------------------------------------------------------------------------------------------------------------


def test_a_full_answer_is_recorded_as_it_is():
    answer = {
        "accepted": [1],
        "edited": [{"row": 2, "changes": {"vendor": {"from": "Contoso", "to": "Contoso Ltd"}, "amount": {"from": 600.0, "to": None}}}],
        "rejected": [4, 3],
        "rules": [{"rule": "amount > 500", "decision": "reject", "rows": [2, 4]}],
    }
    recorded = check_answer(ASKED, answer)
    assert recorded == answer | {"rejected": [3, 4]}
    assert check_answer(ASKED, recorded) == recorded
    assert json.loads(json.dumps(recorded)) == recorded


def test_what_a_full_answer_leaves_out_is_filled_in():
    assert check_answer(ASKED, {"accepted": [4, 3, 2, 1]}) == ACCEPT_ALL
    edited = {"rejected": [1, 2, 3], "edited": [{"row": 4, "changes": {"n": {"to": 7}}}]}
    assert check_answer(ASKED, edited)["edited"] == [{"row": 4, "changes": {"n": {"from": 4, "to": 7}}}]


@pytest.mark.parametrize(
    ("answer", "words", "path"),
    [
        (True, "asks about 4 rows", []),
        ("approve", "asks about 4 rows", []),
        (None, "asks about 4 rows", []),
        ([], "asks about 4 rows", []),
        ({}, "4 of 4 rows are not decided: 1, 2, 3, 4", []),
        ({"accepted": [1, 2]}, "2 of 4 rows are not decided: 3, 4", []),
        ({"accepted": [1, 2, 3, 4, 5]}, "no row 5; rows are named by the labels of the index: 1, 2, 3, 4", ["accepted", 4]),
        ({"accepted": [1, 2, 3, 4, "1"]}, "no row '1'", ["accepted", 4]),
        ({"accepted": [1, 2, 3, 4.0]}, "no row 4.0", ["accepted", 3]),
        ({"accepted": [True, 2, 3, 4]}, "no row True", ["accepted", 0]),
        ({"accepted": [[1], 2, 3, 4]}, "no row [1]", ["accepted", 0]),
        ({"accepted": [1, 2, 3, 4, 4]}, "row 4 is decided twice", ["accepted", 4]),
        ({"accepted": [1, 2, 3, 4], "rejected": [4]}, "row 4 is decided twice", ["rejected", 0]),
        ({"accepted": "all"}, "accepted is 'all'; expected a list", ["accepted"]),
        ({"accepted": [1, 2, 3, 4], "rest": "accept"}, "'rest' is of the short form", ["rest"]),
        ({"accept": [1], "rejected": [2]}, "'accept' is of the short form", ["accept"]),
        ({"accepted": [1, 2, 3, 4], "note": "x"}, "'note' is no part of an answer about rows", ["note"]),
        ({"accepted": [1, 2, 3], "edited": [{"row": 4}]}, "expected its row and changes", ["edited", 0]),
        (edit_4({}), "edited without changes", ["edited", 0]),
        ({"accepted": [1, 2, 3], "edited": [{"row": 9, "changes": {"n": 1}}]}, "no row 9", ["edited", 0]),
        (edit_4({"m": {"to": 1}}), "no column 'm'; there are vendor, amount, n, ok", ["edited", 0]),
        (edit_4({"n": {"to": 4}}), "row 4, column n is 4 already", ["edited", 0, "changes", "n"]),
        (edit_4({"n": {"to": 1.5}}), "1.5 is not a whole number", ["edited", 0, "changes", "n"]),
        (edit_4({"n": {"to": None}}), "no empty cell", ["edited", 0, "changes", "n"]),
        (edit_4({"ok": {"to": 1}}), "not yes or no", ["edited", 0, "changes", "ok"]),
        (edit_4({"n": {"from": 3, "to": 5}}), "holds 4, and the change is from 3", ["edited", 0, "changes", "n"]),
        ({"accepted": [1, 2, 3, 4], "rules": [{"rule": "n > 3", "decision": "reject"}]}, "expected its rule, decision and rows", ["rules", 0]),
        ({"accepted": [1, 2, 3, 4], "rules": [{"rule": "n > 3", "decision": "reject", "rows": [3]}]}, "hits 1 rows", ["rules", 0, "rows"]),
        ({"accepted": [1, 2, 3, 4], "rules": [{"rule": "n >", "decision": "reject", "rows": []}]}, "not a rule yet", ["rules", 0, "rule"]),
        ({"accepted": [1, 2, 3, 4], "rules": [{"rule": "n > 9", "decision": "edit", "rows": []}]}, "accept or reject", ["rules", 0, "decision"]),
    ],
)  # fmt: skip
def test_an_answer_that_does_not_fit_is_refused_with_its_place(answer, words, path):
    with pytest.raises(InvalidAnswerError) as refused:
        check_answer(ASKED, answer)
    assert words in str(refused.value)
    assert "still open" in str(refused.value)
    assert refused.value.path == path
    assert refused.value.node == "check"


def test_a_false_is_no_zero_and_a_one_no_true():
    assert check_answer(ASKED, {"rest": "accept", "edit": {4: {"ok": True}}})["edited"] == [
        {"row": 4, "changes": {"ok": {"from": False, "to": True}}}
    ]
    with pytest.raises(InvalidAnswerError, match="holds False, and the change is from 0"):
        check_answer(ASKED, {"accepted": [1, 2, 3], "edited": [{"row": 4, "changes": {"ok": {"from": 0, "to": True}}}]})


# -- in short --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["accept", {"accept": "all"}, {"rest": "accept"}, {"accept": [1, 2, 3, 4]}, {"accept": [2], "rest": "accept"}])
def test_all_rows_are_accepted_in_a_word(answer):
    assert check_answer(ASKED, answer) == ACCEPT_ALL


def test_all_rows_are_rejected_in_a_word():
    assert check_answer(ASKED, {"reject": "all"})["rejected"] == [1, 2, 3, 4]


def test_rules_come_in_their_order_and_single_rows_stand_above_them():
    answer = {
        "rules": [{"rule": "amount > 500", "decision": "reject"}, {"rule": "n == 2", "decision": "accept"}],
        "edit": {"1": {"vendor": "Acme GmbH", "n": {"from": 1, "to": 5}}},
        "reject": [3],
        "rest": "accept",
    }
    assert check_answer(ASKED, answer) == {
        "accepted": [2],
        "edited": [{"row": 1, "changes": {"vendor": {"from": "Acme", "to": "Acme GmbH"}, "n": {"from": 1, "to": 5}}}],
        "rejected": [3, 4],
        "rules": [{"rule": "amount > 500", "decision": "reject", "rows": [2, 4]}, {"rule": "n == 2", "decision": "accept", "rows": [2]}],
    }


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"accept": "al"}, "accept is 'al'; expected a list"),
        ({"accept": "all", "reject": [1]}, '"rest": "accept"'),
        ({"rest": "all"}, "expected accept or reject"),
        ({"rest": ["accept"]}, "expected accept or reject"),
        ({"rules": [{"rule": "n > 3", "decision": "reject"}]}, '3 of 4 rows are not decided: 1, 2, 3; decide them, too, or say "rest"'),
        ({"rules": [{"rule": "n > 3"}], "rest": "accept"}, "the decision of a rule is None"),
        ({"rules": [{"rule": "n > 3", "decision": "reject", "why": 1}], "rest": "accept"}, "a rule is"),
        ({"rules": ["n > 3"], "rest": "accept"}, "a rule is 'n > 3'"),
        ({"edit": [1], "rest": "accept"}, "edit is [1]; expected row ids"),
        ({"edit": {1: 2}, "rest": "accept"}, "edited without changes"),
        ({"edit": {"x": {"n": 2}}, "rest": "accept"}, "no row 'x'"),
        ({"edit": {1: {"n": {"new": 2}}}, "rest": "accept"}, "expected the new value, or from and to"),
        ({"edit": {1: {"n": 2}}, "reject": [1], "rest": "accept"}, "row 1 is decided twice"),
    ],
)
def test_a_short_answer_that_is_not_exact_is_refused(answer, words):
    with pytest.raises(InvalidAnswerError) as refused:
        check_answer(ASKED, answer)
    assert words in str(refused.value)


def test_a_table_under_another_key_takes_other_answers_from_code_but_not_a_wrong_one_about_rows():
    loose = question({"shown": FRAME})
    assert check_answer(loose, "ok") == "ok"
    assert check_answer(loose, {"accept": "all"}) == ACCEPT_ALL
    with pytest.raises(InvalidAnswerError, match="no row 9"):
        check_answer(loose, {"accepted": [9]})


def test_a_schema_or_options_are_what_binds_then():
    assert check_answer(question({"table": FRAME}, schema={"type": "boolean"}), answer=True) is True
    assert check_answer(question({"data": FRAME, "options": ["yes", "no"]}), "yes") == "yes"


def test_a_script_answers_in_short_and_the_record_holds_the_rows():
    script = read_script(
        "answers:\n  - node: check\n    answer:\n      rules:\n        - {rule: amount > 500, decision: reject}\n      rest: accept\n"
    )
    entry = script.entry_for(ASKED)
    recorded = check_answer(ASKED, entry.answer)
    assert (recorded["accepted"], recorded["rejected"]) == ([1, 3], [2, 4])
    script.recall(ASKED, recorded)
    assert script.entry_for(ASKED) is None


def test_the_lines_to_add_to_an_answers_file_are_answers():
    assert read_script(suggestion(ASKED)).entry_for(ASKED).answer == {"accept": "all"}
    for sample in short_answers(ASKED.payload):
        assert is_decision(check_answer(ASKED, sample))


def test_a_recorded_answer_reads_as_counts():
    answer = check_answer(ASKED, {"rules": [{"rule": "n > 2", "decision": "reject"}], "edit": {1: {"n": 9}}, "rest": "accept"})
    assert in_words(answer) == brief(answer) == "1 accepted, 1 edited, 2 rejected"
    assert brief(ACCEPT_ALL) == "4 accepted"
    assert brief({"accepted": [1], "edited": 2}) == '{"accepted": [1], "edited": 2}'


def test_a_terminal_shows_the_rows_and_takes_a_short_answer():
    typed = iter(['{"rest": "reject", "accept": [2]}', "."])
    written, sent = [], []
    console = ConsoleResponder(read=lambda _: next(typed), write=written.append)
    console.ask(Request(ASKED, form_for(ASKED)), lambda answer, **_: sent.append(check_answer(ASKED, answer)))
    assert [(a["accepted"], a["rejected"]) for a in sent] == [([2], [1, 3, 4])]
    assert "Contoso" in "\n".join(written)


# -- put to use ------------------------------------------------------------------------------------------------------------------------


def test_the_table_comes_back_edited_and_without_the_rejected_rows():
    before = FRAME.copy()
    result = apply_decisions(FRAME, {"reject": [2], "edit": {3: {"amount": 5, "vendor": "Litware Inc"}, 1: {"n": 8}}, "rest": "accept"})
    expected = pd.DataFrame(
        {"vendor": ["Acme", "Litware Inc", "Tailspin"], "amount": [10.0, 5.0, 900.0], "n": [8, 3, 4], "ok": [True, True, False]}, index=[1, 3, 4]
    )
    pd.testing.assert_frame_equal(result, expected)
    pd.testing.assert_frame_equal(FRAME, before)


def test_an_answer_about_another_table_is_refused():
    recorded = check_answer(ASKED, {"accept": "all"})
    with pytest.raises(InvalidAnswerError, match="no row 4"):
        apply_decisions(FRAME.head(3), recorded)
    with pytest.raises(InvalidAnswerError, match=r"1 of 5 rows are not decided: 9"):
        apply_decisions(pd.concat([FRAME, FRAME.head(1).set_axis([9])]), recorded)
    edited = check_answer(ASKED, {"edit": {1: {"n": 5}}, "rest": "accept"})
    with pytest.raises(InvalidAnswerError, match="holds 7, and the change is from 1"):
        apply_decisions(FRAME.assign(n=7), edited)


def test_records_come_back_as_records():
    records = [{"n": 1, "d": date(2026, 1, 1), "t": "x"}, {"n": None, "t": "y"}, {"n": 3, "t": "z"}]
    answer = {"edit": {0: {"n": 4, "d": "2026-02-01"}, 1: {"n": 2}}, "rest": "accept", "rules": [{"rule": "n > 2", "decision": "reject"}]}
    assert apply_decisions(records, answer) == [{"n": 4, "d": date(2026, 2, 1), "t": "x"}, {"n": 2, "t": "y"}]
    assert records[0]["n"] == 1
    assert check_answer(question({"rows": records}), {"accept": "all"})["accepted"] == [0, 1, 2]


def test_every_dtype_takes_its_edit_and_stays():
    frame = pd.DataFrame(
        {
            "int8": pd.Series([1, 2], dtype="int8"),
            "Int64": pd.Series([1, None], dtype="Int64"),
            "float32": pd.Series([0.5, 1], dtype="float32"),
            "boolean": pd.Series([True, None], dtype="boolean"),
            "category": pd.Series(["a", None], dtype=pd.CategoricalDtype(["a", "b"])),
            "day": pd.to_datetime(["2026-01-01", "2026-01-02"]),
            "zoned": pd.to_datetime(["2026-01-01", "2026-01-02"]).tz_localize("Europe/Berlin"),
            "seconds": pd.Series(pd.to_datetime(["2026-01-01", "2026-01-02"])).astype("datetime64[s]"),
            "length": pd.to_timedelta(["1 days", "2 days"]),
            "string": pd.Series(["a", None], dtype="string"),
            "object": pd.Series(["a", "b"], dtype=object),
            "mixed": pd.Series(["a", 3], dtype=object),
        }
    )
    to = {
        "int8": -7, "Int64": None, "float32": 2.5, "boolean": None, "category": "b", "day": "2027-01-01", "zoned": "2027-01-01T12:00",
        "seconds": None, "length": "3 days 00:00:01", "string": None, "object": "c", "mixed": "b",
    }  # fmt: skip
    result = apply_decisions(frame, {"edit": {0: to}, "rest": "accept"})
    assert result.dtypes.to_dict() == frame.dtypes.to_dict()
    pd.testing.assert_frame_equal(result.tail(1), frame.tail(1))
    row = result.iloc[0]
    assert (row["int8"], row["category"], row["string"] is pd.NA or pd.isna(row["string"]), row["mixed"]) == (-7, "b", True, "b")
    assert row["zoned"] == pd.Timestamp("2027-01-01 12:00", tz="Europe/Berlin")
    assert row["length"] == pd.Timedelta(days=3, seconds=1)


@pytest.mark.parametrize(
    "index",
    [
        pd.RangeIndex(5, 20, 5),
        pd.date_range("2026-01-01", periods=3, freq="D"),
        pd.Index([1, 1, 2], name="k"),
        pd.MultiIndex.from_tuples([(1, 2), (1, 3), (2, 2)]),
    ],
    ids=["range", "days", "repeated", "levels"],
)  # fmt: skip
def test_accepting_all_gives_the_very_table_back(index):
    frame = pd.DataFrame({"a": [1, 2, 3], "b": pd.Categorical(["x", "y", "x"])}).set_axis(index)
    frame.attrs = {"source": "bank"}
    result = apply_decisions(frame, expanded(Table(frame), {"accept": "all"}))
    pd.testing.assert_frame_equal(result, frame, check_index_type="exact", check_freq=True)
    assert (type(result.index), result.attrs) == (type(frame.index), frame.attrs)
    assert result is not frame


VALUES = st.one_of(st.integers(-(2**40), 2**40), st.floats(allow_nan=True, allow_infinity=True), st.text(max_size=3), st.booleans(), st.none())


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(VALUES, st.integers(-5, 5), st.floats(), st.text(max_size=3)), min_size=1, max_size=6), st.data())
def test_any_table_comes_back_as_it_was_when_all_is_accepted(rows, data):
    labels = data.draw(st.lists(st.one_of(st.integers(-3, 3), st.text(max_size=1)), min_size=len(rows), max_size=len(rows)))
    frame = pd.DataFrame(rows, columns=["mixed", "n", "x", "t"]).set_axis(labels)
    pd.testing.assert_frame_equal(apply_decisions(frame, {"accept": "all"}), frame)
    rejected = data.draw(st.lists(st.sampled_from(Table(frame).ids), unique=True, max_size=len(rows)))
    kept = apply_decisions(frame, {"reject": rejected, "rest": "accept"})
    numbers = [n for n, i in enumerate(Table(frame).ids) if i not in rejected]
    pd.testing.assert_frame_equal(kept, frame.iloc[numbers])


def test_apply_decisions_is_public():
    assert hitl_nb.apply_decisions is apply_decisions
