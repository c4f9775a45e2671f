"""R1, R2, R3, R5, R14: a node pauses, runs again from its top, and nothing swallows the pause."""

from __future__ import annotations

import asyncio
from operator import add
from typing import Annotated, Any, TypedDict

import pytest

from hitl_nb.checkpoint.disk import DiskCacheSaver
from hitl_nb.checkpoint.memory import MemorySaver
from hitl_nb.checkpoint.records import Decision
from hitl_nb.errors import NoCheckpointerError, OutsideNodeError, QuestionChangedError, SwallowedInterruptError
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.types import END, START, Command


def test_the_first_positional_argument_alone_asks(chain, saver, run, cfg, only):
    def ask(state):
        return {"answer": interrupt("Go on?")}

    graph = chain(saver, ask)
    assert only(run(graph, {}, cfg)).value == "Go on?"
    assert run(graph, Command(resume="yes"), cfg) == {"answer": "yes"}


def test_response_schema_is_the_same_as_schema(chain, saver, cfg, only):
    def ask(state):
        return {"n": interrupt("How many?", response_schema=int)}

    graph = chain(saver, ask)
    assert only(graph.invoke({}, cfg)).schema == {"type": "integer"}
    assert graph.invoke(Command(resume=3), cfg)["n"] == 3


def test_both_names_of_the_schema_at_once_are_refused(chain, saver, cfg):
    def ask(state):
        interrupt("?", schema=int, response_schema=int)

    with pytest.raises(TypeError, match="give one"):
        chain(saver, ask).invoke({}, cfg)


@pytest.mark.parametrize("answer", [False, 0, 0.0, "", None, "no", [1], {"a": 1}, True], ids=repr)
def test_every_value_is_an_answer(chain, saver, run, cfg, answer):
    def ask(state):
        got = interrupt("?")
        return {"got": got, "kind": type(got).__name__}

    graph = chain(saver, ask)
    open_id = run(graph, {}, cfg).interrupts[0].id
    result = run(graph, Command(resume={open_id: answer}), cfg)
    assert not result.is_interrupted
    assert result["got"] == answer
    assert result["kind"] == type(answer).__name__


@pytest.mark.parametrize("answer", [False, 0, "", None], ids=repr)
def test_a_falsy_single_value_is_an_answer(chain, saver, run, cfg, answer):
    def ask(state):
        return {"got": interrupt("?")}

    graph = chain(saver, ask)
    run(graph, {}, cfg)
    result = run(graph, Command(resume=answer), cfg)
    assert result == {"got": answer}
    assert type(result["got"]) is type(answer)


@pytest.mark.parametrize("answer", [[], {}], ids=repr)
def test_an_empty_container_is_an_answer_when_given_by_id(chain, saver, run, cfg, answer):
    def ask(state):
        return {"got": interrupt("?")}

    graph = chain(saver, ask)
    open_id = run(graph, {}, cfg).interrupts[0].id
    assert run(graph, Command(resume={open_id: answer}), cfg) == {"got": answer}


def test_the_nth_question_of_a_node_gets_the_nth_answer(chain, saver, run, cfg, only):
    runs = []

    def three(state):
        runs.append(1)
        return {"got": [interrupt("a"), interrupt("b"), interrupt("c")]}

    graph = chain(saver, three)
    result = run(graph, {}, cfg)
    for n, question in enumerate("abc"):
        assert only(result).value == question
        result = run(graph, Command(resume=n), cfg)
    assert result["got"] == [0, 1, 2]
    assert len(runs) == 4  # n questions cost n + 1 executions


def test_going_on_with_none_does_not_answer_the_next_question(chain, saver, run, cfg, only):
    def two(state):
        return {"got": [interrupt("a"), interrupt("b")]}

    graph = chain(saver, two)
    run(graph, {}, cfg)
    second = only(run(graph, Command(resume="A"), cfg))
    again = run(graph, None, cfg)
    assert again.is_interrupted
    assert only(again).id == second.id
    assert run(graph, Command(resume="B"), cfg)["got"] == ["A", "B"]


def test_asking_the_state_of_a_waiting_thread_runs_nothing(chain, saver, run, cfg):
    runs = []

    def ask(state):
        runs.append(1)
        return {"got": interrupt("?")}

    graph = chain(saver, ask)
    first = run(graph, {}, cfg)
    for _ in range(3):
        assert run(graph, None, cfg) == first
        graph.get_state(cfg)
    assert len(runs) == 1


def test_a_finished_thread_gives_its_result_again_and_runs_nothing(chain, saver, run, cfg):
    runs = []

    def work(state):
        runs.append(1)
        return {"x": 1}

    graph = chain(saver, work)
    done = run(graph, {}, cfg)
    assert run(graph, None, cfg) == done == {"x": 1}
    assert len(runs) == 1


def test_a_node_that_goes_to_itself_asks_200_times(saver, cfg, only):
    class State(TypedDict):
        n: int
        got: Annotated[list, add]

    def ask(state):
        answer = interrupt({"round": state["n"]})
        return Command(update={"n": state["n"] + 1, "got": [answer]}, goto="ask" if state["n"] < 199 else END)

    graph = StateGraph(State).add_node(ask).add_edge(START, "ask").compile(saver)
    result = graph.invoke({"n": 0}, cfg)
    seen = set()
    for n in range(200):
        question = only(result)
        assert question.value == {"round": n}
        seen.add(question.id)
        result = graph.invoke(Command(resume=n), cfg)
    assert result["got"] == list(range(200))
    assert len(seen) == 200


def test_the_same_payload_in_each_round_of_a_loop_is_a_question_of_its_own(saver, cfg, only):
    def ask(state):
        answer = interrupt("Again?")
        return Command(update={"n": state["n"] + 1}, goto="ask" if answer else END)

    graph = StateGraph().add_node(ask).add_edge(START, "ask").compile(saver)
    first = only(graph.invoke({"n": 0}, cfg))
    second = only(graph.invoke(Command(resume=True), cfg))
    assert first.value == second.value
    assert first.id != second.id
    assert graph.invoke(Command(resume=False), cfg)["n"] == 2


def test_except_exception_does_not_swallow_the_pause(chain, saver, run, cfg):
    def careful(state):
        try:
            answer = interrupt("?")
        except Exception:
            answer = "fallback"
        return {"got": answer}

    graph = chain(saver, careful)
    assert run(graph, {}, cfg).is_interrupted
    assert run(graph, Command(resume="real"), cfg) == {"got": "real"}


def _bare():
    try:
        return interrupt("?")
    except:  # noqa: E722
        return "approved"


def _translated():
    try:
        return interrupt("?")
    except BaseException as error:
        raise ValueError("something went wrong") from error


def _hidden_by_finally():
    try:
        return interrupt("?")
    finally:
        raise KeyError("while cleaning up")


def _asks_again():
    try:
        interrupt("?")
    except BaseException:
        pass
    return interrupt("another")


@pytest.mark.parametrize("swallow", [_bare, _translated, _hidden_by_finally, _asks_again])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_swallowing_the_pause_is_an_error_that_names_the_node(chain, saver, run, cfg, swallow, kind):
    def plain(state):
        return {"got": swallow()}

    async def coroutine(state):
        return {"got": swallow()}

    node = plain if kind == "sync" else coroutine
    graph = chain(saver, node)
    with pytest.raises(SwallowedInterruptError, match=node.__name__) as caught:
        run(graph, {}, cfg)
    assert caught.value.node == node.__name__
    snapshot = graph.get_state(cfg)
    assert snapshot.interrupts == ()
    assert "SwallowedInterruptError" in snapshot.tasks[0].error
    assert "got" not in snapshot.values


def test_a_gather_that_returns_exceptions_swallows_and_is_found_out(chain, saver, run, cfg):
    async def ask():
        return interrupt("?")

    async def node(state):
        return {"got": [str(r) for r in await asyncio.gather(ask(), return_exceptions=True)]}

    with pytest.raises(SwallowedInterruptError):
        run(chain(saver, node), {}, cfg)


def test_a_question_in_a_task_group_pauses_the_node(chain, saver, run, cfg, only):
    async def ask(what):
        await asyncio.sleep(0)
        return interrupt(what)

    async def node(state):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(ask("inside"))
        return {"got": task.result()}

    graph = chain(saver, node)
    assert only(run(graph, {}, cfg)).value == "inside"
    assert run(graph, Command(resume="A"), cfg) == {"got": "A"}


def test_two_questions_of_one_task_group_are_asked_one_after_the_other(chain, saver, run, cfg, only):
    async def ask(what):
        return interrupt(what)

    async def node(state):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask(what)) for what in ("one", "two")]
        return {"got": [t.result() for t in tasks]}

    graph = chain(saver, node)
    assert only(run(graph, {}, cfg)).value == "one"
    assert only(run(graph, Command(resume=1), cfg)).value == "two"
    assert run(graph, Command(resume=2), cfg) == {"got": [1, 2]}


def test_an_error_beside_a_question_in_a_task_group_is_the_error_that_comes_out(chain, saver, run, cfg):
    async def ask():
        return interrupt("?")

    async def fail():
        raise LookupError("no such row")

    async def node(state):
        async with asyncio.TaskGroup() as group:
            group.create_task(ask())
            group.create_task(fail())

    graph = chain(saver, node)
    with pytest.raises(ExceptionGroup) as caught:
        run(graph, {}, cfg)
    assert [type(e) for e in caught.value.exceptions] == [LookupError]
    assert graph.get_state(cfg).interrupts == ()


def test_an_answer_recorded_without_running_is_taken_up_by_the_next_run(chain, saver, run, cfg, only):
    def ask(state):
        return {"got": interrupt("?")}

    graph = chain(saver, ask)
    question = only(run(graph, {}, cfg))
    saver.answer("t-1", [Decision(question.id, "t-1", "ask", -1, "later", "bob", graph.get_state(cfg).created_at, "inbox")])
    waiting = graph.get_state(cfg)
    assert waiting.next == ("ask",)
    assert waiting.interrupts == ()
    assert run(graph, None, cfg) == {"got": "later"}


def test_a_recorded_answer_outlives_the_process_that_took_it(chain, tmp_path, cfg):
    """The kill between recording and re-running: a new saver on the same folder asks nothing again."""
    runs = []

    def ask(state):
        runs.append(1)
        answer = interrupt("?")
        if len(runs) == 2:
            raise KeyboardInterrupt
        return {"got": answer}

    graph = chain(DiskCacheSaver(tmp_path), ask)
    graph.invoke({}, cfg)
    with pytest.raises(KeyboardInterrupt):
        graph.invoke(Command(resume="kept"), cfg)
    graph.checkpointer.close()
    assert chain(DiskCacheSaver(tmp_path), ask).invoke(None, cfg) == {"got": "kept"}


def test_interrupt_outside_a_node_says_so():
    with pytest.raises(OutsideNodeError, match="inside a node"):
        interrupt("?")


def test_no_scope_is_left_behind_by_a_run(chain, cfg):
    def ask(state):
        interrupt("?")

    chain(MemorySaver(), ask).invoke({}, cfg)
    with pytest.raises(OutsideNodeError):
        interrupt("?")


def test_pausing_without_a_checkpointer_fails_with_the_cure(chain, run):
    def ask(state):
        return {"got": interrupt("?")}

    with pytest.raises(NoCheckpointerError, match=r"compile\(checkpointer=MemorySaver\(\)\)"):
        run(chain(None, ask), {}, {})


def test_pausing_without_a_checkpointer_cannot_be_swallowed(chain, run):
    def careless(state):
        try:
            answer = interrupt("?")
        except Exception:
            answer = "approved"
        return {"got": answer}

    with pytest.raises(NoCheckpointerError):
        run(chain(None, careless), {}, {})


@pytest.mark.parametrize("pauses", [{"interrupt_before": ["ask"]}, {"interrupt_after": "*"}], ids=str)
def test_static_pauses_without_a_checkpointer_fail_at_compile(chain, pauses):
    def ask(state):
        return {}

    with pytest.raises(NoCheckpointerError, match="checkpointer"):
        chain(None, ask, **pauses)


def test_resuming_without_a_checkpointer_fails_with_the_cure(chain, run):
    def work(state):
        return {}

    with pytest.raises(NoCheckpointerError, match="MemorySaver"):
        run(chain(None, work), Command(resume=1), {})


def test_asking_in_another_order_is_an_error_and_delivers_nothing(chain, saver, run, cfg):
    """R17."""
    order: list[Any] = ["pay?", "delete?"]
    done = []

    def node(state):
        for question in order:
            done.append((question, interrupt(question)))

    graph = chain(saver, node)
    run(graph, {}, cfg)
    order.reverse()
    with pytest.raises(QuestionChangedError, match="reopen"):
        run(graph, Command(resume="yes"), cfg)
    assert done == []


def test_a_changed_question_cannot_be_swallowed(chain, saver, run, cfg):
    amount = [500]

    def node(state):
        try:
            answer = interrupt({"pay": amount[0]})
        except Exception:
            answer = True
        return {"paid": answer}

    graph = chain(saver, node)
    run(graph, {}, cfg)
    amount[0] = 5000
    with pytest.raises(QuestionChangedError):
        run(graph, Command(resume=False), cfg)
    assert "paid" not in graph.get_state(cfg).values
