"""Where everything of a drawing stands, in pixels. Knows boxes and links, nothing of graphs that run."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hitl_nb.graph.drawing.columns import Box, columns, keep_apart
from hitl_nb.graph.drawing.layers import Rows, Span, Spot, arrange, assign, loops

_BELOW = 26.0
"""Between two rows; more where lines run far to the side."""
_BETWEEN = 40.0
"""Between parts of the graph that nothing connects."""
_WIDE = 900.0
"""Parts stand side by side up to this width, then below each other."""
_HIGH = 48.0
"""A row higher than this holds a frame with a graph in it."""
PORT = 15.0
"""Between the ends of two lines at one box, where there is room."""


@dataclass(frozen=True, slots=True)
class Link:
    """A line to draw between two different things."""

    source: str
    target: str
    label: Box | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """The way of a line: straight down in each row, curved between the rows."""

    runs: tuple[tuple[float, float, float], ...]
    """`(x, from y, to y)` from the top to the bottom."""
    upward: bool
    """True: a loop, which is walked from the bottom to the top."""
    label_at: tuple[float, float] | None = None
    """The middle of the label."""


@dataclass(slots=True)
class Layout:
    """Middles of the things by id, and the routes in the order of the links."""

    width: float = 0.0
    height: float = 0.0
    at: dict[str, tuple[float, float]] = field(default_factory=dict)
    routes: dict[int, Route] = field(default_factory=dict)


def lay_out(boxes: Mapping[str, Box], links: Sequence[Link]) -> Layout:
    """Place all boxes and links: no box touches another, lines run down except loops, and no line passes through a box or a label."""
    whole = Layout()
    left = top = below = 0.0
    for ids in _parts(list(boxes), links):
        inside = {n: link for n, link in enumerate(links) if link.source in ids}
        part = _lay_out_part({i: boxes[i] for i in ids}, inside)
        if left and left + part.width > max(_WIDE, whole.width):
            left, top = 0.0, below + _BETWEEN
        _shift(part, left, top, whole)
        left += part.width + _BETWEEN
        below = max(below, top + part.height)
    return whole


def _parts(ids: Sequence[str], links: Sequence[Link]) -> list[dict[str, None]]:
    """The connected parts, each in the given order."""
    near: dict[str, list[str]] = {i: [] for i in ids}
    for link in links:
        near[link.source].append(link.target)
        near[link.target].append(link.source)
    part: dict[str, int] = {}
    for n, root in enumerate(ids):
        waiting = deque([root] if root not in part else [])
        while waiting:
            here = waiting.popleft()
            if here not in part:
                part[here] = n
                waiting += near[here]
    parts: dict[int, dict[str, None]] = {}
    for i in ids:
        parts.setdefault(part[i], {})[i] = None
    return list(parts.values())


def _shift(part: Layout, x: float, y: float, whole: Layout) -> None:
    whole.at |= {i: (px + x, py + y) for i, (px, py) in part.at.items()}
    for n, route in part.routes.items():
        label = None if route.label_at is None else (route.label_at[0] + x, route.label_at[1] + y)
        whole.routes[n] = Route(tuple((rx + x, a + y, b + y) for rx, a, b in route.runs), route.upward, label)
    whole.width, whole.height = max(whole.width, x + part.width), max(whole.height, y + part.height)


def _lay_out_part(boxes: Mapping[str, Box], links: Mapping[int, Link]) -> Layout:
    ids, numbers = list(boxes), list(links)
    back = {numbers[n] for n in loops(ids, [(link.source, link.target) for link in links.values()])}
    spans = {}
    for n, link in links.items():
        upper, lower = (link.target, link.source) if n in back else (link.source, link.target)
        spans[n] = Span(upper, lower, 2 if link.label else 1)
    row = assign(ids, list(spans.values()))
    rows = arrange(ids, spans, row)
    room: dict[Spot, Box] = {i: boxes[i] for i in ids}
    labelled: dict[int, tuple[int, int]] = {}
    for n, link in links.items():
        room |= {(n, r): Box(0, 0, 0, 0) for r in range(row[spans[n].upper] + 1, row[spans[n].lower])}
        if link.label:  # beside where the choice is made
            labelled[n] = (n, row[link.source] + (-1 if n in back else 1))
            room[labelled[n]] = link.label
    x = columns(rows, room, back)
    y = _row_tops(rows, room, x)
    layout = Layout(max(x[s] + room[s].right for s in x), y[-1][1])
    layout.at = {i: (x[i], sum(y[row[i]]) / 2) for i in ids}
    ports = _ports(boxes, spans, row, x)
    for n, span in spans.items():
        passes: list[tuple[int, int]] = [(n, r) for r in range(row[span.upper] + 1, row[span.lower])]
        start, end = layout.at[span.upper][1] + boxes[span.upper].height / 2, layout.at[span.lower][1] - boxes[span.lower].height / 2
        runs = [(ports[n, span.upper], start, y[row[span.upper]][1])]
        runs += [(x[p], *y[p[1]]) for p in passes]
        runs.append((ports[n, span.lower], y[row[span.lower]][0], end))
        label = labelled.get(n)
        layout.routes[n] = Route(tuple(runs), n in back, None if label is None else (x[label], _label_y(y[label[1]], upward=n in back)))
    return layout


def _label_y(row: tuple[float, float], *, upward: bool) -> float:
    """The middle of the row; in a high one, near the end where the choice is made."""
    top, bottom = row
    reach = min(bottom - top, _HIGH) / 2
    return bottom - reach if upward else top + reach


def _row_tops(rows: Rows, room: Mapping[Spot, Box], x: Mapping[Spot, float]) -> list[tuple[float, float]]:
    """`(top, bottom)` of each row."""
    found: list[tuple[float, float]] = []
    top = 0.0
    for line in rows.rows:
        bottom = top + max(room[s].height for s in line)
        found.append((top, bottom))
        farthest = max((abs(x[s] - x[b]) for s in line for b in rows.down.get(s, ())), default=0.0)
        top = bottom + min(max(_BELOW, farthest * 0.16), 90.0)
    return found


def _ports(boxes: Mapping[str, Box], spans: Mapping[int, Span], row: Mapping[str, int], x: Mapping[Spot, float]) -> dict[tuple[int, str], float]:
    """Where each line touches its upper and its lower box: straight above or below where it goes if the box reaches so far, else near its middle."""
    ends: dict[tuple[str, int], list[tuple[float, int, tuple[float, float]]]] = {}
    for n, span in spans.items():
        near = row[span.lower] - row[span.upper] == 1
        first: Spot = span.lower if near else (n, row[span.upper] + 1)
        last: Spot = span.upper if near else (n, row[span.lower] - 1)
        ends.setdefault((span.upper, 1), []).append((x[first], n, _meeting(span.upper, first, boxes, x)))
        ends.setdefault((span.lower, 0), []).append((x[last], n, _meeting(span.lower, last, boxes, x)))
    ports = {}
    for (box, _), lines in ends.items():
        lines.sort()
        reach, more = boxes[box].ports, len(lines) - 1
        step = min(PORT, 2 * reach / max(1, more))
        for k, place in enumerate(keep_apart([wanted for *_, wanted in lines], [step] * more)):
            ports[lines[k][1], box] = min(max(place, x[box] - reach + k * step), x[box] + reach - (more - k) * step)
    return ports


def _meeting(box: str, other: Spot, boxes: Mapping[str, Box], x: Mapping[Spot, float]) -> tuple[float, float]:
    """Where a line between the two is straight, and how much it matters; the middle of the box when it cannot be."""
    reach = boxes[other].ports if isinstance(other, str) else 0.0
    left = max(x[box] - boxes[box].ports, x[other] - reach)
    right = min(x[box] + boxes[box].ports, x[other] + reach)
    return ((left + right) / 2, 100.0) if left <= right else (x[box], 1.0)
