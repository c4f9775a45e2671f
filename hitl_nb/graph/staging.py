"""An update of the state as one transaction, however many checkpoints it makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.graph.durability import head_after
from hitl_nb.graph.effects import Commit, Flow, Io, Steps
from hitl_nb.graph.run import Run
from hitl_nb.graph.running import perform
from hitl_nb.graph.threads import Threads, fork
from hitl_nb.graph.types import StateUpdate
from hitl_nb.graph.updates import update


def updated(known: Threads, saver: Checkpointer, run: Run, seq: int | None, supersteps: Sequence[Sequence[StateUpdate]]) -> Flow:
    """Update the thread of `run`, from its checkpoint `seq` when that is an earlier one; returns the run at its newest checkpoint."""
    commits: list[Mapping[str, Any]] = []
    if seq is not None and run.head is not None and seq != run.head.seq:
        current, run = run, known.must_load(run.thread_id, run.config, seq)
        yield from perform(staged(fork(run, current.ledger), commits), saver, run)
    yield from perform(staged(update(run, supersteps), commits), saver, run)
    yield Io(partial(saver.commit_all, run.key, commits))
    return run


def staged(steps: Steps, commits: list[Mapping[str, Any]], **more: str) -> Steps:
    """The steps, whose commits are gathered instead of made; `more`: arguments that go with each."""
    reply: Any = None
    error: Exception | None = None
    try:
        while True:
            effect = steps.send(reply) if error is None else steps.throw(error)
            reply, error = None, None
            if isinstance(effect, Commit):
                commits.append({**effect.arguments, **more})
                reply = head_after(**effect.arguments)
                continue
            try:
                reply = yield effect
            except Exception as raised:  # noqa: BLE001  # the steps decide what an error means
                error = raised
    except StopIteration:
        return
