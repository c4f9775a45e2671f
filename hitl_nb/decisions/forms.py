"""The controls for a question, and the answer they make: the table of payloads that reviewers meet in practice.

An explicit schema wins. Without one the shape is read off the payload, so that the answer is what the graph's author compares with::

    payload                                              answer
    a text ending in ?, a question that asks to approve  True | False
    question + options                                   the option
    question                                             the typed text
    action: edit_content, or original                    the edited text
    action: review…, or draft                            {"action", "edited_text"?, "feedback"?, "comments"?}
    stage                                                {"action", "feedback"}
    type: …review                                        {"action", "feedback", "reviewer"}
    actions                                              {"approved", "notes", "user"}
    recommendation or risk_score + options               {"decision", "amendments"}
    content + prompt                                     {"type", "new_content"?}
    error + current_input                                {"retry", "new_input"?}
    level                                                True | False
    message, or step                                     "approve" | "reject"
    anything else                                        what was typed, parsed as JSON
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from hitl_nb.checkpoint.records import UNSET, Question
from hitl_nb.decisions.check import allowed_options
from hitl_nb.decisions.request import Form, Option, Shape, Weight
from hitl_nb.decisions.wording import facts_of, label, pretty_json, readable
from hitl_nb.errors import InvalidAnswerError

BUTTONS_MAX: Final = 12
"""Choices up to which each gets a button."""
_SKELETON_DEPTH: Final = 5
"""A model that holds itself ends here."""
_POSITIVE: Final = ("approve", "approved", "yes", "accept", "accepted", "confirm")
_NEGATIVE: Final = ("reject", "rejected", "no", "deny", "denied", "decline", "cancel", "refuse", "give_up")
_EDITS: Final = ("edit", "modify")
_WANTS_COMMENT: Final = ("refine", "request_changes", "revise", "rework", "amend")
_SUBJECTS: Final = ("original", "draft", "content", "document", "text", "contract_preview", "data", "current_input")
_HEADINGS: Final = ("question", "prompt", "message")
_INSTRUCTIONS: Final = ("instruction", "instructions", "required_action")
_APPROVAL: Final = re.compile(
    r"^(approve|accept|allow|authori[sz]e|confirm|continue|proceed|publish|deploy|release|delete|merge|apply|go ahead|"
    r"is|are|should|shall|does|do (we|you)|may)\b",
    re.IGNORECASE,
)
_OPEN_QUESTION: Final = re.compile(r"\b(what|what's|which|who|whom|whose|when|where|why|how|or)\b", re.IGNORECASE)


def form_for(question: Question, *, reviewer: str = "") -> Form:
    """What to draw for a question. Never raises: an unknown payload is shown readably, with an editor for a JSON answer."""
    if question.kind == "static":
        when = question.payload.get("when", "before") if isinstance(question.payload, Mapping) else "before"
        return Form(f"Continue {when} {question.node}?", options=(Option(True, "Continue", "primary"),), inferred=False)
    form = _shown(question, question.payload)
    form = _by_schema(form, question.schema, question.payload) if question.schema is not None else _by_payload(form, question.payload)
    return replace(form, reviewer=reviewer)


def build_answer(form: Form, choice: Any, *, text: str | None = None, comment: str = "") -> Any:
    """The answer for a chosen option (`Option.value`), with what was typed or edited (`text`) and the comment.

    Raises InvalidAnswerError when the choice is no option of the form, or when text or comment is missing or cannot be parsed.
    """
    option = _option(form, choice)
    comment = comment.strip()
    if option.needs_comment and not comment:
        raise InvalidAnswerError(f"{option.label} needs a comment that says what to change; nothing was sent", path=["comment"])
    typed = option.edits or form.shape == "text"
    if typed and text is None:
        raise InvalidAnswerError(f"{option.label} needs a text; nothing was sent", path=["text"])
    value = _parsed(text) if typed and form.parse and text is not None else text
    match form.shape:
        case "value":
            return option.value
        case "text":
            return value
        case "approved":
            return {"approved": option.value in _POSITIVE, "notes": comment, "user": form.reviewer}
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
        return {"editor": "the edited text", "json": "what you type, read as JSON"}.get(form.control, "the text you type")
    values = " | ".join(_literal(v) for v in dict.fromkeys(o.value in _POSITIVE if form.shape == "approved" else o.value for o in form.options))
    key = {"value": "", "approved": "approved", "decision": "decision", "typed": "type", "retry": "retry"}.get(form.shape, "action")
    return f'{{"{key}": {values}}}' if key else values


def brief(answer: Any) -> str:
    """Any answer in one line, long texts as a count."""
    return _literal(answer)


# -- what is shown ---------------------------------------------------------------------------------------------------------------------


def _shown(question: Question, payload: Any) -> Form:
    """Heading, instruction, subject and facts; every key of the payload lands in one of them."""
    if isinstance(payload, str):
        if payload.rstrip().endswith("?"):
            return _headed(payload)
        return Form(_asks(question), subject=payload, subject_label="Text")
    if not isinstance(payload, Mapping):
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
    return replace(form, facts=facts_of(rest))


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
        return Form(f"Run {count} action{'s' if count != 1 else ''}?"), ""
    return Form(_asks(question)), ""


def _asks(question: Question) -> str:
    return f"{label(question.node)} asks for an answer"


def _is_machine_word(value: Any) -> bool:
    """What tells the form, not the reviewer: `approve_action`, `choose_path`, `text`."""
    return isinstance(value, str) and re.fullmatch(r"(review|edit|choose|approve)(_\w+)?|text", value) is not None


# -- how it is answered ----------------------------------------------------------------------------------------------------------------


def _by_schema(form: Form, schema: Mapping[str, Any], payload: Any) -> Form:
    listed = [schema["const"]] if "const" in schema else schema.get("enum")
    form = replace(form, inferred=False, parse=False)
    if isinstance(listed, list) and listed and all(isinstance(v, str) for v in listed):
        return _choice(form, listed, "value") if len(listed) <= BUTTONS_MAX else _typing(form, "text", "Send answer")
    if schema.get("type") == "boolean":
        return _approval(form, True, False)
    if schema.get("type") == "string":
        edits = isinstance(payload, Mapping) and isinstance(payload.get("original"), str)
        return _typing(form, "editor", "Send edit") if edits else _typing(form, "text", "Send answer")
    return _json(form, _skeleton(schema, schema))


def _by_payload(form: Form, payload: Any) -> Form:
    """The rows of the table, the most telling key first."""
    if isinstance(payload, str) and payload.rstrip().endswith("?"):
        return _approval(form, True, False)
    if not isinstance(payload, Mapping):
        return _json(form)
    has = payload.keys()
    kind = next((payload[k] for k in ("action", "type") if isinstance(payload.get(k), str)), "")
    options = [o for o in allowed_options(payload) if isinstance(o, str)]
    if len(options) != len(allowed_options(payload)) or len(options) > BUTTONS_MAX:
        return _json(form)
    if isinstance(payload.get("action_requests"), (list, tuple)):
        return _json(form, {"decisions": [{"type": None} for _ in payload["action_requests"]]})
    if "current_input" in has and "error" in has:
        return _buttons(form, (Option(True, "Retry", "primary", edits=True), Option(False, "Give up", "danger")), "retry")
    if "prompt" in has and "content" in has and not options:
        return _choice(form, ["approve", "edit", "reject"], "typed")
    if "actions" in has and options:
        fits = all(o in _POSITIVE + _NEGATIVE for o in options)
        return _choice(form, options, "approved" if fits else "action", comment=True)
    if (kind == "edit_content" or "original" in has) and not options:
        return _typing(form, "editor", "Send edit")
    return _by_review(form, payload, kind, options) or _by_question(form, payload, options)


def _by_review(form: Form, payload: Mapping[Any, Any], kind: str, options: list[str]) -> Form | None:
    """Something to judge, with a comment; None when the payload asks otherwise."""
    has = payload.keys()
    reviews = kind.startswith("review") or kind.endswith("review") or (kind == "edit_content" and bool(options))
    if "current_result" in has and reviews and not options:
        return _json(form, {"result": payload["current_result"]})
    if "stage" in has and options:
        return _choice(form, options, "stage", comment=True)
    if reviews or ("draft" in has and options):
        words = options or ["approve", "refine" if kind == "review_and_refine" else "reject"]
        return _choice(form, words, "action" if "type" not in has or "action" in has else "review", comment=True)
    if options and ("recommendation" in has or "risk_score" in has) and "question" not in has:
        amends = "amend" in options
        return _choice(form, options, "decision", comment=amends, comment_label="Amendments, one a line")
    if options and kind and "question" not in has and any(k in has for k in ("content", "data", "document")):
        return _choice(form, options, "action", comment=True)
    return None


def _by_question(form: Form, payload: Mapping[Any, Any], options: list[str]) -> Form:
    has = payload.keys()
    if options:
        return _choice(form, options, "value")
    if "step" in has:
        return _approval(form, "approve", "reject")
    if "question" in has or "prompt" in has:
        asked = form.heading
        asks_to_approve = str(payload.get("action", "")).startswith("approve") or (
            payload.get("type") != "text" and asked.endswith("?") and bool(_APPROVAL.match(asked)) and not _OPEN_QUESTION.search(asked)
        )
        return _approval(form, True, False) if asks_to_approve else _typing(form, "text", "Send answer")
    if "message" in has:
        return _approval(form, "approve", "reject")
    if "level" in has or str(payload.get("action", "")).startswith("approve"):
        return _approval(form, True, False)
    return _json(form)


def _approval(form: Form, yes: Any, no: Any) -> Form:
    return _buttons(form, (Option(yes, "Approve", "primary"), Option(no, "Reject", "danger")), "value")


def _choice(form: Form, words: list[str], shape: Shape, *, comment: bool = False, comment_label: str = "Comment (optional)") -> Form:
    """One button a word: the primary one first, the negative ones last."""
    words = list(dict.fromkeys(words))
    primary = next((w for w in words if _says(w, _POSITIVE)), None) or next((w for w in words if not _says(w, _NEGATIVE)), words[0])
    dicts = shape != "value"
    made = [
        Option(
            value=w,
            label=label(w),
            weight=_weight(w, primary),
            edits=dicts and w.lower() in _EDITS,
            needs_comment=dicts and comment and w.lower() in _WANTS_COMMENT,
        )
        for w in words
    ]
    order: tuple[Weight, ...] = ("primary", "neutral", "danger")
    made.sort(key=lambda o: order.index(o.weight))
    return _buttons(replace(form, comment=comment, comment_label=comment_label), tuple(made), shape)


def _weight(word: str, primary: str) -> Weight:
    return "primary" if word == primary else "danger" if _says(word, _NEGATIVE) else "neutral"


def _says(word: str, known: tuple[str, ...]) -> bool:
    """True for a known word, and for one that begins with a known verb: `accept_all`."""
    return word.lower() in known or (word.lower().partition("_")[0] in known and not word.lower().startswith(("no_", "yes_")))


def _buttons(form: Form, options: tuple[Option, ...], shape: Shape) -> Form:
    return replace(form, control="buttons", options=options, shape=shape)


def _typing(form: Form, control: Any, send: str) -> Form:
    return replace(form, control=control, options=(Option("send", send, "primary"),), shape="text")


def _json(form: Form, template: Any = UNSET) -> Form:
    text = "" if template is UNSET else pretty_json(template)
    return replace(_typing(form, "json", "Send answer"), parse=True, template=text)


def _skeleton(schema: Any, root: Mapping[str, Any], depth: int = 0) -> Any:
    """An answer with the right keys. What a person must decide is None, which no enum, bool or number takes: nothing is approved by prefilling."""
    if depth > _SKELETON_DEPTH or not isinstance(schema, Mapping):
        return None
    if isinstance(schema.get("$ref"), str):
        return _skeleton(root.get("$defs", {}).get(schema["$ref"].rpartition("/")[2]), root, depth + 1)
    if "default" in schema:
        return schema["default"]
    if isinstance(schema.get("properties"), Mapping):
        return {k: _skeleton(v, root, depth + 1) for k, v in schema["properties"].items()}
    if schema.get("type") == "array":
        return []
    return "" if schema.get("type") == "string" and not schema.keys() & {"enum", "const", "format"} else None


# -- the answer ------------------------------------------------------------------------------------------------------------------------


def _option(form: Form, choice: Any) -> Option:
    for option in form.options:
        if type(option.value) is type(choice) and option.value == choice:
            return option
    known = ", ".join(_literal(o.value) for o in form.options)
    raise InvalidAnswerError(f"{choice!r} is no option of this question; expected one of {known}")


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except ValueError as error:
        raise InvalidAnswerError(f'this is no JSON ({error}); a text goes into quotes: "like this"', path=["text"]) from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _literal(value: Any) -> str:
    """The value as it is written in Python, texts in double quotes, a long one as its length."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if len(value) <= 60 else f'"… {len(value)} characters"'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_literal(k)}: {_literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    return repr(value)
