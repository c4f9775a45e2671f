"""How the picture marks a thread's nodes: from the store, with a word and an icon for each."""

from __future__ import annotations

import operator
from itertools import pairwise
from typing import Annotated, TypedDict
from xml.etree import ElementTree as ET

import pytest

from hitl_nb import END, START, Command, MemorySaver, Send, StateGraph, interrupt
from hitl_nb.errors import GraphError
from hitl_nb.graph.drawing.marks import LOOK_BACK

THREAD = {"configurable": {"thread_id": "t"}}


class State(TypedDict):
    log: Annotated[list, operator.add]


def work(state):
    return {"log": [1]}


def ask(state):
    return {"log": [interrupt("Go on?")]}


def fail(state):
    raise RuntimeError("no")


def graph(*nodes, after=None, saver=None, **pauses):
    """START → the first node → … → END; `nodes`: (name, function)."""
    builder = StateGraph(State)
    for name, fn in nodes:
        builder.add_node(name, fn)
    names = [START, *(name for name, _ in nodes), END]
    for source, target in pairwise(names):
        builder.add_edge(source, target)
    return builder.compile(saver or MemorySaver(), name="g", **pauses)


def marked(graph, config=THREAD):
    """The words in brackets, by node."""
    starts = [part for line in graph.draw(config).text.splitlines() for part in line.split(" → ")[0].split(" + ")]
    return {part.split(" [")[0]: part.split(" [")[1].rstrip("]") for part in starts if " [" in part}


def test_what_ran_is_done_and_what_asks_is_waiting():
    g = graph(("load", work), ("review", ask), ("publish", work))
    g.invoke({}, THREAD)
    assert marked(g) == {"load": "done", "review": "waiting"}
    g.invoke(Command(resume=True), THREAD)
    assert marked(g) == {"load": "done", "review": "done", "publish": "done"}


def test_a_node_that_raised_is_failed():
    g = graph(("load", work), ("charge", fail), ("mail", work))
    with pytest.raises(RuntimeError):
        g.invoke({}, THREAD)
    assert marked(g) == {"load": "done", "charge": "failed"}


def test_a_node_that_is_planned_and_asks_nobody_is_running():
    g = graph(("load", work), ("review", ask), ("publish", work))
    g.invoke({}, THREAD)
    g.update_state(THREAD, {"log": [2]}, as_node="load")
    g.update_state(THREAD, {"log": [2]}, as_node="review")
    assert marked(g) == {"load": "done", "review": "done", "publish": "running"}


def test_nodes_of_one_superstep_stand_each_for_themselves():
    builder = StateGraph(State)
    for name, fn in (("a", work), ("b", ask), ("c", fail), ("z", work)):
        builder.add_node(name, fn)
        if name != "z":
            builder.add_edge(START, name)
    g = builder.add_edge(["a", "b", "c"], "z").compile(MemorySaver())
    with pytest.raises(RuntimeError):
        g.invoke({}, THREAD)
    assert marked(g) == {"a": "done", "b": "waiting", "c": "failed"}


def test_of_many_tasks_of_one_node_the_one_that_needs_somebody_counts():
    builder = StateGraph(State)
    builder.add_node("each", lambda arg: ask(arg) if arg == 1 else work(arg))
    builder.add_conditional_edges(START, lambda s: [Send("each", n) for n in range(3)])
    g = builder.compile(MemorySaver())
    g.invoke({}, THREAD)
    assert marked(g) == {"each": "waiting"}


def test_a_static_pause_makes_what_comes_next_wait():
    g = graph(("a", work), ("b", work), ("c", work), interrupt_before=["b"], interrupt_after=["b"])
    g.invoke({}, THREAD)
    assert marked(g) == {"a": "done", "b": "waiting"}
    g.invoke(None, THREAD)
    assert marked(g) == {"a": "done", "b": "done", "c": "waiting"}


def test_a_static_pause_with_nothing_to_come_marks_the_node_it_came_after():
    g = graph(("a", work), ("b", work), interrupt_before=["b"], interrupt_after=["b"])
    g.invoke({}, THREAD)
    g.update_state(THREAD, {"log": [2]}, as_node="b")
    assert marked(g) == {"a": "done", "b": "waiting"}


def test_a_loop_that_asks_again_is_waiting_again():
    builder = StateGraph(State).add_node("write", work).add_node("review", ask)
    builder.add_edge(START, "write").add_edge("write", "review")
    g = builder.add_conditional_edges("review", lambda s: END if s["log"][-1] == "ok" else "write", ["write", END]).compile(MemorySaver())
    g.invoke({}, THREAD)
    g.invoke(Command(resume="again"), THREAD)
    assert marked(g) == {"write": "done", "review": "waiting"}


def test_a_new_input_to_a_finished_thread_starts_unmarked():
    g = graph(("load", work), ("review", ask), ("publish", work))
    g.invoke({}, THREAD)
    g.invoke(Command(resume=True), THREAD)
    g.invoke({"log": [5]}, THREAD)
    assert marked(g) == {"load": "done", "review": "waiting"}


def test_what_a_fork_left_behind_is_not_done():
    g = graph(("a", work), ("b", work), ("c", work))
    g.invoke({}, THREAD)
    before_b = next(s for s in g.get_state_history(THREAD) if s.next == ("b",))
    g.update_state(before_b.config, {"log": [9]}, as_node="a")
    assert marked(g) == {"a": "done", "b": "running"}


def test_an_earlier_checkpoint_is_drawn_as_the_thread_stood_there():
    g = graph(("a", work), ("b", work), ("c", work))
    g.invoke({}, THREAD)
    after_a = next(s for s in g.get_state_history(THREAD) if s.next == ("b",))
    assert marked(g, after_a.config) == {"a": "done", "b": "running"}


def test_an_unknown_thread_is_drawn_as_the_bare_graph():
    g = graph(("a", work))
    assert g.draw(THREAD) == g.draw()


def test_a_thread_of_a_graph_that_keeps_none_is_an_error_with_the_cure():
    g = StateGraph().add_node("a", work).add_edge(START, "a").compile()
    with pytest.raises(GraphError, match="compile\\(checkpointer="):
        g.draw(THREAD)


def test_a_node_that_the_graph_no_longer_has_is_not_drawn():
    saver = MemorySaver()
    graph(("old", work), ("review", ask), saver=saver).invoke({}, THREAD)
    renamed = graph(("new", work), ("review", ask), saver=saver)
    assert marked(renamed) == {"review": "waiting"}


def test_looking_back_has_an_end_and_reads_no_values():
    class Counting(MemorySaver):
        checkpoints = values_read = 0

        def checkpoint(self, thread_id, seq):
            self.checkpoints += 1
            return super().checkpoint(thread_id, seq)

        def encoded(self, thread_id, checkpoint):
            self.values_read += 1
            return super().encoded(thread_id, checkpoint)

    saver = Counting()
    builder = StateGraph().add_node("first", work).add_node("spin", lambda s: {"n": s["n"] + 1}).add_edge(START, "first").add_edge("first", "spin")
    g = builder.add_conditional_edges("spin", lambda s: "spin" if s["n"] < LOOK_BACK + 50 else END, ["spin", END]).compile(saver)
    g.invoke({"n": 0}, THREAD)
    saver.checkpoints = saver.values_read = 0
    assert marked(g) == {"spin": "done"}, "what lies further back than it looks is not marked"
    assert saver.checkpoints <= LOOK_BACK + 5
    assert saver.values_read == 1


def test_every_mark_has_its_word_and_an_icon_of_its_own_shape():
    builder = StateGraph(State)
    for name, fn in (("a", work), ("b", ask), ("c", fail)):
        builder.add_node(name, fn).add_edge(START, name)
    g = builder.compile(MemorySaver())
    with pytest.raises(RuntimeError):
        g.invoke({}, THREAD)
    running = graph(("a", work), ("b", work))
    running.invoke({}, THREAD)
    running.update_state(THREAD, {}, as_node="a")
    pictures = [g.draw(THREAD), running.draw(THREAD)]
    svg = "{http://www.w3.org/2000/svg}"
    icons = {}
    for picture in pictures:
        drawn = list(ET.fromstring(picture.svg).find(f"{svg}g"))
        for icon, word in pairwise(drawn):
            if icon.tag == f"{svg}g":
                icons["".join(word.itertext())] = "".join(ET.tostring(part, encoding="unicode") for part in icon)
    assert set(icons) == {"done", "running", "waiting", "failed"}
    assert len(set(icons.values())) == 4
    for mark, picture in (("done", pictures[0]), ("waiting", pictures[0]), ("failed", pictures[0]), ("running", pictures[1])):
        assert f"<br/>{mark}" in picture.mermaid
        assert f"classDef {mark} " in picture.mermaid
