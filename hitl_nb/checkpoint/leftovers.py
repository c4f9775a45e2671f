"""What a killed writer leaves: value files whose records were never committed. Whoever writes or opens next removes them.

One transaction at a time writes to a store, so one small file tells of all that can be left: `locks/writing` holds, for each value file of the newest
transaction that had any, a line with its name and the key of its record, written before there is such a file. Nothing is removed that a record names.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from typing import Any, Final

from hitl_nb.checkpoint.sealing import LOCKS, VALUE_FILE

WRITING: Final = "writing"
"""Name of the file, in the folder of the locks."""
_RECORD: Final = "SELECT 1 FROM Cache WHERE key = ? AND raw = 1 AND filename = ?"
_ANY: Final = "SELECT 1 FROM Cache NOT INDEXED WHERE filename = ? LIMIT 1"
Execute = Callable[..., sqlite3.Cursor]


def note(folder: Path, name: str, key: str) -> None:
    """Say that a value file is about to be written. Only in a transaction. Raises OSError."""
    handle = _open(folder, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(handle, f"{json.dumps([name, key])}\n".encode())
    finally:
        os.close(handle)


def noted(folder: Path) -> list[tuple[str, str]]:
    """Name and key of the value files that may be left; a line that is none is passed over."""
    found = []
    with suppress(OSError), open(_open(folder, os.O_RDONLY), encoding="utf-8", errors="replace") as file:
        if not S_ISREG(os.fstat(file.fileno()).st_mode):
            return []
        for line in file:
            with suppress(ValueError, TypeError):
                name, key = json.loads(line)
                if isinstance(key, str) and VALUE_FILE.match(name):
                    found.append((name, key))
    return found


def are_left(folder: Path, execute: Execute) -> bool:
    """True when a killed writer may have left something, or one is at work."""
    return any(not _is_recorded(execute, name, key) for name, key in noted(folder))


def remove(folder: Path, execute: Execute) -> None:
    """Remove what is left. Only in a transaction, before its first value file: then whatever is noted was written by others, who are done."""
    for name, key in noted(folder):
        # What the key does not find is looked for by its name: the note, or an index, may be damaged.
        if not _is_recorded(execute, name, key) and execute(_ANY, (name,)).fetchone() is None:
            with suppress(OSError):
                (folder / name).unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        os.close(_open(folder, os.O_WRONLY | os.O_TRUNC))


def _open(folder: Path, flags: int) -> int:
    """A link or a pipe that somebody put there is not followed, nor waited for."""
    return os.open(folder / LOCKS / WRITING, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)


def _is_recorded(execute: Execute, name: str, key: str) -> Any:
    return execute(_RECORD, (key, name)).fetchone()
