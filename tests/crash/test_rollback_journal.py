"""The journal for network file systems under kills and rivals: the same promises as with the write-ahead log."""

import os
import random
import shutil
import signal
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from hitl_nb.checkpoint.disk import DiskCacheSaver
from hitl_nb.checkpoint.folder import journal_of
from hitl_nb.checkpoint.rolling_back import JOURNAL, half_commit
from hitl_nb.checkpoint.upkeep.checking import check
from hitl_nb.checkpoint.upkeep.repairing import repair
from hitl_nb.checkpoint.verifying import verify
from hitl_nb.errors import CorruptStoreError, StoreError
from tests.crash.rival import build

pytestmark = pytest.mark.crash
ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "HITL_NB_JOURNAL": "delete"}
RIVAL = Path(__file__).parent / "rival.py"
STEPS = Path(__file__).parent / "thirty_steps.py"
ROUNDS = 10

KILLED = """
import os, signal, sys
from hitl_nb.checkpoint.disk import DiskCacheSaver

saver = DiskCacheSaver(sys.argv[1])
with saver._transaction():
    saver._rows()._execute("PRAGMA cache_size = 2")
    for n in range(400):
        saver._put(f"k/{n:08d}/0", bytes(2000))
    os.kill(os.getpid(), signal.SIGKILL)
"""
MOVED = KILLED.replace("range(400)", "range(60)").replace("k/{n:08d}/0", "h/{n}").replace("bytes(2000)", 'b"new" * 50')
SEGMENT, FILLED = 2048, 512 + 1032
"""Bytes of a segment of its journal, as each has one page, and how many of them count."""
WITH_WRITE_AHEAD = (
    "test_a_store_that_a_killed_process_left_and_that_can_only_be_read_says_what_to_do",  # a rollback journal need not be read, so it can be
    "test_the_folder_is_told_in_figures",  # it names the journal
    "test_full_durability_holds_in_every_python_thread_although_another_opener_wants_less",  # here by one step more, see test_filesystem.py
)
"""The only tests that are about the write-ahead log itself."""


def steps(folder: Path, *more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, STEPS, folder, *map(str, more)], env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_run_that_is_killed_in_the_middle_of_commits_ends_as_if_it_had_not_been(tmp_path):
    undisturbed = steps(tmp_path / "whole")
    assert undisturbed.returncode == 0, undisturbed.stderr
    for kill_at in (40, 3, 77):
        assert steps(tmp_path / "killed", kill_at).returncode == -signal.SIGKILL
        found = check(tmp_path / "killed" / "store")  # before anybody has opened it
        assert found.ok, found.damages
    ended = steps(tmp_path / "killed")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[1:] == undisturbed.stdout.splitlines()[1:]
    assert journal_of(tmp_path / "killed" / "store" / "cache.db") == "delete"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_what_a_killed_writer_had_not_committed_is_taken_out_by_whoever_looks_first(tmp_path):
    saver = DiskCacheSaver(tmp_path / "store", journal="delete")
    saver.keep("task", b"k", b"kept")
    saver.close()
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "store"], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (tmp_path / "store" / "cache.db-journal").stat().st_size > 0  # and half of what it wrote is in the database
    found = check(tmp_path / "store")
    assert (found.ok, found.records) == (True, 2)
    assert saver._read("k/00000000/0") is None


@pytest.fixture(scope="module")
def cut_off(tmp_path_factory):
    """A store whose writer was killed in the middle of a commit, half of which is in the database; and what was there before it."""
    folder = tmp_path_factory.mktemp("cut") / "store"
    saver = DiskCacheSaver(folder, journal="delete")
    with saver._transaction():
        for n in range(60):
            saver._put(f"h/{n}", b"old" * 50)
    saver.close()
    killed = subprocess.run([sys.executable, "-c", MOVED, folder], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    return folder


def told_or_old(cut_off, folder, journal):
    """True when opening tells of the damage; else everything that is read is what was there before the commit, or an error."""
    shutil.copytree(cut_off, folder)
    (folder / JOURNAL).write_bytes(journal)
    saver = DiskCacheSaver(folder)
    if half_commit(folder):
        for _ in range(2):  # looking does not take the journal away
            with pytest.raises(CorruptStoreError, match=JOURNAL):
                saver.head("0")
        return True
    for n in range(60):
        with suppress(StoreError):
            assert saver._read(f"h/{n}") == b"old" * 50
    saver.close()
    return False


def damage_the_journal(cut_off, tmp_path, places):
    whole, chance, told = (cut_off / JOURNAL).read_bytes(), random.Random("journal"), 0
    for n in places:
        at = n if n < 28 else chance.randrange(len(whole))
        flipped = whole[:at] + bytes([whole[at] ^ 1 << chance.randrange(8)]) + whole[at + 1 :]
        is_told = told_or_old(cut_off, tmp_path / f"flip{n}", flipped)
        assert is_told or n >= 28, f"a damaged header was not told, byte {at}"
        told += is_told
        cut = chance.randrange(28, len(whole))
        if 0 < cut % SEGMENT < FILLED:  # not between two segments
            told_or_old(cut_off, tmp_path / f"cut{n}", whole[:cut])
    return told


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_damaged_journal_of_a_killed_writer_is_told_or_takes_out_what_was_not_committed(cut_off, tmp_path):
    assert half_commit(cut_off) == ""
    assert damage_the_journal(cut_off, tmp_path, range(0, 40, 3)) >= 10


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_damaged_journal_of_a_killed_writer_is_told_or_takes_out_what_was_not_committed_at_many_places(cut_off, tmp_path):
    damage_the_journal(cut_off, tmp_path, range(600))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_damaged_journal_is_told_until_it_is_given_up(cut_off, tmp_path):
    folder = shutil.copytree(cut_off, tmp_path / "store")
    os.truncate(folder / JOURNAL, 5 * SEGMENT + 1000)
    assert half_commit(folder)
    health = check(folder)
    assert (health.ok, JOURNAL in health.damaged_files) == (False, True)
    assert repair(folder, tmp_path / "saved", make=DiskCacheSaver).blind
    assert half_commit(folder), "it is as it was"


def test_of_two_processes_that_answer_at_once_exactly_one_wins(tmp_path, monkeypatch):
    monkeypatch.setenv("HITL_NB_JOURNAL", "delete")
    graph = build(tmp_path)
    for n in range(ROUNDS):
        graph.invoke({"amount": n, "by": ""}, {"configurable": {"thread_id": f"round-{n}"}})
    assert journal_of(tmp_path / "store" / "cache.db") == "delete"
    command = [sys.executable, RIVAL, tmp_path]
    rivals = [
        subprocess.Popen([*command, name, str(ROUNDS)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        for name in ("ada", "bob")
    ]
    said = []
    for n in range(ROUNDS):
        assert [rival.stdout.readline() for rival in rivals] == ["ready\n"] * 2
        (tmp_path / f"go-{n}").touch()
        said.append(sorted(rival.stdout.readline().split()[0] for rival in rivals))
    assert [rival.wait(timeout=30) for rival in rivals] == [0, 0]
    assert said == [["lost", "won"]] * ROUNDS
    assert len((tmp_path / "effects").read_text().splitlines()) == ROUNDS, "a side effect was lost or repeated"
    assert verify(graph.checkpointer).problems == ()


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_the_whole_contract_and_all_crashes_hold_with_a_rollback_journal(tmp_path):
    left_out = " or ".join(["memory", "rollback_journal", "test_store_damage", "test_write_ahead", *WITH_WRITE_AHEAD])
    wanted = ["tests/contract", "tests/crash", "tests/unit/test_disk.py", "tests/unit/test_store_backup.py", "tests/unit/test_store_vacuum.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-k", f"not ({left_out})", f"--basetemp={tmp_path / 'tests'}", "-p", "no:cacheprovider", *wanted]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:]


def test_a_journal_that_counts_to_its_end_is_not_cut_short(tmp_path):
    """As another program's, with synchronous=OFF."""
    page = bytes(1024)
    record = struct.pack(">I", 2) + page + struct.pack(">I", 7)
    header = struct.pack(">8s5I", bytes.fromhex("d9d505f920a163d7"), 0xFFFFFFFF, 7, 9, 512, 1024).ljust(512, b"\0")
    (tmp_path / "cache.db-journal").write_bytes(header + record * 3)
    assert half_commit(tmp_path) == ""
