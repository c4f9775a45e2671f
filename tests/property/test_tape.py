"""What people decided on a random graph, in whatever order and however often they changed their minds, replays headless from its tape."""

from __future__ import annotations

import operator
from collections import Counter
from random import Random
from typing import Annotated, Any, TypedDict

from faults import MemoryStore, Process
from graphs import INPUT, World, build, graph_specs
from hypothesis import given, settings
from hypothesis import strategies as st
from reviewing import THREAD, Reviewer
from test_changed_minds import Wavering
from test_random_runs import CONFIG, LARGE, common, pytestmark

from hitl_nb import Command, MemorySaver, Send, StateGraph, interrupt, review
from hitl_nb.checkpoint.audit import log_entries
from hitl_nb.checkpoint.standing import asked_in_order, standing_decisions
from hitl_nb.checkpoint.verifying import verify
from hitl_nb.decisions.tape import tape

__all__ = ["pytestmark"]


def decided(saver: Any, thread_id: str) -> Counter[str]:
    """The decisions that count, without when and how they were made."""
    found = Counter[str]()
    for decision in standing_decisions(saver, thread_id):
        question = saver.question(decision.interrupt_id)
        found[repr((question.place, question.key, question.position, decision.answer, decision.payload_digest))] += 1
    return found


def assert_logged(saver: Any) -> None:
    """The log is whole, and each decision and each withdrawal of one is in it once."""
    assert verify(saver).problems == ()
    entries = list(log_entries(saver))
    assert [e.interrupt_id for e in entries if e.kind == "decision"] == [d.interrupt_id for d in saver.decisions(THREAD)]
    withdrawn = [e.interrupt_id for e in entries if e.kind == "withdrawn"]
    assert len(set(withdrawn)) == len(withdrawn)
    assert set(withdrawn).isdisjoint(d.interrupt_id for d in standing_decisions(saver, THREAD))


class Decided(Wavering):
    """Changes their mind only in ways that leave every decision on record."""

    def answer(self) -> list[str]:
        if self.changes and self.rng.random() < 0.3:
            self.changes -= 1
            self.rng.choice([self.reopen, self.go_back])()
            return []
        return Reviewer.answer(self)


@settings(common, max_examples=LARGE or 40)
@given(graph_specs(), st.integers(0, 4), st.integers(0, 2**32))
def test_the_tape_of_a_random_run_gives_the_same_decisions_and_state_on_a_new_store(spec, changes, seed):
    saver = MemoryStore().open(Process())
    graph = build(spec, saver, World())
    # A pause before or after a node may be passed once more than it would have been when the thread goes back behind it.
    reviewer = Decided(graph, spec, World(), Random(seed), changes=0 if spec.before or spec.after else changes)
    reviewer.begin()
    while graph.get_state(CONFIG).next:
        reviewer.answer()
    assert_logged(saver)
    text = tape(saver, [THREAD])
    assert text == tape(saver, [THREAD])
    anew = MemoryStore().open(Process())
    replayed = review(build(spec, anew, World()), INPUT, thread_id=THREAD, answers=text)
    assert replayed.state == graph.get_state(CONFIG).values
    assert decided(anew, THREAD) == decided(saver, THREAD)


class State(TypedDict):
    rounds: int
    log: Annotated[list, operator.add]


def vague_graph(saver: Any, widths: list[int], asks: list[int]) -> Any:
    """Rounds of workers side by side that all ask the same, so that only place and time tell their questions apart."""

    def worker(state: Any) -> Any:
        given = [interrupt("Go on?") for _ in range(asks[state["n"] % len(asks)])]
        return {"log": [[state["round"], state["n"], given]]}

    def collect(state: Any) -> Any:
        return {"rounds": state["rounds"] + 1, "log": [interrupt("Go on?", key="round")]}

    def onward(state: Any) -> Any:
        done = state["rounds"]
        return [Send("worker", {"round": done, "n": n}) for n in range(widths[done])] if done < len(widths) else "__end__"

    builder = StateGraph(State).add_node(worker).add_node(collect).add_edge("worker", "collect").set_entry_point("collect")
    return builder.add_conditional_edges("collect", onward).compile(saver)


@settings(common, max_examples=LARGE or 40)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.lists(st.integers(1, 3), min_size=1, max_size=3), st.integers(0, 2**32))
def test_questions_that_read_alike_get_their_own_answers_in_whatever_order_they_were_answered(widths, asks, seed):
    rng, saver = Random(seed), MemorySaver()
    graph = vague_graph(saver, widths, asks)
    graph.invoke({"rounds": 0, "log": []}, CONFIG)
    while asked := graph.get_state(CONFIG).interrupts:
        some = rng.sample(asked, rng.randint(1, len(asked)))
        graph.invoke(Command(resume={i.id: rng.randrange(1000) for i in some}), CONFIG)
        if rng.random() < 0.2 and (made := saver.decisions(THREAD)):
            try:
                graph.reopen(CONFIG, rng.choice(made).interrupt_id)
            except LookupError:
                continue
            graph.invoke(None, CONFIG)
    text = tape(saver, [THREAD])
    anew = MemorySaver()
    replayed = review(vague_graph(anew, widths, asks), {"rounds": 0, "log": []}, thread_id=THREAD, answers=text)
    assert replayed.state == graph.get_state(CONFIG).values
    assert [(q.place, q.position) for q in asked_in_order(anew, THREAD)] == [(q.place, q.position) for q in asked_in_order(saver, THREAD)]
