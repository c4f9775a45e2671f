"""Fields without fields in them: one control each, or a row of checkboxes. What they hold is what a person sees, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hitl_nb.checkpoint.records import UNSET
from hitl_nb.decisions.fields.field import Field
from hitl_nb.decisions.fields.node import ABSENT, MUST, WRONG, Node, Path, Report, Shelf
from hitl_nb.decisions.fields.scalars import NO_ZONE, UTC_SUFFIX, UnreadableError, raw_of, same, split_zone, value_of
from hitl_nb.decisions.line_ends import bare, ended_like


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
        return "" if found is MUST and not self.required and self.field.kind == "text" and self.shelf.rules.fits(self.field.schema, "") else found

    def start(self, value: Any, *, explicit: bool) -> None:
        if self.field.form == "date-time" and self.field.zone != "none":
            self.zone = UTC_SUFFIX
        if value is UNSET or (value is None and (self.field.nullable or (self.empty is ABSENT and not explicit))):
            if explicit and value is None:
                self.empty = None
            return
        written = raw_of(self.field, value)
        if written is None:
            return
        self.raw, self.zone = written
        self._kept = (bare(self.raw), self.zone, value)
        if explicit and not self.raw.strip():
            self.empty = value

    def set(self, raw: Any) -> None:
        self.raw = raw if isinstance(raw, str) else "0" if raw is True and is_consent(self) else ""

    @property
    def is_untouched(self) -> bool:
        return self._kept is not None and (bare(self.raw), self.zone) == self._kept[:2]

    @property
    def _raw(self) -> str:
        """As it is typed, with the line ends of the text that it was started with."""
        before = self._kept[2] if self._kept is not None else None
        return ended_like(before, self.raw) if self.field.kind == "text" and isinstance(before, str) else self.raw

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
                report.add(
                    self, path, "Must be ticked." if is_consent(self) else "Must be chosen." if self.field.kind == "choice" else "Must be filled in."
                )
                return WRONG
            return self.empty
        else:
            try:
                value = value_of(self.field, self._raw, self.zone)
            except UnreadableError as error:
                report.add(self, path, str(error))
                return WRONG
        return self._checked(value, path, report, self.field.schema)


def is_consent(node: Leaf) -> bool:
    """Only True fits, and a person must say so: a box to tick."""
    return node.field.kind == "choice" and node.empty is MUST and [c.value for c in node.field.choices] == [True]


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
