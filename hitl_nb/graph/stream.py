"""What `stream` tells of a run: the events of each mode, made only when somebody wants them.

What a task or a checkpoint came to waits in `Run.announce` until it is stored. Events are the consumer's own: what it does to them changes nothing in
the run. What a node hands to its StreamWriter is handed on as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

from hitl_nb.checkpoint.records import Failed, PlannedTask
from hitl_nb.errors import shown
from hitl_nb.graph.emit import Emit
from hitl_nb.graph.node.attempt import Done, Job, Paused
from hitl_nb.graph.run import Run
from hitl_nb.graph.thread.snapshots import snapshot
from hitl_nb.graph.types import INTERRUPT, Interrupt

MODES: Final = ("values", "updates", "custom", "tasks", "checkpoints", "debug")
_TASKS: Final = frozenset({"tasks", "debug"})
_CHECKPOINTS: Final = frozenset({"checkpoints", "debug"})


def modes_of(stream_mode: str | Sequence[str], *, subgraphs: bool) -> tuple[frozenset[str], Callable[[Emit], Any]]:
    """The modes of a run, and what the caller of `stream` gets of an event."""
    wanted: list[Any] = list(stream_mode) if isinstance(stream_mode, Iterable) and not isinstance(stream_mode, str) else [stream_mode]
    for mode in wanted:
        if not isinstance(mode, str) or mode not in MODES:
            raise ValueError(f"stream_mode is {shown(mode)}; expected one of {', '.join(MODES)}, or a list of them")
    several = not isinstance(stream_mode, str)

    def pick(event: Emit) -> Any:
        parts = ([event.path] if subgraphs else []) + ([event.mode] if several else []) + [event.event]
        return tuple(parts) if len(parts) > 1 else event.event

    return frozenset(wanted) | (frozenset({"subgraphs"}) if subgraphs else frozenset()), pick


# -- what there is to tell -----------------------------------------------------------------------------------------------------------------


def started(run: Run, jobs: Sequence[Job]) -> Iterator[Emit]:
    """These tasks run now."""
    if run.modes.isdisjoint(_TASKS):
        return
    for job in jobs:
        task = job.task
        yield from _task(run, "task", {"id": task.id, "name": task.node, "input": _own(job.state), "triggers": task.by})


def finished(run: Run, done: Done) -> None:
    """A task returned."""
    if "updates" in run.modes:
        run.announce.append(Emit("updates", {done.task.node: _own(dict(done.update)) if done.update else None}))
    if not run.modes.isdisjoint(_TASKS):
        run.announce += _ended(run, done.task, result=_own(dict(done.update)))


def asked(run: Run, paused: Paused) -> None:
    """A task came to a stop at questions."""
    run.announce += _withheld(run, paused.task)
    if not run.modes.isdisjoint(_TASKS):
        run.announce += _ended(run, paused.task, interrupts=[_own(Interrupt.of(q)) for q in paused.questions])


def failed(run: Run, task: PlannedTask, failure: Failed) -> None:
    """A task raised, or what it returned could not be used."""
    if not run.modes.isdisjoint(_TASKS):
        run.announce += _ended(run, task, error=failure.error)


def moved(run: Run) -> None:
    """The run is at a new checkpoint."""
    if "values" in run.modes:
        run.announce.append(Emit("values", _own(run.schema.output(run.values))))
    if run.serde is not None and not run.modes.isdisjoint(_CHECKPOINTS):
        at = snapshot(run, run.place)
        event = {
            "config": at.config,
            "parent_config": at.parent_config,
            "values": _own(at.values),
            "metadata": at.metadata,
            "created_at": at.created_at,
            "next": list(at.next),
            "tasks": [{name: _own(getattr(t, name)) for name in t.__dataclass_fields__} for t in at.tasks],
        }
        run.announce += _in_both(run, "checkpoints", "checkpoint", run.checkpoint.step, event)


def waiting(run: Run) -> Iterator[Emit]:
    """The run pauses at open questions."""
    if "updates" in run.modes:
        yield Emit("updates", {INTERRUPT: _open(run)}, asks=True)
    if "values" in run.modes:
        yield Emit("values", {**_own(run.schema.output(run.state())), INTERRUPT: _open(run)}, asks=True)


def place_of(task: PlannedTask) -> str:
    """What stands in the path of events from inside this task."""
    return f"{task.node}:{task.id}"


# -- their form ----------------------------------------------------------------------------------------------------------------------------


def _ended(
    run: Run, task: PlannedTask, *, error: str | None = None, result: Mapping[str, Any] | None = None, interrupts: Sequence[Interrupt] = ()
) -> Iterator[Emit]:
    event = {"id": task.id, "name": task.node, "error": error, "result": dict(result or {}), "interrupts": list(interrupts)}
    yield from _task(run, "task_result", event, asks=bool(interrupts))


def _task(run: Run, kind: str, event: dict[str, Any], *, asks: bool = False) -> Iterator[Emit]:
    yield from _in_both(run, "tasks", kind, run.checkpoint.step + 1, event, asks=asks)


def _in_both(run: Run, mode: str, kind: str, step: int, event: dict[str, Any], *, asks: bool = False) -> Iterator[Emit]:
    """The event in its mode, and wrapped in "debug"."""
    if mode in run.modes:
        yield Emit(mode, event, asks=asks)
    if "debug" in run.modes:
        yield Emit("debug", {"step": step, "timestamp": run.now().isoformat(), "type": kind, "payload": event}, asks=asks)


def _withheld(run: Run, task: PlannedTask) -> list[Emit]:
    place = place_of(task)
    found = [e for e in run.withheld if e.path[0] == place]
    run.withheld = [e for e in run.withheld if e.path[0] != place]
    return found


def _open(run: Run) -> tuple[Interrupt, ...]:
    return tuple(_own(interrupt) for interrupt in run.interrupts())


def _own(value: Any) -> Any:
    """A copy for the consumer. What cannot be copied (nothing that a checkpointer can store) is handed out as it is."""
    try:
        return deepcopy(value)
    except Exception:  # noqa: BLE001  # whatever a class of the user raises
        return {key: _own(item) for key, item in value.items()} if type(value) is dict else value
