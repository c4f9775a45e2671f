"""The output of a cell that holds a session: live widgets while questions are open, a static record once they are decided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextvars import copy_context
from functools import cache
from typing import Any, Final
from uuid import uuid4

import ipywidgets

from hitl_nb.decisions.request import Request
from hitl_nb.widgets import markup
from hitl_nb.widgets.bundle import bundle, open_bundle
from hitl_nb.widgets.controls import classed, close
from hitl_nb.widgets.overtaken import Note
from hitl_nb.widgets.receipt import AS_IS, Receipt
from hitl_nb.widgets.seen_box import SeenBox
from hitl_nb.widgets.style import card_css

_VIEW: Final = "application/vnd.jupyter.widget-view+json"
_RUN_MAX: Final = 50
"""Texts that one widget shows."""
_NOTE: Final = "Run the cell again to see the cards."


@cache
def _style() -> Any:
    """The style sheet as one widget that all sessions of the kernel share."""
    return classed(ipywidgets.HTML(f"<style>{card_css()}</style>"), "hitl-nb-style")


class Output:
    """Create it in the cell that shall hold the output; it appears with the first `renew`."""

    def __init__(self) -> None:
        # Worker threads display through the cell's own context, so that the output lands below that cell.
        self._cell = copy_context()
        self._display_id = f"hitl-nb-{uuid4().hex}"
        self._published = False
        self.is_live = False
        """Whether the cell shows the widgets now, and not the static record."""
        if _style().comm is None:  # somebody closed all widgets of the kernel
            _style.cache_clear()
        self._past = ipywidgets.VBox()
        self._texts: list[Any] = []
        """The widgets that show texts."""
        self.box = classed(SeenBox([_style(), self._past]), "hitl-nb hitl-nb-session")

    def show(self, past: Sequence[Any], *live: Any) -> None:
        """Put these into the page, in this order; what leaves it is freed. What lives is not drawn anew when the others come and go.

        past: widgets, and HTML as text. A page draws a widget slowly and a text quickly, so texts in a row share one.
        """
        before = (*self._past.children, *self.box.children[2:])
        gone_by = tuple(self._joined(past))
        for box, children in ((self._past, gone_by), (self.box, (_style(), self._past, *live))):
            if box.children != children:
                box.children = children
        kept = {id(w) for w in (*gone_by, *live)}
        for old in before:
            if id(old) not in kept:
                close(old)

    def _joined(self, past: Sequence[Any]) -> Iterator[Any]:
        """The widgets, and one for each run of texts; a long run has several, so that one more text is not a reason to send all of them again."""
        before, self._texts = self._texts, []
        run: list[str] = []
        for item in (*past, None):
            if isinstance(item, str):
                run.append(item)
            if run and (not isinstance(item, str) or len(run) == _RUN_MAX):
                drawn = before[len(self._texts)] if len(self._texts) < len(before) else ipywidgets.HTML()
                self._texts.append(drawn)
                if drawn.value != (html := "".join(run)):
                    drawn.value = html
                yield drawn
                run = []
            if item is not None and not isinstance(item, str):
                yield item

    def renew(self, receipts: Sequence[Receipt], asked: Sequence[Request], past: Sequence[Any], *live: Any) -> None:
        """`show` these, and keep what a saved notebook shows in their place up to date: what is decided and what is open.

        All of it is drawn anew, so nobody may be typing.
        """
        self.place(open_bundle(receipts, asked, _NOTE), past, *live)

    def place(self, static: dict[str, Any], past: Sequence[Any], *live: Any) -> None:
        """The same with this as what a saved notebook shows."""
        if self.is_live:
            # Over widgets JupyterLab draws widgets anew and keeps the old ones out of sight, where they take part in every change to come. And what
            # is new shall be drawn once: whoever begins to type into it must not have it drawn anew.
            self._display(static)
        self.show(past, *live)
        self.is_live = True
        self._display(static | {_VIEW: {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}})

    def end(self, static: dict[str, Any]) -> None:
        """Leave this in place of the widgets."""
        self.is_live = False
        self.show(())
        self._display(static)

    def settle(self, receipts: Sequence[Receipt], notes: Sequence[Note] = ()) -> None:
        """Leave the static record in place of the widgets: in the output, and in the widgets themselves for a page that forgot the output.
        `notes`: what a person who is looking must be told beside.
        """
        self.is_live = False
        told = "".join(f'<div class="hitl-nb {AS_IS}">{markup.alert(*note, static=True)}</div>' for note in notes)
        self.show([html for html in (*(r.html() for r in receipts), told) if html])
        data = bundle(receipts)
        self._display(data | {"text/html": data["text/html"] + told, "text/plain": "\n".join([data["text/plain"], *(note.plain for note in notes)])})

    def _display(self, data: dict[str, Any]) -> None:
        from IPython.display import display

        update, self._published = self._published, True
        self._cell.copy().run(display, data, raw=True, display_id=self._display_id, update=update)
