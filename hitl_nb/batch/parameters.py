"""What a notebook's parameters cell is given: names that it can have, values that it can hold, texts of a CSV file as the type that it declares."""

from __future__ import annotations

import ast
import json
import keyword
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from hitl_nb.batch.cases import Case
from hitl_nb.errors import CasesError, shown

GIVEN: Final = ("hitl_answers", "store")
"""Parameters that the batch itself gives, beside `thread_id`."""
_NUMBER: Final = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_BOOLS: Final = {"true": True, "false": False}


def fitted(cases: Iterable[Case], declared: Mapping[str, Any]) -> list[Case]:
    """The cases with values that a parameters cell takes. `declared`: its names with their defaults, see `declared_parameters`.

    A CSV file holds texts. One becomes a number, a bool, a list or a mapping when the default is one; else it stays the text that it is, so
    that the code `010` does not become 10. What is given as data keeps its type. Raises CasesError.
    """
    return [replace(case, parameters={name: _fitted(name, value, case, declared) for name, value in case.parameters.items()}) for case in cases]


def declared_parameters(source: str) -> dict[str, Any]:
    r"""The names that a parameters cell gives a value, each with its default; None for one that is no plain value.

    >>> declared_parameters("amount = 100\ncode: str = None\nwhen = today()")
    {'amount': 100, 'code': '', 'when': None}
    """
    found: dict[str, Any] = {}
    try:
        body = ast.parse(source).body
    except SyntaxError:  # another language, or a magic
        return found
    for node in body:
        if isinstance(node, ast.Assign):
            found |= {target.id: _literal(node.value) for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            kind = _KINDS.get(ast.unparse(node.annotation))
            found[node.target.id] = kind() if kind is not None else _literal(node.value)
    return found


def parameters_of(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a notebook, see `declared_parameters`."""
    tagged = (cell for cell in notebook["cells"] if "parameters" in cell["metadata"].get("tags", ()))
    return declared_parameters("".join(next(tagged, {"source": ""})["source"]))


def read_notebook(path: Path) -> dict[str, Any]:
    """A notebook file as JSON has it, in format 4. Raises CasesError for a file that is no notebook."""
    try:
        read: Any = json.loads(path.read_text(encoding="utf-8"))
        if read["nbformat"] != 4:
            read = _converted(path)
        if all(isinstance(cell["metadata"], dict) and cell["cell_type"] and "".join(cell["source"]) is not None for cell in read["cells"]):
            return dict(read)
        why = "a cell has no metadata"
    except FileNotFoundError:
        raise CasesError(f"the notebook {str(path)!r} does not exist, seen from {Path.cwd()}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = shown(error)
    raise CasesError(f"the notebook {str(path)!r} cannot be read: {why}. Expected a file that JupyterLab opens")


def _converted(path: Path) -> Any:
    import nbformat  # takes a second to load

    return nbformat.read(path, as_version=4)


_KINDS: Final[dict[str, type]] = {kind.__name__: kind for kind in (str, int, float, bool, list, dict)}


def _literal(node: ast.expr | None) -> Any:
    try:
        return None if node is None else ast.literal_eval(node)
    except ValueError:
        return None


def _fitted(name: str, value: Any, case: Case, declared: Mapping[str, Any]) -> Any:
    if not name.isidentifier() or keyword.iskeyword(name):
        raise CasesError(f"{case.place}: {shown(name, 80)} cannot be the name of a parameter; expected letters, digits and _, as in Python")
    if name in GIVEN:
        raise CasesError(f"{case.place}: the parameter {name!r} is given by the batch itself; rename the column")
    if case.written:
        return _typed(name, value, case, declared.get(name))
    return _plain(name, value, case)


def _typed(name: str, text: str, case: Case, default: Any) -> Any:
    bare = text.strip()
    try:
        if isinstance(default, bool):
            return _BOOLS[bare.lower()]
        if isinstance(default, (int, float)):
            number = float(bare) if _NUMBER.fullmatch(bare) else math.nan
            if not math.isfinite(number):
                raise ValueError
            return int(bare) if isinstance(default, int) and bare.lstrip("+-").isdigit() else number
        if isinstance(default, (list, dict)):
            read = json.loads(bare)
            if not isinstance(read, type(default)):
                raise TypeError
            return read
    except (ValueError, KeyError, TypeError):
        kind = {bool: "true or false", int: "a number", float: "a number", list: "a JSON list", dict: "a JSON object"}[type(default)]
        raise CasesError(
            f"{case.place}: {name} is {shown(text, 80)}; expected {kind}, as the notebook's parameters cell has {name} = {shown(default, 80)}"
        ) from None
    return text


def _plain(name: str, value: Any, case: Case) -> Any:
    """The value as data of JSON, which is what a notebook keeps of its parameters."""
    if hasattr(value, "item") and type(value).__module__ == "numpy":
        value = value.item()
    if value is None or isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain(f"{name}.{key}", inner, case) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(f"{name}[{n}]", inner, case) for n, inner in enumerate(value)]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise CasesError(
        f"{case.place}: {name} is {shown(value, 80)} ({type(value).__name__}), which no parameters cell can be given; expected texts, numbers, "
        f"bools, lists and mappings. For other values give the name of a file, or the key of a record"
    )
