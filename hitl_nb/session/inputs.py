"""Whether the input given to `review` fits the thread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.records import Head
from hitl_nb.errors import EmptyInputError, ThreadInputError
from hitl_nb.graph.types import pairs


def check_input(saver: Checkpointer, thread_id: str, given: Mapping[str, Any] | None, head: Head | None) -> None:
    """Raise EmptyInputError for a new thread without input, ThreadInputError for a thread (at `head`) that was started with another one."""
    if head is None and given is None:
        raise EmptyInputError(
            f"thread {thread_id!r} is new and review() got no input; give the initial state: review(graph, {{…}}, thread_id=…)", thread_id=thread_id
        )
    if head is not None and given is not None and head.input_digest != saver.serde.digest(dict(pairs(given, "review(input)")), "input"):
        raise ThreadInputError(
            f"thread {thread_id!r} was started with another input. To start anew, use another thread_id; to go on with this thread, leave the "
            "input out: review(graph, thread_id=…)",
            thread_id=thread_id,
        )
