"""What the events of one checkpoint add up to: which tasks are done, which questions are open, which answers count."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hitl_nb.checkpoint.records import Answered, Asked, Escalated, Event, Failed, Finished, Question, Undone, Waits, Withdrawn, from_epoch


class Ledger:
    """The sum of a checkpoint's events so far. `add` keeps it current; nothing is ever taken out of the store.

    Questions of a graph that runs inside a node are events of the thread like all others, with the tasks around them as their `owner`.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.asked: dict[str, Asked] = {}
        """By interrupt id, in the order asked; without the withdrawn."""
        self.answered: dict[str, Answered] = {}
        """By interrupt id; without the withdrawn."""
        self.escalated: dict[str, Escalated] = {}
        """By interrupt id; without the withdrawn."""
        self.finished: dict[str, Finished] = {}
        """By task id."""
        self.failed: dict[str, Failed] = {}
        """By task id: the latest failure of a task that has not finished."""
        self.handled: dict[str, Failed] = {}
        """By task id: the failure that the error handler of the task's node deals with, or dealt with."""
        self.withdrawn: dict[tuple[str, int], list[Withdrawn]] = {}
        """What was withdrawn at (task id, position)."""
        self._of_task: dict[str, dict[str, Asked]] = {}
        self._of_tree: dict[str, dict[str, Asked]] = {}
        self._waiting: dict[str, tuple[str, ...]] = {}
        """Tasks whose inner graphs came to a stop, and got no answer since: the questions that they wait for."""
        self._inside: dict[str, list[Event]] = {}
        """By task id: the events of the questions inside it, as that inner graph sees them."""
        for event in events:
            self.add(event)

    def add(self, event: Event) -> None:
        match event:
            case Asked():
                self.asked[event.interrupt_id] = event
                self._of_task.setdefault(event.task_id, {})[event.interrupt_id] = event
                self._of_tree.setdefault(event.task, {})[event.interrupt_id] = event
                self.failed.pop(event.task_id, None)
                self._pass_on(event, event.owner)
            case Answered():
                self.answered[event.interrupt_id] = event
                if (asked := self.asked.get(event.interrupt_id)) is not None:
                    for task_id in (asked.task_id, *asked.owner):
                        self._waiting.pop(task_id, None)
                    self._pass_on(event, asked.owner)
            case Escalated():
                self.escalated[event.interrupt_id] = event
            case Finished():
                self.finished[event.task_id] = event
                self.failed.pop(event.task_id, None)
            case Failed():
                self.failed[event.task_id] = event
                if event.handler_from >= 0:
                    self.handled[event.task_id] = event
                self._undo(event.task_id)  # a result that could not be used: the task runs again
            case Withdrawn():
                self.asked.pop(event.interrupt_id, None)
                self._of_task.get(event.task_id, {}).pop(event.interrupt_id, None)
                self._of_tree.get(event.task, {}).pop(event.interrupt_id, None)
                self.answered.pop(event.interrupt_id, None)
                self.escalated.pop(event.interrupt_id, None)
                for task_id in (event.task_id, *event.owner):
                    self._undo(task_id)
                    self.failed.pop(task_id, None)
                    if task_id in self.handled and event.interrupt_id in self.handled[task_id].before:
                        del self.handled[task_id]  # the node itself asks again
                self.withdrawn.setdefault((event.task_id, event.position), []).append(event)
                self._pass_on(event, event.owner)
            case Waits():
                self._waiting[event.owner[-1]] = event.open
                self._pass_on(event, event.owner)
            case Undone():
                self._undo(event.task_id)

    def of_task(self, task_id: str) -> list[Asked]:
        """The task's own questions, by position."""
        return sorted(self._of_task.get(task_id, {}).values(), key=lambda a: a.position)

    def at(self, task_id: str, position: int) -> Asked | None:
        """The task's own question at this position."""
        return next((a for a in self._of_task.get(task_id, {}).values() if a.position == position), None)

    def of_tree(self, task_id: str) -> list[Asked]:
        """The task's questions, and those of the graphs that it runs, in the order asked."""
        return list(self._of_tree.get(task_id, {}).values())

    def is_open(self, interrupt_id: str) -> bool:
        asked = self.asked.get(interrupt_id)
        return asked is not None and interrupt_id not in self.answered and self.finished.keys().isdisjoint((asked.task_id, *asked.owner))

    def open(self) -> list[Asked]:
        """Every question that waits for an answer, in the order asked."""
        return [a for i, a in self.asked.items() if self.is_open(i)]

    def standing(self, question: Question) -> Question:
        """The question as it stands: when it was handed on, that changed who is asked, and until when."""
        handed_on = self.escalated.get(question.id)
        if handed_on is None:
            return question
        return replace(question, assignee=handed_on.assignee, deadline=from_epoch(handed_on.deadline), escalate_to=None)

    def was_withdrawn(self, interrupt_id: str) -> bool:
        """True when the question was withdrawn at this checkpoint."""
        return any(w.interrupt_id == interrupt_id for gone in self.withdrawn.values() for w in gone)

    @property
    def is_quiet(self) -> bool:
        """True when nothing was asked: no task waits."""
        return not self.asked and not self._waiting

    def waits(self, task_id: str) -> bool:
        """True when the task has asked and not been answered: running it again would only ask again."""
        own = self._of_task.get(task_id, {}).items()
        inside = self._waiting.get(task_id)
        waits_inside = inside is not None and self.answered.keys().isdisjoint(inside)
        return waits_inside or any(not a.carried and i not in self.answered for i, a in own)

    def inside(self, task_id: str) -> list[Event]:
        """The events of the questions asked by the graphs that this task runs, as events of those graphs' own tasks."""
        return list(self._inside.get(task_id, ()))

    def _undo(self, task_id: str) -> None:
        self.finished.pop(task_id, None)
        self._waiting.pop(task_id, None)

    def _pass_on(self, event: Event, owner: tuple[str, ...]) -> None:
        if not owner:
            return
        inner = event if isinstance(event, Answered) else replace(event, owner=owner[1:])  # type: ignore[arg-type]  # those with an owner
        if isinstance(inner, Asked):
            inner = replace(inner, order=inner.order[2:])  # two for each level
        if not isinstance(inner, Waits) or inner.owner:
            self._inside.setdefault(owner[0], []).append(inner)
