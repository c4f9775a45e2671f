"""Seed 003 (LangGraph in production): the approval dashboard's backend, under the real FastAPI. The database is a list, mail a list of messages."""
# ruff: noqa: RET505  # else after return, as the seed writes it

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Optional, TypedDict

import pytest
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient
from pydantic import BaseModel

from hitl_nb import END, START, Command, StateGraph, errors, interrupt


@dataclass
class ApprovalRequest:
    """Database model for pending approvals."""

    id: str
    thread_id: str | None
    request_type: str
    payload: dict
    created_at: datetime
    deadline: datetime
    assigned_to: str
    status: str  # pending, approved, rejected, expired


class Database:
    """The seed's `db`."""

    def __init__(self):
        self.rows = []

    def save(self, row):
        self.rows.append(row)

    def query(self, model, **where):
        return [row for row in self.rows if all(getattr(row, name) == value for name, value in where.items())]

    def get(self, model, id):  # noqa: A002  # as the seed calls it
        return next(iter(self.query(model, id=id)), None)

    def update(self, model, id, **values):  # noqa: A002  # as the seed calls it
        for name, value in values.items():
            setattr(self.get(model, id), name, value)


class ApprovalState(TypedDict):
    """State for approval workflow."""

    request_id: str
    request_type: str
    payload: dict
    assigned_to: str
    deadline_hours: int
    approved: bool
    decision_notes: str
    decided_by: str
    decided_at: str


class FullState(ApprovalState):
    """The seed's state with the key that it leaves out."""

    status: str


class ApprovalDecision(BaseModel):
    approved: bool
    notes: Optional[str] = ""  # noqa: UP045  # as the seed writes it


class Office:
    """The seed's workflow and endpoints, with what they share."""

    def __init__(self, saver, schema=ApprovalState, thread_of=lambda state, config: state.get("thread_id")):
        self.db, self.mail, self.executed, self.rejected = Database(), [], [], []
        self.thread_of = thread_of
        builder = StateGraph(schema)
        builder.add_node("create_approval_request", self.create_approval_request)
        builder.add_node("await_decision", self.await_decision)
        builder.add_node("process_decision", self.process_decision)
        builder.add_edge(START, "create_approval_request")
        builder.add_edge("create_approval_request", "await_decision")
        builder.add_edge("process_decision", END)
        self.workflow_app = builder.compile(checkpointer=saver)
        self.client = TestClient(self.endpoints())

    # -- the workflow --------------------------------------------------------------------------------------------------------------

    def create_approval_request(self, state: ApprovalState, config) -> dict:
        """Create approval request record in database."""
        request_id = str(uuid.uuid4())
        deadline = datetime.now() + timedelta(hours=state["deadline_hours"])  # noqa: DTZ005  # as the seed writes it
        self.db.save(
            ApprovalRequest(
                id=request_id,
                thread_id=self.thread_of(state, config),
                request_type=state["request_type"],
                payload=state["payload"],
                created_at=datetime.now(),  # noqa: DTZ005  # as the seed writes it
                deadline=deadline,
                assigned_to=state["assigned_to"],
                status="pending",
            )
        )
        self.mail.append((state["assigned_to"], f"New approval request: {state['request_type']}", f"/approvals/{request_id}"))
        return {"request_id": request_id}

    def await_decision(self, state: ApprovalState) -> Command:
        """Interrupt and wait for human decision."""
        decision = interrupt(
            {
                "request_id": state["request_id"],
                "type": state["request_type"],
                "payload": state["payload"],
                "assigned_to": state["assigned_to"],
                "actions": ["approve", "reject"],
            }
        )
        self.db.update(ApprovalRequest, id=state["request_id"], status="approved" if decision["approved"] else "rejected")
        return Command(
            goto="process_decision",
            update={
                "approved": decision["approved"],
                "decision_notes": decision.get("notes", ""),
                "decided_by": decision.get("user"),
                "decided_at": datetime.now().isoformat(),  # noqa: DTZ005  # as the seed writes it
            },
        )

    def process_decision(self, state: ApprovalState) -> dict:
        """Process the approval decision."""
        if state["approved"]:
            self.executed.append((state["request_type"], state["payload"]))
            return {"status": "completed"}
        else:
            self.rejected.append((state["request_type"], state["payload"], state["decision_notes"]))
            return {"status": "rejected"}

    # -- the endpoints -------------------------------------------------------------------------------------------------------------

    def endpoints(self):
        app_api, db, workflow_app = FastAPI(), self.db, self.workflow_app

        @app_api.get("/approvals/pending")
        async def get_pending_approvals(user: str):
            """Get all pending approvals for a user."""
            approvals = db.query(ApprovalRequest, assigned_to=user, status="pending")
            return [
                {
                    "id": a.id,
                    "type": a.request_type,
                    "payload": a.payload,
                    "created_at": a.created_at.isoformat(),
                    "deadline": a.deadline.isoformat(),
                }
                for a in approvals
            ]

        @app_api.post("/approvals/{request_id}/decide")
        async def submit_decision(request_id: str, decision: ApprovalDecision, user: str):
            """Submit approval decision."""
            approval = db.get(ApprovalRequest, id=request_id)
            if not approval:
                raise HTTPException(404, "Approval request not found")
            if approval.status != "pending":
                raise HTTPException(400, f"Approval already {approval.status}")
            config = {"configurable": {"thread_id": approval.thread_id}}
            try:
                result = workflow_app.invoke(Command(resume={"approved": decision.approved, "notes": decision.notes, "user": user}), config)
                return {"status": "success", "result": result}
            except Exception as e:
                raise HTTPException(500, str(e)) from e

        @app_api.get("/approvals/{request_id}/status")
        async def get_approval_status(request_id: str):
            """Get status of an approval request."""
            approval = db.get(ApprovalRequest, id=request_id)
            if not approval:
                raise HTTPException(404, "Approval request not found")
            return {
                "id": approval.id,
                "status": approval.status,
                "created_at": approval.created_at.isoformat(),
                "deadline": approval.deadline.isoformat(),
            }

        return app_api

    def ask(self, thread_id="refund-7", assigned_to="ann"):
        """Start a thread; the id of its request."""
        given = {"request_type": "refund", "payload": {"amount": 70}, "assigned_to": assigned_to, "deadline_hours": 4}
        return self.workflow_app.invoke(given, {"configurable": {"thread_id": thread_id}})["request_id"]


@pytest.fixture
def office(saver):
    """The seed's backend with its two omissions mended: `status` is a key of the state, and the thread is known from the config."""
    return Office(saver, FullState, lambda state, config: config["configurable"]["thread_id"])


def test_a_request_is_mailed_and_listed_for_its_assignee_alone(office):
    request_id = office.ask()
    assert office.mail == [("ann", "New approval request: refund", f"/approvals/{request_id}")]
    (listed,) = office.client.get("/approvals/pending", params={"user": "ann"}).json()
    assert (listed["id"], listed["type"], listed["payload"]) == (request_id, "refund", {"amount": 70})
    assert office.client.get("/approvals/pending", params={"user": "bob"}).json() == []


@pytest.mark.parametrize(("approved", "status"), [(True, "completed"), (False, "rejected")])
def test_a_decision_resumes_the_workflow_and_shows_in_the_status(office, approved, status):
    request_id = office.ask()
    reply = office.client.post(f"/approvals/{request_id}/decide", params={"user": "ann"}, json={"approved": approved, "notes": "seen"}).json()
    assert (reply["status"], reply["result"]["status"], reply["result"]["decided_by"]) == ("success", status, "ann")
    assert office.executed == ([("refund", {"amount": 70})] if approved else [])
    assert office.rejected == ([] if approved else [("refund", {"amount": 70}, "seen")])
    row = office.client.get(f"/approvals/{request_id}/status").json()
    assert row["status"] == ("approved" if approved else "rejected")
    assert office.client.get("/approvals/pending", params={"user": "ann"}).json() == []


def test_a_request_that_is_unknown_or_decided_is_refused_by_the_endpoints(office):
    assert office.client.post("/approvals/nope/decide", params={"user": "ann"}, json={"approved": True}).status_code == 404
    assert office.client.get("/approvals/nope/status").status_code == 404
    request_id = office.ask()
    for status_code in (200, 400):
        reply = office.client.post(f"/approvals/{request_id}/decide", params={"user": "ann"}, json={"approved": True})
        assert reply.status_code == status_code
    assert len(office.executed) == 1


def test_a_second_decision_that_slips_past_the_database_is_refused_by_the_thread(office):
    """Between the seed's look at the database and its resume somebody else may decide; the action still happens once (semantics R7)."""
    request_id = office.ask()
    office.client.post(f"/approvals/{request_id}/decide", params={"user": "ann"}, json={"approved": True})
    office.db.update(ApprovalRequest, id=request_id, status="pending")  # what the loser of the race has read
    reply = office.client.post(f"/approvals/{request_id}/decide", params={"user": "bob"}, json={"approved": False})
    assert (reply.status_code, "no open question" in reply.json()["detail"]) == (500, True)
    assert (len(office.executed), office.rejected) == (1, [])


def test_the_threads_that_wait_are_listed_by_the_store_without_a_database(office, saver):
    office.ask("refund-7")
    office.ask("refund-8", assigned_to="bob")
    assert [(q.thread_id, q.node) for q in saver.open_questions()] == [("refund-7", "await_decision"), ("refund-8", "await_decision")]
    waiting = [office.workflow_app.get_state({"configurable": {"thread_id": q.thread_id}}).interrupts[0].value for q in saver.open_questions()]
    assert [payload["assigned_to"] for payload in waiting] == ["ann", "bob"]


def test_the_seeds_own_state_has_no_thread_so_its_endpoint_cannot_resume_and_says_so(saver):
    """The seed stores `state.get("thread_id")`, which nobody put there; the endpoint fails, and the question stays open."""
    office = Office(saver)
    request_id = office.ask()
    reply = office.client.post(f"/approvals/{request_id}/decide", params={"user": "ann"}, json={"approved": True})
    assert (reply.status_code, "thread_id" in reply.json()["detail"]) == (500, True)
    assert len(saver.open_questions()) == 1


def test_a_status_that_the_state_does_not_have_is_warned_about(saver):
    """The seed's last node returns a key that its state leaves out; its own system drops it without a word (semantics R20)."""
    office = Office(saver, thread_of=lambda state, config: config["configurable"]["thread_id"])
    request_id = office.ask()
    config = {"configurable": {"thread_id": "refund-7"}}
    with pytest.warns(errors.UnknownStateKeyWarning, match="'status'"):
        result = office.workflow_app.invoke(Command(resume={"approved": True, "user": "ann"}), config)
    assert ("status" in result, office.db.get(ApprovalRequest, request_id).status) == (False, "approved")
