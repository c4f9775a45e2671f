"""A writer is killed in the middle of its commits: what it had reported as written is there, whole, and the store goes on."""

import random
import signal
import subprocess
import sys

import pytest

from hitl_nb.checkpoint.disk import DiskCacheSaver
from hitl_nb.checkpoint.serde import unpack
from hitl_nb.checkpoint.verifying import verify

pytestmark = [pytest.mark.crash, pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")]

WRITER = """
import sys
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import blake2b
from hitl_nb.checkpoint.disk import DiskCacheSaver
from hitl_nb.checkpoint.records import Asked, Checkpoint, Decision, Question, ValueRef

saver, now = DiskCacheSaver(sys.argv[1], durability=sys.argv[2]), datetime(2026, 1, 1, tzinfo=UTC)
head = saver.head("t")

def answer(n):
    return saver.answer("t", [Decision(f"q{n}", "t", "ask", -1, n, "Ann", now, "script")])

for left in saver.open_questions():  # killed between asking and answering
    head = answer(int(left.interrupt_id[1:]))
while True:
    n = head.seq + 1 if head else 0
    big = saver.serde.dumps(bytes([n % 256]) * 200_000, "state")
    refs = {"n": ValueRef(n), "big": ValueRef(n, 0, len(big), blake2b(big, digest_size=16).digest())}
    q = Question(f"q{n}", "t", "ask", "task", 0, "d", "?", now)
    checkpoint = Checkpoint(n, "n", n - 1 if n else None, n - 1, "loop", now, refs, inline={"n": saver.serde.dumps(n, "state")})
    head = saver.commit("t", head, checkpoint=checkpoint, large={0: big}, events=[Asked("task", 0, q.id, "d")], questions=[q])
    head = answer(n)
    print(n, flush=True)
"""


@pytest.mark.parametrize("durability", ["normal", "full"])
def test_what_a_killed_writer_reported_is_there_and_whole(tmp_path, durability):
    chance = random.Random(7)
    saver = DiskCacheSaver(tmp_path / "store")
    reported = -1
    for _ in range(8):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(saver.folder), durability], stdout=subprocess.PIPE, text=True)
        for _ in range(chance.randrange(1, 12)):
            reported = int(writer.stdout.readline())
        writer.kill()
        reported = max([reported, *(int(line) for line in writer.communicate()[0].splitlines() if line)])

        head = saver.head("t")
        assert head.seq in (reported, reported + 1)
        for checkpoint in saver.history("t"):
            values = saver.values("t", checkpoint)
            assert values == {"n": checkpoint.seq, "big": bytes([checkpoint.seq % 256]) * 200_000}
        decisions = saver.decisions("t")
        assert [d.answer for d in decisions] == list(range(len(decisions)))
        assert len(decisions) > reported
        assert [q.interrupt_id for q in saver.open_questions()] == [f"q{n}" for n in range(len(decisions), head.seq + 1)]
        link = b""
        for n in range(len(decisions)):
            entry = unpack(saver._read(f"d/{n:012d}"))
            assert entry[-2] == link
            link = entry[-1]
        assert verify(saver).problems == ()
