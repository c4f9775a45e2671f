"""One text: typed from scratch, edited against its original with the differences shown, or written as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import ipywidgets

from hitl_nb.decisions.answering import build_answer
from hitl_nb.decisions.json_text import JsonTextError, laid_out, read_json, rounded
from hitl_nb.decisions.line_ends import ended_like
from hitl_nb.decisions.request import Option, Request
from hitl_nb.errors import InvalidAnswerError
from hitl_nb.widgets.controls import classed
from hitl_nb.widgets.diff import side_by_side
from hitl_nb.widgets.panel import Panel


class TextPanel(Panel):
    def __init__(self, request: Request) -> None:
        super().__init__(request)
        form = request.form
        label, value, look = {
            "text": ("Your answer", "", "typed"),
            "json": ("Your answer, as JSON", form.template, "json"),
        }.get(form.control, ("Your edit", form.subject or "", "json" if form.parse else "editor"))
        self.field = classed(ipywidgets.Textarea(value=value, description=label), f"hitl-nb-main hitl-nb-{look}")
        self._changes = classed(ipywidgets.HTML(), "hitl-nb-data" if form.parse else "")
        self._said = classed(ipywidgets.HTML(), "hitl-nb-said") if form.parse else None
        """What is wrong with the JSON."""
        self._problem = ""
        self.widget = classed(ipywidgets.VBox([w for w in (self.field, self._said, self._changes) if w is not None]), "hitl-nb-edit")
        self.field.observe(lambda _: self._typed(), "value")

    def _typed(self) -> None:
        if self._said is not None:
            self._check(self._said)
        self.changed()

    def _check(self, said: Any) -> None:
        """Say at the field what is wrong with the JSON while it is typed. An empty field is only begun, not wrong."""
        self._problem, notes = "", []
        try:
            read_json(self.text)
            notes = rounded(self.text)
        except JsonTextError as error:
            self._problem = str(error) if self.text.strip() and not self.is_untouched else ""
        tone, words = ("bad", self._problem) if self._problem else ("mut", "; ".join(notes))
        said.value = f'<p class="hitl-nb-why hitl-nb-{tone}">{escape(words)}</p>' if words else ""

    def is_wrong(self) -> bool:
        return bool(self._problem)

    def blocked(self) -> str:
        return "The JSON is not right yet." if self._problem else ""

    @property
    def text(self) -> str:
        """The field's text, with the line ends of the original: a browser's text field turns them all into a bare newline."""
        return ended_like(self.request.form.subject or "", self.field.value)

    @property
    def is_untouched(self) -> bool:
        """Whether the field holds what it began with."""
        return self.text in (self.request.form.subject, self.request.form.template)

    @property
    def is_unchanged(self) -> bool:
        """Whether the original is there as it was. Of data, how they are laid out does not count."""
        old, new = self._compared()
        return old == new

    def _compared(self) -> tuple[str, str]:
        """Original and edit as they are compared; data that can be read one item a line."""
        old, new = self.request.form.subject or "", self.text
        if not self.request.form.parse or old == new:
            return old, new
        try:
            return laid_out(old), laid_out(new)
        except ValueError:
            return old, new

    def compare(self) -> None:
        """Draw the differences to the original. Data that cannot be read have none to show."""
        if self._problem:
            self._changes.value = ""
            return
        old, new = self._compared()
        if old != new:
            caption = "Changes"
        elif self.is_untouched:
            caption = "No changes yet"
        else:
            caption = "No changes: only the layout differs"
        compared = "" if old == new else side_by_side(old, new)
        self._changes.value = f'<div class="hitl-nb-cap">{caption}</div>{compared}'

    def discard(self) -> None:
        self.field.value = self.request.form.subject or ""

    def answer(self, option: Option, comment: str) -> Any:
        return build_answer(self.request.form, option.value, text=self.text, comment=comment)

    @property
    def unsent(self) -> Mapping[str, str]:
        form = self.request.form
        return {} if self.field.value in ("", form.subject, form.template) else {"text": self.field.value}

    def refuse(self, error: InvalidAnswerError) -> tuple[str, str]:
        return (error.reason if error.path == ["text"] and error.reason else str(error)), ""
