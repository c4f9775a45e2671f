"""Answers that YAML and JSON cannot hold, written as plain data and read back as what they were.

A mapping of one key says what it is: `{$decimal: "1.50"}`, `{$date: 2026-05-01}`. What has no such form is kept as the bytes that the store writes,
`{$stored: …}` in base64: they are data too, and reading them runs no code. A mapping of the answer's own that looks like one is `{$plain: {…}}`.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from hashlib import blake2b
from typing import Any, Final

from hitl_nb.checkpoint.serde import Serde
from hitl_nb.errors import AnswersFileError, HitlError, shown

_FORMS: Final[dict[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]]] = {
    "$datetime": (datetime, datetime.isoformat, datetime.fromisoformat),
    "$date": (date, date.isoformat, date.fromisoformat),
    "$time": (time, time.isoformat, time.fromisoformat),
    "$decimal": (Decimal, str, Decimal),
    "$float": (float, repr, float),
    "$bytes": (bytes, lambda value: base64.b64encode(value).decode(), lambda text: base64.b64decode(text, validate=True)),
}
_TUPLE: Final = "$tuple"
_STORED: Final = "$stored"
_PLAIN: Final = "$plain"
_CHECK: Final = 8
NAMES: Final = (*_FORMS, _TUPLE, _STORED, _PLAIN)


def to_plain(value: Any, serde: Serde) -> Any:
    """The value as dicts with text keys, lists, text, numbers, bools and None. Raises NotSerializableError for what no store holds either."""
    kind = type(value)
    if value is None or kind in (bool, int, str) or (kind is float and math.isfinite(value)):
        return value
    if kind is list:
        return [to_plain(item, serde) for item in value]
    if kind is dict and all(type(key) is str for key in value):
        made = {key: to_plain(item, serde) for key, item in value.items()}
        return {_PLAIN: made} if _is_form(made) else made
    if kind is tuple:
        return {_TUPLE: [to_plain(item, serde) for item in value]}
    for name, (cls, write, _) in _FORMS.items():
        if kind is cls and not getattr(value, "fold", 0) and _names_its_zone(value):
            return {name: write(value)}
    data = serde.dumps(value, "answer")
    return {_STORED: base64.b64encode(_check(data) + data).decode()}


def from_plain(value: Any, place: str, serde: Serde | None = None) -> Any:
    """What `to_plain` was given. Raises AnswersFileError, which begins with `place`, for a form that cannot be read."""
    if isinstance(value, list):
        return [from_plain(item, place, serde) for item in value]
    if not isinstance(value, Mapping):
        return value
    if not _is_form(value):
        return {key: from_plain(item, place, serde) for key, item in value.items()}
    ((name, content),) = value.items()
    try:
        if name == _PLAIN:
            return {key: from_plain(item, place, serde) for key, item in dict(content).items()}
        if name == _TUPLE and isinstance(content, list):
            return tuple(from_plain(item, place, serde) for item in content)
        if not isinstance(content, str):
            raise TypeError("expected a text")
        if name == _STORED:
            raw = base64.b64decode(content, validate=True)
            if raw[:_CHECK] != _check(raw[_CHECK:]):
                raise ValueError("it was cut short or altered")
            return (serde or Serde()).loads(raw[_CHECK:])
        return _FORMS[name][2](content)
    except HitlError as error:
        raise AnswersFileError(f"{place}: {name} cannot be read: {error}") from None
    except (ValueError, TypeError, ArithmeticError, KeyError) as error:
        raise AnswersFileError(f"{place}: {name} is {shown(content, 80)}, which cannot be read ({error}); to mean the mapping itself, "
                               f"write {{{_PLAIN}: {{{name}: …}}}}") from None  # fmt: skip


def _check(data: bytes) -> bytes:
    """In front of the bytes, so that what was cut short or typed by hand is not read as something else."""
    return blake2b(data, digest_size=_CHECK).digest()


def _is_form(value: Mapping[Any, Any]) -> bool:
    return len(value) == 1 and next(iter(value)) in NAMES


def _names_its_zone(value: Any) -> bool:
    """False for a time in a zone with rules: its offset alone would not be the same value."""
    zone = getattr(value, "tzinfo", None)
    return zone is None or type(zone).__module__ == "datetime"
