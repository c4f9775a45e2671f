"""The answer that a form makes of what was chosen, typed and filled in, and how it reads in one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hitl_nb.checkpoint.records import UNSET
from hitl_nb.decisions.json_text import JsonTextError, read_json
from hitl_nb.decisions.request import Form, Option
from hitl_nb.decisions.rows.answer import in_words, is_decision
from hitl_nb.decisions.wording import exactly, says_yes
from hitl_nb.errors import InvalidAnswerError


def build_answer(form: Form, choice: Any, *, text: str | None = None, filled: Any = UNSET, comment: str = "") -> Any:
    """The answer for a chosen option (`Option.value`), with what was typed or edited (`text`) or filled in (`filled`, as data) and the comment.

    Raises InvalidAnswerError when the choice is no option of the form, or when text or comment is missing or cannot be parsed.
    """
    option = _option(form, choice)
    comment = comment.strip()
    if option.needs_comment and not comment:
        raise InvalidAnswerError(f"{option.label} needs a comment that says what to change; nothing was sent", path=["comment"])
    typed = option.edits or form.shape == "text"
    if typed and text is None and filled is UNSET:
        raise InvalidAnswerError(f"{option.label} needs a text; nothing was sent", path=["text"])
    value = filled if filled is not UNSET else _parsed(text) if typed and form.parse and text is not None else text
    if form.shape == "decision" and comment and not option.needs_comment:
        other = next((f", or press {o.label}" for o in form.options if o.needs_comment), "")
        raise InvalidAnswerError(f"{option.label} sends no amendments, so what is written there would be lost; clear it{other}", path=["comment"])
    match form.shape:
        case "value":
            return option.value
        case "text":
            return value
        case "approved":
            return {"approved": says_yes(option.value), "notes": comment, "user": form.reviewer}
        case "decision":
            amendments = [line.strip() for line in comment.splitlines() if line.strip()]
            return {"decision": option.value} | ({"amendments": amendments} if option.needs_comment else {})
        case "typed":
            return {"type": option.value} | ({"new_content": value} if option.edits else {})
        case "retry":
            return {"retry": option.value} | ({"new_input": value} if option.edits else {})
    answer = {"action": option.value} | ({"edited_text": value} if option.edits else {})
    if form.shape == "action":
        return answer | ({"feedback": comment, "comments": comment} if comment else {})
    return answer | {"feedback": comment} | ({"reviewer": form.reviewer} if form.shape == "review" else {})


def sends(form: Form, choice: Any = UNSET, *, text: str | None = None, comment: str = "") -> str:
    """The answer that will be sent, in one line: every possible one while nothing is chosen, else the real one with long text as a count."""
    if choice is not UNSET:
        return _literal(build_answer(form, choice, text=text, comment=comment))
    if form.shape == "text":
        kinds = {
            "editor": "the edited data" if form.parse else "the edited text",
            "json": "what you type, read as JSON",
            "table": "a decision for each row",
        }
        return (kinds | {"actions": "a decision for each action"}).get(form.control, "the text you type")
    values = " | ".join(_literal(v) for v in dict.fromkeys(says_yes(o.value) if form.shape == "approved" else o.value for o in form.options))
    key = {"value": "", "approved": "approved", "decision": "decision", "typed": "type", "retry": "retry"}.get(form.shape, "action")
    return f'{{"{key}": {values}}}' if key else values


def brief(answer: Any) -> str:
    """Any answer in one line, long texts as a count; the decisions about a table as counts."""
    return in_words(answer) if is_decision(answer) else _literal(answer)


def _option(form: Form, choice: Any) -> Option:
    for option in form.options:
        if type(option.value) is type(choice) and option.value == choice:
            return option
    known = ", ".join(_literal(o.value) for o in form.options)
    raise InvalidAnswerError(f"{choice!r} is no option of this question; expected one of {known}")


def _parsed(text: str) -> Any:
    try:
        return read_json(text)
    except JsonTextError as error:
        why = str(error) if text.strip() else 'The field is empty. Write a value: 12, "a text", true, null, a list or an object.'
        raise InvalidAnswerError(f"this is no JSON. {why}", path=["text"], reason=why) from None


def _literal(value: Any) -> str:
    """The value as it is written in Python, texts in double quotes, a long one as its length."""
    if isinstance(value, str):
        return exactly(value) if len(value) <= 60 else f'"… {len(value)} characters"'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_literal(k)}: {_literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    return repr(value)
