"""Supersteps in memory, against five other systems."""

from __future__ import annotations

from functools import partial
from typing import Final

from tests.benchmarks.measuring import Contest, Goal, Row, Setting, timed
from tests.benchmarks.peers import makers

_AT_MOST: Final = 0.02
"""Of langgraph."""


def _contest(work: str, size: int, others_below: bool, setting: Setting) -> Contest:  # noqa: FBT001 - bound by partial
    size = setting.size(size, min(size, 50))
    runs, left_out = makers(work, size)
    goals = [Goal("hitl_nb", "langgraph", _AT_MOST)]
    goals += [Goal("hitl_nb", name, 1.0 if others_below else None) for name in ("upsonic", "locus", "burr", "pydantic-graph")]
    return Contest({name: timed(run, size) for name, run in runs.items()}, goals, "µs", left_out)


ROWS: Final = (
    Row("chain", "a superstep in memory, a chain of 1,000 nodes", partial(_contest, "chain", 1000, True), rounds=9),
    Row("loop", "a superstep in memory, a loop of 1,000 rounds", partial(_contest, "loop", 1000, True), rounds=11),
    Row("fan-out", "a node of 100 side by side with a join", partial(_contest, "fan-out", 100, False), rounds=25),
    Row("send", "an item of 1,000 by Send", partial(_contest, "send", 1000, False), rounds=9),
)
