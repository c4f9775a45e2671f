"""The built graph: nodes, edges, and which nodes come next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hitl_nb.checkpoint.records import PlannedTask, task_id
from hitl_nb.errors import UnknownNodeError, shown
from hitl_nb.graph.node.function import Function
from hitl_nb.graph.node.retry import RetryPolicy
from hitl_nb.graph.state.state_class import StateClass
from hitl_nb.graph.types import END, Send

if TYPE_CHECKING:
    from hitl_nb.graph.compiled import CompiledGraph


@dataclass(frozen=True, slots=True)
class Node:
    """A node: a function of the state, sync or async, or a graph."""

    name: str
    fn: Function
    subgraph: CompiledGraph | None = None
    """The graph that this node runs, when it is one."""
    input: StateClass | None = None
    """What it is given; None: the state as the graph's own class."""
    retry: tuple[RetryPolicy, ...] = ()
    """The first policy that applies to an error decides."""
    error_handler: Function | None = None
    """Called with the state when the last attempt failed; what it returns counts as what the node returned."""
    timeout_s: float | None = None
    """Seconds an attempt may take; async nodes only."""
    defer: bool = False
    """True: waits until nothing else is left to run."""
    destinations: tuple[str, ...] = ()
    """Where its commands may lead; only the picture of the graph reads it."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A conditional edge: `path(state)` names where to go."""

    path: Function
    mapping: Mapping[Any, str] | None = None
    """From what `path` returns to node names; None: it returns node names."""
    input: StateClass | None = None
    """What `path` is given; None: what the node before it is given."""

    def resolve(self, chosen: Any, source: str) -> list[str | Send]:
        """The targets of what `path` returned. Raises UnknownNodeError when the mapping does not know it."""
        several = chosen if isinstance(chosen, Sequence) and not isinstance(chosen, str) else [chosen]
        targets: list[str | Send] = []
        for choice in several:
            if isinstance(choice, Send) or self.mapping is None:
                targets.append(choice)
            elif choice in self.mapping:
                targets.append(self.mapping[choice])
            else:
                raise UnknownNodeError(
                    f"the path function after {source!r} returned {shown(choice)}; expected one of {', '.join(map(repr, self.mapping))}", node=source
                )
        return targets


DEFERRED: Final = "\x1fdeferred"
"""Where `Checkpoint.arrived` keeps the deferred nodes whose turn comes when nothing else is left; no join is called so."""
Target = tuple[str, Any]
"""`(node, None)`, or `(node, argument)` for a Send: encoded bytes, or `(value,)` in a run without a checkpointer."""


class Exit(NamedTuple):
    """How a finished task goes on."""

    node: str
    targets: Sequence[Target]
    """What it chose."""
    instead: bool = False
    """True: these only, the edges of the node do not count."""


@dataclass(slots=True)
class Topology:
    """Nodes and edges, checked."""

    nodes: dict[str, Node] = field(default_factory=dict)
    """In the order they were added, which is the order of tasks in a superstep."""
    edges: dict[str, list[str]] = field(default_factory=dict)
    joins: list[tuple[tuple[str, ...], str]] = field(default_factory=list)
    """`((sources…), target)`: the target runs once all sources have finished."""
    branches: dict[str, list[Branch]] = field(default_factory=dict)

    def check_target(self, target: object, source: str) -> str | Send:
        """The target, or UnknownNodeError naming the known nodes."""
        name = target.node if isinstance(target, Send) else target
        if not isinstance(name, str) or (name not in self.nodes and name != END):
            raise UnknownNodeError(
                f"{source!r} goes to {shown(name)}, which is no node of this graph; known: {', '.join(self.nodes)} (and END)", node=source
            )
        return target  # type: ignore[return-value]  # both kinds were just checked

    def plan(
        self, done: Iterable[Exit], arrived: Mapping[str, tuple[str, ...]], nonce: str, seq: int, *, busy: bool = False
    ) -> tuple[tuple[PlannedTask, ...], dict[str, tuple[str, ...]]]:
        """The tasks of the superstep after `done`, and what waits for later: the list-joins with what they have seen, and the deferred nodes.

        `done`: one for each finished task, in task order. Edges that meet at one node give one task; each Send one of its own.
        `busy`: other tasks are planned already.
        """
        pulled: dict[str, list[str]] = {}
        pushed: list[tuple[str, Any, str]] = []
        waiting = {k: set(v) for k, v in arrived.items()}
        for node, chosen, instead in done:
            for target in () if instead else self.edges.get(node, ()):
                pulled.setdefault(target, []).append(node)
            for target, arg in chosen:
                if arg is None:
                    pulled.setdefault(target, []).append(node)
                elif target != END:
                    pushed.append((target, arg, node))
            for sources, target in () if instead else self.joins:
                if node in sources:
                    waiting.setdefault(join_key(sources, target), set()).add(node)
        for sources, target in self.joins:
            key = join_key(sources, target)
            if waiting.get(key) == set(sources):
                del waiting[key]
                pulled.setdefault(target, []).extend(sources)
        pulled.pop(END, None)
        self._defer(pulled, waiting, others=busy or bool(pushed))
        tasks = [
            PlannedTask(task_id(nonce, seq, ("pull", name)), name, seq, ("pull", name), tuple(dict.fromkeys(pulled[name])))
            for name in self.nodes
            if name in pulled
        ]
        tasks += [PlannedTask(task_id(nonce, seq, ("push", n)), name, seq, ("push", n), (by,), arg) for n, (name, arg, by) in enumerate(pushed)]
        return tuple(tasks), {k: tuple(sorted(v)) for k, v in waiting.items() if v}

    def _defer(self, pulled: dict[str, list[str]], waiting: dict[str, set[str]], *, others: bool) -> None:
        """Hold deferred nodes back while anything else is to run; let them go when nothing is."""
        held = waiting.pop(DEFERRED, set()) | {name for name in pulled if self.nodes[name].defer}
        if not held:
            return
        if others or any(name not in held for name in pulled):
            for name in held:
                pulled.pop(name, None)
            waiting[DEFERRED] = held
        else:
            for name in held:
                pulled.setdefault(name, [])


def join_key(sources: Sequence[str], target: str) -> str:
    return "\x1f".join([*sources, target])  # no name holds a control character
