"""Every checkpointer keeps the same contract: the tests here run over all of them, and graphs both ways of calling."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.disk import DiskCacheSaver
from hitl_nb.checkpoint.memory import MemorySaver
from hitl_nb.checkpoint.records import Asked, Checkpoint, Decision, Question, ValueRef
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.compiled import CompiledGraph
from hitl_nb.graph.types import END, START, Interrupt

BEGUN_AT = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(params=["memory", "disk", "disk, full durability"])
def saver(request, tmp_path):
    """A new checkpointer of each kind."""
    if request.param == "memory":
        yield MemorySaver()
        return
    saver = DiskCacheSaver(tmp_path / "store", durability="full" if "full" in request.param else "normal")
    yield saver
    saver.close()


class Writer:
    """Writes threads through a checkpointer, as a run would."""

    def __init__(self, saver):
        self.saver = saver

    def checkpoint(self, seq, state, nonce="n0", versions=None):
        inline = {key: self.saver.serde.dumps(value, f"state[{key!r}]") for key, value in state.items()}
        refs = {**(versions or {}), **{key: ValueRef(seq) for key in state}}
        at = BEGUN_AT + timedelta(seconds=seq)
        return Checkpoint(seq, nonce, seq - 1 if seq else None, seq - 1, "loop" if seq else "input", at, refs, inline=inline)

    def question(self, thread_id, number=0, payload="Publish?", **more):
        return Question(
            id=f"{thread_id}-q{number}", thread_id=thread_id, node="ask", task_id=f"task{number}", position=0, digest="d", payload=payload,
            created_at=BEGUN_AT + timedelta(seconds=number), **more,
        )  # fmt: skip

    def asked(self, question):
        return Asked(question.task_id, question.position, question.id, question.digest)

    def decision(self, question, answer: object = "yes", reviewer="Ann"):
        return Decision(question.id, question.thread_id, question.node, -1, answer, reviewer, BEGUN_AT + timedelta(hours=1), "card", "d")

    def waiting(self, thread_id="t", count=1):
        """A new thread with this many open questions: its head and the questions."""
        questions = [self.question(thread_id, n) for n in range(count)]
        head = self.saver.commit(
            thread_id,
            None,
            checkpoint=self.checkpoint(0, {"draft": "x"}, nonce=f"n-{thread_id}"),
            events=[self.asked(q) for q in questions],
            questions=questions,
        )
        return head, questions


@pytest.fixture
def write(saver):
    return Writer(saver)


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """`run(graph, input, config)`: invoke, or ainvoke in a new event loop."""
    if request.param == "sync":
        return lambda graph, given, config: graph.invoke(given, config)
    return lambda graph, given, config: asyncio.run(graph.ainvoke(given, config))


@pytest.fixture
def runs() -> Counter[str]:
    """How often each node ran; nodes count themselves."""
    return Counter()


@pytest.fixture
def cfg() -> dict[str, Any]:
    return {"configurable": {"thread_id": "t-1", "reviewer": "ada"}}


@pytest.fixture
def chain() -> Callable[..., CompiledGraph]:
    """`chain(saver, first, second, schema=…, **compile)`: a graph of the functions, one after the other."""

    def make(saver: Checkpointer | None, *nodes: Callable[..., Any], schema: type | None = None, **options: Any) -> CompiledGraph:
        builder = StateGraph(schema)
        before = START
        for node in nodes:
            builder.add_node(node).add_edge(before, node.__name__)
            before = node.__name__
        return builder.add_edge(before, END).compile(saver, **options)

    return make


@pytest.fixture
def fan() -> Callable[..., CompiledGraph]:
    """`fan(saver, left, right, schema=…, **compile)`: a graph of the functions, side by side."""

    def make(saver: Checkpointer | None, *nodes: Callable[..., Any], schema: type | None = None, **options: Any) -> CompiledGraph:
        builder = StateGraph(schema)
        for node in nodes:
            builder.add_node(node).add_edge(START, node.__name__).add_edge(node.__name__, END)
        return builder.compile(saver, **options)

    return make


@pytest.fixture
def only() -> Callable[[Any], Interrupt]:
    """`only(result)`: the one open question of a result or a snapshot."""

    def one(result: Any) -> Interrupt:
        (found,) = result.interrupts
        return found

    return one
