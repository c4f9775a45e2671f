"""A backup is the store of one moment, whole and on the disk, or there is none."""

import os
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from hitl_nb import Command, DiskCacheSaver
from hitl_nb.checkpoint.upkeep import backup as backing_up
from hitl_nb.checkpoint.upkeep.backup import backup
from hitl_nb.checkpoint.upkeep.checking import check
from hitl_nb.checkpoint.upkeep.vacuuming import vacuum
from hitl_nb.cli import main
from hitl_nb.errors import HitlError, StoreError
from tests.crash.whole_store import BIG, config, graph_of, read


def test_a_backup_is_a_store_that_says_the_same(whole, tmp_path):
    health = backup(whole, tmp_path / "copy")
    assert (health.ok, health.folder) == (True, str(tmp_path / "copy"))
    assert read(tmp_path / "copy") == read(whole)
    assert [p.name for p in tmp_path.iterdir()] == ["copy"]
    copy = DiskCacheSaver(tmp_path / "copy")
    done = graph_of(copy).invoke(Command(resume="later"), config("waits"))  # and goes on
    assert done.state["b"] == "later"


def test_a_backup_of_a_store_that_others_write_to_and_delete_from_is_of_one_moment(tmp_path):
    folder, stop, failed = tmp_path / "store", threading.Event(), []

    def work():
        saver = DiskCacheSaver(folder)
        graph, n = graph_of(saver), 0
        try:
            while not stop.is_set():
                graph.invoke({"x": n, "big": BIG}, config(f"t{n}"))
                graph.invoke(Command(resume="yes"), config(f"t{n}"))
                if n >= 3:
                    saver.delete_thread(f"t{n - 3}")
                n += 1
        except HitlError as error:
            failed.append(error)
        saver.close()

    first = DiskCacheSaver(folder)
    first.head("t")
    worker = threading.Thread(target=work)
    worker.start()
    try:
        for n in range(4):
            assert backup(folder, tmp_path / f"copy-{n}").ok
    finally:
        stop.set()
        worker.join()
    assert failed == []
    assert check(folder).ok
    assert sorted(p.name for p in tmp_path.iterdir()) == ["copy-0", "copy-1", "copy-2", "copy-3", "store"]


def test_the_files_of_a_thread_that_is_deleted_stay_while_a_backup_copies_them(whole, tmp_path, monkeypatch):
    folder, copy = shutil.copytree(whole, tmp_path / "store"), shutil.copyfile

    def copyfile(source, target):
        for thread_id in ("waits", "done", "side-by-side", "nested"):
            DiskCacheSaver(folder).delete_thread(thread_id)
        vacuum(folder, now=lambda: time.time() + 1e6)
        return copy(source, target)

    before = {p.name for p in folder.rglob("*.val")}
    monkeypatch.setattr(backing_up.shutil, "copyfile", copyfile)
    assert backup(folder, tmp_path / "copy").ok
    assert DiskCacheSaver(tmp_path / "copy").head("waits") is not None  # as it was when the backup began
    assert {p.name for p in (tmp_path / "copy").rglob("*.val")} == {p.name for p in folder.rglob("*.val")} == before
    DiskCacheSaver(folder).open_questions()
    assert {p.name for p in folder.rglob("*.val")} < before
    assert check(folder).ok


def test_without_such_locks_a_thread_that_is_deleted_while_its_values_are_copied_begins_the_copy_again(whole, tmp_path, monkeypatch):
    folder, copied = shutil.copytree(whole, tmp_path / "store"), []
    monkeypatch.setattr("hitl_nb.checkpoint.holding._HAS_FLOCK", False)
    copy = shutil.copyfile

    def copyfile(source, target):
        if len(copied) == 1:
            for thread_id in ("waits", "done", "side-by-side", "nested"):
                DiskCacheSaver(folder).delete_thread(thread_id)
        copied.append(target)
        return copy(source, target)

    monkeypatch.setattr(backing_up.shutil, "copyfile", copyfile)
    assert backup(folder, tmp_path / "copy").ok
    saver = DiskCacheSaver(tmp_path / "copy")
    assert (saver.head("waits"), saver.head("reopened") is None) == (None, False)
    assert {p.name for p in (tmp_path / "copy").rglob("*.val")} == {p.name for p in folder.rglob("*.val")}


def test_nothing_is_copied_over_what_is_there(whole, tmp_path):
    (tmp_path / "copy").mkdir()
    with pytest.raises(StoreError, match="is there already"):
        backup(whole, tmp_path / "copy")
    assert list((tmp_path / "copy").iterdir()) == []


@pytest.mark.parametrize("damage", ["value file gone", "value file changed", "record changed"])
def test_a_damaged_store_is_not_backed_up_as_if_it_were_whole(whole, tmp_path, damage):
    folder = shutil.copytree(whole, tmp_path / "store")
    value = next(folder.rglob("*.val"))
    if damage == "value file gone":
        value.unlink()
    elif damage == "value file changed":
        value.write_bytes(value.read_bytes()[:-1] + b"?")
    else:
        with (folder / "cache.db").open("r+b") as file:
            data = file.read()
            file.seek(data.index(b"t" * 500) + 100)
            file.write(b"u")
    with pytest.raises(StoreError, match="store check"):
        backup(folder, tmp_path / "copy")
    assert [p.name for p in tmp_path.iterdir()] == ["store"]


def test_a_disk_that_gets_full_leaves_no_copy(whole, tmp_path):
    resource = pytest.importorskip("resource")
    handler, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(StoreError, match=f"cannot back up to .*copy the store {whole}"):
            backup(whole, tmp_path / "copy")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(tmp_path.iterdir()) == []
    assert backup(whole, tmp_path / "copy").ok


def test_everything_of_the_copy_is_on_the_disk_before_it_gets_its_name(whole, tmp_path, monkeypatch):
    synced, sync = set(), os.fsync

    def fsync(handle):
        synced.add(str(Path(f"/proc/self/fd/{handle}").readlink()).partition(".partial-")[2].partition("/")[2])
        return sync(handle)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("the names of open files as Linux has them")
    monkeypatch.setattr(backing_up.os, "fsync", fsync)
    backup(whole, tmp_path / "copy")
    assert {str(p.relative_to(tmp_path / "copy")) for p in (tmp_path / "copy").rglob("*")} <= synced


def test_who_may_answer_is_copied_too(whole, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "store")
    (folder / "reviewers.yaml").write_text("reviewers: {dana: []}\n")
    backup(folder, tmp_path / "copy")
    assert (tmp_path / "copy" / "reviewers.yaml").read_text() == "reviewers: {dana: []}\n"


def test_the_command_says_what_it_copied_and_ends_with_1_where_it_did_not(whole, tmp_path):
    done = CliRunner().invoke(main, ["store", "backup", str(tmp_path / "copy"), "--store", str(whole)])
    assert done.exit_code == 0
    assert "12 threads" in done.stdout
    done = CliRunner().invoke(main, ["store", "backup", str(tmp_path / "copy"), "--store", str(whole)])
    assert (done.exit_code, "is there already" in done.stderr) == (1, True)
