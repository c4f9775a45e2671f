"""Who shares a lock file, told beside others who look at the same moment."""

import os

import pytest

from hitl_nb.checkpoint import holding
from hitl_nb.checkpoint.holding import is_shared, share

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
