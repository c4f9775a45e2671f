"""How the values of a column read, and what may be written into it."""

from datetime import date
from decimal import Decimal
from json import dumps

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hitl_nb.decisions.rows.applied import apply_decisions
from hitl_nb.decisions.rows.columns import BadValueError, columns_of, is_missing, plain

FRAME = pd.DataFrame(
    {
        "text": pd.Series(["a", None], dtype=object),
        "string": pd.Series(["a", None], dtype="string"),
        "int": pd.Series([1, 20_000], dtype="int64"),
        "int8": pd.Series([1, 2], dtype="int8"),
        "uint8": pd.Series([1, 2], dtype="uint8"),
        "Int": pd.Series([1, None], dtype="Int64"),
        "float": pd.Series([1.5, np.nan]),
        "float32": pd.Series([0.1, 2], dtype="float32"),
        "bool": pd.Series([True, False]),
        "boolean": pd.Series([True, None], dtype="boolean"),
        "category": pd.Series(["low", None], dtype=pd.CategoricalDtype(["low", "high"])),
        "grade": pd.Series([1, 2], dtype=pd.CategoricalDtype([1, 2, 3])),
        "day": pd.to_datetime(["2026-11-20", None]),
        "time": pd.to_datetime(["2026-11-20 09:41:00", "2026-11-20"], format="ISO8601"),
        "zoned": pd.to_datetime(["2026-11-20 09:41:00", None]).tz_localize("Europe/Berlin"),
        "seconds": pd.Series(pd.to_datetime(["2026-11-20", None])).astype("datetime64[s]"),
        "length": pd.to_timedelta(["1 days 02:00:00", None]),
        "date": pd.Series([date(2026, 11, 20), None], dtype=object),
        "mixed": pd.Series(["a", 3], dtype=object),
        "decimal": pd.Series([Decimal("1.5"), None], dtype=object),
        "period": pd.period_range("2026-01", periods=2, freq="M"),
        "flags": pd.Series([True, None], dtype=object),
        "whole": pd.Series([1.0, np.nan]),
    }
)
COLUMNS = {c.name: c for c in columns_of(FRAME)}


def at(name, row=0):
    return FRAME[name].iat[row]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("text", ["a", ""]),
        ("string", ["a", ""]),
        ("int", ["1", "20,000"]),
        ("Int", ["1", ""]),
        ("float", ["1.5", ""]),
        ("float32", ["0.1", "2.0"]),
        ("bool", ["yes", "no"]),
        ("boolean", ["yes", ""]),
        ("category", ["low", ""]),
        ("day", ["2026-11-20", ""]),
        ("time", ["2026-11-20 09:41:00", "2026-11-20 00:00:00"]),
        ("zoned", ["2026-11-20 09:41:00+01:00", ""]),
        ("length", ["1 days 02:00:00", ""]),
        ("date", ["2026-11-20", ""]),
        ("mixed", ["a", "3"]),
        ("period", ["2026-01", "2026-02"]),
        ("whole", ["1", ""]),
    ],
)
def test_values_are_shown_as_a_person_reads_them(name, shown):
    assert [COLUMNS[name].shown(v) for v in FRAME[name].tolist()] == shown


@pytest.mark.parametrize("name", list(COLUMNS))
def test_the_short_way_for_a_whole_column_shows_the_same(name):
    for rows in (FRAME, FRAME.head(1), FRAME.tail(1), pd.concat([FRAME.head(1), FRAME.head(1).assign(time=pd.Timestamp("2026-01-01 00:00:00.25"))])):
        column = columns_of(rows)[COLUMNS[name].number]
        assert column.all_shown(rows[name]) == [column.shown(v) for v in rows[name].tolist()]


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([1998, 2026], ["1998", "2026"]),
        ([1290.0, 412.5], ["1,290.00", "412.50"]),
        ([6.1, 7.0], ["6.1", "7.0"]),
        ([0.98, 0.5], ["0.98", "0.50"]),
        ([0.1 + 0.2, 1.0], ["0.3", "1.0"]),
        ([1 / 3, 2.0], ["0.333333", "2"]),
        ([1e20, 1.5], ["1e+20", "1.5"]),
        ([np.inf, 1.0], ["inf", "1"]),
        ([25_000.0, np.nan], ["25,000", ""]),
    ],
)
def test_numbers_get_the_decimals_that_tell_them_apart(values, shown):
    (column,) = columns_of(pd.DataFrame({"n": values}))
    assert [column.shown(v) for v in values] == shown


@pytest.mark.parametrize("name", list(COLUMNS))
def test_what_a_field_starts_with_reads_as_the_value_itself(name):
    column = COLUMNS[name]
    for value in FRAME[name].tolist():
        if column.kind == "fixed" or name == "decimal":
            continue
        if is_missing(value) and column.kind in ("text", "mixed"):  # an empty text is a text
            continue
        read = column.read(column.written(value), value)
        assert read == pytest.approx(plain(value)) if name == "float32" else read == plain(value)


@pytest.mark.parametrize(
    ("name", "typed", "json"),
    [
        ("text", " b ", " b "),
        ("text", "", ""),
        ("int", " -5 ", -5),
        ("Int", "", None),
        ("float", "2", 2.0),
        ("float", "-.5e3", -500.0),
        ("float", "", None),
        ("bool", "No", False),
        ("boolean", "", None),
        ("category", "high", "high"),
        ("category", "", None),
        ("grade", "3", 3),
        ("day", "2026-12-24", "2026-12-24T00:00:00"),
        ("time", "2026-12-24 18:30", "2026-12-24T18:30:00"),
        ("zoned", "2026-07-01 12:00", "2026-07-01T12:00:00+02:00"),
        ("zoned", "2026-07-01T12:00:00Z", "2026-07-01T14:00:00+02:00"),
        ("seconds", "2026-12-24 18:30:01", "2026-12-24T18:30:01"),
        ("length", "3 hours", "0 days 03:00:00"),
        ("date", "2026-12-24", "2026-12-24"),
        ("flags", "yes", True),
    ],
)
def test_what_is_typed_becomes_json_data_of_the_columns_type(name, typed, json):
    read = COLUMNS[name].read(typed, at(name))
    assert (read, type(read)) == (json, type(json))


@pytest.mark.parametrize(
    ("name", "typed", "words"),
    [
        ("int", "1.5", "no whole number"),
        ("int", "", "no empty cell"),
        ("int", "1,290", "without separators"),
        ("int8", "200", "int8 takes -128 to 127"),
        ("uint8", "-1", "uint8 takes 0 to 255"),
        ("float", "twelve", "twelve is no number"),
        ("float", "1,5", "with a point"),
        ("float", "nan", "no number"),
        ("float", "1e999", "too large"),
        ("float32", "1e39", "too large"),
        ("bool", "maybe", "neither yes nor no"),
        ("bool", "", "no empty cell"),
        ("category", "mid", "none of its categories: low, high"),
        ("day", "24.12.2026", "no time; expected one like 2026-11-20"),
        ("day", "5", "no time"),
        ("day", "2026-02-30", "no time"),
        ("day", "2026-11-20T00:00+01:00", "have no zone"),
        ("zoned", "2026-03-29 02:30", "no time"),
        ("seconds", "2026-12-24 18:30:01.5", "more exact than this column"),
        ("length", "5", "no length of time"),
        ("length", "soon", "no length of time"),
        ("date", "tomorrow", "no day"),
        ("decimal", "2.5", "cannot be edited here"),
        ("period", "2026-03", "cannot be edited here"),
    ],
)
def test_what_the_column_does_not_take_is_refused_in_words(name, typed, words):
    with pytest.raises(BadValueError) as refused:
        COLUMNS[name].read(typed, at(name))
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("text", 5),
        ("int", "5"),
        ("int", True),
        ("int", 5.0),
        ("float", "5"),
        ("float", True),
        ("float", float("nan")),
        ("float", 10**400),
        ("bool", 1),
        ("bool", "yes"),
        ("category", 1),
        ("grade", True),
        ("day", 5),
        ("text", ["a"]),
        ("int", {}),
    ],
)
def test_json_data_of_another_type_is_refused(name, value):
    with pytest.raises(BadValueError):
        COLUMNS[name].check(value, at(name))


@settings(deadline=None)
@given(st.sampled_from(list(COLUMNS)), st.integers(0, 1), st.one_of(st.text(max_size=12), st.text("0123456789-+.eE:T ,", max_size=20)))
def test_whatever_is_typed_is_either_written_into_the_column_or_refused(name, row, typed):
    column, now = COLUMNS[name], at(name, row)
    try:
        json = column.read(typed, now)
    except BadValueError as refused:
        assert str(refused)  # noqa: PT017
        return
    dumps(json, allow_nan=False)
    assert plain(column.check(json, now)) == json
    result = apply_decisions(FRAME, {"edit": {row: {name: json}} if plain(now) != json else {}, "rest": "accept"})
    assert result.dtypes.equals(FRAME.dtypes)
    assert plain(result[name].iat[row]) == (pytest.approx(json) if name == "float32" else json)


def test_half_a_surrogate_pair_is_refused_before_it_cannot_be_stored():
    with pytest.raises(BadValueError, match="can be stored"):
        COLUMNS["text"].read("a\ud800", "a")


def test_a_mixed_column_takes_what_its_cell_holds():
    mixed = COLUMNS["mixed"]
    assert (mixed.read("b", "a"), mixed.read("4", 3)) == ("b", 4)
    with pytest.raises(BadValueError, match="no whole number"):
        mixed.read("b", 3)


@pytest.mark.parametrize("missing", [None, np.nan, float("nan"), pd.NaT, pd.NA, np.datetime64("NaT"), np.float64("nan")])
def test_all_that_pandas_calls_missing_is_missing(missing):
    assert is_missing(missing)
    assert plain(missing) is None


@pytest.mark.parametrize("there", ["", 0, False, 0.0, "nan", np.int64(0), np.bool_(False), [], pd.Timestamp(0), np.array([np.nan])])
def test_nothing_else_is_missing(there):
    assert not is_missing(there)


def test_plain_data_is_json():
    assert [plain(v) for v in (np.int64(1), np.float32(0.5), np.bool_(True), np.str_("x"), float("inf"), Decimal("1.50"))] == [
        1,
        0.5,
        True,
        "x",
        "inf",
        "1.50",
    ]
