"""Permissions that an ordinary user loses in the middle of an operation: an error that names the folder, nothing lost, and it goes on afterwards."""

import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path

import pytest

from hitl_nb import Command, DiskCacheSaver
from hitl_nb.checkpoint.upkeep.backup import backup
from hitl_nb.checkpoint.upkeep.checking import check
from hitl_nb.checkpoint.upkeep.repairing import repair
from hitl_nb.checkpoint.upkeep.vacuuming import vacuum
from hitl_nb.errors import StoreError
from tests.conftest import NOBODY
from tests.crash.whole_store import BIG, config, graph_of, make

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="permissions and users as Unix has them")


def begin(folder, saver):
    graph = graph_of(saver)
    there = saver.head("new") is not None
    return graph.invoke(None if there else {"x": 1, "big": BIG}, config("new")).next


def answer(folder, saver):
    given = Command(resume="later") if len(saver.decisions("waits")) == 1 else None
    done = graph_of(saver).invoke(given, config("waits"))
    return done.next, [d.answer for d in saver.decisions("waits")]


def delete(folder, saver):
    if saver.head("done") is not None:
        saver.delete_thread("done")
    return saver.head("done"), len(saver.decisions("done", deleted=True))


def prune(folder, saver):
    saver.prune(["reopened"])
    return len(list(saver.history("reopened")))


def copy(folder, saver):
    target = folder.with_name("copy")
    if target.exists():  # one that is there is whole
        assert check(target).ok
        return "copied"
    backup(folder, target)
    return copy(folder, saver)


def save(folder, saver):
    target = folder.with_name("saved")
    return "saved" if target.exists() and check(target).ok else (repair(folder, target, make=DiskCacheSaver) and save(folder, saver))


def pack(folder, saver):
    vacuum(folder, free_locks=saver.free_locks)
    return "packed"


OPERATIONS = [begin, answer, delete, prune, copy, save, pack]


class Thief:
    """Takes the permissions away at one of the calls that Python tells of: files that are opened, made, removed, and statements of records."""

    def __init__(self):
        self.folder, self.calls, self.when, self.on = Path(), 0, 0, False
        sys.addaudithook(self.hear)

    def hear(self, event, args):
        if self.on and event in ("open", "os.mkdir", "os.remove", "os.rename", "os.listdir", "os.scandir", "sqlite3.connect", "shutil.copyfile"):
            self.called()

    def called(self):
        self.calls += 1
        if self.calls == self.when:
            self.on = False
            permit(self.folder, 0o500, 0o400)

    def watched(self, operation, folder, when):
        saver = DiskCacheSaver(folder)
        for name in ("_put", "_put_value", "_swap", "_read", "_delete", "_erase"):
            setattr(saver, name, self.counted(getattr(saver, name)))
        self.folder, self.calls, self.when, self.on = folder.parent, 0, when, True
        try:
            return operation(folder, saver)
        finally:
            self.on = False
            saver.close()

    def counted(self, call):
        def counts(*args):
            if self.on:
                self.called()
            return call(*args)

        return counts


def permit(place, of_folders, of_files):
    """From the top down when it is given, from below when it is taken."""
    found = [place, *place.rglob("*")] if of_folders & 0o200 else [*place.rglob("*"), place]
    for path in found:
        with suppress(FileNotFoundError):
            path.chmod(of_folders if path.is_dir() else of_files)
    if of_folders & 0o200:
        for path in place.rglob("*"):
            path.chmod(of_folders if path.is_dir() else of_files)


def lose(whole, place, operation, thief, when):
    folder = shutil.copytree(whole, place / "stores" / "store")
    try:
        result, error = thief.watched(operation, folder, when), None
    except StoreError as failed:
        result, error = None, str(failed)
        assert str(place) in error, error
    calls = thief.calls
    permit(place / "stores", 0o700, 0o600)
    again = DiskCacheSaver(folder)
    assert operation(folder, again) == result or error
    expected = operation(folder, again)
    again.close()
    assert check(folder).ok, (operation.__name__, when, error)
    shutil.rmtree(place / "stores")
    return calls, expected, error


def as_nobody(work, *args):
    """Run it in a process of its own, whose user is an ordinary one and cannot go back."""

    def child(told):
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setresgid(NOBODY, NOBODY, NOBODY)
                os.setresuid(NOBODY, NOBODY, NOBODY)
            told.send((True, work(*args)))
        except BaseException:
            told.send((False, traceback.format_exc()))

    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe(duplex=False)
    process = fork.Process(target=child, args=(theirs,))
    process.start()
    theirs.close()
    ended, found = ours.recv()
    process.join()
    assert ended, found
    return found


def at_many_calls(place, operation, most):
    thief = Thief()
    whole = place / "whole"
    make(whole)
    calls, expected, _ = lose(whole, place, operation, thief, 0)
    moments = random.Random(operation.__name__).sample(range(1, calls + 1), min(most, calls))
    errors = []
    for when in sorted(moments):
        _, found, error = lose(whole, place, operation, thief, when)
        assert found == expected, (operation.__name__, when)
        errors += [error] if error else []
    assert (os.getuid(), os.geteuid()) != (0, 0)
    return calls, len(moments), len(errors)


@pytest.fixture
def place(_loaded):
    folder = Path(tempfile.mkdtemp(prefix="hitl-nb-"))
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    yield folder
    permit(folder, 0o700, 0o600)
    shutil.rmtree(folder)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_permissions_that_are_lost_half_way_lose_nothing(place, operation):
    calls, tried, failed = as_nobody(at_many_calls, place, operation, 3)
    assert calls >= tried > 0
    assert failed <= tried


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_permissions_that_are_lost_at_any_call_lose_nothing(place, operation):
    print(operation.__name__, "calls, tried, failed:", as_nobody(at_many_calls, place, operation, 10_000))
