"""One call of invoke or stream, as a flow of effects: record the answers, hold the thread, open it, run it, let it go."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.records import UNSET, Answered, Asked, Decision, Question
from hitl_nb.checkpoint.voting import Recorded
from hitl_nb.decisions.reviewer import checked_name, reviewer_name
from hitl_nb.errors import EmptyInputError, NoCheckpointerError, ThreadBusyError, ThreadWaitingError, UnusedAnswersWarning, shown
from hitl_nb.graph import durability
from hitl_nb.graph.abreast import Abreast
from hitl_nb.graph.asking import answers
from hitl_nb.graph.asking.interrupt import node_scope
from hitl_nb.graph.durability import DURABILITIES, Durability
from hitl_nb.graph.effects import Commit, Flow, Io, More, Reload, Start, Steps
from hitl_nb.graph.emit import Emit
from hitl_nb.graph.loop import begin, supersteps
from hitl_nb.graph.run import Further, Run
from hitl_nb.graph.state.state_class import parts_of
from hitl_nb.graph.stretch import Stretch
from hitl_nb.graph.thread import threads
from hitl_nb.graph.thread.graph_change import require_unchanged
from hitl_nb.graph.thread.threads import Threads, configurable_of, named_seq, thread_id_of
from hitl_nb.graph.thread.updates import amend
from hitl_nb.graph.types import Command, Config, pairs
from hitl_nb.graph.watch import Watcher

RECURSION_LIMIT: Final = 10_000
"""Supersteps of one run, unless the config says otherwise."""
ADVANCE: Final = object()
"""Input of a flow that answers nothing: only goes on with what can go on."""


@dataclass(frozen=True, slots=True)
class Begin:
    """Input of a flow that begins a new thread with `input`, and goes on with one that is there, finished or not."""

    input: Mapping[str, Any]


@dataclass(slots=True)  # never changed; not frozen, which would take several times as long to make
class Call:
    """What the caller of invoke or stream asked for."""

    given: Any
    config: Config
    modes: frozenset[str] = frozenset()
    """What the caller wants to be told."""
    context: Any = None
    """An instance of the graph's context schema, or what was given."""
    durability: Durability = "sync"
    watch: Watcher | None = None
    """Who looks on while it runs."""
    limit: int = field(init=False)

    def __post_init__(self) -> None:
        configurable_of(self.config)
        limit = self.config.get("recursion_limit", RECURSION_LIMIT)
        if not isinstance(limit, int) or limit < 1:
            raise ValueError(f"recursion_limit is {shown(limit)}; expected a whole number of supersteps, 1 or more")
        self.limit = limit
        at_once = self.config.get("max_concurrency")
        if at_once is not None and (not isinstance(at_once, int) or at_once < 1):
            raise ValueError(f"max_concurrency is {shown(at_once)}; expected a whole number of nodes that may run side by side, 1 or more")
        if self.durability not in DURABILITIES:
            raise ValueError(f"durability is {shown(self.durability)}; expected one of {', '.join(DURABILITIES)}")


@dataclass(frozen=True, slots=True)
class Recording:
    """What became of the answers that came with a call."""

    further: Further
    run: Run | None
    """The thread as it was left behind, if nobody else had a part in it: it need not be read again while it stands there."""


def flow(known: Threads, call: Call) -> Flow:
    """Run the thread that the call's config names. Answers are recorded first, so that they count even when somebody else runs the thread."""
    saver = known.saver
    if saver is None:
        return (yield from run_unstored(known, call))
    thread_id, given = thread_id_of(call.config), call.given
    recorded = None
    if given is None or (isinstance(given, Command) and given.resume is not UNSET and not given.writes() and not given.targets()):
        recorded = yield Io(lambda: _record(known, saver, thread_id, UNSET if given is None else given.resume, call.config))
    run = None
    while True:
        try:
            run = yield from _guarded(known, saver, thread_id, recorded, call)
        except ThreadBusyError:
            if run is None:
                raise
            return run  # what was asked for is done; whoever has the thread now began after that other answer, and goes on with it
        # an answer that came after the last look, from someone who then found the thread busy, must not be left lying
        head = yield Io(lambda: saver.head(thread_id))
        if head is None or run.head is None or head.seq != run.head.seq or head.events == run.head.events:
            return run
        call, recorded = replace(call, given=ADVANCE), None


def run_unstored(known: Threads, call: Call, run: Run | None = None) -> Flow:
    """Run from the input to the end with nothing stored."""
    given = call.given
    if known.before or known.after:
        raise NoCheckpointerError("this graph has static pauses, but nothing stores its threads here; compile(checkpointer=MemorySaver(), …)")
    if isinstance(given, Command) and given.resume is not UNSET:
        raise NoCheckpointerError("Command(resume=…) needs a stored thread, but this graph has no checkpointer; compile(checkpointer=MemorySaver())")
    run = prepared(run or known.fresh("", call.config), call)
    yield from all_steps(begin(run, written(given, ""), ""), None, run)
    return run


def prepared(run: Run, call: Call) -> Run:
    """The run with what the call asks for."""
    run.modes, run.limit, run.context, run.watch = call.modes, call.limit, call.context, call.watch
    return run


def _guarded(known: Threads, saver: Checkpointer, thread_id: str, recorded: Recording | None, call: Call) -> Generator[Any, Any, Run]:
    holding = ExitStack()
    guard = saver.guard(thread_id)
    try:
        try:
            # entered inside the effect: a caller that is cancelled meanwhile still lets go of it below
            yield Io(partial(holding.enter_context, guard))
        except ThreadBusyError as busy:
            if recorded is None and (scope := node_scope()) is not None and scope.thread_id == thread_id:
                raise ThreadBusyError(
                    f"node {scope.task.node!r} began a run of thread {thread_id!r}, which it is part of, and would wait for its own end. Return an "
                    f"update or Command(goto=…), call a graph that is compiled without a checkpointer, or give another thread_id",
                    thread_id=thread_id,
                    node=scope.task.node,
                ) from None
            if recorded is None:
                raise
            raise ThreadBusyError(
                f"{busy} The answer is recorded; whoever runs the thread goes on with it.", thread_id=thread_id, answer_recorded=True
            ) from None
        opened: tuple[Run, Steps] = yield Io(lambda: _open(known, saver, thread_id, call, recorded))
        run, first = prepared(opened[0], call), opened[1]
        if recorded is not None:
            run.further = recorded.further
            run.further.disturbed = run.further.recorded_at != run.head  # somebody else ran or answered in between
        run.held = durability.held_back(saver, thread_id, call.durability)
        yield from durability.settled(all_steps(first, saver, run), run.held)
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
        try:
            holding.close()
        finally:
            del guard  # one that a Ctrl-C met as it was entered lets go when nothing refers to it


def all_steps(first: Steps, saver: Checkpointer | None, run: Run) -> Flow:
    """What comes first, and the supersteps."""
    yield from perform(first, saver, run)
    yield from perform(supersteps(run), saver, run)


def _open(known: Threads, saver: Checkpointer, thread_id: str, call: Call, recorded: Recording | None) -> tuple[Run, Steps]:
    """The thread, and the steps that come before its supersteps."""
    given, config = call.given if recorded is None else ADVANCE, call.config
    if recorded is not None and recorded.run is not None and saver.head(thread_id) == recorded.run.head:
        return recorded.run, nothing()
    seq = named_seq(config)
    run = known.load(saver, thread_id, config)
    if isinstance(given, Begin):
        given = given.input if run is None else ADVANCE
    if given is ADVANCE or given is None:
        if run is None and given is None:
            raise EmptyInputError(
                f"thread {thread_id!r} is new and invoke() got None; give the initial state: invoke({{…}}, config)", thread_id=thread_id
            )
        run = run or known.must_load(thread_id, config)
        if given is None and seq is not None and run.head is not None and seq != run.head.seq:
            earlier = known.must_load(thread_id, config, seq)
            require_unchanged(earlier)
            return earlier, threads.fork(earlier, run.ledger)
        require_unchanged(run)
        return run, nothing()
    if run is not None and run.head is not None:
        resumes = isinstance(given, Command) and given.resume is not UNSET
        answers.require_current(saver, thread_id, run.head, seq, given="the answer" if resumes else "the input")
    if isinstance(given, Command) and run is not None:
        require_unchanged(run)
        decisions: list[Decision] = []
        if given.resume is not UNSET and run.head is not None:
            decide = answers.decider(_reviewer(config), _how(config), known.now)
            decisions, left = answers.match(saver, thread_id, run.head, _asked(saver, run, run.open()), given.resume, decide)
            run.further = Further(left, frozenset(run.asker(d.interrupt_id) for d in decisions), decide)
        return run, amend(run, given.writes(), given.targets(), decisions)
    if isinstance(given, Command) and given.resume is not UNSET:
        run = known.must_load(thread_id, config)
    writes = written(given, thread_id)
    if run is not None and run.checkpoint.tasks:
        raise ThreadWaitingError(
            f"thread {thread_id!r} is not finished (next: {', '.join(run.next_nodes())}; open questions: {len(run.ledger.open())}), so new "
            f"input would lose them. Answer with Command(resume=…), go on with None, write with update_state, or use another thread_id",
            thread_id=thread_id,
        )
    run = run or known.fresh(thread_id, config)
    return run, begin(run, writes, input_digest(saver, given, writes))


def _record(known: Threads, saver: Checkpointer, thread_id: str, resume: Any, config: Config) -> Recording | None:
    """Store the answers of `resume` before anything runs; None when there was nothing to answer. `resume` UNSET: only pass a static pause."""
    run = known.load(saver, thread_id, config)
    seq = named_seq(config)
    open_ = run.open() if run else []
    if resume is UNSET:
        if not any(a.kind == "static" for a in open_) or (run and run.head and seq not in (None, run.head.seq)):
            return None
        open_ = [a for a in open_ if a.kind == "static"]
        resume = {a.interrupt_id: None for a in open_}
    run = run or known.must_load(thread_id, config)
    assert run.head is not None  # a loaded thread has one
    answers.require_current(saver, thread_id, run.head, seq)
    require_unchanged(run)
    decide = answers.decider(_reviewer(config), _how(config), known.now)
    decisions, left = answers.match(saver, thread_id, run.head, _asked(saver, run, open_), resume, decide)
    recorded = saver.record(thread_id, decisions, known=(run.head, run.ledger))
    asker = frozenset(run.asker(d.interrupt_id) for d in decisions)
    return Recording(Further(left, asker, decide, recorded.head), _with_answers(run, recorded))


def _asked(saver: Checkpointer, run: Run, open_: Sequence[Asked]) -> dict[str, Question]:
    """These questions by id, their nodes called as they are stored."""
    if run.renamed.nodes:
        return {a.interrupt_id: question for a in open_ if (question := saver.question(a.interrupt_id)) is not None}
    return {a.interrupt_id: run.questions[a.interrupt_id] for a in open_}


def _with_answers(run: Run, recorded: Recorded) -> Run | None:
    """The run as it stands with the answers that were recorded just now; None when it has to be read anew."""
    answered = [made for made in recorded.made if isinstance(made, Decision)]
    if (
        len(answered) < len(recorded.made)
        or run.head is None
        or recorded.head != run.head.at(run.head.seq, run.head.events + 1, decided=len(answered))
    ):
        return None
    for made in answered:
        run.ledger.add(Answered(made.interrupt_id, run.codec.dumps(made.answer, "answer")))
    run.head = recorded.head
    return run


def perform(steps: Steps, saver: Checkpointer | None, run: Run, commit: Callable[[Checkpointer, Run, Commit], Flow] = durability.commit) -> Flow:
    """The loop's own effects on the store, as Io; `commit` deals with its commits. Without a checkpointer the loop has none."""
    reply: Any = None
    error: Exception | None = None
    try:
        while True:
            effect = steps.send(reply) if error is None else steps.throw(error)
            reply, error = None, None
            try:
                match effect:
                    case Commit() if saver is not None:
                        reply = yield from commit(saver, run, effect)
                    case Reload() if saver is not None:
                        reply = yield Io(partial(_reload, saver, run))
                    case Start() | Stretch() | Abreast() | More() | Emit():
                        reply = yield effect
            except Exception as raised:  # noqa: BLE001  # the loop decides what an error means
                error = raised
    except StopIteration:
        return


def _reload(saver: Checkpointer, run: Run) -> tuple[Any, Any, Any]:
    head = saver.head(run.key)
    assert head is not None  # only threads that were loaded are reloaded
    return head, saver.ledger(run.key, head), saver.values(run.key, run.checkpoint)


def nothing() -> Steps:
    """No steps."""
    yield from ()


def written(given: Any, thread_id: str) -> list[tuple[str, Any]]:
    """The input of a new run as writes."""
    if given is None:
        raise EmptyInputError("invoke() got None, but there is nothing to go on with; give the initial state", thread_id=thread_id or None)
    if isinstance(given, Command):
        if given.targets():
            raise EmptyInputError(
                f"Command(goto=…) came for the new thread {thread_id!r}, which begins at START; give the initial state: invoke({{…}}, config)",
                thread_id=thread_id or None,
            )
        return given.writes()
    if not isinstance(given, Mapping) and parts_of(given) is None:
        raise TypeError(
            f"invoke() got {shown(given)} ({type(given).__name__}); expected a mapping of state keys, an instance of the state's class, a Command, "
            f"or None"
        )
    return pairs(given, "invoke(input)")


def input_digest(saver: Checkpointer, given: Any, writes: list[tuple[str, Any]]) -> str:
    """What a thread was begun with, to tell another input from the same."""
    return saver.serde.digest(writes if isinstance(given, Command) else dict(writes), "input")


def _reviewer(config: Config) -> str:
    return reviewer_name(configurable_of(config).get("reviewer"))


def _how(config: Config) -> str:
    return checked_name("how", configurable_of(config).get("how", "invoke"))
