"""A look at a store's folder finds everything that is wrong with it, says where, and changes nothing."""

import json
import os
import pickle
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from click.testing import CliRunner

from hitl_nb import Command, DiskCacheSaver
from hitl_nb.checkpoint import verifying
from hitl_nb.checkpoint.audit import log_head
from hitl_nb.checkpoint.folder import FolderReader
from hitl_nb.checkpoint.sealing import FORMAT_VERSION, seal
from hitl_nb.checkpoint.serde import pack, unpack
from hitl_nb.checkpoint.upkeep.checking import check
from hitl_nb.checkpoint.upkeep.salvage import every_row
from hitl_nb.checkpoint.verifying import verify
from hitl_nb.cli import main
from hitl_nb.errors import StoreError, StoreVersionError
from tests.crash.whole_store import config, graph_of, make, read


def sql(folder, statement, *values):
    with closing(sqlite3.connect(folder / "cache.db")) as connection, connection:
        return connection.execute(statement, values).fetchall()


def keys(folder, beginning):
    return [key for (key,) in sql(folder, "SELECT key FROM Cache WHERE key LIKE ? ORDER BY key", f"{beginning}%")]


def put(folder, key, record):
    """A record with a right seal, as somebody writes it who knows how."""
    changed = sql(folder, "UPDATE Cache SET value = ?, mode = 1, filename = NULL WHERE key = ? RETURNING 1", seal(key, record) + record, key)
    if not changed:
        sql(folder, "INSERT INTO Cache (key, raw, mode, size, value) VALUES (?, 1, 1, 0, ?)", key, seal(key, record) + record)


def content(folder, key):
    ((value,),) = sql(folder, "SELECT value FROM Cache WHERE key = ?", key)
    return unpack(value[16:])


def everything(folder):
    return {p.relative_to(folder): (p.stat().st_mtime_ns, p.stat().st_size) for p in folder.rglob("*")}


def test_a_whole_store_is_found_whole_and_nothing_in_it_is_touched(folder):
    before = everything(folder)
    health = check(folder)
    assert (health.ok, health.damages, health.notes, health.threads, health.value_files) == (True, [], [], 12, 7)
    assert health.records == sql(folder, "SELECT count(*) FROM Cache")[0][0]
    assert health.bytes == sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    assert everything(folder).keys() - before.keys() <= {p for p in everything(folder) if "-wal" in p.name or "-shm" in p.name}  # of sql() here


def test_a_look_leaves_no_file_of_its_own(whole):
    before = everything(whole)
    assert check(whole).ok
    assert everything(whole) == before


def test_a_store_that_is_in_use_is_looked_at_as_it_is_now(folder):
    saver = DiskCacheSaver(folder)
    graph = graph_of(saver)
    graph.invoke({"x": 1, "text": "new"}, config("new"))
    health = check(folder)  # what was just written lies in cache.db-wal
    assert (health.ok, health.threads) == (True, 13)
    saver.close()


def test_a_folder_that_cannot_be_written_to_is_looked_at(ordinary_folder):
    make(ordinary_folder / "store")
    for path in [ordinary_folder / "store", *(ordinary_folder / "store").rglob("*")]:
        path.chmod(0o500 if path.is_dir() else 0o400)
    before = everything(ordinary_folder)
    assert check(ordinary_folder / "store").ok
    assert everything(ordinary_folder) == before


DELETED = [
    ("h/done", "done", "its head is missing or was set back"),
    ("c/0000000001/done", "done", "checkpoint 1 of thread 'done' is missing"),
    ("c/0000000002/done", "done", "checkpoint 2, where thread 'done' stands, is missing"),
    ("p/0000000000/000001/done", "done", "events 1 of checkpoint 0 of thread 'done' are missing"),
    ("p/0000000001/000000/waits", "waits", "events [0] of checkpoint 1, where thread 'waits' stands, are missing"),
    ("v/0000000000/0000/done", "done", "state['big'] at checkpoint 0 of thread 'done' is missing"),
    ("a/0000000001/done", "done", "decision 1 of thread 'done' is missing"),
    ("a/0000000000/deleted", "deleted", "decision 0 of thread 'deleted' is missing"),
    ("d/000000000003", "", "decision log: entry 3 is missing"),
]


@pytest.mark.parametrize(("key", "thread_id", "what"), DELETED, ids=[key for key, *_ in DELETED])
def test_a_record_that_is_gone_is_missed(folder, key, thread_id, what):
    assert sql(folder, "DELETE FROM Cache WHERE key = ? RETURNING 1", key)
    health = check(folder)
    assert [d for d in health.damages if what in d.what and d.thread_id == thread_id and d.file == "cache.db"], health.damages
    assert health.damaged_threads == ([thread_id] if thread_id else [])


@pytest.mark.parametrize(
    ("beginning", "what"),
    [
        ("q/", "is missing"),
        ("i/", "says that another decision answered it, or none"),
        ("!o/", "is open, and not listed as open"),
    ],
)
def test_any_question_answer_or_mark_that_is_gone_is_missed(folder, beginning, what):
    for key in keys(folder, beginning)[::6]:
        row = sql(folder, "DELETE FROM Cache WHERE key = ? RETURNING key, raw, mode, size, value", key)
        assert [d for d in check(folder).damages if what in d.what], key
        sql(folder, "INSERT INTO Cache (key, raw, mode, size, value) VALUES (?, ?, ?, ?, ?)", *row[0])
    assert check(folder).ok


def test_what_once_kept_and_is_gone_is_missed(folder):
    key = keys(folder, "k/")[0]
    put(folder, key.replace("/000000", "/000001"), pack([b"a", b"b"]))
    sql(folder, "DELETE FROM Cache WHERE key = ?", key)
    assert [d for d in check(folder).damages if "it would be done again" in d.what]


def test_a_mark_of_a_question_that_nobody_asks_is_told(folder):
    done = content(folder, "a/0000000000/done")[0]
    put(folder, f"!o/{done}", pack(content(folder, keys(folder, "!o/")[0])))
    assert [d for d in check(folder).damages if f"{done} is listed as open, and thread" in d.what]


@pytest.mark.parametrize(
    "change", [lambda b: b[:-1], lambda b: b + b"x", lambda b: b"y" + b[1:], lambda b: b""], ids=["short", "long", "other", "empty"]
)
def test_a_value_file_that_was_changed_is_named(folder, change):
    ((key, name),) = sql(folder, "SELECT key, filename FROM Cache WHERE key LIKE 'v/%/waits'")
    (folder / name).write_bytes(change((folder / name).read_bytes()))
    health = check(folder)
    assert health.damaged_files == [name]
    assert health.damaged_threads == ["waits"]
    assert key in health.damages[0].what


def test_a_value_file_that_is_gone_is_named_and_one_too_many_is_a_note(folder):
    ((name,),) = sql(folder, "SELECT filename FROM Cache WHERE key LIKE 'v/%/waits'")
    (folder / name).rename((folder / name).with_name("0" * 28 + ".val"))
    health = check(folder)
    assert name in health.damaged_files
    assert "1 value files belong to no record" in health.notes[0]


def test_large_values_that_were_swapped_are_noticed(folder):
    (a, b) = sql(folder, "SELECT key, filename FROM Cache WHERE key LIKE 'v/%/waits' OR key LIKE 'v/%/done'")
    for (key, _), (_, name) in ((a, b), (b, a)):
        sql(folder, "UPDATE Cache SET filename = ? WHERE key = ?", name, key)
    assert check(folder).damaged_threads == ["done", "waits"]


class Evil:
    def __reduce__(self):
        return (os.mkdir, ("ran",))


TAMPERED = {
    "a pickled value": ("UPDATE Cache SET mode = 4, value = ? WHERE key = 'h/done'", "a form (mode 4) that hitl_nb does not write"),
    "a pickled key": ("UPDATE Cache SET raw = 0, key = ? WHERE key = 'h/done'", "has a key of type bytes"),
    "a foreign file": ("UPDATE Cache SET mode = 2, filename = '../../etc/passwd' WHERE key = 'h/done' AND ? != ''", "as hitl_nb names none"),
    "a text": ("UPDATE Cache SET value = 'text' WHERE key = 'h/done' AND ? != ''", "a form (mode 1)"),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_what_hitl_nb_does_not_write_is_told_and_neither_run_nor_read(folder, what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    statement, told = TAMPERED[what]
    sql(folder, statement, pickle.dumps(Evil()))
    health = check(folder)
    assert [d for d in health.damages if told in d.what], health.damages
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "record",
    [
        b"\xc6\xff\xff\xff\xff",  # 4 GiB of bytes, it says
        b"\xdd\xff\xff\xff\xff",  # a list of 4 milliards
        b"\x91" * 100_000,
        b"",
        pack(5),
        pack([]),
        pack([None] * 20),
        pack({"x": 1}),
    ],
)
def test_a_record_of_the_right_seal_and_of_nonsense_is_told(folder, record):
    for key in ("h/done", "c/0000000000/done", "p/0000000000/000000/done", "a/0000000000/done", "d/000000000003", "d!head"):
        put(folder, key, record)
    put(folder, keys(folder, "q/")[0], record)
    put(folder, keys(folder, "i/")[0], record)
    put(folder, keys(folder, "!o/")[0], record)
    health = check(folder)
    assert len(health.damages) >= 8
    with pytest.raises((StoreError, TypeError, ValueError, LookupError, AttributeError)):  # and a reader of the store gets an error, not a value
        read(folder)


def test_a_record_of_an_unknown_kind_is_told(folder):
    put(folder, "x/1", pack(1))
    assert "of a kind that this hitl_nb does not write" in check(folder).damages[0].what


def test_a_newer_store_another_program_and_no_store_are_refused(folder, tmp_path):
    put(folder, "!format", pack([FORMAT_VERSION + 1]))
    with pytest.raises(StoreVersionError, match="pip install --upgrade"):
        check(folder)
    with pytest.raises(StoreError, match="there is no store"):
        check(tmp_path / "none")
    (tmp_path / "theirs").mkdir()
    with closing(sqlite3.connect(tmp_path / "theirs" / "cache.db")) as theirs:
        theirs.execute("CREATE TABLE birds (name)")
    with pytest.raises(StoreError, match="another program's database"):
        check(tmp_path / "theirs")


def test_the_command_prints_what_is_damaged_by_file_and_thread_and_what_is_left(folder):
    done = CliRunner().invoke(main, ["store", "check", "--store", str(folder)])
    assert (done.exit_code, done.stdout.endswith("whole.\n")) == (0, True)
    ((name,),) = sql(folder, "SELECT filename FROM Cache WHERE key LIKE 'v/%/waits'")
    (folder / name).unlink()
    done = CliRunner().invoke(main, ["store", "check", "--store", str(folder)])
    assert done.exit_code == 1
    assert f"DAMAGE   {name}  thread 'waits'" in done.stdout
    assert "Damaged threads: 1: waits." in done.stdout
    assert "11 whole threads of 12" in done.stdout
    assert "store repair --to" in done.stderr
    told = json.loads(CliRunner().invoke(main, ["store", "check", "--json", "--store", str(folder)]).stdout)
    assert (told["ok"], told["damaged_threads"], told["damaged_files"]) == (False, ["waits"], [name])
    assert CliRunner().invoke(main, ["store", "check", "--store", str(folder / "none")]).exit_code == 2


def begun(folder):
    """A store that stays open, with a thread that waits and has value files."""
    saver = DiskCacheSaver(folder)
    graph_of(saver).invoke({"x": 1, "big": b"large" * 50_000}, config("t"))
    return saver


def test_looking_does_not_let_go_of_the_locks_of_who_has_the_store_open(tmp_path):
    saver = begun(tmp_path / "store")
    assert check(saver.folder).ok
    other = "import sys; from hitl_nb import DiskCacheSaver; s = DiskCacheSaver(sys.argv[1]); s.open_questions(); s.close()"
    subprocess.run([sys.executable, "-c", other, saver.folder], check=True)
    assert (saver.folder / "cache.db-wal").exists(), "the other process took itself for the last one, and removed the log"


@pytest.mark.parametrize("look", [lambda saver: verify(saver).problems, lambda saver: check(saver.folder).damages])
def test_what_is_decided_while_the_log_is_read_is_no_damage(tmp_path, monkeypatch, look):
    saver = begun(tmp_path / "store")
    graph_of(saver).invoke(Command(resume="yes"), config("t"))

    def then_somebody_decides(store):
        found = log_head(store)
        graph_of(DiskCacheSaver(saver.folder)).invoke(Command(resume="no"), config("t"))
        return found

    monkeypatch.setattr("hitl_nb.checkpoint.verifying.log_head", then_somebody_decides)
    assert list(look(saver)) == []
    assert len(saver.decisions("t")) == 2


@pytest.mark.parametrize("change", ["delete", "prune"])
def test_what_is_deleted_while_it_is_looked_at_is_no_damage(tmp_path, monkeypatch, change):
    saver = begun(tmp_path / "store")
    for answer in ("yes", "no"):
        graph_of(saver).invoke(Command(resume=answer), config("t"))
    graph_of(saver).update_state(config("t"), {"big": b"other" * 50_000})
    before = len(list(saver.folder.glob("??/??/*.val")))

    def first_deleted(connection):
        rows = list(every_row(connection))
        if change == "delete":
            saver.delete_thread("t")
        else:
            saver.prune(["t"])
        return iter(rows)

    monkeypatch.setattr("hitl_nb.checkpoint.upkeep.checking.every_row", first_deleted)
    assert check(saver.folder).damages == []
    assert len(list(saver.folder.glob("??/??/*.val"))) < before


def test_a_log_to_which_somebody_begins_to_write_while_it_is_verified_is_whole(folder, monkeypatch):
    read_log, saver, thread = verifying._chain, DiskCacheSaver(folder), config("new")

    def interrupted(store, count, newest):
        for entry in read_log(store, count, newest):
            if len(saver.decisions("new")) == 0:
                graph_of(saver).invoke(Command(resume=" yes"), thread)
            saver.close()
            yield entry

    graph_of(saver).invoke({"x": 1}, thread)
    saver.close()
    count = verify(FolderReader(folder)).count
    monkeypatch.setattr(verifying, "_chain", interrupted)
    found = verify(FolderReader(folder))
    assert (found.problems, found.count) == ((), count + 1)
