"""Bytes for a reader of stored values: at random, forged after the format, and valid ones that were altered."""

from __future__ import annotations

from random import Random
from typing import Any

import ormsgpack

from tests.fuzz.values import value

TAGS = (*range(12), *range(32, 41), *range(48, 52), *range(64, 67), *range(72, 89), 30, 127)
NAMES = (
    "os:system",
    "subprocess:Popen",
    "builtins:eval",
    "tests.fuzz.values:Note",
    "tests.fuzz.values:Claim",
    "tests.fuzz.values:Rights",
    "antigravity:x",
)
WORDS = (
    "<f8",
    "|O",
    "<U1000000000",
    "V2000000000",
    "M8[ns]",
    "C",
    "F",
    "python",
    "pyarrow",
    "list",
    "Europe/Rome",
    "../../etc/passwd",
    "D",
    "both",
    "",
)
NUMBERS = (0, 1, -1, 2, 7, 255, 2**31 - 1, 2**31, 2**32, 2**62, 2**63 - 1, -(2**63), 2**64 - 1, 10**15)


def nonsense(chance: Random, samples: list[bytes]) -> bytes:
    kind = chance.randrange(10)
    if kind == 0:
        return chance.randbytes(chance.randrange(200))
    if kind == 1:
        return b"\xc1" + chance.randbytes(chance.randrange(200))
    if kind in (2, 3):
        return _forged(chance)
    return _altered(chance, chance.choice(samples), samples)


def fresh_samples(chance: Random, dumps: Any, count: int) -> list[bytes]:
    """Values as they are stored, to be altered."""
    made: list[bytes] = []
    while len(made) < count:
        data = dumps(value(chance, 3), "state")
        if 10 < len(data) < 20_000:
            made.append(data)
    return made


def _altered(chance: Random, sample: bytes, samples: list[bytes]) -> bytes:
    data = bytearray(sample)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        if not data:
            break
        at = chance.randrange(len(data))
        match chance.randrange(8):
            case 0:
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                data[at] = chance.randrange(256)
            case 2:
                del data[at : at + chance.randrange(1, 9)]
            case 3:
                data[at:at] = chance.randbytes(chance.randrange(1, 9))
            case 4:
                del data[at:]
            case 5:
                data[at : at + 4] = chance.choice(NUMBERS).to_bytes(9, "big", signed=True)[-4:]
            case 6:  # a piece of another value
                other = chance.choice(samples)
                start = chance.randrange(len(other))
                data[at : at + chance.randrange(20)] = other[start : start + chance.randrange(1, 40)]
            case 7:  # a piece of itself, somewhere else
                piece = data[at : at + chance.randrange(1, 30)]
                where = chance.randrange(len(data))
                data[where:where] = piece
    return bytes(data)


def _forged(chance: Random) -> bytes:
    """What keeps to the form of a value of several documents, and to nothing else."""
    count = chance.randrange(1, 6)
    root = ormsgpack.packb(_any(chance, count, 2))
    documents = []
    for _ in range(count):
        tag = chance.choice(TAGS)
        body = ormsgpack.packb([_any(chance, count, 3) for _ in range(chance.randrange(6))])
        if 64 <= tag < 66 and chance.random() < 0.8:
            header = ormsgpack.packb([chance.choice(WORDS), [chance.choice(NUMBERS) for _ in range(chance.randrange(4))], chance.choice("CFX")])
            body = len(header).to_bytes(4, "big") + header + chance.randbytes(chance.choice((0, 1, 8, 16)))
        documents.append(bytes([tag]) + body)
    sizes = ormsgpack.packb([len(root), *map(len, documents)])
    return b"\xc1" + len(sizes).to_bytes(4, "big") + sizes + root + b"".join(documents)


def _any(chance: Random, count: int, depth: int) -> Any:
    match chance.randrange(12 if depth else 8):
        case 0:
            return chance.choice(NUMBERS)
        case 1:
            return chance.choice(WORDS)
        case 2:
            return chance.choice(NAMES)
        case 3:
            return chance.choice((None, True, 1.5, float("nan"), b"", b"12345678"))
        case 4 | 5 | 6:
            return ormsgpack.Ext(0, chance.choice((chance.randrange(count), 2**32 - 1)).to_bytes(4, "big"))
        case 7:
            inner = ormsgpack.packb(
                [_any(chance, count, 0) if chance.random() < 0.2 else chance.choice((*NUMBERS, *WORDS)) for _ in range(chance.randrange(9))]
            )
            return ormsgpack.Ext(chance.choice(TAGS), chance.choice((inner, chance.randbytes(16), b"1e999999999", b"p/etc")))
        case 8 | 9:
            return [_any(chance, count, depth - 1) for _ in range(chance.randrange(4))]
        case _:
            return {chance.choice(WORDS): _any(chance, count, depth - 1) for _ in range(chance.randrange(3))}
