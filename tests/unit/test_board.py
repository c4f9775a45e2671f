"""The lines of an inbox stay in their place: what is answered says so there, what is new is counted, and another order comes only when asked for."""

from datetime import UTC, datetime, timedelta

import pytest

from hitl_nb import MemorySaver, StateGraph, interrupt
from hitl_nb.decisions.forms import form_for
from hitl_nb.decisions.request import Request
from hitl_nb.errors import InvalidAnswerError
from hitl_nb.waiting.board import Board
from hitl_nb.waiting.listing import Filters
from hitl_nb.waiting.recording import record_answer
from hitl_nb.waiting.together import answers, together

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


class Store:
    """Asks questions, a minute apart."""

    def __init__(self):
        self.saver, self.now = MemorySaver(), NOON
        self.saver.clock = lambda: self.now

    def ask(self, thread, payload="Publish?", *, graph="articles", node="check", **terms):
        self.now += timedelta(minutes=1)
        build = StateGraph().add_node(node, lambda state: {"answer": interrupt(payload, **terms)}).set_entry_point(node)
        build.compile(checkpointer=self.saver, name=graph, now=lambda: self.now).invoke({"n": 1}, {"configurable": {"thread_id": thread}})

    def question(self, thread):
        return next(self.saver.question(q.interrupt_id) for q in self.saver.open_questions() if q.thread_id == thread)

    def answer(self, thread, *, reviewer="sam", how="console"):
        return record_answer(self.saver, self.question(thread), True, reviewer=reviewer, how=how, now=self.now)

    def board(self, *, sort="deadline", **filters):
        board = Board(self.saver, Filters(**filters), sort=sort, reviewer="dana", now=lambda: self.now)
        board.read()
        board.arrange()
        return board


def threads(board):
    return [line.brief.thread_id for line in board.lines]


@pytest.fixture
def store():
    made = Store()
    made.ask("tea", assignee="dana", deadline=timedelta(hours=5))
    made.ask("coffee")
    made.ask("cocoa", assignee="sam", deadline=timedelta(hours=1), graph="drinks", node="taste")
    return made


def test_the_order_is_by_deadline_or_by_age(store):
    assert threads(store.board()) == ["cocoa", "tea", "coffee"]
    assert threads(store.board(sort="age")) == ["tea", "coffee", "cocoa"]


def test_what_is_answered_here_or_elsewhere_stays_in_its_place_and_says_so(store):
    board = store.board()
    decision = store.answer("tea", reviewer="dana", how="inbox")
    board.answered(decision)
    elsewhere = store.answer("cocoa")
    board.read()
    assert [(line.brief.thread_id, line.state) for line in board.lines] == [("cocoa", "elsewhere"), ("tea", "answered"), ("coffee", "open")]
    assert [line.decision for line in board.lines] == [elsewhere, decision, None]
    assert (board.done, len(board.open)) == (1, 1)
    board.arrange()
    assert threads(board) == ["coffee"]
    assert board.done == 1


def test_a_question_that_is_no_longer_asked_says_so(store):
    board = store.board()
    store.saver.delete_thread("tea")
    board.read()
    assert [line.state for line in board.lines] == ["open", "gone", "open"]


def test_what_is_new_is_counted_and_put_in_its_place_when_asked_for(store):
    board = store.board()
    store.ask("mate", deadline=timedelta(minutes=5))
    store.ask("milk")
    board.read()
    assert board.new == 2
    assert threads(board) == ["cocoa", "tea", "coffee"]
    board.arrange()
    assert threads(board) == ["mate", "cocoa", "tea", "coffee", "milk"]
    assert board.new == 0


def test_what_is_new_comes_by_itself_when_nothing_else_is_open(store):
    board = store.board(threads={"tea", "mate"})
    board.answered(store.answer("tea"))
    board.read()
    assert board.next_open() is None
    store.ask("mate")
    store.ask("milk")
    board.read()
    assert [(line.brief.thread_id, line.state) for line in board.lines] == [("mate", "open"), ("tea", "answered")]


def test_a_run_that_failed_is_told_until_the_end(store):
    board = store.board()
    decision = store.answer("coffee")
    board.answered(decision)
    board.ran({"coffee"}, "Answer recorded; running it failed: ValueError: no", failed=True)
    board.arrange()
    assert threads(board) == ["coffee", "cocoa", "tea"]
    assert board.lines[0].told.endswith("ValueError: no")


def test_the_next_open_one_is_found_from_any_line_and_round_the_end(store):
    board = store.board()
    cocoa, tea, coffee = (line.id for line in board.lines)
    assert board.next_open().id == cocoa
    assert board.next_open(tea).id == coffee
    assert board.next_open(coffee).id == cocoa
    assert board.next_open(cocoa, -1).id == coffee
    board.answered(store.answer("coffee"))
    assert board.next_open(tea).id == cocoa
    board.answered(store.answer("cocoa"))
    assert board.next_open(tea) is None


def test_what_is_overdue_takes_no_answer_and_is_passed_by(store):
    board = store.board()
    store.now += timedelta(hours=2)
    assert board.next_open().brief.thread_id == "tea"
    assert [line.state for line in board.lines] == ["open"] * 3


def test_counts_tell_what_each_filter_would_leave(store):
    board = store.board()
    assert [board.count(which) for which in ("all", "mine", "overdue")] == [3, 1, 0]
    assert board.counts("graph") == {"articles": 2, "drinks": 1}
    assert board.counts("assignee") == {"": 1, "dana": 1, "sam": 1}
    store.now += timedelta(hours=2)
    assert board.count("overdue") == 1
    board.filters = Filters(graph="articles")
    assert board.counts("graph") == {"articles": 2, "drinks": 1}
    assert board.counts("assignee") == {"": 1, "dana": 1}
    board.mine = True
    board.arrange()
    assert threads(board) == ["tea"]


def test_text_is_looked_for_in_payloads_and_each_is_read_once(store, monkeypatch):
    store.ask("long", {"question": "Publish?", "draft": "About the harvest in Assam"})
    board = store.board()
    board.filters = Filters(text="assam harvest")
    board.arrange()
    assert threads(board) == ["long"]
    monkeypatch.setattr(store.saver, "question", lambda _: pytest.fail("it was read before"))
    board.read()
    board.arrange()
    assert threads(board) == ["long"]


# -- one answer for many


def requests(store, *names):
    return [Request(store.question(name), form_for(store.question(name), reviewer="dana")) for name in names]


ROUTE = {"question": "Which route?", "options": ["road", "rail"]}


def test_questions_of_one_kind_are_answered_together_and_the_others_left_out_with_the_reason(store):
    store.ask("a", ROUTE)
    store.ask("b", {**ROUTE, "question": "Which way?"})
    store.ask("c", {**ROUTE, "options": ["road", "air"]})
    store.ask("d", ROUTE, node="other")
    store.ask("e", {"question": "Which title?", "type": "text"})
    store.ask("f", ROUTE, deadline=timedelta(minutes=1))
    those = together(requests(store, "c", "a", "b", "d", "e", "f"), store.now + timedelta(hours=1))
    assert [r.question.thread_id for r in those.meant] == ["a", "b"]
    assert {r.question.thread_id: why for r, why in those.left_out} == {
        "c": "has other options",
        "d": "is asked by another node, articles / other",
        "e": "needs an answer of its own",
        "f": "could be answered until 2026-05-04 12:10:00 UTC",
    }
    assert [o.value for o in those.options] == ["road", "rail"]
    assert [(r.question.thread_id, value, why) for r, value, why in answers(those.meant, those.options[1], "")] == [
        ("a", "rail", ""),
        ("b", "rail", ""),
    ]


def test_texts_and_forms_are_never_answered_together(store):
    store.ask("a", {"question": "Which title?", "type": "text"})
    store.ask("b", {"question": "Which title?", "type": "text"})
    those = together(requests(store, "a", "b"), store.now)
    assert (those.kind, those.meant, those.options) == (None, (), ())
    assert [why for _, why in those.left_out] == ["needs an answer of its own"] * 2


def test_a_comment_goes_to_each_and_an_option_that_needs_one_says_so(store):
    review = {"stage": "legal", "document": "One", "options": ["approve", "request_changes"]}
    store.ask("a", review)
    store.ask("b", {**review, "document": "Two"})
    those = together(requests(store, "a", "b"), store.now)
    assert [value for _, value, _ in answers(those.meant, those.options[0], "fine")] == [{"action": "approve", "feedback": "fine"}] * 2
    needs = next(o for o in those.options if o.needs_comment)
    with pytest.raises(InvalidAnswerError, match="needs a comment"):
        answers(those.meant, needs, " ")
