"""Whether a payload is what `when:` says, by value: 5 of NumPy is 5, a Timestamp is the text that it is written as."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID


def holds(wanted: Mapping[str, Any], payload: Any) -> bool:
    """True when every field that is named is there and equal; fields that are not named may be anything, at every level."""
    found = _fields(payload)
    return found is not None and all(key in found and equal(value, found[key]) for key, value in wanted.items())


def equal(wanted: Any, found: Any) -> bool:
    """Whether a value of a payload is what a file says. A mapping holds when its fields do; a list has the same items."""
    try:
        return _equal(wanted, found)
    except Exception:  # noqa: BLE001  # comparing runs code of the value's class; what cannot be compared is not equal
        return False


def _equal(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, Mapping):
        return holds(wanted, found)
    if hasattr(found, "dtype") and hasattr(found, "tolist"):  # NumPy, pandas' arrays and Series
        if isinstance(wanted, float) and getattr(found, "ndim", 1) == 0 and found.dtype.kind == "f":
            return bool(found == found.dtype.type(wanted))  # in the precision of the payload: float32(0.1) is 0.1
        found = found.tolist()
    if isinstance(found, Enum):
        found = found.value
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        if isinstance(found, Sequence) and not isinstance(found, (str, bytes)):
            return len(wanted) == len(found) and all(map(_equal, wanted, found))
        return False
    if wanted is None or _is_missing(found):
        return wanted is None and _is_missing(found)
    if isinstance(wanted, str) and not isinstance(found, str):
        return _as_text(wanted, found)
    if isinstance(wanted, float) and isinstance(found, Decimal):
        return Decimal(repr(wanted)) == found
    if isinstance(wanted, bool) != isinstance(found, bool):
        return False
    same = wanted == found
    return type(same) is bool and same


def _is_missing(value: Any) -> bool:
    """None, NaN, NaT, NA: a missing value, which a file writes as null."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, Decimal)) and value != value  # noqa: PLR0124  # NaN


def _as_text(wanted: str, found: Any) -> bool:
    if isinstance(found, (UUID, PurePath, Decimal)):
        return type(found)(wanted) == found
    if isinstance(found, datetime):  # a Timestamp too
        return datetime.fromisoformat(wanted) == found
    if isinstance(found, (date, time)):
        return found.isoformat() == wanted
    return False


def _fields(value: Any) -> Mapping[Any, Any] | None:
    if isinstance(value, Mapping):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in fields(value)}
    if hasattr(type(value), "model_fields"):
        return dict(value)  # a pydantic model gives its fields in pairs
    return None
