"""What there is to draw: shapes and arrows, read from the topology and from what the functions' return annotations promise; marks on them."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any, Literal

from hitl_nb.graph.drawing.marks import UNMARKED, Mark, Marks
from hitl_nb.graph.topology import Branch, Topology
from hitl_nb.graph.types import END, START, Command

Kind = Literal["start", "node", "join", "open", "end"]
"""`join`: where a list-join waits for all its sources. `open`: a path function that says nowhere where it may go."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One thing that arrows touch."""

    id: str
    """For nodes and terminals their name, for the others a text that no node can be named."""
    kind: Kind
    name: str
    mark: Mark | None = None
    """How the node stands in a thread, if it is one's picture."""
    nested: bool = False
    """True: the node runs a graph."""
    inner: Outline | None = None
    """That graph, where it is drawn opened."""


@dataclass(frozen=True, slots=True)
class Arrow:
    """From one shape to another."""

    source: str
    target: str
    label: str = ""
    """The choice that leads this way; empty when it says no more than the target's name."""
    group: int = 0
    """0: always taken. 1, 2, …: one of the ways of the source's first, second, … choice."""

    @property
    def conditional(self) -> bool:
        return self.group > 0


@dataclass(slots=True)
class Outline:
    """Shapes by id, START first and END last, and the arrows between them, at most one per way and pair of shapes."""

    shapes: dict[str, Shape] = field(default_factory=dict)
    arrows: list[Arrow] = field(default_factory=list)

    def arrows_from(self, source: str) -> list[Arrow]:
        return [a for a in self.arrows if a.source == source]


def outline(topology: Topology, marks: Marks = UNMARKED, depth: float = 0) -> Outline:
    """The shapes and arrows of a graph, in the order in which it was built. `depth`: how many levels of graphs in nodes are opened."""
    found = Outline({START: Shape(START, "start", "start")})
    for name, node in topology.nodes.items():
        graph = node.subgraph
        opened = None if graph is None or depth < 1 else outline(graph.topology, marks.inside.get(name, UNMARKED), depth - 1)
        found.shapes[name] = Shape(name, "node", name, marks.nodes.get(name), graph is not None, opened)
    for source in found.shapes.copy():
        found.arrows += [Arrow(source, target) for target in dict.fromkeys(topology.edges.get(source, ()))]
        group = 0
        for group, branch in enumerate(topology.branches.get(source, ()), 1):
            _add_choice(found, topology, source, branch, group)
        if source in topology.nodes:
            declared = [name for name in topology.nodes[source].destinations if name in topology.nodes or name == END]
            goals = dict.fromkeys([*_promised(topology.nodes[source].fn.fn, _goto_names, topology), *declared])
            found.arrows += [Arrow(source, goal, group=group + 1) for goal in goals]
    for n, (sources, target) in enumerate(topology.joins):
        join = Shape(f"\x1fjoin{n}", "join", "all")
        found.shapes[join.id] = join
        found.arrows += [Arrow(source, join.id) for source in sources]
        found.arrows.append(Arrow(join.id, target))
    if any(a.target == END for a in found.arrows):
        found.shapes[END] = Shape(END, "end", "end")
    return found


def _add_choice(found: Outline, topology: Topology, source: str, branch: Branch, group: int) -> None:
    if branch.mapping is not None:
        ways: dict[str, list[str]] = {}
        for choice, target in branch.mapping.items():
            ways.setdefault(target, []).append(str(choice))
        labels = {target: " / ".join(choices) for target, choices in ways.items()}
    else:
        labels = dict.fromkeys(_promised(branch.path.fn, _literals, topology), "")
    found.arrows += [Arrow(source, target, "" if label == target else label, group) for target, label in labels.items()]
    if not labels:
        stub = Shape(f"\x1fopen{len(found.shapes)}", "open", f"{_function_name(branch.path.fn)}()")
        found.shapes[stub.id] = stub
        found.arrows.append(Arrow(source, stub.id, group=group))


def _promised(fn: Callable[..., Any], names: Callable[[Any], Iterator[str]], topology: Topology) -> Iterator[str]:
    """The nodes (and END) that the function's return annotation names."""
    return (name for name in names(_return_hint(fn)) if name in topology.nodes or name == END)


def _goto_names(hint: Any) -> Iterator[str]:
    """The names in `Command[Literal[…]]`, wherever it stands in the annotation."""
    if typing.get_origin(hint) is Command:
        yield from _literals(hint)
    else:
        for part in _parts(hint):
            yield from _goto_names(part)


def _literals(hint: Any) -> Iterator[str]:
    if typing.get_origin(hint) is Literal:
        yield from (value for value in typing.get_args(hint) if isinstance(value, str))
    else:
        for part in _parts(hint):
            yield from _literals(part)


def _parts(hint: Any) -> tuple[Any, ...]:
    """What stands between the brackets; for `Callable[[…], …]` also lists, which hold no targets."""
    return tuple(part for part in typing.get_args(hint) if not isinstance(part, list))


def _return_hint(fn: Callable[..., Any]) -> Any:
    """The return annotation; None when there is none or it cannot be read here, for example because it names a local class."""
    plain = _plain(fn)
    hint = getattr(plain, "__annotations__", {}).get("return")
    if not isinstance(hint, str):
        return hint
    try:  # the return annotation alone: one of a parameter that cannot be read must not hide it
        return typing.get_type_hints(SimpleNamespace(__annotations__={"return": hint}), getattr(plain, "__globals__", {}))["return"]
    except Exception:  # noqa: BLE001  # evaluating a text can raise anything; the picture then has fewer arrows
        return None


def _function_name(fn: Callable[..., Any]) -> str:
    plain = _plain(fn)
    name = str(getattr(plain, "__name__", type(fn).__name__))
    return "lambda" if name == "<lambda>" else name


def _plain(fn: Callable[..., Any]) -> Any:
    """The function inside partials, decorators and callable objects."""
    while isinstance(fn, partial):
        fn = fn.func
    fn = inspect.unwrap(fn)
    return fn if inspect.isroutine(fn) else getattr(fn, "__call__", fn)  # noqa: B004  # its annotations are wanted, not whether it is callable
