"""The event loop in which async nodes of sync runs are awaited."""

import asyncio
import sys
import threading

import pytest

from hitl_nb.graph.crossing import in_background


@pytest.mark.parametrize("how", ["exit", "stop"])
def test_the_background_loop_goes_on_whatever_a_node_left_in_it(how, capfd):
    left = []

    async def node():
        if how == "stop":
            asyncio.get_running_loop().call_soon(asyncio.get_running_loop().stop)
        else:
            left.append(asyncio.get_running_loop().call_soon(sys.exit))
        await asyncio.sleep(0)
        return 1

    ends = []
    caller = threading.Thread(target=lambda: ends.extend((in_background(node()), in_background(asyncio.sleep(0, 2)))), daemon=True)
    caller.start()
    caller.join(20)
    assert ends == [1, 2]
