"""Keys, values and counts as a person reads them. Plain text: whoever draws it escapes it."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from hitl_nb.checkpoint.pictures import picture_in

_DEPTH_MAX: Final = 6
_BYTES_SHOWN: Final = 200
"""Bytes up to which bytes are written out."""
_JSON_MAX: Final = 4_000
"""Characters of JSON that a person is shown."""
_TURNING: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""What sets the direction of the text behind it: `Reject` could be written to read as something else."""
POSITIVE: Final = ("approve", "approved", "yes", "accept", "accepted", "confirm")
NEGATIVE: Final = ("reject", "rejected", "no", "deny", "denied", "decline", "cancel", "refuse", "give_up")


def says_yes(option: Any) -> bool:
    """Whether this option of a payload approves."""
    return option in POSITIVE


def label(word: Any) -> str:
    """`request_changes` as "Request changes"."""
    return capital(" ".join(str(word).replace("_", " ").split()))


def capital(text: str) -> str:
    """The text with a capital in front, the rest as it is."""
    return text[:1].upper() + text[1:]


def in_sentence(title: str) -> str:
    """`Refund request` as "refund request"; what begins with several capitals stays."""
    return title[:1].lower() + title[1:] if title[1:2].islower() else title


def plural(count: int, one: str, many: str = "") -> str:
    """`1 row`, `3,400 rows`."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def cut(text: str, most: int = 60) -> str:
    """At most so many characters of the text, the last one a sign that there are more."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def told_apart(values: Sequence[Any], labels: Sequence[str]) -> list[str]:
    """Labels that a person can tell apart, one a value: as they are, or the value as JSON for those that look alike, like nothing, or turn around.

    >>> told_apart(["yes", "Yes", "no"], ["Yes", "Yes", "No"])
    ['"yes"', '"Yes"', 'No']
    """
    seen = ["".join(letter for letter in text if unicodedata.category(letter) != "Cf").strip() for text in labels]
    doubtful = (not s or seen.count(s) > 1 or bool(_TURNING & set(text)) for s, text in zip(seen, labels, strict=True))
    return [exactly(value) if odd else text for odd, value, text in zip(doubtful, values, labels, strict=True)]


def exactly(value: Any) -> str:
    """The value as JSON, with what cannot be seen, or turns the text behind it around, written out."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return "".join(f"\\u{ord(c):04x}" if unicodedata.category(c) in ("Cf", "Cc", "Zl", "Zp") else c for c in text)


def straight(text: str) -> str:
    r"""The text as it is to be shown: a letter that forces the direction of what follows is written out, so that nothing reads as something else.

    Texts that run from right to left need no such letter; the others of its kind keep them in order.

    >>> straight("Ship \u202eTCEJER it?")
    'Ship [U+202E]TCEJER it?'
    """
    return text.replace("\u202d", "[U+202D]").replace("\u202e", "[U+202E]")


def printable(text: str) -> str:
    """The text without what a terminal would act on: payloads are untrusted, and an escape sequence can redraw the screen."""
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)


def facts_of(values: Mapping[Any, Any], names: Mapping[Any, str] | None = None) -> dict[str, Any]:
    """Label (of `names`) and readable value of each key, in order. Numbers stay numbers; everything else becomes a text, whole however long."""
    names = labels_of(values) if names is None else names
    return {names[key]: value if type(value) in (int, float) else readable(value) for key, value in values.items()}


def labels_of(keys: Iterable[Any]) -> dict[Any, str]:
    """The label of each key; a key whose label is taken stands as it is, or gets a number."""
    names: dict[Any, str] = {}
    taken: set[str] = set()
    for key in keys:
        name, number = label(key), 1
        while name in taken:
            name, number = (str(key) if number == 1 else f"{key} ({number})"), number + 1
        names[key] = name
        taken.add(name)
    return names


def readable(value: Any, depth: int = 0) -> str:
    """A value as text: a mapping as "Key: value" lines, a list of scalars in one line, a list of larger things one a line."""
    if isinstance(value, str):
        return value
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (date, datetime)):
        return str(value)
    if isinstance(value, (bytes, bytearray)):
        return str(picture_in(bytes(value)) or (value if len(value) <= _BYTES_SHOWN else f"{len(value):,} bytes"))
    if depth >= _DEPTH_MAX:
        return str(value)
    if isinstance(value, Mapping):
        lines = [f"{label(k)}: {_nested(readable(v, depth + 1))}" for k, v in value.items()]
        return ("\n" if depth == 0 else ", ").join(lines) if lines else "none"
    if isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value, key=str) if isinstance(value, (set, frozenset)) else list(value)
        parts = [readable(v, depth + 1) for v in items]
        large = any(isinstance(v, (Mapping, list, tuple)) for v in items)
        return ("\n" if large and depth == 0 else ", ").join(parts) if parts else "none"
    return str(value)


def _nested(text: str) -> str:
    return text.replace("\n", "\n  ")


def pretty_json(value: Any) -> str:
    """The value as indented JSON; what JSON does not have is written as its text."""
    try:
        return json.dumps(value, indent=2, ensure_ascii=False, default=readable)
    except (TypeError, ValueError):  # a key that is no text, a value that holds itself
        return readable(value)


def as_json(value: Any) -> str:
    """The value as one line of JSON; what JSON does not have is written as its text."""
    try:
        return json.dumps(value, ensure_ascii=False, default=readable, allow_nan=False)
    except (TypeError, ValueError):  # keys that are no text, numbers that are none
        return json.dumps(_plain(value), ensure_ascii=False, default=readable)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k if isinstance(k, str) else readable(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def as_written(value: Any) -> str:
    """A text as it is, anything else as JSON."""
    return value if isinstance(value, str) else as_json(value)


def readable_json(value: Any) -> str:
    """JSON, as far as a person may read it: of an answer about ten thousand rows, the record has the rest."""
    text = as_json(value)
    return text if len(text) <= _JSON_MAX else f"{text[:_JSON_MAX]}… ({len(text):,} characters)"
