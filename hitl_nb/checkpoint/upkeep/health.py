"""What is found of a store's folder: what is damaged, and where."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hitl_nb.checkpoint.sealing import DATABASE

OF_THREAD: Final = re.compile(r"(?:h/|[ac]/\d{10,}/|p/\d{10,}/\d{6,}/|v/\d{10,}/\d{4,}/)(.+)\Z", re.DOTALL)
"""Keys that name a thread, which may be one inside another."""


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that is wrong."""

    what: str
    file: str = DATABASE
    """Inside the store's folder."""
    thread_id: str = ""
    """Empty: of no thread, or nobody can tell."""
    key: str = ""
    """Of the record."""


@dataclass(slots=True)
class Health:
    """What a look at a whole store found."""

    folder: str
    records: int = 0
    """That could be read."""
    value_files: int = 0
    bytes: int = 0
    """On the disk, all files."""
    threads: int = 0
    """Those that callers named, without the ones of graphs inside them."""
    damages: list[Damage] = field(default_factory=list)
    more: int = 0
    """Damages beyond those listed."""
    notes: list[str] = field(default_factory=list)
    """What is no damage, and good to know."""
    log_head: str = ""
    """Hash of the newest entry of the decision log."""

    @property
    def ok(self) -> bool:
        return not self.damages

    @property
    def damaged_threads(self) -> list[str]:
        """Their ids, sorted."""
        return sorted({d.thread_id for d in self.damages if d.thread_id})

    @property
    def damaged_files(self) -> list[str]:
        """Their names, sorted."""
        return sorted({d.file for d in self.damages})


def thread_of(key: str) -> str:
    """The thread that a record is named after; of a graph inside a thread, that thread. Empty: the key does not say."""
    found = OF_THREAD.match(key)
    return found[1].partition("\x1f")[0] if found else ""


def files(folder: Path) -> Iterator[tuple[Path, int]]:
    """Every file below a folder, with its size."""
    for found in os.scandir(folder):
        if found.is_dir(follow_symlinks=False):
            yield from files(Path(found.path))
        else:
            with suppress(OSError):  # removed meanwhile
                yield Path(found.path), found.stat(follow_symlinks=False).st_size
