"""A store with something of everything, and all that can be read of it: what the tests of damaged stores compare."""

from __future__ import annotations

import gc
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict

from hitl_nb import END, START, Command, DiskCacheSaver, StateGraph, interrupt, once
from hitl_nb.checkpoint.audit import log_entries
from hitl_nb.checkpoint.sealing import PAGE
from hitl_nb.checkpoint.verifying import verify

BIG = b"\x00\x01large" * 19_000
"""A value that lies in a file of its own."""
THREADS = ("done", "waits", "side-by-side", "nested", "pruned", "reopened", "deleted", *(f"many-{n}" for n in range(6)))


class State(TypedDict, total=False):
    x: int
    big: bytes
    text: str
    a: str
    b: str
    inner: str


def _one(state: State) -> State:
    return {"a": once("paid", lambda: f"paid {state['x']}") + interrupt({"question": "One?", "x": state["x"]})}


def _two(state: State) -> State:
    return {"b": interrupt("Two?", deadline=datetime(2090, 1, 1, tzinfo=UTC), assignee="bob", escalate_to="eve")}


def graph_of(saver: Any) -> Any:
    """One question, then another."""
    builder = StateGraph(State).add_node("one", _one).add_node("two", _two)
    return builder.add_edge(START, "one").add_edge("one", "two").add_edge("two", END).compile(saver)


def side_by_side(saver: Any) -> Any:
    builder = StateGraph(State).add_node("one", _one).add_node("two", _two)
    return builder.add_edge(START, "one").add_edge(START, "two").add_edge(["one", "two"], END).compile(saver)


def around(saver: Any) -> Any:
    inner = StateGraph(State).add_node("ask", lambda s: {"inner": interrupt("Inside?")}).add_edge(START, "ask").add_edge("ask", END).compile()
    return StateGraph(State).add_node("inside", inner).add_edge(START, "inside").add_edge("inside", END).compile(saver)


def config(thread_id: str) -> Any:
    return {"configurable": {"thread_id": thread_id}}


def make(folder: Path) -> None:
    """Write the store; closed, so that the whole of it lies in cache.db and its value files."""
    saver = DiskCacheSaver(folder)
    graph = graph_of(saver)

    def run(thread_id: str, *answers: Any, of: Any = graph, x: int = 1) -> None:
        of.invoke({"x": x, "text": "t" * 3000} | ({} if thread_id.startswith("many") else {"big": BIG}), config(thread_id))
        for answer in answers:
            of.invoke(Command(resume=answer), config(thread_id))

    run("done", "yes", "no")
    run("waits", "yes")
    run("side-by-side", of=side_by_side(saver))
    run("nested", of=around(saver))
    run("pruned", "yes", "no")
    saver.prune(["pruned"])
    run("reopened", "yes", "no")
    graph.reopen(config("reopened"), saver.decisions("reopened")[0].interrupt_id)
    run("deleted", "yes", "no")
    saver.delete_thread("deleted")
    for n in range(6):
        run(f"many-{n}", *["yes"] * (n % 3), x=n)
    saver.close()
    end = time.monotonic() + 30  # a Python thread that ran a node has a connection of its own, which is closed when the thread is gone
    while any(folder.glob("cache.db-*")):
        assert time.monotonic() < end, sorted(folder.iterdir())
        gc.collect()
        time.sleep(0.01)


def damage_index(folder: Path, key: str) -> None:
    """Change one letter of a key in the index of the database, by which the record is found, and nothing of the record itself."""
    with (folder / "cache.db").open("r+b") as file:
        data = file.read()
        (page,) = [n for n in range(0, len(data), PAGE) if data[n : n + 1] in (b"\x0a", b"\x02") and key.encode() in data[n : n + PAGE]]
        at = data.find(key.encode(), page)
        while page <= at < page + PAGE:  # SQLite may have moved the entry, and left its old bytes where nothing reads them
            file.seek(at + 1)
            file.write(b"?")
            at = data.find(key.encode(), at + 1)


def read(folder: Path) -> dict[str, Any]:
    """Everything that can be asked of the store. Raises what reading raises."""
    saver = DiskCacheSaver(folder, timeout_s=5)
    found: dict[str, Any] = {}
    try:
        found["open"] = [(q, saver.question(q.interrupt_id)) for q in saver.open_questions()]
        found["overdue"] = [q.interrupt_id for q in saver.overdue(datetime(2095, 1, 1, tzinfo=UTC))]
        for thread_id in THREADS:
            found[thread_id] = read_thread(saver, thread_id)
        entries = list(log_entries(saver))
        found["log"] = (entries, verify(saver).problems)
        for entry in entries:
            found[entry.interrupt_id] = (saver.question(entry.interrupt_id), saver.decision(entry.interrupt_id))
    finally:
        saver.close()
    return found


def read_thread(saver: Any, thread_id: str) -> Any:
    head = saver.head(thread_id)
    history = [(c, saver.values(thread_id, c), saver.ledger(thread_id, head, c.seq).open()) for c in saver.history(thread_id)]
    kept = [saver.kept(t.id) for c, *_ in history for t in c.tasks]
    return head, history, kept, saver.decisions(thread_id, deleted=True)
