"""A notebook for batches: it reserves money, asks whether to refund it, and pays; each effect is a line in a file, so that twice is seen.

On demand it also fails in every way there is, or holds in its first cell until a file is gone.
"""

import json
from pathlib import Path

CELLS = [
    ("parameters", 'hitl_answers = None\nstore = None\nthread_id = "refund"\namount = 0\neffects = "effects.log"\nhold = ""\nfault = ""'),
    (
        "",
        """\
import os
import signal
import time
from pathlib import Path

if hold:
    Path(effects).with_name(f"{thread_id}.held").write_text(str(os.getpid()))
    while Path(hold).exists():
        time.sleep(0.02)
if fault == "raises":
    raise KeyError("no such customer")
if fault == "dies":
    os._exit(3)
if fault == "kills its batch process":
    os.kill(os.getppid(), signal.SIGKILL)
if fault == "hangs":
    time.sleep(600)""",
    ),
    (
        "",
        """\
from hitl_nb import DiskCacheSaver, StateGraph, interrupt, review


def did(node):
    with open(effects, "a") as log:
        log.write(f"{thread_id} {node}\\n")


def reserve(state):
    did("reserve")
    return {"reserved": state["amount"]}


def approve(state):
    return {"answer": interrupt({"question": f"Refund {state['amount']} EUR?", "amount": state["amount"], "options": ["approve", "reject"]})}


def pay(state):
    did("pay" if state["answer"] == "approve" else "release")
    return {"paid": state["answer"] == "approve"}


builder = StateGraph().add_sequence([("reserve", reserve), ("approve", approve), ("pay", pay)]).set_entry_point("reserve")
graph = builder.compile(checkpointer=DiskCacheSaver(store), name="refunds")""",
    ),
    ("", "session = review(graph, {'amount': amount}, thread_id=thread_id, answers=hitl_answers)\nprint('paid:', session.result()['paid'])"),
]


def refunds(path: Path) -> Path:
    """The notebook's path, once it is written."""
    cells = [
        {
            "cell_type": "code",
            "id": f"cell-{n}",
            "metadata": {"tags": [tag]} if tag else {},
            "execution_count": None,
            "outputs": [],
            "source": source.splitlines(keepends=True),
        }
        for n, (tag, source) in enumerate(CELLS)
    ]
    made = {
        "cells": cells,
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(made), encoding="utf-8")
    return path
