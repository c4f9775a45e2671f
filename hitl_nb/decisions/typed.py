"""The author's own type as pydantic takes it, and as JSON Schema."""

from __future__ import annotations

from functools import cache
from types import UnionType
from typing import Any

from hitl_nb.errors import GraphError, shown


def adapter_of(schema: Any) -> Any:
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError

    try:
        return TypeAdapter(_known_to_pydantic(schema))
    except (PydanticUserError, PydanticUndefinedAnnotation, NameError) as error:  # a name of a type that is not there
        raise GraphError(no_schema(schema, error)) from None


@cache
def generator() -> Any:
    """Pydantic's writer of JSON Schema, with what a form has to know and JSON Schema has no word for. Validators take no notice of it."""
    from pydantic.json_schema import GenerateJsonSchema

    class Generator(GenerateJsonSchema):
        def decimal_schema(self, schema: Any) -> dict[str, Any]:
            return super().decimal_schema(schema) | {"format": "decimal"}

        def datetime_schema(self, schema: Any) -> dict[str, Any]:
            zone = schema.get("tz_constraint")
            return super().datetime_schema(schema) | ({"x-zone": zone} if zone in ("aware", "naive") else {})

        def enum_schema(self, schema: Any) -> dict[str, Any]:
            made = super().enum_schema(schema)
            names = [member.name.lower().replace("_", " ").capitalize() for member in schema["members"]]
            # A text says itself what it means, a number does not.
            return made | ({"x-names": names} if "enum" in made and not all(isinstance(v, str) for v in made["enum"]) else {})

    return Generator


def _known_to_pydantic(schema: Any, busy: tuple[Any, ...] = ()) -> Any:
    """Pydantic takes only typing_extensions' TypedDict before Python 3.12, so typing's is rebuilt as one, also inside of a list or a union."""
    from typing import Annotated, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

    import typing_extensions as te

    origin, parts = get_origin(schema), get_args(schema)
    if parts and origin is not Literal:
        made = tuple(_known_to_pydantic(part, busy) for part in parts)
        if all(one is other for one, other in zip(made, parts, strict=True)):
            return schema
        whole = Annotated if origin is Annotated else Union if origin in (Union, UnionType) else origin
        return whole[made]
    if not is_typeddict(schema) or type(schema).__module__ == "typing_extensions" or schema in busy:
        return schema
    fields: dict[str, Any] = {}
    for name, hint in get_type_hints(schema, include_extras=True).items():
        wrapped = get_origin(hint) if get_origin(hint) in (te.Required, te.NotRequired) else None
        needed = wrapped or (te.Required if name in schema.__required_keys__ else te.NotRequired)
        fields[name] = needed[_known_to_pydantic(get_args(hint)[0] if wrapped else hint, (*busy, schema))]
    return te.TypedDict(schema.__name__, fields)  # type: ignore[operator]


def no_schema(schema: Any, error: Exception) -> str:
    return (
        f"schema={type_name(schema)} cannot describe an answer: {str(error).splitlines()[0]} Use bool, str, a Literal, an Enum, a dataclass, "
        "a TypedDict, a pydantic model or a JSON Schema dict."
    )


def type_name(schema: Any) -> str:
    return getattr(schema, "__name__", None) or shown(schema, 120)
