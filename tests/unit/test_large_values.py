"""A value in a file of its own is hashed once, while it is written; whether it changed is seen from a few of its bytes, or else from its digest."""

from hashlib import blake2b
from typing import Any, TypedDict

import numpy as np
import pytest

from hitl_nb import END, START, DiskCacheSaver, MemorySaver, StateGraph
from hitl_nb.checkpoint import value_files
from hitl_nb.checkpoint.keys import value_key
from hitl_nb.checkpoint.sealing import digest_of, seal, unseal
from hitl_nb.errors import CorruptStoreError

CONFIG: Any = {"configurable": {"thread_id": "t"}}
SIZE = 1 << 18
"""Of 8 bytes each: enough for a file that is hashed by a second Python thread."""


class State(TypedDict):
    n: int
    array: Any


def run(saver, node, steps=3, **options):
    """A loop of the node, begun with zeros; the thread's checkpoints, the oldest first."""
    graph = StateGraph(State).add_node("step", lambda state: {"n": state["n"] + 1, **node(state)}).add_edge(START, "step")
    graph = graph.add_conditional_edges("step", lambda state: "step" if state["n"] < steps else END).compile(checkpointer=saver)
    graph.invoke({"n": 0, "array": np.zeros(SIZE)}, CONFIG, **options)
    return sorted(saver.history("t"), key=lambda c: c.seq)


@pytest.fixture(params=["memory", "normal", "full"])
def saver(request, tmp_path):
    return MemorySaver() if request.param == "memory" else DiskCacheSaver(tmp_path / "store", durability=request.param)


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_each_checkpoint_has_the_digest_of_what_was_written(saver, durability):
    for checkpoint in run(saver, lambda state: {"array": state["array"] + 1}, durability=durability):
        ref = checkpoint.versions["array"]
        record = saver._read(value_key("t", ref))
        assert (ref.seq, ref.length, ref.digest) == (checkpoint.seq, len(record), blake2b(record, digest_size=16).digest())
        assert saver.values("t", checkpoint)["array"][7] == checkpoint.seq


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_a_large_value_that_is_returned_as_it_was_is_not_written_again(saver, durability):
    checkpoints = run(saver, lambda state: {"array": state["array"].copy()}, durability=durability)
    assert {c.versions["array"].seq for c in checkpoints} == {0}


def test_a_change_of_one_number_that_no_sample_shows_is_written(saver):
    def one(state):
        array = state["array"].copy()
        array[5000] = state["n"] + 1
        return {"array": array}

    for checkpoint in run(saver, one):
        assert saver.values("t", checkpoint)["array"][5000] == checkpoint.seq


def test_a_value_changed_in_place_is_written(saver):
    def in_place(state):
        state["array"][5000] += 1
        return {"array": state["array"]}

    for checkpoint in run(saver, in_place):
        assert saver.values("t", checkpoint)["array"][5000] == checkpoint.seq


def test_a_large_value_is_hashed_once(tmp_path, monkeypatch):
    hashed = []
    monkeypatch.setattr(value_files, "digest_of", lambda record: (hashed.append(len(record)), digest_of(record))[1])
    monkeypatch.setattr("hitl_nb.graph.changes.digest_of", lambda record: pytest.fail("it differs from what was there"))
    run(DiskCacheSaver(tmp_path / "store"), lambda state: {"array": state["array"] + 1})
    assert len(hashed) == 4


def test_a_value_under_another_key_or_with_other_content_is_refused(tmp_path):
    record = b"x" * 200_000
    (tmp_path / "locks").mkdir()
    name, digest = value_files.write(tmp_path, "v/0/t", record, b"", durable=True, written=[])
    sealed = (tmp_path / name).read_bytes()
    assert digest == digest_of(record)
    assert unseal("v/0/t", sealed, "the store") == record
    for key, altered in (("v/1/t", sealed), ("v/0/t", sealed[:-1] + b"y"), ("v/0/t", sealed[:-1])):
        with pytest.raises(CorruptStoreError):
            unseal(key, altered, "the store")


def test_a_file_with_the_seal_of_an_earlier_store_is_read():
    record = b"x" * 200_000
    assert unseal("v/0/t", seal("v/0/t", record) + record, "the store") == record


def test_where_no_thread_can_be_started_a_large_value_is_stored_all_the_same(tmp_path, monkeypatch):
    def start(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(value_files.WORKERS, "_idle", [])
    monkeypatch.setattr("_thread.start_new_thread", start)
    saver = DiskCacheSaver(tmp_path)
    with saver._transaction():
        saver._put("v/large", b"x" * (1 << 20))
    monkeypatch.undo()
    assert saver._read("v/large") == b"x" * (1 << 20)
