"""Eight processes on one store: nothing is lost, nothing happens twice, and nobody sees another error than that somebody was faster.

The full size: `pytest -m soak tests/crash/test_crowd.py`, from a seed on with HITL_NB_SEED.
"""

import os

import pytest

from tests.crash.programs import found_by

pytestmark = [pytest.mark.crash, pytest.mark.skipif(not hasattr(os, "fork"), reason="forks its processes")]
SEED = int(os.environ.get("HITL_NB_SEED", "0"))


def race(folder, task, size):
    return found_by("crowd", folder, task, "--size", size, "--seed", SEED, timeout_s=1700)


@pytest.mark.parametrize("size", [20, pytest.param(1000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])])
def test_eight_processes_commit_at_once_and_no_commit_and_no_update_is_lost(tmp_path, size):
    found = race(tmp_path, "commits", size)
    assert found["commit"] + found["update"] >= 8 * size


@pytest.mark.parametrize("size", [40, pytest.param(500, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])])
def test_eight_processes_answer_the_same_questions_and_each_is_answered_exactly_once(tmp_path, size):
    found = race(tmp_path, "answers", size)
    assert found["won"] == size
    assert found["lost"] == 7 * size


@pytest.mark.parametrize("size", [20, pytest.param(300, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])])
def test_eight_processes_answer_expire_reopen_and_list_at_once(tmp_path, size):
    found = race(tmp_path, "mixed", size)
    assert found.get("answer", 0) + found.get("expired", 0) > 0
    assert found["read"] == 2 * size


@pytest.mark.parametrize("size", [10, pytest.param(200, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])])
def test_eight_processes_run_the_same_threads_and_each_superstep_runs_once(tmp_path, size):
    assert race(tmp_path, "runs", size)["ran"] == 8 * size
