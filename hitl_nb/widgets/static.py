"""The view of a notebook that nobody watches: every decision appends one static receipt to the output of its cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hitl_nb.checkpoint.records import Decision
from hitl_nb.decisions.request import Request
from hitl_nb.widgets.receipt import Receipt, bundle


class StaticView:
    """Append-only: no update of an earlier output, no widget, and for scripted decisions no time and no id."""

    def decided(self, request: Request, decision: Decision) -> None:
        from IPython.display import display

        display(bundle([Receipt(request, decision)]), raw=True)  # type: ignore[no-untyped-call]

    def running(self, nodes: Sequence[str]) -> None:
        """Shows nothing: a saved notebook has no use for what ran for a while."""

    def failed(self, error: BaseException, retry: Callable[[], None], reopen: Callable[[], None] | None) -> None:
        """Shows nothing: the exception itself ends the cell."""

    def finished(self) -> None:
        """Shows nothing: the receipts are there already."""
