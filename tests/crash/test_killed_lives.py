"""Threads of many kinds are killed at random moments: what was acknowledged is there, and the rest goes on to the undisturbed end.

The full size, 500 kills (HITL_NB_KILLS), from a seed on (HITL_NB_SEED): `pytest -m soak tests/crash/test_killed_lives.py`.
"""

import os
import signal

import pytest

from tests.crash.programs import found_by

pytestmark = [pytest.mark.crash, pytest.mark.skipif(not hasattr(signal, "SIGKILL") or not hasattr(os, "fork"), reason="kills what it forks off")]
SEED = int(os.environ.get("HITL_NB_SEED", "0"))


def test_killed_at_random_moments_nothing_acknowledged_is_lost_and_the_life_ends_as_if_undisturbed(tmp_path):
    found = found_by("killed_lives", tmp_path, "--kills", 12, "--seed", SEED)
    assert found["kills"] >= 12
    assert found["acknowledged"] > 0


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_killed_at_500_random_moments(tmp_path):
    kills = int(os.environ.get("HITL_NB_KILLS", "500"))
    found = found_by("killed_lives", tmp_path, "--kills", kills, "--seed", SEED, timeout_s=3500)
    print(found)
    assert found["kills"] >= kills
    if kills >= 500:
        kinds = {"chain", "side_by_side", "sends", "nested", "deadlines", "arrays", "changes"}
        ways = {"clock", "calls", "store normal", "store full", "run sync", "run async", "run exit", "asyncio", "sync"}
        assert min(found["by"].get(name, 0) for name in kinds | ways) >= 20, "some kinds of life were hardly killed"
