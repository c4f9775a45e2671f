"""What `once()` keeps for one node execution: read from the store at first use, added to it value by value."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.errors import NotSerializableError, OutsideNodeError
from hitl_nb.graph.crossing import running_loop

once_running: ContextVar[tuple[tuple[Any, str], ...]] = ContextVar("hitl_nb_once", default=())
"""The scope and key of each `once` whose function runs here, each inside the one before. There the node's own scope is hidden: what the function does
is left out when the node runs again, so it must not be counted as the node's n-th question, or the n-th graph that the node runs inside."""


@dataclass(slots=True)
class Kept:
    """By key. Safe to share between the Python threads and asyncio tasks of the execution."""

    stored: dict[bytes, bytes] | None = None
    """Encoded, as in the store; None: not read yet."""
    unstored: dict[bytes, Any] = field(default_factory=dict)
    """Without a checkpointer: the values themselves."""
    running: dict[bytes, tuple[Future[None], asyncio.AbstractEventLoop | None]] = field(default_factory=dict)
    """For each key whose function runs: what ends with it, and the event loop that it is a task of."""
    lock: Lock = field(default_factory=Lock)

    def knows(self, store: Checkpointer | None, task_id: str, key: bytes) -> bool:
        """Whether there is a value."""
        if store is None:
            return key in self.unstored
        with self.lock:
            if self.stored is None:
                self.stored = store.kept(task_id)
            return key in self.stored

    def value(self, store: Checkpointer | None, key: bytes) -> Any:
        """The value: from the store a copy of its own for each caller, so that a first run does not differ from a resumed one."""
        if store is None or self.stored is None:
            return self.unstored[key]
        return store.serde.loads(self.stored[key])

    def keep(self, store: Checkpointer | None, task_id: str, key: bytes, value: Any, name: str) -> None:
        """Keep what the function returned; durable when this returns."""
        if store is None or self.stored is None:
            self.unstored[key] = value
            return
        try:
            data = store.serde.dumps(value, name)
        except NotSerializableError as error:
            raise NotSerializableError(
                f"{error}. The function has run, and what it did stands; its value was not kept, so the function would run again. Return what can be "
                f"stored from it, such as an id or a dict",
                path=error.path,
            ) from error
        data = store.keep(task_id, key, data, read=len(self.stored))
        with self.lock:
            self.stored[key] = data

    def begin(self, key: bytes, name: str, *, waits: bool) -> Future[None] | None:
        """None: the caller looks, and runs the function if need be, then calls `end`. Else what to wait for before asking again.

        `waits`: the caller would keep its Python thread waiting, and with it the event loop that runs there.
        """
        loop = running_loop()
        with self.lock:
            if key not in self.running:
                ends: Future[None] = Future()
                ends.set_running_or_notify_cancel()  # whoever stops waiting for it does not end it for the others
                self.running[key] = (ends, loop)
                return None
            ends, where = self.running[key]
        if waits and loop is not None and loop is where:
            raise OutsideNodeError(
                f"{name} runs as a coroutine in this event loop, which cannot wait for it; await it here too, with a coroutine function"
            )
        return ends

    def end(self, key: bytes) -> None:
        """Let the next one look."""
        with self.lock:
            ends, _ = self.running.pop(key)
        ends.set_result(None)
