"""A progress bar for what takes its time: work over a whole store."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

T = TypeVar("T")
AFTER_S: Final = 2.0
"""Seconds from which a bar is shown."""


def bar(items: Iterable[T], what: str, *, total: int | None = None) -> Iterator[T]:
    """The items, with a bar on stderr (in a notebook: a widget) once they took longer than 2 s; none where stderr is no terminal.

    Until then it costs a look at the clock for each, and loads nothing.
    """
    left, done, begun = iter(items), 0, time.monotonic()
    for item in left:
        yield item
        done += 1
        if time.monotonic() - begun > AFTER_S:
            break
    else:
        return
    from tqdm.auto import tqdm

    yield from tqdm(left, desc=what, total=total, initial=done, disable=None, file=sys.stderr, leave=False, dynamic_ncols=True)
