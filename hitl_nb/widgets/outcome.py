"""What an answer says, read back from the form that made it: which button, which comment, which edited text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hitl_nb.decisions.request import Form, Option
from hitl_nb.decisions.told import summary
from hitl_nb.decisions.wording import capital, pretty_json

_CHOICE_KEYS: Final = ("action", "decision", "type", "retry")
_COMMENT_KEYS: Final = ("feedback", "comments", "notes")
_TEXT_KEYS: Final = ("edited_text", "new_content", "new_input")
_DONE: Final = {
    "approve": "Approved",
    "accept": "Accepted",
    "reject": "Rejected",
    "deny": "Denied",
    "edit": "Edited and sent",
    "escalate": "Escalated",
    "continue": "Continued",
    "retry": "Retried",
    "give up": "Given up",
    "send answer": "Answered",
    "send edit": "Edited and sent",
}
"""What a button's verb is called once it was pressed; `Send order` is `Order sent`, and any other label stands as it is."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A decided question in words."""

    label: str
    """`Approved`, `Rejected`, `Edited and sent`, the option that was chosen, or a count of many decisions."""
    good: bool = True
    """False: a refusal."""
    comment: str = ""
    edited: str | None = None
    """The text that was sent in place of the form's subject; None when it was not edited."""

    @property
    def facts(self) -> dict[str, str]:
        """What the person who has just given it is told of it."""
        return {"Your answer": self.label} | ({"Comment": self.comment} if self.comment else {})


def outcome(form: Form, answer: Any) -> Outcome:
    """Never raises: an answer that no button of this form makes is simply `Answered`."""
    counted, agrees = summary(form, answer)
    if counted:
        return Outcome(counted, good=agrees)
    option = _option(form, answer)
    comment = "" if form.shape == "text" else _comment(answer)
    if option is None:
        return Outcome("Answered", comment=comment)
    edited = _edited(form, option, answer)
    if edited is not None and edited == form.subject:
        return Outcome("Sent unchanged", comment=comment)
    return Outcome(done(option.label), good=option.weight != "danger", comment=comment, edited=edited)


def done(label: str) -> str:
    """What a button's verb is called once it was pressed."""
    sent = label.removeprefix("Send ") if label.startswith("Send ") else ""
    return _DONE.get(label.lower()) or (f"{capital(sent)} sent" if sent else label)


def _comment(answer: Any) -> str:
    fields = answer if isinstance(answer, Mapping) else {}
    comment = next((str(fields[k]) for k in _COMMENT_KEYS if fields.get(k)), "")
    return comment or "\n".join(map(str, fields["amendments"] if isinstance(fields.get("amendments"), list) else ()))


def _edited(form: Form, option: Option, answer: Any) -> str | None:
    """The text that was sent for the subject, as it was typed."""
    if form.control == "editor":
        edited = answer
    elif option.edits and isinstance(answer, Mapping):
        edited = next((answer[k] for k in _TEXT_KEYS if k in answer), None)
    else:
        return None
    if form.parse and edited is not None:
        return pretty_json(edited)
    return edited if isinstance(edited, str) else None


def _option(form: Form, answer: Any) -> Option | None:
    if form.shape == "text":
        return form.options[0]
    said = list(_said(form, answer))
    return next((o for o in form.options if any(type(o.value) is type(v) and o.value == v for v in said)), None)


def _said(form: Form, answer: Any) -> Iterator[Any]:
    if not isinstance(answer, Mapping):
        yield answer
        return
    for key in _CHOICE_KEYS:
        if key in answer:
            yield answer[key]
    if isinstance(answer.get("approved"), bool):
        # The buttons of this shape carry words; the answer only says which side they are on.
        refused = not answer["approved"]
        yield from (o.value for o in form.options if (o.weight == "danger") is refused)
