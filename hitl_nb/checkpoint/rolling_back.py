"""Whether the rollback journal of a killed writer can still take out what he had not committed. SQLite stops at a page whose checksum is wrong, or at
a header that is none, and takes the database for whole: a part of a superstep would count, or records of it.

The journal is a row of segments: a header, then each page of the database as it was before, with its number and a checksum. The header says how many
pages there are when all of them are on the disk, and nothing in the database is overwritten before: so a killed writer leaves whole segments, and at
most one behind them whose header begins with zeros, which does not count. What cannot be told: a journal that is gone or empty, one that was cut
off between two segments, and a wrong byte in a page that the checksum (of each 200th byte) does not see: the seal of its record tells that.

The file format is described at https://www.sqlite.org/fileformat.html#the_rollback_journal.
"""

from __future__ import annotations

import struct
import time
from pathlib import Path
from typing import Final

from hitl_nb.checkpoint.sealing import DATABASE

JOURNAL: Final = f"{DATABASE}-journal"
_MAGIC: Final = bytes.fromhex("d9d505f920a163d7")
_HEADER: Final = struct.Struct(">8s5I")
_SYNCED_LATER: Final = bytes(12)
"""How the header of a segment begins that is not on the disk yet."""
_TO_ITS_END: Final = 0xFFFFFFFF
"""How many pages a header tells of whose writer does not wait for the disk (another program's, with synchronous=OFF): all that are there."""
_LOOKS: Final = 3
_PAUSE_S: Final = 0.02
_MOST: Final = 256 << 20
"""Bytes of a journal that are read. Only that of a vacuum of a large store is larger; it changes no record."""


def half_commit(folder: Path) -> str:
    """What is wrong with the journal, in words; empty: nothing that can be told. Others may write meanwhile."""
    found = ""
    for look in range(_LOOKS):
        if look:
            time.sleep(_PAUSE_S)  # another one may just have been writing what was read
        try:
            path = folder / JOURNAL
            before, found = found, _damage(path.read_bytes()) if path.stat().st_size <= _MOST else ""
        except OSError:
            return ""
        if not found or (look and found != before):
            return ""
    return f"{JOURNAL} is damaged ({found}), and SQLite would take out only a part of what a killed writer had not committed" if found else ""


def _damage(data: bytes) -> str:
    place = 0
    origin: tuple[int, ...] | None = None
    while place < len(data):
        start = data[place : place + _HEADER.size]
        is_begun = start[:12] == _SYNCED_LATER[: len(start)]
        if is_begun and (origin is None or len(start) < _HEADER.size or _HEADER.unpack(start)[3:] == origin):
            return ""
        if len(start) < _HEADER.size or not start.startswith(_MAGIC):
            return f"no header at byte {place}"
        _, count, nonce, *same = _HEADER.unpack(start)
        size, sector, page = same
        if (origin is not None and origin != tuple(same)) or not (_is_power(sector, 32) and _is_power(page, 512)):
            return f"a wrong header at byte {place}"
        origin = tuple(same)
        place += sector
        if count == _TO_ITS_END:
            count = (len(data) - place) // (page + 8)
        for _ in range(count):
            if place + page + 8 > len(data):
                return f"its end is missing from byte {len(data)} on"
            (number,), content = struct.unpack_from(">I", data, place), data[place + 4 : place + 4 + page]
            checksum = (nonce + sum(content[page - 200 : 0 : -200])) & 0xFFFFFFFF
            if not 0 < number <= size or struct.unpack_from(">I", data, place + 4 + page) != (checksum,):
                return f"a wrong page at byte {place}"
            if number == 1 and content[24:28] == content[92:96] and struct.unpack_from(">I", content, 28) != (size,):
                return "its header tells of another size than the database had"
            place += page + 8
        place += -place % sector
    return ""


def _is_power(number: int, least: int) -> bool:
    return least <= number <= 65536 and number.bit_count() == 1
