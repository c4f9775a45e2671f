"""Write a graph down: nodes, edges, compile."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import GenericAlias
from typing import TYPE_CHECKING, Any, Generic, Literal, Self

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.records import in_utc, utc_now
from hitl_nb.errors import GraphError, NoCheckpointerError, UnknownNodeError, shown
from hitl_nb.graph.compiled import CompiledGraph
from hitl_nb.graph.node.function import Function, is_async
from hitl_nb.graph.node.retry import RetryPolicy
from hitl_nb.graph.state.schema import StateSchema
from hitl_nb.graph.state.state_class import StateClass, node_input
from hitl_nb.graph.topology import Branch, Node, Topology
from hitl_nb.graph.types import END, START

Names = Sequence[str] | Literal["*"] | None
NodeFunction = Callable[..., Any] | CompiledGraph


if TYPE_CHECKING:
    from typing_extensions import TypeVar

    StateT = TypeVar("StateT", default=Any)
    ContextT = TypeVar("ContextT", default=Any)
    InputT = TypeVar("InputT", default=Any)
    OutputT = TypeVar("OutputT", default=Any)
else:  # type parameters have defaults since Python 3.13
    from typing import TypeVar

    StateT, ContextT, InputT, OutputT = map(TypeVar, ("StateT", "ContextT", "InputT", "OutputT"))


class StateGraph(Generic[StateT, ContextT, InputT, OutputT]):
    """A graph of plain functions over a shared state.

    state_schema: a TypedDict, dataclass or pydantic 2 BaseModel class, with `Annotated[type, reducer]` for keys that combine; nothing for a free-form
        state (any key, the last write wins). Nodes are given a dict, or an instance of the dataclass or model; results are dicts. A class's defaults
        are stored when a thread begins. What is written to a key of a model is checked and converted by it.
    context_schema: the class of what `invoke(…, context=)` takes and `Runtime.context` holds.
    input_schema, output_schema: the part of the state that the input may hold, and that results show; their keys are keys of the state too. So are
        those of another such class that a node's first parameter is annotated with: that node is given that part only.
    strict: raise for a key that the state does not have, instead of a warning; what a pydantic model with `extra="forbid"` does too.

    Every method returns the builder, so that calls chain.
    """

    if not TYPE_CHECKING:

        def __class_getitem__(cls, parameters: Any) -> GenericAlias:
            """`StateGraph[State]`: the other parameters may be left out, which Generic does not allow before Python 3.13."""
            return GenericAlias(cls, parameters)

    def __init__(
        self,
        state_schema: type[StateT] | None = None,
        context_schema: type[ContextT] | None = None,
        *,
        input_schema: type[InputT] | None = None,
        output_schema: type[OutputT] | None = None,
        strict: bool = False,
    ) -> None:
        self._schema = StateSchema(state_schema, input_schema=input_schema, output_schema=output_schema, context_schema=context_schema, strict=strict)
        self._topology = Topology()

    def add_node(
        self,
        name: str | NodeFunction,
        fn: NodeFunction | None = None,
        *,
        input_schema: Any = None,
        retry_policy: RetryPolicy | Sequence[RetryPolicy] | None = None,
        error_handler: Callable[..., Any] | None = None,
        timeout: float | timedelta | None = None,
        defer: bool = False,
        destinations: Sequence[str] | Mapping[str, str] = (),
    ) -> Self:
        """Add a node: `add_node("review", fn)` or `add_node(fn)`.

        `fn(state)`, sync or async, returns an update, a Command or None. It may ask for more by the name or annotation of further parameters:
        `config`, `runtime: Runtime`, `writer: StreamWriter`. Or `fn` is a compiled graph, which then runs as one node: it gets the keys of the state
        that it shares, what it ends with is the update, and its questions are questions of this graph. Another object with `invoke(state)` (and
        `ainvoke`) is called by that.

        input_schema: what the node is given instead of the state as the graph's own class; else what its first parameter is annotated with.
        retry_policy: run the node again when it raises; of several policies the first that applies.
        error_handler: `handler(state, error: NodeError)`, called when the last attempt failed; what it returns counts as what the node
            returned, but a `Command(goto=…)` leads there only, past the edges of the node. It may ask with `interrupt()`: the node itself does
            not run again for the answer.
        timeout: seconds (or a timedelta) that an attempt of an async node may take.
        defer: run it when nothing else is left to run.
        destinations: where its commands may lead, for the picture of the graph.

        Raises GraphError for what cannot be a node.
        """
        if not isinstance(name, str):
            fn, name = name, str(getattr(name, "__name__", None) or getattr(name, "name", None) or type(name).__name__)
        if not isinstance(name, str) or not name:
            raise GraphError(f"a node was named {name!r}; expected a non-empty str")
        if fn is None or not (callable(fn) or hasattr(fn, "invoke")):
            raise GraphError(f"node {name!r} is {shown(fn)}; expected a function or a compiled graph: add_node({name!r}, fn)", node=name)
        if name in (START, END) or any(ord(c) < 32 for c in name):
            raise GraphError(f"{name!r} cannot name a node; choose a name without control characters other than START and END", node=name)
        if name in self._topology.nodes:
            raise GraphError(f"node {name!r} is there already; each name is used once", node=name)
        if error_handler is not None and not callable(error_handler):
            raise GraphError(f"the error_handler of node {name!r} is {shown(error_handler)}; expected a function of (state, error)", node=name)
        subgraph = fn if isinstance(fn, CompiledGraph) else None
        if subgraph is not None and subgraph.checkpointer is not None:
            raise GraphError(
                f"node {name!r} is a graph with a checkpointer of its own, so its pauses could not reach the graph around it; compile it without "
                f"checkpointer=, or with checkpointer=True for a memory over several runs of the node",
                node=name,
            )
        self._topology.nodes[name] = Node(
            name,
            Function(fn.invoke) if isinstance(fn, CompiledGraph) else Function.of(fn),
            subgraph,
            self._reads(fn, input_schema),
            retry=_policies(retry_policy, name),
            error_handler=None if error_handler is None else Function.of(error_handler, handler=True),
            timeout_s=_timeout_s(timeout, name, fn),
            defer=defer,
            destinations=tuple(destinations),
        )
        return self

    def add_sequence(self, nodes: Sequence[NodeFunction | tuple[str, NodeFunction]]) -> Self:
        """Add the nodes with an edge from each to the next: functions, or `(name, function)` pairs."""
        if not nodes:
            raise GraphError("add_sequence([]) has no node; give at least one")
        before = None
        for entry in nodes:
            known = set(self._topology.nodes)
            if isinstance(entry, tuple) and len(entry) != 2:
                raise GraphError(f"add_sequence() got {shown(entry)}; expected functions, or (name, function) pairs")
            if isinstance(entry, tuple):
                self.add_node(*entry)
            else:
                self.add_node(entry)
            (added,) = set(self._topology.nodes) - known
            if before is not None:
                self.add_edge(before, added)
            before = added
        return self

    def add_edge(self, source: str | Sequence[str], target: str) -> Self:
        """`target` runs after `source`; with a list, once all of them have finished."""
        if isinstance(source, str):
            self._topology.edges.setdefault(source, []).append(target)
        else:
            if not isinstance(source, Iterable):
                raise GraphError(f"add_edge({shown(source)}, {shown(target)}) begins at no node; expected a node's name, or a list of them")
            sources = tuple(dict.fromkeys(source))
            if not sources:
                raise GraphError(f"add_edge([], {target!r}) has no source")
            self._topology.joins.append((sources, target))
        return self

    def add_conditional_edges(self, source: str, path: Callable[..., Any], path_map: Mapping[Any, str] | Sequence[str] | None = None) -> Self:
        """After `source`, go where `path(state)` says: a node's name, END, a Send, or a list of them.

        `path` may ask for the config, the Runtime and a StreamWriter as a node may; when an update of the state leads here, there is no context.
        `path_map`: from what `path` returns to node names, or the list of names it may return.
        """
        if not callable(path):
            raise GraphError(f"the path function after {source!r} is {shown(path)}; expected a function of the state", node=source)
        if path_map is not None and not isinstance(path_map, Iterable):
            raise GraphError(f"the path_map after {source!r} is {shown(path_map)}; expected a mapping to node names, or a list of them", node=source)
        mapping = path_map if isinstance(path_map, Mapping) or path_map is None else {name: name for name in path_map}
        self._topology.branches.setdefault(source, []).append(Branch(Function.of(path), mapping, self._reads(path)))
        return self

    def set_entry_point(self, name: str) -> Self:
        """The same as `add_edge(START, name)`."""
        return self.add_edge(START, name)

    def set_conditional_entry_point(self, path: Callable[..., Any], path_map: Mapping[Any, str] | Sequence[str] | None = None) -> Self:
        """The same as `add_conditional_edges(START, path, path_map)`."""
        return self.add_conditional_edges(START, path, path_map)

    def set_finish_point(self, name: str) -> Self:
        """The same as `add_edge(name, END)`."""
        return self.add_edge(name, END)

    def compile(
        self,
        checkpointer: Checkpointer | Literal["inherit"] | bool | None = None,  # noqa: FBT001  # as users know it
        *,
        interrupt_before: Names = None,
        interrupt_after: Names = None,
        name: str = "graph",
        renamed: Mapping[str, str | None] | None = None,
        now: Callable[[], datetime] = utc_now,
        new_nonce: Callable[[], str] = lambda: secrets.token_hex(6),
    ) -> CompiledGraph:
        """Check the graph and make it runnable.

        checkpointer: keeps threads; without one the graph runs, but cannot pause. For a graph that is to run inside a node of another one, which
            keeps its threads: None or "inherit" (each run of the node begins anew), True (the graph remembers its state from one run of the node to
            the next), False (nothing is kept, it cannot pause).
        interrupt_before, interrupt_after: node names (or "*" for every node) at which each run pauses until it is told to go on.
        renamed: old names, each with the new one, of nodes and state keys that were renamed while threads wait: such a thread goes on under the new
            names, and its open questions keep their ids. None as the new name drops a state key.
        name: shown to reviewers. now, new_nonce: the clock and the source of thread identities, injected in tests.

        Raises GraphError for an edge from or to nowhere, NoCheckpointerError for static pauses without a checkpointer.
        """
        if not isinstance(checkpointer, Checkpointer | bool) and checkpointer not in (None, "inherit"):
            raise GraphError(
                f"checkpointer is {shown(checkpointer)} ({type(checkpointer).__name__}); expected MemorySaver() or DiskCacheSaver(folder)"
            )
        topology = self._checked()
        before, after = self._pauses("interrupt_before", interrupt_before), self._pauses("interrupt_after", interrupt_after)
        if (before or after) and not checkpointer:
            raise NoCheckpointerError(
                'interrupt_before/interrupt_after need a checkpointer: compile(checkpointer=MemorySaver(), …), or checkpointer="inherit" for a '
                "graph that runs inside a node of another one"
            )
        if isinstance(checkpointer, Checkpointer):
            if unstorable := next((n for n in topology.nodes if any(0xD800 <= ord(c) <= 0xDFFF for c in n)), None):
                raise GraphError(f"node {unstorable!r} has half a surrogate pair in its name, which cannot be stored; rename it", node=unstorable)
            checkpointer.serde.register(*self._schema.types)
        clock = in_utc(now)
        return CompiledGraph(topology, self._schema, checkpointer, before, after, name=name, now=clock, new_nonce=new_nonce, renamed=renamed or {})

    def _reads(self, fn: Any, explicit: Any = None) -> StateClass | None:
        """What a node or path function is given. The keys of its class become keys of the state, which other nodes can write (private state)."""
        described = node_input(fn, explicit)
        if described is None or (explicit is None and self._schema.state is None):  # free-form: an annotation is a remark
            return None
        self._schema.add(described)
        return described

    def _checked(self) -> Topology:
        t = self._topology
        if not t.nodes:
            raise GraphError("the graph has no node; add one with add_node(fn)")
        if not (t.edges.get(START) or t.branches.get(START)):
            raise GraphError("nothing leads out of START; add add_edge(START, first_node)")
        for source in [*t.edges, *t.branches, *(s for sources, _ in t.joins for s in sources)]:
            if source != START and source not in t.nodes:
                raise UnknownNodeError(f"an edge starts at {shown(source)}, which is no node; known: {', '.join(t.nodes)}", node=source)
        targets = [(s, target) for s, targets in t.edges.items() for target in targets]
        targets += [(sources[0], target) for sources, target in t.joins]
        targets += [(s, target) for s, branches in t.branches.items() for b in branches for target in (b.mapping or {}).values()]
        for source, target in targets:
            t.check_target(target, source)
        return Topology(dict(t.nodes), {s: list(v) for s, v in t.edges.items()}, list(t.joins), {s: list(v) for s, v in t.branches.items()})

    def _pauses(self, what: str, names: Names) -> frozenset[str]:
        if names is None:
            return frozenset()
        if names == "*":
            return frozenset(self._topology.nodes)
        if isinstance(names, str):
            names = [names]
        if not isinstance(names, Iterable):
            raise GraphError(f"{what} is {shown(names)}; expected node names, or '*' for every node")
        names = list(names)
        unknown = [n for n in names if not isinstance(n, str) or n not in self._topology.nodes]
        if unknown:
            raise UnknownNodeError(f"{what} names {shown(unknown[0])}, which is no node; known: {', '.join(self._topology.nodes)}", node=unknown[0])
        return frozenset(names)


def _policies(given: RetryPolicy | Sequence[RetryPolicy] | None, name: str) -> tuple[RetryPolicy, ...]:
    found = () if given is None else tuple(given) if isinstance(given, Sequence) else (given,)
    for policy in found:
        if not isinstance(policy, RetryPolicy):
            raise GraphError(f"the retry_policy of node {name!r} is {shown(policy)}; expected a RetryPolicy(), or a list of them", node=name)
    return found


def _timeout_s(timeout: float | timedelta | None, name: str, fn: NodeFunction) -> float | None:
    if timeout is None:
        return None
    timeout_s = timeout.total_seconds() if isinstance(timeout, timedelta) else float(timeout)
    if not timeout_s > 0:
        raise GraphError(f"the timeout of node {name!r} is {shown(timeout)}; expected seconds above 0", node=name)
    if isinstance(fn, CompiledGraph) or not is_async(fn):
        raise GraphError(f"node {name!r} has a timeout, but only async nodes can be stopped while they run; write it with `async def`", node=name)
    return timeout_s
