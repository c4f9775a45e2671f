"""A profile as lines of text."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from tests.benchmarks.measuring import FACTORS


def lines(figures: Mapping[str, Sequence[float]], unit: str, what: str) -> str:
    """The medians, the parts in the order they were given."""
    shown = (f"{statistics.median(values) * FACTORS[unit]:10.1f} {unit}   {name}\n" for name, values in figures.items())
    return f"{what}\n" + "".join(shown)
