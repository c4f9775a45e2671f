"""Large stores, made quickly: records as a graph makes them, copied under other names through the checkpointer's own commits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, Final, TypedDict

from hitl_nb import END, START, DiskCacheSaver, MemorySaver, StateGraph, interrupt
from hitl_nb.checkpoint.records import Asked, Checkpoint, ValueRef

_AT_ONCE: Final = 1000
"""Threads a transaction."""


class Order(TypedDict):
    n: int
    text: str


def deciding(saver: Any) -> Any:
    """A graph that asks about small numbers, and lets the others pass."""

    def ask(state: Order) -> dict[str, Any]:
        return {"text": interrupt({"question": "Refund?", "n": state["n"], "options": ["approve", "reject"]})}

    builder = StateGraph(Order)
    builder.add_node("look", lambda state: {"text": f"order {state['n']}"})
    builder.add_node("ask", ask)
    builder.add_edge(START, "look")
    builder.add_conditional_edges("look", lambda state: "ask" if state["n"] < 0 else END, ["ask", END])
    return builder.compile(checkpointer=saver, name="orders")


def template(graph: Any, given: Mapping[str, Any]) -> tuple[str, Checkpoint]:
    """The thread that a graph with a MemorySaver makes of an input, and the checkpoint where it stands, with its whole state."""
    thread_id = f"template {given}"
    graph.invoke(given, {"configurable": {"thread_id": thread_id}})
    saver = graph.checkpointer
    last = saver.checkpoint(thread_id, saver.head(thread_id).seq)
    return thread_id, replace(last, inline=saver.encoded(thread_id, last))


def under(checkpoint: Checkpoint, nonce: str, seq: int) -> Checkpoint:
    """The checkpoint as one of another thread."""
    return replace(checkpoint, nonce=nonce, seq=seq, parent=seq - 1 if seq else None, versions=dict.fromkeys(checkpoint.versions, ValueRef(seq)))


def fill(saver: DiskCacheSaver, threads: int, waiting: int) -> None:
    """Put threads into a store, of which so many wait for an answer, spread evenly."""
    memory = MemorySaver()
    graph = deciding(memory)
    _, done = template(graph, {"n": 1, "text": ""})
    asking, paused = template(graph, {"n": -1, "text": ""})
    events = list(memory.events(asking, memory.head(asking)))
    question = next(memory.question(e.interrupt_id) for e in events if isinstance(e, Asked))
    assert question is not None
    every = threads // waiting

    def commits() -> Iterator[dict[str, Any]]:
        for n in range(threads):
            thread_id, nonce = f"order-{n}", f"{n:012x}"
            if n % every or n >= every * waiting:
                yield {"thread_id": thread_id, "expect": None, "checkpoint": under(done, nonce, 0)}
                continue
            asked, ident = [replace(e, interrupt_id=f"{n:032x}") if isinstance(e, Asked) else e for e in events], f"{n:032x}"
            asks = replace(question, id=ident, thread_id=thread_id)
            yield {"thread_id": thread_id, "expect": None, "checkpoint": under(paused, nonce, 0), "events": asked, "questions": [asks]}

    todo = commits()
    while some := list(islice(todo, _AT_ONCE)):
        saver.commit_all("", some)
