"""An update of the state as one transaction, however many checkpoints it makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.committing import head_after
from hitl_nb.graph.effects import Commit, Flow, Io
from hitl_nb.graph.run import Run
from hitl_nb.graph.running import perform
from hitl_nb.graph.thread.threads import Threads, fork
from hitl_nb.graph.thread.updates import update
from hitl_nb.graph.types import StateUpdate


def updated(known: Threads, saver: Checkpointer, run: Run, seq: int | None, supersteps: Sequence[Sequence[StateUpdate]]) -> Flow:
    """Update the thread of `run`, from its checkpoint `seq` when that is an earlier one; returns the run at its newest checkpoint."""
    staged = Staged()
    if seq is not None and run.head is not None and seq != run.head.seq:
        current, run = run, known.must_load(run.thread_id, run.config, seq)
        yield from perform(fork(run, current.ledger), saver, run, staged.commit)
    yield from perform(update(run, supersteps), saver, run, staged.commit)
    yield Io(partial(saver.commit_all, run.key, staged.commits))
    return run


class Staged:
    """Commits that are gathered instead of made, to be made in one transaction; `commit` is given to `perform`."""

    def __init__(self) -> None:
        self.commits: list[Mapping[str, Any]] = []

    def commit(self, _: Checkpointer, run: Run, effect: Commit) -> Flow:
        self.commits.append({"thread_id": run.key, **effect.arguments})
        yield from ()  # nothing to do for the driver
        return head_after(**effect.arguments)
