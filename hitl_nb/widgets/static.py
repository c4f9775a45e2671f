"""The view of a notebook that nobody watches: every decision appends one static receipt to the output of its cell."""

from __future__ import annotations

from hitl_nb.checkpoint.records import Decision
from hitl_nb.decisions.request import Request
from hitl_nb.responders.base import View
from hitl_nb.widgets.bundle import bundle
from hitl_nb.widgets.receipt import Receipt


class StaticView(View):
    """Append-only: no update of an earlier output, no widget, and for scripted decisions no time and no id. What ran for a while is of no use in a
    saved notebook, and an exception ends the cell by itself.
    """

    def decided(self, request: Request, decision: Decision) -> None:
        from IPython.display import display

        display(bundle([Receipt(request, decision)]), raw=True)  # type: ignore[no-untyped-call]
