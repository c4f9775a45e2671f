"""The published JSON Schema and the reader say the same about every file, as far as JSON Schema can say it."""

from __future__ import annotations

import difflib
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from hitl_nb.decisions.answers import read_script
from hitl_nb.decisions.answers.reading import _ENTRY_KEYS, _FILE_KEYS
from hitl_nb.errors import AnswersFileError
from hitl_nb.plain.yaml_json import load_with_lines

SCHEMA = json.loads(files("hitl_nb.decisions.answers").joinpath("answers.schema.json").read_text("utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)
ROOT = Path(__file__).resolve().parents[2]

plain = st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from(["", "approve", "always", "fail", "warn", "accept"])
values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "action", "q"]), inner, max_size=2), max_leaves=4
)
right = {
    "thread": st.sampled_from(["t", "t-*", None]), "node": st.sampled_from(["n", None]), "key": st.just("k"), "when": st.just({"q": 1}) | st.none(),
    "nth": st.just(2), "position": st.just(0), "times": st.sampled_from([1, 3, "always"]), "by": st.just("ann"), "answer": values, "edit": values,
    "comment": st.sampled_from(["", "c"]), "payload": st.just("blake2b:00"), "schema": st.just("blake2b:00"), "asked": values,
}  # fmt: skip
entries = st.fixed_dictionaries({}, optional={k: v | values for k, v in right.items()}) | st.fixed_dictionaries(
    {"answer": values}, optional={k: v for k, v in right.items() if k != "answer"}
)
settings_ = {"default": st.dictionaries(st.sampled_from(["n", "*"]), values, max_size=2) | values, "tape": st.just(1) | values}
settings_ |= {
    name: st.sampled_from(["fail", "leave_open", "accept", "ask", "warn", "ignore"]) | values for name in ("on_missing", "on_change", "on_unused")
}
lists = st.lists(entries | values, max_size=3) | st.lists(entries, max_size=3)
documents = (
    lists | st.fixed_dictionaries({"answers": lists | values}, optional=settings_) | st.fixed_dictionaries({}, optional=settings_ | {"n": values})
)


def readable(document: Any) -> bool:
    try:
        read_script(document)
    except AnswersFileError as error:
        return "can never answer" in str(error)  # about two entries together, which JSON Schema cannot compare
    return True


def beyond_json_schema(document: Any) -> bool:
    """A plain answer whose key looks like `answer` misspelled is refused by the reader; JSON Schema knows no likeness."""
    items = document if isinstance(document, list) else document.get("answers") if isinstance(document, dict) else None
    like = lambda item: isinstance(item, dict) and difflib.get_close_matches("answer", map(str, item), n=1, cutoff=0.8)  # noqa: E731
    return isinstance(items, list) and any("answer" not in i and like(i) for i in items if isinstance(i, dict))


@settings(max_examples=600, deadline=None)
@given(documents)
def test_the_schema_accepts_what_the_reader_reads_and_nothing_else(document):
    if not beyond_json_schema(document):
        assert VALIDATOR.is_valid(document) == readable(document)


def test_the_schema_is_valid_and_names_every_key():
    Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["$defs"]["entry"]["properties"]) == set(_ENTRY_KEYS)
    assert set(SCHEMA["$defs"]["file"]["properties"]) == set(_FILE_KEYS)


@pytest.mark.parametrize("file", sorted((ROOT / "notebooks" / "answers").glob("*.yaml")), ids=lambda f: f.name)
def test_the_answers_of_the_notebooks_fit_the_schema(file):
    data, _ = load_with_lines(file.read_text("utf-8"), file.name)
    VALIDATOR.validate(data)
    assert read_script(file).entries
