"""How `diskcache` reads and writes a record: as bytes, never as a pickle. It writes only what lies in the database; see rows.py for the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diskcache

from hitl_nb.checkpoint.sealing import INLINE, DamagedError, fetch, value_path


class BytesDisk(diskcache.Disk):  # type: ignore[misc]
    """Text keys and bytes values. Refuses every other stored form, so that opening a tampered file runs no code and touches no foreign file."""

    def __init__(self, directory: str, **settings: Any) -> None:
        super().__init__(directory, **settings)
        self._folder = Path(directory)

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
        if len(value) >= self.min_file_size:
            raise TypeError(f"a record of {len(value)} bytes lies in a file, which DiskCacheSaver writes")
        return 0, INLINE, None, value

    def fetch(self, mode: Any, filename: Any, value: Any, read: bool) -> bytes:  # noqa: FBT001 - diskcache's
        if read:
            raise DamagedError("it is asked for as a file, which no record is")
        return fetch(self._folder, mode, filename, value)

    def remove(self, file_path: Any) -> None:
        # The folders stay: removing an empty one could hit a writer that has just made it.
        value_path(self._folder, file_path).unlink(missing_ok=True)
