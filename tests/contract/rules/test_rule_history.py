"""R18, the history: what a snapshot says, and which checkpoints are listed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from hitl_nb.errors import UnknownThreadError
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.types import Command


def one(state):
    return {"n": 1}


def ask(state):
    return {"said": interrupt({"n": state["n"]})}


@pytest.fixture(params=["sync", "async"])
def history(request):
    """`history(graph, config, **options)`: the snapshots, the newest first."""

    async def collected(graph, config, options):
        return [s async for s in graph.aget_state_history(config, **options)]

    if request.param == "sync":
        return lambda graph, config, **options: list(graph.get_state_history(config, **options))
    return lambda graph, config, **options: asyncio.run(collected(graph, config, options))


@pytest.fixture
def clock():
    """A clock that moves on by a second each time it is read."""
    now = [datetime(2026, 5, 1, 12, tzinfo=UTC)]

    def read():
        now[0] += timedelta(seconds=1)
        return now[0]

    return read


@pytest.fixture
def graph(chain, saver, cfg, clock):
    """Thread t-1: input, one, an update, a fork back to the input, one again, ask; waits."""
    graph = chain(saver, one, ask, now=clock)
    graph.invoke({"n": 0}, cfg)
    graph.update_state(cfg, {"n": 5})
    graph.invoke(None, list(graph.get_state_history(cfg))[-1].config)
    return graph


def test_the_metadata_says_what_made_each_checkpoint(graph, cfg, history):
    assert [s.metadata for s in history(graph, cfg)] == [
        {"source": "loop", "step": 1, "writes": ["one"]},
        {"source": "fork", "step": 0, "writes": []},
        {"source": "update", "step": 1, "writes": ["one"]},
        {"source": "loop", "step": 0, "writes": ["one"]},
        {"source": "input", "step": -1, "writes": []},
    ]


def test_a_fork_names_the_checkpoint_it_goes_back_to_as_its_parent(graph, cfg, history):
    after, fork, _, _, start = history(graph, cfg)
    assert fork.parent_config == start.config
    assert after.parent_config == fork.config
    assert start.parent_config is None


def test_times_are_those_of_the_clock_and_never_change(graph, cfg, history):
    times = [s.created_at for s in history(graph, cfg)]
    assert all(t.tzinfo is not None for t in times)
    assert times == sorted(times, reverse=True)
    assert len(set(times)) == len(times)
    assert [s.created_at for s in history(graph, cfg)] == times


@pytest.mark.parametrize(
    ("wanted", "steps"),
    [
        ({"source": "loop"}, [1, 0]),
        ({"source": "update"}, [1]),
        ({"step": 0}, [0, 0]),
        ({"step": -1}, [-1]),
        ({"source": "loop", "step": 0}, [0]),
        ({"writes": ["one"]}, [1, 1, 0]),
        ({"writes": ("one",)}, [1, 1, 0]),
        ({"source": "nothing"}, []),
        ({}, [1, 0, 1, 0, -1]),
        (None, [1, 0, 1, 0, -1]),
    ],
    ids=str,
)
def test_the_history_can_be_filtered_by_its_metadata(graph, cfg, history, wanted, steps):
    assert [s.metadata["step"] for s in history(graph, cfg, filter=wanted)] == steps


def test_a_limit_counts_what_the_filter_lets_through(graph, cfg, history):
    found = history(graph, cfg, filter={"source": "loop"}, limit=1)
    assert [s.metadata["step"] for s in found] == [1]
    assert history(graph, cfg, filter={"source": "loop"}, before=found[0].config)[0].metadata["step"] == 0
    assert history(graph, cfg, limit=0) == []


def test_a_filter_by_what_no_checkpoint_says_is_refused(graph, cfg, history):
    with pytest.raises(ValueError, match="'source', 'step' and 'writes'"):
        history(graph, cfg, filter={"user": "ann"})


def test_before_a_checkpoint_of_another_thread_is_refused(graph, cfg, history):
    other = {"configurable": {"thread_id": "t-2"}}
    graph.invoke({"n": 0}, other)
    with pytest.raises(UnknownThreadError, match="not of thread 't-1'"):
        history(graph, cfg, before=graph.get_state(other).config)


def test_a_snapshot_shows_tasks_with_their_questions_results_and_errors(fan, saver, run, cfg):
    def asks(state):
        return {"a": interrupt("a?")}

    def fails(state):
        raise OSError("down")

    def ends(state):
        return {"e": 1}

    graph = fan(saver, asks, fails, ends)
    with pytest.raises(OSError, match="down"):
        run(graph, {}, cfg)
    snapshot = graph.get_state(cfg)
    tasks = {t.name: t for t in snapshot.tasks}
    assert [i.value for i in tasks["asks"].interrupts] == ["a?"]
    assert tasks["fails"].error == "builtins.OSError: down"
    assert tasks["ends"].result == {"e": 1}
    assert snapshot.next == ("asks", "fails")
    assert snapshot.interrupts == tasks["asks"].interrupts
    assert snapshot.values == {"e": 1}
    assert len({t.id for t in snapshot.tasks}) == 3
    assert [t.path for t in snapshot.tasks] == [("pull", "asks"), ("pull", "fails"), ("pull", "ends")]


def test_an_earlier_snapshot_shows_what_was_to_run_then(graph, cfg, run, history):
    run(graph, Command(resume="x"), cfg)
    end, waited, *_ = history(graph, cfg)
    assert (end.next, end.tasks, end.interrupts) == ((), (), ())
    assert waited.next == ("ask",)
    assert [t.name for t in waited.tasks] == ["ask"]
    assert waited.interrupts == ()


def test_any_checkpoint_can_be_read_replayed_and_forked(graph, saver, cfg, run, history):
    run(graph, Command(resume="x"), cfg)
    listed = history(graph, cfg)
    for n, snapshot in enumerate(listed):
        assert graph.get_state(snapshot.config) == snapshot
        copy = {"configurable": {"thread_id": f"copy-{n}", "reviewer": "ada"}}
        saver.copy_thread("t-1", copy["configurable"]["thread_id"])
        at = next(s for s in history(graph, copy) if s.metadata == snapshot.metadata and s.created_at == snapshot.created_at)
        forked = graph.update_state(at.config, {"extra": n}, as_node="one")
        assert graph.get_state(forked).values == {**snapshot.values, "extra": n}
        assert run(graph, None, copy).interrupts[0].node == "ask"
        if snapshot.next:
            assert run(graph, None, at.config).interrupts[0].node == "ask"
    assert history(graph, cfg) == listed  # and none of it touched the thread


def test_the_history_of_an_unknown_thread_is_empty(graph, history):
    assert history(graph, {"configurable": {"thread_id": "nobody"}}, filter={"step": 0}, limit=3) == []
