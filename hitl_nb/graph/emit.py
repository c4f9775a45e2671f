"""Events on their way to the consumer of `stream`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Emit:
    """Effect: hand an event to the consumer of `stream`."""

    mode: str
    event: Any
    path: tuple[str, ...] = ()
    """`node:task id` for each node around the graph that it comes from, the outermost first."""
    asks: bool = False
    """True: it tells of an open question, so it waits until the thread itself, which keeps all questions, has stored that."""

    def from_inside(self, place: str) -> Emit:
        """The same event, seen from the graph around."""
        return replace(self, path=(place, *self.path))
