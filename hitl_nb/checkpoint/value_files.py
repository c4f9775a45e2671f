"""A record that is too large for the database, as a file of its own: written once, under a name that no other file has."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hitl_nb.checkpoint import leftovers
from hitl_nb.checkpoint.sealing import SEAL, digest_of, file_seal
from hitl_nb.plain.threads import WORKERS, Ending

_MEANWHILE_MIN: Final = 1 << 20
"""Bytes from which a record is hashed by a second Python thread while this one writes: hashing takes about as long."""


def write(folder: Path, key: str, record: bytes, digest: bytes, *, durable: bool, written: list[str]) -> tuple[str, bytes]:
    """Write the seal and the record; the file's name, which is noted, and put among those `written`, before there is such a file. And the digest.

    `digest`: of the record; empty: not known yet. `durable`: when this returns, the file is on the disk, and so are the names that lead to it.
    """
    name = secrets.token_hex(16)
    name = os.path.join(name[:2], name[2:4], f"{name[4:]}.val")  # noqa: PTH118  as diskcache names them, in the database too
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    written.append(name)
    leftovers.note(folder, name, key)
    with path.open("xb", buffering=0) as file:
        hashed = _hashing(record, digest)
        file.seek(SEAL)
        _write_all(file.write, record)
        if durable and len(record) >= _MEANWHILE_MIN and hasattr(os, "fdatasync"):
            os.fdatasync(file.fileno())  # the disk works while the hash is made, and little is left for the sync that counts
        digest = hashed()
        file.seek(0)
        _write_all(file.write, file_seal(key, digest))
        if durable:
            os.fsync(file.fileno())
    if durable:
        for place in (path.parent, path.parent.parent, folder):
            _sync_names(place)
    return name, digest


def _write_all(write: Callable[[memoryview], int | None], data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[write(rest) :]


def _hashing(record: bytes, digest: bytes) -> Callable[[], bytes]:
    """Begin to hash a large record; what waits for its digest."""
    if digest or len(record) < _MEANWHILE_MIN:
        return lambda: digest or digest_of(record)
    found: list[bytes | None] = []
    ending = Ending()

    def make() -> None:
        made = None
        try:
            made = digest_of(record)
        finally:
            found.append(made)
            ending.tell()

    try:
        WORKERS.begin(make)
    except RuntimeError:  # no thread more is allowed here, or Python is ending
        return lambda: digest_of(record)

    def wait() -> bytes:
        ending.wait(lambda: found)
        return found[0] or digest_of(record)

    return wait


def _sync_names(folder: Path) -> None:
    if os.name == "nt":  # a folder cannot be opened there, and its names are journalled
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
