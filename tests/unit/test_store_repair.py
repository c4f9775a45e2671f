"""What is whole of a damaged store is taken over, what is not is told, and no decision is lost or made twice."""

import json
import shutil
import signal
import sqlite3
from contextlib import closing

import pytest
from click.testing import CliRunner

from hitl_nb import Command, DiskCacheSaver
from hitl_nb.checkpoint.sealing import PAGE
from hitl_nb.checkpoint.upkeep.checking import check
from hitl_nb.checkpoint.upkeep.repairing import repair
from hitl_nb.checkpoint.upkeep.vacuuming import vacuum
from hitl_nb.cli import main
from hitl_nb.errors import CorruptStoreError, StoreError, UnknownThreadError
from tests.crash.whole_store import THREADS, config, graph_of, make, read, read_thread


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "store"
    make(folder)
    return folder, read(folder)


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole[0], tmp_path / "store")


def sql(folder, statement, *values):
    with closing(sqlite3.connect(folder / "cache.db")) as connection:
        with connection:
            found = connection.execute(statement, values).fetchall()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return found


def saved(folder, drop=()):
    """The repaired store, its saver and what was done; the damaged folder is as it was."""
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    done = repair(folder, folder.with_name("saved"), make=lambda f: DiskCacheSaver(f, durability="full"), drop=drop)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    assert sorted(p.name for p in folder.parent.iterdir()) == ["saved", "store"]
    return folder.with_name("saved"), DiskCacheSaver(folder.with_name("saved")), done


def same_but(whole, saver, *damaged):
    """Every thread but these is what it was."""
    for thread_id in THREADS:
        if thread_id not in damaged:
            assert read_thread(saver, thread_id) == whole[1][thread_id], thread_id


def test_a_whole_store_is_taken_over_as_it_is(whole, folder):
    target, _, done = saved(folder)
    assert (done.lost, done.done, done.health.ok, done.blind) == ([], [], True, False)
    assert read(target) == whole[1]


def test_a_page_of_nonsense_costs_what_lay_on_it_and_it_is_named(whole, folder):
    with (folder / "cache.db").open("r+b") as file:
        data = file.read()
        key, table = b"c/0000000000/many-3", b"\x0d"  # how a page of the table begins; the index has the key, too
        place = next(n for n in range(0, len(data), PAGE) if data[n : n + 1] == table and key in data[n : n + PAGE])
        file.seek(place)
        file.write(b"\xff" * PAGE)
    _, saver, done = saved(folder)
    assert done.blind
    damaged = done.health.damaged_threads
    assert "many-3" in damaged
    assert len(damaged) < 6
    assert any("c/0000000000/many-3" in line for line in done.lost)
    same_but(whole, saver, *damaged)


def test_what_lies_between_two_pages_of_nonsense_is_saved(whole, folder):
    with (folder / "cache.db").open("r+b") as file:
        data = file.read()
        pages = [n for n in range(PAGE, len(data), PAGE) if data[n : n + 1] == b"\x0d"]
        for place in (pages[3], pages[-3]):
            file.seek(place)
            file.write(b"\xff" * PAGE)
    _, _, done = saved(folder)
    lost = sum(int.from_bytes(data[place + 3 : place + 5], "big") for place in (pages[3], pages[-3]))
    marks = sum("is lost" in line for line in done.done)
    assert done.records >= sql(whole[0], "SELECT count(*) FROM Cache")[0][0] - 1 - lost - marks


def test_a_database_that_was_cut_short_gives_what_is_left(whole, folder):
    with (folder / "cache.db").open("r+b") as file:
        file.truncate((folder / "cache.db").stat().st_size * 3 // 4)
    _, saver, done = saved(folder)
    assert done.records > 50
    assert done.blind
    told = {*done.health.damaged_threads, *(t for t in THREADS if any(t in line for line in (*done.lost, *done.done)))}
    for thread_id in whole[1].keys() & set(THREADS) - told:
        got = read_thread(saver, thread_id)
        assert got in (whole[1][thread_id], (None, [], [], []))


@pytest.mark.parametrize("thread_id", ["done", "waits", "nested"])
def test_a_thread_that_lost_where_it_stood_does_not_begin_again(whole, folder, thread_id):
    sql(folder, "DELETE FROM Cache WHERE key = ?", f"h/{thread_id}")
    target, saver, done = saved(folder)
    same_but(whole, saver, thread_id)
    assert any(f"thread '{thread_id}': where it stood is lost" in line for line in done.done)
    assert done.health.damaged_threads == [thread_id]
    for use in (
        lambda g: g.invoke({"x": 1}, config(thread_id)),
        lambda g: g.invoke(None, config(thread_id)),
        lambda g: g.get_state(config(thread_id)),
    ):
        with pytest.raises(CorruptStoreError):
            use(graph_of(saver))
    assert thread_id not in {q.thread_id for q in saver.open_questions()}
    assert [d.answer for d in saver.decisions(thread_id)] == [d.answer for d in whole[1][thread_id][3]]
    assert not check(target).ok


def test_a_thread_is_given_up_and_its_decisions_are_kept(whole, folder):
    sql(folder, "DELETE FROM Cache WHERE key = 'c/0000000001/done'")
    _, saver, done = saved(folder, drop=["done", "waits"])
    assert done.health.ok
    assert done.dropped == ("done", "waits")
    same_but(whole, saver, "done", "waits")
    assert [d.answer for d in saver.decisions("done", deleted=True)] == ["yes", "no"]
    assert "waits" not in {q.thread_id for q in saver.open_questions()}
    graph = graph_of(saver)
    assert graph.invoke({"x": 9}, config("done")).next == ("one",)  # the name can be used again
    graph.invoke(Command(resume="new"), config("done"))
    assert [d.number for d in saver.decisions("done")] == [2]
    assert check(saver.folder).ok


def test_what_once_did_and_is_lost_is_not_done_again(folder):
    (key,) = next(iter(sql(folder, "SELECT key FROM Cache WHERE key LIKE 'k/%'")))
    sql(folder, "UPDATE Cache SET value = x'00' WHERE key = ?", key)
    _, saver, done = saved(folder)
    assert any("is not done a second time" in line for line in done.done)
    with pytest.raises(CorruptStoreError, match="not done a second time"):
        saver.kept(key.split("/")[1])
    assert not done.health.ok


@pytest.mark.parametrize("beginning", ["i/", "!o/", "d!head"])
def test_what_other_records_say_in_full_is_written_again(whole, folder, beginning):
    sql(folder, "DELETE FROM Cache WHERE key LIKE ?", f"{beginning}%")
    target, _, done = saved(folder)
    assert done.done
    assert done.health.ok
    assert read(target) == whole[1]


def test_a_mark_of_a_question_that_is_lost_or_that_nobody_asks_goes(whole, folder):
    (lost, kept) = [q.interrupt_id for q in DiskCacheSaver(folder).open_questions()][:2]
    answered = DiskCacheSaver(folder).decisions("done")[0].interrupt_id
    sql(folder, "DELETE FROM Cache WHERE key = ?", f"q/{lost}")
    sql(folder, "INSERT INTO Cache (key, raw, mode, size, value) SELECT '!o/x', raw, mode, size, value FROM Cache WHERE key = ?", f"!o/{kept}")
    _, saver, done = saved(folder)
    listed = {q.interrupt_id for q in saver.open_questions()}
    assert (lost in listed, kept in listed, answered in listed) == (False, True, False)
    assert any("the question itself is lost" in line for line in done.done)
    assert any("'!o/x'" in line for line in done.lost)  # a seal is over its key, too


def test_entries_of_the_log_that_are_lost_are_told_for_ever(folder):
    sql(folder, "DELETE FROM Cache WHERE key = 'd/000000000004'")
    target, saver, done = saved(folder)
    assert any("entry 4 is missing" in d.what for d in done.health.damages)
    graph_of(saver).invoke(Command(resume="on"), config("waits"))  # the log goes on
    assert any("entry 4 is missing" in d.what for d in check(target).damages)


def test_nothing_is_made_where_something_is_or_of_nothing_or_without_a_thread_that_is_not_there(folder, tmp_path):
    make_one = DiskCacheSaver
    (tmp_path / "there").mkdir()
    with pytest.raises(StoreError, match="is there already"):
        repair(folder, tmp_path / "there", make=make_one)
    with pytest.raises(UnknownThreadError, match="'nobody'"):
        repair(folder, tmp_path / "new", make=make_one, drop=["nobody"])
    (folder / "cache.db").write_bytes(b"\0" * 100_000)
    with pytest.raises(CorruptStoreError, match="nothing of the store"):
        repair(folder, tmp_path / "new", make=make_one)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["store", "there"]


def test_the_command_is_never_silently_content(folder, tmp_path):
    ((name,),) = sql(folder, "SELECT filename FROM Cache WHERE key LIKE 'v/%/waits'")
    (folder / name).unlink()
    done = CliRunner().invoke(main, ["store", "repair", "--to", str(tmp_path / "saved"), "--store", str(folder)])
    assert done.exit_code == 1
    assert f"LOST     record 'v/0000000000/0000/waits': its value file {name} cannot be read" in done.stdout
    assert "Damaged threads: 1: waits." in done.stdout
    arguments = ["store", "repair", "--to", str(tmp_path / "again"), "--drop-thread", "waits", "--store", str(folder), "--json"]
    done = CliRunner().invoke(main, arguments)
    told = json.loads(done.stdout)
    assert (done.exit_code, told["health"]["ok"], told["dropped"], len(told["lost"])) == (1, True, ["waits"], 1)


@pytest.mark.parametrize("room", [0, 5_000, 60_000, 130_000])
def test_a_disk_that_gets_full_leaves_nothing_half_saved_and_the_damaged_store_as_it_is(folder, tmp_path, room):
    resource = pytest.importorskip("resource")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    handler, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(StoreError, match=str(tmp_path)):
            repair(folder, tmp_path / "saved", make=DiskCacheSaver)
        if room == 0:
            with pytest.raises(StoreError, match=str(folder)):
                vacuum(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
    assert {path: path.read_bytes() for path in before} == before
    assert check(folder).ok
