"""The write-ahead log stays small however long the store is written to, with no vacuum; one that a reader let grow gives its space back."""

import pytest

from hitl_nb import DiskCacheSaver
from hitl_nb.checkpoint.write_ahead import LOG

MIB = 1 << 20
COMMITS = 120


@pytest.fixture
def saver(tmp_path):
    saver = DiskCacheSaver(tmp_path / "store", journal="wal")
    saver.head("t")
    yield saver
    saver.close()


def written(saver, name):
    """Write 12 MiB in small commits; the sizes of the log after each."""
    sizes = []
    for n in range(COMMITS):
        with saver._transaction():
            saver._put(f"k/{name}/{n:06d}", bytes(100 * 1024))
        sizes.append((saver.folder / LOG).stat().st_size)
    return sizes


def test_the_log_does_not_grow_with_what_is_written(saver):
    assert max(written(saver, "a")) < 6 * MIB


def test_a_log_that_a_reader_let_grow_gives_its_space_back(saver):
    reader = DiskCacheSaver(saver.folder)
    reader.head("t")
    reader._cache()._sql("BEGIN")
    reader.head("t")  # what it sees stays until it ends, and so does the log behind it
    assert max(written(saver, "a")) > 10 * MIB
    reader._cache()._sql("ROLLBACK")
    reader.close()
    assert written(saver, "b")[-1] <= 8 * MIB
