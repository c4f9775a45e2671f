"""The drawing as Mermaid source, which JupyterLab draws itself, in the colours of its theme."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from hitl_nb.graph.drawing.lettering import one_line
from hitl_nb.graph.drawing.outline import Arrow, Outline, Shape
from hitl_nb.graph.types import END, START

_FRAMES: Final = {
    "start": ('(["', '"])'),
    "node": ('["', '"]'),
    "nested": ('[["', '"]]'),
    "join": ('{{"', '"}}'),
    "open": ('>"', '"]'),
    "end": ('(["', '"])'),
}
_CLASSES: Final = {
    "frame": "fill:none,stroke:#8c8c8c",  # themes fill clusters with a loud colour
    "done": "fill:#eef6ee,stroke:#2a6a2d,color:#1f1f1f",
    "running": "fill:#ffffff,stroke:#145ca4,color:#1f1f1f",
    "waiting": "fill:#e3effb,stroke:#145ca4,stroke-width:3px,color:#1f1f1f",
    "failed": "fill:#fbeaea,stroke:#9e2323,stroke-width:3px,color:#1f1f1f",
}
_SPECIAL: Final = re.compile(r"[^\w ]|(?<![^\W_])_|_(?![^\W_])|(?i:(?<=direction) )")
"""All but letters, digits, spaces and the underscore between two of them, which Mermaid's Markdown leaves alone.

A space after "direction" is special too: Mermaid reads any line that holds the two words `direction LR` as that statement, quotes or not.
"""


def to_mermaid(outline: Outline) -> str:
    """The source. Names are shown as they are: nothing in one can close its quotes, or be read as Mermaid, Markdown or HTML."""
    styled: dict[str, list[str]] = {style: [] for style in _CLASSES}
    lines = ["flowchart TD", *_graph(outline, outline.shapes[START], "n", styled)]
    for style, ids in styled.items():
        if ids:
            lines += [f"    classDef {style} {_CLASSES[style]}", f"    class {','.join(ids)} {style}"]
    return "\n".join(lines)


def _graph(outline: Outline, top: Shape, prefix: str, styled: dict[str, list[str]]) -> list[str]:
    """Shapes and arrows of one graph with `top` for its start. Ids follow the prefix: n1 is a node, n1_0 the top of the graph it runs.

    An opened node is a cluster with the node itself as its top, where the arrows to it end. Those from it leave at the end of its graph: where
    arrows end at a cluster, Mermaid places it wrongly, and draws them across its title.
    """
    ids = {i: f"{prefix}{n}" for n, i in enumerate(outline.shapes)}
    first, last = dict(ids), dict(ids)
    lines: list[str] = []
    for i, shape in (outline.shapes | {START: top}).items():
        if shape.inner is not None:
            inner = _ending(shape.inner)
            inside = {key: f"{ids[i]}_{n}" for n, key in enumerate(inner.shapes)}
            styled["frame"].append(ids[i])
            first[i], last[i] = inside[START], inside[END]
            cluster = [f'subgraph {ids[i]}[" "]', *_graph(inner, replace(shape, inner=None), f"{ids[i]}_", styled), "end"]
            lines += [f"    {line}" for line in cluster]
            continue
        lines.append(f"    {ids[i]}{_framed(shape)}")
        if shape.mark is not None:
            styled[shape.mark].append(ids[i])
    for arrow in outline.arrows:
        shaft = "-.->" if arrow.conditional else "-->"
        label = f'|"{_quoted(arrow.label)}"|' if arrow.label else ""
        lines.append(f"    {last[arrow.source]} {shaft}{label} {first[arrow.target]}")
    return lines


def _ending(inner: Outline) -> Outline:
    """The graph with an end for arrows to leave from: where nothing leads to END, after the shapes that nothing follows."""
    if END in inner.shapes:
        return inner
    last = [i for i in inner.shapes if not inner.arrows_from(i)] or [START]
    return Outline(inner.shapes | {END: Shape(END, "end", "end")}, [*inner.arrows, *(Arrow(i, END) for i in last)])


def _framed(shape: Shape) -> str:
    before, after = _FRAMES["nested" if shape.nested else shape.kind]
    return f"{before}{_quoted(shape.name)}{f'<br/>{shape.mark}' if shape.mark else ''}{after}"


def _quoted(text: str) -> str:
    return _SPECIAL.sub(lambda found: f"#{ord(found[0])};", one_line(text)) or " "
