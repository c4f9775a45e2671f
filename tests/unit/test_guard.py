"""What holding a thread leaves behind: no lock file of a thread that is not there, and nothing of anybody else's is touched."""

import shutil

import pytest

from hitl_nb.checkpoint.disk import DiskCacheSaver
from hitl_nb.checkpoint.holding import hold
from hitl_nb.checkpoint.rows import Rows
from hitl_nb.errors import StoreError

pytest.importorskip("fcntl")


def lock_of(saver):
    return next(p for p in (saver.folder / "locks").iterdir() if p.name not in ("open.lock", "users"))


def test_the_lock_file_of_somebody_else_is_not_removed_with_ones_own(tmp_path):
    """The folder was replaced meanwhile, and somebody runs a thread of that name in the new one."""
    saver = DiskCacheSaver(tmp_path / "s")
    with saver.guard("t"):
        path = lock_of(saver)
        path.rename(path.with_suffix(".away"))
        theirs = hold(path)
    assert hold(path) is None
    theirs.release()


def test_a_store_that_is_moved_away_inside_a_guard_is_told_of_by_the_next_call(tmp_path):
    saver = DiskCacheSaver(tmp_path / "s")
    with saver.guard("t"):
        shutil.move(tmp_path / "s", tmp_path / "away")
    with pytest.raises(StoreError, match="deleted or replaced"):
        saver.open_questions()
    assert not (tmp_path / "s").exists()


def test_what_fails_as_a_lock_is_given_back_does_not_take_the_place_of_what_the_block_raised(tmp_path, monkeypatch):
    saver = DiskCacheSaver(tmp_path / "s")

    def broken(self, key):
        raise MemoryError

    assert saver.head("t") is None
    monkeypatch.setattr(Rows, "read", broken)
    with pytest.raises(ZeroDivisionError), saver.guard("t"):
        raise ZeroDivisionError
    monkeypatch.undo()
    with saver.guard("t"):
        pass


def test_a_store_that_failed_inside_a_guard_is_not_asked_again_at_its_end(tmp_path, monkeypatch):
    saver, asked = DiskCacheSaver(tmp_path / "s"), []
    monkeypatch.setattr(saver, "head", asked.append)
    with pytest.raises(StoreError), saver.guard("t"):
        raise StoreError("locked")
    assert asked == []
