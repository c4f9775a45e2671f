"""compile(checkpointer=True), a graph that remembers its state from one run of its node to the next; and commands for the graph around."""

from __future__ import annotations

import asyncio
from operator import add
from typing import Annotated, TypedDict

import pytest

from hitl_nb.errors import ConcurrentUpdateError, GraphError, QuestionChangedError, SwallowedInterruptError, UnknownNodeError
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.types import END, START, Command, Send


class Log(TypedDict, total=False):
    log: Annotated[list, add]
    times: int


class Seen(TypedDict, total=False):
    seen: Annotated[list, add]
    times: int


def loop(saver, child, until=3, **options):
    """`child` again and again, `until` times."""

    def count(state):
        return {"times": state.get("times", 0) + 1}

    builder = StateGraph(Log).add_node("child", child, **options).add_node(count)
    builder.add_edge(START, "child").add_edge("child", "count")
    return builder.add_conditional_edges("count", lambda state: "child" if state["times"] < until else END).compile(saver)


# -- memory --------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "expected"), [(True, [0, 1, 2]), (None, [0, 0, 0]), ("inherit", [0, 0, 0])])
def test_a_graph_with_a_memory_goes_on_from_its_last_state_and_one_without_begins_anew(saver, run, cfg, chain, mode, expected):
    found = []

    def remember(state):
        found.append(len(state.get("seen", [])))
        return {"seen": [state.get("times", 0)]}

    run(loop(saver, chain(mode, remember, schema=Seen)), {}, cfg)
    assert found == expected


def test_a_memory_lasts_from_one_input_of_the_thread_to_the_next(saver, run, cfg, chain):
    found = []

    def remember(state):
        found.append(len(state.get("seen", [])))
        return {"seen": ["x"]}

    child = chain(True, remember, schema=Seen)
    graph = StateGraph(Log).add_node("child", child).add_edge(START, "child").compile(saver)
    for _ in range(3):
        run(graph, {"log": []}, cfg)
    run(graph, {"log": []}, {"configurable": {"thread_id": "another"}})
    assert found == [0, 1, 2, 0]


def test_a_called_graph_with_a_memory_asks_each_time_and_keeps_what_it_knew(saver, run, cfg, chain, runs):
    def ask(state):
        runs["ask"] += 1
        return {"seen": [interrupt(f"{len(state.get('seen', []))}?")]}

    inner = chain(True, ask, schema=Seen)

    def child(state):
        return {"log": [list(inner.invoke({"times": state.get("times", 0)})["seen"])]}

    graph = loop(saver, child)
    for n in range(3):
        (asked,) = run(graph, Command(resume=f"a{n - 1}") if n else {}, cfg).interrupts
        assert asked.value == f"{n}?"
    assert run(graph, Command(resume="a2"), cfg)["log"] == [["a0"], ["a0", "a1"], ["a0", "a1", "a2"]]
    assert runs["ask"] == 6


def test_one_memory_for_several_runs_at_once_is_refused(saver, run, cfg):
    child = _asks(True)
    graph = (
        StateGraph(Log)
        .add_node("child", child)
        .add_conditional_edges(START, lambda state: [Send("child", {"times": n}) for n in range(2)])
        .compile(saver)
    )
    with pytest.raises(GraphError, match="one memory for all of them"):
        run(graph, {}, cfg)


def _asks(mode):
    return StateGraph(Log).add_node("ask", lambda state: {"log": [interrupt("?")]}).add_edge(START, "ask").compile(mode)


def test_another_graph_at_a_memory_is_refused(saver, run, cfg, chain):
    def note(state):
        return {"seen": ["x"]}

    one, two = chain(True, note, schema=Seen, name="one"), chain(True, note, schema=Seen, name="two")

    def child(state):
        return {"log": [len((one if state.get("times", 0) < 2 else two).invoke({})["seen"])]}

    with pytest.raises(QuestionChangedError, match="'two' where it had called another one"):
        run(loop(saver, child), {}, cfg)


def test_a_memory_and_a_graph_without_one_in_the_same_node_do_not_mix(saver, run, cfg, chain):
    def note(state):
        return {"seen": ["x"]}

    keeps, forgets = chain(True, note, schema=Seen, name="keeps"), chain(None, note, schema=Seen, name="forgets")

    def child(state):
        return {"log": [(len(forgets.invoke({})["seen"]), len(keeps.invoke({})["seen"]), len(forgets.invoke({})["seen"]))]}

    assert run(loop(saver, child), {}, cfg)["log"] == [(1, 1, 1), (1, 2, 1), (1, 3, 1)]


# -- commands for the graph around -------------------------------------------------------------------------------------------------------


def routed(saver, child, *targets):
    builder = StateGraph(Log).add_node("child", child).add_edge(START, "child")
    for name in targets:
        builder.add_node(name, lambda state, name=name: {"log": [name]})
    return builder.compile(saver)


def up(*entries, goto="there"):
    return Command(graph=Command.PARENT, update={"log": list(entries)}, goto=goto)


def test_a_node_inside_ends_its_graph_and_routes_the_one_around(saver, run, cfg, chain, runs):
    def leave(state):
        runs["leave"] += 1
        return up(interrupt("where to?"))

    def never(state):
        runs["never"] += 1

    graph = routed(saver, chain(None, leave, never, schema=Log), "there", "elsewhere")
    run(graph, {}, cfg)
    assert run(graph, Command(resume="A"), cfg)["log"] == ["A", "there"]
    assert runs == {"leave": 2}


def test_a_command_from_a_called_graph_ends_the_node_that_called_it(saver, run, cfg, chain, runs):
    def leave(state):
        return up("left")

    inner = chain(None, leave, schema=Log)

    def child(state):
        inner.invoke({})
        runs["after"] += 1

    assert run(routed(saver, child, "there"), {}, cfg)["log"] == ["left", "there"]
    assert runs == {}


def test_a_command_goes_up_one_level_only(saver, run, cfg, chain):
    def leave(state):
        return up("left", goto="there")

    middle = routed(None, chain(None, leave, schema=Log), "there")
    graph = StateGraph(Log).add_node("middle", middle).add_edge(START, "middle").compile(saver)
    assert run(graph, {}, cfg)["log"] == ["left", "there"]
    unknown = StateGraph(Log).add_node("middle", chain(None, leave, schema=Log)).add_edge(START, "middle").compile(saver)
    with pytest.raises(UnknownNodeError, match="there"):
        run(unknown, {}, {"configurable": {"thread_id": "t-2"}})


def test_two_levels_up_takes_a_command_at_each(saver, run, cfg, chain):
    def leave(state):
        return up("left")

    innermost = chain(None, leave, schema=Log)

    def middle(state):
        return up("once more")

    inside = StateGraph(Log).add_node("inner", innermost).add_node("there", middle).add_edge(START, "inner").compile()
    assert run(routed(saver, inside, "there"), {}, cfg)["log"] == ["once more", "there"]


def test_a_command_withdraws_what_a_sibling_inside_had_asked(saver, run, cfg, fan, runs):
    def ask(state):
        runs["ask"] += 1
        return {"log": [interrupt("moot?")]}

    def leave(state):
        runs["leave"] += 1
        return up(interrupt("leave?"))

    graph = routed(saver, fan(None, ask, leave, schema=Log), "there")
    moot, leaving = run(graph, {}, cfg).interrupts
    assert run(graph, Command(resume={leaving.id: "left"}), cfg)["log"] == ["left", "there"]
    assert saver.open_questions() == []
    assert saver.decision(moot.id) is None


def test_commands_of_two_nodes_inside_both_count(saver, run, cfg, fan):
    def one(state):
        return up("one", goto="there")

    def two(state):
        return up("two", goto=["there", "elsewhere"])

    result = run(routed(saver, fan(None, one, two, schema=Log), "there", "elsewhere"), {}, cfg)
    assert result["log"] == ["one", "two", "there", "elsewhere"]


def test_commands_of_two_nodes_inside_that_write_the_same_key_are_an_error(saver, run, cfg, fan):
    def one(state):
        return Command(graph=Command.PARENT, update={"times": 1})

    def two(state):
        return Command(graph=Command.PARENT, update={"times": 2})

    with pytest.raises(ConcurrentUpdateError, match="'one' and 'two'"):
        run(routed(saver, fan(None, one, two, schema=Log)), {}, cfg)


@pytest.mark.parametrize("gathered", [True, False])
def test_a_command_beside_a_question_of_another_called_graph(saver, run, cfg, chain, gathered):
    def leave(state):
        return up("left")

    def ask(state):
        return {"log": [interrupt("moot?")]}

    leaves, asks = chain(None, leave, schema=Log), chain(None, ask, schema=Log)

    async def child(state):
        if gathered:
            await asyncio.gather(leaves.ainvoke({}), asks.ainvoke({}))
        else:
            async with asyncio.TaskGroup() as group:
                group.create_task(leaves.ainvoke({}))
                group.create_task(asks.ainvoke({}))

    result = run(routed(saver, child, "there"), {}, cfg)
    if result.is_interrupted:  # the question was faster
        result = run(routed(saver, child, "there"), Command(resume="A"), cfg)
    assert result["log"] == ["left", "there"]
    assert saver.open_questions() == []


def test_a_node_that_swallows_the_command_of_a_graph_it_calls_is_an_error(saver, run, cfg, chain):
    def leave(state):
        return up("left")

    inner = chain(None, leave, schema=Log)

    def child(state):
        try:
            inner.invoke({})
        except BaseException:
            return {"log": ["went on"]}

    with pytest.raises(SwallowedInterruptError, match="PARENT"):
        run(routed(saver, child, "there"), {}, cfg)


def test_at_the_top_there_is_no_graph_around(saver, run, cfg, chain):
    def leave(state):
        return up("left")

    graph = chain(saver, leave, schema=Log)
    with pytest.raises(GraphError, match="does not run inside a node"):
        run(graph, {}, cfg)
    assert graph.get_state(cfg).next == ("leave",)


def test_a_command_from_a_graph_with_a_memory_leaves_a_memory_that_goes_on(saver, run, cfg, chain):
    def step(state):
        return {"seen": ["x"]}

    def leave(state):
        return Command(graph=Command.PARENT, update={"log": [len(state["seen"])]})

    assert run(loop(saver, chain(True, step, leave, schema=Seen)), {}, cfg)["log"] == [1, 2, 3]


def test_a_command_from_a_graph_that_keeps_nothing(saver, run, cfg, chain):
    def leave(state):
        return up("left")

    assert run(routed(saver, chain(False, leave, schema=Log), "there"), {}, cfg)["log"] == ["left", "there"]
    assert run(routed(None, chain(None, leave, schema=Log), "there"), {}, cfg)["log"] == ["left", "there"]
