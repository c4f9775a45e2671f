"""When what a run commits is written: at once, or later, between the loop that makes the commits and the store.

Held back is only what nobody else can interfere with: a superstep of a thread with no open question, which nobody but the run that holds it can move.
Everything else (the input, an update, a question, an answer, what graphs inside nodes store, a value of `once`) is written at once, after all that is
held back. So the store always holds the thread as it was at some moment of its run, and nothing that goes beyond that moment.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Mapping, Sequence
from threading import Lock, current_thread
from typing import TYPE_CHECKING, Any, Final, Literal

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.committing import head_after
from hitl_nb.checkpoint.records import Checkpoint, Event, Failed, Finished, Head
from hitl_nb.graph.effects import Commit, Flow, Io
from hitl_nb.plain.threads import WORKERS, uncut

if TYPE_CHECKING:
    from hitl_nb.graph.run import Run

Durability = Literal["sync", "async", "exit"]
DURABILITIES: Final = ("sync", "async", "exit")
_WAITING_MAX: Final = 200
"""Supersteps that may wait for a writer in the background."""


class Held:
    """The commits that the run of a thread has made and the store does not have yet. Any Python thread may settle.

    `background`: they are written as they come; else they wait until somebody settles. They are written by Python threads of our own, where no Ctrl-C
    cuts a write off, and at the latest when the process exits.
    """

    def __init__(self, saver: Checkpointer, thread_id: str, *, background: bool) -> None:
        self._saver = saver
        self._thread_id = thread_id
        self._waiting: list[Mapping[str, Any]] = []
        self._writing = Lock()
        self._background = background
        self._is_called = False
        """A writer will see what waits."""
        self._failure: BaseException | None = None
        """What a write raised. From then on nothing more of this run is written, as it would go on from what is not there."""
        self._told = False
        self._pid = os.getpid()
        atexit.register(self._leave)

    def hold(self, arguments: Mapping[str, Any]) -> Head:
        """Take a commit; the head that the thread will have with it."""
        self._raise_failure()
        self._waiting.append(arguments)
        if self._background and not self._is_called:
            self._is_called = True
            WORKERS.begin(self._write)
        return head_after(**arguments)

    def is_full(self) -> bool:
        """True when the writer is so far behind that the run should wait for it: else a long run would take more and more memory."""
        return self._background and len(self._waiting) >= _WAITING_MAX

    def settle(self) -> None:
        """Write what is held back, in one transaction; it is stored when this returns. Raises what a write raised, here or in the background."""
        if self._waiting:
            uncut(self._write)
        self._raise_failure()

    def close(self) -> None:
        """The run is over, however it ended: write what is left. Raises what a write raised, unless that was raised before."""
        try:
            if not self._told:
                self.settle()
        finally:
            atexit.unregister(self._leave)

    def _leave(self) -> None:
        """The process exits, and what runs in a daemon thread ends with it."""
        if self._pid == os.getpid():  # in a process that was forked off, the run is its parent's
            uncut(self._write)

    def _write(self) -> None:
        with self._writing:
            self._is_called = False
            commits = list(self._waiting)
            if not commits or self._failure is not None:
                return
            thread = current_thread()
            idle, thread.name = thread.name, "hitl-nb-store"
            try:
                self._saver.commit_all(self._thread_id, commits)
            except BaseException as error:  # noqa: BLE001  # raised where the run hears of it
                thread.name, self._failure = idle, error
            else:
                thread.name = idle
                del self._waiting[: len(commits)]

    def _raise_failure(self) -> None:
        if self._failure is not None:
            self._told = True
            raise self._failure


def held_back(saver: Checkpointer, thread_id: str, durability: Durability) -> Held | None:
    """What holds commits back; None when each is to be written at once."""
    return None if durability == "sync" else Held(saver, thread_id, background=durability == "async")


def commit(saver: Checkpointer, run: Run, effect: Commit) -> Flow:
    """Carry the effect out, or hold it back; returns the new head."""
    if run.held is not None and _can_wait(run, **effect.arguments):
        if run.held.is_full():
            yield Io(run.held.settle)
        return run.held.hold(effect.arguments)

    def write() -> Head:
        settle(run)
        return saver.commit(run.key, **effect.arguments, lazily=_only_begins(run, **effect.arguments))

    return (yield Io(write))


def settle(run: Run) -> None:
    """Write what is held back of the thread, before anything is written that rests on it."""
    if run.held is not None:
        run.held.settle()


def settled(steps: Flow, held: Held | None) -> Flow:
    """The flow; what it holds back is written when it ends, by itself, by an error, or because its caller breaks it off."""
    if held is None:
        return (yield from steps)
    try:
        try:
            ended = yield from steps
        except Exception:  # by an effect, so that an event loop does not wait for the disk
            yield Io(held.settle)
            raise
        yield Io(held.settle)
        return ended
    finally:
        try:
            held.close()
        except KeyboardInterrupt:  # it may have come before anything was written
            held.close()
            raise


def _only_begins(run: Run, *, checkpoint: Checkpoint | None = None, decisions: Sequence[Any] = (), **_: Any) -> bool:
    """True for the input of a run that goes on, and tells nobody yet: its first result, question or failure is a commit that comes before all else.

    So a power cut while its first nodes run may leave the thread as it was before the call. Whatever rests on the input, such as a value of `once`,
    was stored after it, and is there only together with it.
    """
    return checkpoint is not None and checkpoint.source == "input" and bool(checkpoint.tasks) and not decisions and not run.modes


def _can_wait(
    run: Run, *, closing: Sequence[Event] = (), checkpoint: Checkpoint | None = None, events: Sequence[Event] = (), **_: Any
) -> bool:  # fmt: skip
    """True for what nobody else can get in the way of, and nobody else has to see now. A question or an answer never comes without its event."""
    return (
        not run.path
        and (checkpoint is None or checkpoint.source == "loop")
        and all(isinstance(e, Finished | Failed) for e in (*closing, *events))
        and not run.ledger.open()
    )
