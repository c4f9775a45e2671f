"""Runs a program of this folder in a process of its own, and says what it found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def found_by(program: str, *arguments: object, timeout_s: float = 240) -> dict[str, Any]:
    """The JSON object that `python -m tests.crash.<program>` prints. What is wrong fails the test, with the seed to give again."""
    command = [sys.executable, "-m", f"tests.crash.{program}", *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout_s, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    found: dict[str, Any] = json.loads(done.stdout)
    return found
