"""The bar of what takes its time: after two seconds, on a terminal, and not a package loaded before."""

from __future__ import annotations

import io
import subprocess
import sys

from hitl_nb.checkpoint import progress
from hitl_nb.checkpoint.progress import bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def slow(count: int, clock: list[float]):
    for n in range(count):
        clock[0] += 0.9
        yield n


def test_a_bar_is_drawn_from_the_third_second_on_and_counts_what_was_done_before(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(bar(slow(6, clock), "Log", total=6)) == list(range(6))
    assert "Log:  50%" in terminal.getvalue(), "three of six took more than two seconds"
    assert "Log:   0%" not in terminal.getvalue()


def test_there_is_no_bar_where_nobody_looks_at_a_terminal(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    assert list(bar(slow(6, clock), "Log", total=6)) == list(range(6))
    assert file.getvalue() == ""


def test_what_is_quick_loads_no_tqdm():
    code = "import sys; from hitl_nb.checkpoint.progress import bar; print(list(bar([1, 2], 'Log')), 'tqdm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[1, 2] False\n"
