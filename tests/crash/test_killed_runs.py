"""A killed process loses nothing: what was stored is there, what was decided is not asked again, what had finished does not run again."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from hitl_nb import DiskCacheSaver
from hitl_nb.checkpoint.records import Checkpoint

pytestmark = pytest.mark.crash
PROGRAM = Path(__file__).parent / "thirty_steps.py"
SEEDS = range(20)


def run(folder: Path, kill_at: int = 0) -> subprocess.CompletedProcess[str]:
    folder.mkdir(parents=True, exist_ok=True)
    return subprocess.run([sys.executable, PROGRAM, folder, str(kill_at)], capture_output=True, text=True, timeout=120, check=False)


def executions(folder: Path) -> Counter[str]:
    counts = folder / "counts"
    return Counter(counts.read_text().split() if counts.exists() else [])


def finished_nodes(saver: DiskCacheSaver) -> set[str]:
    """The nodes whose results the store holds: in a checkpoint, or as an event of the superstep under way."""
    head = saver.head("run")
    if head is None:
        return set()
    chain: list[Checkpoint] = list(saver.history("run"))
    under_way = {t.id: t.node for t in chain[0].tasks}
    return {n for c in chain for n in c.wrote} | {under_way[i] for i in saver.ledger("run", head).finished}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Counter[str], int]:
    folder = tmp_path_factory.mktemp("undisturbed")
    done = run(folder)
    assert done.returncode == 0, done.stderr
    written, state = done.stdout.splitlines()
    return state, executions(folder), int(written)


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_at_three_random_writes_the_run_ends_as_if_undisturbed(seed: int, tmp_path: Path, undisturbed: tuple[str, Counter[str], int]) -> None:
    state, expected, written = undisturbed
    rng, folder = random.Random(seed), tmp_path / "run"
    settled: Counter[str] = Counter()
    for _ in range(3):
        killed = run(folder, rng.randint(1, written // 2))
        if killed.returncode == 0:
            break
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        counts = executions(folder)
        saver = DiskCacheSaver(folder / "store")
        settled |= Counter({node: counts[node] for node in finished_nodes(saver)})
        acknowledged = (folder / "acknowledged").read_text().split() if (folder / "acknowledged").exists() else []
        made = [d.interrupt_id for d in saver.decisions("run")]
        assert set(acknowledged) <= set(made), "an acknowledged answer was lost"
        saver.close()
    done = run(folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == state
    final, saver = executions(folder), DiskCacheSaver(folder / "store")
    assert final.keys() == expected.keys()
    assert {n: final[n] for n in settled} == dict(settled), "a finished node ran again"
    made = [d.interrupt_id for d in saver.decisions("run")]
    assert len(made) == len(set(made)) == 8, "each question is answered exactly once"
    assert saver.open_questions() == []


def test_killed_again_and_again_only_the_node_under_way_runs_again(tmp_path: Path, undisturbed: tuple[str, Counter[str], int]) -> None:
    state, expected, _ = undisturbed
    folder = tmp_path / "run"
    for kill_at in (40, 1, 7, 1, 1, 20):
        assert run(folder, kill_at).returncode == -signal.SIGKILL
    done = run(folder)
    assert done.stdout.splitlines()[-1] == state
    extra = executions(folder) - expected
    assert sum(extra.values()) <= 6, f"more than one node under way a kill ran again: {extra}"
