"""How a record lies in the database of a store: its row, its value file, and the seal over its key and content."""

from __future__ import annotations

import re
from hashlib import blake2b
from pathlib import Path
from stat import S_ISREG
from typing import Any, Final

from hitl_nb.errors import CorruptStoreError

DATABASE: Final = "cache.db"
LOCKS: Final = "locks"
COPYING: Final = "copying"
"""In the folder of the locks: shared by backups, which have yet to copy the value files of records that are deleted meanwhile."""
USERS: Final = "users"
"""In the folder of the locks: shared by all who have the store open."""
FORMAT_KEY: Final = "!format"
FIRST_FORMAT: Final = 1
FORMAT_VERSION: Final = 2
"""Written by the first question that four eyes or several reviewers have to answer: an older hitl_nb would take any answer for it."""
GONE_PREFIX: Final = "!gone/"
"""Of the names of value files whose records are gone, while the files are being removed; sorts before all that can be many."""
SETTINGS: Final = frozenset(
    (
        "count", "cull_limit", "disk_min_file_size", "disk_pickle_protocol", "eviction_policy", "hits", "misses", "size", "size_limit", "statistics",
        "sqlite_auto_vacuum", "sqlite_cache_size", "sqlite_journal_mode", "sqlite_mmap_size", "sqlite_synchronous", "tag_index",
    )
)  # fmt: skip
"""Names of the settings that diskcache keeps in the database."""
PAGE: Final = 1024
"""Bytes of a page of a new store's database; those of older stores have 4096."""
TRIGGERS: Final = frozenset(("trigger", f"Settings_{name}") for name in ("count_insert", "count_delete", "size_insert", "size_update", "size_delete"))
"""What diskcache has SQLite do by itself: count."""
SEAL: Final = 16
"""Bytes of the seal before each record."""
FILE_MIN: Final = 128 * 1024
"""Bytes from which a record lies in a file of its own instead of in the database."""
INLINE, IN_FILE = 1, 2
"""The two modes of diskcache that are used: bytes in the row, bytes in a file."""
READABLE: Final = "The rest may be whole: hitl-nb store check says what can still be read. Restore the folder from a backup, or hitl-nb store repair"
"""What every error of a damaged record ends with."""
VALUE_FILE: Final = re.compile(r"[0-9a-f]{2}[/\\][0-9a-f]{2}[/\\][0-9a-f]{28}\.val\Z")


class DamagedError(Exception):
    """A record that cannot be read. Not an OSError, which `diskcache.Cache.get` takes for 'no such key'."""


def seal(key: str, record: bytes) -> bytes:
    made = blake2b(key.encode(), digest_size=SEAL)
    made.update(b"\0")
    made.update(record)
    return made.digest()


def digest_of(record: bytes) -> bytes:
    """blake2b-128 of a large value."""
    return blake2b(record, digest_size=16).digest()


def file_seal(key: str, digest: bytes) -> bytes:
    """The seal of a record in a file of its own: over its key and the digest of its content, so that a large value is hashed once."""
    return blake2b(key.encode() + b"\1" + digest, digest_size=SEAL).digest()


def unseal(key: str, sealed: bytes, called: str, file: str | None = None) -> bytes:
    """The record. Raises CorruptStoreError, which calls the store `called`, when it is not what was written under this key.

    `file`: the name of its value file; None: it lies in the database.
    """
    record = sealed[SEAL:]
    in_file = len(sealed) >= FILE_MIN and sealed[:SEAL] == file_seal(key, digest_of(record))
    if not in_file and sealed[:SEAL] != seal(key, record):
        raise CorruptStoreError(f"record {key!r} of {called} was altered or cut short: {file or DATABASE} has {len(record)} bytes of it. {READABLE}")
    return record


def value_path(folder: Path, name: Any) -> Path:
    """Where a value file lies. Raises DamagedError for a name that is none, so that no foreign file is touched."""
    if type(name) is not str or not VALUE_FILE.match(name):
        raise DamagedError(f"its value file is named {str(name)[:200]!r}, as hitl_nb names none")
    return folder / name


def fetch(folder: Path, mode: Any, name: Any, value: Any) -> bytes:
    """The sealed bytes that a row tells of. Raises DamagedError for every form that hitl_nb does not write."""
    if mode == INLINE and name is None and isinstance(value, bytes):
        return value
    if mode == IN_FILE:
        path = value_path(folder, name)
        try:
            if not S_ISREG(path.lstat().st_mode):  # a pipe would be waited for, a link leads anywhere
                raise DamagedError(f"its value file {name} is no ordinary file")
            return path.read_bytes()
        except OSError as error:
            raise DamagedError(f"its value file {name} cannot be read: {error.strerror or error}") from error
        except MemoryError:
            raise DamagedError(f"its value file {name} is larger than the memory of this machine") from None
    raise DamagedError(f"it is stored in a form (mode {mode!r}) that hitl_nb does not write")
