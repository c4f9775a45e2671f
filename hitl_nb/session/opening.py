"""`review()`: run a graph, have its questions answered by whoever can answer here, go on until it ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args
from uuid import UUID

from hitl_nb.checkpoint.base import check_thread_id
from hitl_nb.decisions.answers import OnMissing
from hitl_nb.decisions.reviewer import reviewer_name
from hitl_nb.errors import NoCheckpointerError
from hitl_nb.graph.compiled import CompiledGraph
from hitl_nb.responders.base import Responder
from hitl_nb.responders.choose import choose_front_end
from hitl_nb.session.session import ReviewSession
from hitl_nb.session.stopped import Stopped


def review(
    graph: CompiledGraph,
    input: Mapping[str, Any] | None = None,  # noqa: A002  as in invoke()
    *,
    thread_id: str | UUID,
    answers: Any = None,
    responder: Responder | None = None,
    reviewer: str | None = None,
    on_missing: OnMissing = "fail",
    context: Any = None,
) -> ReviewSession:
    """A session that runs the graph on a thread and gets its questions answered.

    A new thread starts with `input`; a waiting one shows its open question again; a finished one shows its receipts and runs nothing. So the cell can
    be run again at any time, in another kernel and on another day.

    answers: scripted answers (a list in order, a mapping by node, the content of an answers file, or the path of one).
    responder: who answers, instead of the answers, the card of the notebook or the terminal.
    reviewer: recorded with each decision; default: the JupyterHub user, else the login name.
    on_missing: what happens to a question that nobody answers here: "fail" raises MissingAnswerError with the lines to add, "leave_open" returns.
    context: for nodes that ask for a Runtime, as in `graph.invoke(…, context=)`; it is not stored.

    Scripted answers have all been given when this returns; a card is answered later, see `ReviewSession.result`.
    Raises ThreadInputError for a thread that was started with another input, EmptyInputError for a new thread without input, NoCheckpointerError,
    AnswersFileError (before anything runs), MissingAnswerError, InvalidAnswerError, DeadlinePassedError for a scripted answer that comes late, and
    what a node raises.

    >>> from hitl_nb import MemorySaver, StateGraph, interrupt, review
    >>> def publish(state):
    ...     return {"published": interrupt("Publish?")}
    >>> graph = StateGraph().add_node("publish", publish).set_entry_point("publish").compile(checkpointer=MemorySaver())
    >>> session = review(graph, {"title": "Tea"}, thread_id="tea", answers=[True], reviewer="dana")
    Publish? True, by dana (script)
    >>> session.result()
    {'title': 'Tea', 'published': True}
    """
    thread_id = check_thread_id(thread_id)
    if not isinstance(graph, CompiledGraph):
        raise TypeError(f"review() got a {type(graph).__name__}; expected a compiled graph: builder.compile(checkpointer=DiskCacheSaver('reviews'))")
    if graph.checkpointer is None:
        raise NoCheckpointerError(
            "review() needs a graph that can pause, and this one has no checkpointer; compile(checkpointer=DiskCacheSaver('reviews'))",
            thread_id=thread_id,
        )
    if on_missing not in get_args(OnMissing):
        raise ValueError(f"on_missing is {on_missing!r}; expected 'fail' or 'leave_open'")
    front = choose_front_end(responder=responder, answers=answers, on_missing=on_missing)
    session = ReviewSession(graph, graph.checkpointer, thread_id, front, reviewer_name(reviewer), context=context, now=graph.now)
    if front.met is not None:
        front.met(session)
    with Stopped(session):
        session.open(input)
    if front.stops and session.status == "waiting":
        raise session.still_waiting("and this run leaves open what its answers do not say")
    return session
