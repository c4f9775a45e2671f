"""The drawing as Mermaid source, which JupyterLab draws itself, in the colours of its theme."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from hitl_nb.graph.drawing.lettering import one_line
from hitl_nb.graph.drawing.marks import MARKS, Mark
from hitl_nb.graph.drawing.outline import Outline, Shape

_FRAMES: Final = {
    "start": ('(["', '"])'),
    "node": ('["', '"]'),
    "join": ('{{"', '"}}'),
    "open": ('>"', '"]'),
    "end": ('(["', '"])'),
}
_CLASSES: Final[dict[Mark, str]] = {
    "done": "fill:#eef6ee,stroke:#2a6a2d,color:#1f1f1f",
    "running": "fill:#ffffff,stroke:#145ca4,color:#1f1f1f",
    "waiting": "fill:#e3effb,stroke:#145ca4,stroke-width:3px,color:#1f1f1f",
    "failed": "fill:#fbeaea,stroke:#9e2323,stroke-width:3px,color:#1f1f1f",
}
_SPECIAL: Final = re.compile(r"[^\w ]|(?<![^\W_])_|_(?![^\W_])")
"""All but letters, digits, spaces and the underscore between two of them, which Mermaid's Markdown leaves alone."""


def to_mermaid(outline: Outline, marks: Mapping[str, Mark]) -> str:
    """The source. Names are shown as they are: nothing in one can close its quotes, or be read as Mermaid, Markdown or HTML."""
    ids = {i: f"n{n}" for n, i in enumerate(outline.shapes)}
    lines = ["flowchart TD"]
    lines += [f"    {ids[i]}{_framed(shape, marks.get(i))}" for i, shape in outline.shapes.items()]
    for arrow in outline.arrows:
        shaft = "-.->" if arrow.conditional else "-->"
        label = f'|"{_quoted(arrow.label)}"|' if arrow.label else ""
        lines.append(f"    {ids[arrow.source]} {shaft}{label} {ids[arrow.target]}")
    for mark in MARKS:
        marked = [ids[i] for i in outline.shapes if marks.get(i) == mark]
        if marked:
            lines += [f"    classDef {mark} {_CLASSES[mark]}", f"    class {','.join(marked)} {mark}"]
    return "\n".join(lines)


def _framed(shape: Shape, mark: Mark | None) -> str:
    before, after = _FRAMES[shape.kind]
    return f"{before}{_quoted(shape.name)}{f'<br/>{mark}' if mark else ''}{after}"


def _quoted(text: str) -> str:
    return _SPECIAL.sub(lambda found: f"#{ord(found[0])};", one_line(text)) or " "
