"""Whether a page still shows the cards of a cell that waits.

A page that is loaded again without having been saved has lost its outputs. Nobody can answer there, and a cell that is run there, to see the card
again, would stand behind the cell that waits, for ever. So when a cell is run while another one waits, the page is asked whether it shows the card.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

_LEARN_EVERY_S: Final = 1.0
_SILENCE_S: Final = 3.0
"""A page answers within some hundredths of a second, when it has much to draw within one."""
_PING_EVERY_S: Final = 10.0
_SILENCES: Final = 3
_TRIES: Final = 2
"""So many silences in a row: a card that was replaced in between cannot answer."""


class Sight:
    """`ping(heard)` asks the page, which calls `heard` when it shows a card; False when there is none to show.

    A page that has never answered is taken to be unable to (it lacks anywidget), unless a cell is run from a page that does not show the card: then
    the one that did may have been closed before it could.
    """

    def __init__(self, ping: Callable[[Callable[[], None]], bool], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._ping, self._clock = ping, clock
        self.answers = False
        """Whether a page has shown that it shows the card."""
        self._began_at, self._asked_at = clock(), -_SILENCE_S
        self._is_shown = False
        """Whether there was a card to show when the page was asked."""
        self._silences: int | None = None
        """How often the page did not answer since somebody doubted it; None: nobody does."""
        self._is_elsewhere = False
        """Whether a page that does not show the card doubted it."""
        self.is_lost = False

    def doubt(self, *, elsewhere: bool = False) -> None:
        """A cell is run while this one waits; `elsewhere`: from a page that does not show the card. It stands until a page answers."""
        self._is_elsewhere |= elsewhere
        if self._silences is None:
            self._silences = 0
            self._ask()

    def look(self) -> bool:
        """To be called again and again: True once no page shows the card any more."""
        now = self._clock()
        waited_s = now - self._asked_at
        if not (self.answers or self._is_elsewhere):
            # ever less often: what is asked is noted down, and a page that cannot answer may wait for days
            if waited_s >= max(_LEARN_EVERY_S, (now - self._began_at) / 10):
                self._ask()
        elif self._silences is not None and waited_s >= _SILENCE_S:
            self._silences = self._silences + 1 if self._is_shown else 0
            self.is_lost = self._silences >= _TRIES
            self._ask()
        return self.is_lost

    def _ask(self) -> None:
        self._asked_at = self._clock()
        self._is_shown = self._ping(self._heard)

    def _heard(self) -> None:
        self.answers, self._silences, self._is_elsewhere = True, None, False


class Presence:
    """Whether a page shows what is kept up to date for it: one that is closed does not always say so. `ping` asks the pages, which make it call
    `heard`. `when_free` has its argument called once the kernel hears messages: while a cell runs, silence says nothing.
    """

    def __init__(
        self, ping: Callable[[], None], when_free: Callable[[Callable[[], None]], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ping, self._when_free, self._clock = ping, when_free, clock
        self._asked_at = clock()
        self._is_awaited = self._was_free = False
        self._silences = 0

    def heard(self) -> None:
        self._is_awaited, self._silences = False, 0

    def look(self) -> bool:
        """To be called again and again: False once no page has answered for half a minute."""
        now = self._clock()
        if now - self._asked_at < _PING_EVERY_S:
            return True
        if self._is_awaited and not self._was_free:
            return True
        self._silences += self._is_awaited
        if self._silences >= _SILENCES:
            return False
        self._asked_at, self._is_awaited, self._was_free = now, True, False
        self._when_free(self._free)
        self._ping()
        return True

    def _free(self) -> None:
        self._was_free = True


def kernel_time() -> Callable[[Callable[[], None]], object]:
    """What has a call made by the event loop of the running cell when that has time; where there is none, at once."""
    try:
        return asyncio.get_running_loop().call_soon_threadsafe
    except RuntimeError:
        return lambda call: call()
