"""A table under review: what is decided, what is shown, what a rule would hit. A change costs about the same for ten rows and ten thousand."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from hitl_nb.decisions.line_ends import ended_like
from hitl_nb.decisions.rows.answer import ACCEPT, DECISIONS, EDIT, OPEN, REJECT, Changes, Used, counted, made
from hitl_nb.decisions.rows.columns import BadValueError, Column, is_missing, plain
from hitl_nb.decisions.rows.page import Cell, Choice, Filter, Row
from hitl_nb.decisions.rows.rule import BadRuleError, rows_hit
from hitl_nb.decisions.rows.table import Table
from hitl_nb.decisions.wording import plural
from hitl_nb.errors import InvalidAnswerError

PAGE_SIZES: Final = (10, 25, 50)
COLUMNS_MAX: Final = 60
"""Columns that are shown. Rules and answers from code reach them all."""
CELL_MAX: Final = 1000
"""Characters of a value that are shown in its cell."""
_WIDE: Final = 12
"""Columns from which a page is short at first."""
_UNDO_MAX: Final = 20
_CHOICES: Final[tuple[Choice, ...]] = ("open", "accept", "edit", "reject")


@dataclass(frozen=True, slots=True)
class _Done:
    """A decision about many rows, with what it takes to undo it."""

    decision: str
    rows: Any
    """Row numbers."""
    before: Any
    """What was decided about them, in the same order."""
    rule: bool
    """It noted down a rule, the latest of those that stand when it is undone."""


class Review:
    """Decisions about the rows of one table. Not thread-safe: one card at a time.

    A row is open, accepted, rejected, or edited: accepted with other values. What was edited stays known when the row is decided otherwise, and
    counts again when it is chosen to be edited. Decisions about many rows leave edited rows edited when they accept.
    """

    def __init__(self, table: Table) -> None:
        import numpy as np

        self.table = table
        self.columns: tuple[Column, ...] = table.columns[:COLUMNS_MAX]
        self.filter = Filter()
        self.sorted_by: int | None = None
        self.descending = False
        self.page_size = PAGE_SIZES[1] if len(table.columns) <= _WIDE else PAGE_SIZES[0]
        self.page = 0
        self.rule = ""
        self.rule_problem = ""
        self._hit = np.zeros(len(table), dtype=bool)
        self._choices = np.zeros(len(table), dtype=np.int8)
        self._changes: Changes = {}
        self._rejected_text: dict[tuple[int, int], tuple[str, str]] = {}
        """Of a cell: what was typed, and why it is not taken."""
        self._editing: dict[int, int] = {}
        """Rows whose cells are fields, with what they were before."""
        self._rules: Used = []
        self._done: list[_Done] = []
        self._order: Any = None
        self._view = np.arange(len(table))

    def copy(self) -> Review:
        """A review of its own that goes on from here."""
        made = copy(self)
        made._choices = self._choices.copy()
        made._changes = {row: dict(changed) for row, changed in self._changes.items()}
        made._rejected_text, made._editing = dict(self._rejected_text), dict(self._editing)
        made._rules, made._done = list(self._rules), list(self._done)
        return made

    # -- what is shown

    @property
    def shown(self) -> int:
        """Rows that the filter lets through, on all pages."""
        return len(self._view)

    @property
    def pages(self) -> int:
        return max(1, -(-len(self._view) // self.page_size))

    def rows(self) -> list[Row]:
        """The rows of the page."""
        at = self._view[self.page * self.page_size :][: self.page_size]
        values = [self.table.values(c.number, at) for c in self.columns]
        return [self._row(n, [column[k] for column in values]) for k, n in enumerate(at.tolist())]

    def _row(self, number: int, values: list[Any]) -> Row:
        editing = number in self._editing
        changed = self._changes.get(number, {}) if editing or self._choices[number] == EDIT else {}
        cells = tuple(self._cell(number, column, value, changed, editing=editing) for column, value in zip(self.columns, values, strict=True))
        choice: Choice = "edit" if editing else _CHOICES[self._choices[number]]
        return Row(number, str(self.table.frame.index[number]), choice, editing, bool(self._hit[number]), cells)

    def _cell(self, number: int, column: Column, value: Any, changed: Mapping[int, Any], *, editing: bool) -> Cell:
        text, missing = column.shown(value), is_missing(value)
        text = text if len(text) <= CELL_MAX else f"{text[:CELL_MAX]}… {len(text):,} characters"
        new = None
        if column.number in changed:
            to = changed[column.number]
            new = "" if to is None else column.shown_exactly(column.check(to, value))
        if not editing:
            return Cell(column.number, text, missing, new)
        typed, problem = self._rejected_text.get((number, column.number), (None, ""))
        if typed is None:
            typed = self._written(column, value, changed)
        return Cell(column.number, text, missing, new, typed, problem, not column.takes_edits(value))

    @staticmethod
    def _written(column: Column, value: Any, changed: Mapping[int, Any]) -> str:
        if column.number not in changed:
            return column.written(value)
        to = changed[column.number]
        return "" if to is None else column.written(column.check(to, value))

    def look_for(self, asked: Filter) -> None:
        """Show the rows that hold this, from the first page."""
        self.keep_complete()
        self.filter, self.page = asked, 0
        self._look()

    def sort(self, column: int | None, *, descending: bool = False) -> None:
        """Order the rows by a column as it was asked, stably, missing values last; None: as they were asked."""
        self.keep_complete()
        self.sorted_by, self.descending, self.page = column, descending, 0
        self._order = None if column is None else _ordered(self.table.frame.iloc[:, column], descending=descending)
        self._look()

    def turn(self, page: int) -> None:
        """Go to a page. Rows that were decided meanwhile leave a view of open ones; rows whose edit is complete are closed."""
        self.keep_complete()
        if self.filter.only_open:
            self._look()
        self.page = min(max(0, page), self.pages - 1)

    def resize(self, page_size: int) -> None:
        """So many rows a page; the first row that is seen stays so."""
        if page_size in PAGE_SIZES:
            first, self.page_size = self.page * self.page_size, page_size
            self.page = first // page_size

    def _look(self) -> None:
        import numpy as np

        order = np.arange(len(self.table)) if self._order is None else self._order
        self._view = order[self._lets_through()[order]]

    def _lets_through(self) -> Any:
        import numpy as np

        wanted = self.filter.text.strip().casefold()
        found = np.ones(len(self.table), dtype=bool)
        if wanted:
            texts = self._texts if self.filter.column is None else self._texts_of(self.filter.column)
            found = np.fromiter((wanted in text for text in texts), dtype=bool, count=len(texts))
        if self.filter.only_hit:
            found &= self._hit
        return found & (self._choices == OPEN) if self.filter.only_open else found

    @cached_property
    def _texts(self) -> list[str]:
        """All that is shown of each row, to look for a text in."""
        return ["\n".join(texts) for texts in zip(*(self._texts_of(c.number) for c in self.columns), strict=True)]

    def _texts_of(self, column: int) -> list[str]:
        return [text.casefold() for text in self.table.columns[column].all_shown(self.table.frame.iloc[:, column])]

    # -- one row

    def choose(self, number: int, choice: Choice) -> None:
        """Decide a row, or open its cells for editing. An edit without a change decides nothing yet. Other rows whose edit is complete are closed."""
        self.keep_complete(besides=number)
        if choice == "edit":
            self._editing.setdefault(number, int(self._choices[number]))
            self._choices[number] = self._as_edited(number)
            return
        self._stop_editing(number)
        self._choices[number] = _CHOICES.index(choice)

    def type(self, number: int, column: int, text: str) -> None:
        """Take what is typed into a cell of a row that is edited. What its column does not take is kept, with the reason."""
        if number not in self._editing or not 0 <= column < len(self.columns):
            return
        of, value = self.columns[column], self.table.value(number, column)
        text = ended_like(value, text) if isinstance(value, str) else text
        self._rejected_text.pop((number, column), None)
        changed = self._changes.setdefault(number, {})
        try:
            to = plain(value) if text == of.written(value) else of.read(text, value)
        except BadValueError as error:
            self._rejected_text[number, column] = (text, str(error))
            to = plain(value)
        if type(to) is type(plain(value)) and to == plain(value):
            changed.pop(column, None)
        else:
            changed[column] = to
        self._choices[number] = self._as_edited(number)

    def keep(self, number: int) -> bool:
        """Close the fields of a row and keep what was changed. False: something in it is not taken yet, or nothing is changed."""
        if number not in self._editing:
            return True
        if self._problems(number):
            return False
        before = self._editing.pop(number)
        if not self._changes.get(number):
            self._changes.pop(number, None)
            self._choices[number] = OPEN if before == EDIT else before
        return True

    def keep_complete(self, *, besides: int = -1) -> None:
        """Close the fields of all rows, but of those where something is not taken yet."""
        for number in [n for n in self._editing if n != besides]:
            self.keep(number)

    def discard(self, number: int) -> None:
        """Close the fields of a row and forget what was changed in it."""
        if number in self._editing:
            before = self._editing.pop(number)
            self._forget_typing(number)
            self._changes.pop(number, None)
            self._choices[number] = OPEN if before == EDIT else before

    def _as_edited(self, number: int) -> int:
        return EDIT if self._changes.get(number) and not self._problems(number) else OPEN

    def _problems(self, number: int) -> list[tuple[int, int]]:
        return [key for key in self._rejected_text if key[0] == number]

    def _stop_editing(self, number: int) -> None:
        self._editing.pop(number, None)
        self._forget_typing(number)

    def _forget_typing(self, number: int) -> None:
        for key in self._problems(number):
            del self._rejected_text[key]

    # -- many rows

    def preview(self, rule: str) -> None:
        """Mark the rows that the rule hits, in the whole table as it was asked. A rule that cannot be computed hits none, and says why."""
        import numpy as np

        self.rule, self.rule_problem = rule.strip(), ""
        self._hit = np.zeros(len(self.table), dtype=bool)
        if self.rule:
            try:
                self._hit = rows_hit(self.rule, self.table.frame)
            except BadRuleError as error:
                self.rule_problem = str(error)
        if self.filter.only_hit:
            self.look_for(self.filter if self.hits else replace(self.filter, only_hit=False))

    @property
    def hits(self) -> int:
        return int(self._hit.sum())

    def apply_rule(self, decision: str) -> int:
        """Accept or reject what the rule hits, and note it down. Returns how many rows were decided."""
        if not self.hits:
            return 0
        hit = self._hit.nonzero()[0]
        done = self._decide(hit, decision, rule=True)
        self._rules.append((self.rule, decision, hit.tolist()))
        self.preview("")
        return done

    @property
    def to_decide(self) -> int:
        """How many rows `decide_shown` acts on."""
        return len(self._shown_now())

    def decide_shown(self, decision: str) -> int:
        """Accept or reject every row that the filter lets through, on all pages. Returns how many rows were decided."""
        return self._decide(self._shown_now(), decision)

    def accept_rest(self) -> int:
        """Accept what is open. Returns how many rows were decided."""
        return self._decide((self._choices == OPEN).nonzero()[0], "accept")

    def _shown_now(self) -> Any:
        """What is shown, without the rows that stay in sight although they were decided since."""
        return self._view[self._choices[self._view] == OPEN] if self.filter.only_open else self._view

    def _decide(self, rows: Any, decision: str, *, rule: bool = False) -> int:
        to = DECISIONS[decision]
        if to == ACCEPT:
            rows = rows[self._choices[rows] != EDIT]
            stuck = [n for n in self._editing if self._problems(n)]
            rows = rows[~_among(rows, stuck)] if stuck else rows
        touched = set(rows.tolist()) if self._editing else set()
        for number in [n for n in self._editing if n in touched or self._choices[n] == EDIT]:
            self._stop_editing(number)
        self._done = [*self._done[1 - _UNDO_MAX :], _Done(decision, rows, self._choices[rows], rule)]
        self._choices[rows] = to
        if self.filter.only_open:
            self.turn(self.page)
        return len(rows)

    @property
    def undoes(self) -> str:
        """What `undo` takes back: `reject 3`; empty when there is nothing."""
        return f"{self._done[-1].decision} {len(self._done[-1].rows):,}" if self._done else ""

    def undo(self) -> None:
        """Take back the latest decision about many rows. What was decided about single ones of them since stays."""
        if self._done:
            done = self._done.pop()
            still = self._choices[done.rows] == DECISIONS[done.decision]
            self._choices[done.rows[still]] = done.before[still]
            if done.rule:
                self._rules.pop()

    # -- the answer

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Accepted, edited, rejected, open."""
        import numpy as np

        found = np.bincount(self._choices, minlength=4).tolist()
        return found[ACCEPT], found[EDIT], found[REJECT], found[OPEN]

    def in_words(self) -> str:
        return counted(*self.counts)

    @property
    def missing(self) -> str:
        """What is missing before the answer can be sent; empty when nothing is."""
        wrong = len(self._rejected_text)
        if wrong:
            return f"{plural(wrong, 'cell')} to correct"
        left = self.counts[3]
        return f"{left:,} open" if left else ""

    @property
    def is_touched(self) -> bool:
        return self.counts[3] < len(self.table) or bool(self._changes) or bool(self._rejected_text)

    def answer(self) -> dict[str, Any]:
        """The answer in full, see `decisions.rows`. Raises InvalidAnswerError while something is missing."""
        if self.missing:
            raise InvalidAnswerError(f"not every row is decided: {self.missing}", reason=self.missing)
        return made(self.table, self._choices, self._changes, self._rules)


def _ordered(series: Any, *, descending: bool) -> Any:
    """Row numbers in the order of the column."""
    import pandas as pd

    values = pd.Series(series.array)
    try:
        return values.sort_values(ascending=not descending, kind="stable", na_position="last").index.to_numpy()
    except (TypeError, ValueError):  # values of several types, or arrays
        texts = values.map(lambda v: v if is_missing(v) else f"{type(v).__name__} {v}")
        return texts.sort_values(ascending=not descending, kind="stable", na_position="last").index.to_numpy()


def _among(rows: Any, some: list[int]) -> Any:
    import numpy as np

    return np.isin(rows, some)
