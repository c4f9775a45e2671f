"""One life of a thread: begun or gone on with, asked, answered and changed until its end, and everything that the store has taken is told.

What was returned is acknowledged in FOLDER/acknowledged, right after it was; what nodes do is in FOLDER/effects. Whoever kills this process at any
moment finds in the store whatever stands in the one, and `look` says what is not there.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hitl_nb import Command, Decision, DiskCacheSaver
from hitl_nb.checkpoint.upkeep.checking import check
from hitl_nb.checkpoint.verifying import verify
from hitl_nb.errors import UnknownThreadError
from tests.crash.kinds import BEGIN, HOUR, KINDS, Notes

THREAD = "life"
COPY = "copy"


@dataclass(frozen=True)
class Manner:
    """How a life is lived."""

    kind: str
    store: Literal["normal", "full"]
    """Durability of the store."""
    run: Literal["sync", "async", "exit"]
    """Durability of the run."""
    loop: bool
    """True: under asyncio."""

    def __str__(self) -> str:
        return f"{self.kind}, store {self.store}, run {self.run}, {'astream' if self.loop else 'stream'}"


MANNERS = [
    Manner(kind, store, run, loop)
    for kind in KINDS
    for store in ("normal", "full")
    for run in ("sync", "async", "exit")
    for loop in (False, True)
]  # fmt: skip


class Life:
    """The thread, and who drives it."""

    def __init__(self, folder: Path, manner: Manner) -> None:
        self.manner = manner
        self.saver = DiskCacheSaver(folder / "store", durability=manner.store)
        self.effects, self.acknowledged = Notes(folder / "effects"), Notes(folder / "acknowledged")
        self.graph = KINDS[manner.kind].build(self.effects).compile(self.saver, now=lambda: BEGIN, name=manner.kind)
        self.config: Any = {"configurable": {"thread_id": THREAD}}

    # -- living ----------------------------------------------------------------------------------------------------------------------

    def live(self) -> None:
        """Until the end."""
        while self._step():
            pass

    def _step(self) -> bool:
        if self.saver.head(THREAD) is None:
            self.run({"total": 0})
            return True
        at = self.graph.get_state(self.config)
        if at.interrupts:
            self._answer(at.interrupts[0])
            return True
        if at.next:
            self.run(None)
            return True
        return self.manner.kind == "changes" and self._change(at.values["log"])

    def run(self, given: Any, config: Any = None) -> None:
        config = config or self.config
        if self.manner.loop:
            asyncio.run(self._run_async(given, config))
            return
        held = []
        for event in self.graph.stream(given, config, stream_mode="checkpoints", durability=self.manner.run):
            held += self._told(given, event)
        self._returned(given, held)

    async def _run_async(self, given: Any, config: Any) -> None:
        held = []
        async for event in self.graph.astream(given, config, stream_mode="checkpoints", durability=self.manner.run):
            held += self._told(given, event)
        self._returned(given, held)

    def _told(self, given: Any, event: dict[str, Any]) -> list[str]:
        line = f"checkpoint {event['config']['configurable']['checkpoint_id']} {digest(event['values'])}"
        if self.manner.run != "sync":  # it may be ahead of the store until the call returns
            return [line]
        self._returned(given, [line])
        return []

    def _returned(self, given: Any, lines: list[str]) -> None:
        if isinstance(given, Command):
            self.acknowledged(f"answer {json.dumps(given.resume)}")
        for line in lines:
            self.acknowledged(line)

    def _answer(self, question: Any) -> None:
        text = question.value["question"]
        if self.manner.kind == "deadlines" and question.node != "side":
            for hours in (2, 9):
                for done in self.graph.expire(now=BEGIN + hours * HOUR):
                    self.acknowledged(f"expired {done.interrupt_id} {done.outcome}")
            self.run(None)
            return
        answer = text[:6] + str(len(text))
        if self.manner.kind == "changes":
            answer = "third" if "11" in text else "second" if self.saver.decisions(THREAD) else "again"
        for reviewer in ("ada", "bob") if "Two" in text else ("ada",):
            if zlib.crc32(text.encode()) % 2:
                config: Any = {"configurable": {"thread_id": THREAD, "reviewer": reviewer}}
                self.run(Command(resume={question.id: answer}), config)
                continue
            stored = self.saver.question(question.id)
            self.saver.answer(THREAD, [Decision(question.id, THREAD, stored.node, -1, answer, reviewer, BEGIN, "record", stored.digest)])
            self.acknowledged(f"answer {json.dumps({question.id: answer})}")

    def _change(self, log: list[str]) -> bool:
        match log:
            case ["again"]:
                (first,) = self.saver.decisions(THREAD)
                self.graph.reopen(self.config, first.interrupt_id)
                self.acknowledged(f"reopened {first.interrupt_id}")
            case ["second"]:
                config = self.graph.update_state(self.config, {"log": ["updated"], "total": 1}, as_node="ask")
                self.acknowledged(f"checkpoint {config['configurable']['checkpoint_id']} {digest(self.graph.get_state(config).values)}")
            case ["second", "updated"]:
                self.acknowledged("prunes")
                self.saver.prune([THREAD])
                self.acknowledged("pruned")
                if self.saver.head(COPY) is None:
                    self.saver.copy_thread(THREAD, COPY)
                    self.acknowledged("copied")
                self.acknowledged("deletes")
                self.saver.delete_thread(COPY)
                self.acknowledged("deleted")
                self.run({"total": 10})
            case _:
                return False
        return True

    def end(self) -> tuple[str, list[str], set[str]]:
        """Where it ended: the state, the decisions, the effects."""
        made = [
            f"{d.node} {self.saver.question(d.interrupt_id).payload['question']} {d.answer} {d.how} {d.reviewer}"
            for d in self.saver.decisions(THREAD)
        ]
        return digest(self.graph.get_state(self.config).values), sorted(made), set(self.effects.lines())

    # -- what has to be there ------------------------------------------------------------------------------------------------------

    def look(self, seen: int) -> Iterator[str]:
        """What is wrong with the store, after whatever happened to its writer. `seen`: acknowledgements that were looked at before."""
        lines = self.acknowledged.lines()
        yield from self._acknowledged(lines, seen)
        yield from (f"decision log: {p}" for p in verify(self.saver).problems)
        health = check(self.saver.folder)
        yield from (f"check: {d.what}" for d in health.damages)
        yield from (f"check notes: {note}" for note in health.notes)  # orphans among them: this saver has opened the store since
        yield from self._questions()
        yield from once_twice(self.effects.lines())

    def _acknowledged(self, lines: list[str], seen: int) -> Iterator[str]:
        if lines and self.saver.head(THREAD) is None:
            yield "the thread is gone"
            return
        since = max((n for n, line in enumerate(lines) if line == "prunes"), default=0)
        made = {d.interrupt_id: d for d in self.saver.decisions(THREAD)}
        for line in lines[seen:]:
            what, _, rest = line.partition(" ")
            if what == "answer":
                ((interrupt_id, answer),) = json.loads(rest).items()
                voted = [v.answer for v in self.saver.votes(interrupt_id)]
                if answer not in voted and (interrupt_id not in made or made[interrupt_id].answer != answer):
                    yield f"acknowledged and lost: {line}"
            elif line.endswith(" default") and (rest.split()[0] not in made or made[rest.split()[0]].how != "expire"):
                yield f"acknowledged and lost: {line}"
        for line in lines[max(seen, since) :]:
            what, _, rest = line.partition(" ")
            if what == "checkpoint":
                checkpoint_id, values = rest.split()
                try:
                    self.graph.get_state({"configurable": {"thread_id": THREAD, "checkpoint_id": checkpoint_id}})
                except UnknownThreadError:
                    yield f"acknowledged and lost: {line}"
                    continue
                stored = self.saver.checkpoint(THREAD, int(checkpoint_id.partition("-")[2]))  # without what its nodes have returned since
                if digest(self.saver.values(THREAD, stored)) != values:
                    yield f"acknowledged with another state: {line}"
        if "deleted" in lines and "copied" not in lines[lines.index("deleted") :] and self.saver.head(COPY) is not None:
            yield "the deleted copy is there again"

    def _questions(self) -> Iterator[str]:
        """Those that the thread asks are those that are listed, and none of them is decided."""
        listed = {q.interrupt_id for q in self.saver.open_questions() if q.thread_id == THREAD}
        asked = {i.id for i in self.graph.get_state(self.config).interrupts} if self.saver.head(THREAD) is not None else set()
        if listed != asked:
            yield f"listed as open: {listed}; asked: {asked}"
        if decided := [i for i in listed if self.saver.decision(i) is not None]:
            yield f"open and decided: {decided}"


def once_twice(effects: list[str]) -> Iterator[str]:
    """What `once` did again although it had returned before."""
    returned: Counter[str] = Counter()
    for line in effects:
        what, _, key = line.partition(" ")
        if what == "kept":
            returned[key] += 1
        elif what == "once" and returned[key]:
            yield f"once({key!r}) did it again after it had returned"


def digest(values: Any) -> str:
    """Equal for equal states."""
    return blake2b(json.dumps(values, default=_plain, sort_keys=True).encode(), digest_size=12).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [str(value.dtype), value.shape, blake2b(value.tobytes()).hexdigest()]
    if isinstance(value, bytes):
        return blake2b(value).hexdigest()
    raise TypeError(type(value).__name__)
