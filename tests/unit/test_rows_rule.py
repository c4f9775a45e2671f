"""A rule hits what `DataFrame.query` finds, and can say nothing else."""

from contextlib import suppress

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hitl_nb.decisions.rows.rule import LENGTH_MAX, BadRuleError, example_for, rows_hit

FRAME = pd.DataFrame(
    {
        "n": [3, -1, 0, 7, 12],
        "x": [0.5, np.nan, -2.0, 7.0, 1e9],
        "m": pd.Series([1, None, 3, 4, None], dtype="Int64"),
        "ok": [True, False, True, False, True],
        "maybe": pd.Series([True, None, False, None, True], dtype="boolean"),
        "word": ["Anna", "bob", None, "a & b | c", "=="],
        "kind": pd.Categorical(["low", "high", None, "low", "low"], categories=["low", "high"]),
        "day": pd.to_datetime(["2026-01-01", "2026-06-01", None, "2027-01-01", "2025-12-31"]),
        "US Gross": [1, 2, 3, 4, 5],
    }
).set_axis(pd.Index([10, 20, 30, 40, 50], name="key"))
RULES = [
    "n > 0",
    "0 < n <= 7",
    "x != 7",
    "not (x > 0)",
    "m > 2",
    "m != 3",
    "ok",
    "not ok",
    "~ok",
    "ok & n > 0",
    "n > 0 | ok",
    "n > 0 & x < 100 | m == 1",
    "not ok and n == 7 or word == 'Anna'",
    "word == 'a & b | c'",
    "word in ['bob', 'Anna']",
    "n not in [3, 7]",
    "n == [3, 7]",
    "n != [3, 7]",
    "n * 2 + 1 > x",
    "-n < 0",
    "n % 2 == 0",
    "n // 5 == 1",
    "n / 2 > 1",
    "`US Gross` > 2 and `n` > 0",
    "day >= '2026-06-01'",
    "day.dt.year == 2026",
    "index > 20",
    "key == 30",
    "kind == 'low'",
    "word.isna()",
    "x.notna()",
    "n.between(0, 7)",
    "n.between(0, 7, inclusive='neither')",
    "n.isin([3, 12])",
    "x.fillna(0) > 0",
    "n.abs() > 2",
    "x > x.median()",
    "word.str.contains('b', case=False, na=False)",
    "word.str.contains('[=|]', na=False)",
    "word.str.startswith('A', na=False)",
    "word.str.lower().str.len() > 3",
    "word.duplicated()",
]


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_hits_what_query_finds(rule):
    found = FRAME.query(rule, engine="python")
    assert FRAME.index[rows_hit(rule, FRAME)].tolist() == found.index.tolist()


def test_a_missing_truth_hits_nothing():
    assert rows_hit("maybe", FRAME).tolist() == [True, False, False, False, True]
    assert rows_hit("not maybe", FRAME).tolist() == [False, False, True, False, False]
    assert rows_hit("word.str.contains('b')", FRAME).tolist() == [False, True, False, True, False]


NUMBERS = st.sampled_from(["n", "x", "`US Gross`", "3", "-1", "0.5"])
SUMS = st.recursive(NUMBERS, lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"), max_leaves=4)
COLUMN_FIRST = st.sampled_from(["n", "x", "`US Gross`"])
CLAIMS = st.one_of(
    st.tuples(COLUMN_FIRST, st.sampled_from(["<", "<=", "==", "!=", ">", ">="]), SUMS).map(" ".join),
    st.sampled_from(["ok", "word.isna()", "word == 'Anna'", "kind == 'low'", "n in [3, 7]", "word != 'bob'"]),
)
RANDOM = st.recursive(
    CLAIMS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or", "&", "|"]), inner).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})"),
        inner.map(lambda r: f"not ({r})"),
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(RANDOM)
def test_any_rule_hits_what_query_finds(rule):
    assert FRAME.index[rows_hit(rule, FRAME)].tolist() == FRAME.query(rule, engine="python").index.tolist()


# -- what is no rule -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("", "not a rule yet; for example n > 3"),
        ("n >", "not a rule yet"),
        ("n > 3 and", "not a rule yet"),
        ("(n > 3", "not a rule yet"),
        ("word == 'half", "not a rule yet"),
        ("n = 3", "write =="),
        ("n > @limit", "@ reads variables"),
        ("`US Gros", "needs one at its end"),
        ("gross > 3", "no column gross"),
        ("N > 3", "no column N; did you mean n?"),
        ("US > 3", "did you mean `US Gross`?"),
        ("n", "says nothing true or false"),
        ("n + 1", "says nothing true or false"),
        ("n > 3 and x", "x says nothing true or false"),
        ("word > 5", "word holds texts, which cannot be compared with the number 5"),
        ("5 > word", "word holds texts"),
        ("n > 'a'", "n and 'a' cannot be compared"),
        ("kind > 'low'", "cannot be compared"),
        ("x == None", "found by .isna()"),
        ("x is None", "found by .isna()"),
        ("'a' in word", "found by .str.contains()"),
        ("word * 3 == 'x'", "holds texts, which * does not take"),
        ("word.contains('a')", "did you mean .str.contains()?"),
        ("word.str.contians('a')", "did you mean .str.contains()?"),
        ("word.str.contains('(')", "no regular expression"),
        ("n.str.len() > 2", "n holds no texts"),
        ("n.dt.year == 2026", "n holds no times"),
        ("word.str", "no part of a rule"),
        ("1 < 2", "name a column"),
        ("True", "says nothing true or false"),
        ("n > 3 if ok else x > 3", "no part of a rule"),
        ("n.round(n) > 1", "fixed values only"),
        ("word.str.contains('a', flags=2)", "takes no flags"),
        ("x.isna(**{})", "takes no **"),
        ("n > 3\nx > 3", "not a rule yet"),
        ("n == \x00", "not a rule yet"),
        ("(" * 300 + "n", "not a rule yet"),
    ],
)  # fmt: skip
def test_what_is_no_rule_says_what_is_missing(rule, words):
    with pytest.raises(BadRuleError) as refused:
        rows_hit(rule, FRAME)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "rule",
    [
        "__import__('os').system('true')",
        "().__class__.__bases__[0].__subclasses__()",
        "n.__class__.__init__.__globals__",
        "n.to_pickle('x')",
        "n.apply(print)",
        "n.map(lambda v: v)",
        "word.str.cat(n)",
        "word.str.repeat(1000000)",
        "n.values.tofile('x')",
        "(lambda: True)()",
        "[v for v in n]",
        "f'{n!r}'",
        "eval('1')",
        "open('x')",
        "(n := 3) > 2",
        "n[0] > 2",
        "n.at[0] > 1",
        "9 ** 9 ** 9 > n",
        "n ** 1000000 > 3",
        "n << 100 > 3",
        "'a' * 10 ** 9 == word",
        "word + word * 1000000 == 'x'",
        "(word + word) * 1000000 == 'x'",
        "['a'] * 1000000 == word",
        "n.rolling(2).sum() > 3",
        "word.str.contains.__globals__",
        "yield n",
        "await n",
        "*n",
        "...",
        "b'x' == word",
        "1j > n",
        "n @ n > 3",
    ],
)  # fmt: skip
def test_nothing_but_a_rule_ever_runs(rule, monkeypatch):
    for name in ("system", "popen", "remove"):
        monkeypatch.setattr(f"os.{name}", lambda *_: pytest.fail("it ran"))
    with pytest.raises(BadRuleError):
        rows_hit(rule, FRAME)


def test_a_rule_is_bounded():
    with pytest.raises(BadRuleError, match="at most 1000"):
        rows_hit("n > 0 or " * LENGTH_MAX + "ok", FRAME)


@settings(deadline=None)
@given(st.text(alphabet="nxokword <>=!&|~()[]'\"`.,+-*/%123", max_size=40))
def test_whatever_is_typed_either_hits_rows_or_says_why_not(typed):
    with suppress(BadRuleError):
        assert rows_hit(typed, FRAME).shape == (5,)


def test_the_example_is_a_rule_of_the_table():
    assert example_for(FRAME) == "n > 3"
    assert example_for(FRAME[["US Gross"]]) == "`US Gross` > 3"
    assert example_for(pd.DataFrame({"amount": [1290.0, 412.5, 89.0]})) == "amount > 412"
    assert example_for(FRAME[["word"]]) == 'word.str.contains("…")'
    for frame in (FRAME, FRAME[["US Gross"]], FRAME[["word"]]):
        assert rows_hit(example_for(frame), frame).dtype == bool


def test_columns_that_share_a_name_are_not_guessed_at():
    with pytest.raises(BadRuleError, match="2 columns are called a"):
        rows_hit("a > 1", pd.DataFrame([[1, 2]], columns=["a", "a"]))
