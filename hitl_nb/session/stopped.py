"""What a person is told who presses Interrupt (Ctrl-C) while a session runs or waits: where it stands, and how to go on."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Final

from hitl_nb.plain.tracebacks import let_go, theirs

if TYPE_CHECKING:
    from hitl_nb.session.session import ReviewSession

_GO_ON: Final = "Nothing that was stored or answered is lost. To go on, run this cell again."


class Stopped:
    """Around what a cell calls. A KeyboardInterrupt that passes gives back what it holds, says how to go on, and shows the node's part of its way."""

    def __init__(self, session: ReviewSession) -> None:
        self._session = session

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if not isinstance(error, KeyboardInterrupt) or error.args:
            return
        in_node = theirs(error, below="hitl_nb.graph")
        let_go(error)
        error.args = (self._words(in_node),)
        error.__context__, error.__suppress_context__ = None, True
        if traceback is not None:  # the call of the cell, and what the node was doing
            error.__traceback__ = TracebackType(in_node, traceback.tb_frame, traceback.tb_lasti, traceback.tb_lineno)

    def _words(self, in_node: TracebackType | None) -> str:
        thread = f"thread {self._session.thread_id!r}"
        if in_node is not None:
            return f"{thread} was stopped in the middle of a node, which will begin anew. {_GO_ON}"
        try:
            asked = ", ".join(repr(r.form.heading) for r in self._session.pending)
        except Exception:  # noqa: BLE001  # the store may be what was waited for
            asked = ""
        if not asked:
            return f"{thread} was stopped. {_GO_ON}"
        return f"{thread} still waits for {asked}. Nothing is lost: answer the card, or run this cell again to wait for it."
