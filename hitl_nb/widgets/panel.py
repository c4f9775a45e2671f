"""What is filled in between the question and the buttons of a card. One class a kind of control; the card itself knows none of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hitl_nb.decisions.answering import build_answer
from hitl_nb.decisions.request import Form, Option, Request
from hitl_nb.errors import InvalidAnswerError
from hitl_nb.widgets.surface import Act
from hitl_nb.widgets.tree import Node


@dataclass(frozen=True, slots=True)
class Extra:
    """A button beside the answer buttons that changes what is filled in: `Accept the other 5`."""

    act: str
    """The name of the `Act` that it makes."""
    label: str
    enabled: bool = True


class Panel:
    """Nothing to fill in: the buttons are all there is. The base of the others.

    A panel is drawn either as `widget` or as `tree()`; the card redraws it after every act. It keeps no time and no store; what it decides
    lies in `decisions`. All methods are called under the card's lock.
    """

    widget: Any = None
    """The widget to put into the card, for a panel that is no tree."""
    view: Any = None
    """A widget above the panel, in place of facts and subject: what a renderer of the user's own shows."""
    late = False
    """The answer is read off widgets of others: a press waits until what the page still holds back of them has come."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.form: Form = request.form
        """What the card shows and which buttons it has, as far as the panel draws it otherwise than the request says."""
        self.changed: Callable[[], None] = lambda: None
        """Draw the card anew: a person typed into the panel's widget. Set by the card that shows the panel; another card may show it later."""
        self.use: Callable[[Panel], None] = lambda _: None
        """Put another panel into the card. Set like `changed`."""

    # -- drawn as a tree

    def tree(self) -> Sequence[Node]:
        """What to draw now. Empty for a panel that brings a widget."""
        return ()

    def act(self, act: Act) -> str | None:
        """Something of the tree, or an extra button, was used. Returns the id of the node that gets the keyboard, if any. May raise: it is shown."""

    def take(self, fields: Mapping[str, Any]) -> None:
        """What the fields of the tree hold at this moment, before an act or a press."""

    def extras(self) -> Sequence[Extra]:
        """Buttons beside the answer buttons; always the same ones, with changing words."""
        return ()

    # -- every panel

    def blocked(self) -> str:
        """Why the answer buttons are grey, in a few words; empty when they can be pressed."""
        return ""

    def is_wrong(self) -> bool:
        """Whether the panel's main field holds what cannot be sent, so that it is marked."""
        return False

    def line(self) -> str:
        """The small line below the buttons as text; empty for the usual one."""
        return ""

    def answer(self, option: Option, comment: str) -> Any:
        """The answer that this button sends. Raises InvalidAnswerError, with `path` into what was filled in."""
        return build_answer(self.request.form, option.value, comment=comment)

    def instead(self, error: Exception) -> Panel | None:
        """The panel to go on with after `answer` raised; None: this one stays."""
        return None

    def refuse(self, error: InvalidAnswerError) -> tuple[str, str]:
        """Show what is wrong where it is wrong. Returns the words below the buttons, and the id of the node that gets the keyboard (or nothing)."""
        return str(error), ""

    @property
    def unsent(self) -> Mapping[str, str]:
        """What a person has filled in, by name, for a card that is answered elsewhere meanwhile."""
        return {}
