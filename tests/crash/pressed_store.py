"""Calls of a store, outside every graph, that Ctrl-C meets at each place where Python would notice it, and what others find afterwards.

    python -m tests.crash.pressed_store CALLS HOW STEP JOURNAL FOLDER

CALLS: names of CALLS, with commas. HOW: `each` or `after`, see pressed.py. STEP: every how many-th place is tried (1: each one). As in a notebook
the exception is kept while another process looks what is left and writes. Prints a line of JSON for each place that left something behind, and one
for each call: how many places it has, and how many tries found it done, or not done.
"""

from __future__ import annotations

import faulthandler
import json
import shutil
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from hitl_nb import Command, DiskCacheSaver, StateGraph, interrupt
from hitl_nb.checkpoint.folder import journal_of
from hitl_nb.checkpoint.records import Checkpoint, Decision, ValueRef
from hitl_nb.checkpoint.sealing import DATABASE
from hitl_nb.checkpoint.upkeep.backup import backup
from hitl_nb.checkpoint.upkeep.checking import check
from hitl_nb.checkpoint.upkeep.journal import change_journal
from hitl_nb.checkpoint.upkeep.repairing import repair
from hitl_nb.checkpoint.upkeep.vacuuming import vacuum
from hitl_nb.checkpoint.verifying import verify
from hitl_nb.errors import NotEntitledError
from tests.crash.after_calls import After
from tests.crash.pressed import HANGS_AFTER_S, Each

AT = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
BIG = b"large" * 30_000
"""A value that lies in a file of its own."""
TIMEOUT_S = 5
REVIEWERS = {"reviewers": {"dana": ["legal"]}}


def make(folder: Path, journal: Any) -> None:
    """A thread that is done, and one that waits for its second answer."""

    def ask(state: Any) -> Any:
        return {
            "text": interrupt("First?", default="none", deadline=timedelta(days=30))
            + interrupt("Second?", default="none", deadline=timedelta(days=30))
        }

    saver = DiskCacheSaver(folder, journal=journal)
    graph = StateGraph().add_node("ask", ask).set_entry_point("ask").compile(saver)
    for name, answers in {"done": 2, "waits": 1}.items():
        config = {"configurable": {"thread_id": name}}
        graph.invoke({"big": BIG}, config)
        for _ in range(answers):
            graph.invoke(Command(resume="a"), config)
    saver.close()


def commit(saver: DiskCacheSaver) -> None:
    data = saver.serde.dumps(BIG, "state")
    saver.commit("new", None, checkpoint=Checkpoint(0, "n", None, -1, "input", AT, {"big": ValueRef(0, 0, len(data))}), large={0: data})


def commit_all(saver: DiskCacheSaver) -> None:
    one = Checkpoint(0, "n", None, -1, "input", AT, {})
    saver.commit_all("new", [{"expect": None, "checkpoint": one}, {"expect": None, "checkpoint": one, "thread_id": "other"}])


def answer(saver: DiskCacheSaver, reviewer: str = "dana") -> None:
    (brief,) = saver.open_questions()
    question = saver.question(brief.interrupt_id)
    assert question is not None
    saver.record("waits", [Decision.on(question, "b", reviewer=reviewer, how="call", at=AT)])


def refused(saver: DiskCacheSaver) -> None:
    with suppress(NotEntitledError):
        answer(saver, "nobody")


def expire(saver: DiskCacheSaver) -> None:
    (brief,) = saver.open_questions()
    assert saver.expire(brief.interrupt_id, datetime(2090, 1, 1, tzinfo=UTC)) == "default"


def read(saver: DiskCacheSaver) -> None:
    for checkpoint in saver.history("done"):
        saver.values("done", checkpoint)


def save(saver: DiskCacheSaver) -> None:
    repair(saver.folder, saver.folder.with_name("copy"), make=DiskCacheSaver, timeout_s=TIMEOUT_S)


def other_journal(saver: DiskCacheSaver) -> None:
    change_journal(saver.folder, "delete" if journal_of(saver.folder / DATABASE) == "wal" else "wal")


CALLS: dict[str, Callable[[DiskCacheSaver], object]] = {
    "commit": commit,
    "commit_all": commit_all,
    "record": answer,
    "refused": refused,
    "expire": expire,
    "keep": lambda saver: saver.keep("task", b"key", BIG),
    "delete_thread": lambda saver: saver.delete_thread("done"),
    "copy_thread": lambda saver: saver.copy_thread("waits", "copy"),
    "prune": lambda saver: saver.prune(["done"]),
    "prune_all": lambda saver: saver.prune(["done"], strategy="delete"),
    "free_locks": lambda saver: saver.free_locks(),
    "open": lambda saver: DiskCacheSaver(saver.folder, timeout_s=TIMEOUT_S).keep("task", b"key", b"value"),
    "read": read,
    "verify": verify,
    "close": lambda saver: saver.close(),
    "check": lambda saver: check(saver.folder, timeout_s=TIMEOUT_S),
    "backup": lambda saver: backup(saver.folder, saver.folder.with_name("copy"), timeout_s=TIMEOUT_S),
    "vacuum": lambda saver: vacuum(saver.folder, free_locks=saver.free_locks, timeout_s=TIMEOUT_S),
    "repair": save,
    "change_journal": other_journal,
}
ON_A_CLOSED_STORE = ("open", "change_journal")


def records(folder: Path) -> dict[str, Any]:
    """Every record, and the value files, those of no record too."""
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        found = {key: value or name for key, value, name in connection.execute("SELECT key, value, filename FROM Cache")}
    return found | {f"file {path.relative_to(folder)}": path.stat().st_size for path in folder.glob("??/??/*.val")}


def outline(found: dict[str, Any]) -> list[tuple[str, int]]:
    """What does not depend on chance, as ids do."""
    return sorted(
        (key[:2], value if isinstance(value, int) else len(value)) for key, value in found.items() if not key.startswith(("k/look ", "k/again"))
    )


LOOK = f"""
import sys
from hitl_nb import DiskCacheSaver
from hitl_nb.checkpoint.upkeep.checking import check
from hitl_nb.errors import StoreError
for number, line in enumerate(sys.stdin):
    saver, told = DiskCacheSaver(line.strip(), timeout_s={TIMEOUT_S}), ""
    try:
        for thread_id in ("done", "waits", "new", "copy"):
            with saver.guard(thread_id):
                pass
        saver.keep(f"look {{number}}", b"k", b"v")
        saver.close()
        health = check(line.strip(), timeout_s={TIMEOUT_S})
        told = "" if health.ok else str(health.damages[0])
    except Exception as error:
        told = f"{{type(error).__name__}}: {{error}}"
    print(told.replace(chr(10), " "), flush=True)
"""
"""Another process: for each folder that it is told, what is wrong there; empty when everything is free and whole, and it could write."""


class Scene:
    """One call on copies of one store."""

    def __init__(self, name: str, how: str, folder: Path, looker: subprocess.Popen[str]) -> None:
        self.name, self.looker = name, looker
        self.press: Callable[[int], Each | After] = Each if how == "each" else partial(After, but_in=__file__)
        self.whole, self.place, self.copy = folder / "whole", folder / "store", folder / "copy"
        self.before = outline(records(self.whole))
        self.after: list[tuple[str, int]] = []
        self.done = self.undone = 0

    def put_back(self) -> None:
        for folder in (self.place, *self.place.parent.glob("copy*")):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.whole, self.place)

    def call(self, at: int) -> tuple[Each | After, BaseException | None, DiskCacheSaver]:
        """Make the call on a store as it was; press at a place (0: at none). The exception, to be kept."""
        saver = DiskCacheSaver(self.place, timeout_s=TIMEOUT_S, reviewers=REVIEWERS)
        saver.clock = lambda: AT
        if self.name not in ON_A_CLOSED_STORE:
            saver.open_questions()
        press = self.press(at)
        try:
            with press.pressing():
                CALLS[self.name](saver)
        except KeyboardInterrupt as pressed:
            return press, pressed, saver
        return press, None, saver

    def undisturbed(self) -> int:
        """How many places there are."""
        for _ in range(2):  # the first loads modules
            self.put_back()
            press, _, saver = self.call(0)
            self.after = outline(records(self.place))
            saver.close()
        return press.passed

    def left(self, at: int) -> tuple[str, list[str]]:
        """Where it was pressed, and what was left behind."""
        press, kept, saver = self.call(at)
        left: list[str] = []
        print(self.place, file=self.looker.stdin, flush=True)
        assert self.looker.stdout is not None
        if told := self.looker.stdout.readline().strip():
            left.append(told)
        try:
            saver.keep("again", b"key", b"value")
        except Exception as error:
            left.append(f"here: {type(error).__name__}: {error}")
        found = outline(records(self.place))
        if found == self.before and found != self.after:
            self.undone += 1
        elif found == self.after:
            self.done += 1
        else:
            left.append(f"half done: {set(found) ^ set(self.before)}")
        if self.copy.exists() and not check(self.copy).ok:
            left.append("a copy that is not whole")
        del kept
        saver.close()
        return press.where, left


def main(calls: str, how: str, step: int, journal: str, folder: Path) -> None:
    warnings.simplefilter("ignore")
    sys.unraisablehook = lambda _: None  # Ctrl-C inside a finalizer: Python drops it
    make(folder / "whole", journal)
    with subprocess.Popen([sys.executable, "-c", LOOK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as looker:
        for name in calls.split(","):
            scene = Scene(name, how, folder, looker)
            places = scene.undisturbed()
            for at in range(1, places + 1, step):
                faulthandler.dump_traceback_later(HANGS_AFTER_S, exit=True)
                scene.put_back()
                where, left = scene.left(at)
                if left:
                    print(json.dumps({"call": name, "journal": journal, "at": at, "where": where, "left": left}), flush=True)
            faulthandler.cancel_dump_traceback_later()
            print(json.dumps({"call": name, "places": places, "done": scene.done, "undone": scene.undone}), flush=True)
        assert looker.stdin is not None
        looker.stdin.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], Path(sys.argv[5]))
