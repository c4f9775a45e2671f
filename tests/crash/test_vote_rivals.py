"""Three processes vote on one question that two have to answer alike: it is decided once, by two of them, and its node runs once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hitl_nb.checkpoint.verifying import verify
from tests.crash.test_rivals import ENVIRONMENT, listen
from tests.crash.voter import QUORUM, build

pytestmark = pytest.mark.crash
PROGRAM = Path(__file__).parent / "voter.py"
ROUNDS = 25


def test_of_three_processes_that_vote_at_once_two_decide_and_nobody_votes_twice(tmp_path: Path) -> None:
    graph = build(tmp_path)
    saver = graph.checkpointer
    for n in range(ROUNDS):
        graph.invoke({"amount": n, "said": ""}, {"configurable": {"thread_id": f"round-{n}"}})
    voters = {
        name: subprocess.Popen(
            [sys.executable, PROGRAM, tmp_path, name, str(ROUNDS)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
        )
        for name in ("ada", "bob", "cy")
    }
    for n in range(ROUNDS):
        for voter in voters.values():
            assert listen(voter) == "ready"
        (tmp_path / f"go-{n}").touch()
        for voter in voters.values():
            assert listen(voter).partition(" ")[0] in ("voted", "lost")
    for voter in voters.values():
        assert voter.wait(timeout=30) == 0

    effects = (tmp_path / "effects").read_text().splitlines()
    assert sorted(effects) == sorted(f"{n} yes" for n in range(ROUNDS)), "a side effect was lost or repeated"
    last = set()
    for n in range(ROUNDS):
        (decision,) = saver.decisions(f"round-{n}")
        votes = saver.votes(decision.interrupt_id)
        assert len({v.reviewer for v in votes}) == QUORUM
        assert [v.count for v in votes] == [1] * (len(votes) - 1) + [QUORUM]
        assert votes[-1].reviewer == decision.reviewer
        last.add(decision.reviewer)
    assert len(last) > 1, "no race took place: one process decided every round"
    assert verify(saver).problems == ()
