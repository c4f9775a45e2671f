"""Whether the decision log of a store is whole, and whether the records that it tells of are what they were."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from hitl_nb.checkpoint.audit import LogEntry, digest, log_head
from hitl_nb.checkpoint.keys import decided_key, decision_key, head_key, log_key, question_key, vote_key
from hitl_nb.checkpoint.progress import bar
from hitl_nb.checkpoint.questions import several_of
from hitl_nb.checkpoint.reading import ThreadReader
from hitl_nb.checkpoint.reviewers import folded
from hitl_nb.checkpoint.serde import unpack
from hitl_nb.checkpoint.voting import latest
from hitl_nb.errors import CorruptStoreError
from hitl_nb.plain.tracebacks import letting_go

_LOOKS: Final = 3


@dataclass(frozen=True, slots=True)
class Verification:
    """What a look at the whole log found."""

    count: int
    """Entries, as the store says."""
    head: str
    """Hash of the newest entry, hex: whoever keeps it elsewhere can tell later that nothing up to here was changed. Empty: there is none."""
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What is no problem, and good to know."""

    @property
    def ok(self) -> bool:
        return not self.problems


@letting_go
def verify(store: ThreadReader, head: str | None = None) -> Verification:
    """Read the whole log and every record that it tells of, as they are at one moment, however many decide meanwhile.

    One entry is in memory at a time. `head`: a hash that was noted earlier, hex, of which the log has to be a continuation.
    """
    for _ in range(_LOOKS):
        with store.at_one_moment() as now:
            found = _verify(now, head)
            if now.was_one_moment():
                break
    return found


def _verify(store: ThreadReader, head: str | None) -> Verification:
    chain, problems, notes = list[str](), list[str](), list[str]()
    try:
        count, newest = log_head(store)
    except CorruptStoreError as error:
        return Verification(0, "", (str(error),))
    logged: dict[str, list[int]] = defaultdict(list)
    voted: dict[str, list[int]] = defaultdict(list)
    wanted = None if head is None else head.strip().lower()
    read, noted_at, old, last_old = 0, -1, 0, -1
    for entry in _chain(store, count, newest):
        if isinstance(entry, str):
            chain.append(entry)
            continue
        if wanted and noted_at < 0 and entry.hash.hex() == wanted:
            noted_at, noted = read, entry.number
        read += 1
        if entry.version == 1:
            old, last_old = old + 1, entry.number
        if entry.kind in ("decision", "expired"):
            logged[entry.thread_id].append(entry.decision)
            problems += (f"entry {entry.number}: {told}" for told in _record(store, entry))
        if entry.kind == "vote":
            voted[entry.interrupt_id].append(entry.decision)
            problems += (f"entry {entry.number}: {told}" for told in _vote(store, entry))
        if entry.kind == "decision" and entry.question_digest:
            problems += (f"entry {entry.number}: {told}" for told in _rules(store, entry, len(voted[entry.interrupt_id])))
    for interrupt_id, numbers in voted.items():
        if numbers != list(range(len(numbers))) or store._read(vote_key(interrupt_id, len(numbers))) is not None:
            problems.append(f"question {interrupt_id} has votes that the log does not have in order (it has {numbers})")
    for thread_id, numbers in logged.items():
        problems += _unlogged(store, thread_id, numbers)
        if numbers[0] > 0:
            notes.append(f"thread {thread_id!r}: its decisions 0 to {numbers[0] - 1} were made before the log began, and are not covered by it")
    if old:
        several = f"entries up to {last_old} are" if old > 1 else f"entry {last_old} is"
        notes.append(f"{several} of an earlier version, which held no time, no reviewer and nothing of the question")
    if noted_at >= 0:
        since = read - noted_at - 1
        notes.append(f"the hash {wanted} is that of entry {noted}: what is before it was not changed since; {since} came after it")
    elif wanted is not None and len(wanted) not in (32, 64):  # tables show the first letters of one
        problems.append(f"no entry has the hash {wanted}, which is only a part of one and says nothing: give it as hitl-nb audit --verify prints it")
    elif wanted is not None:
        problems.append(f"no entry has the hash {wanted}: the log was cut short or rewritten since that hash was noted")
    return Verification(count, newest.hex(), (*chain, *problems), tuple(notes))


def _chain(store: ThreadReader, count: int, newest: bytes) -> Iterator[LogEntry | str]:
    """The entries that can be read, one in memory at a time, and in words what is wrong with the chain itself."""
    last = b""
    for n in bar(range(count), "Log", total=count):
        try:
            raw = store._read(log_key(n))
            if raw is None:
                yield f"entry {n} is missing: it was removed"
                last = b"?"
                continue
            entry = LogEntry.from_wire(n, unpack(raw))
        except CorruptStoreError as error:
            yield f"entry {n} was changed: {error}"
            last = b"?"
            continue
        if entry.number != n:
            yield f"entry {n} says that it is entry {entry.number}: the log was reordered"
        if entry.link() != entry.hash:
            yield f"entry {n} was changed: its hash is not that of its content"
        if last not in (b"?", entry.before):
            yield f"entry {n} does not follow entry {n - 1}: one of them was changed, removed or reordered"
        last = entry.hash
        yield entry
    if last not in (b"?", newest):
        yield f"the log's head is not the hash of its newest entry ({count - 1}): the head or the entry was changed"
    if store._read(log_key(count)) is not None:
        yield f"there is an entry {count} behind the log's head: the head was set back"


def _record(store: ThreadReader, entry: LogEntry) -> Iterator[str]:
    """What is wrong with the records that an entry of a decision tells of."""
    what = f"decision {entry.decision} of thread {entry.thread_id!r}"
    try:
        raw = store._read(decision_key(entry.thread_id, entry.decision))
        if raw is None:
            yield f"{what} is missing: it was removed"
            return
        if digest(raw, entry) != entry.decision_digest:
            yield f"{what} was changed since it was logged"
        interrupt_id = unpack(raw)[0] if entry.version == 1 else entry.interrupt_id
        decided = store._read(decided_key(interrupt_id))
        if decided is None or unpack(decided) != [entry.thread_id, entry.decision]:
            yield f"{what}: its question {interrupt_id} says that another decision answered it, or none"
        if entry.question_digest:
            yield from _question(store, entry, interrupt_id, what)
    except CorruptStoreError as error:
        yield f"{what} cannot be read: {error}"


def _vote(store: ThreadReader, entry: LogEntry) -> Iterator[str]:
    """The same for an entry of a vote."""
    what = f"vote {entry.decision} on question {entry.interrupt_id}"
    try:
        raw = store._read(vote_key(entry.interrupt_id, entry.decision))
        if raw is None:
            yield f"{what} is missing: it was removed"
            return
        if digest(raw) != entry.decision_digest:
            yield f"{what} was changed since it was logged"
        yield from _question(store, entry, entry.interrupt_id, what)
    except CorruptStoreError as error:
        yield f"{what} cannot be read: {error}"


def _question(store: ThreadReader, entry: LogEntry, interrupt_id: str, what: str) -> Iterator[str]:
    """Whether the question is what was answered."""
    asked = store._read(question_key(interrupt_id))
    if asked is None:
        yield f"{what}: its question {interrupt_id} is missing: it was removed"
    elif digest(asked) != entry.question_digest:
        yield f"{what}: its question {interrupt_id} was changed since it was answered"


def _rules(store: ThreadReader, entry: LogEntry, votes: int) -> Iterator[str]:
    """Whether a decision keeps to what its question asks for, as far as the store itself can tell. `votes`: how many the log has before it."""
    what = f"decision {entry.decision} of thread {entry.thread_id!r}"
    try:
        asked = store._read(question_key(entry.interrupt_id))
        four_eyes, quorum = ((), 1) if asked is None else several_of(unpack(asked))
        if folded(entry.by) in map(folded, four_eyes):
            yield f"{what} was made by {entry.by}, who asked for it (four eyes)"
        if quorum > 1:
            given = latest(store.votes(entry.interrupt_id)[:votes], folded)
            alike = max(Counter(v.choice for v in given).values(), default=0)
            if alike < quorum:
                yield f"{what} needs {quorum} reviewers who answer alike, and the log has {alike} before it"
    except CorruptStoreError as error:
        yield f"{what} cannot be read: {error}"
    except (TypeError, LookupError, ValueError):  # what is no such record has another digest, which is told; or a class that is not loaded here
        return


def _unlogged(store: ThreadReader, thread_id: str, numbers: list[int]) -> Iterator[str]:
    """Decisions of the thread that should have an entry and have none."""
    try:
        raw, made = store._read(head_key(thread_id)), store._left_behind(thread_id)
    except CorruptStoreError as error:
        yield f"where thread {thread_id!r} stands cannot be read: {error}"
        return
    expected = range(numbers[0], max(made, numbers[-1] + 1))
    if raw is None:
        yield f"thread {thread_id!r} made decisions, and the store does not know it any more"
    if numbers != list(expected):
        missing: Any = sorted(set(expected) - set(numbers)) or "none, but their order"
        yield f"thread {thread_id!r} has {made} decisions, and the log does not have them in order (missing: {missing})"
