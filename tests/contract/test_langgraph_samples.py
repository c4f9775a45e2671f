"""What people write for LangGraph about graphs of plain functions, in words of our own: it runs here with the imports changed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from operator import add
from typing import Annotated, Literal, TypedDict
from uuid import UUID

import pytest

from hitl_nb import (
    END,
    START,
    Command,
    CompiledGraph,
    DiskCacheSaver,
    NodeError,
    Runtime,
    Send,
    StateGraph,
    StateSnapshot,
    get_runtime,
    interrupt,
    review,
)
from hitl_nb.errors import NodeTimeoutError, UnknownThreadError


class Log(TypedDict, total=False):
    log: Annotated[list, add]


def say(text):
    return lambda state: {"log": [text]}


# -- asking ------------------------------------------------------------------------------------------------------------------------------


def test_the_value_of_an_interrupt_may_be_named(saver, run, cfg, chain, only):
    def revise(state):
        return {"log": [interrupt(value={"text": "old"})]}

    graph = chain(saver, revise, schema=Log)
    assert only(run(graph, {"log": []}, cfg)).value == {"text": "old"}
    assert run(graph, Command(resume="new"), cfg) == {"log": ["new"]}


def test_a_uuid_names_a_thread_as_its_text_does(saver, run, chain):
    number = UUID(int=7)
    graph = chain(saver, _asks, schema=Log)
    run(graph, {"log": []}, {"configurable": {"thread_id": number}})
    assert graph.get_state({"configurable": {"thread_id": str(number)}}).next == ("_asks",)
    assert run(graph, Command(resume=1), {"configurable": {"thread_id": number}}) == {"log": [1]}


def test_a_review_may_be_named_by_a_uuid(saver, chain):
    session = review(chain(saver, _asks, schema=Log), {"log": []}, thread_id=UUID(int=7), answers=[3])
    assert session.result() == {"log": [3]}
    assert session.thread_id == str(UUID(int=7))


def _asks(state):
    return {"log": [interrupt("How many?")]}


# -- failures ----------------------------------------------------------------------------------------------------------------------------


def charge(state):
    raise ValueError("card declined")


def payment(handler, *, ask=None):
    """charge goes on to ship, unless its handler says otherwise; `ask` runs beside it."""
    builder = StateGraph(Log).add_node(charge, error_handler=handler).add_node("ship", say("shipped")).add_node("refund", say("refunded"))
    builder.add_edge(START, "charge").add_edge("charge", "ship")
    return builder if ask is None else builder.add_node(ask).add_edge(START, ask.__name__)


def test_where_a_handler_goes_is_instead_of_the_edges_of_its_node(saver, run, cfg):
    graph = payment(lambda state, error: Command(update={"log": ["handled"]}, goto="refund")).compile(saver)
    assert run(graph, {"log": []}, cfg)["log"] == ["handled", "refunded"]


def test_a_handler_that_goes_to_end_ends_its_branch(saver, run, cfg):
    graph = payment(lambda state, error: Command(update={"log": ["handled"]}, goto=END)).compile(saver)
    assert run(graph, {"log": []}, cfg)["log"] == ["handled"]


def test_a_handler_that_goes_nowhere_leaves_the_edges_to_its_node(saver, run, cfg):
    graph = payment(lambda state, error: Command(update={"log": ["handled"]})).compile(saver)
    assert run(graph, {"log": []}, cfg)["log"] == ["handled", "shipped"]


def test_conditional_edges_and_joins_do_not_count_either_where_a_handler_goes(saver, run, cfg):
    asked = []
    builder = payment(lambda state, error: Command(goto="refund"), ask=_ready).add_node("both", say("both"))
    builder.add_edge(["charge", "_ready"], "both").add_conditional_edges("charge", lambda state: asked.append(1) or "ship")
    assert run(builder.compile(saver), {"log": []}, cfg)["log"] == ["ready", "refunded"]
    assert not asked


def _ready(state):
    return {"log": ["ready"]}


def test_where_a_handler_goes_is_remembered_while_another_node_waits(tmp_path, run, cfg):
    def graph():
        return payment(lambda state, error: Command(goto="refund"), ask=_asks).compile(DiskCacheSaver(tmp_path / "store"))

    run(graph(), {"log": []}, cfg)
    later = graph()
    later.update_state(cfg, {"log": ["noted"]}, as_node=START)
    log = run(later, Command(resume=1), cfg)["log"]
    assert "refunded" in log
    assert "shipped" not in log


def test_a_handler_sees_a_timeout_as_the_error_that_it_is(saver, cfg):
    async def slow(state):
        await asyncio.sleep(60)

    def handler(state, error: NodeError):
        return {"log": [isinstance(error.error, NodeTimeoutError), error.error.node]}

    graph = StateGraph(Log).add_node(slow, timeout=0.01, error_handler=handler).add_edge(START, "slow").compile(saver)
    assert asyncio.run(graph.ainvoke({"log": []}, cfg)) == {"log": [True, "slow"]}


# -- what surrounds a node ---------------------------------------------------------------------------------------------------------------


@dataclass
class Person:
    name: str = "nobody"


def test_a_path_function_may_ask_for_the_runtime_and_the_config(saver, run, cfg):
    def by_name(state, runtime: Runtime[Person]):
        assert runtime.config["configurable"]["thread_id"]
        return "greet" if runtime.context.name == "ada" else END

    def by_config(state, config) -> Literal["greet", "__end__"]:
        return "greet" if config["configurable"].get("again") else END

    builder = StateGraph(Log, Person).add_node("greet", say("hello")).add_node("more", say("more"))
    builder.add_conditional_edges(START, by_name).add_edge("greet", "more").add_conditional_edges("more", by_config)
    graph = builder.compile(saver)
    assert graph.invoke({"log": []}, cfg, context=Person("ada"))["log"] == ["hello", "more"]
    assert asyncio.run(graph.ainvoke({"log": []}, cfg | {"configurable": {"thread_id": "t-2"}}, context={"name": "bob"}))["log"] == []


def test_the_runtime_can_be_asked_for_with_the_class_of_its_context(chain):
    def who(state):
        return {"log": [get_runtime(Person).context.name]}

    builder = StateGraph(Log, Person).add_node(who).add_edge(START, "who")
    assert builder.compile().invoke({"log": []}, context=Person("ada")) == {"log": ["ada"]}


def test_a_node_finds_the_configurable_part_of_a_config_that_nobody_gave(run):
    def step(state, config, runtime: Runtime):
        return {"log": [config["configurable"].get("step", 1), runtime.config["configurable"].get("step", 1)]}

    graph = StateGraph(Log).add_node(step).add_edge(START, "step").compile()
    assert run(graph, {"log": []}, None) == {"log": [1, 1]}
    assert run(graph, {"log": []}, {"configurable": {"step": 5}}) == {"log": [5, 5]}


# -- building and looking ----------------------------------------------------------------------------------------------------------------


def test_the_entry_point_may_be_conditional(saver, run, cfg):
    builder = StateGraph(Log).add_node("short", say("short")).add_node("long", say("long"))
    builder.set_conditional_entry_point(lambda state: len(state["log"]) > 1, {True: "long", False: "short"})
    assert run(builder.compile(saver), {"log": ["x"]}, cfg) == {"log": ["x", "short"]}


def test_one_of_several_tasks_of_a_node_is_updated_by_its_id(saver, fan, cfg):
    def left(state):
        return {"log": [interrupt("left?")]}

    def right(state):
        return {"log": [interrupt("right?")]}

    graph: CompiledGraph = fan(saver, left, right, schema=Log)
    graph.invoke({"log": []}, cfg)
    task = graph.get_state(cfg).tasks[1]
    graph.update_state(cfg, {"log": ["by hand"]}, task_id=task.id)
    now = graph.get_state(cfg)
    assert isinstance(now, StateSnapshot)
    assert (now.values["log"], now.next) == (["by hand"], ("left",))
    assert asyncio.run(graph.aupdate_state(cfg, {"log": ["too"]}, task_id=now.tasks[0].id))
    assert graph.get_state(cfg).next == ()


# -- the whole of a sample ---------------------------------------------------------------------------------------------------------------


def test_a_form_asks_until_the_answer_is_usable(saver, run, cfg, chain, only):
    def age(state):
        prompt = "How old are you?"
        while not isinstance(answer := interrupt(prompt), int):
            prompt = f"{answer!r} is no number. How old are you?"
        return {"log": [answer]}

    graph = chain(saver, age, schema=Log)
    run(graph, {"log": []}, cfg)
    assert only(run(graph, Command(resume="forty"), cfg)).value.startswith("'forty' is no number")
    assert run(graph, Command(resume=40), cfg) == {"log": [40]}


def test_the_answer_chooses_the_node(saver, run, cfg):
    def gate(state) -> Command[Literal["go", "stop"]]:
        return Command(goto="go" if interrupt({"question": "Transfer?", "amount": 500}) else "stop")

    builder = StateGraph(Log).add_node(gate).add_node("go", say("went")).add_node("stop", say("stopped")).add_edge(START, "gate")
    graph = builder.compile(saver)
    run(graph, {"log": []}, cfg)
    assert run(graph, Command(resume=False), cfg) == {"log": ["stopped"]}


class Subjects(TypedDict, total=False):
    subjects: list
    lines: Annotated[list, add]
    best: str


def test_map_and_reduce_with_a_question_for_each(saver, run, cfg):
    def write(state):
        return {"lines": [f"{state['subject']}: {interrupt(state['subject'])}"]}

    def pick(state):
        return {"best": max(state["lines"], key=len)}

    builder = StateGraph(Subjects).add_node(write).add_node(pick).add_edge("write", "pick")
    builder.add_conditional_edges(START, lambda state: [Send("write", {"subject": s}) for s in state["subjects"]], ["write"])
    graph = builder.compile(saver)
    first, second = run(graph, {"subjects": ["owl", "cat"]}, cfg).interrupts
    [left] = run(graph, Command(resume={second.id: "purrs"}), cfg).interrupts
    assert left == first
    ended = run(graph, Command(resume="hoots at night"), cfg)
    assert (ended["lines"], ended["best"]) == (["owl: hoots at night", "cat: purrs"], "owl: hoots at night")


def test_questions_of_a_called_graph_come_one_after_the_other_with_an_answer_each(saver, run, cfg, only):
    heard = []
    inner = StateGraph(Log).add_sequence(
        [("one", lambda state: heard.append(interrupt("first?"))), ("two", lambda state: heard.append(interrupt("second?")))]
    )
    called = inner.add_edge(START, "one").compile()
    graph = StateGraph(Log).add_node("call", lambda state: called.invoke(state) and None).add_edge(START, "call").compile(saver)
    assert only(run(graph, {"log": []}, cfg)).value == "first?"
    assert only(run(graph, Command(resume=1), cfg)).value == "second?"
    run(graph, Command(resume=2), cfg)
    assert heard == [1, 2]


def test_the_past_is_corrected_and_run_on_from(saver, run, cfg):
    topics = iter(["socks", "shoes"])
    nodes = [("topic", lambda state: {"best": next(topics)}), ("joke", lambda state: {"lines": [f"about {state['best']}"]})]
    graph = StateGraph(Subjects).add_sequence(nodes).add_edge(START, "topic").compile(saver)
    run(graph, {"subjects": []}, cfg)
    before = next(s for s in graph.get_state_history(cfg) if s.next == ("joke",))
    corrected = graph.update_state(before.config, values={"best": "chickens"})
    assert run(graph, None, corrected)["lines"] == ["about chickens"]
    assert run(graph, None, before.config)["lines"] == ["about socks"]
    assert [s.metadata["source"] for s in graph.get_state_history(cfg)][::-1][:3] == ["input", "loop", "loop"]


def test_a_graph_in_a_node_leaves_for_a_node_around_it(saver, run, cfg):
    leave = StateGraph(Log).add_node("n", lambda state: Command(update={"log": ["in"]}, goto="b", graph=Command.PARENT)).add_edge(START, "n")
    builder = StateGraph(Log).add_node("sub", leave.compile()).add_node("b", say("b")).add_node("c", say("c")).add_edge(START, "sub")
    assert run(builder.compile(saver), {"log": []}, cfg) == {"log": ["in", "b"]}


@pytest.mark.parametrize(("outer", "inner"), [("outer", "inner"), ("a|b:c", "d|e:f")])
def test_the_config_of_a_graph_inside_a_node_shows_that_graph(saver, run, cfg, outer, inner):
    deep = StateGraph(Log).add_sequence([("before", say("before")), ("ask", _asks)]).add_edge(START, "before").compile()
    middle = StateGraph(Log).add_node(inner, deep).add_edge(START, inner).compile()
    graph = StateGraph(Log).add_node(outer, middle).add_edge(START, outer).compile(saver)
    run(graph, {"log": []}, cfg)
    [around] = graph.get_state(cfg, subgraphs=True).tasks
    [within] = around.state.tasks
    assert graph.get_state(around.state.config).next == (inner,)
    assert graph.get_state(within.state.config).next == ("ask",)
    assert graph.get_state(within.state.parent_config).next == ("before",)
    nonce, _, number = within.state.config["configurable"]["checkpoint_id"].rpartition("-")
    for other in (f"{nonce}-{int(number) + 1:010d}", around.state.config["configurable"]["checkpoint_id"]):
        with pytest.raises(UnknownThreadError, match="checkpoint"):
            graph.get_state({"configurable": within.state.config["configurable"] | {"checkpoint_id": other}})


class Public(TypedDict, total=False):
    a: str


class Private(TypedDict, total=False):
    secret: str


def test_what_was_called_private_is_seen_by_who_asks_for_it_only(saver, run, cfg):
    seen = []

    def first(state: Public) -> Private:
        return {"secret": "s"}

    def second(state: Private) -> Public:
        return {"a": seen.append(dict(state)) or "second"}

    def third(state: Public) -> Public:
        return {"a": seen.append(dict(state)) or "third"}

    graph = StateGraph(Public).add_sequence([first, second, third]).add_edge(START, "first").compile(saver)
    assert run(graph, {"a": "start"}, cfg)["a"] == "third"
    assert seen == [{"secret": "s"}, {"a": "second"}]
