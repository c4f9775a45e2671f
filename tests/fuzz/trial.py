"""Tries cases one after the other in a process of its own: `python -m tests.fuzz.trial CASE KIND:FIRST:COUNT …`.

Each case is written to the file CASE before it is tried, so that a crash leaves the case that did it. `hung.txt` beside it says where a case hangs.
A case is made of its kind and number alone: KIND:NUMBER:1 tries it again.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

HANGS_S = 120
"""Seconds for 500 cases after which the process ends itself, with a traceback of where it was."""
MEMORY = 3 << 30
"""Bytes that the process may have beside what it has when it begins."""
_HARM = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "pickle.find_class", "socket.connect", "socket.bind", "os.remove",
         "os.rename", "os.mkdir", "shutil.rmtree", "ctypes.dlopen", "webbrowser.open")  # fmt: skip

Trial = Iterator[tuple[bytes, Callable[[], str]]]
"""Cases: what to write down of one, and what tries it and says what came of it. An exception is a failure."""


class _Watch:
    """What Python tells of while a case is tried: files that are written, programs that are started, modules that are imported."""

    def __init__(self) -> None:
        self.on = False
        self.told: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event in _HARM or (event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")):
            self.told.append(f"{event} {args!r:.200}")
        if event == "import" and args[0].partition(".")[0] not in _KNOWN:
            self.told.append(f"import {args[0]}")


_KNOWN = frozenset(("numpy", "pandas", "tzdata", "pytz", "pydantic", "pydantic_core", "jsonschema", "yaml", "hitl_nb", *sys.stdlib_module_names)) - {
    "antigravity", "this", "subprocess", "pickle", "webbrowser", "turtle",
}  # fmt: skip


_WATCH = _Watch()


def run(trial: Trial, place: Path) -> dict[str, Any]:
    """Try them all; how many, what came of them, and how long the slowest took."""
    watch, came, slowest = _WATCH, Counter[str](), (0.0, -1)
    case = os.open(place, os.O_RDWR | os.O_CREAT, 0o600)
    with place.with_name("hung.txt").open("w") as hung:
        for n, (written, attempt) in enumerate(trial):
            if n % 500 == 0:
                faulthandler.dump_traceback_later(HANGS_S, exit=True, file=hung)
            os.pwrite(case, written, 0)
            os.ftruncate(case, len(written))
            begun, watch.on = time.perf_counter(), True
            came[attempt()] += 1
            watch.on = False
            assert not watch.told, watch.told
            slowest = max(slowest, (time.perf_counter() - begun, n))
        faulthandler.cancel_dump_traceback_later()
    os.ftruncate(case, 0)
    return {"cases": sum(came.values()), "came": dict(came.most_common()), "slowest_s": round(slowest[0], 3), "slowest": slowest[1]}


def main(place: Path, *wanted: str) -> None:
    from tests.fuzz import cases

    sys.dont_write_bytecode = True
    faulthandler.enable()
    if sys.platform == "linux":
        import resource

        size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    for kind, first, count in (each.split(":") for each in wanted):
        print(json.dumps({"kind": kind} | run(getattr(cases, kind)(int(first), int(count), place), place)), flush=True)


def chance(kind: str, n: int) -> Random:
    return Random(f"{kind} {n}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
