"""The one anywidget: dresses the card it sits in with roles, names and keys that ipywidgets lacks (surface.js)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anywidget
import traitlets

from hitl_nb.widgets.style import script


class Surface(anywidget.AnyWidget):  # type: ignore[misc, unused-ignore]
    """Shows nothing. Put it last into a card; it finds the card by its class when the front end draws it."""

    label = traitlets.Unicode().tag(sync=True)
    """The card's name for a screen reader: the question."""
    invalid = traitlets.Unicode().tag(sync=True)
    """The field whose content was refused, `main` or `comment`; empty when none was."""
    grab = traitlets.Bool(False).tag(sync=True)
    """Take the keyboard when drawn, unless the person is busy elsewhere. The front end sets it back."""

    def __init__(self, **traits: Any) -> None:
        super().__init__(_esm=script(), **traits)

    def on_press(self, press: Callable[[int, str | None, str | None], None]) -> None:
        """Call `press(number, text, comment)` when an answer button is pressed, with exactly what the fields hold at that moment."""

        def receive(_: Any, message: Any, __: Any) -> None:
            fields = message if isinstance(message, dict) else {}
            number, text, comment = fields.get("press"), fields.get("text"), fields.get("comment")
            if isinstance(number, int):
                press(number, text if isinstance(text, str) else None, comment if isinstance(comment, str) else None)

        self.on_msg(receive)
