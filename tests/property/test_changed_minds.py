"""However often people change their minds on the way, a run ends with the state of the undisturbed one: what they say in the end is the same."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

from faults import Crash, MemoryStore, Process
from graphs import AT, World, answer_of, build, graph_specs
from hypothesis import event, given, settings
from hypothesis import strategies as st
from reviewing import THREAD, Reviewer
from test_random_runs import CONFIG, LARGE, common, deaths, pytestmark, undisturbed

from hitl_nb import Command
from hitl_nb.errors import UnknownInterruptError

ELSEWHERE = "elsewhere"
__all__ = ["pytestmark"]


class Wavering(Reviewer):
    """Reopens what was decided, goes back to earlier checkpoints, lets deadlines pass, answers with an update, prunes and moves the thread."""

    def __init__(self, *args: Any, changes: int) -> None:
        super().__init__(*args)
        self.changes = changes
        self.done: list[str] = []

    def answer(self) -> list[str]:
        if self.changes and self.rng.random() < 0.5:
            self.changes -= 1
            change = self.rng.choice([self.reopen, self.go_back, self.let_pass, self.amend, self.prune, self.move])
            change()
            return []
        return super().answer()

    def reopen(self) -> None:
        made = [d for d in self.saver.decisions(THREAD) if d.payload_digest and self.saver.question(d.interrupt_id).kind == "dynamic"]
        if not made:
            return
        chosen = self.rng.choice(made).interrupt_id
        try:
            self.graph.reopen(self.config, chosen)
        except UnknownInterruptError:  # it was reopened before, or the thread went back behind it
            return
        assert chosen not in {i.id for i in self.graph.get_state(CONFIG).interrupts}, "a decision that stays in the record is open again"
        self.done.append("reopened")
        self.go_on()

    def go_back(self) -> None:
        history = list(self.graph.get_state_history(CONFIG))
        earlier = self.rng.choice(history).config
        self.done.append("went back")
        self._protected(lambda: self.graph.invoke(None, {**self.config, **earlier}))

    def let_pass(self) -> None:
        passed = self.graph.expire(self.config, now=AT + timedelta(hours=2))
        assert {e.outcome for e in passed} <= {"default"}
        self.done += ["expired"] * bool(passed)
        self.go_on()

    def prune(self) -> None:
        self.saver.prune([THREAD])
        self.done.append("pruned")

    def move(self) -> None:
        """To a thread of another name and back: the copy of a copy goes on as the original would have."""
        ledger = self.saver.ledger(THREAD, self.saver.head(THREAD))
        if any(ledger.asked[i].kind == "static" for i in ledger.answered):  # the copy would show that pause again, beside the questions behind it
            return
        self.saver.copy_thread(THREAD, ELSEWHERE)
        self.saver.delete_thread(THREAD)
        come_home(self.saver)
        self.done.append("moved")
        self.go_on()

    def amend(self) -> None:
        asked = self.graph.get_state(CONFIG).interrupts
        some = self.rng.sample(asked, self.rng.randint(1, len(asked)))
        self.done.append("amended")
        self._run(Command(update={"turns": {}}, resume={i.id: answer_of(i.value) for i in some}))


def come_home(saver: Any) -> None:
    """End a move, also one that was cut off."""
    if saver.head(THREAD) is None:
        saver.copy_thread(ELSEWHERE, THREAD)
    saver.delete_thread(ELSEWHERE)


@settings(common, max_examples=LARGE or 60)
@given(graph_specs(), deaths, st.integers(0, 2**32))
def test_a_random_run_that_people_send_back_ends_with_the_state_of_the_undisturbed_one(spec, dying, seed):
    expected, _, whole = undisturbed(spec)
    rng, world, store = Random(seed), World(outages=True), MemoryStore()
    changes = 5
    done: list[str] = []
    for death in [*dying, None]:
        process = Process(None if death is None else 1 + death.millionths * 2 * (whole.writes + whole.reads) // 1_000_000)
        graph = build(spec, store.open(process), world)
        reviewer = Wavering(graph, spec, world, rng, changes=changes)
        try:
            if graph.checkpointer.head(ELSEWHERE) is not None:
                come_home(graph.checkpointer)
            if graph.checkpointer.head(THREAD) is None:
                reviewer.begin()
            else:
                reviewer.go_on()
            while (shown := graph.get_state(CONFIG)).next:
                assert {q.interrupt_id for q in graph.checkpointer.open_questions()} == {i.id for i in shown.interrupts} != set()
                reviewer.answer()
            while reviewer.changes and rng.random() < 0.5:  # when all is over, too
                reviewer.changes -= 1
                rng.choice([reviewer.reopen, reviewer.go_back, reviewer.prune, reviewer.move])()
                while graph.get_state(CONFIG).next:
                    reviewer.answer()
        except Crash:
            changes, done = reviewer.changes, [*done, *reviewer.done]
            continue
        done += reviewer.done
        break
    process.dies_at = None
    last = graph.get_state(CONFIG)
    assert (last.values, last.next, last.interrupts) == (expected.state, (), ())
    assert graph.checkpointer.open_questions() == []
    decisions = graph.checkpointer.decisions(THREAD)
    assert len({d.interrupt_id for d in decisions}) == len(decisions), "a question was answered twice"
    for decision in decisions:
        assert decision.answer == answer_of(graph.checkpointer.question(decision.interrupt_id).payload)
    for change in set(done):
        event(change)
