"""The layout: boxes apart, lines down except loops, nothing drawn over anything else, for any graph."""

from __future__ import annotations

from itertools import combinations, pairwise
from random import Random

import pytest

from hitl_nb.graph.drawing.columns import Box, keep_apart
from hitl_nb.graph.drawing.layers import Rows, Span, arrange, assign, crossings, loops
from hitl_nb.graph.drawing.layout import Link, lay_out


def box(width=80.0, height=32.0, beside=0.0):
    return Box(width / 2, width / 2 + beside, height, width / 2 - 12)


def label(width=50.0):
    return Box(width / 2, width / 2, 18, 0)


def chain(*names):
    return [Link(a, b) for a, b in pairwise(names)]


def random_graph(seed):
    """Up to 30 boxes of all sizes, with loops, labels, double links, long links and boxes that nothing leads to."""
    rng = Random(seed)
    names = [f"n{i}" for i in range(rng.randint(2, 30))]
    boxes = {n: box(rng.choice([54, 80, 200]), rng.choice([6, 22, 32, 48]), rng.choice([0, 0, 90])) for n in names}
    links = []
    for _ in range(int(len(names) * rng.uniform(0.5, 2.0))):
        source, target = rng.sample(names, 2)
        if rng.random() < 0.75 and names.index(source) > names.index(target):
            source, target = target, source
        links.append(Link(source, target, label(rng.choice([20, 50, 180])) if rng.random() < 0.4 else None))
    return boxes, links


def frame(at, room):
    (x, y), half = at, room.height / 2
    return x - room.left, y - half, x + room.right, y + half


def touch(a, b):
    hair = 0.001  # places are sums of floats
    return a[0] + hair < b[2] and b[0] + hair < a[2] and a[1] + hair < b[3] and b[1] + hair < a[3]


def pieces(route):
    """The frames that the pieces of a line stay in: its straight runs, and the curves between them."""
    for x, top, bottom in route.runs:
        yield x, top, x, bottom
    for (x, _, bottom), (next_x, next_top, _) in pairwise(route.runs):
        yield min(x, next_x), bottom, max(x, next_x), next_top


RANDOM = pytest.mark.parametrize("seed", range(60))


@RANDOM
def test_boxes_and_labels_do_not_touch_each_other(seed):
    boxes, links = random_graph(seed)
    layout = lay_out(boxes, links)
    frames = [frame(layout.at[n], room) for n, room in boxes.items()]
    frames += [frame(layout.routes[n].label_at, link.label) for n, link in enumerate(links) if link.label]
    assert [pair for pair in combinations(frames, 2) if touch(*pair)] == []


@RANDOM
def test_everything_lies_inside_the_picture(seed):
    boxes, links = random_graph(seed)
    layout = lay_out(boxes, links)
    frames = [frame(layout.at[n], room) for n, room in boxes.items()]
    frames += [piece for route in layout.routes.values() for piece in pieces(route)]
    frames += [frame(layout.routes[n].label_at, link.label) for n, link in enumerate(links) if link.label]
    assert min(min(f[0], f[1]) for f in frames) >= -0.001
    assert max(f[2] for f in frames) <= layout.width + 0.001
    assert max(f[3] for f in frames) <= layout.height + 0.001


@RANDOM
def test_a_line_touches_its_own_two_boxes_and_no_other_box_or_label(seed):
    boxes, links = random_graph(seed)
    layout = lay_out(boxes, links)
    frames = {n: frame(layout.at[n], room) for n, room in boxes.items()}
    labels = {n: frame(layout.routes[n].label_at, link.label) for n, link in enumerate(links) if link.label}
    for n, link in enumerate(links):
        route = layout.routes[n]
        upper, lower = (link.target, link.source) if route.upward else (link.source, link.target)
        (first_x, top, _), (last_x, _, bottom) = route.runs[0], route.runs[-1]
        assert top == pytest.approx(frames[upper][3])
        assert bottom == pytest.approx(frames[lower][1])
        assert abs(first_x - layout.at[upper][0]) <= boxes[upper].ports + 0.001
        assert abs(last_x - layout.at[lower][0]) <= boxes[lower].ports + 0.001
        others = [f for i, f in frames.items() if i not in (upper, lower)] + [f for i, f in labels.items() if i != n]
        assert [(piece, other) for piece in pieces(route) for other in others if touch(piece, other)] == []


@RANDOM
def test_lines_run_down_and_only_what_closes_a_loop_is_walked_upwards(seed):
    boxes, links = random_graph(seed)
    layout = lay_out(boxes, links)
    for n, link in enumerate(links):
        route = layout.routes[n]
        ends = [round(y, 3) for _, top, bottom in route.runs for y in (top, bottom)]
        assert ends == sorted(ends)
        assert (layout.at[link.source][1] > layout.at[link.target][1]) == route.upward
        if route.upward:
            assert leads(links, link.target, link.source)


def leads(links, start, end):
    reached, waiting = set(), [start]
    while waiting:
        here = waiting.pop()
        if here not in reached:
            reached.add(here)
            waiting += [link.target for link in links if link.source == here]
    return end in reached


def test_a_chain_stands_in_one_straight_column():
    layout = lay_out({n: box(w) for n, w in (("a", 50), ("b", 200), ("c", 80))}, chain("a", "b", "c"))
    assert len({x for x, _ in layout.at.values()}) == 1
    assert all(x == layout.at["a"][0] for route in layout.routes.values() for x, _, _ in route.runs)
    assert layout.at["a"][1] < layout.at["b"][1] < layout.at["c"][1]


def test_a_loop_beside_it_does_not_bend_the_way_on():
    layout = lay_out({n: box() for n in "abc"}, [*chain("a", "b", "c"), Link("b", "a", label())])
    assert not layout.routes[0].upward
    assert layout.routes[2].upward
    bend = [x for x, _, _ in layout.routes[0].runs]
    assert max(bend) - min(bend) < 0.5


def test_a_column_is_straight_although_labelled_lines_run_beside_it():
    layout = lay_out({n: box() for n in "abcdef"}, [*chain(*"abcdef"), Link("e", "b", label()), Link("a", "f", label(150))])
    assert len({round(layout.at[n][0], 3) for n in "bcde"}) == 1


def test_what_hangs_on_a_straightened_column_moves_along():
    links = [
        Link("s", "v"),
        Link("v", "t", label(20)),
        Link("v", "z", label(80)),
        *chain(*"tabc"),
        Link("c", "z"),
        Link("c", "o"),
        Link("b", "t", label(60)),
    ]
    layout = lay_out({n: box() for n in "svtabczo"}, links)
    assert layout.at["o"][0] == pytest.approx(layout.at["c"][0], abs=0.5)


def test_two_lines_between_the_same_boxes_are_apart():
    layout = lay_out({"a": box(), "b": box()}, [Link("a", "b"), Link("b", "a")])
    there, back = (layout.routes[n].runs[0][0] for n in (0, 1))
    assert abs(there - back) >= 10


def test_a_long_line_is_straight_where_nothing_is_in_its_way():
    names = "abcdefgh"
    layout = lay_out({n: box() for n in names}, [*chain(*names), Link("a", "h")])
    assert len({round(x, 6) for x, _, _ in layout.routes[7].runs[1:-1]}) == 1


def test_unconnected_parts_stand_side_by_side_until_the_row_is_full():
    layout = lay_out({f"n{i}": box(200) for i in range(8)}, [])
    tops = [y for _, y in layout.at.values()]
    assert tops[:3] == [tops[0]] * 3
    assert max(tops) > tops[0]
    assert layout.width < 1000


def test_what_nothing_leads_to_stands_right_above_what_it_leads_to():
    row = assign(["s", "a", "b", "late"], [Span("s", "a"), Span("a", "b"), Span("late", "b")])
    assert row == {"s": 0, "a": 1, "b": 2, "late": 1}


def test_loops_are_what_leads_back_to_the_way_from_the_start():
    arrows = [("s", "a"), ("a", "b"), ("b", "a"), ("b", "c"), ("c", "s"), ("a", "c")]
    assert loops(["s", "a", "b", "c"], arrows) == {2, 4}


@pytest.mark.parametrize(
    ("ways", "fewest"),
    [
        ("sa sb sc sd dv bw cx by av aw", 0),  # only sorting by neighbours uncrosses it
        ("dv cy dz dw bz aw av", 1),  # a and d meet twice; sorting alone leaves a second crossing
    ],
)
def test_ways_are_uncrossed_as_far_as_they_can_be(ways, fewest):
    spans = dict(enumerate(Span(upper, lower) for upper, lower in ways.split()))
    ids = list(dict.fromkeys("".join(ways.split())))
    assert crossings(arrange(ids, spans, assign(ids, list(spans.values())))) == fewest


def test_crossings_are_counted():
    down = {"a": ["y", "x"], "b": ["x"], "c": ["x", "y"]}
    assert crossings(Rows([["a", "b", "c"], ["x", "y"]], {}, down)) == 2


def test_places_are_kept_apart_with_as_little_moving_as_possible():
    assert keep_apart([(0, 1), (0, 1), (100, 1)], [10, 10]) == [-5, 5, 100]
    assert keep_apart([(0, 9), (0, 1)], [10]) == pytest.approx([-1, 9])


def test_a_chain_of_thousands_does_not_exhaust_the_stack():
    names = [f"n{i}" for i in range(3000)]
    assert lay_out({n: box() for n in names}, chain(*names)).at["n2999"][1] > 3000
