"""A process is killed right before each single write of a superstep, a vote and the answer that it makes, and around each commit of them."""

import os
import signal
from contextlib import contextmanager
from itertools import count

import pytest

from hitl_nb import Command, DiskCacheSaver
from hitl_nb.checkpoint.upkeep.checking import check
from hitl_nb.checkpoint.verifying import verify
from tests.crash.kinds import Notes
from tests.crash.thirty_steps import KilledSaver
from tests.crash.voter import build

pytestmark = [
    pytest.mark.crash,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL") or not hasattr(os, "fork"), reason="kills what it forks off"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]
CONFIG = {"configurable": {"thread_id": "t"}}


class KilledAround(KilledSaver):
    """Its commits count as writes, before and after."""

    @contextmanager
    def _transaction(self, **how):
        with super()._transaction(**how):
            yield
            self._die_in_time()
        self._die_in_time()


def live(folder, kill_at):
    """Ask, let two vote, pay; whoever was killed is gone on with."""
    saver, told = KilledAround(folder / "store"), Notes(folder / "told")
    saver.kill_at = kill_at
    graph = build(folder, saver)
    asked = graph.advance(CONFIG, begin={"amount": 5, "said": ""}).interrupts
    for name in ("ada", "bob"):
        if asked and name not in {v.reviewer for v in saver.votes(asked[0].id)}:
            graph.invoke(Command(resume={asked[0].id: "yes"}), {"configurable": {"thread_id": "t", "reviewer": name}})
            told(name)


def in_process(folder, kill_at=0):
    """Live in a process of its own; its exit code, or the signal that ended it, negative."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            live(folder, kill_at)
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def look(folder, *, at_the_end):
    saver = DiskCacheSaver(folder / "store")
    voted = {v.reviewer: v.interrupt_id for e in saver.open_questions() for v in saver.votes(e.interrupt_id)}
    decisions = saver.decisions("t")
    voted |= {v.reviewer: v.interrupt_id for d in decisions for v in saver.votes(d.interrupt_id)}
    assert set(Notes(folder / "told").lines()) <= voted.keys(), "a vote that was told as taken is gone"
    assert len(saver.open_questions()) + len(decisions) <= 1
    assert (len(decisions) == 1) is (len(voted) == 2), "half of an answer was written"
    assert verify(saver).problems == ()
    if at_the_end:
        assert len(decisions) == 1
        assert build(folder, saver).get_state(CONFIG).values["said"] == "yes"
    saver.close()
    health = check(folder / "store")
    assert (health.damages, health.notes) == ([], [])


def test_killed_around_each_write_nothing_is_half_written_and_the_vote_is_counted_once(tmp_path):
    for kill_at in count(1):
        folder = tmp_path / str(kill_at)
        folder.mkdir()
        if in_process(folder, kill_at) == 0:
            break
        look(folder, at_the_end=False)
        assert in_process(folder) == 0
        look(folder, at_the_end=True)
        assert set(Notes(folder / "effects").lines()) == {"5 yes"}
    assert kill_at > 20
