"""Several processes decide in one store, and are killed at any moment: the decision log is one whole chain, and every decision is in it."""

import random
import signal
import subprocess
import sys

import pytest

from hitl_nb.checkpoint.audit import log_entries
from hitl_nb.checkpoint.disk import DiskCacheSaver
from hitl_nb.checkpoint.verifying import verify

pytestmark = [pytest.mark.crash, pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")]

DECIDER = """
import sys
from hitl_nb import Command, DiskCacheSaver, StateGraph, interrupt

graph = StateGraph().add_node("ask", lambda state: {"go": interrupt("Go?")}).set_entry_point("ask").compile(DiskCacheSaver(sys.argv[1]))
n = 0
while True:
    config = {"configurable": {"thread_id": f"{sys.argv[2]}-{n}", "reviewer": sys.argv[2]}}
    graph.invoke({"n": n}, config)
    graph.invoke(Command(resume=True), config)
    graph.reopen(config, graph.checkpointer.decisions(f"{sys.argv[2]}-{n}")[0].interrupt_id)
    n += 1
    print(n, flush=True)
"""


def test_killed_deciders_leave_one_whole_chain(tmp_path):
    chance, store = random.Random(3), tmp_path / "store"
    told = {}
    for round_ in range(3):
        deciders = {
            name: subprocess.Popen([sys.executable, "-c", DECIDER, str(store), name], stdout=subprocess.PIPE, text=True)
            for name in (f"{who}{round_}" for who in ("ann", "bo"))
        }
        for name, process in deciders.items():
            for _ in range(chance.randrange(1, 8)):
                told[name] = int(process.stdout.readline())
        for name, process in deciders.items():
            process.kill()
            told[name] = max([told[name], *(int(line) for line in process.communicate()[0].splitlines() if line)])

        saver = DiskCacheSaver(store)
        found = verify(saver)
        assert found.problems == ()
        entries = list(log_entries(saver))
        assert [e.number for e in entries] == list(range(found.count))
        for name, count in told.items():
            mine = [(e.kind, e.thread_id) for e in entries if e.thread_id.startswith(f"{name}-")]
            assert mine[: 3 * count] == [(kind, f"{name}-{n}") for n in range(count) for kind in ("decision", "went back", "withdrawn")]
            assert len(mine) <= 3 * count + 3
            assert {e.by for e in entries if e.kind == "decision" and e.thread_id.startswith(f"{name}-")} == {name}
        saver.close()
