"""A run that Ctrl-C meets at one of many moments, each time in a new store, and what a person finds afterwards.

    python pressed.py WHERE:HOW,WHERE:HOW,… MOMENTS SEED FOLDER

WHERE: `graph` (invoke), `exit`, `async` (the same with another durability), `memory` (the same in memory), `stream`, `asyncio` (ainvoke), `session`
(review() and result(), somebody else answers meanwhile). HOW: `each` raises KeyboardInterrupt where Python would look for a signal: as a function is
entered, and as one written in C has returned; `after`: after_calls.py; `clock` sends a real SIGINT after a random time. Prints a line of JSON for
each moment that left something behind, and at last how many moments there were and how many of them met the run.

As in a notebook, the exception is kept while it is looked what is left: nothing may stay held because of that.
"""

from __future__ import annotations

import asyncio
import faulthandler
import inspect
import json
import operator
import random
import shutil
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypedDict

from hitl_nb import END, START, Command, DiskCacheSaver, MemorySaver, StateGraph, interrupt, once, review
from hitl_nb.errors import HitlError
from hitl_nb.plain.threads import WORKERS
from hitl_nb.responders.base import View
from tests.crash.after_calls import After

HANGS_AFTER_S = 60
GENERATORS = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


class State(TypedDict, total=False):
    """What the run makes."""

    begun: bool
    parts: Annotated[list[Any], operator.add]
    first: Any
    second: Any
    count: int


ENDS_AS = {"begun": True, "parts": ["a", 7, "c"], "first": True, "second": True, "count": 3}


class Work:
    """A graph whose nodes are counted: side by side, async, with `once`, with two questions."""

    def __init__(self, saver: Any) -> None:
        self.ran: Counter[str] = Counter()
        self.saver = saver
        builder = StateGraph(State)
        nodes = (self.begin, self.a, self.b, self.c, self.ask, self.end)
        for node in nodes:
            builder.add_node(node.__name__, node)
        builder.add_edge(START, "begin").add_edge("ask", "end").add_edge("end", END)
        for side in "abc":
            builder.add_edge("begin", side)
        self.graph = builder.add_edge(["a", "b", "c"], "ask").compile(saver)

    def begin(self, state: State) -> State:
        self.ran["begin"] += 1
        return {"begun": True}

    def a(self, state: State) -> State:
        self.ran["a"] += 1
        return {"parts": ["a"]}

    def b(self, state: State) -> State:
        self.ran["b"] += 1
        return {"parts": [once("pay", self.pay)]}

    def pay(self) -> int:
        self.ran["pay"] += 1
        return 7

    async def c(self, state: State) -> State:
        self.ran["c"] += 1
        await asyncio.sleep(0)
        return {"parts": ["c"]}

    def ask(self, state: State) -> State:
        self.ran["ask"] += 1
        return {"first": interrupt("First?"), "second": interrupt("Second?")}

    def end(self, state: State) -> State:
        self.ran["end"] += 1
        return {"count": len(state["parts"])}


CONFIG = {"configurable": {"thread_id": "t"}}


class Colleague(View):
    """Answers each question from another Python thread, at once."""

    how = "card"

    def ask(self, request: Any, submit: Callable[[Any], Any]) -> None:
        def answer() -> None:
            with suppress(HitlError):
                submit(True)

        WORKERS.begin(answer)  # Thread.start does not bear a Ctrl-C


def in_graph(work: Work, durability: Any) -> None:
    for given in ({}, Command(resume=True), Command(resume=True)):
        work.graph.invoke(given, CONFIG, durability=durability)


def in_stream(work: Work) -> None:
    for given in ({}, Command(resume=True), Command(resume=True)):
        for _ in work.graph.stream(given, CONFIG, stream_mode=["updates", "custom"]):
            pass


def in_asyncio(work: Work) -> None:
    async def run() -> None:
        for given in ({}, Command(resume=True), Command(resume=True)):
            await work.graph.ainvoke(given, CONFIG)

    asyncio.run(run())


def in_session(work: Work) -> None:
    review(work.graph, {}, thread_id="t", responder=Colleague(), reviewer="dana").result(30)


def go_on(work: Work) -> dict[str, Any]:
    """What a person does afterwards: goes on, and answers what is still open."""
    for _ in range(6):
        state = work.graph.get_state(CONFIG)
        if state.created_at is None:
            work.graph.invoke({}, CONFIG)
        elif state.interrupts:
            work.graph.invoke(Command(resume=True), CONFIG)
        elif state.next:
            work.graph.invoke(None, CONFIG)
        else:
            return dict(state.values)
    return {"does": "not end"}


# -- the press ---------------------------------------------------------------------------------------------------------------------------


class Each:
    """Raises KeyboardInterrupt at the n-th place of the main thread where a signal would be noticed; counts the places where n is 0."""

    def __init__(self, at: int, but_in: str = __file__) -> None:
        """`but_in`: not in the code of this file, which is that of the test."""
        self.at, self.but_in, self.passed, self.where = at, but_in, 0, ""

    def __call__(self, frame: Any, event: str, arg: Any) -> None:
        if event not in ("call", "c_return") or frame.f_code.co_filename == self.but_in:
            return
        if event == "call" and frame.f_code.co_flags & GENERATORS:
            return  # what is raised here as a generator is thrown into ends it without its `finally`, as no signal does
        self.passed += 1
        if self.passed == self.at:
            sys.setprofile(None)
            self.where = f"{event} {frame.f_code.co_name} of {Path(frame.f_code.co_filename).name}, line {frame.f_lineno}"
            del frame, arg  # else the traceback would keep what they are
            raise KeyboardInterrupt

    @contextmanager
    def pressing(self) -> Iterator[None]:
        sys.setprofile(self)
        try:
            yield
        finally:
            sys.setprofile(None)


class Clock:
    """A real SIGINT after so many seconds."""

    def __init__(self, after_s: float) -> None:
        self.after_s, self.where = after_s, ""

    @contextmanager
    def pressing(self) -> Iterator[None]:
        def press(number: int, frame: Any) -> None:
            self.where = f"after {self.after_s:.6f} s"
            signal.raise_signal(signal.SIGINT)

        signal.signal(signal.SIGINT, signal.default_int_handler)  # asyncio leaves its own behind when a press meets the very end of its run
        signal.signal(signal.SIGALRM, press)
        signal.setitimer(signal.ITIMER_REAL, self.after_s)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


def tried(run: Callable[[Work], None], make: Callable[[], Any], press: Any) -> list[str]:
    """One moment: what was left behind, if anything."""
    work, kept = Work(make()), None
    try:
        with press.pressing():
            run(work)
    except (KeyboardInterrupt, asyncio.CancelledError) as pressed:  # asyncio tells of a press at the very end of its run in the second way
        kept = pressed
    left: list[str] = []
    ran = work.ran.copy()
    try:
        if run is not in_session:  # there a colleague may just be running it
            with work.saver.guard("t"):
                pass
            if work.ran != ran:
                left.append("a node ran on")
        else:
            review(work.graph, {}, thread_id="t", responder=Colleague(), reviewer="dana").result(30)
        if (state := go_on(work)) != ENDS_AS:
            left.append(f"the state is {state}")
        decided = [decision.answer for decision in work.saver.decisions("t")]
        if decided != [True, True]:
            left.append(f"decided {decided}")
        if work.saver.open_questions():
            left.append("a question is still open")
    except Exception as error:
        left.append(f"{type(error).__name__}: {error}")
    often = {name: n for name, n in work.ran.items() if n > (5 if name == "ask" else 2)}
    if often:
        left.append(f"ran {often}")
    del kept
    if isinstance(work.saver, DiskCacheSaver):
        work.saver.close()
        shutil.rmtree(work.saver.folder, ignore_errors=True)  # a colleague may still be looking
    return left


RUNS: dict[str, Callable[[Work], None]] = {
    "graph": lambda work: in_graph(work, "sync"),
    "memory": lambda work: in_graph(work, "sync"),
    "exit": lambda work: in_graph(work, "exit"),
    "async": lambda work: in_graph(work, "async"),
    "stream": in_stream,
    "asyncio": in_asyncio,
    "session": in_session,
}


def main(where: str, how: str, moments: int, seed: int, folder: Path) -> None:
    warnings.simplefilter("ignore")
    sys.unraisablehook = lambda _: None  # Ctrl-C inside a finalizer: Python drops it
    numbers = iter(range(10**6))
    run = RUNS[where]
    at_place: Any = partial(After, but_in=__file__) if how == "after" else Each

    def make() -> Any:
        return MemorySaver() if where == "memory" else DiskCacheSaver(folder / f"{where}-{how}-{next(numbers)}", timeout_s=5)

    for _ in range(2):  # the first loads modules
        count, work, began = at_place(0), Work(make()), time.perf_counter()
        with nullcontext() if how == "clock" else count.pressing():
            run(work)
        took_s = time.perf_counter() - began
    rng, met = random.Random(f"{seed} {where} {how}"), 0
    for _ in range(moments):
        press = Clock(rng.uniform(0, took_s)) if how == "clock" else at_place(rng.randint(1, count.passed))
        faulthandler.dump_traceback_later(HANGS_AFTER_S, exit=True)
        left = tried(run, make, press)
        met += bool(press.where)
        if left:
            print(json.dumps({"run": where, "moment": press.where, "left": left}), flush=True)
    faulthandler.cancel_dump_traceback_later()
    print(json.dumps({"run": where, "moments": moments, "met": met}), flush=True)


if __name__ == "__main__":
    for pair in sys.argv[1].split(","):
        main(*pair.split(":"), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
