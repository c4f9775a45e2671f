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

pytestmark = [pytest.mark.crash, pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="measures processes as Linux tells of them")]
SEED = os.environ.get("HITL_NB_SEED", "0")


def soak(folder, minutes, report):
    command = [sys.executable, "-m", "tests.crash.soak", folder, "--minutes", str(minutes), "--seed", SEED, "--report", report]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-8000:]
    return json.loads(report.with_suffix(".json").read_text())


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
