"""The rows of a table, a page at a time: a decision for each, cells that can be edited, a search, a rule. What it does lies in `decisions.rows`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from hitl_nb.decisions.answering import build_answer
from hitl_nb.decisions.line_ends import bare
from hitl_nb.decisions.request import Option, Request
from hitl_nb.decisions.rows.columns import CHOICES_MAX, Column
from hitl_nb.decisions.rows.page import Cell, Row
from hitl_nb.decisions.rows.review import COLUMNS_MAX, PAGE_SIZES, Review
from hitl_nb.decisions.rows.rule import example_for
from hitl_nb.decisions.rows.table import Table, found_in
from hitl_nb.decisions.wording import capital, plural
from hitl_nb.widgets.panel import Extra, Panel
from hitl_nb.widgets.surface import Act
from hitl_nb.widgets.tree import Node, h, icon

_CHOICES: Final = (("accept", "check", "Accept"), ("edit", "edit", "Edit"), ("reject", "x", "Reject"))
_LONG: Final = 60
"""Characters from which a text is edited in a field of several lines."""
_WORDY: Final = 24
"""Characters from which a cell is given room for several words a line."""
_KEPT_MAX: Final = 8
_KEPT: Final[dict[str, Review]] = {}
"""Reviews that were begun, by question, as long as the kernel lives: a cell that is run again goes on with them, as does who changes the answer."""


def _review_of(request: Request) -> Review:
    kept = _KEPT.get(request.question.id)
    if kept is not None:
        return kept.copy()  # two cards of one question show and send each its own
    asked = found_in(request.question.payload)
    if asked is None:
        raise TypeError("the payload of this question holds no table")
    return Review(Table(asked.value))


class TablePanel(Panel):
    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self.review = _review_of(request)
        self._example = example_for(self.review.table.frame)
        self._index = _named_index(self.review.table)
        self._index_look = "hitl-nb-num" if not self.review.table.by_position and isinstance(self.review.table.ids[0], int) else None
        self._typed = 0
        """Goes up when the fields of rule and search are to be written anew."""

    # -- what a person does

    def take(self, fields: Mapping[str, Any]) -> None:
        """Only the cells: rule and search are acts of their own, since what they show has to be seen before it is used."""
        for name, value in fields.items():
            if name.startswith("cell-") and isinstance(value, str):
                _, row, column = name.split("-")
                self.review.type(int(row), int(column), value)

    def act(self, act: Act) -> str | None:
        review, arg = self.review, act.arg
        _KEPT.pop(self.request.question.id, None)
        _KEPT[self.request.question.id] = review
        while len(_KEPT) > _KEPT_MAX:
            del _KEPT[next(iter(_KEPT))]
        match act.name:
            case "choose":
                review.choose(int(arg), act.value)
            case "keep" | "discard":
                row = int(arg.partition("-")[0])
                if act.name == "discard":
                    review.discard(row)
                elif not review.keep(row):
                    return None
                return self._radio(row)
            case "rule":
                review.preview(str(act.value))
            case "find":
                review.look_for(replace(review.filter, text=str(act.value)))
            case "in":
                review.look_for(replace(review.filter, column=int(act.value) if act.value else None))
            case "only-open":
                review.look_for(replace(review.filter, only_open=act.value is True))
            case "only-hit":
                review.look_for(replace(review.filter, only_hit=act.value is True))
            case "sort":
                self._sort(int(arg))
            case "page":
                review.turn(int(arg))
                return "next" if review.page == 0 else "prev" if review.page == review.pages - 1 else None
            case "size":
                review.resize(int(act.value))
            case "undo":
                review.undo()
                return None if review.undoes else "rows"
            case "rest":
                review.accept_rest()
                return "rows"
            case "apply":
                if str(act.fields.get("rule", "")).strip() != review.rule:  # typed on since: first it is shown what it hits now
                    review.preview(str(act.fields.get("rule", "")))
                    return None
                review.apply_rule(arg)
                self._typed += 1
                return "rule"
            case "shown":
                if str(act.fields.get("find", "")) != review.filter.text:
                    review.look_for(replace(review.filter, text=str(act.fields.get("find", ""))))
                    return None
                review.decide_shown(arg)
                return None if review.to_decide else "find"
        return None

    def _sort(self, column: int) -> None:
        """Up, down, as it was asked."""
        if self.review.sorted_by != column:
            self.review.sort(column)
        elif self.review.descending:
            self.review.sort(None)
        else:
            self.review.sort(column, descending=True)

    def _radio(self, row: int) -> str:
        choice = next((r.choice for r in self.review.rows() if r.number == row), "open")
        return f"{'accept' if choice == 'open' else choice}-{row}"

    # -- what the card asks

    def extras(self) -> Sequence[Extra]:
        left = self.review.counts[3]
        label = "Accept the rest" if not left else f"Accept {'all' if left == len(self.review.table) else 'the other'} {left:,}"
        return [Extra("rest", label, bool(left))]

    def blocked(self) -> str:
        return self.review.missing

    def line(self) -> str:
        words, missing = self.review.in_words(), self.review.missing
        return f"{words}, {missing}" if missing.endswith("correct") else words

    def answer(self, option: Option, comment: str) -> Any:
        return build_answer(self.request.form, option.value, filled=self.review.answer(), comment=comment)

    @property
    def unsent(self) -> Mapping[str, str]:
        return {"decisions": self.review.in_words()} if self.review.is_touched else {}

    # -- what is drawn

    def tree(self) -> Sequence[Node]:
        return [h("div", {"class": "hitl-nb-table"}, self._rule(), self._search(), self._grid(), self._pager(), self._notes(), self._lost())]

    def _rule(self) -> Node:
        review = self.review
        hits, said = review.hits, f"for example {self._example}"
        if review.rule_problem:
            said = capital(review.rule_problem)
        elif review.rule:
            said = f"{hits:,} of {len(review.table):,} rows match"
        return h(
            "div",
            {"class": "hitl-nb-tools"},
            h("label", {"for": "rule"}, "Rule"),
            h(
                "input",
                {
                    "id": "rule", "type": "text", "class": "hitl-nb-rule", "value": review.rule, "rev": self._typed, "data-f": "rule",
                    "data-act": "rule", "data-on": "input", "data-enter": "rule", "spellcheck": "false", "autocomplete": "off",
                    "aria-describedby": "found",
                },
            ),
            h("span", {"id": "found", "role": "status", "class": f"hitl-nb-found{'' if review.rule else ' hitl-nb-mut'}"}, said),
            _check("only-hit", "Only these", checked=review.filter.only_hit) if hits else None,
            _small("apply", "accept", f"Accept {hits:,}" if hits else "Accept", enabled=hits > 0),
            _small("apply", "reject", f"Reject {hits:,}" if hits else "Reject", enabled=hits > 0, look="hitl-nb-danger"),
        )  # fmt: skip

    def _search(self) -> Node:
        review, shown = self.review, self.review.to_decide
        columns = [h("option", {"value": ""}, "All columns"), *(h("option", {"value": c.number}, c.name) for c in review.columns)]
        column = "" if review.filter.column is None else review.filter.column
        return h(
            "div",
            {"class": "hitl-nb-tools"},
            h(
                "input",
                {
                    "id": "find", "type": "search", "class": "hitl-nb-find", "value": review.filter.text, "rev": self._typed,
                    "placeholder": "Search", "aria-label": "Search the rows", "data-f": "find", "data-act": "find", "data-on": "input",
                    "autocomplete": "off", "spellcheck": "false",
                },
            ),
            h("select", {"id": "in", "value": column, "data-act": "in", "aria-label": "Search in"}, columns),
            _check("only-open", "Only undecided", checked=review.filter.only_open),
            h("span", {"class": "hitl-nb-space"}),
            _small("shown", "accept", f"Accept {shown:,} shown", enabled=shown > 0),
            _small("shown", "reject", f"Reject {shown:,} shown", enabled=shown > 0, look="hitl-nb-danger"),
        )  # fmt: skip

    def _grid(self) -> Node:
        review = self.review
        rows = review.rows()
        head: list[Node] = [h("th", {"scope": "col", "class": "hitl-nb-decide"}, "Decision")]
        if self._index is not None:
            head.append(h("th", {"scope": "col", "class": self._index_look}, self._index or h("span", {"class": "hitl-nb-unseen"}, "Row")))
        head += [self._head(c) for c in review.columns]
        empty = h("p", {"class": "hitl-nb-mut hitl-nb-empty"}, "No row is like this.") if not rows else None
        return h(
            "div",
            {"id": "rows", "class": "hitl-nb-grid", "tabindex": "0", "role": "region", "aria-label": "Rows"},
            h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, [self._row(r) for r in rows])),
            empty,
        )

    def _head(self, column: Column) -> Node:
        sorted_by = self.review.sorted_by == column.number
        order = ("descending" if self.review.descending else "ascending") if sorted_by else "none"
        arrow = icon("down" if self.review.descending else "up") if sorted_by else None
        button = h(
            "button", {"id": f"sort-{column.number}", "class": "hitl-nb-sort", "data-act": "sort", "data-arg": column.number}, column.name, arrow
        )
        return h("th", {"scope": "col", "aria-sort": order, "class": "hitl-nb-num" if column.is_number else None}, button)

    def _row(self, row: Row) -> Node:
        marks = (("hitl-nb-hit", row.hit), ("hitl-nb-rej", row.choice == "reject"), ("hitl-nb-editing", row.editing))
        cells: list[Node] = [h("td", {"class": "hitl-nb-decide"}, self._segment(row))]
        if self._index is not None:
            cells.append(h("th", {"scope": "row", "class": self._index_look}, row.label))
        cells += [self._cell(row, cell) for cell in row.cells]
        return h("tr", {"id": f"row-{row.number}", "class": " ".join(name for name, on in marks if on) or None}, cells)

    @staticmethod
    def _segment(row: Row) -> Node:
        parts = []
        for choice, drawn, label in _CHOICES:
            chosen = row.choice == choice
            radio = {
                "id": f"{choice}-{row.number}", "type": "radio", "name": f"choice-{row.number}", "value": choice, "checked": chosen,
                "rev": row.choice, "data-act": "choose", "data-arg": row.number, "aria-label": label,
            }  # fmt: skip
            parts.append(h("label", {"class": f"hitl-nb-take-{choice}", "title": label}, h("input", radio), icon(drawn)))
        return h("span", {"class": "hitl-nb-choices", "role": "radiogroup", "aria-label": f"Row {row.label}"}, parts)

    def _cell(self, row: Row, cell: Cell) -> Node:
        column = self.review.columns[cell.column]
        look = {"class": "hitl-nb-num" if column.is_number else "hitl-nb-wordy" if len(cell.text) > _WORDY else None}
        if row.editing and not cell.fixed:
            return h("td", look, _field(row, cell, column))
        old = h("span", {"class": "hitl-nb-absent"}, "none") if cell.missing else cell.text
        if cell.new is None:
            return h("td", look, old)
        return h("td", look, h("del", {}, old), " ", h("ins", {}, cell.new or "none"))

    def _pager(self) -> Node:
        review = self.review
        first = review.page * review.page_size
        span = f"{first + 1:,}-{min(first + review.page_size, review.shown):,} of {review.shown:,}"
        if review.pages == 1:
            span = plural(review.shown, "row")
        sizes = [h("option", {"value": size}, f"{size} a page") for size in PAGE_SIZES]
        turns = len(review.table) > PAGE_SIZES[0]
        return h(
            "div",
            {"class": "hitl-nb-tools"},
            _turn("prev", review.page - 1, "Previous page", enabled=review.page > 0) if turns else None,
            h("span", {"role": "status"}, span),
            _turn("next", review.page + 1, "Next page", enabled=review.page < review.pages - 1) if turns else None,
            h("select", {"id": "size", "value": review.page_size, "data-act": "size", "aria-label": "Rows a page"}, sizes) if turns else None,
            h("span", {"class": "hitl-nb-space"}),
            _small("undo", "", f"Undo {review.undoes}", look="hitl-nb-quiet") if review.undoes else None,
        )

    def _lost(self) -> Node | None:
        """Seen only when the kernel is gone: the rows keep showing what was decided, so that it can be decided again."""
        words = f"Not sent: {self.review.in_words()}. What was decided can still be seen here."
        return h("p", {"class": "hitl-nb-lost"}, words) if self.review.is_touched else None

    def _notes(self) -> list[Node]:
        table = self.review.table
        said = []
        if table.by_position:
            said.append("Rows are named by their position, from 0: the labels of the index repeat, or are no numbers or texts.")
        if len(table.columns) > COLUMNS_MAX:
            said.append(f"{COLUMNS_MAX} of {len(table.columns):,} columns are shown; a rule can use them all.")
        return [h("p", {"class": "hitl-nb-mut"}, " ".join(said))] if said else []


def _field(row: Row, cell: Cell, column: Column) -> list[Node]:
    name = f"cell-{row.number}-{cell.column}"
    own = {
        "id": name, "data-f": name, "data-act": "cell", "data-arg": f"{row.number}-{cell.column}", "value": cell.typed, "aria-label": column.name,
        "aria-invalid": "true" if cell.problem else None, "aria-describedby": f"{name}-note" if cell.problem or cell.new is not None else None,
        "data-escape": "discard",
    }  # fmt: skip
    words = ["yes", "no"] if column.kind == "bool" else list(column.names) if len(column.names) <= CHOICES_MAX else []
    if words and (cell.typed == "" or cell.typed in words) and not cell.problem:
        words = ["", *words] if column.nullable else words
        control = h("select", {**own, "data-enter": "keep"}, [h("option", {"value": w}, w or "none") for w in words])
    elif "\n" in bare(cell.typed) or len(cell.typed) > _LONG:
        control = h("textarea", {**own, "data-on": "input", "rows": 3, "spellcheck": "false"})
    else:
        mode = {"integer": "numeric", "float": "decimal"}.get(column.kind, "text")
        typing = {"type": "text", "inputmode": mode, "data-on": "input", "data-enter": "keep", "autocomplete": "off", "spellcheck": "false"}
        control = h("input", {**own, **typing})
    if cell.problem:
        return [control, h("p", {"id": f"{name}-note", "class": "hitl-nb-bad"}, capital(cell.problem))]
    if cell.new is not None:
        return [control, h("p", {"id": f"{name}-note", "class": "hitl-nb-mut"}, "was ", h("del", {}, "none" if cell.missing else cell.text))]
    return [control]


def _check(act: str, label: str, *, checked: bool) -> Node:
    box = {"id": act, "type": "checkbox", "checked": checked, "rev": checked, "data-act": act}
    return h("label", {"class": "hitl-nb-check"}, h("input", box), label)


def _small(act: str, arg: str, label: str, *, enabled: bool = True, look: str = "") -> Node:
    own = {"id": f"{act}-{arg}", "class": f"hitl-nb-small {look}".strip(), "data-act": act, "data-arg": arg, "disabled": not enabled}
    return h("button", own, label)


def _turn(name: str, page: int, label: str, *, enabled: bool) -> Node:
    own = {"id": name, "class": "hitl-nb-small", "data-act": "page", "data-arg": page, "disabled": not enabled, "aria-label": label, "title": label}
    return h("button", own, icon(name))


def _named_index(table: Table) -> str | None:
    """The heading of the index; None when it only counts the rows and need not be shown."""
    index = table.frame.index
    if index.name is None and table.ids == list(range(len(table))) and not table.by_position:
        return None
    return "" if index.name is None else str(index.name)
