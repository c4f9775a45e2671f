"""However a random graph is answered, driven, interrupted and killed, it ends like the undisturbed run, and nothing happens twice."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from faults import Crash, DiskStore, MemoryStore, Process
from graphs import INPUT, GraphSpec, World, all_nodes, answer_of, build, execution_of, graph_specs, most_runs, node_of
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from reviewing import THREAD, Intruder, Reviewer

from hitl_nb import Command
from hitl_nb.checkpoint.keys import nested_thread_id

CONFIG = {"configurable": {"thread_id": THREAD}}
LARGE = int(os.environ.get("HITL_NB_EXAMPLES", "0"))
"""0: the small set, the same in each run. Else so many examples, new ones in each run."""
common = settings(
    derandomize=not LARGE, database=None, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
pytestmark = [pytest.mark.filterwarnings("error::UserWarning"), pytest.mark.timeout(0 if LARGE else 300)]


@dataclass(frozen=True)
class Death:
    """Where a process ends: the point, as a share of the points that are left in an undisturbed run."""

    millionths: int
    only_writes: bool


@dataclass(frozen=True)
class Ending:
    """What a finished thread leaves, all of it independent of who answered when and of how often the process died."""

    state: dict[str, Any]
    history: list[Any]
    decided: dict[str, Any]
    """The answer by interrupt id."""
    asked: dict[str, Any]
    """The payload by interrupt id."""


deaths = st.lists(st.builds(Death, st.integers(0, 999_999), st.booleans()), max_size=6)


def undisturbed(spec: GraphSpec) -> tuple[Ending, World, Process]:
    """The run with every answer in task order, by nothing but invoke; it ends like one that never stops."""
    world, process = World(), Process()
    saver = MemoryStore().open(process)
    graph = build(spec, saver, world)
    config = CONFIG | {"recursion_limit": 300}
    result = graph.invoke(INPUT, config)
    while result.is_interrupted:
        result = graph.invoke(Command(resume={i.id: answer_of(i.value) for i in result.interrupts}), config)
    found = ending(graph)
    straight = build(spec, MemoryStore().open(Process()), World(asks=False)).invoke(INPUT, config)
    assert found.state == straight, "a run that never pauses ends otherwise"
    return found, world, process


def ending(graph: Any) -> Ending:
    """Read a finished thread, and check that its records agree with each other."""
    saver, last = graph.checkpointer, graph.get_state(CONFIG)
    assert last.next == ()
    assert last.interrupts == ()
    assert saver.open_questions() == []
    decisions = saver.decisions(THREAD)
    decided = {d.interrupt_id: d.answer for d in decisions}
    assert len(decided) == len(decisions), "a question was answered twice"
    assert [d.number for d in decisions] == list(range(len(decisions)))
    payloads = {i: saver.question(i).payload for i in decided}
    for interrupt_id, payload in payloads.items():
        assert decided[interrupt_id] == answer_of(payload), "an answer is recorded with another question"
        assert saver.decision(interrupt_id).payload_digest == saver.question(interrupt_id).digest
    assert {key for key, _ in saver._scan("q/")} == {f"q/{i}" for i in decided}, "a question was asked that nobody answered"
    history = list(graph.get_state_history(CONFIG))
    assert [s.config for s in history[1:]] + [None] == [s.parent_config for s in history], "the history is no chain"
    assert [s.metadata["step"] for s in history] == list(range(len(history) - 2, -2, -1))
    assert [s.config["configurable"]["checkpoint_id"] for s in history] == [f"nonce-{n:010d}" for n in range(len(history) - 1, -1, -1)]
    assert history[0].values == last.values
    for checkpoint, snapshot in zip(saver.history(THREAD), history, strict=True):
        ledger = saver.ledger(THREAD, saver.head(THREAD), checkpoint.seq)
        planned = {t.id for t in checkpoint.tasks}
        assert ledger.finished.keys() == (planned if len(planned) > 1 else set()), "a result of a past superstep is missing"
        assert ledger.asked.keys() == ledger.answered.keys()
        assert not ledger.withdrawn
        assert not snapshot.interrupts
    return Ending(last.values, [(s.values, s.next, s.metadata) for s in history], decided, payloads)


def stored_results(saver: Any) -> set[str]:
    """The executions whose result the store holds: in the state, or as an event of the superstep under way."""
    head = saver.head(THREAD)
    if head is None:
        return set()
    return {execution_of(e) for e in _entries(saver, THREAD, head)} - {"input"}


def _entries(saver: Any, key: str, head: Any) -> list[str]:
    """The log of a thread, or of a graph inside a node, and of the graphs inside its tasks."""
    checkpoint = saver.checkpoint(key, head.seq)
    entries = saver.values(key, checkpoint).get("log", [])
    for finished in saver.ledger(key, head).finished.values():
        entries = entries + dict(saver.serde.loads(finished.update)).get("log", [])
    for task in checkpoint.tasks:
        inner = nested_thread_id(key, task.id, 0)
        if (inner_head := saver.head(inner)) is not None:
            entries = entries + _entries(saver, inner, inner_head)
    return entries


def live(graph: Any, reviewer: Reviewer, world: World, taken: set[str]) -> None:
    """One process: begin or go on, answer until the thread has ended. `taken`: the ids whose answer somebody was told is recorded."""
    saver = graph.checkpointer
    world.settled |= stored_results(saver)
    assert taken <= {d.interrupt_id for d in saver.decisions(THREAD)}, "an answer that was taken is gone"
    if saver.head(THREAD) is None:
        reviewer.begin()
    else:
        reviewer.go_on()
    while (shown := graph.get_state(CONFIG)).next:
        world.settled |= stored_results(saver)
        listed = {q.interrupt_id for q in saver.open_questions()}
        assert listed == {i.id for i in shown.interrupts}
        assert listed, f"the thread waits for nobody, and does not run: {shown.next}"
        assert not listed & {d.interrupt_id for d in saver.decisions(THREAD)}, "an answered question is asked again"
        taken |= set(reviewer.answer())


def check(spec: GraphSpec, dying: list[Death], seed: int, store: Any) -> None:
    expected, calm, whole = undisturbed(spec)
    rng, world, taken = Random(seed), World(outages=True), set()
    crashes = 0
    for death in [*dying, None]:
        points = 0 if death is None else whole.writes if death.only_writes else whole.writes + whole.reads
        process = Process(None if death is None else 1 + death.millionths * points // 1_000_000, only_writes=death is not None and death.only_writes)
        saver = store.open(process)
        graph = build(spec, saver, world)
        world.intruder = None
        if rng.random() < 0.3:
            intruder = Intruder(build(spec, saver, world), seed)
            world.intruder, process.on_leaving = intruder.while_a_node_runs, intruder.before_the_thread_is_free
        try:
            live(graph, Reviewer(graph, spec, world, rng), world, taken)
        except Crash:
            crashes += 1
            continue
        break
    else:
        raise AssertionError("the last process has no death")
    process.dies_at = None
    assert ending(graph) == expected
    assert world.starts.keys() == calm.starts.keys()
    nodes = all_nodes(spec)
    for execution, times in world.starts.items():
        assert times <= most_runs(nodes[node_of(execution)], execution) + crashes, f"{execution} ran {times} times"
    assert world.effects.keys() == calm.effects.keys()
    assert max(world.effects.values(), default=1) <= 1 + crashes, "a side effect happened again although the process lived"
    event(f"crashes: {crashes}")


@settings(common, max_examples=LARGE or 90)
@given(graph_specs(), deaths, st.integers(0, 2**32))
def test_a_random_run_in_memory_ends_like_the_undisturbed_one(spec, dying, seed):
    check(spec, dying, seed, MemoryStore())


@settings(common, max_examples=LARGE // 10 or 10)
@given(graph_specs(), deaths, st.integers(0, 2**32))
def test_a_random_run_on_disk_ends_like_the_undisturbed_one(spec, dying, seed):
    with tempfile.TemporaryDirectory() as folder:
        store = DiskStore(Path(folder) / "store")
        try:
            check(spec, dying, seed, store)
        finally:
            store.close()
