"""The live view of a session: one output with its receipts and open cards, answered by the person in front of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import copy_context
from datetime import datetime
from functools import cache
from threading import RLock
from typing import Any, Final
from uuid import uuid4

import ipywidgets

from hitl_nb.checkpoint.records import Decision
from hitl_nb.decisions.request import Request
from hitl_nb.responders.base import Submit, View
from hitl_nb.widgets import markup
from hitl_nb.widgets.card import Card, utc_now
from hitl_nb.widgets.controls import classed, close
from hitl_nb.widgets.failure import FailureCard
from hitl_nb.widgets.receipt import Receipt, bundle, open_bundle
from hitl_nb.widgets.style import card_css

_VIEW: Final = "application/vnd.jupyter.widget-view+json"
_NOTE: Final = "Run the cell again to see the cards."


@cache
def _style() -> Any:
    """The style sheet as one widget that all sessions of the kernel share."""
    return classed(ipywidgets.HTML(f"<style>{card_css()}</style>"), "hitl-nb-style")


class LiveView(View):
    """View and responder in one. Create it in the cell that shall hold the output; call it from any thread.

    The output appears with the first thing to show. Everything a card knows comes from its request, so nothing is lost when the widgets are.
    """

    how = "card"

    def __init__(self, now: Callable[[], datetime] = utc_now) -> None:
        self._now = now
        self._lock = RLock()
        # Worker threads display through the cell's own context, so that the output lands below that cell.
        self._cell = copy_context()
        self._display_id = f"hitl-nb-{uuid4().hex}"
        self._shown = self._static = False
        self._items: dict[str, Card | Receipt] = {}
        self._drawn: dict[str, Any] = {}
        self._leaving: list[Any] = []
        self._beaten: dict[str, Card] = {}
        """Cards that stay although somebody else decided, for the text that was typed into them."""
        self._last: str | None = None
        self._follows = False
        self._nodes: tuple[str, ...] = ()
        self._failure: FailureCard | None = None
        self._activity = classed(ipywidgets.HTML(), "hitl-nb-card hitl-nb-activity")
        if _style().comm is None:  # somebody closed all widgets of the kernel
            _style.cache_clear()
        self.box = classed(ipywidgets.VBox([_style()]), "hitl-nb hitl-nb-session")
        self.box._view_count = 0  # makes the front end report how many views it has drawn

    @property
    def is_seen(self) -> bool:
        """Whether a front end has drawn the output."""
        return bool(self.box._view_count)

    # -- responder

    def ask(self, request: Request, submit: Submit) -> None:
        """Show the card. An earlier receipt of the same question (it was reopened) gives way to it."""
        with self._lock:
            key = request.question.id
            present = self._items.get(key)
            if isinstance(present, Card) and present.state == "open":
                return
            self._leave(key)
            self._fail(None)
            self._nodes = ()
            follows, self._follows = self._follows and not self._cards(), False
            card = Card(request, submit, self.decided, grab=follows, now=self._now, lock=self._lock)
            self._items[key], self._drawn[key] = card, card.box
            self._draw(fresh=not any(c is not card for c in self._cards()))

    # -- view

    def decided(self, request: Request, decision: Decision) -> None:
        with self._lock:
            key = request.question.id
            present = self._items.get(key)
            if isinstance(present, Receipt) and present.decision.number == decision.number:
                return
            if isinstance(present, Card) and present.state in ("sending", "sent"):
                self._follows = True
            receipt = Receipt(request, decision)
            if isinstance(present, Card) and present.state in ("open", "elsewhere") and present.unsent:
                # Somebody else was faster. What was typed here stays on the page until the session ends.
                present.show_elsewhere(decision.reviewer, decision.decided_at, receipt.outcome.label)
                self._items[key] = receipt
                self._beaten[key] = present
            else:
                self._keep(receipt)
            self._last = key
            self._draw(fresh=not self._cards())

    def running(self, nodes: Sequence[str]) -> None:
        with self._lock:
            self._nodes = tuple(nodes)
            self._fail(None)
            self._draw()

    def failed(
        self, error: BaseException, retry: Callable[[], None], reopen: Callable[[], None] | None, nodes: Sequence[tuple[str, str]] = ()
    ) -> None:
        with self._lock:
            last = self._items.get(self._last) if self._last is not None and reopen is not None else None
            self._fail(FailureCard(error, last if isinstance(last, Receipt) else None, retry, reopen))
            self._nodes = ()
            self._draw()

    def finished(self) -> None:
        """Leave static receipts in place of the widgets: in this output, and in the widgets themselves for a page that forgot the output."""
        with self._lock:
            self._nodes = ()
            self._fail(None)
            for key in [k for k, item in self._items.items() if isinstance(item, Card)]:
                self._leave(key)
                del self._items[key], self._drawn[key]
            for receipt in [r for r in self._receipts() if r.request.question.id in self._beaten]:
                self._keep(receipt)
            self._draw()
            self._publish(bundle(self._receipts()), static=True)

    # -- drawing

    def _cards(self) -> list[Card]:
        return [i for i in self._items.values() if isinstance(i, Card)]

    def _receipts(self) -> list[Receipt]:
        return [i for i in self._items.values() if isinstance(i, Receipt)]

    def _keep(self, receipt: Receipt) -> None:
        """Draw the receipt where its card, or an earlier receipt, was."""
        key = receipt.request.question.id
        self._leave(key)
        self._items[key], self._drawn[key] = receipt, ipywidgets.HTML(receipt.html())

    def _leave(self, key: str) -> None:
        """What is drawn for this question goes; its widgets are freed once the page has let go of them."""
        self._beaten.pop(key, None)
        if key in self._drawn:
            self._leaving.append(self._drawn[key])

    def _fail(self, failure: FailureCard | None) -> None:
        if self._failure is not None:
            self._leaving.append(self._failure.box)
        self._failure = failure

    def _draw(self, *, fresh: bool = False) -> None:
        """Put everything in order. `fresh`: no card stays from before, so the saved fallback can be renewed without disturbing anybody's typing."""
        failing = self._failure is not None and self._failure.has_answer
        parts = [w for key, w in self._drawn.items() if not (failing and key == self._last)]
        if self._failure is not None:
            parts.append(self._failure.box)
        elif self._nodes:
            self._activity.value = self._activity_html()
            parts.append(self._activity)
        children = (_style(), *parts)
        if self.box.children != children:
            self.box.children = children
        while self._leaving:
            close(self._leaving.pop())
        if fresh or not self._shown or self._static:
            open_ones = [c.request for c in self._cards()]
            data = open_bundle(self._receipts(), open_ones, _NOTE) | {_VIEW: {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}}
            self._publish(data, static=False)

    def _activity_html(self) -> str:
        names = ", ".join(self._nodes[:3]) + (f" and {len(self._nodes) - 3} more" if len(self._nodes) > 3 else "")
        last = self._items.get(self._last) if self._last is not None else None
        if isinstance(last, Receipt):
            return markup.head("run", f"{last.outcome.label}, running {names}", markup.where(last.request))
        return markup.head("run", f"Running {names}")

    def _publish(self, data: dict[str, Any], *, static: bool) -> None:
        from IPython.display import display

        update, self._shown, self._static = self._shown, True, static
        self._cell.copy().run(display, data, raw=True, display_id=self._display_id, update=update)
