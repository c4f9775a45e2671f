"""The file name of a case: the same one each time, another one for each thread, and one that every system takes."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final

_PLAIN: Final = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,79}(?<![.])")
"""What stands as it is: one case only, because two names that differ in it alone are one file on some systems."""
_DEVICES: Final = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
"""Names that Windows keeps for itself, with any ending."""
_ODD: Final = re.compile(r"[^A-Za-z0-9_.-]")
_READABLE_MAX: Final = 60
_DIGEST_BYTES: Final = 6


def file_name(thread_id: str) -> str:
    """The thread's id where it is a plain name, else what is readable of it, `~`, and a digest of the whole. No path, whatever the id holds.

    >>> file_name("article-1")
    'article-1'
    >>> file_name("../../Etc")
    '_.._Etc~7eacd23f54ef'
    """
    if _PLAIN.fullmatch(thread_id) and not _DEVICES.fullmatch(thread_id):
        return thread_id
    readable = _ODD.sub("_", thread_id).lstrip(".")[:_READABLE_MAX] or "case"
    if _DEVICES.match(readable.lower()):
        readable = f"_{readable}"
    return f"{readable}~{blake2b(thread_id.encode(), digest_size=_DIGEST_BYTES).hexdigest()}"
