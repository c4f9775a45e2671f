"""What is typed into one control, and the value it stands for. Nothing is rounded or guessed: what cannot be taken exactly is refused in words."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, Final

from hitl_nb.decisions.fields.field import Field
from hitl_nb.decisions.json_text import JsonTextError, read_json, rounded
from hitl_nb.decisions.problems import format_example, number_words

UTC_SUFFIX: Final = "Z"
NO_ZONE: Final = ""
_DIGITS_MAX: Final = 4000
"""Digits of a number; Python writes no int of more than 4300."""
_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,5})?", re.ASCII)
_ZONED: Final = re.compile(r"(.*\d)\s*(Z|[+-]\d{2}:?\d{2}(?::?\d{2})?)", re.DOTALL)
_TIME: Final = r"\d{2}:\d{2}(:\d{2}([.,]\d{1,6})?)?"
_BODIES: Final = {
    "date": re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII),
    "time": re.compile(_TIME, re.ASCII),
    "date-time": re.compile(rf"\d{{4}}-\d{{2}}-\d{{2}}[Tt ]{_TIME}", re.ASCII),
}
_N: Final = r"\d+(\.\d+)?"
_FORMATS: Final = {
    "email": re.compile(r"[^\s@].*@[^\s@]+"),
    "uri": re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+"),
    "uuid": re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
    "duration": re.compile(rf"[+-]?P(?=.)({_N}Y)?({_N}M)?({_N}W)?({_N}D)?(T(?=.)({_N}H)?({_N}M)?({_N}S)?)?", re.ASCII),
}


class UnreadableError(ValueError):
    """What was typed stands for no value of this field. The text says what was expected."""


def value_of(field: Field, raw: str, zone: str = "") -> Any:
    """The value that the text stands for. Raises UnreadableError."""
    match field.kind:
        case "number":
            return _number(field, raw.strip())
        case "moment":
            return _moment(field, raw.strip(), zone)
        case "choice":
            chosen = next((c for n, c in enumerate(field.choices) if raw == str(n)), None)
            if chosen is None:
                raise UnreadableError("Must be chosen.")
            return chosen.value
        case "json":
            return _parsed(raw)
    expected = _FORMATS.get(field.form)
    if expected is not None and not expected.fullmatch(raw):
        raise UnreadableError(f"Must be {format_example(field.form)}.")
    return raw


def said_value(field: Field, text: str) -> Any:
    """The value of one line on a terminal: a choice by its value or its label. Raises UnreadableError."""
    if field.nullable and not text.strip():
        return None
    if field.kind != "choice":
        return value_of(field, text)
    for spelled in (str, str.casefold):
        meant = [c for c in field.choices if spelled(text.strip()) in (spelled(str(c.value)), spelled(c.label))]
        if len(meant) == 1:
            return meant[0].value
    raise UnreadableError(f"Must be one of {', '.join(c.label for c in field.choices)}.")


def raw_of(field: Field, value: Any) -> tuple[str, str] | None:
    """How the value is typed, and the zone beside it; None when the control cannot hold it."""
    match field.kind:
        case "number":
            return _written_number(field, value)
        case "moment":
            return _written_moment(field, value)
        case "choice":
            found = next((str(n) for n, c in enumerate(field.choices) if same(c.value, value)), None)
            return None if found is None else (found, "")
        case "json":
            return json.dumps(value, indent=2, ensure_ascii=False, default=str), ""
    return (value, "") if isinstance(value, str) else None


def same(one: Any, other: Any) -> bool:
    """Equal as JSON: True is not 1, but 1.0 is."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return one == other
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(v, other[k]) for k, v in one.items())
    return bool(one == other)


def split_zone(text: str) -> tuple[str, str]:
    """A time as its digits and the zone behind them."""
    found = _ZONED.fullmatch(text)
    return (found[1], found[2]) if found and ":" in found[1] else (text, "")


# -- numbers ---------------------------------------------------------------------------------------------------------------------------


def _number(field: Field, text: str) -> int | float | str:
    if not _NUMBER.fullmatch(text):
        if "," in text and _NUMBER.fullmatch(text.replace(",", "")):
            raise UnreadableError("Must be written without commas: a point before the decimals, nothing between the thousands.")
        raise UnreadableError("Must be a whole number, like 12." if field.form == "integer" else "Must be a number, like 12.5.")
    exact = Decimal(text)
    if len(exact.as_tuple().digits) + abs(int(exact.as_tuple().exponent)) > _DIGITS_MAX:
        raise UnreadableError("Has too many digits.")
    if field.form == "decimal":
        _within(field, exact)
        return format(exact, "f") if "e" in text.lower() else text.removeprefix("+")
    if exact == exact.to_integral_value() and (field.form == "integer" or not re.search(r"[.eE]", text)):
        return _whole(field, int(exact))
    if field.form == "integer":
        raise UnreadableError("Must be a whole number, like 12.")
    value = float(text)
    if not math.isfinite(value):
        raise UnreadableError("Is too large.")
    if Decimal(repr(value)) != exact:
        raise UnreadableError(f"Has more digits than are kept; the nearest number is {value!r}.")
    return value


def _whole(field: Field, value: int) -> int:
    if field.form == "number":
        try:
            float(value)
        except OverflowError:
            raise UnreadableError("Is too large.") from None
    return value


def _within(field: Field, value: Decimal) -> None:
    """The bounds of a Decimal: JSON Schema checks them for a number only, and the digits are sent as a text."""
    branches = field.schema.get("anyOf") or field.schema.get("oneOf") or ()
    rules = next((b for b in branches if isinstance(b, Mapping) and b.get("type") == "number"), {})
    least, most = rules.get("minimum"), rules.get("maximum")
    above, below, step = rules.get("exclusiveMinimum"), rules.get("exclusiveMaximum"), rules.get("multipleOf")
    if least is not None and value < _exact(least):
        raise UnreadableError(f"Must be at least {number_words(least)}.")
    if most is not None and value > _exact(most):
        raise UnreadableError(f"Must be at most {number_words(most)}.")
    if above is not None and value <= _exact(above):
        raise UnreadableError(f"Must be more than {number_words(above)}.")
    if below is not None and value >= _exact(below):
        raise UnreadableError(f"Must be less than {number_words(below)}.")
    if step is not None and Fraction(value) % Fraction(_exact(step)):
        raise UnreadableError(f"Must be a multiple of {number_words(step)}.")


def _exact(bound: Any) -> Decimal:
    return Decimal(repr(bound)) if isinstance(bound, float) else Decimal(bound)


def _written_number(field: Field, value: Any) -> tuple[str, str] | None:
    if field.form == "decimal" and isinstance(value, str):
        try:
            return (value, "") if Decimal(value).is_finite() else None
        except InvalidOperation:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if field.form == "integer" and isinstance(value, float):
        return (str(int(value)), "") if value.is_integer() else None
    try:
        return str(value), ""
    except ValueError:  # more digits than Python writes
        return None


# -- dates and times -------------------------------------------------------------------------------------------------------------------


def _moment(field: Field, text: str, zone: str) -> str:
    body, own = (text, "") if field.form == "date" else split_zone(text)
    if not _BODIES[field.form].fullmatch(body):
        raise UnreadableError(f"Must be {format_example(field.form)}.")
    body = body.replace(" ", "T").replace("t", "T").replace(",", ".")
    if field.form != "date" and body.count(":") == 1:
        body += ":00"
    suffix = own or zone
    if field.form == "date-time" and suffix and field.zone == "none":
        raise UnreadableError("Must have no time zone.")
    if field.form == "date-time" and not suffix and field.zone == "needed":
        raise UnreadableError("Must have a time zone.")
    try:
        {"date": date.fromisoformat, "time": time.fromisoformat, "date-time": datetime.fromisoformat}[field.form](body + suffix)
    except ValueError:
        raise UnreadableError(f"There is no such {'date' if field.form == 'date' else 'time'}; expected {format_example(field.form)}.") from None
    return body + suffix


def _written_moment(field: Field, value: Any) -> tuple[str, str] | None:
    if not isinstance(value, str):
        return None
    body, zone = (value, "") if field.form == "date" else split_zone(value)
    if not _BODIES[field.form].fullmatch(body):
        return None
    # A time alone has no place for a zone beside it.
    return (body, zone) if field.form == "date-time" else (value, "")


# -- JSON ------------------------------------------------------------------------------------------------------------------------------


def _parsed(text: str) -> Any:
    try:
        value, changed = read_json(text), rounded(text)
    except JsonTextError as error:
        raise UnreadableError(f"Must be JSON. {error}") from None
    if changed:
        raise UnreadableError(f"Has more digits than are kept: {'; '.join(changed)}.")
    return value
