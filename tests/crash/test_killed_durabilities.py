"""A process that is killed while the store is behind loses the supersteps since the last write, and no more: the thread ends as if undisturbed."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from hitl_nb import DiskCacheSaver

pytestmark = pytest.mark.crash
PROGRAM = Path(__file__).parent / "thirty_steps.py"


def run(folder: Path, durability: str, kill_at: int = 0) -> subprocess.CompletedProcess[str]:
    folder.mkdir(parents=True, exist_ok=True)
    return subprocess.run([sys.executable, PROGRAM, folder, str(kill_at), durability], capture_output=True, text=True, timeout=120, check=False)


def lines(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []


def stored_nodes(saver: DiskCacheSaver) -> set[str]:
    """The nodes whose results the store holds, in a checkpoint."""
    return set() if saver.head("run") is None else {n for c in saver.history("run") for n in c.wrote}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Counter[str], int]:
    folder = tmp_path_factory.mktemp("undisturbed")
    done = run(folder, "sync")
    assert done.returncode == 0, done.stderr
    written, state = done.stdout.splitlines()
    return state, Counter(lines(folder / "counts")), int(written)


@pytest.mark.parametrize("durability", ["async", "exit"])
@pytest.mark.parametrize("seed", range(4))
def test_killed_while_the_store_is_behind_the_run_ends_as_if_undisturbed(
    durability: str, seed: int, tmp_path: Path, undisturbed: tuple[str, Counter[str], int]
) -> None:
    state, expected, written = undisturbed
    rng, folder = random.Random(seed), tmp_path / "run"
    ran_when_stored: dict[str, int] = {}
    for kill_at in (-rng.randint(2, 12), rng.randint(1, written // 2), -rng.randint(2, 12)):
        killed = run(folder, durability, kill_at)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        counts, saver = Counter(lines(folder / "counts")), DiskCacheSaver(folder / "store")
        for node in stored_nodes(saver):
            assert ran_when_stored.setdefault(node, counts[node]) == counts[node], f"{node} was stored and ran again"
        history = list(saver.history("run"))
        assert [c.seq for c in history] == list(range(len(history) - 1, -1, -1))
        assert set(lines(folder / "acknowledged")) <= {d.interrupt_id for d in saver.decisions("run")}, "an acknowledged answer was lost"
        saver.close()
    done = run(folder, durability)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == state
    final, saver = Counter(lines(folder / "counts")), DiskCacheSaver(folder / "store")
    assert final.keys() == expected.keys()
    assert {node: final[node] for node in ran_when_stored} == ran_when_stored, "a node that was stored ran again"
    made = [d.interrupt_id for d in saver.decisions("run")]
    assert len(made) == len(set(made)) == 8, "each question is answered exactly once"
    assert saver.open_questions() == []


def test_killed_between_two_pauses_an_exit_run_goes_back_to_the_last_one(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert run(folder, "exit", -4).returncode == -signal.SIGKILL
    saver = DiskCacheSaver(folder / "store")
    assert saver.head("run").seq == 0, "supersteps were stored before the run paused"
    saver.close()
    assert run(folder, "exit", -6).returncode == -signal.SIGKILL  # s0 to s4, of which s4 asks, and the one after
    saver = DiskCacheSaver(folder / "store")
    assert stored_nodes(saver) == {"s0", "s1", "s2", "s3"}
    assert len(saver.decisions("run")) == 1
    assert saver.open_questions() == []
    assert Counter(lines(folder / "counts")) == {"s0": 2, "s1": 2, "s2": 2, "s3": 2, "s4": 1, "s5": 1}
