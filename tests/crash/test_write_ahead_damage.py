"""A killed writer's write-ahead log is damaged, where SQLite drops commits without a word: never a wrong value, and what can be told is told."""

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from hitl_nb import DiskCacheSaver
from hitl_nb.checkpoint import write_ahead
from hitl_nb.checkpoint.holding import is_shared
from hitl_nb.checkpoint.sealing import LOCKS, USERS
from hitl_nb.checkpoint.upkeep.backup import backup
from hitl_nb.checkpoint.upkeep.checking import check
from hitl_nb.checkpoint.upkeep.repairing import repair
from hitl_nb.checkpoint.write_ahead import LOG, lost_commits
from hitl_nb.cli import main
from hitl_nb.errors import CorruptStoreError, LostCommitsWarning, StoreError
from tests.crash.whole_store import config, graph_of, read_thread

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
STEPS = 9
THREADS = [f"t{n}" for n in range(STEPS // 3)]


def read(folder):
    """What the store says of every thread, and of the questions that are open."""
    saver = DiskCacheSaver(folder)
    try:
        return [read_thread(saver, t) if saver.head(t) else None for t in THREADS], saver.open_questions(), list(map(saver.decisions, THREADS))
    finally:
        saver.close()


def frame_size(folder):
    return 24 + int.from_bytes((folder / LOG).read_bytes()[8:12], "big")


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """What a killed writer left, and what was there after each of its commits."""
    place = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-m", "tests.crash.log_writer", str(place / "store"), "normal"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=place) as writer:
        for number in range(STEPS):
            print(number, file=writer.stdin, flush=True)
            assert int(writer.stdout.readline()) == number
        writer.kill()
    size, frame = (place / "store" / LOG).stat().st_size, frame_size(place / "store")
    assert size > 30_000
    assert (size - 32) % frame == 0
    states = []
    for end in range(32, size + 1, frame):
        (place / "then").mkdir()
        folder = shutil.copytree(place / "store", place / "then" / "store")
        os.truncate(folder / LOG, end)
        states.append(read(folder))
        shutil.rmtree(place / "then")
    assert [len(decisions) for decisions in states[-1][2]] == [2] * len(THREADS)
    return place / "store", states


def look(killed, folder, where):
    """What is read of the damaged copy, which is what was there once; or `damaged`."""
    if lost_commits(folder):
        with pytest.raises(CorruptStoreError, match=LOG) as told:
            read(folder)
        assert str(folder) in str(told.value), where
        assert "can still be read" in str(told.value)
        return "damaged"
    found = read(folder)
    assert found in killed[1], f"{where}: what never was"
    return found


def flipped(killed, folder, offset, bit):
    shutil.copytree(killed[0], folder)
    with (folder / LOG).open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1 << bit]))
    return folder


def flip_at_random_places(killed, tmp_path, places):
    _, states = killed
    silent, chance = 0, random.Random("wal bits")
    size = (killed[0] / LOG).stat().st_size
    for n in range(places):
        offset = chance.randrange(size)
        folder = flipped(killed, tmp_path / str(n) / "store", offset, chance.randrange(8))
        found = look(killed, folder, f"{LOG} at {offset}")
        if found not in ("damaged", states[-1]):
            silent += 1
            assert offset >= size - frame_size(killed[0]), f"{LOG} at {offset}: commits vanished without a word"
        shutil.rmtree(folder.parent)
    return silent


def cut_at_random_places(killed, tmp_path, places):
    chance = random.Random("wal cuts")
    for n in range(places):
        offset = chance.randrange((killed[0] / LOG).stat().st_size)
        folder = shutil.copytree(killed[0], tmp_path / f"cut{n}" / "store")
        os.truncate(folder / LOG, offset)
        assert look(killed, folder, f"{LOG} cut at {offset}") != "damaged"  # as a killed writer leaves it
        shutil.rmtree(folder.parent)


def test_a_damaged_write_ahead_log_gives_what_was_there_once_or_says_so(killed, tmp_path):
    flip_at_random_places(killed, tmp_path, 8)
    cut_at_random_places(killed, tmp_path, 4)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_damaged_write_ahead_log_gives_what_was_there_once_or_says_so_at_many_places(killed, tmp_path):
    print("silently dropped, as the last frame was hit:", flip_at_random_places(killed, tmp_path, 400))
    cut_at_random_places(killed, tmp_path, 200)


def test_lost_commits_are_told_until_they_are_given_up(killed, tmp_path):
    folder = flipped(killed, tmp_path / "store", 20_000, 3)
    (folder / "cache.db-shm").unlink(missing_ok=True)
    for _ in range(2):  # looking does not take the log away
        with pytest.raises(CorruptStoreError, match=r"frame \d+ of cache.db-wal is damaged, and SQLite drops \d+ commits from there on"):
            DiskCacheSaver(folder).open_questions()
        health = check(folder)
        assert (health.ok, health.damaged_files[-1]) == (False, LOG)
    with pytest.raises(CorruptStoreError, match="the latest commits"):
        backup(folder, tmp_path / "copy")
    for arguments in (["pending"], ["store", "vacuum"], ["store", "info"]):
        done = CliRunner().invoke(main, [*arguments, "--store", str(folder)])
        assert (done.exit_code, LOG in done.output) == (1, True), done.output
    done = repair(folder, tmp_path / "saved", make=DiskCacheSaver)
    assert done.blind
    assert "the latest commits: frame" in done.lost[-1]
    assert check(tmp_path / "saved").ok
    assert read(tmp_path / "saved") in killed[1]


def test_a_damaged_header_of_the_log_loses_all_of_it_and_says_so(killed, tmp_path):
    for offset in (0, 9, 17, 25):
        folder = flipped(killed, tmp_path / str(offset), offset, 0)
        assert look(killed, folder, offset) == "damaged"
        assert "the header of cache.db-wal is damaged" in lost_commits(folder)


def test_a_log_that_was_written_before_the_machine_was_started_was_cut_off_by_that_and_is_told(killed, tmp_path):
    folder = flipped(killed, tmp_path / "store", 20_000, 3)
    os.utime(folder / LOG, (1, 1))
    if not Path("/proc/stat").exists():
        pytest.skip("the system does not say when it was started")
    with pytest.warns(LostCommitsWarning, match=r"frame \d+ of cache.db-wal is damaged, and SQLite drops \d+ commits"):
        assert read(folder) in killed[1]
    assert check(folder).ok


def test_a_log_is_looked_at_by_the_first_who_opens_the_store(killed, tmp_path):
    users = killed[0] / LOCKS / USERS
    assert users.exists()
    assert not is_shared(users)  # who held it was killed
    folder = shutil.copytree(killed[0], tmp_path / "store")
    one, two = DiskCacheSaver(folder), DiskCacheSaver(folder)
    for saver in (one, two):
        saver.open_questions()
        assert is_shared(folder / LOCKS / USERS)
    one.close()
    assert is_shared(folder / LOCKS / USERS)
    two.close()
    assert not is_shared(folder / LOCKS / USERS)


def test_what_a_killed_writer_leaves_behind_its_last_commit_is_no_damage(killed, tmp_path):
    folder = shutil.copytree(killed[0], tmp_path / "store")
    with (folder / LOG).open("ab") as file:
        file.write((folder / LOG).read_bytes()[32:56] + b"half a frame")
    assert look(killed, folder, "half a frame") == killed[1][-1]
    (folder / LOG).write_bytes(b"")
    assert lost_commits(folder) == ""


def test_damage_of_the_very_last_frame_looks_as_if_its_writer_was_killed_and_gives_what_was_there_before(killed, tmp_path):
    folder = flipped(killed, tmp_path / "store", (killed[0] / LOG).stat().st_size - 1, 0)
    assert look(killed, folder, "the last byte") == killed[1][-2]
    assert killed[1][-2] != killed[1][-1]


def test_a_log_that_is_too_long_to_be_read_at_opening_is_read_by_the_check(killed, tmp_path, monkeypatch):
    folder = flipped(killed, tmp_path / "store", 20_000, 3)
    monkeypatch.setattr(write_ahead, "_MOST", 25_000)
    health = check(folder)
    assert (health.ok, health.damaged_files[-1]) == (False, LOG)
    assert read(folder) in killed[1][:-1]


def test_what_a_log_that_was_begun_anew_holds_from_before_is_no_damage(tmp_path):
    saver = DiskCacheSaver(tmp_path / "store")
    graph = graph_of(saver)
    graph.invoke({"x": 1, "text": "t" * 30_000}, config("t0"))
    saver._cache()._sql("PRAGMA wal_checkpoint(RESTART)")
    size = (saver.folder / LOG).stat().st_size
    graph.invoke({"x": 2}, config("t1"))
    assert (saver.folder / LOG).stat().st_size == size, "it was not begun anew"
    left = shutil.copytree(saver.folder, tmp_path / "left")
    expected = read(saver.folder)
    saver.close()
    assert lost_commits(left) == ""
    assert read(left) == expected


def test_a_log_that_is_damaged_while_it_is_open_gives_no_wrong_value(tmp_path):
    chance = random.Random("live")
    for n in range(6):
        saver = DiskCacheSaver(tmp_path / str(n))
        graph = graph_of(saver)
        for thread in THREADS:
            graph.invoke({"x": 1, "text": "t" * 3000}, config(thread))
        before = [read_thread(saver, t) for t in THREADS]
        with (saver.folder / LOG).open("r+b") as file:
            for _ in range(40):
                file.seek(chance.randrange(32, os.fstat(file.fileno()).st_size))
                file.write(b"?")
        other = DiskCacheSaver(tmp_path / str(n))
        for reader in (saver, other):
            found = []
            try:
                found = [read_thread(reader, t) for t in THREADS]
            except StoreError as error:
                found = before if str(saver.folder) in str(error) else [error]
            assert found == before
        saver.close()
        other.close()
