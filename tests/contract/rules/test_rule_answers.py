"""R4, R8, R10: which answer is for which question, what is refused, and that a refusal changes nothing."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import pytest

from hitl_nb.errors import (
    AlreadyAnsweredError,
    AmbiguousAnswerError,
    InvalidAnswerError,
    NotSerializableError,
    NotWaitingError,
    StaleCheckpointError,
    UnknownInterruptError,
    UnknownThreadError,
    UnusedAnswersWarning,
)
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.types import START, Command

NO_SUCH_ID = "0" * 32


@pytest.fixture(autouse=True)
def no_warning_unless_expected():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnusedAnswersWarning)
        yield


def records(saver: Any) -> Any:
    """All that is stored about the thread's decisions and questions."""
    return saver.head("t-1"), saver.decisions("t-1"), saver.open_questions()


# -- R4 --------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("typo", ["aprove", "Approve", "approve ", "", "yes"])
def test_a_typo_never_approves(chain, saver, run, cfg, only, typo):
    runs = []

    def ask(state):
        runs.append(1)
        return {"got": interrupt({"question": "Publish?", "options": ["approve", "reject"]})}

    graph = chain(saver, ask)
    question = only(run(graph, {}, cfg))
    before = records(saver)
    with pytest.raises(InvalidAnswerError) as caught:
        run(graph, Command(resume=typo), cfg)
    assert caught.value.interrupt_id == question.id
    assert records(saver) == before
    assert len(runs) == 1
    assert only(graph.get_state(cfg)).id == question.id
    assert run(graph, Command(resume="approve"), cfg) == {"got": "approve"}


@pytest.mark.parametrize("key", ["action", "decision", "type"])
def test_a_typo_in_a_dict_answer_never_approves(chain, saver, run, cfg, key):
    def ask(state):
        return {"got": interrupt({"actions": ["approve", "reject"]})}

    graph = chain(saver, ask)
    run(graph, {}, cfg)
    with pytest.raises(InvalidAnswerError) as caught:
        run(graph, Command(resume={key: "approveX"}), cfg)
    assert caught.value.path == [key]
    assert run(graph, Command(resume={key: "reject"}), cfg)["got"] == {key: "reject"}


def test_escalate_is_an_option_only_where_it_is_offered(chain, saver, cfg):
    def ask(state):
        return {"got": interrupt({"options": ["approve"], "escalate_option": state["offered"]})}

    graph = chain(saver, ask)
    offered, not_offered = ({"configurable": {"thread_id": t}} for t in "ab")
    graph.invoke({"offered": True}, offered)
    graph.invoke({"offered": False}, not_offered)
    assert graph.invoke(Command(resume={"action": "escalate"}), offered)["got"] == {"action": "escalate"}
    with pytest.raises(InvalidAnswerError):
        graph.invoke(Command(resume={"action": "escalate"}), not_offered)


@pytest.mark.parametrize(("schema", "bad", "good"), [(bool, "yes", True), (Literal["a", "b"], "c", "b"), ({"type": "integer", "minimum": 1}, 0, 1)])
def test_an_answer_against_the_schema_is_refused_before_anything_is_recorded(chain, saver, run, cfg, only, schema, bad, good):
    runs = []

    def ask(state):
        runs.append(1)
        return {"got": interrupt("?", schema=schema)}

    graph = chain(saver, ask)
    question = only(run(graph, {}, cfg))
    before = records(saver)
    with pytest.raises(InvalidAnswerError, match="still open"):
        run(graph, Command(resume=bad), cfg)
    assert records(saver) == before
    assert len(runs) == 1
    assert only(graph.get_state(cfg)).id == question.id
    assert run(graph, Command(resume=good), cfg)["got"] == good


def test_one_bad_answer_among_several_records_none_of_them(fan, saver, cfg):
    def left(state):
        return {"l": interrupt({"options": ["x"]})}

    def right(state):
        return {"r": interrupt({"options": ["x"]})}

    graph = fan(saver, left, right)
    ids = [i.id for i in graph.invoke({}, cfg).interrupts]
    before = records(saver)
    for resume in (["x", "typo"], dict(zip(ids, ["x", "typo"], strict=True))):
        with pytest.raises(InvalidAnswerError):
            graph.invoke(Command(resume=resume), cfg)
        assert records(saver) == before


def test_a_bad_later_answer_of_a_list_leaves_that_question_open(chain, saver, run, cfg, only):
    def two(state):
        return {"got": [interrupt({"options": ["a"]}), interrupt({"options": ["b"]})]}

    graph = chain(saver, two)
    run(graph, {}, cfg)
    with pytest.raises(InvalidAnswerError):
        run(graph, Command(resume=["a", "typo"]), cfg)
    assert only(graph.get_state(cfg)).value == {"options": ["b"]}
    assert run(graph, Command(resume="b"), cfg)["got"] == ["a", "b"]


def test_an_answer_that_cannot_be_stored_is_refused_and_the_question_stays_open(chain, saver, run, cfg, only):
    def ask(state):
        return {"got": interrupt("?")}

    graph = chain(saver, ask)
    question = only(run(graph, {}, cfg))
    with pytest.raises(NotSerializableError, match=r"answer\['fn'\]"):
        run(graph, Command(resume={"fn": print}), cfg)
    assert only(graph.get_state(cfg)).id == question.id
    assert run(graph, Command(resume="fine"), cfg) == {"got": "fine"}


# -- R8 --------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def waiting(chain, saver, cfg):
    """A thread that waits at the second of its two questions, and the ids of both."""

    def first(state):
        return {"a": interrupt("first")}

    def second(state):
        return {"b": interrupt("second")}

    graph = chain(saver, first, second)
    used = graph.invoke({}, cfg).interrupts[0].id
    here = graph.invoke(Command(resume=1), cfg).interrupts[0].id
    return graph, used, here


def refused(graph, saver, cfg, run, resume, error, *, names=None):
    before = records(saver)
    with pytest.raises(error, match=names) as caught:
        run(graph, Command(resume=resume), cfg)
    assert records(saver) == before
    return caught.value


def test_an_unknown_id_is_refused_and_names_the_open_one(waiting, saver, cfg, run):
    graph, _, here = waiting
    refused(graph, saver, cfg, run, {NO_SUCH_ID: True}, UnknownInterruptError, names=here)


def test_a_used_id_is_refused_with_who_and_when_and_not_given_to_the_next_question(waiting, saver, cfg, run):
    graph, used, _ = waiting
    error = refused(graph, saver, cfg, run, {used: True}, AlreadyAnsweredError, names="ada")
    assert error.reviewer == "ada"
    assert error.answered_at == saver.decision(used).decided_at


def test_the_id_of_another_thread_is_refused(waiting, saver, cfg, run):
    graph, _, here = waiting
    other = {"configurable": {"thread_id": "t-2"}}
    graph.invoke({}, other)
    before = records(saver)
    with pytest.raises(UnknownInterruptError, match="not a question of this thread"):
        run(graph, Command(resume={here: True}), other)
    assert records(saver) == before


def test_the_used_id_of_another_thread_does_not_tell_who_answered_there(waiting, saver, cfg, run):
    graph, used, _ = waiting
    other = {"configurable": {"thread_id": "t-2"}}
    graph.invoke({}, other)
    with pytest.raises(UnknownInterruptError):
        run(graph, Command(resume={used: True}), other)


def test_an_unknown_id_beside_a_good_one_refuses_both(waiting, saver, cfg, run):
    graph, _, here = waiting
    refused(graph, saver, cfg, run, {here: True, NO_SUCH_ID: True}, UnknownInterruptError)


def test_an_id_mixed_with_other_keys_is_refused(waiting, saver, cfg, run):
    graph, _, here = waiting
    refused(graph, saver, cfg, run, {here: True, "note": "x"}, AmbiguousAnswerError, names="note")


@pytest.mark.parametrize("empty", [{}, []], ids=repr)
def test_an_empty_container_is_refused_and_names_what_is_open(waiting, saver, cfg, run, empty):
    graph, _, here = waiting
    refused(graph, saver, cfg, run, empty, AmbiguousAnswerError, names=here)


@pytest.mark.parametrize("resume", [True, None, "x", [1, 2]], ids=repr)
def test_an_answer_for_a_finished_thread_is_refused(waiting, saver, cfg, run, resume):
    graph, _, _ = waiting
    graph.invoke(Command(resume=2), cfg)
    refused(graph, saver, cfg, run, resume, NotWaitingError, names="no open question")


@pytest.mark.parametrize("empty", [{}, []], ids=repr)
def test_an_empty_container_for_a_finished_thread_is_refused(waiting, saver, cfg, run, empty):
    graph, _, _ = waiting
    graph.invoke(Command(resume=2), cfg)
    refused(graph, saver, cfg, run, empty, (NotWaitingError, AmbiguousAnswerError))


def test_a_used_id_of_a_finished_thread_is_refused_with_who(waiting, saver, cfg, run):
    graph, _, here = waiting
    graph.invoke(Command(resume=2), cfg)
    refused(graph, saver, cfg, run, {here: 2}, AlreadyAnsweredError, names="ada")


def test_answering_an_unknown_thread_does_not_start_the_graph(chain, saver, run, cfg):
    runs = []

    def work(state):
        runs.append(1)

    graph = chain(saver, work)
    with pytest.raises(UnknownThreadError, match="t-1"):
        run(graph, Command(resume=True), cfg)
    with pytest.raises(UnknownThreadError):
        run(graph, Command(resume=True, update={"x": 1}), cfg)
    with pytest.raises(UnknownThreadError):
        run(graph, Command(resume={NO_SUCH_ID: True}), cfg)
    assert runs == []
    assert saver.head("t-1") is None


def test_one_value_for_several_questions_is_refused_and_names_them_all(fan, saver, run, cfg):
    def left(state):
        return {"l": interrupt("l?")}

    def right(state):
        return {"r": interrupt("r?")}

    graph = fan(saver, left, right)
    ids = [i.id for i in run(graph, {}, cfg).interrupts]
    error = refused(graph, saver, cfg, run, True, AmbiguousAnswerError)
    assert all(i in str(error) for i in ids)


def test_an_answer_at_a_superseded_checkpoint_is_refused(waiting, saver, cfg, run):
    graph, used, _ = waiting
    old = list(graph.get_state_history(cfg))[-1].config
    before = records(saver)
    with pytest.raises(AlreadyAnsweredError, match="ada"):
        run(graph, Command(resume="again"), old)
    with pytest.raises(AlreadyAnsweredError):
        run(graph, Command(resume={used: "again"}), old)
    with pytest.raises((AlreadyAnsweredError, StaleCheckpointError)):
        run(graph, Command(resume="again", update={"x": 1}), old)
    assert records(saver) == before


def test_an_answer_at_a_checkpoint_that_was_left_without_a_decision_is_refused(chain, saver, cfg, run):
    def ask(state):
        return {"got": interrupt({"n": state["n"]})}

    graph = chain(saver, ask)
    graph.invoke({"n": 1}, cfg)
    old = graph.get_state(cfg).config
    graph.update_state(cfg, {"n": 2})
    before = records(saver)
    with pytest.raises(StaleCheckpointError):
        run(graph, Command(resume=True), old)
    with pytest.raises(StaleCheckpointError):
        run(graph, Command(update={"n": 7}), old)
    assert records(saver) == before
    assert graph.get_state(cfg).values == {"n": 2}


def test_a_checkpoint_id_of_another_thread_is_refused(chain, saver, run, cfg):
    def ask(state):
        return {"got": interrupt("?")}

    graph = chain(saver, ask)
    graph.invoke({}, cfg)
    graph.invoke({}, {"configurable": {"thread_id": "t-2"}})
    foreign = graph.get_state({"configurable": {"thread_id": "t-2"}}).config["configurable"]["checkpoint_id"]
    mixed = {"configurable": {"thread_id": "t-1", "checkpoint_id": foreign}}
    with pytest.raises(UnknownThreadError, match="checkpoint"):
        graph.get_state(mixed)
    with pytest.raises(UnknownThreadError):
        run(graph, Command(resume=True), mixed)


# -- R10 -------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def both(fan, saver, cfg):
    """A thread with a question in each of two parallel nodes; `left` asks a second one."""

    def left(state):
        return {"l": [interrupt("l1"), interrupt("l2")]}

    def right(state):
        return {"r": interrupt("r1")}

    graph = fan(saver, left, right)
    result = graph.invoke({}, cfg)
    assert [i.value for i in result.interrupts] == ["l1", "r1"]
    return graph, [i.id for i in result.interrupts]


def test_a_partial_map_answers_what_it_names(both, cfg, run):
    graph, (left, right) = both
    result = run(graph, Command(resume={right: "R"}), cfg)
    assert [i.id for i in result.interrupts] == [left]
    assert result["r"] == "R"
    result = run(graph, Command(resume={left: 1}), cfg)
    assert [i.value for i in result.interrupts] == ["l2"]
    assert run(graph, Command(resume=2), cfg) == {"l": [1, 2], "r": "R"}


def test_a_full_map_answers_all(both, cfg, run):
    graph, (left, right) = both
    result = run(graph, Command(resume={right: "R", left: 1}), cfg)
    assert [i.value for i in result.interrupts] == ["l2"]


def test_a_list_answers_the_open_questions_in_task_order_then_the_further_ones(both, cfg, run):
    graph, _ = both
    assert run(graph, Command(resume=[1, "R", 2]), cfg) == {"l": [1, 2], "r": "R"}


def test_a_short_list_answers_the_first_open_questions(both, cfg, run):
    graph, (_, right) = both
    result = run(graph, Command(resume=[1]), cfg)
    assert {i.value for i in result.interrupts} == {"l2", "r1"}
    assert right in [i.id for i in result.interrupts]


def test_a_list_answers_a_chain_of_questions_of_one_node(chain, saver, cfg, run):
    def three(state):
        return {"got": [interrupt(n) for n in "abc"]}

    graph = chain(saver, three)
    run(graph, {}, cfg)
    assert run(graph, Command(resume=[1, 2, 3]), cfg)["got"] == [1, 2, 3]
    assert [d.answer for d in saver.decisions("t-1")] == [1, 2, 3]


def test_a_list_follows_a_node_that_loops(saver, cfg, run):
    def ask(state):
        got = interrupt(f"round {state['n']}")
        return Command(update={"n": state["n"] + 1, "last": got}, goto="ask" if state["n"] < 2 else "__end__")

    graph = StateGraph().add_node(ask).add_edge(START, "ask").compile(saver)
    run(graph, {"n": 0}, cfg)
    assert run(graph, Command(resume=["x", "y", "z"]), cfg) == {"n": 3, "last": "z"}


def test_answers_left_over_at_the_end_are_warned_about_and_not_recorded(chain, saver, cfg, run):
    def ask(state):
        return {"got": interrupt("?")}

    graph = chain(saver, ask)
    run(graph, {}, cfg)
    with pytest.warns(UnusedAnswersWarning, match="2 of the answers"):
        result = run(graph, Command(resume=[1, 2, 3]), cfg)
    assert result == {"got": 1}
    assert [d.answer for d in saver.decisions("t-1")] == [1]


def test_answers_left_over_are_not_given_to_another_node(chain, saver, cfg, run, only):
    def first(state):
        return {"a": interrupt("first")}

    def second(state):
        return {"b": interrupt("second")}

    graph = chain(saver, first, second)
    run(graph, {}, cfg)
    with pytest.warns(UnusedAnswersWarning, match="paused"):
        result = run(graph, Command(resume=[1, 2]), cfg)
    assert only(result).value == "second"


def test_a_list_for_one_question_goes_by_id(chain, saver, cfg, run, only):
    def ask(state):
        return {"got": interrupt("?")}

    graph = chain(saver, ask)
    question = only(run(graph, {}, cfg))
    assert run(graph, Command(resume={question.id: [1, 2]}), cfg) == {"got": [1, 2]}


def test_a_tuple_is_one_answer(chain, saver, cfg, run):
    def ask(state):
        return {"got": interrupt("?")}

    graph = chain(saver, ask)
    run(graph, {}, cfg)
    assert run(graph, Command(resume=(1, 2)), cfg) == {"got": (1, 2)}


def test_a_dict_answer_whose_keys_are_no_ids_is_one_answer(chain, saver, cfg, run):
    def ask(state):
        return {"got": interrupt("?")}

    graph = chain(saver, ask)
    run(graph, {}, cfg)
    assert run(graph, Command(resume={"action": "approve", 3: "x"}), cfg) == {"got": {"action": "approve", 3: "x"}}


@pytest.mark.parametrize("word", [None, Command(resume=None), Command(resume=True)], ids=["None", "resume=None", "resume=True"])
@pytest.mark.parametrize("when", ["interrupt_before", "interrupt_after"])
def test_a_static_pause_is_passed_by(chain, saver, cfg, run, only, word, when):
    def work(state):
        return {"a": 1}

    def publish(state):
        return {"b": 2}

    graph = chain(saver, work, publish, **{when: ["publish" if when == "interrupt_before" else "work"]})
    assert only(run(graph, {}, cfg)).node in ("publish", "work")
    assert run(graph, word, cfg) == {"a": 1, "b": 2}


@pytest.mark.parametrize("word", [False, 0, "no", "", "reject", [False], 1], ids=repr)
def test_a_static_pause_is_not_passed_by_anything_else(chain, saver, cfg, run, only, word):
    runs = []

    def publish(state):
        runs.append(1)

    graph = chain(saver, publish, interrupt_before=["publish"])
    question = only(run(graph, {}, cfg))
    with pytest.raises(InvalidAnswerError):
        run(graph, Command(resume=word), cfg)
    assert runs == []
    assert only(graph.get_state(cfg)).id == question.id
