"""One answer for many questions: which of those that were picked get it, which do not, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hitl_nb.decisions.answering import build_answer
from hitl_nb.decisions.check import check_answer
from hitl_nb.decisions.request import Option, Request
from hitl_nb.errors import InvalidAnswerError, utc
from hitl_nb.waiting.alike import Kind, kind_of


@dataclass(frozen=True, slots=True)
class Together:
    """The picked questions that one press can answer."""

    kind: Kind | None
    """What they have in common; None where no button answers any of them."""
    meant: tuple[Request, ...]
    left_out: tuple[tuple[Request, str], ...]
    """The others, each with the reason."""

    @property
    def options(self) -> tuple[Option, ...]:
        """What can be chosen for all: the buttons that send at once."""
        return tuple(o for o in self.meant[0].form.options if not o.edits) if self.meant else ()

    @property
    def takes_comment(self) -> bool:
        return bool(self.meant) and self.meant[0].form.comment


def together(picked: Sequence[Request], now: datetime) -> Together:
    """What most of the picked questions have in common decides; of two such groups, the one that was picked first."""
    kinds = [kind_of(r.question, r.form) for r in picked]
    able = Counter(kind for kind in kinds if kind.is_answered_by_a_button)
    if not able:
        return Together(None, (), tuple((r, _OWN) for r in picked))
    base = able.most_common(1)[0][0]
    meant, left_out = [], []
    for request, kind in zip(picked, kinds, strict=True):
        why = _why_not(request, kind, base, now)
        if why:
            left_out.append((request, why))
        else:
            meant.append(request)
    return Together(base, tuple(meant), tuple(left_out))


def answers(those: Sequence[Request], option: Option, comment: str) -> list[tuple[Request, Any, str]]:
    """For each question the answer that this button and this comment make for it; or why it cannot be given there.

    Raises InvalidAnswerError where the button cannot be pressed like this anywhere: it needs a comment, or takes none.
    """
    if those:
        build_answer(those[0].form, option.value, comment=comment)
    made: list[tuple[Request, Any, str]] = []
    for request in those:
        try:
            made.append((request, check_answer(request.question, build_answer(request.form, option.value, comment=comment)), ""))
        except InvalidAnswerError as error:
            made.append((request, None, str(error)))
    return made


_OWN = "needs an answer of its own"


def _why_not(request: Request, kind: Kind, base: Kind, now: datetime) -> str:
    deadline = request.question.deadline
    if not kind.is_answered_by_a_button:
        return _OWN
    if (kind.graph, kind.place) != (base.graph, base.place):
        return f"is asked by another node, {request.question.origin}"
    if kind != base:
        return "has other options"
    if deadline is not None and now > deadline:
        return f"could be answered until {utc(deadline)}"
    return request.barred
