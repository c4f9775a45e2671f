"""What answers (a responder) and what shows (a view). The session knows only these two."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hitl_nb.checkpoint.records import Decision
from hitl_nb.decisions.request import Request


class Submit(Protocol):
    """Hand over the answer to one request; may be called now, later, from any thread, once. `reviewer`: who gave it, when not the session's.

    Checks the answer and records it durably, then returns; the graph goes on afterwards, elsewhere.
    Raises InvalidAnswerError and DeadlinePassedError (the question stays open), AlreadyAnsweredError, UnknownInterruptError.
    """

    def __call__(self, answer: Any, *, reviewer: str | None = None) -> Decision: ...


class Responder(Protocol):
    """Answers requests: scripted at once, a console after typing, a card some day.

    A responder that never answers after `ask` has returned says so with `answers_later = False`; then nothing waits for it.
    """

    how: str
    """Stored with each decision: `script`, `console`, `card`."""

    def ask(self, request: Request, submit: Submit) -> None:
        """Get the request answered. Must return; whoever cannot answer now keeps `submit` for later.

        Raises MissingAnswerError when nothing will ever answer here.
        """


class View(Protocol):
    """Shows how a session goes. Every method returns at once and may be called from a worker thread."""

    def decided(self, request: Request, decision: Decision) -> None:
        """A question got its answer: show the receipt (in place of the card, if there was one)."""

    def running(self, nodes: Sequence[str]) -> None:
        """These nodes run now."""

    def failed(self, error: BaseException, retry: Callable[[], None], reopen: Callable[[], None] | None) -> None:
        """A node raised. `retry` runs it again with the same answers; `reopen` discards the last answer and asks again (None: there is none)."""

    def finished(self) -> None:
        """The graph ended."""


class Waiter(Protocol):
    """Waits in a cell while its controls stay alive."""

    def __call__(self, ready: Callable[[], bool], timeout_s: float | None) -> bool:
        """True once `ready()`; False after `timeout_s` seconds. Raises StillWaitingError where waiting cannot work."""


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """Where a session is shown, who answers there, and how a cell waits for it."""

    view: View
    responder: Responder | None
    """None: nobody can answer here."""
    wait: Waiter
    settle: Callable[[], Awaitable[None]] | None = None
    """To be awaited by a coroutine right before it calls `wait`; None: nothing has to be."""
