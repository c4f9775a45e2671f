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
STEPS = {"each": (1, 17), "after": (5, 41)}
"""Of how many places one is tried at full size, by how it is pressed: of a short call, and of a long one."""


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
@pytest.mark.parametrize("how", STEPS)
@pytest.mark.parametrize("call", CALLS)
def test_a_ctrl_c_at_each_place_of_a_call_of_a_store_leaves_nothing_held_or_half_done(call, how, journal, tmp_path):
    pressed([call], how, STEPS[how][call in LONG], journal, tmp_path)
