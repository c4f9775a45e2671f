"""Ctrl-C at the places inside a function where CPython looks for a signal: right after a call, and at each turn of a loop.

What such a call returned is lost: the object that was made is in no variable yet. CPython 3.11 looks there when it has executed one of `LOOKS`
(Python/ceval.c, CHECK_EVAL_BREAKER), but not as a function written in Python returns, which is part of the same loop; that one's beginning is a place
of `Each`, and so is its maker's when it is an `__init__`, which goes through C.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any

LOOKS = {dis.opmap[name] for name in ("CALL", "CALL_FUNCTION_EX", "JUMP_BACKWARD") if name in dis.opmap}


class After:
    """Raises KeyboardInterrupt at the n-th such place of the main thread; counts the places where n is 0."""

    def __init__(self, at: int, but_in: str) -> None:
        """`but_in`: not in the code of this file, which is that of the test."""
        self.at, self.but_in, self.passed, self.where = at, but_in, 0, ""
        self._last: dict[Any, tuple[int, str]] = {}
        """By frame: where its latest instruction is, and the name of the Python function that this one called."""

    @contextmanager
    def pressing(self) -> Iterator[None]:
        sys.settrace(self._trace)
        try:
            yield
        finally:
            self._end()

    def _end(self) -> None:
        sys.settrace(None)
        self._last = {}

    def _trace(self, frame: Any, event: str, arg: Any) -> Any:
        if event == "call":
            if frame.f_back in self._last:
                self._last[frame.f_back] = (self._last[frame.f_back][0], frame.f_code.co_name)
            if frame.f_code.co_filename == self.but_in:
                return None
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        elif event == "return":
            self._last.pop(frame, None)
        elif event == "opcode":
            before, called = self._last.get(frame, (-1, ""))
            self._last[frame] = (frame.f_lasti, "")
            if before >= 0 and called in ("", "__init__") and looks(frame.f_code, before, frame.f_lasti):
                self.passed += 1
                if self.passed == self.at:
                    self._end()
                    self.where = f"in {frame.f_code.co_name} of {Path(frame.f_code.co_filename).name}, line {frame.f_lineno}"
                    del frame, arg  # else the traceback would keep what they are
                    raise KeyboardInterrupt
        return self._trace


def looks(code: CodeType, before: int, now: int) -> bool:
    """Whether a signal is looked for between these two instructions. What is raised here counts as raised by the second one, so it has to have
    the same handler: the last call inside a `with` has another one than what follows it.
    """
    return code.co_code[before] in LOOKS and handler(code, before) == handler(code, now)


def handler(code: CodeType, at: int) -> int | None:
    """Where the code goes on when this instruction raises."""
    return next((target for start, end, target in _handlers(code) if start <= at < end), None)


@cache
def _handlers(code: CodeType) -> list[tuple[int, int, int]]:
    return [(entry.start, entry.end, entry.target) for entry in dis._parse_exception_table(code)]  # type: ignore[attr-defined]
