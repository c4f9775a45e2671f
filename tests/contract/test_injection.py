"""What a node asks for by the names and annotations of its parameters: config, runtime and context, a writer; and the same by call."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from operator import add
from typing import Annotated, Any, TypedDict

import pytest

from hitl_nb import StreamWriter, get_runtime, get_stream_writer
from hitl_nb.checkpoint.memory import MemorySaver
from hitl_nb.errors import InvalidStateError, OutsideNodeError
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.node.once import once
from hitl_nb.graph.node.runtime import Runtime
from hitl_nb.graph.types import END, START, Command


class Log(TypedDict, total=False):
    log: Annotated[list, add]


@dataclass
class Context:
    user: str
    limit: int = 3


@pytest.fixture
def one(saver):
    """`one(fn, **options)`: a graph of this node, with Context as its context."""

    def make(fn, **options):
        return StateGraph(Log, Context).add_node("work", fn, **options).add_edge(START, "work").compile(saver)

    return make


@pytest.fixture(params=["sync", "async"])
def call(request):
    """`call(graph, input, config, **more)`: invoke or ainvoke."""
    if request.param == "sync":
        return lambda graph, *given, **more: graph.invoke(*given, **more)
    return lambda graph, *given, **more: asyncio.run(graph.ainvoke(*given, **more))


def test_a_node_gets_the_config_by_name_or_annotation(one, call, cfg):
    def by_name(state, config):
        return {"log": [config["configurable"]["reviewer"]]}

    def by_annotation(state, c: RunnableConfig):  # noqa: F821  # read by name, as from code that imports it elsewhere
        return {"log": [c["configurable"]["thread_id"]]}

    async def keyword(state, *, config):
        return {"log": [config["configurable"]["extra"]]}

    assert call(one(by_name), {}, cfg)["log"] == ["ada"]
    assert call(one(by_annotation), {}, {"configurable": {"thread_id": "t-2"}})["log"] == ["t-2"]
    assert call(one(keyword), {}, {"configurable": {"thread_id": "t-3", "extra": 7}})["log"] == [7]


def test_a_node_gets_the_runtime_with_the_context(one, call, cfg):
    def work(state, runtime: Runtime[Context]):
        c = runtime.context
        return {"log": [c.user, c.limit, runtime.thread_id, runtime.node, type(c).__name__]}

    assert call(one(work), {}, cfg, context=Context("ada"))["log"] == ["ada", 3, "t-1", "work", "Context"]


def test_a_context_given_as_a_mapping_becomes_an_instance(one, call, cfg):
    def work(state, rt: Runtime[Context]):
        return {"log": [rt.context.user, rt.context.limit]}

    assert call(one(work), {}, cfg, context={"user": "bob", "limit": 1})["log"] == ["bob", 1]


def test_the_context_is_given_with_each_call_and_never_stored(one, call, cfg, saver):
    def work(state, runtime):
        return {"log": [interrupt("?"), None if runtime.context is None else runtime.context.user]}

    graph = one(work)
    call(graph, {}, cfg, context=Context("secret-name"))
    if isinstance(saver, MemorySaver):
        assert not any(b"secret-name" in record for record in saver._records.values())
    assert call(graph, Command(resume="A"), cfg, context=Context("bob"))["log"] == ["A", "bob"]


def test_an_instance_with_a_call_method_and_a_partial_and_a_method_are_asked_too(one, call, cfg):
    class Worker:
        def __call__(self, state, runtime: Runtime[Context]):
            return {"log": [runtime.node]}

        def method(self, state, config):
            return {"log": [config["configurable"]["thread_id"]]}

        async def later(self, state, config):
            return {"log": [config["configurable"]["thread_id"]]}

    def work(extra, state, runtime):
        return {"log": [extra, runtime.node]}

    for n, (fn, expected) in enumerate(
        [(Worker(), ["work"]), (Worker().method, ["n-1"]), (Worker().later, ["n-2"]), (partial(work, "x"), ["x", "work"])]
    ):
        assert call(one(fn), {}, {"configurable": {"thread_id": f"n-{n}"}})["log"] == expected


def test_a_parameter_with_a_default_of_another_name_is_left_alone(one, call, cfg):
    def work(state, times=2, *rest, **more):
        return {"log": [times, rest, more]}

    assert call(one(work), {}, cfg)["log"] == [2, (), {}]


def test_what_a_node_writes_comes_out_of_a_custom_stream_at_once(one, cfg):
    def work(state, writer: StreamWriter):
        writer({"progress": 1})
        get_stream_writer()({"progress": 2})
        return {"log": ["done"]}

    graph = one(work)
    assert list(graph.stream({}, cfg, stream_mode="custom")) == [{"progress": 1}, {"progress": 2}]
    assert graph.invoke({}, {"configurable": {"thread_id": "t-2"}})["log"] == ["done"]  # nobody listens


def test_an_async_node_writes_from_its_own_tasks(one, cfg):
    async def work(state, writer):
        async def part(n):
            get_stream_writer()(n)

        await asyncio.gather(*(part(n) for n in range(3)))
        await asyncio.to_thread(writer, 3)

    async def collect(graph):
        return [event async for event in graph.astream({}, cfg, stream_mode="custom")]

    assert asyncio.run(collect(one(work))) == [0, 1, 2, 3]


def test_the_runtime_can_be_had_by_call_everywhere_in_a_node(one, call, cfg):
    def deep():
        return get_runtime().context.user

    def work(state):
        return {"log": [deep(), once("kept", deep)]}

    assert call(one(work), {}, cfg, context=Context("ada"))["log"] == ["ada", "ada"]


def test_a_path_function_is_told_the_config_by_call_as_by_its_name_in_a_run_and_at_an_update(saver, cfg):
    told = []

    def path(state, config):
        told.append((get_runtime().config["configurable"]["reviewer"], config["configurable"]["reviewer"]))
        return END

    builder = StateGraph(Log).add_node("work", lambda state: {"log": [1]}).add_edge(START, "work").add_conditional_edges("work", path)
    graph = builder.compile(saver)
    graph.invoke({"log": []}, cfg)
    graph.update_state(cfg, {"log": [2]}, as_node="work")
    assert told == [("ada", "ada")] * 2


def test_outside_of_a_node_there_is_no_runtime():
    with pytest.raises(OutsideNodeError, match="no node runs"):
        get_runtime()
    with pytest.raises(OutsideNodeError):
        get_stream_writer()


def test_a_handler_gets_the_error_by_place_or_annotation_and_the_rest_by_name(one, call, cfg):
    def work(state):
        raise OSError("gone")

    def by_place(state, whatever, runtime):
        return {"log": [str(whatever.error), runtime.node]}

    def by_annotation(state, config, failed: NodeError):  # noqa: F821  # read by name
        return {"log": [str(failed.error), config["configurable"]["thread_id"]]}

    def by_nothing(state):
        return {"log": ["nothing"]}

    for n, (handler, expected) in enumerate([(by_place, ["gone", "work"]), (by_annotation, ["gone", "h-1"]), (by_nothing, ["nothing"])]):
        assert call(one(work, error_handler=handler), {}, {"configurable": {"thread_id": f"h-{n}"}})["log"] == expected


def test_a_graph_inside_shares_config_and_context_unless_it_is_given_its_own(one, call, cfg, saver):
    def inner(state, runtime: Runtime[Context], config):
        return {"log": [runtime.context.user, runtime.thread_id, config["configurable"].get("extra")]}

    child = StateGraph(Log, Context).add_node(inner).add_edge(START, "inner").compile()

    def caller(state):
        return {"log": [*child.invoke({})["log"], *child.invoke({}, context=Context("eve"))["log"]]}

    graph = StateGraph(Log, Context).add_node("node", child).add_node(caller).add_edge(START, "node").add_edge("node", "caller").compile(saver)
    extra: dict[str, Any] = {"configurable": {**cfg["configurable"], "extra": 1}}
    assert call(graph, {}, extra, context=Context("ada"))["log"] == ["ada", "t-1", 1, "ada", "t-1", 1, "eve", "t-1", 1]


def test_what_a_node_inside_writes_reaches_the_stream_of_subgraphs(saver, cfg):
    def inner(state, writer):
        writer("inside")
        interrupt("?")

    child = StateGraph(Log).add_node(inner).add_edge(START, "inner").compile()
    graph = StateGraph(Log).add_node("child", child).add_edge(START, "child").compile(saver)
    events = list(graph.stream({}, cfg, stream_mode="custom", subgraphs=True))
    assert [event for _, event in events] == ["inside"]
    assert [place.split(":")[0] for place in events[0][0]] == ["child"]


def test_a_context_that_does_not_fit_is_refused_before_anything_runs(one, call, cfg):
    with pytest.raises(InvalidStateError, match="Context"):
        call(one(lambda state: {}), {}, cfg, context={"nobody": 1})


def test_a_graph_inside_reads_a_mapping_as_its_own_context(saver, call, cfg):
    @dataclass
    class Own:
        level: int = 5

    child = StateGraph(Log, Own).add_node("inner", lambda state, runtime: {"log": [runtime.context.level]}).add_edge(START, "inner").compile()

    def caller(state):
        return child.invoke({}, context={"level": 7}).state

    graph = StateGraph(Log, Context).add_node(caller).add_edge(START, "caller").compile(saver)
    assert call(graph, {}, cfg, context=Context("ada"))["log"] == [7]


class Runnable:
    """What other libraries call a runnable: no function, but it can be invoked."""

    name = "shout"

    def invoke(self, state):
        return {"text": state["text"].upper()}

    async def ainvoke(self, state):
        return {"text": state["text"].upper() + "!"}


def test_an_object_that_can_be_invoked_is_a_node():
    graph = StateGraph().add_node(Runnable()).add_edge(START, "shout").compile()
    assert graph.invoke({"text": "a"}) == {"text": "A"}
    assert asyncio.run(graph.ainvoke({"text": "a"})) == {"text": "A!"}
