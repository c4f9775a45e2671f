"""What is tried, by kind: each yields cases of a seeded source, the same for the same number."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, time
from fractions import Fraction
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from jsonschema import FormatChecker
from jsonschema.validators import Draft202012Validator, extend, validator_for
from referencing import Registry

from hitl_nb.checkpoint.records import Question
from hitl_nb.checkpoint.serde import Serde
from hitl_nb.decisions.answers.reading import read_script
from hitl_nb.decisions.check import answer_schema, check_answer, problems
from hitl_nb.decisions.fields.draft import Draft
from hitl_nb.decisions.fields.walker import field_of
from hitl_nb.decisions.forms import form_for
from hitl_nb.decisions.validator import ending
from hitl_nb.errors import AnswersFileError, GraphError, HitlError, InvalidAnswerError, NotSerializableError, StoreError
from tests.fuzz import schemas
from tests.fuzz.answers_files import real_files, written
from tests.fuzz.nonsense import fresh_samples, nonsense
from tests.fuzz.trial import Trial, chance
from tests.fuzz.values import deep, same, value

warnings.simplefilter("ignore")
SERDE = Serde()


def round_trips(first: int, count: int, _place: Path) -> Trial:
    """Any value comes back as it was, of the same bytes and digest."""

    def attempt(n: int) -> Callable[[], str]:
        source = chance("value", n)
        given = deep(source, source.randrange(150, 400)) if n % 500 == 0 else value(source)

        def trip() -> str:
            try:
                data = SERDE.dumps(given, "state")
            except NotSerializableError as error:
                return "refused" if "nested too deeply" in str(error) else _wrong(error)
            back = SERDE.loads(data)
            assert same(given, back), (given, back)
            assert SERDE.dumps(back, "state") == data or not _is_ordered(given), given
            assert SERDE.digest(back, "state") == SERDE.digest(given, "state"), given
            return "came back"

        return trip

    for n in range(first, first + count):
        yield f"round_trips {n}".encode(), attempt(n)


def _wrong(error: Exception) -> Any:
    raise AssertionError(f"not for this reason: {error}")


def _is_ordered(given: object) -> bool:
    return "{" not in repr(given) and "set(" not in repr(given)  # the order of a set's elements is its own


def any_bytes(first: int, count: int, _place: Path) -> Trial:
    """Any bytes are a value or a StoreError; what is a value can be stored again, or is told why not."""
    samples: list[bytes] = []

    def attempt(data: bytes) -> Callable[[], str]:
        def read() -> str:
            try:
                found = SERDE.loads(data)
            except StoreError as error:
                return type(error).__name__
            with suppress(Exception):  # of a year 71669 no text can be made; what must not happen is that the process ends
                repr(found)
                hash(found)
            with suppress(Exception):
                same(found, copy.deepcopy(found))
            try:
                SERDE.dumps(found, "state")
            except NotSerializableError:
                return "a value that is not written again"
            return "a value"

        return read

    for n in range(first, first + count):
        if n % 1000 == 0 or not samples:
            samples = fresh_samples(chance("samples", n // 1000), SERDE.dumps, 100)
        data = nonsense(chance("nonsense", n), samples)
        yield data, attempt(data)


# -- answers files -----------------------------------------------------------------------------------------------------------------------


def _question(payload: Any, schema: Any = None, number: int = 0) -> Question:
    return Question(f"q{number}", "t-1", "review", f"k{number}", 0, "d", payload, datetime(2026, 1, 1, tzinfo=UTC), schema=schema)


def answers_files(first: int, count: int, place: Path) -> Trial:
    """Whatever lies in an answers file: a script, or an AnswersFileError; and a script gives an answer that is checked, or says why not."""
    asked = [
        _question("Publish?"),
        _question({"question": "How?", "amount": 1, "options": ["yes", "no"]}, number=1),
        _question({"action": "edit_content", "original": "a text"}, number=2),
        _question({"q": "?"}, {"type": "object", "properties": {"a": {"type": "integer"}}}, number=3),
    ]
    samples = real_files(Path(__file__).parents[2] / "notebooks" / "answers")

    def attempt(file: Path) -> Callable[[], str]:
        def read() -> str:
            try:
                script = read_script(file)
            except AnswersFileError as error:
                return "refused" if file.name in str(error) else _wrong(error)
            gave = 0
            for question in asked:
                with suppress(HitlError):
                    entry = script.entry_for(question)
                    if entry is not None:
                        check_answer(question, entry.given(question))
                        gave += 1
            return "a script that answers" if gave else "a script"

        return read

    for n in range(first, first + count):
        content, ending = written(chance("file", n), samples)
        data = content.encode("utf-8", "surrogatepass")
        file = place.with_name(f"answers{ending}")
        file.write_bytes(data)
        yield data, attempt(file)


# -- forms of schemas --------------------------------------------------------------------------------------------------------------------


_FORMATS = FormatChecker()
for _name, _read in (("date-time", datetime.fromisoformat), ("date", date.fromisoformat), ("time", time.fromisoformat)):
    _FORMATS.checks(_name, raises=ValueError)(lambda value, _read=_read: not isinstance(value, str) or bool(_read(value) or True))


@cache
def _strict(base: Any) -> Any:
    """What a schema says, by another way than answers are checked; multiples by the digits that are written, as there."""

    def multiple(validator: Any, step: Any, value: Any, schema: Any) -> Any:
        by_digits = validator.is_type(value, "number") and step and Fraction(str(value)) % Fraction(str(step)) == 0
        return () if by_digits else base.VALIDATORS["multipleOf"](validator, step, value, schema)

    return extend(base, {"multipleOf": multiple})


def forms(first: int, count: int, _place: Path) -> Trial:
    """Any schema has a form or is refused; what is taken of any answer, given or typed, is what the schema takes."""

    def attempt(source: Random, schema: Any) -> Callable[[], str]:
        def ask() -> str:
            field_of(schema)
            try:
                known = answer_schema(schema)
            except GraphError:
                return "no schema"
            asked = _question(schemas.plain(source, 1), known)
            form = form_for(asked)
            took = [_give(asked, schemas.answer(source, known)) for _ in range(2)]
            if form.root is not None:
                took.append(_fill_in(source, asked, form.root))
            return "took" if any(took) else "refused"

        return ask

    for n in range(first, first + count):
        source = chance("schema", n)
        schema = schemas.schema(source)
        yield f"forms {n} {json.dumps(schema)}".encode(), attempt(source, schema)


def _give(asked: Question, given: Any) -> bool:
    try:
        recorded = check_answer(asked, given)
    except InvalidAnswerError:
        assert problems(asked, given)
        return False
    except GraphError as error:
        return False if "which it does not define" in str(error) else _wrong(error)
    _require_fit(asked, recorded)
    assert problems(asked, given) == []
    return True


def _require_fit(asked: Question, recorded: Any) -> None:
    base = _strict(validator_for(asked.schema, default=Draft202012Validator))
    with ending():
        errors = list(base(dict(asked.schema or {}), format_checker=_FORMATS, registry=Registry()).iter_errors(recorded))
    assert not errors, (recorded, errors)
    assert same(json.loads(json.dumps(recorded, allow_nan=False)), recorded), recorded


def _fill_in(source: Random, asked: Question, root: Any) -> bool:
    def told(answer: Any) -> Any:
        return problems(asked, answer)

    draft = Draft(root, check=told, **({"value": schemas.plain(source)} if source.random() < 0.2 else {}))
    likely = ("", "0", "1", "2", "1.5", "2026-11-20", "2026-11-20T09:41", "null", "{}", "[]", '"x"', "a", "x" * 20, "9" * 400, "NaN", None, True, 5)
    for _ in range(source.randrange(9)):
        name = source.choice([*draft.ids(), "gone"])
        match source.randrange(9):
            case 0:
                draft.move(name, source.randint(-3, 3))
            case 1:
                draft.add(name)
            case 2:
                getattr(draft, source.choice(("give", "leave_out", "remove", "leave")))(name)
            case 3:
                draft.choose(name, source.choice((None, 0, 1, 7, -1)))
            case _:
                draft.set(name, source.choice(likely))
    try:
        answer = draft.answer()
    except InvalidAnswerError:
        assert draft.errors
        assert draft.told()
        return False
    except GraphError as error:
        return False if "which it does not define" in str(error) else _wrong(error)
    assert same(check_answer(asked, answer), answer)
    _require_fit(asked, answer)
    return True
