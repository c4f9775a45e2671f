"""The one anywidget: dresses the card it sits in with roles, names and keys that ipywidgets lacks, and draws a tree (surface.js)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

import anywidget
import traitlets

from hitl_nb.widgets.late_messages import hear_late
from hitl_nb.widgets.style import script

KEYS_VARIABLE: Final = "HITL_NB_KEYS"
"""Set to 0: no single key presses a button of a card."""


@dataclass(frozen=True, slots=True)
class Held:
    """Exactly what the card holds at a moment: when the person leaves it without pressing an answer button, or when one is pressed."""

    text: str | None
    """Of the main field; None when there is none."""
    comment: str | None
    fields: Mapping[str, Any]
    """The fields of the tree by name: a text, True or False of a checkbox, None of a group of radio buttons with none chosen."""


@dataclass(frozen=True, slots=True)
class Press(Held):
    """An answer button was pressed."""

    number: int
    """Which button."""
    page: str = ""
    """In which page: one person's tab of a browser. Empty where the front end does not say."""


@dataclass(frozen=True, slots=True)
class Act:
    """Something in the tree was clicked, changed or typed into."""

    name: str
    """Its `data-act`."""
    arg: str
    """Its `data-arg`."""
    value: Any
    """Of the control, like those of `fields`; None for a button."""
    fields: Mapping[str, Any]
    """All fields of the tree at that moment."""


class Surface(anywidget.AnyWidget):  # type: ignore[misc, unused-ignore]
    """Put it into a card; it finds the card by its class when the front end draws it."""

    label = traitlets.Unicode().tag(sync=True)
    """The card's name for a screen reader: the question."""
    invalid = traitlets.Unicode().tag(sync=True)
    """The plain field whose content was refused, `main` or `comment`; empty when none was."""
    grab = traitlets.Bool(False).tag(sync=True)
    """Take the keyboard when drawn, unless the person is busy elsewhere. The front end sets it back."""
    single_keys: Any = traitlets.Bool().tag(sync=True)
    """Single keys press buttons while the card has the keyboard. Each person can switch them off in the page; this switches them off for all."""
    tree: Any = traitlets.List().tag(sync=True)
    """What it draws itself: a list of nodes, see `tree.h`."""

    def __init__(self, **traits: Any) -> None:
        super().__init__(_esm=script(), **traits)
        self._echoes: dict[int, Callable[[], None]] = {}
        self._echo_numbers = count()
        self._press: Callable[[Press], None] | None = None
        self._hear(self._echoed)

    @traitlets.default("single_keys")
    def _single_keys(self) -> bool:
        return os.environ.get(KEYS_VARIABLE) != "0"

    def focus(self, id: str) -> None:  # noqa: A002 - what it is called in the page
        """Give the keyboard to the node of the tree with this id."""
        self.send({"focus": id})

    def echo(self, then: Callable[[], None]) -> None:
        """Call `then` once the page has heard of it: what other widgets of the page held back until now has come before."""
        number = next(self._echo_numbers)
        self._echoes[number] = then
        self.send({"echo": number})

    def _echoed(self, said: Mapping[str, Any]) -> None:
        number = said.get("echoed")
        then = self._echoes.pop(number, None) if isinstance(number, int) else None
        if then is not None:
            then()

    def on_press(self, press: Callable[[Press], None]) -> None:
        """Call `press` with each press of an answer button; once it is closed, also with those that were on their way then."""
        self._press = press
        self._hear(self._pressed)

    def _pressed(self, said: Mapping[str, Any]) -> None:
        if self._press is not None and isinstance(said.get("press"), int):
            self._press(Press(*_held(said), said["press"], str(said.get("page", ""))))

    def close(self) -> None:
        comm_id = None if self.comm is None or self._press is None else self.comm.comm_id
        super().close()
        if comm_id is not None:
            hear_late(comm_id, self._pressed)

    def on_hold(self, hold: Callable[[Held], None]) -> None:
        def hear(said: Mapping[str, Any]) -> None:
            if said.get("hold") is True:
                hold(Held(*_held(said)))

        self._hear(hear)

    def on_act(self, act: Callable[[Act], None]) -> None:
        def hear(said: Mapping[str, Any]) -> None:
            if isinstance(said.get("act"), str):
                act(Act(said["act"], str(said.get("arg", "")), said.get("value"), _fields(said)))

        self._hear(hear)

    def _hear(self, hear: Callable[[Mapping[str, Any]], None]) -> None:
        """Call `hear` with each message of the page. What a page says may be anything."""

        def receive(_: Any, message: Any, __: Any) -> None:
            if isinstance(message, dict):
                hear(message)

        self.on_msg(receive)


def _held(said: Mapping[str, Any]) -> tuple[str | None, str | None, Mapping[str, Any]]:
    text, comment = said.get("text"), said.get("comment")
    return text if isinstance(text, str) else None, comment if isinstance(comment, str) else None, _fields(said)


def _fields(said: Mapping[str, Any]) -> Mapping[str, Any]:
    fields = said.get("fields")
    return fields if isinstance(fields, dict) else {}
