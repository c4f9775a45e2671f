"""Values of a graph as JSON for whoever reads it: --json prints nothing that JSON does not have."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hitl_nb.checkpoint.records import Decision
    from hitl_nb.checkpoint.voting import Vote


def plain(value: Any) -> Any:
    """What was asked, to be read: a table as a list of rows, what JSON does not have as its text."""
    from hitl_nb.decisions.wording import as_json

    return json.loads(as_json(_with_rows(value)))


def exact(value: Any) -> Any:
    """What was answered, so that it can be given again: what JSON does not have stands as answers files write it."""
    from hitl_nb.checkpoint.serde import Serde
    from hitl_nb.decisions.answers.values import to_plain

    return to_plain(value, Serde())


def plain_decision(decision: Decision | Vote) -> dict[str, Any]:
    """A decision, or a vote of one that several have to make, as JSON has it."""
    from hitl_nb.checkpoint.voting import Vote

    if isinstance(decision, Vote):
        votes, at = {"count": decision.count, "quorum": decision.quorum}, decision.voted_at
    else:
        votes, at = None, decision.decided_at
    return {
        "id": decision.interrupt_id,
        "thread_id": decision.thread_id,
        "node": decision.node,
        "answer": exact(decision.answer),
        "reviewer": decision.reviewer,
        "how": decision.how,
        "at": at.isoformat(),
        "number": decision.number,
        "votes": votes,
    }


def _with_rows(value: Any) -> Any:
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(value, pandas.DataFrame):
        return json.loads(value.to_json(orient="records", date_format="iso"))
    if isinstance(value, dict):
        return {key: _with_rows(item) for key, item in value.items()}
    return [_with_rows(item) for item in value] if isinstance(value, list | tuple) else value
