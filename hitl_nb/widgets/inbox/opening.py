"""`inbox()`: every open question of a store, over all threads, in one list inside a notebook."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.questions import OpenQuestion
from hitl_nb.checkpoint.records import utc_now
from hitl_nb.decisions.record import open_store
from hitl_nb.decisions.reviewer import reviewer_name
from hitl_nb.responders.kernel import running_kernel
from hitl_nb.waiting.listing import Filters, Order, waiting
from hitl_nb.waiting.resuming import Graphs
from hitl_nb.widgets.front_end import person_can_answer

if TYPE_CHECKING:
    from hitl_nb.graph.compiled import CompiledGraph
    from hitl_nb.widgets.inbox.view import InboxView

STORE_VARIABLE: Final = "HITL_NB_STORE"
_HEADLESS: Final = "Nobody answers in this run. Answer in a notebook with inbox(), or in a terminal with hitl-nb answer."


class Inbox:
    """What `inbox()` returns. It need not be kept: the list in the output lives by itself."""

    def __init__(self, saver: Checkpointer, filters: Filters, sort: Order, view: InboxView | None) -> None:
        self._saver, self._filters, self._sort, self._view = saver, filters, sort, view

    @property
    def pending(self) -> list[OpenQuestion]:
        """The open questions that `inbox()` was called for, as they are stored now."""
        return waiting(self._saver, self._filters, now=utc_now(), sort=self._sort)

    def refresh(self) -> None:
        """Look into the store now. While a page shows the list this happens by itself within a second of a change."""
        if self._view is not None:
            self._view.look()

    def close(self) -> None:
        """Take the list away. What was answered stays recorded."""
        if self._view is not None:
            self._view.close()

    def __repr__(self) -> str:
        return f"<Inbox: {len(self.pending):,} open>"

    def _ipython_display_(self) -> None:
        """As the last line of a cell: the list is in the output already."""


def inbox(
    store: Checkpointer | str | os.PathLike[str] | None = None,
    *,
    graphs: CompiledGraph | Iterable[CompiledGraph] | Mapping[str, CompiledGraph] | None = None,
    threads: Collection[str] | None = None,
    graph: str | None = None,
    node: str | None = None,
    assignee: str | None = None,
    overdue: bool = False,
    text: str = "",
    sort: Order = "deadline",
    reviewer: str | None = None,
) -> Inbox:
    """Show the open questions of a store and answer them, without the graphs that asked.

    store: a checkpointer or its folder; default: the folder that HITL_NB_STORE names, else `reviews`.
    graphs: compiled graphs. Their threads go on with each answer, in a Python thread of their own; others wait for the next run of theirs.
    threads: only these. graph, node, assignee, overdue, text: what is shown at first; a person can choose otherwise.
    sort: "deadline" (what is due first) or "age" (the oldest first). reviewer: recorded with each answer, as in `review`.

    An answer is checked against the question as it is stored, and recorded; it counts once, whoever else answers. Where nobody can answer (papermill,
    nbval, nbconvert) a list is shown that reads the same after every run; outside of a notebook it is printed.
    Raises StoreError when there is no store, TypeError and GraphError for what is no graph with a checkpointer, ValueError for an unknown `sort`.

    >>> from hitl_nb import MemorySaver, StateGraph, inbox, interrupt
    >>> saver = MemorySaver()
    >>> graph = StateGraph().add_node("publish", lambda state: {"ok": interrupt("Publish?")}).set_entry_point("publish").compile(checkpointer=saver)
    >>> _ = graph.invoke({"title": "Tea"}, {"configurable": {"thread_id": "tea"}})
    >>> box = inbox(saver)
    1 open question
    question  asked by         thread  asked   due
    Publish?  graph / publish  tea     anyone
    """
    if isinstance(threads, str):
        raise TypeError(f"threads is {threads!r}; expected several ids of threads, such as [{threads!r}]")
    saver = _opened(store)
    at_hand = Graphs(graphs)
    filters = Filters(graph=graph, node=node, assignee=assignee, overdue=overdue, text=text, threads=None if threads is None else frozenset(threads))
    me = reviewer_name(reviewer)
    found = waiting(saver, filters, now=utc_now(), sort=sort)
    kernel = running_kernel()
    if kernel is None:
        from hitl_nb.responders.console import tell
        from hitl_nb.widgets.inbox.static import table

        tell(table(saver, found, utc_now()))
        return Inbox(saver, filters, sort, None)
    if not person_can_answer(kernel):
        from IPython.display import display

        from hitl_nb.widgets.inbox.static import static_bundle

        display(static_bundle(saver, found, _HEADLESS if found else ""), raw=True)  # type: ignore[no-untyped-call]
        return Inbox(saver, filters, sort, None)

    from hitl_nb.waiting.board import Board
    from hitl_nb.widgets.inbox.view import InboxView  # here, so that a headless run does not load ipywidgets

    board = Board(saver, filters, sort=sort, reviewer=me, now=utc_now)
    view = InboxView(saver, board, at_hand, reviewer=me, now=utc_now)
    view.show()
    return Inbox(saver, filters, sort, view)


def _opened(store: Checkpointer | str | os.PathLike[str] | None) -> Checkpointer:
    if isinstance(store, Checkpointer):
        return store
    folder = os.environ.get(STORE_VARIABLE) or "reviews" if store is None else store
    saver = open_store(folder)
    path = Path(folder).expanduser().absolute()
    file = (path / "cache.db").stat()
    return _open.setdefault((path, file.st_dev, file.st_ino), saver)


_open: Final[WeakValueDictionary[tuple[Path, int, int], Checkpointer]] = WeakValueDictionary()
"""The folders of the lists that were shown, each opened once: a kernel keeps what a cell has shown, however often that is run again."""
