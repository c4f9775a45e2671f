"""NumPy arrays and pandas tables come back equal, with the same dtypes, layout, indexes and attributes."""

import warnings

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal, assert_index_equal, assert_series_equal

from hitl_nb.checkpoint.serde import Serde
from hitl_nb.errors import NotSerializableError

NUMBERS = ["?", "i1", "<i2", ">i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", ">f8", "g", "F", "D", "G"]
ARRAYS = [
    np.arange(6).reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(20)[::3],
    np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2),
    np.arange(6).reshape(2, 3).T,
    np.broadcast_to(np.arange(3), (2, 3)),
    np.array(5),
    np.array([]),
    np.zeros((0, 3)),
    np.zeros((3, 0), "M8[s]"),
    *(np.array([0, 1, 2]).astype(t) for t in NUMBERS),
    np.array([np.nan, -0.0, np.inf]),
    np.array(["a", "bcd", ""]),
    np.array(["\U0010ffff", "ü"], dtype=">U2"),
    np.array([b"x", b""]),
    np.array(["2020-01-01", "NaT"], "M8[D]"),
    np.array([1, "NaT"], "m8[25us]"),
    np.array("NaT", "M8"),
    np.array([(1, 2.0, "x")], dtype=[("a", ">i4"), ("b", "f8"), ("c", "U3")]),
    np.zeros(2, "V5"),
    np.ones(3, dtype=np.dtype([("a", "i1"), ("b", "f8", (2, 2)), ("c", [("d", "u2")])], align=True)),
]


@pytest.fixture
def serde():
    return Serde()


@pytest.fixture
def back(serde):
    return lambda value: serde.loads(serde.dumps({"v": value}, "state"))["v"]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}-{a.shape}")
def test_an_array_comes_back_with_its_bytes_dtype_shape_and_layout(serde, back, array):
    got = back(array)
    assert (type(got), got.dtype, got.shape) == (np.ndarray, array.dtype, array.shape)
    assert got.dtype.isalignedstruct == array.dtype.isalignedstruct
    assert repr(got.tolist()) == repr(array.tolist())
    if array.flags.f_contiguous or array.flags.c_contiguous:
        assert (got.flags.f_contiguous, got.flags.c_contiguous) == (array.flags.f_contiguous, array.flags.c_contiguous)
    got[...] = got  # it may be written to
    assert serde.digest(got, "x") == serde.digest(array, "x")


@pytest.mark.parametrize("array", [a for a in ARRAYS if a.size], ids=lambda a: str(a.dtype))
def test_a_numpy_scalar_does_not_turn_into_a_python_number(back, array):
    scalar = array.ravel()[0]
    got = back(scalar)
    assert (type(got), got.dtype) == (type(scalar), scalar.dtype)
    assert repr(got) == repr(scalar)


def test_float64_and_str_stay_numpys_although_they_are_subclasses(back):
    assert type(back(np.float64(0.1))) is np.float64
    assert type(back({"k": np.str_("x")})["k"]) is np.str_
    assert [type(k) for k in back({np.int64(1): 1, 1.5: 2})] == [np.int64, float]


def test_an_object_array_is_stored_element_by_element(back):
    array = np.empty((2, 2), dtype=object)
    array[0, 0], array[0, 1], array[1, 0] = [1, 2], {"a": (1,)}, pd.Timestamp("2020")
    for value in (array, array.T, np.array(None, dtype=object), np.empty((0, 2), object)):
        got = back(value)
        assert (got.dtype, got.shape, got.tolist()) == (object, value.shape, value.tolist())


def test_padding_bytes_do_not_enter_the_digest(serde):
    dtype = np.dtype([("a", "i1"), ("b", "f8")], align=True)
    one, other = (np.frombuffer(bytes([fill] * 16), np.uint8).copy().view(dtype) for fill in (0, 255))
    for array in (one, other):
        array["a"], array["b"] = 1, 2.0
    assert one.tobytes() != other.tobytes()
    assert serde.digest(one, "x") == serde.digest(other, "x")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (np.ma.array([1, 2], mask=[0, 1]), "numpy.asarray"),
        (np.rec.array([(1,)], dtype=[("a", "i4")]), "numpy.asarray"),
        (np.zeros(1, dtype=[(("title", "a"), "i4")]), "titles"),
        (np.array([(None,)], dtype=[("a", object)]), "astype"),
        (pd.Series(pd.arrays.SparseArray([1, 0])), "Sparse"),
        (type("Frame", (pd.DataFrame,), {})({"a": [1]}), "cannot be stored"),
    ],
)
def test_an_array_or_table_that_would_lose_something_is_refused(serde, value, says):
    with pytest.raises(NotSerializableError, match=says) as caught:
        serde.dumps({"v": value}, "state")
    assert caught.value.path == "state['v']"


def test_the_cell_of_a_table_that_cannot_be_stored_is_named(serde):
    with pytest.raises(NotSerializableError) as caught:
        serde.dumps({"t": pd.DataFrame({"a": [1, 2], "b": [1, object()]})}, "state")
    assert caught.value.path == "state['t']['b'].iloc[1]"
    objects = np.array([[1, object()]], dtype=object)
    with pytest.raises(NotSerializableError) as caught:
        serde.dumps({"t": objects}, "state")
    assert caught.value.path == "state['t'][0, 1]"


# -- pandas ------------------------------------------------------------------------------------------------------------------------


def table():
    frame = pd.DataFrame(
        {
            "int": [1, 2, 3],
            "float": [1.5, np.nan, -0.0],
            "small": np.array([1, 2, 3], "u1"),
            "bool": [True, False, True],
            "text": ["a", None, "ü"],
            "object": pd.Series([1, "x", (None,)], dtype=object),
            "object text": pd.Series(["a", "b", None], dtype=object),
            "category": pd.Categorical(["a", "b", None], categories=["b", "a", "z"], ordered=True),
            "date": pd.to_datetime(["2020-01-01", None, "2020-01-03"]),
            "zoned": pd.date_range("2024-10-26", periods=3, tz="Europe/Rome"),
            "fixed": pd.to_datetime(["2020-01-01T00:00+03:30"] * 3),
            "seconds": pd.to_timedelta([1, None, 3], unit="s"),
            "Int": pd.array([1, None, 2**62], dtype="Int64"),
            "UInt8": pd.array([1, None, 255], dtype="UInt8"),
            "Float": pd.array([1.5, None, 3], dtype="Float32"),
            "boolean": pd.array([True, None, False], dtype="boolean"),
            "string": pd.array(["x", None, ""], dtype="string"),
            "month": pd.period_range("2020", periods=3, freq="M"),
            "interval": pd.interval_range(0, 3),
        }
    )
    frame.attrs = {"source": ("film", 1), "tags": {"a"}}
    return frame


INDEXES = [
    pd.Index(["a", "b", "c"], name="k"),
    pd.Index(["a", "b", "c"], dtype=object),
    pd.Index([1, "a", (1, 2)], dtype=object),
    pd.Index([3, 1, 1]),
    pd.RangeIndex(5, 11, 2, name=("t", 1)),
    pd.MultiIndex.from_tuples([(1, "a"), (1, "b"), (2, None)], names=["x", None]),
    pd.date_range("2024-03-30", periods=3, freq="D", tz="Europe/Rome", name="day"),
    pd.bdate_range("2020", periods=3),
    pd.date_range("2020", periods=3, freq="2h"),
    pd.DatetimeIndex(["2020", "2021", "2023"]).as_unit("s"),
    pd.timedelta_range("1D", periods=3),
    pd.period_range("2020", periods=3, freq="Q"),
    pd.interval_range(0, 3, closed="both"),
    pd.CategoricalIndex(["a", "b", "a"]),
    pd.Index([1, None, 3], dtype="Int64"),
    pd.Index([True, False, True]),
]


def test_a_table_of_every_kind_of_column_comes_back_with_its_dtypes_and_attributes(back):
    frame = table()
    got = back(frame)
    assert_frame_equal(got, frame, check_freq=True)
    assert list(got.dtypes) == list(frame.dtypes)
    assert got.attrs == frame.attrs


@pytest.mark.parametrize("name", table().columns)
def test_a_column_comes_back_alone(back, name):
    series = table()[name]
    assert_series_equal(back(series), series)
    assert back(series).dtype == series.dtype
    assert_series_equal(back(series.iloc[:0]), series.iloc[:0])


@pytest.mark.parametrize("index", INDEXES, ids=lambda i: f"{type(i).__name__}-{i.dtype}")
def test_an_index_comes_back_as_rows_as_columns_and_alone(back, index):
    rows, columns = table().set_axis(index), table().iloc[:, :3].set_axis(index, axis=1)
    assert_frame_equal(back(rows), rows, check_freq=True)
    assert_frame_equal(back(columns), columns, check_freq=True)
    for got in (back(index), back(rows).index, back(columns).columns, back(pd.Series([1, 2, 3], index=index)).index):
        assert_index_equal(got, index, exact=True)
        assert getattr(got, "freq", None) == getattr(index, "freq", None)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(),
        pd.DataFrame(index=[1, 2]),
        pd.DataFrame(columns=["a", "b"]),
        pd.DataFrame([[1, 2.0, "x"]], columns=["a", "a", "b"]),
        pd.DataFrame([[1], [2]], index=["same", "same"]),
        table()[::2],
        table().iloc[:0],
        pd.DataFrame({"a": [1]}).set_flags(allows_duplicate_labels=False),
        pd.DataFrame({("a", 1): [1], ("b", 2): [2]}),
        pd.DataFrame(np.arange(12.0).reshape(3, 4)),
    ],
)
def test_tables_of_odd_shapes_come_back(back, frame):
    got = back(frame)
    assert_frame_equal(got, frame)
    assert got.flags.allows_duplicate_labels == frame.flags.allows_duplicate_labels
    got.insert(0, ("new", "new"), 1)  # it may be written to


@pytest.mark.parametrize(
    "value",
    [
        pd.NaT,
        pd.NA,
        pd.Timestamp("2020"),
        pd.Timestamp("2020-01-01 00:00:00.123456789", tz="Europe/Rome"),
        pd.Timestamp("2020", tz="UTC").as_unit("s"),
        pd.Timestamp("2024-10-27 00:30", tz="UTC").tz_convert("Europe/Rome"),
        pd.Timestamp("2024-10-27 01:30", tz="UTC").tz_convert("Europe/Rome"),
        pd.Timedelta(1, "ns"),
        pd.Period("2020-01", "M"),
        pd.Interval(0, 1.5, closed="left"),
        pd.Interval(pd.Timestamp("2020"), pd.Timestamp("2021")),
    ],
    ids=str,
)
def test_a_pandas_scalar_comes_back_as_pandas_own(back, value):
    got = back(value)
    assert (type(got), repr(got)) == (type(value), repr(value))
    assert (getattr(got, "unit", 0), getattr(got, "fold", 0)) == (getattr(value, "unit", 0), getattr(value, "fold", 0))


def test_an_array_of_pandas_comes_back_alone(back):
    for value in (pd.array([1, None]), pd.Categorical(["a", None]), pd.array(["x", None], dtype="string"), table()["zoned"].array):
        pd.testing.assert_extension_array_equal(back(value), value)


def test_an_index_frequency_without_a_text_form_is_refused(serde):
    holidays = pd.offsets.CustomBusinessDay(holidays=["2020-01-06"])
    with pytest.raises(NotSerializableError, match=r"index\.freq = None"):
        serde.dumps(pd.Series([1, 2], index=pd.date_range("2020", periods=2, freq=holidays)), "state")


def test_reading_and_writing_a_table_warns_of_nothing(back):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        back(table())
