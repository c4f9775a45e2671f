"""For any schema and any answer that fits it: the form shows that answer and sends it again. Whatever is typed: a refusal, or an answer that fits."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitl_nb.decisions.check import answer_schema, check_answer, problems
from hitl_nb.decisions.fields.draft import Draft
from hitl_nb.decisions.fields.holders import Holder, Many, OneOf, Rows
from hitl_nb.decisions.fields.leaves import Leaf
from hitl_nb.decisions.fields.scalars import same
from hitl_nb.decisions.fields.walker import field_of
from hitl_nb.errors import GraphError, InvalidAnswerError
from tests.unit.test_check import question

NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=3)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXTS, lambda v: st.lists(v, max_size=2) | st.dictionaries(NAMES, v, max_size=2), max_leaves=4
)


@st.composite
def pairs(draw: st.DrawFn, depth: int = 3) -> tuple[dict[str, Any], Any]:
    """A schema and a value that fits it."""
    kinds = ["text", "integer", "number", "boolean", "enum", "const", "date", "moment", "decimal", "any"]
    nested = ["nullable", "list", "set", "tuple", "rows", "object", "union", "tagged", "ref"]
    kind = draw(st.sampled_from(kinds + (nested * 2 if depth else [])))
    inner = pairs(depth=depth - 1)
    match kind:
        case "text":
            return {"type": "string"} | draw(st.sampled_from([{}, {"maxLength": 6}, {"format": "multiline"}, {"minLength": 0}])), draw(TEXTS)
        case "integer":
            return {"type": "integer", "minimum": -(10**20)}, draw(st.integers(-(10**20), 10**20))
        case "number":
            return {"type": "number"}, draw(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-5, 5))
        case "boolean":
            return {"type": "boolean"} | draw(st.sampled_from([{}, {"default": False}, {"default": True}])), draw(st.booleans())
        case "enum":
            values = draw(st.lists(st.none() | st.booleans() | st.integers(0, 2) | TEXTS, min_size=1, max_size=7, unique_by=repr))
            return {"enum": values}, draw(st.sampled_from(values))
        case "const":
            value = draw(st.booleans() | TEXTS | st.integers())
            return {"const": value}, value
        case "date":
            return {"type": "string", "format": "date"}, draw(st.dates()).isoformat()
        case "moment":
            made = draw(st.datetimes(timezones=st.none() | st.timezones()))
            return {"type": "string", "format": "date-time"}, made.isoformat()
        case "decimal":
            value = draw(st.decimals(allow_nan=False, allow_infinity=False))
            return {"anyOf": [{"type": "number"}, {"type": "string"}], "format": "decimal"}, str(value)
        case "nullable":
            schema, value = draw(inner)
            return {"anyOf": [schema, {"type": "null"}]}, draw(st.sampled_from([value, None]))
        case "list" | "set":
            schema, value = draw(inner)
            times = draw(st.integers(0, 1 if kind == "set" else 3))
            return {"type": "array", "items": schema, **({"uniqueItems": True} if kind == "set" else {})}, [value] * times
        case "tuple":
            drawn = draw(st.lists(inner, min_size=1, max_size=2))
            schemas = [s for s, _ in drawn]
            return {"type": "array", "prefixItems": schemas, "minItems": len(drawn), "maxItems": len(drawn)}, [v for _, v in drawn]
        case "rows":
            schema, value = draw(inner)
            return {"type": "object", "additionalProperties": schema}, dict.fromkeys(draw(st.lists(NAMES, unique=True, max_size=2)), value)
        case "object":
            return draw(objects(inner))
        case "union":
            drawn = draw(st.lists(inner, min_size=2, max_size=3))
            return {"anyOf": [s for s, _ in drawn]}, draw(st.sampled_from([v for _, v in drawn]))
        case "tagged":
            drawn = [draw(objects(inner, tag=tag)) for tag in ("one", "two")]
            return {"oneOf": [s for s, _ in drawn], "discriminator": {"propertyName": "tag"}}, draw(st.sampled_from([v for _, v in drawn]))
        case "ref":
            schema, value = draw(inner)
            return {"allOf": [{k: v for k, v in schema.items() if k != "default"}], "title": "Named"}, value
    return {}, draw(ANYTHING)


@st.composite
def objects(draw: st.DrawFn, inner: Any, tag: str = "") -> tuple[dict[str, Any], dict[str, Any]]:
    drawn = draw(st.dictionaries(NAMES, inner, min_size=1, max_size=3))
    required = draw(st.lists(st.sampled_from(sorted(drawn)), unique=True))
    there = {n for n in drawn if n in required or draw(st.booleans()) or "default" in drawn[n][0]}
    properties = {n: s for n, (s, _) in drawn.items()}
    value = {n: v for n, (_, v) in drawn.items() if n in there}
    if tag:
        properties, required, value = {"tag": {"const": tag}, **properties}, ["tag", *required], {"tag": tag, **value}
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}, value


SLOW = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@SLOW
@given(pairs())
def test_an_answer_that_fits_comes_back_from_its_form_as_it_was(pair):
    schema, value = pair
    asked = question("?", schema=answer_schema(schema))
    draft = Draft(field_of(asked.schema), value=value, check=lambda answer: problems(asked, answer))
    if value is None and isinstance(draft.root, Holder):
        draft.leave_out(draft.root.id)
    # A page reports every control, with the line ends of a browser.
    draft.take({i: n.raw.replace("\r\n", "\n").replace("\r", "\n") for i in list(draft.ids()) if isinstance(n := draft.node(i), Leaf)})
    assert same(draft.answer(), value)


@SLOW
@given(pairs(), st.data())
def test_whatever_is_typed_is_refused_or_fits(pair, data):
    schema, _ = pair
    asked = question("?", schema=answer_schema(schema))
    draft = Draft(field_of(asked.schema), check=lambda answer: problems(asked, answer))
    likely = ["", "0", "1", "2", "1.5", "2026-11-20", "2026-11-20T09:41", "null", "{}", "[]", '"x"']
    raws = TEXTS | st.sampled_from(likely) | st.booleans() | st.none()
    for _ in range(data.draw(st.integers(0, 8))):
        name = data.draw(st.sampled_from(sorted(draft.ids())))
        node = draft.node(name)
        do = data.draw(st.sampled_from(["set", "set", "set", "add", "give", "leave_out", "remove", "move", "leave"]))
        match do:
            case "set":
                draft.set(name, data.draw(st.sampled_from(["0", "1", ""]) if isinstance(node, OneOf) else raws))
            case "move":
                draft.move(name, data.draw(st.integers(-3, 3)))
            case "add" if isinstance(node, (Many, Rows)):
                draft.set(draft.add(name), data.draw(raws))
            case "give" | "leave_out" | "remove" | "leave":
                getattr(draft, do)(name)
    try:
        answer = draft.answer()
    except InvalidAnswerError:
        assert draft.errors
        assert draft.told()
        assert draft.first_wrong in set(draft.ids())
    else:
        assert check_answer(asked, answer) == answer


WORDS = st.sampled_from(["type", "properties", "items", "anyOf", "enum", "$ref", "allOf", "default", "required"])


@SLOW
@given(ANYTHING | st.dictionaries(WORDS, ANYTHING))
def test_any_schema_at_all_has_a_form(schema):
    field = field_of(schema)
    try:
        known = answer_schema(schema) if isinstance(schema, dict) else {}
    except GraphError:
        return
    draft = Draft(field_of(known))
    try:
        draft.answer()
    except InvalidAnswerError:
        assert draft.errors
    assert field.kind


@pytest.mark.parametrize("zone", ["+00:00", "-00:00", "Z", "+05:45", "-12:34", "+00:19:32", ""])
def test_a_zone_is_sent_as_it_came(zone):
    value = f"2026-11-20T09:41:00.000001{zone}"
    assert Draft(field_of({"type": "string", "format": "date-time"}), value=value).answer() == value
