"""A process that runs threads on a store, one step for each line that it is sent, and waits for the next one: to be killed in the meantime."""

import sys

from hitl_nb import Command, DiskCacheSaver
from tests.crash.whole_store import BIG, config, graph_of

graph = graph_of(DiskCacheSaver(sys.argv[1], durability=sys.argv[2]))
for number, _ in enumerate(sys.stdin):
    thread, again = divmod(number, 3)
    given = Command(resume="yes") if again else {"x": thread, "text": "t" * 500 * thread, **({"big": BIG} if thread == 1 else {})}
    graph.invoke(given, config(f"t{thread}"))
    print(number, flush=True)
