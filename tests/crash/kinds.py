"""Kinds of graph, each with something else that a kill can hit: what the killed runs and the races of processes run.

Each is the same however often it is begun anew: its questions are answered by what they say, and its end is one state. What a node does outside is a
line of `Notes`.
"""

from __future__ import annotations

import asyncio
import operator
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, TypedDict

import numpy as np

from hitl_nb import START, Command, Send, StateGraph, interrupt, once

BEGIN = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
LARGE = 150_000
"""Bytes of a value that lies in a file of its own."""


class Notes:
    """A file to which several processes write lines, each line as a whole."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __call__(self, line: str) -> None:
        handle = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, f"{line}\n".encode())
        finally:
            os.close(handle)

    def lines(self) -> list[str]:
        return self.file.read_text().splitlines() if self.file.exists() else []

    def once(self, key: str, value: Any) -> Any:
        """`once`, with a line when its function runs and another when it has returned."""
        kept = once(key, lambda: (self(f"once {key}"), value)[1])
        self(f"kept {key}")
        return kept


class State(TypedDict, total=False):
    """What all of them hold."""

    n: int
    total: Annotated[int, operator.add]
    log: Annotated[list[str], operator.add]
    large: bytes
    still: Any
    array: Any
    verdict: str


@dataclass(frozen=True)
class Kind:
    """A graph, and how it is driven."""

    build: Callable[[Notes], StateGraph]
    """From where to write its effects."""
    large: bool = True
    """True when its values lie in files of their own."""


def chain(notes: Notes) -> StateGraph:
    """A loop of supersteps; every third asks, each writes a large value."""

    def step(state: State) -> Command:
        n = state.get("n", 0)
        given = len(interrupt({"question": f"How much does step {n} add?", "type": "text", "so_far": state.get("total", 0)})) if n % 3 == 2 else 0
        notes(f"step {n} {given}")
        return Command(
            update={"n": n + 1, "total": n + given, "log": [f"s{n}:{given}"], "large": bytes([n]) * LARGE}, goto="step" if n < 7 else "__end__"
        )

    return StateGraph(State).add_node("step", step, destinations=("step", "__end__")).add_edge(START, "step")


def side_by_side(notes: Notes) -> StateGraph:
    """Parallel nodes: one asks twice, one once after a `once`, one needs two votes, one is async and returns an array; then they join."""

    def twice(state: State) -> State:
        first = interrupt({"question": "First?", "type": "text"})
        second = interrupt({"question": f"Second, after {first}?", "type": "text"})
        notes(f"twice {first} {second}")
        return {"log": [f"twice:{first}:{second}"], "large": second.encode() * LARGE}

    def pays(state: State) -> State:
        receipt = notes.once("pay", "receipt" * 30_000)
        said = interrupt({"question": f"Ship {receipt[:7]}?", "type": "text"})
        notes(f"ship {said}")
        return {"log": [f"paid:{receipt[-7:]}:{said}"]}

    def votes(state: State) -> State:
        said = interrupt({"question": "Two of you?", "type": "text"}, quorum=2)
        notes(f"votes {said}")
        return {"log": [f"votes:{said}"]}

    async def counts(state: State) -> State:
        await asyncio.sleep(0)
        notes("counts")
        return {"array": np.arange(LARGE // 4), "total": 5}

    def join(state: State) -> State:
        notes(f"join {state['total']}")
        return {"verdict": f"{len(state['log'])} of {int(state['array'].sum())}"}

    builder = StateGraph(State).add_node("join", join)
    for node in (twice, pays, votes, counts):
        builder.add_node(node.__name__, node).add_edge(START, node.__name__)
    return builder.add_edge(["twice", "pays", "votes", "counts"], "join")


def sends(notes: Notes) -> StateGraph:
    """One node for each of ten items; some ask, some do a thing once, some return much; then all are added up."""

    def item(state: dict[str, Any]) -> State:
        n = state["item"]
        given = len(interrupt({"question": f"Item {n}?", "type": "text"})) if n % 4 == 1 else 0
        if n % 5 == 1:
            given += notes.once(f"item-{n}", n)
        notes(f"item {n} {given}")
        return {"log": [f"{n}:{given}"], "total": given} | ({"large": b"i" * LARGE} if n == 3 else {})

    def end(state: State) -> State:
        notes(f"end {state['total']}")
        return {"verdict": ",".join(state["log"])}

    builder = StateGraph(State).add_node("item", item).add_node("end", end)
    builder.add_conditional_edges(START, lambda state: [Send("item", {"item": n}) for n in range(10)], ["item"])
    return builder.add_edge("item", "end")


def nested(notes: Notes) -> StateGraph:
    """A graph inside a graph inside a graph, with questions on all three levels."""

    def ask(name: str) -> Callable[[State], State]:
        def node(state: State) -> State:
            token = notes.once(f"token-{name}", name * 2)
            said = interrupt({"question": f"Inside {name}?", "type": "text", "total": state.get("total", 0)})
            notes(f"{name} {said} {token}")
            return {"log": [f"{name}:{said}"], "total": len(said), "large": name.encode()[:1] * LARGE}

        return node

    lowest = StateGraph(State).add_node("low", ask("low")).add_node("lower", ask("lower")).add_edge(START, "low").add_edge("low", "lower").compile()
    middle = StateGraph(State).add_node("deep", lowest).add_node("mid", ask("mid")).add_edge(START, "deep").add_edge("deep", "mid").compile()

    def beside(state: State) -> State:
        notes("beside")
        return {"log": ["beside"]}

    builder = StateGraph(State).add_node("inside", middle).add_node("beside", beside).add_node("top", ask("top"))
    return builder.add_edge(START, "inside").add_edge(START, "beside").add_edge(["inside", "beside"], "top")


def deadlines(notes: Notes) -> StateGraph:
    """Questions whose deadlines pass: one gets its default, one is handed on first, and one beside it has no deadline."""

    def until(name: str) -> dict[str, Any]:
        return {"deadline": BEGIN + HOUR, "default": f"default {name}"}

    def pay(name: str, **terms: Any) -> Callable[[State], State]:
        def node(state: State) -> State:
            said = interrupt({"question": f"Pay {name}?", "type": "text"}, **terms)
            notes(f"pay {name} {said}")
            return {"log": [f"{name}:{said}"]} | ({} if name == "side" else {"large": said.encode() * (LARGE // 10)})

        return node

    builder = StateGraph(State).add_node("plain", pay("plain", **until("plain")))
    builder.add_node("handed", pay("handed", **until("handed"), assignee="ada", escalate_to="bob")).add_node("side", pay("side"))
    return builder.add_edge(START, "plain").add_edge("plain", "handed").add_edge("plain", "side")


def arrays(notes: Notes) -> StateGraph:
    """A large array that stays as it is, and one that changes in each superstep."""

    def step(state: State) -> Command:
        n = state.get("n", 0)
        said = interrupt({"question": f"Go on at {n}?", "type": "text", "sum": int(state["array"].sum())}) if n == 3 else ""
        notes(f"step {n} {int(state['array'].sum())} {int(state['still'].sum())}")
        return Command(update={"n": n + 1, "array": state["array"] + n + len(said)}, goto="step" if n < 5 else "__end__")

    def start(state: State) -> State:
        return {"still": np.ones(1 << 17), "array": np.arange(LARGE // 4, dtype=np.int64)}

    builder = StateGraph(State).add_node("start", start).add_node("step", step, destinations=("step", "__end__"))
    return builder.add_edge(START, "start").add_edge("start", "step")


def changes(notes: Notes) -> StateGraph:
    """A thread that is changed from outside when it has ended: see `change`."""

    def ask(state: State) -> State:
        said = interrupt({"question": f"Which, at {state.get('total', 0)}?", "type": "text"})
        notes(f"ask {said}")
        return {"log": [said], "large": said[:1].encode() * LARGE}

    def end(state: State) -> State:
        notes(f"end {','.join(state['log'])}")
        return {"verdict": state["log"][-1]}

    return StateGraph(State).add_node("ask", ask).add_node("end", end).add_edge(START, "ask").add_edge("ask", "end")


KINDS = {
    "chain": Kind(chain),
    "side_by_side": Kind(side_by_side),
    "sends": Kind(sends),
    "nested": Kind(nested),
    "deadlines": Kind(deadlines),
    "arrays": Kind(arrays),
    "changes": Kind(changes),
}
