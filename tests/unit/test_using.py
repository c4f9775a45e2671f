"""A Python thread's connection is closed when the thread ends, and no sooner."""

import asyncio
import gc
import os
import threading
from operator import add
from pathlib import Path
from typing import Annotated, TypedDict

import pytest

from hitl_nb import START, DiskCacheSaver, StateGraph, once
from hitl_nb.checkpoint import using


class State(TypedDict, total=False):
    n: Annotated[int, add]


def open_logs():
    """How many handles of a write-ahead log this process has: one for each connection."""
    found = 0
    for handle in Path("/proc/self/fd").iterdir():
        try:
            found += str(handle.readlink()).endswith("-wal")
        except OSError:  # that of the listing itself
            continue
    return found


@pytest.fixture
def no_collection():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts handles as Linux tells of them")
def test_each_asyncio_run_closes_the_connections_of_its_threads_without_a_garbage_collection(tmp_path, no_collection):
    saver = DiskCacheSaver(tmp_path)
    graph = StateGraph(State).add_node("a", lambda state: {"n": once("k", lambda: 1)}).add_edge(START, "a").compile(saver)
    asyncio.run(graph.ainvoke({}, {"configurable": {"thread_id": "first"}}))
    before = open_logs()
    for n in range(10):
        asyncio.run(graph.ainvoke({}, {"configurable": {"thread_id": f"{n}"}}))
    assert open_logs() == before


def test_a_transaction_goes_to_its_end_although_its_store_was_forgotten_meanwhile(tmp_path):
    saver = DiskCacheSaver(tmp_path)
    with saver._transaction():
        saver._put("c/1", b"one")
        last = dict(saver._opened)  # as it is looked up in here
        thread = threading.Thread(target=saver.close)
        thread.start()
        thread.join()
        del last
        saver._put("c/2", b"two")
    assert [DiskCacheSaver(tmp_path)._read(key) for key in ("c/1", "c/2")] == [b"one", b"two"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_process_that_is_forked_off_closes_no_connection_of_its_parent(tmp_path):
    saver, read, go_on = DiskCacheSaver(tmp_path), threading.Event(), threading.Event()

    def other():
        saver.head("t")
        read.set()
        go_on.wait()

    thread = threading.Thread(target=other)
    thread.start()
    read.wait()
    child = os.fork()
    if not child:
        gc.collect()
        os._exit(len(using._LEFT))
    kept = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    go_on.set()
    thread.join()
    assert kept == 1


def test_a_ctrl_c_before_the_use_is_kept_leaves_the_connection_open(tmp_path, monkeypatch):
    saver = DiskCacheSaver(tmp_path)

    def pressed(connection, use=using.Use):
        use(connection)  # and its caller never gets it
        raise KeyboardInterrupt

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(using, "Use", pressed)
        with pytest.raises(KeyboardInterrupt):
            saver.head("t")
    assert saver.head("t") is None
