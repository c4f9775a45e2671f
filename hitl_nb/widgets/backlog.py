"""What a waiting cell kept back, on its way to the kernel (ipykernel 7).

Handed over at once, the cells behind would queue for the kernel's lock while it goes on reading; a click that it reads in that moment would be a
task of the event loop, which the next cell that waits holds up until somebody interrupts it. So the kernel gets one message at a time, the next when
it is free, and what a widget sends at once while something runs, as the kernel itself does it. A cell that waits takes over what is left here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final

_LOOK_S: Final = 0.02
"""How often to look whether the kernel is free."""


class Backlog:
    """Receives the kernel's shell messages in place of the kernel, until none is left. Lives in the main thread's event loop."""

    def __init__(self, stream: Any, lock: asyncio.Lock, is_widgets: Callable[[Any], bool], failed: Callable[[BaseException], None]) -> None:
        self._stream, self._receiver, self._lock = stream, stream._recv_callback, lock
        self._is_widgets, self._failed = is_widgets, failed
        self._frames: deque[Any] = deque()
        self._begins: asyncio.Future[Any] | None = None
        """What the kernel was given last."""
        self._loop = asyncio.get_running_loop()

    def begin(self, kept: Iterable[Any]) -> None:
        """Take the place of the kernel's receiver."""
        self._frames.extend(kept)
        self._stream.on_recv(self.receive, copy=False)
        self._loop.call_later(_LOOK_S, self._go_on)

    def receive(self, frames: Any) -> None:
        """Keep a message in line."""
        self._frames.append(frames)

    def taken(self) -> list[Any]:
        """All that is in line, for a cell that waits; it gives back what it does not need."""
        frames = list(self._frames)
        self._frames.clear()
        return frames

    def _go_on(self) -> None:
        if self._lock.locked():  # a cell runs, and lets the loop turn: it may wait for a widget
            for frames in [f for f in self._frames if self._is_widgets(f)]:
                self._hand_over(frames)
            self._frames = deque(f for f in self._frames if not self._is_widgets(f))
            self._loop.call_later(_LOOK_S, self._go_on)
        elif self._begins is not None and not self._begins.done():  # it is about to take the lock
            self._loop.call_soon(self._go_on)
        elif self._frames:
            self._hand_over(self._frames.popleft())
            self._loop.call_soon(self._go_on)
        else:
            self._stream.on_recv(self._receiver, copy=False)

    def _hand_over(self, frames: Any) -> None:
        self._begins = asyncio.ensure_future(self._receiver(frames))
        self._begins.add_done_callback(self._report)

    def _report(self, handled: asyncio.Future[Any]) -> None:
        if not handled.cancelled() and (error := handled.exception()) is not None:
            self._failed(error)
