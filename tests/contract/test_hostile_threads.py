"""Threads under hostile names, configs, clocks and stores, and with thousands of tasks: clear errors, nothing lost, and they can be finished."""

from __future__ import annotations

import asyncio
import math
import operator
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypedDict

import pytest

from hitl_nb.checkpoint.disk import DiskCacheSaver
from hitl_nb.checkpoint.memory import MemorySaver
from hitl_nb.errors import CorruptStoreError, DeadlinePassedError, HitlError, StoreError, UnknownThreadError
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.types import END, START, Command, Send


@pytest.fixture(params=["memory", "disk"])
def saver(request, tmp_path):
    made = MemorySaver() if request.param == "memory" else DiskCacheSaver(tmp_path / "store")
    yield made
    made.close()


class NoText:
    def __repr__(self):
        raise RuntimeError("no repr")

    __str__ = __repr__


class Name(str):
    __slots__ = ()


def ask(state):
    return {"got": interrupt("Well?")}


def named(thread_id: Any, **more: Any) -> dict[str, Any]:
    return {"configurable": {"thread_id": thread_id, **more}}


# -- configs ---------------------------------------------------------------------------------------------------------------------------

ODD_CONFIGS: dict[str, Any] = {
    "a number": 3,
    "a list": [],
    "a text": "t-1",
    "nothing inside": {},
    "None inside": {"configurable": None},
    "a list inside": {"configurable": [("thread_id", "t-1")]},
    "a text inside": {"configurable": "thread_id"},
    "no thread": {"configurable": {"other": NoText()}},
    "a number as thread": named(3),
    "None as thread": named(None),
    "bytes as thread": named(b"t"),
    "no text as thread": named(NoText()),
    "an empty thread": named(""),
    "a thread of 100,000 letters": named("x" * 100_000),
    "a nul in the thread": named("a\0"),
    "half a surrogate pair": named("\ud800"),
    "a number as checkpoint": named("t-1", checkpoint_id=3),
    "no text as checkpoint": named("t-1", checkpoint_id=NoText()),
    "a checkpoint that is none": named("t-1", checkpoint_id="none"),
    "a checkpoint with a raised two": named("t-1", checkpoint_id="abc-\u00b2"),
    "a checkpoint of 5000 digits": named("t-1", checkpoint_id="abc-" + "9" * 5000),
    "a checkpoint of another thread": named("t-1", checkpoint_id="abc-0000000000"),
    "a number as place": named("t-1", checkpoint_ns=3),
    "a place that is none": named("t-1", checkpoint_ns="a:b|c" * 1000),
}
CALLS: dict[str, Any] = {
    "invoke": lambda g, c: g.invoke(None, c),
    "ainvoke": lambda g, c: asyncio.run(g.ainvoke(None, c)),
    "answer": lambda g, c: g.invoke(Command(resume="no"), c),
    "input": lambda g, c: g.invoke({"x": 2}, c),
    "stream": lambda g, c: list(g.stream(None, c)),
    "advance": lambda g, c: g.advance(c),
    "get_state": lambda g, c: g.get_state(c),
    "history": lambda g, c: list(g.get_state_history(c)),
    "update_state": lambda g, c: g.update_state(c, {"x": 2}),
    "bulk_update_state": lambda g, c: g.bulk_update_state(c, [[({"x": 2}, "ask")]]),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_config_of_the_wrong_shape_says_what_is_expected_and_touches_no_thread(chain, saver, cfg, call):
    graph = chain(saver, ask)
    graph.invoke({"x": 1}, cfg)
    before = graph.get_state(cfg)
    for name, config in ODD_CONFIGS.items():
        with pytest.raises((HitlError, TypeError, ValueError)) as refused:
            CALLS[call](graph, config)
        text = str(refused.value)
        assert "expected" in text or isinstance(refused.value, HitlError), (name, text)
        assert len(text) < 1500, name
    assert graph.get_state(cfg) == before
    assert [q.thread_id for q in saver.open_questions()] == ["t-1"]
    assert graph.invoke(Command(resume="yes"), cfg)["got"] == "yes"


ODD_OPTIONS: dict[str, Any] = {
    "recursion_limit": ["5", -1, 0, None, 1.5, math.nan],
    "max_concurrency": ["x", -3, 0, 1.5, NoText()],
}


@pytest.mark.parametrize("option", ODD_OPTIONS)
def test_options_that_make_no_sense_are_refused_before_anything_runs(chain, saver, run, cfg, option):
    graph = chain(saver, ask)
    for value in ODD_OPTIONS[option]:
        with pytest.raises(ValueError, match=f"{option} is .*expected a whole number"):
            run(graph, {"x": 1}, {**cfg, option: value})
    assert not graph.get_state(cfg).values
    assert run(graph, {"x": 1}, {**cfg, option: 10**9}).is_interrupted


ODD_CALLS: dict[str, Any] = {
    "no stream mode": lambda g, c: list(g.stream(None, c, stream_mode=None)),
    "a number as stream mode": lambda g, c: list(g.stream(None, c, stream_mode=3)),
    "no text as stream mode": lambda g, c: list(g.stream(None, c, stream_mode=[NoText()])),
    "no text as durability": lambda g, c: g.invoke(None, c, durability=NoText()),
    "less than nothing of the history": lambda g, c: list(g.get_state_history(c, limit=-1)),
    "some of the history": lambda g, c: list(g.get_state_history(c, limit="some")),
    "a filter that is none": lambda g, c: list(g.get_state_history(c, filter=3)),
    "a filter of nothing known": lambda g, c: list(g.get_state_history(c, filter={3: 1})),
    "a history before a number": lambda g, c: list(g.get_state_history(c, before=3)),
    "an update that is a number": lambda g, c: g.update_state(c, 3),
    "an update that is no text": lambda g, c: g.update_state(c, NoText()),
    "an update of False": lambda g, c: g.update_state(c, False),
    "an update of a number's key": lambda g, c: g.update_state(c, {1: 2}),
    "an update of the marker": lambda g, c: g.update_state(c, {"__interrupt__": []}),
    "an update as a list": lambda g, c: g.update_state(c, {}, as_node=[]),
    "an update as no text": lambda g, c: g.update_state(c, {}, as_node=NoText()),
    "time as a number": lambda g, c: g.expire(c, now=3),
    "an update that cannot be stored": lambda g, c: g.update_state(c, {"x": print}),
    "an input of the marker": lambda g, c: g.invoke({"__interrupt__": []}, named("t-2")),
    "an input of half a pair": lambda g, c: g.invoke({"\ud800": 1}, named("t-2")),
    "an input that is no text": lambda g, c: g.invoke(NoText(), named("t-2")),
    "a reviewer of half a pair": lambda g, c: g.invoke(Command(resume="yes"), named("t-1", reviewer="\ud800")),
    "a reviewer that is no text": lambda g, c: g.invoke(Command(resume="yes"), named("t-1", reviewer=NoText())),
    "an odd way of answering": lambda g, c: g.invoke(Command(resume="yes"), named("t-1", how=NoText())),
}


@pytest.mark.parametrize("case", ODD_CALLS)
def test_arguments_of_odd_kinds_are_refused_and_change_nothing(chain, saver, cfg, case):
    graph = chain(saver, ask)
    graph.invoke({"x": 1}, cfg)
    before = graph.get_state(cfg)
    with pytest.raises((TypeError, ValueError)) as refused:
        ODD_CALLS[case](graph, cfg)
    assert any(word in str(refused.value) for word in ("expected", "known:", "str", "result.state", "rename", "cannot be stored", "has"))
    assert graph.get_state(cfg) == before
    assert graph.get_state(named("t-2")).values == {}
    assert graph.invoke(Command(resume="yes"), cfg).state == {"x": 1, "got": "yes"}


ODD_NAMES = ["  ", "../../etc/passwd", "😀" * 512, "a\x7f\x85\u2028b", "\u202eback", "a/b\\c:*?", "h/t-1", "!o/x", "%s{}", "CON", Name("t")]


@pytest.mark.parametrize("thread_id", ODD_NAMES)
def test_a_thread_may_be_called_almost_anything(chain, saver, run, thread_id):
    graph, config = chain(saver, ask), named(thread_id)
    run(graph, {"x": 1}, config)
    assert [q.thread_id for q in saver.open_questions()] == [thread_id]
    assert run(graph, Command(resume="yes"), config)["got"] == "yes"
    assert not graph.get_state(named("t")).values or thread_id == "t"


# -- clocks ----------------------------------------------------------------------------------------------------------------------------


def test_a_clock_that_jumps_loses_nothing_and_approves_nothing(chain, saver, run, cfg, only):
    clock = [datetime(2026, 5, 1, 12, tzinfo=UTC)]

    def pay(state):
        return {"paid": interrupt("Pay?", deadline=timedelta(hours=1))}

    graph = chain(saver, pay, ask, now=lambda: clock[0])
    first = only(run(graph, {"x": 1}, cfg))
    clock[0] -= timedelta(days=400)
    assert only(run(graph, None, cfg)) == first
    assert graph.expire(cfg) == []
    clock[0] += timedelta(days=765)  # a year later than it was asked
    with pytest.raises(DeadlinePassedError):
        run(graph, Command(resume=True), cfg)
    assert [e.outcome for e in graph.expire(cfg)] == ["overdue"]
    assert only(run(graph, None, cfg)) == first
    clock[0] = first.deadline
    assert only(run(graph, Command(resume=True), cfg)).node == "ask"
    clock[0] -= timedelta(days=9999)
    assert run(graph, Command(resume="yes"), cfg).state == {"x": 1, "paid": True, "got": "yes"}
    history = list(graph.get_state_history(cfg))
    assert [s.metadata["step"] for s in history] == [1, 0, -1]
    assert history[0].created_at < history[-1].created_at  # as the clock said


# -- thousands -------------------------------------------------------------------------------------------------------------------------


class Out(TypedDict):
    out: Annotated[list[Any], operator.add]


def test_5000_sends_of_which_1000_ask_end_in_order(saver, run, cfg):
    def work(n):
        return {"out": [interrupt({"n": n}) if n % 5 == 0 else n]}

    builder = StateGraph(Out).add_node("work", work).add_edge("work", END)
    graph = builder.add_conditional_edges(START, lambda state: [Send("work", n) for n in range(5000)]).compile(saver)
    asked = run(graph, {"out": []}, cfg).interrupts
    assert [i.value["n"] for i in asked] == list(range(0, 5000, 5))
    assert run(graph, Command(resume={i.id: i.value["n"] for i in asked}), cfg)["out"] == list(range(5000))
    assert len(saver.decisions("t-1")) == 1000


# -- stores ----------------------------------------------------------------------------------------------------------------------------


@contextmanager
def full_disk() -> Iterator[None]:
    """No file can grow beyond 4 KiB, as on a full disk."""
    resource = pytest.importorskip("resource")
    handler, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


@contextmanager
def moved_away(folder: Any) -> Iterator[None]:
    away = folder.with_name("away")
    shutil.move(folder, away)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.move(away, folder)


@contextmanager
def read_only(folder: Any) -> Iterator[None]:
    files = [folder, *folder.rglob("*")]
    modes = {f: f.stat().st_mode for f in files}
    for file in files:
        file.chmod(0o555 if file.is_dir() else 0o444)
    try:
        yield
    finally:
        for file, mode in modes.items():
            file.chmod(mode)


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
@pytest.mark.parametrize("trouble", ["full", "gone", "read-only"])
def test_a_store_that_fails_in_the_middle_of_a_run_loses_nothing_that_was_stored(ordinary_folder, cfg, trouble, durability):
    folder = ordinary_folder / "store"
    saver = DiskCacheSaver(folder)
    troubles: list[Any] = [{"full": full_disk, "gone": lambda: moved_away(folder), "read-only": lambda: read_only(folder)}[trouble]()]
    entered: list[Any] = []
    ran: list[str] = []

    def before(state):
        ran.append("before")
        return {"a": interrupt("Before?")}

    def during(state):
        if troubles:
            entered.append(troubles.pop())
            entered[0].__enter__()
        return {"b": "x" * 300_000}

    builder = StateGraph().add_sequence([before, during, ask]).add_edge(START, "before")
    graph = builder.compile(saver)
    graph.invoke({"x": 1}, cfg)
    with pytest.raises(StoreError) as failed:
        graph.invoke(Command(resume="yes"), cfg, durability=durability)
    entered[0].__exit__(None, None, None)
    assert str(folder) in str(failed.value)
    if trouble == "gone":  # told once, as another folder may have stood there meanwhile
        with suppress(StoreError):
            graph.get_state(cfg)
    assert [d.answer for d in saver.decisions("t-1")] == ["yes"]
    assert graph.invoke(None, cfg).next == ("ask",)
    done = graph.invoke(Command(resume="done"), cfg)
    assert done.state == {"x": 1, "a": "yes", "b": "x" * 300_000, "got": "done"}
    assert len(ran) == 2 or (len(ran) == 3 and durability != "sync")  # other than "sync", its superstep was not stored yet
    saver.close()


def test_an_answer_that_a_full_disk_cannot_take_is_not_taken_and_can_be_given_again(tmp_path, chain, run, cfg, only):
    saver = DiskCacheSaver(tmp_path / "store")
    graph = chain(saver, ask)
    asked = only(graph.invoke({"x": 1}, cfg))
    with full_disk(), pytest.raises(StoreError, match="cannot"):
        run(graph, Command(resume="yes"), cfg)
    assert only(graph.get_state(cfg)) == asked
    assert saver.decisions("t-1") == []
    assert run(graph, Command(resume="yes"), cfg)["got"] == "yes"
    saver.close()


def test_parallel_results_that_are_stored_do_not_run_again_because_the_store_failed_afterwards(tmp_path, fan, cfg):
    saver = DiskCacheSaver(tmp_path / "store")
    ran: list[str] = []

    def left(state):
        ran.append("left")
        return {"left": 1}

    def right(state):
        ran.append("right")
        return {"right": interrupt("Right?")}

    graph = fan(saver, left, right)
    graph.invoke({"x": 1}, cfg)
    commit = saver.commit

    def broken(thread_id, expect, **more):
        if more.get("checkpoint") is not None:
            raise StoreError("the disk is full")
        return commit(thread_id, expect, **more)

    saver.commit = broken  # type: ignore[method-assign]
    with pytest.raises(StoreError, match="full"):
        graph.invoke(Command(resume="yes"), cfg)
    saver.commit = commit  # type: ignore[method-assign]
    assert graph.invoke(None, cfg).state == {"x": 1, "left": 1, "right": "yes"}
    assert ran.count("left") == 1
    saver.close()


def test_a_store_whose_database_is_gone_says_so_and_goes_on_when_it_is_back(tmp_path, chain, cfg):
    saver = DiskCacheSaver(tmp_path / "store")
    graph = chain(saver, ask)
    graph.invoke({"x": 1, "large": "x" * 300_000}, cfg)
    saver.close()
    (saver.folder / "cache.db").rename(tmp_path / "cache.db")
    with pytest.raises(CorruptStoreError, match=r"its database cache\.db is gone"):
        graph.invoke(Command(resume="yes"), cfg)
    (tmp_path / "cache.db").rename(saver.folder / "cache.db")
    assert graph.invoke(Command(resume="yes"), cfg)["got"] == "yes"
    saver.close()


def test_a_thread_of_a_store_that_was_emptied_is_unknown_and_can_be_begun_again(tmp_path, chain, cfg):
    saver = DiskCacheSaver(tmp_path / "store")
    graph = chain(saver, ask)
    graph.invoke({"x": 1}, cfg)
    saver.close()
    shutil.rmtree(saver.folder)
    with pytest.raises(UnknownThreadError, match="holds no thread 't-1'"):
        graph.invoke(Command(resume="yes"), cfg)
    graph.invoke({"x": 1}, cfg)
    assert graph.invoke(Command(resume="yes"), cfg)["got"] == "yes"
    saver.close()
