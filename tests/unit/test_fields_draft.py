"""What is typed into a form, and the answer it makes: nothing guessed, nothing rounded, nothing preselected, nothing lost."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from pydantic import AwareDatetime, BaseModel, Field, NaiveDatetime, field_validator, model_validator

from hitl_nb.decisions.check import answer_schema, problems, remember_schema
from hitl_nb.decisions.fields.draft import ZONE, Draft
from hitl_nb.decisions.fields.holders import Group, Many, OneOf, Rows
from hitl_nb.decisions.fields.leaves import Checks, Leaf
from hitl_nb.decisions.fields.node import Node
from hitl_nb.decisions.fields.reading import answer_facts
from hitl_nb.decisions.fields.scalars import UnreadableError, said_value, same
from hitl_nb.decisions.fields.walker import field_of
from hitl_nb.decisions.problems import Problem
from hitl_nb.errors import InvalidAnswerError
from tests.unit.test_check import question


def draft_of(schema: Any, **more: Any) -> Draft:
    return Draft(field_of(answer_schema(schema)), **more)


def part(draft: Draft, *path: str | int) -> Node:
    """The node at this place of the answer."""
    node = draft.root
    for step in path:
        node = node.parts[step] if isinstance(node, Group) else list(node.children())[int(step)]
    return node


def fill(draft: Draft, **raws: Any) -> Draft:
    for name, raw in raws.items():
        draft.set(part(draft, name).id, raw)
    return draft


def refused(draft: Draft) -> dict[str, str]:
    """The words of the refusal by the name of the field."""
    with pytest.raises(InvalidAnswerError) as caught:
        draft.answer()
    assert len(caught.value.problems) >= 1
    assert str(caught.value) == draft.told()
    return {draft.name_of(i): words for i, words in draft.errors.items()}


def typed(schema: Any, raw: str, zone: str | None = None) -> Any:
    draft = draft_of(schema)
    draft.set(draft.root.id, raw)
    if zone is not None:
        draft.set(draft.root.id + ZONE, zone)
    return draft.answer()


# -- one control -----------------------------------------------------------------------------------------------------------------------

TAKEN = [
    (int, "12", 12),
    (int, " +12 ", 12),
    (int, "1e3", 1000),
    (int, "12.0", 12),
    (int, "123456789012345678901234567890", 123456789012345678901234567890),
    (float, "12.5", 12.5),
    (float, ".5", 0.5),
    (float, "12", 12),
    (float, "-1e-3", -0.001),
    (Annotated[float, Field(multiple_of=0.01)], "1.10", 1.1),
    (Decimal, "1.10", "1.10"),
    (Decimal, "0.10000000000000000000000000001", "0.10000000000000000000000000001"),
    (Decimal, "1e2", "100"),
    (str, " kept as typed ", " kept as typed "),
    (Annotated[str, Field(pattern="^a")], "abc", "abc"),
    (dt.date, "2026-11-20", "2026-11-20"),
    (dt.time, "09:41", "09:41:00"),
    (dt.time, "09:41:05.25", "09:41:05.25"),
    (dt.datetime, "2026-11-20T09:41", "2026-11-20T09:41:00Z"),
    (dt.datetime, "2026-11-20 09:41:30", "2026-11-20T09:41:30Z"),
    (AwareDatetime, "2026-11-20T09:41+02:00", "2026-11-20T09:41:00+02:00"),
    (NaiveDatetime, "2026-11-20T09:41", "2026-11-20T09:41:00"),
    (dt.timedelta, "PT90M", "PT90M"),
    (Literal[1, "a", True], "2", True),
    (bool, "1", False),
    (Any, '{"a": [1, null]}', {"a": [1, None]}),
    (int | None, "", None),
    (str | None, "  ", None),
]


@pytest.mark.parametrize(("schema", "raw", "value"), TAKEN, ids=lambda v: str(v)[:40])
def test_what_is_typed_becomes_exactly_this_value(schema, raw, value):
    answer = typed(schema, raw)
    assert same(answer, value)
    assert type(answer) is type(value)


REFUSED = [
    (int, "", "Must be filled in."),
    (int, "1,5", "Must be written without commas"),
    (int, "1,000", "Must be written without commas"),
    (int, "1.5", "Must be a whole number, like 12."),
    (int, "1e-3", "Must be a whole number"),
    (int, "twelve", "Must be a whole number"),
    (int, "1_000", "Must be a whole number"),
    (int, "٣", "Must be a whole number"),
    (int, "1e99999", "Has too many digits."),
    (float, "nan", "Must be a number, like 12.5."),
    (float, "1e400", "Is too large."),
    (float, "9" * 400, "Is too large."),
    (float, "0.1000000000000000055511151231257827", "Has more digits than are kept; the nearest number is 0.1."),
    (float, "1e-400", "Has more digits than are kept"),
    (Annotated[int, Field(ge=3)], "2", "Must be at least 3."),
    (Annotated[int, Field(gt=3)], "3", "Must be more than 3."),
    (Annotated[float, Field(le=500.0)], "501", "Must be at most 500."),
    (Annotated[float, Field(lt=1)], "1", "Must be less than 1."),
    (Annotated[int, Field(multiple_of=5)], "7", "Must be a multiple of 5."),
    (Annotated[Decimal, Field(gt=0)], "-0.01", "Must be more than 0."),
    (Annotated[Decimal, Field(le=500)], "500.01", "Must be at most 500."),
    (Annotated[Decimal, Field(multiple_of=Decimal("0.05"))], "0.07", "Must be a multiple of 0.05."),
    (Decimal, "NaN", "Must be a number"),
    (str, "   ", "Must be filled in."),
    (Annotated[str, Field(min_length=3)], "ab", "Needs at least 3 characters. It has 2."),
    (Annotated[str, Field(max_length=3)], "abcd", "Must have at most 3 characters. It has 4."),
    (Annotated[str, Field(pattern="^a")], "b", "Must fit the pattern ^a"),
    (Annotated[str, Field(pattern="^" + "a?" * 200 + "$")], "b", "Does not have the expected form."),
    (Annotated[str, Field(json_schema_extra={"format": "email"})], "me", "Must be an e-mail address, like name@example.org."),
    (Annotated[str, Field(json_schema_extra={"format": "uri"})], "example.org", "Must be a web address"),
    (dt.date, "20.11.2026", "Must be a date, like 2026-11-20."),
    (dt.date, "2026-02-30", "There is no such date"),
    (dt.date, "incomplete", "Must be a date"),
    (dt.datetime, "2026-11-20", "Must be a date and a time"),
    (dt.datetime, "2026-11-20T25:00", "There is no such time"),
    (NaiveDatetime, "2026-11-20T09:41Z", "Must have no time zone."),
    (dt.timedelta, "90 minutes", "Must be a duration, like PT90M"),
    (Literal["a", "b"], "", "Must be chosen."),
    (Literal["a", "b"], "7", "Must be chosen."),
    (bool, "", "Must be chosen."),
    (Any, "{a: 1}", "Must be JSON"),
    (Any, "NaN", "Must be JSON"),
    (Any, "[" * 100_000, "It is nested too deeply."),
    (Any, '{"a": 1, "a": 2}', 'The key "a" stands twice.'),
    (Any, "1e999", "1e999 is too large a number."),
    (Any, "0.12345678901234567891", "0.12345678901234567891 is sent as 0.12345678901234568"),
]


@pytest.mark.parametrize(("schema", "raw", "words"), REFUSED, ids=lambda v: str(v)[:40])
def test_what_cannot_be_taken_exactly_is_refused_in_words(schema, raw, words):
    draft = draft_of(schema)
    draft.set(draft.root.id, raw)
    assert words in "".join(refused(draft).values())


def test_the_zone_that_is_shown_is_the_zone_that_is_sent():
    assert typed(dt.datetime, "2026-11-20T09:41", "+02:00") == "2026-11-20T09:41:00+02:00"
    assert typed(dt.datetime, "2026-11-20T09:41", "") == "2026-11-20T09:41:00"
    with pytest.raises(InvalidAnswerError):
        typed(AwareDatetime, "2026-11-20T09:41", "")
    draft = draft_of(AwareDatetime)
    assert isinstance(draft.root, Leaf)
    assert draft.root.zone == "Z"
    assert Draft(field_of({"type": "string", "format": "date-time", "default": "2020-01-01T10:00:00"})).root.zone == ""  # type: ignore[attr-defined]


# -- nothing is preselected, nothing slips in ------------------------------------------------------------------------------------------


class Decide(BaseModel):
    approve: bool
    agree: Literal[True]
    way: Literal["road", "rail"]
    animal: Literal["cat"] | int
    name: str


def test_what_a_person_must_decide_is_chosen_by_nobody_else():
    assert refused(draft_of(Decide)) == {
        "Approve": "Must be chosen.",
        "Agree": "Must be ticked.",
        "Way": "Must be chosen.",
        "Animal": "Must be chosen.",
        "Name": "Must be filled in.",
    }


def test_what_can_only_be_agreed_to_is_a_box_to_tick():
    draft = draft_of(Literal[True])
    draft.set(draft.root.id, True)
    assert draft.answer() is True
    draft.set(draft.root.id, False)
    assert refused(draft) == {"your answer": "Must be ticked."}


class Defaults(BaseModel):
    count: int = 3
    note: str = "as agreed"
    nick: str | None = "Bo"
    plain: str = ""
    sure: bool = False
    maybe: bool | None = None
    way: Literal["road", "rail"] = "rail"
    tags: list[str] = ["a"]
    made: list[str] = Field(default_factory=list)
    some: list[str] | None = None
    prices: dict[str, float] = {"x": 1.5}
    extra: Any = None


def test_defaults_are_there_to_be_seen_and_are_sent_as_they_are():
    expected = {"count": 3, "note": "as agreed", "nick": "Bo", "plain": "", "sure": False, "way": "rail", "tags": ["a"], "prices": {"x": 1.5}}
    assert draft_of(Defaults).answer() == expected


def test_a_default_that_was_deleted_is_never_sent_all_the_same():
    draft = fill(draft_of(Defaults), note="", nick="", count="")
    assert refused(draft) == {"Count": "Must be filled in."}
    tags = part(draft, "tags")
    draft.remove(part(draft, "tags", 0).id)
    draft.remove(part(draft, "prices").rows[0][0].id)  # type: ignore[attr-defined]
    answer = fill(draft, count="4").answer()
    assert (answer["note"], answer["nick"], answer["tags"], answer["prices"]) == ("", None, [], {})
    assert isinstance(tags, Many)


def test_a_default_that_does_not_fit_its_own_field_counts_as_none():
    schema = {"properties": {"n": {"type": "integer", "default": "auto"}, "d": {"type": "string", "format": "date", "default": "soon"}}}
    assert draft_of(schema).answer() == {}


def test_the_default_of_one_branch_is_not_the_default_of_the_field():
    schema = {"properties": {"a": {"anyOf": [{"type": "boolean", "default": True}, {"type": "null"}]}}}
    assert draft_of(schema).answer() == {}


def test_an_optional_choice_may_stay_unset():
    draft = draft_of({"properties": {"a": {"type": "boolean"}, "b": {"const": "x"}}, "required": []})
    assert draft.answer() == {}
    assert fill(draft, a="0", b="0").answer() == {"a": True, "b": "x"}


# -- lists, rows, unions, groups -------------------------------------------------------------------------------------------------------


class Item(BaseModel):
    name: str
    count: int = 1


class Order(BaseModel):
    tags: Annotated[list[str], Field(max_length=3)]
    items: list[Item] = []
    sizes: list[int] = Field(min_length=2)
    unique: set[str] = set()


def test_items_are_added_removed_and_moved_and_keep_what_was_typed():
    draft = draft_of(Order)
    tags, items = part(draft, "tags"), part(draft, "items")
    ids = [draft.add(tags.id) for _ in range(3)]
    for raw, name in zip("abc", ids, strict=True):
        draft.set(name, raw)
    draft.move(ids[2], -5)
    assert draft.remove(ids[1]) == tags.id
    draft.set(ids[1], "a late report of the page")
    draft.set(draft.add(items.id), "pen")
    for n, raw in enumerate(("1", "2")):
        draft.set(part(draft, "sizes", n).id, raw)
    assert draft.answer() == {"tags": ["c", "a"], "items": [{"name": "pen", "count": 1}], "sizes": [1, 2], "unique": []}
    assert draft.add(tags.id) not in ids


def test_a_wrong_item_is_named_with_its_number_and_the_list_tells_how_many_it_takes():
    draft = draft_of(Order)
    for raw in ("a", "", "c", "d"):
        draft.set(draft.add(part(draft, "tags").id), raw)
    for _ in range(2):
        draft.set(draft.add(part(draft, "unique").id), "same")
    assert refused(draft) == {
        "Tag 2": "Must be filled in.",
        "Size 1": "Must be filled in.",
        "Size 2": "Must be filled in.",
        "Unique": "Must not hold the same entry twice.",
    }
    draft.set(part(draft, "tags", 1).id, "b")
    assert refused(draft)["Tags"] == "Must have at most 3 entries."


def test_any_of_several_values_are_checkboxes_and_sent_in_the_order_of_the_schema():
    draft = draft_of(set[Literal["mail", "phone", "letter"]])
    assert isinstance(draft.root, Checks)
    mail, _, letter = draft.root.ticks
    draft.take({letter.id: True, mail.id: True})
    assert draft.answer() == ["mail", "letter"]


def test_rows_have_a_name_each():
    draft = draft_of(dict[Annotated[str, Field(pattern="^x")], int])
    rows = draft.root
    assert isinstance(rows, Rows)
    for name, value in (("x1", "1"), ("x1", "2"), ("y", "3"), ("", "4")):
        first = draft.add(rows.id)
        draft.set(first, name)
        draft.set(rows.rows[-1][1].id, value)
    assert list(draft.errors) == []
    with pytest.raises(InvalidAnswerError) as caught:
        draft.answer()
    assert [p.message for p in caught.value.problems] == ["Is used twice.", "Must fit the pattern ^x", "Must be filled in."]
    for name, _ in rows.rows[1:]:
        draft.remove(name.id)
    assert draft.answer() == {"x1": 1}


def test_a_name_of_the_schema_is_no_name_for_another_field():
    draft = draft_of({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": {"type": "integer"}})
    assert isinstance(draft.root, Group)
    others = draft.root.others
    assert others is not None
    fill(draft, a="1")
    draft.set(draft.add(others.id), "a")
    draft.set(others.rows[0][1].id, "2")
    assert list(refused(draft).values()) == ["Is used twice."]
    draft.set(others.rows[0][0].id, "b")
    assert draft.answer() == {"a": 1, "b": 2}


class Card(BaseModel):
    kind: Literal["card"]
    digits: str = Field(pattern="^[0-9]{4}$")


class Bank(BaseModel):
    kind: Literal["bank", "giro"]
    iban: str


class Pay(BaseModel):
    to: Annotated[Card | Bank, Field(discriminator="kind")]
    limit: int | Literal["none"] | None = None


def test_the_kind_of_a_union_is_chosen_and_what_was_typed_into_another_kind_is_kept():
    draft = draft_of(Pay)
    to = part(draft, "to")
    assert isinstance(to, OneOf)
    draft.set(to.id, "0")
    assert isinstance(to.inner, Group)
    digits = to.inner.parts["digits"]
    draft.set(digits.id, "1234")
    draft.choose(to.id, 1)
    assert refused(draft) == {"Kind": "Must be chosen.", "Iban": "Must be filled in."}
    draft.set(to.id, "0")
    assert draft.answer() == {"to": {"kind": "card", "digits": "1234"}}
    draft.choose(part(draft, "limit").id, 0)
    assert refused(draft) == {"Limit": "Must be filled in."}
    draft.choose(part(draft, "limit").id, 1)
    assert draft.answer()["limit"] == "none"
    draft.choose(part(draft, "limit").id, None)
    assert "limit" not in draft.answer()


def test_a_number_or_a_text_is_what_the_person_says_it_is():
    for kind, value in ((0, 5), (1, "5")):
        draft = draft_of(int | str)
        draft.choose(draft.root.id, kind)
        draft.set(draft.root.inner.id, "5")  # type: ignore[attr-defined]
        assert same(draft.answer(), value)


class Home(BaseModel):
    city: str


class Person(BaseModel):
    home: Home
    second: Home | None = None
    third: Home | None = Home(city="Rome")


def test_what_may_be_left_out_is_there_when_it_is_added():
    draft = draft_of(Person)
    draft.set(part(draft, "home", "city").id, "Oslo")
    assert draft.answer() == {"home": {"city": "Oslo"}, "third": {"city": "Rome"}}
    draft.leave_out(part(draft, "third").id)
    draft.set(draft.give(part(draft, "second").id), "Bern")
    assert draft.answer() == {"home": {"city": "Oslo"}, "second": {"city": "Bern"}, "third": None}
    draft.give(part(draft, "third").id)
    draft.leave_out(part(draft, "home").id)
    assert draft.answer()["third"] == {"city": "Rome"}
    assert draft.answer()["home"] == {"city": "Oslo"}


# -- all at once -----------------------------------------------------------------------------------------------------------------------


class Refund(BaseModel):
    amount: float = Field(le=500, title="Amount in EUR")
    start: int
    end: int
    why: str = ""
    at: AwareDatetime | None = None
    pet: Card | Bank | None = None

    @field_validator("why")
    @classmethod
    def kind_words(cls, why: str) -> str:
        if "rude" in why:
            raise ValueError("Say it nicely.")
        return why

    @model_validator(mode="after")
    def ends_after_it_starts(self) -> Refund:
        if self.end < self.start:
            raise ValueError("the end lies before the start")
        return self


def asked() -> Draft:
    remember_schema("refund", Refund)
    q = question("?", id="refund", schema=answer_schema(Refund))
    return Draft(field_of(q.schema), check=lambda answer: problems(q, answer))


def test_every_problem_is_told_at_its_field_and_the_rest_stays():
    draft = fill(asked(), amount="900", start="x", end="", why="rude")
    assert refused(draft) == {"Amount in EUR": "Must be at most 500.", "Start": "Must be a whole number, like 12.", "End": "Must be filled in."}
    assert draft.told() == "Check: Amount in EUR, Start, End"
    assert draft.first_wrong == part(draft, "amount").id
    assert part(draft, "why").raw == "rude"  # type: ignore[attr-defined]


def test_the_rules_of_the_authors_class_are_told_at_their_field_and_at_the_form():
    draft = fill(asked(), amount="5", start="5", end="9", why="rude")
    assert refused(draft) == {"Why": "Say it nicely."}
    fill(draft, why="", end="1")
    assert refused(draft) == {"your answer": "The end lies before the start."}
    assert draft.told() == "The end lies before the start."
    assert fill(draft, end="9").answer() == {"amount": 5, "start": 5, "end": 9, "why": ""}
    assert draft.errors == {}


def test_problems_that_only_the_whole_answer_has_are_told_in_the_order_of_the_form():
    schema = {"properties": {"a": {"type": "integer"}, "b": {"type": "integer"}, "c": {}}}
    told = [Problem(("c", "x"), "Inside."), Problem(("b",), "Is odd."), Problem(("a",), "Is odd."), Problem(("a",), "Is small.")]
    draft = fill(Draft(field_of(schema), check=lambda _: told), a="1", b="1", c='{"x": 1}')
    assert refused(draft) == {"A": "Is odd. Is small.", "B": "Is odd.", "C": "Inside."}
    assert list(draft.errors) == [part(draft, name).id for name in "abc"]


def test_a_field_that_is_left_tells_what_is_wrong_with_it_and_no_longer():
    draft = fill(asked(), amount="900")
    name = part(draft, "amount").id
    draft.leave(name)
    assert draft.errors == {name: "Must be at most 500."}
    fill(draft, amount="400")
    draft.leave(name)
    assert draft.errors == {}
    draft.leave("f99")


def test_what_was_typed_can_be_read_by_the_name_of_the_field():
    draft = fill(asked(), amount="5", why="because")
    assert draft.typed() == {"Amount in EUR": "5", "Why": "because"}


def test_what_was_typed_can_be_read_whatever_a_page_reports():
    draft = draft_of(Decide)
    draft.take({part(draft, "way").id: "99", part(draft, "name").id: 5, part(draft, "approve").id: ["x"], "f99": "x", "f99.zone": None})
    assert draft.typed() == {"Way": "99"}
    assert refused(draft)["Way"] == "Must be chosen."


def test_a_list_too_long_to_draw_is_edited_as_json():
    value = list(range(5000))
    draft = Draft(field_of(answer_schema(list[int])), value=value)
    assert draft.root.field.kind == "json"
    assert draft.answer() == value


def test_many_wrong_fields_are_a_few_names_and_a_count():
    draft = draft_of({"properties": {n: {"type": "integer"} for n in "abcdefgh"}, "required": list("abcdefgh")})
    refused(draft)
    assert draft.told() == "Check: A, B, C, D, E and 3 more"


def test_what_no_control_can_hold_is_edited_as_json_and_comes_back_as_it_was():
    schema = answer_schema(Person)
    value = {"home": {"city": 5}, "second": "nowhere", "third": None, "more": [1]}
    draft = Draft(field_of(schema), value=value)
    assert [n.field.kind for n in (part(draft, "home", "city"), part(draft, "second"))] == ["json", "json"]
    with pytest.raises(InvalidAnswerError):
        draft.answer()
    assert Draft(field_of({"properties": {"a": {"type": "integer"}}}), value={"a": 1, "b": {"c": 2}}).answer() == {"a": 1, "b": {"c": 2}}


@pytest.mark.parametrize(
    ("field", "text", "value"), [(Literal["ship_it", "hold"], "Ship it", "ship_it"), (Literal[1, 2], "2", 2), (int | None, " ", None)]
)
def test_on_a_terminal_a_choice_is_its_value_or_its_label(field, text, value):
    assert said_value(field_of(answer_schema(field)), text) == value
    with pytest.raises(UnreadableError):
        said_value(field_of(answer_schema(field)), "nothing of it")


def test_an_answer_reads_as_names_and_words():
    class Read(BaseModel):
        amount: Decimal = Field(title="Amount in EUR")
        way: Literal["air_freight", "rail"]
        sure: bool
        due: AwareDatetime
        to: Annotated[Card | Bank, Field(discriminator="kind")]
        items: list[Item]
        tags: set[Literal["new_one", "b"]]
        note: str | None = None

    answer = {
        "amount": "1.10",
        "way": "air_freight",
        "sure": True,
        "due": "2026-11-20T09:41:00Z",
        "to": {"kind": "card", "digits": "1234"},
        "items": [{"name": "pen", "count": 2}],
        "tags": ["new_one"],
        "note": None,
    }
    assert answer_facts(field_of(answer_schema(Read)), answer) == {
        "Amount in EUR": "1.10",
        "Way": "Air freight",
        "Sure": "yes",
        "Due": "2026-11-20 09:41:00 UTC",
        "To": "Kind: Card\nDigits: 1234",
        "Items": "Name: pen, Count: 2",
        "Tags": "New one",
        "Note": "none",
    }
    assert answer_facts(field_of(answer_schema(int)), 5) == {"Answer": 5}
    assert answer_facts(field_of(answer_schema(Read)), "of another time") == {"Read": "of another time"}


def test_an_edited_text_keeps_the_line_ends_of_its_default() -> None:
    draft = Draft(field_of({"type": "string"}), value="one\r\ntwo")
    draft.set(draft.root.id, "one\nthree")
    assert draft.answer() == "one\r\nthree"
