"""A question drawn by a renderer of the user's own; and the card as always, with the reason, when that renderer raises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import ipywidgets

from hitl_nb.decisions.check import problems
from hitl_nb.decisions.request import Option, Request
from hitl_nb.decisions.wording import label, readable
from hitl_nb.errors import InvalidAnswerError
from hitl_nb.widgets.controls import button, classed, close
from hitl_nb.widgets.drawing_view import DrawingView, notice, open_widgets, shown_as
from hitl_nb.widgets.panel import Panel
from hitl_nb.widgets.panel_kinds import panel_of_kind
from hitl_nb.widgets.renderers import Drawing, Rule, Trouble, rule_for

_UNREAD: Final = object()


def panel_for(request: Request) -> Panel:
    """The panel of the renderer that wants this request, else that of its kind. When a renderer raised: the panel as always, the reason above it."""
    rule, troubles = rule_for(request)
    if rule is None and not troubles:
        return panel_of_kind(request)
    before = open_widgets()
    drawing, parts = None, []
    if rule is not None:
        try:
            made = rule.draw(request)
            drawing = made if isinstance(made, Drawing) else Drawing(made)
            parts = [shown_as(drawing.view)]
        except Exception as error:  # noqa: BLE001  the renderer is the user's
            drawing = None
            troubles.append(Trouble(rule, "could not draw this question", error))
    view = DrawingView([*map(notice, troubles), *parts], rule, before)
    if rule is not None and drawing is not None and drawing.answer is not None:
        return DrawingPanel(request, rule, drawing, view)
    panel = panel_of_kind(request)
    panel.view = view
    if drawing is not None:
        panel.form = replace(panel.form, facts={}, parts=(), subject=None)
    return panel


class DrawingPanel(Panel):
    """A drawing that reads its own answer: one button sends it."""

    late = True

    def __init__(self, request: Request, rule: Rule, drawing: Drawing, view: DrawingView) -> None:
        super().__init__(request)
        self.view: DrawingView = view
        view.used = self._used
        self.form = replace(
            request.form,
            facts={},
            parts=(),
            subject=None,
            control="buttons",
            options=(Option("send", drawing.send, "primary"),),
            comment=False,
            shape="text",
            parse=False,
            inferred=False,
        )
        self._rule, self._drawing = rule, drawing
        self._latest: Any = None
        self._first = self._read_quietly()

    def _used(self) -> None:
        self.changed()

    def answer(self, option: Option, comment: str) -> Any:
        assert self._drawing.answer is not None
        self._latest = self._drawing.answer()
        return self._latest

    def instead(self, error: Exception) -> Panel:
        """The card as always. The drawing waits behind it, with everything that was done to it."""
        panel = panel_of_kind(self.request)

        def back() -> None:
            panel.use(self)
            view.children = tuple(w for w in view.children if w is not self.view)
            self.view.layout.display = None
            for left in filter(None, (view, panel.widget)):
                close(left)

        self.view.layout.display = "none"
        said = notice(Trouble(self._rule, "could not read the answer, so nothing was sent", error))
        again = classed(ipywidgets.HBox([button("Back to the drawing", back)]), "hitl-nb-row")
        panel.view = view = DrawingView([said, again, self.view], None, self.view.before)
        return panel

    def refuse(self, error: InvalidAnswerError) -> tuple[str, str]:
        found = problems(self.request.question, self._latest) if error.interrupt_id is not None else []
        if found:
            error = InvalidAnswerError(found[0].message, path=list(found[0].path), reason=found[0].message)
        if self._drawing.refuse is not None:
            try:
                self._drawing.refuse(error)
            except Exception as failed:  # noqa: BLE001  the renderer is the user's
                self.view.say(Trouble(self._rule, "could not show why the answer was refused", failed))
        words = error.reason or str(error)
        return f"{label(error.path[-1])}: {words}" if found and error.path else words, ""

    @property
    def unsent(self) -> Mapping[str, str]:
        now = self._read_quietly()
        is_changed = now is not _UNREAD and self._first is not _UNREAD and repr(now) != repr(self._first)
        return {"answer": readable(now)} if is_changed else {}

    def _read_quietly(self) -> Any:
        try:
            return self.answer(self.form.options[0], "")
        except Exception:  # noqa: BLE001  it is told when it is to be sent
            return _UNREAD
