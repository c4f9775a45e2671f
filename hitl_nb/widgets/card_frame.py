"""The card as it lies in the page, whatever is asked: what is read above, a foot with buttons below; and what becomes of it when time goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from threading import RLock
from typing import Any, Final, Literal

import ipywidgets

from hitl_nb.decisions.request import Option, Request
from hitl_nb.errors import HitlError
from hitl_nb.widgets import markup, terms
from hitl_nb.widgets.controls import classed, close
from hitl_nb.widgets.surface import Surface

State = Literal["open", "sending", "sent", "over"]
"""over: it can no longer be answered here, and says why."""
_LOST: Final = "The question is stored. Run the cell again to answer it."


@dataclass(frozen=True, slots=True)
class Tells:
    """What a card tells whoever put it into the page."""

    overtaken: Callable[[Any, HitlError], None] | None = None
    """Its answer was not taken, as the question is open no more. Is given the card."""
    missed: Callable[..., None] | None = None
    """A button was pressed when the question was open no more: the request, the button's label, and `tabs`: another page with this card was first."""
    look: Callable[[], None] | None = None
    """The deadline passed while the card is seen."""


TELLS_NOBODY: Final = Tells()


class CardFrame:
    """`box` is the widget to put into the page. May be used from any thread: updates are made under one lock."""

    def __init__(
        self,
        request: Request,
        *,
        tells: Tells,
        note: str,
        grab: bool,
        now: Callable[[], datetime],
        lock: RLock | None,
    ) -> None:
        self.request = request
        self.state: State = "open"
        self._tells, self._note, self._now = tells, note, now
        self.tried = ""
        """The button whose answer is being sent, or was sent last."""
        self.sent_by: str | None = None
        """The page it was pressed in; empty where that did not say. None: nothing was sent from here."""
        self.beaten = ""
        """The button that another page pressed while this answer is being sent."""
        self._lock = lock or RLock()
        self._read = ipywidgets.HTML()
        self._row = classed(ipywidgets.HBox(), "hitl-nb-row")
        self._line = classed(ipywidgets.HTML(), "hitl-nb-live")
        self._foot = classed(ipywidgets.VBox([self._row, self._line]), "hitl-nb-foot")
        self._lost = ipywidgets.HTML(markup.lost(_LOST))
        self._surface = Surface(label=request.form.heading, grab=grab)
        self.box = classed(ipywidgets.VBox(), "hitl-nb-card")
        self._took_keyboard = grab
        self._drawn_late = False
        self._end_foot: Any = None

    def _draw(self) -> None:
        """Show everything as it is now."""

    # -- its lines

    def _say_problem(self, message: str, field: str) -> None:
        self._line.value = markup.problem(message)
        self._surface.invalid = field

    def _reopen(self, say: Callable[[], None]) -> None:
        with self._lock:
            self.state, self.tried, self.sent_by, self.beaten = "open", "", None, ""
            self.box.remove_class("hitl-nb-sending")
            say()

    @property
    def _sender(self) -> str | None:
        """The page that sent the answer to this question."""
        return self.sent_by

    def _too_late(self, option: Option | None, page: str) -> None:
        """A button was pressed when the question was answered already. The page that gave the answer is not told: its person clicked twice."""
        if self._tells.missed is None or option is None or not page or self._sender in ("", page):
            return
        if self.state == "sending":
            self.beaten = option.label
        else:
            self._tells.missed(self.request, option.label, tabs=self._sender is not None)

    # -- what becomes of it

    def take_keyboard(self) -> None:
        """Come into view and take the keyboard, unless the person is busy elsewhere; once."""
        if not self._took_keyboard:
            self._took_keyboard = self._surface.grab = True

    def ping(self, heard: Callable[[], None]) -> None:
        """Call `heard` if a page shows the card."""
        self._surface.echo(heard)

    def renew(self, request: Request) -> None:
        """Somebody else is asked now, or until another time. What was typed stays."""
        with self._lock:
            if request.question.assignee != self.request.question.assignee:
                self._note = markup.note(f"The deadline passed, so it was handed on. Now asked: {request.question.assignee}.")
            self.request = request
            if self.state == "open":
                self._draw()

    def _fall_due(self) -> None:
        """The page says that the deadline has passed, or that a clock was put right and it has not; this machine's clock decides."""
        late = terms.is_late(self.request, self._now())
        if late != self._drawn_late:
            self._draw()
        if late and self._tells.look is not None:
            self._tells.look()

    def end(self, drawn: str, foot: Any | None) -> None:
        """It can no longer be answered here: show this HTML, and these buttons, in place of everything else."""
        with self._lock:
            self.state = "over"
            self.box.remove_class("hitl-nb-sending")
            self._read.value, self._surface.tree = drawn, []
            old, self._end_foot = self._end_foot, foot
            stays = (self._read, self._surface, self._lost)
            for hidden in self.box.children:
                if hidden not in stays and hidden is not old:
                    hidden.layout.display = "none"
            self.box.children = (*(c for c in self.box.children if c is not old), *(() if foot is None else (foot,)))
            if old is not None:
                close(old)
