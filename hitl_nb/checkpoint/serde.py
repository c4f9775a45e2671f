"""Bytes from values and back, without pickle: what is stored is data, and reading it runs no code that it names.

A value of JSON types is one MessagePack document. Any other value inside it becomes an extension: a small one (a date, a Decimal) holds its bytes, a
container (a tuple, a dataclass, an array) is a number that refers to a document of its own, behind the first. So neither writing nor reading
recurses, whatever the data says, and an array's bytes are copied once.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, Final

import ormsgpack

from hitl_nb.checkpoint import blame
from hitl_nb.checkpoint.classes import Classes, UnstorableError
from hitl_nb.checkpoint.codecs import REF, Buffer, Pairs, codec_by_tag, codec_for
from hitl_nb.checkpoint.kinds import Block, Branch, Instance, Leaf
from hitl_nb.errors import CorruptStoreError, HitlError, NotSerializableError

_OPTION: Final = (
    ormsgpack.OPT_PASSTHROUGH_BIG_INT
    | ormsgpack.OPT_PASSTHROUGH_DATACLASS
    | ormsgpack.OPT_PASSTHROUGH_DATETIME
    | ormsgpack.OPT_PASSTHROUGH_ENUM
    | ormsgpack.OPT_PASSTHROUGH_SUBCLASS
    | ormsgpack.OPT_PASSTHROUGH_TUPLE
    | ormsgpack.OPT_PASSTHROUGH_UUID
)
_SORTED: Final = _OPTION | ormsgpack.OPT_SORT_KEYS
_SCALARS: Final = frozenset((str, int, float, bool, type(None)))
_FRAMED: Final = b"\xc1"
"""The one byte that begins no MessagePack document begins a value of several."""
_DEPTH_MAX: Final = 200
"""How deep containers may lie inside containers; bounds what hashing or comparing a value read from bytes can take."""


def pack(plain: Any) -> bytes:
    """Bytes of a record of lists, dicts, text, numbers, bytes, None and bools."""
    return ormsgpack.packb(plain)


def unpack(data: bytes) -> Any:
    """What `pack` was given; tuples come back as lists. Raises CorruptStoreError for anything else."""
    try:
        return ormsgpack.unpackb(data)
    except ValueError as error:
        raise CorruptStoreError(f"a record of {len(data)} bytes cannot be read: {error}") from error


class Serde:
    """Encodes what a graph's state, payloads and answers hold. May be used from any thread.

    >>> from datetime import date
    >>> serde = Serde()
    >>> serde.loads(serde.dumps({"due": date(2026, 5, 1), "tags": {"a"}}, "state"))
    {'due': datetime.date(2026, 5, 1), 'tags': {'a'}}
    """

    def __init__(self, types: Iterable[type] = ()) -> None:
        self._classes = Classes()
        self.register(*types)

    def register(self, *types: type) -> None:
        """Let values be instances of these dataclasses, Enums, pydantic models and named tuples, although no module holds them by name."""
        self._classes.register(types)

    def dumps(self, value: Any, path: str) -> bytes:
        """The value's bytes. `path` is what errors call the value, for example ``state``.

        Raises NotSerializableError, which names the part that cannot be stored.
        """
        return self._encode(value, path, _OPTION)

    def digest(self, value: Any, path: str) -> str:
        """32 hex characters, the same for values of the same content and types in any order of keys and set elements. Raises as `dumps` does."""
        return blake2b(self._encode(value, path, _SORTED), digest_size=16).hexdigest()

    def loads(self, data: bytes) -> Any:
        """The value, of the same types.

        Raises CorruptStoreError for bytes that `dumps` did not make, UnknownTypeError for a class that is not loaded here.
        """
        if data[:1] != _FRAMED:
            try:
                return ormsgpack.unpackb(data)  # nothing but JSON types and bytes, as nearly always
            except ValueError:
                pass
        decoder = _Decoder(self._classes)
        try:
            return decoder.run(data)
        except (HitlError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - constructors of pandas and others answer nonsense with any exception
            cause = decoder.error or error
            if isinstance(cause, HitlError) or not isinstance(cause, Exception):
                raise cause from None
            raise CorruptStoreError(f"a stored value of {len(data)} bytes cannot be read: {type(cause).__name__}: {cause}") from cause

    def _encode(self, value: Any, path: str, option: int) -> bytes:
        if type(value) in _SCALARS:  # one that MessagePack has no form for (an int of more than 64 bits, half a surrogate pair) goes on below
            try:
                return ormsgpack.packb(value)
            except TypeError:
                pass
        try:
            return _Encoder(self._classes, option).run(value)
        except TypeError as error:
            where, why = blame.find(value, path, lambda part: _Encoder(self._classes, option).run(part))
            raise NotSerializableError(f"{where}: {why}", path=where) from error


class _Encoder:
    __slots__ = ("_at", "_classes", "_error", "_ids", "_option", "_parents", "_parts", "_pending", "_ranks")

    def __init__(self, classes: Classes, option: int, ranks: dict[int, bytes] | None = None) -> None:
        self._classes = classes
        self._option = option
        self._error: BaseException | None = None
        self._at = -1
        """The container being written; -1: the value itself."""
        self._ids: list[int] = []
        self._parents: list[int] = []
        self._parts: list[list[bytes | memoryview]] = []
        self._pending: list[tuple[int, Any, Any]] = []
        self._ranks = ranks

    def run(self, value: Any) -> bytes:
        root = self._pack(value)
        if not self._pending:
            return root
        while self._pending:
            self._at, part, codec = self._pending.pop()
            self._parts[self._at] = self._document(part, codec)
        sizes = ormsgpack.packb([len(root), *(sum(map(len, parts)) for parts in self._parts)])
        return b"".join([_FRAMED, len(sizes).to_bytes(4, "big"), sizes, root, *(p for parts in self._parts for p in parts)])

    def _document(self, value: Any, codec: Branch | Instance | Block) -> list[bytes | memoryview]:
        tag = bytes([codec.tag])
        if isinstance(codec, Block):
            header, block = codec.encode(value)
            packed = self._pack(header)
            return [tag, len(packed).to_bytes(4, "big"), packed, block]
        parts = codec.encode(value)
        if isinstance(codec, Instance):
            parts = [self._classes.reference(type(value)), *parts]
        elif codec.unordered:
            parts = sorted(parts, key=self._rank)
        elif type(value) is Pairs and self._option == _SORTED:
            parts = [part for key in sorted(value.source, key=self._rank) for part in (key, value.source[key])]
        return [tag, self._pack(parts)]

    def _rank(self, part: Any) -> bytes:
        if self._ranks is None:
            self._ranks = {}
        rank = self._ranks.get(id(part))
        if rank is None:
            # Remembered for the sets inside this one, which would be ranked again at every level.
            rank = self._ranks[id(part)] = _Encoder(self._classes, _SORTED, self._ranks).run(part)
        return rank

    def _pack(self, value: Any) -> bytes:
        mark, pending = len(self._ids), len(self._pending)
        try:
            data = ormsgpack.packb(value, default=self._hook, option=self._option)
        except TypeError:
            self._raise_interrupt()
            plain = self._plain(value, set())
        else:
            # The encoder takes a bytearray for bytes without asking. Where no marker of bytes is, none was.
            if not ((b"\xc4" in data or b"\xc5" in data or b"\xc6" in data) and _holds_buffer(value)):
                return data
            plain = self._plain(value, set())
        del self._ids[mark:], self._parents[mark:], self._parts[mark:], self._pending[pending:]
        try:
            return ormsgpack.packb(plain, default=self._hook, option=self._option)
        except TypeError:
            self._raise_interrupt()
            if isinstance(self._error, UnstorableError):
                raise self._error from None
            raise

    def _raise_interrupt(self) -> None:
        # The encoder hides what its hook raised, be it Ctrl-C.
        if self._error is not None and not isinstance(self._error, Exception):
            raise self._error

    def _hook(self, value: Any) -> ormsgpack.Ext:
        try:
            codec = codec_for(value)
            if codec is None:
                raise UnstorableError(blame.cannot(value))
            if isinstance(codec, Leaf):
                return ormsgpack.Ext(codec.tag, codec.encode(value))
            return self._refer(value, codec)
        except BaseException as error:
            self._error = error
            raise

    def _refer(self, value: Any, codec: Branch | Instance | Block) -> ormsgpack.Ext:
        ident = id(value.source) if type(value) is Pairs else id(value)
        above, depth = self._at, 0
        while above >= 0:
            depth += 1
            if self._ids[above] == ident:
                raise UnstorableError(blame.ITSELF)
            above = self._parents[above]
        if depth >= _DEPTH_MAX:
            raise UnstorableError(blame.TOO_DEEP)
        index = len(self._ids)
        self._ids.append(ident)
        self._parents.append(self._at)
        self._parts.append([])
        self._pending.append((index, value, codec))
        return ormsgpack.Ext(REF, index.to_bytes(4, "big"))

    def _plain(self, value: Any, above: set[int]) -> Any:
        """A copy in which dicts with other keys than text, and bytearrays, are marked as such."""
        kind = type(value)
        if kind is bytearray:
            return Buffer(value)
        if kind is memoryview:
            raise UnstorableError("a memoryview cannot be stored; copy it: bytes(value)")
        if kind is not dict and kind is not list:
            return value
        if id(value) in above:
            raise UnstorableError(blame.ITSELF)
        if len(above) > _DEPTH_MAX:
            raise UnstorableError(blame.TOO_DEEP)
        if kind is dict and any(type(key) is not str for key in value):
            return Pairs(value)
        above.add(id(value))
        copy = {k: self._plain(v, above) for k, v in value.items()} if kind is dict else [self._plain(v, above) for v in value]
        above.discard(id(value))
        return copy


def _holds_buffer(value: Any) -> bool:
    """True when a bytearray or memoryview lies in the lists and dicts of a value that was just encoded (so it has an end)."""
    lists = [[value]]
    for items in lists:
        kinds = set(map(type, items))
        if bytearray in kinds or memoryview in kinds:
            return True
        if list in kinds or dict in kinds:
            lists += [list(v.values()) if isinstance(v, dict) else v for v in items if type(v) is list or type(v) is dict]
    return False


class _Decoder:
    __slots__ = ("_classes", "_deepest", "_depths", "_first", "_used", "_values", "error")

    def __init__(self, classes: Classes) -> None:
        self._classes = classes
        self.error: BaseException | None = None
        """What the hook raised last: the decoder hides it."""
        self._values: list[Any] = []
        self._first = 0
        """Documents from here on are read; one may refer only to those behind it, so there are no circles."""

    def run(self, data: bytes) -> Any:
        if data[:1] != _FRAMED:
            return ormsgpack.unpackb(data, ext_hook=self._hook)
        view = memoryview(data)
        start = 5 + int.from_bytes(view[1:5], "big")
        sizes = ormsgpack.unpackb(view[5:start])
        ends = []
        end = start
        for size in sizes:
            if type(size) is not int or size < 0:
                raise ValueError("a size is no number")
            end += size
            ends.append(end)
        if end != len(data):
            raise ValueError(f"{end} bytes expected")
        count = len(sizes) - 1
        self._values = [None] * count
        self._depths = [0] * count
        self._used = bytearray(count)
        for index in range(count - 1, -1, -1):
            self._first = index + 1
            self._deepest = 0
            self._values[index] = self._document(view[ends[index] : ends[index + 1]])
            self._depths[index] = self._deepest + 1
            if self._deepest >= _DEPTH_MAX:
                raise ValueError(blame.TOO_DEEP)
        self._first = 0
        value = ormsgpack.unpackb(view[start : ends[0]], ext_hook=self._hook)
        if not all(self._used):
            raise ValueError("a part belongs nowhere")
        return value

    def _document(self, view: memoryview) -> Any:
        codec = codec_by_tag(view[0])
        if isinstance(codec, Block):
            size = 5 + int.from_bytes(view[1:5], "big")
            return codec.decode(ormsgpack.unpackb(view[5:size], ext_hook=self._hook), view[size:])
        parts = ormsgpack.unpackb(view[1:], ext_hook=self._hook)
        if type(parts) is not list or isinstance(codec, Leaf):
            raise ValueError("not a list of parts")
        if isinstance(codec, Instance):
            return codec.decode(self._classes.find(parts[0], codec.kind), parts[1:])
        return codec.decode(parts)

    def _hook(self, tag: int, data: bytes) -> Any:
        try:
            if tag == REF:
                return self._referred(int.from_bytes(data, "big"))
            codec = codec_by_tag(tag)
            if not isinstance(codec, Leaf):
                raise ValueError(f"tag {tag} in the wrong place")  # noqa: TRY004 - the data is wrong, not a type
            return codec.decode(data)
        except BaseException as error:
            self.error = error
            raise

    def _referred(self, index: int) -> Any:
        # Once each: values shared many times over would take exponential time to hash.
        if not self._first <= index < len(self._values) or self._used[index]:
            raise ValueError(f"a reference to part {index} in the wrong place")
        self._used[index] = 1
        self._deepest = max(self._deepest, self._depths[index])
        return self._values[index]
