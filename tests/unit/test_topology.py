"""Which nodes come next."""

import threading

from hitl_nb.graph import topology
from hitl_nb.graph.topology import Topology


def test_plans_that_python_threads_add_at_once_do_not_add_up(monkeypatch):
    """Two find room for one more, and both take it: the next one makes room again."""
    monkeypatch.setattr(topology, "_KNOWN_MAX", 3)
    both = threading.Barrier(2)

    class Known(dict):
        def __len__(self):
            found = super().__len__()
            if found == 2 and not both.broken:
                both.wait(20)
            return found

    plans = Topology()
    plans._known = known = Known()
    for name in "ab":
        plans.plan_onward([name], "", 0)
    pair = [threading.Thread(target=plans.plan_onward, args=([name], "", 0)) for name in "cd"]
    for thread in pair:
        thread.start()
    for thread in pair:
        thread.join()
    both.abort()
    assert dict.__len__(known) == 4
    for name in "efghij":
        plans.plan_onward([name], "", 0)
        assert dict.__len__(known) <= 3
