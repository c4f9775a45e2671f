"""An answer is checked before it is recorded."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, TypedDict

import numpy as np
import pytest
from pydantic import AwareDatetime, BaseModel, Field, field_validator

from hitl_nb.checkpoint.records import Question
from hitl_nb.decisions.check import answer_schema, check_answer, problems, remember_schema, typed_answer
from hitl_nb.decisions.validator import ending, validator_of
from hitl_nb.errors import GraphError, InvalidAnswerError


def question(payload: Any, **more: Any) -> Question:
    asked = {"id": "q1", "thread_id": "t", "node": "review_node", "task_id": "k", "position": 0, "digest": "d", "payload": payload}
    return Question(**{**asked, "created_at": datetime(2026, 1, 1, tzinfo=UTC), **more})


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Refund(BaseModel):
    amount: float = Field(le=500)
    day: date
    why: str | None = None

    @field_validator("why")
    @classmethod
    def not_rude(cls, why: str | None) -> str | None:
        if why == "rude":
            raise ValueError("say it nicely")
        return why


@dataclass
class Point:
    x: int
    y: int


class Inner(TypedDict):
    n: int


class Outer(TypedDict, total=False):
    inner: Inner
    name: str


def asked(schema: Any = None, payload: Any = "?") -> Question:
    return question(payload, schema=None if schema is None else answer_schema(schema))


OPTIONS = {"question": "Publish?", "options": ["approve", "reject"]}


def test_an_option_of_the_payload_is_taken_and_a_typo_is_refused_with_the_nearest_one():
    assert check_answer(asked(payload=OPTIONS), "approve") == "approve"
    told = r"'Aprove' is none of its options \('approve', 'reject'\); did you mean 'approve'\? The question is"
    with pytest.raises(InvalidAnswerError, match=told) as caught:
        check_answer(asked(payload=OPTIONS), "Aprove")
    assert (caught.value.thread_id, caught.value.node, caught.value.interrupt_id) == ("t", "review_node", "q1")


@pytest.mark.parametrize("key", ["action", "decision", "type"])
def test_a_dict_answer_is_bound_by_its_action_decision_and_type(key):
    assert check_answer(asked(payload=OPTIONS), {key: "reject", "more": 1}) == {key: "reject", "more": 1}
    for bad in ("REJECT", None, True, ["approve"]):
        with pytest.raises(InvalidAnswerError) as caught:
            check_answer(asked(payload=OPTIONS), {key: bad})
        assert caught.value.path == [key]


@pytest.mark.parametrize("answer", [True, None, 0, ["approve"], {"approved": True}, {}])
def test_answers_of_other_shapes_pass_without_a_schema(answer):
    assert check_answer(asked(payload=OPTIONS), answer) == answer


def test_escalate_is_an_option_only_where_it_is_offered():
    assert check_answer(asked(payload={**OPTIONS, "escalate_option": True}), {"action": "escalate"})
    with pytest.raises(InvalidAnswerError):
        check_answer(asked(payload={**OPTIONS, "escalate_option": False}), {"action": "escalate"})


def test_actions_bind_like_options_and_true_is_not_the_option_1():
    assert check_answer(asked(payload={"actions": ["approve", 1]}), {"action": 1}) == {"action": 1}
    with pytest.raises(InvalidAnswerError):
        check_answer(asked(payload={"actions": ["approve", 1]}), {"action": True})


def test_an_enum_among_the_options_is_answered_by_its_member_or_its_value():
    q = asked(payload={"question": "Which?", "options": list(Color)})
    assert [check_answer(q, a) for a in (Color.RED, "red", {"action": Color.BLUE})] == [Color.RED, "red", {"action": Color.BLUE}]
    with pytest.raises(InvalidAnswerError, match="'red', 'blue'"):
        check_answer(q, "RED")


def test_a_payload_without_options_binds_nothing():
    for payload in ("Name?", {"question": "Name?"}, {"options": []}, {"options": "ab"}, 3, None):
        assert check_answer(asked(payload=payload), "anything") == "anything"


def test_a_static_pause_takes_true_and_none_only():
    q = question({"node": "n", "when": "before"}, kind="static")
    assert check_answer(q, True) is True
    assert check_answer(q, None) is True
    for bad in (False, 1, "yes", {}):
        with pytest.raises(InvalidAnswerError, match="continued with True or None"):
            check_answer(q, bad)


def test_a_schema_wins_over_the_options():
    assert check_answer(asked(bool, OPTIONS), False) is False
    with pytest.raises(InvalidAnswerError):
        check_answer(asked(bool, OPTIONS), "approve")


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        (bool, [True, False], [1, 0, "true", None]),
        (int, [3], [True, "3", 3.5]),
        (float, [3, 2.5], [True, float("nan"), float("inf"), "2"]),
        (str, ["a"], [None, 3, b"\xff"]),
        (Literal["ship", "hold"], ["ship"], ["Ship", None]),
        (Literal[1], [1], [True, 2]),
        (Color, ["red", Color.BLUE], ["green", "RED"]),
        (Point, [{"x": 1, "y": 2}, Point(1, 2)], [{"x": 1}, {"x": "1", "y": 2}, {"x": True, "y": 1}]),
        (Outer, [{}, {"inner": {"n": 1}}], [{"inner": {}}, {"inner": {"n": "1"}}]),
        (list[int], [[1, 2], (1, 2), np.array([1, 2])], [[1, "2"], 5]),
        ({"type": "array", "items": {"type": "integer"}}, [[1]], [["a"]]),
        ({"type": "string", "format": "date-time"}, ["2026-01-01T10:00:00Z"], ["soon"]),
    ],
)
def test_a_schema_takes_what_fits_and_refuses_what_does_not(schema, good, bad):
    for answer in good:
        check_answer(asked(schema), answer)
    for answer in bad:
        with pytest.raises(InvalidAnswerError, match="still open"):
            check_answer(asked(schema), answer)


def test_the_error_names_the_place_and_what_was_expected():
    with pytest.raises(InvalidAnswerError, match=r"answer\['amount'\]: 900 is greater than the maximum of 500") as caught:
        check_answer(asked(Refund), {"amount": 900, "day": "2026-01-01"})
    assert caught.value.path == ["amount"]
    with pytest.raises(InvalidAnswerError, match=r"Expected the keys amount, day"):
        check_answer(asked(Refund), {"amount": 3})


def test_an_instance_is_recorded_as_plain_data_and_comes_back_as_an_instance():
    given = Refund(amount=12.5, day=date(2026, 1, 2), why="late")
    recorded = check_answer(asked(Refund), given)
    assert recorded == {"amount": 12.5, "day": "2026-01-02", "why": "late"}
    assert typed_answer(Refund, recorded) == given
    assert check_answer(asked(float), np.float64(2.5)) == 2.5
    assert typed_answer(Color, check_answer(asked(Color), Color.RED)) is Color.RED
    assert typed_answer(Outer, {"inner": {"n": 1}}) == {"inner": {"n": 1}}
    assert typed_answer(Decimal, check_answer(asked(Decimal), Decimal("1.10"))) == Decimal("1.10")
    assert typed_answer({"type": "integer"}, 3) == 3


def test_a_rule_that_json_schema_cannot_say_is_found_when_the_answer_is_typed():
    with pytest.raises(InvalidAnswerError, match=r"answer\['why'\]: .*say it nicely.*reopen"):
        typed_answer(Refund, {"amount": 1, "day": "2026-01-02", "why": "rude"})


@pytest.mark.parametrize("schema", [None, "bool", True, ["a", "b"], {"type": "nonsense"}, object(), lambda: 1])
def test_what_is_no_schema_is_refused_with_the_ways_to_say_it(schema):
    with pytest.raises(GraphError, match="schema"):
        answer_schema(schema)


def test_a_remote_reference_is_never_fetched():
    q = question("?", schema={"$ref": "http://127.0.0.1:9/schema.json"})
    with pytest.raises(GraphError, match="does not define"):
        check_answer(q, 1)


def test_an_answer_that_cannot_be_json_is_refused():
    with pytest.raises(InvalidAnswerError, match="cannot be written as JSON"):
        check_answer(asked(str), object())


def test_a_multiple_is_counted_by_the_digits_that_are_written():
    q = question("?", schema={"type": "number", "multipleOf": 0.01})
    assert [check_answer(q, v) for v in (1.1, 0.07, 100, 1e300)] == [1.1, 0.07, 100, 1e300]
    with pytest.raises(InvalidAnswerError, match="multiple"):
        check_answer(q, 0.005)


def test_a_pattern_that_only_pydantic_reads_is_left_to_it_and_one_that_nobody_reads_is_no_schema():
    class Named(BaseModel):
        name: str = Field(pattern=r"^\p{Lu}")

    remember_schema("named", Named)
    q = question("?", id="named", schema=answer_schema(Named))
    assert check_answer(q, {"name": "Äpfel"}) == {"name": "Äpfel"}
    with pytest.raises(InvalidAnswerError, match="pattern"):
        check_answer(q, {"name": "apples"})
    with pytest.raises(GraphError, match="regex"):
        answer_schema({"type": "string", "pattern": r"^\p{Lu}"})


def test_every_problem_of_an_answer_is_told_in_words_at_its_place():
    class Cat(BaseModel):
        kind: Literal["cat"]
        lives: int = Field(9, le=9)

    class Dog(BaseModel):
        kind: Literal["dog"]
        name: str

    class Zoo(BaseModel):
        model_config = {"extra": "forbid"}
        pet: Cat | Dog
        names: list[Annotated[str, Field(min_length=3)]] = Field(min_length=1)
        day: date
        size: int | list[int]
        code: Annotated[str, Field(pattern="^" + "[a-z]?" * 400 + "$")]

    q = question("?", schema=answer_schema(Zoo))
    answer = {"pet": {"kind": "cat", "lives": 10}, "names": ["Bo", "Anna", ""], "day": "soon", "size": "big", "code": "1", "more": 1}
    assert {p.path: p.message for p in problems(q, answer)} == {
        ("pet", "lives"): "Must be at most 9.",
        ("names", 0): "Needs at least 3 characters. It has 2.",
        ("names", 2): "Needs at least 3 characters.",
        ("day",): "Must be a date, like 2026-11-20.",
        ("size",): "Must be a whole number or a list.",
        ("code",): "Does not have the expected form.",
        ("more",): "Is not expected here.",
    }
    assert [p.path for p in problems(q, {})] == [("pet",), ("names",), ("day",), ("size",), ("code",)]
    assert [p.message for p in problems(q, 5)] == ["Must be a group of fields."]
    assert problems(q, {"pet": {"kind": "dog", "name": "Rex"}, "names": ["Anna"], "day": "2026-11-20", "size": 1, "code": "a"}) == []


def test_the_rules_of_the_authors_class_are_told_at_their_place_without_the_other_kinds():
    class Cat(BaseModel):
        kind: Literal["cat"]
        lives: int

        @field_validator("lives")
        @classmethod
        def few(cls, lives: int) -> int:
            if lives > 9:
                raise ValueError("a cat has nine")
            return lives

    class Dog(BaseModel):
        kind: Literal["dog"]

    class Zoo(BaseModel):
        pets: list[Cat | Dog]
        refund: Refund
        due: AwareDatetime

    remember_schema("zoo", Zoo)
    q = question("?", id="zoo", schema=answer_schema(Zoo))
    answer = {
        "pets": [{"kind": "dog"}, {"kind": "cat", "lives": 10}],
        "refund": {"amount": 1, "day": "2026-01-01", "why": "rude"},
        "due": "2026-01-01T10:00:00",
    }
    assert {p.path: p.message for p in problems(q, answer)} == {
        ("pets", 1, "lives"): "A cat has nine.",
        ("refund", "why"): "Say it nicely.",
        ("due",): "Must have timezone info.",
    }


def test_an_answer_that_cannot_be_worked_with_has_one_problem():
    q = question("?", schema={"type": "number"})
    assert [p.path for p in problems(q, float("nan"))] == [()]
    assert problems(q, object())
    assert problems(asked(payload=OPTIONS), "Aprove")[0].message.startswith("'Aprove' is none of its options")


def test_a_number_that_no_json_has_is_refused_and_does_not_end_the_process():
    for odd in (np.longdouble(1), [np.clongdouble(1)], np.array([np.longdouble(1)]), {np.longdouble(1): 1}, {(np.longdouble(1), 2): 1}):
        with pytest.raises(InvalidAnswerError, match="cannot be written as JSON"):
            check_answer(asked({"type": "array"}), odd)
    assert check_answer(asked({"type": "array"}), np.array([np.float32(1.5)])) == [1.5]


ENDLESS = {"type": "string", "if": {"maxLength": 1}, "else": {"$ref": "#"}}


def test_a_schema_that_has_no_end_for_an_answer_refuses_it_and_a_tree_has_one():
    assert check_answer(asked(ENDLESS), "a") == "a"
    with pytest.raises(InvalidAnswerError, match="refers to itself without end"):
        check_answer(asked(ENDLESS), "abc")
    assert problems(asked(ENDLESS), "abc")
    with pytest.raises(RecursionError, match="'#' refers to itself without end"):  # found, and not run into
        validator_of(ENDLESS).is_valid("abc")
    tree = {"type": "array", "items": {"$ref": "#"}}
    assert check_answer(asked(tree), [[], [[]], [[]]]) == [[], [[]], [[]]]
    with pytest.raises(InvalidAnswerError, match="is not of type 'array'"):
        check_answer(asked(tree), [[], [[5]]])


def test_the_limit_of_recursion_inside_a_library_in_rust_is_an_ordinary_error():
    class PanicException(BaseException):
        pass

    with pytest.raises(RecursionError), ending():
        raise PanicException("__eq__ failed!")
    with pytest.raises(KeyboardInterrupt), ending():
        raise KeyboardInterrupt
