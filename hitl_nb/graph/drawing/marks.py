"""How each node of a thread stands: done, waiting, running or failed; also the nodes of the graphs that nodes run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.keys import memory_places, nested_thread_id
from hitl_nb.graph.thread.threads import named_seq
from hitl_nb.graph.topology import Topology
from hitl_nb.graph.types import StateSnapshot, TaskSnapshot

Mark = Literal["done", "running", "waiting", "failed"]
"""`running`: planned next, and nobody is asked first."""

MARKS: Final[tuple[Mark, ...]] = ("done", "running", "waiting", "failed")
"""Where a node has several tasks, the later mark is the one that counts."""
LOOK_BACK: Final = 1_000
"""Checkpoints read for what is done, the newest first."""


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of one graph's nodes; a node that this run has not reached has none."""

    nodes: Mapping[str, Mark] = field(default_factory=dict)
    inside: Mapping[str, Marks] = field(default_factory=dict)
    """By node that runs a graph: the marks of that graph's nodes."""

    def joined(self, other: Marks) -> Marks:
        """Both, for a node with several tasks."""
        inside = {name: self.inside.get(name, UNMARKED).joined(other.inside.get(name, UNMARKED)) for name in {**self.inside, **other.inside}}
        return Marks({name: _later(self.nodes.get(name), other.nodes.get(name)) for name in {**self.nodes, **other.nodes}}, inside)


UNMARKED: Final = Marks()


def marks_of(topology: Topology, store: Checkpointer, snapshot: StateSnapshot, thread_id: str) -> Marks:
    """How the nodes stand at the snapshot. What waits or failed in a node's graph, the node itself does too.

    `thread_id`: what the store calls the thread. Reads its checkpoints before the snapshot's without their values, back to the input of this run, and
    so those of the graphs that its nodes ran.
    """
    seq = named_seq(snapshot.config)
    before = UNMARKED if seq is None else _done(topology, store, thread_id, seq)  # None: there is no such thread
    in_tasks = {i.id for task in snapshot.tasks for i in task.interrupts}
    static = [i for i in snapshot.interrupts if i.id not in in_tasks]
    now: dict[str, Mark] = {}
    inside: dict[str, Marks] = {}
    for task in snapshot.tasks:
        node, nested = topology.nodes.get(task.name), getattr(task, "state", None)
        inner = UNMARKED
        if node is not None and node.subgraph is not None and nested is not None:
            inner = marks_of(node.subgraph.topology, store, nested, _thread_inside(store, thread_id, task.name, task.id))
            inside[task.name] = inside.get(task.name, UNMARKED).joined(inner)
        now[task.name] = _later(now.get(task.name), _of(task, inner, paused=bool(static)))
    if not snapshot.tasks:  # paused after a node that nothing follows
        now |= {i.node: "waiting" for i in static}
    earlier = {name: marks for name, marks in before.inside.items() if name not in now}
    return Marks({name: mark for name, mark in {**before.nodes, **now}.items() if name in topology.nodes}, earlier | inside)


def _later(*marks: Mark | None) -> Mark:
    return max((mark for mark in marks if mark is not None), key=MARKS.index)


def _of(task: TaskSnapshot, inner: Marks, *, paused: bool) -> Mark:
    if task.error is not None:
        return "failed"
    if task.interrupts:
        return "waiting"
    if task.result is not None:
        return "done"
    return _later("waiting" if paused else "running", *inner.nodes.values())  # a static pause holds up everything that is planned


def _done(topology: Topology, store: Checkpointer, thread_id: str, seq: int) -> Marks:
    """The nodes that led to the checkpoint. By parents, so that what a fork or an undo left behind does not count.

    In the graph of a node, what its newest task went through.
    """
    done: dict[str, Mark] = {}
    inside: dict[str, Marks] = {}
    wrote: tuple[str, ...] = ()
    parent: int | None = seq
    for checkpoint in store.history(thread_id, before=seq + 1, limit=LOOK_BACK):
        if checkpoint.seq != parent:
            continue
        for task in checkpoint.tasks:  # those in `wrote` have finished on the way to the checkpoint after this one
            node = topology.nodes.get(task.node)
            if task.node in wrote and node is not None and node.subgraph is not None and task.node not in inside:
                within = _thread_inside(store, thread_id, task.node, task.id)
                head = store.head(within)
                inside[task.node] = UNMARKED if head is None else _done(node.subgraph.topology, store, within, head.seq)
        done |= dict.fromkeys(checkpoint.wrote, "done")
        if checkpoint.source == "input":  # an input to a finished thread begins a new run
            break
        wrote, parent = checkpoint.wrote, checkpoint.parent
    return Marks(done, {name: marks for name, marks in inside.items() if marks != UNMARKED})


def _thread_inside(store: Checkpointer, thread_id: str, node: str, task_id: str) -> str:
    """What the store calls the thread of the graph that this task runs."""
    memory = nested_thread_id(thread_id, memory_places(node)[0], 0)
    return memory if store.head(memory) is not None else nested_thread_id(thread_id, task_id, 0)
