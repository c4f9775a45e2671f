"""Graphs inside nodes in the picture: one box that says so, or opened, with everything inside its frame."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import combinations, pairwise
from random import Random
from xml.etree import ElementTree as ET

import pytest

from hitl_nb import END, START, StateGraph
from hitl_nb.errors import GraphError

SVG = "{http://www.w3.org/2000/svg}"
NASTY = [
    '<b onload=alert(1)>"]',
    "end",
    "subgraph",
    "direction LR",
    "Direction TB n1",
    "]]",
    "%%{init}%%",
    "style n1_0 fill:red",
    "class n1 done",
    "審査審査",
    "&amp; &#60;",
    "x" * 60,
]


def node(state):
    return {}


def graph(*edges, **inside):
    """A graph of these edges; a third item is the label of a choice. `inside`: the graphs that its nodes run."""
    builder = StateGraph()
    for name in dict.fromkeys(n for edge in edges for n in edge[:2]):
        if name not in (START, END):
            builder.add_node(name, node)
    choices = {}
    for source, target, *label in edges:
        if label:
            choices.setdefault(source, {})[label[0]] = target
        else:
            builder.add_edge(source, target)
    for source, ways in choices.items():
        builder.add_conditional_edges(source, node, ways)
    return holding(builder.compile(name="g"), **inside)


def holding(compiled, **inside):
    for name, inner in inside.items():
        compiled.topology.nodes[name] = replace(compiled.topology.nodes[name], subgraph=inner)
    return compiled


@pytest.fixture
def nested():
    """`mid` runs `a` and `deep`, which runs `x`."""
    deep = graph((START, "x"), ("x", END))
    middle = graph((START, "a"), ("a", "deep"), ("deep", END), deep=deep)
    return graph((START, "in"), ("in", "mid"), ("mid", "out", "yes"), ("mid", "in", "no"), ("out", END), mid=middle)


def texts(svg):
    return ["".join(t.itertext()) for t in ET.fromstring(svg).iter(f"{SVG}text")]


# -- closed -----------------------------------------------------------------------------------------------------------------------------


def test_a_node_that_runs_a_graph_is_one_box_that_says_so(nested):
    picture = nested.draw()
    assert picture.text == "start → in\nin → mid\nmid {graph} → out (yes) | in (no)\nout → end"
    assert '    n2[["mid"]]' in picture.mermaid.splitlines()
    assert '    n1["in"]' in picture.mermaid.splitlines()
    assert sorted(texts(picture.svg)) == sorted(["start", "in", "mid", "out", "end", "yes", "no"])
    bars = [p for p in ET.fromstring(picture.svg).iter(f"{SVG}path") if re.fullmatch(r"(M[-\d. ]+v32){2}", p.get("d"))]
    assert len(bars) == 1, "a second line at either side of its box, and of no other's"


# -- opened -----------------------------------------------------------------------------------------------------------------------------


def test_opened_the_text_has_the_inner_nodes_indented_below(nested):
    assert nested.draw(xray=True).text.splitlines() == [
        "start → in",
        "in → mid",
        "mid → out (yes) | in (no)",
        "    start → a",
        "    a → deep",
        "    deep → end",
        "        start → x",
        "        x → end",
        "out → end",
    ]


def test_opened_mermaid_has_a_cluster_with_the_node_as_its_top_and_ids_of_its_own(nested):
    assert nested.draw(xray=True).mermaid.splitlines() == [
        "flowchart TD",
        '    n0(["start"])',
        '    n1["in"]',
        '    subgraph n2[" "]',
        '        n2_0[["mid"]]',
        '        n2_1["a"]',
        '        subgraph n2_2[" "]',
        '            n2_2_0[["deep"]]',
        '            n2_2_1["x"]',
        '            n2_2_2(["end"])',
        "            n2_2_0 --> n2_2_1",
        "            n2_2_1 --> n2_2_2",
        "        end",
        '        n2_3(["end"])',
        "        n2_0 --> n2_1",
        "        n2_1 --> n2_2_0",
        "        n2_2_2 --> n2_3",
        "    end",
        '    n3["out"]',
        '    n4(["end"])',
        "    n0 --> n1",
        "    n1 --> n2_0",
        '    n2_3 -.->|"yes"| n3',
        '    n2_3 -.->|"no"| n1',
        "    n3 --> n4",
        "    classDef frame fill:none,stroke:#8c8c8c",
        "    class n2,n2_2 frame",
    ]


def test_a_cluster_of_a_graph_that_names_no_end_gets_one_after_its_last_nodes():
    inner = graph((START, "a"), ("a", "b"), ("a", "c"))
    lines = [line.strip() for line in graph((START, "mid"), ("mid", END), mid=inner).draw(xray=True).mermaid.splitlines()]
    assert 'n1_4(["end"])' in lines
    assert {"n1_2 --> n1_4", "n1_3 --> n1_4", "n1_4 --> n2"} <= set(lines)
    assert "n1_1 --> n1_4" not in lines
    endless = graph((START, "a"), ("a", "a"))
    assert "        n1_0 --> n1_2" in graph((START, "mid"), ("mid", END), mid=endless).draw(xray=True).mermaid.splitlines()


def test_an_opened_node_before_a_join_has_its_own_line_in_the_text():
    builder = StateGraph().add_node("a", node).add_node("mid", node).add_node("z", node).add_edge(START, "a").add_edge(START, "mid")
    g = holding(builder.add_edge(["a", "mid"], "z").compile(), mid=graph((START, "x")))
    assert g.draw(xray=True).text == "start → a, mid\nmid\n    start → x\n    x\na + mid → z\nz"
    assert g.draw().text == "start → a, mid\na + mid {graph} → z\nz"


def test_a_number_opens_so_many_levels(nested):
    assert nested.draw(xray=0) == nested.draw(xray=False) == nested.draw()
    assert "    deep {graph} → end" in nested.draw(xray=1).text.splitlines()
    assert nested.draw(xray=1).mermaid.count("subgraph") == 1
    assert nested.draw(xray=2) == nested.draw(xray=9) == nested.draw(xray=True)


@pytest.mark.parametrize("xray", [-1, 1.5, "all", None])
def test_anything_else_is_refused(nested, xray):
    with pytest.raises(GraphError, match="True, False, or how many levels"):
        nested.draw(xray=xray)


def test_a_graph_without_graphs_in_it_looks_the_same_opened():
    g = graph((START, "a"), ("a", END))
    assert g.draw(xray=True) == g.draw()


def test_the_same_graph_gives_the_same_bytes(nested):
    assert nested.draw(xray=True) == nested.draw(xray=True)


def test_declared_destinations_are_drawn_as_choices():
    builder = StateGraph().add_node("a", node, destinations=["b", END]).add_node("b", node).add_edge(START, "a")
    assert builder.compile().draw().text == "start → a\na → b | end\nb"


# -- frames -----------------------------------------------------------------------------------------------------------------------------


def random_graph(rng, depth):
    """Up to ten nodes with loops, choices and graphs in graphs."""
    names = [f"n{depth}{i}" for i in range(rng.randint(1, 10))]
    edges = [(START, names[0])]
    for n, name in enumerate(names):
        for target in rng.sample([*names, END], rng.randint(0, 2)):
            edges.append((name, target, f"{name} to {target}") if rng.random() < 0.6 else (name, target))
        if n:
            edges.append((names[n - 1], name))
    inside = {name: random_graph(rng, depth - 1) for name in names if depth and rng.random() < 0.3}
    return graph(*edges, **inside)


def drawn(svg):
    """The frames of opened nodes, other boxes and texts as (left, top, right, bottom), by how deep they stand."""
    found = []

    def walk(element, x, y, depth):
        for part in element:
            tag = part.tag.removeprefix(SVG)
            if tag == "g" and (move := re.fullmatch(r"translate\((\S+) (\S+)\)", part.get("transform", ""))):
                walk(part, x + float(move[1]), y + float(move[2]), depth + 1)
            elif tag == "rect" and part.get("x") is not None:
                left, top, width, height = (float(part.get(key)) for key in ("x", "y", "width", "height"))
                kind = {"10": "frame", "6": "box", "11": "box", "2": "box"}.get(part.get("rx"), "label")
                found.append((kind, depth, (x + left, y + top, x + left + width, y + top + height)))
            elif tag == "text":
                size, anchor = float(part.get("font-size")), part.get("text-anchor", "start")
                width = 0.61 * size * len(part.text or part[0].tail)
                left = x + float(part.get("x")) - (width / 2 if anchor == "middle" else 0)
                bottom = y + float(part.get("y"))
                kind = "title" if found and found[-1][0] == "frame" else "text"
                found.append((kind, depth, (left, bottom - 0.7 * size, left + width, bottom)))

    root = ET.fromstring(svg)
    walk(root, 0, 0, 0)
    return found, (float(root.get("width")), float(root.get("height")))


def holds(outer, inner, margin=0.0):
    left, top, right, bottom = outer
    slack = 0.2 - margin  # places are rounded to a tenth
    return left <= inner[0] + slack and top <= inner[1] + slack and inner[2] <= right + slack and inner[3] <= bottom + slack


def apart(a, b):
    return a[2] <= b[0] + 0.2 or b[2] <= a[0] + 0.2 or a[3] <= b[1] + 0.2 or b[3] <= a[1] + 0.2


@pytest.mark.parametrize("seed", range(30))
def test_frames_hold_all_of_their_graph_and_nothing_else(seed):
    found, size = drawn(random_graph(Random(seed), 2).draw(xray=True).svg)
    everything = [rect for _, _, rect in found]
    assert all(holds((0, 0, *size), rect) for rect in everything)
    boxes = [(kind, rect) for kind, _, rect in found if kind not in ("text", "title")]
    for (one, a), (other, b) in combinations(boxes, 2):
        within = (one == "frame" and holds(a, b, 10)) or (other == "frame" and holds(b, a, 10))
        assert within or apart(a, b), (one, a, other, b)
    for frame in (rect for kind, _, rect in found if kind == "frame"):
        assert all(holds(frame, rect, 4) or apart(frame, rect) for kind, _, rect in found if kind in ("text", "title")), "no text on a frame's line"
    for title in (rect for kind, _, rect in found if kind == "title"):
        assert all((kind == "frame" and holds(rect, title)) or apart(title, rect) for kind, rect in boxes)


def test_a_long_name_fits_into_the_title_of_its_frame():
    name = "gather_" + "x" * 60
    found, _ = drawn(graph((START, name), **{name: graph((START, "a"))}).draw(xray=True).svg)
    (frame,) = (rect for kind, _, rect in found if kind == "frame")
    (title,) = (rect for kind, _, rect in found if kind == "title")
    assert holds(frame, title, 10)


def test_a_label_beside_a_frame_stands_where_the_choice_is_made():
    inner = graph(*((f"s{i}", f"s{i + 1}") for i in range(8)), (START, "s0"))
    svg = graph((START, "pick"), ("pick", "mid"), ("pick", "last", "skip"), ("mid", "last"), mid=inner).draw(xray=True).svg
    found, _ = drawn(svg)
    (frame,) = (rect for kind, _, rect in found if kind == "frame")
    (label,) = (rect for kind, _, rect in found if kind == "label")
    assert frame[3] - frame[1] > 400
    assert label[3] < frame[1] + 60


# -- names ------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hostile():
    inner = graph((START, NASTY[0]), *pairwise(NASTY), (NASTY[-1], END))
    return graph((START, NASTY[0]), *((a, b, "`" + a) for a, b in pairwise(NASTY)), **dict.fromkeys(NASTY, inner))


def test_no_name_gets_out_of_the_svg(hostile):
    picture = hostile.draw(xray=True)
    root = ET.fromstring(picture.svg)
    assert {e.tag.removeprefix(SVG) for e in root.iter()} <= {"svg", "title", "g", "rect", "path", "text"}
    shown = texts(picture.svg)
    for name in NASTY[:-1]:
        assert shown.count(name) == 1 + len(NASTY) + (len(NASTY) if name == "end" else 0), "once outside and once in each graph"
    titles = [t.text for t in root.iter(f"{SVG}title")]
    assert titles.count(NASTY[-1]) == 1 + len(NASTY), "what was cut is whole in the tooltip"


def test_no_name_gets_out_of_its_quotes_in_mermaid(hostile):
    entity = r"(?:[^\W_]|[ ]|#\d+;|(?<=[^\W_])_(?=[^\W_]))+"
    box = rf'(\[\["{entity}"\]\]|\["{entity}"\]|\(\["{entity}"\]\))'
    line = rf'flowchart TD|subgraph n\d+\[" "\]|end|n[\d_]+{box}|n[\d_]+ (-->|-\.->\|"{entity}"\|) n[\d_]+|class(Def)? [\w, #:]+'
    for shown in hostile.draw(xray=True).mermaid.splitlines():
        assert re.fullmatch(line, shown.strip()), shown
        assert not re.search(r"direction\s+(TB|TD|BT|LR|RL)", shown, re.IGNORECASE), "Mermaid would read it as a statement, quotes or not"
