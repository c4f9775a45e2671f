"""What to do about an error of the disk or of SQLite, told from its real cause."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Final

from hitl_nb.checkpoint.sealing import DATABASE, READABLE
from hitl_nb.errors import CorruptStoreError, StoreError

_FULL: Final = (errno.ENOSPC, getattr(errno, "EDQUOT", None))
_DENIED: Final = (errno.EACCES, errno.EPERM, errno.EROFS)


def tells_of_damage(text: str) -> bool:
    """True for what SQLite says of a database whose bytes are not what was written."""
    return any(words in text for words in ("malformed", "not a database", "decode to UTF-8"))


def lacks_room(cause: BaseException) -> bool:
    """True when SQLite has no room for the memory beside the database that its users share: it tells of that as of an error of the disk."""
    return getattr(cause, "sqlite_errorname", "") == "SQLITE_IOERR_SHMSIZE"


def store_error(doing: str, folder: Path, cause: BaseException, *, timeout_s: float, locked: bool = False, damaged: bool = False) -> StoreError:
    """The error to raise: what was being done, what came, and the likely way out. `locked`, `damaged`: the caller knows that it is this."""
    text = str(cause)
    number = cause.errno if isinstance(cause, OSError) else None
    words = "" if damaged or number is not None else text  # else they may be those of a path, or of a thread's id
    kind = StoreError
    if locked or "locked" in words:
        advice = f"another process kept it locked for longer than timeout_s={timeout_s:g}; call again, or open it with a larger timeout_s"
    elif "full" in words or number in _FULL or lacks_room(cause):
        advice = "the disk is full; free some space, then call again"
    elif "readonly" in words or "unable to open" in words or number in _DENIED:
        advice = "the folder cannot be written to; check its owner and permissions"
    elif damaged or tells_of_damage(words):
        kind = CorruptStoreError
        advice = f"its database {DATABASE} is damaged. {READABLE}"
    else:
        advice = "check the folder and its disk, then call again"
    return kind(f"cannot {doing} the store {folder}: {type(cause).__name__}: {text}. What was stored before is untouched. Likely: {advice}")
