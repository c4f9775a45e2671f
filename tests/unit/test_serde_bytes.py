"""Whatever bytes are read: a value or a StoreError, soon, in little memory, and nothing is run or imported."""

import datetime as dt
import sys
import tracemalloc
from decimal import Decimal
from pathlib import PurePosixPath
from uuid import UUID

import numpy as np
import ormsgpack
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hitl_nb.checkpoint.serde import Serde
from hitl_nb.errors import CorruptStoreError, StoreError

SERDE = Serde()
quick = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
hashable = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), text, st.binary(max_size=8), st.decimals(allow_nan=False),
        st.datetimes(), st.datetimes(timezones=st.timezones()), st.dates(), st.timedeltas(), st.uuids(), st.complex_numbers(allow_nan=False),
    ),
    lambda inner: st.one_of(st.tuples(inner, inner), st.frozensets(inner, max_size=4)),
    max_leaves=6,
)  # fmt: skip
values = st.recursive(
    st.one_of(hashable, st.binary(max_size=8).map(bytearray)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(hashable, inner, max_size=4), st.dictionaries(text, inner, max_size=4), st.tuples(inner, inner)
    ),
    max_leaves=20,
)


@quick
@given(values)
def test_any_nesting_of_values_comes_back_equal(value):
    data = SERDE.dumps(value, "state")
    back = SERDE.loads(data)
    assert back == value
    assert repr(back) == repr(value) or "{" in repr(value)  # the order of a set's elements is its own
    assert SERDE.dumps(back, "state") == data
    assert SERDE.digest(back, "state") == SERDE.digest(value, "state")


def read(data):
    try:
        SERDE.loads(data)
    except StoreError:
        pass


@quick
@given(st.binary(max_size=200))
def test_random_bytes_are_a_value_or_a_store_error(data):
    read(data)
    read(b"\xc1" + data)


SAMPLES = [
    SERDE.dumps(v, "state")
    for v in (
        {"a": [1, (2, {3}), Decimal("1.5"), UUID(int=5), dt.datetime(2020, 1, 1, tzinfo=dt.UTC)], 1: frozenset({(1, 2)}), "p": PurePosixPath("x")},
        [np.arange(6.0).reshape(2, 3), np.array([1, None], dtype=object), np.float32(1), np.zeros(2, [("a", "i4"), ("b", "U2")])],
        pd.DataFrame({"a": [1, 2], "t": ["x", None], "c": pd.Categorical(["u", "v"]), "z": pd.date_range("2020", periods=2, tz="UTC")}),
        pd.Series(pd.array([1, None]), index=pd.MultiIndex.from_tuples([(1, "a"), (2, "b")])),
        [
            pd.Timestamp("2020", tz="Europe/Rome"),
            pd.Period("2020", "D"),
            pd.NaT,
            pd.interval_range(0, 2),
            pd.period_range("2020", periods=2, freq="M"),
        ],
    )
]


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SAMPLES), st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=4), st.integers(0, 40))
def test_altered_bytes_are_a_value_or_a_store_error(sample, changes, cut):
    data = bytearray(sample)
    for at, byte in changes:
        data[at % len(data)] = byte
    read(bytes(data))
    read(bytes(data[: len(data) - cut]))


@quick
@given(st.sampled_from(SAMPLES), st.data())
@example(SAMPLES[0], None)
def test_reading_altered_bytes_imports_nothing(sample, data):
    before = set(sys.modules)
    changed = sample if data is None else bytes(b ^ (1 << data.draw(st.integers(0, 7))) if n % 7 == 0 else b for n, b in enumerate(sample))
    read(changed)
    new = {m.partition(".")[0] for m in set(sys.modules) - before}
    assert new <= {"numpy", "pandas", "tzdata", *sys.stdlib_module_names}
    assert not new & {"antigravity", "pickle", "subprocess"}


def framed(root, *documents):
    """A value of several documents, by hand."""
    packed = ormsgpack.packb(root)
    sizes = ormsgpack.packb([len(packed), *map(len, documents)])
    return b"\xc1" + len(sizes).to_bytes(4, "big") + sizes + packed + b"".join(documents)


def ref(index):
    return ormsgpack.Ext(0, index.to_bytes(4, "big"))


def document(tag, parts):
    return bytes([tag]) + ormsgpack.packb(parts)


def nested_tuples(depth):
    """A tuple in a tuple in a tuple …, at last in a set, whose hash walks them all."""
    return framed(ref(0), document(33, [ref(1)]), *(document(32, [ref(n)] if n <= depth else []) for n in range(2, depth + 2)))


def test_a_document_by_hand_is_read():
    assert SERDE.loads(framed([ref(0)], document(32, [1, 2]))) == [(1, 2)]
    assert SERDE.loads(nested_tuples(2)) == {((),)}


def array(spec, shape, block=b"", order="C"):
    header = ormsgpack.packb([spec, shape, order])
    return framed(ref(0), bytes([64]) + len(header).to_bytes(4, "big") + header + block)


@pytest.mark.parametrize(
    "data",
    [
        framed(ref(0), document(32, [ref(0)])),  # itself
        framed(ref(0), document(32, [ref(1)]), document(32, [ref(0)])),  # a circle
        framed([ref(0), ref(0)], document(32, [])),  # the same part twice: 2 ** n when nested
        framed([], document(32, [])),  # a part that belongs nowhere
        framed(ref(7), document(32, [])),
        framed(ref(0), document(255, [])),
        framed(ref(0), document(1, [])),
        framed(ref(0), b"\x20"),
        framed(ref(0), b""),
        framed(ref(0), document(33, [[]])),
        framed(ref(0), document(35, [1])),
        framed(ref(0), document(39, ["eval"])),
        nested_tuples(5000),
        b"\xc1\xff\xff\xff\xff",
        b"\xc1\x00\x00\x00\x01\xc0",
        ormsgpack.packb(ormsgpack.Ext(10, ormsgpack.packb(["../../etc/passwd"]))),
        ormsgpack.packb(ormsgpack.Ext(10, ormsgpack.packb(["os.path"]))),
        ormsgpack.packb(ormsgpack.Ext(32, b"\x90")),
        ormsgpack.packb(ormsgpack.Ext(4, b"1.2.3")),
        array("<f8", [10**15]),
        array("<f8", [2**62, 2**62, 0]),
        array("<f8", [-1, -1], b"12345678"),
        array("|O", [1], b"12345678"),
        array("|V0", [10**15]),
        array("|V2000000000", [0]),
        array("<U1", [1], b"xxxx"),
        array(">U2", [1], b"\x00\x00\x00a\x00\x11\x00\x00"),
        array([["a"], ["<U1"], [0], 4, False], [1], b"\xff\xff\xff\xff"),
        ormsgpack.packb(ormsgpack.Ext(66, ormsgpack.packb([[["a"], ["<U1"], [0], 4, False], b"\xff\xff\xff\xff"]))),
        array("f8,(1000000,1000000)f8", [0]),
        array([["a", "b"], ["<f8", "<f8"], [0, -4], 8, False], [1], b"12345678"),
        array([["a"], ["|O"], [0], 8, False], [1], b"12345678"),
        array(["<f8", [2**40, 2**40]], [0]),
        framed(ref(0), document(65, [[10**15], "C"])),
        framed(ref(0), document(79, ["python", True, {"a": 1}])),
        framed(ref(0), document(79, ["evil", True])),
        framed(ref(0), document(72, [1, 2, 3, 4, 5])),
    ],
)
def test_forged_documents_are_refused_quickly_and_in_little_memory(data):
    tracemalloc.start()
    try:
        with pytest.raises(CorruptStoreError):
            SERDE.loads(data)
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()


def test_deep_lists_in_deep_tuples_do_not_end_the_process():
    deep = b"\x91" * 1000 + ormsgpack.packb(ref(1))
    documents = [bytes([32]) + b"\x91" * 1000 + ormsgpack.packb(ref(n)) for n in range(1, 190)] + [document(32, [])]
    assert isinstance(SERDE.loads(framed(ref(0), *documents)), tuple)
    with pytest.raises(CorruptStoreError):
        SERDE.loads(deep)
