"""Keys and values of a payload as a person reads them. Plain text: whoever draws it escapes it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any, Final

from hitl_nb.checkpoint.pictures import picture_in

_DEPTH_MAX: Final = 6
_BYTES_SHOWN: Final = 200
"""Bytes up to which bytes are written out."""
POSITIVE: Final = ("approve", "approved", "yes", "accept", "accepted", "confirm")
NEGATIVE: Final = ("reject", "rejected", "no", "deny", "denied", "decline", "cancel", "refuse", "give_up")


def says_yes(option: Any) -> bool:
    """Whether this option of a payload approves."""
    return option in POSITIVE


def label(word: Any) -> str:
    """`request_changes` as "Request changes"."""
    text = " ".join(str(word).replace("_", " ").split())
    return text[:1].upper() + text[1:]


def facts_of(values: Mapping[Any, Any], names: Mapping[Any, str] | None = None) -> dict[str, Any]:
    """Label (of `names`) and readable value of each key, in order. Numbers stay numbers; everything else becomes a text, whole however long."""
    names = labels_of(values) if names is None else names
    return {names[key]: value if type(value) in (int, float) else readable(value) for key, value in values.items()}


def labels_of(keys: Iterable[Any]) -> dict[Any, str]:
    """The label of each key; a key whose label is taken stands as it is, or gets a number."""
    names: dict[Any, str] = {}
    taken: set[str] = set()
    for key in keys:
        name, number = label(key), 1
        while name in taken:
            name, number = (str(key) if number == 1 else f"{key} ({number})"), number + 1
        names[key] = name
        taken.add(name)
    return names


def readable(value: Any, depth: int = 0) -> str:
    """A value as text: a mapping as "Key: value" lines, a list of scalars in one line, a list of larger things one a line."""
    if isinstance(value, str):
        return value
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (date, datetime)):
        return str(value)
    if isinstance(value, (bytes, bytearray)):
        return str(picture_in(bytes(value)) or (value if len(value) <= _BYTES_SHOWN else f"{len(value):,} bytes"))
    if depth >= _DEPTH_MAX:
        return str(value)
    if isinstance(value, Mapping):
        lines = [f"{label(k)}: {_nested(readable(v, depth + 1))}" for k, v in value.items()]
        return ("\n" if depth == 0 else ", ").join(lines) if lines else "none"
    if isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value, key=str) if isinstance(value, (set, frozenset)) else list(value)
        parts = [readable(v, depth + 1) for v in items]
        large = any(isinstance(v, (Mapping, list, tuple)) for v in items)
        return ("\n" if large and depth == 0 else ", ").join(parts) if parts else "none"
    return str(value)


def _nested(text: str) -> str:
    return text.replace("\n", "\n  ")


def pretty_json(value: Any) -> str:
    """The value as indented JSON; what JSON does not have is written as its text."""
    try:
        return json.dumps(value, indent=2, ensure_ascii=False, default=readable)
    except (TypeError, ValueError):  # a key that is no text, a value that holds itself
        return readable(value)
