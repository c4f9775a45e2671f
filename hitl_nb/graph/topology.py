"""The built graph: nodes, edges, and which nodes come next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple, overload

from hitl_nb.checkpoint.records import PlannedTask, fingerprints, task_id
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
        if type(chosen) is str and self.mapping is not None and chosen in self.mapping:  # as nearly always
            return [self.mapping[chosen]]
        several = [chosen] if isinstance(chosen, str) or not isinstance(chosen, (list, Sequence)) else chosen
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
_KNOWN_MAX: Final = 100
"""Plans that a graph keeps: more than most graphs have, and few where each superstep runs other nodes."""


class Exit(NamedTuple):
    """How a finished task goes on."""

    node: str
    targets: Sequence[Target]
    """What it chose."""
    instead: bool = False
    """True: these only, the edges of the node do not count."""


class Planned(Sequence[PlannedTask]):
    """The tasks of a superstep. They are made when somebody looks, for where nothing is stored nobody may."""

    def __init__(
        self, nonce: str, seq: int, pulled: Mapping[str, Sequence[str]], sent_to: Sequence[str], by: Sequence[tuple[str, ...]], sent: Sequence[Any]
    ) -> None:
        """`pulled`: the nodes that edges led to, each with where those began. The others: of each Send its node, who chose it, its value."""
        self.pulled = pulled
        self.nodes = [*pulled, *sent_to]
        """Of each task."""
        self.args = [None] * len(pulled) + [*sent]
        """Of each task: the argument of a Send."""
        self._of = (nonce, seq, by)
        self._tasks: tuple[PlannedTask, ...] | None = None

    def __len__(self) -> int:
        return len(self.nodes)

    def __iter__(self) -> Iterator[PlannedTask]:
        return iter(self._all())

    @overload
    def __getitem__(self, n: int) -> PlannedTask: ...
    @overload
    def __getitem__(self, n: slice) -> Sequence[PlannedTask]: ...
    def __getitem__(self, n: int | slice) -> PlannedTask | Sequence[PlannedTask]:
        return self._all()[n]

    def _all(self) -> tuple[PlannedTask, ...]:
        if self._tasks is None:
            nonce, seq, sent_by = self._of
            pulled = self.pulled
            if len(pulled) <= 1:
                tasks = [pulled_task(nonce, seq, name, tuple(dict.fromkeys(by))) for name, by in pulled.items()]
            else:
                ids = fingerprints(nonce, seq, "pull")
                tasks = [PlannedTask(ids(name), name, seq, ("pull", name), tuple(dict.fromkeys(by))) for name, by in pulled.items()]
            if sent_by:
                ids, first = fingerprints(nonce, seq, "push"), len(pulled)
                sent = zip(self.nodes[first:], sent_by, self.args[first:], strict=True)
                tasks += [PlannedTask(ids(n), name, seq, ("push", n), by, arg) for n, (name, by, arg) in enumerate(sent)]
            self._tasks = tuple(tasks)
        return self._tasks


@dataclass
class Topology:
    """Nodes and edges, checked. What follows from them is found once, so they stay as they are once it is used."""

    nodes: dict[str, Node] = field(default_factory=dict)
    """In the order they were added, which is the order of tasks in a superstep."""
    edges: dict[str, list[str]] = field(default_factory=dict)
    joins: list[tuple[tuple[str, ...], str]] = field(default_factory=list)
    """`((sources…), target)`: the target runs once all sources have finished."""
    branches: dict[str, list[Branch]] = field(default_factory=dict)
    _known: dict[tuple[str, ...], tuple[Mapping[str, Sequence[str]], dict[str, tuple[str, ...]]]] = field(default_factory=dict, init=False)
    """What `plan_onward` found, by the nodes."""

    def check_targets(self, targets: Iterable[str | Send], source: str) -> None:
        """UnknownNodeError for the first that is none."""
        for target in targets:
            if type(target) is not str or target not in self.nodes:
                self.check_target(target, source)

    def check_target(self, target: object, source: str) -> str | Send:
        """The target, or UnknownNodeError naming the known nodes."""
        name = target.node if isinstance(target, Send) else target
        if not isinstance(name, str) or (name not in self.nodes and name != END):
            raise UnknownNodeError(
                f"{source!r} goes to {shown(name)}, which is no node of this graph; known: {', '.join(self.nodes)} (and END)", node=source
            )
        return target  # type: ignore[return-value]  # both kinds were just checked

    def plan(
        self,
        done: Iterable[Exit | tuple[str, Sequence[Target], bool]],
        arrived: Mapping[str, tuple[str, ...]],
        nonce: str,
        seq: int,
        *,
        busy: bool = False,
    ) -> tuple[Planned, dict[str, tuple[str, ...]]]:
        """The tasks of the superstep after `done`, and what waits for later: the list-joins with what they have seen, and the deferred nodes.

        `done`: one for each finished task, in task order. Edges that meet at one node give one task; each Send one of its own.
        `busy`: other tasks are planned already.
        """
        pulled: dict[str, list[str]] = {}
        sent: tuple[list[str], list[tuple[str, ...]], list[Any]] = ([], [], [])
        waiting = {k: set(v) for k, v in arrived.items()}
        edges, feeds = self.edges, self._feeds
        for node, chosen, instead in done:
            if not instead:
                for target in edges.get(node, ()):
                    pulled.setdefault(target, []).append(node)
                for key in feeds.get(node, ()):
                    waiting.setdefault(key, set()).add(node)
            by = (node,) if chosen else ()
            for target, arg in chosen:
                if arg is None:
                    pulled.setdefault(target, []).append(node)
                elif target != END:
                    sent[0].append(target)
                    sent[1].append(by)
                    sent[2].append(arg)
        for key, (sources, target) in self._joins.items() if waiting else ():
            if key in waiting and waiting[key] == set(sources):
                del waiting[key]
                pulled.setdefault(target, []).extend(sources)
        pulled.pop(END, None)
        if self._deferred or DEFERRED in waiting:
            self._defer(pulled, waiting, others=busy or bool(sent[0]))
        names = sorted(pulled, key=self._order.__getitem__) if len(pulled) > 1 else list(pulled)
        return Planned(nonce, seq, {name: pulled[name] for name in names}, *sent), {k: tuple(sorted(v)) for k, v in waiting.items() if v}

    def plan_onward(self, done: Iterable[str], nonce: str, seq: int) -> tuple[Planned, Mapping[str, tuple[str, ...]]]:
        """`plan` for nodes of which none chose anything, while nothing waits: that depends on the edges alone, so it is found once."""
        nodes = tuple(dict.fromkeys(done))
        known = self._known.get(nodes)
        if known is None:
            planned, waiting = self.plan([(node, (), False) for node in nodes], {}, nonce, seq)
            known = planned.pulled, waiting
            if len(self._known) >= _KNOWN_MAX:  # more: runs in several Python threads came here at once
                self._known.clear()
            self._known[nodes] = known
        return Planned(nonce, seq, known[0], (), (), ()), known[1]

    def after(self, node: str, chosen: Sequence[str | Send]) -> str | None:
        """The one node that runs next when this one finished, alone and with nothing waiting. None: that takes a plan."""
        edges = self.edges.get(node, ())
        if len(edges) + len(chosen) != 1 or node in self._feeds:
            return None
        target = edges[0] if edges else chosen[0]
        return target if isinstance(target, str) and target != END else None

    @cached_property
    def simple(self) -> frozenset[str]:
        """The nodes of which an execution is a call of a function, and maybe one of each path function, all sync."""
        return frozenset(
            name
            for name, node in self.nodes.items()
            if not (node.subgraph or node.error_handler or node.timeout_s or node.retry)
            and all(callable(f.fn) and not f.is_async for f in (node.fn, *(b.path for b in self.branches.get(name, ()))))
        )

    @cached_property
    def reads(self) -> frozenset[StateClass | None]:
        """What the nodes are given the state as, each its `Node.input`."""
        return frozenset(node.input for node in self.nodes.values())

    @cached_property
    def _joins(self) -> dict[str, tuple[tuple[str, ...], str]]:
        """The list-joins by their keys."""
        return {join_key(sources, target): (sources, target) for sources, target in self.joins}

    @cached_property
    def _feeds(self) -> dict[str, list[str]]:
        """By node: the list-joins that it is a source of."""
        found: dict[str, list[str]] = {}
        for key, (sources, _) in self._joins.items():
            for source in sources:
                found.setdefault(source, []).append(key)
        return found

    @cached_property
    def _order(self) -> dict[str, int]:
        return {name: n for n, name in enumerate(self.nodes)}

    @cached_property
    def _deferred(self) -> frozenset[str]:
        return frozenset(name for name, node in self.nodes.items() if node.defer)

    def _defer(self, pulled: dict[str, list[str]], waiting: dict[str, set[str]], *, others: bool) -> None:
        """Hold deferred nodes back while anything else is to run; let them go when nothing is."""
        held = waiting.pop(DEFERRED, set()) | (pulled.keys() & self._deferred)
        if not held:
            return
        if others or any(name not in held for name in pulled):
            for name in held:
                pulled.pop(name, None)
            waiting[DEFERRED] = held
        else:
            for name in held:
                pulled.setdefault(name, [])


def sole_node(tasks: Sequence[PlannedTask]) -> str | None:
    """The node of the one task there is, when edges led to it."""
    if len(tasks) != 1:
        return None
    if isinstance(tasks, Planned):
        return tasks.nodes[0] if tasks.args[0] is None else None
    return tasks[0].node if tasks[0].arg is None else None


def join_key(sources: Sequence[str], target: str) -> str:
    return "\x1f".join([*sources, target])  # no name holds a control character


def pulled_task(nonce: str, seq: int, node: str, by: tuple[str, ...]) -> PlannedTask:
    """The task of a node that edges led to."""
    return PlannedTask(task_id(nonce, seq, ("pull", node)), node, seq, ("pull", node), by)
