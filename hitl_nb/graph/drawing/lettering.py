"""Names and labels as they can be shown: untrusted text on one line, cut to fit, and how wide it comes out."""

from __future__ import annotations

import re
from typing import Final
from unicodedata import category, east_asian_width

MAX_NAME: Final = 32
"""Characters of a node's name; the middle of a longer one is left out."""
MAX_LABEL: Final = 36

_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""What XML cannot hold, and what turns the direction of the text around it."""


def one_line(text: str) -> str:
    """The text without line breaks and with a replacement character for each that cannot be shown."""
    return _UNPRINTABLE.sub("\ufffd", " ".join(text.split()))


def shortened(text: str, limit: int) -> str:
    """The text on one line, with its middle left out when it is longer than `limit`: beginnings and endings tell names apart."""
    text = one_line(text)
    if len(text) <= limit:
        return text
    head = (limit - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (limit - 1 - head) :]}"


def ems(text: str) -> float:
    """The width in a monospaced font, in units of its size."""
    return sum(0.0 if category(c) in ("Mn", "Me", "Cf") else 1.1 if east_asian_width(c) in "WF" or ord(c) > 0xFFFF else 0.61 for c in text)
