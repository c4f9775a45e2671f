"""Delete, copy and prune whole threads: all of a thread or nothing of it, nothing of another, and what was decided stays on record."""

from __future__ import annotations

import asyncio
from operator import add
from typing import Annotated, TypedDict

import pytest

from hitl_nb.checkpoint.audit import log_entries
from hitl_nb.checkpoint.disk import DiskCacheSaver
from hitl_nb.checkpoint.rows import Rows
from hitl_nb.checkpoint.verifying import verify
from hitl_nb.errors import (
    AlreadyAnsweredError,
    HitlError,
    ThreadBusyError,
    ThreadExistsError,
    ThreadMovedError,
    UnknownInterruptError,
    UnknownThreadError,
)
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.node.once import once
from hitl_nb.graph.types import START, Command

LARGE = "x" * 300_000
"""Lies in a value file of its own on disk."""


class Log(TypedDict):
    log: Annotated[list, add]
    large: str
    n: int


def first(state):
    return {"log": ["first"], "large": LARGE, "n": 1}


def ask(state):
    return {"log": [interrupt({"n": state["n"]})]}


def last(state):
    return {"log": [interrupt("last?")], "large": LARGE + "!"}


@pytest.fixture
def graph(saver):
    builder = StateGraph(Log)
    for node in (first, ask, last):
        builder.add_node(node)
    return builder.add_edge(START, "first").add_edge("first", "ask").add_edge("ask", "last").compile(saver)


def config(thread_id, **more):
    return {"configurable": {"thread_id": thread_id, "reviewer": "ada", **more}}


@pytest.fixture
def done(graph):
    """Thread "t": two decisions, finished."""
    graph.invoke({"log": []}, config("t"))
    graph.invoke(Command(resume="yes"), config("t"))
    graph.invoke(Command(resume="sure"), config("t"))
    return config("t")


@pytest.fixture
def waiting(graph):
    """Thread "t": one decision, waits at its second question."""
    graph.invoke({"log": []}, config("t"))
    graph.invoke(Command(resume="yes"), config("t"))
    return config("t")


@pytest.fixture(params=["sync", "async"])
def call(request, saver):
    """`call(name, …)`: the method, or its twin for asyncio."""
    if request.param == "sync":
        return lambda name, *args, **more: getattr(saver, name)(*args, **more)
    return lambda name, *args, **more: asyncio.run(getattr(saver, f"a{name}")(*args, **more))


def keys(saver):
    """Every key of the store."""
    if isinstance(saver, DiskCacheSaver):
        return set(saver._cache().iterkeys())
    return set(saver._records)


def of(thread_id, saver):
    """The keys of records that are the thread's own, but for its decisions and head."""
    return {k for k in keys(saver) if k.endswith(f"/{thread_id}") and k[0] in "cvpk"}


def value_files(saver):
    return sorted(saver.folder.rglob("*.val")) if isinstance(saver, DiskCacheSaver) else []


def verify_log(saver):
    """The log of decisions is whole, and each record is what was logged. How many decisions there are in it."""
    assert verify(saver).problems == ()
    return sum(e.kind in ("decision", "expired") for e in log_entries(saver))


# -- delete -----------------------------------------------------------------------------------------------------------------------------


def test_a_deleted_thread_is_gone(graph, saver, waiting, call):
    graph.invoke({"log": []}, config("other"))
    others = of("other", saver)
    call("delete_thread", "t")
    assert graph.get_state(waiting).values == {}
    assert list(graph.get_state_history(waiting)) == []
    assert of("t", saver) == set()
    assert of("other", saver) == others
    assert [q.thread_id for q in saver.open_questions()] == ["other"]


def test_its_value_files_are_gone_too(graph, saver, done):
    graph.invoke({"log": []}, config("other"))
    before = len(value_files(saver))
    saver.delete_thread("t")
    assert (before, len(value_files(saver))) in {(0, 0), (3, 1)}
    assert not any(k.startswith("!gone/") for k in keys(saver))


def test_what_was_decided_stays_on_record(graph, saver, done):
    made = saver.decisions("t")
    saver.delete_thread("t")
    assert saver.decisions("t") == []
    assert saver.decisions("t", deleted=True) == made
    assert [saver.question(d.interrupt_id).payload for d in made] == [{"n": 1}, "last?"]
    assert verify_log(saver) == 2


def test_a_question_that_was_never_answered_goes_with_its_thread(graph, saver, waiting):
    (open_,) = graph.get_state(waiting).interrupts
    saver.delete_thread("t")
    assert saver.question(open_.id) is None
    with pytest.raises(UnknownThreadError):
        graph.invoke(Command(resume={open_.id: 1}), waiting)


def test_a_thread_of_the_same_name_is_a_new_one(graph, saver, done):
    old = saver.decisions("t")
    before = graph.get_state(done).config
    saver.delete_thread("t")
    result = graph.invoke({"log": []}, done)
    (question,) = result.interrupts
    assert result["log"] == ["first"]
    assert question.id != old[0].interrupt_id
    with pytest.raises(UnknownThreadError):
        graph.get_state(before)
    with pytest.raises(AlreadyAnsweredError):
        graph.invoke(Command(resume={old[0].interrupt_id: "no"}), done)
    graph.invoke(Command(resume="other"), done)
    assert [(d.number, d.answer) for d in saver.decisions("t")] == [(2, "other")]
    assert [d.number for d in saver.decisions("t", deleted=True)] == [0, 1, 2]
    assert verify_log(saver) == 3
    saver.delete_thread("t")
    assert graph.invoke({"log": []}, done)["log"] == ["first"]
    assert saver.decisions("t") == []


def test_a_new_thread_of_the_name_does_not_take_an_old_decision_for_its_own(graph, saver, waiting):
    saver.delete_thread("t")
    graph.invoke({"log": []}, waiting)
    at = graph.get_state(waiting).config
    graph.update_state(waiting, {"n": 2})
    with pytest.raises(HitlError) as caught:
        graph.invoke(Command(resume="late"), at)
    assert not isinstance(caught.value, AlreadyAnsweredError)


def test_a_thread_without_decisions_leaves_nothing_at_all(graph, saver):
    before = keys(saver) if not isinstance(saver, DiskCacheSaver) else {"!format"}
    graph.invoke({"log": []}, config("t"))
    saver.delete_thread("t")
    assert {k for k in keys(saver) if not k.startswith("g/")} == before


def test_deleting_twice_or_what_never_was_is_no_error(graph, saver, done, call):
    call("delete_thread", "t")
    call("delete_thread", "t")
    call("delete_thread", "nobody")
    call("prune", ["nobody"])


def test_a_thread_that_somebody_runs_is_not_touched(graph, saver, waiting):
    before = keys(saver)
    with saver.guard("t"):
        for change in (
            lambda: saver.delete_thread("t"),
            lambda: saver.prune(["t"]),
            lambda: saver.copy_thread("t", "u"),
            lambda: saver.copy_thread("u", "t"),
        ):
            with pytest.raises(ThreadBusyError):
                change()
    assert keys(saver) == before


def test_a_run_that_read_the_thread_before_it_was_deleted_writes_nothing(graph, saver, waiting):
    head = saver.head("t")
    saver.delete_thread("t")
    with pytest.raises(ThreadMovedError):
        saver.commit("t", head, events=[])
    assert of("t", saver) == set()


@pytest.mark.parametrize("thread_id", ["", "a\nb", "t\x1fx\x1f0", 5])
def test_only_names_of_threads_are_taken(saver, thread_id):
    for change in (saver.delete_thread, lambda t: saver.prune([t]), lambda t: saver.copy_thread(t, "u"), lambda t: saver.copy_thread("u", t)):
        with pytest.raises((ValueError, TypeError), match="thread_id"):
            change(thread_id)


# -- a process that dies ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["delete_thread", "prune", "copy_thread"])
def test_a_process_that_dies_inside_has_done_nothing(graph, saver, done, monkeypatch, what):
    """At each write of the transaction in turn."""
    arguments = {"delete_thread": ("t",), "prune": (["t"],), "copy_thread": ("t", "u")}[what]
    before, states, files = keys(saver), list(graph.get_state_history(done)), len(value_files(saver))

    class DeadError(BaseException):
        pass

    died = 0
    while True:
        left = died

        def dying(real):
            def write(*args):
                nonlocal left
                if left == 0:
                    raise DeadError
                left -= 1
                real(*args)

            return write

        with monkeypatch.context() as patched:
            for name in ("_put", "_delete", "_erase"):
                patched.setattr(saver, name, dying(getattr(saver, name)))
            try:
                getattr(saver, what)(*arguments)
            except DeadError:
                died += 1
            else:
                break
        assert keys(saver) == before
        assert len(value_files(saver)) == files
        assert list(graph.get_state_history(done)) == states
    assert died > 5


def test_value_files_that_a_dead_process_left_are_removed_at_the_next_opening(graph, saver, done, monkeypatch):
    if not isinstance(saver, DiskCacheSaver):
        pytest.skip("memory has no files")

    def dead(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Rows, "remove_gone", dead)
        with pytest.raises(KeyboardInterrupt):
            saver.delete_thread("t")
    assert len(value_files(saver)) == 2
    again = DiskCacheSaver(saver.folder)
    assert again.head("t") is None
    assert value_files(again) == []
    assert not any(k.startswith("!gone/") for k in keys(again))
    again.close()


# -- copy -----------------------------------------------------------------------------------------------------------------------------------


def test_a_copy_stands_where_the_original_stands(graph, saver, waiting, call):
    call("copy_thread", "t", "u")
    old, new = graph.get_state(waiting), graph.get_state(config("u"))
    assert (new.values, new.next, new.metadata, new.created_at) == (old.values, old.next, old.metadata, old.created_at)
    assert [(s.values, s.next, s.metadata) for s in graph.get_state_history(config("u"))] == [
        (s.values, s.next, s.metadata) for s in graph.get_state_history(waiting)
    ]


def test_the_copy_asks_under_ids_of_its_own_and_each_answer_counts_once(graph, saver, waiting):
    saver.copy_thread("t", "u")
    (old,), (new,) = graph.get_state(waiting).interrupts, graph.get_state(config("u")).interrupts
    assert (new.value, new.node) == (old.value, old.node)
    assert new.id != old.id
    assert {(q.thread_id, q.interrupt_id) for q in saver.open_questions()} == {("t", old.id), ("u", new.id)}
    with pytest.raises(UnknownInterruptError):
        graph.invoke(Command(resume={old.id: "x"}), config("u"))
    assert graph.invoke(Command(resume={old.id: "of t"}), waiting)["log"] == ["first", "yes", "of t"]
    assert graph.get_state(config("u")).interrupts == (new,)
    assert graph.invoke(Command(resume={new.id: "of u"}), config("u"))["log"] == ["first", "yes", "of u"]
    assert [(d.number, d.answer) for d in saver.decisions("u")] == [(0, "of u")]
    assert verify_log(saver) == 3


def test_running_the_copy_asks_the_same_question_and_no_second_one(graph, saver, waiting):
    saver.copy_thread("t", "u")
    asked = graph.get_state(config("u")).interrupts
    assert graph.invoke(None, config("u")).interrupts == list(asked) or tuple(graph.invoke(None, config("u")).interrupts) == asked
    assert len(saver.open_questions()) == 2


def test_the_original_is_as_it_was(graph, saver, waiting):
    before = list(graph.get_state_history(waiting))
    saver.copy_thread("t", "u")
    graph.invoke(Command(resume="x"), config("u"))
    assert list(graph.get_state_history(waiting)) == before
    saver.delete_thread("u")
    assert list(graph.get_state_history(waiting)) == before
    assert graph.invoke(Command(resume="y"), waiting)["log"] == ["first", "yes", "y"]


def test_the_copy_outlives_the_original(graph, saver, waiting):
    saver.copy_thread("t", "u")
    saver.delete_thread("t")
    assert graph.get_state(config("u")).values["large"] == LARGE
    assert graph.invoke(Command(resume="u"), config("u"))["log"] == ["first", "yes", "u"]


def test_an_answer_that_its_node_has_not_used_up_does_not_count_for_the_copy(saver):
    """One approval, one payment: the copy asks again."""
    broken, paid = [True], []

    def pay(state):
        approved = interrupt("pay?")
        if broken[0]:
            raise ConnectionError("bank")
        paid.append(approved)

    graph = StateGraph().add_node(pay).add_edge(START, "pay").compile(saver)
    graph.invoke({}, config("t"))
    with pytest.raises(ConnectionError):
        graph.invoke(Command(resume=True), config("t"))
    saver.copy_thread("t", "u")
    broken[0] = False
    assert graph.invoke(None, config("u")).is_interrupted
    assert paid == []
    graph.invoke(None, config("t"))
    assert paid == [True]


def test_results_of_finished_tasks_count_in_the_copy(saver):
    runs = []

    def left(state):
        runs.append("left")
        return {"l": 1}

    def right(state):
        return {"r": interrupt("r?")}

    builder = StateGraph().add_node(left).add_node(right).add_edge(START, "left").add_edge(START, "right")
    graph = builder.compile(saver)
    graph.invoke({}, config("t"))
    saver.copy_thread("t", "u")
    assert graph.invoke(Command(resume="R"), config("u")) == {"l": 1, "r": "R"}
    assert runs == ["left"]


def test_a_static_pause_is_copied_with_its_question(saver):
    graph = StateGraph().add_node("go", lambda s: {"went": True}).add_edge(START, "go").compile(saver, interrupt_before=["go"])
    graph.invoke({}, config("t"))
    saver.copy_thread("t", "u")
    (asked,) = graph.get_state(config("u")).interrupts
    assert asked.value == {"node": "go", "when": "before"}
    assert graph.invoke(None, config("u")) == {"went": True}
    assert graph.get_state(config("t")).next == ("go",)


def test_the_copy_can_go_back_and_be_updated(graph, saver, waiting):
    saver.copy_thread("t", "u")
    start = list(graph.get_state_history(config("u")))[-1]
    assert graph.invoke(None, start.config).interrupts[0].value == {"n": 1}
    graph.update_state(config("u"), {"n": 5}, as_node="first")
    assert graph.invoke(None, config("u")).interrupts[0].value == {"n": 5}
    assert [q.thread_id for q in saver.open_questions()] == ["t", "u"]


def test_nothing_is_copied_over_a_thread_or_from_none(graph, saver, waiting):
    before = keys(saver)
    with pytest.raises(ThreadExistsError, match="'t' already"):
        saver.copy_thread("t", "t")
    with pytest.raises(UnknownThreadError, match="nobody"):
        saver.copy_thread("nobody", "u")
    saver.copy_thread("t", "u")
    with pytest.raises(ThreadExistsError, match="delete_thread"):
        saver.copy_thread("t", "u")
    assert before < keys(saver)


def test_a_copy_to_the_name_of_a_deleted_thread_numbers_its_decisions_on(graph, saver, waiting):
    graph.invoke({"log": []}, config("u"))
    graph.invoke(Command(resume="old"), config("u"))
    saver.delete_thread("u")
    saver.copy_thread("t", "u")
    assert saver.decisions("u") == []
    graph.invoke(Command(resume="new"), config("u"))
    assert [(d.number, d.answer) for d in saver.decisions("u")] == [(1, "new")]
    assert verify_log(saver) == 3


# -- prune ----------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["prune", "delete_thread"])
def test_a_history_ends_where_its_thread_was_pruned_or_deleted_while_it_is_read(graph, saver, waiting, change):
    history = saver.history("t")
    next(history)
    saver.prune(["t"]) if change == "prune" else saver.delete_thread("t")
    assert list(history) == []


def test_a_pruned_thread_begins_where_it_stands(graph, saver, waiting, call):
    before = graph.get_state(waiting)
    call("prune", ["t"])
    (only,) = graph.get_state_history(waiting)
    assert only.parent_config is None
    assert (only.values, only.config, only.interrupts, only.tasks) == (before.values, before.config, before.interrupts, before.tasks)
    assert graph.invoke(Command(resume="sure"), waiting)["log"] == ["first", "yes", "sure"]
    assert [s.next for s in graph.get_state_history(waiting)] == [(), ("last",)]
    assert [d.answer for d in saver.decisions("t")] == ["yes", "sure"]
    assert verify_log(saver) == 2


def test_large_values_stay_while_the_thread_refers_to_them(graph, saver, waiting):
    assert len([k for k in of("t", saver) if k.startswith("v/")]) == 1
    saver.prune(["t"])
    assert graph.get_state(waiting).values["large"] == LARGE
    graph.invoke(Command(resume="sure"), waiting)
    saver.prune(["t"])
    assert graph.get_state(waiting).values["large"] == LARGE + "!"
    assert len([k for k in of("t", saver) if k.startswith("v/")]) == 1
    assert len(value_files(saver)) in (0, 1)
    saver.delete_thread("t")
    assert of("t", saver) == set()


def test_pruning_frees_the_old_checkpoints_and_the_questions_nobody_answered(graph, saver, waiting):
    earlier = next(s for s in graph.get_state_history(waiting) if s.next == ("ask",))
    graph.invoke(None, earlier.config)  # withdraws "last?"
    assert len([k for k in keys(saver) if k.startswith("q/")]) == 3
    saver.prune(["t"])
    assert len([k for k in of("t", saver) if k.startswith("c/")]) == 1
    assert len([k for k in keys(saver) if k.startswith("q/")]) == 2  # the one that was decided, and the open one


def test_pruning_twice_and_on_a_thread_of_one_checkpoint_changes_nothing(graph, saver, waiting):
    saver.prune(["t"])
    before = keys(saver)
    saver.prune(["t"])
    assert keys(saver) == before


def test_going_back_behind_the_pruned_part_says_so(graph, saver, waiting):
    old = list(graph.get_state_history(waiting))[-1].config
    (made,) = saver.decisions("t")
    saver.prune(["t"])
    for use in (
        lambda: graph.get_state(old),
        lambda: graph.update_state(old, {"n": 1}),
        lambda: graph.invoke(None, old),
    ):
        with pytest.raises(UnknownThreadError, match="pruned"):
            use()
    with pytest.raises(UnknownInterruptError, match="pruned"):
        graph.reopen(waiting, made.interrupt_id)
    assert graph.get_state(waiting).next == ("last",)


def test_an_answer_to_the_question_of_this_superstep_can_still_be_reopened(graph, saver):
    class OutError(Exception):
        pass

    broken = [True]

    def node(state):
        answer = interrupt("go?")
        if broken[0]:
            raise OutError
        return {"log": [answer]}

    graph = StateGraph(Log).add_node(first).add_node(node).add_edge(START, "first").add_edge("first", "node").compile(saver)
    graph.invoke({"log": []}, config("t"))
    with pytest.raises(OutError):
        graph.invoke(Command(resume="bad"), config("t"))
    saver.prune(["t"])
    (made,) = saver.decisions("t")
    graph.reopen(config("t"), made.interrupt_id)
    broken[0] = False
    assert graph.invoke(None, config("t")).is_interrupted
    assert graph.invoke(Command(resume="good"), config("t"))["log"] == ["first", "good"]


def test_pruning_with_delete_deletes(graph, saver, waiting):
    graph.invoke({"log": []}, config("other"))
    saver.prune(["t", "other"], strategy="delete")
    assert saver.head("t") is None
    assert saver.head("other") is None


def test_prune_says_what_it_takes(saver):
    with pytest.raises(ValueError, match="keep_latest"):
        saver.prune(["t"], strategy="keep_some")
    with pytest.raises(TypeError, match="list of thread ids"):
        saver.prune("t")


# -- while somebody reads -----------------------------------------------------------------------------------------------------------------


def test_a_reader_meets_a_thread_before_or_after_it_was_pruned_and_nothing_in_between(graph, saver, waiting, monkeypatch):
    whole = graph.get_state(waiting)
    read, todo = saver.checkpoint, [lambda: saver.prune(["t"])]

    def checkpoint(thread_id, seq):
        found = read(thread_id, seq)
        while todo:
            todo.pop()()
        return found

    monkeypatch.setattr(saver, "checkpoint", checkpoint)
    assert graph.get_state(waiting).values == whole.values


def test_a_reader_of_a_thread_that_is_deleted_meanwhile_finds_none(graph, saver, waiting, monkeypatch):
    read, todo = saver.checkpoint, [lambda: saver.delete_thread("t")]

    def checkpoint(thread_id, seq):
        while todo:
            todo.pop()()
        return read(thread_id, seq)

    monkeypatch.setattr(saver, "checkpoint", checkpoint)
    assert graph.get_state(waiting).values == {}


# -- graphs inside nodes, and `once` ------------------------------------------------------------------------------------------------------


class Memory(TypedDict, total=False):
    log: Annotated[list, add]
    times: Annotated[int, add]


@pytest.fixture
def ran():
    return []


@pytest.fixture
def nested(saver, ran):
    """before → outer(before_inside → deep(asks) → after_inside) → after. Each level keeps something with `once`."""

    def effect(name):
        def node(state):
            once(name, lambda: ran.append(name))
            return {"log": [name]}

        node.__name__ = name
        return node

    def asks(state):
        once("asks", lambda: ran.append("asks"))
        return {"log": [interrupt("deep?")]}

    deep = StateGraph(Log).add_node(asks).add_edge(START, "asks").compile()
    inner = StateGraph(Log).add_sequence([effect("before_inside"), ("deep", deep), effect("after_inside")])
    inner = inner.add_edge(START, "before_inside").compile()
    builder = StateGraph(Log).add_sequence([effect("before"), ("outer", inner), effect("after")]).add_edge(START, "before")
    return builder.compile(saver)


def inside(thread_id, saver):
    """The keys of what is stored for graphs inside the thread's nodes."""
    return {k for k in keys(saver) if f"/{thread_id}\x1f" in k}


def test_deleting_takes_along_the_graphs_inside_and_what_once_kept(nested, saver):
    nested.invoke({"log": []}, config("t"))
    nested.invoke({"log": []}, config("u"))
    others = inside("u", saver)
    assert len([k for k in keys(saver) if k.startswith("h/t\x1f")]) == 2
    assert len([k for k in keys(saver) if k.startswith("k/")]) == 6
    saver.delete_thread("t")
    assert inside("t", saver) == set()
    assert inside("u", saver) == others
    assert len([k for k in keys(saver) if k.startswith("k/")]) == 3
    assert nested.invoke(Command(resume="U"), config("u"))["log"][-2:] == ["after_inside", "after"]
    saver.delete_thread("u")
    assert not any("\x1f" in k or k.startswith("k/") for k in keys(saver))


def test_a_copy_goes_on_inside_where_the_original_stands(nested, saver, ran):
    nested.invoke({"log": []}, config("t"))
    saver.copy_thread("t", "u")
    (old,), (new,) = nested.get_state(config("t")).interrupts, nested.get_state(config("u")).interrupts
    assert (new.value, new.node, new.path) == (old.value, old.node, old.path)
    assert new.id != old.id
    with pytest.raises(UnknownInterruptError):
        nested.invoke(Command(resume={old.id: "x"}), config("u"))
    of_u = nested.invoke(Command(resume={new.id: "U"}), config("u"))
    of_t = nested.invoke(Command(resume={old.id: "T"}), config("t"))
    assert ["T" if x == "U" else x for x in of_u["log"]] == of_t["log"]
    # what had run before the copy ran once, what came after it once for each
    assert sorted(ran) == ["after", "after", "after_inside", "after_inside", "asks", "before", "before_inside"]
    assert saver.open_questions() == []


def test_a_copy_of_a_copy_stands_alone(nested, saver):
    nested.invoke({"log": []}, config("t"))
    saver.copy_thread("t", "u")
    saver.copy_thread("u", "v")
    saver.delete_thread("t")
    saver.delete_thread("u")
    (question,) = nested.get_state(config("v")).interrupts
    assert nested.invoke(Command(resume={question.id: "V"}), config("v"))["log"].count("V") >= 1
    saver.delete_thread("v")
    assert not any("\x1f" in k for k in keys(saver))


def test_a_graph_inside_begins_anew_in_the_copy_when_its_node_asks_again(saver):
    """The node's own answer does not count for the copy, and what it gave to the graph inside came of it."""
    seen = []

    def work(state):
        seen.append(state["log"])
        return {"log": [interrupt("inner?")]}

    inner = StateGraph(Log).add_node(work).add_edge(START, "work").compile()

    def node(state):
        first = interrupt("first?")
        return {"log": inner.invoke({"log": [first]})["log"]}

    graph = StateGraph(Log).add_node(node).add_edge(START, "node").compile(saver)
    graph.invoke({"log": []}, config("t"))
    graph.invoke(Command(resume="A"), config("t"))
    saver.copy_thread("t", "u")
    assert graph.get_state(config("u")).interrupts == ()
    assert [i.value for i in graph.invoke(None, config("u")).interrupts] == ["first?"]
    assert [i.value for i in graph.invoke(Command(resume="B"), config("u")).interrupts] == ["inner?"]
    assert graph.invoke(Command(resume="C"), config("u"))["log"] == ["B", "C"]
    assert seen[-1] == ["B"]
    assert graph.invoke(Command(resume="D"), config("t"))["log"] == ["A", "D"]


def test_the_graph_inside_a_finished_task_is_copied_too(saver):
    inner = StateGraph(Log).add_node("work", lambda state: {"n": 7}).add_edge(START, "work").compile()

    def quick(state):
        return {"log": [interrupt("quick?"), inner.invoke({})["n"]]}

    def slow(state):
        return {"log": [interrupt("slow?")]}

    graph = StateGraph(Log).add_node(quick).add_node(slow).add_edge(START, "quick").add_edge(START, "slow").compile(saver)
    (of_quick, _) = graph.invoke({"log": []}, config("t")).interrupts
    graph.invoke(Command(resume={of_quick.id: "Q"}), config("t"))
    saver.copy_thread("t", "u")
    (task, _) = graph.get_state(config("u"), subgraphs=True).tasks
    assert task.result == {"log": ["Q", 7]}
    assert task.state.values == {"log": [], "n": 7}
    assert graph.invoke(Command(resume="S"), config("u"))["log"] == ["Q", 7, "S"]


def test_pruning_goes_into_the_graphs_inside_that_are_not_finished(nested, saver):
    nested.invoke({"log": []}, config("t"))
    before = nested.get_state(config("t"))
    saver.prune(["t"])
    assert len([k for k in inside("t", saver) if k.startswith("c/")]) == 2
    assert len([k for k in keys(saver) if k.startswith("k/")]) == 1  # of the task that waits
    assert nested.get_state(config("t")).interrupts == before.interrupts
    result = nested.invoke(Command(resume="T"), config("t"))
    assert result["log"][-2:] == ["after_inside", "after"]
    saver.prune(["t"])
    assert inside("t", saver) == set()


@pytest.fixture
def remembering(saver):
    """A graph inside a node that remembers how often it ran; then a node that waits."""

    def counts(state):
        return {"times": 1}

    inner = StateGraph(Memory).add_node(counts).add_edge(START, "counts").compile(checkpointer=True)

    def node(state):
        return {"log": [inner.invoke({})["times"]]}

    def wait(state):
        return {"log": [interrupt("again?")]}

    builder = StateGraph(Log).add_node("node", node).add_node(wait).add_edge(START, "node").add_edge("node", "wait")
    return builder.add_conditional_edges("wait", lambda s: "node" if s["log"][-1] == "again" else "__end__").compile(saver)


def test_a_memory_is_copied_and_each_remembers_by_itself(remembering, saver):
    remembering.invoke({"log": []}, config("t"))
    saver.copy_thread("t", "u")
    remembering.invoke(Command(resume="again"), config("u"))
    remembering.invoke(Command(resume="again"), config("u"))
    assert remembering.get_state(config("u")).values["log"] == [1, "again", 2, "again", 3]
    remembering.invoke(Command(resume="again"), config("t"))
    assert remembering.get_state(config("t")).values["log"] == [1, "again", 2]


def test_a_memory_outlives_pruning_and_goes_with_its_thread(remembering, saver):
    remembering.invoke({"log": []}, config("t"))
    saver.prune(["t"])
    saver.prune(["t"])
    remembering.invoke(Command(resume="again"), config("t"))
    assert remembering.get_state(config("t")).values["log"] == [1, "again", 2]
    saver.prune(["t"])
    saver.copy_thread("t", "u")
    remembering.invoke(Command(resume="again"), config("u"))
    assert remembering.get_state(config("u")).values["log"] == [1, "again", 2, "again", 3]
    for thread_id in ("t", "u"):
        saver.delete_thread(thread_id)
        assert inside(thread_id, saver) == set()


def test_no_graph_of_a_node_that_runs_several_kinds_of_them_is_left_behind(saver):
    """One that keeps nothing, one that remembers and one that begins anew, called one after the other."""

    def one(state):
        return {"times": 1}

    def graph(checkpointer):
        return StateGraph(Memory).add_node(one).add_edge(START, "one").compile(checkpointer=checkpointer)

    kinds = [graph(False), graph(True), graph(None)]

    def node(state):
        for kind in kinds:
            kind.invoke({})
        return {"log": [interrupt("?")]}

    around = StateGraph(Log).add_node(node).add_edge(START, "node").compile(saver)
    around.invoke({"log": []}, config("t"))
    assert len([k for k in keys(saver) if k.startswith("h/t\x1f")]) == 2
    saver.copy_thread("t", "u")
    assert len([k for k in keys(saver) if k.startswith("h/u\x1f")]) == 2
    saver.delete_thread("t")
    saver.delete_thread("u")
    assert not any("\x1f" in k for k in keys(saver))
