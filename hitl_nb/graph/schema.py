"""State keys: which there are, how two writes combine, what an absent one reads as."""

from __future__ import annotations

import inspect
import types
import typing
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, is_dataclass
from enum import Enum
from typing import Any, NotRequired, Required, get_args, get_origin

from hitl_nb.checkpoint.records import UNSET
from hitl_nb.errors import ConcurrentUpdateError, GraphError, UnknownStateKeyWarning

Reducer = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the state."""

    name: str
    reducer: Reducer | None = None
    """`reducer(old, new)` combines; None: the last write wins and two in one superstep are an error."""
    initial: Any = UNSET
    """Makes the value before the first write, for keys with a reducer."""


class StateSchema:
    """The keys of a state: from a TypedDict, or free-form (any key, the last write wins)."""

    def __init__(self, schema: type | None = None) -> None:
        self.name = "free-form state" if schema is None else schema.__name__
        self.keys: dict[str, Key] | None = None
        self.types: set[type] = set()
        """Dataclasses and Enums the annotations name: values of these classes can be stored."""
        if schema is not None:
            self.keys = dict(self._read(schema))
        self._warned: set[str] = set()

    def _read(self, schema: type) -> Iterable[tuple[str, Key]]:
        if not typing.is_typeddict(schema):
            raise GraphError(f"StateGraph got {schema!r}; expected a TypedDict class, or nothing for a free-form state")
        try:
            hints = typing.get_type_hints(schema, include_extras=True)
        except NameError as error:
            raise GraphError(
                f"an annotation of {schema.__name__} names {error.name!r}, which cannot be found; define it in the same module (or cell) as "
                f"{schema.__name__}, or drop `from __future__ import annotations` there"
            ) from error
        for name, hint in hints.items():
            self._collect(hint)
            yield name, _key(name, hint)

    def _collect(self, hint: Any) -> None:
        if isinstance(hint, type) and (is_dataclass(hint) or issubclass(hint, Enum) or hasattr(hint, "model_fields")):
            if hint in self.types:
                return
            self.types.add(hint)
            for inner in getattr(hint, "__annotations__", {}).values():
                self._collect(inner)
        for arg in get_args(hint):
            self._collect(arg)

    def initial(self) -> dict[str, Any]:
        """The values that reducers start from."""
        return {k.name: k.initial() for k in (self.keys or {}).values() if k.initial is not UNSET}

    def apply(self, values: Mapping[str, Any], writes: Iterable[tuple[str, str, str, Any]]) -> tuple[dict[str, Any], set[str]]:
        """The values after the writes of one superstep, and the keys that were written. `writes`: (task id, node, key, value), in task order.

        Raises ConcurrentUpdateError for two writers of a key without a reducer.
        """
        after, writers = dict(values), dict[str, tuple[str, str]]()
        for task_id, node, name, value in writes:
            key = self._key(name, node)
            if key is None:
                continue
            if key.reducer is not None:
                after[name] = key.reducer(_own(after[name]), value) if name in after else value
            elif name in writers and writers[name][0] != task_id:
                raise ConcurrentUpdateError(
                    f"nodes {writers[name][1]!r} and {node!r} both wrote state[{name!r}] in one superstep; give the key a reducer "
                    f"(Annotated[…, operator.add], for example) or let only one of them write it",
                    node=node,
                    key=name,
                )
            else:
                after[name] = value
            writers[name] = (task_id, node)
        return after, set(writers)

    def _key(self, name: str, writer: str) -> Key | None:
        if self.keys is None:
            return Key(name)
        key = self.keys.get(name)
        if key is None and name not in self._warned:
            self._warned.add(name)
            warnings.warn(
                f"{writer} wrote state[{name!r}], which {self.name} does not have; it was dropped. Known keys: {', '.join(self.keys)}",
                UnknownStateKeyWarning,
                stacklevel=2,
            )
        return key


def _own(value: Any) -> Any:
    """A list, dict or set of the reducer's own: one that appends in place must not change the state before, nor what the caller passed in."""
    return value.copy() if type(value) in (list, dict, set) else value


def _key(name: str, hint: Any) -> Key:
    while get_origin(hint) in (Required, NotRequired):
        hint = get_args(hint)[0]
    if get_origin(hint) is not typing.Annotated:
        return Key(name)
    inner, *extras = get_args(hint)
    reducers = [e for e in extras if callable(e) and _takes_two(e)]
    if not reducers:
        return Key(name)
    return Key(name, reducers[-1], _maker(inner))


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
