"""Who holds or shares a lock file, told beside others who look at it, or remove it, at the same moment."""

import os

import pytest

from hitl_nb.checkpoint import holding
from hitl_nb.checkpoint.holding import hold, is_shared, share

fcntl = pytest.importorskip("fcntl")


@pytest.fixture
def looked_at(tmp_path, monkeypatch):
    """A file that somebody has to himself for as long as a look takes: until the first pause of whoever finds it so."""
    path = tmp_path / "users"
    handle = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    monkeypatch.setattr(holding, "sleep", lambda seconds: fcntl.flock(handle, fcntl.LOCK_UN))
    yield path
    os.close(handle)


def test_who_shares_a_file_while_another_one_looks_at_it_has_it(looked_at):
    held = share(looked_at)
    assert held is not None
    assert is_shared(looked_at)
    held.release()
    assert not is_shared(looked_at)


def test_a_file_that_another_one_only_looks_at_is_not_shared(looked_at):
    assert not is_shared(looked_at)


def test_a_lock_file_that_is_removed_between_its_opening_and_its_locking_is_made_anew(tmp_path, monkeypatch):
    path, real = tmp_path / "t.lock", fcntl.flock
    removed = []

    def flock(file, way):
        if not removed:
            removed.append(path.unlink())
        return real(file, way)

    monkeypatch.setattr(fcntl, "flock", flock)
    held = hold(path)
    assert (path.exists(), hold(path)) == (True, None)
    held.release()


def test_a_lock_file_that_the_file_system_renames_as_it_is_removed_locks_nobody_out(tmp_path, monkeypatch):
    """NFS and FUSE do so while somebody has it open, and it keeps its link."""
    path, real = tmp_path / "t.lock", fcntl.flock
    removed = []

    def flock(file, way):
        if not removed:
            removed.append(path.rename(tmp_path / ".nfs0001"))
        return real(file, way)

    monkeypatch.setattr(fcntl, "flock", flock)
    held = hold(path)
    assert (path.exists(), hold(path)) == (True, None)
    held.release()
