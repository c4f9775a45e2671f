"""JSON Schemas and answers from a seeded source: some fit each other, some are nonsense."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.fuzz.values import value

NAMES = ("a", "b", "name", "amount", "kind", "$ref", "type", "", "ü", "a b", "__proto__")
FORMATS = ("date", "date-time", "time", "email", "uri", "uuid", "decimal", "multiline", "regex", "ipv4", "binary", "nonsense")
PATTERNS = ("^a", "[0-9]+$", "(", "^(a+)b$", "\\d{3}", "\\p{L}", ".", "(?P<x>y)")
TEXTS = ("", "a", "b", "yes", "123", "null", "[1]", "2026-05-01", "2026-05-01T10:00:00Z", "10:00", "1.50", "x" * 50, "ü\u202e", "aab")
RULES = ("type", "properties", "items", "enum", "required", "minimum", "anyOf", "$ref", "pattern", "default", "const")
TYPES = ("string", "integer", "number", "boolean", "null", "array", "object")


def plain(chance: Random, depth: int = 2) -> Any:
    """Data as JSON has it."""
    match chance.randrange(11 if depth else 7):
        case 0:
            return chance.choice((None, True, False))
        case 1 | 2:
            return chance.choice((0, 1, -1, 2, 7, 10**20, -(2**63), chance.randint(-1000, 1000)))
        case 3:
            return chance.choice((0.0, -0.0, 1.5, 0.1, 1e308, 1e-320, chance.uniform(-10, 10)))
        case 4 | 5 | 6:
            return chance.choice(
                ("", "a", "b", "yes", "123", "null", "[1]", "2026-05-01", "2026-05-01T10:00:00Z", "10:00", "1.50", "x" * 50, "ü\u202e", "aab")
            )
        case 7 | 8:
            return [plain(chance, depth - 1) for _ in range(chance.randrange(4))]
        case _:
            return {chance.choice(NAMES): plain(chance, depth - 1) for _ in range(chance.randrange(4))}


def schema(chance: Random, depth: int = 4) -> Any:
    """A schema, most of the time one that is valid."""
    if depth <= 0:
        return chance.choice((True, {}, {"type": chance.choice(TYPES)}, {"$ref": chance.choice(("#", "#/$defs/A", "#/$defs/B"))}))
    made: dict[str, Any] = {}
    for _ in range(chance.choice((1, 1, 2, 3))):
        chance.choice(_RULES)(chance, made, depth - 1)
    if chance.random() < 0.3:
        made[chance.choice(("title", "description"))] = chance.choice(NAMES)
    if chance.random() < 0.15:
        made["default"] = plain(chance)
    if chance.random() < 0.05:
        made[chance.choice(("type", "properties", "items", "enum", "required", "minimum", "anyOf", "$ref", "pattern", "default", "const"))] = plain(
            chance
        )
    if depth == 4 and chance.random() < 0.3:
        made["$defs"] = {"A": schema(chance, 2), "B": schema(chance, 1)}
    return made


def _typed(chance: Random, made: dict[str, Any], _depth: int) -> None:
    made["type"] = chance.choice((chance.choice(TYPES), [chance.choice(TYPES), "null"]))


def _text(chance: Random, made: dict[str, Any], _depth: int) -> None:
    made["type"] = "string"
    made |= chance.choice(
        (
            {"format": chance.choice(FORMATS)},
            {"minLength": chance.randrange(4)},
            {"maxLength": chance.randrange(9)},
            {"pattern": chance.choice(PATTERNS)},
        )
    )


def _number(chance: Random, made: dict[str, Any], _depth: int) -> None:
    made["type"] = chance.choice(("integer", "number"))
    limits = (
        {"minimum": -5},
        {"maximum": 10**20},
        {"exclusiveMinimum": 0},
        {"exclusiveMaximum": 1.5},
        {"multipleOf": chance.choice((0.01, 3, 1e-300))},
    )
    made |= chance.choice(limits)


def _object(chance: Random, made: dict[str, Any], depth: int) -> None:
    names = chance.sample(NAMES, chance.randrange(4))
    made |= {"type": "object", "properties": {n: schema(chance, depth) for n in names}, "required": [n for n in names if chance.random() < 0.5]}
    if chance.random() < 0.5:
        made["additionalProperties"] = chance.choice((False, schema(chance, depth - 1)))
    if chance.random() < 0.1:
        made[chance.choice(("patternProperties", "dependentSchemas"))] = {chance.choice(("a", "^b")): schema(chance, depth - 1)}


def _array(chance: Random, made: dict[str, Any], depth: int) -> None:
    made |= {"type": "array", "items": schema(chance, depth)}
    if chance.random() < 0.3:
        made |= {"minItems": chance.randrange(3), "maxItems": chance.randrange(5), "uniqueItems": chance.random() < 0.5}
    if chance.random() < 0.2:
        made |= {"prefixItems": [schema(chance, depth - 1) for _ in range(2)]}
        made["items"] = chance.choice((False, True))


def _union(chance: Random, made: dict[str, Any], depth: int) -> None:
    made[chance.choice(("anyOf", "oneOf", "allOf"))] = [schema(chance, depth) for _ in range(chance.randrange(1, 4))]
    if chance.random() < 0.2:
        made["discriminator"] = {"propertyName": chance.choice(NAMES)}


def _conditional(chance: Random, made: dict[str, Any], depth: int) -> None:
    made |= chance.choice(
        ({"not": schema(chance, depth)}, {"if": schema(chance, depth), "then": schema(chance, depth - 1), "else": schema(chance, depth - 1)})
    )


def _listed(chance: Random, made: dict[str, Any], _depth: int) -> None:
    made |= chance.choice(({"enum": [plain(chance, 1) for _ in range(chance.randrange(1, 14))]}, {"const": plain(chance, 1)}))


def _referred(chance: Random, made: dict[str, Any], _depth: int) -> None:
    made["$ref"] = chance.choice(("#", "#/$defs/A", "#/$defs/B", "#/$defs/none", "http://127.0.0.1:9/x.json", "file:/etc/passwd", "#/properties/a"))


_RULES: Any = (_typed, _text, _text, _number, _object, _object, _object, _array, _union, _conditional, _listed, _listed, _referred)


def answer(chance: Random, asked: Any, depth: int = 5) -> Any:
    """An answer that often fits the schema, sometimes nearly, sometimes not at all."""
    luck = chance.random()
    if luck < 0.03:
        return value(chance, 2)  # anything that a node could give: dates, arrays, classes
    if luck < 0.1 or depth <= 0 or not isinstance(asked, dict):
        return plain(chance)
    for rule in ("anyOf", "oneOf", "allOf"):
        if isinstance(asked.get(rule), list) and asked[rule]:
            return answer(chance, chance.choice(asked[rule]), depth - 1)
    if isinstance(asked.get("enum"), list) and asked["enum"]:
        return chance.choice(asked["enum"])
    if "const" in asked:
        return asked["const"]
    kind = asked.get("type")
    kind = chance.choice(kind) if isinstance(kind, list) and kind else kind
    if kind == "object" and isinstance(asked.get("properties"), dict):
        names = [n for n in asked["properties"] if chance.random() < 0.85]
        return {n: answer(chance, asked["properties"][n], depth - 1) for n in names} | ({"more": plain(chance)} if chance.random() < 0.15 else {})
    if kind == "array":
        return [answer(chance, asked.get("items"), depth - 1) for _ in range(chance.randrange(3))]
    return {
        "string": chance.choice(("", "a", "aab", "2026-05-01", "2026-05-01T10:00:00", "10:00:00", "123")),
        "integer": chance.choice((0, 1, 3, -5, 6.0)),
        "number": chance.choice((0, 1.5, 0.07, 3, float("nan"))),
        "boolean": chance.random() < 0.5,
        "null": None,
    }.get(kind if isinstance(kind, str) else "", plain(chance))
