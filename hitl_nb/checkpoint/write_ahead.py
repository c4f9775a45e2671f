"""Whether the write-ahead log of a store lost commits. SQLite drops a frame whose checksum is wrong, and all behind it, without a word.

A killed writer leaves at most one frame that is not whole, the last one, and nothing of it was acknowledged. So a frame that is wrong before another
one that ends a commit was damaged, and that commit was acknowledged: it is gone, and pages that were copied into the database meanwhile may be read
as they were earlier. What cannot be told from a killed writer: damage of the very last commit's last frame, a log that was cut off, or one that is
gone as a whole.

After a power cut it is no damage: pages that nobody had waited for reached the disk in another order. What SQLite drops then was promised by
durability "normal" to survive a killed process only, and by "full" not yet.
"""

from __future__ import annotations

import os
import struct
import time
import warnings
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO, Final

from hitl_nb.checkpoint.holding import is_shared
from hitl_nb.checkpoint.rolling_back import JOURNAL, half_commit
from hitl_nb.checkpoint.sealing import DATABASE, LOCKS, READABLE, USERS
from hitl_nb.errors import CorruptStoreError, LostCommitsWarning

LOG: Final = f"{DATABASE}-wal"
_MAGIC: Final = {0x377F0682: "<", 0x377F0683: ">"}
"""The first number of a log, and the order of bytes of what its checksums are over."""
_HEADER, _FRAME = 32, 24
"""Bytes of the header of a log, and of each frame before its page."""
_PAGE_MIN: Final = 512
_LOOKS: Final = 3
_PAUSE_S: Final = 0.02
_MOST: Final = 32 << 20
"""Bytes of a log that opening reads through, in half a second; one that a long reader lets grow beyond them is looked at by `store check`."""
_BOOTED: Final = Path("/proc/stat")
_BESIDE: Final = (LOG, f"{DATABASE}-shm", JOURNAL)


def require_whole_log(folder: Path) -> None:
    """Raise CorruptStoreError when commits of the log are lost, or the rollback journal is damaged. Before SQLite opens it and removes both."""
    for name in _BESIDE:
        if not _is_ordinary(folder / name):  # a link leads anywhere
            raise CorruptStoreError(f"{name} of the store {folder} is no ordinary file, as SQLite makes it. {READABLE}")
    if half := half_commit(folder):
        raise CorruptStoreError(
            f"a commit to the store {folder} was cut off, and cannot be taken out any more: {half}. Restore the folder from a backup; or hitl-nb "
            f"store check says what can still be read, and hitl-nb store repair --to DIR takes it over, a part of that commit included"
        )
    if is_shared(folder / LOCKS / USERS):  # SQLite looked at the log when the first of them opened it, and would not do so again
        return
    lost = lost_commits(folder, most=_MOST)
    if lost and _was_restarted_since(folder / LOG):
        warnings.warn(
            f"this machine stopped while the store {folder} was in use, and not all of its log had reached the disk: {lost}. The store goes on from "
            f"before them. That is what durability='normal' allows; with durability='full' nothing is among them that a call had returned for",
            LostCommitsWarning,
            stacklevel=2,
        )
    elif lost:
        raise CorruptStoreError(
            f"the latest commits of the store {folder} are lost: {lost}. Everything before them can still be read: hitl-nb store check says what, "
            f"hitl-nb store repair --to DIR takes it over. Or restore the folder from a backup"
        )


def lost_commits(folder: Path, *, most: int | None = None) -> str:
    """What is wrong with the log, in words; empty: nothing that can be told, or a log of more than `most` bytes. Others may write meanwhile."""
    found = ""
    for look in range(_LOOKS):
        if look:
            time.sleep(_PAUSE_S)  # another one may just have been writing what was read
        try:
            with (folder / LOG).open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                found, before = _damage(file, size) if most is None or size <= most else "", found
        except OSError:
            return ""
        if not found or (look and found != before):
            return ""
    return found


def _was_restarted_since(path: Path) -> bool:
    """True when the machine was started after the file was last written, as far as Linux says so."""
    try:
        booted = next(int(line.split()[1]) for line in _BOOTED.read_text(encoding="ascii").splitlines() if line.startswith("btime "))
        return path.stat().st_mtime < booted
    except (OSError, ValueError, StopIteration):
        return False


def _is_ordinary(path: Path) -> bool:
    try:
        return S_ISREG(path.lstat().st_mode)
    except OSError:
        return True


def _damage(file: BinaryIO, size: int) -> str:
    if size < _HEADER + _FRAME + _PAGE_MIN:
        return ""
    header = file.read(_HEADER)
    magic, _, page, _, *salt, first, second = struct.unpack(">8I", header)
    order = _MAGIC.get(magic, "")
    if not order or _checksum(order, header[:24], 0, 0) != (first, second) or not _PAGE_MIN <= page <= 65536:
        return f"the header of {LOG} is damaged, and with it all that lies behind it"
    sums, wrong, gone, last = (first, second), 0, 0, 0
    for number in range(1, (size - _HEADER) // (_FRAME + page) + 1):
        frame = file.read(_FRAME + page)
        if len(frame) < _FRAME + page:
            break
        _, ends, *own, one, two = struct.unpack_from(">6I", frame)
        if not wrong:
            sums = _checksum(order, frame[:8] + frame[_FRAME:], *sums)
            wrong = number if own != salt or sums != (one, two) else 0
        if wrong and ends and own == salt:
            gone += 1
            last = number
    if not gone or last == wrong:  # the last one of all may be half written
        return ""
    return f"frame {wrong} of {LOG} is damaged, and SQLite drops {gone} {'commit' if gone == 1 else 'commits'} from there on"


def _checksum(order: str, data: bytes, first: int, second: int) -> tuple[int, int]:
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for one, two in zip(words, words, strict=True):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + two + first) & 0xFFFFFFFF
    return first, second
