"""State keys: how writes combine, what is dropped, what an absent key reads as."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field, make_dataclass
from enum import Enum
from functools import partial
from operator import add
from typing import Annotated, ClassVar, Generic, NotRequired, Required, TypedDict, TypeVar

import pydantic.v1
import pytest
import typing_extensions as te
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, RootModel, field_validator, model_validator

from hitl_nb.errors import ConcurrentUpdateError, GraphError, InvalidStateError, UnknownStateKeyWarning
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.state.schema import StateSchema
from hitl_nb.graph.state.state_class import node_input


class Color(Enum):
    RED = "red"


@dataclass
class Item:
    color: Color


def extend(old, new):
    old.extend(new)
    return old


class State(TypedDict, total=False):
    plain: int
    log: Annotated[list[str], add]
    maybe: NotRequired[Annotated[list[str], add]]
    must: Required[str]
    items: Annotated[Sequence[Item], add]
    total: Annotated[int, add, "a remark that is no reducer"]
    noted: Annotated[str, "only a remark"]
    optional: Annotated[list | None, lambda old, new: (old or []) + (new or [])]
    in_place: Annotated[list, extend]


def wrote(key, value, task="t", node="n"):
    return (task, node, [(key, value)])


def test_the_keys_are_those_of_the_typed_dict():
    assert list(StateSchema(State).keys) == list(State.__annotations__)


def test_a_free_form_state_takes_any_key_and_the_last_write_wins():
    values, written = StateSchema().apply({"a": 1}, [wrote("a", 2), wrote("b", 3)])
    assert values == {"a": 2, "b": 3}
    assert written == {"a", "b"}


def test_keys_with_a_reducer_begin_empty_and_others_are_absent():
    assert StateSchema(State).initial() == {"log": [], "maybe": [], "items": [], "total": 0, "in_place": []}


def test_the_first_write_to_a_reducer_without_an_empty_value_is_taken_as_it_is():
    assert StateSchema(State).apply({}, [wrote("optional", ["x"])])[0] == {"optional": ["x"]}


def test_reducers_combine_in_the_order_of_the_writes():
    schema = StateSchema(State)
    values, _ = schema.apply(schema.initial(), [wrote("log", ["a"], "t1"), wrote("log", ["b"], "t2"), wrote("total", 2), wrote("total", 3)])
    assert values["log"] == ["a", "b"]
    assert values["total"] == 5


def test_applying_leaves_the_old_state_alone():
    schema = StateSchema(State)
    old = {"plain": 1, "log": ["x"], "in_place": ["x"]}
    schema.apply(old, [wrote("plain", 2), wrote("log", ["y"]), wrote("in_place", ["y"])])
    assert old == {"plain": 1, "log": ["x"], "in_place": ["x"]}


def test_two_tasks_that_write_one_plain_key_are_an_error_that_names_them():
    with pytest.raises(ConcurrentUpdateError, match=r"'one' and 'two' both wrote state\['plain'\]") as caught:
        StateSchema(State).apply({}, [wrote("plain", 1, "t1", "one"), wrote("plain", 1, "t2", "two")])
    assert caught.value.key == "plain"


def test_one_task_may_write_a_key_twice():
    assert StateSchema(State).apply({}, [wrote("plain", 1), wrote("plain", 2)])[0] == {"plain": 2}


def test_an_unknown_key_is_dropped_and_warned_about_once():
    schema = StateSchema(State)
    with pytest.warns(UnknownStateKeyWarning, match=r"n wrote state\['palin'\].*Known keys: plain"):
        values, written = schema.apply({}, [wrote("palin", 1)])
    assert values == {}
    assert written == set()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schema.apply({}, [wrote("palin", 1)])


def test_the_classes_that_annotations_name_are_collected_inner_ones_too():
    outer = make_dataclass("Outer", [("color", Color)])
    assert StateSchema(TypedDict("Made", {"x": dict[str, list[outer]]})).types == {outer, Color}


class Listed(RootModel[list[int]]):
    pass


class Old(pydantic.v1.BaseModel):
    x: int


@pytest.mark.parametrize("schema", [dict, int, Color, "State", Item(Color.RED), Old], ids=repr)
def test_what_is_no_class_of_a_state_is_refused(schema):
    with pytest.raises(GraphError, match="expected a TypedDict, a dataclass or a pydantic BaseModel class"):
        StateSchema(schema)


def test_a_root_model_is_refused():
    with pytest.raises(GraphError, match="Listed is a RootModel"):
        StateSchema(Listed)


def test_an_annotation_that_cannot_be_resolved_says_where_to_define_it():
    class Broken(TypedDict):
        x: Missing  # noqa: F821  # what the test is about

    with pytest.raises(GraphError, match=r"'Missing'.*same module"):
        StateSchema(Broken)


def test_the_same_goes_for_dataclasses_and_models():
    @dataclass
    class BrokenSheet:
        x: Missing  # noqa: F821  # what the test is about

    class BrokenModel(BaseModel):
        x: Missing  # noqa: F821  # what the test is about

    for broken in (BrokenSheet, BrokenModel):
        with pytest.raises(GraphError, match=r"'Missing'.*same module"):
            StateSchema(broken)


# -- classes ----------------------------------------------------------------------------------------------------------------------------


class Model(BaseModel):
    plain: int
    log: Annotated[list[str], add] = []
    best: Later | None = None


class Later(BaseModel):
    color: Color = Color.RED


@dataclass(slots=True, frozen=True, kw_only=True)
class Frozen:
    plain: int
    log: Annotated[list[str], add] = field(default_factory=list)
    scale: InitVar[int] = 2
    kind: ClassVar[str] = "frozen"
    double: int = field(init=False)

    def __post_init__(self, scale):
        object.__setattr__(self, "double", self.plain * scale)


class Extended(te.TypedDict):
    plain: te.ReadOnly[int]
    log: te.NotRequired[Annotated[list[str], add]]


T = TypeVar("T")


class Box(te.TypedDict, Generic[T]):
    content: T
    log: Annotated[list[T], add]


def test_keys_and_reducers_of_every_kind_of_class():
    assert {name: key.reducer for name, key in StateSchema(Model).keys.items()} == {"plain": None, "log": add, "best": None}
    assert {name: key.reducer for name, key in StateSchema(Frozen).keys.items()} == {"plain": None, "log": add, "double": None}
    assert {name: key.reducer for name, key in StateSchema(Extended).keys.items()} == {"plain": None, "log": add}
    assert {name: key.reducer for name, key in StateSchema(Box[int]).keys.items()} == {"content": None, "log": add}


def test_a_reducer_around_not_required_begins_empty_too():
    assert StateSchema(TypedDict("Made", {"log": Annotated[NotRequired[list], add]})).initial() == {"log": []}


def test_a_name_that_is_defined_later_in_the_module_is_found():
    assert StateSchema(Model).types == {Model, Later, Color}
    assert StateSchema(Model).apply({}, [wrote("best", {"color": "red"})])[0] == {"best": Later(color=Color.RED)}


def test_a_frozen_dataclass_with_slots_is_made_of_its_init_fields_and_what_is_stored():
    schema = StateSchema(Frozen)
    values, _ = schema.start(None, [("plain", 4)])
    assert values == {"plain": 4, "log": []}
    assert schema.for_node(values, None, "node 'n'") == Frozen(plain=4)
    made = schema.for_node({**values, "double": 100}, None, "node 'n'")
    assert (made.plain, made.double) == (4, 100)


def test_a_model_with_an_init_of_its_own_private_parts_and_an_alias():
    class Own(BaseModel):
        model_config = ConfigDict(frozen=True)
        x: int = Field(alias="X")
        _seen: list[int] = PrivateAttr(default_factory=list)

        def __init__(self, **given):
            super().__init__(**{"X" if k == "x" else k: v for k, v in given.items()})
            self._seen.append(self.x)

    schema = StateSchema(Own)
    values, _ = schema.start(None, [("x", "3")])
    made = schema.for_node(values, None, "node 'n'")
    assert (values, made.x, made._seen) == ({"x": 3}, 3, [3])


def test_a_default_may_be_made_from_the_other_fields():
    class Made(BaseModel):
        name: str
        slug: str = Field(default_factory=lambda data: data["name"].lower())

    if not hasattr(Made.model_fields["slug"], "default_factory_takes_validated_data"):
        pytest.skip("pydantic before 2.10")
    assert StateSchema(Made).start(None, [("name", "ADA")])[0] == {"name": "ADA", "slug": "ada"}


def test_a_value_that_is_there_is_not_checked_again_when_another_is_written():
    class Fresh(BaseModel):
        note: str
        amount: int = 0

        @field_validator("note")
        @classmethod
        def sign(cls, note):
            if note.endswith("!"):
                raise ValueError("signed already")
            return note + "!"

    schema = StateSchema(Fresh)
    values, _ = schema.start(None, [("note", "x")])
    assert schema.apply(values, [wrote("amount", "7")])[0] == {"note": "x!", "amount": 7}
    assert schema.for_node(values, None, "node 'n'").note == "x!"


def test_what_a_model_computes_as_a_whole_is_not_stored():
    class Sum(BaseModel):
        a: int = 1
        total: int = 0

        @model_validator(mode="after")
        def add_up(self):
            self.total = self.a + 1
            return self

    schema = StateSchema(Sum)
    values, _ = schema.start(None, [("a", 5)])
    assert values == {"a": 5, "total": 0}
    assert schema.for_node(values, None, "node 'n'").total == 6


def test_two_classes_with_one_key_agree_on_its_reducer():
    class Other(TypedDict):
        plain: Annotated[int, add]

    class Same(TypedDict):
        log: Annotated[list[str], lambda old, new: old + new]

    class Again(TypedDict):
        log: Annotated[list[str], lambda old, new: old + new]

    class Reverse(TypedDict):
        log: Annotated[list[str], lambda old, new: new + old]

    class Bare(TypedDict):
        log: list[str]

    StateSchema(Same, input_schema=Again, output_schema=Bare)
    with pytest.raises(GraphError, match=r"Other.plain has the reducer .* and State.plain has none"):
        StateSchema(State, input_schema=Other)
    with pytest.raises(GraphError, match=r"Reverse.log has the reducer"):
        StateSchema(Same, output_schema=Reverse)


def test_the_classes_of_input_and_output_are_stored_too():
    schema = StateSchema(TypedDict("Made", {"x": int}), input_schema=Model, output_schema=Frozen)
    assert schema.types == {Model, Later, Color, Frozen}
    assert list(schema.keys) == ["x", "plain", "log", "best", "double"]


# -- what nodes are annotated with ------------------------------------------------------------------------------------------------------


def test_what_a_node_reads_is_found_in_its_annotation():
    class Local(TypedDict):
        x: int

    def plain(state): ...

    def nothing(): ...

    def typed(state: Model, config: Unheard) -> Unheard: ...  # noqa: F821  # only the first parameter is looked at

    def local(state): ...

    local.__annotations__["state"] = Local  # as without `from __future__ import annotations`

    def unheard(state: Unheard): ...  # noqa: F821  # nothing is known of it

    def other(state: dict[str, int]): ...

    class Called:
        def __call__(self, state: Frozen): ...

        def method(self, state: Extended): ...

    found = [node_input(fn) for fn in (typed, local, partial(typed, config=1), Called(), Called().method)]
    assert [described and described.cls for described in found] == [Model, Local, Model, Frozen, Extended]
    assert [node_input(fn) for fn in (plain, nothing, unheard, other, len, dict, lambda state: None)] == [None] * 7
    assert node_input(plain, Model).cls is Model
    with pytest.raises(GraphError, match="input_schema got"):
        node_input(plain, dict)


# -- context ----------------------------------------------------------------------------------------------------------------------------


class Settings(BaseModel):
    model: str = "small"
    budget: int = 3


@dataclass
class Needs:
    model: str


@pytest.mark.parametrize(
    ("schema", "given", "made"),
    [
        (None, 5, 5),
        (Settings, {"budget": "7"}, Settings(budget=7)),
        (Settings, Settings(model="x"), Settings(model="x")),
        (Settings, None, Settings()),
        (Needs, {"model": "x"}, Needs("x")),
        (Needs, None, None),
        (Extended, {"plain": 1}, {"plain": 1}),
        (Extended, None, None),
    ],
)
def test_a_context_becomes_an_instance_of_its_class(schema, given, made):
    context = StateSchema(context_schema=schema).context(given)
    assert context == made
    assert type(context) is type(made)


@pytest.mark.parametrize(
    ("schema", "given", "text"),
    [
        (Settings, {"budget": "much"}, r"the context does not fit Settings: context\['budget'\] is 'much' \(str\)"),
        (Settings, Needs("x"), r"the context does not fit Settings: it is .*Needs\(model='x'\) \(Needs\); expected a mapping of its fields"),
        (Needs, {"modle": "x"}, r"the context does not fit Needs: it is \{'modle': 'x'\} \(dict\), and .*modle"),
        (Extended, 5, r"the context does not fit Extended: it is 5 \(int\)"),
    ],
)
def test_a_context_that_does_not_fit_is_refused(schema, given, text):
    with pytest.raises(InvalidStateError, match=text):
        StateSchema(context_schema=schema).context(given)


# -- a look at what was written ---------------------------------------------------------------------------------------------------------


def test_a_preview_shows_what_cannot_be_combined_as_it_came():
    schema = StateSchema(Model)
    values, _ = schema.start(None, [("plain", 1)])
    writes = [wrote("plain", 2, "t1"), wrote("plain", 3, "t2"), wrote("log", ["a"]), wrote("best", 5)]
    with pytest.raises(ConcurrentUpdateError):
        schema.apply(values, writes)
    assert schema.preview(values, writes) == {"plain": 3, "log": ["a"], "best": 5}


# -- generic ----------------------------------------------------------------------------------------------------------------------------


def test_the_builder_takes_type_parameters():
    builder = StateGraph[Model](Model)
    assert isinstance(builder, StateGraph)
    assert StateGraph[Model, Settings, Model, Model]
    assert builder.add_node("n", lambda state: {"plain": state.plain + 1}).set_entry_point("n").compile().invoke({"plain": 1})["plain"] == 2

    class Made(StateGraph[Model]):
        pass

    assert isinstance(Made(Model), StateGraph)
