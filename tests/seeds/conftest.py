"""What the seeds' samples leave out: a checkpointer, a config, and the chain of edges around a node that is shown alone."""

from itertools import pairwise

import pytest

from hitl_nb import END, START, DiskCacheSaver, MemorySaver, StateGraph


@pytest.fixture(params=["memory", "disk"])
def saver(request, tmp_path):
    saver = MemorySaver() if request.param == "memory" else DiskCacheSaver(tmp_path / "reviews")
    yield saver
    saver.close()


@pytest.fixture
def config():
    return {"configurable": {"thread_id": "seed"}}


@pytest.fixture
def chain(saver):
    """Compiles `{name: function}` nodes that run one after the other."""

    def compiled(schema, nodes, **options):
        builder = StateGraph(schema)
        for name, fn in nodes.items():
            builder.add_node(name, fn)
        for source, target in pairwise((START, *nodes, END)):
            builder.add_edge(source, target)
        return builder.compile(checkpointer=saver, **options)

    return compiled
