"""The drawing as text, one line a node: for logs, consoles and places that show no pictures."""

from __future__ import annotations

from itertools import groupby
from typing import Final

from hitl_nb.graph.drawing.lettering import one_line
from hitl_nb.graph.drawing.outline import Arrow, Outline, Shape

_GRAPH: Final = " {graph}"
"""After the name of a node that runs a graph which is not drawn."""


def to_text(outline: Outline) -> str:
    """`a → b, c` goes to both; `a → b (yes) | c (no)` to what is chosen; `a + b → c` once all have finished; `a → ? route()` to what route says.

    A graph that is drawn opened stands indented below the node that runs it.
    """
    return "\n".join(_lines(outline))


def _lines(outline: Outline) -> list[str]:
    lines = []
    missing = {i: [a.source for a in outline.arrows if a.target == i] for i, shape in outline.shapes.items() if shape.kind == "join"}
    for i, shape in outline.shapes.items():
        if shape.kind in ("start", "node"):
            leaving = outline.arrows_from(i)
            arrows = [a for a in leaving if a.target not in missing]
            if arrows or not leaving or shape.inner is not None:
                lines.append(_line(outline, [i], arrows))
            if shape.inner is not None:
                lines += [f"    {line}" for line in _lines(shape.inner)]
        lines += [_line(outline, sources, outline.arrows_from(join)) for join, sources in missing.items() if sources[-1] == i]
    return lines


def _line(outline: Outline, sources: list[str], arrows: list[Arrow]) -> str:
    start = " + ".join(_named(outline.shapes[i]) for i in sources)
    return f"{start} → {_ways(outline, arrows)}" if arrows else start


def _named(shape: Shape) -> str:
    return one_line(shape.name) + (_GRAPH if shape.nested and shape.inner is None else "") + (f" [{shape.mark}]" if shape.mark else "")


def _ways(outline: Outline, arrows: list[Arrow]) -> str:
    groups = groupby(sorted(arrows, key=lambda a: a.group), key=lambda a: a.group)
    return "; ".join((" | " if group else ", ").join(_way(outline, a) for a in ways) for group, ways in groups)


def _way(outline: Outline, arrow: Arrow) -> str:
    target = outline.shapes[arrow.target]
    if target.kind == "open":
        return f"? {one_line(target.name)}"
    return one_line(target.name) + (f" ({one_line(arrow.label)})" if arrow.label else "")
