"""What a form takes, as lines to read beside its JSON: one a field, the fields inside it set in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hitl_nb.checkpoint.records import UNSET
from hitl_nb.decisions.fields import walker
from hitl_nb.decisions.fields.field import Field
from hitl_nb.decisions.wording import as_json, cut

_DEPTH_MAX: Final = 4
"""Levels that are told; a model may hold itself."""
_CHOICES_MAX: Final = 12
_WIDTH: Final = 120
_WORDS: Final = {
    "text": "text",
    "number": "number",
    "moment": "time",
    "checkbox": "true or false",
    "json": "JSON",
    "group": "fields",
    "list": "list",
    "tuple": "list",
    "rows": "names and values",
}
_MOMENTS: Final = {"date": "date, like 2026-11-20", "time": "time, like 09:41", "date-time": "date and time, like 2026-11-20T09:41"}


def outline(field: Field, depth: int = 0) -> Iterator[str]:
    """The lines of a field's inner ones; of a single value its own line. As JSON writes the values: a choice by its value, not by its label."""
    if depth >= _DEPTH_MAX:
        return
    if field.kind == "group":
        for member in walker.members(field):
            needed = "" if not member.required else "needed"
            yield from _told(member.name, member.field, needed, depth)
        if walker.has_rows(field):
            yield from _told("any other name", walker.row(field), "", depth)
    elif field.kind == "list":
        yield from _told("each", walker.item(field), "", depth)
    elif field.kind == "rows":
        yield from _told("any name", walker.row(field), "", depth)
    elif field.kind == "tuple":
        for n, place in enumerate(walker.places(field), 1):
            yield from _told(str(n), place, "", depth)
    elif field.kind == "union":
        for n, kind in enumerate(field.variants):
            yield from _told(f"either {kind.title}", walker.variant(field, n), "", depth)
    elif depth == 0:
        yield _line("", field, "needed")


def _told(name: str, field: Field, needed: str, depth: int) -> Iterator[str]:
    yield "  " * depth + _line(name, field, needed)
    yield from outline(field, depth + 1) if field.kind in ("group", "list", "rows", "tuple", "union") else ()


def _line(name: str, field: Field, needed: str) -> str:
    words = _what(field)
    default = "" if field.default is UNSET else f"else {cut(as_json(field.default), 40)}"
    facts = ", ".join(filter(None, (words, field.limits.rstrip("."), "or null" if field.nullable else "", needed, default)))
    example = f", for example {field.example}" if field.example else ""
    hint = f" ({field.hint})" if field.hint else ""
    return cut(" ".join(f"{f'{name}: ' if name else ''}{facts}{hint}{example}".split()), _WIDTH)


def _what(field: Field) -> str:
    if field.choices:
        told = [as_json(c.value) for c in field.choices[:_CHOICES_MAX]]
        more = [f"… {len(field.choices) - len(told)} more"] if len(field.choices) > len(told) else []
        lead = "any of" if field.kind == "checks" else "one of" if len(field.choices) > 1 else "always"
        return f"{lead} {', '.join([*told, *more])}"
    if field.kind == "moment":
        return _MOMENTS.get(field.form, "time")
    if field.kind == "number":
        return "whole number" if field.form == "integer" else "number"
    if field.kind == "text" and field.form not in ("", "multiline"):
        return f"text ({field.form})"
    return _WORDS.get(field.kind, field.kind)
