"""What a surface draws, as plain data: `["div", {"class": "hitl-nb-x"}, "text", ["b", {}, "bold"]]`.

The front end builds it from elements and text nodes, never from markup, so no text of a payload can become more than text. It knows a list of
tags and attributes (tree.js) and leaves everything else out.

Controls keep what a person did to them: `value` and `checked` count when a node is new and when its `rev` changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hitl_nb.decisions.wording import straight

Node = str | list[Any]


def h(tag: str, attributes: dict[str, Any] | None = None, *children: Node | Iterable[Node] | None) -> list[Any]:
    """One element. An attribute that is None or False is left out, True is an empty one. A child may be None, and a row of children.

    `data-act`, with `data-arg`, reports what happens to it, see `Surface.on_act`; `data-f` names a field, whose value comes along with every report.
    """
    own = {k: "" if v is True else str(v) for k, v in (attributes or {}).items() if v is not None and v is not False}
    return [tag, own, *_flat(children)]


def icon(name: str) -> list[Any]:
    """One of the icons of tree.js: ok, bad, open, run, check, edit, x, up, down, prev, next, plus."""
    return ["icon", {"name": name}]


def _flat(children: Iterable[Any]) -> Iterable[Node]:
    for child in children:
        if child is None:
            continue
        if isinstance(child, str):
            yield straight(child)
        elif isinstance(child, list) and child and isinstance(child[0], str) and len(child) > 1 and isinstance(child[1], dict):
            yield child
        else:
            yield from _flat(child)
