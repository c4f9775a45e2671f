"""A table under review: decisions, edits, filter, order, pages, rules."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hitl_nb.decisions.rows.answer import expanded
from hitl_nb.decisions.rows.applied import apply_decisions
from hitl_nb.decisions.rows.page import Filter
from hitl_nb.decisions.rows.review import CELL_MAX, COLUMNS_MAX, Review
from hitl_nb.decisions.rows.table import Table
from hitl_nb.errors import InvalidAnswerError

FRAME = pd.DataFrame(
    {
        "vendor": ["Acme", "Contoso", "acme north", "Tailspin", None],
        "amount": [10.0, 600.0, 20.0, np.nan, 900.0],
        "n": [3, 1, 3, 2, 3],
        "ok": [True, False, True, False, True],
    },
    index=[11, 12, 13, 14, 15],
)


@pytest.fixture
def review():
    return Review(Table(FRAME))


def shown(review):
    return [row.number for row in review.rows()]


def choices(review):
    return {row.number: row.choice for row in Review.rows(review)}


# -- one row ---------------------------------------------------------------------------------------------------------------------------


def test_rows_are_accepted_and_rejected_until_none_is_open(review):
    for number, choice in enumerate(["accept", "reject", "accept", "reject"]):
        review.choose(number, choice)
    assert (review.in_words(), review.missing) == ("2 accepted, 2 rejected, 1 open", "1 open")
    with pytest.raises(InvalidAnswerError, match="1 open"):
        review.answer()
    review.choose(4, "accept")
    assert review.missing == ""
    assert review.answer() == {"accepted": [11, 13, 15], "edited": [], "rejected": [12, 14], "rules": []}


def test_an_edit_counts_once_a_cell_is_changed(review):
    review.choose(0, "edit")
    assert review.rows()[0].choice == "edit"
    assert [c.typed for c in review.rows()[0].cells] == ["Acme", "10", "3", "yes"]
    assert review.counts == (0, 0, 0, 5)
    review.type(0, 0, "Acme GmbH")
    assert review.counts == (0, 1, 0, 4)
    assert review.rows()[0].cells[0].new == "Acme GmbH"
    assert review.keep(0)
    row = review.rows()[0]
    assert (row.editing, row.choice, row.cells[0].text, row.cells[0].new) == (False, "edit", "Acme", "Acme GmbH")
    review.accept_rest()
    assert review.answer()["edited"] == [{"row": 11, "changes": {"vendor": {"from": "Acme", "to": "Acme GmbH"}}}]


def test_typing_the_old_value_again_is_no_change(review):
    review.choose(0, "edit")
    review.type(0, 1, "12.5")
    review.type(0, 1, "10.0")
    assert review.counts[1] == 0
    review.type(0, 1, "10")
    assert review.counts[1] == 0


def test_a_value_that_the_column_does_not_take_stays_in_its_cell_with_the_reason(review):
    review.choose(0, "edit")
    review.type(0, 0, "Acme GmbH")
    review.type(0, 1, "ten")
    cell = review.rows()[0].cells[1]
    assert (cell.typed, cell.problem) == ("ten", "ten is no number")
    assert review.missing == "1 cell to correct"
    assert review.counts[1] == 0
    assert not review.keep(0)
    review.type(0, 1, "12")
    assert (review.missing, review.counts[1]) == ("4 open", 1)


def test_a_discarded_edit_leaves_the_row_as_it_was_decided(review):
    review.choose(0, "reject")
    review.choose(0, "edit")
    review.type(0, 0, "x")
    review.type(0, 1, "ten")
    review.discard(0)
    assert (review.rows()[0].choice, review.counts, review.missing) == ("reject", (0, 0, 1, 4), "4 open")
    review.choose(0, "edit")
    assert review.rows()[0].cells[0].typed == "Acme"


def test_what_was_edited_counts_again_when_the_row_is_chosen_to_be_edited(review):
    review.choose(0, "edit")
    review.type(0, 0, "x")
    review.choose(0, "reject")
    assert review.counts == (0, 0, 1, 4)
    assert review.rows()[0].cells[0].new is None
    review.choose(0, "edit")
    assert review.counts == (0, 1, 0, 4)
    assert review.rows()[0].cells[0].typed == "x"


def test_going_on_to_another_row_closes_a_complete_edit_and_not_a_wrong_one(review):
    review.choose(0, "edit")
    review.type(0, 0, "x")
    review.choose(1, "edit")
    review.choose(2, "edit")
    review.type(2, 1, "ten")
    review.choose(3, "accept")
    assert [(r.number, r.editing, r.choice) for r in review.rows()] == [
        (0, False, "edit"), (1, False, "open"), (2, True, "edit"), (3, False, "accept"), (4, False, "open"),
    ]  # fmt: skip


def test_typing_into_a_row_that_is_not_edited_does_nothing(review):
    review.type(0, 0, "x")
    review.type(0, 99, "x")
    assert not review.is_touched


def test_the_line_ends_of_a_text_stay_as_they_were():
    review = Review(Table(pd.DataFrame({"t": ["a\r\nb"]})))
    review.choose(0, "edit")
    review.type(0, 0, "a\nb")
    assert review.counts[1] == 0
    review.type(0, 0, "a\nc")
    assert review.answer()["edited"][0]["changes"]["t"]["to"] == "a\r\nc"


# -- what is shown ---------------------------------------------------------------------------------------------------------------------


def test_a_text_is_looked_for_in_all_columns_or_in_one(review):
    review.look_for(Filter(" ACME "))
    assert shown(review) == [0, 2]
    review.look_for(Filter("00", column=1))
    assert shown(review) == [1, 4]
    review.look_for(Filter("00", column=2))
    assert (shown(review), review.shown, review.pages) == ([], 0, 1)
    review.look_for(Filter())
    assert review.shown == 5


def test_only_open_rows_are_shown_and_a_row_decided_there_stays_until_the_page_is_turned(review):
    review.choose(0, "accept")
    review.look_for(Filter(only_open=True))
    assert shown(review) == [1, 2, 3, 4]
    review.choose(1, "accept")
    assert (shown(review), review.to_decide) == ([1, 2, 3, 4], 3)
    review.turn(0)
    assert shown(review) == [2, 3, 4]


def test_columns_sort_stably_with_missing_values_last(review):
    review.sort(2)
    assert shown(review) == [1, 3, 0, 2, 4]
    review.sort(2, descending=True)
    assert shown(review) == [0, 2, 4, 3, 1]
    review.sort(1)
    assert shown(review) == [0, 2, 1, 4, 3]
    review.sort(1, descending=True)
    assert shown(review) == [4, 1, 2, 0, 3]
    review.sort(None)
    assert shown(review) == [0, 1, 2, 3, 4]


def test_a_column_of_several_types_sorts_too():
    review = Review(Table(pd.DataFrame({"m": ["b", 2, None, "a", 1]})))
    review.sort(0)
    assert shown(review) == [4, 1, 3, 0, 2]


def test_the_order_stays_under_a_filter_and_the_filter_under_an_order(review):
    review.look_for(Filter("acme"))
    review.sort(1, descending=True)
    assert shown(review) == [2, 0]
    review.look_for(Filter())
    assert shown(review) == [4, 1, 2, 0, 3]


def test_pages_cover_every_row_once():
    review = Review(Table(pd.DataFrame({"n": range(101)})))
    assert (review.page_size, review.pages) == (25, 5)
    review.resize(10)
    seen = []
    for page in range(review.pages):
        review.turn(page)
        seen += shown(review)
    assert seen == list(range(101))
    review.turn(99)
    assert (review.page, shown(review)) == (10, [100])
    review.turn(-1)
    assert review.page == 0
    review.turn(3)
    review.resize(25)
    assert (review.page, shown(review)[0]) == (1, 25)
    review.resize(7)
    assert review.page_size == 25


def test_a_wide_table_has_short_pages_and_says_which_columns_are_left_out():
    review = Review(Table(pd.DataFrame(np.zeros((30, 200)))))
    assert (review.page_size, len(review.columns), len(review.rows()[0].cells)) == (10, COLUMNS_MAX, COLUMNS_MAX)


def test_a_long_text_is_cut_in_its_cell_and_whole_in_its_field():
    text = "word " * 1000
    review = Review(Table(pd.DataFrame({"t": [text]})))
    assert review.rows()[0].cells[0].text == text[:CELL_MAX] + "… 5,000 characters"
    review.choose(0, "edit")
    assert review.rows()[0].cells[0].typed == text


class Odd:
    """Says nothing of itself, not even whether it is equal."""

    __hash__ = None

    def __eq__(self, other):
        raise RuntimeError


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([[1], [2]]),
        pd.Series([{"a": 1}, None]),
        pd.Series([np.array([1, np.nan]), np.array([2])], dtype=object),
        pd.Series([pd.Series([1, 2]), pd.Series([3])], dtype=object),
        pd.Series([Odd(), Odd()], dtype=object),
        pd.Series([1 + 2j, 3j]),
        pd.Series([b"x", b"y"]),
        pd.Series(pd.cut([1, 9], 2)),
        pd.Series(pd.period_range("2026", periods=2, freq="D")),
        pd.Series([pd.Timestamp.min, pd.Timestamp.max]),
        pd.Series([2**64 - 1, 0], dtype="uint64"),
        pd.Series([np.inf, -np.inf]),
        pd.Series([None, None], dtype=object),
        pd.Series(pd.Categorical([None, None])),
    ],
    ids=lambda s: f"{s.dtype} {type(s[0]).__name__}",
)  # fmt: skip
def test_values_of_any_kind_are_shown_sorted_searched_and_sent(values):
    table = Table(pd.DataFrame({"v": values}))
    review = Review(table)
    for descending in (False, True):
        review.sort(0, descending=descending)
    review.sort(None)
    review.look_for(Filter("zz", column=0))
    review.look_for(Filter())
    review.preview("v > 1")
    review.preview("index >= 0")
    assert review.hits == 2
    review.choose(0, "edit")
    assert review.rows()[0].cells[0].fixed is not table.columns[0].takes_edits(values[0])
    review.discard(0)
    review.accept_rest()
    assert expanded(table, review.answer()) == review.answer()


# -- many rows -------------------------------------------------------------------------------------------------------------------------


def test_a_rule_shows_what_it_hits_before_it_decides(review):
    review.preview(" amount > 15 ")
    assert (review.hits, [r.hit for r in review.rows()], review.counts[3]) == (3, [False, True, True, False, True], 5)
    assert review.apply_rule("reject") == 3
    assert (review.rule, review.hits) == ("", 0)
    review.choose(1, "accept")
    review.accept_rest()
    assert review.answer() == {
        "accepted": [11, 12, 14],
        "edited": [],
        "rejected": [13, 15],
        "rules": [{"rule": "amount > 15", "decision": "reject", "rows": [12, 13, 15]}],
    }


def test_a_half_typed_rule_hits_nothing_and_says_why(review):
    review.preview("amount > 15")
    review.preview("amount > ")
    assert (review.hits, review.apply_rule("reject"), review.rule_problem[:14]) == (0, 0, "not a rule yet")
    review.preview("")
    assert review.rule_problem == ""


def test_only_the_rows_of_the_rule_can_be_looked_at(review):
    review.preview("amount > 15")
    review.look_for(Filter(only_hit=True))
    assert shown(review) == [1, 2, 4]
    review.preview("amount > 700")
    assert shown(review) == [4]
    review.apply_rule("accept")
    assert (review.shown, review.filter.only_hit) == (5, False)


def test_a_rule_reads_the_table_as_it_was_asked(review):
    review.choose(0, "edit")
    review.type(0, 1, "5000")
    review.preview("amount > 15")
    assert not review.rows()[0].hit


def test_all_that_is_shown_is_decided_on_every_page(review):
    review.resize(10)
    review.look_for(Filter("acme"))
    assert (review.to_decide, review.decide_shown("reject")) == (2, 2)
    assert review.counts == (0, 0, 2, 3)


def test_of_open_rows_only_those_still_open_are_decided_together(review):
    review.look_for(Filter(only_open=True))
    review.choose(0, "reject")
    assert review.decide_shown("accept") == 4
    assert review.counts == (4, 0, 1, 0)
    assert review.shown == 0


def test_accepting_many_rows_keeps_edits_and_rejecting_them_does_not(review):
    review.choose(0, "edit")
    review.type(0, 0, "x")
    review.choose(1, "edit")
    review.choose(2, "edit")
    review.type(2, 1, "ten")
    assert review.decide_shown("accept") == 3
    assert [(r.editing, r.choice) for r in review.rows()] == [
        (False, "edit"),
        (False, "accept"),
        (True, "edit"),
        (False, "accept"),
        (False, "accept"),
    ]
    assert review.missing == "1 cell to correct"
    review.decide_shown("reject")
    assert (review.counts, review.missing) == ((0, 0, 5, 0), "")


def test_a_decision_about_many_rows_is_undone_without_what_was_decided_since(review):
    review.choose(0, "reject")
    review.preview("amount > 15")
    review.apply_rule("reject")
    review.choose(1, "accept")
    assert review.undoes == "reject 3"
    review.undo()
    assert [r.choice for r in review.rows()] == ["reject", "accept", "open", "open", "open"]
    assert review.undoes == ""
    review.accept_rest()
    assert review.answer()["rules"] == []
    review.undo()
    assert review.undoes == ""
    review.undo()
    assert review.counts[3] == 3


# -- any order of clicks ---------------------------------------------------------------------------------------------------------------

SMALL = pd.DataFrame({"t": ["a", "b", "ab", None, "c", "a"], "x": [1.5, 2.0, np.nan, -1.0, 7.0, 0.0], "n": [1, 2, 3, 1, 2, 3]})


class Clicks(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.review = Review(Table(SMALL))

    @rule(row=st.integers(0, 5), choice=st.sampled_from(["accept", "edit", "reject"]))
    def choose(self, row, choice):
        self.review.choose(row, choice)

    @rule(row=st.integers(0, 5), column=st.integers(0, 2), text=st.sampled_from(["", "a", "5", "1.5", "two"]))
    def type(self, row, column, text):
        self.review.type(row, column, text)

    @rule(row=st.integers(0, 5))
    def keep(self, row):
        self.review.keep(row)

    @rule(row=st.integers(0, 5))
    def discard(self, row):
        self.review.discard(row)

    @rule(text=st.sampled_from(["", "a", "1", "zz"]), column=st.sampled_from([None, 0, 1]), only_open=st.booleans(), only_hit=st.booleans())
    def look(self, text, column, only_open, only_hit):
        self.review.look_for(Filter(text, column, only_open, only_hit))

    @rule(column=st.sampled_from([None, 0, 1, 2]), descending=st.booleans())
    def sort(self, column, descending):
        self.review.sort(column, descending=descending)

    @rule(page=st.integers(-1, 3))
    def turn(self, page):
        self.review.turn(page)

    @rule(text=st.sampled_from(["x > 0", "t == 'a'", "n == 3", "x >", ""]))
    def preview(self, text):
        self.review.preview(text)

    @rule(decision=st.sampled_from(["accept", "reject"]))
    def apply(self, decision):
        self.review.apply_rule(decision)

    @rule(decision=st.sampled_from(["accept", "reject"]))
    def decide(self, decision):
        self.review.decide_shown(decision)

    @rule()
    def undo(self):
        self.review.undo()

    @invariant()
    def every_row_is_somewhere_exactly_once(self):
        assert sum(self.review.counts) == len(SMALL)
        for row in self.review.rows():
            assert all(cell.new is None for cell in row.cells) or row.choice == "edit"

    @invariant()
    def what_can_be_sent_decides_every_row_once_and_is_taken(self):
        if self.review.missing:
            return
        answer = self.review.answer()
        decided = [*answer["accepted"], *(e["row"] for e in answer["edited"]), *answer["rejected"]]
        assert sorted(decided) == list(range(len(SMALL)))
        assert expanded(Table(SMALL), answer) == answer
        result = apply_decisions(SMALL, answer)
        assert len(result) == len(SMALL) - len(answer["rejected"])
        assert result.dtypes.equals(SMALL.dtypes)

    def teardown(self):
        for row in range(len(SMALL)):
            self.review.discard(row)
        self.review.accept_rest()
        self.what_can_be_sent_decides_every_row_once_and_is_taken()


Clicks.TestCase.settings = settings(deadline=None, max_examples=60, stateful_step_count=25)
TestAnyOrderOfClicks = Clicks.TestCase


def test_ten_thousand_rows_are_decided_without_work_for_each_of_them(monkeypatch):
    """No timing: the ids, the only thing that Python makes one by one, are not touched before the answer is made."""
    frame = pd.DataFrame({"n": np.arange(10_000), "t": "x"})
    table = Table(frame)
    review = Review(table)
    table.ids = None
    review._row = lambda *_: None  # a page is drawn row by row, the table never
    review.preview("n % 2 == 0")
    review.apply_rule("reject")
    review.sort(0, descending=True)
    review.turn(7)
    review.choose(3, "accept")
    review.accept_rest()
    review.undo()
    assert review.counts == (1, 0, 5000, 4999)


def test_a_new_value_is_shown_as_it_is_sent_however_its_column_is_rounded():
    review = Review(Table(pd.DataFrame({"amount": [1.25, 2.5], "whole": [1.0, 2.0], "day": pd.to_datetime(["2026-01-01", "2026-01-02"])})))
    review.choose(0, "edit")
    for column, typed in enumerate(["12.3456", "12.5", "2026-01-03 10:30"]):
        review.type(0, column, typed)
    assert [c.new for c in review.rows()[0].cells] == ["12.3456", "12.5", "2026-01-03 10:30:00"]
    # What its fields hold when it is edited once more makes the same answer.
    review.choose(1, "accept")
    before = review.answer()
    review.choose(0, "edit")
    for cell in review.rows()[0].cells:
        review.type(0, cell.column, cell.typed)
    assert review.answer() == before
    assert before["edited"][0]["changes"]["day"]["to"] == "2026-01-03T10:30:00"


def test_a_number_that_would_be_rounded_is_not_taken():
    review = Review(Table(pd.DataFrame({"x": [1.25, 2.5]})))
    review.choose(0, "edit")
    review.type(0, 0, "0.12345678901234567891")
    assert review.rows()[0].cells[0].problem == "0.12345678901234567891 has more digits than are kept; the nearest number is 0.12345678901234568"
    assert "to correct" in review.missing
    for typed in ("0.1", "1e-7", "-2.", ".5", "12345678901234567000"):
        review.type(0, 0, typed)
        assert review.rows()[0].cells[0].problem == ""
