"""Random graphs that end: their nodes and ways as data (for hypothesis to draw and to shrink), and the real graph made from that.

What a node asks, and what is answered, are pure functions of the execution, so that an undisturbed run says how every other one has to end.
"""

from __future__ import annotations

import asyncio
import operator
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from threading import Lock
from typing import Annotated, Any, TypedDict

from hypothesis import strategies as st

from hitl_nb import END, START, Command, NodeError, Send, StateGraph, interrupt, once

AT = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
INPUT = {"total": 3, "log": ["input"]}
HANDLER = 99
"""The position of an error handler's question."""


@dataclass(frozen=True)
class NodeSpec:
    """A node and the way on from it."""

    name: str
    way: str
    """edges, names (a path function), mapping (one with a path_map), loop, sends, goto (a Command), goto sends, goto back, end."""
    targets: tuple[str, ...] = ()
    back: str = ""
    """Where a loop leads back to while the node has run less than `rounds` times."""
    rounds: int = 0
    asks: int = 0
    is_async: bool = False
    careless: bool = False
    """Changes in place what it is given, before it asks."""
    large: bool = False
    """Writes a value that the store keeps in a record of its own."""
    vague: bool = False
    """Asks the same in each execution, so that only the place tells its questions apart."""
    outages: int = 0
    """How often each execution raises after it got its answers, before it succeeds."""
    helped: bool = False
    """Raises once and for all after it got its answers; its error handler asks a person and does what it should have done."""
    keeps: bool = False
    """Has a side effect that must happen once, however often it runs."""
    inside: tuple[NodeSpec, ...] = ()
    """The nodes of a graph that runs inside: all but the last side by side, then the last."""
    is_graph: bool = False
    """True: the node is that graph. False: its function calls the graph when it got its own answers."""


@dataclass(frozen=True)
class GraphSpec:
    """Nodes with their ways, list-joins, and where runs stop."""

    nodes: tuple[NodeSpec, ...]
    entry: tuple[str, ...]
    joins: tuple[tuple[tuple[str, ...], str], ...] = ()
    before: Any = ()
    after: Any = ()


@st.composite
def graph_specs(draw):
    """Edges lead forward, loops are bounded by a counter, and what a Send leads to sends no further: every graph ends."""
    size = draw(st.integers(3, 9))
    names = [f"n{i}" for i in range(size)]
    workers: set[str] = set()
    loops = 0
    nodes = []
    for i, name in enumerate(names):
        ahead = names[i + 1 : i + 4]
        ways = ["end"] if not ahead else ["edges", "edges", "edges", "names", "mapping", "goto"]
        if ahead and name not in workers:
            ways += ["sends", "goto sends"]
        if ahead and loops < 2:
            ways += ["loop", "goto back"]
        way = draw(st.sampled_from(ways))
        back, rounds = "", 0
        if way in ("loop", "goto back"):
            loops += 1
            back, rounds = draw(st.sampled_from(names[max(0, i - 3) : i + 1])), draw(st.integers(1, 3))
        targets = tuple(draw(st.lists(st.sampled_from(ahead), min_size=1, max_size=3, unique=True))) if ahead else ()
        if way in ("sends", "goto sends"):
            workers.add(targets[0])
        asks = draw(st.sampled_from((0, 0, 1, 1, 2, 3)))
        flags = [draw(st.integers(0, 3)) == 3 for _ in range(4)]
        outages = 1 if draw(st.integers(0, 9)) == 9 else 0
        helped, keeps = (draw(st.integers(0, 7)) == 7 for _ in range(2))
        inside = tuple(_inner(draw, f"{name}i{n}") for n in range(draw(st.integers(1, 3)))) if draw(st.integers(0, 5)) == 5 else ()
        is_graph = bool(inside) and not way.startswith("goto") and draw(st.booleans())
        nodes.append(NodeSpec(name, way, targets, back, rounds, asks, *flags, outages, helped and not inside, keeps, inside, is_graph))
    joins = []
    for _ in range(draw(st.integers(0, 2))):
        target = draw(st.integers(2, size - 1))
        sources = draw(st.lists(st.sampled_from(names[:target]), min_size=2, max_size=3, unique=True))
        joins.append((tuple(sources), names[target]))
    stops = st.one_of(st.just(()), st.just(()), st.lists(st.sampled_from(names), max_size=2, unique=True).map(tuple), st.just("*"))
    entry = tuple(draw(st.lists(st.sampled_from(names[:3]), min_size=1, max_size=3, unique=True)))
    return GraphSpec(tuple(nodes), entry, tuple(joins), draw(stops), draw(stops))


def _inner(draw, name):
    flags = [draw(st.integers(0, 3)) == 3 for _ in range(3)]
    is_async, careless, keeps = flags
    outages = 1 if draw(st.integers(0, 9)) == 9 else 0
    return NodeSpec(name, "end", asks=draw(st.sampled_from((0, 1, 1, 2))), is_async=is_async, careless=careless, outages=outages, keeps=keeps)


# -- questions and answers ----------------------------------------------------------------------------------------------------------------


def number(*parts: object) -> int:
    """A number that depends on nothing but the parts."""
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=4).digest(), "big")


def all_nodes(spec: GraphSpec) -> dict[str, NodeSpec]:
    """By name, those inside others too."""
    return {n.name: n for outer in spec.nodes for n in (outer, *outer.inside)}


def most_runs(node: NodeSpec, execution: str) -> int:
    """How often an execution may begin, when no process dies."""
    asked = len(questions(node, execution)) + node.helped + node.outages
    return 1 + asked + sum(most_runs(inner, f"{inner.name}/{execution}") - 1 for inner in node.inside)


def questions(node: NodeSpec, execution: str) -> list[dict[str, Any]]:
    """What this execution of the node asks, in order."""
    count = node.asks if number(execution) % 4 else node.asks // 2
    whose = {} if node.vague else {"execution": execution}
    return [{"question": "What next?", "node": node.name, "position": n} | whose for n in range(count)]


def answer_of(payload: dict[str, Any]) -> Any:
    """The one right answer to a question."""
    if "when" in payload:  # a static pause
        return True
    n = _kind(payload)
    return (n % 100, None, False, "", 0, [n % 7, n % 5], {"amount": n % 9}, f"text {n % 100}")[n % 8]


def has_a_deadline(payload: dict[str, Any]) -> bool:
    return _kind(payload) // 8 % 4 == 0


def wants_a_number(payload: dict[str, Any]) -> bool:
    return _kind(payload) % 8 == 0


def _kind(payload: dict[str, Any]) -> int:
    return number(payload["node"], payload.get("execution"), payload["position"])


def node_of(execution: str) -> str:
    return execution.split("/", maxsplit=1)[0].split("<", maxsplit=1)[0]


def execution_of(entry: str) -> str:
    """The execution that wrote this entry of the log."""
    return entry.split(" ", maxsplit=1)[0]


# -- the real graph -----------------------------------------------------------------------------------------------------------------------


@dataclass
class World:
    """What happens outside the store: it outlives the processes, and knows how often each execution began."""

    asks: bool = True
    """False: nodes know the answers themselves and there are no static pauses, so that a run never stops and never reads what it stored."""
    outages: bool = False
    at: datetime = AT
    """What the clock shows."""
    intruder: Any = None
    """Called by a node that runs, with what it is about to do: somebody else who reaches for the same thread."""
    starts: Counter[str] = field(default_factory=Counter)
    settled: set[str] = field(default_factory=set)
    """The executions whose result was in the store when somebody last looked."""
    ended: Counter[str] = field(default_factory=Counter)
    effects: Counter[str] = field(default_factory=Counter)
    """How often the side effect of each execution that has one happened."""
    _lock: Any = field(default_factory=Lock)

    def starting(self, execution: str) -> int:
        with self._lock:
            assert execution not in self.settled, f"{execution} had finished, and runs again"
            self.starts[execution] += 1
            return self.starts[execution]

    def effect(self, execution: str) -> str:
        with self._lock:
            self.effects[execution] += 1
        return execution

    def ending(self, execution: str, outages: int) -> None:
        with self._lock:
            self.ended[execution] += 1
            out = self.outages and self.ended[execution] <= outages
        if out:
            raise OutageError(execution)


class OutageError(Exception):
    """What a node raises when something outside is down."""


def _count_up(old: dict[str, int], new: dict[str, int]) -> dict[str, int]:
    return {k: old.get(k, 0) + new.get(k, 0) for k in sorted({*old, *new})}


def _state_type(spec: GraphSpec) -> Any:
    own = {f"of_{n.name}": dict for n in spec.nodes} | {f"blob_{n.name}": bytes for n in spec.nodes}
    return TypedDict(
        "RandomState",
        {"total": Annotated[int, operator.add], "log": Annotated[list, operator.add], "turns": Annotated[dict, _count_up], **own},
    )


def build(spec: GraphSpec, saver: Any, world: World) -> Any:
    """The graph of the spec, on this checkpointer."""
    builder = StateGraph(_state_type(spec))
    workers = {n.targets[0] for n in spec.nodes if n.way in ("sends", "goto sends")}
    for node in spec.nodes:
        inner = _inner_graph(node, world) if node.inside else None
        if node.is_graph:
            builder.add_node(node.name, inner)
            continue
        work = _Work(node, world, owns_a_key=node.name not in workers, inner=inner)
        builder.add_node(node.name, work.function(), error_handler=work.handle if node.helped else None)
    if len(spec.entry) > 1:
        builder.add_conditional_edges(START, lambda state: list(spec.entry))
    else:
        builder.add_edge(START, spec.entry[0])
    for node in spec.nodes:
        _lead_on(builder, node)
    for sources, target in spec.joins:
        builder.add_edge(list(sources), target)
    before, after = (_names(spec.before), _names(spec.after)) if world.asks else ([], [])
    return builder.compile(saver, interrupt_before=before, interrupt_after=after, name="random", now=lambda: world.at, new_nonce=lambda: "nonce")


class InnerInput(TypedDict, total=False):
    """What a graph inside a node reads."""

    total: int
    turns: dict
    by: str
    n: int


class InnerOutput(TypedDict, total=False):
    """What it ends with: increments for the state around."""

    total: int
    turns: dict
    log: Annotated[list, operator.add]


class InnerState(InnerInput, total=False):
    """What its nodes read and write."""

    log: Annotated[list, operator.add]


def _inner_graph(node: NodeSpec, world: World) -> Any:
    builder = StateGraph(InnerState, input_schema=InnerInput, output_schema=InnerOutput)
    *beside, last = node.inside
    for inner in node.inside:
        builder.add_node(inner.name, _Work(inner, world, owns_a_key=False, around=node, ends=inner is last).function())
    for inner in beside:
        builder.add_edge(START, inner.name)
    builder.add_edge([n.name for n in beside] or START, last.name)
    return builder.compile(name=f"inside {node.name}")


def _names(stops: Any) -> Any:
    return stops if stops == "*" else list(stops)


def _lead_on(builder: StateGraph, node: NodeSpec) -> None:
    name, targets = node.name, node.targets

    def chosen(state: Any) -> int:
        return state["total"] + state["turns"][name]

    match node.way:
        case "edges":
            for target in targets:
                builder.add_edge(name, target)
        case "names":
            builder.add_conditional_edges(name, lambda state: [t for n, t in enumerate((*targets, END)) if chosen(state) >> n & 1])
        case "mapping":
            builder.add_conditional_edges(name, lambda state: chosen(state) % len(targets), dict(enumerate(targets)))
        case "loop":
            onward = [node.back, targets[0]]
            builder.add_conditional_edges(name, lambda state: onward[state["turns"][name] > node.rounds], onward)
        case "sends":
            builder.add_conditional_edges(name, lambda state: _sends(node, state["turns"][name], 1 + chosen(state) % 3))
        case "end":
            builder.add_edge(name, END)


def _sends(node: NodeSpec, turn: int, count: int) -> list[Any]:
    return [Send(node.targets[0], {"by": f"{node.name}/{turn}", "n": n}) for n in range(count)] + list(node.targets[1:])


@dataclass
class _Work:
    """What a node does."""

    node: NodeSpec
    world: World
    owns_a_key: bool
    inner: Any = None
    around: NodeSpec | None = None
    """The node around it, when it belongs to a graph inside one."""
    ends: bool = False
    """True: it is the last node of that graph, and counts the turn."""

    def function(self) -> Any:
        if not self.node.is_async:
            return self.run

        async def later(state: Any) -> Any:
            await asyncio.sleep(0)
            return self.run(state)

        return later

    def place(self, state: Any) -> tuple[str, int]:
        """What this execution is called, and how many the node had before."""
        outer = self.around or self.node
        turn = 0 if "by" in state else state.get("turns", {}).get(outer.name, 0)
        execution = f"{outer.name}<{state['by']}/{state['n']}" if "by" in state else f"{outer.name}/{turn}"
        return (f"{self.node.name}/{execution}" if self.around else execution), turn

    def run(self, state: Any) -> Any:
        node, world = self.node, self.world
        execution, turn = self.place(state)
        times = world.starting(execution)
        if world.intruder is not None:
            world.intruder(f"{execution} begins {times}")
        read = self.read(state)
        given = deepcopy({key: state[key] for key in ("total", "turns", "by", "n") if key in state})
        if node.careless:
            self.scribble(state)
        if node.keeps:
            assert once("effect", lambda: world.effect(execution)) == execution
        answers = [self.ask(payload) for payload in questions(node, execution)]
        if world.intruder is not None:
            world.intruder(f"{execution} ends {times}")
        world.ending(execution, node.outages)
        if node.helped:
            raise OutageError(execution)
        return self.result(execution, turn, read, answers, {"sent": "by" in state, "given": given})

    def handle(self, state: Any, error: NodeError) -> Any:
        execution, turn = self.place(state)
        assert str(error.error) == execution
        answer = self.ask({"question": "It failed. Now?", "node": self.node.name, "execution": execution, "position": HANDLER})
        return self.result(execution, turn, self.read(state), [answer], {"sent": "by" in state, "given": {}})

    def read(self, state: Any) -> list[int]:
        return [] if "by" in state else [state["total"], len(state.get("log", []))]

    def scribble(self, state: Any) -> None:
        if "by" not in state:
            state.setdefault("log", []).append("scribbled")
            state.setdefault("turns", {})[self.node.name] = 99
        state["n"] = state["total"] = 99

    def ask(self, payload: dict[str, Any]) -> Any:
        expected = answer_of(payload)
        if not self.world.asks:
            return expected
        terms = {"deadline": timedelta(hours=1), "default": expected} if has_a_deadline(payload) else {}
        answer = interrupt(payload, schema=int, **terms) if wants_a_number(payload) else interrupt(payload, **terms)
        assert (type(answer), answer) == (type(expected), expected), f"{payload} got {answer!r}, which answers something else"
        return answer

    def result(self, execution: str, turn: int, read: list[int], answers: list[Any], how: dict[str, Any]) -> Any:
        node = self.node
        update: dict[str, Any] = {"log": [f"{execution} {answers} {read}"]}
        if self.around is None or self.ends:
            update |= {"total": number(execution, read) % 10, "turns": {(self.around or node).name: 1}}
        if self.inner is not None:
            ended = self.inner.invoke(how["given"])
            update["log"] = update["log"] + ended["log"]
        if self.owns_a_key:
            update[f"of_{node.name}"] = {"turn": turn, "answers": answers, "read": read}
            if node.large:
                update[f"blob_{node.name}"] = bytes([turn]) * 5000
        match node.way:
            case "goto":
                return Command(update=update, goto=node.targets[0] if len(node.targets) == 1 else list(node.targets))
            case "goto sends":
                return Command(update=update, goto=_sends(node, turn, 1 + turn % 3))
            case "goto back":
                return Command(update=update, goto=node.targets[0] if how["sent"] or turn >= node.rounds else node.back)
        return update
