"""Actions that are decided one by one: which payloads ask about them, the answers, and what is refused. And JSON as a person types it."""

import json
from datetime import UTC, datetime

import pytest

from hitl_nb.checkpoint.records import Question
from hitl_nb.decisions.action_review import ALL, ActionReview, Argument
from hitl_nb.decisions.actions import VERBS, Decided, answer_of, asked_actions, examples
from hitl_nb.decisions.answers.reading import read_script
from hitl_nb.decisions.answers.suggestion import suggestion
from hitl_nb.decisions.check import check_answer
from hitl_nb.decisions.forms import form_for
from hitl_nb.decisions.json_text import JsonTextError, laid_out, read_json, rounded
from hitl_nb.decisions.request import Request
from hitl_nb.decisions.told import told
from hitl_nb.errors import InvalidAnswerError

AT = datetime(2026, 11, 20, 9, 41, tzinfo=UTC)
EMAIL = {"name": "send_email", "args": {"to": "ana@example.org", "subject": "Hello", "copies": 2}, "description": "Tool execution pending approval"}
SQL = {"name": "execute_sql", "args": {"query": "DELETE FROM orders"}}
MIDDLEWARE = {
    "action_requests": [EMAIL, SQL],
    "review_configs": [
        {"action_name": "execute_sql", "allowed_decisions": ["reject", "approve"]},
        {"action_name": "send_email", "allowed_decisions": ["approve", "edit", "reject", "respond"]},
    ],
}
INBOX = {
    "action_request": {"action": "run_command", "args": {"command": "ls", "args": ["-l"]}},
    "config": {"allow_ignore": True, "allow_respond": True, "allow_edit": False, "allow_accept": True},
    "description": "Please review the command before execution",
}


def question(payload):
    return Question("q", "t", "tools", "t", 0, "", payload, AT)


def form(payload):
    return form_for(question(payload))


# -- which payloads ----------------------------------------------------------------------------------------------------------------------


def test_the_middleware_lists_actions_and_limits_their_decisions():
    asked = asked_actions(MIDDLEWARE)
    assert asked.shape == "decisions"
    assert [(a.name, a.allowed) for a in asked.actions] == [("send_email", VERBS), ("execute_sql", ("approve", "reject"))]
    assert asked.actions[0].description == "Tool execution pending approval"


def test_the_agent_inbox_lists_requests_or_gives_one():
    listed, one = asked_actions([INBOX, INBOX]), asked_actions(INBOX)
    assert (listed.shape, len(listed.actions)) == ("list", 2)
    assert (one.shape, one.actions[0].name, one.actions[0].allowed) == ("one", "run_command", ("approve", "reject", "respond"))
    assert one.actions[0].description == "Please review the command before execution"


def test_the_earlier_spelling_of_arguments_is_read_and_without_a_policy_everything_is_allowed():
    asked = asked_actions({"action_requests": [{"action": "wipe", "arguments": {"disk": 1}}]})
    assert [(a.name, dict(a.args), a.allowed) for a in asked.actions] == [("wipe", {"disk": 1}, VERBS)]


@pytest.mark.parametrize(
    "payload",
    [
        {"action_requests": []},
        {"action_requests": [{}]},
        {"action_requests": ["send"]},
        {"action_requests": [{"name": "a", "args": "not a mapping"}]},
        {"action_requests": [{"name": "a", "args": {1: 2}}]},
        {"action_requests": [{"name": ""}]},
        {"action_requests": [SQL], "review_configs": [{"action_name": "execute_sql", "allowed_decisions": ["approve", "approve_with_edits"]}]},
        {"action_requests": [SQL], "review_configs": [{"action_name": "execute_sql", "allowed_decisions": []}]},
        {"action_requests": [SQL], "review_configs": {"execute_sql": {"allowed_responses": ["approve"]}}},
        [INBOX, {"other": 1}],
        [],
        INBOX | {"config": {"allow_accept": False}},
        "approve?",
        None,
    ],
)
def test_what_is_not_known_is_no_question_about_actions_and_is_answered_as_json(payload):
    assert asked_actions(payload) is None
    if payload != "approve?":
        assert form(payload).control == "json"
    assert check_answer(question(payload), {"decisions": [{"type": "anything"}]}) == {"decisions": [{"type": "anything"}]}


# -- what is shown -----------------------------------------------------------------------------------------------------------------------


def test_the_form_tells_every_action_to_a_terminal_too():
    f = form(MIDDLEWARE | {"thread": "inbox 7"})
    assert (f.control, f.heading, [o.label for o in f.options]) == ("actions", "Run 2 actions?", ["Send decisions"])
    assert f.facts == {
        "1. send_email": "Tool execution pending approval\nTo: ana@example.org\nSubject: Hello\nCopies: 2",
        "2. execute_sql": "Query: DELETE FROM orders\nDecisions: approve, reject",
        "Thread": "inbox 7",
    }
    assert json.loads(f.template) == {"decisions": [{"type": None}, {"type": None}]}


def test_one_action_is_named_in_the_heading_unless_the_payload_has_a_question():
    assert form({"action_requests": [SQL]}).heading == "Run execute_sql?"
    assert form({"action_requests": [SQL], "question": "May it?"}).heading == "May it?"
    assert form(INBOX).heading == "Run run_command?"
    assert json.loads(form([INBOX]).template) == [{"type": None, "args": None}]


def test_more_actions_than_anybody_decides_one_by_one_are_answered_as_json_and_checked_all_the_same():
    payload = {"action_requests": [SQL] * 101}
    assert (form({"action_requests": [SQL] * 100}).control, form(payload).control) == ("actions", "json")
    with pytest.raises(InvalidAnswerError, match="it decides 1 actions, and 101 are asked about"):
        check_answer(question(payload), {"decisions": [{"type": "approve"}]})
    entry = read_script(suggestion(question(payload))).entry_for(question(payload))
    assert check_answer(question(payload), entry.answer)["decisions"][100] == {"type": "approve"}


# -- the answer --------------------------------------------------------------------------------------------------------------------------


def test_the_answer_of_the_middleware():
    decided = [Decided("edit", {"to": "b@example.org"}), Decided("reject", None, "Never")]
    assert answer_of(asked_actions(MIDDLEWARE), decided) == {
        "decisions": [
            {"type": "edit", "edited_action": {"name": "send_email", "args": {"to": "b@example.org"}}},
            {"type": "reject", "message": "Never"},
        ]
    }
    decided = [Decided("respond", None, "Ask later"), Decided("reject")]
    assert answer_of(asked_actions(MIDDLEWARE), decided) == {"decisions": [{"type": "respond", "message": "Ask later"}, {"type": "reject"}]}


def test_the_answer_of_the_agent_inbox_is_a_list_for_a_list_and_one_for_one():
    asked = asked_actions([INBOX, INBOX])
    assert answer_of(asked, [Decided("approve"), Decided("respond", None, "Why?")]) == [
        {"type": "accept", "args": None},
        {"type": "response", "args": "Why?"},
    ]
    assert answer_of(asked_actions(INBOX), [Decided("reject")]) == {"type": "ignore", "args": None}
    edit = answer_of(asked_actions(INBOX), [Decided("edit", {"command": "pwd"})])
    assert edit == {"type": "edit", "args": {"action": "run_command", "args": {"command": "pwd"}}}


@pytest.mark.parametrize("payload", [MIDDLEWARE, INBOX, [INBOX], {"action_requests": [SQL, EMAIL]}])
def test_every_example_is_a_valid_answer(payload):
    found = examples(asked_actions(payload))
    assert found
    for one in found:
        assert check_answer(question(payload), one) == one


def test_without_a_decision_that_fits_all_the_example_mixes():
    configs = [{"action_name": "send_email", "allowed_decisions": ["edit"]}, {"action_name": "execute_sql", "allowed_decisions": ["reject"]}]
    payload = {"action_requests": [EMAIL, SQL], "review_configs": configs}
    [one] = examples(asked_actions(payload))
    assert [d["type"] for d in one["decisions"]] == ["edit", "reject"]


@pytest.mark.parametrize(
    ("decisions", "path", "words"),
    [
        ([{"type": "approve"}], ["decisions"], "it decides 1 actions, and 2 are asked about (send_email, execute_sql)"),
        ("approve", ["decisions"], "expected a list with one decision for each action"),
        (
            [{"type": "approve"}, {"type": "aprove"}],
            ["decisions", 1, "type"],
            "'execute_sql' is decided with 'aprove'; expected one of 'approve', 'reject'",
        ),
        ([{"type": "approve"}, {"type": "edit", "edited_action": SQL}], ["decisions", 1, "type"], "expected one of 'approve', 'reject'"),
        ([{"type": "approve"}, "approve"], ["decisions", 1], "expected {'type': …}"),
        ([{"type": "approve"}, {}], ["decisions", 1], "expected {'type': …}"),
        ([{"type": None}, {"type": "approve"}], ["decisions", 0, "type"], "'send_email' is decided with None"),
        ([{"type": True}, {"type": "approve"}], ["decisions", 0, "type"], "'send_email' is decided with True"),
        ([{"type": "edit"}, {"type": "approve"}], ["decisions", 0, "edited_action"], "expected {'name': …, 'args': {…}}"),
        ([{"type": "edit", "edited_action": {"name": "x", "args": [1]}}, {"type": "approve"}], ["decisions", 0, "edited_action"], "expected"),
        ([{"type": "respond"}, {"type": "approve"}], ["decisions", 0, "message"], "expected a text"),
        ([{"type": "reject", "message": 5}, {"type": "approve"}], ["decisions", 0, "message"], "expected a text"),
    ],
)
def test_a_decision_that_does_not_fit_is_refused_at_its_place(decisions, path, words):
    with pytest.raises(InvalidAnswerError) as refused:
        check_answer(question(MIDDLEWARE), {"decisions": decisions})
    assert refused.value.path == path
    assert words in str(refused.value)
    assert "The question is still open." in str(refused.value)


@pytest.mark.parametrize(
    ("payload", "answer", "path"),
    [
        ([INBOX], [{"type": "edit", "args": {"action": "run_command", "args": {}}}], [0, "type"]),
        ([INBOX], [{"type": "approve"}], [0, "type"]),
        ([INBOX], [{"type": "accept"}, {"type": "accept"}], []),
        ([INBOX], [{"type": "response", "args": None}], [0, "args"]),
        (INBOX, {"type": "acept"}, ["type"]),
    ],
)
def test_an_answer_to_the_agent_inbox_is_checked_too(payload, answer, path):
    with pytest.raises(InvalidAnswerError) as refused:
        check_answer(question(payload), answer)
    assert refused.value.path == path


@pytest.mark.parametrize("answer", ["later", True, None, {"note": 1}, [1], {"type": "approve"}])
def test_an_answer_of_another_shape_is_the_affair_of_the_graph(answer):
    assert check_answer(question(MIDDLEWARE), answer) == answer


def test_edited_arguments_fit_the_schema_that_the_policy_gives():
    schema = {"type": "object", "properties": {"copies": {"type": "integer", "maximum": 3}}}
    payload = {
        "action_requests": [EMAIL],
        "review_configs": [{"action_name": "send_email", "allowed_decisions": ["edit"], "args_schema": schema}],
    }
    good = {"decisions": [{"type": "edit", "edited_action": {"name": "send_email", "args": {"copies": 3}}}]}
    bad = {"decisions": [{"type": "edit", "edited_action": {"name": "send_email", "args": {"copies": 4}}}]}
    assert check_answer(question(payload), good) == good
    with pytest.raises(InvalidAnswerError, match="Must be at most 3") as refused:
        check_answer(question(payload), bad)
    assert refused.value.path == ["decisions", 0, "edited_action", "args", "copies"]
    payload["review_configs"][0]["args_schema"] = {"type": "no such type"}
    assert check_answer(question(payload), bad) == bad, "a schema that is none binds nothing"


# -- while it is decided -----------------------------------------------------------------------------------------------------------------


def review(payload=MIDDLEWARE):
    return ActionReview(asked_actions(payload))


def test_nothing_is_chosen_at_first_and_nothing_can_be_sent():
    r = review()
    assert (r.still_open, r.missing, r.unsent) == (2, "2 open", "")
    with pytest.raises(InvalidAnswerError, match="2 open"):
        r.answer()


def test_the_rest_is_approved_and_what_was_decided_stays():
    r = review()
    r.choose(1, "reject")
    assert r.rest == 1
    r.approve_rest()
    assert [s.verb for s in r.states] == ["approve", "reject"]
    assert (r.rest, r.missing) == (0, "")
    assert r.answer() == {"decisions": [{"type": "approve"}, {"type": "reject"}]}


def test_the_rest_leaves_out_what_may_not_be_approved():
    configs = [{"action_name": "execute_sql", "allowed_decisions": ["reject"]}]
    r = review({"action_requests": [EMAIL, SQL], "review_configs": configs})
    r.approve_rest()
    assert [s.verb for s in r.states] == ["approve", None]


@pytest.mark.parametrize("verb", ["edit", "respond", "approve_all", None, True, 0])
def test_a_decision_that_is_not_allowed_is_not_taken(verb):
    r = review()
    r.choose(1, verb)
    assert r.states[1].verb is None


def test_changed_arguments_keep_their_types_and_the_others_are_the_originals():
    r = review({"action_requests": [{"name": "pay", "args": {"to": "0012", "amount": 0.1, "big": 2**70, "note": None, "ids": (1, 2), "at": AT}}]})
    r.choose(0, "edit")
    assert r.missing == "pay: no argument is changed yet"
    arguments = {a.name: a for a in r.states[0].arguments}
    assert [a.raw for a in arguments.values()][:4] == ["0012", "0.1", str(2**70), "null"]
    arguments["to"].raw = "0013"
    arguments["note"].raw = '{"why": "late"}'
    arguments["ids"].raw = "[1,2]"
    [sent] = [d["edited_action"]["args"] for d in r.answer()["decisions"]]
    assert sent == {"to": "0013", "amount": 0.1, "big": 2**70, "note": {"why": "late"}, "ids": (1, 2), "at": AT}
    assert [a.name for a in arguments.values() if a.is_changed] == ["to", "note"]


def test_an_argument_that_is_no_json_says_so_and_blocks():
    r = review({"action_requests": [EMAIL]})
    r.choose(0, "edit")
    copies = r.states[0].arguments[2]
    copies.raw = "two"
    assert r.missing == 'send_email: copies: Line 1: expected a value before two; a text goes into quotes: "like this".'
    copies.raw = " "
    assert copies.problem == "Empty. Write null for no value."
    copies.raw = "true"
    assert (r.missing, copies.value) == ("", True)
    copies.raw = "2.0"
    assert copies.is_changed
    assert type(copies.value) is float


def test_a_text_keeps_its_line_ends_and_quotes():
    argument = Argument.of("body", 'Dear "Ana"\r\nBye')
    argument.raw = 'Dear "Ana"\nBye'
    assert not argument.is_changed
    argument.raw = 'Dear "Bob"\nBye'
    assert argument.value == 'Dear "Bob"\r\nBye'


def test_an_action_without_arguments_is_edited_as_a_whole():
    r = review({"action_requests": [{"name": "restart"}]})
    r.choose(0, "edit")
    assert r.states[0].arguments[0].name == ALL
    r.states[0].arguments[0].raw = "[1]"
    assert r.missing == "restart: Write the arguments as an object in braces."
    r.states[0].arguments[0].raw = '{"force": true}'
    assert r.answer() == {"decisions": [{"type": "edit", "edited_action": {"name": "restart", "args": {"force": True}}}]}


def test_a_response_needs_a_text_and_a_rejection_may_have_one():
    r = review()
    r.choose(0, "respond")
    r.choose(1, "reject")
    assert r.missing == "send_email: the response is empty"
    r.states[0].message = " Ask Ana first.\n"
    r.states[1].message = "Never"
    assert r.answer() == {"decisions": [{"type": "respond", "message": "Ask Ana first."}, {"type": "reject", "message": "Never"}]}
    r.choose(0, "approve")
    assert r.answer()["decisions"][0] == {"type": "approve"}, "a text that was typed before does not come along"


def test_of_two_actions_of_one_name_the_reason_says_which():
    r = review({"action_requests": [SQL, SQL]})
    r.choose(0, "approve")
    r.choose(1, "respond")
    assert r.missing == "2. execute_sql: the response is empty"


@pytest.mark.parametrize(
    ("payload", "path", "place"),
    [
        (MIDDLEWARE, ["decisions", 0, "edited_action", "args", "copies"], (0, "copies")),
        (MIDDLEWARE, ["decisions", 1, "message"], (1, "message")),
        (MIDDLEWARE, ["decisions", 1, "type"], None),
        (MIDDLEWARE, ["decisions", 9, "message"], None),
        (MIDDLEWARE, ["decisions"], None),
        (MIDDLEWARE, [], None),
        ([INBOX], [0, "args", "args", "args"], (0, "args")),
        ([INBOX], [0, "args"], (0, "message")),
        (INBOX, ["args", "args", "command"], (0, "command")),
    ],
)
def test_a_refusal_finds_its_place(payload, path, place):
    r = review(payload)
    assert r.refuse(InvalidAnswerError("long", path=path, reason="short")) == place
    assert [s.refused for s in r.states if s.refused] == ([{place[1]: "short"}] if place else [])


def test_what_was_chosen_and_typed_is_told_when_it_was_not_sent():
    r = review()
    r.choose(0, "edit")
    r.states[0].arguments[0].raw = "x@example.org"
    r.choose(1, "reject")
    r.states[1].message = "Never"
    assert "x@example.org" in r.unsent
    assert "Never" in r.unsent


# -- JSON as it is typed -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1\n "b": 2}', 'Line 2: expected a comma before "b".'),
        ('{"a": 1,\n}', "Line 2: there is a comma too many before }."),
        ("[1,]", "Line 1: there is a comma too many before ]."),
        ('{"a" 1}', "Line 1: expected a colon before 1."),
        ("{a: 1}", "Line 1: expected a key in double quotes before a."),
        ("{'a': 1}", "Line 1: expected a key in double quotes before '."),
        ('["x\ny"]', "Line 1: a text goes on in the next line or holds a tab; write \\n or \\t."),
        ('["x', "Line 1: a text has no closing quote."),
        ("hello", 'Line 1: expected a value before hello; a text goes into quotes: "like this".'),
        ("[1, True]", "Line 1: write true for True."),
        ("None", "Line 1: write null for None."),
        ("'x'", "Line 1: texts go into double quotes."),
        ("", "Line 1: expected a value at the end."),
        ('{"a": 1', "Line 1: expected a comma or the closing bracket at the end."),
        ("[1] 2", "Line 1: the value ends before 2."),
        ('"\\x"', "Line 1: a backslash alone means nothing; write two."),
        ("NaN", "NaN is no JSON number."),
        ("[-Infinity]", "-Infinity is no JSON number."),
        ("1e999", "1e999 is too large a number."),
        ('{"a": 1, "b": {"a": 1, "a": 2}}', 'The key "a" stands twice.'),
        ("[" * 100_000, "It is nested too deeply."),
        ("1" * 5000, "A number is too long"),
    ],
)
def test_what_is_no_json_is_said_in_words_with_the_line(text, words):
    with pytest.raises(JsonTextError) as error:
        read_json(text)
    assert str(error.value).startswith(words)


def test_json_is_laid_out_one_item_a_line_with_the_numbers_as_they_were_typed():
    text = '{"b":[1.10, 1e3,-0,\n{}], "a":"ü", "n":null,"c":{"d":true}, "big": 12345678901234567890.5, "e": []}'
    assert laid_out(text).splitlines() == [
        "{",
        '  "b": [',
        "    1.10,",
        "    1e3,",
        "    -0,",
        "    {}",
        "  ],",
        '  "a": "ü",',
        '  "n": null,',
        '  "c": {',
        '    "d": true',
        "  },",
        '  "big": 12345678901234567890.5,',
        '  "e": []',
        "}",
    ]
    assert laid_out('{"a":1}') == laid_out(' {\n"a" :1 }')


def test_a_number_with_more_digits_than_can_be_held_is_told():
    assert rounded("[0.1, 1.10, 1e3, 5, 123456789012345678901234567890]") == []
    assert rounded('{"a": 0.12345678901234567891}') == ["0.12345678901234567891 is sent as 0.12345678901234568"]


@pytest.mark.parametrize("text", ["a\r\nb\nc", "a\rb"])
def test_an_argument_that_a_page_reports_with_its_own_line_ends_is_not_changed(text: str) -> None:
    argument = Argument.of("body", text)
    argument.raw = text.replace("\r\n", "\n").replace("\r", "\n")
    assert not argument.is_changed
    assert argument.value == text


def test_an_argument_whose_number_would_be_rounded_is_not_sent() -> None:
    argument = Argument.of("rate", 0.5)
    argument.raw = "0.12345678901234567891"
    assert argument.problem == "Has more digits than are kept: 0.12345678901234567891 is sent as 0.12345678901234568."
    argument.raw = "0.25"
    assert argument.problem == ""


def test_a_receipt_tells_an_argument_that_changed_its_type_only() -> None:
    asked = Question("q", "t", "n", "k", 0, "", {"action_requests": [{"name": "send", "args": {"n": 1, "flag": 1, "to": None}}]}, AT)
    answer = {"decisions": [{"type": "edit", "edited_action": {"name": "send", "args": {"n": 1.0, "flag": True, "to": None, "cc": None}}}]}
    facts, _ = told(Request(asked, form_for(asked)), answer)
    assert facts == {"1. send": "edited: N: 1.0 (was 1), Flag: yes (was 1), Cc: none (new)"}
