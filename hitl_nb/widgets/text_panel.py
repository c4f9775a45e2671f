"""One text: typed from scratch, edited against its original with the differences shown, or written as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import ipywidgets

from hitl_nb.decisions.answering import build_answer
from hitl_nb.decisions.request import Option, Request
from hitl_nb.widgets.controls import classed
from hitl_nb.widgets.diff import side_by_side
from hitl_nb.widgets.panel import Panel


class TextPanel(Panel):
    def __init__(self, request: Request, changed: Callable[[], None]) -> None:
        super().__init__(request)
        form = request.form
        label, value, look = {
            "text": ("Your answer", "", "typed"),
            "json": ("Your answer, as JSON", form.template, "json"),
        }.get(form.control, ("Your edit", form.subject or "", "json" if form.parse else "editor"))
        self.field = classed(ipywidgets.Textarea(value=value, description=label), f"hitl-nb-main hitl-nb-{look}")
        self._changes = ipywidgets.HTML()
        self.widget = classed(ipywidgets.VBox([self.field, self._changes]), "hitl-nb-edit")
        self.field.observe(lambda _: changed(), "value")

    @property
    def text(self) -> str:
        """The field's text, with the line ends of the original: a browser's text field turns them all into a bare newline."""
        text: str = self.field.value
        if "\r\n" not in (self.request.form.subject or ""):
            return text
        return text.replace("\r\n", "\n").replace("\n", "\r\n")

    @property
    def is_unchanged(self) -> bool:
        return self.text == self.request.form.subject

    def compare(self) -> None:
        """Draw the differences to the original."""
        compared = "" if self.is_unchanged else side_by_side(self.request.form.subject or "", self.field.value)
        self._changes.value = f'<div class="hitl-nb-cap">{escape("No changes yet" if self.is_unchanged else "Changes")}</div>{compared}'

    def discard(self) -> None:
        self.field.value = self.request.form.subject or ""

    def answer(self, option: Option, comment: str) -> Any:
        return build_answer(self.request.form, option.value, text=self.text, comment=comment)

    @property
    def unsent(self) -> Mapping[str, str]:
        form = self.request.form
        return {} if self.field.value in ("", form.subject, form.template) else {"text": self.field.value}
