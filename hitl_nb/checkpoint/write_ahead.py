"""Whether the write-ahead log of a store lost commits. SQLite drops a frame whose checksum is wrong, and all behind it, without a word.

A killed writer leaves at most one frame that is not whole, the last one, and nothing of it was acknowledged. So a frame that is wrong before another
one that ends a commit was damaged, and that commit was acknowledged: it is gone, and pages that were copied into the database meanwhile may be read
as they were earlier. What cannot be told from a killed writer: damage of the very last commit's last frame, a log that was cut off, or one that is
gone as a whole.
"""

from __future__ import annotations

import struct
import time
from pathlib import Path
from typing import Final

from hitl_nb.checkpoint.sealing import DATABASE
from hitl_nb.errors import CorruptStoreError

LOG: Final = f"{DATABASE}-wal"
_MAGIC: Final = {0x377F0682: "<", 0x377F0683: ">"}
"""The first number of a log, and the order of bytes of what its checksums are over."""
_HEADER, _FRAME = 32, 24
"""Bytes of the header of a log, and of each frame before its page."""
_PAGE_MIN: Final = 512
_LOOKS: Final = 3
_PAUSE_S: Final = 0.02


def require_whole_log(folder: Path) -> None:
    """Raise CorruptStoreError when commits of the log are lost. Before SQLite opens the database: it removes the log when it closes it."""
    lost = lost_commits(folder)
    if lost:
        raise CorruptStoreError(
            f"the latest commits of the store {folder} are lost: {lost}. Everything before them can still be read: hitl-nb store check says what, "
            f"hitl-nb store repair --to DIR takes it over. Or restore the folder from a backup"
        )


def lost_commits(folder: Path) -> str:
    """What is wrong with the log, in words; empty: nothing that can be told. Others may write meanwhile."""
    found = ""
    for look in range(_LOOKS):
        if look:
            time.sleep(_PAUSE_S)  # another one may just have been writing what was read
        try:
            data = (folder / LOG).read_bytes()
        except OSError:
            return ""
        found, before = _damage(data), found
        if not found or (look and found != before):
            return ""
    return found


def _damage(data: bytes) -> str:
    if len(data) < _HEADER + _FRAME + _PAGE_MIN:
        return ""
    magic, _, size, _, *salt, first, second = struct.unpack_from(">8I", data)
    order = _MAGIC.get(magic, "")
    if not order or _checksum(order, data[:24], 0, 0) != (first, second) or not _PAGE_MIN <= size <= 65536:
        return f"the header of {LOG} is damaged, and with it all that lies behind it"
    step = _FRAME + size
    starts = range(_HEADER, len(data) - step + 1, step)
    ends = [n for n in starts if list(struct.unpack_from(">2I", data, n + 8)) == salt and data[n + 4 : n + 8] != bytes(4)]
    sums = (first, second)
    for number, start in enumerate(starts, 1):
        if not ends or start >= ends[-1]:  # the last one of all may be half written
            return ""
        told = struct.unpack_from(">4I", data, start + 8)
        sums = _checksum(order, data[start : start + 8] + data[start + _FRAME : start + step], *sums)
        if list(told[:2]) != salt or told[2:] != sums:
            gone = sum(end >= start for end in ends)
            return f"frame {number} of {LOG} is damaged, and SQLite drops {gone} {'commit' if gone == 1 else 'commits'} from there on"
    return ""


def _checksum(order: str, data: bytes, first: int, second: int) -> tuple[int, int]:
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for one, two in zip(words, words, strict=True):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + two + first) & 0xFFFFFFFF
    return first, second
