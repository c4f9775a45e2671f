"""The fields of a schema, drawn as a tree. What is typed and what is wrong with it lies in `decisions.fields.draft`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hitl_nb.decisions.answering import build_answer
from hitl_nb.decisions.check import problems
from hitl_nb.decisions.fields.draft import Draft
from hitl_nb.decisions.request import Option, Request
from hitl_nb.errors import InvalidAnswerError
from hitl_nb.widgets.form_tree import FormTree
from hitl_nb.widgets.panel import Panel
from hitl_nb.widgets.surface import Act
from hitl_nb.widgets.tree import Node


class FormPanel(Panel):
    """A form. A field is checked when it is left, all of them when the answer is sent; what was typed stays."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        assert request.form.root is not None
        self.draft = Draft(request.form.root, check=lambda answer: problems(request.question, answer))
        self._refused = False
        """The answer was refused, and something of it is still wrong."""
        draft = self.draft
        self._acts: Mapping[str, Callable[[str], str | None]] = {
            "leave": draft.leave,
            "add": draft.add,
            "remove": self._remove,
            "up": lambda name: draft.move(name, -1),
            "down": lambda name: draft.move(name, 1),
            "give": draft.give,
            "leave_out": self._leave_out,
        }

    def tree(self) -> Sequence[Node]:
        return [FormTree(self.draft, self.request.form.heading).drawn()]

    def take(self, fields: Mapping[str, Any]) -> None:
        self.draft.take(fields)

    def act(self, act: Act) -> str | None:
        self.draft.errors.pop(self.draft.root.id, None)
        do = self._acts.get(act.name)
        focus = None if do is None else do(act.arg)
        self._refused = self._refused and bool(self.draft.errors)
        return focus or None

    def line(self) -> str:
        return self.draft.told() if self._refused else ""

    def answer(self, option: Option, comment: str) -> Any:
        return build_answer(self.request.form, option.value, filled=self.draft.answer(), comment=comment)

    def refuse(self, error: InvalidAnswerError) -> tuple[str, str]:
        self._refused = bool(self.draft.errors)
        return error.reason or str(error), self.draft.first_wrong

    @property
    def unsent(self) -> Mapping[str, str]:
        return self.draft.typed()

    def _remove(self, name: str) -> str | None:
        return self.draft.remove(name) or None

    def _leave_out(self, name: str) -> str:
        self.draft.leave_out(name)
        return name
