"""Kills lives of threads at random moments, again and again, and looks each time what is left.

    python -m tests.crash.killed_lives FOLDER [--kills 500] [--seed 0] [--only]

Each seed is one life: a kind of graph, the durability of the store and of the run, with or without asyncio, all drawn. It is begun in a process that
is killed (SIGKILL), gone on with in the next one, and so on, up to eight times; then it may end. A moment is drawn over the whole life from the
opening of the store on, by the clock (the kill hits in the middle of whatever there is: a write to a file, a commit inside SQLite) or by the count of
calls and returns of functions (so that short code is hit as well, and the same seed hits the same place). After each kill everything that was
acknowledged has to be in the store, and the store whole; in the end the life has to be what it is undisturbed. Prints a JSON object and exits with 1
where something is wrong; `--only --seed N` lives the life of one seed once more, and leaves it in FOLDER to be looked at.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crash.life import MANNERS, Life, Manner

MOST = 8
"""Kills of one life."""


@dataclass
class Undisturbed:
    """A life that nobody kills."""

    end: tuple[str, list[str], set[str]]
    seconds: float
    calls: int


@dataclass
class Found:
    """What came of it."""

    kills: int = 0
    lives: int = 0
    by: Counter[str] = field(default_factory=Counter)
    """Kills by kind of moment, kind of graph and durability."""
    at: Counter[str] = field(default_factory=Counter)
    """Kills by what had been acknowledged until then, and by what they left."""
    acknowledged: int = 0
    """Checkpoints, answers, changes that were looked for after the kills, each after each."""
    wrong: list[str] = field(default_factory=list)


class Killer:
    """Lives in processes of their own, each forked off this one, which opens no store while it does so."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.undisturbed: dict[Manner, Undisturbed] = {}
        self.found = Found()

    def kill(self, kills: int, first: int) -> None:
        seed = first
        while self.found.kills < kills:
            self.one(seed, keep=False)
            seed += 1

    def one(self, seed: int, *, keep: bool) -> None:
        """The life of a seed, with kills."""
        chance, folder = random.Random(f"life {seed}"), self.folder / f"seed-{seed}"
        manner = chance.choice(MANNERS)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        whole = self._undisturbed(manner)
        told: list[str] = []
        seen = kills = 0
        for _ in range(chance.randint(1, MOST)):
            by = chance.choice(("clock", "calls"))
            moment = chance.random()
            if by == "clock":
                status = in_process(folder, manner, kill_after_s=moment * whole.seconds)
            else:
                status = in_process(folder, manner, kill_at=1 + int(moment * whole.calls))
            if status == 0:
                break
            where = f"after kill {kills + 1} ({by}, {moment:.4f} of the life)"
            if status != -signal.SIGKILL:
                told.append(f"{where}: the process failed: {(folder / 'error').read_text()}")
                break
            kills += 1
            files = set((folder / "store").glob("??/??/*.val"))
            life = Life(folder, manner)
            lines = life.acknowledged.lines()
            told += [f"{where}: {problem}" for problem in self._look(life, seen)]
            self.found.by.update((by, manner.kind, f"store {manner.store}", f"run {manner.run}", "asyncio" if manner.loop else "sync"))
            self.found.at["something was acknowledged" if lines else "nothing was acknowledged yet"] += 1
            self.found.at["it left value files that had to be removed"] += any(not file.exists() for file in files)
            self.found.acknowledged += len(lines)
            seen = len(lines)
        told += self._ends(folder, manner, whole)
        self.found.kills += kills
        self.found.lives += 1
        self.found.wrong += (f"seed {seed} ({manner}): {problem}" for problem in told)
        if not told and not keep:
            shutil.rmtree(folder)

    def _look(self, life: Life, seen: int) -> Iterator[str]:
        try:
            if life.saver._database.exists():  # else it was killed before it made the store, and `Life` makes it
                yield from life.look(seen)
        except Exception:  # told with the seed
            yield traceback.format_exc()
        finally:
            life.saver.close()
            assert threading.active_count() == 1, "a Python thread is left, and would be forked"

    def _ends(self, folder: Path, manner: Manner, whole: Undisturbed) -> Iterator[str]:
        """What is not as undisturbed when nobody kills it any more."""
        if in_process(folder, manner) != 0:
            yield f"it does not go on: {(folder / 'error').read_text()}"
            return
        life = Life(folder, manner)
        yield from (f"at the end: {problem}" for problem in self._look(life, 0))
        try:
            state, decisions, effects = life.end()
        finally:
            life.saver.close()
        if state != whole.end[0]:
            yield f"another end: state {state}, undisturbed {whole.end[0]}"
        if decisions != whole.end[1]:
            yield f"other decisions: {decisions}, undisturbed {whole.end[1]}"
        if effects != whole.end[2]:
            yield f"other effects: lost {whole.end[2] - effects}, too many {effects - whole.end[2]}"

    def _undisturbed(self, manner: Manner) -> Undisturbed:
        if manner not in self.undisturbed:
            folder = self.folder / "undisturbed"
            for way in ("counted", "timed"):
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                begun = time.perf_counter()
                status = in_process(folder, manner, kill_at=-1 if way == "counted" else 0)
                seconds = time.perf_counter() - begun
                assert status == 0, (folder / "error").read_text()
                if way == "counted":
                    calls = int((folder / "calls").read_text())
            life = Life(folder, manner)
            assert list(self._look(life, 0)) == []
            self.undisturbed[manner] = Undisturbed(life.end(), seconds, calls)
            life.saver.close()
        return self.undisturbed[manner]


def in_process(folder: Path, manner: Manner, *, kill_after_s: float | None = None, kill_at: int = 0) -> int:
    """Live in a new process until it ends or is killed; its exit code, -SIGKILL for a killed one. `kill_at` -1: only count the calls."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            if kill_at:
                count_calls(kill_at)
            Life(folder, manner).live()
            code = 0
            if kill_at == -1:
                (folder / "calls").write_text(str(count_calls.count))  # type: ignore[attr-defined]
        except BaseException:  # told by who forked it
            (folder / "error").write_text(traceback.format_exc())
        finally:
            os._exit(code)
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(pid, signal.SIGKILL)  # until it is waited for, the id is its own
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def count_calls(kill_at: int) -> None:
    """From now on count the calls and returns of this process; at the given one it kills itself."""
    count_calls.count = 0  # type: ignore[attr-defined]

    def counted(_frame: Any, _event: str, _arg: Any) -> None:
        count_calls.count += 1  # type: ignore[attr-defined]
        if count_calls.count == kill_at:  # type: ignore[attr-defined]
            os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(counted)
    sys.setprofile(counted)


def main() -> int:
    """Kill, print what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--only", action="store_true", help="only the life of this seed; its folder stays")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    killer = Killer(given.folder)
    begun = time.monotonic()
    if given.only:
        killer.one(given.seed, keep=True)
    else:
        killer.kill(given.kills, given.seed)
    found = killer.found
    print(json.dumps({**vars(found), "seconds": round(time.monotonic() - begun, 1)}, indent=1))
    for problem in found.wrong:
        seed = problem.split()[1]
        print(f"{problem}\nonce more: python -m tests.crash.killed_lives FOLDER --only --seed {seed}", file=sys.stderr)
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
