"""Answers of the wrong type, size and encoding: each is taken as it is or refused with a clear error, and the question stays open for a good one."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from hitl_nb.checkpoint.disk import DiskCacheSaver
from hitl_nb.checkpoint.memory import MemorySaver
from hitl_nb.errors import AnswerError, HitlError, InvalidAnswerError, NotSerializableError, UnknownInterruptError
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.types import Command

HUGE = 10**5000
"""More digits than Python writes out."""
BIG = "x" * 10_000_000


@pytest.fixture(params=["memory", "disk"])
def saver(request, tmp_path):
    made = MemorySaver() if request.param == "memory" else DiskCacheSaver(tmp_path / "store")
    yield made
    made.close()


class NoText:
    def __repr__(self):
        raise RuntimeError("no repr")

    __str__ = __repr__


class NoEqual:
    def __eq__(self, other):
        raise RuntimeError("no eq")

    def __hash__(self):
        raise RuntimeError("no hash")


class NoClass:
    @property
    def __class__(self):
        raise RuntimeError("no class")


class NoAttributes:
    def __getattr__(self, name):
        raise RuntimeError(f"no {name}")


class BadText(str):
    __slots__ = ()

    def __repr__(self):
        raise RuntimeError("no repr")

    def __eq__(self, other):
        raise RuntimeError("no eq")

    def __hash__(self):
        raise RuntimeError("no hash")


class BadDict(dict):
    def __iter__(self):
        raise RuntimeError("no iter")

    items = keys = __repr__ = __iter__


class BadMapping(Mapping):
    def __getitem__(self, key):
        raise RuntimeError("no item")

    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError("no iter")

    def __len__(self):
        raise RuntimeError("no len")


class BadList(list):
    def __iter__(self):
        raise RuntimeError("no iter")

    def __len__(self):
        return 5


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Facts(dict):
    pass


def nested(levels: int, wrap: Any) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = wrap(value)
    return value


def circle(kind: type) -> Any:
    value = kind()
    value.append(value) if kind is list else value.update(a=value)
    return value


HOSTILE: dict[str, Any] = {
    "an object without repr": NoText(),
    "an object without eq and hash": NoEqual(),
    "an object whose class raises": NoClass(),
    "an object whose attributes raise": NoAttributes(),
    "a str that raises": BadText("yes"),
    "a dict that raises": BadDict(a=1),
    "a mapping that raises": BadMapping(),
    "a list that raises": BadList([1]),
    "a str of another class": Text("yes"),
    "an int of another class": Number(3),
    "a dict of another class": Facts(a=1),
    "300 lists": nested(300, lambda v: [v]),
    "100,000 lists": nested(100_000, lambda v: [v]),
    "100,000 dicts": nested(100_000, lambda v: {"a": v}),
    "a list that holds itself": circle(list),
    "a dict that holds itself": circle(dict),
    "half a surrogate pair": "a\ud800b",
    "half a surrogate pair as a key": {"\ud800": 1},
    "a generator": (n for n in range(3)),
    "a function": print,
    "a type": int,
    "an exception": ValueError("x"),
    "a module": sys,
    "a memoryview": memoryview(b"ab"),
    "an ellipsis": ...,
}
FINE: dict[str, Any] = {
    "not a number": math.nan,
    "infinity": -math.inf,
    "a huge number": HUGE,
    "2 ** 64": 2**64,
    "bytes that are no text": b"\xff\xfe",
    "a bytearray": bytearray(b"ab"),
    "10 MB of text": BIG,
    "10 MB of bytes": BIG.encode(),
    "a nul": "a\0b",
    "a text that runs backwards": "\u202e",
    "an empty key": {"": 1},
    "keys of several types": {1: 1, "a": 2, None: 3},
    "150 dicts": nested(150, lambda v: {"a": v}),
}


def ask(state):
    return {"got": interrupt("Which?")}


def same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and (one == other or (isinstance(one, float) and math.isnan(one) and math.isnan(other)))


def refuse(run: Any, graph: Any, cfg: Any, answer: Any, error: type[Exception]) -> str:
    """The text of the refusal, after the checks that hold for each."""
    before = graph.get_state(cfg)
    with pytest.raises(error) as refused:
        run(graph, Command(resume=answer), cfg)
    text = str(refused.value)
    assert len(text) < 1500
    text.encode()
    assert graph.get_state(cfg).interrupts == before.interrupts
    assert graph.checkpointer.decisions("t-1") == []
    return text


@pytest.mark.parametrize("how", ["alone", "by id"])
def test_what_cannot_be_stored_is_refused_and_the_question_stays_open(chain, saver, run, cfg, only, how):
    graph = chain(saver, ask)
    question = only(graph.invoke({"x": 1}, cfg))
    for name, answer in HOSTILE.items():
        text = refuse(run, graph, cfg, {question.id: answer} if how == "by id" else answer, HitlError)
        assert "answer" in text or "resume" in text, name
    assert run(graph, Command(resume="good"), cfg).state == {"x": 1, "got": "good"}


SCHEMAS = {
    "text": (str, "good"),
    "a bool": (bool, True),
    "a number": ({"type": "number", "multipleOf": 0.1}, 2),
    "an object": ({"type": "object"}, {"a": 1}),
    "a list": ({"type": "array", "uniqueItems": True}, [1]),
}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_no_hostile_answer_gets_past_a_schema_as_another_kind_of_error(chain, saver, cfg, only, schema):
    wanted, good = SCHEMAS[schema]

    def ask(state):
        return {"got": interrupt("Which?", schema=wanted)}

    graph = chain(saver, ask)
    question = only(graph.invoke({"x": 1}, cfg))
    for name, answer in {**HOSTILE, "a huge number": HUGE, "not a number": math.nan, "infinity": math.inf}.items():
        refusal, result = None, {}
        try:
            result = graph.invoke(Command(resume={question.id: answer}), cfg)
        except (AnswerError, NotSerializableError) as error:
            refusal = str(error)
        if refusal is not None:
            assert len(refusal) < 1500, name
            assert only(graph.get_state(cfg)).id == question.id, name
        else:  # a text of another class is a text, and is recorded as one
            assert type(result["got"]) in (str, dict, list, int), name
            graph.reopen(cfg, question.id)
            question = only(graph.invoke(None, cfg))
    assert graph.invoke(Command(resume={question.id: good}), cfg)["got"] == good


def test_odd_but_storable_answers_come_back_as_they_are(chain, saver, run, cfg):
    for number, (name, answer) in enumerate(FINE.items()):
        config = {"configurable": {"thread_id": f"t-{number}"}}
        graph = chain(saver, ask)
        graph.invoke({"x": 1}, config)
        assert same(run(graph, Command(resume=answer), config)["got"], answer), name
        assert same(graph.get_state(config).values["got"], answer), name


def test_an_answer_that_is_changed_after_it_was_given_stays_what_it_was(chain, saver, cfg):
    graph = chain(saver, ask)
    graph.invoke({"x": 1}, cfg)
    answer = {"amount": 1}
    graph.invoke(Command(resume=answer), cfg)
    answer["amount"] = 999
    assert graph.get_state(cfg).values["got"] == {"amount": 1}
    assert saver.decisions("t-1")[0].answer == {"amount": 1}


def test_a_text_of_10_mb_is_no_option_and_is_not_repeated_in_the_refusal(chain, saver, run, cfg):
    def ask(state):
        return {"got": interrupt({"question": "Which?", "options": ["approve", "reject"]})}

    graph = chain(saver, ask)
    graph.invoke({"x": 1}, cfg)
    text = refuse(run, graph, cfg, BIG, InvalidAnswerError)
    assert "'approve', 'reject'" in text
    assert "did you mean" not in text
    assert run(graph, Command(resume="approve"), cfg)["got"] == "approve"


@pytest.mark.parametrize("odd", ["", "\ud800", "a\0b", "../x", "x" * 100_000, "0" * 31, "0" * 33])
def test_what_is_no_id_answers_nothing_when_ids_are_given_too(chain, saver, run, cfg, odd, only):
    graph = chain(saver, ask)
    question = only(graph.invoke({"x": 1}, cfg))
    refuse(run, graph, cfg, {odd: "a", question.id: "b"}, AnswerError)
    assert run(graph, Command(resume={question.id: "good"}), cfg)["got"] == "good"


@pytest.mark.parametrize("odd", [None, 3, "", b"x", "\ud800", "x" * 100_000, "0" * 32, NoText(), [], {}], ids=lambda odd: type(odd).__name__)
def test_only_the_id_of_an_answer_is_reopened(chain, saver, cfg, odd):
    graph = chain(saver, ask)
    graph.invoke({"x": 1}, cfg)
    with pytest.raises(UnknownInterruptError) as refused:
        graph.reopen(cfg, odd)
    assert len(str(refused.value)) < 1500
    assert graph.invoke(Command(resume="good"), cfg)["got"] == "good"


def test_a_validator_that_raises_what_it_likes_refuses_the_answer(chain, saver, run, cfg):
    pydantic = pytest.importorskip("pydantic")

    class Amount(pydantic.BaseModel):
        amount: int

        @pydantic.field_validator("amount")
        @classmethod
        def small(cls, amount: int) -> int:
            if amount > 10:
                raise ZeroDivisionError("a mistake in the validator")
            return amount

    def ask(state):
        return {"got": interrupt("How much?", schema=Amount).amount}

    graph = chain(saver, ask)
    graph.invoke({"x": 1}, cfg)
    assert "ZeroDivisionError" in refuse(run, graph, cfg, {"amount": 11}, InvalidAnswerError)
    assert run(graph, Command(resume={"amount": 3}), cfg)["got"] == 3
