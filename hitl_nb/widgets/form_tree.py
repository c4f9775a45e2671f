"""How a draft looks: labels above, hints and errors below, two columns where there is room. Pure drawing; the ids are those of the draft."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from hitl_nb.decisions.fields import walker
from hitl_nb.decisions.fields.draft import ZONE, Draft
from hitl_nb.decisions.fields.field import Field
from hitl_nb.decisions.fields.holders import Group, Holder, Many, OneOf, Places, Rows
from hitl_nb.decisions.fields.leaves import Checks, Fixed, Leaf, Tick, is_consent
from hitl_nb.decisions.fields.node import Node
from hitl_nb.decisions.fields.reading import item_name, zone_words
from hitl_nb.decisions.line_ends import bare
from hitl_nb.decisions.wording import in_sentence
from hitl_nb.widgets import tree
from hitl_nb.widgets.tree import h, icon

RADIO_MAX: Final = 5
"""Choices up to which each is seen at once; more are a dropdown."""
_WIDE: Final = 44
"""Characters of all labels of a choice from which it takes the whole width."""
_NATIVE: Final = {
    "date": ("date", re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)),
    "time": ("time", re.compile(r"\d\d:\d\d(:\d\d(\.\d{1,3})?)?", re.ASCII)),
    "date-time": ("datetime-local", re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,3})?)?", re.ASCII)),
}
"""The browser's own control, and the texts that it keeps as they are. It would show any other as empty."""
_OFFSETS: Final = (
    *("-12:00", "-11:00", "-10:00", "-09:30", "-09:00", "-08:00", "-07:00", "-06:00", "-05:00", "-04:00", "-03:30", "-03:00", "-02:00"),
    *("-01:00", "Z", "+01:00", "+02:00", "+03:00", "+03:30", "+04:00", "+04:30", "+05:00", "+05:30", "+05:45", "+06:00", "+06:30"),
    *("+07:00", "+08:00", "+08:45", "+09:00", "+09:30", "+10:00", "+10:30", "+11:00", "+12:00", "+12:45", "+13:00", "+14:00"),
)
_KEYBOARDS: Final = {"email": "email", "uri": "url", "integer": "numeric", "number": "decimal", "decimal": "decimal"}
_TYPED: Final = {"autocomplete": "off", "spellcheck": "false"}


class FormTree:
    """One drawing of a draft as it is now. A description that the question above it says already is not said again."""

    def __init__(self, draft: Draft, question: str = "") -> None:
        self._draft, self._question = draft, question

    def drawn(self) -> tree.Node:
        """The whole form."""
        root = self._draft.root
        if isinstance(root, Group) and root.is_given:
            is_said = _as_said(root.field.hint) == _as_said(self._question)
            hint = h("p", {"class": "hitl-nb-f-hint hitl-nb-f-about"}, root.field.hint) if root.field.hint and not is_said else None
            return h("div", {"class": "hitl-nb-form"}, hint, self._parts(root))
        return h("div", {"class": "hitl-nb-form"}, self._node(root, root.field.title or "Your answer"))

    # -- nodes

    def _node(self, node: Node, title: str = "") -> tree.Node:
        title = title or node.field.title
        match node:
            case Leaf() if is_consent(node):
                return self._field(node, None, self._tick(node, title))
            case Leaf() if node.field.kind == "choice":
                return self._choice(node, title, [(str(n), c.label) for n, c in enumerate(node.field.choices)], node.raw)
            case Leaf():
                return self._leaf(node, title)
            case Tick():
                return self._field(node, None, self._tick(node, title))
            case Fixed():
                return self._field(node, _label("span", title, None), h("div", {"class": "hitl-nb-f-fixed"}, node.field.choices[0].label))
            case Checks():
                ticks = h("div", {"class": "hitl-nb-f-radios"}, (self._tick(t, t.field.title) for t in node.ticks))
                return self._set(node, title, ticks, wide=_width(t.field.title for t in node.ticks), optional=False)
            case OneOf():
                return self._one_of(node, title)
            case Many():
                return self._many(node, title)
            case Rows():
                return self._rows(node, title)
        assert isinstance(node, Holder)
        return self._holder(node, title)

    def _parts(self, node: Holder) -> Iterable[tree.Node]:
        for n, part in enumerate(node.children(), 1):
            is_tag = isinstance(part, Fixed) and isinstance(node, Group) and node.parts.get(node.field.tag) is part
            if not is_tag:
                yield self._node(part, part.field.title or (f"{n}" if isinstance(node, Places) else ""))

    def _leaf(self, node: Leaf, title: str) -> tree.Node:
        return self._field(node, _label("label", title, node), self._control(node), wide=_is_long(node.field))

    def _tick(self, node: Tick | Leaf, title: str) -> tree.Node:
        is_on = node.is_on if isinstance(node, Tick) else node.raw == "0"
        box = h("input", {"type": "checkbox", "checked": is_on, **self._wired(node)})
        return h("label", {"class": "hitl-nb-f-tick"}, box, h("span", {}, title))

    def _choice(self, node: Leaf | OneOf, title: str, choices: list[tuple[str, str]], chosen: str) -> tree.Node:
        """Radio buttons or a dropdown. What may stay empty has a choice that says so."""
        if len(choices) > RADIO_MAX:
            first = h("option", {"value": ""}, "Not set" if node.optional else "Choose…")
            drop = h("select", {"value": chosen, **self._wired(node)}, first, (h("option", {"value": v}, words) for v, words in choices))
            return self._field(node, _label("label", title, node), drop)
        shown = [*choices, ("", "Not set")] if node.optional else choices
        radios = h("div", {"class": "hitl-nb-f-radios"}, (self._radio(node, n, v, words, chosen) for n, (v, words) in enumerate(shown)))
        return self._set(node, title, radios, wide=_width(words for _, words in shown), optional=node.optional)

    def _radio(self, node: Leaf | OneOf, number: int, value: str, words: str, chosen: str) -> tree.Node:
        own = {**self._wired(node), "id": node.id if number == 0 else f"{node.id}-{number}", "name": node.id}
        own.pop("aria-describedby", None)  # the words belong to the group
        # None of them is chosen until a person does, unless what is empty may stay so.
        checked = value == chosen and (value != "" or node.optional)
        return h("label", {"class": "hitl-nb-f-tick"}, h("input", {"type": "radio", "value": value, "checked": checked, **own}), h("span", {}, words))

    def _one_of(self, node: OneOf, title: str) -> tree.Node:
        names = [(str(n), v.title) for n, v in enumerate(node.field.variants)]
        kinds = self._choice(node, title, names, "" if node.chosen is None else str(node.chosen))
        if node.inner is None or node.chosen is None:
            return kinds
        name = node.field.variants[node.chosen].title
        if isinstance(node.inner, Group) and node.inner.is_given:
            inner: Any = list(self._parts(node.inner))
        else:
            inner = None if isinstance(node.inner, Fixed) else self._node(node.inner, name)
        return h("div", {"class": "hitl-nb-f-wide hitl-nb-f-of"}, kinds, h("div", {"class": "hitl-nb-form hitl-nb-f-in"}, inner) if inner else None)

    def _holder(self, node: Holder, title: str) -> tree.Node:
        if not node.is_given:
            return self._missing(node, title)
        return self._box(node, title, h("div", {"class": "hitl-nb-form"}, self._parts(node)))

    def _missing(self, node: Holder, title: str) -> tree.Node:
        label = _label("span", title, None, optional=True)
        return h("div", {"class": "hitl-nb-f-wide"}, label, self._hint(node), _adds(node, "give", in_sentence(title)))

    def _many(self, node: Many, title: str) -> tree.Node:
        last = len(node.items) - 1
        items = [self._item(each, n, last) for n, each in enumerate(node.items)]
        name = in_sentence(item_name(walker.item(node.field), title))
        return self._box(node, title, [_items(node, items), _adds(node, "add", name)], optional=node.optional)

    def _item(self, node: Node, number: int, last: int) -> tree.Node:
        name = self._draft.name_of(node.id)
        moves = [
            _small(node, "up", icon("up"), f"Move {name} up", disabled=number == 0),
            _small(node, "down", icon("down"), f"Move {name} down", disabled=number == last),
            _small(node, "remove", icon("x"), f"Remove {name}"),
        ]
        buttons = h("div", {"class": "hitl-nb-f-moves"}, moves)
        if isinstance(node, Leaf) and node.field.kind != "choice":
            drawn: Any = [h("div", {"class": "hitl-nb-f-grow"}, self._control(node, named=name), self._note(node)), buttons]
        elif isinstance(node, (Group, Places)) and node.is_given:
            head = h("div", {"class": "hitl-nb-f-head"}, h("b", {}, name), buttons)
            drawn = h(
                "div", {"class": "hitl-nb-f-grow"}, head, self._hint(node), h("div", {"class": "hitl-nb-form"}, self._parts(node)), self._error(node)
            )
        else:
            drawn = [h("div", {"class": "hitl-nb-f-grow"}, self._node(node, name)), buttons]
        return h("li", {"id": f"{node.id}-item"}, drawn)

    def _rows(self, node: Rows, title: str) -> tree.Node:
        drawn = []
        for name, value in node.rows:
            called = name.raw.strip() if isinstance(name, Leaf) and name.field.kind == "text" and name.raw.strip() else "row"
            away = h("div", {"class": "hitl-nb-f-moves"}, _small(name, "remove", icon("x"), f"Remove {called}"))
            both = h("div", {"class": "hitl-nb-form hitl-nb-f-grow"}, self._node(name), self._node(value))
            drawn.append(h("li", {"id": f"{name.id}-item"}, both, away))
        return self._box(node, title, [_items(node, drawn), _adds(node, "add", "row")], optional=node.optional)

    # -- pieces

    def _field(self, node: Node, label: tree.Node | None, control: Any, *, wide: bool = False) -> tree.Node:
        return h("div", {"id": f"{node.id}-field", "class": "hitl-nb-f-wide" if wide else ""}, label, control, self._note(node))

    def _set(self, node: Node, title: str, controls: tree.Node, *, wide: bool, optional: bool) -> tree.Node:
        """Several controls that are one field."""
        own = {"class": "hitl-nb-f-set" + (" hitl-nb-f-wide" if wide else ""), "id": f"{node.id}-field", "aria-describedby": self._described(node)}
        return h("fieldset", own, _label("legend", title, None, optional=optional), controls, self._note(node))

    def _box(self, node: Holder, title: str, content: Any, *, optional: bool | None = None) -> tree.Node:
        """A titled group with a thin rule. One that may be left out has a button for it."""
        can_leave = node.can_skip and node.is_given
        away = _small(node, "leave_out", "Leave out", f"Leave out {title.lower()}") if can_leave else None
        own = {"class": "hitl-nb-f-set hitl-nb-f-box hitl-nb-f-wide", "id": f"{node.id}-field", "aria-describedby": self._described(node)}
        legend = _label("legend", title, None, optional=node.can_skip if optional is None else optional)
        return h("fieldset", own, legend, away, self._hint(node), content, self._error(node))

    def _control(self, node: Leaf, *, named: str = "") -> Any:
        field, own = node.field, {**self._wired(node), "aria-required": None if node.optional else "true"}
        if named:
            own["aria-label"] = named
        if field.example:
            own["placeholder"] = f"like {field.example}"
        if field.kind == "json":
            return h("textarea", {"rows": 3, "class": "hitl-nb-f-code", "value": node.raw, **own, **_TYPED})
        if field.kind == "moment":
            return self._moment(node, own)
        if field.form == "multiline" or "\n" in bare(node.raw):  # a field of one line drops line ends of any kind
            return h("textarea", {"rows": 3, "value": node.raw, **own})
        more = {} if field.kind == "text" and not field.form else _TYPED
        return h("input", {"type": "text", "inputmode": _KEYBOARDS.get(field.form), "value": node.raw, **own, **more, "autocomplete": "off"})

    def _moment(self, node: Leaf, own: dict[str, Any]) -> Any:
        kind, native = _NATIVE[node.field.form]
        is_native = not node.raw or native.fullmatch(node.raw)
        seconds = is_native and node.raw.count(":") == 2
        control = h("input", {"type": kind if is_native else "text", "step": "any" if seconds else None, "value": node.raw, **own, **_TYPED})
        if node.field.form != "date-time" or node.field.zone == "none" or node.own_zone:
            return control
        known = [(zone, zone_words(zone)) for zone in _OFFSETS]
        if node.zone not in ("", *_OFFSETS):
            known.insert(0, (node.zone, f"{zone_words(node.zone)} ({node.zone})"))
        if node.field.zone == "any":
            known.insert(0, ("", "No time zone"))
        name = f"{node.id}{ZONE}"
        wired = {"id": name, "data-f": name, "data-act": "leave", "data-arg": name, "aria-label": f"Time zone of {node.field.title or 'the time'}"}
        zones = h("select", {"value": node.zone, **wired}, (h("option", {"value": v}, w) for v, w in known))
        return h("div", {"class": "hitl-nb-f-moment"}, control, zones)

    def _wired(self, node: Node) -> dict[str, Any]:
        return {"id": node.id, "data-f": node.id, "data-act": "leave", "data-arg": node.id, **self._told(node)}

    def _told(self, node: Node) -> dict[str, Any]:
        """What ties a control to the words below it."""
        return {"aria-describedby": self._described(node), "aria-invalid": "true" if node.id in self._draft.errors else None}

    def _described(self, node: Node) -> str | None:
        return f"{node.id}-note" if node.id in self._draft.errors or node.field.hint or node.field.limits else None

    def _note(self, node: Node) -> tree.Node:
        """The error and the hint. Its line is there also when it is empty: nothing moves under the pointer when an error comes."""
        wrong = self._draft.errors.get(node.id)
        hint = node.field.hint or ("" if wrong else node.field.limits)
        inner: list[Any] = [h("span", {"class": "hitl-nb-bad"}, wrong) if wrong else None, " " if wrong and hint else None, hint or None]
        return h("p", {"id": f"{node.id}-note", "class": "hitl-nb-f-note"}, inner)

    def _hint(self, node: Node) -> tree.Node | None:
        own = {"id": None if node.id in self._draft.errors else f"{node.id}-note", "class": "hitl-nb-f-hint"}
        return h("p", own, node.field.hint) if node.field.hint else None

    def _error(self, node: Node) -> tree.Node | None:
        wrong = self._draft.errors.get(node.id)
        return h("p", {"id": f"{node.id}-note", "class": "hitl-nb-f-note"}, h("span", {"class": "hitl-nb-bad"}, wrong)) if wrong else None


def _small(node: Node, act: str, drawn: tree.Node, name: str, *, disabled: bool = False) -> tree.Node:
    """A button about one field or item."""
    own = {"id": f"{node.id}-{act}", "class": "hitl-nb-small hitl-nb-quiet", "data-act": act, "data-arg": node.id, "disabled": disabled}
    return h("button", {**own, "aria-label": name, "title": name}, drawn)


def _adds(node: Node, act: str, name: str) -> tree.Node:
    return h("button", {"id": node.id, "class": "hitl-nb-small", "data-act": act, "data-arg": node.id}, icon("plus"), f"Add {name}")


def _items(node: Holder, drawn: Sequence[tree.Node]) -> tree.Node | None:
    return h("ol", {"class": "hitl-nb-f-items"}, drawn) if drawn and node.is_given else None


def _label(tag: str, title: str, node: Node | None, *, optional: bool | None = None) -> tree.Node:
    is_optional = node.optional if optional is None and node is not None else bool(optional)
    own = {"class": "hitl-nb-f-label", "for": node.id if node is not None else None}
    return h(tag, own, title, h("span", {"class": "hitl-nb-mut"}, " (optional)") if is_optional else None)


def _as_said(words: str) -> str:
    return words.strip().rstrip(".?!:").casefold()


def _is_long(field: Field) -> bool:
    return field.kind == "json" or field.form == "multiline"


def _width(labels: Iterable[str]) -> bool:
    """Whether these labels need the whole width."""
    return sum(len(words) + 4 for words in labels) > _WIDE
