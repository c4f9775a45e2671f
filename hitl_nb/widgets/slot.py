"""The place of one question in the output: its card, then what became of it. Cards beside it are not drawn anew when this one changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

import ipywidgets

from hitl_nb.checkpoint.records import Decision
from hitl_nb.decisions.request import Request
from hitl_nb.widgets import markup, overtaken
from hitl_nb.widgets.controls import classed, close
from hitl_nb.widgets.foot import Foot
from hitl_nb.widgets.receipt import Receipt
from hitl_nb.widgets.stack import Place


class Tail(Protocol):
    """What can stand below the receipt of a question."""

    box: Any

    @property
    def replaces_receipt(self) -> bool:
        """True: it says itself what was answered, and stands in place of the receipt."""


class Slot:
    """`box` is the widget to put into the page, except while its question is open: then it is in the stack.

    Its methods are called under the view's lock.
    """

    def __init__(self, request: Request, now: Callable[[], datetime]) -> None:
        self.request, self._now = request, now
        self.card: Place | None = None
        """The open question's, or one that says why it is open no more."""
        self.receipt: Receipt | None = None
        self.taken_back: Receipt | None = None
        """The decision that was undone, until the question is asked again."""
        self._current: tuple[Request, Callable[[], None]] | None = None
        """Of a question that is out of date: what is asked instead, and how to show it."""
        self._is_outdated = self._compares = False
        self._receipt_opens = False
        self.tried: str | None = None
        """The button of an answer that came second, and is told not to count; None where none did."""
        self._in_tabs = False
        """Another tab with this card was first."""
        self._first: tuple[str, datetime | None, Callable[[], None]] | None = None
        """Of a card that somebody else has answered: who, when, and how to show the receipt."""
        self._way: Callable[[], None] | None = None
        """Of such a card: how to change what counts."""
        self._change: Foot | None = None
        self._box: Any = None
        self._record: str | None = None
        """The receipt as HTML while that is all there is to show."""

    @property
    def box(self) -> Any:
        """Made when there is something to show: of a thousand questions that are asked at once, most are never drawn here."""
        if self._box is None:
            self._box = classed(ipywidgets.VBox(), "hitl-nb-slot")
        return self._box

    @property
    def record(self) -> str | None:
        """The receipt as HTML while that is all there is to show: then it needs no widget of its own. None: `box` is to be shown."""
        return self._record

    @property
    def key(self) -> str:
        return self.request.question.id

    @staticmethod
    def place_of(request: Request) -> tuple[Any, ...]:
        """Which question of the graph it is: what is asked there later takes its place."""
        q = request.question
        return q.path, q.node, q.key, q.position

    @property
    def is_open(self) -> bool:
        return self.card is not None and self.card.state != "over"

    @property
    def is_outdated(self) -> bool:
        """Whether its question is no longer asked, and nothing was found yet that is asked instead."""
        return self._is_outdated and self._current is None

    @property
    def is_empty(self) -> bool:
        return self.card is None and self.receipt is None

    def last_words(self, *, changeable: bool) -> overtaken.Note | None:
        """What is to be said at the end of a card that could not be answered here, or of an answer that came second; None for the others."""
        if self.card is None:
            return self._missed(changeable=changeable)
        if self.is_open:
            return None
        return overtaken.last_words(self.request, self.receipt, self.card.unsent, self.tried, changeable=changeable)

    def _missed(self, *, changeable: bool) -> overtaken.Note | None:
        if self.receipt is None or self.tried is None:
            return None
        return overtaken.missed(self.receipt, self.tried, tabs=self._in_tabs, changeable=changeable)

    # -- what it shows

    def ask(self, request: Request, card: Place) -> None:
        self.request, self.card, self.receipt, self.taken_back, self._current = request, card, None, None, None
        self.tried = self._first = self._way = None
        self._is_outdated = self._compares = False
        self._put()
        self._box = None  # it leaves the page now, and is freed with it

    def decide(self, request: Request, decision: Decision) -> None:
        """Show the receipt."""
        self.leave()
        self.request, self.card, self.receipt, self._record = request, None, Receipt(request, decision), None
        self.arrange(None, None)

    def give_away(self, decision: Decision | None, by: str, at: datetime | None, show: Callable[[], None], *, tried: str | None = None) -> None:
        """Say that somebody else was first. `decision`: None while only `by` and `at` are known. `show` is told when the receipt is wanted.
        `tried`: the button that was pressed here, too late.
        """
        if self.card is None:
            return
        self.receipt = None if decision is None else Receipt(self.request, decision)
        self.tried = self.tried if tried is None else tried
        self._first = by, at, show
        self._draw_given_away()

    def miss(self, tried: str, *, in_tabs: bool) -> None:
        """Say of this button that it was pressed too late."""
        self.tried, self._in_tabs, self._record = self.tried or tried, in_tabs, None
        self._draw_given_away()

    def outdate(self) -> None:
        """Say that the question is no longer asked."""
        if self.card is not None and not self._is_outdated:
            self._is_outdated = True
            self._draw_outdated()

    def offer(self, request: Request, show: Callable[[], None]) -> None:
        """What is asked instead; `show` puts its card here."""
        self._current = request, show
        self._draw_outdated()

    def take_back(self) -> None:
        """The decision was undone; its receipt stays until the question is asked again."""
        self.taken_back, self.receipt, self.tried = self.receipt, None, None

    def arrange(self, tail: Tail | None, change: Callable[[], None] | None) -> None:
        """The receipt; with what runs below it, or what failed in its place, or with `change` in its details."""
        shown = self.receipt or self.taken_back
        if self.card is not None or shown is None:
            self._record = None
            if self.tried is not None and (change is None) != (self._way is None):
                self._way = change
                self._draw_given_away()
            return
        if tail is None and change is None and self.receipt is not None and not self._receipt_opens:
            self._box = self._change = None  # it leaves the page now, and is freed with it
            note = self._missed(changeable=False)
            self._record = self._record or self.receipt.html() + ("" if note is None else markup.alert(*note))
            return
        self._record = None
        if tail is not None and tail.replaces_receipt:
            self._put(tail.box)
            return
        if tail is not None or change is None:
            self._change = None
        elif self._change is None:
            self._change = Foot()
            self._change.add("Change my answer" if overtaken.is_mine(shown) else "Change this answer", change)
            self._change.box.add_class("hitl-nb-change")
        below = tail.box if tail is not None else self._change.box if self._change is not None else None
        html, present = shown.html(is_open=self._receipt_opens), self.box.children
        kept = present[0] if present and isinstance(present[0], ipywidgets.HTML) and present[0].value == html else ipywidgets.HTML(html)
        beside = self._beside(present[1:], changeable=change is not None)
        self._put(kept, *(w for w in (below, beside) if w is not None))

    def _beside(self, present: Sequence[Any], *, changeable: bool) -> Any:
        """The widget with the note below the receipt; None where nothing is to be told. One that says the same stays, so that it is read out once."""
        note = self._missed(changeable=changeable)
        if note is None:
            return None
        html = markup.alert(*note)
        return next((w for w in present if isinstance(w, ipywidgets.HTML) and w.value == html), None) or ipywidgets.HTML(html)

    def _draw_given_away(self) -> None:
        if self.card is None or self._first is None:
            return
        by, at, show = self._first
        answer, foot = "", None
        if self.receipt is not None:
            answer, foot = self.receipt.outcome.label, Foot()
            foot.add("Show receipt", lambda: self._show_receipt(show))
            if self._way is not None:
                foot.add("Change this answer", self._way)
        drawn = overtaken.elsewhere(self.request, self._now(), self.card.unsent, by=by, at=at, answer=answer, tried=self.tried)
        self._end(drawn, foot)

    def _show_receipt(self, show: Callable[[], None]) -> None:
        self.card, self._receipt_opens, self.tried = None, True, None
        show()

    def _draw_outdated(self) -> None:
        if self.card is None:
            return
        current, foot = None, None
        if self._current is not None:
            current, show = self._current
            foot = Foot()
            foot.add("Show the current question", show, look="primary")
            foot.toggle("Hide what changed" if self._compares else "Show what changed", self._toggle)
        drawn = overtaken.outdated(self.request, self._now(), current, self.card.unsent, compared=self._compares)
        self._end(drawn, foot)

    def leave(self) -> None:
        """Its question is not among the open ones any more."""
        if self.card is not None:
            self.card.leave()

    def _end(self, drawn: str, foot: Foot | None) -> None:
        if self.card is not None:
            self.card.end(drawn, None if foot is None else foot.box)
            self._put(self.card.box)

    def _toggle(self) -> None:
        self._compares = not self._compares
        self._draw_outdated()

    def _put(self, *widgets: Any) -> None:
        """Draw these; what leaves the page is freed."""
        before = () if self._box is None else self._box.children
        if before == widgets:
            return
        self.box.children = widgets
        for old in before:
            if old not in widgets:
                close(old)
