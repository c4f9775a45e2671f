"""Seed 003 (LangGraph in production): multiple approval stages, with escalation and revision."""
# ruff: noqa: RET505  # else after return, as the seed writes it

from typing import Literal, TypedDict

import pytest

from hitl_nb import END, START, Command, InvalidAnswerError, StateGraph, interrupt


class MultiStageState(TypedDict):
    """State for multi-stage approval workflow."""

    document: str
    document_type: str
    current_stage: Literal["draft", "manager", "legal", "executive", "complete"]
    stages_completed: list[str]
    manager_approval: bool
    legal_approval: bool
    executive_approval: bool
    stage_feedback: dict


def manager_review(state: MultiStageState) -> Command:
    """First stage: Manager review."""
    decision = interrupt(
        {
            "stage": "manager_review",
            "reviewer_role": "Department Manager",
            "document": state["document"],
            "document_type": state["document_type"],
            "required_action": "Review for business accuracy and completeness",
            "options": ["approve", "reject", "request_changes"],
            "escalate_option": True,  # Can skip to executive
        }
    )
    action = decision.get("action")
    feedback = decision.get("feedback", "")
    completed = [*state.get("stages_completed", []), "manager"]
    stage_feedback = state.get("stage_feedback", {})
    stage_feedback["manager"] = feedback
    if action == "approve":
        return Command(
            goto="legal_review",
            update={"manager_approval": True, "current_stage": "legal", "stages_completed": completed, "stage_feedback": stage_feedback},
        )
    elif action == "escalate":
        return Command(
            goto="executive_review",
            update={"manager_approval": True, "current_stage": "executive", "stages_completed": completed, "stage_feedback": stage_feedback},
        )
    elif action == "request_changes":
        return Command(goto="revise_document", update={"current_stage": "draft", "stage_feedback": stage_feedback})
    else:  # reject
        return Command(goto=END, update={"manager_approval": False, "stage_feedback": stage_feedback})


def legal_review(state: MultiStageState) -> Command:
    """Second stage: Legal review."""
    decision = interrupt(
        {
            "stage": "legal_review",
            "reviewer_role": "Legal Counsel",
            "document": state["document"],
            "document_type": state["document_type"],
            "required_action": "Review for legal compliance and risk",
            "previous_approvals": state.get("stages_completed", []),
            "options": ["approve", "reject", "request_changes"],
        }
    )
    action = decision.get("action")
    feedback = decision.get("feedback", "")
    completed = [*state.get("stages_completed", []), "legal"]
    stage_feedback = state.get("stage_feedback", {})
    stage_feedback["legal"] = feedback
    if action == "approve":
        return Command(
            goto="executive_review",
            update={"legal_approval": True, "current_stage": "executive", "stages_completed": completed, "stage_feedback": stage_feedback},
        )
    elif action == "request_changes":
        return Command(goto="revise_document", update={"current_stage": "draft", "stage_feedback": stage_feedback})
    else:
        return Command(goto=END, update={"legal_approval": False, "stage_feedback": stage_feedback})


def executive_review(state: MultiStageState) -> Command:
    """Final stage: Executive approval."""
    decision = interrupt(
        {
            "stage": "executive_review",
            "reviewer_role": "Executive",
            "document": state["document"],
            "document_type": state["document_type"],
            "required_action": "Final approval",
            "previous_approvals": state.get("stages_completed", []),
            "options": ["approve", "reject"],
        }
    )
    action = decision.get("action")
    completed = [*state.get("stages_completed", []), "executive"]
    if action == "approve":
        return Command(goto="finalize", update={"executive_approval": True, "current_stage": "complete", "stages_completed": completed})
    else:
        return Command(goto=END, update={"executive_approval": False, "stages_completed": completed})


def revise_document(state: MultiStageState) -> dict:
    """Revise document based on feedback from any stage. The seed asks a model here."""
    all_feedback = state.get("stage_feedback", {})
    return {"document": f"{state['document']} (revised for {all_feedback})", "current_stage": "manager"}


def finalize(state: MultiStageState) -> dict:
    """Finalize fully approved document."""
    return {"document": f"{state['document']}\n\n[APPROVED BY ALL STAGES]"}


NODES = [manager_review, legal_review, executive_review, revise_document, finalize]


def build(saver):
    """The seed shows the nodes only."""
    builder = StateGraph(MultiStageState).add_edge(START, "manager_review")
    for node in NODES:
        builder.add_node(node)
    return builder, lambda: builder.compile(checkpointer=saver)


@pytest.fixture
def app(saver):
    return build(saver)[1]()


MEMO = {"document": "Memo", "document_type": "policy", "stages_completed": [], "stage_feedback": {}}


def answered(graph, config, *answers):
    """The stages that were asked while these answers were given, and the last result."""
    result, stages = graph.invoke(MEMO, config), []
    for answer in answers:
        stages.append(result.interrupts[0].value["stage"])
        result = graph.invoke(Command(resume=answer), config)
    return stages, result


def test_three_stages_approve_one_after_the_other(app, config):
    stages, result = answered(app, config, *[{"action": "approve", "feedback": f"fine {n}"} for n in range(3)])
    assert stages == ["manager_review", "legal_review", "executive_review"]
    assert (result["current_stage"], result["stages_completed"]) == ("complete", ["manager", "legal", "executive"])
    assert result["document"] == "Memo\n\n[APPROVED BY ALL STAGES]"
    assert result["stage_feedback"] == {"manager": "fine 0", "legal": "fine 1"}


def test_the_manager_escalates_past_the_legal_review(app, config):
    stages, result = answered(app, config, {"action": "escalate"}, {"action": "approve"})
    assert stages == ["manager_review", "executive_review"]
    assert (result["stages_completed"], "legal_approval" in result) == (["manager", "executive"], False)


def test_escalating_where_it_was_not_offered_is_refused_and_not_taken_for_a_rejection(app, config):
    """The seed's legal review rejects whatever it does not know; here such an answer never gets to it (semantics R4)."""
    answered(app, config, {"action": "approve"})
    with pytest.raises(InvalidAnswerError, match="escalate"):
        app.invoke(Command(resume={"action": "escalate"}), config)
    assert app.get_state(config).next == ("legal_review",)


@pytest.mark.parametrize(("before", "key"), [(0, "manager_approval"), (1, "legal_approval"), (2, "executive_approval")])
def test_a_rejection_at_any_stage_ends_the_run(app, config, before, key):
    _, result = answered(app, config, *[{"action": "approve"}] * before, {"action": "reject"})
    assert (result.is_interrupted, result[key]) == (False, False)
    assert "APPROVED" not in result["document"]


def test_requested_changes_end_the_run_where_no_edge_leads_on_from_the_revision(app, config):
    """The seed says that the approval starts again, and leaves out the edge: a node without an edge is the last one."""
    _, result = answered(app, config, {"action": "request_changes", "feedback": "shorter"})
    assert (result.is_interrupted, result["current_stage"]) == (False, "manager")
    assert result["document"] == "Memo (revised for {'manager': 'shorter'})"


def test_requested_changes_start_the_approval_again_with_the_edge_that_the_seed_leaves_out(saver, config):
    builder, compiled = build(saver)
    builder.add_edge("revise_document", "manager_review")
    graph = compiled()
    stages, result = answered(graph, config, {"action": "approve"}, {"action": "request_changes", "feedback": "shorter"}, {"action": "escalate"})
    assert stages == ["manager_review", "legal_review", "manager_review"]
    assert result.interrupts[0].value["document"] == "Memo (revised for {'manager': '', 'legal': 'shorter'})"


def test_feedback_that_a_node_writes_into_its_state_in_place_does_not_reach_the_checkpoint_it_ran_from(app, config):
    """The seed's nodes change `state["stage_feedback"]` in place; what is stored already stays as it was (semantics R18)."""
    answered(app, config, {"action": "approve", "feedback": "fine"})
    now, before = list(app.get_state_history(config))[:2]
    assert now.values["stage_feedback"] == {"manager": "fine"}
    assert before.values["stage_feedback"] == {}
