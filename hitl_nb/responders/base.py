"""What answers (a responder) and what shows (a view). The session knows only these two."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hitl_nb.checkpoint.records import Decision
from hitl_nb.checkpoint.voting import Vote
from hitl_nb.decisions.request import Request
from hitl_nb.errors import HitlError
from hitl_nb.graph.watch import Watcher


class Submit(Protocol):
    """Hand over the answer to one request; may be called now, later, from any thread, once. `reviewer`: who gave it, when not the session's.
    `how`: how it came, when the responder had another one ask for it.

    Checks the answer and records it durably, then returns; the graph goes on afterwards, elsewhere. A Vote: the answer counts, and the question stays
    open until more reviewers have given the same.
    Raises InvalidAnswerError, DeadlinePassedError and NotEntitledError (the question stays open), AlreadyAnsweredError, UnknownInterruptError.
    """

    def __call__(self, answer: Any, *, reviewer: str | None = None, how: str | None = None) -> Decision | Vote: ...


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


@dataclass(frozen=True, slots=True)
class Ways:
    """What a view may have the session do. Each returns at once and may be called from any thread."""

    look: Callable[[], None]
    """Look whether the thread moved, and show it: somebody else may have answered, or a deadline passed."""
    change: Callable[[str], None]
    """Discard the decision on this question, if it still is the latest one, and ask again. Raises ThreadMovedError when it is not, ThreadBusyError
    while the graph runs."""
    answer: Callable[[Sequence[tuple[Request, Any]]], Sequence[Decision | Vote | HitlError]] | None = None
    """Record these answers to open questions together, then run once. For each: its decision, or vote, or why it was not taken; the others count all
    the same. Raises what the store raises; nothing was recorded then. None: each is handed to its own `submit`."""


class View:
    """Shows how a session goes. Every method returns at once and may be called from a worker thread. A view overrides what it shows."""

    progress: Watcher | None = None
    """Is told what the nodes do that run; None: nothing of it is shown."""

    def opened(self, ways: Ways) -> None:
        """The session begins. `ways`: what a person can set going in the view."""

    def decided(self, request: Request, decision: Decision) -> None:
        """A question got its answer here: show the receipt (in place of the card, if there was one)."""

    def decided_elsewhere(self, request: Request, decision: Decision) -> None:
        """A question that is shown as open was answered by somebody else, or by its default."""
        self.decided(request, decision)

    def voted(self, request: Request, vote: Vote) -> None:
        """A reviewer's answer was recorded here, and the question stays open until more of them have given the same; `request` has all votes."""
        self.changed(request)

    def outdated(self, request: Request) -> None:
        """A question that is shown as open is no longer asked. What its node asks now instead, if it does, is asked afterwards."""

    def changed(self, request: Request) -> None:
        """An open question stands otherwise than it is shown: somebody else is asked now, until another time, or a reviewer answered elsewhere."""

    def undone(self, request: Request, decision: Decision) -> None:
        """A decision counts no more: its question is asked again, or the thread went back to before it."""

    def changeable(self, request: Request | None) -> None:
        """The question whose decision can be changed now, the latest one; None while none can."""

    def running(self, nodes: Sequence[str]) -> None:
        """These nodes run now; none: nothing runs."""

    def failed(
        self, error: BaseException, retry: Callable[[], None], reopen: Callable[[], None] | None, nodes: Sequence[tuple[str, str]] = ()
    ) -> None:
        """A node raised. `retry` runs it again with the same answers; `reopen` discards the last answer and asks again (None: there is none).
        `nodes`: each node that failed, with its error as text.
        """

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
    met: Callable[[Any], None] | None = None
    """Is told of the session before it opens, where somebody keeps account of the run."""
    stops: bool = False
    """A question that stays open ends the run in the cell of `review`, not first in that of `result`."""
