"""Mixed work on one store for a long time, in several processes of which some are killed again and again.

    python -m tests.crash.soak FOLDER [--minutes 30] [--seed 0] [--workers 4] [--report FILE]

The workers begin threads, answer, let deadlines pass, reopen, list, read histories, prune, delete what has ended, make backups, look at the whole
store and vacuum it. Half of them are killed (SIGKILL) every few seconds and started anew, the other half goes through. Meanwhile it is measured what
the processes and the store take. At the end every acknowledged answer has to be there, the decision log to verify, the store to be whole; and what
the second half of the time took has to be what the first half took: memory, open files, the write-ahead log, lock files, value files, and bytes of
the database for each answer (what was decided is kept for ever, so the database grows with it, and with nothing else).

Runs unattended. Writes what it measures to FOLDER/samples.jsonl as it goes, and at the end FILE.json and FILE.md (default: FOLDER/report). Exits with
1 where something is wrong, and says what. Needs /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from statistics import median
from typing import Any

from hitl_nb import Command, DiskCacheSaver
from hitl_nb.checkpoint.upkeep.backup import backup
from hitl_nb.checkpoint.upkeep.checking import check
from hitl_nb.checkpoint.upkeep.vacuuming import vacuum
from hitl_nb.checkpoint.verifying import verify
from hitl_nb.errors import AnswerError, ThreadBusyError, ThreadMovedError, UnknownThreadError
from tests.crash.kinds import BEGIN, HOUR, KINDS, Notes

MOST_THREADS = 40
"""Threads of a worker that are there at a time."""
STRAY_MAX = 60
"""Lock files of no thread. What was seen at most is a tenth of that."""
MIB = 1 << 20
LOG_MAX = 8 * MIB
"""What a write-ahead log is cut down to when it is begun anew (opening.py)."""
KINDS_HERE = [kind for kind in KINDS if kind != "changes"]


class Nowhere(Notes):
    """Effects that nobody counts."""

    def __call__(self, line: str) -> None:
        pass


class Worker:
    """One process. It owns the threads that it begins: it deletes them. It answers the questions of all."""

    def __init__(self, folder: Path, number: int, seed: str, every_s: float, *, is_measured: bool) -> None:
        self.folder, self.number, self.every_s, self.is_measured = folder, number, every_s, is_measured
        self.chance = random.Random(seed)
        self.saver = DiskCacheSaver(folder / "store", durability=self.chance.choice(("normal", "full")))
        self.acknowledged, self.begun = Notes(folder / f"acknowledged-{number}"), Notes(folder / f"begun-{number}")
        self.graphs = {kind: KINDS[kind].build(Nowhere(Path(os.devnull))).compile(self.saver, now=lambda: BEGIN, name=kind) for kind in KINDS_HERE}
        self.mine = [name for name in dict.fromkeys(self.begun.lines()) if self.saver.head(name) is not None]
        self.did: Counter[str] = Counter()
        self.heavy_at = time.monotonic() + self.chance.uniform(0, 2 * every_s)
        self.acts: list[tuple[Callable[[], None], int]] = [
            (self.run, 20), (self.answer, 60), (self.expire, 6), (self.go_on, 6), (self.list, 10), (self.look_back, 10), (self.reopen, 5),
            (self.prune, 3), (self.tidy, 6),
        ]  # fmt: skip

    def work(self) -> None:
        """Until the file FOLDER/stop is there."""
        calls, weights = zip(*self.acts, strict=True)
        told_at = 0.0
        while not (self.folder / "stop").exists():
            now = time.monotonic()
            act = self.chance.choices(calls, weights)[0]
            if now > self.heavy_at:
                self.heavy_at = now + self.chance.uniform(0.5, 1.5) * self.every_s
                act = self.chance.choice((self.backup, self.vacuum, self.check))
            try:
                act()
                self.did[act.__name__] += 1
            except ThreadBusyError:
                self.did["somebody else ran the thread"] += 1
            except (AnswerError, UnknownThreadError, ThreadMovedError) as error:  # somebody else was faster, or has deleted the thread
                self.did[f"too late: {act.__name__}: {type(error).__name__}"] += 1
            if now > told_at + 1:
                told_at = now
                self.tell()
        self.tell()

    def tell(self) -> None:
        """What this process has done, for whoever adds it up; over a kill the last second of it is lost."""
        file = self.folder / f"did-{self.number}-{os.getpid()}.json"
        file.with_suffix(".new").write_text(json.dumps(self.did))
        file.with_suffix(".new").replace(file)

    # -- threads ---------------------------------------------------------------------------------------------------------------------

    def graph(self, thread_id: str) -> Any:
        return self.graphs[thread_id.partition(":")[0]]

    def config(self, thread_id: str, reviewer: str = "") -> Any:
        return {"configurable": {"thread_id": thread_id, "reviewer": reviewer or f"worker {self.number}"}}

    def run(self) -> None:
        if len(self.mine) >= MOST_THREADS:
            self.tidy()
            return
        name = f"{self.chance.choice(KINDS_HERE)}:{self.number}:{self.chance.randbytes(6).hex()}"
        self.begun(name)
        self.mine.append(name)
        graph, durability = self.graph(name), self.chance.choice(("sync", "async", "exit"))
        if self.chance.random() < 0.5:
            graph.invoke({"total": 0}, self.config(name), durability=durability)
        else:
            asyncio.run(graph.ainvoke({"total": 0}, self.config(name), durability=durability))

    def answer(self) -> None:
        found = self.saver.open_questions()
        if not found:
            return
        question = self.chance.choice(found)
        answer = f"answer {self.chance.randrange(1000)}"
        asked = self.saver.question(question.interrupt_id)
        if asked is not None and asked.quorum > 1:  # it may have gone with its thread meanwhile
            answer = "yes"
        given, config = Command(resume={question.interrupt_id: answer}), self.config(question.thread_id)
        try:
            if self.chance.random() < 0.5:
                self.graph(question.thread_id).invoke(given, config)
            else:
                asyncio.run(self.graph(question.thread_id).ainvoke(given, config))
        except ThreadBusyError as busy:
            if not busy.answer_recorded:
                raise
        self.acknowledged(json.dumps([question.interrupt_id, answer, config["configurable"]["reviewer"]]))

    def expire(self) -> None:
        graph = self.graphs["deadlines"]
        for done in graph.expire(now=BEGIN + self.chance.choice((2, 9)) * HOUR):
            if done.outcome == "default":
                self.acknowledged(json.dumps([done.interrupt_id, None, "the deadline"]))

    def go_on(self) -> None:
        if self.mine:
            thread_id = self.chance.choice(self.mine)
            self.graph(thread_id).advance(self.config(thread_id), begin={"total": 0})

    def reopen(self) -> None:
        if not self.mine:
            return
        thread_id = self.chance.choice(self.mine)
        made = self.saver.decisions(thread_id)
        if made:
            self.graph(thread_id).reopen(self.config(thread_id), self.chance.choice(made).interrupt_id)
            self.graph(thread_id).advance(self.config(thread_id))

    def prune(self) -> None:
        if self.mine:
            self.saver.prune([self.chance.choice(self.mine)])

    def tidy(self) -> None:
        """Forget what has ended, as a user would; else the oldest."""
        for thread_id in self.mine[: MOST_THREADS // 4]:
            head = self.saver.head(thread_id)
            if head is not None and (self.graph(thread_id).get_state(self.config(thread_id)).next and len(self.mine) < MOST_THREADS):
                continue
            self.saver.delete_thread(thread_id)
            self.mine.remove(thread_id)
        new = self.begun.file.with_suffix(".new")
        new.write_text("".join(f"{name}\n" for name in self.mine))
        new.replace(self.begun.file)

    # -- reading, and the store as a whole -----------------------------------------------------------------------------------------------

    def list(self) -> None:
        for question in self.saver.open_questions()[:50]:
            self.saver.question(question.interrupt_id)
        self.saver.overdue(BEGIN + 2 * HOUR)

    def look_back(self) -> None:
        found = self.saver.open_questions()
        if found:
            thread_id = self.chance.choice(found).thread_id
            self.graph(thread_id).get_state(self.config(thread_id), subgraphs=True)
            for _ in self.graph(thread_id).get_state_history(self.config(thread_id), limit=5):
                pass

    def backup(self) -> None:
        place = self.folder / "backups"
        place.mkdir(exist_ok=True)
        for left in place.glob(f"*-{self.number}.partial-*"):  # of this worker, which was killed meanwhile
            shutil.rmtree(left)
        backup(self.folder / "store", place / f"{time.time_ns()}-{self.number}")
        made = sorted(p for p in place.iterdir() if "partial" not in p.name)
        for old in made[:-2]:
            shutil.rmtree(old, ignore_errors=True)  # by somebody else, too

    def vacuum(self) -> None:
        vacuum(self.folder / "store", free_locks=self.saver.free_locks)

    def check(self) -> None:
        """In a process of its own where the memory of this one is measured: a look at the whole store takes more with each decision."""
        if self.is_measured:
            command = [sys.executable, "-m", "hitl_nb.cli", "store", "check", "--store", str(self.folder / "store")]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            return
        health = check(self.folder / "store")
        assert health.ok, health.damages[:5]


class Soak:
    """The workers, who kills them, and what is measured."""

    def __init__(self, folder: Path, minutes: float, seed: int, workers: int) -> None:
        self.folder, self.seconds, self.seed = folder, minutes * 60, seed
        self.store = folder / "store"
        self.chance = random.Random(f"soak {seed}")
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        self.killed = range(workers // 2)
        """Numbers of the workers that are killed."""
        self.workers = range(workers)
        self.kills = self.starts = 0
        self.acknowledged: dict[int, int] = {}
        """Answers of each worker when it was started."""
        self.samples: list[dict[str, Any]] = []
        self.wrong: list[str] = []

    def run(self) -> None:
        """Work, measure, kill; then look."""
        self.begun = time.monotonic()
        sample_s, kill_s = max(0.25, self.seconds / 360), min(6.0, self.seconds / 4)
        DiskCacheSaver(self.store).open_questions()
        for number in self.workers:
            self._start(number)
        sample_at = kill_at = self.begun + min(kill_s, self.seconds / 4)
        # However slow the machine is: until each worker has done something and two were killed.
        while (now := time.monotonic()) < self.begun + self.seconds or (self.kills < 2 and now < self.begun + self.seconds + 120):
            time.sleep(max(0.01, min(sample_at, kill_at) - now))
            now = time.monotonic()
            if now >= kill_at:
                number = self.chance.choice(self.killed)
                if _lines(self.folder / f"acknowledged-{number}") > self.acknowledged[number]:  # it works; else it is still being started
                    kill_at = now + self.chance.uniform(0.2, 1.8) * kill_s
                    self._kill(number)
                else:
                    kill_at = now + 0.1
            if now >= sample_at:
                sample_at = now + sample_s
                self._sample()
            for number, process in list(self.processes.items()):
                if process.poll() is not None:
                    self._failed(number)
                    self._start(number)
        (self.folder / "stop").touch()
        for number, process in self.processes.items():
            try:
                if process.wait(timeout=120):
                    self._failed(number)
            except subprocess.TimeoutExpired:
                process.kill()
                self.wrong.append(f"worker {number} did not come to an end within 120 s")
        self.wrong += self._bounded()
        self.wrong += self._look()

    def _start(self, number: int) -> None:
        self.starts += 1
        self.acknowledged[number] = _lines(self.folder / f"acknowledged-{number}")
        self.processes[number] = subprocess.Popen(
            [
                sys.executable, "-m", "tests.crash.soak", str(self.folder), "--worker", str(number),
                "--seed", f"{self.seed}-{number}-{self.starts}", "--every", str(max(0.3, self.seconds / 30)),
                *([] if number in self.killed else ["--measured"]),
            ],
            cwd=Path(__file__).parents[2],
        )  # fmt: skip

    def _kill(self, number: int) -> None:
        self.processes[number].send_signal(signal.SIGKILL)
        self.processes[number].wait()
        self.kills += 1
        self._start(number)

    def _failed(self, number: int) -> None:
        file = self.folder / f"error-{number}"
        self.wrong.append(f"worker {number} failed: {file.read_text() if file.exists() else self.processes[number].returncode}")

    # -- measuring -------------------------------------------------------------------------------------------------------------------

    def _sample(self) -> None:
        taken: dict[str, Any] = {"s": round(time.monotonic() - self.begun, 1), "kills": self.kills}
        files = Counter[str]()
        for place, _, names in os.walk(self.store):
            for name in names:
                what = "locks" if place.endswith("locks") else "value_files" if name.endswith(".val") else name
                try:
                    size = Path(place, name).stat().st_size
                except OSError:  # deleted meanwhile
                    continue
                files[what] += 1
                files[f"{what} bytes"] += size
        taken |= {
            "db": files["cache.db bytes"], "wal": files["cache.db-wal bytes"], "value_files": files["value_files"],
            "value_bytes": files["value_files bytes"], "locks": files["locks"],
        }  # fmt: skip
        taken["stray"] = self._stray()
        for number, process in self.processes.items():
            try:
                pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
                taken[f"rss {number}"] = pages * os.sysconf("SC_PAGE_SIZE")
                taken[f"fds {number}"] = sum(1 for _ in Path(f"/proc/{process.pid}/fd").iterdir())
            except OSError:  # it has ended
                continue
        taken["acknowledged"] = sum(_lines(file) for file in self.folder.glob("acknowledged-*"))
        self.samples.append(taken)
        with (self.folder / "samples.jsonl").open("a") as file:
            file.write(json.dumps(taken) + "\n")

    def _stray(self) -> int:
        """Lock files of no thread. `begun-N` names all threads that are there, and a few that have just gone."""
        locks = {path.stem for path in (self.store / "locks").glob("*.lock")} - {"open"}  # first, as each is made after its thread was noted
        threads = [name for file in self.folder.glob("begun-?") for name in file.read_text().splitlines()]
        return len(locks - {blake2b(name.encode(), digest_size=16).hexdigest() for name in threads})

    def _halves(self, what: str) -> tuple[list[float], list[float]]:
        """The samples of both halves, without the first tenth of the time."""
        taken = [s for s in self.samples if s["s"] > self.seconds / 10 and what in s]
        middle = self.seconds * 0.55
        return [s[what] for s in taken if s["s"] <= middle], [s[what] for s in taken if s["s"] > middle]

    def _bounded(self) -> Iterator[str]:
        """What grows. A run of less than a minute says nothing of that.

        Open files by their median, for at a moment there may be a backup and a fan-out: in half an hour one that is left open each minute makes 13
        more. Lock files by those that belong to no thread, for the number of all follows that of the threads: only kills and answers that come too
        late may leave some, until a vacuum takes them, which comes by about once a minute. So one left by each tenth thread is told.

        The write-ahead log by its median, and by its coming back: SQLite can begin it anew only when nobody reads what it had before, so it grows
        while somebody backs up or checks the store, by all that the others write meanwhile. Memory may grow by a quarter of what the database does:
        a backup, a vacuum and a look at the whole store take that for a moment, and Python keeps it.
        """
        if self.seconds < 60:
            return
        larger = median(self._halves("db")[1]) - median(self._halves("db")[0])
        limits: list[tuple[str, Callable[[list[float]], float], float, float]] = [
            ("wal", median, 1.5, 4 * MIB), ("locks", median, 1.3, 50), ("value_files", median, 1.3, 30), ("value_bytes", median, 1.3, 8 * MIB),
        ]  # fmt: skip
        for number in set(self.workers) - set(self.killed):
            limits += [(f"rss {number}", median, 1.08, 4 * MIB + larger / 4), (f"fds {number}", median, 1.0, 6)]
        for what, of, times, more in limits:
            first, second = self._halves(what)
            slack = 1 if self.seconds >= 600 else 3  # in a short run much comes for the first time
            if of(second) > slack * (times * of(first) + more):
                yield f"{what} grows: {of.__name__} {of(first):,.0f} in the first half, {of(second):,.0f} in the second"
        least, sixth = 2 * LOG_MAX, len(self.samples) // 6
        for n in range(6):
            smallest = min(s["wal"] for s in self.samples[n * sixth : (n + 1) * sixth])
            if smallest > least:
                yield f"the write-ahead log does not come back: in part {n + 1} of 6 it always had {smallest:,} bytes and more"
                break
        stray = max((s.get("stray", 0) for s in self.samples), default=0)
        if stray > STRAY_MAX:
            yield f"lock files are left over: {stray:,} of no thread"
        first, second = self._per_answer()
        if second > (1.25 if self.seconds >= 600 else 2) * first:
            yield f"the database grows with more than what was decided: {first:,.0f} bytes an answer until the middle, {second:,.0f} until the end"

    def _per_answer(self) -> tuple[float, float]:
        """Bytes of the database for each acknowledged answer, as it stood in the middle and at the end."""
        at = [s["db"] / max(1, s["acknowledged"]) for s in self.samples]
        return median(at[len(at) // 2 - 3 : len(at) // 2 + 3] or [0]), median(at[-6:] or [0])

    # -- the end -----------------------------------------------------------------------------------------------------------------------

    def _look(self) -> Iterator[str]:
        saver = DiskCacheSaver(self.store)
        lost = []
        for file in sorted(self.folder.glob("acknowledged-*")):
            for line in file.read_text().splitlines():
                interrupt_id, answer, reviewer = json.loads(line)
                decision = saver.decision(interrupt_id)
                voted = [(v.answer, v.reviewer) for v in saver.votes(interrupt_id)]
                stands = decision is not None and decision.reviewer == reviewer and (answer is None or decision.answer == answer)
                if not stands and (answer, reviewer) not in voted:
                    lost.append(f"{interrupt_id} {answer} by {reviewer}, stored is {decision}")
        if lost:
            yield f"{len(lost)} acknowledged answers are not in the store: {lost[:3]}"
        self.log = verify(saver)
        yield from (f"decision log: {problem}" for problem in self.log.problems[:5])
        saver.close()
        self.health = check(self.store)
        yield from (f"check: {damage.what}" for damage in self.health.damages[:5])
        yield from (f"check notes: {note}" for note in self.health.notes if "no record" in note)
        made = sorted((self.folder / "backups").glob("[0-9]*[0-9]"))
        for place in made[-1:]:
            yield from (f"backup {place.name}: {damage.what}" for damage in check(place).damages[:5])
        self.backups = len(made)

    # -- the report ---------------------------------------------------------------------------------------------------------------------

    def did(self) -> dict[str, int]:
        """What the workers did, all together."""
        total: Counter[str] = Counter()
        for file in self.folder.glob("did-*.json"):
            total.update(json.loads(file.read_text()))
        return dict(sorted(total.items()))

    def report(self, place: Path) -> None:
        measured = {}
        for what in ["wal", "locks", "stray", "value_files", "value_bytes", "db", *(f"{w} {n}" for w in ("rss", "fds") for n in self.workers)]:
            first, second = self._halves(what)
            if first and second:
                measured[what] = {
                    "first half": {"median": median(first), "max": max(first)}, "second half": {"median": median(second), "max": max(second)},
                }  # fmt: skip
        per_answer = self._per_answer()
        facts = {
            "minutes": round(self.seconds / 60, 2), "seed": self.seed, "workers": len(self.workers), "kills": self.kills,
            "python": platform.python_version(), "sqlite": sqlite3.sqlite_version, "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "acknowledged answers": self.samples[-1]["acknowledged"] if self.samples else 0, "entries of the decision log": self.log.count,
            "records at the end": self.health.records, "threads at the end": self.health.threads,
            "bytes of the database for each answer": {"in the middle": round(per_answer[0]), "at the end": round(per_answer[1])},
        }  # fmt: skip
        whole = {**facts, "did": self.did(), "measured": measured, "wrong": self.wrong, "samples": self.samples[:: max(1, len(self.samples) // 60)]}
        place.with_suffix(".json").write_text(json.dumps(whole, indent=1))
        lines = [
            "# Soak",
            "",
            *(f"- {name}: {value}" for name, value in facts.items()),
            "",
            "| what | first half: median | max | second half: median | max |",
        ]
        lines.append("|---|---|---|---|---|")
        for what, halves in measured.items():
            cells = [halves[half][of] for half in ("first half", "second half") for of in ("median", "max")]
            lines.append(f"| {what} | {' | '.join(_shown(what, cell) for cell in cells)} |")
        lines += ["", "Done: " + ", ".join(f"{name} {count:,}" for name, count in self.did().items()), ""]
        lines += [f"WRONG: {problem}" for problem in self.wrong] or ["Nothing was wrong."]
        place.with_suffix(".md").write_text("\n".join(lines) + "\n")
        print("\n".join(lines))


def _lines(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.exists() else 0


def _shown(what: str, value: float) -> str:
    return f"{value / MIB:,.1f} MiB" if what.partition(" ")[0] in ("rss", "wal", "db", "value_bytes") else f"{value:,.0f}"


def worker(folder: Path, number: int, seed: str, every_s: float, *, is_measured: bool) -> int:
    """One worker, until it is stopped or killed."""
    try:
        Worker(folder, number, seed, every_s, is_measured=is_measured).work()
    except BaseException:
        (folder / f"error-{number}").write_text(traceback.format_exc())
        return 1
    return 0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", default="0")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--report", type=Path)
    parser.add_argument("--worker", type=int, help="internal: be this worker")
    parser.add_argument("--measured", action="store_true", help="internal: its memory is measured")
    parser.add_argument("--every", type=float, default=60, help="internal: seconds between looks at the whole store")
    given = parser.parse_args()
    if given.worker is not None:
        return worker(given.folder, given.worker, given.seed, given.every, is_measured=given.measured)
    given.folder.mkdir(parents=True, exist_ok=True)
    soak = Soak(given.folder, given.minutes, int(given.seed), given.workers)
    soak.run()
    soak.report(given.report or given.folder / "report")
    return 1 if soak.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
