"""A pydantic model as the class of a state: one field checked at a time, and an instance made of values that were checked before.

Pydantic checks whole models, and again each time one is made. A node writes some of the fields, and each must be checked once, as it is written: a
field's validator that changes its value would otherwise change it again at every step. So two validators are derived from the model's own core
schema. The first knows the fields that were written; the second trusts all fields, and only runs what belongs to the model as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from hitl_nb.errors import GraphError


class _Unbuilt:
    """Stands for the model's class, for which pydantic would take the validator that the class has instead of building one."""


_ANY: Final = {"type": "any"}
_SHOWN_MAX: Final = 3
"""How many faults an error's text lists."""
_Schema = Mapping[str, Any]


class ModelFields:
    """The fields of one pydantic model class. Loads nothing: whoever has such a class has loaded pydantic."""

    def __init__(self, cls: Any) -> None:
        from pydantic.errors import PydanticUndefinedAnnotation

        self._cls = cls
        try:
            cls.model_rebuild()
        except PydanticUndefinedAnnotation as error:
            raise GraphError(
                f"an annotation of {cls.__name__} names {error.name!r}, which cannot be found; define it in the same module (or cell) as "
                f"{cls.__name__}, before the graph"
            ) from error
        if cls.__pydantic_root_model__:
            raise GraphError(f"{cls.__name__} is a RootModel, which has no fields to be the keys of a state; use a BaseModel")
        self._checkers: dict[tuple[tuple[str, bool], ...], Any] = {}
        self._builders: dict[frozenset[str], Any] = {}

    def check(self, written: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
        """The written values as the fields' types. `others`: the other fields, which are not checked but shown to validators that look at them.

        Raises pydantic's ValidationError, and whatever else a validator raises.
        """
        shape = tuple((name, name in written) for name in self._cls.model_fields if name in written or name in others)
        checker = self._checkers.get(shape)
        if checker is None:
            checker = self._checkers[shape] = self._checker(shape)
        fields, _, _ = checker.validate_python({**others, **written})
        return {name: fields[name] for name in written}

    def build(self, values: Mapping[str, Any], trusted: Iterable[str]) -> Any:
        """An instance of these values. Fields in `trusted` were checked before; the others are checked now, and the model's own validators run."""
        if self._cls.__pydantic_custom_init__:  # only the class itself knows what its __init__ does with them
            return self._cls(**values)
        known = frozenset(trusted)
        builder = self._builders.get(known)
        if builder is None:
            builder = self._builders[known] = self._builder(known)
        return builder.validate_python(dict(values), self_instance=self._cls.__new__(self._cls))

    def default(self, name: str, values: Mapping[str, Any]) -> Any:
        """A new default value of a field that has one."""
        field = self._cls.model_fields[name]
        if getattr(field, "default_factory_takes_validated_data", False):
            return field.get_default(call_default_factory=True, validated_data=dict(values))
        return field.get_default(call_default_factory=True)

    def _checker(self, shape: tuple[tuple[str, bool], ...]) -> Any:
        from pydantic_core import SchemaValidator

        found: dict[str, Any] = {}

        def look(schema: _Schema) -> _Schema:
            found[schema["type"]] = schema
            return schema

        whole = self._walked(look, look)
        fields = found["model-fields"]["fields"]
        own = {name: _field(fields[name]["schema"] if checked else _ANY) for name, checked in shape}
        alone: Any = {"type": "model-fields", "model_name": self._cls.__name__, "fields": own}
        return SchemaValidator({**whole, "schema": alone} if whole["type"] == "definitions" else alone, found["model"].get("config"))

    def _builder(self, trusted: frozenset[str]) -> Any:
        from pydantic_core import SchemaValidator

        def relaxed(fields: _Schema) -> _Schema:
            own = {name: _field(_trusting(f["schema"]) if name in trusted else f["schema"]) for name, f in fields["fields"].items()}
            return {**fields, "fields": own}

        return SchemaValidator(self._walked(relaxed, lambda model: {**model, "cls": _Unbuilt}))

    def _walked(self, fields: Callable[[_Schema], _Schema], model: Callable[[_Schema], _Schema]) -> Any:
        """The model's core schema with what `fields` makes of its list of fields, and `model` of the part that describes the model."""
        definitions: dict[str, _Schema] = {}

        def walk(schema: _Schema) -> _Schema:
            match schema["type"]:
                case "definitions":
                    definitions.update((d["ref"], d) for d in schema["definitions"])
                    return {**schema, "schema": walk(schema["schema"])}
                case "definition-ref":
                    return walk(definitions[schema["schema_ref"]])
                case "model-fields":
                    return fields(schema)
                case "model":
                    schema = model(schema)
            # without its name, under which fields of this very class refer to the model as it was
            return {key: walk(part) if key == "schema" else part for key, part in schema.items() if key != "ref"}

        return walk(self._cls.__pydantic_core_schema__)


def _field(schema: _Schema) -> _Schema:
    """A field that goes by its own name, whatever its alias is."""
    return {"type": "model-field", "schema": schema}


def _trusting(schema: _Schema) -> _Schema:
    return {**schema, "schema": _ANY} if schema["type"] == "default" else _ANY


def complaint(error: Any, root: str, describe: Callable[[Any], str]) -> tuple[str | None, str]:
    """The first key that a ValidationError is about (None: the model as a whole), and what is wrong in words. `describe` shows a value."""
    found = error.errors(include_url=False, include_context=False)
    lines = []
    for problem in found[:_SHOWN_MAX]:
        where = root + "".join(f"[{part!r}]" for part in problem["loc"])
        if problem["type"] == "missing":
            lines.append(f"{where} is missing")
        elif problem["loc"]:
            lines.append(f"{where} is {describe(problem['input'])}: {problem['msg']}")
        else:
            lines.append(str(problem["msg"]))
    if len(found) > len(lines):
        lines.append(f"and {len(found) - len(lines)} more")
    first = found[0]["loc"]
    return (str(first[0]) if first else None), "; ".join(lines)
