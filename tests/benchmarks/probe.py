"""What is measured in a Python of its own. Prints JSON.

probe.py open STORE | range STORE | loaded | memory rss|tracemalloc STEPS [STORE [sync|async]]
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any


def open_questions(store: str) -> list[float]:
    """Seconds, and how many."""
    from hitl_nb import DiskCacheSaver

    began = time.perf_counter()
    found = DiskCacheSaver(store).open_questions()
    return [time.perf_counter() - began, len(found)]


def range_query(store: str) -> list[float]:
    """The same records by SQLite alone: not checked, not decoded, not sorted."""
    began = time.perf_counter()
    with closing(sqlite3.connect(Path(store) / "cache.db")) as database:
        found = database.execute("SELECT key, value FROM Cache WHERE key >= '!o/' AND key < '!o0'").fetchall()
    return [time.perf_counter() - began, len(found)]


def loaded() -> list[str]:
    import hitl_nb  # noqa: F401

    return sorted({name.split(".")[0] for name in sys.modules})


def memory(how: str, steps: str, store: str = "", durability: Any = "sync") -> int:
    """Bytes more at the last step than at a tenth of the steps."""
    from hitl_nb import END, START, DiskCacheSaver, StateGraph

    count, seen = int(steps), {}

    def step(state: Any) -> dict[str, Any]:
        n = state["n"] + 1
        if n in (count // 10, count):
            seen[n] = used()
        return {"n": n, "text": f"{n:06d}" + "x" * 1000}

    def used() -> int:
        return _resident() if how == "rss" else tracemalloc.get_traced_memory()[0]

    builder = StateGraph().add_node("step", step).add_edge(START, "step")
    builder.add_conditional_edges("step", lambda state: "step" if state["n"] < count else END, ["step", END])
    graph = builder.compile(checkpointer=DiskCacheSaver(store) if store else None)
    if how == "tracemalloc":
        import tracemalloc

        tracemalloc.start()
    graph.invoke({"n": 0, "text": ""}, {"configurable": {"thread_id": "t"}, "recursion_limit": count + 10}, durability=durability)
    return seen[count] - seen[count // 10]


def _resident() -> int:
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096
    except OSError:  # elsewhere: the most that it ever was, which a run that is flat does not raise
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    print(json.dumps({"open": open_questions, "range": range_query, "loaded": loaded, "memory": memory}[name](*arguments)))
