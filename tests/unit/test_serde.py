"""Values of the standard library: what goes in comes out, equal and of the same type; what cannot go in is named."""

import datetime as dt
import os
import subprocess
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from pathlib import Path, PurePosixPath, PureWindowsPath
from threading import Thread
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from hitl_nb.checkpoint.serde import Serde, pack, unpack
from hitl_nb.errors import CorruptStoreError, NotSerializableError

ROME = ZoneInfo("Europe/Rome")
VALUES = [
    None, True, 0, -1, 2**63, 2**64, -(2**63) - 1, 2**4000, 0.5, -0.0, float("inf"), "", "ü\x00", b"", b"\xc4", bytearray(b"x"),
    [], {}, {"a": [1, {"b": None}]}, {1: "int", "1": "str", None: 0, 1.5: 1, b"k": 2, (1, 2): 3}, {"outer": {1: {2: bytearray(b"y")}}},
    (), (1,), ((), [(1, "a")]), set(), {1, "a", (2, b"b")}, frozenset({frozenset({1}), frozenset()}),
    dt.datetime(2026, 5, 1, 12, 30, 1, 5), dt.datetime(2026, 5, 1, tzinfo=dt.UTC),
    dt.datetime(2026, 5, 1, tzinfo=dt.timezone(dt.timedelta(hours=-3, microseconds=7), "odd")), dt.datetime(2024, 10, 27, 2, 30, tzinfo=ROME, fold=1),
    dt.date(1, 1, 1), dt.time(23, 59, 59, 999999, tzinfo=dt.UTC), dt.time(1, fold=1), dt.timedelta(days=-999999999), dt.timedelta.max, dt.UTC, ROME,
    Decimal("1.50"), Decimal("-Infinity"), complex(1, -0.0), UUID(int=2**128 - 1), Path("a/b"), PurePosixPath("/x"), PureWindowsPath("c:\\x"),
    Path(os.fsdecode(b"caf\xe9")), OrderedDict([("b", 1), ("a", 2)]), Counter("aab"), deque([1, [2]], maxlen=3), defaultdict(list, {"a": [1]}),
]  # fmt: skip


@pytest.fixture
def serde():
    return Serde()


def same(a, b):
    """Equal, and of the same types all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(k, m) and same(a[k], b[m]) for k, m in zip(a, b, strict=True))
    if isinstance(a, (list, tuple, deque)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, (set, frozenset)):
        return a == b and sorted(map(repr, map(type, a))) == sorted(map(repr, map(type, b)))
    return repr(a) == repr(b) and a == b


@pytest.mark.parametrize(
    "value",
    VALUES,
    ids=lambda v: f"{type(v).__name__}-{str(sorted(v, key=str) if isinstance(v, set) else v)[:20].encode('ascii', 'replace').decode()}",
)
def test_a_value_comes_back_equal_and_of_the_same_type(serde, value):
    for holder in (value, [value, value], {"k": {"j": value}}, (value,)):
        assert same(serde.loads(serde.dumps(holder, "state")), holder)


def test_not_a_number_comes_back_as_such(serde):
    back = serde.loads(serde.dumps({"f": float("nan"), "d": Decimal("sNaN")}, "state"))
    assert back["f"] != back["f"]
    assert str(back["d"]) == "sNaN"


def test_a_fold_and_a_defaultdict_factory_and_a_deque_length_survive(serde):
    at, table, last = serde.loads(serde.dumps([dt.datetime(2024, 10, 27, 2, 30, tzinfo=ROME, fold=1), defaultdict(set), deque([], 2)], "state"))
    assert (at.fold, at.utcoffset()) == (1, dt.timedelta(hours=1))
    assert table["new"] == set()
    assert last.maxlen == 2


def test_plain_values_are_plain_messagepack_so_other_programs_can_read_them(serde):
    assert serde.dumps({"a": [1, "x", None]}, "state") == pack({"a": [1, "x", None]})


def test_what_is_read_shares_nothing_with_what_was_written(serde):
    value = {"list": [1], "set": {1}}
    data = serde.dumps(value, "state")
    serde.loads(data)["list"].append(2)
    assert serde.loads(data) == value == {"list": [1], "set": {1}}


@pytest.mark.parametrize(
    ("value", "path", "says"),
    [
        ({"frames": [0, 1, 2, {"model": object()}]}, "state['frames'][3]['model']", "values of this type cannot be stored"),
        ({"f": lambda: 1}, "state['f']", "a function cannot be stored"),
        ([("a", {"deep": {b"x": iter([])}})], "state[0][1]['deep'][b'x']", "list_iterator"),
        ({"t": "\ud800"}, "state['t']", "half a surrogate pair"),
        ({"\udfff": 1}, "state.keys()['\\udfff']", "half a surrogate pair"),
        ({(1, sys): 0}, "state.keys()", "module"),
        ({"m": memoryview(b"x")}, "state['m']", "bytes(value)"),
        ({"m": {1: [memoryview(b"x")]}}, "state['m'][1][0]", "bytes(value)"),
        ({"d": defaultdict(lambda: 0)}, "state['d']", "give a dict"),
        ({"d": type("MyDict", (dict,), {})()}, "state['d']", "dict(value)"),
        ({"at": dt.datetime(2026, 1, 1, tzinfo=type("Odd", (dt.tzinfo,), {"utcoffset": lambda *_: None})())}, "state['at']", "zoneinfo.ZoneInfo"),
    ],
)
def test_a_value_that_cannot_be_stored_is_named_by_its_path_with_what_to_do(serde, value, path, says):
    for encode in (serde.dumps, serde.digest):
        with pytest.raises(NotSerializableError) as caught:
            encode(value, "state")
        assert caught.value.path.startswith(path)
        assert str(caught.value).startswith(path)
        assert says in str(caught.value)


def circles():
    in_list: list = [1]
    in_list.append(in_list)
    through_tuple: list = []
    through_tuple += [(through_tuple,), (through_tuple,)]
    in_dict: dict = {}
    in_dict[1] = {"again": [in_dict]}
    wide: list = [{1: 2}]
    wide += [wide, wide]
    return {"list": in_list, "tuple": through_tuple, "dict": in_dict, "wide": wide}


@pytest.mark.parametrize("name", circles())
def test_a_value_that_contains_itself_is_refused_at_once(serde, name):
    with pytest.raises(NotSerializableError, match="contains itself"):
        serde.dumps({"x": circles()[name]}, "state")


@pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: (v,), lambda v: {"a": v}, lambda v: {1: v}, lambda v: [(v,)]])
def test_a_value_nested_too_deeply_is_refused_and_a_hundred_levels_are_not(serde, wrap):
    shallow = deep = 0
    for _ in range(100):
        shallow = wrap(shallow)
    for _ in range(3000):
        deep = wrap(deep)
    assert same(serde.loads(serde.dumps(shallow, "state")), shallow)
    with pytest.raises(NotSerializableError, match="nested too deeply") as caught:
        serde.dumps(deep, "state")
    assert len(str(caught.value)) < 1000


def test_ctrl_c_while_a_value_is_encoded_is_not_taken_for_a_value_that_cannot_be_stored(serde):
    class Meta(type):
        @property
        def __module__(cls):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        serde.dumps([Meta("Odd", (), {})()], "state")


def test_a_digest_does_not_depend_on_the_order_of_keys_and_elements(serde):
    first = {"a": 1, "b": {"x": {1, 2, 3}, "y": {1: "i", "1": "s"}}}
    second = {"b": {"y": {"1": "s", 1: "i"}, "x": {3, 2, 1}}, "a": 1}
    assert serde.digest(first, "input") == serde.digest(second, "input")
    assert len(serde.digest(first, "input")) == 32


@pytest.mark.parametrize("other", [{"a": 2}, {"a": "1"}, {"a": 1.0}, {"a": True}, {"a": (1,)}, {"b": 1}, {"a": 1, "c": None}, [["a", 1]]])
def test_a_digest_differs_when_content_or_type_differs(serde, other):
    assert serde.digest({"a": 1}, "input") != serde.digest(other, "input")


def test_a_digest_is_the_same_in_processes_with_other_hash_seeds():
    code = (
        "from hitl_nb.checkpoint.serde import Serde\n"
        "v = {'tags': {'red', 'green', 'blue', ('a', frozenset({'x', 'y', 'z'}))}, 'k': {frozenset({'p', 'q'}): {'m', 'n'}, 2: 3}}\n"
        "s = Serde(); print(s.digest(v, 'input'), s.dumps(v['tags'], 'x').hex())"
    )
    seen = {
        subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True).stdout
        for seed in ("1", "2", "77")
    }
    assert len(seen) == 1


def test_sets_nested_thirty_deep_are_encoded_in_no_time(serde):
    value: frozenset = frozenset()
    for n in range(30):
        value = frozenset({value, n})
    assert serde.loads(serde.dumps(value, "state")) == value


def test_one_serde_is_used_from_many_threads_at_once(serde):
    wrong = []

    def work(n):
        value = {"n": n, "t": (n, {n}, [dt.date(2000, 1, 1 + n)] * 50)}
        for _ in range(100):
            if serde.loads(serde.dumps(value, "state")) != value:
                wrong.append(n)

    threads = [Thread(target=work, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []


def test_neither_numpy_nor_pandas_nor_pydantic_is_imported_for_plain_values():
    code = (
        "import sys, decimal\nfrom hitl_nb.checkpoint.serde import Serde\n"
        "s = Serde(); s.loads(s.dumps({'a': (1, {2}, decimal.Decimal(3))}, 'state'))\n"
        "try: s.dumps(object(), 'state')\nexcept TypeError: pass\n"
        "print([m for m in ('numpy', 'pandas', 'pydantic', 'pickle') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x81\x01\x02", b"\xdd\xff\xff\xff\xff", b"\x91" * 5000, b"\xc6\xff\xff\xff\xff", b"\xd4\x05\x00"])
def test_a_record_that_is_no_record_is_a_damaged_store(data):
    with pytest.raises(CorruptStoreError, match=f"{len(data)} bytes"):
        unpack(data)
