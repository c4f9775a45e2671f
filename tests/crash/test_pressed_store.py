"""Ctrl-C at each place of a call of a store that no graph made: others can write at once, the store is whole, and the call was done or not."""

from __future__ import annotations

import json

import pytest

from tests.crash.pressed_store import CALLS
from tests.crash.test_pressed import python

pytestmark = pytest.mark.crash
EVERY = {("commit_all",): 4, ("record", "keep", "copy_thread"): 97}
"""Of how many places one is tried at small size. The first call is short, and one of those four is where it mattered."""

LONG = ("open", "verify", "check", "backup", "vacuum", "repair")
"""Calls of thousands of places."""


def pressed(calls, how, step, journal, folder):
    told = [json.loads(line) for line in python("-m", "tests.crash.pressed_store", ",".join(calls), how, step, journal, folder, cwd=folder)]
    assert [one for one in told if "left" in one] == []
    assert [one["call"] for one in told] == list(calls)
    return told


def test_a_ctrl_c_in_a_call_of_a_store_leaves_nothing_held_or_half_done(tmp_path):
    for calls, step in EVERY.items():
        (tmp_path / calls[0]).mkdir()
        pressed(calls, "each", step, "wal", tmp_path / calls[0])


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("journal", ["wal", "delete"])
@pytest.mark.parametrize("call", CALLS)
def test_a_ctrl_c_at_each_place_of_a_call_of_a_store_leaves_nothing_held_or_half_done(call, journal, tmp_path):
    pressed([call], "each", 17 if call in LONG else 1, journal, tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("journal", ["wal", "delete"])
@pytest.mark.parametrize("call", CALLS)
def test_a_ctrl_c_right_after_what_a_call_of_a_store_calls_leaves_nothing_held_or_half_done(call, journal, tmp_path):
    pressed([call], "after", 41 if call in LONG else 5, journal, tmp_path)
