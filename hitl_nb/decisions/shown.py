"""What a card shows of a payload: heading, instruction, subject, facts, parts. Every key of the payload lands in one of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from hitl_nb.checkpoint.records import Question
from hitl_nb.decisions.check import allowed_options
from hitl_nb.decisions.parts import divided, parts_of
from hitl_nb.decisions.request import Form
from hitl_nb.decisions.wording import label, plural, pretty_json, readable

_SUBJECTS: Final = ("original", "draft", "content", "document", "text", "contract_preview", "data", "current_input")
_HEADINGS: Final = ("question", "prompt", "message")
_INSTRUCTIONS: Final = ("instruction", "instructions", "required_action")
_HEADING_MAX: Final = 120
"""Characters of a text up to which it reads as a heading."""


def shown(question: Question, payload: Any) -> Form:
    """Heading, instruction, subject, facts and parts; every key of the payload lands in one of them."""
    if isinstance(payload, str):
        if payload.rstrip().endswith("?"):
            return _headed(payload)
        if question.schema is not None and 0 < len(payload) <= _HEADING_MAX and "\n" not in payload.strip():
            return _headed(payload)  # what the fields below are for
        return Form(_asks(question), subject=payload, subject_label="Text")
    if not isinstance(payload, Mapping):
        whole = parts_of("Data", payload)
        if whole:
            return Form(_asks(question), parts=whole)
        return Form(_asks(question), subject=pretty_json(payload) if _is_data(payload) else readable(payload), subject_label="Data")
    used = {"options", "actions", "escalate_option"} if allowed_options(payload) else set()
    heading = next((k for k in _HEADINGS if isinstance(payload.get(k), str) and payload[k].strip()), None)
    if heading is not None:
        form = _headed(payload[heading])
        used |= {heading} | {k for k in ("action", "type") if _is_machine_word(payload.get(k))}
    else:
        form, source = _titled(question, payload)
        used |= {source} if source else set()
    instruction = next((k for k in _INSTRUCTIONS if isinstance(payload.get(k), str)), None)
    if instruction is not None:
        form = replace(form, instruction="\n".join(filter(None, (form.instruction, payload[instruction]))))
        used.add(instruction)
    subject = next((k for k in _SUBJECTS if k in payload and _is_subject(k, payload[k])), None)
    if subject is not None:
        value = payload[subject]
        text, parse = (value, False) if isinstance(value, str) else (pretty_json(value), True)
        form = replace(form, subject=text, subject_label=label(subject), parse=parse)
        used.add(subject)
    if form.heading == "Review" and form.subject is not None:
        form = replace(form, heading=f"Review the {form.subject_label.lower()}")
    rest: dict[Any, Any] = {}
    for key, value in payload.items():
        if key == "data" and isinstance(value, Mapping) and not value.keys() & payload.keys():
            rest.update(value)
        elif key not in used:
            rest[key] = value
    facts, parts = divided(rest)
    return replace(form, facts=facts, parts=parts)


def _is_subject(key: str, value: Any) -> bool:
    return isinstance(value, str) or (key in ("draft", "original", "current_input") and _is_data(value))


def _is_data(value: Any) -> bool:
    return isinstance(value, (Mapping, list, tuple, int, float))


def _headed(text: str) -> Form:
    first, _, rest = text.strip().partition("\n")
    return Form(first.strip(), instruction=rest.strip())


def _titled(question: Question, payload: Mapping[Any, Any]) -> tuple[Form, str]:
    """A heading for a payload without a question, and the key it was made of."""
    for key in ("action", "type", "stage"):
        if isinstance(payload.get(key), str) and payload[key].strip():
            return Form(label(payload[key])), key
    if isinstance(payload.get("level"), str):
        return Form(f"Approve at level {payload['level']}?"), "level"
    if isinstance(payload.get("action_requests"), (list, tuple)):
        count = len(payload["action_requests"])
        return Form(f"Run {plural(count, 'action')}?"), ""
    return Form(_asks(question)), ""


def _asks(question: Question) -> str:
    return f"{label(question.node)} asks for an answer"


def _is_machine_word(value: Any) -> bool:
    """What tells the form, not the reviewer: `approve_action`, `choose_path`, `text`."""
    return isinstance(value, str) and re.fullmatch(r"(review|edit|choose|approve)(_\w+)?|text", value) is not None
