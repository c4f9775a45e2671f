"""Who may answer, over every checkpointer: reviewers and roles, four eyes, a quorum; what is refused is logged, and counts for nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from hitl_nb import Command, DiskCacheSaver, MemorySaver, NotEntitledError, Vote, interrupt
from hitl_nb.checkpoint.audit import log_entries
from hitl_nb.checkpoint.keys import OPEN_PREFIX, question_key, vote_key
from hitl_nb.checkpoint.questions import OpenQuestion, question_from_wire, question_to_wire
from hitl_nb.checkpoint.reviewers import ReviewersFile
from hitl_nb.checkpoint.serde import pack, unpack
from hitl_nb.checkpoint.verifying import verify
from hitl_nb.errors import AlreadyAnsweredError, AmbiguousAnswerError, CorruptStoreError, ReviewersFileError, UnusedAnswersWarning
from tests.contract.conftest import Writer
from tests.contract.test_decision_log import overwrite

AT = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
LISTED = {"reviewers": {"dana": ["legal", "finance"], "sam": ["finance"], "lee": {"name": "Lee Ng", "roles": ["finance"]}, "kim": []}}
PAYLOAD = {"question": "Pay 500?", "options": ["approve", "reject"]}


def by(name, thread="t"):
    return {"configurable": {"thread_id": thread, "reviewer": name}}


def listing(saver, given=LISTED):
    """The saver with these reviewers."""
    saver._reviewers = ReviewersFile.of(given)
    return saver


@pytest.fixture
def asking(saver, chain):
    """`asking(**terms)`: a graph whose node asks so, waiting at its question."""

    def make(payload=PAYLOAD, *, times=1, now=None, **terms):
        def pay(state):
            return {"said": [interrupt(payload, **terms) for _ in range(times)]}

        graph = chain(saver, pay, **({} if now is None else {"now": now}))
        graph.invoke({"said": []}, by("nobody"))
        return graph

    return make


def told(saver):
    return [(e.kind, e.by) for e in log_entries(saver)]


# -- who may ----------------------------------------------------------------------------------------------------------------------------


def test_without_a_reviewers_file_an_assignee_is_information(asking, run):
    graph = asking(assignee="legal")
    assert run(graph, Command(resume="approve"), by("anybody"))["said"] == ["approve"]


@pytest.mark.parametrize("name", ["dana", "Dana", " dana\t", "DANA"])
def test_who_asked_for_it_may_not_answer_however_the_name_is_written(asking, run, saver, only, name):
    graph = asking(four_eyes="Dana")
    with pytest.raises(NotEntitledError, match=r"asked for it \(four eyes\).*still open. Have somebody else answer it") as refused:
        run(graph, Command(resume="approve"), by(name))
    error = refused.value
    assert (error.thread_id, error.node, error.interrupt_id) == ("t", "pay", only(graph.get_state(by("x"))).id)
    assert (error.reviewer, error.entitled) == (name.strip(), ())
    assert run(graph, Command(resume="approve"), by("sam"))["said"] == ["approve"]


@pytest.mark.parametrize(
    ("assignee", "may", "may_not"),
    [
        ("finance", ["dana", "sam", "Lee Ng", "lee"], ["kim", "zoe"]),
        ("Finance ", ["SAM"], ["kim"]),
        ("kim", ["kim"], ["dana"]),
        ("Lee Ng", ["lee"], ["sam"]),
        (None, ["kim", "dana"], ["zoe", "legal"]),
        ("nobody knows", [], ["dana", "nobody knows"]),
    ],
)
def test_with_reviewers_only_the_assignee_or_who_holds_its_role_may_answer(asking, run, saver, assignee, may, may_not):
    graph = asking(assignee=assignee, times=len(may) or 1)
    listing(saver)
    for name in may_not:
        with pytest.raises(NotEntitledError):
            run(graph, Command(resume="approve"), by(name))
    for name in may:
        run(graph, Command(resume="approve"), by(name))
    assert told(saver) == [*(("refused", n.strip()) for n in may_not), *(("decision", n.strip()) for n in may)]
    assert verify(saver).problems == ()


def test_the_error_says_who_tried_who_may_and_why(asking, saver):
    graph = asking(assignee="finance", four_eyes=["sam"])
    listing(saver)
    with pytest.raises(NotEntitledError, match="only finance may answer.*Have it answered by dana, lee") as refused:
        graph.invoke(Command(resume="approve"), by("kim"))
    assert (refused.value.reason, refused.value.entitled) == ("only finance may answer", ("dana", "lee"))
    with pytest.raises(NotEntitledError, match="reviewers= does not list zoe"):
        graph.invoke(Command(resume="approve"), by("zoe"))


def test_a_refused_answer_is_logged_and_counts_for_nothing(asking, saver, run):
    graph = asking(four_eyes="dana")
    before = saver.head("t")
    with pytest.raises(NotEntitledError):
        run(graph, Command(resume="approve"), by("dana"))
    with pytest.raises(NotEntitledError):  # with an update: that is not written either
        run(graph, Command(resume="approve", update={"said": ["x"]}), by("dana"))
    assert (saver.head("t"), saver.decisions("t"), len(saver.open_questions())) == (before, [], 1)
    entry, _ = log_entries(saver)
    assert (entry.kind, entry.by, entry.thread_id, entry.node, entry.decision) == ("refused", "dana", "t", "pay", -1)
    assert entry.interrupt_id == saver.open_questions()[0].interrupt_id
    assert "four eyes" in entry.detail
    assert verify(saver).problems == ()


def test_after_it_was_handed_on_the_next_one_may_answer_and_the_default_is_nobodys_answer(asking, saver):
    now = [AT]
    graph = asking(assignee="kim", escalate_to="legal", deadline=timedelta(hours=1), default="reject", now=lambda: now[0])
    listing(saver)
    now[0] += timedelta(hours=2)
    graph.expire()
    with pytest.raises(NotEntitledError, match="only legal may answer"):
        graph.invoke(Command(resume="approve"), by("kim"))
    now[0] += timedelta(hours=2)
    graph.expire()
    assert graph.invoke(None, by("dana"))["said"] == ["reject"]


def test_reviewers_that_cannot_be_read_let_nobody_answer(asking, tmp_path, saver):
    graph = asking()
    file = tmp_path / "who.yaml"
    file.write_text("reviewers: {dana: [legal]}")
    listing(saver, file)
    file.write_text("reviewers: {dana: [legal")
    with pytest.raises(ReviewersFileError, match="No answer is taken before the file is right"):
        graph.invoke(Command(resume="approve"), by("dana"))
    file.write_text("reviewers: {dana: [legal]}")
    assert graph.invoke(Command(resume="approve"), by("dana"))["said"] == ["approve"]


@pytest.mark.parametrize(
    ("terms", "error", "what"),
    [
        ({"four_eyes": True}, TypeError, r"four_eyes is True \(bool\); expected the name of whoever asked.*state\['requested_by'\]"),
        ({"four_eyes": ""}, TypeError, "a name of it is empty"),
        ({"four_eyes": ["dana", " "]}, TypeError, "a name of it is empty"),
        ({"four_eyes": [1]}, TypeError, r"four_eyes is 1 \(int\); expected a name"),
        ({"quorum": 0}, ValueError, "quorum is 0; expected how many"),
        ({"quorum": True}, TypeError, r"quorum is True \(bool\)"),
        ({"quorum": "2"}, TypeError, r"quorum is '2' \(str\)"),
    ],
)
def test_terms_that_say_nothing_fail_where_the_node_asks(asking, terms, error, what):
    with pytest.raises(error, match=what):
        asking(**terms)


def test_the_terms_are_told_wherever_the_question_is(asking, saver, only):
    graph = asking(four_eyes=["dana", "sam"], quorum=2)
    question = only(graph.get_state(by("x")))
    assert (question.four_eyes, question["quorum"], question.to_dict()["four_eyes"]) == (("dana", "sam"), 2, ["dana", "sam"])
    assert [(q.four_eyes, q.quorum) for q in saver.open_questions()] == [(("dana", "sam"), 2)]


# -- quorum -----------------------------------------------------------------------------------------------------------------------------


def test_so_many_reviewers_have_to_give_the_same_answer(asking, run, saver, only):
    graph = asking(quorum=2, four_eyes="dana")
    before = only(graph.get_state(by("x"))).id
    paused = run(graph, Command(resume="approve"), by("sam"))
    assert (only(paused).id, only(paused).votes, saver.decisions("t")) == (before, {"sam": "approve"}, [])
    with pytest.raises(NotEntitledError):
        run(graph, Command(resume="approve"), by("dana"))
    assert only(run(graph, Command(resume="reject"), by("kim"))).votes == {"sam": "approve", "kim": "reject"}
    assert run(graph, Command(resume="approve"), by("lee"))["said"] == ["approve"]
    (decision,) = saver.decisions("t")
    assert (decision.reviewer, decision.answer, decision.number) == ("lee", "approve", 0)
    assert [(v.reviewer, v.answer, v.number, v.count, v.quorum, v.how) for v in saver.votes(before)] == [
        ("sam", "approve", 0, 1, 2, "invoke"),
        ("kim", "reject", 1, 1, 2, "invoke"),
        ("lee", "approve", 2, 2, 2, "invoke"),
    ]
    assert told(saver) == [("vote", "sam"), ("refused", "dana"), ("vote", "kim"), ("vote", "lee"), ("decision", "lee")]
    assert verify(saver).problems == ()
    with pytest.raises(AlreadyAnsweredError, match="answered by lee"):
        run(graph, Command(resume={before: "approve"}), by("kim"))


@pytest.mark.parametrize("again", ["sam", " Sam", "SAM"])
def test_each_reviewer_has_one_vote_and_a_later_one_replaces_it(asking, saver, only, again):
    graph = asking(quorum=2)
    for answer in ("approve", "approve", "reject"):
        paused = graph.invoke(Command(resume=answer), by("sam" if answer == "approve" else again))
    assert list(only(paused).votes.values()) == ["reject"]
    assert only(graph.invoke(Command(resume="approve"), by("kim"))).quorum == 2
    assert graph.invoke(Command(resume="reject"), by("kim"))["said"] == ["reject"]
    assert len(saver.votes(saver.decisions("t")[0].interrupt_id)) == 5


def test_with_a_reviewers_file_two_names_of_one_person_are_one_vote(asking, saver):
    graph = asking(quorum=2)
    listing(saver)
    graph.invoke(Command(resume="approve"), by("lee"))
    assert graph.invoke(Command(resume="approve"), by("Lee Ng")).is_interrupted
    assert graph.invoke(Command(resume="approve"), by("sam"))["said"] == ["approve"]


@pytest.mark.parametrize(
    ("first", "second", "terms", "same"),
    [
        (True, True, {}, True),
        (True, 1, {}, False),
        (1, 1.0, {}, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {}, True),
        ({"action": "approve", "feedback": "fine"}, {"action": "approve", "feedback": "", "comments": "x"}, {}, True),
        ({"approved": True, "notes": "ok", "user": "sam"}, {"approved": True, "notes": "", "user": "kim"}, {}, True),
        ({"action": "edit", "edited_text": "A"}, {"action": "edit", "edited_text": "B"}, {}, False),
        ({"decision": "amend", "amendments": ["a"]}, {"decision": "amend", "amendments": ["b"]}, {}, False),
        ({"action": "approve", "notes": "a"}, {"action": "approve", "notes": "b"}, {"schema": dict[str, str]}, False),
    ],
)
def test_answers_are_the_same_when_all_but_the_remarks_of_a_form_is(asking, first, second, terms, same):
    graph = asking({"question": "What?", "type": "any"}, quorum=2, **terms)
    graph.invoke(Command(resume=first), by("sam"))
    assert graph.invoke(Command(resume=second), by("kim")).is_interrupted is not same


def test_a_list_of_answers_ends_at_a_question_that_waits_for_others(asking, only):
    graph = asking(quorum=2, times=2)
    with pytest.warns(UnusedAnswersWarning, match="1 of the answers"):
        paused = graph.invoke(Command(resume=["approve", "approve"]), by("sam"))
    assert only(paused).votes == {"sam": "approve"}


def test_nor_does_it_go_on_to_one_that_the_node_asks_next(saver, chain, only):
    def pay(state):
        return {"said": [interrupt("First?"), interrupt("Second?", quorum=2)]}

    graph = chain(saver, pay)
    graph.invoke({"said": []}, by("x"))
    with pytest.warns(UnusedAnswersWarning, match="1 of the answers"):
        paused = graph.invoke(Command(resume=[True, True]), by("sam"))
    assert (only(paused).value, only(paused).votes) == ("Second?", {})


def test_a_vote_with_an_update_is_refused_as_others_saw_something_else(asking, saver):
    graph = asking(quorum=2)
    before = saver.head("t")
    with pytest.raises(AmbiguousAnswerError, match=r"First update_state\(…\), then answer"):
        graph.invoke(Command(resume="approve", update={"said": ["x"]}), by("sam"))
    assert (saver.head("t"), saver.votes(saver.open_questions()[0].interrupt_id)) == (before, [])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"four_eyes": "dana"}, {"four_eyes": ["dana", "kim"]}),
        ({}, {"quorum": 2}),
        ({"assignee": "sam"}, {"assignee": "lee"}),
        ({}, {"escalate_to": "lee"}),
    ],
)
@pytest.mark.parametrize("together", [False, True])
def test_an_update_that_changes_who_may_answer_has_it_asked_anew(saver, chain, only, before, after, together):
    def pay(state):
        return {"said": [interrupt(PAYLOAD, deadline=timedelta(days=1), **(after if state["said"] else before))]}

    graph = chain(saver, pay)
    first = only(graph.invoke({"said": []}, by("nobody"))).id
    if not together:
        graph.update_state(by("x"), {"said": ["other"]})
    paused = graph.invoke(Command(resume="approve", update={"said": ["other"]} if together else None), by("kim"))
    asked = only(paused)
    assert (asked.id == first, asked.four_eyes, asked.quorum, asked.assignee) == (
        False,
        tuple(after.get("four_eyes", ())),
        after.get("quorum", 1),
        after.get("assignee"),
    )
    for name in ("lee", "sam") if "quorum" in after else ("lee",):
        paused = graph.invoke(Command(resume="approve"), by(name))
    assert paused["said"][-1] == "approve"
    assert verify(saver).problems == ()


def test_an_update_that_leaves_who_may_answer_as_it_was_leaves_the_question(saver, chain, only):
    now = [AT]

    def pay(state):
        terms = {"assignee": "legal", "escalate_to": "finance", "four_eyes": ["kim", "Zoe"], "quorum": 2, "deadline": timedelta(hours=1)}
        return {"said": [interrupt(PAYLOAD, **terms)]}

    graph = chain(listing(saver), pay, now=lambda: now[0])
    first = only(graph.invoke({"said": []}, by("nobody"))).id
    now[0] += timedelta(hours=1, seconds=1)
    graph.expire(by("x"))
    graph.invoke(Command(resume="approve"), by("lee"))
    graph.update_state(by("x"), {"said": ["other"]})
    assert (only(graph.invoke(None, by("x"))).id, only(graph.invoke(None, by("x"))).votes) == (first, {"lee": "approve"})
    assert graph.invoke(Command(resume="approve"), by("sam"))["said"] == ["approve"]


def test_votes_and_decisions_given_together_are_recorded_together(saver, fan):
    def one(state):
        return {"one": interrupt("One?", quorum=2)}

    def two(state):
        return {"two": interrupt("Two?")}

    graph = fan(saver, one, two)
    asked = {i.node: i.id for i in graph.invoke({"one": None, "two": None}, by("x")).interrupts}
    paused = graph.invoke(Command(resume={asked["one"]: True, asked["two"]: True}), by("sam"))
    assert [i.node for i in paused.interrupts] == ["one"]
    done = graph.invoke(Command(resume=True), by("kim"))
    assert (done["one"], done["two"]) == (True, True)
    assert verify(saver).problems == ()


def test_a_reopened_question_begins_without_votes_and_they_stay_in_the_history(asking, saver, only):
    graph = asking(quorum=2)
    for name in ("sam", "kim"):
        graph.invoke(Command(resume="approve"), by(name))
    first = saver.decisions("t")[0].interrupt_id
    graph.reopen(by("sam"), first)
    paused = graph.invoke(None, by("sam"))
    assert (only(paused).id != first, only(paused).votes) == (True, {})
    assert graph.invoke(Command(resume="approve"), by("sam")).is_interrupted
    assert len(saver.votes(first)) == 2
    assert verify(saver).problems == ()


def test_votes_outlive_their_thread(asking, saver):
    graph = asking(quorum=2)
    graph.invoke(Command(resume="approve"), by("sam"))
    question = saver.open_questions()[0].interrupt_id
    saver.delete_thread("t")
    assert [v.reviewer for v in saver.votes(question)] == ["sam"]
    assert verify(saver).problems == ()


def test_record_tells_a_vote_from_a_decision(saver, write):
    question = write.question("t", quorum=2)
    saver.commit("t", None, checkpoint=write.checkpoint(0, {}), events=[write.asked(question)], questions=[question])
    (vote,) = saver.record("t", [write.decision(question, reviewer="Ann")]).made
    assert isinstance(vote, Vote)
    assert vote.standing == "1 of 2"
    recorded = saver.record("t", [write.decision(question, reviewer="Bo")])
    assert [(d.number, d.seq, d.reviewer) for d in recorded.made] == [(0, 0, "Bo")]
    assert (recorded.head, recorded.head.decisions) == (saver.head("t"), 1)


def test_a_vote_needs_no_class_of_the_question_or_of_other_votes(tmp_path):
    @dataclass
    class Local:
        amount: int

    first, second = DiskCacheSaver(tmp_path, types=[Local]), DiskCacheSaver(tmp_path)
    write = Writer(first)
    question = write.question("t", payload=Local(5), quorum=2)
    first.commit("t", None, checkpoint=write.checkpoint(0, {}), events=[write.asked(question)], questions=[question])
    first.record("t", [write.decision(question, Local(7), "Ann")])
    assert [second.record("t", [write.decision(question, "yes", name)]).made[0].reviewer for name in ("Bo", "Cy")] == ["Bo", "Cy"]
    assert second.decision(question.id).answer == "yes"


# -- what is stored ---------------------------------------------------------------------------------------------------------------------


def voted(saver, write):
    """Two votes and the decision they made; the question."""
    question = write.question("t", quorum=2, four_eyes=("Zoe",))
    saver.commit("t", None, checkpoint=write.checkpoint(0, {}), events=[write.asked(question)], questions=[question])
    for name in ("Ann", "Bo"):
        saver.record("t", [write.decision(question, reviewer=name)])
    assert verify(saver).problems == ()
    return question


def test_a_changed_vote_is_found(saver, write):
    question = voted(saver, write)
    key = vote_key(question.id, 0)
    record = unpack(saver._read(key))
    overwrite(saver, key, pack([*record[:5], "Eve", *record[6:]]))
    assert verify(saver).problems == (f"entry 0: vote 0 on question {question.id} was changed since it was logged",)


def test_a_removed_and_an_added_vote_are_found(saver, write):
    question = voted(saver, write)
    overwrite(saver, vote_key(question.id, 2), saver._read(vote_key(question.id, 1)))
    assert verify(saver).problems == (f"question {question.id} has votes that the log does not have in order (it has [0, 1])",)
    overwrite(saver, vote_key(question.id, 2), None)
    overwrite(saver, vote_key(question.id, 1), None)
    assert f"entry 1: vote 1 on question {question.id} is missing: it was removed" in verify(saver).problems
    assert "needs 2 reviewers who answer alike, and the log has 1 before it" in str(verify(saver).problems)


def test_a_decision_that_its_question_does_not_allow_is_found(saver, write):
    question = write.question("t")
    saver.commit("t", None, checkpoint=write.checkpoint(0, {}), events=[write.asked(question)], questions=[question])
    asked = question_to_wire(saver.serde, question)
    overwrite(saver, question_key(question.id), pack([*asked[:17], ["Ann"], 2]))  # as one who answers past the rules would have it
    saver.record("t", [write.decision(question, reviewer="Ann")])
    assert verify(saver).problems == (
        "entry 0: decision 0 of thread 't' was made by Ann, who asked for it (four eyes)",
        "entry 0: decision 0 of thread 't' needs 2 reviewers who answer alike, and the log has 0 before it",
    )


def test_records_from_before_there_were_quorums_are_read(saver, write):
    _, (question,) = write.waiting()
    overwrite(saver, question_key(question.id), pack(question_to_wire(saver.serde, question)[:17]))
    overwrite(saver, OPEN_PREFIX + question.id, pack(OpenQuestion.of(question).to_wire()[:10]))
    assert saver.question(question.id) == question
    assert [(q.four_eyes, q.quorum) for q in saver.open_questions()] == [((), 1)]
    saver.answer("t", [write.decision(question)])
    assert saver.decision(question.id).answer == "yes"


@pytest.mark.parametrize("tail", [["dana", 1], [["dana"], 0], [["dana"], True], [[7], 1], [[], "2"], [[], 1, "more"], [None, 1]])
def test_terms_that_no_question_can_have_are_refused_when_they_are_read(saver, write, tail):
    question = write.question("t")
    wire = question_to_wire(saver.serde, question)[:17]
    with pytest.raises(CorruptStoreError, match="four_eyes is .* and quorum .*, which no question can"):
        question_from_wire(saver.serde, [*wire, *tail])
    with pytest.raises(CorruptStoreError, match="which no question can"):
        OpenQuestion.from_wire(question.id, [*OpenQuestion.of(question).to_wire()[:10], *tail])


def test_a_store_is_closed_to_older_versions_once_it_holds_what_they_would_overlook(saver, write):
    if isinstance(saver, MemorySaver):
        pytest.skip("memory is not opened by others")
    write.waiting("plain")
    assert unpack(saver._read("!format")) == [1]
    question = write.question("t", quorum=2)
    saver.commit("t", None, checkpoint=write.checkpoint(0, {}), events=[write.asked(question)], questions=[question])
    assert unpack(saver._read("!format")) == [2]
    assert DiskCacheSaver(saver.folder).open_question(question.id).quorum == 2
