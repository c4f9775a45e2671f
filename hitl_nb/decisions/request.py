"""The request: a question as it is shown to a reviewer, and the controls that answer it. Front ends draw this and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hitl_nb.checkpoint.records import Question
from hitl_nb.checkpoint.voting import Vote
from hitl_nb.decisions.fields.field import Field
from hitl_nb.decisions.parts import Part

ControlKind = Literal["buttons", "text", "editor", "json", "form", "table", "actions"]
"""buttons: only options. text: a line or lines typed from scratch. editor: `subject` is edited against its original. json: parsed from text.
form: the fields of the schema. table: a decision for each row. actions: one for each action."""
Weight = Literal["primary", "neutral", "danger"]
Shape = Literal["value", "text", "action", "stage", "review", "approved", "decision", "typed", "retry"]
"""value: the option itself. text: what was typed or edited. The others are dicts, see `decisions.forms`."""


@dataclass(frozen=True, slots=True)
class Option:
    """One button."""

    value: Any
    """What the reviewer chooses: the option of the payload, or True/False."""
    label: str
    weight: Weight = "neutral"
    edits: bool = False
    """True: the button opens the editor on `subject` first and sends the edited text with the choice."""
    needs_comment: bool = False
    """True: the choice says nothing without a comment ("request changes")."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a card or the console offers for a question, and how the answer is built from it."""

    heading: str
    """The question, one line."""
    instruction: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Shown as a list of key and value, in order."""
    parts: tuple[Part, ...] = ()
    """Shown below the facts: chats, pictures, tables, long texts."""
    subject: str | None = None
    """The text to judge or edit: a draft, an original, a document."""
    subject_label: str = "Draft"
    control: ControlKind = "buttons"
    options: tuple[Option, ...] = ()
    """Every control has at least one: a text, editor or json control has the one that sends what was typed."""
    comment: bool = False
    """Offer a comment box."""
    comment_label: str = "Comment (optional)"
    template: str = ""
    """json: what the control starts with, the skeleton of the answer. form: the same, where it is answered as JSON."""
    root: Field | None = None
    """form: what the schema asks for."""
    parse: bool = False
    """The typed or edited text is JSON: it is parsed before it is sent."""
    shape: Shape = "value"
    """Which answer is made of choice, text and comment; see `decisions.answering.build_answer`."""
    inferred: bool = True
    """The shape was read off the payload, so the card shows a 'Sends …' line."""
    reviewer: str = ""
    """Who answers, for the shapes that carry a name."""


@dataclass(frozen=True, slots=True)
class Request:
    """An open question ready to be shown."""

    question: Question
    form: Form
    votes: tuple[Vote, ...] = ()
    """What reviewers answered so far, where several have to answer alike: each one's latest."""
    own_vote: Vote | None = None
    """That of `form.reviewer`."""
    barred: str = ""
    """Why `form.reviewer` may not answer, as a sentence; empty: they may."""
    hurdle: str = ""
    """Why nobody, or too few, can answer it as things are, as a sentence; empty: enough can."""

    @property
    def payload(self) -> Any:
        """What the node asked with."""
        return self.question.payload
