"""The same four pieces of work in hitl_nb and in five other systems, each in the way that its own documentation shows: no tracing, nothing stored.

A function per system returns what runs the work once. The work: "chain" and "loop" count to `size` in as many supersteps, "fan-out" starts `size`
nodes side by side and joins them, "send" gives `size` items to one node and joins what it returns. Building the graph is not measured.
"""

import asyncio
import operator
import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from typing import Annotated, Any, Final, TypedDict

Work = Callable[[], Any]
"""Runs the work once; returns what the caller can check."""
WORK: Final = ("chain", "loop", "fan-out", "send")
PACKAGES: Final[Mapping[str, str]] = {
    "hitl_nb": "hitl-nb",
    "langgraph": "langgraph",
    "upsonic": "upsonic",
    "locus": "locus-sdk",
    "burr": "apache-burr",
    "pydantic-graph": "pydantic-graph",
}
"""What each system is called here, and where it comes from."""


# no `from __future__ import annotations` here: upsonic reads the annotations as they are


class Counted(TypedDict):
    n: int


class Collected(TypedDict):
    found: Annotated[list[int], operator.add]


class Item(TypedDict):
    n: int


class MissingError(Exception):
    """A system does not have such a thing, or cannot do it at this size."""


def count(state: Any) -> dict[str, int]:
    return {"n": state["n"] + 1}


def found(state: Any) -> dict[str, list[int]]:
    return {"found": [state["n"]]}


def one(state: Any) -> dict[str, list[int]]:
    return {"found": [1]}


def joined(state: Any) -> dict[str, list[int]]:
    return {"found": []}


def hitl_nb(work: str, size: int) -> Work:
    from hitl_nb import END, START, Send, StateGraph

    return _langgraph_like(StateGraph, START, END, Send, work, size)


def langgraph(work: str, size: int) -> Work:
    from langgraph.graph import END, START, StateGraph
    from langgraph.types import Send

    return _langgraph_like(StateGraph, START, END, Send, work, size)


def upsonic(work: str, size: int) -> Work:
    from upsonic.graphv2 import END, START, Send, StateGraph

    return _langgraph_like(StateGraph, START, END, Send, work, size)


def _langgraph_like(graph_class: Any, start: str, end: str, send: Any, work: str, size: int) -> Work:
    """hitl_nb, langgraph and upsonic are written alike."""
    builder = graph_class(Counted if work in ("chain", "loop") else Collected)
    if work == "chain":
        for n in range(size):
            builder.add_node(f"n{n}", count)
            builder.add_edge(f"n{n - 1}" if n else start, f"n{n}")
        builder.add_edge(f"n{size - 1}", end)
    elif work == "loop":
        builder.add_node("step", count)
        builder.add_edge(start, "step")
        builder.add_conditional_edges("step", lambda state: "step" if state["n"] < size else end, ["step", end])
    else:
        builder.add_node("join", joined)
        builder.add_edge("join", end)
        if work == "fan-out":
            for n in range(size):
                builder.add_node(f"n{n}", one)
                builder.add_edge(start, f"n{n}")
                builder.add_edge(f"n{n}", "join")
        else:
            builder.add_node("give", joined)
            builder.add_node("item", found)
            builder.add_edge(start, "give")
            builder.add_conditional_edges("give", lambda state: [send("item", {"n": n}) for n in range(size)], ["item"])
            builder.add_edge("item", "join")
    graph, config = builder.compile(), {"recursion_limit": size + 10}
    if work in ("chain", "loop"):
        return lambda: graph.invoke({"n": 0}, config)["n"]
    return lambda: len(graph.invoke({"found": []}, config)["found"])


def locus(work: str, size: int) -> Work:
    from locus.core.send import Send
    from locus.multiagent.graph import END, START, GraphConfig, StateGraph

    # with cycles allowed it does not look for them, which at this size is a RecursionError
    graph = StateGraph(config=GraphConfig(allow_cycles=True, max_iterations=size + 10))
    if work == "chain":
        for n in range(size):
            graph.add_node(f"n{n}", count)
            graph.add_edge(f"n{n - 1}" if n else START, f"n{n}")
        graph.add_edge(f"n{size - 1}", END)
        return lambda: asyncio.run(graph.execute({"n": 0})).final_state["n"]
    if work == "loop":
        graph.add_node("step", count)
        graph.add_edge(START, "step")
        graph.add_conditional_edges("step", lambda state: "step" if state["n"] < size else END)
        return lambda: asyncio.run(graph.execute({"n": 0})).final_state["n"]
    if work == "fan-out":
        graph.add_node("join", lambda state: {"n": sum(f"n{n}" in state for n in range(size))})
        for n in range(size):
            graph.add_node(f"n{n}", lambda state, n=n: {f"n{n}": 1})
            graph.add_edge(START, f"n{n}")
            graph.add_edge(f"n{n}", "join")
    else:
        graph.add_node("give", lambda state: [Send(node="item", payload={"n": n}) for n in range(size)])
        graph.add_node("item", lambda state: {"found": state["n"]})
        graph.add_node("join", lambda state: {"n": sum(key.startswith("send_") for key in state)})
        graph.add_edge(START, "give")
        graph.add_edge("give", "join")
    graph.add_edge("join", END)
    return lambda: asyncio.run(graph.execute({})).final_state["n"]


def burr(work: str, size: int) -> Work:
    from burr.core import ApplicationBuilder, State, action, expr

    if work not in ("chain", "loop"):
        raise MissingError("its parallel actions are applications of their own, in threads")

    @action(reads=["n"], writes=["n"])
    def step(state: State) -> State:
        return state.update(n=state["n"] + 1)

    @action(reads=[], writes=[])
    def done(state: State) -> State:
        return state

    if work == "chain":
        names = [f"n{n}" for n in range(size)]
        actions = dict.fromkeys(names, step)
        transitions: list[Any] = list(pairwise(names))
        first, last = names[0], names[-1]
    else:
        actions, first, last = {"step": step, "done": done}, "step", "done"
        transitions = [("step", "step", expr(f"n < {size}")), ("step", "done")]
    app = ApplicationBuilder().with_actions(**actions).with_transitions(*transitions).with_state(n=0).with_entrypoint(first).build()

    def run() -> Any:
        app.update_state(State({"n": 0}))
        app.reset_to_entrypoint()
        return app.run(halt_after=[last])[2]["n"]

    return run


def pydantic_graph(work: str, size: int) -> Work:
    from pydantic_graph import GraphBuilder, StepContext, reduce_list_append

    async def step(ctx: StepContext[Any, None, int]) -> int:
        return ctx.inputs + 1

    if work == "chain":
        g = GraphBuilder(input_type=int, output_type=int, auto_instrument=False)
        steps = [g.step(step, node_id=f"n{n}") for n in range(size)]
        g.add(g.edge_from(g.start_node).to(steps[0]))
        for before, after in pairwise(steps):
            g.add(g.edge_from(before).to(after))
        g.add(g.edge_from(steps[-1]).to(g.end_node))
        graph = g.build(validate_graph_structure=False)
        return lambda: graph.run_sync(inputs=0, infer_name=False)
    if work == "loop":
        g = GraphBuilder(input_type=int, output_type=int, auto_instrument=False)
        only = g.step(step, node_id="step")
        again = g.decision().branch(g.match(int, matches=lambda n: n < size).to(only)).branch(g.match(int).to(g.end_node))
        g.add(g.edge_from(g.start_node).to(only), g.edge_from(only).to(again))
        graph = g.build()
        return lambda: graph.run_sync(inputs=0, infer_name=False)
    g = GraphBuilder(input_type=int, output_type=list[int], auto_instrument=False)
    collect = g.join(reduce_list_append, initial_factory=list[int])
    if work == "fan-out":
        steps = [g.step(step, node_id=f"n{n}") for n in range(size)]
        g.add(g.edge_from(g.start_node).to(*steps))
        for each in steps:
            g.add(g.edge_from(each).to(collect))
    else:

        async def numbers(ctx: StepContext[Any, None, int]) -> range:
            return range(size)

        give, item = g.step(numbers, node_id="give"), g.step(step, node_id="item")
        g.add(g.edge_from(g.start_node).to(give), g.edge_from(give).map().to(item), g.edge_from(item).to(collect))
    g.add(g.edge_from(collect).to(g.end_node))
    graph = g.build(validate_graph_structure=False)
    return lambda: len(graph.run_sync(inputs=0, infer_name=False))


_MAKERS: Final[Mapping[str, Callable[[str, int], Work]]] = {
    "hitl_nb": hitl_nb,
    "langgraph": langgraph,
    "upsonic": upsonic,
    "locus": locus,
    "burr": burr,
    "pydantic-graph": pydantic_graph,
}


def installed(name: str) -> str | None:
    """The version of a system, or None."""
    try:
        return version(PACKAGES[name])
    except PackageNotFoundError:
        return None


def makers(work: str, size: int) -> tuple[dict[str, Work], dict[str, str]]:
    """What runs the work, by system; and why the others do not."""
    runs: dict[str, Work] = {}
    out: dict[str, str] = {}
    for name, make in _MAKERS.items():
        if installed(name) is None:
            out[name] = "not installed"
            continue
        try:
            with warnings.catch_warnings(action="ignore"):
                run = make(work, size)
                result = run()
        except (MissingError, RecursionError) as error:
            out[name] = str(error) if isinstance(error, MissingError) else f"{type(error).__name__} at this size"
            continue
        if result != size:
            raise AssertionError(f"{name} counted {result} in {work!r}, not {size}")
        runs[name] = run
    return runs, out
