"""A part of a schema with its references followed and its wrapping taken off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

_NOTES: Final = (
    *("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"),
    *("$comment", "$defs", "definitions", "$schema", "$id"),
)
"""What says nothing about which values fit: the nearer one counts."""
_MOST: Final = 60
"""Steps until a schema is taken for one that refers to itself without end."""


def flat(schema: Any, root: Mapping[str, Any]) -> tuple[dict[str, Any], bool] | None:
    """The schema without references, without an `allOf` of one, and without the branch for None; and whether None fits.

    None when it cannot be written so: it refers to what is not there, to itself only, or says two things about one value.
    """
    now, nullable = schema, False
    for _ in range(_MOST):
        if not isinstance(now, Mapping) or "$dynamicRef" in now or "$recursiveRef" in now:
            return None
        rest = dict(now)
        if isinstance(rest.get("$ref"), str):
            inner = _target(rest.pop("$ref"), root)
        elif _of(rest, "allOf", 1):
            inner = rest.pop("allOf")[0]
        elif word := next((w for w in ("anyOf", "oneOf") if _of(rest, w) and (len(rest[w]) == 1 or any(map(_is_null, rest[w])))), ""):
            branches = [b for b in rest[word] if not _is_null(b)]
            nullable |= len(branches) < len(rest[word])
            if not branches:
                return {**{k: v for k, v in rest.items() if k != word}, "type": "null"}, True
            if len(branches) > 1:
                now = {**rest, word: branches}
                continue
            del rest[word]
            # The default of one branch is not the default of the whole.
            inner = {k: v for k, v in branches[0].items() if k != "default"} if isinstance(branches[0], Mapping) else branches[0]
        elif isinstance(rest.get("type"), list) and (len(rest["type"]) == 1 or ("null" in rest["type"] and len(rest["type"]) > 1)):
            types = [t for t in rest["type"] if t != "null"]
            nullable |= len(types) < len(rest["type"])
            now = {**rest, "type": types[0] if len(types) == 1 else types}
            continue
        else:
            return rest, nullable
        merged = merge(inner, rest)
        if merged is None:
            return None
        now = merged
    return None


def merge(inner: Any, outer: Mapping[str, Any]) -> dict[str, Any] | None:
    """One schema that says what both say; None when they speak about the same thing differently."""
    if not isinstance(inner, Mapping) or any(k in inner and inner[k] != v for k, v in outer.items() if k not in _NOTES):
        return None
    return {**inner, **outer}


def notes_off(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Only what says which values fit."""
    return {k: v for k, v in schema.items() if k not in _NOTES}


def _of(schema: Mapping[str, Any], word: str, count: int = 0) -> bool:
    branches = schema.get(word)
    return isinstance(branches, list) and (len(branches) == count if count else bool(branches))


def _is_null(branch: Any) -> bool:
    return isinstance(branch, Mapping) and (branch.get("type") == "null" or ("const" in branch and branch["const"] is None))


def _target(reference: str, root: Mapping[str, Any]) -> Any:
    """What a reference inside the schema leads to; None for one that leads nowhere, or out of it."""
    if not reference.startswith("#") or (len(reference) > 1 and reference[1] != "/"):
        return None
    at: Any = root
    for step in reference.split("/")[1:]:
        key = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(at, list) and key.isascii() and key.isdecimal() and int(key) < len(at):
            at = at[int(key)]
        elif isinstance(at, Mapping) and key in at:
            at = at[key]
        else:
            return None
    return at
