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

    def from_inside(self, place: str) -> Emit:
        """The same event, seen from the graph around."""
        return replace(self, path=(place, *self.path))
