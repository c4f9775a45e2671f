"""Whether an answer fits its question, before it is recorded (semantics R4)."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from enum import Enum
from threading import Lock
from types import FunctionType
from typing import Any, Final, NoReturn

from hitl_nb.checkpoint.records import Question
from hitl_nb.decisions.actions import Asked, asked_actions, check_actions, is_meant_as_actions
from hitl_nb.decisions.problems import Problem, of_model, of_schema
from hitl_nb.decisions.rows.answer import expanded, is_meant_as_rows
from hitl_nb.decisions.rows.table import Table, found_in
from hitl_nb.decisions.typed import adapter_of, generator, no_schema, type_name
from hitl_nb.decisions.validator import ending, validator_of
from hitl_nb.decisions.wording import capital
from hitl_nb.errors import GraphError, HitlError, InvalidAnswerError, shown

CHOICE_KEYS: Final = ("action", "decision", "type")
"""Where a dict answer says which option it takes."""
_ASKED: Final[dict[str, Any]] = {}
"""The schemas of the latest questions asked in this process, by interrupt id."""
_ASKED_MAX: Final = 1000
_ASKED_LOCK: Final = Lock()
_SHOWN_MAX: Final = 120
"""Characters of a value that an error message repeats."""


def check_answer(question: Question, answer: Any) -> Any:
    """The value to record for this answer.

    A static pause takes True or None and records True. With a schema the answer is turned into JSON-like data and validated. Without one, a
    payload that lists `options` or `actions` still binds a string and the `action`, `decision` and `type` of a dict, and one that asks about the
    rows of a table binds all of them (an answer in short is recorded in full, see `decisions.rows`), and one that asks about actions binds an
    answer about actions; anything else passes.
    Raises InvalidAnswerError, with `path` naming the place in the answer; nothing was recorded then.
    """
    if question.kind == "static":
        if answer is True or answer is None:
            return True
        _refuse(question, f"a pause before or after a node is continued with True or None, got {_shown(answer)}")
    try:
        return _checked(question, answer)
    except (HitlError, MemoryError):
        raise
    except RecursionError:
        _refuse(question, "it is nested too deeply, contains itself, or its schema refers to itself without end; expected a flat answer")
    except Exception as error:  # noqa: BLE001  # code of the answer's own class, a number that no float can hold, a validator of the author's
        _refuse(question, f"{_shown(answer)} cannot be checked ({type(error).__name__}: {shown(error)}); expected plain data")


def _checked(question: Question, answer: Any) -> Any:
    if question.schema is not None:
        checked = _check_schema(question, question.schema, answer)
        if (schema := _ASKED.get(question.id)) is not None:
            typed_answer(schema, checked)
        return checked
    actions = asked_actions(question.payload)
    if actions is not None and is_meant_as_actions(actions, answer):
        _check_actions(question, actions, answer)
        return answer
    asked = found_in(question.payload)
    if asked is not None and (asked.binds or is_meant_as_rows(answer)):
        return _check_rows(question, asked.value, answer)
    _check_listed(question, answer)
    return answer


def allowed_options(payload: Any) -> list[Any]:
    """What the payload lists as possible answers, `escalate` included where it offers that; empty when it binds nothing."""
    if not isinstance(payload, Mapping):
        return []
    listed = [_value(o) for key in ("options", "actions") if isinstance(payload.get(key), (list, tuple)) for o in payload[key]]
    if listed and payload.get("escalate_option") is True and "escalate" not in listed:
        listed.append("escalate")
    return listed


def answer_schema(schema: Any) -> dict[str, Any]:
    """The JSON Schema of a pydantic model, dataclass, TypedDict, Enum, Literal or builtin type; a dict is taken as JSON Schema itself.

    Raises GraphError when it is neither, or when the dict is no valid JSON Schema.
    """
    if isinstance(schema, Mapping):
        from jsonschema import FormatChecker, SchemaError
        from jsonschema.validators import Draft202012Validator, validator_for
        from referencing import Registry
        from referencing.exceptions import Unresolvable

        made = dict(schema)
        try:
            cls = validator_for(made, default=Draft202012Validator)
            with ending(), suppress(Unresolvable):  # what is missing is told when an answer needs it
                cls.check_schema(made, format_checker=FormatChecker(["regex"]))  # type: ignore[call-arg]
                next(cls(made, registry=Registry()).iter_errors(None), None)
        except SchemaError as error:
            raise GraphError(f"schema= is no valid JSON Schema at {_place(error.absolute_path, 'schema')}: {error.message}") from None
        except RecursionError:
            raise GraphError("schema= is nested too deeply or refers to itself without end; expected a JSON Schema that comes to an end") from None
        except Exception as error:
            raise GraphError(f"schema= is no valid JSON Schema ({type(error).__name__}: {shown(error)}): {_shown(schema)}") from error
        return made
    if schema is None or isinstance(schema, (str, bool, int, float, list, tuple, set, FunctionType)):
        raise GraphError(
            f"schema= is {_shown(schema)}; expected a type (bool, str, Literal['a', 'b'], an Enum, a dataclass, a TypedDict, a pydantic model) "
            "or a JSON Schema as a dict"
        )
    from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError

    try:
        return dict(adapter_of(schema).json_schema(schema_generator=generator()))
    except (PydanticInvalidForJsonSchema, PydanticUserError) as error:
        raise GraphError(no_schema(schema, error)) from None


def problems(question: Question, answer: Any) -> list[Problem]:
    """Everything that is wrong with this answer, each at its place and in words for the person who gives it; empty when `check_answer` takes it.

    What only the author's own class can refuse is told once everything else fits.
    """
    try:
        check_answer(question, answer)
    except InvalidAnswerError as error:
        with suppress(Exception):  # what cannot be worked with has one reason, the one at hand
            if found := _all_problems(question, answer):
                return found
        why = error.reason or str(error)
        return [Problem(tuple(error.path), capital(why))]
    return []


def _all_problems(question: Question, answer: Any) -> list[Problem]:
    from pydantic import ValidationError

    if question.schema is None:
        return []
    data = _plain(question, answer)
    found = of_schema(validator_of(question.schema).iter_errors(data))
    schema = _ASKED.get(question.id)
    if found or schema is None or isinstance(schema, Mapping):
        return found
    try:
        adapter_of(schema).validate_json(json.dumps(data))
    except ValidationError as error:
        return of_model(error.errors(include_url=False, include_context=False), data)
    return []


def typed_answer(schema: Any, answer: Any) -> Any:
    """The recorded answer as an instance of the author's schema; for a JSON Schema the answer as it is.

    Raises InvalidAnswerError when a rule that JSON Schema cannot say (a pydantic validator) refuses it.
    """
    if isinstance(schema, Mapping):
        return answer
    from pydantic import ValidationError

    try:
        return adapter_of(schema).validate_json(json.dumps(answer))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        path = list(first["loc"])
        raise InvalidAnswerError(
            f"the answer does not fit {type_name(schema)} at {_place(path)}: {first['msg']}, got {_shown(first['input'])}. "
            "If it was recorded already, reopen the question to answer it again.",
            path=path,
            reason=first["msg"],
        ) from None


def remember_schema(interrupt_id: str, schema: Any) -> None:
    """Keep the author's schema of a question asked in this process, so that rules JSON Schema cannot say are checked before an answer is recorded.

    In another process only the stored JSON Schema is known; there such an answer is refused when the node runs again.
    """
    with _ASKED_LOCK:
        _ASKED[interrupt_id] = schema
        while len(_ASKED) > _ASKED_MAX:
            del _ASKED[next(iter(_ASKED))]


# -- by schema -------------------------------------------------------------------------------------------------------------------------


def _check_schema(question: Question, schema: Mapping[str, Any], answer: Any) -> Any:
    from jsonschema.exceptions import best_match
    from referencing.exceptions import Unresolvable

    data = _plain(question, answer)
    for path, number in _numbers(data, []):
        if not math.isfinite(number):
            # NaN passes every minimum and maximum, so it must not reach them.
            _refuse(question, f"{_place(path)} is {number}; expected a finite number", path)
    validator = validator_of(schema)
    try:
        error = best_match(validator.iter_errors(data))
    except Unresolvable as missing:
        raise GraphError(f"the schema of this question refers to {missing.ref!r}, which it does not define", node=question.node) from None
    if error is not None:
        path = list(error.absolute_path)
        what = error.message if len(error.message) <= 2 * _SHOWN_MAX else f"{_shown(error.instance)} does not fit"
        _refuse(question, f"at {_place(path)}: {what}. Expected {_expected(error.validator, error.validator_value)}", path)
    return data


def _expected(rule: str, value: Any) -> str:
    if rule == "enum":
        return "one of " + ", ".join(_shown(v) for v in value)
    if rule == "required":
        return "the keys " + ", ".join(value)
    return f"{rule}: {_shown(value)}"


def _plain(question: Question, answer: Any) -> Any:
    """The answer as dicts, lists, str, int, float, bool and None."""
    if _is_plain(answer):
        return answer
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    def scalar(value: Any) -> Any:
        if callable(getattr(value, "tolist", None)):  # NumPy, without importing it
            made = value.tolist()
            if not hasattr(made, "tolist"):  # a longdouble gives itself, and as a key of a dict over and over until the process ends
                return made
        raise TypeError(type(value).__name__)

    try:
        return to_jsonable_python(answer, inf_nan_mode="constants", fallback=scalar)
    except (PydanticSerializationError, TypeError, ValueError) as error:
        _refuse(question, f"{_shown(answer)} cannot be written as JSON ({error}); expected a dict, list, str, number, bool or None")


def _is_plain(value: Any) -> bool:
    if type(value) is dict:
        return all(type(k) is str and _is_plain(v) for k, v in value.items())
    if type(value) is list:
        return all(map(_is_plain, value))
    return value is None or type(value) in (str, int, float, bool)


def _numbers(value: Any, path: list[str | int]) -> Iterator[tuple[list[str | int], float]]:
    if isinstance(value, float):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(item, [*path, key])
    elif isinstance(value, list):
        for n, item in enumerate(value):
            yield from _numbers(item, [*path, n])


# -- row by row ------------------------------------------------------------------------------------------------------------------------


def _check_rows(question: Question, table: Any, answer: Any) -> Any:
    try:
        return expanded(Table(table), answer)
    except InvalidAnswerError as error:
        _refuse(question, error.reason, error.path)


# -- action by action ------------------------------------------------------------------------------------------------------------------


def _check_actions(question: Question, asked: Asked, answer: Any) -> None:
    try:
        check_actions(asked, answer, validator_of)
    except InvalidAnswerError as error:
        _refuse(question, error.reason, error.path)


# -- by the payload's options ----------------------------------------------------------------------------------------------------------


def _check_listed(question: Question, answer: Any) -> None:
    listed = allowed_options(question.payload)
    if not listed or _among(answer, listed):
        return
    if isinstance(answer, str):
        _refuse(question, f"{_shown(answer)} is none of its options{_closest(answer, listed)}")
    if isinstance(answer, Mapping):
        for key in CHOICE_KEYS:
            if key in answer and not _among(answer[key], listed):
                _refuse(question, f"answer[{key!r}] is {_shown(answer[key])}, none of its options{_closest(answer[key], listed)}", [key])


def _among(value: Any, listed: list[Any]) -> bool:
    """Equal and of the same type: True is not 1. A member of an Enum is its value."""
    value = _value(value)
    return any(type(value) is type(option) and bool(value == option) for option in listed)


def _value(option: Any) -> Any:
    return option.value if isinstance(option, Enum) else option


def _closest(value: Any, listed: list[Any]) -> str:
    names = [o for o in listed if isinstance(o, str)]
    typed = value.lower().strip() if isinstance(value, str) and len(value) <= _SHOWN_MAX else ""  # of a long text, nobody meant an option
    near = difflib.get_close_matches(typed, names, n=1) if typed else []
    return f" ({', '.join(map(_shown, listed))})" + (f"; did you mean {near[0]!r}?" if near else "")


# -- words -----------------------------------------------------------------------------------------------------------------------------


def _refuse(question: Question, why: str, path: list[str | int] | None = None) -> NoReturn:
    raise InvalidAnswerError(
        f"the answer to {question.node!r} was not taken: {why}{'' if why.endswith('?') else '.'} The question is still open.",
        thread_id=question.thread_id,
        node=question.node,
        interrupt_id=question.id,
        path=path or [],
        reason=why,
    )


def _place(path: Any, root: str = "answer") -> str:
    return root + "".join(f"[{part!r}]" for part in path)


def _shown(value: Any) -> str:
    return shown(value, _SHOWN_MAX)
