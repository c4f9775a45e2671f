"""Several reviewers, one question: in sessions, scripts and tapes, on the terminal and on cards."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import ipywidgets
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hitl_nb import Decision, DiskCacheSaver, MemorySaver, NotEntitledError, StateGraph, Vote, interrupt, review
from hitl_nb.checkpoint.audit import log_entries
from hitl_nb.checkpoint.reviewers import ReviewersFile
from hitl_nb.decisions.answers.lint import lint
from hitl_nb.decisions.record import rows
from hitl_nb.decisions.requesting import request_for
from hitl_nb.decisions.tape import tape
from hitl_nb.errors import MissingAnswerError, NotWaitingError, StoreError
from hitl_nb.responders.base import FrontEnd
from hitl_nb.responders.console import ConsoleResponder
from hitl_nb.responders.plain import PlainView, wait_by_looking
from hitl_nb.session import ReviewSession
from hitl_nb.widgets.live import LiveView
from hitl_nb.widgets.receipt_text import markdown, plain

AT = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
PAYLOAD = {"question": "Pay 500?", "options": ["approve", "reject"]}
LISTED = {"reviewers": {"dana": ["finance"], "sam": ["finance"], "kim": ["legal"]}}


def paying(saver=None, *, payload=PAYLOAD, now=lambda: AT, **terms):
    """A graph that asks once, by two reviewers unless `terms` say otherwise."""

    def pay(state):
        return {"said": interrupt(payload, **{"quorum": 2, **terms})}

    return StateGraph().add_node(pay).set_entry_point("pay").compile(checkpointer=MemorySaver() if saver is None else saver, now=now)


def entry(answer, by=None, **more):
    return {"answer": answer, **({} if by is None else {"by": by}), **more}


def start(graph, answers, **more):
    return review(graph, {"said": None}, thread_id="t", answers=answers, reviewer=more.pop("reviewer", "dana"), **more)


def voters(graph, session=None):
    asked = graph.checkpointer.open_questions()
    question = asked[0].interrupt_id if asked else graph.checkpointer.decisions("t")[0].interrupt_id
    return [(v.reviewer, v.answer) for v in graph.checkpointer.votes(question)]


# -- from code and from scripts ---------------------------------------------------------------------------------------------------------


def test_an_answer_from_code_is_a_vote_until_the_quorum_is_there(capsys):
    graph = paying()
    session = start(graph, [], on_missing="leave_open")
    vote = session.answer("approve")
    assert isinstance(vote, Vote)
    assert (session.status, session.pending[0].votes, session.pending[0].own_vote) == ("waiting", (vote,), vote)
    made = session.answer("approve", reviewer="sam")
    assert isinstance(made, Decision)
    assert session.result()["said"] == "approve"
    assert capsys.readouterr().out == (
        'Pay 500? "approve", by dana (code): 1 of 2 have answered so, it stays open\nPay 500? "approve", by sam (code)\n'
    )


def test_a_script_has_an_entry_for_each_reviewer():
    graph = paying()
    assert start(graph, [entry("reject", "kim"), entry("approve", "sam"), entry("approve", "Dana")]).result()["said"] == "approve"
    assert voters(graph) == [("kim", "reject"), ("sam", "approve"), ("Dana", "approve")]


@pytest.mark.parametrize(
    "answers",
    [
        ["approve", "approve"],
        [entry("approve"), entry("approve", "Dana ")],
        [entry("approve", times="always")],
        {"answers": [], "default": {"pay": "approve"}},
    ],
)
def test_one_reviewer_is_not_two_in_a_script_either(answers):
    graph = paying()
    with pytest.raises(MissingAnswerError, match="1 of 2 reviewers have answered .approve.; no unused entry .* by somebody else") as missing:
        start(graph, answers)
    assert voters(graph) == [("dana", "approve")]
    if isinstance(answers, dict) or "answer" in answers[0]:
        assert "by: …  # one such entry for each of 2 reviewers" in missing.value.suggestion


def test_a_script_that_is_run_again_goes_on_where_its_votes_end():
    graph = paying()
    first = [entry("approve", "sam", times=1)]
    assert start(graph, first, on_missing="leave_open").status == "waiting"
    assert start(graph, [*first, entry("approve", "kim")]).result()["said"] == "approve"
    assert start(graph, [*first, entry("approve", "kim")]).status == "done"
    assert voters(graph) == [("sam", "approve"), ("kim", "approve")]


def test_a_script_that_is_run_again_does_not_vote_again():
    graph = paying()
    for _ in range(2):
        assert start(graph, [entry("approve", "sam", times="always")], on_missing="leave_open").status == "waiting"
    assert voters(graph) == [("sam", "approve")]


def test_an_entry_by_somebody_who_may_not_answer_is_refused_and_names_its_place():
    graph = paying(MemorySaver(reviewers=LISTED), assignee="finance", quorum=1)
    with pytest.raises(NotEntitledError, match=r"answers=, entry 1: .*only finance may answer"):
        start(graph, [entry("approve", "kim")], on_missing="leave_open")
    with pytest.raises(NotEntitledError, match="does not list root"):
        start(graph, ["approve"], reviewer="root")
    assert start(graph, [entry("approve", "sam")], reviewer="root").result()["said"] == "approve"
    assert [e.kind for e in log_entries(graph.checkpointer)] == ["refused", "refused", "decision"]


def test_a_tape_holds_each_vote_and_replays():
    graph = paying()
    start(graph, [entry("approve", "kim"), entry("reject", "sam"), entry("reject", "lee")])
    written = tape(graph.checkpointer, ["t"])
    assert [(e["by"], e["answer"]) for e in yaml.safe_load(written)["answers"]] == [("kim", "approve"), ("sam", "reject"), ("lee", "reject")]
    again = paying()
    assert start(again, written).result()["said"] == "reject"
    assert voters(again) == [("kim", "approve"), ("sam", "reject"), ("lee", "reject")]
    assert tape(again.checkpointer, ["t"]) == written


def test_a_tape_holds_the_last_vote_of_a_reviewer_who_voted_again():
    graph = paying()
    session = start(graph, [], on_missing="leave_open")
    for name, answer in [("kim", "approve"), ("sam", "reject"), ("Kim", "reject")]:
        session.answer(answer, reviewer=name)
    written = tape(graph.checkpointer, ["t"])
    assert [(e["by"], e["answer"]) for e in yaml.safe_load(written)["answers"]] == [("sam", "reject"), ("Kim", "reject")]
    assert start(paying(), written).result()["said"] == "reject"


def test_a_tape_of_a_reviewer_who_voted_under_two_names_replays_where_nobody_is_listed():
    listed = {"reviewers": {"lee": {"name": "Lee Ng"}, "sam": [], "kim": []}}
    graph = paying(MemorySaver(reviewers=listed))
    session = start(graph, [], on_missing="leave_open", reviewer="kim")
    for name, answer in [("lee", "approve"), ("Lee Ng", "reject"), ("sam", "approve"), ("kim", "reject")]:
        session.answer(answer, reviewer=name)
    assert session.result()["said"] == "reject"
    again = paying()
    assert start(again, tape(graph.checkpointer, ["t"])).result()["said"] == "reject"
    assert voters(again) == [("Lee Ng", "reject"), ("sam", "approve"), ("kim", "reject")]


def test_a_tape_of_a_question_that_waits_for_more_brings_it_there_again():
    graph = paying()
    start(graph, [entry("approve", "kim")], on_missing="leave_open")
    again = paying()
    session = start(again, tape(graph.checkpointer, ["t"]), on_missing="leave_open")
    assert (session.status, voters(again)) == ("waiting", [("kim", "approve")])


def test_a_check_of_an_answers_file_counts_reviewers_and_knows_who_may_not():
    graph = paying(MemorySaver(reviewers=LISTED), assignee="finance")
    graph.invoke({"said": None}, {"configurable": {"thread_id": "t"}})
    found = lint([entry("approve", "sam"), entry("approve", "kim")], graph.checkpointer)
    assert [(f.code, f.level) for f in found.findings] == [("refused", "error")]
    found = lint([entry("approve", "sam")], graph.checkpointer)
    assert [f.message for f in found.findings] == [
        "thread 't', node 'pay': Pay 500?: 1 of the 2 reviewers who have to answer it have an entry or did so"
    ]
    assert lint([entry("approve", "sam"), entry("approve", "dana")], graph.checkpointer).findings == []


def test_the_log_tells_what_was_voted():
    graph = paying(four_eyes="kim")
    session = start(graph, [], on_missing="leave_open")
    session.answer("approve")
    with pytest.raises(NotEntitledError):
        session.answer("approve", reviewer="kim")
    session.answer("approve", reviewer="sam")
    told = [(r.entry.kind, r.entry.by, r.answer, r.question) for r in rows(graph.checkpointer)]
    assert told == [
        ("vote", "dana", "approve", "Pay 500?"),
        ("refused", "kim", None, "Pay 500?"),
        ("vote", "sam", "approve", "Pay 500?"),
        ("decision", "sam", "approve", "Pay 500?"),
    ]


def test_the_only_question_is_meant_by_an_answer_also_after_a_vote():
    session = start(paying(), [], on_missing="leave_open")
    session.answer("approve")
    assert session.answer("reject").number == 1
    assert session.answer("reject", reviewer="sam").answer == "reject"
    with pytest.raises(NotWaitingError, match="no open question"):
        session.answer("approve")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["dana", "Dana ", "sam", "kim", "lee"]), st.sampled_from([True, 1, "yes"])), max_size=12), st.integers(2, 4)
)
def test_any_order_of_votes_is_decided_when_so_many_have_said_the_same_and_not_before(given_votes, quorum):
    graph = paying(quorum=quorum, payload={"question": "What?", "type": "any"})
    session = start(graph, [], on_missing="leave_open")
    said: dict[str, Any] = {}
    for name, answer in given_votes:
        made = session.answer(answer, reviewer=name)
        said[name.strip().casefold()] = (type(answer), answer)
        count = sum(one == (type(answer), answer) for one in said.values())
        if count >= quorum:
            assert (type(made), made.answer) == (Decision, answer)
            break
        assert (type(made), made.count) == (Vote, count)
    assert session.status == ("done" if any(list(said.values()).count(one) >= quorum for one in said.values()) else "waiting")


def test_a_refusal_that_cannot_be_logged_is_a_refusal_all_the_same(monkeypatch):
    graph = paying(quorum=1, four_eyes="dana")
    session = start(graph, [], on_missing="leave_open")

    def full(key, record):
        raise StoreError("the disk is full")

    monkeypatch.setattr(graph.checkpointer, "_put", full)
    with pytest.raises(NotEntitledError) as refused:
        session.answer("approve")
    assert refused.value.__notes__ == ["And the decision log could not say so: the disk is full"]
    assert session.status == "waiting"


def test_a_listing_says_what_too_few_may_answer(tmp_path):
    from click.testing import CliRunner

    from hitl_nb.cli import main

    graph = paying(DiskCacheSaver(tmp_path), assignee="legal")
    for n in range(7):
        graph.invoke({"said": None}, {"configurable": {"thread_id": f"t-{n}"}})
    graph.checkpointer.close()

    def listed():
        done = CliRunner().invoke(main, ["pending", "--store", str(tmp_path)])
        assert done.exit_code == 0
        return done.output

    assert "reviewers.yaml" not in listed()
    (tmp_path / "reviewers.yaml").write_text("reviewers: {dana: [legal], sam: [finance]}")
    assert listed().count("2 reviewers have to answer, and dana may by reviewers.yaml, so it stays open until that names more.") == 5
    assert "… and 2 more that too few may answer" in listed()
    (tmp_path / "reviewers.yaml").write_text("reviewers: {dana: [legal")
    assert "No answer is taken before the file is right" in listed()


# -- on a terminal ----------------------------------------------------------------------------------------------------------------------


def console(graph, *lines, reviewer="dana"):
    typed, shown = iter(lines), []
    who = ConsoleResponder(read=lambda prompt: next(typed), write=shown.append)
    session = ReviewSession(
        graph,
        graph.checkpointer,
        "t",
        FrontEnd(PlainView(write=lambda _: None), who, wait_by_looking),
        reviewer,
        now=lambda: AT,
        sleep=lambda s: None,
    )
    session.open({"said": None})
    return session, "\n".join(shown)


def test_the_terminal_tells_what_a_vote_adds_up_to_and_what_others_answered():
    graph = paying()
    _, shown = console(graph, "approve")
    assert "2 reviewers have to give the same answer; none has answered yet." in shown
    assert shown.endswith("Recorded: 1 of 2. It stays open until 2 reviewers have given the same answer.")
    _, shown = console(graph, "reject")
    assert '  dana answered "approve" (you; another answer replaces it)' in shown
    session, shown = console(graph, "reject", reviewer="sam")
    assert '  dana answered "reject"' in shown
    assert session.result()["said"] == "reject"


def test_the_terminal_does_not_ask_who_may_not_answer():
    session, shown = console(paying(four_eyes="Dana"))
    assert shown.endswith("Somebody else has to answer, as dana asked for it (four eyes).\nLeft open.")
    assert session.status == "waiting"


def test_the_terminal_says_why_when_it_turns_out_late():
    graph = paying(quorum=1)
    shown = []

    def read(prompt):
        graph.checkpointer._reviewers = ReviewersFile.of(LISTED)
        return "approve"

    request: Any = None
    graph.invoke({"said": None}, {"configurable": {"thread_id": "t"}})
    saver = graph.checkpointer
    request = request_for(saver, saver.question(saver.open_questions()[0].interrupt_id), reviewer="zoe")

    def submit(answer, **_):
        question = request.question
        return saver.record("t", [Decision(question.id, "t", "pay", -1, answer, "zoe", AT, "console", question.digest)]).made[0]

    ConsoleResponder(read=read, write=shown.append).ask(request, submit)
    assert shown[-1].startswith("Not sent: the question of node 'pay' (thread 't') is not for zoe to answer: reviewers= does not list zoe")


# -- on cards ---------------------------------------------------------------------------------------------------------------------------


class Desk:
    """A session whose cards a test reads and presses."""

    def __init__(self, graph, reviewer="dana"):
        self.view = LiveView(now=lambda: AT)
        self.session = ReviewSession(
            graph, graph.checkpointer, "t", FrontEnd(self.view, self.view, wait_by_looking), reviewer, now=lambda: AT, sleep=lambda s: None
        )
        self.session.open({"said": None})

    def shown(self, kind):
        return [w for w in below(self.view.box) if isinstance(w, kind)]

    @property
    def text(self):
        return "\n".join(w.value for w in self.shown(ipywidgets.HTML))

    def button(self, label):
        return next(b for b in self.shown(ipywidgets.Button) if b.description == label)


def below(widget):
    return [widget, *(w for child in getattr(widget, "children", ()) for w in below(child))]


def settle(desk):
    """Wait until the worker of a click has run."""
    wait_by_looking(lambda: not desk.session._turn.is_running, 10)


def test_a_card_stays_open_after_a_vote_and_says_how_many_there_are():
    graph = paying()
    dana, sam = Desk(graph), Desk(graph, "sam")
    assert "2 reviewers have to give the same answer. None has answered yet." in dana.text
    dana.button("Approve").click()
    settle(dana)
    assert "Recorded: 1 of 2 answered “Approved”" in dana.text
    assert ">1 of 2 answered<" in dana.text
    assert "You: Approved." in dana.text
    sam.session._look()
    settle(sam)
    assert "dana: Approved" in sam.text
    assert "Waiting for you" in sam.text
    sam.button("Approve").click()
    settle(sam)
    dana.session._look()
    settle(dana)
    for desk in (dana, sam):
        assert desk.session.status == "done"
        assert "<dt>Votes</dt><dd>dana: Approved; sam: Approved</dd>" in desk.text
    (receipt,) = sam.view._receipts()
    assert "  Votes: dana: Approved; sam: Approved" in plain(receipt)
    assert "- Votes: dana: Approved; sam: Approved" in markdown(receipt)


def test_a_card_of_somebody_who_may_not_answer_says_so_before_anything_is_typed():
    graph = paying(MemorySaver(reviewers=LISTED), assignee="finance")
    desk = Desk(graph, "kim")
    assert "Only finance may answer; you are kim." in desk.text
    assert "Waiting for finance" in desk.text
    assert [b.disabled for b in desk.shown(ipywidgets.Button)] == [True, True]
    assert "You may not answer this one." in desk.text
    assert not any(b.disabled for b in Desk(graph, "sam").shown(ipywidgets.Button))


def test_a_card_tells_when_too_few_may_answer_and_escapes_every_name():
    graph = paying(MemorySaver(reviewers=LISTED), assignee="<img src=x>")
    desk = Desk(graph, "kim")
    assert "&#x27;&lt;img src=x&gt;&#x27; is neither a reviewer nor a role in reviewers=" in desk.text
    assert "<img" not in desk.text


def test_a_card_says_when_the_store_refuses_what_it_allowed():
    graph = paying(quorum=1)
    desk = Desk(graph, "zoe")
    graph.checkpointer._reviewers = ReviewersFile.of(LISTED)
    desk.button("Approve").click()
    assert "Not sent. the question of node &#x27;pay&#x27;" in desk.text
    assert "does not list zoe" in desk.text
    graph.checkpointer._reviewers = ReviewersFile.of({"reviewers": {"zoe": []}})
    desk.button("Approve").click()
    settle(desk)
    assert desk.session.state["said"] == "approve"


def test_a_card_says_when_nobody_can_be_told_from_who_may(tmp_path):
    (tmp_path / "who.yaml").write_text("reviewers: {dana: []}")
    graph = paying(MemorySaver(reviewers=tmp_path / "who.yaml"))
    (tmp_path / "who.yaml").write_text("reviewers: {dana: [")
    desk = Desk(graph)
    assert "No answer is taken before the file is right" in desk.text
    assert all(b.disabled for b in desk.shown(ipywidgets.Button))


def test_what_was_written_stays_on_the_card_after_a_vote():
    graph = paying(payload={"action": "review", "draft": "One", "options": ["approve", "reject"]})
    desk = Desk(graph)
    desk.shown(ipywidgets.Textarea)[-1].value = "fine"
    desk.button("Approve").click()
    settle(desk)
    assert desk.shown(ipywidgets.Textarea)[-1].value == "fine"
    assert "You: Approved, “fine”." in desk.text
    assert "dana: Approved, “fine”." in Desk(graph, "sam").text
    assert graph.checkpointer.votes(graph.checkpointer.open_questions()[0].interrupt_id)[0].answer["feedback"] == "fine"


def test_of_answers_that_are_sent_together_a_vote_stays_open_and_what_is_refused_says_why():
    def left(state):
        return {"left": interrupt("Left?", quorum=2)}

    def right(state):
        return {"right": interrupt("Right?", four_eyes="dana")}

    def middle(state):
        return {"middle": interrupt("Middle?")}

    builder = StateGraph()
    for node in (left, right, middle):
        builder.add_node(node).set_entry_point(node.__name__)
    graph = builder.compile(checkpointer=MemorySaver(), now=lambda: AT)
    desk = Desk(graph)
    given = [(request, True) for request in desk.session.pending]
    made = {r.question.node: one for (r, _), one in zip(given, desk.session._answer_all(given), strict=True)}
    settle(desk)
    assert {node: type(one).__name__ for node, one in made.items()} == {"left": "Vote", "right": "NotEntitledError", "middle": "Decision"}
    assert {r.question.node for r in desk.session.pending} == {"left", "right"}
