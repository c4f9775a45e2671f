"""Seed 002 (Locus): the five parts of its notebook, free-form graphs of async nodes. Its names become hitl_nb's:

- `graph.execute(x)` is `graph.ainvoke(x, config)`, and `graph.config.interrupt_before = […]` is `compile(interrupt_before=[…])`;
- `result.final_state` is `result.state`, `result.interrupt.node_id` and `.interrupt.payload` are `result.interrupts[0].node` and `.value`.
"""

import asyncio

import pytest

from hitl_nb import Command, InvalidAnswerError, interrupt
from hitl_nb.errors import NotWaitingError


def answered(graph, given, responses, config):
    """The interrupts that were shown while the seed's loop gave these responses, and the last result."""

    async def example():
        shown = []
        result = await graph.ainvoke(given, config)
        for response in responses:
            if result.is_interrupted:
                shown.append(result.interrupts[0])
                result = await graph.ainvoke(Command(update=result.state, resume=response), config)
            else:
                break
        return shown, result

    return asyncio.run(example())


# -- part 1: one interrupt -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def deletion(chain):
    async def prepare(inputs):
        return {"action": "delete", "target": inputs.get("file", "data.txt")}

    async def request_approval(inputs):
        response = interrupt({"question": f"Approve {inputs['action']} on {inputs['target']}?", "options": ["yes", "no"]})
        return {"approved": response == "yes", "response": response}

    async def execute_action(inputs):
        if inputs.get("approved"):
            return {"result": f"Executed {inputs['action']} on {inputs['target']}"}
        return {"result": "Action cancelled"}

    return chain(None, {"prepare": prepare, "approval": request_approval, "execute": execute_action})


@pytest.mark.parametrize(("response", "outcome"), [("yes", "Executed delete on important.txt"), ("no", "Action cancelled")])
def test_one_interrupt_pauses_before_the_destructive_action_and_the_answer_decides(deletion, config, response, outcome):
    (paused,), result = answered(deletion, {"file": "important.txt"}, [response], config)
    assert paused.node == "approval"
    assert paused.value["question"] == "Approve delete on important.txt?"
    assert (result.is_interrupted, result.state.get("result")) == (False, outcome)


def test_an_old_result_resumed_a_second_time_does_not_repeat_the_action(deletion, config):
    """On the seed's own system it does (semantics R7, R8)."""

    async def example():
        paused = await deletion.ainvoke({"file": "important.txt"}, config)
        await deletion.ainvoke(Command(update=paused.state, resume="no"), config)
        with pytest.raises(NotWaitingError):
            await deletion.ainvoke(Command(update=paused.state, resume="yes"), config)

    asyncio.run(example())
    assert deletion.get_state(config).values["result"] == "Action cancelled"


# -- part 2: several interrupts in a row -----------------------------------------------------------------------------------------------


@pytest.fixture
def registration(chain):
    async def ask_name(inputs):
        name = interrupt({"question": "What is your name?", "type": "text"})
        return {"name": name}

    async def ask_email(inputs):
        email = interrupt({"question": f"Hi {inputs['name']}, what's your email?"})
        return {"email": email}

    async def confirm(inputs):
        confirmed = interrupt({"question": f"Confirm: {inputs['name']} <{inputs['email']}>?", "options": ["confirm", "cancel"]})
        return {"confirmed": confirmed == "confirm"}

    async def complete(inputs):
        if inputs.get("confirmed"):
            return {"status": "Account created", "user": inputs["name"]}
        return {"status": "Cancelled"}

    return chain(None, {"name": ask_name, "email": ask_email, "confirm": confirm, "complete": complete})


def test_a_form_of_one_question_a_node_builds_each_question_on_the_answers_before(registration, config):
    shown, result = answered(registration, {}, ["Alice", "alice@example.com", "confirm"], config)
    questions = ["What is your name?", "Hi Alice, what's your email?", "Confirm: Alice <alice@example.com>?"]
    assert [(i.node, i.value["question"]) for i in shown] == list(zip(["name", "email", "confirm"], questions, strict=True))
    assert (result.state["status"], result.state["user"]) == ("Account created", "Alice")


def test_cancelling_the_form_creates_no_account(registration, config):
    _, result = answered(registration, {}, ["Alice", "alice@example.com", "cancel"], config)
    assert (result.state["status"], "user" in result.state) == ("Cancelled", False)


# -- part 3: interrupt only when it matters --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "response", "payloads", "outcome"),
    [
        (50, None, [], "Transaction approved by auto"),
        (500, "approve", [{"message": "$500 requires manager approval", "risk": "medium"}], "Transaction approved by manager"),
        (5000, "approve", [{"message": "$5000 requires executive approval", "risk": "high"}], "Transaction approved by executive"),
        (5000, "reject", [{"message": "$5000 requires executive approval", "risk": "high"}], "Transaction rejected"),
    ],
)
def test_only_medium_and_high_risk_asks_somebody(chain, config, amount, response, payloads, outcome):
    async def assess_risk(inputs):
        amount = inputs.get("amount", 0)
        if amount < 100:
            risk = "low"
        elif amount < 1000:
            risk = "medium"
        else:
            risk = "high"
        return {"amount": amount, "risk": risk}

    async def maybe_approve(inputs):
        risk = inputs.get("risk")
        if risk == "low":
            return {"approved": True, "approver": "auto"}
        required = "manager" if risk == "medium" else "executive"
        response = interrupt({"message": f"${inputs['amount']} requires {required} approval", "risk": risk})
        return {"approved": response == "approve", "approver": required}

    async def process(inputs):
        if inputs.get("approved"):
            return {"result": f"Transaction approved by {inputs['approver']}"}
        return {"result": "Transaction rejected"}

    graph = chain(None, {"assess": assess_risk, "approve": maybe_approve, "process": process})
    shown, result = answered(graph, {"amount": amount}, [response], config)
    assert [i.value for i in shown] == payloads
    assert result.state["result"] == outcome


# -- part 4: interrupt_before ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def deployment(chain):
    async def prepare(inputs):
        return {"data": inputs.get("data", "sample"), "prepared": True}

    async def deploy(inputs):
        return {"deployed": True, "target": inputs.get("environment")}

    async def verify(inputs):
        return {"verified": True}

    return chain(None, {"prepare": prepare, "deploy": deploy, "verify": verify}, interrupt_before=["deploy"])


@pytest.mark.parametrize("resume", [True, None])
def test_interrupt_before_pauses_before_a_node_that_does_not_ask_itself(deployment, config, resume):
    async def example():
        result = await deployment.ainvoke({"environment": "production", "data": "v2.0"}, config)
        assert (result.interrupts[0].node, result.interrupts[0].value) == ("deploy", {"node": "deploy", "when": "before"})
        assert (result.state.get("prepared"), "deployed" in result.state) == (True, False)
        return await deployment.ainvoke(Command(update=result.state, resume=resume), config)

    result = asyncio.run(example())
    assert result == {"environment": "production", "data": "v2.0", "prepared": True, "deployed": True, "target": "production", "verified": True}


def test_interrupt_before_is_not_passed_by_a_no(deployment, config):
    """A static pause is continued or left; on the seed's own system any answer but None passes it (semantics R4, R10)."""
    with pytest.raises(InvalidAnswerError):
        answered(deployment, {"environment": "production"}, ["no"], config)
    assert deployment.get_state(config).next == ("deploy",)


# -- part 5: a two-stage approval workflow ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("approvals", "steps", "message"),
    [
        (["approve", "approve"], ["Technical Review", "Manager Approval"], "Request REQ-001: approved"),
        (["approve", "reject"], ["Technical Review", "Manager Approval"], "Request REQ-001: rejected"),
        (["reject", "approve"], ["Technical Review"], "Request REQ-001: rejected"),
    ],
)
def test_the_manager_is_asked_after_the_technical_review_and_only_when_it_approved(chain, config, approvals, steps, message):
    async def create_request(inputs):
        return {
            "request_id": "REQ-001",
            "type": inputs.get("type", "change"),
            "description": inputs.get("description", ""),
            "status": "pending",
        }

    async def technical_review(inputs):
        approval = interrupt(
            {
                "step": "Technical Review",
                "request": inputs["request_id"],
                "description": inputs["description"],
                "question": "Is this technically feasible?",
            }
        )
        return {"tech_approved": approval == "approve", "tech_comments": "Reviewed by engineering"}

    async def manager_approval(inputs):
        if not inputs.get("tech_approved"):
            return {"status": "rejected", "reason": "Technical review failed"}
        approval = interrupt({"step": "Manager Approval", "request": inputs["request_id"], "question": "Approve this change request?"})
        return {"manager_approved": approval == "approve", "status": "approved" if approval == "approve" else "rejected"}

    async def finalize(inputs):
        status = inputs.get("status")
        return {"final_status": status, "message": f"Request {inputs['request_id']}: {status}"}

    graph = chain(None, {"create": create_request, "tech": technical_review, "manager": manager_approval, "finalize": finalize})
    shown, result = answered(graph, {"type": "change", "description": "Update database schema"}, approvals, config)
    assert [i.value["step"] for i in shown] == steps
    assert result.state["message"] == message
