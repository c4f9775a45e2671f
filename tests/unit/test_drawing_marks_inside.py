"""How the picture marks the nodes of graphs inside nodes: from the snapshots of their threads."""

from __future__ import annotations

import operator
from dataclasses import fields, replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Annotated, TypedDict

import pytest

from hitl_nb import END, START, Command, MemorySaver, StateGraph, interrupt
from hitl_nb.checkpoint.keys import nested_thread_id
from hitl_nb.graph.drawing.marks import Marks, marks_of
from hitl_nb.graph.drawing.picture import draw
from hitl_nb.graph.types import StateSnapshot, TaskSnapshot

THREAD = {"configurable": {"thread_id": "t"}}


class State(TypedDict):
    log: Annotated[list, operator.add]


def work(state):
    return {"log": [1]}


def ask(state):
    return {"log": [interrupt("Go on?")]}


def fail(state):
    raise RuntimeError("no")


@pytest.fixture
def saver():
    return MemorySaver()


def chain(saver, *nodes):
    """START → the first node → … → END; `nodes`: (name, function or graph)."""
    builder = StateGraph(State)
    for name, fn in nodes:
        builder.add_node(name, fn)
    for source, target in pairwise([START, *(name for name, _ in nodes), END]):
        builder.add_edge(source, target)
    return builder.compile(saver)


def wrapped(inner, saver=None):
    """`in` → `mid`, which runs `inner` → `out`."""
    return chain(saver, ("in", work), ("mid", inner), ("out", work))


def stand(graph, *answers):
    """The snapshot of the thread, after it ran until it asks, fails or ends."""
    for given in ({}, *(Command(resume=a) for a in answers)):
        try:
            graph.invoke(given, THREAD)
        except RuntimeError:
            break
    return graph.get_state(THREAD)


def only(snapshot, node):
    (task,) = (t for t in snapshot.tasks if t.name == node)
    return task


def inside(saver, thread_id, task, *, depth=1, **changed):
    """The snapshot of the graph that this task runs, as the store and the task's questions tell it; `changed`: what else its tasks show."""
    thread_id = nested_thread_id(thread_id, task.id, 0)
    head = saver.head(thread_id)
    at = saver.checkpoint(thread_id, head.seq)
    asked = {t.id: tuple(i for i in task.interrupts if (*i.path, i.node)[depth] == t.node) for t in at.tasks}
    tasks = tuple(TaskSnapshot(**{"id": t.id, "name": t.node, "path": t.path, "interrupts": asked[t.id]} | changed) for t in at.tasks)
    config = {"configurable": {"thread_id": "t", "checkpoint_id": f"{at.nonce}-{at.seq:010d}"}}
    return StateSnapshot({}, tuple(t.name for t in tasks), config, {}, None, None, tasks, tuple(i for t in tasks for i in t.interrupts))


def with_state(snapshot, node, *states, **changed):
    """The snapshot with these snapshots of the graphs that the node's tasks run; `changed`: what else the tasks show."""
    task = only(snapshot, node)
    shown = {f.name: getattr(task, f.name) for f in fields(task)} | changed
    others = [t for t in snapshot.tasks if t.name != node]
    tasks = (*others, *(SimpleNamespace(**shown | {"state": state}) for state in states))
    return replace(snapshot, tasks=tasks, interrupts=changed.get("interrupts", snapshot.interrupts))


QUIET = {"interrupts": (), "error": None}
"""A task that says nothing of what waits or failed inside."""


def test_what_waits_inside_waits_outside_too(saver):
    g = wrapped(chain(None, ("load", work), ("review", ask), ("save", work)), saver)
    snapshot = stand(g)
    state = inside(saver, "t", only(snapshot, "mid"))
    marks = marks_of(g.topology, saver, with_state(snapshot, "mid", state, **QUIET), "t")
    assert marks == Marks({"in": "done", "mid": "waiting"}, {"mid": Marks({"load": "done", "review": "waiting"})})


def test_what_failed_inside_failed_outside_too(saver):
    g = wrapped(chain(None, ("load", work), ("charge", fail)), saver)
    snapshot = stand(g)
    state = inside(saver, "t", only(snapshot, "mid"), error="RuntimeError: no")
    marks = marks_of(g.topology, saver, with_state(snapshot, "mid", state, **QUIET), "t")
    assert marks == Marks({"in": "done", "mid": "failed"}, {"mid": Marks({"load": "done", "charge": "failed"})})


def test_what_runs_inside_leaves_the_node_running(saver):
    g = wrapped(chain(None, ("load", work), ("charge", fail)), saver)
    snapshot = stand(g)
    state = inside(saver, "t", only(snapshot, "mid"))
    marks = marks_of(g.topology, saver, with_state(snapshot, "mid", state, **QUIET), "t")
    assert marks == Marks({"in": "done", "mid": "running"}, {"mid": Marks({"load": "done", "charge": "running"})})


def test_a_task_with_a_result_is_done_whatever_its_graph_left(saver):
    g = wrapped(chain(None, ("review", ask)), saver)
    snapshot = stand(g)
    state = inside(saver, "t", only(snapshot, "mid"))
    assert marks_of(g.topology, saver, with_state(snapshot, "mid", state, result={}, interrupts=()), "t").nodes["mid"] == "done"


def test_a_static_pause_inside_waits_on_both_levels(saver):
    g = wrapped(chain(None, ("load", work), ("save", ask)), saver)
    snapshot = stand(g)
    paused = inside(saver, "t", only(snapshot, "mid"), interrupts=())
    paused = replace(paused, interrupts=only(snapshot, "mid").interrupts)  # a question that is of no task
    marks = marks_of(g.topology, saver, with_state(snapshot, "mid", paused, **QUIET), "t")
    assert marks == Marks({"in": "done", "mid": "waiting"}, {"mid": Marks({"load": "done", "save": "waiting"})})


def test_a_graph_in_a_graph_in_a_graph_is_marked_on_every_level(saver):
    g = wrapped(wrapped(chain(None, ("x", work), ("y", ask))), saver)
    snapshot = stand(g)
    task = only(snapshot, "mid")
    middle = inside(saver, "t", task)
    lowest = inside(saver, nested_thread_id("t", task.id, 0), only(middle, "mid"), depth=2)
    marks = marks_of(g.topology, saver, with_state(snapshot, "mid", with_state(middle, "mid", lowest, **QUIET), **QUIET), "t")
    deep = Marks({"x": "done", "y": "waiting"})
    assert marks == Marks({"in": "done", "mid": "waiting"}, {"mid": Marks({"in": "done", "mid": "waiting"}, {"mid": deep})})


def test_of_several_tasks_of_one_node_the_one_that_needs_somebody_counts_inside_as_well(saver):
    g = wrapped(wrapped(chain(None, ("x", ask))), saver)
    snapshot = stand(g)
    task = only(snapshot, "mid")
    waits = inside(saver, "t", task)
    waits = with_state(waits, "mid", inside(saver, nested_thread_id("t", task.id, 0), only(waits, "mid"), depth=2), **QUIET)
    runs = inside(saver, "t", task, **QUIET)
    for order in ((runs, waits), (waits, runs)):
        marks = marks_of(g.topology, saver, with_state(snapshot, "mid", *order, **QUIET), "t")
        assert marks == Marks({"in": "done", "mid": "waiting"}, {"mid": Marks({"in": "done", "mid": "waiting"}, {"mid": Marks({"x": "waiting"})})})


def test_a_task_whose_graph_has_not_begun_marks_nothing_inside(saver):
    g = wrapped(chain(None, ("review", ask)), saver)
    assert marks_of(g.topology, saver, with_state(stand(g), "mid", None, **QUIET), "t") == Marks({"in": "done", "mid": "running"})


def test_what_is_inside_of_a_node_that_runs_no_graph_any_more_is_not_drawn(saver):
    g = wrapped(chain(None, ("load", work), ("review", ask)), saver)
    snapshot = stand(g)
    state = inside(saver, "t", only(snapshot, "mid"))
    plain = chain(saver, ("in", work), ("mid", work), ("out", work))
    assert marks_of(plain.topology, saver, with_state(snapshot, "mid", state, **QUIET), "t") == Marks({"in": "done", "mid": "running"})


def test_a_finished_thread_shows_what_its_inner_graphs_went_through(saver):
    lowest = StateGraph(State).add_node("x", work).add_node("y", work).add_node("never", work).add_edge(START, "x")
    lowest.add_conditional_edges("x", lambda s: "y", ["y", "never"])
    g = wrapped(wrapped(lowest.compile()), saver)
    stand(g)
    assert [line for line in g.draw(THREAD, xray=True).text.splitlines() if "never" in line or "[" not in line.split(" → ")[0]] == [
        "start → in",
        "    start → in",
        "        start → x",
        "        x [done] → y | never",
        "        never",
    ]


def test_a_thread_that_waits_inside_a_graph_inside_a_graph_is_drawn_so(saver):
    g = wrapped(wrapped(chain(None, ("x", work), ("y", ask))), saver)
    stand(g)
    assert g.draw(THREAD, xray=True).text.splitlines() == [
        "start → in",
        "in [done] → mid",
        "mid [waiting] → out",
        "    start → in",
        "    in [done] → mid",
        "    mid [waiting] → out",
        "        start → x",
        "        x [done] → y",
        "        y [waiting] → end",
        "    out → end",
        "out → end",
    ]


def test_a_node_that_is_planned_again_shows_nothing_of_its_last_round(saver):
    g = wrapped(chain(None, ("load", work)), saver)
    stand(g)
    g.update_state(THREAD, {"log": [2]}, as_node="in")
    assert "    load → end" in g.draw(THREAD, xray=True).text.splitlines()
    assert "mid [running] → out" in g.draw(THREAD, xray=True).text.splitlines()


def test_the_marks_inside_are_in_every_form_and_only_when_opened(saver):
    g = wrapped(chain(None, ("load", work), ("review", ask)), saver)
    snapshot = stand(g)
    marks = marks_of(g.topology, saver, with_state(snapshot, "mid", inside(saver, "t", only(snapshot, "mid"))), "t")
    opened, closed = (draw(g.topology, "g", marks, xray=xray) for xray in (True, False))
    assert "mid [waiting] → out\n    start → load\n    load [done] → review\n    review [waiting] → end" in opened.text
    assert "mid {graph} [waiting] → out" in closed.text
    assert "review" not in closed.text + closed.svg + closed.mermaid
    lines = [line.strip() for line in opened.mermaid.splitlines()]
    assert {'n2_0[["mid<br/>waiting"]]', 'n2_1["load<br/>done"]', "class n1,n2_1 done", "class n2_0,n2_2 waiting"} <= set(lines)
    assert opened.svg.count(">waiting</text>") == 2
    assert opened.svg.count(">done</text>") == 2
    assert closed.svg.count(">waiting</text>") == closed.svg.count(">done</text>") == 1
