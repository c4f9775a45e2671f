"""What the events of one checkpoint add up to: which tasks are done, which questions are open, which answers count."""

from __future__ import annotations

from collections.abc import Iterable

from hitl_nb.checkpoint.records import Answered, Asked, Event, Failed, Finished, Withdrawn


class Ledger:
    """The sum of a checkpoint's events so far. `add` keeps it current; nothing is ever taken out of the store."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.asked: dict[str, Asked] = {}
        """By interrupt id, in the order asked; without the withdrawn."""
        self.answered: dict[str, Answered] = {}
        """By interrupt id; without the withdrawn."""
        self.finished: dict[str, Finished] = {}
        """By task id."""
        self.failed: dict[str, Failed] = {}
        """By task id: the latest failure of a task that has not finished."""
        self.withdrawn: dict[tuple[str, int], list[Withdrawn]] = {}
        """What was withdrawn at (task id, position)."""
        self._of_task: dict[str, dict[str, Asked]] = {}
        for event in events:
            self.add(event)

    def add(self, event: Event) -> None:
        match event:
            case Asked():
                self.asked[event.interrupt_id] = event
                self._of_task.setdefault(event.task_id, {})[event.interrupt_id] = event
                self.failed.pop(event.task_id, None)
            case Answered():
                self.answered[event.interrupt_id] = event
            case Finished():
                self.finished[event.task_id] = event
                self.failed.pop(event.task_id, None)
            case Failed():
                self.failed[event.task_id] = event
                self.finished.pop(event.task_id, None)  # a result that could not be used: the task runs again
            case Withdrawn():
                self.asked.pop(event.interrupt_id, None)
                self._of_task.get(event.task_id, {}).pop(event.interrupt_id, None)
                self.answered.pop(event.interrupt_id, None)
                self.finished.pop(event.task_id, None)
                self.failed.pop(event.task_id, None)
                self.withdrawn.setdefault((event.task_id, event.position), []).append(event)

    def of_task(self, task_id: str) -> list[Asked]:
        """The task's questions, by position."""
        return sorted(self._of_task.get(task_id, {}).values(), key=lambda a: a.position)

    def is_open(self, interrupt_id: str) -> bool:
        asked = self.asked.get(interrupt_id)
        return asked is not None and interrupt_id not in self.answered and asked.task_id not in self.finished

    def open(self) -> list[Asked]:
        """Every question that waits for an answer, in the order asked."""
        return [a for i, a in self.asked.items() if self.is_open(i)]

    def was_withdrawn(self, interrupt_id: str) -> bool:
        """True when the question was withdrawn at this checkpoint."""
        return any(w.interrupt_id == interrupt_id for gone in self.withdrawn.values() for w in gone)

    def waits(self, task_id: str) -> bool:
        """True when the task has asked and not been answered: running it again would only ask again."""
        return any(not a.carried and i not in self.answered for i, a in self._of_task.get(task_id, {}).items())
