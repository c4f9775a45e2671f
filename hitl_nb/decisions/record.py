"""The decision log with what it tells of: one row an entry, for a table, a file or a DataFrame."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hitl_nb.checkpoint.audit import LogEntry, log_entries, log_head
from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.progress import bar
from hitl_nb.checkpoint.records import Decision, Question
from hitl_nb.checkpoint.standing import standing_decisions
from hitl_nb.checkpoint.voting import Vote
from hitl_nb.decisions.forms import form_for
from hitl_nb.errors import StoreError, UnknownTypeError

if TYPE_CHECKING:
    from pandas import DataFrame

UNREADABLE = "(of a class that is not loaded here)"


@dataclass(frozen=True, slots=True)
class Row:
    """An entry of the log, with the question and the decision that it is about."""

    entry: LogEntry
    question: str
    """In one line; empty where there is none."""
    payload: Any
    answer: Any
    """None where nothing was decided; of a vote, what the reviewer answered."""
    decided_at: datetime | None

    def plain(self) -> dict[str, Any]:
        """As JSON and CSV have it; the hashes in hex."""
        e = self.entry
        return {
            "number": e.number,
            "kind": e.kind,
            "thread_id": e.thread_id,
            "node": e.node,
            "question": self.question,
            "answer": self.answer,
            "by": e.by,
            "detail": e.detail,
            "decided_at": None if self.decided_at is None else self.decided_at.isoformat(),
            "recorded_at": None if e.recorded_at is None else e.recorded_at.isoformat(),
            "interrupt_id": e.interrupt_id,
            "decision": None if e.decision < 0 else e.decision,
            "hash": e.hash.hex(),
            "before": e.before.hex(),
        }


def rows(saver: Checkpointer) -> Iterator[Row]:
    """The rows of the log, the oldest first. Raises CorruptStoreError where an entry or a record is damaged."""
    for entry in bar(log_entries(saver), "Decision log", total=log_head(saver)[0]):
        decision = _decision(saver, entry) if entry.kind in ("decision", "expired") else None
        vote = _vote(saver, entry) if entry.kind == "vote" else None
        if decision is not None and entry.version == 1:  # which held no more than the number
            entry = _filled(entry, decision)  # noqa: PLW2901
        question = _question(saver, entry.interrupt_id)
        heading = form_for(question, reviewer="").heading if question is not None else ""
        yield Row(
            entry,
            heading,
            None if question is None else question.payload,
            vote.answer if vote is not None else None if decision is None else decision.answer,
            vote.voted_at if vote is not None else None if decision is None else decision.decided_at,
        )


def decisions(store: Checkpointer | str | os.PathLike[str]) -> DataFrame:
    """Every decision of a store, over all threads, also deleted ones: a DataFrame with one row each, the oldest first. `store` may be its folder.

    `stands`: whether it counts where its thread stands; missing for a deleted thread, which stands nowhere. `number` and `hash` are those of the
    decision's entry in the log. Needs pandas.
    """
    from pandas import DataFrame

    saver = store if isinstance(store, Checkpointer) else open_store(store)
    stands: dict[str, set[str]] = {}
    made = []
    for row in rows(saver):
        entry = row.entry
        if entry.kind not in ("decision", "expired"):
            continue
        if entry.thread_id not in stands:
            stands[entry.thread_id] = {d.interrupt_id for d in standing_decisions(saver, entry.thread_id)}
        there = saver.head(entry.thread_id) is not None
        made.append(
            {
                "number": entry.number,
                "thread_id": entry.thread_id,
                "node": entry.node,
                "question": row.question,
                "answer": row.answer,
                "reviewer": entry.by,
                "how": entry.detail,
                "decided_at": row.decided_at,
                "recorded_at": entry.recorded_at,
                "stands": (entry.interrupt_id in stands[entry.thread_id]) if there else None,
                "payload": row.payload,
                "interrupt_id": entry.interrupt_id,
                "hash": entry.hash.hex(),
            }
        )
    frame = DataFrame(made, columns=_COLUMNS)
    return frame.astype({"stands": "boolean", "decided_at": "datetime64[us, UTC]", "recorded_at": "datetime64[us, UTC]"})


_COLUMNS = (
    "number", "thread_id", "node", "question", "answer", "reviewer", "how", "decided_at", "recorded_at", "stands", "payload", "interrupt_id", "hash",
)  # fmt: skip


def open_store(folder: str | os.PathLike[str]) -> Checkpointer:
    """The store in a folder that is there. Raises StoreError where none is, instead of making one."""
    from hitl_nb.checkpoint.disk import DiskCacheSaver

    path = Path(folder).expanduser()
    if not (path / "cache.db").is_file():
        raise StoreError(f"there is no store in {path} (seen from {Path.cwd()}); name the folder that DiskCacheSaver was given")
    return DiskCacheSaver(path)


def _decision(saver: Checkpointer, entry: LogEntry) -> Decision | None:
    try:
        if entry.version == 1:
            return next((d for d in saver.decisions(entry.thread_id, deleted=True) if d.number == entry.decision), None)
        return saver.decision(entry.interrupt_id)
    except UnknownTypeError:
        return Decision(entry.interrupt_id, entry.thread_id, entry.node, entry.decision, UNREADABLE, entry.by, entry.recorded_at, entry.detail)  # type: ignore[arg-type]


def _vote(saver: Checkpointer, entry: LogEntry) -> Vote | None:
    try:
        return next((v for v in saver.votes(entry.interrupt_id) if v.number == entry.decision), None)
    except UnknownTypeError:
        return None


def _filled(entry: LogEntry, made: Decision) -> LogEntry:
    from dataclasses import replace

    return replace(entry, interrupt_id=made.interrupt_id, node=made.node, by=made.reviewer, detail=made.how)


def _question(saver: Checkpointer, interrupt_id: str) -> Question | None:
    try:
        return saver.question(interrupt_id) if interrupt_id else None
    except UnknownTypeError:
        return None
