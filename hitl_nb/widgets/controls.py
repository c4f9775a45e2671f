"""The plain widgets of a card: its buttons, its classes, and how they are freed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets


def classed(widget: Any, classes: str) -> Any:
    for name in classes.split():
        widget.add_class(name)
    return widget


def button(label: str, press: Callable[[], None], *, look: str = "", key: str = "", tooltip: str = "") -> Any:
    """A button of a card. `look`: primary, danger, quiet or nothing."""
    names = " ".join(filter(None, ("hitl-nb-btn", f"hitl-nb-{look}" if look else "", f"hitl-nb-key-{key}" if key else "")))
    made = classed(ipywidgets.Button(description=label, tooltip=tooltip or None), names)
    made.on_click(lambda _: press())
    return made


def close(widget: Any) -> None:
    """Free a widget with everything in it; call it once it is out of the page. One that knows better what is to be freed has a method `free`."""
    if hasattr(widget, "free"):
        widget.free()
        return
    for child in getattr(widget, "children", ()):
        close(child)
    for own in ("layout", "style"):
        if hasattr(widget, own):
            getattr(widget, own).close()
    widget.close()
