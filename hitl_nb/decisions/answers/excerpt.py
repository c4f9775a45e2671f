"""A payload in brief, as plain data: what a tape shows of a question, and what is compared when the question has changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Final

_TEXT_MAX: Final = 200
"""Characters of a text."""
_ITEMS_MAX: Final = 20
"""Items of a list or a mapping."""
_DEPTH_MAX: Final = 4


def excerpt(value: Any, depth: int = 0) -> Any:
    """The value as plain data: long texts and lists cut, what is no plain data as its text. The same for the same value, always."""
    if hasattr(value, "dtype") and hasattr(value, "tolist") and getattr(value, "ndim", 1) == 0:
        value = value.tolist()
    if value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and value - value == 0):
        return value if type(value) in (type(None), bool, int, float) else _text(value)
    if isinstance(value, str):
        return value if len(value) <= _TEXT_MAX else f"{value[:_TEXT_MAX]}… ({len(value)} characters)"
    if is_dataclass(value) and not isinstance(value, type):
        value = {f.name: getattr(value, f.name) for f in fields(value)}
    elif hasattr(type(value), "model_fields"):
        value = dict(value)
    if isinstance(value, Mapping):
        if depth == _DEPTH_MAX:
            return f"{len(value)} fields"
        made = {str(k): excerpt(v, depth + 1) for k, v in list(value.items())[:_ITEMS_MAX]}
        return made | ({"…": f"{len(value)} fields"} if len(value) > _ITEMS_MAX else {})
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        if depth == _DEPTH_MAX:
            return f"{len(value)} items"
        items = [excerpt(v, depth + 1) for v in value[:_ITEMS_MAX]]
        return items + ([f"… ({len(value)} items)"] if len(value) > _ITEMS_MAX else [])
    return _text(value)


def lines_of(excerpt: Any) -> list[str]:
    """An excerpt as lines of JSON, for a comparison; no line holds what a terminal would obey."""
    text = json.dumps(excerpt, indent=2, ensure_ascii=False, sort_keys=True)
    return ["".join(c if c.isprintable() else "�" for c in line) for line in text.split("\n")]


def _text(value: Any) -> str:
    """What the value is, with nothing in it that differs from process to process."""
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple):
        return f"{type(value).__name__} of {' by '.join(map(str, shape))}"
    if getattr(type(value), "__repr__", None) is object.__repr__:  # it would say where it lies in memory
        return type(value).__name__
    if isinstance(value, (bytes, bytearray)):
        return f"{len(value)} bytes"
    if isinstance(value, (set, frozenset)):
        return "{" + ", ".join(sorted(map(repr, value)))[:_TEXT_MAX] + "}"
    return str(value)[:_TEXT_MAX]
