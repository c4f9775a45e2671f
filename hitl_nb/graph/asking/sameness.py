"""Whether a node that runs again asks the same question. Content binds the answer; a reading of the clock does not.

A node runs again from its top on each resume, so a payload with `datetime.now()` in it never reads the same twice, although it asks the same. A time
that moved on by just as much as the clock did is such a reading, or one with a constant added, as a time limit is. But it has to show that it comes
from a clock: it lies at the moment of asking, or has fractions of a second. An appointment that was put off meanwhile is other content, and so is
everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

SLACK_S: Final = 60.0
"""Seconds by which the two runs of the node may differ in how long they took from reading the clock to asking."""


def asks_the_same(old: Any, new: Any, asked_at: datetime, now: datetime, digest: Callable[[Any], str]) -> bool:
    """True when `new`, asked `now`, is `old`, asked at `asked_at`, but for times that moved with the clock. Both clock times have a zone."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return list(old) == list(new) and all(asks_the_same(old[k], new[k], asked_at, now, digest) for k in old)
    if type(old) is type(new) and isinstance(old, list | tuple):
        return len(old) == len(new) and all(asks_the_same(a, b, asked_at, now, digest) for a, b in zip(old, new, strict=True))
    first, second = _time(old), _time(new)
    if first is not None and second is not None and type(old) is type(new) and (first.tzinfo is None) == (second.tzinfo is None):
        return first == second or any(
            abs(ahead_s - before_s) <= SLACK_S and all(time.microsecond or abs(s) <= SLACK_S for time, s in ((first, before_s), (second, ahead_s)))
            for before_s, ahead_s in zip(_ahead_s(first, asked_at), _ahead_s(second, now), strict=True)
        )
    return digest(old) == digest(new)


def _ahead_s(time: datetime, clock: datetime) -> list[float]:
    """By how many seconds the time lies ahead of the clock; without a zone, of what the clock reads here and of what it reads in UTC.

    What it reads here is taken anew for each time: between the two the clock may have been changed to summer time, or back.
    """
    if time.tzinfo is not None:
        return [(time - clock.astimezone(UTC)).total_seconds()]
    return [(time - reading.replace(tzinfo=None)).total_seconds() for reading in (clock.astimezone(), clock.astimezone(UTC))]


def _time(value: Any) -> datetime | None:
    """The point in time that a value is, when it is one to the minute or finer. A bare date is content: tomorrow is another day."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not 16 <= len(value) <= 40 or ":" not in value:
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None
