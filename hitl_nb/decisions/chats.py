"""A chat of a payload: whose words, what was called, which pictures lie in it. Read off the formats of the usual model libraries."""

from __future__ import annotations

import base64
import binascii
import contextlib
import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hitl_nb.checkpoint.pictures import BYTES_MAX, Picture, picture_in
from hitl_nb.decisions.wording import facts_of, label, readable
from hitl_nb.errors import PictureError

_TEXTS: Final = ("text", "input_text", "output_text")
"""Types of a block that is text."""
_ROLES: Final = {"ai": "AI"}


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat."""

    role: str
    """Who says it, with the name where there is one: `User`, `Tool · search`."""
    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What else the message holds: tool calls, ids."""
    pictures: tuple[Picture, ...] = ()


def messages_of(value: Any) -> tuple[Message, ...] | None:
    """The messages of a list in which each item has a `content` and a `role` or `type`: dicts, or objects like LangChain's. None: it is no chat."""
    if not isinstance(value, (list, tuple)) or not value:
        return None
    read = [_fields(item) for item in value]
    return tuple(map(_message, read)) if all(map(_is_message, read)) else None


def _fields(item: Any) -> Mapping[Any, Any]:
    if isinstance(item, Mapping):
        return item
    if dataclasses.is_dataclass(item) and not isinstance(item, type):
        own: Mapping[str, Any] = {f.name: getattr(item, f.name, None) for f in dataclasses.fields(item)}
    else:
        own = getattr(item, "__dict__", {})
    if not isinstance(own, dict) or "content" not in own:
        return {}
    said = {k: v for k in ("role", "type") if isinstance(v := getattr(type(item), k, None), str)}
    return {**said, **own}


def _is_message(fields: Mapping[Any, Any]) -> bool:
    content = fields.get("content", ...)
    return _said(fields) != "" and (content is None or isinstance(content, (str, list, tuple)))


def _said(fields: Mapping[Any, Any]) -> str:
    return next((fields[k] for k in ("role", "type") if isinstance(fields.get(k), str) and fields[k]), "")


def _message(fields: Mapping[Any, Any]) -> Message:
    said, name, content, calls = _said(fields), fields.get("name"), fields["content"], fields.get("tool_calls")
    role = _ROLES.get(said.lower(), label(said))
    message = _Read()
    for block in [content] if isinstance(content, str) else content or []:
        message.block(block)
    for call in calls if isinstance(calls, (list, tuple)) else [] if calls is None else [calls]:
        message.add(*_call(call))
    told = {"content", "tool_calls"} | ({"name"} if isinstance(name, str) else set())
    rest = {k: v for k, v in fields.items() if k not in told and not _is_empty(v) and not (k in ("role", "type") and v == said)}
    for fact, value in facts_of(rest).items():
        message.add(fact, value)
    return Message(f"{role} · {name}" if isinstance(name, str) and name else role, "\n".join(message.texts), message.facts, tuple(message.pictures))


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, (str, list, tuple, dict)) and not value)


class _Read:
    """A message while its content is read."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.facts: dict[str, Any] = {}
        self.pictures: list[Picture] = []

    def add(self, name: str, value: Any) -> None:
        """A fact, under a name that is not taken yet."""
        free, number = name, 2
        while free in self.facts:
            free, number = f"{name} ({number})", number + 1
        self.facts[free] = value

    def block(self, block: Any) -> None:
        kind = block.get("type") if isinstance(block, Mapping) else None
        if isinstance(block, str):
            self.texts.append(block)
        elif kind in _TEXTS and isinstance(block.get("text"), str):
            self.texts.append(block["text"])
            rest = {k: v for k, v in block.items() if k not in ("type", "text") and not _is_empty(v)}
            if rest:
                self.add("With it", readable(rest))
        elif (picture := _picture(block)) is not None:
            self.pictures.append(picture)
        elif kind == "tool_use":
            self.add(*_call({"name": block.get("name"), "args": block.get("input"), "id": block.get("id")}))
        else:
            rest = {k: v for k, v in block.items() if k != "type"} if isinstance(block, Mapping) else block
            self.add(label(kind or "content"), readable(rest))


def _picture(block: Any) -> Picture | None:
    """A picture that the block holds itself. One that it only names is not fetched."""
    found = picture_in(block)
    if found is not None or not isinstance(block, Mapping):
        return found
    image, source = block.get("image_url"), block.get("source")
    url = image.get("url") if isinstance(image, Mapping) else image
    if isinstance(url, str) and (data := re.match(r"data:image/[a-z+]+;base64,", url)):
        return _decoded(url[data.end() :])
    if isinstance(source, Mapping) and isinstance(source.get("data"), str):
        return _decoded(source["data"])
    return None


def _decoded(text: str) -> Picture | None:
    if len(text) > BYTES_MAX * 4 // 3 + 4:
        return None
    try:
        return Picture(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, PictureError):
        return None


def _call(call: Any) -> tuple[str, Any]:
    """A tool call as a fact. Arguments that are JSON in a text are read."""
    if not isinstance(call, Mapping):
        return "Calls", readable(call)
    function = call.get("function")
    told = {**call, **function} if isinstance(function, Mapping) else dict(call)
    arguments: Any = next((told[k] for k in ("args", "arguments") if k in told), {})
    if isinstance(arguments, str):
        with contextlib.suppress(ValueError):
            arguments = json.loads(arguments)
    rest = {k: v for k, v in told.items() if k not in ("name", "args", "arguments", "function", "type") and not _is_empty(v)}
    shown = dict(arguments if isinstance(arguments, Mapping) else {"arguments": arguments}) if rest else arguments
    for name, value in rest.items():
        shown[f"{name} of the call" if name in shown else name] = value
    return f"Calls {told.get('name') or 'a tool'}", readable(shown)
