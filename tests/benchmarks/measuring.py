"""What a row of the speed table is, how it is measured, and whether its goals hold. Nothing here knows what is measured."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

Run = Callable[[], float]
"""Does a contender's work once; returns what it took, in the unit of its row."""
FACTORS: Final = {"µs": 1e6, "ms": 1e3, "KiB": 1 / 1024, "MB": 1e-6}
"""From what a run returns (seconds, bytes) to what is shown."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What has to hold between two contenders of a row, or of one alone."""

    ours: str
    against: str | None
    """The other contender; None: the figure is `ours` itself."""
    at_most: float | None
    """In the row's unit, or as a ratio; None: it is shown, and there is no goal."""
    kind: Literal["ratio", "difference", "absolute"] = "ratio"

    def value(self, figures: Mapping[str, Sequence[float]], factor: float) -> float:
        """The figure that is held against the goal: a median over the rounds."""
        if self.kind == "absolute" or self.against is None:
            return statistics.median(figures[self.ours]) * factor
        pairs = list(zip(figures[self.ours], figures[self.against], strict=True))
        if self.kind == "difference":
            return statistics.median(ours - other for ours, other in pairs) * factor
        return statistics.median(ours / other for ours, other in pairs)

    def holds(self, value: float) -> bool:
        return self.at_most is None or value <= self.at_most


@dataclass(slots=True)
class Contest:
    """A row that is ready to be measured."""

    runs: Mapping[str, Run]
    goals: Sequence[Goal]
    unit: str
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Contenders that are not measured, and why."""
    notes: Sequence[str] = ()
    """What a reader has to know about the figures of this run."""
    warm_up: int = 1
    """Rounds that do not count."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and how large to measure."""

    folder: Path
    """An empty folder for the row, on the disk that counts."""
    quick: bool = False
    """True: a small size, to see that it runs; the figures mean nothing."""

    def size(self, full: int, quick: int) -> int:
        return quick if self.quick else full


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table."""

    name: str
    """As `--only` names it."""
    what: str
    """What one unit of the figures is."""
    prepare: Callable[[Setting], Contest]
    rounds: int = 7
    profile: Callable[[Setting], str] | None = None
    """Says where the time goes."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A goal with what was measured."""

    goal: Goal
    value: float

    @property
    def holds(self) -> bool | None:
        """None where there is no goal."""
        return None if self.goal.at_most is None else self.goal.holds(self.value)


@dataclass(frozen=True, slots=True)
class Result:
    """A row that was measured."""

    row: Row
    contest: Contest
    figures: Mapping[str, Sequence[float]]
    """Of each round, by contender, in the unit of the runs (seconds, bytes)."""
    seconds: float
    """How long it took to prepare and to measure."""

    @property
    def factor(self) -> float:
        return FACTORS[self.contest.unit]

    def median(self, contender: str) -> float:
        """In the unit that is shown."""
        return statistics.median(self.figures[contender]) * self.factor

    def verdicts(self) -> list[Verdict]:
        """Of each goal whose contenders were measured."""
        there = [goal for goal in self.contest.goals if goal.ours in self.figures and (goal.against is None or goal.against in self.figures)]
        return [Verdict(goal, goal.value(self.figures, self.factor)) for goal in there]


def interleaved(runs: Mapping[str, Run], rounds: int, warm_up: int = 1) -> dict[str, list[float]]:
    """A B C A B C …: what each run returned in each round, without the first `warm_up` rounds."""
    figures: dict[str, list[float]] = {name: [] for name in runs}
    for n in range(warm_up + rounds):
        for name, run in runs.items():
            figure = run()
            if n >= warm_up:
                figures[name].append(figure)
    return figures


def timed(work: Callable[[], Any], units: int) -> Run:
    """Seconds a unit of work that does `units` of them."""

    def run() -> float:
        began = time.perf_counter()
        work()
        return (time.perf_counter() - began) / units

    return run


def measured(row: Row, setting: Setting) -> Result:
    """Prepare a row and measure it."""
    began = time.perf_counter()
    contest = row.prepare(setting)
    rounds = min(row.rounds, 2) if setting.quick else row.rounds
    figures = interleaved(contest.runs, rounds, min(contest.warm_up, 1) if setting.quick else contest.warm_up)
    return Result(row, contest, figures, time.perf_counter() - began)
