"""Looking into the graphs that the tasks of a thread run inside themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from hitl_nb.checkpoint.keys import checkpoint_id, memory_places, nested_thread_id, task_places
from hitl_nb.checkpoint.records import PlannedTask
from hitl_nb.errors import UnknownThreadError, shown
from hitl_nb.graph.run import Run
from hitl_nb.graph.thread.snapshots import snapshot
from hitl_nb.graph.thread.threads import Threads
from hitl_nb.graph.types import StateSnapshot


@dataclass(frozen=True, slots=True)
class Inside:
    """A graph where it stands, the thread's own or one inside a task."""

    known: Threads
    run: Run
    place: str = ""
    """`node:task id` for each node around, joined by `|`."""

    def snapshot(self, *, subgraphs: bool) -> StateSnapshot:
        """What `get_state` shows of it; with `subgraphs`, its tasks show the graphs inside them."""
        if not subgraphs:
            return snapshot(self.run, self.place)
        found = {task.id: inner for task in self.run.checkpoint.tasks if (inner := self.newest(task)) is not None}
        return snapshot(self.run, self.place, {task_id: inner.snapshot(subgraphs=True) for task_id, inner in found.items()})

    def at(self, place: str, named: tuple[str, int] | None = None) -> Inside:
        """The graph that `place` names, seen from here, where it stands or at the checkpoint `named`. Raises UnknownThreadError."""
        step = next((t for t in self.run.checkpoint.tasks if f"{place}|".startswith(f"{t.node}:{t.id}|")), None)  # names may hold | and : too
        inner = None if step is None else self.newest(step)
        if step is None or inner is None:
            raise UnknownThreadError(
                f"checkpoint_ns {shown(place)} names no graph that thread {self.run.thread_id!r} runs now; take one from "
                f"get_state(config, subgraphs=True)",
                thread_id=self.run.thread_id,
            )
        if further := place[len(f"{step.node}:{step.id}|") :]:
            return inner.at(further, named)
        now = inner.run.checkpoint
        if named is None or named == (now.nonce, now.seq):
            return inner
        if named[0] != now.nonce or named[1] > now.seq:
            raise UnknownThreadError(
                f"checkpoint {checkpoint_id(*named)} is none of the graph at {shown(inner.place)}, which is at {checkpoint_id(now.nonce, now.seq)}",
                thread_id=self.run.thread_id,
            )
        return self.under(inner.run.key, step, named[1])

    def newest(self, task: PlannedTask) -> Inside | None:
        """The graph that this task began last; None when it runs none."""
        keys = list(self.keys(task))
        return self.under(keys[-1], task) if keys else None

    def under(self, key: str, task: PlannedTask, seq: int | None = None) -> Inside:
        """The graph that is stored under a key, inside this task; where it stands, or at checkpoint `seq`."""
        known = self.graph_of(task)
        return Inside(known, known.inside(self.run, key, task, seq), f"{self.place}|{task.node}:{task.id}".lstrip("|"))

    def graph_of(self, task: PlannedTask) -> Threads:
        """What is known of the graph in this task: all when it is the node; when the node's function calls it, what its records say."""
        node = self.known.topology.nodes.get(task.node)
        return self.known.of_records() if node is None or node.subgraph is None else node.subgraph.threads

    def keys(self, task: PlannedTask) -> Iterator[str]:
        """Under which the graphs of a task are stored, in the order the task began them."""
        for place in (*task_places(task.id), *(p for name in self.run.renamed.names(task.node) for p in memory_places(name))):
            for number in count():
                key = nested_thread_id(self.run.key, place, number)
                if self.known.store_of(self.run).head(key) is None:
                    break
                yield key
