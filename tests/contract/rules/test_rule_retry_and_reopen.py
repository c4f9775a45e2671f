"""R6, R9: a failed node is retried with the same answer, a reopened question is asked anew, and an old approval never fits a changed question."""

from __future__ import annotations

from typing import Any

import pytest

from hitl_nb.errors import AlreadyAnsweredError, AnswerError, QuestionChangedError, UnknownInterruptError
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.types import END, START, Command


class Flaky:
    """A node that asks, and raises after the answer as long as it is told to."""

    __name__ = "pay"

    def __init__(self) -> None:
        self.broken = True
        self.seen: list[Any] = []

    def __call__(self, state):
        answer = interrupt("Pay?")
        self.seen.append(answer)
        if self.broken:
            raise ConnectionError("bank is down")
        return {"paid": answer}


@pytest.fixture
def failed(chain, saver, run, cfg):
    """A thread whose node raised after it took the answer "yes"."""
    node = Flaky()
    graph = chain(saver, node)
    question = run(graph, {}, cfg).interrupts[0]
    with pytest.raises(ConnectionError, match="bank is down"):
        run(graph, Command(resume="yes"), cfg)
    return graph, node, question


def test_the_failed_attempt_is_visible(failed, cfg):
    graph, _, _ = failed
    snapshot = graph.get_state(cfg)
    assert snapshot.next == ("pay",)
    assert snapshot.tasks[0].error == "builtins.ConnectionError: bank is down"
    assert snapshot.interrupts == ()


def test_going_on_retries_with_the_same_answer(failed, cfg, run, saver):
    graph, node, _ = failed
    with pytest.raises(ConnectionError):
        run(graph, None, cfg)
    node.broken = False
    assert run(graph, None, cfg) == {"paid": "yes"}
    assert node.seen == ["yes"] * 3
    assert len(saver.decisions("t-1")) == 1
    assert all(t.error is None for t in graph.get_state(cfg).tasks)


def test_a_new_answer_does_not_replay_and_does_not_replace_the_old_one(failed, cfg, run):
    graph, node, question = failed
    node.broken = False
    for resume in ("no", {question.id: "no"}, ["no"]):
        with pytest.raises(AlreadyAnsweredError, match="ada"):
            run(graph, Command(resume=resume), cfg)
    assert node.seen == ["yes"]
    assert run(graph, None, cfg) == {"paid": "yes"}


def test_reopen_asks_again_with_another_id_and_keeps_the_decision(failed, cfg, run, saver, only):
    graph, node, question = failed
    node.broken = False
    graph.reopen(cfg, question.id)
    again = only(run(graph, None, cfg))
    assert again.value == question.value
    assert again.id != question.id
    assert node.seen == ["yes"]
    with pytest.raises(AlreadyAnsweredError):
        run(graph, Command(resume={question.id: "yes"}), cfg)
    assert run(graph, Command(resume="no"), cfg) == {"paid": "no"}
    assert [(d.interrupt_id, d.answer) for d in saver.decisions("t-1")] == [(question.id, "yes"), (again.id, "no")]


def test_reopening_is_never_silent(failed, cfg, run):
    graph, _, question = failed
    assert graph.get_state(cfg).tasks[0].error is not None
    graph.reopen(cfg, question.id)
    assert graph.get_state(cfg).tasks[0].error is None
    assert graph.get_state(cfg).next == ("pay",)


def test_a_question_can_be_reopened_again_and_again(failed, cfg, run, only, saver):
    graph, node, question = failed
    node.broken = False
    ids = [question.id]
    for _ in range(3):
        graph.reopen(cfg, ids[-1])
        ids.append(only(run(graph, None, cfg)).id)
        node.broken = True
        with pytest.raises(ConnectionError):
            run(graph, Command(resume="x"), cfg)
        node.broken = False
    assert len(set(ids)) == 4
    assert [d.interrupt_id for d in saver.decisions("t-1")] == ids


def test_a_question_can_be_reopened_after_the_thread_has_ended(chain, saver, run, cfg, only):
    runs: list[str] = []

    def ask(state):
        runs.append("ask")
        return {"got": interrupt("?")}

    def use(state):
        runs.append("use")
        return {"used": state["got"]}

    graph = chain(saver, ask, use)
    question = only(run(graph, {}, cfg))
    assert run(graph, Command(resume=1), cfg) == {"got": 1, "used": 1}
    length = len(list(graph.get_state_history(cfg)))
    graph.reopen(cfg, question.id)
    again = only(run(graph, None, cfg))
    assert again.id != question.id
    assert [q.interrupt_id for q in saver.open_questions()] == [again.id]
    assert run(graph, Command(resume=2), cfg) == {"got": 2, "used": 2}
    assert len(list(graph.get_state_history(cfg))) > length
    assert [d.answer for d in saver.decisions("t-1")] == [1, 2]


def test_reopening_the_first_of_two_questions_asks_both_again(chain, saver, run, cfg, only):
    def two(state):
        return {"got": [interrupt("a"), interrupt("b")]}

    graph = chain(saver, two)
    first = only(run(graph, {}, cfg))
    second = only(run(graph, Command(resume="A"), cfg))
    graph.reopen(cfg, first.id)
    assert only(run(graph, None, cfg)).value == "a"
    with pytest.raises(AnswerError):
        run(graph, Command(resume={second.id: "stale"}), cfg)
    again = only(run(graph, Command(resume="A2"), cfg))
    assert again.value == "b"
    assert again.id != second.id
    assert run(graph, Command(resume="B2"), cfg)["got"] == ["A2", "B2"]


def test_reopening_leaves_the_open_question_of_a_sibling_open_and_listed(fan, saver, run, cfg):
    """`left` has finished, `right` still asks: only `left` goes back, and the inbox shows both."""

    def left(state):
        return {"l": interrupt("l?")}

    def right(state):
        return {"r": interrupt("r?")}

    graph = fan(saver, left, right)
    l_id, r_id = (i.id for i in run(graph, {}, cfg).interrupts)
    run(graph, Command(resume={l_id: 1}), cfg)
    graph.reopen(cfg, l_id)
    result = run(graph, None, cfg)
    assert [i.value for i in result.interrupts] == ["l?", "r?"]
    assert result.interrupts[1].id == r_id
    assert {q.interrupt_id for q in saver.open_questions()} == {i.id for i in result.interrupts}
    assert run(graph, Command(resume=[2, 3]), cfg) == {"l": 2, "r": 3}


def test_reopening_keeps_what_siblings_finished(fan, saver, run, cfg):
    runs = []

    def left(state):
        return {"l": interrupt("l?")}

    def right(state):
        runs.append(1)
        return {"r": 1}

    graph = fan(saver, left, right)
    question = run(graph, {}, cfg).interrupts[0]
    run(graph, Command(resume=1), cfg)
    graph.reopen(cfg, question.id)
    run(graph, None, cfg)
    assert run(graph, Command(resume=2), cfg) == {"l": 2, "r": 1}
    assert len(runs) == 1


def test_reopening_after_an_update_asks_a_siblings_answered_question_anew(fan, saver, run, cfg):
    """`right`'s question was open when `left`'s was, and was answered later: after going back neither may be open and answered at once."""

    def left(state):
        return {"l": interrupt("l?")}

    def right(state):
        return {"r": interrupt("r?")}

    graph = fan(saver, left, right)
    l_id, r_id = (i.id for i in run(graph, {}, cfg).interrupts)
    run(graph, Command(resume={l_id: 1}), cfg)
    graph.update_state(cfg, {"x": 1}, as_node="left")
    run(graph, Command(resume={r_id: 2}), cfg)
    graph.reopen(cfg, l_id)
    result = run(graph, None, cfg)
    assert [i.value for i in result.interrupts] == ["l?", "r?"]
    assert not {i.id for i in result.interrupts} & {l_id, r_id}
    result = run(graph, Command(resume=[3, 4]), cfg)
    assert (result["l"], result["r"]) == (3, 4)


def test_reopening_what_was_never_asked_is_refused(chain, saver, run, cfg):
    def ask(state):
        return {"got": interrupt("?")}

    graph = chain(saver, ask)
    run(graph, {}, cfg)
    with pytest.raises(UnknownInterruptError):
        graph.reopen(cfg, "0" * 32)


def test_the_id_from_before_a_reopening_reopens_nothing(chain, saver, run, cfg):
    def ask(state):
        return {"got": interrupt("?")}

    graph = chain(saver, ask)
    question = run(graph, {}, cfg).interrupts[0]
    run(graph, Command(resume=1), cfg)
    graph.reopen(cfg, question.id)
    run(graph, None, cfg)
    run(graph, Command(resume=2), cfg)
    before = saver.head("t-1")
    with pytest.raises(UnknownInterruptError, match="newer id"):
        graph.reopen(cfg, question.id)
    assert saver.head("t-1") == before


def test_a_reopened_static_pause_pauses_again(chain, saver, run, cfg, only):
    runs = []

    def publish(state):
        runs.append(1)

    graph = chain(saver, publish, interrupt_before=["publish"])
    pause = only(run(graph, {}, cfg))
    run(graph, None, cfg)
    graph.reopen(cfg, pause.id)
    assert only(graph.advance(cfg)).value == {"node": "publish", "when": "before"}
    assert len(runs) == 1


def test_a_failure_beside_an_open_question_keeps_the_question(fan, saver, run, cfg, only):
    broken = [True]

    def asks(state):
        return {"a": interrupt("?")}

    def fails(state):
        if broken[0]:
            raise OSError("disk")
        return {"f": 1}

    graph = fan(saver, asks, fails)
    with pytest.raises(OSError, match="disk"):
        run(graph, {}, cfg)
    snapshot = graph.get_state(cfg)
    assert [bool(t.error) for t in snapshot.tasks] == [False, True]
    assert only(snapshot).value == "?"
    broken[0] = False
    assert run(graph, None, cfg).is_interrupted
    assert run(graph, Command(resume=1), cfg) == {"a": 1, "f": 1}


def test_a_conditional_edge_that_raises_does_not_poison_the_thread(saver, run, cfg):
    broken = [True]

    def route(state):
        if broken[0]:
            raise ZeroDivisionError("route")
        return END

    graph = StateGraph().add_node("ask", lambda s: {"got": interrupt("?")}).add_edge(START, "ask").add_conditional_edges("ask", route).compile(saver)
    run(graph, {}, cfg)
    with pytest.raises(ZeroDivisionError):
        run(graph, Command(resume="kept"), cfg)
    broken[0] = False
    assert run(graph, None, cfg) == {"got": "kept"}


@pytest.mark.parametrize("error", [StopIteration("empty"), ExceptionGroup("two", [ValueError(1)]), TimeoutError("slow")], ids=repr)
def test_whatever_a_node_raises_ends_the_run_and_is_recorded(chain, saver, run, cfg, error):
    broken = [True]

    def node(state):
        if broken[0]:
            raise error
        return {"x": 1}

    graph = chain(saver, node)
    with pytest.raises((type(error), RuntimeError)):  # Python turns a StopIteration that leaves a generator into RuntimeError
        run(graph, {}, cfg)
    assert type(error).__name__ in graph.get_state(cfg).tasks[0].error
    broken[0] = False
    assert run(graph, None, cfg) == {"x": 1}


# -- R9 --------------------------------------------------------------------------------------------------------------------------------


def test_the_id_is_stable_while_the_question_is(chain, saver, run, cfg, only):
    def ask(state):
        return {"got": interrupt({"pay": 500})}

    graph = chain(saver, ask)
    first = only(run(graph, {}, cfg)).id
    assert only(run(graph, None, cfg)).id == first
    assert only(graph.get_state(cfg)).id == first
    assert saver.open_questions()[0].interrupt_id == first
    assert chain(saver, ask).get_state(cfg).interrupts[0].id == first


def test_the_same_question_in_two_threads_has_two_ids(chain, saver, run, only):
    def ask(state):
        return {"got": interrupt("same")}

    graph = chain(saver, ask)
    ids = {only(run(graph, {}, {"configurable": {"thread_id": t}})).id for t in "ab"}
    assert len(ids) == 2


def test_an_amount_that_changed_outside_never_takes_the_old_approval(chain, saver, run, cfg, only):
    amount, paid = [500], []

    def pay(state):
        asked = amount[0]
        if interrupt({"pay": asked}):
            paid.append(asked)
        return {"paid": asked}

    graph = chain(saver, pay)
    old = only(run(graph, {}, cfg))
    amount[0] = 5000
    with pytest.raises(QuestionChangedError):
        run(graph, Command(resume=True), cfg)
    with pytest.raises(QuestionChangedError):
        run(graph, None, cfg)
    assert paid == []
    graph.reopen(cfg, old.id)
    new = only(run(graph, None, cfg))
    assert new.value == {"pay": 5000}
    assert new.id != old.id
    run(graph, Command(resume=True), cfg)
    assert paid == [5000]


def pay_node(paid, broken=()):
    """Asks, raises while `broken` begins with something true, then pays what was approved."""

    def pay(state):
        approved = interrupt({"pay": state["amount"]})
        if broken and broken[0]:
            raise ConnectionError("bank")
        if approved:
            paid.append(state["amount"])
        return {"done": True}

    return pay


def test_an_amount_changed_by_an_update_gets_a_question_of_its_own(chain, saver, run, cfg, only):
    paid: list[int] = []
    graph = chain(saver, pay_node(paid))
    old = only(run(graph, {"amount": 500}, cfg))
    graph.update_state(cfg, {"amount": 5000})
    new = only(run(graph, None, cfg))
    assert new.value == {"pay": 5000}
    assert new.id != old.id
    with pytest.raises(UnknownInterruptError, match="no longer asked"):
        run(graph, Command(resume={old.id: True}), cfg)
    assert paid == []
    run(graph, Command(resume=True), cfg)
    assert paid == [5000]


def test_an_old_approval_given_between_update_and_run_does_not_count_for_the_new_amount(chain, saver, run, cfg, only):
    paid: list[int] = []
    graph = chain(saver, pay_node(paid))
    old = only(run(graph, {"amount": 500}, cfg))
    graph.update_state(cfg, {"amount": 5000})
    result = run(graph, Command(resume={old.id: True}), cfg)  # the reviewer still saw 500
    assert paid == []
    assert only(result).value == {"pay": 5000}
    assert only(result).id != old.id


def test_a_recorded_approval_does_not_count_after_an_update(chain, saver, run, cfg, only):
    broken, paid = [True], []
    graph = chain(saver, pay_node(paid, broken))
    run(graph, {"amount": 500}, cfg)
    with pytest.raises(ConnectionError):
        run(graph, Command(resume=True), cfg)
    broken[0] = False
    graph.update_state(cfg, {"amount": 5000})
    assert only(run(graph, None, cfg)).value == {"pay": 5000}
    assert paid == []


def test_an_amount_that_changes_there_and_back_is_asked_with_a_new_id_each_time(chain, saver, run, cfg, only):
    paid: list[int] = []
    graph = chain(saver, pay_node(paid))
    ids = [only(run(graph, {"amount": 500}, cfg)).id]
    for amount in (5000, 500, 5000, 500):
        graph.update_state(cfg, {"amount": amount})
        question = only(run(graph, None, cfg))
        assert question.value == {"pay": amount}
        ids.append(question.id)
    assert len(set(ids)) == 5
    assert [q.interrupt_id for q in saver.open_questions()] == [ids[-1]]
    run(graph, Command(resume=True), cfg)
    assert paid == [500]


def test_an_approval_withdrawn_by_a_change_does_not_come_back_with_the_old_amount(chain, saver, run, cfg, only):
    broken, paid = [True], []
    graph = chain(saver, pay_node(paid, broken))
    old = only(run(graph, {"amount": 500}, cfg))
    with pytest.raises(ConnectionError):
        run(graph, Command(resume=True), cfg)
    graph.update_state(cfg, {"amount": 5000})
    assert only(run(graph, None, cfg)).value == {"pay": 5000}
    graph.update_state(cfg, {"amount": 500})
    again = only(run(graph, None, cfg))
    assert again.value == {"pay": 500}
    assert again.id != old.id
    assert paid == []


def test_an_approval_given_with_its_update_does_not_fit_a_later_update(chain, saver, run, cfg, only):
    broken, paid = [True], []
    graph = chain(saver, pay_node(paid, broken))
    run(graph, {"amount": 500}, cfg)
    with pytest.raises(ConnectionError):
        run(graph, Command(update={"amount": 600}, resume=True), cfg)
    broken[0] = False
    graph.update_state(cfg, {"amount": 99_999})
    assert only(run(graph, None, cfg)).value == {"pay": 99_999}
    assert paid == []


def test_a_deleted_and_reused_id_never_fits_another_run_of_the_graph(chain, saver, run, cfg, only):
    """Two runs on one thread: the second asks the same, under another id."""

    def ask(state):
        return {"got": interrupt("same")}

    graph = chain(saver, ask)
    first = only(run(graph, {}, cfg)).id
    run(graph, Command(resume=1), cfg)
    second = only(run(graph, {"again": True}, cfg)).id
    assert first != second
    with pytest.raises(AlreadyAnsweredError):
        run(graph, Command(resume={first: 1}), cfg)
