"""What a renderer shows, as one widget: everything that it may return, what its callbacks raise, and the freeing of it all."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import ipywidgets
from ipywidgets.widgets import widget as registry

from hitl_nb.checkpoint.pictures import picture_in
from hitl_nb.errors import RendererError, shown
from hitl_nb.widgets.callbacks import hear_errors, hear_no_more
from hitl_nb.widgets.controls import classed, close
from hitl_nb.widgets.renderers import Rule, SafeHtml, Trouble
from hitl_nb.widgets.tree import Node, h
from hitl_nb.widgets.tree_html import html_of


def open_widgets() -> frozenset[str]:
    """The widgets of this process, by id."""
    return frozenset(getattr(registry, "_instances", {}))


class DrawingView(ipywidgets.VBox):  # type: ignore[misc, unused-ignore]
    """The parts below each other. Frees all widgets that were made for them, also those that are no child of another."""

    def __init__(self, parts: Iterable[Any], rule: Rule | None, before: frozenset[str]) -> None:
        super().__init__([*parts])
        classed(self, "hitl-nb-own")
        self.before = before
        """The widgets that were there before the renderer was called. Other cards may show them too, so they stay."""
        self.used: Callable[[], None] = lambda: None
        """Is called when a person has used one of the parts."""
        self._rule = rule
        self._heard: set[str] = set()
        self._said: Any = None
        self._hear()

    def say(self, trouble: Trouble) -> None:
        """Show what went wrong, above the parts, in place of what went wrong before."""
        old, self._said = self._said, notice(trouble)
        self.children: tuple[Any, ...] = (self._said, *(w for w in self.children if w is not old))
        if old is not None:
            close(old)

    def free(self) -> None:
        """Close the widgets. Called in place of closing child by child."""
        for widget in list(_reachable(self)):
            if widget.comm is None:
                continue
            if widget.model_id not in self.before:
                widget.close()
            elif widget.model_id in self._heard:
                hear_no_more(widget)

    def _hear(self) -> None:
        """Show what the callbacks of the parts raise, also of parts that came later."""
        for widget in _reachable(self):
            if self._rule is not None and widget.comm is not None and widget.model_id not in self._heard:
                self._heard.add(widget.model_id)
                hear_errors(widget, self._fell_over, self._after_use)

    def _after_use(self) -> None:
        self._hear()
        self.used()

    def _fell_over(self, error: BaseException) -> None:
        assert self._rule is not None
        self.say(Trouble(self._rule, "raised when its widget was used", error))


def notice(trouble: Trouble) -> Any:
    """What a renderer raised, and where."""
    tree = h(
        "div",
        {"class": "hitl-nb-err", "role": "alert"},
        h("div", {}, "The renderer ", h("b", {}, trouble.rule.name), f" {trouble.doing}."),
        h("div", {"class": "hitl-nb-msg"}, trouble.what, f"\n{trouble.where}" if trouble.where else ""),
    )
    return ipywidgets.HTML(html_of([tree]))


def shown_as(view: Any) -> Any:
    """The widget for what a renderer wants to be shown. Raises RendererError for what cannot be."""
    if isinstance(view, ipywidgets.DOMWidget):
        return view
    if isinstance(view, SafeHtml):
        return ipywidgets.HTML(view)
    if isinstance(view, str):
        return _html(h("div", {"class": "hitl-nb-plain"}, view))
    if _is_node(view):
        return _html(view)
    if isinstance(view, list | tuple) and view:
        return classed(ipywidgets.VBox([shown_as(part) for part in view]), "hitl-nb-parts")
    picture = picture_in(view)
    if picture is not None:
        data = base64.b64encode(picture.data).decode("ascii")
        return _html(h("img", {"src": f"data:{picture.media_type};base64,{data}", "alt": picture.words()}))
    raise RendererError(
        f"it is to show {shown(view)}; expected a widget, a text, a node of hitl_nb.h(…), hitl_nb.markdown(…), a matplotlib figure, a PIL image, "
        "or a list of these"
    )


def _is_node(view: Any) -> bool:
    return isinstance(view, list) and len(view) > 1 and isinstance(view[0], str) and isinstance(view[1], dict)


def _html(node: Node) -> Any:
    return ipywidgets.HTML(html_of([node]))


def _reachable(widget: Any) -> Iterator[Any]:
    """The widget and all that hang on it by a trait: children, layouts, styles, the marks of a plot."""
    seen, waiting = set(), [widget]
    while waiting:
        found = waiting.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        if found.comm is None:
            continue
        for name in found.keys:
            value = getattr(found, name)
            values = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else (value,)
            waiting += [v for v in values if isinstance(v, ipywidgets.Widget)]
