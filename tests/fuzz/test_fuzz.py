"""Any value, any bytes, any answers file, any schema with any answer: tried in a process of its own, which must not end before its time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

KINDS = ("round_trips", "any_bytes", "answers_files", "forms")
PIECE = 10_000
ROOT = Path(__file__).parents[2]


def tried(place, *wanted):
    """What came of the cases. A failure says which case it was, and how to try it again."""
    environment = {k: v for k, v in os.environ.items() if k != "RUST_BACKTRACE"} | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.fuzz.trial", str(place / "case"), *wanted]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    if done.returncode:
        case = (place / "case").read_bytes()
        pytest.fail(f"it ended with {done.returncode} in the case {case!r:.2000}\n{done.stderr[-6000:]}\n{(place / 'hung.txt').read_text()[-3000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_some_cases_of_each_kind_end_as_they_should(tmp_path):
    found = tried(tmp_path, "round_trips:0:600", "any_bytes:0:2000", "answers_files:0:300", "forms:0:200")
    assert [(each["kind"], each["cases"]) for each in found] == [("round_trips", 600), ("any_bytes", 2000), ("answers_files", 300), ("forms", 200)]
    came = {each["kind"]: each["came"] for each in found}
    assert came["any_bytes"].keys() >= {"a value", "CorruptStoreError", "UnknownTypeError"}
    assert came["answers_files"].keys() == {"a script that answers", "a script", "refused"}
    assert came["forms"].keys() == {"took", "refused", "no schema"}


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", KINDS)
def test_a_hundred_thousand_cases_of_each_kind_end_as_they_should(tmp_path, kind, record_property):
    total = {}
    for first in range(0, 100_000, PIECE):
        (found,) = tried(tmp_path, f"{kind}:{first}:{PIECE}")
        assert found["cases"] == PIECE
        for what, count in found["came"].items():
            total[what] = total.get(what, 0) + count
    record_property("came", json.dumps(total))
    print(kind, total)
