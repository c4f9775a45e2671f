"""What a kernel is told of the run that it belongs to, and what `review` makes of it."""

import sys

import pytest

from hitl_nb import MemorySaver, StateGraph, interrupt, review
from hitl_nb.errors import MissingAnswerError, StillWaitingError
from hitl_nb.responders.choose import choose_front_end
from hitl_nb.responders.headless_run import RUN_VARIABLE, HeadlessRun


@pytest.fixture
def told(monkeypatch):
    """Tells this process of a run."""
    return lambda **run: monkeypatch.setenv(RUN_VARIABLE, HeadlessRun(**run).told())


@pytest.fixture
def parameter(monkeypatch):
    return lambda value: monkeypatch.setattr(sys.modules["__main__"], "hitl_answers", value, raising=False)


def ask(*nodes):
    builder = StateGraph()
    for node in nodes:
        builder.add_node(node, lambda state, node=node: {node: interrupt(f"{node}?")}).set_entry_point(node)
    return builder.compile(checkpointer=MemorySaver())


def answer(**given):
    return review(ask("go"), {"n": 1}, thread_id="t", reviewer="ann", **given).result()["go"]


def test_what_is_told_is_what_is_heard(told, tmp_path, monkeypatch):
    run = HeadlessRun(["é", {"a": 1}], leaves_open=True)
    told(answers=run.answers, leaves_open=True)
    assert HeadlessRun.here() == run
    (tmp_path / "run.json").write_text(run.told(), encoding="utf-8")
    monkeypatch.setenv(RUN_VARIABLE, f"@{tmp_path / 'run.json'}")
    assert HeadlessRun.here() == run


@pytest.mark.parametrize("text", ["", "1", "{}", "[]", "@/gone", '{"version": 2, "answers": null, "leaves_open": true}', "{"])
def test_what_something_else_set_is_no_run(text, monkeypatch):
    monkeypatch.setenv(RUN_VARIABLE, text)
    assert HeadlessRun.here() is None


def test_the_answers_of_the_run_go_before_the_parameter_and_behind_those_of_the_cell(told, parameter):
    told(answers=[True])
    parameter([False])
    assert answer() is True
    assert answer(answers=sys.modules["__main__"].hitl_answers) is True, "a cell that passes its parameter on says nothing of its own"
    assert answer(answers=[False]) is False


def test_without_answers_of_the_run_the_parameter_goes_before_the_environment(told, parameter, monkeypatch):
    told()
    monkeypatch.setenv("HITL_NB_ANSWERS", "[false]")
    assert answer() is False
    parameter([True])
    assert answer() is True


def test_a_run_that_leaves_open_answers_what_it_can_and_stops_at_review(told):
    told(answers={"one": True}, leaves_open=True)
    graph = ask("one", "two")
    with pytest.raises(StillWaitingError, match=r"'two\?' \(node two\) and this run leaves open"):
        review(graph, {"n": 1}, thread_id="t", reviewer="ann")
    assert [d.node for d in graph.checkpointer.decisions("t")] == ["one"]


def test_a_run_that_does_not_leave_open_fails_as_always_and_says_how_to_leave_open(told):
    told()
    with pytest.raises(MissingAnswerError, match="hitl-nb run NOTEBOOK --on-missing leave_open"):
        answer()


def test_a_cell_that_leaves_open_itself_goes_on(told):
    told(leaves_open=True)
    assert review(ask("go"), {"n": 1}, thread_id="t", on_missing="leave_open").status == "waiting"


def test_a_responder_of_the_cell_is_waited_for(told):
    told(answers=[True], leaves_open=True)
    front = choose_front_end(responder=object())
    assert not front.stops
