"""Whether a store was written to since the last look: asked twice a second while somebody looks on, so it must cost next to nothing.

A store on disk is asked for SQLite's `data_version`, which differs after each commit of any other connection, in this process or another. That takes
a few millionths of a second and reads no record. Sizes and times of its files tell less: two commits within one tick of the file system's clock look
like one, and a write-ahead log that begins again may have its old size.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import Any, Final

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.plain.threads import WORKERS, Stop

EVERY_S: Final = 0.5
_SLOWEST_S: Final = 1.5
_SHARE: Final = 0.02
"""Of the time, at most, that looking may take where it means to read."""


class Changes:
    """`seen()` is True when something was committed since it was last asked, or since this was made. For one Python thread at a time."""

    def __init__(self, saver: Checkpointer) -> None:
        self._saver = saver
        folder = getattr(saver, "folder", None)
        self._database: Path | None = None if folder is None else Path(folder) / "cache.db"
        self._connection: sqlite3.Connection | None = None
        self._file: Any = None
        self._before = self._mark()

    def seen(self) -> bool:
        mark = self._mark()
        if mark == self._before:
            return False
        self._before = mark
        return True

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._file = None

    def _mark(self) -> Any:
        """What differs whenever something was committed."""
        if self._database is None:
            return self._saver.open_questions()  # in the memory of this process
        file = _stat(self._database)
        try:
            if self._connection is None or file[:2] != self._file[:2]:  # SQLite goes on reading a file that was replaced
                self.close()
                address = f"{self._database.as_uri()}?mode=ro"
                self._connection, self._file = sqlite3.connect(address, uri=True, check_same_thread=False, timeout=0, isolation_level=None), file
            return *file[:2], *self._connection.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:  # a folder that cannot be written to, so that SQLite cannot look on: what its files tell is better than nothing
            self.close()
            return file, _stat(self._database.with_name("cache.db-wal"))


def _stat(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return -1, -1
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


class Watching:
    """Calls `tell` from a Python thread of its own soon after each commit, until `stop`; `start` goes on.

    `goes_on` is asked at each look; False ends it.
    """

    def __init__(self, saver: Checkpointer, tell: Callable[[], None], goes_on: Callable[[], bool]) -> None:
        self._saver, self._tell, self._goes_on = saver, tell, goes_on
        self._stopped: Stop | None = None

    @property
    def is_on(self) -> bool:
        return self._stopped is not None and not self._stopped

    def start(self) -> None:
        """Look from now on; `tell` is called once at the beginning, for what was missed."""
        if self.is_on:
            return
        stopped = Stop()
        WORKERS.begin(partial(copy_context().run, self._look, stopped))
        self._stopped = stopped

    def stop(self) -> None:
        if self._stopped is not None:
            self._stopped.say()

    def _look(self, stopped: Stop) -> None:
        changes = Changes(self._saver)
        try:
            is_new, every_s = True, EVERY_S
            while not stopped and self._goes_on():
                if is_new:
                    self._tell()
                if stopped.within(every_s):
                    return
                began = time.perf_counter()
                is_new = changes.seen()
                every_s = min(max(EVERY_S, (time.perf_counter() - began) / _SHARE), _SLOWEST_S)
        finally:
            stopped.say()
            with suppress(sqlite3.Error):
                changes.close()
