"""The record of a run: what its kernel tells of threads, put together."""

from hitl_nb.batch.record import ACCOUNT_VERSION, RunRecord

DECIDED = {"thread_id": "films", "number": 0, "interrupt_id": "a", "node": "check", "answer": True, "how": "card"}
ASKED = {"id": "b", "thread_id": "films", "node": "check", "question": "Keep it?"}


def told(*threads):
    record = RunRecord()
    for thread in threads:
        record.tell({"version": ACCOUNT_VERSION, "threads": [{"thread_id": "films", **thread}]})
    return record


def test_a_thread_is_told_again_when_it_moved():
    record = told({"store": "/a"}, {"store": "/a", "questions": [ASKED]}, {"store": "/a", "decisions": [DECIDED], "questions": []})
    assert (record.thread_ids, record.decisions, record.questions) == (("films",), [DECIDED], [])


def test_threads_of_one_name_in_two_stores_are_two():
    open_in_a = {"store": "/a", "decisions": [DECIDED], "questions": [ASKED]}
    record = told(open_in_a, {"store": "/b"}, {"store": "/b", "decisions": [DECIDED | {"number": 5}], "questions": []})
    assert record.thread_ids == ("films",)
    assert [d["number"] for d in record.decisions] == [0, 5]
    assert record.stores == {"films": "/a"}  # where it waits
    assert record.metadata()["thread_ids"] == ["films"]
