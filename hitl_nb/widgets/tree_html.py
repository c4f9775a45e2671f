"""A tree as HTML, for what is only shown: no controls, every text and attribute escaped, tags and attributes of the surface's list."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from hitl_nb.widgets import markup
from hitl_nb.widgets.escaping import escape
from hitl_nb.widgets.tree import Node

_TAGS: Final = re.compile(
    "div|span|p|b|i|em|strong|small|code|pre|kbd|del|ins|hr|ul|ol|li|dl|dt|dd|table|caption|thead|tbody|tr|th|td|details|summary|progress|img|time"
)
_EMPTY: Final = frozenset(("hr", "img"))
_ATTRIBUTE: Final = re.compile(r"class|role|title|tabindex|colspan|rowspan|scope|open|lang|dir|alt|src|max|value|aria-[a-z]+")
_PICTURE: Final = re.compile(r"data:image/(png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/=]*")


def html_of(nodes: Iterable[Node]) -> str:
    """The nodes as HTML. What is not on the lists is left out, as the surface does."""
    return "".join(map(_one, nodes))


def _one(node: Node) -> str:
    if isinstance(node, str):
        return escape(node)
    tag, attributes, *children = node
    if tag == "icon":
        return markup.ICONS.get(attributes.get("name", ""), "")
    if not _TAGS.fullmatch(tag):
        return ""
    kept = "".join(
        f' {name}="{escape(str(value))}"'
        for name, value in attributes.items()
        if _ATTRIBUTE.fullmatch(name) and (name != "src" or _PICTURE.fullmatch(str(value)))
    )
    return f"<{tag}{kept}>" if tag in _EMPTY else f"<{tag}{kept}>{html_of(children)}</{tag}>"
