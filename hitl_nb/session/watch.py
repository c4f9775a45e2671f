"""What a session passes on of a run while it goes on: which nodes run, and what they do, to a view that shows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hitl_nb.graph.watch import Begun, Ending, Watcher
from hitl_nb.responders.base import View


class Watch:
    """Looks on for a view. `begins` is called when a superstep of the thread begins. `shows`: False before anything was shown of the thread."""

    def __init__(self, view: View, begins: Callable[[], None], *, shows: bool) -> None:
        self._view, self._begins, self._shows = view, begins, shows
        self._progress: Watcher | None = view.progress if shows else None

    def started(self, begun: Sequence[Begun]) -> None:
        if not begun[0].path:
            self._begins()
            if self._shows:
                self._view.running([b.node for b in begun])
        if self._progress is not None:
            self._progress.started(begun)

    def ended(self, task_id: str, how: Ending) -> None:
        if self._progress is not None:
            self._progress.ended(task_id, how)

    def wrote(self, task_id: str, event: Any) -> None:
        if self._progress is not None:
            self._progress.wrote(task_id, event)
