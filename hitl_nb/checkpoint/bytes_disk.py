"""How `diskcache` puts a record away: as bytes, in the database or in a file of its own, never as a pickle."""

from __future__ import annotations

import os
from pathlib import Path
from threading import local
from typing import Any

import diskcache

from hitl_nb.checkpoint.sealing import IN_FILE, INLINE, DamagedError, fetch, value_path


class BytesDisk(diskcache.Disk):  # type: ignore[misc]
    """Text keys and bytes values. Refuses every other stored form, so that opening a tampered file runs no code and touches no foreign file."""

    durable = False

    def __init__(self, directory: str, **settings: Any) -> None:
        super().__init__(directory, **settings)
        self._folder = Path(directory)
        self.written = local()
        """`names`: the value files this Python thread wrote in its current transaction; `gone`: those whose records it removed."""

    def put(self, key: Any) -> tuple[str, bool]:
        if type(key) is not str:
            raise TypeError(f"a record's key is {type(key).__name__}; expected str")
        return key, True

    def get(self, key: Any, raw: Any) -> str:
        if not raw or type(key) is not str:
            raise DamagedError(f"a key of type {type(key).__name__}, which hitl_nb does not write")
        return key

    def store(self, value: Any, read: bool, key: Any = diskcache.UNKNOWN) -> tuple[int, int, str | None, bytes | None]:  # noqa: FBT001 - diskcache's
        if type(value) is not bytes or read:
            raise TypeError(f"a record is {type(value).__name__}; expected bytes")
        if len(value) < self.min_file_size:
            return 0, INLINE, None, value
        name, place = self.filename(key, value)
        path = Path(place)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.written.names.append(name)
        with path.open("xb") as file:
            file.write(value)
            if self.durable:
                file.flush()
                os.fsync(file.fileno())
        if self.durable:
            for folder in (path.parent, path.parent.parent, self._folder):
                _sync_names(folder)
        return len(value), IN_FILE, name, None

    def fetch(self, mode: Any, filename: Any, value: Any, read: bool) -> bytes:  # noqa: FBT001 - diskcache's
        if read:
            raise DamagedError("it is asked for as a file, which no record is")
        return fetch(self._folder, mode, filename, value)

    def remove(self, file_path: Any) -> None:
        if getattr(self.written, "names", None) is None:
            self.unlink(file_path)
        else:  # diskcache would remove it now, and a transaction that is rolled back has its record again
            self._place(file_path)
            self.written.gone.append(file_path)

    def unlink(self, file_path: Any) -> None:
        # The folders stay: removing an empty one could hit a writer that has just made it.
        self._place(file_path).unlink(missing_ok=True)

    def _place(self, filename: Any) -> Path:
        return value_path(self._folder, filename)


class DurableDisk(BytesDisk):
    """The same, and a value file is on the disk before its record is."""

    durable = True


def _sync_names(folder: Path) -> None:
    if os.name == "nt":  # a folder cannot be opened there, and its names are journalled
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
