"""Which values a superstep changed, and where each is stored. An unchanged one is referenced, however large it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hitl_nb.checkpoint.base import INLINE_MAX
from hitl_nb.checkpoint.records import ValueRef
from hitl_nb.checkpoint.sealing import digest_of
from hitl_nb.checkpoint.serde import Serde

_PART: Final = 1024
"""Bytes at the beginning, in the middle and at the end of a large value that are looked at first."""


@dataclass(slots=True)
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
    serde: Serde, values: Mapping[str, Any], written: Iterable[str], seq: int, versions: Mapping[str, ValueRef], known: Mapping[str, bytes],
    *, at_once: bool = False,
) -> Changed:  # fmt: skip
    """Compare what the nodes wrote with what is stored: small values by their bytes, large ones by length and digest.

    `at_once`: the commit comes before anything is compared with this state, so it can make the digests of what changed, while it writes.
    Raises NotSerializableError naming the path of a value that cannot be stored.
    """
    refs, inline, large, small = dict(versions), dict[str, bytes](), dict[int, bytes](), dict(known)
    here = ValueRef(seq)
    keys = set(written)
    if not versions.keys() <= known.keys():  # a key that goes on under a new name is in the store under its old one
        keys.update(key for key, ref in versions.items() if ref.slot < 0 and key not in known)
    for key in sorted(keys):
        data = serde.dumps(values[key], f"state[{key!r}]")
        if len(data) <= INLINE_MAX:
            if small.get(key) != data:
                refs[key] = here
                inline[key] = small[key] = data
            continue
        small.pop(key, None)
        sample, old, digest = _sample(data), refs.get(key), b""
        may_be_old = old is not None and old.length == len(data) and old.sample in (b"", sample)
        if may_be_old or not at_once:
            digest = digest_of(data)
        if old is None or not may_be_old or old.digest != digest:
            refs[key] = ValueRef(seq, len(large), len(data), digest, sample)
            large[len(large)] = data
    return Changed(refs, inline, large, small)


def _sample(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:_PART] + data[middle : middle + _PART] + data[-_PART:]
