"""A batch that is stopped: by SIGKILL, twice, and by Ctrl-C. No kernel outlives it, nothing that happened happens again, and it ends all the same."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from refunds import refunds

from hitl_nb.checkpoint.verifying import verify
from hitl_nb.decisions.record import open_store

pytestmark = [pytest.mark.notebook, pytest.mark.crash]
PATIENCE_S = 60


class Night:
    """A batch of eight cases in a folder of its own, two at a time. Four of them hold, two by two, so that it can be stopped half-way."""

    def __init__(self, folder):
        self.folder = folder
        self.effects = folder / "effects.log"
        self.holds = [folder / "hold-1", folder / "hold-2"]
        refunds(folder / "refunds.ipynb")
        (folder / "answers.yaml").write_text(
            "answers:\n- {thread: large-*, answer: reject, by: bo}\n- {when: {amount: 5}, answer: approve, by: ann}\n", encoding="utf-8"
        )
        rows = [("a", 5, ""), ("b", 5, ""), ("h1", 5, 0), ("h2", 5, 0), ("large-1", 900, ""), ("open", 70, ""), ("h3", 5, 1), ("h4", 5, 1)]
        lines = [f"{name},{amount},{self.effects},{self.holds[hold] if hold != '' else ''}" for name, amount, hold in rows]
        (folder / "cases.csv").write_text("\n".join(["thread_id,amount,effects,hold", *lines]), encoding="utf-8")
        for hold in self.holds:
            hold.touch()

    def start(self):
        # a group of its own, as a shell gives it to a command, so that Ctrl-C reaches the processes of the batch, too
        return subprocess.Popen(
            [sys.executable, "-m", "hitl_nb.cli", "batch", "refunds.ipynb", "--cases", "cases.csv", "--answers", "answers.yaml", "--out", "out",
             "--workers", "2", "--json"],
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def run(self):
        batch = self.start()
        out, err = batch.communicate(timeout=PATIENCE_S)
        return batch.returncode, json.loads(out), err

    def held(self, batch, *names):
        """The kernels that hold in these cases, once they do."""
        files = [self.folder / f"{name}.held" for name in names]
        until(lambda: batch.poll() is not None or all(f.is_file() and f.read_text() for f in files))
        assert batch.poll() is None, batch.communicate()[1]
        kernels = [int(f.read_text()) for f in files]
        for file in files:
            file.unlink()
        return kernels

    def happened(self):
        return Counter(self.effects.read_text().splitlines())


def until(true):
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children(pid):
    return [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and f"PPid:\t{pid}\n" in status(p)]


def status(process):
    try:
        return (process / "status").read_text()
    except OSError:
        return ""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to see whose processes are left")
def test_a_batch_that_is_killed_twice_and_interrupted_once_ends_every_case_once(tmp_path):
    night = Night(tmp_path)

    batch = night.start()
    kernels = night.held(batch, "h1", "h2")
    workers = children(batch.pid)
    batch.kill()
    batch.communicate()
    until(lambda: not any(map(alive, [*kernels, *workers])))
    night.holds[0].unlink()

    batch = night.start()
    kernels = night.held(batch, "h3", "h4")
    workers = children(batch.pid)
    batch.kill()
    batch.communicate()
    until(lambda: not any(map(alive, [*kernels, *workers])))

    batch = night.start()
    kernels = night.held(batch, "h3", "h4")
    os.killpg(batch.pid, signal.SIGINT)
    _, err = batch.communicate(timeout=PATIENCE_S)
    assert batch.returncode == 130, err
    assert "Stopped. What is done is in out, and nothing is lost" in err
    assert "Traceback" not in err
    assert not any(map(alive, kernels))
    stopped = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert stopped["counts"] == {"done": 5, "needs human": 1, "interrupted": 2}
    night.holds[1].unlink()

    code, told, err = night.run()
    assert code == 75, err
    assert told["counts"] == {"done": 7, "needs human": 1}
    assert [case["thread_id"] for case in told["cases"] if case["ran"]] == ["h3", "h4"]

    (tmp_path / "answers.yaml").open("a").write("- {thread: open, answer: reject}\n")
    code, told, err = night.run()
    assert code == 0, err
    assert told["counts"] == {"done": 8}
    assert [case["thread_id"] for case in told["cases"] if case["ran"]] == ["open"]

    paid = ("a", "b", "h1", "h2", "h3", "h4")
    expected = [f"{name} reserve" for name in (*paid, "large-1", "open")] + [f"{name} pay" for name in paid] + ["large-1 release", "open release"]
    assert night.happened() == Counter(expected), "no effect is missing, and none happened twice"
    found = verify(open_store(tmp_path / "out" / "reviews"))
    assert found.ok, found.problems
    assert found.count == 8
