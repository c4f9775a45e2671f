"""Which questions are so much alike that one answer can be meant for all of them."""

from __future__ import annotations

from dataclasses import dataclass

from hitl_nb.checkpoint.records import Question
from hitl_nb.decisions.forms import form_for
from hitl_nb.decisions.request import ControlKind, Form, Shape
from hitl_nb.decisions.wording import pretty_json


@dataclass(frozen=True, slots=True)
class Kind:
    """What questions have in common that are answered by the same buttons: the same node of the same graph asks, and the same can be answered."""

    graph: str
    place: tuple[str, ...]
    """The node, with those around it."""
    control: ControlKind
    shape: Shape
    options: tuple[str, ...]
    """The values of the buttons, exactly."""
    schema: str
    """Of the answer; empty where the author gave none."""

    @property
    def is_answered_by_a_button(self) -> bool:
        """True: a button and perhaps a comment are the whole answer, so that it means the same for each. A text or a form is about one question."""
        return self.control == "buttons"


def kind_of(question: Question, form: Form | None = None) -> Kind:
    """Questions of equal kind can be answered together. `form`: the question's, where it is there already."""
    drawn = form or form_for(question)
    options = tuple(f"{type(o.value).__name__} {o.value!r}" for o in drawn.options if not o.edits)
    schema = "" if question.schema is None else pretty_json(question.schema)
    return Kind(question.graph, question.place, drawn.control, drawn.shape, options, schema)
