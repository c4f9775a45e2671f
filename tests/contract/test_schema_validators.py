"""Rules of a pydantic model that JSON Schema cannot say hold before an answer is recorded, as long as the process that asked is alive."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, model_validator

from hitl_nb import START, Command, DiskCacheSaver, MemorySaver, StateGraph, interrupt
from hitl_nb.decisions import check
from hitl_nb.errors import InvalidAnswerError

CONFIG = {"configurable": {"thread_id": "t"}}


class Span(BaseModel):
    start: int
    end: int

    @model_validator(mode="after")
    def ends_after_it_starts(self) -> Span:
        if self.end < self.start:
            raise ValueError("the end lies before the start")
        return self


@pytest.fixture(params=["memory", "disk"])
def graph(request, tmp_path):
    saver = MemorySaver() if request.param == "memory" else DiskCacheSaver(tmp_path / "store")
    return StateGraph().add_node("ask", lambda state: {"span": interrupt("Which span?", schema=Span).end}).add_edge(START, "ask").compile(saver)


def test_an_answer_that_only_a_validator_refuses_is_refused_and_the_question_stays_open(graph: Any):
    graph.invoke({}, CONFIG)
    with pytest.raises(InvalidAnswerError, match="the end lies before the start"):
        graph.invoke(Command(resume={"start": 5, "end": 1}), CONFIG)
    assert graph.checkpointer.decisions("t") == []
    assert graph.invoke(Command(resume={"start": 5, "end": 9}), CONFIG)["span"] == 9


def test_in_another_process_the_node_refuses_it_and_the_answer_can_be_given_again(graph: Any, monkeypatch: pytest.MonkeyPatch):
    graph.invoke({}, CONFIG)
    monkeypatch.setattr(check, "_ASKED", {})  # what another process knows
    with pytest.raises(InvalidAnswerError, match="the end lies before the start"):
        graph.invoke(Command(resume={"start": 5, "end": 1}), CONFIG)
    (made,) = graph.checkpointer.decisions("t")
    graph.reopen(CONFIG, made.interrupt_id)
    assert graph.advance(CONFIG).interrupts[0].id != made.interrupt_id
    assert graph.invoke(Command(resume={"start": 5, "end": 9}), CONFIG)["span"] == 9
