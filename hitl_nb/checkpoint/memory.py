"""A checkpointer in the memory of this process: for tests, tutorials and graphs that need not outlive it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Lock, RLock
from typing import ClassVar
from weakref import WeakValueDictionary

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.reviewers import Given
from hitl_nb.errors import ThreadBusyError


class MemorySaver(Checkpointer):
    """Keeps threads until the process ends. Values are encoded as on disk, so what works here works there.

    `reviewers`: who may answer, as a mapping or the path of a file, see docs/reviewers.md; None: anybody.
    """

    blocking: ClassVar[bool] = False

    def __init__(self, *, types: Iterable[type] = (), reviewers: Given | None = None) -> None:
        super().__init__(types=types, reviewers=reviewers)
        self._records: dict[str, bytes | None] = {}
        self._staged: dict[str, bytes | None] | None = None
        self._lock = RLock()
        self._running: WeakValueDictionary[str, _Hold] = WeakValueDictionary()
        self._running_lock = Lock()

    def _read(self, key: str) -> bytes | None:
        with self._lock:
            if self._staged is not None and key in self._staged:
                return self._staged[key]
            return self._records.get(key)

    def _put(self, key: str, record: bytes) -> None:
        self._stage()[key] = record

    def _delete(self, key: str) -> None:
        self._stage()[key] = None

    _erase = _delete

    def _stage(self) -> dict[str, bytes | None]:
        if self._staged is None:
            raise RuntimeError("a record was written outside a transaction")
        return self._staged

    def _scan(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        with self._lock:
            found = [(k, v) for k, v in self._records.items() if v is not None and k.startswith(prefix)]
        return iter(sorted(found))

    @contextmanager
    def _transaction(self, *, lazily: bool = False) -> Iterator[None]:
        with self._lock:
            self._staged = {}
            try:
                yield
                # One call, so that a Ctrl-C comes before or after it: all of the transaction counts, or nothing.
                self._records.update(self._staged)
                for key in [k for k, record in self._staged.items() if record is None]:
                    self._records.pop(key, None)
            finally:
                self._staged = None

    @contextmanager
    def at_one_moment(self) -> Iterator[MemorySaver]:
        with self._lock:
            yield self

    @contextmanager
    def guard(self, thread_id: str) -> Iterator[None]:
        hold = _Hold()
        try:
            with self._running_lock:
                if thread_id in self._running:
                    raise ThreadBusyError(
                        f"thread {thread_id!r} is being run in this process; wait until that run ends, then call again", thread_id=thread_id
                    )
                self._running[thread_id] = hold
            yield
        finally:
            with self._running_lock:
                if self._running.get(thread_id) is hold:
                    del self._running[thread_id]


class _Hold:
    """A thread that is held. Known weakly, so that a run which a Ctrl-C cuts off anywhere, even in here, cannot leave its thread locked."""

    __slots__ = ("__weakref__",)


InMemorySaver = MemorySaver
