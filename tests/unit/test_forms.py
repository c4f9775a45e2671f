"""Every row of the payload table: what is shown, and exactly which answer comes out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hitl_nb.checkpoint.records import Question
from hitl_nb.decisions.answering import build_answer, sends
from hitl_nb.decisions.check import allowed_options, check_answer
from hitl_nb.decisions.forms import form_for
from hitl_nb.decisions.request import Form
from hitl_nb.errors import InvalidAnswerError


def question(payload: Any, **more: Any) -> Question:
    asked = {"id": "q1", "thread_id": "t", "node": "review_node", "task_id": "k", "position": 0, "digest": "d", "payload": payload}
    return Question(**{**asked, "created_at": datetime(2026, 1, 1, tzinfo=UTC), **more})


def form(payload: Any, **more: Any) -> Form:
    return form_for(question(payload, **more), reviewer="Dana Ruiz")


def labels(f: Form) -> list[str]:
    return [o.label for o in f.options]


def weights(f: Form) -> list[str]:
    return [o.weight for o in f.options]


# -- the rows --------------------------------------------------------------------------------------------------------------------------


def test_a_text_that_ends_in_a_question_mark_is_approved_with_true_and_rejected_with_false():
    f = form("Approve $1500 transaction?")
    assert (f.heading, labels(f), weights(f)) == ("Approve $1500 transaction?", ["Approve", "Reject"], ["primary", "danger"])
    assert (build_answer(f, True), build_answer(f, False)) == (True, False)
    assert sends(f) == "True | False"


def test_approve_action_shows_its_data_as_facts_and_answers_with_a_bool():
    f = form({"action": "approve_action", "data": {"to_account": "DE12", "amount": 900}, "question": "Approve this action?"})
    assert f.facts == {"To account": "DE12", "Amount": 900}
    assert build_answer(f, True) is True
    assert build_answer(f, False) is False


@pytest.mark.parametrize(
    ("payload", "chosen"),
    [
        ({"question": "Approve delete on data.txt?", "options": ["yes", "no"]}, "yes"),
        ({"action": "choose_path", "options": ["path_a", "path_b", "path_c"], "question": "Which path should we take?"}, "path_b"),
        ({"question": "Does this look correct?", "content": "text", "options": ["approve", "reject", "edit"]}, "edit"),
    ],
)
def test_a_question_with_options_is_answered_with_the_option_itself(payload, chosen):
    f = form(payload)
    assert {o.value for o in f.options} == set(payload["options"])
    assert build_answer(f, chosen) == chosen
    assert f.heading == payload["question"]


def test_one_option_is_primary_and_comes_first_and_the_negative_ones_come_last():
    f = form({"question": "Does this look correct?", "options": ["reject", "edit", "approve"]})
    assert labels(f) == ["Approve", "Edit", "Reject"]
    assert weights(f) == ["primary", "neutral", "danger"]
    assert labels(form({"question": "Which?", "options": ["path_a", "path_b"]})) == ["Path a", "Path b"]


@pytest.mark.parametrize("payload", [{"question": "What is your name?", "type": "text"}, {"question": "Hi Alice, what's your email?"}])
def test_an_open_question_is_answered_with_the_typed_text(payload):
    f = form(payload)
    assert (f.control, f.facts, sends(f)) == ("text", {}, "the text you type")
    assert build_answer(f, f.options[0].value, text="Alice") == "Alice"


def test_an_open_question_that_asks_to_approve_gets_approve_and_reject():
    assert build_answer(form({"question": "Approve this change request?"}), False) is False


def test_edit_content_opens_an_editor_on_the_original_and_answers_with_the_edited_text():
    f = form({"action": "edit_content", "original": "old text", "instruction": "Edit the content as needed"})
    assert (f.control, f.subject, f.instruction, f.heading) == ("editor", "old text", "Edit the content as needed", "Edit content")
    assert build_answer(f, f.options[0].value, text="Human-edited content here") == "Human-edited content here"


def test_a_review_with_options_answers_with_action_edited_text_and_the_comment_under_both_names():
    f = form({"action": "review_content", "draft": "A draft", "topic": "Python", "options": ["approve", "edit", "regenerate"], "revisions_so_far": 2})
    assert (f.subject, f.facts, f.heading, f.comment) == ("A draft", {"Topic": "Python", "Revisions so far": 2}, "Review content", True)
    assert build_answer(f, "approve") == {"action": "approve"}
    assert build_answer(f, "edit", text="Better") == {"action": "edit", "edited_text": "Better"}
    told = {"feedback": "more technical", "comments": "more technical"}
    assert build_answer(f, "regenerate", comment=" more technical ") == {"action": "regenerate", **told}
    assert sends(f) == '{"action": "approve" | "edit" | "regenerate"}'


def test_review_and_refine_without_options_offers_approve_and_refine_and_refine_needs_a_comment():
    f = form({"action": "review_and_refine", "draft": "A draft", "iteration": 1})
    assert [o.value for o in f.options] == ["approve", "refine"]
    assert build_answer(f, "refine", comment="shorter") == {"action": "refine", "feedback": "shorter", "comments": "shorter"}
    with pytest.raises(InvalidAnswerError, match="needs a comment"):
        build_answer(f, "refine", comment="  ")


@pytest.mark.parametrize("payload", [{"action": "review", "content": "text"}, {"action": "review"}])
def test_a_review_without_options_offers_approve_and_reject(payload):
    f = form(payload)
    assert [build_answer(f, o.value) for o in f.options] == [{"action": "approve"}, {"action": "reject"}]


def test_a_question_about_a_draft_with_options_is_a_review():
    f = form({"question": "Publish?", "draft": "A draft", "options": ["approve", "edit", "reject"]})
    assert build_answer(f, "edit", text="B") == {"action": "edit", "edited_text": "B"}


def test_a_typed_review_names_the_reviewer_in_the_answer():
    payload = {
        "type": "contract_review",
        "contract_id": "contract-acme",
        "draft": "Terms",
        "version": 1,
        "client": "Acme",
        "contract_type": "NDA",
        "options": ["approve", "reject", "request_changes"],
        "instructions": "Please review this contract draft.",
    }
    f = form(payload)
    assert f.facts == {"Contract id": "contract-acme", "Version": 1, "Client": "Acme", "Contract type": "NDA"}
    assert (f.heading, f.instruction, f.subject) == ("Contract review", "Please review this contract draft.", "Terms")
    assert build_answer(f, "approve") == {"action": "approve", "feedback": "", "reviewer": "Dana Ruiz"}
    changed = build_answer(f, "request_changes", comment="Add a clause")
    assert changed == {"action": "request_changes", "feedback": "Add a clause", "reviewer": "Dana Ruiz"}


def test_a_stage_with_escalation_gets_an_escalate_button():
    payload = {
        "stage": "manager_review",
        "reviewer_role": "Department Manager",
        "document": "The document",
        "document_type": "policy",
        "required_action": "Review for business accuracy",
        "options": ["approve", "reject", "request_changes"],
        "escalate_option": True,
    }
    f = form(payload)
    assert (f.heading, f.instruction, f.subject) == ("Manager review", "Review for business accuracy", "The document")
    assert labels(f) == ["Approve", "Request changes", "Escalate", "Reject"]
    assert build_answer(f, "escalate", comment="too large") == {"action": "escalate", "feedback": "too large"}
    assert build_answer(f, "approve") == {"action": "approve", "feedback": ""}


def test_an_approval_request_with_actions_is_answered_with_approved_notes_and_user():
    f = form({"request_id": "r1", "type": "refund", "payload": {"amount": 12, "to": "Ada"}, "assigned_to": "sam", "actions": ["approve", "reject"]})
    assert f.facts == {"Request id": "r1", "Payload": "Amount: 12\nTo: Ada", "Assigned to": "sam"}
    assert build_answer(f, "approve") == {"approved": True, "notes": "", "user": "Dana Ruiz"}
    assert build_answer(f, "reject", comment="no receipt") == {"approved": False, "notes": "no receipt", "user": "Dana Ruiz"}
    assert sends(f) == '{"approved": True | False}'


def test_a_risk_with_amend_is_answered_with_a_decision_and_a_list_of_amendments():
    f = form({"contract_preview": "…", "risk_score": 0.85, "recommendation": "HIGH RISK", "options": ["approve", "reject", "amend"]})
    assert f.facts == {"Risk score": 0.85, "Recommendation": "HIGH RISK"}
    assert build_answer(f, "approve") == {"decision": "approve"}
    assert build_answer(f, "amend", comment="cap liability\n\nadd notice\n") == {"decision": "amend", "amendments": ["cap liability", "add notice"]}
    assert f.comment_label == "Amendments, one a line"


def test_content_with_a_prompt_is_edited_approved_or_rejected_by_type():
    f = form({"content": "old", "prompt": "Edit, approve, or reject?"})
    assert (f.heading, f.subject) == ("Edit, approve, or reject?", "old")
    assert build_answer(f, "edit", text="new") == {"type": "edit", "new_content": "new"}
    assert build_answer(f, "approve") == {"type": "approve"}
    assert build_answer(f, "reject") == {"type": "reject"}


def test_an_error_offers_retry_with_an_edited_input_or_to_give_up():
    f = form({"error": "ValueError: bad", "question": "Retry with different input?", "current_input": "x"})
    assert (f.facts, f.subject, labels(f)) == ({"Error": "ValueError: bad"}, "x", ["Retry", "Give up"])
    assert build_answer(f, True, text="y") == {"retry": True, "new_input": "y"}
    assert build_answer(f, False) == {"retry": False}


def test_an_input_that_is_no_text_comes_back_as_what_it_was():
    f = form({"error": "bad", "question": "Retry?", "current_input": {"n": 1}})
    assert build_answer(f, True, text='{"n": 2}') == {"retry": True, "new_input": {"n": 2}}
    with pytest.raises(InvalidAnswerError, match="no JSON"):
        build_answer(f, True, text="{n: 2}")


def test_a_level_is_approved_with_a_bool_and_a_message_with_a_word():
    level = form({"level": "manager", "amount": 1500})
    assert (level.heading, level.facts, build_answer(level, True)) == ("Approve at level manager?", {"Amount": 1500}, True)
    message = form({"message": "$500 requires manager approval", "risk": "medium"})
    assert (message.heading, message.facts) == ("$500 requires manager approval", {"Risk": "medium"})
    assert [build_answer(message, o.value) for o in message.options] == ["approve", "reject"]


def test_a_step_is_answered_with_a_word():
    f = form({"step": "Technical Review", "request": "REQ-001", "description": "Update", "question": "Is this technically feasible?"})
    assert f.facts == {"Step": "Technical Review", "Request": "REQ-001", "Description": "Update"}
    assert [build_answer(f, o.value) for o in f.options] == ["approve", "reject"]


def test_action_requests_start_from_a_skeleton_that_decides_nothing():
    requests = [{"name": "send_email", "args": {"to": "a@b.c"}, "description": "Send"}, {"name": "delete", "args": {}}]
    f = form({"action_requests": requests, "review_configs": []})
    assert (f.control, f.heading) == ("actions", "Run 2 actions?")
    assert build_answer(f, f.options[0].value, text=f.template) == {"decisions": [{"type": None}, {"type": None}]}


@pytest.mark.parametrize("payload", [{"draft": "only"}, "no question", 5, None, [1, 2], {}, {"options": [{"id": 1}]}])
def test_anything_else_is_answered_with_parsed_json(payload):
    f = form(payload)
    assert (f.control, sends(f)) == ("json", "what you type, read as JSON")
    assert build_answer(f, f.options[0].value, text='{"a": [1, true, null]}') == {"a": [1, True, None]}
    assert f.heading == "Review node asks for an answer"


def test_a_static_pause_offers_one_button_that_continues():
    f = form({"node": "publish", "when": "before"}, node="publish", kind="static")
    assert (f.heading, labels(f), build_answer(f, True)) == ("Continue before publish?", ["Continue"], True)


# -- a schema wins ---------------------------------------------------------------------------------------------------------------------


def test_a_schema_wins_over_what_the_payload_suggests():
    payload = {"action": "review", "draft": "d", "options": ["a", "b"]}
    boolean = form(payload, schema={"type": "boolean"})
    assert (build_answer(boolean, True), boolean.inferred, boolean.subject) == (True, False, "d")
    choice = form(payload, schema={"type": "string", "enum": ["ship", "hold"]})
    assert [build_answer(choice, o.value) for o in choice.options] == ["ship", "hold"]
    text = form(payload, schema={"type": "string"})
    assert (text.control, build_answer(text, text.options[0].value, text="hello")) == ("text", "hello")


def test_many_choices_are_a_form_and_an_object_as_json_starts_from_its_skeleton():
    assert form("Which?", schema={"enum": [str(n) for n in range(40)]}).control == "form"
    schema = {
        "type": "object",
        "$defs": {"who": {"properties": {"name": {"type": "string"}}}},
        "properties": {"ok": {"type": "boolean"}, "why": {"type": "string"}, "who": {"$ref": "#/$defs/who"}, "n": {"type": "integer", "default": 3}},
    }
    f = form("Refund?", schema=schema)
    assert build_answer(f, f.options[0].value, text=f.template) == {"ok": None, "why": "", "who": {"name": ""}, "n": 3}


def test_a_schema_that_refers_to_itself_ends():
    assert form("?", schema={"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}).control == "json"


# -- nothing is lost, nothing is guessed -----------------------------------------------------------------------------------------------


def test_every_other_key_is_a_fact_and_long_values_stay_whole():
    long = "word " * 2000
    meta = {"author": "AI Assistant", "tags": ["a", "b"], "sure": False, "by": None}
    f = form({"action": "review", "content": "c", "metadata": meta, "note": long, "rows": [{"a": 1}, {"a": 2}]})
    assert f.facts["Metadata"] == "Author: AI Assistant\nTags: a, b\nSure: no\nBy: none"
    assert f.facts["Note"] == long
    assert f.facts["Rows"] == "A: 1\nA: 2"


def test_two_keys_with_one_label_both_stay():
    assert form({"question": "What?", "the_key": 1, "the key": 2}).facts == {"The key": 1, "the key": 2}


def test_words_that_begin_with_a_verb_are_weighed_by_it():
    f = form({"question": "Correct 21 films?", "options": ["reject_all", "one_by_one", "accept_all"]})
    assert [(o.label, o.weight) for o in f.options] == [("Accept all", "primary"), ("One by one", "neutral"), ("Reject all", "danger")]


def test_a_choice_that_is_no_option_is_refused_and_true_is_not_one():
    with pytest.raises(InvalidAnswerError, match="expected one of"):
        build_answer(form("Go?"), 1)
    with pytest.raises(InvalidAnswerError, match="needs a text"):
        build_answer(form({"question": "Who?"}), "send")


def test_the_sends_line_of_a_choice_counts_a_long_text():
    f = form({"action": "review", "draft": "d", "options": ["approve", "edit"]})
    assert sends(f, "edit", text="x" * 404) == '{"action": "edit", "edited_text": "… 404 characters"}'


PAYLOADS = [
    {"question": "Q?", "options": ["yes", "no"]},
    {"action": "review", "draft": "d", "options": ["approve", "edit", "reject"]},
    {"stage": "s", "document": "d", "options": ["approve"], "escalate_option": True},
    {"type": "refund", "actions": ["approve", "reject"]},
    {"type": "refund", "actions": ["approve", "defer"]},
    {"risk_score": 1, "options": ["approve", "amend"]},
    {"kind": "x", "options": ["a", "b"]},
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_every_answer_a_form_makes_passes_the_check(payload):
    q = question(payload)
    f = form_for(q, reviewer="r")
    for option in f.options:
        answer = build_answer(f, option.value, text="t", comment="c" if f.shape != "decision" or option.needs_comment else "")
        assert check_answer(q, answer) == answer


KEYS = [
    *("question", "prompt", "message", "action", "type", "stage", "step", "level", "options", "actions", "escalate_option", "instruction"),
    *("draft", "content", "original", "document", "data", "current_input", "current_result", "error", "recommendation", "risk_score"),
    *("action_requests", "required_action", "request_id", "payload"),
]
WORDS = [
    "approve",
    "reject",
    "edit",
    "request_changes",
    "review",
    "review_content",
    "edit_content",
    "What?",
    "Approve it?",
    "text",
    "contract_review",
    "",
]
SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.sampled_from(WORDS) | st.text(max_size=20) | st.binary(max_size=3)
VALUES = st.recursive(
    SCALARS,
    lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text(max_size=5) | st.integers() | st.tuples(st.integers()), v, max_size=3),
    max_leaves=6,
)
LISTED = st.lists(st.sampled_from(WORDS) | SCALARS, max_size=14)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=6), VALUES | LISTED, max_size=6) | VALUES,
    st.sampled_from([None, None, {"type": "boolean"}, {"enum": ["a", "b"]}, {"type": "object", "properties": {"a": {"type": "string"}}}]),
)
def test_every_payload_gets_a_form_with_one_primary_button_whose_answers_pass_the_check(payload, schema):
    q = question(payload, schema=schema)
    f = form_for(q, reviewer="r")
    assert f.options
    assert sum(o.weight == "primary" for o in f.options) == 1
    assert f.options[0].weight == "primary"
    assert f.heading
    assert sends(f)
    for option in f.options:
        text = ('{"a": "x"}' if schema else "null") if f.parse or f.control == "json" else "text"
        if option.edits or f.shape != "text" or not allowed_options(payload):
            answer = build_answer(f, option.value, text=text, comment="c")
            assert schema or check_answer(q, answer) == answer
            assert sends(f, option.value, text=text, comment="c")


@pytest.mark.parametrize(
    "value",
    [pd.DataFrame({"a": [1, 2]}), pd.Series([1]), np.arange(3), np.float64(1.5), {("a", 1): 2}, {3: {4}}, datetime(2026, 1, 1, tzinfo=UTC), b"x"],
)
@pytest.mark.parametrize("key", ["draft", "data", "note", "question", "options", "current_input"])
def test_a_value_of_any_storable_type_is_shown(key, value):
    f = form({key: value, "n": 1})
    assert f.facts["N"] == 1
    whole = form(value)
    assert whole.subject or whole.facts or whole.parts


@pytest.mark.parametrize("requests", [3, float("nan"), b"\xff", {"a": 1}, None])
def test_action_requests_that_are_no_list_are_shown_like_any_other_payload(requests):
    form = form_for(question({"action_requests": requests, "note": "x"}))
    assert form.control == "json"


@pytest.mark.parametrize("asked", ["Refund 249.00 EUR to Marta Nowak?", "Add Okafor Foods as a vendor?", "Send the reply?"])
def test_a_question_that_names_the_deed_is_approved_or_rejected(asked):
    assert [o.value for o in form({"question": asked, "amount": 249}).options] == [True, False]


def test_a_question_with_a_default_of_yes_or_no_is_answered_with_the_other_one_too():
    assert form({"question": "Kim & Sons?"}).control == "text"
    assert [o.value for o in form({"question": "Kim & Sons?"}, default=False).options] == [True, False]


@pytest.mark.parametrize("listed", [[f"film {n}" for n in range(40)], [1, 2, 3], [0.5, "other"]])
def test_options_that_are_many_or_no_texts_are_chosen_in_a_form_and_checked(listed):
    made = form({"question": "Which one?", "options": listed})
    assert made.control == "form"


def test_a_short_text_over_the_fields_of_a_schema_is_their_heading():
    made = form("Complete the refund", schema={"type": "object", "properties": {"amount": {"type": "number"}}})
    assert (made.heading, made.subject) == ("Complete the refund", None)


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        (["yes", "Yes", "no"], ['"yes"', '"Yes"', "No"]),
        (["\u202etcejer", "approve"], ["Approve", '"\\u202etcejer"']),
        (["approve", "approve\u200b"], ['"approve"', '"approve\\u200b"']),
        (["", " "], ['""', '" "']),
        (["ok\nReject", "می\u200cشود"], ["Ok Reject", "می\u200cشود"]),
    ],
)
def test_buttons_can_be_told_apart_and_read_as_what_they_send(options, labels):
    assert [o.label for o in form_for(question({"question": "Which?", "options": options})).options] == labels


def test_amendments_that_the_button_would_not_send_are_not_dropped_without_a_word():
    f = form_for(question({"contract_preview": "…", "risk_score": 8, "recommendation": "amend", "options": ["approve", "reject", "amend"]}))
    with pytest.raises(InvalidAnswerError, match="Approve sends no amendments, .* clear it, or press Amend") as caught:
        build_answer(f, "approve", comment="cap liability")
    assert caught.value.path == ["comment"]
    assert build_answer(f, "approve", comment=" \n") == {"decision": "approve"}


def test_what_is_sent_is_told_with_every_letter_that_turns_or_hides():
    f = form_for(question({"question": "Which?", "options": ["\u202ecejer", "ok\u200b"]}))
    assert sends(f) == '"\\u202ecejer" | "ok\\u200b"'
