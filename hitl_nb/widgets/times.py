"""Times as a person reads them: relative while a question is open, absolute with the zone once it is decided."""

from __future__ import annotations

from datetime import UTC, datetime
from math import ceil


def absolute(at: datetime) -> str:
    """`20 Nov 2026, 09:41 UTC`."""
    utc = at.astimezone(UTC)
    return f"{utc.day} {utc:%b %Y, %H:%M} UTC"


def span(seconds: float) -> str:
    """`14 min`, `3 h`, `5 days`; the script of the card keeps the same steps."""
    if seconds < 3600:
        return f"{round(seconds / 60)} min"
    if seconds < 2 * 86400:
        return f"{round(seconds / 3600)} h"
    return f"{round(seconds / 86400)} days"


def took(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 05 s`, `2 h 03 min`: how long something runs or ran."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"
    return f"{int(seconds) // 3600} h {int(seconds) % 3600 // 60:02d} min"


def asked(at: datetime, now: datetime) -> str:
    seconds = (now - at).total_seconds()
    return "asked just now" if seconds < 60 else f"asked {span(seconds)} ago"


def due(at: datetime, now: datetime) -> tuple[str, str]:
    """The words and how pressing they are: empty, `warn` under an hour, `bad` when overdue."""
    seconds = (at - now).total_seconds()
    if seconds < 0:
        return f"overdue {_left(-seconds)}", "bad"
    return f"due in {_left(seconds)}", "warn" if seconds < 3600 else ""


def _left(seconds: float) -> str:
    return f"{ceil(seconds)} s" if seconds < 120 else span(seconds)
