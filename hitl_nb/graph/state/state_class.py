"""The classes that describe a state: which keys they give it, what an absent key reads as, and the object that a node is given."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NotRequired, Required, get_args, get_origin

from hitl_nb.checkpoint.classes import kind_of
from hitl_nb.checkpoint.records import UNSET
from hitl_nb.errors import GraphError, InvalidStateError
from hitl_nb.errors import shown as in_words
from hitl_nb.graph.state.state_model import ModelFields, complaint

Reducer = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the state."""

    name: str
    reducer: Reducer | None = None
    """`reducer(old, new)` combines; None: the last write wins and two in one superstep are an error."""
    initial: Any = UNSET
    """Makes the value before the first write, for keys with a reducer."""


@dataclass(frozen=True, slots=True, eq=False)
class StateClass:
    """A TypedDict, dataclass or pydantic model, as the description of a state."""

    cls: Any
    kind: Literal["typeddict", "dataclass", "model"]
    keys: Mapping[str, Key]
    types: frozenset[type]
    """Classes that its annotations name, of which values can be stored."""
    model: ModelFields | None = None
    names: frozenset[str] = field(init=False)
    """Of its keys."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", frozenset(self.keys))

    @property
    def name(self) -> str:
        return str(self.cls.__name__)

    @property
    def strict(self) -> bool:
        """True for a model that says itself that it takes no other fields."""
        return self.kind == "model" and self.cls.model_config.get("extra") == "forbid"

    def defaults(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """New default values of the keys that are not in `values` and have one."""
        made: dict[str, Any] = {}
        if self.model is not None:
            for name, info in self.cls.model_fields.items():
                if name not in values and not info.is_required():
                    made[name] = self.model.default(name, {**values, **made})
        elif self.kind == "dataclass":
            for f in dataclasses.fields(self.cls):
                if f.name not in values and f.default_factory is not dataclasses.MISSING:
                    made[f.name] = f.default_factory()
                elif f.name not in values and f.default is not dataclasses.MISSING:
                    made[f.name] = f.default
        return made

    def make(self, values: Mapping[str, Any], *, checked: frozenset[str], where: str) -> Any:
        """What a node reads: a dict of the keys that are there, or an instance.

        Values of `checked` keys are known to be of their types.
        Raises InvalidStateError, whose text begins with `where`, for an instance that cannot be made.
        """
        own = {name: values[name] for name in self.keys if name in values}
        if self.kind == "typeddict":
            return own
        if (model := self.model) is not None:
            return _checked_by_pydantic(lambda: model.build(own, checked), where)
        fields = {f.name: f for f in dataclasses.fields(self.cls)}
        missing = [n for n, f in fields.items() if n not in own and f.init and f.default is f.default_factory is dataclasses.MISSING]
        if missing:
            raise InvalidStateError(f"{where}: {', '.join(f'state[{n!r}]' for n in missing)} is missing{_CURE}", key=missing[0])
        given = {name: value for name, value in own.items() if fields[name].init}
        checks_itself = hasattr(self.cls, "__pydantic_validator__")  # a dataclass of pydantic's
        made = _checked_by_pydantic(lambda: self.cls(**given), where) if checks_itself else self.cls(**given)
        for name in [n for n in own if not fields[n].init]:
            object.__setattr__(made, name, own[name])
        return made


def _checked_by_pydantic(make: Callable[[], Any], where: str) -> Any:
    from pydantic import ValidationError

    try:
        return make()
    except ValidationError as error:
        key, why = complaint(error, "state", shown)
        raise InvalidStateError(f"{where}: {why}{_CURE if 'is missing' in why else ''}", key=key) from None


_CURE: Final = "; give it in the input, let an earlier node write it, or give the field a default"


def shown(value: Any) -> str:
    """A value and its type, for an error's text."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  # an object's own repr may raise anything, and one nested too deeply does
        text = "a value without a repr"
    return f"{text if len(text) <= 200 else text[:200] + '…'} ({type(value).__name__})"


# -- reading a class ------------------------------------------------------------------------------------------------------------------


def read_class(schema: Any, given_as: str) -> StateClass:
    """The class that a state, input, output or node is described by. Raises GraphError for anything else."""
    found = _read(schema)
    if found is None:
        raise GraphError(f"{given_as} got {in_words(schema)}; expected a TypedDict, a dataclass or a pydantic BaseModel class, or nothing")
    return found


def node_input(fn: Any, explicit: Any = None) -> StateClass | None:
    """What a node or path function reads: `explicit`, else the class its first parameter is annotated with. None: the state as it is."""
    if explicit is not None:
        return read_class(explicit, "input_schema")
    return _read(_first_annotation(fn))


def _read(schema: Any) -> StateClass | None:
    cls = get_origin(schema) or schema  # a generic TypedDict, given its parameter
    if not isinstance(cls, type):
        return None
    if _is_typed_dict(cls):
        hints = _hints(cls)
        return StateClass(cls, "typeddict", {n: _key(n, h) for n, h in hints.items()}, _classes_in(*hints.values()))
    kind = kind_of(cls)
    if kind == "dataclass":
        hints = _hints(cls)
        fields = {f.name: hints[f.name] for f in dataclasses.fields(cls)}
        return StateClass(cls, "dataclass", {n: _key(n, h) for n, h in fields.items()}, _classes_in(cls))
    if kind == "model":
        model = ModelFields(cls)  # first, as it completes the class
        infos = typing.cast(Any, cls).model_fields
        return StateClass(cls, "model", {n: _reducing(n, f.annotation, f.metadata) for n, f in infos.items()}, _classes_in(cls), model)
    return None


def _is_typed_dict(cls: type) -> bool:
    # By its marks: before Python 3.13 typing does not take one of typing_extensions for one.
    return typing.is_typeddict(cls) or (dict in cls.__mro__ and "__required_keys__" in vars(cls) and "__total__" in vars(cls))


def _hints(cls: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except NameError as error:
        raise GraphError(
            f"an annotation of {cls.__name__} names {error.name!r}, which cannot be found; define it in the same module (or cell) as "
            f"{cls.__name__}, or drop `from __future__ import annotations` there"
        ) from error


def _first_annotation(fn: Any) -> Any:
    """The annotation of the first parameter; None when there is none, or its names cannot be found."""
    try:
        first = next(iter(inspect.signature(fn).parameters.values()), None)
    except (TypeError, ValueError):  # a builtin
        return None
    if first is None:
        return None
    annotation = first.annotation
    if isinstance(annotation, str):
        while isinstance(fn, functools.partial):
            fn = fn.func
        code = inspect.unwrap(fn if inspect.isroutine(fn) else type(fn).__call__)
        try:
            names = {**inspect.getclosurevars(code).nonlocals, **{p.__name__: p for p in getattr(code, "__type_params__", ())}}
            annotation = typing.get_type_hints(types.SimpleNamespace(__annotations__={"x": annotation}), code.__globals__, names)["x"]
        except Exception:  # noqa: BLE001  # any expression may stand there; one that cannot be read says nothing
            return None
    return annotation


def _classes_in(*hints: Any) -> frozenset[type]:
    """The dataclasses, models, Enums and named tuples that annotations name, and those that the fields of these name."""
    found: set[type] = set()
    todo, seen = list(hints), set[int]()
    while todo:
        hint = todo.pop()
        todo += get_args(hint)
        if not isinstance(hint, type) or id(hint) in seen:
            continue
        seen.add(id(hint))
        if _is_typed_dict(hint):
            todo += _inner(hint)
        elif (kind := kind_of(hint)) is not None:
            found.add(hint)
            todo += [] if kind == "enum" else _inner(hint)
    return frozenset(found)


def _inner(cls: Any) -> list[Any]:
    if kind_of(cls) == "model":  # which has found names that are local to a function too
        return [info.annotation for info in cls.model_fields.values()]
    try:
        return list(typing.get_type_hints(cls, include_extras=True).values())
    except Exception:  # noqa: BLE001  # of what its fields hold nothing is known then; a value that cannot be stored says so itself
        return [hint for hint in getattr(cls, "__annotations__", {}).values() if not isinstance(hint, str)]


# -- reading a key --------------------------------------------------------------------------------------------------------------------


def _key(name: str, hint: Any) -> Key:
    hint = _bare(hint)
    if get_origin(hint) is not typing.Annotated:
        return Key(name)
    inner, *extras = get_args(hint)
    return _reducing(name, _bare(inner), extras)


def _bare(hint: Any) -> Any:
    """The type without Required, NotRequired and ReadOnly around it."""
    while get_origin(hint) in (Required, NotRequired) or getattr(get_origin(hint), "_name", None) == "ReadOnly":
        hint = get_args(hint)[0]
    return hint


def _reducing(name: str, hint: Any, extras: Any) -> Key:
    reducers = [e for e in extras if callable(e) and _takes_two(e)]
    return Key(name, reducers[-1], _maker(hint)) if reducers else Key(name)


def _takes_two(fn: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        return True  # a builtin without a signature, such as some ufuncs
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(positional) >= 2 or any(p.kind is p.VAR_POSITIONAL for p in parameters)


def _maker(hint: Any) -> Any:
    origin = get_origin(hint) or hint
    if origin in (typing.Union, types.UnionType):
        return UNSET
    for abstract, concrete in _CONCRETE:
        if origin is abstract:
            return concrete
    if isinstance(origin, type):
        try:
            origin()
        except Exception:  # noqa: BLE001  # no empty value of this type: the first write is taken as it is
            return UNSET
        return origin
    return UNSET


_CONCRETE: tuple[tuple[Any, Any], ...] = tuple(
    (get_origin(abstract), concrete)
    for abstract, concrete in (
        (typing.Sequence[int], list),
        (typing.MutableSequence[int], list),
        (typing.Iterable[int], list),
        (typing.Collection[int], list),
        (typing.Mapping[str, int], dict),
        (typing.MutableMapping[str, int], dict),
        (typing.AbstractSet[int], set),
        (typing.MutableSet[int], set),
    )
)


# -- instances --------------------------------------------------------------------------------------------------------------------------


def parts_of(value: object) -> dict[str, Any] | None:
    """The fields that an instance writes when it is an update: of a dataclass all, of a pydantic model those that were set. None: no instance."""
    cls = type(value)
    if cls.__module__.partition(".")[0] == "hitl_nb":  # a Command or a Send in the wrong place is no update
        return None
    kind = kind_of(cls)
    if kind == "dataclass":
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if hasattr(value, f.name)}  # type: ignore[arg-type]
    if kind == "model":
        model: Any = value
        return {name: getattr(model, name) for name in cls.model_fields if name in model.model_fields_set} | (model.model_extra or {})  # type: ignore[attr-defined]
    return None


def as_context(described: StateClass, given: Any) -> Any:
    """What a caller gave as the context, as an instance of its class. Raises InvalidStateError naming what came."""
    cls, where = described.cls, f"the context does not fit {described.name}"
    if given is None:
        if described.kind == "typeddict" or len(described.defaults({})) < len(described.keys):
            return None
        given = {}
    if described.kind != "typeddict" and isinstance(given, cls):
        return given
    if not isinstance(given, Mapping):
        raise InvalidStateError(f"{where}: it is {shown(given)}; expected a mapping of its fields, or an instance")
    if described.kind == "typeddict":
        return dict(given)
    if described.kind == "model":
        from pydantic import ValidationError

        try:
            return cls.model_validate(dict(given))
        except ValidationError as error:
            key, why = complaint(error, "context", shown)
            raise InvalidStateError(f"{where}: {why}", key=key) from None
    try:
        return cls(**given)
    except TypeError as error:  # a field that is missing or unknown
        raise InvalidStateError(f"{where}: it is {shown(dict(given))}, and {error}") from error
