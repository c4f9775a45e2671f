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
    table, data, frame, rows, original, draft or
    content: a DataFrame, or a DataFrame on its own      {"accepted", "edited", "rejected", "rules"}, see `decisions.rows`
    rows or records: a list of flat dicts, at least 2    the same
    the only DataFrame, under another key                the same; from code also anything else
    action_requests, or action_request                   {"decisions": [{"type"}, …]}, see `decisions.actions`
    anything else                                        what was typed, parsed as JSON

A table is asked about row by row unless the payload lists options or actions, has an `action` or `type` that speaks of the whole (approve…, review…,
choose…, …review, text), or tells of an error in `current_input`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hitl_nb.checkpoint.records import Question
from hitl_nb.decisions.actions import ACTIONS_MAX, asked_actions
from hitl_nb.decisions.inferred import by_actions, by_payload, by_rows, by_schema
from hitl_nb.decisions.request import Form, Option
from hitl_nb.decisions.rows.table import found_in
from hitl_nb.decisions.shown import shown


def form_for(question: Question, *, reviewer: str = "") -> Form:
    """What to draw for a question. Never raises: an unknown payload is shown readably, with an editor for a JSON answer."""
    if question.kind == "static":
        when = question.payload.get("when", "before") if isinstance(question.payload, Mapping) else "before"
        return Form(f"Continue {when} {question.node}?", options=(Option(True, "Continue", "primary"),), inferred=False)
    actions = asked_actions(question.payload) if question.schema is None else None
    if actions is not None and len(actions.actions) <= ACTIONS_MAX:
        return replace(by_actions(shown(question, actions.rest), actions), reviewer=reviewer)
    asked = found_in(question.payload) if question.schema is None else None
    if asked is not None:
        return replace(by_rows(shown(question, asked.rest), asked), reviewer=reviewer)
    form = shown(question, question.payload)
    form = by_schema(form, question.schema, question.payload) if question.schema is not None else by_payload(form, question.payload, question.default)
    return replace(form, reviewer=reviewer)
