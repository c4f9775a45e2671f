"""Arbitrary values of every type that a store keeps, from a seeded source: the same seed, the same value."""

from __future__ import annotations

import datetime as dt
import enum
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path, PurePosixPath, PureWindowsPath
from random import Random
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, PrivateAttr

from hitl_nb import Picture


class Colour(enum.Enum):
    RED = "red"
    BLUE = ("b", 1)


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Rights(enum.Flag):
    READ = 1
    WRITE = 2
    RUN = 4


class Point(NamedTuple):
    x: Any
    y: Any


Pair = namedtuple("Pair", "left right")


@dataclass
class Note:
    text: Any
    tags: Any = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Sealed:
    key: Any
    of: Any = None


class Claim(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True, extra="allow")
    amount: Any
    note: Any = None
    _seen: Any = PrivateAttr(default=None)


PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x02\x00\x00\x00\x01\x08\x02\x00\x00\x00\x7b\x40\xe8\xdd"
ZONES = ("UTC", "Europe/Rome", "America/New_York", "Asia/Kathmandu")
DTYPES = (
    "?",
    "i1",
    "u2",
    "<i4",
    ">i8",
    "<u8",
    "<f2",
    ">f4",
    "<f8",
    "<c8",
    "<c16",
    "S3",
    "<U4",
    ">U2",
    "M8[s]",
    "<M8[ns]",
    "m8[D]",
    "V5",
    "longdouble",
)
FREQUENCIES = ("D", "h", "MS", "B", "QS-OCT", "3min")


def text(chance: Random) -> str:
    kind = chance.randrange(6)
    if kind == 0:
        return chance.choice(("", "a", "answer", "\0", "null", "ü", "\u202e", "\U0001d518" * 3, "x" * 300))
    top = (127, 255, 0xD7FF, 0x10FFFF)[kind % 4]
    return "".join(c for c in (chr(chance.randint(0, top)) for _ in range(chance.randrange(9))) if not "\ud800" <= c <= "\udfff")


def number(chance: Random) -> Any:
    bits = chance.choice((1, 8, 31, 32, 63, 64, 65, 200))
    return chance.randint(-(2**bits), 2**bits)


def real(chance: Random) -> float:
    return chance.choice((0.0, -0.0, 1.5, float("inf"), float("-inf"), float("nan"), 5e-324, 1e308, chance.uniform(-1e6, 1e6)))


def moment(chance: Random) -> dt.datetime:
    naive = dt.datetime(1, 1, 1) + dt.timedelta(days=chance.randrange(1, 3652000), microseconds=chance.randrange(86_400_000_000))
    zone = chance.choice(
        (None, dt.UTC, ZoneInfo(chance.choice(ZONES)), dt.timezone(dt.timedelta(seconds=chance.randint(-86399, 86399)), text(chance)))
    )
    return naive.replace(tzinfo=zone, fold=chance.randrange(2))


def plain(chance: Random) -> Any:
    """A value without parts, which is a key of a dict and an element of a set, too."""
    return chance.choice(_PLAIN)(chance)


_PLAIN: Any = (
    lambda _: None,
    lambda c: c.random() < 0.5,
    number,
    real,
    text,
    lambda c: c.randbytes(c.randrange(20)),
    lambda c: complex(real(c), real(c)),
    lambda c: Decimal(c.choice(("NaN", "-Infinity", "0E-50", "1.50", f"{c.randint(-(10**30), 10**30)}E{c.randint(-400, 400)}"))),
    lambda c: UUID(int=c.getrandbits(128)),
    lambda c: dt.date.fromordinal(c.randrange(1, 3652000)),
    moment,
    lambda c: moment(c).timetz(),
    lambda c: dt.timedelta(c.randint(-999_999, 999_999), c.randrange(86400), c.randrange(10**6)),
    lambda c: c.choice((dt.UTC, ZoneInfo("Europe/Rome"), dt.timezone(dt.timedelta(minutes=c.randint(-1400, 1400))))),
    lambda c: c.choice((Path, PurePosixPath, PureWindowsPath))(text(c).replace("\0", "")),
    lambda c: c.choice((Colour.RED, Colour.BLUE, Level.HIGH, Rights.READ | Rights.RUN, Rights(0))),
    lambda c: np.array([c.randrange(100)], c.choice(DTYPES[:10])).astype(c.choice(("?", "i1", "<f4", "<c16")))[0],
    lambda c: c.choice(
        (np.str_(text(c)), np.bytes_(c.randbytes(3)), np.datetime64(c.randrange(10**9), "s"), np.float64(real(c)), np.longdouble(c.random()))
    ),
    lambda c: c.choice(
        (pd.NaT, pd.NA, pd.Period(ordinal=c.randrange(9999), freq=c.choice(("D", "M"))), pd.Interval(0, c.randrange(1, 9), closed="both"))
    ),
    lambda c: pd.Timestamp(c.randrange(10**18), tz=c.choice((None, *ZONES))).as_unit(c.choice(("s", "ns"))),
    lambda c: pd.Timedelta(c.randrange(-(10**17), 10**17), "ns"),
)


def array(chance: Random) -> np.ndarray[Any, Any]:
    shape = tuple(chance.randrange(4) for _ in range(chance.randrange(4)))
    size = int(np.prod(shape))
    if chance.random() < 0.15:
        made = np.empty(size, object)
        for n in range(size):
            made[n] = plain(chance)
        return made.reshape(shape, order=chance.choice("CF"))
    if chance.random() < 0.1:
        dtype = np.dtype([("a", chance.choice(DTYPES)), ("b", chance.choice(DTYPES), (2,))], align=chance.random() < 0.5)
        return np.zeros(shape, dtype)
    dtype = np.dtype(chance.choice(DTYPES))
    if dtype.kind == "U":
        flat = np.array([text(chance)[:2] for _ in range(size)], dtype) if size else np.empty(0, dtype)
    elif dtype.kind == "g" or dtype == np.longdouble:
        flat = np.arange(size).astype(dtype)
    else:
        flat = np.frombuffer(bytes(b & 1 if dtype.kind == "b" else b for b in chance.randbytes(size * dtype.itemsize)), dtype)
    made = flat.reshape(shape, order=chance.choice("CF"))
    return made[::2] if made.ndim and chance.random() < 0.2 else made


def column(chance: Random, size: int) -> Any:
    gaps = [n for n in range(size) if chance.random() < 0.3]

    def holed(values: list[Any]) -> list[Any]:
        return [None if n in gaps else v for n, v in enumerate(values)]

    kind = chance.randrange(12)
    ints = [chance.randrange(100) for _ in range(size)]
    if kind == 0:
        return np.array(ints, chance.choice(("i1", "<i8", "<f4", "<f8", "<c16", "?")))
    if kind == 1:
        return pd.array(holed([i % 2 for i in ints]), dtype=chance.choice(("Int64", "UInt8", "Float32", "boolean")))
    if kind == 2:
        return pd.array(holed([text(chance) for _ in range(size)]), dtype=chance.choice(("str", "string")))
    if kind == 3:
        return pd.Series(holed([plain(chance) for _ in range(size)]), dtype=object)
    if kind == 4:
        codes = [-1 if n in gaps else i % 3 for n, i in enumerate(ints)]
        return pd.Categorical.from_codes(codes, categories=["u", "v", text(chance) + "w!"], ordered=chance.random() < 0.5)
    if kind == 5:
        return pd.to_datetime(holed([10**7 * i for i in ints]), unit="s").as_unit(chance.choice(("s", "us", "ns")))
    if kind == 6:
        return pd.to_datetime([10**7 * i for i in ints], unit="s", utc=True).tz_convert(chance.choice(ZONES))
    if kind == 7:
        return pd.to_timedelta(holed(ints), unit="s")
    if kind == 8:
        return pd.period_range("2020", periods=size, freq=chance.choice(("D", "M", "Y-JUN")))
    if kind == 9:
        return pd.interval_range(0, size, closed=chance.choice(("left", "right", "both"))) if size else np.empty(0)
    return np.array([real(chance) for _ in range(size)])


def index(chance: Random, size: int) -> Any:
    kind = chance.randrange(8)
    if kind == 0:
        return pd.RangeIndex(size)
    if kind < 3:
        return pd.RangeIndex(2, 2 + 3 * size, 3, name="n")
    if kind == 3:
        return pd.Index([text(chance) for _ in range(size)], dtype="str", name=text(chance))
    if kind == 4:
        return pd.date_range("2024-03-30", periods=size, freq=chance.choice(FREQUENCIES), tz=chance.choice((None, "Europe/Rome")))
    if kind == 5 and size:
        return pd.MultiIndex.from_tuples([(n, text(chance)) for n in range(size)], names=["x", None])
    if kind == 6:
        return pd.timedelta_range("1D", periods=size)
    return pd.Index(column(chance, size))


def frame(chance: Random) -> Any:
    size = chance.randrange(5)
    if chance.random() < 0.2:
        return index(chance, size)
    rows = index(chance, size)
    if chance.random() < 0.3:
        made: Any = pd.Series(column(chance, size), name=chance.choice((None, 1, "x", ("a", 2))))
        made.index = rows
    else:
        made = pd.DataFrame({n: column(chance, size) for n in range(chance.randrange(4))}, index=pd.RangeIndex(size))
        made.index = rows
        made.columns = pd.Index([chance.choice(("a", "b", n, ("t", n))) for n in range(made.shape[1])], dtype=object)
    if chance.random() < 0.2:
        made.attrs = {text(chance): plain(chance)}
    return made


def _hashable(chance: Random, depth: int) -> Any:
    if depth <= 0 or chance.random() < 0.6:
        return plain(chance)
    parts = [_hashable(chance, depth - 1) for _ in range(chance.randrange(3))]
    made = (tuple(parts), frozenset(parts), Sealed(text(chance), tuple(parts)), Point(1, tuple(parts)))
    return chance.choice(made)


def value(chance: Random, depth: int = 4) -> Any:
    """A value of any type, with values inside it down to `depth` levels."""
    kind = chance.randrange(30) if depth > 0 else chance.randrange(4)
    if kind < 4:
        return plain(chance)
    if kind == 4:
        return array(chance)
    if kind == 5:
        return frame(chance)
    if kind == 6:
        return bytearray(chance.randbytes(chance.randrange(9)))
    if kind == 7:
        return Picture(PNG, alt=text(chance))
    if kind == 8:  # one and the same value at several places
        shared = value(chance, depth - 1)
        return chance.choice(([shared, shared], (shared, [shared]), {"a": shared, "b": (shared,)}))
    if kind == 9:
        return deep(chance, chance.randrange(1, 60))
    parts = [value(chance, depth - 1) for _ in range(chance.choice((0, 1, 1, 2, 3)))]
    keys = [_hashable(chance, 2) for _ in parts]
    words = [text(chance) for _ in parts]
    made: Any = {
        10: lambda: tuple(parts),
        11: lambda: set(keys),
        12: lambda: frozenset(keys),
        13: lambda: dict(zip(keys, parts, strict=True)),
        14: lambda: OrderedDict(zip(keys, parts, strict=True)),
        15: lambda: Counter(keys),
        16: lambda: deque(parts, chance.choice((None, 9))),
        17: lambda: defaultdict(chance.choice((None, list, dict, int)), zip(words, parts, strict=True)),
        18: lambda: Note(parts, tags=keys),
        19: lambda: Sealed(text(chance), parts),
        20: lambda: Claim(amount=parts, **{"extra one": plain(chance)}),
        21: lambda: Point(parts, plain(chance)),
        22: lambda: Pair(parts, None),
    }.get(kind, lambda: dict(zip(words, parts, strict=True)) if kind % 2 else parts)
    return made()


def deep(chance: Random, levels: int) -> Any:
    """Containers inside containers."""
    made = plain(chance)
    for _ in range(levels):
        made = chance.choice((lambda v: [v], lambda v: (v,), lambda v: {"k": v}, lambda v: {1: v}, Note, lambda v: deque([v])))(made)
    return made


def same(a: Any, b: Any) -> bool:
    """Equal in type and content, at every level; not a number is itself."""
    if type(a) is not type(b):
        return False
    if a is b:
        return True
    if isinstance(a, np.ndarray):
        if (a.dtype, a.shape) != (b.dtype, b.shape):
            return False
        if a.dtype == object:
            return all(same(x, y) for x, y in zip(a.ravel().tolist(), b.ravel().tolist(), strict=True))
        return repr(a.tolist()) == repr(b.tolist())
    if isinstance(a, (pd.DataFrame, pd.Series, pd.Index)):
        return _same_table(a, b)
    if isinstance(a, pd.api.extensions.ExtensionArray):
        return bool(a.dtype == b.dtype) and same(a.tolist(), b.tolist())
    if isinstance(a, deque):
        return a.maxlen == b.maxlen and same(list(a), list(b))
    if isinstance(a, defaultdict) and a.default_factory is not b.default_factory:
        return False
    if isinstance(a, dict):
        return len(a) == len(b) and all(same(x, y) and same(a[x], b[y]) for x, y in zip(a, b, strict=True))
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, (set, frozenset)):
        left, rest = list(a), list(b)
        for item in left:
            found = next((n for n, other in enumerate(rest) if same(item, other)), None)
            if found is None:
                return False
            rest.pop(found)
        return not rest
    if isinstance(a, (Note, Sealed)):
        return all(same(getattr(a, name), getattr(b, name)) for name in a.__dataclass_fields__)
    if isinstance(a, BaseModel):
        parts = ("__dict__", "__pydantic_extra__", "__pydantic_private__", "__pydantic_fields_set__")
        return all(same(getattr(a, name), getattr(b, name)) for name in parts)
    if isinstance(a, dt.datetime | dt.time):
        return (a.replace(tzinfo=None), a.fold, repr(a.tzinfo)) == (b.replace(tzinfo=None), b.fold, repr(b.tzinfo))
    return repr(a) == repr(b)


def _same_table(a: Any, b: Any) -> bool:
    if isinstance(a, pd.MultiIndex):
        return same(a.tolist(), b.tolist()) and same(list(a.names), list(b.names))
    if isinstance(a, pd.Index):
        return (
            bool(a.dtype == b.dtype)
            and same(a.tolist(), b.tolist())
            and same(a.name, b.name)
            and getattr(a, "freq", None) == getattr(b, "freq", None)
        )
    if a.shape != b.shape or not same(a.index, b.index) or not same(a.attrs, b.attrs):
        return False
    if isinstance(a, pd.Series):
        return bool(a.dtype == b.dtype) and same(a.name, b.name) and same(a.tolist(), b.tolist())
    return same(a.columns, b.columns) and all(same(a.iloc[:, n].rename(None), b.iloc[:, n].rename(None)) for n in range(a.shape[1]))
