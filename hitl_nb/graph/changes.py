"""Which values a superstep changed, and where each is stored. An unchanged one is referenced, however large it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from hitl_nb.checkpoint.base import INLINE_MAX
from hitl_nb.checkpoint.records import ValueRef
from hitl_nb.checkpoint.serde import Serde


@dataclass(frozen=True, slots=True)
class Changed:
    """What the next checkpoint has to write."""

    versions: Mapping[str, ValueRef]
    """Where every value of the state lies."""
    inline: Mapping[str, bytes]
    """The changed small values."""
    large: Mapping[int, bytes]
    """The changed large values, by slot."""
    known: dict[str, bytes]
    """All small values of the state, changed or not, to compare the next superstep with."""


def changed_values(
    serde: Serde, values: Mapping[str, Any], written: Iterable[str], seq: int, versions: Mapping[str, ValueRef], known: Mapping[str, bytes]
) -> Changed:
    """Compare what the nodes wrote with what is stored: small values by their bytes, large ones by length and digest.

    Raises NotSerializableError naming the path of a value that cannot be stored.
    """
    refs, inline, large, small = dict(versions), dict[str, bytes](), dict[int, bytes](), dict(known)
    # a key that goes on under a new name is in the store under its old one
    renamed = (key for key, ref in versions.items() if ref.slot < 0 and key not in known)
    for key in sorted({*written, *renamed}):
        data = serde.dumps(values[key], f"state[{key!r}]")
        if len(data) <= INLINE_MAX:
            if small.get(key) != data:
                refs[key] = ValueRef(seq)
                inline[key] = small[key] = data
            continue
        small.pop(key, None)
        digest, old = blake2b(data, digest_size=16).digest(), refs.get(key)
        if old is None or (old.length, old.digest) != (len(data), digest):
            refs[key] = ValueRef(seq, len(large), len(data), digest)
            large[len(large)] = data
    return Changed(refs, inline, large, small)
