"""How the picture marks the nodes of graphs inside nodes: from the snapshots of their threads."""

from __future__ import annotations

import operator
from dataclasses import fields, replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Annotated, TypedDict

import pytest

from hitl_nb import END, START, Command, MemorySaver, StateGraph, interrupt
from hitl_nb.graph.drawing.marks import Marks, marks_of
from hitl_nb.graph.drawing.picture import draw


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


def chain(saver, *nodes, **pauses):
    """START → the first node → … → END; `nodes`: (name, function)."""
    builder = StateGraph(State)
    for name, fn in nodes:
        builder.add_node(name, fn)
    for source, target in pairwise([START, *(name for name, _ in nodes), END]):
        builder.add_edge(source, target)
    return builder.compile(saver, **pauses)


def stand(graph, thread, *answers):
    """The snapshot of the graph's own thread, after it ran until it asks, fails or ends."""
    config = {"configurable": {"thread_id": thread}}
    for given in ({}, *(Command(resume=a) for a in answers)):
        try:
            graph.invoke(given, config)
        except RuntimeError:
            break
    return graph.get_state(config)


def around(outer, snapshot, node, *inner, **changed):
    """The snapshot, with the snapshots of the threads that the node's tasks run inside; `changed`: what else the tasks show."""
    (task,) = (t for t in snapshot.tasks if t.name == node)
    shown = {f.name: getattr(task, f.name) for f in fields(task)} | changed
    others = [t for t in snapshot.tasks if t.name != node]
    return replace(snapshot, tasks=(*others, *(SimpleNamespace(**shown | {"state": state}) for state in inner)))


def running(outer, thread="outer"):
    """The snapshot of a thread whose next node is `mid`, which nobody is asked about."""
    stand(outer, thread)
    outer.update_state({"configurable": {"thread_id": thread}}, {"log": []}, as_node="in")
    return outer.get_state({"configurable": {"thread_id": thread}})


def wrapped(saver, inner):
    """`in` → `mid`, which runs `inner` → `out`."""
    outer = chain(saver, ("in", ask), ("mid", work), ("out", work))
    outer.topology.nodes["mid"] = replace(outer.topology.nodes["mid"], subgraph=inner)
    return outer


def test_what_waits_inside_waits_outside_too(saver):
    inner = chain(saver, ("load", work), ("review", ask), ("save", work))
    outer = wrapped(saver, inner)
    marks = marks_of(outer.topology, saver, around(outer, running(outer), "mid", stand(inner, "inner")))
    assert marks == Marks({"in": "done", "mid": "waiting"}, {"mid": Marks({"load": "done", "review": "waiting"})})


def test_what_failed_inside_failed_outside_too(saver):
    inner = chain(saver, ("load", work), ("charge", fail))
    outer = wrapped(saver, inner)
    marks = marks_of(outer.topology, saver, around(outer, running(outer), "mid", stand(inner, "inner")))
    assert marks == Marks({"in": "done", "mid": "failed"}, {"mid": Marks({"load": "done", "charge": "failed"})})


def test_what_is_done_inside_leaves_the_node_running(saver):
    inner = chain(saver, ("load", work))
    outer = wrapped(saver, inner)
    marks = marks_of(outer.topology, saver, around(outer, running(outer), "mid", stand(inner, "inner")))
    assert marks == Marks({"in": "done", "mid": "running"}, {"mid": Marks({"load": "done"})})


def test_a_node_with_a_result_is_done_whatever_its_graph_left(saver):
    inner = chain(saver, ("review", ask))
    outer = wrapped(saver, inner)
    marks = marks_of(outer.topology, saver, around(outer, running(outer), "mid", stand(inner, "inner"), result={"log": [1]}))
    assert marks.nodes["mid"] == "done"


def test_a_static_pause_inside_waits_on_both_levels(saver):
    inner = chain(saver, ("load", work), ("save", work), interrupt_before=["save"])
    outer = wrapped(saver, inner)
    marks = marks_of(outer.topology, saver, around(outer, running(outer), "mid", stand(inner, "inner")))
    assert marks == Marks({"in": "done", "mid": "waiting"}, {"mid": Marks({"load": "done", "save": "waiting"})})


def test_a_graph_in_a_graph_in_a_graph_is_marked_on_every_level(saver):
    deep = chain(saver, ("x", work), ("y", ask))
    middle = wrapped(saver, deep)
    inner_snapshot = around(middle, running(middle, "middle"), "mid", stand(deep, "deep"))
    outer = wrapped(saver, middle)
    marks = marks_of(outer.topology, saver, around(outer, running(outer), "mid", inner_snapshot))
    lowest = Marks({"x": "done", "y": "waiting"})
    assert marks == Marks({"in": "done", "mid": "waiting"}, {"mid": Marks({"in": "done", "mid": "waiting"}, {"mid": lowest})})


def test_of_several_tasks_of_one_node_the_one_that_needs_somebody_counts_inside_as_well(saver):
    deep = chain(saver, ("x", ask))
    inner = wrapped(saver, deep)
    outer = wrapped(saver, inner)
    ended = stand(inner, "one", "yes")
    waits = around(inner, running(inner, "two"), "mid", stand(deep, "deep"))
    for order in ((ended, waits), (waits, ended)):
        marks = marks_of(outer.topology, saver, around(outer, running(outer, f"outer{len(order[0].next)}"), "mid", *order))
        assert marks.nodes["mid"] == "waiting"
        assert marks.inside["mid"] == Marks({"in": "done", "mid": "waiting", "out": "done"}, {"mid": Marks({"x": "waiting"})})


def test_a_task_whose_graph_has_not_begun_marks_nothing_inside(saver):
    outer = wrapped(saver, chain(saver, ("load", work)))
    assert marks_of(outer.topology, saver, around(outer, running(outer), "mid", None)) == Marks({"in": "done", "mid": "running"})


def test_what_is_inside_of_a_node_that_runs_no_graph_any_more_is_not_drawn(saver):
    inner = chain(saver, ("load", work), ("review", ask))
    outer = wrapped(saver, inner)
    snapshot = around(outer, running(outer), "mid", stand(inner, "inner"))
    plain = chain(saver, ("in", ask), ("mid", work), ("out", work))
    assert marks_of(plain.topology, saver, snapshot) == Marks({"in": "done", "mid": "running"})


def test_the_marks_inside_are_in_every_form_and_only_when_opened(saver):
    inner = chain(saver, ("load", work), ("review", ask))
    outer = wrapped(saver, inner)
    marks = marks_of(outer.topology, saver, around(outer, running(outer), "mid", stand(inner, "inner")))
    opened, closed = (draw(outer.topology, "g", marks, xray=xray) for xray in (True, False))
    assert "mid [waiting] → out\n    start → load\n    load [done] → review\n    review [waiting] → end" in opened.text
    assert "mid {graph} [waiting] → out" in closed.text
    assert "review" not in closed.text + closed.svg + closed.mermaid
    lines = [line.strip() for line in opened.mermaid.splitlines()]
    assert {'n2_0[["mid<br/>waiting"]]', 'n2_1["load<br/>done"]', "class n1,n2_1 done", "class n2_0,n2_2 waiting"} <= set(lines)
    assert opened.svg.count(">waiting</text>") == 2
    assert opened.svg.count(">done</text>") == 2
    assert closed.svg.count(">waiting</text>") == closed.svg.count(">done</text>") == 1
