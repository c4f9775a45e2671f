"""What the list of an inbox looks like: header, filters, rows. Plain data in, a tree out; every text of a question goes through it as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from hitl_nb.decisions.wording import cut, plural, straight
from hitl_nb.waiting.board import Line
from hitl_nb.widgets import times
from hitl_nb.widgets.inbox.filters import FilterBar, filter_bar
from hitl_nb.widgets.tree import Node, h, icon

PAGE: Final = 20
"""Rows that are drawn at once."""
_HEADING_MAX: Final = 240


@dataclass(frozen=True, slots=True)
class Row:
    """One question of the list."""

    line: Line
    heading: str
    who: str
    """Who is asked: `You`, `Anyone`, a name."""
    verdict: str = ""
    """What was answered, in a word or two; empty while it is open."""
    good: bool = True
    by: str = ""
    """Who answered it, where it was somebody else."""
    is_picked: bool = False
    is_here: bool = False
    """Its card is the one that is shown."""
    is_kept: bool = False
    """Something was filled in on its card that was not sent."""
    rule: str = ""
    """Who may answer, and how many have to; empty where anyone may."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Everything the list shows at a moment."""

    now: datetime
    open: int
    oldest: datetime | None
    done: int
    """Answered here, of `of`."""
    of: int
    filters: FilterBar
    rows: Sequence[Row]
    first: int
    """The place of the first row among all, from 0."""
    total: int
    new: int
    picked: int
    unseen: int
    """Of those, what the filters hide."""
    busy: bool
    """Answers are being recorded, so nothing is picked."""
    note: str
    problem: str
    has_next: bool


def tree(s: Shown) -> list[Node]:
    return [
        h(
            "div",
            {"class": "hitl-nb-list", "id": "list"},
            _head(s),
            filter_bar(s.filters, has_next=s.has_next),
            _told(s),
            _picked(s) if s.picked else None,
            _rows(s),
            _pages(s) if s.total > len(s.rows) else None,
        )
    ]


def _head(s: Shown) -> Node:
    total = s.of
    done = [h("span", {"id": "done"}, f"{s.done:,} of {total:,} answered here")] if s.done else []
    oldest = [_time("asked", s.oldest, s.now, "oldest ")] if s.oldest is not None else []
    return h(
        "div",
        {"class": "hitl-nb-head", "id": "head"},
        h(
            "span",
            {"class": f"hitl-nb-st hitl-nb-{'open' if s.open else 'ok'}", "role": "heading", "aria-level": "3"},
            icon("open" if s.open else "ok"),
            plural(s.open, "open question") if s.open else "No open question",
        ),
        h("progress", {"class": "hitl-nb-share", "max": total, "value": s.done, "aria-label": f"{s.done:,} of {total:,} answered here"})
        if s.done
        else None,
        h("span", {"class": "hitl-nb-when"}, done, oldest),
    )


def _time(kind: str, at: datetime, now: datetime, before: str = "") -> Node:
    """A time that the script of the card keeps fresh."""
    if kind == "due":
        words, tone = times.due(at, now)
        return h("time", {"data-due": f"{at.timestamp():.0f}", "class": f"hitl-nb-{tone}" if tone else ""}, words)
    return h("span", {}, before, h("time", {"data-asked": f"{at.timestamp():.0f}"}, times.asked(at, now)))


def _told(s: Shown) -> Node:
    """What happened meanwhile. It is always there, so that a screen reader hears of it."""
    show = h("button", {"class": "hitl-nb-btn hitl-nb-small", "id": "new", "data-act": "new"}, f"Show {s.new:,} new") if s.new else None
    problem = h("span", {"class": "hitl-nb-bad"}, s.problem) if s.problem else None
    note = h("span", {}, s.note) if s.note else None
    return h("div", {"class": "hitl-nb-told", "id": "told", "role": "status"}, show, problem, note)


def _picked(s: Shown) -> Node:
    small = "hitl-nb-btn hitl-nb-small"
    return h(
        "div",
        {"class": "hitl-nb-picked", "id": "picked"},
        h("b", {"id": "count"}, f"{s.picked:,} picked" + (f", {s.unseen:,} of them not in this list" if s.unseen else "")),
        h("button", {"class": f"{small} hitl-nb-primary", "id": "together", "data-act": "together", "disabled": s.busy}, "Answer together…"),
        h("button", {"class": small, "id": "like", "data-act": "like", "disabled": s.busy}, "Pick all like these"),
        h("button", {"class": f"{small} hitl-nb-quiet", "id": "none", "data-act": "none", "disabled": s.busy}, "Clear"),
    )


def _rows(s: Shown) -> Node:
    if not s.rows:
        filtered = s.open or s.new
        words = "No open question fits these filters." if filtered else "Nothing waits for an answer. New questions appear here by themselves."
        clear = h("button", {"class": "hitl-nb-btn hitl-nb-small", "id": "clear", "data-act": "clear"}, "Clear filters") if filtered else None
        return h("div", {"class": "hitl-nb-nothing", "id": "empty"}, h("p", {}, words), clear)
    return h("ul", {"class": "hitl-nb-items", "id": "rows", "aria-label": "Questions"}, (_row(row, s) for row in s.rows))


def _row(row: Row, s: Shown) -> Node:
    line, q = row.line, row.line.brief
    is_open = line.state == "open"
    here = " hitl-nb-here" if row.is_here else ""
    heading = cut(row.heading, _HEADING_MAX)
    opens = {"data-act": "open", "data-arg": line.id} if is_open else {}
    return h(
        "li",
        {"class": f"hitl-nb-item hitl-nb-item-{line.state}{here}", "id": f"row-{line.id}", "aria-current": "true" if row.is_here else None, **opens},
        _pick(row, heading, s) if is_open else h("span", {"class": "hitl-nb-mark"}, icon(_ICONS[line.state] if row.good else "x")),
        h(
            "div",
            {"class": "hitl-nb-item-main"},
            h("b", {"id": f"q-{line.id}"}, heading),
            h(
                "small",
                {"id": f"at-{line.id}"},
                f"{q.graph} / {q.node}" if q.graph else q.node,
                " \u2002",
                h("code", {}, q.thread_id),
                " \u2002",
                _time("asked", q.created_at, s.now) if is_open else None,
            ),
            h("small", {"class": "hitl-nb-terms"}, row.rule) if row.rule and is_open else None,
            h("small", {"class": "hitl-nb-bad hitl-nb-ran-told" if line.failed else "hitl-nb-ran-told"}, line.told) if line.told else None,
            _unsent(line.id) if row.is_kept and not is_open else None,
        ),
        *(_open_cells(row, s) if is_open else _closed_cells(row)),
    )


def _unsent(id: str) -> Node:  # noqa: A002
    own = {"class": "hitl-nb-btn hitl-nb-small hitl-nb-unsent", "id": f"unsent-{id}", "data-act": "open", "data-arg": id}
    return h("button", own, "Show what you wrote, not sent")


def _pick(row: Row, heading: str, s: Shown) -> Node:
    own: dict[str, Any] = {"type": "checkbox", "id": f"pick-{row.line.id}", "data-act": "pick", "data-arg": row.line.id, "rev": int(row.is_picked)}
    label = f"Pick: {straight(heading)}"
    # A click beside the box is meant for it too, and opens nothing.
    around = {"class": "hitl-nb-mark", "data-act": "pick", "data-on": "nothing"}
    return h("label", around, h("input", own | {"checked": row.is_picked, "aria-label": label, "disabled": s.busy}))


def _open_cells(row: Row, s: Shown) -> Iterator[Node]:
    id, deadline = row.line.id, row.line.brief.deadline  # noqa: A001
    yield h("small", {"class": "hitl-nb-asked", "id": f"who-{id}"}, row.who)
    due = _time("due", deadline, s.now) if deadline is not None else "no deadline"
    yield h("small", {"class": "hitl-nb-due", "id": f"due-{id}"}, due)
    says = {"aria-labelledby": f"open-{id} q-{id}", "aria-describedby": f"at-{id} who-{id} due-{id}"}
    yield h("button", {"class": "hitl-nb-btn hitl-nb-small hitl-nb-openit", "id": f"open-{id}", "data-act": "open", "data-arg": id, **says}, "Open")


_ICONS: Final = {"answered": "ok", "elsewhere": "ok", "gone": "x"}


def _closed_cells(row: Row) -> Iterator[Node]:
    tone = "mut" if row.line.state == "gone" else "ok" if row.good else "bad"
    by = h("span", {"class": "hitl-nb-mut"}, row.by) if row.by else None
    yield h("small", {"class": "hitl-nb-verdict"}, h("b", {"class": f"hitl-nb-{tone}"}, row.verdict), by)


def _pages(s: Shown) -> Node:
    last = s.first + len(s.rows)
    small = "hitl-nb-btn hitl-nb-small"
    return h(
        "div",
        {"class": "hitl-nb-pages", "id": "pages"},
        h("button", {"class": small, "id": "page-prev", "data-act": "page", "data-arg": "prev", "disabled": s.first == 0}, f"Previous {PAGE}"),
        h("span", {"id": "range"}, f"{s.first + 1:,} to {last:,} of {s.total:,}"),
        h("button", {"class": small, "id": "page-next", "data-act": "page", "data-arg": "next", "disabled": last >= s.total}, f"Next {PAGE}"),
    )
