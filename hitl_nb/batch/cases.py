"""The cases of a batch: from a CSV, JSON, JSON lines or YAML file, a list of mappings or a DataFrame, each with the thread that it runs on."""

from __future__ import annotations

import csv
import io
import math
import numbers
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hitl_nb.batch.names import file_name
from hitl_nb.checkpoint.base import check_thread_id
from hitl_nb.errors import AnswersFileError, CasesError, shown
from hitl_nb.plain.text import Kind, file_text
from hitl_nb.plain.yaml_json import load_with_lines

ID_COLUMN: Final = "thread_id"
_TABLES: Final = {".csv": "", ".tsv": "\t"}
_DATA: Final[dict[str, Kind]] = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".yaml": "yaml", ".yml": "yaml"}
_DELIMITERS: Final = ",;\t"


@dataclass(frozen=True, slots=True)
class Case:
    """One run of a batch."""

    thread_id: str
    parameters: Mapping[str, Any]
    """What the notebook's parameters cell, or the graph's input, is given."""
    place: str = "a case"
    """Where it was written, for messages: `cases.csv, line 4`."""
    written: bool = False
    """True when the values are the texts of a CSV file, whose types nobody knows yet."""
    file_name: str = field(init=False)
    """Of what it leaves behind, without its ending."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "file_name", file_name(self.thread_id))


def read_cases(given: Any, *, id_column: str | None = None) -> list[Case]:
    """The cases, in order. `given`: a path (.csv, .tsv, .json, .jsonl, .yaml), a DataFrame, or mappings, one a case.

    A case runs on the thread that its column `thread_id` names, or `id_column`, which stays a parameter then. There is no other way to name threads:
    the number of a row would be another case's after rows were added, and with the digest of a row a corrected typing error would begin anew.
    Raises CasesError, which names the line, before anything runs.
    """
    column = id_column or ID_COLUMN
    cases = [_case(row, place, column, written=written) for row, place, written in _rows(given)]
    _require_apart(cases)
    return cases


def _rows(given: Any) -> Iterator[tuple[Mapping[Any, Any], str, bool]]:
    if isinstance(given, (str, Path)):
        yield from _file(given)
        return
    if type(given).__module__.partition(".")[0] == "pandas" and hasattr(given, "columns"):
        names = list(given.columns)
        if len(set(names)) < len(names):
            raise CasesError(f"the DataFrame of cases has the column {_twice(names)!r} twice; rename one of them")
        given = (dict(zip(names, row, strict=True)) for row in given.itertuples(index=False, name=None))
    elif isinstance(given, Mapping) or not isinstance(given, Iterable):
        raise CasesError(f"the cases are {shown(given, 80)}; expected a path, a DataFrame or a list of mappings, one a case")
    for number, row in enumerate(given, 1):
        yield row, f"case {number}", False


def _file(given: str | Path) -> Iterator[tuple[Mapping[Any, Any], str, bool]]:
    path, name = Path(given).expanduser(), str(given)
    kind = path.suffix.lower()
    if kind not in {*_TABLES, *_DATA}:
        raise CasesError(f"the cases are in {name!r}; expected a name that ends in {', '.join((*_TABLES, *_DATA))}")
    try:
        text = file_text(path, name, "a file of cases")
        if not text.strip():
            raise CasesError(f"{name} is empty; expected {'a line with the names of the columns' if kind in _TABLES else 'a list of cases'}")
        if kind in _TABLES:
            yield from ((row, place, True) for row, place in _table(text, name, _TABLES[kind]))
            return
        data, lines = load_with_lines(text, name, _DATA[kind])
    except AnswersFileError as error:
        raise CasesError(str(error)) from None
    except FileNotFoundError:
        raise CasesError(f"the file of cases {name!r} does not exist, seen from {Path.cwd()}") from None
    except (OSError, ValueError) as error:
        if isinstance(error, CasesError):
            raise
        raise CasesError(f"the file of cases {name!r} cannot be read: {error}") from None
    if not isinstance(data, list):
        raise CasesError(f"{name} holds {shown(data, 80)}; expected a list of cases, each a mapping of names to values")
    for number, row in enumerate(data):
        yield row, f"{name}, line {lines[number]}" if number < len(lines) else f"{name}, case {number + 1}", False


def _table(text: str, name: str, delimiter: str) -> Iterator[tuple[dict[str, str], str]]:
    """The rows of a CSV file. A cell without text is left out, so that the notebook's own default counts."""
    head = text.lstrip("\r\n").splitlines()[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter or max(_DELIMITERS, key=head.count), strict=True)
    names: list[str] | None = None
    begins = 1
    try:
        for cells in reader:
            place, begins = f"{name}, line {begins}", reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if names is None:
                names = _header([cell.strip() for cell in cells], place)
                continue
            if len(cells) != len(names):
                raise CasesError(
                    f"{place} has {len(cells)} cells, and the first line names {len(names)} columns ({', '.join(names)}); a cell that holds the "
                    f"separator is written in quotes"
                )
            yield {column: cell for column, cell in zip(names, cells, strict=True) if cell.strip()}, place
    except csv.Error as error:
        cut = "; was the file cut short?" if "unexpected end" in str(error) else ""
        raise CasesError(f"{name}, line {begins}: {error}; expected CSV{cut}") from None


def _header(names: list[str], place: str) -> list[str]:
    if "" in names:
        raise CasesError(f"{place}: column {names.index('') + 1} has no name; every column needs one")
    if len(set(names)) < len(names):
        raise CasesError(f"{place}: the column {_twice(names)!r} is there twice; rename one of them")
    return names


def _case(row: Any, place: str, column: str, *, written: bool) -> Case:
    if not isinstance(row, Mapping):
        raise CasesError(f"{place} is {shown(row, 80)}; expected a mapping of names to values, one of them {column!r}")
    odd = next((key for key in row if not isinstance(key, str)), None)
    if odd is not None:
        raise CasesError(f"{place}: the name {shown(odd, 80)} is no text; expected names of parameters")
    if row.get(column) is None:
        other = "" if column != ID_COLUMN else "; or name another column that tells cases apart: --id-column NAME (id_column= in Python)"
        raise CasesError(f"{place} has no {column!r} (it has {', '.join(row) or 'nothing'}); name the thread of each case there{other}")
    try:
        thread_id = check_thread_id(_id(row[column], written=written))
    except (TypeError, ValueError) as error:
        raise CasesError(f"{place}: {str(error).replace('thread_id', column, 1)}") from None
    return Case(thread_id, {key: value for key, value in row.items() if key != ID_COLUMN and not _missing(value)}, place, written)


def _id(value: Any, *, written: bool) -> Any:
    """The id as a text: 7 is "7", whether it comes from JSON or a DataFrame."""
    if isinstance(value, numbers.Integral) and value is not True and value is not False:
        return str(int(value))
    return value.strip() if written else value


def _missing(value: Any) -> bool:
    """What a DataFrame has in place of a value: NaN, NaT, NA. None stays: somebody wrote it."""
    return type(value).__name__ in ("NaTType", "NAType") or (isinstance(value, float) and math.isnan(value))


def _require_apart(cases: Iterable[Case]) -> None:
    """Two cases on one thread would be one, and two in one file would overwrite each other."""
    threads: dict[str, Case] = {}
    files: dict[str, Case] = {}
    for case in cases:
        first = threads.setdefault(case.thread_id, case)
        if first is not case:
            raise CasesError(f"{case.place} has the same thread as {first.place}: {shown(case.thread_id)}. Each case needs one of its own")
        first = files.setdefault(case.file_name.lower(), case)
        if first is not case:
            raise CasesError(f"{case.place} and {first.place} ({shown(case.thread_id)}, {shown(first.thread_id)}) get the same file name; rename one")


def _twice(names: list[Any]) -> Any:
    return next(name for n, name in enumerate(names) if name in names[:n])
