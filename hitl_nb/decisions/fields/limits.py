"""What a number may be, in words to read before it is typed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hitl_nb.decisions.problems import number_words


def limits(schema: Mapping[str, Any]) -> str:
    """`0 to 500.`, `More than 0, at most 500.`, `In steps of 5.`; empty without bounds. Of a Decimal those of its number."""
    branches = schema.get("anyOf") or schema.get("oneOf") or ()
    rules = next((b for b in branches if isinstance(b, Mapping) and b.get("type") == "number"), schema)
    least, most = _bound(rules, "minimum"), _bound(rules, "maximum")
    above, below = _bound(rules, "exclusiveMinimum"), _bound(rules, "exclusiveMaximum")
    if least and most and not above and not below:
        told = f"{least} to {most}."
    else:
        bounds = [("at least", least), ("more than", above), ("at most", most), ("less than", below)]
        told = ", ".join(f"{words} {bound}" for words, bound in bounds if bound)
        told = f"{told[0].upper()}{told[1:]}." if told else ""
    step = _bound(rules, "multipleOf")
    return " ".join(filter(None, (told, f"In steps of {step}." if step not in ("", "1") else "")))


def _bound(rules: Mapping[str, Any], name: str) -> str:
    value = rules.get(name)
    return number_words(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else ""
