"""An update of the state reaches the graphs that are nodes: where one waits, it goes on with the new input, and asks again what that changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.records import Event, Withdrawn, boundary_id
from hitl_nb.graph.effects import Steps
from hitl_nb.graph.loop import move
from hitl_nb.graph.run import Run
from hitl_nb.graph.thread.threads import finished_of


def refreshed(run: Run, saver: Checkpointer, given: Sequence[tuple[str, Any]], begun: str) -> Steps:
    """Write to the graph inside a node what it is given now, where that is new and the graph itself has not written since. Its tasks stay.

    A key with a reducer stays as it is: what it was given is part of what it has become. `begun`: the `input_digest` from now on.
    """
    keys, now = run.schema.keys, saver.encoded(run.key, run.checkpoint)
    new = [
        (key, value)
        for key, value in given
        if (keys is None or (key in keys and keys[key].reducer is None))
        and run.codec.dumps(value, f"state[{key!r}]") != now.get(key)
        and _was_given(run, saver, key)
    ]
    if not new:
        return
    c, tasks = run.checkpoint, {t.id for t in run.checkpoint.tasks}
    after, written = run.schema.apply(run.values, [("input", "the node around", new)])
    events: list[Event] = [f for f in run.ledger.handled.values() if f.task_id in tasks]
    for pause in run.ledger.of_task(boundary_id(c.nonce, c.seq)):
        answer = run.ledger.answered.get(pause.interrupt_id)
        if answer is None:
            run.note(Withdrawn.of(pause, "replaced by an update of the state"))
        else:
            events += [replace(pause, task_id=boundary_id(c.nonce, run.next_seq)), answer]
    # the ledger of a graph inside is mostly that of the thread around, which this does not move
    ledger, questions = run.ledger, run.questions
    for event in events:
        ledger.add(event)
    events += finished_of(run, tasks)
    yield from move(
        run, after, written, c.tasks, c.arrived, source="update", wrote=c.wrote, parent=c.seq, events=events, input_digest=begun
    )  # fmt: skip
    run.ledger, run.questions = ledger, questions


def _was_given(run: Run, saver: Checkpointer, key: str) -> bool:
    """True for a value that came from the node around, or may have, as its checkpoint was pruned; False for what the graph wrote itself."""
    ref, first = run.checkpoint.versions.get(key), 0 if run.head is None else run.head.first
    return ref is None or ref.seq <= first or saver.checkpoint(run.key, ref.seq).source in ("input", "update")
