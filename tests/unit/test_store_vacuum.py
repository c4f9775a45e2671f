"""Space is given back, and nothing that a record needs, whoever uses the store meanwhile. What lies there is told in figures."""

import json
import os
import sqlite3
import threading
import time
from contextlib import closing

import pytest
from click.testing import CliRunner

from hitl_nb import Command, DiskCacheSaver
from hitl_nb.checkpoint.audit import log_entries
from hitl_nb.checkpoint.filesystem import file_system, is_network
from hitl_nb.checkpoint.upkeep.checking import check
from hitl_nb.checkpoint.upkeep.describing import describe
from hitl_nb.checkpoint.upkeep.vacuuming import vacuum
from hitl_nb.cli import main
from hitl_nb.errors import CorruptStoreError, HitlError, StoreError, ThreadBusyError, UnknownThreadError
from tests.crash.whole_store import BIG, config, damage_index, graph_of, read


def orphan(folder, age_s):
    path = folder / "00" / "11" / f"{int(age_s):028x}.val"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"left by a killed writer")
    at = time.time() - age_s
    os.utime(path, (at, at))
    return path


def test_value_files_of_no_record_go_when_they_are_old_and_nothing_else_does(folder):
    before = read(folder)
    old, young = orphan(folder, 4000), orphan(folder, 10)
    freed = vacuum(folder)
    assert (freed.value_files, old.exists(), young.exists()) == (1, False, True)
    assert read(folder) == before


def test_what_a_deleted_thread_took_is_given_back(folder):
    saver = DiskCacheSaver(folder)
    for n in range(0, 6, 2):
        saver.delete_thread(f"many-{n}")
    saver.close()
    size = (folder / "cache.db").stat().st_size
    freed = vacuum(folder)
    assert (folder / "cache.db").stat().st_size < size
    assert freed.after < freed.before
    assert (freed.complete, check(folder).ok) == (True, True)


def test_lock_files_go_but_not_those_of_threads_that_run(folder):
    saver = DiskCacheSaver(folder)
    with saver.guard("held"), saver.guard("waits"):
        assert saver.free_locks() == 12 - 1  # that of waits was there
        assert len(list((folder / "locks").glob("*.lock"))) == 3
        for thread_id in ("held", "waits"):
            with pytest.raises(ThreadBusyError), DiskCacheSaver(folder).guard(thread_id):
                pass
    with saver.guard("done"), pytest.raises(ThreadBusyError), DiskCacheSaver(folder).guard("done"):
        pass


def test_the_lock_file_of_a_thread_goes_with_it_and_that_of_none_is_not_left(folder):
    saver, graph = DiskCacheSaver(folder), graph_of(DiskCacheSaver(folder))
    before = {path.name for path in (folder / "locks").iterdir()}
    for n in range(5):
        graph.invoke({"x": 1, "big": BIG}, config(f"new-{n}"))
        saver.delete_thread(f"new-{n}")
        saver.delete_thread(f"none-{n}")
        with pytest.raises(UnknownThreadError):
            graph.advance(config(f"none-{n}"))
    graph.invoke({"x": 1, "big": BIG}, config("decided"))
    graph.invoke(Command(resume="yes"), config("decided"))
    saver.delete_thread("decided")  # leaves the number of its decisions
    assert {path.name for path in (folder / "locks").iterdir()} <= before | {"writing"}


def held_twice(saver, meanwhile):
    """Whether three Python threads that hold one thread again and again ever hold it at once, while twenty of what `meanwhile` counts are done."""
    inside, twice, stop = [], [], threading.Event()
    saver.head("t")

    def hold():
        while not stop.is_set():
            try:
                with saver.guard("t"):
                    inside.append(1)
                    twice.extend([1] * (len(inside) > 1))
                    inside.pop()
            except ThreadBusyError:
                pass

    threads = [threading.Thread(target=hold) for _ in range(3)]
    for thread in threads:
        thread.start()
    done = 0
    while done < 20:
        done += meanwhile()
    stop.set()
    for thread in threads:
        thread.join()
    return twice != []


def test_a_thread_that_is_deleted_and_begun_anew_is_never_held_twice(folder):
    saver = DiskCacheSaver(folder)

    def deleted():
        try:
            saver.delete_thread("t")
        except ThreadBusyError:
            return 0
        return 1

    assert not held_twice(saver, deleted)


def test_a_lock_is_never_held_twice_while_lock_files_are_removed(folder):
    saver = DiskCacheSaver(folder)
    assert not held_twice(saver, saver.free_locks)


def test_a_store_is_vacuumed_while_others_write_to_it(folder):
    stop, failed, made = threading.Event(), [], []

    def work():
        saver = DiskCacheSaver(folder)
        graph = graph_of(saver)
        try:
            while not stop.is_set():
                name = f"new-{len(made)}"
                graph.invoke({"x": 1, "big": BIG}, config(name))
                graph.invoke(Command(resume="yes"), config(name))
                made.append(name)
        except HitlError as error:
            failed.append(error)
        saver.close()

    worker = threading.Thread(target=work)
    worker.start()
    saver = DiskCacheSaver(folder)
    for _ in range(6):
        vacuum(folder, free_locks=saver.free_locks, now=lambda: time.time() + 1e6)  # however old a file has to be
    stop.set()
    worker.join()
    assert failed == []
    health = check(folder)
    assert (health.ok, health.threads) == (True, 12 + len(made))


def test_a_store_that_stays_locked_and_a_damaged_one_are_left_as_they_are(folder):
    old = orphan(folder, 4000)
    with closing(sqlite3.connect(folder / "cache.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another process kept it locked"):
            vacuum(folder, timeout_s=0.05)
        other.execute("ROLLBACK")
    damage_index(folder, "v/0000000000/0000/waits")
    with pytest.raises(CorruptStoreError):
        vacuum(folder)
    assert old.exists()


def test_the_folder_is_told_in_figures(folder):
    found = describe(folder)
    assert (found.threads, found.value_files, found.format, found.journal_mode) == (12, 7, 1, "wal")
    assert found.open_questions == len(DiskCacheSaver(folder).open_questions())
    assert found.log_entries == len(list(log_entries(DiskCacheSaver(folder))))
    assert found.bytes == found.database_bytes + found.write_ahead_bytes + found.value_bytes
    assert found.warnings == ()
    shown = CliRunner().invoke(main, ["store", "info", "--store", str(folder)])
    assert (shown.exit_code, "open questions  " in shown.stdout) == (0, True)
    assert json.loads(CliRunner().invoke(main, ["store", "info", "--json", "--store", str(folder)]).stdout)["threads"] == 12


def test_the_file_system_below_a_folder_is_the_mount_that_is_nearest(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"/dev/vda / ext4 rw 0 0\nserver:/x {tmp_path} nfs4 rw 0 0\n//pc/share {tmp_path}/a\\040b cifs rw 0 0\nfuse {tmp_path}/s fuse.sshfs rw 0 0\n"
    )
    for name in ("a b", "s", "ab"):
        (tmp_path / name).mkdir()
    assert [file_system(tmp_path / n, mounts) for n in (".", "a b", "s", "ab")] == ["nfs4", "cifs", "fuse.sshfs", "nfs4"]
    assert file_system(tmp_path, tmp_path / "none") == ""
    assert [kind for kind in ("ext4", "xfs", "tmpfs", "overlay", "nfs", "smb3", "9p", "fuse.rclone") if is_network(kind)] == [
        "nfs",
        "smb3",
        "9p",
        "fuse.rclone",
    ]


def test_the_command_says_bytes_before_and_after(folder):
    orphan(folder, 4000)
    done = CliRunner().invoke(main, ["store", "vacuum", "--store", str(folder)])
    assert done.exit_code == 0
    assert "removed 1 value file of no record" in done.stdout
    assert check(folder).notes == []
