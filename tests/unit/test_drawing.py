"""The picture of a graph: what it shows, that it needs nothing from anywhere, and that no name can get out of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from enum import Enum
from functools import partial
from itertools import pairwise
from typing import Literal
from xml.etree import ElementTree as ET

import pytest

from hitl_nb import END, START, Command, Send, StateGraph

EVIL = '<b onload=alert(1)>"]'
NASTY = [
    EVIL,
    "a`b` --> n1",
    "1. list",
    "- x",
    "*bold* _it_ __init__",
    "&amp; &#60;",
    "end",
    "click n0 href",
    "](javascript:x)",
    "]]>",
    "<!--",
    "%%{init}%%",
    "style:#f;",
]
SVG = "{http://www.w3.org/2000/svg}"


def node(state):
    return {}


def graph(*edges, names=(), name="graph"):
    """A graph of these edges; a third item is the label of a choice."""
    builder = StateGraph()
    for n in dict.fromkeys([*names, *(n for edge in edges for n in edge[:2])]):
        if n not in (START, END):
            builder.add_node(n, node)
    choices = {}
    for source, target, *label in edges:
        if label:
            choices.setdefault(source, {})[label[0]] = target
        else:
            builder.add_edge(source, target)
    for source, ways in choices.items():
        builder.add_conditional_edges(source, lambda s: "", ways)
    return builder.compile(name=name)


def texts(picture):
    return ["".join(t.itertext()) for t in ET.fromstring(picture.svg).iter(f"{SVG}text")]


@pytest.fixture(scope="module")
def thirty():
    """30 nodes with branches, loops, a loop to itself, joins, promises, an open choice and a part that nothing leads to."""

    def triage(state) -> Command[Literal["web", "db", "ask"]]: ...

    def anywhere(state): ...

    names = [
        *(
            "intake",
            "validate",
            "triage",
            "web",
            "db",
            "ask",
            "parse_web",
            "parse_db",
            "merge",
            "dedupe",
            "enrich",
            "score",
            "classify",
            "low",
            "mid",
        ),
        *(
            "high",
            "escalate",
            "legal",
            "finance",
            "combine",
            "draft",
            "proofread",
            "de",
            "fr",
            "es",
            "layout",
            "publish",
            "archive",
            "notify",
            "cleanup",
        ),
    ]
    builder = StateGraph()
    for name in names:
        builder.add_node(name, triage if name == "triage" else node)
    for way in (
        "intake validate",
        "web parse_web",
        "db parse_db",
        "ask merge",
        "merge dedupe enrich score classify",
        "escalate legal",
        "escalate finance",
    ):
        steps = way.split()
        for source, target in pairwise(steps):
            builder.add_edge(source, target)
    for source, target in (("combine", "draft"), ("draft", "proofread"), ("proofread", "fr"), ("proofread", "es"), ("layout", "publish")):
        builder.add_edge(source, target)
    builder.add_edge(START, "intake").add_edge("publish", END).add_edge("archive", "cleanup").add_edge("notify", "cleanup")
    for sources, target in ((["parse_web", "parse_db"], "merge"), (["legal", "finance"], "combine"), (["de", "fr", "es"], "layout")):
        builder.add_edge(sources, target)
    builder.add_conditional_edges("validate", node, {"ok": "triage", "fix it": "intake", "hopeless": END})
    builder.add_conditional_edges("parse_web", node, {"again": "web"})
    builder.add_conditional_edges("classify", node, ["low", "mid", "high"])
    builder.add_conditional_edges("low", node, {True: "combine", False: "enrich"})
    builder.add_conditional_edges("mid", node, {"approve": "combine", "escalate": "escalate", "redo": "score"})
    builder.add_conditional_edges("high", node, {"fine": "combine", "not mine": "escalate"})
    builder.add_conditional_edges("proofread", node, {"rewrite": "draft", "from scratch": "merge", "good": "de"})
    builder.add_conditional_edges("layout", node, {"once more": "layout"})
    builder.add_conditional_edges("publish", anywhere)
    assert len(names) == 30
    return builder.compile(name="thirty"), names


# -- the three forms --------------------------------------------------------------------------------------------------------------------


def test_the_bundle_holds_mermaid_svg_and_text_and_nothing_that_would_win_over_them():
    picture = graph((START, "a")).draw()
    assert picture._repr_mimebundle_() == {"text/vnd.mermaid": picture.mermaid, "image/svg+xml": picture.svg, "text/plain": picture.text}


def test_a_notebook_gets_exactly_the_bundle():
    from IPython.core.formatters import DisplayFormatter

    data, metadata = DisplayFormatter().format(graph((START, "a")).draw())
    assert set(data) == {"text/vnd.mermaid", "image/svg+xml", "text/plain"}
    assert metadata == {}


def test_the_bundle_can_be_asked_for_some_of_its_forms():
    picture = graph((START, "a")).draw()
    assert set(picture._repr_mimebundle_(include={"text/plain"})) == {"text/plain"}
    assert set(picture._repr_mimebundle_(exclude={"text/plain"})) == {"text/vnd.mermaid", "image/svg+xml"}


def test_printing_the_picture_prints_its_text():
    picture = graph((START, "a"), ("a", END)).draw()
    assert str(picture) == picture.text == "start → a\na → end"


def test_the_text_tells_edges_from_choices_and_names_each_choice():
    assert (
        graph((START, "a"), ("a", "b"), ("a", "c"), ("b", "a", "again"), ("b", "c", "no"), ("b", "c", "never"), ("c", "d", "d")).draw().text
        == "start → a\na → b, c\nb → a (again) | c (no / never)\nc → d\nd"
    )


def test_the_text_of_a_join_names_all_that_it_waits_for():
    builder = StateGraph().add_node("a", node).add_node("b", node).add_node("c", node).add_edge(START, "a").add_edge(START, "b")
    picture = builder.add_edge(["a", "b"], "c").compile().draw()
    assert picture.text == "start → a, b\na + b → c\nc"
    assert "all" in texts(picture)


def test_the_mermaid_form_draws_choices_dotted_and_labelled():
    assert graph((START, "a"), ("a", "b", "yes"), ("b", END)).draw().mermaid.splitlines() == [
        "flowchart TD",
        '    n0(["start"])',
        '    n1["a"]',
        '    n2["b"]',
        '    n3(["end"])',
        "    n0 --> n1",
        '    n1 -.->|"yes"| n2',
        "    n2 --> n3",
    ]


def test_the_svg_draws_choices_dashed_and_edges_solid():
    picture = graph((START, "a"), ("a", "b", "yes"), ("b", END)).draw()
    lines = [p for p in ET.fromstring(picture.svg).iter(f"{SVG}path") if p.get("fill") == "none"]
    assert [p.get("stroke-dasharray") for p in lines] == [None, "5 4", None]


def test_thirty_nodes_are_all_there_with_every_label_in_every_form(thirty):
    compiled, names = thirty
    picture = compiled.draw()
    labels = [
        "ok",
        "fix it",
        "hopeless",
        "again",
        "True",
        "False",
        "approve",
        "redo",
        "fine",
        "not mine",
        "rewrite",
        "from scratch",
        "good",
        "once more",
    ]
    drawn = texts(picture)
    for name in [*names, *labels, "anywhere()", "start", "end"]:
        assert name in drawn
        assert name in picture.text
        assert name.replace("()", "#40;#41;") in picture.mermaid
    assert drawn.count("all") == 3
    assert "publish → end; ? anywhere()" in picture.text


# -- what functions promise -------------------------------------------------------------------------------------------------------------


def routed(path, mapping=None):
    builder = StateGraph().add_node("a", node).add_node("b", node).add_edge(START, "a")
    return builder.add_conditional_edges("a", path, mapping).compile().draw().text.splitlines()[1]


def test_a_choice_that_says_nowhere_where_it_goes_is_drawn_as_open():
    class Router:
        def __call__(self, state): ...

    def route(state, extra=None) -> str: ...

    assert routed(route) == "a → ? route()"
    assert routed(partial(route, extra=1)) == "a → ? route()"
    assert routed(lambda s: "b") == "a → ? lambda()"
    assert routed(Router()) == "a → ? __call__()"


def test_a_choice_annotated_with_its_targets_goes_to_those():
    def route(state) -> Literal["b", "__end__"]: ...

    async def several(state) -> list[Literal["a", "b"]] | None: ...

    def sends(state) -> list[Send]: ...

    assert routed(route) == "a → b | end"
    assert routed(several) == "a → a | b"
    assert routed(sends) == "a → ? sends()"


def test_a_mapping_wins_over_the_annotation():
    def route(state) -> Literal["a"]: ...

    assert routed(route, {"a": "b"}) == "a → b (a)"


def test_choices_that_are_no_text_are_labelled_as_they_print():
    class Verdict(Enum):
        GOOD = 1

    assert routed(node, {True: "b", Verdict.GOOD: "a", 3: "b"}) == "a → b (True / 3) | a (Verdict.GOOD)"


def goes(fn):
    builder = StateGraph().add_node("a", fn).add_node("b", node).add_node("c", node).add_edge(START, "a")
    return builder.compile().draw().text.splitlines()[1]


def test_the_targets_of_a_command_are_read_from_the_nodes_annotation():
    def written(state: Unknown) -> Command[Literal["b", "c"]]: ...  # noqa: F821  # a parameter nobody can read does not hide the targets

    def plain(state) -> Command[Literal["c", "__end__", "gone"]]: ...

    def optional(state) -> dict | Command[Literal["b"]] | None: ...

    def evaluated(state): ...

    evaluated.__annotations__["return"] = Command[Literal["c"]]  # as without `from __future__ import annotations`
    assert goes(written) == "a → b | c"
    assert goes(plain) == "a → c | end"
    assert goes(optional) == "a → b"
    assert goes(evaluated) == "a → c"


def test_an_annotation_that_cannot_be_read_or_promises_nothing_draws_nothing():
    def unknown(state) -> Nothing.like[it]: ...  # noqa: F821  # that is the point

    def other(state) -> dict[Literal["b"], int]: ...

    def bare(state) -> Command: ...

    assert {goes(fn) for fn in (unknown, other, bare, print)} == {"a"}


def test_a_command_with_named_targets_still_is_a_command():
    assert Command[Literal["b"]](goto="b") == Command(goto="b")


# -- nothing gets in, nothing gets out ----------------------------------------------------------------------------------------------------

PLAIN_SVG = {
    "svg": {"viewBox", "width", "height", "role", "style"},
    "title": set(),
    "g": {"transform", "fill", "stroke"},
    "rect": {"x", "y", "width", "height", "rx", "fill", "stroke", "stroke-width"},
    "path": {"d", "fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin"},
    "circle": {"r", "fill", "stroke", "stroke-width"},
    "text": {"x", "y", "font-family", "font-size", "font-style", "text-anchor", "fill"},
}
"""All that the picture is made of: no script, no style sheet, no link, no reference, no foreign object."""


@pytest.mark.parametrize("name", NASTY)
def test_no_name_label_or_title_becomes_markup(name):
    picture = graph((START, name), (name, "b", name + "?"), ("b", END), name=name).draw()
    root = ET.fromstring(picture.svg)
    for element in root.iter():
        assert set(element.attrib) <= PLAIN_SVG[element.tag.removeprefix(SVG)]
    assert "url(" not in picture.svg
    assert picture.svg.count("//") == 1, "the name of the SVG namespace, and no address"
    assert {name, name + "?"} <= set(texts(picture))
    assert root.find(f"{SVG}title").text == name


@pytest.mark.parametrize("name", NASTY)
def test_no_name_gets_out_of_its_quotes_in_mermaid(name):
    lines = graph((START, name), (name, "b", name + "?"), ("b", END)).draw().mermaid.splitlines()
    entity = r"(?:[^\W_]|[ ]|#\d+;|(?<=[^\W_])_(?=[^\W_]))+"
    assert re.fullmatch(rf'    n1\["{entity}"\]', lines[2])
    assert re.fullmatch(rf'    n1 -\.->\|"{entity}"\| n2', lines[6])
    shown = re.search(r'"(.*)"', lines[2])[1]
    assert re.sub(r"#(\d+);", lambda found: chr(int(found[1])), shown) == name


def test_what_xml_cannot_hold_or_what_turns_the_text_around_is_replaced():
    picture = graph((START, "a\u202eb"), ("a\u202eb", "c\ud800", "x\x00y\n z"), ("c\ud800", "d\ufffe\x9b")).draw()
    assert {"a\ufffdb", "c\ufffd", "x\ufffdy z", "d\ufffd\ufffd"} <= set(texts(picture))
    for form in picture._repr_mimebundle_().values():
        assert form.encode() is not None
        assert not set(form) & set("\u202e\x00\ufffe\x9b")


def test_a_choice_of_blanks_is_still_a_choice():
    picture = graph((START, "a"), ("a", "b", "  ")).draw()
    assert '-.->|" "|' in picture.mermaid
    ET.fromstring(picture.svg)


def test_a_long_name_keeps_both_its_ends_and_is_whole_in_the_text():
    name = "fetch_" + "x" * 80 + "_de"
    picture = graph((START, name), name=name).draw()
    (shown,) = (t for t in texts(picture) if "…" in t)
    assert shown.startswith(name)
    drawn = next(t for t in ET.fromstring(picture.svg).iter(f"{SVG}text") if t.find(f"{SVG}title") is not None)
    assert drawn.find(f"{SVG}title").text == name
    assert re.fullmatch(r"fetch_x+…x+_de", drawn.find(f"{SVG}title").tail)
    assert len(drawn.find(f"{SVG}title").tail) == 32
    assert name in picture.text
    assert name in picture.mermaid


def test_a_box_is_wide_enough_for_wide_letters():
    def width(name):
        root = ET.fromstring(graph((START, name)).draw().svg)
        return max(float(r.get("width")) for r in root.iter(f"{SVG}rect") if r.get("rx") == "6")

    assert width("審査審査審査審査") > 8 * 13
    assert width("審査審査審査審査") > width("reviewxy") > 8 * 0.6 * 13


# -- the same bytes -----------------------------------------------------------------------------------------------------------------------

DRAWN_ELSEWHERE = """
from hitl_nb import END, START, StateGraph
b = StateGraph()
for n in "abcdefgh":
    b.add_node(n, lambda s: {})
b.add_edge(START, "a").add_edge("a", "b").add_edge("a", "c").add_edge(["b", "c"], "d").add_edge("g", "h").add_edge("e", END)
b.add_conditional_edges("d", lambda s: "", {"x": "a", "y": "e", "z": "f", "w": "d"}).add_conditional_edges("f", lambda s: "")
p = b.compile().draw()
print(repr((p.svg, p.mermaid, p.text)))
"""


def test_the_same_graph_gives_the_same_bytes_in_every_process():
    outs = {
        subprocess.run(
            [sys.executable, "-c", DRAWN_ELSEWHERE],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outs) == 1


def test_drawing_twice_gives_the_same_bytes(thirty):
    assert thirty[0].draw() == thirty[0].draw()
