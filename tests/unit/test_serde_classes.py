"""Instances of users' classes: found again by name among loaded and registered classes, and put together without running their code."""

import sys
from collections import namedtuple
from dataclasses import dataclass, field, make_dataclass
from enum import Enum, Flag, IntEnum, IntFlag, StrEnum, auto
from functools import cached_property
from types import ModuleType
from typing import NamedTuple

import pytest
from pydantic import BaseModel, PrivateAttr, RootModel, field_validator

from hitl_nb.checkpoint.serde import Serde, pack
from hitl_nb.errors import CorruptStoreError, NotSerializableError, StoreError, UnknownTypeError


class Colour(Enum):
    RED = 1
    ROSSO = 1
    BLUE = (2, 3)

    @classmethod
    def _missing_(cls, value):
        raise AssertionError("reading called _missing_")


class Level(IntEnum):
    LOW = 1


class Verdict(StrEnum):
    OK = "ok"


class Right(Flag):
    READ = auto()
    WRITE = auto()


class Bits(IntFlag):
    A = 1


@dataclass
class Order:
    id: int
    lines: list = field(default_factory=list)

    def __post_init__(self):
        self.note = "extra"

    @cached_property
    def total(self):
        return object()


@dataclass(slots=True, unsafe_hash=True)
class Point:
    x: float
    y: float

    def __post_init__(self):
        if self.x == 13:
            raise AssertionError("reading ran __post_init__")


@dataclass
class Place(Point):
    """Two fields in slots, one in its dict."""

    name: str


@dataclass(frozen=True, slots=True)
class Fixed:
    x: tuple


class Pair(NamedTuple):
    a: int
    b: object


Old = namedtuple("Old", "x y")


class Address(BaseModel):
    street: str
    nr: int = 1


class Customer(BaseModel, extra="allow"):
    name: str
    address: Address
    tags: set[str] = set()
    _seen: int = PrivateAttr(default=0)

    @field_validator("name")
    @classmethod
    def _check(cls, value):
        if value == "changed":
            raise AssertionError("reading ran a validator")
        return value


class Names(RootModel[list[str]]):
    pass


class Outer:
    class Inner(Enum):
        A = "a"


@pytest.fixture
def serde():
    return Serde()


def customer():
    made = Customer(name="Ann", address=Address(street="Way"), nick="A")
    made._seen = 7
    return made


VALUES = [
    Colour.RED,
    Colour.ROSSO,
    Colour.BLUE,
    Level.LOW,
    Verdict.OK,
    Right.READ | Right.WRITE,
    Right(0),
    Right.READ,
    Bits(5),
    Outer.Inner.A,
    Point(1.5, 2),
    Fixed((1, 2)),
    Pair(1, {2}),
    Old(1, (2,)),
    Address(street="x"),
    customer(),
    Names(["a"]),
    {Colour.RED: {Point(1, 2)}},
    {Verdict.OK: 1, "ok2": 2},
]


@pytest.mark.parametrize("value", VALUES, ids=lambda v: f"{type(v).__name__}-{v!s:.20}")
def test_an_instance_comes_back_equal_and_of_the_same_class(serde, value):
    back = serde.loads(serde.dumps({"v": value}, "state"))["v"]
    assert back == value
    assert type(back) is type(value)
    if isinstance(value, Enum):
        # one object a value, wherever Python itself keeps one (before 3.11.4 not for unnamed combinations of an IntFlag)
        assert (back is value) == (type(value)(value.value) is value)


def test_a_dataclass_keeps_what_it_holds_beside_its_fields_but_not_what_it_cached(serde):
    order = Order(1, [Point(0, 0)])
    order.note = "changed later"
    assert order.total is order.total
    back = serde.loads(serde.dumps(order, "state"))
    assert back == order
    assert vars(back) == {"id": 1, "lines": [Point(0, 0)], "note": "changed later"}


def test_a_dataclass_with_slots_and_a_dict_comes_back_whole(serde):
    back = serde.loads(serde.dumps(Place(1, 2, "here"), "state"))
    assert back == Place(1, 2, "here")
    assert vars(back) == {"name": "here"}


def test_reading_runs_no_constructor_hook_or_validator(serde):
    point = Point(0, 0)
    point.x = 13
    changed = customer()
    changed.name = "changed"
    assert serde.loads(serde.dumps([point, changed], "state")) == [point, changed]


def test_a_model_keeps_private_and_extra_values_and_which_fields_were_given(serde):
    back = serde.loads(serde.dumps(customer(), "state"))
    assert (back._seen, back.nick, back.model_fields_set) == (7, "A", {"name", "address", "nick"})


def test_the_digest_of_instances_follows_their_content(serde):
    assert serde.digest(Point(1, 2), "x") == serde.digest(Point(1, 2), "x") != serde.digest(Point(1, 3), "x")
    assert serde.digest(Colour.RED, "x") != serde.digest(Level.LOW, "x")


def local_class():
    @dataclass
    class Local:
        x: int

    return Local


def test_a_class_that_cannot_be_found_again_is_refused_with_how_to_register_it(serde):
    with pytest.raises(NotSerializableError, match=r"DiskCacheSaver\(\.\.\., types=\[Local\]\)") as caught:
        serde.dumps({"orders": [local_class()(1)]}, "state")
    assert caught.value.path == "state['orders'][0]"


def test_a_registered_class_is_found_although_no_module_holds_it(serde):
    cls = local_class()
    serde.register(cls)
    assert serde.loads(serde.dumps(cls(1), "state")) == cls(1)
    assert Serde([cls]).loads(serde.dumps(cls(1), "state")) == cls(1)


def test_a_class_that_is_not_loaded_at_reading_is_named_with_what_to_do():
    cls = local_class()
    data = Serde([cls]).dumps([cls(1)], "state")
    with pytest.raises(UnknownTypeError, match=r"local_class.<locals>.Local.*types=\[Local\]"):
        Serde().loads(data)


def test_after_a_cell_ran_again_the_new_class_is_stored_and_the_old_one_refused(serde, monkeypatch):
    cell = ModuleType("cell")
    monkeypatch.setitem(sys.modules, "cell", cell)
    old = cell.Thing = make_dataclass("Thing", ["x"], namespace={"__module__": "cell"})
    serde.register(old)
    data = serde.dumps(old(1), "state")
    new = cell.Thing = make_dataclass("Thing", ["x"], namespace={"__module__": "cell"})
    assert type(serde.loads(data)) is new
    assert type(serde.loads(serde.dumps(new(2), "state"))) is new


def test_a_class_with_a_new_field_reads_old_values_when_the_field_has_a_default(serde, monkeypatch):
    cell = ModuleType("cell")
    monkeypatch.setitem(sys.modules, "cell", cell)
    cell.Thing = make_dataclass("Thing", ["x"], namespace={"__module__": "cell"})
    data = serde.dumps(cell.Thing(1), "state")
    cell.Thing = make_dataclass("Thing", ["x", ("notes", list, field(default_factory=list)), ("n", int, 5)], namespace={"__module__": "cell"})
    assert serde.loads(data) == cell.Thing(1, [], 5)
    cell.Thing = make_dataclass("Thing", ["x", "needed"], namespace={"__module__": "cell"})
    with pytest.raises(UnknownTypeError, match="'needed'.*plain default"):
        serde.loads(data)
    cell.Thing = make_dataclass("Thing", ["y"], slots=True, namespace={"__module__": "cell"})
    with pytest.raises(UnknownTypeError, match="'x'"):
        serde.loads(data)


def test_a_member_or_model_field_that_is_gone_is_named(serde, monkeypatch):
    cell = ModuleType("cell")
    monkeypatch.setitem(sys.modules, "cell", cell)
    cell.E = Enum("E", ["A", "B"], module="cell")
    cell.M = type("M", (BaseModel,), {"__module__": "cell", "__annotations__": {"a": int, "b": int}, "b": 2})
    member, model = serde.dumps(cell.E.B, "x"), serde.dumps(cell.M(a=1), "x")
    cell.E = Enum("E", ["A"], module="cell")
    with pytest.raises(UnknownTypeError, match=r"E\.B"):
        serde.loads(member)
    cell.M = type("M", (BaseModel,), {"__module__": "cell", "__annotations__": {"a": int}})
    with pytest.raises(UnknownTypeError, match="'b'"):
        serde.loads(model)
    cell.M = type("M", (BaseModel,), {"__module__": "cell", "__annotations__": {"a": int, "b": int, "c": list}, "c": []})
    assert serde.loads(model).model_dump() == {"a": 1, "b": 2, "c": []}


@pytest.mark.parametrize("wrong", [int, list, object, "Order", lambda: 1])
def test_only_classes_that_can_be_stored_are_registered(wrong):
    with pytest.raises(TypeError, match="expected dataclasses, Enums, pydantic models and named tuples"):
        Serde([wrong])


@dataclass
class Handle:
    x: int

    def __del__(self):
        Handle.closed = True


@dataclass
class ListOfMine(list):
    x: int


@pytest.mark.parametrize("value", [Handle(1), ListOfMine(1)])
def test_dataclasses_whose_content_is_not_their_fields_are_refused(serde, value):
    with pytest.raises(NotSerializableError, match="keep"):
        serde.dumps({"v": value}, "state")


def forged(serde, value, old, new):
    """The bytes of a value with another class name of the same length in its place."""
    data = serde.dumps([value], "state")
    assert old in data
    assert len(old) == len(new)
    return data.replace(old, new)


def test_data_that_names_another_class_calls_nothing_of_it(serde):
    class Trap(ModuleType):
        def __getattribute__(self, name):
            raise AssertionError("reading looked into a module by getattr")

    name = __name__.encode()
    for new in (b"Level", b"Order", b"Outer", b"forge", b"local"):
        with pytest.raises(StoreError):
            serde.loads(forged(serde, Point(1, 2), name + b":Point", name + b":" + new))
    trap = Trap("t" * len(__name__))
    sys.modules[trap_name := "t" * len(__name__)] = trap
    try:
        with pytest.raises(UnknownTypeError):
            serde.loads(forged(serde, Point(1, 2), name, trap_name.encode()))
    finally:
        del sys.modules[trap_name]


def test_data_that_names_a_module_that_is_not_loaded_imports_nothing(serde):
    name = "antigravity".ljust(len(__name__), "x")[: len(__name__)]
    before = set(sys.modules)
    with pytest.raises(UnknownTypeError):
        serde.loads(forged(serde, Point(1, 2), __name__.encode(), name.encode()))
    assert set(sys.modules) == before


def test_a_handle_is_not_made_from_forged_bytes(serde):
    Handle.closed = False
    name = __name__.encode()
    data = serde.dumps([Address(street="x")], "state")
    with pytest.raises(StoreError):
        serde.loads(data.replace(name + b":Address", name + b":Handle\x00"))
    assert Handle.closed is False


def test_a_flag_value_that_the_class_refuses_is_a_damaged_value(serde):
    data = serde.dumps(Right.READ, "state")
    with pytest.raises(CorruptStoreError):
        serde.loads(data.replace(pack("1"), pack("9")))
