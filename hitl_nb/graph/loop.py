"""The heart: superstep after superstep, until the graph ends, pauses or fails. No I/O here.

`supersteps()` is a generator of effects. A driver (sync or async, see drivers.py) carries each one out and sends back its result; what the loop
decides does not depend on which driver runs it.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from functools import partial
from itertools import takewhile
from typing import Any

from hitl_nb.checkpoint.records import Answered, Decision, Event, PlannedTask, Source, boundary_id
from hitl_nb.decisions.check import check_answer
from hitl_nb.errors import GraphError, NotSerializableError, RecursionLimitError, StoreError, ThreadMovedError
from hitl_nb.graph import stream
from hitl_nb.graph.abreast import Abreast, is_wide
from hitl_nb.graph.asking.boundaries import boundary_payload, boundary_question
from hitl_nb.graph.asking.interrupt import Scope
from hitl_nb.graph.effects import Commit, Effect, More, Reload, Start, Steps
from hitl_nb.graph.emit import Emit
from hitl_nb.graph.node.attempt import Done, Job, Outcome, Paused, Plain, Raised
from hitl_nb.graph.node.failure import node_error
from hitl_nb.graph.run import Run
from hitl_nb.graph.stretch import Stretch, straight_from
from hitl_nb.graph.topology import Exit, Target
from hitl_nb.graph.types import START, Command, Send
from hitl_nb.graph.watch import Begun


def supersteps(run: Run) -> Steps:
    """Run until the graph ends or waits. Raises what a node raised, after storing what the others finished."""
    yield from _tell(run)
    left = run.limit
    while left:
        if not run.checkpoint.tasks:
            return
        if (yield from pause_at_boundary(run)):
            return
        plain = None
        while tasks := run.runnable():
            begun = None
            if (node := straight_from(tasks, run)) is not None:
                stretch = Stretch(run, node, left)
                begun = yield stretch
                left -= stretch.passed
                tasks = run.checkpoint.tasks
            elif is_wide(tasks, run):
                begun = yield Abreast(run, tasks, partial(_job, run))
            if isinstance(begun, Plain):
                plain = begun
                break
            yield from _wave(run, tasks, begun)
            if run.up:
                return
            if not (yield from _answer_further(run)) and not (yield from _catch_up(run)):
                break
        if plain is None and len(run.results) < len(run.checkpoint.tasks):
            yield from flush(run)
            yield from stream.waiting(run)
            return
        yield from _advance(run, plain)
        left -= 1
    if run.checkpoint.tasks:
        raise RecursionLimitError(
            f"thread {run.thread_id!r} took {run.limit} supersteps without ending, next: {', '.join(run.next_nodes())}; the state is stored. "
            f'Raise the limit with config={{"recursion_limit": …}} if the graph is meant to run longer',
            thread_id=run.thread_id,
        )


def begin(run: Run, writes: Sequence[tuple[str, Any]], input_digest: str) -> Steps:
    """Take new input: the first checkpoint of a new thread, or a further one of a finished thread."""
    first = run.checkpoint.seq < 0
    if run.serde is not None:  # values of its own: nodes that change one in place must not change what the caller passed in
        own, name = run.serde, "state[{!r}]".format
        writes = [(key, own.loads(own.dumps(value, name(key)))) for key, value in writes]
    values, written = run.schema.start(None if first else run.values, writes)
    goto = yield from route(run, START, values)
    topology, nonce, seq = run.topology, run.checkpoint.nonce, run.next_seq
    tasks, arrived = topology.plan([Exit(START, goto)], {}, nonce, seq) if goto else topology.plan_onward([START], nonce, seq)
    parent = None if first else run.checkpoint.seq
    yield from move(run, values, written, tasks, arrived, source="input", wrote=(), parent=parent, input_digest=input_digest)
    yield from _tell(run)


def route(run: Run, node: str, values: Mapping[str, Any]) -> Generator[Effect, Any, tuple[Target, ...]]:
    """Where the conditional edges of a node lead from these values, without running the node."""
    if node not in run.topology.branches:
        return ()
    task = PlannedTask(f"route/{node}", node, run.checkpoint.seq, ("route", node))
    scope = Scope(run, run.checkpoint.seq, task)
    scope.alone = True
    (outcome,) = yield Start([Job(task, None, values, scope, routes_only=True)])
    if isinstance(outcome, Raised):
        raise outcome.error
    return run.targets(outcome.goto)


# -- one superstep -----------------------------------------------------------------------------------------------------------------------


def _wave(run: Run, tasks: Sequence[PlannedTask], begun: Job | Sequence[Outcome | Emit] | None = None) -> Steps:
    """Run the tasks side by side; store each batch of outcomes as it comes, and pass on what nodes write to the stream meanwhile.

    `begun`: what came of them already, or the one job that a stretch began.
    """
    found: Sequence[Outcome | Emit]
    if begun is None or isinstance(begun, Job):
        jobs = [_job(run, t) for t in tasks] if begun is None else [begun]
        if run.watch is not None:
            run.watch.started([Begun(t.id, t.node, run.path) for t in tasks])
        yield from stream.started(run, jobs)
        found = yield Start(jobs, together=run.unseen)
    else:
        found = begun
    missing = len(tasks)
    errors: dict[str, BaseException] = {}
    while True:
        outcomes = [o for o in found if not isinstance(o, Emit)]
        for written in found if len(outcomes) < len(found) else ():
            if isinstance(written, Emit) and written.asks:
                run.withheld.append(written)
            elif isinstance(written, Emit):
                yield written
        errors |= _absorb(run, outcomes)
        missing -= len(outcomes)
        if not missing:
            break
        yield from flush(run)
        found = yield More()
    if run.behind:
        run.behind = False
        yield from _store(run)
        yield from _reload(run)
    if errors:
        yield from flush(run)
        raise next(errors[t.id] for t in tasks if t.id in errors)


def _job(run: Run, task: PlannedTask) -> Job:
    failed = run.ledger.handled.get(task.id)
    if failed is not None and run.topology.nodes[task.node].error_handler is None:  # without its handler, the node itself is to run again
        failed = None
    scope = Scope(run, run.checkpoint.seq, task)
    if task.seq != run.checkpoint.seq:
        scope.moved = True
    if failed is not None:
        scope.position, scope.handling = failed.handler_from, True
    state: Any = run.own_state() if task.arg is None else run.argument(task)
    return Job(task, state, run.values, scope, failure=None if failed is None else node_error(task.node, failed))


def _absorb(run: Run, outcomes: Iterable[Outcome]) -> dict[str, BaseException]:
    """Take the outcomes in; what has to be stored is noted. Returns the errors by task id."""
    errors: dict[str, BaseException] = {}
    for outcome in outcomes:
        task = outcome.task
        match outcome:
            case Done(up=Command() as command):
                if not run.path:
                    errors[task.id] = GraphError(
                        f"node {task.node!r} returned Command(graph=Command.PARENT), but its graph does not run inside a node of another one",
                        node=task.node,
                    )
                run.up[task.id] = command
            case Done():
                try:
                    run.take(outcome)
                except NotSerializableError as error:
                    errors[task.id] = error
                else:
                    if run.modes:
                        stream.finished(run, outcome)
            case Paused():
                for question in outcome.questions:
                    run.ask(question)
                for event in outcome.events:
                    run.note(event)
                stream.asked(run, outcome)
            case Raised() if outcome.for_handler and _has_handler(run, task):
                run.withdraw(task.id, "its node failed, which an error handler deals with")
                _fail(run, task, outcome.error, outcome)
            case Raised(error=raised, left_open=asked):
                for question in () if asked is None else asked.questions:
                    run.ask(question)
                for event in () if asked is None else asked.events:
                    run.note(event)
                errors[task.id] = raised
        if task.id in errors:
            _fail(run, task, errors[task.id])
        if run.watch is not None:
            went_well = isinstance(outcome, Done) and task.id not in errors
            run.watch.ended(task.id, "done" if went_well else "asked" if isinstance(outcome, Paused) else "failed")
    return errors


def _fail(run: Run, task: PlannedTask, error: BaseException, for_handler: Raised | None = None) -> None:
    failure = run.failed(task, error, for_handler)
    run.note(failure)
    stream.failed(run, task, failure)


def _has_handler(run: Run, task: PlannedTask) -> bool:
    return run.topology.nodes[task.node].error_handler is not None and task.id not in run.ledger.handled


def flush(run: Run) -> Steps:
    """Store the events noted so far, then tell about them."""
    yield from _store(run)
    yield from _tell(run)


def _store(run: Run) -> Steps:
    if run.closing and run.head is not None:
        known = run.head.events
        questions = () if run.path else tuple(run.fresh)
        run.head = yield Commit({"expect": run.head, "events": tuple(run.closing), "questions": questions})
        if run.head.events != known + 1:  # answers arrived meanwhile
            run.disturb()
            yield from _reload(run)
    run.closing.clear()
    if not run.path:  # else the thread around stores them
        run.fresh.clear()


def _tell(run: Run) -> Steps:
    events, run.announce = run.announce, []
    yield from events


def _catch_up(run: Run) -> Generator[Effect, Any, bool]:
    """Store what is noted; True when a task can run: an answer came from elsewhere, or an error handler has work."""
    if len(run.results) == len(run.checkpoint.tasks):
        return False
    yield from flush(run)
    return bool(run.runnable())


def _answer_further(run: Run) -> Generator[Effect, Any, bool]:
    """Give the answers of a list that are left to what the same nodes just asked. True when there was one to give."""
    further = run.further
    if not further or not further.answers:
        return False
    yield from flush(run)
    if further.disturbed:
        return False
    asked = [run.questions[a.interrupt_id] for a in run.open() if run.asker(a.interrupt_id) in further.nodes]
    asked = list(takewhile(lambda q: q.quorum == 1, asked))  # one caller does not complete a quorum, so the list ends there
    decisions = [further.decide(q, check_answer(q, answer)) for q, answer in zip(asked, further.answers, strict=False)]
    if not decisions:
        return False
    events = tuple(Answered(d.interrupt_id, run.codec.dumps(d.answer, "answer")) for d in decisions)
    try:
        run.head = yield Commit({"expect": run.head, "events": events, "decisions": decisions})
    except ThreadMovedError:  # somebody answered one of them first
        run.disturb()
        yield from _reload(run)
        return bool(run.runnable())
    for _ in decisions:
        further.answers.popleft()
    yield from _reload(run)
    return True


def _reload(run: Run) -> Steps:
    """Read the thread again: for answers from elsewhere, and so that a node that runs again does not find what it changed in place before."""
    run.head, run.ledger, run.values = yield Reload()


# -- pauses --------------------------------------------------------------------------------------------------------------------------------


def pause_at_boundary(run: Run) -> Generator[Effect, Any, bool]:
    """True when the run stops at this checkpoint by `interrupt_before` or `interrupt_after`."""
    if not (run.before or run.after):
        return False
    payload = boundary_payload(run.checkpoint, run.ledger, run.results, run.before, run.after)
    if payload is None or run.serde is None:
        return False
    if not run.ledger.of_task(boundary_id(run.checkpoint.nonce, run.checkpoint.seq)):
        digest = run.serde.digest(payload, "payload")
        question, asked = boundary_question(run, payload, digest)
        run.ask(question)
        run.note(asked)
        yield from flush(run)
    yield from stream.waiting(run)
    return True


# -- the next checkpoint -------------------------------------------------------------------------------------------------------------------


def _advance(run: Run, plain: Plain | None = None) -> Steps:
    """All tasks of the superstep finished: combine what they wrote, plan what comes next, store it in one transaction.

    `plain`: their results, where no others are kept.
    """
    done = [run.results[t.id] for t in run.checkpoint.tasks] if plain is None else []
    seq, waiting, nonce = run.next_seq, run.checkpoint.arrived, run.checkpoint.nonce
    arrived: Mapping[str, tuple[str, ...]]
    ids: Sequence[str | int]
    updates: Sequence[Collection[tuple[str, Any]]]
    chosen: Sequence[Sequence[str | Send]]
    try:
        if plain is None:
            ids, nodes, instead = [d.task.id for d in done], tuple([d.task.node for d in done]), [d.instead for d in done]
            updates, chosen = [d.update for d in done], [d.goto for d in done]
        else:
            ids, nodes, instead = range(len(plain.nodes)), tuple(plain.nodes), [False] * len(plain.nodes)
            updates, chosen, _ = zip(*plain.made, strict=True)
        values, written = run.schema.apply(run.values, zip(ids, nodes, updates, strict=True))
        if waiting or any(chosen) or any(instead):
            exits = ((node, run.targets(goto) if goto else (), only) for node, goto, only in zip(nodes, chosen, instead, strict=True))
            tasks, arrived = run.topology.plan(exits, waiting, nonce, seq)
        else:
            tasks, arrived = run.topology.plan_onward(nodes, nonce, seq)
        yield from move(run, values, written, tasks, arrived, source="loop", wrote=nodes, parent=run.checkpoint.seq)
    except (ThreadMovedError, StoreError):  # the results are good, and those that are stored already count
        raise
    except Exception as error:
        # the results cannot be combined or stored: they do not count and are not told, the tasks run again
        run.announce.clear()
        if run.serde is not None and run.head is not None and run.head.seq < seq:
            for outcome in done:
                run.results.pop(outcome.task.id, None)
                _fail(run, outcome.task, error)
            yield from flush(run)
        raise
    yield from _tell(run)


def move(
    run: Run,
    values: dict[str, Any],
    written: Iterable[str],
    tasks: Sequence[PlannedTask],
    arrived: Mapping[str, tuple[str, ...]],
    *,
    source: Source,
    wrote: tuple[str, ...],
    parent: int | None,
    events: Sequence[Event] = (),
    decisions: Sequence[Decision] = (),
    input_digest: str | None = None,
) -> Steps:
    """Make the next checkpoint and go there. Only values that changed are written; the rest is referenced."""
    begun = input_digest or "" if run.path and source == "input" else ""
    new, changed = run.ahead(values, written, tasks, arrived, source=source, wrote=wrote, parent=parent, begun=begun)
    if run.serde is not None:
        run.head = yield Commit(
            {
                "expect": run.head,
                "closing": tuple(run.closing),
                "checkpoint": new,
                "large": changed.large,
                "events": tuple(events),
                "decisions": decisions,
                "input_digest": input_digest,
                "graph": run.shape.record,
            }
        )
    run.arrive(new, values, changed, events)
    stream.moved(run)
