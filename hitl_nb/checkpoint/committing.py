"""A commit, inside its transaction: the thread moves on from where the caller saw it, or nothing is written.

Most commits find the thread as the run left it, so its head is first compared and set in one, without reading it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hitl_nb.checkpoint import deciding
from hitl_nb.checkpoint.audit import log_return
from hitl_nb.checkpoint.keys import checkpoint_id, checkpoint_key, graph_key, head_key, is_nested, value_key
from hitl_nb.checkpoint.records import Checkpoint, Decision, Event, Head, Question, ValueRef
from hitl_nb.checkpoint.serde import pack, unpack
from hitl_nb.errors import ThreadMovedError

if TYPE_CHECKING:
    from hitl_nb.checkpoint.base import Checkpointer


def commit(
    store: Checkpointer,
    thread_id: str,
    expect: Head | None,
    *,
    closing: Sequence[Event] = (),
    checkpoint: Checkpoint | None = None,
    large: Mapping[int, bytes] | None = None,
    events: Sequence[Event] = (),
    questions: Sequence[Question] = (),
    decisions: Sequence[Decision] = (),
    input_digest: str | None = None,
    graph: bytes | None = None,
) -> Head:
    """`Checkpointer.commit`, inside its transaction."""
    key = head_key(thread_id)
    after = head_after(expect=expect, closing=closing, checkpoint=checkpoint, events=events, decisions=decisions, input_digest=input_digest)
    moved = expect is not None and not decisions and store._swap(key, pack(expect.to_wire()), pack(after.to_wire()))
    head = expect if moved and expect is not None else _where_it_stands(store, thread_id, expect, checkpoint, decisions)
    if closing and expect is not None:
        head = store._append(thread_id, head, closing)
    if checkpoint is not None:
        for slot, record in (large or {}).items():
            _write_value(store, thread_id, checkpoint, slot, record)
        store._put(checkpoint_key(thread_id, checkpoint.seq), pack(checkpoint.to_wire(head.events)))
        if checkpoint.source == "fork" and not is_nested(thread_id):
            log_return(store, thread_id, checkpoint)
        if graph is not None and checkpoint.graph not in store._graphs and store.graph_record(checkpoint.graph) is None:
            store._put(graph_key(checkpoint.graph), graph)
        head = head.at(checkpoint.seq, 0)
    if events:
        head = store._append(thread_id, head, events)
    for question in questions:
        store._ask(question)
    if moved:
        return after
    for decision in decisions:
        head = deciding.decide(store, thread_id, head, decision)
    head = head.at(head.seq, head.events, input_digest=input_digest)
    store._put(key, pack(head.to_wire()))
    return head


def _write_value(store: Checkpointer, thread_id: str, checkpoint: Checkpoint, slot: int, record: bytes) -> None:
    refs = [ref for ref in checkpoint.versions.values() if (ref.seq, ref.slot) == (checkpoint.seq, slot)]
    known = next((ref.digest for ref in refs), b"")
    digest = store._put_value(value_key(thread_id, ValueRef(checkpoint.seq, slot)), record, known)
    for ref in refs:
        ref.was_written(digest)


def head_after(
    *, expect: Head | None, closing: Sequence[Event] = (), checkpoint: Checkpoint | None = None, events: Sequence[Event] = (),
    decisions: Sequence[Any] = (), input_digest: str | None = None, **_: Any,
) -> Head:  # fmt: skip
    """The head after a commit with these arguments, while nobody else can move the thread."""
    head = expect or Head("" if checkpoint is None else checkpoint.nonce, -1)
    batches = head.events + bool(closing and expect is not None)
    seq, count = (head.seq, batches) if checkpoint is None else (checkpoint.seq, 0)
    return head.at(seq, count + bool(events), decided=len(decisions), input_digest=input_digest)


def new_head(nonce: str, left: int) -> Head:
    """The head of a thread that begins. `left`: decisions of a deleted thread of the same name, after which its own are numbered on."""
    return Head(nonce, -1, decisions=left, first_decision=left)


def _where_it_stands(
    store: Checkpointer, thread_id: str, expect: Head | None, checkpoint: Checkpoint | None, decisions: Sequence[Decision]
) -> Head:  # fmt: skip
    """The head as it is stored. Raises ThreadMovedError when the thread is elsewhere than `expect`, or passed over events the caller has not seen."""
    raw = store._read(head_key(thread_id))
    there = None if raw is None else Head.from_wire(unpack(raw))
    now = there if there is not None and there.seq >= 0 else None
    if (now is None) != (expect is None) or (now and expect and (now.nonce, now.seq) != (expect.nonce, expect.seq)):
        raise ThreadMovedError(
            f"thread {thread_id!r} moved to {_place(now)} while this run worked from {_place(expect)}; nothing was written, read it again",
            thread_id=thread_id,
        )
    if (checkpoint is not None or decisions) and now and expect and now.events != expect.events:
        raise ThreadMovedError(f"thread {thread_id!r} got an answer meanwhile; nothing was written, read it again", thread_id=thread_id)
    return now or new_head(checkpoint.nonce if checkpoint else "", 0 if there is None else there.decisions)


def _place(head: Head | None) -> str:
    return "nothing (a new thread)" if head is None else f"checkpoint {checkpoint_id(head.nonce, head.seq)}"
