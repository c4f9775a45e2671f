"""How a question is answered: the controls read off its schema, or off its payload by the table in `forms`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from hitl_nb.checkpoint.records import UNSET
from hitl_nb.decisions.actions import Asked, skeleton
from hitl_nb.decisions.actions import facts as action_facts
from hitl_nb.decisions.actions import heading as actions_heading
from hitl_nb.decisions.check import allowed_options
from hitl_nb.decisions.fields.walker import field_of, spoken_title
from hitl_nb.decisions.request import Form, Option, Shape, Weight
from hitl_nb.decisions.rows.answer import IN_SHORT
from hitl_nb.decisions.rows.table import Found
from hitl_nb.decisions.wording import NEGATIVE, POSITIVE, label, pretty_json, told_apart

BUTTONS_MAX: Final = 12
"""Choices up to which each gets a button."""
_LIMITS: Final = {"format", "pattern", "minLength", "maxLength", "contentMediaType", "default", "examples", "description"}
"""What a form can say about a text and a plain text field cannot."""
_NAME_MAX: Final = 24
"""Characters of a schema's name that a button takes."""
_SKELETON_DEPTH: Final = 5
"""A model that holds itself ends here."""
_EDITS: Final = ("edit", "modify")
_WANTS_COMMENT: Final = ("refine", "request_changes", "revise", "rework", "amend")
_APPROVAL: Final = re.compile(
    r"^(approve|accept|allow|authori[sz]e|confirm|continue|proceed|publish|deploy|release|delete|merge|apply|go ahead|"
    r"add|book|buy|cancel|close|include|install|keep|order|overwrite|pay|refund|remove|replace|restart|retry|roll ?back|run|send|ship|sign|skip|"
    r"start|stop|submit|transfer|update|upgrade|use|is|are|should|shall|does|do (we|you)|may)\b",
    re.IGNORECASE,
)
_OPEN_QUESTION: Final = re.compile(r"\b(what|what's|which|who|whom|whose|when|where|why|how|or)\b", re.IGNORECASE)


def by_schema(form: Form, schema: Mapping[str, Any], payload: Any) -> Form:
    """Buttons for a few words and for yes or no, a text field for any text; a form for everything else that can be drawn."""
    form = replace(form, inferred=False, parse=False)
    root = field_of(schema)
    words = [choice.value for choice in root.choices]
    if root.kind in ("choice", "fixed") and words and not root.nullable and all(isinstance(v, str) for v in words) and len(words) <= BUTTONS_MAX:
        return _choice(form, words, "value")
    if schema.get("type") == "boolean":
        return _approval(form, True, False)
    if root.kind == "text" and not root.nullable and root.schema.get("type") == "string":
        if isinstance(payload, Mapping) and isinstance(payload.get("original"), str):
            return _typing(form, "editor", "Send edit")
        if not root.schema.keys() & _LIMITS:
            return _typing(form, "text", "Send answer")
    if root.kind == "json":
        return _json(form, _skeleton(schema, schema))
    name = spoken_title(root) if root.title.isidentifier() else ""
    send = f"Send {name}" if name and len(name) <= _NAME_MAX else "Send answer"
    return replace(_json(form, _skeleton(schema, schema)), control="form", root=root, options=(Option("send", send, "primary"),))


def by_rows(form: Form, asked: Found) -> Form:
    """A decision for each row of the table; `form` shows the rest of the payload."""
    return replace(_typing(form, "table", "Send decisions"), parse=True, template=IN_SHORT, facts={**form.facts, **asked.facts})


def by_actions(form: Form, asked: Asked) -> Form:
    """A decision for each action; `form` shows the rest of the payload."""
    send = "Send decision" if len(asked.actions) == 1 else "Send decisions"
    titled = any(isinstance(asked.rest.get(key), str) for key in ("question", "prompt", "message"))
    form = replace(form, heading=form.heading if titled else actions_heading(asked), facts={**action_facts(asked), **form.facts})
    return replace(_typing(form, "actions", send), parse=True, template=pretty_json(skeleton(asked)))


def by_payload(form: Form, payload: Any, default: Any = UNSET) -> Form:
    """The rows of the table, the most telling key first. A question whose default is True or False can be answered with the other one."""
    made = _by_rows_of_the_table(form, payload)
    return _approval(form, True, False) if isinstance(default, bool) and made.shape == "text" and made.control in ("text", "json") else made


def _by_rows_of_the_table(form: Form, payload: Any) -> Form:
    if isinstance(payload, str) and payload.rstrip().endswith("?"):
        return _approval(form, True, False)
    if not isinstance(payload, Mapping):
        return _json(form)
    has = payload.keys()
    kind = next((payload[k] for k in ("action", "type") if isinstance(payload.get(k), str)), "")
    listed = allowed_options(payload)
    options = [o for o in listed if isinstance(o, str)]
    if len(options) != len(listed) or len(options) > BUTTONS_MAX:
        one_of_them = all(isinstance(o, (str, bool, int, float)) for o in listed) and "draft" not in has and not kind.startswith("review")
        return by_schema(form, {"enum": listed}, payload) if one_of_them else _json(form)
    if isinstance(payload.get("action_requests"), (list, tuple)):
        return _json(form, {"decisions": [{"type": None} for _ in payload["action_requests"]]})
    if "current_input" in has and "error" in has:
        return _buttons(form, (Option(True, "Retry", "primary", edits=True), Option(False, "Give up", "danger")), "retry")
    if "prompt" in has and "content" in has and not options:
        return _choice(form, ["approve", "edit", "reject"], "typed")
    if "actions" in has and options:
        fits = all(o in POSITIVE + NEGATIVE for o in options)
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
    primary = next((w for w in words if _says(w, POSITIVE)), None) or next((w for w in words if not _says(w, NEGATIVE)), words[0])
    dicts = shape != "value"
    made = [
        Option(
            value=w,
            label=shown,
            weight=_weight(w, primary),
            edits=dicts and w.lower() in _EDITS,
            needs_comment=dicts and comment and w.lower() in _WANTS_COMMENT,
        )
        for w, shown in zip(words, told_apart(words, [label(w) for w in words]), strict=True)
    ]
    order: tuple[Weight, ...] = ("primary", "neutral", "danger")
    made.sort(key=lambda o: order.index(o.weight))
    return _buttons(replace(form, comment=comment, comment_label=comment_label), tuple(made), shape)


def _weight(word: str, primary: str) -> Weight:
    return "primary" if word == primary else "danger" if _says(word, NEGATIVE) else "neutral"


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
