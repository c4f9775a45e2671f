"""Large values, many threads, long threads, and what the process itself costs: imports and memory."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypedDict

from hitl_nb import END, START, DiskCacheSaver, StateGraph
from tests.benchmarks.bulk import fill
from tests.benchmarks.durable_rows import MIB
from tests.benchmarks.measuring import Contest, Goal, Row, Run, Setting, interleaved, timed
from tests.benchmarks.profiles import lines

PROBE: Final = Path(__file__).with_name("probe.py")
HEAVY: Final = ("numpy", "pandas", "pydantic", "ipywidgets", "papermill")
"""What `import hitl_nb` must not load."""


class Holding(TypedDict):
    n: int
    array: Any


class Counted(TypedDict):
    n: int
    text: str


def fresh_python(bytecode: Path, *arguments: object) -> str:
    """What a fresh Python prints. It keeps compiled modules in that folder, whatever this one does: only its first round compiles."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {"PYTHONPYCACHEPREFIX": str(bytecode)}
    return subprocess.run([sys.executable, *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True, env=env).stdout


def probed(bytecode: Path, *arguments: object) -> Any:
    """What probe.py measures in a fresh Python."""
    return json.loads(fresh_python(bytecode, PROBE, *arguments))


def counting(steps: int, saver: Any = None, node: Callable[[Any], Any] | None = None) -> Any:
    builder = StateGraph(Counted).add_node("step", node or (lambda state: {"n": state["n"] + 1})).add_edge(START, "step")
    builder.add_conditional_edges("step", lambda state: "step" if state["n"] < steps else END, ["step", END])
    return builder.compile(checkpointer=saver)


# -- a large value ------------------------------------------------------------------------------------------------------------------------


def changing_array(setting: Setting) -> Contest:
    """A node that hands over one of two arrays that are ready, so NumPy's own work is not in it. The input is stored too, and counts as a step.

    Nothing is deleted meanwhile, as a store deletes nothing: a file that takes the pages of one just deleted is written in half the time.
    """
    import numpy as np

    steps, size = setting.size(7, 2), setting.size(10, 1) * MIB
    arrays = [np.random.default_rng(seed).random(size // 8) for seed in (0, 1)]
    builder = StateGraph(Holding).add_node("step", lambda state: {"n": state["n"] + 1, "array": arrays[state["n"] % 2]}).add_edge(START, "step")
    builder.add_conditional_edges("step", lambda state: "step" if state["n"] < steps else END, ["step", END])

    def stored(name: str, durability: Any) -> Run:
        folders = itertools.count()

        def run() -> float:
            folder = setting.folder / f"{name}{next(folders)}"
            saver = DiskCacheSaver(folder, durability=durability)
            saver.open_questions()
            graph = builder.compile(checkpointer=saver)
            took = timed(lambda: graph.invoke({"n": 0, "array": arrays[1]}, {"configurable": {"thread_id": "t"}}), steps + 1)()
            saver.close()
            return rested(took)

        return run

    data, names = arrays[0].tobytes(), itertools.count()

    def written() -> float:
        paths = [setting.folder / f"raw{next(names)}" for _ in range(steps + 1)]
        return rested(timed(lambda: [durable_write(path, data) for path in paths], steps + 1)())

    runs = {"write and fsync": written, "hitl_nb FULL": stored("full", "full"), "hitl_nb NORMAL": stored("normal", "normal")}
    return Contest(runs, [Goal("hitl_nb FULL", "write and fsync", 1.3), Goal("hitl_nb NORMAL", "write and fsync", None)], "ms")


def rested(took: float) -> float:
    """The same, when the disk has nothing left to do that the next contender would wait for."""
    if hasattr(os, "sync"):
        os.sync()
    return took


def array_profile(setting: Setting) -> str:
    """What storing 10 MiB consists of. Hashing runs in a Python thread of its own while the file is written."""
    import numpy as np

    from hitl_nb.checkpoint.sealing import digest_of
    from hitl_nb.checkpoint.serde import Serde

    size = setting.size(10, 1) * MIB
    array, serde, names = np.random.default_rng(0).random(size // 8), Serde(), itertools.count()
    data = array.tobytes()

    def write() -> None:
        (setting.folder / f"plain{next(names)}").write_bytes(data)

    contest = changing_array(setting)
    runs = {
        "encode: the array's bytes behind a header": timed(lambda: serde.dumps(array, "array"), 1),
        "hash: blake2b of them": timed(lambda: digest_of(data), 1),
        "write them, without waiting for the disk": timed(write, 1),
        **contest.runs,
    }
    return lines(interleaved(runs, 2 if setting.quick else 5), "ms", f"a superstep that stores {size // MIB} MiB")


def durable_write(path: Path, data: bytes) -> None:
    """A new file with these bytes, which is there after a power cut."""
    with path.open("xb", buffering=0) as file:
        file.write(data)
        os.fsync(file.fileno())
    if os.name != "nt":
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


# -- many threads, many checkpoints -------------------------------------------------------------------------------------------------------


def open_among_many(setting: Setting) -> Contest:
    threads, waiting = setting.size(100_000, 200), setting.size(1_000, 2)
    store, began = setting.folder / "store", time.perf_counter()
    saver = DiskCacheSaver(store)
    fill(saver, threads, waiting)
    saver.close()
    built = time.perf_counter() - began

    def looked(name: str) -> Run:
        def run() -> float:
            seconds, found = probed(setting.folder / "bytecode", name, store)
            assert found == waiting, (name, found)
            return float(seconds)

        return run

    name = f"open_questions() of {threads:,} threads"
    runs = {name: looked("open"), "a range query in SQLite": looked("range")}
    goals = [Goal(name, None, 20, "absolute"), Goal(name, "a range query in SQLite", None)]
    note = f"{waiting:,} open questions; opening the store is in it, importing hitl_nb is not; {threads:,} threads were made in {built:.1f} s"
    return Contest(runs, goals, "ms", notes=[note])


def history_pages(setting: Setting) -> Contest:
    checkpoints, page = setting.size(100_000, 120), 50
    saver, config, began = DiskCacheSaver(setting.folder / "store"), {"configurable": {"thread_id": "t"}}, time.perf_counter()
    part = min(checkpoints, 10_000)
    graph = counting(part - 1, saver)
    for _ in range(checkpoints // part):  # an input and part - 1 steps
        graph.invoke({"n": 0, "text": "said"}, config, durability="exit")
    built = time.perf_counter() - began
    newest = graph.get_state(config).config["configurable"]["checkpoint_id"]
    thread, _, number = newest.rpartition("-")
    assert int(number) >= checkpoints - 1 - checkpoints // part, newest
    middle = {"configurable": {"thread_id": "t", "checkpoint_id": f"{thread}-{int(number) // 2 + page}"}}

    def listed(**where: Any) -> Run:
        def run() -> None:
            found = list(graph.get_state_history(config, limit=page, **where))
            assert len(found) == page

        return timed(run, 1)

    first, inside = "the first page", "a page in the middle"
    return Contest(
        {first: listed(), inside: listed(before=middle)},
        [Goal(first, None, 10, "absolute"), Goal(inside, None, 10, "absolute")],
        "ms",
        notes=[f"a page is {page} of {int(number) + 1:,} checkpoints, each with its whole state; they were made in {built:.1f} s"],
    )


# -- the process --------------------------------------------------------------------------------------------------------------------------


def imports(setting: Setting) -> Contest:
    def python(code: str) -> Run:
        return timed(lambda: fresh_python(setting.folder / "bytecode", "-c", code), 1)

    names = "END, START, Command, DiskCacheSaver, StateGraph, interrupt, review"
    by_name = "from hitl_nb import …, DiskCacheSaver, review"
    runs = {"bare Python": python("pass"), "import hitl_nb": python("import hitl_nb"), by_name: python(f"from hitl_nb import {names}")}
    loaded = probed(setting.folder / "bytecode", "loaded")
    heavy = [name for name in HEAVY if name in loaded]
    goals = [Goal("import hitl_nb", "bare Python", -1 if heavy else 60, "difference"), Goal(by_name, "bare Python", None, "difference")]
    return Contest(runs, goals, "ms", notes=[f"of {', '.join(HEAVY)} it loads {', '.join(heavy) or 'none'}"])


def memory(setting: Setting) -> Contest:
    """How much more memory a run takes after its last step than after the first tenth; each measured in a fresh Python."""
    steps = setting.size(10_000, 300)
    folders = itertools.count()

    def grown(how: str, store: str, durability: str = "sync") -> Run:
        place = setting.folder
        return lambda: float(probed(place / "bytecode", "memory", how, steps, store and place / f"{store}{next(folders)}", durability))

    runs = {
        "RSS, no checkpointer": grown("rss", ""),
        "RSS, DiskCacheSaver": grown("rss", "rss"),
        "RSS, DiskCacheSaver, durability async": grown("rss", "later", "async"),
        "Python objects, no checkpointer": grown("tracemalloc", ""),
        "Python objects, DiskCacheSaver": grown("tracemalloc", "objects"),
    }
    return Contest(
        runs, [Goal(name, None, 5, "absolute") for name in runs], "MB", warm_up=0, notes=[f"{steps:,} steps, each with a new text of 1 KB"]
    )


ROWS: Final = (
    Row("array-changed", "a step that changes a 10 MiB array, stored", changing_array, rounds=5, profile=array_profile),
    Row("open-questions", "all open questions in a fresh process", open_among_many, rounds=9),
    Row("import", "a fresh Python", imports, rounds=15),
    Row("memory", "memory that a run gains from step 1,000 to step 10,000", memory, rounds=1),
    Row("history", "a page of 50 of a thread's history", history_pages, rounds=9),
)
