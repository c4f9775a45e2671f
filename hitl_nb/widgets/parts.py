"""What a question shows, as HTML: facts, chats, pictures, tables, the text to judge. In a card and, without script and roles, in its receipt.

Every text goes through `escape`, every picture is an `<img>` of its own bytes, whose format was checked by its first ones; nothing is fetched.
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Final

from hitl_nb.checkpoint.pictures import Picture
from hitl_nb.decisions.chats import Message
from hitl_nb.decisions.parts import ROWS_MAX, Illustration, Messages, Part, Table, Text
from hitl_nb.decisions.request import Form
from hitl_nb.decisions.wording import plural
from hitl_nb.widgets import markdown, markup
from hitl_nb.widgets.escaping import escape

_SOURCE: Final = '<details class="hitl-nb-source"><summary><span>Source</span><span>Formatted</span></summary>'
"""The beginning of the text as it is, which takes the place of what was drawn of it."""
_KEPT_ROWS: Final = 20
"""Rows of a table that a receipt keeps."""
_CODE: Final = re.compile(r"(?m)^(?: {4,}|\t|@@ |[-+]{3} |#!|Traceback \(most recent)")
"""A text with such a line is code, a difference or a traceback, whose columns mean something."""
_SHORT: Final = 24
"""Characters of a cell that is not broken into lines."""
_FIT: Final = (810, 420)
"""Pixels into which a picture is fitted; a larger one opens to its full size."""
_FITS_ALWAYS: Final = 260
"""A picture of at most this width is whole in the narrowest card."""


def shown(form: Form, *, subject: bool = True) -> list[str]:
    """Everything that an open card shows below the question. `subject`: the text to judge as well, which an editor shows otherwise."""
    parts = [markup.facts(form.facts), *(part_html(part) for part in form.parts)]
    return [*parts, text(form.subject_label, form.subject, code=form.parse)] if subject and form.subject is not None else parts


def text(caption: str, content: str, *, code: bool = False, static: bool = False) -> str:
    """A text to judge. One that is Markdown is drawn, and one press away as it is; a receipt has it as it is."""
    if static or code or not markdown.looks_like_markdown(content):
        return markup.text(caption, content, code=code, static=static, mono=not code and bool(_CODE.search(content)))
    return (
        f'<div class="hitl-nb-drawn">{markup.counted(caption, content)}'
        f"{_SOURCE}"
        f'<div class="hitl-nb-text"{markup.reach(f"{caption}, source")}>{escape(content)}</div></details>'
        f'<div class="hitl-nb-text"{markup.reach(caption)}>{markdown.render(content)}</div></div>'
    )


def part_html(part: Part, *, static: bool = False) -> str:
    """One part. `static`: in a receipt, which keeps no roles, shows Markdown as it is, and a table's first rows."""
    if isinstance(part, Text):
        return text(part.label, part.text, static=static)
    if isinstance(part, Table):
        return table(part, static=static)
    if isinstance(part, Illustration):
        return picture(part.picture, part.label)
    return _chat(part, static=static)


# -- pictures


def picture(shown: Picture, label: str = "") -> str:
    """The picture under its caption, fitted into the card. One that is larger opens to its full size at a press."""
    width, height = shown.width, shown.height
    image = f'<img class="hitl-nb-img" src="data:{shown.media_type};base64,{b64encode(shown.data).decode()}" alt="{escape(shown.words(label))}"'
    scale = min(1, _FIT[0] / width, _FIT[1] / height) if width and height else 0
    if width and height:
        image += f' width="{max(1, int(width * scale))}" height="{max(1, int(height * scale))}"'
    caption = f"{markup.caption(label or 'Picture', shown.words() if shown.alt else shown.size, tag='span')}<br>"
    if scale == 1 and width and width <= _FITS_ALWAYS:
        return f'<div class="hitl-nb-pic">{caption}{image}></div>'
    whole = " hitl-nb-whole" if scale == 1 else ""
    return f'<details class="hitl-nb-pic{whole}"><summary>{caption}{image}></summary></details>'


# -- chats


def _chat(part: Messages, *, static: bool) -> str:
    count = len(part.items)
    turns = "".join(_turn(message, static=static) for message in part.items)
    return (
        f"<div>{markup.caption(part.label, plural(count, 'message'))}"
        f'<div class="hitl-nb-scroll hitl-nb-chat"{markup.reach(part.label, static=static)}><div>{turns}</div></div></div>'
    )


def _turn(message: Message, *, static: bool) -> str:
    pictures = "".join(map(picture, message.pictures))
    said = _said(message.text, static=static) if message.text else ""
    return f'<div class="hitl-nb-turn"><b class="hitl-nb-role">{escape(message.role)}</b>{said}{markup.facts(message.facts)}{pictures}</div>'


def _said(words: str, *, static: bool) -> str:
    source = f'<div class="hitl-nb-plain"{markup.lines(words)}>{escape(words)}</div>'
    if static or not markdown.looks_like_markdown(words):
        return source
    return f'<div class="hitl-nb-drawn">{_SOURCE}{source}</details>{markdown.render(words)}</div>'


# -- tables


def table(part: Table, *, static: bool = False) -> str:
    """The first rows. Numbers stand right, so that they can be compared."""
    most = _KEPT_ROWS if static else ROWS_MAX
    head = "".join(_cell("th", name, number=n in part.numbers) for n, name in enumerate(part.columns))
    rows = "".join(
        f'<tr class="hitl-nb-tr">{"".join(_cell("td", cell, number=n in part.numbers) for n, cell in enumerate(row))}</tr>'
        for row in part.rows[:most]
    )
    return (
        f'<div>{markup.caption(part.label, part.count(most))}<div class="hitl-nb-scroll"{markup.reach(part.label, static=static)}>'
        f'<table class="hitl-nb-rows"><thead><tr class="hitl-nb-tr">{head}</tr></thead><tbody>{rows}</tbody></table></div></div>'
    )


def _cell(tag: str, content: str, *, number: bool) -> str:
    # The alignment stands in the element, too: without a style sheet a notebook puts every cell to the right.
    kind, side = ("hitl-nb-num", "right") if number else ("hitl-nb-short" if len(content) <= _SHORT else "", "left")
    scope = ' scope="col"' if tag == "th" else ""
    named = f' class="{kind}"' if kind else ""
    return f'<{tag}{scope}{named} style="text-align:{side}">{escape(content)}</{tag}>'
