"""Mixed work with kills on one store, for a long time: nothing is lost, and nothing grows but what is decided.

The full size, 30 minutes (HITL_NB_SOAK_MINUTES): `pytest -m soak -s tests/crash/test_soak.py`. Its report, as JSON and Markdown, lies where
HITL_NB_SOAK_REPORT says (default: soak-report in the temporary folder of the test), and is printed.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.programs import ROOT
from tests.crash.soak import Soak

pytestmark = [pytest.mark.crash, pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="measures processes as Linux tells of them")]
SEED = os.environ.get("HITL_NB_SEED", "0")


def soak(folder, minutes, report):
    command = [sys.executable, "-m", "tests.crash.soak", folder, "--minutes", str(minutes), "--seed", SEED, "--report", report]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-8000:]
    return json.loads(report.with_suffix(".json").read_text())


def judged(tmp_path, **what):
    """What is said of half an hour in which these moved so; each is called with the number of a sample, one in 5 s."""
    flat = {"wal": 8 << 20, "locks": 120, "value_files": 400, "value_bytes": 1 << 27, "stray": 3, "rss 2": 1 << 27, "rss 3": 1 << 27, "fds 2": 30}
    found = Soak(tmp_path, 30, 0, 4)
    for n in range(1, 361):
        moved = {name: of(n) for name, of in what.items()}
        found.samples.append({"s": 5 * n, "fds 3": 30, "db": 1400 * 50 * n, "acknowledged": 50 * n} | flat | moved)
    return list(found._bounded())


def test_a_handle_that_is_left_open_each_minute_is_told_and_one_moment_with_many_is_not(tmp_path):
    assert judged(tmp_path) == []
    (told,) = judged(tmp_path, **{"fds 3": lambda n: 40 + n % 25 + n // 12})
    assert told.startswith("fds 3 grows")
    assert judged(tmp_path, **{"fds 3": lambda n: 40 + n % 25 + 80 * (n in (250, 251, 300))}) == []


def test_lock_files_that_threads_leave_are_told_although_they_are_removed_now_and_then(tmp_path):
    each_tenth = {"stray": lambda n: 10 * (n % 12), "locks": lambda n: 120 + 10 * (n % 12)}  # of 100 threads in 5 s, until a minute is over
    (told,) = judged(tmp_path, **each_tenth)
    assert told.startswith("lock files are left over: 110")
    assert judged(tmp_path, locks=lambda n: 60 + n % 100) == []


def test_memory_that_grows_by_more_than_a_look_at_the_store_takes_is_told(tmp_path):
    (told,) = judged(tmp_path, **{"rss 3": lambda n: (1 << 27) + n * 160_000})
    assert told.startswith("rss 3 grows")
    assert judged(tmp_path, **{"rss 3": lambda n: (1 << 27) + 17_000 * n}) == []


def test_a_log_that_grows_or_does_not_come_back_is_told_and_one_that_a_long_reader_lets_grow_is_not(tmp_path):
    assert judged(tmp_path, wal=lambda n: (8 << 20) + (300 <= n < 330) * (n - 299) * 10_000_000) == []
    grown, stays = judged(tmp_path, wal=lambda n: n << 18)
    assert grown.startswith("wal grows")
    assert stays.startswith("the write-ahead log does not come back: in part 3 of 6")
    (told,) = judged(tmp_path, wal=lambda n: (8 << 20) + (n > 290) * (20 << 20))
    assert told.startswith("the write-ahead log does not come back: in part 6 of 6")


def test_mixed_work_of_processes_that_are_killed_loses_nothing(tmp_path):
    found = soak(tmp_path / "soak", 0.03, tmp_path / "report")
    assert found["kills"] >= 2
    assert found["acknowledged answers"] > 0


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_thirty_minutes_of_mixed_work_lose_nothing_and_nothing_grows_but_what_is_decided(tmp_path):
    minutes = float(os.environ.get("HITL_NB_SOAK_MINUTES", "30"))
    found = soak(tmp_path / "soak", minutes, Path(os.environ.get("HITL_NB_SOAK_REPORT", tmp_path / "soak-report")))
    assert found["wrong"] == []
    assert found["kills"] >= minutes
