"""A half-filled form: what a person typed, chose, added and moved, and the answer that it makes. Knows no widget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from hitl_nb.checkpoint.records import UNSET
from hitl_nb.decisions.fields.field import Field
from hitl_nb.decisions.fields.holders import Holder, Many, OneOf, Places, Rows
from hitl_nb.decisions.fields.leaves import Checks, Leaf
from hitl_nb.decisions.fields.making import make
from hitl_nb.decisions.fields.node import Node, Path, Report, Shelf
from hitl_nb.decisions.fields.reading import item_name
from hitl_nb.decisions.problems import Problem
from hitl_nb.errors import InvalidAnswerError

ZONE: Final = ".zone"
"""Behind the id of a date with time: the control of its time zone."""
_NAMED_MAX: Final = 5
"""Fields that the line below the buttons names."""


class Draft:
    """The state of one form. Every control has an id that stays the same as long as it is there.

    `check` tells everything that is wrong with a complete answer, rules included that the form does not know. `value`: an answer that is filled in;
    what no control can hold of it is edited as JSON, so that `answer` gives the same value again.

    Nothing that a person must decide is chosen beforehand: a yes or no without a default is a choice of two with none taken, a kind of a union too.
    A field with a default of the schema starts with it. A field left empty is left out, or None where only that fits; a default that was deleted is
    never sent all the same: it is an empty text where that fits, None where that fits, else the field must be filled in.
    """

    def __init__(self, field: Field, *, check: Callable[[Any], Sequence[Problem]] = lambda _: (), value: Any = UNSET) -> None:
        self._shelf = Shelf(field, make)
        self._check = check
        self.root = make(self._shelf, field, None, value=value)
        if isinstance(self.root, Holder):
            self.root.give()
        self.errors: dict[str, str] = {}
        """What is wrong, in words, by id of the field; in the order of the form after `answer`."""

    # -- what a person does

    def node(self, id: str) -> Node | None:  # noqa: A002 - what it is called in the page
        """The node of a field; None when it is not there any more."""
        return self._shelf.nodes.get(id)

    def set(self, id: str, raw: Any) -> None:  # noqa: A002
        """What a control holds now: a text, True or False of a checkbox, the number of a choice as a text."""
        node = self.node(id.removesuffix(ZONE))
        if isinstance(node, Leaf) and id.endswith(ZONE):
            node.zone = raw if isinstance(raw, str) else ""
        elif node is not None:
            node.set(raw)

    def take(self, fields: Mapping[str, Any]) -> None:
        """What all controls hold now. Those that are not there any more are passed over."""
        for name, raw in fields.items():
            self.set(name, raw)

    def add(self, id: str) -> str:  # noqa: A002
        """Add an item to a list, or a row. Returns the id of the first control of it."""
        node = self.node(id)
        self.errors.pop(id, None)
        return first_control(node.add()) if isinstance(node, (Many, Rows)) else ""

    def remove(self, id: str) -> str:  # noqa: A002
        """Take an item out of a list, or a row by the id of its name. Returns the id of the list."""
        node = self.node(id)
        if node is None or not isinstance(node.parent, (Many, Rows)):
            return ""
        node.parent.remove(node)
        self._forget()
        return node.parent.id

    def move(self, id: str, by: int) -> None:  # noqa: A002
        """Move an item of a list by so many places."""
        node = self.node(id)
        if node is not None and isinstance(node.parent, Many):
            node.parent.move(node, by)

    def choose(self, id: str, number: int | None) -> None:  # noqa: A002
        """Choose one kind of a union, or none."""
        node = self.node(id)
        if isinstance(node, OneOf):
            node.choose(number)
            self._forget()

    def give(self, id: str) -> str:  # noqa: A002
        """Add what may be left out. Returns the id of its first control."""
        node = self.node(id)
        if isinstance(node, Holder):
            node.give()
            self.errors.pop(id, None)
        return first_control(node) if node is not None else ""

    def leave_out(self, id: str) -> None:  # noqa: A002
        """Leave it out again."""
        node = self.node(id)
        if isinstance(node, Holder):
            node.leave_out()
            self._forget()

    def leave(self, id: str) -> None:  # noqa: A002
        """A person left this control: say what is wrong with it, or no longer."""
        name = id.removesuffix(ZONE)
        node = self.node(name)
        if node is None:
            return
        at = node.parent if isinstance(node.parent, Checks) else node
        if isinstance(at, (Leaf, Checks)):
            report = Report()
            at.build((), report)
            self.errors.pop(at.id, None)
            self.errors |= {k: words for k, (_, words) in report.problems.items()}
        elif isinstance(at, OneOf) and at.chosen is not None:
            self.errors.pop(at.id, None)

    # -- what becomes of it

    def answer(self) -> Any:
        """The answer as plain data. Raises InvalidAnswerError with all its `problems`; `errors` has them by field then."""
        report = Report()
        value = self.root.build((), report)
        found = [(node, Problem(path, words)) for node, (path, words) in report.problems.items()]
        if not found:
            found = [(_nearest(report.places, p.path, self.root.id), p) for p in self._check(value)]
        order = {name: n for n, name in enumerate(self.ids())}
        found.sort(key=lambda told: order.get(told[0], -1))
        self.errors = {}
        for node, problem in found:
            before = self.errors.get(node)
            self.errors[node] = f"{before} {problem.message}" if before else problem.message
        if found:
            problems = tuple(problem for _, problem in found)
            raise InvalidAnswerError(self.told(), path=list(problems[0].path), problems=problems, reason=self.told())
        return value

    def told(self) -> str:
        """What to check, for the line below the buttons: the fields by name, or what is wrong with the answer as a whole."""
        if not self.errors:
            return ""
        whole = self.errors.get(self.root.id, "") if not isinstance(self.root, Leaf) else ""
        names = list(dict.fromkeys(self.name_of(i) for i in self.errors if not (whole and i == self.root.id)))
        more = f" and {len(names) - _NAMED_MAX} more" if len(names) > _NAMED_MAX else ""
        return " ".join(filter(None, (whole, f"Check: {', '.join(names[:_NAMED_MAX])}{more}" if names else "")))

    @property
    def first_wrong(self) -> str:
        """The control that gets the keyboard after a refusal; empty when nothing is wrong."""
        node = next((self.node(i) for i in self.errors), None)
        return first_control(node) if node is not None else ""

    def name_of(self, id: str) -> str:  # noqa: A002
        """What a field is called in a sentence: its title, or the list's with a number."""
        node = self.node(id)
        while node is not None:
            around = node.parent
            if isinstance(around, Many) and node in around.items:
                title = self.name_of(around.id)
                return f"{item_name(node.field, title) if around is not self.root else 'Item'} {around.items.index(node) + 1}"
            if isinstance(around, Places) and not node.field.title:
                return f"{self.name_of(around.id)} {around.parts.index(node) + 1}"
            if node.field.title and (node is not self.root or isinstance(node, Leaf)):
                return node.field.title
            node = around
        return "your answer"

    def ids(self) -> Iterator[str]:
        """The ids of all fields in the order of the form."""

        def walk(node: Node) -> Iterator[str]:
            yield node.id
            for child in node.children():
                yield from walk(child)

        return walk(self.root)

    def typed(self) -> dict[str, str]:
        """What a person filled in, by the name of the field, as it was typed."""
        found: dict[str, str] = {}
        for name in self.ids():
            node = self._shelf.nodes[name]
            if isinstance(node, Leaf) and node.raw.strip() and not node.is_untouched:
                labels = {str(n): choice.label for n, choice in enumerate(node.field.choices)}
                shown = labels.get(node.raw, node.raw)
                found[self.name_of(name) if self.name_of(name) not in found else f"{self.name_of(name)} ({name})"] = shown
        return found

    def _forget(self) -> None:
        """Drop the errors of what is not there any more."""
        there = set(self.ids())
        self.errors = {k: v for k, v in self.errors.items() if k in there}


def first_control(node: Node) -> str:
    """The id of the first control in a node; its own when it has none inside."""
    if isinstance(node, (Holder, Checks)):
        return next((first_control(child) for child in node.children() if child.field.kind != "fixed"), node.id)
    return node.id


def _nearest(places: Mapping[Path, str], path: Path, root: str) -> str:
    """The node that made this part of the answer, or the nearest one around it."""
    return next((places[path[:n]] for n in range(len(path), -1, -1) if path[:n] in places), root)
