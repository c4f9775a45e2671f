"""Ctrl-C at any moment of a run: nothing stays locked or half written, nothing is decided twice or lost, and the run goes on when it is asked to."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.crash
HERE = Path(__file__).parents[2]
EACH = ("graph:each", "stream:each", "memory:each", "exit:each", "session:each")
CLOCK = ("graph:clock", "session:clock")
MORE = ("stream:clock", "asyncio:clock", "async:clock", "async:each")
AFTER = ("async:after", "memory:after", "session:after")
IMPORTING = """
import asyncio, sys  # a kernel has it; Python cannot import it again after a Ctrl-C in the middle of it
def cell():
    from hitl_nb import Command, DiskCacheSaver, StateGraph, interrupt
    graph = StateGraph().add_node("ask", lambda state: {"ok": interrupt("Ok?")}).set_entry_point("ask").compile(DiskCacheSaver(sys.argv[1]))
    config = {"configurable": {"thread_id": "t"}}
    if graph.get_state(config).created_at is None:
        graph.invoke({}, config)
    while (state := graph.get_state(config)).next:
        graph.invoke(Command(resume=True) if state.interrupts else None, config)
    return graph.get_state(config).values
at, passed = int(sys.argv[2]), 0
def press(frame, event, arg):
    global passed
    passed += event in ("call", "c_return")
    if passed == at:
        sys.setprofile(None)
        del frame, arg
        raise KeyboardInterrupt
sys.setprofile(press)
try:
    ended = cell()
except (KeyboardInterrupt, RuntimeError) as pressed:
    if not isinstance(pressed.__cause__ or pressed, KeyboardInterrupt):  # Python 3.11 makes another error of one inside __set_name__
        raise
    sys.last_value = pressed  # as a notebook keeps it
    ended = cell()
sys.setprofile(None)
print(passed, ended)
"""


def python(*given: object, cwd: Path) -> list[str]:
    ended = subprocess.run(
        [sys.executable, *map(str, given)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    return ended.stdout.splitlines()


def pressed(runs: tuple[str, ...], moments: int, folder: Path, seed: int = 1) -> None:
    told = [json.loads(line) for line in python("-m", "tests.crash.pressed", ",".join(runs), moments, seed, folder, cwd=folder) if line[0] == "{"]
    assert [one for one in told if "left" in one] == []
    ends = [one for one in told if "met" in one]
    assert len(ends) == len(runs)
    assert any(one["met"] for one in ends), ends


def test_a_ctrl_c_leaves_nothing_behind_wherever_python_looks_for_one(tmp_path):
    pressed((*EACH, *AFTER), 12, tmp_path)


def test_a_ctrl_c_leaves_nothing_behind_whenever_it_comes(tmp_path):
    pressed(CLOCK, 12, tmp_path)


def interrupted_import(moments: int, folder: Path) -> None:
    ended = python("-c", IMPORTING, folder / "whole", 0, cwd=folder)[-1]
    rng, passed = random.Random(moments), int(ended.split()[0])
    for _ in range(moments):
        at = rng.randint(1, passed)
        assert python("-c", IMPORTING, folder / f"at-{at}", at, cwd=folder)[-1].endswith(" {'ok': True}")


@pytest.mark.soak
def test_a_ctrl_c_while_modules_are_imported_at_hundreds_of_moments(tmp_path):
    interrupted_import(300, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("run", [*EACH, *AFTER, *CLOCK, *MORE])
@pytest.mark.parametrize("seed", range(2, 7))
def test_a_ctrl_c_leaves_nothing_behind_at_hundreds_of_moments(run, seed, tmp_path):
    pressed((run,), 300, tmp_path, seed)
