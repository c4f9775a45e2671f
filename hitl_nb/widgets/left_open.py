"""Questions that a run left open, as a drawing that needs no kernel: what is asked, and how to answer it. The same questions make the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from hitl_nb.decisions.answers.suggestion import suggestion
from hitl_nb.decisions.request import Request
from hitl_nb.decisions.told import asked_table
from hitl_nb.decisions.wording import plural, printable
from hitl_nb.widgets import markup, times
from hitl_nb.widgets.escaping import escape
from hitl_nb.widgets.parts import part_html, text
from hitl_nb.widgets.receipt import AS_IS
from hitl_nb.widgets.receipt_text import as_text, cut, facts_plain, fenced, part_markdown, part_plain
from hitl_nb.widgets.style import parts_css, receipt_css

MIME: Final = "application/vnd.hitl-nb.request.v1+json"


_MOST: Final = 50
"""Questions that are drawn; of the others it is said that they are there, and the part for machines has all of them."""


_NOT_KEPT: Final = (
    "But a graph of this notebook keeps them in memory, so they ended with its kernel: compile it with DiskCacheSaver('reviews'), "
    "or give the answers in a file."
)


def left_open(requests: Sequence[Request], *, kept: bool = True) -> dict[str, Any]:
    """The MIME bundle of these open questions, with a line above that says what to do. `kept`: False where they end with their kernel."""
    drawn = requests[:_MOST]
    css = receipt_css() + (parts_css() if any(r.form.parts or asked_table(r) for r in drawn) else "")
    said = f"Needs a person: {plural(len(requests), 'question')} left open. "
    said += "Answer, then run the notebook again: it goes on from here." if kept else _NOT_KEPT
    more = [f"And {len(requests) - _MOST:,} more: hitl-nb pending lists them."] if len(requests) > _MOST else []
    return {
        "text/html": f"<style>{css}</style>" + "".join([_line(said), *(_html(r, kept=kept) for r in drawn), *map(_line, more)]),
        "text/markdown": "\n".join([f"**{as_text(said)}**", "", *(_markdown(r, kept=kept) for r in drawn), *map(as_text, more)]),
        "text/plain": printable("\n".join([said, *(_plain(r, kept=kept) for r in drawn), *more])),
        MIME: {"version": 1, "questions": [question_record(r) for r in requests]},
    }


def question_record(request: Request) -> dict[str, Any]:
    """The machine-readable part: `deadline` is ISO, UTC."""
    q = request.question
    return {
        "id": q.id,
        "thread_id": q.thread_id,
        "node": q.node,
        "question": request.form.heading,
        "assignee": q.assignee,
        "deadline": None if q.deadline is None else q.deadline.isoformat(),
    }


def _origin(request: Request, *, kept: bool) -> dict[str, str]:
    q = request.question
    asked = {"Asked": q.assignee} if q.assignee is not None else {}
    until = {"Until": times.absolute(q.deadline)} if q.deadline is not None else {}
    choice = {"Answers": ", ".join(o.label for o in request.form.options)} if len(request.form.options) > 1 else {}
    ways = {"In a terminal": f"hitl-nb answer {q.id}", "In a notebook": "inbox(store)"} if kept else {}
    return choice | {"Thread": q.thread_id, "Node": q.origin} | asked | until | ways


def _line(words: str) -> str:
    return f'<div class="hitl-nb"><p>{escape(words)}</p></div>'


def _html(request: Request, *, kept: bool) -> str:
    form = request.form
    body = [markup.plain("", form.instruction), markup.facts(form.facts), *(part_html(p, static=True) for p in (*form.parts, *asked_table(request)))]
    if form.subject is not None:
        body.append(text(form.subject_label, form.subject, code=form.parse, static=True))
    body += [markup.facts(_origin(request, kept=kept)), markup.text("In an answers file", suggestion(request.question), code=True, static=True)]
    return (
        f'<details class="hitl-nb hitl-nb-receipt {AS_IS}" open><summary><b>○ Open</b> <span>{escape(form.heading)}</span> '
        f'<span class="hitl-nb-who">{escape(request.question.thread_id)}</span></summary>'
        f'<div class="hitl-nb-more">{"".join(filter(None, body))}</div></details>'
    )


def _plain(request: Request, *, kept: bool) -> str:
    form = request.form
    out = [f"○ Open: {form.heading} ({request.question.thread_id})"]
    if form.instruction:
        out.append(f"  {form.instruction}")
    out += facts_plain(form.facts)
    for part in (*form.parts, *asked_table(request)):
        out += [f"  {line}" for line in part_plain(part)]
    if form.subject is not None:
        out += [f"  {form.subject_label}:", *(f"    {line}" for line in cut(form.subject.splitlines()))]
    out += facts_plain(_origin(request, kept=kept))
    return "\n".join([*out, "  In an answers file:", *(f"    {line}" for line in suggestion(request.question).splitlines())])


def _markdown(request: Request, *, kept: bool) -> str:
    return "\n".join(_markdown_lines(request, kept=kept))


def _markdown_lines(request: Request, *, kept: bool) -> Iterator[str]:
    form = request.form
    yield from (f"**○ Open** {as_text(form.heading)} ({as_text(request.question.thread_id)})", "")
    if form.instruction:
        yield from (as_text(form.instruction), "")
    yield from (f"- {as_text(k)}: {as_text(str(v))}" for k, v in form.facts.items())
    for part in (*form.parts, *asked_table(request)):
        yield from part_markdown(part)
    if form.subject is not None:
        yield from ("", f"{as_text(form.subject_label)}:", "", *fenced(cut(form.subject.splitlines())))
    yield from (f"- {as_text(k)}: {as_text(v)}" for k, v in _origin(request, kept=kept).items())
    yield from ("", "In an answers file:", "", *fenced(suggestion(request.question).splitlines(), "yaml"))
