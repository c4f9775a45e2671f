"""A store is watched: every commit of anybody is seen, what only reads is not, and whoever looks on is not called for nothing."""

import subprocess
import sys
from threading import Event

import pytest

from hitl_nb import DiskCacheSaver, MemorySaver, StateGraph, interrupt
from hitl_nb.waiting.watching import Changes, Watching


def run(saver, thread_id):
    graph = StateGraph().add_node("ask", lambda state: {"answer": interrupt("Publish?")}).set_entry_point("ask").compile(checkpointer=saver)
    graph.invoke({"n": 1}, {"configurable": {"thread_id": thread_id}})
    return graph


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_each_commit_is_seen_once_and_reading_is_none(kind, tmp_path):
    saver = MemorySaver() if kind == "memory" else DiskCacheSaver(tmp_path / "store")
    run(saver, "a")
    changes = Changes(saver)
    assert not changes.seen()
    for n in range(5):
        run(saver, f"b-{n}")
        assert changes.seen()
        assert not changes.seen()
    saver.open_questions()
    saver.decisions("a")
    assert not changes.seen()
    changes.close()


def test_a_commit_of_another_process_is_seen(tmp_path):
    saver = DiskCacheSaver(tmp_path / "store")
    run(saver, "a")
    changes = Changes(saver)
    code = "import sys; sys.path.insert(0, sys.argv[2]); from test_watching import *; run(DiskCacheSaver(sys.argv[1]), 'b')"
    subprocess.run([sys.executable, "-c", code, str(saver.folder), str(__file__).rpartition("/")[0]], check=True)
    assert changes.seen()
    changes.close()


def test_a_store_that_is_replaced_is_seen_and_looked_at_anew(tmp_path):
    saver, other = DiskCacheSaver(tmp_path / "store"), DiskCacheSaver(tmp_path / "other")
    run(saver, "a")
    run(other, "a")
    changes = Changes(saver)
    other.close()
    saver.close()
    (tmp_path / "store").rename(tmp_path / "before")
    (tmp_path / "other").rename(tmp_path / "store")
    assert changes.seen()
    run(DiskCacheSaver(tmp_path / "store"), "b")
    assert changes.seen()
    changes.close()


def test_a_folder_that_sqlite_cannot_look_at_is_watched_by_what_its_files_tell(tmp_path, monkeypatch):
    saver = DiskCacheSaver(tmp_path / "store")
    run(saver, "a")

    def refuse(*_, **__):
        raise sqlite3.OperationalError("unable to open database file")

    import sqlite3

    changes = Changes(saver)
    changes.close()
    monkeypatch.setattr("hitl_nb.waiting.watching.sqlite3.connect", refuse)
    assert changes.seen()
    assert not changes.seen()
    monkeypatch.undo()
    run(saver, "b")
    monkeypatch.setattr("hitl_nb.waiting.watching.sqlite3.connect", refuse)
    changes.close()
    assert changes.seen()


def test_who_watches_is_told_at_the_start_and_after_a_commit_until_it_stops(tmp_path):
    saver, told = DiskCacheSaver(tmp_path / "store"), Event()
    run(saver, "a")
    watching = Watching(saver, told.set, lambda: True)
    watching.start()
    assert told.wait(10)
    told.clear()
    run(saver, "b")
    assert told.wait(10)
    watching.stop()
    assert not watching.is_on
    told.clear()
    watching.start()
    assert told.wait(10)
    watching.stop()


def test_it_ends_by_itself_when_nobody_looks_any_more():
    looked = Event()

    def goes_on():
        looked.set()
        return False

    watching = Watching(MemorySaver(), lambda: pytest.fail("nobody is there to be told"), goes_on)
    watching.start()
    assert looked.wait(10)
    assert watching._stopped.within(10)
    assert not watching.is_on
