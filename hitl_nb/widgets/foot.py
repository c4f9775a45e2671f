"""The foot of a card that asks nothing (any more): its buttons, and the line that says what went wrong with one."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import ipywidgets

from hitl_nb.errors import told
from hitl_nb.widgets import markup
from hitl_nb.widgets.controls import button, classed


class Foot:
    """`box` is the widget to put into the card. An error of a button is shown here, as a callback's traceback reaches no cell."""

    def __init__(self) -> None:
        self._row = classed(ipywidgets.HBox(), "hitl-nb-row")
        self._line = classed(ipywidgets.HTML(), "hitl-nb-live")
        self._once: list[Any] = []
        self._used = False
        self.box = classed(ipywidgets.VBox([self._row, self._line]), "hitl-nb-foot hitl-nb-state-foot")

    def add(self, label: str, press: Callable[[], None], *, look: str = "", key: str = "") -> Any:
        """A button that does something once; with it the others of its kind are over, unless it fails."""
        made = self._put(label, lambda: self._use(press), look, key)
        self._once.append(made)
        return made

    def toggle(self, label: str, press: Callable[[], None], *, look: str = "", key: str = "") -> Any:
        """A button that can be pressed again and again."""
        return self._put(label, lambda: self._again(press), look, key)

    def say(self, words: str) -> None:
        """The line below the buttons."""
        self._line.value = markup.line(escape(words))

    def _put(self, label: str, press: Callable[[], None], look: str, key: str) -> Any:
        made = button(label, press, look=look, key=key)
        self._row.children = (*self._row.children, made)
        return made

    def _use(self, press: Callable[[], None]) -> None:
        if self._used:
            return
        self._disable(used=True)
        if not self._guarded(press):
            self._disable(used=False)

    def _again(self, press: Callable[[], None]) -> None:
        self._guarded(press)

    def _disable(self, *, used: bool) -> None:
        self._used = used
        for each in self._once:
            each.disabled = used

    def _guarded(self, press: Callable[[], None]) -> bool:
        try:
            press()
        except Exception as error:  # noqa: BLE001 - shown where the person looks
            self._line.value = markup.line(f'<span class="hitl-nb-bad">{escape(told(error))}</span>')
            return False
        return True
