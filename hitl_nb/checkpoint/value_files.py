"""A record that is too large for the database, as a file of its own: written once, under a name that no other file has."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from hitl_nb.checkpoint import leftovers


def write(folder: Path, key: str, sealed: bytes, record: bytes, *, durable: bool, written: list[str]) -> str:
    """Write the seal and the record; the file's name, which is noted, and put among those `written`, before there is such a file.

    `durable`: when this returns, the file is on the disk, and so are the names that lead to it.
    """
    name = secrets.token_hex(16)
    name = os.path.join(name[:2], name[2:4], f"{name[4:]}.val")  # noqa: PTH118  as diskcache names them, in the database too
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    written.append(name)
    leftovers.note(folder, name, key)
    with path.open("xb", buffering=0) as file:
        for part in (sealed, record):
            rest = memoryview(part)
            while rest:
                rest = rest[file.write(rest) :]
        if durable:
            os.fsync(file.fileno())
    if durable:
        for place in (path.parent, path.parent.parent, folder):
            _sync_names(place)
    return name


def _sync_names(folder: Path) -> None:
    if os.name == "nt":  # a folder cannot be opened there, and its names are journalled
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
