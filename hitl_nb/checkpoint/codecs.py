"""How each type of the standard library becomes bytes or a list of parts, and back. `serde` puts these together.

A leaf is bytes and lies inside its container; a branch is a list of parts, which may be anything storable; an instance is a branch of a user's class.
The tags are the store's format: a number is never given a second meaning.
"""

from __future__ import annotations

import datetime as dt
import re
import struct
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from pathlib import Path, PosixPath, PurePath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import ormsgpack

from hitl_nb.checkpoint import classes
from hitl_nb.checkpoint.classes import Kind, UnstorableError
from hitl_nb.checkpoint.kinds import Branch, Codec, Instance, Leaf
from hitl_nb.checkpoint.pictures import Picture
from hitl_nb.errors import PictureError, StoreError


class Pairs:
    """Stands for a dict whose keys are not all text, which MessagePack maps do not keep apart."""

    __slots__ = ("source",)

    def __init__(self, source: dict[Any, Any]) -> None:
        self.source = source


class Buffer:
    """Stands for a bytearray, which the encoder would store as bytes."""

    __slots__ = ("source",)

    def __init__(self, source: bytearray) -> None:
        self.source = source


def _unpack_flat(data: bytes) -> Any:
    return ormsgpack.unpackb(data)  # without a hook: a leaf holds no other values


def _int_out(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)


def _int_in(data: bytes) -> int:
    return int.from_bytes(data, "little", signed=True)


def _tz_out(tz: dt.tzinfo | None) -> list[Any]:
    if tz is None:
        return []
    if type(tz) is ZoneInfo and tz.key is not None:
        return [tz.key]
    if type(tz) is dt.timezone:
        offset, *name = tz.__getinitargs__()  # type: ignore[attr-defined]
        return [offset // dt.timedelta(microseconds=1), *name]
    raise UnstorableError(f"its time zone is a {type(tz).__module__}.{type(tz).__name__}; use zoneinfo.ZoneInfo or datetime.timezone")


def _tz_in(parts: list[Any]) -> dt.tzinfo | None:
    if not parts:
        return None
    if isinstance(parts[0], str):
        return _zone_in(parts[0])
    return dt.timezone(dt.timedelta(microseconds=parts[0]), *parts[1:])


def _zone_in(key: str) -> ZoneInfo:
    # ZoneInfo looks for an unknown key inside the package tzdata, so it is given nothing but plain names.
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_+\-]*(/[A-Za-z0-9_+\-]+)*", key):
        raise ValueError(f"{key!r} is no name of a time zone")
    try:
        return ZoneInfo(key)
    except ZoneInfoNotFoundError as error:
        raise StoreError(f"a stored value is in time zone {key!r}, which this system does not know; pip install tzdata, then read again") from error


def _datetime_out(v: dt.datetime) -> bytes:
    return ormsgpack.packb([v.year, v.month, v.day, v.hour, v.minute, v.second, v.microsecond, v.fold, *_tz_out(v.tzinfo)])


def _datetime_in(data: bytes) -> dt.datetime:
    year, month, day, hour, minute, second, micro, fold, *tz = _unpack_flat(data)
    return dt.datetime(year, month, day, hour, minute, second, micro, tzinfo=_tz_in(tz), fold=fold)


def _time_out(v: dt.time) -> bytes:
    return ormsgpack.packb([v.hour, v.minute, v.second, v.microsecond, v.fold, *_tz_out(v.tzinfo)])


def _time_in(data: bytes) -> dt.time:
    hour, minute, second, micro, fold, *tz = _unpack_flat(data)
    return dt.time(hour, minute, second, micro, tzinfo=_tz_in(tz), fold=fold)


_PATHS: Final[dict[str, type[PurePath]]] = {"p": Path, "/": PurePosixPath, "\\": PureWindowsPath}


def _path_out(v: PurePath) -> bytes:
    letter = "p" if isinstance(v, Path) else "/" if isinstance(v, PurePosixPath) else "\\"
    return (letter + str(v)).encode("utf-8", "surrogateescape")  # a file name may be any bytes


def _path_in(data: bytes) -> PurePath:
    text = data.decode("utf-8", "surrogateescape")
    return _PATHS[text[0]](text[1:])


_FACTORIES: Final[dict[str, Any]] = {"": None, "list": list, "dict": dict, "set": set, "int": int, "float": float, "str": str}


def _defaultdict_out(v: defaultdict[Any, Any]) -> list[Any]:
    for name, factory in _FACTORIES.items():
        if v.default_factory is factory:
            return [name, *_flat(v)]
    raise UnstorableError("a defaultdict is stored only with list, dict, set, int, float or str as its factory; give a dict")


def _defaultdict_in(parts: list[Any]) -> defaultdict[Any, Any]:
    return defaultdict(_FACTORIES[parts[0]], _unflat(parts[1:]))


def _flat(mapping: Any) -> list[Any]:
    return [part for pair in mapping.items() for part in pair]


def _unflat(parts: list[Any]) -> dict[Any, Any]:
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _picture_in(parts: list[Any]) -> Picture:
    try:
        return Picture(*parts)
    except PictureError as error:
        raise ValueError(str(error)) from error


def _zone_out(v: dt.tzinfo) -> bytes:
    return ormsgpack.packb(_tz_out(v))


REF: Final = 0
"""The tag of a reference to a branch."""

BY_TYPE: Final[dict[type, Codec]] = {
    int: Leaf(1, _int_out, _int_in),  # one beyond 64 bits
    Buffer: Leaf(2, lambda v: bytes(v.source), bytearray),
    complex: Leaf(3, lambda v: struct.pack("<dd", v.real, v.imag), lambda b: complex(*struct.unpack("<dd", b))),
    Decimal: Leaf(4, lambda v: str(v).encode(), lambda b: Decimal(b.decode())),
    UUID: Leaf(5, lambda v: v.bytes, lambda b: UUID(bytes=b)),
    dt.date: Leaf(6, lambda v: ormsgpack.packb([v.year, v.month, v.day]), lambda b: dt.date(*_unpack_flat(b))),
    dt.datetime: Leaf(7, _datetime_out, _datetime_in),
    dt.time: Leaf(8, _time_out, _time_in),
    dt.timedelta: Leaf(9, lambda v: ormsgpack.packb([v.days, v.seconds, v.microseconds]), lambda b: dt.timedelta(*_unpack_flat(b))),
    dt.timezone: Leaf(10, _zone_out, lambda b: _tz_in(_unpack_flat(b))),
    tuple: Branch(32, list, tuple),
    set: Branch(33, list, set, unordered=True),
    frozenset: Branch(34, list, frozenset, unordered=True),
    Pairs: Branch(35, lambda v: _flat(v.source), _unflat),
    OrderedDict: Branch(36, _flat, lambda p: OrderedDict(_unflat(p))),
    Counter: Branch(37, _flat, lambda p: Counter(_unflat(p))),
    deque: Branch(38, lambda v: [v.maxlen, *v], lambda p: deque(p[1:], p[0])),
    defaultdict: Branch(39, _defaultdict_out, _defaultdict_in),
    Picture: Branch(40, lambda v: [v.data, v.media_type, v.width, v.height, v.alt], _picture_in),
}
BY_TYPE[ZoneInfo] = BY_TYPE[dt.timezone]
_PATH: Final = Leaf(11, _path_out, _path_in)
BY_TYPE.update(dict.fromkeys((PosixPath, WindowsPath, PurePosixPath, PureWindowsPath), _PATH))

INSTANCES: Final[dict[Kind, Instance]] = {
    "enum": Instance(48, "enum", classes.enum_parts, classes.enum_build),
    "namedtuple": Instance(49, "namedtuple", list, classes.namedtuple_build),
    "dataclass": Instance(50, "dataclass", classes.dataclass_parts, classes.dataclass_build),
    "model": Instance(51, "model", classes.model_parts, classes.model_build),
}

BY_TAG: Final[dict[int, Codec]] = {codec.tag: codec for codec in (*BY_TYPE.values(), *INSTANCES.values())}


def codec_for(value: Any) -> Codec | None:
    """How a value of exactly this type is stored; None: not at all."""
    cls = type(value)
    codec = BY_TYPE.get(cls)
    if codec is None:
        top = cls.__module__.partition(".")[0]
        if top == "numpy" and "numpy" in sys.modules:
            from hitl_nb.checkpoint import arrays

            codec = arrays.codec_for(value)
        elif top == "pandas" and "pandas" in sys.modules:
            from hitl_nb.checkpoint import frames

            codec = frames.codec_for(value)
        if codec is None and (kind := classes.kind_of(cls)) is not None:
            codec = INSTANCES[kind]
    return codec


def codec_by_tag(tag: int) -> Codec:
    """How a stored value of this tag is read. Loads NumPy or pandas when it is theirs."""
    codec = BY_TAG.get(tag)
    if codec is None and 64 <= tag < 96:
        try:
            if tag < 72:
                from hitl_nb.checkpoint import arrays

                codec = arrays.BY_TAG[tag]
            else:
                from hitl_nb.checkpoint import frames

                codec = frames.BY_TAG[tag]
        except ImportError as error:
            raise StoreError(f"a stored value needs {error.name}, which is not installed here; pip install {error.name}, then read again") from error
    if codec is None:
        raise ValueError(f"unknown tag {tag}")
    return codec
