"""Instances of a user's own classes (Enum members, dataclasses, pydantic models, named tuples), taken apart and put together without their code.

A class is stored as ``module:qualname``. Reading looks it up among loaded modules and registered classes and nowhere else: nothing is imported and
nothing that the data names is called, so altered bytes can pick another class of these four kinds at most. The class's `__init__`, `__new__`,
`__post_init__`, validators and `_missing_` do not run.
"""

from __future__ import annotations

import dataclasses
import enum
import sys
from collections.abc import Iterable, Mapping
from functools import cached_property
from types import MemberDescriptorType
from typing import Any, Literal

from hitl_nb.errors import CorruptStoreError, UnknownTypeError

Kind = Literal["enum", "dataclass", "model", "namedtuple"]


class UnstorableError(TypeError):
    """Why a value cannot be stored and what to do; `Serde` adds where it lies."""


def kind_of(cls: type) -> Kind | None:
    """Which of the four kinds a class is of; None: its instances cannot be stored."""
    mro = cls.__mro__
    if enum.Enum in mro:
        return "enum"
    pydantic = sys.modules.get("pydantic")
    if pydantic is not None and pydantic.BaseModel in mro:
        return "model"
    if tuple in mro and any("_fields" in vars(c) and "_make" in vars(c) for c in mro):
        return "namedtuple"
    if any("__dataclass_fields__" in vars(c) for c in mro):
        return "dataclass"
    return None


class Classes:
    """The classes that stored values may be instances of: those registered here and those of loaded modules."""

    def __init__(self) -> None:
        self._registered: dict[str, type] = {}

    def register(self, types: Iterable[type]) -> None:
        for cls in types:
            if not isinstance(cls, type) or kind_of(cls) is None:
                raise TypeError(f"types holds {cls!r}; expected dataclasses, Enums, pydantic models and named tuples")
            self._registered = {**self._registered, name_of(cls): cls}

    def reference(self, cls: type) -> str:
        """The name under which the class is found again. Raises UnstorableError when it would not be."""
        name = name_of(cls)
        if self._registered.get(name) is cls or _loaded(name) is cls:
            return name
        again = "another class has that name now" if _loaded(name) else "no module holds a class of that name"
        raise UnstorableError(
            f"its class could not be found again when the thread is read ({again}): define it at the top of a module or cell, or register it "
            f"with DiskCacheSaver(..., types=[{cls.__name__}]) or in the graph's state schema"
        )

    def find(self, name: str, kind: Kind) -> type:
        """The class of that name. A definition in a module wins over a registered one: it is the newer one after a cell ran again."""
        cls = _loaded(name) or self._registered.get(name)
        if cls is None:
            module, _, qualname = name.partition(":")
            raise UnknownTypeError(
                f"a stored value is of class {qualname[:200]!r} of module {module[:200]!r}, which is not loaded here; import that module, or pass "
                f"the class as DiskCacheSaver(..., types=[{qualname.rpartition('.')[2][:100]}]), then read again"
            )
        if kind_of(cls) != kind:
            raise UnknownTypeError(f"a stored value is of class {name[:400]!r}, which was of kind {kind} and is now {kind_of(cls) or 'another'}")
        return cls


def name_of(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _loaded(name: str) -> type | None:
    module_name, _, qualname = name.partition(":")
    module = sys.modules.get(module_name)
    if module is None:
        return None
    # object.__getattribute__, because a lazily loaded module imports itself at any other look.
    scope: Any = object.__getattribute__(module, "__dict__")
    found = None
    for part in qualname.split("."):
        found = scope.get(part)
        if not issubclass(type(found), type):
            return None
        scope = type.__dict__["__dict__"].__get__(found)
    return found


# -- Enum ------------------------------------------------------------------------------------------------------------------------


def enum_parts(member: enum.Enum) -> list[Any]:
    if isinstance(member, enum.Flag):
        return [str(member._value_)]
    return [None, member._name_]


def enum_build(cls: Any, parts: list[Any]) -> Any:
    if len(parts) == 2:
        member = vars(cls)["_member_map_"].get(parts[1])
        if member is None:
            raise UnknownTypeError(f"a stored value is {cls.__name__}.{parts[1]}, a member that {name_of(cls)} does not have now")
        return member
    value = int(parts[0])
    known = vars(cls)["_value2member_map_"].get(value)
    if known is not None:
        return known
    if not issubclass(cls, enum.Flag):
        raise CorruptStoreError(f"a stored value is a combination of members, but {name_of(cls)} is no Flag")
    # The combination of members is made by the standard library's own method, not by one that the class may override.
    made = enum.Flag._missing_.__func__(cls, value)  # type: ignore[attr-defined]
    if not isinstance(made, cls) or made._value_ != value:  # Python before 3.11.4 drops bits that the class does not know
        raise CorruptStoreError(f"a stored value is {name_of(cls)}({value}), which the class does not allow")
    return made


# -- named tuples ----------------------------------------------------------------------------------------------------------------


def namedtuple_build(cls: Any, parts: list[Any]) -> Any:
    if len(parts) != len(cls._fields):
        raise UnknownTypeError(f"a stored {name_of(cls)} has {len(parts)} fields, the class now has {len(cls._fields)}: {', '.join(cls._fields)}")
    return tuple.__new__(cls, parts)


# -- dataclasses -----------------------------------------------------------------------------------------------------------------


def dataclass_parts(value: Any) -> list[Any]:
    cls = type(value)
    _check_plain_object(cls)
    kept = dict(getattr(value, "__dict__", ()))
    for name in [n for n in kept if isinstance(_in_class(cls, n), cached_property)]:
        del kept[name]
    for f in dataclasses.fields(value):
        slot = _in_class(cls, f.name)
        if f.name not in kept and isinstance(slot, MemberDescriptorType):
            try:
                kept[f.name] = slot.__get__(value, cls)
            except AttributeError:  # never set
                continue
    return [kept]


def dataclass_build(cls: Any, parts: list[Any]) -> Any:
    _check_plain_object(cls)
    (kept,) = parts
    fields = {f.name: f for f in dataclasses.fields(cls)}
    value = object.__new__(cls)
    own = value.__dict__ if hasattr(value, "__dict__") else None
    for name, part in kept.items():
        slot = _in_class(cls, name)
        if isinstance(slot, MemberDescriptorType):
            slot.__set__(value, part)
        elif own is not None:
            own[name] = part
        else:
            raise UnknownTypeError(f"a stored {name_of(cls)} has a field {name!r}, which the class does not have now")
    for name, field in fields.items():
        if name not in kept and field.init:
            _fill(cls, value, name, field, own)
    return value


def _fill(cls: type, value: Any, name: str, field: Any, own: Any) -> None:
    """A field that the class got since the value was stored takes its default."""
    if field.default is not dataclasses.MISSING:
        default = field.default
    elif field.default_factory in (list, dict, set):
        default = field.default_factory()
    else:
        raise UnknownTypeError(f"a stored {name_of(cls)} has no field {name!r}, which the class has now; give it a plain default")
    slot = _in_class(cls, name)
    if isinstance(slot, MemberDescriptorType):
        slot.__set__(value, default)
    else:
        own[name] = default


def _in_class(cls: type, name: str) -> Any:
    for c in cls.__mro__:
        if name in vars(c):
            return vars(c)[name]
    return None


def _check_plain_object(cls: type) -> None:
    """Only objects whose whole content is their fields, and whose end runs no code."""
    try:
        object.__new__(cls)
    except TypeError as error:
        raise UnstorableError("a class that is also a built-in type cannot be stored; keep the built-in value in a field") from error
    if _in_class(cls, "__del__") is not None:
        raise UnstorableError("a class with __del__ holds a resource, which cannot be stored; keep what opens it again")


# -- pydantic models -------------------------------------------------------------------------------------------------------------


def model_parts(value: Any) -> list[Any]:
    _check_plain_object(type(value))
    fields = type(value).model_fields
    return [
        {name: part for name, part in value.__dict__.items() if name in fields},
        sorted(value.__pydantic_fields_set__),
        value.__pydantic_extra__,
        value.__pydantic_private__,
    ]


def model_build(cls: Any, parts: list[Any]) -> Any:
    _check_plain_object(cls)
    kept, given, extra, private = parts
    for name in kept:
        if name not in cls.model_fields:
            raise UnknownTypeError(f"a stored {name_of(cls)} has a field {name!r}, which the model does not have now")
    for name, field in cls.model_fields.items():
        if name not in kept:
            if field.is_required() or field.default_factory not in (None, list, dict, set):
                raise UnknownTypeError(f"a stored {name_of(cls)} has no field {name!r}, which the model has now; give it a plain default")
            kept[name] = field.get_default(call_default_factory=True)
    if not (extra is None or isinstance(extra, Mapping)) or not (private is None or isinstance(private, Mapping)):
        raise CorruptStoreError(f"a stored {name_of(cls)} is damaged")
    value = object.__new__(cls)
    object.__setattr__(value, "__dict__", kept)
    object.__setattr__(value, "__pydantic_fields_set__", set(given))
    object.__setattr__(value, "__pydantic_extra__", extra)
    object.__setattr__(value, "__pydantic_private__", private)
    return value
