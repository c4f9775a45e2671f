"""JSON as a person types it: read strictly, with a word about what is wrong and in which line, and laid out for comparing."""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final

_DEEP: Final = "it is nested too deeply"
_PYTHON: Final = {"True": "true", "False": "false", "None": "null"}
_TOKEN: Final = re.compile(r'"(?:[^"\\\n]|\\.){0,20}"?|[\w.+-]{1,20}|.', re.DOTALL)


class JsonTextError(ValueError):
    """The text is no JSON. Its text says why, `Line 3: expected a comma before "b".`"""


class _Number(str):
    """A number as it was typed."""

    __slots__ = ()


def read_json(text: str) -> Any:
    """The value of the text. Raises JsonTextError: also for NaN and Infinity, a number too large to hold, and a key that stands twice."""
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=_float, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise JsonTextError(_words(text, error)) from None
    except RecursionError:
        raise JsonTextError(f"{_DEEP[0].upper()}{_DEEP[1:]}.") from None
    except JsonTextError:
        raise
    except ValueError as error:  # an integer of thousands of digits
        raise JsonTextError(f"A number is too long ({error}).") from None


def laid_out(text: str) -> str:
    """The JSON text with one item a line and the numbers as they were typed, so that two of them differ only where the data do."""
    return _pretty(json.loads(text, parse_int=_Number, parse_float=_Number), 0)


def rounded(text: str) -> list[str]:
    """The numbers that have more digits than can be held, each with what is sent: `0.12345678901234567891 is sent as 0.12345678901234568`."""
    found: list[str] = []

    def keep(number: str) -> float:
        held = float(number)
        try:
            if math.isfinite(held) and Decimal(number) != Decimal(repr(held)):
                found.append(f"{number} is sent as {held!r}")
        except InvalidOperation:
            pass
        return held

    json.loads(text, parse_float=keep)
    return found


def _pretty(value: Any, depth: int) -> str:
    inner, outer = "  " * (depth + 1), "  " * depth
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, dict) and value:
        items = (f"{json.dumps(k, ensure_ascii=False)}: {_pretty(v, depth + 1)}" for k, v in value.items())
        return "{\n" + ",\n".join(inner + item for item in items) + f"\n{outer}}}"
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(inner + _pretty(item, depth + 1) for item in value) + f"\n{outer}]"
    return json.dumps(value, ensure_ascii=False)


def _no_constant(name: str) -> Any:
    raise JsonTextError(f"{name} is no JSON number.")


def _float(number: str) -> float:
    held = float(number)
    if not math.isfinite(held):
        raise JsonTextError(f"{number[:40]} is too large a number.")
    return held


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in made if keys.count(key) > 1)
        raise JsonTextError(f"The key {json.dumps(twice, ensure_ascii=False)} stands twice.")
    return made


def _words(text: str, error: json.JSONDecodeError) -> str:
    # From Python 3.13 on a comma before the end is told at the comma.
    rest = text[error.pos + error.msg.startswith("Illegal trailing comma") :].lstrip()
    before = text[: len(text) - len(rest)]
    trailing = before.rstrip().endswith(",")
    line = error.lineno if error.msg.startswith("Invalid") else 1 + (before if rest else before.rstrip()).count("\n")
    token = _TOKEN.match(rest)
    found = token[0] if token else ""
    place = f"before {found}" if found else "at the end"
    if error.msg.startswith("Unterminated string"):
        said = "a text has no closing quote"
    elif error.msg.startswith("Invalid control character"):
        said = "a text goes on in the next line or holds a tab; write \\n or \\t"
    elif error.msg.startswith(("Invalid \\escape", "Invalid \\u")):
        said = "a backslash alone means nothing; write two"
    elif error.msg == "Extra data":
        said = f"the value ends before {found}"
    elif error.msg.startswith("Expecting ','"):
        said = f"expected a comma {place}" if found else "expected a comma or the closing bracket at the end"
    elif error.msg.startswith("Expecting ':'"):
        said = f"expected a colon {place}"
    elif found in ("}", "]"):
        said = f"there is a comma too many before {found}" if trailing else f"expected a value {place}"
    elif error.msg.startswith("Expecting property name"):
        said = f"expected a key in double quotes {place}"
    elif found in _PYTHON:
        said = f"write {_PYTHON[found]} for {found}"
    elif found.startswith("'"):
        said = "texts go into double quotes"
    elif found[:1].isalpha():
        said = f'expected a value {place}; a text goes into quotes: "like this"'
    else:
        said = f"expected a value {place}"
    return f"Line {line}: {said}."
