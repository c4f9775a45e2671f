"""Commands, interrupts and results as a user holds them."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from hitl_nb.checkpoint.records import UNSET
from hitl_nb.graph.types import END, Command, GraphResult, Interrupt, Send, pairs


def question(value="?", **more):
    return Interrupt(value, "0" * 32, "ask", **more)


def test_a_command_without_resume_does_not_answer_and_none_is_an_answer():
    assert Command().resume is UNSET
    assert Command(resume=None).resume is None
    assert not UNSET


@pytest.mark.parametrize("update", [{"a": 1, "b": 2}, [("a", 1), ("b", 2)], (("a", 1), ("b", 2))], ids=repr)
def test_an_update_is_a_mapping_or_pairs(update):
    assert Command(update=update).writes() == [("a", 1), ("b", 2)]


@pytest.mark.parametrize("update", ["ab", b"ab", 3, ["a"], [("a", 1, 2)], {1: 2}], ids=repr)
def test_what_is_no_update_is_refused(update):
    with pytest.raises(TypeError, match="Command"):
        Command(update=update).writes()


def test_the_targets_of_a_command_are_a_list():
    assert Command(goto="a").targets() == ["a"]
    assert Command(goto=["a", END]).targets() == ["a", END]
    assert Command(goto=Send("a", 1)).targets() == [Send("a", 1)]
    assert Command().targets() == []


def test_a_key_that_is_no_text_is_refused_and_named():
    with pytest.raises(TypeError, match="the input has the key 1"):
        pairs({1: "x"}, "the input")


def test_an_interrupt_can_be_put_in_a_set_although_its_payload_cannot():
    assert len({question({"a": [1]}), question({"a": [1]})}) == 1


def test_an_interrupt_reads_as_a_mapping():
    asked = question({"a": 1}, assignee="ada")
    assert dict(asked)["value"] == {"a": 1}
    assert asked["assignee"] == asked.assignee == "ada"
    assert len(asked) == 11
    assert "nonsense" not in asked


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (timedelta(minutes=1), 60.0),
        (b"\xff", "/w=="),
        ((1, 2), [1, 2]),
        (float("inf"), "inf"),
        (np.array([[1.5, float("nan")]]), [[1.5, "nan"]]),
        (np.bool_(True), True),
        (np.longdouble(1.5), "1.5"),
        (pd.DataFrame({"a": [np.int64(1)]}), {"a": {"0": 1}}),
        (pd.Series([1, 2]), [1, 2]),
        (object, "<class 'object'>"),
    ],
    ids=lambda v: type(v).__name__,
)
def test_to_dict_holds_json_types_only(value, shown):
    as_json = json.dumps(question({"v": value}).to_dict(), allow_nan=False)
    assert json.loads(as_json)["value"] == {"v": shown}


def test_a_result_keeps_the_marker_apart_from_the_state():
    paused = GraphResult({"a": 1}, [question()], ["ask"])
    assert paused == {"a": 1, "__interrupt__": [question()]}
    assert paused.state == {"a": 1}
    assert paused.is_interrupted
    assert paused.interrupts == (question(),)
    assert paused.next == ("ask",)
    assert GraphResult({"a": 1}) == {"a": 1}
    assert not GraphResult({"a": 1}).is_interrupted


def test_what_a_user_holds_survives_pickling():
    for thing in (question({"a": 1}), Command(update={"a": 1}, goto="b"), Send("a", 1)):
        assert pickle.loads(pickle.dumps(thing)) == thing
    assert pickle.loads(pickle.dumps(Command())).resume is UNSET
    paused = pickle.loads(pickle.dumps(GraphResult({"a": 1}, [question()], ["ask"])))
    assert (paused.next, paused.state) == (("ask",), {"a": 1})
