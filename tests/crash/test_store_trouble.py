"""A disk that gets full, a folder that can only be read: a clear error that names the folder, nothing lost, and it goes on afterwards."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager

import pytest
from click.testing import CliRunner

from hitl_nb import Command, DiskCacheSaver, review
from hitl_nb.checkpoint.upkeep.checking import check
from hitl_nb.checkpoint.upkeep.vacuuming import vacuum
from hitl_nb.cli import main
from hitl_nb.errors import StoreError
from tests.crash.whole_store import BIG, config, graph_of, make


@contextmanager
def files_of_at_most(size):
    """No file gets larger, as on a disk that is full. Yields how to make room."""
    resource = pytest.importorskip("resource")
    handler, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))

    def make_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    try:
        yield make_room
    finally:
        make_room()
        signal.signal(signal.SIGXFSZ, handler)


@contextmanager
def little_space(folder):
    """Room for some runs: a small file system of its own where the system lets us mount one. Yields how to make room."""
    if os.geteuid() == 0 and sys.platform == "linux":
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True, check=False)
        if mounted.returncode == 0:
            try:
                yield lambda: subprocess.run(["mount", "-o", "remount,size=30m", str(folder)], check=True)
            finally:
                subprocess.run(["umount", "--lazy", str(folder)], check=True)
            return
    with files_of_at_most(700_000) as make_room:
        yield make_room


@pytest.mark.parametrize("durability", ["normal", "full"])
@pytest.mark.parametrize("big", [{}, {"big": BIG}], ids=["rows", "value files"])
def test_a_disk_that_gets_full_costs_nothing_that_was_told_as_stored(tmp_path, durability, big):
    disk = tmp_path / "disk"
    disk.mkdir()
    with little_space(disk) as make_room:
        saver = DiskCacheSaver(disk / "store", durability=durability)
        graph, made = graph_of(saver), 0

        def run_on():
            nonlocal made
            while made < 2000:
                graph.invoke({"x": made, "text": "t" * 3000, **big}, config(f"t{made}"))
                graph.invoke(Command(resume="yes"), config(f"t{made}"))
                made += 1

        with pytest.raises(StoreError) as full:
            run_on()
        assert 0 < made < 2000
        assert str(disk / "store") in str(full.value)
        assert "cannot rollback" not in str(full.value)
        for n in range(made):
            assert [d.answer for d in saver.decisions(f"t{n}")] == ["yes"]
        make_room()
        there = graph.get_state(config(f"t{made}")).next
        asked = graph.invoke(None if there else {"x": made, "text": "t" * 3000, **big}, config(f"t{made}"))
        if asked.next == ("one",):
            asked = graph.invoke(Command(resume="yes"), config(f"t{made}"))
        assert asked.next == ("two",)
        assert len(saver.decisions(f"t{made}")) == 1
        graph.invoke(Command(resume="no"), config("t0"))
        vacuum(disk / "store")
        health = check(disk / "store")
        assert (health.damages, health.threads) == ([], made + 1)
        saver.close()


def test_a_store_that_nobody_had_open_is_not_called_damaged_where_the_disk_has_no_room_to_open_it(tmp_path, monkeypatch):
    monkeypatch.delenv("HITL_NB_JOURNAL", raising=False)
    make(tmp_path / "store")
    with files_of_at_most(4000):
        for _ in range(2):
            with pytest.raises(StoreError, match="the disk is full; free some space"):
                DiskCacheSaver(tmp_path / "store").head("done")
        with pytest.raises(StoreError, match=f"cannot read the store {tmp_path / 'store'}.* the disk is full; free some space"):
            check(tmp_path / "store")
    assert check(tmp_path / "store").ok


@pytest.fixture
def read_only(ordinary_folder):
    """A store that was closed, in a folder that can be read and not be written to."""
    folder = ordinary_folder / "store"
    make(folder)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o500 if path.is_dir() else 0o400)
    return folder


def test_a_store_that_can_only_be_read_is_read(read_only):
    saver = DiskCacheSaver(read_only)
    graph = graph_of(saver)
    assert graph.get_state(config("done")).values["b"] == "no"
    assert [q.thread_id for q in saver.open_questions() if q.thread_id == "waits"] == ["waits"]
    session = review(graph, thread_id="done")
    assert (session.status, session.result()["a"]) == ("done", "paid 1yes")
    for use in (
        lambda: graph.invoke(Command(resume="later"), config("waits")),
        lambda: graph.invoke({"x": 1}, config("new")),
        lambda: saver.delete_thread("done"),
    ):
        with pytest.raises(StoreError, match="can be read here and not be written to; nothing was written"):
            use()
    for arguments in (["pending"], ["audit", "--verify"], ["audit"], ["store", "check"], ["store", "info"], ["history", "done"]):
        done = CliRunner().invoke(main, [*arguments, "--store", str(read_only), "--json"])
        assert done.exit_code == 0, (arguments, done.output)
        json.loads(done.stdout)
    done = CliRunner().invoke(main, ["store", "vacuum", "--store", str(read_only)])
    assert (done.exit_code, str(read_only) in done.stderr) == (1, True)


def test_a_folder_that_can_be_written_to_again_is(read_only):
    saver = DiskCacheSaver(read_only)
    assert saver.head("waits").decisions == 1
    for path in [read_only, *read_only.rglob("*")]:
        path.chmod(0o700 if path.is_dir() else 0o600)
    graph_of(saver).invoke(Command(resume="later"), config("waits"))
    assert saver.head("waits").decisions == 2


def test_a_store_that_a_killed_process_left_and_that_can_only_be_read_says_what_to_do(ordinary_folder):
    folder = ordinary_folder / "store"
    saver = DiskCacheSaver(folder)
    graph_of(saver).invoke({"x": 1}, config("waits"))
    left = ordinary_folder / "left"
    left.mkdir()
    for name in ("cache.db", "cache.db-wal"):  # and not cache.db-shm, as when the two were copied
        (left / name).write_bytes((folder / name).read_bytes())
    left.chmod(0o500)
    for look in (lambda: DiskCacheSaver(left).head("waits"), lambda: check(left)):
        with pytest.raises(StoreError, match="copy the folder to where you may write, and read the copy"):
            look()
    left.chmod(0o700)
    assert DiskCacheSaver(left).head("waits").seq == 0
    saver.close()


def test_a_store_that_another_program_keeps_locked_is_not_called_damaged(tmp_path):
    saver = DiskCacheSaver(tmp_path / "store", journal="delete")
    saver.head("done")
    saver.close()
    with closing(sqlite3.connect(tmp_path / "store" / "cache.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match=f"cannot read the store {tmp_path / 'store'}.* another process keeps it locked"):
            check(tmp_path / "store", timeout_s=0.1)
    assert check(tmp_path / "store").ok


def test_what_to_do_is_told_from_the_error_and_not_from_a_name_that_sounds_like_one(ordinary_folder):
    folder = ordinary_folder / "a full disk is locked"
    folder.mkdir()
    folder.chmod(0o500)
    with pytest.raises(StoreError, match="the folder cannot be written to; check its owner and permissions"):
        DiskCacheSaver(folder / "store").head("waits")
