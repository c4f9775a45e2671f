"""`review()` and its session: idempotent, answered once, never left lying."""

from __future__ import annotations

import asyncio
import operator
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from pydantic import BaseModel, field_validator

from hitl_nb import END, START, Command, DiskCacheSaver, MemorySaver, Runtime, Send, StateGraph, interrupt, review
from hitl_nb.checkpoint.records import Decision
from hitl_nb.decisions import check
from hitl_nb.decisions.request import Request
from hitl_nb.errors import (
    AlreadyAnsweredError,
    AmbiguousAnswerError,
    AnswersFileError,
    EmptyInputError,
    InvalidAnswerError,
    MissingAnswerError,
    NoCheckpointerError,
    NotWaitingError,
    StillWaitingError,
    ThreadInputError,
    ThreadMovedError,
    UnknownInterruptError,
    UnusedAnswersWarning,
)
from hitl_nb.responders.base import FrontEnd, Submit, View
from hitl_nb.responders.plain import wait_by_looking
from hitl_nb.session import ReviewSession

AT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


class State(TypedDict, total=False):
    topic: str
    draft: str
    status: str
    log: Annotated[list[str], operator.add]


class Person(View):
    """Answers later, like somebody in front of cards: keeps what was asked. Shows it, too."""

    how = "card"

    def __init__(self) -> None:
        self.cards: dict[str, tuple[Request, Submit]] = {}
        self.seen: list[str] = []
        self.failures: list[tuple[BaseException, Callable[[], None], Callable[[], None] | None]] = []

    def ask(self, request: Request, submit: Submit) -> None:
        self.cards[request.question.id] = (request, submit)
        self.seen.append(f"asks {request.form.heading}")

    def decided(self, request: Request, decision: Decision) -> None:
        self.cards.pop(request.question.id, None)
        self.seen.append(f"receipt {decision.answer!r} by {decision.reviewer}")

    def running(self, nodes: Sequence[str]) -> None:
        if nodes:
            self.seen.append(f"runs {', '.join(nodes)}")

    def failed(self, error: BaseException, retry: Callable[[], None], reopen: Callable[[], None] | None, nodes: Any = ()) -> None:
        self.failures.append((error, retry, reopen))

    def finished(self) -> None:
        self.seen.append("ended")

    @property
    def submit(self) -> Submit:
        ((_, submit),) = self.cards.values()
        return submit


def ask_to_publish(state: State) -> dict[str, Any]:
    answer = interrupt({"question": "Publish?", "content": state["draft"], "options": ["approve", "reject"]})
    return {"status": answer, "log": [f"asked:{answer}"]}


def write(state: State) -> dict[str, Any]:
    return {"draft": f"About {state['topic']}", "log": ["write"]}


def graph_of(*nodes: Callable[[Any], Any], saver: MemorySaver | None = None) -> Any:
    builder = StateGraph(State)
    before = START
    for node in nodes:
        builder.add_node(node.__name__, node)
        builder.add_edge(before, node.__name__)
        before = node.__name__
    builder.add_edge(before, END)
    return builder.compile(checkpointer=saver or MemorySaver())


def graph() -> Any:
    return graph_of(write, ask_to_publish)


def settled(session: ReviewSession) -> str:
    """The status once no worker runs any more."""
    assert wait_by_looking(lambda: session.status != "running", 10)
    return session.status


# -- scripted --------------------------------------------------------------------------------------------------------------------------


def test_scripted_answers_have_all_been_given_when_review_returns():
    session = review(graph(), {"topic": "tea"}, thread_id="t", answers=["approve"], reviewer="dana")
    assert (session.status, session.result()["status"], session.result()["log"]) == ("done", "approve", ["write", "asked:approve"])
    (decision,) = session.decisions
    assert (decision.answer, decision.reviewer, decision.how, decision.number) == ("approve", "dana", "script", 0)
    assert decision.decided_at.tzinfo is not None


def test_a_finished_thread_shows_its_receipts_and_runs_nothing(capsys: pytest.CaptureFixture[str]):
    g = graph()
    review(g, {"topic": "tea"}, thread_id="t", answers=["approve"], reviewer="dana")
    first = capsys.readouterr().out
    again = review(g, {"topic": "tea"}, thread_id="t", answers=["approve"])
    assert capsys.readouterr().out == first == 'Publish? "approve", by dana (script)\n'
    assert again.result()["log"] == ["write", "asked:approve"]
    assert repr(again) == "<ReviewSession 't': done>"


def test_a_graph_that_is_not_compiled_yet_is_refused_with_the_call_to_make():
    with pytest.raises(TypeError, match=r"review\(\) got a StateGraph; expected a compiled graph: builder\.compile\("):
        review(StateGraph(), {"n": 1}, thread_id="t")


def test_of_many_open_questions_it_names_the_first():
    builder = StateGraph().add_node("ask", lambda state: {"a": interrupt(f"Add {state['n']}?")})
    builder.add_conditional_edges(START, lambda _: [Send("ask", {"n": n}) for n in range(3)])
    session = review(builder.compile(checkpointer=MemorySaver()), {"n": 0}, thread_id="t", answers=[], on_missing="leave_open")
    assert repr(session) == "<ReviewSession 't': waiting, asks 'Add 0?' and 2 more>"


def test_without_an_answer_it_fails_at_once_and_the_question_stays_open():
    g = graph()
    with pytest.raises(MissingAnswerError, match="no person can be asked here") as caught:
        review(g, {"topic": "tea"}, thread_id="t")
    session = review(g, thread_id="t", on_missing="leave_open")
    assert [r.question.id for r in session.pending] == [caught.value.interrupt_id]
    assert repr(session) == "<ReviewSession 't': waiting, asks 'Publish?'>"
    with pytest.raises(StillWaitingError, match=r"still waits for 'Publish\?' \(node ask_to_publish\) and nobody answers here"):
        session.result()
    assert review(g, thread_id="t", answers=caught.value.suggestion).result()["status"] == "approve"


def test_an_invalid_scripted_answer_is_refused_before_it_is_recorded():
    g = graph()
    with pytest.raises(InvalidAnswerError, match="did you mean 'approve'"):
        review(g, {"topic": "tea"}, thread_id="t", answers={"ask_to_publish": "aprove"})
    assert review(g, thread_id="t", answers=["reject"]).result()["status"] == "reject"


def test_a_run_repeated_after_a_crash_goes_on_in_the_list_where_it_stopped():
    g = graph_of(*(named(f"n{i}", asking(f"Q{i}?")) for i in range(3)))
    with pytest.raises(MissingAnswerError):
        review(g, {"topic": "x"}, thread_id="t", answers=[True, False])
    session = review(g, {"topic": "x"}, thread_id="t", answers=[True, False, True])
    assert session.result()["log"] == ["Q0? True", "Q1? False", "Q2? True"]


def test_answers_that_nobody_asked_for_are_warned_of_once():
    g = graph()
    with pytest.warns(UnusedAnswersWarning, match=r"1 of the scripted answers were not asked for: answers=, entry 2"):
        review(g, {"topic": "tea"}, thread_id="t", answers=["approve", "reject"])
    review(g, {"topic": "tea"}, thread_id="t", answers=["approve", "reject"])


def test_an_answers_file_that_cannot_be_read_fails_before_anything_runs():
    g = graph()
    with pytest.raises(AnswersFileError):
        review(g, {"topic": "tea"}, thread_id="t", answers="nowhere.yaml")
    assert g.checkpointer.head("t") is None


def test_a_loop_of_ten_thousand_answers_does_not_recurse():
    def refine(state: State) -> Command:
        if interrupt(f"Again after {len(state.get('status', ''))}?"):
            return Command(update={"status": state.get("status", "") + "."}, goto="refine")
        return Command(goto=END)

    rounds = 10_000
    builder = StateGraph(State).add_node("refine", refine).add_edge(START, "refine")
    session = review(builder.compile(checkpointer=MemorySaver()), {"topic": "x"}, thread_id="t", responder=Counter(rounds))
    assert len(session.result()["status"]) == rounds


class Counter:
    """Says yes so many times, then no."""

    how = "count"
    answers_later = False

    def __init__(self, yes: int) -> None:
        self.left = yes

    def ask(self, request: Request, submit: Submit) -> None:
        self.left -= 1
        submit(self.left >= 0)


def asking(question: str) -> Callable[[State], dict[str, Any]]:
    return lambda state: {"log": [f"{question} {interrupt(question)}"]}


def named(name: str, node: Callable[[State], dict[str, Any]]) -> Callable[[State], dict[str, Any]]:
    node.__name__ = name
    return node


# -- starting --------------------------------------------------------------------------------------------------------------------------


def test_another_input_for_a_thread_names_both_ways_out():
    g = graph()
    review(g, {"topic": "tea"}, thread_id="t", on_missing="leave_open")
    with pytest.raises(ThreadInputError, match=r"use another thread_id; .* leave the input out"):
        review(g, {"topic": "coffee"}, thread_id="t")
    assert review(g, {"topic": "tea"}, thread_id="t", on_missing="leave_open").status == "waiting"


def test_a_new_thread_needs_input_and_a_graph_needs_a_checkpointer():
    with pytest.raises(EmptyInputError, match="thread 't' is new and review\\(\\) got no input"):
        review(graph(), thread_id="t")
    with pytest.raises(NoCheckpointerError, match="compile\\(checkpointer="):
        review(StateGraph(State).add_node("w", write).add_edge(START, "w").compile(), {"topic": "x"}, thread_id="t")
    with pytest.raises(TypeError, match="thread_id is 5"):
        review(graph(), {"topic": "x"}, thread_id=5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="on_missing is 'skip'"):
        review(graph(), {"topic": "x"}, thread_id="t", on_missing="skip")  # type: ignore[arg-type]


def test_a_static_pause_is_a_question_too():
    g = StateGraph(State).add_node("write", write).add_edge(START, "write").compile(checkpointer=MemorySaver(), interrupt_before=["write"])
    session = review(g, {"topic": "x"}, thread_id="t", on_missing="leave_open")
    assert [r.form.heading for r in session.pending] == ["Continue before write?"]
    assert session.state.get("log", []) == []
    with pytest.raises(InvalidAnswerError):
        session.answer("yes")
    session.answer(True)
    assert session.result()["log"] == ["write"]


def test_a_node_that_raises_headless_raises_out_of_review_and_runs_again_with_the_same_answer():
    broken = [True]

    def fragile(state: State) -> dict[str, Any]:
        answer = interrupt("Go?")
        if broken:
            raise OSError("disk full")
        return {"status": str(answer)}

    g = graph_of(fragile)
    with pytest.raises(OSError, match="disk full"):
        review(g, {"topic": "x"}, thread_id="t", answers=[True])
    broken.clear()
    session = review(g, thread_id="t", answers=[])
    assert (session.result()["status"], len(session.decisions)) == ("True", 1)


# -- from code -------------------------------------------------------------------------------------------------------------------------


def test_an_answer_from_code_runs_the_graph_to_its_next_question():
    g = graph_of(named("a", asking("A?")), named("b", asking("B?")))
    session = review(g, {"topic": "x"}, thread_id="t", on_missing="leave_open", reviewer="dana")
    session.answer(True, reviewer="sam")
    assert [r.form.heading for r in session.pending] == ["B?"]
    session.answer(False)
    assert session.result()["log"] == ["A? True", "B? False"]
    assert [(d.reviewer, d.how, d.number) for d in session.decisions] == [("sam", "code", 0), ("dana", "code", 1)]
    with pytest.raises(NotWaitingError, match="no open question"):
        session.answer(True)


def test_of_several_open_questions_the_id_says_which_one_is_answered():
    builder = StateGraph(State)
    for name in ("a", "b"):
        builder.add_node(name, asking(f"{name}?")).add_edge(START, name)
    session = review(builder.compile(checkpointer=MemorySaver()), {"topic": "x"}, thread_id="t", on_missing="leave_open")
    with pytest.raises(AmbiguousAnswerError, match="2 questions are open"):
        session.answer(True)
    with pytest.raises(UnknownInterruptError):
        session.answer(True, id="nothing")
    by_node = {r.question.node: r.question.id for r in session.pending}
    session.answer(True, id=by_node["b"])
    with pytest.raises(AlreadyAnsweredError):
        session.answer(True, id=by_node["b"])
    session.answer(False)
    assert session.result()["log"] == ["a? False", "b? True"]


def test_undo_asks_the_latest_question_again_and_then_the_one_before():
    g = graph_of(named("a", asking("A?")), named("b", asking("B?")))
    session = review(g, {"topic": "x"}, thread_id="t", answers=[True, True])
    session.undo()
    assert ([r.form.heading for r in session.pending], session.status) == (["B?"], "waiting")
    session.undo()
    assert [r.form.heading for r in session.pending] == ["A?"]
    session.answer(False)
    session.answer(False)
    assert session.result()["log"] == ["A? False", "B? False"]
    assert [d.answer for d in session.decisions] == [True, True, False, False]


def test_a_session_opened_later_shows_the_decisions_that_count_and_not_the_undone():
    g = graph_of(named("a", asking("A?")), named("b", asking("B?")))
    session = review(g, {"topic": "x"}, thread_id="t", answers=[True, True])
    session.undo()
    session.answer(False)
    again, person = live(g)
    assert person.seen == ["receipt True by " + again.decisions[0].reviewer, "receipt False by " + again.decisions[2].reviewer, "ended"]


def test_a_scripted_run_repeated_after_an_undo_may_give_the_answer_again():
    g = graph_of(named("a", asking("A?")), named("b", asking("B?")))
    review(g, {"topic": "x"}, thread_id="t", answers=[True, True]).undo()
    assert review(g, thread_id="t", answers=[True, True]).result()["log"] == ["A? True", "B? True"]


def test_a_script_does_not_answer_again_what_was_just_undone():
    session = review(graph_of(named("a", asking("A?"))), {"topic": "x"}, thread_id="t", answers=[{"answer": True, "times": "always"}])
    session.undo()
    assert session.status == "waiting"
    session.answer(False)
    assert session.result()["log"] == ["A? False"]


def test_there_is_nothing_to_undo_before_the_first_decision():
    with pytest.raises(NotWaitingError, match="no decision to undo"):
        review(graph(), {"topic": "x"}, thread_id="t", on_missing="leave_open").undo()


def test_the_decision_table_has_one_flat_row_a_decision():
    session = review(graph(), {"topic": "tea"}, thread_id="t", answers=["approve"], reviewer="dana")
    (row,) = session.decision_table()
    (decision,) = session.decisions
    assert row == {
        "interrupt_id": decision.interrupt_id,
        "node": "ask_to_publish",
        "question": "Publish?",
        "answer": "approve",
        "reviewer": "dana",
        "decided_at": decision.decided_at.isoformat(),
        "how": "script",
    }


# -- a person answers later ------------------------------------------------------------------------------------------------------------


def live(g: Any, given: dict[str, Any] | None = None, *, thread_id: str = "t") -> tuple[ReviewSession, Person]:
    person = Person()
    session = ReviewSession(g, g.checkpointer, thread_id, FrontEnd(person, person, wait_by_looking), "dana", now=lambda: AT)
    session.open(given)
    return session, person


def test_a_click_returns_at_once_and_the_graph_goes_on_in_a_worker():
    started, go = threading.Event(), threading.Event()

    def slow(state: State) -> dict[str, Any]:
        answer = interrupt("Go?")
        started.set()
        assert go.wait(10)
        return {"status": f"{answer} in {threading.current_thread().name}"}

    session, person = live(graph_of(slow, named("next", asking("And now?"))), {"topic": "x"})
    assert session.status == "waiting"
    decision = person.submit(True)
    assert (decision.number, decision.how, decision.reviewer, decision.decided_at) == (0, "card", "dana", AT)
    assert started.wait(10)
    assert session.status == "running"
    go.set()
    assert settled(session) == "waiting"
    assert session.state["status"] == "True in hitl-nb"
    assert person.seen == ["asks Go?", "receipt True by dana", "runs slow", "runs next", "asks And now?"]


def test_a_waiting_result_runs_the_graph_in_its_own_thread_and_returns_the_final_state():
    ran_in: list[str] = []

    def note(state: State) -> dict[str, Any]:
        answer = interrupt("Go?")
        ran_in.append(threading.current_thread().name)
        return {"status": str(answer)}

    session, person = live(graph_of(note), {"topic": "x"})
    clicks = threading.Thread(target=lambda: person.submit(True))

    def wait(ready: Callable[[], bool], timeout_s: float | None) -> bool:
        clicks.start()
        clicks.join()
        return wait_by_looking(ready, timeout_s)

    session._wait = wait
    assert session.result(10)["status"] == "True"
    assert ran_in == [threading.current_thread().name]
    assert person.seen[-1] == "ended"


def test_a_result_that_ran_out_of_time_says_so_and_the_question_can_still_be_answered():
    session, person = live(graph(), {"topic": "x"})
    with pytest.raises(StillWaitingError, match="after 0 s") as caught:
        session.result(0)
    assert caught.value.interrupt_id == session.pending[0].question.id
    person.submit("approve")
    assert session.result(10)["status"] == "approve"


def test_a_graph_that_asks_nothing_shows_nothing():
    session, person = live(graph_of(write), {"topic": "x"})
    assert (session.status, person.seen) == ("done", [])


def test_a_second_click_is_refused_as_already_answered_and_an_invalid_one_leaves_it_open():
    session, person = live(graph(), {"topic": "x"})
    submit = person.submit
    with pytest.raises(InvalidAnswerError):
        submit("perhaps")
    assert session.status == "waiting"
    submit("approve")
    with pytest.raises(AlreadyAnsweredError, match="by dana"):
        submit("reject")
    assert session.result(10)["status"] == "approve"


def test_the_same_question_is_shown_again_to_a_session_opened_later():
    g = graph()
    _, first = live(g, {"topic": "x"})
    session, second = live(g)
    assert list(first.cards) == list(second.cards)
    assert session.state["log"] == ["write"]


@pytest.mark.parametrize("when", ["before", "while"])
def test_an_answer_recorded_elsewhere_before_or_while_a_cell_waits_is_run_and_shown(when: str):
    g = graph()
    session, person = live(g, {"topic": "x"})
    question = session.pending[0].question

    def answer_elsewhere() -> None:
        g.checkpointer.answer("t", [Decision(question.id, "t", question.node, -1, "reject", "sam", AT, "inbox")])

    def wait(ready: Callable[[], bool], timeout_s: float | None) -> bool:
        assert not ready()
        answer_elsewhere()
        session._looked_at -= 60
        return ready()

    session._wait = wait
    if when == "before":
        answer_elsewhere()
    assert session.result(10)["status"] == "reject"
    assert "receipt 'reject' by sam" in person.seen


def test_a_thread_finished_elsewhere_is_done_at_the_next_look():
    g = graph()
    session, _ = live(g, {"topic": "x"})
    review(g, thread_id="t", answers=["approve"])
    assert (session.status, session.pending) == ("done", [])


def fragile_graph() -> tuple[Any, list[str]]:
    troubles = ["first", "second"]

    def publish(state: State) -> dict[str, Any]:
        answer = interrupt("Publish?")
        if troubles:
            raise OSError(f"{troubles.pop(0)} trouble")
        return {"status": str(answer)}

    return graph_of(publish), troubles


def test_a_node_that_raises_after_a_click_is_shown_and_can_be_retried_with_the_same_answer():
    g, _ = fragile_graph()
    session, person = live(g, {"topic": "x"})
    person.submit(True)
    assert settled(session) == "failed"
    with pytest.raises(OSError, match="first trouble"):
        session.result()
    (error, retry, _) = person.failures[-1]
    assert str(error) == "first trouble"
    retry()
    assert settled(session) == "failed"
    person.failures[-1][1]()
    assert settled(session) == "done"
    assert (session.state["status"], len(session.decisions)) == ("True", 1)


def test_a_failure_can_be_answered_anew():
    g, troubles = fragile_graph()
    session, person = live(g, {"topic": "x"})
    person.submit(True)
    assert settled(session) == "failed"
    troubles.clear()
    reopen = person.failures[-1][2]
    assert reopen is not None
    reopen()
    assert settled(session) == "waiting"
    person.submit(False)
    assert session.result(10)["status"] == "False"


class Polite(BaseModel):
    why: str

    @field_validator("why")
    @classmethod
    def not_rude(cls, why: str) -> str:
        if why == "rude":
            raise ValueError("say it nicely")
        return why


def explain(state: State) -> dict[str, Any]:
    return {"status": interrupt("Why?", schema=Polite).why}


def test_an_answer_that_only_a_validator_of_the_author_refuses_leaves_the_question_open():
    session, person = live(graph_of(explain), {"topic": "x"})
    with pytest.raises(InvalidAnswerError, match="say it nicely"):
        person.submit({"why": "rude"})
    assert (session.status, session.decisions) == ("waiting", [])
    person.submit(Polite(why="late"))
    assert session.result(10)["status"] == "late"


def test_an_answer_that_a_validator_refuses_only_when_the_node_runs_can_be_given_anew(monkeypatch):
    session, person = live(graph_of(explain), {"topic": "x"})
    monkeypatch.setattr(check, "_ASKED", {})  # what a process knows that did not ask itself
    person.submit({"why": "rude"})
    assert settled(session) == "failed"
    with pytest.raises(InvalidAnswerError, match="say it nicely"):
        session.result()
    reopen = person.failures[-1][2]
    assert reopen is not None
    reopen()
    assert settled(session) == "waiting"
    person.submit(Polite(why="late"))
    assert session.result(10)["status"] == "late"


def test_a_thread_that_failed_after_an_answer_shows_the_failure_when_it_is_opened_again():
    g, troubles = fragile_graph()
    session, person = live(g, {"topic": "x"})
    person.submit(True)
    assert settled(session) == "failed"
    again, other = live(g)
    assert (again.status, str(other.failures[-1][0])) == ("failed", "second trouble")
    assert troubles == []


def test_a_node_that_raises_before_any_decision_raises_in_the_cell():
    def broken(state: State) -> dict[str, Any]:
        raise ValueError("no data")

    with pytest.raises(ValueError, match="no data"):
        live(graph_of(broken), {"topic": "x"})


def test_a_keyboard_interrupt_ends_the_cell_and_nothing_goes_on_behind_its_back():
    presses = [KeyboardInterrupt()]
    runs: list[int] = []

    def node(state: State) -> dict[str, Any]:
        answer = interrupt("Go?")
        runs.append(1)
        if presses:
            raise presses.pop()
        return {"status": str(answer)}

    session, person = live(graph_of(node), {"topic": "x"})
    session._turn.waits("cell")
    person.submit(True)
    session._turn.waits_no_more("cell")
    with pytest.raises(KeyboardInterrupt):
        session.result()
    assert (session.status, runs) == ("waiting", [1])
    assert session.result(10)["status"] == "True"
    assert runs == [1, 1]


def test_await_gives_the_result_and_leaves_the_event_loop_free():
    session, person = live(graph(), {"topic": "x"})

    async def click() -> dict[str, Any]:
        waiting = asyncio.ensure_future(wrapped())
        await asyncio.sleep(0)
        await asyncio.to_thread(person.submit, "approve")
        return await waiting

    async def wrapped() -> dict[str, Any]:
        return await session

    assert asyncio.run(click())["status"] == "approve"


class Hasty(Person):
    """Answers each question at once, from a thread of its own."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.won: list[int] = []
        self.lost: list[AlreadyAnsweredError] = []
        self.hands: list[threading.Thread] = []

    def ask(self, request: Request, submit: Submit) -> None:
        self.hands.append(threading.Thread(target=self.click, args=(submit,)))
        self.hands[-1].start()

    def click(self, submit: Submit) -> None:
        try:
            self.won.append(submit(self.name).number)
        except AlreadyAnsweredError as error:
            self.lost.append(error)


@pytest.mark.parametrize("disk", ["memory", "disk"])
def test_three_sessions_race_for_each_question_and_each_is_answered_and_run_once(disk: str, tmp_path: Path):
    effects: list[str] = []

    def pay(state: State) -> Command:
        who = interrupt(f"Pay {len(effects)}?")
        effects.append(who)
        return Command(goto="pay" if len(effects) < 20 else END)

    saver = MemorySaver() if disk == "memory" else DiskCacheSaver(tmp_path)
    g = graph_of_one_loop(pay, saver)
    people = [Hasty(name) for name in "abc"]
    sessions = [ReviewSession(g, saver, "t", FrontEnd(p, p, wait_by_looking), p.name) for p in people]

    def run(session: ReviewSession) -> None:
        session.open({"topic": "x"})
        session.result(60)

    cells = [threading.Thread(target=run, args=(s,)) for s in sessions]
    for cell in cells:
        cell.start()
    for thread in (*cells, *(h for p in people for h in p.hands)):
        thread.join()
    assert sorted(n for p in people for n in p.won) == list(range(20))
    assert [d.answer for d in sessions[0].decisions] == effects
    assert all(error.reviewer in "abc" and error.answered_at for p in people for error in p.lost)
    assert [s.status for s in sessions] == ["done"] * 3


def graph_of_one_loop(node: Callable[[Any], Any], saver: Any) -> Any:
    return StateGraph(State).add_node(node.__name__, node).add_edge(START, node.__name__).compile(checkpointer=saver)


@pytest.mark.parametrize("shown_before", [False, True])
def test_an_answer_of_somebody_who_runs_nothing_is_gone_on_with_although_it_comes_as_a_run_ends(shown_before, monkeypatch):
    g = graph()
    saver, advance, others = g.checkpointer, type(g).advance, []

    def answered_at_once(*given, **named):
        result = advance(*given, **named)
        if result.interrupts and not others:
            question = saver.question(result.interrupts[0].id)
            others.append(question.id)
            saver.answer("t", [Decision(question.id, "t", question.node, -1, "approve", "ada", AT, "record", question.digest)])
        return result

    if shown_before:
        review(g, {"topic": "tea"}, thread_id="t", on_missing="leave_open")
    monkeypatch.setattr(type(g), "advance", answered_at_once)
    session, _ = live(g, None if shown_before else {"topic": "tea"})
    assert session.result(10)["status"] == "approve"
    assert session.status == "done"


def test_many_clicks_at_once_are_each_run_exactly_once():
    n = 30
    builder = StateGraph(State)
    for i in range(n):
        builder.add_node(f"n{i}", asking(f"{i}?")).add_edge(START, f"n{i}")
    session, person = live(builder.compile(checkpointer=MemorySaver()), {"topic": "x"})
    clicks = [threading.Thread(target=submit, args=(True,)) for _, submit in list(person.cards.values())]
    for click in clicks:
        click.start()
    for click in clicks:
        click.join()
    assert settled(session) == "done"
    assert sorted(session.state["log"]) == sorted(f"{i}? True" for i in range(n))
    assert len(session.decisions) == n


def test_while_another_process_runs_the_thread_the_session_waits_and_looks_again():
    g = graph()
    person, pauses = Person(), []
    guard = g.checkpointer.guard("t")

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            guard.__exit__(None, None, None)

    guard.__enter__()
    session = ReviewSession(g, g.checkpointer, "t", FrontEnd(person, person, wait_by_looking), "dana", sleep=sleep)
    session.open({"topic": "x"})
    assert (pauses, session.status) == ([0.05, 0.1, 0.2], "waiting")


def test_a_list_of_answers_never_gives_a_decided_question_s_entry_to_the_next_question():
    """A person answered the first question by hand; a later run brings a list for both."""
    g = graph_of(named("first", asking("Delete the cache?")), named("second", asking("Delete all data?")))
    session, person = live(g, {"topic": "x"})
    person.submit(True)
    assert settled(session) == "waiting"
    done = review(g, {"topic": "x"}, thread_id="t", answers=[True, False])
    assert [d.answer for d in done.decisions] == [True, False]
    other = graph_of(named("first", asking("Delete the cache?")), named("second", asking("Delete all data?")))
    again, somebody = live(other, {"topic": "y"})
    somebody.submit(True)
    assert settled(again) == "waiting"
    with pytest.raises(MissingAnswerError):
        review(other, {"topic": "y"}, thread_id="t", answers=[True])


def test_changing_the_answer_in_a_failure_s_card_is_refused_when_somebody_else_decided_since():
    g, troubles = fragile_graph()
    session, person = live(g, {"topic": "x"})
    person.submit(True)
    assert settled(session) == "failed"
    reopen = person.failures[-1][2]
    assert reopen is not None
    troubles.clear()
    first = session.decisions[0].interrupt_id
    g.reopen({"configurable": {"thread_id": "t"}}, first)
    g.advance({"configurable": {"thread_id": "t"}})
    g.invoke(Command(resume=False), {"configurable": {"thread_id": "t"}})
    with pytest.raises(ThreadMovedError, match="nothing was undone"):
        reopen()
    assert [d.answer for d in session.decisions] == [True, False]


def test_nodes_of_a_review_get_the_context_that_it_was_given():
    def greet(state, runtime: Runtime):
        return {"greeting": f"{interrupt('Greet?')} {runtime.context['name']}"}

    graph = StateGraph().add_node(greet).add_edge(START, "greet").compile(MemorySaver())
    session = review(graph, {}, thread_id="t", answers=["Hello"], context={"name": "Ada"})
    assert session.result() == {"greeting": "Hello Ada"}


def test_a_question_of_a_graph_inside_a_node_says_where_it_comes_from():
    inner = StateGraph().add_node("second", lambda state: {"ok": interrupt("Fine?")}).add_edge(START, "second").compile()
    graph = StateGraph().add_node("check", inner).add_edge(START, "check").compile(MemorySaver(), name="orders")
    session = review(graph, {"n": 1}, thread_id="t", answers=[], on_missing="leave_open")
    (request,) = session.pending
    assert request.question.origin == "orders / check / second"
    session.answer(True)
    assert session.result() == {"n": 1, "ok": True}
