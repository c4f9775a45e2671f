"""Markdown of a payload as HTML that can do nothing: it runs no script, fetches nothing, and leaves out no word of the text.

markdown-it-py parses with raw HTML off, so a tag shows as the text it is; nh3 then lets only a short list of tags through, in case the parser errs.
What a renderer of Markdown usually hides is shown here, because who approves a text must have seen it: the definition of a link, the address of a
picture, the word behind a fence.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from html import escape, unescape
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from hitl_nb.decisions.wording import straight

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

LENGTH_MAX: Final = 100_000
"""Characters of the longest text that is drawn as Markdown: about 0.3 s. A longer one is shown as it is."""
_NESTING_MAX: Final = 20
_SCHEMES: Final = ("http", "https", "mailto")
_LINKED: Final = re.compile(rf"(?:{'|'.join(_SCHEMES)}):", re.IGNORECASE)
_HEADINGS: Final = {"h1": "h4", "h2": "h5"}
"""The question of the card is a heading of level 3, so what it shows begins below; deeper ones are all h6."""
_TAGS: Final = frozenset(
    [
        "a",
        "p",
        "br",
        "hr",
        "h4",
        "h5",
        "h6",
        "strong",
        "em",
        "s",
        "code",
        "pre",
        "blockquote",
        "ul",
        "ol",
        "li",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "small",
        "span",
    ],
)
_ALIGN: Final = {"align": {"left", "center", "right"}}
_WORD: Final = re.compile(r"[^\W_]+")
_ENTITY: Final = re.compile(r"&#?\w+;")


def render(text: str) -> str:
    r"""The text as HTML in one `<div class="hitl-nb-md">`. Never raises; a text of which not every word would show comes as it is, in a `<pre>`.

    Links lead to http, https and mailto addresses only and open in a tab of their own. A picture is named with its address, and not loaded.

    >>> render("Ask **Sam**, not <b>Dana</b>.")
    '<div class="hitl-nb-md"><p>Ask <strong>Sam</strong>, not &lt;b&gt;Dana&lt;/b&gt;.</p>\n</div>'
    """
    import nh3

    drawn = _drawn(text)
    if drawn is None:
        return f'<div class="hitl-nb-md"><pre>{straight(escape(text))}</pre></div>'
    clean = nh3.clean(
        drawn,
        tags=set(_TAGS),
        attributes={"a": {"href", "title"}, "ol": {"start"}, "li": {"value"}},
        attribute_filter=_only_linked,
        tag_attribute_values={"th": _ALIGN, "td": _ALIGN},
        set_tag_attribute_values={"a": {"target": "_blank"}},
        url_schemes=set(_SCHEMES),
        link_rel="noopener noreferrer nofollow",
    )
    return f'<div class="hitl-nb-md">{straight(clean)}</div>'


def looks_like_markdown(text: str) -> bool:
    r"""Whether the text was written as Markdown: it has a heading, a list, a fence, a table, bold words or a link. A text that may as well be plain,
    and one that is code or data, is not.

    >>> looks_like_markdown("# Tea\n\nIt came in **1610**."), looks_like_markdown("Dear Marta,\n2 * 3 * 4 is 24.")
    (True, False)
    """
    if len(text) > LENGTH_MAX or _CODE_OR_DATA.match(text):
        return False
    return any(sign.search(text) for sign in _SIGNS)


_CODE_OR_DATA: Final = re.compile(r"\s*(?:[{<]|#!|diff |--- |@@ |(?:import|from) [\w.]+(?:$| import)|(?:def|class) \w)", re.MULTILINE)
_BEFORE: Final = r"(?:\A|\n[ \t]*\n|:[ \t]*\n)"
_SIGNS: Final = tuple(
    map(
        re.compile,
        (
            r"(?:\A|\n[ \t]*\n)#{1,6} +\S[^\n]*(?:\n[ \t]*(?:\n|\Z)|\Z)",  # a heading that stands alone, which a comment of a script does not
            r"(?:\A|\n)(```|~~~)[^\n`]*\n(?:.*\n)*?\1[ \t]*(?:\n|\Z)",
            r"(?:\A|\n)[^\n]*\|[^\n]*\n[ \t]*\|?(?:[ \t]*:?-+:?[ \t]*\|)+[ \t:-]*(?:\n|\Z)",
            rf"{_BEFORE} {{0,3}}([-*+]) +\S[^\n]*\n(?:[ \t]+\S[^\n]*\n|[ \t]*\n)* {{0,3}}\1 +\S",  # two items with the same mark
            rf"{_BEFORE} {{0,3}}\d{{1,3}}([.)]) +\S[^\n]*\n(?:[ \t]+\S[^\n]*\n|[ \t]*\n)* {{0,3}}\d{{1,3}}\1 +\S",
            r"(?<![\w*\\])\*\*(?![\s*])[^*\n]{0,200}(?<![\s*])\*\*(?![\w*])",
            r"(?<![\w\\])\[[^\]\n]{1,200}\]\((?:https?://|mailto:)[^)\s]+\)",
        ),
    )
)


def _drawn(text: str) -> str | None:
    """HTML that is not clean yet; None when it would not show every word: a row longer than its table, what is nested too deeply."""
    if len(text) > LENGTH_MAX:
        return None
    parser = _parser()
    tokens = parser.parse(text)
    if _words([_ENTITY.sub(lambda found: unescape(found[0]), text)]) - _words(_told(tokens)):
        return None
    return str(parser.renderer.render(tokens, parser.options, {}))


def _told(tokens: Sequence[Token]) -> Iterator[str]:
    """Every text that the tokens bring to the page, addresses as they are and decoded."""
    for token in tokens:
        if token.type == "inline":
            yield from _told(token.children or [])
            continue
        yield token.content
        yield token.info
        for value in map(str, token.attrs.values()):
            yield value
            if "%" in value:
                yield unquote(value)


def _words(texts: Iterable[str]) -> Counter[str]:
    return Counter(word for text in texts for word in _WORD.findall(text))


def _only_linked(_: str, name: str, value: str) -> str | None:
    """nh3 lets an address without a scheme through; it would lead into the notebook server."""
    return value if name != "href" or _LINKED.match(value) else None


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    # breaks: a draft keeps its lines. Without the rule `reference`, "[1]: https://…" stays in the text instead of vanishing.
    parser = MarkdownIt("js-default", {"maxNesting": _NESTING_MAX, "breaks": True}).disable("reference")
    # Any other address leaves the text as it was typed, "[here](javascript:…)", so that it can be seen.
    parser.validateLink = lambda url: bool(_LINKED.match(url))  # type: ignore[method-assign]
    parser.normalizeLink = _encoded  # type: ignore[method-assign]
    parser.add_render_rule("image", _picture)
    parser.add_render_rule("fence", _fence)
    for rule in ("heading_open", "heading_close"):
        parser.add_render_rule(rule, _heading)
    for rule in ("th_open", "td_open"):
        parser.add_render_rule(rule, _cell)
    parser.add_render_rule("list_item_open", _item)
    return parser


def _encoded(url: str) -> str:
    """The address with the characters encoded that it cannot have; the host as it was written, for a person to read."""
    return quote(url, safe="!#$%&'()*+,/:;=?@[]~")


def _picture(_: Any, tokens: Sequence[Any], at: int, *__: Any) -> str:
    token = tokens[at]
    address = str(token.attrGet("src") or "")
    words = " ".join(filter(None, (token.content.strip(), f"({token.attrGet('title')})" if token.attrGet("title") else "")))
    return f"<span>[Picture, not loaded: {escape(words)}{', ' if words else ''}{escape(address)}]</span>"


def _fence(_: Any, tokens: Sequence[Any], at: int, *__: Any) -> str:
    info = tokens[at].info.strip()
    return f"{f'<small>{escape(info)}</small>' if info else ''}<pre><code>{escape(tokens[at].content)}</code></pre>\n"


def _heading(renderer: Any, tokens: Sequence[Any], at: int, options: Any, _: Any) -> str:
    token = tokens[at]
    token.tag = _HEADINGS.get(token.tag, "h6")
    return str(renderer.renderToken(tokens, at, options, {}))


def _cell(renderer: Any, tokens: Sequence[Any], at: int, options: Any, _: Any) -> str:
    """markdown-it aligns by a style, which does not get through."""
    token = tokens[at]
    if (style := token.attrs.pop("style", None)) is not None:
        token.attrSet("align", str(style).removeprefix("text-align:"))
    return str(renderer.renderToken(tokens, at, options, {}))


def _item(renderer: Any, tokens: Sequence[Any], at: int, options: Any, _: Any) -> str:
    """An item keeps the number it was given: a page would count on from the first."""
    if tokens[at].info:
        tokens[at].attrSet("value", tokens[at].info)
    return str(renderer.renderToken(tokens, at, options, {}))
