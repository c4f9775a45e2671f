"""Everything that is wrong with an answer, each at its place and in words for the person who gives it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hitl_nb.decisions.wording import as_written, capital, cut, plural

_SHOWN: Final = 60
"""Characters of a value that a message repeats."""
_LISTED: Final = 8
"""Values that a message lists."""
_TYPES: Final = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "yes or no",
    "array": "a list",
    "object": "a group of fields",
    "null": "empty",
}
_FORMATS: Final = {
    "date": "a date, like 2026-11-20",
    "time": "a time, like 09:41",
    "date-time": "a date and a time, like 2026-11-20T09:41",
    "email": "an e-mail address, like name@example.org",
    "uri": "a web address, like https://example.org/page",
    "uuid": "a UUID, like 123e4567-e89b-12d3-a456-426614174000",
    "duration": "a duration, like PT90M or P3DT4H",
    "ipv4": "an IPv4 address, like 192.0.2.1",
    "ipv6": "an IPv6 address, like 2001:db8::1",
    "hostname": "a host name, like www.example.org",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    path: tuple[str | int, ...]
    """Where in the answer; empty for the answer as a whole."""
    message: str
    """A sentence, like "Must be at most 500."."""


def format_example(name: str) -> str:
    """What a text of this format is, with one to copy: "a date, like 2026-11-20". Empty for a format that has no words."""
    return _FORMATS.get(name, "")


def number_words(value: Any) -> str:
    """`500.0` as "500": a bound reads as a person writes it."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 1e16 else str(value)


def of_schema(errors: Iterable[Any]) -> list[Problem]:
    """The errors of a JSON Schema validator, each once."""
    return list(dict.fromkeys(problem for error in errors for problem in _told(error)))


def of_model(errors: Sequence[Mapping[str, Any]], answer: Any) -> list[Problem]:
    """The errors of pydantic, at the places of the answer. Of the kinds of a union only those that the answer is meant to be."""
    placed = [(*_place(e["loc"], answer), e) for e in errors]
    meant = {union for _, union, e in placed if union is not None and not _is_kind_error(e)}
    kept = [(path, e) for path, union, e in placed if union not in meant or not _is_kind_error(e)]
    return list(dict.fromkeys(Problem(path, _sentence(str(e["msg"]))) for path, e in kept))


def _place(loc: Sequence[str | int], answer: Any) -> tuple[tuple[str | int, ...], tuple[str | int, ...] | None]:
    """Where in the answer, and where the outermost union stands that it lies in; pydantic names the kind and validators in between as well."""
    at: Any = answer
    path: tuple[str | int, ...] = ()
    union = None
    for n, part in enumerate(loc):
        here = at if isinstance(at, Mapping) else dict(enumerate(at)) if isinstance(at, list) else {}
        if part in here:
            at = here[part]
        elif not isinstance(at, Mapping) or n < len(loc) - 1 or part == "[key]":
            union = path if union is None else union
            continue
        path = (*path, part)
    return path, union


def _is_kind_error(error: Mapping[str, Any]) -> bool:
    """True for an error that says: this is not that kind at all."""
    kind = str(error["type"])
    return kind.endswith(("_type", "_parsing")) or kind in ("literal_error", "enum", "missing", "extra_forbidden")


def _sentence(text: str) -> str:
    for prefix in ("Value error, ", "Assertion failed, "):
        text = text.removeprefix(prefix)
    if text == "Field required":
        return "Must be filled in."
    if text.startswith("Input should "):
        text = "Must " + text.removeprefix("Input should ")
    text = capital(text)
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


# -- JSON Schema -----------------------------------------------------------------------------------------------------------------------


def _told(error: Any) -> Iterator[Problem]:
    path, rule, limit, value = tuple(error.absolute_path), error.validator, error.validator_value, error.instance
    match rule:
        case "required":
            yield from (Problem((*path, name), "Must be filled in.") for name in limit if name not in value)
        case "additionalProperties" | "unevaluatedProperties" if limit is False:
            known = error.schema.get("properties", {})
            yield from (Problem((*path, name), "Is not expected here.") for name in value if name not in known)
        case "anyOf" | "oneOf" if error.context:
            yield from _branches(error, path)
        case "propertyNames" if isinstance(value, str):
            yield Problem((*path, value), "Is no name that is expected here.")
        case _:
            yield Problem(path, _words(rule, limit, value, error))


def _branches(error: Any, path: tuple[str | int, ...]) -> Iterator[Problem]:
    """What is wrong by the kind that the answer comes nearest to; which kinds there are when it comes near none."""
    branches: dict[Any, list[Any]] = {}
    for inner in error.context:
        branches.setdefault(inner.schema_path[0], []).append(inner)
    near = [errors for errors in branches.values() if not any(_is_other_kind(e) for e in errors)]
    if near:
        best = min(near, key=len)
        for inner in best:
            yield from _told(inner)
        return
    types = [e.validator_value for e in error.context if not e.relative_path and e.validator == "type"]
    values = [e.validator_value for e in error.context if not e.relative_path and e.validator in ("const", "enum")]
    if types and all(isinstance(t, str) for t in types) and not values:
        words = list(dict.fromkeys(_TYPES.get(t, t) for t in types if t != "null"))
        yield Problem(path, f"Must be {' or '.join(words)}." if words else "Must be empty.")
    else:
        yield Problem(path, "Fits none of the kinds that are expected here.")


def _is_other_kind(error: Any) -> bool:
    """True for an error that says: this is not that kind at all."""
    depth = len(error.relative_path)
    return (depth == 0 and error.validator in ("type", "const", "enum")) or (depth == 1 and error.validator == "const")


def _words(rule: str, limit: Any, value: Any, error: Any) -> str:
    match rule:
        case "type":
            types = [limit] if isinstance(limit, str) else [t for t in limit if t != "null"]
            return f"Must be {' or '.join(_TYPES.get(t, t) for t in types)}."
        case "enum":
            listed = ", ".join(map(_shown, limit[:_LISTED]))
            return f"Must be one of {listed}{' and others' if len(limit) > _LISTED else ''}."
        case "const":
            return f"Must be {_shown(limit)}."
        case "minimum":
            return f"Must be at least {number_words(limit)}."
        case "maximum":
            return f"Must be at most {number_words(limit)}."
        case "exclusiveMinimum":
            return f"Must be more than {number_words(limit)}."
        case "exclusiveMaximum":
            return f"Must be less than {number_words(limit)}."
        case "multipleOf":
            return f"Must be a multiple of {number_words(limit)}."
        case "minLength":
            return f"Needs at least {plural(limit, 'character')}." + (f" It has {len(value)}." if value else "")
        case "maxLength":
            return f"Must have at most {plural(limit, 'character')}. It has {len(value)}."
        case "pattern":
            return f"Must fit the pattern {limit}" if len(limit) <= _SHOWN else "Does not have the expected form."
        case "format":
            return f"Must be {_FORMATS[limit]}." if limit in _FORMATS else f"Must have the format {limit}."
        case "minItems":
            return f"Needs at least {plural(limit, 'entry', 'entries')}."
        case "maxItems":
            return f"Must have at most {plural(limit, 'entry', 'entries')}."
        case "minProperties":
            return f"Needs at least {plural(limit, 'entry', 'entries')}."
        case "maxProperties":
            return f"Must have at most {plural(limit, 'entry', 'entries')}."
        case "uniqueItems":
            return "Must not hold the same entry twice."
        case "oneOf":
            return "Fits more than one of the kinds that are expected here."
    message = str(error.message)
    return f"{capital(message)}." if len(message) <= 2 * _SHOWN else "Does not fit."


def _shown(value: Any) -> str:
    return cut(as_written(value), _SHOWN)
