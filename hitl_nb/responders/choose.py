"""Who answers here, and where it is shown."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from importlib import import_module
from typing import Any, Final

from hitl_nb.decisions.answers import OnMissing, read_script
from hitl_nb.responders.base import FrontEnd, Responder
from hitl_nb.responders.console import ConsoleResponder
from hitl_nb.responders.headless_run import HeadlessRun
from hitl_nb.responders.kernel import running_kernel
from hitl_nb.responders.plain import PlainView, wait_by_looking
from hitl_nb.responders.scripted import NobodyResponder, ScriptedResponder

FRONT_ENDS: Final = ("hitl_nb.widgets.front_end:open_front_end",)
"""Each opens a front end, or returns None where it cannot. By name, because the widgets are a layer above and load IPython."""
ANSWERS_VARIABLE: Final = "HITL_NB_ANSWERS"
ANSWERS_PARAMETER: Final = "hitl_answers"


def choose_front_end(*, responder: Responder | None = None, answers: Any = None, on_missing: OnMissing = "fail") -> FrontEnd:
    """The front end with the responder that answers: the first there is of `responder`, `answers`, the answers that the run was given, the
    notebook's `hitl_answers`, the environment's `HITL_NB_ANSWERS`, the card, the terminal. Where there is none the responder fails at once, or
    leaves the question open.

    Raises AnswersFileError when the answers cannot be read.
    """
    front = _notebook() or FrontEnd(PlainView(), None, wait_by_looking)
    if responder is not None:
        return replace(front, responder=responder)
    run = HeadlessRun.here()
    if run is not None and run.leaves_open and on_missing != "leave_open":
        on_missing, front = "leave_open", replace(front, stops=True)
    parameter = getattr(sys.modules.get("__main__"), ANSWERS_PARAMETER, None)
    for given, source in (
        # a cell that passes its parameter on, review(…, answers=hitl_answers), says nothing of its own
        (None if answers is parameter else answers, "answers="),
        (run.answers if run is not None else None, "answers="),
        (parameter, "answers=" if answers is parameter else ANSWERS_PARAMETER),
        (os.environ.get(ANSWERS_VARIABLE) or None, ANSWERS_VARIABLE),
    ):
        if given is not None:
            script = ScriptedResponder(read_script(given, source=source), on_missing=on_missing, person=front.responder or _terminal())
            return replace(front, responder=script)
    return replace(front, responder=front.responder or _terminal() or NobodyResponder(on_missing=on_missing))


def _notebook() -> FrontEnd | None:
    """The front end of the notebook that runs in this process."""
    if running_kernel() is None:
        return None
    for name in FRONT_ENDS:
        module, _, function = name.partition(":")
        found: FrontEnd | None = getattr(import_module(module), function)()
        if found is not None:
            return found
    return None


def _terminal() -> Responder | None:
    """Whoever sits at the terminal."""
    there = all(stream is not None and not stream.closed and stream.isatty() for stream in (sys.stdin, sys.stdout))
    return ConsoleResponder() if there else None
