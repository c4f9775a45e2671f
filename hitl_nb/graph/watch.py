"""Who looks at a run while it goes on: told at once, past the stream, so that it costs nothing when nobody looks and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Protocol

Ending = Literal["done", "asked", "failed"]
"""asked: the node came to a stop at a question, and runs again for its answer."""


class Begun(NamedTuple):
    """An execution of a node that begins."""

    task_id: str
    node: str
    path: tuple[str, ...] = ()
    """The nodes around its graph, the outermost first."""


class Watcher(Protocol):
    """What the nodes of a run do, also those of graphs inside nodes. Called by whatever Python thread does it: return at once, and raise nothing."""

    def started(self, begun: Sequence[Begun]) -> None:
        """These nodes run now, side by side."""

    def ended(self, task_id: str, how: Ending) -> None:
        """An execution of a node is over."""

    def wrote(self, task_id: str, event: Any) -> None:
        """A node gave this to its StreamWriter. The event is the node's own."""
