"""Markdown of a payload: what it may become, and that it hides nothing."""

import re
from html import unescape
from html.parser import HTMLParser

import pytest
import xss
from hypothesis import given
from hypothesis import strategies as st

from hitl_nb.widgets.markdown import LENGTH_MAX, looks_like_markdown, render

TAGS = {"a", "blockquote", "br", "code", "em", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "s", "small", "span", "strong", "ul"}
TAGS |= {"table", "tbody", "td", "th", "thead", "tr"}
ATTRIBUTES = {"href", "title", "target", "rel", "start", "value", "align"}


class Tags(HTMLParser):
    """Every tag with its attributes, and the text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def assert_harmless(html):
    wrapper, *inside = Tags(html).tags
    assert wrapper == ("div", {"class": "hitl-nb-md"})
    for tag, attributes in inside:
        assert tag in TAGS, tag
        assert attributes.keys() <= ATTRIBUTES, attributes
        if "href" in attributes:
            assert re.match("(https?|mailto):", attributes["href"]), attributes
        if tag == "a":
            assert (attributes["target"], attributes["rel"]) == ("_blank", "noopener noreferrer nofollow")


def assert_nothing_hidden(text, html):
    page = Tags(html)
    told = page.text + " ".join(str(v) for _, attributes in page.tags for v in attributes.values())
    for word in set(re.findall(r"[^\W_]+", text)):
        assert word in told, word


@pytest.mark.parametrize("payload", xss.PAYLOADS, ids=range(len(xss.PAYLOADS)))
def test_no_payload_becomes_more_than_text(payload):
    for text in (
        payload,
        f"# {payload}\n\n- {payload}\n\n| a |\n|---|\n| {payload} |\n",
        f"> **{payload}** [x](<{payload}>)",
        f"```{payload}\n{payload}\n```",
    ):
        assert_harmless(render(text))


def test_the_whole_corpus_in_one_text_becomes_text():
    assert_harmless(render(xss.EVERYTHING))
    assert_harmless(render("\n\n".join(xss.PAYLOADS)))


MARKS = [
    "# ",
    "## ",
    "- ",
    "3. ",
    "> ",
    "    ",
    "**",
    "*",
    "_",
    "~~",
    "`",
    "```",
    "\n",
    "\n\n",
    "|",
    "|-|-|\n",
    "[",
    "](",
    ")",
    "![",
    "<",
    ">",
    "\\",
    "&#104;",
]
MARKS += ["http://e.x/", "javascript:", "[1]: http://e.x\n", "[1]", "<!--", "-->", "<b>", "\t", "---\n", "===\n", '"', " ", "&amp;", "%41"]
WORDS = ["alpha", "beta", "Gamma", "delta7", "42", "é"]


@given(st.lists(st.sampled_from(MARKS + WORDS * 4), max_size=60).map("".join))
def test_any_text_is_drawn_harmlessly_and_whole(text):
    html = render(text)
    assert_harmless(html)
    told = Tags(html)
    shown = told.text + " ".join(str(v) for _, attributes in told.tags for v in attributes.values())
    for word in WORDS[:4]:
        assert shown.count(word) >= text.count(word), word


def test_what_markdown_would_hide_is_shown():
    for hidden in (
        "[1]: http://e.example 'see'",
        "| a |\n|---|\n| b | hidden |",
        f"{'> ' * 60}hidden",
        "```python hidden\nx\n```",
        "<!-- hidden -->",
    ):
        assert_nothing_hidden(hidden, render(hidden))
    assert '<li value="7">' in render("3. a\n7. b")


def test_a_picture_is_named_and_not_loaded():
    assert render('![a *cat*](https://e.example/c.png "asleep")') == (
        '<div class="hitl-nb-md"><p><span>[Picture, not loaded: a *cat* (asleep), https://e.example/c.png]</span></p>\n</div>'
    )


def test_a_link_leads_outside_or_stays_text():
    assert 'href="https://e.example/a?b=1&amp;c=%C3%A9"' in render("[x](https://e.example/a?b=1&c=é)")
    assert 'href="mailto:a@e.example"' in render("<a@e.example>")
    for text in ("[x](javascript:alert(1))", "[x](/api/kernels)", "[x](//e.example)", "[x](ftp://e.example)", "[x](data:text/html,y)", "[x](#here)"):
        assert "<a" not in render(text)
        assert unescape(Tags(render(text)).text).strip() == text


def test_headings_begin_below_the_question_and_tables_keep_their_alignment():
    html = render("# A\n\n## B\n\n##### C\n\n|a|b|\n|:-:|--:|\n|1|2|\n")
    assert re.findall(r"<(h\d)>", html) == ["h4", "h5", "h6"]
    assert '<th align="center">a</th>' in html
    assert '<td align="right">2</td>' in html


def test_a_line_of_the_draft_stays_a_line():
    assert "Regards,<br>\nMarta" in render("Regards,\nMarta")


def test_a_text_that_is_too_long_comes_as_it_is():
    assert render("**a** <b>" * (LENGTH_MAX // 8)).startswith('<div class="hitl-nb-md"><pre>**a** &lt;b&gt;')


@pytest.mark.parametrize(
    "text",
    [
        "# Tea\n\nIt came in 1610.",
        "Tea\n\n## History\n",
        "To buy:\n- milk\n- tea",
        "Steps\n\n1. boil\n2. pour\n3. wait",
        "* a\n\n  more of a\n\n* b",
        "Run\n\n```\nmake\n```\n",
        "| a | b |\n|---|:-:|\n| 1 | 2 |",
        "It is **very** old.",
        "See [the page](https://e.example/x).",
    ],
)
def test_markdown_is_told(text):
    assert looks_like_markdown(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Tea reached Europe in 1610.\n\nPrices fell after 1700.",
        "Hello,\nI paid 2 * 3 * 4 EUR - not 5.\nRegards, Marta",
        "a | b",
        "#!/bin/sh\n\n# comment\n\nls",
        "import os\n\n# comment\n\nx = 1",
        "def f(*args, **kwargs):\n    return args ** kwargs",
        "call(*a, **b, **c)",
        '{"a": "**b**"}',
        "<p>**b**</p>",
        "one - two\n- three",
        "snake_case_name and __init__ and *args",
        "# x = 1\ny = 2",
        "-1\n-2",
        "1610 was the year.\n1700 was another.",
        "[see](javascript:1)",
        "**",
        "x" * (LENGTH_MAX + 1) + "\n\n# A\n\n",
    ],
)
def test_plain_text_code_and_data_are_not_taken_for_markdown(text):
    assert not looks_like_markdown(text)


@pytest.mark.parametrize("text", ["Ship \u202eTCEJER **it**", "Ship &#8238;TCEJER **it**", "Ship &#x202e;TCEJER **it**"])
def test_a_letter_that_turns_a_text_around_is_written_out(text):
    assert "Ship [U+202E]TCEJER" in render(text)
    assert "\u202e" not in render(text)
