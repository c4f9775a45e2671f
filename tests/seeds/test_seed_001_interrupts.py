"""Seed 001 (LangGraph): interrupt points, streaming, dynamic and multiple interrupts, editing the state while paused, resuming by id."""

import pytest
from typing_extensions import TypedDict

from hitl_nb import END, START, Command, InMemorySaver, InvalidAnswerError, StateGraph, interrupt


class State(TypedDict):
    plan: str
    approved: bool


@pytest.fixture
def builder():
    def create_plan(state: State) -> dict:
        return {"plan": "Execute action X"}

    def execute_plan(state: State) -> dict:
        return {"approved": True}

    builder = StateGraph(State)
    builder.add_node("planner", create_plan)
    builder.add_node("executor", execute_plan)
    builder.add_edge(START, "planner")
    builder.add_edge("planner", "executor")
    builder.add_edge("executor", END)
    return builder


class Draft(TypedDict, total=False):
    """The keys of the seed's shorter samples, which leave it out."""

    content: str
    draft: str
    status: str
    done: list[str]


# -- interrupt points ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", [{"interrupt_before": ["executor"]}, {"interrupt_after": ["planner"]}])
def test_the_basic_workflow_shows_the_plan_at_the_pause_and_executes_it_on_invoke_none(builder, saver, where):
    graph = builder.compile(checkpointer=saver, **where)
    config = {"configurable": {"thread_id": "workflow-1"}}
    graph.invoke({"plan": "", "approved": False}, config)
    state = graph.get_state(config)
    assert state.values == {"plan": "Execute action X", "approved": False}
    assert state.next == ("executor",)
    assert graph.invoke(None, config) == {"plan": "Execute action X", "approved": True}
    assert graph.invoke(None, config) == {"plan": "Execute action X", "approved": True}


def test_a_static_pause_is_visible_in_the_result_and_the_state(builder, saver, config):
    """On the seed's own system `invoke` shows nothing (semantics R12)."""
    graph = builder.compile(checkpointer=saver, interrupt_before=["executor"])
    result = graph.invoke({"plan": "", "approved": False}, config)
    assert [i.value for i in result["__interrupt__"]] == [{"node": "executor", "when": "before"}]
    assert graph.get_state(config).interrupts == result.interrupts


@pytest.mark.parametrize(
    ("everywhere", "pauses"),
    [
        ({"interrupt_before": "*"}, [("planner", "before"), ("executor", "before")]),
        ({"interrupt_after": "*"}, [("planner", "after")]),  # after the last node there is nothing left to hold back
        ({"interrupt_before": "*", "interrupt_after": "*"}, [("planner", "before"), ("executor", "before")]),
    ],
)
def test_a_star_pauses_once_at_every_boundary(builder, saver, config, everywhere, pauses):
    graph = builder.compile(checkpointer=saver, **everywhere)
    result, seen = graph.invoke({"plan": "", "approved": False}, config), []
    while result.is_interrupted:
        seen.append((result.interrupts[0].value["node"], result.interrupts[0].value["when"]))
        result = graph.invoke(None, config)
    assert (seen, result["approved"]) == (pauses, True)


def test_streaming_pauses_with_a_marker_and_a_second_stream_resumes(builder):
    """The seed shows no event for the pause; here it has the marker (semantics R12)."""
    graph = builder.compile(checkpointer=InMemorySaver(), interrupt_before=["executor"])
    config = {"configurable": {"thread_id": "workflow-2"}}
    planned, paused = graph.stream({"plan": ""}, config, stream_mode="updates")
    assert planned == {"planner": {"plan": "Execute action X"}}
    assert [i.value for i in paused["__interrupt__"]] == [{"node": "executor", "when": "before"}]
    assert list(graph.stream(None, config, stream_mode="updates")) == [{"executor": {"approved": True}}]


# -- dynamic interrupts ----------------------------------------------------------------------------------------------------------------


def review_node(state: Draft) -> dict:
    if state["content"] != "trusted":
        human_input = interrupt({"question": "Does this look correct?", "content": state["content"], "options": ["approve", "reject", "edit"]})
        if human_input == "reject":
            return {"status": "rejected"}
        elif human_input == "edit":  # noqa: RET505  # as the seed writes it
            return {"content": "edited by hand"}
    return {"status": "approved"}


def test_an_interrupt_surfaces_in_the_stream_and_in_the_state_and_the_answer_resumes(chain):
    graph = chain(Draft, {"review": review_node})
    config = {"configurable": {"thread_id": "review-1"}}
    (event,) = graph.stream({"content": "Draft"}, config)
    interrupt_info = event["__interrupt__"][0]
    assert interrupt_info.value == {"question": "Does this look correct?", "content": "Draft", "options": ["approve", "reject", "edit"]}
    state = graph.get_state(config)
    assert state.interrupts[0].value == interrupt_info.value
    assert list(graph.stream(Command(resume="approve"), config)) == [{"review": {"status": "approved"}}]


@pytest.mark.parametrize(("decision", "update"), [("reject", {"status": "rejected"}), ("edit", {"content": "edited by hand"})])
def test_reject_and_edit_take_their_own_branches_and_a_typo_takes_none(chain, config, decision, update):
    graph = chain(Draft, {"review": review_node})
    graph.invoke({"content": "Draft"}, config)
    with pytest.raises(InvalidAnswerError, match="did you mean"):
        graph.invoke(Command(resume=decision + "t"), config)
    assert graph.invoke(Command(resume=decision), config) == {"content": "Draft", **update}


def test_content_that_needs_no_review_asks_nobody(chain, config):
    assert chain(Draft, {"review": review_node}).invoke({"content": "trusted"}, config)["status"] == "approved"


@pytest.fixture
def two_steps(chain):
    """The seed's complex_node; `processed` is what its two process functions did, `runs` how often it ran."""
    processed, runs = [], []

    def complex_node(state: Draft) -> dict:
        runs.append(1)
        step1_approval = interrupt("Approve step 1?")
        if step1_approval:
            processed.append("step 1")
        step2_approval = interrupt("Approve step 2?")
        if step2_approval:
            processed.append("step 2")
        return {"status": "complete"}

    return chain(Draft, {"complex": complex_node}), processed, runs


def test_a_list_answers_the_interrupts_of_a_node_in_order(two_steps, config):
    """The list that the seed promises; its own system hands the whole list to the first question. Two questions cost three executions (R16)."""
    graph, processed, runs = two_steps
    list(graph.stream({}, config))
    assert list(graph.stream(Command(resume=[True, True]), config)) == [{"complex": {"status": "complete"}}]
    assert (len(runs), processed[-2:]) == (3, ["step 1", "step 2"])


def test_the_interrupts_of_a_node_can_be_answered_one_by_one(two_steps, config):
    graph, processed, _ = two_steps
    assert graph.invoke({}, config).interrupts[0].value == "Approve step 1?"
    assert graph.invoke(Command(resume=False), config).interrupts[0].value == "Approve step 2?"
    assert graph.invoke(Command(resume=True), config)["status"] == "complete"
    assert processed == ["step 2"]


# -- editing the state while paused ----------------------------------------------------------------------------------------------------


def ask_about_the_draft(state: Draft) -> dict:
    answer = interrupt({"draft": state["draft"]})
    return {"status": f"{answer}: {state['draft']}"}


@pytest.fixture
def editing(chain):
    return chain(Draft, {"editor": lambda state: None, "review": ask_about_the_draft})


def test_a_state_edited_at_a_static_pause_is_what_the_next_node_sees(chain):
    graph = chain(Draft, {"editor": lambda state: None, "publisher": lambda state: {"status": state["draft"]}}, interrupt_before=["publisher"])
    config = {"configurable": {"thread_id": "edit-1"}}
    graph.invoke({"draft": "Initial content"}, config)
    assert graph.get_state(config).values["draft"] == "Initial content"
    updated_config = graph.update_state(config, values={"draft": "Edited content"}, as_node="editor")
    assert graph.invoke(None, updated_config) == {"draft": "Edited content", "status": "Edited content"}


def test_a_state_edited_while_a_question_is_open_makes_the_node_ask_about_the_edited_draft(editing, config):
    first = editing.invoke({"draft": "Initial content"}, config)
    updated_config = editing.update_state(config, values={"draft": "Edited content"}, as_node="editor")
    assert len(editing.get_state(config).interrupts) == 1
    second = editing.invoke(None, updated_config)
    assert second.interrupts[0].value == {"draft": "Edited content"}
    assert second.interrupts[0].id != first.interrupts[0].id
    assert editing.invoke(Command(resume="ok"), config)["status"] == "ok: Edited content"


def test_update_and_resume_in_one_step_gives_the_node_the_edited_draft_and_the_answer(editing, config):
    editing.invoke({"draft": "Initial content"}, config)
    events = list(editing.stream(Command(update={"draft": "Edited content"}, resume="approve"), config))
    assert events == [{"review": {"status": "approve: Edited content"}}]


def test_update_and_resume_in_one_step_does_not_stop_again_before_a_node_that_was_let_through(chain, config):
    graph = chain(Draft, {"review": ask_about_the_draft, "publisher": lambda state: None}, interrupt_before="*")
    graph.invoke({"draft": "Initial content"}, config)
    assert graph.invoke(None, config).interrupts[0].value == {"draft": "Initial content"}
    result = graph.invoke(Command(update={"draft": "Edited content"}, resume="approve"), config)
    assert (result["status"], result.interrupts[0].value) == ("approve: Edited content", {"node": "publisher", "when": "before"})


def test_an_update_without_a_resume_passes_no_static_pause(chain, config):
    graph = chain(Draft, {"publisher": lambda state: {"status": state["draft"]}}, interrupt_before="*")
    graph.invoke({"draft": "Initial content"}, config)
    assert graph.invoke(Command(update={"draft": "Edited content"}), config).is_interrupted
    assert graph.invoke(None, config)["status"] == "Edited content"


def test_update_and_resume_with_a_goto_still_stops_before_the_node_it_goes_to(chain, config):
    graph = chain(Draft, {"review": ask_about_the_draft, "publisher": lambda state: None}, interrupt_before="*")
    graph.invoke({"draft": "Initial content"}, config)
    result = graph.invoke(Command(update={"draft": "Edited content"}, resume=True, goto="publisher"), config)
    assert result.interrupts[0].value == {"node": "review", "when": "before", "nodes": ["review", "publisher"]}


def test_each_interrupt_of_the_state_has_a_value_and_an_id_to_resume_it_by(editing, config):
    editing.invoke({"draft": "text"}, config)
    (asked,) = editing.get_state(config).interrupts
    assert (asked.value, len(asked.id)) == ({"draft": "text"}, 32)
    assert list(editing.stream(Command(resume={asked.id: "approval_value"}), config)) == [{"review": {"status": "approval_value: text"}}]
