"""Which node a field gets, and what it begins with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from hitl_nb.checkpoint.records import UNSET
from hitl_nb.decisions.fields import walker
from hitl_nb.decisions.fields.field import Field
from hitl_nb.decisions.fields.holders import Group, Many, OneOf, Places, Rows
from hitl_nb.decisions.fields.leaves import Checks, Fixed, Leaf, Tick
from hitl_nb.decisions.fields.node import Node, Rules, Shelf
from hitl_nb.decisions.fields.references import notes_off
from hitl_nb.decisions.fields.scalars import raw_of, same

ITEMS_MAX: Final = 200
"""Items that are drawn one by one; a longer list is edited as JSON."""
_KINDS: Final[dict[str, type[Node]]] = {
    "checkbox": Tick,
    "fixed": Fixed,
    "checks": Checks,
    "group": Group,
    "tuple": Places,
    "list": Many,
    "rows": Rows,
    "union": OneOf,
}
"""Every other kind is one control."""


def make(shelf: Shelf, field: Field, parent: Node | None, *, required: bool = True, value: Any = UNSET) -> Node:
    """The node of a field, with this value in it, else with the default of the schema. A value that the control cannot hold is edited as JSON."""
    explicit = value is not UNSET
    if explicit and not can_hold(shelf.rules, field, value):
        field = replace(field, kind="json")
    elif field.default is not UNSET and (not can_hold(shelf.rules, field, field.default) or _is_inside_itself(field, parent)):
        field = replace(field, default=UNSET)
    if field.kind in ("group", "tuple") and required and not field.nullable and _repeats(field, parent):
        field = replace(field, kind="json")
    if field.kind == "fixed" and not required and field.default is UNSET:
        field = replace(field, kind="choice")  # whether it is there at all is to decide
    node = _KINDS.get(field.kind, Leaf)(shelf, field, parent, required=required)
    node.start(value if explicit else field.default, explicit=explicit)
    return node


def can_hold(rules: Rules, field: Field, value: Any) -> bool:
    """Whether the control of this field can show the value as it is."""
    if value is None and field.nullable:
        return True
    match field.kind:
        case "json":
            return True
        case "checkbox":
            return isinstance(value, bool)
        case "fixed":
            return same(value, field.choices[0].value)
        case "checks":
            taken = [c for c in field.choices if isinstance(value, list) and any(same(c.value, v) for v in value)]
            return isinstance(value, list) and len(taken) == len(value)
        case "group" | "rows":
            return isinstance(value, dict) and len(value) <= ITEMS_MAX
        case "list":
            return isinstance(value, list) and len(value) <= ITEMS_MAX
        case "tuple":
            return isinstance(value, list) and len(value) == len(walker.places(field))
        case "union":
            return any(rules.fits(v.schema, value) for v in field.variants)
    return raw_of(field, value) is not None


def _is_inside_itself(field: Field, parent: Node | None) -> bool:
    """A default there would begin another one inside it, without end."""
    while parent is not None:
        if parent.field.kind == field.kind and notes_off(parent.field.schema) == notes_off(field.schema):
            return field.kind in ("group", "tuple")
        parent = parent.parent
    return False


def _repeats(field: Field, parent: Node | None) -> bool:
    """A group or tuple that needs itself without end: there is no such answer, and no form for it."""
    while parent is not None and not isinstance(parent, (Many, Rows, OneOf)) and not parent.can_skip:
        if parent.field.kind == field.kind and notes_off(parent.field.schema) == notes_off(field.schema):
            return True
        parent = parent.parent
    return False
