"""What is stored while a graph runs: supersteps, questions, answers. Against one raw `diskcache` set of the same bytes, and langgraph's SqliteSaver.

"NORMAL" and "FULL" are SQLite's `synchronous`: what is stored survives a killed process, or a power cut too. langgraph's saver runs at FULL, SQLite's
default, and stores each superstep before the next (`durability="sync"`), as hitl_nb does.
"""

from __future__ import annotations

import itertools
import operator
import sqlite3
from collections.abc import Callable
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any, Final, TypedDict

import diskcache

from hitl_nb import END, START, Command, DiskCacheSaver, MemorySaver, StateGraph, interrupt
from hitl_nb.checkpoint.disk import Durability
from tests.benchmarks.measuring import Contest, Goal, Row, Run, Setting, interleaved, timed
from tests.benchmarks.profiles import lines

TEXT: Final = "x" * 1000
MIB: Final = 1 << 20


class State(TypedDict):
    """A counter, 1 KB of text that changes at each step, and a list with a reducer."""

    n: int
    text: str
    log: Annotated[list[int], operator.add]


class Asking(TypedDict, total=False):
    n: int
    to: int
    text: str
    array: Any


def step(state: State) -> dict[str, Any]:
    return {"n": state["n"] + 1, "text": f"{state['n']:06d}{TEXT}"}


def ask(state: Asking) -> dict[str, Any]:
    return {"text": interrupt({"question": "Go on?", "n": state["n"]})}


def looped(graph_class: Any, start: str, end: str, steps: int, saver: Any = None) -> Any:
    builder = graph_class(State)
    builder.add_node("step", step)
    builder.add_edge(start, "step")
    builder.add_conditional_edges("step", lambda state: "step" if state["n"] < steps else end, ["step", end])
    return builder.compile(checkpointer=saver)


def asking(graph_class: Any, start: str, end: str, saver: Any, question: Callable[[Any], Any], *, again: bool = False) -> Any:
    """A graph that counts up to `to` and then asks; `again`: for ever."""
    builder = graph_class(Asking)
    builder.add_node("count", lambda state: {"n": state["n"] + 1})
    builder.add_node("ask", question)
    builder.add_edge("ask", "ask" if again else end)
    builder.add_conditional_edges(start, lambda state: "count" if state["n"] < state.get("to", 0) else "ask", ["count", "ask"])
    builder.add_conditional_edges("count", lambda state: "count" if state["n"] < state.get("to", 0) else "ask", ["count", "ask"])
    return builder.compile(checkpointer=saver)


def loop_of(graph: Any, steps: int, **options: Any) -> Run:
    """Seconds a superstep of a run on a thread of its own."""
    ids = itertools.count()

    def run() -> None:
        config = {"configurable": {"thread_id": f"t{next(ids)}"}, "recursion_limit": steps + 10}
        graph.invoke({"n": 0, "text": "", "log": []}, config, **options)

    return timed(run, steps)


def round_trips(graph: Any, command: Any, trips: int, **options: Any) -> Run:
    """Seconds from a new thread's question to its answered end."""
    ids = itertools.count()

    def run() -> None:
        for _ in range(trips):
            config = {"configurable": {"thread_id": f"t{next(ids)}"}}
            graph.invoke({"n": 0, "text": ""}, config, **options)
            graph.invoke(command(resume="yes"), config, **options)

    return timed(run, trips)


def stored_bytes(folder: Path, steps: int) -> int:
    """The bytes of records that a superstep of `looped` writes: those that stay, and the one that each superstep overwrites."""
    saver = DiskCacheSaver(folder)
    looped(StateGraph, START, END, steps, saver).invoke({"n": 0, "text": "", "log": []}, {"configurable": {"thread_id": "t"}})
    saver.close()
    with closing(sqlite3.connect(folder / "cache.db")) as database:
        sizes = dict(database.execute("SELECT substr(key, 1, 2), sum(length(value)) FROM Cache WHERE key NOT LIKE '!%' GROUP BY 1"))
    moved = sizes.pop("h/", 0)
    sizes.pop("g/", 0)
    return moved + sum(sizes.values()) // (steps + 1)


def raw_sets(folder: Path, synchronous: int, size: int, count: int) -> Run:
    """Seconds for one diskcache set of so many bytes: the floor of a durable step."""
    cache = diskcache.Cache(str(folder), eviction_policy="none", cull_limit=0, sqlite_synchronous=synchronous)
    ids, value = itertools.count(), b"x" * size

    def run() -> None:
        for _ in range(count):
            cache.set(f"key-{next(ids):010d}", value)

    return timed(run, count)


def paced_sets(folder: Path, synchronous: int, size: int, count: int, pause_s: float) -> Run:
    """Seconds for one diskcache set that comes so long after the one before, as a graph has work to do in between. Without the pause."""
    cache = diskcache.Cache(str(folder), eviction_policy="none", cull_limit=0, sqlite_synchronous=synchronous)
    ids, value = itertools.count(), b"x" * size

    def run() -> float:
        took = 0.0
        for _ in range(count):
            ready = perf_counter() + pause_s
            while (now := perf_counter()) < ready:
                pass
            cache.set(f"key-{next(ids):010d}", value)
            took += perf_counter() - now
        return took / count

    return run


def has_peer() -> str | None:
    """Why langgraph's SqliteSaver is not there, or None."""
    there = find_spec("langgraph") and find_spec("langgraph.checkpoint") and find_spec("langgraph.checkpoint.sqlite")
    return None if there else "not installed"


def peer_saver(path: Path) -> Any:
    from langgraph.checkpoint.sqlite import SqliteSaver

    return SqliteSaver(sqlite3.connect(path, check_same_thread=False))


def peer_loop(folder: Path, steps: int) -> Run:
    from langgraph.graph import END as PEER_END
    from langgraph.graph import START as PEER_START
    from langgraph.graph import StateGraph as PeerGraph

    return loop_of(looped(PeerGraph, PEER_START, PEER_END, steps, peer_saver(folder / "loop.sqlite")), steps, durability="sync")


def peer_asking(folder: Path, *, again: bool = False) -> tuple[Any, Any]:
    from langgraph.graph import END as PEER_END
    from langgraph.graph import START as PEER_START
    from langgraph.graph import StateGraph as PeerGraph
    from langgraph.types import Command as PeerCommand
    from langgraph.types import interrupt as peer_interrupt

    def question(state: Asking) -> dict[str, Any]:
        return {"text": peer_interrupt({"question": "Go on?", "n": state["n"]})}

    return asking(PeerGraph, PEER_START, PEER_END, peer_saver(folder / "ask.sqlite"), question, again=again), PeerCommand


# -- supersteps ---------------------------------------------------------------------------------------------------------------------------


def supersteps(setting: Setting) -> Contest:
    steps = setting.size(200, 10)
    size = stored_bytes(setting.folder / "bytes", steps)
    runs = {}
    for name, durability, synchronous in (("NORMAL", "normal", 1), ("FULL", "full", 2)):
        runs[f"diskcache set {name}"] = raw_sets(setting.folder / f"raw-{name}", synchronous, size, steps)
        saver = DiskCacheSaver(setting.folder / name, durability=durability)
        runs[f"hitl_nb {name}"] = loop_of(looped(StateGraph, START, END, steps, saver), steps)
    paced = "diskcache set FULL, 50 µs after the last"
    runs[paced] = paced_sets(setting.folder / "paced", 2, size, steps, 50e-6)
    missing = has_peer()
    if missing is None:
        runs["langgraph SqliteSaver"] = peer_loop(setting.folder, steps)
    goals = [
        Goal("hitl_nb NORMAL", "diskcache set NORMAL", 1.6),
        Goal("hitl_nb FULL", "diskcache set FULL", 1.2),
        Goal("hitl_nb FULL", paced, None),
        Goal("hitl_nb FULL", "langgraph SqliteSaver", 0.3),
    ]
    return Contest(runs, goals, "µs", {} if missing is None else {"langgraph SqliteSaver": missing}, [f"{size:,} bytes of records a superstep"])


def superstep_profile(setting: Setting) -> str:
    """What a superstep consists of, one part after the other left out."""
    steps = setting.size(200, 10)
    size = stored_bytes(setting.folder / "bytes", steps)
    runs: dict[str, Run] = {
        "the loop without a checkpointer": loop_of(looped(StateGraph, START, END, steps), steps),
        "the loop with MemorySaver: and encoded": loop_of(looped(StateGraph, START, END, steps, MemorySaver()), steps),
    }
    for name, durability, synchronous in (("NORMAL", "normal", 1), ("FULL", "full", 2)):
        runs[f"{name}: SQLite, BEGIN, one INSERT, COMMIT"] = raw_inserts(setting.folder / f"sqlite-{name}", synchronous, size, steps)
        runs[f"{name}: one diskcache set"] = raw_sets(setting.folder / f"raw-{name}", synchronous, size, steps)
        saver = DiskCacheSaver(setting.folder / name, durability=durability)
        runs[f"{name}: a commit of a checkpoint that is ready"] = commits(saver, steps)
        runs[f"{name}: the whole superstep"] = loop_of(looped(StateGraph, START, END, steps, saver), steps)
    return lines(interleaved(runs, 2 if setting.quick else 7), "µs", f"a superstep of {size:,} bytes of records")


def raw_inserts(folder: Path, synchronous: int, size: int, count: int) -> Run:
    """Seconds for the least that SQLite can do: a transaction that adds one record to a table with an index over its keys."""
    folder.mkdir()
    database = sqlite3.connect(folder / "raw.db", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute(f"PRAGMA synchronous={synchronous}")
    database.execute("CREATE TABLE records (key TEXT PRIMARY KEY, value BLOB)")
    ids, value = itertools.count(), b"x" * size

    def run() -> None:
        for _ in range(count):
            database.execute("BEGIN IMMEDIATE")
            database.execute("INSERT INTO records VALUES (?, ?)", (f"key-{next(ids):010d}", value))
            database.execute("COMMIT")

    return timed(run, count)


def commits(saver: DiskCacheSaver, count: int) -> Run:
    """Seconds for `commit` of a checkpoint as a superstep of `looped` makes it, without the graph."""
    from hitl_nb.checkpoint.records import Head
    from tests.benchmarks.bulk import template, under

    threads, (_, ready) = itertools.count(), template(looped(StateGraph, START, END, 2, MemorySaver()), {"n": 0, "text": "", "log": []})

    def run() -> None:
        thread_id, head = f"c{next(threads)}", None
        for seq in range(count):
            head = saver.commit(thread_id, head, checkpoint=under(ready, thread_id, seq))
            assert isinstance(head, Head)

    return timed(run, count)


# -- questions ----------------------------------------------------------------------------------------------------------------------------


def questions(setting: Setting) -> Contest:
    trips = setting.size(20, 2)
    runs = {}
    for name, durability in (("NORMAL", "normal"), ("FULL", "full")):
        saver = DiskCacheSaver(setting.folder / name, durability=durability)
        runs[f"hitl_nb {name}"] = round_trips(asking(StateGraph, START, END, saver, ask), Command, trips)
    missing = has_peer()
    if missing is None:
        graph, command = peer_asking(setting.folder)
        runs["langgraph SqliteSaver"] = round_trips(graph, command, trips, durability="sync")
    goals = [Goal("hitl_nb FULL", "langgraph SqliteSaver", 0.25), Goal("hitl_nb NORMAL", "langgraph SqliteSaver", None)]
    return Contest(runs, goals, "µs", {} if missing is None else {"langgraph SqliteSaver": missing})


def question_profile(setting: Setting) -> str:
    """What a round trip consists of: its transactions, and the rest."""
    trips = setting.size(20, 2)
    runs: dict[str, Run] = {"the round trip with MemorySaver": round_trips(asking(StateGraph, START, END, MemorySaver(), ask), Command, trips)}
    notes = []
    durabilities: tuple[tuple[str, Durability, int], ...] = (("NORMAL", "normal", 1), ("FULL", "full", 2))
    for name, durability, synchronous in durabilities:
        saver = _Counting(setting.folder / name, durability=durability)
        runs[f"{name}: one SQLite transaction of one INSERT"] = raw_inserts(setting.folder / f"sqlite-{name}", synchronous, 300, trips)
        runs[f"{name}: the whole round trip"] = run = round_trips(asking(StateGraph, START, END, saver, ask), Command, trips)
        run()
        saver.transactions = 0
        run()
        notes.append(f"{name}: {saver.transactions / trips:g} transactions a round trip")
    return lines(interleaved(runs, 2 if setting.quick else 7), "µs", "a round trip: a new thread's question, its answer, its end") + "\n".join(notes)


class _Counting(DiskCacheSaver):
    transactions = 0

    def _transaction(self, *, lazily: bool = False) -> Any:
        self.transactions += 1
        return super()._transaction(lazily=lazily)


def long_threads(setting: Setting) -> Contest:
    """The round trip on two threads of one store that ask again and again: one with few checkpoints, one with many."""
    few, many, trips = setting.size(100, 5), setting.size(5000, 50), setting.size(5, 2)
    graph = asking(StateGraph, START, END, DiskCacheSaver(setting.folder / "store", durability="full"), ask, again=True)

    def run_of(checkpoints: int) -> Run:
        config = {"configurable": {"thread_id": f"of {checkpoints}"}, "recursion_limit": checkpoints + 10}
        graph.invoke({"n": 0, "to": checkpoints, "text": ""}, config, durability="exit")

        def run() -> None:
            for _ in range(trips):
                graph.invoke(Command(resume="yes"), config)

        return timed(run, trips)

    short, long = f"{few:,} checkpoints", f"{many:,} checkpoints"
    return Contest({short: run_of(few), long: run_of(many)}, [Goal(long, short, 1.15)], "µs")


# -- bytes --------------------------------------------------------------------------------------------------------------------------------


def unchanged_array(setting: Setting) -> Contest:
    """Bytes that a round trip hands to the system, on a thread whose state holds an array that nobody touches."""
    import numpy as np

    trips, array = setting.size(100, 3), np.random.default_rng(0).random(setting.size(10, 1) * MIB // 8)
    graph = asking(StateGraph, START, END, DiskCacheSaver(setting.folder / "store", durability="full"), ask, again=True)
    config = {"configurable": {"thread_id": "t"}}
    graph.invoke({"n": 0, "text": "", "array": array}, config)
    runs = {"hitl_nb FULL": _written(setting.folder / "store", trips, lambda: graph.invoke(Command(resume="yes"), config))}
    missing = has_peer()
    if missing is None:
        peer, command = peer_asking(setting.folder, again=True)
        peer.invoke({"n": 0, "text": "", "array": array}, config, durability="sync")
        few = setting.size(3, 1)
        runs["langgraph SqliteSaver"] = _written(setting.folder, few, lambda: peer.invoke(command(resume="yes"), config, durability="sync"))
    goals = [Goal("hitl_nb FULL", None, 64, "absolute"), Goal("hitl_nb FULL", "langgraph SqliteSaver", None)]
    note = "all bytes that the process hands to write(), SQLite's copies from its log into the database included" if _counted() is not None else ""
    return Contest(
        runs, goals, "KiB", {} if missing is None else {"langgraph SqliteSaver": missing}, [note or "how far the files in the folder grew"]
    )


def _counted() -> int | None:
    """Bytes that this process has handed to write(); None where the system does not say."""
    try:
        lines_of = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) for line in lines_of if line.startswith("wchar:"))


def _on_disk(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _written(folder: Path, trips: int, trip: Callable[[], Any]) -> Run:
    def run() -> float:
        before, grown = _counted(), _on_disk(folder)
        for _ in range(trips):
            trip()
        after = _counted()
        return (_on_disk(folder) - grown if before is None or after is None else after - before) / trips

    return run


ROWS: Final = (
    Row("superstep", "a stored superstep (1 KB of text changes)", supersteps, rounds=15, profile=superstep_profile),
    Row("round-trip", "a round trip: a new thread asks, is answered, ends", questions, rounds=21, profile=question_profile),
    Row("long-thread", "a round trip in a thread of many checkpoints, FULL", long_threads, rounds=31),
    Row("array-kept", "bytes written a round trip, 10 MiB array unchanged", unchanged_array, rounds=3),
)
