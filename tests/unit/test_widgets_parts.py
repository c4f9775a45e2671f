"""What a card shows as HTML: every text escaped, every picture its own bytes, nothing that runs."""

import base64
from datetime import UTC, datetime
from html.parser import HTMLParser
from io import BytesIO

import pandas as pd
import pytest
from PIL import Image

from hitl_nb import Picture
from hitl_nb.checkpoint.records import Decision, Question
from hitl_nb.decisions.forms import form_for
from hitl_nb.decisions.parts import ROWS_MAX, Illustration, Text, parts_of, table_of
from hitl_nb.decisions.request import Form, Request
from hitl_nb.widgets.overtaken import asked_again, outdated
from hitl_nb.widgets.parts import part_html, picture, shown, text
from hitl_nb.widgets.receipt import Receipt

EVIL = '"><img src=x onerror=alert(1)><script>alert(1)</script></textarea></details><svg/onload=alert(1)> &lt;b&gt;'
LIVE = {"div", "details", "summary", "span", "b", "br", "img", "dl", "dt", "dd", "table", "thead", "tbody", "tr", "th", "td"}


class Page(HTMLParser):
    """The tags with their attributes, and the text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)
        self.names = {tag for tag, _ in self.tags}

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def png(width=4, height=3):
    out = BytesIO()
    Image.new("RGB", (width, height)).save(out, "PNG")
    return out.getvalue()


# -- pictures


def test_a_picture_is_its_own_bytes_with_its_words():
    data = png()
    page = Page(picture(Picture(data), "Plot"))
    assert page.all("img") == [
        {"class": "hitl-nb-img", "src": f"data:image/png;base64,{base64.b64encode(data).decode()}", "alt": "Plot, 4 x 3", "width": "4", "height": "3"}
    ]
    assert "Plot" in page.text
    named = Page(picture(Picture(data, alt="A dot"), "Plot"))
    assert named.all("img")[0]["alt"] == "A dot, 4 x 3"
    assert named.text == "Plot A dot, 4 x 3"


@pytest.mark.parametrize(
    ("width", "height", "fitted", "opens"),
    [
        (260, 200, (260, 200), False),
        (600, 300, (600, 300), True),
        (1600, 900, (746, 420), True),
        (4000, 100, (810, 20), True),
        (5, 9000, (1, 420), True),
    ],
)
def test_a_picture_is_fitted_and_a_larger_one_opens_to_its_full_size(width, height, fitted, opens):
    page = Page(picture(Picture(png(width, height))))
    (image,) = page.all("img")
    assert (int(image["width"]), int(image["height"])) == fitted
    assert ("summary" in page.names) == opens


def test_a_picture_of_unknown_size_is_left_to_the_style_sheet_and_opens():
    page = Page(picture(Picture(b"<svg></svg>")))
    assert "width" not in page.all("img")[0]
    assert page.all("img")[0]["src"].startswith("data:image/svg+xml;base64,")
    assert "summary" in page.names


def test_an_svg_with_a_script_stays_inside_an_image():
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    html = picture(Picture(svg, alt=EVIL), EVIL)
    assert Page(html).names <= {"details", "summary", "span", "b", "br", "img"}
    assert "<script" not in html
    assert Page(html).all("img")[0]["alt"] == " ".join(EVIL.split())


# -- every part


def hostile():
    return [
        *parts_of(EVIL, [{"role": EVIL, "name": EVIL, "content": EVIL, EVIL: EVIL, "tool_calls": [{"name": EVIL, "args": {EVIL: EVIL}}]}]),
        *parts_of(EVIL, [{EVIL: EVIL, "n": 1}, {"n": EVIL}]),
        *parts_of(EVIL, pd.DataFrame({EVIL: [EVIL, 1], "n": [1, 2]}, index=[EVIL, "b"])),
        Text(EVIL, f"{EVIL}\n\n\n\n{EVIL}"),
        Illustration(EVIL, Picture(png(), alt=EVIL)),
    ]


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("part", hostile(), ids=lambda part: type(part).__name__)
def test_every_text_of_a_part_is_escaped_and_stays_readable(part, static):
    page = Page(part_html(part, static=static))
    assert page.names <= LIVE
    assert page.text.count(EVIL) >= (1 if isinstance(part, Illustration) else 2)


@pytest.mark.parametrize("part", [*hostile(), Text("T", "# Title\n\n- **a**\n- b\n\nc")], ids=lambda part: type(part).__name__)
def test_a_part_in_a_receipt_keeps_no_roles(part):
    html = part_html(part, static=True)
    for gone in (" role=", " aria-", "<svg", "<script"):
        assert gone not in html


# -- texts


MARKDOWN = "# Tea\n\nIt came in **1610**.\n\n- Hirado\n- Amsterdam\n\n<b onclick=alert(1)>x</b>"


def test_markdown_is_drawn_and_one_press_away_as_it_is():
    html = text("Draft", MARKDOWN)
    page = Page(html)
    assert {"h4", "strong", "li", "details"} <= page.names
    assert MARKDOWN in page.text
    assert html.index("<details") < html.index("<h4")


@pytest.mark.parametrize(
    ("content", "options"),
    [(MARKDOWN, {"static": True}), (MARKDOWN, {"code": True}), ("Dear Marta,\nplain.", {})],
    ids=["receipt", "code", "plain"],
)
def test_a_text_that_is_not_drawn_is_shown_once_as_it_is(content, options):
    page = Page(text("Draft", content, **options))
    assert page.text.count(content) == 1
    assert page.names <= {"div", "b", "span"}


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("def f():\n    return 1\n", True),
        ("Traceback (most recent call last):\n  File x", True),
        ("--- a\n+++ b\n@@ -1 +1 @@\n-x\n+y", True),
        ("Dear Marta,\n  thanks - all is well.\nRegards", False),
    ],
)
def test_code_keeps_its_columns_in_a_card_and_in_a_receipt(content, columns):
    for static in (False, True):
        assert ("hitl-nb-columns" in text("Text", content, static=static)) == columns


def test_lines_stay_apart_where_style_sheets_are_stripped():
    for html in (text("T", "a\nb"), part_html(parts_of("C", [{"role": "user", "content": "a\nb"}])[0])):
        assert 'style="white-space:pre-wrap"' in html


# -- tables and chats


def test_a_table_shows_a_hundred_rows_in_a_card_and_twenty_in_a_receipt():
    table = table_of("T", pd.DataFrame({"n": range(3400)}))
    assert len(Page(part_html(table)).all("tr")) == ROWS_MAX + 1
    kept = Page(part_html(table, static=True))
    assert len(kept.all("tr")) == 21
    assert "20 of 3,400 rows" in kept.text


def test_numbers_stand_right_and_texts_left_also_without_a_style_sheet():
    cells = Page(part_html(table_of("T", [{"name": "a", "n": 1}, {"name": "b", "n": 2.5}]))).all("td")
    assert [c["style"] for c in cells] == ["text-align:left", "text-align:right"] * 2


def test_a_chat_counts_its_messages_and_shows_the_latest_one_first_in_sight():
    html = part_html(parts_of("Chat", [{"role": "user", "content": "one"}, {"role": "ai", "content": "two"}])[0])
    assert "2 messages" in Page(html).text
    assert html.index("one") < html.index("two")
    assert 'class="hitl-nb-scroll hitl-nb-chat" tabindex="0" role="region" aria-label="Chat"' in html
    assert "1 message<" in part_html(parts_of("Chat", [{"role": "user", "content": "one"}])[0])


def test_what_was_said_in_markdown_is_drawn_and_a_press_away_as_it_is_but_not_in_a_receipt():
    chat = parts_of("Chat", [{"role": "ai", "content": "It is **late**.\n\n- one\n- two"}])[0]
    drawn, kept = part_html(chat), part_html(chat, static=True)
    assert "<strong>late</strong>" in drawn
    assert "Source</span>" in drawn
    for html in (drawn, kept):
        assert "It is **late**." in html
    assert Page(kept).names <= {"div", "b", "span"}


def test_a_card_shows_facts_then_parts_then_the_text_to_judge():
    form = Form("Q?", facts={"Customer": "Marta"}, parts=(Text("Log", "l1\nl2\nl3\nl4"),), subject="The draft")
    html = "".join(shown(form))
    assert html.index("Marta") < html.index("l1") < html.index("The draft")
    assert "The draft" not in "".join(shown(form, subject=False))


AT = datetime(2026, 11, 20, 9, 41, tzinfo=UTC)


def request(**payload):
    made = {"id": "q", "thread_id": "t", "node": "n", "task_id": "k", "position": 0, "digest": "d"}
    asked = Question(**made, payload={"question": "Fine?", **payload}, created_at=AT)
    return Request(asked, form_for(asked))


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ({"plot": Picture(png(4, 3))}, {"plot": Picture(png(4, 4))}, "The plot changed"),
        ({"stock": [{"sku": "a", "n": 1}]}, {"stock": [{"sku": "a", "n": 2}]}, "The stock changed"),
        ({"chat": []}, {"chat": [{"role": "user", "content": "x"}]}, "The facts changed"),
    ],
)
def test_a_question_that_shows_another_picture_or_table_says_what_changed(old, new, what):
    before, now = request(**old), request(**new)
    html = outdated(before, AT, now, {}, compared=True)
    assert what in html
    assert "<ins>" in html
    again = asked_again(Receipt(before, Decision("q", "t", "n", 0, True, "Dana", AT, "card")), now)
    assert what.replace(" changed", " changed since") in again
    assert "changed" not in asked_again(Receipt(before, Decision("q", "t", "n", 0, True, "Dana", AT, "card")), before)


def test_a_picture_of_the_same_size_is_still_another_picture():
    def colour(name):
        out = BytesIO()
        Image.new("RGB", (2, 2), name).save(out, "PNG")
        return request(plot=Picture(out.getvalue()))

    earlier = Receipt(colour("#010203"), Decision("q", "t", "n", 0, True, "Dana", AT, "card"))
    assert len(earlier.request.form.parts[0].picture.data) == len(colour("#030201").form.parts[0].picture.data)
    assert "The plot changed since" in asked_again(earlier, colour("#030201"))
