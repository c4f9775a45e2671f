"""The drawing as text, one line a node: for logs, consoles and places that show no pictures."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

from hitl_nb.graph.drawing.lettering import one_line
from hitl_nb.graph.drawing.marks import Mark
from hitl_nb.graph.drawing.outline import Arrow, Outline


def to_text(outline: Outline, marks: Mapping[str, Mark]) -> str:
    """`a → b, c` goes to both; `a → b (yes) | c (no)` to what is chosen; `a + b → c` once all have finished; `a → ? route()` to what route says."""
    lines = []
    missing = {i: [a.source for a in outline.arrows if a.target == i] for i, shape in outline.shapes.items() if shape.kind == "join"}
    for i, shape in outline.shapes.items():
        if shape.kind in ("start", "node"):
            leaving = outline.arrows_from(i)
            arrows = [a for a in leaving if a.target not in missing]
            if arrows or not leaving:
                lines.append(_line(outline, marks, [i], arrows))
        lines += [_line(outline, marks, sources, outline.arrows_from(join)) for join, sources in missing.items() if sources[-1] == i]
    return "\n".join(lines)


def _line(outline: Outline, marks: Mapping[str, Mark], sources: list[str], arrows: list[Arrow]) -> str:
    start = " + ".join(one_line(outline.shapes[i].name) + (f" [{marks[i]}]" if i in marks else "") for i in sources)
    return f"{start} → {_ways(outline, arrows)}" if arrows else start


def _ways(outline: Outline, arrows: list[Arrow]) -> str:
    groups = groupby(sorted(arrows, key=lambda a: a.group), key=lambda a: a.group)
    return "; ".join((" | " if group else ", ").join(_way(outline, a) for a in ways) for group, ways in groups)


def _way(outline: Outline, arrow: Arrow) -> str:
    target = outline.shapes[arrow.target]
    if target.kind == "open":
        return f"? {one_line(target.name)}"
    return one_line(target.name) + (f" ({one_line(arrow.label)})" if arrow.label else "")
