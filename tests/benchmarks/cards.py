"""How long a person waits for the cards: a real JupyterLab in Chromium, against plain ipywidgets in the same page.

    python tests/benchmarks/cards.py            # needs Chromium

Every figure is the median of several rounds, interleaved with the peer: milliseconds from the key press or click to the page that shows the result,
and how much of it the kernel took. Nothing here is a test.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "browser"))

from conftest import ARGUMENTS, CHROMIUM, Server, loaded, missing, open_notebook

ROUNDS = 9
SETUP = """
import time, operator
from datetime import date
from enum import Enum
from typing import Annotated, Literal, TypedDict
import ipywidgets, numpy as np, pandas as pd
from pydantic import BaseModel, Field
from hitl_nb import END, START, MemorySaver, Send, StateGraph, interrupt, review

class Refund(BaseModel):
    customer: str = Field(min_length=3, title="Customer")
    email: str = Field(json_schema_extra={"format": "email"})
    amount: float = Field(ge=0, le=500)
    count: int = 1
    paid_on: date
    reason: Literal["defective", "late", "wrong item", "damaged", "changed mind", "other"]
    method: Literal["card", "voucher", "bank"]
    notify: bool = True
    note: str | None = None
    reference: str = "none"

class State(TypedDict, total=False):
    n: int
    said: Annotated[list, operator.add]

def graph_of(node):
    return StateGraph(State).add_node("ask", node).add_edge(START, "ask").add_edge("ask", END).compile(checkpointer=MemorySaver())

def form(state):
    interrupt("Fill in the refund", schema=Refund)

def one_by_one(state):
    for n in range(40):
        interrupt(f"Is number {n} right?")

def at_once(state):
    return {"said": [interrupt(f"Is number {state['n']} right?")]}

def fan_out(size):
    build = StateGraph(State).add_node("item", at_once).add_edge("item", END)
    build.add_conditional_edges(START, lambda state: [Send("item", {"n": n}) for n in range(size)])
    return build.compile(checkpointer=MemorySaver())

films = pd.DataFrame({c: np.arange(10_000) * (k + 1) / 7 for k, c in enumerate("abcdefgh")} | {"name": [f"film {n}" for n in range(10_000)]})

def table(state):
    interrupt({"question": "Are these rows right?", "table": films})

kernel = {}
def timed(name, make):
    began = time.perf_counter()
    made = make()
    kernel.setdefault(name, []).append((time.perf_counter() - began) * 1000)
    return made
"""
PLAIN = """
def ten():
    words = ["defective", "late", "wrong item"]
    fields = [ipywidgets.Text(description=f"Field {n}") for n in range(6)]
    fields += [ipywidgets.Dropdown(options=words), ipywidgets.RadioButtons(options=words), ipywidgets.Checkbox(), ipywidgets.DatePicker()]
    return ipywidgets.VBox([*fields, ipywidgets.Button(description="Send")])
display(timed("plain", ten))
"""
WATCH = """
window.until = (shown) => new Promise((tell) => {
  const began = performance.now(), look = () => shown() ? tell(performance.now() - began) : requestAnimationFrame(look);
  requestAnimationFrame(look);
});
window.shown = (selector, least) => [...document.querySelectorAll(selector)].filter(n => n.offsetParent).length >= least;
window.heading = () => document.querySelector(".hitl-nb-card .hitl-nb-q")?.textContent ?? "";
"""
QUESTION = "window.heading()"


def run_until(notebook: Any, index: int, selector: str, least: int) -> float:
    """Milliseconds from running the cell until the page shows so many of them."""
    notebook.js("W.content.activeCellIndex = arg; W.content.deselectAll(); W.content.widgets[arg].model.outputs.clear();", index)
    took: float = notebook.js(
        """window.jupyterapp.commands.execute('notebook:run-cell');
        return window.until(() => window.shown(arg[0], arg[1]));""",
        [selector, least],
    )
    notebook.done(index)
    return took


def click_until_next(notebook: Any, label: str) -> float:
    """Milliseconds from the click until the heading is another one."""
    took: float = notebook.js(
        """const before = window.heading(), button = [...document.querySelectorAll('.hitl-nb-card button')].find(b => b.textContent === arg);
        button.click();
        return window.until(() => window.heading() && window.heading() !== before);""",
        label,
    )
    return took


def kernel_share(notebook: Any, index: int) -> dict[str, list[float]]:
    notebook.run(index)
    text = notebook.js("return W.content.widgets[arg].model.outputs.toJSON()[0].text", index)
    shares: dict[str, list[float]] = json.loads("".join(text))
    return shares


def measure(notebook: Any) -> list[tuple[str, float, float | None, float]]:
    """Name, milliseconds in all, in the kernel (None: not measured), goal."""
    notebook.js(WATCH)
    notebook.run(0)
    form, plain = [], []
    for _ in range(ROUNDS):
        plain.append(run_until(notebook, 2, ".jp-OutputArea-output .widget-text", 6))
        form.append(run_until(notebook, 1, ".hitl-nb-card [data-f]", 10))
        notebook.js("W.content.widgets.forEach(w => w.model.type === 'code' && w.model.outputs.clear());")
    run_until(notebook, 3, ".hitl-nb-card .hitl-nb-q", 1)
    clicks = [click_until_next(notebook, "Approve") for _ in range(ROUNDS * 2)]
    notebook.js("W.content.widgets.forEach(w => w.model.type === 'code' && w.model.outputs.clear());")
    stack_first = run_until(notebook, 4, ".hitl-nb-card .hitl-nb-q", 1)
    stack = [click_until_next(notebook, "Approve") for _ in range(ROUNDS * 2)]
    notebook.js("W.content.widgets.forEach(w => w.model.type === 'code' && w.model.outputs.clear());")
    table = []
    for _ in range(ROUNDS):
        table.append(run_until(notebook, 5, ".hitl-nb-card tbody tr", 10))
        notebook.js("W.content.widgets.forEach(w => w.model.type === 'code' && w.model.outputs.clear());")
    share = {name: statistics.median(values) for name, values in kernel_share(notebook, 6).items()}
    return [
        ("ten plain ipywidgets", statistics.median(plain), share["plain"], 0),
        ("a form of 10 controls", statistics.median(form), share["form"], 250),
        ("click to the next card", statistics.median(clicks), None, 150),
        ("1,000 questions at once: first card", stack_first, share["stack"], 0),
        ("1,000 questions at once: a decision", statistics.median(stack), None, 100),
        ("a table of 10,000 rows", statistics.median(table), share["table"], 500),
    ]


def main() -> None:
    if why := missing():
        sys.exit(f"not measured: {why}")
    from playwright.sync_api import sync_playwright

    new = "timed({name!r}, lambda: review({graph}, {{}}, thread_id=f'{name}-{{time.time_ns()}}'))"
    cells = [
        SETUP,
        "f = " + new.format(name="form", graph="graph_of(form)"),
        PLAIN,
        "s = " + new.format(name="next", graph="graph_of(one_by_one)"),
        "k = " + new.format(name="stack", graph="fan_out(1000)"),
        "t = " + new.format(name="table", graph="graph_of(table)"),
        "import json; print(json.dumps(kernel))",
    ]
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), "jupyterlab") as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_context().new_page()
        page.set_default_timeout(60_000)
        page.goto(f"{server.url}/lab?token={server.token}&reset")
        loaded(page)
        rows = measure(open_notebook(server, page, cells))
        browser.close()
    print(
        f"Python {sys.version.split()[0]}, "
        + ", ".join(f"{p} {version(p)}" for p in ("jupyterlab", "ipywidgets", "anywidget"))
        + f", {ROUNDS} rounds\n"
    )
    plain = rows[0][1]
    print(f"{'':40}{'ms':>8}{'kernel':>9}{'x plain':>9}{'goal ms':>9}")
    for name, took, kernel, goal in rows:
        print(f"{name:40}{took:8.0f}{'' if kernel is None else f'{kernel:.0f}':>9}{took / plain:9.2f}{goal or '':>9}")


if __name__ == "__main__":
    main()
