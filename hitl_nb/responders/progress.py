"""What the nodes do that run: which ones, for how long, and what they said last. Kept small, whatever the number of nodes and events."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from threading import Lock
from typing import Any, Final, Literal

from hitl_nb.graph.watch import Begun, Ending

State = Literal["running", "done", "asked", "failed"]
_ENDED_KEPT: Final = 8
"""Nodes that have ended and can still be shown."""
_TEXT_MAX: Final = 200
"""Characters of what a node said."""
_DONE: Final = ("done", "completed", "current")
_TEXTS: Final = ("message", "text", "status")


@dataclass(frozen=True, slots=True)
class Step:
    """One execution of a node."""

    name: str
    """The node, after the nodes around its graph."""
    state: State
    seconds: float
    """How long it took, or takes until now."""
    said: str = ""
    """What it said last; may be about its progress (`7 of 12 pages`)."""
    share: float | None = None
    """How much of it is done, from 0 to 1; None when it does not say."""


@dataclass(frozen=True, slots=True)
class Glance:
    """What there is to see at one moment."""

    steps: tuple[Step, ...]
    """In the order in which they ended or, those that run, began."""
    earlier: int = 0
    """Steps that ended before these."""
    further: int = 0
    """Steps that run beside these."""


class Progress:
    """A Watcher that remembers what there is to show. May be told and looked at from any thread; being told costs a microsecond."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        with self._lock:
            self._running: dict[str, _Running] = {}
            self._ended: deque[Step] = deque(maxlen=_ENDED_KEPT)
            self._count = 0
            self.changes = 0
            """Grows with whatever happens, so that an unchanged one need not be drawn again."""

    # -- as Watcher

    def started(self, begun: Sequence[Begun]) -> None:
        with self._lock:
            now = self._clock()
            for b in begun:
                self._running[b.task_id] = _Running(" / ".join((*b.path, b.node)), now)
            self.changes += 1

    def ended(self, task_id: str, how: Ending) -> None:
        with self._lock:
            run = self._running.pop(task_id, None)
            if run is not None:
                self._ended.append(run.step(how, self._clock()))
                self._count += 1
                self.changes += 1

    def wrote(self, task_id: str, event: Any) -> None:
        with self._lock:
            run = self._running.get(task_id)
            if run is None:
                return
            if isinstance(event, str):
                run.text = event
            else:
                run.event, run.text = event, None
            self.changes += 1

    # -- to be shown

    def glance(self, most: int = 6) -> Glance:
        """The last steps that ended and the first of those that run, not more than `most`."""
        with self._lock:
            now = self._clock()
            running = list(self._running.values())
            shown = [r.step("running", now) for r in running[: max(1, most - min(2, len(self._ended)))]]
            ended = list(self._ended)[-(most - len(shown)) :] if most > len(shown) else []
            return Glance((*ended, *shown), self._count - len(ended), len(running) - len(shown))


@dataclass(slots=True)
class _Running:
    name: str
    since: float
    text: str | None = None
    """What it wrote last, when that is a text."""
    event: Any = None
    """The last event that was no text. Read only when it is shown: that may take longer than the node should wait for."""

    def step(self, state: State, now: float) -> Step:
        said, share = "", None
        if self.event is not None:
            try:
                said, share = _read(self.event)
            except Exception:  # noqa: BLE001  an object of the user's; the node may be changing it at this moment
                said = ""
        said = said if self.text is None else self.text
        return Step(self.name, state, now - self.since, " ".join(said[:_TEXT_MAX].split()), share)


def _read(event: Any) -> tuple[str, float | None]:
    """What an event says in words, and how much is done by it; nothing for one that is not made for reading."""
    if isinstance(event, int | float):
        return str(event)[:_TEXT_MAX], None
    if not isinstance(event, Mapping):
        return "", None
    said = next((event[k] for k in _TEXTS if isinstance(event.get(k), str)), "")
    done, total = next((n for k in _DONE if (n := _number(event.get(k))) is not None), None), _number(event.get("total"))
    if done is None or total is None or total <= 0:
        return said, None
    unit = event.get("unit")
    return said or f"{_words(done)} of {_words(total)}{f' {unit}' if isinstance(unit, str) else ''}", min(1.0, max(0.0, done / total))


def _number(value: Any) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) else None


def _words(number: float) -> str:
    return f"{number:,}".replace(",", " ") if isinstance(number, int) else f"{number:g}"
