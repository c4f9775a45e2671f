"""Waiting inside a running cell while its widgets stay alive (ipykernel 6 and 7).

A running cell blocks the kernel's main thread, so a click would not arrive before the cell ends. Here the waiting cell itself reads the
kernel's shell messages: what widgets need is handled at once, everything else is kept and handed to the kernel, in order, when the wait ends.
This takes a few private names of ipykernel; where one is missing, waiting is refused instead of guessed.
"""

from __future__ import annotations

import asyncio
import contextvars
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Self

from hitl_nb.errors import StillWaitingError
from hitl_nb.responders.kernel import running_kernel
from hitl_nb.widgets.backlog import Backlog

_WIDGETS: Final = frozenset({"comm_open", "comm_msg", "comm_close"})
_NOW: Final = _WIDGETS | {"comm_info_request", "kernel_info_request"}
_SLICE_S: Final = 0.05
"""How long one poll lasts: the most that a result of a worker thread, or an interrupt, waits to be noticed."""
_SETTLE_S: Final = 0.1
_WAY_OUT: Final = "The question stays open and nothing is lost: answer it in its card, then run this cell again."


def wait(ready: Callable[[], bool], timeout_s: float | None = None, *, kept: Callable[[str], None] | None = None) -> bool:
    """True once `ready()`; False after `timeout_s` seconds. Call it from the main thread of a running cell.

    `kept` is called when something comes that has to wait for this: with the page that runs another cell, else with "".
    Raises StillWaitingError where messages cannot be read from inside a cell. A KeyboardInterrupt passes through; no message is lost, and a
    click that comes with it is handled whole.
    """
    if ready():
        return True
    end = None if timeout_s is None else time.monotonic() + timeout_s
    with _Pump(_kernel(), kept) as pump:
        while not ready():
            left = _SLICE_S if end is None else min(_SLICE_S, end - time.monotonic())
            if left <= 0:
                return False
            pump.turn(left)
    return True


async def settle() -> None:
    """Right before `wait` in a cell that awaits: let the kernel handle what it has read already.

    Such a cell has given the event loop a turn before it got here. A message read in that turn is a task of the loop, which a wait would hold up
    for as long as it lasts; from here on messages come to the pump.
    """
    with _Pump(_kernel()) as pump:
        await asyncio.sleep(_SETTLE_S)
        pump.turn(0)


def _kernel() -> Any:
    """The kernel of the running cell, if it can be waited in."""
    kernel = running_kernel()
    if kernel is None or not hasattr(kernel, "session"):
        raise StillWaitingError(f"Waiting needs a notebook kernel, and none runs here. {_WAY_OUT}")
    if threading.current_thread() is not threading.main_thread():
        raise StillWaitingError(f"Waiting works in the main thread of a cell only, not in {threading.current_thread().name!r}. {_WAY_OUT}")
    if kernel.get_parent("shell").get("header", {}).get("msg_type") != "execute_request":
        raise StillWaitingError(f"Waiting works in a cell only, not in a callback of a widget. {_WAY_OUT}")
    return kernel


class _Pump:
    """Takes over the kernel's shell messages between enter and exit."""

    def __init__(self, kernel: Any, kept: Callable[[str], None] | None = None) -> None:
        self._kernel, self._tell_kept = kernel, kept
        try:
            thread = getattr(kernel, "shell_channel_thread", None)
            if thread is not None:  # ipykernel 7: one thread reads the socket and hands messages to the main thread through an inner pair
                self._stream = thread.manager._shell_channel_to_main.to_stream
                self._replies = thread.manager.get_subshell_to_shell_channel_socket(None)
            else:
                self._stream = self._replies = kernel.shell_stream
            self._receiver, self._copies = self._stream._recv_callback, self._stream._recv_copy
            self._run_callback = self._stream._run_callback
            self._handlers, self._topic = kernel.shell_handlers, kernel._topic("status")
            self._poll, self._flush = self._stream.socket.poll, self._stream.flush
        except (AttributeError, TypeError) as error:
            raise StillWaitingError(f"This kernel cannot wait inside a cell ({error}). {_WAY_OUT}") from error
        if self._receiver is None or self._copies:
            raise StillWaitingError(f"This kernel cannot wait inside a cell (its messages are read in another way). {_WAY_OUT}")
        holder = getattr(self._receiver, "__self__", None)
        self._behind = holder if isinstance(holder, Backlog) else None
        """What another cell that waited left for later; it then stands where the kernel's receiver stood."""
        self._kept: list[Any] = []
        self._interrupted = self._handling = False
        self._parent = kernel.get_parent("shell")
        # Handlers print and display into the waiting cell.
        self._cell = contextvars.copy_context()

    def __enter__(self) -> Self:
        import zmq

        self._in, self._out = zmq.POLLIN, zmq.POLLOUT
        self._before = signal.signal(signal.SIGINT, self._interrupt)
        self._stream.on_recv(self._receive, copy=False)
        if self._behind is not None:
            for frames in self._behind.taken():
                self._receive(frames)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            # The loop is told once about what arrives; what came since the last turn was told to this poll, so it is taken here.
            self._flush(self._in)
        finally:
            self._give_back()
            signal.signal(signal.SIGINT, self._before)
        if self._interrupted and kind is None:  # it came with what ended the wait
            raise KeyboardInterrupt

    def _give_back(self) -> None:
        """Hand what was kept to the kernel, in order, and let it read again."""
        lock = getattr(self._kernel, "_main_asyncio_lock", None)
        self._stream.on_recv(self._receiver, copy=False)
        if self._kept and self._behind is None and isinstance(lock, asyncio.Lock):
            log = self._kernel.log
            failed = partial(log.error, "A message that a waiting cell had kept back could not be handled: %r")
            Backlog(self._stream, lock, lambda frames: self._type(frames) in _WIDGETS, failed).begin(self._kept)
            return
        for frames in self._kept:
            self._run_callback(self._receiver, frames)

    def _interrupt(self, *_: object) -> None:
        """An exception raised between taking a message from the socket and keeping it would lose the message, so it waits for the turn to end.

        So does one that comes while a message is handled: it would cut a click in half. What hangs there is ended by the second press.
        """
        pressed_before, self._interrupted = self._interrupted, True
        if self._handling and pressed_before:
            raise KeyboardInterrupt

    def turn(self, seconds: float) -> None:
        """Handle what is there, or wait for it at most so long."""
        self._flush(self._in)
        self._poll(max(1, int(seconds * 1000)))
        self._flush(self._in)
        if self._interrupted:
            raise KeyboardInterrupt

    def _receive(self, frames: Any) -> None:
        header = self._header(frames)
        kind = str(header.get("msg_type", ""))
        if kind in _NOW:
            self._cell.copy().run(self._handle, frames)
        else:
            self._kept.append(frames)
            if self._tell_kept is not None:
                self._tell_kept(str(header.get("session") or "") if kind == "execute_request" else "")

    def _type(self, frames: Any) -> str:
        return str(self._header(frames).get("msg_type", ""))

    def _header(self, frames: Any) -> Mapping[str, Any]:
        try:
            return dict(self._read(frames, content=False)[1]["header"])
        except Exception:  # noqa: BLE001 - a malformed message is the kernel's to report, later
            return {}

    def _read(self, frames: Any, *, content: bool) -> tuple[Any, Any]:
        session = self._kernel.session
        idents, rest = session.feed_identities(frames, copy=False)
        return idents, session.deserialize(rest, content=content, copy=False)

    def _handle(self, frames: Any) -> None:
        idents, message = self._read(frames, content=True)
        self._status("busy", message)
        self._handling = True
        try:
            result = self._handlers[message["header"]["msg_type"]](self._replies, idents, message)
            if hasattr(result, "send"):
                _finish(result)
        except Exception:  # as the kernel itself does: one bad callback must not end the cell that waits
            self._kernel.log.exception("A message that arrived while a cell waited could not be handled")
        finally:
            self._handling = False
            sys.stdout.flush()
            sys.stderr.flush()
            # Without idle the front end holds back the next change of the widget. The cell itself goes on, so the kernel stays busy.
            self._status("idle", message)
            self._status("busy", self._parent)
            if hasattr(self._replies, "flush"):
                self._replies.flush(self._out)

    def _status(self, state: str, parent: Any) -> None:
        self._kernel.session.send(self._kernel.iopub_socket, "status", {"execution_state": state}, parent=parent, ident=self._topic)


def _finish(coroutine: Any) -> None:
    """Run a handler that is a coroutine by form only: it has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise RuntimeError("the handler waits for something; it cannot do that while a cell waits")
