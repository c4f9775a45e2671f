"""Seed 004 (the interrupt lesson): the reference implementation, and what its questions and answers claim."""

import itertools
import json
from datetime import UTC, datetime
from typing import TypedDict

import numpy as np
import pandas as pd
import pytest

import hitl_nb
from hitl_nb import END, START, Command, InvalidAnswerError, StateGraph, errors, interrupt


class ContractState(TypedDict):
    contract_text: str
    risk_score: float
    human_decision: str
    amendments: list


def analyze_contract(state: ContractState):
    """The seed asks a model here."""
    return {"risk_score": 0.85}


def conditional_review(state: ContractState):
    if state["risk_score"] > 0.7:
        # Dynamic interrupt: only pauses for high-risk contracts
        human_input = interrupt(
            {
                "contract_preview": state.get("contract_text", "")[:200],
                "risk_score": state["risk_score"],
                "recommendation": "HIGH RISK - Legal review required",
                "options": ["approve", "reject", "amend"],
            }
        )
        return {"human_decision": human_input.get("decision", "reject"), "amendments": human_input.get("amendments", [])}
    return {"human_decision": "auto_approved"}


@pytest.fixture
def app(chain):
    return chain(ContractState, {"analyze_contract": analyze_contract, "conditional_review": conditional_review})


def thread(thread_id, **more):
    return {"configurable": {"thread_id": thread_id, **more}}


# -- the reference implementation, question 1 ------------------------------------------------------------------------------------------


def test_a_risky_contract_shows_a_preview_and_waits(app, config):
    (asked,) = app.invoke({"contract_text": "x" * 300}, config).interrupts
    assert asked.value == {
        "contract_preview": "x" * 200,
        "risk_score": 0.85,
        "recommendation": "HIGH RISK - Legal review required",
        "options": ["approve", "reject", "amend"],
    }


@pytest.mark.parametrize(
    ("answer", "amendments"),
    [({"decision": "approve"}, []), ({"decision": "reject"}, []), ({"decision": "amend", "amendments": ["cap the fee"]}, ["cap the fee"])],
    ids=["approve", "reject", "amend"],
)
def test_the_decision_and_its_amendments_reach_the_state(app, config, answer, amendments):
    app.invoke({"contract_text": "text"}, config)
    result = app.invoke(Command(resume=answer), config)
    assert (result["human_decision"], result["amendments"]) == (answer["decision"], amendments)


def test_a_decision_that_was_not_offered_is_no_rejection(app, config):
    """The seed's node takes a missing decision for reject and stores any other word; here neither gets to it (semantics R4)."""
    app.invoke({"contract_text": "text"}, config)
    with pytest.raises(InvalidAnswerError):
        app.invoke(Command(resume={"decision": "aprove"}), config)
    assert app.get_state(config).next == ("conditional_review",)


def test_a_contract_without_risk_waits_for_nobody(chain, config):
    graph = chain(ContractState, {"analyze_contract": lambda state: {"risk_score": 0.7}, "conditional_review": conditional_review})
    assert graph.invoke({"contract_text": "text"}, config)["human_decision"] == "auto_approved"


# -- question 2: a review queue --------------------------------------------------------------------------------------------------------


def test_agents_queue_work_and_a_human_goes_through_it_later(app, saver):
    """The lesson has you keep the queue yourself; the store already lists every question that is open, over all threads."""
    for n in range(3):
        app.invoke({"contract_text": f"contract {n}"}, thread(f"contract-{n}"))
    queue = saver.open_questions()
    assert [(q.thread_id, q.node) for q in queue] == [(f"contract-{n}", "conditional_review") for n in range(3)]
    for n, waiting in reversed(list(enumerate(queue))):
        app.invoke(Command(resume={waiting.interrupt_id: {"decision": "amend", "amendments": [n]}}), thread(waiting.thread_id))
    assert saver.open_questions() == []
    assert [app.get_state(thread(f"contract-{n}")).values["amendments"] for n in range(3)] == [[0], [1], [2]]


# -- question 3: who may resume --------------------------------------------------------------------------------------------------------


def test_who_may_answer_is_decided_by_the_application_and_who_did_is_recorded(chain, saver):
    """As the lesson says, authorisation is the application's; the question says whom it is for, and the record who answered (semantics R7)."""

    def ask(state):
        return {"human_decision": interrupt({"question": "Sign?", "options": ["yes", "no"]}, assignee="legal")}

    app = chain(ContractState, {"ask": ask})
    roles = {"lea": "legal", "tom": "sales"}

    def resume_endpoint(user, thread_id, answer):
        (asked,) = app.get_state(thread(thread_id)).interrupts
        if roles[user] != asked.assignee:
            raise PermissionError(user)
        return app.invoke(Command(resume={asked.id: answer}), thread(thread_id, reviewer=user))

    app.invoke({"contract_text": "text"}, thread("tenant-a:1"))
    with pytest.raises(PermissionError):
        resume_endpoint("tom", "tenant-a:1", "yes")
    assert saver.decisions("tenant-a:1") == []
    assert resume_endpoint("lea", "tenant-a:1", "yes")["human_decision"] == "yes"
    assert [(d.reviewer, d.answer) for d in saver.decisions("tenant-a:1")] == [("lea", "yes")]


# -- question 4: the rules for placing interrupt() -------------------------------------------------------------------------------------


def test_an_interrupt_inside_try_except_pauses_all_the_same(chain, config):
    """The lesson forbids it, because its own system takes the pause for an error; here only a catch of BaseException is one (semantics R3)."""

    def careless(state):
        try:
            return {"human_decision": interrupt("Go on?")}
        except Exception:
            return {"human_decision": "went on without asking"}

    graph = chain(ContractState, {"careless": careless})
    assert graph.invoke({"contract_text": "text"}, config).is_interrupted
    assert graph.invoke(Command(resume="yes"), config)["human_decision"] == "yes"


def test_interrupts_that_come_in_another_order_get_nobody_elses_answer(chain, config):
    """The lesson forbids it, because answers go by order; here the question is compared with the one that was answered (semantics R17)."""
    order = itertools.cycle([["Pay?", "Delete?"], ["Delete?", "Pay?"]])

    def reordered(state):
        return {"amendments": [interrupt(question) for question in next(order)]}

    graph = chain(ContractState, {"reordered": reordered})
    assert graph.invoke({"contract_text": "text"}, config).interrupts[0].value == "Pay?"
    with pytest.raises(errors.QuestionChangedError):
        graph.invoke(Command(resume="yes"), config)


PAYLOADS = {
    "set": {"a"},
    "bytes": b"\x00\xff",
    "datetime": datetime(2026, 1, 1, tzinfo=UTC),
    "array": np.arange(3),
    "NumPy scalar": np.int64(7),
    "Timestamp": pd.Timestamp("2026-01-01", tz="UTC"),
    "DataFrame": pd.DataFrame({"risk": [0.1, 0.9]}),
}


@pytest.mark.parametrize("kind", PAYLOADS)
def test_a_payload_need_not_be_json_and_can_still_be_shown_as_json(chain, saver, config, kind):
    """The lesson allows JSON only; on its own system a DataFrame loses the pause and a Timestamp comes back as text (semantics R22)."""
    graph = chain(ContractState, {"ask": lambda state: {"human_decision": interrupt({"shown": PAYLOADS[kind]})}})
    graph.invoke({"contract_text": "text"}, config)
    (asked,) = graph.get_state(config).interrupts
    shown = asked.value["shown"]
    assert type(shown) is type(PAYLOADS[kind])
    assert (
        shown.equals(PAYLOADS[kind]) if kind == "DataFrame" else np.array_equal(shown, PAYLOADS[kind]) if kind == "array" else shown == PAYLOADS[kind]
    )
    json.dumps(asked.to_dict(), allow_nan=False)
    assert graph.invoke(Command(resume="ok"), config)["human_decision"] == "ok"


def test_a_payload_that_cannot_be_stored_fails_where_it_is_asked_and_is_named(chain, config):
    graph = chain(ContractState, {"ask": lambda state: interrupt({"callback": [lambda: None]})})
    with pytest.raises(errors.NotSerializableError, match=r"callback'\]\[0\]"):
        graph.invoke({"contract_text": "text"}, config)


def test_a_side_effect_before_the_interrupt_happens_again_and_in_a_node_of_its_own_once(saver, config):
    """As the lesson says: the node runs again from its top (semantics R2, R16)."""
    beside, before = [], []

    def asking(state):
        beside.append(1)
        return {"human_decision": interrupt("Go on?")}

    builder = StateGraph(ContractState).add_node("effect", lambda state: before.append(1)).add_node("asking", asking)
    graph = builder.add_edge(START, "effect").add_edge("effect", "asking").add_edge("asking", END).compile(checkpointer=saver)
    graph.invoke({"contract_text": "text"}, config)
    graph.invoke(Command(resume="yes"), config)
    assert (len(before), len(beside)) == (1, 2)


# -- question 5: NodeInterrupt ---------------------------------------------------------------------------------------------------------


def test_there_is_no_node_interrupt_to_raise_and_a_text_alone_asks(chain, config):
    """The lesson prefers `interrupt()` over the exception, whose answer its own system drops; here there is only the one way."""
    assert not hasattr(hitl_nb, "NodeInterrupt")
    graph = chain(ContractState, {"ask": lambda state: {"human_decision": interrupt("The text is too long, go on?")}})
    assert graph.invoke({"contract_text": "text"}, config).interrupts[0].value == "The text is too long, go on?"
    assert graph.invoke(Command(resume=True), config)["human_decision"] is True
