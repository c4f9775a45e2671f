"""Seed 000 (Upsonic graphv2): the primitive, the basic example, the four patterns, where interrupts can happen, and the best practices."""
# ruff: noqa: RET505  # else after return, as the seed writes it

import operator
from datetime import datetime
from typing import Annotated, Literal, TypedDict

import pytest

from hitl_nb import END, START, Command, InvalidAnswerError, StateGraph, interrupt


class ApprovalState(TypedDict):
    content: str
    approved: bool
    feedback: str


class State(TypedDict, total=False):
    """The keys of the seed's shorter samples, which leave it out."""

    draft: str
    content: str
    action_details: dict
    status: str
    final_content: str
    chosen_path: str
    visited: str
    feedback: str
    iteration: int
    final: str
    approved: bool
    auto_approve_mode: bool
    created_at: str


# -- the basic example -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def approval(saver):
    def generate_content(state: ApprovalState) -> dict:
        draft = "This is AI-generated content about " + state["content"]
        return {"content": draft}

    def review_node(state: ApprovalState) -> dict:
        response = interrupt(
            {
                "action": "review_content",
                "content": state["content"],
                "instruction": "Please review and approve or provide feedback",
            }
        )
        if response.get("action") == "approve":
            return {"approved": True, "feedback": ""}
        else:
            return {"approved": False, "feedback": response.get("feedback", "")}

    builder = StateGraph(ApprovalState)
    builder.add_node("generate", generate_content)
    builder.add_node("review", review_node)
    builder.add_edge(START, "generate")
    builder.add_edge("generate", "review")
    builder.add_edge("review", END)
    return builder.compile(checkpointer=saver)


NEW = {"content": "Python programming", "approved": False, "feedback": ""}
DRAFT = "This is AI-generated content about Python programming"


def test_the_basic_example_pauses_with_the_payload_and_the_state_at_the_pause(approval, config):
    result = approval.invoke(NEW, config=config)
    assert "__interrupt__" in result
    interrupt_data = result["__interrupt__"][0]["value"]
    assert interrupt_data["content"] == DRAFT
    assert result["content"] == DRAFT  # on the seed's own system the input stands here


@pytest.mark.parametrize(
    ("human_decision", "approved", "feedback"),
    [({"action": "approve"}, True, ""), ({"action": "revise", "feedback": "shorter"}, False, "shorter")],
)
def test_the_basic_example_goes_on_with_the_human_decision(approval, config, human_decision, approved, feedback):
    approval.invoke(NEW, config=config)
    final_result = approval.invoke(Command(resume=human_decision), config=config)
    assert final_result == {"content": DRAFT, "approved": approved, "feedback": feedback}


def test_an_auto_approval_after_an_hour_is_an_answer_like_any_other_and_this_node_does_not_take_it_for_approve(approval, config):
    interrupt_time, now = 0.0, 3601.0
    result = approval.invoke(NEW, config=config)
    if "__interrupt__" in result and now - interrupt_time > 3600:
        result = approval.invoke(Command(resume={"action": "auto_approved"}), config=config)
    assert result["approved"] is False


# -- the primitive and the patterns ----------------------------------------------------------------------------------------------------


def test_interrupt_returns_the_resume_value_to_the_node(chain, config):
    def review_node(state: State) -> dict:
        human_response = interrupt({"action": "review", "data": state["draft"], "options": ["approve", "edit", "reject"]})
        return {"status": human_response}

    graph = chain(State, {"review": review_node})
    graph.invoke({"draft": "text"}, config=config)
    assert graph.invoke(Command(resume="approve"), config=config)["status"] == "approve"


@pytest.mark.parametrize(("answer", "status"), [(True, "approved"), (False, "rejected")])
def test_pattern_1_takes_a_boolean(chain, config, answer, status):
    def approval_node(state: State) -> dict:
        approved = interrupt({"action": "approve_action", "data": state["action_details"], "question": "Approve this action?"})
        if approved:
            return {"status": "approved"}
        else:
            return {"status": "rejected"}

    graph = chain(State, {"approval": approval_node})
    graph.invoke({"action_details": {"rows": 3}}, config=config)
    assert graph.invoke(Command(resume=answer), config=config)["status"] == status


def test_pattern_2_takes_the_edited_text(chain, config):
    def edit_node(state: State) -> dict:
        edited_text = interrupt({"action": "edit_content", "original": state["draft"], "instruction": "Edit the content as needed"})
        return {"final_content": edited_text}

    graph = chain(State, {"edit": edit_node})
    graph.invoke({"draft": "machine text"}, config=config)
    assert graph.invoke(Command(resume="Human-edited content here"), config=config)["final_content"] == "Human-edited content here"


@pytest.fixture
def routing(saver):
    def routing_node(state: State) -> Command:
        choice = interrupt({"action": "choose_path", "options": ["path_a", "path_b", "path_c"], "question": "Which path should we take?"})
        return Command(update={"chosen_path": choice}, goto=choice)

    builder = StateGraph(State).add_node("routing", routing_node).add_edge(START, "routing")
    for path in ("path_a", "path_b", "path_c"):
        builder.add_node(path, lambda state, path=path: {"visited": path}).add_edge(path, END)
    return builder.compile(checkpointer=saver)


@pytest.mark.parametrize("path", ["path_a", "path_b", "path_c"])
def test_pattern_3_goes_where_the_human_chose(routing, config, path):
    routing.invoke({}, config=config)
    assert routing.invoke(Command(resume=path), config=config) == {"chosen_path": path, "visited": path}


def test_pattern_3_refuses_a_path_that_was_not_offered_and_keeps_the_question(routing, config):
    question = routing.invoke({}, config=config).interrupts
    with pytest.raises(InvalidAnswerError, match="path_z"):
        routing.invoke(Command(resume="path_z"), config=config)
    assert routing.get_state(config).interrupts == question


def test_pattern_4_loops_until_the_human_is_satisfied(chain, config):
    def generate_content(state: State) -> str:
        return f"draft after {state.get('feedback', 'nothing')!r}"

    def generate_and_review(state: State) -> Command:
        draft = generate_content(state)
        feedback = interrupt({"action": "review_and_refine", "draft": draft, "iteration": state.get("iteration", 1)})
        if feedback["action"] == "approve":
            return Command(update={"final": draft, "approved": True}, goto=END)
        else:
            return Command(update={"feedback": feedback["comments"], "iteration": state.get("iteration", 1) + 1}, goto="generate_and_review")

    graph = chain(State, {"generate_and_review": generate_and_review})
    graph.invoke({}, config=config)
    again = graph.invoke(Command(resume={"action": "refine", "comments": "Make it shorter"}), config=config)
    assert again.interrupts[0].value == {"action": "review_and_refine", "draft": "draft after 'Make it shorter'", "iteration": 2}
    final = graph.invoke(Command(resume={"action": "approve"}), config=config)
    assert (final["final"], final["approved"], final.is_interrupted) == ("draft after 'Make it shorter'", True, False)


# -- where interrupts can happen -------------------------------------------------------------------------------------------------------


def steps(*names):
    """Nodes that write down that they ran."""
    return {name: lambda state, name=name: {"visited": f"{state.get('visited', '')} {name}".strip()} for name in names}


def test_interrupt_before_pauses_before_each_named_node_and_resume_none_passes_it(chain, config):
    """On the seed's own system the gated node can never run; here the gate opens (semantics R10, R12)."""
    graph = chain(State, steps("prepare", "critical_action", "dangerous_operation"), interrupt_before=["critical_action", "dangerous_operation"])
    result = graph.invoke({}, config=config)
    assert (result["visited"], result["__interrupt__"][0]["value"]) == ("prepare", {"node": "critical_action", "when": "before"})
    result = graph.invoke(Command(resume=None), config=config)
    assert (result["visited"], result["__interrupt__"][0]["value"]) == ("prepare critical_action", {"node": "dangerous_operation", "when": "before"})
    result = graph.invoke(Command(resume=None), config=config)
    assert result == {"visited": "prepare critical_action dangerous_operation"}


def test_interrupt_after_shows_what_the_node_wrote_and_resume_none_continues(chain, config):
    graph = chain(State, steps("data_processing", "validation", "report"), interrupt_after=["data_processing", "validation"])
    result = graph.invoke({}, config=config)
    assert result["__interrupt__"][0]["value"] == {"node": "data_processing", "when": "after"}
    state = graph.get_state(config)
    assert state.values == result.state == {"visited": "data_processing"}
    assert graph.invoke(Command(resume=None), config=config).state == {"visited": "data_processing validation"}
    assert graph.invoke(Command(resume=None), config=config) == {"visited": "data_processing validation report"}


# -- best practices --------------------------------------------------------------------------------------------------------------------


def rich_context(state: State, created_at: str) -> dict:
    response = interrupt(
        {
            "action": "review",
            "content": state["draft"],
            "metadata": {
                "author": "AI Assistant",
                "topic": "Python",
                "word_count": len(state["draft"].split()),
                "created_at": created_at,
            },
            "instructions": "Review for accuracy and tone",
        }
    )
    return {"status": response["action"]}


def test_practice_1_rich_context_reaches_the_reviewer_and_the_answer_the_node(chain, config):
    draft_node = {"draft": lambda state: {"draft": "three short words", "created_at": "2026-01-01T09:00:00"}}
    graph = chain(State, {**draft_node, "review": lambda state: rich_context(state, state["created_at"])})
    metadata = graph.invoke({}, config=config)["__interrupt__"][0]["value"]["metadata"]
    assert metadata == {"author": "AI Assistant", "topic": "Python", "word_count": 3, "created_at": "2026-01-01T09:00:00"}
    assert graph.invoke(Command(resume={"action": "approve"}), config=config)["status"] == "approve"


def test_practice_1_a_reading_of_the_clock_in_the_payload_is_no_other_question(chain, config):
    """The seed writes `"created_at": datetime.now().isoformat()`: the node that runs again reads another time and asks the same."""
    graph = chain(State, {"review": lambda state: rich_context(state, datetime.now().isoformat())})  # noqa: DTZ005  # as the seed has it
    graph.invoke({"draft": "text"}, config=config)
    assert graph.invoke(Command(resume={"action": "approve"}), config=config)["status"] == "approve"


GARBAGE = ["whatever", {"action": "REJECT"}, None]


def review_safely(**options):
    def review_node(state: State) -> dict:
        response = interrupt({"action": "review"}, **options)
        if not isinstance(response, dict):
            response = {"action": "approve"}
        action = response.get("action", "approve")
        if action not in ["approve", "edit", "reject"]:
            action = "approve"
        return {"status": action}

    return {"review": review_node}


class Review(TypedDict):
    action: Literal["approve", "edit", "reject"]


@pytest.mark.parametrize("answer", [*GARBAGE, {"action": "reject"}])
def test_practice_2_the_seeds_own_default_decides_where_neither_options_nor_a_schema_bind_the_answer(chain, config, answer):
    graph = chain(State, review_safely())
    graph.invoke({}, config=config)
    expected = "reject" if answer == {"action": "reject"} else "approve"
    assert graph.invoke(Command(resume=answer), config=config)["status"] == expected


@pytest.mark.parametrize("answer", GARBAGE)
def test_practice_2_with_a_schema_garbage_is_refused_instead_of_approved(chain, config, answer):
    graph = chain(State, review_safely(schema=Review))
    graph.invoke({}, config=config)
    with pytest.raises(InvalidAnswerError):
        graph.invoke(Command(resume=answer), config=config)
    assert graph.invoke(Command(resume={"action": "reject"}), config=config)["status"] == "reject"


class ReviewedState(TypedDict):
    content: str
    reviews: Annotated[list[dict], operator.add]


def test_practice_3_reviews_add_up_in_a_key_with_a_reducer(chain, config):
    def review_node(state: ReviewedState) -> dict:
        response = interrupt({"action": "review", "content": state["content"]})
        return {"reviews": [{"timestamp": "2026-01-01", "action": response.get("action"), "reviewer": response.get("reviewer_id")}]}

    graph = chain(ReviewedState, {"first": review_node, "second": review_node})
    graph.invoke({"content": "text"}, config=config)
    graph.invoke(Command(resume={"action": "edit", "reviewer_id": "amy"}), config=config)
    final = graph.invoke(Command(resume={"action": "approve", "reviewer_id": "bob"}), config=config)
    assert [(r["reviewer"], r["action"]) for r in final["reviews"]] == [("amy", "edit"), ("bob", "approve")]


def test_practice_5_auto_mode_skips_the_question_and_otherwise_a_human_is_asked(chain, config):
    def review_with_fallback(state: State) -> dict:
        if state.get("auto_approve_mode"):
            return {"approved": True}
        response = interrupt({"action": "review"})
        return {"approved": response.get("approved", False)}

    graph = chain(State, {"review": review_with_fallback})
    assert graph.invoke({"auto_approve_mode": True}, config={"configurable": {"thread_id": "auto"}})["approved"] is True
    assert graph.invoke({}, config=config).is_interrupted
    assert graph.invoke(Command(resume={"approved": True}), config=config)["approved"] is True
