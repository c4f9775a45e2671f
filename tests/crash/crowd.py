"""Processes that do the same thing in one store at the same moment.

    python -m tests.crash.crowd FOLDER TASK [--processes 8] [--size N] [--seed 0]

    commits   each makes SIZE commits: runs of threads of its own, and in between updates of one thread that all share.
    answers   all answer the same SIZE questions in the same order, four of a thread at a time.
    mixed     on SIZE threads some answer, some let deadlines pass, some reopen what was answered, some read everything.
    runs      all run the same SIZE threads.

Then it is looked at what the store holds: nothing may be lost, nothing may have happened twice. An error that is not one of those that say who was
faster is wrong. Prints a JSON object and exits with 1 where something is wrong. Every process draws from the seed; what they draw is the same each
time, who is faster is not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hitl_nb import START, Command, DiskCacheSaver, Send, StateGraph, interrupt
from hitl_nb.checkpoint.audit import log_entries
from hitl_nb.checkpoint.upkeep.checking import check
from hitl_nb.checkpoint.verifying import verify
from hitl_nb.errors import AlreadyAnsweredError, AnswerError, ThreadBusyError, ThreadMovedError
from tests.crash.kinds import BEGIN, HOUR, LARGE, Notes, State

SHARED = "shared"


def config(thread_id: str, reviewer: str = "") -> Any:
    return {"configurable": {"thread_id": thread_id, "reviewer": reviewer}}


class Task:
    """What a crowd does. `prepare` in the process that starts it, `act` in each of the crowd, `look` in the first one again."""

    def __init__(self, folder: Path, size: int, seed: int) -> None:
        self.folder, self.size, self.seed = folder, size, seed
        self.saver = DiskCacheSaver(folder / "store")
        self.effects, self.said = Notes(folder / "effects"), Notes(folder / "said")
        self.graph = self.build().compile(self.saver, now=lambda: BEGIN)

    def build(self) -> StateGraph:
        raise NotImplementedError

    def prepare(self) -> None:
        pass

    def act(self, n: int) -> None:
        raise NotImplementedError

    def look(self) -> Iterator[str]:
        """What is wrong."""
        yield from (f"decision log: {p}" for p in verify(self.saver).problems)
        health = check(self.saver.folder)
        yield from (f"check: {d.what}" for d in health.damages)
        yield from (f"check notes: {note}" for note in health.notes)

    def counts(self) -> dict[str, Any]:
        """What happened."""
        return dict(Counter(line.split()[0] for line in self.said.lines()))

    def until_free(self, call: Callable[[], Any]) -> None:
        """Call again while somebody else runs the thread."""
        while True:
            try:
                call()
                return
            except ThreadBusyError:
                self.said("busy")
                time.sleep(0.001)


class Commits(Task):
    """Nothing that was returned may be missing."""

    def build(self) -> StateGraph:
        def step(state: State) -> Command:
            n = state.get("n", 0)
            update: State = {"n": n + 1, "total": n} | ({"large": bytes([n]) * LARGE} if n == 5 else {})
            return Command(update=update, goto="step" if n < 9 else "__end__")

        return StateGraph(State).add_node("step", step, destinations=("step", "__end__")).add_edge(START, "step")

    def prepare(self) -> None:
        self.graph.update_state(config(SHARED), {"total": 0, "log": []}, as_node=START)

    def act(self, n: int) -> None:
        made = turn = 0
        while made < self.size:
            mine = config(f"process-{n}-{turn}")
            for event in self.graph.stream({"total": 0}, mine, stream_mode="checkpoints"):
                self.said(f"commit {mine['configurable']['thread_id']} {event['config']['configurable']['checkpoint_id']}")
                made += 1
            self.until_free(lambda turn=turn: self.graph.update_state(config(SHARED), {"total": 1, "log": [f"{n}-{turn}"]}, as_node="step"))
            self.said(f"update {n}-{turn}")
            made += 1
            turn += 1

    def look(self) -> Iterator[str]:
        yield from super().look()
        said: dict[str, list[str]] = {"commit": [], "update": [], "busy": []}
        for line in self.said.lines():
            what, _, rest = line.partition(" ")
            said[what].append(rest)
        shared = self.graph.get_state(config(SHARED)).values
        if sorted(shared["log"]) != sorted(said["update"]) or shared["total"] != len(said["update"]):
            yield f"{len(said['update'])} updates were made, and the thread holds {len(shared['log'])}, their sum {shared['total']}"
        threads: dict[str, list[str]] = {}
        for line in said["commit"]:
            thread_id, checkpoint_id = line.split()
            threads.setdefault(thread_id, []).append(checkpoint_id)
        for thread_id, ids in threads.items():
            stored = [c.config["configurable"]["checkpoint_id"] for c in self.graph.get_state_history(config(thread_id))]
            if stored[::-1] != ids:
                yield f"thread {thread_id}: {len(ids)} commits were made, {len(stored)} are stored"
            at = self.graph.get_state(config(thread_id)).values
            if at["total"] != sum(range(10)) or at["large"] != bytes([5]) * LARGE:
                yield f"thread {thread_id} ended otherwise: {at['total']}"


class Answers(Task):
    """Each question is answered once, each node goes on once, and all but one learn who was faster."""

    def build(self) -> StateGraph:
        def pay(state: dict[str, Any]) -> State:
            who = interrupt({"question": f"Pay {state['item']}?", "type": "text"})
            self.effects(f"{state['item']} {who}")
            return {"log": [f"{state['item']} {who}"]}

        builder = StateGraph(State).add_node("pay", pay)
        return builder.add_conditional_edges(START, lambda state: [Send("pay", {"item": f"{state['n']}-{i}"}) for i in range(4)], ["pay"])

    def prepare(self) -> None:
        for n in range(0, self.size, 4):
            self.graph.invoke({"n": n}, config(f"thread-{n}"))
        self.questions = sorted(self.saver.open_questions(), key=lambda q: (q.thread_id, q.interrupt_id))

    def act(self, n: int) -> None:
        name = f"process-{n}"
        wait = random.Random(f"{self.seed} {n}")
        for question in self.questions:
            given = Command(resume={question.interrupt_id: name})
            time.sleep(wait.uniform(0, 0.001))  # so that none is always the quicker one
            try:
                if n % 2:
                    asyncio.run(self.graph.ainvoke(given, config(question.thread_id, name)))
                else:
                    self.graph.invoke(given, config(question.thread_id, name))
                self.said(f"won {question.interrupt_id} {name}")
            except ThreadBusyError as busy:
                if not busy.answer_recorded:
                    raise
                self.said(f"won {question.interrupt_id} {name}")
            except AlreadyAnsweredError as error:
                self.said(f"lost {question.interrupt_id} {error.reviewer} {error.answered_at.isoformat()}")

    def look(self) -> Iterator[str]:
        yield from super().look()
        won: Counter[str] = Counter()
        told: set[tuple[str, ...]] = set()
        for line in self.said.lines():
            what, interrupt_id, who, *when = line.split()
            if what == "won":
                won[interrupt_id] += 1
            told.add((interrupt_id, who, *when))
        if self.saver.open_questions():
            yield f"{len(self.saver.open_questions())} questions are open"
        if len(won) != self.size or set(won.values()) != {1}:
            yield f"{len(won)} of {self.size} questions were won, {sum(n > 1 for n in won.values())} of them more than once"
        made: dict[str, Any] = {}
        ended: list[str] = []
        for n in range(0, self.size, 4):
            made |= {d.interrupt_id: d for d in self.saver.decisions(f"thread-{n}")}
            at = self.graph.get_state(config(f"thread-{n}"))
            ended += at.values["log"]
            if at.next:
                yield f"thread-{n} was left at {at.next}"
        for interrupt_id, who, *when in told:
            decision = made[interrupt_id]
            if who != decision.reviewer or when not in ([], [decision.decided_at.isoformat()]):
                yield f"somebody was told that {who} answered {interrupt_id} at {when}; it was {decision.reviewer} at {decision.decided_at}"
        if sorted(self.effects.lines()) != sorted(ended) or len(ended) != self.size:
            yield f"{len(self.effects.lines())} effects, {len(ended)} results, {self.size} questions"


class Mixed(Task):
    """Whatever comes in between, what was answered is there, and its node went on at most once with it."""

    def build(self) -> StateGraph:
        def pay(state: State) -> State:
            who = interrupt({"question": f"Pay {state['n']}?", "type": "text"}, deadline=BEGIN + HOUR, default="default")
            self.effects(f"{state['n']} {who}")
            return {"verdict": who}

        return StateGraph(State).add_node("pay", pay).add_edge(START, "pay")

    def prepare(self) -> None:
        for n in range(self.size):
            self.graph.invoke({"n": n}, config(f"thread-{n}"))

    def act(self, n: int) -> None:
        chance, name = random.Random(f"{self.seed} {n}"), f"process-{n}"
        act = (self._answer, self._expire, self._reopen, self._read)[n % 4]
        for turn in range(self.size):
            try:
                act(chance, name, turn)
            except ThreadBusyError as busy:
                self.said(f"busy {act.__name__} {'recorded' if busy.answer_recorded else ''}")
            except (AnswerError, ThreadMovedError) as error:  # who reopens, or answers, comes too late
                self.said(f"late {act.__name__} {type(error).__name__}")

    def _answer(self, chance: random.Random, name: str, turn: int) -> None:
        found = self.saver.open_questions()
        if found:
            question = chance.choice(found)
            self._give(question, f"{name}-{turn}", name)

    def _give(self, question: Any, answer: str, name: str) -> None:
        try:
            self.graph.invoke(Command(resume={question.interrupt_id: answer}), config(question.thread_id, name))
        except ThreadBusyError as busy:
            if not busy.answer_recorded:
                raise
        self.said(f"answer {question.thread_id} {question.interrupt_id} {answer}")

    def _expire(self, chance: random.Random, name: str, turn: int) -> None:
        thread = config(f"thread-{chance.randrange(self.size)}")
        for done in self.graph.expire(thread, now=BEGIN + 2 * HOUR):  # at that time it only looks: asking anew has to be in time
            self.said(f"expired {done.thread_id} {done.interrupt_id} default")
        self.graph.advance(thread)

    def _reopen(self, chance: random.Random, name: str, turn: int) -> None:
        thread_id = f"thread-{chance.randrange(self.size)}"
        made = self.saver.decisions(thread_id)
        if made:
            self.graph.reopen(config(thread_id, name), made[-1].interrupt_id)
            self.said(f"reopened {thread_id} {made[-1].interrupt_id}")
            self.graph.advance(config(thread_id))

    def _read(self, chance: random.Random, name: str, turn: int) -> None:
        for question in self.saver.open_questions():
            assert self.saver.question(question.interrupt_id).thread_id == question.thread_id
        thread = config(f"thread-{chance.randrange(self.size)}")
        self.graph.get_state(thread)
        numbers = [c.metadata["step"] for c in self.graph.get_state_history(thread)]
        assert numbers, "the thread is gone"
        if turn % 20 == 0:
            problems = verify(self.saver).problems
            assert problems == (), problems
        self.said("read")

    def look(self) -> Iterator[str]:
        for n in range(self.size):  # what was left open, or decided while somebody else ran the thread
            self.graph.advance(config(f"thread-{n}"))
        for question in self.saver.open_questions():
            self._give(question, "last", "last")
        yield from super().look()
        said = [line.split() for line in self.said.lines()]
        withdrawn = Counter(e.interrupt_id for e in log_entries(self.saver) if e.kind == "withdrawn")
        reopened = Counter(i for what, *rest in said if what == "reopened" for i in rest[1:])
        if reopened - withdrawn:
            yield f"reopened, and the log does not say so: {reopened - withdrawn}"
        effects = Counter(self.effects.lines())
        for what, *rest in said:
            if what in ("answer", "expired"):
                thread_id, interrupt_id, answer = rest
                found = [d.answer for d in self.saver.decisions(thread_id) if d.interrupt_id == interrupt_id]
                if found != [answer]:
                    yield f"{answer} to {interrupt_id} was acknowledged, stored is {found}"
                if answer not in ("last", "default") and effects[f"{thread_id.partition('-')[2]} {answer}"] > 1:
                    yield f"{thread_id} went on with {answer} more than once"
        for n in range(self.size):
            at, made = self.graph.get_state(config(f"thread-{n}")), self.saver.decisions(f"thread-{n}")
            if at.next or at.values["verdict"] != made[-1].answer:
                yield f"thread-{n} is at {at.next} with {at.values.get('verdict')}, decided is {made[-1].answer}"
            if effects[f"{n} {made[-1].answer}"] < 1:
                yield f"thread-{n}: its last answer {made[-1].answer} had no effect"


class Runs(Task):
    """Each superstep of each thread runs once, whoever runs it; who comes second learns that the thread is busy, and nothing else."""

    def build(self) -> StateGraph:
        def step(state: State) -> Command:
            n = state.get("n", 0)
            self.effects(f"{state['verdict']} {n}")
            return Command(update={"n": n + 1, "log": [str(n)]}, goto=["step", "beside"] if n < 4 else "__end__")

        def beside(state: State) -> State:
            self.effects(f"{state['verdict']} beside {state['n']}")
            return {"total": 1}

        builder = StateGraph(State).add_node("step", step, destinations=("step", "beside", "__end__")).add_node("beside", beside)
        return builder.add_edge(START, "step")

    def act(self, n: int) -> None:
        left = [f"thread-{i}" for i in range(self.size)]
        while left:
            for thread_id in list(left):
                try:
                    result = self.graph.advance(config(thread_id), begin={"verdict": thread_id})
                    assert not result.next, result.next
                    left.remove(thread_id)
                    self.said("ran")
                except ThreadBusyError:
                    self.said("busy")

    def look(self) -> Iterator[str]:
        yield from super().look()
        effects = Counter(self.effects.lines())
        for i in range(self.size):
            at = self.graph.get_state(config(f"thread-{i}"))
            if at.next or at.values["log"] != list("01234") or at.values["total"] != 4:
                yield f"thread-{i} is at {at.next} with {at.values}"
        expected = Counter(f"thread-{i} {what}" for i in range(self.size) for what in (*"01234", *(f"beside {n}" for n in range(1, 5))))
        if effects != expected:
            yield f"effects lost: {expected - effects}, too many: {effects - expected}"


TASKS: dict[str, type[Task]] = {"commits": Commits, "answers": Answers, "mixed": Mixed, "runs": Runs}


def crowd(folder: Path, name: str, processes: int, size: int, seed: int) -> tuple[dict[str, Any], list[str]]:
    """What happened, and what is wrong with it."""
    task = TASKS[name](folder, size, seed)
    task.prepare()
    task.saver.close()
    wait, go = os.pipe()
    begun, pids = time.monotonic(), []
    for n in range(processes):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.close(go)
                os.read(wait, 1)  # until all are there
                task.act(n)
                code = 0
            except BaseException:  # told by who forked it
                (folder / f"error-{n}").write_text(traceback.format_exc())
            finally:
                os._exit(code)
        pids.append(pid)
    os.close(wait)
    os.close(go)
    wrong = [
        f"process {n} failed: {(folder / f'error-{n}').read_text()}" for n, pid in enumerate(pids) if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    ]
    seconds = time.monotonic() - begun
    wrong += task.look()
    task.saver.close()
    return {"task": name, "processes": processes, "size": size, "seconds": round(seconds, 1), **task.counts()}, wrong


def main() -> int:
    """Race, print what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--size", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    found, wrong = crowd(given.folder, given.task, given.processes, given.size, given.seed)
    print(json.dumps({**found, "wrong": wrong}, indent=1))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
