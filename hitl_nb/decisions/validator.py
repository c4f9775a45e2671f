"""What checks data against a JSON Schema, as every answer is checked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime, time
from fractions import Fraction
from functools import cache
from threading import local
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Validator:
    """A validator of `jsonschema`, of which a schema without end is a RecursionError."""

    made: Any

    def iter_errors(self, data: Any) -> Iterator[Any]:
        with ending():
            yield from self.made.iter_errors(data)

    def is_valid(self, data: Any) -> bool:
        with ending():
            return bool(self.made.is_valid(data))

    def evolve(self, schema: Any) -> Validator:
        """For a part of the schema, whose references lead into the whole."""
        return Validator(self.made.evolve(schema=schema))


@contextmanager
def ending() -> Iterator[None]:
    """Where the limit of recursion is reached inside a library in Rust, it ends in an exception that no `except Exception` sees: a RecursionError."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of the module pyo3_runtime, which cannot be imported
            raise
        raise RecursionError(str(error)) from None


def validator_of(schema: Mapping[str, Any]) -> Validator:
    """What checks data against a JSON Schema as answers are checked: with the formats of dates and times, and without ever using the network."""
    from jsonschema.validators import Draft202012Validator, validator_for
    from referencing import Registry

    cls = _gentle(validator_for(schema, default=Draft202012Validator))
    # An own empty registry: the default one would fetch a remote $ref from the network.
    return Validator(cls(dict(schema), format_checker=_formats(), registry=Registry()))


@cache
def _gentle(base: Any) -> Any:
    """The validator class of a draft of JSON Schema, with our exceptions from its rules."""
    from jsonschema.validators import extend

    rules = {word: _gentler(base.VALIDATORS[word], excused) for word, excused in _EXCUSED.items() if word in base.VALIDATORS}
    rules |= {word: _once(base.VALIDATORS[word]) for word in _REFERENCES if word in base.VALIDATORS}
    return extend(base, rules)  # type: ignore[no-untyped-call]


@cache
def _formats() -> Any:
    from jsonschema import FormatChecker

    formats = FormatChecker()
    formats.checks("date-time", raises=ValueError)(_format(datetime.fromisoformat))
    formats.checks("date", raises=ValueError)(_format(date.fromisoformat))
    formats.checks("time", raises=ValueError)(_format(time.fromisoformat))
    return formats


def _format(parse: Any) -> Any:
    def check(value: object) -> bool:
        if isinstance(value, str):
            parse(value)
        return True

    return check


def _gentler(rule: Any, excused: Any) -> Any:
    def check(validator: Any, limit: Any, value: Any, schema: Any) -> Iterator[Any]:
        if not excused(value, limit):
            yield from rule(validator, limit, value, schema) or ()

    return check


def _once(rule: Any) -> Any:
    """A reference that comes back to itself at the same part of the data never ends: said at once, and not a thousand calls later."""
    inside = local()

    def check(validator: Any, reference: Any, value: Any, schema: Any) -> Iterator[Any]:
        followed = inside.__dict__.setdefault("followed", set())
        here = (id(schema), id(value))
        if here in followed:
            raise RecursionError(f"{reference!r} refers to itself without end")
        followed.add(here)
        try:
            errors = list(rule(validator, reference, value, schema) or ())
        finally:
            followed.discard(here)
        yield from errors

    return check


def _is_multiple(value: Any, step: Any) -> bool:
    """Exact by the digits that are written: 1.1 is a multiple of 0.01, which division of floats denies."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not step:
        return False
    return not Fraction(str(value)) % Fraction(str(step))


def _is_beyond(value: Any, pattern: str) -> bool:  # noqa: ARG001
    """A pattern that only pydantic can read, which checks the answer itself. One of the author's own JSON Schema was read when it was asked with."""
    with suppress(re.error):
        re.compile(pattern)
        return False
    return True


_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
_EXCUSED = {"multipleOf": _is_multiple, "pattern": _is_beyond}
"""Which values a rule takes beside those that it takes anyway."""
