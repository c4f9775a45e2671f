"""The card of what runs: your answer, a bar, the steps with their times. Drawn at most ten times a second, however much happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from threading import RLock
from typing import Final

import ipywidgets

from hitl_nb.plain.threads import WORKERS, Stop
from hitl_nb.responders.progress import Glance, Progress, Step
from hitl_nb.widgets import markup
from hitl_nb.widgets.controls import classed
from hitl_nb.widgets.receipt import Receipt
from hitl_nb.widgets.surface import Surface
from hitl_nb.widgets.times import took
from hitl_nb.widgets.tree import Node, h, icon

_EVERY_S: Final = 0.1
"""How soon a change is drawn."""
_TIMES_EVERY_S: Final = 1.0
"""How often the times are drawn while nothing changes."""
_NAMES: Final = 3
"""Nodes that the header names."""
_LOST: Final = "What was done so far is stored. Run the cell again to go on."
_ICONS: Final = {"running": "run", "done": "ok", "asked": "open", "failed": "bad"}


class Activity:
    """`box` is the widget to put into the page. `receipt` is the answer that set the nodes going; None when there was none.

    It draws itself from a thread of its own until `stop`, or until its widgets are closed.
    """

    replaces_receipt = False  # the receipt goes with the style sheet, once this has been there long enough not to flicker

    def __init__(self, nodes: Sequence[str], receipt: Receipt | None, progress: Progress, lock: RLock, now: Callable[[], datetime]) -> None:
        self._nodes, self._receipt, self._progress, self._lock, self._now = tuple(nodes), receipt, progress, lock, now
        self._drawn, self._drawn_at = -1, 0.0
        self._stopped = Stop()
        self._read = ipywidgets.HTML()
        self._surface = Surface(label="What runs now" if receipt is None else receipt.request.form.heading)
        self.box = classed(ipywidgets.VBox([self._read, self._surface, ipywidgets.HTML(markup.lost(_LOST))]), "hitl-nb-card hitl-nb-activity")
        self.refresh()
        WORKERS.begin(self._keep_fresh)

    def run(self, nodes: Sequence[str]) -> None:
        """These nodes run now."""
        self._nodes = tuple(nodes)
        self._drawn = -1

    def stop(self) -> None:
        """Draw no more."""
        self._stopped.say()

    def _keep_fresh(self) -> None:
        while not self._stopped.within(_EVERY_S):
            with self._lock:
                if self._stopped or self.box.comm is None:  # somebody closed all widgets of the kernel
                    return
                if self._drawn != self._progress.changes or time.monotonic() - self._drawn_at >= _TIMES_EVERY_S:
                    self.refresh()

    def refresh(self) -> None:
        """Draw it as it is now."""
        self._drawn, self._drawn_at = self._progress.changes, time.monotonic()
        drawn = self._head()
        if self._read.value != drawn:
            self._read.value = drawn
        self._surface.tree = tree(self._progress.glance())

    def _head(self) -> str:
        names = ", ".join(self._nodes[:_NAMES]) + (f" and {len(self._nodes) - _NAMES} more" if len(self._nodes) > _NAMES else "")
        if self._receipt is None:
            return markup.head("run", f"Running {names}")
        request, outcome = self._receipt.request, self._receipt.outcome
        head = markup.head_of(request, "run", f"{outcome.label}, running {names}", self._now())
        return head + markup.body(request, markup.facts(outcome.facts), instruction=False)


def tree(glance: Glance) -> list[Node]:
    """The bar and the steps."""
    measured = [s for s in glance.steps if s.share is not None and s.state == "running"]
    alone = len(measured) == 1
    return [
        *([_bar(measured[0])] if alone else []),
        h(
            "ul",
            {"class": "hitl-nb-ran"},
            _count(glance.earlier, "earlier", "done"),
            [_row(s, bar=not alone and s in measured) for s in glance.steps],
            _count(glance.further, "more", "running"),
        ),
    ]


def _row(step: Step, *, bar: bool) -> Node:
    words = f"{step.name}: {step.said}" if step.said else step.name
    told = "" if step.state in ("running", "done") else " asks" if step.state == "asked" else " failed"
    return h(
        "li",
        {"class": f"hitl-nb-ran-one hitl-nb-ran-one-{step.state}"},
        icon(_ICONS[step.state]),
        h("span", {"class": "hitl-nb-ran-one-word"}, words + told, _bar(step) if bar else None),
        h("span", {"class": "hitl-nb-ran-one-time"}, took(step.seconds)),
    )


def _bar(step: Step) -> Node:
    share = f"{step.share:.4f}"
    return h("progress", {"class": "hitl-nb-share", "max": "1", "value": share, "rev": share, "aria-label": f"{step.name}: {step.said}"})


def _count(number: int, which: str, state: str) -> Node | None:
    return h("li", {"class": f"hitl-nb-ran-one hitl-nb-ran-one-{state} hitl-nb-mut"}, h("span", {}, f"{number} {which}")) if number else None
