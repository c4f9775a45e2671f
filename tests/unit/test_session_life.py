"""What a session shows when a question does not simply get its answer: others answer, undo, update; deadlines pass; an answer is changed."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from hitl_nb import END, START, MemorySaver, StateGraph, interrupt
from hitl_nb.errors import AlreadyAnsweredError, ThreadBusyError, ThreadMovedError, UnknownInterruptError
from hitl_nb.responders.base import FrontEnd, View
from hitl_nb.responders.plain import wait_by_looking
from hitl_nb.session import ReviewSession

AT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
CONFIG = {"configurable": {"thread_id": "t"}}


class Page(View):
    """Notes what is shown, and answers when the test says so."""

    how = "card"

    def __init__(self):
        self.seen = []
        self.submits = {}
        self.change_offered = None

    def ask(self, request, submit):
        self.submits[request.form.heading] = submit
        self.seen.append(f"asks {request.form.heading}")

    def opened(self, ways):
        self.ways = ways

    def decided(self, request, decision):
        self.seen.append(f"receipt {request.form.heading} {decision.answer}")

    def decided_elsewhere(self, request, decision):
        self.seen.append(f"elsewhere {request.form.heading} {decision.answer} by {decision.reviewer}")

    def outdated(self, request):
        self.seen.append(f"outdated {request.form.heading}")

    def changed(self, request):
        self.seen.append(f"now asked {request.question.assignee}")

    def undone(self, request, decision):
        self.seen.append(f"undone {request.form.heading} {decision.answer}")

    def changeable(self, request):
        self.change_offered = None if request is None else request.form.heading

    def running(self, nodes):
        self.seen.append(f"runs {', '.join(nodes)}" if nodes else "rests")

    def failed(self, error, retry, reopen, nodes=()):
        self.seen.append(f"failed {error}")
        self.failure = (retry, reopen, nodes)

    def finished(self):
        self.seen.append("ended")

    def since(self, count):
        """What was shown after the first so many."""
        return [line for line in self.seen[count:] if not line.startswith(("runs", "rests"))]


def opened(graph, given=None):
    page = Page()
    session = ReviewSession(graph, graph.checkpointer, "t", FrontEnd(page, page, wait_by_looking), "dana", now=lambda: AT)
    session.open(given)
    return session, page


def settled(session):
    assert wait_by_looking(lambda: session.status != "running", 10)
    return session.status


def in_a_row(*nodes, now=lambda: AT):
    builder, before = StateGraph(), START
    for node in nodes:
        builder.add_node(node.__name__, node).add_edge(before, node.__name__)
        before = node.__name__
    return builder.add_edge(before, END).compile(MemorySaver(), now=now) if now else builder.compile(MemorySaver())


def write(state):
    return {"draft": state.get("draft", "One")}


def check(state):
    return {"ok": interrupt(f"Publish {state['draft']}?")}


def mail(state):
    return {"mailed": interrupt("Mail?")}


# -- answered by somebody else


def test_a_click_on_a_question_that_was_answered_elsewhere_is_refused_and_shows_by_whom():
    graph = in_a_row(write, check, mail)
    session, page = opened(graph, {"draft": "One"})
    other, _ = opened(graph)
    other.answer(True, reviewer="sam")
    seen = len(page.seen)
    with pytest.raises(AlreadyAnsweredError):
        page.submits["Publish One?"](False)
    assert settled(session) == "waiting"
    assert page.since(seen) == ["elsewhere Publish One? True by sam", "asks Mail?"]
    assert [d.answer for d in session.decisions] == [True]


def test_looking_shows_what_became_of_a_question_on_which_nobody_clicked():
    graph = in_a_row(write, check)
    session, page = opened(graph, {"draft": "One"})
    opened(graph)[0].answer(True, reviewer="sam")
    seen = len(page.seen)
    page.ways.look()
    assert settled(session) == "done"
    assert page.since(seen) == ["elsewhere Publish One? True by sam", "ended"]
    page.ways.look()
    assert page.since(seen)[2:] == []


# -- asked otherwise now


def title(state):
    return {"draft": interrupt("Which one?", schema=str)}


def replaced():
    """A session that shows a question which somebody else has replaced meanwhile."""
    graph = in_a_row(title, check)
    session, page = opened(graph, {})
    page.submits["Which one?"]("One")
    assert settled(session) == "waiting"
    other, _ = opened(graph)
    other.undo()
    other.answer("Two", reviewer="sam")
    return session, page


def test_a_click_on_a_question_that_was_replaced_sends_nothing_and_the_new_one_is_asked():
    session, page = replaced()
    seen = len(page.seen)
    with pytest.raises(UnknownInterruptError):
        page.submits["Publish One?"](True)
    assert settled(session) == "waiting"
    assert page.since(seen) == ["undone Which one? One", "outdated Publish One?", "receipt Which one? Two", "asks Publish Two?"]
    assert [d.answer for d in session.decisions] == ["One", "Two"]


def test_a_question_that_is_replaced_while_a_cell_waits_is_out_of_date_without_a_click():
    session, page = replaced()

    def wait(ready, timeout_s):
        page.submits["Publish Two?"](True)
        return wait_by_looking(ready, timeout_s)

    session._wait = wait
    assert session.result(10)["ok"] is True
    assert [line for line in page.seen if "Publish" in line][:3] == ["asks Publish One?", "outdated Publish One?", "asks Publish Two?"]


def test_an_answer_that_does_not_count_as_the_state_was_updated_before_it_is_taken_back():
    graph = in_a_row(write, check)
    session, page = opened(graph, {"draft": "One"})
    graph.update_state(CONFIG, {"draft": "Two"}, as_node="write")
    page.submits["Publish One?"](True)
    assert settled(session) == "waiting"
    assert page.since(1) == ["receipt Publish One? True", "undone Publish One? True", "asks Publish Two?"]
    assert page.change_offered is None


def test_what_somebody_else_undid_is_taken_back_here_and_its_question_asked_again():
    graph = in_a_row(check, mail)
    session, page = opened(graph, {"draft": "One"})
    page.submits["Publish One?"](True)
    assert settled(session) == "waiting"
    opened(graph)[0].undo()
    seen = len(page.seen)
    with pytest.raises(UnknownInterruptError):
        page.submits["Mail?"](True)
    assert settled(session) == "waiting"
    assert page.since(seen) == ["undone Publish One? True", "outdated Mail?", "asks Publish One?"]


# -- change my answer


def test_the_latest_answer_can_be_changed_and_then_the_one_before_it():
    session, page = opened(in_a_row(check, mail, sign), {"draft": "One"})
    for question in ("Publish One?", "Mail?"):
        page.submits[question](True)
        assert settled(session) == "waiting"
    assert page.change_offered == "Mail?"
    first, second = (d.interrupt_id for d in session.decisions)
    with pytest.raises(ThreadMovedError):
        page.ways.change(first)
    seen = len(page.seen)
    page.ways.change(second)
    assert settled(session) == "waiting"
    assert page.since(seen) == ["undone Mail? True", "outdated Sign?", "asks Mail?"]
    assert page.change_offered == "Publish One?"
    page.submits["Mail?"](False)
    assert settled(session) == "waiting"
    assert [d.answer for d in session.decisions] == [True, True, False]
    assert session.state["mailed"] is False


def sign(state):
    return {"signed": interrupt("Sign?")}


def test_an_answer_is_not_changed_while_the_graph_runs_with_it():
    started, go = threading.Event(), threading.Event()

    def slow(state):
        answer = interrupt("Go?")
        started.set()
        assert go.wait(10)
        return {"went": answer}

    session, page = opened(in_a_row(mail, slow, sign), {})
    page.submits["Mail?"](True)
    assert settled(session) == "waiting"
    assert page.change_offered == "Mail?"
    page.submits["Go?"](True)
    assert started.wait(10)
    assert page.change_offered is None
    with pytest.raises(ThreadBusyError, match="can be changed when it asks again"):
        page.ways.change(session.decisions[1].interrupt_id)
    go.set()
    assert settled(session) == "waiting"
    assert page.change_offered == "Go?"


def test_an_answer_is_not_changed_while_another_process_runs_the_thread_and_the_click_does_not_hang():
    graph = in_a_row(check, mail)
    session, page = opened(graph, {"draft": "One"})
    page.submits["Publish One?"](True)
    assert settled(session) == "waiting"
    with graph.checkpointer.guard("t"), pytest.raises(ThreadBusyError, match="Nothing was undone"):
        page.ways.change(session.decisions[0].interrupt_id)
    assert settled(session) == "waiting"


def test_after_an_undo_from_code_the_question_is_asked_again_in_the_view():
    session, page = opened(in_a_row(check), {"draft": "One"})
    page.submits["Publish One?"](True)
    assert settled(session) == "done"
    seen = len(page.seen)
    session.undo()
    assert page.since(seen) == ["undone Publish One? True", "asks Publish One?"]


def test_going_on_after_a_static_pause_is_no_answer_that_can_be_changed():
    builder = StateGraph().add_node("check", check).add_edge(START, "check")
    session, page = opened(builder.compile(MemorySaver(), interrupt_before=["check"]), {"draft": "One"})
    page.submits["Continue before check?"](True)
    assert settled(session) == "waiting"
    assert page.change_offered is None
    page.submits["Publish One?"](True)
    assert settled(session) == "done"
    assert page.change_offered == "Publish One?"


# -- deadlines


def test_a_question_that_is_handed_on_while_it_is_open_says_who_is_asked_now():
    clock = [AT]

    def pay(state):
        return {"ok": interrupt("Pay?", deadline=timedelta(hours=1), assignee="dana", escalate_to="Sam Ito", default=False)}

    graph = in_a_row(pay, now=lambda: clock[0])
    session, page = opened(graph, {})
    clock[0] += timedelta(hours=2)
    graph.expire(CONFIG)
    seen = len(page.seen)
    page.ways.look()
    assert settled(session) == "waiting"
    assert page.since(seen) == ["now asked Sam Ito"]
    clock[0] += timedelta(hours=2)
    graph.expire(CONFIG)
    page.ways.look()
    assert settled(session) == "done"
    assert page.since(seen)[1:] == ["elsewhere Pay? False by the deadline", "ended"]


# -- failures and interrupts


def test_nodes_that_fail_side_by_side_are_named_with_their_errors():
    def ask(state):
        return {"ok": interrupt("Go?")}

    def press(state):
        raise OSError("the press is broken")

    def post(state):
        raise ValueError("no address")

    builder = StateGraph().add_node("ask", ask).add_edge(START, "ask")
    for node in (press, post):
        builder.add_node(node.__name__, node).add_edge("ask", node.__name__)
    session, page = opened(builder.compile(MemorySaver()), {})
    page.submits["Go?"](True)
    assert settled(session) == "failed"
    assert page.failure[2] == [("press", "builtins.OSError: the press is broken"), ("post", "builtins.ValueError: no address")]


def test_after_an_interrupt_nothing_looks_as_if_it_ran():
    def leave(state):
        interrupt("Go?")
        raise KeyboardInterrupt

    session, page = opened(in_a_row(leave), {})
    session._turn.waits("cell")
    page.submits["Go?"](True)
    session._turn.waits_no_more("cell")
    with pytest.raises(KeyboardInterrupt):
        session.result()
    assert page.seen[-2:] == ["runs leave", "rests"]


def test_a_view_that_shows_no_progress_costs_nothing_and_one_that_does_is_told():
    class Notes:
        def __init__(self):
            self.lines = []

        def started(self, begun):
            self.lines.append([b.node for b in begun])

        def ended(self, task_id, how):
            self.lines.append(how)

        def wrote(self, task_id, event):
            self.lines.append(event)

    session, page = opened(in_a_row(check), {"draft": "One"})
    page.progress = Notes()
    page.submits["Publish One?"](True)
    assert settled(session) == "done"
    assert page.progress.lines == [["check"], "done"]
