"""A graph as a picture, for every place a notebook ends up in."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from hitl_nb.errors import GraphError
from hitl_nb.graph.drawing.marks import UNMARKED, Marks, marks_of
from hitl_nb.graph.drawing.mermaid import to_mermaid
from hitl_nb.graph.drawing.outline import outline
from hitl_nb.graph.drawing.svg import to_svg
from hitl_nb.graph.drawing.text import to_text
from hitl_nb.graph.thread.threads import Threads
from hitl_nb.graph.topology import Topology
from hitl_nb.graph.types import StateSnapshot


@dataclass(frozen=True, slots=True)
class GraphPicture:
    """One graph in three forms; as the last value of a cell it is drawn. The same graph (and thread) gives the same bytes."""

    mermaid: str
    """Mermaid source: what JupyterLab draws."""
    svg: str
    """A static picture that needs no network and no script: what nbconvert and other notebook applications show."""
    text: str
    """One line a node: what a console and a log show."""

    def _repr_mimebundle_(self, include: Collection[str] | None = None, exclude: Collection[str] | None = None) -> dict[str, Any]:
        # no text/html and no text/markdown: front ends would prefer them to both pictures
        bundle = {"text/vnd.mermaid": self.mermaid, "image/svg+xml": self.svg, "text/plain": self.text}
        return {kind: data for kind, data in bundle.items() if (not include or kind in include) and kind not in (exclude or ())}

    def __str__(self) -> str:
        return self.text


def draw(topology: Topology, name: str, marks: Marks = UNMARKED, *, xray: bool | int = False) -> GraphPicture:
    """The picture of a graph; with `marks`, of a thread in it. `xray`: True opens the graphs that nodes run, a number so many levels of them."""
    if not isinstance(xray, int) or xray < 0:
        raise GraphError(f"xray is {xray!r}; expected True, False, or how many levels of graphs in nodes to open (0, 1, …)")
    drawn = outline(topology, marks, math.inf if xray is True else xray)
    return GraphPicture(to_mermaid(drawn), to_svg(drawn, name), to_text(drawn))


def draw_thread(threads: Threads, snapshot: StateSnapshot, *, xray: bool | int = False) -> GraphPicture:
    """The picture of a thread as the snapshot shows it; of the bare graph when there is no such thread."""
    thread_id = str(snapshot.config["configurable"]["thread_id"])
    return draw(threads.topology, threads.name, marks_of(threads.topology, threads.store, snapshot, thread_id), xray=xray)
