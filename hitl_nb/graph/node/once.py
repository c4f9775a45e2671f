"""`once()`: do a thing one time for a node execution, however often the node runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar, overload

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.errors import OutsideNodeError, shown
from hitl_nb.graph.asking.interrupt import Scope, current_scope, node_scope
from hitl_nb.graph.crossing import to_thread
from hitl_nb.graph.durability import settle
from hitl_nb.graph.node.function import is_async
from hitl_nb.graph.node.kept import once_running

T = TypeVar("T")


@overload
def once(key: str, fn: Callable[[], Coroutine[Any, Any, T]], /) -> Awaitable[T]: ...
@overload
def once(key: str, fn: Callable[[], T], /) -> T: ...
def once(key: str, fn: Callable[[], Any], /) -> Any:
    """What `fn()` returned the first time this node execution came here; `fn` does not run again, not after an answer, an error or a crash.

    A node runs again from its top for each answer. `once` keeps out of that what must not happen twice, or takes long. With a coroutine function:
    `await once(key, fn)`. The value is durable before it is returned; each call returns a copy of its own.

    key: names the call within the node execution. The next superstep, another Send or a fork of the thread is another execution, and begins with
        nothing kept; a retry after an error is the same one, and so is a run after an update of the state or a reopened question.

    Two Python threads or tasks of the node that come with one key at the same time: `fn` runs once, both get its value. When `fn` raises, nothing is
    kept. A process that is killed while `fn` runs, or before its value is stored, keeps nothing either: then `fn` runs again, so give an outside
    service an idempotency key. `fn` cannot ask: call `interrupt()` outside of it. Without a checkpointer nothing is ever resumed, and values are kept
    for the execution only.

    Raises OutsideNodeError where no node runs, NotSerializableError when the value cannot be stored (`fn` has run by then), and what `fn` raises.

    >>> from hitl_nb import Command, MemorySaver, StateGraph, interrupt, once
    >>> def pay(state):
    ...     number = once("reserve", lambda: print("reserving") or 17)
    ...     return {"paid": interrupt(f"Pay invoice {number}?")}
    >>> graph = StateGraph().add_node("pay", pay).set_entry_point("pay").compile(checkpointer=MemorySaver())
    >>> config = {"configurable": {"thread_id": "t"}}
    >>> graph.invoke({}, config)["__interrupt__"][0].value
    reserving
    'Pay invoice 17?'
    >>> graph.invoke(Command(resume=True), config)
    {'paid': True}
    """
    scope = node_scope()
    if scope is None:
        raise OutsideNodeError("once() was called where no node runs; call it inside a node, on the node's own thread or task")
    if not isinstance(key, str) or not key:
        raise TypeError(f"once() got the key {shown(key)} ({type(key).__name__}); expected a non-empty str: once('charge', fn)")
    if not callable(fn):
        raise TypeError(f"once({key!r}, …) got {shown(fn)} ({type(fn).__name__}); expected a function without arguments")
    if any(key == other and scope is around for around, other in once_running.get()):
        raise OutsideNodeError(f"the function of once({key!r}, …) called once({key!r}, …) and would wait for itself; give the inner one another key")
    call = _Call(scope, key)
    return call.later(fn) if is_async(fn) else call.now(fn)


class _Call:
    """One call of `once`."""

    def __init__(self, scope: Scope, key: str) -> None:
        self._scope = scope
        self._kept = scope.kept
        self._store: Checkpointer | None = None if scope.host is None else scope.host.saver
        self._task_id = scope.task.id
        self._key = key.encode("utf-8", "surrogatepass")
        self._text = key
        self._name = f"once[{key!r}]"

    def now(self, fn: Callable[[], Any]) -> Any:
        while (ends := self._kept.begin(self._key, self._name, waits=True)) is not None:
            ends.result()
        try:
            if not self._knows():
                with self._running():
                    value = fn()
                if hasattr(value, "__await__"):
                    if hasattr(value, "close"):
                        value.close()  # a coroutine has not begun: nothing happened, and nothing warns of it
                    raise TypeError(f"the function of once({self._text!r}, …) returned something to await; give the coroutine function: async def …")
                self._keep(value)
            return self._value()
        finally:
            self._kept.end(self._key)

    async def later(self, fn: Callable[[], Any]) -> Any:
        while (ends := self._kept.begin(self._key, self._name, waits=False)) is not None:
            await asyncio.wrap_future(ends)
        try:
            if not await self._io(self._knows):
                with self._running():
                    value = await fn()
                await self._io(partial(self._keep, value))
            return self._value()
        finally:
            self._kept.end(self._key)

    def _knows(self) -> bool:
        if self._scope.host is not None:
            settle(self._scope.host)  # a value counts for a task that the store knows
        return self._kept.knows(self._store, self._task_id, self._key)

    def _keep(self, value: Any) -> None:
        self._kept.keep(self._store, self._task_id, self._key, value, self._name)

    def _value(self) -> Any:
        return self._kept.value(self._store, self._key)

    async def _io(self, call: Callable[[], T]) -> T:
        if self._store is None or not self._store.blocking:
            return call()
        done: T = await to_thread(call)
        return done

    @contextmanager
    def _running(self) -> Iterator[None]:
        running = once_running.set((*once_running.get(), (self._scope, self._text)))
        scope = current_scope.set(None)
        try:
            yield
        finally:
            current_scope.reset(scope)
            once_running.reset(running)
