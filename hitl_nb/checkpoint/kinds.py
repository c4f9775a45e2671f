"""The kinds of codec: what a value becomes. The codecs themselves are in `codecs` (standard library), `arrays` (NumPy) and `frames` (pandas)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hitl_nb.checkpoint.classes import Kind


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value that is a few bytes."""

    tag: int
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


@dataclass(frozen=True, slots=True)
class Branch:
    """A value made of parts."""

    tag: int
    encode: Callable[[Any], list[Any]]
    decode: Callable[[list[Any]], Any]
    unordered: bool = False
    """The parts come in no order of their own; they are stored in that of their bytes."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A value of a user's class, made of parts."""

    tag: int
    kind: Kind
    encode: Callable[[Any], list[Any]]
    decode: Callable[[Any, list[Any]], Any]


@dataclass(frozen=True, slots=True)
class Block:
    """A value that is one long run of bytes behind a short description."""

    tag: int
    encode: Callable[[Any], tuple[list[Any], memoryview]]
    decode: Callable[[list[Any], memoryview], Any]


Codec = Leaf | Branch | Instance | Block
