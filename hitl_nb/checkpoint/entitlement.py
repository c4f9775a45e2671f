"""Whether somebody may answer a question, and why not: its assignee, who asked for it (four eyes), and the reviewers file of the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from hitl_nb.checkpoint.reviewers import Reviewer, Reviewers, folded, names
from hitl_nb.errors import NotEntitledError

if TYPE_CHECKING:
    from hitl_nb.checkpoint.records import Decision


class Asking(Protocol):
    """A question, whole or in brief, as it stands."""

    @property
    def thread_id(self) -> str: ...
    @property
    def node(self) -> str: ...
    @property
    def assignee(self) -> str | None: ...
    @property
    def four_eyes(self) -> Sequence[str]: ...
    @property
    def quorum(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds in a store at this moment. `reviewers`: None where there is no such file, so that an assignee is information only."""

    reviewers: Reviewers | None = None

    def voter(self, name: str) -> str:
        """Who that is, the same for each of their names."""
        return folded(name) if self.reviewers is None else self.reviewers.voter(name)

    def entitled(self, q: Asking) -> tuple[Reviewer, ...] | None:
        """Those who may answer; None: anybody but those whom `four_eyes` names."""
        if self.reviewers is None:
            return None
        asked_for_it = set(map(self.voter, q.four_eyes))
        return tuple(p for p in self.reviewers.asked(q.assignee) if folded(p.id) not in asked_for_it)

    def why_not(self, q: Asking, name: str) -> str:
        """Why this reviewer may not answer, as a clause; empty: they may."""
        if self.voter(name) in map(self.voter, q.four_eyes):
            return f"somebody else has to answer, as {name} asked for it (four eyes)"
        if self.reviewers is None:
            return ""
        if self.reviewers.person(name) is None:
            listing = self.reviewers.called
            return f"{'' if listing.endswith('=') else 'the file '}{listing} does not list {name}"
        if q.assignee is not None and all(folded(p.id) != self.voter(name) for p in self.reviewers.asked(q.assignee)):
            return f"only {q.assignee} may answer"
        return ""

    def hurdle(self, q: Asking, voters: Sequence[str] = ()) -> str:
        """Why nobody, or too few, can answer the question as things are, as a sentence; empty: enough can. `voters`: who has voted already."""
        able = self.entitled(q)
        if able is None or self.reviewers is None:
            return ""
        where = self.reviewers.called
        if not self.reviewers.asked(q.assignee):
            return f"{q.assignee!r} is neither a reviewer nor a role in {where}, so nobody can answer until it says who that is."
        count = len({folded(p.id) for p in able} | set(map(self.voter, voters)))
        if count >= q.quorum:
            return ""
        needs = "Somebody has" if q.quorum == 1 else f"{q.quorum} reviewers have"
        return f"{needs} to answer, and {names(able)} may by {where}, so it stays open until that names more."

    def require(self, q: Asking, decision: Decision) -> None:
        """Raise NotEntitledError when whoever decided may not."""
        why = self.why_not(q, decision.reviewer)
        if not why:
            return
        able = self.entitled(q)
        if able is None:
            way = "Have somebody else answer it"
        elif able:
            way = f"Have it answered by {names(able)}"
        else:
            way = self.hurdle(q)
        raise NotEntitledError(
            f"the question of node {q.node!r} (thread {q.thread_id!r}) is not for {decision.reviewer} to answer: {why}. The answer was not taken, "
            f"and the decision log says so; the question is still open. {way}",
            thread_id=q.thread_id,
            node=q.node,
            interrupt_id=decision.interrupt_id,
            reviewer=decision.reviewer,
            entitled=() if able is None else tuple(p.id for p in able),
            reason=why,
        )
