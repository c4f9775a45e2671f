"""State keys: how writes combine, what is dropped, what an absent key reads as."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, make_dataclass
from enum import Enum
from operator import add
from typing import Annotated, NotRequired, Required, TypedDict

import pytest

from hitl_nb.errors import ConcurrentUpdateError, GraphError, UnknownStateKeyWarning
from hitl_nb.graph.schema import StateSchema


class Color(Enum):
    RED = "red"


@dataclass
class Item:
    color: Color


def extend(old, new):
    old.extend(new)
    return old


class State(TypedDict, total=False):
    plain: int
    log: Annotated[list[str], add]
    maybe: NotRequired[Annotated[list[str], add]]
    must: Required[str]
    items: Annotated[Sequence[Item], add]
    total: Annotated[int, add, "a remark that is no reducer"]
    noted: Annotated[str, "only a remark"]
    optional: Annotated[list | None, lambda old, new: (old or []) + (new or [])]
    in_place: Annotated[list, extend]


def wrote(key, value, task="t", node="n"):
    return (task, node, key, value)


def test_the_keys_are_those_of_the_typed_dict():
    assert list(StateSchema(State).keys) == list(State.__annotations__)


def test_a_free_form_state_takes_any_key_and_the_last_write_wins():
    values, written = StateSchema().apply({"a": 1}, [wrote("a", 2), wrote("b", 3)])
    assert values == {"a": 2, "b": 3}
    assert written == {"a", "b"}


def test_keys_with_a_reducer_begin_empty_and_others_are_absent():
    assert StateSchema(State).initial() == {"log": [], "maybe": [], "items": [], "total": 0, "in_place": []}


def test_the_first_write_to_a_reducer_without_an_empty_value_is_taken_as_it_is():
    assert StateSchema(State).apply({}, [wrote("optional", ["x"])])[0] == {"optional": ["x"]}


def test_reducers_combine_in_the_order_of_the_writes():
    schema = StateSchema(State)
    values, _ = schema.apply(schema.initial(), [wrote("log", ["a"], "t1"), wrote("log", ["b"], "t2"), wrote("total", 2), wrote("total", 3)])
    assert values["log"] == ["a", "b"]
    assert values["total"] == 5


def test_applying_leaves_the_old_state_alone():
    schema = StateSchema(State)
    old = {"plain": 1, "log": ["x"], "in_place": ["x"]}
    schema.apply(old, [wrote("plain", 2), wrote("log", ["y"]), wrote("in_place", ["y"])])
    assert old == {"plain": 1, "log": ["x"], "in_place": ["x"]}


def test_two_tasks_that_write_one_plain_key_are_an_error_that_names_them():
    with pytest.raises(ConcurrentUpdateError, match=r"'one' and 'two' both wrote state\['plain'\]") as caught:
        StateSchema(State).apply({}, [wrote("plain", 1, "t1", "one"), wrote("plain", 1, "t2", "two")])
    assert caught.value.key == "plain"


def test_one_task_may_write_a_key_twice():
    assert StateSchema(State).apply({}, [wrote("plain", 1), wrote("plain", 2)])[0] == {"plain": 2}


def test_an_unknown_key_is_dropped_and_warned_about_once():
    schema = StateSchema(State)
    with pytest.warns(UnknownStateKeyWarning, match=r"n wrote state\['palin'\].*Known keys: plain"):
        values, written = schema.apply({}, [wrote("palin", 1)])
    assert values == {}
    assert written == set()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schema.apply({}, [wrote("palin", 1)])


def test_the_classes_that_annotations_name_are_collected_inner_ones_too():
    outer = make_dataclass("Outer", [("color", Color)])
    assert StateSchema(TypedDict("Made", {"x": dict[str, list[outer]]})).types == {outer, Color}


@pytest.mark.parametrize("schema", [dict, int, Item], ids=repr)
def test_what_is_no_typed_dict_is_refused(schema):
    with pytest.raises(GraphError, match="TypedDict"):
        StateSchema(schema)


def test_an_annotation_that_cannot_be_resolved_says_where_to_define_it():
    class Broken(TypedDict):
        x: Missing  # noqa: F821  # what the test is about

    with pytest.raises(GraphError, match=r"'Missing'.*same module"):
        StateSchema(Broken)
