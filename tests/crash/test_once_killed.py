"""`once` in a process that is killed: what it returned is kept, whatever happens then; what it had not stored yet is done again, and only that."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.crash, pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")]
PROGRAM = Path(__file__).parent / "once_killed.py"


@pytest.fixture(params=["sync", "async"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "async":
        (tmp_path / "async").touch()
    return tmp_path


def run(folder: Path, point: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, PROGRAM, folder, point], capture_output=True, text=True, timeout=60, check=False)


def lines(folder: Path, name: str) -> int:
    file = folder / name
    return len(file.read_text().splitlines()) if file.exists() else 0


def test_killed_again_and_again_after_once_returned_its_function_ran_once(folder: Path) -> None:
    for _ in range(4):
        assert run(folder, "returned").returncode == -signal.SIGKILL
    done = run(folder, "never")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['receipt-1', True]"
    assert lines(folder, "effects") == 1
    assert lines(folder, "runs") == 6


@pytest.mark.parametrize(("point", "effects"), [("before", 1), ("after", 3), ("written", 3)])
def test_killed_before_the_value_was_stored_the_function_runs_again(folder: Path, point: str, effects: int) -> None:
    """The gap that no store can close: between an effect outside and its record. The docstring says so, and what to do."""
    for _ in range(2):
        assert run(folder, point).returncode == -signal.SIGKILL
    done = run(folder, "never")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['receipt-1', True]"
    assert lines(folder, "effects") == effects
