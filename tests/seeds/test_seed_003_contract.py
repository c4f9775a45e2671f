"""Seed 003 (LangGraph in production): the contract workflow, and resuming after its interrupt."""
# ruff: noqa: RET505  # else after return, as the seed writes it

from typing import Literal, TypedDict

import pytest

from hitl_nb import END, START, Command, DiskCacheSaver, InvalidAnswerError, StateGraph, interrupt
from hitl_nb.graph.drawing.outline import outline


class ContractState(TypedDict):
    """State for contract drafting workflow."""

    client_name: str
    contract_type: str
    terms: dict
    draft: str
    draft_version: int
    review_decision: str
    reviewer_feedback: str
    approved: bool
    review_history: list[dict]


def llm(prompt: str) -> str:
    """The seed asks a model here."""
    return f"A contract, written on: {prompt}"


def draft_contract(state: ContractState) -> dict:
    """Generate or revise contract draft."""
    version = state.get("draft_version", 0) + 1
    feedback = state.get("reviewer_feedback", "")
    if feedback:
        prompt = f"Revise this contract based on reviewer feedback.\nCurrent draft:\n{state['draft']}\nReviewer feedback:\n{feedback}"
    else:
        prompt = f"Draft a {state['contract_type']} contract for {state['client_name']}.\nTerms:\n{state['terms']}"
    return {"draft": llm(prompt), "draft_version": version, "reviewer_feedback": ""}


def human_review(state: ContractState) -> Command:
    """Pause for human review using native interrupt."""
    review_request = interrupt(
        {
            "type": "contract_review",
            "contract_id": f"contract-{state['client_name'].lower().replace(' ', '-')}",
            "draft": state["draft"],
            "version": state["draft_version"],
            "client": state["client_name"],
            "contract_type": state["contract_type"],
            "options": ["approve", "reject", "request_changes"],
            "instructions": "Please review this contract draft and provide your decision.",
        }
    )
    action = review_request.get("action", "reject")
    feedback = review_request.get("feedback", "")
    review_record = {
        "version": state["draft_version"],
        "action": action,
        "feedback": feedback,
        "reviewer": review_request.get("reviewer", "unknown"),
    }
    history = [*state.get("review_history", []), review_record]
    if action == "approve":
        return Command(goto="finalize_contract", update={"approved": True, "review_decision": "approved", "review_history": history})
    elif action == "request_changes":
        return Command(
            goto="draft_contract",
            update={"reviewer_feedback": feedback, "review_decision": "changes_requested", "review_history": history},
        )
    else:  # reject
        return Command(
            goto=END,
            update={"approved": False, "review_decision": "rejected", "reviewer_feedback": feedback, "review_history": history},
        )


def finalize_contract(state: ContractState) -> dict:
    """Finalize approved contract with signatures and metadata."""
    final_draft = f"{state['draft']}\n---\nAPPROVAL RECORD\nStatus: APPROVED\nReview History: {len(state.get('review_history', []))} reviews\n---"
    return {"draft": final_draft}


def build_contract_workflow(review=human_review):
    """Build the contract review workflow."""
    builder = StateGraph(ContractState)
    builder.add_node("draft_contract", draft_contract)
    builder.add_node("human_review", review)
    builder.add_node("finalize_contract", finalize_contract)
    builder.add_edge(START, "draft_contract")
    builder.add_edge("draft_contract", "human_review")
    builder.add_edge("finalize_contract", END)
    return builder


@pytest.fixture
def app(saver):
    return build_contract_workflow().compile(checkpointer=saver)


@pytest.fixture
def config():
    return {"configurable": {"thread_id": "contract-acme-2026-001"}}


ACME = {
    "client_name": "ACME Corporation",
    "contract_type": "service_agreement",
    "terms": {"duration": "12 months", "value": "$50,000", "payment_terms": "Net 30"},
    "draft": "",
    "draft_version": 0,
    "approved": False,
    "review_history": [],
}
JANE = "jane.attorney@firm.com"


def test_the_reviewer_is_shown_the_contract_and_the_result_is_the_state_with_the_request_in_it(app, config):
    """The seed prints the payload as the result; the result is the state, and the payload is the value of its interrupt (semantics R13)."""
    result = app.invoke(ACME, config)
    assert ("type" in result, result["draft_version"], result["client_name"]) == (False, 1, "ACME Corporation")
    payload = result["__interrupt__"][0].value
    assert (payload["type"], payload["contract_id"], payload["version"]) == ("contract_review", "contract-acme-corporation", 1)
    assert payload["options"] == ["approve", "reject", "request_changes"]
    assert payload["draft"] == result["draft"]


def test_requested_changes_go_into_a_second_draft_which_is_approved(app, config):
    app.invoke(ACME, config)
    feedback = "Please add a termination clause and clarify payment penalties."
    resume_result = app.invoke(Command(resume={"action": "request_changes", "feedback": feedback, "reviewer": JANE}), config)
    assert feedback in resume_result["__interrupt__"][0].value["draft"]
    final_result = app.invoke(Command(resume={"action": "approve", "reviewer": JANE}), config)
    assert (final_result["approved"], final_result["draft_version"]) == (True, 2)
    assert [(row["version"], row["action"], row["reviewer"]) for row in final_result["review_history"]] == [
        (1, "request_changes", JANE),
        (2, "approve", JANE),
    ]
    assert "Review History: 2 reviews" in final_result["draft"]


def test_a_rejected_contract_ends_unapproved_and_unfinalized(app, config):
    app.invoke(ACME, config)
    result = app.invoke(Command(resume={"action": "reject", "feedback": "No.", "reviewer": JANE}), config)
    assert (result.is_interrupted, result["approved"], result["review_decision"]) == (False, False, "rejected")
    assert "APPROVAL RECORD" not in result["draft"]


def test_a_typo_neither_approves_nor_rejects_the_contract(app, config):
    """The seed's node takes whatever is not approve or request_changes for a rejection; here it never gets to the node (semantics R4)."""
    app.invoke(ACME, config)
    with pytest.raises(InvalidAnswerError, match="did you mean"):
        app.invoke(Command(resume={"action": "aprove", "reviewer": JANE}), config)
    assert app.get_state(config).next == ("human_review",)
    assert app.invoke(Command(resume={"action": "approve", "reviewer": JANE}), config)["approved"] is True


def test_the_contract_waits_on_disk_for_another_process(tmp_path, config):
    """The seed hands compile what `from_conn_string` returns, which is no checkpointer there; here the class itself is one."""
    first = build_contract_workflow().compile(checkpointer=DiskCacheSaver(tmp_path / "contracts"))
    asked = first.invoke(ACME, config).interrupts[0]
    first.checkpointer.close()
    later = build_contract_workflow().compile(checkpointer=DiskCacheSaver(tmp_path / "contracts"))
    assert later.get_state(config).interrupts[0].id == asked.id
    assert later.invoke(Command(resume={"action": "approve", "reviewer": JANE}), config)["approved"] is True
    later.checkpointer.close()


def test_the_picture_shows_where_the_review_goes_once_its_annotation_says_so(app):
    """The seed's `-> Command` names no target; its own system draws the review as the end. `Command[Literal[…]]` tells the picture."""
    assert "human_review" not in arrows(app)

    def annotated(state: ContractState) -> Command[Literal["draft_contract", "finalize_contract", "__end__"]]:
        return human_review(state)

    assert arrows(build_contract_workflow(annotated).compile())["human_review"] == {"draft_contract", "finalize_contract", END}


def arrows(graph):
    found = {}
    for arrow in outline(graph.topology).arrows:
        found.setdefault(arrow.source, set()).add(arrow.target)
    return found
