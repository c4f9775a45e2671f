"""The compiled graph: invoke, stream, look at threads, change them. Sync and async are the same flow under two drivers."""

from __future__ import annotations

import asyncio
import os
import warnings
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from hitl_nb.checkpoint.base import Checkpointer, check_thread_id
from hitl_nb.checkpoint.records import UNSET, Decision
from hitl_nb.decisions.reviewer import reviewer_name
from hitl_nb.errors import EmptyInputError, NoCheckpointerError, ThreadBusyError, ThreadWaitingError, UnusedAnswersWarning
from hitl_nb.graph import answers, threads
from hitl_nb.graph.drivers import Setting, adrive, drive, exhaust
from hitl_nb.graph.effects import Commit, Emit, Flow, Io, More, Reload, Start, Steps
from hitl_nb.graph.loop import Further, Run
from hitl_nb.graph.schema import StateSchema
from hitl_nb.graph.threads import Threads, checkpoint_config, named_seq, snapshot
from hitl_nb.graph.topology import Topology
from hitl_nb.graph.types import Command, Config, GraphResult, StateSnapshot, pairs

if TYPE_CHECKING:
    from hitl_nb.graph.drawing.picture import GraphPicture

Input = Mapping[str, Any] | Command | None
RECURSION_LIMIT: Final = 10_000
"""Supersteps of one run, unless the config says otherwise."""
_MODES: Final = ("values", "updates")
_ADVANCE: Final = object()
"""Input of a flow that answers nothing: only goes on with what can go on."""


@dataclass(frozen=True, slots=True)
class _Begin:
    """Input of a flow that begins a new thread with `input`, and goes on with one that is there, finished or not."""

    input: Mapping[str, Any]


class CompiledGraph:
    """A graph that runs. Made by `StateGraph.compile`; safe to share between Python threads."""

    def __init__(
        self,
        topology: Topology,
        schema: StateSchema,
        checkpointer: Checkpointer | None,
        before: frozenset[str],
        after: frozenset[str],
        *,
        name: str,
        now: Callable[[], datetime],
        new_nonce: Callable[[], str],
    ) -> None:
        self.name = name
        self.checkpointer = checkpointer
        self._threads = Threads(topology, schema, checkpointer, name, before, after, now, new_nonce)

    @property
    def topology(self) -> Topology:
        """Nodes and edges."""
        return self._threads.topology

    # -- running -------------------------------------------------------------------------------------------------------------------

    def invoke(self, input: Input, config: Config | None = None) -> GraphResult:  # noqa: A002  # the name users know
        """Run until the graph ends or asks; the state, with `"__interrupt__"` while it waits.

        input: the state for a new (or finished) thread; `Command(resume=…)` to answer; None to go on after a static pause, a failure or a crash.
        config: `{"configurable": {"thread_id": …}}`; with `checkpoint_id` and None, the run goes back to that checkpoint first.

        Each superstep is stored before the next starts. Raises what a node raises; the thread can then be retried with None.
        """
        return self._result(exhaust(drive(self._flow(input, config or {}, frozenset()), self._setting(config or {}))))

    async def ainvoke(self, input: Input, config: Config | None = None) -> GraphResult:  # noqa: A002  # as invoke
        """`invoke` for asyncio: sync nodes run in threads, the store is read and written in threads."""
        ended: list[Run] = []
        async for _ in adrive(self._flow(input, config or {}, frozenset()), self._setting(config or {}), ended.append):
            pass
        return self._result(ended[0])

    def stream(
        self,
        input: Input,  # noqa: A002  # as invoke
        config: Config | None = None,
        *,
        stream_mode: str | Sequence[str] = "updates",
    ) -> Iterator[Any]:
        """Run, and yield what happens; each event after what it tells is stored.

        stream_mode "updates": `{node: update}` for each finished node, `{"__interrupt__": (Interrupt, …)}` at a pause. "values": the whole state
        after the input and each superstep. A list of modes yields `(mode, event)` pairs.
        """
        modes, pick = _modes(stream_mode)
        for emitted in drive(self._flow(input, config or {}, modes), self._setting(config or {})):
            yield pick(emitted)

    async def astream(
        self,
        input: Input,  # noqa: A002  # as invoke
        config: Config | None = None,
        *,
        stream_mode: str | Sequence[str] = "updates",
    ) -> AsyncIterator[Any]:
        """`stream` for asyncio."""
        modes, pick = _modes(stream_mode)
        async with aclosing(adrive(self._flow(input, config or {}, modes), self._setting(config or {}), lambda run: None)) as events:
            async for emitted in events:
                yield pick(emitted)

    def advance(
        self, config: Config, *, begin: Mapping[str, Any] | None = None, on_start: Callable[[tuple[str, ...]], None] | None = None
    ) -> GraphResult:
        """Go on with what can go on: answered questions, failed nodes, what a crash left. Answers nothing itself, not even a static pause.

        On a thread that waits or has finished it runs nothing and returns where the thread stands. `begin`: the input of a thread that does not
        exist yet; one that somebody else has begun meanwhile is not begun again. `on_start` is told the nodes of each superstep right before they
        run. Raises UnknownThreadError, ThreadBusyError.
        """
        modes = frozenset({"starts"}) if on_start else frozenset[str]()
        given = _ADVANCE if begin is None else _Begin(begin)
        return self._result(exhaust(drive(self._flow(given, config, modes), self._setting(config)), on_start))

    # -- threads -------------------------------------------------------------------------------------------------------------------

    def get_state(self, config: Config) -> StateSnapshot:
        """The thread where it stands, or at the config's `checkpoint_id`. For an unknown thread: empty values and nothing next."""
        thread_id = self._thread_id(config)
        run = self._threads.load(self._threads.store, thread_id, config, named_seq(config))
        if run is None:
            return StateSnapshot({}, (), {"configurable": {"thread_id": thread_id}}, {}, None, None)
        return snapshot(run)

    def get_state_history(self, config: Config, *, before: Config | None = None, limit: int | None = None) -> Iterator[StateSnapshot]:
        """The thread's checkpoints, the newest first, each read when the iterator reaches it. `before`: start below that config's checkpoint."""
        at = named_seq(before) if before is not None else None
        yield from threads.history(self._threads, self._thread_id(config), config, at, limit)

    def update_state(self, config: Config, values: Mapping[str, Any] | None, as_node: str | None = None) -> dict[str, Any]:
        """Write to the state as if node `as_node` (default: the last one that ran) had returned `values`; the config of the new checkpoint.

        Nothing runs. What comes next is planned from that node; questions of other nodes stay open. With a `checkpoint_id` of an earlier
        checkpoint the thread goes back to it first. Raises UnknownNodeError, ThreadBusyError.
        """
        return self._change(config, lambda run: threads.update(run, values, as_node))

    def reopen(self, config: Config, interrupt_id: str) -> dict[str, Any]:
        """Discard the answer to a question, and ask again; the config of the checkpoint.

        The old decision stays in the record. If the thread has moved on, it goes back to where the question was open: nothing is deleted, results
        of other nodes of that superstep are kept. The node asks when the graph runs next (`advance`, `invoke(None, …)`).
        """
        thread_id = self._thread_id(config)

        def change(run: Run) -> Steps:
            if interrupt_id in run.ledger.asked:
                yield from threads.reopen(run, interrupt_id)
                return
            earlier = self._threads.where_answered(run, interrupt_id)
            yield from threads.reopen_earlier(earlier, run.ledger, interrupt_id)
            run.checkpoint = earlier.checkpoint

        return self._change({"configurable": {"thread_id": thread_id}}, change)

    async def aget_state(self, config: Config) -> StateSnapshot:
        """`get_state` for asyncio."""
        return await asyncio.to_thread(self.get_state, config)

    async def aget_state_history(self, config: Config, *, before: Config | None = None, limit: int | None = None) -> AsyncIterator[StateSnapshot]:
        """`get_state_history` for asyncio."""
        iterator = self.get_state_history(config, before=before, limit=limit)
        while (found := await asyncio.to_thread(next, iterator, None)) is not None:
            yield found

    async def aupdate_state(self, config: Config, values: Mapping[str, Any] | None, as_node: str | None = None) -> dict[str, Any]:
        """`update_state` for asyncio."""
        return await asyncio.to_thread(self.update_state, config, values, as_node)

    def draw(self, config: Config | None = None, *, xray: bool | int = False) -> GraphPicture:
        """The graph as a picture that needs no network: SVG, Mermaid and text in one. With a config, marked as its thread stands.

        A node is marked done, running (planned next, and nobody is asked first), waiting or failed. Runs nothing.
        xray: a node that runs a graph is one box; True draws its graph inside of it, and so on for all levels; a number opens so many levels.
        """
        from hitl_nb.graph.drawing.picture import draw, draw_thread

        if config is None:
            return draw(self._threads.topology, self.name, xray=xray)
        return draw_thread(self._threads, self.get_state(config), xray=xray)

    # -- the flow ------------------------------------------------------------------------------------------------------------------

    def _flow(self, given: Any, config: Config, modes: frozenset[str]) -> Flow:
        """One call of invoke or stream, as effects. Answers are recorded first, so that they count even when somebody else runs the thread."""
        saver = self.checkpointer
        if saver is None:
            run = self._threads.fresh("", config)
            run.modes, run.limit = modes, _limit(config)
            yield from self._without_store(run, given)
            return run
        thread_id = self._thread_id(config)
        recorded = None
        if given is None or (isinstance(given, Command) and given.resume is not UNSET and not given.writes() and not given.targets()):
            recorded = yield Io(lambda: self._record(saver, thread_id, UNSET if given is None else given.resume, config))
            given = _ADVANCE if recorded is not None else None
        while True:
            run = yield from self._guarded(saver, thread_id, given, recorded, config, modes)
            # an answer that came after the last look, from someone who then found the thread busy, must not be left lying
            head = yield Io(lambda: saver.head(thread_id))
            if head is None or run.head is None or head.seq != run.head.seq or head.events == run.head.events:
                return run
            given, recorded = _ADVANCE, None

    def _guarded(
        self, saver: Checkpointer, thread_id: str, given: Any, recorded: Further | None, config: Config, modes: frozenset[str]
    ) -> Generator[Any, Any, Run]:
        holding = ExitStack()
        guard = saver.guard(thread_id)
        try:
            try:
                # entered inside the effect: a caller that is cancelled meanwhile still lets go of it below
                yield Io(lambda: holding.enter_context(guard))
            except ThreadBusyError as busy:
                if recorded is None:
                    raise
                raise ThreadBusyError(
                    f"{busy} The answer is recorded; whoever runs the thread goes on with it.", thread_id=thread_id, answer_recorded=True
                ) from None
            opened: tuple[Run, Steps] = yield Io(lambda: self._open(saver, thread_id, given, config))
            run, first = opened
            run.modes, run.limit, run.further = modes, _limit(config), recorded or run.further
            if recorded is not None and recorded.recorded_at != run.head:  # somebody else ran or answered in between
                recorded.disturbed = True
            yield from _perform(first, saver, run)
            yield from _perform(run.supersteps(), saver, run)
            if run.further is not None and run.further.answers:
                warnings.warn(
                    f"{len(run.further.answers)} of the answers in Command(resume=[…]) were left over when thread {thread_id!r} "
                    f"{'paused' if run.next_nodes() else 'ended'}; they were not recorded"
                    f"{', because somebody else answered meanwhile; go by id' if run.further.disturbed else ''}",
                    UnusedAnswersWarning,
                    stacklevel=2,
                )
            return run
        finally:
            holding.close()

    def _without_store(self, run: Run, given: Any) -> Flow:
        if isinstance(given, Command) and given.resume is not UNSET:
            raise NoCheckpointerError(
                "Command(resume=…) needs a stored thread, but this graph has no checkpointer; compile(checkpointer=MemorySaver())"
            )
        writes = _input(given, "")
        yield from _perform(run.begin(writes, ""), None, run)
        yield from _perform(run.supersteps(), None, run)

    def _open(self, saver: Checkpointer, thread_id: str, given: Any, config: Config) -> tuple[Run, Steps]:
        """The thread, and the steps that come before its supersteps."""
        seq = named_seq(config)
        run = self._threads.load(saver, thread_id, config)
        if isinstance(given, _Begin):
            given = given.input if run is None else _ADVANCE
        if given is _ADVANCE or given is None:
            if run is None and given is None:
                raise EmptyInputError(
                    f"thread {thread_id!r} is new and invoke() got None; give the initial state: invoke({{…}}, config)", thread_id=thread_id
                )
            run = run or self._threads.must_load(thread_id, config)
            if given is None and seq is not None and run.head is not None and seq != run.head.seq:
                earlier = self._threads.must_load(thread_id, config, seq)
                return earlier, threads.fork(earlier, run.ledger)
            return run, _nothing()
        if run is not None and run.head is not None:
            resumes = isinstance(given, Command) and given.resume is not UNSET
            answers.require_current(saver, thread_id, run.head, seq, given="the answer" if resumes else "the input")
        if isinstance(given, Command) and run is not None:
            decisions: list[Decision] = []
            if given.resume is not UNSET and run.head is not None:
                decide = answers.decider(_reviewer(config), _how(config), self._threads.now)
                decisions, left = answers.match(saver, thread_id, run.head, run.open(), given.resume, decide)
                run.further = Further(left, frozenset(d.node for d in decisions), decide)
            return run, threads.amend(run, given.writes(), given.targets(), decisions)
        if isinstance(given, Command) and given.resume is not UNSET:
            run = self._threads.must_load(thread_id, config)
        writes = _input(given, thread_id)
        if run is not None and run.checkpoint.tasks:
            raise ThreadWaitingError(
                f"thread {thread_id!r} is not finished (next: {', '.join(run.next_nodes())}; open questions: {len(run.ledger.open())}), so new "
                f"input would lose them. Answer with Command(resume=…), go on with None, write with update_state, or use another thread_id",
                thread_id=thread_id,
            )
        run = run or self._threads.fresh(thread_id, config)
        return run, run.begin(writes, saver.serde.digest(dict(given) if isinstance(given, Mapping) else writes, "input"))

    def _record(self, saver: Checkpointer, thread_id: str, resume: Any, config: Config) -> Further | None:
        """Store the answers of `resume` before anything runs; None when there was nothing to answer. `resume` UNSET: only pass a static pause."""
        run = self._threads.load(saver, thread_id, config)
        seq = named_seq(config)
        open_ = run.open() if run else []
        if resume is UNSET:
            if not any(a.kind == "static" for a in open_) or (run and run.head and seq not in (None, run.head.seq)):
                return None
            open_, resume = [a for a in open_ if a.kind == "static"], None
        run = run or self._threads.must_load(thread_id, config)
        assert run.head is not None  # a loaded thread has one
        answers.require_current(saver, thread_id, run.head, seq)
        decide = answers.decider(_reviewer(config), _how(config), self._threads.now)
        decisions, left = answers.match(saver, thread_id, run.head, open_, resume, decide)
        head = saver.answer(thread_id, decisions)
        return Further(left, frozenset(d.node for d in decisions), decide, head)

    def _change(self, config: Config, change: Callable[[Run], Steps]) -> dict[str, Any]:
        """Hold the thread, change it, let it go; the config of its new checkpoint."""
        saver, thread_id, seq = self._threads.store, self._thread_id(config), named_seq(config)

        def flow() -> Flow:
            with saver.guard(thread_id):
                run = self._threads.must_load(thread_id, config)
                if seq is not None and run.head is not None and seq != run.head.seq:
                    current, run = run, self._threads.must_load(thread_id, config, seq)
                    yield from _perform(threads.fork(run, current.ledger), saver, run)
                yield from _perform(change(run), saver, run)
                return run

        run: Run = exhaust(drive(flow(), self._setting(config)))
        return checkpoint_config(thread_id, run.checkpoint.nonce, run.checkpoint.seq)

    def _thread_id(self, config: Config) -> str:
        configurable = config.get("configurable", {})
        if "thread_id" not in configurable:
            raise TypeError(f'config is {dict(config)!r}; expected {{"configurable": {{"thread_id": "…"}}}} to name the thread')
        return check_thread_id(configurable["thread_id"])

    def _setting(self, config: Config) -> Setting:
        concurrency = int(config.get("max_concurrency") or min(32, (os.cpu_count() or 1) + 4))
        saver = self.checkpointer
        return Setting(self._threads.topology, self._threads.schema, concurrency, blocking=saver is not None and saver.blocking)

    @staticmethod
    def _result(run: Run) -> GraphResult:
        return GraphResult(run.state(), run.interrupts(), run.next_nodes())


def _perform(steps: Steps, saver: Checkpointer | None, run: Run) -> Flow:
    """The loop's own effects on the store, as Io. Without a checkpointer the loop has none."""
    reply: Any = None
    error: Exception | None = None
    try:
        while True:
            effect = steps.send(reply) if error is None else steps.throw(error)
            reply, error = None, None
            try:
                match effect:
                    case Commit(arguments) if saver is not None:
                        reply = yield Io(partial(saver.commit, run.thread_id, **arguments))
                    case Reload() if saver is not None:
                        reply = yield Io(partial(_reload, saver, run))
                    case Start() | More() | Emit():
                        reply = yield effect
            except Exception as raised:  # noqa: BLE001  # the loop decides what an error means
                error = raised
    except StopIteration:
        return


def _reload(saver: Checkpointer, run: Run) -> tuple[Any, Any, Any]:
    head = saver.head(run.thread_id)
    assert head is not None  # only threads that were loaded are reloaded
    return head, saver.ledger(run.thread_id, head), saver.values(run.thread_id, run.checkpoint)


def _nothing() -> Steps:
    yield from ()


def _input(given: Any, thread_id: str) -> list[tuple[str, Any]]:
    if given is None:
        raise EmptyInputError("invoke() got None, but there is nothing to go on with; give the initial state", thread_id=thread_id or None)
    if isinstance(given, Command):
        if given.targets():
            raise EmptyInputError(
                f"Command(goto=…) came for the new thread {thread_id!r}, which begins at START; give the initial state: invoke({{…}}, config)",
                thread_id=thread_id or None,
            )
        return given.writes()
    if not isinstance(given, Mapping):
        raise TypeError(f"invoke() got {given!r:.200} ({type(given).__name__}); expected a mapping of state keys, a Command, or None")
    return pairs(given, "invoke(input)")


def _limit(config: Config) -> int:
    limit = config.get("recursion_limit", RECURSION_LIMIT)
    if not isinstance(limit, int) or limit < 1:
        raise ValueError(f"recursion_limit is {limit!r}; expected a whole number of supersteps, 1 or more")
    return limit


def _reviewer(config: Config) -> str:
    return reviewer_name(config.get("configurable", {}).get("reviewer"))


def _how(config: Config) -> str:
    return str(config.get("configurable", {}).get("how", "invoke"))


def _modes(stream_mode: str | Sequence[str]) -> tuple[frozenset[str], Callable[[Emit], Any]]:
    wanted = [stream_mode] if isinstance(stream_mode, str) else list(stream_mode)
    for mode in wanted:
        if mode not in _MODES:
            raise ValueError(f"stream_mode is {mode!r}; expected one of {', '.join(_MODES)}, or a list of them")
    if isinstance(stream_mode, str):
        return frozenset(wanted), lambda e: e.event
    return frozenset(wanted), lambda e: (e.mode, e.event)
