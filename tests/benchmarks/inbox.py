"""What an inbox costs the kernel: opening it, answering, searching, answering many, and looking whether anything changed.

    python tests/benchmarks/inbox.py [OPEN] [DONE]      # open questions, and threads beside them that wait for nobody; default 1000 and 9000

Milliseconds, the median of several rounds. The page's share is not in it; nothing here is a test.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import IPython.display
import ipywidgets

from hitl_nb import DiskCacheSaver, StateGraph, interrupt
from hitl_nb.checkpoint.records import utc_now
from hitl_nb.waiting.board import Board
from hitl_nb.waiting.listing import Filters
from hitl_nb.waiting.resuming import Graphs
from hitl_nb.waiting.watching import Changes
from hitl_nb.widgets.inbox.view import InboxView

ROUNDS = 7


def filled(folder: str, waiting: int, done: int) -> DiskCacheSaver:
    saver = DiskCacheSaver(folder)

    def ask(state: Any) -> Any:
        payload = {"question": f"Refund {state['n']} EUR?", "options": ["approve", "reject"], "letter": "A long letter. " * 20}
        return {"said": interrupt(payload)}

    for name, step, count in (("ends", lambda state: {"said": state["n"]}, done), ("waits", ask, waiting)):
        graph = StateGraph().add_node(name, step).set_entry_point(name).compile(checkpointer=saver, name=name)
        for n in range(count):
            graph.invoke({"n": n}, {"configurable": {"thread_id": f"{name}-{n}"}})
    return saver


def took(call: Callable[[], Any], rounds: int = ROUNDS) -> float:
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def opened(saver: DiskCacheSaver) -> InboxView:
    view = InboxView(saver, Board(saver, Filters(), sort="deadline", reviewer="dana", now=utc_now), Graphs(None), reviewer="dana", now=utc_now)
    view._watch.start = lambda: None  # type: ignore[method-assign]  # its thread would take its share
    view.show()
    return view


def act(view: InboxView, name: str, arg: str = "", value: Any = None) -> None:
    view._list._handle_custom_msg({"act": name, "arg": arg, "value": value, "fields": {}}, [])


def approve(view: InboxView) -> None:
    assert view._card is not None
    next(w for w in view._card._row.children if isinstance(w, ipywidgets.Button) and w.description == "Approve").click()


def main() -> None:
    waiting, done = (int(number) for number in (sys.argv[1:] + ["1000", "9000"][len(sys.argv) - 1 :]))
    IPython.display.display = lambda *_, **__: None  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as folder:
        saver = filled(folder, waiting, done)
        print(f"{waiting:,} open questions, {done:,} threads that wait for nobody; ms in the kernel")
        views: list[InboxView] = []
        print(f"{'open the inbox':32}{took(lambda: views.append(opened(saver)), 3):9.1f}")
        view = views[-1]
        lines = view._board.lines
        print(f"{'see what changed':32}{took(view.look):9.1f}")
        act(view, "open", lines[0].id)
        print(f"{'next question':32}{took(lambda: act(view, 'go', 'next')):9.1f}")
        print(f"{'answer, and the next one':32}{took(lambda: approve(view)):9.1f}")
        words = iter(range(100, 999))
        print(f"{'search in all payloads':32}{took(lambda: act(view, 'text', value=f'letter {next(words)}')):9.1f}")
        act(view, "text", value="")
        act(view, "pick", lines[-1].id, value=True)
        print(f"{'pick all alike':32}{took(lambda: act(view, 'like'), 1):9.1f}")
        print(f"{'preview of one answer for all':32}{took(lambda: act(view, 'together'), 1):9.1f}")
        changes = Changes(saver)
        print(f"{'a look whether anything changed':32}{took(changes.seen, 1000):9.4f}")
        view.close()


if __name__ == "__main__":
    main()
