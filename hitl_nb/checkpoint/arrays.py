"""How NumPy arrays and scalars are stored: dtype, shape and the bytes as they lie; object arrays element by element."""

from __future__ import annotations

import re
import sys
from math import prod
from typing import Any, Final

import numpy as np
import ormsgpack

from hitl_nb.checkpoint.classes import UnstorableError
from hitl_nb.checkpoint.kinds import Block, Branch, Codec, Leaf

_SIMPLE: Final = re.compile(r"[<>|=][?biufcSUmMV]\d*(\[\d*[a-zA-Zμ]+\])?")
_ITEM_MAX: Final = 1 << 24
"""Bytes of one element: NumPy sets them aside even for an empty array."""
_LONG_DOUBLE_PADDED: Final = np.dtype(np.longdouble).itemsize == 16 and np.finfo(np.longdouble).nmant == 63


def _dtype_out(dtype: np.dtype[Any]) -> Any:
    if dtype.itemsize > _ITEM_MAX:
        raise UnstorableError(f"one element of it takes {dtype.itemsize} bytes; convert it with astype(object)")
    if dtype.fields is not None and dtype.names is not None:
        if any(len(field) > 2 for field in dtype.fields.values()):
            raise UnstorableError("its dtype has titles, which are not stored; make it with names only")
        fields = [dtype.fields[name] for name in dtype.names]
        return [list(dtype.names), [_dtype_out(f[0]) for f in fields], [f[1] for f in fields], dtype.itemsize, dtype.isalignedstruct]
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return [_dtype_out(base), list(shape)]
    if dtype.hasobject or not _SIMPLE.fullmatch(dtype.str) or dtype.itemsize == 0:
        raise UnstorableError(f"arrays of dtype {dtype} are not stored; convert it, for example with astype(object) or astype(str)")
    return dtype.str


def _dtype_in(spec: Any) -> np.dtype[Any]:
    if isinstance(spec, str):
        if not _SIMPLE.fullmatch(spec):
            raise ValueError(f"{spec!r} is no dtype that is stored")
        dtype: np.dtype[Any] = np.dtype(spec)
    elif len(spec) == 2:
        dtype = np.dtype((_dtype_in(spec[0]), tuple(spec[1])))
    else:
        names, formats, offsets, itemsize, aligned = spec
        dtype = np.dtype({"names": names, "formats": [_dtype_in(f) for f in formats], "offsets": offsets, "itemsize": itemsize}, align=bool(aligned))
    if not 0 < dtype.itemsize <= _ITEM_MAX or dtype.hasobject:
        raise ValueError(f"{spec!r} is no dtype that is stored")
    return dtype


def _order(array: np.ndarray[Any, Any]) -> str:
    return "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"


def _array_out(array: np.ndarray[Any, Any]) -> tuple[list[Any], memoryview]:
    order = _order(array)
    flat = np.ascontiguousarray(array.T if order == "F" else array).reshape(-1)
    return [_dtype_out(array.dtype), list(array.shape), order], memoryview(_clean(flat).view(np.uint8))  # type: ignore[arg-type]


def _clean(flat: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The array with zeros where no value lies, so that equal values are equal bytes."""
    if flat.dtype.names is not None:
        filled = np.zeros(flat.shape, flat.dtype)
        filled[...] = flat
        return filled
    if _LONG_DOUBLE_PADDED and flat.dtype in (np.longdouble, np.clongdouble):
        flat = flat.copy()
        flat.view(np.uint8).reshape(-1, 16)[:, 10:] = 0
    return flat


def _array_in(header: list[Any], block: memoryview) -> np.ndarray[Any, Any]:
    spec, shape, order = header
    dtype = _dtype_in(spec)
    count = _count(shape)
    if count * dtype.itemsize != len(block):
        raise ValueError(f"an array of {count} x {dtype.itemsize} bytes has {len(block)}")
    flat = _from_bytes(block, dtype) if count else np.empty(0, dtype)
    return flat.reshape(shape, order=order)


def _from_bytes(block: bytes | memoryview, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    flat = np.frombuffer(block, dtype).copy()
    _check_text(flat)
    return flat


def _check_text(array: np.ndarray[Any, Any]) -> None:
    """NumPy takes any four bytes for a character; a str made of one that does not exist crashes the interpreter."""
    for name in array.dtype.names or ():
        _check_text(array[name])
    if array.dtype.kind == "U" and array.size:
        codes = np.ascontiguousarray(array).reshape(-1).view(np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
        if codes.max() > sys.maxunicode:
            raise ValueError("text with a character that does not exist")


def _count(shape: Any) -> int:
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f"{shape!r} is no shape")
    return prod(shape)


def _objects_out(array: np.ndarray[Any, Any]) -> list[Any]:
    order = _order(array)
    return [list(array.shape), order, *array.ravel("F" if order == "F" else "C").tolist()]


def _objects_in(parts: list[Any]) -> np.ndarray[Any, Any]:
    shape, order, *items = parts
    if _count(shape) != len(items):
        raise ValueError(f"an array of shape {shape} has {len(items)} elements")
    flat = np.empty(len(items), object)
    for n, item in enumerate(items):  # one by one: an element may itself be a list
        flat[n] = item
    return flat.reshape(shape, order=order)


def _scalar_out(value: np.generic) -> bytes:
    if isinstance(value, np.str_):
        return ormsgpack.packb(["str", str(value)])
    if isinstance(value, np.bytes_):
        return ormsgpack.packb(["bytes", bytes(value)])
    flat = _clean(np.array([value], value.dtype))
    return ormsgpack.packb([_dtype_out(value.dtype), flat.tobytes()])


def _scalar_in(data: bytes) -> np.generic:
    spec, content = ormsgpack.unpackb(data)
    if spec == "str":
        return np.str_(content)
    if spec == "bytes":
        return np.bytes_(content)
    dtype = _dtype_in(spec)
    if len(content) != dtype.itemsize:
        raise ValueError(f"a scalar of {dtype.itemsize} bytes has {len(content)}")
    value: np.generic = _from_bytes(content, dtype)[0]
    return value


_ARRAY: Final = Block(64, _array_out, _array_in)
_OBJECTS: Final = Branch(65, _objects_out, _objects_in)
_SCALAR: Final = Leaf(66, _scalar_out, _scalar_in)
BY_TAG: Final[dict[int, Codec]] = {codec.tag: codec for codec in (_ARRAY, _OBJECTS, _SCALAR)}


def codec_for(value: Any) -> Codec | None:
    """How a NumPy value is stored; None: not at all."""
    cls = type(value)
    if cls is np.ndarray:
        return _OBJECTS if value.dtype == object else _ARRAY
    if cls.__module__ == "numpy" and issubclass(cls, np.generic):
        return _SCALAR
    if issubclass(cls, np.ndarray):
        raise UnstorableError("a subclass of ndarray loses what it adds; convert it: numpy.asarray(value), a mask as an array of its own")
    return None
