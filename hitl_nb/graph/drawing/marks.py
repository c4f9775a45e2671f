"""How each node of a thread stands: done, waiting, running or failed; also the nodes of the graphs that nodes run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.graph.threads import named_seq
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


def marks_of(topology: Topology, store: Checkpointer, snapshot: StateSnapshot) -> Marks:
    """How the nodes stand at the snapshot. What waits or failed in a node's graph, the node itself does too.

    Reads the checkpoints before the snapshot's without their values, back to the input of this run.
    """
    found: dict[str, Mark] = {}
    seq = named_seq(snapshot.config)
    if seq is not None:  # else there is no such thread
        found |= dict.fromkeys(_done(store, str(snapshot.config["configurable"]["thread_id"]), seq), "done")
    in_tasks = {i.id for task in snapshot.tasks for i in task.interrupts}
    static = [i for i in snapshot.interrupts if i.id not in in_tasks]
    now: dict[str, Mark] = {}
    inside: dict[str, Marks] = {}
    for task in snapshot.tasks:
        node, nested = topology.nodes.get(task.name), getattr(task, "state", None)
        inner = UNMARKED
        if node is not None and node.subgraph is not None and nested is not None:
            inner = marks_of(node.subgraph.topology, store, nested)
            inside[task.name] = inside.get(task.name, UNMARKED).joined(inner)
        now[task.name] = _later(now.get(task.name), _of(task, inner, paused=bool(static)))
    if not snapshot.tasks:  # paused after a node that nothing follows
        now |= {i.node: "waiting" for i in static}
    return Marks({name: mark for name, mark in (found | now).items() if name in topology.nodes}, inside)


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


def _done(store: Checkpointer, thread_id: str, seq: int) -> set[str]:
    """The nodes that led to the checkpoint. By parents, so that what a fork or an undo left behind does not count."""
    done: set[str] = set()
    parent: int | None = seq
    for checkpoint in store.history(thread_id, before=seq + 1, limit=LOOK_BACK):
        if checkpoint.seq != parent:
            continue
        done.update(checkpoint.wrote)
        if checkpoint.source == "input":  # an input to a finished thread begins a new run
            break
        parent = checkpoint.parent
    return done
