"""A rule: a pandas expression over the columns, read and computed here, so that nothing else than what this file lists can ever run.

It says what `DataFrame.query` can say, without `@`: columns (in backticks where the name is no identifier), `index`, numbers, texts,
comparisons, `and`/`or`/`not` (`&`, `|`, `~` too, binding as in `query`), `in [...]`, arithmetic, and the methods below.
"""

from __future__ import annotations

import ast
import difflib
import operator
import re
import warnings
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, Final

from hitl_nb.decisions.wording import cut

LENGTH_MAX: Final = 1000

_METHODS: Final[Mapping[str, frozenset[str]]] = {
    "isna": frozenset(),
    "isnull": frozenset(),
    "notna": frozenset(),
    "notnull": frozenset(),
    "between": frozenset({"inclusive"}),
    "isin": frozenset(),
    "duplicated": frozenset({"keep"}),
    "abs": frozenset(),
    "round": frozenset(),
    "fillna": frozenset(),
    "mean": frozenset(),
    "median": frozenset(),
    "std": frozenset(),
    "min": frozenset(),
    "max": frozenset(),
    "quantile": frozenset(),
}
"""Methods of a column, with the keywords they take."""
_TEXT_METHODS: Final[Mapping[str, frozenset[str]]] = {
    "contains": frozenset({"case", "na", "regex"}),
    "match": frozenset({"case", "na"}),
    "fullmatch": frozenset({"case", "na"}),
    "startswith": frozenset({"na"}),
    "endswith": frozenset({"na"}),
    "lower": frozenset(),
    "upper": frozenset(),
    "strip": frozenset(),
    "len": frozenset(),
    "isdigit": frozenset(),
    "isnumeric": frozenset(),
    "isupper": frozenset(),
    "islower": frozenset(),
}
_TIME_PARTS: Final = frozenset({"year", "quarter", "month", "day", "hour", "minute", "second", "weekday", "dayofweek", "dayofyear", "days"})
_COMPARE: Final[Mapping[type, Callable[[Any, Any], Any]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ARITHMETIC: Final[Mapping[type, Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_SIGNS: Final = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%"}


class BadRuleError(ValueError):
    """The rule cannot be computed; the text says what is missing."""


def rows_hit(rule: str, frame: Any) -> Any:
    """Which rows of the DataFrame the rule hits, as an array of bools: those that `DataFrame.query` finds. Raises BadRuleError."""
    import numpy as np

    if len(rule) > LENGTH_MAX:
        raise BadRuleError(f"the rule has {len(rule)} characters; at most {LENGTH_MAX} are read")
    text, quoted = _without_backticks(rule)
    try:
        body = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise BadRuleError(_half(rule, frame)) from None
    rule_over = _Rule(frame, quoted)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            hit = rule_over.truth(rule_over.value(body), body)
            return hit.fillna(False).to_numpy(dtype=bool)
    except BadRuleError:
        raise
    except re.error as error:
        raise BadRuleError(f"{error.pattern!r:.60} is no regular expression ({error.msg}); say regex=False for plain text") from None
    except RecursionError:
        raise BadRuleError("the rule is nested too deeply") from None
    except Exception as error:  # noqa: BLE001  pandas and numpy raise many classes for values that do not go together
        why = str(error).partition("\n")[0]
        raise BadRuleError(f"these values do not go together{f' ({why:.90})' if why else ''}") from None


def example_for(frame: Any) -> str:
    """A rule that this DataFrame could be given."""
    import pandas as pd

    for number, label in enumerate(frame.columns):
        series, name = frame.iloc[:, number], str(label) if str(label).isidentifier() else f"`{label}`"
        types = pd.api.types
        if (types.is_integer_dtype(series.dtype) or types.is_float_dtype(series.dtype)) and not pd.isna(middle := series.median()):
            return f"{name} > {middle:.3g}" if abs(middle) < 100 else f"{name} > {middle:.0f}"
    return f'{name}.str.contains("…")' if len(frame.columns) else "index > 5"


def _half(rule: str, frame: Any) -> str:
    if re.search(r"(?<![<>=!])=(?!=)", re.sub(r"""("[^"]*"|'[^']*'|\([^)]*\))""", "", rule)):
        return "one = is no comparison; write =="
    if "@" in rule:
        return "@ reads variables, which a rule cannot; write the value itself"
    return f"not a rule yet; for example {example_for(frame)}"


def _without_backticks(rule: str) -> tuple[str, dict[str, str]]:
    """The rule with an identifier for each name in backticks, and `and` and `or` for & and |, which bind like them in pandas."""
    made: list[str] = []
    quoted: dict[str, str] = {}
    at = 0
    while at < len(rule):
        letter = rule[at]
        if letter in "\"'":
            end = at + 1
            while end < len(rule) and rule[end] != letter:
                end += 2 if rule[end] == "\\" else 1
            made.append(rule[at : end + 1])
            at = end + 1
        elif letter == "`":
            end = rule.find("`", at + 1)
            if end < 0:
                raise BadRuleError("a name in backticks needs one at its end, too")
            name = f"column_in_backticks_{len(quoted)}"
            quoted[name] = rule[at + 1 : end]
            made.append(f" {name} ")
            at = end + 1
        else:
            made.append({"&": " and ", "|": " or "}.get(letter, letter))
            at += 1
    return "".join(made).strip(), quoted


class _Rule:
    """Computes a rule, one node of its syntax after the other. What has no method here is no part of a rule."""

    def __init__(self, frame: Any, quoted: Mapping[str, str]) -> None:
        self._frame = frame
        self._quoted = quoted

    def value(self, node: ast.expr) -> Any:
        """A column, or a single value."""
        compute = getattr(self, f"_{type(node).__name__.lower()}", None)
        if compute is None:
            raise BadRuleError(f"{ast.unparse(node):.60} is no part of a rule; for example {example_for(self._frame)}")
        return compute(node)

    def truth(self, value: Any, node: ast.expr) -> Any:
        """The value as a column of bools, with or without missing ones."""
        import pandas as pd

        if isinstance(value, pd.Series) and len(value) == len(self._frame):
            if pd.api.types.is_bool_dtype(value.dtype):
                return value
            if value.dtype.kind == "O" and pd.api.types.infer_dtype(value, skipna=True) == "boolean":
                return value.astype("boolean")
        raise BadRuleError(f"{self._written(node)} says nothing true or false of a row; compare it, like {example_for(self._frame)}")

    # -- names and values

    def _name(self, node: ast.Name) -> Any:
        import pandas as pd

        name = self._quoted.get(node.id, node.id)
        at = [n for n, label in enumerate(self._frame.columns) if str(label) == name]
        if len(at) == 1:
            return self._frame.iloc[:, at[0]].reset_index(drop=True)
        if at:
            raise BadRuleError(f"{len(at)} columns are called {name}")
        if name == "index" or (name == self._frame.index.name and name is not None):
            if self._frame.index.nlevels > 1:
                raise BadRuleError("the index has several levels; reset_index() makes columns of them")
            return pd.Series(self._frame.index.array)
        known = [str(label) for label in self._frame.columns]
        near = [k for k in known if k.lower() == name.lower()] or difflib.get_close_matches(name, known, n=1)
        spaced = next((k for k in known if " " in k and k.split()[0] == name), None)
        hint = f"; did you mean `{spaced}`?" if spaced else f"; did you mean {near[0] if near[0].isidentifier() else f'`{near[0]}`'}?" if near else ""
        raise BadRuleError(f"there is no column {name:.60}{hint}")

    @staticmethod
    def _constant(node: ast.Constant) -> Any:
        if isinstance(node.value, (str, int, float)):
            return node.value
        if node.value is None:
            raise BadRuleError("a missing value is found by .isna()")
        raise BadRuleError(f"{node.value!r:.60} is no value of a rule")

    def _list(self, node: ast.List | ast.Tuple | ast.Set) -> list[Any]:
        values = [self.value(item) for item in node.elts]
        if not all(isinstance(v, (str, int, float)) for v in values):
            raise BadRuleError("a list holds numbers and texts only")
        return values

    _tuple = _set = _list

    # -- operators

    def _boolop(self, node: ast.BoolOp) -> Any:
        join = operator.and_ if isinstance(node.op, ast.And) else operator.or_
        return reduce(join, [self.truth(self.value(part), part) for part in node.values])

    def _unaryop(self, node: ast.UnaryOp) -> Any:
        value = self.value(node.operand)
        if isinstance(node.op, (ast.Not, ast.Invert)):
            return ~self.truth(value, node.operand)
        self._numeric(value, node.operand, "-")
        return -value if isinstance(node.op, ast.USub) else value

    def _binop(self, node: ast.BinOp) -> Any:
        compute = _ARITHMETIC.get(type(node.op))
        if compute is None:
            raise BadRuleError(f"{ast.unparse(node):.60} is no part of a rule; it has + - * / // %")
        left, right = self.value(node.left), self.value(node.right)
        if not isinstance(node.op, (ast.Add, ast.Sub)):  # texts and times are added and subtracted
            self._numeric(left, node.left, _SIGNS[type(node.op)])
            self._numeric(right, node.right, _SIGNS[type(node.op)])
        return compute(left, right)

    def _compare(self, node: ast.Compare) -> Any:
        sides = [node.left, *node.comparators]
        return reduce(operator.and_, [self._compared(*three) for three in zip(sides, node.ops, sides[1:], strict=False)])

    def _compared(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Any:
        import pandas as pd

        first, second = self.value(left), self.value(right)
        if isinstance(op, (ast.In, ast.NotIn)):
            if not isinstance(second, list) or not isinstance(first, pd.Series):
                raise BadRuleError("in asks for a list, like account in ['6640', '6815']; a part of a text is found by .str.contains()")
            return first.isin(second) ^ isinstance(op, ast.NotIn)
        if isinstance(first, list) or isinstance(second, list):
            if isinstance(op, (ast.Eq, ast.NotEq)) and isinstance(first, pd.Series) and isinstance(second, list):
                return first.isin(second) ^ isinstance(op, ast.NotEq)  # as in query
            raise BadRuleError("a list is compared by in")
        compute = _COMPARE.get(type(op))
        if compute is None:
            raise BadRuleError("is compares nothing here; a missing value is found by .isna()")
        if not isinstance(first, pd.Series) and not isinstance(second, pd.Series):
            raise BadRuleError("two fixed values are compared; name a column")
        for one, other, node in ((first, second, left), (second, first, right)):
            if _holds_text(one) and isinstance(other, (int, float)):
                raise BadRuleError(f"{self._written(node)} holds texts, which cannot be compared with the number {other!r:.40}")
        try:
            return compute(first, second)
        except TypeError:
            raise BadRuleError(f"{self._written(left)} and {self._written(right)} cannot be compared") from None

    # -- methods

    def _call(self, node: ast.Call) -> Any:
        import pandas as pd

        called = node.func
        if not isinstance(called, ast.Attribute):
            raise BadRuleError(f"{self._written(called)}() is no part of a rule; a rule has methods of columns, like .isna() and .str.contains('x')")
        name, on, of_text = called.attr, called.value, False
        if isinstance(on, ast.Attribute) and on.attr == "str":
            on, of_text = on.value, True
        owner = self.value(on)
        known = _TEXT_METHODS if of_text else _METHODS
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            text = "str." if of_text else ""
            other = f".str.{name}()" if name in _TEXT_METHODS and not of_text else f".{text}{near[0]}()" if near else ""
            raise BadRuleError(f".{text}{name}() is no part of a rule{f'; did you mean {other}?' if other else ''}")
        if not isinstance(owner, pd.Series):
            raise BadRuleError(f"{self._written(on)} is no column, so it has no .{name}()")
        if of_text and not _holds_text(owner):
            raise BadRuleError(f"{self._written(on)} holds no texts")
        if unknown := [k.arg for k in node.keywords if k.arg not in known[name]]:
            raise BadRuleError(f".{name}() takes no {unknown[0] or '**'} here")
        keywords = {str(k.arg): self._option(k.value) for k in node.keywords}
        if not all(isinstance(a, (ast.Constant, ast.List, ast.Tuple, ast.Set, ast.UnaryOp)) for a in node.args):
            raise BadRuleError(f".{name}() takes fixed values only")
        arguments = [self.value(a) for a in node.args]
        at = owner.str if of_text else owner
        try:
            return getattr(at, name)(*arguments, **keywords)
        except TypeError:
            raise BadRuleError(f".{name}() does not go with these values") from None

    def _attribute(self, node: ast.Attribute) -> Any:
        import pandas as pd

        times = node.value
        if node.attr not in _TIME_PARTS or not isinstance(times, ast.Attribute) or times.attr != "dt":
            raise BadRuleError(f"{self._written(node)} is no part of a rule")
        owner = self.value(times.value)
        if not isinstance(owner, pd.Series) or owner.dtype.kind not in "mM":
            raise BadRuleError(f"{self._written(times.value)} holds no times")
        return getattr(owner.dt, node.attr)

    @staticmethod
    def _option(node: ast.expr) -> Any:
        if isinstance(node, ast.Constant) and isinstance(node.value, (bool, str)):
            return node.value
        raise BadRuleError(f"{ast.unparse(node):.60} is no option; expected True, False or a text")

    # -- words

    def _numeric(self, value: Any, node: ast.expr, sign: str) -> None:
        """Texts are not multiplied: that would only make very long ones."""
        if isinstance(value, (str, list)) or _holds_text(value):
            raise BadRuleError(f"{self._written(node)} holds texts, which {sign} does not take")

    def _written(self, node: ast.AST) -> str:
        text = ast.unparse(node)
        for made, name in self._quoted.items():
            text = text.replace(made, f"`{name}`")
        return cut(text)


def _holds_text(value: Any) -> bool:
    import pandas as pd

    if not isinstance(value, pd.Series):
        return isinstance(value, str)
    dtype = value.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return bool(dtype.categories.dtype == object or isinstance(dtype.categories.dtype, pd.StringDtype))
    return isinstance(dtype, pd.StringDtype) or (dtype.kind == "O" and pd.api.types.infer_dtype(value, skipna=True) in ("string", "empty"))
