"""Two texts side by side, as a table that still reads where styles are stripped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Final

from hitl_nb.widgets.escaping import escape
from hitl_nb.widgets.markup import reach

_CONTEXT: Final = 3
"""Unchanged lines kept on each side of a folded run."""
_WORDS_MAX: Final = 2_000
"""Characters of a line up to which its changed words are marked: the comparison is quadratic."""
_LINES_MAX: Final = 4_000
"""Lines of both texts together up to which they are compared at all."""
_TOKEN: Final = re.compile(r"\s+|\w+|[^\w\s]")
_LEFT: Final = 'style="text-align:left"'


def side_by_side(old: str, new: str, *, left: str = "Original", right: str = "Your edit", static: bool = False) -> str:
    """HTML of the comparison, every text escaped. `static`: for a receipt."""
    a, b = (text.replace("\r\n", "\n").split("\n") for text in (old, new))
    if len(a) + len(b) > _LINES_MAX:
        return f'<p class="hitl-nb-note">Too long to compare here: {len(a)} lines, now {len(b)}.</p>'
    body = "".join(f'<tr class="hitl-nb-tr">{row}</tr>' for row in _rows(a, b))
    head = f'<th scope="col" {_LEFT}>{escape(left)}</th><th scope="col" {_LEFT}>{escape(right)}</th>'
    return (
        f'<div class="hitl-nb-scroll"{reach("Changes", static=static)}><table class="hitl-nb-diff">'
        f'<thead><tr class="hitl-nb-tr">{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _rows(a: list[str], b: list[str]) -> Iterator[str]:
    long = len(a) + len(b) > 400
    for op, i, j, k, m in SequenceMatcher(None, a, b, autojunk=long).get_opcodes():
        if op == "equal":
            yield from _unchanged(a[i:j], first=i == 0, last=j == len(a))
            continue
        for n in range(max(j - i, m - k)):
            old = a[i + n] if i + n < j else None
            new = b[k + n] if k + n < m else None
            yield _cell(old, new, "old") + _cell(new, old, "new")


def _unchanged(lines: list[str], *, first: bool, last: bool) -> Iterator[str]:
    before, after = (0 if first else _CONTEXT), (0 if last else _CONTEXT)
    folded = len(lines) - before - after
    if folded < 4:
        before, folded = len(lines), 0
    for line in lines[:before]:
        yield _same(line)
    if folded:
        yield f'<td class="hitl-nb-gap" colspan="2" {_LEFT}>{folded} unchanged lines</td>'
        for line in lines[len(lines) - after :] if after else []:
            yield _same(line)


def _same(line: str) -> str:
    return f'<td class="hitl-nb-same" {_LEFT}>{escape(line)}</td>' * 2


def _cell(mine: str | None, other: str | None, side: str) -> str:
    if mine is None:
        return '<td class="hitl-nb-none"></td>'
    solo = " hitl-nb-solo" if other is None else ""
    return f'<td class="hitl-nb-{side}{solo}" {_LEFT}>{_marked(mine, other, "del" if side == "old" else "ins")}</td>'


def _marked(mine: str, other: str | None, tag: str) -> str:
    """The line with the words that the other side does not have in `<del>` or `<ins>`."""
    if other is None or len(mine) + len(other) > 2 * _WORDS_MAX:
        return f"<{tag}>{escape(mine)}</{tag}>" if mine else ""
    words = _TOKEN.findall(mine)
    # The left text is always the first sequence, so that both sides mark the same pairs.
    x, y = (words, _TOKEN.findall(other)) if tag == "del" else (_TOKEN.findall(other), words)
    parts: list[tuple[bool, str]] = []
    codes = SequenceMatcher(None, x, y, autojunk=False).get_opcodes()
    for n, (op, i, j, k, m) in enumerate(codes):
        text = "".join(x[i:j] if tag == "del" else y[k:m])
        # A space between two changed words belongs to the change, or every word gets a box of its own.
        changed = op != "equal" or (text.isspace() and 0 < n < len(codes) - 1)
        if parts and parts[-1][0] == changed:
            parts[-1] = (changed, parts[-1][1] + text)
        else:
            parts.append((changed, text))
    return "".join(f"<{tag}>{escape(text)}</{tag}>" if changed and text else escape(text) for changed, text in parts)
