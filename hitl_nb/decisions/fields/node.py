"""One field of a half-filled form, what all kinds of them have in common, and the report of what they make."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Protocol

from hitl_nb.checkpoint.records import UNSET
from hitl_nb.decisions.fields.field import Field
from hitl_nb.decisions.problems import of_schema
from hitl_nb.decisions.validator import validator_of

Path = tuple[str | int, ...]
_OWN_RULES: Final = ("minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties")
"""What a list or a group must fit beside its parts."""


class Nothing(Enum):
    """What stands where a value could."""

    ABSENT = "left out of the answer"
    MUST = "has to be filled in"
    WRONG = "is no value yet; the report says why"


ABSENT, MUST, WRONG = Nothing.ABSENT, Nothing.MUST, Nothing.WRONG


@dataclass(slots=True)
class Report:
    """What came out of building the answer."""

    places: dict[Path, str] = field(default_factory=dict)
    """Which node made which part of the answer."""
    problems: dict[str, tuple[Path, str]] = field(default_factory=dict)
    """The place and the words by node, in the order of the form; the first of each."""

    def add(self, node: Node, path: Path, words: str) -> None:
        self.problems.setdefault(node.id, (path, words))


class Rules:
    """What values of one schema must fit."""

    def __init__(self, root: Field) -> None:
        self._root = root.root
        self._validator: Any = None

    def errors(self, schema: Any, value: Any) -> list[str]:
        """What is wrong with this part by its own schema, in words."""
        try:
            return [problem.message for problem in of_schema(self._of(schema).iter_errors(value))]
        except Exception:  # noqa: BLE001  # a reference that leads nowhere: told when the whole answer is checked
            return []

    def fits(self, schema: Any, value: Any) -> bool:
        try:
            return bool(self._of(schema).is_valid(value))
        except Exception:  # noqa: BLE001
            return False

    def _of(self, schema: Any) -> Any:
        if self._validator is None:
            self._validator = validator_of(self._root)
        return self._validator.evolve(schema=schema)


class Make(Protocol):
    def __call__(self, shelf: Shelf, field: Field, parent: Node | None, *, required: bool = True, value: Any = UNSET) -> Node: ...


class Shelf:
    """All nodes of one form by id. An id is never used twice."""

    def __init__(self, root: Field, make: Make) -> None:
        self.rules = Rules(root)
        self.nodes: dict[str, Node] = {}
        self._make = make
        self._count = 0

    def make(self, field: Field, parent: Node | None, *, required: bool = True, value: Any = UNSET) -> Node:
        """A node with what it begins with; `value`: with this in it."""
        return self._make(self, field, parent, required=required, value=value)

    def put(self, node: Node) -> str:
        self._count += 1
        name = f"f{self._count}"
        self.nodes[name] = node
        return name


class Node:
    """One field, and what is in it."""

    def __init__(self, shelf: Shelf, field: Field, parent: Node | None, *, required: bool) -> None:
        self.shelf, self.field, self.parent = shelf, field, parent
        self.required = required
        self.id = shelf.put(self)
        self.empty: Any = self._meaning_of_empty()
        """What it stands for while nothing is in it: ABSENT, None, another value, or MUST."""

    def _meaning_of_empty(self) -> Any:
        default = self.field.default
        if not self.required and (default is UNSET or default is None):
            return ABSENT
        return None if self.field.nullable else MUST

    @property
    def optional(self) -> bool:
        """Whether it may stay empty."""
        return self.empty is not MUST

    @property
    def can_skip(self) -> bool:
        """Whether it is shown only when a person adds it."""
        return False

    def start(self, value: Any, *, explicit: bool) -> None:
        """Put a value in; UNSET: nothing. `explicit`: it is an answer, and no default."""

    def set(self, raw: Any) -> None:
        """Take over what the control holds."""

    def build(self, path: Path, report: Report) -> Any:
        """The value, ABSENT, or WRONG once the report says why."""
        raise NotImplementedError

    def children(self) -> Iterator[Node]:
        """What is drawn inside of it."""
        return iter(())

    def drop(self) -> None:
        """Forget it, with all that is in it."""
        for child in list(self.children()):
            child.drop()
        self.shelf.nodes.pop(self.id, None)

    def _checked(self, value: Any, path: Path, report: Report, schema: Any) -> Any:
        if value is None and self.field.nullable:
            return value
        wrong = self.shelf.rules.errors(schema, value)
        if wrong:
            report.add(self, path, " ".join(wrong))
            return WRONG
        return value

    def _own_rules(self, value: Any, path: Path, report: Report) -> Any:
        rules = {k: self.field.schema[k] for k in _OWN_RULES if k in self.field.schema}
        return self._checked(value, path, report, rules) if rules else value
