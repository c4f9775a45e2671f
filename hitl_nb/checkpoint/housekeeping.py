"""Delete, copy and prune whole threads. Each is one transaction, and reads no thread but its own.

What was decided outlives its thread: decisions, votes, their log, and the questions they answered are never removed here.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hitl_nb.checkpoint.committing import new_head
from hitl_nb.checkpoint.keys import (
    OPEN_PREFIX,
    checkpoint_key,
    decided_key,
    events_key,
    head_key,
    kept_key,
    memory_places,
    nested_thread_id,
    question_key,
    task_places,
    value_key,
    vote_key,
)
from hitl_nb.checkpoint.records import (
    Asked,
    Checkpoint,
    Event,
    Head,
    ValueRef,
    boundary_id,
    event_from_wire,
    event_to_wire,
    fingerprint,
    task_id,
)
from hitl_nb.checkpoint.serde import pack, unpack
from hitl_nb.errors import ThreadExistsError, UnknownThreadError

if TYPE_CHECKING:
    from hitl_nb.checkpoint.base import Checkpointer


def delete(store: Checkpointer, thread_id: str) -> None:
    """`Checkpointer.delete_thread`."""
    with store.guard(thread_id), store._transaction():
        for name in belonging(store, thread_id):
            _delete(store, name)


def keep_latest(store: Checkpointer, thread_id: str) -> None:
    """`Checkpointer.prune`, of one thread."""
    with store.guard(thread_id), store._transaction():
        _keep_latest(store, thread_id)


def copy(store: Checkpointer, source: str, target: str) -> None:
    """`Checkpointer.copy_thread`."""
    with ExitStack() as held:
        for name in dict.fromkeys((source, target)):
            held.enter_context(store.guard(name))
        held.enter_context(store._transaction())
        head = store.head(source)
        if head is None:
            raise UnknownThreadError(f"the store holds no thread {source!r}, so there is nothing to copy", thread_id=source)
        if store.head(target) is not None:
            raise ThreadExistsError(
                f"there is a thread {target!r} already, and nothing was copied over it; name a new one, or delete_thread({target!r}) first",
                thread_id=target,
            )
        _Copy(store, secrets.token_hex(6), target).make(source, head)


# -- what belongs to a thread -------------------------------------------------------------------------------------------------------------


def belonging(store: Checkpointer, thread_id: str) -> list[str]:
    """The thread, and the threads of the subgraphs that its tasks ran, and theirs."""
    head = store.head(thread_id)
    if head is None:
        return []
    places = _Holdings.of(store, thread_id, range(head.first, head.seq + 1)).places
    return [thread_id, *(inside for name in _nested(store, thread_id, places) for inside in belonging(store, name))]


def _nested(store: Checkpointer, thread_id: str, places: Iterable[str]) -> Iterator[str]:
    """The threads of graphs at these places of the thread, found by the names they would have."""
    for place in places:
        number = 0
        while store.head(name := nested_thread_id(thread_id, place, number)) is not None:
            yield name
            number += 1


def _kept(store: Checkpointer, task: str) -> Iterator[str]:
    """The keys of what `once` keeps for a task."""
    number = 0
    while store._read(key := kept_key(task, number)) is not None:
        yield key
        number += 1


@dataclass(slots=True)
class _Holdings:
    """What some checkpoints of a thread are made of. Dicts for their order."""

    keys: dict[str, None] = field(default_factory=dict)
    """The keys of checkpoints, values, events, and of what `once` keeps."""
    asked: dict[str, None] = field(default_factory=dict)
    """Ids of the questions."""
    places: dict[str, None] = field(default_factory=dict)
    """Where graphs may run inside: the ids of the tasks, and the memories of their nodes."""

    @classmethod
    def of(cls, store: Checkpointer, thread_id: str, seqs: range) -> _Holdings:
        """Of the checkpoints `seqs`, which begin at the thread's first or end at its head."""
        found, head = cls(), store.head(thread_id)
        if head is None or not seqs:
            return found
        batches = head.events if seqs[-1] == head.seq else store.checkpoint(thread_id, seqs[-1] + 1).events_before
        for seq in reversed(seqs):
            checkpoint = store.checkpoint(thread_id, seq)
            found.keys[checkpoint_key(thread_id, seq)] = None
            found.keys |= dict.fromkeys(value_key(thread_id, ref) for ref in _large(checkpoint))
            found.keys |= dict.fromkeys(events_key(thread_id, seq, n) for n in range(batches))
            found.asked |= dict.fromkeys(e.interrupt_id for e in _events(store, thread_id, seq, batches) if isinstance(e, Asked))
            found.places |= dict.fromkeys(place for t in checkpoint.tasks for place in (*task_places(t.id), *memory_places(t.node)))
            found.keys |= dict.fromkeys(key for t in checkpoint.tasks for key in _kept(store, t.id))
            batches = checkpoint.events_before
        found.places |= dict.fromkeys(place for node in head.memories for place in memory_places(node))
        return found


def _events(store: Checkpointer, thread_id: str, seq: int, batches: int) -> Iterator[Event]:
    for n in range(batches):
        yield from map(event_from_wire, unpack(store._must(events_key(thread_id, seq, n), thread_id)))


def _large(checkpoint: Checkpoint) -> list[ValueRef]:
    return [ref for ref in checkpoint.versions.values() if ref.slot >= 0]


# -- delete and prune ---------------------------------------------------------------------------------------------------------------------


def _delete(store: Checkpointer, thread_id: str) -> None:
    head = store.head(thread_id)
    assert head is not None  # `belonging` lists threads that are there
    _erase(store, _Holdings.of(store, thread_id, range(head.first, head.seq + 1)), _Holdings())
    if head.decisions:  # the next thread of this name numbers its decisions on from these
        store._put(head_key(thread_id), pack(Head("", -1, decisions=head.decisions).to_wire()))
    else:
        store._erase(head_key(thread_id))


def _keep_latest(store: Checkpointer, thread_id: str) -> None:
    head = store.head(thread_id)
    if head is None or head.first == head.seq:
        return
    latest = store.checkpoint(thread_id, head.seq)
    kept = _Holdings.of(store, thread_id, range(head.seq, head.seq + 1))
    old = _Holdings.of(store, thread_id, range(head.first, head.seq))
    memories = tuple(sorted({t.node for seq in range(head.first, head.seq) for t in store.checkpoint(thread_id, seq).tasks} | {*head.memories}))
    memories = tuple(node for node in memories if any(_nested(store, thread_id, memory_places(node))))
    kept.places |= dict.fromkeys(place for node in memories for place in memory_places(node))
    for name in _nested(store, thread_id, old.places.keys() - kept.places.keys()):
        for inside in belonging(store, name):
            _delete(store, inside)
    for name in _nested(store, thread_id, kept.places):
        if not _goes_back(store, name, latest):
            _keep_latest(store, name)
    values = store.encoded(thread_id, latest)
    inline = {key: values[key] for key, ref in latest.versions.items() if ref.slot < 0}
    versions = {key: ref if ref.slot >= 0 else ValueRef(head.seq) for key, ref in latest.versions.items()}
    _erase(store, old, kept)
    store._erase(checkpoint_key(thread_id, head.seq))
    store._put(checkpoint_key(thread_id, head.seq), pack(replace(latest, parent=None, versions=versions, inline=inline).to_wire()))
    store._put(head_key(thread_id), pack(replace(head, first=head.seq, memories=memories).to_wire()))


def _goes_back(store: Checkpointer, name: str, around: Checkpoint) -> bool:
    """True for a memory in use by a task that has not finished: a question that is reopened may take it back to what it was before the task."""
    head, place = store.head(name), name.rsplit("\x1f", 2)[1]
    return head is not None and "@" in place and any(head.input_digest.startswith(f"{t.id} ") for t in around.tasks)


def _erase(store: Checkpointer, gone: _Holdings, kept: _Holdings) -> None:
    for key in gone.keys.keys() - kept.keys.keys():
        store._erase(key)
    for interrupt_id in gone.asked.keys() - kept.asked.keys():
        store._delete(OPEN_PREFIX + interrupt_id)
        if store._read(decided_key(interrupt_id)) is None and store._read(vote_key(interrupt_id, 0)) is None:  # else it says what was decided
            store._erase(question_key(interrupt_id))


# -- copy -----------------------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Copy:
    """A copy being made. All its ids derive from a nonce of its own, so nothing that is meant for the original fits it."""

    store: Checkpointer
    nonce: str
    target: str
    asks_again: frozenset[str] = frozenset()
    """Tasks that had an answer and have not finished. They begin anew, and so do the graphs that they run."""
    tasks: dict[str, str] = field(default_factory=dict)
    """The ids of the original's tasks, to those of the copy's."""
    threads: list[tuple[str, str, Head]] = field(default_factory=list)
    """What was copied so far: the original's name, the copy's name and its head."""

    def make(self, source: str, head: Head) -> None:
        ledger = self.store.ledger(source, head)
        self.asks_again = frozenset(a.task_id for i, a in ledger.asked.items() if i in ledger.answered) - ledger.finished.keys()
        self._checkpoints(source, self.target, head, self.nonce)
        for original, name, at in self.threads:  # the ids of all tasks are known by now, as an event may name one of another thread
            events = self._events(original)
            if events:
                self.store._put(events_key(name, at.seq, 0), pack([event_to_wire(e) for e in events]))
            self.store._put(head_key(name), pack(replace(at, events=int(bool(events))).to_wire()))

    def _checkpoints(self, source: str, target: str, head: Head, nonce: str) -> None:
        """The checkpoints and values of a thread and of those inside it, and what `once` keeps for their tasks."""
        store, tasks, values = self.store, dict[str, str](), dict[str, str]()
        places = {place: place for node in head.memories for place in memory_places(node)}
        for seq in range(head.first, head.seq + 1):
            checkpoint = store.checkpoint(source, seq)
            tasks |= {t.id: task_id(nonce, t.seq, t.path) for t in checkpoint.tasks}
            places |= {place: place for t in checkpoint.tasks for place in memory_places(t.node)}
            values |= {value_key(source, ref): value_key(target, ref) for ref in _large(checkpoint)}
            planned = tuple(replace(t, id=tasks[t.id]) for t in checkpoint.tasks)
            own = replace(checkpoint, nonce=nonce, tasks=planned, events_before=0, begun=self._begun(checkpoint.begun))
            store._put(checkpoint_key(target, seq), pack(own.to_wire()))
        for task, new in tasks.items():
            values |= {key: kept_key(new, n) for n, key in enumerate(_kept(store, task))}
        for old_key, new_key in values.items():
            store._put(new_key, store._must(old_key, source))
        for t in tasks.keys() - self.asks_again:
            places |= zip(task_places(t), task_places(tasks[t]), strict=True)
        self.tasks |= tasks | {boundary_id(head.nonce, head.seq): boundary_id(nonce, head.seq)}
        begun = replace(new_head(nonce, store._left_behind(target)), input_digest=self._begun(head.input_digest))
        self.threads.append((source, target, replace(begun, seq=head.seq, first=head.first, memories=head.memories)))
        for place, new in places.items():
            for number, name in enumerate(_nested(store, source, [place])):
                inside = self._begins_again(name)
                if inside is None:
                    continue
                self._checkpoints(name, nested_thread_id(target, new, number), inside, fingerprint(nonce, new, number, size=6))

    def _begins_again(self, name: str) -> Head | None:
        """Where a thread inside stands in the copy: where it stands, or before what a task that begins anew did there. None: it has not begun."""
        head = self.store.head(name)
        assert head is not None  # it was found
        if head.input_digest.partition(" ")[0] not in self.asks_again:
            return head
        first = self.store.beginning(name, self.store.checkpoint(name, head.seq))
        return None if first is None or first.parent is None else replace(head, seq=first.parent, events=0)

    def _begun(self, digest: str) -> str:
        """What a thread was begun with; of a graph inside a task, with the copy's task."""
        task, space, begun_with = digest.partition(" ")
        return f"{'' if task in self.asks_again else self.tasks.get(task, '')} {begun_with}" if space else digest

    def _events(self, source: str) -> list[Event]:
        """What holds where the thread stands: results, failures, and the open questions of tasks that have no answer yet."""
        head, new = self.store.head(source), self.tasks
        assert head is not None  # it was copied
        ledger = self.store.ledger(source, head)
        failures = {**ledger.failed, **ledger.handled}
        events: list[Event] = [replace(f, task_id=new[t]) for t, f in ledger.finished.items() if t in new]
        for task, failed in failures.items():
            if task in new and task not in self.asks_again:
                events.append(replace(failed, task_id=new[task], before=()))
        for asked in ledger.open():
            around = (asked.task_id, *asked.owner)
            question = self.store.question(asked.interrupt_id)
            if question is not None and self.asks_again.isdisjoint(around) and all(t in new for t in around):
                own = fingerprint(self.nonce, "copy", asked.interrupt_id)
                self.store._ask(replace(question, id=own, thread_id=self.target, task_id=new[asked.task_id]))
                events.append(replace(asked, interrupt_id=own, task_id=new[asked.task_id], owner=tuple(new[t] for t in asked.owner)))
        return events
