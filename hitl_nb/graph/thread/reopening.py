"""Reopen a question: discard its answer, go back to where it was open, ask again. Nothing is deleted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.ledger import Ledger
from hitl_nb.checkpoint.records import Asked, Checkpoint, Event, Undone, Withdrawn, boundary_id
from hitl_nb.errors import UnknownInterruptError
from hitl_nb.graph.effects import Flow, Io, Steps
from hitl_nb.graph.loop import flush, move
from hitl_nb.graph.run import Run
from hitl_nb.graph.running import perform
from hitl_nb.graph.thread.graph_change import require_unchanged
from hitl_nb.graph.thread.inside import Inside
from hitl_nb.graph.thread.staging import Staged
from hitl_nb.graph.thread.threads import Threads, finished_of, return_to


def reopened(known: Threads, saver: Checkpointer, current: Run, interrupt_id: str) -> Flow:
    """Reopen a question of the thread; returns the run at the thread's newest checkpoint.

    The answers of the later questions of the same node and of the graphs that it called are discarded with it, and for a question of a graph inside a
    node those that this graph, and the node itself, asked after it. Graphs that the node called after that one begin anew when it comes there again.
    Raises UnknownInterruptError when no answer of it counts.
    """
    earlier = not isinstance(interrupt_id, str) or interrupt_id not in current.ledger.asked
    run = known.where_answered(current, interrupt_id) if earlier else current
    if earlier:
        require_unchanged(run)
    asked = run.ledger.asked[interrupt_id]
    back = list(_back_inside(Inside(known, run), asked))
    staged = Staged()
    for step in back:
        yield from perform(step.steps(), saver, step.run, staged.commit)
    order = list(run.ledger.asked)
    since = set(order[order.index(interrupt_id) :])
    gone = {i for i, a in run.ledger.asked.items() if (i in since and _later(a, asked)) or any(step.undoes(a) for step in back)}
    # what a later graph of the node asks may hang on this answer: it is asked again, so that nobody answers it in vain
    gone |= {i for i in since if run.ledger.is_open(i) and _of_later_graph(run.ledger.asked[i], asked)}
    discard = _discard_earlier(run, current.ledger, asked, gone) if earlier else _discard(run, gone)
    yield from perform(discard, saver, run, staged.commit)
    yield Io(partial(saver.commit_all, run.key, staged.commits))
    return run


def _later(other: Asked, asked: Asked) -> bool:
    """True for the question itself, and of those asked since for the ones of its task, of the graphs that this ran, and of the nodes around it."""
    if other.task_id == asked.task_id:
        return other.position >= asked.position
    return asked.task_id in other.owner or other.task_id in asked.owner


def _of_later_graph(other: Asked, asked: Asked) -> bool:
    """True for a question of a graph that a node around both ran after the one that asked."""
    level = next((n for n, (a, b) in enumerate(zip(other.owner, asked.owner, strict=False)) if a != b), min(len(other.owner), len(asked.owner)))
    turn = 2 * (level - 1)  # `Asked.order` holds a turn and a task for each level
    return level > 0 and other.order[turn] > asked.order[turn]


def _discard(run: Run, gone: set[str]) -> Steps:
    """In the superstep where the thread stands."""
    for asked in [a for i, a in run.ledger.asked.items() if i in gone]:
        run.note(Withdrawn.of(asked, "reopened"))
    yield from flush(run)


def _discard_earlier(run: Run, head_ledger: Ledger, reopened: Asked, gone: set[str]) -> Steps:
    """In a superstep that the thread has moved on from: go back to it."""
    events: list[Event] = [w for withdrawn in run.ledger.withdrawn.values() for w in withdrawn]
    events += run.ledger.handled.values()  # the handler asks again, unless the node itself does
    still_open = {a.interrupt_id for a in head_ledger.open()}
    for other in run.ledger.asked.values():
        if other.kind == "static" and not other.owner:
            continue
        events.append(other)
        if other.interrupt_id in gone:
            events.append(Withdrawn.of(other, "reopened"))
        elif other.interrupt_id in run.ledger.answered:
            events.append(run.ledger.answered[other.interrupt_id])
        elif other.interrupt_id not in still_open:
            events.append(Withdrawn.of(other, "answered or withdrawn after the checkpoint that the thread went back to"))
    events += finished_of(run, run.results.keys() - {reopened.task})
    yield from return_to(run, head_ledger, run.checkpoint.tasks, events)


# -- inside --------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Back:
    """How one graph inside a node goes back, so that one of its tasks runs again."""

    store: Checkpointer
    run: Run
    """At the checkpoint where the task belongs to the coming superstep."""
    task_id: str
    undone: frozenset[str]
    """The tasks that were planned after it."""

    def undoes(self, asked: Asked) -> bool:
        return not self.undone.isdisjoint((asked.task_id, *asked.owner))

    def steps(self) -> Steps:
        run = self.run
        if run.head is not None and run.head.seq == run.checkpoint.seq:
            if self.task_id in run.results:
                run.note(Undone(self.task_id))
            yield from flush(run)
            return
        c = run.checkpoint
        kept = finished_of(run, run.results.keys() - {self.task_id})
        first = self.store.beginning(run.key, c)  # perhaps of an earlier task, or with other input than the graph got since
        begun = None if first is None else first.begun
        yield from move(run, run.values, (), c.tasks, c.arrived, source="fork", wrote=c.wrote, parent=c.seq, events=kept, input_digest=begun)


def _back_inside(outer: Inside, asked: Asked) -> Iterator[_Back]:
    """How the graphs around a question go back, the outermost first."""
    chain = (*asked.owner, asked.task_id)
    for task_id, inner_id in pairwise(chain):
        task = next(t for t in outer.run.checkpoint.tasks if t.id == task_id)
        for key in outer.keys(task):
            inner = outer.under(key, task)
            found = _planned(inner, inner_id)
            if found is not None:
                break
        else:
            raise UnknownInterruptError(
                f"{asked.interrupt_id!r} was asked by a graph inside node {task.node!r} of thread {outer.run.thread_id!r} that has begun anew or was "
                f"pruned since; nothing was reopened. Go back with update_state or invoke(None, …) from an earlier checkpoint instead",
                thread_id=outer.run.thread_id,
                interrupt_id=asked.interrupt_id,
            )
        checkpoint, later = found
        run = inner.known.inside(outer.run, key, task, checkpoint.seq)
        undone = frozenset(t for c in later for t in (*(t.id for t in c.tasks), boundary_id(c.nonce, c.seq)))
        yield _Back(inner.known.store_of(run), run, inner_id, undone)
        outer = Inside(inner.known, run, inner.place)


def _planned(inner: Inside, task_id: str) -> tuple[Checkpoint, Sequence[Checkpoint]] | None:
    """The newest checkpoint with this task in its coming superstep, and those after it; None when there is none."""
    later: list[Checkpoint] = []
    for checkpoint in inner.known.store_of(inner.run).history(inner.run.key):
        if any(t.id == task_id for t in checkpoint.tasks) or boundary_id(checkpoint.nonce, checkpoint.seq) == task_id:
            return checkpoint, later
        later.append(checkpoint)
    return None
