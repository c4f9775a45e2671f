"""Pictures in a payload: what the store cannot keep but can be drawn becomes a stored `Picture` when the question is asked."""

from __future__ import annotations

from typing import Any, Final

from hitl_nb.checkpoint.classes import UnstorableError
from hitl_nb.checkpoint.codecs import codec_for
from hitl_nb.checkpoint.pictures import Picture, drawn
from hitl_nb.errors import PictureError

_PLAIN: Final = frozenset({str, int, float, bool, bytes, type(None)})


def with_pictures(payload: Any) -> Any:
    """The payload with a Picture in place of each plot, PIL image or other object that draws itself, inside lists, tuples and dicts.

    Everything else is left as it is, also what cannot be stored: the store says so. The payload itself is not changed.
    Raises PictureError, which names the place, for a picture that is too large or cannot be drawn.
    """
    try:
        return _replaced(payload, set())
    except PictureError as error:
        path = f"payload{error.path}"
        raise PictureError(f"{path}: {error}", path=path) from error


def _replaced(value: Any, above: set[int]) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is not dict and kind is not list and kind is not tuple:
        return _picture(value)
    if id(value) in above or len(above) > 200:  # the store refuses both, with the reason
        return value
    above.add(id(value))
    keys = value if kind is dict else range(len(value))
    parts = []
    for key in keys:
        try:
            parts.append(_replaced(value[key], above))
        except PictureError as error:
            error.path = f"[{key!r}]{error.path}"
            raise
    above.discard(id(value))
    if all(new is value[key] for key, new in zip(keys, parts, strict=True)):
        return value
    return dict(zip(value, parts, strict=True)) if kind is dict else kind(parts)


def _picture(value: Any) -> Any:
    try:
        if codec_for(value) is not None:
            return value
    except UnstorableError:
        return value
    data = drawn(value)
    return value if data is None else Picture(data)
