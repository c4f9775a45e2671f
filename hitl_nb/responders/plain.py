"""Shows a session where there is no notebook: one line a decision."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from hitl_nb.checkpoint.records import Decision
from hitl_nb.checkpoint.voting import Vote
from hitl_nb.decisions.answering import brief
from hitl_nb.decisions.request import Request
from hitl_nb.decisions.wording import printable
from hitl_nb.responders.base import View
from hitl_nb.responders.console import tell

_LOOK_EVERY_S: Final = 0.05


class PlainView(View):
    """Prints one line for each decision. The caller has the result, and an error is raised to them."""

    def __init__(self, *, write: Callable[[str], None] = tell) -> None:
        self._write = write

    def voted(self, request: Request, vote: Vote) -> None:
        said = f"{request.form.heading} {brief(vote.answer)}, by {vote.reviewer} ({vote.how}): {vote.standing} have answered so, it stays open"
        self._write(printable(said).replace("\n", " "))

    def decided(self, request: Request, decision: Decision) -> None:
        self._write(printable(f"{request.form.heading} {brief(decision.answer)}, by {decision.reviewer} ({decision.how})").replace("\n", " "))


def wait_by_looking(ready: Callable[[], bool], timeout_s: float | None) -> bool:
    """True once `ready()`; False after `timeout_s` seconds. For a responder that answers from another thread."""
    ends_at = None if timeout_s is None else time.monotonic() + timeout_s
    while not ready():
        if ends_at is not None and time.monotonic() >= ends_at:
            return False
        time.sleep(_LOOK_EVERY_S)
    return True
