"""The drawing as one static SVG: no script, no style sheet, no reference to anything inside or outside of it."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Final

from hitl_nb.graph.drawing.columns import Box
from hitl_nb.graph.drawing.layout import Link, Route, lay_out
from hitl_nb.graph.drawing.lettering import MAX_LABEL, MAX_NAME, ems, one_line, shortened
from hitl_nb.graph.drawing.marks import Mark
from hitl_nb.graph.drawing.outline import Arrow, Outline, Shape
from hitl_nb.graph.types import START

_PAPER, _INK, _GREY, _EDGE, _FILL = "#ffffff", "#1f1f1f", "#5c5c5c", "#b4b4b4", "#f6f6f6"
"""The light theme of the cards on paper of its own, because a picture in a saved notebook cannot know the page's colours."""
_COLOUR: Final[dict[Mark, str]] = {"done": "#2a6a2d", "running": "#145ca4", "waiting": "#145ca4", "failed": "#9e2323"}
_TINT: Final[dict[Mark, str]] = {"done": "#eef6ee", "running": "#ffffff", "waiting": "#e3effb", "failed": "#fbeaea"}
_THICK: Final[dict[Mark, float]] = {"done": 1.2, "running": 1.2, "waiting": 2.4, "failed": 2.4}
_ICON: Final[dict[Mark, str]] = {  # 12 pixels square around 0, 0; each a shape of its own
    "done": '<path d="M-5 .5l3.2 3.5L5-4" fill="none" stroke-width="2"/>',
    "running": '<path d="M-3-5l8 5l-8 5z" stroke="none"/>',
    "waiting": '<circle r="4.8" fill="none" stroke-width="1.6"/><circle r="1.9" stroke="none"/>',
    "failed": '<path d="M0-5.6l6.2 10.8h-12.4z" stroke-width="1" stroke-linejoin="round"/><path d="M0-2.4v4m0 1.2v1.6" stroke="#fff"/>',
}
_MONO = 'font-family="ui-monospace,Menlo,Consolas,DejaVu Sans Mono,monospace"'
_SANS = 'font-family="system-ui,sans-serif"'

_NAME_SIZE, _LABEL_SIZE, _WORD_SIZE = 13, 12, 11.5
_MARGIN = 16.0
_HEAD = 8.0
"""Length of an arrow's head."""
_LOOP = 24.0
"""How far a loop to itself reaches beside its box."""
_LOOP_LABEL_GAP = 6.0
_BAR = 7.0
"""From the side of a box to the line that says that it runs a graph."""
_PAD, _TITLE, _TITLE_GAP = 18.0, 40.0, 12.0
"""Between a frame and the graph inside; the same at the top, where the title stands; between the name and the mark in it."""


@dataclass(frozen=True, slots=True)
class _Size:
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class _Panel:
    """A graph drawn from (0, 0) on."""

    width: float
    height: float
    pieces: list[str]


def to_svg(outline: Outline, title: str) -> str:
    """The picture, with the graphs that nodes run in frames where they are opened."""
    panel = _panel(outline)
    width, height = (_number(size + 2 * _MARGIN) for size in (panel.width, panel.height))
    frame = f'width="{width}" height="{height}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {frame} role="img" style="max-width:100%;height:auto">',
            f"<title>{_escaped(title)}</title>",
            f'<rect {frame} rx="8" fill="{_PAPER}"/>',
            f'<g transform="translate({_number(_MARGIN)} {_number(_MARGIN)})">',
            *panel.pieces,
            "</g>",
            "</svg>",
        ]
    )


def _panel(outline: Outline) -> _Panel:
    own_loops = {a.source: a for a in outline.arrows if a.source == a.target}
    between = [a for a in outline.arrows if a.source != a.target]
    panels = {i: _panel(shape.inner) for i, shape in outline.shapes.items() if shape.inner is not None}
    sizes = {i: _framed(shape, panels[i]) if i in panels else _size(shape, between) for i, shape in outline.shapes.items()}
    boxes = {i: _box(shape, sizes[i], own_loops.get(i)) for i, shape in outline.shapes.items()}
    layout = lay_out(boxes, [Link(a.source, a.target, _label_box(a)) for a in between])
    lines = [_route(layout.routes[n], arrow) for n, arrow in enumerate(between)]
    lines += [_loop(layout.at[i], sizes[i], arrow) for i, arrow in own_loops.items()]
    labels = [_label(*at, arrow) for n, arrow in enumerate(between) if (at := layout.routes[n].label_at)]
    shapes = []
    for i, shape in outline.shapes.items():
        shapes += [_frame(shape, layout.at[i], sizes[i], panels[i])] if i in panels else [_shape(shape, layout.at[i], sizes[i])]
    return _Panel(layout.width, layout.height, [*lines, *labels, *shapes])


# -- sizes ------------------------------------------------------------------------------------------------------------------------------


def _framed(shape: Shape, panel: _Panel) -> _Size:
    title = ems(shortened(shape.name, MAX_NAME)) * _NAME_SIZE + (0 if shape.mark is None else _TITLE_GAP + _mark_width(shape.mark))
    return _Size(max(panel.width, title) + 2 * _PAD, panel.height + _TITLE + _PAD)


def _size(shape: Shape, arrows: list[Arrow]) -> _Size:
    text = ems(shortened(shape.name, MAX_NAME)) * _NAME_SIZE
    if shape.kind in ("start", "end"):
        return _Size(54, 22)
    if shape.kind == "open":
        return _Size(text, 20)
    busiest = max(sum(a.source == shape.id for a in arrows), sum(a.target == shape.id for a in arrows))
    if shape.kind == "join":
        return _Size(max(48.0, min(15.0 * busiest + 8, 320)), 6)
    text += 2 * _BAR if shape.nested else 0
    word = 0 if shape.mark is None else 4 + _mark_width(shape.mark)
    return _Size(max(56.0, text + 24, word + 20, min(11.0 * busiest + 14, 240)), 32 if shape.mark is None else 48)


def _mark_width(mark: Mark) -> float:
    return 18 + ems(mark) * _WORD_SIZE


def _box(shape: Shape, size: _Size, loop: Arrow | None) -> Box:
    half = size.width / 2
    beside = 0.0
    if shape.kind == "join":
        beside = 6 + ems(shape.name) * _LABEL_SIZE
    elif loop is not None:
        beside = _LOOP + 4 + (_LOOP_LABEL_GAP + _width(loop) if loop.label else 0)
    ports = {"start": 0.0, "end": 0.0, "open": 0.0, "join": half - 6, "node": half - 12}[shape.kind]
    return Box(half, half + beside, size.height, ports)


def _label_box(arrow: Arrow) -> Box | None:
    half = _width(arrow) / 2 + 4
    return Box(half, half, 18, 0) if arrow.label else None


def _width(arrow: Arrow) -> float:
    return ems(shortened(arrow.label, MAX_LABEL)) * _LABEL_SIZE


# -- pieces -----------------------------------------------------------------------------------------------------------------------------


def _route(route: Route, arrow: Arrow) -> str:
    runs = list(route.runs)
    (start, top, until), (end, since, bottom) = runs[0], runs[-1]
    if route.upward:  # the line ends inside its head, and comes there straight
        runs[0] = (start, top + _HEAD - 1, max(until, top + _HEAD))
    else:
        runs[-1] = (end, min(since, bottom - _HEAD), bottom - _HEAD + 1)
    way = f"M{_number(runs[0][0])} {_number(runs[0][1])}V{_number(runs[0][2])}"
    for (x, _, y), (next_x, next_y, stop) in pairwise(runs):
        half = _number((y + next_y) / 2)
        if abs(x - next_x) >= 0.5:
            way += f"C{_number(x)} {half} {_number(next_x)} {half} {_number(next_x)} {_number(next_y)}"
        way += f"V{_number(stop)}"
    tip = (start, top, 1) if route.upward else (end, bottom, -1)
    return _line(way, arrow) + _head(*tip)


def _line(way: str, arrow: Arrow) -> str:
    dashes = ' stroke-dasharray="5 4"' if arrow.conditional else ""
    return f'<path d="{way}" fill="none" stroke="{_GREY}" stroke-width="1.3"{dashes}/>'


def _head(x: float, y: float, up: int) -> str:
    """The arrow's head with its tip at (x, y); `up` 1 points upwards, -1 downwards."""
    foot = y + up * _HEAD
    return f'<path d="M{_number(x)} {_number(y)}L{_number(x - 4)} {_number(foot)}L{_number(x + 4)} {_number(foot)}Z" fill="{_GREY}"/>'


def _loop(at: tuple[float, float], size: _Size, arrow: Arrow) -> str:
    """Out of the box on its right, and in again above."""
    x, y, reach = at[0] + size.width / 2, at[1], _LOOP * 4 / 3  # a cubic curve reaches three quarters of the way to its handles
    far = _number(x + reach)
    way = f"M{_number(x)} {_number(y + 8)}C{far} {_number(y + 18)} {far} {_number(y - 18)} {_number(x + _HEAD - 1)} {_number(y - 8)}"
    tip = f"M{_number(x)} {_number(y - 8)}L{_number(x + 8.4)} {_number(y - 9.6)}L{_number(x + 6.4)} {_number(y - 2.6)}Z"
    drawn = _line(way, arrow) + f'<path d="{tip}" fill="{_GREY}"/>'
    if arrow.label:
        left = x + _LOOP + _LOOP_LABEL_GAP
        drawn += _text(left, y + 4, arrow.label, MAX_LABEL, f'{_MONO} font-size="{_LABEL_SIZE}" fill="{_INK}"')
    return drawn


def _label(x: float, y: float, arrow: Arrow) -> str:
    """On the line, with paper behind it."""
    width = _width(arrow) + 6
    paper = f'<rect x="{_number(x - width / 2)}" y="{_number(y - 9)}" width="{_number(width)}" height="18" fill="{_PAPER}"/>'
    return paper + _text(x, y + 4, arrow.label, MAX_LABEL, f'{_MONO} font-size="{_LABEL_SIZE}" fill="{_INK}" text-anchor="middle"')


def _frame(shape: Shape, at: tuple[float, float], size: _Size, panel: _Panel) -> str:
    """The box of an opened node: its name and mark at the top on the left, the graph below in the middle."""
    left, top = at[0] - size.width / 2, at[1] - size.height / 2
    colour, thick = (_EDGE, 1.2) if shape.mark is None else (_COLOUR[shape.mark], _THICK[shape.mark])
    drawn = f'<rect {_place(*at, size)} rx="10" fill="{_PAPER}" stroke="{colour}" stroke-width="{thick}"/>'
    drawn += _text(left + _PAD, top + 22, shape.name, MAX_NAME, f'{_MONO} font-size="{_NAME_SIZE}" fill="{_INK}"')
    if shape.mark is not None:
        drawn += _mark(left + _PAD + ems(shortened(shape.name, MAX_NAME)) * _NAME_SIZE + _TITLE_GAP, top + 18, shape.mark)
    drawn += f'<g transform="translate({_number(at[0] - panel.width / 2)} {_number(top + _TITLE)})">'
    return "\n".join([drawn, *panel.pieces, "</g>"])


def _place(x: float, y: float, size: _Size) -> str:
    return f'x="{_number(x - size.width / 2)}" y="{_number(y - size.height / 2)}" width="{_number(size.width)}" height="{_number(size.height)}"'


def _mark(left: float, y: float, mark: Mark) -> str:
    """The icon and the word; `y`: the middle of the icon."""
    colour = _COLOUR[mark]
    icon = f'<g transform="translate({_number(left + 6)} {_number(y)})" fill="{colour}" stroke="{colour}">{_ICON[mark]}</g>'
    return icon + _text(left + 18, y + 4, mark, MAX_NAME, f'{_SANS} font-size="{_WORD_SIZE}" fill="{colour}"')


def _shape(shape: Shape, at: tuple[float, float], size: _Size) -> str:
    x, y = at
    frame = _place(x, y, size)
    middle = f'{_MONO} font-size="{_NAME_SIZE}" text-anchor="middle"'
    match shape.kind:
        case "start" | "end":
            first = shape.id == START
            word = f'{_SANS} font-size="{_LABEL_SIZE}" text-anchor="middle" fill="{_PAPER if first else _GREY}"'
            return f'<rect {frame} rx="11" fill="{_GREY if first else _PAPER}" stroke="{_GREY}"/>' + _text(x, y + 4, shape.name, MAX_NAME, word)
        case "join":
            word = f'{_SANS} font-size="{_LABEL_SIZE}" fill="{_GREY}"'
            return f'<rect {frame} rx="2" fill="{_INK}"/>' + _text(x + size.width / 2 + 6, y + 4, shape.name, MAX_NAME, word)
        case "open":
            return _text(x, y + 4.5, shape.name, MAX_NAME, f'{middle} font-style="italic" fill="{_GREY}"')
    mark = shape.mark
    bars = _bars(x, y, size, _EDGE if mark is None else _COLOUR[mark]) if shape.nested else ""
    if mark is None:
        return f'<rect {frame} rx="6" fill="{_FILL}" stroke="{_EDGE}"/>{bars}' + _text(x, y + 4.5, shape.name, MAX_NAME, f'{middle} fill="{_INK}"')
    return (
        f'<rect {frame} rx="6" fill="{_TINT[mark]}" stroke="{_COLOUR[mark]}" stroke-width="{_THICK[mark]}"/>{bars}'
        + _text(x, y - 5, shape.name, MAX_NAME, f'{middle} fill="{_INK}"')
        + _mark(x - _mark_width(mark) / 2, y + 10, mark)
    )


def _bars(x: float, y: float, size: _Size, colour: str) -> str:
    """The flowchart sign for a procedure that is drawn elsewhere: a second line at either side."""
    top, inwards = y - size.height / 2, size.width / 2 - _BAR
    sides = "".join(f"M{_number(side)} {_number(top)}v{_number(size.height)}" for side in (x - inwards, x + inwards))
    return f'<path d="{sides}" stroke="{colour}"/>'


def _text(x: float, y: float, text: str, limit: int, attributes: str) -> str:
    shown = shortened(text, limit)
    whole = "" if shown == one_line(text) else f"<title>{_escaped(text)}</title>"
    return f'<text x="{_number(x)}" y="{_number(y)}" {attributes}>{whole}{escape(shown)}</text>'


def _escaped(text: str) -> str:
    return escape(one_line(text))


def _number(value: float) -> str:
    """At most one decimal: a tenth of a pixel is fine enough, and the same on every machine."""
    return f"{round(value, 1) + 0.0:g}"
