"""Value files of transactions that came to nothing because their process was killed: whoever comes next removes them, and nothing else."""

import json
import os
import signal
import sqlite3

import pytest

from hitl_nb import DiskCacheSaver
from hitl_nb.checkpoint.leftovers import WRITING
from hitl_nb.checkpoint.sealing import LOCKS
from hitl_nb.checkpoint.upkeep.checking import check

LARGE = b"\x00large" * 40_000
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a process that it forked off")


def put(saver, key, record=LARGE):
    with saver._transaction():
        saver._put(key, record)


def killed(folder, *keys):
    """A process writes, and is killed before it has committed."""
    pid = os.fork()
    if pid == 0:
        try:
            saver = DiskCacheSaver(folder)
            with saver._transaction():
                for key in keys:
                    saver._put(key, LARGE)
                os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.glob("??/??/*.val"))


@pytest.fixture
def folder(tmp_path):
    saver = DiskCacheSaver(tmp_path / "store")
    put(saver, "v/kept")
    saver.close()
    return saver.folder


def test_an_opening_removes_what_a_killed_writer_left(folder):
    whole = files(folder)
    killed(folder, "v/one", "v/two")
    assert len(files(folder)) == 3
    assert check(folder).notes == [], "what is removed next is nothing to tell of"
    DiskCacheSaver(folder)._read("v/kept")
    assert files(folder) == whole


def test_the_next_writer_removes_what_a_killed_one_left(folder):
    saver = DiskCacheSaver(folder)
    saver._read("v/kept")
    killed(folder, "v/one")
    put(saver, "v/two")
    assert len(files(folder)) == 2
    assert saver._read("v/two") == saver._read("v/kept") == LARGE


def test_a_value_file_that_a_record_names_stays_whatever_the_note_says(folder):
    (name,) = files(folder)
    (folder / LOCKS / WRITING).write_text(f"{json.dumps([name, 'v/another'])}\nnonsense\n{json.dumps([name])}\n{json.dumps(['../cache.db', 'v'])}\n")
    assert DiskCacheSaver(folder)._read("v/kept") == LARGE
    with sqlite3.connect(folder / "cache.db") as connection:
        connection.execute("UPDATE Cache SET key = 'v/moved' WHERE key = 'v/kept'")
    put(DiskCacheSaver(folder), "v/new")
    assert name in files(folder)
