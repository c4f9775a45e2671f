"""The graph changed while a thread was paused: what the thread needs and the graph lost, and how names go on under new ones (semantics R19).

Each checkpoint says which graph wrote it. What that graph looked like is stored once, so what changed can be told by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from hitl_nb.checkpoint.records import PlannedTask, Question, ValueRef, fingerprint
from hitl_nb.checkpoint.serde import pack, unpack
from hitl_nb.errors import GraphChangedError, GraphError
from hitl_nb.graph.state.schema import StateSchema
from hitl_nb.graph.topology import DEFERRED, Topology, join_key
from hitl_nb.graph.types import END, Send

if TYPE_CHECKING:
    from hitl_nb.checkpoint.base import Checkpointer
    from hitl_nb.graph.run import Run


@dataclass(frozen=True, slots=True)
class Shape:
    """What a graph looks like to the threads that it leaves in the store."""

    nodes: tuple[str, ...]
    ways: tuple[tuple[str, str], ...]
    """`(from, to)` of every edge, join and path map."""
    joins: tuple[tuple[str, ...], ...]
    """The sources of each list-join, then its target."""
    keys: tuple[str, ...] | None
    """Of the state; None: any."""
    record: bytes = field(init=False)
    """As it is stored."""
    fingerprint: str = field(init=False)
    """Under which it is stored."""

    def __post_init__(self) -> None:
        record = pack(_text([self.nodes, self.ways, self.joins, self.keys]))
        object.__setattr__(self, "record", record)
        object.__setattr__(self, "fingerprint", fingerprint(record, size=8))

    @classmethod
    def of(cls, topology: Topology, schema: StateSchema) -> Shape:
        ways = [(source, target) for source, targets in topology.edges.items() for target in targets]
        ways += [(source, target) for sources, target in topology.joins for source in sources]
        ways += [(s, target) for s, branches in topology.branches.items() for b in branches for target in (b.mapping or {}).values()]
        joins = tuple((*sources, target) for sources, target in topology.joins)
        return cls(tuple(topology.nodes), tuple(sorted(set(ways))), joins, None if schema.keys is None else tuple(schema.keys))

    @classmethod
    def stored(cls, saver: Checkpointer, name: str) -> Shape | None:
        """The graph of this fingerprint; None when the store does not know it."""
        record = saver.graph_record(name)
        if record is None:
            return None
        nodes, ways, joins, keys = unpack(record)
        return cls(tuple(nodes), tuple((a, b) for a, b in ways), tuple(map(tuple, joins)), None if keys is None else tuple(keys))

    def around(self, node: str, known: Iterable[str]) -> tuple[set[str], set[str]]:
        """What leads to a node and where it leads, as far as it is known to both graphs."""
        here = set(known)
        return {a for a, b in self.ways if b == node and a in here}, {b for a, b in self.ways if a == node and b in here}


# -- renamed on purpose -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Renamed:
    """Names in stored threads that stand for others in the graph as it is now."""

    nodes: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str | None] = field(default_factory=dict)
    """Of the state; None: dropped."""

    @classmethod
    def of(cls, renamed: Mapping[str, str | None], topology: Topology, schema: StateSchema) -> Renamed:
        """What `compile(renamed=…)` says. Raises GraphError for a name that leads nowhere, or that the graph still has."""
        keys = schema.keys or {}
        nodes_found, keys_found = dict[str, str](), dict[str, str | None]()
        for old, given in renamed.items():
            new = given
            for _ in renamed:  # renamed more than once
                if new is not None and new not in topology.nodes and new not in keys:
                    new = renamed.get(new, new)
            if new in topology.nodes and old not in topology.nodes:
                nodes_found[old] = new
            if (new is None or new in keys) and old not in keys:
                keys_found[old] = new
            if old not in nodes_found and old not in keys_found:
                why = f"{old!r} is there still" if old in topology.nodes or old in keys else f"{given!r} is neither a node nor a state key"
                raise GraphError(
                    f"compile(renamed={{{old!r}: {given!r}}}): {why}; expected old names, each with its new one (or None for a state key that was "
                    f"dropped). Nodes: {', '.join(topology.nodes)}; state keys: {', '.join(keys) or 'any'}"
                )
        return cls(nodes_found, keys_found)

    def node(self, name: str) -> str:
        return self.nodes.get(name, name)

    def names(self, node: str) -> list[str]:
        """The name of a node, and those that it had."""
        return [node, *(old for old, new in self.nodes.items() if new == node)]

    def apply(self, run: Run) -> None:
        """Read the run's checkpoint by the new names. The ids of tasks and questions stay as they are."""
        if not self.nodes and not self.keys:
            return
        self._apply_nodes(run)
        held = run.checkpoint.versions
        for old, new in self.keys.items():
            if old in held and new not in held:
                self._apply_key(run, old, new)

    def _apply_nodes(self, run: Run) -> None:
        c = run.checkpoint
        tasks = tuple(replace(t, node=self.node(t.node), by=tuple(map(self.node, t.by))) for t in c.tasks)
        arrived = {self._join(key): tuple(sorted(map(self.node, nodes))) for key, nodes in c.arrived.items()}
        run.checkpoint = replace(c, tasks=tasks, arrived=arrived, wrote=tuple(map(self.node, c.wrote)))
        for task in tasks:
            if (done := run.results.get(task.id)) is not None:
                goto: list[str | Send] = [Send(self.node(t.node), t.arg) if isinstance(t, Send) else self.node(t) for t in done.goto]
                update = [(new, value) for key, value in done.update if (new := self.keys.get(key, key)) is not None]
                run.results[task.id] = replace(done, task=task, update=update, goto=goto)
        run.questions = {i: self._asked_by(run, q) for i, q in run.questions.items()}

    def _asked_by(self, run: Run, q: Question) -> Question:
        """The question, its place read by the names of this run's graph."""
        level = len(run.path)
        if q.place[:level] != run.path:
            return q
        place = (*run.path, self.node(q.place[level]), *q.place[level + 1 :])
        return replace(q, node=place[-1], path=place[:-1])

    def _join(self, key: str) -> str:
        if key == DEFERRED:
            return key
        *sources, target = map(self.node, key.split("\x1f"))
        return join_key(sources, target)

    @staticmethod
    def _apply_key(run: Run, old: str, new: str | None) -> None:
        c = run.checkpoint
        versions = {key: ref for key, ref in c.versions.items() if key != old}
        inline = dict(c.inline)
        value, run.values = run.values[old], {key: v for key, v in run.values.items() if key != old}
        run.inline.pop(old, None)
        if new is not None:
            # The store has it under the old name, so the next checkpoint writes it anew, see `changed_values`.
            run.values[new] = value
            inline[new] = run.codec.dumps(value, f"state[{new!r}]")
            versions[new] = ValueRef(c.seq)
        run.checkpoint = replace(c, versions=versions, inline=inline)


# -- lost -----------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lost:
    """What a thread needs where it stands and the graph does not have."""

    nodes: tuple[str, ...]
    joins: tuple[str, ...]
    """Keys of `Checkpoint.arrived`."""
    keys: tuple[str, ...]

    @classmethod
    def of(cls, run: Run, before: Shape | None) -> Lost:
        """`before`: the graph that wrote the checkpoint, when it is known."""
        nodes: list[str] = [t.node for t in run.checkpoint.tasks]
        for done in run.results.values():
            nodes += [t.node if isinstance(t, Send) else t for t in done.goto]
        joins = {join_key(sources, target) for sources, target in run.topology.joins}
        lost_joins = [key for key in run.checkpoint.arrived if key != DEFERRED and key not in joins]
        nodes += run.checkpoint.arrived.get(DEFERRED, ())
        nodes += [name for key in lost_joins for name in key.split("\x1f")]
        known = run.schema.keys
        held = list(run.checkpoint.versions)
        held += [key for done in run.results.values() for key, _ in done.update if before is not None and key in (before.keys or ())]
        return cls(
            tuple(dict.fromkeys(n for n in nodes if n not in run.topology.nodes and n != END)),
            tuple(lost_joins),
            () if known is None else tuple(dict.fromkeys(k for k in held if k not in known)),
        )


def require_unchanged(run: Run) -> None:
    """Raise GraphChangedError when the thread cannot go on where it stands, because of what the graph lost since. Other changes go on silently."""
    c = run.checkpoint
    if not c.tasks or c.graph == run.shape.fingerprint or run.saver is None:
        return
    before = Shape.stored(run.saver, c.graph)
    lost = Lost.of(run, before)
    if not (lost.nodes or lost.joins or lost.keys):
        return
    added = () if before is None else tuple(n for n in run.shape.nodes if n not in before.nodes)
    new_keys = () if before is None or before.keys is None else tuple(k for k in run.shape.keys or () if k not in before.keys)
    needs = [f"node {n!r}" for n in lost.nodes]
    needs += [_join_text(key) for key in lost.joins]
    needs += [f"state[{k!r}]" for k in lost.keys]
    names = {n: _likely(n, added, before, run.shape) for n in lost.nodes} | {k: _close(k, new_keys) for k in lost.keys}
    ways = ["bring back what is gone"]
    if names:
        mapping = ", ".join(f"{old!r}: {new!r}" if new else f"{old!r}: …" for old, new in names.items())
        ways.append(f"say what was renamed with builder.compile(…, renamed={{{mapping}}}){', where None drops a state key' if lost.keys else ''}")
    ways.append("move on without it: update_state(config, values, as_node=…) writes as one of the nodes there are, and goes on behind it")
    new = ", ".join([*(f"node {n!r}" for n in added), *(f"state[{k!r}]" for k in new_keys)]) or "nothing"
    # a graph inside a node is looked at when its node runs, which is after the answer was recorded
    untouched = "Nothing of it was run, and its answers are kept" if run.path else "Nothing was run and no answer was recorded"
    raise GraphChangedError(
        f"the graph changed since thread {run.thread_id!r} stopped: gone is {', '.join(needs)}, which the thread needs to go on; new is {new}. "
        f"{untouched}. Ways out: {'; or '.join(ways)}",
        thread_id=run.thread_id,
        node=lost.nodes[0] if lost.nodes else None,
        removed_nodes=lost.nodes,
        added_nodes=added,
        removed_keys=lost.keys,
    )


def leave_behind(run: Run) -> None:
    """Drop from the run what the graph lost: tasks of nodes, arrivals at joins, values of state keys. For an update, which says how to go on."""
    c, lost = run.checkpoint, Lost.of(run, None)
    tasks = tuple(t for t in c.tasks if not _needs(run, t, lost.nodes))
    arrived: dict[str, tuple[str, ...]] = {key: nodes for key, nodes in c.arrived.items() if key not in lost.joins}
    if DEFERRED in arrived:
        arrived[DEFERRED] = tuple(n for n in arrived[DEFERRED] if n not in lost.nodes)
    versions = {key: ref for key, ref in c.versions.items() if key not in lost.keys}
    run.checkpoint = replace(c, tasks=tasks, arrived={k: nodes for k, nodes in arrived.items() if nodes}, versions=versions)
    run.values = {key: value for key, value in run.values.items() if key not in lost.keys}
    run.inline = {key: data for key, data in run.inline.items() if key not in lost.keys}


def _needs(run: Run, task: PlannedTask, nodes: Sequence[str]) -> bool:
    done = run.results.get(task.id)
    return task.node in nodes or (done is not None and any((t.node if isinstance(t, Send) else t) in nodes for t in done.goto))


def _join_text(key: str) -> str:
    *sources, target = key.split("\x1f")
    return f"the edge from [{', '.join(map(repr, sources))}] to {target!r}"


def _likely(old: str, added: Sequence[str], before: Shape | None, now: Shape) -> str | None:
    """The new name of a node, when one has its place or nearly its name."""
    if before is not None:
        common: list[Any] = [*(n for n in before.nodes if n in now.nodes), "__start__", END]
        placed = [n for n in added if now.around(n, common) == before.around(old, common)]
        if len(placed) == 1:
            return placed[0]
    return _close(old, added)


def _close(old: str, added: Sequence[str]) -> str | None:
    return added[0] if len(added) == 1 else next(iter(get_close_matches(old, added, n=1)), None)


def _text(names: Any) -> Any:
    """The names, half a surrogate pair written out: a graph that is only drawn may have one."""
    if isinstance(names, str):
        return names.encode("utf-8", "backslashreplace").decode()
    return None if names is None else [_text(n) for n in names]
