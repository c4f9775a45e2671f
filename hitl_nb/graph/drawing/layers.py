"""Which row each thing of a drawing stands in, and in which order: loops found, rows assigned, crossings reduced.

After Sugiyama, Tagawa and Toda (1981): every arrow is made to point down (those that close a loop are turned round for this), an arrow over several
rows passes each row in between at a point of its own, and a row is sorted by where its neighbours stand.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

Spot = str | tuple[int, int]
"""A thing by its id, or the point (arrow, row) at which an arrow passes a row."""

_SWEEPS = 12
"""Down and up again; the best order seen is kept, and small graphs settle after three or four."""


@dataclass(frozen=True, slots=True)
class Span:
    """An arrow as the rows see it: always from the upper thing to the lower one."""

    upper: str
    lower: str
    rows: int = 1
    """At least so many rows apart: 2 leaves a row for a label."""


@dataclass(slots=True)
class Rows:
    """The rows from the top, each from the left, and what is connected with what in the rows next to it."""

    rows: list[list[Spot]]
    up: dict[Spot, list[Spot]] = field(default_factory=dict)
    down: dict[Spot, list[Spot]] = field(default_factory=dict)


def loops(ids: Sequence[str], arrows: Sequence[tuple[str, str]]) -> set[int]:
    """The numbers of the arrows that lead back to where a walk along the arrows came from. The walk starts at the first id."""
    out: dict[str, list[int]] = {i: [] for i in ids}
    for n, (source, _) in enumerate(arrows):
        out[source].append(n)
    led_to = {target for _, target in arrows}
    roots = [*ids[:1], *(i for i in ids if i not in led_to), *ids]
    seen: set[str] = set()
    on_path: set[str] = set()
    back: set[int] = set()
    for root in roots:
        if root in seen:
            continue
        stack = [(root, iter(out[root]))]
        while stack:
            here, rest = stack[-1]
            seen.add(here)
            on_path.add(here)
            for n in rest:
                target = arrows[n][1]
                if target in on_path:
                    back.add(n)
                elif target not in seen:
                    stack.append((target, iter(out[target])))
                    break
            else:
                on_path.discard(here)
                stack.pop()
    return back


def assign(ids: Sequence[str], spans: Sequence[Span]) -> dict[str, int]:
    """The row of each id, from 0: as high as its longest way from the top allows. What nothing leads to stands right above what it leads to."""
    after: dict[str, list[Span]] = {i: [] for i in ids}
    missing = dict.fromkeys(ids, 0)
    for span in spans:
        after[span.upper].append(span)
        missing[span.lower] += 1
    sources = [i for i in ids if not missing[i]]
    row = dict.fromkeys(ids, 0)
    ready = deque(sources)
    while ready:
        here = ready.popleft()
        for span in after[here]:
            row[span.lower] = max(row[span.lower], row[here] + span.rows)
            missing[span.lower] -= 1
            if not missing[span.lower]:
                ready.append(span.lower)
    for source in sources:
        if source != ids[0] and after[source]:
            row[source] = min(row[s.lower] - s.rows for s in after[source])
    return row


def arrange(ids: Sequence[str], spans: Mapping[int, Span], row: Mapping[str, int]) -> Rows:
    """The rows in an order with few crossings. `spans` by the number of their arrow."""
    rows: list[list[Spot]] = [[] for _ in range(max(row.values()) + 1)]
    found = Rows(rows)
    for n, span in spans.items():
        way: list[Spot] = [span.upper, *((n, r) for r in range(row[span.upper] + 1, row[span.lower])), span.lower]
        for above, below in pairwise(way):
            found.down.setdefault(above, []).append(below)
            found.up.setdefault(below, []).append(above)
    for spot in _walk(ids, found):
        rows[row[spot] if isinstance(spot, str) else spot[1]].append(spot)
    best, fewest = [list(r) for r in rows], crossings(found)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        downwards = sweep % 2 == 0
        for n in range(1, len(rows)) if downwards else range(len(rows) - 2, -1, -1):
            _sort(rows[n], rows[n - 1 if downwards else n + 1], found.up if downwards else found.down)
        for n in range(len(rows)):
            _swap(found, n)
        if (now := crossings(found)) < fewest:
            best, fewest = [list(r) for r in rows], now
    found.rows = best
    return found


def _walk(ids: Sequence[str], rows: Rows) -> list[Spot]:
    """Every spot once, each arrow's way followed at once, so that what belongs together starts side by side."""
    seen: dict[Spot, None] = {}
    for root in sorted(ids, key=lambda i: i in rows.up):
        stack: list[Spot] = [root]
        while stack:
            here = stack.pop()
            if here not in seen:
                seen[here] = None
                stack += reversed(rows.down.get(here, ()))
    return list(seen)


def crossings(rows: Rows) -> int:
    """How many pairs of arrows cross."""
    total = 0
    for above, below in pairwise(rows.rows):
        at = {spot: n for n, spot in enumerate(below)}
        passed: list[int] = []
        for spot in above:
            ends = sorted(at[b] for b in rows.down.get(spot, ()))
            total += sum(len(passed) - bisect_right(passed, end) for end in ends)
            for end in ends:
                insort(passed, end)
    return total


def _sort(line: list[Spot], fixed: Sequence[Spot], neighbours: Mapping[Spot, Iterable[Spot]]) -> None:
    """Sort a row by the middle of each spot's neighbours in the fixed row; a spot without any keeps its place."""
    at = {spot: (n + 0.5) / len(fixed) for n, spot in enumerate(fixed)}
    middle = {}
    for n, spot in enumerate(line):
        places = [at[b] for b in neighbours.get(spot, ())]
        middle[spot] = sum(places) / len(places) if places else (n + 0.5) / len(line)
    line.sort(key=middle.__getitem__)


def _swap(rows: Rows, number: int) -> None:
    """Exchange neighbours of a row where that saves crossings on both sides taken together."""
    line = rows.rows[number]
    at = {spot: n for r in rows.rows[max(0, number - 1) : number + 2] for n, spot in enumerate(r)}
    for n in range(len(line) - 1):
        left, right = line[n], line[n + 1]
        saved = 0
        for side in (rows.up, rows.down):
            ours, theirs = [at[s] for s in side.get(left, ())], [at[s] for s in side.get(right, ())]
            saved += sum((a > b) - (a < b) for a in ours for b in theirs)
        if saved > 0:
            line[n], line[n + 1] = right, left
            at[left], at[right] = n + 1, n
