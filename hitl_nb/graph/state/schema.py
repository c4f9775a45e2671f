"""The state of a graph: which keys there are, how writes combine, what is checked, and what of it a node, an input or a result sees."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from hitl_nb.checkpoint.records import UNSET
from hitl_nb.errors import ConcurrentUpdateError, GraphError, HitlError, InvalidStateError, NodeOutputError, UnknownStateKeyWarning
from hitl_nb.graph.state.state_class import Key, Reducer, StateClass, as_context, parts_of, read_class, shown
from hitl_nb.graph.state.state_model import complaint
from hitl_nb.graph.types import Overwrite, pairs

Write = tuple[str | int, str, Collection[tuple[str, Any]]]
"""`(task, node, update)`: what one task wrote, key by key; the task by its id, or its place in the superstep."""
_OVERWRITE: Final = "__overwrite__"
_MAY_REPLACE: Final = (Overwrite, dict)


class StateSchema:
    """The keys of a state: those of its classes, or any (free-form, the last write wins).

    The keys of the input's and the output's class, and of the classes that nodes read, are keys of the state too. What is stored is one value a key,
    whatever the class is.
    """

    def __init__(
        self,
        schema: Any = None,
        *,
        input_schema: Any = None,
        output_schema: Any = None,
        context_schema: Any = None,
        strict: bool = False,
    ) -> None:
        self.state = None if schema is None else read_class(schema, "StateGraph")
        self._input = self.state if input_schema is None else read_class(input_schema, "input_schema")
        self._output = self.state if output_schema is None else read_class(output_schema, "output_schema")
        self._context = None if context_schema is None else read_class(context_schema, "context_schema")
        self._strict = strict or (self.state is not None and self.state.strict)
        self._known: dict[str, Key] = {}
        self._plain: frozenset[str] = frozenset()
        """The keys that simply hold what is written."""
        self.sound: frozenset[str] = frozenset()
        """The keys that an update may hold, see `pairs`."""
        self._homes: dict[str, StateClass] = {}
        """By key: the class that describes it first, whose types its values have."""
        self._checked: dict[type, frozenset[str]] = {}
        """By class: the keys that are at home there."""
        self._instances: tuple[type, ...] = ()
        """The classes above of which there are instances."""
        self._warned: set[str] = set()
        self.types: set[type] = set()
        """Dataclasses, models, Enums and named tuples the annotations name: values of these classes can be stored."""
        self.checks = self._strict
        """True when what a node writes may be refused."""
        own = dict.fromkeys(described for described in (self.state, self._input, self._output) if described is not None)
        self._filling = tuple(described for described in own if described.kind != "typeddict")
        """The classes that may have defaults for what a new thread's input leaves out."""
        for described in own:
            self.add(described)

    @property
    def name(self) -> str:
        return "free-form state" if self.state is None else self.state.name

    @property
    def keys(self) -> dict[str, Key] | None:
        """By name; None: any key."""
        return None if self.state is None else self._known

    def add(self, described: StateClass) -> None:
        """Make the keys of a class keys of the state too. Raises GraphError for one that is there with another reducer."""
        for name, key in described.keys.items():
            there = self._known.setdefault(name, key)
            if key.reducer is not None and not _same(there.reducer, key.reducer):
                raise GraphError(
                    f"{described.name}.{name} has the reducer {key.reducer!r}, and {self._homes[name].name}.{name} has "
                    f"{'none' if there.reducer is None else repr(there.reducer)}; a key has one reducer: give both classes the same, or give "
                    f"{described.name}.{name} none"
                )
            self._homes.setdefault(name, described)
        if described.kind != "typeddict":
            self._instances = (*self._instances, described.cls)
        self.types |= described.types
        self._plain = frozenset(name for name, key in self._known.items() if key.reducer is None)
        self.sound = frozenset(name for name in self._known if _is_sound(name))
        self._checked.clear()
        self.checks = self._strict or any(home.model is not None for home in self._homes.values())

    def knows(self, name: str) -> bool:
        """Whether nodes can write the key."""
        return self.state is None or name in self._known

    def takes(self, name: str) -> bool:
        """Whether the input can hold the key."""
        return self._input is None or name in self._input.keys

    # -- writing ---------------------------------------------------------------------------------------------------------------------

    def initial(self) -> dict[str, Any]:
        """The values that reducers start from."""
        return {k.name: k.initial() for k in self._known.values() if k.initial is not UNSET}

    def start(self, values: Mapping[str, Any] | None, writes: Sequence[tuple[str, Any]]) -> tuple[dict[str, Any], set[str]]:
        """The values after the input, and the keys that were written; `values` None: a new thread, which begins with the defaults of its classes.

        Raises InvalidStateError for input that does not fit, warns of keys that the input does not have.
        """
        kept = [(name, value) for name, value in writes if self._input is None or self._has(self._input, name)]
        base = self.initial() if values is None else values
        after, written = self._combined(base, [("input", "the input", kept)], InvalidStateError)
        if values is None:
            for described in self._filling:
                given = {name: value for name, value in after.items() if name in written}
                made = described.defaults(given)
                after |= made
                written |= set(made)
            written |= set(base)
        if self._input is not None and self._input.kind != "typeddict":
            self._made(self._input, after, f"the input does not fit {self._input.name}")
        return after, written

    def apply(self, values: Mapping[str, Any], writes: Iterable[Write]) -> tuple[dict[str, Any], set[str]]:
        """The values after the writes of one superstep (in task order), and the keys that were written.

        Where the key's class is a pydantic model, the combined value is checked, and stored as what the check made of it.
        Raises ConcurrentUpdateError for two writers of a key without a reducer, NodeOutputError for a value that does not fit.
        """
        return self._combined(values, writes, NodeOutputError)

    def alone(self, values: Mapping[str, Any], node: str, update: Collection[tuple[str, Any]]) -> dict[str, Any]:
        """`apply` for what one node wrote in a superstep of its own: the values after it."""
        after = self.simply(values, update)
        return self.apply(values, [(node, node, update)])[0] if after is None else after

    def simply(self, values: Mapping[str, Any], update: Collection[tuple[str, Any]]) -> dict[str, Any] | None:
        """The values after one node wrote to keys that simply hold what is written; None where more is to be done."""
        if self.checks:
            return None
        after = dict(values)
        for name, value in update:
            if name not in self._plain or type(value) is Overwrite:
                return None
            after[name] = value
        return after

    def preview(self, values: Mapping[str, Any], writes: Iterable[Write]) -> dict[str, Any]:
        """The values as they would be after these writes, to be looked at: what cannot be combined or does not fit is shown as it came."""
        writes = list(writes)
        try:
            return self.apply(values, writes)[0]
        except Exception:  # noqa: BLE001  # reducers and validators raise anything; the run that stores these writes says so
            after = dict(values)
        for task_id, node, update in writes:
            for name, value in update:
                try:
                    after, _ = self._combined(after, [(task_id, node, [(name, value)])], NodeOutputError)
                except Exception:  # noqa: BLE001  # as above
                    after[name] = value
        return after

    def _combined(self, values: Mapping[str, Any], writes: Iterable[Write], refusal: Callable[..., HitlError]) -> tuple[dict[str, Any], set[str]]:
        after = dict(values)
        writers: dict[str, Write] = {}
        replaced: dict[str, Write] = {}
        added: dict[str, list[Any]] = {}  # one list for all that is added to a key, not one each
        for write in writes:
            task_id, node, update = write
            for name, given in update:
                if name in added and type(given) is list:
                    added[name] += given
                    writers[name] = write
                    continue
                key = self._known.get(name)
                if key is None:
                    if self.state is not None:
                        self._refuse_or_warn(name, node, self.name, self._known, refusal)
                        continue
                    key = Key(name)
                reducer = key.reducer
                value, replaces = _unwrapped(key, given) if type(given) in _MAY_REPLACE else (given, False)
                first = (writers if reducer is None else replaced if replaces else {}).get(name)
                if first is not None and first[0] != task_id:
                    raise _concurrent(key, first[1], node)
                if reducer is None or replaces:
                    after[name] = value
                    added.pop(name, None)
                elif name not in replaced:
                    if name not in after:
                        after[name] = value
                    elif reducer is operator.add and type(value) is type(after[name]) is list:
                        after[name] = added[name] = after[name] + value
                    else:
                        after[name] = reducer(_own(after[name]), value)
                        added.pop(name, None)
                if replaces:
                    replaced[name] = write
                if replaces or name not in replaced:
                    writers[name] = write
        if self.checks:
            self._fit(after, {name: write[1] for name, write in writers.items()}, refusal)
        return after, set(writers)

    def _fit(self, values: dict[str, Any], writers: Mapping[str, str], refusal: Callable[..., HitlError]) -> None:
        """Replace the written values by what their models make of them."""
        for home in dict.fromkeys(self._homes[name] for name in writers if name in self._homes):
            if home.model is None:
                continue
            from pydantic import ValidationError

            mine = {name: values[name] for name in writers if self._homes.get(name) is home}
            try:
                values |= home.model.check(mine, {name: values[name] for name in home.keys if name in values})
            except ValidationError as error:
                name, why = complaint(error, "state", shown)
                writer = writers.get(name or "", "a node")
                raise refusal(f"{writer} wrote what does not fit {home.name}: {why}", key=name, node=writer) from None

    def _has(self, described: StateClass, name: str) -> bool:
        """Whether the input may hold this key."""
        if name not in described.keys:
            self._refuse_or_warn(name, "the input", described.name, described.keys, InvalidStateError)
        return name in described.keys

    def _refuse_or_warn(self, name: str, writer: str, place: str, known: Iterable[str], refusal: Callable[..., HitlError]) -> None:
        """Raise for an unknown key when the graph is strict; else warn, once a key."""
        what = f"{writer} wrote state[{name!r}], which {place} does not have"
        if self._strict:
            raise refusal(f"{what}. Known keys: {', '.join(known)}", key=name, node=writer)
        if name not in self._warned:
            self._warned.add(name)
            warnings.warn(f"{what}; it was dropped. Known keys: {', '.join(known)}", UnknownStateKeyWarning, stacklevel=4)

    def parts(self, returned: object) -> dict[str, Any] | None:
        """What an instance that a node returned writes; None for what is no instance of the state."""
        parts = None if self.state is None else parts_of(returned)
        if parts is None or isinstance(returned, self._instances):
            return parts
        return parts if parts and parts.keys() <= self._known.keys() else None

    # -- reading ---------------------------------------------------------------------------------------------------------------------

    def for_node(self, values: Mapping[str, Any], described: StateClass | None, reader: str, node: str = "") -> Any:
        """What `reader` (of this node) is given: the state as the class it asks for (None: the state's), a dict or an instance of its own.

        Raises InvalidStateError when the state does not fit that class.
        """
        described = described or self.state
        if described is None or self.is_whole(values, described):
            return values
        return self._made(described, values, f"{reader}{node and f' {node!r}'} reads the state as {described.name}, which it does not fit")

    def is_whole(self, values: Mapping[str, Any], described: StateClass | None) -> bool:
        """Whether who reads the state as this class (None: the state's) is given these values as they are: a dict that holds no other keys."""
        described = described or self.state
        return described is None or (described.kind == "typeddict" and described.names.issuperset(values))

    def output(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The part of the state that callers get."""
        if self._output is None:
            return dict(values)
        return {name: values[name] for name in self._output.keys if name in values}

    def context(self, given: Any) -> Any:
        """The context of a run as an instance of the graph's context class; as it came when the graph has none.

        None becomes the class's defaults where every field has one, and stays None elsewhere. Raises InvalidStateError naming what came.
        """
        return given if self._context is None else as_context(self._context, given)

    def _made(self, described: StateClass, values: Mapping[str, Any], where: str) -> Any:
        checked = self._checked.get(described.cls)
        if checked is None:
            checked = frozenset(name for name in described.keys if self._homes[name].cls is described.cls) if described.model else frozenset()
            self._checked[described.cls] = checked
        return described.make(values, checked=checked, where=where)


def _concurrent(key: Key, first: str, second: str) -> ConcurrentUpdateError:
    if key.reducer is not None:
        text = f"nodes {first!r} and {second!r} both overwrote state[{key.name!r}] in one superstep; let only one of them return an Overwrite"
    else:
        text = (
            f"nodes {first!r} and {second!r} both wrote state[{key.name!r}] in one superstep; give the key a reducer "
            f"(Annotated[…, operator.add], for example) or let only one of them write it"
        )
    return ConcurrentUpdateError(text, node=second, key=key.name)


def _is_sound(name: str) -> bool:
    try:
        return bool(pairs({name: None}, "an update"))
    except TypeError:
        return False


def _unwrapped(key: Key, value: Any) -> tuple[Any, bool]:
    """The value to write, and whether it replaces what is there. `{"__overwrite__": value}` is an Overwrite that came through JSON."""
    if type(value) is Overwrite:
        return value.value, True
    if key.reducer is not None and type(value) is dict and len(value) == 1 and _OVERWRITE in value:
        return value[_OVERWRITE], True
    return value, False


def _own(value: Any) -> Any:
    """A list, dict or set of the reducer's own: one that appends in place must not change the state before, nor what the caller passed in."""
    return value.copy() if type(value) in (list, dict, set) else value


def _same(one: Reducer | None, other: Reducer | None) -> bool:
    if one is None or other is None:
        return one is other
    code, other_code = getattr(one, "__code__", None), getattr(other, "__code__", None)
    # a class that is defined again, in a cell that ran again, brings new functions of the same code
    if code is None or other_code is None:
        return one == other
    return (code.co_code, code.co_consts, code.co_names) == (other_code.co_code, other_code.co_consts, other_code.co_names)
