"""The decision log: what is in it, and that no entry of it can be changed, removed or reordered unseen."""

from __future__ import annotations

import operator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Annotated, TypedDict

import pytest

from hitl_nb import Command, MemorySaver, StateGraph, interrupt
from hitl_nb.checkpoint.audit import LogEntry, log_entries, log_head
from hitl_nb.checkpoint.serde import pack, unpack
from hitl_nb.checkpoint.verifying import verify

AT = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


class Log(TypedDict):
    log: Annotated[list, operator.add]


def config(thread_id="t", reviewer="ada"):
    return {"configurable": {"thread_id": thread_id, "reviewer": reviewer}}


def told(saver, *names):
    return [tuple(getattr(e, n) for n in names) for e in log_entries(saver)]


def overwrite(saver, key, record):
    """As somebody would who can write to the folder and knows how records are sealed."""
    if isinstance(saver, MemorySaver):
        saver._records[key] = record
        return
    from hitl_nb.checkpoint.sealing import seal

    cache = saver._cache()
    if record is None:
        cache.delete(key)
    else:
        cache.set(key, seal(key, record) + record)


@pytest.fixture
def decided(saver, write):
    """A store with three decisions, on three threads."""
    saver.clock = lambda: AT
    for n in range(3):
        _, (question,) = write.waiting(f"t{n}")
        saver.answer(f"t{n}", [write.decision(question, answer=n)])
    return saver


# -- what is in it -------------------------------------------------------------------------------------------------------------------------


def test_a_decision_is_logged_with_who_how_and_when_in_the_same_transaction(decided):
    first, second, third = log_entries(decided)
    assert (first.number, first.kind, first.thread_id, first.node, first.by, first.detail, first.decision) == (
        0,
        "decision",
        "t0",
        "ask",
        "Ann",
        "card",
        0,
    )
    assert first.recorded_at == AT
    assert (first.before, second.before, third.before) == (b"", first.hash, second.hash)
    assert log_head(decided) == (3, third.hash)


def test_reopening_escalation_expiry_and_going_back_are_logged_once_each(saver):
    now = [AT]

    def ask(state):
        return {"log": [interrupt({"question": "Pay?"}, deadline=timedelta(hours=1), default="no", escalate_to="bob", assignee="ann")]}

    def last(state):
        return {"log": [interrupt("Sure?")]}

    builder = StateGraph(Log).add_node(ask).add_node(last).add_edge("ask", "last").set_entry_point("ask")
    graph = builder.compile(saver, now=lambda: now[0])
    graph.invoke({"log": []}, config())
    now[0] += timedelta(hours=2)
    graph.expire()
    now[0] += timedelta(hours=2)
    graph.expire()
    graph.invoke(None, config())
    graph.invoke(Command(resume=True), config(reviewer="zoe"))
    first = saver.decisions("t")[0].interrupt_id
    graph.reopen(config(reviewer="zoe"), first)
    assert told(saver, "kind", "node", "by", "detail", "decision") == [
        ("escalated", "ask", "bob", "after ann", -1),
        ("expired", "ask", "the deadline", "expire", 0),
        ("decision", "last", "zoe", "invoke", 1),
        ("went back", "", "zoe", "to checkpoint 0", -1),
        ("withdrawn", "ask", "zoe", "reopened", 0),
    ]
    graph.invoke(None, config())
    now[0] += timedelta(minutes=1)
    graph.invoke(Command(resume="yes"), config())
    graph.reopen(config(), saver.decisions("t")[2].interrupt_id)  # repeats in the checkpoint what was withdrawn before
    assert told(saver, "kind", "decision")[5:] == [("decision", 2), ("withdrawn", -1), ("went back", -1), ("withdrawn", 2)]
    assert verify(saver).problems == ()


def test_a_question_that_nobody_answered_is_logged_when_it_is_withdrawn(saver, write):
    head, (question,) = write.waiting()
    from hitl_nb.checkpoint.records import Withdrawn

    saver.commit("t", head, closing=[Withdrawn(question.task_id, question.id, 0)], events=[Withdrawn.of(write.asked(question), "replaced")])
    assert told(saver, "kind", "interrupt_id", "detail", "decision") == [("withdrawn", question.id, "replaced", -1)]


def test_a_deleted_thread_keeps_its_entries_and_the_log_stays_whole(decided):
    before = told(decided, "number", "hash")
    decided.delete_thread("t1")
    assert told(decided, "number", "hash") == before
    assert verify(decided).problems == ()


def test_a_refused_answer_leaves_no_entry(decided, write):
    _, (question,) = write.waiting("late")
    with pytest.raises(ValueError, match="reserved"):
        decided.answer("late", [replace(write.decision(question), how="expire")])
    assert log_head(decided)[0] == 3


# -- verifying -----------------------------------------------------------------------------------------------------------------------------


def test_a_whole_log_verifies_and_names_its_head(decided):
    found = verify(decided)
    assert (found.ok, found.count, found.problems, found.notes) == (True, 3, (), ())
    assert found.head == log_head(decided)[1].hex()
    assert verify(MemorySaver()).ok


FIELDS = [name for name in LogEntry.__dataclass_fields__ if name not in ("hash", "version")]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("relinked", [False, True], ids=["as it is", "with a new hash"])
def test_a_change_of_any_field_of_an_entry_is_found(decided, field, relinked):
    entry = list(log_entries(decided))[1]
    value = getattr(entry, field)
    other = {
        str: "other",
        int: 7,
        bytes: b"x" * 32,
        datetime: AT + timedelta(seconds=1),
    }[type(value)]
    changed = replace(entry, **{field: "expired" if field == "kind" else other})
    link = changed.link() if relinked else entry.hash
    overwrite(decided, "d/000000000001", pack([*changed.to_wire(), link]))
    found = verify(decided)
    assert not found.ok
    assert any("entry 1" in p or "entry 2 does not follow" in p for p in found.problems)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_removed_entry_is_found(decided, number):
    overwrite(decided, f"d/{number:012d}", None)
    assert f"entry {number} is missing: it was removed" in verify(decided).problems


def test_two_entries_in_each_others_place_are_found(decided):
    keys = ["d/000000000000", "d/000000000001"]
    records = [decided._read(k) for k in keys]
    for key, record in zip(keys, reversed(records), strict=True):
        overwrite(decided, key, record)
    assert "entry 0 says that it is entry 1: the log was reordered" in verify(decided).problems


def test_a_log_without_its_newest_entry_is_found_though_its_head_was_set_back(decided):
    entries = list(log_entries(decided))
    overwrite(decided, "d/000000000002", None)
    overwrite(decided, "d!head", pack([2, entries[1].hash]))
    found = verify(decided)
    assert found.ok, "nothing in the folder tells: the thread t2 is known to nobody but its own records"
    assert not verify(decided, head=entries[2].hash.hex()).ok
    assert "cut short" in verify(decided, head=entries[2].hash.hex()).problems[0]


def test_a_decision_that_is_not_in_the_log_is_found(decided, write):
    for n in (1, 2):
        head, question = decided.head("t2"), write.question("t2", n)
        decided.commit("t2", head, events=[write.asked(question)], questions=[question])
        decided.answer("t2", [write.decision(question)])
    entries = list(log_entries(decided))
    overwrite(decided, "d/000000000004", None)
    overwrite(decided, "d!head", pack([4, entries[3].hash]))
    assert "thread 't2' has 3 decisions, and the log does not have them in order (missing: [2])" in verify(decided).problems
    overwrite(decided, "d!head", pack([3, entries[2].hash]))
    assert any("the head was set back" in p for p in verify(decided).problems)


def test_a_head_that_was_noted_is_found_again_in_a_longer_log(decided, write):
    noted = verify(decided).head
    _, (question,) = write.waiting("t9")
    decided.answer("t9", [write.decision(question)])
    found = verify(decided, head=noted.upper())
    assert (found.ok, found.notes) == (True, (f"the hash {noted} is that of entry 2: what is before it was not changed since; 1 came after it",))
    assert not verify(decided, head="").ok
    assert not verify(MemorySaver(), head=noted).ok


@pytest.mark.parametrize("field", range(10))
def test_a_change_of_any_field_of_a_decision_is_found(decided, field):
    raw = unpack(decided._read("a/0000000000/t1"))
    raw[field] = raw[field] + (1 if isinstance(raw[field], int | float) else b"\0" if isinstance(raw[field], bytes) else "x")
    overwrite(decided, "a/0000000000/t1", pack(raw))
    assert any("decision 0 of thread 't1' was changed since it was logged" in p for p in verify(decided).problems)


@pytest.mark.parametrize("key", ["a/0000000000/t1", "q/t1-q0", "i/t1-q0", "h/t1"])
def test_a_removed_record_of_what_was_decided_is_found(decided, key):
    overwrite(decided, key, None)
    assert any("t1" in p for p in verify(decided).problems)


def test_a_question_that_reads_differently_than_when_it_was_answered_is_found(decided):
    raw = unpack(decided._read("q/t1-q0"))
    raw[6] = decided.serde.dumps("Publish something else?", "payload")
    overwrite(decided, "q/t1-q0", pack(raw))
    assert "entry 1: decision 0 of thread 't1': its question t1-q0 was changed since it was answered" in verify(decided).problems


@pytest.mark.parametrize("record", [b"", b"\xc1", pack([]), pack([1, 2]), pack("x"), pack([2, *["x"] * 13])])
def test_what_is_no_entry_or_no_head_is_a_problem_and_no_crash(decided, record):
    overwrite(decided, "d/000000000001", record)
    assert not verify(decided).ok
    overwrite(decided, "d!head", record)
    assert not verify(decided).ok


# -- stores of before ------------------------------------------------------------------------------------------------------------------------


def test_entries_of_the_earlier_version_go_on_in_the_same_chain(saver, write):
    _, (question,) = write.waiting("old")
    saver.answer("old", [write.decision(question)])
    record = saver._read("a/0000000000/old")
    entry = ["old", 0, blake2b(record, digest_size=16).digest(), b""]
    link = blake2b(pack(entry), digest_size=16).digest()
    overwrite(saver, "d/000000000000", pack([*entry, link]))
    overwrite(saver, "d!head", pack([1, link]))
    _, (question,) = write.waiting("new")
    saver.answer("new", [write.decision(question)])
    found = verify(saver)
    assert found.problems == ()
    assert found.notes == ("entry 0 is of an earlier version, which held no time, no reviewer and nothing of the question",)
    assert told(saver, "thread_id", "version", "before") == [("old", 1, b""), ("new", 2, link)]
    overwrite(saver, "d/000000000000", pack(["old", 1, *entry[2:], link]))
    assert not verify(saver).ok


def test_an_earlier_version_can_go_on_with_a_log_of_this_one(decided, write):
    _, (question,) = write.waiting("old")
    decided.answer("old", [write.decision(question)])
    count, last = 3, list(log_entries(decided))[2].hash
    entry = ["old", 0, blake2b(decided._read("a/0000000000/old"), digest_size=16).digest(), last]  # as it wrote them, behind the head that it read
    link = blake2b(pack(entry), digest_size=16).digest()
    overwrite(decided, "d/000000000003", pack([*entry, link]))
    overwrite(decided, "d!head", pack([count + 1, link]))
    _, (question,) = write.waiting("new")
    decided.answer("new", [write.decision(question)])
    assert verify(decided).problems == ()
    assert told(decided, "thread_id", "version")[2:] == [("t2", 2), ("old", 1), ("new", 2)]


def test_a_store_of_before_the_log_begins_it_and_says_from_where(saver, write):
    _, (first, second) = write.waiting(count=2)
    saver.answer("t", [write.decision(first)])
    for key in ("d/000000000000", "d!head"):
        overwrite(saver, key, None)
    saver.answer("t", [write.decision(second)])
    found = verify(saver)
    assert found.problems == ()
    assert found.notes == ("thread 't': its decisions 0 to 0 were made before the log began, and are not covered by it",)
