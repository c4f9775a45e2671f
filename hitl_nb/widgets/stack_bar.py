"""The bar above the question of a stack: which one it is, the ways to the others, and what is answered so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hitl_nb.widgets.outcome import Outcome
from hitl_nb.widgets.tree import Node, h, icon

_SEGMENTS_MAX: Final = 30
"""More questions are shown as a bar with words."""
_WIDE_SEGMENTS_MAX: Final = 12


def bar(kept: Sequence[Outcome | None], at: int, note: str) -> list[Node]:
    """What to draw. `kept`: for each question the answer that is kept; none for a question that stands alone. `note` is told below."""
    told: list[Node] = [h("p", {"class": "hitl-nb-stack-note", "role": "status"}, note)] if note else []
    if not kept:
        return told
    total, count = len(kept), sum(one is not None for one in kept)
    many = total > _SEGMENTS_MAX
    drawn = h(
        "div",
        {"class": "hitl-nb-bar", "id": "bar"},
        _step("prev", "Previous question", "p", off=at == 0),
        h("span", {"id": "place"}, h("b", {}, f"{at + 1:,}"), f" of {total:,}"),
        _step("next", "Next question", "n", off=at == total - 1),
        h("progress", {"id": "done", "max": total, "value": count, "aria-label": f"{count:,} of {total:,} answered"})
        if many
        else _segments(kept, at),
        h("span", {"class": "hitl-nb-bar-said", "id": "said", "role": "status"}, f"{count:,} answered, not sent" if count else ""),
    )
    return [drawn, *told]


def _step(name: str, label: str, key: str, *, off: bool) -> Node:
    more = {"data-act": "go", "data-arg": name, "data-key": key, "aria-label": label, "title": label, "disabled": off}
    return h("button", {"class": "hitl-nb-step", "id": name, **more}, icon(name))


def _segments(kept: Sequence[Outcome | None], at: int) -> Node:
    small = " hitl-nb-many" if len(kept) > _WIDE_SEGMENTS_MAX else ""
    each = (_segment(n, one, here=n == at) for n, one in enumerate(kept))
    return h("ol", {"class": f"hitl-nb-segs{small}", "id": "segs", "aria-label": "Questions"}, each)


def _segment(number: int, kept: Outcome | None, *, here: bool) -> Node:
    look = "" if kept is None else " hitl-nb-ok" if kept.good else " hitl-nb-bad"
    words = f"Question {number + 1}: {'open' if kept is None else f'{kept.label}, not sent'}"
    # Not a stop for Tab: with many questions the way to the card would be long, and the arrows before them lead everywhere.
    more = {"tabindex": -1, "data-act": "go", "data-arg": number, "aria-current": "step" if here else None}
    return h("li", {}, h("button", {"class": f"hitl-nb-seg{look}", "aria-label": words, "title": words, **more}))
