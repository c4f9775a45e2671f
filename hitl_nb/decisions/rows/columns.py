"""A column of a reviewed table: how its values read, as which JSON data they are stored, and what may be written into it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, Literal

from hitl_nb.decisions.wording import cut

Kind = Literal["text", "integer", "float", "bool", "category", "time", "duration", "date", "mixed", "fixed"]
"""mixed: the value in the cell says what it takes. fixed: shown, but a new value could not be told from a text."""
NUMBERS: Final = ("integer", "float")
CHOICES_MAX: Final = 50
"""Categories up to which a cell offers a list of them."""
_DECIMALS_MAX: Final = 6
_GROUP_FROM: Final = 10_000
"""Whole numbers are written with thousands separators in columns that reach this far: years and short codes are not."""
_AMOUNT_FROM: Final = 1000
_INFERRED: Final[Mapping[str, Kind]] = {
    "string": "text",
    "empty": "text",
    "boolean": "bool",
    "integer": "integer",
    "floating": "float",
    "mixed-integer-float": "float",
    "date": "date",
}
_MIDNIGHT: Final = re.compile(r"T00:00:00(?!\.)")
_WORDS: Final = {True: "yes", False: "no"}
_NAMED: Final = {"yes": True, "true": True, "no": False, "false": False}


class BadValueError(ValueError):
    """A value that the column does not take; the text says which it does."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column, and how its values are written."""

    number: int
    name: str
    """Its label as text, made unique."""
    kind: Kind
    nullable: bool
    """A cell of it can be emptied."""
    dtype: Any = None
    values: tuple[Any, ...] = ()
    """category: what it takes."""
    decimals: int = 0
    """float: digits after the point that tell all of its values apart; more than six are left to each value."""
    grouped: bool = False
    days: bool = False
    """time: all of its values are midnight, so only the day is written."""
    names: Mapping[str, Any] = field(default_factory=dict)
    """category: its values by their text."""

    @property
    def is_number(self) -> bool:
        return self.kind in NUMBERS

    def takes_edits(self, now: Any) -> bool:
        """Whether a cell that holds `now` can be given another value."""
        return self._kind(now) != "fixed"

    def shown(self, value: Any) -> str:
        """The value for a reader; a missing one is an empty text."""
        if is_missing(value):
            return ""
        if self.kind == "integer":
            return f"{int(value):,}" if self.grouped else str(int(value))
        if self.kind == "float" and math.isfinite(value):
            if self.decimals > _DECIMALS_MAX:
                return f"{float(value):.{_DECIMALS_MAX}g}"
            return f"{float(value):,.{self.decimals}f}" if self.grouped or self.decimals else f"{float(value):.0f}"
        return self.written(value)

    def shown_exactly(self, value: Any) -> str:
        """The value for a reader, in full where it has more decimals than the values of its column are shown with."""
        text = self.shown(value)
        return text if self.kind != "float" or is_missing(value) or float(text.replace(",", "")) == value else self.written(value)

    def all_shown(self, series: Any) -> list[str]:
        """`shown` of every value of the column, with the short ways that ten thousand of them are worth."""
        if self.kind == "time" and series.dtype.kind == "M" and not series.hasnans and getattr(series.dtype, "tz", None) is None:
            return _times_shown(series, days=self.days)
        values = series.tolist()
        if self.kind == "text" or series.dtype == object:
            return [value if type(value) is str else self.shown(value) for value in values]
        if self.kind in ("bool", "category"):
            known = {value: self.shown(value) for value in set(values) if not is_missing(value)}
            return [known.get(value, "") for value in values]
        if series.hasnans or self.kind not in NUMBERS:
            return [self.shown(value) for value in values]
        if self.kind == "integer":
            return [f"{n:,}" for n in values] if self.grouped else [str(n) for n in values]
        if self.decimals > _DECIMALS_MAX or not (self.grouped or self.decimals):
            return [self.shown(value) for value in values]
        return [f"{x:,.{self.decimals}f}" for x in values]

    def written(self, value: Any) -> str:
        """The value as it is typed: exact, without separators."""
        data = plain(value)
        if data is None:
            return ""
        if isinstance(data, bool):
            return _WORDS[data]
        if self.kind == "time" and isinstance(data, str):
            return data[:10] if self.days and _MIDNIGHT.match(data, 10) else data.replace("T", " ")
        if self.kind == "float" and isinstance(data, float):
            if data.is_integer() and abs(data) < 1e15:
                return str(int(data))
            return f"{data:.8g}" if str(self.dtype).lower() == "float32" else str(data)
        return str(data)

    def read(self, typed: str, now: Any) -> Any:
        """The JSON data of what was typed into a cell that holds `now`. Raises BadValueError."""
        kind = self._kind(now)
        text = typed if kind == "text" else typed.strip()
        if kind == "fixed":
            return self.check(text, now)
        if text == "" and kind not in ("text", "category"):
            return self._emptied()
        if kind == "category":
            if text in self.names:
                return plain(self.names[text])
            return self._emptied() if text == "" else self._not_among(text)
        if kind == "bool":
            if text.lower() not in _NAMED:
                raise BadValueError(f"{cut(text)} is neither yes nor no")
            return _NAMED[text.lower()]
        if kind == "integer":
            if not re.fullmatch(r"[+-]?\d{1,40}", text):
                raise BadValueError(f"{cut(text)} is no whole number{_separated(text)}")
            return plain(self.check(int(text), now))
        if kind == "float":
            if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", text, re.IGNORECASE) or len(text) > 400:
                raise BadValueError(f"{cut(text)} is no number{_separated(text)}")
            made = self.check(float(text), now)
            if Decimal(repr(made)) != Decimal(text):
                raise BadValueError(f"{cut(text)} has more digits than are kept; the nearest number is {made!r}")
            return plain(made)
        if kind == "text":
            return self.check(text, now)
        return plain(self.check(text, now))

    def check(self, value: Any, now: Any) -> Any:
        """The value to write into a cell that holds `now`, for JSON data. Raises BadValueError."""
        kind = self._kind(now)
        if kind == "fixed":
            raise BadValueError(f"a value of type {type(now).__name__} cannot be edited here")
        if value is None:
            return self._emptied()
        if kind == "category":
            found = next((v for v in self.values if plain(v) == value and isinstance(value, bool) == isinstance(plain(v), bool)), None)
            return self._not_among(str(value)) if found is None else found
        if kind == "bool":
            return value if isinstance(value, bool) else _refuse(value, "yes or no (true or false)")
        if kind == "integer":
            return self._integer(value)
        if kind == "float":
            return self._float(value)
        if not isinstance(value, str):
            return _refuse(value, {"text": "a text"}.get(kind, "its ISO text"))
        if kind == "text":
            return value if value.isascii() or _is_storable(value) else _refuse(value, "a text that can be stored")
        return _day(value) if kind == "date" else self._length(value) if kind == "duration" else self._time(value)

    # -- what it takes

    def _kind(self, now: Any) -> Kind:
        if self.kind != "mixed":
            return self.kind
        if is_missing(now) or isinstance(now, str):
            return "text"
        if isinstance(now, bool):
            return "bool"
        if isinstance(now, int):
            return "integer"
        return "float" if isinstance(now, float) else "date" if type(now) is date else "fixed"

    def _emptied(self) -> None:
        if not self.nullable:
            raise BadValueError("this column takes no empty cell")

    def _not_among(self, text: str) -> Any:
        known = ", ".join(cut(str(plain(v))) for v in self.values[:6]) + (f" and {len(self.values) - 6} more" if len(self.values) > 6 else "")
        raise BadValueError(f"{cut(text)} is none of its categories: {known}")

    def _integer(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            return _refuse(value, "a whole number")  # type: ignore[no-any-return]
        low, high = _bounds(self.dtype)
        if low is not None and not low <= value <= high:
            raise BadValueError(f"{cut(str(value))} is out of range; {self.dtype} takes {low} to {high}")
        return value

    def _float(self, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return _refuse(value, "a number")  # type: ignore[no-any-return]
        try:
            made = float(value)
        except OverflowError:
            made = math.inf
        if not math.isfinite(made) or abs(made) > _largest(self.dtype):
            raise BadValueError(f"{cut(str(value))} is too large for a number of this column" if value == value else "nan is no number")  # noqa: PLR0124
        return made

    def _time(self, text: str) -> Any:
        import numpy as np
        import pandas as pd

        example = "2026-11-20" if self.days else "2026-11-20 09:41"
        try:
            datetime.fromisoformat(text.strip())  # pandas reads "5" as a time, too
            made = pd.Timestamp(text.strip())
            made = _zoned(made, getattr(self.dtype, "tz", None))
            unit = getattr(self.dtype, "unit", None) or np.datetime_data(self.dtype)[0]
            exact = made.as_unit(unit)
        except BadValueError:
            raise
        except Exception as error:  # out of bounds, an hour that a clock skipped: pandas raises many classes
            raise BadValueError(f"{cut(text)} is no time; expected one like {example}") from error
        if exact != made:
            raise BadValueError(f"{cut(text)} is more exact than this column, which counts in {unit}")
        return exact

    @staticmethod
    def _length(text: str) -> Any:
        import pandas as pd

        try:
            if re.fullmatch(r"[-+.\d\s]*", text):
                raise ValueError(text)
            made = pd.Timedelta(text)
        except Exception as error:
            raise BadValueError(f"{cut(text)} is no length of time; expected one like 2 days 03:30:00") from error
        if made is pd.NaT:
            raise BadValueError(f"{cut(text)} is no length of time; expected one like 2 days 03:30:00")
        return made


def columns_of(frame: Any) -> tuple[Column, ...]:
    """The columns of a DataFrame."""
    taken: set[str] = set()
    return tuple(_column(frame.iloc[:, number], number, _named(label, taken)) for number, label in enumerate(frame.columns))


def _named(label: Any, taken: set[str]) -> str:
    text = name = (" / ".join(map(str, label)) if isinstance(label, tuple) else str(label)) or "(no name)"
    number = 2
    while name in taken:
        name, number = f"{text} ({number})", number + 1
    taken.add(name)
    return name


def _column(series: Any, number: int, name: str) -> Column:
    import pandas as pd

    dtype, types = series.dtype, pd.api.types
    if types.is_bool_dtype(dtype) and not isinstance(dtype, pd.CategoricalDtype):
        return Column(number, name, "bool", types.is_extension_array_dtype(dtype), dtype)
    if types.is_integer_dtype(dtype):
        reach = series.abs().max() if len(series) else 0
        return Column(number, name, "integer", types.is_extension_array_dtype(dtype), dtype, grouped=_reaches(reach))
    if types.is_float_dtype(dtype):
        decimals, grouped = _digits(series)
        return Column(number, name, "float", True, dtype, decimals=decimals, grouped=grouped)
    if isinstance(dtype, pd.CategoricalDtype):
        values = tuple(dtype.categories)
        return Column(number, name, "category", True, dtype, values, names={str(plain(v)): v for v in values})
    if types.is_datetime64_any_dtype(dtype):
        stamps = series.dropna().dt.tz_localize(None).to_numpy()
        return Column(number, name, "time", True, dtype, days=bool((stamps == stamps.astype("datetime64[D]")).all()))
    if types.is_timedelta64_dtype(dtype):
        return Column(number, name, "duration", True, dtype)
    if isinstance(dtype, pd.StringDtype):
        return Column(number, name, "text", True, dtype)
    if not types.is_object_dtype(dtype):
        return Column(number, name, "fixed", False, dtype)
    kind = _INFERRED.get(pd.api.types.infer_dtype(series, skipna=True), "mixed")
    if kind == "float":
        return Column(number, name, "float", True, None, decimals=_DECIMALS_MAX + 1)
    return Column(number, name, kind, True, None)


def _digits(series: Any) -> tuple[int, bool]:
    """How many decimals tell the values apart, and whether thousands are separated."""
    import numpy as np

    values = series.to_numpy(dtype="float64", na_value=np.nan)
    values = values[np.isfinite(values)]
    if not len(values) or np.abs(values).max() >= 1e15:
        return (0, False) if not len(values) else (_DECIMALS_MAX + 1, False)
    slack = np.maximum(np.abs(values), 1.0) * (1e-6 if series.dtype.name.lower() == "float32" else 1e-12)
    for decimals in range(_DECIMALS_MAX + 1):
        if (np.abs(values - values.round(decimals)) <= slack).all():
            most = np.abs(values).max()
            # One decimal of amounts reads like a slip: 1,730.20 rather than 1,730.2.
            return 2 if decimals == 1 and most >= _AMOUNT_FROM else decimals, decimals > 0 or _reaches(most)
    return _DECIMALS_MAX + 1, False


def _times_shown(series: Any, *, days: bool) -> list[str]:
    import numpy as np

    stamps = series.to_numpy()
    if days:
        return [str(text) for text in np.datetime_as_string(stamps, unit="D")]
    if (stamps == stamps.astype("datetime64[s]")).all():
        return [str(text).replace("T", " ") for text in np.datetime_as_string(stamps, unit="s")]
    return [t.isoformat(" ") for t in series.tolist()]


def _reaches(largest: Any) -> bool:
    return not is_missing(largest) and bool(largest >= _GROUP_FROM)


# -- values ----------------------------------------------------------------------------------------------------------------------------


def is_missing(value: Any) -> bool:
    """None, NaN, NaT and NA."""
    if value is None:
        return True
    if isinstance(value, str):
        return False
    if isinstance(value, float):
        return value != value  # noqa: PLR0124
    if type(value).__name__ in ("NAType", "NaTType"):
        return True
    return type(value).__module__ == "numpy" and getattr(value, "shape", None) == () and bool(value != value)  # noqa: PLR0124  NaN and NaT


def plain(value: Any) -> Any:
    """A value of a table as JSON data: a missing one is None, a time its ISO text, what JSON does not have its text."""
    if is_missing(value):
        return None
    if isinstance(value, (str, bool, int)) and type(value) in (str, bool, int):
        return value
    if isinstance(value, (date, datetime)):  # a Timestamp is one
        return value.isoformat()
    if type(value).__module__ == "numpy" and callable(getattr(value, "item", None)) and getattr(value, "shape", None) == ():
        item = value.item()
        return str(value) if type(item) is type(value) else plain(item)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    return str(value)


def _bounds(dtype: Any) -> tuple[Any, Any]:
    if dtype is None:
        return None, None
    import numpy as np

    info = np.iinfo(getattr(dtype, "numpy_dtype", dtype))
    return int(info.min), int(info.max)


def _largest(dtype: Any) -> float:
    if dtype is None:
        return math.inf
    import numpy as np

    return float(np.finfo(getattr(dtype, "numpy_dtype", dtype)).max)


def _zoned(time: Any, zone: Any) -> Any:
    if zone is None:
        if time.tzinfo is not None:
            raise BadValueError("the times of this column have no zone; leave it out")
        return time
    return time.tz_localize(zone) if time.tzinfo is None else time.tz_convert(zone)


def _is_storable(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)  # half a surrogate pair


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError as error:
        raise BadValueError(f"{cut(text)} is no day; expected one like 2026-11-20") from error


def _separated(text: str) -> str:
    return "; write it without separators, with a point: 1290.5" if re.fullmatch(r"[+-]?[\d.,' ]+", text) else ""


def _refuse(value: Any, expected: str) -> Any:
    raise BadValueError(f"{cut(repr(value))} is not {expected}")
