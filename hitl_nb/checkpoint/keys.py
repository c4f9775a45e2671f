"""What the records of a thread are called."""

from __future__ import annotations

from typing import Final

from hitl_nb.checkpoint.records import ValueRef

OPEN_PREFIX: Final = "!o/"
"""Of the open questions, in brief; sorts first."""


def task_places(task_id: str) -> tuple[str, str]:
    """Where the graphs run that a task calls: its node, and the node's error handler, which is never to go on with a graph of the node."""
    return task_id, f"!{task_id}"


def memory_places(node: str) -> tuple[str, str]:
    """The same for graphs that remember their state from one task of this node to the next."""
    return f"@{node}", f"!@{node}"


def nested_thread_id(thread_id: str, place: str, number: int) -> str:
    """The thread of a graph inside this one, in a task or a memory: the number-th there, from 0. No caller can name it."""
    return f"{thread_id}\x1f{place}\x1f{number}"


def is_nested(thread_id: str) -> bool:
    """True for the thread of a graph inside another thread."""
    return "\x1f" in thread_id


def graph_key(fingerprint: str) -> str:
    return f"g/{fingerprint}"


def checkpoint_id(nonce: str, seq: int) -> str:
    """What callers call a checkpoint, as `checkpoint_id` of a config."""
    return f"{nonce}-{seq:010d}"


def head_key(thread_id: str) -> str:
    return f"h/{thread_id}"


def checkpoint_key(thread_id: str, seq: int) -> str:
    return f"c/{seq:010d}/{thread_id}"


def value_key(thread_id: str, ref: ValueRef) -> str:
    """Of a large value; a small one lies inside its checkpoint's record."""
    return f"v/{ref.seq:010d}/{ref.slot:04d}/{thread_id}"


def events_key(thread_id: str, seq: int, batch: int) -> str:
    return f"p/{seq:010d}/{batch:06d}/{thread_id}"


def question_key(interrupt_id: str) -> str:
    return f"q/{interrupt_id}"


def decided_key(interrupt_id: str) -> str:
    return f"i/{interrupt_id}"


def decision_key(thread_id: str, number: int) -> str:
    return f"a/{number:010d}/{thread_id}"


def vote_key(interrupt_id: str, number: int) -> str:
    return f"b/{interrupt_id}/{number:06d}"


def kept_key(task_id: str, n: int) -> str:
    return f"k/{task_id}/{n:06d}"


def log_key(number: int) -> str:
    return f"d/{number:012d}"


def withdrawn_key(interrupt_id: str) -> str:
    """Of the mark that an answer no longer counts."""
    return f"w/{interrupt_id}"
