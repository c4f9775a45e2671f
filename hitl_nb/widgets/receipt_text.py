"""A receipt as plain text and as Markdown: for a terminal, a log, and pages that show no HTML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import unified_diff
from typing import Any, Final

from hitl_nb.decisions.parts import Messages, Part, Table, Text, lines
from hitl_nb.decisions.wording import readable_json
from hitl_nb.widgets.receipt import Receipt

_LINES_MAX: Final = 40
"""Lines of a text or a comparison; more are counted."""
_ROWS_MAX: Final = 20


def plain(receipt: Receipt) -> str:
    """All of it, indented below the line that says what was decided."""
    o = receipt.outcome
    facts, parts = receipt.told
    out = [receipt.line(), *facts_plain(receipt.request.form.facts)]
    for part in receipt.parts:
        out += [f"  {line}" for line in part_plain(part)]
    caption, text = _judged(receipt)
    if text:
        out += [f"  {caption}:", *(f"    {line}" for line in text)]
    if o.comment:
        out.append(f"  Comment: {_indented(o.comment)}")
    out += facts_plain(facts | receipt.votes)
    for part in parts:
        out += [f"  {line}" for line in part_plain(part)]
    out.append(f"  Answer: {readable_json(receipt.decision.answer)}")
    return "\n".join(out)


def markdown(receipt: Receipt) -> str:
    """The same, every text of a payload shown as it is."""
    o = receipt.outcome
    facts, parts = receipt.told
    out = [f"**{'✓' if o.good else '✕'} {as_text(o.label)}** {as_text(receipt.request.form.heading)} ({as_text(receipt.signature)})", ""]
    out += [f"- {as_text(k)}: {as_text(str(v))}" for k, v in receipt.request.form.facts.items()]
    out += [line for part in receipt.parts for line in part_markdown(part)]
    caption, text = _judged(receipt)
    if text:
        out += ["", f"{as_text(caption)}:", "", *fenced(text, "diff" if o.edited is not None else "")]
    if o.comment:
        out.append(f"- Comment: {as_text(o.comment)}")
    out += [f"- {as_text(k)}: {as_text(str(v))}" for k, v in (facts | receipt.votes).items()]
    out += [line for part in parts for line in part_markdown(part)]
    return "\n".join([*out, f"- Answer: {as_text(readable_json(receipt.decision.answer))}", ""])


def as_text(value: str) -> str:
    """Text that a Markdown renderer shows as it is: markup and line starts are neutralised."""
    flat = " ".join(value.split())
    return "".join(f"\\{c}" if c in "\\`*_{}[]()#+!|~$-" else {"<": "&lt;", ">": "&gt;", "&": "&amp;"}.get(c, c) for c in flat)


def facts_plain(values: Any) -> Iterator[str]:
    """One indented line each; what has more lines goes on below it."""
    return (f"  {k}: {_indented(str(v))}" for k, v in values.items())


def _judged(receipt: Receipt) -> tuple[str, list[str]]:
    """The text that was judged, or how it was edited."""
    form, edited = receipt.request.form, receipt.outcome.edited
    if form.subject is None:
        return "", []
    if edited is None:
        return form.subject_label, cut(form.subject.splitlines())
    changes = unified_diff(form.subject.splitlines(), edited.splitlines(), n=1, lineterm="")
    return "Changes", cut(list(changes)[2:])  # without the names of files


def part_plain(part: Part) -> list[str]:
    """The part below its name. Of a long chat the end is what was judged."""
    first, *rest = lines(part, rows=_ROWS_MAX)
    if isinstance(part, Messages) and len(rest) > _LINES_MAX + 1:
        return [first, f"  … {len(rest) - _LINES_MAX:,} lines before", *rest[-_LINES_MAX:]]
    return [first, *cut(rest)]


def cut(text: list[str]) -> list[str]:
    """The first lines, and how many more there are."""
    return text if len(text) <= _LINES_MAX + 1 else [*text[:_LINES_MAX], f"… {len(text) - _LINES_MAX:,} more lines"]


def part_markdown(part: Part) -> Iterator[str]:
    """The part with its name, every text of it shown as it is."""
    if isinstance(part, Table):
        yield from ("", f"{as_text(part.label)} ({part.count(_ROWS_MAX)}):", "", _row(map(as_text, part.columns)))
        yield _row((":-", "-:")[n in part.numbers] for n in range(len(part.columns)))
        yield from (_row(map(as_text, row)) for row in part.rows[:_ROWS_MAX])
        yield ""
        return
    first, *rest = part_plain(part)
    if isinstance(part, Text) or rest:
        yield from ("", as_text(first), "", *fenced([line.removeprefix("  ") for line in rest]))
    else:
        yield f"- {as_text(first)}"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def fenced(text: list[str], kind: str = "") -> list[str]:
    """A block that shows its text as it is: its fence is longer than any inside."""
    fence = "`" * max(3, 1 + max((len(run) for line in text for run in re.findall("`+", line)), default=0))
    return [f"{fence}{kind}", *text, fence, ""]


def _indented(value: str) -> str:
    return value.replace("\n", "\n    ")
