"""Which field each schema becomes: as pydantic 2 writes it, and as a person writes JSON Schema."""

from __future__ import annotations

# ruff: noqa: UP007, UP045  # both spellings of a union are in use
import datetime as dt
import enum
import ipaddress
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, Optional, TypedDict, Union

import pytest
from pydantic import AnyUrl, AwareDatetime, Base64Bytes, BaseModel, ConfigDict, Field, Json, NaiveDatetime, RootModel

from hitl_nb.checkpoint.records import UNSET
from hitl_nb.decisions.check import answer_schema
from hitl_nb.decisions.fields import walker
from hitl_nb.decisions.fields.draft import Draft
from hitl_nb.decisions.fields.holders import Group, Many
from hitl_nb.decisions.fields.walker import field_of, members, spoken_title
from hitl_nb.errors import InvalidAnswerError


class Word(enum.Enum):
    SHIP_IT = "ship_it"
    HOLD = "hold"


class Level(enum.IntEnum):
    LOW = 1
    VERY_HIGH = 2


class Alone(enum.Enum):
    ONLY = "only"


class Odd(enum.Enum):
    PAIR = (1, 2)
    X = "x"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog", "wolf"]
    name: str


class Fish(BaseModel):
    fins: int


class Plant(BaseModel):
    leaves: int


class Tree(BaseModel):
    name: str
    parent: Tree | None = None
    kids: list[Tree] = []


class Numbers(RootModel[list[int]]):
    pass


class Loose(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int


class Priced(BaseModel):
    __pydantic_extra__: dict[str, int]
    model_config = ConfigDict(extra="allow")
    a: int


class Empty(BaseModel):
    model_config = ConfigDict(extra="forbid")


@dataclass
class Point:
    x: int
    label: str = "p"


class Typed(TypedDict):
    n: int
    why: NotRequired[str]


class Line(TypedDict):
    n: Annotated[int, Field(le=5)]
    why: NotRequired[str]


class Bill(TypedDict, total=False):
    lines: list[Line]
    last: Line | None


class Place(NamedTuple):
    lat: float
    lon: float


def described(field: Any, depth: int = 0) -> str:
    """A field in a few words: its kind and form, its choices or parts, `?` for one that may be None."""
    inner = ""
    if depth < 3:
        match field.kind:
            case "choice" | "checks" | "fixed":
                inner = "[" + "|".join(c.label for c in field.choices) + "]"
            case "list":
                inner = f"({described(walker.item(field), depth + 1)})"
            case "tuple":
                inner = "(" + ", ".join(described(p, depth + 1) for p in walker.places(field)) + ")"
            case "rows":
                inner = f"({described(walker.key(field), depth + 1)}: {described(walker.row(field), depth + 1)})"
            case "union":
                inner = "<" + " | ".join(v.title for v in field.variants) + ">"
            case "group":
                parts = [f"{m.name}{'' if m.required else '?'}: {described(m.field, depth + 1)}" for m in members(field)]
                inner = "{" + ", ".join(parts) + "}"
    form = f":{field.form}" if field.form else ""
    return f"{field.kind}{form}{inner}{' or none' if field.nullable else ''}"


KINDS = [
    # builtins and formats
    (str, "text"),
    (int, "number:integer"),
    (float, "number:number"),
    (bool, "choice[Yes|No]"),
    (Decimal, "number:decimal"),
    (Annotated[Decimal, Field(gt=0, max_digits=6, decimal_places=2)], "number:decimal"),
    (dt.date, "moment:date"),
    (dt.time, "moment:time"),
    (dt.datetime, "moment:date-time"),
    (AwareDatetime, "moment:date-time"),
    (NaiveDatetime, "moment:date-time"),
    (dt.timedelta, "text:duration"),
    (uuid.UUID, "text:uuid"),
    (AnyUrl, "text:uri"),
    (ipaddress.IPv4Address, "text:ipv4"),
    (Annotated[str, Field(min_length=2, max_length=8, pattern="^a")], "text"),
    (Annotated[str, Field(max_length=1000)], "text:multiline"),
    (Annotated[str, Field(json_schema_extra={"format": "multiline"})], "text:multiline"),
    (Json[list[int]], "text:multiline"),
    (bytes, "json"),
    (Base64Bytes, "json"),
    (Any, "json"),
    (object, "json"),
    (type(None), "fixed[None]"),
    # choices
    (Literal["a", "b"], "choice[A|B]"),
    (Literal[1, "a", None, True], "choice[1|A|None|Yes]"),
    (Literal["x"], "fixed[X]"),
    (Literal[True], "choice[Yes]"),
    (Word, "choice[Ship it|Hold]"),
    (Level, "choice[Low|Very high]"),
    (Alone, "fixed[Only]"),
    (Odd, "choice[Pair|X]"),
    ({"enum": ["Ä b", "__", "", 1.5, [1], {"a": 1}]}, 'choice[Ä b|__|(empty)|1.5|[1]|{"a": 1}]'),
    ({"oneOf": [{"const": "a", "title": "The first"}, {"const": "b"}]}, "choice[The first|B]"),
    # optional
    (Optional[int], "number:integer or none"),
    (Optional[Literal["a", "b"]], "choice[A|B] or none"),
    (Optional[Word], "choice[Ship it|Hold] or none"),
    (Optional[Decimal], "number:decimal or none"),
    ({"type": ["string", "null"], "format": "date"}, "moment:date or none"),
    ({"type": ["string"]}, "text"),
    ({"anyOf": [{"type": "null"}]}, "fixed[None]"),
    # lists, tuples, dicts
    (list[int], "list(number:integer)"),
    (tuple[int, ...], "list(number:integer)"),
    (set[str], "list(text)"),
    (set[Word], "checks[Ship it|Hold]"),
    (list[Word], "list(choice[Ship it|Hold])"),
    (list[Cat], "list(group{kind: fixed[Cat], lives?: number:integer})"),
    (list[int | None], "list(number:integer or none)"),
    (list, "json"),
    (tuple[int, str], "tuple(number:integer, text)"),
    (tuple[()], "fixed[Empty list]"),
    (Place, "tuple(number:number, number:number)"),
    ({"type": "array", "prefixItems": [{"type": "integer"}], "items": {"type": "string"}}, "json"),
    (
        {"$schema": "http://json-schema.org/draft-07/schema#", "type": "array", "items": [{"type": "integer"}], "additionalItems": False},
        "tuple(number:integer)",
    ),
    (dict[str, int], "rows(text: number:integer)"),
    (dict[Word, int], "rows(choice[Ship it|Hold]: number:integer)"),
    (dict[dt.date, int], "rows(moment:date: number:integer)"),
    (dict[Annotated[str, Field(pattern="^x")], int], "rows(text: number:integer)"),
    (dict, "json"),
    # objects
    (Point, "group{x: number:integer, label?: text}"),
    (Typed, "group{n: number:integer, why?: text:multiline}"),
    (Loose, "group{a: number:integer}"),
    (Priced, "group{a: number:integer}"),
    (Empty, "fixed[Empty]"),
    (Numbers, "list(number:integer)"),
    ({"properties": {"a": {"minimum": 1}}}, "group{a?: number:number}"),
    # unions
    (Union[int, str], "union<Whole number | Text>"),
    (Union[float, str], "union<Number | Text>"),
    (Union[Cat, Dog], "union<Cat | Dog>"),
    (Annotated[Cat | Dog, Field(discriminator="kind")], "union<Cat | Dog>"),
    (Union[Fish, Plant, None], "union<Fish | Plant> or none"),
    (Union[int, Literal["none"]], "union<Whole number | None>"),
    (Union[list[int], dict[str, int], dt.date], "union<List | Fields | Date>"),
    ({"type": ["integer", "string"]}, "union<Whole number | Text>"),
    ({"type": ["integer", "string", "null"]}, "union<Whole number | Text> or none"),
    ({"anyOf": [{"type": "integer", "minimum": 5}, {"type": "integer", "maximum": 1}]}, "union<Whole number | Whole number (2)>"),
    # references
    ({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"type": "integer"}}}, "number:integer"),
    ({"$ref": "#/$defs/a~1b%25", "$defs": {"a/b%": {"type": "integer"}}}, "number:integer"),
    ({"$ref": "#/$defs/a", "minimum": 3, "$defs": {"a": {"type": "integer"}}}, "number:integer"),
    # what no control can draw
    ({"allOf": [{"type": "integer"}, {"minimum": 3}]}, "json"),
    ({"$ref": "#/$defs/a", "minimum": 3, "$defs": {"a": {"type": "integer", "minimum": 5}}}, "json"),
    ({"$ref": "https://example.org/schema"}, "json"),
    ({"not": {"type": "integer"}}, "json"),
    ({"properties": {"a": {}}, "patternProperties": {"^x": {}}}, "json"),
    ({}, "json"),
]


@pytest.mark.parametrize(("schema", "kind"), KINDS, ids=lambda v: v if isinstance(v, str) else "")
def test_a_schema_becomes_the_field_that_fits_it(schema, kind):
    assert described(field_of(answer_schema(schema))) == kind


def test_a_group_tells_titles_hints_examples_and_defaults_of_its_fields():
    class Refund(BaseModel):
        """Required unless marked optional."""

        amount_eur: Decimal = Field(title="Amount in EUR", description=" At most 500. ", examples=["12.50"])
        pay_out_on: dt.date | None = None
        owner: Fish | None = None
        count: int = 3
        made: list[int] = Field(default_factory=list)
        alias_x: int = Field(alias="alias-x")

    root = field_of(answer_schema(Refund))
    assert (root.title, root.hint, spoken_title(root)) == ("Refund", "Required unless marked optional.", "refund")
    told = {m.name: (m.field.title, m.field.hint, m.field.example, m.field.default, m.required) for m in members(root)}
    assert told == {
        "amount_eur": ("Amount in EUR", "At most 500.", "12.50", UNSET, True),
        "pay_out_on": ("Pay out on", "", "", None, False),
        "owner": ("Owner", "", "", None, False),
        "count": ("Count", "", "", 3, False),
        "made": ("Made", "", "", UNSET, False),
        "alias-x": ("Alias-x", "", "", UNSET, True),
    }


LIMITS = [
    (Annotated[int, Field(ge=0, le=500)], "0 to 500."),
    (Annotated[float, Field(gt=0, le=500)], "More than 0, at most 500."),
    (Annotated[Decimal, Field(lt=0.5)], "Less than 0.5."),
    (Optional[Annotated[int, Field(ge=1, multiple_of=5)]], "At least 1. In steps of 5."),
    (Annotated[int, Field(multiple_of=1)], ""),
    (str, ""),
]


@pytest.mark.parametrize(("schema", "words"), LIMITS)
def test_the_limits_of_a_number_are_told_before_it_is_typed(schema, words):
    assert field_of(answer_schema(schema)).limits == words


@pytest.mark.parametrize(
    ("title", "spoken"), [("RefundRequest", "refund request"), ("HTTPError", "HTTP error"), ("Fill it in", "fill it in"), ("", "")]
)
def test_a_class_name_is_spoken_as_words(title, spoken):
    assert spoken_title(field_of({"type": "integer", "title": title})) == spoken


def test_the_zone_of_a_date_with_time_is_what_the_author_asked_for():
    assert [field_of(answer_schema(t)).zone for t in (AwareDatetime, NaiveDatetime, dt.datetime)] == ["needed", "none", "any"]


def test_a_name_that_speaks_of_prose_gets_more_than_one_line():
    schema = {"properties": {n: {"type": "string"} for n in ("name", "reject_reason", "Comment", "reasons")}}
    assert [m.field.form for m in members(field_of(schema))] == ["", "multiline", "multiline", ""]


def test_the_limits_of_a_typed_dict_hold_in_it_and_in_a_list_of_it():
    root = field_of(answer_schema(Bill))
    line = "group{n: number:integer, why?: text:multiline}"
    assert described(root) == f"group{{lines?: list({line}), last?: {line} or none}}"
    assert described(field_of(answer_schema(list[Line] | None))) == f"list({line}) or none"
    assert [m.field.schema["maximum"] for m in members(field_of(answer_schema(Line))) if m.name == "n"] == [5]


def test_a_model_that_holds_itself_is_drawn_one_level_at_a_time():
    draft = Draft(field_of(answer_schema(Tree)))
    root = draft.root
    assert isinstance(root, Group)
    parent, kids = root.parts["parent"], root.parts["kids"]
    assert isinstance(parent, Group)
    assert isinstance(kids, Many)
    assert (parent.parts, kids.items) == ({}, [])
    draft.set(root.parts["name"].id, "oak")
    assert draft.answer() == {"name": "oak", "kids": []}
    draft.set(draft.give(parent.id), "elder")
    draft.set(draft.add(kids.id), "sapling")
    assert draft.answer() == {"name": "oak", "parent": {"name": "elder", "kids": []}, "kids": [{"name": "sapling", "kids": []}]}
    draft.leave_out(parent.id)
    assert "parent" not in draft.answer()


def test_a_model_that_needs_itself_without_end_still_has_a_form():
    schema = {"$ref": "#/$defs/a", "$defs": {"a": {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "required": ["a"]}}}
    draft = Draft(field_of(schema))
    assert isinstance(draft.root, Group)
    assert draft.root.parts["a"].field.kind == "json"
    with pytest.raises(InvalidAnswerError, match="Check: A"):
        draft.answer()


def test_a_group_inside_itself_does_not_begin_with_its_default_without_end():
    schema = {"type": "object", "properties": {"n": {"type": "string"}, "more": {"$ref": "#"}}, "default": {"n": "x"}}
    assert Draft(field_of(schema)).answer() == {"n": "x"}


def test_a_tuple_that_needs_itself_without_end_still_has_a_form():
    draft = Draft(field_of({"type": "array", "prefixItems": [{"$ref": "#"}, {"type": "string"}], "minItems": 2, "maxItems": 2}))
    assert [part.field.kind for part in draft.root.children()] == ["json", "text"]
    with pytest.raises(InvalidAnswerError):
        draft.answer()


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
        True,
        False,
        None,
        3,
        "x",
        [],
        {"type": 5},
        {"properties": 3},
        {"enum": "x"},
        {"anyOf": [True, False]},
        {"$ref": 5},
        {"type": []},
        {"default": {}, "items": 3},
        {"type": "array", "items": {"$ref": "#"}, "uniqueItems": True},
        {"items": {"$ref": "#/$defs/a"}, "uniqueItems": True, "$defs": {"a": {"items": {"$ref": "#"}, "uniqueItems": True}}},
    ],
)
def test_whatever_is_given_there_is_a_field(schema):
    assert field_of(schema).kind
