"""The tape of a thread: what is in it, and that it gives its answers only to what they were given to."""

from __future__ import annotations

import operator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, TypedDict

import pytest

from hitl_nb import Command, MemorySaver, Send, StateGraph, interrupt, review
from hitl_nb.decisions.answers import read_script
from hitl_nb.decisions.answers.values import from_plain, to_plain
from hitl_nb.decisions.tape import tape, write_tape
from hitl_nb.errors import AnswersFileError, InvalidAnswerError, MissingAnswerError, QuestionChangedError, UnknownThreadError, UnusedAnswersWarning
from hitl_nb.responders.scripted import ScriptedResponder

CONFIG = {"configurable": {"thread_id": "t", "reviewer": "ann"}}


class Log(TypedDict):
    log: Annotated[list, operator.add]


def graph_that_asks(payload: Any, saver: Any = None, **terms: Any) -> Any:
    def ask(state):
        return {"log": [interrupt(payload, **terms)]}

    return StateGraph(Log).add_node(ask).set_entry_point("ask").compile(saver or MemorySaver())


def taped(payload: Any, answer: Any, **terms: Any) -> str:
    graph = graph_that_asks(payload, **terms)
    (asked,) = graph.invoke({"log": []}, CONFIG).interrupts
    graph.invoke(Command(resume={asked.id: answer}), CONFIG)
    return tape(graph.checkpointer, ["t"])


def replay(text: str, payload: Any, saver: Any = None, **terms: Any) -> Any:
    return review(graph_that_asks(payload, saver, **terms), {"log": []}, thread_id="t", answers=text)


def test_a_tape_is_an_answers_file_with_what_was_asked_and_by_whom_it_was_answered():
    text = taped({"question": "Pay?", "amount": 5}, True)
    assert text == (
        "# The decisions of 1 thread, written by hitl_nb. review(graph, input, thread_id=…, answers=PATH_OF_THIS_FILE)\n"
        "# gives these answers again. on_change: what becomes of an answer whose question reads otherwise now (fail, ask or accept).\n"
        "tape: 1\n"
        "on_change: fail\n"
        "answers:\n"
        "- thread: t\n"
        "  node: ask\n"
        "  answer: true\n"
        "  by: ann\n"
        "  payload: blake2b:8a1a42e2f2c21a10c16d4d1e1a53ca2a\n"
        "  asked:\n"
        "    question: Pay?\n"
        "    amount: 5\n"
        "...\n"
    ).replace("8a1a42e2f2c21a10c16d4d1e1a53ca2a", read_script(text).entries[0].taped.payload.removeprefix("blake2b:"))


def test_a_replay_gives_the_answers_under_the_names_of_those_who_gave_them():
    session = replay(taped({"question": "Pay?"}, True), {"question": "Pay?"})
    assert session.state == {"log": [True]}
    assert [(d.reviewer, d.how) for d in session.decisions] == [("ann", "script")]


@pytest.mark.parametrize(
    ("now", "told"),
    [
        ({"question": "Pay?", "amount": 6}, '-  "amount": 5,\n    +  "amount": 6,'),
        ({"question": "Pay?", "amount": 5, "to": "Bo"}, '+  "to": "Bo"'),
        ({"question": "Pay?", "amount": 5.0}, '-  "amount": 5,\n    +  "amount": 5.0,'),
    ],
)
def test_an_answer_is_not_given_to_a_payload_that_changed_and_the_change_is_shown(now, told):
    with pytest.raises(QuestionChangedError, match="node 'ask' of thread 't' asks 'Pay\\?'") as caught:
        replay(taped({"question": "Pay?", "amount": 5}, True), now)
    assert told in str(caught.value)
    assert "line 6" in str(caught.value), "the entry"
    assert "when: {question:" in str(caught.value), "what to write instead"
    assert caught.value.node == "ask"


def test_a_change_that_the_tape_does_not_show_says_so():
    long = "x" * 500
    with pytest.raises(QuestionChangedError, match="What differs is not in the tape's excerpt"):
        replay(taped({"question": "Pay?", "text": long + "a"}, True), {"question": "Pay?", "text": long + "b"})
    bare = "\n".join(line for line in taped("Pay?", True).split("\n") if "asked" not in line)
    with pytest.raises(QuestionChangedError, match='The tape does not show what it was .*\n\n    "Really pay\\?"'):
        replay(bare, "Really pay?")


def test_a_changed_schema_is_a_changed_question():
    with pytest.raises(QuestionChangedError, match="The schema of its answer changed .*the payload is the same"):
        replay(taped("How many?", 3, schema=int), "How many?", schema=float)


def test_accept_gives_the_old_answer_to_the_new_question_if_it_fits():
    text = taped({"question": "Pay?", "options": ["yes", "no"]}, "yes").replace("on_change: fail", "on_change: accept")
    assert replay(text, {"question": "Pay now?", "options": ["yes", "no"]}).state == {"log": ["yes"]}
    with pytest.raises(InvalidAnswerError, match='none of its options.*\n\n    answer: "now"'):
        replay(text, {"question": "Pay?", "options": ["now", "never"]})


class Person:
    """Answers when asked, as on a terminal."""

    how = "console"
    answers_later = False

    def ask(self, request, submit):
        submit("asked " + request.question.payload, reviewer="zoe")


@pytest.mark.filterwarnings("ignore::hitl_nb.errors.UnusedAnswersWarning")
def test_ask_has_a_person_decide_what_changed_and_only_that():
    text = taped("Name", "Bo").replace("on_change: fail", "on_change: ask")
    responder = ScriptedResponder(read_script(text), person=Person())
    session = review(graph_that_asks("New name"), {"log": []}, thread_id="t", responder=responder)
    assert [(d.answer, d.reviewer, d.how) for d in session.decisions] == [("asked New name", "zoe", "console")]
    responder = ScriptedResponder(read_script(text), person=Person())
    session = review(graph_that_asks("Name"), {"log": []}, thread_id="t", responder=responder)
    assert [(d.answer, d.how) for d in session.decisions] == [("Bo", "script")]
    with pytest.raises(MissingAnswerError, match="was given to another payload, and on_change: ask finds no person here"):
        replay(text, "New name")


def test_an_answer_that_comes_at_another_time_goes_to_what_it_was_given_to():
    def graph(order):
        def ask(state):
            return {"log": [interrupt(name) for name in order]}

        return StateGraph(Log).add_node(ask).set_entry_point("ask").compile(MemorySaver())

    first = review(graph(["A?", "B?"]), {"log": []}, thread_id="t", answers=["a", "b"])
    text = tape(first._saver, ["t"])
    with pytest.raises(QuestionChangedError):
        review(graph(["B?", "A?"]), {"log": []}, thread_id="t", answers=text)  # another place in its node is another question


def test_a_replay_goes_on_in_a_thread_whose_questions_side_by_side_were_answered_in_another_order():
    def graph():
        def worker(state):
            return {"log": [[state["n"], interrupt("Go on?")]]}

        builder = StateGraph(Log).add_node("start", lambda state: {"log": []}).add_node(worker).set_entry_point("start")
        return builder.add_conditional_edges("start", lambda state: [Send("worker", {"n": n}) for n in range(3)]).compile(MemorySaver())

    first = graph()
    asked = first.invoke({"log": []}, CONFIG).interrupts
    first.invoke(Command(resume={i.id: f"answer {n}" for n, i in enumerate(asked)}), CONFIG)
    text = tape(first.checkpointer, ["t"])
    second = graph()
    asked = second.invoke({"log": []}, CONFIG).interrupts
    second.invoke(Command(resume={asked[2].id: "by hand"}), CONFIG)
    with pytest.warns(UnusedAnswersWarning):
        session = review(second, {"log": []}, thread_id="t", answers=text)
    assert session.state["log"] == [[0, "answer 0"], [1, "answer 1"], [2, "by hand"]]


def test_what_was_taken_back_and_what_a_deadline_decided_stand_in_comments():
    now = [datetime(2026, 5, 1, tzinfo=UTC)]

    def ask(state):
        return {"log": [interrupt("First?"), interrupt("Second?", deadline=timedelta(hours=1), default="no")]}

    graph = StateGraph(Log).add_node(ask).set_entry_point("ask").compile(MemorySaver(), now=lambda: now[0])
    graph.invoke({"log": []}, CONFIG)
    graph.invoke(Command(resume="oops\n- answer: evil"), CONFIG)
    graph.reopen(CONFIG, graph.checkpointer.decisions("t")[0].interrupt_id)
    graph.invoke(None, CONFIG)
    graph.invoke(Command(resume="yes"), CONFIG)
    now[0] += timedelta(hours=2)
    graph.expire()
    text = tape(graph.checkpointer, ["t"])
    assert [e.answer for e in read_script(text).entries] == ["yes"]
    assert '# thread t, node ask got its default "no", as nobody answered in time; the deadline decides, no entry does\n' in text
    assert '# thread t, node ask was answered "oops\\n- answer: evil" by ann, and that was taken back\n' in text
    timed = tape(graph.checkpointer, ["t"], times=True)
    assert "# 2026-05-01 00:00:00 UTC, invoke\n- thread: t\n" in timed
    assert [e.answer for e in read_script(timed).entries] == ["yes"]


def test_a_thread_without_decisions_and_one_that_is_gone():
    graph = graph_that_asks("Go?")
    graph.invoke({"log": []}, CONFIG)
    assert read_script(tape(graph.checkpointer, ["t"])).entries == []
    graph.invoke(Command(resume=True), CONFIG)
    graph.checkpointer.delete_thread("t")
    with pytest.raises(UnknownThreadError, match="was deleted; hitl-nb audit shows its 1 decision. Nothing was taped"):
        tape(graph.checkpointer, ["t"])
    with pytest.raises(UnknownThreadError, match="is not in the store"):
        tape(graph.checkpointer, ["u"])


def test_a_pruned_thread_says_which_decisions_cannot_be_replayed():
    def last(state):
        return {"log": [interrupt("Sure?")]}

    builder = StateGraph(Log).add_node("ask", lambda state: {"log": [interrupt("Go?")]}).add_node(last).add_edge("ask", "last")
    graph = builder.set_entry_point("ask").compile(MemorySaver())
    for given in ({"log": []}, Command(resume="go")):
        graph.invoke(given, CONFIG)
    graph.checkpointer.prune(["t"])
    graph.invoke(Command(resume="sure"), CONFIG)
    text = tape(graph.checkpointer, ["t"])
    assert [e.answer for e in read_script(text).entries] == ["sure"]
    assert '# thread t, node ask was answered "go" by ann, and the thread was pruned since, so it cannot be replayed' in text


def test_several_threads_share_a_tape_and_names_with_wildcards_are_taken_by_the_letter():
    saver = MemorySaver()
    graph = graph_that_asks("Go?", saver)
    for thread_id, answer in (("b", 1), ("a*", 2), ("ab", 3)):
        config = {"configurable": {"thread_id": thread_id}}
        graph.invoke({"log": []}, config)
        graph.invoke(Command(resume=answer), config)
    text = tape(saver, ["b", "ab", "a*", "b"])
    assert [e.answer for e in read_script(text).entries] == [2, 3, 1]
    for thread_id, answer in (("b", 1), ("a*", 2), ("ab", 3)):
        assert review(graph_that_asks("Go?"), {"log": []}, thread_id=thread_id, answers=text).state == {"log": [answer]}


def test_an_entry_for_this_very_thread_that_was_not_asked_for_is_told(tmp_path):
    path = write_tape(tmp_path / "tape.yaml", taped("Go?", True))
    graph = StateGraph(Log).add_node("ask", lambda state: {"log": []}).set_entry_point("ask").compile(MemorySaver())
    with pytest.warns(UnusedAnswersWarning, match=r"thread 't' ended and 1 of the scripted answers were not asked for: .*tape.yaml, line 6"):
        review(graph, {"log": []}, thread_id="t", answers=path)
    graph = StateGraph(Log).add_node("ask", lambda state: {"log": []}).set_entry_point("ask").compile(MemorySaver())
    review(graph, {"log": []}, thread_id="u", answers=path)
    path.write_text(path.read_text("utf-8").replace("tape: 1", "tape: 1\non_unused: fail"), encoding="utf-8")
    graph = StateGraph(Log).add_node("ask", lambda state: {"log": []}).set_entry_point("ask").compile(MemorySaver())
    with pytest.raises(AnswersFileError, match="were not asked for"):
        review(graph, {"log": []}, thread_id="t", answers=path)


def test_a_session_writes_its_tape_and_a_place_that_cannot_be_written_is_named(tmp_path):
    session = replay(taped("Go?", True), "Go?")
    path = session.tape(tmp_path / "answers.yaml")
    assert replay(str(path), "Go?").state == {"log": [True]}
    assert [p.name for p in tmp_path.iterdir()] == ["answers.yaml"]
    with pytest.raises(AnswersFileError, match="the tape cannot be written to .*Name another place"):
        session.tape(tmp_path / "no" / "answers.yaml")


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_tape_that_was_cut_short_is_no_tape(cut):
    text = taped({"question": "Pay?", "amount": 5}, "approve")
    with pytest.raises(AnswersFileError, match="cut short|expected|without|end"):
        read_script(text[: len(text) - 3 - cut])


def test_a_tape_of_a_later_version_is_refused():
    with pytest.raises(AnswersFileError, match="is a tape of version 2, and this hitl_nb reads 1"):
        read_script(taped("Go?", True).replace("tape: 1", "tape: 2"))


@pytest.mark.parametrize(
    "answer",
    [
        Decimal("1.50"), date(2026, 5, 1), datetime(2026, 5, 1, 12, tzinfo=UTC), float("inf"), b"\0x", (1, (2, 3)), {1: "a"}, {"a", "b"},
        {"$date": "mine"}, [{"$plain": 1}], {"deep": [Decimal(2), {"$decimal": 1}]}, timedelta(hours=1), 1e300, 10**30, "no", "1e3", "\n", {},
    ],
    ids=lambda a: repr(sorted(a) if isinstance(a, set) else a),
)  # fmt: skip
def test_an_answer_that_yaml_does_not_have_comes_back_as_it_was(answer):
    serde = MemorySaver().serde
    assert from_plain(to_plain(answer, serde), "here") == answer
    back = replay(taped("What?", answer), "What?").state["log"][0]
    assert (type(back), back) == (type(answer), answer)


@pytest.mark.parametrize(
    "form", [{"$date": 1}, {"$date": "soon"}, {"$decimal": "x"}, {"$stored": "AAAA"}, {"$stored": "?"}, {"$bytes": "?"}, {"$plain": 3}]
)
def test_a_form_that_cannot_be_read_is_an_error_of_its_line(form):
    with pytest.raises(AnswersFileError, match="answers=, entry 1"):
        read_script([{"answer": form}])


def test_reading_what_was_stored_runs_no_code():
    import base64
    import pickle

    class Evil:
        def __reduce__(self):
            return (print, ("executed",))

    with pytest.raises(AnswersFileError, match="cannot be read"):
        read_script([{"answer": {"$stored": base64.b64encode(pickle.dumps(Evil())).decode()}}])
