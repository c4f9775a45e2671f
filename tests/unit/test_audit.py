"""The decisions of a store as a DataFrame."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

import hitl_nb
from hitl_nb import Command, DiskCacheSaver, MemorySaver, StateGraph, interrupt
from hitl_nb.decisions.record import UNREADABLE, rows
from hitl_nb.errors import StoreError

AT = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
pd = pytest.importorskip("pandas")


def decide(saver, thread_id, answer, payload="Go?"):
    graph = StateGraph().add_node("ask", lambda state: {"x": interrupt(payload)}).set_entry_point("ask").compile(saver, now=lambda: AT)
    config = {"configurable": {"thread_id": thread_id, "reviewer": "ann"}}
    graph.invoke({}, config)
    graph.invoke(Command(resume=answer), config)
    return graph


def test_every_decision_is_a_row_with_who_what_when_and_whether_it_stands():
    saver = MemorySaver()
    saver.clock = lambda: AT
    decide(saver, "a", True)
    graph = decide(saver, "b", {"action": "approve"}, {"question": "Publish?"})
    graph.reopen({"configurable": {"thread_id": "b"}}, saver.decisions("b")[0].interrupt_id)
    decide(saver, "gone", 3)
    saver.delete_thread("gone")
    frame = hitl_nb.decisions(saver)
    assert list(frame["thread_id"]) == ["a", "b", "gone"]
    assert list(frame["answer"]) == [True, {"action": "approve"}, 3]
    assert list(frame["question"]) == ["Go?", "Publish?", "Go?"]
    assert list(frame["stands"][:2]) == [True, False]
    assert frame["stands"][2] is pd.NA
    assert set(frame["reviewer"]) == {"ann"}
    assert frame["decided_at"][0] == pd.Timestamp(AT)
    assert str(frame["recorded_at"].dtype) == "datetime64[us, UTC]"
    assert frame["payload"][1] == {"question": "Publish?"}


def test_an_empty_store_has_the_same_columns():
    frame = hitl_nb.decisions(MemorySaver())
    assert len(frame) == 0
    assert list(frame.columns)[:5] == ["number", "thread_id", "node", "question", "answer"]


def test_a_folder_is_opened_and_none_is_made(tmp_path):
    saver = DiskCacheSaver(tmp_path / "reviews")
    decide(saver, "a", True)
    saver.close()
    assert len(hitl_nb.decisions(tmp_path / "reviews")) == 1
    with pytest.raises(StoreError, match="there is no store in"):
        hitl_nb.decisions(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_an_answer_of_a_class_that_is_not_loaded_does_not_hide_the_rest():
    from dataclasses import make_dataclass

    local = make_dataclass("Local", ["n"])
    saver = MemorySaver(types=[local])
    decide(saver, "a", local(1))
    decide(saver, "b", 2)
    saver.serde = MemorySaver().serde
    assert [row.answer for row in rows(saver)] == [UNREADABLE, 2]
