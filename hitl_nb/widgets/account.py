"""The account that a notebook's kernel gives to the engine that runs it: which threads were reviewed, what was decided, what is open.

It goes over a comm of its own, at the end of each cell. No output of the notebook holds it, and whatever else runs a notebook never sees it.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any, Final

from hitl_nb.checkpoint.records import Decision, Head
from hitl_nb.decisions.wording import as_json
from hitl_nb.errors import StillWaitingError
from hitl_nb.responders.headless_run import HeadlessRun
from hitl_nb.widgets.left_open import left_open, question_record

TARGET: Final = "hitl_nb.run"
VERSION: Final = 1


@cache
def account() -> Account | None:
    """The account of this kernel; None where no engine asked for one."""
    if HeadlessRun.here() is None:
        return None
    from IPython import get_ipython

    return Account(get_ipython())


class Account:
    """Keeps account of the sessions of one kernel."""

    def __init__(self, shell: Any) -> None:
        self._sessions: dict[tuple[str | None, str], Any] = {}
        """The latest session of each thread, by its store and id, in the order in which the threads were met."""
        self._told: dict[tuple[str | None, str], Head | None] = {}
        """Where each thread stood when it was told last."""
        self._comm: Any = None
        shell.events.register("post_run_cell", self._after_cell)

    def meet(self, session: Any) -> None:
        """A session is about to open. Told at once: its kernel may not live until the end of the cell."""
        store, thread_id = place = _place(session)
        self._sessions[place] = session
        self._send({"threads": [{"thread_id": thread_id, "store": store}]})

    def _after_cell(self, result: Any) -> None:
        error = result.error_in_exec
        threads = [record for session in self._sessions.values() if (record := self._record(session)) is not None]
        message: dict[str, Any] = {"threads": threads}
        if isinstance(error, StillWaitingError):
            first = sorted(self._sessions.values(), key=lambda session: session.thread_id != error.thread_id)
            requests = [request for session in first for request in _pending(session)]
            kept = all(session.is_kept for session in first)
            message |= {"left_open": left_open(requests, kept=kept) if requests else None}
        if threads or "left_open" in message:
            self._send(message)

    def _record(self, session: Any) -> dict[str, Any] | None:
        """What became of a thread; None when nothing did since it was told."""
        try:
            head = session.head
            if head is None or self._told.get(_place(session)) == head:
                return None
            decisions = [_decision_record(d, row) for d, row in zip(session.decisions, session.decision_table(), strict=False)]
        except Exception:  # noqa: BLE001  a store that the notebook has deleted, say; no account is worth an error in its cell
            return None
        store, thread_id = place = _place(session)
        self._told[place] = head
        questions = [question_record(request) for request in _pending(session)]
        return {"thread_id": thread_id, "store": store, "decisions": decisions, "questions": questions}

    def _send(self, message: dict[str, Any]) -> None:
        from comm import create_comm

        data = {"version": VERSION, **message}
        if self._comm is None:
            self._comm = create_comm(target_name=TARGET, data=data)
        else:
            self._comm.send(data)


def _place(session: Any) -> tuple[str | None, str]:
    """Which thread it is: two stores may have one of the same id."""
    return None if session.store is None else str(session.store), session.thread_id


def _pending(session: Any) -> list[Any]:
    try:
        return list(session.pending)
    except Exception:  # noqa: BLE001  a thread that this graph cannot go on with, which its own error has told
        return []


def _decision_record(decision: Decision, row: dict[str, Any]) -> dict[str, Any]:
    return {"thread_id": decision.thread_id, "number": decision.number, **row, "answer": json.loads(as_json(decision.answer))}
