"""A field of a form: what a schema says about one value, as a person is asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hitl_nb.checkpoint.records import UNSET

Kind = Literal["text", "number", "moment", "choice", "checks", "checkbox", "fixed", "json", "group", "list", "tuple", "rows", "union"]
"""text: a line or lines. number: typed, never rounded. moment: a date, a time or both. choice: one of several. checks: any of several.
checkbox: a yes or no with a default. fixed: nothing to decide. json: what no other kind can draw. group: named fields. list: any number of
items. tuple: a field for each place. rows: names and values. union: one of several kinds."""
Zone = Literal["none", "any", "needed"]
"""Of a date with time. none: it has no time zone. any: it may have one. needed: it must."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the values to choose from."""

    value: Any
    label: str


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the kinds of a union."""

    title: str
    schema: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class Field:
    """One value of the answer. What lies inside of it is described when it is asked for (see `walker`), so a model may hold itself."""

    kind: Kind
    schema: Any = field(default_factory=dict, repr=False)
    """What the value must fit: the part of the schema, references followed."""
    root: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """The whole schema, where references lead."""
    title: str = ""
    """What it is called; empty for an item of a list."""
    hint: str = ""
    """The author's description."""
    limits: str = ""
    """What a number may be, in words."""
    example: str = ""
    """One of the author's examples, as it is typed."""
    nullable: bool = False
    """None fits too."""
    default: Any = UNSET
    """What counts when the answer leaves it out; UNSET when the schema does not say."""
    form: str = ""
    """text: multiline, email, … number: integer, number, decimal. moment: date, time, date-time."""
    zone: Zone = "any"
    choices: tuple[Choice, ...] = ()
    variants: tuple[Variant, ...] = ()
    tag: str = ""
    """Of a union: the property that tells its kinds apart. Of a kind: the one that is told already."""


@dataclass(frozen=True, slots=True)
class Member:
    """A named field of a group."""

    name: str
    field: Field
    required: bool
