"""Fields that hold other fields: groups, lists, rows, unions. Their parts are made when they are there: a model may hold itself."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from hitl_nb.checkpoint.records import UNSET
from hitl_nb.decisions.fields import walker
from hitl_nb.decisions.fields.field import Field
from hitl_nb.decisions.fields.leaves import Leaf, Tick
from hitl_nb.decisions.fields.node import ABSENT, MUST, WRONG, Node, Path, Report, Shelf

_STARTS_MAX: Final = 5
"""Items that a list which needs some begins with."""


class Holder(Node):
    """What has parts. One that may be left out is there only when a person adds it."""

    is_given = True

    @property
    def can_skip(self) -> bool:
        return self.empty is ABSENT or self.empty is None

    def start(self, value: Any, *, explicit: bool) -> None:
        if explicit and value is None:
            self.empty = None
        missing = value is UNSET or (value is None and self.field.nullable)
        self.is_given = not (missing and self.can_skip)
        if self.is_given:
            self.begin(UNSET if missing else value)

    def begin(self, value: Any) -> None:
        """Make the parts."""

    def give(self) -> None:
        """Add it."""
        if not self.is_given:
            self.is_given = True
            if not any(True for _ in self.children()):
                self.begin(UNSET)

    def leave_out(self) -> None:
        """Take it away again; what was typed is kept for when it is added again."""
        self.is_given = not self.can_skip

    def build(self, path: Path, report: Report) -> Any:
        report.places[path] = self.id
        return self.build_parts(path, report) if self.is_given else self.empty

    def build_parts(self, path: Path, report: Report) -> Any:
        raise NotImplementedError


class Group(Holder):
    """Named fields."""

    def __init__(self, shelf: Shelf, field: Field, parent: Node | None, *, required: bool) -> None:
        super().__init__(shelf, field, parent, required=required)
        self.parts: dict[str, Node] = {}
        self.others: Rows | None = None
        """Names beside those of the schema."""

    def begin(self, value: Any) -> None:
        given = value if isinstance(value, dict) else {}
        for member in walker.members(self.field):
            own = replace(member.field, kind="fixed") if member.name == self.field.tag and len(member.field.choices) == 1 else member.field
            self.parts[member.name] = self.shelf.make(own, self, required=member.required, value=given.get(member.name, UNSET))
        rest = {k: v for k, v in given.items() if k not in self.parts}
        if rest or walker.has_rows(self.field):
            extra = self.field.schema.get("additionalProperties")
            schema = {"type": "object", "additionalProperties": extra if isinstance(extra, Mapping) else {}}
            other = Field("rows", schema, self.field.root, title="More fields" if self.parts else "")
            self.others = Rows(self.shelf, other, self, required=True)
            self.others.begin(rest)

    def children(self) -> Iterator[Node]:
        yield from self.parts.values()
        if self.others is not None:
            yield self.others

    def build_parts(self, path: Path, report: Report) -> Any:
        built = {name: node.build((*path, name), report) for name, node in self.parts.items()}
        others = {} if self.others is None else self.others.build_rows(path, report, taken=self.parts)
        if others is None or any(v is WRONG for v in built.values()):
            return WRONG
        built |= others
        return self._own_rules({k: v for k, v in built.items() if v is not ABSENT}, path, report)


class Places(Holder):
    """A tuple: a field for each place."""

    def __init__(self, shelf: Shelf, field: Field, parent: Node | None, *, required: bool) -> None:
        super().__init__(shelf, field, parent, required=required)
        self.parts: list[Node] = []

    def begin(self, value: Any) -> None:
        given = value if isinstance(value, list) else None
        for n, each in enumerate(walker.places(self.field)):
            self.parts.append(self.shelf.make(each, self, value=UNSET if given is None else given[n]))

    def children(self) -> Iterator[Node]:
        yield from self.parts

    def build_parts(self, path: Path, report: Report) -> Any:
        built = [node.build((*path, n), report) for n, node in enumerate(self.parts)]
        return WRONG if any(v is WRONG for v in built) else self._own_rules(built, path, report)


class Growing(Holder):
    """Parts are added and taken away. Without any, it is empty or missing."""

    kind: type
    """Of its value."""
    least: str
    """The rule of the schema that demands a number of parts."""

    def __init__(self, shelf: Shelf, field: Field, parent: Node | None, *, required: bool) -> None:
        super().__init__(shelf, field, parent, required=required)
        self._stays = False
        """It was empty, and not missing."""

    @property
    def can_skip(self) -> bool:
        return self.field.nullable and super().can_skip

    @property
    def optional(self) -> bool:
        return self.empty is not MUST or not self.field.schema.get(self.least)

    def start(self, value: Any, *, explicit: bool) -> None:
        self._stays = isinstance(value, self.kind)
        super().start(value, explicit=explicit)

    @property
    def is_missing(self) -> bool:
        """Whether it is left out: it has no parts, and did not come as an empty value."""
        return not any(True for _ in self.children()) and self.empty is ABSENT and not self._stays and not self.can_skip


class Many(Growing):
    """A list: items are added, taken away and moved."""

    kind, least = list, "minItems"

    def __init__(self, shelf: Shelf, field: Field, parent: Node | None, *, required: bool) -> None:
        super().__init__(shelf, field, parent, required=required)
        self.items: list[Node] = []

    def begin(self, value: Any) -> None:
        if isinstance(value, list):
            for each in value:
                self.items.append(self.shelf.make(walker.item(self.field), self, value=each))
        elif self.empty is MUST:
            each = walker.item(self.field)
            least = self.field.schema.get("minItems", 0)
            # Larger items are added one at a time: they might hold such a list again.
            if isinstance(least, int) and each.kind in ("text", "number", "moment", "choice"):
                self.items += [self.shelf.make(each, self) for _ in range(min(least, _STARTS_MAX))]

    def children(self) -> Iterator[Node]:
        yield from self.items

    def add(self) -> Node:
        self.is_given = True
        made = self.shelf.make(walker.item(self.field), self)
        if isinstance(made, Holder):
            made.give()
        self.items.append(made)
        return made

    def remove(self, item: Node) -> None:
        self.items.remove(item)
        item.drop()

    def move(self, item: Node, by: int) -> None:
        at = self.items.index(item)
        to = min(max(at + by, 0), len(self.items) - 1)
        self.items.insert(to, self.items.pop(at))

    def build_parts(self, path: Path, report: Report) -> Any:
        if self.is_missing:
            return ABSENT
        built = [node.build((*path, n), report) for n, node in enumerate(self.items)]
        return WRONG if any(v is WRONG for v in built) else self._own_rules(built, path, report)


class Rows(Growing):
    """Names and values."""

    kind, least = dict, "minProperties"

    def __init__(self, shelf: Shelf, field: Field, parent: Node | None, *, required: bool) -> None:
        super().__init__(shelf, field, parent, required=required)
        self.rows: list[tuple[Node, Node]] = []

    def begin(self, value: Any) -> None:
        if isinstance(value, dict):
            for name, each in value.items():
                self._row(name, each)

    def _row(self, name: Any, value: Any) -> tuple[Node, Node]:
        made = (self.shelf.make(walker.key(self.field), self, value=name), self.shelf.make(walker.row(self.field), self, value=value))
        self.rows.append(made)
        return made

    def children(self) -> Iterator[Node]:
        for row in self.rows:
            yield from row

    def add(self) -> Node:
        """A new row; returns the node of its name."""
        self.is_given = True
        name, value = self._row(UNSET, UNSET)
        if isinstance(value, Holder):
            value.give()
        return name

    def remove(self, part: Node) -> None:
        row = next(r for r in self.rows if part in r)
        self.rows.remove(row)
        for node in row:
            node.drop()

    def build_parts(self, path: Path, report: Report) -> Any:
        if self.is_missing:
            return ABSENT
        built = self.build_rows(path, report)
        return WRONG if built is None else self._own_rules(built, path, report)

    def build_rows(self, path: Path, report: Report, *, taken: Collection[str] = ()) -> dict[str, Any] | None:
        """The rows as a dict; None when something in them is wrong. `taken`: names that are used already."""
        built: dict[str, Any] = {}
        is_right = True
        for name, node in self.rows:
            inner = Report()
            key = name.build((), inner)
            if key is WRONG:
                report.add(name, path, inner.problems[name.id][1])
            elif not isinstance(key, str) or key in built or key in taken:
                report.add(name, path, "Is used twice." if isinstance(key, str) else "Must be a text.")
                key = WRONG
            value = node.build((*path, "" if key is WRONG else key), report)
            if key is WRONG or value is WRONG:
                is_right = False
            if key is not WRONG:
                built[key] = value
        return built if is_right else None


class OneOf(Node):
    """One of several kinds; what was typed into another one is kept for when a person comes back to it."""

    def __init__(self, shelf: Shelf, field: Field, parent: Node | None, *, required: bool) -> None:
        super().__init__(shelf, field, parent, required=required)
        self.chosen: int | None = None
        self.made: dict[int, Node] = {}

    def start(self, value: Any, *, explicit: bool) -> None:
        if explicit and value is None:
            self.empty = None
        if value is UNSET or (value is None and self.field.nullable):
            return
        fitting = next((n for n, v in enumerate(self.field.variants) if self.shelf.rules.fits(v.schema, value)), None)
        if fitting is not None:
            self.chosen = fitting
            self.made[fitting] = self.shelf.make(walker.variant(self.field, fitting), self, value=value)

    def set(self, raw: Any) -> None:
        self.choose(next((n for n in range(len(self.field.variants)) if raw == str(n)), None))

    def choose(self, number: int | None) -> None:
        self.chosen = number if number is not None and number < len(self.field.variants) else None
        if self.chosen is not None and self.chosen not in self.made:
            made = self.shelf.make(walker.variant(self.field, self.chosen), self)
            if isinstance(made, Holder):
                made.give()
            self.made[self.chosen] = made

    @property
    def inner(self) -> Node | None:
        """The node of the kind that is chosen."""
        return None if self.chosen is None else self.made[self.chosen]

    def children(self) -> Iterator[Node]:
        yield from self.made.values()

    def build(self, path: Path, report: Report) -> Any:
        if self.inner is None:
            report.places[path] = self.id
            if self.empty is MUST:
                report.add(self, path, "Must be chosen.")
                return WRONG
            return self.empty
        value = self.inner.build(path, report)
        report.places[path] = self.inner.id if isinstance(self.inner, (Leaf, Tick)) else self.id
        return value
