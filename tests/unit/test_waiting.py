"""What waits for an answer over all threads: listed, found, answered without its graph, resumed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hitl_nb import Command, MemorySaver, StateGraph, interrupt
from hitl_nb.errors import (
    AlreadyAnsweredError,
    AmbiguousAnswerError,
    DeadlinePassedError,
    GraphError,
    InvalidAnswerError,
    UnknownInterruptError,
)
from hitl_nb.waiting import Filters, Graphs, find, kind_of, record_answer, record_answers, short_id, waiting

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.now = NOON

    def __call__(self):
        self.now += timedelta(seconds=1)
        return self.now


def ask(state):
    terms = {"deadline": timedelta(hours=state["hours"])} if state.get("hours") else {}
    answer = interrupt({"question": f"Publish {state['title']}?", "options": ["publish", "hold"]}, assignee=state.get("who"), **terms)
    return {"answer": answer}


def compiled(saver, name="articles", node="check", step=ask):
    builder = StateGraph().add_node(node, step).set_entry_point(node)
    return builder.compile(checkpointer=saver, name=name, now=saver.clock)


@pytest.fixture
def saver():
    saver = MemorySaver()
    saver.clock = Clock()
    return saver


@pytest.fixture
def graph(saver):
    graph = compiled(saver)
    for thread_id, given in {
        "tea": {"title": "Tea in Boston"},
        "coffee": {"title": "Coffee", "hours": 5, "who": "dana"},
        "cocoa": {"title": "Cocoa", "hours": 1, "who": "sam"},
    }.items():
        graph.invoke(given, {"configurable": {"thread_id": thread_id}})
    return graph


def threads(found):
    return [q.thread_id for q in found]


def test_what_is_due_first_comes_first_and_what_has_no_deadline_last(saver, graph):
    assert threads(waiting(saver, now=NOON)) == ["cocoa", "coffee", "tea"]
    assert threads(waiting(saver, now=NOON, sort="age")) == ["tea", "coffee", "cocoa"]
    with pytest.raises(ValueError, match="'deadline' or 'age'"):
        waiting(saver, now=NOON, sort="name")


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"graph": "articles"}, ["cocoa", "coffee", "tea"]),
        ({"graph": "books"}, []),
        ({"node": "check"}, ["cocoa", "coffee", "tea"]),
        ({"node": "ask"}, []),
        ({"assignee": "dana"}, ["coffee"]),
        ({"assignee": ""}, ["tea"]),
        ({"thread": "co*"}, ["cocoa", "coffee"]),
        ({"thread": "tea"}, ["tea"]),
        ({"threads": ["tea", "cocoa"]}, ["cocoa", "tea"]),
        ({"overdue": True}, ["cocoa"]),
        ({"text": "boston TEA"}, ["tea"]),
        ({"text": "publish sam"}, ["cocoa"]),
        ({"text": "no such word"}, []),
    ],
)
def test_a_filter_lets_through_what_fits(saver, graph, filters, expected):
    assert threads(waiting(saver, Filters(**filters), now=NOON + timedelta(hours=2))) == expected


def test_a_question_is_found_by_its_id_or_the_beginning_of_it(saver, graph):
    brief = waiting(saver, now=NOON)[0]
    assert find(saver, brief.interrupt_id).thread_id == "cocoa"
    assert find(saver, short_id(brief.interrupt_id)).thread_id == "cocoa"
    for wrong in ("", brief.interrupt_id[:3], "zzzzzzzz"):
        with pytest.raises(UnknownInterruptError):
            find(saver, wrong)


def test_the_beginning_of_several_ids_is_no_id(saver, graph, monkeypatch):
    briefs = [replace(q, interrupt_id=f"abcd{n}") for n, q in enumerate(saver.open_questions())]
    monkeypatch.setattr(saver, "open_questions", lambda: briefs)
    with pytest.raises(AmbiguousAnswerError, match="3 open questions begin with 'abcd'"):
        find(saver, "abcd")


def test_an_answer_is_checked_recorded_once_and_picked_up_by_the_next_run(saver, graph):
    question = find(saver, waiting(saver, now=NOON)[0].interrupt_id)
    with pytest.raises(InvalidAnswerError):
        record_answer(saver, question, "pulbish", reviewer="sam", how="inbox", now=NOON)
    made = record_answer(saver, question, "publish", reviewer="sam", how="inbox", now=NOON)
    assert (made.number, made.how, saver.decision(question.id)) == (0, "inbox", made)
    with pytest.raises(AlreadyAnsweredError, match="sam"):
        record_answer(saver, question, "hold", reviewer="dana", how="inbox", now=NOON)
    assert graph.invoke(None, {"configurable": {"thread_id": "cocoa"}})["answer"] == "publish"


def test_several_answers_count_each_by_itself(saver, graph):
    cocoa, coffee, tea = (find(saver, q.interrupt_id) for q in waiting(saver, now=NOON))
    late = NOON + timedelta(hours=2)
    made = record_answers(saver, [(cocoa, "hold"), (coffee, "publsh"), (tea, "hold")], reviewer="dana", how="inbox", now=late)
    assert [type(one).__name__ for one in made] == ["DeadlinePassedError", "InvalidAnswerError", "Decision"]
    assert isinstance(made[0], DeadlinePassedError)
    assert threads(waiting(saver, now=late)) == ["cocoa", "coffee"]


def test_questions_of_one_node_with_the_same_options_are_alike(saver, graph):
    cocoa, coffee, _ = (find(saver, q.interrupt_id) for q in waiting(saver, now=NOON))
    assert kind_of(cocoa) == kind_of(coffee)
    assert kind_of(cocoa).is_answered_by_a_button
    compiled(saver, step=lambda state: interrupt({"question": "Publish?", "options": ["publish", "drop"]})).invoke(
        {"title": ""}, {"configurable": {"thread_id": "other"}}
    )
    other = find(saver, waiting(saver, Filters(thread="other"), now=NOON)[0].interrupt_id)
    assert kind_of(other) != kind_of(cocoa)


def test_a_text_to_type_is_about_one_question(saver):
    compiled(saver, step=lambda state: interrupt({"question": "Which title", "type": "text"})).invoke({}, {"configurable": {"thread_id": "t"}})
    assert not kind_of(find(saver, waiting(saver, now=NOON)[0].interrupt_id)).is_answered_by_a_button


def test_the_graph_that_wrote_a_thread_goes_on_with_it(saver, graph):
    books = compiled(saver, "books", node="read")
    books.invoke({"title": "Emma"}, {"configurable": {"thread_id": "emma"}})
    graphs = Graphs([graph, books])
    assert (graphs.of(saver, "tea"), graphs.of(saver, "emma"), graphs.of(saver, "nobody")) == (graph, books, None)
    assert Graphs(books).of(saver, "tea") is None
    record_answer(saver, find(saver, waiting(saver, Filters(thread="emma"), now=NOON)[0].interrupt_id), "hold", reviewer="d", how="inbox", now=NOON)
    assert graphs.resume(saver, "emma")["answer"] == "hold"
    assert Graphs(books).resume(saver, "tea") is None


def test_a_changed_graph_goes_on_where_it_still_has_the_node(saver, graph):
    newer = StateGraph().add_node("check", ask).add_node("log", lambda s: {}).set_entry_point("check").add_edge("check", "log")
    assert Graphs({"new": newer.compile(checkpointer=saver)}).of(saver, "tea") is not None
    assert Graphs([compiled(saver, node="gone")]).of(saver, "tea") is None


def test_what_is_no_graph_with_a_store_is_refused():
    with pytest.raises(TypeError, match="holds a int"):
        Graphs([5])
    with pytest.raises(GraphError, match="no checkpointer"):
        Graphs(StateGraph().add_node("a", lambda s: {}).set_entry_point("a").compile())
    assert not Graphs(None)


def test_a_static_pause_is_answered_like_a_question(saver):
    builder = StateGraph().add_node("send", lambda s: {"sent": True}).set_entry_point("send")
    graph = builder.compile(checkpointer=saver, interrupt_before=["send"], now=saver.clock)
    graph.invoke({"sent": False}, {"configurable": {"thread_id": "t"}})
    question = find(saver, waiting(saver, now=NOON)[0].interrupt_id)
    record_answer(saver, question, True, reviewer="dana", how="inbox", now=NOON)
    assert Graphs(graph).resume(saver, "t")["sent"] is True


def test_an_answer_given_by_command_and_one_from_outside_cannot_both_count(saver, graph):
    question = find(saver, waiting(saver, Filters(thread="tea"), now=NOON)[0].interrupt_id)
    record_answer(saver, question, "hold", reviewer="dana", how="inbox", now=NOON)
    with pytest.raises(AlreadyAnsweredError):
        graph.invoke(Command(resume="publish"), {"configurable": {"thread_id": "tea"}})
    assert graph.invoke(None, {"configurable": {"thread_id": "tea"}})["answer"] == "hold"
