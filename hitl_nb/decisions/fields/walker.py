"""From a JSON Schema, as pydantic 2 writes it or a person does, to the fields of a form. One level at a time: the rest when it is asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from hitl_nb.checkpoint.records import UNSET
from hitl_nb.decisions.fields.field import Choice, Field, Member, Variant, Zone
from hitl_nb.decisions.fields.limits import limits
from hitl_nb.decisions.fields.references import flat, merge, notes_off
from hitl_nb.decisions.wording import as_written, in_sentence, label, told_apart

CHECKS_MAX: Final = 12
"""Values of a set up to which each gets a checkbox."""
_LONG: Final = 120
"""A text that may be longer than this gets more than one line."""
_PROSE: Final = {
    *("answer", "body", "comment", "comments", "content", "description", "details", "draft", "explanation", "feedback", "instructions"),
    *("justification", "message", "note", "notes", "prompt", "reason", "remark", "remarks", "summary", "text", "why"),
}
"""Names of fields that hold prose."""
_MULTILINE: Final = ("multiline", "textarea", "markdown", "html")
_BINARY: Final = ("binary", "base64", "base64url", "byte")
_MOMENTS: Final = ("date", "time", "date-time")
_DECIMAL: Final = "^(?!^[-+.]*$)[+-]?0*"
"""How the pattern begins that pydantic writes for a Decimal."""
_TYPES: Final = {
    "string": "Text",
    "integer": "Whole number",
    "number": "Number",
    "boolean": "Yes or no",
    "array": "List",
    "object": "Fields",
    "null": "None",
}
_HINTS_OF_TYPE: Final = {
    "object": ("properties", "additionalProperties", "patternProperties", "required"),
    "array": ("items", "prefixItems", "minItems", "maxItems", "uniqueItems"),
    "string": ("minLength", "maxLength", "pattern", "format", "contentMediaType", "contentEncoding"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}
"""What only says something about values of one type: a schema without `type` means that one."""


def field_of(schema: Any, root: Mapping[str, Any] | None = None, *, name: str = "", tag: str = "") -> Field:
    """The field for a value of this schema; `root` is the whole one, where references lead. Never raises: what it cannot draw is a `json` field."""
    whole = root if root is not None else schema if isinstance(schema, Mapping) else {}
    try:
        return _field_of(schema, whole, name, tag)
    except (TypeError, ValueError, AttributeError, KeyError):  # no JSON Schema at all: none that was asked with, see `check.answer_schema`
        return Field("json", {}, whole, title=label(name))


def _field_of(schema: Any, whole: Mapping[str, Any], name: str, tag: str) -> Field:
    told = schema if isinstance(schema, Mapping) else {}
    found = flat(schema, whole)
    title = _title(told, name) or ("" if name or found is None else str(found[0].get("title", "")))
    if found is None:
        return Field("json", schema if isinstance(schema, (Mapping, bool)) else {}, whole, title=title, hint=_text(told.get("description")))
    plain, nullable = found
    examples = plain.get("examples")
    common = Field(
        "json",
        plain,
        whole,
        title=title,
        hint=_text(plain.get("description")),
        example=as_written(examples[0]) if isinstance(examples, list) and examples else "",
        nullable=nullable,
        default=plain.get("default", UNSET),
        tag=tag,
    )
    return _kind(common, plain, name)


def members(field: Field) -> tuple[Member, ...]:
    """The named fields of a group, in the order of the schema."""
    required = field.schema.get("required", ())
    return tuple(
        Member(str(name), field_of(schema, field.root, name=str(name)), name in required) for name, schema in field.schema["properties"].items()
    )


def item(field: Field) -> Field:
    """The field for one more item of a list."""
    return field_of(field.schema["items"], field.root)


def places(field: Field) -> tuple[Field, ...]:
    """The fields of a tuple."""
    schemas = field.schema.get("prefixItems") or field.schema["items"]
    return tuple(field_of(schema, field.root) for schema in schemas)


def key(field: Field) -> Field:
    """The field for the name of a row."""
    names = field.schema.get("propertyNames", {})
    pattern = _row_pattern(field.schema)
    told = {"type": "string", **names} if isinstance(names, Mapping) and "$ref" not in names else names
    made = field_of({**told, "pattern": pattern} if pattern and isinstance(told, Mapping) else told, field.root)
    if made.kind not in ("text", "choice", "moment"):
        made = Field("text", {"type": "string"})
    return replace(made, title="Name", hint="")


def row(field: Field) -> Field:
    """The field for the value of a row."""
    extra = field.schema.get("additionalProperties")
    pattern = _row_pattern(field.schema)
    made = field_of(field.schema["patternProperties"][pattern] if pattern else extra if extra is not None else {}, field.root)
    return made if made.title else replace(made, title="Value")


def variant(field: Field, number: int) -> Field:
    """The field for one kind of a union; what the choice of the kind says already is not asked again."""
    made = field_of(field.variants[number].schema, field.root, tag=field.tag)
    return replace(made, title="")


def has_rows(field: Field) -> bool:
    """Whether a group takes names beside its own, with values of a known kind."""
    extra = field.schema.get("additionalProperties")
    return isinstance(extra, Mapping) and bool(extra)


# -- one level -------------------------------------------------------------------------------------------------------------------------


def _kind(field: Field, plain: dict[str, Any], name: str) -> Field:
    if "const" in plain:
        return _chosen(field, [plain["const"]])
    if isinstance(plain.get("enum"), list) and plain["enum"]:
        return _chosen(field, plain["enum"], plain.get("x-names"))
    if len(plain.get("allOf") or ()) > 1:
        return field
    for word in ("oneOf", "anyOf"):
        if isinstance(plain.get(word), list) and plain[word] and "properties" not in plain:
            return _union(field, plain, word)
    kind = plain.get("type") or next((t for t, words in _HINTS_OF_TYPE.items() if plain.keys() & set(words)), None)
    if isinstance(kind, list):
        split = {k: v for k, v in plain.items() if k != "type"} | {"anyOf": [{"type": t} for t in kind]}
        return _union(field, split, "anyOf")
    match kind:
        case "string":
            return _text_field(field, plain, name)
        case "integer" | "number":
            return replace(field, kind="number", form=kind, limits=limits(plain))
        case "boolean":
            return _yes_or_no(field)
        case "array":
            return _array(field, plain)
        case "object":
            return _object(field, plain)
        case "null":
            return replace(field, kind="fixed", choices=(Choice(None, "None"),), nullable=False)
    return field


def _chosen(field: Field, values: list[Any], names: Any = None) -> Field:
    """A choice of these values. One that is alone is nothing to decide, but a True must be said by a person."""
    texts = names if isinstance(names, list) and len(names) == len(values) else [None] * len(values)
    kept = [(v, str(t) if t else _spoken(v)) for v, t in zip(values, texts, strict=True) if v is not None or not field.nullable or len(values) == 1]
    made = tuple(map(Choice, (v for v, _ in kept), told_apart([v for v, _ in kept], [t for _, t in kept])))
    alone = len(made) == 1 and made[0].value is not True and not field.nullable
    return replace(field, kind="fixed" if alone else "choice", choices=made)


def _yes_or_no(field: Field) -> Field:
    if isinstance(field.default, bool) and not field.nullable:
        return replace(field, kind="checkbox")
    return replace(field, kind="choice", choices=(Choice(True, "Yes"), Choice(False, "No")))


def _text_field(field: Field, plain: dict[str, Any], name: str) -> Field:
    form = plain.get("format") if isinstance(plain.get("format"), str) else ""
    if form in _BINARY or "contentEncoding" in plain:
        return field
    if form in _MOMENTS:
        zones: dict[Any, Zone] = {"aware": "needed", "naive": "none"}
        return replace(field, kind="moment", form=form, zone=zones.get(plain.get("x-zone"), "any"))
    long = isinstance(plain.get("maxLength"), int) and plain["maxLength"] > _LONG and form == ""
    prose = form == "" and "maxLength" not in plain and "pattern" not in plain and name.lower().rpartition("_")[2] in _PROSE
    starts = isinstance(field.default, str) and "\n" in field.default
    many = form in _MULTILINE or "contentMediaType" in plain or long or prose or starts
    return replace(field, kind="text", form="multiline" if many else str(form))


def _array(field: Field, plain: dict[str, Any]) -> Field:
    listed = plain.get("prefixItems") or (plain.get("items") if isinstance(plain.get("items"), list) else None)
    most = plain.get("maxItems")
    if isinstance(listed, list):
        closed = most == len(listed) or plain.get("items" if "prefixItems" in plain else "additionalItems") is False
        return replace(field, kind="tuple") if closed and plain.get("minItems", len(listed)) <= len(listed) else field
    if most == 0:
        return replace(field, kind="fixed", choices=(Choice([], "Empty list"),))
    items = plain.get("items")
    if not isinstance(items, Mapping) or not notes_off(items):
        return field
    found = flat(items, field.root)
    if plain.get("uniqueItems") is True and found is not None and _may_be_choice(found[0]):
        each = field_of(items, field.root)
        if each.kind == "choice" and not each.nullable and len(each.choices) <= CHECKS_MAX:
            return replace(field, kind="checks", choices=each.choices)
    return replace(field, kind="list")


def _may_be_choice(plain: Mapping[str, Any]) -> bool:
    """False for what may be a list of lists of lists … without end."""
    return plain.get("type") == "boolean" or not plain.keys().isdisjoint(("enum", "const", "anyOf", "oneOf"))


def _object(field: Field, plain: dict[str, Any]) -> Field:
    properties, patterns = plain.get("properties"), plain.get("patternProperties")
    extra = plain.get("additionalProperties")
    if isinstance(properties, Mapping) and properties:
        return field if patterns else replace(field, kind="group")
    if patterns:
        return replace(field, kind="rows") if len(patterns) == 1 and not isinstance(extra, Mapping) else field
    if extra is False:
        return replace(field, kind="fixed", choices=(Choice({}, "Empty"),))
    return replace(field, kind="rows") if isinstance(extra, Mapping) and notes_off(extra) else field


def _row_pattern(plain: Mapping[str, Any]) -> str:
    return next(iter(plain.get("patternProperties") or ()), "")


def _union(field: Field, plain: dict[str, Any], word: str) -> Field:
    branches = plain[word]
    if _is_decimal(plain, branches):
        return replace(field, kind="number", form="decimal", limits=limits(plain))
    outer = notes_off({k: v for k, v in plain.items() if k not in (word, "discriminator", "format")})
    whole = [merge(b, outer) if outer else b for b in branches]
    if any(b is None for b in whole):
        return field
    found = [flat(b, field.root) for b in whole]
    if all(f is not None and "const" in f[0] and not f[1] for f in found):
        values = [(f[0]["const"], f[0].get("title")) for f in found if f is not None]
        return _chosen(field, [v for v, _ in values], [t or _spoken(v) for v, t in values])
    told = plain.get("discriminator")
    tag = told.get("propertyName") if isinstance(told, Mapping) else _common_tag([f[0] for f in found if f is not None], len(found))
    names: list[str] = []
    for schema, one in zip(whole, found, strict=True):
        base = _variant_title(schema, one[0] if one is not None else {}, tag)
        names.append(base if base not in names else f"{base} ({len(names) + 1})")
    return replace(field, kind="union", variants=tuple(Variant(n, s) for n, s in zip(names, whole, strict=True)), tag=str(tag or ""))


def _is_decimal(plain: Mapping[str, Any], branches: list[Any]) -> bool:
    """A number or its digits as a text: what pydantic writes for a Decimal. Without its pattern only its marker tells it from `float | str`."""
    kinds = sorted(str(b.get("type")) for b in branches if isinstance(b, Mapping))
    if kinds != ["number", "string"]:
        return False
    pattern = next((b.get("pattern") for b in branches if b["type"] == "string"), None)
    return plain.get("format") == "decimal" or (isinstance(pattern, str) and pattern.startswith(_DECIMAL))


def _common_tag(found: list[dict[str, Any]], count: int) -> str:
    """The property that every kind requires with a value of its own."""
    if len(found) != count:
        return ""
    for name in found[0].get("properties") or ():
        consts = [(f.get("properties") or {}).get(name) for f in found]
        values = [json.dumps(c["const"]) for c in consts if isinstance(c, Mapping) and "const" in c]
        if len(set(values)) == count:
            return str(name)
    return ""


def _variant_title(schema: Any, plain: Mapping[str, Any], tag: Any) -> str:
    of_tag = (plain.get("properties") or {}).get(tag) if tag else None
    if isinstance(plain.get("title"), str):
        return _words(plain["title"])
    if isinstance(of_tag, Mapping) and "const" in of_tag:
        return _spoken(of_tag["const"])
    if "const" in plain:
        return _spoken(plain["const"])
    if isinstance(plain.get("enum"), list) and 0 < len(plain["enum"]) <= 3:
        return ", ".join(map(_spoken, plain["enum"]))
    if plain.get("format") in ("date", "time", "date-time", "email", "uri", "uuid"):
        return {"date-time": "Date and time", "uri": "Web address", "uuid": "UUID"}.get(plain["format"], label(plain["format"]))
    if plain.get("format") == "decimal":
        return "Number"
    kind = plain.get("type")
    return _TYPES.get(kind, "JSON") if isinstance(kind, str) and isinstance(schema, Mapping) else "JSON"


# -- words -----------------------------------------------------------------------------------------------------------------------------


def _title(schema: Mapping[str, Any], name: str) -> str:
    """The author's title; the one that pydantic makes of the name counts as none, so that it is written like every other label."""
    title = schema.get("title")
    if isinstance(title, str) and title.strip() and title != name.title().replace("_", " ").strip():
        return title.strip()
    return label(name)


def _words(title: str) -> str:
    """`CreditCard` as "Credit card"; a title of several words stays."""
    if " " in title or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", title):
        return title
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|[A-Z]+", title.replace("_", " "))
    return label(" ".join(p if p.isupper() and len(p) > 1 else p.lower() for p in parts))


def spoken_title(field: Field) -> str:
    """What a whole schema is called in a sentence: `RefundRequest` as "refund request"; empty when it has no name."""
    return in_sentence(_words(field.title))


def _spoken(value: Any) -> str:
    """A value to choose, in words: `request_changes` as "Request changes", anything that is no text as JSON."""
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if value is None:
        return "None"
    if isinstance(value, str):
        return label(value) if re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", value) else value or "(empty)"
    return json.dumps(value, ensure_ascii=False)


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
