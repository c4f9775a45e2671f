"""What is larger than a fact: chats, pictures, tables and long texts of a payload, each found and none of it lost."""

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hitl_nb import Picture
from hitl_nb.checkpoint.records import Question
from hitl_nb.decisions.chats import messages_of
from hitl_nb.decisions.forms import form_for
from hitl_nb.decisions.parts import ROWS_MAX, Illustration, Messages, Table, Text, lines, parts_of, table_of


def png(width=4, height=3):
    out = BytesIO()
    Image.new("RGB", (width, height)).save(out, "PNG")
    return out.getvalue()


PNG = png()
CHAT = [
    {"role": "user", "content": "Where is my parcel?\nIt is late."},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "track", "arguments": '{"no": 58213}'}}],
    },
    {"role": "tool", "name": "track", "tool_call_id": "c1", "content": "Lyon"},
    {"role": "assistant", "content": [{"type": "text", "text": "It is in Lyon."}, {"type": "text", "text": "Tomorrow it is with you."}]},
]


def form(payload, **more):
    made = {"id": "q", "thread_id": "t", "node": "n", "task_id": "k", "position": 0, "digest": "d"}
    return form_for(Question(**made, payload=payload, created_at=datetime(2026, 1, 1, tzinfo=UTC), **more))


# -- chats


def test_a_chat_is_read_with_its_calls_and_its_blocks():
    user, call, tool, reply = messages_of(CHAT)
    assert (user.role, user.text, user.facts) == ("User", "Where is my parcel?\nIt is late.", {})
    assert (call.role, call.text, call.facts) == ("Assistant", "", {"Calls track": "No: 58213\nId: c1"})
    assert (tool.role, tool.text, tool.facts) == ("Tool · track", "Lyon", {"Tool call id": "c1"})
    assert reply.text == "It is in Lyon.\nTomorrow it is with you."


class Human:
    """As LangChain's messages: the kind is an attribute, most fields are empty."""

    type = "human"

    def __init__(self, content: Any, **more: Any) -> None:
        self.content = content
        self.additional_kwargs: dict[str, Any] = {}
        self.name = None
        self.__dict__.update(more)


@dataclass(slots=True)
class Turn:
    role: str
    content: str
    tags: list[str] = field(default_factory=list)


@pytest.mark.parametrize(
    ("items", "told"),
    [
        ([Human("Hi"), Human("Ho", type="ai", id="7")], [("Human", "Hi", {}), ("AI", "Ho", {"Id": "7"})]),
        ([Turn("user", "Hi", ["a"])], [("User", "Hi", {"Tags": "a"})]),
        (({"type": "human", "content": "Hi"},), [("Human", "Hi", {})]),
        ([{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}], [("User", "Hi", {"Type": "message"})]),
        (
            [
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {"a": [1]}}, {"type": "thinking", "thinking": "hm"}],
                }
            ],
            [("Assistant", "", {"Calls f": "A: 1\nId: 1", "Thinking": "Thinking: hm"})],
        ),
        (
            [{"role": "ai", "content": "x", "tool_calls": [{"name": "f", "args": {}}, {"name": "f", "args": {"b": 2}}]}],
            [("AI", "x", {"Calls f": "none", "Calls f (2)": "B: 2"})],
        ),
        (
            [{"role": "ai", "content": "x", "tool_calls": [{"name": "f", "args": {"id": 7}, "id": "c1"}]}],
            [("AI", "x", {"Calls f": "Id: 7\nId of the call: c1"})],
        ),
        (
            [{"role": "ai", "content": "x", "tool_calls": [{"function": {"name": "f", "arguments": "{half"}}]}],
            [("AI", "x", {"Calls f": "{half"})],
        ),
    ],
)
def test_the_formats_of_the_usual_libraries_are_read(items, told):
    assert [(m.role, m.text, m.facts) for m in messages_of(items)] == told


def test_a_langchain_like_pydantic_message_is_read():
    from pydantic import BaseModel

    class AIMessage(BaseModel):
        content: str
        type: str = "ai"
        tool_calls: list[dict[str, Any]] = []
        response_metadata: dict[str, Any] = {}

    (message,) = messages_of([AIMessage(content="Done", tool_calls=[{"name": "mail", "args": {"to": "a@b.c"}, "id": "1", "type": "tool_call"}])])
    assert (message.role, message.text, message.facts) == ("AI", "Done", {"Calls mail": "To: a@b.c\nId: 1"})


@pytest.mark.parametrize(
    "value",
    [
        [],
        "text",
        [{"role": "user"}],
        [{"content": "x"}],
        [{"role": "user", "content": 5}],
        [{"role": "", "content": "x"}],
        [{"role": "user", "content": "x"}, "and more"],
        [object(), 5, None],
        {"role": "user", "content": "x"},
        [Turn],
    ],
)
def test_what_is_no_chat_is_not_taken_for_one(value):
    assert messages_of(value) is None


def test_pictures_inside_a_message_are_shown_and_those_elsewhere_are_named_and_not_fetched():
    text = base64.b64encode(PNG).decode()
    blocks = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{text}"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": text}},
        {"type": "image_url", "image_url": {"url": "https://e.example/x.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,broken"}},
        Picture(PNG, alt="p"),
    ]
    (message,) = messages_of([{"role": "user", "content": blocks}])
    assert [p.data for p in message.pictures] == [PNG] * 3
    assert message.facts["Image url"] == "Image url: Url: https://e.example/x.png"
    assert "broken" in message.facts["Image url (2)"]


# -- tables


FRAME = pd.DataFrame({"sku": ["a", "b", "c"], "price": [1.5, 2, None], "when": pd.to_datetime(["2026-01-01"] * 3), "ok": [True, False, True]})


def test_a_frame_is_shown_by_its_columns_types_and_without_a_plain_index():
    table = table_of("Stock", FRAME)
    assert table.columns == ("sku", "price", "when", "ok")
    assert table.rows == (("a", "1.5", "2026-01-01", "yes"), ("b", "2.0", "2026-01-01", "no"), ("c", "", "2026-01-01", "yes"))
    assert (table.numbers, table.total, table.count(20), table.count(2)) == ({1}, 3, "3 rows", "2 of 3 rows")


def test_an_index_that_says_something_is_shown_first():
    table = table_of("T", FRAME.set_index("sku"))
    assert table.columns == ("sku", "price", "when", "ok")
    levels = pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=["a", None])
    table = table_of("T", pd.DataFrame({("p", "q"): [0.25, 10000], "n": [1, 2]}, index=levels).set_axis([("p", "q"), "n"], axis=1))
    assert table.columns == ("a", "index", "p / q", "n")
    assert table.rows[1][:2] == ("y", "2")
    assert table_of("T", pd.Series([3, 4], index=["x", "y"], name="n")).rows == (("x", "3"), ("y", "4"))
    assert table_of("T", pd.Series([3])).columns == ("Value",)


@pytest.mark.parametrize("frame", [pd.DataFrame(), pd.DataFrame({"a": []}), pd.DataFrame(index=[1, 2]), pd.DataFrame([[1, 2]], columns=["a", "a"])])
def test_odd_frames_are_shown(frame):
    table = table_of("T", frame)
    assert (table.total, len(table.rows)) == (len(frame), len(frame) if len(table.columns) else 0)
    assert lines(table)


def test_a_long_and_wide_frame_is_shown_in_part_and_says_so():
    table = table_of("T", pd.DataFrame(np.zeros((3400, 70))))
    assert (len(table.rows), len(table.columns)) == (ROWS_MAX, 50)
    assert table.count(20) == "20 of 3,400 rows, 50 of 70 columns"
    indexed = table_of("T", pd.DataFrame(np.zeros((2, 70)), index=["a", "b"]))
    assert indexed.count(20) == "2 rows, 51 of 71 columns"


RECORDS = [{"sku": "A-1", "qty": 2, "price": Decimal("9.90"), "on": date(2026, 1, 2), "new": True}, {"sku": "B-2", "qty": None, "note": "x\ny"}]


def test_a_list_of_flat_dicts_is_a_table_of_all_their_keys():
    table = table_of("Items", RECORDS)
    assert table.columns == ("sku", "qty", "price", "on", "new", "note")
    assert table.rows == (("A-1", "2", "9.90", "2026-01-02", "yes", ""), ("B-2", "", "", "", "", "x\ny"))
    assert table.numbers == {1, 2}


@pytest.mark.parametrize(
    "value",
    [
        [{"a": 1}, {"a": 2}],
        [{"a": 1, "b": [1]}],
        [{"a": 1, "b": {}}],
        [{1: 1, 2: 2}],
        [{"a": 1, "b": 2}, 3],
        [{"a": "x" * 3000, "b": 1}],
        [{"a": 1, "b": b"x"}],
        [{"a": 1, "b": pd.DataFrame()}],
        [{"a": 1, "b": np.zeros(3)}],
        [1, 2],
        [],
        {"a": 1},
    ],
)
def test_what_fits_no_cells_stays_a_fact(value):
    assert table_of("T", value) is None


# -- in a payload


def test_each_key_of_a_payload_lands_in_its_place_and_in_order():
    payload = {
        "action": "review",
        "question": "Send it?",
        "chat": CHAT,
        "customer": "Marta",
        "draft": "# Dear Marta",
        "photo": PNG,
        "items": RECORDS,
        "log": "a\nb\nc\nd",
        "note": "a\nb",
        "options": ["approve", "reject"],
    }
    f = form(payload)
    assert (f.heading, f.subject, f.facts) == ("Send it?", "# Dear Marta", {"Customer": "Marta", "Note": "a\nb"})
    assert [type(p) for p in f.parts] == [Messages, Illustration, Table, Text]
    assert [p.label for p in f.parts] == ["Chat", "Photo", "Items", "Log"]


def test_pictures_are_found_wherever_they_lie():
    one, two = Picture(PNG, alt="one"), Picture(png(7, 7))
    f = form({"question": "Fine?", "plots": [one, two], "only": [one], "run": {"loss": 0.1, "curves": {"train": two, "all": [PNG]}}})
    assert [(p.label, p.picture.width) for p in f.parts] == [
        ("Plots 1", 4),
        ("Plots 2", 7),
        ("Only", 4),
        ("Run: Curves: Train", 7),
        ("Run: Curves: All: 1", 4),
    ]
    assert f.facts == {"Run": "Loss: 0.1\nCurves: Train: [picture: 7 x 7], All: [picture: 4 x 3]"}


@pytest.mark.parametrize(
    ("payload", "kind"),
    [(Picture(PNG), Illustration), (PNG, Illustration), (CHAT, Messages), (RECORDS, Table), ([PNG], Illustration)],
    ids=["picture", "bytes", "chat", "records", "pictures"],
)
def test_a_payload_that_is_one_thing_is_shown_as_that(payload, kind):
    f = form(payload)
    assert (f.heading, [type(p) for p in f.parts]) == ("N asks for an answer", [kind])


def test_two_keys_of_one_label_are_both_shown():
    f = form({"question": "What?", "a_b": PNG, "a b": CHAT, 1: "x", "1": "y", "one": {1: 2}})
    assert [p.label for p in f.parts] == ["A b", "a b"]
    assert list(f.facts) == ["1", "1 (2)", "One"]


def test_bytes_are_not_written_out_at_length():
    f = form({"question": "What?", "short": b"ab", "long": b"a" * 300, "deep": [PNG, b"a" * 1000]})
    assert f.facts == {"Short": "b'ab'", "Long": "300 bytes", "Deep": "[picture: 4 x 3], 1,000 bytes"}


def test_a_chat_that_is_edited_stays_the_text_that_is_edited():
    f = form({"action": "edit_content", "original": CHAT})
    assert json.loads(f.subject) == CHAT
    assert f.parts == ()


# -- as text


def test_each_part_as_plain_text():
    chat = lines(parts_of("Chat", CHAT)[0])
    assert chat[:5] == ["Chat:", "  User: Where is my parcel?", "    It is late.", "  Assistant:", "    Calls track: No: 58213 Id: c1"]
    assert lines(parts_of("Photo", PNG)[0]) == ["Photo: [picture: Photo, 4 x 3]"]
    assert lines(parts_of("Log", "a\nb\n\nc")[0]) == ["Log:", "  a", "  b", "  ", "  c"]
    assert lines(table_of("Items", RECORDS)) == [
        "Items (2 rows):",
        "  sku  qty  price  on          new  note",
        "  A-1    2   9.90  2026-01-02  yes",
        "  B-2                               x y",
    ]


def test_a_table_as_text_shows_its_first_rows_and_cuts_long_cells():
    told = lines(table_of("T", [{"n": n, "text": "word " * 30} for n in range(500)]), rows=3)
    assert told[0] == "T (3 of 500 rows):"
    assert len(told) == 5
    assert told[2].endswith("word word…")
    assert len(told[2]) < 50


def test_the_terminal_shows_every_part_between_the_facts_and_the_draft():
    from hitl_nb.decisions.request import Request
    from hitl_nb.responders.console import ConsoleResponder

    payload = {"question": "Send it?", "action": "review", "customer": "Marta", "chat": [{"role": "user", "content": "a\x1b[2Jb"}], "photo": PNG}
    payload |= {"items": RECORDS, "draft": "Dear Marta", "options": ["approve", "reject"]}
    made = {"id": "q", "thread_id": "t", "node": "n", "task_id": "k", "position": 0, "digest": "d"}
    asked = Question(**made, payload=payload, created_at=datetime(2026, 1, 1, tzinfo=UTC))
    written, answers = [], iter(["1", ""])
    ConsoleResponder(read=lambda _: next(answers), write=written.append).ask(Request(asked, form_for(asked)), lambda answer: None)
    text = "\n".join(written)
    places = [
        text.index(told) for told in ("Marta", "Chat:", "  User: a\ufffd[2Jb", "[picture: Photo, 4 x 3]", "Items (2 rows):", "A-1", "Dear Marta")
    ]
    assert places == sorted(places)
