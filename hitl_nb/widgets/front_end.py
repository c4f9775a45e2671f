"""What this notebook offers to a session: live cards where a person can answer, static receipts where nobody can."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, Final

from hitl_nb.errors import StillWaitingError
from hitl_nb.responders.base import FrontEnd
from hitl_nb.responders.kernel import running_kernel, running_page
from hitl_nb.widgets import pump
from hitl_nb.widgets.account import account
from hitl_nb.widgets.sight import Sight
from hitl_nb.widgets.static import StaticView

HEADLESS_VARIABLE: Final = "HITL_NB_HEADLESS"
"""Set to 1: nobody answers here, whatever the front end says."""
_SEEN_WITHIN_S: Final = 5.0
"""A front end draws a card within a fifth of a second; after this time there is none."""


def open_front_end() -> FrontEnd | None:
    """The front end of the running notebook cell; None outside a notebook kernel. Shows nothing yet, and does not wait."""
    kernel = running_kernel()
    if kernel is None:
        return None
    if not person_can_answer(kernel):
        kept = account()
        return FrontEnd(StaticView(), None, _nobody_to_wait_for, met=None if kept is None else kept.meet)
    from hitl_nb.widgets.live import LiveView  # here, so that a headless run does not load ipywidgets

    view = LiveView()

    def wait(ready: Callable[[], bool], timeout_s: float | None) -> bool:
        return _wait(view, ready, timeout_s)

    return FrontEnd(view, view, wait, pump.settle)


def person_can_answer(kernel: Any) -> bool:
    """Whether whoever runs this cell can be asked.

    A program that executes a notebook (papermill, nbclient, nbval) says in its request that it takes no input. A callback of a widget has no
    such request, but somebody must have clicked; so does a page of Voila.
    """
    if os.environ.get(HEADLESS_VARIABLE) == "1":
        return False
    if _in_voila():
        return True
    request = kernel.get_parent("shell") or {}
    if request.get("header", {}).get("msg_type") != "execute_request":
        return True
    return bool(request.get("content", {}).get("allow_stdin", False))


def _in_voila() -> bool:
    return os.environ.get("SERVER_SOFTWARE", "").startswith("voila")


def _wait(view: Any, ready: Callable[[], bool], timeout_s: float | None) -> bool:
    """Wait for a person, once it is sure that one can see the card."""
    if _in_voila() and not ready():
        raise StillWaitingError(
            "The question is open, and in Voila no cell can wait for its answer: the page with the card appears once all cells have run. "
            "Leave result() out of this notebook. The graph goes on by itself when the card is answered, so put what shall follow into a node."
        )
    began_at = time.monotonic()
    within = _SEEN_WITHIN_S if timeout_s is None else min(_SEEN_WITHIN_S, timeout_s)
    sight, page = Sight(view.ping), running_page()

    def seen() -> bool:
        # That the card is drawn may have been read right before this cell began; then it is told when the cell has ended. So the page is asked, too.
        # And the page that drew it may be gone, when another one runs this cell.
        return view.is_seen_in(page) or sight.look() or sight.answers

    if not pump.wait(lambda: ready() or seen(), within):
        if within < _SEEN_WITHIN_S:
            return False
        raise StillWaitingError(
            f"The question is shown in a card, but no front end drew it within {_SEEN_WITHIN_S:.0f} s, so nobody can answer here. "
            f"In a notebook, run the cell of review() again. In a headless run, set {HEADLESS_VARIABLE}=1 and give the answers with answers=."
        )
    view.awaited()

    def kept(runner: str) -> None:
        sight.doubt(elsewhere=runner != "" and not view.is_seen_in(runner))

    left_s = None if timeout_s is None else timeout_s - (time.monotonic() - began_at)
    done = pump.wait(lambda: ready() or sight.look(), left_s, kept=kept)
    if sight.is_lost and not ready():
        raise StillWaitingError(
            "The page that showed the question is gone, and another cell is to be run. Nothing is lost: run the cell of review() again to see it."
        )
    return done


def _nobody_to_wait_for(ready: Callable[[], bool], timeout_s: float | None) -> bool:  # noqa: ARG001 - a Waiter has it
    if ready():
        return True
    raise StillWaitingError(
        "The question is open and this is a headless run, so nobody can answer it here. "
        "Give the answers with answers=, or answer it elsewhere and run again."
    )
