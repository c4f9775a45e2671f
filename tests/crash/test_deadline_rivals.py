"""A deadline passes while somebody answers, in another process: one of the two counts, once, and the node runs once with it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from hitl_nb import DiskCacheSaver
from hitl_nb.checkpoint.serde import unpack
from tests.crash.deadline_rival import BEGIN, HOUR, build
from tests.crash.test_rivals import ENVIRONMENT, listen

pytestmark = [pytest.mark.crash, pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")]
PROGRAM = Path(__file__).parent / "deadline_rival.py"
ROUNDS = 40


def thread(n: int) -> dict[str, dict[str, str]]:
    return {"configurable": {"thread_id": f"round-{n}"}}


def race(folder: Path, tasks: Mapping[str, str], *, amount: int = 0) -> dict[str, list[str]]:
    """What each of the processes said, round by round."""
    graph = build(folder, BEGIN)
    for n in range(ROUNDS):
        graph.invoke({"amount": amount + n, "by": ""}, thread(n))
    rivals = {
        name: subprocess.Popen(
            [sys.executable, PROGRAM, folder, task, name, str(ROUNDS)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
        )
        for name, task in tasks.items()
    }  # fmt: skip
    said: dict[str, list[str]] = {name: [] for name in rivals}
    for n in range(ROUNDS):
        for rival in rivals.values():
            assert listen(rival) == "ready"
        (folder / f"go-{n}").touch()
        for name, rival in rivals.items():
            said[name].append(listen(rival))
    for rival in rivals.values():
        assert rival.wait(timeout=30) == 0
    return said


def test_of_an_answer_in_time_and_the_default_exactly_one_counts(tmp_path: Path) -> None:
    said = race(tmp_path, {"ada": "answer", "clock": "expire"})
    graph = build(tmp_path, BEGIN + 2 * HOUR)
    how = set()
    for n in range(ROUNDS):
        graph.advance(thread(n))
        (decision,) = graph.checkpointer.decisions(f"round-{n}")
        how.add(decision.how)
        by_deadline = decision.how == "expire"
        assert (decision.answer, decision.reviewer) == (("default", "the deadline") if by_deadline else ("ada", "ada"))
        assert (said["ada"][n], said["clock"][n]) == (("lost the deadline", "won") if by_deadline else ("won", "lost"))
        assert graph.get_state(thread(n)).values["by"] == decision.answer
    effects = sorted((tmp_path / "effects").read_text().splitlines())
    assert effects == sorted(f"{n} {graph.checkpointer.decisions(f'round-{n}')[0].answer}" for n in range(ROUNDS))
    assert how == {"invoke", "expire"}, "no race took place: one process won every round"
    assert graph.checkpointer.open_questions() == []


def test_of_two_processes_that_expire_exactly_one_records_the_default(tmp_path: Path) -> None:
    said = race(tmp_path, {"one": "expire", "two": "expire"})
    saver = DiskCacheSaver(tmp_path / "store")
    for n in range(ROUNDS):
        assert sorted([said["one"][n], said["two"][n]]) == ["lost", "won"]
        assert [d.how for d in saver.decisions(f"round-{n}")] == ["expire"]


def test_of_two_processes_that_expire_exactly_one_hands_the_question_on(tmp_path: Path) -> None:
    said = race(tmp_path, {"one": "expire", "two": "expire"}, amount=1000)
    saver = DiskCacheSaver(tmp_path / "store")
    for n in range(ROUNDS):
        assert sorted([said["one"][n], said["two"][n]]) == ["lost", "won"]
        assert saver.decisions(f"round-{n}") == []
    assert {(q.assignee, q.escalated_from, q.deadline) for q in saver.open_questions()} == {("bob", "ada", BEGIN + 3 * HOUR)}


@pytest.mark.parametrize("amount", [0, 1000], ids=["default", "escalation"])
def test_killed_at_any_write_the_deadline_is_dealt_with_once(tmp_path: Path, amount: int) -> None:
    for kill_at in range(1, 20):
        folder = tmp_path / str(kill_at)
        build(folder, BEGIN).invoke({"amount": amount, "by": ""}, thread(0))
        (folder / "go-0").touch()
        died = subprocess.run(
            [sys.executable, PROGRAM, folder, "expire", "clock", "1", str(kill_at)], capture_output=True, text=True, env=ENVIRONMENT, check=False
        )
        graph = build(folder, BEGIN + 2 * HOUR)
        saver = graph.checkpointer
        killed = died.returncode == -signal.SIGKILL
        assert killed or died.returncode == 0, died.stderr
        if killed:
            assert len(saver.open_questions()) == 1, "half of it was written"
            assert saver.open_questions()[0].assignee == ("ada" if amount else None)
            assert saver.decisions("round-0") == []
            assert [e.outcome for e in graph.expire()] == ["escalated" if amount else "default"]
        assert graph.expire() == []
        if amount:
            assert [q.assignee for q in saver.open_questions()] == ["bob"]
        else:
            assert [d.how for d in saver.decisions("round-0")] == ["expire"]
            assert unpack(saver._read("d!head"))[0] == 1
            assert graph.advance(thread(0))["by"] == "default"
        saver.close()
        if not killed:
            assert kill_at > 2, "nothing was killed"
            return
    pytest.fail("it was killed every time")
