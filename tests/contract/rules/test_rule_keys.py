"""R22: a state key that is a kind of str (of a StrEnum, of NumPy) is the key that it says, wherever it comes from; what is no str is no key."""

from __future__ import annotations

from collections import UserString
from enum import Enum, StrEnum
from operator import add
from typing import Annotated, TypedDict

import numpy as np
import pytest

from hitl_nb.errors import NodeOutputError
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.types import START, Command


class Column(StrEnum):
    PRICE = "price"


class OldColumn(str, Enum):  # noqa: UP042  # what many still write
    PRICE = "price"


class Row(TypedDict, total=False):
    price: Annotated[list, add]
    note: str


KINDS = pytest.mark.parametrize("key", [Column.PRICE, OldColumn.PRICE, np.str_("price")], ids=["StrEnum", "str Enum", "NumPy"])
SCHEMAS = pytest.mark.parametrize("schema", [Row, None], ids=["TypedDict", "free-form"])


def plain(values):
    """The values, of which each key is a str and nothing more."""
    assert {type(key) for key in values} == {str}
    return dict(values)


@KINDS
@SCHEMAS
def test_each_way_to_write_takes_any_kind_of_str_as_a_key(saver, run, cfg, key, schema):
    def ask(state):
        return Command(update={key: [interrupt("How much?")]})

    builder = StateGraph(schema).add_node("a", lambda state: {key: ["a"]}).add_node("b", lambda state: {"note": "b"}).add_node("ask", ask)
    graph = builder.add_edge(START, "a").add_edge(START, "b").add_edge("a", "ask").compile(saver)
    run(graph, {key: ["in"]}, cfg)
    result = run(graph, Command(resume=3), cfg)
    assert plain(result) == {"price": ["in", "a", 3] if schema else [3], "note": "b"}
    graph.update_state(cfg, {key: ["out"]})
    assert plain(graph.get_state(cfg).values)["price"][-1] == "out"


@KINDS
@SCHEMAS
@pytest.mark.parametrize("beside", [False, True])
def test_so_it_is_without_a_checkpointer(run, key, schema, beside):
    builder = StateGraph(schema).add_node("a", lambda state: {key: ["a"]}).add_node("b", lambda state: {"note": "b"}).add_edge(START, "a")
    builder.add_edge(START if beside else "a", "b")
    assert plain(run(builder.compile(), {}, {})) == {"price": ["a"], "note": "b"}


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("stored", [False, True])
def test_what_only_equals_a_key_is_none(saver, run, cfg, stored, beside):
    builder = StateGraph(Row).add_node("a", lambda state: {UserString("note"): "a"}).add_node("b", lambda state: None).add_edge(START, "a")
    builder.add_edge(START if beside else "a", "b")
    with pytest.raises(NodeOutputError, match="state keys are str"):
        run(builder.compile(saver if stored else None), {}, cfg)
