"""Names in a store's folder, for the completion of a shell: read from its database without opening the store, which takes longer and locks."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final, Literal

from hitl_nb.checkpoint.keys import OPEN_PREFIX, head_key, is_nested

_PREFIXES: Final = {"thread": head_key(""), "question": OPEN_PREFIX}
_WAIT_S: Final = 0.2
"""Seconds to wait for a writer: a person has pressed a key."""


def names(folder: Path, kind: Literal["thread", "question"], beginning: str, most: int) -> list[str]:
    """Ids of threads, or of open questions, that begin so: at most `most` of them, in order; none where no store is. Raises sqlite3.Error."""
    database = folder / "cache.db"
    if not database.is_file():
        return []
    prefix = _PREFIXES[kind]
    first = prefix + beginning
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=_WAIT_S)) as connection:
        found = connection.execute("SELECT key FROM Cache WHERE key >= ? AND key < ? ORDER BY key LIMIT ?", (first, f"{first}\U0010ffff", most))
        return [key.removeprefix(prefix) for (key,) in found if isinstance(key, str) and not is_nested(key)]
