"""A batch that is stopped: by SIGKILL, twice, and by Ctrl-C. No kernel outlives it, nothing that happened happens again, and it ends all the same."""

import json
import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from nights import Night, alive, kill

from hitl_nb.checkpoint.verifying import verify
from hitl_nb.decisions.record import open_store

pytestmark = [pytest.mark.notebook, pytest.mark.crash]
ANSWERS = "answers:\n- {when: {amount: 5}, answer: approve, by: ann}\n"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see whose processes are left")
def test_a_batch_that_is_killed_twice_and_interrupted_once_ends_every_case_once(tmp_path):
    holds = [tmp_path / "hold-1", tmp_path / "hold-2"]
    for hold in holds:
        hold.touch()
    first, second = holds  # four cases hold, two by two, so that the batch is stopped half-way, and never in the middle of an effect
    rows = [
        ("a", 5, ""),
        ("h1", 5, first),
        ("h2", 5, first),
        ("open", 70, ""),
        ("h3", 5, second),
        ("h4", 5, second),
    ]
    night = Night(tmp_path, rows, ANSWERS)

    batch = night.start()
    kernels = night.held(batch, "h1", "h2")
    kill(batch)
    assert not any(map(alive, kernels))
    first.unlink()

    batch = night.start()
    kernels = night.held(batch, "h3", "h4")
    kill(batch)
    assert not any(map(alive, kernels))

    batch = night.start()
    kernels = night.held(batch, "h3", "h4")
    os.killpg(batch.pid, signal.SIGINT)
    out, err = batch.communicate(timeout=60)
    assert batch.returncode == 130, err
    assert json.loads(out)["error"]["exit_code"] == 130
    assert "Stopped. What is done is in night, and nothing is lost" in err
    assert "Traceback" not in err
    assert not any(map(alive, kernels))
    stopped = json.loads((night.out / "summary.json").read_text())
    assert stopped["counts"] == {"done": 3, "needs human": 1, "interrupted": 2}
    second.unlink()

    night.answers.write_text(ANSWERS + "- {thread: open, answer: reject}\n", encoding="utf-8")
    code, told, err = night.run()
    assert code == 0, err
    assert told["counts"] == {"done": 6}
    assert [case["thread_id"] for case in told["cases"] if case["ran"]] == ["open", "h3", "h4"]

    expected = [f"{name} {node}" for name in ("a", "h1", "h2", "h3", "h4") for node in ("reserve", "pay")]
    assert night.happened() == Counter([*expected, "open reserve", "open release"]), "no effect is missing, and none happened twice"
    found = verify(open_store(night.store))
    assert found.ok, found.problems
    assert found.count == 6
