"""What a thread is and how it moves, the same in memory and on disk."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

import pytest

from hitl_nb.checkpoint.records import Answered, Finished, Question, ValueRef, Withdrawn
from hitl_nb.checkpoint.serde import pack, unpack
from hitl_nb.errors import AlreadyAnsweredError, CorruptStoreError, NotSerializableError, ThreadMovedError, UnknownInterruptError, UnknownThreadError


def test_a_thread_that_nobody_started_is_not_there(saver):
    assert saver.head("t") is None
    assert saver.question("q") is None
    assert saver.decision("q") is None
    assert saver.decisions("t") == []
    assert saver.open_questions() == []
    assert list(saver.history("t")) == []


def test_a_committed_checkpoint_is_read_as_it_was_written(saver, write):
    checkpoint = write.checkpoint(0, {"draft": "x", "tags": {"a"}})
    head = saver.commit("t", None, checkpoint=checkpoint, input_digest="abc")
    assert saver.head("t") == head
    assert (head.nonce, head.seq, head.input_digest) == ("n0", 0, "abc")
    assert saver.checkpoint("t", 0) == checkpoint
    assert saver.values("t", checkpoint) == {"draft": "x", "tags": {"a"}}


def test_threads_with_names_that_contain_each_other_do_not_mix(saver, write):
    names = ["a", "a/b", "0000000000/a", "ü" * 500, "!o/x", "d!head", "h/a"]
    for name in names:
        saver.commit(name, None, checkpoint=write.checkpoint(0, {"name": name}))
    for name in names:
        assert saver.values(name, saver.checkpoint(name, 0)) == {"name": name}
    assert saver.open_questions() == []


def test_a_run_that_worked_from_an_old_head_writes_nothing(saver, write):
    first = saver.commit("t", None, checkpoint=write.checkpoint(0, {"a": 0}))
    second = saver.commit("t", first, checkpoint=write.checkpoint(1, {"a": 1}))
    question = write.question("t")
    for stale in (first, None, replace(second, nonce="other")):
        with pytest.raises(ThreadMovedError) as caught:
            saver.commit("t", stale, checkpoint=write.checkpoint(1, {"a": 99}), events=[write.asked(question)], questions=[question])
        assert caught.value.thread_id == "t"
    assert saver.head("t") == second
    assert saver.values("t", saver.checkpoint("t", 1)) == {"a": 1}
    assert saver.question(question.id) is None
    with pytest.raises(ThreadMovedError):
        saver.commit("never started", second, checkpoint=write.checkpoint(1, {}))


def test_a_new_checkpoint_does_not_pass_over_an_answer_that_came_meanwhile(saver, write):
    head, (question,) = write.waiting()
    saver.answer("t", [write.decision(question)])
    with pytest.raises(ThreadMovedError, match="got an answer meanwhile"):
        saver.commit("t", head, checkpoint=write.checkpoint(1, {"draft": "y"}))
    assert saver.head("t").seq == 0


def test_events_are_appended_although_an_answer_came_meanwhile(saver, write):
    head, (question,) = write.waiting()
    saver.answer("t", [write.decision(question)])
    done = Finished("other", saver.serde.dumps([("a", 1)], "update"), (("next", None), ("send", b"\xc0")))
    now = saver.commit("t", head, events=[done])
    assert now.events == head.events + 2
    ledger = saver.ledger("t", now)
    assert ledger.finished["other"] == done
    assert question.id in ledger.answered


@pytest.mark.parametrize("fail_at", range(6))
def test_a_commit_that_fails_half_way_leaves_nothing_behind(saver, write, monkeypatch, fail_at):
    head, (question,) = write.waiting()
    another = write.question("t", 7)
    before = saver.head("t")
    put, count = saver._put, iter(range(100))

    def failing(key, record):
        if next(count) == fail_at:
            raise RuntimeError("the power went")
        put(key, record)

    monkeypatch.setattr(saver, "_put", failing)
    arguments = {
        "closing": [Withdrawn(question.id, question.task_id, question.position)],
        "checkpoint": replace(write.checkpoint(1, {"draft": "y"}), versions={"big": ValueRef(1, 0, 200_000, b"")}),
        "large": {0: b"x" * 200_000},
        "events": [write.asked(another)],
        "questions": [another],
    }
    with pytest.raises(RuntimeError, match="the power went"):
        saver.commit("t", head, **arguments)
    monkeypatch.undo()
    assert saver.head("t") == before
    assert saver.question(another.id) is None
    assert [q.interrupt_id for q in saver.open_questions()] == [question.id]
    assert saver._read(f"v/{1:010d}/{0:04d}/t") is None
    saver.commit("t", head, **arguments)
    assert saver.head("t").seq == 1


@pytest.mark.parametrize("fail_at", range(6))
def test_answers_are_recorded_all_or_none(saver, write, monkeypatch, fail_at):
    _, questions = write.waiting(count=2)
    put, count = saver._put, iter(range(100))

    def failing(key, record):
        if next(count) == fail_at:
            raise RuntimeError("the power went")
        put(key, record)

    monkeypatch.setattr(saver, "_put", failing)
    with pytest.raises(RuntimeError):
        saver.answer("t", [write.decision(q) for q in questions])
    monkeypatch.undo()
    assert saver.decisions("t") == []
    assert len(saver.open_questions()) == 2
    assert saver.ledger("t", saver.head("t")).answered == {}
    saver.answer("t", [write.decision(q) for q in questions])
    assert [d.number for d in saver.decisions("t")] == [0, 1]


def test_an_answer_that_cannot_be_stored_leaves_the_question_open(saver, write):
    _, (question,) = write.waiting()
    with pytest.raises(NotSerializableError, match="answer"):
        saver.answer("t", [write.decision(question, answer=object())])
    assert len(saver.open_questions()) == 1


def test_an_unchanged_value_is_referenced_and_not_written_again(saver, write):
    big = saver.serde.dumps(b"x" * 300_000, "state['big']")
    ref = ValueRef(0, 0, len(big), blake2b(big, digest_size=16).digest())
    first = replace(write.checkpoint(0, {"small": 1, "n": 0}), versions={"big": ref, "small": ValueRef(0), "n": ValueRef(0)})
    head = saver.commit("t", None, checkpoint=first, large={0: big})
    for n in range(1, 4):
        head = saver.commit("t", head, checkpoint=write.checkpoint(n, {"n": n}, versions={"big": ref, "small": ValueRef(0)}))
    for checkpoint in saver.history("t"):
        values = saver.values("t", checkpoint)
        assert (len(values["big"]), values["small"], values["n"]) == (300_000, 1, checkpoint.seq)
    assert saver._read(f"v/{1:010d}/{0:04d}/t") is None


def test_history_goes_from_the_newest_and_stops_where_told(saver, write):
    head = None
    for n in range(5):
        head = saver.commit("t", head, checkpoint=write.checkpoint(n, {"n": n}))
    assert [c.seq for c in saver.history("t")] == [4, 3, 2, 1, 0]
    assert [c.seq for c in saver.history("t", limit=2)] == [4, 3]
    assert [c.seq for c in saver.history("t", before=3)] == [2, 1, 0]
    assert [c.seq for c in saver.history("t", before=99, limit=1)] == [4]


def test_the_events_of_an_earlier_checkpoint_are_still_there(saver, write):
    _, (question,) = write.waiting()
    head = saver.answer("t", [write.decision(question)])
    head = saver.commit("t", head, checkpoint=write.checkpoint(1, {"a": 1}, nonce="n-t"))
    now = saver.ledger("t", head)
    assert [now.asked, now.answered, now.finished, now.withdrawn] == [{}, {}, {}, {}]
    assert set(saver.ledger("t", head, 0).answered) == {question.id}


def test_a_checkpoint_that_is_missing_is_a_damaged_store(saver, write):
    saver.commit("t", None, checkpoint=write.checkpoint(0, {}))
    with pytest.raises(CorruptStoreError, match="is missing") as caught:
        saver.checkpoint("t", 5)
    assert caught.value.thread_id == "t"


def test_a_question_is_read_as_it_was_asked(saver, write):
    full = write.question(
        "t",
        payload={"draft": ("a", {1})},
        schema={"type": "boolean"},
        key="k",
        deadline=datetime(2026, 6, 1, tzinfo=UTC),
        default=None,
        assignee="Bo",
        graph="g",
    )
    bare = write.question("t", 1)
    saver.commit("t", None, checkpoint=write.checkpoint(0, {}), events=[write.asked(full), write.asked(bare)], questions=[full, bare])
    assert isinstance(saver.question(full.id), Question)
    assert [saver.question(full.id), saver.question(bare.id)] == [full, bare]
    listed = saver.open_questions()[0]
    assert (listed.interrupt_id, listed.thread_id, listed.node, listed.graph, listed.deadline, listed.assignee, listed.created_at) == (
        full.id, "t", "ask", "g", full.deadline, "Bo", full.created_at
    )  # fmt: skip


def test_open_questions_are_listed_over_all_threads_the_oldest_first(saver, write):
    for name, number in (("late", 9), ("early", 1), ("middle", 5)):
        question = write.question(name, number)
        saver.commit(name, None, checkpoint=write.checkpoint(0, {}), events=[write.asked(question)], questions=[question])
    assert [q.thread_id for q in saver.open_questions()] == ["early", "middle", "late"]
    saver.answer("middle", [write.decision(write.question("middle", 5))])
    assert [q.thread_id for q in saver.open_questions()] == ["early", "late"]


def test_a_withdrawn_question_is_not_open_and_takes_no_answer(saver, write):
    head, (question,) = write.waiting()
    saver.commit("t", head, events=[Withdrawn(question.id, question.task_id, question.position, "reopened")])
    assert saver.open_questions() == []
    with pytest.raises(UnknownInterruptError, match="no longer asked"):
        saver.answer("t", [write.decision(question)])


@pytest.mark.parametrize("answer", [False, 0, "", None, {"action": "approve"}, (1, {2})])
def test_any_value_is_an_answer_and_is_kept_with_who_when_and_how(saver, write, answer):
    _, (question,) = write.waiting()
    head = saver.answer("t", [write.decision(question, answer, "Ann")])
    made = saver.decision(question.id)
    assert made == replace(write.decision(question, answer, "Ann"), number=0, seq=0)
    assert saver.decisions("t") == [made]
    stored = saver.ledger("t", head).answered[question.id]
    assert isinstance(stored, Answered)
    assert saver.serde.loads(stored.answer) == answer
    assert saver.open_questions() == []


def test_a_second_answer_is_refused_with_who_was_first_and_when(saver, write):
    _, (question,) = write.waiting()
    saver.answer("t", [write.decision(question, "yes", "Ann")])
    with pytest.raises(AlreadyAnsweredError, match="was answered by Ann at 2026-05-01 13:00:00 UTC") as caught:
        saver.answer("t", [write.decision(question, "no", "Bo")])
    assert (caught.value.reviewer, caught.value.answered_at) == ("Ann", write.decision(question).decided_at)
    assert (caught.value.thread_id, caught.value.node, caught.value.interrupt_id) == ("t", "ask", question.id)
    assert saver.decision(question.id).answer == "yes"


def test_the_second_answer_is_refused_also_when_the_thread_has_moved_on(saver, write):
    _, (question,) = write.waiting()
    head = saver.answer("t", [write.decision(question)])
    saver.commit("t", head, checkpoint=write.checkpoint(1, {"a": 1}, nonce="n-t"))
    with pytest.raises(AlreadyAnsweredError):
        saver.answer("t", [write.decision(question)])


def test_one_refused_answer_refuses_all_of_the_call(saver, write):
    _, (first, second) = write.waiting(count=2)
    saver.answer("t", [write.decision(first)])
    with pytest.raises(AlreadyAnsweredError):
        saver.answer("t", [write.decision(second), write.decision(first)])
    assert [q.interrupt_id for q in saver.open_questions()] == [second.id]


def test_an_answer_to_an_unknown_or_another_threads_question_is_refused_with_the_open_ids(saver, write):
    _, (mine,) = write.waiting("t")
    _, (theirs,) = write.waiting("u")
    for wrong in (write.question("t", 55), replace(theirs, thread_id="t")):
        with pytest.raises(UnknownInterruptError, match=f"Open now: {mine.id}"):
            saver.answer("t", [write.decision(wrong)])
    with pytest.raises(UnknownThreadError, match="no thread 'nobody'"):
        saver.answer("nobody", [write.decision(mine)])
    assert len(saver.open_questions()) == 2


def test_the_decision_log_is_a_chain_over_all_threads(saver, write):
    for n in range(3):
        _, (question,) = write.waiting(f"t{n}")
        saver.answer(f"t{n}", [write.decision(question, answer=n)])
    count, last = unpack(saver._read("d!head"))
    assert count == 3
    link = b""
    for n in range(count):
        *entry, found = unpack(saver._read(f"d/{n:012d}"))
        _, place, kind, thread_id, interrupt_id, *_, number, decision, asked, before = entry
        assert (place, kind, thread_id, number, before) == (n, "decision", f"t{n}", 0, link)
        assert decision == blake2b(saver._read(f"a/{number:010d}/{thread_id}"), digest_size=32).digest()
        assert asked == blake2b(saver._read(f"q/{interrupt_id}"), digest_size=32).digest()
        assert found == blake2b(pack(entry), digest_size=32).digest()
        link = found
    assert link == last


def test_decisions_given_with_a_commit_are_numbered_and_logged_too(saver, write):
    head, (question,) = write.waiting()
    answered = Answered(question.id, saver.serde.dumps(True, "answer"), rebind=True)
    head = saver.commit("t", head, events=[answered], decisions=[write.decision(question)])
    assert head.decisions == 1
    assert saver.decision(question.id).number == 0
    assert saver.open_questions() == []


def test_values_read_twice_are_two_copies(saver, write):
    checkpoint = write.checkpoint(0, {"list": [1]})
    saver.commit("t", None, checkpoint=checkpoint)
    saver.values("t", checkpoint)["list"].append(2)
    assert saver.values("t", checkpoint) == {"list": [1]}


def test_a_closed_checkpointer_can_be_used_again(saver, write):
    head, _ = write.waiting()
    saver.close()
    assert saver.head("t") == head


def test_times_keep_their_microseconds(saver, write):
    at = datetime(2026, 5, 1, 12, 0, 0, 123457, tzinfo=UTC) + timedelta(days=3000)
    saver.commit("t", None, checkpoint=replace(write.checkpoint(0, {}), created_at=at))
    assert saver.checkpoint("t", 0).created_at == at


def test_several_commits_in_one_transaction_leave_what_they_leave_one_by_one(saver, write):
    def commits(head, nonce):
        finished = Finished("task", saver.serde.dumps([("a", 1)], "update"))
        first = {"expect": head, "closing": [finished], "checkpoint": write.checkpoint(1, {"a": 1}, nonce=nonce)}
        yield first
        second = {"expect": replace(head, seq=1, events=0), "events": [finished]}
        yield second
        yield {"expect": replace(head, seq=1, events=1), "checkpoint": write.checkpoint(2, {"b": b"x" * 9000}, nonce=nonce)}

    heads = {}
    for thread_id, at_once in (("t", True), ("u", False)):
        head = saver.commit(thread_id, None, checkpoint=write.checkpoint(0, {"a": 0}))
        if at_once:
            heads[thread_id] = saver.commit_all(thread_id, list(commits(head, "n0")))
        else:
            for arguments in commits(head, "n0"):
                heads[thread_id] = saver.commit(thread_id, **arguments)
    assert heads["t"] == heads["u"] == saver.head("t")
    assert list(saver.history("t")) == list(saver.history("u"))
    assert [c.events_before for c in saver.history("t")] == [1, 1, 0]


def test_of_several_commits_in_one_transaction_all_count_or_none(saver, write):
    head = saver.commit("t", None, checkpoint=write.checkpoint(0, {"a": 0}))
    question = write.question("t")
    fits = {"expect": head, "events": [write.asked(question)], "questions": [question]}
    stale = {"expect": replace(head, seq=7), "events": []}
    with pytest.raises(ThreadMovedError):
        saver.commit_all("t", [fits, stale])
    assert saver.head("t") == head
    assert saver.open_questions() == []
    assert saver.question(question.id) is None
