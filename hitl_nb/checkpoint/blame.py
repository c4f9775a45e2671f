"""Finds the part of a value that cannot be stored, and says why: a slow walk, taken only after encoding failed."""

from __future__ import annotations

import dataclasses
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from hitl_nb.checkpoint.classes import UnstorableError, kind_of

ITSELF: Final = "it contains itself; store what it refers to by a key or an id"
TOO_DEEP: Final = "it is nested too deeply (about 200 levels can be stored); flatten it, for example to a list of nodes with their parents' numbers"
_SHOWN_MAX: Final = 200
"""Characters of a path that are shown."""


def cannot(value: Any) -> str:
    """Why a value of an unknown type cannot be stored, and what to do instead."""
    cls = type(value)
    if callable(value) and not isinstance(value, type):
        return "a function cannot be stored; keep its name or its arguments and look it up inside the node"
    bases = [b.__name__ for b in cls.__mro__[1:] if b in (dict, list, tuple, set, str, bytes, int, float)]
    if bases:
        return f"a subclass of {bases[0]} cannot be stored without losing its type; convert it: {bases[0]}(value)"
    if any(hasattr(cls, name) for name in ("_repr_html_", "_repr_mimebundle_", "_ipython_display_")):
        return "this cannot be stored; to show it in a question give a picture of it: hitl_nb.Picture.of(<the bytes of a PNG>)"
    return (
        "values of this type cannot be stored; keep what it can be made from again (a path, an id, its parameters) and make it inside the node, "
        "or turn it into a dict, a dataclass, a pydantic model or an array"
    )


def find(value: Any, path: str, encode: Callable[[Any], Any]) -> tuple[str, str]:
    """The path of the part to blame, and the reason: what it is, why it cannot be stored and what to do."""
    try:
        found = _search(value, path, encode, {})
    except Exception:  # noqa: BLE001  # code of the value's own class that runs when it is looked at
        found = None
    return found or (path, _reason(value, UnstorableError(cannot(value))))


def _search(value: Any, path: str, encode: Callable[[Any], Any], above: dict[int, None]) -> tuple[str, str] | None:
    if id(value) in above:
        return path, f"{_type_name(value)}: {ITSELF}"
    if len(above) > 300:
        return _shortened(path), f"{_type_name(value)}: {TOO_DEEP}"
    above[id(value)] = None
    for suffix, part in _parts(value):
        found = _search(part, path + suffix, encode, above)
        if found is not None:
            return found
    del above[id(value)]
    try:
        encode(value)
    except TypeError as error:
        return _shortened(path), _reason(value, error)
    return None


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What a value is made of, with what to write behind its path."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            if type(key) is not str or not _is_text(key):
                yield f".keys()[{_short(key)}]", key
            yield f"[{_short(key)}]", part
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        yield from ((f".{name}", part) for name, part in zip(value._fields, value, strict=False))
    elif isinstance(value, (list, tuple, deque)):
        yield from ((f"[{n}]", part) for n, part in enumerate(value))
    elif isinstance(value, (set, frozenset)):
        yield from ((f"{{{_short(part)}}}", part) for part in value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from ((f".{f.name}", getattr(value, f.name)) for f in dataclasses.fields(value) if hasattr(value, f.name))
    elif kind_of(type(value)) == "model":
        yield from ((f".{name}", part) for name, part in value.__dict__.items())
    else:
        yield from _data_parts(value)


def _data_parts(value: Any) -> Iterator[tuple[str, Any]]:
    np, pd = sys.modules.get("numpy"), sys.modules.get("pandas")
    if np is not None and type(value) is np.ndarray and value.dtype == object:
        for index in np.ndindex(value.shape):
            yield f"[{', '.join(map(str, index))}]", value[index]
    elif pd is not None and type(value) is pd.DataFrame:
        yield from ((f"[{_short(name)}]", value.iloc[:, n]) for n, name in enumerate(value.columns))
        yield from ((".index", value.index), (".columns", value.columns), (".attrs", value.attrs))
    elif pd is not None and type(value) is pd.Series:
        if value.dtype == object:
            yield from ((f".iloc[{n}]", part) for n, part in enumerate(value.tolist()))
        yield from ((".index", value.index), (".name", value.name), (".attrs", value.attrs))
    elif pd is not None and isinstance(value, pd.Index) and value.dtype == object and not isinstance(value, pd.MultiIndex):
        yield from ((f"[{n}]", part) for n, part in enumerate(value.tolist()))


def _reason(value: Any, error: TypeError) -> str:
    if isinstance(error, UnstorableError):
        why = str(error)
    elif isinstance(value, str) and not _is_text(value):
        why = "the text holds half a surrogate pair, which no encoding can store; clean it: text.encode('utf-8', 'replace').decode()"
    elif "ecursion" in str(error):
        why = TOO_DEEP
    else:
        why = str(error)
    return f"{_type_name(value)}: {why}"


def _type_name(value: Any) -> str:
    cls = type(value)
    return cls.__qualname__ if cls.__module__ in ("builtins", "__main__") else f"{cls.__module__}.{cls.__qualname__}"


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _short(key: Any) -> str:
    try:
        text = repr(key)
    except Exception:  # noqa: BLE001 - a repr of the user's; the path must come out all the same
        text = f"<{type(key).__name__}>"
    return text if len(text) <= 60 else text[:57] + "..."


def _shortened(path: str) -> str:
    return path if len(path) <= _SHOWN_MAX else f"{path[: _SHOWN_MAX // 2]}…{path[-_SHOWN_MAX // 2 :]}"
