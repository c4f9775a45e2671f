"""The filters of an inbox: what they offer, what they look like, and what a press on them changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from hitl_nb.decisions.wording import cut
from hitl_nb.waiting.board import Board
from hitl_nb.waiting.listing import Filters
from hitl_nb.widgets.surface import Act
from hitl_nb.widgets.tree import Node, h, icon

_NAME_MAX: Final = 60
_TABS: Final[dict[Literal["all", "mine", "overdue"], str]] = {"all": "All", "mine": "Mine", "overdue": "Overdue"}


@dataclass(frozen=True, slots=True)
class Choice:
    """A filter that is chosen from a list."""

    name: str
    label: str
    value: str | None
    """None: everything."""
    counts: Mapping[str, int]
    """How many questions each value would leave."""


@dataclass(frozen=True, slots=True)
class FilterBar:
    """All filters at a moment."""

    tab: str
    tabs: Mapping[str, int]
    choices: Sequence[Choice]
    text: str
    sort: str
    rev: int
    """Changes when the fields are set from here."""


def filters_of(board: Board, rev: int) -> FilterBar:
    """Only lists from which there is something to choose."""
    filters = board.filters
    graphs, nodes = board.counts("graph"), board.counts("node")
    choices = [
        Choice("graph", "Graph", filters.graph, graphs),
        # where every graph asks in one node only, the graph says it already
        Choice("node", "Node", filters.node, nodes if len(nodes) > len(graphs) or filters.graph is not None else {}),
        Choice("assignee", "Asked", filters.assignee, board.counts("assignee")),
    ]
    return FilterBar(
        tab="mine" if board.mine else "overdue" if filters.overdue else "all",
        tabs={name: board.count(name) for name in _TABS},
        choices=[c for c in choices if c.value is not None or len(c.counts) > 1],
        text=filters.text,
        sort=board.sort,
        rev=rev,
    )


def refilter(board: Board, act: Act) -> bool:
    """What a person chose, put into the board, and its lines in order anew. False: it is no filter."""
    value = act.value if isinstance(act.value, str) else ""
    chosen = value[1:] if value.startswith("=") else None
    filters = board.filters
    match act.name:
        case "tab":
            board.mine, filters = act.arg == "mine", replace(filters, overdue=act.arg == "overdue")
        case "text":
            filters = replace(filters, text=value)
        case "graph":
            filters = replace(filters, graph=chosen, node=None)
        case "node":
            filters = replace(filters, node=chosen)
        case "assignee":
            filters = replace(filters, assignee=chosen)
        case "sort":
            board.sort = "age" if value == "age" else "deadline"
        case "clear":
            board.mine, filters = False, Filters(threads=filters.threads)
        case "new":
            board.read()
        case _:
            return False
    board.filters = filters
    board.arrange()
    return True


def filter_bar(f: FilterBar, *, has_next: bool) -> Node:
    """`has_next`: there is another question to go to."""
    tabs = (
        h(
            "button",
            {"class": "hitl-nb-tab", "id": f"tab-{name}", "data-act": "tab", "data-arg": name, "aria-pressed": "true" if name == f.tab else "false"},
            f"{_TABS[name]} {f.tabs[name]:,}",
        )
        for name in _TABS
    )
    field = {"type": "search", "id": "search", "class": "hitl-nb-search", "value": f.text, "rev": f.rev, "autocomplete": "off", "spellcheck": "false"}
    return h(
        "div",
        {"class": "hitl-nb-filters", "id": "tools"},
        h("div", {"class": "hitl-nb-tabs", "id": "tabs", "role": "group", "aria-label": "Which questions"}, tabs),
        h("input", field | {"data-act": "text", "data-on": "input", "aria-label": "Search", "placeholder": "Search questions, threads, people"}),
        h(
            "div",
            {"class": "hitl-nb-facets", "id": "facets"},
            (_choice(each, f.rev) for each in f.choices),
            _select("sort", "Sort by", f.sort, {"deadline": "Deadline", "age": "Age"}, f.rev),
            h(
                "span",
                {"class": "hitl-nb-steps", "id": "steps"},
                _step("prev", "Previous unanswered question", "p", off=not has_next),
                _step("next", "Next unanswered question", "n", off=not has_next),
                h("button", {"class": "hitl-nb-help", "id": "help", "aria-label": "Keys", "title": "Keys"}, "?"),
            ),
        ),
    )


def _choice(c: Choice, rev: int) -> Node:
    known = dict(c.counts) if c.value is None or c.value in c.counts else {c.value: 0, **c.counts}
    named = {f"={value}": f"{cut(value, _NAME_MAX) if value else 'Anyone'} ({count:,})" for value, count in known.items()}
    return _select(c.name, c.label, "" if c.value is None else f"={c.value}", {"": "All", **named}, rev)


def _select(name: str, label: str, value: str, options: Mapping[str, str], rev: int) -> Node:
    made = (h("option", {"value": key}, words) for key, words in options.items())
    # The page keeps the place in the list that was chosen; where other values stand there now, it has to be told again.
    own = {"id": f"in-{name}", "data-act": name, "value": value, "rev": f"{rev} {value} {list(options)}"}
    return h("label", {"class": "hitl-nb-facet", "id": f"of-{name}", "for": f"in-{name}"}, h("span", {}, label), h("select", own, made))


def _step(name: str, label: str, key: str, *, off: bool) -> Node:
    more = {"data-act": "go", "data-arg": name, "data-key": key, "aria-label": label, "title": label, "disabled": off}
    return h("button", {"class": "hitl-nb-step", "id": name, **more}, icon(name))
