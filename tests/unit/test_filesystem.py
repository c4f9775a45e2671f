"""A store on a network file system: what is found at opening, which journal it gets, and that no opener changes another one's."""

import errno
import gc
import json
import mmap
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from hitl_nb.checkpoint import filesystem
from hitl_nb.checkpoint.disk import DiskCacheSaver
from hitl_nb.checkpoint.filesystem import Mount, concern, file_system, mount_of, require_locks, require_shared_memory
from hitl_nb.checkpoint.folder import FolderReader, journal_of
from hitl_nb.checkpoint.upkeep.backup import backup
from hitl_nb.checkpoint.upkeep.checking import check
from hitl_nb.checkpoint.upkeep.describing import describe
from hitl_nb.checkpoint.upkeep.journal import change_journal
from hitl_nb.checkpoint.upkeep.vacuuming import vacuum
from hitl_nb.cli import main
from hitl_nb.errors import NetworkFileSystemWarning, StoreError
from tests.crash.whole_store import make, read

ROOT = Path(__file__).parents[2]


@pytest.fixture
def lies_on(tmp_path, monkeypatch):
    """`lies_on(kind, options)`: from now on the folder of the test lies on such a file system."""

    def mount(kind, options="rw"):
        mounts = tmp_path / "mounts"
        mounts.write_text(f"/dev/vda / ext4 rw 0 0\nserver:/x {tmp_path} {kind} {options} 0 0\n")
        monkeypatch.setattr(filesystem, "_MOUNTS", mounts)

    return mount


@pytest.fixture
def store(tmp_path):
    """`store(journal)`: a store with content that has this journal and that nobody has open."""

    def made(journal):
        saver = DiskCacheSaver(tmp_path / "store", journal=journal)
        saver.head("t")
        saver.close()
        make(tmp_path / "store")
        return tmp_path / "store"

    return made


def journal(folder):
    with closing(sqlite3.connect(folder / "cache.db")) as connection:
        return connection.execute("PRAGMA journal_mode").fetchone()[0]


def opened(folder, **options):
    """The journal of the store and the warnings that opening it gave."""
    saver = DiskCacheSaver(folder, **options)
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        saver.head("t")
    saver.close()
    return journal(folder), [str(w.message) for w in given]


# -- what is found


@pytest.mark.skipif(not Path("/proc/self/mounts").exists(), reason="only Linux says what is mounted")
def test_the_real_table_of_mounts_is_understood():
    assert file_system(Path("/proc/self")) == "proc"
    assert not mount_of(Path("/proc")).is_network


def test_where_nothing_is_known_nothing_is_claimed(tmp_path, monkeypatch):
    for text in ("", "garbage\n\n  \n", f"server:/x {tmp_path}"):
        (tmp_path / "mounts").write_text(text)
        monkeypatch.setattr(filesystem, "_MOUNTS", tmp_path / "mounts")
        assert opened(tmp_path / f"store{len(text)}") == ("wal", [])
    monkeypatch.setattr(filesystem, "_MOUNTS", tmp_path / "none")
    assert opened(tmp_path / "store") == ("wal", [])


@pytest.mark.parametrize(
    ("kind", "options", "why"),
    [
        ("nfs", "rw,vers=3,nolock", "nolock"),
        ("nfs4", "rw,local_lock=all", "local_lock=all"),
        ("cifs", "rw,nobrl", "nobrl"),
        ("fuse.sshfs", "rw", "tells no other machine"),
        ("nfs4", "rw,local_lock=none", ""),
        ("ext4", "rw,nolock", ""),
    ],
)
def test_locks_that_stay_on_this_machine_are_told_from_the_mount(kind, options, why):
    mount = Mount(kind, frozenset(options.split(",")))
    assert bool(mount.unshared_locks) is bool(why)
    assert why in mount.unshared_locks
    assert why in concern(Path("/data/reviews"), mount, "delete")


# -- which journal a store gets, and keeps


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "lustre", "gpfs", "virtiofs", "fuse.glusterfs"])
def test_a_new_store_on_a_network_file_system_gets_the_journal_that_is_safe_there(tmp_path, lies_on, kind):
    lies_on(kind)
    assert opened(tmp_path / "store") == ("delete", [])
    assert opened(tmp_path / "store") == ("delete", [])  # and keeps it
    found = describe(tmp_path / "store")
    assert (found.journal_mode, found.file_system, found.warnings) == ("delete", kind, ())


@pytest.mark.parametrize("kind", ["ext4", "xfs", "tmpfs", "overlay", "fuse.unheard-of"])
def test_on_any_other_file_system_it_gets_the_quick_one(tmp_path, lies_on, kind):
    lies_on(kind)
    assert opened(tmp_path / "store") == ("wal", [])


def test_a_store_with_a_write_ahead_log_that_lies_there_warns_of_what_may_be_lost_and_says_what_to_do(tmp_path, store, lies_on, monkeypatch):
    folder = store("wal")
    lies_on("nfs4")
    mode, (told,) = opened(folder)
    assert mode == "wal"  # nobody's store is changed by opening it
    for part in (str(folder), "nfs4", "used by two, commits can be lost", f"hitl-nb store journal delete --store {folder}", "journal='wal'"):
        assert part in told
    assert opened(folder, journal="wal") == ("wal", [])
    monkeypatch.setenv("HITL_NB_JOURNAL", "wal")
    assert opened(folder) == ("wal", [])
    monkeypatch.delenv("HITL_NB_JOURNAL")
    with warnings.catch_warnings():
        warnings.simplefilter("error", NetworkFileSystemWarning)
        with pytest.raises(NetworkFileSystemWarning):
            DiskCacheSaver(folder).head("t")
    assert describe(folder).warnings == (told,)


def test_a_mount_whose_locks_other_machines_do_not_see_is_warned_of_whatever_the_journal(tmp_path, lies_on):
    lies_on("nfs4", "rw,local_lock=all")
    for wish in (None, "delete"):
        mode, (told,) = opened(tmp_path / "store", journal=wish)
        assert mode == "delete"
        assert "local_lock=all" in told
        assert str(tmp_path / "store") in told


@pytest.mark.parametrize(("stored", "wish"), [("wal", "delete"), ("delete", "wal")])
def test_two_openers_with_different_wishes_do_not_change_each_others_journal(store, stored, wish):
    folder = store(stored)
    before = read(folder)
    with pytest.raises(StoreError, match=f"has the journal '{stored}'.*hitl-nb store journal {wish} --store"):
        DiskCacheSaver(folder, journal=wish).head("t")
    assert opened(folder) == opened(folder, journal=stored) == (stored, [])
    assert read(folder) == before


def test_the_environment_says_what_new_stores_get_and_changes_none_that_is_there(tmp_path, store, monkeypatch):
    folder = store("wal")
    monkeypatch.setenv("HITL_NB_JOURNAL", "delete")
    assert opened(folder) == ("wal", [])
    assert opened(tmp_path / "new") == ("delete", [])
    assert opened(tmp_path / "newer", journal="wal") == ("wal", [])
    monkeypatch.setenv("HITL_NB_JOURNAL", "truncate")
    with pytest.raises(ValueError, match="HITL_NB_JOURNAL is 'truncate'; expected 'wal', 'delete'"):
        DiskCacheSaver(tmp_path / "newest").head("t")
    with pytest.raises(ValueError, match="journal is 'off'; expected"):
        DiskCacheSaver(tmp_path / "newest", journal="off")


def test_every_python_thread_and_an_unpickled_saver_keep_to_the_journal_and_wait_for_the_disk_as_long_as_it_needs(tmp_path):
    def levels(saver):
        sql = saver._cache()._sql
        return sql("PRAGMA journal_mode").fetchone()[0], sql("PRAGMA synchronous").fetchone()[0]

    for durability, level in (("normal", 2), ("full", 3)):
        saver = DiskCacheSaver(tmp_path / "store", durability=durability, journal="delete")
        with ThreadPoolExecutor(1) as pool:
            found = [levels(saver), pool.submit(levels, saver).result(), levels(pickle.loads(pickle.dumps(saver)))]
        assert found == [("delete", level)] * 3


# -- changing it


@pytest.mark.parametrize(("stored", "wish"), [("wal", "delete"), ("delete", "wal")])
def test_a_store_that_nobody_has_open_is_given_another_journal_and_keeps_what_it_holds(store, stored, wish):
    folder = store(stored)
    before, figures = read(folder), check(folder)
    assert change_journal(folder, wish)
    assert not change_journal(folder, wish)
    assert opened(folder) == opened(folder, journal=wish) == (wish, [])
    after = check(folder)
    assert (after.ok, after.records) == (True, figures.records)
    assert read(folder) == before


def test_a_store_that_somebody_has_open_keeps_its_journal(store):
    folder = store("wal")
    saver = DiskCacheSaver(folder)
    saver.head("t")
    with pytest.raises(StoreError, match="somebody has the store .* open, so its journal was not changed"):
        change_journal(folder, "delete", timeout_s=0.05)
    saver.close()
    assert opened(folder) == ("wal", [])


def test_who_has_it_open_meanwhile_goes_on_with_the_journal_it_was_given_in_new_python_threads_too(store):
    folder = store("delete")
    saver = DiskCacheSaver(folder)
    before = saver.open_questions()
    assert change_journal(folder, "wal")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(saver.open_questions).result() == saver.open_questions() == before
    assert journal(folder) == "wal"
    saver.delete_thread("many-1")
    saver.close()
    assert (journal(folder), check(folder).ok) == ("wal", True)


def test_after_the_threads_that_used_it_ended_and_its_journal_was_changed_it_waits_for_the_disk_as_the_new_one_needs(store):
    folder = store("wal")
    saver = DiskCacheSaver(folder)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(saver.open_questions).result()
    gc.collect()  # the connection of the thread that ended
    assert change_journal(folder, "delete")
    sql = saver._cache()._sql
    assert (sql("PRAGMA journal_mode").fetchone()[0], sql("PRAGMA synchronous").fetchone()[0]) == ("delete", 2)


KILLED = """
import os, signal, sys
from hitl_nb import DiskCacheSaver
saver = DiskCacheSaver(sys.argv[1])
saver.keep("task", b"k", b"kept")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no SIGKILL here")
def test_a_write_ahead_log_that_a_killed_process_left_is_taken_over_without_memory_that_is_shared(store, monkeypatch):
    folder = store("wal")
    subprocess.run([sys.executable, "-c", KILLED, folder], check=False, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert (folder / "cache.db-wal").stat().st_size > 0
    (folder / "cache.db-shm").unlink()
    (folder / "cache.db-shm").symlink_to(folder / "none" / "none")  # so that there is none
    with pytest.raises(StoreError):
        DiskCacheSaver(folder).head("t")
    monkeypatch.setattr("hitl_nb.checkpoint.upkeep.journal.require_whole_log", lambda folder: None)  # it minds the link
    assert change_journal(folder, "delete")
    assert DiskCacheSaver(folder, journal="delete").keep("task", b"k", b"other") == b"kept"
    assert not (folder / "cache.db-wal").exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no SIGKILL here")
def test_after_a_kill_and_a_change_nothing_says_that_a_write_ahead_log_is_open(store):
    folder = store("wal")
    subprocess.run([sys.executable, "-c", KILLED, folder], check=False, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert (folder / "cache.db-shm").exists()
    assert change_journal(folder, "delete")
    assert (journal_of(folder / "cache.db"), describe(folder).journal_mode) == ("delete", "delete")


def test_another_programs_database_is_left_as_it_is(tmp_path):
    with closing(sqlite3.connect(tmp_path / "cache.db")) as connection:
        connection.execute("CREATE TABLE other (x)")
    before = (tmp_path / "cache.db").read_bytes()
    with pytest.raises(StoreError, match="another program's database"):
        change_journal(tmp_path, "wal")
    assert (tmp_path / "cache.db").read_bytes() == before
    with pytest.raises(StoreError, match="there is no store in"):
        change_journal(tmp_path / "none", "wal")


def test_the_command_changes_the_journal_and_says_so(store):
    folder = store("wal")
    run = CliRunner().invoke
    done = run(main, ["store", "journal", "delete", "--store", str(folder)])
    assert (done.exit_code, done.stdout) == (0, f"{folder} has now the journal delete.\n")
    assert run(main, ["store", "journal", "delete", "--store", str(folder)]).stdout == f"{folder} had already the journal delete.\n"
    assert json.loads(run(main, ["store", "journal", "wal", "--json", "--store", str(folder)]).stdout)["changed"] is True
    assert run(main, ["store", "journal", "off", "--store", str(folder)]).exit_code == 2
    assert run(main, ["store", "journal", "wal", "--store", str(folder / "none")]).exit_code == 2


def test_a_command_says_the_warning_as_a_sentence(store, lies_on):
    folder = store("wal")
    lies_on("cifs")
    done = CliRunner().invoke(main, ["pending", "--json", "--store", str(folder)])
    assert done.exit_code == 0
    assert json.loads(done.stdout)
    assert done.stderr.startswith(f"warning: {folder} lies on a cifs file system, and ")
    assert done.stderr.count("\n") == 1


# -- what is tried out


def test_locks_that_let_two_in_are_an_error_and_the_store_is_not_opened(tmp_path, lies_on, monkeypatch):
    if not hasattr(os, "geteuid"):
        pytest.skip("locks as Unix has them")
    lies_on("nfs4")
    (tmp_path / "locks").mkdir()
    require_locks(tmp_path, Mount("nfs4"))
    monkeypatch.setattr(filesystem.fcntl, "fcntl", lambda *_: 0)
    with pytest.raises(StoreError, match=r"lies on a nfs4 file system, and two may hold the same lock at once \(fcntl\)"):
        DiskCacheSaver(tmp_path / "store").head("t")
    assert not (tmp_path / "store" / "cache.db").exists()
    assert not any((tmp_path / "locks").iterdir())


def test_a_file_system_without_locks_is_an_error_that_says_so(tmp_path, monkeypatch):
    if not hasattr(os, "geteuid"):
        pytest.skip("locks as Unix has them")

    def refuse(handle, way):
        raise OSError(errno.ENOLCK, "No locks available")

    (tmp_path / "locks").mkdir()
    monkeypatch.setattr(filesystem.fcntl, "flock", refuse)
    with pytest.raises(StoreError, match=r"it has no locks \(flock: No locks available\)"):
        require_locks(tmp_path, Mount("nfs4"))


def test_memory_that_is_not_shared_is_an_error_for_a_write_ahead_log_only(tmp_path, lies_on, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENODEV, "No such device")

    (tmp_path / "locks").mkdir()
    require_shared_memory(tmp_path, Mount("9p"))
    monkeypatch.setattr(mmap, "mmap", refuse)
    lies_on("9p")
    assert opened(tmp_path / "store") == ("delete", [])
    with pytest.raises(StoreError, match="no memory that users of a file share.*hitl-nb store journal delete"):
        DiskCacheSaver(tmp_path / "other", journal="wal").head("t")


def test_nothing_is_tried_on_a_local_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(filesystem, "_Probe", None)
    assert opened(tmp_path / "store") == ("wal", [])


# -- the rollback journal, read by those who do not open the store


def test_who_only_looks_sees_each_commit_and_upkeep_does_what_it_does(tmp_path, store):
    folder = store("delete")
    reader, saver = FolderReader(folder), DiskCacheSaver(folder)
    assert [q.interrupt_id for q in reader.open_questions()] == [q.interrupt_id for q in saver.open_questions()]
    for thread in [key.removeprefix("h/") for key, _ in reader._scan("h/") if "@" not in key][:3]:
        saver.delete_thread(thread)
        assert reader.head(thread) is None
    assert [q.interrupt_id for q in reader.open_questions()] == [q.interrupt_id for q in saver.open_questions()]
    assert check(folder).ok
    assert backup(folder, tmp_path / "copy").ok
    assert opened(tmp_path / "copy") == ("delete", [])
    assert vacuum(folder).complete


def test_looking_at_a_rollback_journal_drops_no_lock_that_this_process_has(store):
    folder = store("delete")
    saver = DiskCacheSaver(folder)
    rival = f"import sqlite3\nc = sqlite3.connect({str(folder / 'cache.db')!r}, timeout=0, isolation_level=None)\nc.execute('BEGIN IMMEDIATE')"
    with saver._transaction():
        assert journal_of(folder / "cache.db") == "delete"
        assert FolderReader(folder).open_questions() == saver.open_questions()
        describe(folder)
        tried = subprocess.run([sys.executable, "-c", rival], capture_output=True, text=True, check=False)
        assert "database is locked" in tried.stderr


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux says which files are open")
def test_databases_that_were_looked_at_and_deleted_do_not_stay_open(tmp_path):
    def held():
        return sum(path.is_symlink() and path.readlink().name == "cache.db (deleted)" for path in Path("/proc/self/fd").iterdir())

    before = held()
    for n in range(5):
        saver = DiskCacheSaver(tmp_path / str(n), journal="delete")
        saver.head("t")
        saver.close()
        assert describe(tmp_path / str(n)).journal_mode == "delete"
        shutil.rmtree(tmp_path / str(n))
    assert held() <= before + 1
