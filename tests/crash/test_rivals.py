"""Two processes, one question: exactly one answer counts, and its node runs once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.rival import build

pytestmark = pytest.mark.crash
PROGRAM = Path(__file__).parent / "rival.py"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(PROGRAM.parents[2])}
ROUNDS = 50


def listen(rival: subprocess.Popen[str]) -> str:
    line = rival.stdout.readline().strip()
    assert line, f"a rival died: {rival.communicate()[1]}"
    return line


def test_of_two_processes_that_answer_at_once_exactly_one_wins_and_the_other_learns_who_and_when(tmp_path: Path) -> None:
    graph = build(tmp_path)
    for n in range(ROUNDS):
        graph.invoke({"amount": n, "by": ""}, {"configurable": {"thread_id": f"round-{n}"}})
    rivals = {
        name: subprocess.Popen(
            [sys.executable, PROGRAM, tmp_path, name, str(ROUNDS)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
        )
        for name in ("ada", "bob")
    }
    said: dict[str, list[str]] = {name: [] for name in rivals}
    for n in range(ROUNDS):
        for rival in rivals.values():
            assert listen(rival) == "ready"
        (tmp_path / f"go-{n}").touch()
        for name, rival in rivals.items():
            said[name].append(listen(rival))
    for rival in rivals.values():
        assert rival.wait(timeout=30) == 0

    decided = {n: graph.checkpointer.decisions(f"round-{n}") for n in range(ROUNDS)}
    effects = dict(line.split() for line in (tmp_path / "effects").read_text().splitlines())
    assert len((tmp_path / "effects").read_text().splitlines()) == ROUNDS, "a side effect was lost or repeated"
    for n in range(ROUNDS):
        (decision,) = decided[n]
        loser = "bob" if decision.reviewer == "ada" else "ada"
        assert said[decision.reviewer][n] == "won"
        assert said[loser][n] == f"lost {decision.reviewer} {decision.decided_at.isoformat()}"
        assert decision.answer == effects[str(n)] == decision.reviewer
        assert graph.get_state({"configurable": {"thread_id": f"round-{n}"}}).values["by"] == decision.reviewer
    assert {d.reviewer for ds in decided.values() for d in ds} == {"ada", "bob"}, "no race took place: one process won every round"
