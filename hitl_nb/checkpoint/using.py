"""Closes the connection of a Python thread when that thread ends.

A connection of `sqlite3` refers to itself (by its cache of statements, from Python 3.10 on), so nothing but a garbage collection closes one that is
forgotten. Each `asyncio.run` has threads of its own, and in a kernel full of objects the collector comes by late: until then each of them would keep
two files open and up to 2 MiB of pages.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from threading import local
from typing import Final

_LEFT: Final[list[sqlite3.Connection]] = []
"""Connections of the process that this one was forked off from. They must not be closed here, so they are not forgotten."""


class Use:
    """Somebody uses this connection, in the Python thread that opened it. When nobody does any more it is closed."""

    __slots__ = ("_pid", "connection")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._pid = 0
        """Of the process that opened it, once this is kept: a Ctrl-C that comes before leaves the connection to the next one."""

    def begins(self) -> None:
        self._pid = os.getpid()

    def __del__(self) -> None:
        if not getattr(self, "_pid", 0):
            return
        if os.getpid() != self._pid:
            _LEFT.append(self.connection)
            return
        with suppress(sqlite3.Error):  # another thread forgot the store: what it may not close is left to the garbage collector
            self.connection.close()


def use_of(connection: sqlite3.Connection, here: local) -> Use:
    """The use of this Python thread's connection, which ends with the thread. `here`: where the connection itself is kept for the thread."""
    use: Use | None = getattr(here, "use", None)
    if use is None or use.connection is not connection:
        use = here.use = Use(connection)
    use.begins()
    return use
