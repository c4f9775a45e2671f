"""Several answers of a view at once: recorded together, run once, and whatever cannot be recorded is told for its own question."""

import operator
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Annotated, Any, TypedDict

import pytest

from hitl_nb import END, START, MemorySaver, Send, StateGraph, interrupt
from hitl_nb.checkpoint.records import Decision
from hitl_nb.errors import AlreadyAnsweredError, DeadlinePassedError, InvalidAnswerError, UnknownInterruptError
from hitl_nb.responders.base import FrontEnd, View
from hitl_nb.responders.plain import wait_by_looking
from hitl_nb.session import ReviewSession

AT = datetime(2099, 1, 2, 3, 4, tzinfo=UTC)


class State(TypedDict, total=False):
    n: int
    said: Annotated[list, operator.add]


class Person(View):
    """Keeps what is asked, answers several at once, and notes what it is shown."""

    how = "card"

    def __init__(self):
        self.asked, self.shown, self.ended = [], [], Event()

    def opened(self, ways):
        self.ways = ways

    def ask(self, request, submit):
        self.asked.append(request)

    def decided(self, request, decision):
        self.shown.append((decision.number, decision.answer))

    def finished(self):
        self.ended.set()


class Counting(MemorySaver):
    """Knows how often answers were recorded."""

    def __init__(self):
        super().__init__()
        self.recorded, self.tries, self.before = [], 0, None

    def record(self, thread_id, decisions):
        self.tries += 1
        call, self.before = self.before, None
        if call is not None:
            call()
        recorded = super().record(thread_id, decisions)
        self.recorded.append(len(decisions))
        return recorded


class Room:
    def __init__(self, count=4, **terms):
        self.saver, self.person, self.ran = Counting(), Person(), []
        self.now = AT

        def item(state: State) -> dict[str, Any]:
            answer = interrupt(f"Is {state['n']} right?", schema=bool, **terms)
            self.ran.append((state["n"], answer))
            return {"said": [(state["n"], answer)]}

        build = StateGraph(State).add_node("item", item).add_edge("item", END)
        build.add_conditional_edges(START, lambda state: [Send("item", {"n": n}) for n in range(count)])
        self.graph = build.compile(checkpointer=self.saver)
        self.session = ReviewSession(
            self.graph, self.saver, "t", FrontEnd(self.person, self.person, wait_by_looking), "Dana", now=lambda: self.now, sleep=lambda s: None
        )
        self.session.open({})

    def answer(self, *answers):
        return self.person.ways.answer([(r, a) for r, a in zip(self.person.asked, answers, strict=False) if a is not None])

    def elsewhere(self, number, answer):
        question = self.person.asked[number].question
        MemorySaver.record(self.saver, "t", [Decision(question.id, "t", "item", -1, answer, "Sam", AT, "code", question.digest)])


@pytest.fixture
def room():
    return Room()


def test_all_answers_are_one_transaction_and_each_reaches_its_own_node_once(room):
    made = room.answer(True, False, True, False)
    assert room.session.result(10)["said"] == [(0, True), (1, False), (2, True), (3, False)]
    assert sorted(room.ran) == [(0, True), (1, False), (2, True), (3, False)]
    assert room.saver.recorded == [4]
    assert [(d.number, d.answer, d.reviewer, d.how) for d in made] == [
        (0, True, "Dana", "card"),
        (1, False, "Dana", "card"),
        (2, True, "Dana", "card"),
        (3, False, "Dana", "card"),
    ]
    assert room.person.shown == [(0, True), (1, False), (2, True), (3, False)]
    stored = room.saver.decisions("t")
    assert [(d.number, d.seq, d.interrupt_id) for d in stored] == [(d.number, d.seq, d.interrupt_id) for d in made]


def test_a_part_can_be_sent_and_the_rest_stays_open(room):
    room.answer(None, True, None, False)
    with pytest.raises(TimeoutError):
        room.session.result(0.2)
    assert [(n, a) for n, a in room.ran] == [(1, True), (3, False)]
    assert [r.form.heading for r in room.session.pending] == ["Is 0 right?", "Is 2 right?"]
    room.answer(True, None, True)
    assert [a for _, a in room.session.result(10)["said"]] == [True, True, True, False]


def test_an_answer_that_somebody_else_gave_meanwhile_is_told_and_the_others_count(room):
    room.elsewhere(1, False)
    made = room.answer(True, True, True, True)
    assert [type(m).__name__ for m in made] == ["Decision", "AlreadyAnsweredError", "Decision", "Decision"]
    assert made[1].reviewer == "Sam"
    assert room.session.result(10)["said"] == [(0, True), (1, False), (2, True), (3, True)]
    assert [d.number for d in room.saver.decisions("t")] == [0, 1, 2, 3]
    assert [(d.number, d.answer) for d in made if isinstance(d, Decision)] == [(1, True), (2, True), (3, True)]


def test_a_rival_between_the_check_and_the_transaction_costs_only_his_own_questions(room):
    room.saver.before = lambda: (room.elsewhere(0, False), room.elsewhere(3, False))
    made = room.answer(True, True, True, True)
    assert [type(m).__name__ for m in made] == ["AlreadyAnsweredError", "Decision", "Decision", "AlreadyAnsweredError"]
    assert room.saver.recorded == [2]
    assert room.session.result(10)["said"] == [(0, False), (1, True), (2, True), (3, False)]


def test_when_all_were_answered_elsewhere_nothing_is_recorded(room):
    for n in range(4):
        room.elsewhere(n, True)
    assert all(isinstance(m, AlreadyAnsweredError) for m in room.answer(False, False, False, False))
    assert room.saver.recorded == []
    assert [a for _, a in room.session.result(10)["said"]] == [True] * 4


def test_answers_that_do_not_fit_or_come_late_are_told_for_their_questions():
    room = Room(deadline=AT + timedelta(hours=1))
    made = room.answer(True, "yes")
    assert isinstance(made[0], Decision)
    assert isinstance(made[1], InvalidAnswerError)
    room.now = AT + timedelta(hours=2)
    late = room.answer(None, True, True)
    assert [type(m) for m in late] == [DeadlinePassedError, DeadlinePassedError]
    assert room.saver.tries == 2, "one look finds all that cannot be recorded"
    assert len(room.saver.decisions("t")) == 1


def test_an_answer_to_a_question_that_is_no_longer_asked_goes_nowhere(room):
    room.graph.update_state({"configurable": {"thread_id": "t"}}, {"said": []}, as_node="item")
    made = room.answer(True, True, True, True)
    assert all(isinstance(m, (UnknownInterruptError, AlreadyAnsweredError)) for m in made)
    assert room.saver.decisions("t") == []
    assert room.ran == []


def test_when_the_store_fails_nothing_is_recorded_and_the_same_answers_can_be_sent_again(room):
    def full():
        raise OSError("No space left on device")

    room.saver.before = full
    with pytest.raises(OSError, match="No space left"):
        room.answer(True, True, True, True)
    assert room.saver.decisions("t") == []
    room.answer(True, True, True, True)
    assert room.session.result(10)["said"] == [(n, True) for n in range(4)]


def test_a_question_that_was_answered_while_the_others_were_asked_is_not_asked():
    class Quick(Person):
        def ask(self, request, submit):
            super().ask(request, submit)
            if len(self.asked) == 1:  # from another Python thread, say
                [other] = [r for r in desk.session.pending if r.question.id != request.question.id]
                self.ways.answer([(other, "other")])

    def item(state):
        return {"said": [interrupt({"n": state["n"]})]}

    class Desk:
        build = StateGraph(State).add_node("item", item).add_edge("item", END)
        build.add_conditional_edges(START, lambda state: [Send("item", {"n": n}) for n in range(2)])
        saver, person = MemorySaver(), Quick()
        graph = build.compile(checkpointer=saver)
        session = ReviewSession(graph, saver, "t", FrontEnd(person, person, wait_by_looking), "Dana", now=lambda: AT, sleep=lambda s: None)

    desk = Desk()
    desk.session.open({})
    assert len(desk.person.asked) == 1
    assert len(desk.session.pending) == 1
    desk.person.ways.answer([(desk.person.asked[0], "first")])
    assert sorted(desk.session.result(timeout_s=20)["said"]) == ["first", "other"]
