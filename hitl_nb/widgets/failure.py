"""The card of a node that raised: what is safe, what went wrong, and the ways on."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from html import escape
from typing import Final

import ipywidgets

from hitl_nb.widgets import markup
from hitl_nb.widgets.controls import button, classed
from hitl_nb.widgets.receipt import Receipt
from hitl_nb.widgets.surface import Surface

_LOST: Final = '<div class="hitl-nb-lost"><b>This card lost its kernel.</b> Nothing was lost. Run the cell again to go on.</div>'


class FailureCard:
    """`box` is the widget to put into the page. `receipt` is the answer that the node ran with; None when it had none."""

    def __init__(
        self,
        error: BaseException,
        receipt: Receipt | None,
        retry: Callable[[], None],
        reopen: Callable[[], None] | None,
    ) -> None:
        self._error, self._receipt = error, receipt
        self._shows_traceback = self._used = False
        self._read = ipywidgets.HTML()
        self._trace = button("Show traceback", self._toggle, look="quiet", key="t")
        self._buttons = [button("Retry", lambda: self._use(retry), look="primary", key="r")]
        if reopen is not None:
            self._buttons.append(button("Change my answer", lambda: self._use(reopen), key="c"))
        self._line = classed(ipywidgets.HTML(), "hitl-nb-live")
        row = classed(ipywidgets.HBox([*self._buttons, self._trace]), "hitl-nb-row")
        foot = classed(ipywidgets.VBox([row, self._line]), "hitl-nb-foot")
        self.box = classed(ipywidgets.VBox([self._read, foot, ipywidgets.HTML(_LOST), Surface(label=self._title)]), "hitl-nb-card")
        self._draw()

    @property
    def has_answer(self) -> bool:
        """Whether it stands in for the receipt of an answer."""
        return self._receipt is not None

    @property
    def _title(self) -> str:
        # Only errors of this package know their node; which one raised a user's own exception is in the traceback.
        node, kind = getattr(self._error, "node", None), type(self._error).__name__
        return f"{node} raised {kind}" if isinstance(node, str) else f"The run stopped with {kind}"

    def _draw(self) -> None:
        safe = (
            "Your answer is stored. Retry runs the failed step again with it."
            if self._receipt
            else "What was done so far is stored. Retry runs the failed step again."
        )
        box = (
            f'<div class="hitl-nb-err" role="alert"><b>{escape(self._title)}</b><div class="hitl-nb-msg">{escape(str(self._error))}</div>'
            f"<span>{escape(safe)}</span></div>"
        )
        trace = "".join(traceback.format_exception(self._error)) if self._shows_traceback else ""
        details = (
            f'<div class="hitl-nb-text hitl-nb-code hitl-nb-trace" tabindex="0" role="region" aria-label="Traceback">{escape(trace)}</div>'
            if trace
            else ""
        )
        if self._receipt is None:
            self._read.value = markup.head("bad", "Failed") + f'<div class="hitl-nb-body">{box}{details}</div>'
            return
        request, outcome = self._receipt.request, self._receipt.outcome
        yours = markup.facts({"Your answer": outcome.label} | ({"Comment": outcome.comment} if outcome.comment else {}))
        self._read.value = markup.head("bad", "Failed after your answer", markup.where(request)) + markup.body(
            request, yours, box, details, instruction=False
        )

    def _toggle(self) -> None:
        self._shows_traceback = not self._shows_traceback
        self._trace.description = "Hide traceback" if self._shows_traceback else "Show traceback"
        self._draw()

    def _use(self, action: Callable[[], None]) -> None:
        if self._used:
            return
        self._used = True
        self.disable()
        try:
            action()
        except Exception as error:  # noqa: BLE001 - shown where the person looks: a callback's traceback reaches no cell
            self._used = False
            for each in self._buttons:
                each.disabled = False
            self._line.value = markup.line(f'<span class="hitl-nb-bad">{escape(f"{type(error).__name__}: {error}")}</span>')

    def disable(self) -> None:
        for each in self._buttons:
            each.disabled = True
