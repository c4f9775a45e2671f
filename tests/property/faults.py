"""Checkpointers whose process dies before or after a call of the store: a fault in this process that cannot be told from a kill by what is stored."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import count
from pathlib import Path

from hitl_nb import DiskCacheSaver, MemorySaver


class Crash(BaseException):
    """The process is gone. No Exception, so that nobody handles it; nothing may come after it."""


class Process:
    """One life of a process, which ends at its n-th point; each call of the store has two, before and after.

    `only_writes` counts only the points around writes, transactions and guards, which reads outnumber. `dies_at` None: it lives.
    """

    def __init__(self, dies_at=None, *, only_writes=False):
        self.dies_at, self.only_writes = dies_at, only_writes
        self.dead = False
        self.on_leaving = None
        """Called right before a thread that was held is given free."""
        self.reads, self.writes = 0, 0
        self._next_read, self._next_write = count(1), count(1)

    def point(self, *, write=True):
        if write:
            self.writes = next(self._next_write)
        else:
            self.reads = next(self._next_read)
        lived = self.writes if self.only_writes else self.reads + self.writes
        if self.dead or (self.dies_at is not None and lived >= self.dies_at):
            self.dead = True  # what runs in a `finally` now reaches the store no more
            raise Crash


class _Faulty:
    """Goes in front of a checkpointer's class."""

    process: Process

    def _read(self, key):
        self.process.point(write=False)
        found = super()._read(key)
        self.process.point(write=False)
        return found

    def _scan(self, prefix):
        self.process.point(write=False)
        found = list(super()._scan(prefix))
        self.process.point(write=False)
        return iter(found)

    def _put(self, key, record):
        self.process.point()
        super()._put(key, record)
        self.process.point()

    def _put_value(self, key, *args):
        self.process.point()
        written = super()._put_value(key, *args)
        self.process.point()
        return written

    def _swap(self, key, before, after):
        self.process.point()
        swapped = super()._swap(key, before, after)
        self.process.point()
        return swapped

    def _delete(self, key):
        self.process.point()
        super()._delete(key)
        self.process.point()

    def _erase(self, key):
        self.process.point()
        super()._erase(key)
        self.process.point()

    @contextmanager
    def _transaction(self, **how):
        self.process.point()
        with super()._transaction(**how):
            self.process.point()
            yield
            self.process.point()
        self.process.point()

    @contextmanager
    def guard(self, thread_id):
        self.process.point()
        with super().guard(thread_id):
            self.process.point()
            yield
            if self.process.on_leaving is not None:
                self.process.on_leaving()
        self.process.point()


class FaultyMemorySaver(_Faulty, MemorySaver):
    """In memory."""


class FaultyDiskCacheSaver(_Faulty, DiskCacheSaver):
    """In a folder."""


class MemoryStore:
    """What outlives a process that kept its threads in memory: the records of finished transactions, as if it had been a disk."""

    def __init__(self):
        self._saver = MemorySaver()

    def open(self, process):
        """A new checkpointer on what is stored."""
        saver = FaultyMemorySaver()
        saver.process, saver._records = process, dict(self._saver._records)
        self._saver = saver
        return saver

    def close(self):
        """Nothing to free."""


class DiskStore:
    """A folder, opened anew by each process."""

    def __init__(self, folder: Path):
        self._folder, self._saver = folder, None

    def open(self, process):
        self.close()
        self._saver = FaultyDiskCacheSaver(self._folder)
        self._saver.process = process
        return self._saver

    def close(self):
        if self._saver is not None:
            self._saver.close()
