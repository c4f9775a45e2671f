"""How far to the right each spot of a drawing stands: near what it is connected with, and long lines straight."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from hitl_nb.graph.drawing.layers import Rows, Spot

_BESIDE = 22.0
"""Between two boxes of a row."""
_BESIDE_LINE = 14.0
"""Between a line that passes a row and whatever is next to it."""
_ONE_WAY, _BOTH_WAYS = 12, 20
"""Rounds of placing that look up or down, so that a whole column moves at once, and those after them that look both ways."""
_STRAIGHTENED = 3


@dataclass(frozen=True, slots=True)
class Box:
    """The room a thing takes. `left` and `right` of its middle, because a loop to itself needs room on one side only."""

    left: float
    right: float
    height: float
    ports: float
    """Half of the width along which lines may touch it."""


def columns(rows: Rows, room: Mapping[Spot, Box], loops: Container[int]) -> dict[Spot, float]:
    """The middle of each spot, none negative. `loops`: the arrows that were turned round; what they connect need not stand in one line."""
    x: dict[Spot, float] = {}
    for line in rows.rows:
        place = 0.0
        for spot, gap in zip(line, [0.0, *_gaps(line, room)], strict=True):
            place += gap
            x[spot] = place
    for n in range(_ONE_WAY + _BOTH_WAYS):
        downwards = n % 2 == 0
        sides = (rows.up, rows.down) if n >= _ONE_WAY else (rows.up,) if downwards else (rows.down,)
        for line in rows.rows if downwards else reversed(rows.rows):
            wanted = [_wanted(spot, sides, x) for spot in line]
            x |= zip(line, keep_apart(wanted, _gaps(line, room)), strict=True)
    _straighten(rows, room, x, loops)
    left = min(x[s] - room[s].left for s in x)
    return {spot: place - left for spot, place in x.items()}


def _gaps(line: Sequence[Spot], room: Mapping[Spot, Box]) -> list[float]:
    return [room[a].right + room[b].left + (_BESIDE if isinstance(a, str) and isinstance(b, str) else _BESIDE_LINE) for a, b in pairwise(line)]


def _wanted(spot: Spot, sides: Sequence[Mapping[Spot, Sequence[Spot]]], x: Mapping[Spot, float]) -> tuple[float, float]:
    """Where the spot would stand if it were alone, and how much it matters."""
    pulls = [(x[other], _pull(spot, other)) for side in sides for other in side.get(spot, ())]
    if not pulls:
        return x[spot], 0.1
    total = sum(weight for _, weight in pulls)
    return sum(place * weight for place, weight in pulls) / total, total


def _pull(spot: Spot, other: Spot) -> float:
    passing = (not isinstance(spot, str)) + (not isinstance(other, str))
    return (1.0, 2.0, 8.0)[passing]


def keep_apart(wanted: Sequence[tuple[float, float]], gaps: Sequence[float]) -> list[float]:
    """The places nearest to the wanted ones (least squares, by weight) that keep order and gaps: pool adjacent violators."""
    offset, offsets = 0.0, [0.0]
    for gap in gaps:
        offset += gap
        offsets.append(offset)
    blocks: list[tuple[float, float, int]] = []  # weighted sum, weight, how many
    for (place, weight), off in zip(wanted, offsets, strict=True):
        block = ((place - off) * weight, weight, 1)
        while blocks and blocks[-1][0] / blocks[-1][1] >= block[0] / block[1]:
            last = blocks.pop()
            block = (last[0] + block[0], last[1] + block[1], last[2] + block[2])
        blocks.append(block)
    starts = [total / weight for total, weight, count in blocks for _ in range(count)]
    return [start + off for start, off in zip(starts, offsets, strict=True)]


# -- straight lines ---------------------------------------------------------------------------------------------------------------------


def _straighten(rows: Rows, room: Mapping[Spot, Box], x: dict[Spot, float], loops: Container[int]) -> None:
    """Give the spots of each lane one place, as far down as the room between their neighbours allows, then the rest of it another."""
    beside: dict[Spot, tuple[tuple[Spot, float] | None, tuple[Spot, float] | None]] = {}
    for line in rows.rows:
        gaps = _gaps(line, room)
        for n, spot in enumerate(line):
            beside[spot] = ((line[n - 1], gaps[n - 1]) if n else None, (line[n + 1], gaps[n]) if n < len(gaps) else None)

    def free(spot: Spot) -> tuple[float, float]:
        left, right = beside[spot]
        return x[left[0]] + left[1] if left else float("-inf"), x[right[0]] - right[1] if right else float("inf")

    lanes = _lanes(rows, loops)
    alone = beside.keys() - {spot for lane in lanes for spot in lane}
    for _ in range(_STRAIGHTENED):
        for lane in lanes:
            run: list[Spot] = []
            room_left = (float("-inf"), float("inf"))
            for spot in lane:
                least, most = free(spot)
                shared = (max(room_left[0], least), min(room_left[1], most))
                if run and shared[0] > shared[1]:
                    _line_up(run, room_left, x)
                    run, shared = [], (least, most)
                run.append(spot)
                room_left = shared
            _line_up(run, room_left, x)
        for spot in beside:
            if spot in alone:
                x[spot] = _within(_wanted(spot, (rows.up, rows.down), x)[0], free(spot))


def _line_up(run: Sequence[Spot], free: tuple[float, float], x: dict[Spot, float]) -> None:
    middle = sorted(x[s] for s in run)[len(run) // 2]
    x.update(dict.fromkeys(run, _within(middle, free)))


def _within(place: float, free: tuple[float, float]) -> float:
    return min(max(place, free[0]), free[1])


def _lanes(rows: Rows, loops: Container[int]) -> list[list[Spot]]:
    """What should stand in one line, the longest first: a long arrow's points, and boxes with the one (or the middle) box that they lead to."""
    below: dict[Spot, Spot] = {}
    for line in rows.rows:
        for spot in line:
            other = _middle(spot, rows.down, loops)
            if other is not None and _middle(other, rows.up, loops) == spot:
                below[spot] = other
    starts = [s for line in rows.rows for s in line if s in below and s not in below.values()]
    lanes = []
    for start in starts:
        lane = [start]
        while lane[-1] in below:
            lane.append(below[lane[-1]])
        lanes.append(lane)
    return sorted(lanes, key=len, reverse=True)


def _middle(spot: Spot, side: Mapping[Spot, Sequence[Spot]], loops: Container[int]) -> Spot | None:
    """The neighbour in the middle, if there is one; a box does not follow the loops that end at it."""
    near = [s for s in side.get(spot, ()) if not isinstance(spot, str) or isinstance(s, str) or s[0] not in loops]
    near = list(dict.fromkeys(near))
    return near[len(near) // 2] if len(near) % 2 else None
