"""How pandas tables, columns, indexes and scalars are stored: column by column, as NumPy arrays and the little that pandas adds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd

from hitl_nb.checkpoint.classes import UnstorableError
from hitl_nb.checkpoint.kinds import Branch, Codec

# -- columns: what lies under a Series or an Index ---------------------------------------------------------------------------------


def _values(column: Any) -> Any:
    """The column's values as something storable: an ndarray, or one of pandas' own arrays that `codec_for` knows."""
    return column.to_numpy(copy=False) if isinstance(column.dtype, np.dtype) else column.array


def _zone_out(tz: Any) -> Any:
    # pandas 2 reads zone names with pytz, whose objects know their name.
    return ["pytz", tz.zone] if type(tz).__module__.startswith("pytz") and tz.zone else tz


def _zone_in(tz: Any) -> Any:
    if not isinstance(tz, list):
        return tz
    pytz = sys.modules.get("pytz")
    if pytz is not None and int(pd.__version__.partition(".")[0]) < 3:
        return pytz.timezone(tz[1])
    from zoneinfo import ZoneInfo

    return ZoneInfo(tz[1])


def _aware_out(array: Any) -> list[Any]:
    return [np.asarray(array.tz_convert("UTC").tz_localize(None)), _zone_out(array.tz)]


def _aware_in(parts: list[Any]) -> Any:
    instants, tz = parts
    return pd.DatetimeIndex(instants).tz_localize("UTC").tz_convert(_zone_in(tz)).array


def _masked_out(array: Any) -> list[Any]:
    plain = array.dtype.numpy_dtype
    return [array.to_numpy(dtype=plain, na_value=plain.type(0)), np.asarray(array.isna())]


def _masked_in(parts: list[Any]) -> Any:
    data, mask = parts
    make = {"b": pd.arrays.BooleanArray, "f": pd.arrays.FloatingArray}.get(data.dtype.kind, pd.arrays.IntegerArray)
    return make(data, mask)


def _text_out(array: Any) -> list[Any]:
    missing = np.asarray(array.isna()).tolist()
    texts = [None if gone else text for text, gone in zip(array.tolist(), missing, strict=True)]
    return [array.dtype.storage, getattr(array.dtype, "na_value", pd.NA) is pd.NA, *texts]


def _text_in(parts: list[Any]) -> Any:
    storage, uses_na, *texts = parts
    if storage not in ("python", "pyarrow") or not all(text is None or isinstance(text, str) for text in texts):
        raise ValueError("no column of text")
    try:
        dtype = pd.StringDtype(storage) if uses_na else pd.StringDtype(storage, na_value=np.nan)  # type: ignore[call-arg,unused-ignore]
    except ImportError:  # written where pyarrow is installed; the values are the same without
        dtype = pd.StringDtype("python") if uses_na else pd.StringDtype("python", na_value=np.nan)  # type: ignore[call-arg,unused-ignore]
    return pd.array(texts, dtype=dtype)


def _categorical_out(array: Any) -> list[Any]:
    return [np.asarray(array.codes), array.categories, bool(array.ordered)]


def _period_out(array: Any) -> list[Any]:
    return [np.asarray(array.asi8), array.freqstr]


def _interval_out(array: Any) -> list[Any]:
    return [array.left, array.right, array.closed]


# -- indexes -----------------------------------------------------------------------------------------------------------------------


def _index_out(index: Any) -> list[Any]:
    freq = getattr(index, "freq", None) if isinstance(index, (pd.DatetimeIndex, pd.TimedeltaIndex)) else None
    if freq is not None and pd.tseries.frequencies.to_offset(freq.freqstr) != freq:
        raise UnstorableError(f"the index has the frequency {freq!r}, which has no text form; set index.freq = None, or a standard frequency")
    return [_values(index), index.name, None if freq is None else freq.freqstr]


def _index_in(parts: list[Any]) -> Any:
    values, name, freq = parts
    index = pd.Index(values, dtype=values.dtype, name=name)
    if freq is not None:
        index.freq = freq
    return index


def _multi_out(index: Any) -> list[Any]:
    return [list(index.levels), [np.asarray(codes) for codes in index.codes], list(index.names)]


# -- tables ------------------------------------------------------------------------------------------------------------------------


def _series_out(series: Any) -> list[Any]:
    return [_values(series), series.index, series.name, series.attrs, series.flags.allows_duplicate_labels]


def _series_in(parts: list[Any]) -> Any:
    values, index, name, attrs, duplicates = parts
    series = pd.Series(values, index=index, dtype=values.dtype, name=name)
    series.attrs = attrs
    series.flags.allows_duplicate_labels = duplicates
    return series


def _frame_out(frame: Any) -> list[Any]:
    columns = [_values(frame.iloc[:, n]) for n in range(frame.shape[1])]
    return [frame.index, frame.columns, frame.attrs, frame.flags.allows_duplicate_labels, *columns]


def _frame_in(parts: list[Any]) -> Any:
    index, names, attrs, duplicates, *columns = parts
    # As Series of a given dtype: pandas would otherwise guess one for each column of objects.
    frame = pd.DataFrame({n: pd.Series(values, index=index, dtype=values.dtype, copy=False) for n, values in enumerate(columns)}, index=index)
    frame.columns = names
    frame.attrs = attrs
    frame.flags.allows_duplicate_labels = duplicates
    return frame


# -- scalars -----------------------------------------------------------------------------------------------------------------------


def _stamp_out(stamp: Any) -> list[Any]:
    return [np.datetime64(stamp.asm8), _zone_out(stamp.tz)]


def _stamp_in(parts: list[Any]) -> Any:
    instant, tz = parts
    stamp = pd.Timestamp(instant)
    return stamp if tz is None else stamp.tz_localize("UTC").tz_convert(_zone_in(tz))


def _branch(tag: int, out: Callable[[Any], list[Any]], build: Callable[[list[Any]], Any]) -> Branch:
    return Branch(tag, out, build)


_BY_CLASS: Final[dict[type, Branch]] = {
    pd.DataFrame: _branch(72, _frame_out, _frame_in),
    pd.Series: _branch(73, _series_out, _series_in),
    pd.RangeIndex: _branch(74, lambda v: [v.start, v.stop, v.step, v.name], lambda p: pd.RangeIndex(*p[:3], name=p[3])),
    pd.MultiIndex: _branch(75, _multi_out, lambda p: pd.MultiIndex(levels=p[0], codes=p[1], names=p[2])),
    pd.arrays.DatetimeArray: _branch(77, _aware_out, _aware_in),
    pd.arrays.StringArray: _branch(79, _text_out, _text_in),
    pd.Categorical: _branch(80, _categorical_out, lambda p: pd.Categorical.from_codes(p[0], categories=p[1], ordered=p[2])),
    pd.arrays.PeriodArray: _branch(81, _period_out, lambda p: pd.arrays.PeriodArray(p[0], dtype=pd.PeriodDtype(p[1]))),
    pd.arrays.IntervalArray: _branch(82, _interval_out, lambda p: pd.arrays.IntervalArray.from_arrays(p[0], p[1], closed=p[2])),
    type(pd.NaT): _branch(83, lambda _: [], lambda _: pd.NaT),
    type(pd.NA): _branch(84, lambda _: [], lambda _: pd.NA),
    pd.Timestamp: _branch(85, _stamp_out, _stamp_in),
    pd.Timedelta: _branch(86, lambda v: [np.timedelta64(v.asm8)], lambda p: pd.Timedelta(p[0])),
    pd.Period: _branch(87, lambda v: [v.ordinal, v.freqstr], lambda p: pd.Period(ordinal=p[0], freq=p[1])),
    pd.Interval: _branch(88, lambda v: [v.left, v.right, v.closed], lambda p: pd.Interval(p[0], p[1], p[2])),
}
_INDEX: Final = _branch(76, _index_out, _index_in)
_MASKED: Final = _branch(78, _masked_out, _masked_in)
BY_TAG: Final[dict[int, Codec]] = {codec.tag: codec for codec in (*_BY_CLASS.values(), _INDEX, _MASKED)}


def codec_for(value: Any) -> Codec | None:
    """How a pandas value is stored; None: not at all."""
    cls = type(value)
    if cls in _BY_CLASS:
        return _BY_CLASS[cls]
    if isinstance(value, pd.Index):
        return _INDEX
    if isinstance(value, (pd.arrays.IntegerArray, pd.arrays.FloatingArray, pd.arrays.BooleanArray)):
        return _MASKED
    if isinstance(value, pd.api.extensions.ExtensionArray):
        if isinstance(value.dtype, pd.StringDtype):
            return _BY_CLASS[pd.arrays.StringArray]
        raise UnstorableError(f"columns of dtype {value.dtype} are not stored; convert it with astype(), for example to a NumPy or nullable dtype")
    return None
