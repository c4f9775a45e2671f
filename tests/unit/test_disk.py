"""A store on disk is never evicted, unpickled, overwritten or read wrong, whatever happens to its folder."""

import os
import pickle
import resource
import shutil
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from pathlib import Path

import diskcache
import pytest

from hitl_nb.checkpoint import index
from hitl_nb.checkpoint.disk import DiskCacheSaver
from hitl_nb.checkpoint.folder import FolderReader
from hitl_nb.checkpoint.records import Checkpoint, ValueRef
from hitl_nb.checkpoint.sealing import FORMAT_VERSION, SETTINGS, seal
from hitl_nb.checkpoint.serde import pack
from hitl_nb.errors import CorruptStoreError, StoreError, StoreVersionError, ThreadBusyError
from hitl_nb.plain.tracebacks import let_go

BIG = 200_000


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def saver(folder):
    saver = DiskCacheSaver(folder)
    yield saver
    saver.close()


def put(saver, **records):
    with saver._transaction():
        for key, record in records.items():
            saver._put(key, record)


def fail_within(saver, error, **records):
    """A transaction that writes the records and then fails."""

    def transaction():
        with saver._transaction():
            for key, record in records.items():
                saver._put(key, record)
            raise error

    with pytest.raises(type(error)):
        transaction()


def sql(folder, statement, *values):
    with closing(sqlite3.connect(folder / "cache.db")) as connection, connection:
        return connection.execute(statement, values).fetchall()


def value_files(folder):
    return sorted(folder.rglob("*.val"))


# -- nothing is evicted ------------------------------------------------------------------------------------------------------------


def test_nothing_is_evicted_after_another_opener_switched_eviction_on(folder, saver):
    put(saver, **{f"c/{n}": b"x" * 1000 for n in range(50)})
    with diskcache.Cache(folder, eviction_policy="least-recently-stored", cull_limit=10, size_limit=1) as other:
        assert other.eviction_policy == "least-recently-stored"
    put(saver, one_more=b"x")
    saver.close()
    put(saver, after_opening_again=b"x")
    assert all(saver._read(f"c/{n}") for n in range(50))
    stored = dict(sql(folder, "SELECT key, value FROM Settings"))
    assert (stored["eviction_policy"], stored["cull_limit"], stored["size_limit"], stored["statistics"]) == ("none", 0, 1 << 62, 0)


def test_full_durability_holds_in_every_python_thread_although_another_opener_wants_less(folder):
    full = DiskCacheSaver(folder, durability="full")
    full.head("t")
    normal = DiskCacheSaver(folder)
    normal.head("t")

    def level(saver):
        return saver._cache()._sql("PRAGMA synchronous").fetchall()

    with ThreadPoolExecutor(1) as pool:
        assert [level(full), pool.submit(level, full).result(), level(normal), pool.submit(level, normal).result()] == [
            [(2,)],
            [(2,)],
            [(1,)],
            [(1,)],
        ]


# -- nothing is run or touched that the data names -----------------------------------------------------------------------------------


class Evil:
    def __reduce__(self):
        return (os.mkdir, (str(self.target),))


@pytest.fixture
def payload(tmp_path):
    evil = Evil()
    evil.target = tmp_path / "pwned"
    yield pickle.dumps(evil)
    assert not evil.target.exists()


def test_a_pickled_value_in_a_tampered_store_is_refused_and_not_run(folder, saver, payload):
    put(saver, record=b"x")
    for mode in (4, 1):
        sql(folder, "UPDATE Cache SET mode = ?, value = ? WHERE key = 'record'", mode, payload)
        with pytest.raises(CorruptStoreError, match="'record'"):
            saver._read("record")


def test_a_pickled_key_in_a_tampered_store_is_refused_and_not_run(folder, saver, payload):
    put(saver, **{"!o/1": b"x"})
    sql(folder, "UPDATE Cache SET key = ?, raw = 0 WHERE key = '!o/1'", payload)
    with pytest.raises(CorruptStoreError, match="altered"):
        list(saver._scan("!o/"))
    saver.close()
    assert saver._read("!o/1") is None


@pytest.mark.parametrize("name", ["../../secret.txt", "/etc/hostname", "locks/open.lock", "00/00/" + "0" * 28 + ".val\n", None, 5])
def test_a_file_name_that_is_not_ours_is_neither_read_nor_removed(folder, saver, name, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    put(saver, record=b"x" * BIG, moving=b"x")
    sql(folder, "UPDATE Cache SET filename = ? WHERE key = 'record'", name)
    with pytest.raises(CorruptStoreError, match="'record'"):
        saver._read("record")
    sql(folder, "UPDATE Cache SET key = 'h/t', filename = ? WHERE key = 'record'", name)
    if name is not None:
        with pytest.raises(StoreError):
            put(saver, **{"h/t": b"new"})
    assert secret.read_text() == "secret"
    assert (folder / "locks" / "open.lock").exists()


def test_the_settings_of_diskcache_are_known():
    assert {*diskcache.DEFAULT_SETTINGS, *diskcache.core.METADATA} == SETTINGS


def test_a_setting_that_diskcache_does_not_have_is_refused_before_it_is_applied(folder, saver):
    put(saver, record=b"x")
    saver.close()
    sql(folder, "INSERT INTO Settings VALUES ('sqlite_temp_store_directory', '/tmp/x')")
    with pytest.raises(CorruptStoreError, match="sqlite_temp_store_directory"):
        saver._read("record")


# -- nothing is read wrong -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [10, BIG])
def test_a_record_comes_back_and_one_byte_more_or_less_or_other_is_noticed(folder, saver, size):
    put(saver, record=b"x" * size)
    assert saver._read("record") == b"x" * size
    for change in (lambda b: b[:-1], lambda b: b + b"x", lambda b: b[:-1] + b"y", lambda b: b"y" + b[1:], lambda b: b""):
        if size == BIG:
            (file,) = value_files(folder)
            before = file.read_bytes()
            file.write_bytes(change(before))
        else:
            ((before,),) = sql(folder, "SELECT value FROM Cache WHERE key = 'record'")
            sql(folder, "UPDATE Cache SET value = ? WHERE key = 'record'", change(before))
        with pytest.raises(CorruptStoreError, match=f"'record'.*{folder.name}.*backup"):
            saver._read("record")
        if size == BIG:
            file.write_bytes(before)
        else:
            sql(folder, "UPDATE Cache SET value = ? WHERE key = 'record'", before)
    assert saver._read("record") == b"x" * size


def test_a_missing_value_file_is_a_damaged_record_and_not_a_missing_one(folder, saver):
    put(saver, record=b"x" * BIG)
    (file,) = value_files(folder)
    file.unlink()
    with pytest.raises(CorruptStoreError, match=file.name):
        saver._read("record")


@pytest.mark.parametrize("size", [10, BIG])
def test_two_records_that_were_swapped_are_noticed(folder, saver, size):
    put(saver, one=b"1" * size, two=b"2" * size)
    for old, new in (("one", "x"), ("two", "one"), ("x", "two")):
        sql(folder, "UPDATE Cache SET key = ? WHERE key = ?", new, old)
    for key in ("one", "two"):
        with pytest.raises(CorruptStoreError, match=f"'{key}'"):
            saver._read(key)


def test_a_database_that_was_cut_short_is_an_error_and_does_not_end_the_process(folder, saver):
    put(saver, **{f"c/{n}": b"x" * 3000 for n in range(200)})
    saver.close()
    with closing(sqlite3.connect(folder / "cache.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    os.truncate(folder / "cache.db", 100 * 1024)
    with pytest.raises(CorruptStoreError, match="backup"):
        [saver._read(f"c/{n}") for n in range(200)]


# -- what is written stays ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [10, BIG])
def test_a_record_is_written_once(folder, saver, size):
    put(saver, **{"c/1": b"old" * size})
    with pytest.raises(StoreError, match="'c/1' is in .* already"):
        put(saver, other=b"x", **{"c/1": b"new" * size})
    assert saver._read("c/1") == b"old" * size
    assert saver._read("other") is None
    assert len(value_files(folder)) == (size == BIG)


def test_only_heads_and_open_questions_move_and_only_open_questions_go(saver):
    for key in ("h/t", "!o/q", "d!head"):
        put(saver, **{key: b"1"})
        put(saver, **{key: b"2"})
        assert saver._read(key) == b"2"
    with saver._transaction():
        saver._delete("!o/q")
    assert saver._read("!o/q") is None
    for key in ("h/t", "d!head", "c/1"):
        with pytest.raises(StoreError, match="kept for ever"), saver._transaction():
            saver._delete(key)


def test_a_record_that_moves_never_lies_in_a_file(folder, saver):
    put(saver, **{"h/t": b"old"})
    with pytest.raises(StoreError, match="has to stay below"):
        put(saver, **{"h/t": b"x" * BIG})
    assert saver._read("h/t") == b"old"
    assert value_files(folder) == []


def test_a_transaction_that_fails_leaves_no_record_and_no_file(folder, saver):
    put(saver, kept=b"k" * BIG)
    fail_within(saver, ZeroDivisionError(), **{"gone": b"x" * BIG, "h/t": b"x"})
    assert (saver._read("gone"), saver._read("h/t"), len(value_files(folder))) == (None, None, 1)
    put(saver, gone=b"again" * BIG)
    assert saver._read("gone") == b"again" * BIG


def test_after_ctrl_c_in_a_transaction_the_store_takes_the_next_one(saver):
    fail_within(saver, KeyboardInterrupt(), half=b"x")
    put(saver, whole=b"x")
    assert (saver._read("half"), saver._read("whole")) == (None, b"x")


def test_after_ctrl_c_as_the_files_of_a_deleted_record_go_nobody_is_locked_out(folder, saver):
    put(saver, **{"v/large": b"x" * BIG})

    def press(frame, event, arg):
        if event == "c_return" and frame.f_code.co_name == "begin" and frame.f_back.f_code.co_name == "remove_gone":
            sys.setprofile(None)
            raise KeyboardInterrupt

    def erase():
        with saver._transaction():
            saver._erase("v/large")
            sys.setprofile(press)

    with pytest.raises(KeyboardInterrupt) as kept:  # by a notebook, with all its frames
        erase()
    with sqlite3.connect(folder / "cache.db", timeout=0) as other:
        other.execute("BEGIN IMMEDIATE")
    assert value_files(folder) == []
    put(saver, after=b"x")
    assert (saver._read("v/large"), saver._read("after")) == (None, b"x")
    assert kept


def test_a_transaction_whose_rolling_back_a_ctrl_c_cut_off_is_rolled_back_when_it_is_forgotten(folder, saver):
    def press(frame, event, arg):
        if event == "call" and frame.f_code.co_name == "roll_back":
            sys.setprofile(None)
            raise KeyboardInterrupt

    def cut_off():
        with saver._transaction():
            saver._put("half", b"x")
            sys.setprofile(press)
            raise StoreError("not this")

    with pytest.raises(KeyboardInterrupt) as pressed:
        cut_off()
    let_go(pressed.value)
    with sqlite3.connect(folder / "cache.db", timeout=0) as other:
        other.execute("BEGIN IMMEDIATE")
    put(saver, after=b"x")
    assert (saver._read("half"), saver._read("after")) == (None, b"x")


def test_who_only_reads_goes_on_when_somebody_writes_to_what_nobody_had_open(folder, saver):
    keys = [f"k/t/{n:06d}" for n in range(600)]
    put(saver, **dict.fromkeys(keys, bytes(1500)))
    saver.close()
    reader = FolderReader(folder)
    found = reader._scan("k/")
    seen = [next(found)[0]]
    with saver._transaction():
        for key in keys[::2]:
            saver._erase(key)
    put(saver, **{f"g/{n}": bytes([n]) * 3000 for n in range(200)})
    saver.close()  # nobody has it open again, and it is another one
    seen += [key for key, _ in found]
    assert {*keys[1::2]} <= {*seen} <= {*keys}
    assert [key for key, _ in reader._scan("k/")] == keys[1::2]


# -- the real cause ---------------------------------------------------------------------------------------------------------------------


def test_a_full_disk_is_named_and_what_was_stored_is_intact(saver):
    put(saver, before=b"x")
    pages = saver._cache()._sql("PRAGMA page_count").fetchall()[0][0]
    saver._cache().reset("sqlite_max_page_count", pages + 2, update=False)
    with pytest.raises(StoreError, match="the disk is full; free some space") as caught:
        put(saver, **{f"c/{n}": b"x" * 4000 for n in range(20)})
    assert "cannot rollback" not in str(caught.value)
    assert saver._read("before") == b"x"
    assert saver._read("c/0") is None
    put(saver, **{f"c/{n}": b"x" * 4000 for n in range(20)})  # a new connection, without the limit


@pytest.mark.skipif(sys.platform != "linux", reason="limits of file sizes as Linux has them")
def test_a_value_file_that_cannot_be_written_leaves_nothing(folder, saver):
    put(saver, before=b"x")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (BIG * 10, hard))
    try:
        with pytest.raises(StoreError, match="File too large"):
            put(saver, small=b"x", fits=b"x" * BIG, too_big=b"x" * BIG * 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert value_files(folder) == []
    assert [saver._read(key) for key in ("before", "small", "fits", "too_big")] == [b"x", None, None, None]


def test_a_store_locked_by_another_process_for_too_long_says_so(folder):
    saver = DiskCacheSaver(folder, timeout_s=0.05)
    put(saver, before=b"x")
    with closing(sqlite3.connect(folder / "cache.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"another process kept it locked for longer than timeout_s=0\.05"):
            put(saver, after=b"x")
        assert saver._read("before") == b"x"
        other.execute("ROLLBACK")
    put(saver, after=b"x")


def test_a_folder_that_cannot_be_written_to_is_named(ordinary_folder):
    ordinary_folder.chmod(0o500)
    with pytest.raises(StoreError, match="check its owner and permissions"):
        DiskCacheSaver(ordinary_folder / "store").head("t")


def test_a_path_through_a_file_is_an_error_of_the_store(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot open the store"):
        DiskCacheSaver(tmp_path / "file" / "store").head("t")


# -- whose folder it is -----------------------------------------------------------------------------------------------------------------


def test_a_folder_with_other_files_is_left_as_it_is(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(StoreError, match=r"holds other files \(thesis.tex\)"):
        DiskCacheSaver(tmp_path).head("t")
    assert not (tmp_path / "cache.db").exists()


def test_another_programs_diskcache_is_left_as_it_is(tmp_path):
    with diskcache.Cache(tmp_path) as theirs:
        theirs["x"] = 1
    with pytest.raises(StoreError, match="another program"):
        DiskCacheSaver(tmp_path).head("t")
    with diskcache.Cache(tmp_path) as theirs:
        assert (theirs["x"], theirs.eviction_policy) == (1, "least-recently-stored")


def test_another_programs_database_and_a_file_that_is_none_are_refused(tmp_path):
    with closing(sqlite3.connect(tmp_path / "cache.db")) as theirs:
        theirs.execute("CREATE TABLE birds (name)")
    with pytest.raises(StoreError, match="another program"):
        DiskCacheSaver(tmp_path).head("t")
    (tmp_path / "cache.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(CorruptStoreError, match="not a database"):
        DiskCacheSaver(tmp_path).head("t")


def test_a_store_of_a_newer_format_is_refused_with_what_to_do(folder, saver):
    saver.head("t")
    saver.close()
    record = pack([FORMAT_VERSION + 1])
    sql(folder, "UPDATE Cache SET value = ? WHERE key = '!format'", seal("!format", record) + record)
    with pytest.raises(StoreVersionError, match=f"format {FORMAT_VERSION + 1}, .* up to {FORMAT_VERSION}; pip install --upgrade hitl-nb"):
        saver.head("t")
    sql(folder, "UPDATE Cache SET value = 'x' WHERE key = '!format'")
    with pytest.raises(CorruptStoreError, match="!format"):
        saver.head("t")


def test_a_store_whose_making_was_interrupted_is_made_again(folder, saver):
    saver.head("t")
    saver.close()
    sql(folder, "DELETE FROM Cache")
    put(saver, record=b"x")
    assert sql(folder, "SELECT count(*) FROM Cache WHERE key = '!format'") == [(1,)]


def test_a_copied_folder_is_the_same_store(folder, saver, tmp_path):
    put(saver, small=b"x", big=b"x" * BIG)
    saver.close()
    shutil.copytree(folder, tmp_path / "copy")
    copy = DiskCacheSaver(tmp_path / "copy")
    assert (copy._read("small"), copy._read("big")) == (b"x", b"x" * BIG)


# -- use --------------------------------------------------------------------------------------------------------------------------------


def test_nothing_is_made_before_the_first_use(folder):
    DiskCacheSaver(folder, durability="full")
    assert not folder.exists()


def test_a_new_folder_is_opened_by_many_at_once(folder):
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda n: put(DiskCacheSaver(folder), **{f"c/{n}": b"x"}), range(16))) == [None] * 16
    assert all(DiskCacheSaver(folder)._read(f"c/{n}") == b"x" for n in range(16))


def test_it_pickles_as_its_folder_and_options(saver):
    put(saver, record=b"x")
    again = pickle.loads(pickle.dumps(DiskCacheSaver(saver.folder, durability="full", timeout_s=5)))
    assert (again._read("record"), again.durability, again.timeout_s) == (b"x", "full", 5)
    assert str(saver.folder) in repr(again)


def test_a_misspelt_durability_is_refused():
    with pytest.raises(ValueError, match="expected 'normal' or 'full'"):
        DiskCacheSaver("x", durability="Full")


def test_listing_open_questions_looks_at_no_other_keys(saver, monkeypatch):
    put(saver, **{f"h/{n:03d}": b"x" for n in range(400)}, **{f"!o/{n}": b"x" for n in range(7)})
    looked_at = []
    look = index._require_same
    monkeypatch.setattr(index, "_require_same", lambda row: looked_at.append(row[0]) or look(row))
    assert [key for key, _ in saver._scan("!o/")] == [f"!o/{n}" for n in range(7)]
    assert len(looked_at) == 1 + 7 + 1  # the format, the open ones, the one that ends it


def test_a_large_value_is_synced_with_the_names_that_lead_to_it(folder, monkeypatch):
    synced = []
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(Path(f"/proc/self/fd/{handle}").readlink()) or sync(handle))
    put(DiskCacheSaver(folder), normal=b"x" * BIG)
    assert synced == []
    put(DiskCacheSaver(folder, durability="full"), full=b"x" * BIG)
    file = synced[0]
    assert file in value_files(folder)
    assert synced == [file, file.parent, file.parent.parent, folder]


@pytest.mark.parametrize("thread_id", ["../../x", "a/b", ".", "CON", "ü" * 512])
def test_a_lock_file_lies_in_the_locks_folder_whatever_the_thread_is_called(folder, saver, thread_id):
    with saver.guard(thread_id):
        locks = {p.name for p in (folder / "locks").iterdir()} - {"open.lock", "users"}
    assert len(locks) == 1


def test_what_somebody_wrote_into_a_lock_file_is_not_repeated(folder, saver):
    with saver.guard("t"):
        (lock,) = [p for p in (folder / "locks").iterdir() if p.name not in ("open.lock", "users")]
        lock.write_text("<script>\x1b[31m", encoding="utf-8")
        with pytest.raises(ThreadBusyError, match="run by another process"), saver.guard("t"):
            pass


def test_a_large_value_of_a_thread_lies_in_one_file_and_is_read_by_the_next_opener(folder, saver):
    data = saver.serde.dumps(b"x" * BIG, "state")
    ref = ValueRef(0, 0, len(data), blake2b(data, digest_size=16).digest())
    checkpoint = Checkpoint(0, "n", None, -1, "input", datetime(2026, 1, 1, tzinfo=UTC), {"big": ref})
    saver.commit("t", None, checkpoint=checkpoint, large={0: data})
    assert len(value_files(folder)) == 1
    assert DiskCacheSaver(folder).values("t", checkpoint) == {"big": b"x" * BIG}


@pytest.mark.parametrize("replaced", [False, True], ids=["deleted", "replaced"])
def test_nothing_is_written_into_a_store_that_was_deleted_while_it_was_open(saver, folder, replaced):
    put(saver, **{"h/t": b"old"})
    shutil.rmtree(folder)
    if replaced:
        other = DiskCacheSaver(folder)
        put(other, **{"h/u": b"theirs"})
        other.close()
    with pytest.raises(StoreError, match="deleted or replaced while it was open"):
        put(saver, **{"h/t": b"new"})
    assert saver._read("h/t") is None  # called again, it works with what is there now
    assert saver._read("h/u") == (b"theirs" if replaced else None)


def test_a_store_that_is_deleted_inside_a_transaction_takes_none_of_it(saver, folder):
    put(saver, **{"h/t": b"old"})

    def write_around_the_deletion():
        with saver._transaction():
            saver._put("h/u", b"1")
            shutil.rmtree(folder)
            saver._put("h/v", b"2")

    with pytest.raises(StoreError, match="deleted or replaced"):
        write_around_the_deletion()
    with pytest.raises(StoreError, match="deleted or replaced"):
        saver._read("h/u")
    put(saver, **{"h/w": b"3"})
    assert saver._read("h/u") is None
    assert saver._read("h/w") == b"3"


def test_a_guard_of_a_deleted_store_is_not_given(saver, folder):
    saver._read("h/t")
    shutil.rmtree(folder)
    with pytest.raises(StoreError, match="deleted or replaced"), saver.guard("t"):
        pass
    assert not folder.exists()


def test_a_store_that_somebody_writes_to_for_a_moment_as_it_is_opened_is_waited_for(folder, monkeypatch):
    first = DiskCacheSaver(folder, journal="delete")
    first.head("t")
    first.close()
    writer, waits = sqlite3.connect(folder / "cache.db", isolation_level=None), []

    class Connection(sqlite3.Connection):
        def execute(self, statement, *given):
            meets = statement.startswith("DROP INDEX") and not waits
            if meets:
                writer.execute("BEGIN EXCLUSIVE")
            try:
                return super().execute(statement, *given)
            except sqlite3.OperationalError:
                waits.append(statement)
                writer.execute("ROLLBACK")
                raise

    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Connection))
    assert DiskCacheSaver(folder).head("t") is None
    assert waits
    writer.close()
