"""What was measured, for a reader: text, JSON, and the table of docs/speed.md. And on which machine, with which versions."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from hitl_nb.checkpoint.filesystem import file_system
from tests.benchmarks.measuring import Result, Verdict

_PACKAGES: Final = (
    "hitl_nb", "diskcache", "ormsgpack", "numpy",
    "langgraph", "langgraph-checkpoint-sqlite", "upsonic", "locus-sdk", "apache-burr", "pydantic-graph",
)  # fmt: skip
BEGIN, END = "<!-- measured -->", "<!-- /measured -->"
"""Between these lines of a page is what `markdown` writes."""


def machine(folder: Path) -> dict[str, str]:
    """The processor, the system, the file system that `folder` lies on, and the versions of all that was compared."""
    import sqlite3

    said = {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "file system": file_system(folder) or "unknown",
        "Python": f"{platform.python_version()}, SQLite {sqlite3.sqlite_version}",
    }
    return said | {name: _version(name) for name in _PACKAGES}


def _processor() -> str:
    try:
        found = re.search(r"(?m)^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def number(value: float) -> str:
    """Three figures that say something."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"


def comparison(verdict: Verdict) -> str:
    goal = verdict.goal
    return goal.ours if goal.against is None else f"{goal.ours} {'minus' if goal.kind == 'difference' else '/'} {goal.against}"


def figure(verdict: Verdict, unit: str) -> str:
    return number(verdict.value) + ("" if verdict.goal.kind == "ratio" else f" {unit}")


def wanted(verdict: Verdict, unit: str) -> str:
    goal = verdict.goal
    if goal.at_most is None:
        return ""
    return f"≤ {goal.at_most:g}" + ("" if goal.kind == "ratio" else f" {unit}")


def outcome(verdict: Verdict) -> str:
    return {True: "holds", False: "MISSED", None: ""}[verdict.holds]


def text(result: Result) -> str:
    """A row on a terminal."""
    unit = result.contest.unit
    shown = [f"\n{result.row.name}: {result.row.what}   ({result.seconds:.0f} s)"]
    shown += [f"    {number(result.median(name)):>9} {unit}   {name}" for name in result.figures]
    shown += [f"    {'':>9}      {name}: {why}" for name, why in result.contest.left_out.items()]
    shown += [f"    {figure(v, unit):>12}   {wanted(v, unit):10} {outcome(v):7} {comparison(v)}" for v in result.verdicts()]
    return "\n".join(shown + [f"    {note}" for note in result.contest.notes])


def as_data(results: Sequence[Result], on: dict[str, str]) -> dict[str, Any]:
    """All of it, for a program."""
    return {"machine": on, "rows": {result.row.name: _row(result) for result in results}}


def _row(result: Result) -> dict[str, Any]:
    unit = result.contest.unit
    return {
        "what": result.row.what,
        "unit": unit,
        "medians": {name: result.median(name) for name in result.figures},
        "rounds": {name: [value * result.factor for value in values] for name, values in result.figures.items()},
        "goals": [
            {"what": comparison(v), "kind": v.goal.kind, "value": v.value, "at_most": v.goal.at_most, "holds": v.holds} for v in result.verdicts()
        ],
        "left_out": dict(result.contest.left_out),
        "notes": list(result.contest.notes),
    }


def markdown(results: Sequence[Result], on: dict[str, str]) -> str:
    """The table, the medians it is made of, and the machine."""
    shown = ["| what | compared | measured | goal | |", "|---|---|---|---|---|"]
    for result in results:
        unit, what = result.contest.unit, result.row.what
        for v in result.verdicts():
            shown.append(f"| {what} | {comparison(v)} | **{figure(v, unit)}** | {wanted(v, unit)} | {outcome(v)} |")
            what = ""
    shown += ["", "The medians behind it:", "", "| what | medians |", "|---|---|"]
    for result in results:
        medians = [f"{name} {number(result.median(name))} {result.contest.unit}" for name in result.figures]
        medians += [f"{name}: {why}" for name, why in result.contest.left_out.items()]
        shown.append(f"| {result.row.what} | {'; '.join([*medians, *result.contest.notes])} |")
    shown += ["", "Measured on: " + "; ".join(f"{name} {said}" for name, said in on.items()) + "."]
    return "\n".join(shown)


def put_into(page: Path, table: str) -> None:
    """Replace what stands between the two marks of a page."""
    before, mark, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        sys.exit(f"{page} has no lines {BEGIN} and {END}, between which the table belongs")
    page.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")
