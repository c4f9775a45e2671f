"""R21: sync and async mix, inside a running loop too; a run that is cancelled or interrupted leaves its thread whole and free."""

from __future__ import annotations

import asyncio
import contextvars
import signal
import threading

import pytest

from hitl_nb.checkpoint.memory import MemorySaver
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.types import END, START, Command


async def async_ask(state):
    await asyncio.sleep(0)
    return {"async": interrupt("async?")}


def sync_ask(state):
    return {"sync": interrupt("sync?")}


def test_invoke_works_inside_a_running_loop_with_async_nodes(chain, saver, cfg):
    graph = chain(saver, async_ask, sync_ask)

    async def cell():
        graph.invoke({}, cfg)
        graph.invoke(Command(resume=1), cfg)
        return graph.invoke(Command(resume=2), cfg)

    assert asyncio.run(cell()) == {"async": 1, "sync": 2}


def test_sync_and_async_nodes_mix_in_one_superstep(fan, saver, run, cfg):
    graph = fan(saver, async_ask, sync_ask)
    assert [i.value for i in run(graph, {}, cfg).interrupts] == ["async?", "sync?"]
    assert run(graph, Command(resume=[1, 2]), cfg) == {"async": 1, "sync": 2}


def test_a_thread_begun_sync_goes_on_async_and_back(chain, saver, cfg):
    graph = chain(saver, sync_ask, async_ask)
    graph.invoke({}, cfg)
    asyncio.run(graph.ainvoke(Command(resume=1), cfg))
    assert graph.invoke(Command(resume=2), cfg) == {"sync": 1, "async": 2}


def test_an_async_callable_object_and_an_async_path_function_work(saver, run, cfg):
    class Node:
        async def __call__(self, state):
            await asyncio.sleep(0)
            return {"x": 1}

    async def route(state):
        await asyncio.sleep(0)
        return END if state["x"] else "never"

    graph = StateGraph().add_node("node", Node()).add_edge(START, "node").add_conditional_edges("node", route).compile(saver)
    assert run(graph, {}, cfg) == {"x": 1}


def test_an_async_node_may_run_another_graph_with_async_nodes(chain, run):
    async def inner_node(state):
        await asyncio.sleep(0)
        return {"inner": 1}

    inner = chain(None, inner_node)

    async def outer_node(state):
        return {"outer": inner.invoke({}, {})["inner"] + 1}

    async def other(state):
        return {"again": inner.invoke({}, {})["inner"]}

    assert run(chain(None, outer_node, other), {}, {}) == {"outer": 2, "again": 1}


def test_parallel_async_nodes_really_run_side_by_side(fan, saver, run, cfg):
    """Each waits for the other: one after the other would never end."""
    events = {}

    async def meet(mine, theirs):
        events.setdefault(mine, asyncio.Event()).set()
        await asyncio.wait_for(events.setdefault(theirs, asyncio.Event()).wait(), 10)

    async def left(state):
        await meet("left", "right")
        return {"l": 1}

    async def right(state):
        await meet("right", "left")
        return {"r": 1}

    assert run(fan(saver, left, right), {}, cfg) == {"l": 1, "r": 1}


def test_parallel_sync_nodes_really_run_side_by_side(fan, saver, run, cfg):
    gate = threading.Barrier(2, timeout=10)

    def left(state):
        gate.wait()
        return {"l": 1}

    def right(state):
        gate.wait()
        return {"r": 1}

    assert run(fan(saver, left, right), {}, cfg) == {"l": 1, "r": 1}


def test_a_sync_node_does_not_hold_up_the_event_loop(chain, saver, cfg):
    release = threading.Event()

    def blocking(state):
        assert release.wait(10)
        return {"x": 1}

    async def main():
        work = asyncio.create_task(chain(saver, blocking).ainvoke({}, cfg))
        await asyncio.sleep(0)
        release.set()  # could not happen if the node blocked the loop
        return await work

    assert asyncio.run(main()) == {"x": 1}


@pytest.mark.parametrize("shape", ["chain", "fan"])
def test_nodes_see_the_callers_context_variables(chain, fan, run, shape):
    tenant = contextvars.ContextVar("tenant", default="nobody")

    def plain(state):
        return {"plain": tenant.get()}

    async def coroutine(state):
        return {"coroutine": tenant.get()}

    tenant.set("acme")
    graph = (chain if shape == "chain" else fan)(None, plain, coroutine)
    assert run(graph, {}, {}) == {"plain": "acme", "coroutine": "acme"}


def test_the_async_twins_read_and_write_the_same_thread(chain, saver, cfg):
    graph = chain(saver, sync_ask)

    async def main():
        await graph.ainvoke({}, cfg)
        await graph.aupdate_state(cfg, {"x": 1})
        snapshot = await graph.aget_state(cfg)
        history = [s.config async for s in graph.aget_state_history(cfg)]
        return snapshot, history

    snapshot, history = asyncio.run(main())
    assert snapshot == graph.get_state(cfg)
    assert history == [s.config for s in graph.get_state_history(cfg)]


# -- stopped half-way -----------------------------------------------------------------------------------------------------------------


def test_a_cancelled_ainvoke_leaves_the_thread_usable_and_free(chain, saver, cfg):
    runs = []
    inside = asyncio.Event()

    def first(state):
        runs.append("first")
        return {"first": 1}

    async def second(state):
        runs.append("second")
        if runs.count("second") == 1:
            inside.set()
            await asyncio.Event().wait()
        return {"second": 1}

    graph = chain(saver, first, second)

    async def main():
        work = asyncio.create_task(graph.ainvoke({}, cfg))
        await inside.wait()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        return await graph.ainvoke(None, cfg)

    assert asyncio.run(main()) == {"first": 1, "second": 1}
    assert runs == ["first", "second", "second"]


@pytest.mark.parametrize("parallel", [False, True])
def test_a_cancelled_ainvoke_waits_for_a_sync_node_before_it_frees_the_thread(chain, fan, saver, cfg, parallel):
    """A thread cannot be stopped: given free, a second run would do the side effect a second time beside the first."""
    inside, leave = threading.Event(), threading.Event()
    ended = []

    def slow(state):
        inside.set()
        assert leave.wait(10)
        ended.append(1)
        return {"slow": 1}

    def quick(state):
        return {"quick": 1}

    graph = (fan if parallel else chain)(saver, slow, quick)

    async def main():
        work = asyncio.create_task(graph.ainvoke({}, cfg))
        await asyncio.to_thread(inside.wait, 10)
        work.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        work.cancel()  # an impatient caller
        for _ in range(10):
            await asyncio.sleep(0)
        assert not work.done()
        leave.set()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert ended == [1]
        return await graph.ainvoke(None, cfg)

    assert asyncio.run(main()) == {"slow": 1, "quick": 1}


@pytest.mark.parametrize("steps", range(0, 24, 3))
def test_cancelling_at_any_point_keeps_a_recorded_answer_and_frees_the_thread(chain, saver, cfg, steps):
    graph = chain(saver, async_ask, sync_ask)
    graph.invoke({}, cfg)

    async def main():
        work = asyncio.create_task(graph.ainvoke(Command(resume="kept"), cfg))
        for _ in range(steps):
            await asyncio.sleep(0)
        work.cancel()
        await asyncio.wait([work])

    asyncio.run(main())
    result = graph.invoke(None, cfg)
    if saver.decisions("t-1"):
        assert result["async"] == "kept"
        assert [i.value for i in result.interrupts] == ["sync?"]
    else:
        assert [i.value for i in result.interrupts] == ["async?"]


@pytest.mark.parametrize("stopping", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("shape", ["chain", "fan"])
def test_a_keyboard_interrupt_in_a_node_leaves_the_thread_usable(chain, fan, saver, cfg, stopping, kind, shape):
    stop = [True]

    def sync_node(state):
        if stop[0]:
            raise stopping
        return {"x": 1}

    async def async_node(state):
        await asyncio.sleep(0)
        return sync_node(state)

    node = sync_node if kind == "sync" else async_node

    def beside(state):
        return {"y": 1}

    graph = (chain if shape == "chain" else fan)(saver, node, beside)
    with pytest.raises(stopping):
        graph.invoke({}, cfg)
    assert graph.get_state(cfg).tasks[0].error is None
    stop[0] = False
    assert graph.invoke(None, cfg) == {"x": 1, "y": 1}


def test_ctrl_c_while_an_async_node_runs_ends_the_node_before_the_thread_is_free(chain, saver, cfg):
    runs, ended = [], []

    async def node(state):
        runs.append(1)
        if len(runs) == 1:
            try:
                signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                ended.append(1)
        return {"x": 1}

    graph = chain(saver, node)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what runs in its background with Ctrl-C ignored
    try:
        with pytest.raises(KeyboardInterrupt):
            graph.invoke({}, cfg)
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended == [1]
    assert graph.invoke(None, cfg) == {"x": 1}


@pytest.mark.parametrize("shape", ["chain", "fan"])
def test_an_error_comes_out_as_the_object_that_was_raised(chain, fan, saver, run, cfg, shape):
    error = LookupError("mine")

    def node(state):
        raise error

    def beside(state):
        return None

    with pytest.raises(LookupError) as caught:
        run((chain if shape == "chain" else fan)(saver, node, beside), {}, cfg)
    assert caught.value is error


def test_a_system_exit_in_an_async_node_does_not_stop_later_async_nodes(chain):
    async def leaves(state):
        raise SystemExit

    async def works(state):
        return {"x": 1}

    with pytest.raises(SystemExit):
        chain(None, leaves).invoke({}, {})
    assert chain(None, works).invoke({}, {}) == {"x": 1}


def test_a_system_exit_in_a_sync_node_comes_out_of_ainvoke(chain, cfg):
    def leaves(state):
        raise SystemExit(3)

    async def main():
        with pytest.raises(SystemExit):
            await chain(saver, leaves).ainvoke({}, cfg)
        return "the loop goes on"

    saver = MemorySaver()
    assert asyncio.run(main()) == "the loop goes on"


def test_a_node_that_raises_cancelled_error_fails_like_any_other(chain, saver, run, cfg):
    broken = [True]

    async def node(state):
        if broken[0]:
            gone = asyncio.get_running_loop().create_future()
            gone.cancel()
            await gone
        return {"x": 1}

    graph = chain(saver, node)
    with pytest.raises((asyncio.CancelledError, RuntimeError)):
        run(graph, {}, cfg)
    broken[0] = False
    assert run(graph, None, cfg) == {"x": 1}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_an_async_node_may_wait_for_a_sync_run_of_a_graph_with_async_nodes_side_by_side(saver, run, cfg, depth):
    """It holds up the event loop that it runs in, so the inner nodes need another one."""

    async def left(state):
        await asyncio.sleep(0)
        return {"left": True}

    async def right(state):
        await asyncio.sleep(0)
        return {"right": True}

    graph = StateGraph().add_node(left).add_node(right).add_edge(START, "left").add_edge(START, "right").compile()
    for level in range(depth):

        async def waits(state, inner=graph):
            await asyncio.sleep(0)
            return dict(inner.invoke({"x": 1}))

        async def beside(state, level=level):
            return {f"beside {level}": True}

        builder = StateGraph().add_node(waits).add_node(beside).add_edge(START, "waits").add_edge(START, "beside")
        graph = builder.compile(saver if level == depth - 1 else None)
    assert {"left", "right"} <= run(graph, {"y": 1}, cfg).keys()
