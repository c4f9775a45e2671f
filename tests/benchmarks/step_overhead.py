"""What a superstep costs, as ratios against peers measured in the same run.

    python tests/benchmarks/step_overhead.py            # needs the `bench` extra for the langgraph rows; they are left out without it

Every figure is the median over interleaved rounds (A B C A B C …), per superstep or per call. Nothing here is a test.
"""

from __future__ import annotations

import itertools
import operator
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, TypedDict

import diskcache

from hitl_nb import END, START, Command, DiskCacheSaver, MemorySaver, StateGraph, interrupt

STEPS = 200
ROUNDS = 7
PAYLOAD = "x" * 1000


class State(TypedDict):
    """A counter, 1 KB of text that changes at each step, and a list with a reducer."""

    n: int
    text: str
    log: Annotated[list[int], operator.add]


def step(state: State) -> dict[str, Any]:
    return {"n": state["n"] + 1, "text": f"{state['n']:06d}{PAYLOAD}"}


def onward(state: State) -> str:
    return "step" if state["n"] < STEPS else END


def ask(state: State) -> dict[str, Any]:
    return {"text": interrupt({"question": "Go on?", "n": state["n"]})}


def looped(graph_class: Any, start: str, saver: Any = None) -> Any:
    builder = graph_class(State)
    builder.add_node("step", step)
    builder.add_edge(start, "step")
    builder.add_conditional_edges("step", onward, ["step", END])
    return builder.compile(checkpointer=saver)


def asking(graph_class: Any, start: str, saver: Any, question: Callable[[State], Any]) -> Any:
    builder = graph_class(State)
    builder.add_node("ask", question)
    builder.add_edge(start, "ask")
    return builder.compile(checkpointer=saver)


def loop_of(graph: Any) -> Callable[[], float]:
    """Seconds a superstep of a run of STEPS, each on a thread of its own."""
    ids = itertools.count()

    def run() -> float:
        config = {"configurable": {"thread_id": f"t{next(ids)}"}, "recursion_limit": STEPS + 10}
        began = time.perf_counter()
        graph.invoke({"n": 0, "text": "", "log": []}, config)
        return (time.perf_counter() - began) / STEPS

    return run


def round_trips(graph: Any, command: Any) -> Callable[[], float]:
    """Seconds from a new thread's question to its answered end."""
    ids = itertools.count()

    def run() -> float:
        began = time.perf_counter()
        for _ in range(10):
            config = {"configurable": {"thread_id": f"t{next(ids)}"}}
            graph.invoke({"n": 0, "text": "", "log": []}, config)
            graph.invoke(command(resume="yes"), config)
        return (time.perf_counter() - began) / 10

    return run


def raw_sets(folder: Path, synchronous: int) -> Callable[[], float]:
    """Seconds for one diskcache set of the bytes a superstep changes: the floor of a durable step."""
    cache = diskcache.Cache(str(folder), eviction_policy="none", cull_limit=0, sqlite_synchronous=synchronous)
    ids = itertools.count()

    def run() -> float:
        began = time.perf_counter()
        for _ in range(STEPS):
            cache.set(f"key-{next(ids):010d}", PAYLOAD.encode())
        return (time.perf_counter() - began) / STEPS

    return run


def contenders(folder: Path) -> dict[str, Callable[[], float]]:
    runs = {
        "raw set NORMAL": raw_sets(folder / "raw-normal", 1),
        "raw set FULL": raw_sets(folder / "raw-full", 2),
        "hitl_nb no checkpointer": loop_of(looped(StateGraph, START)),
        "hitl_nb MemorySaver": loop_of(looped(StateGraph, START, MemorySaver())),
        "hitl_nb disk NORMAL": loop_of(looped(StateGraph, START, DiskCacheSaver(folder / "normal"))),
        "hitl_nb disk FULL": loop_of(looped(StateGraph, START, DiskCacheSaver(folder / "full", durability="full"))),
        "hitl_nb round trip NORMAL": round_trips(asking(StateGraph, START, DiskCacheSaver(folder / "ask-normal"), ask), Command),
        "hitl_nb round trip FULL": round_trips(asking(StateGraph, START, DiskCacheSaver(folder / "ask-full", durability="full"), ask), Command),
    }
    if find_spec("langgraph") and find_spec("langgraph.checkpoint.sqlite"):
        runs |= langgraph_contenders(folder)
    return runs


def langgraph_contenders(folder: Path) -> dict[str, Callable[[], float]]:
    import sqlite3

    from langgraph.checkpoint.memory import InMemorySaver as PeerMemory
    from langgraph.checkpoint.sqlite import SqliteSaver
    from langgraph.graph import START as PEER_START
    from langgraph.graph import StateGraph as PeerGraph
    from langgraph.types import Command as PeerCommand
    from langgraph.types import interrupt as peer_interrupt

    def peer_ask(state: State) -> dict[str, Any]:
        return {"text": peer_interrupt({"question": "Go on?", "n": state["n"]})}

    def sqlite(name: str) -> Any:
        return SqliteSaver(sqlite3.connect(folder / name, check_same_thread=False))

    return {
        "langgraph no checkpointer": loop_of(looped(PeerGraph, PEER_START)),
        "langgraph InMemorySaver": loop_of(looped(PeerGraph, PEER_START, PeerMemory())),
        "langgraph SqliteSaver": loop_of(looped(PeerGraph, PEER_START, sqlite("loop.sqlite"))),
        "langgraph round trip SqliteSaver": round_trips(asking(PeerGraph, PEER_START, sqlite("ask.sqlite"), peer_ask), PeerCommand),
    }


RATIOS = (
    ("hitl_nb no checkpointer", "langgraph no checkpointer"),
    ("hitl_nb MemorySaver", "langgraph InMemorySaver"),
    ("hitl_nb disk NORMAL", "raw set NORMAL"),
    ("hitl_nb disk FULL", "raw set FULL"),
    ("hitl_nb disk FULL", "langgraph SqliteSaver"),
    ("hitl_nb disk NORMAL", "langgraph SqliteSaver"),
    ("hitl_nb round trip NORMAL", "langgraph round trip SqliteSaver"),
    ("hitl_nb round trip FULL", "langgraph round trip SqliteSaver"),
)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        runs = contenders(Path(folder))
        times: dict[str, list[float]] = {name: [] for name in runs}
        for n in range(ROUNDS + 1):
            for name, run in runs.items():
                seconds = run()
                if n:  # the first round warms up
                    times[name].append(seconds)
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    print(f"{'µs each':>10}   what")
    for name, seconds in medians.items():
        print(f"{seconds * 1e6:10.1f}   {name}")
    print(f"\n{'ratio':>10}   what / peer, median of {ROUNDS} interleaved rounds")
    for name, peer in RATIOS:
        if peer in times:
            ratio = statistics.median(a / b for a, b in zip(times[name], times[peer], strict=True))
            print(f"{ratio:10.3f}   {name} / {peer}")
    peers = ", ".join(f"{p} {version(p)}" for p in ("diskcache", "langgraph") if find_spec(p))
    print(f"\n{STEPS} supersteps a run; {peers}")


if __name__ == "__main__":
    main()
