"""Seed 001 (LangGraph): the web API, under the real FastAPI. Its endpoints are coroutines that call `invoke`, so the event loop runs meanwhile."""

import uuid
from typing import Any, TypedDict

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel

from hitl_nb import Command, interrupt


class State(TypedDict, total=False):
    amount: int
    manager: bool
    director: bool


class ResumeRequest(BaseModel):
    thread_id: str
    resume_value: Any


def api(graph):
    app = FastAPI()

    @app.post("/start")
    async def start_workflow(input_data: dict):
        thread_id = str(uuid.uuid4())
        config = {"configurable": {"thread_id": thread_id}}
        result = graph.invoke(input_data, config)
        state = graph.get_state(config)
        if state.interrupts:
            return {"status": "interrupted", "thread_id": thread_id, "interrupt": state.interrupts[0].value, "next": state.next}
        return {"status": "complete", "result": result}

    @app.post("/resume")
    async def resume_workflow(request: ResumeRequest):
        config = {"configurable": {"thread_id": request.thread_id}}
        result = graph.invoke(Command(resume=request.resume_value), config)
        state = graph.get_state(config)
        if state.interrupts:
            return {"status": "interrupted", "interrupt": state.interrupts[0].value}
        return {"status": "complete", "result": result}

    return TestClient(app)


def manager(state: State) -> dict:
    return {"manager": interrupt({"level": "manager", "amount": state["amount"]})}


async def director(state: State) -> dict:
    return {"director": interrupt({"level": "director", "amount": state["amount"]})}


@pytest.fixture
def client(chain):
    with api(chain(State, {"manager": manager, "director": director})) as client:
        yield client


def test_start_reports_the_question_and_each_resume_the_next_until_the_end(client):
    started = client.post("/start", json={"amount": 20_000}).json()
    thread = {"thread_id": started.pop("thread_id")}
    assert started == {"status": "interrupted", "interrupt": {"level": "manager", "amount": 20_000}, "next": ["manager"]}
    second = client.post("/resume", json={**thread, "resume_value": True}).json()
    assert second == {"status": "interrupted", "interrupt": {"level": "director", "amount": 20_000}}
    last = client.post("/resume", json={**thread, "resume_value": False}).json()
    assert last == {"status": "complete", "result": {"amount": 20_000, "manager": True, "director": False}}


def test_a_run_that_asks_nobody_is_complete_at_once(chain):
    with api(chain(State, {"manager": lambda state: {"manager": state["amount"] < 1000}})) as client:
        assert client.post("/start", json={"amount": 10}).json() == {"status": "complete", "result": {"amount": 10, "manager": True}}


@pytest.mark.parametrize("go_on", [True, None])
def test_a_static_pause_is_reported_as_a_pause(chain, go_on):
    """On the seed's own system its interrupts are empty and the sample answers "complete" (semantics R12)."""
    with api(chain(State, {"manager": lambda state: {"manager": True}, "director": lambda state: None}, interrupt_before=["director"])) as client:
        started = client.post("/start", json={"amount": 5}).json()
        assert (started["status"], started["interrupt"]) == ("interrupted", {"node": "director", "when": "before"})
        resumed = client.post("/resume", json={"thread_id": started["thread_id"], "resume_value": go_on}).json()
        assert resumed == {"status": "complete", "result": {"amount": 5, "manager": True}}
