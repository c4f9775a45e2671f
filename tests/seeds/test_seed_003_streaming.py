"""Seed 003 (LangGraph in production): progress events around an interrupt, and the client that shows them."""

import asyncio
from typing import TypedDict

import pytest

from hitl_nb import END, START, Command, StateGraph, StreamWriter, interrupt


class ContractState(TypedDict, total=False):
    """The keys that this sample uses."""

    draft: str
    outcome: str


async def streaming_review(state: ContractState, writer: StreamWriter) -> Command:
    """Stream progress updates while waiting for human review."""
    # Stream status update
    writer({"status": "awaiting_review", "draft": state["draft"]})
    # Interrupt for human input
    decision = interrupt({"type": "review", "draft": state["draft"]})
    # Stream decision received
    writer({"status": "review_complete", "decision": decision["action"]})
    if decision["action"] == "approve":
        return Command(goto="finalize")
    else:  # noqa: RET505  # as the seed writes it
        return Command(goto="revise")


@pytest.fixture
def app(saver):
    builder = StateGraph(ContractState)
    builder.add_node("review", streaming_review)
    for outcome in ("finalize", "revise"):
        builder.add_node(outcome, lambda state, outcome=outcome: {"outcome": outcome})
        builder.add_edge(outcome, END)
    builder.add_edge(START, "review")
    return builder.compile(checkpointer=saver)


async def get_human_decision(payload):
    return {"action": "approve"}


# -- the client as the seed writes it --------------------------------------------------------------------------------------------------


async def handle_workflow_stream(app, config, initial_state):
    """Handle streaming workflow with interrupts."""
    async for event in app.astream(initial_state, config):
        if "status" in event:
            print(f"Status: {event['status']}")
        if event.get("type") == "interrupt":
            # Workflow paused - show review UI
            print(f"Review needed: {event['payload']}")
            # Get human decision (from UI, API, etc.)
            decision = await get_human_decision(event["payload"])
            # Resume workflow
            async for resume_event in app.astream(Command(resume=decision), config):
                print(f"Resume event: {resume_event}")


def test_the_seeds_client_looks_for_events_of_another_shape_and_leaves_the_question_open(app, config, capsys):
    """None of its tests fits: progress comes with stream_mode "custom", and a pause is the event `{"__interrupt__": (Interrupt, …)}`."""
    asyncio.run(handle_workflow_stream(app, config, {"draft": "text"}))
    assert capsys.readouterr().out == ""
    assert app.get_state(config).interrupts[0].value == {"type": "review", "draft": "text"}


# -- the client that reads what comes --------------------------------------------------------------------------------------------------


async def followed(app, config, initial_state):
    """What a client shows that answers the pause when it comes."""
    shown, given = [], initial_state
    while given is not None:
        current, given = given, None
        async for mode, event in app.astream(current, config, stream_mode=["custom", "updates"]):
            if mode == "custom":
                shown.append(event["status"])
            elif "__interrupt__" in event:
                shown.append("asked")
                given = Command(resume=await get_human_decision(event["__interrupt__"][0].value))
            else:
                shown.append(next(iter(event)))
    return shown


def test_progress_comes_before_and_after_the_pause_and_what_precedes_the_question_twice(app, config):
    """The node runs again from its top (semantics R2), and what it writes before the question is written again."""
    shown = asyncio.run(followed(app, config, {"draft": "text"}))
    assert shown == ["awaiting_review", "asked", "awaiting_review", "review_complete", "review", "finalize"]
    assert app.get_state(config).values == {"draft": "text", "outcome": "finalize"}


@pytest.mark.parametrize(("action", "outcome"), [("approve", "finalize"), ("anything else", "revise")])
def test_an_async_node_streams_its_progress_to_a_sync_client(app, config, action, outcome):
    """On the seed's own system this is a TypeError (semantics R21)."""
    waiting = {"status": "awaiting_review", "draft": "text"}
    assert list(app.stream({"draft": "text"}, config, stream_mode="custom")) == [waiting]
    events = list(app.stream(Command(resume={"action": action}), config, stream_mode="custom"))
    assert events == [waiting, {"status": "review_complete", "decision": action}]
    assert app.get_state(config).values["outcome"] == outcome


def test_a_writer_writes_to_nobody_where_nobody_streams(app, config):
    assert app.invoke({"draft": "text"}, config).is_interrupted
    assert app.invoke(Command(resume={"action": "approve"}), config)["outcome"] == "finalize"
