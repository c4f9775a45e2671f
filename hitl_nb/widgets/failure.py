"""The card of a node that raised: what is safe, what went wrong, and the ways on."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Final

import ipywidgets

from hitl_nb.checkpoint.records import utc_now
from hitl_nb.errors import said
from hitl_nb.widgets import markup
from hitl_nb.widgets.controls import classed
from hitl_nb.widgets.foot import Foot
from hitl_nb.widgets.receipt import Receipt
from hitl_nb.widgets.surface import Surface

_LOST: Final = "Nothing was lost. Run the cell again to go on."
_OWN: Final = str(Path(__file__).parents[1]) + os.sep
_SHOWN: Final = 4
"""Nodes that failed side by side and are each shown with their error."""
_MESSAGE_MAX: Final = 4_000
_TRACE_MAX: Final = 40_000
"""Characters, from its end."""


class FailureCard:
    """`box` is the widget to put into the page. `receipt` is the answer that the node ran with; None when it had none.

    nodes: each node that failed, with its error as `module.Class: message`; the first one raised `error`. None: nobody knows which one did.
    grab: take the keyboard, because the person has just answered here.
    """

    def __init__(
        self,
        error: BaseException,
        receipt: Receipt | None,
        retry: Callable[[], None],
        reopen: Callable[[], None] | None,
        nodes: Sequence[tuple[str, str]] = (),
        *,
        grab: bool = False,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._error, self._receipt, self._nodes, self._now = error, receipt, nodes, now
        self._shows_traceback = False
        self._read = ipywidgets.HTML()
        foot = Foot()
        foot.add("Retry", retry, look="primary", key="r")
        if reopen is not None:
            foot.add("Change my answer", reopen, key="c")
        self._trace = foot.toggle("Show traceback", self._toggle, look="quiet", key="t")
        parts = [self._read, foot.box, ipywidgets.HTML(markup.lost(_LOST)), Surface(label=self._title, grab=grab)]
        self.box = classed(ipywidgets.VBox(parts), "hitl-nb-card")
        self._draw()

    @property
    def replaces_receipt(self) -> bool:
        """Whether it says what was answered."""
        return self._receipt is not None

    @property
    def _title(self) -> str:
        kind = type(self._error).__name__
        if len(self._nodes) > 1:
            return f"{len(self._nodes)} nodes failed"
        node = self._nodes[0][0] if self._nodes else getattr(self._error, "node", None)
        return f"{node} raised {kind}" if isinstance(node, str) else f"The run stopped with {kind}"

    def _draw(self) -> None:
        trace = _trace(self._error)[-_TRACE_MAX:] if self._shows_traceback else ""
        details = f'<div class="hitl-nb-text hitl-nb-code hitl-nb-trace"{markup.reach("Traceback")}>{escape(trace)}</div>' if trace else ""
        if self._receipt is None:
            self._read.value = markup.head("bad", "Failed") + f'<div class="hitl-nb-body">{self._box()}{details}</div>'
            return
        request, yours = self._receipt.request, markup.facts(self._receipt.outcome.facts)
        head = markup.head_of(request, "bad", "Failed after your answer", self._now())
        self._read.value = head + markup.body(request, yours, self._box(), details, instruction=False)

    def _box(self) -> str:
        """What went wrong, and first of all what is safe."""
        if len(self._nodes) > 1:
            parts = "".join(_one(f"{node} raised {_class(text)}", _message(text)) for node, text in self._nodes[:_SHOWN])
            more = len(self._nodes) - _SHOWN
            errors = parts + (f"<span>and {more} more</span>" if more > 0 else "")
        else:
            errors = _one(self._title, said(self._error))
        return f'<div class="hitl-nb-err" role="alert">{errors}<span>{escape(self._safe())}</span></div>'

    def _safe(self) -> str:
        names = [node for node, _ in self._nodes]
        again = "the failed step" if not names or len(names) > 3 else " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
        stored = "Your answer is stored." if self._receipt else "What was done so far is stored."
        return f"{stored} Retry runs {again} again{' with it' if self._receipt else ''}."

    def _toggle(self) -> None:
        self._shows_traceback = not self._shows_traceback
        self._trace.description = "Hide traceback" if self._shows_traceback else "Show traceback"
        self._draw()


def _trace(error: BaseException) -> str:
    """The traceback without the lines of this package that lie between the others: a person looks for a line of theirs."""
    told = traceback.TracebackException.from_exception(error)
    part: traceback.TracebackException | None = told
    while part is not None:
        yours = [n for n, frame in enumerate(part.stack) if not frame.filename.startswith(_OWN)]
        last = yours[-1] if yours else -1
        part.stack = traceback.StackSummary.from_list([frame for n, frame in enumerate(part.stack) if n > last or n in yours])
        part = part.__cause__ or part.__context__
    return "".join(told.format())


def _one(title: str, message: str) -> str:
    words = f'<div class="hitl-nb-msg" tabindex="0">{escape(message[:_MESSAGE_MAX])}</div>' if message else ""
    return f"<b>{escape(title)}</b>{words}"


def _class(text: str) -> str:
    """The name of the class, of `module.Class: message`."""
    return text.partition(": ")[0].rpartition(".")[2]


def _message(text: str) -> str:
    return text.partition(": ")[2]
