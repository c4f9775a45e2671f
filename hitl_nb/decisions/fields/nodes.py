"""The state of a half-filled form: one node for each field that is drawn. What a node holds is what a person sees, and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final

from hitl_nb.checkpoint.records import UNSET
from hitl_nb.decisions.check import validator_of
from hitl_nb.decisions.fields import walker
from hitl_nb.decisions.fields.field import Field
from hitl_nb.decisions.fields.scalars import NO_ZONE, UTC_SUFFIX, UnreadableError, raw_of, same, split_zone, value_of
from hitl_nb.decisions.problems import of_schema

Path = tuple[str | int, ...]
_STARTS_MAX: Final = 5
"""Items that a list which needs some begins with."""
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


class Shelf:
    """All nodes of one form by id. An id is never used twice."""

    def __init__(self, root: Field) -> None:
        self.root = root
        self.nodes: dict[str, Node] = {}
        self._count = 0
        self._validator: Any = None

    def put(self, node: Node) -> str:
        self._count += 1
        name = f"f{self._count}"
        self.nodes[name] = node
        return name

    def errors(self, schema: Any, value: Any) -> list[str]:
        """What is wrong with this part by its own schema, in words."""
        return [problem.message for problem in of_schema(self._checks(schema).iter_errors(value))]

    def fits(self, schema: Any, value: Any) -> bool:
        return bool(self._checks(schema).is_valid(value))

    def _checks(self, schema: Any) -> Any:
        if self._validator is None:
            self._validator = validator_of(self.root.root)
        return self._validator.evolve(schema=schema)


def make(shelf: Shelf, field: Field, parent: Node | None, *, required: bool = True, value: Any = UNSET) -> Node:
    """The node of a field, with this value in it, else with the default of the schema. A value that the control cannot hold is edited as JSON."""
    explicit = value is not UNSET
    if explicit and not can_hold(shelf, field, value):
        field = replace(field, kind="json")
    elif not explicit and (field.default is not UNSET and not can_hold(shelf, field, field.default)):
        field = replace(field, default=UNSET)
    if field.kind == "group" and _repeats(field, parent):
        field = replace(field, kind="json")
    if field.kind == "fixed" and not required and field.default is UNSET:
        field = replace(field, kind="choice")  # whether it is there at all is to decide
    kinds: dict[str, type[Node]] = {
        "checkbox": Tick,
        "fixed": Fixed,
        "checks": Checks,
        "group": Group,
        "tuple": Places,
        "list": Many,
        "rows": Rows,
        "union": OneOf,
    }
    node = kinds.get(field.kind, Leaf)(shelf, field, parent, required=required)
    node.start(value if explicit else field.default, explicit=explicit)
    return node


def can_hold(shelf: Shelf, field: Field, value: Any) -> bool:
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
            return isinstance(value, dict)
        case "list":
            return isinstance(value, list)
        case "tuple":
            return isinstance(value, list) and len(value) == len(walker.places(field))
        case "union":
            return any(shelf.fits(v.schema, value) for v in field.variants)
    return raw_of(field, value) is not None


def _repeats(field: Field, parent: Node | None) -> bool:
    """A group that needs itself without end: there is no such answer, and no form for it."""
    while parent is not None and not isinstance(parent, (Many, Rows, OneOf)) and not parent.can_skip:
        if parent.field.kind == "group" and parent.field.schema == field.schema:
            return True
        parent = parent.parent
    return False


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
        wrong = self.shelf.errors(schema, value)
        if wrong:
            report.add(self, path, " ".join(wrong))
            return WRONG
        return value

    def _own_rules(self, value: Any, path: Path, report: Report) -> Any:
        rules = {k: self.field.schema[k] for k in _OWN_RULES if k in self.field.schema}
        return self._checked(value, path, report, rules) if rules else value


class Leaf(Node):
    """One control: a text, a number, a date, a choice, JSON."""

    def __init__(self, shelf: Shelf, field: Field, parent: Node | None, *, required: bool) -> None:
        super().__init__(shelf, field, parent, required=required)
        self.raw = ""
        """As it is typed; of a choice its number in the list."""
        self.zone = NO_ZONE
        """Of a date with time: the suffix that is sent, if the text has none of its own."""
        self._kept: tuple[str, str, Any] | None = None
        """What it was started with, typed and as a value: untouched, the value is sent exactly as it was."""

    def _meaning_of_empty(self) -> Any:
        found = super()._meaning_of_empty()
        # Its default was there to be seen and was deleted: an empty text is meant.
        return "" if found is MUST and not self.required and self.field.kind == "text" and self.shelf.fits(self.field.schema, "") else found

    def start(self, value: Any, *, explicit: bool) -> None:
        if self.field.form == "date-time" and self.field.zone != "none":
            self.zone = UTC_SUFFIX
        if value is UNSET or (value is None and self.field.nullable):
            if explicit and value is None:
                self.empty = None
            return
        written = raw_of(self.field, value)
        if written is None:
            return
        self.raw, self.zone = written
        self._kept = (_lines(self.raw), self.zone, value)
        if explicit and not self.raw.strip():
            self.empty = value

    def set(self, raw: Any) -> None:
        self.raw = raw if isinstance(raw, str) else ""

    @property
    def is_untouched(self) -> bool:
        return self._kept is not None and (_lines(self.raw), self.zone) == self._kept[:2]

    @property
    def own_zone(self) -> bool:
        """The text itself says the zone."""
        return self.field.form != "date" and bool(split_zone(self.raw.strip())[1])

    def build(self, path: Path, report: Report) -> Any:
        report.places[path] = self.id
        if self._kept is not None and self.is_untouched:
            value = self._kept[2]
        elif not self.raw.strip():
            if self.empty is MUST:
                report.add(self, path, "Must be chosen." if self.field.kind == "choice" else "Must be filled in.")
                return WRONG
            return self.empty
        else:
            try:
                value = value_of(self.field, self.raw, self.zone)
            except UnreadableError as error:
                report.add(self, path, str(error))
                return WRONG
        return self._checked(value, path, report, self.field.schema)


def _lines(text: str) -> str:
    """With the line ends of a browser's text field."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


class Tick(Node):
    """A yes or no that has a default."""

    is_on = False

    def start(self, value: Any, *, explicit: bool) -> None:
        self.is_on = value is True

    def set(self, raw: Any) -> None:
        self.is_on = raw is True

    def build(self, path: Path, report: Report) -> Any:
        report.places[path] = self.id
        return self.is_on


class Fixed(Node):
    """Nothing to decide."""

    def build(self, path: Path, report: Report) -> Any:
        report.places[path] = self.id
        return self.field.choices[0].value


class Checks(Node):
    """Any of some values; sent in the order of the schema."""

    def __init__(self, shelf: Shelf, field: Field, parent: Node | None, *, required: bool) -> None:
        super().__init__(shelf, field, parent, required=required)
        each = Field("checkbox", root=field.root)
        self.ticks = [Tick(shelf, replace(each, title=c.label), self, required=True) for c in field.choices]
        self._kept: tuple[list[bool], Any] | None = None

    def start(self, value: Any, *, explicit: bool) -> None:
        if not isinstance(value, list):
            if explicit:
                self.empty = value
            return
        for tick, choice in zip(self.ticks, self.field.choices, strict=True):
            tick.is_on = any(same(choice.value, v) for v in value)
        self._kept = ([t.is_on for t in self.ticks], value)

    def children(self) -> Iterator[Node]:
        yield from self.ticks

    def build(self, path: Path, report: Report) -> Any:
        report.places[path] = self.id
        chosen = [c.value for c, tick in zip(self.field.choices, self.ticks, strict=True) if tick.is_on]
        if self._kept is not None and self._kept[0] == [t.is_on for t in self.ticks]:
            return self._own_rules(self._kept[1], path, report)
        if not chosen and self.optional:
            return self.empty
        return self._own_rules(chosen, path, report)


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
            self.parts[member.name] = make(self.shelf, own, self, required=member.required, value=given.get(member.name, UNSET))
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
            self.parts.append(make(self.shelf, each, self, value=UNSET if given is None else given[n]))

    def children(self) -> Iterator[Node]:
        yield from self.parts

    def build_parts(self, path: Path, report: Report) -> Any:
        built = [node.build((*path, n), report) for n, node in enumerate(self.parts)]
        return WRONG if any(v is WRONG for v in built) else self._own_rules(built, path, report)


class Many(Holder):
    """A list: items are added, taken away and moved."""

    def __init__(self, shelf: Shelf, field: Field, parent: Node | None, *, required: bool) -> None:
        super().__init__(shelf, field, parent, required=required)
        self.items: list[Node] = []
        self._stays = False
        """It was an empty list, and no missing one."""

    @property
    def can_skip(self) -> bool:
        return self.field.nullable and super().can_skip

    @property
    def optional(self) -> bool:
        return self.empty is not MUST or not self.field.schema.get("minItems")

    def start(self, value: Any, *, explicit: bool) -> None:
        self._stays = isinstance(value, list)
        super().start(value, explicit=explicit)

    def begin(self, value: Any) -> None:
        if isinstance(value, list):
            for each in value:
                self.items.append(make(self.shelf, walker.item(self.field), self, value=each))
        elif self.empty is MUST:
            each = walker.item(self.field)
            least = self.field.schema.get("minItems", 0)
            # Larger items are added one at a time: they might hold such a list again.
            if isinstance(least, int) and each.kind in ("text", "number", "moment", "choice"):
                self.items += [make(self.shelf, each, self) for _ in range(min(least, _STARTS_MAX))]

    def children(self) -> Iterator[Node]:
        yield from self.items

    def add(self) -> Node:
        self.is_given = True
        made = make(self.shelf, walker.item(self.field), self)
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
        if not self.items and self.empty is ABSENT and not self._stays and not self.can_skip:
            return ABSENT
        built = [node.build((*path, n), report) for n, node in enumerate(self.items)]
        return WRONG if any(v is WRONG for v in built) else self._own_rules(built, path, report)


class Rows(Holder):
    """Names and values."""

    def __init__(self, shelf: Shelf, field: Field, parent: Node | None, *, required: bool) -> None:
        super().__init__(shelf, field, parent, required=required)
        self.rows: list[tuple[Node, Node]] = []
        self._stays = False

    @property
    def can_skip(self) -> bool:
        return self.field.nullable and super().can_skip

    @property
    def optional(self) -> bool:
        return self.empty is not MUST or not self.field.schema.get("minProperties")

    def start(self, value: Any, *, explicit: bool) -> None:
        self._stays = isinstance(value, dict)
        super().start(value, explicit=explicit)

    def begin(self, value: Any) -> None:
        if isinstance(value, dict):
            for name, each in value.items():
                self._row(name, each)

    def _row(self, name: Any, value: Any) -> tuple[Node, Node]:
        made = (make(self.shelf, walker.key(self.field), self, value=name), make(self.shelf, walker.row(self.field), self, value=value))
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

    def remove(self, name: Node) -> None:
        row = next(r for r in self.rows if r[0] is name)
        self.rows.remove(row)
        for node in row:
            node.drop()

    def build_parts(self, path: Path, report: Report) -> Any:
        if not self.rows and self.empty is ABSENT and not self._stays and not self.can_skip:
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
        fitting = next((n for n, v in enumerate(self.field.variants) if self.shelf.fits(v.schema, value)), None)
        if fitting is not None:
            self.chosen = fitting
            self.made[fitting] = make(self.shelf, walker.variant(self.field, fitting), self, value=value)

    def set(self, raw: Any) -> None:
        self.choose(int(raw) if isinstance(raw, str) and raw.isascii() and raw.isdecimal() else None)

    def choose(self, number: int | None) -> None:
        self.chosen = number if number is not None and number < len(self.field.variants) else None
        if self.chosen is not None and self.chosen not in self.made:
            made = make(self.shelf, walker.variant(self.field, self.chosen), self)
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
