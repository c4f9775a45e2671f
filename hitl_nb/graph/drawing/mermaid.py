"""The drawing as Mermaid source, which JupyterLab draws itself, in the colours of its theme."""

from __future__ import annotations

import re
from typing import Final

from hitl_nb.graph.drawing.lettering import one_line
from hitl_nb.graph.drawing.marks import MARKS, Mark
from hitl_nb.graph.drawing.outline import Outline, Shape
from hitl_nb.graph.types import END, START

_FRAMES: Final = {
    "start": ('(["', '"])'),
    "node": ('["', '"]'),
    "nested": ('[["', '"]]'),
    "join": ('{{"', '"}}'),
    "open": ('>"', '"]'),
    "end": ('(["', '"])'),
}
_STROKES: Final[dict[Mark, str]] = {
    "done": "stroke:#2a6a2d",
    "running": "stroke:#145ca4",
    "waiting": "stroke:#145ca4,stroke-width:3px",
    "failed": "stroke:#9e2323,stroke-width:3px",
}
_FILLS: Final[dict[Mark, str]] = {"done": "#eef6ee", "running": "#ffffff", "waiting": "#e3effb", "failed": "#fbeaea"}
_SPECIAL: Final = re.compile(r"[^\w ]|(?<![^\W_])_|_(?![^\W_])")
"""All but letters, digits, spaces and the underscore between two of them, which Mermaid's Markdown leaves alone."""


def to_mermaid(outline: Outline) -> str:
    """The source. Names are shown as they are: nothing in one can close its quotes, or be read as Mermaid, Markdown or HTML."""
    marked: dict[Mark, list[str]] = {mark: [] for mark in MARKS}
    lines = ["flowchart TD", *_graph(outline, "n", marked)]
    for mark, ids in marked.items():
        if ids:
            lines += [f"    classDef {mark} fill:{_FILLS[mark]},{_STROKES[mark]},color:#1f1f1f", f"    class {','.join(ids)} {mark}"]
    return "\n".join(lines)


def _graph(outline: Outline, prefix: str, marked: dict[Mark, list[str]]) -> list[str]:
    """Shapes and arrows of one graph, its ids behind the prefix: n1 is a node, n1_0 the first shape of the graph it runs. Adds to `marked`."""
    ids = {i: f"{prefix}{n}" for n, i in enumerate(outline.shapes)}
    first, last = dict(ids), dict(ids)
    lines: list[str] = []
    for i, shape in outline.shapes.items():
        if shape.inner is None:
            lines.append(f"    {ids[i]}{_framed(shape)}")
            if shape.mark is not None:
                marked[shape.mark].append(ids[i])
            continue
        inside = {key: f"{ids[i]}_{n}" for n, key in enumerate(shape.inner.shapes)}
        # arrows that end at a cluster make Mermaid place it as if they ended at some shape in it, above of what leads to it
        first[i], last[i] = inside[START], inside.get(END, ids[i])
        lines += [f"    {line}" for line in _cluster(shape, shape.inner, ids[i], marked)]
    for arrow in outline.arrows:
        shaft = "-.->" if arrow.conditional else "-->"
        label = f'|"{_quoted(arrow.label)}"|' if arrow.label else ""
        lines.append(f"    {last[arrow.source]} {shaft}{label} {first[arrow.target]}")
    return lines


def _cluster(shape: Shape, inner: Outline, name: str, marked: dict[Mark, list[str]]) -> list[str]:
    title = _quoted(shape.name) + (f" #183; {shape.mark}" if shape.mark else "")  # one line: Mermaid keeps no room for two
    style = [f"style {name} {_STROKES[shape.mark]}"] if shape.mark else []  # no fill: it would not suit what the theme gives to the shapes inside
    return [f'subgraph {name}["{title}"]', "    direction TB", *_graph(inner, f"{name}_", marked), "end", *style]


def _framed(shape: Shape) -> str:
    before, after = _FRAMES["nested" if shape.nested else shape.kind]
    return f"{before}{_quoted(shape.name)}{f'<br/>{shape.mark}' if shape.mark else ''}{after}"


def _quoted(text: str) -> str:
    return _SPECIAL.sub(lambda found: f"#{ord(found[0])};", one_line(text)) or " "
