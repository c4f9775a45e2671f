"""Which panel a kind of control gets."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from hitl_nb.decisions.request import Request
from hitl_nb.widgets.panel import Panel
from hitl_nb.widgets.text_panel import TextPanel

_KINDS: Final[dict[str, str]] = {
    "actions": "hitl_nb.widgets.actions_panel:ActionsPanel",
    "form": "hitl_nb.widgets.form_panel:FormPanel",
    "table": "hitl_nb.widgets.table_panel:TablePanel",
}
"""The panel class of each control that is drawn as a tree, as `module:Class`: loaded when it is met."""


def panel_of_kind(request: Request) -> Panel:
    """The panel for the control of the request's form."""
    form = request.form
    if form.control in _KINDS:
        module, _, name = _KINDS[form.control].partition(":")
        made: Panel = getattr(import_module(module), name)(request)
        return made
    if form.control == "buttons" and not any(o.edits for o in form.options):
        return Panel(request)
    return TextPanel(request)
