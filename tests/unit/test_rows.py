"""Records are rows of diskcache's table: what it can read, what a run costs in statements and commits, and when a commit waits for the disk."""

import os
import sqlite3
import threading
from contextlib import closing
from itertools import groupby

import diskcache
import pytest

from hitl_nb import END, START, Command, DiskCacheSaver, StateGraph, interrupt
from hitl_nb.checkpoint.bytes_disk import BytesDisk
from hitl_nb.checkpoint.holding import hold
from hitl_nb.checkpoint.sealing import seal, unseal
from hitl_nb.errors import StoreError, ThreadBusyError

CONFIG = {"configurable": {"thread_id": "t", "reviewer": "ada"}}
BIG = "x" * 300_000


@pytest.fixture(params=["normal", "full"])
def saver(request, tmp_path):
    saver = DiskCacheSaver(tmp_path / "store", durability=request.param)
    saver.head("t")
    yield saver
    saver.close()


def asking(saver):
    builder = StateGraph()
    builder.add_node("ask", lambda state: {"answer": interrupt({"question": "Go on?"})})
    return builder.add_edge(START, "ask").compile(saver)


def counting(saver, to):
    builder = StateGraph()
    builder.add_node("count", lambda state: {"n": state["n"] + 1})
    builder.add_edge(START, "count").add_conditional_edges("count", lambda state: "count" if state["n"] < to else END, ["count", END])
    return builder.compile(saver)


def complaints(cache):
    """What diskcache finds wrong: files, counts, sizes. It does not know of locks, and would remove empty folders."""
    return [text for w in cache.check() if "locks" not in (text := str(w.message)) and "empty directory" not in text]


@pytest.fixture
def statements(saver):
    """`statements(f)`: what f has SQLite do in this Python thread."""
    done = []

    def of(call):
        connection = saver._cache()._con
        connection.set_trace_callback(done.append)
        done.clear()
        try:
            call()
        finally:
            connection.set_trace_callback(None)
        return [statement for statement, _ in groupby(done)]  # for what diskcache's triggers do the statement is told again

    return of


# -- diskcache's own table -----------------------------------------------------------------------------------------------------------------


def test_a_plain_diskcache_reads_every_record_and_has_counted_them(saver):
    asking(saver).invoke({"text": BIG}, CONFIG)
    asking(saver).invoke(Command(resume="yes"), CONFIG)
    saver.close()
    with diskcache.Cache(saver.folder, disk=BytesDisk) as cache:
        assert complaints(cache) == []
        found = {key: cache.get(key) for key in cache}
        assert len(cache) == len(found)
        assert {key[:2] for key in found} == {"!f", "h/", "c/", "v/", "p/", "q/", "a/", "i/", "g/", "d/", "d!"}
        for key, sealed in found.items():
            assert unseal(key, sealed, "the store") == sealed[16:]


def test_a_record_that_diskcache_wrote_is_read_and_moved_like_any_other(saver):
    record = b"x" * 100
    saver._cache().set("h/t", seal("h/t", record) + record)
    assert saver._read("h/t") == record
    with saver._transaction():
        assert saver._swap("h/t", record, b"y")
    assert saver._cache().get("h/t")[16:] == b"y"


def test_the_count_and_size_of_diskcache_stay_right_when_a_transaction_fails_and_when_a_thread_is_deleted(saver):
    asking(saver).invoke({"text": BIG}, CONFIG)
    before = [saver._cache().reset(name) for name in ("count", "size")]

    def fail():
        with saver._transaction():
            saver._put("c/1", b"x" * 300_000)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [saver._cache().reset(name) for name in ("count", "size")] == before
    saver.delete_thread("t")
    assert complaints(saver._cache()) == []


# -- compare and set -----------------------------------------------------------------------------------------------------------------------


def test_a_record_moves_only_from_what_it_is_expected_to_be(saver):
    with saver._transaction():
        saver._put("h/t", b"1")
    with saver._transaction():
        assert not saver._swap("h/t", b"2", b"3")
        assert not saver._swap("h/nobody", b"1", b"3")
        assert saver._swap("h/t", b"1", b"2")
        assert not saver._swap("h/t", b"1", b"3")
    assert (saver._read("h/t"), saver._read("h/nobody")) == (b"2", None)


def test_a_moving_record_in_a_form_that_is_not_ours_is_not_written_over(saver):
    with saver._transaction():
        saver._put("h/t", b"1")
    with closing(sqlite3.connect(saver.folder / "cache.db")) as other, other:
        other.execute("UPDATE Cache SET mode = 4 WHERE key = 'h/t'")
    with pytest.raises(StoreError, match="form that hitl_nb does not write"), saver._transaction():
        saver._put("h/t", b"2")


def test_nothing_is_written_outside_a_transaction_nor_a_transaction_begun_inside_one(saver):
    with pytest.raises(RuntimeError, match="outside a transaction"):
        saver._put("c/1", b"x")
    with pytest.raises(RuntimeError, match="inside another one"), saver._transaction(), saver._transaction():
        pass
    with saver._transaction():
        saver._put("c/1", b"x")
    assert saver._read("c/1") == b"x"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_process_that_is_forked_off_inside_a_transaction_cannot_end_it(saver):
    with saver._transaction():
        saver._put("c/1", b"x")
        rows, child = saver._rows(), os.fork()
        if not child:
            code = 1
            try:
                with pytest.raises(StoreError, match="forked off inside a transaction"):
                    rows.commit()
                code = int(rows.roll_back(certain=True))
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        saver._put("c/3", b"x")
    assert [saver._read(f"c/{n}") for n in (1, 2, 3)] == [b"x", None, b"x"]


# -- what a run costs ----------------------------------------------------------------------------------------------------------------------


def test_a_superstep_is_four_statements(saver, statements):
    def steps(to):
        return statements(lambda: counting(saver, to).invoke({"n": 0}, {"configurable": {"thread_id": f"t{to}"}}))

    def kinds(found):
        return [" ".join(s.split()[:2]) for s in found]

    steps(1)  # stores what the graph looks like
    more, less = steps(6), steps(5)
    one = kinds(s for s in more if not s.startswith("PRAGMA"))
    one = one[one.index("COMMIT") + 1 :][:4]
    assert one == ["BEGIN IMMEDIATE", "UPDATE Cache", "INSERT INTO", "COMMIT"]
    assert len(more) - len(less) == 4


def test_a_question_and_its_answer_are_four_commits_and_few_statements(saver, statements):
    graph = asking(saver)
    graph.invoke({"n": 0}, {"configurable": {"thread_id": "first"}})

    def trip():
        graph.invoke({"n": 0}, CONFIG)
        graph.invoke(Command(resume="yes"), CONFIG)

    done = statements(trip)
    assert done.count("COMMIT") == 4  # the input, the question, the answer, the end
    assert len([s for s in done if not s.startswith("PRAGMA")]) <= 46


# -- when a commit waits for the disk --------------------------------------------------------------------------------------------------------


def test_only_the_input_of_a_run_leaves_it_to_the_next_commit_to_wait_for_the_disk(saver, statements):
    graph = asking(saver)
    level = {"normal": 1, "full": 2}[saver.durability]

    def levels(call):
        """The level at each commit, and at the end."""
        now, found = level, []
        for statement in statements(call):
            if statement.startswith("PRAGMA synchronous"):
                now = {"NORMAL": 1, "FULL": 2}[statement.split()[-1]]
            elif statement == "COMMIT":
                found.append(now)
        return [*found, now]

    assert levels(lambda: graph.invoke({"n": 0}, CONFIG)) == [1, level, level]
    assert levels(lambda: graph.invoke(Command(resume="yes"), CONFIG)) == [level, level, level]
    assert levels(lambda: graph.invoke({"n": 1}, CONFIG)) == [1, level, level]
    over = StateGraph().add_node("no", lambda _: {}).add_conditional_edges(START, lambda _: END, [END, "no"]).compile(saver)
    assert levels(lambda: over.invoke({"n": 0}, {"configurable": {"thread_id": "over"}})) == [level, level]  # nothing comes after it
    told = {"configurable": {"thread_id": "told"}}
    assert levels(lambda: list(graph.stream({"n": 0}, told, stream_mode="values"))) == [level, level, level]  # somebody hears of the input
    assert saver._cache()._sql("PRAGMA synchronous").fetchall() == [(level,)]


def test_after_an_input_that_could_not_be_stored_the_next_commit_waits_for_the_disk_again(saver):
    def fail():
        with saver._transaction(lazily=True):
            raise StoreError("made up")

    with pytest.raises(StoreError, match="made up"):
        fail()
    assert saver._cache()._sql("PRAGMA synchronous").fetchall() == [({"normal": 1, "full": 2}[saver.durability],)]


def test_a_rollback_journal_waits_at_every_commit(tmp_path):
    saver = DiskCacheSaver(tmp_path / "store", durability="full", journal="delete")
    with saver._transaction(lazily=True):
        assert saver._cache()._sql("PRAGMA synchronous").fetchall() == [(3,)]
        saver._put("c/1", b"x")
    saver.close()


# -- who holds a thread ----------------------------------------------------------------------------------------------------------------------


def test_a_lock_is_held_once_in_one_process_and_free_when_it_is_let_go_or_forgotten(tmp_path):
    path = tmp_path / "a.lock"
    first = hold(path)
    assert (first is None, hold(path)) == (False, None)
    first.release()
    first.release()
    with pytest.warns(ResourceWarning):
        assert hold(path) is not None  # and forgotten at once, as a Ctrl-C leaves it
    hold(path).release()


def test_a_lock_that_is_let_go_is_free_although_a_process_that_is_being_started_has_a_copy_of_the_file(tmp_path):
    first = hold(tmp_path / "a.lock")
    copy = os.dup(first._file.fileno())
    first.release()
    hold(tmp_path / "a.lock").release()
    os.close(copy)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_process_that_is_forked_off_has_no_copy_so_that_its_parents_death_frees_the_lock(tmp_path):
    first = hold(tmp_path / "a.lock")
    child = os.fork()
    if not child:
        os._exit(0 if first._file.closed else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert hold(tmp_path / "a.lock") is None
    first.release()


def test_a_lock_and_one_of_filelock_keep_each_other_out(tmp_path):
    from filelock import FileLock, Timeout

    path = tmp_path / "a.lock"
    mine = hold(path)
    theirs = FileLock(path, blocking=False)
    with pytest.raises(Timeout):
        theirs.acquire()
    mine.release()
    with theirs:
        assert hold(path) is None
    hold(path).release()


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no links")
def test_a_link_in_the_place_of_a_lock_file_is_not_followed(tmp_path):
    target = tmp_path / "target"
    target.write_text("theirs")
    (tmp_path / "a.lock").symlink_to(target)
    with pytest.raises(OSError, match=r"a\.lock"):
        hold(tmp_path / "a.lock")
    assert target.read_text() == "theirs"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_process_that_is_forked_off_while_a_thread_is_held_neither_holds_it_nor_lets_it_go(saver):
    ready, stay = os.pipe(), os.pipe()
    with saver.guard("t"):
        child = os.fork()
        if not child:
            try:
                with pytest.raises(ThreadBusyError), saver.guard("t"):
                    pass
                os.write(ready[1], b"busy")
                os.read(stay[0], 1)  # lives on while its parent lets go
            finally:
                os._exit(0)
        assert os.read(ready[0], 4) == b"busy"
        with pytest.raises(ThreadBusyError), saver.guard("t"):
            pass
    with saver.guard("t"):
        pass
    os.write(stay[1], b"x")
    os.waitpid(child, 0)
    for handle in (*ready, *stay):
        os.close(handle)


def test_many_python_threads_that_want_a_new_thread_get_it_one_at_a_time(saver):
    inside, twice, had = [], [], []

    def run(n):
        for _ in range(200):
            try:
                with saver.guard(f"new-{n % 2}"):
                    inside.append(n % 2)
                    twice.extend([1] * (inside.count(n % 2) > 1))
                    had.append(1)
                    inside.remove(n % 2)
            except ThreadBusyError:
                pass

    threads = [threading.Thread(target=run, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (twice, len(had) >= 200) == ([], True)


def test_a_transaction_goes_to_its_end_although_another_python_thread_forgets_the_store(tmp_path):
    saver, begun, forgotten, failed = DiskCacheSaver(tmp_path / "store"), threading.Event(), threading.Event(), []

    def work():
        try:
            with saver._transaction():
                begun.set()
                forgotten.wait(30)
                assert saver._read("k/1/0") is None
                saver._put("k/1/0", b"kept")
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(30)
    saver.close()  # as a Ctrl-C in a transaction of this one makes it
    forgotten.set()
    thread.join()
    assert failed == []
    assert saver._read("k/1/0") == b"kept"
