"""An answer that a form made, as a person reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hitl_nb.checkpoint.records import UNSET
from hitl_nb.decisions.fields import walker
from hitl_nb.decisions.fields.field import Field
from hitl_nb.decisions.fields.node import Rules
from hitl_nb.decisions.fields.scalars import same, split_zone
from hitl_nb.decisions.fields.walker import spoken_title
from hitl_nb.decisions.wording import capital, facts_of, label


def answer_facts(field: Field, answer: Any) -> dict[str, Any]:
    """Name and readable value of everything in an answer, in the order of the form. Never raises: what the form does not know stays as it is."""
    try:
        read = _read(field, answer, Rules(field))
    except Exception:  # noqa: BLE001  # an answer that was given before the schema changed
        read = answer
    if isinstance(read, Mapping):
        return facts_of(read)
    return facts_of({field.title or "Answer": read})


def _read(field: Field, value: Any, rules: Rules) -> Any:
    """The value with labels in place of names, and words in place of what was chosen."""
    if value is None or isinstance(value, bool):
        return value
    if value == "":
        return None
    known = next((c.label for c in field.choices if same(c.value, value)), None)
    if known is not None and field.kind in ("choice", "fixed"):
        return known
    if field.kind == "checks" and isinstance(value, list):
        return [next((c.label for c in field.choices if same(c.value, v)), v) for v in value]
    if field.kind == "group" and isinstance(value, Mapping):
        return _read_group(field, value, rules)
    if field.kind == "rows" and isinstance(value, Mapping):
        inner = walker.row(field)
        return {name: _read(inner, v, rules) for name, v in value.items()}
    if field.kind == "list" and isinstance(value, list):
        inner = walker.item(field)
        return [_read(inner, v, rules) for v in value]
    if field.kind == "tuple" and isinstance(value, list):
        parts = walker.places(field)
        read = [_read(p, v, rules) for p, v in zip(parts, value, strict=False)]
        return {p.title: v for p, v in zip(parts, read, strict=False)} if all(p.title for p in parts) else read
    if field.kind == "union":
        chosen = next((n for n, v in enumerate(field.variants) if rules.fits(v.schema, value)), None)
        return value if chosen is None else _read(walker.variant(field, chosen), value, rules)
    if field.form == "date-time" and isinstance(value, str):
        body, zone = split_zone(value)
        return f"{body.replace('T', ' ')} {zone_words(zone)}".strip()
    return value


def _read_group(field: Field, value: Mapping[str, Any], rules: Rules) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for member in walker.members(field):
        found = value.get(member.name, UNSET)
        if found is not UNSET:
            name = member.field.title if member.field.title not in read else member.name
            read[name] = _read(member.field, found, rules)
    known = {m.name for m in walker.members(field)}
    return read | {k if label(k) in read else label(k): v for k, v in value.items() if k not in known}


def zone_words(zone: str) -> str:
    """`Z` as "UTC", `+02:00` as "UTC+02:00"; empty without a zone."""
    return "" if not zone else "UTC" if zone in ("Z", "+00:00", "-00:00") else f"UTC{zone}"


def item_name(item: Field | None, title: str) -> str:
    """What one item of a list is called: by the list's name without its plural, else by its own title."""
    for ending, single in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh"), ("s", "")):
        if title.lower().endswith(ending) and not title.lower().endswith(("ss", "us", "is")):
            return title[: -len(ending)] + single
    if item is not None and item.title:
        return capital(spoken_title(item))
    return "Item"
