"""The compiled graph: invoke, stream, look at threads, change them. Sync and async are the same flow under two drivers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

from hitl_nb.checkpoint.audit import acting
from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.decisions.reviewer import reviewer_name
from hitl_nb.graph.asking.expiry import Expiry, expire
from hitl_nb.graph.asking.interrupt import current_scope
from hitl_nb.graph.drivers import Setting, adrive, drive, exhaust
from hitl_nb.graph.durability import Durability
from hitl_nb.graph.effects import Flow
from hitl_nb.graph.emit import Emit
from hitl_nb.graph.nested import inner_call, nested_flow
from hitl_nb.graph.run import Run
from hitl_nb.graph.running import ADVANCE, Begin, Call, flow
from hitl_nb.graph.state.schema import StateSchema
from hitl_nb.graph.stream import modes_of, place_of
from hitl_nb.graph.thread import threads, updates
from hitl_nb.graph.thread.graph_change import Renamed
from hitl_nb.graph.thread.inside import Inside
from hitl_nb.graph.thread.reopening import reopened
from hitl_nb.graph.thread.snapshots import checkpoint_config
from hitl_nb.graph.thread.staging import updated
from hitl_nb.graph.thread.threads import Threads, configurable_of, named_checkpoint, named_seq, thread_id_of
from hitl_nb.graph.topology import Topology
from hitl_nb.graph.types import START, Command, Config, GraphResult, StateSnapshot, StateUpdate
from hitl_nb.graph.watch import Watcher
from hitl_nb.plain.tracebacks import LettingGo

if TYPE_CHECKING:
    from hitl_nb.graph.drawing.picture import GraphPicture

Input = Mapping[str, Any] | Command | None
_AT_ONCE: Final = min(32, (os.cpu_count() or 1) + 4)
"""How many nodes of one superstep run at the same time, unless the config says otherwise."""


class CompiledGraph:
    """A graph that runs. Made by `StateGraph.compile`; safe to share between Python threads."""

    def __init__(
        self,
        topology: Topology,
        schema: StateSchema,
        checkpointer: Checkpointer | Literal["inherit"] | bool | None,  # noqa: FBT001  # as in compile
        before: frozenset[str],
        after: frozenset[str],
        *,
        name: str,
        now: Callable[[], datetime],
        new_nonce: Callable[[], str],
        renamed: Mapping[str, str | None],
    ) -> None:
        self.name = name
        saver = checkpointer if isinstance(checkpointer, Checkpointer) else None
        memory = checkpointer if isinstance(checkpointer, bool) else None
        self.checkpointer = saver
        """Keeps the graph's threads; None for a graph that runs without storing them, or inside a node of one that does."""
        self._threads = Threads(topology, schema, saver, name, before, after, now, new_nonce, Renamed.of(renamed, topology, schema), memory)

    @property
    def topology(self) -> Topology:
        """Nodes and edges."""
        return self._threads.topology

    @property
    def now(self) -> Callable[[], datetime]:
        """The clock: what it says is compared with deadlines."""
        return self._threads.now

    def input_of(self, state: Any) -> Any:
        """What a node that runs this graph hands to it of its state: the keys that this graph has too."""
        return {key: value for key, value in state.items() if self._threads.schema.takes(key)} if isinstance(state, Mapping) else state

    @property
    def threads(self) -> Threads:
        """What it takes to read this graph's threads."""
        return self._threads

    # -- running -------------------------------------------------------------------------------------------------------------------

    def invoke(
        self,
        input: Input,  # noqa: A002  # the name users know
        config: Config | None = None,
        *,
        context: Any = None,
        durability: Durability = "sync",
    ) -> GraphResult:
        """Run until the graph ends or asks; the state, with `"__interrupt__"` while it waits.

        input: the state for a new (or finished) thread; `Command(resume=…)` to answer; None to go on after a static pause, a failure or a crash.
        config: `{"configurable": {"thread_id": …}}`; with `checkpoint_id` and None, the run goes back to that checkpoint first. `reviewer` beside
            them is recorded with the answers. Outside of "configurable": `recursion_limit`, supersteps (10,000); `max_concurrency`, nodes.
        context: for nodes that ask for a Runtime; not stored, so give it with each call.
        durability: when a superstep is stored. "sync": before the next one starts. "async": while the next ones run, by another Python thread.
            "exit": when the run pauses, ends or raises, all in one transaction; until then they are held in memory. In every mode the input, an
            update, a question, an answer, and what graphs inside nodes and `once` keep are stored at once, after all that came before; and when the
            call is over everything is stored. A process that is killed loses the supersteps that were not stored yet, no more: with None the thread
            goes on from the last stored one, and the nodes since then run again. Meanwhile others see the thread as it is stored.

        Raises what a node raises; the thread can then be retried with None. Raises StoreError when something could not be stored, in "async" perhaps
        some supersteps later.
        """
        return self._result(exhaust(self._driven(self._call(input, config, context, durability=durability))))

    async def ainvoke(
        self,
        input: Input,  # noqa: A002  # as invoke
        config: Config | None = None,
        *,
        context: Any = None,
        durability: Durability = "sync",
    ) -> GraphResult:
        """`invoke` for asyncio: sync nodes run in threads, the store is read and written in threads."""
        ended: list[Run] = []
        async for _ in self._adriven(self._call(input, config, context, durability=durability), ended.append):
            pass
        return self._result(ended[0])

    def stream(
        self,
        input: Input,  # noqa: A002  # as invoke
        config: Config | None = None,
        *,
        stream_mode: str | Sequence[str] = "updates",
        subgraphs: bool = False,
        context: Any = None,
        durability: Durability = "sync",
    ) -> Iterator[Any]:
        """Run, and yield what happens; each event after what it tells is stored.

        stream_mode: one of these, or a list of them, which yields `(mode, event)` pairs.
            "updates": `{node: update}` for each finished task, `{"__interrupt__": (Interrupt, …)}` at a pause.
            "values": the state, or its keys in the `output_schema`, at each new checkpoint: after the input, an update, each superstep; with
                `"__interrupt__"` at a pause.
            "custom": what nodes hand to their StreamWriter, at once.
            "tasks": `{"id", "name", "input", "triggers"}` right before a task runs, triggers are the nodes that led to it;
                `{"id", "name", "error", "result", "interrupts"}` when it has ended, the error as text.
            "checkpoints": each stored checkpoint, a dict of what `get_state` says of it then; none without a checkpointer.
            "debug": "tasks" and "checkpoints" as `{"step", "timestamp", "type": "task" | "task_result" | "checkpoint", "payload"}`.
        subgraphs: also what happens in graphs inside nodes; each event then comes with its place, a tuple of `node:task id`, in front.
        durability: as in `invoke`. Other than "sync", events come when it happens, and may be ahead of the store; questions never are.

        Events are the caller's own. To stop, break off or close the iterator: nothing goes on in the background, what was told and done is stored.
        """
        modes, pick = modes_of(stream_mode, subgraphs=subgraphs)
        with LettingGo(), closing(self._driven(self._call(input, config, context, modes, durability))) as events:
            for emitted in events:
                yield pick(emitted)

    async def astream(
        self,
        input: Input,  # noqa: A002  # as invoke
        config: Config | None = None,
        *,
        stream_mode: str | Sequence[str] = "updates",
        subgraphs: bool = False,
        context: Any = None,
        durability: Durability = "sync",
    ) -> AsyncIterator[Any]:
        """`stream` for asyncio."""
        modes, pick = modes_of(stream_mode, subgraphs=subgraphs)
        async with aclosing(self._adriven(self._call(input, config, context, modes, durability), lambda run: None)) as events:
            async for emitted in events:
                yield pick(emitted)

    def advance(
        self,
        config: Config,
        *,
        begin: Mapping[str, Any] | None = None,
        watch: Watcher | None = None,
        context: Any = None,
    ) -> GraphResult:
        """Go on with what can go on: answered questions, failed nodes, what a crash left. Answers nothing itself, not even a static pause.

        On a thread that waits or has finished it runs nothing and returns where the thread stands. `begin`: the input of a thread that does not
        exist yet; one that somebody else has begun meanwhile is not begun again. `watch` is told what the nodes do meanwhile. Raises
        UnknownThreadError, ThreadBusyError.
        """
        given = ADVANCE if begin is None else Begin(begin)
        return self._result(exhaust(self._driven(replace(self._call(given, config, context), watch=watch))))

    # -- threads -------------------------------------------------------------------------------------------------------------------

    def get_state(self, config: Config, *, subgraphs: bool = False) -> StateSnapshot:
        """The thread where it stands, or at the config's `checkpoint_id`. For an unknown thread: empty values and nothing next.
        Raises UnknownThreadError for a checkpoint that it does not have.

        subgraphs: each task shows the graph that it runs inside itself, as `state`; its config, with `checkpoint_ns`, names that graph here.
        """
        thread_id, place = thread_id_of(config, inside=True), config.get("configurable", {}).get("checkpoint_ns")
        whole: Config = {"configurable": {"thread_id": thread_id}} if place else config  # the place's checkpoint_id is none of the thread's own
        run = self._threads.load(self._threads.store, thread_id, whole, named_seq(whole))
        if run is None:
            return StateSnapshot({}, (), {"configurable": {"thread_id": thread_id}}, {}, None, None)
        thread = Inside(self._threads, run)
        return (thread.at(place, named_checkpoint(config)) if place else thread).snapshot(subgraphs=subgraphs)

    def get_state_history(
        self,
        config: Config,
        *,
        filter: Mapping[str, Any] | None = None,  # noqa: A002  # the name users know
        before: Config | None = None,
        limit: int | None = None,
    ) -> Iterator[StateSnapshot]:
        """The thread's checkpoints, the newest first, each read when the iterator reaches it.

        filter: only those whose metadata has these values, `{"source": "update"}` for example. before: start below that config's checkpoint.
        limit: at most so many.
        """
        yield from threads.history(self._threads, thread_id_of(config), config, filter, before, limit)

    def update_state(
        self, config: Config, values: Mapping[str, Any] | None, as_node: str | None = None, task_id: str | None = None
    ) -> dict[str, Any]:
        """Write to the state as if node `as_node` (default: the last one that ran) had returned `values`; the config of the new checkpoint.

        Nothing runs. What comes next is planned from that node; questions of other nodes stay open. With a `checkpoint_id` of an earlier
        checkpoint the thread goes back to it first. With a `task_id` it stands for that one task. As END and with None it
        ends the thread; as START it begins one. Raises UnknownNodeError, UnknownThreadError, ThreadBusyError.
        """
        return self._update(config, [[StateUpdate(values, as_node, task_id)]])

    def bulk_update_state(self, config: Config, supersteps: Sequence[Sequence[StateUpdate]]) -> dict[str, Any]:
        """`update_state` several times: a list of supersteps, each a list of `StateUpdate(values, as_node)`; the config of the last checkpoint.

        Each superstep makes one checkpoint. The updates of one superstep combine as the results of parallel nodes do: by the reducers, and two
        writes to a key without one are a ConcurrentUpdateError. All is written in one transaction, or nothing. A new thread begins with one update
        as START, its input. An update with `task_id` stands for that one task of its node, and leaves the others.
        """
        return self._update(config, updates.checked(supersteps))

    def reopen(self, config: Config, interrupt_id: str) -> dict[str, Any]:
        """Discard the answer to a question, and ask again; the config of the checkpoint.

        The old decision stays in the record. If the thread has moved on, it goes back to where the question was open: nothing is deleted, results
        of other nodes of that superstep are kept. The node asks when the graph runs next (`advance`, `invoke(None, …)`). Raises
        UnknownInterruptError for one that is not answered as the thread stands, UnknownThreadError, ThreadBusyError; ThreadMovedError when another
        question was answered at the same moment: that answer stands, nothing was reopened, look again. The config's `reviewer` is who did it, in
        the decision log.
        """
        whole = {"configurable": {"thread_id": thread_id_of(config)}}
        with acting(reviewer_name(configurable_of(config).get("reviewer"))):
            return self._change(whole, lambda saver, run: reopened(self._threads, saver, run, interrupt_id))

    def expire(self, config: Config | None = None, *, now: datetime | None = None) -> list[Expiry]:
        """Deal with the open questions whose deadline has passed, of one thread or of all threads of the store; what became of each.

        One that names `escalate_to` is handed on: it stays open under its id, the new assignee has as long as the first one had, counted from now.
        One that was handed on already, or names nobody, gets its default: a decision by "the deadline", how="expire". One without a default stays
        open, as overdue. Each is one transaction, so it happens once, whoever else calls this or answers at the same moment.

        Nothing runs: `advance(config)` or `invoke(None, config)` goes on with a default, and so does a session that waits. Deadlines do nothing by
        themselves, so call this regularly, or before you look. now: an aware datetime instead of the clock. Reads open questions only.

        Raises UnknownThreadError.
        """
        thread_id = None if config is None else thread_id_of(config)
        return expire(self._threads.store, thread_id, self._threads.now() if now is None else now)

    async def aexpire(self, config: Config | None = None, *, now: datetime | None = None) -> list[Expiry]:
        """`expire` for asyncio."""
        return await asyncio.to_thread(partial(self.expire, config, now=now))

    async def aget_state(self, config: Config, *, subgraphs: bool = False) -> StateSnapshot:
        """`get_state` for asyncio."""
        return await asyncio.to_thread(partial(self.get_state, config, subgraphs=subgraphs))

    async def aget_state_history(
        self,
        config: Config,
        *,
        filter: Mapping[str, Any] | None = None,  # noqa: A002  # as get_state_history
        before: Config | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[StateSnapshot]:
        """`get_state_history` for asyncio."""
        iterator = self.get_state_history(config, filter=filter, before=before, limit=limit)
        while (found := await asyncio.to_thread(next, iterator, None)) is not None:
            yield found

    async def abulk_update_state(self, config: Config, supersteps: Sequence[Sequence[StateUpdate]]) -> dict[str, Any]:
        """`bulk_update_state` for asyncio."""
        return await asyncio.to_thread(self.bulk_update_state, config, supersteps)

    async def aupdate_state(
        self, config: Config, values: Mapping[str, Any] | None, as_node: str | None = None, task_id: str | None = None
    ) -> dict[str, Any]:
        """`update_state` for asyncio."""
        return await asyncio.to_thread(self.update_state, config, values, as_node, task_id)

    def draw(self, config: Config | None = None, *, xray: bool | int = False) -> GraphPicture:
        """The graph as a picture that needs no network: SVG, Mermaid and text in one. With a config, marked as its thread stands.

        A node is marked done, running (planned next, and nobody is asked first), waiting or failed. Runs nothing.
        xray: a node that runs a graph is one box; True draws its graph inside of it, and so on for all levels; a number opens so many levels.
        """
        from hitl_nb.graph.drawing.picture import draw, draw_thread

        if config is None:
            return draw(self._threads.topology, self.name, xray=xray)
        return draw_thread(self._threads, self.get_state(config, subgraphs=True), xray=xray)

    # -- how -----------------------------------------------------------------------------------------------------------------------

    def _driven(self, call: Call) -> Generator[Emit, None, Run]:
        """The run, under the sync driver: yields what the caller wants to be told, returns where the run stands."""
        flow, call, up = self._flow(call)
        emitted = drive(flow, self._setting(call))
        try:
            while True:
                event = next(emitted)
                up(event)
                if event.mode in call.modes:
                    yield event
        except StopIteration as stop:
            run: Run = stop.value
            return run
        finally:
            emitted.close()

    async def _adriven(self, call: Call, ended: Callable[[Run], None]) -> AsyncGenerator[Emit]:
        """The same under the async driver; `ended` is told where the run stands."""
        flow, call, up = self._flow(call)
        async with aclosing(adrive(flow, self._setting(call), ended)) as emitted:
            async for event in emitted:
                up(event)
                if event.mode in call.modes:
                    yield event

    def _flow(self, call: Call) -> tuple[Flow, Call, Callable[[Emit], None]]:
        """The call as a flow, and who else is told of its events: inside a node of another graph, whoever streams that one."""
        scope = current_scope.get()
        if scope is None or scope.host is None or self.checkpointer is not None:
            context = self._threads.schema.context(call.context)
            call = call if context is call.context else replace(call, context=context)
            return flow(self._threads, call), call, lambda event: None
        host, place = scope.host, place_of(scope.task)
        inner = inner_call(call, self._threads.schema, host)

        def up(event: Emit) -> None:
            if event.mode in host.modes and "subgraphs" in host.modes:
                scope.tell(event.from_inside(place))

        return nested_flow(self._threads, inner, scope, host), inner, up

    def _update(self, config: Config, supersteps: Sequence[Sequence[StateUpdate]]) -> dict[str, Any]:
        begins, seq = supersteps[0][0].as_node == START, named_seq(config)
        return self._change(config, lambda saver, run: updated(self._threads, saver, run, seq, supersteps), begins=begins)

    def _change(self, config: Config, change: Callable[[Checkpointer, Run], Flow], *, begins: bool = False) -> dict[str, Any]:
        """Hold the thread, change it, let it go; the config of its new checkpoint. `begins`: a thread that does not exist is no error."""
        saver, thread_id = self._threads.store, thread_id_of(config)

        def changed() -> Flow:
            with saver.guard(thread_id):
                fresh = begins and saver.head(thread_id) is None
                run = self._threads.fresh(thread_id, config) if fresh else self._threads.must_load(thread_id, config)
                return (yield from change(saver, run))

        run: Run = exhaust(drive(changed(), self._setting(Call(None, config))))
        return checkpoint_config(thread_id, run.checkpoint.nonce, run.checkpoint.seq)

    def _setting(self, call: Call) -> Setting:
        concurrency = call.config.get("max_concurrency") or _AT_ONCE
        scope = current_scope.get()
        saver = self.checkpointer or (None if scope is None or scope.host is None else scope.host.saver)
        return Setting(
            self._threads.topology,
            self._threads.schema,
            concurrency,
            blocking=saver is not None and saver.blocking,
            live=not call.modes.isdisjoint(("custom", "subgraphs")),
            thread_id="" if self.checkpointer is None else thread_id_of(call.config),
        )

    def _call(self, given: Any, config: Config | None, context: Any, modes: frozenset[str] = frozenset(), durability: Durability = "sync") -> Call:
        return Call(given, {} if config is None else config, modes, context, durability)

    @staticmethod
    def _result(run: Run) -> GraphResult:
        return GraphResult(run.schema.output(run.state()), run.interrupts(), run.next_nodes(), run.head)
